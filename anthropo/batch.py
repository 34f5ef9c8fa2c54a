"""Many photographs: which ones, one record each, and tables that survive an interruption."""

from __future__ import annotations

import contextlib
import csv
import glob
import hashlib
import io
import json
import math
import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

from anthropo._version import __version__
from anthropo.errors import AnthropoError, FaceError, InputError, parameter
from anthropo.face import _engine
from anthropo.face.fine import fine_sha256, refine
from anthropo.face.gate import CHECKS
from anthropo.face.landmarker import DEFAULT_JITTER, FIRST_DECODE, Face, Which, landmark_predictor, read_faces
from anthropo.face.weights import landmark_model
from anthropo.files import file_sha256, read_text, write_atomically
from anthropo.measurement.appearance import lbp
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.landmark_file import Corrections, Landmarks
from anthropo.measurement.pooling import Pooled, pool
from anthropo.measurement.registry import registry
from anthropo.measurement.scale import (
    IRIS_FROM,
    Scale,
    ScaleError,
    ScaleRequest,
    find_scale,
    parse_scale,
)
from anthropo.photo import MAX_MEGAPIXELS, SUFFIXES, Photo, read_photo
from anthropo.reference.build import instrument_name
from anthropo.reference.tables import DEFAULT_REFERENCE, Reference, load_reference, parse_age, parse_sex
from anthropo.reference.zscore import ZScore, disagreement, score
from anthropo.video import FRAMES, is_video, open_video, unreadable

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]  # one face of one photo, as in the JSON output
Row = dict[str, Any]  # one line of a table
# item, index of the face, face, the scale that was found, the file's SHA-256, the photo unless it is the file
OnFace = Callable[["Item", int, Face, Scale | None, str, Photo | None], None]

#: Columns of a cohort that mean something to anthropo.
COHORT_COLUMNS = ("photo", "sex", "age", "patient")
SUFFIX_OF_OUTPUT = (".csv", ".parquet", ".json")
OVERLAY_SUFFIX = ".overlay.jpg"


@dataclass(frozen=True, slots=True)
class Item:
    """One photograph to measure."""

    path: str
    columns: dict[str, str] = field(default_factory=dict)  # of the CSV it was listed in
    disputed: str = ""  # sexes and ages that different rows give this photo's person


@dataclass(frozen=True, slots=True)
class Settings:
    """What a result depends on, beside the photo."""

    face: Which = "one"
    jitter: int = DEFAULT_JITTER
    landmark_model: str | None = None
    max_megapixels: float | None = MAX_MEGAPIXELS
    fine: bool = True  # look at the landmarks a second time
    force: bool = False  # keep what the photo gate voids
    texture: bool = False  # local binary patterns as well
    scale: str | None = None  # as given to --scale
    references: tuple[str, ...] = ()  # names or files; the default one when sex or age is known
    sex: str | None = None  # of whoever has no column `sex`
    age: str | None = None

    corrections: Corrections | None = None  # landmarks from files; what a photo's say is no setting
    frames: int = FRAMES  # of a video
    no_face: bool = False  # a picture of something else, which can be learned from but not measured

    def fingerprint(self) -> str:
        """Changes whenever the same photo could give another result.

        Raises
        ------
        InputError, WeightsError
            If one of the settings cannot be used.
        """
        if self.no_face:
            raise InputError("Without a face there is nothing to measure. Leave no_face out.")
        return _fingerprint(self, tuple((r.name, r.sha256) for r in _references(self.references)))


@lru_cache(maxsize=16)
def _fingerprint(settings: Settings, tables: tuple[tuple[str, str], ...]) -> str:
    if settings.sex is not None:
        parse_sex(settings.sex)
    if settings.age is not None:
        parse_age(settings.age)
    landmark_predictor(settings.landmark_model)  # refuses one of other points
    _, weights = landmark_model(settings.landmark_model)
    definitions = [(e.id, e.unit, e.expression) for e in registry().values()]
    request = _scale_request(settings.scale)
    parts = [
        __version__, _engine.dlib_version, weights, settings.face, settings.jitter, definitions,
        fine_sha256() if settings.fine else "", settings.force, settings.texture, str(request), tables,
        settings.sex, settings.age, settings.frames,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _references(names: tuple[str, ...]) -> tuple[Reference, ...]:
    given = dict.fromkeys(names or (DEFAULT_REFERENCE,))
    found = {name: _reference(name, _stamp(name)) for name in given}
    called: dict[str, str] = {}
    for given_name, reference in found.items():
        if reference.name in called:
            raise InputError(
                f"--reference {called[reference.name]} and {given_name} are both named {reference.name}, and "
                "so would be their columns. Rename one of them."
            )
        called[reference.name] = given_name
    return tuple(found.values())


@lru_cache(maxsize=64)
def _reference(name: str, stamp: tuple[int, int] | None) -> Reference:
    return load_reference(name)


def _stamp(name: str) -> tuple[int, int] | None:
    """Changes with the file, so that a table edited between two calls is read again."""
    try:
        status = os.stat(name)
    except OSError:  # the name of a shipped table
        return None
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=16)
def _scale_request(text: str | None) -> ScaleRequest | None:
    return None if text is None else parse_scale(text)


