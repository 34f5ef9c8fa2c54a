"""Several photographs at once by threads of this process."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from anthropo.memory import memory

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 8  # items for each job that are begun before the first of them is done
PATIENCE = 10.0  # seconds that an interruption waits for what is under way


@dataclass(frozen=True, slots=True)
class Threads:
    """Works on items by so many threads; with one job in the caller's own.

    A network computes each item on one thread, however many jobs there are: the sums of a matrix product
    that several threads share are rounded in another order, and differ in their last digits.

    Examples
    --------
    >>> from anthropo.parallel import Threads
    >>> sorted(Threads(2).completed(abs, [-1, -2]))
    [(0, 1), (1, 2)]
    """

    jobs: int

    def completed(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[tuple[int, R], None, None]:
        """Results with the index of their item, as they come."""
        todo = enumerate(items)
        if self.jobs <= 1:
            with network_threads(1):
                for index, item in todo:
                    yield index, _alone(work, item)
            return
        # here, since importing them takes longer than a photo needs to be decoded
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        with network_threads(1):
            pool = ThreadPoolExecutor(self.jobs)  # its threads take over how many the network may use
            begun: dict[Future[R], int] = {}

            def begin(count: int) -> None:
                begun.update((pool.submit(_alone, work, item), index) for index, item in islice(todo, count))

            try:
                begin(2 * self.jobs)
                while begun:
                    for future in wait(begun, return_when=FIRST_COMPLETED).done:
                        index = begun.pop(future)
                        begin(1)
                        yield index, future.result()
            finally:
                leave(pool, begun)

    def in_order(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
        """Results in the order of the items."""
        if self.jobs <= 1:
            yield from (result for _, result in self.completed(work, items))
            return
        from concurrent.futures import ThreadPoolExecutor

        todo = iter(items)
        with network_threads(1):
            pool = ThreadPoolExecutor(self.jobs)
            waiting: deque[Future[R]] = deque()
            try:
                waiting.extend(pool.submit(_alone, work, item) for item in islice(todo, AHEAD * self.jobs))
                while waiting:
                    result = waiting.popleft().result()
                    waiting.extend(pool.submit(_alone, work, item) for item in islice(todo, 1))
                    yield result
            finally:
                leave(pool, waiting)


def _alone(work: Callable[[T], R], item: T) -> R:
    with memory.one_photo():
        return work(item)


def leave(pool: ThreadPoolExecutor, begun: Collection[Future[R]]) -> None:
    """Begin nothing more, also after Ctrl-C, and wait a while for what is under way: it may be stuck."""
    from concurrent.futures import wait

    pool.shutdown(wait=False, cancel_futures=True)
    stuck = wait([future for future in begun if not future.cancelled()], timeout=PATIENCE).not_done
    pool.shutdown(wait=not stuck)


@contextmanager
def network_threads(count: int) -> Generator[None, None, None]:
    """Give a network so many threads for each of its sums, and what it had before afterwards."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "set_num_threads"):  # not loaded, or not yet: nothing uses it
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
