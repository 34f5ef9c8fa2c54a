"""Domain-adversarial training and Deep CORAL: labels of one source, judged in another.

    python benchmarks/adversarial.py SOURCE TARGET [--device cuda] [--photos N] [--epochs 20] [--seeds 4]
        [--size 150] [--batch 16] [--only NAME …] [--set OPTION=VALUE …]

SOURCE and TARGET hold photographs and a labels.csv (photo or image; patient, age, sex). The sex of adults is
learned on SOURCE. One half of TARGET's people is adapted to, without their labels, and the other half is
judged by; every second seed swaps the halves. Every row starts from the packaged face network, and with the
same batches as the row without adaptation (weight 0) of its recipe and seed. The last table is over all
seeds, with 95 % intervals from a bootstrap of the judged people, and the standard deviation over seeds. A
proxy A-distance (Ben-David et al. 2007) says how well a linear model tells the two sources apart from the
embedding, from 0 (not at all) to 2, on people it has not seen.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from domains import ADULT, TOLD, aurocs, resamples
from hybrid import labelled
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.duplicates import find_duplicates
from anthropo.networks.finetuning import Finetuned, finetune
from anthropo.networks.pictures import CohortPictures, read_pictures
from anthropo.networks.recipes import load_recipe
from anthropo.networks.training_loop import device_of
from anthropo.networks.training_set import TrainingSet, training_set, view_of
from anthropo.networks.units import TEST, of_photos
from anthropo.settings import Settings

PLAIN = ("none", "none, rate falling")  # of each recipe
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "none": ("deep-coral", ("adaptation_weight=0",)),
    "deep-coral, answers": ("deep-coral", ()),
    "deep-coral, answers, weight 10": ("deep-coral", ("adaptation_weight=10",)),
    "deep-coral, embedding, weight 1e3": (
        "deep-coral",
        ("adaptation_layer=embedding", "adaptation_weight=1e3"),
    ),
    "none, rate falling": ("dann", ("adaptation_weight=0",)),
    "dann": ("dann", ()),
    "dann, weight 0.3": ("dann", ("adaptation_weight=0.3",)),
    "dann, weight 0.1": ("dann", ("adaptation_weight=0.1",)),
}
FOLDS = 10  # of SOURCE: one stops nothing here, one gives figures that are not shown
Answers = tuple[np.ndarray, np.ndarray, np.ndarray]  # of the judged photos: labels, people, what is said


def read(folder: Path, number: int | None, size: int, jobs: int) -> CohortPictures:
    """The pictures of a folder's adults."""
    rows = {
        photo: row
        for photo, row in labelled(folder).items()
        if not row["age"].isdigit() or int(row["age"]) >= ADULT
    }
    cases = tuple(
        Case(photo, TOLD["sex"][row["sex"].upper().startswith("M")], row.get("patient") or photo)
        for photo, row in [*rows.items()][:number]
    )
    view = view_of(load_recipe("dann", None, (f"size={size}",)).parameters)
    photos = read_pictures(Cohort(cases, str(folder)), view, Settings(face="largest", jitter=2), jobs=jobs)
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


def distance(made: Finetuned, source: CohortPictures, target: CohortPictures, device: torch.device) -> float:
    """Proxy A-distance of the embedding, by a linear model of cross-validated strength."""
    view = made.network.views[0]
    for module in made.network.modules:
        module.to(device)
    x = [made.network.embed({view: of.pictures.of(range(len(of.features)), view)}) for of in (source, target)]
    foreign = np.repeat([0, 1], [len(of) for of in x])
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced")
    )
    told = cross_val_predict(model, np.concatenate(x), foreign, cv=5)
    error = np.mean([(told[foreign == k] != k).mean() for k in (0, 1)])
    return float(2 * (1 - 2 * error))


def over_seeds(said: dict[str, dict[int, Answers]], times: int = 1000) -> None:
    """Rows of each variant: its mean AUROC over seeds, and the difference to that without adaptation."""
    people = np.unique(np.concatenate([a[1] for of in said.values() for a in of.values()]))
    drawn = resamples(people, times)

    def each(of: dict[int, Answers], seeds: list[int]) -> np.ndarray:
        weights = [drawn[:, np.searchsorted(people, of[seed][1])] for seed in seeds]
        with np.errstate(invalid="ignore"):  # a draw of a small half may have one label only
            return np.stack([aurocs(of[s][0], of[s][2], w) for s, w in zip(seeds, weights, strict=True)])

    print("\n| adaptation | seeds | AUROC in the target | less none | SD over seeds |\n|---|---|---|---|---|")
    plain = ""
    for variant, of in said.items():
        plain = variant if variant in PLAIN else plain
        cells = [interval(each(of, [*of]).mean(0), "")]
        if (both := [s for s in of if s in said.get(plain, {})]) and variant != plain:
            less = each(of, both) - each(said[plain], both)
            spread = f"{less[:, 0].std(ddof=1):.3f}" if len(both) > 1 else "–"
            cells += [interval(less.mean(0), "+"), spread]
        print(f"| {variant} | {len(of)} | {' | '.join(cells)} |", flush=True)


def interval(values: np.ndarray, sign: str) -> str:
    """The first, with the middle 95 % of the others."""
    lo, hi = np.nanpercentile(values[1:], [2.5, 97.5])
    return f"{values[0]:{sign}.3f} ({lo:{sign}.3f} to {hi:{sign}.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--photos", type=int, help="of TARGET")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--size", type=int, default=150, help="px, side of the pictures")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--only", nargs="+", default=[*VARIANTS])
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    device = device_of(asked.device)
    source = read(asked.source, None, asked.size, asked.jobs)
    target = read(asked.target, asked.photos, asked.size, asked.jobs)
    people = np.unique(target.features.patients)
    print(
        f"{asked.source.name}, {len(source.features)} photos, to {asked.target.name}, "
        f"{len(target.features)} photos of {len(people)} people, a half to adapt to and a half to judge by\n"
    )
    print("| adaptation | seed | AUROC in the target | A-distance | s |\n|---|---|---|---|---|")
    said: dict[str, dict[int, Answers]] = {name: {} for name in VARIANTS if name in asked.only}
    for seed in range(asked.seeds):
        chosen = np.random.default_rng(seed // 2).permutation(people)[seed % 2 :: 2]
        half = np.isin(target.features.patients, chosen)
        adapted, judged = (target.subset(np.flatnonzero(of)) for of in (half, ~half))
        for variant in said:
            name, settings = VARIANTS[variant]
            run = (f"seed={seed}", f"folds={FOLDS}", f"fold={seed % FOLDS}", f"epochs={asked.epochs}")
            options = (*settings, *run, f"batch={asked.batch}", f"size={asked.size}", *asked.set)
            material = material_of(name, options, source, adapted, judged)
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                made = finetune(material, folder=Path(folder) / "c", device=device)
            seconds = time.perf_counter() - start
            answers = made.target.answers.labels
            labels = judged.features.labels
            p = answers.proba[:, answers.labels.index(TOLD["sex"][1])]
            said[variant][seed] = labels, judged.features.patients, p
            auroc = aurocs(labels, p, np.ones((1, len(p))))[0]
            apart = distance(made, source, judged, device)
            print(f"| {variant} | {seed} | {auroc:.3f} | {apart:.2f} | {seconds:.0f} |", flush=True)
    over_seeds(said)


if __name__ == "__main__":
    main()
