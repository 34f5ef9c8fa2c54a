"""The glossary explains what the code has: every landmark, check of the photo gate, unit and figure."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from anthropo.face.gate import CHECKS
from anthropo.face.scheme import LANDMARKS
from anthropo.learning.metrics import DEFINITIONS
from anthropo.measurement.registry import registry

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("glossary_tables", DOCS / "site" / "glossary_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_landmark_has_a_row_with_both_sides_and_its_points(tables: ModuleType) -> None:
    made = tables.landmarks()
    assert set(tables.PLACES) == {code.removesuffix("R").removesuffix("L") for code in LANDMARKS}
    for code in LANDMARKS:
        assert made.count(f"`{code}`") == 1, code
    assert "| `alR`, `alL` | alare |" in made
    assert "| 31 / 35 | yes |" in made


def test_every_check_stands_there_with_its_limit_and_advice(tables: ModuleType) -> None:
    made = tables.checks()
    assert set(tables.CHECKS) == set(CHECKS)
    assert "| `yaw` | turn of the head to a side | ≤ 5 deg | turn the face towards the camera | " in made
    assert "| `eye_pixels` | distance between the pupils in the photo | ≥ 40 px |" in made


def test_every_unit_and_figure_is_explained(tables: ModuleType) -> None:
    assert set(tables.UNITS) == {entry.unit for entry in registry().values()}
    assert tables.figures().count("\n") == len(DEFINITIONS) + 1


def test_the_page_asks_for_each_table_once(tables: ModuleType) -> None:
    source = [(DOCS / "glossary.md").read_text(encoding="utf-8")]
    tables.filled(None, "glossary", source)
    assert "made while building" not in source[0]
    for make in (tables.landmarks, tables.checks, tables.units, tables.figures):
        assert source[0].count(make()) == 1
