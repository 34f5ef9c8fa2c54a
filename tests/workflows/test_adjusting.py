from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import ENCODER, simulated

from anthropo.errors import InputError
from anthropo.learning import deep, measured
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.features import Features
from anthropo.learning.identity import SamePeople
from anthropo.learning.model import Options
from anthropo.report.evaluation import page, site_sentences
from anthropo.settings import Settings
from anthropo.workflows.cohort import Material, PhotoReading, TrainRequest
from anthropo.workflows.evaluation import evaluate

FAST = Options(classifier="svm", regions=("face", "lower"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 20)
    monkeypatch.setattr(deep, "_FREQUENCIES", 48)


def material(features: Features, columns: dict[str, list[str]], **kinds: Any) -> Material:
    """A gathered cohort of made-up people, with columns of cells."""
    cells = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    rows = zip(
        features.photos.tolist(), features.labels.tolist(), features.patients.tolist(), cells, strict=True
    )
    cohort = Cohort(tuple(Case(*row) for row in rows), "c.csv", metadata=kinds)
    request = TrainRequest(options=FAST, folds=3, repeats=1, reading=PhotoReading(jobs=1))
    return Material(
        cohort=cohort, features=features, findings=(), request=request, options=FAST,
        encoder=ENCODER, settings=Settings(), people=SamePeople(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def clinics() -> Material:
    """Berlin, Rome and Oslo with both labels; Bern with controls only; somewhere else without a name."""
    features = simulated({"control": 40, "noonan": 30}, strength=2)
    sites = [*["Berlin", "Rome", "Oslo"] * 10, *["Bern"] * 8, "", "", *["Berlin", "Rome", "Oslo"] * 10]
    return material(features, {"clinic": sites, "camera": ["X"] * 70, "id": [f"{i}" for i in range(70)]})


def test_each_site_is_judged_by_models_of_the_others(clinics: Material) -> None:
    result = evaluate(clinics, leave_out="clinic", bootstrap=100)
    (made,) = result.evaluations
    sites = made.sites
    assert sites is not None
    assert list(sites.figures) == ["Berlin", "Bern", "Oslo", "Rome"]
    assert [of.n_patients for of in sites.figures.values()] == [20, 8, 20, 20]
    assert made.n_photos == 68
    assert result.notes == ("2 photos without a value are trained on, and not judged.",)
    bern = sites.figures["Bern"]
    assert bern.metrics["auroc"].reason == "no photo of noonan"
    assert bern.metrics["specificity"].known
    assert sites.pooled["auroc"].sites == 3
    assert sites.pooled["specificity"].sites == 4
    # three sites of 20 people: t has two degrees of freedom
    assert 0.3 < sites.pooled["auroc"].lo < 0.9 < sites.pooled["auroc"].value
    # the whole cohort's AUROC by fold is that within sites
    of = made.judged["hybrid"]
    assert of.fold is not None
    assert len(set(of.fold.tolist())) == 4
    assert made.settings["method"] == "4 sites, each judged by models of the others (by clinic)"
    said = site_sentences(sites)
    assert said[2].startswith("AUROC over 3 sites 0.")
    assert "another such site may show" in said[2]
    text = page(made)
    assert "Sites left out" in text
    assert said[2] in text
    json = made.to_json()
    assert json["sites"]["pooled"]["auroc"]["sites"] == 3


def test_a_site_is_not_judged_by_its_own_people() -> None:
    # at each site another measurement tells the labels apart, the other way round: nothing carries over
    features = simulated({"control": 40, "noonan": 40}, strength=0)
    at_a = np.arange(80) % 2 == 0
    case = features.labels == "noonan"
    own = features.measurements.copy()
    own[:, 0] = np.where(case == at_a, 3.0, -3.0) + np.random.default_rng(0).normal(size=80)
    features = replace(features, measurements=own)
    clinics = material(features, {"site": ["A" if one else "B" for one in at_a]})
    by_site = evaluate(clinics, leave_out="site", bootstrap=100).evaluations[0]
    assert by_site.figures["auroc_by_fold"].hi < 0.3
    assert evaluate(clinics, bootstrap=100).evaluations[0].models["measurements"]["auroc"].value > 0.3


def test_a_patient_of_two_sites_trains_neither() -> None:
    features = simulated({"control": 20, "noonan": 20}, photos=2)
    clinics = material(features, {"site": ["A", "B"] * 40})
    with pytest.raises(InputError, match="No site can be left out: A is not judged: without it no label has"):
        evaluate(clinics, leave_out="site", bootstrap=100)


def test_sites_of_one_label_each_are_refused_by_name() -> None:
    clinics = material(simulated({"control": 20, "noonan": 20}), {"site": ["A"] * 20 + ["B", "C"] * 10})
    said = (
        r"sites that can be judged \(B, C\) have the label noonan, .* A is not judged: without it only noonan"
    )
    with pytest.raises(InputError, match=said):
        evaluate(clinics, leave_out="site", bootstrap=100)


def test_what_a_site_alone_has_is_said() -> None:
    features = simulated({"control": 24, "noonan": 16, "turner": 12}, strength=2)
    sites = [*["A", "B", "C"] * 8, *["A", "B"] * 8, *["C"] * 12]
    result = evaluate(material(features, {"site": sites}), leave_out="site", baselines=False, bootstrap=100)
    assert "C: without it nobody has turner, which is then never recognised." in result.notes
    turner = result.evaluations[0].by_label["turner"]
    assert turner["sensitivity"].value == 0


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ("hospital", "leave_out='hospital': no such column. There are clinic, camera, id."),
        ("camera", "leave_out='camera': every photo has X. Two sites or more are needed"),
    ],
)
def test_wrong_sites(clinics: Material, column: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence.replace(".", r"\.")):
        evaluate(clinics, leave_out=column)


def test_a_cohort_of_a_folder_has_no_sites(clinics: Material) -> None:
    cases = tuple(replace(case, metadata={}) for case in clinics.cohort.cases)
    bare = replace(clinics, cohort=replace(clinics.cohort, cases=cases))
    with pytest.raises(InputError, match=r"no such column\. There are none\."):
        evaluate(bare, leave_out="clinic")


def test_one_label_without_a_site(clinics: Material, tmp_path: Path) -> None:
    features = simulated({"control": 12, "noonan": 12})
    one_sided = material(features, {"site": ["A"] * 12 + ["B"] * 12})
    with pytest.raises(InputError, match="A is not judged: without it only noonan has two patients to learn"):
        evaluate(one_sided, leave_out="site")


# ---------------------------------------------------------------------------------------- like with like


def aged(n: int, seed: int, *, slope: float = 1.5) -> tuple[Features, list[str]]:
    """People whose face shows their age, and whose label is drawn from their age alone."""
    random = np.random.default_rng(seed)
    features = simulated({"control": n}, strength=0, seed=seed)
    ages = random.uniform(5, 60, n)
    z = (ages - ages.mean()) / ages.std()
    measurements = features.measurements + 2 * z[:, None]
    regions = {name: (e + 2 * z[:, None]).astype(np.float32) for name, e in features.regions.items()}
    labels = np.where(random.random(n) < 1 / (1 + np.exp(-slope * z)), "noonan", "control")
    cells = [f"{age:.1f}" for age in ages]
    made = replace(
        features, labels=labels, measurements=measurements, regions=regions,
        metadata={"age": [float(c) for c in cells], "sex": ["female", "male"] * (n // 2)},
    )  # fmt: skip
    return made, cells


def confounded(n: int = 100, seed: int = 0) -> Material:
    features, cells = aged(n, seed)
    return material(features, {"age": cells, "sex": ["female", "male"] * (n // 2)}, age="age", sex="sex")


def test_labels_drawn_from_age_alone_are_told_by_faces_and_not_when_adjusted() -> None:
    covered = []
    for seed in range(4):
        made = evaluate(confounded(160, seed), adjust=("age", "sex"), bootstrap=200).evaluations[0]
        assert made.figures["auroc"].lo > 0.5
        adjusted = made.adjusted
        assert adjusted is not None
        assert list(adjusted.models) == list(made.models)
        for name in ("hybrid", "measurements", "regions", "metadata"):
            figure = adjusted.models[name]
            covered.append(figure.lo < 0.5 < figure.hi)
            assert figure.value < made.models[name]["auroc"].value
    # one in twenty misses by chance, and strata of some years leave a little of age
    assert sum(covered) >= 14
    text = page(made)
    assert "Like compared with like" in text
    assert made.to_json()["adjusted"]["models"]["hybrid"]["value"] == adjusted.models["hybrid"].value


def test_what_the_face_adds_to_age_stays() -> None:
    features, cells = aged(100, 3, slope=0.5)
    regions = {
        name: e + np.where(features.labels == "noonan", 2, 0).astype(np.float32)[:, None] * np.eye(12)[0]
        for name, e in features.regions.items()
    }
    features = replace(features, regions={k: v.astype(np.float32) for k, v in regions.items()})
    cohort = material(features, {"age": cells}, age="age")
    made = evaluate(cohort, adjust=("age",), permutations=9, bootstrap=200).evaluations[0]
    assert made.adjusted is not None
    assert made.adjusted.models["hybrid"].lo > 0.5
    assert made.adjusted.models["metadata"].lo < 0.5
    assert made.adjusted.p == 1 / 10


def test_wrong_adjusting() -> None:
    cohort = confounded(40)
    with pytest.raises(
        InputError, match=r"adjust='age,bmi': no column bmi to adjust for\. There are age, sex\."
    ):
        evaluate(cohort, adjust=("age", "bmi"))
    with pytest.raises(InputError, match="permutations are of people who are alike"):
        evaluate(cohort, permutations=10)
    features = replace(
        cohort.features,
        metadata={"sex": ["female" if label == "noonan" else "male" for label in cohort.features.labels]},
    )
    with pytest.raises(
        InputError, match=r"adjust='sex': no two people who are alike .* have different labels"
    ):
        evaluate(replace(cohort, features=features), adjust=("sex",))
