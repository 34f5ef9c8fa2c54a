"""Strict zip files of a JSON manifest and arrays, as all models of anthropo are kept; never pickle.

A reader needs no trust: members are stored uncompressed, one directly after the other, with nothing before,
between or behind them, and every one is named in the manifest with its size and SHA-256. What is read is
therefore never larger than the file, nothing is unpacked to disk and nothing is executed. The bytes depend on
the contents alone (no clock, no compression library), so that the hash of a file tells whether two are equal.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from anthropo._version import __version__
from anthropo.errors import AnthropoError, ModelError
from anthropo.files import IrregularError, open_regular, write_atomically

MAX_BYTES = 1 << 30  # of the file, which bounds everything that is read from it
MAX_MANIFEST = 4 << 20  # JSON grows about twentyfold when parsed
MAX_MEMBERS = 4096
MAX_DEPTH = 32  # of nested JSON

_MANIFEST = "manifest.json"
_GET_ANOTHER = "Copy it again from where it was made, or train it again."
#: What `write_container` fills in.
FILLED = ("format", "format_version", "anthropo", "files")


class Refused(Exception):
    """Why a file is refused; becomes an error that names the file."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the kinds of files.

    Attributes
    ----------
    format, version : str, int
        What its manifest begins with; files of a later version are refused.
    name : str
        What it is, after "a".
    give : str
        The advice where another file was given.
    error : type of AnthropoError
        What is raised.
    fault : callable
        What is wrong with a manifest; None when nothing is.
    others : mapping of str to str
        What files of other formats are: a sentence.
    texts : tuple of str
        Members that are no arrays and are not read.
    """

    format: str
    version: int
    name: str
    give: str
    error: type[AnthropoError]
    fault: Callable[[dict[str, Any]], str | None]
    others: Mapping[str, str]
    texts: tuple[str, ...] = ()


def fault_of(
    read: Callable[[dict[str, Any]], object], error: type[AnthropoError]
) -> Callable[[dict[str, Any]], str | None]:
    """The `Kind.fault` of what reads a manifest: its error's sentence."""

    def fault(manifest: dict[str, Any]) -> str | None:
        try:
            read(manifest)
        except error as refusal:
            return str(refusal)
        return None

    return fault


def shown(value: Any, *, bare: bool = False) -> str:
    """A value from a foreign file, fit for a message; a `bare` text has no quotation marks."""
    text = ascii(value)[1:-1] if bare else ascii(value)
    most = 80 if bare else 60  # names are longer
    return text if len(text) <= most else text[: most - 3] + "..."


# ------------------------------------------------------------------------------- the manifest


# control characters would reach a terminal, lone surrogates cannot be written anywhere
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def unfit_text(value: Any, depth: int = 0) -> str | None:
    """What is wrong with the nesting or the texts of a JSON value; None when nothing is."""
    if depth > MAX_DEPTH:
        return "nested too deeply"
    if isinstance(value, str):
        return "a text has control characters" if _FORBIDDEN.search(value) else None
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return next((m for v in value if (m := unfit_text(v, depth + 1))), None)
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(made := dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return made


def _integer(digits: str) -> int:
    if len(digits) > 20:  # converting takes quadratic time
        raise ValueError("an integer out of range")
    return int(digits)


def _number(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError("a number out of range")
    return number


def _parse_manifest(data: bytes, kind: Kind) -> dict[str, Any]:
    try:
        manifest = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_number,
        )
    except (ValueError, RecursionError):
        raise Refused(f"its {_MANIFEST} is not valid JSON; damaged or altered. {_GET_ANOTHER}") from None
    stated = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(manifest, dict) or stated != kind.format:
        what = kind.others.get(stated) if isinstance(stated, str) else None
        raise Refused(f"{what or f'a zip file, but not a {kind.name}.'} {kind.give}")
    version = manifest.get("format_version")
    if type(version) is not int or version < 1:
        raise Refused(f"its {_MANIFEST} states no format version; damaged or altered. {_GET_ANOTHER}")
    if version > kind.version:
        maker = shown(str(manifest.get("anthropo", "of an unknown version")), bare=True)
        raise Refused(
            f"made by anthropo {maker} in model format {version}; this is anthropo {__version__}, which "
            f"reads up to format {kind.version}. Update anthropo."
        )
    if fault := unfit_text(manifest) or kind.fault(manifest):
        raise Refused(f"its {_MANIFEST} cannot be used ({shown(fault, bare=True)}); altered. {_GET_ANOTHER}")
    return manifest


# --------------------------------------------------------------------------------- the arrays

_DTYPES = ("|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")
_NPY = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<|][biuf][1248])', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,15}, ?)*(?:[0-9]{1,15})?)\), \} *\n"
)


