"""Face to measurements, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from anthropo.face.evaluations import beyond_border
from anthropo.face.frame import Floats, face_axes, outer_canthal_distance, outer_canthal_distances
from anthropo.face.gate import Check
from anthropo.face.landmarker import Face
from anthropo.face.lens import pose_change
from anthropo.face.pose import generic_face, rotation
from anthropo.measurement import anatomy
from anthropo.measurement.appearance import appearance
from anthropo.measurement.geometry import functions
from anthropo.measurement.hidden import hidden_reason
from anthropo.measurement.perspective import Brought, bring, head_spread, lens_variance
from anthropo.measurement.registry import (
    AREA_UNIT,
    LENGTH_UNIT,
    MM_UNIT,
    NEEDS_MM,
    PIXELS,
    Entry,
    landmark_names,
    registry,
)
from anthropo.photo import Photo
from anthropo.showing import brief, draw, html, with_interval

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.measurement.scale import Scale

#: Half-width of a 95 % interval in standard deviations.
Z95 = 1.959964
Bounds = tuple[float, float, float, float]  # a value, the interval of its accuracy, its repeatability's SD
Numbers = dict[str, Bounds]  # by id
_POSITIVE = ("distance", "area")  # kinds that are never below 0
_NONE: Bounds = (math.nan, math.nan, math.nan, math.nan)
_MM = {LENGTH_UNIT: "mm", AREA_UNIT: "mm²"}

# A photo's error grows with its own unsteadiness (spread over jittered boxes, Face.unsteadiness)
# relative to that of the studio faces whose residuals are kept. The exponent: slope of logarithms on
# annotated web portraits (0.41 on 80, r = 0.62; 0.44 on 781, r = 0.55).
_TYPICAL_UNSTEADINESS = 0.005
_GROWTH = 0.42

# Head pose, degrees. A photo taken as frontal is turned by a few degrees (prior, SD); how far, the 68
# points tell no better than noses and foreheads differ between people (SD on straight-on studio photos).
_PRIOR = 3.0
_YAW_ERROR, _PITCH_ERROR = 2.8, 5.2
# What a photo is turned further than this, as far as that is known, photos of a sitting do not differ.
_USUAL = 2.0

# SD between photos of a person over the SD of the landmarks' error against hands: the median of the
# measurements of which the former is known (development/repeatability.py), for those that need a scale.
_REPEATED = 0.35

# The same of one's own measurements, of which nothing is known but the landmarks: the median of the shipped
# ones, on the mean face; in photos that fail the photo gate in anything; and, as a share of the same SD, how
# differently heads change as the camera comes nearer.
_OWN, _OWN_SNAPSHOT, _OWN_HEADS = 0.46, 0.94, 0.6


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value, with two 95 % intervals. A value that cannot be computed is NaN, with the reason.

    `lo` and `hi` are its accuracy: where the value of a person who measures by hand may lie. `repeat_lo` and
    `repeat_hi` are its repeatability: where the mean of other photos of this person, measured by anthropo,
    may lie; the values of two photos differ by less than the root of the sum of both half-widths squared.

    Examples
    --------
    >>> import anthropo
    >>> m = anthropo.measure(anthropo.example_photo())[0]
    >>> m.id, m.unit, m.side, m.lo < m.value < m.hi
    ('intercanthal_width', 'ex-ex', 'mid', True)
    >>> m.lo < m.repeat_lo < m.value < m.repeat_hi < m.hi
    True
    """

    id: str
    value: float
    lo: float  # accuracy: 95 % interval, against measuring by hand
    hi: float
    unit: str  # ex-ex: fraction of the outer-canthal distance; mm only with a scale
    side: str  # R, L (the subject's own) or mid
    reason: str  # empty, or why there is no value or no interval, or what a forced value suffers from
    corrected: bool = False  # from landmarks moved to their anthropometric place
    repeat_sd: float = math.nan  # repeatability: SD between photos of the person, each measured like this one

    def __repr__(self) -> str:
        if not math.isnan(self.value):
            return brief(
                self,
                f"{self.id} {with_interval(self.value, self.lo, self.hi)} {self.unit}".removesuffix(" 1"),
            )
        return brief(self, f"{self.id}: no value", self.reason)

    @property
    def repeat_lo(self) -> float:
        """Lower end of the 95 % interval of repeatability."""
        low = self.value - Z95 * self.repeat_sd
        return 0.0 if low < 0 <= self.value and never_negative(self.id) else low

    @property
    def repeat_hi(self) -> float:
        """Upper end of the 95 % interval of repeatability."""
        return self.value + Z95 * self.repeat_sd


