"""Make anthropo/measurement/snapshots.csv: how much further snapshots of one person differ than posed photos.

    python development/snapshots.py TABLE.csv [MORE.csv...] -o anthropo/measurement/snapshots.csv

TABLE is what `anthropo measure` wrote of photographs of people of all ages, with the columns age, sex and
race. Among thousands of portraits from the web some are of one person: `find_same_people` finds them, of one
sex and one race as the set names it, and not of one file in two sizes. What the two differ by, apart from
age, is the error of snapshots: expression, gaze, light, lens, pose and file together. The table has what that
is more than what the photographs' own repeatability says already. With few pairs a measurement leans on those
of its kind.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import AnthropoError
from anthropo.face.landmarker import read_face
from anthropo.learning.features import Features
from anthropo.learning.identity import IDENTITY, face_identity, find_same_people
from anthropo.measurement.registry import registry
from anthropo.photo import read_photo
from anthropo.reference.curve_fitting import fit_curves

sys.path.insert(0, str(Path(__file__).resolve().parent))
from people_of_all_ages import GROUPS, Faces, often_measured, read_faces

ALIKE = 0.93  # correlation of two pictures of 16 x 16 pixels, from which on they are one photograph
YOUNGEST = 12  # years: babies are too much alike to be told from each other
KIND = 40  # pairs that the other measurements of a kind count for
FAR = 4.0  # SD from the median, beyond which a value is none

Floats = NDArray[np.float64]


def look(photos: list[str]) -> tuple[NDArray[np.float32], Floats]:
    """What faces are compared by (n, IDENTITY), NaN without a face; and small pictures (n, 256)."""
    from PIL import Image

    identity = np.full((len(photos), IDENTITY), np.nan, np.float32)
    small = np.zeros((len(photos), 256))
    for i, path in enumerate(photos):
        try:
            photo = read_photo(path)
            grey = Image.fromarray(photo.pixels).convert("L").resize((16, 16))
            small[i] = np.asarray(grey, np.float64).ravel()
            identity[i] = face_identity(photo, read_face(photo))
        except AnthropoError:
            continue
        print(f"\r{i + 1} of {len(photos)} faces", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    small -= small.mean(1, keepdims=True)
    return identity, small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9)


def pairs(faces: Faces, identity: NDArray[np.float32], small: Floats) -> NDArray[np.int64]:
    """Rows of two photographs of one person (m, 2)."""
    (known,) = np.nonzero(np.isfinite(identity).all(1) & (faces.age >= YOUNGEST))
    names = np.array([faces.photos[i] for i in known])
    features = Features(
        photos=names, labels=np.array([""] * len(known)), patients=np.array([f"p{i}" for i in known]),
        measurements=np.zeros((len(known), 0)), measurement_ids=(), regions={}, metadata={},
        digests=np.array([faces.digests[i] for i in known]), prints=np.zeros((len(known), 0), np.float32),
        identities=identity[known],
    )  # fmt: skip
    found = np.array([[int(name[1:]) for name in pair.patients] for pair in find_same_people(features)])
    a, b = found.T
    like = (faces.female[a] == faces.female[b]) & (faces.group[a] == faces.group[b])
    return np.asarray(found[like & ((small[a] * small[b]).sum(1) < ALIKE)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--seen", type=Path, help="keep what faces are compared by in this .npz")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    faces = read_faces(arguments.tables)
    if arguments.seen and arguments.seen.is_file():
        with np.load(arguments.seen) as kept:
            identity, small = kept["identity"], kept["small"]
    else:
        identity, small = look(faces.photos)
        if arguments.seen:
            np.savez(arguments.seen, identity=identity, small=small)
    two = pairs(faces, identity, small)
    print(f"{len(two)} pairs of photographs of one person among {len(faces)} faces")
    found: dict[
        str, tuple[int, float, float]
    ] = {}  # pairs, error not known yet as a share of the variance, SD
    for name in often_measured(faces):
        rows, people = faces.people(name)
        fit = fit_curves(people, len(GROUPS))
        z, sd = fit.residuals(people)
        place = np.full(len(faces), np.nan)
        place[rows] = z
        stated = np.zeros(len(faces))
        stated[rows] = people.error / sd
        a, b = two[np.isfinite(place[two]).all(1) & (np.abs(np.nan_to_num(place[two])) < FAR).all(1)].T
        more = (place[a] - place[b]) ** 2 - stated[a] ** 2 - stated[b] ** 2
        found[name] = len(a), float(more.mean() / 2) if len(a) else 0.0, float(np.sqrt(np.mean(sd**2)))
    kinds: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for name, (n, share, _) in found.items():
        kinds[registry()[name].kind].append((n, share))
    usual: dict[str, float] = {}
    for kind, of in kinds.items():
        total = sum(n for n, _ in of)
        usual[kind] = sum(n * share for n, share in of) / total if total >= KIND else float("nan")
    everywhere = float(np.nanmedian(list(usual.values())))
    with open(arguments.output, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("measurement", "sd", "pairs", "share"))
        for name, (n, share, sd) in found.items():
            of_kind = usual[registry()[name].kind]
            of_kind = everywhere if np.isnan(of_kind) else of_kind
            more = max(0.0, (n * share + KIND * of_kind) / (n + KIND))
            writer.writerow((name, f"{sd * np.sqrt(more):.4g}", n, f"{more:.2f}"))
    for kind, share in usual.items():
        print(f"{kind}: {share:.2f} of the variance")


if __name__ == "__main__":
    main()
