"""What runs on the workers of a cluster: they are told the work once, then get batches of items."""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from anthropo.definitions import Definition, only
from anthropo.errors import AnthropoError, parameters_spelled
from anthropo.files import file_sha256
from anthropo.licensing import VARIABLE
from anthropo.memory import memory
from anthropo.parallel.identity import work_identity
from anthropo.parallel.worker import ONE_THREAD, alone, portable, prepare
from anthropo.sent import Contents, files_sent

_WORKS = 4  # that are kept: of several runs at once, or one after the other


class UnknownWorkError(Exception):
    """This process was not told the work: it took the place of another one, at the same address."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What results and messages of a process depend on beside the work."""

    folder: str  # that relative paths begin at
    permissive: str | None  # environment variable of permissive runs
    spelling: Callable[[str, object], str]  # of parameters
    definitions: tuple[Definition, ...] = ()  # measurements of one's own


@dataclass(slots=True, eq=False)
class _Known:
    """A work that this process was told."""

    pickled: bytes
    surroundings: Surroundings
    lock: threading.Lock = field(default_factory=threading.Lock)
    work: Callable[[Any], Any] | None = None

    def loaded(self) -> Callable[[Any], Any]:
        with self.lock:  # a network is loaded once
            if self.work is None:
                work = pickle.loads(self.pickled)
                prepare(work)
                gc.freeze()  # what stays is not looked through for rubbish again and again
                self.work = work
            return self.work


_known: OrderedDict[str, _Known] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Introduction:
    """A worker's answer to who it is."""

    identity: Mapping[str, str]
    refusal: str = ""  # why the work cannot be done here
    sees: bool = True  # whether the probe is the same file here


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What became of a batch."""

    results: Sequence[Any]
    error: BaseException | None  # that the item after these raised
    seconds: float


def keep_work(name: str, pickled: bytes, surroundings: Surroundings, dask_worker: Any = None) -> None:
    """Keep a work under a name."""
    if limit := getattr(getattr(dask_worker, "memory_manager", None), "memory_limit", None):
        memory.share(limit // 2, None)  # at much more Dask ends the worker
    _known[name] = _Known(pickled, surroundings)
    while len(_known) > _WORKS:
        _known.popitem(last=False)


def introduce(name: str, probe: tuple[str, str] | None) -> Introduction:
    """Who this worker is, for a work that it was told; `probe` is a photo's path and its SHA-256."""
    known = _found(name)
    sees = True
    with _within(known.surroundings):
        try:
            who, refusal = work_identity(known.loaded()), ""
        except AnthropoError as error:
            who, refusal = {}, str(error)
        if probe is not None:
            path, digest = probe
            try:
                sees = file_sha256(path) == digest
            except OSError:
                sees = False
    return Introduction(who, refusal, sees)


def do(name: str, pickled: bytes) -> bytes:
    """Work on items one after the other, up to the first that raises an exception: a pickled `BatchAnswer`.

    Pickled are the items, and contents of files that were sent. Dask does not look into bytes.
    """
    begun = time.perf_counter()
    known = _found(name)
    items: Sequence[Any]
    contents: Contents
    items, contents = pickle.loads(pickled)
    results: list[Any] = []
    error: BaseException | None = None
    with _within(known.surroundings), files_sent(contents):
        work = known.loaded()
        for item in items:
            try:
                results.append(alone(work, item))
            except Exception as raised:
                error = portable(raised)
                break
    return pickle.dumps(BatchAnswer(results, error, time.perf_counter() - begun))


def _found(name: str) -> _Known:
    try:
        return _known[name]
    except KeyError:
        raise UnknownWorkError(name) from None


class _Turns:
    """Batches of the same surroundings at the same time, others after them: they are those of a process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._current: Surroundings | None = None
        self._inside = 0
        self._left = contextlib.ExitStack()

    @contextmanager
    def of(self, wanted: Surroundings) -> Generator[None, None, None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._inside or self._current == wanted)
            if not self._inside:
                self._left = contextlib.ExitStack()
                self._left.enter_context(_put_on(wanted))
                self._current = wanted
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if not self._inside:
                    self._left.close()
                    self._changed.notify_all()


@contextmanager
def _put_on(wanted: Surroundings) -> Generator[None, None, None]:
    """Folder, environment and spelling of the process that the work comes from."""
    for variable, value in ONE_THREAD.items():  # for libraries that are loaded later
        os.environ.setdefault(variable, value)
    before = os.environ.get(VARIABLE)
    folder = os.getcwd()
    _set(VARIABLE, wanted.permissive)
    with contextlib.suppress(OSError):  # not to be seen from here: then only sent photos are read
        os.chdir(wanted.folder)
    try:
        with parameters_spelled(wanted.spelling), only(wanted.definitions):
            yield
    finally:
        _set(VARIABLE, before)
        with contextlib.suppress(OSError):
            os.chdir(folder)


def _set(variable: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value


_within = _Turns().of
