"""The camera's distance: what stays of its effect, on exact heads and on photographs rendered from near.

    python benchmarks/perspective.py --heads PERSPECTIVE.csv
    python benchmarks/perspective.py FOLDER... [--limit N]

PERSPECTIVE.csv holds how measurements of 1,000 heads change with the camera's distance (mean and SD, against
200 cm; see development/depths.py). Their change from 150 cm is compared with what is taken off, and with the
part of the interval that distance has; its errors in the declared distance (5 %) and in the size of the face
are in it. What is taken off is for landmarks as they are found, which lag behind a near face; the last
columns are for points that are placed exactly.

Photographs in the FOLDERs are taken to be from 150 cm, and rendered from 15, 30, 45 and 60 cm by a piecewise
affine warp of landmarks that a 3D face displaces (`anthropo.synthetic.nearer`): with the depths that are
taken off as well (depths.csv), and with others, from motion (face3d.csv), whose nose is deeper and mouth
flatter. Each rendered file has the focal length that belongs to its distance in its EXIF. Bias: the mean over
photographs of the change of a measurement, in SD of people (those of the photographs); its absolute value,
averaged over measurements. "reported": without those that the photo gate voids at this distance.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from anthropo.errors import AnthropoError
from anthropo.face.frame import face_axes, outer_canthal_distance
from anthropo.face.landmarker import Face
from anthropo.face.lens import (
    AT_REFERENCE,
    EYES,
    REFERENCE,
    Distance,
    depths,
    face_size,
    parse_distance,
    project,
)
from anthropo.face.moving import with_distance
from anthropo.face.pose import generic_face
from anthropo.measurement.anatomy import between
from anthropo.measurement.compute import Z95, evaluate, geometry, measure_face
from anthropo.measurement.perspective import bring, head_spread, lags, lens_variance
from anthropo.observation import observe
from anthropo.photo import SUFFIXES, read_photo
from anthropo.settings import Settings
from anthropo.synthetic import nearer

NEAR = (15, 30, 45, 60)  # cm
ADVISED = 50  # cm, from which on the photo gate voids nothing
_SIDE = 640  # px, short side of rendered photographs
_ORIENTATION, _EXIF, _FOCAL, _WIDTH, _HEIGHT = 0x0112, 0x8769, 0xA405, 0xA002, 0xA003
_FRONTAL = 10.0  # deg; photographs turned further are left out


def heads(path: str) -> None:
    """What is taken off, against exact projections."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "development"))
    from depths import FAR, Table

    table = Table(path)
    size, size_sd = face_size(30.0)
    reference = np.flatnonzero(table.distances == REFERENCE)[0]
    flat = generic_face()[:, :2]
    print(
        "| distance, cm | bias before, SD of people (largest) | after, as landmarks are found "
        "| heads within the interval, % (fewest) | after, points exactly placed | within, % (fewest) |"
    )
    print("|---" * 6 + "|")
    for row, cm in enumerate(table.distances):
        if cm >= REFERENCE:
            continue
        declared = parse_distance(f"{cm}")
        distance = Distance(declared.value, declared.sd / declared.value, "declared", size, size_sd)
        mean = table.mean[row] - table.mean[reference]
        sd = table.sd[row] * (1 / cm - 1 / REFERENCE) / (1 / cm - 1 / FAR)
        exact = 100 * project(flat, depths(), size / cm)
        here, there = distance.nearness
        lag = (here - there) * lags()[:68] @ face_axes(exact)
        cells = [str(cm), _sizes(mean, table.people)]
        for found in (exact + lag, exact):
            seen = bring(found, between(exact), distance, np.eye(3))
            values = evaluate(seen.points, table.entries)
            left = mean - (evaluate(exact, table.entries) - values[0])
            half = Z95 * np.sqrt(lens_variance(values, seen, head_spread(table.entries)))
            within = np.array([
                _below((h - m) / s) - _below((-h - m) / s)
                for h, m, s in zip(half, left, sd, strict=True) if s > 0
            ])  # fmt: skip
            cells += [_sizes(left, table.people), f"{100 * within.mean():.1f} ({100 * within.min():.1f})"]
        print("| " + " | ".join(cells) + " |", flush=True)


def _sizes(change: np.ndarray, people: np.ndarray) -> str:
    """Mean and largest of changes, in SD of people."""
    of_people = np.abs(change / people)[np.isfinite(people)]
    return f"{of_people.mean():.2f} ({of_people.max():.2f})"