# -------------------------------------------------------------------------------------- inputs


def collect(inputs: Sequence[str]) -> list[Item]:
    """Photographs named by files, folders (searched throughout), patterns or CSV files.

    Raises
    ------
    InputError
        If a folder or pattern holds no photograph, or a CSV cannot be used.
    """
    items: list[Item] = []
    for given in inputs:
        path = Path(given)
        if not given.strip():
            raise InputError("An empty name was given for a photo. Name a file, folder, pattern or CSV.")
        if os.path.isdir(path):
            found = sorted(str(p) for p in path.rglob("*") if _is_photograph(p, path))
            if not found:
                raise InputError(f"{given}: no photographs in this folder ({', '.join(sorted(SUFFIXES))}).")
            new = [Item(p) for p in found]
        elif not os.path.exists(path) and any(c in given for c in "*?["):
            found = sorted(str(Path(p)) for p in glob.glob(given, recursive=True) if os.path.isfile(p))
            found = [p for p in found if not p.endswith(OVERLAY_SUFFIX)]
            if not found:
                raise InputError(f"{given}: no file matches this pattern.")
            new = [item for p in found for item in (read_cohort(Path(p)) if _is_table(p) else [Item(p)])]
        elif _is_table(given):
            new = read_cohort(path)
        else:
            new = [Item(str(path))]
        items += new
    for item in items:
        try:
            item.path.encode()
        except UnicodeEncodeError:  # left over from another operating system
            name = item.path.encode(errors="replace").decode()
            raise InputError(f"{name}: the file's name is not UTF-8. Rename the file.") from None
    # the same photo named twice is one photo, unless a table says different things of it
    return _disputed(list({(item.path, *item.columns.items()): item for item in items}.values()))


def _disputed(items: list[Item]) -> list[Item]:
    """The items, with a mark where rows of one photo differ in sex or age: none of them is to be believed."""
    said: dict[str, dict[str, None]] = defaultdict(dict)
    for item in items:
        said[item.path][" ".join(_plain(item.columns.get(key), parse) for key, parse in _PARSE)] = None
    return [
        replace(item, disputed="; ".join(said[item.path])) if len(said[item.path]) > 1 else item
        for item in items
    ]


_PARSE: tuple[tuple[str, Callable[[str], str | float]], ...] = (("sex", parse_sex), ("age", parse_age))


def _plain(text: str | None, parse: Callable[[str], str | float]) -> str:
    """A cell as it is meant, so that `F` is `female`; as it stands when it means nothing."""
    try:
        meant = parse(text) if text else "?"
        return meant if isinstance(meant, str) else f"{meant:g}"
    except InputError:
        return str(text)


def _is_table(name: str) -> bool:
    return name.lower().endswith((".csv", ".tsv"))


def _is_photograph(path: Path, folder: Path) -> bool:
    """By its name; hidden files and anthropo's own overlays are not meant."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    own = path.name.endswith(OVERLAY_SUFFIX)
    return path.suffix.lower() in SUFFIXES and not hidden and not own and path.is_file()


def read_cohort(path: Path) -> list[Item]:
    """Photographs listed in a CSV with a `photo` column; paths are relative to the CSV.

    Raises
    ------
    InputError
        If there is no such file, it is no text, has no `photo` column, a column twice, `Sex` in place of
        `sex`, more cells than the header, or lists no photo.
    """
    text = read_text(path).lstrip("\r\n")
    header = text.splitlines()[0] if text.strip() else ""
    # the delimiter that yields the column we need, else the commonest
    columns = {d: [n.strip() for n in next(csv.reader([header], delimiter=d), [])] for d in ",;\t"}
    delimiter = max(columns, key=lambda d: ("photo" in columns[d], len(columns[d])))
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{path}: not a readable CSV ({error}).") from None
    if "photo" not in columns[delimiter]:
        raise InputError(
            f"{path}: no column `photo`; its columns are {', '.join(columns[delimiter]) or 'none'}. "
            "Name the column that holds the photographs' paths `photo`."
        )
    names = columns[delimiter]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: {repeated[0]} is a column twice. Keep one of them, or rename it.")
    for name in names:
        if name.lower() in COHORT_COLUMNS and name not in COHORT_COLUMNS and name.lower() not in names:
            raise InputError(f"{path}: column `{name}` would be passed over. Name it `{name.lower()}`.")
    items = []
    for number, row in enumerate(rows, start=2):
        # cells beyond the header come under the key None, absent ones as None
        extra = [cell for cell in row.get(None) or () if cell.strip()]
        if extra:
            raise InputError(
                f"{path}, row {number}: {len(names) + len(extra)} cells where the header has {len(names)}. "
                'Put a cell that holds the delimiter in quotes ("31,5").'
            )
        cells = {k.strip(): (v or "").strip() for k, v in row.items() if isinstance(k, str)}
        photo = cells.pop("photo")
        if photo:
            items.append(Item(str(path.parent / photo), cells))
    if not items:
        raise InputError(f"{path}: the table lists no photograph.")
    return items


# ------------------------------------------------------------------------------------- records


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One face of one picture, measured."""

    face: Face
    scale: Scale | None
    values: Sequence[Measurement | Pooled]
    notes: list[str]  # why there is no scale
    file: Landmarks | None = None  # what it was corrected from
    photo: Photo | None = None


