"""The recipe contrastive on pairs of expressions: people it has not seen, and the hybrid with its embedding.

    python benchmarks/contrastive.py PAIRS WEB [--losses supcon triplet] [--folds 3] [--epochs 12]
        [--regions face lower eyes mouth] [--web-photos 500]

PAIRS holds photographs of people in two states and a labels.csv (photo, patient, expression, sex), WEB other
photographs and a labels.csv (image, age, sex). By person: in each fold three fifths are trained on, one
decides when to stop, and one is judged: is a neutral and a smiling photo of the same person more alike than
of two people? Beside it the warm start, the packaged face network. Studio photos of one day are told almost
without error, so that the smiling ones are also shrunk to a few pixels, which is never trained on. Then the
last network's embedding takes the place of face-resnet's in the hybrid, on the same folds of WEB.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from hybrid import labelled, tasks
from PIL import Image

from anthropo.encoder.encoders import Encoder, load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.duplicates import find_duplicates
from anthropo.learning.features import Features, extract
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import compare, judge
from anthropo.learning.model import Options
from anthropo.networks.encoder import network_encoder
from anthropo.networks.finetuning import finetune
from anthropo.networks.judging import chips_of
from anthropo.networks.network import Network
from anthropo.networks.pictures import CohortPictures, read_pictures
from anthropo.networks.recipes import Recipe, load_recipe
from anthropo.networks.training_loop import beginning, device_of
from anthropo.networks.training_set import TrainingSet, training_set, view_of
from anthropo.networks.units import TEST
from anthropo.networks.verification import Pairs, cosine, pairs_between, verification_figures
from anthropo.settings import Settings

SIDES = (150, 16)  # px of the smiling photo's pictures; 150 is what networks see


def pairs_of(folder: Path, recipe: Recipe, jobs: int) -> CohortPictures:
    rows = labelled(folder)
    cases = tuple(
        Case(photo, row["sex"], row["patient"], {"state": row["expression"]}) for photo, row in rows.items()
    )
    return read_pictures(Cohort(cases, str(folder)), view_of(recipe.parameters), Settings(), jobs=jobs)


def shrunk(chips: np.ndarray, which: np.ndarray, side: int) -> np.ndarray:
    """Some of the pictures with the detail of `side` pixels."""
    out = chips.copy()
    for i in np.flatnonzero(which):
        small = Image.fromarray(chips[i]).resize((side, side), Image.Resampling.BOX)
        out[i] = np.asarray(small.resize(chips.shape[1:3], Image.Resampling.BICUBIC))
    return out


def scores(network: Network, material: TrainingSet, side: int) -> tuple[dict[str, np.ndarray], Pairs]:
    """Similarity of each pair of people who were kept apart, by view and over all."""
    units = material.units
    chosen = units.chosen(TEST)
    pairs = pairs_between(units, chosen, "patient")
    second = units.states[chosen] == max(units.states)
    found = {}
    for view in network.views:
        chips = shrunk(chips_of(network, material.photos.pictures, units, chosen, view), second, side)
        embedded = network.embed({view: chips}) + network.embed({view: chips[:, :, ::-1]})
        found[view] = cosine(embedded, pairs)
    return {"all views": np.mean([*found.values()], 0), **found}, pairs


def verification(folder: Path, settings: tuple[str, ...], folds: int, jobs: int, output: Path) -> None:
    first = load_recipe("contrastive", None, settings)
    loss = first.parameters.loss
    photos = pairs_of(folder, first, jobs)
    kept: dict[tuple[int, str], list[tuple[np.ndarray, np.ndarray, Pairs]]] = {}
    began_at = time.perf_counter()
    for fold in range(folds):
        recipe = load_recipe("contrastive", None, (*settings, f"fold={fold}"))
        material = training_set(recipe, photos)
        with tempfile.TemporaryDirectory() as checkpoints:
            made = finetune(material, folder=Path(checkpoints) / "c", device=device_of("cpu"))
        network = made.network
        network.save(output)
        start = Network(
            network.manifest, network.about, beginning(material, network.about.spec, device_of("cpu"))
        )
        for side in SIDES:
            after, pairs = scores(network, material, side)
            before, _ = scores(start, material, side)
            for view in after:
                kept.setdefault((side, view), []).append((after[view], before[view], pairs))
    seconds = (time.perf_counter() - began_at) / folds
    for (side, view), of in kept.items():
        # pairs are of one fold's people: nobody is compared with who was trained on
        most = 1 + max(int(p.max()) for _, _, pairs in of for p in pairs.people)
        people = tuple(
            np.concatenate([pairs.people[k] + fold * most for fold, (_, _, pairs) in enumerate(of)])
            for k in (0, 1)
        )
        same = np.concatenate([pairs.same for _, _, pairs in of])
        every = Pairs(people[0], people[1], same, people, "")
        after, before = (np.concatenate([scored[k] for scored in of]) for k in (0, 1))
        found = verification_figures(after, before, every, start="face-resnet")
        print(
            f"| {loss} | {view} | {side} px | {found.auroc} | {found.began} | {found.gained} | "
            f"{found.apart} | {found.apart_began} | {found.true_accepts} | {found.true_accepts_began} |",
            flush=True,
        )
    print(f"\n{loss}: {found.people} people judged, {seconds:.0f} s a fold\n", flush=True)


def read_web(
    folder: Path, encoder: Encoder, regions: list[str], number: int, jobs: int
) -> tuple[Features, list[dict[str, str]]]:
    rows = dict([*labelled(folder).items()][:number])
    cases = tuple(Case(photo, "any", photo) for photo in rows)
    features = extract(
        Cohort(cases, str(folder)), Settings(face="largest"), encoder, regions=regions, jobs=jobs
    )
    for pair in find_duplicates(features):
        patients = dict(zip(features.photos.tolist(), features.patients.tolist(), strict=True))
        features.patients[features.photos == pair.second] = patients[pair.first]
    return features, [rows[photo] for photo in features.photos.tolist()]


def hybrids(folder: Path, network: Path, regions: list[str], number: int, jobs: int) -> None:
    encoders = {"face-resnet": load_encoder(), "contrastive": network_encoder(network)}
    seen = {name: read_web(folder, encoder, regions, number, jobs) for name, encoder in encoders.items()}
    rows = seen["face-resnet"][1]
    print(f"{folder.name}: {len(rows)} photos, regions {', '.join(regions)}, 5 folds\n")
    print("| task (positive) | hybrid with face-resnet | with contrastive | difference |\n|---|---|---|---|")
    for name, positive in tasks(rows).items():
        if name not in ("sex (male)", "age ≤ 12"):
            continue
        judged = {}
        for encoder, (features, _) in seen.items():
            features.labels[:] = np.where(positive, "yes", "no")
            made = cross_validate(features, Options(positive="yes"), repeats=1, baselines=False, jobs=jobs)
            judged[encoder] = made.questions[0].models["hybrid"]
        figures = [judge(of, "yes")["auroc"] for of in judged.values()]
        gain = compare(judged["contrastive"], judged["face-resnet"], "yes")["auroc"]
        print(f"| {name}, {int(positive.sum())} | {figures[0]} | {figures[1]} | {gain} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("web", type=Path)
    parser.add_argument("--losses", nargs="+", default=["supcon", "triplet"])
    parser.add_argument("--folds", type=int, default=3, help="so many of five")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--regions", nargs="+", default=[*DEFAULT_REGIONS])
    parser.add_argument("--web-photos", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    print(
        "| loss | view | smiling photo | AUROC | warm start | gained | d′ | warm start | found where 1 in "
        "100 others is | warm start |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        network = Path(folder) / "contrastive.anthropo"
        for loss in reversed(arguments.losses):
            settings = (f"loss={loss}", f"epochs={arguments.epochs}", f"views={','.join(arguments.regions)}")
            verification(arguments.pairs, settings, arguments.folds, arguments.jobs, network)
        hybrids(arguments.web, network, arguments.regions, arguments.web_photos, arguments.jobs)


if __name__ == "__main__":
    main()
