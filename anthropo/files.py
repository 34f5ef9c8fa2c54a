"""Files: written whole or not at all, hashed without being loaded; and the tables that come with anthropo."""

from __future__ import annotations

import codecs
import contextlib
import csv
import hashlib
import os
import platform
import threading
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path

from anthropo.errors import AnthropoError, InputError, parameter


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it: under a temporary name, then renamed.

    An existing file's permissions stay, and a link stays a link; after an OSError the file is as it was.
    What a killed run on this machine left behind in the folder is removed.
    """
    path = Path(os.path.realpath(path))
    _sweep(path.parent)
    temporary = path.with_name(f"{_temporary()}-{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            if path.exists():  # whoever may not read the old file may not read the new one
                os.chmod(temporary, path.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary(pid: int | str | None = None) -> str:
    """How the temporary files of a process begin, whatever the length of what is written."""
    host = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return f".anthropo-{host}-{os.getpid() if pid is None else pid}"


@lru_cache(maxsize=1024)
def _sweep(folder: Path) -> None:
    """Remove the temporary files of processes that are no more, once for each folder."""
    if os.name == "nt":  # where asking for a process may end it
        return
    for left in folder.glob(f"{_temporary('*')}-*.tmp"):
        with contextlib.suppress(OSError, ValueError):
            try:
                os.kill(int(left.name.split("-")[2]), 0)
            except ProcessLookupError:
                left.unlink()


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes from writing a file until the end of the block.

    Raises an InputError where another one is writing it; does nothing where there are no locks (Windows).
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = Path(os.path.realpath(path))
    lock = path.with_name(f".anthropo-{hashlib.sha256(path.name.encode()).hexdigest()[:16]}.lock")
    while True:
        file = open(lock, "a")  # noqa: SIM115 (open until the end)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(file.fileno()), os.stat(lock))
        except FileNotFoundError:
            mine = False
        except OSError as error:
            if isinstance(error, BlockingIOError):
                file.close()
                raise InputError(
                    f"{path}: another run is writing this file. Wait for it, or give this run another "
                    f"{parameter('output')}."
                ) from None
            mine = True  # a file system without locks
        if mine:
            break
        file.close()  # whoever held it has finished, and removed it
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        file.close()


def write(
    path: Path,
    data: bytes | str,
    *,
    what: str = "",
    advice: str = "",
    error: type[AnthropoError] = InputError,
) -> None:
    """Write a file that a user asked for; an `error` calls it `what` and ends with the `advice`."""
    try:
        write_atomically(path, data.encode() if isinstance(data, str) else data)
    except OSError as cause:
        about = f"{what} cannot" if what else "cannot"
        end = f" {advice}" if advice else ""
        raise error(f"{path}: {about} be written ({cause.strerror or cause}).{end}") from None


def read_text(path: Path) -> str:
    """The text of a table that a user names."""
    try:
        data = path.read_bytes()
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # "Unicode text" of Excel
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text. Save the table as CSV in UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def packaged_table(package: str, name: str) -> list[dict[str, str]]:
    """The rows of a CSV that comes with a package of anthropo."""
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
