"""Intervals that hold: how often the 95 % interval of AUROC misses .5 where labels are random.

    python benchmarks/intervals.py [FOLDER] [--cohorts 120] [--people 40] [--repeats 3] [--cache DIR]

Cohorts of so many people on each side are drawn from FOLDER's photographs (as in hybrid.py), or made up:
normal features of as many dimensions, of which a few axes carry most of the variance. Labels are dealt at
random. Each cohort is cross-validated by default options; the first dealing of the folds alone is what a
single cross-validation gives. Coverage is that of the 90 % prediction sets, and with FOLDER also where the
labels are sex.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from hybrid import read

from anthropo.learning.entries import measurement_ids
from anthropo.learning.features import Features, subset
from anthropo.learning.intervals import Interval
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import judge
from anthropo.learning.model import HALVES, Options

REGIONS = ("face", "lower", "eyes", "mouth")
LABELS = ("case", "control")


def made_up(people: int, seed: int, axes: int = 40, dimension: int = 128) -> Features:
    """Normal measurements and embeddings that share some axes, as those of faces do; labels say nothing."""
    fixed, random = np.random.default_rng(0), np.random.default_rng(seed)
    ids = measurement_ids()
    latent = random.normal(size=(people, axes)) * np.linspace(2, 0.3, axes)

    def seen(width: int) -> np.ndarray:
        return latent @ fixed.normal(size=(axes, width)) + random.normal(size=(people, width))

    names = np.array([f"p{i}" for i in range(people)])
    return Features(
        photos=names, patients=names, digests=names, labels=names, measurements=seen(len(ids)),
        measurement_ids=ids, regions={region: seen(dimension).astype(np.float32) for region in REGIONS},
        metadata={}, prints=np.zeros((people, 4), np.float32),
    )  # fmt: skip


def measure(
    cohort: Callable[[int], Features],
    cohorts: int,
    repeats: int,
    truth: float | None,
    parts: frozenset[str] = HALVES,
) -> tuple[list[str], list[str]]:
    """A row of figures of single dealings, and one of all dealings; `truth` is what AUROC should be."""
    options = Options(positive=LABELS[0], controls=LABELS[1], parts=parts)
    found: dict[str, list[tuple[Interval, Interval, float]]] = {"once": [], "all": []}
    for seed in range(cohorts):
        (question,) = cross_validate(
            cohort(seed), options, folds=5, repeats=repeats, baselines=False, jobs=1
        ).questions
        judged = question.models["hybrid"]
        for name, of in (("once", judged.dealt[0]), ("all", judged)):
            figures = judge(of, LABELS[0], bootstrap=500)
            found[name].append((figures["auroc"], figures["auroc_by_fold"], figures["coverage"].value))
    return row(found["once"], truth), row(found["all"], truth)


def row(found: list[tuple[Interval, Interval, float]], truth: float | None) -> list[str]:
    """Means, spread, and the share of intervals that miss the truth."""
    cells = []
    for at in (0, 1):
        of = [each[at] for each in found]
        values = np.array([figure.value for figure in of])
        missed = "–"
        if truth is not None:
            missed = f"{100 * np.mean([not figure.lo <= truth <= figure.hi for figure in of]):.1f} %"
        half = np.mean([figure.hi - figure.lo for figure in of]) / 2
        cells += [f"{values.mean():.3f} ± {values.std(ddof=1):.3f}", f"±{half:.3f}", missed]
    return [*cells, f"{np.mean([each[2] for each in found]):.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--cohorts", type=int, default=120)
    parser.add_argument("--people", type=int, nargs="+", default=[40, 20])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--parts", nargs="+", default=sorted(HALVES), help="of the model; regions: the fastest"
    )
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    features, rows = None, []
    if arguments.folder:
        features, rows = read(arguments.folder, arguments.jobs, arguments.cache)
    print(
        "| labels | people | dealings | AUROC, mean ± SD | half-width | misses .5 | by fold | half-width | "
        "misses .5 | coverage of 90 % sets |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for people in arguments.people:

        def random_labels(seed: int, people: int = people) -> Features:
            random = np.random.default_rng(seed)
            if features is None:
                drawn = made_up(2 * people, seed)
            else:
                drawn = subset(features, random.permutation(len(features))[: 2 * people])
            return replace(drawn, labels=random.permutation(np.repeat(LABELS, people)))

        def sexes(seed: int, people: int = people) -> Features:
            assert features is not None
            random = np.random.default_rng(seed)
            male = np.array([one["sex"].upper().startswith("M") for one in rows])
            sides = [random.permutation(np.flatnonzero(male == side))[:people] for side in (True, False)]
            return replace(subset(features, np.concatenate(sides)), labels=np.repeat(LABELS, people))

        tasks: dict[str, tuple[Callable[[int], Features], float | None]] = {"random": (random_labels, 0.5)}
        if rows and "sex" in rows[0]:
            tasks["sex"] = sexes, None
        for name, (cohort, truth) in tasks.items():
            parts = frozenset(arguments.parts)
            made = measure(cohort, arguments.cohorts, arguments.repeats, truth, parts)
            for times, cells in zip((1, arguments.repeats), made, strict=True):
                print(f"| {name} | {people} + {people} | {times} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
