"""Prediction sets at a stated error rate, and conformal p-values of a distance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Floats
from anthropo.learning.schema import Arrays, taken
from anthropo.learning.states import SETS

_COMPONENTS = 0.9  # share of an embedding's variance that is kept for novelty


@dataclass(frozen=True, slots=True, eq=False)
class ConformalSets:
    """Label-conditional conformal prediction.

    A label is in the set when at least the error rate's share of its training photos, judged out of fold,
    were as improbable under it: Vovk, Gammerman & Shafer, "Algorithmic learning in a random
    world" (2005), chapter 4 (Mondrian predictors), with cross-validated scores (Vovk 2015). Each
    label is then missed with the stated rate, also a rare one. An empty set means: none of these.
    """

    scores: tuple[Floats, ...]  # per label, ascending: out-of-fold probabilities of its photos

    @classmethod
    def fit(cls, probabilities: Floats, y: NDArray[np.int64]) -> ConformalSets:
        """From out-of-fold probabilities (n, k) of labels (n,)."""
        return cls(tuple(np.sort(probabilities[y == c, c]) for c in range(probabilities.shape[1])))

    @classmethod
    def from_arrays(cls, arrays: Arrays, labels: int) -> ConformalSets:
        """From a model file's arrays of so many labels."""
        each = (taken(arrays, [replace(SETS[0], name=f"sets/{c}")], {})[f"sets/{c}"] for c in range(labels))
        return cls(tuple(map(np.sort, each)))

    def p_values(self, probabilities: Floats) -> Floats:
        """Conformal p-value of each label's probability among the label's training photos, (n, k)."""
        out = np.empty_like(probabilities)
        for c, scores in enumerate(self.scores):
            # at most as probable; a hair's tolerance, since sums differ in their last digits
            below = np.searchsorted(scores, probabilities[:, c] + 1e-12, side="right")
            out[:, c] = (below + 1) / (len(scores) + 1)
        return out

    def sets(self, probabilities: Floats, error_rate: float) -> NDArray[np.bool_]:
        """Which labels (n, k) are in the prediction set."""
        return np.asarray(self.p_values(probabilities) > error_rate)


@dataclass(frozen=True, slots=True, eq=False)
class MahalanobisDistance:
    """Squared Mahalanobis distance from a group of people, as a sum over its features."""

    mean: Floats  # (m,)
    axes: Floats  # (c, m), principal axes over which the distance is taken, each scaled to unit variance

    @classmethod
    def fit(cls, values: Floats, all_axes: bool = False) -> MahalanobisDistance:
        """Learn mean and shrunk covariance of values (n, m); NaN counts as the mean.

        Covariance after Ledoit & Wolf (J Multivar Anal 2004;88:365), since people are fewer than features.
        """
        seen = np.isfinite(values)
        mean = np.where(seen, values, 0).sum(0) / np.maximum(seen.sum(0), 1)
        off = np.where(seen, values - mean, 0)
        variance, axes = _principal_axes(off)
        keep = variance > 1e-10 * max(float(variance[-1]), 1e-300)
        if not all_axes:  # leading axes only: the rest of an embedding is noise
            larger = np.cumsum(variance[::-1])[::-1] - variance  # of the axes before each one
            least = variance[larger < _COMPONENTS * variance.sum()].min(initial=np.inf)
            # Where people are fewer than features, many axes have one variance, and rounding decides which
            # of them eigh finds: all are kept, or none.
            keep &= variance > (1 - 1e-6) * least
        return cls(mean, (axes[:, keep] / np.sqrt(variance[keep])).T)

    def of(self, values: Floats) -> Floats:
        """Distance (n,) per axis of values (n, m)."""
        return np.asarray(self.by_feature(values).sum(1), dtype=np.float64)

    def by_feature(self, values: Floats) -> Floats:
        """The same as a sum over features, (n, m): each one's deviation times its expected pull."""
        off = np.where(np.isfinite(values), values - self.mean, 0)
        return np.asarray(off * ((off @ self.axes.T) @ self.axes) / max(len(self.axes), 1))


def _principal_axes(off: Floats) -> tuple[Floats, Floats]:
    """Ascending variances (m,) and axes (m, m), its columns, of a shrunk covariance of centred values (n, m).

    Ledoit and Wolf's, as scikit-learn has it, whose checks take longer than this does for a few people.
    """
    n, m = off.shape
    moment = off @ off.T if n < m else off.T @ off  # trace and sum of squares are the same
    mean = float(np.trace(moment)) / n / m
    square = float((moment**2).sum()) / n**2
    fourth = float(((off**2).sum(1) ** 2).sum())
    apart = square - m * mean**2  # from a multiple of the identity
    error = min((fourth / n - square) / n, apart)
    shrink = error / apart if error > 0 else 0.0
    if 2 * n > m:
        moment = off.T @ off if n < m else moment
        variance, axes = np.linalg.eigh((1 - shrink) * moment / n + shrink * mean * np.eye(m))
        return variance, axes
    # Where people are far fewer than features, an eighth of the time: in directions in which no two people
    # differ the variance is the same, and any axes will do.
    _, lengths, there = np.linalg.svd(off, full_matrices=False)
    variance = np.full(m, shrink * mean)
    variance[m - n :] += (1 - shrink) * lengths[::-1] ** 2 / n
    return variance, np.linalg.qr(there.T, mode="complete")[0][:, ::-1]


@dataclass(frozen=True, slots=True, eq=False)
class Rank:
    """Conformal p-values: shares of reference people who are at least as far out."""

    scores: Floats  # (n,) ascending, each by a model that did not see the person

    def limit(self, share: float) -> float:
        """The distance beyond which no more than `share` of the reference people are.

        With too few people for that share, the exponential tail beyond the median is extrapolated.
        """
        n = len(self.scores)
        at = math.ceil((n + 1) * (1 - share)) - 1
        if at < n:
            return float(self.scores[at])
        middle = float(np.median(self.scores))
        return max(float(self.scores[-1]), middle + math.log(0.5 / share) / self.rate)

    @property
    def rate(self) -> float:
        """Rate of the exponential tail beyond the median: -d log(share) / d distance."""
        middle = float(np.median(self.scores))
        beyond = self.scores[self.scores > middle] - middle
        return 1 / float(beyond.mean()) if len(beyond) and beyond.mean() > 0 else 1.0

    def p_value(self, distances: Floats) -> Floats:
        """P-values (n,); small for distances that few reference people reach."""
        below = np.searchsorted(self.scores, distances - 1e-12, side="left")
        return np.asarray((len(self.scores) - below + 1) / (len(self.scores) + 1))
