"""Tables that survive an interruption."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anthropo._version import __version__
from anthropo.batch.inputs import Item
from anthropo.batch.records import MeasuredRecord, Record, Row, is_result_column, passed_through
from anthropo.batch.scores import diagnostics_of
from anthropo.decoding.parquet import read_parquet
from anthropo.errors import InputError
from anthropo.files import (
    MOST,
    file_sha256,
    held,
    open_regular,
    read_regular,
    read_text,
    refuse_irregular,
    write_atomically,
)
from anthropo.plain import cell_as_it_was, column_name, written
from anthropo.settings import Settings
from anthropo.tables import read_rows

SUFFIXES_OF_TABLES = (".csv", ".parquet", ".json")

_FIRST = ("photo", "face", "status", "reason")
_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII)
_JOURNAL_START = b'[{"photo": '


class Output:
    """A results file that is never half-written and that a second run continues.

    Finished photos go to ``FILE.partial``, a JSON line each, as they come; `close` writes the
    whole table under a temporary name, renames it and removes the partial file. An InputError says
    why the file cannot be written, or that a file of this name is none of anthropo's.
    """

    def __init__(self, path: str, settings: Settings) -> None:
        self.path = Path(path)
        self.suffix = self.path.suffix.lower()
        self._settings = settings
        self._earlier: dict[str, list[Row]] = {}  # photo -> what the file has of it
        self._new: dict[str, list[Record]] = {}
        if os.path.isdir(path):
            raise InputError(f"{path}: a folder, not a file. Give the name of a file to write.")
        if self.suffix not in SUFFIXES_OF_TABLES:
            raise InputError(
                f"{path}: unknown kind of output. Use a name that ends in .csv, .parquet, .json or .html."
            )
        self._partial = self.path.with_name(self.path.name + ".partial")
        self._open = contextlib.ExitStack()
        try:
            # first of all: what another run is about to write is not to be missed
            self._open.enter_context(held(self.path))
            for row in earlier_rows(self.path, "photos", ("photo", "status", "face")):
                self._earlier.setdefault(row["photo"], []).append(row)
            self._read_partial()
            self._journal = io.TextIOWrapper(open_regular(self._partial, "ab", most=None), "utf-8")
            if self.path.exists():
                os.chmod(self._partial, self.path.stat().st_mode & 0o777)
        except OSError as error:
            self._open.close()
            raise InputError(
                f"{path}: cannot be written ({error.strerror}). Choose a folder that exists and "
                "that you may write to."
            ) from None
        except InputError:
            self._open.close()
            raise

    def finished(self, item: Item) -> bool:
        """Whether an earlier run has all of this photo, unchanged and with the same settings."""
        known = self._rows(self._new.get(item.path, [])) or self._earlier.get(item.path, [])
        if not known or any(row["status"] != "ok" or row.get("notes") for row in known):
            return False
        expected = diagnostics_of(item, self._settings)
        if any(_cell(row, "settings") != expected.settings for row in known):
            return False
        stated = (("person", expected.person), ("declared", expected.declared))
        if any((_cell(known[0], name) or "") != given for name, given in stated):
            return False
        try:
            digest = file_sha256(item.path)
            corrections = self._settings.corrections
            stamp = corrections.stamp(item.path, digest) if corrections else ""
        except (OSError, InputError):
            return False
        return digest == _cell(known[0], "sha256") and stamp == (_cell(known[0], "landmarks") or "")

    def gate_failed(self, photo: str) -> list[list[str]]:
        """The failed checks of the faces that an earlier run measured on a photo."""
        rows = self._rows(self._new.get(photo, [])) or self._earlier.get(photo, [])
        return [_failed_checks(row) for row in rows if row["status"] == "ok"]

    def add(self, records: list[Record]) -> None:
        """Keep one photo's records."""
        # first, so that an interruption while the journal is written loses nothing
        self._new[records[0].photo] = records
        try:
            line = json.dumps([record.to_json() for record in records], ensure_ascii=False)
            self._journal.write(line + "\n")
            self._journal.flush()
        except OSError as error:
            raise self._full(error) from None

    def close(self, items: Sequence[Item]) -> None:
        """Write the table: `items` in their order, then what the file had of other photos."""
        rows: list[Row] = []
        for item in items:
            earlier = self._earlier.get(item.path, [])
            if item.path in self._new:
                new = self._rows(replace(record, columns=item.columns) for record in self._new[item.path])
                rows += [self._with_added(row, item, earlier) for row in new]
                continue
            # a photo that was listed with different columns has several rows of each face
            for row in {str(row["face"]): row for row in earlier}.values():
                if self.suffix == ".json":
                    new_row = {**row, "columns": item.columns}
                else:
                    results = {k: v for k, v in row.items() if is_result_column(k)}
                    first = {k: row[k] for k in _FIRST}
                    new_row = {**first, **passed_through(item.columns), **results}
                rows.append(self._with_added(new_row, item, [row]))
        current = {item.path for item in items}
        for photo in dict.fromkeys([*self._earlier, *self._new]):  # also what a killed run has finished
            if photo not in current:
                rows += self._rows(self._new.get(photo, [])) or self._earlier[photo]
        try:
            self._journal.close()
            write_atomically(self.path, encode(rows, self.suffix))
        except OSError as error:
            raise self._full(error) from None
        with contextlib.suppress(OSError):
            self._partial.unlink()
        self.release()

    def release(self) -> None:
        """Let other runs write the file, also where this one ends without having written it."""
        with contextlib.suppress(OSError):  # what a full disk did not take
            self._journal.close()
        self._open.close()

    def _with_added(self, row: Row, item: Item, earlier: Sequence[Row]) -> Row:
        """A row with the columns that its user has added to the file since it was written."""
        same = [old for old in earlier if str(old["face"]) == str(row["face"])] or earlier[:1]
        if self.suffix == ".json":
            columns = {k: v for old in same for k, v in old.get("columns", {}).items()}
            added = {k: v for old in same for k, v in old.items() if k not in row}
            return {**row, **added, "columns": {**columns, **item.columns}}
        names = {*row, *passed_through(item.columns)}
        added = {k: v for old in same for k, v in old.items() if k not in names and not is_result_column(k)}
        results = {k: v for k, v in row.items() if is_result_column(k) and k not in _FIRST}
        return {**{k: v for k, v in row.items() if k not in results}, **added, **results}

    def _rows(self, records: Iterable[Record]) -> list[Row]:
        """Records as the file has them."""
        return [record.to_json() if self.suffix == ".json" else record.to_row() for record in records]

    def _full(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: cannot be written ({error.strerror}). Finished photos are kept in "
            f"{self._partial}; make room and run the same command to continue."
        )

    def _read_partial(self) -> None:
        """Take over what a killed run has finished."""
        if not os.path.exists(self._partial):
            return
        data = read_regular(self._partial)
        if data[: len(_JOURNAL_START)] != _JOURNAL_START[: len(data)]:
            raise InputError(
                f"{self._partial}: not written by anthropo, which keeps an unfinished run under this name. "
                f"Move it, or write to another file than {self.path}."
            )
        for line in data.split(b"\n"):
            # a line that was cut by a crash, or written by another version
            with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
                records = [Record.from_json(record) for record in json.loads(line)]
                self._new[records[0].photo] = records
        os.truncate(self._partial, data.rfind(b"\n") + 1)


