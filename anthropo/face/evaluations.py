"""The landmark model on one detected face: the aligned face, and jittered boxes that look at it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anthropo.face import _engine
from anthropo.face.detection import Detection
from anthropo.face.frame import Floats, median
from anthropo.face.jitter import normals
from anthropo.face.scheme import MIRROR
from anthropo.photo import Photo

# Landmarks. The aligned face: a box of BOX px, padded on every side; FIRST_BOX for the first look,
# which only finds out how to align it.
BOX = 208.0  # px
FIRST_BOX = 128.0  # px
PAD = 0.4  # boxes
_TURNED = 2.2  # boxes, side of the picture in which a rolled face is turned upright
_SHIFT_SD = 0.03  # jitter of the box: shift in boxes, logarithm of the size
_SCALE_SD = 0.04
STEADY = 2  # evaluations of each side that tell a face from other things
CONTRAST = 160  # grey levels: dark and flat faces are stretched to this range first


@lru_cache(maxsize=16)
def jittered_boxes(evaluations: int) -> Floats:
    """Shift (in boxes) and size factor of each box: the plain one first, the rest random but fixed."""
    z = normals(evaluations, 3)
    z[0] = 0
    return np.column_stack([_SHIFT_SD * z[:, :2], np.exp(_SCALE_SD * z[:, 2])])


def beyond_border(points: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points (P, 2) lie outside a photo of width and height `size`, pixels."""
    return np.asarray(((points < -0.5) | (points > np.array(size) - 0.5)).any(1))


def evaluations(
    photo: Photo, detection: Detection, predictor: _engine.ShapePredictor, jitter: int
) -> tuple[Floats, NDArray[np.uint8]]:
    """Evaluations (K, 68, 2), full-photo pixels, of a detected box, and the aligned face."""
    image, box, back = photo.pixels, photo.to_decoded(detection.box.reshape(2, 2)).ravel(), None
    if detection.turn:
        # a picture of the face turned upright, twice as fine as the aligned face is going to be
        side = round(2 * BOX * _TURNED)
        size = (box[2] - box[0]) / (2 * BOX)
        cos, sin = size * np.cos(np.radians(detection.turn)), size * np.sin(np.radians(detection.turn))
        turn, middle = np.array([[cos, -sin], [sin, cos]]), (side - 1) / 2
        back = np.column_stack([turn, (box[:2] + box[2:]) / 2 - turn @ (middle, middle)])
        image = _engine.warp(image, back, side, side)
        box = middle + BOX * np.array([-1.0, -1, 1, 1])
    raw, chip = predictor.align(
        image,
        box,
        jittered_boxes(max(STEADY, jitter // 2)),
        MIRROR,
        first_box=FIRST_BOX,
        chip_box=BOX,
        pad=PAD,
        contrast=CONTRAST,
    )
    return photo.to_full(raw if back is None else raw @ back[:, :2].T + back[:, 2]), chip


def spread_of(samples: Floats) -> float:
    """How far evaluations (K, 68, 2) of landmarks spread, in their unit."""
    return float(median(np.hypot(*samples.std(0, ddof=1).T)))


def asked_for(samples: Floats, jitter: int) -> Floats:
    """As many evaluations as are asked for; there are more when few are, since steadiness needs some."""
    half = len(samples) // 2
    plain, mirrored = samples[: max(1, jitter // 2)], samples[half : half + jitter // 2]
    return np.concatenate([plain, mirrored])
