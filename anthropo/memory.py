"""How much memory photos may take that are worked on at once."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

_LEAST = 2 << 30  # bytes, of which a large photo takes most


class Memory:
    """The memory that photos may take together; a photo that does not fit beside the others waits for them.

    Outside `one_photo`, each decode counts while it lasts. Inside, a photo keeps what its decodes take until
    the end, and waits for the first of them only: two photos that wait for each other would wait for ever.
    """

    def __init__(self, most: int) -> None:
        self.most = most  # bytes
        self._used = 0
        self._changed = threading.Condition()
        self._mine = threading.local()  # what the photo of this thread keeps
        self._large: int | None = None  # descriptor of the file that a photo of more than `most` locks
        self._locked = False

    def share(self, most: int, large: int | None) -> None:
        """Take so much of the memory, of which other processes take as much.

        A photo that needs more locks the file with the descriptor `large`, so that there is one such photo
        at a time among the processes. The system unlocks it when its process ends.
        """
        self.most, self._large = most, large

    @contextmanager
    def one_photo(self) -> Generator[None, None, None]:
        """Around the work on one photo."""
        if getattr(self._mine, "kept", None) is not None:
            yield
            return
        self._mine.kept = 0
        try:
            yield
        finally:
            self._give(self._mine.kept)
            self._mine.kept = None
            if self._locked and self._large is not None:
                fcntl.lockf(self._large, fcntl.LOCK_UN)
                self._locked = False

    @contextmanager
    def taken(self, size: int, keep: int = 0) -> Generator[None, None, None]:
        """Around a decode that takes so many bytes, of which the photo keeps some."""
        kept = getattr(self._mine, "kept", None)
        with self._changed:
            # whatever its size, a photo need not wait if there is no other
            self._changed.wait_for(lambda: kept or not self._used or self._used + size <= self.most)
            self._used += size
        if self._large is not None and kept is not None and not self._locked and self._used > self.most:
            fcntl.lockf(self._large, fcntl.LOCK_EX)
            self._locked = True
        done = False
        try:
            yield
            done = True
        finally:
            if kept is None or not done:
                self._give(size)
            else:
                self._mine.kept += keep
                self._give(size - keep)

    def _give(self, size: int) -> None:
        with self._changed:
            self._used -= size
            self._changed.notify_all()


def _half_of_all() -> int:
    """Half of the memory that this process may use, bytes."""
    most = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows
        most.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # of a container
        with contextlib.suppress(OSError, ValueError), open(f"/sys/fs/cgroup/{name}") as file:
            most.append(int(file.read()))
    return max(_LEAST, min(most, default=0) // 2)


#: What all photos of this process may take together; a worker's is its share.
memory = Memory(_half_of_all())