def _failed_checks(row: Row) -> list[str]:
    if "gate_failed" in row:
        return str(row["gate_failed"] or "").split()
    return [name for name, check in (row.get("gate") or {}).items() if not check["ok"]]


def _cell(row: Row, key: str) -> Any:
    """A diagnostics entry of a row, be it JSON's or a table's."""
    diagnostics = row.get("diagnostics")
    return diagnostics.get(key) if isinstance(diagnostics, dict) else row.get(f"diagnostics_{key}")


def decode(path: Path, suffix: str, what: str = "photos") -> list[Row]:
    """The rows of a table that anthropo wrote; `what` they are stands in JSON.

    A CSV may have been saved again by a spreadsheet or by R meanwhile.
    """
    if suffix == ".json":
        rows: list[Row] = json.loads(read_text(path, most=MOST), parse_constant=_no_number)[what]
        return rows
    if suffix == ".csv":
        (_, header), *lines = read_rows(path, "status") or [(1, [])]
        names = [cell_as_it_was(name) for name in header]
        results = {name: column_name(name) for name in names if is_result_column(name)}  # 0.1.0: with - and :
        return [
            {
                results.get(name, name): _result(cell) if name in results else cell_as_it_was(cell)
                for name, cell in zip(names, cells, strict=False)
                if name
            }
            for _, cells in lines
        ]
    return [
        {column_name(k) if is_result_column(k) else k: v for k, v in row.items()}
        for row in read_parquet(path)
    ]


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _result(cell: str) -> str:
    """A result as anthropo wrote it: R has NA for nothing, a spreadsheet a comma in a number."""
    if cell == "NA":
        return ""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell_as_it_was(cell)


