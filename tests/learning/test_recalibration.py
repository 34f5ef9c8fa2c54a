from __future__ import annotations

import numpy as np
import pytest
from judgements import binary, many
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from anthropo.learning.judged import Judged
from anthropo.learning.metrics import judge
from anthropo.learning.recalibration import calibrated_on, calibration, calibration_bins


def test_calibration_bins_hold_equal_numbers_and_keep_ties_together() -> None:
    probability = np.random.default_rng(0).random(400)
    assert np.bincount(calibration_bins(probability)).tolist() == [40] * 10
    assert np.bincount(calibration_bins(probability[:100])).min() >= 30
    tied = np.r_[np.full(300, 0.1), probability[:100]]
    assert len(set(calibration_bins(tied)[:300].tolist())) == 1


def test_calibration_error_of_a_known_shift() -> None:
    rng = np.random.default_rng(5)
    stated = rng.uniform(0.2, 0.6, 20000)
    found = judge(binary(rng.random(20000) < stated + 0.15, stated), "case", bootstrap=5)["calibration_error"]
    assert found.value == pytest.approx(0.15, abs=0.01)
    assert found.lo < 0.15 < found.hi


def test_calibration_error_is_less_biased_than_the_plain_figure() -> None:
    values, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        p = expit(-1.5 + 3 * rng.normal(size=500))
        y = rng.random(500) < p
        values.append(calibration(binary(y, p), "case")["calibration_error"].value)
        index = calibration_bins(p)
        plain.append(np.abs(np.bincount(index, y - p)).sum() / 500)
    assert np.mean(plain) > 0.03  # of a perfectly calibrated model
    assert np.mean(values) < 0.015


def test_too_good_a_fit_leaves_calibration_uncertain() -> None:
    p = np.repeat([0.25, 0.75], 40)
    y = np.r_[np.arange(40) < 10, np.arange(40) < 30]
    found = calibration(binary(y, p), "case")
    error = found["calibration_error"]
    assert error.value == error.lo == 0
    assert 0.03 < error.hi < 0.3
    assert found["calibration_slope"].value == pytest.approx(1, abs=1e-6)
    assert found["calibration_intercept"].value == pytest.approx(0, abs=1e-6)


def too_sure(seed: int, n: int = 80, slope: float = 0.5, photos: int = 1) -> Judged:
    """People whose true log-odds are `slope` times those stated, and so many photos of each."""
    rng = np.random.default_rng(seed)
    stated = 4 * rng.normal(size=n)
    true = rng.random(n) < expit(slope * stated)
    return binary(*(np.repeat(v, photos) for v in (true, expit(stated), np.arange(n))))


def test_slope_and_intercept_are_those_of_logistic_regression() -> None:
    judged = too_sure(0, 200)
    x = logit(judged.proba[:, 1])
    found = judge(judged, "case", bootstrap=5)
    line = LogisticRegression(C=1e9, tol=1e-10).fit(x[:, None], judged.truth)
    assert found["calibration_slope"].value == pytest.approx(line.coef_[0, 0], abs=1e-4)
    moved = expit(x + found["calibration_intercept"].value)
    assert moved.mean() == pytest.approx(judged.truth.mean(), abs=1e-6)
    straight = line.predict_proba(x[:, None])[:, 1]
    assert found["calibration_error"].value == pytest.approx(
        np.abs(straight - judged.proba[:, 1]).mean(), abs=0.01
    )


def test_a_small_cohort_shows_odds_that_are_too_large() -> None:
    """One or two bins of 30 said 0.000 here."""
    found = [calibration(too_sure(seed), "case") for seed in range(40)]
    slopes = [f["calibration_slope"] for f in found]
    assert np.mean([f.hi < 1 for f in slopes]) > 0.8
    assert np.mean([f.lo <= 0.5 <= f.hi for f in slopes]) > 0.85
    true = (
        np.abs(expit(x := np.linspace(-16, 16, 4001)) - expit(x / 2))
        @ norm.pdf(x / 4)
        / norm.pdf(x / 4).sum()
    )
    errors = [f["calibration_error"] for f in found]
    assert np.mean([f.value for f in errors]) == pytest.approx(true, abs=0.02)
    assert np.mean([f.lo > 0 for f in errors]) > 0.6


def test_photos_of_a_patient_do_not_narrow_the_slope() -> None:
    one, several = (calibration(too_sure(3, photos=n), "case")["calibration_slope"] for n in (1, 4))
    assert several.value == pytest.approx(one.value, abs=1e-4)
    assert several.hi - several.lo == pytest.approx(one.hi - one.lo, rel=0.05)


def test_several_labels_have_one_slope() -> None:
    rng = np.random.default_rng(1)
    stated = 3 * rng.normal(size=(600, 4))
    p, true = (np.exp(b * stated) / np.exp(b * stated).sum(1, keepdims=True) for b in (1.0, 0.6))
    truth = (true.cumsum(1) < rng.random((600, 1))).sum(1)
    found = calibration(Judged(tuple("abcd"), truth, p, np.arange(600), p.argmax(1)), None)
    assert found["calibration_slope"].lo < 0.6 < found["calibration_slope"].hi < 0.75
    assert found["calibration_intercept"].reason == "each label has its own: see the table by label"
    assert found["calibration_error"].lo > 0


def test_calibration_that_cannot_be_judged() -> None:
    perfect = binary([0] * 10 + [1] * 10, np.r_[np.full(10, 0.2), np.full(10, 0.8)])
    found = calibration(perfect, "case")
    assert (
        "separate the labels without an error, so that it is at least 1.655"
        in found["calibration_slope"].reason
    )
    error = found["calibration_error"]
    assert error.lo < error.value <= error.hi <= 0.2 + 1e-9  # 0.8 is stated, and it is always right
    assert error.value > 0.1
    reverse = calibration(binary(1 - perfect.truth, perfect.proba[:, 1]), "case")
    assert "so that it is at most −1.655" in reverse["calibration_slope"].reason
    flat = calibration(binary([0, 1] * 10, np.full(20, 0.3)), "case")
    assert flat["calibration_slope"].reason == "all probabilities are nearly the same"
    assert flat["calibration_intercept"].value == pytest.approx(logit(0.5) - logit(0.3))
    nearly = calibration(binary([0, 1] * 10, np.linspace(0.3, 0.30001, 20)), "case")
    assert nearly["calibration_slope"].reason == flat["calibration_slope"].reason
    assert nearly["calibration_error"].value == pytest.approx(flat["calibration_error"].value, abs=1e-3)
    alone = calibration(binary([1] * 9, np.full(9, 0.3)), "case")
    assert alone["calibration_intercept"].reason == "every photo is of case"
    assert 0.1 < alone["calibration_error"].lo < alone["calibration_error"].value <= 0.7


def test_calibration_of_several_labels_is_of_the_most_probable() -> None:
    judged = many(2, n=600)
    probability, true = calibrated_on(judged, None)
    assert probability == pytest.approx(judged.proba.max(1))
    assert true.mean() == pytest.approx((judged.proba.argmax(1) == judged.truth).mean())
