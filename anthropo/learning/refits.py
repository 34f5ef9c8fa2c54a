"""What is kept of models that were fitted without some of the patients: enough to explain a person by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from anthropo.errors import ModelError
from anthropo.learning.calibration import Stack
from anthropo.learning.columns import VOIDED, Columns, Scaler
from anthropo.learning.deep import RegionModel
from anthropo.learning.fitted import FittedHybrid
from anthropo.learning.imputation import Imputer
from anthropo.learning.judged import Floats
from anthropo.learning.measured import KernelMachine, Machine, Trees
from anthropo.learning.model_readers import part, prefixed
from anthropo.learning.schema import Arrays, taken
from anthropo.learning.states import MACHINE, MOST_REFIT_NUMBERS, REFIT, RefitState

FEWEST = 5  # refits, below which nothing is said of a range
TOP = 5  # measurements whose place among the first is told

_MOST_ARRAYS = 1500
_PHOTOS = 200  # that say how much a measurement counts


@dataclass(frozen=True, slots=True, eq=False)
class KeptRefit:
    """What is kept of a model that was fitted without some of the patients."""

    labels: tuple[str, ...]  # that it was trained for, in its order
    meta: dict[str, Any]  # JSON
    arrays: Arrays
    without: float = math.nan  # share of the patients that it was fitted without

    @property
    def numbers(self) -> int:
        """Numbers in its arrays."""
        return sum(array.size for array in self.arrays.values())


def keep(one: FittedHybrid) -> tuple[dict[str, Any], Arrays] | None:
    """A fitted classifier without what a refit shares with the model; None if its contributions are sampled.

    Scores of regions come in their standard deviations, and with mean 0. The scale of the frequencies is
    their norm, until `restored` knows the model's.
    """
    if isinstance(one.measured_, KernelMachine):
        return None
    meta, arrays = one.state()
    names = ("spread", "centre", "loadings", "noise", "machine", "deep_slopes", "deep_bias", "slopes", "bias")
    out: Arrays = {name: arrays[name].astype(np.float32) for name in names if name in arrays}
    regions = one.regions_.values()
    weights = [m.weights / spread for m, spread in zip(regions, one.score_spread_, strict=True)]
    # without regions as `restored` expects it: as if of one frequency and one number
    out["weights"] = _halved(np.stack(weights) if weights else np.zeros((0, 2, len(one.classes_))))
    centres = np.zeros((len(weights), max((len(m.centre) for m in regions), default=1)), np.float32)
    for row, m in zip(centres, regions, strict=True):  # encoders differ in how many numbers they give
        row[: len(m.centre)] = m.centre
    out["centres"] = centres
    out["scale"] = np.array([m.scale * np.linalg.norm(m.frequencies) for m in regions])
    described = {name: meta[name] for name in ("measured", "origin", "category", "people")}
    return described, out | prefixed(part(arrays, "trees/"), "trees/")


def _halved(values: Floats) -> Floats:
    """In half precision, if no number is too large for it."""
    return np.asarray(values, dtype=np.float32 if np.abs(values).max(initial=0) > 6e4 else np.float16)


def shared(meta: dict[str, Any], arrays: Arrays, of: FittedHybrid) -> tuple[dict[str, Any], Arrays]:
    """What `keep` made, without what is the same in the model: as a file has it."""
    known = {"origin": list(of.scaler_.origin), "category": list(of.scaler_.category)}
    differing = {name: entry for name, entry in meta.items() if known.get(name) != entry}
    norms = np.array([np.linalg.norm(m.frequencies) for m in of.regions_.values()])
    return differing, {**arrays, "scale": (arrays["scale"] / norms).astype(np.float32)}


def restored(
    state: RefitState, arrays: Arrays, of: FittedHybrid, columns: Columns | None = None
) -> FittedHybrid:
    """The refit of a classifier that a file has this of; it answers as it did, but for rounding.

    `columns` are those that it reads, if they are not the classifier's.

    Raises
    ------
    ModelError
        If it does not fit the classifier.
    """
    columns = columns or of.columns_
    origin = of.scaler_.origin if state.origin is None else state.origin
    category = of.scaler_.category if state.category is None else state.category
    m, k, halves = len(origin), len(of.classes_), (len(of.regions_) > 0) + (state.measured != "none")
    known = {*columns.measurements, *columns.metadata}
    if len(category) != m or not known.issuperset(origin) or (state.measured == "none") != (m == 0):
        raise ModelError("a refit reads other columns than its model")
    allowed = (None, VOIDED) if of.missing == "evidence" else (None,)
    pairs = zip(origin, category, strict=True)
    if any(text not in allowed and name in columns.measurements for name, text in pairs):
        raise ModelError("a measurement of a refit is a category")
    shapes = {model.frequencies.shape for model in of.regions_.values()} or {(1, 1)}
    if len({f for f, _ in shapes}) > 1:
        raise ModelError("its regions differ in how many frequencies they have, and there are refits")
    f, d = max(shapes)
    lengths = {"k": k, "m": m, "r": len(of.regions_), "h": halves, "f": f, "d": d}
    fields = taken(arrays, REFIT + (MACHINE if state.measured == "machine" else ()), lengths)
    there = copy(of)
    there.columns_ = columns
    there.feature_names_in_ = np.array(columns.names, dtype=object)
    there.n_features_in_ = len(columns.names)
    there.regions_ = {
        region: RegionModel(
            centre[: model.frequencies.shape[1]],
            model.frequencies,
            weights,
            np.zeros(k),
            float(scale),
            model.sphere,
        )
        for (region, model), centre, weights, scale in zip(
            of.regions_.items(), fields["centres"], fields["weights"], fields["scale"], strict=True
        )
    }
    there.score_spread_ = np.ones((len(of.regions_), k))
    there.scaler_ = Scaler(origin, origin, category, fields["centre"], fields["spread"], fields["centre"])
    there.imputer_ = Imputer(fields["loadings"], fields["noise"])
    there.deep_ = Stack(fields["deep_slopes"], fields["deep_bias"])
    there.stack_ = Stack(fields["slopes"], fields["bias"])
    if len(state.people) not in (0, k):
        raise ModelError("the people of a refit are not of its labels")
    there.people_ = np.array(state.people, dtype=np.float64) if state.people else None
    there.measured_ = Machine(fields["machine"]) if state.measured == "machine" else None
    if state.measured == "trees":
        there.measured_ = Trees(part(arrays, "trees/") or None, k)
        there.measured_.check(m)
    return there


def within_limits(dealt: Sequence[Sequence[KeptRefit | None]]) -> list[KeptRefit]:
    """Refits of so many dealings of the patients, each whole, as a file has room for."""
    out: list[KeptRefit] = []
    for dealing in dealt:
        more = [*out, *(one for one in dealing if one is not None)]
        numbers, arrays = sum(one.numbers for one in more), sum(len(one.arrays) for one in more)
        if numbers > MOST_REFIT_NUMBERS or arrays > _MOST_ARRAYS:
            break
        out = more
    return out if len(out) >= FEWEST else []


def check_room(arrays: Arrays) -> None:
    """Refuse refits that hold more numbers together than `within_limits` lets pass, by a ModelError.

    A few more trees than those of a model, each of which takes far more memory than in a file, would fill it.
    """
    numbers = sum(array.size for name, array in arrays.items() if name.startswith("refits/"))
    if numbers > MOST_REFIT_NUMBERS:
        raise ModelError(f"its refits hold {numbers:,} numbers, and {MOST_REFIT_NUMBERS:,} is the most")


def some_rows(table: Any) -> Any:
    """So many rows of a feature table, evenly spread, as say how much a measurement counts."""
    last = len(table) - 1
    return table.iloc[np.unique(np.linspace(0, last, min(len(table), _PHOTOS)).astype(int))]


def overlap(one: FittedHybrid, table: Any, refits: Sequence[tuple[FittedHybrid, Any]]) -> float | None:
    """Share of the `TOP` measurements that count most in a classifier and in a refit as well, its mean.

    A measurement counts as much as its contributions to the photos of a feature table do, their mean size.
    Each classifier has a table of the same photos. None where there are no more measurements than that, or
    no refits.
    """
    if len(one.columns_.measurements) <= TOP or not refits:
        return None
    there = _first(one, table)
    return float(np.mean([len(there & _first(*refit)) / TOP for refit in refits]))


def _first(one: FittedHybrid, table: Any) -> set[str]:
    added = one.contributions(table).measurements
    size = {name: float(np.abs(values).mean()) for name, values in added.items()}
    return set(sorted(size, key=lambda name: (-size[name], name))[:TOP])
