"""What a model decides where its label is rarer than in training: the cost of errors on photos not seen.

    python benchmarks/prevalence.py FOLDER [--sizes 40 80 160] [--draws 10] [--prevalence 0.02] [--cache DIR]

FOLDER is that of benchmarks/hybrid.py. From it cohorts are drawn of which a quarter is positive; all other
photos stand for the people among whom the model is used, weighted so that a share of `--prevalence` is
positive. Missing somebody costs five false alarms. "Best threshold" is the cheapest one in hindsight, on the
very photos that are judged, nobody called included. An answer of "none of these" is no call.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from hybrid import MISS, read, tasks
from numpy.typing import NDArray

from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.model import LabelModel, Options
from anthropo.learning.prevalence import stated_shares

Mask = NDArray[np.bool_]
SHARE = 0.25  # of the cohort


def cost(called: Mask, positive: Mask, prevalence: float) -> float:
    """Mean cost per person where so many are positive."""
    missed, alarmed = (~called[positive]).mean(), called[~positive].mean()
    return float(prevalence * MISS * missed + (1 - prevalence) * alarmed)


def best(score: NDArray[np.float64], positive: Mask, prevalence: float) -> float:
    """The cost of the cheapest threshold in hindsight."""
    thresholds = [*np.unique(score), np.inf]
    return min(cost(score >= t, positive, prevalence) for t in thresholds[:: max(1, len(thresholds) // 2000)])


def drawn(positive: Mask, size: int, random: np.random.Generator) -> Mask:
    """A cohort of so many photos."""
    n = round(size * SHARE)
    rows = [random.choice(np.flatnonzero(of), count, replace=False)
            for of, count in ((positive, n), (~positive, size - n))]  # fmt: skip
    return np.isin(np.arange(len(positive)), np.concatenate(rows))


def judged(features: Features, positive: Mask, size: int, seed: int, prevalence: float) -> dict[str, float]:
    """Costs of a model of one cohort, on everybody else."""
    inside = drawn(positive, size, np.random.default_rng(seed))
    labels = np.where(positive, "yes", "no")
    cohort = subset(features, inside)
    cohort.labels[:] = labels[inside]
    # no copy of a photo of the cohort is judged
    others = ~np.isin(features.patients, cohort.patients)
    regions = tuple(r for r in features.regions if r != "background")
    model = LabelModel.fit(cohort, Options(positive="yes", cost=f"miss={MISS:g}", regions=regions, seed=seed))
    table, truth = feature_frame(subset(features, others)), positive[others]
    there = model.at(stated_shares({"yes": prevalence}, model.shares))
    called = {name: one.answer(table) for name, one in (("as trained", model), ("shifted", there))}
    at = model.labels.index("yes")
    costs = {name: cost(a.decision == at, truth, prevalence) for name, a in called.items()}
    p = called["shifted"].probabilities[:, at]
    weights = np.where(truth, prevalence / truth.mean(), (1 - prevalence) / (1 - truth.mean()))
    mean = {name: np.average(a.probabilities[:, at], weights=weights) for name, a in called.items()}
    return costs | {
        "shifted, none of these aside": cost(p >= 1 / (1 + MISS), truth, prevalence),
        "best threshold": best(p, truth, prevalence),
        "nobody called": cost(np.zeros(len(truth), dtype=bool), truth, prevalence),
        **{f"mean probability, {name}": float(value) for name, value in mean.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 80, 160])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--prevalence", type=float, default=0.02)
    parser.add_argument("--tasks", nargs="+", default=["sex (male)", "age ≤ 12"])
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    features, rows = read(arguments.folder, arguments.jobs, arguments.cache)
    print(f"{arguments.folder.name}: {len(features)} photos; used at {arguments.prevalence:g}")
    heads: list[str] = []
    for name in arguments.tasks:
        positive = tasks(rows)[name]
        for size in arguments.sizes:
            found = [
                judged(features, positive, size, s, arguments.prevalence) for s in range(arguments.draws)
            ]
            if not heads:
                heads = list(found[0])
                print(f"| task (positive) | n | {' | '.join(heads)} |")
                print("|---|---|" + "---|" * len(heads))
            means = (np.mean([of[head] for of in found]) for head in heads)
            print(f"| {name} | {size} | {' | '.join(f'{mean:.4f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    main()
