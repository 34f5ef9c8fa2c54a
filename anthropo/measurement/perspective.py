"""What the camera's distance does to measurements: it is taken off, and what stays uncertain of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anthropo.face.frame import Floats, face_axes
from anthropo.face.lens import AXIS, EYES, Distance, brought, depths
from anthropo.face.pose import generic_face
from anthropo.face.scheme import LANDMARKS
from anthropo.files import packaged_table
from anthropo.measurement.registry import Entry

# The camera is held before the nasal root, give or take (1 SD) so many outer-canthal distances across and
# down the face: 2 SD reach from brows to nasal base.
_AIM = (0.1, 0.25)
# Radius of the head about the outline, outer-canthal distances. From near, the outline that is seen lies in
# front of the points of a fixed head that the depths are of, and is wider: on a sphere by R²/2d².
_RADIUS = 0.8
_OUTLINE = np.array([*range(8), *range(9, 17)])

# What the heads have no spread of has that of something alike, times a factor.
_ALIKE = {
    "mrd1_R": ("palpebral_fissure_height_R", 1.0),
    "mrd2_R": ("palpebral_fissure_height_R", 1.0),
    "mrd1_L": ("palpebral_fissure_height_L", 1.0),
    "mrd2_L": ("palpebral_fissure_height_L", 1.0),
    # by its derivative with respect to the intercanthal width over the outer-canthal distance
    "w_index": ("intercanthal_width", 6.2),
}


@dataclass(frozen=True, slots=True, eq=False)
class Brought:
    """A face's landmarks as seen from the reference distance, then as they may be as well.

    The variants: the camera nearer (2 SD), farther (2 SD), before a larger face (1 SD), aimed lower, aimed
    sideways, and an outline that moved with the camera.
    """

    points: Floats  # (7, 68, 2), photo pixels
    between: Floats  # (7, 6, 2)
    scale: Floats  # (7,) millimetres per pixel there over those measured at the eyes
    nearness: float  # how much nearer than the reference distance, in outer-canthal distances over distance
    nearness_sd: float  # of it


def bring(
    points: Floats, between: Floats, codes: Sequence[str], distance: Distance, turned: Floats
) -> Brought:
    """Landmarks of a photo (68, 2) and (6, 2), whose `codes` are means of the 68, as seen from afar.

    `turned` is the rotation (3, 3) of the head.
    """
    shape = np.column_stack([generic_face()[:, :2], depths()]) @ turned.T
    all_depths = np.concatenate([shape[:, 2], [shape[list(LANDMARKS[code]), 2].mean() for code in codes]])
    everything = np.concatenate([points, between])
    axes = face_axes(points)
    axis = points[[36, 45]].mean(0) + np.array([0.0, AXIS]) @ axes
    eyes = shape[[*range(36, 48)], 2].mean()

    def seen(nearness: Floats, aim: tuple[float, float] = (0.0, 0.0)) -> Floats:
        return brought(everything, all_depths, axis + np.array(aim) @ axes, nearness)

    base = np.array(distance.nearness)
    possible = distance.variants()
    straight = seen(base)
    rows = [straight, *map(seen, possible), seen(base, (_AIM[0], 0.0)), seen(base, (0.0, _AIM[1]))]
    rows.append(_with_outline(straight, axis, axes[0], base))
    here, there = np.stack([base, *possible, base, base, base]).T
    return Brought(
        points=np.stack(rows)[:, :68],
        between=np.stack(rows)[:, 68:],
        # the pixels that a scale was measured on lie at the depth of the eyes
        scale=np.asarray((1 + there * (eyes - EYES)) / (1 + here * (eyes - EYES))),
        nearness=float(here[0] - there[0]),
        nearness_sd=float(np.ptp(here[1:3]) / 4),
    )


def _with_outline(points: Floats, axis: Floats, across: Floats, nearness: Floats) -> Floats:
    """The points with the outline as much wider as that of a sphere is from near."""
    unit = across / np.hypot(*across)
    wider = points.copy()
    growth = _RADIUS**2 / 2 * (nearness[0] ** 2 - nearness[1] ** 2)
    wider[_OUTLINE] += growth * ((points[_OUTLINE] - axis) @ unit)[:, None] * unit
    return np.asarray(wider)


def lens_variance(values: Floats, seen: Brought, spread: Floats) -> Floats:
    """What the camera's distance leaves uncertain of measurements (M,), as a variance.

    `values` (7, M) are those of the rows of `seen`, and `spread` (M,) is how differently heads change per
    nearness, in the same unit.
    """
    nearer, farther, *others = (values[1:] - values[0]) ** 2
    distance = (nearer + farther) / 8  # each stands for 2 SD
    heads = spread**2 * (seen.nearness**2 + seen.nearness_sd**2)
    return np.asarray(distance + sum(others) + heads)


def head_spread(entries: Sequence[Entry]) -> Floats:
    """How differently people's heads change these measurements per nearness, 1 SD (M,), in their units."""
    known = _heads()
    rows = (_ALIKE.get(entry.id, (entry.id, 1.0)) for entry in entries)
    return np.array([factor * known.get(name, 0.0) for name, factor in rows])


@lru_cache(maxsize=1)
def _heads() -> dict[str, float]:
    table = packaged_table("anthropo.measurement", "heads.csv")
    return {row["measurement"]: float(row["spread"]) for row in table}
