"""Where faces lie in a photo: dlib's detector on a coarse image first, then on finer ones; then YuNet."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.face import _engine
from anthropo.face.frame import Floats, similarity
from anthropo.face.weights import face_detector
from anthropo.photo import Photo

if TYPE_CHECKING:
    from anthropo.face.yunet import YuNetFace

Which = Literal["one", "largest", "all"]

# Detection. The detector's window is 80 px; a portrait's face is found on a thumbnail.
FIRST_SHORT_SIDE = 216  # px of the first, smallest image that is searched
_WINDOW = 80.0  # px
_MOST_SEARCHED = 50e6  # px: larger photos are searched in a reduction to this
_BACKGROUND = 0.6  # a face less than this fraction as wide as the largest one is background
_FITS = 0.9  # of its width, which has to be free for a face that is not cut off
_SURER = 0.2  # of dlib's score, by which a turned face must beat the upright one

# dlib's second try, for dark or turned faces.
_LOW_THRESHOLD = -0.3
_SECOND_SHORT_SIDE = 864


# The second detector sees faces of 12 to 300 px: large ones in the first reduction, small ones in the other.
NETWORK_SIDES = (320, 960)  # px, long side
_CROP = 128  # px of the picture in which a place is looked at again
_CROP_SIDES = 2.2  # of the box seen there, side of that picture
_STEP = 30  # deg between directions
_SURE = 0.7  # of its score, 0 to 1, for the face upright: what is less is no face
_WORSE = 0.05  # so much less sure it may be of a face whose roll is better known
_SMALLEST = 24.0  # px of the full photo, width of the box: of a smaller face nothing could be measured
_UPRIGHT = 15.0  # deg: faces rolled by less are looked at as they stand


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    box: (
        Floats  # (4,) full-photo pixels: the place and size at which the predictor looks, before it is turned
    )
    score: float
    second_try: bool = False
    turn: float = 0.0  # deg, by which the face is rolled clockwise; 0 when it is looked at as it stands
    points: Floats | None = None  # (5, 2) full-photo pixels, as the second detector saw them
    beside: bool = False  # looked for as there is a larger face

    @property
    def width(self) -> float:
        return float(self.box[2] - self.box[0])

    @property
    def centre(self) -> Floats:
        return (self.box[:2] + self.box[2:]) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Where the second detector saw something like a face."""

    centre: Floats  # (2,) full-photo pixels
    side: float  # of its box, full-photo pixels
    score: float


def parse_point(text: str, *, named: str = "") -> tuple[float, float]:
    """A place in a photo, x and y in pixels, as in ``"812, 430"``.

    `named` is what a message calls the text; an InputError says that it is no place.

    Examples
    --------
    >>> parse_point("812, 430")
    (812.0, 430.0)
    """
    try:
        x, y = map(float, re.split(r"\s*[,;]\s*|\s+", text.strip()))
    except ValueError:
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError(
            f"{named or 'face_at'}: {text[:40]!r} is no place in a photo. Give x and y in pixels, as in "
            "812, 430."
        )
    return x, y


def within(place: Floats, box: Floats) -> bool:
    """Whether a place (2,) lies inside a box (4,)."""
    return bool((box[:2] <= place).all() and (place <= box[2:]).all())


def turned_faces(
    photo: Photo, quarters: tuple[int, ...], sizes: tuple[int, ...], score: float
) -> list[Detection]:
    """The face that dlib's detector sees most surely when the photo is turned; where there is no YuNet.

    Tries the turns `quarters` on reductions to the short sides `sizes`. The face must be found more
    surely than `score`, by `_SURER`.
    """
    best: list[Detection] = []
    for quarter in quarters:
        # turning the pixels counter-clockwise brings a face upright that was turned clockwise
        turned = Photo.from_array(np.rot90(photo.pixels, quarter))
        for short in sizes:
            for detection in _search(turned, min(short, _finest(turned))):
                if detection.score > (best[0].score if best else score + _SURER):
                    centre = photo.to_full(_turned_back(detection.centre, quarter, turned.full_size))
                    half = detection.width * photo.decode_scale / 2
                    box = np.concatenate([centre - half, centre + half])
                    best = [Detection(box, detection.score, second_try=True, turn=90.0 * quarter)]
    return best


def _turned_back(place: Floats, quarters: int, size: tuple[int, int]) -> Floats:
    """Where a place (2,) of a picture of this width and height lay before it was turned counter-clockwise."""
    (x, y), (width, height) = place, size
    for _ in range(quarters):
        x, y, width, height = height - 1 - y, x, height, width
    return np.array([x, y])