def _below(z: float) -> float:
    """Share of a normal distribution below z standard deviations."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def write(pixels: np.ndarray, points: np.ndarray, cm: float, path: Path) -> None:
    """Write a photo that was rendered from a distance, with its lens in EXIF."""
    focal = (cm / face_size(30.0)[0] - EYES) * outer_canthal_distance(points)  # px
    height, width = pixels.shape[:2]
    exif = Image.Exif()
    exif[_ORIENTATION] = 1
    in_35mm = round(43.267 * focal / math.hypot(width, height))
    exif.get_ifd(_EXIF).update({_FOCAL: in_35mm, _WIDTH: width, _HEIGHT: height})
    Image.fromarray(pixels).save(path, quality=95, exif=exif)


def measured(face: Face) -> np.ndarray:
    """Values and half-widths of the intervals of geometry, (2, M)."""
    by_id = {m.id: m for m in measure_face(face, force=True)}
    rows = [by_id[entry.id] for entry in geometry() if not entry.needs_mm]
    return np.array([[m.value for m in rows], [m.hi - m.value for m in rows]])


class Rendered:
    """Measurements of photographs as they are, and as rendered from one distance with one 3D face."""

    def __init__(self) -> None:
        self.true: list[np.ndarray] = []
        self.left: list[np.ndarray] = []  # as if from 150 cm
        self.declared: list[np.ndarray] = []
        self.exif: list[np.ndarray] = []
        self.exif_cm: list[float] = []

    def rows(self, cm: int) -> list[str]:
        """For all measurements, and for those that are reported."""
        voided = np.array(["perspective" in e.voids for e in geometry() if not e.needs_mm])
        kept = ~voided if cm < ADVISED else np.ones_like(voided)
        measured = f"{np.median(self.exif_cm):.0f} ({min(self.exif_cm):.0f} to {max(self.exif_cm):.0f})"
        chosen = {"all": np.ones_like(kept)} | ({} if kept.all() else {"reported": kept})
        return [f"| {cm} | {name} | {self._cells(some)} | {measured} |" for name, some in chosen.items()]

    def _cells(self, some: np.ndarray) -> str:
        true = np.array(self.true)[:, :, some]
        people = true[:, 0].std(0, ddof=1)
        bias, within = [], []
        for kind in (self.left, self.declared, self.exif):
            value, half = np.moveaxis(np.array(kind)[:, :, some], 1, 0)
            change = value - true[:, 0]
            bias.append(f"{np.mean(np.abs(change.mean(0)) / people):.2f}")
            within.append(f"{100 * np.mean(np.abs(change) <= half):.1f}")
        return " | ".join([f"{some.sum()}", *bias, *within])


def photographs(folder: Path, limit: int | None) -> None:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)[:limit]
    faces = {"depths.csv": depths(), "face3d.csv": generic_face()[:, 2]}
    results = {(name, cm): Rendered() for name in faces for cm in NEAR}
    settings = Settings(face="largest")
    spent = []
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "near.jpg"
        for path in paths:
            photo = read_photo(path)
            reduced = Image.fromarray(photo.pixels)
            reduced.thumbnail((2 * _SIDE, _SIDE) if reduced.width > reduced.height else (_SIDE, 2 * _SIDE))
            reduced.save(file, quality=95)
            try:
                seen = observe(file, settings)
                if abs(seen.face.yaw) > _FRONTAL or abs(seen.face.pitch) > _FRONTAL:
                    continue
                true = measured(replace(seen.face, distance=AT_REFERENCE))
                for (name, cm), result in results.items():
                    picture, points = nearer(np.asarray(reduced), seen.face.landmarks, cm, faces[name])
                    write(picture, points, cm, file)
                    near = observe(file, settings)
                    result.true.append(true)
                    result.left.append(measured(replace(near.face, distance=AT_REFERENCE)))
                    begin = time.perf_counter()
                    result.exif.append(measured(near.face))
                    spent.append(time.perf_counter() - begin)
                    declared = parse_distance(f"{cm}")
                    result.declared.append(measured(with_distance(near.face, near.photo, declared, 30.0)))
                    result.exif_cm.append(near.face.distance.cm)
            except AnthropoError as error:
                print(error, file=sys.stderr)
    for name in faces:
        print(f"\n{folder.name}, {len(spent) // len(results)} photos, rendered with {name}\n")
        print(
            "| rendered from, cm | measurements | number | bias, as if from 150 cm | declared | EXIF "
            "| within the interval, %, as if from 150 cm | declared | EXIF | distance by EXIF, cm |"
        )
        print("|---" * 10 + "|")
        for cm in NEAR:
            print("\n".join(results[name, cm].rows(cm)))
    print(f"\nmeasuring geometry: {1000 * np.median(spent):.1f} ms a face", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--heads", metavar="PERSPECTIVE.csv")
    parser.add_argument("--limit", type=int, help="photos of each folder")
    arguments = parser.parse_args()
    if arguments.heads:
        heads(arguments.heads)
    for folder in arguments.folders:
        photographs(folder, arguments.limit)


if __name__ == "__main__":
    main()