def measure_item(item: Item, settings: Settings, on_face: OnFace | None = None) -> list[Record]:
    """One record per face that was asked for, or a single failed one with its reason."""
    try:
        if is_video(item.path):
            return [_measure_video(item, settings, on_face)]
        photo = read_photo(item.path, short_side=FIRST_DECODE, max_megapixels=settings.max_megapixels)
        digest = photo.sha256
        seen = [_see(item, photo, first, settings, digest) for first in _faces(photo, settings)]
        records = [_record(item, i, one, photo, digest, settings) for i, one in enumerate(seen)]
        if on_face is not None:
            for index, one in enumerate(seen):
                on_face(item, index, one.face, one.scale, digest, None)
    except AnthropoError as error:
        return [_failed(item, str(error), settings)]
    except MemoryError:
        return [_failed(item, f"{item.path}: not enough memory. Use fewer --jobs.", settings)]
    return records


def _faces(photo: Photo, settings: Settings) -> list[Face]:
    return read_faces(
        photo, face=settings.face, jitter=settings.jitter, landmark_model=settings.landmark_model
    )


def _see(item: Item, photo: Photo, first: Face, settings: Settings, digest: str) -> _Seen:
    """A face that was found, looked at a second time, brought to scale and measured."""
    face = refine(photo, first) if settings.fine else first
    file = None
    if settings.corrections and not is_video(item.path):
        face, file = settings.corrections.correct(face, first, item.path, digest)
    scale, notes = None, []
    request = _scale_request(settings.scale)
    if request is not None:
        try:
            if request.kind == "iris" and request.assumed:
                _adult_iris(item, settings)
            scale = find_scale(request, photo, face.landmarks, face.samples)
        except AnthropoError as error:
            notes.append(str(error))
    return _Seen(face, scale, measure_face(face, photo, scale=scale, force=settings.force), notes, file)


def _measure_video(item: Item, settings: Settings, on_face: OnFace | None) -> Record:
    """One record of a video: measurements pooled over its frames, landmarks of the best frame.

    Raises
    ------
    AnthropoError
        If the video cannot be read, or no frame of it can be measured.
    """
    if settings.face == "all":
        raise InputError(f"{item.path}: --face all is for photographs. Of a video, measure --face largest.")
    if settings.corrections and not settings.corrections.folder:
        raise InputError(f"{item.path}: --landmarks are those of a photograph, not of a video.")
    digest = file_sha256(item.path) if os.path.isfile(item.path) else ""
    video = open_video(item.path, max_megapixels=settings.max_megapixels)
    values: list[Sequence[Measurement]] = []
    failed: list[FaceError] = []
    best: _Seen | None = None
    unscaled: list[str] = []
    for photo in video.photos(settings.frames):
        try:
            (first,) = _faces(photo, settings)
        except FaceError as error:
            failed.append(error)
            continue
        one = _see(item, photo, first, settings, digest)
        values.append([m for m in one.values if isinstance(m, Measurement)])
        unscaled += one.notes
        if best is None or _doubt(one.face) < _doubt(best.face):
            best = replace(one, photo=photo)
    if best is None or best.photo is None:
        if not failed:
            raise unreadable(item.path)
        others = [error for error in failed if ": no face found." not in str(error)]
        if others:
            raise others[0]
        raise FaceError(
            f"{item.path}: no face found in any of {len(failed)} frames. Use a video in which the whole face "
            "is visible, upright and well lit."
        )
    notes = unscaled[:1] if len(unscaled) == len(values) else []
    pooled = replace(best, values=pool(values), notes=notes)
    record = _record(item, 0, pooled, best.photo, digest, settings)
    remarks = []
    if len(values) == 1:
        remarks.append("one frame measured: the intervals are those of one photo")
    if video.cut_off:
        ends = f"ends after {video.seconds:.1f} of {video.promised:.1f} s"
        remarks.append(f"{ends}: measured are the frames that are there")
    record["video"] = {
        "seconds": round(video.seconds, 3),
        "frames": len(values) + len(failed),
        "measured": len(values),
        "remarks": remarks,
    }
    if on_face is not None:
        on_face(item, 0, best.face, best.scale, digest, best.photo)
    return record


