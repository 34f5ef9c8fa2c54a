"""Landmarks in a file that a person can read, correct and measure from.

The file holds the landmarks where they are measured, which is what an overlay shows: after the correction
that moves them to their anthropometric place (`anthropo.measurement.anatomy`). Each stands beside the place
where it was found, so that a point is known to be moved by hand when the two differ. Points that were not
moved are found anew in the photo: a file that nobody touched changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anthropo._version import __version__
from anthropo.errors import InputError, parameter
from anthropo.face.evaluations import beyond_border
from anthropo.face.frame import Floats, face_axes, outer_canthal_distance
from anthropo.face.gate import check_again, check_hidden
from anthropo.face.landmarker import Face
from anthropo.face.pose import head_pose
from anthropo.face.scheme import LANDMARKS, NAMES
from anthropo.files import file_sha256, read_text, write_atomically
from anthropo.measurement import anatomy
from anthropo.measurement.anatomy import BETWEEN
from anthropo.showing import fielded

SUFFIX = ".landmarks.json"
SCHEMA = "anthropo landmarks 1"
_FARTHEST = 1e7  # pixels: beyond any photo
#: Every point of a file: the 68-point scheme, then the landmarks that are none of its points.
POINTS = (*(f"p{i}" for i in range(68)), *BETWEEN)
_DECIMALS = 3
_NEAR = 0.25  # mean distance, outer-canthal distances, up to which two faces are the same one
_LEAST_UNIT = 0.25  # of the outer-canthal distance that was found

_HOW = (
    "Pixels of the upright photo at its full size, x to the right, y down, (0, 0) the centre of the first "
    "pixel; R and L are the subject's right and left. To correct a point, change its x and y to the place "
    "where you see it, and keep `found`. Each point is independent: p36 to p47 are the lids' outlines, pR "
    "and pL the pupils, ps and pi the middle of the upper and the lower lid's margin."
)
PARTS = (
    (17, "face outline"), (22, "right brow"), (27, "left brow"), (31, "nasal bridge"), (36, "nasal base"),
    (42, "right eye"), (48, "left eye"), (60, "outer lips"), (68, "inner lips"),
)  # fmt: skip
_BETWEEN_NAMES = {"p": "pupil", "ps": "upper lid's margin", "pi": "lower lid's margin"}


def point_name(point: str) -> str:
    """What a point of `POINTS` is, in words: ``"right eye, exR"``."""
    if point in BETWEEN:
        return f"{'right' if point[-1] == 'R' else 'left'} {_BETWEEN_NAMES[point[:-1]]}"
    index = int(point[1:])
    part = next(name for end, name in PARTS if index < end)
    codes = [code for code, at in LANDMARKS.items() if at == (index,)]
    return ", ".join([part, *codes])


def anatomical_name(point: str) -> str:
    """The landmark that a point of `POINTS` stands for: ``"en, endocanthion, right"``; else its place."""
    index = () if point in BETWEEN else (int(point[1:]),)
    codes = [point] if point in BETWEEN else [code for code, at in LANDMARKS.items() if at == index]
    if not codes:
        return point_name(point)
    side = {"R": "right", "L": "left"}.get(codes[0][-1], "")
    words = [(code[:-1] if side else code, NAMES[code]) for code in codes]
    # the field's codes are short; longer ones are of anthropo's own making
    known = ", ".join(name if len(code) > 3 else f"{code}, {name}" for code, name in words)
    return f"{known}, {side}" if side else known


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """The landmarks of one face as a file has them; see `save_landmarks` for an example."""

    path: str
    sha256: str  # of the file
    photo: str  # the photo's name
    photo_sha256: str
    points: Floats  # (74, 2) photo pixels, in the order of POINTS
    detected: Floats  # (74, 2) where they were found

    __repr__ = fielded

    @property
    def moved(self) -> dict[str, float]:
        """The points that were moved by hand, and how far, pixels."""
        far = np.hypot(*(self.points - self.detected).T)
        return {name: float(d) for name, d in zip(POINTS, far, strict=True) if d > 0}


def places_of(face: Face) -> Floats:
    """Where a face's landmarks are measured, (74, 2) in the order of `POINTS`, as a file has them."""
    return np.asarray(np.concatenate(anatomy.place(face)).round(_DECIMALS))


