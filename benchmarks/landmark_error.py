"""Accuracy: landmarks against hand-placed points, beside dlib at full resolution on the same photos.

    python benchmarks/landmark_error.py FOLDER [--exposure 0.25] [--fine [FILE.npz]]

FOLDER holds either `index.csv` (columns photo, landmarks: one file per photo, 68 lines "x y"), or
`landmarks189.csv` with `ibug68_to_frl189.csv` (points of another scheme and how they correspond).

With 68 points the error is the mean distance between predicted and hand-placed points, divided by
the hand-placed outer-canthal distance. With corresponding points each point's mean offset over all
photos (another scheme's definition of it) is removed first. Only photos in which dlib finds the
annotated face are compared; a face lost is one that dlib finds and anthropo does not.
--exposure multiplies all pixel values first; --fine adds the second landmark stage, the
packaged one or that of a file, such as one that was trained without the folder's studio.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from anthropo.errors import AnthropoError
from anthropo.face.fine import read_fine_model, refine
from anthropo.face.landmarker import FIRST_DECODE, read_faces
from anthropo.face.weights import locate
from anthropo.photo import Photo, read_photo

Floats = NDArray[np.float64]


def annotated(folder: Path) -> tuple[list[tuple[Path, Floats]], NDArray[np.intp], bool]:
    """Photos with their points, the 68-scheme index of each point, whether offsets are removed."""
    if (folder / "index.csv").exists():
        with open(folder / "index.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        pairs = [(folder / r["photo"], np.loadtxt(folder / r["landmarks"])) for r in rows]
        return pairs, np.arange(68), False
    with open(folder / "ibug68_to_frl189.csv", newline="") as file:
        links = [(int(r["dlib68"]), int(r["frl189"])) for r in csv.DictReader(file)]
    pairs = []
    with open(folder / "landmarks189.csv", newline="") as file:
        for r in csv.DictReader(file):
            name = r["image"] if r["image"].endswith(".jpg") else r["image"] + ".jpg"
            points = np.array([[float(r[f"x{k}"]), float(r[f"y{k}"])] for _, k in links])
            pairs.append((folder / name, points))
    return pairs, np.array([i for i, _ in links]), True


def nearest(candidates: list[Floats], truth: Floats, unit: float) -> Floats | None:
    """The predicted face that is the annotated one: centres closer than half the canthal distance."""
    near = [c for c in candidates if np.linalg.norm(c.mean(0) - truth.mean(0)) < unit / 2]
    return min(near, key=lambda c: float(np.linalg.norm(c - truth)), default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--exposure", type=float, default=1.0)
    parser.add_argument("--fine", nargs="?", type=Path, const=Path(), metavar="FILE.npz")
    arguments = parser.parse_args()
    model = None
    if arguments.fine is not None and arguments.fine != Path():
        model = read_fine_model(arguments.fine.read_bytes())
    folder = arguments.folder
    photos, index, remove = annotated(folder)
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(locate("landmarks-68")))
    right, left = list(index).index(36), list(index).index(45)

    theirs, ours, lost, gained = [], [], [], []
    for path, truth in photos:
        unit = float(np.linalg.norm(truth[right] - truth[left]))
        pixels = np.clip(read_photo(path).pixels * arguments.exposure, 0, 255).astype(np.uint8)
        shapes = [predictor(pixels, box) for box in detector(pixels, 0)]
        peer = nearest([np.array([(p.x, p.y) for p in s.parts()], float)[index] for s in shapes], truth, unit)
        try:
            photo = Photo.from_array(pixels)
            if arguments.exposure == 1:
                photo = read_photo(path, short_side=FIRST_DECODE)
            found = read_faces(photo, face="all")
            looked = found if arguments.fine is None else [refine(photo, f, model) for f in found]
            faces = [f.landmarks[index] for f in looked]
        except AnthropoError:
            faces = []
        mine = nearest(faces, truth, unit)
        if peer is None or mine is None:
            if peer is not None:
                lost.append(path.name)
            elif mine is not None:
                gained.append(path.name)
            continue
        theirs.append((peer - truth) / unit)
        ours.append((mine - truth) / unit)

    errors = []
    for residuals in (np.array(theirs), np.array(ours)):
        if remove:
            residuals = residuals - residuals.mean(0)
        errors.append(np.linalg.norm(residuals, axis=2).mean())
    print("| folder | photos | points | dlib, full resolution | anthropo | ratio | faces lost | gained |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {folder.name} | {len(ours)} of {len(photos)} | {len(index)} | {errors[0]:.4f} | {errors[1]:.4f} "
        f"| {errors[1] / errors[0]:.3f} | {len(lost)} | {len(gained)} |"
    )
    if lost:
        print("lost:", ", ".join(lost))


if __name__ == "__main__":
    main()
