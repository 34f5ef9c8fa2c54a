"""What a model decides where its label is rarer than in training: the cost of errors on photos not seen.

    python benchmarks/prevalence.py FOLDER [--sizes 40 80 160] [--draws 10] [--prevalence 0.02] [--cache DIR]

FOLDER is that of benchmarks/hybrid.py. From it cohorts are drawn of which a quarter is positive; all other
photos stand for the people among whom the model is used, weighted so that a share of `--prevalence` is
positive. Missing somebody costs five false alarms. "Best threshold" is the cheapest one in hindsight, on the
very photos that are judged, nobody called included. An answer of "none of these" is no call.

How much of what is paid above that is hindsight: "half" is the cheapest threshold of a random half of the
people judged, paid on the other half. Each tenth of them also has its scores recalibrated on the other nine,
many more people than a model is trained on ("line": logistic regression; "steps": isotonic regression). What
is paid then above the best threshold, no calibration can save. Intervals are the jackknife's over draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hybrid import MISS, read, tasks
from numpy.typing import NDArray
from odds import interval
from sklearn.linear_model import LogisticRegression

from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.model import LabelModel, Options
from anthropo.learning.prevalence import stated_shares

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
SHARE = 0.25  # of the cohort
DEALINGS = 5
BY_COST = "shifted, none of these aside"
PAIRS = (
    *((what, "best threshold") for what in (BY_COST, "half", "line", "steps")),
    *((BY_COST, than) for than in ("half", "steps")),
)


def cost(called: Mask, positive: Mask, prevalence: float) -> float:
    """Mean cost per person where so many are positive."""
    missed, alarmed = (~called[positive]).mean(), called[~positive].mean()
    return float(prevalence * MISS * missed + (1 - prevalence) * alarmed)


def drawn(positive: Mask, size: int, random: np.random.Generator) -> Mask:
    """A cohort of so many photos."""
    n = round(size * SHARE)
    rows = [random.choice(np.flatnonzero(of), count, replace=False)
            for of, count in ((positive, n), (~positive, size - n))]  # fmt: skip
    return np.isin(np.arange(len(positive)), np.concatenate(rows))


def chosen(score: Floats, positive: Mask, prevalence: float) -> float:
    """The cheapest threshold of these scores, halfway to the next one below.

    It is where probabilities that are recalibrated by isotonic regression on the same photos reach the
    threshold of the cost.
    """
    order = np.argsort(-score, kind="stable")
    there = positive[order]
    # costs of calling nobody, the first, the first two …
    missed = 1 - np.r_[0, np.cumsum(there)] / positive.sum()
    alarmed = np.r_[0, np.cumsum(~there)] / (~positive).sum()
    ends = np.r_[True, np.diff(score[order]) < 0, True]  # equal scores are called together
    costs = np.where(ends, prevalence * MISS * missed + (1 - prevalence) * alarmed, np.inf)
    least = int(np.argmin(costs))
    ranked = np.r_[np.inf, score[order], -np.inf]
    return float((ranked[least] + ranked[least + 1]) / 2) if least else np.inf


def elsewhere(score: Floats, positive: Mask, people: NDArray[Any], prevalence: float) -> dict[str, float]:
    """Costs where each part of the people is decided by what the others say of the scores.

    Means over ways to deal the parts. Tenths, "line": scores recalibrated by logistic regression; "steps": by
    isotonic regression, which is the others' cheapest threshold. "half": the same of halves.
    """
    random = np.random.default_rng(0)
    names, person = np.unique(people, return_inverse=True)
    found: dict[str, list[float]] = {"half": [], "line": [], "steps": []}
    for _ in range(DEALINGS):
        order = random.permutation(len(names))
        tenth = (order % 10)[person]
        called = {name: np.zeros(len(score), dtype=bool) for name in found}
        for at in range(10):
            own, other = tenth == at, tenth != at
            weights = weighted(positive[other], prevalence)
            line = LogisticRegression(C=np.inf).fit(score[other, None], positive[other], weights)
            called["line"][own] = line.predict_proba(score[own, None])[:, 1] >= 1 / (1 + MISS)
            called["steps"][own] = score[own] >= chosen(score[other], positive[other], prevalence)
        half = (order % 2 == 0)[person]
        for own in (half, ~half):
            called["half"][own] = score[own] >= chosen(score[~own], positive[~own], prevalence)
        for name, of in called.items():
            found[name].append(cost(of, positive, prevalence))
    return {name: float(np.mean(values)) for name, values in found.items()}


def weighted(positive: Mask, prevalence: float) -> Floats:
    """How much each person counts where so many are positive."""
    share = positive.mean()
    return np.where(positive, prevalence / share, (1 - prevalence) / (1 - share))


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
    score = np.log(p) - np.log1p(-p)
    weights = weighted(truth, prevalence)
    mean = {name: np.average(a.probabilities[:, at], weights=weights) for name, a in called.items()}
    return costs | {
        "shifted, none of these aside": cost(p >= 1 / (1 + MISS), truth, prevalence),
        "best threshold": cost(score >= chosen(score, truth, prevalence), truth, prevalence),
        **elsewhere(score, truth, features.patients[others], prevalence),
        "nobody called": cost(np.zeros(len(truth), dtype=bool), truth, prevalence),
        **{f"mean probability, {name}": float(value) for name, value in mean.items()},
    }


def above(found: Sequence[dict[str, float]], what: str, than: str) -> str:
    """How much more something costs than something else, over all draws, with its 95 % interval."""

    def more(draws: Sequence[dict[str, float]]) -> float:
        return sum(of[what] for of in draws) / sum(of[than] for of in draws) - 1

    without = [more([of for j, of in enumerate(found) if j != i]) for i in range(len(found))]
    low, high = interval(more(found), without)
    return f"{100 * more(found):+.0f} % ({100 * low:+.0f} to {100 * high:+.0f})"


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
                more = [f"{what} above {than}" for what, than in PAIRS]
                print(f"| task (positive) | n | {' | '.join(heads + more)} |")
                print("|---|---|" + "---|" * len(heads + more))
            means = [f"{np.mean([of[head] for of in found]):.4f}" for head in heads]
            means += [above(found, what, than) for what, than in PAIRS]
            print(f"| {name} | {size} | {' | '.join(means)} |", flush=True)


if __name__ == "__main__":
    main()
