"""The alignment of ArcFace and those who follow it: five points of a face on a template of 112 pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import similarity

Floats = NDArray[np.float64]

#: The region that such a network sees: the face, closer than anthropo's own.
FACE = "face"

#: Middles of the eyes, tip of the nose and corners of the mouth, left to right in the picture, in one of 112
#: pixels: as published with ArcFace (Deng, Guo, Xue & Zafeiriou, CVPR 2019).
TEMPLATE: Floats = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
_SIDE = 112.0  # px
_EYES, _NOSE, _MOUTH = (tuple(range(36, 42)), tuple(range(42, 48))), 30, (48, 54)


def five_points(landmarks: Floats) -> Floats:
    """Middles of the eyes, tip of the nose and corners of the mouth (5, 2), of 68 landmarks."""
    eyes = [landmarks[list(points)].mean(0) for points in _EYES]
    return np.array([*eyes, landmarks[_NOSE], landmarks[_MOUTH[0]], landmarks[_MOUTH[1]]])


def arcface_square(landmarks: Floats, size: int) -> Floats:
    """The similarity (2, 3) from the unit square of a picture of `size` px to photo pixels.

    Least squares in the template's pixels, as it is published: turned about, it takes the template to the
    photo. The corner of the unit square is that of the first pixel, whose middle the template counts from.
    """
    to_chip = similarity(five_points(landmarks), TEMPLATE * (size / _SIDE))
    back = np.linalg.inv(to_chip[:, :2])
    corner = back @ (np.array([-0.5, -0.5]) - to_chip[:, 2])
    return np.column_stack([back * size, corner])