def array_bytes(name: str, array: NDArray[Any]) -> bytes:
    little = np.asarray(array, order="C")
    little = little.astype(little.dtype.newbyteorder("<"), copy=False)
    if little.dtype.str not in _DTYPES:
        raise ValueError(f"array {name}: dtype {little.dtype} cannot be kept in a model file")
    file = io.BytesIO()
    np.save(file, little, allow_pickle=False)
    return file.getvalue()


def plain_array(name: str, data: bytes) -> NDArray[Any]:
    """An array from the bytes of a .npy file; nothing is evaluated, nothing allocated on its word.

    Raises
    ------
    ModelError
        If it holds something else than numbers or truth values, or another number of them than it states.
    """
    try:
        return _array(name, bytearray(data))  # which can be written to
    except Refused as reason:
        raise ModelError(str(reason)) from None


def _array(name: str, data: bytearray) -> NDArray[Any]:
    """As `plain_array`, without another copy."""
    start = 10 + int.from_bytes(data[8:10], "little")
    header = _NPY_HEADER.fullmatch(bytes(data[10:start]))
    if data[:8] != _NPY or header is None or header[1].decode() not in _DTYPES:
        raise Refused(
            f"{shown(name, bare=True)} is not a plain numeric array; damaged or altered, and nothing of it "
            f"was loaded. {_GET_ANOTHER}"
        )
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(n) for n in header[2].split(b",") if n.strip())
    fits = math.prod(shape) * dtype.itemsize == len(data) - start
    # (0, 10**15) has no bytes either, but what is computed from it would
    if not fits or len(shape) > 8 or math.prod(max(n, 1) for n in shape) * dtype.itemsize > MAX_BYTES:
        raise Refused(
            f"{shown(name, bare=True)} has another size than it states; damaged or altered. {_GET_ANOTHER}"
        )
    if dtype.kind == "b" and np.frombuffer(data, np.uint8, offset=start).max(initial=0) > 1:
        raise Refused(f"{shown(name, bare=True)} has truth values that are none; altered. {_GET_ANOTHER}")
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


# ---------------------------------------------------------------------------------- the zip

_NAME = re.compile(r"(?!.{101})[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_END = struct.Struct("<4s4H2LH")  # end of central directory
_LOCAL_HEADER = 30  # bytes, before the name
# what zipfile and zlib raise on bytes that somebody made up
_PARSER_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    ArithmeticError,
    RuntimeError,
    LookupError,
)


def _fingerprint(data: bytes | bytearray) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _pack(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # dated 1980, whenever it is written
            info.create_system = 3  # Unix, wherever it is written
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)
    return file.getvalue()


