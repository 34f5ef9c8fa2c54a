from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from simulated import ENCODER, simulated
from sklearn.metrics import roc_auc_score

from anthropo.errors import AnthropoError, InputError, ModelError
from anthropo.learning import deep, judging, measured, training
from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.judging import cross_validate, judge_trained, steps, variants
from anthropo.learning.manifest import Counts
from anthropo.learning.model import LabelModel, Options
from anthropo.learning.normality import OUTSIDE, WITHIN
from anthropo.learning.trained import Trained
from anthropo.learning.training import fit_model, make_trained
from anthropo.parallel import Lost, Threads
from anthropo.settings import Settings

FAST = Options(classifier="svm")
SETTINGS = Settings(jitter=2)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 20)
    monkeypatch.setattr(deep, "_FREQUENCIES", 48)


def cohort(seed: int = 0, **people: int) -> Features:
    counts = people or {"control": 40, "noonan": 25, "turner": 4}
    n = 2 * sum(counts.values())
    random = np.random.default_rng(seed)
    ages = np.where(random.random(n) < 0.2, np.nan, random.uniform(1, 60, n)).tolist()
    return simulated(counts, photos=2, seed=seed, metadata={"age": ages, "sex": ["female", None] * (n // 2)})


def trained(features: Features, options: Options = FAST, task: Any = "labels") -> Trained:
    return make_trained(features, options, task, ENCODER, SETTINGS, command="anthropo train cohort.csv")


def test_jobs_change_nothing() -> None:
    features = cohort()
    one, other = (cross_validate(features, FAST, jobs=jobs, repeats=2).questions[0].models for jobs in (1, 3))
    assert list(one) == ["hybrid", "measurements", "regions", "metadata", "gate"]
    assert list(one) == list(other)
    for name, judged in one.items():
        np.testing.assert_array_equal(judged.proba, other[name].proba)
        np.testing.assert_array_equal(judged.decision, other[name].decision)
        np.testing.assert_array_equal(judged.sets, other[name].sets)


def test_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # no regions, since `_small` is unknown to processes
    features, options = cohort(control=30, noonan=25), replace(FAST, parts=frozenset({"measurements"}))
    how: dict[str, Any] = {
        "repeats": 1,
        "baselines": False,
        "keep_refits": True,
        "fit_whole": True,
        "jobs": 2,
    }
    threads = cross_validate(features, options, **how)
    monkeypatch.setattr(judging, "_ENOUGH", 1)
    calls: list[None] = []
    processes = cross_validate(features, options, **how, on_progress=lambda: calls.append(None))
    assert len(calls) == judging.steps(features, options, "labels", 5, False, 1)
    judged, other = (made.questions[0].models["hybrid"] for made in (threads, processes))
    for of in ("proba", "decision", "sets", "typicality", "truth", "fold"):
        np.testing.assert_array_equal(getattr(judged, of), getattr(other, of))
    for one, again in zip(threads.refits, processes.refits, strict=True):
        assert (one.meta, one.without) == (again.meta, again.without)
        for array in one.arrays:
            np.testing.assert_array_equal(one.arrays[array], again.arrays[array])
    table = feature_frame(features)
    margins = fit_model(features, options).margins(table)[0]
    for whole in (threads.whole, processes.whole):  # as if it had been fitted by itself
        assert isinstance(whole, LabelModel)
        np.testing.assert_array_equal(whole.margins(table)[0], margins)


def test_a_model_of_all_photos_is_not_fitted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    features = cohort(control=20, noonan=20, turner=4)
    made = cross_validate(features, FAST, folds=2, repeats=1, baselines=False, fit_whole=True)
    assert made.whole is not None
    assert made.whole.labels == fit_model(features, FAST).labels  # with those that are matched
    assert cross_validate(features, FAST, folds=2, repeats=1, baselines=False).whole is None
    monkeypatch.setattr(training, "fit_model", None)
    again = make_trained(features, FAST, "labels", ENCODER, SETTINGS, model=made.whole)
    assert again.model.labels == made.whole.labels


def test_where_photos_are_adapted_the_model_of_all_is_fitted_apart() -> None:
    features = cohort(control=20, noonan=20)
    features = replace(features, sites=np.array(["a", "b"] * (len(features) // 2)))
    adapted = replace(FAST, adapt="standardise")
    made = cross_validate(features, adapted, folds=2, repeats=1, baselines=False, fit_whole=True)
    assert made.whole is None


def test_killed_processes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_order(_: Any, work: Any, items: Any) -> Iterator[Lost]:
        yield from (Lost("the process that worked on it was killed (SIGKILL)") for _ in items)

    monkeypatch.setattr(Threads, "in_order", in_order)
    with pytest.raises(
        AnthropoError, match=r"cannot be judged: the process .* was killed .*, twice. Use few"
    ):
        cross_validate(cohort(control=20, noonan=20), FAST)


def test_answers_stand_beside_their_own_photos() -> None:
    features = cohort(control=30, noonan=30)
    order = np.random.default_rng(1).permutation(len(features))
    features = subset(features, order)
    judged = cross_validate(features, FAST, baselines=False).questions[0].models["hybrid"]
    assert judged.groups.tolist() == features.patients.tolist()
    assert [judged.labels[t] for t in judged.truth] == features.labels.tolist()
    assert roc_auc_score(judged.truth, judged.proba[:, 1]) > 0.9
    # and is what a model answers that was trained without the patient's fold
    from anthropo.learning.splits import split

    fold = split(features.labels.tolist(), features.patients.tolist(), 5, 0).index == 2
    own = fit_model(subset(features, ~fold), FAST).answer(feature_frame(subset(features, fold)))
    np.testing.assert_allclose(judged.proba[fold], own.probabilities)
    np.testing.assert_array_equal(judged.decision[fold], own.decision)


def test_progress_and_notes() -> None:
    seen: list[int] = []
    features = cohort(control=12, noonan=4)
    judged = cross_validate(
        features,
        replace(FAST, min_patients=2),
        repeats=2,
        on_progress=lambda: seen.append(1),
        baselines=False,
    )
    assert len(seen) == 8 <= steps(features, FAST, "labels", 5, False, 2) == 10
    assert steps(features, FAST, "labels", 5, True, 1) == 25
    assert judged.notes == ("4 folds instead of 5: only 4 patients with noonan.",)


def test_what_is_trained_on_all_is_trained_in_each_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, ...]] = []

    def watched(features: Features, options: Options, task: Any) -> Any:
        model: Any = fit_model(features, options, task)
        seen.append((*model.trained, "|", *(model.gallery.labels if model.gallery else ())))
        return model

    monkeypatch.setattr("anthropo.learning.judging.fit_model", watched)
    # ten patients of turner: eight are left in each fold, nine of sotos are matched in all
    cross_validate(cohort(control=20, noonan=20, turner=10, sotos=9), FAST, repeats=1, baselines=False)
    assert seen == [("control", "noonan", "turner", "|", "sotos")] * 5


def test_what_is_judged_beside_the_model() -> None:
    features = cohort()
    features = replace(features, regions={**features.regions, "background": features.regions["face"]})
    found = variants(features, FAST)
    assert list(found) == ["hybrid", "measurements", "regions", "metadata", "gate", "background"]
    assert found["hybrid"].regions == ("face", "upper", "middle", "lower")  # no background
    assert found["background"].regions == ("background",)
    assert found["metadata"].metadata == ("age", "sex")
    assert not found["hybrid"].baseline
    assert all(o.baseline for name, o in found.items() if name != "hybrid")


def test_a_cohort_that_cannot_be_trained_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anthropo.learning.judging.fit_model", lambda *_: pytest.fail("worked"))
    with pytest.raises(InputError, match="All photos have the label control"):
        cross_validate(cohort(control=20), FAST)


@pytest.mark.parametrize("task", ["attributes", "normality"])
def test_other_tasks_are_judged(task: Any) -> None:
    if task == "attributes":
        features = simulated({"": 20, "a": 12, "a; b": 12}, directions={"a": 0, "b": 1}, strength=2)
        questions = cross_validate(features, FAST, task, baselines=False, folds=3).questions
        assert {question.attribute for question in questions} == {"a", "b"}
        for question in questions:
            own, name = question.models, question.attribute
            truth = [name in label.split("; ") for label in features.labels]
            assert own["hybrid"].truth.astype(bool).tolist() == truth
            assert roc_auc_score(truth, own["hybrid"].proba[:, 1]) > 0.8
    else:
        features = simulated({"healthy people": 60, "noonan": 20}, strength=5)
        options = replace(FAST, controls="healthy people", specificity=0.9)
        own = cross_validate(features, options, task, baselines=False).questions[0].models["hybrid"]
        assert own.labels == (WITHIN, OUTSIDE)
        assert (own.truth == (features.labels == "noonan")).all()
        assert roc_auc_score(own.truth, own.proba[:, 1]) > 0.8


@pytest.mark.parametrize("kind", ["xgboost", "svm"])
@pytest.mark.parametrize("task", ["labels", "attributes", "normality"])
def test_a_saved_model_answers_alike(kind: Any, task: Any, tmp_path: Path) -> None:
    options = replace(FAST, classifier=kind, metadata=() if task == "normality" else ("age", "sex"))
    features = cohort()
    made = trained(features, options, task)
    made.save(tmp_path / "model.anthropo")
    loaded = Trained.load(tmp_path / "model.anthropo")
    assert loaded.task == task
    assert (loaded.regions, loaded.metadata) == (("face", "upper", "middle", "lower"), options.metadata)
    new = cohort(1)
    for pool in (True, False):
        one, other = made.predict(new, pool=pool), loaded.predict(new, pool=pool)
        assert [p.patient for p in one] == [p.patient for p in other]
        assert [p.decision for p in one] == [p.decision for p in other]
        assert [p.photos for p in one] == [p.photos for p in other]
        for a, b in zip(one, other, strict=True):
            assert [r.label for r in a.ranked] == [r.label for r in b.ranked]
            np.testing.assert_allclose(
                [r.probability for r in a.ranked], [r.probability for r in b.ranked], atol=0.02 * (
                    task == "normality") + 1e-4
            )  # fmt: skip
    made.save(tmp_path / "again.anthropo")
    assert (tmp_path / "again.anthropo").read_bytes() == (tmp_path / "model.anthropo").read_bytes()


@pytest.mark.parametrize("task", ["labels", "attributes", "normality"])
def test_a_model_file_names_no_photo_and_no_patient(task: Any, tmp_path: Path) -> None:
    source = tmp_path / "cohort.csv"
    source.write_text("photo,label\n")
    features = cohort()
    made = make_trained(features, FAST, task, ENCODER, SETTINGS, source=source)
    made.save(tmp_path / "model.anthropo")
    text = json.dumps(made.manifest.to_json()) + (tmp_path / "model.anthropo").read_bytes().decode("latin-1")
    assert "noonan" in text or task == "normality"
    for secret in ("secret-", "/private", ".jpg", str(tmp_path), *features.digests[:5].tolist()):
        assert secret not in text
    assert made.manifest.cohort.patients == 69
    assert made.manifest.cohort.photos == 138
    assert made.manifest.cohort.labels["noonan"] == Counts(photos=50, patients=25)
    assert len(made.manifest.cohort.sha256 or "") == 64


def test_predictions_by_patient_and_by_photo() -> None:
    made = trained(cohort())
    new = cohort(1)
    people, photos = made.predict(new), made.predict(new, pool=False)
    assert (len(people), len(photos)) == (69, 138)
    assert people[0].photos == tuple(new.photos[:2].tolist())
    assert people[0].patient == new.patients[0]
    first = people[0]
    assert [r.probability for r in first.ranked] == sorted(
        (r.probability for r in first.ranked), reverse=True
    )
    assert sum(r.probability for r in first.ranked) == pytest.approx(1)
    matched = {r.label for r in first.ranked if r.similarity is not None}
    assert matched == {r.label for r in first.ranked if r.similarity is not None} == {"turner"}
    assert first.labels == tuple(r.label for r in first.ranked if r.in_set)


def test_metadata_may_be_missing_altogether() -> None:
    made = trained(cohort(), replace(FAST, metadata=("age", "sex")))
    assert made.manifest.metadata_kinds == {"age": "number", "sex": "category"}
    found = made.predict(replace(cohort(1), metadata={}))
    assert all(np.isfinite(r.probability) for p in found for r in p.ranked)


def test_only_the_same_encoder_and_instrument_suit() -> None:
    made = trained(cohort())
    made.check_instrument(ENCODER, SETTINGS, "m")
    other: Any = SimpleNamespace(name="another", digest="e" * 64)
    with pytest.raises(
        ModelError, match=r"^m: trained with the encoder timm:made-up \(d{12}\), this one is another"
    ):
        made.check_instrument(other, SETTINGS, "m")
    with pytest.raises(ModelError, match=r"measured with jitter 2, these would be with 3\. Use the same"):
        made.check_instrument(ENCODER, replace(SETTINGS, jitter=3), "m")
    with pytest.raises(ModelError, match="fine weights"):
        made.check_instrument(ENCODER, replace(SETTINGS, fine=not SETTINGS.fine), "m")
    made.check_instrument(ENCODER, replace(SETTINGS, face="largest"), "m")  # which face is not the instrument


def test_the_threshold_of_the_costs_is_told() -> None:
    features = cohort(control=20, noonan=20)
    made = trained(features, replace(FAST, cost="miss=4"))
    assert made.manifest.cost["noonan"] == {"control": 4, "noonan": 0}
    assert (made.manifest.task, made.manifest.positive) == ("binary", "noonan")
    probabilities = made.model.answer(feature_frame(features)).probabilities[:, 1]
    decided = made.model.classifier.predict(feature_frame(features))  # type: ignore[union-attr]
    assert ((probabilities > 1 / 5) == (decided == "noonan")).all()


def test_photos_of_unknown_labels_are_not_judged() -> None:
    made = trained(cohort())
    new = cohort(1, control=10, noonan=10, kabuki=5)
    judged = judge_trained(made, new)[0].models["hybrid"]
    assert len(judged.truth) == 40
    assert set(judged.groups.tolist()) == set(new.patients[new.labels != "kabuki"].tolist())
    assert set(judged.labels) == {"control", "noonan", "turner"}
    with pytest.raises(
        InputError, match=r"No photo has a label of the model\. Its labels are control, noonan"
    ):
        judge_trained(made, cohort(1, kabuki=5))


def test_one_against_the_rest_judges_every_label() -> None:
    made = trained(cohort(), replace(FAST, positive="noonan"))
    assert made.manifest.task == "one-vs-rest"
    judged = judge_trained(made, cohort(1, control=10, noonan=10, kabuki=5))[0].models["hybrid"]
    assert judged.labels == ("noonan", "others")
    assert judged.truth.tolist() == [1] * 20 + [0] * 20 + [1] * 10


def test_normality_is_judged_by_the_label_it_was_trained_with() -> None:
    people = {"unrelated": 60, "noonan": 20}
    made = trained(simulated(people, strength=5), replace(FAST, controls="unrelated"), "normality")
    judged = judge_trained(made, simulated(people, strength=5, seed=1))[0].models["hybrid"]
    assert judged.truth.tolist() == [0] * 60 + [1] * 20


@pytest.mark.parametrize(("change", "said"), [
    ({"model": {"task": "dreams"}}, "it is of an unknown kind"),
    ({"model": None}, "its description is missing"),
    ({"model": {"task": "labels"}}, "model > classifier is missing"),
])  # fmt: skip
def test_a_model_that_does_not_fit_together(change: Any, said: str, tmp_path: Path) -> None:
    from anthropo.learning.bundle import Bundle, write_bundle

    write_bundle(tmp_path / "m.anthropo", Bundle({**trained(cohort()).manifest.to_json(), **change}, {}))
    with pytest.raises(ModelError, match=said) as caught:
        Trained.load(tmp_path / "m.anthropo")
    assert str(caught.value).startswith(f"{tmp_path / 'm.anthropo'}: the model does not fit together (")
