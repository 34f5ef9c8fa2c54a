from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulated import simulated
from sklearn.metrics import roc_auc_score

from anthropo.errors import InputError, ModelError
from anthropo.learning import deep
from anthropo.learning.attributes import ABSENT, PRESENT, AttributeModel, find_relations
from anthropo.learning.cohort import split_labels
from anthropo.learning.features import Features, feature_frame
from anthropo.learning.model import Options

FAST = Options(classifier="svm")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "_FREQUENCIES", 64)


def cohort(seed: int = 0, strength: float = 2.0, people: int = 30) -> Features:
    """Two attributes that show and mostly come together, and one that comes with neither."""
    counts = {"": 3, "ptosis": 2, "ptosis; synophrys": 5, "synophrys": 1, "long philtrum": 2}
    return simulated(
        {label: count * people // 5 for label, count in counts.items()}, seed=seed, strength=strength,
        directions={"ptosis": 0, "synophrys": 1, "long philtrum": 2},
    )  # fmt: skip


def test_each_attribute_is_told() -> None:
    model = AttributeModel.fit(cohort(), FAST)
    assert model.labels == ("ptosis", "synophrys", "long philtrum")  # the commonest first
    new = cohort(1)
    found = model.answer(feature_frame(new))
    said = [split_labels(label) for label in new.labels]
    for at, name in enumerate(model.labels):
        truth = np.array([name in own for own in said])
        assert roc_auc_score(truth, found.probabilities[:, at]) > 0.9
        assert found.several is not None
        assert (found.several[:, at] == truth).mean() > 0.8
        assert found.pair_sets is not None
        covered = found.pair_sets[np.arange(len(truth)), at, truth.astype(int)]
        assert covered.mean() > 0.8
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp(-found.log_odds)))
    np.testing.assert_array_equal(found.decision == 0, found.several.any(1))
    np.testing.assert_array_equal(found.sets, found.pair_sets[:, :, 1])


def test_a_chain_knows_of_attributes_before() -> None:
    # the second goes with the first and shows nowhere itself
    people = {"first; second": 40, "": 50, "first": 4, "third": 6}
    at = {"first": 0, "second": -1, "third": 2}
    train, new = (simulated(people, strength=2, directions=at, seed=s) for s in (0, 1))
    chained = AttributeModel.fit(train, FAST)
    alone = AttributeModel.fit(train, replace(FAST, chained=False))
    assert chained.classifiers[1].columns_.metadata == ("meta:attribute first",)
    assert alone.classifiers[1].columns_.metadata == ()
    by = chained.classifiers[1].contributions(
        # of somebody with missing measurements, what these may be expected to be counts for it as well
        feature_frame(new).fillna(0.0).assign(**{"meta:attribute first": np.linspace(-4, 4, len(new))})
    )
    assert (np.diff(by.metadata["meta:attribute first"][:, 1]) >= 0).all()
    assert np.ptp(by.metadata["meta:attribute first"][:, 1]) > 0.5
    truth = np.char.find(new.labels, "second") >= 0
    score, other = (
        roc_auc_score(truth, m.answer(feature_frame(new)).probabilities[:, 1]) for m in (chained, alone)
    )
    assert score > other - 0.01
    # the answer's own odds of the first are what the second hears
    table = feature_frame(new)
    odds = chained.classifiers[0].decision_function(table)
    heard = chained.classifiers[1].decision_function(table.assign(**{"meta:attribute first": odds}))
    np.testing.assert_allclose(chained.answer(table).log_odds[:, 1], heard)


def test_photos_of_a_patient_are_pooled() -> None:
    model = AttributeModel.fit(cohort(), FAST)
    new = simulated({"ptosis": 4}, photos=3, directions={"ptosis": 0}, seed=2)
    one = model.answer(feature_frame(new))
    pooled = model.answer(feature_frame(new), new.patients.tolist())
    np.testing.assert_allclose(pooled.log_odds, one.log_odds.reshape(4, 3, -1).mean(1))


def test_a_costly_miss_finds_more() -> None:
    train, new = cohort(strength=0.7), feature_frame(cohort(1, strength=0.7))
    said = [AttributeModel.fit(train, replace(FAST, cost=c)).answer(new).several for c in (None, "miss=8")]
    assert said[0] is not None
    assert said[1] is not None
    assert said[1].mean() > said[0].mean() + 0.1


def test_an_attribute_of_one_patient_is_left_out() -> None:
    features = simulated({"": 20, "ptosis": 20, "alone": 1}, directions={"ptosis": 0, "alone": 1})
    assert AttributeModel.fit(features, FAST).labels == ("ptosis",)


