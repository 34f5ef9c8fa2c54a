"""Steadiness: lengths over ten files of one photo, against those from dlib's own points.

Every photo is measured at 100, 75, 50 and 35 % of its size, in JPEG quality 95, 80, 65 and 50, 20 % darker
and brighter, and mirrored. The coefficient of variation of a length is taken over these files. Run by
`python benchmarks/repeatability.py FRL --dlib`.
"""

from __future__ import annotations

import io
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo import measure
from anthropo.face.weights import locate
from anthropo.measurement.compute import evaluate, geometry

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


def against_dlib(photos: Sequence[Path]) -> None:
    """Print the coefficients of variation."""
    lengths = [e.id for e in geometry() if e.kind == "distance" and not e.needs_mm]
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(locate("landmarks-68")))
    bare = [e for e in geometry() if e.id in lengths]

    varied: dict[str, dict[str, list[float]]] = {"anthropo": defaultdict(list), "dlib": defaultdict(list)}
    with tempfile.TemporaryDirectory() as folder:
        for photo in photos:
            seen: dict[str, dict[str, list[float]]] = {k: defaultdict(list) for k in varied}
            for data, mirrored in variants(photo).values():
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
    print(f"| {len(photos)} | 10 | {len(named)} | {ours:.2f} % | {theirs:.2f} % | {ours / theirs:.2f} |")
    for name in sorted(named, key=lambda n: -cv["anthropo"][n])[:3]:
        print(f"  least repeatable: {name} {cv['anthropo'][name]:.2f} %")