def landmarks_text(face: Face, digest: str, at: Floats | None = None) -> str:
    """A face's landmarks as a file's content.

    `digest` is the SHA-256 of the photo; `at` (74, 2) is where a hand has placed the points of a face that
    was found, and otherwise where they were found.
    """
    head = {
        "schema": SCHEMA,
        "anthropo": __version__,
        "stages": anatomy.stage_of(face),
        "photo": os.path.basename(face.source),
        "sha256": digest,
        "width": face.size[0],
        "height": face.size[1],
        "how": _HOW,
    }
    detected = places_of(face)
    now = detected if at is None else at.round(_DECIMALS)
    lines = []
    for point, (x, y), place in zip(POINTS, now.tolist(), detected.tolist(), strict=True):
        row = {"point": point, "name": point_name(point), "x": x, "y": y, "found": place}
        lines.append(f"  {json.dumps(row, ensure_ascii=False)}")
    fields = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    return "{\n" + ",\n".join([*fields, ' "points": [\n' + ",\n".join(lines) + "\n ]"]) + "\n}\n"


def save_landmarks(path: str | os.PathLike[str], face: Face, digest: str) -> None:
    """Write a face's landmarks to a file, to be corrected by hand and read by `read_landmarks`.

    Parameters
    ----------
    path : path
    face : Face
    digest : str
        SHA-256 of the photo.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import anthropo
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> anthropo.measurement.save_landmarks("astronaut.landmarks.json", seen.face, seen.digest)
    >>> anthropo.measurement.read_landmarks("astronaut.landmarks.json").points.shape
    (74, 2)
    """
    write_atomically(Path(path), landmarks_text(face, digest).encode())


def read_landmarks(path: str | os.PathLike[str]) -> Landmarks:
    """Read a landmark file.

    Parameters
    ----------
    path : path
        A file of `save_landmarks` or ``anthropo measure --save-landmarks``.

    Returns
    -------
    Landmarks

    Raises
    ------
    InputError
        If it is none, lacks a point or has one twice, a place is no pair of numbers, or a point was moved
        out of the photo.

    Examples
    --------
    >>> import anthropo
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> anthropo.measurement.save_landmarks("astronaut.landmarks.json", seen.face, seen.digest)
    >>> anthropo.measurement.read_landmarks("astronaut.landmarks.json").moved
    {}
    """
    where = os.fspath(path)
    text = read_text(Path(path))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: not readable as JSON ({error}). Undo the last change, or save the landmarks again."
        ) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(
            f"{where}: not a landmark file ({SCHEMA}). Make one with {parameter('save_landmarks')}."
        )
    photo, digest, size = document.get("photo"), document.get("sha256"), (0.0, 0.0)
    try:
        size = _pair([document.get("width"), document.get("height")])
    except ValueError:
        digest = None
    rows = document.get("points")
    if not isinstance(photo, str) or not isinstance(digest, str) or not isinstance(rows, list):
        raise InputError(
            f"{where}: photo, sha256, width, height or points is missing. Save the landmarks again."
        )
    points, detected = _table(where, rows)
    outside = beyond_border(points, (int(size[0]), int(size[1]))) & (points != detected).any(1)
    for i in np.flatnonzero(outside):
        raise InputError(
            f"{where}, {POINTS[i]}: ({points[i, 0]:g}, {points[i, 1]:g}) lies outside the photo of "
            f"{size[0]:g} × {size[1]:g} pixels."
        )
    return Landmarks(where, file_sha256(path), photo, digest, points, detected)


def _table(where: str, rows: Sequence[Any]) -> tuple[Floats, Floats]:
    """Both places of every point, (74, 2) each."""
    points, detected = np.full((2, len(POINTS), 2), np.nan)
    seen: set[str] = set()
    for row in rows:
        name = row.get("point") if isinstance(row, dict) else None
        if not isinstance(name, str) or name not in POINTS:
            raise InputError(f"{where}: {name!r} is no point; p0 to p67 and {', '.join(BETWEEN)} are.")
        if name in seen:
            raise InputError(f"{where}: {name} is there twice. Keep one of them.")
        seen.add(name)
        try:
            points[POINTS.index(name)] = _pair([row.get("x"), row.get("y")])
            detected[POINTS.index(name)] = _pair(row.get("found"))
        except ValueError as error:
            raise InputError(f"{where}, {name}: {error}, a number for x and for y is needed.") from None
    missing = [name for name in POINTS if name not in seen]
    if missing:
        scheme = sum(name not in BETWEEN for name in seen)
        more = ", ..." if len(missing) > 3 else ""
        raise InputError(
            f"{where}: {', '.join(missing[:3])}{more} missing: {scheme} of the 68 points and "
            f"{len(seen) - scheme} of the {len(BETWEEN)} others are there. Save the landmarks again."
        )
    return points, detected


def _pair(values: Any) -> tuple[float, float]:
    if not isinstance(values, list) or len(values) != 2:
        raise ValueError(f"{values!r} is no pair")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _FARTHEST:
            raise ValueError(f"{value!r} is no number")
    return float(values[0]), float(values[1])


