"""Make the depths and the spreads by which a photo's perspective is taken off.

    python development/depths.py PERSPECTIVE.csv

writes anthropo/face/depths.csv, how far behind or before the outer canthi each landmark lies, and
anthropo/measurement/heads.csv, how differently people's measurements change with the camera's distance.

PERSPECTIVE.csv holds exact projections of 1,000 heads of ICT-FaceKit (Li et al. 2020, arXiv:2004.00210; MIT):
for each measurement and distance (25 to 1000 cm) the mean change against 200 cm, its standard deviation, and
the mean in standard deviations of heads. Depths are those with which the generic face (face3d.csv, whose
depths come from motion and are kept for head pose) changes as the mean head does: least squares over all
measurements, symmetric, drawn a little towards the generic face and smooth along brows, lips and outline.
The outcome on distances and on measurements that were left out of the fit goes to stderr.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from anthropo.face.lens import EYES, project
from anthropo.face.pose import generic_face
from anthropo.face.scheme import MIRROR
from anthropo.measurement.compute import evaluate, geometry

FAR = 200  # cm, what the table compares with
CANTHI = 8.9  # cm between the outer canthi of the mean head
HELD_OUT = (30, 50, 60, 100, 300)  # cm
FOLDS = 5
NEAR = 100  # cm, up to which spreads are taken
# A mean change counts by its spread between heads, but no finer than 5 % of an SD of people
_FINEST = 0.05
# Weights of what holds depths together, per 0.1 outer-canthal distances
_KEPT, _SMOOTH = 0.3, 3.0
_LINES = (
    range(9), range(17, 22), range(27, 31), range(31, 34), range(36, 40), (36, 41, 40, 39), range(48, 52),
    (48, 59, 58, 57), range(60, 63), (60, 67, 66),
)  # fmt: skip
# Left and right of the mean head are equal; and its inner canthi and nasion lie on one line
_NONE = (
    "asymmetry", "brow_height_deviation", "orbital_dystopia", "nasal_deviation", "upper_lip_deviation",
    "lower_lip_deviation", "commissure_height_deviation", "chin_deviation", "mouth_canthal_cant",
    "canthus_nasion_angle",
)  # fmt: skip

_ONE_SIDE = np.minimum(np.arange(68), MIRROR)  # each point, or the one that it mirrors
_FREE = [i for i in range(68) if _ONE_SIDE[i] == i and i != 36]


class Table:
    """Changes of measurements: arrays (distances, measurements)."""

    def __init__(self, path: str) -> None:
        with open(path, newline="") as file:
            cells = {(row["measurement"], int(row["camera_cm"])): row for row in csv.DictReader(file)}
        self.ids = list(dict.fromkeys(name for name, _ in cells))
        self.distances = np.array(sorted({cm for _, cm in cells}))

        def column(name: str) -> np.ndarray:
            return np.array([[float(cells[i, d][name]) for i in self.ids] for d in self.distances])

        self.mean, self.sd = column("mean_change"), column("sd_of_change")
        in_sd = column("mean_change_in_sd_of_heads")
        largest = np.abs(in_sd).argmax(0), np.arange(len(self.ids))
        known = in_sd[largest] != 0
        self.people = np.full(len(self.ids), np.nan)  # SD of heads
        self.people[known] = np.abs(self.mean[largest] / np.where(known, in_sd[largest], 1))[known]
        self.explained = np.array([not name.startswith(_NONE) for name in self.ids])
        by_id = {entry.id: entry for entry in geometry()}
        self.entries = [by_id[name] for name in self.ids]

    def predicted(self, depths: np.ndarray) -> np.ndarray:
        """Changes of the generic face with these depths."""
        flat = generic_face()[:, :2]
        seen = np.stack([project(flat, depths, CANTHI / cm) for cm in (*self.distances, FAR)])
        values = evaluate(seen, self.entries)
        return values[:-1] - values[-1]


def whole(free: np.ndarray) -> np.ndarray:
    """Depths of all points from those of one side; the outer canthi's are 0."""
    depths = np.zeros(68)
    depths[_FREE] = free
    return depths[_ONE_SIDE]


