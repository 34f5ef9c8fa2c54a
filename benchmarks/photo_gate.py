"""Photo gate: how its values behave on studio photographs, as taken, blurred and reduced.

    python benchmarks/photo_gate.py FOLDER

FOLDER has `labels.csv` with the columns photo and expression (neutral, smiling), all taken straight
on. Landmark change: mean distance from the landmarks of the photo as taken, divided by the
outer-canthal distance. Neutral photographs only for blur (Gaussian, SD in photo pixels) and size.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from anthropo.errors import FaceError
from anthropo.face.landmarker import Face, read_face
from anthropo.photo import Photo, read_photo


def values(faces: list[Face], name: str) -> NDArray[np.float64]:
    return np.array([check.value for face in faces for check in face.gate if check.name == name])


def limit(faces: list[Face], name: str) -> float:
    return next(check.limit for check in faces[0].gate if check.name == name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = {e: [folder / r["photo"] for r in rows if r["expression"] == e] for e in ("neutral", "smiling")}
    faces = {expression: [read_face(str(p)) for p in photos] for expression, photos in paths.items()}

    print("| check | limit | neutral: 5 %, median, 95 % | beyond | smiling: 5 %, median, 95 % | beyond |")
    print("|---|---|---|---|---|---|")
    for check in faces["neutral"][0].gate:
        cells = [check.name, f"{check.limit:g} {check.unit}"]
        for group in faces.values():
            v = values(group, check.name)
            failed = np.mean([not c.ok for face in group for c in face.gate if c.name == check.name])
            cells += [" · ".join(f"{q:.3g}" for q in np.percentile(v, [5, 50, 95])), f"{failed:.0%}"]
        print("| " + " | ".join(cells) + " |")
    yaw, pitch = (np.std(values(faces["neutral"], name), ddof=1) for name in ("yaw", "pitch"))
    print(f"\nSD over straight-on neutral photographs: yaw {yaw:.1f}°, pitch {pitch:.1f}°\n")

    images = [Image.fromarray(read_photo(p).pixels) for p in paths["neutral"]]
    plain = faces["neutral"]
    print("| neutral photographs | found | pixels between the eyes | sharpness, median | landmark change |")
    print("|---|---|---|---|---|")
    changes = [("as taken", lambda image: image)]
    changes += [
        (f"blurred, SD {r} px", lambda image, r=r: image.filter(ImageFilter.GaussianBlur(r)))
        for r in (1, 2, 3, 5, 7)
    ]
    changes += [
        (
            f"{w} px wide",
            lambda image, w=w: image.resize((w, w * image.height // image.width), Image.Resampling.LANCZOS),
        )
        for w in (600, 400, 300, 240, 200, 160)
    ]
    for name, change in changes:
        found, moved = [], []
        for image, before in zip(images, plain, strict=True):
            picture = change(image)
            try:
                face = read_face(Photo.from_array(np.asarray(picture)))
            except FaceError:
                continue
            found.append(face)
            scale = image.width / picture.width
            after = (face.landmarks + 0.5) * scale - 0.5
            unit = np.linalg.norm(before.landmarks[36] - before.landmarks[45])
            moved.append(np.linalg.norm(after - before.landmarks, axis=1).mean() / unit)
        eyes, sharp = (np.median(values(found, n)) for n in ("eye_pixels", "sharpness"))
        print(f"| {name} | {len(found)} of {len(images)} | {eyes:.0f} | {sharp:.3f} | {np.mean(moved):.4f} |")


if __name__ == "__main__":
    main()
