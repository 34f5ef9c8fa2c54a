"""Every recipe on small real data for a few epochs, made small by its parameters.

    python benchmarks/networks.py FOLDER [--only NAME …] [--photos N] [--curves DIR] [--jobs N]

FOLDER holds photographs and a labels.csv (photo or image; label, or age, sex and race). Without ages, recipe
skin-five on whole photographs, each photo judged once (five folds). With ages, on faces: deepgestalt (sex;
all regions against each alone), weights (age up to 2; class weights and the others against none),
risk-grading (three age groups as grades; ordinal loss against cross-entropy), differential (ancestry; cases
made of one to three photos of equal ancestry and sex, with age and sex, a fifth of which is removed),
attributes (one network for all against one for each). Photos that are copies of one another count as one
patient.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anthropo.encoder.views import View
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.duplicates import find_duplicates
from anthropo.learning.features import Features
from anthropo.learning.grades import judge_grades
from anthropo.learning.intervals import Interval
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import compare, judge, judge_labels
from anthropo.networks.finetuning import Finetuned, finetune
from anthropo.networks.judging import judge_network
from anthropo.networks.objective import MONITORED
from anthropo.networks.pictures import CohortPictures, read_pictures
from anthropo.networks.recipes import load_recipe
from anthropo.networks.training_loop import device_of
from anthropo.networks.training_set import TrainingSet, training_set, view_of
from anthropo.networks.units import TEST, VALIDATION
from anthropo.report.finetune import history_figure
from anthropo.settings import Settings

SMALL_DEEPGESTALT = ("size=40", "epochs=6", "batch=16", "rate=0.02", "mirror=false", "patience=0")
FACE = ("views=face", "backbone=face-resnet", "warm_start=face-resnet", "size=150", "batch=16", "crop=0.1")
SHORT = ("frozen_epochs=2", "epochs=3", "rate=1e-4", "optimiser=adam")


def text(figure: Interval) -> str:
    return f"{figure.value:.3f} ({figure.lo:.3f} to {figure.hi:.3f})"


def print_row(*cells: str | Interval) -> None:
    """Print a row of a table, at once: the next may take minutes."""
    print(f"| {' | '.join(c if isinstance(c, str) else text(c) for c in cells)} |", flush=True)


class Bench:
    """A folder's photos, cut once for each view that a recipe needs."""

    def __init__(self, folder: Path, photos: int | None, jobs: int, curves: Path | None) -> None:
        with open(folder / "labels.csv", encoding="utf-8") as file:
            self.rows = list(csv.DictReader(file))[:photos]
        self.folder, self.jobs, self.curves = folder, jobs, curves
        self._seen: dict[View, tuple[CohortPictures, list[dict[str, str]]]] = {}

    def look(self, view: View) -> tuple[CohortPictures, list[dict[str, str]]]:
        if view not in self._seen:
            paths = [str(self.folder / (row.get("photo") or row["image"])) for row in self.rows]
            row_of = dict(zip(paths, self.rows, strict=True))
            cases = tuple(Case(path, "any", row.get("patient") or path) for path, row in row_of.items())
            photos = read_pictures(
                Cohort(cases, str(self.folder)),
                view,
                Settings(face="largest", jitter=2),
                memory=4,
                jobs=self.jobs,
            )
            features = photos.features
            for pair in find_duplicates(features):
                patients = dict(zip(features.photos.tolist(), features.patients.tolist(), strict=True))
                features.patients[features.photos == pair.second] = patients[pair.first]
            self._seen[view] = photos, [row_of[p] for p in features.photos.tolist()]
        return self._seen[view]

    def train(
        self,
        recipe: str,
        settings: tuple[str, ...],
        label: Callable[[dict[str, str]], str],
        *,
        name: str = "",
        prepare: Callable[[Features, list[dict[str, str]]], tuple[Features, dict[str, str]]] | None = None,
    ) -> tuple[Finetuned, TrainingSet]:
        chosen = load_recipe(recipe, None, settings)
        photos, rows = self.look(view_of(chosen.parameters))
        features = replace(photos.features, labels=np.array([label(row) for row in rows]))
        features, kinds = prepare(features, rows) if prepare else (features, {})
        material = training_set(chosen, replace(photos, features=features, kinds=kinds))
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            made = finetune(material, folder=Path(folder) / "c", device=device_of("cpu"))
        self.seconds = time.perf_counter() - start
        if self.curves and name:
            figure = history_figure(made.network.about.history, MONITORED[chosen.task])
            figure.savefig(self.curves / f"{name}.png", dpi=110)
        return made, material


