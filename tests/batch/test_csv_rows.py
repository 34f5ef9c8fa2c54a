"""Rows of CSV tables that are made where photos are measured"""

from __future__ import annotations

from pathlib import Path

import pytest
from batch_tables import FAST
from conftest import Copies

from anthropo.batch.encoding import CsvRow, csv_cells, csv_text
from anthropo.batch.inputs import Item
from anthropo.batch.output import Output, as_csv
from anthropo.plain import raw_cells
from anthropo.workflows.measuring import measure_items

NASTY = [
    "",
    'a "quoted" word',
    "two\nlines",
    "a\rb",
    "c\r\nd",
    "\ue000",
    "a,b",
    "=1+1",
    "'=1",
    "-0.5",
    "Zürich",
    " ",
    "+x",
]


def test_cells_are_read_as_they_were() -> None:
    assert csv_cells(csv_text(NASTY)[1:]) == NASTY
    assert csv_text([None, True, 0.1, 3, 1e-7, -2.5e300]) == ",,True,0.1,3,1e-07,-2.5e+300"
    assert csv_text([""]) == ","
    assert csv_text([]) == ""
    row = CsvRow(("a", "b"), csv_text(["=1", "x"])[1:])
    assert (row.text, row.row()) == ("'=1,x", {"a": "=1", "b": "x"})


def _text(table: Output) -> str:
    return table.path.read_bytes().decode()


@pytest.mark.parametrize("columns", [{}, {"one": ""}, {f"c{i}": cell for i, cell in enumerate(NASTY)}])
@pytest.mark.parametrize("raw", [False, True])
def test_a_table_is_that_of_its_records(
    tmp_path: Path, copies: Copies, columns: dict[str, str], raw: bool
) -> None:
    paths = copies(tmp_path, "a.png", "b.png", "=c.png")
    items = [Item(str(path), columns) for path in (*paths, tmp_path / "gone.png")]
    records = measure_items(items, FAST).listed
    table = Output(str(tmp_path / "out.csv"), FAST)
    measure_items(items, FAST, table=table)
    assert _text(table) == as_csv(records)
    if raw:
        table.path.unlink()
        with raw_cells():
            measure_items(items, FAST, table=Output(str(table.path), FAST))
            assert _text(table) == as_csv(records)
        if any(cell.startswith("=") for cell in columns.values()):
            assert ",=1+1," in _text(table)


def test_rows_of_other_columns_fill_theirs(tmp_path: Path, copies: Copies) -> None:
    paths = copies(tmp_path, "a.png", "b.png")
    items = [Item(str(paths[0]), {"x": "=1", "y": "2"}), Item(str(paths[1]), {"y": "3"})]
    table = Output(str(tmp_path / "out.csv"), FAST)
    measure_items(items, FAST, table=table)
    assert _text(table) == as_csv(measure_items(items, FAST).listed)
