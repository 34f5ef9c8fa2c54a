"""Domain-adversarial training and Deep CORAL: labels of one source, judged in another.

    python benchmarks/adversarial.py SOURCE TARGET [--photos 600] [--epochs 12] [--seeds 3]

SOURCE and TARGET hold photographs and a labels.csv (photo or image; patient, sex). The sex is learned on
SOURCE. Half of TARGET's photos are adapted to, without their labels, and the other half is judged by. Every
row starts from the packaged face network and the same batches; without adaptation the weight is 0. Accuracy
is of the network's own decision; a proxy A-distance (Ben-David et al. 2007) says how well a linear model
tells the two sources apart from the embedding, from 0 (not at all) to 2, on people it has not seen.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from hybrid import labelled
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.duplicates import find_duplicates
from anthropo.learning.metrics import compare, judge
from anthropo.networks.finetuning import Finetuned, finetune
from anthropo.networks.pictures import CohortPictures, read_pictures
from anthropo.networks.recipes import load_recipe
from anthropo.networks.training_loop import device_of
from anthropo.networks.training_set import TrainingSet, training_set, view_of
from anthropo.networks.units import TEST, of_photos
from anthropo.settings import Settings

VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "none": ("deep-coral", ("adaptation_weight=0",)),
    "deep-coral, answers": ("deep-coral", ()),
    "deep-coral, embedding": ("deep-coral", ("adaptation_layer=embedding", "adaptation_weight=1e6")),
    "none, rate falling": ("dann", ("adaptation_weight=0",)),
    "dann": ("dann", ()),
    "dann, weight 0.1": ("dann", ("adaptation_weight=0.1",)),
}


def read(folder: Path, number: int | None, jobs: int) -> CohortPictures:
    rows = dict([*labelled(folder).items()][:number])
    cases = tuple(
        Case(photo, "male" if row["sex"].upper().startswith("M") else "female", row.get("patient") or photo)
        for photo, row in rows.items()
    )
    recipe = load_recipe("dann")
    photos = read_pictures(
        Cohort(cases, str(folder)), view_of(recipe.parameters), Settings(face="largest", jitter=2), jobs=jobs
    )
    names = photos.features.patients
    for pair in find_duplicates(photos.features):
        names[photos.features.photos == pair.second] = names[photos.features.photos == pair.first]
    return photos


def material_of(
    name: str,
    settings: tuple[str, ...],
    source: CohortPictures,
    adapted: CohortPictures,
    judged: CohortPictures,
) -> TrainingSet:
    """A training whose target photos are all adapted to, but those that are judged by."""
    made = training_set(load_recipe(name, None, settings), source, target=adapted)
    target = made.target
    labels = made.units.labels
    index = np.array([labels.index(label) for label in judged.features.labels])
    units = of_photos(judged.features, labels, index, np.full(len(index), TEST))
    rows = np.arange(len(adapted.features))
    digests = tuple(adapted.features.digests.tolist())
    whole = replace(target, rows=rows, digests=digests, judged=units, pictures=judged.pictures)
    # the pictures that are adapted to and those that are judged by are two halves
    both = replace(
        adapted.pictures,
        photos=(*adapted.pictures.photos, *judged.pictures.photos),
        frames=(*adapted.pictures.frames, *judged.pictures.frames),
        pose=np.concatenate([adapted.pictures.pose, judged.pictures.pose]),
        kept=np.concatenate([adapted.pictures.kept, judged.pictures.kept]),
    )
    shifted = replace(units, rows=tuple((i + len(rows),) for i in range(len(index))))
    return replace(made, target=replace(whole, pictures=both, judged=shifted))


def distance(made: Finetuned, source: CohortPictures, target: CohortPictures) -> float:
    """Proxy A-distance of the embedding, by a linear model of cross-validated strength."""
    view = made.network.views[0]
    x = [made.network.embed({view: of.pictures.of(range(len(of.features)), view)}) for of in (source, target)]
    foreign = np.repeat([0, 1], [len(of) for of in x])
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced")
    )
    told = cross_val_predict(model, np.concatenate(x), foreign, cv=5)
    error = np.mean([(told[foreign == k] != k).mean() for k in (0, 1)])
    return float(2 * (1 - 2 * error))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--photos", type=int, default=600, help="of TARGET")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[*VARIANTS])
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    source, target = (
        read(arguments.source, None, arguments.jobs),
        read(arguments.target, arguments.photos, arguments.jobs),
    )
    people = np.unique(target.features.patients)
    half = np.isin(target.features.patients, np.random.default_rng(0).permutation(people)[::2])
    adapted, judged = (target.subset(np.flatnonzero(of)) for of in (half, ~half))
    print(
        f"{arguments.source.name}, {len(source.features)} photos, to {arguments.target.name}: "
        f"{len(adapted.features)} to adapt to, {len(judged.features)} to judge by\n"
    )
    print("| adaptation | seed | AUROC in the target | less none | accuracy | A-distance | s |")
    print("|---|---|---|---|---|---|---|")
    plain = {}
    for seed in range(arguments.seeds):
        for variant, (name, settings) in VARIANTS.items():
            if variant not in arguments.only:
                continue
            options = (*settings, f"seed={seed}", f"epochs={arguments.epochs}", "batch=16")
            material = material_of(name, options, source, adapted, judged)
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                made = finetune(material, folder=Path(folder) / "c", device=device_of("cpu"))
            seconds = time.perf_counter() - start
            answers = made.target.answers.labels
            if variant.startswith("none"):
                plain[name] = answers
            figures = judge(answers, "male")
            gain = compare(answers, plain[name], "male")["auroc"] if name in plain else "–"
            print(
                f"| {variant} | {seed} | {figures['auroc']} | {gain} | {figures['accuracy']} | "
                f"{distance(made, source, judged):.2f} | {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
