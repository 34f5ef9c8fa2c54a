"""Train the fine landmark stage, anthropo/face/fine.npz.

    python development/fine.py FACES -o OUT [--only SET ...] [--device cpu]

FACES holds helen_crops (photographs with 68 points each: index.csv) and frl and canada (studio photographs
with 189 template points: landmarks189.csv, labels.csv). Networks are trained by `train_patches`,
on the sets of people that have to be told apart (OUT/SET.npz):

    fine              everybody: what is shipped
    fold0 .. fold4    without a fifth of the people of each studio (OUT/folds.csv says who)
    without-frl       without a studio, to see what another studio's photographs get
    without-canada
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.face.weights import landmark_model
from anthropo.landmarks import REGIONS, Annotated, Job, mean_face, pack, read_upright, train_patches
from anthropo.landmarks.augmentation import Augmentation
from anthropo.landmarks.patch_training import Arrays

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
from instruments import STUDIOS
from template189 import placed

WEB = "helen_crops"
FOLDS = 5
SEED = 20140623
SHARES = (0.75, 0.25)  # of a batch: web, studios


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the networks of some regions are trained; chosen on studios that they had not seen."""

    regions: tuple[str, ...]
    epochs: int
    augmentation: Augmentation


_LIGHT = {"gamma": 0.3, "slope": 0.2, "sharpness": 0.8, "noise": 8.0, "jpeg": 0.3}
_FORM = {"shift": 5.0, "size": 0.08, "turn": 0.08, "stretch": 0.08}
RECIPES = (
    Recipe(
        ("eye", "eye_wide", "inner", "inner2", "outer", "outer2", "lips", "lips_wide"),
        57,
        Augmentation(**_FORM, **_LIGHT),
    ),
    Recipe(("ala", "ala_wide"), 16, Augmentation(**_LIGHT)),
    Recipe(("corner", "corner_wide"), 55, Augmentation()),
)


def annotated(faces: Path) -> list[Annotated]:
    """All training photographs; set 0 is the web's, set 1 the studios'."""
    photos = []
    with open(faces / WEB / "index.csv", newline="") as file:
        for row in csv.DictReader(file):
            points = np.loadtxt(faces / WEB / row["landmarks"])
            photos.append(Annotated(faces / WEB / row["photo"], row["photo"], points, {}, 0))
    for studio in STUDIOS:
        for one in placed(faces / studio):
            name = f"{studio}/{one.label['patient']}"
            photos.append(Annotated(one.path, name, None, one.landmarks(), 1))
    return photos


def folds(people: list[str]) -> dict[str, int]:
    """The fold of every studio person: a fifth of each studio."""
    chance = np.random.default_rng(5)
    found = {}
    for studio in STUDIOS:
        here = sorted(p for p in people if p.startswith(f"{studio}/"))
        found |= {here[i]: k % FOLDS for k, i in enumerate(chance.permutation(len(here)))}
    return found


def sets(people: list[str]) -> dict[str, NDArray[np.intp]]:
    """The faces that each set of networks is trained on."""
    fold = folds(people)
    keep: dict[str, NDArray[np.intp]] = {"fine": np.arange(len(people))}
    keep |= {f"fold{k}": np.flatnonzero([fold.get(person) != k for person in people]) for k in range(FOLDS)}
    keep |= {
        f"without-{studio}": np.flatnonzero([not person.startswith(f"{studio}/") for person in people])
        for studio in STUDIOS
    }
    return keep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", type=Path, metavar="FACES")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", nargs="*", metavar="SET")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    frame = mean_face(landmark_model().predictor.mean_shape)
    faces, left_out = read_upright(annotated(arguments.faces), frame)
    print(f"{len(faces.people)} faces; left out: {len(left_out)}")
    with open(arguments.output / "folds.csv", "w", newline="") as file:
        rows = [(*person.split("/"), k) for person, k in folds(list(faces.people)).items()]
        csv.writer(file, lineterminator="\n").writerows([("studio", "patient", "fold"), *sorted(rows)])
    keep = sets(list(faces.people))
    chosen = arguments.only or list(keep)
    networks: dict[str, dict[str, Arrays]] = {name: {} for name in chosen}
    for recipe in RECIPES:
        wanted = [(name, key) for name in chosen for key in recipe.regions]
        # on an accelerator all side by side; on a processor one after the other, which needs less memory
        for some in [wanted] if arguments.device != "cpu" else [[one] for one in wanted]:
            print(f"{len(some)} networks: {', '.join('/'.join(one) for one in some)}", flush=True)
            trained = train_patches(
                faces,
                [Job(REGIONS[key], keep[name]) for name, key in some],
                epochs=recipe.epochs,
                shares=SHARES,
                augmentation=recipe.augmentation,
                # two networks of one form differ by where they begin
                seed=SEED + sum(key.endswith("2") for _, key in some[:1]),
                threads=arguments.threads,
                device=arguments.device,
                report=print,
            )
            for (name, key), arrays in zip(some, trained, strict=True):
                networks[name][key] = arrays
    for name, found in networks.items():
        (arguments.output / f"{name}.npz").write_bytes(pack(frame, REGIONS, found))


if __name__ == "__main__":
    main()
