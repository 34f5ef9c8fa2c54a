"""Work on several photographs at once, with results that do not depend on the number of threads."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from anthropo.memory import memory

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 8  # items for each job that are begun before the first of them is done
_PATIENCE = 10.0  # seconds that an interruption waits for what is under way


def in_order(work: Callable[[T], R], items: Iterable[T], jobs: int = 1) -> Generator[R, None, None]:
    """Results of `work` in the order of the items, from `jobs` threads, a limited number ahead.

    A network computes each item on one thread, however many jobs there are: the sums of a matrix product
    that several threads share are rounded in another order, and differ in their last digits.
    """

    def alone(item: T) -> R:
        with memory.one_photo():
            return work(item)

    todo = iter(items)
    with _one_network_thread():
        pool = ThreadPoolExecutor(max(1, jobs))  # its threads take over how many the network may use
        waiting: deque[Future[R]] = deque()
        try:
            waiting.extend(pool.submit(alone, item) for item in islice(todo, _AHEAD * max(1, jobs)))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(alone, item) for item in islice(todo, 1))
                yield result
        finally:
            leave(pool, waiting)


def leave(pool: ThreadPoolExecutor, begun: Collection[Future[R]]) -> None:
    """Begin nothing more, also after Ctrl-C, and wait a while for what is under way: it may be stuck."""
    pool.shutdown(wait=False, cancel_futures=True)
    stuck = wait([future for future in begun if not future.cancelled()], timeout=_PATIENCE).not_done
    pool.shutdown(wait=not stuck)


@contextmanager
def _one_network_thread() -> Generator[None, None, None]:
    torch = sys.modules.get("torch")
    if torch is None:  # not loaded: no network is used
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
