"""Geometry that measurements are written in.

Every function takes points of shape (..., 2) in photo pixels (x right, y down) and works on any
number of leading dimensions at once. Nothing here depends on where the face lies in the photo, how
it is rolled or how large it is, but for lengths, which scale with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anthropo.face.frame import Floats, outer_canthal_distances
from anthropo.face.scheme import MIRROR


def distance(a: Floats, b: Floats) -> Floats:
    """Distance between two points."""
    return np.asarray(np.hypot(b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]))


def mean(*values: Floats) -> Floats:
    """Mean of points or of numbers."""
    return np.asarray(sum(values[1:], values[0]) / len(values))


def angle(a: Floats, vertex: Floats, b: Floats) -> Floats:
    """Angle a-vertex-b, degrees, 0 to 180."""
    u, v = a - vertex, b - vertex
    return np.asarray(np.degrees(np.abs(np.arctan2(_cross(u, v), (u * v).sum(-1)))))


def area(*polygon: Floats) -> Floats:
    """Area of a polygon (shoelace formula), whatever its direction."""
    p = np.stack(polygon)
    q = np.roll(p, -1, axis=0)
    return np.asarray(np.abs(_cross(p, q).sum(0)) / 2)


def perimeter(*polygon: Floats) -> Floats:
    """Length of a closed polygon's outline."""
    p = np.stack(polygon)
    return np.asarray(distance(p, np.roll(p, -1, axis=0)).sum(0))


def offset(p: Floats, a: Floats, b: Floats) -> Floats:
    """Signed distance of p from the line a-b; positive to the photo's right when a-b runs down the photo."""
    u = b - a
    return np.asarray(-_cross(u, p - a) / np.hypot(u[..., 0], u[..., 1]))


def sag(a: Floats, b: Floats, *points: Floats) -> Floats:
    """Largest distance of points from the line a-b."""
    return np.asarray(np.abs(np.stack([offset(p, a, b) for p in points])).max(0))


def cant(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Signed angle from direction a-b to direction c-d, degrees; positive: clockwise in the photo."""
    u, v = b - a, d - c
    return np.asarray(np.degrees(np.arctan2(_cross(u, v), (u * v).sum(-1))))


def off_level(right: Floats, left: Floats, top: Floats, bottom: Floats) -> Floats:
    """How much further along the line top-bottom `left` lies than `right`."""
    u = bottom - top
    return np.asarray(((left - right) * u).sum(-1) / np.hypot(u[..., 0], u[..., 1]))


def procrustes_asymmetry(points: Floats) -> Floats:
    """RMS distance between a face and its mirror image, in outer-canthal distances.

    The mirrored, relabelled 68 points are laid onto the face by the best rotation, shift and scale
    (ordinary Procrustes analysis); half of what remains is asymmetry on either side, so the distance
    is taken to the symmetric mean of both.
    """
    centred = points - points.mean(-2, keepdims=True)
    mirrored = centred[..., MIRROR, :] * np.array([-1.0, 1.0])
    norm = (mirrored**2).sum((-2, -1))
    cos = (mirrored * centred).sum((-2, -1)) / norm
    sin = _cross(mirrored, centred).sum(-1) / norm
    x, y = mirrored[..., 0], mirrored[..., 1]
    laid = np.stack(
        [cos[..., None] * x - sin[..., None] * y, sin[..., None] * x + cos[..., None] * y], axis=-1
    )
    rms = np.sqrt(((centred - laid) ** 2).sum(-1).mean(-1)) / 2
    return np.asarray(rms / outer_canthal_distances(points))


class EyeLine:
    """A face's axes: along the line through both exocanthia (..., 2), and down across it."""

    def __init__(self, right: Floats, left: Floats) -> None:
        u = left - right
        self.unit: Floats = u / np.hypot(u[..., 0], u[..., 1])[..., None]

    def vertical(self, a: Floats, b: Floats) -> Floats:
        """How far b lies below a."""
        return np.asarray(_cross(self.unit, b - a))

    def elevation(self, a: Floats, b: Floats) -> Floats:
        """Angle of a-b above the eye line, degrees, -90 to 90; positive: b higher than a."""
        across = np.abs((self.unit * (b - a)).sum(-1))
        return np.asarray(np.degrees(np.arctan2(-self.vertical(a, b), across)))

    def at(self, p: Floats, *curve: Floats) -> Floats:
        """The point of a polyline straight above or below p; its ends when p lies beyond them.

        A line that doubles back may have several: their mean, whichever way the line is followed.
        """
        line = np.stack(np.broadcast_arrays(*curve, p)[:-1])
        x = (line * self.unit).sum(-1)
        target = np.clip((p * self.unit).sum(-1), np.minimum(x[0], x[-1]), np.maximum(x[0], x[-1]))
        a, b = x[:-1], x[1:]
        inside = (np.minimum(a, b) <= target) & (target <= np.maximum(a, b))
        flat = a == b
        share = np.where(flat, 0.5, (target - a) / np.where(flat, 1.0, b - a))[..., None]
        crossings = line[:-1] + share * (line[1:] - line[:-1])
        return np.asarray((crossings * inside[..., None]).sum(0) / inside.sum(0)[..., None])


def _cross(u: Floats, v: Floats) -> Floats:
    return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])


def functions(points: Floats) -> dict[str, Callable[..., Floats]]:
    """Functions that the registry's expressions may call, bound to a face's points, shape (..., 68, 2)."""
    eyes = EyeLine(points[..., 36, :], points[..., 45, :])

    def once(function: Callable[..., Floats]) -> Callable[..., Floats]:
        # many measurements share a distance; arguments are kept so that no id is used twice
        known: dict[tuple[int, ...], tuple[tuple[Floats, ...], Floats]] = {}

        def remembered(*arguments: Floats) -> Floats:
            key = tuple(map(id, arguments))
            if key not in known:
                known[key] = (arguments, function(*arguments))
            return known[key][1]

        return remembered

    return {
        "d": once(distance),
        "mid": mean,
        "mean": mean,
        "angle": angle,
        "area": once(area),
        "perimeter": perimeter,
        "off": offset,
        "off_level": off_level,
        "sag": sag,
        "cant": cant,
        "v": eyes.vertical,
        "elevation": eyes.elevation,
        "at": once(eyes.at),
        "procrustes_asymmetry": lambda: procrustes_asymmetry(points),
    }


#: Names that an expression may call, for checking the registry.
FUNCTIONS = frozenset(functions(np.arange(136, dtype=np.float64).reshape(68, 2)))
