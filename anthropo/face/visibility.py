"""Which parts of a face are seen, and which something hides: a mask, a bar, dark glasses, a hand.

A small network looks at the upright face in colour and says of every place of it how probably it is seen.
It was trained on portraits before which things were drawn (`anthropo.synthetic.occluders`, by
development/visibility.py); docs/benchmarks.md, "Hidden parts", says what it finds, also of kinds of things
that it was not trained on.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import WeightsError
from anthropo.face import _engine
from anthropo.face.detection import power_of_two
from anthropo.face.frame import Floats, outer_canthal_distance, similarity
from anthropo.face.warp import blurring
from anthropo.face.weights import arrays_of, kept_arrays, known_weights, landmark_model, read_checked
from anthropo.photo import Photo

#: Side of the upright face that the network sees, outer-canthal distances.
EXTENT = 2.0
_DISC = 0.02  # outer-canthal distances about a point: mean of what is seen there
_OUTLINE = slice(0, 17)
_INWARDS = 0.08  # outer-canthal distances from the outline to the part of the face that it bounds
_RIM, _FILL = 0.03, 0.25  # outer-canthal distances: painted beyond what is hidden; SD of the smoothing
_MARGIN = 8  # px of the photo around what is seen, so that blocks of pixels are whole


@lru_cache(maxsize=1)
def _disc() -> Floats:
    """A point and a ring about it, outer-canthal distances."""
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    return _DISC * np.concatenate([[[0.0, 0.0]], np.column_stack([np.cos(turn), np.sin(turn)])])


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """How probably each place of a face is seen.

    Examples
    --------
    >>> import anthropo
    >>> face = anthropo.read_face(anthropo.example_photo())
    >>> face.cover.at(face.landmarks).shape, bool(face.hidden.any())
    ((68,), False)
    """

    seen: NDArray[np.float32]  # (M, M), 0 (hidden) to 1, over the upright face
    there: Floats  # (2, 3), from photo pixels to those of `seen`
    threshold: float  # below it a point is hidden
    # (68, 2) where the landmarks lie once what hides is painted over, photo pixels; None: nothing hides
    again: Floats | None = None

    def of(self, landmarks: Floats) -> Floats:
        """How probably each of the 68 landmarks, photo pixels, is seen. (68,)

        Whatever hides a part pushes landmarks aside, on to what is seen: one that is hidden at either
        place counts as hidden. So does a point of the outline that bounds what is hidden: the edge is that
        of a mask or a scarf, however clearly it stands out.
        """
        seen = self._of(landmarks)
        return seen if self.again is None else np.minimum(seen, self._of(self.again))

    def _of(self, landmarks: Floats) -> Floats:
        outline, rest = landmarks[_OUTLINE], landmarks[_OUTLINE.stop :]
        towards = rest.mean(0) - outline
        towards *= _INWARDS * outer_canthal_distance(landmarks) / np.hypot(*towards.T)[:, None]
        seen = self.at(np.concatenate([landmarks, outline + towards]))
        seen[_OUTLINE] = np.minimum(seen[_OUTLINE], seen[len(landmarks) :])
        return seen[: len(landmarks)]

    def at(self, points: Floats) -> Floats:
        """How probably each point (P, 2), photo pixels, is seen; beyond the map as at its border. (P,)"""
        places = self._on_map(points)[:, None] + len(self.seen) / EXTENT * _disc()
        return np.asarray(self._read(places).mean(1))

    def _on_map(self, points: Floats) -> Floats:
        return np.asarray(points @ self.there[:, :2].T + self.there[:, 2])

    def _read(self, places: Floats) -> Floats:
        """The map between its places (..., 2)."""
        side = len(self.seen)
        at = np.clip(places, 0, side - 1.001)
        low = at.astype(np.intp)
        u, v = np.moveaxis(at - low, -1, 0)
        flat, first = self.seen.ravel(), low[..., 1] * side + low[..., 0]
        top = flat[first] * (1 - u) + flat[first + 1] * u
        bottom = flat[first + side] * (1 - u) + flat[first + side + 1] * u
        return np.asarray(top * (1 - v) + bottom * v)

    def hides_places(self, points: Floats) -> NDArray[np.bool_]:
        """Which of many places (N, 2), photo pixels, are hidden, each looked at by itself."""
        return np.asarray(self._read(self._on_map(points)) < self.threshold)

    def hides(self, points: Floats) -> NDArray[np.bool_]:
        """Which of the points (P, 2), photo pixels, are hidden."""
        return np.asarray(self.at(points) < self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class CoverModel:
    """The network, the mean face (68, 2) that faces are laid on, and from where on a point is seen."""

    network: _engine.CoverNetwork
    side: int  # px of the network's picture
    frame: Floats  # in outer-canthal distances
    threshold: float


def read_cover_model(data: bytes, digest: str = "") -> CoverModel:
    """The network from an .npz file's content; with its SHA-256, the arrays are kept in the cache."""
    try:
        arrays = kept_arrays(data, digest) if digest else arrays_of(data)
        layers = sum(k.startswith("weights") for k in arrays)
        parts = [
            [arrays[f"{part}{i}"].astype(np.float32) for i in range(layers)] for part in ("weights", "biases")
        ]
        side, threshold = int(arrays["side"]), float(arrays["threshold"])
        frame = arrays["frame"].astype(np.float64)
        if frame.shape != (68, 2) or not np.isfinite(frame).all() or not 0 < threshold < 1:
            raise ValueError(f"a mean face of shape {frame.shape}, a threshold of {threshold:g}")
        network = _engine.CoverNetwork(parts[0], parts[1], int(arrays["down"]), side)
        return CoverModel(network, side, frame, threshold)
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsError(
            f"visibility.npz: not the weights that tell hidden parts of a face ({error}). Reinstall anthropo."
        ) from None


