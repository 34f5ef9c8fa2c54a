"""The data dictionary and the tables that it is about."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from conftest import described

import anthropo
from anthropo.batch import Item, measure_item
from anthropo.batch.long import COLUMNS as LONG
from anthropo.batch.records import is_result_column
from anthropo.reference.curves import columns as columns_of_curves
from anthropo.reference.tables import COLUMNS as REFERENCE
from anthropo.reference.tables import EXPRESSION
from anthropo.report.columns import dictionary, markdown
from anthropo.settings import Settings
from anthropo.workflows.change import COLUMNS as CHANGES
from anthropo.workflows.change_cohort import TEST_COLUMNS
from anthropo.workflows.measuring import measure_items
from anthropo.workflows.trait_calling import COLUMNS as TRAITS

DOCS = Path(__file__).parents[2] / "docs"


VIDEO = ("video_seconds", "video_frames", "video_measured", "video_remarks")


def test_page_is_made_of_the_dictionary() -> None:
    assert (DOCS / "columns.md").read_text() == markdown(), "python -m anthropo.report.columns docs"


def test_measure() -> None:
    settings = Settings(
        jitter=2, texture=True, scale="ipd=63", references=("frl-adults",), sex="female", age="40"
    )
    (record,) = measure_item(Item(anthropo.example_photo()), settings)
    row = record.to_row()
    described("measure", row, VIDEO)
    assert all(is_result_column(name) for name in row)
    failed = replace(record, reason="no face found", measurements=(), face=None)
    described("measure", failed.to_row(), VIDEO)


def test_only_measurements_are_families_of_measurements() -> None:
    families = [one for one in dictionary() if one.column == "{measurement}_lo"]
    assert {one.table for one in families} == {"measure", "measure --patient"}
    assert all(one.matches("mouth_width_lo") and not one.matches("shoe_size_lo") for one in families)


def test_people() -> None:
    settings = Settings(jitter=2, scale="ipd=63", references=("frl-adults",), sex="female", age="40")
    items = [Item(anthropo.example_photo()), Item("gone.png")]
    (person,) = measure_items(items, settings, people=True).people
    described("measure --patient", person.to_row())
    (lost,) = measure_items(items[1:], settings, people=True).people
    described("measure --patient", lost.to_row())


def test_tables_of_fixed_columns() -> None:
    described("measure --long", LONG)
    described("traits", TRAITS)
    described("change", CHANGES)
    described("change FILE.tests.csv", TEST_COLUMNS)
    described("reference", REFERENCE, [EXPRESSION])
    described("reference --by age", columns_of_curves(("white", "East Asian")), [EXPRESSION])


def test_composites(tmp_path: Path) -> None:
    folder = tmp_path / "cohort"
    for label in ("control", "other"):
        (folder / label).mkdir(parents=True)
        for i in range(5):
            shutil.copy(anthropo.example_photo(), folder / label / f"{i}.png")
    reading = anthropo.PhotoReading(jitter=1, fine=False, cache="none")
    request = anthropo.CompositeRequest(reading=reading, controls="control")
    columns = set(anthropo.composite(folder, request).to_frame().columns)
    moved = {"controls", "dx", "dy", "length", "t2", "p", "p_adjusted"}
    described("composite shapes", columns - moved)
    described("composite displacements", columns - {"patients", "photos", "x", "y", "sd_x", "sd_y"})
