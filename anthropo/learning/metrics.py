"""Figures that say how good a classifier is, each with its 95 % interval."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files

import numpy as np

from anthropo.errors import InputError
from anthropo.learning.bootstrap import resampled_figures
from anthropo.learning.intervals import (
    Interval,
    hanley_mcneil,
    mean_of,
    percentiles,
    proportion,
    ratio,
    shrunken,
    unknown,
    wilson,
)
from anthropo.learning.judged import Bools, Judged
from anthropo.learning.recalibration import calibration
from anthropo.learning.repeats import over_dealings

#: Ranks at which "the right label is among the first k" is asked.
TOP = (1, 5, 10, 30)
#: Every metric in one line, in the order of tables.
DEFINITIONS: dict[str, str] = json.loads(
    files("anthropo.learning").joinpath("metrics.json").read_text("utf-8")
)

_OF_PROBABILITIES = ("brier", "log_loss", "calibration_slope", "calibration_intercept", "calibration_error")


def judge(
    judged: Judged,
    positive: str | None = None,
    prevalence: float | None = None,
    *,
    top: Sequence[int] = TOP,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Every metric of `DEFINITIONS` with its 95 % interval.

    Parameters
    ----------
    judged : Judged
    positive : str, optional
        The label that sensitivity, specificity, PPV, NPV, AUROC, AUPRC, Brier score, log loss and calibration
        are of, against all others. Without it each label that occurs is the positive one in turn and
        the unweighted mean is given (macro average, one against the rest); Brier score and log loss then are
        of all labels, the calibration error of the most probable label, and there is no PPV and NPV at a
        prevalence.
    prevalence : float, optional
        Share of the positive label, between 0 and 1, that PPV and NPV are wanted at.
    top : sequence of int
        Ranks for top-k accuracy; not below the number of labels means NaN.
    bootstrap : int
        Number of resamples.
    seed : int

    Returns
    -------
    dict of str to Interval

    Raises
    ------
    InputError
        If the label is unknown, or the prevalence not between 0 and 1.

    Notes
    -----
    Slope and intercept are Cox's [1]_: the logistic regression of the truth on the stated log-odds has the
    slope, 1 where they are right and below 1 where they are too large; the intercept is what all log-odds
    have to be moved by so that the mean probability is the observed share (calibration in the large [2]_).
    Of three labels or more together, the slope is the power of the probabilities, made to sum to 1 again,
    that makes the true labels most likely. The calibration error is the mean distance of the probabilities
    to those that slope and intercept together make of them, less what chance adds. Unlike shares in bins
    these see odds that are too large in cohorts of 40. See docs/intervals.md for the intervals.

    .. [1] Cox DR. Two further applications of a model for binary regression. Biometrika 45:562 (1958).
    .. [2] Van Calster B, et al. Calibration: the Achilles heel of predictive analytics. BMC Med 17:230
       (2019).

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.learning import Judged, judge
    >>> truth = np.repeat([0, 1], 20)  # 20 photos without and 20 with the label, a patient each
    >>> case = np.concatenate([np.linspace(0.05, 0.6, 20), np.linspace(0.3, 0.95, 20)])
    >>> proba = np.column_stack([1 - case, case])
    >>> judged = Judged(("control", "Noonan"), truth, proba, np.arange(40), proba.argmax(1))
    >>> figures = judge(judged, "Noonan", prevalence=0.01, bootstrap=200)
    >>> print(figures["sensitivity"], figures["ppv_at_prevalence"])
    0.700 (0.481 to 0.855) 0.032 (0.015 to 0.082)
    """
    judged.index(positive)  # an unknown label is refused before figures are made
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(f"prevalence {prevalence}: a share between 0 and 1 is needed, such as 0.01 for 1 %.")
    dealt = judged.dealt

    def of_one(at: int, resamples: int, seed: int) -> dict[str, Interval]:
        return _figures(dealt[at], positive, prevalence, top, resamples, seed)

    figures = over_dealings(judged, of_one, bootstrap, seed)
    return {name: figures[name] for name in [*DEFINITIONS, *figures] if name in figures}


