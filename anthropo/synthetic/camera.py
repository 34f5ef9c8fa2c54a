"""Portraits from nearer by: a photograph warped as the camera's distance would change it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import Floats
from anthropo.face.lens import REFERENCE, aim, brought, depths, face_size
from anthropo.face.warp import Mesh

Pixels = NDArray[np.uint8]


def nearer(pixels: Pixels, points: Floats, cm: float, depth: Floats | None = None) -> tuple[Pixels, Floats]:
    """An adult's portrait from 150 cm as it would be from another distance.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
    points : (68, 2) array
        Landmarks of the face in it, its pixels.
    cm : float
        Distance of the camera.
    depth : (68,) array, optional
        How far each landmark lies behind the outer canthi, outer-canthal distances; as in the mean head when
        left out.

    Returns
    -------
    (H, W, 3) uint8 array and (68, 2) array
        The picture, and where its landmarks are. What lies in the plane that distance counts from keeps its
        size; beyond the face the picture stays.

    Raises
    ------
    ValueError
        If the landmarks lie on one line, so that nothing can be warped.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.synthetic import nearer
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> picture, points = nearer(seen.photo.pixels, seen.face.landmarks, 30.0)
    >>> width = anthropo.face.outer_canthal_distance
    >>> f"{abs(points[16] - points[0])[0] / width(points):.1f} outer-canthal distances between the ears"
    '1.4 outer-canthal distances between the ears'
    """
    size = face_size(30.0)[0]
    deep = depths() if depth is None else depth
    there = brought(points, deep, aim(points), (size / REFERENCE, size / cm))
    return Mesh(there, pixels.shape[:2]).warp(pixels, points), there
