"""Which faces are found: by roll and yaw, by age and race, and what is found where there is none.

    python benchmarks/recall.py annotated FOLDER... [--step 30] [--every 1]
    python benchmarks/recall.py labelled FOLDER... [--every 1] [--missed missed.txt]
    python benchmarks/recall.py landscapes

Beside anthropo (`--face all`): dlib's detector alone at full resolution, and YuNet alone, at 960 px.

annotated: FOLDER as for landmark_error.py. Photos are reduced to 800 px, long side, and rolled clockwise
about their middle by 0 to 180 degrees; what comes in at the corners is grey. A face is found when the middle
of its landmarks (of its box, for the two detectors) is nearer to the annotated one than half the
outer-canthal distance (than all of it). Errors are mean distances in outer-canthal distances, of anthropo's
first landmark stage, on faces that dlib finds too and on the others; wrong are those above 0.08. With points
of another scheme, each point's mean offset on the photos that stand upright is removed. Yaw is that of the
annotated points.

labelled: FOLDER holds labels.csv with photo (or image), age and race (as the set's authors name it), one
face in the middle of each photo. A face is found when a box holds the photo's middle.

landscapes: 18 pictures without a face of scikit-image, eight crops of each, and 50 drawn ones: noise,
stripes, rings, clouds, and discs in pairs on clouds. The numbers are of pictures with a false face.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import dlib
import numpy as np
from landmark_error import annotated, nearest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from anthropo.errors import FaceError
from anthropo.face.landmarker import Face, read_faces
from anthropo.face.pose import head_pose
from anthropo.face.yunet import second_detector
from anthropo.photo import Photo, read_photo

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
_LONGEST = 800  # px
_WRONG = 0.08  # outer-canthal distances
_BANDS = ((0, 1), (2, 5), (6, 12), (13, 17), (18, 39), (40, 64), (65, 120))  # years
_YAWS = ((0, 10), (10, 20), (20, 30), (30, 90))  # deg
_PICTURES = (
    "brick", "camera", "cat", "cell", "chelsea", "coffee", "coins", "colorwheel", "grass", "gravel", "horse",
    "hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip


def faces_of(pixels: Pixels) -> list[Face]:
    try:
        return read_faces(Photo.from_array(pixels), face="all")
    except FaceError:
        return []


def of_dlib(pixels: Pixels) -> list[Floats]:
    """Boxes (4,) that dlib's detector finds at full resolution."""
    found = dlib.get_frontal_face_detector()(pixels, 0)
    return [np.array([b.left(), b.top(), b.right(), b.bottom()], float) for b in found]


def of_yunet(pixels: Pixels) -> list[Floats]:
    """Boxes (4,) that YuNet finds with a score of half or more."""
    detector = second_detector()
    assert detector is not None
    scale = min(1.0, 960 / max(pixels.shape[:2]))
    return [(f.box + 0.5) / scale - 0.5 for f in detector(reduced(pixels, scale)) if f.score >= 0.5]


def reduced(pixels: Pixels, scale: float) -> Pixels:
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX))


def rolled(pixels: Pixels, degrees: float) -> tuple[Pixels, Floats]:
    """The picture turned clockwise about its middle, and the map (2, 3) of its places."""
    height, width = pixels.shape[:2]
    turned = np.asarray(
        Image.fromarray(pixels).rotate(-degrees, Image.Resampling.BICUBIC, True, fillcolor=(127, 127, 127))
    )
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, -sin], [sin, cos]])
    old, new = np.array([width - 1, height - 1]) / 2, np.array([turned.shape[1] - 1, turned.shape[0] - 1]) / 2
    return turned, np.column_stack([turn, new - turn @ old])


def seen(boxes: list[Floats], middle: Floats, unit: float) -> bool:
    return any(np.linalg.norm((b[:2] + b[2:]) / 2 - middle) < unit for b in boxes)


class Tally:
    """Counts of annotated faces and landmark errors of those found."""

    def __init__(self) -> None:
        self.total = self.dlib = self.yunet = self.ours = self.turned = 0
        self.both: list[Floats] = []
        self.rescued: list[Floats] = []

    def row(self, offset: Floats) -> str:
        errors = [
            [float(np.linalg.norm(r - offset, axis=1).mean()) for r in rs] for rs in (self.both, self.rescued)
        ]
        median, worst = ([f"{f(e):.4f}" if e else "–" for e in errors] for f in (np.median, np.max))
        wrong = sum(e > _WRONG for e in errors[0] + errors[1])
        return (
            f"{self.total} | {self.dlib} | {self.yunet} | {self.ours} | {self.turned} | {wrong} "
            f"| {median[0]} | {median[1]} | {len(errors[1])} | {worst[1]} |"
        )


