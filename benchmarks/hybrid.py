"""The hybrid against its halves: AUROC, calibration, prediction sets and cost, by patient-grouped folds.

    python benchmarks/hybrid.py FOLDER [--folds 5] [--splits 1] [--classifier xgboost svm] [--cache DIR]

FOLDER holds photographs and a labels.csv (photo or image; patient, age, sex, race, expression as far as
known). Tasks: sex; age up to 12; age up to 2; each ancestry label; smiling against neutral. Photos that
are copies of one another count as one patient.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from anthropo.encoder.cache import Store
from anthropo.encoder.encoders import Encoder, load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.cost import expected_cost
from anthropo.learning.duplicates import find_duplicates
from anthropo.learning.features import Features, extract
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import judge
from anthropo.learning.model import Options
from anthropo.settings import Settings

MODELS = ("hybrid", "measurements", "regions", "background")
MISS = 5.0


def judging_options(description: str, splits: int) -> argparse.ArgumentParser:
    """What every benchmark that cross-validates is told: the folder, folds and splits."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=splits)
    return parser


def labelled(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of the folder's labels.csv, by photo."""
    with open(folder / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {str(folder / (row.get("photo") or row["image"])): row for row in rows}


def read(
    folder: Path,
    jobs: int,
    cache: Path | None,
    regions: Sequence[str] = (*DEFAULT_REGIONS, "background"),
    encoder: Encoder | None = None,
) -> tuple[Features, list[dict[str, str]]]:
    """Features of all photos, and the row of each in labels.csv."""
    said = labelled(folder)
    cases = tuple(Case(photo, "any", row.get("patient") or photo) for photo, row in said.items())
    features = extract(
        Cohort(cases, str(folder)),
        Settings(face="largest"),
        encoder or load_encoder(),
        regions=regions,
        jobs=jobs,
        store=Store(cache) if cache else None,
    )
    for pair in find_duplicates(features):
        patients = dict(zip(features.photos.tolist(), features.patients.tolist(), strict=True))
        features.patients[features.photos == pair.second] = patients[pair.first]
    return features, [said[photo] for photo in features.photos.tolist()]


def tasks(rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """Which photos are positive, by task."""
    found = {}
    first = rows[0]
    if "expression" in first:
        return {"smiling": np.array([r["expression"] != "neutral" for r in rows])}
    if "sex" in first:
        found["sex (male)"] = np.array([r["sex"].upper().startswith("M") for r in rows])
    if "age" in first:
        for limit in (12, 2):
            found[f"age ≤ {limit}"] = np.array([float(r["age"]) <= limit for r in rows])
    for name in sorted({r["race"] for r in rows}) if "race" in first else ():
        found[name] = np.array([r["race"] == name for r in rows])
    return found


def main() -> None:
    parser = judging_options(__doc__, splits=1)
    parser.add_argument("--classifier", nargs="+", default=["xgboost", "svm"])
    parser.add_argument("--tasks", nargs="+", help="only these")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    features, rows = read(arguments.folder, arguments.jobs, arguments.cache)
    print(f"{arguments.folder.name}: {len(features)} photos, {len(features.left_out)} without a usable face")
    print(
        "| task (positive) | classifier | hybrid | measurements | regions | background | hybrid less best "
        f"half | calibration error | coverage of 90 % sets | cost of miss={MISS:g}, aware | blind |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, positive in tasks(rows).items():
        if arguments.tasks and name not in arguments.tasks:
            continue
        features.labels[:] = np.where(positive, "yes", "no")
        for classifier in arguments.classifier:
            auroc: dict[str, list[float]] = {model: [] for model in MODELS}
            calibration, coverage, aware, blind = [], [], [], []
            for seed in range(arguments.splits):
                options = Options(classifier=classifier, positive="yes", seed=seed)
                own = {"folds": arguments.folds, "repeats": 1, "jobs": arguments.jobs}
                judged = cross_validate(features, options, **own).questions[0].models
                for model in MODELS:
                    auroc[model].append(roc_auc_score(judged[model].truth, judged[model].proba[:, 1]))
                figures = judge(judged["hybrid"], "yes", bootstrap=10)
                calibration.append(figures["calibration_error"].value)
                coverage.append(figures["coverage"].value)
                costly = replace(options, cost=f"miss={MISS:g}")
                paid = cross_validate(features, costly, baselines=False, **own).questions[0].models["hybrid"]
                matrix = np.array([[0, 1], [MISS, 0]])
                # an abstention asks for another look: it costs as much as a false alarm
                full = np.column_stack([matrix, [1, 1]])
                aware.append(expected_cost(paid.truth, paid.decision, full))
                blind.append(expected_cost(judged["hybrid"].truth, judged["hybrid"].decision, full))
            mean = {model: float(np.mean(values)) for model, values in auroc.items()}
            best = np.maximum(auroc["measurements"], auroc["regions"])
            gain = np.array(auroc["hybrid"]) - best
            spread = f" ({gain.min():+.4f} to {gain.max():+.4f})" if len(gain) > 1 else ""
            print(
                f"| {name}, {int(positive.sum())} | {classifier} | "
                + " | ".join(f"{mean[model]:.4f}" for model in MODELS)
                + f" | {gain.mean():+.4f}{spread} | {np.mean(calibration):.3f} | {np.mean(coverage):.3f} | "
                f"{np.mean(aware):.4f} | {np.mean(blind):.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
