"""The recipe contrastive on pairs of expressions: people it has not seen, and the hybrid with its embedding.

    python benchmarks/contrastive.py PAIRS WEB [--losses supcon triplet] [--folds 3] [--epochs 12]
        [--regions face lower eyes mouth] [--web-photos 500] [--repeats 1] [--tasks NAME ...]

PAIRS holds photographs of people in two states and a labels.csv (photo, patient, expression, sex), WEB other
photographs and a labels.csv (image, age, sex). By person: in each fold three fifths are trained on, one
decides when to stop, and one is judged: is a neutral and a smiling photo of the same person more alike than
of two people? Beside it the warm start, the packaged face network. Studio photos of one day are told almost
without error, so that the smiling ones are also made harder: shrunk to a few pixels, rolled, darkened with
noise, half hidden, none of which is trained on. Then the last network's embedding takes the place of
face-resnet's in the hybrid, and stands beside it, on the same folds of WEB.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
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

Harder = Callable[[np.ndarray], np.ndarray]
_GREY = 110  # of what hides, and of corners that a rolled picture leaves


def pairs_of(folder: Path, recipe: Recipe, jobs: int) -> CohortPictures:
    rows = labelled(folder)
    cases = tuple(
        Case(photo, row["sex"], row["patient"], {"state": row["expression"]}) for photo, row in rows.items()
    )
    return read_pictures(Cohort(cases, str(folder)), view_of(recipe.parameters), Settings(), jobs=jobs)


def shrunk(side: int) -> Harder:
    """Pictures with the detail of `side` pixels."""

    def change(chips: np.ndarray) -> np.ndarray:
        out = chips.copy()
        for i, chip in enumerate(chips):
            small = Image.fromarray(chip).resize((side, side), Image.Resampling.BOX)
            out[i] = np.asarray(small.resize(chips.shape[1:3], Image.Resampling.BICUBIC))
        return out

    return change


def rolled(chips: np.ndarray) -> np.ndarray:
    """Pictures by 20 degrees from upright."""
    return np.stack(
        [
            np.asarray(Image.fromarray(c).rotate(20, Image.Resampling.BICUBIC, fillcolor=(_GREY,) * 3))
            for c in chips
        ]
    )


def dark(chips: np.ndarray) -> np.ndarray:
    """Pictures with an eighth of the light, and noise."""
    noise = np.random.default_rng(0).normal(0, 6, chips.shape)
    return np.clip(chips * 0.12 + noise, 0, 255).astype(np.uint8)


def hidden(top: float, bottom: float) -> Harder:
    """Pictures with a grey bar over these shares of their height."""

    def change(chips: np.ndarray) -> np.ndarray:
        out, side = chips.copy(), chips.shape[1]
        out[:, int(top * side) : int(bottom * side)] = _GREY
        return out

    return change


#: What is done to the smiling photo's pictures; 150 px is what networks see.
HARDER: dict[str, Harder] = {
    "150 px": np.copy,
    "24 px": shrunk(24),
    "16 px": shrunk(16),
    "12 px": shrunk(12),
    "rolled 20°": rolled,
    "dark, noisy": dark,
    "lower half hidden": hidden(0.55, 1),
    "eyes hidden": hidden(0.2, 0.5),
}


def scores(network: Network, material: TrainingSet, harder: Harder) -> tuple[dict[str, np.ndarray], Pairs]:
    """Similarity of each pair of people who were kept apart, by view and over all."""
    units = material.units
    chosen = units.chosen(TEST)
    pairs = pairs_between(units, chosen, "patient")
    second = units.states[chosen] == max(units.states)
    found = {}
    for view in network.views:
        chips = chips_of(network, material.photos.pictures, units, chosen, view).copy()
        chips[second] = harder(chips[second])
        embedded = network.embed({view: chips}) + network.embed({view: chips[:, :, ::-1]})
        found[view] = cosine(embedded, pairs)
    return {"all views": np.mean([*found.values()], 0), **found}, pairs


def verification(folder: Path, settings: tuple[str, ...], folds: int, jobs: int, output: Path) -> None:
    first = load_recipe("contrastive", None, settings)
    loss = first.parameters.loss
    photos = pairs_of(folder, first, jobs)
    kept: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray, Pairs]]] = {}
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
        for name, harder in HARDER.items():
            after, pairs = scores(network, material, harder)
            before, _ = scores(start, material, harder)
            for view in after:
                kept.setdefault((name, view), []).append((after[view], before[view], pairs))
    seconds = (time.perf_counter() - began_at) / folds
    for (name, view), of in kept.items():
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
            f"| {loss} | {view} | {name} | {found.auroc} | {found.began} | {found.gained} | "
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


def hybrids(
    folder: Path, network: Path, regions: list[str], number: int, jobs: int, repeats: int, named: list[str]
) -> None:
    encoders = {"face-resnet": load_encoder(), "contrastive": network_encoder(network)}
    seen = {name: read_web(folder, encoder, regions, number, jobs) for name, encoder in encoders.items()}
    first, rows = seen["face-resnet"]
    beside = {
        f"{region}@{name}": of for name, (each, _) in seen.items() for region, of in each.regions.items()
    }
    ways = {name: each for name, (each, _) in seen.items()} | {"both": replace(first, regions=beside)}
    print(
        f"{folder.name}: {len(rows)} photos, regions {', '.join(regions)}, 5 folds, dealt {repeats} times\n"
    )
    print("| task (positive) | hybrid with | AUROC | less face-resnet | log loss | less face-resnet |")
    print("|---|---|---|---|---|---|")
    for name, positive in tasks(rows).items():
        if named and name not in named:
            continue
        judged = {}
        for way, features in ways.items():
            own = replace(features, labels=np.where(positive, "yes", "no"))
            made = cross_validate(own, Options(positive="yes"), repeats=repeats, baselines=False, jobs=jobs)
            judged[way] = made.questions[0].models["hybrid"]
            found, gain = judge(judged[way], "yes"), compare(judged[way], judged["face-resnet"], "yes")
            cells = [f"{found[m]} | {'' if way == 'face-resnet' else gain[m]}" for m in ("auroc", "log_loss")]
            print(f"| {name}, {int(positive.sum())} | {way} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("web", type=Path)
    parser.add_argument("--losses", nargs="+", default=["supcon", "triplet"])
    parser.add_argument("--folds", type=int, default=3, help="so many of five")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--regions", nargs="+", default=[*DEFAULT_REGIONS])
    parser.add_argument("--web-photos", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=1, help="dealings of the folds of WEB")
    parser.add_argument("--tasks", nargs="+", default=[], help="of WEB, only these")
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
        hybrids(
            arguments.web, network, arguments.regions, arguments.web_photos, arguments.jobs,
            arguments.repeats, arguments.tasks,
        )  # fmt: skip


if __name__ == "__main__":
    main()
