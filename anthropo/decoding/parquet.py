"""Tables in Parquet, which pyarrow reads in a decoder's process: it was not made for hostile files."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anthropo.decoding.kinds import PARQUET
from anthropo.decoding.limits import Limits
from anthropo.errors import InputError, PhotoError
from anthropo.files import MOST_TEXT, read_regular

if TYPE_CHECKING:
    from anthropo.decoding.pool import Worker

Row = dict[str, Any]

_MOST_CELLS = 50_000_000
_LIMITS = Limits(deadline=60.0)  # tens of thousands of photos take seconds


def read_parquet(path: Path) -> list[Row]:
    """The rows of a table; dates and other values that JSON does not know come as text.

    An InputError says that it cannot be read, or takes too much memory or time.
    """
    from anthropo.decoding.guarded import checked, guarded
    from anthropo.decoding.undecodable import key_of

    data = read_regular(path, most=MOST_TEXT)

    def work(one: Worker) -> list[Row]:
        request = {"kind": PARQUET, "bytes": len(data), "where": str(path), "deadline": _LIMITS.deadline}
        one.ask(request, data)
        size = checked(one.answer(_LIMITS), str(path), _LIMITS)["size"]
        text = bytearray(size)
        one.fill(memoryview(text), _LIMITS)
        rows: list[Row] = json.loads(text)
        return rows

    try:
        return guarded(work, str(path), PARQUET, key_of(hashlib.sha256(data).hexdigest()), _LIMITS)
    except PhotoError as error:
        raise InputError(str(error)) from None


def deliver(request: dict[str, Any], data: bytes, replies: IO[bytes]) -> None:
    """Answer with the rows as JSON, in the decoder's process."""
    import pyarrow
    import pyarrow.parquet

    from anthropo.decoding.worker import restrict, send, write

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # others set aside more than is allowed here
    restrict(Limits(deadline=request["deadline"]))
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        if file.metadata.num_rows * file.metadata.num_columns > _MOST_CELLS:
            raise PhotoError(f"{request['where']}: too large for a table.")
        rows = file.read(use_threads=False).to_pylist()
        text = json.dumps(rows, default=str).encode("utf-8", "surrogatepass")
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # pyarrow raises whatever a damaged file leads it to
        raise PhotoError(f"{request['where']}: not a readable table ({type(error).__name__}).") from None
    if len(text) > MOST_TEXT:
        raise PhotoError(f"{request['where']}: too large for a table.")
    send(replies, {"size": len(text)})
    write(replies, text)
