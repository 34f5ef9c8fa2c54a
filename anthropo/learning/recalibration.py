"""How far stated probabilities are from observed ones: calibration slope, intercept and error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.intervals import Interval, number, unknown
from anthropo.learning.judged import Bools, Floats, Ints, Judged

_BINS = 10  # of a figure, at most
_PER_BIN = 30  # photos in each, at least
_LEAST = 1e-15  # probability, in a logarithm
_STEEPEST = 1e3  # slope, of log-odds in units of their spread
_ALIKE = 1e-3  # log-odds that differ by less say nothing of a slope: it would be millions either way
_FARTHEST = 50.0  # log-odds that probabilities are moved by
_MOST = 4000  # photos, beyond which those of about the same log-odds are taken together
_STEPS, _HALVINGS = 100, 60
_LINES = 15  # slopes that are tried
# twice the likelihood that is lost: 95 % of chance of one number and of two, and what two lose on average
_ONE, _BOTH, _CHANCE = 3.841, 5.991, 2.0


def expit(x: Floats) -> Floats:
    """Probabilities of log-odds."""
    from scipy import special  # here: commands that calibrate nothing load these modules, too

    return np.asarray(special.expit(x))


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


def calibration(judged: Judged, positive: str | None) -> dict[str, Interval]:
    """Calibration slope, intercept and error, with 95 % intervals; see `anthropo.learning.judge`."""
    chosen = judged.index(positive)
    probability, true = calibrated_on(judged, positive)
    several = chosen is None and len(judged.labels) > 2
    if chosen is None and not several:  # of two labels either one tells the same
        probability, true = judged.proba[:, 1], judged.truth == 1
    line = _Line.of(probability, true, judged.groups)
    figures = {"calibration_error": line.error()}
    if several:
        figures["calibration_slope"] = _common_slope(judged)
        figures["calibration_intercept"] = unknown("each label has its own: see the table by label")
    elif true.all() or not true.any():
        one_sided = unknown(judged.one_sided(chosen))
        figures |= {"calibration_slope": one_sided, "calibration_intercept": one_sided}
    else:
        figures["calibration_slope"] = line.slope()
        figures["calibration_intercept"] = line.intercept()
    return figures


def _limits(
    far: Callable[[float], float], value: float, start: float, most: float, distance: float = _ONE
) -> tuple[float, float]:
    """Where `far`, twice the likelihood that is lost, reaches a distance, either side of a value."""
    from scipy.optimize import brentq

    if far(value) >= distance:  # the best is farther out than can be reached
        return value, value
    limits = []
    for sign in (-1.0, 1.0):
        step = start
        while step < most and far(value + sign * step) < distance:
            step *= 2
        if step >= most:
            limits.append(sign * math.inf)
        else:
            limits.append(
                value + sign * float(brentq(lambda s, d=sign: far(value + d * s) - distance, 0.0, step))
            )
    return limits[0], limits[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """Cox's recalibration: log-odds = a + b · those stated, of the photos that were judged."""

    x: Floats  # (m,), stated log-odds, of photos or of photos with about the same
    n: Floats  # (m,), photos
    true: Floats  # (m,), photos of the label
    photos: int
    worth: float  # share of a photo that each counts for, where several are of one patient

    @classmethod
    def of(cls, probability: Floats, true: Bools, groups: NDArray[Any]) -> _Line:
        p = np.clip(probability, _LEAST, 1 - _LEAST)
        x = np.log(p) - np.log1p(-p)
        n = len(x)
        worth = _worth(true - probability, groups)
        if n <= _MOST:
            return cls(x, np.ones(n), true.astype(np.float64), n, worth)
        at = np.minimum(np.argsort(np.argsort(x, kind="stable")) * _MOST // n, _MOST - 1)
        size = np.bincount(at)
        hits: Floats = np.bincount(at, true).astype(np.float64)
        return cls(np.bincount(at, x) / size, size.astype(np.float64), hits, n, worth)

    @property
    def one_sided(self) -> bool:
        """Whether all photos are of the label, or none."""
        return float(self.true.sum()) in (0.0, float(self.n.sum()))

    @property
    def separated(self) -> int:
        """1 where every photo of the label has higher log-odds than every other, -1 where lower, else 0."""
        if self.one_sided or np.ptp(self.x) < _ALIKE:
            return 0
        some, other = self.x[self.true > 0], self.x[self.true < self.n]
        return int(some.min() > other.max()) - int(some.max() < other.min())

    def likelihood(self, a: Floats, b: Floats) -> Floats:
        """Log-likelihood (g,) of intercepts (g,) and slopes (g,), the photos of a patient discounted."""
        line = a[:, None] + b[:, None] * self.x
        return np.asarray(self.worth * (line @ self.true - np.logaddexp(0, line) @ self.n))

    def best_intercept(self, b: Floats) -> Floats:
        """Intercepts (g,) of greatest likelihood with slopes (g,), by Newton's method, bracketed."""
        true, every = float(self.true.sum()), float(self.n.sum())
        odds = _FARTHEST if true == every else -_FARTHEST if not true else math.log(true / (every - true))
        reach = b[:, None] * np.array([self.x.min(), self.x.max()])
        lo, hi = odds - reach.max(1) - 1e-9, odds - reach.min(1) + 1e-9
        a = np.clip(odds - b * float(self.x @ self.n) / every, lo, hi)
        for _ in range(_HALVINGS):
            p = expit(a[:, None] + b[:, None] * self.x)
            excess = p @ self.n - true
            if np.abs(excess).max() < 1e-9 * every:
                break
            lo, hi = np.where(excess > 0, lo, a), np.where(excess > 0, a, hi)
            with np.errstate(divide="ignore", invalid="ignore"):
                a = a - excess / ((p * (1 - p)) @ self.n)
            a = np.where((a > lo) & (a < hi), a, (lo + hi) / 2)  # NaN is outside, too
        return np.asarray(a)

    def profile(self, b: float) -> float:
        """Greatest log-likelihood with this slope."""
        slope = np.array([b])
        return float(self.likelihood(self.best_intercept(slope), slope)[0])

    def best(self) -> tuple[float, float, float]:
        """Slope of greatest likelihood, that likelihood's logarithm, and the slope's standard error."""
        a, b = 0.0, 1.0
        design = np.column_stack([np.ones_like(self.x), self.x])
        here = float(self.likelihood(np.array([a]), np.array([b]))[0])
        for _ in range(_STEPS):
            p = expit(a + b * self.x)
            hessian = (design * (self.n * p * (1 - p))[:, None]).T @ design
            step = np.linalg.lstsq(hessian, design.T @ (self.true - self.n * p), rcond=None)[0]
            for _ in range(_HALVINGS):  # no step may lose likelihood
                there = float(self.likelihood(np.array([a + step[0]]), np.array([b + step[1]]))[0])
                if there >= here:
                    break
                step = step / 2
            gained, here = there - here, max(there, here)
            a, b = float(a + step[0]), float(b + step[1])
            if gained < 1e-10:
                break
        error = math.sqrt(max(float(np.linalg.pinv(hessian)[1, 1]), 1e-12) / self.worth)
        return b, here, error

    def slope(self) -> Interval:
        """Cox's calibration slope."""
        spread = float(np.ptp(self.x))
        if spread < _ALIKE:
            return unknown("all probabilities are nearly the same")
        most = _STEEPEST / spread
        if side := self.separated:
            least, _ = _limits(lambda b: -2 * self.profile(side * b), most, most / 1024, 2 * most)
            bound = f"at least {number(least)}" if side > 0 else f"at most {number(-least)}"
            return unknown(f"the probabilities separate the labels without an error, so that it is {bound}")
        value, likelihood, error = self.best()
        limits = _limits(lambda b: 2 * (likelihood - self.profile(b)), value, error, most)
        return Interval(value, *limits, self.photos)

    def intercept(self) -> Interval:
        """Calibration in the large: what all log-odds have to be moved by, so that the mean is the share."""
        one = np.ones(1)
        value = self.best_intercept(one)
        likelihood = float(self.likelihood(value, one)[0])
        limits = _limits(
            lambda a: 2 * (likelihood - float(self.likelihood(np.array([a]), one)[0])),
            float(value[0]), 0.1, _STEEPEST,
        )  # fmt: skip
        return Interval(float(value[0]), *limits, self.photos)

    def error(self) -> Interval:
        """Mean distance of the probabilities to the recalibrated ones, less chance."""
        stated = expit(self.x)
        share = self.n / self.n.sum()

        def off(a: Floats, b: Floats) -> Floats:
            return np.asarray(np.abs(expit(a[:, None] + b[:, None] * self.x) - stated) @ share)

        fixed = self.one_sided or float(np.ptp(self.x)) < _ALIKE  # then the slope tells nothing
        most = _STEEPEST / max(float(np.ptp(self.x)), 1e-9)
        if self.one_sided or self.separated:
            best, greatest, error = self.separated * most, 0.0, most / 1024
        elif fixed:
            best, greatest, error = 1.0, self.profile(1.0), 0.0
        else:
            best, greatest, error = self.best()

        def far(a: Floats, b: Floats) -> Floats:
            return 2 * (greatest - self.likelihood(a, b))

        def towards_best(distance: float) -> float:
            """The error where the way from the stated line to the best one comes this near to it."""
            one, none = np.ones(1), np.zeros(1)
            if far(none, one)[0] <= distance:
                return 0.0
            (end,) = self.best_intercept(one)
            if far(np.array([end]), one)[0] <= distance or fixed:
                at = _crossing(lambda t: float(far(np.array([t * end]), one)[0]) - distance)
                return float(off(np.array([at * end]), one)[0])
            at = _crossing(lambda t: 2 * (greatest - self.profile(1 + t * (best - 1))) - distance)
            slope = np.array([1 + at * (best - 1)])
            return float(off(self.best_intercept(slope), slope)[0])

        # all lines that are no surprise
        slopes = np.ones(1)
        if not fixed:
            lo, hi = _limits(lambda b: 2 * (greatest - self.profile(b)), best, error, 2 * most, _BOTH)
            slopes = np.linspace(max(lo, -most), min(hi, most), _LINES)
        middle = self.best_intercept(slopes)
        ends = [middle]
        for side in (-1.0, 1.0):
            near, away = np.zeros(len(slopes)), np.full(len(slopes), 2 * _FARTHEST)
            for _ in range(_HALVINGS // 3):
                half = (near + away) / 2
                inside = far(middle + side * half, slopes) < _BOTH
                near, away = np.where(inside, half, near), np.where(inside, away, half)
            ends.append(middle + side * near)
        # so far that the squared distance is right on average: what chance adds to it is taken off
        lost = float(far(np.zeros(1), np.ones(1))[0])
        left = 1 - math.sqrt(max(0.0, 1 - _CHANCE / lost)) if lost > 0 else 1.0
        value = towards_best(lost * left**2)
        return Interval(
            value, towards_best(_BOTH), max(value, *(float(off(a, slopes).max()) for a in ends)), self.photos
        )


def _crossing(below: Callable[[float], float]) -> float:
    """Where a falling function of 0 to 1 crosses 0; 1 where it does not."""
    from scipy.optimize import brentq

    return float(brentq(below, 0.0, 1.0)) if below(1.0) < 0 else 1.0


def _common_slope(judged: Judged) -> Interval:
    """The power of all probabilities, made to sum to 1 again, that makes the true labels most likely."""
    from scipy.optimize import minimize_scalar

    logs = np.log(np.clip(judged.proba, _LEAST, 1))
    logs -= logs.max(1, keepdims=True)
    true = logs[np.arange(len(logs)), judged.truth]
    spread = -float(logs.min())
    if spread < _ALIKE:
        return unknown("all probabilities are nearly the same")

    def likelihood(b: float) -> float:
        return float((b * true - np.log(np.exp(b * logs).sum(1))).sum())

    shares = np.exp(logs) / np.exp(logs).sum(1, keepdims=True)
    worth = _worth(true - (shares * logs).sum(1), judged.groups)
    most = _STEEPEST / spread
    value = float(minimize_scalar(lambda b: -likelihood(b), bounds=(-most, most), method="bounded").x)
    greatest = likelihood(value)
    lo, hi = _limits(lambda b: 2 * worth * (greatest - likelihood(b)), value, most / 1024, 2 * most)
    if math.isinf(hi):
        return unknown(
            f"the most probable label is always the true one, so that the slope is at least {number(lo)}"
        )
    return Interval(value, lo, hi, len(true))


def _worth(scores: Floats, groups: NDArray[Any]) -> float:
    """Share of a photo that each counts for: scores (n,) vary less than their patients' sums do."""
    patient = np.unique(groups, return_inverse=True)[1]
    people = int(patient.max()) + 1
    if people == len(scores):
        return 1.0
    together = np.bincount(patient, scores)
    between = float(together @ together)
    return max(people / len(scores), min(1.0, float(scores @ scores) / between)) if between else 1.0
