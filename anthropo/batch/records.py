"""Measured faces and people as records for JSON and as rows for tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.definitions import state
from anthropo.errors import InputError, parameter
from anthropo.face.gate import CHECKS, Check
from anthropo.face.landmarker import Face
from anthropo.measurement.compute import Measurement, by_id
from anthropo.measurement.registry import registry
from anthropo.plain import column_name
from anthropo.showing import brief, count, listed

# What scales, scores and several photos of a person need is imported where a record has them.
if TYPE_CHECKING:
    from anthropo.measurement.landmark_file import Landmarks
    from anthropo.measurement.scale import Scale
    from anthropo.reference.zscore import Chance, ZScore

Json = dict[str, Any]  # an object as JSON has it
Row = dict[str, Any]  # one line of a table

_BOUNDS = ("value", "lo", "hi", "repeat_sd")
_POOLED = ("photos", "sd", "repeatability")
#: Ends of columns of a measurement that are not always there.
_MORE = "|".join(("mm(?:_lo|_hi)?", "z_.+", *_POOLED))
_SCALE = ("mm_per_px", "rel_sd", "method")
#: Keys of a z-score in JSON, and its fields.
_SCORE = {
    "reference": "reference", "grade": "grade", "z": "z", "lo": "z_lo", "hi": "z_hi", "n": "n",
    "reason": "reason", "interval": "interval", "reference_sd": "reference_sd", "ancestry": "ancestry",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measurement: in its own unit, in millimetres where there is a scale, and scored."""

    measured: Measurement
    in_mm: Measurement | None
    scores: tuple[ZScore, ...]  # one for each reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What a record was made with and from; a person's record has the first eight fields only."""

    anthropo: str
    settings: str  # `Settings.fingerprint`
    dlib: str
    landmark_model: str
    fine_model: str
    jitter: int
    person: str  # sex, age, gestation and ancestry as they were given
    declared: str = ""  # distance of the camera, and scale and face of this photo, as they were given
    sha256: str | None = None  # of the photo or video
    landmarks: str | None = None  # changes with the landmark files that were measured from
    score: float | None = None  # of the face detector
    second_try: bool | None = None
    detector: str | None = None  # that found the face
    turned: float | None = None  # deg counter-clockwise, by which the photo was turned to find landmarks
    distance: float | None = None  # of the camera, cm; None: not known
    distance_lo: float | None = None  # 95 % interval, of what is assumed where it is not known
    distance_hi: float | None = None
    distance_source: str | None = None  # declared, lens, exif or unknown
    synthetic: str | None = None  # what kind of synthetic picture the photo's metadata say that it is

    def to_json(self) -> Json:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class FacePlace:
    """Where a face lies in its photo, and how the photo suits measuring; rounded photo pixels and degrees."""

    width: int  # of the photo
    height: int
    box: list[float]
    landmarks: list[list[float]]
    landmark_sd: list[list[float | None]]  # None: a single evaluation has no spread
    anatomy: dict[str, list[float]]  # landmarks beyond the 68, by code
    pose: dict[str, float]  # yaw, pitch, roll
    gate: tuple[Check, ...]
    moved: dict[str, float]  # landmarks that were placed by hand, and how far
    seen: list[float]  # how probably each of the 68 landmarks is seen, 0 to 1
    hidden: list[str]  # those that something hides, p0 to p67

    @classmethod
    def of(cls, face: Face, landmarks: Landmarks | None) -> FacePlace:
        """The place of a face that was corrected from a landmark file, or from none."""
        return cls(
            width=face.size[0],
            height=face.size[1],
            box=[round(v, 2) for v in face.box],
            landmarks=[[round(x, 3), round(y, 3)] for x, y in face.landmarks.tolist()],
            landmark_sd=[[number(round(v, 4)) for v in point] for point in face.landmark_sd.tolist()],
            anatomy={code: [round(v, 3) for v in at.tolist()] for code, at in face.anatomy.items()},
            pose={axis: round(getattr(face, axis), 4) for axis in ("yaw", "pitch", "roll")},
            gate=tuple(
                Check(c.name, round(c.value, 4), c.limit, c.bound, c.unit, c.ok, c.advice) for c in face.gate
            ),
            moved={name: round(px, 3) for name, px in landmarks.moved.items()} if landmarks else {},
            seen=[round(v, 3) for v in face.seen.tolist()],
            hidden=[f"p{i}" for i in face.hidden.nonzero()[0].tolist()],
        )

    def to_json(self) -> Json:
        gate = {c.name: {k: number(v) for k, v in asdict(c).items() if k != "name"} for c in self.gate}
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "gate": gate}

    @classmethod
    def from_json(cls, record: Json) -> FacePlace:
        gate = tuple(
            Check(name, **{**check, "value": _nan(check["value"])}) for name, check in record["gate"].items()
        )
        return cls(**{**{f.name: record[f.name] for f in fields(cls)}, "gate": gate})


