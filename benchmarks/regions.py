"""Which regions earn their place: AUROC of region scores alone, by patient-grouped 5 folds.

    python benchmarks/regions.py FOLDER [--cache DIR]

FOLDER as for benchmarks/hybrid.py. Each region alone, the whole face with one other, all seven, all but
one, and the default four; mean over the folds.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from hybrid import read, tasks
from sklearn.metrics import roc_auc_score

from anthropo.encoder.regions import DEFAULT_REGIONS, HYBRID_REGIONS
from anthropo.learning.calibration import fit_stack
from anthropo.learning.deep import fit_region
from anthropo.learning.splits import split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    features, rows = read(arguments.folder, arguments.jobs, arguments.cache, HYBRID_REGIONS)
    patients = features.patients.tolist()
    sets = {
        **{name: [name] for name in HYBRID_REGIONS},
        **{f"face + {name}": ["face", name] for name in HYBRID_REGIONS if name != "face"},
        **{f"all but {name}": [n for n in HYBRID_REGIONS if n != name] for name in HYBRID_REGIONS},
        "all seven": list(HYBRID_REGIONS),
        "default: " + ", ".join(DEFAULT_REGIONS): list(DEFAULT_REGIONS),
    }
    found: dict[str, dict[str, float]] = {}
    for task, positive in tasks(rows).items():
        y = positive.astype(np.int64)
        folds = split([str(v) for v in y], patients, 5, 0).index

        def scores(fold: int, y: np.ndarray = y, folds: np.ndarray = folds) -> dict[str, float]:
            out = folds == fold
            own = y[~out]
            inner = split(
                [str(v) for v in own], [p for p, o in zip(patients, out, strict=True) if not o], 5, 0
            )
            learned, tested = {}, {}
            for name in HYBRID_REGIONS:
                embedding = features.regions[name]
                model, score = fit_region(
                    embedding[~out], np.eye(2)[own], inner.index, np.random.RandomState(0)
                )
                spread = score.std(0)
                learned[name] = (score - model.intercept) / spread
                tested[name] = (model.scores(embedding[out]) - model.intercept) / spread
            result = {}
            for name, members in sets.items():
                stack = fit_stack([learned[m] for m in members], own, np.ones(len(own)))
                result[name] = roc_auc_score(y[out], stack.margins([tested[m] for m in members])[:, 1])
            return result

        with ThreadPoolExecutor(arguments.jobs) as pool:
            results = list(pool.map(scores, range(folds.max() + 1)))
        found[task] = {name: float(np.mean([r[name] for r in results])) for name in sets}
    print("| regions | " + " | ".join(found) + " |")
    print("|---" * (len(found) + 1) + "|")
    for name in sets:
        print(f"| {name} | " + " | ".join(f"{found[task][name]:.3f}" for task in found) + " |")


if __name__ == "__main__":
    main()