def _open_zip(file: BinaryIO, size: int, kind: Kind) -> zipfile.ZipFile:
    """The zip, after its last record has shown that it holds nothing but plain members."""
    start = file.read(4)
    if not start:
        raise Refused(f"an empty file. {_GET_ANOTHER}")
    if start[:2] != b"PK":
        raise Refused(f"not a {kind.name}. {kind.give}")
    if size > MAX_BYTES:
        raise Refused(f"larger than any model of anthropo ({MAX_BYTES >> 20} MiB at most). {kind.give}")
    tail_size = min(size, 20 + _END.size)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\5\6":
        raise Refused(f"cut short, or bytes follow its end. {_GET_ANOTHER}")
    _, disk, first_disk, here, count, length, offset, comment = _END.unpack(tail[-_END.size :])
    # a zip64 record would be believed instead of these numbers
    plain = disk == first_disk == comment == 0 and here == count and tail[:4] != b"PK\6\7"
    if not plain or offset + length + _END.size != size or start[:4] != b"PK\3\4":
        raise Refused(f"a zip file that anthropo has not written. {kind.give}")
    if count > MAX_MEMBERS or length > MAX_MEMBERS * 160:  # 46 bytes and a name each
        raise Refused(f"more than {MAX_MEMBERS} members, which no model of anthropo has. {kind.give}")
    return zipfile.ZipFile(file)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    data = bytearray()
    with archive.open(info) as member:
        while chunk := member.read(1 << 20):
            data += chunk
            if len(data) > info.file_size:
                break
    if len(data) != info.file_size:
        raise Refused(f"{shown(info.filename, bare=True)} has another size than stated. {_GET_ANOTHER}")
    return data


def _read_manifest(archive: zipfile.ZipFile, kind: Kind) -> dict[str, Any]:
    manifests = [info for info in archive.infolist() if info.orig_filename == _MANIFEST]
    if not manifests:
        raise Refused(f"a zip file, but not a {kind.name} (no {_MANIFEST}). {kind.give}")
    if len(manifests) > 1:
        raise Refused(f"{_MANIFEST} is in it twice; altered. {_GET_ANOTHER}")
    if manifests[0].file_size > MAX_MANIFEST:
        raise Refused(f"its {_MANIFEST} is larger than {MAX_MANIFEST >> 20} MiB; altered. {_GET_ANOTHER}")
    if manifests[0].flag_bits & 1:
        raise Refused(f"{_MANIFEST} is encrypted, which no model of anthropo is. {kind.give}")
    # a later format may compress: its version is read before its ways are refused
    return _parse_manifest(bytes(_read_member(archive, manifests[0])), kind)


def _member_fault(info: zipfile.ZipInfo) -> str | None:
    """Why a member cannot come from anthropo; None when it can."""
    mode = info.external_attr >> 16
    if info.orig_filename != info.filename or not _NAME.fullmatch(info.filename):
        return "has a name that is not allowed"
    if info.flag_bits & 1:
        return "is encrypted"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if info.compress_type != zipfile.ZIP_STORED:
        return "is compressed"
    if info.flag_bits or info.extra or info.comment or info.compress_size != info.file_size:
        return "is stored in an unusual way"
    return None


def _check_layout(archive: zipfile.ZipFile, listed: Mapping[str, Any]) -> None:
    """Refuse a zip in which anything is hidden, doubled, missing, or more than a plain stored file."""
    position, seen = 0, set()
    for info in archive.infolist():
        if fault := _member_fault(info):
            raise Refused(
                f"its member {shown(info.orig_filename, bare=True)} {fault}; no model of anthropo has such "
                f"a member, so the file was repacked or altered. {_GET_ANOTHER}"
            )
        if info.filename in seen:
            raise Refused(f"{info.filename} is in it twice; altered. {_GET_ANOTHER}")
        seen.add(info.filename)
        if info.header_offset != position:
            raise Refused(f"its members overlap or leave gaps; altered. {_GET_ANOTHER}")
        position += _LOCAL_HEADER + len(info.filename) + info.file_size
    if position != archive.start_dir:
        raise Refused(f"its members overlap or leave gaps; altered. {_GET_ANOTHER}")
    if missing := sorted({*listed, _MANIFEST} - seen):
        raise Refused(
            f"{shown(missing[0], bare=True)} is missing from it; damaged or altered. {_GET_ANOTHER}"
        )
    if extra := sorted(seen - {*listed, _MANIFEST}):
        raise Refused(f"{extra[0]} is in it but not in its {_MANIFEST}; altered. {_GET_ANOTHER}")


