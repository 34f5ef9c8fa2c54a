"""Many photographs by the workers of a cluster, with results that are those of this machine."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterable, Sized
from contextlib import closing
from typing import TypeVar

from anthropo.parallel.connection import Connection, needs_dask
from anthropo.parallel.foreman import Foreman, Raised
from anthropo.parallel.places import Slurm, parse_place
from anthropo.parallel.runner import Lost

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 60.0  # seconds that a cluster may be without workers
_CONNECT = 10.0  # seconds that a scheduler may take to answer


class Cluster:
    """Has photographs worked on by the workers of a Dask cluster.

    Results come back to this process, which alone writes tables; they do not depend on the cluster. A worker
    with another version of anthropo, of what it computes with, or of the weights is refused.

    Parameters
    ----------
    place : str
        ``"local"`` or ``"local:4"`` starts worker processes on this machine, ``"tcp://scheduler:8786"`` uses
        a cluster that is there, ``"slurm"`` or ``"slurm:FILE.yaml"`` starts jobs of SLURM.
    send_photos : bool
        Send the photos' bytes, for workers that do not see the files.
    tell : callable, optional
        Gets sentences about the cluster: its dashboard, workers that are refused or gone.
    patience : float
        Seconds that the scheduler may take to answer, at most ten, and that there may be no worker. A cluster
        of SLURM may take as long as it likes to give its first.

    Raises
    ------
    InputError
        If the place is none, or its file cannot be used.
    ClusterError
        While photos are worked on: if no scheduler answers, workers are refused, there are none, or the
        connection is lost.

    Examples
    --------
    >>> import anthropo
    >>> with anthropo.Cluster("local:1") as cluster:
    ...     table = anthropo.measure_table(anthropo.example_photo(), runner=cluster)
    >>> list(table["status"])
    ['ok']
    """

    def __init__(
        self,
        place: str,
        *,
        send_photos: bool = False,
        tell: Callable[[str], None] = lambda sentence: None,
        patience: float = _PATIENCE,
    ) -> None:
        self.place = place
        self.send_photos = send_photos
        self.patience = patience
        self._tell = tell
        needs_dask()
        self._where = parse_place(place)
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"Cluster({self.place!r})"

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *ending: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, and end what was started; the next photos start it again."""
        if self._connection is not None:
            self._end()

    def connect(self) -> Connection:
        """The connection, which is made for the first photos and stays until `close` or the program's end."""
        if self._connection is None:
            self._connection = Connection(self._where, min(_CONNECT, self.patience))
            self._end = weakref.finalize(self, self._connection.close)
            if address := self._connection.dashboard:
                self._tell(f"Dask's dashboard: {address}")
        return self._connection

    def completed(
        self, work: Callable[[T], R], items: Iterable[T]
    ) -> Generator[tuple[int, R | Lost], None, None]:
        """Results with the index of their item, as they come."""
        if isinstance(items, Sized) and not len(items):  # for which no cluster is started
            return
        with closing(self._foreman(work, items).results()) as results:
            for index, result in results:
                if isinstance(result, Raised):
                    raise result.error
                yield index, result

    def in_order(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R | Lost, None, None]:
        """Results in the order of the items."""
        if isinstance(items, Sized) and not len(items):
            return
        foreman = self._foreman(work, items, gather=True)
        early: dict[int, R | Lost | Raised] = {}
        awaited = 0
        with closing(foreman.results()) as results:
            for index, result in results:
                early[index] = result
                while awaited in early:
                    following = early.pop(awaited)
                    if isinstance(following, Raised):
                        raise following.error
                    yield following
                    awaited += 1
                    foreman.crew.waits_for(awaited)

    def _foreman(self, work: Callable[[T], R], items: Iterable[T], gather: bool = False) -> Foreman[T, R]:
        return Foreman(
            self.connect(),
            work,
            items,
            gather=gather,
            send_photos=self.send_photos,
            tell=self._tell,
            patience=None if isinstance(self._where, Slurm) else self.patience,
        )
