from __future__ import annotations

import re
import zipfile
from pathlib import Path

import cohorts
import pytest
from conftest import Invoke, refused


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cohorts.model(tmp_path_factory, "gallery")


def test_rows_tell_labels_gallery_size_and_parameters(gallery: Path, invoke: Invoke) -> None:
    result = invoke("inspect", gallery)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split("  ", 1) for line in result.stdout.splitlines()]
    rows = {line[0]: line[1].strip() for line in lines if len(line) == 2 and line[0]}
    assert rows["labels"] == "control, synthetic-A, Zoë syndrome"
    assert rows["gallery"] == "Zoë syndrome (3 patients)"
    assert rows["trained on"] == "35 photos of 35 patients"
    assert rows["metadata"] == "age, sex"
    assert rows["encoder parameters"] == "5,607,488"
    assert rows["file"] == f"{gallery.stat().st_size / 1e6:.2f} MB"
    assert max(map(len, result.stdout.splitlines())) <= 110


def test_relations_of_attributes_are_shown(tmp_path_factory: pytest.TempPathFactory, invoke: Invoke) -> None:
    result = invoke("inspect", cohorts.model(tmp_path_factory, "attributes"))
    assert result.exit_code == 0
    assert "Relations between attributes, used by the chained classifiers:" in result.stdout


def test_methods_paragraph_has_the_figures_of_the_file(gallery: Path, invoke: Invoke) -> None:
    result = invoke("inspect", gallery, "--methods")
    assert (result.exit_code, result.stderr) == (0, "")
    paragraph, _, works = result.stdout.partition("\n\n")
    assert "35 photographs of 35 people" in paragraph
    assert "3 Zoë syndrome" in paragraph
    assert "with age, sex" in paragraph
    numbers = [int(n) for group in re.findall(r"\[([\d, ]+)\]", paragraph) for n in group.split(", ")]
    listed = [int(line.partition(".")[0]) for line in works.splitlines()]
    assert (
        sorted(set(numbers)) == listed == list(range(1, len(listed) + 1))
    )  # each is cited, and none besides


def test_methods_are_refused_of_several_attributes(
    tmp_path_factory: pytest.TempPathFactory, invoke: Invoke
) -> None:
    model = cohorts.model(tmp_path_factory, "attributes")
    refused(invoke, "inspect", model, "--methods", says="a methods paragraph is written of classifiers that")


def test_card_is_the_one_in_the_file(gallery: Path, invoke: Invoke) -> None:
    result = invoke("inspect", gallery, "--card")
    assert result.exit_code == 0
    with zipfile.ZipFile(gallery) as archive:
        inside = archive.read("card.md").decode()
    assert result.stdout.strip() == inside.strip()
    assert "## Limitations" in result.stdout


def test_what_is_no_model(faceless_png: Path, invoke: Invoke) -> None:
    refused(invoke, "inspect", faceless_png, says=f"Error: {faceless_png}: ")
