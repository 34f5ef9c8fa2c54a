"""One eye: the colour of its sclera, and how light its iris and pupil are.

The lightnesses are relative to the sclera's, so that exposure does not change them: over ±20 % of light and
warm and cool casts they change by less than 0.25 of the SD between people (development/appearance.py). A tone
curve does: 20 % more contrast in an image editor moves haze and lightness of the pupil by 4 SD.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from anthropo.face.frame import Floats
from anthropo.measurement.colour import LUMINANCE, lightness
from anthropo.measurement.iris import GRID, EyeGrid
from anthropo.measurement.sampling import LIDS, SIDES, SUBSETS, WHITE, Bools, Reading, RegionColour, Samples

# What is looked at of the iris, from and up to which part of its radius
_MIDDLE = 0.35  # the pupil
_CENTRE = 0.6
_RING = (0.5, 0.85)
#: Inner and outer radius of the parts of the iris that an index is read from; its radius is 1.
RINGS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "corneal_haze": ((0.0, _CENTRE),),
    "pupil_lightness": ((0.0, _MIDDLE),),
    "pupil_contrast": ((0.0, _MIDDLE), _RING),
}
#: Everything that eyes give beside the colour of the sclera.
EYE = tuple(f"{index}_{side}" for index in RINGS for side in SIDES)
_LEAST_SCLERA = 12.0  # px of visible sclera
_CLOSED = 0.2  # height of the lid opening to its length: below, eyes are closed or screwed up
_DISC_SD = 0.006  # of the disc's place, outer-canthal distances


@dataclass(frozen=True, slots=True)
class Eye:
    """What is read of one eye."""

    sclera: RegionColour
    readings: Mapping[str, Reading]  # by index, without the side


def read_eye(side: str, grid: EyeGrid, disc: Floats, face: Floats, samples: Samples, hidden: str = "") -> Eye:
    """One eye, from the disc (3,) of its iris, landmarks (68, 2) and the samples between its lids.

    Landmarks are in pixels of the window. `hidden` is why nothing can be read of it, or empty.
    """
    upper, lower = LIDS[side]
    length = np.hypot(*(face[upper[0]] - face[upper[-1]]))
    opening = np.hypot(*(face[list(upper[1:3])] - face[list(lower[1:3])]).T).mean()
    reason = hidden
    if reason:
        pass  # whatever else is wrong with it
    elif not samples.inside.all():
        reason = "the eye lies beyond the photo's border"
    elif opening < _CLOSED * length:
        reason = "the eye is closed, or nearly so"

    # sclera: beside the iris, the lighter half, without reflections
    away = grid.local(samples.at[0]) - disc[:2]
    beside = np.hypot(away[:, 0], away[:, 1]) > 1.15 * disc[2]
    glint = np.asarray((samples.levels >= WHITE).any(-1))
    visible = beside & ~glint
    area = visible[0].mean() * opening * length / 2
    if not reason and (beside & glint[0]).sum() > 0.5 * beside.sum():
        reason = "the sclera is over-exposed"
    if not reason and area < _LEAST_SCLERA:
        reason = f"{area:.0f} px of the sclera are visible, {_LEAST_SCLERA:.0f} needed"
    light = samples.light @ LUMINANCE
    white = visible & (light >= _quantile(light, visible, 0.5)[:, None])
    turn = np.arange(white.shape[1]) % SUBSETS == np.arange(SUBSETS)[:, None]
    chosen = np.concatenate([white, white[0] & turn])
    every = np.concatenate([samples.light, np.repeat(samples.light[:1], SUBSETS, axis=0)])
    colour = _quantile(np.moveaxis(every, -1, 0), chosen[None], 0.5).T
    if not reason and not (colour[0] @ LUMINANCE > 0):
        reason = "the sclera is under-exposed"
    return Eye(RegionColour(colour, reason), _iris_light(grid, disc, colour, reason))


def _iris_light(grid: EyeGrid, disc: Floats, sclera: Floats, reason: str) -> dict[str, Reading]:
    """L* of the parts of the iris, where the sclera is 100."""
    # the disc as it was found, displaced by its error, and on a blurred picture; reflections are cut out
    shifts = _DISC_SD * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])
    pictures = np.repeat(grid.luminance[None], len(shifts), axis=0)
    pictures[-1] = grid.blurred()
    away = GRID - disc[:2] - shifts[:, None]
    distance = np.hypot(away[..., 0], away[..., 1]) / disc[2]
    clear = grid.between & ~grid.glint
    middle = distance < _MIDDLE
    ring = (distance > _RING[0]) & (distance < _RING[1])
    parts = ((distance < _CENTRE, 0.2), (middle, 0.5), (ring, 0.5))
    reference = np.maximum(sclera @ LUMINANCE, 1e-6)
    light_of = [_quantile(pictures, clear & part, q) for part, q in parts]
    against = [lightness(np.concatenate([v / reference[0], v[0] / reference[1:]])) for v in light_of]
    dark, pupil, iris = against
    if not reason and (grid.between & middle[0]).sum() < 0.7 * middle[0].sum():
        reason = "the pupil is covered by the lids"
    readings = {}
    for name, value in zip(RINGS, (dark, pupil, pupil - iris), strict=True):
        moved = value[1 : len(shifts)] - value[0]
        # two displacements along each axis: half the sum of squares is the variance; a blur of one
        # grid step has to stay inside the interval
        sd = math.sqrt(float((moved[:-1] ** 2).sum()) / 2 + float(moved[-1] / 1.96) ** 2)
        readings[name] = Reading(np.concatenate([value[:1], value[len(shifts) :]]), reason, sd)
    return readings


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
