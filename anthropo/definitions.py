"""Definitions of measurements of one's own, as data: which ones count in this process.

They count for the whole process, as a permissive run does: whatever measures, scores, learns, draws or
reports looks measurements up in the registry, and processes that work on photographs are told them
(`anthropo.parallel`). `anthropo.measurement.registry` checks them and makes entries of them.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A measurement as the registry's table has it.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.registry.definitions
    ()
    """

    id: str
    name: str
    kind: str  # distance, angle, ratio, area, curvature or asymmetry
    unit: str  # ex-ex, ex-ex², mm, %, 1 or deg
    expression: str  # of landmarks
    region: str = "face"  # eye, brow, nose, mouth, jaw or face
    side: str = "mid"  # R, L or mid
    definition: str = ""  # published source
    needs_mm: bool = False  # whether the expression takes millimetres
    needs_fine: bool = False  # whether it needs what only the fine landmark stage sees
    voids: str = ""  # checks of the photo gate that void it when they fail, with spaces between
    hpo_low: str = ""  # HPO term when low
    hpo_high: str = ""  # HPO term when high
    note: str = ""
    reliability: float | None = (
        None  # share of the variance between people that is no error, where it is known
    )


_lock = threading.Lock()
_numbers = itertools.count(1)
_state: tuple[int, tuple[Definition, ...]] = (
    0,
    (),
)  # a number of its own for each state, and what counts in it
_blocks: dict[str, int] = {}  # by id: blocks that need a definition which is only there because of them


def definitions() -> tuple[Definition, ...]:
    """The definitions that count now."""
    return _state[1]


def state() -> int:
    """A number that differs when other definitions count: what is kept of them can be told by it."""
    return _state[0]


def _count(wanted: tuple[Definition, ...]) -> None:
    global _state
    if wanted != _state[1]:
        _state = next(_numbers), wanted


def define(new: Iterable[Definition]) -> None:
    """Let these count as well from now on."""
    with _lock:
        for one in new:
            _blocks.pop(one.id, None)
            if one not in definitions():
                _count((*definitions(), one))


def forget(names: Iterable[str]) -> None:
    """Let those of these names count no more."""
    gone = {*names}
    with _lock:
        _count(tuple(one for one in definitions() if one.id not in gone))
        for name in gone:
            _blocks.pop(name, None)


@contextmanager
def defined(new: Iterable[Definition]) -> Iterator[None]:
    """Let these count as well within the block, or within several blocks of threads at the same time."""
    held = tuple(new)
    with _lock:
        for one in held:
            if one not in definitions():
                _count((*definitions(), one))
                _blocks[one.id] = 1
            elif one.id in _blocks:
                _blocks[one.id] += 1
    try:
        yield
    finally:
        with _lock:
            for one in held:
                if one.id in _blocks:
                    _blocks[one.id] -= 1
            over = {name for name, n in _blocks.items() if not n}
            _count(tuple(one for one in definitions() if one.id not in over))
            for name in over:
                del _blocks[name]


@contextmanager
def only(wanted: tuple[Definition, ...] | None = None) -> Iterator[None]:
    """Within the block exactly these count, or all that do; what the block adds is gone afterwards."""
    global _state
    with _lock:
        before, blocks = _state, dict(_blocks)
        _count(definitions() if wanted is None else wanted)
    try:
        yield
    finally:
        with _lock:
            _state = before
            _blocks.clear()
            _blocks.update(blocks)
