"""Folds that are dealt several times: how often, and figures with their intervals over all dealings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from anthropo.learning.intervals import Interval, normal_quantile
from anthropo.learning.judged import Floats, Judged

_REPEATS = ((200, 3),)  # below so many patients, so many dealings
_LEAST = 2
_FEWEST = 100  # resamples of each dealing
_ANY = (-math.inf, math.inf)
_LIMITS = {  # 0 to 1 of others
    "brier": (0.0, 2.0), "log_loss": (0.0, math.inf), "set_size": (0.0, math.inf),
    "calibration_slope": _ANY, "calibration_intercept": _ANY,
}  # fmt: skip


def repeats_for(patients: int) -> int:
    """How often folds are dealt for so many patients: the fewer there are, the more chance dealing adds."""
    return next((repeats for below, repeats in _REPEATS if patients < below), _LEAST)


def over_dealings(
    judged: Judged,
    figures_of: Callable[[int, int, int], dict[str, Interval]],
    bootstrap: int,
    seed: int,
    limits: tuple[float, float] | None = None,
) -> dict[str, Interval]:
    """Figures of each dealing of the folds, joined by `mean_of_dealings`.

    `figures_of` makes those of one dealing, by its place among them, with so many resamples by a seed. The
    resamples are shared out among the dealings. `limits` are of all figures; left out: each metric's own.
    """
    dealt = judged.dealt
    if len(dealt) == 1:
        return figures_of(0, bootstrap, seed)
    each = max(min(bootstrap, _FEWEST), bootstrap // len(dealt))
    made = [figures_of(at, each, seed + at) for at in range(len(dealt))]
    folds = folds_of(dealt)
    within = {name: limits or _LIMITS.get(name, (0.0, 1.0)) for name in made[0]}
    return {name: mean_of_dealings([of[name] for of in made], folds, within[name]) for name in made[0]}


def mean_of_dealings(figures: Sequence[Interval], folds: int, limits: tuple[float, float]) -> Interval:
    """One figure of several dealings: their mean, with an interval that holds the chance of dealing.

    Notes
    -----
    The interval of one dealing takes the answers as given. That those who are judged also trained the models
    of the other folds is not in it: two people count for each other twice, once each way, which can double
    the variance, and with random labels does [1]_ [2]_. How much such pairs weigh shows in the variance V
    between dealings, which differ by the pairs that share a fold. Where answers are sums over pairs, dealt to
    k folds r times, the variance of the mean is that of one dealing plus (k / 2 − 1 + 1 / r) V.
    So it was in simulations with kernel machines (docs/benchmarks.md, "Intervals that hold").

    References
    ----------
    .. [1] Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52:239 (2003).
    .. [2] Bates, Hastie & Tibshirani, "Cross-validation: what does it estimate and how well does it do it?",
       J Am Stat Assoc 119:1434 (2024).

    Examples
    --------
    >>> from anthropo.learning.intervals import Interval
    >>> from anthropo.learning.repeats import mean_of_dealings
    >>> print(mean_of_dealings([Interval(0.6, 0.5, 0.7, 80), Interval(0.64, 0.54, 0.74, 80)], 5, (0, 1)))
    0.620 (0.493 to 0.747)
    """
    known = [figure for figure in figures if figure.known]
    if not known:
        return figures[0]
    values = np.array([figure.value for figure in known])
    value = float(values.mean())
    n = round(float(np.mean([figure.n for figure in known])))
    added = normal_quantile() ** 2 * variance_of_dealing(values, folds)
    below, above = (
        math.sqrt(float(np.mean([abs(getattr(f, limit) - f.value) for f in known])) ** 2 + added)
        for limit in ("lo", "hi")
    )
    lo, hi = max(limits[0], value - below), min(limits[1], value + above)
    return replace(known[0], value=value, lo=lo, hi=hi, n=n)


def folds_of(dealt: Sequence[Judged]) -> int:
    """How many folds photos were dealt to; 2 where one model answered on all."""
    return max(2 if one.fold is None else int(one.fold.max()) + 1 for one in dealt)


def variance_of_dealing(values: Floats, folds: int) -> float:
    """What dealing adds to the variance of a mean over dealings (r,), `mean_of_dealings`; 0 for one."""
    if len(values) < 2:
        return 0.0
    return max(0.0, folds / 2 - 1 + 1 / len(values)) * float(values.var(ddof=1))
