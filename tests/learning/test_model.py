from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import simulated

from anthropo.errors import InputError, ModelError
from anthropo.learning import deep, measured
from anthropo.learning.calibration import softmax
from anthropo.learning.features import feature_frame, subset
from anthropo.learning.model import (
    LabelModel,
    Options,
    by_person,
    collapse,
    control_label,
    cost_matrix,
    design,
    positive_label,
    rare_labels,
)

FAST = Options(classifier="svm", min_patients=10)
COHORT = {"control": 40, "noonan": 30, "turner": 4, "sotos": 1}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 20)
    monkeypatch.setattr(deep, "_FREQUENCIES", 64)


def test_rare_labels_are_matched_and_others_trained() -> None:
    model = LabelModel.fit(simulated(COHORT, strength=3), FAST)
    assert model.trained == ("control", "noonan")
    assert model.labels == ("control", "noonan", "sotos", "turner")
    new = simulated({"control": 20, "noonan": 20, "turner": 20}, strength=3, seed=1)
    found = model.answer(feature_frame(new))
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    # one scale for what is trained and what is matched
    p = found.probabilities
    np.testing.assert_allclose(found.log_odds, np.log(p / (1 - p)), atol=1e-6)
    assert np.isnan(found.similarity[:, :2]).all()
    assert (np.abs(found.similarity[:, 2:]) <= 1 + 1e-6).all()
    turner = new.labels == "turner"
    assert found.probabilities[turner, 3].mean() > 5 * found.probabilities[~turner, 3].mean()
    # what is matched does not move the trained labels against each other
    own = softmax(model.classifier.margins(feature_frame(new)))
    np.testing.assert_allclose(
        found.probabilities[:, :2] / found.probabilities[:, :2].sum(1, keepdims=True), own, atol=1e-9
    )


def test_a_copy_of_a_rare_patient_is_decided_for() -> None:
    people = dict.fromkeys(("control", "noonan", "kabuki", "sotos", "weaver"), 20)
    features = simulated({**people, "turner": 5}, strength=4, photos=2)
    found = LabelModel.fit(features, FAST).answer(feature_frame(features))
    turner = features.labels == "turner"
    assert (found.decision[turner] == 5).mean() > 0.9
    assert found.sets[turner, 5].mean() > 0.5
    assert (found.decision[~turner] == 5).mean() < 0.05


def test_somebody_else_is_none_of_these_and_the_known_are_not() -> None:
    model = LabelModel.fit(simulated({"kabuki": 80, "noonan": 80}), FAST)
    known = simulated({"kabuki": 100, "noonan": 100}, seed=1)
    found = model.answer(feature_frame(known))
    assert (found.decision == -1).mean() < 0.08
    far = replace(known, regions={r: e + 6 * (-1) ** np.arange(12) for r, e in known.regions.items()})
    away = model.answer(feature_frame(far))
    assert (away.decision == -1).all()
    assert (away.typicality <= 0.02).all()
    assert set(away.reasons) == {"unlike everybody the model was trained with"}
    assert {r for r, d in zip(found.reasons, found.decision, strict=True) if d >= 0} == {""}


def test_the_affected_are_no_strangers_to_a_model_that_was_trained_with_them() -> None:
    people = {"control": 80, "noonan": 80}
    model = LabelModel.fit(simulated(people, strength=4), FAST)
    new = simulated(people, strength=4, seed=1)
    found = model.answer(feature_frame(new))
    affected = new.labels == "noonan"
    assert (found.decision[affected] == 1).mean() > 0.9


@pytest.mark.parametrize("controls", [2, 3])
def test_very_few_controls(controls: int) -> None:
    options = replace(FAST, min_patients=2)
    model = LabelModel.fit(simulated({"control": controls, "noonan": 12}), options)
    assert np.isfinite(model.answer(feature_frame(simulated({"noonan": 5}, seed=1))).probabilities).all()


