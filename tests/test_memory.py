from __future__ import annotations

import threading
import time

import pytest

from anthropo import memory as module
from anthropo.memory import Memory, memory
from anthropo.parallel import Threads


class Watch:
    """How much is in use at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def change(self, size: int) -> None:
        with self._lock:
            self.now += size
            self.most = max(self.most, self.now)


def test_photos_that_do_not_fit_together_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "most", 100)
    watch = Watch()

    def work(size: int) -> int:
        with memory.taken(size, keep=size):
            watch.change(size)
        time.sleep(0.01)  # the photo is measured
        watch.change(-size)
        return size

    sizes = [60, 30, 50, 20, 90, 10, 40, 70] * 3
    assert list(Threads(4).in_order(work, sizes)) == sizes
    assert 50 < watch.most <= 100
    assert memory._used == 0


def test_a_photo_larger_than_everything_is_alone() -> None:
    memory = Memory(100)
    with memory.one_photo(), memory.taken(1000, keep=1000):
        assert memory._used == 1000
    assert memory._used == 0


def test_a_photo_that_has_begun_does_not_wait() -> None:
    """Else two photos of which each has decoded once would wait for each other."""
    memory = Memory(100)
    both = threading.Barrier(2)
    done = []

    def work() -> None:
        with memory.one_photo():
            with memory.taken(50, keep=50):
                both.wait(10)
            with memory.taken(80, keep=10):
                done.append(memory._used)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(done) == 2
    assert memory._used == 0


def test_outside_of_a_cohort_only_decoding_counts() -> None:
    memory = Memory(100)
    for _ in range(5):
        with memory.taken(80, keep=80):
            pass
    assert memory._used == 0


def test_what_fails_keeps_nothing() -> None:
    memory = Memory(100)
    with memory.one_photo():
        with pytest.raises(ValueError, match="x"), memory.taken(80, keep=80):
            raise ValueError("x")
        assert memory._used == 0
    assert memory._used == 0


def test_half_of_the_memory() -> None:
    assert module._half_of_all() == memory.most >= 2 << 30
