"""Relations between attributes, and one network for all of them, on invented people."""

from __future__ import annotations

import math

import numpy as np
import pytest
from simulated import simulated
from sklearn.metrics import roc_auc_score

from anthropo.errors import InputError
from anthropo.learning.cohort import split_labels
from anthropo.learning.joint import JointModel, judge_joint
from anthropo.learning.judged import Judged
from anthropo.learning.judging import cross_validate
from anthropo.learning.model import Options, design
from anthropo.learning.relations import _effect, relate

N = 400


def judged(truth: np.ndarray, log_odds: np.ndarray) -> Judged:
    p = 1 / (1 + np.exp(-log_odds))
    people = np.array([f"p{i}" for i in range(len(truth))])
    return Judged(
        ("absent", "present"), truth.astype(int), np.stack([1 - p, p], 1), people, truth.astype(int)
    )


def drawn(random: np.random.Generator, log_odds: np.ndarray) -> np.ndarray:
    return random.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))


def test_three_kinds_of_relation_are_told_apart() -> None:
    random = np.random.default_rng(1)
    look, other, third = (2 * random.normal(size=N) for _ in range(3))
    # both shown by one look, and nothing else
    first, second = drawn(random, look), drawn(random, look)
    (found,) = relate({"a": judged(first, look), "b": judged(second, look)})
    assert found.labels.odds_ratio > 2
    assert found.given_face.lo < 1 < found.given_face.hi
    assert found.look.lo > 0.9
    assert found.meaning == "together; as far as the face shows; seen by the same features"
    # the second comes with the first, and shows in another place
    coming = drawn(random, other + 3.0 * first - 1.5)
    (found,) = relate({"a": judged(first, look), "b": judged(coming, other)})
    assert found.sure
    assert found.given_face.lo > 1
    assert found.look.lo < 0 < found.look.hi
    assert found.meaning == "together; one tells of the other beyond the face"
    # seen by the same features, and no more often together
    (found,) = relate({"a": judged(first, look), "b": judged(random.random(N) < 0.5, look)})
    assert not found.sure
    assert found.meaning == "seen by the same features"
    (found,) = relate({"a": judged(drawn(random, other), other), "b": judged(drawn(random, third), third)})
    assert found.meaning == "no relation found"


def test_the_effect_given_the_face_is_that_of_a_logistic_regression() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 5000))
    x = drawn(random, a)
    y = drawn(random, 0.5 * a + b + 1.2 * x)
    value, error = _effect(y, x, a, b)
    assert value == pytest.approx(1.2, abs=0.2)
    assert error == pytest.approx(0.07, abs=0.02)
    assert math.isnan(_effect(np.ones(5, bool), np.ones(5, bool), a[:5], b[:5])[0])


def test_separated_attributes_have_a_finite_interval() -> None:
    truth = np.arange(40) % 2 == 0
    flat = np.zeros(40)
    (found,) = relate({"a": judged(truth, flat), "b": judged(truth, flat)})
    assert found.given_face.lo > 1
    assert math.isfinite(found.given_face.hi)
    assert found.look.reason == "everybody is judged alike"


def test_a_patient_has_what_any_photo_has() -> None:
    random = np.random.default_rng(2)
    truth, odds = random.random(60) < 0.5, random.normal(size=60)
    one = judged(truth, odds)
    twice = Judged(
        one.labels, np.concatenate([one.truth, 0 * one.truth]), np.tile(one.proba, (2, 1)),
        np.tile(one.groups, 2), np.tile(one.decision, 2),
    )  # fmt: skip
    other = judged(random.random(60) < 0.5, random.normal(size=60))
    (single,), (doubled,) = relate({"a": one, "b": other}), relate({"a": twice, "b": other})
    assert single.labels == doubled.labels
    assert single.given_face.value == pytest.approx(doubled.given_face.value)
    assert doubled.people == 60


@pytest.fixture(scope="module")
def people() -> dict[str, int]:
    return {"": 15, "ptosis": 12, "ptosis; synophrys": 25, "synophrys": 8}


def test_one_network_tells_all_attributes(people: dict[str, int]) -> None:
    train, new = (
        simulated(people, seed=seed, strength=2.0, directions={"ptosis": 0, "synophrys": 1})
        for seed in (0, 1)
    )
    model = JointModel.fit(train, Options())
    assert model.labels == ("ptosis", "synophrys")
    p = model.probabilities(design(new, Options()))
    for at, name in enumerate(model.labels):
        truth = [name in split_labels(label) for label in new.labels.tolist()]
        assert roc_auc_score(truth, p[:, at]) > 0.85


def test_it_is_judged_on_the_folds_of_the_others(people: dict[str, int]) -> None:
    features = simulated(people, seed=0, strength=2.0, directions={"ptosis": 0, "synophrys": 1})
    own = judge_joint(features, Options(), folds=3, repeats=1)
    options = Options(classifier="linear", chained=False)
    made = cross_validate(features, options, "attributes", folds=3, repeats=1, baselines=False)
    assert set(own) == {q.attribute for q in made.questions}
    for question in made.questions:
        mine, theirs = own[question.attribute], question.models["hybrid"]
        np.testing.assert_array_equal(mine.truth, theirs.truth)
        np.testing.assert_array_equal(mine.groups, theirs.groups)
        np.testing.assert_array_equal(mine.fold, theirs.fold)
        assert roc_auc_score(mine.truth, mine.proba[:, 1]) > 0.8
    again = judge_joint(features, Options(), folds=3, repeats=1)
    np.testing.assert_array_equal(again["ptosis"].proba, own["ptosis"].proba)


def test_nothing_to_learn_together() -> None:
    with pytest.raises(InputError, match="No attribute is present in two patients"):
        JointModel.fit(simulated({"": 9, "ptosis": 1}, directions={"ptosis": 0}), Options())
