"""Processes in which foreign decoders run: one for each thread that decodes, kept for its next photo."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from anthropo.decoding.limits import Limits
from anthropo.decoding.worker import ENDLESS, OUT_OF_MEMORY, Message, fill, receive, send, write
from anthropo.errors import PhotoError
from anthropo.parallel.ended import CRASHES, signal_of

#: What a decoder's process runs; it finds the same packages as this one, without looking for them.
PROGRAM = "from anthropo.decoding.worker import serve; serve(lifeline)"

_COUNTS_TIME = os.name == "posix"  # the system limits computing time; elsewhere the time on the clock counts
_PATIENCE = 10  # times the deadline, after which a process that neither computes nor answers is ended


class DiedError(Exception):
    """A decoder's process ended while it was at work."""

    def __init__(self, how: str, *, late: bool = False, of_memory: bool = False, guilty: bool = True) -> None:
        super().__init__(how)
        self.how = how  # such as "crashed (SIGSEGV)"
        self.late, self.of_memory = late, of_memory
        self.guilty = guilty  # whether the file is the cause; else it may be whoever ended the process


class Worker:
    """A decoder's process, as this one sees it."""

    def __init__(self) -> None:
        self._lifeline: int | None = None
        theirs: int | None = None
        if os.name == "posix":
            theirs, self._lifeline = os.pipe()
        places = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        program = f"import sys; sys.path[:] = {places!r}; lifeline = {theirs}; {PROGRAM}"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", program],  # not looking for packages: a quick start
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=() if theirs is None else (theirs,),
                start_new_session=True,  # Ctrl-C is for this process alone, which lets photos be finished
            )
        except OSError as error:
            self._close_lifeline()
            raise PhotoError(f"The process for decoding cannot be started ({error.strerror}).") from None
        finally:
            if theirs is not None:
                os.close(theirs)
        self._late = False

    @property
    def _to(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _from(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def ask(self, message: Message, data: bytes = b"") -> None:
        """Send a request."""
        with contextlib.suppress(OSError):  # the process has ended, which its answer tells
            send(self._to, message)
            write(self._to, data)

    def go(self) -> None:
        """Let the process go on."""
        with contextlib.suppress(OSError):
            write(self._to, b"!")

    def answer(self, limits: Limits) -> Message:
        """The process's next message; DiedError if it ends instead."""
        with self._watched(limits):
            message = receive(self._from)
        if message is None:
            raise self._death()
        return message

    def fill(self, view: memoryview, limits: Limits) -> None:
        """Read pixels into memory; DiedError if the process ends before."""
        with self._watched(limits):
            whole = fill(self._from, view) == len(view)
        if not whole:
            raise self._death()

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self.let_go()

    def let_go(self) -> None:
        """Close what leads to the process, which is ended or another process's."""
        self._to.close()
        self._from.close()
        self._close_lifeline()

    @contextmanager
    def _watched(self, limits: Limits) -> Iterator[None]:
        """End the process if it takes far too long by the clock: its own limit counts what it computes."""
        seconds = limits.seconds
        if seconds is None or seconds >= ENDLESS:
            yield
            return
        timer = threading.Timer(seconds * (_PATIENCE if _COUNTS_TIME else 1), self._kill_late)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill_late(self) -> None:
        self._late = True
        self._process.kill()

    def _close_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _death(self) -> DiedError:
        """Why the process has ended."""
        code = self._process.wait()
        name = signal_of(code)
        if self._late or name == "SIGXCPU":
            return DiedError("took too long", late=True)
        if code == OUT_OF_MEMORY:
            return DiedError("needs more memory than there is for it", of_memory=True)
        how = name or f"exit status {code}"
        if name in CRASHES or code > 0:
            return DiedError(f"crashed ({how})")
        return DiedError(f"was ended from outside ({how})", guilty=False)


_idle: list[Worker] = []
_lock = threading.Lock()


@contextmanager
def worker() -> Iterator[Worker]:
    """A decoder's process for the time of a photo: an idle one, or else a new one."""
    with _lock:
        one = _idle.pop() if _idle else None
    if one and one.ended:
        one.let_go()
        one = None
    one = one or Worker()
    try:
        yield one
    except PhotoError:  # an answer like others
        _keep(one)
        raise
    except BaseException:  # also an interruption: it is not at the beginning of an answer
        one.end()
        raise
    else:
        _keep(one)


def _keep(one: Worker) -> None:
    with _lock:
        _idle.append(one)


def end_idle() -> None:
    """End the processes that wait for a photo."""
    with _lock:
        ended = _idle[:]
        _idle.clear()
    for one in ended:
        one.end()


def _forget() -> None:
    """In a copy of this process: the decoders are the original's."""
    global _lock
    _lock = threading.Lock()
    for one in _idle:
        one.let_go()
    _idle.clear()


atexit.register(end_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
