"""Work for processes, which they import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropo.errors import FaceError, parameter
from anthropo.licensing import is_permissive_run
from anthropo.memory import memory


def square(i: int) -> int:
    time.sleep(0.001 * (i % 3))
    return i * i


def who(_: object) -> int:
    return os.getpid()


def niceness(_: object) -> int:
    return os.nice(0)


def surroundings(_: object) -> tuple[str, bool, str]:
    return os.getcwd(), is_permissive_run(), parameter("jobs", 2)


def threads(_: object) -> tuple[int, str]:
    import torch

    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def spelled(name: str) -> str:
    return parameter(name, 1)


def fail_at_three(i: int) -> int:
    if i == 3:
        raise FaceError("the third")
    return i


class OddError(FaceError):
    """Cannot be made again from its text."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.lock = open(os.devnull)  # noqa: SIM115 (what cannot be pickled)


def fail_oddly(_: object) -> None:
    raise OddError(1, 2)


def killed(i: int) -> int:
    """Works on 7 in vain; on 11 the second time."""
    if i == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return i


@dataclass(frozen=True)
class KilledOnce:
    """Works on 11 the second time, and crashes on 13."""

    folder: Path

    def __call__(self, i: int) -> int:
        if i == 11:
            try:
                (self.folder / "tried").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
            except FileExistsError:
                return -i
        if i == 13:
            os.kill(os.getpid(), signal.SIGSEGV)
        return i


@dataclass(frozen=True)
class Logged:
    """Writes down what is begun and finished."""

    folder: Path
    seconds: float = 0.0

    def __call__(self, i: int) -> int:
        (self.folder / f"{i}.begun").touch()
        time.sleep(self.seconds)
        (self.folder / f"{i}.done").touch()
        return i


def stuck(i: int) -> int:
    if i == 2:
        time.sleep(3600)
    return i


def descriptors(_: object) -> int:
    """How many files are open, but for the folder that says it."""
    return len(os.listdir("/proc/self/fd")) - 1


def large(i: int) -> bytes:
    return bytes([i]) * 3_000_000


def most(_: object) -> int:
    return memory.most


@dataclass(frozen=True)
class Takes:
    """Notes how much memory all processes take at once, in files."""

    folder: Path

    def __call__(self, size: int) -> int:
        with memory.taken(size, keep=size):
            mine = self.folder / f"{os.getpid()}.{size}"
            mine.touch()
            together = [int(name.rpartition(".")[2]) for name in os.listdir(self.folder)]
            time.sleep(0.02)
            mine.unlink()
        return sum(one > memory.most for one in together)


@dataclass(frozen=True)
class Prepared:
    """Says in which process it was prepared."""

    found: list[Any]

    def prepare(self) -> None:
        self.found.append(os.getpid())

    def __call__(self, _: object) -> tuple[int, int]:
        return self.found[0], os.getpid()


class Unready:
    """Cannot be made again in another process."""

    def __setstate__(self, state: object) -> None:
        raise ImportError("no such module")

    def __getstate__(self) -> dict[str, int]:
        return {"some": 1}

    def __call__(self, i: int) -> tuple[int, int]:
        return i, os.getpid()


def own_measurements(_: object) -> tuple[str, ...]:
    from anthropo.measurement.registry import registry

    return tuple(entry.expression for entry in registry.user_defined.values())
