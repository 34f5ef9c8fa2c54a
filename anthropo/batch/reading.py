"""Tables that anthropo wrote, read row by row."""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from anthropo.batch.parts import ForeignError, rows_in
from anthropo.batch.records import Record, Row, is_result_column
from anthropo.decoding.parquet import iterate_parquet
from anthropo.errors import InputError
from anthropo.files import open_regular, refuse_irregular, text_of
from anthropo.plain import cell_as_it_was, column_name
from anthropo.tables import iterate_rows

_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII)
_PIECE = 1 << 20  # characters of JSON that are read at once
_SPACE = re.compile(r"\s*")


def decode(path: Path, suffix: str, what: str = "photos") -> Iterator[Row]:
    """The rows of a table that anthropo wrote; `what` they are stands in JSON.

    A CSV may have been saved again by a spreadsheet or by R meanwhile.
    """
    if suffix == ".json":
        yield from _json_rows(path, what)
    elif suffix == ".csv":
        yield from _csv_rows(path)
    else:
        names: dict[str, str] = {}
        for row in rows_in(path) if path.is_dir() else iterate_parquet(path):
            for name in row.keys() - names.keys():
                names[name] = column_name(name) if is_result_column(name) else name
            yield {names[name]: value for name, value in row.items()}


def _csv_rows(path: Path) -> Iterator[Row]:
    lines = iterate_rows(path, "status", most=None)
    _, header = next(lines, (1, []))
    names = [cell_as_it_was(name) for name in header]
    results = {name: column_name(name) for name in names if is_result_column(name)}  # 0.1.0: with - and :
    readers = [
        (results.get(name, name), _result if name in results else cell_as_it_was) if name else None
        for name in names
    ]
    for _, cells in lines:
        pairs = zip(readers, cells, strict=False)
        yield {how[0]: how[1](cell) for how, cell in pairs if how}


def _result(cell: str) -> str:
    """A result as anthropo wrote it: R has NA for nothing, a spreadsheet a comma in a number."""
    if cell == "NA":
        return ""
    if "," in cell and _COMMA.fullmatch(cell):
        return cell.replace(",", ".")
    return cell_as_it_was(cell)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


class _Reader:
    """JSON read value by value: no more than one of a list is in memory."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._decoder = json.JSONDecoder(parse_constant=_no_number)
        self._text, self._at, self._ended = "", 0, False

    def _more(self) -> None:
        """Read on: twice as much as is there, so that a long value is not tried too often."""
        if self._ended:
            raise ValueError("the JSON ends too soon")
        piece = self._file.read(max(_PIECE, len(self._text) - self._at))
        self._text, self._at = self._text[self._at :] + piece, 0
        self._ended = not piece

    def sign(self) -> str:
        """The next character that is no space, which stays."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            self._more()

    def take(self, sign: str) -> None:
        """Pass a character."""
        if self.sign() != sign:
            raise ValueError(f"{sign} is missing in the JSON")
        self._at += 1

    def value(self) -> Any:
        """The next value."""
        self.sign()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                self._more()
                continue
            if end < len(self._text) or self._ended:  # a number might go on
                self._at = end
                return value
            try:
                self._more()
            except ValueError:
                return value

    def end(self) -> None:
        """Refuse what follows the whole."""
        try:
            more = self.sign()
        except ValueError:
            return
        raise ValueError(f"{more} where the JSON should end")

    def over(self, bracket: str) -> bool:
        """Whether a list or object ends here, or at a comma goes on."""
        if self.sign() == bracket:
            self._at += 1
            return True
        self.take(",")
        return False


def _json_rows(path: Path, what: str) -> Iterator[Row]:
    """The entries of the list that the object in a JSON file has under a name."""
    listed = False
    with text_of(path, most=None) as file:
        reader = _Reader(file)
        reader.take("{")
        ended = reader.sign() == "}"
        while not ended:
            key = reader.value()
            reader.take(":")
            if key == what and reader.sign() == "[":
                listed = True
                reader.take("[")
                last = reader.sign() == "]"
                if last:
                    reader.take("]")
                while not last:
                    yield reader.value()
                    last = reader.over("]")
            else:
                reader.value()
            ended = reader.over("}")
        reader.end()
    if not listed:
        raise KeyError(what)


def earlier_rows(path: Path, what: str, keys: Sequence[str]) -> Iterator[Row]:
    """The rows of the table that a run writes again, if any; they have these keys."""
    if not os.path.exists(path):
        return
    suffix = path.suffix.lower()
    try:
        if not (suffix == ".parquet" and path.is_dir()):
            refuse_irregular(os.stat(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}. Give another name.") from None
    if suffix == ".csv" and not os.path.getsize(path):  # made beforehand, as by mktemp
        return
    rows = decode(path, suffix, what)
    empty = True
    while True:
        try:
            row = next(rows, None)
            if row is None:
                break
            _ = hash(row[keys[0]]), [row[key] for key in keys]
            if suffix == ".json":  # what could not be written again is found now rather than at the end
                json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
        except ForeignError:
            raise
        except (KeyError, TypeError, ValueError, OSError, RecursionError, InputError):
            raise foreign(path, what) from None
        empty = False
        yield row
    if suffix == ".csv" and empty:  # a header alone, perhaps of a table that is not anthropo's
        _, header = next(iterate_rows(path), (1, list(keys)))
        if not set(keys) <= set(header):
            raise foreign(path, what)


def foreign(path: Path, what: str) -> InputError:
    """That an existing table, of photos or of people, is somebody else's."""
    table = "table" if what == "photos" else "table of people"
    return InputError(
        f"{path}: exists and is not a {table} that anthropo wrote. Choose another name, or delete it."
    )


def records_of(path: Path) -> Iterator[Record]:
    """The records in a JSON table of the same version."""
    return map(Record.from_json, decode(path, ".json"))


class RecordsIn(Mapping[str, list[Record]]):
    """The records in a JSON table of the same version by photo, read when they are asked for.

    `places` says where each row begins, of which photo `photos`. A photo that the table has in several rows,
    for its columns differ, is one.
    """

    def __init__(self, path: Path, photos: Sequence[str], places: array[int]) -> None:
        self._path = path
        self._places = places
        self._rows: dict[str, tuple[int, ...]] = {}
        for number, photo in enumerate(photos):
            self._rows[photo] = (*self._rows.get(photo, ()), number)

    def __getitem__(self, photo: str) -> list[Record]:
        with open_regular(self._path, most=None) as file:
            records = [self._record(file, number) for number in self._rows[photo]]
        return [*{record.index: record for record in reversed(records)}.values()][::-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def _record(self, file: BinaryIO, number: int) -> Record:
        begin, end = self._places[number], self._places[number + 1]
        file.seek(begin)
        row, _ = json.JSONDecoder().raw_decode(file.read(end - begin).decode())
        return Record.from_json(row)