def test_photos_of_a_patient_are_pooled_by_their_mean_log_odds() -> None:
    model = LabelModel.fit(simulated(COHORT), FAST)
    new = simulated({"control": 3, "noonan": 3}, photos=4, seed=1)
    table = feature_frame(new)
    one, pooled = model.answer(table), model.answer(table, new.patients.tolist())
    assert pooled.probabilities.shape == (6, 4)
    for person in range(6):
        rows = slice(4 * person, 4 * person + 4)
        mean = model.classifier.margins(table)[rows].mean(0)
        np.testing.assert_allclose(
            np.log(pooled.probabilities[person, 0] / pooled.probabilities[person, 1]), mean[0] - mean[1]
        )
        np.testing.assert_allclose(pooled.similarity[person, 2:], one.similarity[rows, 2:].mean(0))
    np.testing.assert_allclose(pooled.probabilities, 1 / (1 + np.exp(-pooled.log_odds)))


def test_people_keep_their_order() -> None:
    mean, n = by_person(4, ["b", "a", "b", "c"])
    assert n == 3
    assert mean(np.array([[1.0], [2.0], [3.0], [4.0]])).tolist() == [[2], [2], [4]]


def test_sets_hold_the_true_label_at_the_stated_rate() -> None:
    people = {"kabuki": 150, "noonan": 150}
    inside = []
    for seed in range(4):
        model = LabelModel.fit(simulated(people, strength=0.5, seed=seed), replace(FAST, error_rate=0.2))
        new = simulated({"kabuki": 400, "noonan": 400}, strength=0.5, seed=seed + 100)
        found = model.answer(feature_frame(new))
        inside.append(found.sets[np.arange(800), (new.labels == "noonan").astype(int)].mean())
    assert np.mean(inside) == pytest.approx(0.8, abs=0.06)


def test_a_matched_label_is_in_the_set_when_it_is_the_most_probable() -> None:
    people = dict.fromkeys(("control", "noonan", "kabuki"), 20)
    features = simulated({**people, "turner": 5, "sotos": 4}, strength=4, photos=2)
    found = LabelModel.fit(features, FAST).answer(feature_frame(features))
    best = found.probabilities.argmax(1)
    matched = best >= 3
    assert matched.sum() >= 10
    assert found.sets[matched, best[matched]].all()
    # nothing is in a set that is less probable than what the others leave of the error rate
    improbable = found.probabilities[:, 3:] < 0.1 / 5
    assert (found.sets[:, 3:] & improbable & (found.probabilities.max(1) > 0.9)[:, None]).sum() == 0


def test_one_label_stands_against_the_others() -> None:
    features = simulated({"control": 20, "noonan": 20, "turner": 5})
    model = LabelModel.fit(features, replace(FAST, positive="turner"))
    assert model.labels == ("others", "turner")
    labels = collapse(features.labels, "turner")
    assert [(labels == c).sum() for c in ("others", "turner")] == [40, 5]
    assert collapse(np.array(["a", "b"]), "a").tolist() == ["a", "b"]
    with pytest.raises(InputError, match=r"positive='down': no photo has .* control, noonan, turner\."):
        collapse(features.labels, "down")


def test_which_labels_are_rare() -> None:
    labels = np.repeat(np.array(["a", "b", "c", "d"]), [12, 10, 9, 1])
    patients = np.arange(32)
    assert rare_labels(labels, patients, 10) == ("c", "d")
    assert rare_labels(labels, patients, 2) == ("d",)
    # not two labels of 12: every label of two patients or more is trained
    assert rare_labels(labels, patients, 12) == ("d",)
    assert rare_labels(labels, np.where(labels == "b", 100, patients), 10) == ("b", "d")
    with pytest.raises(InputError, match=r"All photos have the label a\. .*pass task='normality'"):
        rare_labels(labels[:12], patients[:12], 10)
    with pytest.raises(
        InputError, match=r"two patients each are needed; .* a \(12\), d \(1\)\. Add patients"
    ):
        rare_labels(labels[[*range(12), 31]], patients[[*range(12), 31]], 10)


def test_who_is_healthy_and_who_affected() -> None:
    labels = np.array(["Healthy", "noonan"], dtype=object)
    assert control_label(labels, None) == "Healthy"
    assert control_label(labels, "noonan") == "noonan"
    assert control_label(np.array(["a", "b"]), None) is None
    assert control_label(np.array(["others", "b"]), "control") is None
    with pytest.raises(InputError, match=r"down: .* The labels are Healthy, noonan\."):
        control_label(labels, "down")
    assert positive_label(["Healthy", "noonan"], None, None) == "noonan"
    assert positive_label(["Healthy", "noonan"], "Healthy", None) == "Healthy"
    assert positive_label(["angelman", "control"], None, None) == "angelman"
    assert positive_label(["a", "b"], None, None) == "b"
    assert positive_label(["a", "b", "c"], "a", None) is None


