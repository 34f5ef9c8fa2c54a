"""Pixels to measurements: colour of lips, skin and sclera, clarity of the eye, relief and texture of skin.

Every region is a set of sample points, each a fixed weighted mean of the 68 landmarks, so that it
follows the face wherever it lies, however it is rolled and however large it is; left and right are
mirror images. Samples are read by bilinear interpolation in linear light.

What holds under which light
    A camera's exposure and white balance multiply linear R, G and B by one number each (von Kries).
    ``log10`` of a ratio of two regions' channels therefore does not change with them: these are the
    indices ``lip_cyanosis``, ``perioral_cyanosis``, ``erythema_*``, ``lip_redness``, ``lip_darkness``
    and ``sclera_yellowness_*``. The lightnesses of the eye are relative to the sclera's and so stand
    exposure. Over ±20 % of light and warm and cool casts they all change by less than 0.25 of the SD
    between people (development/appearance.py). A tone curve is no such gain: 20 % more contrast in an
    image editor moves the indices by 0.4 to 1.3 SD, haze and lightness of the pupil by 4.
    CIELAB values (``*_lightness``, ``*_a``, ``*_b``) are those of the picture as it is (a cast moves b*
    by up to 3.6 SD): they are comparable under one camera's fixed light, exposure and white balance only.

Why R to G
    Between 600 and 700 nm deoxygenated haemoglobin absorbs up to ten times as much as oxygenated;
    over the green they are alike on average. Taking the tabulated spectra (Prahl, OMLC) through a
    Kubelka-Munk layer to sRGB, a fall of saturation from 75 to 45 % lowers log10 R by 0.02 (1 % of
    blood) to 0.06 (8 %) while log10 G and log10 B move by less than 0.005 and 0.012. Cyanosis is a loss of
    redness more than a gain of blue, as was found on simulated faces (Dain 2014, JOSA A 31:A303). Less
    blood (pallor) lowers R/G as well but makes lips lighter: see ``lip_darkness``. Bilirubin absorbs
    blue light and leaves R/G alone, so a yellow sclera is still a white reference for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.face import _engine
from anthropo.face.frame import face_axes, outer_canthal_distance
from anthropo.face.scheme import LANDMARKS
from anthropo.photo import Photo

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIDES = ("R", "L")
_LOGARITHMIC = (
    "lip_redness",
    "lip_darkness",
    "lip_cyanosis",
    "perioral_cyanosis",
    *(f"{index}_{side}" for index in ("erythema", "sclera_yellowness") for side in SIDES),
)
#: Everything that `appearance` gives, by kind.
COLOUR = (
    *(f"{region}_{channel}" for region in ("lip", "perioral") for channel in ("lightness", "a", "b")),
    *(
        f"{region}_{channel}_{side}"
        for region in ("cheek", "sclera")
        for channel in ("lightness", "a", "b")
        for side in SIDES
    ),
    *_LOGARITHMIC,
)
EYE = tuple(
    f"{index}_{side}" for index in ("corneal_haze", "pupil_lightness", "pupil_contrast") for side in SIDES
)
TEXTURE = ("philtrum_relief",)

# How finely the face is looked at: the decode whose outer-canthal distance is the smallest above this.
_FACE_PIXELS = 96.0
_LEAST = 75.0  # px of outer-canthal distance in the photo: the iris is then 10 px wide
_LEAST_SCLERA = 12.0  # px of visible sclera
_CLOSED = 0.2  # height of the lid opening to its length: below, eyes are closed or screwed up
_WHITE, _BLACK = 250, 6  # 8-bit levels that are taken as clipped
_CLIPPED = 0.2  # share of clipped samples that makes a region unusable
_GREY = 2  # largest difference between a grey photograph's channels, levels

_JITTERED = 4  # evaluations of the landmarks that the spread is taken from
_TRUE_SPREAD = 2.0  # true error of a landmark to its spread over jittered boxes (measured on annotated faces)
_SUBSETS = 4  # interleaved subsets of a region's samples
# What recompression (JPEG, quality 50) changes in a region's median colour, 1 SD over studio photographs
_LAB_SD = 0.45
_LOG_SD = 0.005


@dataclass(frozen=True, slots=True)
class Appearance:
    """One value read from pixels. One that cannot be had is NaN, with the reason."""

    value: float
    sd: float  # standard error: landmarks and sampling; NaN without samples of the landmarks
    reason: str  # empty, or why there is no value or no sd


# -------------------------------------------------------------------------------------- colour

# IEC 61966-2-1: levels to linear light, and linear sRGB to CIE XYZ of white D65
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_D65 = np.array([0.95047, 1.0, 1.08883])
_LUMINANCE = _XYZ[1]


def lab(linear: Floats) -> Floats:
    """CIELAB (D65, 2° observer) of linear sRGB, (..., 3) from 0 to 1; CIE 15:2004."""
    t = linear @ _XYZ.T / _D65
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _lightness(relative: Floats) -> Floats:
    """L* of a luminance relative to white."""
    return np.where(relative > (6 / 29) ** 3, 116 * np.cbrt(relative) - 16, relative * (29 / 3) ** 3)


# ------------------------------------------------------------------------------------- regions


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


def _steps(start: float, stop: float, count: int) -> Floats:
    """Evenly spaced numbers, both ends included."""
    return np.asarray(np.linspace(start, stop, count), dtype=np.float64)


def _strip(
    a: Sequence[int],
    b: Sequence[int],
    t: tuple[float, float, int],
    s: tuple[float, float, int],
) -> Floats:
    ts, ss = _steps(*t), _steps(*s)
    return _between(_along(a, ts), _along(b, ts), ss)


_LIDS = {"R": ((36, 37, 38, 39), (36, 41, 40, 39)), "L": ((45, 44, 43, 42), (45, 46, 47, 42))}
_PHILTRUM = (10, 31)  # rows, columns
# What is looked at of the iris, from and up to which part of its radius
_MIDDLE = 0.35  # the pupil
_CENTRE = 0.6
_RING = (0.5, 0.85)
_DISC_PARTS = {
    "corneal_haze": ((0.0, _CENTRE),),
    "pupil_lightness": ((0.0, _MIDDLE),),
    "pupil_contrast": ((0.0, _MIDDLE), _RING),
}


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
            _strip(range(31, 36), range(49, 54), (0.125, 0.875, _PHILTRUM[1]), (0.3, 0.75, _PHILTRUM[0])),
        ),
    }
    for side, lower, corner, outline in (("R", (41, 40), 48, 2), ("L", (46, 47), 54, 14)):
        below = np.bincount(lower, minlength=68) / 2
        line = _between(below[None], np.eye(68)[[corner]], _steps(0.32, 0.58, 10))[:, 0]
        parts[f"cheek_{side}"] = (_between(line, np.eye(68)[[outline]], _steps(0.0, 0.3, 10)),)
        parts[f"sclera_{side}"] = (_strip(*_LIDS[side], (0.08, 0.88, 25), (0.15, 0.85, 8)),)
    return parts


@lru_cache(maxsize=1)
def _regions() -> tuple[Floats, dict[str, slice]]:
    """Weights of every sample, (N, 68), and which samples are a region's."""
    parts = {
        name: np.concatenate([grid.reshape(-1, 68) for grid in grids]) for name, grids in _strips().items()
    }
    at, slices = 0, {}
    for name, part in parts.items():
        slices[name] = slice(at, at + len(part))
        at += len(part)
    return np.concatenate(list(parts.values())), slices


