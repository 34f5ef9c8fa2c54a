"""AnnotatedFace faces from the files in which others keep them.

=====================  ===============================================================================
what                   how it is recognised
=====================  ===============================================================================
300-W                  a folder of ``.pts`` files beside their photos, or a table of ``photo`` and
                       ``landmarks``, a ``.pts`` file each
dlib, imglab           ``.xml``
WebMorph               a folder of ``.tem`` files beside their photos
table                  ``.csv``, ``.tsv`` or ``.xlsx`` with ``photo`` and ``x0``, ``y0``, ``x1`` … or
                       ``NAME_x``, ``NAME_y`` …
COCO keypoints         ``.json``
anthropo               a folder of ``.landmarks.json`` files beside their photos
=====================  ===============================================================================

Coordinates are pixels of the upright photo at its full size; (0, 0) is the centre of the first pixel. Files
with the header of 300-W count from 1, as Matlab does, and are brought to that.
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anthropo.batch.inputs import photographs_in, read_photo_table
from anthropo.container import shown, unfit_text
from anthropo.errors import InputError
from anthropo.face.frame import Floats, face_axes
from anthropo.face.landmark_bundle import LONGEST_NAME
from anthropo.files import file_sha256, read_text
from anthropo.landmarks import coco, imglab
from anthropo.measurement.anatomy import instrument
from anthropo.measurement.landmark_file import SUFFIX as CORRECTED
from anthropo.measurement.landmark_file import read_landmarks
from anthropo.photo import SUFFIXES
from anthropo.spelling import look_alikes
from anthropo.tables import Finder, given, is_table, missing, read_rows

MOST_POINTS = 2000  # of a face
LARGEST = 1e6  # of a coordinate, pixels
_MOST_PTS = 1 << 20  # bytes of a .pts or .tem file
_LISTED = re.compile(r"x(\d+)")


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedFace:
    """A face whose points somebody placed.

    Attributes
    ----------
    photo : str
        Its photo's path.
    points : (P, 2) array
        Pixels of the upright photo; NaN where a point is not annotated.
    person : str
        Who it is, by the column `patient` or the photo's name.
    where : str
        The file and place that it was read from, for messages.
    """

    photo: str
    points: Floats
    person: str
    where: str


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """AnnotatedFace faces of one scheme.

    Attributes
    ----------
    source : str
        What was read.
    names : tuple of str
        Of the points.
    faces : tuple of AnnotatedFace
    """

    source: str
    names: tuple[str, ...]
    faces: tuple[AnnotatedFace, ...]

    @property
    def people(self) -> tuple[str, ...]:
        """The people, each once."""
        return tuple(dict.fromkeys(face.person for face in self.faces))

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence where people are spelled alike, and so may be one."""
        places: dict[str, list[str]] = {}
        for face in self.faces:
            places.setdefault(face.person, []).append(face.where)
        sentence = look_alikes("people", places)
        return (f"{self.source}: {sentence}",) if sentence else ()


def read_annotations(path: str | os.PathLike[str]) -> Annotations:
    """Read annotated faces from a folder or file of any of the forms above.

    Parameters
    ----------
    path : path

    Returns
    -------
    Annotations

    Raises
    ------
    InputError
        If the form is not known, a place is no number, faces have different points, a photo is missing, or a
        face is there twice. The message names the file and the line.

    Examples
    --------
    >>> import shutil
    >>> from pathlib import Path
    >>> import anthropo
    >>> _ = shutil.copy(anthropo.example_photo(), "a.png")
    >>> _ = Path("faces.csv").write_text("photo,eyeR_x,eyeR_y,eyeL_x,eyeL_y\\na.png,200,100,240,100\\n")
    >>> read_annotations("faces.csv").names
    ('eyeR', 'eyeL')
    """
    where = Path(path)
    if not where.exists():
        raise InputError(f"{where}: no such file or folder. Name a folder or file of annotated faces.")
    suffix = where.suffix.lower()
    if where.is_dir():
        names, faces = _folder(where)
    elif suffix == ".xml":
        names, faces = _listed(where, imglab.read_imglab(where))
    elif suffix == ".json":
        names, faces = _listed(where, coco.read_coco(where))
    elif is_table(where):
        names, faces = _table(where)
    else:
        raise InputError(
            f"{where}: no form of annotations that is known. Give a folder of .pts, .tem or {CORRECTED} "
            "files, an imglab .xml, a COCO .json, or a table (.csv) of photo, x0, y0 …"
        )
    if not faces:
        raise InputError(f"{where}: no annotated face in it.")
    _same_points(faces)
    _spread_out(faces)
    _fit_names(where, names)
    _present(faces)
    _once(faces)
    names = names or tuple(f"p{i}" for i in range(len(faces[0].points)))
    nowhere = np.isnan([face.points for face in faces]).any(2).all(0)
    if nowhere.any():
        raise InputError(f"{where}: {names[int(nowhere.argmax())]} has no place in any face. Leave it out.")
    return Annotations(str(where), names, tuple(faces))


