"""Pixels under a face: regions of sample points that follow it, and what is read there.

Every region is a set of sample points, each a fixed weighted mean of the 68 landmarks, so that it
follows the face wherever it lies, however it is rolled and however large it is; left and right are
mirror images. Samples are read by bilinear interpolation in linear light.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.decoding.icc import srgb_to_linear
from anthropo.face.frame import Floats, median, outer_canthal_distance
from anthropo.photo import Photo

Bools = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

SIDES = ("R", "L")
#: Upper and lower lid of each eye, from the outer to the inner canthus.
LIDS = {"R": ((36, 37, 38, 39), (36, 41, 40, 39)), "L": ((45, 44, 43, 42), (45, 46, 47, 42))}
#: Rows and columns of the samples of the philtrum.
PHILTRUM = (10, 31)
#: Interleaved subsets of a region's samples, which tell the error of sampling.
SUBSETS = 4
#: 8-bit levels from which on, and up to which, a channel is taken as clipped.
WHITE, BLACK = 250, 6
#: Least outer-canthal distance in the photo, px: the iris is then 10 px wide.
LEAST = 75.0

# How finely the face is looked at: the decode whose outer-canthal distance is the smallest above this.
_FACE_PIXELS = 96.0
_CLIPPED = 0.2  # share of clipped samples that makes a region unusable
_TRUE_SPREAD = 2.0  # true error of a landmark to its spread over jittered boxes (measured on annotated faces)
_LINEAR = np.array([srgb_to_linear(level / 255) for level in range(256)], np.float32)


def _along(points: Sequence[int], t: Floats) -> Floats:
    """Weights of the 68 points, (T, 68), at fractions `t` of a line through some (by their count)."""
    at = t * (len(points) - 1)
    low = np.clip(np.floor(at).astype(int), 0, len(points) - 2)
    weights = np.zeros((len(t), 68))
    rows = np.arange(len(t))
    np.add.at(weights, (rows, np.take(points, low)), 1 - (at - low))
    np.add.at(weights, (rows, np.take(points, low + 1)), at - low)
    return weights


def _between(a: Floats, b: Floats, s: Floats) -> Floats:
    """Rows of weights at fractions `s` of the way from the line `a` to the line `b`."""
    return np.asarray((1 - s)[:, None, None] * a + s[:, None, None] * b)


def _strip(
    a: Sequence[int], b: Sequence[int], t: tuple[float, float, int], s: tuple[float, float, int]
) -> Floats:
    ts, ss = np.linspace(*t), np.linspace(*s)
    return _between(_along(a, ts), _along(b, ts), ss)


@lru_cache(maxsize=1)
def _strips() -> dict[str, tuple[Floats, ...]]:
    """Weights of every region's samples, in grids of (rows, columns, 68)."""
    parts: dict[str, tuple[Floats, ...]] = {
        "lip": (
            _strip(range(48, 55), range(60, 65), (0.15, 0.85, 20), (0.3, 0.8, 4)),
            _strip((48, 59, 58, 57, 56, 55, 54), (60, 67, 66, 65, 64), (0.15, 0.85, 20), (0.25, 0.8, 6)),
        ),
        "perioral": (
            _strip(range(31, 36), range(49, 54), (0.0, 1.0, 20), (0.4, 0.75, 4)),
            _strip(range(59, 54, -1), range(6, 11), (0.1, 0.9, 20), (0.15, 0.4, 6)),
        ),
        # columns on either side of the crests (points 50 and 52), by half their distance from the middle
        "philtrum": (
            _strip(range(31, 36), range(49, 54), (0.125, 0.875, PHILTRUM[1]), (0.3, 0.75, PHILTRUM[0])),
        ),
    }
    for side, lower, corner, outline in (("R", (41, 40), 48, 2), ("L", (46, 47), 54, 14)):
        below = np.bincount(lower, minlength=68) / 2
        line = _between(below[None], np.eye(68)[[corner]], np.linspace(0.32, 0.58, 10))[:, 0]
        parts[f"cheek_{side}"] = (_between(line, np.eye(68)[[outline]], np.linspace(0.0, 0.3, 10)),)
        parts[f"sclera_{side}"] = (_strip(*LIDS[side], (0.08, 0.88, 25), (0.15, 0.85, 8)),)
    return parts


@lru_cache(maxsize=1)
def weights() -> Floats:
    """Weights of the samples of all regions, (N, 68)."""
    return np.concatenate([grid.reshape(-1, 68) for grids in _strips().values() for grid in grids])