def _doubt(face: Face) -> tuple[int, float]:
    """By which one of two frames is the better one to show."""
    return sum(not check.ok for check in face.gate), face.unsteadiness


def _person(item: Item, settings: Settings) -> dict[str, str]:
    """What is said of the person's sex and age, by a column or for all photos."""
    if item.disputed:
        return {"sex": "", "age": ""}
    said = {"sex": settings.sex, "age": settings.age}
    return {key: item.columns.get(key, value) or "" for key, value in said.items()}


def _who(item: Item, settings: Settings) -> str:
    """The same as one string, by which a second run sees that it has changed."""
    return item.disputed or " ".join(_person(item, settings).values()).strip()


def scores_of(
    item: Item, values: Sequence[Measurement | Pooled], settings: Settings
) -> tuple[list[ZScore], list[str]]:
    """z-scores of one face, and what stood in their way."""
    said = _person(item, settings)
    known: dict[str, Any] = {"sex": None, "age": None}
    if item.disputed:
        note = (
            f"{item.path}: listed with different sex or age ({item.disputed}), no z-scores that depend on it."
        )
        return score(values, _references(settings.references), **known), [note]
    if not settings.references and not any(said.values()):
        return [], []
    notes: list[str] = []
    for key, parse in _PARSE:
        try:
            if said[key]:
                known[key] = parse(said[key])
            else:
                notes.append(f"{item.path}: {key} is missing, no z-scores that depend on it.")
        except InputError as error:
            notes.append(f"{item.path}: {error}")
    scores = score(values, _references(settings.references), **known)
    if not notes:
        for reference in _references(settings.references):
            # of what the table has; that it lacks the rest is no news
            own = [z for z in scores if z.reference == reference.name and reference.rows_of(z.id)]
            if all(math.isnan(z.z) for z in own):
                reasons = [z.reason for z in own]
                why = max(reasons, key=reasons.count)
                if settings.scale and why.endswith(f"pass {parameter('scale')}"):
                    continue  # it was, and why there is none is said already
                notes.append(f"{item.path}: no z-scores under {reference.name}: {why}")
    own_instrument = instrument_name(
        __version__, landmark_model(settings.landmark_model)[1], fine_sha256() if settings.fine else ""
    )
    for reference in _references(settings.references):
        # measured by a version of anthropo, but with other weights (what follows the version)
        made = {row.instrument for row in reference.rows if row.instrument.startswith("anthropo ")}
        if made and own_instrument.partition(", ")[2] not in {m.partition(", ")[2] for m in made}:
            notes.append(
                f"{item.path}: {reference.name} was measured with {', '.join(sorted(made))}, this photo with "
                f"{own_instrument}: z-scores may be shifted. Build a reference with the same."
            )
    return scores, notes


def _json_number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def diagnostics_of(item: Item, settings: Settings) -> Record:
    return {
        "anthropo": __version__,
        "settings": settings.fingerprint(),
        "dlib": _engine.dlib_version,
        "landmark_model": landmark_model(settings.landmark_model)[1][:16],
        "fine_model": fine_sha256()[:16] if settings.fine else "",
        "jitter": settings.jitter,
        "person": _who(item, settings),
    }


def _failed(item: Item, reason: str, settings: Settings) -> Record:
    keys = (
        "width", "height", "box", "landmarks", "landmark_sd", "anatomy", "pose", "gate", "moved", "scale",
        "measurements", "texture",
    )  # fmt: skip
    return {
        "photo": item.path,
        "face": 0,
        "status": "failed",
        "reason": reason,
        **dict.fromkeys(keys),
        "disagreements": [],
        "notes": [],
        "columns": item.columns,
        "diagnostics": diagnostics_of(item, settings),
    }


def _adult_iris(item: Item, settings: Settings) -> None:
    """Refuse the mean iris of adults for a child of known age."""
    with contextlib.suppress(InputError):
        age = parse_age(_person(item, settings)["age"])
        if age < IRIS_FROM:
            raise ScaleError(
                f"{item.path}: --scale iris is for people of {IRIS_FROM:g} years and more; this one is "
                f"{age:g} years old. Give --scale iris=MM with the measured diameter, sticker=MM or ipd=MM."
            )