def _figures(
    judged: Judged,
    positive: str | None,
    prevalence: float | None,
    top: Sequence[int],
    bootstrap: int,
    seed: int,
) -> dict[str, Interval]:
    """Every metric of one dealing of the folds."""
    chosen = judged.index(positive)
    figures = _proportions(judged, chosen, prevalence, top)
    figures |= _resampled(judged, chosen, bootstrap, seed)
    figures |= calibration(judged, positive)
    if judged.ranks_only:
        nothing = unknown("the model gives a distance, not a probability")
        of_probabilities = [n for n in figures if n in _OF_PROBABILITIES or n.startswith("top_")]
        figures |= dict.fromkeys(of_probabilities, nothing)
    return figures


def judge_labels(
    judged: Judged,
    prevalence: float | Mapping[str, float] | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Interval]]:
    """Metrics of each label against the rest, without those that do not depend on the positive label.

    The prevalence is that of every label, or of each by its name.
    """
    shares = prevalence if isinstance(prevalence, Mapping) else dict.fromkeys(judged.labels, prevalence)
    figures = {
        label: judge(judged, label, shares.get(label), top=(), bootstrap=bootstrap, seed=seed)
        for label in judged.labels
    }
    common = ("accuracy", "coverage", "set_size", "abstention")
    return {k: {m: v for m, v in of.items() if m not in common} for k, of in figures.items()}