def outlines(region: str) -> list[Floats]:
    """The polygons that hold a region's samples, as weights of the 68 points, (K, 68) each."""
    return [
        np.concatenate([grid[0], grid[1:, -1], grid[-1, -2::-1], grid[-2:0:-1, 0]])
        for grid in _strips()[region]
    ]


_SCLERAS, _CHEEKS = (tuple(f"{region}_{side}" for side in SIDES) for region in ("sclera", "cheek"))
_INDICES = {
    "lip_redness": ("lip", *_CHEEKS),
    "lip_darkness": ("lip", *_CHEEKS),
    "lip_cyanosis": ("lip", *_SCLERAS),
    "perioral_cyanosis": ("perioral", *_SCLERAS),
    "philtrum_relief": ("philtrum",),
    **{f"erythema_{side}": (f"cheek_{side}", *_SCLERAS) for side in SIDES},
    **{f"sclera_yellowness_{side}": (f"sclera_{side}", *_CHEEKS) for side in SIDES},
    **{f"{index}_{side}": (f"sclera_{side}",) for index in _DISC_PARTS for side in SIDES},
}


def regions_of(name: str) -> tuple[str, ...]:
    """The regions whose pixels an entry is read from, its own first; of the iris, see `rings_of`."""
    if name in _INDICES:
        return _INDICES[name]
    base, _, rest = name.partition("_")
    return (f"{base}_{rest[-1]}" if rest[-2:] in ("_R", "_L") else base,)


