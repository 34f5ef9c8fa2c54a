"""A cluster that Dask runs: started or found, asked who is there, left without a trace on the terminal."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import socket
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anthropo.errors import not_installed, parameter
from anthropo.parallel.places import ClusterError, Local, Place, Running, Slurm, first_line
from anthropo.parallel.slurm import SlurmJobs

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT = 10.0  # seconds that a scheduler may take to answer
_LEAST_MEMORY = 4 << 30  # bytes that a local worker may have, where the machine has them: one large photo
_MOST_SHARE = 0.9  # of the machine's memory for a local worker
_LOGGERS = ("distributed", "dask", "dask_jobqueue", "tornado", "asyncio", "bokeh")
#: What Dask would do with workers of its own, and here only costs time: results leave a worker at once, and
#: who ended with what is seen to by `Schedule`.
_CONFIG = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,  # what is freed is asked for again
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.scheduler.active-memory-manager.start": False,
}

_WARNS_FROM = "distributed.admin.large-graph-warning-threshold"  # of what a task is given


def needs_dask() -> None:
    """Refuse to go on where the libraries are missing."""
    if any(
        importlib.util.find_spec(name) is None
        for name in ("distributed", "yaml", "cryptography", "dask_jobqueue")
    ):
        raise ClusterError(not_installed(parameter("cluster"), "Dask", "cluster"))


class Connection:
    """A client, and the cluster if it was started here.

    Parameters
    ----------
    place : Place
    patience : float
        Seconds that a scheduler may take to answer.
    """

    def __init__(self, place: Place, patience: float = CONNECT) -> None:
        self.name = place.address if isinstance(place, Running) else "the cluster"
        self.out_of_memory: set[str] = set()  # workers that were ended for it
        self._left = contextlib.ExitStack()
        self._jobs: SlurmJobs | None = None
        try:
            self._left.enter_context(_silence())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of ports that are taken, of versions: see `identity`
                cluster = None
                if not isinstance(place, Running):
                    cluster, self._jobs = _started(place, _security(), self._left)
                self.client = self._left.enter_context(_client(place, cluster, patience))
            self.client.subscribe_topic("worker-restart-memory", self._ended_for_memory)
        except BaseException:
            self._left.close()
            raise

    def _ended_for_memory(self, event: tuple[float, dict[str, Any]]) -> None:
        self.out_of_memory.add(event[1].get("worker", ""))

    @property
    def dashboard(self) -> str:
        """Address of the pages on which the cluster can be watched; empty where there are none."""
        if importlib.util.find_spec("bokeh") is None:
            return ""
        try:
            return str(self.client.dashboard_link or "")
        except Exception:  # a scheduler without one
            return ""

    def workers(self) -> dict[str, int]:
        """Threads of each worker that is there now, by its address."""
        if self._jobs:
            self._jobs.renew()
        with self.reached():
            threads: dict[str, int] = self.client.sync(self.client.scheduler.ncores, callback_timeout=30)
            return threads

    def run(self, function: Callable[..., Any], *args: Any, workers: list[str]) -> dict[str, Any]:
        """What a function returns on each worker, or the exception it raised."""
        with self.reached():
            answers: dict[str, Any] = self.client.run(function, *args, workers=workers, on_error="return")
            return answers

    def submit(
        self, function: Callable[..., Any], *args: Any, key: str, worker: str, done: Callable[[], None]
    ) -> Future:
        """Have a function run on a worker; `done` is called from another thread when it has."""
        import dask

        with self.reached(), dask.config.set({_WARNS_FROM: "1TB"}):
            future = self.client.submit(
                function, *args, key=key, workers=[worker], allow_other_workers=False, pure=False, retries=0
            )
            future.add_done_callback(lambda _: done())
            return future

    @contextmanager
    def reached(self, slow: bool = False) -> Generator[None, None, None]:
        """Around what needs the scheduler: where it is gone, a ClusterError says so; also if it is slow."""
        try:
            yield
        except OSError as error:  # a TimeoutError is one
            if slow and isinstance(error, TimeoutError):
                raise
            raise self.gone() from error
        if self.client.status != "running":
            raise self.gone()

    def gone(self) -> ClusterError:
        """That the connection to the scheduler was lost."""
        return ClusterError(
            f"{self.name}: the connection to the scheduler was lost. What is finished is kept; when the "
            "scheduler is back, run the same again to continue."
        )

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        self._left.close()


@contextmanager
def _client(place: Place, cluster: Any, patience: float) -> Generator[Client, None, None]:
    import dask
    from distributed import Client

    where = place.address if isinstance(place, Running) else cluster
    try:
        if isinstance(place, Running):  # Dask would try again and again, as fast as it can
            socket.create_connection(place.host_and_port, patience).close()
        with dask.config.set({"distributed.comm.timeouts.connect": patience}):
            client = Client(where, timeout=patience, set_as_default=False, name="anthropo")
    except (OSError, ValueError) as error:
        if not isinstance(place, Running):
            raise ClusterError(
                f"The cluster that was started does not answer ({first_line(error)})."
            ) from None
        raise ClusterError(
            f"{place.address}: no scheduler answers there ({first_line(error)}). Start one with `dask "
            "scheduler` and workers with `dask worker`, or correct the address."
        ) from None
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=2)


def _started(place: Local | Slurm, security: Any, left: contextlib.ExitStack) -> tuple[Any, SlurmJobs | None]:
    """A cluster of our own, which ends with the stack; what replaces its jobs."""
    import dask

    with dask.config.set(_CONFIG):  # which workers that are started later get as well
        if isinstance(place, Slurm):
            jobs = SlurmJobs(place, security)
            left.callback(jobs.close)
            return jobs.cluster, jobs
        cluster = _local(place, security)
    left.callback(_close, cluster)
    return cluster, None


def _close(cluster: Any) -> None:
    with contextlib.suppress(Exception):
        cluster.close(timeout=5)


def _local(place: Local, security: Any) -> Any:
    from dask.system import CPU_COUNT
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    count = place.workers or CPU_COUNT
    limit = max(MEMORY_LIMIT // count, min(_LEAST_MEMORY, int(_MOST_SHARE * MEMORY_LIMIT)))
    try:
        return LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:8787" if importlib.util.find_spec("bokeh") else None,
            memory_limit=limit,
            security=security,
            silence_logs=logging.CRITICAL + 1,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"The worker processes cannot be started ({first_line(error)}). They import the program that "
            'starts them: in a script, do it below `if __name__ == "__main__":`.'
        ) from None


def _security() -> Any:
    """Certificates for this cluster alone, so that nobody else can use it; or what Dask's settings say."""
    import dask
    from distributed import Security

    return None if dask.config.get("distributed.comm.require-encryption") else Security.temporary()


@contextmanager
def _silence() -> Generator[None, None, None]:
    """Without what Dask logs, while a connection lasts."""

    def nothing(record: logging.LogRecord) -> bool:
        return False

    importlib.import_module("distributed")  # makes its loggers, and reads Dask's settings of its own
    named = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _LOGGERS]
    loggers = [logging.getLogger(name) for name in {*named, *_LOGGERS}]
    for logger in loggers:
        logger.addFilter(nothing)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(nothing)
