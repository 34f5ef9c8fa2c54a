"""Several photographs at once by processes of this machine: whoever works on one may even crash."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from anthropo import errors
from anthropo.definitions import definitions
from anthropo.memory import memory
from anthropo.parallel.ended import CRASHES, signal_of
from anthropo.parallel.link import Link
from anthropo.parallel.runner import Lost, ordered
from anthropo.parallel.threads import AHEAD, PATIENCE, Threads
from anthropo.parallel.worker import FORK, NUMBER, ONE_THREAD, STOP, WAIT, Context, serve_in_copy

T = TypeVar("T")
R = TypeVar("R")

_TRIES = 2  # on an item whose process ends
_QUEUED = 2  # items that a worker has at once: one that it works on, and one to go on with
# elsewhere libraries of the system may be unsafe in a forked process (macOS), or there is no fork (Windows)
_FORKS = sys.platform == "linux"


class _Process(Protocol):
    """A process that this one has started."""

    def kill(self) -> None: ...

    def wait(self) -> int: ...


class _Forked:
    """A copy of this process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class UnstartableError(Exception):
    """No process could be started for the work."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Works on items by so many processes, each of one thread; by threads where none can be started.

    The caller's program is not run again in them, and what is defined in it (`__main__`) cannot be sent to
    them: work that needs it is done by threads as well. With `behind`, they take little of what other
    programs want as well.

    Examples
    --------
    >>> from anthropo.parallel import Processes
    >>> list(Processes(2).in_order(abs, [-1, -2, 3]))
    [1, 2, 3]
    """

    jobs: int
    behind: bool = False

    def completed(
        self, work: Callable[[T], R], items: Iterable[T]
    ) -> Generator[tuple[int, R | Lost], None, None]:
        """Results with the index of their item, as they come."""
        with _started(work, self.jobs, self.behind) as pool:
            if pool is None:
                yield from Threads(self.jobs).completed(work, items)
            else:
                yield from pool.work(items, None)

    def in_order(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R | Lost, None, None]:
        """Results in the order of the items."""
        with _started(work, self.jobs, self.behind) as pool:
            if pool is None:
                yield from Threads(self.jobs).in_order(work, items)
                return
            yield from ordered(pool.work(items, AHEAD * self.jobs))


def sendable(work: object) -> bytes | None:
    """The work as it is sent to a process; None where it cannot be, or needs the caller's own program."""
    data = io.BytesIO()
    try:
        _Pickler(data, pickle.HIGHEST_PROTOCOL).dump(work)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, NotImplementedError):
        return None
    return data.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        if getattr(thing, "__module__", None) == "__main__":
            raise pickle.PicklingError("defined in the caller's program")
        return NotImplemented


def _is_copied_safely() -> bool:
    """Whether this process has one thread alone, and so have the libraries that it has loaded.

    So has the command line, unless it draws a progress bar. A copy need not load anything again.
    """
    try:
        alone = len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False
    return alone and all(os.environ.get(name) == "1" for name in ONE_THREAD)


@contextlib.contextmanager
def _started(work: Callable[[T], R], jobs: int, behind: bool) -> Iterator[_Pool[T, R] | None]:
    """Processes for the work, which end with the block; None where there can be none."""
    data = sendable(work)
    pool: _Pool[T, R] | None = None
    try:
        if data is not None:
            with contextlib.suppress(UnstartableError, OSError):
                pool = _Pool(data, jobs, behind)
                pool.start()
        yield pool if pool and pool.workers else None
    finally:
        if pool:
            pool.leave()


@dataclass(slots=True, eq=False)
class _Worker(Generic[T]):
    link: Link
    pid: int
    process: subprocess.Popen[bytes] | None  # where it is not forked
    queue: deque[tuple[int, T, int]] = field(default_factory=deque)  # index, item, which try it is


