"""Labels that say nothing but age: what AUROC is, and what it is among people of alike age and sex.

    python benchmarks/confounding.py FOLDER [--cohorts 20] [--people 80] [--parts regions] [--cache DIR]

FOLDER holds photographs and a labels.csv with age and sex (as for hybrid.py). People are drawn, and called
"case" with a probability that rises with the logarithm of their age, 1.5 log-odds per SD. Models see faces
alone, no age. Adjusted as `evaluate --adjust age,sex`. Right are: a plain AUROC above .5, since faces tell
the age, and an adjusted one of .5, since nothing else is there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from hybrid import read

from anthropo.learning.adjusting import Strata, adjusted_auroc
from anthropo.learning.features import subset
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import judge
from anthropo.learning.model import HALVES, Options

SLOPE = 1.5
LABELS = ("control", "case")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cohorts", type=int, default=20)
    parser.add_argument("--people", type=int, default=80)
    parser.add_argument("--parts", nargs="+", default=sorted(HALVES), help="of the model")
    parser.add_argument("--cache", type=Path)
    asked = parser.parse_args()
    features, rows = read(asked.folder, 2, asked.cache)
    ages, sexes = np.array([float(row["age"]) for row in rows]), np.array([row["sex"] for row in rows])
    options = Options(positive=LABELS[1], controls=LABELS[0], parts=frozenset(asked.parts))
    plain, adjusted = [], []
    for seed in range(asked.cohorts):
        random = np.random.default_rng(seed)
        drawn = random.permutation(len(features))[: asked.people]
        older = np.log1p(ages[drawn])
        odds = SLOPE * (older - older.mean()) / older.std()
        labels = np.where(random.random(len(drawn)) < 1 / (1 + np.exp(-odds)), LABELS[1], LABELS[0])
        cohort = replace(subset(features, drawn), labels=labels)
        (question,) = cross_validate(cohort, options, baselines=False).questions
        judged = question.models["hybrid"]
        alike = {"age": ages[drawn].tolist(), "sex": sexes[drawn].tolist()}
        strata = Strata.of(alike, cohort.patients.tolist())
        plain.append(judge(judged, LABELS[1], bootstrap=300)["auroc"])
        adjusted.append(adjusted_auroc(judged, LABELS[1], strata.index, bootstrap=300))
    print("| AUROC | mean ± SD | half-width | interval misses .5 |\n|---|---|---|---|")
    for name, found in (("plain", plain), ("adjusted for age and sex", adjusted)):
        known = [one for one in found if one.known]
        values = np.array([one.value for one in known])
        half = np.mean([one.hi - one.lo for one in known]) / 2
        missed = sum(not one.lo <= 0.5 <= one.hi for one in known)
        mean = f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
        print(f"| {name} | {mean} | ± {half:.3f} | {missed} of {len(known)} |")


if __name__ == "__main__":
    main()
