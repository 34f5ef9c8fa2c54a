"""What `anthropo evaluate` writes for statisticians and journals: predictions, and figures as SVG and PDF."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import cohorts
import numpy as np
import pandas as pd
import pytest
from cohorts import TRAIN, rows_of, two_labels, write
from conftest import Invoke, described, refused
from sklearn.metrics import log_loss, roc_auc_score

OPTIONAL = ("attribute", "site", "set", "typicality", "distance")


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.synthetic(tmp_path_factory)


def test_a_statistician_gets_the_printed_figures(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    table, made = write(tmp_path / "c.csv", two_labels(synthetic)), tmp_path / "made"
    made.mkdir()
    result = invoke(
        "evaluate", table, *TRAIN, "--folds", 2, "--repeats", 2, "--bootstrap", 100, "-o", made / "e.json",
        "--predictions", made / "p.csv", "--figures", made / "figures",
    )  # fmt: skip
    assert result.exit_code == 0
    frame = pd.read_csv(made / "p.csv")
    described("evaluate --predictions", frame.columns, OPTIONAL)
    printed = json.loads((made / "e.json").read_text())["models"]
    assert list(dict.fromkeys(frame["model"])) == list(printed)
    for model, of_model in frame.groupby("model"):
        dealt = [of for _, of in of_model.groupby("repeat")]
        assert [len(of) for of in dealt] == [32, 32]
        for metric, function in (("auroc", roc_auc_score), ("log_loss", log_loss)):
            p = "probability__synthetic__A"
            mean = np.mean([function(of["true_label"] == "synthetic-A", of[p]) for of in dealt])
            assert mean == pytest.approx(printed[model][metric]["value"], abs=1e-9)
    assert frame.groupby(["repeat", "patient"])["fold"].nunique().max() == 1  # nobody on both sides
    odds = np.log(frame["probability__control"] / frame["probability__synthetic__A"])
    assert np.allclose(frame["log_odds__control"], odds)
    text = (made / "p.csv").read_text()
    assert "synthetic-0" not in text  # no patient's name
    assert set(frame["patient"].str.fullmatch("[0-9a-f]{12}")) == {True}

    files = {file.name: file.read_bytes() for file in (made / "figures").iterdir()}
    names = ("roc", "precision-recall", "calibration", "decision-curve", "confusion", "subgroups")
    assert set(files) == {f"{name}{suffix}" for name in names for suffix in (".svg", ".pdf")}
    words = {
        e.text for e in ElementTree.fromstring(files["roc.svg"]).iter("{http://www.w3.org/2000/svg}text")
    }
    assert "1 − specificity" in words  # text, not outlines
    assert files["roc.pdf"].startswith(b"%PDF")
    assert b"CreationDate" not in files["roc.pdf"]


def test_sites_that_are_left_out_by_name(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    rows = [{**row, "clinic": "ab"[i % 4 > 1]} for i, row in enumerate(two_labels(synthetic))]
    table, output = write(tmp_path / "c.csv", rows), tmp_path / "p.parquet"
    more = ("--leave-out", "clinic", "--no-baselines", "--bootstrap", 100, "--predictions", output, "--names")
    assert invoke("evaluate", table, *TRAIN, *more).exit_code == 0
    frame = pd.read_parquet(output)
    clinics = {row["photo"]: row["clinic"] for row in rows}
    assert [clinics[photo] for photo in frame["photo"]] == frame["site"].tolist()
    assert set(frame["patient"]) == {row["patient"] for row in rows}
    assert frame.groupby("site")["fold"].unique().map(list).to_dict() == {"a": [1], "b": [2]}


@pytest.mark.parametrize("kind", ["attributes", "normal", "strangers"])
def test_answers_of_a_trained_model(
    kind: str, tmp_path_factory: pytest.TempPathFactory, synthetic: Path, tmp_path: Path, invoke: Invoke
) -> None:
    model, output = cohorts.model(tmp_path_factory, kind), tmp_path / "p.csv"
    table = model.with_name("cohort.csv")  # that it has seen them does not matter here
    rows = rows_of(table)
    if kind == "strangers":
        names = {"control": "one", "synthetic-A": "other", "synthetic-B": "other"}  # the last it has not seen
        rows = [{**row, "label": names[row["label"]]} for row in rows_of(synthetic)]
        table = write(tmp_path / "c.csv", rows)
    more = ("--allow-duplicates", "--bootstrap", 100, "--predictions", output)
    assert invoke("evaluate", table, "--model", model, *more).exit_code == 0
    frame = pd.read_csv(output)
    described("evaluate --predictions", frame.columns, OPTIONAL)
    assert set(frame["fold"]) == {0}
    if kind == "attributes":
        n = len(rows)
        assert frame["attribute"].value_counts().to_dict() == {"short fissures": n, "thin lip": n}
        assert set(frame["true_label"]) == {"absent", "present"}
    elif kind == "normal":
        assert not [name for name in frame if name.startswith(("probability", "log_odds"))]
        far = frame["distance"].rank() + frame["typicality"].rank()  # the farther, the less typical
        assert far.std() < 0.2 * len(frame)
    else:
        assert "none of these" in set(frame["decision"])


def test_wrong_use(synthetic: Path, tmp_path: Path, invoke: Invoke) -> None:
    file = tmp_path / "figures"
    file.write_text("")
    sentence = f"{file}: a file, not a folder. Name a folder for the figures."
    refused(invoke, "evaluate", synthetic, "--figures", file, says=sentence)
    for command in (
        ("explain", "--model", "m.anthropo", "p.jpg"), ("change", "a.jpg", "b.jpg"),
        ("map", "c.csv", "-o", tmp_path / "m.png"), ("composite", "c.csv", "-o", tmp_path / "composites"),
    ):  # fmt: skip
        refused(invoke, *command, "--figures", file, says=sentence)
    refused(invoke, "evaluate", synthetic, "--names", says="--names is about --predictions.")
    both = tmp_path / "answers.csv"
    refused(
        invoke,
        *(
            "evaluate",
            synthetic,
            "--multilabel",
            "--compare",
            "attributes",
            "-o",
            both,
            "--predictions",
            both,
        ),
        says=f"{both}: named by both -o and --predictions. Give each a file of its own.",
    )
    text = refused(
        invoke, "evaluate", synthetic, "--predictions", tmp_path / "p.html", says="Use .csv or .parquet"
    )
    assert not re.search("reading|measuring", text)


def test_files_are_written_although_nobody_reads_what_is_printed(
    synthetic: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError  # as after `| head`

    monkeypatch.setattr("anthropo.cli.evaluate._show", closed)
    monkeypatch.setattr("anthropo.cli.train.show_trained", closed)
    table, made = write(tmp_path / "c.csv", two_labels(synthetic)), tmp_path / "made"
    made.mkdir()
    more = ("--folds", 2, "--repeats", 1, "--bootstrap", 100, "--no-baselines")
    written = ("-o", made / "e.html", "--predictions", made / "p.csv", "--figures", made / "figures")
    with pytest.raises(BrokenPipeError):
        invoke("evaluate", table, *TRAIN, *more, *written)
    with pytest.raises(BrokenPipeError):
        invoke("train", table, *TRAIN, "--no-judge", "-o", made / "m.anthropo")
    assert {p.name for p in made.iterdir()} >= {"e.html", "p.csv", "figures", "m.anthropo"}
