"""The iris: the disc that it is between the lids of either eye, and its outline where that can be seen.

The disc is there in every photo, however small, dark or clouded, and says where an eye looks. Its outline,
the limbus, is measured from there, at full resolution, to a fraction of a pixel, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import Floats, face_axes, outer_canthal_distance
from anthropo.measurement.colour import LUMINANCE
from anthropo.measurement.sampling import LIDS, SIDES, WHITE, Bools, Pixels, Samples, Window
from anthropo.photo import LUMA, Photo

# ---------------------------------------------------------------------------------------- disc

# A grid over each eye, in outer-canthal distances from the centre of the lids: towards the nose, and
# down. An iris is 11.7 mm wide, an outer-canthal distance 70 to 100 mm.
_X, _Y = np.meshgrid(np.linspace(-0.19, 0.19, 39), np.linspace(-0.1, 0.1, 21))
#: Positions on an eye's grid, (G, 2).
GRID = np.column_stack([_X.ravel(), _Y.ravel()])
_RADII = (0.057, 0.064, 0.071, 0.078)
# On 51 studio photographs with rings placed by hand, the centre lies 0.021 above that of the lids, SD
# 0.005: lids follow the gaze up and down, so that only left and right are searched.
_IRIS_Y = -0.021
_SEEN_Y = -0.03  # where the disc is searched: the upper lid's shadow is part of what is dark
_GAZE = 6.0  # contrast, in mean lights of the eye, that an outer-canthal distance aside takes


@dataclass(frozen=True, slots=True, eq=False)
class EyeGrid:
    """What lies under the grid of one eye."""

    centre: Floats  # of the lids, pixels of the window
    axes: Floats  # (2, 2), rows: towards the nose, down; unit length
    unit: float  # outer-canthal distance, pixels
    luminance: Floats  # (G,)
    glint: Bools  # the light's reflection on the cornea
    between: Bools  # the lids

    @classmethod
    def of(cls, pixels: Pixels, face: Floats, side: str) -> EyeGrid:
        """The grid of one side's eye, from a picture and landmarks (68, 2) in its pixels."""
        unit = outer_canthal_distance(face)
        right, down = face_axes(face) / unit
        axes = np.array([right if side == "R" else -right, down])
        lids = LIDS[side]
        centre = face[[*lids[0], *lids[1][1:-1]]].mean(0)
        seen = Samples.read(pixels, centre + unit * (GRID @ axes))
        upper, lower = (((face - centre) @ axes.T / unit)[list(line)] for line in lids)
        top, bottom = np.interp(_X[0], *upper.T), np.interp(_X[0], *lower.T)
        open_at = (_X[0] >= upper[0, 0]) & (_X[0] <= upper[-1, 0])
        between = np.asarray((open_at & (top <= _Y) & (bottom >= _Y)).ravel())
        glint = np.asarray((seen.levels >= WHITE).all(-1))
        return cls(centre, axes, unit, seen.light @ LUMINANCE, glint, between)

    def local(self, at: Floats) -> Floats:
        """Positions in the window as positions on the grid."""
        return np.asarray((at - self.centre) @ self.axes.T / self.unit)

    def blurred(self) -> Floats:
        """The luminance (G,) smoothed over one step to all sides."""
        padded = np.pad(self.luminance.reshape(_X.shape), 1, mode="edge")
        across = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
        return np.asarray((across[:-2] + 2 * across[1:-1] + across[2:]) / 4).ravel()


@lru_cache(maxsize=1)
def _discs() -> tuple[Floats, NDArray[np.float32], NDArray[np.float32]]:
    """Candidates (C, 3): x, y, radius; what is inside each, (C, G); and what lies beside it."""
    candidates = np.array([(x, _SEEN_Y, r) for x in np.linspace(-0.08, 0.08, 33) for r in _RADII])
    across, down, radius = candidates.T[:, :, None]
    across = ((_X[0] - across) / radius)[:, None] ** 2  # (C, 1, columns of the grid)
    down = ((_Y[:, 0] - down) / radius)[..., None] ** 2
    distance = across + down  # squared, in radii
    lateral = down <= across  # lids hide the limbus above and below
    inside = distance < 1
    beside = (distance > 1.15**2) & (distance < 1.6**2) & lateral
    return candidates, *(mask.reshape(len(candidates), -1).astype(np.float32) for mask in (inside, beside))


