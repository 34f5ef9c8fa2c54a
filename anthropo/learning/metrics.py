"""How good a classifier is, with 95 % intervals that respect who the patients are.

One rule for the intervals, by what a figure is:

- **Proportions** (sensitivity, specificity, PPV and NPV in the cohort, accuracy, top-k, coverage,
  abstention): Wilson's score interval with an *effective* sample size [1]_ [2]_: the number of photos divided
  by the design effect of patients who have several photos, and corrected for a small number of patients [3]_.
  Where the design effect cannot be had (0 of 20, 20 of 20, one patient) every patient counts once, so that 0
  of 20 is 0 to 16 % and never 0 to 0.
- **Functions of independent proportions**: the method of variance estimates recovery: "square and add" for
  means (balanced accuracy, macro sensitivity and specificity) [4]_, its ratio form for PPV and NPV at a
  stated prevalence [5]_. Patients with photos on both sides are taken as independent there; specificities of
  several labels compete for the same photos, which makes their mean's interval a little wide, never narrow.
- **AUROC and AUPRC**: Wilson's interval again, with the effective size that their variance implies [6]_ [7]_.
  The variance is the bootstrap's, but not below what a ranking of so many independent photos has (Hanley and
  McNeil's for the AUROC [8]_, the binomial with the positive photos for the AUPRC [9]_): near a perfect
  ranking the bootstrap sees too little. A perfect one counts as many observations as the smaller side has
  patients. Percentiles of the bootstrap covered 78 to 95 % in simulated cohorts of 8 to 100 affected
  patients, this covers 93 to 99 %.
- **Calibration error**: inversion of its test, see `judge`.
- **The rest** (Brier score, log loss, size of sets, every paired difference): percentiles of the bootstrap.

The bootstrap resamples *patients* with all their photos, within each label, so that label shares stay those
of the cohort; it draws one patient fewer than there are and rescales, which makes its variance unbiased
[10]_.

References
----------
.. [1] Wilson EB. Probable inference, the law of succession, and statistical inference. JASA 22:209 (1927).
.. [2] Franco C, et al. Comparative study of confidence intervals for proportions in complex sample surveys. J
   Surv Stat Methodol 7:334 (2019).
.. [3] Korn EL, Graubard BI. Confidence intervals for proportions with small expected number of positive
   counts estimated from survey data. Surv Methodol 24:193 (1998).
.. [4] Zou GY, Donner A. Construction of confidence limits about effect measures: a general approach. Stat Med
   27:1693 (2008).
.. [5] Donner A, Zou GY. Closed-form confidence intervals for functions of the normal mean and standard
   deviation. Stat Methods Med Res 21:347 (2012).
.. [6] Kottas M, Kuss O, Zapf A. A modified Wald interval for the area under the ROC curve in diagnostic
   case-control studies. BMC Med Res Methodol 14:26 (2014).
.. [7] Newcombe RG. Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part
   2. Stat Med 25:559 (2006).
.. [8] Hanley JA, McNeil BJ. The meaning and use of the area under a receiver operating characteristic (ROC)
   curve. Radiology 143:29 (1982).
.. [9] Boyd K, Eng KH, Page CD. Area under the precision-recall curve: point estimates and confidence
   intervals. ECML PKDD 2013.
.. [10] Rao JNK, Wu CFJ. Resampling inference with complex survey data. JASA 83:231 (1988).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anthropo.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Ranks at which "the right label is among the first k" is asked.
TOP = (1, 5, 10, 30)
#: A subgroup with fewer patients than this is reported with a note.
SMALL_SUBGROUP = 10
#: Years, first of each band.
_AGE_BANDS = ((0, "0-2"), (3, "3-12"), (13, "13-17"), (18, "18-39"), (40, "40-64"), (65, "65+"))
NOT_GIVEN = "not given"

_LEVEL = 0.95
_BINS = 10  # of the calibration error, at most
_PER_BIN = 30  # photos in each, at least
_LEAST_PROBABILITY = 1e-15  # in a logarithm
_BLOCK = 200_000  # weights that are looked at together: they fit into a cache

#: Every metric in one line, in the order of tables.
DEFINITIONS: dict[str, str] = {
    "sensitivity": "Of the photos with the label, the share called so. An abstention counts as missed.",
    "specificity": "Of the photos without the label, the share cleared. An abstention is not clearing.",
    "ppv": "Positive predictive value: of the photos called positive, the share with the label, here.",
    "npv": "Negative predictive value: of the photos called negative, the share without it, here.",
    "ppv_at_prevalence": "Positive predictive value at the stated prevalence (Bayes' rule).",
    "npv_at_prevalence": "Negative predictive value at the stated prevalence (Bayes' rule).",
    "accuracy": "Share of all photos called rightly. An abstention counts as wrong.",
    "balanced_accuracy": "Mean over the labels of the share called rightly. 0.5 is chance for two labels.",
    "auroc": "Area under the ROC curve: how often one with the label outscores one without. 0.5 is chance.",
    "auprc": "Average precision, the area under the precision-recall curve. Chance is the label's share.",
    "top_1": "Share of photos whose label has the highest probability of all. A tie counts against.",
    "top_5": "Share of photos whose label is among the 5 most probable.",
    "top_10": "Share of photos whose label is among the 10 most probable.",
    "top_30": "Share of photos whose label is among the 30 most probable.",
    "brier": "Mean squared error of the positive probability (without one: sum over labels). 0 is best.",
    "log_loss": "Mean negative natural logarithm of the probability given to what was true. 0 is best.",
    "calibration_error": "Mean distance of stated probability to observed share, less chance. 0 is best.",
    "coverage": "Share of photos whose prediction set holds the right label; compare with the level wanted.",
    "set_size": "Mean number of labels in a prediction set. Small is informative.",
    "abstention": "Share of photos answered with “none of these”.",
}

_OF_PROBABILITIES = ("brier", "log_loss", "calibration_error")
_COMPARED = (
    "sensitivity",
    "specificity",
    "accuracy",
    "balanced_accuracy",
    "auroc",
    "auprc",
    "brier",
    "log_loss",
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float  # NaN: cannot be had, and `reason` says why
    lo: float = math.nan
    hi: float = math.nan
    n: int = 0  # photos that the figure is of
    reason: str = ""

    def json(self) -> dict[str, Any]:
        """`{"value", "lo", "hi", "n"}` with None for NaN, and `"reason"` where there is one."""
        numbers = {k: _none(getattr(self, k)) for k in ("value", "lo", "hi")}
        return {**numbers, "n": self.n, **({"reason": self.reason} if self.reason else {})}


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a model answered on photos whose label is known.

    Raises
    ------
    InputError
        If the parts do not fit together.
    """

    labels: tuple[str, ...]  # k
    truth: Ints  # (n,) index of the true label
    proba: Floats  # (n, k) calibrated probabilities, rows sum to 1
    groups: NDArray[Any]  # (n,) patient of each photo
    decision: Ints  # (n,) index of the label that was decided on; -1: abstained
    sets: Bools | None = None  # (n, k) prediction sets
    ranks_only: bool = False  # `proba` orders people, but is no probability

    def __post_init__(self) -> None:
        kinds = {
            "truth": np.int64,
            "proba": np.float64,
            "groups": None,
            "decision": np.int64,
            "sets": np.bool_,
        }
        for name, kind in kinds.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        n, k = len(self.truth), len(self.labels)
        shapes = {
            "truth": (n,),
            "proba": (n, k),
            "groups": (n,),
            "decision": (n,),
            **({"sets": (n, k)} if self.sets is not None else {}),
        }
        for name, shape in shapes.items():
            if np.shape(getattr(self, name)) != shape:
                found = np.shape(getattr(self, name))
                raise InputError(f"{name}: shape {found}, needed {shape} for {n} photos and {k} labels.")
        if not n:
            raise InputError("No photo to judge by. Give photos whose label is known.")
        if not (np.isfinite(self.proba).all() and np.allclose(self.proba.sum(1), 1, atol=1e-4)):
            raise InputError("proba: every photo needs probabilities that are finite and sum to 1.")
        for name, least in (("truth", 0), ("decision", -1)):
            values = getattr(self, name)
            if values.min() < least or values.max() >= k:
                raise InputError(f"{name}: indices from {least} to {k - 1} are needed for {k} labels.")

    def part(self, chosen: Bools) -> Judged:
        """The same for some of the photos."""
        return Judged(
            self.labels,
            self.truth[chosen],
            self.proba[chosen],
            self.groups[chosen],
            self.decision[chosen],
            None if self.sets is None else self.sets[chosen],
        )


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A part of the test photos."""

    n_photos: int
    n_patients: int
    metrics: dict[str, Interval]
    note: str = ""  # why its figures say little


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
        error are of, against all others. Without it each label that occurs is the positive one in turn and
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
    The calibration error is the mean over bins, weighted by their photos, of the distance of observed share
    to mean probability [11]_, in bins of equal numbers of photos: as many as hold 30 each, 10 at most. The
    plain figure is biased upwards, because chance alone moves an observed share [12]_: with 500 photos a
    perfectly calibrated model seems to err by 0.03. Therefore the value given is the error that, present in
    every bin, would lead one to *expect* the plain figure; the interval holds every error under which the
    plain figure is no surprise (test inversion, each bin's share normal around its error with the patients'
    spread). An error no larger than chance is 0. In simulation with 100 to 1,600 photos the intervals cover
    89 to 99 %. Where the error varies much between bins and photos are few the value is too small by up to a
    quarter.

    .. [11] Naeini MP, Cooper GF, Hauskrecht M. Obtaining well calibrated probabilities using Bayesian
       binning. AAAI 2015.
    .. [12] Roelofs R, et al. Mitigating bias in calibration error estimation. AISTATS 2022.
    """
    chosen = _index(judged, positive)
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(f"prevalence {prevalence}: a share between 0 and 1 is needed, such as 0.01 for 1 %.")
    found = _proportions(judged, chosen, prevalence, top)
    found |= _resampled(judged, chosen, bootstrap, seed)
    found["calibration_error"] = _calibration_error(*calibrated_on(judged, positive), judged.groups)
    if judged.ranks_only:
        nothing = Interval(math.nan, reason="the model gives a distance, not a probability")
        found |= dict.fromkeys((n for n in found if n in _OF_PROBABILITIES or n.startswith("top_")), nothing)
    return {name: found[name] for name in [*DEFINITIONS, *found] if name in found}


