"""The photo gate: is this photograph fit to be measured, and if not, why?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.face import _engine
from anthropo.face.frame import Floats, face_axes, outer_canthal_distance
from anthropo.face.pose import Camera
from anthropo.face.scheme import LANDMARKS

if TYPE_CHECKING:
    from anthropo.photo import Photo


@dataclass(frozen=True, slots=True)
class Check:
    """One property of the photo beside its limit.

    Examples
    --------
    >>> import anthropo
    >>> [check.name for check in anthropo.read_face(anthropo.example_photo()).gate if not check.ok]
    ['mouth_open', 'smile']
    """

    name: str
    value: float  # NaN: not known
    limit: float
    bound: Literal["max", "min"]  # whether the limit is the largest absolute value or the smallest value
    unit: str
    ok: bool
    advice: str  # what to do about it


# Limits. Yaw and roll: passport-photo practice (ISO/IEC 19794-5: 5° and 8°). Pitch would be 5° there,
# but from 68 points a person's pitch is known to ±5° only (1 SD over straight-on studio photographs,
# since noses and foreheads differ), so that 10° is the first value that says something about the
# photo. The others were set on studio photographs, neutral and smiling, as taken and artificially
# blurred and reduced: docs/benchmarks.md, "Photo gate".
# Eyes closed, fissure height to length of the more closed eye. Studio photographs, neutral and smiling: 0.18
# and more; 27 of 28 web portraits with a closed eye: below 0.16, and 1.6 % of those with open eyes, mostly
# screwed up in the sun or in laughter. A severe ptosis may fall below, too: the photo alone cannot tell it
# from an eye that is closed.
# Glasses. 862 web portraits, of which 79 wear glasses: 92 % of these lie above, 96.5 % of the others below;
# those above that wear none have deep wrinkles across the nasal root. None of 102 studio photographs
# without glasses lies above (largest 0.09).
# Perspective: the camera's distance, where it is known. At 50 cm the face's width against the eyes is 1 SD of
# people less than at 150 cm (docs/benchmarks.md, "Distance"); a telephone at arm's length is at 30 to 60 cm.
# Exposure: a grey level that only the lightest 1 % of the face reaches. In studio photographs of people of
# four groups, darkened by up to six stops, landmarks begin to move below about 40, and what is read off the
# pixels of eyes leaves its interval at 22 and less. The limit is about how many levels there are to measure
# with, not about skin: none of 2,396 web portraits of five groups is below 74 (docs/benchmarks, "Exposure").
LANDMARK_SPREAD = 0.03

# name: limit, whether it is the largest absolute value or the smallest value, unit, what to do about it
_LIMITS: dict[str, tuple[float, Literal["max", "min"], str, str]] = {
    "yaw": (5.0, "max", "deg", "turn the face towards the camera"),
    "pitch": (10.0, "max", "deg", "hold the camera at eye level"),
    "roll": (8.0, "max", "deg", "hold the head upright"),
    "eye_pixels": (40.0, "min", "px", "use the original photo or move closer"),
    "sharpness": (0.08, "min", "1", "focus on the eyes, hold still"),
    "exposure": (40.0, "min", "grey levels", "take the photo in more light, or expose it longer"),
    "mouth_open": (0.035, "max", "ex-ex", "close the mouth"),
    "smile": (0.41, "max", "ex-ex", "keep a neutral expression"),
    "eyes_closed": (0.16, "min", "1", "open both eyes"),
    "glasses": (0.12, "max", "1", "take the glasses off"),
    "outside": (0, "max", "points", "show the whole face"),
    "hidden": (0, "max", "points", "take away what is before the face, or place the hidden points by hand"),
    "landmark_spread": (LANDMARK_SPREAD, "max", "ex-ex", "show the whole face, well lit"),
    "perspective": (50.0, "min", "cm", "step back to 1 m or more, and zoom in"),
}
_SAMPLES = 96  # rows and columns of the face that its exposure is read from
_EYES = ((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46))
# points without which a check has nothing to look at
_NOSE, _LIPS, _SMILE = range(29, 36), range(60, 68), (33, 48, 54)
#: Every check, in the order in which `check_photo` gives them.
CHECKS = tuple(_LIMITS)
#: What to do about a failed check.
ADVICE = {name: advice for name, (_, _, _, advice) in _LIMITS.items()}


@dataclass(frozen=True, slots=True)
class GateSummary:
    """How many photos of a cohort failed which check of the photo gate.

    Examples
    --------
    >>> print(*GateSummary.of([["smile"], [], ["smile", "yaw"]]).sentences(), sep="\\n")
    2 of 3 photos (67 %) failed the photo gate.
    smile: 2 photos (67 %); keep a neutral expression
    yaw: 1 photo (33 %); turn the face towards the camera
    """

    total: int
    failed: int  # photos that failed any check
    by_check: dict[str, int]  # the commonest first

    @classmethod
    def of(cls, photos: Iterable[Collection[str]]) -> GateSummary:
        """Count the failed checks of photos, given by name for each photo."""
        each = list(photos)
        counts = Counter(name for name in CHECKS for failed in each if name in failed)
        return cls(len(each), sum(map(bool, each)), dict(counts.most_common()))

    def sentences(self) -> list[str]:
        """A line for all checks together, then one for each that a photo failed; none for no photos."""
        if not self.total:
            return []
        lines = [f"{self.failed} of {self.total} photos ({self._share(self.failed)}) failed the photo gate."]
        for name, n in self.by_check.items():
            photos = f"{n} photo{'s' if n > 1 else ''} ({self._share(n)})"
            lines.append(f"{name.replace('_', ' ')}: {photos}; {ADVICE[name]}")
        return lines

    def _share(self, n: int) -> str:
        return f"{100 * n / self.total:.0f} %"


def landmark(points: Floats, code: str) -> Floats:
    """An anthropometric landmark from 68 points: (..., 68, 2) -> (..., 2)."""
    return np.asarray(points[..., list(LANDMARKS[code]), :].mean(-2))


def sharpness(chip: NDArray[np.uint8]) -> float:
    """Fine detail against contrast inside an aligned face chip, 0 (blurred) upwards, no unit.

    The standard deviation of the discrete Laplacian divided by that of the grey values: neither
    exposure nor contrast changes it.
    """
    g = chip.astype(np.float32)
    laplacian = 4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]
    spread = float(g.std())
    return float(laplacian.std()) / spread if spread > 0 else 0.0


def exposure(pixels: NDArray[np.uint8], points: Floats) -> float:
    """Grey level, 0 to 255, that only the lightest 1 % of the face reaches: of brows, eyes, nose and mouth.

    From the picture (H, W, 3) and the landmarks (68, 2) in its pixels. Highlights of the skin, the white of
    the eyes and teeth are among the lightest, so that this tells light and exposure rather than skin.
    """
    axes = face_axes(points)
    unit = float(axes[0] @ axes[0])
    inner = (points[17:] - points[17]) @ axes.T / unit if unit > 0 else np.zeros((1, 2))
    corner, size = inner.min(0), np.ptp(inner, axis=0)
    if not (size > 0).all():
        return math.nan
    steps = axes * size[:, None] / (_SAMPLES - 1)
    seen = _engine.warp(pixels, np.column_stack([steps.T, points[17] + corner @ axes]), _SAMPLES, _SAMPLES)
    # the same as numpy's percentile, which loads masked arrays, to less than a level
    return float(np.sort(seen, axis=None)[round(0.99 * (seen.size - 1))])


def mouth_open(points: Floats) -> float:
    """Gap between the lips as a fraction of the outer-canthal distance."""
    gap = np.linalg.norm(landmark(points, "sts") - landmark(points, "sti"))
    return float(gap / outer_canthal_distance(points))


def smile(points: Floats) -> float:
    """Width of the mouth minus the height of the nose above its corners, in outer-canthal distances.

    A smile pulls the corners outwards and up, so that the first grows and the second shrinks.
    """
    unit = outer_canthal_distance(points)
    down = face_axes(points)[1] / unit
    corners = (landmark(points, "chR") + landmark(points, "chL")) / 2
    width = float(np.linalg.norm(landmark(points, "chL") - landmark(points, "chR")))
    height = float((corners - landmark(points, "sn")) @ down)
    return (width - height) / unit


def eye_openings(points: Floats) -> Floats:
    """Fissure height to length of the right and the left eye; 0 of one whose canthi lie on one place."""
    eyes = points[list(_EYES)]
    heights = np.linalg.norm(eyes[:, [1, 2]] - eyes[:, [5, 4]], axis=-1).mean(1)
    lengths = np.linalg.norm(eyes[:, 0] - eyes[:, 3], axis=-1)
    return np.asarray(np.divide(heights, lengths, out=np.zeros(2), where=lengths > 0))


# The aligned face's box, in fractions of its side: across the nasal root between the inner canthi,
# and brows to mouth for the contrast.
_BRIDGE = ((0.22, 0.404), (0.423, 0.577))  # rows, columns
_MIDFACE = ((0.19, 0.77), (0.145, 0.856))
_LINE = np.array([(x * x - 1) * np.exp(-x * x / 2) for x in range(-3, 4)])  # across a line some px wide
_LINE = (_LINE - _LINE.mean()) / np.abs(_LINE - _LINE.mean()).sum()


def bridge_line(chip: NDArray[np.uint8]) -> float:
    """How strongly a line crosses the nasal root, as the bridge of spectacles does; 0 upwards, no unit.

    Grey values between the inner canthi are averaged along each row. The largest absolute second
    derivative (of a Gaussian, SD 1 px) down that profile, divided by the standard deviation of the
    grey values of the face: neither exposure nor contrast changes it, and skin, shaded smoothly
    there, has little of it.
    """

    def part(rows: tuple[float, float], columns: tuple[float, float]) -> NDArray[np.uint8]:
        height, width = chip.shape
        top, bottom = (round(height * y) for y in rows)
        left, right = (round(width * x) for x in columns)
        return chip[top:bottom, left:right]

    spread = float(part(*_MIDFACE).std())
    if spread == 0:
        return 0.0
    return float(np.abs(np.convolve(part(*_BRIDGE).mean(1), _LINE, "valid")).max()) / spread


def check_photo(
    points: Floats, camera: Camera, chip: NDArray[np.uint8], outside: int, unsteadiness: float, photo: Photo
) -> tuple[Check, ...]:
    """All checks of one face, from landmarks (68, 2) in photo pixels and the aligned face (H, W), grey.

    The photo is for its exposure: the contrast of the aligned face is stretched. `outside` counts landmarks
    beyond the photo's border; `unsteadiness` is that of `Face`.
    """
    values = _of_points(points, camera, outside)
    values |= {"sharpness": sharpness(chip), "glasses": bridge_line(chip), "landmark_spread": unsteadiness}
    values["exposure"] = exposure(photo.pixels, photo.to_decoded(points))
    values |= {"perspective": math.nan, "hidden": 0.0}  # `check_distance` and `check_hidden` know better
    gate = tuple(
        Check(name, values[name], limit, bound, unit, _holds(values[name], limit, bound), advice)
        for name, (limit, bound, unit, advice) in _LIMITS.items()
    )
    return check_distance(gate, math.nan, camera.yaw, camera.pitch)


def check_distance(gate: tuple[Check, ...], cm: float, yaw: float, pitch: float) -> tuple[Check, ...]:
    """The checks of a face whose distance from the camera is now known, or with NaN, which passes, is not.

    Yaw and pitch, degrees, are what is left of those in the picture when perspective is taken off.
    """
    known = _with_values(gate, {"yaw": yaw, "pitch": pitch, "perspective": cm})
    return tuple(replace(c, ok=True) if c.name == "perspective" and math.isnan(cm) else c for c in known)


def check_again(
    gate: tuple[Check, ...], points: Floats, camera: Camera, outside: int, unsteadiness: float | None = None
) -> tuple[Check, ...]:
    """The checks of a face whose landmarks were moved; those of its pixels stay as they are."""
    values = _of_points(points, camera, outside)
    return _with_values(gate, values if unsteadiness is None else values | {"landmark_spread": unsteadiness})


def check_hidden(gate: tuple[Check, ...], points: Floats, hidden: NDArray[np.bool_]) -> tuple[Check, ...]:
    """The checks of a face (68, 2) some of whose landmarks (68,) are hidden, the outline not counted.

    What is hidden is not judged: whether a mouth behind a mask is open, or eyes behind a bar are closed. A
    line across a nose that is hidden is the edge of whatever hides it, and no spectacles'.
    """
    values = {"hidden": float(hidden[17:].sum())}
    eyes = [i for i, eye in enumerate(_EYES) if not hidden[list(eye)].any()]
    if len(eyes) == 1:
        values["eyes_closed"] = float(eye_openings(points)[eyes[0]])
    unseen = {
        name
        for name, parts in (("glasses", _NOSE), ("mouth_open", _LIPS), ("smile", _SMILE))
        if hidden[list(parts)].any()
    }
    unseen |= set() if eyes else {"eyes_closed"}
    checked = _with_values(gate, values)
    return tuple(replace(c, value=math.nan, ok=True) if c.name in unseen else c for c in checked)


def _with_values(gate: tuple[Check, ...], values: Mapping[str, float]) -> tuple[Check, ...]:
    """The checks, some of them with other values."""
    return tuple(
        replace(c, value=values[c.name], ok=_holds(values[c.name], c.limit, c.bound))
        if c.name in values
        else c
        for c in gate
    )


def _holds(value: float, limit: float, bound: Literal["max", "min"]) -> bool:
    return bool(abs(value) <= limit if bound == "max" else value >= limit)


def _of_points(points: Floats, camera: Camera, outside: int) -> dict[str, float]:
    """The checks that landmarks alone decide."""
    return {
        "yaw": camera.yaw,
        "pitch": camera.pitch,
        "roll": camera.roll,
        "eye_pixels": float(np.linalg.norm(landmark(points, "pR") - landmark(points, "pL"))),
        "mouth_open": mouth_open(points),
        "smile": smile(points),
        "eyes_closed": float(eye_openings(points).min()),
        "outside": outside,
    }
