"""Files: written whole or not at all, hashed without being loaded; and the tables that come with anthropo."""

from __future__ import annotations

import codecs
import contextlib
import csv
import hashlib
import os
import threading
from importlib import resources
from pathlib import Path

from anthropo.errors import AnthropoError, InputError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it: under a temporary name, then renamed.

    An existing file's permissions stay, and a link stays a link; after an OSError the file is as it was.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
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
