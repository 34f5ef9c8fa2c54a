"""Figures of ordered labels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from anthropo.learning.bootstrap import resamples
from anthropo.learning.intervals import Interval, percentiles, proportion, unknown
from anthropo.learning.judged import Floats, Judged


def quadratic_kappa(
    truth: ArrayLike, decision: ArrayLike, grades: int, weights: Floats | None = None
) -> float:
    """Cohen's kappa of grades (n,), a disagreement counting by its square; NaN if all are alike."""
    table = np.zeros((grades, grades))
    np.add.at(table, (np.asarray(truth), np.asarray(decision)), 1.0 if weights is None else weights)
    squared = np.subtract.outer(np.arange(grades), np.arange(grades)) ** 2
    by_chance = float((squared * np.outer(table.sum(1), table.sum(0))).sum() / table.sum())
    return 1 - float((squared * table).sum()) / by_chance if by_chance else math.nan


def judge_grades(judged: Judged, *, bootstrap: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """Figures of ordered labels, the lowest first: quadratic kappa, and the share off by one at most."""
    k, decided = len(judged.labels), judged.decision >= 0
    off = proportion(decided & (np.abs(judged.truth - judged.decision) <= 1), judged.groups)
    truth, decision = judged.truth[decided], judged.decision[decided]
    value = quadratic_kappa(truth, decision, k) if len(truth) else math.nan
    if math.isnan(value):
        return {"quadratic_kappa": unknown("everybody has one grade"), "off_by_one": off}
    drawn = resamples(judged, bootstrap, seed)[:, decided].astype(float)
    replicates = np.array([quadratic_kappa(truth, decision, k, weights) for weights in drawn])
    lo, hi = percentiles(replicates[np.isfinite(replicates)])
    return {"quadratic_kappa": Interval(value, lo, hi, len(truth)), "off_by_one": off}