def iris_discs(grids: Sequence[EyeGrid]) -> Floats:
    """The darkest disc between the lids of the right and the left eye: x, y and radius on its grid, (2, 3).

    Half of what speaks for a gaze in the one eye counts for the other, so that a clouded iris, which
    is not dark, is looked for where the other eye looks.
    """
    candidates, inside, beside = _discs()
    luminance, mask = np.stack([g.luminance for g in grids]), np.stack([g.between for g in grids])
    both = np.concatenate([np.where(mask, luminance, 0), mask]).T.astype(np.float32)
    dark, lit = inside @ both, beside @ both
    contrast = lit[:, :2] / np.maximum(lit[:, 2:], 1) - dark[:, :2] / np.maximum(dark[:, 2:], 1)
    # a disc that is mostly hidden proves nothing; and gaze is rarely far aside
    hidden = (dark[:, 2:] <= 0.45 * inside.sum(1)[:, None]) | (lit[:, 2:] <= 8)
    level = both[:, :2].sum(0) / np.maximum(1, both[:, 2:].sum(0))
    score = np.where(hidden, -1, contrast / np.maximum(level, 1e-6)) - _GAZE * np.abs(candidates[:, :1])
    # gaze to one side is towards the nose in one eye, away from it in the other
    other = score.reshape(-1, len(_RADII), 2)[::-1, :, ::-1].reshape(-1, 2)
    darkest: Floats = candidates[(score + other / 2).argmax(0)]
    darkest[:, 1] = _IRIS_Y
    return darkest


# -------------------------------------------------------------------------------------- circle

# Radii in outer-canthal distances: visible irises of adults have 0.068 (SD 0.003), of newborns up to 0.085.
_STARTS = (0.060, 0.068, 0.078)
_LARGEST = 0.096
_HALF = (0.24, 0.14)  # width and height of the region looked at, halved, outer-canthal distances

# Arcs right and left of the iris, from the horizontal. Lids cover what is above and below.
_ARC = np.radians(np.linspace(-40.0, 40.0, 13))
_ANGLES = np.concatenate([np.pi - _ARC, _ARC])
_SIDE = len(_ARC)
_DEPTH = np.linspace(0.7, 1.32, 63)  # where a ray is looked at, radii

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
    sd: float  # of the diameter, full-photo pixels: how well the circle is fixed by its edge points
    reason: str  # empty, or why the rest is NaN
    score: float = 0.0  # how clear its edge is; comparable within one eye


def iris_circles(photo: Photo, points: Floats) -> tuple[Iris, Iris]:
    """The irises of the subject's right and left eye, from landmarks (68, 2) in full-photo pixels.

    An iris that cannot be measured is NaN with the reason: eye closed, iris covered, too small, too little
    contrast, or eyes that differ by more than 8 %.

    From the disc of `iris_discs`, the edge between dark and light is located on every ray of the two lateral
    arcs, and a circle fitted to the edge points, from several radii. Of their results that one is taken which
    both eyes together have the largest step of light across the arcs for (the integro-differential operator
    of Daugman 1993, IEEE TPAMI 15:1148, on the arcs between the lids).
    """
    unit = outer_canthal_distance(points)
    if _LARGEST * unit < MIN_RADIUS:
        return (_none(f"the iris is less than {2 * MIN_RADIUS:.0f} pixels wide"),) * 2
    window = Window.of(photo, points[None])
    grids = [EyeGrid.of(window.pixels, window.faces[0], side) for side in SIDES]
    photo = photo.finer(1)
    axes = face_axes(points) / unit
    eyes = [
        _circles(photo, points[eye], unit * disc[:2] @ grid.axes, axes, unit)
        for eye, disc, grid in zip((slice(36, 42), slice(42, 48)), iris_discs(grids), grids, strict=True)
    ]
    # both irises have one size: the radius that suits both eyes keeps either from taking its pupil
    scores = np.sqrt([[iris.score for iris in eye] for eye in eyes])
    best = int((scores / np.maximum(scores.max(1, keepdims=True), 1e-9)).sum(0).argmax())
    right, left = (eye[best] for eye in eyes)
    if abs(right.r - left.r) > _DISAGREE * (right.r + left.r) / 2:
        share = abs(right.r - left.r) / (right.r + left.r) * 200
        return (_none(f"the irises of the two eyes differ by {share:.0f} %"),) * 2
    return right, left


