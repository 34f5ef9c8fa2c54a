"""The second landmark stage: small networks on patches of eyes, canthi, nostrils, mouth corners and lips.

The 68-point predictor sees the whole face coarsely. Here each region is looked at closely: points of
the 68-point scheme are predicted again and averaged with the first stage's, and anatomical landmarks
that the scheme lacks (pupil, lid margins) or puts elsewhere (alare, canthi) are predicted directly.
Each region has two networks, which look at it a little shifted against each other. Trained by
development/fine.py; docs/decisions says why these are networks and no second forest, and why two.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import WeightsError, parameter
from anthropo.face import _engine
from anthropo.face.detection import power_of_two
from anthropo.face.frame import Floats, outer_canthal_distance, similarity
from anthropo.face.landmarker import Face
from anthropo.face.scheme import MIRROR
from anthropo.face.weights import landmark_model, locate
from anthropo.photo import Photo

FACE = 512  # px, side of the upright face
PATCH = 64  # px, side of a patch
#: Anatomical landmarks that have no side.
MIDLINE = frozenset({"sn", "ls", "sts", "sti", "li"})

_DECODED_UNIT = 120.0  # px: decode finer when the outer-canthal distance is smaller than this
_LOOKS = 2  # places that patches are taken from, in turn by the networks of a model
_SHARE = 0.6  # of the second stage in a point that both stages predict


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    network: _engine.PatchNetwork
    scheme: NDArray[np.intp]  # points of the 68-point scheme, the subject's right side
    codes: tuple[str, ...]  # anatomical landmarks, without their side
    pixel: float  # pixels of the upright face per patch pixel


@dataclass(frozen=True, slots=True, eq=False)
class FineModel:
    """The second stage's networks, and the mean face (68, 2) that faces are laid on."""

    frame: Floats
    regions: tuple[_Region, ...]


def read_fine_model(data: bytes) -> FineModel:
    """The networks from an .npz file's content."""
    try:
        if not zipfile.is_zipfile(io.BytesIO(data)):
            raise ValueError("no .npz file")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {k: file[k] for k in file.files}
        return fine_of_arrays(arrays)
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(
            f"fine.npz: not the weights of the fine landmark stage ({error}). Reinstall anthropo, or "
            f"pass {parameter('fine', False)}."
        ) from None


def fine_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> FineModel:
    """The networks of a file's arrays; a KeyError or ValueError says what does not fit."""
    names = list(dict.fromkeys(k.split(".")[0] for k in arrays if "." in k))
    frame = arrays["frame"].astype(np.float64)
    if frame.shape != (68, 2) or not names:
        raise ValueError(f"a mean face of shape {frame.shape}, {len(names)} regions")
    if not np.isfinite(frame).all() or not 1 < frame[17:].std() < FACE:
        raise ValueError("a mean face that is none")
    return FineModel(frame, tuple(_region(arrays, n) for n in names))


def _region(arrays: Mapping[str, NDArray[Any]], name: str) -> _Region:
    layers = [k for k in arrays if k.startswith(f"{name}.") and f"{k}_bias" in arrays]
    network = _engine.PatchNetwork(
        [arrays[k].astype(np.float32) for k in layers],
        [arrays[f"{k}_bias"].astype(np.float32) for k in layers],
        PATCH,
    )
    scheme = arrays[f"{name}.scheme"].astype(np.intp)
    codes = tuple(str(c) for c in arrays.get(f"{name}.codes", ()))
    if network.points != len(scheme) + len(codes):
        raise ValueError(f"{name}: {network.points} points, {len(scheme) + len(codes)} names")
    if len(scheme) == 0 or not ((scheme >= 0) & (scheme < 68)).all():
        raise ValueError(f"{name}: points beyond the 68")
    pixel = float(arrays[f"{name}.pixel"])
    if not 0.1 < pixel < FACE / PATCH * 2:
        raise ValueError(f"{name}: {pixel} pixels for each of a patch")
    return _Region(network, scheme, codes, pixel)


@lru_cache(maxsize=4)
def fine_model(landmarks: str | None = None) -> FineModel:
    """The second stage that goes with a landmark model: its own where its file has one, else the packaged."""
    bundle = None if landmarks is None else landmark_model(landmarks).bundle
    if bundle is None or not bundle.fine:
        return read_fine_model(_packaged())
    return own_fine_model(str(landmarks), bundle.fine)


def own_fine_model(landmarks: str, arrays: Mapping[str, NDArray[Any]]) -> FineModel:
    """The second stage in the file of a landmark model; a WeightsError says why it cannot be used."""
    try:
        return fine_of_arrays(arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{landmarks}: its second stage cannot be used ({error}). Train it again, or pass "
            f"{parameter('fine', False)}."
        ) from None


@lru_cache(maxsize=1)
def fine_sha256() -> str:
    """SHA-256 of the packaged second stage's file."""
    return hashlib.sha256(_packaged()).hexdigest()


def _packaged() -> bytes:
    try:
        return locate("fine-landmarks").read_bytes()
    except OSError as error:
        raise WeightsError(f"fine.npz: cannot be read ({error.strerror}). Reinstall anthropo.") from None


