from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import ENCODER, simulated

from anthropo.errors import InputError
from anthropo.explanation.changes import smallest_changes
from anthropo.explanation.contributions import Explained, contrast, explain_features, known_labels
from anthropo.learning import deep, measured
from anthropo.learning.calibration import softmax
from anthropo.learning.features import Features, subset
from anthropo.learning.model import NONE_OF_THESE, LabelModel, Options
from anthropo.learning.normality import OUTSIDE
from anthropo.learning.trained import Trained
from anthropo.learning.training import make_trained
from anthropo.report.explanation import words
from anthropo.settings import Settings

PEOPLE = {"control": 40, "noonan": 30, "williams": 30, "turner": 4}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 40)
    monkeypatch.setattr(measured, "_PEOPLE", 6)
    monkeypatch.setattr(deep, "_FREQUENCIES", 48)


def features(people: dict[str, int] = PEOPLE, seed: int = 0, strength: float = 1.2) -> Features:
    n = 2 * sum(people.values())
    ages = np.random.default_rng(seed).uniform(1, 60, n).tolist()
    return simulated(people, photos=2, seed=seed, strength=strength, metadata={"age": ages})


_made: dict[str, Trained] = {}  # models do not change: one of each is enough


def trained(kind: Any = "svm", people: dict[str, int] = PEOPLE, **more: Any) -> Trained:
    key = repr((kind, people, more))
    if key not in _made:
        options = Options(classifier=kind, metadata=("age",), **more)
        _made[key] = make_trained(features(people), options, "labels", ENCODER, Settings(jitter=2))
    return _made[key]


def total(explained: Explained) -> float:
    return explained.bias + explained.residual + sum(c.log_odds for c in explained.contributions)


@pytest.mark.parametrize("kind", ["xgboost", "svm", "svm-rbf"])
@pytest.mark.parametrize("labels", [2, 3])
def test_each_label_is_an_exact_sum_and_the_log_odds_that_classify_prints(kind: Any, labels: int) -> None:
    people = {label: PEOPLE[label] for label in [*list(PEOPLE)[:labels], "turner"]}
    model = trained(kind, people=people)
    new = subset(features(people, seed=1), np.arange(12))
    every = explain_features(model, new, known_labels(model))
    for explanation in every:
        said = {r.label: r.log_odds for r in explanation.prediction.ranked}
        assert [e.label for e in explanation.labels] == [*model.model.labels, NONE_OF_THESE]
        for explained in explanation.labels:
            assert total(explained) == pytest.approx(explained.log_odds, abs=1e-6)
            if explained.how != "distance":
                assert explained.log_odds == pytest.approx(said[explained.label], abs=1e-6)
                p = explained.probability
                assert p is not None
                assert explained.log_odds == pytest.approx(np.log(p / (1 - p)), abs=1e-6)
                assert sum(share for _, share in explained.against) == pytest.approx(1)
                if kind != "svm-rbf":
                    assert explained.residual == 0
                kinds = {"region"} if explained.how == "matched" else {"measurement", "region", "metadata"}
                assert {c.kind for c in explained.contributions} == kinds
    if kind == "svm-rbf":
        assert any(abs(e.residual) > 1e-6 for x in every for e in x.labels if e.how == "trained")


@pytest.mark.parametrize("labels", [2, 3])
def test_a_stated_prevalence_is_a_term_of_the_bias(labels: int) -> None:
    people = {label: PEOPLE[label] for label in [*list(PEOPLE)[:labels], "turner"]}
    model = trained("svm", people=people)
    there = model.at({"noonan": 0.01, "turner": 0.001})
    assert isinstance(model.model, LabelModel)
    assert isinstance(there.model, LabelModel)
    before, after = model.model.shares, there.model.shares
    gained = {label: np.log(after[label] / before[label]) for label in before}
    new = subset(features(people, seed=1), np.arange(12))
    for first, second in zip(
        *(explain_features(m, new, known_labels(model)) for m in (model, there)), strict=True
    ):
        said = {r.label: r for r in second.prediction.ranked}
        for old, explained in zip(first.labels, second.labels, strict=True):
            assert total(explained) == pytest.approx(explained.log_odds, abs=1e-6)
            assert old.shift == 0
            if explained.how != "distance":
                assert explained.log_odds == pytest.approx(said[explained.label].log_odds, abs=1e-6)
                others = sum(share * gained[label] for label, share in explained.against)
                assert explained.shift == pytest.approx(gained[explained.label] - others)
                if explained.label in ("noonan", "turner"):
                    assert explained.shift < 0
                    assert explained.log_odds < old.log_odds
            if explained.how == "distance":
                assert explained == old


