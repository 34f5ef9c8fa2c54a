from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from simulated import simulated

from anthropo.errors import InputError
from anthropo.learning import deep, measured
from anthropo.learning.attributes import AttributeModel
from anthropo.learning.cost import expected_cost, expected_cost_decision
from anthropo.learning.features import feature_frame
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.judging import cross_validate, shares_where_used
from anthropo.learning.model import LabelModel, Options
from anthropo.learning.normality import OUTSIDE
from anthropo.learning.prevalence import shares_words, stated_presence, stated_shares

SHARES = {"Noonan": 0.25, "control": 0.5, "A, B": 0.125, "x=y": 0.125}
FAST = Options(classifier="svm", min_patients=10)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 40)
    monkeypatch.setattr(deep, "_FREQUENCIES", 64)


# ------------------------------------------------------------------------------------ what is stated


@pytest.mark.parametrize(
    ("stated", "shares"),
    [
        ({"Noonan": 0.02}, (0.02, 0.98 * 2 / 3, 0.98 / 6, 0.98 / 6)),
        ("Noonan=0.02,control=0.9", (0.02, 0.9, 0.04, 0.04)),
        (("Noonan=0.02", "A, B = 0.1"), (0.02, 0.88 * 0.8, 0.1, 0.88 * 0.2)),
        ("A, B=0.1,x=y=0.2", (0.7 / 3, 0.7 * 2 / 3, 0.1, 0.2)),
        ({"Noonan": 0.333, "control": 0.333, "A, B": 0.333, "x=y": 0.001}, (0.333, 0.333, 0.333, 0.001)),
    ],
)
def test_the_rest_is_shared_as_in_training(stated: Any, shares: tuple[float, ...]) -> None:
    found = stated_shares(stated, SHARES)
    assert list(found) == list(SHARES)
    np.testing.assert_allclose(list(found.values()), shares)
    assert sum(found.values()) == pytest.approx(1)


