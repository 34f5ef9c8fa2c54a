from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from judgements import binary, cohort, many
from scipy.stats import norm
from sklearn import metrics as oracle

from anthropo.errors import InputError
from anthropo.learning import bootstrap
from anthropo.learning.cost import expected_cost
from anthropo.learning.grades import judge_grades, quadratic_kappa
from anthropo.learning.intervals import Interval, proportion, wilson
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import DEFINITIONS, compare, judge, judge_labels
from anthropo.learning.subgroups import age_bands, by_subgroup

# 4 cases: 3 called, 1 abstained; 6 controls: 1 called, 4 cleared, 1 abstained
HAND = binary(
    [1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
    [0.9, 0.8, 0.7, 0.5, 0.6, 0.4, 0.3, 0.2, 0.1, 0.5],
    decision=[1, 1, 1, -1, 1, 0, 0, 0, 0, -1],
)


def test_proportions_by_hand() -> None:
    found = judge(HAND, "case", bootstrap=50)
    expected = {
        "sensitivity": (3 / 4, 4),
        "specificity": (4 / 6, 6),
        "ppv": (3 / 4, 4),
        "npv": (4 / 4, 4),
        "accuracy": (7 / 10, 10),
        "balanced_accuracy": ((3 / 4 + 4 / 6) / 2, 10),
        "abstention": (2 / 10, 10),
        "top_1": (7 / 10, 10),  # a tie and an inversion count against, and a tied control
    }
    for name, (value, n) in expected.items():
        assert found[name].value == pytest.approx(value), name
        assert found[name].n == n, name
        assert found[name].lo <= value <= found[name].hi, name


def test_every_defined_metric_is_there_in_order() -> None:
    assert list(judge(HAND, "case", bootstrap=20)) == list(DEFINITIONS)


def test_predictive_values_at_prevalence_are_bayes_rule() -> None:
    found = judge(HAND, "case", 0.01, bootstrap=20)
    # abstained controls are no false alarms, abstained cases no missed ones; half a photo on each side
    found_of, alarms, cleared, missed = 3.5 / 5, 1.5 / 7, 4.5 / 7, 0.5 / 5
    ppv = 0.01 * found_of / (0.01 * found_of + 0.99 * alarms)
    assert found["ppv_at_prevalence"].value == pytest.approx(ppv)
    npv = 0.99 * cleared / (0.99 * cleared + 0.01 * missed)
    assert found["npv_at_prevalence"].value == pytest.approx(npv)
    judged = cohort(3, 4000, 6000, 1.5, photos=1)  # so many that half a photo is nothing
    at_own = judge(judged, "case", 0.4, bootstrap=20)
    assert at_own["ppv_at_prevalence"].value == pytest.approx(at_own["ppv"].value, abs=1e-3)
    assert at_own["npv_at_prevalence"].value == pytest.approx(at_own["npv"].value, abs=1e-3)


@pytest.mark.parametrize("photos", [1, 4])
def test_that_no_false_alarm_was_seen_does_not_make_a_predictive_value_of_one(photos: int) -> None:
    """Nor do four photos of each of the ten patients say as much as forty patients."""
    judged = binary([1] * 10 * photos + [0] * 10 * photos, [0.9] * 10 * photos + [0.1] * 10 * photos)
    people = replace(judged, groups=np.arange(20).repeat(photos))
    found = judge(people, "case", 0.01, bootstrap=20)["ppv_at_prevalence"]
    assert found.lo < found.value < found.hi == 1
    assert 0.01 < found.lo < 0.2
    assert found.value == pytest.approx(0.01 * 10.5 / (0.01 * 10.5 + 0.99 * 0.5))
    assert judge(people, "case", 0.99, bootstrap=20)["npv_at_prevalence"].value == pytest.approx(found.value)


# Newcombe RG, Stat Med 17:857 (1998), table I, method 3
@pytest.mark.parametrize(
    ("hits", "n", "lo", "hi"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(hits: int, n: int, lo: float, hi: float) -> None:
    assert wilson(hits / n, n) == pytest.approx((lo, hi), abs=5e-5)
    share = proportion(np.arange(n) < hits, np.arange(n))
    assert (share.lo, share.hi) == pytest.approx((lo, hi), abs=5e-5)


def test_photos_of_one_patient_count_as_what_they_are_worth() -> None:
    hits = np.arange(40) < 28
    single = proportion(hits, np.arange(40))
    copies = proportion(np.repeat(hits, 5), np.repeat(np.arange(40), 5))
    assert copies.value == single.value
    # five copies say no more than one; a little wider for the estimated design effect
    assert single.hi - single.lo < copies.hi - copies.lo < 1.1 * (single.hi - single.lo)
    # of independent photos five a patient say nearly five times as much
    rng = np.random.default_rng(0)
    independent = proportion(rng.random(2000) < 0.7, np.repeat(np.arange(400), 5))
    assert independent.hi - independent.lo == pytest.approx(2 * 1.96 * math.sqrt(0.21 / 2000), rel=0.1)


def test_perfect_shares_count_patients_not_photos() -> None:
    found = proportion(np.ones(60), np.repeat(np.arange(20), 3))
    assert found.lo == pytest.approx(1 - 0.1611, abs=5e-5)
    assert proportion(np.ones(3), np.zeros(3)).lo == pytest.approx(wilson(1.0, 1)[0])


def test_ranks_and_scores_against_scikit_learn() -> None:
    judged = many(0)
    for c, label in enumerate(judged.labels):
        found = judge(judged, label, bootstrap=50)
        true, score = judged.truth == c, judged.proba[:, c]
        assert found["auroc"].value == pytest.approx(oracle.roc_auc_score(true, score))
        assert found["auprc"].value == pytest.approx(oracle.average_precision_score(true, score))
        assert found["brier"].value == pytest.approx(oracle.brier_score_loss(true, score))
        assert found["log_loss"].value == pytest.approx(
            oracle.log_loss(true, np.clip(score, 1e-15, 1 - 1e-15))
        )
    found = judge(judged, bootstrap=50)
    binarised = np.eye(4)[judged.truth]
    assert found["auroc"].value == pytest.approx(
        oracle.roc_auc_score(binarised, judged.proba, average="macro")
    )
    assert found["auprc"].value == pytest.approx(
        oracle.average_precision_score(binarised, judged.proba, average="macro")
    )
    assert found["sensitivity"].value == pytest.approx(
        oracle.balanced_accuracy_score(judged.truth, judged.decision)
    )
    assert found["ppv"].value == pytest.approx(
        oracle.precision_score(judged.truth, judged.decision, average="macro")
    )
    assert found["brier"].value == pytest.approx(((judged.proba - binarised) ** 2).sum(1).mean())


def test_replicates_are_weighted_figures() -> None:
    judged = many(1)
    weights = bootstrap.resamples(judged, 6, seed=4)
    found = bootstrap.resampled_figures(judged, 2, 6, 4)
    true, score = judged.truth == 2, judged.proba[:, 2]
    for b in range(6):
        w = weights[b]
        assert found["auroc"][b + 1] == pytest.approx(oracle.roc_auc_score(true, score, sample_weight=w))
        assert found["auprc"][b + 1] == pytest.approx(
            oracle.average_precision_score(true, score, sample_weight=w)
        )
        assert found["sensitivity"][b + 1] == pytest.approx(
            np.average(judged.decision[true] == 2, weights=w[true])
        )


def test_resamples_are_of_patients_within_labels() -> None:
    judged = cohort(0, 7, 30, 1.0)
    weights = bootstrap.resamples(judged, 200, seed=1)
    for patient in set(judged.groups.tolist()):
        of_patient = weights[:, judged.groups == patient]
        assert (of_patient == of_patient[:, :1]).all()
    first = np.unique(judged.groups, return_index=True)[1]
    per_patient, label = weights[:, first], judged.truth[first]
    assert per_patient[:, label == 1].sum(1) == pytest.approx(np.full(200, 7.0))
    assert per_patient[:, label == 0].sum(1) == pytest.approx(np.full(200, 30.0))
    # rescaled so that the variance of a mean is the unbiased one, s²/n
    x = np.random.default_rng(2).normal(size=30)
    means = bootstrap.resamples(binary(np.zeros(30, int), np.full(30, 0.2)), 20000, 3) @ x / 30
    assert np.var(means) == pytest.approx(np.var(x, ddof=1) / 30, rel=0.05)


def test_a_perfect_ranking_is_not_certain() -> None:
    judged = binary([1] * 5 + [0] * 40, np.r_[np.linspace(0.8, 0.9, 5), np.linspace(0.1, 0.3, 40)])
    for name in ("auroc", "auprc"):
        found = judge(judged, "case", bootstrap=100)[name]
        assert found.value == found.hi == 1
        assert found.lo == pytest.approx(wilson(1.0, 5)[0])


def test_intervals_cover_what_is_true() -> None:
    """200 cohorts of 30 cases and 60 controls with one to three photos each."""
    shift = math.sqrt(2) * norm.ppf(0.88)
    sensitivity = norm.cdf(shift / 2)
    prevalence = 0.05
    ppv = prevalence * sensitivity / (prevalence * sensitivity + (1 - prevalence) * (1 - sensitivity))
    everyone = cohort(99, 20000, 40000, shift, photos=1)
    true = {
        "auroc": 0.88,
        "auprc": oracle.average_precision_score(everyone.truth, everyone.proba[:, 1]),
        "sensitivity": sensitivity,
        "specificity": sensitivity,
        "balanced_accuracy": sensitivity,
        "ppv_at_prevalence": ppv,
        "brier": oracle.brier_score_loss(everyone.truth, everyone.proba[:, 1]),
        "calibration_error": 0.0,
    }
    covered = dict.fromkeys(true, 0)
    for seed in range(200):
        found = judge(cohort(seed, 30, 60, shift), "case", prevalence, bootstrap=200, seed=seed)
        for name, value in true.items():
            covered[name] += found[name].lo <= value <= found[name].hi
    share = {name: n / 200 for name, n in covered.items()}
    for name in ("auroc", "sensitivity", "specificity"):
        assert 0.91 <= share[name] <= 0.98, share
    # square-and-add, ratio and percentile intervals; the test of calibration is one-sided at 0
    for name in ("auprc", "balanced_accuracy", "ppv_at_prevalence", "brier"):
        assert 0.90 <= share[name] <= 0.99, share
    assert share["calibration_error"] >= 0.93, share


def test_intervals_that_ignore_patients_would_not_cover() -> None:
    """The simulation can tell: with photos as patients the sensitivity's interval is too narrow."""
    shift = math.sqrt(2) * norm.ppf(0.88)
    covered = 0
    for seed in range(200):
        judged = cohort(seed, 30, 60, shift, photos=8, within=0.95)
        hits = judged.decision[judged.truth == 1] == 1
        found = proportion(hits, np.arange(len(hits)))
        covered += found.lo <= norm.cdf(shift / 2) <= found.hi
    assert covered / 200 < 0.85


def test_top_k() -> None:
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(12), 200)
    truth = rng.integers(0, 12, 200)
    judged = Judged(tuple("abcdefghijkl"), truth, proba, np.arange(200), proba.argmax(1))
    found = judge(judged, bootstrap=10)
    for k in (1, 5, 10):
        expected = oracle.top_k_accuracy_score(truth, proba, k=k, labels=range(12))
        assert found[f"top_{k}"].value == pytest.approx(expected)
    assert math.isnan(found["top_30"].value)
    assert found["top_30"].reason == "needs more than 30 labels, there are 12"
    flat = Judged(("a", "b"), np.array([0, 1]), np.full((2, 2), 0.5), np.arange(2), np.array([0, 0]))
    assert judge(flat, bootstrap=10)["top_1"].value == 0  # says the same of every label


def test_prediction_sets() -> None:
    sets = np.array([[True, False], [True, True], [False, False], [False, True]])
    found = judge(binary([0, 1, 1, 0], [0.2, 0.6, 0.7, 0.8], sets=sets), bootstrap=50)
    assert found["coverage"].value == 0.5
    assert found["set_size"].value == 1.0
    without = judge(binary([0, 1], [0.2, 0.6]), bootstrap=50)
    assert {without[name].reason for name in ("coverage", "set_size")} == {"no prediction sets"}


def test_what_cannot_be_had_has_a_reason() -> None:
    only_controls = judge(binary([0] * 12, np.linspace(0.1, 0.4, 12)), "case", 0.1, bootstrap=20)
    for name in ("sensitivity", "auroc", "auprc", "ppv_at_prevalence"):
        assert math.isnan(only_controls[name].value), name
        assert only_controls[name].reason == "no photo of case", name
    assert only_controls["ppv"].reason == "no photo was called case"
    assert only_controls["specificity"].value == 1
    only_cases = judge(binary([1] * 12, np.linspace(0.6, 0.9, 12)), "case", bootstrap=20)
    for name in ("specificity", "auroc"):
        assert only_cases[name].reason == "every photo is of case", name
    assert only_cases["ppv_at_prevalence"].reason == "no prevalence was stated"
    neither = judge(binary([1] * 12, np.linspace(0.6, 0.9, 12)), bootstrap=20)
    for name in ("balanced_accuracy", "specificity", "auroc"):
        assert neither[name].reason == "every photo is of case", name
    assert neither["accuracy"].value == 1
    for found in (only_controls, only_cases, neither):
        for name, interval in found.items():
            assert math.isnan(interval.value) == bool(interval.reason) or "left out" in interval.reason, name


def test_a_label_without_photos_is_left_out_of_the_mean_and_said() -> None:
    three = many(3, n=200, k=3)
    proba = np.column_stack([three.proba, np.zeros(200)])
    four = Judged(("a", "b", "c", "d"), three.truth, proba, three.groups, three.decision)
    found, expected = judge(four, bootstrap=20), judge(three, bootstrap=20)
    for name in ("sensitivity", "auroc", "auprc"):
        assert found[name].value == pytest.approx(expected[name].value)
    assert found["sensitivity"].reason == "1 of 4 labels cannot be estimated and are left out"


def test_one_patient_is_enough_for_figures_but_not_for_narrow_ones() -> None:
    found = judge(
        binary([1, 1, 0, 0], [0.9, 0.6, 0.3, 0.4], groups=["p", "p", "q", "q"]), "case", bootstrap=50
    )
    for name in ("sensitivity", "specificity", "auroc"):
        assert found[name].value == 1
        assert found[name].lo == pytest.approx(wilson(1.0, 1)[0])


def test_json() -> None:
    found = judge(binary([0] * 3, [0.2, 0.3, 0.4]), "case", bootstrap=20)
    assert found["auroc"].to_json() == {
        "value": None,
        "lo": None,
        "hi": None,
        "n": 0,
        "reason": "no photo of case",
    }
    assert found["specificity"].to_json().keys() == {"value", "lo", "hi", "n"}


def test_the_same_seed_gives_the_same_figures() -> None:
    judged = cohort(0, 20, 40, 1.0)
    again = judged.part(np.ones(len(judged.truth), bool))
    found, repeated = (judge(m, "case", bootstrap=100) for m in (judged, again))
    assert [x.to_json() for x in found.values()] == [x.to_json() for x in repeated.values()]
    other = judge(again, "case", bootstrap=100, seed=1)
    assert other["brier"].lo != found["brier"].lo


def test_labels_in_turn() -> None:
    judged = many(4)
    each = judge_labels(judged, 0.1, bootstrap=50)
    assert list(each) == list(judged.labels)
    assert each["b"]["auroc"] == judge(judged, "b", bootstrap=50)["auroc"]
    assert not math.isnan(each["b"]["ppv_at_prevalence"].value)


def test_subgroups() -> None:
    judged = cohort(1, 30, 60, 1.5)
    sex = np.where(judged.groups % 2 == 0, "female", "male").astype(object)
    sex[judged.groups == 4] = None
    sex[judged.groups == 6] = math.nan
    sex[judged.groups == 8] = "  "
    found = by_subgroup(judged, sex.tolist(), "case", bootstrap=50)
    assert list(found) == ["female", "male", "not given"]
    assert sum(group.n_photos for group in found.values()) == len(judged.truth)
    assert found["not given"].n_patients == 3
    assert found["not given"].note == "only 3 patients; every photo is of case"
    part = judged.part(sex == "male")
    assert found["male"].metrics["auroc"] == judge(part, "case", bootstrap=50)["auroc"]
    assert found["male"].note == ""
    no_case = by_subgroup(judged, np.where(judged.truth == 1, "x", "y").tolist(), "case", bootstrap=20)
    assert no_case["y"].note == "no photo of case"
    assert no_case["x"].note == "every photo is of case"


def test_age_bands_and_their_order() -> None:
    ages = [0, 2.99, 3, 12.9, 13, 17.5, 18, 39, 40, 64.9, 65, 101, None, math.nan, -1]
    names = age_bands(ages)
    assert names == [
        *("0-2", "0-2", "3-12", "3-12", "13-17", "13-17", "18-39", "18-39", "40-64", "40-64", "65+", "65+"),
        *["not given"] * 3,
    ]
    judged = binary([0, 1] * 7 + [0], np.full(15, 0.5))
    assert list(by_subgroup(judged, names, bootstrap=5)) == [
        *("0-2", "3-12", "13-17", "18-39", "40-64", "65+", "not given")
    ]


def test_comparison_is_paired() -> None:
    a = cohort(0, 40, 80, 1.6)
    score = np.clip(a.proba[:, 1] + np.random.default_rng(1).normal(0, 0.03, len(a.truth)), 0.001, 0.999)
    b = binary(a.truth, score, a.groups, a.decision)
    difference = compare(a, b, "case", bootstrap=300)
    own = [judge(m, "case", bootstrap=300)["auroc"] for m in (a, b)]
    assert difference["auroc"].value == pytest.approx(own[0].value - own[1].value)
    assert difference["sensitivity"].value == 0
    # nearly the same model: far more certain than either figure
    assert difference["auroc"].hi - difference["auroc"].lo < 0.5 * (own[0].hi - own[0].lo)
    swapped = compare(b, a, "case", bootstrap=300)["auroc"]
    assert (swapped.lo, swapped.hi) == pytest.approx((-difference["auroc"].hi, -difference["auroc"].lo))
    guess = binary(a.truth, np.random.default_rng(2).random(len(a.truth)), a.groups)
    assert compare(a, guess, "case", bootstrap=300)["auroc"].lo > 0.1


def test_expected_cost() -> None:
    cost = [[0, 1], [5, 0]]
    assert expected_cost([0, 0, 1, 1], [0, 1, 0, 1], cost) == pytest.approx((1 + 5) / 4)
    assert expected_cost([0, 1], [-1, 1], [[0, 1, 0.5], [5, 0, 2]]) == pytest.approx(0.25)
    with pytest.raises(InputError, match=r"cost matrix 2 × 2: no cost of abstaining. Add a last column"):
        expected_cost([0, 1], [-1, 1], cost)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"proba": np.full((3, 2), 0.4)}, "proba: every photo needs probabilities"),
        ({"proba": np.full((3, 2), np.nan)}, "proba: every photo needs probabilities"),
        (
            {"proba": np.full((3, 3), 1 / 3)},
            r"proba: shape \(3, 3\), needed \(3, 2\) for 3 photos and 2 labels",
        ),
        ({"truth": np.array([0, 1, 2])}, "truth: indices from 0 to 1"),
        ({"truth": np.array([0, 1, -1])}, "truth: indices from 0 to 1"),
        ({"decision": np.array([0, 1, -2])}, "decision: indices from -1 to 1"),
        ({"groups": np.arange(2)}, r"groups: shape \(2,\)"),
        ({"sets": np.ones((2, 2), bool)}, r"sets: shape \(2, 2\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    parts: dict[str, Any] = {
        "labels": ("a", "b"),
        "truth": np.array([0, 1, 1]),
        "proba": np.full((3, 2), 0.5),
        "groups": np.arange(3),
        "decision": np.array([0, 1, -1]),
    }
    Judged(**parts)
    with pytest.raises(InputError, match=message):
        Judged(**{**parts, **change})


