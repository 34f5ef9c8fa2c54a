"""The visible iris: circles fitted to the limbus left and right of it, where no lid covers it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.face.frame import face_axes, outer_canthal_distance
from anthropo.photo import LUMA, Photo

Floats = NDArray[np.float64]

_RIGHT, _LEFT = slice(36, 42), slice(42, 48)

# All lengths in outer-canthal distances. Visible irises of adults have a radius of 0.068 (SD 0.003), of
# newborns up to 0.085.
_RADII = np.linspace(0.048, 0.096, 21)
_SHIFT_X, _SHIFT_Y = 0.08, 0.025  # of the iris from the centre of the lids: gaze
_COARSE = 1 / 230  # a pixel of the first look: 16 to a radius
_HALF = (0.24, 0.14)  # width and height of the region looked at, halved

# Arcs right and left of the iris, from the horizontal. Lids cover what is above and below.
_ARC = np.radians(np.linspace(-40.0, 40.0, 13))
_ANGLES = np.concatenate([np.pi - _ARC, _ARC])
_SIDE = len(_ARC)

MIN_RADIUS = 5.0  # photo pixels: 10 px across
_CLOSED = 0.13  # lid opening over the distance of the canthi
_CONTRAST = 12.0  # grey levels between iris and sclera
_STEP = 0.12  # of the sclera's grey level, likewise
_RAYS = 4  # visible edge points on either side
_RESIDUAL = 0.07  # of the radius: a circle was fitted to something else
_DISAGREE = 0.08  # of the diameter, between the eyes


@dataclass(frozen=True, slots=True)
class Iris:
    """The visible iris of one eye, or the reason why there is none."""

    x: float  # centre, full-photo pixels
    y: float
    r: float  # radius, full-photo pixels
    sd: float  # of the diameter, full-photo pixels: how well the circle is fixed by its own edge points
    reason: str  # empty, or why the rest is NaN


def iris_circles(photo: Photo, points: Floats) -> tuple[Iris, Iris]:
    """The irises of the subject's right and left eye.

    Parameters
    ----------
    photo : Photo
        Decoded again at full resolution when it was reduced.
    points : (68, 2) array
        Landmarks, full-photo pixels.

    Returns
    -------
    right, left : Iris
        NaN with the reason where an iris cannot be measured: eye closed, iris covered, too small, too
        little contrast, or eyes that differ by more than 8 %.

    Notes
    -----
    A first look maximises the step of the mean grey value across the two lateral arcs over centres and
    radii (the integro-differential operator of Daugman 1993, IEEE TPAMI 15:1148, on the arcs between the
    lids). The edge is then located on every ray of the arcs and a circle fitted to the edge points.
    """
    unit = outer_canthal_distance(points)
    if _RADII[-1] * unit < MIN_RADIUS:
        missing = _none(f"the iris is less than {2 * MIN_RADIUS:.0f} pixels wide")
        return missing, missing
    photo = photo.finer(1)
    rays = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]) @ (face_axes(points) / unit)
    looks = [_look(photo, points[eye], rays, unit) for eye in (_RIGHT, _LEFT)]
    # both irises have one size: the radius that suits both eyes keeps either from taking its pupil
    suits = [np.sqrt(look.score.max(0)) for look in looks if not isinstance(look, str)]
    joint = sum(s / max(s.max(), 1e-9) for s in suits) if suits else np.zeros(1)
    right, left = (
        _none(look) if isinstance(look, str) else _refine(look, int(np.argmax(joint)), rays, unit)
        for look in looks
    )
    if abs(right.r - left.r) > _DISAGREE * (right.r + left.r) / 2:
        share = abs(right.r - left.r) / (right.r + left.r) * 200
        missing = _none(f"the irises of the two eyes differ by {share:.0f} %")
        return missing, missing
    return right, left


def _none(reason: str) -> Iris:
    return Iris(np.nan, np.nan, np.nan, np.nan, reason)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    grey: NDArray[np.float32]  # the eye
    low: NDArray[np.intp]  # its first pixel in the photo
    lids: Floats  # (6, 2) in it
    centres: Floats  # (C, 2) in it
    score: Floats  # (C, R)


def _look(photo: Photo, lids: Floats, rays: Floats, unit: float) -> _Look | str:
    """How well circles of every centre and radius suit one eye; or the reason why none can."""
    opening = np.hypot(*(lids[[1, 2]] - lids[[5, 4]]).T).mean() / np.hypot(*(lids[3] - lids[0]))
    if opening < _CLOSED:
        return "the eye is closed"
    across = rays[_SIDE + _SIDE // 2]
    down = np.array([-across[1], across[0]])
    extent = unit * (np.abs(across) * _HALF[0] + np.abs(down) * _HALF[1])
    low = np.floor(lids.mean(0) - extent).astype(np.intp)
    high = np.ceil(lids.mean(0) + extent).astype(np.intp) + 1
    if (low < 0).any() or (high > photo.full_size).any():
        return "the eye lies at the photo's border"
    lids = lids - low
    grey = (photo.pixels[low[1] : high[1], low[0] : high[0]] @ LUMA).astype(np.float32)
    step = max(1.0, unit * _COARSE)
    size = (round(grey.shape[1] / step), round(grey.shape[0] / step))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    zoom = np.array(size) / (grey.shape[1], grey.shape[0])

    dx, dy = np.meshgrid(np.linspace(-_SHIFT_X, _SHIFT_X, 17), np.linspace(-_SHIFT_Y, _SHIFT_Y, 5))
    centres = lids.mean(0) + unit * (dx.reshape(-1, 1) * across + dy.reshape(-1, 1) * down)
    at = centres[:, None, None] + unit * _RADII[:, None, None] * rays[::2]  # (C, R, A, 2)
    inside = _inside(lids, at) + 1e-3
    values = inside * bilinear(small, (at + 0.5) * zoom - 0.5)
    n = len(rays[::2]) // 2
    sides = (slice(None, n), slice(n, None))
    right, left = (values[..., s].sum(-1) / inside[..., s].sum(-1) for s in sides)
    seen = np.minimum(*(inside[:, 2:-2, s].mean(-1) for s in sides))
    rise = [np.clip(h[:, 4:] - h[:, :-4], 0, None) for h in (right, left)]
    # white on both sides tells the limbus from the pupil of a light iris
    white = np.minimum(right, left)[:, 4:]
    white = np.clip(white / np.percentile(white[seen > 0.5], 95), 0, 1) if (seen > 0.5).any() else white
    return _Look(grey, low, lids, centres, np.sqrt(rise[0] * rise[1] * seen) * white**2)


def _refine(look: _Look, radius: int, rays: Floats, unit: float) -> Iris:
    """The circle through the edge points of one eye, from the best centre for a radius."""
    near = look.score[:, max(0, radius - 1) : radius + 2].max(1)
    if near.max() <= 0:
        return _none("no edge between iris and sclera is visible")
    grey, lids, centre, r = look.grey, look.lids, look.centres[near.argmax()], unit * _RADII[radius + 2]
    depth = np.linspace(0.7, 1.32, 63)
    rho = depth[1:-1]
    for window in (0.2, 0.14, 0.1, 0.1):
        at = centre + r * depth[:, None, None] * rays
        profile = bilinear(grey, at)  # (D, A)
        rise = np.clip(profile[2:] - profile[:-2], 0, None)
        bell = np.exp(-0.5 * ((rho[:, None] - 1) / window) ** 2)
        mass = (rise * bell).sum(0)
        edge = (rise * bell * rho[:, None]).sum(0) / np.maximum(mass, 1e-9)
        white = profile[(depth > 1.1) & (depth < 1.25)].mean(0)
        contrast = white - profile[depth < 0.9].mean(0)
        use = (contrast > np.maximum(_CONTRAST, _STEP * white)) & _inside(
            lids, centre + r * 1.06 * rays
        ).astype(bool)
        if min(use[:_SIDE].sum(), use[_SIDE:].sum()) < _RAYS:
            return _none("too little of the iris's edge is visible beside the lids")
        found = centre + (r * edge)[:, None] * rays
        centre, r, cov, rest = _circle(found[use], centre, r)
    if rest > _RESIDUAL * r:
        return _none("what is visible of the iris's edge is no circle")
    if r < MIN_RADIUS:
        return _none(f"the iris is less than {2 * MIN_RADIUS:.0f} pixels wide")
    x, y = (centre + look.low).tolist()
    return Iris(x, y, r, float(2 * rest * np.sqrt(cov)), "")


def _circle(p: Floats, centre: Floats, r: float) -> tuple[Floats, float, float, float]:
    """Robust geometric circle fit: centre, radius, variance factor of the radius, residual SD."""
    weight = np.ones(len(p))
    for _ in range(6):
        to = p - centre
        rho = np.hypot(*to.T)
        jac = np.column_stack([to / rho[:, None], np.ones(len(p))])
        rest = rho - r
        a = jac.T @ (jac * weight[:, None])
        move = np.linalg.solve(a, jac.T @ (weight * rest))
        centre, r = centre + move[:2], r + move[2]
        rest = rest - jac @ move
        scale = 1.4826 * float(np.median(np.abs(rest))) + 1e-3 * r
        weight = np.clip(1 - (rest / (4.7 * scale)) ** 2, 0, None) ** 2
    return centre, float(r), float(np.linalg.inv(a)[2, 2]), scale


def _inside(polygon: Floats, p: Floats) -> Floats:
    """1 where points (..., 2) lie in a convex polygon with clockwise corners (y down), else 0."""
    inside = np.ones(p.shape[:-1], dtype=bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        u = b - a
        inside &= u[0] * (p[..., 1] - a[1]) - u[1] * (p[..., 0] - a[0]) >= 0
    return inside.astype(np.float64)


def bilinear(image: NDArray[np.generic], p: Floats) -> Floats:
    """Values of an image at points (..., 2), x and y; the border's beyond it."""
    height, width = image.shape[:2]
    x = np.clip(p[..., 0], 0, width - 1.001)
    y = np.clip(p[..., 1], 0, height - 1.001)
    i, j = y.astype(np.intp), x.astype(np.intp)
    fy, fx = y - i, x - j
    if image.ndim == 3:
        fy, fx = fy[..., None], fx[..., None]
    flat = image.reshape(height * width, *image.shape[2:])
    k = i * width + j
    top = flat[k] * (1 - fx) + flat[k + 1] * fx
    bottom = flat[k + width] * (1 - fx) + flat[k + width + 1] * fx
    return np.asarray(top * (1 - fy) + bottom * fy)
