from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path
from typing import Any

import click
import cohorts
import pytest
from cohorts import FAST, TRAIN, Row, rows_of, two_labels, write
from conftest import Copies, Invoke, refused

from anthropo.cli.options import training_options
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.learning.bundle import read_bundle
from anthropo.learning.model import Options
from anthropo.learning.trained import Trained
from anthropo.workflows.cohort import TrainRequest


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.synthetic(tmp_path_factory)


def nobody(*labels: str, **more: str) -> list[Row]:
    """Rows of photos that need not be looked at."""
    return [
        {"photo": f"{i}.jpg", "label": label, "patient": f"p{i}", **more} for i, label in enumerate(labels)
    ]


# ------------------------------------------------------------------------------------- what it does


def test_training_prints_figures_beside_baselines_and_writes_the_model(
    synthetic: Path, tmp_path: Path, invoke: Invoke
) -> None:
    table, model = write(tmp_path / "c.csv", two_labels(synthetic)), tmp_path / "m.anthropo"
    result = invoke(
        "train", table, "-o", model, *TRAIN, "--folds", 2, "--cost", "miss=5", "--classifier", "svm"
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    headers = [line for line in lines if line.startswith("variant")]
    names = ("hybrid", "measurements only", "regions only", "metadata only", "background only")
    told = [line for line in lines if line.split("  ")[0] in names]
    assert [line.split("  ")[0] for line in told] == [*names] * len(headers)
    assert max(map(len, told)) <= 100
    for metric in ("AUROC", "sensitivity", "log loss", "calibration slope", "calibration intercept"):
        assert sum(metric in header for header in headers) == 1
    assert "32 photos of 32 patients: the hybrid model found" in result.stdout
    assert "Photos are counted in each of 3 dealings of the folds: means, rounded.\n" in result.stdout
    assert re.search(
        r"Operating point: calls it synthetic-A from a probability of 0\.167 on; sensitivity [01]\.\d{3}",
        result.stdout,
    )
    assert re.search(
        r"Stability of explanations: of the 5 measurements that count most, [0-5]\.\d on average do so "
        r"as well in 6 refits, each without 50 % of the patients \(overlap [01]\.\d\d\)\.\n",
        result.stdout,
    )
    assert f"Use it with `anthropo classify --model {model} PHOTO`" in result.stderr
    manifest = read_bundle(model).manifest
    assert manifest["refits"].keys() == {"number", "without", "top", "overlap"}
    assert len(manifest["model"]["refits"]) == manifest["refits"]["number"] == 6
    assert manifest["classifier"] == "svm"
    assert manifest["validation"]["models"]["hybrid"]["auroc"]["value"] > 0.5
    assert manifest["command"] == (
        "anthropo train COHORT --output OUTPUT --classifier svm --cost miss=5 --folds 2 "
        "--allow-duplicates --jitter 2 --no-fine"
    )


def test_rare_labels_are_matched_and_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = cohorts.model(tmp_path_factory, "gallery")
    trained = Trained.load(model)
    assert trained.manifest.gallery == {"Zoë syndrome": 3}
    assert (trained.regions, trained.metadata) == (DEFAULT_REGIONS, ("age", "sex"))
    again = cohorts.run(
        "train", model.with_name("cohort.csv"), "-o", model.with_name("x"), "--no-judge", *TRAIN,
        "--metadata", "age,sex",
    )  # fmt: skip
    assert (
        "Matched to their nearest patients, because there are too few to train on: Zoë syndrome (3)." in again
    )


def test_multilabel_prints_relations(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table = write(tmp_path / "c.csv", cohorts.attributes(synthetic))
    result = invoke("train", table, "-o", tmp_path / "m", *TRAIN, "--multilabel", "--folds", 2)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "Relations between attributes, used by the chained classifiers:" in lines
    (relation,) = [line for line in lines if line.startswith("short fissures  thin lip")]
    assert float(relation.split()[4]) > 1
    assert {"short fissures", "thin lip"} <= {line.split("  ")[0] for line in lines}
    manifest = read_bundle(tmp_path / "m").manifest
    assert set(manifest["validation"]["models"]) == {"short fissures", "thin lip"}
    assert len(manifest["model"]["refits"]) == 6


def test_independent_attributes_do_not_use_relations(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table = write(tmp_path / "c.csv", cohorts.attributes(synthetic))
    result = invoke(
        "train", table, "-o", tmp_path / "m", *TRAIN, "--multilabel", "--independent", "--no-judge"
    )
    assert result.exit_code == 0
    assert "not used (--independent)" in result.stdout


def test_distance_to_normal_from_healthy_people_alone(
    synthetic: Path, tmp_path: Path, invoke: Invoke
) -> None:
    rows = [{**row, "label": "healthy"} for row in rows_of(synthetic)]
    result = invoke(
        "train", write(tmp_path / "c.csv", rows), "-o", tmp_path / "m", *TRAIN, "--normal", "healthy"
    )
    assert result.exit_code == 0
    assert "only healthy people are here" in result.stderr
    assert "Operating point: specificity 0.95 among controls." in result.stdout
    assert Trained.load(tmp_path / "m").task == "normality"


def test_folder_per_class(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    for row in two_labels(synthetic):
        target = tmp_path / "c" / row["label"] / Path(row["photo"]).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(row["photo"], target)
    result = invoke("train", tmp_path / "c", "-o", tmp_path / "m", *TRAIN, "--no-judge")
    assert result.exit_code == 0
    assert "a folder names no patients" in result.stderr
    assert Trained.load(tmp_path / "m").model.labels == ("control", "synthetic-A")


def test_defaults_are_those_of_the_library() -> None:
    @click.command()
    @training_options
    def request(request: TrainRequest) -> TrainRequest:
        return request

    assert request.main([], standalone_mode=False) == TrainRequest(options=Options())


# ------------------------------------------------------------------------------------- --validate


def test_validate_checks_and_writes_nothing(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table = write(tmp_path / "c.csv", two_labels(synthetic))
    result = invoke("train", table, "-o", tmp_path / "m", *TRAIN, "--validate")
    assert result.exit_code == 0
    assert "32 photos of 32 patients; patients per label: control (16), synthetic-A (16)." in result.stdout
    assert "columns that --metadata can name: age (age), sex (sex)." in result.stdout
    assert result.stdout.splitlines()[-1] == f"{table}: can be trained on."
    assert f"{tmp_path / 'm'}: not written, since --validate trains nothing." in result.stderr.splitlines()
    assert list(tmp_path.iterdir()) == [table]


def test_validate_tells_every_error(copies: Copies, tmp_path: Path, invoke: Invoke) -> None:
    copies(tmp_path, "0.jpg", "1.jpg")
    table = write(tmp_path / "c.csv", nobody("a", "a"))
    result = invoke("train", table, *FAST, "--validate")
    assert result.exit_code == 2
    assert f"error: {table}: one label only, a (2 photos)." in result.stdout
    assert "one photo under different patients" in result.stdout
    assert result.stdout.splitlines()[-1] == f"{table}: cannot be trained on; see the errors above."


# ------------------------------------------------------------------------------------- bad input


def test_one_label_only(tmp_path: Path, invoke: Invoke) -> None:
    table = write(tmp_path / "c.csv", nobody("a", "a", "a"))
    sentence = f"Error: {table}: cannot be trained on; see the errors above."
    told = refused(invoke, "train", table, "-o", tmp_path / "m", says=sentence)
    sentence = f"error: {table}: one label only, a (3 photos). Add photos with another label, such as"
    assert f"{sentence} controls." in told


def test_two_labels_of_which_one_has_one_patient(copies: Copies, tmp_path: Path, invoke: Invoke) -> None:
    copies(tmp_path, "0.jpg", "1.jpg", "2.jpg")
    table = write(tmp_path / "c.csv", nobody("a", "a", "b"))
    told = refused(invoke, "train", table, "-o", tmp_path / "m")
    assert "two patients each are needed" in told
    assert "b (1)" in told


def test_labels_with_spaces_and_unicode(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    names = {"control": "  ohne  Befund ", "synthetic-A": "Zoe\u0308 [bold] 症候群"}
    rows = [{**row, "label": names[row["label"]]} for row in two_labels(synthetic)]
    result = invoke("train", write(tmp_path / "c.csv", rows), "-o", tmp_path / "m", *TRAIN, "--no-judge")
    assert result.exit_code == 0
    assert Trained.load(tmp_path / "m").model.labels == ("Zoë [bold] 症候群", "ohne  Befund")


def test_empty_label(tmp_path: Path, invoke: Invoke) -> None:
    table = write(tmp_path / "c.csv", nobody("a", " ", "b"))
    sentence = f"Error: {table}: the label is missing in row 3."
    refused(invoke, "train", table, "-o", tmp_path / "m", says=sentence)


def test_a_patient_in_two_labels(copies: Copies, tmp_path: Path, invoke: Invoke) -> None:
    copies(tmp_path, *(f"{i}.jpg" for i in range(4)))
    rows = [{**row, "patient": f"p{i // 2}"} for i, row in enumerate(nobody("a", "a", "a", "b"))]
    table = write(tmp_path / "c.csv", rows)
    told = refused(invoke, "train", table, "-o", tmp_path / "m")
    assert "patients with more than one label: p1 (a, b)." in told


def test_photos_without_a_face_are_listed_and_left_out(
    synthetic: Path, faceless_png: Path, tmp_path: Path, invoke: Invoke
) -> None:
    rows = two_labels(synthetic)
    for i in range(10):
        shutil.copy(faceless_png, tmp_path / f"coins{i}.png")
        rows.insert(3 * i, {**rows[0], "photo": str(tmp_path / f"coins{i}.png"), "patient": f"coins{i}"})
    table = write(tmp_path / "c.csv", rows)
    result = invoke("train", table, "-o", tmp_path / "m", *TRAIN, "--no-judge")
    assert result.exit_code == 0
    assert f"{table}: 10 of 42 photos cannot be used and are left out." in result.stderr
    assert result.stderr.count("no face found") == 10
    assert Trained.load(tmp_path / "m").manifest.cohort.left_out == 10


def test_of_many_failures_the_first_are_named(faceless_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    for i in range(23):
        shutil.copy(faceless_png, tmp_path / f"{i}.jpg")
    result = invoke("train", write(tmp_path / "c.csv", nobody(*"ab" * 11, "a")), *FAST, "--validate")
    assert result.exit_code == 2
    assert result.stdout.count("no face found") == 20
    assert "… and 3 more photos that cannot be used." in result.stdout


def test_metadata_with_nan_is_learned_from_and_what_is_no_column_is_refused(
    synthetic: Path, tmp_path: Path, invoke: Invoke
) -> None:
    rows = [{**row, "age": "NaN" if i % 3 else row["age"]} for i, row in enumerate(two_labels(synthetic))]
    table = write(tmp_path / "c.csv", rows)
    result = invoke("train", table, "-o", tmp_path / "m", *TRAIN, "--no-judge", "--metadata", "age")
    assert result.exit_code == 0
    refused(
        invoke, "train", table, "-o", tmp_path / "m2", *TRAIN, "--metadata", "weight",
        says="Error: --metadata weight: no such column to learn from. There are age, sex.",
    )  # fmt: skip


def test_duplicates_across_patients_are_refused(copies: Copies, tmp_path: Path, invoke: Invoke) -> None:
    copies(tmp_path, *(f"{i}.jpg" for i in range(4)))
    table = write(tmp_path / "c.csv", nobody("a", "a", "b", "b"))
    told = refused(invoke, "train", table, "-o", tmp_path / "m", *FAST)
    assert "one photo under different patients" in told
    assert "or pass --allow-duplicates." in told
    assert not (tmp_path / "m").exists()


def test_cost_for_an_unknown_label(copies: Copies, tmp_path: Path, invoke: Invoke) -> None:
    copies(tmp_path, *(f"{i}.jpg" for i in range(4)))
    table = write(tmp_path / "c.csv", nobody("a", "a", "b", "b"))
    matrix = tmp_path / "cost.csv"
    matrix.write_text("true,a,c\na,0,1\nb,2,1\n")
    sentence = f"Error: {matrix}: unknown label 'c'. The labels are a, b."
    refused(invoke, "train", table, "-o", tmp_path / "m", "--cost-matrix", matrix, says=sentence)


def test_no_cohort_at_all(tmp_path: Path, invoke: Invoke) -> None:
    table = tmp_path / "c.csv"
    refused(invoke, "train", table, "-o", tmp_path / "m", says=f"Error: {table}: no such file.")
    refused(invoke, "train", table, says="Error: where to? Give -o m.anthropo, or --validate")


@pytest.mark.parametrize("place", ["no/m.anthropo", ".", "c.csv"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, invoke: Invoke, place: str
) -> None:
    table = write(tmp_path / "c.csv", nobody("a", "a", "b", "b"))
    before = table.read_bytes()
    told = refused(invoke, "train", table, "-o", tmp_path / place, says=f"Error: {tmp_path / place}: ")
    assert "do not exist" not in told  # the photos, which it did not come to
    assert table.read_bytes() == before


def test_disk_full_leaves_what_was_there(
    synthetic: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "out" / "m.anthropo"
    model.parent.mkdir()
    model.write_bytes(b"older")
    real = os.fsync

    def full(file: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{file}")).parent == model.parent:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    table = write(tmp_path / "c.csv", two_labels(synthetic))
    result = invoke("train", table, "-o", model, *TRAIN, "--no-judge")
    assert result.exit_code == 2
    assert f"Error: {model}: the model cannot be written (No space left on device)" in result.stderr
    assert [p.name for p in model.parent.iterdir()] == ["m.anthropo"]
    assert model.read_bytes() == b"older"


def test_interruption_is_one_line(
    synthetic: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anthropo.workflows.cohort.extract", interrupt)
    result = invoke("train", synthetic, "-o", tmp_path / "m", *TRAIN)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.startswith("Error: interrupted: no model is written.")
    assert result.stderr.count("\n") == 1


def test_cache_none_keeps_nothing(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table = write(tmp_path / "c.csv", [*two_labels(synthetic)[:2], *rows_of(synthetic)[-2:]])
    arguments = ("train", table, "--validate", *TRAIN)
    invoke(*arguments, "--cache", "none")
    assert [p.name for p in tmp_path.iterdir()] == ["c.csv"]
    invoke(*arguments, "--cache", tmp_path / "kept")
    assert len(list((tmp_path / "kept").rglob("*.bin"))) == 4
    refused(invoke, *arguments, "--cache", table, says=f"Error: --cache {table}: a file, not a folder.")