def test_costs_of_the_options(tmp_path: Path) -> None:
    labels = ("control", "noonan")
    assert cost_matrix(FAST, labels, "control").tolist() == [[0, 1], [1, 0]]
    assert cost_matrix(replace(FAST, cost="miss=5"), labels, "control").tolist() == [[0, 1], [5, 0]]
    path = tmp_path / "cost.csv"
    path.write_text("true,control\nnoonan,7\n")
    given = replace(FAST, cost_matrix=str(path))
    assert cost_matrix(given, labels, None).tolist() == [[0, 1], [7, 0]]
    with pytest.raises(InputError, match=r"say the same\. Pass one of them\."):
        cost_matrix(replace(given, cost="miss=5"), labels, None)


def test_the_columns_that_are_asked_for() -> None:
    features = simulated({"a": 3, "b": 3}, metadata={"age": [1.0] * 6, "sex": ["female"] * 6})
    everything = design(features, replace(FAST, metadata=("age",)))
    assert list(everything)[:4] == list(features.measurement_ids)
    assert list(everything)[-1] == "meta:age"
    assert everything.shape == (6, 4 + 4 * 12 + 1)
    own = replace(FAST, regions=("lower",), parts=frozenset({"regions"}))
    assert list(design(features, own)) == [f"lower/{i}" for i in range(12)]
    with pytest.raises(InputError, match=r"metadata='bmi': no such column .* age, sex\."):
        design(features, replace(FAST, metadata=("bmi",)))
    with pytest.raises(InputError, match="Nothing to learn from is left"):
        design(features, replace(FAST, parts=frozenset({"metadata"})))


def test_without_regions_nothing_can_be_matched() -> None:
    options = replace(FAST, parts=frozenset({"measurements"}))
    with pytest.raises(InputError, match=r"turner: fewer than 10 patients, and without regions"):
        LabelModel.fit(simulated({"control": 20, "noonan": 20, "turner": 3}), options)
    # judged beside a model that can: the label's share
    features = simulated(COHORT)
    beside = LabelModel.fit(features, replace(options, baseline=True))
    assert beside.labels[2:] == ("sotos", "turner")
    share = (features.labels == "turner").mean()
    assert beside.answer(feature_frame(features)).probabilities[:, 3] == pytest.approx(share, rel=0.02)


def test_a_model_is_kept() -> None:
    features = simulated(COHORT)
    model = LabelModel.fit(features, replace(FAST, cost="miss=3"))
    meta, arrays = model.state()
    again = LabelModel.from_state(meta, arrays)
    table = feature_frame(simulated(COHORT, seed=1))
    one, other = model.answer(table), again.answer(table)
    assert one.labels == other.labels
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)
    np.testing.assert_array_equal(one.decision, other.decision)
    np.testing.assert_array_equal(one.sets, other.sets)
    assert one.reasons == other.reasons


@pytest.mark.parametrize("change", [
    lambda m, a: a.pop("sets/1"),
    lambda m, a: a.pop("gallery/vectors"),
    lambda m, a: a.update({"gallery/owner": np.zeros_like(a["gallery/owner"])}),
    lambda m, a: m.update(gallery={"labels": ["x"]}),
    lambda m, a: m.update(novelty=[1]),
    lambda m, a: m.pop("error_rate"),
    lambda m, a: m.update(classifier="svm"),
])  # fmt: skip
def test_a_damaged_model_is_refused(change: Any) -> None:
    meta, arrays = LabelModel.fit(simulated(COHORT), FAST).state()
    change(meta, arrays)
    with pytest.raises(ModelError):
        LabelModel.from_state(meta, arrays)


def test_the_features_of_one_person() -> None:
    model = LabelModel.fit(simulated(COHORT), FAST)
    new = simulated({"control": 3}, seed=1)
    whole = model.answer(feature_frame(new))
    alone = model.answer(feature_frame(subset(new, [1])))
    np.testing.assert_allclose(alone.probabilities[0], whole.probabilities[1], atol=1e-9)