@lru_cache(maxsize=1)
def cover_model() -> CoverModel:
    """The packaged network."""
    return read_cover_model(read_checked("visibility"), known_weights("visibility").sha256)


def frame_points() -> Floats:
    """The mean face (68, 2) in outer-canthal distances, about the middle of what is not outline."""
    mean = landmark_model().predictor.mean_shape
    return np.asarray((mean - mean[17:].mean(0)) / outer_canthal_distance(mean))


def chip_of(
    photo: Photo, points: Floats, side: int, extent: float = EXTENT, frame: Floats | None = None
) -> tuple[NDArray[np.uint8], Floats]:
    """The upright face in colour (side, side, 3), and what takes photo pixels to its pixels (2, 3).

    From landmarks (68, 2) in photo pixels; `extent` is what of the face it shows, outer-canthal distances.
    """
    mean = frame_points() if frame is None else frame
    target = (mean * (side / extent) + (side - 1) / 2)[17:]
    there = similarity(points[17:], target)
    photo = photo.finer(power_of_two(1 / float(np.hypot(*there[:, 0]))))
    local = similarity(photo.to_decoded(points)[17:], target)
    turn = np.linalg.inv(local[:, :2])
    origin = -turn @ local[:, 2]
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]]) @ turn.T + origin
    size = np.array(photo.pixels.shape[1::-1])
    low = np.clip(np.floor(corners.min(0)) - _MARGIN, 0, size - 1).astype(int)
    high = np.clip(np.ceil(corners.max(0)) + _MARGIN, low + 1, size).astype(int)
    part = photo.pixels[low[1] : high[1], low[0] : high[0]]
    back = np.column_stack([turn, origin - low])
    channels = [_engine.warp(np.ascontiguousarray(part[..., k]), back, side, side) for k in range(3)]
    return np.stack(channels, axis=-1), there


def cover_of(photo: Photo, points: Floats, model: CoverModel | None = None) -> Cover:
    """What of a face is seen, from landmarks (68, 2) in photo pixels."""
    model = cover_model() if model is None else model
    chip, there = chip_of(photo, points, model.side, EXTENT, model.frame)
    seen = model.network.predict(chip)
    scale = len(seen) / model.side
    there = there * scale
    there[:, 2] += (scale - 1) / 2
    return Cover(seen, there, model.threshold)


def painted_over(photo: Photo, cover: Cover) -> Photo:
    """The photo with what is hidden of the face filled in smoothly from what is seen around it."""
    side = len(cover.seen)
    zoom = float(np.hypot(*cover.there[:, 0])) * photo.decode_scale  # pixels of the map per pixel
    unit = side / EXTENT / zoom
    back = np.linalg.inv(cover.there[:, :2])
    corners = np.array([(x, y) for x in (0, side - 1) for y in (0, side - 1)])
    corners = photo.to_decoded((corners - cover.there[:, 2]) @ back.T)
    around = 3 * _FILL * unit
    size = np.array(photo.pixels.shape[1::-1])
    left, top = np.clip(np.floor(corners.min(0) - around), 0, size - 1).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0) + around), (left + 1, top + 1), size).astype(int)
    part = photo.pixels[top:bottom, left:right]
    height, width = part.shape[:2]

    x, y = (photo.to_full(np.arange(*ends, dtype=np.float64)) for ends in ((left, right), (top, bottom)))
    column, row = (along * x + (down * y + first)[:, None] for along, down, first in cover.there)
    hidden = (column >= 0) & (column <= side - 1) & (row >= 0) & (row <= side - 1)
    column, row = (np.rint(at[hidden]).astype(np.intp) for at in (column, row))
    hidden[hidden] = cover.seen[row, column] < cover.threshold
    for _ in range(max(1, round(_RIM * unit))):
        hidden = _grown(hidden)
    if not hidden.any():
        return photo
    seen = 1 - hidden.astype(np.float32)

    # what is smooth is worked out on means of blocks, an eighth as wide as it is smooth
    block = max(1, int(_FILL * unit / 8))
    sigma = _FILL * unit / block
    rows, columns = (
        blurring(-(-n // block), sigma, math.ceil(4 * sigma)).astype(np.float32) for n in (height, width)
    )

    # and filled in where anything is hidden
    (up, low), (near, far) = (
        (ends[0], ends[-1] + 1) for ends in (hidden.any(n).nonzero()[0] for n in (1, 0))
    )
    where = hidden[up:low, near:far]

    def smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
        means = np.asarray(Image.fromarray(values).reduce(block))
        small = Image.fromarray(rows @ means @ columns.T)
        box = (near / block, up / block, far / block, low / block)
        inner = np.asarray(small.resize(where.shape[::-1], Image.Resampling.BILINEAR, box=box))
        return np.asarray(inner[where])

    weight = smooth(seen) + 1e-3
    pixels = photo.pixels.copy()
    for k in range(3):
        filled = np.clip(smooth(part[..., k] * seen) / weight, 0, 255)
        pixels[top + up : top + low, left + near : left + far, k][where] = filled
    return replace(photo, pixels=pixels)


# In scipy.ndimage as well, whose import takes longer than three photos.
def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask (h, w) and the pixels above, below, left and right of it."""
    out: NDArray[np.bool_] = mask.copy()
    out[1:] |= mask[:-1]
    out[:-1] |= mask[1:]
    out[:, 1:] |= mask[:, :-1]
    out[:, :-1] |= mask[:, 1:]
    return out
