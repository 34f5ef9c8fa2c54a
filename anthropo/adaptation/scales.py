"""Batches of numbers as if they were of one: each number shifted and scaled by itself, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scales = list[tuple[Floats, Floats]]  # scale (d,) and offset (d,) of each batch

#: Numbers of a batch, below which nothing is said of their mean and spread.
FEWEST_KNOWN = 5
_ROUNDS = 500
_SMALL = 1e-6  # relative change, from which on nothing changes
_LEAST = 1e-12  # of a variance


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """What batches (b) of numbers (d) have in common."""

    known: NDArray[np.int64]  # (b, d) how many there are
    means: Floats  # (b, d)
    squares: Floats  # (b, d) sum of squares around the mean
    mean: Floats  # (d,) of the reference, or of everybody
    spread: Floats  # (d,) SD within the reference, or within batches
    usable: NDArray[np.bool_]  # (d,) where there is one

    @classmethod
    def of(cls, batches: Sequence[Floats], reference: int | None) -> _Moments:
        seen = [np.isfinite(x) for x in batches]
        known = np.stack([s.sum(0) for s in seen])
        pairs = list(zip(batches, seen, strict=True))
        means = np.stack([np.where(s, x, 0).sum(0) for x, s in pairs]) / np.maximum(known, 1)
        squares = np.stack(
            [(np.where(s, x - m, 0) ** 2).sum(0) for (x, s), m in zip(pairs, means, strict=True)]
        )
        counted = np.where(known >= FEWEST_KNOWN, known, 0)
        if reference is not None:
            counted[np.arange(len(batches)) != reference] = 0
        total = np.maximum(counted.sum(0), 1)
        mean = (counted * means).sum(0) / total
        variance = ((counted > 0) * squares).sum(0) / total
        usable = (counted.sum(0) > 0) & (variance > _LEAST * np.maximum(1, mean**2))
        return cls(known, means, squares, mean, np.sqrt(np.where(usable, variance, 1.0)), usable)

    def rows(self, at: int) -> NDArray[np.bool_]:
        """Numbers (d,) of which enough is known in a batch."""
        return np.asarray(self.usable & (self.known[at] >= FEWEST_KNOWN))


def standardise(batches: Sequence[Floats], reference: int | None = None) -> Scales:
    """Scale and offset of each batch (n, d): ``scale * x + offset`` has the mean and SD of the reference.

    Without a `reference` all get the mean of everybody, and the SD within batches. NaN is a missing number;
    one of which a batch, or the reference, has fewer than five stays as it is there.
    """
    of = _Moments.of(batches, reference)
    out: Scales = []
    for at in range(len(batches)):
        scale, offset = _nothing(of)
        spread = np.sqrt(of.squares[at] / np.maximum(of.known[at], 1))
        rows = of.rows(at) & (spread > 0)
        if at != reference:
            scale[rows] = of.spread[rows] / spread[rows]
            offset[rows] = of.mean[rows] - scale[rows] * of.means[at][rows]
        out.append((scale, offset))
    return out


def combat(batches: Sequence[Floats], reference: int | None = None) -> Scales:
    """As `standardise`, by empirical Bayes: what few photos say of a number is drawn to that of the others.

    Notes
    -----
    ComBat: Johnson, Li & Rabinovic, "Adjusting batch effects in microarray expression data using empirical
    Bayes methods", Biostatistics 8:118 (2007). Shifts of a batch's standardised numbers are taken to be
    normal, their variances inverse gamma, with parameters by the method of moments; what is taken off is the
    mode of the posterior. There are no covariates: labels of the people at a target are not known, so that
    a batch with another share of them loses some of what tells them apart.
    """
    of = _Moments.of(batches, reference)
    out: Scales = []
    for at in range(len(batches)):
        scale, offset = _nothing(of)
        rows = of.rows(at)
        if at != reference and rows.any():
            spread = of.spread[rows]
            shift, factor = _posterior(
                (of.means[at][rows] - of.mean[rows]) / spread,
                of.squares[at][rows] / spread**2,
                of.known[at][rows],
            )
            scale[rows] = 1 / np.sqrt(factor)
            offset[rows] = of.mean[rows] - scale[rows] * (of.mean[rows] + spread * shift)
        out.append((scale, offset))
    return out


def _nothing(of: _Moments) -> tuple[Floats, Floats]:
    return np.ones(len(of.mean)), np.zeros(len(of.mean))


def _posterior(shift: Floats, squares: Floats, n: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Shift and factor of the variance (d,), drawn to those of the other numbers.

    Of n standardised numbers the mean is `shift`, and `squares` their sum of squares around it.
    """
    factor = np.maximum(squares / (n - 1), _LEAST)
    if len(shift) < 2:  # one number has no others to be drawn to
        return shift, factor
    prior, width = shift.mean(), max(float(shift.var(ddof=1)), _LEAST)
    m, s = float(factor.mean()), max(float(factor.var(ddof=1)), _LEAST)
    a, b = (2 * s + m**2) / s, (m * s + m**3) / s
    posterior, of = shift, factor
    for _ in range(_ROUNDS):
        moved = (width * n * shift + of * prior) / (width * n + of)
        wider = (b + (squares + n * (shift - moved) ** 2) / 2) / (n / 2 + a - 1)
        change = max(np.abs(moved - posterior).max(), np.abs(wider / of - 1).max())
        posterior, of = moved, wider
        if change < _SMALL:
            break
    return posterior, of
