"""A synthetic person, and photographs of them: another pose, light and camera each time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo._version import __version__
from anthropo.decoding.provenance import COMPOSED, jpeg_segment, xmp
from anthropo.face.frame import Floats
from anthropo.face.pose import generic_face, rotation
from anthropo.synthetic.morphs import LIDS, displacement_of, identity
from anthropo.synthetic.neutral import EYES, UNIT, neutral_face
from anthropo.synthetic.warping import Pixels, as_pixels, border_of, sample, spline_map

CAPTION = "SYNTHETIC PICTURE - no real person, no real patient"
_HEIGHT, _WIDTH = 480, 440  # px, of a picture
CAPTION_HEIGHT = 18  # px
_FACE_UNIT = 104.0  # px per outer-canthal distance


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticPerson:
    """What all photographs of one synthetic patient share."""

    shape: Floats  # (70, 2) deviation from the mean face
    hair: Floats  # radial changes of the hair's outline: Fourier coefficients
    tone: Floats  # CIELAB change of the skin
    mirrored: bool


_THINNEST = 0.022  # outer-canthal distances: thinner lips would be torn


def untorn(shape: Floats) -> Floats:
    """The deviation (70, 2) with lips that keep some height, whatever its parts add up to."""
    points = neutral_face().points + shape
    result: Floats = shape.copy()
    result[49:54, 1] -= max(0.0, _THINNEST - (points[61:64, 1] - points[50:53, 1]).min())
    result[55:60, 1] += max(0.0, _THINNEST - (points[56:59, 1] - points[65:68, 1]).min())
    return result


def person_of(random: np.random.Generator, changes: Mapping[str, float]) -> SyntheticPerson:
    return SyntheticPerson(
        shape=untorn(identity(random) + displacement_of(changes)),
        hair=random.normal(0, [0.05, 0.04, 0.04, 0.02, 0.02]),
        tone=np.array([random.uniform(-26, 6), random.normal(0, 2.5), random.normal(0, 4)]),
        mirrored=bool(random.random() < 0.5),
    )


def _hair(person: SyntheticPerson | None) -> Floats:
    """Points around the hair (N, 2), outer-canthal distances."""
    angle = np.linspace(np.pi * 0.95, np.pi * 2.05, 11)
    ring = np.stack([1.3 * np.cos(angle), 1.35 * np.sin(angle)], -1)
    if person is not None:
        waves = [np.ones_like(angle), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
        ring *= 1 + (person.hair @ np.stack(waves))[:, None]
    return np.asarray(ring)


def photograph(person: SyntheticPerson, random: np.random.Generator) -> bytes:
    """One photograph of a person: another pose, light and camera each time. A JPEG without EXIF."""
    from scipy.ndimage import gaussian_filter

    neutral = neutral_face()
    face = neutral.points + person.shape
    face[48:68] += random.normal(0, 0.004, (1, 2))  # no mouth is held twice alike
    face[17:27, 1] += random.normal(0, 0.006)
    solid = generic_face()
    turned = solid @ rotation(random.normal(0, 1), random.normal(0, 1), 0).T
    shift = (turned - solid)[:, :2]
    face += np.concatenate([shift, [shift[list(lid)].mean(0) for lid in LIDS]])

    roll, unit = np.radians(random.normal(0, 2)), _FACE_UNIT * np.exp(random.normal(0, 0.06))
    axes = unit * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    middle = np.array([_WIDTH / 2, 0.43 * _HEIGHT]) + random.normal(0, 7, 2)
    border = border_of(_HEIGHT, _WIDTH)
    to = np.concatenate([face @ axes + middle, _hair(person) @ axes + middle, border])
    origin = np.concatenate([neutral.points, _hair(None), (border - middle) @ np.linalg.inv(axes)])
    seen = sample(neutral.channels, spline_map(to, origin * UNIT + EYES, _HEIGHT, _WIDTH))
    if person.mirrored:
        seen = seen[:, ::-1]
    image, skin, backdrop = seen[..., :3], seen[..., 3:4], seen[..., 4:]

    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH].astype(np.float32) / _HEIGHT - 0.5
    image = image * _tone(person.tone) ** skin
    wall = random.uniform(60, 225) + random.normal(0, 18, 3)
    drift = random.normal(0, 50, (2, 1)) + random.normal(0, 15, (2, 3))
    image += backdrop * (wall + x[..., None] * drift[0] + y[..., None] * drift[1] - image)
    direction, fall = random.uniform(0, 2 * np.pi), random.uniform(0, 0.5)
    light = 1 + fall * (np.cos(direction) * x + np.sin(direction) * y)
    balance = np.exp(random.normal(0, 0.12) + random.normal(0, 0.04, 3)).astype(np.float32)
    image = image * light[..., None] * balance
    image = gaussian_filter(image, (*[random.uniform(0, 0.7)] * 2, 0))
    image += random.standard_normal(image.shape, dtype=np.float32) * np.float32(random.uniform(0.5, 3))
    return _jpeg(as_pixels(image), int(random.integers(85, 96)))


def _tone(change: Floats) -> NDArray[np.float32]:
    """Gain of each channel that changes average skin by a difference in CIELAB."""
    from skimage.color import lab2rgb

    skin = np.array([72.0, 14.0, 18.0])
    before, after = lab2rgb(np.stack([skin, skin + change])[None])[0]
    return np.asarray(after / before, dtype=np.float32)


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    """Encoded, with the caption along the lower border, and its mark in the metadata."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, _HEIGHT - CAPTION_HEIGHT, _WIDTH, _HEIGHT), fill=(255, 255, 255))
    draw.text((6, _HEIGHT - CAPTION_HEIGHT + 3), CAPTION, fill=(0, 0, 0))
    mark = jpeg_segment(xmp(COMPOSED, CAPTION, f"anthropo {__version__}"))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, extra=mark)
    return buffer.getvalue()
