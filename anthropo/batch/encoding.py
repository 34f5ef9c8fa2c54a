"""Tables written row by row."""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from anthropo._version import __version__
from anthropo.batch.records import Row
from anthropo.plain import are_cells_raw, cell_as_it_was, cell_without_formula, written

if TYPE_CHECKING:
    import pyarrow

#: Rows that are kept in memory on the way into a Parquet file: as Python's objects, and in one row group.
_AT_ONCE, ROW_GROUP = 256, 4096


class CsvRow(NamedTuple):
    """A row as a CSV table has it, which is ready to be written."""

    names: tuple[str, ...]  # of its columns
    text: str

    def row(self) -> Row:
        """Its cells, as texts."""
        return dict(zip(self.names, csv_cells(self.text), strict=True))


def csv_text(cells: Iterable[Any]) -> str:
    """Cells as a CSV table has them, a comma before each."""
    shown = [cell_without_formula(cell) if isinstance(cell, str) else cell for cell in cells]
    text = io.StringIO(newline="")
    if shown:
        csv.writer(text, lineterminator="\n").writerow(["", *shown])  # alone, an empty cell would be quoted
    return text.getvalue()[:-1]


def csv_cells(text: str) -> list[str]:
    """The cells of a row of a CSV table."""
    # the writer leaves a carriage return as it is, which ends a row for the reader
    instead = next(sign for sign in map(chr, range(0xE000, 0xF8FF)) if sign not in text)
    cells = next(csv.reader([text.replace("\r", instead)]))
    return [cell_as_it_was(cell.replace(instead, "\r")) for cell in cells]


Rows = Callable[[], Iterable[Any]]  # gives the rows of a table, as often as it is called


def write_rows(
    file: BinaryIO, suffix: str, rows: Rows, what: str = "photos", places: array[int] | None = None
) -> None:
    """Write a table; `what` its rows are stands in JSON.

    Where each row of JSON begins is added to `places`, and where the last one ends.
    """
    if suffix == ".json":
        _write_json(file, rows(), what, places)
    elif suffix == ".csv":
        _write_csv(file, rows)
    else:
        Parquet(rows).write(file, rows())


def encode(rows: Sequence[Row], suffix: str, what: str = "photos") -> bytes:
    """The content of a table of few rows."""
    file = io.BytesIO()
    write_rows(file, suffix, lambda: rows, what)
    return file.getvalue()


def _write_json(file: BinaryIO, rows: Iterable[Row | str], what: str, places: array[int] | None) -> None:
    head = f'{{\n "anthropo": {json.dumps(__version__)},\n {json.dumps(what)}: ['.encode()
    file.write(head)
    at, between = len(head), b"\n  "
    for row in rows:
        text = (row if isinstance(row, str) else json_text(row)).encode()
        file.write(between + text)
        at += len(between)
        if places is not None:
            places.append(at)
        at, between = at + len(text), b",\n  "
    if places is not None:
        places.append(at)
    file.write(b"]\n}\n" if between == b"\n  " else b"\n ]\n}\n")


def json_text(row: Row) -> str:
    """A row as the JSON of a table has it."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False, indent=1).replace("\n", "\n  ")


def names_of(rows: Iterable[Row | CsvRow]) -> list[str]:
    """The columns of all rows in the order in which they come."""
    names: dict[str, None] = {}
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        if (layout := row.names if isinstance(row, CsvRow) else tuple(row)) not in seen:
            seen.add(layout)
            names.update(dict.fromkeys(layout))
    return list(names)


def _write_csv(file: BinaryIO, rows: Rows) -> None:
    names = tuple(names_of(rows()))
    raw = are_cells_raw()
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(written, names))
    for row in rows():
        if isinstance(row, CsvRow):
            if row.names == names and not raw:
                text.write(f"{row.text}\n")
                continue
            row = row.row()
        cells = map(row.get, names)
        writer.writerow([written(cell) if isinstance(cell, str) else cell for cell in cells])
    text.flush()
    text.detach()


class Parquet:
    """What the columns of a table hold, found in all of its rows, and files written accordingly."""

    def __init__(self, rows: Rows) -> None:
        self._names = names_of(self._surveyed(rows()))
        self._spelled: list[type[str | float] | None] = []  # what the values of a column are made first
        self._schema = self._as_schema()

    def write(self, file: BinaryIO, rows: Iterable[Row]) -> None:
        """Write a file of some of the rows, in row groups."""
        import pyarrow
        import pyarrow.parquet

        waiting: list[Any] = []
        with pyarrow.parquet.ParquetWriter(file, self._schema) as writer:
            for batch in _batches(rows, _AT_ONCE):
                waiting.append(self._arrays(batch))
                if len(waiting) * _AT_ONCE >= ROW_GROUP:
                    writer.write_table(pyarrow.Table.from_batches(waiting))
                    waiting.clear()
            if waiting:
                writer.write_table(pyarrow.Table.from_batches(waiting))

    def _surveyed(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, while the kinds of their values are noted."""
        self._kinds: set[tuple[str, type]] = set()
        self._seen_in: dict[str, int] = {}  # rows that have a column, where not all have
        self._rows = 0
        layouts: dict[tuple[str, ...], int] = {}
        for row in rows:
            self._rows += 1
            names = tuple(row)
            layouts[names] = layouts.get(names, 0) + 1
            self._kinds.update(zip(names, map(type, row.values()), strict=True))
            yield row
        for names, count in layouts.items():
            for name in names:
                self._seen_in[name] = self._seen_in.get(name, 0) + count

    def _as_schema(self) -> pyarrow.Schema:
        import pyarrow

        of: dict[str, set[type]] = {name: set() for name in self._names}
        for name, kind in self._kinds:
            of[name].add(kind)
        fields = []
        for name in self._names:
            kinds = of[name] - {type(None)}
            gaps = type(None) in of[name] or self._seen_in[name] < self._rows
            kind = _arrow_type(kinds, gaps)
            fields.append((name, kind))
            mixed = kinds if kinds not in ({str}, {float}) else set()
            spell = str if kind == pyarrow.string() else float if kind == pyarrow.float64() else None
            self._spelled.append(spell if mixed else None)
        return pyarrow.schema(fields)

    def _arrays(self, batch: Sequence[Row]) -> Any:
        import pyarrow

        names = tuple(self._names)
        # as lists, and turned in one go: rows have a thousand cells, and most rows have all columns
        cells = [row.values() if tuple(row) == names else map(row.get, names) for row in batch]
        columns = []
        for field, values, spell in zip(self._schema, zip(*cells, strict=True), self._spelled, strict=True):
            if spell is not None:
                values = tuple(value if value is None else spell(value) for value in values)
            columns.append(pyarrow.array(values, field.type, from_pandas=True))
        return pyarrow.RecordBatch.from_arrays(columns, schema=self._schema)


def _arrow_type(kinds: set[type], gaps: bool) -> pyarrow.DataType:
    """The type of a column: text where values are of several, as a user's own or strangers' may be."""
    import pyarrow

    if not kinds:
        return pyarrow.null()
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {int} and not gaps:
        return pyarrow.int64()
    return pyarrow.float64() if kinds <= {int, float} else pyarrow.string()


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    each = iter(rows)
    while batch := list(islice(each, size)):
        yield batch
