"""Photos that have ended a decoder's process are remembered, so that no later run tries them again.

An entry is named after the file's content: a file that was changed is tried again, as are all when the
decoders have changed. It holds no word about the photo itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from anthropo._version import __version__
from anthropo.files import cache_folder, read_regular, write_atomically

_FOLDER = "undecodable"
_LONGEST = 100  # characters of how a process ended
_DECODERS = ("Pillow", "pi-heif", "av", "pyarrow")


@dataclass(frozen=True, slots=True)
class Death:
    """How a decoder's process ended over a photo."""

    how: str  # such as "crashed (SIGSEGV)"
    deadline: float | None = None  # the seconds that did not suffice; None: it ended for another reason

    def again(self, deadline: float | None) -> bool:
        """Whether another try with this deadline may end differently."""
        return self.deadline is not None and (deadline is None or deadline > self.deadline)


_here: dict[str, Death] = {}  # those of this process, also where the cache cannot be written


def key_of(digest: str) -> str:
    """What a file of this hash is remembered by, which does not tell the hash."""
    return hashlib.sha256(digest.encode()).hexdigest()[:40]


def remember(key: str, death: Death) -> None:
    """Keep how a decoder ended over a file."""
    _here[key] = death
    entry = {"how": death.how, "deadline": death.deadline, "decoders": _decoders()}
    with contextlib.suppress(OSError):  # a cache that cannot be written only saves time
        path = _path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, json.dumps(entry).encode())


def recall(key: str) -> Death | None:
    """How a decoder of the same version ended over this file, in this run or an earlier one."""
    if key in _here:
        return _here[key]
    try:
        entry = json.loads(read_regular(_path(key), most=1 << 16))
        if entry["decoders"] != _decoders():
            return None
        how, deadline = entry["how"], entry["deadline"]
        if not how.isprintable() or len(how) > _LONGEST:
            return None
        return Death(how, None if deadline is None else float(deadline))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None  # none that anthropo wrote


def _path(key: str) -> Path:
    return cache_folder() / _FOLDER / f"{key}.json"


def _decoders() -> list[str]:
    versions = [__version__, os.name]
    for name in _DECODERS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    return versions
