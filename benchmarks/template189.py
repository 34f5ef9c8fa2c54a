"""Studio photographs with 189 hand-placed template points, and which of the points are landmarks.

A folder holds `landmarks189.csv` (image, x0, y0 ... x188, y188) and `labels.csv` (photo, patient, sex, age).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.face.scheme import LANDMARKS

Floats = NDArray[np.float64]

# points of the 68-point scheme and their counterparts in the 189-point template
TEMPLATE = {
    8: 129, 17: 71, 21: 76, 22: 77, 26: 82, 31: 63, 33: 55, 35: 68, 36: 18, 37: 19, 38: 21, 39: 22, 40: 30,
    41: 28, 42: 23, 43: 24, 44: 26, 45: 27, 46: 33, 47: 31, 48: 87, 49: 88, 50: 89, 51: 90, 52: 91, 53: 92,
    54: 93, 55: 108, 56: 107, 57: 106, 58: 105, 59: 104, 62: 96, 66: 101,
}  # fmt: skip
# landmarks that are a mean of points of the scheme, but one point of the template
TEMPLATE_BETWEEN = {"pR": 0, "pL": 1, "psR": 20, "psL": 25, "piR": 29, "piL": 32}


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """One photo and its points."""

    path: Path
    label: dict[str, str]  # the photo's row in labels.csv
    template: Floats  # (189, 2)

    @property
    def points(self) -> Floats:
        """(68, 2) of the 68-point scheme, NaN where it has no counterpart."""
        points = np.full((68, 2), np.nan)
        points[list(TEMPLATE)] = self.template[list(TEMPLATE.values())]
        return points

    def landmarks(self) -> dict[str, Floats]:
        """Anatomical landmarks (2,) by code with side."""
        single = {code: at[0] for code, at in LANDMARKS.items() if len(at) == 1}
        found = {code: TEMPLATE[i] for code, i in single.items() if i in TEMPLATE} | TEMPLATE_BETWEEN
        return {code: self.template[i] for code, i in found.items()}


def placed(folder: Path) -> list[Placed]:
    """Every photo of a folder that has points."""
    with open(folder / "labels.csv", newline="") as file:
        labels = {Path(r["photo"]).name: r for r in csv.DictReader(file)}
    result = []
    with open(folder / "landmarks189.csv", newline="") as file:
        for r in csv.DictReader(file):
            path = folder / (r["image"] if r["image"].endswith(".jpg") else r["image"] + ".jpg")
            points = np.array([[float(r[f"x{k}"]), float(r[f"y{k}"])] for k in range(189)])
            result.append(Placed(path, labels[path.name], points))
    return result
