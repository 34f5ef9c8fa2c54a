"""Many photographs by the workers of a cluster, with results that are those of this machine."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterable, Sized
from contextlib import closing
from typing import TypeVar

from anthropo.parallel.connection import CONNECT, Connection, needs_dask
from anthropo.parallel.dispatcher import Dispatcher, Raised
from anthropo.parallel.places import Slurm, parse_place
from anthropo.parallel.runner import Lost, ordered

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 60.0  # seconds that a cluster may be without workers


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
        """The connection, which is made for the first photos and stays until `close` or the program's end.

        Returns
        -------
        Connection

        Raises
        ------
        ClusterError
            If Dask is not installed, or the cluster cannot be reached or started.
        """
        if self._connection is None:
            self._connection = Connection(self._where, min(CONNECT, self.patience))
            self._end = weakref.finalize(self, self._connection.close)
            if address := self._connection.dashboard:
                self._tell(f"Dask's dashboard: {address}")
        return self._connection

    def completed(
        self, work: Callable[[T], R], items: Iterable[T]
    ) -> Generator[tuple[int, R | Lost], None, None]:
        """Results with the index of their item, as they come.

        Parameters
        ----------
        work : callable
            Called with each item; it, the items and what it returns travel by pickle.
        items : iterable

        Yields
        ------
        tuple of int and what the work returns
            A `Lost` where the worker ended with the item.

        Raises
        ------
        ClusterError
            If the cluster cannot be reached or started, or no worker is left.
        Exception
            What the work raises.
        """
        if isinstance(items, Sized) and not len(items):  # for which no cluster is started
            return
        with closing(self._dispatcher(work, items).results()) as results:
            for index, result in results:
                if isinstance(result, Raised):
                    raise result.error
                yield index, result

    def in_order(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R | Lost, None, None]:
        """Results in the order of the items.

        Parameters
        ----------
        work : callable
            Called with each item; it, the items and what it returns travel by pickle.
        items : iterable

        Yields
        ------
        what the work returns
            A `Lost` where the worker ended with the item.

        Raises
        ------
        ClusterError
            If the cluster cannot be reached or started, or no worker is left.
        Exception
            What the work raises.
        """
        if isinstance(items, Sized) and not len(items):
            return
        dispatcher = self._dispatcher(work, items, gather=True)
        with closing(dispatcher.results()) as results:
            for done, result in enumerate(ordered(results), start=1):
                if isinstance(result, Raised):
                    raise result.error
                yield result
                dispatcher.schedule.waits_for(done)

    def _dispatcher(
        self, work: Callable[[T], R], items: Iterable[T], gather: bool = False
    ) -> Dispatcher[T, R]:
        return Dispatcher(
            self.connect(),
            work,
            items,
            gather=gather,
            send_photos=self.send_photos,
            tell=self._tell,
            patience=None if isinstance(self._where, Slurm) else self.patience,
        )
