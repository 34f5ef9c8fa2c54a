"""What is missing tells nothing: models where the photo gate voids more for one label than for the other.

    python benchmarks/missing.py FOLDER [--cache DIR]

FOLDER is that of benchmarks/hybrid.py; best one of people who smile and do not. By five folds of people:

- measurements: AUROC and log loss of models of measurements, missing ones expected from the others
- with the mask: the same, beside which are missing and which checks failed
- asked: the same measurements, by models that may learn from which are missing (`missing="evidence"`)
- gate only: which are missing and which checks failed, alone
- nobody's values: the same mask over measurements that know nothing of the label, drawn from the factors of
  one label's people. A classifier that cannot see the mask has 0.5.
- voided: the largest contribution of a missing measurement, and in how many photos the largest one is such
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from hybrid import read, tasks
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from anthropo.learning.features import Features, feature_frame, gate_alone
from anthropo.learning.fitted import Missing
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.imputation import Imputer
from anthropo.learning.splits import split

Labels = NDArray[np.int64]


def fitted(
    features: Features, y: Labels, kind: str, seed: int, missing: Missing = "expected"
) -> Iterator[tuple[HybridClassifier, Labels]]:
    """A model without each fold's people, and the rows of the fold."""
    table = feature_frame(replace(features, regions={}))
    folds = split([str(c) for c in y], features.patients.tolist(), 5, seed).index
    for fold in range(int(folds.max()) + 1):
        train = folds != fold
        model = HybridClassifier(kind, missing=missing, random_state=seed)
        yield model.fit(table[train], y[train], groups=features.patients[train]), np.flatnonzero(~train)


def judged(
    features: Features, y: Labels, kind: str, seed: int, missing: Missing = "expected"
) -> tuple[float, float]:
    """AUROC and log loss, out of fold."""
    table, p = feature_frame(replace(features, regions={})), np.empty(len(y))
    for model, rows in fitted(features, y, kind, seed, missing):
        p[rows] = model.predict_proba(table.iloc[rows])[:, 1]
    return float(roc_auc_score(y, p)), float(log_loss(y, p))


def auroc(features: Features, y: Labels, kind: str, seed: int) -> float:
    return judged(features, y, kind, seed)[0]


def with_mask(features: Features) -> Features:
    """Measurements, and which of them are missing as further ones."""
    gate = gate_alone(features)
    return replace(
        gate,
        measurements=np.hstack([features.measurements, gate.measurements]),
        measurement_ids=(*features.measurement_ids, *gate.measurement_ids),
    )


def nobodys(features: Features, y: Labels, seed: int) -> Features:
    """Measurements that know nothing of the label, missing where these are."""
    values = features.measurements
    of = values[y == 0]
    with np.errstate(all="ignore"):
        mean, spread = np.nan_to_num(np.nanmean(of, axis=0)), np.nanstd(of, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    random = np.random.RandomState(seed)
    drawn = Imputer.fit((of - mean) / spread).draw(np.full(values.shape, np.nan), random) * spread + mean
    return replace(features, measurements=np.where(np.isnan(values), np.nan, drawn))


def voided(features: Features, y: Labels, kind: str) -> tuple[float, float]:
    """Largest contribution of a missing measurement, and share of photos whose largest one is missing."""
    table, most, first = feature_frame(replace(features, regions={})), 0.0, 0
    for model, rows in fitted(features, y, kind, 0):
        parts = model.contributions(table.iloc[rows]).measurements
        sizes = np.abs(np.stack([values[:, 1] for values in parts.values()], axis=1))
        missing = table.iloc[rows][list(parts)].isna().to_numpy()
        most = max(most, float(sizes[missing].max(initial=0.0)))
        top = sizes.argmax(1)
        first += int((missing[np.arange(len(rows)), top] & (sizes.max(1) > 0)).sum())
    return most, first / len(y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classifier", nargs="+", default=["linear", "xgboost", "svm", "svm-rbf"])
    parser.add_argument("--tasks", nargs="+")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    features, rows = read(arguments.folder, arguments.jobs, arguments.cache, regions=("face",))
    print(f"{arguments.folder.name}: {len(features)} photos")
    heads = (
        "task", "classifier", "missing", "measurements (AUROC, log loss)", "with the mask", "asked",
        "gate only", "nobody's values", "largest voided contribution", "largest one is voided",
    )  # fmt: skip
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for name, positive in tasks(rows).items():
        if arguments.tasks and name not in arguments.tasks:
            continue
        y = positive.astype(np.int64)
        for kind in arguments.classifier:
            seeds = range(arguments.draws)
            own, loss = np.mean([judged(features, y, kind, s) for s in seeds], axis=0)
            masked = np.mean([auroc(with_mask(features), y, kind, s) for s in seeds])
            asked = np.mean([judged(features, y, kind, s, "evidence") for s in seeds], axis=0)
            gate = np.mean([auroc(gate_alone(features), y, kind, s) for s in seeds])
            blind = [auroc(nobodys(features, y, s), y, kind, s) for s in seeds]
            most, first = voided(features, y, kind)
            lost = 100 * np.isnan(features.measurements).mean()
            cells = (
                name, kind, f"{lost:.0f} %", f"{own:.3f}, {loss:.3f}", f"{masked:.3f}",
                f"{asked[0]:.3f}, {asked[1]:.3f}", f"{gate:.3f}",
                f"{np.mean(blind):.3f} ({min(blind):.2f} to {max(blind):.2f})", f"{most:.3f}",
                f"{100 * first:.0f} %",
            )  # fmt: skip
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
