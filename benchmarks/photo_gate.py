"""Photo gate: how its values behave on studio photographs, as taken, blurred and reduced.

    python benchmarks/photo_gate.py FOLDER [--labelled FILE.csv]

FOLDER has `labels.csv` with the columns photo and expression (neutral, smiling), all taken straight
on. Landmark change: mean distance from the landmarks of the photo as taken, divided by the
outer-canthal distance. Neutral photographs only for blur (Gaussian, SD in photo pixels) and size.
Voided: the share of a photo's measurements that its failed checks void.

FILE.csv has the columns photo (a path from its folder), and glasses or eyes_closed or both: yes, no,
or empty where it cannot be decided.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from anthropo.errors import FaceError
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import Face, read_face
from anthropo.measurement.registry import registry
from anthropo.photo import Photo, read_photo

LABELS = ("glasses", "eyes_closed")


def values(faces: list[Face], name: str) -> NDArray[np.float64]:
    return np.array([check.value for face in faces for check in face.gate if check.name == name])


def limit(faces: list[Face], name: str) -> float:
    return next(check.limit for check in faces[0].gate if check.name == name)


def voided(face: Face) -> float:
    """Share of the measurements that the photo's failed checks void."""
    failed = {check.name for check in face.gate if not check.ok}
    return float(np.mean([not failed.isdisjoint(entry.voids) for entry in registry().values()]))


def labelled(path: Path) -> None:
    """Sensitivity and specificity of the checks that somebody has labelled by eye."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    failed: dict[str, dict[str, list[bool]]] = {n: {"yes": [], "no": []} for n in LABELS if n in rows[0]}
    for row in rows:
        try:
            face = read_face(str(path.parent / row["photo"]), face="largest")
        except FaceError:
            continue
        for check in face.gate:
            if row.get(check.name) and check.name in failed:
                failed[check.name][row[check.name]].append(not check.ok)
    print("| check | labelled yes | failed | labelled no | passed |")
    print("|---|---|---|---|---|")
    for name, by in failed.items():
        sensitivity, specificity = np.mean(by["yes"]), 1 - np.mean(by["no"])
        print(f"| {name} | {len(by['yes'])} | {sensitivity:.1%} | {len(by['no'])} | {specificity:.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labelled", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = {e: [folder / r["photo"] for r in rows if r["expression"] == e] for e in ("neutral", "smiling")}
    faces = {expression: [read_face(str(p)) for p in photos] for expression, photos in paths.items()}

    print("| check | limit | neutral: 5 %, median, 95 % | beyond | smiling | beyond | voids |")
    print("|---|---|---|---|---|---|---|")
    for check in faces["neutral"][0].gate:
        cells = [check.name, f"{check.limit:g} {check.unit}"]
        for group in faces.values():
            v = values(group, check.name)
            failed = np.mean([not c.ok for face in group for c in face.gate if c.name == check.name])
            cells += [" · ".join(f"{q:.3g}" for q in np.percentile(v, [5, 50, 95])), f"{failed:.0%}"]
        cells.append(
            f"{sum(check.name in entry.voids for entry in registry().values())} of {len(registry())}"
        )
        print("| " + " | ".join(cells) + " |")
    for expression, group in faces.items():
        shares = [voided(face) for face in group]
        whole = np.mean([share == 0 for share in shares])
        print(
            f"\n{expression}: nothing voided in {whole:.0%}; voided on average {np.mean(shares):.0%}", end=""
        )
    print()
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
            unit = outer_canthal_distance(before.landmarks)
            moved.append(np.linalg.norm(after - before.landmarks, axis=1).mean() / unit)
        eyes, sharp = (np.median(values(found, n)) for n in ("eye_pixels", "sharpness"))
        print(f"| {name} | {len(found)} of {len(images)} | {eyes:.0f} | {sharp:.3f} | {np.mean(moved):.4f} |")

    if arguments.labelled:
        print()
        labelled(arguments.labelled)


if __name__ == "__main__":
    main()
