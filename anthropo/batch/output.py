"""Tables that survive an interruption."""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from anthropo.batch.encoding import CsvRow, csv_text, encode, write_rows
from anthropo.batch.inputs import Item
from anthropo.batch.journal import Journal
from anthropo.batch.parts import is_folder_of_parts, mend, write_parts
from anthropo.batch.reading import RecordsIn, earlier_rows
from anthropo.batch.records import (
    MeasuredRecord,
    Record,
    Row,
    columns_of_measurements,
    is_result_column,
    passed_through,
)
from anthropo.batch.scores import diagnostics_of
from anthropo.batch.spool import Spool
from anthropo.batch.summaries import FIRST, Finished, Summary, cell, finish, merged, summary_of_rows
from anthropo.errors import InputError
from anthropo.files import atomically, file_sha256, held
from anthropo.parallel.threads import Threads
from anthropo.settings import Settings

SUFFIXES_OF_TABLES = (".csv", ".parquet", ".json")

_FEW = 32  # photos in a table, for which no threads are started
_AT_ONCE = 32  # photos that a thread looks at before it is asked again
_MOST_READERS = 16  # threads: more would wait for the interpreter

_Known = tuple[tuple[int, ...], Any, Summary]  # of a photo: where its rows are, its file's hash, the rest


