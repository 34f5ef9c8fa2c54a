"""The same person under two names: how many are found, and how many strangers are taken for one.

    python benchmarks/identity.py FOLDER [--people 20 40 100 300 1000] [--draws 60] [--cache DIR] [--list]

FOLDER holds photographs and a labels.csv as for benchmarks/hybrid.py. Where a column `patient` names people
with several photos, every other photo of each gets another spelling of the name: found are the people whose
two names are joined. Where there is one photo of each, cohorts of strangers are drawn from all, and from
groups whose faces lie close for the network. Wrong are pairs that are not found among all photos together
(--list names those, to be looked at: folders from the web hold well-known people twice).

With two names also: labels by chance, and the AUROC by which a model tells them apart in cross-validation.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from hybrid import read

from anthropo.learning.features import Features, subset
from anthropo.learning.identity import find_same_people, merged
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import judge
from anthropo.learning.model import Options


def renamed(features: Features) -> Features:
    """Every other photo of a patient under another spelling."""
    count: Counter[str] = Counter()
    names = []
    for name in features.patients.tolist():
        names.append(name if count[name] % 2 == 0 else f"{name}.0")
        count[name] += 1
    return replace(features, patients=np.array(names))


def auroc(features: Features) -> float:
    """Of telling random labels apart, on patients as they are named."""
    options = Options(classifier="svm", parts=frozenset({"regions"}), regions=("face",), min_patients=2)
    (question,) = cross_validate(features, options, baselines=False).questions
    return judge(question.models["hybrid"], "affected", bootstrap=100)["auroc"].value


def two_names(features: Features, draws: int) -> None:
    """Whom the joining finds, and random labels with and without it."""
    split = renamed(features)
    pairs = find_same_people(split)
    right = [p for p in pairs if p.patients[0].removesuffix(".0") == p.patients[1].removesuffix(".0")]
    torn = {name for name in split.patients.tolist() if name.endswith(".0")}
    print(f"{len(torn)} people under two names: {len(right)} found; {len(pairs) - len(right)} pairs wrong")
    rows = {"true names": features, "two names": split, "joined": merged(split, pairs)}
    figures: dict[str, list[float]] = {name: [] for name in rows}
    people = list(dict.fromkeys(features.patients.tolist()))
    for seed in range(draws):
        drawn = np.random.default_rng(seed).permutation([i % 2 for i in range(len(people))])
        label_of = dict(zip(people, np.where(drawn, "affected", "control").tolist(), strict=True))
        labels = np.array([label_of[name] for name in features.patients.tolist()])
        for name, of in rows.items():
            figures[name].append(auroc(replace(of, labels=labels)))
    for name, values in figures.items():
        print(f"random labels, {name:10}: AUROC {np.mean(values):.3f} (SD {np.std(values):.3f})")


def strangers(
    features: Features, rows: list[dict[str, str]], sizes: Sequence[int], draws: int, listed: bool
) -> None:
    """How often strangers are taken for one person."""
    known = find_same_people(features)
    print(f"all {len(features)} photos: {len(known)} pairs of one person among {len(features) ** 2 // 2:,}")
    for pair in known if listed else ():
        print(f"  {pair.distance:.2f} {pair.first} {pair.second}")
    same = {frozenset((pair.first, pair.second)) for pair in known}
    age = np.array([float(row["age"]) for row in rows])
    race = np.array([row.get("race", "") for row in rows])
    groups = {"all": age >= 0, "adults": age > 18, "up to 12 years": age <= 12, "up to 3 years": age <= 3}
    groups |= {name: race == name for name in sorted(set(race.tolist()))}
    print("group".ljust(16), *(f"{n:>7,}" for n in sizes), " wrong pairs per cohort of so many people")
    for name, of in groups.items():
        pool = np.flatnonzero(of)
        cells = []
        for n in sizes:
            random = np.random.default_rng(n)
            wrong = []
            for _ in range(max(3, draws * sizes[0] // n) if n <= len(pool) else 0):
                found = find_same_people(subset(features, random.choice(pool, n, replace=False)))
                wrong.append(sum(frozenset((pair.first, pair.second)) not in same for pair in found))
            cells.append(f"{np.mean(wrong):7.2f}" if wrong else f"{'':7}")
        print(name.ljust(16), *cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, nargs="+", default=[20, 40, 100, 300, 1000])
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    features, rows = read(arguments.folder, 2, arguments.cache, ("face",))
    with open(arguments.folder / "labels.csv", encoding="utf-8") as file:
        named = "patient" in next(csv.reader(file))
    if named:
        two_names(features, arguments.draws)
    else:
        # patients that are copies have been joined; here each photo is a person of its own
        names = np.array([f"p{i}" for i in range(len(features))])
        strangers(replace(features, patients=names), rows, arguments.people, arguments.draws, arguments.list)


if __name__ == "__main__":
    main()
