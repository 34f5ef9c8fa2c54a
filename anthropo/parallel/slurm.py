"""A Dask cluster whose workers are jobs of SLURM: they are handed in, and replaced when they end."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import shutil
import signal
import subprocess
import threading
import time
from typing import Any

from anthropo.errors import parameter
from anthropo.files import cache_folder
from anthropo.parallel.places import ClusterError, Slurm, first_line

_GRACE = 20.0  # seconds that a job may be without workers: Dask starts those anew that have ended
_ASK = 10.0  # seconds from one question to SLURM to the next
_MOST_FAILED = 3  # jobs in a row that may end before a worker of theirs has joined


def jobqueue() -> Any:
    """The library dask_jobqueue, but for the signal handler that it sets when it is imported.

    With that, Ctrl-C would end the program at once, and what is finished would not be written.
    """
    before = signal.getsignal(signal.SIGINT)
    import dask_jobqueue

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, before)
    return dask_jobqueue


class SlurmJobs:
    """So many jobs at a time, which work for a scheduler in this process.

    Parameters
    ----------
    place : Slurm
    security : distributed.Security or None
        Certificates for the connections; None: what Dask's settings say.
    """

    def __init__(self, place: Slurm, security: Any) -> None:
        import dask

        dask_jobqueue = jobqueue()
        self._count = place.jobs or dask.config.get("jobqueue.slurm.jobs", 1)
        self._absent: dict[str, float] = {}  # since when a job that had workers has none; 0: it has some
        self._missed: set[str] = (
            set()
        )  # jobs without a worker so far which SLURM did not list when last asked
        self._failed: list[str] = []  # SLURM's numbers of jobs that ended so, since a worker last joined
        self._asked = time.monotonic()
        if shutil.which("sbatch") is None:
            raise ClusterError(
                "sbatch, the command that starts jobs of SLURM, is not here. Run this on a login node."
            )
        options = dict(place.options)
        if place.tls and security:
            shared = options.get("shared_temp_directory") or dask.config.get(
                "jobqueue.slurm.shared-temp-directory"
            )
            options |= {"security": security, "shared_temp_directory": shared or _private_folder()}
        try:
            self.cluster = dask_jobqueue.SLURMCluster(silence_logs=logging.CRITICAL + 1, **options)
        except (ImportError, OSError, RuntimeError, ValueError, TypeError) as error:
            raise ClusterError(
                f"SLURM's jobs cannot be described ({first_line(error)}). State what they have in a file, as "
                f"in {parameter('cluster', 'slurm:FILE.yaml')}."
            ) from None
        try:
            self.cluster.sync(self._hand_in)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise ClusterError(f"SLURM does not take the jobs ({_message(error)}).") from None

    async def _hand_in(self) -> None:
        """Hand in as many jobs as are lacking; what `scale` and `adapt` do, but they only log what fails."""
        while len(self.cluster.worker_spec) < self._count:
            self.cluster.worker_spec.update(self.cluster.new_worker_spec())
        await self.cluster._correct_state()

    def renew(self) -> None:
        """Hand in a job for each that has ended, be it at its time limit.

        `adapt` would not: it takes a job of several workers for one that is still to begin.
        """
        queued = None
        if self.cluster.worker_spec.keys() - self._absent.keys() and time.monotonic() - self._asked > _ASK:
            queued = _queued()
            self._asked = time.monotonic()
        there = True
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # tried again at the next look
            there = self.cluster.sync(self._renewed, queued)
        if len(self._failed) >= _MOST_FAILED and not there:
            raise ClusterError(
                f"SLURM's jobs {', '.join(self._failed)} ended before a worker of theirs joined. What they "
                "printed says why: it is in the log directory of the file of options, else in "
                f"slurm-{self._failed[-1]}.out where this was started."
            )

    async def _renewed(self, queued: set[str] | None) -> bool:
        """Replace what has ended; is a worker there? `queued` is what SLURM lists; None: it was not asked."""
        names = [str(worker.name) for worker in self.cluster.scheduler.workers.values()]
        ended = []
        for job in self.cluster.worker_spec:
            if any(name == job or name.startswith(f"{job}-") for name in names):
                if job not in self._absent:
                    self._failed.clear()
                self._absent[job] = 0
            elif job in self._absent:
                since = self._absent[job] = self._absent[job] or time.monotonic()
                # a job of one worker is ended by Dask itself, 15 seconds after the worker has left
                gone = job not in self.cluster.workers
                ended += [job] if gone or time.monotonic() - since > _GRACE else []
            elif queued is not None and (number := str(self.cluster.workers[job].job_id)) not in queued:
                if job in self._missed:  # twice, since a job that was just handed in may not be listed yet
                    ended.append(job)
                    self._failed.append(number)
                self._missed.add(job)
        for job in ended:
            self._absent.pop(job, None)
            self._missed.discard(job)
            self.cluster.worker_spec.pop(job)
            worker = self.cluster.workers.pop(job, None)
            with contextlib.suppress(OSError, RuntimeError):
                if worker is not None:
                    await asyncio.wait_for(worker.close(), 30)
        if len(self.cluster.worker_spec) < self._count and len(self._failed) < _MOST_FAILED:
            await self._hand_in()
        return bool(names)

    def close(self) -> None:
        """End the jobs."""
        with contextlib.suppress(Exception):  # it wonders at jobs that were never begun
            self.cluster.close(timeout=5)
        for name, file in vars(self.cluster).items():  # certificates, which it keeps as long as itself
            if name.startswith("_job_") and hasattr(file, "close"):
                file.close()


def _queued() -> set[str] | None:
    """Numbers of this user's jobs that wait or run; None where SLURM does not say."""
    try:
        listed = subprocess.run(
            ["squeue", "--noheader", "--format=%A", f"--user={getpass.getuser()}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, KeyError, subprocess.SubprocessError):  # no such program or user, or no answer
        return None
    return set(listed.stdout.split())


def _message(error: BaseException) -> str:
    """What sbatch printed, in one line."""
    printed = str(error).partition("stderr:")[2] or str(error)
    return " ".join(printed.split()) or type(error).__name__


def _private_folder() -> str:
    """Where workers of this user find the certificates."""
    folder = cache_folder() / "cluster"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return str(folder)
