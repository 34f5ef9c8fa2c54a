"""Known changes: is the measurement that was changed the largest contribution?

    python benchmarks/morphs.py [--patients 40] [--classifier xgboost] [--sd 2.5]

For each single change, synthetic controls and affected people are made, and judged in 5 folds. A case is
detected when its probability is above 0.5. The intended change is of a measurement on both sides; its family
are the measurements that change with it by definition (an index of it, an area around it).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from anthropo.encoder.encoders import load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.learning.cohort import read_cohort
from anthropo.learning.features import extract, feature_frame
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.splits import split
from anthropo.settings import Settings
from anthropo.synthetic import CONTROL, SINGLE_MORPHS, Syndrome, make_cohort


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--classifier", default="xgboost")
    parser.add_argument("--sd", type=float, default=2.5)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--morphs", nargs="+", default=list(SINGLE_MORPHS))
    arguments = parser.parse_args()
    encoder = load_encoder()
    settings = Settings(face="largest", force=True)
    print(
        "| change | cases detected | largest measurement: the one meant | or of its family | largest other |"
    )
    print("|---|---|---|---|---|")
    totals = np.zeros(4, dtype=int)
    for number, name in enumerate(arguments.morphs):
        morph = SINGLE_MORPHS[name]
        low, high = morph.range
        amount = arguments.sd if high >= arguments.sd else high if high > -low else low
        affected = Syndrome("synthetic-1", name, {name: amount})
        with tempfile.TemporaryDirectory() as folder:
            table = make_cohort(
                Path(folder) / "cohort", arguments.patients, (CONTROL, affected),
                seed=arguments.seed + number, jobs=arguments.jobs,
            )  # fmt: skip
            features = extract(
                read_cohort(table), settings, encoder, regions=DEFAULT_REGIONS, jobs=arguments.jobs
            )
        frame = feature_frame(features)
        labels, patients = features.labels, features.patients
        folds = split(labels.tolist(), patients.tolist(), 5, 0).index
        meant, family = set(morph.measurements), set(morph.family(amount))
        counts, others = np.zeros(4, dtype=int), []
        for fold in range(folds.max() + 1):
            out = folds == fold
            model = HybridClassifier(arguments.classifier, controls=CONTROL)
            model.fit(frame[~out].reset_index(drop=True), labels[~out], patients[~out])
            tested = frame[out & (labels != CONTROL)]
            found = model.contributions(tested)
            at = list(model.classes_).index("synthetic-1")
            names = list(found.measurements)
            by = np.stack([found.measurements[m][:, at] for m in names], axis=1)
            detected = model.decision_function(tested) * (1 if at == 1 else -1) > 0
            for row in np.flatnonzero(detected):
                largest = names[int(np.argmax(by[row]))]
                counts += [1, largest in meant, largest in meant | family, 0]
                if largest not in meant | family:
                    others.append(largest)
            counts[3] += len(tested)
        worst = max(set(others), key=others.count) if others else ""
        n = max(counts[0], 1)
        print(
            f"| {name} {amount:+g} SD | {counts[0]} of {counts[3]} | {100 * counts[1] / n:.0f} % | "
            f"{100 * counts[2] / n:.0f} % | {worst} |",
            flush=True,
        )
        totals += counts
    n = max(totals[0], 1)
    print(
        f"| all | {totals[0]} of {totals[3]} | {100 * totals[1] / n:.0f} % | {100 * totals[2] / n:.0f} % | |"
    )


if __name__ == "__main__":
    main()
