"""Distinguishing a group: are true differences detected, and how often false ones?

    python benchmarks/discovery.py COHORT.csv --label LABEL [--runs 40] [--cache DIR] [--jobs 2]

COHORT as for `anthropo regions`. The label is examined as it is, and then many times with the labels
dealt at random among the patients: any place on the map, region or measurement that is then called
different is a false positive.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from anthropo.encoder.cache import Store
from anthropo.encoder.encoders import load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.groups.regions import Discovery, discover
from anthropo.learning.cohort import read_cohort
from anthropo.learning.features import extract
from anthropo.learning.intervals import wilson
from anthropo.settings import Settings

ALPHA = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort")
    parser.add_argument("--label", required=True)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    encoder, settings = load_encoder(), Settings()
    store = Store(arguments.cache) if arguments.cache else None
    features = extract(read_cohort(arguments.cohort), settings, encoder, jobs=arguments.jobs, store=store)

    def found(labels: np.ndarray, seed: int) -> Discovery:
        cohort = replace(features, labels=labels)
        how = {"regions": DEFAULT_REGIONS, "seed": seed, "jobs": arguments.jobs}
        return discover(cohort, arguments.label, encoder, settings, **how)

    print("| labels | AUROC of the regions | different: share of the map | regions | measurements |")
    print("|---|---|---|---|---|")
    print("| as they are |", row(found(features.labels, 0)))
    people, whose = np.unique(features.patients, return_inverse=True)
    own = np.array([features.labels[whose == i][0] for i in range(len(people))])
    random = np.random.default_rng(0)
    runs = [found(random.permutation(own)[whose], seed) for seed in range(arguments.runs)]
    print(f"| dealt at random, mean of {len(runs)} |", row(*runs))
    print("\n| called different in a run without difference | runs | 95 % |\n|---|---|---|")
    for name, any_ in (
        ("any place of the map", [bool((r.maps.p < ALPHA).any()) for r in runs]),
        ("any region", [any(e.q < ALPHA for e in r.regions) for r in runs]),
        ("any measurement", [any(e.q < ALPHA for e in r.measurements) for r in runs]),
    ):
        lo, hi = wilson(np.mean(any_), len(any_))
        print(f"| {name} | {sum(any_)} of {len(any_)} | {100 * lo:.0f} to {100 * hi:.0f} % |")


def row(*runs: Discovery) -> str:
    auroc = np.mean([r.auroc for r in runs])
    places = np.mean([(r.maps.p < ALPHA).mean() for r in runs])
    regions = np.mean([sum(e.q < ALPHA for e in r.regions) for r in runs])
    measurements = np.mean([sum(e.q < ALPHA for e in r.measurements) for r in runs])
    return (
        f"{auroc:.2f} | {100 * places:.1f} % | {regions:.2f} of {len(runs[0].regions)} | "
        f"{measurements:.2f} of {len(runs[0].measurements)} |"
    )


if __name__ == "__main__":
    main()