def judge_labels(
    judged: Judged, prevalence: float | None = None, *, bootstrap: int = 1000, seed: int = 0
) -> dict[str, dict[str, Interval]]:
    """`judge` for each label in turn against the rest; only what depends on the positive label."""
    return {
        label: {
            name: interval
            for name, interval in judge(
                judged, label, prevalence, top=(), bootstrap=bootstrap, seed=seed
            ).items()
            if name not in ("accuracy", "coverage", "set_size", "abstention")
        }
        for label in judged.labels
    }


def by_subgroup(
    judged: Judged,
    values: Sequence[Any],
    positive: str | None = None,
    prevalence: float | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Subgroup]:
    """`judge` within each value of a column.

    Parameters
    ----------
    judged : Judged
    values : sequence, (n,)
        The column: text, or ages through `age_bands`. None, NaN and empty text are the subgroup "not given".
    positive, prevalence, bootstrap, seed
        As in `judge`.

    Returns
    -------
    dict of str to Subgroup
        Age bands in their order, others by name, "not given" last.
    """
    names = np.array([_text(value) for value in values], dtype=object)
    if len(names) != len(judged.truth):
        raise InputError(f"{len(names)} values of the column, but {len(judged.truth)} photos.")
    bands = [name for _, name in _AGE_BANDS]
    order = sorted(
        set(names), key=lambda s: (s == NOT_GIVEN, bands.index(s) if s in bands else len(bands), s)
    )
    found = {}
    for name in order:
        part = judged.part(names == name)
        patients = len(set(part.groups.tolist()))
        notes = []
        if patients < SMALL_SUBGROUP:
            notes.append(f"only {patients} patient{'' if patients == 1 else 's'}")
        if positive is not None and not (part.truth == _index(judged, positive)).any():
            notes.append(f"no photo of {positive}")
        elif len(set(part.truth.tolist())) == 1:
            notes.append(f"every photo is of {judged.labels[part.truth[0]]}")
        metrics = judge(part, positive, prevalence, bootstrap=bootstrap, seed=seed)
        found[name] = Subgroup(len(part.truth), patients, metrics, "; ".join(notes))
    return found


