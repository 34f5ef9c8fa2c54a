from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated import simulated

from anthropo.errors import InputError, ModelError
from anthropo.learning.features import feature_frame
from anthropo.learning.model import Options
from anthropo.learning.normality import OUTSIDE, WITHIN, NormalityModel

OPTIONS = Options(specificity=0.9)
COHORT = {"control": 200, "noonan": 5}


@pytest.mark.parametrize("specificity", [0.8, 0.95])
def test_healthy_people_are_within_normal_at_the_stated_rate(specificity: float) -> None:
    model = NormalityModel.fit(simulated(COHORT), Options(specificity=specificity))
    new = simulated({"control": 1500}, seed=1)
    found = model.answer(feature_frame(new))
    assert found.labels == (WITHIN, OUTSIDE)
    assert (found.decision == 0).mean() == pytest.approx(specificity, abs=0.05)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    assert (found.sets.sum(1) == 1).all()
    assert (found.sets.argmax(1) == found.decision).all()


def test_others_are_outside_and_the_farther_the_more() -> None:
    model = NormalityModel.fit(simulated(COHORT), OPTIONS)
    near, far = (
        model.answer(feature_frame(simulated({"control": 1, "noonan": 60}, strength=s, seed=2)))
        for s in (4.0, 8.0)
    )
    assert (far.decision[1:] == 1).mean() > 0.8
    assert far.similarity[1:, 1].mean() > near.similarity[1:, 1].mean() + 0.3
    assert np.isnan(far.similarity[:, 0]).all()


def test_only_healthy_people_are_learned_from() -> None:
    one = NormalityModel.fit(simulated(COHORT, strength=2), OPTIONS)
    other = NormalityModel.fit(simulated(COHORT, strength=9), OPTIONS)
    table = feature_frame(simulated({"control": 20}, seed=1))
    np.testing.assert_array_equal(one.answer(table).typicality, other.answer(table).typicality)


def test_photos_of_a_person_are_averaged() -> None:
    model = NormalityModel.fit(simulated(COHORT), OPTIONS)
    new = simulated({"control": 4}, photos=3, seed=1)
    one = model.answer(feature_frame(new))
    pooled = model.answer(feature_frame(new), new.patients.tolist())
    np.testing.assert_allclose(pooled.similarity[:, 1], one.similarity[:, 1].reshape(4, 3).mean(1))


def test_it_is_kept() -> None:
    model = NormalityModel.fit(simulated(COHORT), OPTIONS)
    meta, arrays = model.state()
    again = NormalityModel.from_state(json.loads(json.dumps(meta)), arrays)
    assert again.specificity == 0.9
    table = feature_frame(simulated(COHORT, seed=1))
    np.testing.assert_allclose(again.answer(table).typicality, model.answer(table).typicality, atol=0.006)
    np.testing.assert_array_equal(again.answer(table).decision, model.answer(table).decision)
    del meta["distance"]
    with pytest.raises(ModelError, match="distance is missing"):
        NormalityModel.from_state(meta, arrays)


@pytest.mark.parametrize(
    ("people", "options", "said"),
    [
        (
            {"control": 19, "b": 3},
            OPTIONS,
            r"needs 20 .* or more; control has 19\. .*controls='HEALTHY'",
        ),
        ({"a": 30, "b": 3}, OPTIONS, r"20 healthy people or more; no label has 0"),
        ({"a": 30, "b": 3}, replace(OPTIONS, controls="c"), r"c: .* The labels are a, b\."),
        ({"control": 20}, Options(specificity=0.96), r"specificity=0\.96: with 20 .* 0\.5 to 0\.950"),
        ({"control": 20}, Options(specificity=0.4), r"specificity=0\.4: with 20 healthy people"),
        ({"control": 20}, Options(specificity=1.0), r"specificity=1\.0: with 20 healthy people"),
    ],
)
def test_what_cannot_be_had(people: dict[str, int], options: Options, said: str) -> None:
    with pytest.raises(InputError, match=said):
        NormalityModel.fit(simulated(people), options)


def test_as_few_as_can_be() -> None:
    model = NormalityModel.fit(simulated({"control": 20}), Options(specificity=0.95))
    found = model.answer(feature_frame(simulated({"control": 1, "noonan": 5}, strength=30, seed=1)))
    assert (found.decision[1:] == 1).all()  # the highest specificity can still say outside
