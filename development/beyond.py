"""What photographs that cut a face still tell of it: limits of what needs a point beyond the border.

    python development/beyond.py TABLE.csv [MORE.csv...] -o beyond.csv

TABLE is what `anthropo measure` wrote of photographs. Portraits from the web are often cut at the chin or at
the cheeks. What needs a point beyond the border has no value there, and who has one is no random choice: long
faces are cut more often. But the photograph tells that the point is at the border or further out, so that
the face is at least so high. The limit is the value with such points on the border. There is none where
points that are cut would move a value in both directions, where another check voids it, or where something
hides a point.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anthropo.batch.inputs import Item
from anthropo.batch.scores import settings_of
from anthropo.errors import AnthropoError
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import Face, beyond_border
from anthropo.measurement.anatomy import BETWEEN, between
from anthropo.measurement.compute import evaluate, geometry, measure_face
from anthropo.observation import observe
from anthropo.settings import Settings

COLUMNS = ("diagnostics_sha256", "measurement", "limit", "direction", "repeat_sd")
STEP = 0.05  # outer-canthal distances that a point is moved by, to see where its value goes


def limits(face: Face) -> Iterator[tuple[str, float, int, float]]:
    """Measurement, limit, 1 (at least) or -1 (at most), and repeatability, of what the border cuts."""
    beyond = np.flatnonzero(beyond_border(face.landmarks, face.size))
    held = face.landmarks.copy()
    held[beyond] = np.clip(held[beyond], 0.0, np.array(face.size) - 1.0)
    inward = np.sign(held - face.landmarks) * STEP * outer_canthal_distance(face.landmarks)
    shapes = np.repeat(held[None], len(beyond) + 1, axis=0)
    shapes[np.arange(len(beyond)) + 1, beyond] += inward[beyond]
    middle = np.moveaxis(between(shapes), -2, 0)
    values = evaluate(shapes, geometry(), dict(zip(BETWEEN, middle, strict=True)))
    outward = np.sign((values[0] - values[1:]).round(9))  # where a value goes with each point
    at = {m.id: m for m in measure_face(dataclasses.replace(face, landmarks=held))}
    for m, entry in enumerate(geometry()):
        ways = {outward[k, m] for k, point in enumerate(beyond) if point in entry.points} - {0.0}
        if len(ways) == 1 and math.isfinite(way := ways.pop()) and math.isfinite(at[entry.id].value):
            yield entry.id, at[entry.id].value, int(way), at[entry.id].repeat_sd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    cut: dict[str, dict[str, str]] = {}
    for table in arguments.tables:
        with open(table, newline="") as file:
            for row in csv.DictReader(file):
                if row["status"] == "ok" and "outside" in row["gate_failed"].split():
                    cut.setdefault(row["diagnostics_sha256"], row)
    with open(arguments.output, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for n, (digest, row) in enumerate(cut.items()):
            person = {name: row.get(name, "") for name in ("age", "sex")}
            try:
                face = observe(row["photo"], settings_of(Item(row["photo"], person), Settings())).face
            except AnthropoError as error:
                print(f"{row['photo']}: {error}", file=sys.stderr)
                continue
            for name, limit, direction, sd in limits(face):
                writer.writerow((digest, name, f"{limit:.6g}", direction, f"{sd:.4g}"))
            print(f"\r{n + 1} of {len(cut)} photographs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