def _record(item: Item, index: int, seen: _Seen, photo: Photo, digest: str, settings: Settings) -> Record:
    face, scale, notes = seen.face, seen.scale, seen.notes
    scores, doubts = scores_of(item, seen.values, settings)
    patterns, lacking = _texture(item, photo, face) if settings.texture else (None, [])
    corrections = settings.corrections if seen.file else None
    return {
        "photo": item.path,
        "face": index,
        "status": "ok",
        "reason": "",
        "width": face.size[0],
        "height": face.size[1],
        "box": [round(v, 2) for v in face.box],
        "landmarks": [[round(x, 3), round(y, 3)] for x, y in face.landmarks.tolist()],
        "landmark_sd": [
            [_json_number(round(x, 4)), _json_number(round(y, 4))] for x, y in face.landmark_sd.tolist()
        ],
        "anatomy": {code: [round(v, 3) for v in at.tolist()] for code, at in face.anatomy.items()},
        "pose": {"yaw": round(face.yaw, 4), "pitch": round(face.pitch, 4), "roll": round(face.roll, 4)},
        "gate": {
            c.name: {
                "value": round(c.value, 4),
                "limit": c.limit,
                "bound": c.bound,
                "unit": c.unit,
                "ok": c.ok,
                "advice": c.advice,
            }
            for c in face.gate
        },
        "moved": {name: round(px, 3) for name, px in seen.file.moved.items()} if seen.file else {},
        "scale": {"mm_per_px": scale.mm_per_px, "rel_sd": scale.rel_sd, "method": scale.method}
        if scale
        else None,
        "measurements": measurement_records(seen.values, scores, settings.scale is not None, notes),
        "texture": patterns,
        "disagreements": [d.sentence() for d in disagreement(scores)],
        "notes": notes + doubts + lacking,
        "columns": item.columns,
        "diagnostics": {
            **diagnostics_of(item, settings),
            "sha256": digest,
            "landmarks": corrections.stamp(item.path, digest) if corrections else "",
            "score": round(face.score, 4),
            "second_try": face.second_try,
        },
    }


def _texture(item: Item, photo: Photo, face: Face) -> tuple[dict[str, float | None], list[str]]:
    """Local binary patterns, and where there are none."""
    patterns = {name: _json_number(value) for name, value in lbp(photo, face.landmarks).items()}
    sites = dict.fromkeys(
        name.removeprefix("lbp_").rsplit("_r", 1)[0] for name, v in patterns.items() if v is None
    )
    if not sites:
        return patterns, []
    where = ", ".join(sites)
    return patterns, [
        f"{item.path}: no texture patterns at {where}: the face is too small or cut by the photo's border."
    ]


def values_of(record: Record) -> list[Measurement]:
    """The measurements of a record as they were before `measurement_records` wrote them down."""
    found = []
    for name, m in record["measurements"].items():
        for own in (m, *([m["mm"]] if "mm" in m else [])):
            value, lo, hi = (math.nan if own[k] is None else float(own[k]) for k in ("value", "lo", "hi"))
            side = registry()[name].side
            found.append(Measurement(name, value, lo, hi, own["unit"], side, m["reason"], m["corrected"]))
    return found


def measurement_records(
    values: Sequence[Measurement | Pooled], scores: list[ZScore], mm: bool, notes: list[str]
) -> dict[str, Record]:
    """By id; what is also given in millimetres has that under `mm`."""
    found: dict[str, Record] = {}
    for m in values:
        numbers = {"value": _json_number(m.value), "lo": _json_number(m.lo), "hi": _json_number(m.hi)}
        if isinstance(m, Pooled):
            numbers |= {
                "photos": m.photos,
                "sd": _json_number(m.sd),
                "repeatability": _json_number(m.repeatability),
            }
        if m.id not in found:
            found[m.id] = {**numbers, "unit": m.unit, "reason": m.reason, "corrected": m.corrected, "z": []}
        else:
            found[m.id]["mm"] = {**numbers, "unit": m.unit}
    if mm and notes:  # a scale was asked for and not found
        for name, record in found.items():
            if registry()[name].needs_mm:
                record["reason"] = notes[0]
    for z in scores:
        found[z.id]["z"].append(
            {
                "reference": z.reference,
                "grade": z.grade,
                "z": _json_number(z.z),
                "lo": _json_number(z.z_lo),
                "hi": _json_number(z.z_hi),
                "n": z.n,
                "reason": z.reason,
            }
        )
    return found


def flatten(record: Record) -> Row:
    """A record as one row: no landmarks, one column per number."""
    row: Row = {k: record[k] for k in ("photo", "face", "status", "reason")}
    row.update(passed_through(record["columns"]))
    row["width"], row["height"] = record["width"], record["height"]
    for key, value in zip(("left", "top", "right", "bottom"), record["box"] or [None] * 4, strict=True):
        row[f"box_{key}"] = value
    for key in ("yaw", "pitch", "roll"):
        row[key] = (record["pose"] or {}).get(key)
    gate = record["gate"] or {}
    for name in CHECKS:
        row[f"gate_{name}"] = gate[name]["value"] if gate else None
    row["gate_failed"] = " ".join(name for name in gate if not gate[name]["ok"]) if gate else None
    row["moved_landmarks"] = "; ".join(f"{name} {px:g} px" for name, px in (record["moved"] or {}).items())
    scale = record["scale"] or {}
    row["mm_per_px"], row["mm_per_px_rel_sd"] = scale.get("mm_per_px"), scale.get("rel_sd")
    if record.get("video"):
        video = record["video"]
        row["video_seconds"], row["video_frames"] = video["seconds"], video["frames"]
        row["video_measured"], row["video_remarks"] = video["measured"], "; ".join(video["remarks"])
    row.update(flatten_measurements(record))
    for name, value in (record["texture"] or {}).items():
        row[name] = value
    for key in _DIAGNOSTICS:
        row[f"diagnostics_{key}"] = record["diagnostics"].get(key)
    return row