class _Pool(Generic[T, R]):
    """The processes of one piece of work."""

    def __init__(self, work: bytes, jobs: int, behind: bool = False) -> None:
        self.workers: list[_Worker[T]] = []
        self._work = work
        self._jobs = jobs
        self._behind = behind
        self._template: tuple[_Process, Link] | None = None  # that is forked
        self._selector = selectors.DefaultSelector()
        self._again: deque[tuple[int, T, int]] = deque()  # items whose worker ended
        self._fruitless = 0  # workers that ended since the last result
        self._lock = tempfile.TemporaryFile() if os.name == "posix" else None  # noqa: SIM115

    # -------------------------------------------------------------------------------- starting

    def start(self) -> None:
        """Start the workers: as many as can be, at least one."""
        for _ in range(self._jobs):
            try:
                self._add()
            except (UnstartableError, OSError):
                if not self.workers:
                    raise
                return

    def _add(self) -> None:
        ours, theirs = socket.socketpair()
        link = Link(ours)
        try:
            if _FORKS:
                process, pid = None, self._forked(theirs)
            else:
                process = self._program(theirs)
                pid = process.pid
                self._set_up(link)
        except BaseException:
            link.close()
            raise
        finally:
            theirs.close()
        worker: _Worker[T] = _Worker(link, pid, process)
        self.workers.append(worker)
        self._selector.register(link, selectors.EVENT_READ, worker)

    def _forked(self, theirs: socket.socket) -> int:
        """The process that answers on a link, forked from one that has read the work."""
        if self._template is None:
            mine, its = socket.socketpair()
            try:
                copied = not self._behind and _is_copied_safely()  # a copy would be as urgent as this one
                process = self._copy(its) if copied else self._program(its)
                self._template = process, Link(mine)
            except BaseException:
                mine.close()
                raise
            finally:
                its.close()
            self._set_up(self._template[1])
        control = self._template[1].socket
        try:
            socket.send_fds(control, [FORK], [theirs.fileno()])
            pid = int.from_bytes(control.recv(NUMBER, socket.MSG_WAITALL), "little", signed=True)
        except OSError:
            pid = 0
        if pid <= 0:
            raise UnstartableError
        return pid

    def _copy(self, theirs: socket.socket) -> _Forked:
        """A copy of this process, which has loaded everything, that serves the other end of a link."""
        kept = {theirs.fileno(), *([self._lock.fileno()] if self._lock else [])}
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        try:
            pid = os.fork()
            if pid == 0:
                serve_in_copy(theirs, kept)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return _Forked(pid)

    def _program(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        """A process that serves the other end of a link; it finds the same packages as this one."""
        places = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        descriptor = theirs.fileno() if os.name == "posix" else None
        passed = [descriptor] if descriptor is not None else []
        if self._lock:
            passed.append(self._lock.fileno())
        program = (
            f"import sys; sys.path[:] = {places!r}; from anthropo.parallel import worker; "
            f"{'worker.give_way(); ' if self._behind else ''}"
            f"worker.serve(worker.connected({descriptor}), {_FORKS})"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL if descriptor is not None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            pass_fds=passed,
            creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0) if self._behind else 0,
            start_new_session=True,  # Ctrl-C is for this process alone
        )
        if descriptor is None:
            shared: bytes = theirs.share(process.pid)  # type: ignore[attr-defined]
            assert process.stdin is not None
            process.stdin.write(len(shared).to_bytes(NUMBER, "little") + shared)
            process.stdin.close()
        return process

    def _set_up(self, link: Link) -> None:
        """Send the work, and wait until it is there."""
        lock = self._lock.fileno() if self._lock else None
        added = definitions()
        context = Context(errors.spelling(), memory.most // (self._jobs + 1), lock, added)
        setup = sendable(context) or pickle.dumps(Context(errors.in_python, context.memory, lock, added))
        try:
            link.send(setup)
            link.send(self._work)
            answer = link.receive()
        except OSError:
            answer = None
        if answer is None or (why := pickle.loads(answer)):
            raise UnstartableError(why if answer else "the process ended")

    # -------------------------------------------------------------------------------- working

    def work(self, items: Iterable[T], ahead: int | None) -> Iterator[tuple[int, R | Lost]]:
        """Results with the index of their item; no item is begun that is `ahead` of an unfinished one."""
        todo = self._items(items)
        begun: dict[int, None] = {}  # that are not finished, the oldest first

        def fill() -> None:
            """Give every worker enough to go on with, first of all one item to each."""
            for enough in range(1, _QUEUED + 1):
                for worker in self.workers:
                    if len(worker.queue) >= enough:
                        continue
                    if not self._again and ahead and begun and self._next >= next(iter(begun)) + ahead:
                        continue
                    entry = self._again.popleft() if self._again else next(todo, None)
                    if entry is None:
                        return
                    begun[entry[0]] = None
                    self._give(worker, entry)

        fill()
        while begun:
            for key, _ in self._selector.select():
                worker: _Worker[T] = key.data
                finished: list[tuple[int, R | Lost]] = []
                for data in worker.link.arrived():
                    if data is None:
                        finished += self._ended(worker)
                    else:
                        finished.append((worker.queue.popleft()[0], _result(data)))
                        self._fruitless = 0
                for index, _ in finished:
                    del begun[index]
                fill()  # before whoever takes the results is busy with them
                yield from finished

    def _items(self, items: Iterable[T]) -> Iterator[tuple[int, T, int]]:
        self._next = 0  # index of the next item
        for item in items:
            self._next += 1
            yield self._next - 1, item, 1

    def _give(self, worker: _Worker[T], entry: tuple[int, T, int]) -> None:
        worker.queue.append(entry)
        with contextlib.suppress(ConnectionError):  # it has ended, which reading tells
            worker.link.send(pickle.dumps(entry[1], pickle.HIGHEST_PROTOCOL))

    def _ended(self, worker: _Worker[T]) -> Iterator[tuple[int, Lost]]:
        """Put another worker in the place of one that has ended, and its items back."""
        self._forget(worker)
        self._fruitless += 1
        how = self._how(worker)
        lost = []
        if worker.queue:
            index, item, tries = worker.queue.popleft()
            if tries < _TRIES:
                self._again.append((index, item, tries + 1))
            else:
                lost.append((index, Lost(f"the process that worked on it {how}")))
        self._again.extendleft(reversed(worker.queue))
        if self._fruitless <= _TRIES * self._jobs + _TRIES:
            with contextlib.suppress(UnstartableError, OSError):
                self._add()
        if not self.workers:
            raise errors.AnthropoError(
                f"The processes that work on photos end ({how}). Use {errors.parameter('jobs', 1)}."
            )
        yield from lost

    def _forget(self, worker: _Worker[T]) -> None:
        self._selector.unregister(worker.link)
        self.workers.remove(worker)
        worker.link.close()

    def _how(self, worker: _Worker[T]) -> str:
        """How a process ended: "was killed (SIGKILL)"."""
        code = self._exit_code(worker)
        if code is None:
            return "ended"
        if code >= 0:
            return f"ended (exit status {code})"
        name = signal_of(code)
        return f"{'crashed' if name in CRASHES else 'was killed'} ({name})"

    def _exit_code(self, worker: _Worker[T]) -> int | None:
        if worker.process:
            return worker.process.wait()
        if self._template is None:
            return None
        template, link = self._template
        with contextlib.suppress(OSError):
            link.socket.sendall(WAIT + worker.pid.to_bytes(NUMBER, "little", signed=True))
            answer = link.socket.recv(NUMBER, socket.MSG_WAITALL)
            if len(answer) == NUMBER:
                return int.from_bytes(answer, "little", signed=True)
        link.close()  # it was ended as well; the next worker is forked from a new one
        template.kill()
        template.wait()
        self._template = None
        return None

    # -------------------------------------------------------------------------------- leaving

    def leave(self) -> None:
        """Begin nothing more, and wait a while for what is under way: it may be stuck."""
        try:
            for worker in self.workers:
                with contextlib.suppress(OSError):
                    worker.link.send(STOP)
            until = time.monotonic() + PATIENCE
            while self.workers and (left := until - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    if None in key.data.link.arrived():
                        self._forget(key.data)
                        if key.data.process:
                            key.data.process.wait()
        finally:  # also after another Ctrl-C
            for worker in self.workers[:]:
                with contextlib.suppress(OSError):
                    os.kill(worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
                self._forget(worker)
                if worker.process:
                    worker.process.wait()
            if self._template:
                self._template[1].close()
                self._template[0].wait()
            self._selector.close()
            if self._lock:
                self._lock.close()


class _WorkerTraceback(Exception):
    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _result(data: bytes | bytearray) -> Any:
    """What the work gave; what it raised is raised here."""
    done, result = pickle.loads(data)
    if done:
        return result
    error, where = result
    raise error from _WorkerTraceback(where)