# ------------------------------------------------------------------------------------------------- the skin


def skin(bench: Bench) -> None:
    """EfficientNet-Lite0 instead of the five, whose weights are not shipped; one fold judges each photo."""
    own = ("backbone=efficientnet-lite0", "warm_start=efficientnet-lite0", "size=128", "batch=16")
    own = (*own, "frozen_epochs=5", "frozen_norm=true", "epochs=6")
    judged = []
    for fold in range(5):
        made, _ = bench.train("skin-five", (*own, f"fold={fold}"), lambda row: row["label"], name="skin-five")
        judged.append(made.answers.labels)
    every = joined(judged)
    print(f"skin-five, {len(every.truth)} photos, {' '.join(own)}; {bench.seconds:.0f} s a fold\n")
    print("| label | recall | precision | AUROC |\n|---|---|---|---|")
    for label, figures in judge_labels(every).items():
        print_row(label, *(figures[m] for m in ("sensitivity", "ppv", "auroc")))
    print(f"\nbalanced accuracy {text(judge(every)['balanced_accuracy'])}\n")


def joined(parts: list[Judged]) -> Judged:
    return Judged(
        parts[0].labels,
        np.concatenate([p.truth for p in parts]),
        np.concatenate([p.proba for p in parts]),
        np.concatenate([p.groups for p in parts]),
        np.concatenate([p.decision for p in parts]),
    )


# ------------------------------------------------------------------------------------------------- the faces


def deepgestalt(bench: Bench) -> None:
    """The ten convolutions from random weights: regions averaged against each alone."""
    made, material = bench.train("deepgestalt", SMALL_DEEPGESTALT, lambda row: row["sex"], name="deepgestalt")
    network = made.network
    pictures, units = material.photos.pictures, material.units
    n = len(material.photos.features)
    print(f"deepgestalt, {n} photos, {' '.join(SMALL_DEEPGESTALT)}; {bench.seconds:.0f} s\n")
    print("| regions | AUROC, validation | AUROC, test | averaged less this one |\n|---|---|---|---|")
    whole = made.answers.labels
    positive = whole.labels[1]
    for views in (network.views, *((v,) for v in network.views)):
        test = judge_network(network, pictures, units, TEST, views).labels
        held = judge_network(network, pictures, units, VALIDATION, views).labels
        less = compare(whole, test, positive)["auroc"] if len(views) == 1 else None
        name = "averaged" if len(views) > 1 else views[0]
        print_row(name, judge(held, positive)["auroc"], judge(test, positive)["auroc"], less or "")
    print(f"\nbalanced accuracy, averaged: {text(made.overall['balanced_accuracy'])}\n")


def weights(bench: Bench) -> None:
    """The ways to balance rare labels, compared."""
    own = (*FACE, "head=convolution", *SHORT)
    print(f"imbalance, age up to 2, recipe deepgestalt with {' '.join(own)}\n")
    print(
        "| imbalance | recall of age ≤ 2 | recall of others | balanced accuracy | AUROC |\n"
        "|---|---|---|---|---|"
    )
    for kind in ("none", "weights", "sampling", "focal"):
        judged = []
        for fold in range(3):
            made, _ = bench.train(
                "deepgestalt", (*own, "alignment=mean-face", "crops=in-place", "grey=false", "mirror=false",
                f"imbalance={kind}", f"fold={fold}", "folds=3"),
                lambda row: "infant" if float(row["age"]) <= 2 else "older",
                name=f"imbalance-{kind}" if kind == "weights" else "",
            )  # fmt: skip
            judged.append(made.answers.labels)
        every = joined(judged)
        figures = judge(every, "infant")
        print_row(kind, *(figures[m] for m in ("sensitivity", "specificity", "balanced_accuracy", "auroc")))
    print()