def flatten_measurements(record: Record) -> Row:
    """What a record measured, as columns; with how often and how steadily where several were pooled."""
    row: Row = {}
    measured = record["measurements"] or {}
    reasons, doubts = [], []
    for name in registry():
        m = measured.get(name, {})
        row[name], row[f"{name}_lo"], row[f"{name}_hi"] = m.get("value"), m.get("lo"), m.get("hi")
        for key in _POOLED:
            if key in m:
                row[f"{name}_{key}"] = m[key]
        if m.get("mm"):
            for suffix, key in (("", "value"), ("_lo", "lo"), ("_hi", "hi")):
                row[f"{name}_mm{suffix}"] = m["mm"][key]
        for z in m.get("z") or ():
            column = f"{name}_z_{z['reference']}"
            row[column], row[f"{column}_lo"], row[f"{column}_hi"] = z["z"], z["lo"], z["hi"]
            if z["reason"] and not m["reason"] and z["n"]:
                doubts.append(f"{name}, {z['reference']}: {z['reason']}")
        if m.get("reason"):
            reasons.append(f"{name}: {m['reason']}")
    row["measurement_reasons"] = "; ".join(reasons) if measured else None
    row["z_reasons"] = "; ".join(doubts) if measured else None
    graded: dict[str, set[str]] = {}
    for m in measured.values():
        for z in m["z"]:
            graded.setdefault(z["reference"], set()).update(z["grade"])
    row["references"] = "; ".join(f"{name} (grade {'/'.join(sorted(g))})" for name, g in graded.items())
    row["disagreements"] = " ".join(record["disagreements"] or ()) if measured else None
    row["notes"] = " ".join(record["notes"] or ())
    return row


_POOLED = ("photos", "sd", "repeatability")
_DIAGNOSTICS = (
    "anthropo", "settings", "dlib", "landmark_model", "fine_model", "jitter", "person", "sha256", "landmarks",
    "score", "second_try",
)  # fmt: skip


def passed_through(columns: dict[str, str]) -> Row:
    """The input table's own columns; one that has the name of a result becomes ``input_NAME``."""
    row: Row = {}
    for given, cell in columns.items():
        name = given
        while _ours(name) or name in row or (name != given and name in columns):
            name = f"input_{name}"
        row[name] = cell
    return row


def _ours(name: str) -> bool:
    """Whether a column of this name is one that `flatten` writes."""
    return name in _columns() or _variable().fullmatch(name) is not None


@lru_cache(maxsize=1)
def _variable() -> re.Pattern[str]:
    """Columns that are there with a scale, references (whatever their name), texture, several photos."""
    more = "|".join(("mm(?:_lo|_hi)?", "z_.+", *_POOLED))
    return re.compile(rf"(?:{'|'.join(registry())})_(?:{more})|lbp_\w+_\d+|video_\w+")


@lru_cache(maxsize=1)
def _columns() -> frozenset[str]:
    """Names of every column that `flatten` always writes."""
    return frozenset(flatten(defaultdict(dict)))


# -------------------------------------------------------------------------------------- output


_JOURNAL_START = b'[{"photo": '


