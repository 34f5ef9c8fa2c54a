"""Where a cluster is, as it is named: ``local:4``, ``tcp://scheduler:8786``, ``slurm:FILE.yaml``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anthropo.errors import InputError, parameter
from anthropo.files import read_text
from anthropo.yaml_text import parse_yaml

_HOW = "local, local:4, tcp://scheduler:8786, slurm or slurm:FILE.yaml"
_MOST_LOCAL = 1024  # worker processes


class ClusterError(InputError):
    """A cluster cannot be reached or used, or is gone.

    Examples
    --------
    >>> import anthropo
    >>> with anthropo.Cluster("tcp://127.0.0.1:9", patience=0.5) as cluster:
    ...     anthropo.measure_table(anthropo.example_photo(), runner=cluster)
    Traceback (most recent call last):
    anthropo.parallel.places.ClusterError: tcp://127.0.0.1:9: no scheduler answers ...
    """


@dataclass(frozen=True, slots=True)
class Local:
    """Worker processes on this machine."""

    workers: int | None = None  # None: as many as there are cores


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster that somebody has started."""

    address: str

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.address.partition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Slurm:
    """Jobs of SLURM; what is not stated is taken from dask-jobqueue's own configuration."""

    jobs: int | None = None
    tls: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)  # of dask_jobqueue.SLURMCluster


Place = Local | Running | Slurm


def parse_place(text: str) -> Place:
    """Where the cluster is.

    Raises
    ------
    InputError
        If the text names no cluster, or its file cannot be read or holds something else than it may.

    Examples
    --------
    >>> from anthropo.parallel.places import parse_place
    >>> parse_place("local:2"), parse_place("tcp://10.0.0.7:8786")
    (Local(workers=2), Running(address='tcp://10.0.0.7:8786'))
    """
    kind, colon, rest = text.partition(":")
    if kind == "local":
        return Local(_count(text, rest) if colon else None)
    if kind == "slurm":
        return _read_slurm(rest) if colon else Slurm()
    if kind in ("tcp", "tls"):
        address = re.fullmatch(r"//(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):([0-9]{1,5})", rest)
        if not address or not 0 < int(address[1]) < 1 << 16:
            raise InputError(f"{parameter('cluster', text)}: no address. Write {kind}://scheduler:8786.")
        return Running(text)
    raise InputError(f"{parameter('cluster', text)}: no such kind of cluster. Choose from {_HOW}.")


def _count(text: str, number: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", number) or not 1 <= int(number) <= _MOST_LOCAL:
        raise InputError(
            f"{parameter('cluster', text)}: local takes a number of worker processes from 1 to "
            f"{_MOST_LOCAL}, as in local:4."
        )
    return int(number)


def _whole(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,6}", value) or int(value) < 1:
        raise ValueError("a whole number from 1 on")
    return int(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value


def _memory(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]+(\.[0-9]+)? ?([KMGT]i?)?B", value):
        raise ValueError("a size such as 8GB")
    return value


def _time(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"([0-9]+-)?[0-9]+(:[0-9]{2}){0,2}", value):
        raise ValueError("a time such as 02:00:00 or 1-12:00:00")
    return value


def _lines(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise ValueError("a list of texts, each on a line that begins with a dash")
    return value


def _yes(value: Any) -> bool:
    if value not in ("true", "false", "yes", "no"):
        raise ValueError("true or false")
    return value in ("true", "yes")


#: What a file for SLURM may hold. The names but `jobs` and `tls` are those of dask-jobqueue's configuration.
KEYS: dict[str, Callable[[Any], Any]] = {
    "jobs": _whole,
    "cores": _whole,
    "memory": _memory,
    "processes": _whole,
    "queue": _text,
    "account": _text,
    "walltime": _time,
    "job-extra-directives": _lines,
    "job-script-prologue": _lines,
    "worker-extra-args": _lines,
    "python": _text,
    "interface": _text,
    "local-directory": _text,
    "log-directory": _text,
    "shared-temp-directory": _text,
    "tls": _yes,
}


def _read_slurm(name: str) -> Slurm:
    """What a file states of the jobs."""
    path = Path(name)
    if not name:
        raise InputError(f"{parameter('cluster', 'slurm:')}: the file's name is missing. Choose from {_HOW}.")
    stated = parse_yaml(path, read_text(path), example="cores: 8", as_text=True)
    values: dict[str, Any] = {}
    for key, given in stated.items():
        plain = str(key).replace("_", "-")
        if plain not in KEYS:
            raise InputError(f"{path}: {key!r} is unknown. Choose from {', '.join(KEYS)}.")
        if plain in values:
            raise InputError(f"{path}: {plain} is there twice. Keep one of them.")
        try:
            values[plain] = KEYS[plain](given)
        except ValueError as error:
            raise InputError(f"{path}: {plain} is {given!r}, and has to be {error}.") from None
    for needed, example in (("cores", 8), ("memory", "16GB")):
        if needed not in values:
            raise InputError(f"{path}: {needed} is missing. Add what a job has, as in `{needed}: {example}`.")
    values.setdefault("processes", values["cores"])  # threads of one process wait for each other
    if values["processes"] > values["cores"]:
        raise InputError(
            f"{path}: {values['processes']} processes on {values['cores']} cores. Leave processes out, or "
            "take at most as many as cores."
        )
    jobs, tls = values.pop("jobs", 1), values.pop("tls", True)
    return Slurm(jobs, tls, {key.replace("-", "_"): value for key, value in values.items()})


def first_line(error: BaseException) -> str:
    """The first line of what an error says, and of what caused it."""
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
