"""Arrays on disk by key: embeddings that need not be computed again.

One file per entry: magic, SHA-256 of the key and the rest, length of a JSON table, the table (name, type,
shape), then the arrays one after the other. Nothing in it is ever executed, and nothing is set aside for
what the table merely claims.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.files import read_regular, write_atomically

_MAGIC = b"anthropo-arrays-2\n"
_START = len(_MAGIC) + 32
_NUMBERS = re.compile(r"[<>|][biufc]\d{1,2}")  # types of arrays, as numpy writes them
_MOST_BYTES = 64 << 20  # of an entry; a photo's has 0.2 MiB


class Store:
    """A folder of arrays by key, for several threads and processes at once.

    An entry is either whole or absent: one that is half written, damaged or of another format counts as
    absent, and is replaced when it is put again. The folder is made when the first entry is put, for its
    owner only, since embeddings can identify a person.

    Examples
    --------
    >>> store = Store(Path("embeddings"))
    >>> store.get("photo 1") is None
    True
    >>> store.put("photo 1", {"face": np.zeros(3)})
    >>> store.get("photo 1")
    {'face': array([0., 0., 0.])}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """The arrays of an entry, read-only; None when there is none."""
        try:
            data = read_regular(self._path(key), most=_MOST_BYTES)
        except OSError:
            return None
        body = memoryview(data)[_START:]
        if data[:_START] != _MAGIC + _digest(key, body):
            return None
        # a digest is no signature: who wrote the entry may have written nonsense
        with contextlib.suppress(ValueError, TypeError, OverflowError, RecursionError):
            return _arrays(body)
        return None

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays of numbers under a key.

        A store that cannot be written (disk full, no permission) is left as it is: it only saves time.
        """
        table = []
        for name, array in arrays.items():
            if array.dtype.kind not in "biufc":
                raise ValueError(f"{name}: arrays of numbers can be kept, not {array.dtype}")
            table.append((name, array.dtype.str, array.shape))
        header = json.dumps(table).encode()
        body = b"".join([len(header).to_bytes(4, "little"), header, *(a.tobytes() for a in arrays.values())])
        path = self._path(key)
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomically(path, _MAGIC + _digest(key, body) + body)

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.bin"


def _digest(key: str, body: bytes | memoryview) -> bytes:
    """Of an entry with its key, so that none passes for another."""
    digest = hashlib.sha256(hashlib.sha256(key.encode()).digest())
    digest.update(body)
    return digest.digest()


def _arrays(body: memoryview) -> dict[str, NDArray[Any]]:
    """The arrays of an entry; one of several errors where its table is nonsense."""
    at = 4 + int.from_bytes(body[:4], "little")
    arrays: dict[str, NDArray[Any]] = {}
    for name, code, shape in json.loads(bytes(body[4:at])):
        if not isinstance(name, str) or not _NUMBERS.fullmatch(code) or not isinstance(shape, list):
            raise ValueError("an array is named by a text, a type and a shape")
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("a shape is of whole numbers")
        dtype, count = np.dtype(code), math.prod(shape)
        numbers = np.frombuffer(body, dtype, count, at) if count else np.empty(0, dtype)
        arrays[name] = numbers.reshape(shape)
        at += count * dtype.itemsize
    if at != len(body):
        raise ValueError("bytes that belong to no array")
    return arrays
