"""How a face is brought to the encoder: by its landmarks, by the eyes, or by the detector's box.

    python benchmarks/alignment.py UTKFACE [--photos 600]

UTKFACE: labels.csv (photo or image, age, sex) and photographs. A frozen encoder (face-resnet) embeds the
region `face` of each; a kernel ridge regression tells the sex and whether the age is 12 or less. Photos are
dealt to folds by person (column `patient`, or one person per photo). AUROC on people not seen, with the 95 %
interval of a bootstrap, and of its difference from `canonical`. Faces not found are the same for all.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import anthropo
from anthropo.encoder.regions import ALIGNMENTS
from anthropo.errors import AnthropoError
from anthropo.learning.splits import split

Floats = NDArray[np.float64]


def _name(row: dict[str, str]) -> str:
    return row.get("photo") or row["image"]


def auroc(truth: NDArray[np.bool_], score: Floats) -> float:
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    n = truth.sum()
    return float((ranks[truth].sum() - n * (n + 1) / 2) / (n * (len(truth) - n)))


def out_of_fold(x: Floats, y: NDArray[np.bool_], folds: NDArray[np.int64]) -> Floats:
    """Scores of each face by a kernel ridge that has not seen its person."""
    from sklearn.kernel_ridge import KernelRidge

    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    gamma = 1 / np.median(((x[:200, None] - x[None, :200]) ** 2).sum(-1))
    scores = np.empty(len(x))
    for fold in np.unique(folds):
        train = folds != fold
        weights = np.where(y[train], 0.5 / y[train].mean(), 0.5 / (1 - y[train].mean()))
        model = KernelRidge(alpha=1.0, kernel="rbf", gamma=gamma)
        model.fit(x[train], np.where(y[train], 1.0, -1.0), sample_weight=weights)
        scores[~train] = model.predict(x[~train])
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="UTKFACE")
    parser.add_argument("--photos", type=int, default=600)
    arguments = parser.parse_args()
    with open(arguments.folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[: arguments.photos]]
    encoders = {name: replace(anthropo.load_encoder(), align=name) for name in ALIGNMENTS}
    embedded: dict[str, list[Floats]] = {name: [] for name in ALIGNMENTS}
    kept = []
    for row in rows:
        try:
            settings = anthropo.Settings(face="largest", fine=False)
            seen = anthropo.observe(str(arguments.folder / _name(row)), settings)
        except AnthropoError:
            continue
        kept.append(row)
        for name, encoder in encoders.items():
            embedded[name].append(encoder.embed(seen.photo, seen.face, ["face"])[0].astype(np.float64))
    people = [row.get("patient") or _name(row) for row in kept]
    tasks = {
        "sex": np.array([row["sex"].lower() in ("female", "1", "f") for row in kept]),
        "age ≤ 12": np.array([float(row["age"]) <= 12 for row in kept]),
    }
    print(f"{len(kept)} of {len(rows)} photos")
    print("| task | " + " | ".join(ALIGNMENTS) + " |")
    print("|---|" + "---|" * len(ALIGNMENTS))
    random = np.random.default_rng(1)
    for task, truth in tasks.items():
        folds = split([str(t) for t in truth], people, 5).index
        scores = {n: out_of_fold(np.array(e), truth, folds) for n, e in embedded.items()}
        draws = [random.integers(len(truth), size=len(truth)) for _ in range(500)]
        resampled = {n: np.array([auroc(truth[d], s[d]) for d in draws]) for n, s in scores.items()}
        cells = []
        for name, score in scores.items():
            low, high = np.percentile(resampled[name], [2.5, 97.5])
            cell = f"{auroc(truth, score):.3f} ({low:.3f}–{high:.3f})"
            if name != "canonical":
                low, high = np.percentile(resampled[name] - resampled["canonical"], [2.5, 97.5])
                cell += f", difference {low:+.3f} to {high:+.3f}"
            cells.append(cell)
        print(f"| {task} ({truth.sum()}) | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