def _read(file: BinaryIO, size: int, kind: Kind) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with _open_zip(file, size, kind) as archive:
        manifest = _read_manifest(archive, kind)
        listed = manifest.get("files") or {}
        _check_layout(archive, listed)
        arrays: dict[str, NDArray[Any]] = {}
        for name in listed:
            data = _read_member(archive, archive.getinfo(name))
            if listed[name] != _fingerprint(data):
                raise Refused(f"{name} does not match its SHA-256; damaged or altered. {_GET_ANOTHER}")
            if name not in kind.texts:
                if not (name.startswith("arrays/") and name.endswith(".npy")):
                    raise Refused(f"{name} is not a .npy array; altered. {_GET_ANOTHER}")
                arrays[name[len("arrays/") : -len(".npy")]] = _array(name, data)
    return manifest, arrays


def read_container(
    path: str | os.PathLike[str], kind: Kind
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Manifest and arrays of a file that may come from anywhere; nothing of it is executed or unpacked.

    Raises the error of its `kind`.
    """
    try:
        with open_regular(path, most=None) as file:
            return _read(file, os.fstat(file.fileno()).st_size, kind)
    except Refused as reason:
        message = str(reason)
    except FileNotFoundError:
        message = f"no such model file. {kind.give}"
    except (IsADirectoryError, IrregularError):
        message = f"not a file. {kind.give}"
    except OSError as error:
        message = f"cannot be read ({error.strerror or error}). {_GET_ANOTHER}"
    except _PARSER_ERRORS:
        message = f"damaged or altered. {_GET_ANOTHER}"
    except MemoryError:
        message = "too large for this computer's memory. Use a computer with more memory."
    raise kind.error(f"{os.fspath(path) or 'An empty name'}: {message}")


def write_container(
    path: str | os.PathLike[str],
    kind: Kind,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    texts: Mapping[str, str],
    *,
    smaller: str,
) -> None:
    """Write a file, whole or not at all; the same contents give the same bytes.

    The manifest gets its format, version and list of files as well. Names of arrays are of ASCII letters,
    digits, ``_``, ``-``, ``.`` and ``/``. `smaller` is the advice where it is too large.
    """
    members = {f"arrays/{name}.npy": array_bytes(name, array) for name, array in arrays.items()}
    if unfit := [name for name in members if not _NAME.fullmatch(name)]:
        raise ValueError(f"{unfit[0]!r} cannot be the name of a member")
    members = {
        **{n: t.encode() for n, t in texts.items()},
        **{name: members[name] for name in sorted(members)},
    }
    written = {**manifest, "files": {name: _fingerprint(data) for name, data in members.items()}}
    text = json.dumps(written, allow_nan=False, ensure_ascii=False, indent=1).encode() + b"\n"
    members = {_MANIFEST: text, **members}
    if len(text) > MAX_MANIFEST or len(members) > MAX_MEMBERS or sum(map(len, members.values())) > MAX_BYTES:
        raise kind.error(
            f"{os.fspath(path)}: the model is too large to be kept ({MAX_BYTES >> 20} MiB, {MAX_MEMBERS} "
            f"arrays and {MAX_MANIFEST >> 20} MiB of manifest at most). {smaller}"
        )
    try:
        write_atomically(Path(path), _pack(members))
    except OSError as error:
        raise kind.error(
            f"{os.fspath(path)}: the model cannot be written ({error.strerror or error}); what was there "
            "before is untouched. Free space there, or give another place."
        ) from None


def completed(kind: Kind, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with its format and version, as JSON will have it; a ValueError says why it is none."""
    filled = {
        "format": kind.format,
        "format_version": kind.version,
        "anthropo": __version__,
        **{k: v for k, v in manifest.items() if k not in FILLED},
    }
    plain: dict[str, Any] = json.loads(json.dumps(filled, allow_nan=False))  # tuples become lists
    if fault := unfit_text(plain) or kind.fault(plain):
        raise ValueError(fault)
    return plain