def test_photos_of_a_patient_are_averaged() -> None:
    model = trained()
    new = features(seed=2)
    both = explain_features(model, subset(new, [0, 1]), ["control"])
    alone = [explain_features(model, subset(new, [i]), ["control"])[0].labels[0] for i in (0, 1)]
    assert len(both) == 1
    # the comparison's weights depend on the person, so that only the margins are means
    margins, _ = model.model.margins(model.table(subset(new, [0, 1])), ["one"] * 2)  # type: ignore[union-attr]
    weights, entropy = contrast(margins[0], 0)
    assert both[0].labels[0].log_odds == pytest.approx(margins[0] @ weights - entropy)
    assert (
        min(a.log_odds for a in alone) - 0.5
        < both[0].labels[0].log_odds
        < max(a.log_odds for a in alone) + 0.5
    )


def test_contrast_is_the_log_odds_against_the_rest() -> None:
    for seed in range(20):
        margins = np.random.default_rng(seed).normal(0, 3, 5)
        p = softmax(margins[None])[0]
        for c in range(5):
            weights, entropy = contrast(margins, c)
            assert weights[c] == 1
            assert weights.sum() == pytest.approx(0)
            assert margins @ weights - entropy == pytest.approx(np.log(p[c] / (1 - p[c])))


def test_a_change_of_one_measurement_shows_in_its_own_contribution_only() -> None:
    model = trained("svm", people={"control": 40, "noonan": 40})
    new = subset(features(seed=3), [0])
    moved = replace(new, measurements=new.measurements.copy())
    at = new.measurement_ids.index("intercanthal_width")
    moved.measurements[:, at] = np.nan_to_num(moved.measurements[:, at]) + 1.0
    one, other = (explain_features(model, f, ["noonan"])[0].labels[0] for f in (new, moved))
    before, after = ({c.name: c.log_odds for c in e.contributions} for e in (one, other))
    assert after["intercanthal_width"] != pytest.approx(before["intercanthal_width"], abs=1e-3)
    for name in before.keys() - {"intercanthal_width"}:
        assert after[name] == pytest.approx(before[name], abs=1e-9)
    # but for what so many people cannot show
    assert other.log_odds - other.limit - (one.log_odds - one.limit) == pytest.approx(
        after["intercanthal_width"] - before["intercanthal_width"]
    )


def test_what_so_many_people_cannot_show_is_a_row_of_its_own() -> None:
    model = trained("svm", people={"control": 40, "noonan": 40})
    new = features({"control": 40, "noonan": 40}, seed=3, strength=4)
    (one,) = explain_features(model, subset(new, new.patients == new.patients[-1]), ["noonan"])
    explained = one.labels[0]
    highest = np.log(5 * 40 + 1)
    assert highest - 0.2 < explained.log_odds < highest
    assert explained.limit < -0.5
    of = one.to_frame().set_index(["kind", "name"])["log_odds"]
    assert of["bias", "limit"] == explained.limit
    assert of.sum() == pytest.approx(explained.log_odds)
    rows = {bar.name: bar.log_odds for bar in words.bars(explained)}
    assert rows["taken off: too few people to show it"] == explained.limit
    assert sum(rows.values()) == pytest.approx(explained.log_odds)
    # where little is known nothing is taken off, and no row says so
    near = replace(explained, limit=-0.004, bias=explained.bias - explained.limit - 0.004)
    assert "taken off: too few people to show it" not in {bar.name for bar in words.bars(near)}


def test_none_of_these_is_above_zero_where_it_is_decided() -> None:
    model = trained(alarm=0.1)
    strange = replace(features(seed=4))
    strange.measurements[::3] += 6.0
    for explanation in explain_features(model, strange, [NONE_OF_THESE]):
        own = explanation.labels[0]
        unusual = explanation.prediction.typicality is not None and explanation.prediction.typicality <= 0.1
        assert (own.log_odds > 0) == unusual
        assert total(own) == pytest.approx(own.log_odds, abs=1e-9)
        assert own.probability is None


def test_a_matched_label_is_told_by_its_regions() -> None:
    model = trained()
    assert isinstance(model.model, LabelModel)
    assert model.model.gallery is not None
    (one,) = explain_features(model, subset(features(seed=5), [0]), ["turner"])
    explained = one.labels[0]
    assert explained.how == "matched"
    assert {c.kind for c in explained.contributions} == {"region"}
    similarity = next(r.similarity for r in one.prediction.ranked if r.label == "turner")
    assert similarity is not None
    gallery = model.model.gallery
    odds = (
        gallery.slope * similarity + gallery.intercept + np.log(gallery.prior[0] / (1 - gallery.prior.sum()))
    )
    assert explained.log_odds == pytest.approx(odds, abs=1e-9)  # it is the only one: against all trained ones


