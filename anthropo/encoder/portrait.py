"""A face laid on the mean face's shape: what composites of people are made of."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.regions import FILL
from anthropo.face.detection import power_of_two
from anthropo.face.frame import in_face_frame, outer_canthal_distance
from anthropo.face.landmarker import Face
from anthropo.face.shape import shapes
from anthropo.face.warp import Mesh
from anthropo.photo import Photo

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: Height and width of a portrait, pixels.
PORTRAIT = (160, 144)

_UNIT = 55.0  # px, outer-canthal distance
_EYES = (71.5, 66.0)  # px, the middle between the outer canthi


def place(points: Floats) -> Floats:
    """Landmarks (68, 2) of the face's own frame, in a portrait's pixels."""
    return np.asarray(points * _UNIT + _EYES)


def portrait(photo: Photo, face: Face) -> tuple[Pixels, Floats]:
    """A face with its landmarks where the mean face has them, and the shape that was taken away.

    Returns
    -------
    pixels : (160, 144, 3) uint8 array
        RGB, upright.
    shape : (68, 2) array
        The landmarks in the face's own frame: unit the outer-canthal distance, about its middle.
    """
    mesh = _common()
    photo = photo.finer(power_of_two(outer_canthal_distance(face.landmarks) / _UNIT))
    points = photo.to_decoded(face.landmarks)
    pixels, inside = mesh.warp_within(photo.pixels, points)
    pixels[~inside] = FILL  # in an average a corner is somebody's
    return pixels, in_face_frame(face.landmarks)


def reshaped(pixels: Pixels, shape: Floats) -> Pixels:
    """A picture in the mean face's shape given another one, (68, 2) in the face's own frame."""
    out: Pixels = Mesh(place(shape), PORTRAIT).warp(pixels, _common().shape)
    return out


@lru_cache(maxsize=1)
def _common() -> Mesh:
    return Mesh(place(shapes()[0]), PORTRAIT)