class Output:
    """A results file that is never half-written and that a second run continues.

    A Parquet table whose name ends in a slash, or is a folder's, is one of parts.

    Finished photos go to ``FILE.partial``, a line each, as they come; `close` writes the whole table under a
    temporary name, renames it and removes the partial file. Of each photo only a summary is in memory, and
    where its rows are on the disk: those of this run in the partial file, those that the table has had in a
    temporary file without a name. An InputError says why the file cannot be written, or that a file of this
    name is none of anthropo's.
    """

    def __init__(self, path: str, settings: Settings) -> None:
        self.path = Path(path)
        self.suffix = self.path.suffix.lower()
        self._settings = settings
        self._earlier: dict[str, _Known] = {}  # photo -> what the file has of it
        self._new: dict[str, _Known] = {}
        self._same: dict[Summary, Summary] = {}
        self._pending: Finished | None = None
        self._parts = is_folder_of_parts(path)
        if os.path.isdir(path) and not self._parts:
            raise InputError(f"{path}: a folder, not a file. Give the name of a file to write.")
        if self._parts and os.path.isfile(self.path):
            raise InputError(f"{path}: a file, not a folder. Leave the last {path[-1]} out.")
        if self.suffix not in SUFFIXES_OF_TABLES:
            raise InputError(
                f"{path}: unknown kind of output. Use a name that ends in .csv, .parquet, .json or .html."
            )
        self._partial = self.path.with_name(self.path.name + ".partial")
        self._open = contextlib.ExitStack()
        try:
            # first of all: what another run is about to write is not to be missed
            self._open.enter_context(held(self.path))
            if self._parts:
                mend(self.path)
            self._spool = self._open.enter_context(contextlib.closing(Spool(self.path.parent)))
            self._read_earlier()
            self._journal = self._open.enter_context(contextlib.closing(Journal(self._partial, self.path)))
            for photo, at, sha256, summary in self._journal.finished():
                self._new[photo] = (at,), _digest(sha256), self._kept(summary)
            if self.path.is_file():
                os.chmod(self._partial, self.path.stat().st_mode & 0o777)
        except OSError as error:
            self._open.close()
            raise InputError(
                f"{path}: cannot be written ({error.strerror}). Choose a folder that exists and "
                "that you may write to."
            ) from None
        except BaseException:
            self._open.close()
            raise

    def finished(self, item: Item) -> bool:
        """Whether an earlier run has all of this photo, unchanged and with the same settings."""
        known = self._new.get(item.path) or self._earlier.get(item.path)
        if not known:
            return False
        _, sha256, summary = known
        if not summary.ok or summary.noted:
            return False
        expected = diagnostics_of(item, self._settings)
        person, declared, landmarks = summary.stated
        if summary.settings != (expected.settings,) or (person, declared) != (
            expected.person,
            expected.declared,
        ):
            return False
        try:
            digest = file_sha256(item.path)
            corrections = self._settings.corrections
            stamp = corrections.stamp(item.path, digest) if corrections else ""
        except (OSError, InputError):
            return False
        return _digest(digest) == sha256 and stamp == landmarks

    def finished_of(self, items: Sequence[Item], jobs: int) -> list[bool]:
        """`finished` of each: threads read the files, since these are summed up without the interpreter."""
        if len(self._earlier) + len(self._new) < _FEW:
            jobs = 1
        parts = (items[i : i + _AT_ONCE] for i in range(0, len(items), _AT_ONCE))
        looked = Threads(min(jobs, _MOST_READERS)).in_order(self._finished_part, parts)
        return [one for part in looked for one in part]

    def _finished_part(self, items: Sequence[Item]) -> list[bool]:
        return [self.finished(item) for item in items]

    def gate_failed(self, photo: str) -> Sequence[Sequence[str]]:
        """The failed checks of the faces that an earlier run measured on a photo."""
        known = self._new.get(photo) or self._earlier.get(photo)
        return known[2].gate if known else ()

    def add(self, records: Sequence[Record]) -> Summary:
        """Keep one photo's records; what remains of them in memory."""
        return self.add_finished(finish(records, self.suffix))

    def add_finished(self, photo: Finished) -> Summary:
        """Keep one photo that another process has made ready."""
        self._pending = photo  # so that an interruption from here on loses nothing
        summary = self._kept(photo.summary)
        try:
            at = self._journal.add(photo)
        except OSError as error:
            raise self._full(error) from None
        self._new[photo.photo] = (at,), _digest(photo.sha256), summary
        self._pending = None
        return summary

    def close(self, items: Sequence[Item], *, keep: bool = False) -> Mapping[str, list[Record]]:
        """Write the table: `items` in their order, then what the file had of other photos.

        With `keep`, the records of a JSON table can be asked for by photo; they are read when they are.
        """
        photos: list[str] = []
        places = array("Q")

        def rows() -> Iterator[Row | str | CsvRow]:
            for photo, row in self._table(items):
                if keep:
                    photos.append(photo)
                yield row

        try:
            if self._pending:
                self.add_finished(self._pending)
            if self._parts:
                write_parts(self.path, rows)
            else:
                with atomically(self.path) as file:
                    write_rows(file, self.suffix, rows, places=places if keep else None)
        except OSError as error:
            self.release()
            raise self._full(error) from None
        except BaseException:
            self.release()
            raise
        self._journal.remove()
        self.release()
        self._new.clear()
        self._earlier.clear()
        return RecordsIn(self.path, photos, places) if keep else {}

    def release(self) -> None:
        """Let other runs write the file, also where this one ends without having written it."""
        self._open.close()

    def _read_earlier(self) -> None:
        """Take over what the file has."""
        for row in earlier_rows(self.path, "photos", ("photo", "status", "face")):
            at, photo, summary = self._spool.add(row), row["photo"], self._kept(summary_of_rows([row]))
            if photo in self._earlier:
                places, sha256, first = self._earlier[photo]
                self._earlier[photo] = (*places, at), sha256, self._kept(merged(first, summary))
            else:
                self._earlier[photo] = (at,), _digest(cell(row, "sha256")), summary

    def _kept(self, summary: Summary) -> Summary:
        return self._same.setdefault(summary, summary)

    def _table(self, items: Sequence[Item]) -> Iterator[tuple[str, Row | str | CsvRow]]:
        """The rows of the table, each with its photo; rows may be text."""
        for item in items:
            earlier = self._earlier_rows(item.path)
            if item.path in self._new:
                new: Iterable[Row | str | CsvRow] = self._new_rows(item, earlier)
            else:
                # a photo that was listed with different columns has several rows of each face
                last = {str(row["face"]): row for row in earlier}.values()
                new = [self._with_added(self._with_columns(row, item.columns), item, [row]) for row in last]
            for row in new:
                yield item.path, row
        current = {item.path for item in items}
        for photo in dict.fromkeys([*self._earlier, *self._new]):  # also what a killed run has finished
            if photo not in current:
                rows = self._new_rows(photo, []) if photo in self._new else self._earlier_rows(photo)
                for row in rows:
                    yield photo, row

    def _earlier_rows(self, photo: str) -> list[Row]:
        known = self._earlier.get(photo)
        return [self._spool.row(at) for at in known[0]] if known else []

    def _new_rows(self, whose: Item | str, earlier: Sequence[Row]) -> Iterator[Row | str | CsvRow]:
        """A photo's rows of this run, with the columns of its item or, without one, their own."""
        item = whose if isinstance(whose, Item) else None
        ((at,), _, _) = self._new[item.path if item else str(whose)]
        if self.suffix == ".json" and not earlier:
            columns, texts = self._journal.texts(at)
            if item is None or [*columns.items()] == [*item.columns.items()]:
                yield from texts
                return
        if self.suffix == ".csv" and not earlier:
            columns, faces = self._journal.csv_rows(at)
            passed = passed_through(item.columns if item else columns)
            for names, first, rest in faces:
                text = first + csv_text(passed.values()) + rest
                yield CsvRow((*FIRST, *passed, *names[len(FIRST) :]), text)
            return
        columns, rows = self._journal.line(at)
        for row in rows:
            row = self._with_columns(row, item.columns if item else columns)
            yield self._with_added(row, item, earlier) if item and earlier else row

    def _with_columns(self, row: Row, columns: Mapping[str, str]) -> Row:
        """A row with the columns of an item in place of those that it has."""
        if self.suffix == ".json":
            return {**row, "columns": columns}
        names = tuple(row)
        results = _results(names)
        # in a row that a worker has made ready, nothing but results: it need not be picked apart
        others = row if len(results) == len(names) else {k: row[k] for k in results}
        return {**{k: row[k] for k in FIRST}, **passed_through(columns), **others}

    def _with_added(self, row: Row, item: Item, earlier: Sequence[Row]) -> Row:
        """A row with the columns that its user has added to the file since it was written."""
        same = [old for old in earlier if str(old["face"]) == str(row["face"])] or earlier[:1]
        if self.suffix == ".json":
            columns = {k: v for old in same for k, v in old.get("columns", {}).items()}
            added = {k: v for old in same for k, v in old.items() if k not in row}
            return {**row, **added, "columns": {**columns, **item.columns}}
        names = {*row, *passed_through(item.columns)}
        added = {
            k: v
            for old in same
            for k, v in old.items()
            if k not in names and not is_result_column(k) and k not in columns_of_measurements(tuple(old))
        }
        if not added:
            return row
        results = {k: row[k] for k in _results(tuple(row)) if k not in FIRST}
        return {**{k: v for k, v in row.items() if k not in results}, **added, **results}

    def _full(self, error: OSError) -> InputError:
        return InputError(
            f"{self.path}: cannot be written ({error.strerror}). Finished photos are kept in "
            f"{self._partial}; make room and run the same command to continue."
        )


@lru_cache(maxsize=256)
def _results(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a row's columns that hold results."""
    return tuple(name for name in names if is_result_column(name))


def _digest(sha256: Any) -> Any:
    """A hash in half the memory."""
    try:
        return bytes.fromhex(sha256)
    except (TypeError, ValueError):
        return sha256


def as_csv(records: Iterable[MeasuredRecord]) -> str:
    """The CSV output as text."""
    return encode([record.to_row() for record in records], ".csv").decode()