M = TypeVar("M", bound=Measurement)


class Measurements(list[M]):
    """The measurements of a face, in the registry's order: a list that also takes a measurement's id.

    Parameters
    ----------
    iterable : iterable of Measurement

    Examples
    --------
    >>> import anthropo
    >>> values = anthropo.measure(anthropo.example_photo())
    >>> values["intercanthal_width"].unit, values[0].id
    ('ex-ex', 'intercanthal_width')
    >>> values.to_frame().columns[:4].tolist()
    ['measurement', 'value', 'lo', 'hi']
    """

    @overload
    def __getitem__(self, which: SupportsIndex | str, /) -> M: ...
    @overload
    def __getitem__(self, which: slice, /) -> Measurements[M]: ...
    def __getitem__(self, which: SupportsIndex | slice | str, /) -> M | Measurements[M]:
        """By place, or by id; of one that is given in millimetres as well, the one that is not."""
        if isinstance(which, slice):
            return Measurements(super().__getitem__(which))
        if not isinstance(which, str):
            return super().__getitem__(which)
        measurement = next((one for one in self if one.id == which), None)
        if measurement is None:
            from difflib import get_close_matches

            near = get_close_matches(which, [one.id for one in self], 3) or [one.id for one in self[:3]]
            raise KeyError(f"{which}: no such measurement here; there is {', '.join(near)}.")
        return measurement

    def __repr__(self) -> str:
        there = sum(not math.isnan(one.value) for one in self)
        void = f"{len(self) - there} without a value" if there < len(self) else ""
        return brief(self, f"{there} with a value", void)

    def _repr_html_(self) -> str:
        return html(self, "measurements")

    def to_frame(self) -> pd.DataFrame:
        """A row for each: measurement, value, lo, hi, repeat_lo, repeat_hi, unit, side, reason.

        Of several photos also how many have a value, their SD, and the repeatability.
        """
        import pandas as pd

        names = ["value", "lo", "hi", "repeat_lo", "repeat_hi", "unit", "side", "reason"]
        names += [name for name in ("photos", "sd", "repeatability") if self and hasattr(self[0], name)]
        rows = [(one.id, *(getattr(one, name) for name in names)) for one in self]
        return pd.DataFrame(rows, columns=["measurement", *names])

    def plot(self, ax: Axes | None = None, *, unit: str | None = None) -> Axes:
        """Draw the values of one unit, each with its intervals: thin its accuracy, thick its repeatability.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.
        unit : str, optional
            Such as ``"ex-ex"``, ``"mm"`` or ``"deg"``; lengths when left out, in millimetres if there are.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If nothing is given in this unit.
        """
        return draw(self, "measurements", ax, unit=unit)


def never_negative(name: str) -> bool:
    """Whether a measurement is a length or an area."""
    return name in registry() and registry()[name].kind in _POSITIVE


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Named = TypeVar("Named", bound=_Named)


def by_id(things: Iterable[Named]) -> dict[str, list[Named]]:
    """Measurements or scores by their id, in the order in which the ids come."""
    groups: dict[str, list[Named]] = {}
    for thing in things:
        groups.setdefault(thing.id, []).append(thing)
    return groups


def doubted(reason: str) -> bool:
    """Whether a value's reason says what it suffers from, and not only that it has no interval."""
    return bool(reason) and not reason.startswith("no interval")


def evaluate(
    points: Floats, entries: Sequence[Entry] | None = None, between: Mapping[str, Floats] | None = None
) -> Floats:
    """Geometry of many faces (..., 68, 2) at once, free of scale: values (..., M) in the entries' units.

    Points are in any one unit of length, which entries that need millimetres take for millimetres; `between`
    holds landmarks (..., 2) that are no mean of the 68 points. NaN where a denominator is zero.
    """
    chosen = geometry() if entries is None else entries
    bare, unit = _bare(points, chosen, between)
    with np.errstate(divide="ignore", invalid="ignore"):
        bare /= unit[..., None] ** np.array([e.power for e in chosen])
    bare[~np.isfinite(bare)] = np.nan
    return bare


def geometry() -> list[Entry]:
    """The registry's entries that are geometry, not read from pixels."""
    return [e for e in registry().values() if e.kind not in PIXELS]