def rings_of(name: str) -> tuple[tuple[float, float], ...]:
    """Inner and outer radius of the parts of the iris that an entry is read from; its radius is 1."""
    return _DISC_PARTS.get(name[:-2], ())


# --------------------------------------------------------------------------------------- iris

# A grid over each eye, in outer-canthal distances from the centre of the lids: towards the nose, and
# down. An iris is 11.7 mm wide, an outer-canthal distance 70 to 100 mm.
_X, _Y = np.meshgrid(_steps(-0.19, 0.19, 39), _steps(-0.1, 0.1, 21))
_GRID = np.column_stack([_X.ravel(), _Y.ravel()])
_RADII = (0.057, 0.064, 0.071, 0.078)
# On 51 studio photographs with rings placed by hand, the centre lies 0.021 above that of the lids, SD
# 0.005: lids follow the gaze up and down, so that only left and right are searched.
_IRIS_Y = -0.021
_DISC_SD = 0.006
_SEEN_Y = -0.03  # where the disc is searched: the upper lid's shadow is part of what is dark
_GAZE = 6.0  # contrast, in mean lights of the eye, that an outer-canthal distance aside takes


@lru_cache(maxsize=1)
def _discs() -> tuple[Floats, NDArray[np.float32], NDArray[np.float32]]:
    """Candidates (C, 3): x, y, radius; what is inside each, (C, G); and what lies beside it."""
    candidates = np.array([(x, _SEEN_Y, r) for x in _steps(-0.08, 0.08, 33) for r in _RADII])
    away = (_GRID[None] - candidates[:, None, :2]) / candidates[:, None, 2:]
    distance = np.hypot(away[..., 0], away[..., 1])
    lateral = np.abs(away[..., 1]) <= np.abs(away[..., 0])  # lids hide the limbus above and below
    inside = distance < 1
    beside = (distance > 1.15) & (distance < 1.6) & lateral
    return candidates, inside.astype(np.float32), beside.astype(np.float32)


def _lid_mask(local: Floats, side: str) -> Bools:
    """Which points of the eye's grid (G,) lie between the lids, from 68 points in its coordinates."""
    upper, lower = (local[list(line)] for line in _LIDS[side])
    x = _X[0]
    top, bottom = np.interp(x, *upper.T), np.interp(x, *lower.T)
    open_at = (x >= upper[0, 0]) & (x <= upper[-1, 0])
    return np.asarray((open_at & (top <= _Y) & (bottom >= _Y)).ravel())


def _find_irises(luminance: Floats, mask: Bools) -> Floats:
    """Darkest disc between the lids of each eye, right and left (2, G): x, y and radius, (2, 3).

    Half of what speaks for a gaze in the one eye counts for the other, so that a clouded iris, which
    is not dark, is looked for where the other eye looks.
    """
    candidates, inside, beside = _discs()
    both = np.concatenate([np.where(mask, luminance, 0), mask]).T.astype(np.float32)
    dark, lit = inside @ both, beside @ both
    contrast = lit[:, :2] / np.maximum(lit[:, 2:], 1) - dark[:, :2] / np.maximum(dark[:, 2:], 1)
    # a disc that is mostly hidden proves nothing; and gaze is rarely far aside
    hidden = (dark[:, 2:] <= 0.45 * inside.sum(1)[:, None]) | (lit[:, 2:] <= 8)
    level = both[:, :2].sum(0) / np.maximum(1, both[:, 2:].sum(0))
    score = np.where(hidden, -1, contrast / np.maximum(level, 1e-6)) - _GAZE * np.abs(candidates[:, :1])
    # gaze to one side is towards the nose in one eye, away from it in the other
    other = score.reshape(-1, len(_RADII), 2)[::-1, :, ::-1].reshape(-1, 2)
    found: Floats = candidates[(score + other / 2).argmax(0)]
    found[:, 1] = _IRIS_Y
    return found


