"""Intervals that hold: how often the 95 % interval of AUROC misses .5 where labels are random.

    python benchmarks/intervals.py [FOLDER] [--cohorts 120] [--people 40] [--repeats 3] [--keep FILE.jsonl]

Cohorts of so many people on each side are drawn from FOLDER's photographs (as in hybrid.py), or made up:
normal features of as many dimensions, of which a few axes carry most of the variance. Labels are dealt at
random. Each cohort is cross-validated by default options; the first dealing of the folds alone is what a
single cross-validation gives. Coverage is that of the 90 % prediction sets, and with FOLDER also where the
labels are sex.

With --keep each cohort's figures are a line of that file, and a run that was broken off goes on where it was:
120 cohorts of the whole hybrid can be run in parts. What is printed are the figures of all cohorts in it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from hybrid import read

from anthropo.learning.entries import measurement_ids
from anthropo.learning.features import Features, subset
from anthropo.learning.intervals import Interval
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import judge
from anthropo.learning.model import HALVES, Options

#: AUROC with its limits, pooled and by fold, and the sets' coverage.
Found = tuple[tuple[float, float, float], tuple[float, float, float], float]
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


class Kept:
    """Figures of cohorts by what they are of, in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path and path.exists() else []
        self._of: dict[str, dict[str, list[list[float]]]] = dict(json.loads(line) for line in lines)

    def get(self, key: str, make: Callable[[], dict[str, Found]]) -> dict[str, Found]:
        """The figures of a cohort, made unless they are kept."""
        if key not in self._of:
            made = make()
            self._of[key] = {name: [[*of[0]], [*of[1]], [of[2]]] for name, of in made.items()}
            if self._path:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, self._of[key]]) + "\n")
        return {
            name: ((a[0], a[1], a[2]), (b[0], b[1], b[2]), c) for name, (a, b, (c,)) in self._of[key].items()
        }


def measure(
    cohort: Callable[[int], Features],
    cohorts: int,
    repeats: int,
    truth: float | None,
    parts: frozenset[str] = HALVES,
    kept: Kept | None = None,
    what: str = "",
) -> tuple[list[str], list[str]]:
    """A row of figures of single dealings, and one of all dealings; `truth` is what AUROC should be."""
    options = Options(positive=LABELS[0], controls=LABELS[1], parts=parts)

    def judged(seed: int) -> dict[str, Found]:
        (question,) = cross_validate(
            cohort(seed), options, folds=5, repeats=repeats, baselines=False, jobs=1
        ).questions
        of_all = question.models["hybrid"]
        made = {}
        for name, of in (("once", of_all.dealt[0]), ("all", of_all)):
            figures = judge(of, LABELS[0], bootstrap=500)
            both = (numbers(figures["auroc"]), numbers(figures["auroc_by_fold"]))
            made[name] = (*both, figures["coverage"].value)
        return made

    kept = kept or Kept(None)
    key = f"{what}, {repeats} dealings of {'+'.join(sorted(parts))}"
    found = [kept.get(f"{key}, cohort {seed}", partial(judged, seed)) for seed in range(cohorts)]
    return row([of["once"] for of in found], truth), row([of["all"] for of in found], truth)


def numbers(figure: Interval) -> tuple[float, float, float]:
    """A figure and its limits."""
    return figure.value, figure.lo, figure.hi


def row(found: list[Found], truth: float | None) -> list[str]:
    """Means, spread, and the share of intervals that miss the truth."""
    cells = []
    for at in (0, 1):
        of = np.array([each[at] for each in found])
        values, low, high = of.T
        missed = "–"
        if truth is not None:
            missed = f"{100 * np.mean((low > truth) | (high < truth)):.1f} %"
        half = np.mean(high - low) / 2
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
    parser.add_argument(
        "--keep", type=Path, metavar="FILE.jsonl", help="figures of each cohort, to go on with"
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
    kept = Kept(arguments.keep)
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
            what = f"{name} labels, {people} + {people} of {getattr(arguments.folder, 'name', 'made up')}"
            made = measure(cohort, arguments.cohorts, arguments.repeats, truth, parts, kept, what)
            for times, cells in zip((1, arguments.repeats), made, strict=True):
                print(f"| {name} | {people} + {people} | {times} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