# ------------------------------------------------------------------------------------ the forms


def _folder(folder: Path) -> tuple[tuple[str, ...], list[AnnotatedFace]]:
    """A folder with an index, or with files beside their photos."""
    for name in ("index.csv", "index.tsv", "index.xlsx"):
        if (folder / name).is_file():
            return _table(folder / name)
    forms: tuple[tuple[str, Callable[[Path], Floats]], ...] = ((".pts", read_pts), (".tem", read_tem))
    files_of = {suffix: sorted(folder.rglob(f"*{suffix}")) for suffix, _ in forms}
    files_of[CORRECTED] = sorted(folder.rglob(f"*{CORRECTED}"))
    kinds = [suffix for suffix, files in files_of.items() if files]
    if not kinds:
        raise InputError(
            f"{folder}: no annotations in this folder (*.pts, *.tem, *{CORRECTED}, or an index.csv)."
        )
    if len(kinds) > 1:
        raise InputError(f"{folder}: holds {' and '.join(kinds)} files. Put each kind into its own folder.")
    if kinds == [CORRECTED]:
        return _corrected(files_of[CORRECTED])
    read = dict(forms)[kinds[0]]
    photos: dict[str, list[str]] = {}
    for photo in photographs_in(folder):
        photos.setdefault(os.path.splitext(photo)[0], []).append(photo)
    faces = []
    for file in files_of[kinds[0]]:
        beside = photos.get(os.path.splitext(file)[0], [])
        if len(beside) != 1:
            what = f"{beside[0]} and {beside[1]} are" if beside else "no photo of its name is"
            raise InputError(f"{file}: {what} beside it, and one is needed. Put its photo there, alone.")
        faces.append(AnnotatedFace(beside[0], read(file), _stem(file), str(file)))
    _one_name_one_person(faces)
    return (), faces


def _corrected(files: Sequence[Path]) -> tuple[tuple[str, ...], list[AnnotatedFace]]:
    """Landmark files that `anthropo measure --save-landmarks` wrote, each in its photo's folder."""
    faces = []
    # they hold anatomical places, and a landmark model predicts the scheme's, which are corrected afterwards
    offsets = instrument("first").correction.points
    for file in files:
        kept = read_landmarks(file)
        photo = Finder(file.parent).find(kept.photo)
        _check_digest(file, photo, kept.photo_sha256)
        points = kept.points[:68] - offsets @ face_axes(kept.points)
        faces.append(AnnotatedFace(photo, points, _stem(Path(photo)), str(file)))
    _one_name_one_person(faces)
    return (), faces


def _check_digest(file: Path, photo: str, digest: str) -> None:
    if os.path.isfile(photo) and file_sha256(photo) != digest:
        raise InputError(
            f"{file}: {photo} is another photo than the one it was saved from (SHA-256 {digest[:8]}…). Save "
            "the landmarks of this photo again."
        )


def _table(path: Path) -> tuple[tuple[str, ...], list[AnnotatedFace]]:
    rows = read_rows(path, "photo")
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    if "landmarks" in header:
        return (), _of_files(path)
    photo = next((name for name in ("photo", "image") if name in header), None)
    if photo is None:
        raise InputError(f"{path}: no column `photo`; its columns are {', '.join(header[:8]) or 'none'}.")
    names, columns = _coordinates(path, header)
    finder = _Photos(path.parent)
    faces = []
    for number, cells in rows[1:]:
        row = dict(zip(header, cells, strict=False))
        if missing(row.get(photo, "")):
            continue
        where = f"{path}, row {number}"
        points = np.array([[_cell(where, name, row.get(name, "")) for name in pair] for pair in columns])
        half = np.isnan(points).any(1) & ~np.isnan(points).all(1)
        if half.any():
            raise InputError(f"{where}: {names[int(half.argmax())]} has only one coordinate. Give both.")
        file = finder.find(row[photo])
        patient = given(row.get("patient", ""))
        faces.append(AnnotatedFace(file, points, patient or _stem(Path(file)), where))
    if "patient" not in header:
        _one_name_one_person(faces)
    return names, faces


