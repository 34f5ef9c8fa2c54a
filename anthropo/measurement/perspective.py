"""What the camera's distance does to measurements: it is taken off, and what stays uncertain of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anthropo.face.frame import Floats, face_axes
from anthropo.face.lens import EYES, Distance, aim, brought, turned_depths
from anthropo.face.scheme import LANDMARKS
from anthropo.files import packaged_table
from anthropo.measurement.anatomy import BETWEEN
from anthropo.measurement.registry import Entry

# The camera is held before the nasal root, give or take (1 SD) so many outer-canthal distances across and
# down the face: 2 SD reach from brows to nasal base.
_AIM = (0.1, 0.25)
# Radius of the head about the outline, outer-canthal distances. From near, the outline that is seen lies in
# front of the points of a fixed head that the depths are of, and is wider: on a sphere by R²/2d².
_RADIUS = 0.8
_OUTLINE = np.array([*range(8), *range(9, 17)])

_NAMES = (*(f"p{i}" for i in range(68)), *BETWEEN)  # of the rows of lag.csv

# What the heads have no spread of has that of something alike, times a factor.
_ALIKE = {
    "mrd1_R": ("palpebral_fissure_height_R", 1.0),
    "mrd2_R": ("palpebral_fissure_height_R", 1.0),
    "mrd1_L": ("palpebral_fissure_height_L", 1.0),
    "mrd2_L": ("palpebral_fissure_height_L", 1.0),
    # whose millimetres are known at the depth of the pupils
    "biocular_width": ("interpupillary_distance", 1.4),
    # by its derivative with respect to the intercanthal width over the outer-canthal distance
    "w_index": ("intercanthal_width", 6.2),
}


@dataclass(frozen=True, slots=True, eq=False)
class Brought:
    """A face's landmarks as seen from the reference distance, then as they may be as well.

    The variants: the camera nearer (2 SD), farther (2 SD), before a larger face (1 SD), aimed sideways, aimed
    lower, an outline that moved with the camera, and landmarks that followed the face all the way.
    """

    points: Floats  # (8, 68, 2), photo pixels
    between: Floats  # (8, 6, 2)
    scale: Floats  # (8,) millimetres per pixel there over those measured at the eyes
    nearness: float  # how much nearer than the reference distance, in outer-canthal distances over distance
    nearness_sd: float  # of it


def bring(
    points: Floats, between: Floats, distance: Distance, turned: Floats, by_hand: Collection[str] = ()
) -> Brought:
    """Points (68, 2) and those `between` them (6, 2) of a photo, as seen from the reference distance.

    `turned` is the rotation (3, 3) of the head; landmarks named in `by_hand` do not lag.
    """
    lag = lags() * np.array([[name not in by_hand] for name in _NAMES])
    deep = turned_depths(turned)
    depth = np.concatenate([deep, between_depths(deep)])
    eyes = deep[36:48].mean()
    axes = face_axes(points)
    everything = np.concatenate([points, between])

    def seen(nearness: Floats, off: tuple[float, float] = (0.0, 0.0), follow: float = 1.0) -> Floats:
        behind = follow * (nearness[0] - nearness[1]) * lag @ axes
        return brought(everything - behind, depth, aim(points, off), nearness)

    base = np.array(distance.nearness)
    possible = distance.variants()
    straight = seen(base)
    rows = [straight, *map(seen, possible), seen(base, (_AIM[0], 0.0)), seen(base, (0.0, _AIM[1]))]
    rows += [_with_outline(straight, axes[0], base), seen(base, follow=0.0)]
    here, there = np.stack([base, *possible, *[base] * 4]).T
    return Brought(
        points=np.stack(rows)[:, :68],
        between=np.stack(rows)[:, 68:],
        # the pixels that a scale was measured on lie at the depth of the eyes
        scale=np.asarray((1 + there * (eyes - EYES)) / (1 + here * (eyes - EYES))),
        nearness=float(here[0] - there[0]),
        nearness_sd=float(np.ptp(here[1:3]) / 4),
    )


def between_depths(depth: Floats) -> Floats:
    """Depths of the landmarks of `anatomy.BETWEEN` (6,) from those of the 68 points."""
    return np.array([depth[list(LANDMARKS[code])].mean() for code in BETWEEN])


@lru_cache(maxsize=1)
def lags() -> Floats:
    """How far the 68 landmarks and those of `anatomy.BETWEEN` (74, 2) lag behind a near face, per nearness.

    In the face's frame; see lag.csv for its source.
    """
    table = packaged_table("anthropo.measurement", "lag.csv")
    return np.array([(float(row["dx"]), float(row["dy"])) for row in table])


def _with_outline(points: Floats, across: Floats, nearness: Floats) -> Floats:
    """The points with the outline as much wider as that of a sphere is from near."""
    unit = across / np.hypot(*across)
    wider = points.copy()
    growth = _RADIUS**2 / 2 * (nearness[0] ** 2 - nearness[1] ** 2)
    wider[_OUTLINE] += growth * ((points[_OUTLINE] - aim(points)) @ unit)[:, None] * unit
    return np.asarray(wider)


def lens_variance(values: Floats, seen: Brought, spread: Floats) -> Floats:
    """What the camera's distance leaves uncertain of measurements (M,), as a variance.

    `values` (8, M) are those of the rows of `seen`, and `spread` (M,) is how differently heads change per
    nearness, in the same unit.
    """
    nearer, farther, *others = (values[1:] - values[0]) ** 2
    distance = (nearer + farther) / 8  # each stands for 2 SD
    heads = spread**2 * (seen.nearness**2 + seen.nearness_sd**2)
    return np.asarray(distance + sum(others) + heads)


def head_spread(entries: Sequence[Entry]) -> Floats:
    """How differently people's heads change these measurements per nearness, 1 SD (M,), in their units.

    Of lengths in millimetres: in outer-canthal distances. NaN of one's own, of which it is not known.
    """
    known = _heads()
    rows = ((entry, *_ALIKE.get(entry.known_as, (entry.known_as, 1.0))) for entry in entries)
    return np.array(
        [factor * known.get(name, math.nan if entry.user_defined else 0.0) for entry, name, factor in rows]
    )


@lru_cache(maxsize=1)
def _heads() -> dict[str, float]:
    table = packaged_table("anthropo.measurement", "heads.csv")
    return {row["measurement"]: float(row["spread"]) for row in table}
