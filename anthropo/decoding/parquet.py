"""Tables in Parquet, which pyarrow reads in a decoder's process: it was not made for hostile files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anthropo.decoding.kinds import PARQUET
from anthropo.decoding.limits import Limits
from anthropo.errors import InputError, PhotoError
from anthropo.files import MOST_TEXT, file_sha256, open_regular

if TYPE_CHECKING:
    from anthropo.decoding.pool import Worker

Row = dict[str, Any]

_MOST_CELLS = 50_000_000  # that are kept in memory
_MOST_ON_DISK = 100 * _MOST_CELLS
_CELLS_AT_ONCE = 200_000
_LIMITS = Limits(deadline=60.0)  # for each batch of rows, which takes a fraction of a second


def read_parquet(path: Path) -> list[Row]:
    """The rows of a table; dates and other values that JSON does not know come as text.

    An InputError says that it cannot be read, or takes too much memory or time.
    """
    return list(iterate_parquet(path, most_cells=_MOST_CELLS, most_text=MOST_TEXT))


def iterate_parquet(
    path: Path, *, most_cells: int = _MOST_ON_DISK, most_text: int | None = None
) -> Iterator[Row]:
    """The same row by row; only a batch of them is in memory."""
    from anthropo.decoding.guarded import checked, streamed
    from anthropo.decoding.undecodable import key_of

    with open_regular(path, most=None if most_text is None else MOST_TEXT):
        digest = file_sha256(path)

    done = 0  # rows, where the process was ended from outside and the work begins anew

    def work(one: Worker) -> Iterator[list[Row]]:
        nonlocal done
        request = {"kind": PARQUET, "bytes": 0, "where": str(path), "path": os.path.abspath(path)}
        one.ask({**request, "deadline": _LIMITS.deadline, "most": most_cells})
        total = at = 0
        while size := checked(one.answer(_LIMITS), str(path), _LIMITS)["size"]:
            total += size
            text = bytearray(size)
            one.fill(memoryview(text), _LIMITS)
            if most_text is not None and total > most_text:
                raise InputError(f"{path}: too large for a table.")
            rows: list[Row] = json.loads(text)
            at += len(rows)
            if at > done:
                yield rows[max(0, len(rows) - (at - done)) :]
                done = at

    try:
        for rows in streamed(work, str(path), PARQUET, key_of(digest), _LIMITS):
            yield from rows
    except PhotoError as error:
        raise InputError(str(error)) from None


def deliver(request: dict[str, Any], replies: IO[bytes]) -> None:
    """Answer with the rows as JSON, batch by batch, in the decoder's process; an empty one is the last."""
    import pyarrow
    import pyarrow.parquet

    from anthropo.decoding.worker import restrict, send, write

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # others set aside more than is allowed here
    restrict(Limits(deadline=request["deadline"]))
    try:
        with pyarrow.parquet.ParquetFile(request["path"]) as file:
            columns = max(1, file.metadata.num_columns)
            if file.metadata.num_rows * columns > request["most"]:
                raise PhotoError(f"{request['where']}: too large for a table.")
            for batch in file.iter_batches(max(1, _CELLS_AT_ONCE // columns), use_threads=False):
                text = json.dumps(batch.to_pylist(), default=str).encode("utf-8", "surrogatepass")
                if len(text) > MOST_TEXT:
                    raise PhotoError(f"{request['where']}: too large for a table.")
                send(replies, {"size": len(text)})
                write(replies, text)
                restrict(Limits(deadline=request["deadline"]))
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # pyarrow raises whatever a damaged file leads it to
        raise PhotoError(f"{request['where']}: not a readable table ({type(error).__name__}).") from None
    send(replies, {"size": 0})