def _of_files(path: Path) -> list[AnnotatedFace]:
    """A table of photos and their .pts or .tem files."""
    table = read_photo_table(path)
    finder = Finder(path.parent)
    faces = []
    for item, number in zip(table.items, table.rows, strict=True):
        if missing(item.columns["landmarks"]):
            raise InputError(
                f"{path}, row {number}: no landmarks. Name the photo's .pts file, or delete the row."
            )
        file = Path(finder.find(item.columns["landmarks"]))
        points = read_tem(file) if file.suffix.lower() == ".tem" else read_pts(file)
        faces.append(
            AnnotatedFace(item.path, points, item.columns.get("patient") or _stem(Path(item.path)), str(file))
        )
    if "patient" not in table.columns:
        _one_name_one_person(faces)
    return faces


def _coordinates(path: Path, header: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Names of the points, and their columns."""
    repeated = [name for name, n in Counter(header).items() if n > 1 and name]
    if repeated:
        raise InputError(f"{path}: {repeated[0]} is a column twice. Keep one of them.")
    numbered = sorted(int(m[1]) for name in header if (m := _LISTED.fullmatch(name)))
    if numbered:
        pairs = [(f"x{i}", f"y{i}") for i in numbered]
        names = tuple(f"p{i - numbered[0]}" for i in numbered)
    else:
        names = tuple(name[:-2] for name in header if name.endswith("_x"))
        pairs = [(f"{name}_x", f"{name}_y") for name in names]
    if not pairs:
        raise InputError(f"{path}: no columns of points; they are called x0, y0, x1 … or NAME_x, NAME_y …")
    alone = [y for _, y in pairs if y not in header]
    if alone or (numbered and numbered != list(range(numbered[0], numbered[0] + len(numbered)))):
        what = f"no column {alone[0]}" if alone else "its columns x0, x1 … leave out a number"
        raise InputError(f"{path}: {what}. Every point needs its x and its y.")
    return names, pairs


def _cell(where: str, name: str, text: str) -> float:
    return math.nan if missing(text) else number(text, f"{where}, {name}")


def number(text: object, where: str) -> float:
    """A coordinate; an InputError says where there is none."""
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = math.nan
    if not abs(value) <= LARGEST or isinstance(text, bool):
        raise InputError(f"{where}: {str(text)[:40]!r} is no coordinate. Give a number of pixels.")
    return value


def read_pts(path: Path) -> Floats:
    """The points (P, 2) of a .pts file: lines of x and y, with or without 300-W's header."""
    lines = read_text(path, most=_MOST_PTS).splitlines()
    headed = any(line.strip().startswith("version") for line in lines[:3])
    points, stated = [], None
    for i, line in enumerate(lines, start=1):
        words = line.replace(",", " ").split()
        if not words or words[0] in "{}" or words[0].startswith("version"):
            continue
        if words[0].startswith("n_points"):
            stated = words[-1]
            continue
        points.append(_pair(words, f"{path}, line {i}"))
    if stated is not None and stated != str(len(points)):
        raise InputError(f"{path}: {len(points)} points where its header states {stated[:20]}. Complete it.")
    return _points(path, points) - (1 if headed else 0)


def read_tem(path: Path) -> Floats:
    """The points (P, 2) of a WebMorph template: their number, then a line of x and y for each."""
    lines = read_text(path, most=_MOST_PTS).splitlines()
    first = lines[0].strip() if lines else ""
    if not first.isdecimal() or not 0 < int(first[:9]) <= min(MOST_POINTS, len(lines) - 1):
        raise InputError(
            f"{path}: not a template of WebMorph: line 1 is no number of the points that follow."
        )
    count = int(first)
    return _points(
        path, [_pair(line.split(), f"{path}, line {i}") for i, line in enumerate(lines[1 : count + 1], 2)]
    )


def _pair(words: Sequence[str], where: str) -> tuple[float, float]:
    if len(words) != 2:
        raise InputError(f"{where}: {' '.join(words)[:40]!r} is no pair of x and y.")
    return number(words[0], where), number(words[1], where)


def _points(path: Path, points: Sequence[tuple[float, float]]) -> Floats:
    if not 0 < len(points) <= MOST_POINTS:
        raise InputError(f"{path}: {len(points)} points; 1 to {MOST_POINTS} are possible.")
    return np.array(points)


def _listed(
    path: Path, read: tuple[tuple[str, ...], Iterable[tuple[str, Floats, str]]]
) -> tuple[tuple[str, ...], list[AnnotatedFace]]:
    """Faces of a file that names photos in its own folder."""
    names, rows = read
    finder = Finder(path.parent)
    faces = []
    for photo, points, where in rows:
        file = finder.find(photo)
        faces.append(AnnotatedFace(file, points, _stem(Path(file)), where))
    _one_name_one_person(faces)
    return names, faces


class _Photos(Finder):
    """Finds photos whose suffix may have been left out, as WebMorph's tables do."""

    def find(self, name: str) -> str:
        """The path of a photo."""
        path = super().find(name)
        if not os.path.exists(path) and Path(name.strip()).suffix.lower() not in SUFFIXES:
            for suffix in (".jpg", ".png", ".jpeg"):
                if os.path.exists(other := super().find(name.strip() + suffix)):
                    return other
        return path


def _stem(path: Path) -> str:
    return path.name.removesuffix(CORRECTED).rsplit(".", 1)[0]


# ------------------------------------------------------------------------------------ the checks


def _same_points(faces: Sequence[AnnotatedFace]) -> None:
    counts = Counter(len(face.points) for face in faces)
    most_common, n = counts.most_common(1)[0]
    if not 2 <= most_common <= MOST_POINTS:
        raise InputError(f"{faces[0].where}: {most_common} points; 2 to {MOST_POINTS} are possible.")
    for face in faces:
        if len(face.points) != most_common:
            raise InputError(
                f"{face.where}: {len(face.points)} points where {n} other{'s have' if n > 1 else ' has'} "
                f"{most_common}. Complete it, or leave it out."
            )
        if np.isfinite(face.points).all(1).sum() < 2:
            raise InputError(f"{face.where}: fewer than two of its points have a place. Leave it out.")


def _spread_out(faces: Sequence[AnnotatedFace]) -> None:
    for face in faces:
        known = face.points[np.isfinite(face.points).all(1)]
        if np.ptp(known, axis=0).max() < 1:
            raise InputError(f"{face.where}: all points lie on one spot. Place them, or leave it out.")


def _fit_names(source: Path, names: Sequence[str]) -> None:
    """Names of points that a model's file may keep."""
    for name in names:
        if not 0 < len(name) <= LONGEST_NAME or unfit_text(name):
            raise InputError(
                f"{source}: {shown(name)} cannot be the name of a point. Give each a name of at most "
                f"{LONGEST_NAME} visible characters."
            )
    if len(set(names)) < len(names):
        raise InputError(f"{source}: two points have one name. Give each its own.")


def _present(faces: Sequence[AnnotatedFace]) -> None:
    for face in faces:
        if not os.path.isfile(face.photo):
            raise InputError(f"{face.where}: its photo {face.photo} is not there. Add it, or leave it out.")


def _once(faces: Sequence[AnnotatedFace]) -> None:
    """Refuse a face that is annotated twice, which would be judged on what was learned from it."""
    by_photo: dict[str, list[AnnotatedFace]] = {}
    for face in faces:
        for other in by_photo.setdefault(os.path.realpath(face.photo), []):
            size = np.nanmax(np.ptp(face.points[np.isfinite(face.points).all(1)], axis=0))
            if np.hypot(*(np.nanmean(face.points, 0) - np.nanmean(other.points, 0))) < size / 4:
                raise InputError(f"{face.where}: the same face as in {other.where}. Keep one of them.")
        by_photo[os.path.realpath(face.photo)].append(face)


def _one_name_one_person(faces: Sequence[AnnotatedFace]) -> None:
    """Where a photo's name says who it is, it must not be the name of two photos."""
    photos: dict[str, str] = {}
    for face in faces:
        other = photos.setdefault(face.person, os.path.abspath(face.photo))
        if other != os.path.abspath(face.photo):
            raise InputError(
                f"{face.where}: {face.person} is the name of two photos, {other} and {face.photo}: of one "
                "person or of two? Say so in a table with a column `patient`, or rename one."
            )