def _none(reason: str) -> Iris:
    return Iris(np.nan, np.nan, np.nan, np.nan, reason)


def _circles(photo: Photo, lids: Floats, gaze: Floats, axes: Floats, unit: float) -> list[Iris]:
    """The iris of one eye from each of `_STARTS`; `gaze` leads from the lids' middle to the disc."""
    opening = np.hypot(*(lids[[1, 2]] - lids[[5, 4]]).T).mean()
    if opening <= _CLOSED * np.hypot(*(lids[3] - lids[0])):  # also where all lie on one place
        return [_none("the eye is closed")] * len(_STARTS)
    extent = unit * (np.abs(axes) * np.array(_HALF)[:, None]).sum(0)
    low = np.floor(lids.mean(0) - extent).astype(np.intp)
    high = np.ceil(lids.mean(0) + extent).astype(np.intp) + 1
    if (low < 0).any() or (high > photo.full_size).any():
        return [_none("the eye lies at the photo's border")] * len(_STARTS)
    grey = (photo.pixels[low[1] : high[1], low[0] : high[0]] @ LUMA).astype(np.float32)
    rays = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]) @ axes
    return [
        _circle_from(grey, low, lids - low, lids.mean(0) - low + gaze, unit * start, rays)
        for start in _STARTS
    ]


def _circle_from(
    grey: NDArray[np.float32], low: NDArray[np.intp], lids: Floats, centre: Floats, r: float, rays: Floats
) -> Iris:
    """The circle through the edge points of one eye, from a first centre and radius."""
    rho = _DEPTH[1:-1, None]
    for window in (0.2, 0.14, 0.1, 0.1):
        profile = bilinear(grey, centre + r * _DEPTH[:, None, None] * rays)  # (D, A)
        rise = np.clip(profile[2:] - profile[:-2], 0, None)
        near = rise * np.exp(-0.5 * ((rho - 1) / window) ** 2)
        edge = (near * rho).sum(0) / np.maximum(near.sum(0), 1e-9)
        white = profile[(_DEPTH > 1.1) & (_DEPTH < 1.25)].mean(0)
        contrast = white - profile[_DEPTH < 0.9].mean(0)
        use = (contrast > np.maximum(_CONTRAST, _STEP * white)) & _inside(lids, centre + r * 1.06 * rays)
        if min(use[:_SIDE].sum(), use[_SIDE:].sum()) < _RAYS:
            return _none("too little of the iris's edge is visible beside the lids")
        points = centre + (r * edge)[:, None] * rays
        centre, r, variance, residual = _fitted(points[use], centre, r)
    if residual > _RESIDUAL * r:
        return _none("what is visible of the iris's edge is no circle")
    if r < MIN_RADIUS:
        return _none(f"the iris is less than {2 * MIN_RADIUS:.0f} pixels wide")
    step = (rise * np.exp(-0.5 * ((rho - 1) / 0.06) ** 2)).sum(0) * use
    # white on both sides tells the limbus from the pupil of a light iris
    score = np.sqrt(step[:_SIDE].sum() * step[_SIDE:].sum()) * np.median(white[use]) ** 2
    x, y = (centre + low).tolist()
    return Iris(x, y, r, float(2 * residual * np.sqrt(variance)), "", float(score))


class _Circle(NamedTuple):
    centre: Floats
    r: float
    variance: float  # of the radius, in variances of an edge point
    residual: float  # SD of an edge point


def _fitted(p: Floats, centre: Floats, r: float) -> _Circle:
    """Circle through points (P, 2) by robust geometric least squares (Tukey's biweight), from a first one."""
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
    return _Circle(centre, float(r), float(np.linalg.inv(a)[2, 2]), scale)


def _inside(polygon: Floats, p: Floats) -> Bools:
    """Which points (..., 2) lie in a convex polygon with clockwise corners (y down)."""
    inside = np.ones(p.shape[:-1], dtype=bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        u = b - a
        inside &= u[0] * (p[..., 1] - a[1]) - u[1] * (p[..., 0] - a[0]) >= 0
    return inside


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
