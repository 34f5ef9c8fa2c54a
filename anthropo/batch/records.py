"""Measured faces as records for JSON and as rows for tables."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from anthropo._version import __version__
from anthropo.batch.inputs import PERSON, Item
from anthropo.errors import InputError, parameter
from anthropo.face import _engine
from anthropo.face.fine import fine_sha256
from anthropo.face.gate import CHECKS
from anthropo.face.landmarker import Face
from anthropo.face.weights import landmark_model
from anthropo.measurement.compute import Measurement
from anthropo.measurement.pooling import Pooled
from anthropo.measurement.registry import registry
from anthropo.measurement.scale import Scale
from anthropo.measurement.texture import lbp
from anthropo.observation import Observation
from anthropo.photo import Photo
from anthropo.reference.build import instrument_name
from anthropo.reference.zscore import ZScore, disagreement, score
from anthropo.settings import Settings

Record = dict[str, Any]  # one face of one photo, as in the JSON output
Row = dict[str, Any]  # one line of a table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredFace:
    """One face of one photo, or of a video's best frame, measured."""

    item: Item
    observation: Observation
    digest: str  # SHA-256 of the photo's or video's file
    scale: Scale | None
    values: Sequence[Measurement | Pooled]
    notes: list[str]  # why there is no scale

    @property
    def face(self) -> Face:
        return self.observation.face


OnFace = Callable[[MeasuredFace], None]


def person_of(item: Item, settings: Settings) -> dict[str, str]:
    """What is said of the person's sex and age, by a column or for all photos."""
    if item.disputed:
        return {"sex": "", "age": ""}
    said = {"sex": settings.sex, "age": settings.age}
    return {key: item.columns.get(key, value) or "" for key, value in said.items()}


def stated(item: Item, settings: Settings) -> str:
    """The same as one string, by which a second run sees that it has changed."""
    return item.disputed or " ".join(person_of(item, settings).values()).strip()


def scores_of(
    item: Item, values: Sequence[Measurement | Pooled], settings: Settings
) -> tuple[list[ZScore], list[str]]:
    """z-scores of one face, and what stood in their way."""
    said = person_of(item, settings)
    known: dict[str, Any] = {"sex": None, "age": None}
    if item.disputed:
        note = (
            f"{item.path}: listed with different sex or age ({item.disputed}), no z-scores that depend on it."
        )
        return score(values, settings.tables(), **known), [note]
    if not settings.references and not any(said.values()):
        return [], []
    notes: list[str] = []
    for key, parse in PERSON:
        try:
            if said[key]:
                known[key] = parse(said[key])
            else:
                notes.append(f"{item.path}: {key} is missing, no z-scores that depend on it.")
        except InputError as error:
            notes.append(f"{item.path}: {error}")
    scores = score(values, settings.tables(), **known)
    if not notes:
        for reference in settings.tables():
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
    for reference in settings.tables():
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
        "person": stated(item, settings),
    }


def failed_record(item: Item, reason: str, settings: Settings) -> Record:
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


def record_of(seen: MeasuredFace, settings: Settings) -> Record:
    """What is written of a measured face."""
    item, face, scale, notes = seen.item, seen.face, seen.scale, seen.notes
    photo, landmarks = seen.observation.photo, seen.observation.landmarks
    scores, doubts = scores_of(item, seen.values, settings)
    patterns, lacking = _texture(item, photo, face) if settings.texture else (None, [])
    corrections = settings.corrections if landmarks else None
    return {
        "photo": item.path,
        "face": seen.observation.index,
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
        "moved": {name: round(px, 3) for name, px in landmarks.moved.items()} if landmarks else {},
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
            "sha256": seen.digest,
            "landmarks": corrections.stamp(item.path, seen.digest) if corrections else "",
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
        while is_result_column(name) or name in row or (name != given and name in columns):
            name = f"input_{name}"
        row[name] = cell
    return row


def is_result_column(name: str) -> bool:
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
