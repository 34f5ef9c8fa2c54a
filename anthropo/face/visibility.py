"""Which parts of a face are seen, and which something hides: a mask, a bar, dark glasses, a hand.

A small network looks at the upright face in colour and says of every place of it how probably it is seen.
It was trained on portraits before which things were drawn (`anthropo.synthetic.occluders`, by
development/visibility.py). Whether a landmark is hidden is read off that map where it was found, and where it
lies as the landmarks that are seen tell, since those of hidden parts are found beside what hides them.
docs/benchmarks/landmarks.md, "Hidden parts", says what is found, also of kinds of things that the network was
not trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import WeightsError
from anthropo.face import _engine
from anthropo.face.completion import Shapes
from anthropo.face.detection import power_of_two
from anthropo.face.frame import Floats, outer_canthal_distance, similarity
from anthropo.face.warp import blurring
from anthropo.face.weights import arrays_of, kept_arrays, landmark_model
from anthropo.photo import Photo

#: Side of the upright face that the network sees, outer-canthal distances.
EXTENT = 2.0
_CLOSER = 0.85  # of that is seen in a second look at a face of which something is hidden
_SURE = 0.998  # no probability counts as more when those of two looks are brought together
_TRUST = 4  # power of its probability by which a landmark counts where others are looked for
_DISC = 0.02  # outer-canthal distances about a point: mean of what is seen there
_OUTLINE = slice(0, 17)
_CHIN = slice(6, 11)  # of the outline, likewise
# Odds of the chin to be seen are so much less than the network says, which was shown little of what hides it.
_DOUBT = 6.0
# The lower look, for the chin: it lies lower by outer-canthal distances, and shows more than EXTENT.
_LOWER, _WIDER = 0.2, 1.2
# Not where the neck shows so far below the chin: skin like the cheeks', by levels and by their ratios.
_BELOW, _NECK, _TINT = 0.06, (0.4, 1.2), 0.1
_CHEEKS = ((2, 31), (14, 35))  # between these points
_INWARDS = 0.08  # outer-canthal distances from the outline to the part of the face that it bounds
_RIM, _FILL = 0.03, 0.25  # outer-canthal distances: painted beyond what is hidden; SD of the smoothing
_MARGIN = 8  # px of the photo around what is seen, so that blocks of pixels are whole


@lru_cache(maxsize=1)
def _disc() -> Floats:
    """A point and a ring about it, outer-canthal distances."""
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    return _DISC * np.concatenate([[[0.0, 0.0]], np.column_stack([np.cos(turn), np.sin(turn)])])


def _together(*looks: NDArray[np.floating[Any]]) -> Floats:
    """Probabilities of several looks at the same places as one: that of the mean of their log-odds."""
    each = np.clip(np.array(looks, dtype=np.float64), 1 - _SURE, _SURE)
    odds = (each / (1 - each)).prod(0) ** (1 / len(looks))
    return np.asarray(odds / (1 + odds))


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
    # (68, 2) where the landmarks lie as those that are seen tell, photo pixels; None: nothing hides
    places: Floats | None = None
    # (68,) of each landmark where it was found, before those that are hidden were laid on `places`
    found: Floats | None = None
    lower: Cover | None = None  # from a look at more of what lies below the face, for the chin

    def of(self, landmarks: Floats) -> Floats:
        """How probably each of the 68 landmarks, photo pixels, is seen. (68,)

        Whatever hides a part pushes landmarks aside, on to what is seen: one that is hidden at either
        place counts as hidden. So does a point of the outline that bounds what is hidden: the edge is that
        of a mask or a scarf, however clearly it stands out.
        """
        seen = self._of(landmarks)
        if self.places is not None:
            seen = np.minimum(seen, self._of(self.places))
        return seen if self.found is None else np.where(self.found < self.threshold, self.found, seen)

    def completed(self, landmarks: Floats, shapes: Shapes, *others: Floats) -> Floats:
        """Where the landmarks (68, 2) lie as those of them that are seen tell, photo pixels.

        One that is hidden at any of `others` (68, 2) as well does not count as seen.
        """
        unit, middle = len(self.seen) / EXTENT, (len(self.seen) - 1) / 2
        seen = np.min([self.at(points) for points in (landmarks, *others)], axis=0)
        upright = (self._on_map(landmarks) - middle) / unit
        placed = shapes.completed(upright, seen**_TRUST)
        seen = np.minimum(seen, self._at(placed * unit + middle))
        placed = shapes.completed(upright, seen**_TRUST) * unit + middle
        return np.asarray((placed - self.there[:, 2]) @ np.linalg.inv(self.there[:, :2]).T)

    def _of(self, landmarks: Floats) -> Floats:
        outline, rest = landmarks[_OUTLINE], landmarks[_OUTLINE.stop :]
        towards = rest.mean(0) - outline
        towards *= _INWARDS * outer_canthal_distance(landmarks) / np.hypot(*towards.T)[:, None]
        seen = self.at(np.concatenate([landmarks, outline + towards]))
        seen[_OUTLINE] = np.minimum(seen[_OUTLINE], seen[len(landmarks) :])
        if self.lower is not None:
            both = _together(seen[_CHIN], self.lower.at(landmarks[_CHIN]))
            seen[_CHIN] = np.minimum(seen[_CHIN], both)
        odds = seen[_CHIN] / np.maximum(_DOUBT * (1 - seen[_CHIN]), 1e-9)
        seen[_CHIN] = odds / (1 + odds)
        return seen[: len(landmarks)]

    def at(self, points: Floats) -> Floats:
        """How probably each point (P, 2), photo pixels, is seen; beyond the map as at its border. (P,)"""
        return self._at(self._on_map(points))

    def _at(self, places: Floats) -> Floats:
        """How probably each place (P, 2) of the map is seen."""
        around = places[:, None] + len(self.seen) / EXTENT * _disc()
        return np.asarray(self._read(around).mean(1))

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
    shapes: Shapes  # how faces differ that are laid on it


def read_cover_model(data: bytes) -> CoverModel:
    """The network from an .npz file's content."""
    return _model_of(lambda: arrays_of(data))


