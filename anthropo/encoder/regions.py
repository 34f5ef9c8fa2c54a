"""The aligned regions of a face that are encoded; each is defined here, once, as data.

Of a picture without a face it is one, the picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import InputError
from anthropo.face import _engine
from anthropo.face.detection import power_of_two
from anthropo.face.frame import similarity
from anthropo.face.landmarker import Face
from anthropo.face.shape import shapes
from anthropo.photo import Photo

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

# Mean positions of points 27 to 54 and 60 to 64 in the frame: eyes, nose and upper lip, which move
# least with the expression. From dlib's get_face_chip_details (image_transforms/interpolation.h).
_FEWEST = 6  # of them that a face is aligned by, where others are hidden
_USED = (*range(27, 55), *range(60, 65))
_MEAN = np.array(
    [
        *((0.490127, 0.203352), (0.490127, 0.307009), (0.490127, 0.409805), (0.490127, 0.515625)),
        *((0.36688, 0.587326), (0.426036, 0.609345), (0.490127, 0.628106), (0.554217, 0.609345)),
        *((0.613373, 0.587326), (0.121737, 0.216423), (0.187122, 0.178758), (0.265825, 0.179852)),
        *((0.334606, 0.231733), (0.260918, 0.245099), (0.182743, 0.244077), (0.645647, 0.231733)),
        *((0.714428, 0.179852), (0.793132, 0.178758), (0.858516, 0.216423), (0.79751, 0.244077)),
        *((0.719335, 0.245099), (0.254149, 0.780233), (0.340985, 0.745405), (0.428858, 0.727388)),
        *((0.490127, 0.742578), (0.551395, 0.727388), (0.639268, 0.745405), (0.726104, 0.780233)),
        *((0.290379, 0.784792), (0.428096, 0.778746), (0.490127, 0.785343), (0.552157, 0.778746)),
        (0.689874, 0.784792),
    ]
)

#: What a chip shows outside its region: about the mean colour of photographs, which networks subtract.
FILL = (124, 117, 104)

_VERSION = 1  # raise it when the cropping changes in another way than by the data below


# The window that a chip shows: left, top, side. It is dlib's face chip with 0.25 of padding.
FACE_WINDOW = (-0.25, -0.25, 1.5)


#: How a face is brought to the frame: by its inner landmarks, by the middles of its eyes, or not at all, as
#: the detector's box shows it.
ALIGNMENTS = ("canonical", "two-point", "none")
_EYES = (tuple(range(36, 42)), tuple(range(42, 48)))
# Where the detector's box shows the mean face: the frame's unit and origin in boxes, from the packaged
# landmark model's mean shape.
_BOX_UNIT, _BOX_ORIGIN = 0.7739, (0.1207, 0.1477)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the aligned face's frame.

    The frame is dlib's: similarity-aligned, the mean face's brows reach from x 0 to 0.98, y grows
    downwards from 0 at the brows to 0.91 at the lower lip. A region keeps its place in the face's chip
    and everything else is painted over: the face network knows what it sees by where it sees it. From 596
    web photos it tells the sex with an AUROC of .94 by the eyes in their place and .88 by the eyes
    enlarged; lower half .95 and .88, mouth .91 and .82, nose .91 and .80.
    """

    name: str
    what: str
    box: tuple[float, float, float, float]  # left, top, right, bottom
    window: tuple[float, float, float] = FACE_WINDOW
    covered: tuple[float, float, float, float] | None = None  # painted over: x, y, half axes of an ellipse


_BEHIND = "everything around the face, which is painted over"
_REGIONS = (
    Region("face", "the whole face, as the face network was trained", (-0.25, -0.25, 1.25, 1.25)),
    Region("upper", "upper half: forehead, brows, eyes", (-0.25, -0.25, 1.25, 0.38)),
    Region("middle", "ear to ear: eyes, cheeks, nose", (-0.25, 0.04, 1.25, 0.69)),
    Region("lower", "lower half: nose tip, mouth, chin, jaw", (-0.25, 0.44, 1.25, 1.25)),
    Region("eyes", "both eyes with their brows", (-0.04, -0.09, 1.04, 0.4)),
    Region("nose", "nose from root to base", (0.2, 0.12, 0.8, 0.7)),
    Region("mouth", "mouth with the philtrum", (0.14, 0.56, 0.86, 1.06)),
    Region("background", _BEHIND, (-1.0, -1.1, 2.0, 1.9), (-1.0, -1.1, 3.0), (0.5, 0.3, 0.95, 1.2)),
)
#: The regions by name. `background` is not part of a classifier: what it can tell is leakage.
REGIONS: MappingProxyType[str, Region] = MappingProxyType({region.name: region for region in _REGIONS})

#: The regions that a classifier uses unless others are named: the rest added nothing to these four on nine
#: tasks (docs/benchmarks.md, regions).
DEFAULT_REGIONS: tuple[str, ...] = ("face", "lower", "eyes", "mouth")
#: The regions that a classifier may use.
HYBRID_REGIONS: tuple[str, ...] = tuple(n for n in REGIONS if n != "background")
#: The one region of a photo without a face, see `middle_square`.
IMAGE = "image"