@lru_cache(maxsize=1)
def regions() -> dict[str, slice]:
    """The samples of each region among the rows of `weights`."""
    ends = np.cumsum([sum(grid.size // 68 for grid in grids) for grids in _strips().values()]).tolist()
    return {name: slice(a, b) for name, a, b in zip(_strips(), [0, *ends[:-1]], ends, strict=True)}


def outlines(region: str) -> list[Floats]:
    """The polygons that hold a region's samples, as weights of the 68 points, (K, 68) each."""
    return [
        np.concatenate([grid[0], grid[1:, -1], grid[-1, -2::-1], grid[-2:0:-1, 0]])
        for grid in _strips()[region]
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A face's surroundings, as fine as its pixels are looked at."""

    pixels: Pixels
    faces: Floats  # (K, 68, 2) landmarks in its pixels

    @classmethod
    def of(cls, photo: Photo, faces: Floats) -> Window:
        """The window of faces (K, 68, 2), full-photo pixels, of which the first decides the size."""
        photo = decoded_for_samples(photo, faces[0])
        local = photo.to_decoded(faces)
        factor = max(1, _reduction(faces[0]) // photo.decode_scale)
        if factor == 1:
            return cls(photo.pixels, local)
        height, width = photo.pixels.shape[:2]
        # at least one pixel, also of a face whose landmarks were moved beyond the border
        low = np.clip(np.floor(local.min((0, 1)) - 4 * factor), 0, (width - 1, height - 1)).astype(int)
        high = np.minimum((width, height), np.ceil(local.max((0, 1)) + 4 * factor)).astype(int)
        size = np.maximum(1, (high - low) // factor)
        crop = photo.pixels[low[1] : low[1] + size[1] * factor, low[0] : low[0] + size[0] * factor]
        return cls(np.asarray(Image.fromarray(crop).reduce(factor)), (local - low + 0.5) / factor - 0.5)


def decoded_for_samples(photo: Photo, points: Floats) -> Photo:
    """The photo, decoded as finely as samples of a face (68, 2) need it."""
    return photo.finer(min(8, _reduction(points)))


def _reduction(points: Floats) -> int:
    """Photo pixels per pixel that a face (68, 2) is looked at with."""
    unit = outer_canthal_distance(points)
    return max(s for s in (1, 2, 4, 8, 16, 32) if s == 1 or unit / s >= _FACE_PIXELS)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What is read at N places, of the face and of its jittered evaluations."""

    at: Floats  # (K, N, 2), pixels of the window
    light: Floats  # (K, N, 3) linear RGB
    levels: Pixels  # (K, N, 3) of the nearest pixel
    inside: Bools  # (K, N), whether the place is in the picture

    @classmethod
    def read(cls, pixels: Pixels, at: Floats) -> Samples:
        """The samples of a picture (H, W, 3) at places (K, N, 2)."""
        height, width = pixels.shape[:2]
        inside = np.asarray(((at > -0.5) & (at < np.array([width, height]) - 0.5)).all(-1))
        x = np.clip(at[..., 0], 0, width - 1)
        y = np.clip(at[..., 1], 0, height - 1)
        x0 = np.minimum(x.astype(np.intp), max(0, width - 2))
        y0 = np.minimum(y.astype(np.intp), max(0, height - 2))
        u, v = (x - x0).astype(np.float32)[..., None], (y - y0).astype(np.float32)[..., None]
        flat = pixels.reshape(-1, 3)
        first = y0 * width + x0
        right, down = int(width > 1), width * int(height > 1)
        corner = flat.take(first, axis=0)
        light = [_LINEAR.take(corner)]
        light += [_LINEAR.take(flat.take(first + step, axis=0)) for step in (right, down, down + right)]
        top = light[0] + (light[1] - light[0]) * u
        return cls(at, top + (light[2] + (light[3] - light[2]) * u - top) * v, corner, inside)

    def of(self, region: str) -> Samples:
        """The samples of one region, of samples that were read at the places of `weights`."""
        part = regions()[region]
        return Samples(self.at[:, part], self.light[:, part], self.levels[:, part], self.inside[:, part])


@dataclass(frozen=True, slots=True, eq=False)
class RegionColour:
    """Linear RGB of one region: of the face, of its jittered evaluations, of subsets of its samples."""

    colour: Floats  # (K + SUBSETS, 3)
    reason: str  # why there is none, or empty

    @classmethod
    def of_skin(cls, name: str, samples: Samples) -> RegionColour:
        """The median colour of a region of skin."""
        levels, light = samples.levels[0], samples.light
        reason = ""
        if (levels >= WHITE).any(-1).mean() > _CLIPPED:
            reason = f"the {name} is over-exposed"
        elif (levels <= BLACK).all(-1).mean() > _CLIPPED:
            reason = f"the {name} is under-exposed"
        if not samples.inside.all():
            reason = f"the {name} lies beyond the photo's border"
        parts = light[0, : len(light[0]) // SUBSETS * SUBSETS].reshape(-1, SUBSETS, 3)
        return cls(np.concatenate([median(light, 1), median(parts, 0)]), reason)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A number read from pixels, as often as a `RegionColour` has colours."""

    values: Floats  # (K + SUBSETS,)
    reason: str  # why there is none, or empty
    sd: float = 0.0  # of what neither landmarks nor sampling show


@dataclass(frozen=True, slots=True)
class Appearance:
    """One value read from pixels. One that cannot be computed is NaN, with the reason."""

    value: float
    sd: float  # standard error: landmarks and sampling; NaN without samples of the landmarks
    reason: str  # empty, or why there is no value or no sd


def estimate(reading: Reading, jittered: int, reason: str = "") -> Appearance:
    """The value and standard error of a reading over `jittered` evaluations; NaN where there is a reason."""
    numbers = reading.values.tolist()
    value = numbers[0]
    reason = reason or reading.reason
    if reason or not math.isfinite(value):
        return Appearance(math.nan, math.nan, reason or "its region is empty")
    if jittered < 2:
        return Appearance(value, math.nan, "no interval without jitter")
    landmarks = _variance(numbers[1 : 1 + jittered])
    sampling = _variance(numbers[1 + jittered :]) / SUBSETS
    return Appearance(value, math.sqrt(_TRUE_SPREAD**2 * landmarks + sampling + reading.sd**2), "")


def _variance(numbers: list[float]) -> float:
    known = [n for n in numbers if math.isfinite(n)]
    if len(known) < 2:
        return 0.0
    mean = sum(known) / len(known)
    return sum((n - mean) ** 2 for n in known) / (len(known) - 1)
