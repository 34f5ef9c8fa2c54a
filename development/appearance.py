"""Appearance: how much each value changes with light, size and recompression, and with a smile.

    python development/appearance.py FOLDER

FOLDER has `labels.csv` with the columns photo, patient and expression (neutral, smiling). Changes are
medians over the neutral photographs, with landmarks detected again, in SDs between people; "in" is the share
within the 95 % interval of the photo as taken. Smile: SD of the difference within a person.
"""

from __future__ import annotations

import argparse
import csv
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from anthropo.face.landmarker import read_face
from anthropo.measurement.appearance import appearance
from anthropo.photo import Photo, read_photo

Floats = NDArray[np.float64]


def gain(*factors: float) -> Callable[[Image.Image], Image.Image]:
    """Multiply linear R, G and B, as exposure and white balance do."""

    def change(image: Image.Image) -> Image.Image:
        t = np.asarray(image) / 255
        t = np.where(t <= 0.04045, t / 12.92, ((t + 0.055) / 1.055) ** 2.4) * factors
        t = np.clip(np.where(t <= 0.0031308, 12.92 * t, 1.055 * t ** (1 / 2.4) - 0.055), 0, 1)
        return Image.fromarray(np.rint(255 * t).astype(np.uint8))

    return change


def recompressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "+20 % light": gain(1.2, 1.2, 1.2),
    "−20 % light": gain(0.8, 0.8, 0.8),
    "warm": gain(1.0, 0.9, 0.72),
    "cool": gain(0.78, 0.92, 1.0),
    "contrast × 1.2": lambda image: ImageEnhance.Contrast(image).enhance(1.2),
    "JPEG 50": recompressed,
    "half size": lambda image: image.reduce(2),
    "blur, SD 2 px": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
}


def look(image: Image.Image) -> tuple[list[str], Floats]:
    """Ids of V measurements, and their values and SDs (V, 2)."""
    photo = Photo.from_array(np.asarray(image))
    face = read_face(photo)
    values = appearance(photo, face.landmarks, face.samples)
    return list(values), np.array([(v.value, v.sd) for v in values.values()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    warnings.simplefilter("ignore", RuntimeWarning)  # medians over nothing
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    neutral = [r for r in rows if r["expression"] == "neutral"]
    smiling = {r["patient"]: r["photo"] for r in rows if r["expression"] == "smiling"}
    plain, smile = [], []
    changed: dict[str, list[Floats]] = {name: [] for name in CHANGES}
    for row in neutral:
        image = Image.fromarray(read_photo(folder / row["photo"]).pixels)
        ids, values = look(image)
        plain.append(values)
        for name, change in CHANGES.items():
            changed[name].append(look(change(image))[1])
        other = smiling.get(row["patient"])
        smiled = look(Image.fromarray(read_photo(folder / other).pixels))[1] if other else values * np.nan
        smile.append(smiled)
    before = np.array(plain)
    spread = np.nanstd(before[..., 0], axis=0, ddof=1)
    print("| value | mean | SD | error | " + " | ".join(f"{name}, in" for name in CHANGES) + " | smile, in |")
    print("|---|---|---|---|" + "---|" * (len(CHANGES) + 1))
    for i, name in enumerate(ids):
        value, sd = before[:, i, 0], before[:, i, 1]
        cells = [name, f"{np.nanmean(value):.3f}", f"{spread[i]:.3f}", f"{np.nanmedian(sd):.3f}"]
        for after in changed.values():
            d = np.array(after)[:, i, 0] - value
            d, half = d[np.isfinite(d)], 1.96 * sd[np.isfinite(d)]
            cells.append(f"{np.median(np.abs(d)) / spread[i]:.2f}, {np.mean(np.abs(d) < half):.0%}")
        d = np.array(smile)[:, i, 0] - value
        known = np.isfinite(d)
        half = 1.96 * np.hypot(sd, np.array(smile)[:, i, 1])
        cells.append(f"{np.std(d[known]) / spread[i]:.2f}, {np.mean(np.abs(d) < half, where=known):.0%}")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
