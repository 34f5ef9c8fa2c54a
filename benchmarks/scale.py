"""Scale: stickers pasted on photographs, false finds without one, irises against hand-drawn ones.

    python benchmarks/scale.py FOLDER [--limit N]

Every photo is searched for a sticker that is not there (8, 12 and 24 mm). Then a plain sticker of known
size is pasted, one per photo: 8 to 30 mm (88 mm between the outer canthi), round or square, white,
blue, green, red or black, rolled, on forehead, cheek or chin, blurred by 0.5 to 1.5 px. Where the folder
has `landmarks189.csv` (points 2 to 9 and 10 to 17: the irises' outlines), irises are compared.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from anthropo.errors import AnthropoError
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import read_face
from anthropo.measurement.iris import iris_circles
from anthropo.measurement.scale import ScaleError, find_scale, parse_scale
from anthropo.measurement.sticker import find_stickers
from anthropo.photo import SUFFIXES, Photo, read_photo

Floats = NDArray[np.float64]
_FINE = 8  # supersampling of the pasted sticker
_COLOURS = ((245, 245, 245), (40, 70, 200), (30, 150, 60), (200, 30, 40), (20, 20, 20))


def pasted(photo: Photo, points: Floats, rng: np.random.Generator) -> tuple[Photo, float, float]:
    """The photo with a sticker, its size in mm and in pixels."""
    unit = outer_canthal_distance(points)
    where, largest = [
        ((points[21] + points[22]) / 2 + (points[27] - points[33]) * 0.9, 30.0),  # forehead
        ((points[2] + points[31]) / 2 + (points[33] - points[30]) * 0.5, 20.0),  # cheek
        ((points[57] + points[8]) / 2 + (points[8] - points[57]) * 0.08, 14.0),  # chin
    ][rng.integers(3)]
    mm = float(rng.uniform(8, largest))
    size = mm / 88 * unit
    side = int(np.ceil(size * 2))
    left, top = np.floor(where - side / 2).astype(int)
    centre = (where - [left, top]) * _FINE
    mask = Image.new("L", (side * _FINE, side * _FINE))
    half = size * _FINE / 2
    if rng.random() < 0.5:
        ImageDraw.Draw(mask).ellipse([*(centre - half), *(centre + half)], fill=255)
    else:
        turn = rng.uniform(0, np.pi / 2)
        corners = [
            tuple(
                centre
                + half * np.sqrt(2) * np.array([np.cos(turn + k * np.pi / 2), np.sin(turn + k * np.pi / 2)])
            )
            for k in range(4)
        ]
        ImageDraw.Draw(mask).polygon(corners, fill=255)
    mask = mask.resize((side, side), Image.Resampling.BOX).filter(
        ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5))
    )
    image = Image.fromarray(photo.pixels)
    image.paste(Image.new("RGB", (side, side), _COLOURS[rng.integers(5)]), (int(left), int(top)), mask)
    noise = rng.normal(0, 2, photo.pixels.shape)
    pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
    return Photo.from_array(pixels), mm, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    rng = np.random.default_rng(3)
    paths = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES)[: arguments.limit]
    searched = false = 0
    errors, missed = [], 0
    for path in paths:
        photo = read_photo(path)
        try:
            points = read_face(photo, face="largest").landmarks
        except AnthropoError:
            continue
        for mm in (8.0, 12.0, 24.0):
            searched += 1
            false += bool(find_stickers(photo, points, mm))
        with_sticker, mm, size = pasted(photo, points, rng)
        try:
            scale = find_scale(parse_scale(f"sticker={mm:.4f}"), with_sticker, points)
            errors.append(100 * (mm / scale.mm_per_px / size - 1))
        except ScaleError:
            missed += 1
    error = np.array(errors)
    print("| photos | false finds | recall | size error, mean | SD | largest |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {len(error) + missed} | {false} of {searched} | {100 * len(error) / (len(error) + missed):.1f} % "
        f"| {error.mean():+.2f} % | {error.std(ddof=1):.2f} % | {np.abs(error).max():.1f} % |"
    )
    if (arguments.folder / "landmarks189.csv").exists():
        ratios, eyes = [], 0
        with open(arguments.folder / "landmarks189.csv", newline="") as file:
            rows = list(csv.DictReader(file))[: arguments.limit]
        for r in rows:
            name = r["image"] if r["image"].endswith(".jpg") else r["image"] + ".jpg"
            photo = read_photo(arguments.folder / name)
            found = iris_circles(photo, read_face(photo).landmarks)
            both = []
            for iris, first in zip(found, (2, 10), strict=True):
                ring = np.array([[float(r[f"x{k}"]), float(r[f"y{k}"])] for k in range(first, first + 8)])
                eyes += 1
                if not iris.reason:
                    # lids cut it above and below: its width counts
                    both.append(2 * iris.r / np.ptp(ring[:, 0]))
            if both:
                ratios.append(100 * (np.mean(both) - 1))
        print("\n| irises measured | diameter against the drawn outline, mean of both eyes | SD |")
        print("|---|---|---|")
        mean, sd = np.mean(ratios), np.std(ratios, ddof=1)
        print(f"| {len(ratios)} of {len(rows)} people | {mean:+.1f} % | {sd:.1f} % |")


if __name__ == "__main__":
    main()
