"""Which interval of a cross-validated AUROC holds: rules compared on simulated cohorts.

    python benchmarks/dealing.py [--cohorts 300]

A row has cohorts of so many people on each side with 40 normal features, of which one differs by `signal`
standard deviations. Scores are kernel ridge regression's, as regions have it, by stratified folds that are
dealt ten times. The intervals are Wilson's with an effective number of people: from DeLong's variance, not
below Hanley and McNeil's, of one dealing and of the mean of ten; from Nadeau and Bengio's variance of AUROC
by fold; and with what dealing shows added, as anthropo does it (`anthropo.learning.repeats`), of three, five
and ten dealings. Printed is how often each misses .5, or with a signal the mean of all cohorts.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from anthropo.learning.intervals import hanley_mcneil, wilson

Floats = NDArray[np.float64]
DEALINGS, FEATURES, PENALTY = 10, 40, 0.5
FEW = (3, 5, DEALINGS)
ROWS = (
    (40, 40, 5, 0.0),
    (20, 20, 5, 0.0),
    (40, 40, 10, 0.0),
    (20, 60, 5, 0.0),
    (40, 40, 5, 1.0),
    (40, 40, 5, 2.5),
)


def cohort(cases: int, controls: int, folds: int, signal: float, seed: int) -> tuple[Floats, Floats, Floats]:
    """AUROC (dealings,) of all photos together, by fold (dealings, folds), and DeLong's variance."""
    random = np.random.default_rng(seed)
    y = random.permutation(np.repeat([1, 0], (cases, controls)))
    x = random.normal(size=(len(y), FEATURES))
    x[:, 0] += signal * y
    x -= x.mean(0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    apart = 1 - x @ x.T
    gram = np.exp(-apart / np.median(apart[np.triu_indices(len(y), 1)]))
    pooled, variance, by_fold = np.empty(DEALINGS), np.empty(DEALINGS), np.empty((DEALINGS, folds))
    for dealing in range(DEALINGS):
        fold, score = np.empty(len(y), dtype=int), np.empty(len(y))
        for side in (0, 1):
            people = random.permutation(np.flatnonzero(y == side))
            fold[people] = np.arange(len(people)) % folds
        for k in range(folds):
            out = fold == k
            left = gram[np.ix_(~out, ~out)] + PENALTY * np.eye((~out).sum())
            score[out] = gram[np.ix_(out, ~out)] @ np.linalg.solve(left, y[~out] - y[~out].mean())
            by_fold[dealing, k] = roc_auc_score(y[out], score[out])
        pooled[dealing] = roc_auc_score(y, score)
        above = (score[y == 1][:, None] > score[y == 0]).astype(float)
        variance[dealing] = above.mean(1).var(ddof=1) / cases + above.mean(0).var(ddof=1) / controls
    return pooled, by_fold, variance


def misses(values: Floats, variances: Floats, truth: float) -> str:
    """How often Wilson's interval of so uncertain a value misses the truth."""
    missed = 0
    for value, variance in zip(np.clip(values, 1e-3, 1 - 1e-3), variances, strict=True):
        lo, hi = wilson(value, value * (1 - value) / variance)
        missed += not lo <= truth <= hi
    return f"{100 * missed / len(values):.1f} %"


def row(cases: int, controls: int, folds: int, signal: float, cohorts: int) -> str:
    """A row of the table."""
    made = [cohort(cases, controls, folds, signal, 1000 + i) for i in range(cohorts)]
    pooled, by_fold, variance = (np.array(each) for each in zip(*made, strict=True))
    mean = pooled.mean(1)
    least = np.array([hanley_mcneil(value, cases, controls) for value in mean])
    least_once = np.array([hanley_mcneil(value, cases, controls) for value in pooled[:, 0]])
    of_one = np.maximum(variance.mean(1), least)
    truth = 0.5 if not signal else float(pooled.mean())
    middle = 0.5 if not signal else float(by_fold.mean())
    corrected = by_fold.reshape(cohorts, -1).var(1, ddof=1) * (1 / (DEALINGS * folds) + 1 / (folds - 1))
    cells = [
        f"{cases} + {controls}" + (f", AUROC {truth:.2f}" if signal else ""),
        str(folds),
        f"{mean.mean():.3f} ± {pooled[:, 0].std():.3f}",
        f"± {mean.std():.3f}",
        misses(pooled[:, 0], np.maximum(variance[:, 0], least_once), truth),
        misses(mean, of_one, truth),
        misses(by_fold.mean((1, 2)), corrected, middle),
    ]
    for few in FEW:
        dealt = pooled[:, :few]
        added = ((folds - 2) / 2 + 1 / few) * dealt.var(1, ddof=1)
        cells.append(misses(dealt.mean(1), of_one + added, truth))
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=300)
    cohorts = parser.parse_args().cohorts
    few = " | ".join(f"{few} dealings" for few in FEW)
    print(
        "| people | folds | AUROC, mean ± SD of one dealing | … of ten | one dealing misses | "
        f"mean of ten, as if of one | Nadeau and Bengio | {few} |\n|" + "---|" * 10
    )
    for given in ROWS:
        print(row(*given, cohorts), flush=True)


if __name__ == "__main__":
    main()
