"""Who works on many photographs, with results that do not depend on it.

Everything that reads many photos takes ``jobs``, a number, and ``runner``, who does the work; left out, it is
chosen by the number of jobs and photos (`choose`). What a runner is given must be able to travel to another
process or machine: `work` is a function of a module, or a frozen dataclass with ``__call__`` that holds
settings, encoder and store, but no closure; items and results are records, numbers and pictures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from anthropo.errors import InputError, PhotoError, parameter

T = TypeVar("T")
R = TypeVar("R")


#: Photos from which on processes are worth their start. Of threads one at a time does what is not compiled:
#: with two jobs they lose 6 ms for each photo, and more with more jobs. The command's processes are copies of
#: it and gain from 10 photos on; those of a program that has threads load everything anew, in 0.9 s.
ENOUGH = 100
_MOST = 4  # workers for each core: on a slow disk some wait while others work, but more would only wait


@dataclass(frozen=True, slots=True)
class Lost:
    """In place of a result: whoever worked on the item ended, and so did who tried it again.

    Examples
    --------
    >>> from anthropo.parallel import Lost
    >>> Lost("the process that worked on it was killed (SIGKILL)").reason("p7.jpg")[:58]
    'p7.jpg: the process that worked on it was killed (SIGKILL)'
    """

    why: str  # such as "the process that worked on it was killed (SIGKILL)"
    advice: str = ""  # what to do if memory is short; left out: use fewer jobs

    def reason(self, photo: str) -> str:
        """A photo's reason."""
        advice = self.advice or f"Use fewer {parameter('jobs')}"
        return f"{photo}: {self.why}, twice. {advice} if memory is short, or leave the photo out."


class Runner(Protocol):
    """Works on many items at once, with a limited number ahead of who takes the results.

    Exceptions of `work` are raised where the next result would come. Closing the generator, also by Ctrl-C,
    lets what is under way finish for some seconds and begins nothing more.

    Examples
    --------
    >>> from anthropo.parallel import Runner, Threads
    >>> runner: Runner = Threads(2)
    >>> sorted(runner.completed(abs, [-1, -2, 3]))
    [(0, 1), (1, 2), (2, 3)]
    """

    def completed(
        self, work: Callable[[T], R], items: Iterable[T]
    ) -> Generator[tuple[int, R | Lost], None, None]:
        """Results with the index of their item, as they come."""
        ...

    def in_order(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R | Lost, None, None]:
        """Results in the order of the items."""
        ...


def choose(jobs: int, count: int | None = None, runner: Runner | None = None) -> Runner:
    """Who works on `count` photos with so many jobs: the `runner`, if there is one.

    Else threads of this process for few photos, processes for `ENOUGH` and more; never more of them than
    photos, nor than four for each core.

    Parameters
    ----------
    jobs : int
        Photos that are worked on at once.
    count : int, optional
        How many there are; many when left out.
    runner : Runner, optional
        Who was chosen before.

    Returns
    -------
    Runner

    Raises
    ------
    InputError
        If there are fewer jobs than one.

    Examples
    --------
    >>> from anthropo.parallel import choose
    >>> list(choose(2, 3).in_order(abs, [-1, -2, 3]))
    [1, 2, 3]
    """
    from anthropo.parallel.threads import Threads

    if runner is not None:
        return runner
    if jobs < 1:
        raise InputError(f"{parameter('jobs', jobs)}: at least 1 is needed.")
    workers = min(jobs, _MOST * available_cores())
    if count is not None:
        workers = max(1, min(workers, count))
    if workers == 1 or (count is not None and count < ENOUGH) or getattr(sys, "frozen", False):
        return Threads(workers)  # a program that was made into one file is no Python that could be started
    from anthropo.parallel.processes import Processes

    return Processes(workers)


def available_cores() -> int:
    """Cores that this process may use (a cluster job often has fewer than the machine)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ordered(results: Iterable[tuple[int, R]]) -> Iterator[R]:
    """Results that come with their index, in its order."""
    early: dict[int, R] = {}
    due = 0
    for index, result in results:
        early[index] = result
        while due in early:
            yield early.pop(due)
            due += 1


def unless_lost(result: R | Lost, photo: str) -> R:
    """A photo's result; a PhotoError where it is lost and nothing can go on without it."""
    if isinstance(result, Lost):
        raise PhotoError(result.reason(photo))
    return result