def _model_of(read: Callable[[], Mapping[str, NDArray[Any]]]) -> CoverModel:
    try:
        arrays = read()
        layers = sum(k.startswith("weights") for k in arrays)
        parts = [
            [arrays[f"{part}{i}"].astype(np.float32, copy=False) for i in range(layers)]
            for part in ("weights", "biases")
        ]
        side, threshold = int(arrays["side"]), float(arrays["threshold"])
        frame = arrays["frame"].astype(np.float64)
        if frame.shape != (68, 2) or not np.isfinite(frame).all() or not 0 < threshold < 1:
            raise ValueError(f"a mean face of shape {frame.shape}, a threshold of {threshold:g}")
        mean, modes = (arrays[f"shape_{part}"].astype(np.float64) for part in ("mean", "modes"))
        if mean.shape != (68, 2) or modes.shape[1:] != (68, 2) or not np.isfinite(mean).all():
            raise ValueError(f"shapes of {mean.shape} and {modes.shape}")
        if not len(modes) or not np.isfinite(modes).all():
            raise ValueError("shapes without components, or of which some are no numbers")
        network = _engine.CoverNetwork(parts[0], parts[1], int(arrays["down"]), side)
        return CoverModel(network, side, frame, threshold, Shapes.of(mean, modes))
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"visibility.npz: not the weights that tell hidden parts of a face ({error}). Reinstall anthropo."
        ) from None


@lru_cache(maxsize=1)
def cover_model() -> CoverModel:
    """The packaged network."""
    return _model_of(lambda: kept_arrays("visibility"))


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
    cover = _look(chip, there, model)
    if _neck_shows(chip, points @ there[:, :2].T + there[:, 2]):
        return cover
    frame = model.frame - (0.0, _LOWER)
    return replace(cover, lower=_look(*chip_of(photo, points, model.side, _WIDER * EXTENT, frame), model))


def _look(chip: NDArray[np.uint8], there: Floats, model: CoverModel) -> Cover:
    """The map of an upright face (side, side, 3) that `there` takes photo pixels to."""
    seen = model.network.predict(chip)
    scale = len(seen) / len(chip)
    there = there * scale
    there[:, 2] += (scale - 1) / 2
    return Cover(seen, there, model.threshold)


def _neck_shows(chip: NDArray[np.uint8], points: Floats) -> bool:
    """Whether what lies below the chin of an upright face looks like its cheeks, in the shade or not."""

    def levels(at: Floats) -> Floats:
        x, y = np.clip(np.rint(at).astype(np.intp), 1, len(chip) - 2).T
        near = [chip[y + down, x + across] for down in (-1, 0, 1) for across in (-1, 0, 1)]
        return np.asarray(np.mean(near, axis=0)) + 8  # of 256: black has no tint

    away = points[7:10] - points[17:].mean(0)
    away *= _BELOW / EXTENT * len(chip) / np.hypot(*away.T)[:, None]
    cheeks = levels(points[list(_CHEEKS)].mean(1)).mean(0)
    shares = levels(points[7:10] + away) / cheeks
    mean = shares.mean(1)
    tint = np.abs(shares / mean[:, None] - 1).max()
    return bool(_NECK[0] < mean.min() and mean.max() < _NECK[1] and tint < _TINT)


def closer(photo: Photo, cover: Cover, places: Floats, model: CoverModel | None = None) -> Cover:
    """The map with that of a second look, closer and by better places (68, 2): means of both log-odds."""
    model = cover_model() if model is None else model
    second = _look(*chip_of(photo, places, model.side, _CLOSER * EXTENT, model.frame), model)
    side = len(cover.seen)
    y, x = np.mgrid[:side, :side]
    at = np.column_stack([x.ravel(), y.ravel()]) - cover.there[:, 2]
    at = second._on_map(at @ np.linalg.inv(cover.there[:, :2]).T)
    within = ((at >= 0) & (at <= len(second.seen) - 1)).all(1)
    seen = cover.seen.ravel().copy()
    seen[within] = _together(seen[within], second._read(at[within]))
    return replace(cover, seen=seen.reshape(side, side))


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
