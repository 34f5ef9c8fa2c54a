"""Contents of files that another machine has sent, read in place of files that this one does not see."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tempfile

#: By the file's name on its own machine: what it holds, or what went wrong there when it was read.
Contents = Mapping[str, "bytes | OSError"]


class _Sent:
    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def copy(self, name: str, data: bytes) -> str:
        """A file with the content, for its owner only, until `close`."""
        if self._folder is None:
            import tempfile  # here, since few files are sent

            self._folder = tempfile.TemporaryDirectory(prefix="anthropo-")
        copy = Path(self._folder.name, f"{list(self.contents).index(name)}{Path(name).suffix}")
        if not copy.exists():
            copy.write_bytes(data)
        return str(copy)

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


_sent: ContextVar[_Sent | None] = ContextVar("sent", default=None)


@contextmanager
def files_sent(contents: Contents) -> Generator[None, None, None]:
    """Within the block, and in this thread, these files are what was sent of them.

    Examples
    --------
    >>> from anthropo.files import read_regular
    >>> with files_sent({"p7.jpg": b"pixels"}):
    ...     read_regular("p7.jpg")
    b'pixels'
    """
    ours = _Sent(contents)
    token = _sent.set(ours)
    try:
        yield
    finally:
        _sent.reset(token)
        ours.close()


def content_sent(path: str | os.PathLike[str]) -> bytes | None:
    """What was sent of a file, or raised in its place; None where nothing was."""
    ours = _sent.get()
    content = None if ours is None else ours.contents.get(os.fspath(path))
    if isinstance(content, OSError):
        raise content
    return content


def on_disk(path: str | os.PathLike[str]) -> str:
    """Where a file can be opened by another process: itself, or a copy of what was sent of it.

    The copy is removed when the block of `files_sent` ends. An OSError says why there can be none.
    """
    ours, content = _sent.get(), content_sent(path)
    if ours is None or content is None:
        return os.fspath(path)
    return ours.copy(os.fspath(path), content)
