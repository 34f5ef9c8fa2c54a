"""Calibration error: the distance of stated probabilities to observed shares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.intervals import Interval, normal_quantile
from anthropo.learning.judged import Bools, Floats, Ints, Judged

_BINS = 10  # at most
_PER_BIN = 30  # photos in each, at least


def calibrated_on(judged: Judged, positive: str | None) -> tuple[Floats, Bools]:
    """Probabilities (n,) of the positive label and whether it was true; else of the most probable label."""
    chosen = judged.index(positive)
    if chosen is not None:
        return judged.proba[:, chosen], judged.truth == chosen
    best = judged.proba.argmax(1)
    return judged.proba.max(1), best == judged.truth


def calibration_bins(probability: Floats, most: int = _BINS, photos: int | None = None) -> Ints:
    """Bin (n,) of each photo: equal numbers of photos, 30 or more each, equal probabilities together.

    `photos` is how many there are where each has several probabilities.
    """
    bins = max(1, min(most, (photos or len(probability)) // _PER_BIN))
    inner = np.quantile(probability, np.arange(1, bins) / bins)
    return np.unique(np.searchsorted(inner, probability, side="right"), return_inverse=True)[1]


def calibration_error(probability: Floats, true: Bools, groups: NDArray[Any]) -> Interval:
    """Calibration error, its interval by inverting the plain figure's distribution; see `metrics.judge`."""
    from scipy.optimize import brentq

    n = len(true)
    index = calibration_bins(probability)
    size = np.bincount(index)
    residual = true - probability
    gap = np.bincount(index, residual) / size
    weight = size / n

    # variance of each gap: between patients, and not below that of independent photos
    patient = np.unique(groups, return_inverse=True)[1]
    sums = np.zeros((int(patient.max()) + 1, len(size)))
    np.add.at(sums, (patient, index), residual - gap[index])
    clusters = np.maximum(2, [len(set(patient[index == b].tolist())) for b in range(len(size))])
    between = clusters / (clusters - 1) * (sums**2).sum(0) / size**2
    spread = np.sqrt(np.maximum(between, np.bincount(index, probability * (1 - probability)) / size**2))
    plain = float(weight @ np.abs(gap))

    def excess(error: float, quantile: float, plain_error: float) -> float:
        expected = _folded_mean(error, spread)
        sd = math.sqrt(float(weight**2 @ np.maximum(0, error**2 + spread**2 - expected**2)))
        return float(weight @ expected) + quantile * sd - plain_error

    def solve(quantile: float, plain_error: float) -> float:
        if excess(0.0, quantile, plain_error) >= 0:
            return 0.0
        return min(1.0, float(brentq(excess, 0.0, 3.0, args=(quantile, plain_error))))

    z = normal_quantile()
    # a fit that is better than chance allows proves no more than one that is as good
    least = float(weight @ _folded_mean(0.0, spread))
    return Interval(solve(0.0, plain), solve(z, plain), solve(-z, max(plain, least)), n)


def _folded_mean(mean: float, sd: Floats) -> Floats:
    """Mean of the absolute value of a normal variable."""
    from scipy.special import erf

    ratio = mean / np.maximum(sd, 1e-12)
    folded: Floats = sd * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + mean * erf(ratio / math.sqrt(2))
    return folded