def fit(table: Table, distances: np.ndarray, measurements: np.ndarray) -> np.ndarray:
    """Depths (68,) that explain a part of the table, chosen by masks."""
    some = np.ix_(distances, measurements)
    weight = 1 / np.hypot(table.sd[some], _FINEST * np.nan_to_num(table.people[measurements]))
    generic = generic_face()[:, 2]

    def residuals(free: np.ndarray) -> np.ndarray:
        depths = whole(free)
        moved = (depths - generic) / 0.1
        bent = [moved[a] - 2 * moved[b] + moved[c] for line in _LINES for a, b, c in _threes(line)]
        missed = (table.predicted(depths)[some] - table.mean[some]) * weight
        return np.concatenate([missed.ravel(), _KEPT * moved[_FREE], _SMOOTH * np.array(bent)])

    return whole(least_squares(residuals, generic[_FREE]).x)


def _threes(line: Iterable[int]) -> Iterable[tuple[int, int, int]]:
    points = list(line)
    return zip(points[:-2], points[1:-1], points[2:], strict=True)


def judge(what: str, table: Table, depths: np.ndarray, distances: np.ndarray, chosen: np.ndarray) -> None:
    """How far off the changes are, in SD of people and in SD of the heads' own changes."""
    some = np.ix_(distances, chosen & np.isfinite(table.people))
    off = np.abs(table.predicted(depths) - table.mean)
    people, heads = (off / table.people)[some], (off / table.sd)[some]
    say(
        f"{what}: {people.mean():.3f} SD of people (mean; largest {people.max():.2f}), "
        f"{np.median(heads):.2f} SD of heads (median)"
    )


def say(text: str) -> None:
    print(text, file=sys.stderr)


def write(path: str, about: str, header: str, rows: Iterable[str]) -> None:
    comment = "".join(f"# {line}\n" for line in about.splitlines())
    Path(path).write_text(f"{comment}{header}\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")


def main(path: str) -> None:
    table = Table(path)
    held_out = np.isin(table.distances, HELD_OUT)
    generic = generic_face()[:, 2]
    judge("held-out distances, depths from motion", table, generic, held_out, table.explained)
    some = fit(table, ~held_out, table.explained)
    judge("held-out distances, fitted depths", table, some, held_out, table.explained)
    fold_of = np.random.default_rng(0).permutation(len(table.ids)) % FOLDS
    for fold in range(FOLDS):
        out = fold_of == fold
        without = fit(table, ~held_out, table.explained & ~out)
        for name, depths in (("from motion", generic), ("fitted", without)):
            judge(f"fold {fold} held out as well, {name}", table, depths, held_out, table.explained & out)

    depths = fit(table, np.ones_like(held_out), table.explained)
    write(
        "anthropo/face/depths.csv",
        "How far behind the outer canthi (negative: before them) the points of the 68-point scheme lie,\n"
        "in outer-canthal distances, in the mean of 1,000 heads of ICT-FaceKit (Li et al. 2020,\n"
        f"arXiv:2004.00210; MIT), whose distance from the camera counts from the plane at {EYES:g}. Made by\n"
        "development/depths.py.",
        "point,depth",
        (f"{i},{depth + 0.0:.4f}" for i, depth in enumerate(depths)),
    )
    nearness = CANTHI / table.distances - CANTHI / FAR
    left = np.hypot(table.sd, table.predicted(depths) - table.mean) / np.abs(nearness)[:, None]
    near = left[table.distances <= NEAR]
    say(f"spread per nearness at {table.distances[0]} cm over {NEAR} cm: {np.median(near[0] / near[-1]):.2f}")
    write(
        "anthropo/measurement/heads.csv",
        "How differently people's measurements change as the camera comes nearer: SD, in the measurement's\n"
        "unit, of what depths.csv leaves unexplained in 1,000 heads of ICT-FaceKit (MIT), per nearness\n"
        "(outer-canthal distance over camera distance). Made by development/depths.py.",
        "measurement,spread",
        (f"{name},{spread:.4g}" for name, spread in zip(table.ids, near.max(0), strict=True)),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