class Output:
    """A results file that is never half-written and that a second run continues.

    Finished photos go to ``FILE.partial``, a JSON line each, as they come; `close` writes the
    whole table under a temporary name, renames it and removes the partial file.

    Raises
    ------
    InputError
        If the suffix is unknown, the place cannot be written, or a file that is there is not one
        of anthropo's.
    """

    def __init__(self, path: str, settings: Settings) -> None:
        self.path = Path(path)
        self.suffix = self.path.suffix.lower()
        self._settings = settings
        self._fingerprint = settings.fingerprint()
        self._earlier: dict[str, list[Record | Row]] = {}  # photo -> what the file has of it
        self._new: dict[str, list[Record]] = {}
        if os.path.isdir(path):
            raise InputError(f"{path}: a folder, not a file. Give the name of a file to write.")
        if self.suffix not in SUFFIX_OF_OUTPUT:
            raise InputError(
                f"{path}: unknown kind of output. Use a name that ends in .csv, .parquet, .json or .html."
            )
        self._partial = self.path.with_name(self.path.name + ".partial")
        if os.path.exists(path):
            self._read_finished()
        try:
            self._read_partial()
            self._journal = open(self._partial, "a", encoding="utf-8")  # noqa: SIM115 (open until close)
            if self.path.exists():
                os.chmod(self._partial, self.path.stat().st_mode & 0o777)
            _lock(self._journal)
        except BlockingIOError:
            raise InputError(
                f"{path}: another run is writing this table. Wait for it, or give this run another -o."
            ) from None
        except OSError as error:
            raise InputError(
                f"{path}: cannot be written ({error.strerror}). Choose a folder that exists and "
                "that you may write to."
            ) from None

    def finished(self, item: Item) -> bool:
        """Whether an earlier run has all of this photo, unchanged and with the same settings."""
        known = self._new.get(item.path) or self._earlier.get(item.path, [])
        if not known or any(
            row["status"] != "ok" or row.get("notes") or _cell(row, "settings") != self._fingerprint
            for row in known
        ):
            return False
        if (_cell(known[0], "person") or "") != _who(item, self._settings):
            return False
        try:
            digest = file_sha256(item.path)
            corrections = self._settings.corrections
            stamp = corrections.stamp(item.path, digest) if corrections else ""
        except (OSError, InputError):
            return False
        return digest == _cell(known[0], "sha256") and stamp == (_cell(known[0], "landmarks") or "")

    def add(self, records: list[Record]) -> None:
        """Keep one photo's records.

        Raises
        ------
        InputError
            If they cannot be written.
        """
        # first, so that an interruption while the journal is written loses nothing
        self._new[records[0]["photo"]] = records
        try:
            self._journal.write(json.dumps(records, ensure_ascii=False) + "\n")
            self._journal.flush()
        except OSError as error:
            raise self._full(error) from None

    def close(self, items: Sequence[Item]) -> None:
        """Write the table: `items` in their order, then what the file had of other photos.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        rows: list[Any] = []
        for item in items:
            if item.path in self._new:
                records: list[Any] = [{**r, "columns": item.columns} for r in self._new[item.path]]
                rows += records if self.suffix == ".json" else [flatten(r) for r in records]
                continue
            # a photo that was listed with different columns has several rows of each face
            for row in {str(row["face"]): row for row in self._earlier.get(item.path, [])}.values():
                if self.suffix == ".json":
                    rows.append({**row, "columns": item.columns})
                else:
                    ours = {k: v for k, v in row.items() if _ours(k)}
                    first = {k: row[k] for k in ("photo", "face", "status", "reason")}
                    rows.append({**first, **passed_through(item.columns), **ours})
        current = {item.path for item in items}
        for photo in dict.fromkeys([*self._earlier, *self._new]):  # what a killed run finished, too
            if photo in self._new and photo not in current:
                rows += self._new[photo] if self.suffix == ".json" else map(flatten, self._new[photo])
            elif photo not in current:
                rows += self._earlier[photo]
        try:
            self._journal.close()
            write_atomically(self.path, encode(rows, self.suffix))
        except OSError as error:
            raise self._full(error) from None
        with contextlib.suppress(OSError):
            self._partial.unlink()

    def _full(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: cannot be written ({error.strerror}). Finished photos are kept in "
            f"{self._partial}; make room and run the same command to continue."
        )

    def _read_finished(self) -> None:
        try:
            for row in decode(self.path, self.suffix):
                _ = row["status"], row["face"]
                self._earlier.setdefault(row["photo"], []).append(row)
        except (KeyError, TypeError, ValueError, OSError, csv.Error) as error:
            raise InputError(
                f"{self.path}: exists and is not a table that anthropo wrote ({type(error).__name__}). "
                "Choose another name, or delete it."
            ) from None

    def _read_partial(self) -> None:
        """Take over what a killed run has finished."""
        if not os.path.exists(self._partial):
            return
        data = self._partial.read_bytes()
        if data[: len(_JOURNAL_START)] != _JOURNAL_START[: len(data)]:
            raise InputError(
                f"{self._partial}: not written by anthropo, which keeps an unfinished run under this name. "
                f"Move it, or write to another file than {self.path}."
            )
        for line in data.split(b"\n"):
            with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):  # a line cut by a crash
                records = json.loads(line)
                for record in records:
                    flatten(record)  # whole, and of this version
                self._new[records[0]["photo"]] = records
        os.truncate(self._partial, data.rfind(b"\n") + 1)


def _cell(row: Record | Row, key: str) -> Any:
    """A diagnostics entry of a record or of a row."""
    diagnostics = row.get("diagnostics")
    return diagnostics.get(key) if isinstance(diagnostics, dict) else row.get(f"diagnostics_{key}")


def decode(path: Path, suffix: str, what: str = "photos") -> list[Row]:
    """The rows of a table that anthropo wrote; `what` they are stands in JSON."""
    if suffix == ".json":
        rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))[what]
        return rows
    if suffix == ".csv":
        with open(path, encoding="utf-8-sig", newline="") as file:
            return [dict(row) for row in csv.DictReader(file)]
    import pyarrow.parquet

    table: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
    return table


def encode(rows: list[Any], suffix: str, what: str = "photos") -> bytes:
    """The content of a table; `what` its rows are stands in JSON."""
    if suffix == ".json":
        document = {"anthropo": __version__, what: rows}
        return (json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
    names = list(dict.fromkeys(name for row in rows for name in row))
    if suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
        return text.getvalue().encode()
    buffer = io.BytesIO()
    data_frame(rows).to_parquet(buffer, index=False)
    return buffer.getvalue()


def as_csv(records: list[Record]) -> str:
    """The CSV output as text."""
    return encode([flatten(r) for r in records], ".csv").decode()


def _lock(file: IO[str]) -> None:
    """Raise BlockingIOError when another process has this file locked; no-op where locks are unknown."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ----------------------------------------------------------------------------------------- run


