"""The table of ways, the graph of relations, and their page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import described
from shown import shows_itself
from simulated import simulated

import anthropo
from anthropo.cli import cli
from anthropo.learning.features import Features
from anthropo.report.relations import (
    print_attributes,
    relations_figure,
    relations_of_labels,
    write_attributes,
)
from anthropo.report.rendering import COLOURS
from anthropo.workflows.attributes import ComparedAttributes, _rows, compare_attributes
from anthropo.workflows.cohort import Material, TrainRequest


@pytest.fixture(scope="module")
def made() -> ComparedAttributes:
    features: Features = simulated(
        {"": 15, "<b>; synophrys": 20, "<b>": 8, "synophrys": 8, "<b>; long philtrum": 9},
        seed=0, strength=2.0, directions={"<b>": 0, "synophrys": 1, "long philtrum": 2},
    )  # fmt: skip
    request = TrainRequest(
        task="attributes",
        folds=3,
        repeats=1,
        options=anthropo.Options(classifier="linear"),
    )
    from anthropo.learning.cohort import Cohort

    material = Material.__new__(Material)
    for name, value in {
        "cohort": Cohort((), "made.csv", multilabel=True), "features": features, "request": request,
        "options": request.options, "findings": (),
    }.items():  # fmt: skip
        object.__setattr__(material, name, value)
    return compare_attributes(material, bootstrap=100)


def test_one_table_has_every_way_with_intervals(
    made: ComparedAttributes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [row.attribute for row in made.rows] == ["<b>", "long philtrum", "synophrys", "mean of all"]
    for row in made.rows:
        assert list(row.auroc) == ["individual", "chained", "multi-task"]
        for way, figure in row.auroc.items():
            assert figure.lo <= figure.value <= figure.hi
            if way in row.gained:
                gain = row.gained[way]
                assert gain.value == pytest.approx(figure.value - row.auroc["individual"].value)
                assert gain.lo <= gain.value <= gain.hi
    mean = np.mean([row.auroc["chained"].value for row in made.rows[:-1]])
    assert made.rows[-1].auroc["chained"].value == pytest.approx(mean)
    print_attributes(made)
    said = capsys.readouterr().out
    for words in ("multi-task, gained", "mean of all", "given the face", "shared look", "Relations between"):
        assert words in said
    frame = made.to_frame()
    described("evaluate --compare attributes", frame.columns)
    assert list(frame["way"][:3]) == ["individual", "chained", "multi-task"]
    assert len(frame) == 12
    assert "&lt;b&gt;" in shows_itself(made)


def test_intervals_of_ways_are_of_the_same_people(made: ComparedAttributes) -> None:
    # a way beside itself gains nothing in any resample
    same = {name: dict.fromkeys(of, of["individual"]) for name, of in made.judged.items()}
    for row in _rows(same, 50, 0):
        assert all(gain.lo == gain.hi == 0 for gain in row.gained.values())


def test_the_page_has_the_graph_and_shows_names_as_they_are(made: ComparedAttributes, tmp_path: Path) -> None:
    write_attributes(tmp_path / "r.html", made)
    html = (tmp_path / "r.html").read_text("utf-8")
    assert '<img src="data:image/svg+xml;base64,' in html
    assert "&lt;b&gt;" in html
    assert f"{sum(of.sure for of in made.relations)} of 3 pairs" in html
    write_attributes(tmp_path / "r.json", made)
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert {"labels", "given_face", "look", "meaning"} <= document["relations"][0].keys()
    write_attributes(tmp_path / "r.csv", made)
    assert (tmp_path / "r.csv").read_text("utf-8").startswith("attribute,way,auroc,")


def test_lines_are_of_sure_relations(made: ComparedAttributes) -> None:
    (axes,) = relations_figure(made.relations, made.counts).axes
    assert len(axes.lines) == sum(of.sure for of in made.relations) > 0
    assert {text.get_text() for text in axes.texts} >= {f"{n} ({c})" for n, c in made.counts.items()}
    (empty,) = relations_figure((), {"a": 3}).axes
    assert not empty.lines


def test_relations_of_labels_are_drawn_without_faces(made: ComparedAttributes) -> None:
    features = simulated(
        {"": 15, "a; b": 20, "a": 3, "b": 3}, seed=0, directions={"a": 0, "b": 1}, strength=1.0
    )
    relations, counts = relations_of_labels(features)
    assert counts == {"a": 23, "b": 23}
    (axes,) = relations_figure(relations, counts).axes
    (line,) = axes.lines
    assert line.get_linestyle() == "-"
    assert line.get_color() == COLOURS["for"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--compare", "attributes"), "is of several attributes per photo. Pass --multilabel."),
        (("--multilabel", "--compare", "attributes,balance"), "leave --model, --leave-out"),
    ],
)
def test_what_it_cannot_be_asked_with(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    (tmp_path / "c.csv").write_text("photo,label\n")
    said = CliRunner().invoke(cli, ["evaluate", str(tmp_path / "c.csv"), *words])
    assert said.exit_code == 2
    assert sentence in said.output
