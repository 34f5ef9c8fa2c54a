"""People under two names through the workflows and the command line; their faces are drawn, not seen."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Copies, Invoke, sentence_of
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.face.landmarker import Face
from anthropo.learning.identity import IDENTITY
from anthropo.learning.model import Options
from anthropo.learning.training import make_trained
from anthropo.photo import Photo
from anthropo.workflows.cohort import CohortError, Material, PhotoReading, TrainRequest, gather
from anthropo.workflows.finetuning import FinetuneRequest, gather_pictures
from anthropo.workflows.finetuning import _known as known_faces
from anthropo.workflows.training import train

PEOPLE, EACH = 8, 2
READING = PhotoReading(jitter=1, fine=False, cache="none", jobs=2)
OPTIONS = Options(regions=("face",), min_patients=3)
REQUEST = TrainRequest(reading=READING, options=OPTIONS, allow_duplicates=True, same_person="merge", folds=2)
FAST = ("--jitter", "1", "--no-fine", "--cache", "none", "--allow-duplicates")
MERGE = (*FAST, "--same-person", "merge")

Table = Callable[..., Path]


def person_of(path: str) -> int:
    return int(Path(path).stem.split("-")[0].removeprefix("new"))


def face_of(photo: Photo, face: Face) -> NDArray[np.float32]:
    """Photos are copies of one; who is on them is what their names say: `PERSON-PHOTO.png`."""
    person = person_of(photo.source or "")
    stranger = np.random.default_rng(person).standard_normal(IDENTITY)
    here = np.random.default_rng(len(photo.source or "") * 100 + person).standard_normal(IDENTITY)
    return ((0.9 * stranger + 0.1 * here) / np.sqrt(2 * IDENTITY)).astype(np.float32)


@pytest.fixture(autouse=True)
def faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anthropo.learning.features.knows_people", lambda encoder, regions: False)
    monkeypatch.setattr("anthropo.learning.features.face_identity", face_of)


@pytest.fixture
def table(tmp_path: Path, copies: Copies) -> Table:
    """table(people, name): two photos of each, under two spellings."""

    def write(people: Sequence[int] = range(PEOPLE), name: str = "cohort", torn: int = -1) -> Path:
        rows = [["photo", "label", "patient", "age"]]
        for i in people:
            for k in range(EACH):
                label = "control" if (i + (i == torn) * k) % 2 else "affected"
                photo = f"{'' if name == 'cohort' else 'new'}{i}-{k * '0'}{k}.png"
                copies(tmp_path, photo)
                rows.append([photo, label, f"{'P' if k else 'p'}{i:02d}", str(20 + i)])
        path = tmp_path / f"{name}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    return write


def trained(material: Material, path: Path) -> Path:
    """A model of the cohort, quickly."""
    options = replace(material.options, classifier="svm", parts=frozenset({"measurements"}))
    model = make_trained(
        material.features, options, "labels", material.encoder, material.settings, people=material.people
    )
    model.save(path)
    return path


def test_train_names_them_joins_them_and_the_card_says_so(
    table: Table, tmp_path: Path, invoke: Invoke
) -> None:
    material = gather(table(torn=3), REQUEST)
    assert sorted(set(material.features.patients.tolist())) == [f"p{i:02d}" for i in range(PEOPLE)]
    said = [f.message for f in material.findings if f.category == "identity"]
    assert "one face under different patients" in said[0]
    assert (
        f"p03 ({tmp_path / '3-0.png'}) and P03 ({tmp_path / '3-01.png'}) (control against affected)"
        in said[1]
    )
    spelled = next(f.message for f in material.findings if "differ only in" in f.message)
    assert "'p00' (row 2) and 'P00' (row 3)" in spelled
    words = "8 pairs of patients with one face, which count as one patient each: 8 patients fewer"
    card = invoke("inspect", trained(material, tmp_path / "m.anthropo"), "--card").output
    assert f"One person under several names: {words}." in card
    assert "photos of 8 patients" in card


def test_refused(table: Table) -> None:
    cohort = table()
    with pytest.raises(
        CohortError, match=r"cannot be trained on\. .*one face under different patients"
    ) as said:
        gather(cohort, replace(REQUEST, same_person="refuse"))
    assert [f.level for f in said.value.findings].count("error") == 1
    material = gather(cohort, replace(REQUEST, same_person="refuse"), thorough=True)
    assert not material.usable
    assert len(set(material.features.patients.tolist())) == 2 * PEOPLE


def test_wrong_choices_are_refused_before_a_photo_is_read(table: Table) -> None:
    cohort = table(range(2))
    for changes, says in (
        ({"same_person": "join"}, "same_person='join': unknown. Choose from refuse, merge, ignore."),
        ({"trained_on": "x.csv"}, "trained_on is about a network of yours (encoder='net.anthropo'). Leave"),
    ):
        assert says in sentence_of(InputError, gather, cohort, replace(REQUEST, **changes))


def test_evaluation_says_what_was_done(table: Table, tmp_path: Path, invoke: Invoke) -> None:
    report = tmp_path / "e.json"
    more = ("--no-baselines", "--bootstrap", "100", "--folds", "2", "--regions", "face")
    result = invoke("evaluate", table(), "-o", report, *MERGE, *more)
    assert result.exit_code == 0, result.output
    assert "one face under different patients" in result.stderr
    assert "--same-person ignore" in result.stderr
    made = json.loads(report.read_text())
    assert made["n_patients"] == PEOPLE
    assert made["settings"]["same person"].startswith("8 pairs of patients with one face")


def test_validation_page_shows_them_side_by_side(table: Table, tmp_path: Path, invoke: Invoke) -> None:
    page = tmp_path / "check.html"
    cohort = table(range(4), torn=1)
    result = invoke("train", cohort, "--validate", "-o", page, *MERGE)
    assert result.exit_code == 0, result.output
    text = page.read_text("utf-8")
    assert "cohort.csv: can be trained on" in text
    assert text.count("data:image/jpeg") == 8
    assert text.count("different labels</span>") == 1
    assert "0-0.png, row 2, affected, age 20" in text
    nobody = invoke("train", cohort, "--validate", "-o", page, *FAST)
    assert nobody.exit_code == 0
    assert "data:image" not in page.read_text("utf-8")


def test_people_of_the_training_cohort_are_left_out(table: Table, tmp_path: Path, invoke: Invoke) -> None:
    cohort = table()
    model = trained(gather(cohort, REQUEST), tmp_path / "m.anthropo")
    fresh = table(range(5, 12), "fresh")  # 5 to 7 were in training
    shared = ("--model", model, "--bootstrap", "100", "--trained-on", cohort)
    report = tmp_path / "e.json"
    result = invoke("evaluate", fresh, *shared, *MERGE, "-o", report)
    assert result.exit_code == 0, result.output
    assert "3 of 7 patients are people that the model was trained on (cohort.csv)" in result.stderr
    assert "patients of these names are in" in result.stderr
    made = json.loads(report.read_text())
    assert (made["n_patients"], len(made["left_out"])) == (4, 6)
    refused = invoke("evaluate", fresh, *shared, *FAST, "--same-person", "refuse")
    assert refused.exit_code == 2
    assert "6 of 14 patients are people that the model was trained on" in refused.stderr


def test_a_trained_model_is_judged_on_people_once(table: Table) -> None:
    (made,) = train(table(), REQUEST).evaluations
    assert made.n_patients == PEOPLE


def test_networks_deal_people_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anthropo.networks.pictures.face_identity", face_of)
    request = FinetuneRequest(
        recipe="deepgestalt", reading=READING, allow_duplicates=True, same_person="merge", pretrain="x.csv"
    )
    recipe = request.load_recipe()
    gathered = gather_pictures(table(range(5)), recipe, request)
    assert len(set(gathered.photos.features.patients.tolist())) == 5
    assert gathered.photos.people.joined == 5
    others = gather_pictures(table(range(3, 6), "fresh"), recipe, request, identity=True)
    (finding,) = known_faces(gathered, others)
    assert "2 patients of" in finding.message
    assert "are there as well" in finding.message