def _blurred(luminance: Floats) -> Floats:
    """The eye's grid (G,) smoothed over one step to all sides."""
    padded = np.pad(luminance.reshape(_X.shape), 1, mode="edge")
    across = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return np.asarray((across[:-2] + 2 * across[1:-1] + across[2:]) / 4).ravel()


def _quantile(values: Floats, mask: Bools, q: float) -> Floats:
    """Quantile along the last axis of what the mask lets through; NaN when that is nothing."""
    n = mask.sum(-1)
    ordered = np.sort(np.where(mask, values, np.inf), axis=-1)
    at = q * np.maximum(n - 1, 0)
    low = np.floor(at).astype(int)
    a = np.take_along_axis(ordered, low[..., None], -1)[..., 0]
    b = np.take_along_axis(ordered, np.minimum(low + 1, np.maximum(n - 1, 0))[..., None], -1)[..., 0]
    share = at - low
    return np.where(n > 0, (1 - share) * np.where(n > 0, a, 0) + share * np.where(n > 0, b, 0), np.nan)


# ------------------------------------------------------------------------------------- pixels


def _look(photo: Photo, points: Floats) -> tuple[Photo, int]:
    """The photo as fine as is needed, and by which factor its pixels are still to be reduced."""
    unit = outer_canthal_distance(points)
    scale = max(s for s in (1, 2, 4, 8, 16, 32) if s == 1 or unit / s >= _FACE_PIXELS)
    photo = photo.finer(min(8, scale))
    return photo, max(1, scale // photo.decode_scale)


def _window(photo: Photo, points: Floats, factor: int) -> tuple[NDArray[np.uint8], Floats]:
    """The face's surroundings, reduced, and the points (..., 68, 2) in its pixels."""
    local = photo.to_decoded(points)
    if factor == 1:
        return photo.pixels, local
    height, width = photo.pixels.shape[:2]
    low = np.maximum(0, np.floor(local.min((0, 1)) - 4 * factor).astype(int))
    high = np.minimum((width, height), np.ceil(local.max((0, 1)) + 4 * factor).astype(int))
    size = np.maximum(1, (high - low) // factor)
    crop = photo.pixels[low[1] : low[1] + size[1] * factor, low[0] : low[0] + size[0] * factor]
    return np.asarray(Image.fromarray(crop).reduce(factor)), (local - low + 0.5) / factor - 0.5


def _read(pixels: NDArray[np.uint8], at: Floats) -> tuple[Floats, NDArray[np.uint8], Bools]:
    """Linear RGB at positions (..., 2), the nearest levels, and whether the position is in the picture."""
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
    return top + (light[2] + (light[3] - light[2]) * u - top) * v, corner, inside


# -------------------------------------------------------------------------------- measurements


@dataclass(frozen=True, slots=True)
class _Region:
    """Linear RGB of one region: of the face, of its jittered evaluations, of subsets of its samples."""

    colour: Floats  # (1 + J + _SUBSETS, 3)
    reason: str  # why there is none, or empty


def _rows(jittered: int) -> int:
    return 1 + jittered + _SUBSETS


def _clipped(levels: NDArray[np.uint8]) -> str:
    """Why the levels (N, 3) cannot be trusted, or an empty string."""
    if (levels >= _WHITE).any(-1).mean() > _CLIPPED:
        return "over-exposed"
    if (levels <= _BLACK).all(-1).mean() > _CLIPPED:
        return "under-exposed"
    return ""


def _skin(name: str, values: Floats, levels: NDArray[np.uint8], inside: Bools) -> _Region:
    reason = _clipped(levels[0])
    reason = f"the {name} is {reason}" if reason else ""
    if not inside.all():
        reason = f"the {name} lies beyond the photo's border"
    parts = values[0, : len(values[0]) // _SUBSETS * _SUBSETS].reshape(-1, _SUBSETS, 3)
    return _Region(np.concatenate([np.median(values, axis=1), np.median(parts, axis=0)]), reason)


def appearance(photo: Photo, points: Floats, samples: Floats | None = None) -> dict[str, Appearance]:
    """Colour, clarity of the eyes and relief of the philtrum.

    Parameters
    ----------
    photo : Photo
    points : (68, 2) array
        Landmarks in full-photo pixels.
    samples : (K, 68, 2) array, optional
        Jittered evaluations of the landmarks, for the standard errors.

    Returns
    -------
    dict of Appearance
        By id, those of `COLOUR`, `EYE` and `TEXTURE`, always all of them:

        ``{lip,perioral,cheek,sclera}_{lightness,a,b}``
            CIELAB of the region's median colour, in the picture's own light.
        ``lip_redness``
            log10 of R/G, lips over cheeks (Takiwaki 1998, J Med Invest 44:121: the absorbance of
            haemoglobin as the difference of two log reflectances).
        ``lip_darkness``
            log10 of luminance, cheeks over lips.
        ``lip_cyanosis``, ``perioral_cyanosis``
            log10 of R/G, both scleras over the region: larger, less red.
        ``erythema_*``
            log10 of R/G, cheek over both scleras (Yamamoto 2008, Skin Res Technol 14:26).
        ``sclera_yellowness_*``
            log10 of G/B, sclera over both cheeks: larger, more yellow (sclera against bilirubin:
            Leung 2015, Biomed Opt Express 6:4529; here skin takes the place of a colour chart).
        ``corneal_haze_*``
            L* (sclera: 100) of the darkest fifth of the middle of the iris disc: a clear pupil is
            black whatever the colour of the iris; a haze in front of it scatters light.
        ``pupil_lightness_*``, ``pupil_contrast_*``
            L* (sclera: 100) of the middle of the disc, and how much lighter than the iris about it.
        ``philtrum_relief``
            Shading across the philtrum, % of its mean light: see `philtrum_relief`.
    """
    jitter = np.empty((0, 68, 2)) if samples is None else np.asarray(samples, dtype=np.float64)
    if len(jitter) > _JITTERED:
        jitter = jitter[np.linspace(0, len(jitter) - 1, _JITTERED).round().astype(int)]
    faces = np.concatenate([np.asarray(points, dtype=np.float64)[None], jitter])
    unit = outer_canthal_distance(faces[0])
    small = "" if unit >= _LEAST else f"{unit:.0f} px between the outer canthi, {_LEAST:.0f} needed"
    photo, factor = _look(photo, faces[0])
    pixels, faces = _window(photo, faces, factor)
    weights, slices = _regions()
    values, levels, inside = _read(pixels, weights @ faces)
    red_green_blue = levels[0].T.astype(np.int16)
    grey = bool((red_green_blue.max(0) - red_green_blue.min(0) <= _GREY).all())
    dull = small or ("grey photograph" if grey else "")

    regions = {
        name: _skin(name.split("_")[0], values[:, s], levels[:, s], inside[:, s])
        for name, s in slices.items()
        if not name.startswith("sclera")
    }
    philtrum = regions.pop("philtrum")
    grids = [_Grid.of(pixels, faces[0], side) for side in SIDES]
    discs = _find_irises(np.stack([g.luminance for g in grids]), np.stack([g.between for g in grids]))
    eyes = {}
    for side, grid, disc in zip(SIDES, grids, discs, strict=True):
        s = slices[f"sclera_{side}"]
        at = weights[s] @ faces[0]
        eyes[side] = _eye(side, grid, disc, faces[0], at, values[:, s], levels[:, s], inside[:, s])
        regions[f"sclera_{side}"] = eyes[side].sclera

    table: dict[str, tuple[Floats, str]] = {}
    channels = lab(np.stack([region.colour for region in regions.values()]))
    for (name, region), values_of in zip(regions.items(), channels, strict=True):
        base, _, side = name.partition("_")
        for i, channel in enumerate(("lightness", "a", "b")):
            table["_".join(filter(None, (base, channel, side)))] = values_of[:, i], region.reason

    log = {name: np.log10(np.maximum(region.colour, 1e-6)) for name, region in regions.items()}
    light = {name: np.log10(np.maximum(r.colour @ _LUMINANCE, 1e-6)) for name, r in regions.items()}
    red = {name: value[:, 0] - value[:, 1] for name, value in log.items()}
    yellow = {name: value[:, 1] - value[:, 2] for name, value in log.items()}

    def both(index: dict[str, Floats], region: str) -> tuple[Floats, str]:
        """Mean of the sides that can be had: a reference, not a finding."""
        sides = [f"{region}_{side}" for side in SIDES]
        had = [index[name] for name in sides if not regions[name].reason] or [index[sides[0]]]
        return np.mean(had, axis=0), regions[sides[0]].reason and regions[sides[1]].reason

    white, no_white = both(red, "sclera")
    rosy, no_cheek = both(red, "cheek")
    no_lips = regions["lip"].reason
    table["lip_redness"] = red["lip"] - rosy, no_lips or no_cheek
    table["lip_darkness"] = both(light, "cheek")[0] - light["lip"], no_lips or no_cheek
    table["lip_cyanosis"] = white - red["lip"], no_lips or no_white
    table["perioral_cyanosis"] = white - red["perioral"], regions["perioral"].reason or no_white
    for side in SIDES:
        cheek, sclera = f"cheek_{side}", f"sclera_{side}"
        table[f"erythema_{side}"] = red[cheek] - white, regions[cheek].reason or no_white
        yellower = yellow[sclera] - both(yellow, "cheek")[0]
        table[f"sclera_yellowness_{side}"] = yellower, regions[sclera].reason or no_cheek
    result = {}
    for name in COLOUR:
        value, reason = table[name]
        coded = _LOG_SD if name in _LOGARITHMIC else _LAB_SD
        result[name] = _estimate(value, len(jitter), dull or reason, coded)
    for index in ("corneal_haze", "pupil_lightness", "pupil_contrast"):
        for side in SIDES:
            eye = eyes[side]
            value, disc_sd = eye.disc[index]
            result[f"{index}_{side}"] = _estimate(value, len(jitter), small or eye.reason, disc_sd)
    relief = np.full(_rows(len(jitter)), np.nan)
    shading = values[:, slices["philtrum"]] @ _LUMINANCE
    relief[: len(faces)] = philtrum_relief(shading.reshape(len(faces), *_PHILTRUM))
    result["philtrum_relief"] = _estimate(relief, len(jitter), small or philtrum.reason)
    return result


def _estimate(values: Floats, jittered: int, reason: str, other_sd: float = 0.0) -> Appearance:
    """From one value of the face, one of each jittered evaluation, one of each subset of its samples."""
    numbers = values.tolist()
    value = numbers[0]
    if reason or not math.isfinite(value):
        return Appearance(math.nan, math.nan, reason or "its region is empty")
    if jittered < 2:
        return Appearance(value, math.nan, "no interval without jitter")
    landmarks = _variance(numbers[1 : 1 + jittered])
    sampling = _variance(numbers[1 + jittered :]) / _SUBSETS
    return Appearance(value, math.sqrt(_TRUE_SPREAD**2 * landmarks + sampling + other_sd**2), "")


def _variance(numbers: list[float]) -> float:
    known = [n for n in numbers if math.isfinite(n)]
    if len(known) < 2:
        return 0.0
    mean = sum(known) / len(known)
    return sum((n - mean) ** 2 for n in known) / (len(known) - 1)


@dataclass(frozen=True, slots=True)
class _Grid:
    """What lies under the grid of one eye."""

    centre: Floats
    axes: Floats  # (2, 2), rows: towards the nose, down; unit length
    unit: float  # outer-canthal distance, pixels
    luminance: Floats  # (G,)
    glint: Bools  # the light's reflection on the cornea
    between: Bools  # the lids

    def local(self, at: Floats) -> Floats:
        """Pixel positions as positions on the grid."""
        return np.asarray((at - self.centre) @ self.axes.T / self.unit)

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], face: Floats, side: str) -> _Grid:
        unit = outer_canthal_distance(face)
        right, down = face_axes(face) / unit
        axes = np.array([right if side == "R" else -right, down])
        upper, lower = _LIDS[side]
        centre = face[[*upper, *lower[1:-1]]].mean(0)
        seen, levels, _ = _read(pixels, centre + unit * (_GRID @ axes))
        glint = np.asarray((levels >= _WHITE).all(-1))
        between = _lid_mask((face - centre) @ axes.T / unit, side)
        return cls(centre, axes, unit, seen @ _LUMINANCE, glint, between)


@dataclass(frozen=True, slots=True)
class _Eye:
    sclera: _Region
    disc: dict[str, tuple[Floats, float]]  # index -> values as of a region, error of the disc's place
    reason: str  # why there is no disc, or empty


def _eye(
    side: str,
    grid: _Grid,
    disc: Floats,
    face: Floats,
    at: Floats,
    values: Floats,
    levels: NDArray[np.uint8],
    inside: Bools,
) -> _Eye:
    """One eye: the colour of its sclera, and how light its iris is.

    `face` and `at` are the landmarks and the samples between the lids in the picture's pixels;
    `values`, `levels` and `inside` what was read there for the face and its jittered evaluations.
    """
    upper, lower = _LIDS[side]
    length = np.hypot(*(face[upper[0]] - face[upper[-1]]))
    opening = np.hypot(*(face[list(upper[1:3])] - face[list(lower[1:3])]).T).mean()
    reason = ""
    if not inside.all():
        reason = "the eye lies beyond the photo's border"
    elif opening < _CLOSED * length:
        reason = "the eye is closed, or nearly so"

    # sclera: beside the iris, the lighter half, without reflections
    away = grid.local(at) - disc[:2]
    beside = np.hypot(away[:, 0], away[:, 1]) > 1.15 * disc[2]
    glint = np.asarray((levels >= _WHITE).any(-1))
    visible = beside & ~glint
    area = visible[0].mean() * opening * length / 2
    if not reason and (beside & glint[0]).sum() > 0.5 * beside.sum():
        reason = "the sclera is over-exposed"
    if not reason and area < _LEAST_SCLERA:
        reason = f"{area:.0f} px of the sclera are visible, {_LEAST_SCLERA:.0f} needed"
    light = values @ _LUMINANCE
    white = visible & (light >= _quantile(light, visible, 0.5)[:, None])
    turn = np.arange(white.shape[1]) % _SUBSETS == np.arange(_SUBSETS)[:, None]
    chosen = np.concatenate([white, white[0] & turn])
    every = np.concatenate([values, np.repeat(values[:1], _SUBSETS, axis=0)])
    colour = _quantile(np.moveaxis(every, -1, 0), chosen[None], 0.5).T
    if not reason and not (colour[0] @ _LUMINANCE > 0):
        reason = "the sclera is under-exposed"

    # the disc as found, displaced by its error, and on a blurred picture; reflections are cut out
    shifts = _DISC_SD * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])
    pictures = np.repeat(grid.luminance[None], len(shifts), axis=0)
    pictures[-1] = _blurred(grid.luminance)
    away = _GRID - disc[:2] - shifts[:, None]
    distance = np.hypot(away[..., 0], away[..., 1]) / disc[2]
    clear = grid.between & ~grid.glint
    middle = distance < _MIDDLE
    ring = (distance > _RING[0]) & (distance < _RING[1])
    parts = ((distance < _CENTRE, 0.2), (middle, 0.5), (ring, 0.5))
    reference = np.maximum(colour @ _LUMINANCE, 1e-6)
    light_of = [_quantile(pictures, clear & part, q) for part, q in parts]
    against = [_lightness(np.concatenate([v / reference[0], v[0] / reference[1:]])) for v in light_of]
    dark, pupil, iris = against
    indices = {"corneal_haze": dark, "pupil_lightness": pupil, "pupil_contrast": pupil - iris}
    placed = {}
    for name, value in indices.items():
        moved = value[1 : len(shifts)] - value[0]
        # two displacements along each axis: half the sum of squares is the variance; a blur of one
        # grid step shall stay inside the interval
        extra = math.sqrt(float((moved[:-1] ** 2).sum()) / 2 + float(moved[-1] / 1.96) ** 2)
        placed[name] = np.concatenate([value[:1], value[len(shifts) :]]), extra
    hidden = reason
    if not hidden and (grid.between & middle[0]).sum() < 0.7 * middle[0].sum():
        hidden = "the pupil is covered by the lids"
    return _Eye(_Region(colour, reason), placed, hidden)


