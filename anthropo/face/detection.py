"""Where faces lie in a photo: the detector on a coarse image first, then on finer ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.face import _engine
from anthropo.face.frame import Floats
from anthropo.face.weights import face_detector
from anthropo.photo import Photo

Which = Literal["one", "largest", "all"]

# Detection. The detector's window is 80 px; a portrait's face is found on a thumbnail.
FIRST_SHORT_SIDE = 216  # px of the first, smallest image that is searched
_WINDOW = 80.0  # px
_MOST_SEARCHED = 50e6  # px: larger photos are searched in a reduction to this
_BACKGROUND = 0.6  # a face less than this fraction as wide as the largest one is background
_SURER = 0.2  # of the detector's score, by which a turned face must beat the upright one

# Second try, for dark or turned faces.
_LOW_THRESHOLD = -0.3
_SECOND_SHORT_SIDE = 864


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    box: Floats  # (4,) full-photo pixels
    score: float
    second_try: bool = False

    @property
    def width(self) -> float:
        return float(self.box[2] - self.box[0])


def turned_by(photo: Photo, quarters: tuple[int, ...], sizes: tuple[int, ...], score: float) -> int:
    """Clockwise turn, degrees, of a face that the upright search missed or misread; 0 for none.

    Tries the turns `quarters` on reductions to the short sides `sizes`. The face must be found more
    surely than `score`, by `_SURER`.
    """
    best, turn = score + _SURER, 0
    for quarter in quarters:
        # turning the pixels counter-clockwise brings a face upright that was turned clockwise
        turned = Photo.from_array(np.rot90(photo.pixels, quarter))
        for short in sizes:
            for detection in _search(turned, min(short, _finest(turned))):
                if detection.score > best:
                    best, turn = detection.score, 90 * quarter
    return turn


def power_of_two(scale: float) -> int:
    """The largest reduction by which a photo can be decoded that is at most `scale`."""
    return max(s for s in (1, 2, 4, 8) if s <= max(1.0, scale))


def search_photo(photo: Photo, which: Which, kept: Sized) -> Iterator[tuple[Photo, list[Detection]]]:
    """Faces, largest first, at finer and finer scales, with the photo as finely decoded as that took.

    The caller stops at the scale that shows enough; after the first detection the search goes on to a
    moderate size only, unless nothing is in `kept`: what was detected proved to be no face. For "all"
    there is one round with everything.
    """
    full, finest = min(photo.full_size), _finest(photo)
    everything: list[Detection] = []
    short = FIRST_SHORT_SIDE
    # a reduction to the finest size shows all that one of nearly this size does
    while short < (full if finest == full else 0.75 * finest) and (
        which == "all" or not everything or short <= _SECOND_SHORT_SIDE
    ):
        photo = photo.finer(power_of_two(full / short))
        detections = _search(photo, short)
        everything = _merge(everything, detections)
        if detections and which != "all":
            yield photo, _foreground(photo, _merge([], detections))
        short *= 2
    if which == "all" or not kept:
        # plain dlib, so that nothing is lost that it finds
        photo = photo.finer(power_of_two(full / finest))
        detections = _search(photo, None if finest == full else finest)
        everything = _merge(everything if which == "all" else [], detections)
        if everything:
            yield photo, everything if which == "all" else _foreground(photo, everything)
    if not everything and (detections := _second_try(photo)):
        yield photo, detections


def _search(
    photo: Photo,
    short: int | None,
    *,
    threshold: float = 0.0,
    equalise: bool = False,
    levels: int = 1000,
) -> list[Detection]:
    """Detector on the photo with its short side reduced to `short` pixels; None: as it is, in colour."""
    height, width = photo.pixels.shape[:2]
    ratio = 1.0 if short is None else max(1.0, min(height, width) / short)
    image = photo.pixels
    if short is not None:
        matrix = np.array([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2]])
        image = _engine.warp(image, matrix, max(1, int(height / ratio)), max(1, int(width / ratio)))
    if equalise:
        image = _equalised(image)
    rows = face_detector().detect(image, threshold, levels)
    corners = photo.to_full((rows[:, :4].reshape(-1, 2, 2) + 0.5) * ratio - 0.5)
    boxes: Floats = corners.reshape(-1, 4)
    return [Detection(box, float(score)) for box, score in zip(boxes, rows[:, 4], strict=True)]


def _finest(photo: Photo) -> int:
    """The short side of the largest image that is searched."""
    width, height = photo.full_size
    return min(width, height, int(min(width, height) * math.sqrt(_MOST_SEARCHED / (width * height))))


def _merge(known: list[Detection], new: list[Detection]) -> list[Detection]:
    """Both lists without repetitions (centre inside another box), largest first."""
    kept: list[Detection] = []
    for face in sorted([*known, *new], key=lambda f: -f.width):
        x, y = (face.box[:2] + face.box[2:]) / 2
        if not any(k.box[0] <= x <= k.box[2] and k.box[1] <= y <= k.box[3] for k in kept):
            kept.append(face)
    return kept


def _foreground(photo: Photo, detections: list[Detection]) -> list[Detection]:
    """Every face at least `_BACKGROUND` times as wide as the largest, however small the search must go."""
    short = int(np.ceil(min(photo.full_size) * _WINDOW / (_BACKGROUND * detections[0].width)))
    short = min(short, _finest(photo))
    if FIRST_SHORT_SIDE < short < min(photo.pixels.shape[:2]):
        # only the pyramid levels (5/6 each) below what the first search has covered
        levels = int(np.ceil(np.log(short / FIRST_SHORT_SIDE) / np.log(6 / 5)))
        detections = _merge(detections, _search(photo, short, levels=levels))
    return [f for f in detections if f.width >= _BACKGROUND * detections[0].width]


def _second_try(photo: Photo) -> list[Detection]:
    """Dark or turned faces: equalised contrast and a lower threshold; the best one only."""
    short = FIRST_SHORT_SIDE
    while True:
        limit = min(short, _finest(photo), *photo.pixels.shape[:2])
        detections = _search(photo, limit, threshold=_LOW_THRESHOLD, equalise=True)
        if detections:
            best = max(detections, key=lambda f: f.score)
            return [Detection(best.box, best.score, second_try=True)]
        if limit < short or short >= _SECOND_SHORT_SIDE:
            return []
        short *= 2


def _equalised(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey image with a flat histogram."""
    grey = image if image.ndim == 2 else _engine.shrink(image, 1)
    cumulative = np.bincount(grey.ravel(), minlength=256).cumsum()
    table = np.rint(cumulative * (255 / cumulative[-1])).astype(np.uint8)
    return np.asarray(table[grey])
