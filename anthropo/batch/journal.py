"""``FILE.partial``: what an unfinished run has done, a line for each photo."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from anthropo.batch.encoding import CsvRow
from anthropo.batch.records import Row
from anthropo.batch.spool import layout_key
from anthropo.batch.summaries import Finished, Summary, cell, summary_of_rows
from anthropo.errors import InputError
from anthropo.files import open_regular

_START = b'[{"photo": '
_BETWEEN = "\r  }, {\r"  # the texts of two faces; within one a carriage return begins a line, or is escaped


class JournalLine(NamedTuple):
    """What a journal has of a photo."""

    columns: dict[str, str]
    rows: list[Row]  # without the columns, but in JSON


class Journal:
    """The lines that `finish` makes, each written at once; a half line of a killed run is cut off.

    An InputError says that a file of this name is none of anthropo's.
    """

    def __init__(self, path: Path, table: Path) -> None:
        self._path = path
        self._layouts: dict[str, tuple[str, ...]] = {}  # what the file says of columns
        self._refuse_foreign(table)
        self._file = open_regular(path, "ab", most=None)
        self._read = open_regular(path, most=None)
        self._end = os.fstat(self._file.fileno()).st_size

    def _refuse_foreign(self, table: Path) -> None:
        with contextlib.suppress(FileNotFoundError), open_regular(self._path, most=None) as file:
            start = file.read(len(_START))
            if start != _START[: len(start)]:
                raise InputError(
                    f"{self._path}: not written by anthropo, which keeps an unfinished run under this name. "
                    f"Move it, or write to another file than {table}."
                )

    def finished(self) -> Iterator[tuple[str, int, Any, Summary]]:
        """What a killed run has done: each photo, where its line is, its file's hash and summary."""
        at = 0
        self._read.seek(0)
        for line in self._read:
            if not line.endswith(b"\n"):
                break
            entry = None
            # written by another version, or damaged
            with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, AttributeError):
                head, *faces = json.loads(line)
                rows = self._line(head, faces).rows
                _ = [(row["face"], hash(row["photo"])) for row in rows]
                entry = head["photo"], at, cell(rows[0], "sha256"), summary_of_rows(rows)
            if entry:
                yield entry
            at += len(line)
        self._cut(at)

    def add(self, photo: Finished) -> int:
        """Write a photo's line; where it is."""
        self._cut(self._end)  # what an interruption has left of a line
        line, at = photo.line, self._end
        keyed = {layout_key(names): names for names in photo.layouts}
        new = {key: names for key, names in keyed.items() if key not in self._layouts}
        if new:
            layouts = json.dumps({"layouts": new}, ensure_ascii=False).encode()
            line = b"%s, %s]\n" % (line.removesuffix(b"]\n"), layouts)
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._file.fileno(), rest) :]
        self._layouts |= new
        self._end = at + len(line)
        return at

    def line(self, at: int) -> JournalLine:
        """The photo whose line is somewhere."""
        self._read.seek(at)
        head, *faces = json.loads(self._read.readline())
        return self._line(head, faces)

    def texts(self, at: int) -> tuple[dict[str, str], list[str]]:
        """The same for a JSON table: the columns, and each face's text as the table has it."""
        self._read.seek(at)
        line = self._read.readline().decode()
        head, end = json.JSONDecoder().raw_decode(line, 1)
        faces = line[end + len(", {\r") : -len("\r  }]\n")].split(_BETWEEN)
        return head["columns"], ["{\n" + face.replace("\r", "\n") + "\n  }" for face in faces]

    def csv_rows(self, at: int) -> tuple[dict[str, str], list[tuple[tuple[str, ...], str, str]]]:
        """The same for a CSV table: the columns, and the names and texts of each face, see `finish`."""
        self._read.seek(at)
        head, *faces = json.loads(self._read.readline())
        return head["columns"], [
            (self._layouts[face[0]], face[1], face[2]) for face in faces if isinstance(face, list)
        ]

    def remove(self) -> None:
        """Remove the file: the table has it all."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def close(self) -> None:
        """Let the file be, for a next run."""
        self._file.close()
        self._read.close()

    def _cut(self, end: int) -> None:
        if os.fstat(self._file.fileno()).st_size != end:
            os.ftruncate(self._file.fileno(), end)
        self._end = end

    def _line(self, head: dict[str, Any], faces: list[Any]) -> JournalLine:
        columns = head["columns"]  # a former version has a record here
        if len(head) != 2:
            raise ValueError("not of this version")
        if isinstance(faces[-1], dict) and "layouts" in faces[-1]:  # of these columns it is the first
            self._layouts |= {key: tuple(names) for key, names in faces.pop()["layouts"].items()}
        return JournalLine(columns, [self._row(face) if isinstance(face, list) else face for face in faces])

    def _row(self, face: list[Any]) -> Row:
        names, values = self._layouts[face[0]], face[1:]
        if len(values) != len(names):
            return CsvRow(names, "".join(values)).row()
        return dict(zip(names, values, strict=True))
