"""Heatmaps as pictures: over a photograph, an average face or a line drawing, with their index bar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from anthropo.encoder.regions import FACE_WINDOW, frame_to
from anthropo.face.detection import power_of_two
from anthropo.face.landmarker import Face
from anthropo.face.shape import shapes
from anthropo.photo import Photo
from anthropo.report.rendering import COLOURS

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: What the ends of the index bar mean.
SUPPORTS, AGAINST = "more supportive", "speaks against"
#: Of the numbers at the index bar.
UNIT = "log-odds per 1 % of the square"

_RED, _BLUE = (ImageColor.getrgb(COLOURS[name]) for name in ("for", "against"))
_OPAQUE = 0.8  # where the map is strongest
_RISE = 0.75  # below 1: weak places are seen as well
_BRIGHTEST = 99.5  # percentile of a map that is drawn at full strength
_MARGIN = 0.12  # of the map's side, around it
_GREY = 0.6  # of a photo's colour: the map's reds must not be taken for skin
_FINE = 3  # supersampling of lines
_INK = (90, 96, 104)
#: Lines through the 68 landmarks that draw a face.
FACE_LINES: tuple[tuple[int, ...], ...] = (
    *map(tuple, (range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36))),
    *((*range(a, b), a) for a, b in ((36, 42), (42, 48), (48, 60), (60, 68))),
)


def density(values: Floats) -> Floats:
    """Log-odds per pixel (size, size) as log-odds per 1 % of the square, whatever its size."""
    return values * (values.size / 100)


def common_limit(maps: Iterable[Floats]) -> float:
    """Value that maps beside each other draw at full strength, in `UNIT`."""
    return max([1e-6, *(float(np.percentile(np.abs(density(values)), _BRIGHTEST)) for values in maps)])


def overlay(values: Floats, photo: Photo, face: Face, limit: float, side: int = 420) -> Image.Image:
    """A map (size, size), log-odds per pixel, over its photograph: a picture of `side` px with a margin.

    `limit` is drawn at full strength, see `common_limit`.
    """
    to_photo = frame_to(face.landmarks, face.concealed)
    corners = _corners() @ to_photo[:, :2].T + to_photo[:, 2]
    middle, reach = corners.mean(0), float(np.ptp(corners, axis=0).max()) * (0.5 + _MARGIN)
    zoom = side / (2 * reach)
    photo = photo.finer(power_of_two(1 / zoom))
    height, width = photo.pixels.shape[:2]
    left, top = photo.to_decoded(middle - reach) + 0.5
    right, bottom = photo.to_decoded(middle + reach) + 0.5
    # beyond the photo nothing is to be seen
    canvas = Image.new("RGB", (side, side), "white")
    inside = np.clip([left, top, right, bottom], 0, [width, height, width, height])
    scale = side / (right - left)
    at = np.rint((inside - (left, top, left, top)) * scale).astype(int)
    if (at[2:] > at[:2]).all():
        part = Image.fromarray(photo.pixels).resize(
            (int(at[2] - at[0]), int(at[3] - at[1])), Image.Resampling.BICUBIC, box=tuple(inside)
        )
        canvas.paste(part, (int(at[0]), int(at[1])))
    points = (face.landmarks - (middle - reach)) * zoom - 0.5
    return over(_faded(canvas), points, values, limit)


def over(picture: Image.Image, points: Floats, values: Floats, limit: float) -> Image.Image:
    """A map over any picture of a face, whose landmarks (68, 2) are in its pixels; see `overlay`."""
    return _tinted(picture, _laid(density(values), points, picture.size), limit)


def _tinted(picture: Image.Image, laid: Floats, limit: float) -> Image.Image:
    """Red where the map is above 0, blue where below."""
    strength = np.clip(np.abs(laid) / limit, 0, 1) ** _RISE * _OPAQUE
    colour = np.where((laid > 0)[..., None], _RED, _BLUE)
    mixed = np.asarray(picture, dtype=np.float64)
    mixed = mixed + strength[..., None] * (colour - mixed)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def outlined(picture: Image.Image, points: Floats, mask: NDArray[np.bool_]) -> Image.Image:
    """A picture with the outline of `mask` (size, size), a part of the map's square; points as for `over`."""
    from scipy.ndimage import binary_erosion

    inside = _laid(mask.astype(np.float64), points, picture.size) > 0.5
    edge = inside & ~binary_erosion(inside, iterations=2)
    pixels = np.asarray(picture).copy()
    pixels[edge] = 0
    return Image.fromarray(pixels)