def geometry_digest() -> str:
    """Hash of everything that decides what a chip shows."""
    places = [(r.name, r.box, r.window, r.covered) for r in REGIONS.values()]
    described = repr((_VERSION, _USED, _MEAN.tolist(), FILL, places))
    return hashlib.sha256(described.encode()).hexdigest()


def crops(photo: Photo, face: Face, regions: Sequence[str], size: int, align: str = ALIGNMENTS[0]) -> Pixels:
    """Regions of a face as upright square chips.

    Parameters
    ----------
    photo : Photo
        The photo that the face was found in; decoded finer when a chip has more pixels.
    face : Face
        Unless `align` says otherwise, its landmarks of the eyes, the nose and the upper lip are laid on
        dlib's mean face by the least-squares similarity.
    regions : sequence of str
        Names in `REGIONS`.
    size : int
        Pixels, side of a chip.
    align : {"canonical", "two-point", "none"}
        By these landmarks, by the middles of the eyes alone, or by the detector's box.

    Returns
    -------
    ndarray of uint8, (len(regions), size, size, 3)
        RGB. What lies beyond the photo is black; what belongs to the chip but not to the region has
        the colour `FILL`.

    Raises
    ------
    InputError
        If there is no such region.
    ValueError
        If `size` is not positive.

    Examples
    --------
    >>> import anthropo
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> crops(seen.photo, seen.face, ["eyes", "mouth"], 64).shape
    (2, 64, 64, 3)
    """
    wanted = [find_region(name) for name in regions]
    chips = np.empty((len(wanted), size, size, 3), dtype=np.uint8)
    to_photo = frame_of(face, align)
    windows = {
        (x, y, side): warped(photo, to_photo, (x, y, x + side, y + side), size)
        for x, y, side in {r.window for r in wanted}
    }
    for chip, region in zip(chips, wanted, strict=True):
        if region.covered is None:  # by masks it takes twenty times as long
            rows, columns = _rectangle(region, size)
            chip[:] = _painted(size)
            chip[rows, columns] = windows[region.window][rows, columns]
        else:
            chip[:] = windows[region.window]
            chip[hidden(region, size)] = FILL
    return chips


@lru_cache(maxsize=64)
def _rectangle(region: Region, size: int) -> tuple[slice, slice]:
    """Rows and columns of a chip that its region shows, where that is a rectangle."""
    seen = ~hidden(region, size)
    sides = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    rows, columns = (slice(int(at[0]), int(at[-1]) + 1) if at.size else slice(0, 0) for at in sides)
    return rows, columns


@lru_cache(maxsize=8)
def _painted(size: int) -> Pixels:
    """A chip that shows nothing of its photo."""
    chip = np.empty((size, size, 3), dtype=np.uint8)
    chip[:] = FILL
    return chip


def middle_square(photo: Photo, size: int) -> Pixels:
    """The middle of a photo, as wide as its shorter side, (size, size, 3) RGB.

    What the photo shows beyond is left out rather than the chip padded: bars would tell the camera's
    format, which may go with the label. Crop a photo whose subject is not in the middle.
    """
    if size < 1:
        raise ValueError(f"size={size}: a chip needs pixels")
    height, width = photo.pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    picture = Image.fromarray(photo.pixels)
    box = (left, top, left + side, top + side)
    return np.array(picture.resize((size, size), Image.Resampling.BICUBIC, box=box))  # writable


def warped(photo: Photo, to_photo: Floats, box: tuple[float, float, float, float], size: int) -> Pixels:
    """A rectangle of a frame (left, top, right, bottom) as a square chip, (size, size, 3) RGB.

    `to_photo` (2, 3) takes the frame to full-size photo pixels; the photo is decoded finer when the chip has
    more pixels.
    """
    if size < 1:
        raise ValueError(f"size={size}: a chip needs pixels")
    left, top, right, bottom = box
    sides = np.array([right - left, bottom - top])
    # photo pixels per chip pixel, along the finer of the two directions
    pixel = float(np.hypot(to_photo[0, 0], to_photo[1, 0]) * sides.min()) / size
    photo = photo.finer(power_of_two(pixel))
    # where the photo is finer than the chip: about a sample for each of its pixels, so that nothing aliases
    coarser = pixel * float(sides.max() / sides.min())
    samples = int(np.clip(np.ceil(coarser / photo.decode_scale), 1, 4))
    step = sides / size / samples
    corner = to_photo[:, :2] @ (np.array([left, top]) + step / 2) + to_photo[:, 2]
    matrix = np.column_stack([to_photo[:, :2] * step / photo.decode_scale, photo.to_decoded(corner)])
    pixels, matrix = _around(photo.pixels, matrix, size * samples)
    chip = np.zeros((size, size, 3), dtype=np.uint8)
    for i in range(3 if pixels.size else 0):
        plane = np.ascontiguousarray(pixels[:, :, i])
        seen = _engine.warp(plane, matrix, size * samples, size * samples)
        chip[:, :, i] = _mean_of_blocks(seen, samples)
    return chip