def test_a_number_is_of_the_positive_label_or_the_attribute_that_is_asked_about() -> None:
    assert stated_shares(0.02, {"a": 0.5, "b": 0.5}, "b") == {"a": 0.98, "b": 0.02}
    assert stated_presence("0.3", {"ptosis": 0.1, "thin lip": 0.8}, "thin lip") == {
        "ptosis": 0.1,
        "thin lip": 0.3,
    }
    # attributes do not exclude each other
    assert stated_presence({"ptosis": 0.9}, {"ptosis": 0.1, "thin lip": 0.8}) == {
        "ptosis": 0.9,
        "thin lip": 0.8,
    }


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"Noonan": 0}, "Noonan=0': a share between 0 and 1 is needed, such as 0.02 for 2 %."),
        ({"Noonan": 1.0}, "Noonan=1.0': a share between 0 and 1"),
        ("Noonan=3", "Noonan=3': a share between 0 and 1"),
        ("Noonan=nan", "a share between 0 and 1"),
        ("Noonan=two", "a share between 0 and 1"),
        ("Noonan", "of which label, since there is no positive one?"),
        ("noonan=0.1", "noonan=0.1': no such label. The labels are Noonan, control, A, B, x=y."),
        (0.02, "of which label, since there is no positive one? Give Noonan=0.02"),
        ("Noonan=0.7,control=0.4", "the shares add up to 1.1, and nothing is left for A, B, x=y."),
        ({"Noonan": 0.6, "control": 0.4}, "the shares add up to 1, and nothing is left for A, B, x=y."),
        (dict.fromkeys(SHARES, 0.2), "the shares of all labels add up to 0.8, not to 1."),
        (dict.fromkeys(SHARES, 0.3), "the shares add up to 1.2."),
        (("Noonan=0.1", "Noonan=0.2"), "Noonan has a share already."),
        ({}, "nothing is stated."),
    ],
)
def test_shares_that_cannot_be(stated: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        stated_shares(stated, SHARES)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_words() -> None:
    assert shares_words({"Noonan": 0.02, "control": 0.98}) == "control 98 %, Noonan 2 %"
    many = shares_words({f"l{i}": (i + 1) / 55 for i in range(10)})
    assert many == "l9 18.2 %, l8 16.4 %, l7 14.5 %, l6 12.7 %, 6 others 38.2 % together"


# ------------------------------------------------------------------------------------ what it does


def people(n: int, share: float, seed: int) -> tuple[pd.DataFrame, Any]:
    """Two measurements that know of the label, of which this share is affected."""
    random = np.random.default_rng(seed)
    y = (random.random(n) < share).astype(int)
    return pd.DataFrame(random.normal(size=(n, 2)) + 1.2 * y[:, None], columns=["a", "b"]), y


def test_where_a_model_is_used_its_probabilities_hold_and_its_decisions_are_cheap() -> None:
    """Trained at 25 %, used at 2 %; missing somebody costs five false alarms."""
    cost = np.array([[0.0, 1.0], [5.0, 0.0]])
    model = HybridClassifier("svm", cost=cost).fit(*people(2000, 0.25, 0))
    np.testing.assert_allclose(model.shares_, [0.75, 0.25], atol=0.03)
    table, y = people(100_000, 0.02, 1)
    there = model.at(np.array([0.98, 0.02]))
    p = there.predict_proba(table)[:, 1]
    assert p.mean() == pytest.approx(0.02, rel=0.15)
    assert model.predict_proba(table)[:, 1].mean() > 0.08  # as in training: it would call four times too many
    costs = [expected_cost(y, (p >= t).astype(int), cost) for t in np.quantile(p, np.linspace(0, 1, 400))]
    decided = expected_cost(y, there.predict(table), cost)
    assert decided <= 1.1 * min(*costs, 0.1)
    assert decided < 0.1 < expected_cost(y, model.predict(table), cost)  # 0.1: calling nobody


def test_log_odds_move_by_the_shift_and_by_nothing_else() -> None:
    random = np.random.default_rng(0)
    y = random.choice(3, 300, p=[0.5, 0.3, 0.2])
    table = pd.DataFrame(random.normal(size=(300, 3)) + np.eye(3)[y], columns=["a", "b", "c"])
    model = HybridClassifier("svm").fit(table, y)
    shares = np.array([0.9, 0.02, 0.08])
    there = model.at(shares)
    odds = np.exp(there.margins(table) - model.margins(table))
    np.testing.assert_allclose(
        odds / odds[:, :1], np.tile(shares / model.shares_, (300, 1)) / (0.9 / model.shares_[0])
    )
    before, after = model.contributions(table), there.contributions(table)
    np.testing.assert_allclose(after.bias - before.bias, after.shift)
    for name, values in before.measurements.items():
        np.testing.assert_array_equal(after.measurements[name], values)
    np.testing.assert_allclose(after.total, there.margins(table))
    np.testing.assert_array_equal(there.at(None).margins(table), model.margins(table))
    np.testing.assert_allclose(model.at(model.shares_).margins(table), model.margins(table))
    meta, arrays = there.state()  # a file holds the model as it was trained
    again = HybridClassifier.from_state(meta, arrays)
    np.testing.assert_allclose(again.at(shares).margins(table), there.margins(table), atol=1e-5)
    assert (again.shift == 0).all()


def test_matched_labels_and_sets() -> None:
    features = simulated({"control": 40, "noonan": 30, "turner": 4, "sotos": 3}, strength=2)
    model = LabelModel.fit(features, FAST)
    table = feature_frame(simulated({"control": 30, "noonan": 30, "turner": 30}, strength=2, seed=1))
    there = model.at(stated_shares({"turner": 0.3, "noonan": 0.01}, model.shares))
    assert sum(there.shares.values()) == pytest.approx(1)
    assert (there.shares["turner"], there.shares["noonan"]) == pytest.approx((0.3, 0.01))
    assert model.stated is None
    before, after = model.answer(table), there.answer(table)
    np.testing.assert_allclose(after.probabilities.sum(1), 1)
    weighted = before.probabilities * [there.shares[c] / model.shares[c] for c in model.labels]
    np.testing.assert_allclose(after.probabilities, weighted / weighted.sum(1, keepdims=True), rtol=1e-6)
    # a label's people are as improbable among themselves as before; a set only gains the most probable label
    k = len(model.trained)
    gained = after.sets[:, :k] & ~before.sets[:, :k]
    assert (gained.sum(1) <= 1).all()
    assert (gained.argmax(1) == after.probabilities[:, :k].argmax(1))[gained.any(1)].all()
    np.testing.assert_array_equal(before.typicality, after.typicality)


@pytest.mark.parametrize("share", [0.02, 0.6])
def test_a_set_misses_each_label_as_rarely_at_any_prevalence(share: float) -> None:
    people_ = {"control": 150, "noonan": 150}
    kept = []
    for seed in range(6):
        model = LabelModel.fit(simulated(people_, strength=1, seed=seed), replace(FAST, error_rate=0.2))
        new = simulated({"control": 400, "noonan": 400}, strength=1, seed=seed + 100)
        found = model.at({"control": 1 - share, "noonan": share}).answer(feature_frame(new))
        kept.append([found.sets[new.labels == label, c].mean() for c, label in enumerate(model.labels)])
    # 0.8, less two standard errors: of 400 who are judged, and of the 150 whose rank it is, six times
    least = 0.8 - 2 * np.sqrt(0.8 * 0.2 * (1 / 400 + 1 / 150) / 6)
    assert np.mean(kept, axis=0).min() > least


def test_attributes_and_the_chain() -> None:
    features = simulated({"a": 40, "b": 40}, strength=2)
    random = np.random.default_rng(0)
    cells = np.array(
        ["; ".join(["x"] * (c == "a") + ["y"] * (random.random() < 0.6)) for c in features.labels]
    )
    model = AttributeModel.fit(replace(features, labels=cells), replace(FAST, chained=True))
    table = feature_frame(features)
    there = model.at(stated_presence({"x": 0.05}, model.shares))
    before, after = model.answer(table), there.answer(table)
    x, y = model.labels.index("x"), model.labels.index("y")
    at = np.log(0.05 / 0.95) - np.log(model.shares["x"] / (1 - model.shares["x"]))
    np.testing.assert_allclose(after.log_odds[:, x], before.log_odds[:, x] + at)
    # what is read of the attribute before is as in training: its prevalence says nothing of this one's
    np.testing.assert_allclose(after.log_odds[:, y], before.log_odds[:, y])
    np.testing.assert_array_equal(before.pair_sets, after.pair_sets)


def test_cross_validation_decides_at_the_prevalence_and_judges_probabilities_where_they_hold() -> None:
    features = simulated({"control": 60, "noonan": 20}, strength=1)
    options = replace(FAST, cost="miss=5", positive="noonan")
    shares = shares_where_used(0.02, features, options)
    assert shares == {"control": 0.98, "noonan": 0.02}
    (before,), (after,) = (
        cross_validate(features, options, folds=3, baselines=False, shares=of).questions
        for of in (None, shares)
    )
    a, b = before.models["hybrid"], after.models["hybrid"]
    np.testing.assert_array_equal(a.proba, b.proba)
    assert (b.decision == 1).sum() < (a.decision == 1).sum()
    odds = b.proba[:, 1] / b.proba[:, 0] * (0.02 / 0.98) / (1 / 3)
    expected = expected_cost_decision(
        np.column_stack([1 / (1 + odds), odds / (1 + odds)]), np.array([[0, 1], [5, 0]])
    )
    called = b.decision >= 0  # "none of these" does not depend on it; shares of a fold differ a little
    assert (b.decision == expected)[called].mean() > 0.95
    with pytest.raises(InputError, match="no such label"):
        shares_where_used("x=0.1", features, options)
    assert shares_where_used(0.1, features, options, "normality") == {OUTSIDE: 0.1, "within normal": 0.9}