def _bare(
    points: Floats, entries: Sequence[Entry], between: Mapping[str, Floats] | None = None
) -> tuple[Floats, Floats]:
    """Values (..., M) with lengths in the points' unit, and the outer-canthal distances (...)."""
    points = np.asarray(points, dtype=np.float64)
    if points.shape[-2:] != (68, 2):
        raise ValueError(f"points have shape {points.shape}, (..., 68, 2) needed")
    out = np.empty((*points.shape[:-2], len(entries)))
    with np.errstate(divide="ignore", invalid="ignore"):
        # no builtins: expressions reach nothing but what is named here
        names: dict[str, Any] = {"__builtins__": {}, **functions(points), **landmark_names(points)}
        names.update(between or {})
        for i, entry in enumerate(entries):
            out[..., i] = entry.evaluate(names)
    return out, outer_canthal_distances(points)


def measure_face(
    face: Face,
    photo: Photo | None = None,
    *,
    scale: Scale | None = None,
    force: bool = False,
    instrument: anatomy.Instrument | None = None,
) -> Measurements[Measurement]:
    """Every measurement of a face.

    Parameters
    ----------
    face : Face
    photo : Photo, optional
        The photo that the face was found in, for colour, eye and texture; without it these are NaN.
    scale : Scale, optional
        Gives lengths in millimetres as well.
    force : bool
        Keep values that the photo gate voids or whose landmarks are hidden, with the reason, in place of
        NaN.
    instrument : Instrument, optional
        Correction and error of the landmarks; the packaged ones when left out.

    Returns
    -------
    Measurements
        A list of `Measurement` in the registry's order; with a scale, a length or area in ``ex-ex`` is
        followed by the same in millimetres. Landmarks are moved to their anthropometric place first
        (`anthropo.measurement.anatomy`).

    Notes
    -----
    The accuracy holds what is known of the error: of the landmarks (residuals of annotated
    faces, laid onto this one, larger on photos whose landmarks are unsteady; of points that were placed by
    hand, what two people differ by), of the head's pose
    (the generic 3D face, turned as far as the head may be turned), of the camera's distance
    (`Face.distance`, from which geometry is brought to 150 cm), and of the scale.

    The repeatability holds how far photos of one person differ (`anthropo.measurement.repeatability`, larger
    on photos whose landmarks are unsteady, which are turned further than is usual, or which fail the photo
    gate in anything), and again distance and
    scale. Values that are read from pixels have no truth by hand: both of their intervals are the
    repeatability, and the noise of the pixels. Calibration: docs/benchmarks.md.

    Examples
    --------
    >>> import anthropo
    >>> face = anthropo.read_face(anthropo.example_photo())
    >>> next(m.reason for m in anthropo.measure_face(face) if m.id == "lip_a")
    'needs the photo'
    """
    instrument = instrument or anatomy.instrument(anatomy.stage_of(face))
    numbers, in_mm = _geometry_values(face, instrument, scale)
    hidden = face.hidden
    pixels = {}
    if photo is not None:
        pixels = appearance(photo, face.landmarks, face.samples, face.cover, hidden=hidden)
    concealed = bool(hidden.any())
    outside = beyond_border(face.landmarks, face.size)
    failed = {c.name: c for c in face.gate if not c.ok}
    repeat = instrument.repeat
    result = []
    for entry in registry().values():
        voided = _voided(entry, failed)
        corrected = not instrument.correction.corrected.isdisjoint(entry.points)
        values = [(numbers.get(entry.id, _NONE), entry.unit)]
        reason = ""
        if entry.kind in PIXELS and pixels:
            seen = pixels[entry.id]
            light = repeat[entry.id].within("fine", posed=not failed) if entry.id in repeat else 0.0
            margin, reason = Z95 * math.hypot(seen.sd, light), seen.reason
            values = [((seen.value, seen.value - margin, seen.value + margin, margin / Z95), entry.unit)]
        elif missing := _missing(entry, face, outside, scale):
            values, voided = [(_NONE, entry.unit)], missing
        elif entry.id in in_mm and entry.power:
            values.append((in_mm[entry.id], _MM[entry.unit]))
        for bounds, unit in values:
            unseen = hidden_reason(entry, hidden, face.by_hand, in_mm=unit != entry.unit) if concealed else ""
            void = "; ".join(filter(None, (unseen, voided)))
            known = math.isfinite(bounds[0])
            if not known or (void and not force):
                why = (reason if force else "") or void or reason or "undefined: its denominator is zero"
                bounds = _NONE
            else:
                why = "; ".join(filter(None, (void, reason)))
            value, lo, hi, repeat_sd = bounds
            result.append(Measurement(entry.id, value, lo, hi, unit, entry.side, why, corrected, repeat_sd))
    return Measurements(result)