def _mean_of_blocks(seen: Pixels, side: int) -> Pixels:
    """Each square of `side` by `side` pixels as one, rounded; numpy takes far longer to sum over two axes."""
    if side == 1:
        return seen
    total = np.full([n // side for n in seen.shape], side**2 // 2, dtype=np.uint16)
    for y in range(side):
        for x in range(side):
            total += seen[y::side, x::side]
    return (total // side**2).astype(np.uint8)


def _around(pixels: Pixels, matrix: Floats, size: int) -> tuple[Pixels, Floats]:
    """The part of a picture that a warp to `size` pixels looks at, and the warp's matrix for that part."""
    ends = np.array([(x, y, 1) for x in (0, size) for y in (0, size)]) @ matrix.T
    margin = 2 * np.hypot(*matrix[:, 0]) + 3  # the warp averages whole blocks
    limits = np.array(pixels.shape[1::-1])
    x0, y0 = np.clip(np.floor(ends.min(0) - margin), 0, limits).astype(int)
    x1, y1 = np.clip(np.ceil(ends.max(0) + margin), 0, limits).astype(int)
    return pixels[y0:y1, x0:x1], matrix - [[0, 0, x0], [0, 0, y0]]


def find_region(name: str) -> Region:
    """The region of that name; an InputError if there is none."""
    if name not in REGIONS:
        raise InputError(f"region {name!r}: unknown. Choose from {', '.join(REGIONS)}.")
    return REGIONS[name]


def mean_place(points: Sequence[int]) -> Floats:
    """Mean place (2,) in the frame of some of the landmarks that it is aligned by."""
    return _MEAN[[_USED.index(point) for point in points]].mean(0)  # type: ignore[no-any-return]


@lru_cache(maxsize=len(REGIONS))
def landmarks_in(name: str) -> NDArray[np.bool_]:
    """Which of the 68 landmarks lie in a region of the mean face, (68,), the outline left out."""
    left, top, right, bottom = find_region(name).box
    to_frame = similarity(shapes()[0][list(_USED)], _MEAN)
    x, y = (shapes()[0] @ to_frame[:, :2].T + to_frame[:, 2]).T
    there: NDArray[np.bool_] = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    there[:17] = False
    return there


def frame_to(landmarks: Floats, hidden: NDArray[np.bool_] | None = None) -> Floats:
    """The similarity (2, 3) that takes the frame to where landmarks (68, 2) are, photo pixels.

    Those that are hidden (68,) do not count, unless hardly any others are left.
    """
    used = np.array(_USED)
    if hidden is not None and (seen := ~hidden[used]).sum() >= _FEWEST:
        return similarity(_MEAN[seen], landmarks[used[seen]])
    return similarity(_MEAN, landmarks[used])


def frame_of(face: Face, align: str) -> Floats:
    """The similarity (2, 3), by one of `ALIGNMENTS`, from the frame to a face, photo pixels."""
    if align == "canonical":
        return frame_to(face.landmarks, face.concealed)
    if align == "two-point":
        eyes = [face.landmarks[list(points)].mean(0) for points in _EYES]
        return similarity(np.array([mean_place(points) for points in _EYES]), np.array(eyes))
    if align != "none":
        raise ValueError(f"align={align!r}: unknown. Choose from {', '.join(ALIGNMENTS)}.")
    left, top, right, bottom = face.box
    x, y = left + _BOX_ORIGIN[0] * (right - left), top + _BOX_ORIGIN[1] * (bottom - top)
    unit = _BOX_UNIT * (right - left)
    return np.array([(unit, 0, x), (0, unit, y)])


def photo_square(photo: Photo) -> Floats:
    """The map (2, 3) from the unit square to where `middle_square` lies, full-size photo pixels."""
    width, height = photo.full_size
    side = min(width, height)
    return np.array([(side, 0, (width - side) / 2 - 0.5), (0, side, (height - side) / 2 - 0.5)])


def face_square(face: Face, align: str = ALIGNMENTS[0]) -> Floats:
    """The similarity (2, 3) from the unit square to where a face's chip lies, photo pixels."""
    left, top, side = FACE_WINDOW
    frame = frame_of(face, align)
    return np.column_stack([frame[:, :2] * side, frame[:, :2] @ (left, top) + frame[:, 2]])


def hidden(region: Region, size: int) -> NDArray[np.bool_]:
    """Which of a chip's pixels (size, size) are painted over. The same for every face: it tells nothing."""
    left, top, side = region.window
    across = (np.arange(size) + 0.5) / size * side
    x, y = left + across[None, :], top + across[:, None]
    if region.covered is not None:
        cx, cy, a, b = region.covered
        return np.asarray(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 <= 1)
    x0, y0, x1, y1 = region.box
    return np.asarray((x < x0) | (x > x1) | (y < y0) | (y > y1))