class _Wide(Protocol):
    @property
    def width(self) -> float: ...


_W = TypeVar("_W", bound=_Wide)
Detector = Callable[[NDArray[np.uint8]], "list[YuNetFace]"]


def foreground(faces: list[_W]) -> list[_W]:
    """Those of the faces, largest first, that are no background beside the largest."""
    return [f for f in faces if f.width >= _BACKGROUND * faces[0].width]


def network_faces(
    photo: Photo, detector: Detector, sides: Sequence[int] = NETWORK_SIDES
) -> tuple[Photo, list[Candidate]]:
    """Where YuNet sees something like a face, the surest first; and the photo, decoded finer for it.

    It looks at reductions to the long `sides`.
    """
    longest = max(photo.full_size)
    seen: list[Candidate] = []
    for side in sides:
        photo = photo.finer(power_of_two(longest / side))
        ratio = max(1.0, max(photo.pixels.shape[:2]) / side)
        height, width = (max(1, int(n / ratio)) for n in photo.pixels.shape[:2])
        for face in detector(in_colour(photo.pixels, reduction(ratio), height, width)):
            box = photo.to_full((face.box.reshape(2, 2) + 0.5) * ratio - 0.5).ravel()
            seen.append(Candidate((box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max()), face.score))
        if side >= longest:
            break
    return photo, sorted(seen, key=lambda c: -c.score)


def upright(photo: Photo, detector: Detector, candidate: Candidate, mean_shape: Floats) -> Detection | None:
    """The face at a place where YuNet saw something, with the angle by which it is rolled; None for no face.

    The place is looked at again in every direction: YuNet is surest of an upright face, and its five points
    then tell how far that direction is off (of a face that is rolled by more they tell too little).
    The box is where the predictor's `mean_shape` (68, 2), which lies in the unit square, comes to lie when it
    is laid on these points, so that it is as large as the predictor expects.
    """
    five = five_points(mean_shape)
    if not np.ptp(five, axis=0).all():  # a foreign landmark model's points on one line or spot
        return None
    place = _Place(photo, candidate)
    views = (_view(place, detector, five, roll) for roll in range(0, 360, _STEP))
    best = max(views, key=lambda view: view.score)
    for _ in range(2):
        again = _view(place, detector, five, best.roll)
        best = again if again.score > best.score - _WORSE else best
    if best.score < _SURE:
        return None
    to_photo = similarity(five, best.points)
    centre = to_photo[:, :2] @ (0.5, 0.5) + to_photo[:, 2]
    half = np.hypot(*to_photo[:, 0]) / 2
    if 2 * half < _SMALLEST:
        return None
    box = np.concatenate([centre - half, centre + half])
    return Detection(box, best.score, True, best.roll if abs(best.roll) > _UPRIGHT else 0.0, best.points)


class _View(NamedTuple):
    """What YuNet sees at a place that is looked at in one direction."""

    score: float  # 0: nothing
    roll: float  # deg, clockwise in the photo
    points: Floats  # (5, 2) full-photo pixels


class _Place:
    """The part of a photo that is looked at from every direction, its colours split once for all of them."""

    def __init__(self, photo: Photo, candidate: Candidate) -> None:
        self.photo, self.candidate = photo, candidate
        self.middle = photo.to_decoded(candidate.centre)
        self.size = (
            _CROP_SIDES * candidate.side / photo.decode_scale / _CROP
        )  # photo pixels for one of a view
        # all that the engine looks at, with the blocks of pixels that it averages
        reach = self.size * _CROP / math.sqrt(2) + 2 * max(1, int(self.size)) + 2
        self.corner = np.maximum(np.floor(self.middle - reach), 0).astype(int)
        right, bottom = np.ceil(self.middle + reach).astype(int) + 1
        part = photo.pixels[self.corner[1] : max(bottom, 0), self.corner[0] : max(right, 0)]
        self.planes = [np.ascontiguousarray(part[:, :, c]) for c in range(3)]

    def turned(self, turn: Floats) -> tuple[NDArray[np.uint8], Floats]:
        """The view (_CROP, _CROP, 3) by a turn (2, 2), and what brings its pixels to those of the photo."""
        matrix = np.column_stack([turn, self.middle - turn @ np.full(2, (_CROP - 1) / 2)])
        local = matrix - np.column_stack([np.zeros((2, 2)), self.corner])
        if not self.planes[0].size:
            return np.zeros((_CROP, _CROP, 3), np.uint8), matrix
        return np.stack([_engine.warp(plane, local, _CROP, _CROP) for plane in self.planes], -1), matrix


