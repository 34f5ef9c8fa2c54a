"""Cost: a whole measurement against landmarking alone, photo by photo in turn.

    python benchmarks/measuring.py FOLDER [--limit 40] [--scale ipd=62]

Landmarking alone is the way from the file to the 68 points of the first stage. Measuring is the way from the
file to the finished record: second stage, every measurement with its interval, colour, eye and texture, and
z-scores under the shipped reference; one row adds local binary patterns (`--texture` of the command).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from anthropo.batch.inputs import Item
from anthropo.batch.run import measure_item
from anthropo.face.landmarker import read_face
from anthropo.photo import SUFFIXES
from anthropo.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--scale")
    arguments = parser.parse_args()
    found = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    photos = [str(p) for p in found[:: max(1, len(found) // arguments.limit)][: arguments.limit]]
    common = {"face": "largest", "scale": arguments.scale, "sex": "female", "age": "30"}
    variants: dict[str, Callable[[str], object]] = {
        "landmarking alone": lambda p: read_face(p, face="largest"),
        "measure --no-fine": lambda p: measure_item(Item(p), Settings(**common, fine=False)),
        "measure": lambda p: measure_item(Item(p), Settings(**common)),
        "measure --texture": lambda p: measure_item(Item(p), Settings(**common, texture=True)),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for photo in [photos[0], *photos]:  # the first twice: it loads what there is to load
        for name, work in variants.items():
            best = np.inf
            for _ in range(3):
                start = time.perf_counter()
                work(photo)
                best = min(best, time.perf_counter() - start)
            times[name].append(best)
    base = np.array(times["landmarking alone"][1:])
    print(f"| {arguments.folder.name}, {len(photos)} photos | median, ms | ratio (median over photos) |")
    print("|---|---|---|")
    for name, values in times.items():
        spent = np.array(values[1:])
        print(f"| {name} | {1000 * np.median(spent):.1f} | {np.median(spent / base):.2f} |")


if __name__ == "__main__":
    main()