class Corrections:
    """The landmark files that a run measures from: one for its only photo, or a folder of them.

    A file of a folder that was saved from a photo of the same name as one of `photos`, and of none of these,
    is refused: the photo has changed since.
    """

    def __init__(self, path: str, photos: Sequence[str] = ()) -> None:
        self.path = path
        self.folder = os.path.isdir(path)
        several = len(set(photos))
        if several > 1 and not self.folder:
            raise InputError(
                f"{parameter('landmarks', path)}: one file for {several} photos. Name a folder with the file "
                "of each."
            )
        names = sorted(Path(path).glob(f"*{SUFFIX}")) if self.folder else [Path(path)]
        if not names:
            raise InputError(
                f"{path}: no landmark files (*{SUFFIX}) in this folder. Make {parameter('save_landmarks')}."
            )
        self.files = tuple(read_landmarks(name) for name in names)
        self._by_photo: dict[str, list[Landmarks]] = {}
        for file in self.files:
            self._by_photo.setdefault(file.photo_sha256, []).append(file)
        for file in self.files if self.folder else ():
            named = [photo for photo in photos if os.path.basename(photo) == file.photo]
            if named and not any(_is(photo, file.photo_sha256) for photo in (*named, *photos)):
                raise _of_another(named[0], file)

    def of(self, photo: str, digest: str) -> Sequence[Landmarks]:
        """The files of a photo, by its SHA-256; none when a folder has none."""
        files = self._by_photo.get(digest, ())
        if not files and not self.folder:
            raise _of_another(photo, self.files[0])
        return files

    def stamp(self, photo: str, digest: str) -> str:
        """Text that changes with the files of a photo; empty without any."""
        return " ".join(file.sha256[:16] for file in self.of(photo, digest))

    def correct(self, face: Face, first: Face, photo: str, digest: str) -> tuple[Face, Landmarks | None]:
        """A face with the points where its file has them, and that file; the face itself without one."""
        files = self.of(photo, digest)
        if not files:
            return face, None
        places = np.concatenate(anatomy.place(face))  # in the order of POINTS
        unit = outer_canthal_distance(places)
        near = [f for f in files if np.hypot(*(f.detected - places).T).mean() <= _NEAR * unit]
        if len(near) > 1:
            raise InputError(
                f"{photo}: {near[0].path} and {near[1].path} are of the same face. Keep one of them."
            )
        if near:
            return moved(face, first, near[0]), near[0]
        if not self.folder:  # in a folder, another face's file of a photo with several
            raise InputError(
                f"{photo}: {files[0].path} is of another face of this photo. Pass the same "
                f"{parameter('face')} as when it was saved."
            )
        return face, None


def _is(photo: str, digest: str) -> bool:
    """Whether a photo has this SHA-256."""
    try:
        return file_sha256(photo) == digest
    except OSError:  # measuring it says so
        return False


def _of_another(photo: str, file: Landmarks) -> InputError:
    return InputError(
        f"{photo}: {file.path} is for another photo, {file.photo} with the SHA-256 "
        f"{file.photo_sha256[:8]}…. Save the landmarks of this photo again."
    )


def moved(face: Face, first: Face, file: Landmarks) -> Face:
    """The face with the points that a file has moved; the face itself when it has moved none.

    A moved point lies where the hand placed it: no mean offset is added to it, as that is the machine's.
    Pose and gate, which are judged by the `first` landmark stage, and what is read around the landmarks see
    it where the machine would have put it then.
    """
    names = list(file.moved)
    if not names:
        return face
    at = {name: file.points[POINTS.index(name)] for name in names}
    points, landmarks = first.landmarks.copy(), face.landmarks.copy()
    for stage, seen in (("first", points), (anatomy.stage_of(face), landmarks)):
        offsets = anatomy.instrument(stage).correction.points @ face_axes(face.landmarks)
        for index in (int(name[1:]) for name in names if name not in BETWEEN):
            seen[index] = at[f"p{index}"] - offsets[index]
    canthal = outer_canthal_distance(face.landmarks)
    if min(outer_canthal_distance(seen) for seen in (points, landmarks)) < _LEAST_UNIT * canthal:
        raise InputError(
            f"{file.path}: the outer corners of the eyes, p36 and p45, are moved together; they are what "
            "everything is measured in. Move them back."
        )
    camera = head_pose(points)
    outside = int(beyond_border(points, face.size).sum())
    face = replace(
        face,
        landmarks=landmarks,
        samples=face.samples + (landmarks - face.landmarks),
        yaw=camera.yaw,
        pitch=camera.pitch,
        roll=camera.roll,
        gate=check_again(face.gate, points, camera, outside),
        by_hand=at,
    )
    return replace(face, gate=check_hidden(face.gate, points, face.hidden))