def measured_values(face: Face, photo: Photo, *, force: bool = False) -> dict[str, float]:
    """The values of `measure_face` by id, without intervals and reasons, in half of its time.

    Parameters
    ----------
    face, photo, force
        As for `measure_face`.

    Returns
    -------
    dict of str to float
        NaN where there is no value.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.measurement.compute import measured_values
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> round(measured_values(seen.face, seen.photo)["intercanthal_width"], 2)
    0.4
    """
    seen = _brought(face, anatomy.instrument(anatomy.stage_of(face)), *_pose(face))
    free = [e for e in geometry() if not e.needs_mm]
    shapes = evaluate(seen.points[:1], free, _between(seen.between[:1]))[0].tolist()
    known = {entry.id: value for entry, value in zip(free, shapes, strict=True)}
    hidden, outside = face.hidden, beyond_border(face.landmarks, face.size)
    pixels = appearance(photo, face.landmarks, face.samples, face.cover, hidden=hidden, errors=False)
    known |= {name: one.value for name, one in pixels.items()}
    failed = {check.name for check in face.gate if not check.ok}
    for entry in registry().values():
        missing = entry.kind not in PIXELS and bool(_missing(entry, face, outside, None))
        void = not (force or (failed.isdisjoint(entry.voids) and not failed >= set(_UNPLACED))) or (
            not force and bool(hidden_reason(entry, hidden, face.by_hand))
        )
        if missing or void:
            known[entry.id] = math.nan
    return known


def _missing(entry: Entry, face: Face, outside: NDArray[np.bool_], scale: Scale | None) -> str:
    """What an entry lacks, or an empty string."""
    if entry.kind in PIXELS:
        return "needs the photo"
    if outside[list(entry.points)].any():
        return "a landmark lies beyond the photo's border"
    if entry.needs_fine and not face.anatomy:
        return "needs the fine landmark stage, which was left out"
    if entry.needs_mm and scale is None:
        return NEEDS_MM
    return ""


def _geometry_values(
    face: Face, instrument: anatomy.Instrument, scale: Scale | None
) -> tuple[dict[str, Bounds], dict[str, Bounds]]:
    """Values and bounds of geometry by id, in the entries' units and, with a scale, in millimetres."""
    axes = face_axes(face.landmarks)
    off, off_between = anatomy.errors_of(face, instrument, error_growth(face))
    yaw, pitch = _pose(face)
    seen = _brought(face, instrument, yaw, pitch)
    points, middle = seen.points[0], seen.between[0]
    views = _views(points, yaw, pitch)
    many = np.concatenate([points[None], points + off @ axes, views, seen.points])
    between = np.concatenate(
        [middle[None], middle + off_between @ axes, anatomy.between(views), seen.between]
    )
    names = _between(between)
    free = [e for e in geometry() if not e.needs_mm]
    bare, unit = _bare(many, free, names)
    power = np.array([e.power for e in free])
    in_mm: dict[str, Bounds] = {}

    further = _further(yaw, pitch)
    growth = error_growth(face)
    stage, pixels = anatomy.stage_of(face), outer_canthal_distance(face.landmarks)
    posed = all(check.ok for check in face.gate)
    repeat = {
        name: growth * row.within(stage, pixels, posed=posed) for name, row in instrument.repeat.items()
    }

    def numbers_of(
        entries: Sequence[Entry], values: Floats, scale_error: Floats | float, by: Floats
    ) -> Numbers:
        """By id; `by` is what turns ex-ex into the values' unit."""
        within = values[: -len(seen.points)]
        value, landmark, pose = _within_photo(within)
        heads = head_spread(entries) * by
        heads = np.where(np.isnan(heads), _OWN_HEADS * np.sqrt(landmark), heads)
        shared = lens_variance(values[-len(seen.points) :], seen, heads)
        shared += (scale_error * value) ** 2
        known = np.array([repeat.get(e.known_as, math.nan) for e in entries]) * by
        of_own = _OWN if posed else _OWN_SNAPSHOT
        factor = np.array([of_own if e.user_defined and not e.same_as else _REPEATED for e in entries])
        photo = np.where(np.isnan(known), factor**2 * landmark, known**2)
        turned = (further * (within[-2:] - within[-3])) ** 2
        accuracy, repeated = landmark + pose + shared, photo + turned.sum(0) + shared
        return _numbers(entries, value, Z95 * np.sqrt(accuracy), np.sqrt(repeated))

    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = numbers_of(free, bare / unit[:, None] ** power, 0.0, np.ones(len(free)))
        if scale:
            # a photo pixel's millimetres at the eyes, in the picture from the reference distance
            k = scale.mm_per_px * np.concatenate(
                [np.full(len(many) - len(seen.scale), seen.scale[0]), seen.scale]
            )
            error = np.hypot(scale.rel_sd, scale.depth_sd * abs(seen.nearness))
            in_mm = numbers_of(free, bare * k[:, None] ** power, error * power, (k[0] * unit[0]) ** power)
            needing = [e for e in geometry() if e.needs_mm]
            scaled, _ = _bare(
                many * k[:, None, None], needing, {code: v * k[:, None] for code, v in names.items()}
            )
            length = np.array([e.unit == MM_UNIT for e in needing])
            numbers |= numbers_of(needing, scaled, error * length, np.where(length, k[0] * unit[0], 1.0))
    return numbers, in_mm


