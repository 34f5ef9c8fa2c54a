"""Distributions of measurements that change smoothly with age, fitted to people of many ages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anthropo.reference.curves import half_width, standardise

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_OLDEST = 100.0  # years; where the splines end
_MEAN, _SPREAD = 14, 9  # pieces of the splines over the logarithm of age
_WITHIN = 8  # ages within the span of an age in whole years that stand for it
_ROUNDS = 6  # of fitting means, spread and weights in turn
_ROUNDS_WITH_LIMITS = 30  # what is only a limit is filled in by what was fitted before
_TUKEY = 4.685  # residuals beyond so many SD count for nothing (95 % efficient with normal ones)
_NEAR, _FAR = 0.05, 3.0  # absolute residuals, in SD, beyond which the spread does not ask how far
_LEAST_PEOPLE = 0.25  # share of the variance that is at least the people's own


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredPeople:
    """Healthy people, one photograph or the mean of several each, in one measurement.

    Attributes
    ----------
    values : (n,) array
    age_lo, age_hi : (n,) array
        Years. Ages in whole years are spans; an exact age has both equal.
    female : (n,) array of bool
    group : (n,) array of int
        Index of the group of ancestry; all 0 without groups.
    error : (n,) array
        SD between photographs of the person, as known of this one.
    limit : (n,) array of int, optional
        1 where the person has at least the value, and it is not known how much more (the photograph is cut
        there), -1 where at most; 0 for a value itself.
    """

    values: Floats
    age_lo: Floats
    age_hi: Floats
    female: NDArray[np.bool_]
    group: Ints
    error: Floats
    limit: Ints | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.bool_] | Ints) -> MeasuredPeople:
        """Some of the people."""
        taken = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "limit"}
        return MeasuredPeople(**taken, limit=None if self.limit is None else self.limit[rows])

    @property
    def limits(self) -> Ints:
        """`limit`, all 0 where it is left out."""
        return np.zeros(len(self), np.int64) if self.limit is None else self.limit


def scale_of_age(age: Floats) -> Floats:
    """Age (n,) in years as the logarithm of one year more: faces change about evenly with it.

    Examples
    --------
    >>> from anthropo.reference.curve_fitting import scale_of_age
    >>> import numpy as np
    >>> scale_of_age(np.array([0.0, 1.0, 7.0])).round(2).tolist()
    [0.0, 0.69, 2.08]
    """
    return np.asarray(np.log1p(np.asarray(age, dtype=np.float64)))


@lru_cache(maxsize=4)
def _knots(pieces: int) -> Floats:
    step = float(scale_of_age(np.array(_OLDEST))) / pieces
    return np.asarray(np.arange(-3, pieces + 4) * step, dtype=np.float64)


def _basis(age: Floats, pieces: int) -> Floats:
    """Cubic B-splines (n, pieces + 3) at ages."""
    from scipy.interpolate import BSpline

    at = scale_of_age(np.clip(age, 0.0, _OLDEST * (1 - 1e-9)))
    return np.asarray(BSpline.design_matrix(at, _knots(pieces), 3).toarray())


def _spans(lo: Floats, hi: Floats, pieces: int) -> Floats:
    """The mean basis over spans of age (n, pieces + 3)."""
    at = (np.arange(_WITHIN) + 0.5) / _WITHIN
    return np.asarray(
        np.mean([_basis(lo + (hi - lo) * share, pieces) for share in at], axis=0), dtype=np.float64
    )


def _rough(size: int) -> Floats:
    """Penalty (size, size) on second differences."""
    second = np.diff(np.eye(size), 2, axis=0)
    return np.asarray(second.T @ second, dtype=np.float64)


class _Penalised:
    """Least squares with penalties whose strengths follow from the data, by Fellner and Schall's steps."""

    def __init__(self, penalties: Sequence[tuple[Floats, int]]) -> None:
        self.penalties = penalties  # with their ranks; they act on separate coefficients
        self.strength = [1.0] * len(penalties)

    def fit(self, x: Floats, y: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """Coefficients and their covariance, of (n, p) columns; weights are inverse variances."""
        gram, right = (x * weights[:, None]).T @ x, x.T @ (weights * y)
        ridge = 1e-8 * np.trace(gram) / len(gram) * np.eye(len(gram))
        for _ in range(30):
            total = np.sum([s * p for s, (p, _) in zip(self.strength, self.penalties, strict=True)], axis=0)
            covariance = np.linalg.inv(gram + total + ridge)
            beta = covariance @ right
            changed = 0.0
            for k, (penalty, rank) in enumerate(self.penalties):
                now = self.strength[k]
                free = rank / now - float(np.sum(covariance * penalty))
                size = float(beta @ penalty @ beta)
                new = float(np.clip(now * max(free, 1e-12) / max(size, 1e-12), now / 10, now * 10))
                new = min(max(new, 1e-6), 1e9)
                changed = max(changed, abs(math.log(new / now)))
                self.strength[k] = new
            if changed < 0.02:
                break
        return beta, covariance


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Means, spread and skewness of one measurement by age, sex and group.

    `sd` of `at` is that of people, without the error of photographs; `n` counts how many people of exactly
    this age, sex and group would give a mean with as small an error.
    """

    groups: int
    _beta: Floats
    _covariance: Floats
    _spread: Floats  # coefficients of the logarithm of the SD
    error: float  # mean SD between photographs of those who were fitted
    skew: float
    shift: float  # of the median from the mean, in SD
    scale: float

    def at(self, age: Floats, female: bool, group: int | None = None) -> tuple[Floats, Floats, Floats]:
        """Median, SD of people and effective n at exact ages (m,), in a group or with all alike mixed.

        The SD is that within a group in either case.
        """
        age = np.asarray(age, dtype=np.float64)
        sex, mean = np.full(len(age), female), _basis(age, _MEAN)
        which = range(self.groups) if group is None else [group]
        columns = [_columns(mean, sex, np.full(len(age), g, np.int64), self.groups) for g in which]
        return self._of(np.mean(columns, axis=0), _basis(age, _SPREAD), sex)

    def _of(self, x: Floats, spread: Floats, female: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
        sd = np.exp(_spread_columns(spread, female) @ self._spread) * self.scale
        variance = np.einsum("ij,jk,ik->i", x, self._covariance, x)
        people = np.sqrt(np.maximum(sd**2 - self.error**2, _LEAST_PEOPLE * sd**2))
        return x @ self._beta + self.shift * sd, people, sd**2 / np.maximum(variance, 1e-12 * sd**2)

    def scores(self, people: MeasuredPeople) -> Floats:
        """z (n,) of people, whose photographs have the error that is stated of each; NaN of limits."""
        median, sd, _ = self._of_people(people)
        known = np.where(people.limits == 0, people.values, math.nan)
        return standardise((known - median) / np.hypot(sd, people.error), self.skew)

    def residuals(self, people: MeasuredPeople) -> tuple[Floats, Floats]:
        """How far values or limits (n,) are from the median, in SD of photographs; and these SD."""
        median, sd, _ = self._of_people(people)
        whole = np.hypot(sd, self.error)
        return (people.values - median) / whole, whole

    def _of_people(self, people: MeasuredPeople) -> tuple[Floats, Floats, Floats]:
        mean = _spans(people.age_lo, people.age_hi, _MEAN)
        spread = _spans(people.age_lo, people.age_hi, _SPREAD)
        return self._of(_columns(mean, people.female, people.group, self.groups), spread, people.female)


def _columns(basis: Floats, female: NDArray[np.bool_], group: Ints, groups: int) -> Floats:
    """What the mean is linear in (n, p): a curve, its difference by sex, and that of each group."""
    sex = np.where(female, 0.5, -0.5)[:, None]
    parts = [basis, sex, sex * basis]
    if groups > 1:
        member = np.eye(groups)[group]
        parts += [member, (member[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)]
    return np.hstack(parts)


def _penalties(size: int, groups: int) -> list[tuple[Floats, int]]:
    """Penalties on the columns of `_columns`, each with its rank."""
    width = 2 * size + 1 + (groups * (size + 1) if groups > 1 else 0)

    def placed(start: int, block: Floats) -> Floats:
        out = np.zeros((width, width))
        out[start : start + len(block), start : start + len(block)] = block
        return out

    # what differs between sexes or groups has to be earned: it is pulled to none, and to the same at all ages
    bent: Floats = np.asarray(_rough(size) + 0.02 * np.eye(size), dtype=np.float64)
    made = [(placed(0, _rough(size)), size - 2), (placed(size + 1, bent), size)]
    if groups > 1:
        made.append((placed(2 * size + 1, np.eye(groups)), groups))
        made.append(
            (
                placed(2 * size + 1 + groups, np.asarray(np.kron(np.eye(groups), bent), dtype=np.float64)),
                groups * size,
            )
        )
    return made


def _spread_columns(basis: Floats, female: NDArray[np.bool_]) -> Floats:
    return np.hstack([basis, np.where(female, 0.5, -0.5)[:, None]])


@lru_cache(maxsize=1)
def _log_normal() -> float:
    """Mean of log |z| of a standard normal z, its size held between `_NEAR` and `_FAR`."""
    z = (np.arange(200_000) + 0.5) / 200_000 * 8
    density = np.exp(-(z**2) / 2)
    return float(np.sum(np.log(np.clip(z, _NEAR, _FAR)) * density) / density.sum())


@lru_cache(maxsize=1)
def _log_normal_beyond() -> tuple[Floats, Floats]:
    """Limits, and the same mean of those standard normal z that lie above each."""
    z = (np.arange(-80_000, 80_000) + 0.5) / 10_000
    density = np.exp(-(z**2) / 2)
    above = np.cumsum((np.log(np.clip(np.abs(z), _NEAR, _FAR)) * density)[::-1])[::-1]
    of_them = above / np.cumsum(density[::-1])[::-1]
    return z[20_000:-20_000:100], of_them[20_000:-20_000:100]


def _beyond(limit: Floats) -> tuple[Floats, Floats]:
    """Mean (n,) of the standard normal z above limits (n,), and what such a limit tells of the mean of all.

    The latter is the Fisher information, of which a known z has 1.
    """
    from scipy.special import log_ndtr

    mean = np.exp(-(limit**2) / 2 - math.log(2 * math.pi) / 2 - log_ndtr(-limit))
    return mean, np.clip(mean * (mean - limit), 1e-12, 1.0)


def fit_curves(people: MeasuredPeople, groups: int = 1) -> Fit:
    """Fit one measurement of healthy people of many ages.

    Parameters
    ----------
    people : MeasuredPeople
        Some hundred or more.
    groups : int
        How many groups of ancestry there are.

    Returns
    -------
    Fit

    Notes
    -----
    The mean is a penalised spline over the logarithm of age [1]_, plus a smooth difference by sex and by
    group; how smooth each is follows from the data (generalised Fellner-Schall steps to the restricted
    likelihood [2]_). An age in whole years counts as its whole span. Residuals that are large for their age
    and sex lose their weight (Tukey's), so that a smile that went unnoticed or a wrong age does not move the
    curves. Of whom only a limit is known (`MeasuredPeople.limit`), everything beyond it is as probable as the
    curves have it (a Tobit model [4]_): that long faces are cut by the border more often does not make
    the curves those of short ones. The logarithm of the SD is a second spline, of sizes of residuals between
    0.05 and 3 SD. The distribution about the median is normal after one step of Jones and Pewsey's
    sinh-arcsinh family [3]_, see `anthropo.reference.curves.standardise`.

    References
    ----------
    .. [1] P. H. C. Eilers, B. D. Marx, "Flexible smoothing with B-splines and penalties", Statistical
       Science 11 (1996) 89-121.
    .. [2] S. N. Wood, M. Fasiolo, "A generalized Fellner-Schall method for smoothing parameter
       optimization", Biometrics 73 (2017) 1071-1081.
    .. [3] M. C. Jones, A. Pewsey, "Sinh-arcsinh distributions", Biometrika 96 (2009) 761-780.
    .. [4] J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26 (1958)
       24-36.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.reference.curve_fitting import MeasuredPeople, fit_curves
    >>> random = np.random.default_rng(0)
    >>> age, female = random.uniform(0, 80, 600), random.random(600) < 0.5
    >>> width = 0.4 + 0.05 * np.log1p(age) + random.normal(0, 0.03, 600)
    >>> none = np.zeros(600)
    >>> curves = fit_curves(MeasuredPeople(width, age, age, female, none.astype(int), none))
    >>> median, sd, n = curves.at(np.array([10.0]), True, 0)
    >>> bool(abs(median[0] - 0.52) < 0.01), bool(abs(sd[0] - 0.03) < 0.004), bool(n[0] > 40)
    (True, True, True)
    """
    mean = _spans(people.age_lo, people.age_hi, _MEAN)
    spread = _spans(people.age_lo, people.age_hi, _SPREAD)
    x, s = _columns(mean, people.female, people.group, groups), _spread_columns(spread, people.female)
    # of one unit and scale, so that strengths of penalties begin near where they end
    unit = float(np.subtract(*np.percentile(people.values, [75, 25]))) / 1.349 or float(people.values.std())
    if np.ptp(people.values) == 0:  # the SD of equal values may be other than 0 by rounding
        raise ValueError("All values are equal; there is no spread to fit.")
    y = people.values / unit
    means = _Penalised(_penalties(mean.shape[1], groups))
    spreads = _Penalised([(_padded(_rough(spread.shape[1])), spread.shape[1] - 2)])
    sd = np.ones(len(y))
    beta, covariance = means.fit(x, y, _begin(y))
    gamma = np.zeros(s.shape[1])
    side = people.limits
    cut = side != 0
    for _ in range(_ROUNDS_WITH_LIMITS if cut.any() else _ROUNDS):
        z = (y - x @ beta) / sd
        size = np.log(np.clip(np.abs(z), _NEAR, _FAR))
        if cut.any():
            size[cut] = np.interp(side[cut] * z[cut], *_log_normal_beyond())
        gamma, _ = spreads.fit(s, size - _log_normal() + np.log(sd), np.full(len(y), 1 / 0.9))
        sd = np.exp(s @ gamma)
        z = (y - x @ beta) / sd
        known, seen = y.copy(), np.ones(len(y))
        if cut.any():
            z[cut], seen[cut] = _beyond(side[cut] * z[cut])
            # a step of Newton's: the score of a limit over what it tells
            known[cut] = (x @ beta)[cut] + (sd * side * z / seen)[cut]
        weights = np.clip(1 - (z / _TUKEY) ** 2, 0, None) ** 2
        beta, covariance = means.fit(x, known, weights * seen / sd**2)
    z = (y - x @ beta) / sd
    near = np.where(cut, side * z, np.abs(z)) < _TUKEY
    shift, scale, skew = _shape(z[near], side[near])
    gamma = gamma.copy()
    gamma[:-1] += math.log(unit)  # B-splines add up to 1
    error = float(np.sqrt(np.mean(people.error**2)))
    return Fit(groups, beta * unit, covariance * unit**2, gamma, error, skew, shift / scale, scale)


def _padded(block: Floats) -> Floats:
    out = np.zeros((len(block) + 1, len(block) + 1))
    out[:-1, :-1] = block
    return out


def _begin(y: Floats) -> Floats:
    """Weights before anything is known: what is far from the middle counts less."""
    z = (y - np.median(y)) / max(float(np.median(np.abs(y - np.median(y)))) * 1.4826, 1e-12)
    return np.asarray(1 / (1 + (z / 4) ** 2))


def _shape(z: Floats, side: Ints) -> tuple[float, float, float]:
    """Shift of the median, scale and skewness that make residuals and limits (n,) most probable."""
    from scipy.optimize import minimize
    from scipy.special import log_ndtr

    known, cut = z[side == 0], z[side != 0]

    def surprise(at: Floats) -> float:
        shift, log_scale, skew = at
        skew, scale = float(np.clip(skew, -1, 1)), math.exp(log_scale)
        density = log_density((known - shift) / scale, skew)
        beyond = log_ndtr(-side[side != 0] * standardise((cut - shift) / scale, skew))
        return float(len(known) * log_scale - density.sum() - beyond.sum())

    optimum = minimize(surprise, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-4})
    shift, log_scale, skew = optimum.x
    return float(shift), math.exp(log_scale), float(np.clip(skew, -1, 1))


def log_density(x: Floats, skew: float) -> Floats:
    """Logarithm of the density (n,) of values in SD from their median, but for a constant."""
    at = x * half_width(skew) + math.sinh(skew)
    slope = half_width(skew) * (math.cosh(skew) - at / np.sqrt(1 + at**2) * math.sinh(skew))
    return np.asarray(-(standardise(x, skew) ** 2) / 2 + np.log(slope))
