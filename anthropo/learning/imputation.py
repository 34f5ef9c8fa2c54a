"""What a person's missing numbers may be expected to be, from those that are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Floats

_FACTORS = 8  # at most; and one for every five people
_HELD = 20.0  # people's worth of prior that a number goes with no factor
_ROUNDS = 20
_LEAST_NOISE = 0.1  # of a variance of 1
_LIMIT = 5.0  # standard deviations, as of what is known


@dataclass(frozen=True, slots=True, eq=False)
class Imputer:
    """Factor analysis of standardised numbers, some of which are missing.

    Of each person a few factors are estimated from the numbers that are known; the missing ones are expected
    to follow them. Labels play no part, so that what is missing says nothing of its own.
    """

    loadings: Floats  # (m, f)
    noise: Floats  # (m,) variance beside the factors

    @classmethod
    def fit(cls, numbers: Floats, among: NDArray[np.bool_] | None = None) -> Imputer:
        """Learn from numbers (n, m) whose mean is 0 where they are known; NaN: missing.

        Nothing is expected from numbers that are not `among` (m,) those that follow factors.

        Expectation and maximisation (Rubin & Thayer, Psychometrika 1982;47:69) with a ridge on the loadings,
        so that a number that few people have follows the factors little.
        """
        n, m = numbers.shape
        if among is not None and not among.all():
            part = cls.fit(numbers[:, among])
            loadings, noise = np.zeros((m, part.loadings.shape[1])), np.ones(m)
            loadings[among], noise[among] = part.loadings, part.noise
            return cls(loadings, noise)
        seen, x = np.isfinite(numbers).astype(np.float64), np.nan_to_num(numbers)
        f = min(_FACTORS, n // 5, m - 1)
        if f < 1:
            return cls(np.zeros((m, 0)), np.ones(m))
        _, sizes, axes = np.linalg.svd(x, full_matrices=False)
        imputer = cls((axes[:f] * sizes[:f, None] / np.sqrt(n)).T, np.full(m, 0.5))
        for _ in range(_ROUNDS):
            factors, covariance = imputer._factors(numbers)
            second = factors[:, :, None] * factors[:, None, :] + covariance
            among = np.tensordot(seen.T, second, 1)  # (m, f, f)
            together = np.einsum("nm,nf->mf", x, factors)
            loadings = np.linalg.solve(among + _HELD * np.eye(f), together[:, :, None])[:, :, 0]
            left = (x**2).sum(0) - 2 * (loadings * together).sum(1)
            left += np.einsum("mf,mfg,mg->m", loadings, among, loadings)
            # as if one more person had been seen, of variance 1
            imputer = cls(loadings, np.maximum((left + 1) / (seen.sum(0) + 1), _LEAST_NOISE))
        return imputer

    def fill(self, numbers: Floats) -> Floats:
        """The numbers (n, m) with what is expected where they are missing."""
        return self._filled(numbers, self._factors(numbers)[0] @ self.loadings.T)

    def draw(self, numbers: Floats, random: np.random.RandomState) -> Floats:
        """The numbers (n, m) with what they might be where they are missing.

        What is expected varies less than what is known, and trees would see by that which is which.
        """
        factors, covariance = self._factors(numbers)
        root = np.linalg.cholesky(covariance)
        factors = factors + np.einsum("nfg,ng->nf", root, random.standard_normal(factors.shape))
        drawn = factors @ self.loadings.T
        return self._filled(numbers, drawn + np.sqrt(self.noise) * random.standard_normal(drawn.shape))

    def owed(self, numbers: Floats) -> Iterator[Floats]:
        """For each person the terms of each missing number's expectation, one for each known number."""
        scaled = self.loadings / self.noise[:, None]
        _, covariance = self._factors(numbers)
        for person, of_factors in zip(numbers, covariance, strict=True):
            known = np.isfinite(person)
            yield (self.loadings[~known] @ of_factors) @ (scaled[known].T * person[known])

    def _factors(self, numbers: Floats) -> tuple[Floats, Floats]:
        """Mean (n, f) and covariance (n, f, f) of each person's factors."""
        seen, x = np.isfinite(numbers).astype(np.float64), np.nan_to_num(numbers)
        scaled = self.loadings / self.noise[:, None]
        f = self.loadings.shape[1]
        products = (self.loadings[:, :, None] * scaled[:, None, :]).reshape(len(self.loadings), f * f)
        covariance = np.linalg.inv(np.eye(f) + (seen @ products).reshape(len(x), f, f))
        factors = np.einsum("nfg,ng->nf", covariance, x @ scaled)
        return factors, np.asarray(covariance, dtype=np.float64)

    @staticmethod
    def _filled(numbers: Floats, others: Floats) -> Floats:
        return np.asarray(np.where(np.isfinite(numbers), numbers, np.clip(others, -_LIMIT, _LIMIT)))


def to_the_known(numbers: Floats, parts: Floats, imputer: Imputer, linear: bool) -> Floats:
    """Contributions (n, k, m) by number, those of missing numbers given to the known ones they follow from.

    What a missing number is expected to be is a sum over known ones. Where contributions are weighted numbers
    (`linear`), each known number gets its own term of it; else a missing number's contribution is shared out
    by the terms' sizes. Sums over numbers stay what they are, and a missing number has none.
    """
    out = np.where(np.isfinite(numbers)[:, None, :], parts, 0.0)
    rows = np.flatnonzero(np.isnan(numbers).any(1) & np.isfinite(numbers).any(1))
    for row, terms in zip(rows, imputer.owed(numbers[rows]), strict=True):
        missing, known = np.isnan(numbers[row]), np.isfinite(numbers[row])
        shares = terms if linear else np.abs(terms) + 1e-12  # where nothing is expected, all alike
        expected = shares.sum(1)
        expected[expected == 0] = np.inf  # as is then what it adds
        out[row][:, known] += parts[row][:, missing] @ (shares / expected[:, None])
    return np.asarray(out)


def unknown(numbers: Floats) -> NDArray[np.bool_]:
    """People (n,) of whom nothing is known."""
    return np.asarray(np.isnan(numbers).all(1))