def _brought(
    face: Face, instrument: anatomy.Instrument, yaw: tuple[float, float], pitch: tuple[float, float]
) -> Brought:
    """The landmarks at their anatomical places, as seen from the reference distance."""
    points, middle = anatomy.place(face, instrument.correction)
    turned = rotation(yaw[0], pitch[0], 0.0)
    return bring(points, middle, face.distance, turned, by_hand=face.by_hand)


def _between(places: Floats) -> dict[str, Floats]:
    """Landmarks that are no mean of the 68 points, by name, of many faces (N, 6, 2)."""
    return {code: places[:, i] for i, code in enumerate(anatomy.BETWEEN)}


def _within_photo(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Values (M) and their variances by landmarks and by pose, from rows of variants (N, M).

    The rows: the face itself, the face with landmark errors, then its four views.
    """
    value = values[0]
    landmark = ((values[1:-4] - value) ** 2).mean(0)
    frontal, posed, *turned = values[-4:]
    pose = (posed - frontal) ** 2 + sum((view - posed) ** 2 for view in turned)
    return value, np.asarray(landmark), np.asarray(pose)


def _numbers(entries: Sequence[Entry], value: Floats, half: Floats, repeat_sd: Floats) -> Numbers:
    """Value and bounds by id; what cannot be negative ends at zero."""
    low, high = value - half, value + half
    positive = np.array([e.kind in _POSITIVE for e in entries], dtype=bool)
    low = np.where(positive & (low < 0) & (value >= 0), 0.0, low)
    rows = zip(value.tolist(), low.tolist(), high.tolist(), repeat_sd.tolist(), strict=True)
    return {e.id: bounds for e, bounds in zip(entries, rows, strict=True)}


#: Checks that together void everything: what hides a part has pushed the landmarks off the face's others.
_UNPLACED = ("hidden", "landmark_spread")


def _voided(entry: Entry, failed: Mapping[str, Check]) -> str:
    """Why the photo gate voids an entry, or an empty string."""
    unplaced = _UNPLACED if failed.keys() >= set(_UNPLACED) else ()
    checks = [failed[name] for name in dict.fromkeys((*entry.voids, *unplaced)) if name in failed]
    parts = [f"{c.name} {c.value:.3g} (limit {c.limit:g}; {c.advice})" for c in checks]
    return "voided by the photo gate: " + ", ".join(parts) if parts else ""


def error_growth(face: Face) -> float:
    """How much larger this face's landmark error is than that of the faces whose residuals are kept."""
    return float(np.clip((face.unsteadiness / _TYPICAL_UNSTEADINESS) ** _GROWTH, 0.8, 4.0))


def _pose(face: Face) -> tuple[tuple[float, float], tuple[float, float]]:
    """Yaw and pitch, degrees, each with its uncertainty, as what is known of any photo draws them."""
    turned, nodded = pose_change(face.landmarks, face.distance)
    yaw, pitch = (
        (angle * _PRIOR**2 / (_PRIOR**2 + error**2), float(_PRIOR * error / np.hypot(_PRIOR, error)))
        for angle, error in ((face.yaw + turned, _YAW_ERROR), (face.pitch + nodded, _PITCH_ERROR))
    )
    return yaw, pitch


def _further(yaw: tuple[float, float], pitch: tuple[float, float]) -> Floats:
    """How much further a photo is turned and nodded than is usual, in SD of what is known of it, (2, 1)."""
    return np.array([[max(0.0, abs(angle) - _USUAL) / sd] for angle, sd in (yaw, pitch)])


def _views(points: Floats, yaw: tuple[float, float], pitch: tuple[float, float]) -> Floats:
    """The generic face as large as this one (4, 68, 2): frontal, as turned as this one, and a little more.

    The third is turned further by the uncertainty of the yaw, the fourth by that of the pitch.
    """
    shape = generic_face() * outer_canthal_distance(points)
    turns = [(0.0, 0.0), (yaw[0], pitch[0]), (sum(yaw), pitch[0]), (yaw[0], sum(pitch))]
    return np.stack([(shape @ rotation(y, p, 0.0).T)[:, :2] for y, p in turns])