def by_roll(folder: Path, step: int, every: int) -> None:
    photos, index, remove = annotated(folder)
    right, left = list(index).index(36), list(index).index(45)
    tallies: dict[str, Tally] = defaultdict(Tally)
    offset = np.zeros((len(index), 2))
    for degrees in range(0, 181, step):
        for path, points in photos[::every]:
            pixels = read_photo(path).pixels
            scale = min(1.0, _LONGEST / max(pixels.shape[:2]))
            pixels, map_ = rolled(reduced(pixels, scale), degrees)
            truth = ((points + 0.5) * scale - 0.5) @ map_[:, :2].T + map_[:, 2]
            unit = float(np.linalg.norm(truth[right] - truth[left]))
            faces = faces_of(pixels)
            mine = nearest([f.landmarks[index] for f in faces], truth, unit)
            theirs = seen(of_dlib(pixels), truth.mean(0), unit)
            network = seen(of_yunet(pixels), truth.mean(0), unit)
            names = [f"roll {degrees}"]
            if not degrees and len(index) == 68:
                yaw = abs(head_pose(truth).yaw)
                names += [f"roll 0, yaw {a}–{b}" for a, b in _YAWS if a <= yaw < b]
            for name in names:
                tally = tallies[name]
                tally.total += 1
                tally.dlib += theirs
                tally.yunet += network
                tally.ours += mine is not None
                if mine is not None:
                    face = next(
                        f for f in faces if f.landmarks[index] is mine or (f.landmarks[index] == mine).all()
                    )
                    tally.turned += face.turned != 0
                    residual = (mine - truth) @ map_[:, :2] / unit  # as the photo stands
                    (tally.both if theirs else tally.rescued).append(residual)
            if mine is None:
                print(f"missed: {folder.name} {path.name} at {degrees}", flush=True)
        if not degrees and remove:
            offset = np.mean(tallies["roll 0"].both, 0)
        for name in [name for name in tallies if name.split(",")[0] == f"roll {degrees}"]:
            print(f"| {folder.name}, {name} | {tallies.pop(name).row(offset)}", flush=True)


def by_label(folder: Path, every: int, missed: Path | None) -> None:
    with open(folder / "labels.csv", newline="") as file:
        people = list(csv.DictReader(file))[::every]
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    lost = []
    for person in people:
        name = person.get("photo") or person["image"]
        pixels = read_photo(folder / name).pixels
        middle = (np.array(pixels.shape[1::-1]) - 1) / 2

        def holds(boxes: list[Floats], middle: Floats = middle) -> bool:
            return any((b[:2] <= middle).all() and (middle <= b[2:]).all() for b in boxes)

        found = (
            holds(of_dlib(pixels)),
            holds(of_yunet(pixels)),
            holds([np.array(f.box) for f in faces_of(pixels)]),
        )
        if not found[2]:
            lost.append(name)
        band = next(f"{a}–{b} years" for a, b in _BANDS if a <= float(person["age"]) <= b)
        for group in ("all", band, person["race"]):
            for i, one in enumerate((True, *found)):
                counts[group][i] += one
    for name, (total, *found) in sorted(counts.items()):
        print(
            f"| {folder.name}, {name} | {total} | "
            + " | ".join(f"{100 * n / total:.1f} %" for n in found)
            + " |"
        )
    if missed:
        missed.write_text("\n".join(lost) + "\n")


def landscapes() -> Iterator[tuple[str, Pixels]]:
    """Pictures without a face, of three kinds."""
    random = np.random.default_rng(11)
    for name in _PICTURES:
        picture = np.asarray(getattr(data, name)())
        if picture.dtype == bool:
            picture = picture.astype(np.uint8) * 255
        picture = np.repeat(picture[:, :, None], 3, 2) if picture.ndim == 2 else picture[:, :, :3]
        yield "whole", np.ascontiguousarray(picture)
        for _ in range(8):
            side = int(min(picture.shape[:2]) * random.uniform(0.3, 0.8))
            top, left = (random.integers(0, n - side) for n in picture.shape[:2])
            crop = Image.fromarray(picture[top : top + side, left : left + side])
            yield (
                "crops",
                np.asarray(crop.resize((480, 480), Image.Resampling.BICUBIC).rotate(random.uniform(0, 360))),
            )
    y, x = np.mgrid[:480, :640]
    for _ in range(10):
        yield "drawn", random.integers(0, 256, (480, 640, 3), np.uint8)
        angle, period = random.uniform(0, np.pi), random.uniform(8, 80)
        phase = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period
        ring = np.hypot(x - random.uniform(0, 640), y - random.uniform(0, 480)) * 2 * np.pi / period
        for wave in (phase, ring):
            yield "drawn", np.repeat((127 + 100 * np.sin(wave))[:, :, None], 3, 2).astype(np.uint8)
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        clouds = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC))
        yield "drawn", clouds
        discs = clouds.copy()
        for _ in range(12):
            cx, cy, r = random.uniform(0, 640), random.uniform(0, 480), random.uniform(8, 40)
            for shift in (0, 3 * r):
                discs[np.hypot(x - cx - shift, y - cy) < r] = random.integers(0, 256, 3)
        yield "drawn", discs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("annotated", "labelled", "landscapes"))
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--step", type=int, default=30)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--missed", type=Path)
    asked = parser.parse_args()
    if asked.what == "annotated":
        print("| faces | annotated | dlib | YuNet | anthropo | of these turned | wrong | error: dlib too "
              "| error: others | their number | largest |\n|" + "---|" * 11)  # fmt: skip
        for folder in asked.folders:
            by_roll(folder, asked.step, asked.every)
    elif asked.what == "labelled":
        print("| faces | photos | dlib | YuNet | anthropo |\n|---|---|---|---|---|")
        for folder in asked.folders:
            by_label(folder, asked.every, asked.missed)
    else:
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for kind, pixels in landscapes():
            for i, some in enumerate((True, of_dlib(pixels), of_yunet(pixels), faces_of(pixels))):
                counts[kind][i] += bool(some)
        print("| pictures without a face | pictures | dlib | YuNet | anthropo |\n|---|---|---|---|---|")
        for kind, numbers in counts.items():
            print(f"| {kind} | " + " | ".join(map(str, numbers)) + " |")


if __name__ == "__main__":
    main()