def refine(photo: Photo, face: Face, model: FineModel | None = None) -> Face:
    """The face with its landmarks looked at a second time, in high-resolution patches.

    Parameters
    ----------
    photo : Photo
        The photo that the face was found in; decoded finer when that is of use.
    face : Face
    model : FineModel, optional
        The packaged one when left out.

    Returns
    -------
    Face
        ``landmarks``, ``samples`` and ``landmark_sd`` are of both stages together; ``anatomy`` holds
        the anatomical landmarks by code, photo pixels.

    Examples
    --------
    >>> import anthropo
    >>> photo = anthropo.read_photo(anthropo.example_photo())
    >>> sorted(anthropo.face.refine(photo, anthropo.read_face(photo)).anatomy)[:4]
    ['alL', 'alR', 'chL', 'chR']
    """
    model = fine_model() if model is None else model
    unit = outer_canthal_distance(face.landmarks)
    if unit / photo.decode_scale < _DECODED_UNIT:
        photo = photo.finer(power_of_two(unit / _DECODED_UNIT))
    placed = photo.to_decoded(face.landmarks)
    upright, there, back = lay_upright(photo.pixels, placed, model.frame)
    placed = placed @ there[:, :2].T + there[:, 2]

    looks = np.zeros((_LOOKS, 68, 2))
    counts = np.zeros((_LOOKS, 68, 1))
    anatomy: dict[str, list[Floats]] = {}
    for number, region in enumerate(model.regions):
        look = number % _LOOKS
        for mirrored in (False, True):
            seen = _look(region, upright, placed, mirrored, look)
            n = len(region.scheme)
            at = MIRROR[region.scheme] if mirrored else region.scheme
            looks[look, at] += seen[:n]
            counts[look, at] += 1
            for code, point in zip(region.codes, seen[n:], strict=True):
                name = code if code in MIDLINE else code + ("L" if mirrored else "R")
                anatomy.setdefault(name, []).append(point)

    def to_photo(points: Floats) -> Floats:
        return photo.to_full(points @ back[:, :2].T + back[:, 2])

    seen_twice = counts.sum((0, 2)) > 0
    looks, counts = looks[:, seen_twice], counts[:, seen_twice]
    mean = looks.sum(0) / counts.sum(0)
    fine = to_photo(np.where(counts > 0, looks / np.maximum(counts, 1), mean))
    samples = face.samples.copy()
    samples[:, seen_twice] += _SHARE * (fine[np.arange(len(samples)) % _LOOKS] - samples[:, seen_twice])
    points = face.landmarks.copy()
    points[seen_twice] += _SHARE * (to_photo(mean) - points[seen_twice])
    return replace(
        face,
        landmarks=points,
        samples=samples,
        landmark_sd=samples.std(0, ddof=1) if len(samples) > 1 else face.landmark_sd,
        anatomy={name: to_photo(np.mean(values, 0)) for name, values in anatomy.items()},
    )


def lay_upright(
    pixels: NDArray[np.uint8], points: Floats, frame: Floats
) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """A face laid on a mean face.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
    points : (68, 2) array
        The face's landmarks, pixels.
    frame : (68, 2) array
        The mean face in the upright picture.

    Returns
    -------
    (FACE, FACE) uint8 array, (2, 3) array, (2, 3) array
        The grey upright face, the map from pixels to it, and the map back.
    """
    there = similarity(points[17:], frame[17:])
    turn = np.linalg.inv(there[:, :2])
    back = np.column_stack([turn, -turn @ there[:, 2]])
    return _engine.warp(pixels, back, FACE, FACE), there, back


def _look(region: _Region, upright: NDArray[np.uint8], placed: Floats, mirrored: bool, look: int) -> Floats:
    """The region's points (P, 2) in the upright face; the subject's left is seen mirrored."""
    points = placed[MIRROR[region.scheme] if mirrored else region.scheme]
    centre = points.mean(0)
    if mirrored:
        centre = np.array([FACE - 1 - centre[0], centre[1]])
    sampled = _maps(region.pixel)[look].copy()
    sampled[:, 2] += centre
    if mirrored:
        sampled[0] *= -1
        sampled[0, 2] += FACE - 1
    (seen,) = region.network.predict(upright, sampled[None])
    return np.asarray(seen @ sampled[:, :2].T + sampled[:, 2])


@lru_cache(maxsize=16)
def _maps(pixel: float) -> Floats:
    """Jittered maps (looks, 2, 3), patch pixels to the upright face, of a patch centred on the origin."""
    z = np.random.default_rng(20140623).standard_normal((_LOOKS, 4)) * (3.0, 3.0, 0.04, 0.04)
    z[0] = 0
    size, angle = pixel * np.exp(z[:, 2]), z[:, 3]
    a, b = size * np.cos(angle), size * np.sin(angle)
    turn = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)
    shift = z[:, :2] - turn @ np.full(2, (PATCH - 1) / 2)
    return np.concatenate([turn, shift[:, :, None]], 2)