def compare(
    a: Judged, b: Judged, positive: str | None = None, *, bootstrap: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Differences a − b of metrics on the same photos, bootstrapped in pairs by patient."""
    if a.labels != b.labels or not np.array_equal(a.truth, b.truth) or not np.array_equal(a.groups, b.groups):
        raise InputError("Two models can only be compared on the same photos in the same order.")
    if len(a.repeats) != len(b.repeats):
        raise InputError("Two models can only be compared in the same folds, dealt as often.")
    pairs = list(zip(a.dealt, b.dealt, strict=True))

    def of_one(at: int, resamples: int, seed: int) -> dict[str, Interval]:
        return _differences(*pairs[at], positive, resamples, seed)

    return over_dealings(a, of_one, bootstrap, seed, (-math.inf, math.inf))


def _differences(
    a: Judged, b: Judged, positive: str | None, bootstrap: int, seed: int
) -> dict[str, Interval]:
    """Differences of one dealing of the folds."""
    chosen = a.index(positive)
    n = len(a.truth)
    of_a, of_b = (resampled_figures(judged, chosen, bootstrap, seed) for judged in (a, b))
    difference: dict[str, Interval] = {}
    for name in [name for name in of_a if name != "set_size" and name in of_b]:
        value, *replicates = of_a[name] - of_b[name]
        if math.isnan(value):
            difference[name] = unknown(a.one_sided(chosen))
        else:
            there = np.array(replicates)
            difference[name] = Interval(float(value), *percentiles(there[np.isfinite(there)]), n)
    return difference


def _proportions(
    judged: Judged, positive: int | None, prevalence: float | None, top: Sequence[int]
) -> dict[str, Interval]:
    truth, decision, groups = judged.truth, judged.decision, judged.groups
    k = len(judged.labels)
    figures = {
        "accuracy": proportion(decision == truth, groups),
        "abstention": proportion(decision < 0, groups),
        "coverage": unknown("no prediction sets")
        if judged.sets is None
        else proportion(judged.sets[np.arange(len(truth)), truth], groups),
    }

    def mean(had: list[Interval]) -> Interval:
        note = f"{k - len(had)} of {k} labels cannot be estimated and are left out" if len(had) < k else ""
        return mean_of(had, len(truth), note)

    # a tie counts against: a model that says the same of every label ranks nothing
    rank = (judged.proba >= judged.proba[np.arange(len(truth)), truth][:, None]).sum(1)
    for first in top:
        figures[f"top_{first}"] = (
            proportion(rank <= first, groups)
            if first < k
            else unknown(f"needs more than {first} labels, there are {k}")
        )
    present = [c for c in range(k) if (truth == c).any()]
    each = [_rates(judged, c) for c in present]
    if len(present) < 2:
        figures["balanced_accuracy"] = unknown(f"every photo is of {judged.labels[present[0]]}")
    else:
        figures["balanced_accuracy"] = mean([of["sensitivity"] for of in each])
    if positive is not None:
        rates = _rates(judged, positive)
        figures |= {name: rates[name] for name in ("sensitivity", "specificity", "ppv", "npv")}
        figures |= _at_prevalence(rates, _rates(judged, positive, shrunken), prevalence)
        return figures
    for name in ("sensitivity", "specificity", "ppv", "npv"):
        had = [rates[name] for rates in each if rates[name].known]
        figures[name] = mean(had) if had else each[0][name]
    at_prevalence = ("ppv_at_prevalence", "npv_at_prevalence")
    return figures | dict.fromkeys(at_prevalence, unknown("needs a positive label"))


def _rates(judged: Judged, positive: int, rate: Callable[..., Interval] = proportion) -> dict[str, Interval]:
    """Proportions of one label against the rest."""
    label = judged.labels[positive]
    is_, called = judged.truth == positive, judged.decision == positive
    cleared = ~called & (judged.decision >= 0)

    def share(of: Bools, among: Bools, reason: str) -> Interval:
        return rate(of[among], judged.groups[among], reason)

    nothing, everything = f"no photo of {label}", f"every photo is of {label}"
    return {
        "sensitivity": share(called, is_, nothing),
        "missed": share(cleared, is_, nothing),
        "specificity": share(cleared, ~is_, everything),
        "false_alarms": share(called, ~is_, everything),
        "ppv": share(is_, called, f"no photo was called {label}"),
        "npv": share(~is_, cleared, f"no photo was called other than {label}"),
    }


def _at_prevalence(
    rates: dict[str, Interval], likely: dict[str, Interval], prevalence: float | None
) -> dict[str, Interval]:
    """PPV and NPV by Bayes' rule: odds × ratio of two independent rates.

    The values are of the `likely`, shrunken rates: that no false alarm was seen does not make a PPV of 1.
    """
    figures = {}
    for name, right, wrong, share in (
        ("ppv_at_prevalence", "sensitivity", "false_alarms", prevalence),
        ("npv_at_prevalence", "specificity", "missed", None if prevalence is None else 1 - prevalence),
    ):
        a, b = rates[right], rates[wrong]
        if share is None:
            figures[name] = unknown("no prevalence was stated")
        elif a.reason or b.reason:
            figures[name] = unknown(a.reason or b.reason)
        elif a.value == b.value == 0:
            figures[name] = unknown("no photo was called so")
        else:
            odds = share / (1 - share)
            _, lo, hi = (_from_odds(odds * of) for of in ratio(a, b))
            value = _from_odds(odds * likely[right].value / likely[wrong].value)
            figures[name] = Interval(min(max(value, lo), hi), lo, hi, a.n + b.n)
    return figures


def _from_odds(odds: float) -> float:
    return 1.0 if math.isinf(odds) else odds / (1 + odds)


def _resampled(judged: Judged, positive: int | None, bootstrap: int, seed: int) -> dict[str, Interval]:
    n = len(judged.truth)
    figures = resampled_figures(judged, positive, bootstrap, seed)
    values = {name: float(x[0]) for name, x in figures.items()}
    replicates = {name: x[1:] for name, x in figures.items()}
    intervals = {}
    if "auroc_by_fold" not in figures:
        intervals["auroc_by_fold"] = unknown("not cross-validated: there are no folds")
    for name, least in (("auroc", hanley_mcneil), ("auroc_by_fold", hanley_mcneil), ("auprc", _binomial)):
        if name not in values:
            continue
        value = values[name]
        if math.isnan(value):
            apart = name == "auroc_by_fold" and not math.isnan(values["auroc"])
            intervals[name] = unknown("no fold has both sides" if apart else judged.one_sided(positive))
            continue
        sides = _sides(judged, positive)
        # of a mean over labels
        floor = sum(least(value, int(side.sum()), int((~side).sum())) for side in sides) / len(sides) ** 2
        variance = max(float(np.nanvar(replicates[name])), floor)
        patients = min(len(set(judged.groups[s].tolist())) for side in sides for s in (side, ~side))
        perfect = value in (0.0, 1.0) or patients < 2
        effective = patients if perfect else max(1.0, value * (1 - value) / variance)
        intervals[name] = Interval(value, *wilson(value, effective), n)
    for name in ("brier", "log_loss", *(["set_size"] if judged.sets is not None else [])):
        intervals[name] = Interval(values[name], *percentiles(replicates[name]), n)
    if judged.sets is None:
        intervals["set_size"] = unknown("no prediction sets")
    return intervals


def _binomial(value: float, positives: int, negatives: int) -> float:
    """Variance of a share of the positive photos."""
    return value * (1 - value) / positives


def _sides(judged: Judged, positive: int | None) -> list[Bools]:
    """The photos of the positive label; of each label that occurs when all are asked about."""
    labels = sorted(set(judged.truth.tolist())) if positive is None else [positive]
    return [judged.truth == c for c in labels]
