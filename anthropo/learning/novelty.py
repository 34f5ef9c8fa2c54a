"""Distance of a face to a group of people, for "none of these" and for distance to normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import ModelError
from anthropo.learning.columns import Columns, Scaler
from anthropo.learning.conformal import MahalanobisDistance, Rank
from anthropo.learning.judged import Floats
from anthropo.learning.memo import remembered
from anthropo.learning.model_readers import record
from anthropo.learning.rows import numbers_of
from anthropo.learning.schema import NOTHING, Arrays, Names, taken
from anthropo.learning.splits import split
from anthropo.learning.states import NOVELTY, PART, SCALE, NoveltyState


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """Distance from a group of people in measurements and in each region, together ranked among theirs.

    Mahalanobis distances with shrunk covariance, each divided by the median of the people's distances out of
    fold. Their mean is ranked among the people's (a conformal p-value, so that the share of such people who
    are called unlike is the one that was asked for).
    """

    columns: Columns
    scaler: Scaler | None
    parts: dict[str, MahalanobisDistance]  # "measurements" and the regions
    medians: dict[str, float]
    rank: Rank

    @classmethod
    def fit(cls, table: Any, patients: NDArray[Any], seed: int = 0) -> Novelty:
        """Learn from the people in a feature table; metadata takes no part."""
        columns = Columns.of(list(table.columns))
        columns = Columns(columns.measurements, columns.regions, ())
        scaler = Scaler.fit(table, columns) if columns.measurements else None
        names = [str(p) for p in patients]
        # no labels here: people are dealt to two made-up ones, which only spreads them evenly
        side = {p: str(i % 2) for i, p in enumerate(dict.fromkeys(names))}
        folds = remembered(split, [side[p] for p in names], names, 5, seed).index
        parts, medians = {}, {}
        total = np.zeros(len(table))
        for name, values in _parts(table, columns, scaler).items():
            whole = name == "measurements"
            parts[name] = remembered(MahalanobisDistance.fit, values, whole)
            out = np.empty(len(values))
            for fold in np.unique(folds):
                out_of_fold = folds == fold
                there = remembered(MahalanobisDistance.fit, values[~out_of_fold], whole)
                out[out_of_fold] = there.of(values[out_of_fold])
            medians[name] = float(np.median(out)) or 1.0
            total += out / medians[name]
        return cls(columns, scaler, parts, medians, Rank(np.sort(total / len(parts))))

    def contributions(self, table: Any) -> dict[str, Floats]:
        """Part (n,) of the distance that each measurement and each region adds."""
        added: dict[str, Floats] = {}
        for name, values in _parts(table, self.columns, self.scaler).items():
            by = self.parts[name].by_feature(values) / self.medians[name] / len(self.parts)
            if name == "measurements":
                added |= {m: by[:, i] for i, m in enumerate(self.columns.measurements)}
            else:
                added[name] = by.sum(1)
        return added

    def distance(self, table: Any) -> Floats:
        """Distances (n,); 1 is typical."""
        return np.asarray(sum(self.contributions(table).values()), dtype=np.float64)

    def p_value(self, distance: Floats) -> Floats:
        """Share (n,) of the people who are at least as far out."""
        return self.rank.p_value(distance)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The model as JSON and arrays of numbers, for a model file."""
        meta = {
            "measurements": list(self.columns.measurements),
            "regions": {region: len(names) for region, names in self.columns.regions.items()},
            "parts": list(self.parts),
        }
        arrays: Arrays = {"rank": self.rank.scores, "medians": np.array(list(self.medians.values()))}
        if self.scaler is not None:
            arrays["mean"], arrays["spread"] = self.scaler.mean, self.scaler.spread
        for at, one in enumerate(self.parts.values()):
            arrays[f"{at}/mean"], arrays[f"{at}/axes"] = one.mean, one.axes.astype(np.float32)
        return meta, arrays

    @classmethod
    def from_state(cls, meta: Any, arrays: Arrays, names: Names = NOTHING) -> Novelty:
        """The model that `state` was called on."""
        state = record(NoveltyState, meta, "novelty", names)
        names_of_measurements, m = state.measurements, len(state.measurements)
        sizes = {**({"measurements": m} if m else {}), **state.regions}
        if not sizes:
            raise ModelError("its novelty has neither measurements nor regions")
        of_all = taken(arrays, NOVELTY + (SCALE if m else ()), {"m": m, "q": len(sizes)})
        scaler = None
        if m:
            scaler = Scaler(
                names_of_measurements,
                names_of_measurements,
                (None,) * m,
                of_all["mean"],
                of_all["spread"],
                of_all["mean"],
            )
        parts = {}
        for at, (name, d) in enumerate(sizes.items()):
            one = taken(arrays, PART, {"d": d}, f"{at}/")
            parts[name] = MahalanobisDistance(one["mean"], one["axes"])
        medians = dict(zip(sizes, of_all["medians"].tolist(), strict=True))
        columns = Columns.sized(names_of_measurements, state.regions)  # whose lengths the arrays have
        return cls(columns, scaler, parts, medians, Rank(np.sort(of_all["rank"])))


def _parts(table: Any, columns: Columns, scaler: Scaler | None) -> dict[str, Floats]:
    parts = {"measurements": scaler.transform(table)} if scaler is not None else {}
    for region, names in columns.regions.items():
        parts[region] = numbers_of(table, names)
    return parts