def philtrum_relief(light: Floats) -> Floats:
    """Relief of the philtrum from its shading, % of its mean light.

    Parameters
    ----------
    light : (..., rows, columns) array
        Linear luminance along the strip between nose and vermilion.

    Returns
    -------
    (...,) array
        The logarithm of odd and of even rows is averaged apart and freed of its mean and linear
        trend (a light from one side). What both show is shape; hair and noise differ between them, so
        that the square root of their covariance is not raised by it. 0 is smooth.
    """
    log = np.log(np.maximum(light, 1e-4))
    columns = log.shape[-1]
    x = np.linspace(-1, 1, columns)
    plane = np.stack([np.ones(columns), x])
    flatten = np.eye(columns) - np.linalg.pinv(plane) @ plane
    odd, even = log[..., ::2, :].mean(-2) @ flatten, log[..., 1::2, :].mean(-2) @ flatten
    return np.asarray(100 * np.sqrt(np.maximum(0, (odd * even).mean(-1))))


# -------------------------------------------------------------------------------------- texture

#: Where local binary patterns are taken, and over which radii.
LBP_SITES = ("enR", "enL", "exR", "exL", "prn", "sn", "chR", "chL")
LBP_RADII = (1, 2)
_LBP_UNIT = 96.0  # px per outer-canthal distance
_LBP_CHIP = 25  # px, side of a site's chip: a quarter of the outer-canthal distance


