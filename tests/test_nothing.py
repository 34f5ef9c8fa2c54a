"""Nothing given: a sentence, or a result that is empty and has the columns that it would have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import sentence_of
from docstring_examples import example_folder  # noqa: F401 (a fixture)

import anthropo
from anthropo.errors import AnthropoError
from anthropo.measurement.compute import Measurements
from anthropo.reference import grow, load_reference, read_rules, references_for
from anthropo.translation import load_parameters
from anthropo.workflows.composites import CompositeResult
from anthropo.workflows.map import MapResult
from anthropo.workflows.trait_calling import Findings


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (lambda: anthropo.measure_table([]), "No photo was named."),
        (lambda: anthropo.patient_table([]), "No photo was named."),
        (lambda: anthropo.traits([]), "No photo was named."),
        (lambda: anthropo.bench_networks([], "cohort.csv"), "No network was named."),
        (lambda: anthropo.check_registry(), "No table of measurements is given."),
        (lambda: anthropo.measure(""), "An empty name: no such file."),
        (lambda: anthropo.examine(""), "An empty name: no such file."),
        (lambda: anthropo.load_model(""), "An empty name: no such model file."),
    ],
)
def test_nothing_is_one_sentence(asked: Callable[[], object], says: str) -> None:
    assert sentence_of(AnthropoError, asked).startswith(says)


def test_answers_to_no_photo_have_their_columns(example_folder: Path) -> None:  # noqa: F811
    for name in ("m.anthropo", "net.anthropo"):
        model = anthropo.load_model(example_folder / name)
        some = model.classify(example_folder / "person.jpg", force=True).to_frame()
        none = model.classify([]).to_frame()
        assert len(none) == 0
        assert list(none.columns) == list(some.columns), name


def test_empty_results_have_columns() -> None:
    gone = MapResult(drawn=None, left_out=(), findings=())
    empty: dict[str, Any] = dict.fromkeys(CompositeResult.__dataclass_fields__, ())
    for result in (
        gone,
        CompositeResult(**{**empty, "displacements": ()}),
        Findings(people=()),
        Measurements([]),
    ):
        frame = result.to_frame()
        assert isinstance(frame, pd.DataFrame)
        assert len(frame) == 0
        assert len(frame.columns) > 2, type(result)
    assert "no photo with a face" in gone._repr_html_()


def test_lines_are_short() -> None:
    row = references_for(31)["ansur-adults"][0]
    made = (
        anthropo.licences(), load_reference("frl-adults"), load_reference("web-all-ages"), row,
        read_rules()[0], load_parameters(), grow("height", 98, sex="male", age=(4.0, 4.2)),
        grow("height", 170, sex="male", age=(31.0, 32.0)),
    )  # fmt: skip
    for thing in made:
        assert 20 < len(repr(thing)) <= 200
        assert "/" not in repr(thing).replace("WHO 2006/2007", "")  # no file's place
    assert repr(made[1]) == "<Bands: frl-adults, 100 measurements, 19 to 40 years>"
    assert repr(made[6]) == "<Growth: height 98 cm, WHO 2006/2007, z −1.41 (−1.56 to −1.27)>"


def test_licences_are_a_tuple_and_a_table() -> None:
    known = anthropo.licences()
    assert isinstance(known, tuple)
    frame = known.to_frame()
    assert list(frame["name"]) == [one.name for one in known]
    assert frame["permissive"].sum() == sum(one.permissive for one in known) > 5
    assert "UTKFace" in known._repr_html_()