def _view(place: _Place, detector: Detector, five: Floats, direction: float) -> _View:
    """The surest face at the candidate's place, in a picture turned counter-clockwise by `direction`, deg."""
    cos, sin = np.cos(np.radians(direction)), np.sin(np.radians(direction))
    turn = place.size * np.array([[cos, -sin], [sin, cos]])
    picture, matrix = place.turned(turn)
    for face in detector(picture):
        points = place.photo.to_full(face.points @ turn.T + matrix[:, 2])
        candidate = place.candidate
        if np.linalg.norm(points.mean(0) - candidate.centre) < candidate.side / 2:
            to_photo = similarity(five, points)
            return _View(face.score, float(np.degrees(np.arctan2(to_photo[1, 0], to_photo[0, 0]))), points)
    return _View(0.0, direction, np.zeros((5, 2)))


def reduction(ratio: float) -> Floats:
    """The map (2, 3) from pixels of a reduced picture to those of the picture."""
    return np.array([[ratio, 0, (ratio - 1) / 2], [0, ratio, (ratio - 1) / 2]])


def in_colour(image: NDArray[np.uint8], matrix: Floats, height: int, width: int) -> NDArray[np.uint8]:
    """The image (H, W, 3) seen through a map (2, 3), as `_engine.warp` does it in grey."""
    if (height, width) == image.shape[:2] and (matrix == np.eye(2, 3)).all():
        return image
    channels = (np.ascontiguousarray(image[:, :, c]) for c in range(3))
    return np.stack([_engine.warp(channel, matrix, height, width) for channel in channels], -1)


def five_points(points: Floats) -> Floats:
    """The five points of YuNet (5, 2) that correspond to landmarks (68, 2)."""
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    return np.array([*eyes, points[30], points[48], points[54]])


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
            photo, in_front = _foreground(photo, _merge([], detections), short)
            yield photo, in_front
        short *= 2
    if which == "all" or not kept:
        # plain dlib, so that nothing is lost that it finds
        photo = photo.finer(power_of_two(full / finest))
        detections = _search(photo, None if finest == full else finest)
        everything = _merge(everything if which == "all" else [], detections)
        if everything:
            yield (photo, everything) if which == "all" else _foreground(photo, everything, finest)


def _search(
    photo: Photo,
    short: int | None,
    *,
    threshold: float = 0.0,
    equalise: bool = False,
    levels: int = 1000,
    enlarge: bool = False,
) -> list[Detection]:
    """Detector on the photo with its short side reduced to `short` pixels; None: as it is, in colour."""
    height, width = photo.pixels.shape[:2]
    ratio = 1.0 if short is None else min(height, width) / short
    if not enlarge:
        ratio = max(1.0, ratio)
    image = photo.pixels
    if short is not None:
        image = _engine.warp(image, reduction(ratio), max(1, int(height / ratio)), max(1, int(width / ratio)))
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
        if not any(within(face.centre, k.box) for k in kept):
            kept.append(face)
    return kept


def _foreground(photo: Photo, detections: list[Detection], searched: int) -> tuple[Photo, list[Detection]]:
    """Every face at least `_BACKGROUND` times as wide as the largest, however small the search must go.

    With the photo as finely decoded as that took, after a search with the short side at `searched` pixels. It
    is even enlarged: a face that is just large enough to be found has others in front beside it that are not.
    """
    full = min(photo.full_size)
    short = int(np.ceil(full * _WINDOW / (_BACKGROUND * detections[0].width)))
    short = min(short, int(full * math.sqrt(_MOST_SEARCHED / math.prod(photo.full_size))))
    if short > searched and (
        short <= min(photo.pixels.shape[:2]) or _has_room(photo.full_size, detections[0])
    ):
        photo = photo.finer(power_of_two(full / short))
        # only the pyramid levels (5/6 each) below what the first search has covered
        levels = int(np.ceil(np.log(short / searched) / np.log(6 / 5)))
        others = _merge([], _search(photo, short, levels=levels, enlarge=True))
        # the faces that are known stay as they were found
        beside = [
            replace(one, beside=True)
            for one in others
            if not any(within(one.centre, face.box) or within(face.centre, one.box) for face in detections)
        ]
        detections = sorted([*detections, *beside], key=lambda f: -f.width)
    return photo, foreground(detections)


def _has_room(size: tuple[int, int], face: Detection) -> bool:
    """Whether another face in front fits into a photo of this width and height beside one that was found."""
    left, top, right, bottom = face.box
    beside = max(left, top, size[0] - right, size[1] - bottom)
    return bool(beside >= _FITS * _BACKGROUND * face.width)


def equalised_faces(photo: Photo) -> list[Detection]:
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