@pytest.mark.parametrize("people", [{"a": 9}, {"": 9}, {"a": 1, "": 9}, {"a": 9, "": 1}])
def test_nothing_to_learn(people: dict[str, int]) -> None:
    with pytest.raises(InputError, match="No attribute is present in two patients and absent from two"):
        AttributeModel.fit(simulated(people, directions={"a": 0}), FAST)


def test_a_matrix_of_costs_is_refused() -> None:
    with pytest.raises(InputError, match=r"cost_matrix is for one label per photo\. Pass cost='miss=5' for"):
        AttributeModel.fit(cohort(), replace(FAST, cost_matrix="cost.csv"))


def members(*cells: tuple[int, int, int]) -> tuple[Any, Any]:
    rows = [(a, b) for a, b, n in cells for _ in range(n)]
    return np.array(rows, dtype=bool), np.arange(len(rows))


def test_relations_have_their_sign_and_are_counted_in_patients() -> None:
    member, patients = members((1, 1, 20), (1, 0, 5), (0, 1, 4), (0, 0, 30))
    (found,) = find_relations(["a", "b"], member, patients)
    assert found.odds_ratio == pytest.approx(20.5 * 30.5 / 5.5 / 4.5)
    assert 1 < found.lo < found.odds_ratio < found.hi
    assert found.q < 1e-4
    (apart,) = find_relations(["a", "b"], member ^ np.array([True, False]), patients)
    assert apart.hi < 1
    assert apart.odds_ratio == pytest.approx(1 / found.odds_ratio)
    # every patient photographed three times tells no more
    assert find_relations(["a", "b"], np.repeat(member, 3, 0), np.repeat(patients, 3)) == (found,)


def test_false_discovery_rates_are_benjamini_hochberg() -> None:
    from scipy.stats import false_discovery_control, fisher_exact

    random = np.random.default_rng(0)
    member = random.random((60, 4)) < 0.4
    member[:, 1] = member[:, 0] ^ (random.random(60) < 0.15)
    names = ["a", "b", "c", "d"]
    found = find_relations(names, member, np.arange(60))
    assert (found[0].first, found[0].second) == ("a", "b")
    p = {}
    for i in range(4):
        for j in range(i + 1, 4):
            x, y = member[:, i], member[:, j]
            cells = [[(x & y).sum(), (x & ~y).sum()], [(~x & y).sum(), (~x & ~y).sum()]]
            p[names[i], names[j]] = float(fisher_exact(cells).pvalue)
    expected = dict(zip(p, false_discovery_control(list(p.values())), strict=True))
    assert len(found) == 6
    for one in found:
        assert one.q == pytest.approx(expected[one.first, one.second])
    assert [one.q for one in found] == sorted(one.q for one in found)


def test_what_everybody_has_is_no_relation() -> None:
    assert find_relations(["a", "b"], *members((1, 1, 5), (1, 0, 5))) == ()


def test_a_model_is_kept() -> None:
    model = AttributeModel.fit(cohort(), replace(FAST, cost="miss=2"))
    meta, arrays = model.state()
    again = AttributeModel.from_state(json.loads(json.dumps(meta)), arrays)
    table = feature_frame(cohort(1))
    one, other = model.answer(table), again.answer(table)
    np.testing.assert_array_equal(one.log_odds, other.log_odds)
    np.testing.assert_array_equal(one.several, other.several)
    np.testing.assert_array_equal(one.pair_sets, other.pair_sets)
    assert again.relations == model.relations
    assert (again.labels, again.chained) == (model.labels, True)
    assert again.classifiers[0].classes_.tolist() == [ABSENT, PRESENT]


@pytest.mark.parametrize("change", [
    lambda m, a: m["labels"].pop(),
    lambda m, a: m.update(classifiers=None),
    lambda m, a: m["classifiers"][0].update(classes=["a", "b"]),
    lambda m, a: m.update(relations=[["a", "b"]]),
    lambda m, a: m.update(relations=5),
    lambda m, a: m.update(relations=[["a", "b", "much", 1, 1, 1]]),
    lambda m, a: m.update(error_rate=None),
    lambda m, a: a.pop("1/sets/0"),
    lambda m, a: a.pop("1/bias"),
])  # fmt: skip
def test_a_damaged_model_is_refused(change: Any) -> None:
    meta, arrays = AttributeModel.fit(cohort(), FAST).state()
    change(meta, arrays)
    with pytest.raises(ModelError):
        AttributeModel.from_state(meta, arrays)
