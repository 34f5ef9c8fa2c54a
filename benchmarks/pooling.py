"""Several photos of one person: what pooling does to intervals and their coverage.

    python benchmarks/pooling.py FOLDER [--limit N]

FOLDER holds `landmarks189.csv`, `labels.csv` and photographs as for anatomy.py, and smiling photographs
of the same people. Every neutral photo is written again as crops of different size, exposure and
resolution. Pairs of these, four of them, and the neutral with the smiling photo are pooled and compared
with the hand-placed points of the neutral photo. The shipped networks were trained on these people, so
coverage is compared with that of one photo.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
from anatomy import by_hand
from instruments import people as people_of
from PIL import Image

from anthropo.face.fine import fine_model
from anthropo.face.landmarker import FIRST_DECODE
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.pooling import pool
from anthropo.measurement.registry import PIXELS, registry
from anthropo.observation import observe
from anthropo.photo import Photo, read_photo
from anthropo.settings import Settings

# left, top, right, bottom of the crop as shares of the photo; exposure; size
FILES = {
    "as taken": ((0, 0, 1, 1), 1.0, 1.0),
    "crop, 30 % darker": ((0.08, 0.05, 0.95, 0.97), 0.7, 1.0),
    "crop, 30 % brighter": ((0.08, 0.05, 0.95, 0.97), 1.3, 1.0),
    "crop, 60 % of the size, brighter": ((0.12, 0.1, 1, 0.9), 1.3, 0.6),
}
SETS = {
    "as taken; crop, darker": ("as taken", "crop, 30 % darker"),
    "as taken; small crop, brighter": ("as taken", "crop, 60 % of the size, brighter"),
    "all four files of one photo": tuple(FILES),
    "neutral; smiling": ("as taken", "smiling"),
}


def written_anew(image: Image.Image, box: tuple[float, ...], exposure: float, size: float) -> Photo:
    """A crop in another light, through a JPEG."""
    left, top, right, bottom = (round(s * n) for s, n in zip(box, (*image.size, *image.size), strict=True))
    table = [min(255, round(255 * (exposure * (i / 255) ** 2.2) ** (1 / 2.2))) for i in range(256)]
    crop = image.crop((left, top, right, bottom)).point(table * 3)
    if size != 1:
        crop = crop.resize((round(crop.width * size), round(crop.height * size)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    crop.save(buffer, "JPEG", quality=90)
    return Photo.from_array(np.asarray(Image.open(buffer)))


def measured(photo: Photo) -> list[Measurement]:
    face = observe(photo, Settings(face="largest")).face
    return measure_face(face, photo)


def scatter(photos: list[list[Measurement]]) -> dict[str, float]:
    """Variance between photos over that of their intervals, of each measurement that all have."""
    ratios = {}
    for found in zip(*photos, strict=True):
        values = np.array([m.value for m in found])
        sd = np.array([(m.hi - m.value) / 1.96 for m in found])
        if np.isfinite(values).all() and (sd > 0).all():
            ratios[found[0].id] = float(values.var(ddof=1) / np.mean(sd**2))
    return ratios


def usual(spread: dict[str, list[float]], pixels: bool) -> tuple[float, float]:
    """Median and 90 % quantile over measurements (with 20 people or more) of the mean over people."""
    means = [
        np.mean(ratios)
        for name, ratios in spread.items()
        if len(ratios) >= 20 and (registry()[name].kind in PIXELS) == pixels
    ]
    return float(np.median(means)), float(np.quantile(means, 0.9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    people = people_of(arguments.folder, {"shipped": lambda _: fine_model()})["shipped"][: arguments.limit]
    with open(arguments.folder / "labels.csv", newline="") as file:
        photo_of = {
            (r["patient"], r["expression"]): arguments.folder / r["photo"] for r in csv.DictReader(file)
        }
    inside: dict[str, list[bool]] = defaultdict(list)
    alone: dict[str, list[bool]] = defaultdict(list)
    width: dict[str, list[float]] = defaultdict(list)
    spread: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in SETS}
    for person in people:
        image = Image.open(photo_of[person.patient, "neutral"]).convert("RGB")
        files = {name: measured(written_anew(image, *how)) for name, how in FILES.items()}
        smiling = photo_of.get((person.patient, "smiling"))
        if smiling is not None:
            files["smiling"] = measured(read_photo(smiling, short_side=FIRST_DECODE))
        hand = by_hand(person)
        for name, members in SETS.items():
            if not set(members) <= set(files):
                continue
            photos = [files[member] for member in members]
            for measurement, ratio in scatter(photos).items():
                spread[name][measurement].append(ratio)
            for k, m in enumerate(pool(photos)):
                if m.photos < len(members) or not np.isfinite(m.lo) or registry()[m.id].kind in PIXELS:
                    continue
                half = np.array([photo[k].hi - photo[k].value for photo in photos])
                width[name].append(float((m.hi - m.value) / half.mean()))
                if m.id in hand:
                    inside[name].append(abs(m.value - hand[m.id]) <= m.hi - m.value)
                    alone[name].append(abs(photos[0][k].value - hand[m.id]) <= half[0])
    print("Scatter: variance between photos in % of what one interval stands for; the usual measurement, and")
    print("the one that a tenth exceed. Interval: in % of the mean of one photo's.\n")
    print("| pooled | scatter | colour, texture | interval | narrower |")
    print("|---|---|---|---|---|")
    for name in SETS:
        (geometry, most), (colour, _) = (usual(spread[name], pixels) for pixels in (False, True))
        share = np.array(width[name])
        scattered = f"{100 * geometry:.1f} % ({100 * most:.1f} %) | {100 * colour:.0f} %"
        print(f"| {name} | {scattered} | {100 * np.median(share):.1f} % | {100 * np.mean(share < 1):.1f} % |")
    print("\n| pooled | compared with hand-placed points | covered, one photo | covered, pooled |")
    print("|---|---|---|---|")
    for name in SETS:
        print(
            f"| {name} | {len(inside[name])} | {100 * np.mean(alone[name]):.1f} % "
            f"| {100 * np.mean(inside[name]):.1f} % |"
        )


if __name__ == "__main__":
    main()