def lbp(photo: Photo, points: Floats) -> dict[str, float]:
    """Histograms of uniform local binary patterns about canthi, nose and mouth.

    Ojala, Pietikäinen & Mäenpää 2002 (IEEE TPAMI 24:971), 8 neighbours; chips are upright, 96 px
    per outer-canthal distance. Rotation-invariant bins: a mirrored face swaps R and L.

    Parameters
    ----------
    photo : Photo
    points : (68, 2) array
        Landmarks in full-photo pixels.

    Returns
    -------
    dict of float
        Shares ``lbp_SITE_rRADIUS_BIN`` for the sites of `LBP_SITES`, radii of `LBP_RADII` and bins
        0 to 9 (number of lighter neighbours; 9: not uniform), 1 in sum over the bins. NaN for a site
        beyond the photo's border, and everywhere below 75 px of outer-canthal distance.
    """
    from skimage import feature

    pattern: Any = feature.local_binary_pattern  # without type hints

    names = {
        (site, radius): [f"lbp_{site}_r{radius}_{i}" for i in range(10)]
        for site in LBP_SITES
        for radius in LBP_RADII
    }
    points = np.asarray(points, dtype=np.float64)
    unit = outer_canthal_distance(points)
    if unit < _LEAST:
        return {name: math.nan for bins in names.values() for name in bins}
    photo, _ = _look(photo, points)
    height, width = photo.pixels.shape[:2]
    local = photo.to_decoded(points)
    turn = face_axes(local).T / _LBP_UNIT
    margin = max(LBP_RADII)
    side = _LBP_CHIP + 2 * margin
    result: dict[str, float] = {}
    for site in LBP_SITES:
        centre = local[list(LANDMARKS[site])].mean(0)
        corner = centre - turn @ np.full(2, (side - 1) / 2)
        corners = corner + (np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * (side - 1)) @ turn.T
        beyond = bool(((corners < -0.5) | (corners > np.array([width, height]) - 0.5)).any())
        chip = _engine.warp(photo.pixels, np.column_stack([turn, corner]), side, side)
        for radius in LBP_RADII:
            shares = [math.nan] * 10
            if not beyond:
                codes = pattern(chip, 8, radius, "uniform")[margin:-margin, margin:-margin]
                shares = (np.bincount(codes.astype(np.intp).ravel(), minlength=10) / codes.size).tolist()
            result.update(zip(names[site, radius], shares, strict=True))
    return result