def grading(bench: Bench) -> None:
    """Ordered grades."""

    def group(row: dict[str, str]) -> str:
        age = float(row["age"])
        return "child" if age <= 12 else "adult" if age < 50 else "older"

    own = (*FACE, *SHORT, "grades=child,adult,older")
    print(f"risk-grading, age groups, {' '.join(own)}\n")
    print("| loss | quadratic kappa | off by one at most | balanced accuracy |\n|---|---|---|---|")
    for loss in ("ordinal", "cross-entropy"):
        made, _ = bench.train("risk-grading", (*own, f"loss={loss}"), group, name=f"risk-grading-{loss}")
        ordered = judge_grades(made.answers.labels)
        print_row(loss, ordered["quadratic_kappa"], ordered["off_by_one"], made.overall["balanced_accuracy"])
    print()


def differential(bench: Bench) -> None:
    """Cases of several photos and metadata with holes."""
    random = np.random.default_rng(0)

    def cases(features: Features, rows: list[dict[str, str]]) -> tuple[Features, dict[str, str]]:
        order = sorted(
            range(len(rows)), key=lambda i: (rows[i]["race"], rows[i]["sex"], float(rows[i]["age"]))
        )
        names = np.empty(len(rows), dtype="U16")
        at = 0
        while at < len(order):
            key = (rows[order[at]]["race"], rows[order[at]]["sex"])
            size = int(random.integers(1, 4))
            own = [i for i in order[at : at + size] if (rows[i]["race"], rows[i]["sex"]) == key]
            names[own] = f"case {at}"
            at += len(own)
        first = {name: i for i, name in reversed(list(enumerate(names.tolist())))}
        gone = {name: random.random(2) < 0.2 for name in first}
        metadata: dict[str, Any] = {
            "age": [np.nan if gone[n][0] else float(rows[first[n]]["age"]) for n in names.tolist()],
            "sex": [None if gone[n][1] else rows[first[n]]["sex"] for n in names.tolist()],
        }
        return replace(features, patients=names, metadata=metadata), {"age": "age", "sex": "sex"}

    own = (*FACE, *SHORT, "metadata=age,sex", "batch=8")
    made, _ = bench.train("differential", own, lambda row: row["race"], name="differential", prepare=cases)
    figures = made.overall
    n = len(made.answers.labels.truth)
    print(f"differential, ancestry, {' '.join(own)}; {n} cases judged\n")
    print("| top-1 | top-3 | balanced accuracy |\n|---|---|---|")
    print_row(*(figures[m] for m in ("top_1", "top_3", "balanced_accuracy")))
    print()


def attributes(bench: Bench) -> None:
    """One network for all attributes, or one for each."""

    def said(row: dict[str, str]) -> str:
        age = float(row["age"])
        own = {
            "male": row["sex"].upper().startswith("M"),
            "child": age <= 12,
            "over 60": age > 60,
            "asian": row["race"] == "asian",
        }
        return "; ".join(name for name, there in own.items() if there)

    own = ("batch=16", *SHORT)
    print(f"attributes, {' '.join(own)}\n")
    print("| network | loss | AUROC of each attribute | parameters | s |\n|---|---|---|---|---|")
    for separate, loss in (("false", "bce"), ("false", "mse"), ("true", "bce")):
        made, _ = bench.train(
            "attributes", (*own, f"separate={separate}", f"loss={loss}"), said,
            name="attributes" if loss == "bce" and separate == "false" else "",
        )  # fmt: skip
        each = ", ".join(f"{name} {text(f['auroc'])}" for name, f in made.by_label.items())
        networks = "one for each" if separate == "true" else "one for all"
        print_row(networks, loss, each, f"{made.network.parameters:,}", f"{bench.seconds:.0f}")
    print()


FACES = {
    "deepgestalt": deepgestalt,
    "weights": weights,
    "risk-grading": grading,
    "differential": differential,
    "attributes": attributes,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(FACES), default=list(FACES))
    parser.add_argument("--photos", type=int)
    parser.add_argument("--curves", type=Path, help="a folder for the loss curves")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.jobs)
    bench = Bench(arguments.folder, arguments.photos, arguments.jobs, arguments.curves)
    print(f"torch {torch.__version__}; photos: {arguments.folder.name}\n")
    if "age" not in bench.rows[0]:
        skin(bench)
        return
    for name in arguments.only:
        FACES[name](bench)


if __name__ == "__main__":
    main()
