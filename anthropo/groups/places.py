"""The places of the face in which the heatmaps of two groups differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anthropo.encoder.regions import FACE_WINDOW, frame_to
from anthropo.face.scheme import LANDMARKS
from anthropo.face.shape import shapes
from anthropo.groups.regions import SIGNIFICANT, HeatmapDifference

_SMALLEST = 0.004  # share of the square: smaller places are not listed
_WORDS = {
    "n": "nasal root", "prn": "nose tip", "sn": "nasal base", "al": "nasal wing", "en": "inner canthus",
    "ex": "outer canthus", "p": "pupil", "ps": "upper lid", "pi": "lower lid", "sci": "brow", "browin":
    "inner brow", "browout": "outer brow", "ls": "upper lip", "sts": "upper lip", "sti": "lower lip", "sto":
    "mouth", "li": "lower lip", "cph": "philtrum", "ch": "mouth corner", "gn": "chin", "zy": "cheek",
    "go": "jaw angle",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DifferingPlace:
    """A connected part of the map in which the groups differ."""

    where: str  # the landmark that its strongest point is nearest to
    supports: bool  # the label's people have more there that speaks for the label
    share: float  # of the map's square
    p: float  # the smallest


def places(maps: HeatmapDifference) -> list[DifferingPlace]:
    """Where the groups differ, strongest first."""
    from scipy.ndimage import label

    strength = np.abs(maps.difference)
    by_strength: list[tuple[float, DifferingPlace]] = []
    for sign in (1, -1):
        parts, n = label((maps.p <= SIGNIFICANT) & (sign * maps.difference > 0))
        for i in range(1, n + 1):
            part = parts == i
            if part.mean() < _SMALLEST:
                continue
            row, column = np.unravel_index(int(np.where(part, strength, -1).argmax()), part.shape)
            where = _nearest(int(row), int(column), len(part))
            place = DifferingPlace(where, sign > 0, float(part.mean()), float(maps.p[part].min()))
            by_strength.append((float(strength[part].sum()), place))
    return [place for _, place in sorted(by_strength, key=lambda pair: -pair[0])]


def no_place(maps: HeatmapDifference) -> str:
    """Why no place is listed."""
    smallest = f"p {maps.p.min():.2g}, all places together"
    if maps.p.min() <= SIGNIFICANT:
        return f"The heatmaps differ at single points only, too small to name (smallest {smallest})."
    return f"No place of the heatmaps differs (smallest {smallest})."


def _nearest(row: int, column: int, size: int) -> str:
    """The landmark that is nearest to a pixel of the map on the mean face."""
    left, top, side = FACE_WINDOW
    mean = shapes()[0]
    to = frame_to(mean)
    x, y = to[:, :2] @ (left + (column + 0.5) / size * side, top + (row + 0.5) / size * side) + to[:, 2]
    if y < min(mean[17:27, 1]) - 0.1:
        return "forehead"
    codes = {code: mean[list(points)].mean(0) for code, points in LANDMARKS.items()}
    code = min(codes, key=lambda name: float(np.hypot(*(codes[name] - (x, y)))))
    side_of = {"R": "right ", "L": "left "}.get(code[-1], "")
    return side_of + _WORDS[code[:-1] if side_of else code]
