"""Which worker of a cluster gets which items next, and what becomes of items whose worker has ended.

Nothing here knows of Dask: the decisions are made on names of workers and numbers of batches alone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

_SECONDS = 1.5  # that a batch is to take: long beside the way to a worker, short if it has to be done again
_MOST_ITEMS = 64  # in a batch
_MOST_BYTES = 32 << 20  # in a batch, of photos that are sent
_SPARE = 1  # batches that wait at a worker, so that it need not wait for the next
_AHEAD = 4  # batches for each thread that may be done before the item that is waited for


@dataclass(slots=True, eq=False)
class ItemBatch(Generic[T]):
    """Items that one worker has at a time, each with its index."""

    number: int
    items: list[tuple[int, T]]
    alone: bool = False  # an item that a worker ended with: nothing else runs beside it


@dataclass(slots=True, eq=False)
class _Load(Generic[T]):
    """A worker: how many batches it works on at once, and what it has, in the order it got them."""

    threads: int
    batches: deque[ItemBatch[T]] = field(default_factory=deque)

    @property
    def running(self) -> list[ItemBatch[T]]:
        return list(self.batches)[: self.threads]


class Schedule(Generic[T]):
    """The workers and what is left to do.

    Parameters
    ----------
    items : iterable
        The work, in order.
    total : int
        How many there are; 0: not known.
    weigh : callable, optional
        Bytes that are sent with an item.
    gather : bool
        Whether results are wanted in order: then no worker runs far ahead of the item that is waited for.
    """

    def __init__(
        self,
        items: Iterable[T],
        *,
        total: int = 0,
        weigh: Callable[[T], int] = lambda item: 0,
        gather: bool = False,
    ) -> None:
        self._total = total
        self._todo: Iterator[tuple[int, T]] = enumerate(items)
        self._again: deque[tuple[int, T]] = deque()  # of workers that left, through no fault of theirs
        self._suspects: deque[tuple[int, T]] = deque()  # a worker ended while it had them
        self._loads: dict[str, _Load[T]] = {}
        self._deaths: dict[int, int] = {}  # of workers, by the item that they had
        self._weigh = weigh
        self._gather = gather
        self._each: float | None = None  # seconds that an item takes
        self._number = 0
        self._next = 0  # index of the item that is waited for
        self._begun = 0  # items taken from `todo`
        self._end = False

    @property
    def workers(self) -> frozenset[str]:
        return frozenset(self._loads)

    @property
    def busy(self) -> bool:
        """Whether any worker has something to do."""
        return any(load.batches for load in self._loads.values())

    @property
    def finished(self) -> bool:
        """Whether everything is done; finding that out may take the next item."""
        if self.busy or self._again or self._suspects:
            return False
        if not self._end:
            self._again.extend(self._take(1))
        return not self._again

    def joined(self, worker: str, threads: int) -> None:
        """A worker may have batches, as many at once as it has threads."""
        self._loads[worker] = _Load(max(1, threads))

    def left(self, worker: str) -> tuple[list[ItemBatch[T]], list[int]]:
        """A worker is no more: the batches it had, and the items that two workers have ended with.

        Who had only been waiting there goes to another worker as if nothing had been. What it was working on
        is tried once more, each item by itself, so that the one that did it is found.
        """
        load = self._loads.pop(worker)
        running, lost = load.running, []
        for batch in load.batches:
            if batch not in running:
                (self._suspects if batch.alone else self._again).extend(batch.items)
                continue
            for index, item in batch.items:
                self._deaths[index] = self._deaths.get(index, 0) + 1
                if self._deaths[index] < 2:
                    self._suspects.append((index, item))
                else:
                    lost.append(index)
        return list(load.batches), lost

    def returned(self, worker: str, batch: ItemBatch[T]) -> None:
        """A batch came back undone through nobody's fault."""
        self._loads[worker].batches.remove(batch)
        (self._suspects if batch.alone else self._again).extend(batch.items)

    def done(self, worker: str, batch: ItemBatch[T], seconds: float) -> None:
        """A worker has done a batch, which took it some seconds."""
        self._loads[worker].batches.remove(batch)
        each = seconds / len(batch.items)
        self._each = each if self._each is None else 0.7 * self._each + 0.3 * each

    def waits_for(self, index: int) -> None:
        """All items before this one have been handed on."""
        self._next = index

    def next(self) -> tuple[str, ItemBatch[T]] | None:
        """A worker that has time and its next batch; None when nobody has, or nothing is left to begin."""
        for worker, load in sorted(self._loads.items(), key=lambda named: len(named[1].batches)):
            if any(batch.alone for batch in load.batches):
                continue
            if self._suspects and not load.batches:
                return self._given(worker, [self._suspects.popleft()], alone=True)
            if self._suspects and len(self._suspects) > self._on_their_way:
                continue  # it shall run dry for one of them
            if len(load.batches) < load.threads + _SPARE and (items := self._batch()):
                return self._given(worker, items)
        return None

    @property
    def _on_their_way(self) -> int:
        """Items that are tried by themselves at the moment."""
        return sum(batch.alone for load in self._loads.values() for batch in load.batches)

    def _given(
        self, worker: str, items: list[tuple[int, T]], alone: bool = False
    ) -> tuple[str, ItemBatch[T]]:
        self._number += 1
        batch = ItemBatch(self._number, items, alone)
        self._loads[worker].batches.append(batch)
        return worker, batch

    def _batch(self) -> list[tuple[int, T]]:
        """Items that together take about as long as a batch should."""
        threads = sum(load.threads for load in self._loads.values())
        size = 1 if self._each is None else round(_SECONDS / max(self._each, 1e-6))
        if self._total:  # towards the end smaller ones, so that all workers end at about the same time
            size = min(size, math.ceil((self._total - self._begun) / (2 * threads)))
        size = max(1, min(size, _MOST_ITEMS))
        if self._gather and self._begun > self._next + _AHEAD * size * (threads + len(self._loads)):
            return [self._again.popleft()] if self._again else []
        return self._take(size)

    def _take(self, size: int) -> list[tuple[int, T]]:
        items: list[tuple[int, T]] = []
        weight = 0
        while len(items) < size and weight < _MOST_BYTES:
            if self._again:
                one = self._again.popleft()
            else:
                following = next(self._todo, None)
                if following is None:
                    self._end = True
                    break
                one = following
                self._begun += 1
            items.append(one)
            weight += self._weigh(one[1])
        return items
