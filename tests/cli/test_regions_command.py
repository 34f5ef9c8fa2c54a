"""`anthropo regions`"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from cohorts import FAST, rows_of, synthetic, two_labels, write
from conftest import drawing_once, refused
from own_networks import arcface_like
from PIL import Image

Invoke = Callable[..., Result]

QUICK = (*FAST, "--allow-duplicates", "--people", "3", "--permutations", "100", "--folds", "3", "--jobs", "2")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 control and 16 synthetic-A, whose lids, upper lip and chin are others."""
    folder = tmp_path_factory.mktemp("regions")
    return write(folder / "cohort.csv", two_labels(synthetic(tmp_path_factory)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("regions-cache")


@pytest.fixture(scope="module")
def written(cohort: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run prints and writes, by suffix."""
    from click.testing import CliRunner

    from anthropo.cli import cli

    made: dict[str, Any] = {}
    folder = tmp_path_factory.mktemp("regions-out")
    with drawing_once():
        for suffix in ("json", "html", "png"):
            path = folder / f"found.{suffix}"
            arguments = ["regions", cohort, "--label", "synthetic-A", "-o", path, "--cache", cache, *QUICK]
            arguments += ["--figures", folder / "figures"] if suffix == "png" else []
            result = CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="anthropo")
            assert result.exit_code == 0, result.output
            made[suffix], made["text"] = path, result.output
    return made


def test_figures_for_a_paper(written: dict[str, Any]) -> None:
    folder = written["png"].parent / "figures"
    names = ("heatmaps", "measurements", "regions")
    assert {p.name for p in folder.iterdir()} == {f"{n}.{kind}" for n in names for kind in ("svg", "pdf")}
    assert "synthetic-A, mean of 3" in (folder / "heatmaps.svg").read_text("utf-8")
    assert "Palpebral fissure length, right" in (folder / "measurements.svg").read_text("utf-8")
    assert "3 figures written" in written["text"]


def test_finds_what_was_changed(written: dict[str, Any]) -> None:
    made = json.loads(written["json"].read_text())
    found = {e["name"]: e for e in made["measurements"]}
    # shorter fissures, a thinner upper lip, a shorter chin
    for name in ("palpebral_fissure_length_R", "palpebral_fissure_length_L", "mandible_height"):
        assert found[name]["g"] < -0.7
        assert found[name]["lo"] < found[name]["g"] < found[name]["hi"]
        assert (found[name]["hi"] < 0) == (found[name]["q"] <= 0.05)
    for name in ("palpebral_fissure_length_L", "upper_vermilion_height"):  # of 16 people, the surest
        assert found[name]["p"] < 0.03
    sizes = [abs(e["g"]) for e in made["measurements"]]
    assert sizes == sorted(sizes, reverse=True)
    assert made["auroc_of_regions"] > 0.7
    assert all(e["q"] >= e["p"] for e in made["measurements"])
    # age was drawn regardless of the label
    assert {e["name"] for e in made["metadata"]} >= {"age", "sex=female", "sex=male"}


def test_json_says_everything(written: dict[str, Any]) -> None:
    made = json.loads(written["json"].read_text())
    assert (made["label"], made["patients"], made["patients_others"], made["folds"]) == (
        "synthetic-A",
        3,
        3,
        3,
    )
    assert {e["name"] for e in made["regions"]} == {"face", "lower", "eyes", "mouth"}
    assert made["maps"]["permutations"] == 100
    p = np.array(made["maps"]["p"])
    assert p.shape == np.array(made["maps"]["difference"]).shape == (30, 30)
    assert p.min() == pytest.approx(made["maps"]["smallest_p"])
    assert ((p + 1e-9 >= 1 / 101) & (p <= 1)).all()
    assert made["settings"]["encoder"] == "face-resnet"


def test_encoders_without_gradients_and_several(
    cohort: Path, cache: Path, tmp_path: Path, invoke: Invoke
) -> None:
    arcface_like(tmp_path / "own.onnx")
    own = f"onnx:{tmp_path / 'own.onnx'}"
    for encoder, how, regions in (
        (own, "occlusion", 1),
        (f"face-resnet,{own}", "gradients and occlusion", 5),
    ):
        out = tmp_path / "found.json"
        arguments = ("-o", out, "--cache", cache, "--encoder", encoder, *QUICK)
        result = invoke("regions", cohort, "--label", "synthetic-A", *arguments)
        assert result.exit_code == 0, result.stderr
        made = json.loads(out.read_text())
        assert made["settings"]["heatmaps"] == f"{how}, one photo of each of 3 people and 3 others"
        assert len(made["regions"]) == regions
        # the sums of both maps are what the regions say of these people, and no map is empty
        assert np.abs(made["maps"]["difference"]).max() > 0
    both = [e["name"] for e in made["regions"]]
    assert sum(name.startswith("face@") for name in both) == 2


def test_terminal_tells_the_same(written: dict[str, Any]) -> None:
    text = written["text"]
    assert "synthetic-A against the others: the regions separate them with an AUROC of" in text
    assert "heatmaps of 3 people and 3 others, 100 permutations." in text
    assert "Upper vermilion height" in text
    assert "Research use only" in text


def test_page_needs_nothing_else(written: dict[str, Any]) -> None:
    page = written["html"].read_text()
    assert "What distinguishes synthetic-A" in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert len(page) < 600_000
    assert "Upper vermilion height" in page


def test_picture_shows_three_faces(written: dict[str, Any]) -> None:
    picture = Image.open(written["png"])
    assert picture.width > 3 * 400
    assert np.asarray(picture.convert("L")).std() > 20


def test_second_run_is_the_same(
    written: dict[str, Any], cohort: Path, cache: Path, invoke: Invoke, tmp_path: Path
) -> None:
    again = tmp_path / "again.json"
    arguments = [a if a != "2" or QUICK[i - 1] != "--jobs" else "1" for i, a in enumerate(QUICK)]
    result = invoke("regions", cohort, "--label", "synthetic-A", "-o", again, "--cache", cache, *arguments)
    assert result.exit_code == 0
    assert json.loads(again.read_text()) == json.loads(written["json"].read_text())


# ----------------------------------------------------------------------------------------- bad input


def test_label_that_nobody_has(invoke: Invoke, cohort: Path) -> None:
    said = refused(invoke, "regions", cohort, "--label", "synthetic-Z")
    assert "--label synthetic-Z: no photo has this label. The labels are control, synthetic-A." in said


def test_cohort_of_one(invoke: Invoke, cohort: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "one.csv", rows_of(cohort)[:1])
    label = rows_of(cohort)[0]["label"]
    assert f"All photos have the label {label}. Add photos of other people" in refused(
        invoke, "regions", table, "--label", label
    )


def test_label_with_one_patient(invoke: Invoke, cohort: Path, tmp_path: Path) -> None:
    rows = rows_of(cohort)
    affected = [row for row in rows if row["label"] == "synthetic-A"]
    table = write(tmp_path / "few.csv", affected[:1] + [r for r in rows if r["label"] == "control"])
    said = refused(invoke, "regions", table, "--label", "synthetic-A")
    assert (
        "synthetic-A: 1 patient; 3 or more are needed on each side to compare groups. Add patients." in said
    )


def test_patients_whose_photos_cannot_be_used(
    invoke: Invoke, cohort: Path, faceless_png: Path, tmp_path: Path, cache: Path
) -> None:
    rows = rows_of(cohort)
    affected = [row for row in rows if row["label"] == "synthetic-A"]
    blind = [
        {**row, "photo": str(faceless_png), "patient": f"blind {i}"} for i, row in enumerate(affected[:1])
    ]
    table = write(
        tmp_path / "blind.csv", [*affected[:2], *blind, *[r for r in rows if r["label"] == "control"]]
    )
    said = refused(invoke, "regions", table, "--label", "synthetic-A", "--cache", cache, *QUICK)
    assert "synthetic-A: 2 patients; 3 or more are needed" in said


def test_file_of_another_kind(invoke: Invoke, cohort: Path) -> None:
    said = refused(invoke, "regions", cohort, "--label", "synthetic-A", "-o", "found.pdf")
    assert "found.pdf: the suffix says what is written. Use .html, .png or .json." in said


def test_label_must_be_given(invoke: Invoke, cohort: Path) -> None:
    refused(invoke, "regions", cohort, says="--label")
