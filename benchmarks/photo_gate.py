"""Photo gate: how its values behave on studio photographs, as taken, blurred and reduced.

    python benchmarks/photo_gate.py FOLDER [--labelled FILE.csv] [--exposure] [--groups FILE.csv]

FOLDER has `labels.csv` with the columns photo and expression (neutral, smiling), all taken straight
on. Landmark change: mean distance from the landmarks of the photo as taken, divided by the
outer-canthal distance. Neutral photographs only for blur (Gaussian, SD in photo pixels) and size.
Voided: the share of a photo's measurements that its failed checks void.

FILE.csv has the columns photo (a path from its folder), and glasses or eyes_closed or both: yes, no,
or empty where it cannot be decided.

--exposure takes light away instead: neutral photographs darkened in stops (linear light, with noise that
grows with the root of the light, then 8 bits and JPEG again), by the column ethnicity. Beyond: values that
differ from those of the photo as taken by more than two photos of a person do in 95 % of cases.
--groups adds how light the faces of FILE.csv's photos (photo or image, race) are, as taken.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import anthropo
from anthropo.errors import AnthropoError, FaceError
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import Face, read_face
from anthropo.measurement.colour import LOGARITHMIC
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


def darkened(pixels: NDArray[np.uint8], stops: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photo with 2^stops times less light, as a camera's JPEG."""
    if not stops:
        return pixels
    level = pixels / 255
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4) * 2.0**-stops
    light += rng.normal(size=light.shape) * np.sqrt(1e-4 * light + 1e-6)
    light = np.clip(light, 0, 1)
    level = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    file = io.BytesIO()
    Image.fromarray((level * 255).round().astype(np.uint8)).save(file, "JPEG", quality=92)
    return np.asarray(Image.open(file))


def exposure(photos: dict[Path, str]) -> None:
    """What taking light away does, by group of people; `photos` are paths with the group of each."""
    rng = np.random.default_rng(1)
    kinds = {
        "lengths, angles, ratios": lambda e: e.kind not in ("colour", "eye", "texture"),
        "eyes, philtrum relief": lambda e: e.kind in ("eye", "texture"),
        "colour indices": lambda e: e.id in LOGARITHMIC,
    }
    lightest, moved, lost = defaultdict(list), defaultdict(list), defaultdict(int)
    beyond = defaultdict(list)
    for path, group in photos.items():
        pixels, before = read_photo(path).pixels, None
        for stops in range(7):
            try:
                seen = anthropo.observe(Photo.from_array(darkened(pixels, stops, rng)))
            except AnthropoError:
                lost[group, stops] += 1
                continue
            made = anthropo.measure_face(seen.face, seen.photo, force=True)
            before = before or (seen.face, made)
            lightest[group, stops] += values([seen.face], "exposure").tolist()
            unit = outer_canthal_distance(before[0].landmarks)
            change = np.linalg.norm(seen.face.landmarks - before[0].landmarks, axis=1).mean() / unit
            moved[group, stops].append(change)
            for one in made:
                old = before[1][one.id]
                off = abs(one.value - old.value) / (1.96 * 2**0.5 * old.repeat_sd)
                for kind, holds in kinds.items():
                    if holds(registry()[one.id]) and np.isfinite(off):
                        beyond[kind, group, stops].append(off > 1)
    names = ["lightest, median", "lowest", "fail", *(f"{kind}: beyond" for kind in kinds), "landmark change"]
    print(f"| group | stops | {' | '.join(names)} | no face |\n|{'---|' * (len(names) + 3)}")
    limit = next(c.limit for c in read_face(str(next(iter(photos)))).gate if c.name == "exposure")
    for group in dict.fromkeys(photos.values()):
        for stops in range(7):
            light = np.array(lightest[group, stops])
            cells = [f"{np.median(light):.0f}", f"{light.min():.0f}", f"{np.mean(light < limit):.0%}"]
            cells += [f"{np.mean(beyond[kind, group, stops]):.1%}" for kind in kinds]
            cells += [f"{np.mean(moved[group, stops]):.4f}", str(lost[group, stops])]
            print(f"| {group} ({len(light) + lost[group, stops]}) | {stops} | {' | '.join(cells)} |")


def lightest_by_group(path: Path) -> None:
    """The exposure of photos as taken, by group."""
    light = defaultdict(list)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            try:
                face = read_face(str(path.parent / (row.get("photo") or row["image"])), face="largest")
            except AnthropoError:
                continue
            light[row["race"]] += [check for check in face.gate if check.name == "exposure"]
    print(f"| group | photos | lowest | lowest 0.1 % | 1 % | 5 % | median | fail |\n|{'---|' * 8}")
    for group, found in sorted(light.items()):
        v = np.array([check.value for check in found])
        low = " | ".join(f"{x:.0f}" for x in [v.min(), *np.percentile(v, [0.1, 1, 5, 50])])
        failed = np.mean([not check.ok for check in found])
        print(f"| {group} | {len(v)} | {low} | {failed:.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("--exposure", action="store_true")
    parser.add_argument("--groups", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    folder = arguments.folder
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    if arguments.exposure or arguments.groups:
        if arguments.exposure:
            exposure({folder / r["photo"]: r["ethnicity"] for r in rows if r["expression"] == "neutral"})
        for groups in arguments.groups:
            print(f"\n{groups}\n")
            lightest_by_group(groups)
        return
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
