"""Rows that wait on the disk instead of in memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from anthropo.batch.records import Row


class Spool:
    """Rows in a file without a name, which is gone when it is closed or the process ends.

    Examples
    --------
    >>> from pathlib import Path
    >>> from anthropo.batch.spool import Spool
    >>> spool = Spool(Path("."))
    >>> first, second = (spool.add({"photo": name, "face": 0}) for name in ("a.png", "b.png"))
    >>> spool.row(second)
    {'photo': 'b.png', 'face': 0}
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._layouts: dict[tuple[str, ...], int] = {}
        self._names: list[tuple[str, ...]] = []
        self._end = 0

    def add(self, row: Row) -> int:
        """Keep a row; where it lies. A ValueError says that a value cannot be written as text."""
        names = tuple(row)
        layout = self._layouts.setdefault(names, len(self._names))
        if layout == len(self._names):
            self._names.append(names)
        line = json.dumps([layout, *row.values()], ensure_ascii=False).encode() + b"\n"
        at = self._end
        self._file.write(line)
        self._end += len(line)
        return at

    def row(self, at: int) -> Row:
        """The row that lies somewhere."""
        self._file.seek(at)
        return self._of(self._file.readline())

    def rows(self) -> Iterator[Row]:
        """All rows, in order."""
        self._file.seek(0)
        for line in self._file:
            yield self._of(line)

    def __bool__(self) -> bool:
        return self._end > 0

    def close(self) -> None:
        """Let the rows go."""
        with contextlib.suppress(OSError):  # what a full disk did not take
            self._file.close()

    def _of(self, line: bytes) -> Row:
        layout, *values = json.loads(line)
        return dict(zip(self._names[layout], values, strict=True))


@lru_cache(maxsize=256)
def layout_key(names: tuple[str, ...]) -> str:
    """What a journal calls the columns of a row, in whatever run."""
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
