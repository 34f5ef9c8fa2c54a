"""A face's frame of reference: its axes, its unit of length, and what lays one set of points on another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The outer canthi in the 68-point scheme, the subject's right and left.
OUTER_CANTHI = (36, 45)


def outer_canthal_distances(points: Floats) -> Floats:
    """Outer-canthal distances (...) of faces (..., 68, 2), in the unit of their points."""
    right, left = (points[..., i, :] for i in OUTER_CANTHI)
    return np.asarray(np.hypot(left[..., 0] - right[..., 0], left[..., 1] - right[..., 1]))


def outer_canthal_distance(points: Floats) -> float:
    """Distance between the outer canthi of one face: the unit of measurements without a scale.

    Parameters
    ----------
    points : (68 or more, 2) array
        Landmarks that begin with the 68 of the scheme.

    Returns
    -------
    float
        In the unit of the points.

    Examples
    --------
    >>> import anthropo
    >>> face = anthropo.read_face(anthropo.example_photo())
    >>> f"{anthropo.face.outer_canthal_distance(face.landmarks):.0f} px"
    '61 px'
    """
    return float(outer_canthal_distances(points))


def face_axes(points: Floats) -> Floats:
    """The face's axes times its unit, (2, 2): rows take coordinates in the face's frame to pixels.

    The first row runs along the eye line towards the subject's left, the second down across it; both are
    as long as the outer-canthal distance.
    """
    right, left = points[list(OUTER_CANTHI)]
    x, y = left - right
    return np.array([[x, y], [-y, x]])


def in_face_frame(points: Floats) -> Floats:
    """Landmarks (68, 2) brought upright, to outer-canthal distance 1, about the middle of the eye line."""
    middle = points[list(OUTER_CANTHI)].mean(0)
    return np.asarray((points - middle) @ face_axes(points).T / outer_canthal_distance(points) ** 2)


def similarity(source: Floats, target: Floats) -> Floats:
    """Least-squares similarity (2, 3) that lays source (P, 2) on target (Umeyama 1991, IEEE TPAMI 13:376)."""
    a, b = source - source.mean(0), target - target.mean(0)
    norm = (a**2).sum()
    c, s = (a * b).sum() / norm, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / norm
    turn = np.array([[c, -s], [s, c]])
    return np.column_stack([turn, target.mean(0) - turn @ source.mean(0)])


def upright_map(points: Floats, frame: Floats) -> Floats:
    """The similarity (2, 3) that lays a face (68, 2) upright, as the second landmark stage lays it."""
    return similarity(points[17:], frame[17:])


def median(values: NDArray[np.floating[Any]], axis: int = -1) -> NDArray[Any]:
    """The median along an axis of numbers that are all known.

    `numpy.median` gives the same. Its first call loads masked arrays, which takes longer than to find a face.

    Parameters
    ----------
    values : array
        Without NaN.
    axis : int

    Returns
    -------
    array
        With one axis less.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.face.frame import median
    >>> median(np.array([[4.0, 1.0, 2.0], [0.0, 8.0, 3.0]])).tolist()
    [2.0, 3.0]
    """
    n = values.shape[axis]
    middle = ((n - 1) // 2, n // 2)
    return np.asarray(np.partition(values, middle, axis).take(middle, axis).mean(axis))
