"""Adaptation of a cohort's photos to those of a target, in the folds, in a model and in its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import ENCODER, simulated
from sklearn.metrics import roc_auc_score

from anthropo.adaptation import METHODS
from anthropo.errors import InputError, ModelError
from anthropo.explanation.contributions import explain_features
from anthropo.explanation.heads import Head
from anthropo.learning import deep, measured
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.card import card, describe
from anthropo.learning.domains import Domains, marked
from anthropo.learning.evaluation import Evaluation
from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.judging import cross_validate, steps, variants
from anthropo.learning.manifest import Counts
from anthropo.learning.model import Options
from anthropo.learning.shift import shifts
from anthropo.learning.trained import Trained
from anthropo.learning.training import fit_model, make_trained
from anthropo.settings import Settings

FAST = Options(classifier="linear", adapt="coral")
ADAPTED = METHODS[1:]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 20)
    monkeypatch.setattr(deep, "_FREQUENCIES", 64)


def photographed(features: Features, camera: int, site: str | None = None) -> Features:
    """The same people by another camera, whose numbers all have a shift and a spread of their own."""
    r = np.random.default_rng(1000 + camera)
    m = features.measurements.shape[1]
    numbers = features.measurements * r.uniform(0.5, 2, m) + r.normal(0, 4, m)
    regions = {
        name: (of * r.uniform(0.7, 1.5, of.shape[1]) + r.normal(0, 4, of.shape[1])).astype(np.float32)
        for name, of in features.regions.items()
    }
    sites = None if site is None else np.full(len(features), site)
    return replace(features, measurements=numbers, regions=regions, sites=sites)


def joined(*parts: Features) -> Features:
    """All photos of these."""
    first = parts[0]
    rows: dict[str, Any] = {
        name: np.concatenate([getattr(of, name) for of in parts])
        for name in ("photos", "labels", "patients", "measurements", "digests", "prints", "sites")
    }
    regions = {name: np.concatenate([of.regions[name] for of in parts]) for name in first.regions}
    return replace(first, **rows, regions=regions, metadata={}, gate=None, hidden=None)


def people(seed: int, n: int = 30) -> Features:
    return simulated({"control": n, "noonan": n}, seed=seed, strength=1.5)


@pytest.fixture(scope="module")
def source() -> Features:
    return photographed(people(1), 0)


@pytest.fixture(scope="module")
def target() -> Features:
    return photographed(people(2, 40), 1)


def auroc(trained: Trained, features: Features) -> float:
    answers = trained.answer(features, pool=False)
    at = answers.labels.index("noonan")
    return float(roc_auc_score(features.labels == "noonan", answers.probabilities[:, at]))


def trained(source: Features, target: Features | None, **options: Any) -> Trained:
    chosen = replace(FAST, **options)
    return make_trained(source, chosen, "labels", ENCODER, Settings(), target=target, column="site")


# ---------------------------------------------------------------------------------- fit and apply


@pytest.mark.parametrize("method", ADAPTED)
def test_a_model_is_better_at_a_target_that_it_is_adapted_to(
    source: Features, target: Features, method: str
) -> None:
    judged = photographed(people(3, 60), 1)  # others than those that are adapted to
    without = auroc(trained(source, None, adapt="none"), judged)
    assert auroc(trained(source, target, adapt=method), judged) > max(0.8, without + 0.1)


@pytest.mark.parametrize("method", ADAPTED)
def test_labels_of_the_target_are_not_looked_at(source: Features, target: Features, method: str) -> None:
    other = replace(target, labels=np.full(len(target), "unknown"))
    (one, numbers), (two, again) = (Domains.fit(source, method, of).state() for of in (target, other))
    assert one == two
    for name, array in numbers.items():
        np.testing.assert_array_equal(array, again[name])


@pytest.mark.parametrize("method", ADAPTED)
def test_labels_of_judged_people_are_not_looked_at(method: str) -> None:
    cohort = joined(photographed(people(1), 0, "Bonn"), photographed(people(2), 1, "Ulm"))
    sites = cohort.sites
    assert sites is not None
    options = replace(FAST, adapt=method)

    def judged(features: Features) -> Any:
        made = cross_validate(features, options, leave_out=sites.tolist(), baselines=False)
        return made.questions[0].models["hybrid"].proba[sites == "Ulm"]

    flipped = np.where(cohort.labels == "noonan", "control", "noonan")
    mixed = np.where(sites == "Ulm", flipped, cohort.labels)
    np.testing.assert_array_equal(judged(cohort), judged(replace(cohort, labels=mixed)))


def test_sites_without_a_target_become_alike() -> None:
    cohort = joined(photographed(people(1), 0, "Bonn"), photographed(people(2), 1, "Ulm"))
    sites = cohort.sites
    assert sites is not None
    for method in ("standardise", "combat"):
        made = Domains.fit(cohort, method).apply(cohort)
        for rows in (*made.regions.values(), made.measurements):
            means = [np.nanmean(rows[sites == name], axis=0) for name in ("Bonn", "Ulm")]
            np.testing.assert_allclose(means[0], means[1], atol=0.4)


def test_a_photo_of_the_target_stays_and_one_of_a_source_is_mapped(
    source: Features, target: Features
) -> None:
    domains = Domains.fit(marked(source), "coral", target)
    here, there = domains.apply(target), domains.apply(replace(source, sites=np.full(len(source), "x")))
    np.testing.assert_array_equal(here.measurements, target.measurements)
    np.testing.assert_array_equal(there.regions["face"], source.regions["face"])  # of no known site
    moved = domains.apply(marked(source)).regions["face"]
    np.testing.assert_allclose(moved.mean(0), target.regions["face"].mean(0), atol=1e-3)


# -------------------------------------------------------------------------------------- the folds


@pytest.mark.parametrize("leave_out", [True, False])
def test_jobs_change_nothing(leave_out: bool) -> None:
    cohort = joined(photographed(people(1), 0, "Bonn"), photographed(people(2), 1, "Ulm"))
    target = None if leave_out else photographed(people(3), 2)
    how: dict[str, Any] = {"target": target, "folds": 2, "repeats": 1}
    if leave_out:
        assert cohort.sites is not None
        how["leave_out"] = cohort.sites.tolist()
    one, other = (cross_validate(cohort, FAST, jobs=jobs, **how).questions[0].models for jobs in (1, 3))
    assert list(one)[:2] == ["hybrid", "unadapted"]
    for name, judged in one.items():
        np.testing.assert_array_equal(judged.proba, other[name].proba)


def test_what_is_not_adapted_is_judged_as_without() -> None:
    cohort = joined(photographed(people(1), 0, "Bonn"), photographed(people(2), 1, "Ulm"))
    once: dict[str, Any] = {"folds": 2, "repeats": 1}
    both = cross_validate(cohort, replace(FAST, adapt="combat"), **once).questions[0].models
    plain = cross_validate(cohort, replace(FAST, adapt="none"), **once).questions[0].models
    np.testing.assert_array_equal(both["unadapted"].proba, plain["hybrid"].proba)
    assert "unadapted" not in plain
    assert steps(cohort, FAST, "labels", 2, True, 1) == 2 * len(variants(cohort, FAST))


def test_adaptation_helps_where_a_camera_is_left_out_and_the_report_says_so() -> None:
    cohort = joined(photographed(people(1), 0, "Bonn"), photographed(people(2), 1, "Ulm"))
    assert cohort.sites is not None
    made = cross_validate(cohort, FAST, leave_out=cohort.sites.tolist())
    evaluation = Evaluation.of(
        made.questions[0].models, positive="noonan", unadapted={"hybrid": "unadapted"}, bootstrap=200
    )
    assert evaluation.adapted["hybrid"]["auroc"].lo > 0
    told = evaluation.to_json()
    assert told["adapted"]["hybrid"]["auroc"]["lo"] > 0
    assert "shifts" not in told  # nobody asked
    assert not any("hurts" in sentence for sentence in evaluation.warnings)


def test_adaptation_that_hurts_is_warned_of() -> None:
    cohort = joined(photographed(people(1), 0, "Bonn"), photographed(people(2), 1, "Ulm"))
    assert cohort.sites is not None
    made = cross_validate(cohort, FAST, leave_out=cohort.sites.tolist()).questions[0].models
    turned = {"hybrid": made["unadapted"], "unadapted": made["hybrid"]}
    evaluation = Evaluation.of(turned, positive="noonan", unadapted={"hybrid": "unadapted"}, bootstrap=200)
    (warning,) = [sentence for sentence in evaluation.warnings if "Adaptation" in sentence]
    assert warning.startswith("Adaptation hurts (hybrid): AUROC lower by 0.")
    assert warning.endswith("than without. Leave it out unless other sites show that it helps.")
    assert not any("worse than unadapted" in sentence for sentence in evaluation.warnings)


def test_distances_before_and_after() -> None:
    cohort = joined(photographed(people(1), 0, "Bonn"), photographed(people(2), 1, "Ulm"))
    one, other = (shifts(cohort, ("none", "standardise"), jobs=jobs) for jobs in (1, 3))
    assert one == other
    assert [(of.site, of.method) for of in one] == [
        (site, method) for site in ("Bonn", "Ulm") for method in ("none", "standardise")
    ]
    for before, after in (one[:2], one[2:]):
        assert before.embeddings.lo > 1.5
        assert before.measurements.lo > 1.5
        assert after.embeddings.value < 0.6
        assert after.measurements.value < 0.6
    (of,) = shifts(cohort, ("none",), target=photographed(people(4), 0))
    assert of.site == "target"


# --------------------------------------------------------------------------------------- the file


@pytest.mark.parametrize("method", ADAPTED)
def test_a_model_file_answers_as_the_model_bit_for_bit(
    source: Features, target: Features, tmp_path: Path, method: str
) -> None:
    model, path = trained(source, target, adapt=method), tmp_path / "m.anthropo"
    model.save(path)
    again = Trained.load(path)
    assert again.domains is not None
    here = {"target": target}
    if method != "ot":
        here["source"] = marked(source)
    for features in here.values():
        one, other = (m.domains.apply(features) for m in (model, again) if m.domains)
        np.testing.assert_array_equal(one.measurements, other.measurements)
        for name in model.regions:
            np.testing.assert_array_equal(one.regions[name], other.regions[name])
    again.save(tmp_path / "again.anthropo")
    assert (tmp_path / "again.anthropo").read_bytes() == path.read_bytes()


def test_transport_keeps_no_photo_of_the_training_and_says_so(
    source: Features, target: Features, tmp_path: Path
) -> None:
    trained(source, target, adapt="ot").save(tmp_path / "m.anthropo")
    arrays = read_bundle(tmp_path / "m.anthropo").arrays
    assert not any(
        name.startswith("domains/") and "matrix" in name and a.ndim == 2 for name, a in arrays.items()
    )
    again = Trained.load(tmp_path / "m.anthropo")
    with pytest.raises(InputError, match=r"no map for those of training, where it was trained \(ot keeps"):
        again.predict(marked(source))


def test_a_manifest_tells_method_sites_and_target(source: Features, target: Features) -> None:
    manifest = trained(source, target).manifest
    assert manifest.adaptation.method == "coral"
    assert manifest.adaptation.sites == {"training": Counts(photos=60, patients=60)}
    assert manifest.adaptation.target == Counts(photos=80, patients=80)
    said = "coral, of training (60 photos of 60 patients) to 80 photos of 80 patients of the target"
    assert dict(describe(manifest))["adaptation"].startswith(said)
    assert said in card(manifest)
    plain = trained(source, None, adapt="none").manifest
    assert "adaptation" not in plain.to_json()
    assert "Adapted" not in card(plain)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda meta, arrays: meta.update(method="magic"), "not standardise, coral, subspace, ot or combat"),
        (lambda meta, arrays: meta["places"][1]["blocks"].update(face=13), "of another length"),
        (lambda meta, arrays: meta["places"][1]["mixed"].append("measurements"), "mixes measurements"),
        (lambda meta, arrays: meta["places"][1].update(site=""), "two maps of one site"),
        (lambda meta, arrays: arrays.pop("domains/1/0/offset"), "1/0/offset is missing"),
        (lambda meta, arrays: arrays["domains/1/0/matrix"].fill(np.inf), "infinity or NaN"),
    ],
)
def test_a_damaged_map_is_refused(
    source: Features, target: Features, tmp_path: Path, change: Any, says: str
) -> None:
    path = tmp_path / "m.anthropo"
    trained(source, target).save(path)
    bundle = read_bundle(path)
    change(bundle.manifest["model"]["domains"], bundle.arrays)
    bundle.manifest.pop("files", None)
    write_bundle(path, Bundle(bundle.manifest, bundle.arrays))
    with pytest.raises(ModelError, match=says):
        Trained.load(path)


# -------------------------------------------------------------------------------------- explaining


@pytest.mark.parametrize("method", ["coral", "subspace", "combat"])
def test_contributions_are_an_exact_sum_with_the_names_of_before(
    source: Features, target: Features, method: str
) -> None:
    model = trained(source, target, adapt=method)
    for features in (subset(target, [0]), subset(marked(source), [0])):
        (explanation,) = explain_features(model, features, ["noonan"])
        (of,) = explanation.labels
        assert abs(of.bias + sum(c.log_odds for c in of.contributions) + of.residual - of.log_odds) < 1e-9
        names = {c.name for c in of.contributions if c.kind != "metadata"}
        assert names == {*features.measurement_ids, *features.regions}
        ranked = {r.label: r for r in explanation.prediction.ranked}["noonan"]
        assert ranked.log_odds == pytest.approx(of.log_odds, abs=1e-6)


def test_a_heatmap_sees_through_the_map(source: Features, target: Features) -> None:
    model = trained(source, target, adapt="subspace")
    assert model.domains is not None
    weights = np.array([-1.0, 1.0])
    classifier: Any = model.model.classifier  # type: ignore[union-attr]
    for features in (subset(target, [3]), subset(marked(source), [3])):
        site = "" if features.sites is None else str(features.sites[0])
        brought: Any = model.domains.maps_of(site)["face"]
        head = Head.of(classifier, "face", weights, brought)
        parts = classifier.contributions(model.rows(features)).regions["face"][0]
        x = features.regions["face"].astype(np.float64)
        # but for a constant, which the map of a head has not
        base = Head.of(classifier, "face", weights)(model.domains.apply(features).regions["face"])
        assert head(x) == pytest.approx(base, abs=1e-5)
        assert parts.shape == (2,)
        step = 1e-5
        by_steps = [
            float((head(x + step * e) - head(x - step * e))[0]) / (2 * step) for e in np.eye(x.shape[1])
        ]
        np.testing.assert_allclose(head.gradient(x)[0], by_steps, atol=1e-5)


def test_fitting_alone_is_as_before(source: Features) -> None:
    """A model of photos that are not adapted is the one that it was."""
    one = fit_model(source, replace(FAST, adapt="none"))
    other = trained(source, None, adapt="none").model
    table = feature_frame(source)
    np.testing.assert_array_equal(one.answer(table).probabilities, other.answer(table).probabilities)
