"""Pictures of a measured face."""

from __future__ import annotations

import ast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anthropo.batch.beside import FaceFiles
from anthropo.batch.inputs import OVERLAY_SUFFIX
from anthropo.batch.run import MeasuredFace
from anthropo.face.detection import power_of_two
from anthropo.face.landmarker import Face
from anthropo.measurement import anatomy
from anthropo.measurement.registry import Entry, registry, resolve
from anthropo.measurement.scale import Scale
from anthropo.photo import Photo
from anthropo.report.rendering import COLOURS, jpeg

_FACE_PX = 560  # width of the face in an overlay
_LARGEST = 2400  # px, longer side of an overlay
_FINE = 2  # supersampling of the drawing

REGION_COLOURS = {name: COLOURS[name] for name in ("eye", "brow", "nose", "mouth", "jaw", "face")}
#: What an overlay says of hollow points.
HOLLOW = "hollow: hidden, not measured"
_SCALE_COLOUR = "#FFFFFF"


class Overlays(FaceFiles):
    """A folder with an overlay of each face."""

    suffix = OVERLAY_SUFFIX
    what, content = "overlays", "the overlay"

    def __call__(self, seen: MeasuredFace) -> tuple[str, bytes]:
        picture = overlay(seen.observation.photo, seen.face, seen.scale)
        return seen.digest, jpeg(picture, quality=90)


Line = tuple[str, tuple[int, ...], tuple[int, ...]]


def measured_lines(entries: list[Entry] | None = None) -> list[Line]:
    """Every line that a distance runs along: region and the points of both its ends."""
    lines: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {}
    chosen = list(registry().values()) if entries is None else entries
    # a line belongs to the region of the distance that it is, not of an index that borrows it
    for entry in sorted(chosen, key=lambda e: e.kind != "distance"):
        if not entry.expression:
            continue
        for node in ast.walk(ast.parse(entry.expression, mode="eval")):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "d":
                ends = [resolve(a.id) for a in node.args if isinstance(a, ast.Name)]
                if len(ends) == 2 and ends[0] and ends[1]:
                    lines.setdefault((ends[0], ends[1]), entry.region)
    return [(region, a, b) for (a, b), region in lines.items()]


def overlay(
    photo: Photo,
    face: Face,
    scale: Scale | None = None,
    entries: list[Entry] | None = None,
    face_px: int = _FACE_PX,
) -> Image.Image:
    """The photo around the face with corrected landmarks, their spread and the measured lines.

    Landmarks that something hides are hollow, and nothing is drawn between them; a line of text says so.

    Parameters
    ----------
    photo : Photo
        The photo that the face was found in.
    face : Face
    scale : Scale, optional
        Whatever gave the scale is outlined.
    entries : list of Entry, optional
        Of which measurements the lines are drawn; of all when left out.
    face_px : int
        Width of the face in the picture; points and lines are as large whatever it is.

    Returns
    -------
    PIL.Image.Image
        RGB, without metadata.

    Raises
    ------
    PhotoError
        If the photo has to be decoded more finely, and cannot be.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.report import overlay
    >>> seen = anthropo.observe(anthropo.example_photo(), anthropo.Settings(jitter=1, fine=False))
    >>> overlay(seen.photo, seen.face).mode
    'RGB'
    """
    face_width = float(face.box[2] - face.box[0])
    photo = photo.finer(power_of_two(face_width / face_px))
    outlines = list(scale.shape) if scale else []
    left, top, right, bottom = crop(face, outlines)
    corners = photo.to_decoded(np.array([[left, top], [right, bottom]], dtype=float))
    zoom = min(face_px / face_width, _LARGEST / max(right - left, bottom - top))
    size = (max(1, round((right - left) * zoom)), max(1, round((bottom - top) * zoom)))
    height, width = photo.pixels.shape[:2]
    box = np.clip(corners.ravel() + 0.5, 0, [width, height, width, height])
    picture = Image.fromarray(photo.pixels).resize(
        (size[0] * _FINE, size[1] * _FINE), Image.Resampling.BICUBIC, box=tuple(box)
    )
    shift = np.array([left, top])
    zoom *= _FINE
    # what is measured runs between the corrected landmarks
    points, _ = anatomy.place(face)
    lines = measured_lines(entries)
    _draw(picture, (points - shift) * zoom, face.landmark_sd * zoom, face.hidden, lines)
    draw = ImageDraw.Draw(picture)
    for outline in outlines:
        line = [tuple(p) for p in (np.vstack([outline, outline[:1]]) - shift) * zoom]
        draw.line(line, fill="#000000", width=5 * _FINE)
        draw.line(line, fill=_SCALE_COLOUR, width=3 * _FINE)
    return picture.resize(size, Image.Resampling.LANCZOS)


def crop(face: Face, outlines: list[NDArray[np.float64]]) -> tuple[float, float, float, float]:
    """The part of the photo that is shown: face, landmarks and outlines with a margin."""
    box = np.array(face.box).reshape(2, 2)
    margin = 0.2 * (box[1, 0] - box[0, 0])
    shown = np.concatenate([box, face.landmarks, *outlines])
    low, high = shown.min(0) - margin, shown.max(0) + margin
    width, height = face.size
    left, top = np.clip(low, -0.5, [width - 1.5, height - 1.5])
    right, bottom = np.clip(high, [left + 1, top + 1], [width - 0.5, height - 0.5])
    return float(left), float(top), float(right), float(bottom)


def _draw(
    picture: Image.Image,
    points: NDArray[np.float64],
    spread: NDArray[np.float64],
    hidden: NDArray[np.bool_],
    lines: list[Line],
) -> None:
    draw = ImageDraw.Draw(picture, "RGBA")
    for region, a, b in lines:
        if not hidden[[*a, *b]].any():
            ends = [points[list(a)].mean(0), points[list(b)].mean(0)]
            draw.line([tuple(e) for e in ends], fill=REGION_COLOURS[region] + "B0", width=3 * _FINE)
    r = 2.8 * _FINE
    for (x, y), (sx, sy), unseen in zip(points, np.nan_to_num(spread) * 1.96, hidden, strict=True):
        if unseen:  # a ring, light and dark, that shows on any ground
            draw.ellipse((x - r - 2, y - r - 2, x + r + 2, y + r + 2), outline="#000000", width=_FINE)
            draw.ellipse((x - r, y - r, x + r, y + r), outline="#FFFFFF", width=_FINE)
            continue
        if sx > r and sy > r:
            draw.ellipse((x - sx, y - sy, x + sx, y + sy), outline="#FFFFFFA0", width=_FINE)
        draw.ellipse((x - r, y - r, x + r, y + r), fill="#FFFFFF", outline="#000000", width=_FINE // 2)
    if hidden.any():
        _legend(draw, picture.size)


def _legend(draw: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    """What a hollow point is, in the lower left corner."""
    font = ImageFont.load_default(13 * _FINE)
    pad = 5 * _FINE
    _, _, width, height = (round(v) for v in draw.textbbox((0, 0), HOLLOW, font=font))
    top = size[1] - height - 2 * pad
    draw.rectangle((0, top, width + 5 * pad, size[1]), fill="#000000B0")
    r, y = 2.8 * _FINE, top + pad + height / 2
    draw.ellipse((2 * pad - r, y - r, 2 * pad + r, y + r), outline="#FFFFFF", width=_FINE)
    draw.text((4 * pad, top + pad), HOLLOW, fill="#FFFFFF", font=font)
