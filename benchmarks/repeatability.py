"""Repeatability: the same face in other files of one photo, and neutral against smiling.

    python benchmarks/repeatability.py FOLDER [--limit N]

FOLDER holds `labels.csv` (photo, patient, expression: neutral or smiling). Every neutral photo is
measured at 100, 75, 50 and 35 % of its size, in JPEG quality 95, 80, 65 and 50, 20 % darker and brighter,
and mirrored. The coefficient of variation of a length is taken over these files, and compared with that
of the same length from dlib's points. Then neutral and smiling photos are compared: how often a
measurement that the photo gate does not void differs by less than both intervals allow (their root sum of
squares).
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
from collections import defaultdict
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo import measure
from anthropo.errors import AnthropoError
from anthropo.face.weights import locate
from anthropo.measurement.compute import Measurement, evaluate, geometry
from anthropo.measurement.registry import registry

Bytes = NDArray[np.uint8]


def variants(path: Path) -> dict[str, tuple[bytes, bool]]:
    """Files of one photo, and whether it is mirrored."""
    image = Image.open(path).convert("RGB")

    def jpeg(picture: Image.Image, quality: int = 95) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    def sized(share: float) -> Image.Image:
        return image.resize(
            (round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS
        )

    def exposed(factor: float) -> Image.Image:
        table = [min(255, round(255 * (factor * (i / 255) ** 2.2) ** (1 / 2.2))) for i in range(256)]
        return image.point(table * 3)

    files = {f"{100 * s:.0f} %": (jpeg(sized(s)), False) for s in (1.0, 0.75, 0.5, 0.35)}
    files |= {f"quality {q}": (jpeg(image, q), False) for q in (80, 65, 50)}
    files |= {f"exposure {f}": (jpeg(exposed(f)), False) for f in (0.8, 1.2)}
    files["mirrored"] = (jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), True)
    return files


def swapped(name: str) -> str:
    """The same measurement of the other side."""
    if name.endswith(("_R", "_L")):
        return name[:-1] + {"R": "L", "L": "R"}[name[-1]]
    return name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    with open(arguments.folder / "labels.csv", newline="") as file:
        labels = list(csv.DictReader(file))
    neutral = {r["patient"]: arguments.folder / r["photo"] for r in labels if r["expression"] == "neutral"}
    smiling = {r["patient"]: arguments.folder / r["photo"] for r in labels if r["expression"] == "smiling"}
    people = list(neutral)[: arguments.limit]
    lengths = [e.id for e in geometry() if e.kind == "distance" and not e.needs_mm]
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(locate("landmarks-68")))
    bare = [e for e in geometry() if e.id in lengths]

    varied: dict[str, dict[str, list[float]]] = {"anthropo": defaultdict(list), "dlib": defaultdict(list)}
    with tempfile.TemporaryDirectory() as folder:
        for patient in people:
            seen: dict[str, dict[str, list[float]]] = {k: defaultdict(list) for k in varied}
            for data, mirrored in variants(neutral[patient]).values():
                file_name = Path(folder) / "variant.jpg"
                file_name.write_bytes(data)
                for m in measure(str(file_name), face="largest", force=True):
                    if m.id in lengths:
                        seen["anthropo"][swapped(m.id) if mirrored else m.id].append(m.value)
                pixels = np.asarray(Image.open(io.BytesIO(data)))
                boxes = detector(pixels, 0)
                if not boxes:
                    continue
                shape = predictor(pixels, max(boxes, key=lambda b: b.area()))
                points = np.array([(p.x, p.y) for p in shape.parts()], float)
                for entry, value in zip(bare, evaluate(points, bare), strict=True):
                    seen["dlib"][swapped(entry.id) if mirrored else entry.id].append(float(value))
            for who, values in seen.items():
                for name, numbers in values.items():
                    varied[who][name].append(float(np.std(numbers, ddof=1) / np.abs(np.mean(numbers))))
    cv = {who: {name: 100 * float(np.mean(v)) for name, v in by.items()} for who, by in varied.items()}
    # what is nearly nothing has no coefficient of variation to speak of
    named = [name for name in lengths if name != "lip_gap"]
    ours, theirs = (np.median([cv[who][n] for n in named]) for who in ("anthropo", "dlib"))
    print("| people | files of each | lengths | CV, anthropo (median) | CV, dlib | ratio |")
    print("|---|---|---|---|---|---|")
    print(f"| {len(people)} | 10 | {len(named)} | {ours:.2f} % | {theirs:.2f} % | {ours / theirs:.2f} |")
    for name in sorted(named, key=lambda n: -cv["anthropo"][n])[:3]:
        print(f"  least repeatable: {name} {cv['anthropo'][name]:.2f} %")

    inside: dict[str, list[bool]] = defaultdict(list)
    voided = total = 0
    for patient in people:
        if patient not in smiling:
            continue
        found: list[dict[str, Measurement]] = []
        for path in (neutral[patient], smiling[patient]):
            try:
                found.append({m.id: m for m in measure(str(path), face="largest")})
            except AnthropoError as error:
                print(error)
        if len(found) < 2:
            continue
        a, b = found
        for name in a:
            total += 1
            if not (np.isfinite(a[name].value) and np.isfinite(b[name].value)):
                voided += 1
                continue
            allowed = np.hypot(a[name].hi - a[name].value, b[name].hi - b[name].value)
            inside[name].append(bool(abs(a[name].value - b[name].value) <= allowed))
    if inside:
        kinds: dict[str, list[bool]] = defaultdict(list)
        for name, values in inside.items():
            kinds["pixels" if registry()[name].code is None else "geometry"] += values
        shares = {kind: 100 * np.mean(v) for kind, v in kinds.items()}
        every = 100 * np.mean([v for values in inside.values() for v in values])
        print("\n| neutral against smiling | voided | within intervals | geometry | colour, eye, texture |")
        print("|---|---|---|---|---|")
        print(
            f"| {len(people)} people | {100 * voided / total:.0f} % | {every:.1f} % "
            f"| {shares['geometry']:.1f} % | {shares['pixels']:.1f} % |"
        )
        worst = sorted((n for n in inside if len(inside[n]) >= 5), key=lambda n: np.mean(inside[n]))[:6]
        print("  least alike: " + ", ".join(f"{n} {100 * np.mean(inside[n]):.0f} %" for n in worst))


if __name__ == "__main__":
    main()