_FACE = tuple(f.name for f in fields(FacePlace))


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSummary:
    """What of a video was measured."""

    seconds: float
    frames: int
    measured: int  # frames with a face that was measured
    remarks: list[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredRecord:
    """What records of photos and of people have in common.

    Attributes
    ----------
    reason : str
        Why nothing was measured; empty when something was.
    measurements : tuple of Measurement
        One for each entry of the registry; none where nothing was measured.
    scores : tuple of ZScore
        One for each measurement and reference.
    disagreements : tuple of str
        A sentence for each measurement on which references disagree.
    notes : tuple of str
        What was asked for and could not be provided.
    age_basis : str
        From which birth an age below two years was counted for the scores; empty otherwise.
    columns : dict of str to str
        The columns of the input table.
    diagnostics : Diagnostics
        Versions, settings and hashes that the values depend on.
    """

    reason: str = ""
    measurements: tuple[Measurement, ...] = ()
    scores: tuple[ZScore, ...] = ()
    disagreements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    age_basis: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    diagnostics: Diagnostics
    _results: dict[str, Result] = field(default_factory=dict, init=False, repr=False)  # see `results`

    def __repr__(self) -> str:
        if not self.ok:
            return brief(self, "nothing measured")  # the reason names the photo
        values = sum(not math.isnan(result.measured.value) for result in self.results.values())
        scores = sum(not math.isnan(score.z) for score in self.scores)
        compared = f"{count(scores, 'z-score')} under {listed(self.grades)}" if scores else "no z-scores"
        return brief(self, f"{values} of {count(len(self.results), 'measurement')}", compared)

    @property
    def ok(self) -> bool:
        """Whether something was measured."""
        return not self.reason

    @property
    def status(self) -> str:
        """``"ok"`` or ``"failed"``."""
        return "ok" if self.ok else "failed"

    @property
    def results(self) -> dict[str, Result]:
        """The measurements by id, with what belongs to each."""
        if not self._results:  # rows, JSON and pages ask again and again
            scores = by_id(self.scores)
            for name, (first, *more) in by_id(self.measurements).items():
                self._results[name] = Result(
                    measured=first, in_mm=more[0] if more else None, scores=tuple(scores.get(name, ()))
                )
        return self._results

    @property
    def grades(self) -> dict[str, str]:
        """The references of the scores, each with the grades of its rows: ``"A"``, ``"A/B"``."""
        grades: dict[str, set[str]] = {}
        for score in self.scores:
            grades.setdefault(score.reference, set()).update(score.grade)
        return {name: "/".join(sorted(of_rows)) for name, of_rows in grades.items()}

    @property
    def groups(self) -> dict[str, str]:
        """The group of ancestry that each reference of the scores was asked for; without those of none."""
        return {score.reference: score.ancestry for score in self.scores if score.ancestry}

    @property
    def compared_with(self) -> dict[str, str]:
        """Each reference of the scores with grades and ancestry: ``"grade B, ancestry unknown"``."""
        words = {}
        for name, grades in self.grades.items():
            group = self.groups.get(name)
            parts = (f"grade {grades}" if grades else "", f"ancestry {group}" if group else "")
            words[name] = ", ".join(filter(None, parts))
        return words

    def to_row(self) -> Row:
        """The record as one row of a table."""
        raise NotImplementedError

    def measurements_json(self) -> Json | None:
        """The results as JSON has them, without NaN; None when nothing was measured."""
        if not self.ok:
            return None
        return {name: _result_json(result) for name, result in self.results.items()}

    def chance_json(self) -> list[Json]:
        """How many z-scores lie beyond ±2 under each reference, and how many would by chance."""
        return [{**asdict(chance), "expected": round(chance.expected, 2)} for chance in self.by_chance]

    @property
    def by_chance(self) -> list[Chance]:
        """How many z-scores lie beyond ±2 under each reference, and how many would by chance."""
        if not self.scores:
            return []
        from anthropo.reference.zscore import by_chance

        return by_chance(self.scores)

    def measurement_columns(self) -> Row:
        """The results as columns; where several photos were pooled, with how often and how steadily."""
        from anthropo.measurement.pooling import Pooled

        row: Row = {}
        results, reasons, doubts = self.results, [], []
        for name in registry():
            result = results.get(name)
            row.update(dict.fromkeys((name, f"{name}_lo", f"{name}_hi", f"{name}_repeat_sd")))
            if result is None:
                continue
            value = result.measured
            row |= _bounds(name, value.value, value.lo, value.hi)
            row[f"{name}_repeat_sd"] = number(value.repeat_sd)
            if isinstance(value, Pooled):
                row.update({f"{name}_{key}": number(getattr(value, key)) for key in _POOLED})
            if result.in_mm:
                row |= _bounds(f"{name}_mm", result.in_mm.value, result.in_mm.lo, result.in_mm.hi)
            for z in result.scores:
                row |= _bounds(column_name(f"{name}_z_{z.reference}"), z.z, z.z_lo, z.z_hi)
                if z.reason and not value.reason and z.n:
                    doubts.append(f"{name}, {z.reference}: {z.reason}")
            if value.reason:
                reasons.append(f"{name}: {value.reason}")
        row["measurement_reasons"] = "; ".join(reasons) if self.ok else None
        row["z_reasons"] = "; ".join(doubts) if self.ok else None
        row["references"] = "; ".join(f"{name} ({how})" for name, how in self.compared_with.items())
        row["z_by_chance"] = " ".join(chance.sentence() for chance in self.by_chance) or None
        row["disagreements"] = " ".join(self.disagreements) if self.ok else None
        row["notes"] = " ".join(self.notes)
        row["age_basis"] = self.age_basis
        return row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record(MeasuredRecord):
    """One face of one photo, or a photo that could not be measured.

    Attributes
    ----------
    photo : str
        Name of the file.
    index : int
        Number of the face in the photo, the largest first, from 0.
    face : FacePlace or None
        The face's place, pose and landmarks; None where none was measured.
    scale : Scale or None
        Millimetres per pixel; None without a scale.
    texture : dict of str to float or None
        Local binary patterns; NaN where there are none.
    video : VideoSummary or None
        How much of a video was measured; None of a photo.
    remark : str
        A sentence, where the photo's colours are not quite what the file means; else empty.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.batch import Item, measure_item
    >>> (record,) = measure_item(Item(anthropo.example_photo()), anthropo.Settings())
    >>> record.status, record.gate_failed, record.results["mouth_width"].measured.reason[:6]
    ('ok', ['mouth_open', 'smile'], 'voided')
    """

    photo: str
    index: int = 0
    face: FacePlace | None = None
    scale: Scale | None = None
    texture: Mapping[str, float] | None = None
    video: VideoSummary | None = None
    remark: str = ""

    __repr__ = MeasuredRecord.__repr__

    @property
    def moved(self) -> Mapping[str, float]:
        """Landmarks that were placed by hand, and how far, pixels."""
        return self.face.moved if self.face else {}

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Which of the 68 landmarks something hides."""
        hidden = np.zeros(68, dtype=np.bool_)
        hidden[[int(name[1:]) for name in (self.face.hidden if self.face else ())]] = True
        return hidden

    @property
    def gate(self) -> tuple[Check, ...]:
        """The checks of the photo gate."""
        return self.face.gate if self.face else ()

    @property
    def gate_failed(self) -> list[str]:
        """The checks that the photo fails."""
        return [check.name for check in self.gate if not check.ok]

    def to_json(self) -> Json:
        """The record as the JSON output has it."""
        scale, texture = self.scale, self.texture
        return {
            "photo": self.photo,
            "face": self.index,
            "status": self.status,
            "reason": self.reason,
            **(self.face.to_json() if self.face else dict.fromkeys(_FACE)),
            "scale": scale and {key: getattr(scale, key) for key in _SCALE},
            "measurements": self.measurements_json(),
            "by_chance": self.chance_json(),
            "texture": None if texture is None else {name: number(v) for name, v in texture.items()},
            "disagreements": list(self.disagreements),
            "notes": list(self.notes),
            "age_basis": self.age_basis,
            "remark": self.remark,
            "columns": dict(self.columns),
            "diagnostics": self.diagnostics.to_json(),
            **({"video": asdict(self.video)} if self.video else {}),
        }

    @classmethod
    def from_json(cls, record: Json) -> Record:
        """The record that an interrupted run has written, as `to_json` of the same version."""
        results = record["measurements"] or {}
        texture = record["texture"]
        return cls(
            photo=record["photo"],
            index=record["face"],
            reason=record["reason"],
            face=FacePlace.from_json(record) if record["status"] == "ok" else None,
            scale=_scale(record["scale"]) if record["scale"] else None,
            measurements=tuple(value for name, m in results.items() for value in _values(name, m)),
            scores=tuple(_score(name, z) for name, m in results.items() for z in m["z"]),
            texture=None if texture is None else {name: _nan(v) for name, v in texture.items()},
            disagreements=tuple(record["disagreements"]),
            notes=tuple(record["notes"]),
            age_basis=record["age_basis"],
            remark=record.get("remark", ""),
            columns=record["columns"],
            diagnostics=Diagnostics(**record["diagnostics"]),
            video=VideoSummary(**record["video"]) if "video" in record else None,
        )

    def to_row(self) -> Row:
        """The record as one row: no landmarks, one column per number."""
        face, scale, video = self.face, self.scale, self.video
        row: Row = {"photo": self.photo, "face": self.index, "status": self.status, "reason": self.reason}
        row.update(passed_through(self.columns))
        row["width"], row["height"] = (face.width, face.height) if face else (None, None)
        sides = ("left", "top", "right", "bottom")
        row.update(zip((f"box_{side}" for side in sides), face.box if face else [None] * 4, strict=True))
        row.update(face.pose if face else dict.fromkeys(("yaw", "pitch", "roll")))
        row.update(dict.fromkeys(f"gate_{name}" for name in CHECKS))
        row.update({f"gate_{check.name}": number(check.value) for check in self.gate})
        row["gate_failed"] = " ".join(self.gate_failed) if face else None
        row["hidden_landmarks"] = " ".join(face.hidden) if face else None
        row["moved_landmarks"] = "; ".join(f"{name} {px:g} px" for name, px in self.moved.items())
        row["mm_per_px"], row["mm_per_px_rel_sd"] = (scale.mm_per_px, scale.rel_sd) if scale else (None, None)
        if video:
            row["video_seconds"], row["video_frames"] = video.seconds, video.frames
            row["video_measured"], row["video_remarks"] = video.measured, "; ".join(video.remarks)
        row.update(self.measurement_columns())
        row["remark"] = self.remark
        row.update({name: number(value) for name, value in (self.texture or {}).items()})
        row.update({f"diagnostics_{f.name}": getattr(self.diagnostics, f.name) for f in fields(Diagnostics)})
        return row


def number(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _scale(given: Json) -> Scale:
    from anthropo.measurement.scale import Scale

    return Scale(**given)


def _nan(value: Any) -> Any:
    return math.nan if value is None else value


def _bounds(column: str, value: float, lo: float, hi: float) -> Row:
    return {column: number(value), f"{column}_lo": number(lo), f"{column}_hi": number(hi)}


def _value_json(value: Measurement) -> Json:
    from anthropo.measurement.pooling import Pooled

    keys = (*_BOUNDS, *_POOLED) if isinstance(value, Pooled) else _BOUNDS
    return {**{key: number(getattr(value, key)) for key in keys}, "unit": value.unit}


def _result_json(result: Result) -> Json:
    value = result.measured
    scores = [
        {**{key: number(getattr(z, name)) for key, name in _SCORE.items()}, "unit": z.unit}
        for z in result.scores
    ]
    json = {
        **_value_json(value), "reason": value.reason, "corrected": value.corrected,
        "reliability": number(registry()[value.id].reliability), "z": scores,
    }  # fmt: skip
    return json | ({"mm": _value_json(result.in_mm)} if result.in_mm else {})


def _values(name: str, result: Json) -> Iterable[Measurement]:
    """A measurement in its own unit, and in millimetres if the JSON has that."""
    from anthropo.measurement.pooling import Pooled

    if (entry := registry().get(name)) is None:
        raise InputError(
            f"The table has the measurement {name!r}, which is none of anthropo's. If it is your own, add "
            f"its definition: {parameter('registry', 'mine.csv')}."
        )
    about = {"id": name, "side": entry.side, "reason": result["reason"]}
    for value in (result, *([result["mm"]] if "mm" in result else [])):
        kind, keys = (Pooled, (*_BOUNDS, *_POOLED)) if "photos" in value else (Measurement, _BOUNDS)
        numbers = {key: _nan(value[key]) for key in keys}
        yield kind(**about, **numbers, unit=value["unit"], corrected=result["corrected"])


def _score(name: str, z: Json) -> ZScore:
    from anthropo.reference.zscore import ZScore

    return ZScore(
        id=name,
        mean=math.nan,
        sd=math.nan,
        unit=z.get("unit", ""),
        **{to: _nan(z[key]) for key, to in _SCORE.items()},
    )


def passed_through(columns: Mapping[str, str]) -> Row:
    """The input table's own columns; one that has the name of a result becomes ``input_NAME``."""
    row: Row = {}
    for given, cell in columns.items():
        name = given
        while is_result_column(name) or name in row or (name != given and name in columns):
            name = f"input_{name}"
        row[name] = cell
    return row


def is_result_column(name: str) -> bool:
    """Whether a column of this name is one that `Record.to_row` writes."""
    return _is_result_column(name, state())


@lru_cache(maxsize=64)
def columns_of_measurements(names: tuple[str, ...]) -> frozenset[str]:
    """Those of a table's columns that hold a measurement, be it one's own that is not known in this run.

    They look like columns that a user has added, and what they hold was found by other settings.
    """
    there = frozenset(names)
    ids = [re.escape(one) for one in names if {f"{one}_{bound}" for bound in _BOUNDS[1:]} <= there]
    pattern = re.compile(rf"(?:{'|'.join(ids)})(?:_(?:{'|'.join(_BOUNDS[1:])}|{_MORE}))?")
    return frozenset(name for name in names if ids and pattern.fullmatch(name))


@lru_cache(maxsize=1 << 16)  # asked of every cell's column
def _is_result_column(name: str, registry_state: int) -> bool:
    return name in _columns(registry_state) or _variable(registry_state).fullmatch(name) is not None


@lru_cache(maxsize=4)
def _variable(registry_state: int) -> re.Pattern[str]:
    """Columns that are there with a scale, references (whatever their name), texture, several photos."""
    return re.compile(rf"(?:{'|'.join(registry())})_(?:{_MORE})|lbp_\w+_\d+|video_\w+")


@lru_cache(maxsize=4)
def _columns(registry_state: int) -> frozenset[str]:
    """Names of every column that `Record.to_row` always writes."""
    nothing = Diagnostics(
        anthropo="", settings="", dlib="", landmark_model="", fine_model="", jitter=0, person=""
    )
    return frozenset(Record(photo="", diagnostics=nothing).to_row())