def test_bad_questions_are_refused() -> None:
    with pytest.raises(InputError, match="label 'Noonan': not one of control, case"):
        judge(HAND, "Noonan")
    for prevalence in (0.0, 1.0, 5.0):
        with pytest.raises(InputError, match=r"a share between 0 and 1 is needed, such as 0.01 for 1 %"):
            judge(HAND, "case", prevalence)
    with pytest.raises(InputError, match="same photos in the same order"):
        compare(HAND, HAND.part(np.arange(10) < 8))
    with pytest.raises(InputError, match="3 values of the column, but 10 photos"):
        by_subgroup(HAND, ["x", "y", "z"])
    with pytest.raises(InputError, match="No photo to judge by"):
        HAND.part(np.zeros(10, bool))


# ------------------------------------------------------------------------------------------------- grades


def test_kappa_against_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 300)
    decision = np.clip(truth + random.integers(-1, 3, 300), 0, 3)
    expected = oracle.cohen_kappa_score(truth, decision, weights="quadratic")
    assert quadratic_kappa(truth, decision, 4) == pytest.approx(expected)
    weights = random.integers(1, 4, 300).astype(float)
    repeated = np.repeat(truth, weights.astype(int)), np.repeat(decision, weights.astype(int))
    assert quadratic_kappa(truth, decision, 4, weights) == pytest.approx(quadratic_kappa(*repeated, 4))
    assert quadratic_kappa(truth, truth, 4) == 1
    assert math.isnan(quadratic_kappa([1, 1], [1, 1], 4))