def age_bands(ages: Sequence[float | None]) -> list[str]:
    """The band of each age in years: 0-2, 3-12, 13-17, 18-39, 40-64, 65+; "not given" for None and NaN."""
    return [
        NOT_GIVEN
        if age is None or not math.isfinite(age) or age < 0
        else next(name for first, name in reversed(_AGE_BANDS) if age >= first)
        for age in ages
    ]


def compare(
    a: Judged, b: Judged, positive: str | None = None, *, bootstrap: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """How much `a` and `b` differ on the same photos: a − b, bootstrapped in pairs by patient.

    Returns
    -------
    dict of str to Interval
        Of sensitivity, specificity, accuracy, balanced accuracy, AUROC, AUPRC, Brier score and log loss.

    Raises
    ------
    InputError
        If the two are not of the same photos in the same order.
    """
    if a.labels != b.labels or not np.array_equal(a.truth, b.truth) or not np.array_equal(a.groups, b.groups):
        raise InputError("Two models can only be compared on the same photos in the same order.")
    chosen = _index(a, positive)
    n = len(a.truth)
    of_a, of_b = (_figures(judged, chosen, bootstrap, seed) for judged in (a, b))
    difference: dict[str, Interval] = {}
    for name in _COMPARED:
        value, *replicates = of_a[name] - of_b[name]
        if math.isnan(value):
            difference[name] = Interval(math.nan, reason=_one_sided(a, chosen))
        else:
            difference[name] = Interval(float(value), *_percentiles(np.array(replicates)), n)
    return difference


def quadratic_kappa(
    truth: ArrayLike, decision: ArrayLike, grades: int, weights: Floats | None = None
) -> float:
    """Cohen's kappa of ordered grades, a disagreement counting by its square.

    Parameters
    ----------
    truth, decision : array-like of int, (n,)
        Grades from 0.
    grades : int
    weights : ndarray, (n,), optional
        Of the photos.

    Returns
    -------
    float
        1 for perfect agreement, 0 for as much as by chance; NaN when everybody has one and the same grade.
    """
    table = np.zeros((grades, grades))
    np.add.at(table, (np.asarray(truth), np.asarray(decision)), 1.0 if weights is None else weights)
    squared = np.subtract.outer(np.arange(grades), np.arange(grades)) ** 2
    by_chance = float((squared * np.outer(table.sum(1), table.sum(0))).sum() / table.sum())
    return 1 - float((squared * table).sum()) / by_chance if by_chance else math.nan


def judge_grades(judged: Judged, *, bootstrap: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """What only ordered labels have: quadratic kappa, and the share that is off by one grade at most.

    Parameters
    ----------
    judged : Judged
        Its labels are grades, the lowest first; an abstention counts as off.
    bootstrap : int
        Number of resamples for kappa's interval (percentiles).
    seed : int
    """
    k, decided = len(judged.labels), judged.decision >= 0
    off = proportion(decided & (np.abs(judged.truth - judged.decision) <= 1), judged.groups)
    truth, decision = judged.truth[decided], judged.decision[decided]
    value = quadratic_kappa(truth, decision, k) if len(truth) else math.nan
    if math.isnan(value):
        return {"quadratic_kappa": Interval(math.nan, reason="everybody has one grade"), "off_by_one": off}
    drawn = _resamples(judged, bootstrap, seed)[:, decided].astype(float)
    replicates = np.array([quadratic_kappa(truth, decision, k, weights) for weights in drawn])
    lo, hi = _percentiles(replicates[np.isfinite(replicates)])
    return {"quadratic_kappa": Interval(value, lo, hi, len(truth)), "off_by_one": off}


def expected_cost(truth: ArrayLike, decision: ArrayLike, cost_matrix: ArrayLike) -> float:
    """Mean cost of the decisions.

    Parameters
    ----------
    truth : array-like of int, (n,)
    decision : array-like of int, (n,)
        -1: abstained.
    cost_matrix : array-like, (k, k) or (k, k + 1)
        Cost of deciding on the column's label when the row's is true; a further column is abstaining.

    Raises
    ------
    InputError
        If somebody abstained and the matrix does not say what that costs.
    """
    truth, decision, cost = np.asarray(truth), np.asarray(decision), np.asarray(cost_matrix, dtype=float)
    if (decision < 0).any() and cost.shape[1] == len(cost):
        raise InputError(
            f"cost matrix {len(cost)} × {len(cost)}: no cost of abstaining. Add a last column with it."
        )
    return float(cost[truth, decision].mean())  # index -1 is the last column


def wilson(value: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion `value` of `n` (effective) observations."""
    z = _normal_quantile()
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    # rounding must not push a limit past the value that it belongs to
    return float(min(value, max(0.0, centre - half))), float(max(value, min(1.0, centre + half)))


def proportion(hits: ArrayLike, groups: ArrayLike, reason: str = "no photo to count") -> Interval:
    """A share with Wilson's interval for clustered data.

    Parameters
    ----------
    hits : array-like of bool, (n,)
    groups : array-like, (n,)
        Patient of each photo.
    reason : str
        Given when n is 0.
    """
    hits, groups = np.asarray(hits, dtype=float), np.asarray(groups)
    n = len(hits)
    if not n:
        return Interval(math.nan, reason=reason)
    value = float(hits.mean())
    return Interval(value, *wilson(value, _effective_size(hits, groups)), n)


def calibration_bins(probability: Floats, most: int = _BINS) -> Ints:
    """Bin of each photo: equal numbers of photos, 30 or more each, equal probabilities together.

    Parameters
    ----------
    probability : ndarray, (n,)
    most : int
        Bins at most.

    Returns
    -------
    ndarray of int, (n,)
    """
    bins = max(1, min(most, len(probability) // _PER_BIN))
    inner = np.quantile(probability, np.arange(1, bins) / bins)
    return np.unique(np.searchsorted(inner, probability, side="right"), return_inverse=True)[1]


def calibrated_on(judged: Judged, positive: str | None) -> tuple[Floats, Bools]:
    """The probabilities whose calibration is judged, and whether what they are of was true, each (n,).

    The positive label's; without one, each photo's most probable label's.
    """
    chosen = _index(judged, positive)
    if chosen is not None:
        return judged.proba[:, chosen], judged.truth == chosen
    best = judged.proba.argmax(1)
    return judged.proba.max(1), best == judged.truth


# ---------------------------------------------------------------------------------------------- proportions


def _proportions(
    judged: Judged, positive: int | None, prevalence: float | None, top: Sequence[int]
) -> dict[str, Interval]:
    truth, decision, groups = judged.truth, judged.decision, judged.groups
    k = len(judged.labels)
    found = {
        "accuracy": proportion(decision == truth, groups),
        "abstention": proportion(decision < 0, groups),
        "coverage": Interval(math.nan, reason="no prediction sets")
        if judged.sets is None
        else proportion(judged.sets[np.arange(len(truth)), truth], groups),
    }
    # a tie counts against: a model that says the same of every label ranks nothing
    rank = (judged.proba >= judged.proba[np.arange(len(truth)), truth][:, None]).sum(1)
    for first in top:
        found[f"top_{first}"] = (
            proportion(rank <= first, groups)
            if first < k
            else Interval(math.nan, reason=f"needs more than {first} labels, there are {k}")
        )
    present = [c for c in range(k) if (truth == c).any()]
    absent = f"{k - len(present)} of {k} labels cannot be had and are left out" if len(present) < k else ""
    recalls = [_rates(judged, c)["sensitivity"] for c in present]
    if len(present) < 2:
        found["balanced_accuracy"] = Interval(
            math.nan, reason=f"every photo is of {judged.labels[present[0]]}"
        )
    else:
        found["balanced_accuracy"] = mean_of(recalls, len(truth), absent)
    if positive is not None:
        rates = _rates(judged, positive)
        found |= {name: rates[name] for name in ("sensitivity", "specificity", "ppv", "npv")}
        found |= _at_prevalence(rates, prevalence)
        return found
    each = [_rates(judged, c) for c in present]
    for name in ("sensitivity", "specificity", "ppv", "npv"):
        had = [rates[name] for rates in each if not math.isnan(rates[name].value)]
        left_out = k - len(had)
        note = f"{left_out} of {k} labels cannot be had and are left out" if left_out else ""
        found[name] = mean_of(had, len(truth), note) if had else each[0][name]
    why = "needs a positive label"
    return {
        **found,
        **{name: Interval(math.nan, reason=why) for name in ("ppv_at_prevalence", "npv_at_prevalence")},
    }


def _rates(judged: Judged, positive: int) -> dict[str, Interval]:
    """The proportions of one label against the rest."""
    label = judged.labels[positive]
    is_, called = judged.truth == positive, judged.decision == positive
    cleared = ~called & (judged.decision >= 0)

    def share(of: Bools, among: Bools, reason: str) -> Interval:
        return proportion(of[among], judged.groups[among], reason)

    nothing, everything = f"no photo of {label}", f"every photo is of {label}"
    return {
        "sensitivity": share(called, is_, nothing),
        "missed": share(cleared, is_, nothing),
        "specificity": share(cleared, ~is_, everything),
        "false_alarms": share(called, ~is_, everything),
        "ppv": share(is_, called, f"no photo was called {label}"),
        "npv": share(~is_, cleared, f"no photo was called other than {label}"),
    }


def _at_prevalence(rates: dict[str, Interval], prevalence: float | None) -> dict[str, Interval]:
    """PPV and NPV by Bayes' rule: odds × ratio of two independent rates."""
    found = {}
    for name, right, wrong, share in (
        ("ppv_at_prevalence", "sensitivity", "false_alarms", prevalence),
        ("npv_at_prevalence", "specificity", "missed", None if prevalence is None else 1 - prevalence),
    ):
        a, b = rates[right], rates[wrong]
        if share is None:
            found[name] = Interval(math.nan, reason="no prevalence was stated")
        elif a.reason or b.reason:
            found[name] = Interval(math.nan, reason=a.reason or b.reason)
        elif a.value == b.value == 0:
            found[name] = Interval(math.nan, reason="no photo was called so")
        else:
            odds = share / (1 - share)
            value, lo, hi = (_from_odds(odds * ratio) for ratio in _ratio(a, b))
            found[name] = Interval(value, lo, hi, a.n + b.n)
    return found


def _ratio(a: Interval, b: Interval) -> tuple[float, float, float]:
    """Ratio of two independent rates with its interval (Donner & Zou 2012), infinite where b may be 0."""
    product = a.value * b.value
    # the published lower limit times its conjugate, so that no denominator vanishes
    up = a.lo * (2 * a.value - a.lo)
    root = math.sqrt(max(0.0, product**2 - up * b.hi * (2 * b.value - b.hi)))
    lo = up / (product + root) if product + root else 0.0
    down = b.lo * (2 * b.value - b.lo)
    root = math.sqrt(max(0.0, product**2 - a.hi * (2 * a.value - a.hi) * down))
    hi = (product + root) / down if down else math.inf
    return (a.value / b.value if b.value else math.inf), lo, hi


def _from_odds(odds: float) -> float:
    return 1.0 if math.isinf(odds) else odds / (1 + odds)


def mean_of(parts: list[Interval], n: int, reason: str = "") -> Interval:
    """Mean of independent figures: distances to the limits are squared and added (Zou & Donner 2008)."""
    value = sum(p.value for p in parts) / len(parts)
    below = math.sqrt(sum((p.value - p.lo) ** 2 for p in parts)) / len(parts)
    above = math.sqrt(sum((p.hi - p.value) ** 2 for p in parts)) / len(parts)
    return Interval(value, max(0.0, value - below), min(1.0, value + above), n, reason)


def _effective_size(hits: Floats, groups: NDArray[Any]) -> float:
    """Independent observations that a share of clustered photos is worth (Korn & Graubard 1998)."""
    from scipy.special import stdtrit

    n, value = len(hits), float(hits.mean())
    index = np.unique(groups, return_inverse=True)[1]
    clusters = int(index.max()) + 1
    if clusters == n:
        return n
    if clusters < 2 or value in (0.0, 1.0):
        return clusters
    sums = np.bincount(index, hits - value)
    variance = clusters / (clusters - 1) * float(sums @ sums) / n**2
    effective = value * (1 - value) / variance if variance else math.inf
    few = (stdtrit(n - 1, 0.5 + _LEVEL / 2) / stdtrit(clusters - 1, 0.5 + _LEVEL / 2)) ** 2
    return float(max(1.0, min(n, effective * few)))


def _normal_quantile() -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + _LEVEL / 2))


# ------------------------------------------------------------------------------------------------- bootstrap


def _resampled(judged: Judged, positive: int | None, bootstrap: int, seed: int) -> dict[str, Interval]:
    n = len(judged.truth)
    figures = _figures(judged, positive, bootstrap, seed)
    values = {name: float(x[0]) for name, x in figures.items()}
    replicates = {name: x[1:] for name, x in figures.items()}
    found = {}
    for name, least in (("auroc", _hanley_mcneil), ("auprc", _binomial)):
        value = values[name]
        if math.isnan(value):
            found[name] = Interval(math.nan, reason=_one_sided(judged, positive))
            continue
        sides = _sides(judged, positive)
        # of a mean over labels
        floor = sum(least(value, int(side.sum()), int((~side).sum())) for side in sides) / len(sides) ** 2
        variance = max(float(np.var(replicates[name])), floor)
        patients = min(len(set(judged.groups[s].tolist())) for side in sides for s in (side, ~side))
        perfect = value in (0.0, 1.0) or patients < 2
        effective = patients if perfect else max(1.0, value * (1 - value) / variance)
        found[name] = Interval(value, *wilson(value, effective), n)
    for name in ("brier", "log_loss"):
        found[name] = Interval(values[name], *_percentiles(replicates[name]), n)
    if judged.sets is None:
        found["set_size"] = Interval(math.nan, reason="no prediction sets")
    else:
        found["set_size"] = Interval(values["set_size"], *_percentiles(replicates["set_size"]), n)
    return found


def _hanley_mcneil(value: float, positives: int, negatives: int) -> float:
    """Variance of an AUROC of independent photos (Hanley & McNeil 1982)."""
    two_positives, two_negatives = value / (2 - value), 2 * value**2 / (1 + value)
    return (
        value * (1 - value)
        + (positives - 1) * (two_positives - value**2)
        + (negatives - 1) * (two_negatives - value**2)
    ) / (positives * negatives)


def _binomial(value: float, positives: int, negatives: int) -> float:
    """Variance of a share of the positive photos."""
    return value * (1 - value) / positives


def _sides(judged: Judged, positive: int | None) -> list[Bools]:
    """The photos of the positive label; of each label that occurs when all are asked about."""
    labels = sorted(set(judged.truth.tolist())) if positive is None else [positive]
    return [judged.truth == c for c in labels]


def _calibration_error(probability: Floats, true: Bools, groups: NDArray[Any]) -> Interval:
    """Calibration error and interval by inverting the plain figure's distribution; see `judge`."""
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

    def excess(error: float, quantile: float, found: float) -> float:
        expected = _folded_mean(error, spread)
        sd = math.sqrt(float(weight**2 @ np.maximum(0, error**2 + spread**2 - expected**2)))
        return float(weight @ expected) + quantile * sd - found

    def solve(quantile: float, found: float) -> float:
        if excess(0.0, quantile, found) >= 0:
            return 0.0
        return min(1.0, float(brentq(excess, 0.0, 3.0, args=(quantile, found))))

    z = _normal_quantile()
    # a fit that is better than chance allows proves no more than one that is as good
    least = float(weight @ _folded_mean(0.0, spread))
    return Interval(solve(0.0, plain), solve(z, plain), solve(-z, max(plain, least)), n)


def _folded_mean(mean: float, sd: Floats) -> Floats:
    """Mean of the absolute value of a normal variable."""
    from scipy.special import erf

    ratio = mean / np.maximum(sd, 1e-12)
    folded: Floats = sd * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + mean * erf(ratio / math.sqrt(2))
    return folded


def _percentiles(replicates: Floats) -> tuple[float, float]:
    lo, hi = np.quantile(replicates, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(lo), float(hi)


def _resamples(judged: Judged, bootstrap: int, seed: int) -> NDArray[np.float32]:
    """Weights of the photos in each resample of patients within labels, (bootstrap, n)."""
    rng = np.random.default_rng(seed)
    _, first, index = np.unique(judged.groups, return_index=True, return_inverse=True)
    label = judged.truth[first]  # of each patient
    drawn = np.ones((bootstrap, len(first)), dtype=np.float32)
    for c in set(label.tolist()):
        (members,) = np.nonzero(label == c)
        size = len(members)
        if size > 1:  # a single patient cannot be resampled
            picked = rng.integers(size, size=(bootstrap, size - 1)) + size * np.arange(bootstrap)[:, None]
            times = np.bincount(picked.ravel(), minlength=bootstrap * size).reshape(bootstrap, size)
            drawn[:, members] = times * (size / (size - 1))
    return drawn[:, index]


@lru_cache(maxsize=8)  # models that are judged and then compared
def _figures(judged: Judged, positive: int | None, bootstrap: int, seed: int) -> dict[str, Floats]:
    """Each figure that is bootstrapped, (1 + bootstrap,): first as it is, then of every resample."""
    weights = _resamples(judged, bootstrap, seed)
    rows = max(1, _BLOCK // weights.shape[1])
    blocks: list[Floats] = [np.ones((1, weights.shape[1]))]
    blocks += [weights[i : i + rows].astype(float) for i in range(0, len(weights), rows)]
    done = [_block(judged, positive, block) for block in blocks]
    return {name: np.concatenate([block[name] for block in done]) for name in done[0]}


def _block(judged: Judged, positive: int | None, weights: Floats) -> dict[str, Floats]:
    truth, proba, decision = judged.truth, judged.proba, judged.decision
    n = len(truth)
    total = weights.sum(1)

    def mean(x: NDArray[Any]) -> Floats:
        return np.asarray(weights @ x.astype(float) / total)

    def share(of: Bools, among: Bools) -> Floats:
        if not among.any():
            return np.full(len(weights), math.nan)
        with np.errstate(invalid="ignore"):
            return (weights @ (of & among)) / (weights @ among)

    present = sorted(set(truth.tolist()))
    asked = present if positive is None else [positive]
    ranked = [_rank_areas(proba[:, c], truth == c, weights) for c in asked]
    if positive is None:
        squared = ((proba - np.eye(len(judged.labels))[truth]) ** 2).sum(1)
        given = proba[np.arange(n), truth]
    else:
        probability, true = calibrated_on(judged, judged.labels[positive])
        squared = (probability - true) ** 2
        given = np.where(true, probability, 1 - probability)
    recalls = [share(decision == c, truth == c) for c in present]
    figures = {
        "sensitivity": np.mean([share(decision == c, truth == c) for c in asked], axis=0),
        "specificity": np.mean([share((decision != c) & (decision >= 0), truth != c) for c in asked], axis=0),
        "accuracy": mean(decision == truth),
        "balanced_accuracy": np.mean(recalls, axis=0)
        if len(present) > 1
        else np.full(len(weights), math.nan),
        "auroc": np.mean([areas[0] for areas in ranked], axis=0),
        "auprc": np.mean([areas[1] for areas in ranked], axis=0),
        "brier": mean(squared),
        "log_loss": mean(-np.log(np.clip(given, _LEAST_PROBABILITY, 1))),
    }
    if judged.sets is not None:
        figures["set_size"] = mean(judged.sets.sum(1))
    return figures


def _rank_areas(score: Floats, positive: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """AUROC and average precision under each row of weights; NaN when there is one side only."""
    if positive.all() or not positive.any():
        nothing = np.full(len(weights), math.nan)
        return nothing, nothing
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)  # of runs of equal scores
    weights = weights[:, order]
    called, true = np.cumsum(weights, axis=1), np.cumsum(weights * positive[order], axis=1)
    if len(ends) < len(order):
        called, true = called[:, ends], true[:, ends]
    false = called - true
    before = np.pad(true, ((0, 0), (1, 0)))[:, :-1]
    false_steps = np.diff(false, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc = (false_steps * (true + before)).sum(1) / (2 * true[:, -1] * false[:, -1])
        precision = np.where(called > 0, true / np.maximum(called, 1e-300), 0)
        auprc = ((true - before) * precision).sum(1) / true[:, -1]
    return auroc, auprc


# --------------------------------------------------------------------------------------------------- helpers


def _index(judged: Judged, positive: str | None) -> int | None:
    if positive is None:
        return None
    if positive not in judged.labels:
        raise InputError(f"label {positive!r}: not one of {', '.join(judged.labels)}. Name one of these.")
    return judged.labels.index(positive)


def _one_sided(judged: Judged, positive: int | None) -> str:
    """Why nothing can be told apart in these photos."""
    if positive is not None and not (judged.truth == positive).any():
        return f"no photo of {judged.labels[positive]}"
    return f"every photo is of {judged.labels[judged.truth[0]]}"


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip():
        return NOT_GIVEN
    return str(value).strip()


def _none(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
