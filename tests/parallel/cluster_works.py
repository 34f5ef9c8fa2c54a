"""What workers of a cluster are given to do in tests, and what is changed in them before they begin."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


def slowly(number: int) -> int:
    time.sleep(0.02)
    return number


@dataclass(frozen=True)
class Deadly:
    """Ends its worker at some numbers: each time, or once if there is a folder to note it in."""

    numbers: tuple[int, ...]
    folder: Path | None = None

    def __call__(self, number: int) -> int:
        time.sleep(0.005)
        if number in self.numbers:
            note = self.folder and self.folder / str(number)
            if note is None or not note.exists():
                if note:
                    note.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return number


def greedy(number: int) -> int:
    """Takes more and more memory at 5."""
    taken = []
    while number == 5:
        taken.append(b"x" * (50 << 20))
        time.sleep(0.05)
    return number


def fails_at_five(number: int) -> int:
    if number == 5:
        raise KeyError("five")
    return number


def surroundings(number: int) -> tuple[str, str, int]:
    """Where and how a worker works."""
    import torch

    from anthropo.errors import parameter

    return os.getcwd(), parameter("face", "largest"), torch.get_num_threads()


def dask_setup(worker: object) -> None:
    """As a preload of a worker: what its environment variables ask for."""
    import anthropo.files
    import anthropo.parallel.identity as identity

    if version := os.environ.get("TEST_VERSION"):
        identity.__version__ = version
    if weights := os.environ.get("TEST_WEIGHTS"):
        import anthropo.settings

        anthropo.settings.fine_sha256 = lambda: weights
    if hidden := os.environ.get("TEST_HIDDEN"):
        before = anthropo.files.open_regular

        def open_regular(path, *args, **kwargs):  # type: ignore[no-untyped-def]
            if os.path.abspath(path).startswith(hidden):
                raise FileNotFoundError(2, os.strerror(2))
            return before(path, *args, **kwargs)

        anthropo.files.open_regular = open_regular