def enlarged(picture: Image.Image, points: Floats, side: int) -> tuple[Image.Image, Floats]:
    """A picture made at least so wide, without its colours, and its landmarks in it."""
    times = max(1, round(side / picture.width))
    size = (picture.width * times, picture.height * times)
    return _faded(picture.resize(size, Image.Resampling.BICUBIC)), (points + 0.5) * times - 0.5


def square(pixels: Pixels, values: Floats, limit: float) -> Image.Image:
    """A map over the middle square of a picture without a face, (side, side, 3)."""
    canvas = _faded(Image.fromarray(pixels))
    fitted = Image.fromarray(density(values).astype(np.float32)).resize(canvas.size, Image.Resampling.BICUBIC)
    return _tinted(canvas, np.asarray(fitted, dtype=np.float64), limit)


def template(side: int = 420) -> tuple[Image.Image, Floats]:
    """A line drawing of the mean face, and its landmarks (68, 2) in the picture's pixels."""
    mean = shapes()[0]
    to_mean = frame_to(mean)
    corners = _corners() @ to_mean[:, :2].T + to_mean[:, 2]
    low, high = corners.min(0), corners.max(0)
    margin = _MARGIN * (high - low)
    points = (mean - low + margin) / (high - low + 2 * margin) * side
    picture = Image.new("RGB", (side * _FINE, side * _FINE), "white")
    draw = ImageDraw.Draw(picture)
    pen: dict[str, Any] = {"fill": _INK, "width": round(side * _FINE / 210), "joint": "curve"}
    for line in FACE_LINES:
        draw.line([tuple(p) for p in points[list(line)] * _FINE], **pen)
    draw.line([tuple(p) for p in _forehead(points) * _FINE], **pen)
    return picture.resize((side, side), Image.Resampling.LANCZOS), points - 0.5


def bar(limit: float, width: int = 420) -> Image.Image:
    """The index bar of maps drawn with a limit."""
    height, band = 58, 14
    picture = Image.new("RGB", (width, height), "white")
    margin = 8
    along = np.linspace(-1, 1, width - 2 * margin)
    strength = (np.abs(along) ** _RISE * _OPAQUE)[:, None]
    colour = 255 + strength * (np.where((along > 0)[:, None], _RED, _BLUE) - 255)
    strip = np.rint(np.broadcast_to(colour, (band, len(along), 3))).astype(np.uint8)
    picture.paste(Image.fromarray(strip), (margin, 20))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((margin, 20, width - margin - 1, 20 + band - 1), outline=_INK)
    font = ImageFont.load_default(12)
    draw.text((margin, 2), AGAINST, "black", font, anchor="la")
    draw.text((width - margin, 2), SUPPORTS, "black", font, anchor="ra")
    for at, text in ((margin, f"{-limit:+.2g}"), (width / 2, f"0 {UNIT}"), (width - margin, f"{limit:+.2g}")):
        anchor = "la" if at == margin else "ra" if at > width / 2 else "ma"
        draw.text((at, 38), text, "black", font, anchor=anchor)
    return picture


def _corners() -> Floats:
    """Of the map's square, in the frame of the regions."""
    left, top, side = FACE_WINDOW
    return np.array([(x, y) for x in (left, left + side) for y in (top, top + side)])


def _laid(values: Floats, points: Floats, size: tuple[int, int]) -> Floats:
    """The map brought to where the landmarks are: (height, width) of the picture, 0 around the map."""
    to = frame_to(points)
    left, top, side = FACE_WINDOW
    per = len(values) / side
    back = np.linalg.inv(to[:, :2]) * per
    # corners of pixels, not their centres, are what Pillow counts from
    offset = -back @ (to[:, 2] + 0.5) - np.array([left, top]) * per
    data = (*back[0], offset[0], *back[1], offset[1])
    laid = Image.fromarray(values.astype(np.float32)).transform(
        size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )
    return np.asarray(laid, dtype=np.float64)


def _faded(picture: Image.Image) -> Image.Image:
    return Image.blend(picture, picture.convert("L").convert("RGB"), _GREY)


def _forehead(points: Floats) -> Floats:
    """From one temple over the forehead, which has no landmarks, to the other: half an ellipse."""
    middle, half = (points[0] + points[16]) / 2, (points[16] - points[0]) / 2
    angle = np.linspace(np.pi, 0, 60)[:, None]
    up = np.array([half[1], -half[0]])
    return np.asarray(middle + np.cos(angle) * half + 1.05 * np.sin(angle) * up)