def test_attributes_and_distance_to_normal() -> None:
    people = {"ptosis": 25, "thin lip": 25, "ptosis; thin lip": 20, "": 25}
    several = simulated(people, directions={"ptosis": 0, "thin lip": 1})
    model = make_trained(several, Options(classifier="svm"), "attributes", ENCODER, Settings(jitter=2))
    for explanation in explain_features(model, subset(several, np.arange(0, 90, 9))):
        said = {r.label: r.log_odds for r in explanation.prediction.ranked}
        for explained in explanation.labels:
            assert total(explained) == pytest.approx(explained.log_odds, abs=1e-6)
            assert explained.log_odds == pytest.approx(said[explained.label], abs=1e-6)
    chained = [
        c.name for e in explain_features(model, several)[:1] for x in e.labels for c in x.of("metadata")
    ]
    assert any(name.startswith("attribute ") for name in chained)

    normal = make_trained(
        features(), Options(controls="control", specificity=0.9), "normality", ENCODER, Settings(jitter=2)
    )
    for explanation in explain_features(normal, features(seed=6)):
        (own,) = explanation.labels
        assert own.label == OUTSIDE
        assert total(own) == pytest.approx(own.log_odds, abs=1e-9)
        assert (own.log_odds > 0) == (explanation.prediction.decision == OUTSIDE)


def test_an_unknown_label_is_refused() -> None:
    model = trained()
    with pytest.raises(
        InputError, match=r"labels='down': the model does not know it. Its labels are control, .*"
    ):
        explain_features(model, subset(features(), [0]), ["down"])


# ------------------------------------------------------------------------------ what would change it


@pytest.mark.parametrize("kind", ["xgboost", "svm", "svm-rbf"])
def test_the_smallest_changes_move_the_decision_and_less_does_not(kind: Any) -> None:
    model = trained(kind, people={"control": 40, "noonan": 40}, parts=frozenset({"measurements"}))
    new = features({"control": 40, "noonan": 40}, seed=7)
    found = 0
    for patient in list(dict.fromkeys(new.patients.tolist()))[:8]:
        own = subset(new, new.patients == patient)
        before = model.predict(own)[0].decision
        changes = smallest_changes(model, own)
        assert [abs(c.spread) for c in changes] == sorted(abs(c.spread) for c in changes)
        for change in changes:
            if before == NONE_OF_THESE:
                continue
            found += 1
            at = own.measurement_ids.index(change.measurement)
            for share, there in ((1.01, True), (0.97, False)):
                moved = own.measurements.copy()
                moved[:, at] += share * (change.needed - change.value)
                table = model.table(replace(own, measurements=moved))
                margins = model.model.classifier.margins(table).mean(0)  # type: ignore[union-attr]
                decided = model.model.trained[int(margins.argmax())]  # type: ignore[union-attr]
                assert (decided == change.decision) == there
    assert found > 5


def test_a_model_without_measurements_has_no_changes() -> None:
    model = trained(people={"control": 40, "noonan": 40}, parts=frozenset({"regions"}))
    assert smallest_changes(model, subset(features(seed=8), [0])) == []


# ------------------------------------------------------------------------------------------ the profile


def test_the_profile_is_kept_and_knows_where_a_value_stands(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m.anthropo")
    profile = Trained.load(tmp_path / "m.anthropo").profile
    assert profile is not None
    assert profile.labels == ("control", "noonan", "williams")  # turner: four people are not averaged
    assert profile.patients == (40, 30, 30)
    assert profile.composites is None
    whole = features()
    own = whole.labels == "noonan"
    at = whole.measurement_ids.index("intercanthal_width")
    values = whole.measurements[own, at]
    median = float(np.nanmedian(values))
    assert 0.35 < profile.share_below("noonan", "intercanthal_width", median) < 0.65
    assert profile.share_below("noonan", "intercanthal_width", 99.0) == 0.95
    assert np.isnan(profile.share_below("turner", "intercanthal_width", median))
    low, middle, high = profile.range("noonan", "intercanthal_width") or (0, 0, 0)
    assert np.nanmin(values) < low < middle < high < np.nanmax(values)
    assert profile.range("noonan", "no such") is None
