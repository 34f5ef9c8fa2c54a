"""The data dictionary and the tables that it is about."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import anthropo
from anthropo.batch import Item, measure_item
from anthropo.batch.long import COLUMNS as LONG
from anthropo.batch.records import is_result_column
from anthropo.reference.tables import COLUMNS as REFERENCE
from anthropo.report.columns import dictionary, markdown
from anthropo.settings import Settings
from anthropo.workflows.trait_calling import COLUMNS as TRAITS

DOCS = Path(__file__).parents[2] / "docs"


def described(table: str, names: Iterable[str]) -> None:
    """Each of the names has its row, and each row that is no family has its name."""
    listed = list(names)
    rows = [one for one in dictionary() if one.table == table]
    assert [name for name in listed if not any(row.matches(name) for row in rows)] == []
    fixed = {row.column for row in rows if not re.search(r"[{(]", row.column)}
    assert fixed - set(listed) <= {
        "video_seconds",
        "video_frames",
        "video_measured",
        "video_remarks",
        "distance",
    }


def test_page_is_made_of_the_dictionary() -> None:
    assert (DOCS / "columns.md").read_text() == markdown(), "python -m anthropo.report.columns docs"


def test_measure() -> None:
    settings = Settings(
        jitter=2, texture=True, scale="ipd=63", references=("frl-adults",), sex="female", age="40"
    )
    (record,) = measure_item(Item(anthropo.example_photo()), settings)
    row = record.to_row()
    described("measure", row)
    assert all(is_result_column(name) for name in row)
    failed = replace(record, reason="no face found", measurements=(), face=None)
    described("measure", failed.to_row())


def test_tables_of_fixed_columns() -> None:
    described("measure --long", LONG)
    described("traits", TRAITS)
    described("reference", REFERENCE)


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
