"""One piece of work on a cluster: who may take part, who has what, what came back, and who is gone."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from anthropo import licensing
from anthropo.definitions import definitions
from anthropo.errors import parameter, spelling
from anthropo.files import GIB, file_sha256, read_regular
from anthropo.parallel import remote
from anthropo.parallel.connection import Connection
from anthropo.parallel.identity import differences, work_identity
from anthropo.parallel.places import ClusterError
from anthropo.parallel.runner import Lost
from anthropo.parallel.schedule import ItemBatch, Schedule

if TYPE_CHECKING:
    from distributed import Future

T = TypeVar("T")
R = TypeVar("R")

_LOOK = 1.0  # seconds from one look at who is there to the next
_FETCH = 1.0  # seconds that a result may take on its way before it is asked whether its worker is there
_SLOW = 30.0  # seconds that a scheduler may take to say what went wrong
_MOST_SENT = GIB  # bytes of a file
_TRIED = 20  # photos that are tried until one can be read, to compare what workers see
_NAMED = 3  # workers in a message
_ALIKE = "Start it in an environment like the one here."


@dataclass(frozen=True, slots=True)
class Raised:
    """In place of a result: what the work raised."""

    error: BaseException


def photo_of(item: object) -> str | None:
    """The path of the photo that an item, or the first of several in one, is about."""
    for path in (item, getattr(item, "path", None), getattr(item, "photo", None)):
        if isinstance(path, (str, os.PathLike)):
            return os.fspath(path)
    return photo_of(item[0]) if isinstance(item, (tuple, list)) and item else None


def _size(item: object) -> int:
    photo = photo_of(item)
    with contextlib.suppress(OSError, ValueError):
        return os.path.getsize(photo) if photo else 0
    return 0


class Dispatcher(Generic[T, R]):
    """Has items worked on by the workers of a cluster.

    Parameters
    ----------
    connection : Connection
    work : callable
        What is done with each item; it can be pickled.
    items : iterable
    gather : bool
        Whether results are wanted in order.
    send_photos : bool
        Whether workers get the photos' bytes.
    tell : callable
        Gets sentences about workers.
    patience : float or None
        Seconds that there may be no worker; None: for ever.
    """

    def __init__(
        self,
        connection: Connection,
        work: Callable[[T], R],
        items: Iterable[T],
        *,
        gather: bool,
        send_photos: bool,
        tell: Callable[[str], None],
        patience: float | None,
    ) -> None:
        total = len(items) if isinstance(items, Sized) else 0
        head = list(itertools.islice(following := iter(items), _TRIED))
        self.schedule: Schedule[T] = Schedule(
            itertools.chain(head, following),
            total=total,
            weigh=_size if send_photos else lambda item: 0,
            gather=gather,
        )
        self._empty = not head
        self._connection = connection
        self._name = uuid.uuid4().hex
        self._pickled = pickle.dumps(work)
        self._identity = work_identity(work)
        self.surroundings = remote.Surroundings(
            os.getcwd(), os.environ.get(licensing.VARIABLE), spelling(), definitions()
        )
        self._probe = None if send_photos else _probe(head)
        self._send = send_photos
        self._tell = tell
        self._patience = patience
        self._events: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._under_way: dict[int, tuple[str, ItemBatch[T], Future]] = {}
        self._refused: dict[str, str] = {}  # why, by worker
        self._alone_since: float | None = None
        self._looked = 0.0
        if send_photos and isinstance(items, Sequence) and items:
            sent = sum(map(_size, items))
            tell(f"{len(items)} photos, {sent / 1e6:.1f} MB, are sent to the workers.")

    def results(self) -> Generator[tuple[int, R | Lost | Raised], None, None]:
        """Results with the index of their item, as they come; after one that was `Raised` some may lack."""
        if self._empty:
            return
        try:
            self._begin()
            while not self.schedule.finished:
                self._hand_out()
                yield from self._collected()
        finally:
            for _, _, future in self._under_way.values():
                with contextlib.suppress(Exception):  # the scheduler may be gone
                    future.release()

    def _begin(self) -> None:
        """Wait for the first workers. Whoever is there now and may not take part is a reason to stop."""
        waiting = False
        while not self.schedule.workers:
            for _ in self._look():
                pass
            if self._refused:
                first = [f"{worker}: {why}" for worker, why in list(self._refused.items())[:_NAMED]]
                more = (
                    f" And {len(self._refused) - _NAMED} more workers." if len(self._refused) > _NAMED else ""
                )
                raise ClusterError(" ".join(first) + more)
            if not self.schedule.workers:
                if not waiting:
                    self._tell("Waiting for the first worker of the cluster.")
                waiting = True
                time.sleep(0.2)

    def _hand_out(self) -> None:
        """Give everybody who has time a batch."""
        while (following := self.schedule.next()) is not None:
            worker, batch = following
            items = [item for _, item in batch.items]
            contents = {photo: _content(photo) for item in items if self._send and (photo := photo_of(item))}
            number = batch.number
            future = self._connection.submit(
                remote.do,
                self._name,
                pickle.dumps((items, contents)),
                key=f"photos-{self._name}-{number}",
                worker=worker,
                done=partial(self._events.put, number),
            )
            self._under_way[number] = worker, batch, future

    def _collected(self) -> Generator[tuple[int, R | Lost | Raised], None, None]:
        """What the next event brings."""
        try:
            number = self._events.get(timeout=max(0.0, self._looked + _LOOK - time.monotonic()))
        except queue.Empty:
            yield from self._look()
            return
        if number not in self._under_way:  # of a worker that is gone
            return
        worker, batch, future = self._under_way[number]
        if future.status == "finished":
            if (answer := self._fetched(worker, future)) is None:
                yield from self._look()
                return
            del self._under_way[number]
            future.release()
            self.schedule.done(worker, batch, answer.seconds)
            self._hand_out()  # before others are kept busy with the results
            yield from zip((index for index, _ in batch.items), answer.results, strict=False)
            if answer.error is not None:
                yield batch.items[len(answer.results)][0], Raised(answer.error)
        elif future.status == "error":
            yield from self._failed(worker, future)
        else:
            raise self._connection.gone()

    def _fetched(self, worker: str, future: Future) -> remote.BatchAnswer | None:
        """The answer; None if the worker that has it is gone."""
        patience = _FETCH
        while True:
            try:
                with self._connection.reached(slow=True):
                    answer: remote.BatchAnswer = pickle.loads(future.result(timeout=patience))
                    return answer
            except TimeoutError:
                if worker not in self._connection.workers():
                    return None
                patience *= 2  # it is large, or the way is slow

    def _failed(self, worker: str, future: Future) -> Generator[tuple[int, R | Lost], None, None]:
        """What it means that Dask has no answer."""
        from distributed.scheduler import KilledWorker

        error = future.exception(timeout=_SLOW)
        if not isinstance(error, (KilledWorker, remote.UnknownWorkError)):
            raise ClusterError(f"{worker}: {type(error).__name__}: {error}".splitlines()[0]) from error
        yield from self._gone(worker)

    def _look(self) -> Generator[tuple[int, R | Lost], None, None]:
        """See who is there: what those had who are gone is given to others; who is new may take part."""
        there = self._connection.workers()
        self._looked = time.monotonic()
        for worker in sorted(self.schedule.workers - there.keys()):
            yield from self._gone(worker)
        new = [
            worker for worker in there if worker not in self.schedule.workers and worker not in self._refused
        ]
        for worker, why in self._objections(new).items():
            if not why:
                self.schedule.joined(worker, there[worker])
                continue
            self._refused[worker] = why
            if self._under_way:
                self._tell(f"{worker}: {why} The run goes on without it.")
        self._bear_with(there)

    def _bear_with(self, there: Mapping[str, int]) -> None:
        """Be patient while nobody is there, for a while."""
        if self.schedule.workers:
            self._alone_since = None
            return
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if self._patience is None or now - self._alone_since < self._patience:
            return
        of = f"all of its {len(there)} workers were refused" if there else "it has no workers"
        raise ClusterError(
            f"{self._connection.name}: {of}. Start some with `dask worker`, in an environment like the "
            "one here, and run the same again to continue."
        )

    def _objections(self, workers: list[str]) -> dict[str, str]:
        """Why each of these workers may not take part; empty for those who may."""
        if not workers:
            return {}
        run = self._connection.run
        told = run(remote.keep_work, self._name, self._pickled, self.surroundings, workers=workers)
        able = [worker for worker in workers if told.get(worker, OSError()) is None]
        answers = told | (run(remote.introduce, self._name, self._probe, workers=able) if able else {})
        return {
            worker: self._objection(answer)
            for worker, answer in answers.items()
            if not isinstance(answer, (OSError, TimeoutError))  # gone already, or asked again
        }

    def _objection(self, answer: object) -> str:
        """Why a worker that answers so may not take part."""
        if isinstance(answer, (ImportError, AttributeError)):
            return f"it has no anthropo, or another version ({answer}). {_ALIKE}"
        if not isinstance(answer, remote.Introduction):
            return f"it cannot take part ({type(answer).__name__}: {answer})."
        if answer.refusal:
            return answer.refusal
        if differ := differences(self._identity, answer.identity):
            return f"{differ}. Its results could differ. {_ALIKE}"
        if not answer.sees:
            assert self._probe is not None
            return (
                f"it does not see {self._probe[0]}, or another file there. Put the photos where all workers "
                f"see them, or pass {parameter('send_photos', True)} to send their bytes."
            )
        return ""

    def _gone(self, worker: str) -> Generator[tuple[int, R | Lost], None, None]:
        """A worker has ended: what it had is tried once more, or is lost."""
        batches, lost = self.schedule.left(worker)
        for batch in batches:
            _, _, future = self._under_way.pop(batch.number)
            future.release()
        memory = ", for it had used up its memory" if worker in self._connection.out_of_memory else ""
        if batches:
            self._tell(f"{worker}: this worker has ended{memory}. What it was working on is tried once more.")
        for index in lost:
            yield index, Lost(f"the worker that had it ended{memory}", "Give workers more memory")


def _probe(items: Sequence[object]) -> tuple[str, str] | None:
    """The path of a photo and its SHA-256."""
    for photo in filter(None, map(photo_of, items)):
        with contextlib.suppress(OSError, ValueError):
            return photo, file_sha256(photo)
    return None


def _content(photo: str) -> bytes | OSError:
    """What a file holds, or what is wrong with it."""
    try:
        return read_regular(photo, most=_MOST_SENT)
    except ValueError:  # a NUL character in the name
        return FileNotFoundError(2, os.strerror(2))
    except OSError as error:
        return error
