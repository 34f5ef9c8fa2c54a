"""Files: only regular ones of a bounded size are opened; written whole or not at all; hashed, not loaded."""

from __future__ import annotations

import codecs
import contextlib
import csv
import errno
import hashlib
import io
import os
import pkgutil
import platform
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import BinaryIO, Literal, TextIO

from anthropo.errors import AnthropoError, InputError, parameter
from anthropo.sent import content_sent

GIB = 1 << 30
#: Largest files that are opened, bytes; tables and parameters are read as text.
MOST, MOST_TEXT = 4 * GIB, GIB // 4
_ENDING = 0.5  # s that a run which was killed may take to let go of its file

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class IrregularError(OSError):
    """A pipe, a socket or a device where a file is needed."""


def open_regular(
    path: str | os.PathLike[str], mode: Literal["rb", "ab"] = "rb", *, most: int | None = MOST
) -> BinaryIO:
    """Open a file, to read it or to add to it, if it is a regular one of at most `most` bytes.

    Anything else is an OSError that says what it is: a pipe would be waited for, and a device may never end.
    Every file that a user names is opened here.
    """
    with contextlib.suppress(FileNotFoundError):  # opening alone makes some devices act
        refuse_irregular(os.stat(path), most)
    access = os.O_RDONLY if mode == "rb" else os.O_WRONLY | os.O_APPEND | os.O_CREAT
    # the flags that only some systems know: not to wait for a pipe's other end, no translation of line ends
    access |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, access, 0o666)
    try:
        refuse_irregular(os.fstat(descriptor), most)
        return open(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise


def refuse_irregular(status: os.stat_result, most: int | None = None) -> None:
    """Raise the OSError that says why something is no regular file of at most `most` bytes."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
        raise IrregularError(errno.EINVAL, f"{kind}, not a file")
    if most is not None and status.st_size > most:
        raise OSError(
            errno.EFBIG, f"{status.st_size / GIB:.2g} GiB, more than the limit of {most / GIB:.2g} GiB"
        )


def read_regular(path: str | os.PathLike[str], *, most: int = MOST) -> bytes:
    """The content of a file, as `open_regular` opens it, or what was sent of it."""
    if (content := content_sent(path)) is not None:
        return content
    with open_regular(path, most=most) as file:
        return file.read(os.fstat(file.fileno()).st_size)


_FORBIDDEN = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]|[. ]+\Z')
_OF_FILES = frozenset(
    (
        ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".svg", ".pdf", ".html", ".csv", ".tsv", ".xlsx",
        ".parquet", ".json", ".txt",
    )
)  # fmt: skip
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\.|\Z)", re.IGNORECASE
)


def refuse_file_name(folder: Path) -> None:
    """Refuse a file's name, such as out.png, or a device's for a folder that is to be made."""
    refuse_device_name(folder)
    if folder.suffix.lower() in _OF_FILES and not folder.exists():
        raise InputError(f"{folder}: a file's name, and a folder is written. Name a folder, such as out/.")


def refuse_device_name(path: str | os.PathLike[str], system: str = os.name) -> None:
    """Refuse CON.html and the like on Windows, where such a name is a device in whatever folder it stands."""
    if system != "nt":
        return
    device = next((part for part in PureWindowsPath(path).parts if is_device_name(part)), None)
    if device is not None:
        raise InputError(f"{os.fspath(path)}: Windows takes {device} for a device. Give another name.")


def is_device_name(name: str) -> bool:
    """Whether Windows takes a file's name for a device: CON.png, aux.html."""
    return _DEVICE.match(name) is not None


def portable_name(name: str) -> str:
    """A file's name as every system takes it, for what is called after a photo.

    Characters that Windows or macOS forbid, dots and spaces at the end and the first letter of a device's
    name are written as in a web address, so that `urllib.parse.unquote` gives the name back.

    >>> from anthropo.files import portable_name
    >>> portable_name("a:b.png"), portable_name("CON.png"), portable_name("face. ")
    ('a%3Ab.png', '%43ON.png', 'face%2E%20')
    """
    text = _FORBIDDEN.sub(lambda found: "".join(f"%{ord(c):02X}" for c in found[0]), name)
    return f"%{ord(text[0]):02X}{text[1:]}" if is_device_name(text) else text


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it, as `atomically` does."""
    with atomically(path) as file:
        file.write(data)


@contextlib.contextmanager
def atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that nobody ever sees half of: it has a temporary name, and is renamed at the end.

    An existing file's permissions stay, and a link stays a link; after an error in the block the file is as
    it was. A pipe or a device is no file to write to. What a killed run on this machine left behind in the
    folder is removed.
    """
    path = Path(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        refuse_irregular(os.stat(path))
    _sweep(path.parent)
    temporary = path.with_name(f"{_temporary()}-{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            if path.exists():  # whoever may not read the old file may not read the new one
                os.chmod(temporary, path.stat().st_mode & 0o777)
            yield file
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
    ends = time.monotonic() + _ENDING
    while True:
        file = open_regular(lock, "ab", most=None)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(file.fileno()), os.stat(lock))
        except FileNotFoundError:
            mine = False
        except OSError as error:
            if isinstance(error, BlockingIOError):
                file.close()
                if time.monotonic() < ends:
                    time.sleep(0.02)
                    continue
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
    with writing(path, what=what, advice=advice, error=error) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def writing(
    path: Path, *, what: str = "", advice: str = "", error: type[AnthropoError] = InputError
) -> Iterator[BinaryIO]:
    """The same, written piece by piece."""
    try:
        with atomically(path) as file:
            yield file
    except OSError as cause:
        about = f"{what} cannot" if what else "cannot"
        end = f" {advice}" if advice else ""
        raise error(f"{path}: {about} be written ({cause.strerror or cause}).{end}") from None


def read_text(path: Path, *, most: int = MOST_TEXT) -> str:
    """The text of a table that a user names."""
    with text_of(path, most=most) as file:
        return file.read()


@contextlib.contextmanager
def text_of(path: Path, *, most: int | None = MOST_TEXT) -> Iterator[TextIO]:
    """The same, to be read piece by piece; ends of lines stay as they are."""
    try:
        with open_regular(path, most=most) as file:
            start = file.read(3)
            file.seek(0)
            utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # "Unicode text" of Excel
            yield io.TextIOWrapper(file, "utf-16" if utf16 else "utf-8-sig", newline="")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        table = path.suffix.lower() in ("", ".csv", ".tsv", ".txt")
        advice = "Save the table as CSV in UTF-8." if table else "Save it in UTF-8."
        raise InputError(f"{path}: not UTF-8 text. {advice}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


def file_sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, hexadecimal."""
    if (content := content_sent(path)) is not None:
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with open_regular(path, most=None) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def real_paths() -> Callable[[str], str]:
    """`os.path.realpath` for many files of few folders, each of which is followed once.

    Examples
    --------
    >>> import os
    >>> from anthropo.files import real_paths
    >>> real = real_paths()
    >>> real("photos/p1.jpg") == os.path.realpath("photos/p1.jpg")
    True
    """
    folders: dict[str, str] = {}

    def real(path: str) -> str:
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or os.name != "posix":
            return os.path.realpath(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        there = os.path.join(folders[folder], name)
        return os.path.realpath(there) if os.path.islink(there) else there

    return real


def cache_folder() -> Path:
    """Where anthropo keeps what saves it time: $ANTHROPO_CACHE, or the user's cache directory."""
    if folder := os.environ.get("ANTHROPO_CACHE"):
        return Path(folder)
    import platformdirs  # here, since few need it

    return Path(platformdirs.user_cache_dir("anthropo", appauthor=False))


def packaged(package: str, name: str) -> bytes:
    """The content of a file that comes with a package of anthropo."""
    # `importlib.resources` would load temporary files and archives, too: a hundredth of the time of a photo
    content = pkgutil.get_data(package, name)
    if content is None:
        raise FileNotFoundError(f"{name}: not in {package}")
    return content


def packaged_table(package: str, name: str) -> list[dict[str, str]]:
    """The rows of a CSV that comes with a package of anthropo; lines that begin with # are comments."""
    lines = packaged(package, name).decode().splitlines()
    header, *rows = csv.reader(line for line in lines if not line.startswith("#"))
    return [dict(zip(header, row, strict=True)) for row in rows if row]
