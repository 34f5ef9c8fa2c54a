"""A Parquet table of very many rows: a folder of parts, which pandas and pyarrow read as one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from anthropo.batch.encoding import Parquet, Rows
from anthropo.batch.records import Row
from anthropo.decoding.parquet import iterate_parquet
from anthropo.errors import InputError

#: Rows of a part.
ROWS = 50_000
_PART = re.compile(r"part-\d{5,}\.parquet")


class ForeignError(InputError):
    """A folder of parts holds something else."""


def is_folder_of_parts(path: str) -> bool:
    """Whether a table is one by its name: ``faces.parquet/``, or an existing folder that is called so."""
    bare = path.rstrip("/" + os.sep)
    return bare.lower().endswith(".parquet") and (bare != path or os.path.isdir(path))


def rows_in(folder: Path) -> Iterator[Row]:
    """The rows of all parts, in order."""
    for part in _parts(folder):
        yield from iterate_parquet(part)


def write_parts(folder: Path, rows: Rows) -> None:
    """Write a folder anew: beside it, whereupon the two change places.

    What is killed in between is mended by `mend`. An InputError says that the folder holds something else.
    """
    folder, new, old = _places(folder)
    try:
        new.mkdir()
        table, each = Parquet(rows), iter(rows())
        for number, first in enumerate(chain(islice(each, 1), each)):
            _write(table, new / f"part-{number:05}.parquet", chain([first], islice(each, ROWS - 1)))
        if not any(new.iterdir()):
            _write(table, new / f"part-{0:05}.parquet", iter(()))
        if folder.exists():
            _parts(folder)  # it holds nothing that would get lost
            os.chmod(new, folder.stat().st_mode & 0o777)
            os.rename(folder, old)
        os.rename(new, folder)
    except BaseException:
        with contextlib.suppress(OSError):
            mend(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def mend(folder: Path) -> None:
    """Bring in order what a run left that was killed while it wrote; its journal has what it did."""
    folder, new, old = _places(folder)
    if old.exists() and not folder.exists():
        os.rename(old, folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)


def _write(table: Parquet, part: Path, rows: Iterator[Row]) -> None:
    with open(part, "wb") as file:
        table.write(file, rows)
        file.flush()
        os.fsync(file.fileno())


def _places(folder: Path) -> tuple[Path, Path, Path]:
    """The folder itself, where it is written, and where the former one waits until it is."""
    folder = Path(os.path.realpath(folder))
    mine = f".anthropo-{hashlib.sha256(folder.name.encode()).hexdigest()[:16]}"
    return folder, folder.with_name(f"{mine}.new"), folder.with_name(f"{mine}.old")


def _parts(folder: Path) -> list[Path]:
    files = sorted(folder.iterdir())
    for path in files:
        if not _PART.fullmatch(path.name) or not path.is_file():
            raise ForeignError(
                f"{folder}: holds {path.name}, which is no part of a table that anthropo wrote. Move it, or "
                "choose another name."
            )
    return files
