"""Draws the regions of the encoder on a face, beside what each region's chip shows.

    python development/regions_picture.py [PHOTO] -o docs/images/regions.png

Left out, PHOTO is scikit-image's astronaut.
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import anthropo
from anthropo.encoder.regions import HYBRID_REGIONS, REGIONS, Region, crops, frame_of, warped
from anthropo.face.landmarker import Face
from anthropo.photo import Photo

_CHIP = 180  # px
_GAP = 12
_LINE = 22  # px, height of a name
_FACE = 2 * (_CHIP + _LINE) + _GAP - _LINE  # px, side of the large picture: as high as two rows of chips
_BOX = (-0.6, -0.6, 1.6, 1.6)  # left, top, right and bottom of the large picture in the frame
_COLOURS = ("#222222", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")  # Okabe & Ito 2008


def draw_regions(photo: Photo, face: Face) -> Image.Image:
    """A face with the outlines of the encoder's regions, and beside it what each region's chip shows."""
    columns = -(-len(REGIONS) // 2)
    width = _FACE + columns * (_CHIP + _GAP) + 2 * _GAP
    picture = Image.new("RGB", (width, _FACE + _LINE + 2 * _GAP), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15)

    picture.paste(
        Image.fromarray(warped(photo, frame_of(face, "canonical"), _BOX, _FACE)), (_GAP, _GAP + _LINE)
    )
    draw.text((_GAP, _GAP), "the aligned face", "black", font)
    for i, name in enumerate(HYBRID_REGIONS):
        # the outer edges of four regions are one: each is drawn inside the one before
        draw.rectangle(_outline(REGIONS[name], 4 * i * (i < 4)), outline=_COLOURS[i], width=3)

    chips = crops(photo, face, tuple(REGIONS), _CHIP)
    for i, (name, chip) in enumerate(zip(REGIONS, chips, strict=True)):
        x = 2 * _GAP + _FACE + (i % columns) * (_CHIP + _GAP)
        y = _GAP + (i // columns) * (_CHIP + _LINE + _GAP)
        colour = _COLOURS[i] if name in HYBRID_REGIONS else "black"
        draw.rectangle((x, y + 2, x + 11, y + 13), fill=colour)
        draw.text((x + 18, y), name, "black", font)
        picture.paste(Image.fromarray(chip), (x, y + _LINE))
    return picture


def _outline(region: Region, inwards: int) -> tuple[float, float, float, float]:
    left, top, right, _ = _BOX
    corners = (np.array(region.box).reshape(2, 2) - (left, top)) / (right - left) * _FACE + (
        _GAP,
        _GAP + _LINE,
    )
    (x0, y0), (x1, y1) = corners
    return x0 + inwards, y0 + inwards, x1 - inwards, y1 - inwards


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", nargs="?", default=str(anthropo.example_photo()))
    parser.add_argument("-o", "--output", required=True)
    chosen = parser.parse_args()
    seen = anthropo.observe(chosen.photo, anthropo.Settings())
    draw_regions(seen.photo, seen.face).save(chosen.output)


if __name__ == "__main__":
    main()