def earlier_rows(path: Path, what: str, keys: Sequence[str]) -> list[Row]:
    """The rows of the table that a run writes again, if any; they have these keys."""
    if not os.path.exists(path):
        return []
    try:
        refuse_irregular(os.stat(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}. Give another name.") from None
    suffix = path.suffix.lower()
    if suffix == ".csv" and not os.path.getsize(path):  # made beforehand, as by mktemp
        return []
    try:
        rows = decode(path, suffix, what)
        if suffix == ".json":  # what could not be written again is found now rather than at the end
            encode(rows, suffix, what)
        if suffix == ".csv" and not rows:  # a header alone, perhaps of a table that is not anthropo's
            header = next(iter(read_rows(path)), (1, list(keys)))[1]
            _ = [header.index(key) for key in keys]
        for row in rows:
            _ = hash(row[keys[0]]), [row[key] for key in keys]
    except (KeyError, TypeError, ValueError, OSError, RecursionError, InputError):
        table = "table" if what == "photos" else "table of people"
        raise InputError(
            f"{path}: exists and is not a {table} that anthropo wrote. Choose another name, or delete it."
        ) from None
    return rows


def encode(rows: list[Row], suffix: str, what: str = "photos") -> bytes:
    """The content of a table; `what` its rows are stands in JSON."""
    if suffix == ".json":
        document = {"anthropo": __version__, what: rows}
        return (json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
    names = list(dict.fromkeys(name for row in rows for name in row))
    if suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(map(written, names))
        writer.writerows([written(row.get(name)) for name in names] for row in rows)
        return text.getvalue().encode()
    import pandas as pd

    buffer = io.BytesIO()
    columns = {name: _of_one_type([row.get(name) for row in rows]) for name in names}
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _of_one_type(values: list[Any]) -> list[Any]:
    """The values of a column, as text where they are of several types: a user's own, or strangers'."""
    types = {type(value) for value in values if value is not None}
    if len(types) <= 1 or types <= {int, float}:
        return values
    return [None if value is None else str(value) for value in values]


def as_csv(records: Iterable[MeasuredRecord]) -> str:
    """The CSV output as text."""
    return encode([record.to_row() for record in records], ".csv").decode()


def records_of(path: Path) -> list[Record]:
    """The records in a JSON table of the same version."""
    return [Record.from_json(row) for row in decode(path, ".json")]


def by_photo(path: Path, photos: Container[str]) -> dict[str, list[Record]]:
    """The records of these photos in a JSON table of the same version."""
    records: dict[str, list[Record]] = {}
    for row in decode(path, ".json"):
        if row["photo"] in photos:
            records.setdefault(row["photo"], []).append(Record.from_json(row))
    return records