def test_grades_off_by_one_and_their_intervals() -> None:
    judged = many(3, n=200, k=4)
    found = judge_grades(judged, bootstrap=300)
    off = np.abs(judged.truth - judged.decision) <= 1
    assert found["off_by_one"].value == pytest.approx((off & (judged.decision >= 0)).mean())
    kappa = found["quadratic_kappa"]
    assert kappa.lo < kappa.value < kappa.hi
    # resamples of patients spread as those of scikit-learn's kappa do
    random = np.random.default_rng(1)
    truth, decision = judged.truth[judged.decision >= 0], judged.decision[judged.decision >= 0]
    groups = judged.groups[judged.decision >= 0]
    people = np.unique(groups)
    drawn = []
    for _ in range(200):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in random.choice(people, len(people))])
        drawn.append(oracle.cohen_kappa_score(truth[rows], decision[rows], weights="quadratic"))
    assert kappa.hi - kappa.lo == pytest.approx(
        np.quantile(drawn, 0.975) - np.quantile(drawn, 0.025), rel=0.35
    )
    alone = Judged(("a", "b"), np.zeros(3, int), np.tile([1.0, 0.0], (3, 1)), np.arange(3), np.zeros(3, int))
    assert judge_grades(alone)["quadratic_kappa"].reason == "everybody has one grade"


def test_a_distance_stays_no_probability_in_subgroups() -> None:
    judged = replace(cohort(3, 20, 20, 1.0), ranks_only=True)
    whole, parts = judge(judged, "case"), by_subgroup(judged, ["a" if g % 2 else "b" for g in judged.groups])
    assert whole["brier"].reason == "the model gives a distance, not a probability"
    for part in parts.values():
        for name in ("brier", "log_loss", "calibration_error"):
            assert asdict(part.metrics[name]) == asdict(whole[name])
        assert part.metrics["auroc"].known


def test_a_figure_as_text_and_json() -> None:
    assert str(Interval(-0.0001, -0.02, 0.01, 9)) == "0.000 (−0.020 to 0.010)"
    assert (str(Interval(math.nan, reason="why")), Interval(math.nan).known) == ("–", False)
    assert Interval(math.nan, reason="why").to_json() == {
        "value": None, "lo": None, "hi": None, "n": 0, "reason": "why",
    }  # fmt: skip