def run(
    items: Sequence[Item],
    settings: Settings,
    jobs: int = 1,
    on_face: OnFace | None = None,
) -> Iterator[list[Record]]:
    """Measure photographs on `jobs` threads; records come as photos finish.

    The heavy work runs outside Python's global lock. Closing the iterator (also by Ctrl-C) lets the
    photos that are under way finish and starts no other.
    """
    once = list({item.path: item for item in items}.values())
    if jobs <= 1:
        for item in once:
            yield measure_item(item, settings, on_face)
        return
    # plain threads and a queue: lighter than futures, which matters when a photo takes ten milliseconds
    todo = iter(once)
    taking = threading.Lock()
    stop = threading.Event()
    ahead = threading.Semaphore(2 * jobs)  # photos begun but not yet taken over by the caller
    results: SimpleQueue[list[Record] | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            while True:
                ahead.acquire()
                with taking:
                    item = next(todo, None)
                if item is None or stop.is_set():
                    break
                results.put(measure_item(item, settings, on_face))
        except BaseException as error:
            results.put(error)
        results.put(None)

    threads = [threading.Thread(target=work) for _ in range(min(jobs, len(once)))]
    try:
        for thread in threads:
            thread.start()
        working = len(threads)
        while working:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                working -= 1
            else:
                yield result
            ahead.release()
    finally:
        stop.set()
        ahead.release(jobs)
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def data_frame(rows: list[Row]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


def measure_table(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    jobs: int = 1,
    face: Which = "one",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    fine: bool = True,
    force: bool = False,
    texture: bool = False,
    scale: str | None = None,
    references: Sequence[str] = (),
    sex: str | None = None,
    age: float | None = None,
    landmarks: str | os.PathLike[str] | None = None,
    frames: int = FRAMES,
) -> pd.DataFrame:
    """Measure many photographs and videos.

    Parameters
    ----------
    photos : path or sequence of paths
        Files, folders, patterns, or CSV files with a `photo` column. Videos are measured where they are
        named, a row each; in folders they are passed over.
    jobs : int
        Threads.
    face, jitter, landmark_model, max_megapixels
        As for `anthropo.read_faces`.
    fine : bool
        Look at landmarks a second time in high-resolution patches.
    force : bool
        Keep values that the photo gate voids, with the reason.
    texture : bool
        Local binary patterns as well (columns ``lbp_*``).
    scale : str, optional
        ``"sticker=20"``, ``"ipd=62"``, ``"iris"`` or ``"mm-per-px=0.21"``: millimetres as well.
    references : sequence of str
        Reference tables, by name or file. When left out the shipped one, if sex and age are known.
    sex : {"female", "male"}, optional
    age : float, optional
        Years; both of whoever has no column `sex` or `age`.
    landmarks : path, optional
        Landmark file of the photo, or a folder of such files: measure from these, corrected by hand.
    frames : int
        Frames of a video that are measured.

    Returns
    -------
    pandas.DataFrame
        One row per photograph (per face with ``face="all"``), in the order given, with the columns
        of the CSV output: ``photo``, ``status``, ``reason``, then numbers; failed photographs have
        a reason and no numbers.

    Raises
    ------
    InputError
        If there is nothing to measure, or the scale, a reference, sex, age or landmarks cannot be used.
    """
    settings = Settings(
        face, jitter, landmark_model, max_megapixels, fine, force, texture, scale,
        (references,) if isinstance(references, str) else tuple(references), sex,
        None if age is None else str(age), None if landmarks is None else Corrections(os.fspath(landmarks)),
        frames,
    )  # fmt: skip
    settings.fingerprint()  # a missing model is one error, not one per photo
    given = [photos] if isinstance(photos, (str, os.PathLike)) else photos
    items = collect([os.fspath(p) for p in given])
    if not items:
        raise InputError("No photograph was named.")
    results = {records[0]["photo"]: records for records in run(items, settings, jobs)}
    return data_frame(
        [flatten({**record, "columns": item.columns}) for item in items for record in results[item.path]]
    )
