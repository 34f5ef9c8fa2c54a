"""The photo gate: is this photograph fit to be measured, and if not, why?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.face.pose import Camera
from anthropo.face.scheme import LANDMARKS

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Check:
    """One property of the photo beside its limit."""

    name: str
    value: float
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
YAW = 5.0
PITCH = 10.0
ROLL = 8.0
EYE_PIXELS = 40.0
SHARPNESS = 0.08
MOUTH_OPEN = 0.035
SMILE = 0.41
LANDMARK_SPREAD = 0.03


#: Every check, in the order in which `check_photo` gives them.
CHECKS = (
    "yaw", "pitch", "roll", "eye_pixels", "sharpness", "mouth_open", "smile", "outside", "landmark_spread",
)  # fmt: skip


def landmark(points: Floats, code: str) -> Floats:
    """An anthropometric landmark from 68 points: (..., 68, 2) -> (..., 2)."""
    at: Floats = points[..., list(LANDMARKS[code]), :].mean(-2)
    return at


def sharpness(chip: NDArray[np.uint8]) -> float:
    """Fine detail against contrast inside an aligned face chip, 0 (blurred) upwards, no unit.

    The standard deviation of the discrete Laplacian divided by that of the grey values: neither
    exposure nor contrast changes it.
    """
    g = chip.astype(np.float32)
    laplacian = 4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]
    spread = float(g.std())
    return float(laplacian.std()) / spread if spread > 0 else 0.0


def mouth_open(points: Floats) -> float:
    """Gap between the lips as a fraction of the outer-canthal distance."""
    gap = np.linalg.norm(landmark(points, "sts") - landmark(points, "sti"))
    return float(gap / np.linalg.norm(landmark(points, "exR") - landmark(points, "exL")))


def smile(points: Floats) -> float:
    """Width of the mouth minus the height of the nose above its corners, in outer-canthal distances.

    A smile pulls the corners outwards and up, so that the first grows and the second shrinks.
    """
    right, left = landmark(points, "exR"), landmark(points, "exL")
    unit = float(np.linalg.norm(left - right))
    across = (left - right) / unit
    down = np.array([-across[1], across[0]])
    corners = (landmark(points, "chR") + landmark(points, "chL")) / 2
    width = float(np.linalg.norm(landmark(points, "chL") - landmark(points, "chR")))
    height = float((corners - landmark(points, "sn")) @ down)
    return (width - height) / unit


def check_photo(
    points: Floats, camera: Camera, chip: NDArray[np.uint8], outside: int, unsteadiness: float
) -> tuple[Check, ...]:
    """All checks of one face.

    Parameters
    ----------
    points : (68, 2) array
        Landmarks in full-photo pixels.
    camera : Camera
        The fitted head pose.
    chip : (H, W) uint8 array
        The aligned face, grey.
    outside : int
        Landmarks that lie beyond the photo's border.
    unsteadiness : float
        Median spread of the landmarks over jittered boxes, in outer-canthal distances.
    """
    eyes = float(np.linalg.norm(landmark(points, "pR") - landmark(points, "pL")))

    def at_most(name: str, value: float, limit: float, unit: str, advice: str) -> Check:
        return Check(name, value, limit, "max", unit, bool(abs(value) <= limit), advice)

    def at_least(name: str, value: float, limit: float, unit: str, advice: str) -> Check:
        return Check(name, value, limit, "min", unit, bool(value >= limit), advice)

    return (
        at_most("yaw", camera.yaw, YAW, "deg", "turn the face towards the camera"),
        at_most("pitch", camera.pitch, PITCH, "deg", "hold the camera at eye level"),
        at_most("roll", camera.roll, ROLL, "deg", "hold the head upright"),
        at_least("eye_pixels", eyes, EYE_PIXELS, "px", "use the original photo or move closer"),
        at_least("sharpness", sharpness(chip), SHARPNESS, "1", "focus on the eyes, hold still"),
        at_most("mouth_open", mouth_open(points), MOUTH_OPEN, "ex-ex", "close the mouth"),
        at_most("smile", smile(points), SMILE, "ex-ex", "keep a neutral expression"),
        at_most("outside", outside, 0, "points", "show the whole face"),
        at_most("landmark_spread", unsteadiness, LANDMARK_SPREAD, "ex-ex", "show the whole face, well lit"),
    )
