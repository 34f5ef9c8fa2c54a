"""Adaptation between two sources of photographs: AUROC beside none, and how far apart the sources are.

    python benchmarks/domains.py FOLDER FOLDER [--tell sex | expression] [--people 20 40 80] [--draws 5]
        [--encoder NAME] [--cache DIR] [--whole]

Each folder holds photographs and a labels.csv (photo or image; patient, age, sex, expression). Models that
tell the sex or the expression (neutral, smiling) of adults are trained on the one source, all of it and
draws of as many people of each label, and judged on the other; then the other way round. What is adapted to
are the judged photos, without their labels, or, in a table of its own, those of other people of that source:
its people are dealt to halves, each judged by models that were adapted to the other half (left out, and the
draws, with --whole). Differences to no adaptation are of the same photos, with 95 % intervals from a
bootstrap of the judged people.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from hybrid import read

from anthropo.adaptation import METHODS
from anthropo.encoder.encoders import load_encoder
from anthropo.learning.domains import adapted, marked
from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.memo import remembering
from anthropo.learning.model import Options
from anthropo.learning.shift import shifts
from anthropo.learning.training import fit_model

ADULT = 18  # years
#: The two labels of each column that is told.
TOLD = {"sex": ("female", "male"), "expression": ("neutral", "smiling")}
DECIDED = "decided"
PARTS = {
    "hybrid": frozenset({"measurements", "regions"}),
    "regions": frozenset({"regions"}),
    "measurements": frozenset({"measurements"}),
}


def adults(folder: Path, column: str, jobs: int, cache: Path | None, encoder: str) -> Features:
    """The adults of a folder, labelled by their sex or expression."""
    features, rows = read(folder, jobs, cache, encoder=load_encoder(encoder))
    second = TOLD[column][1][0]
    labels = np.array([TOLD[column][row[column].lower().startswith(second)] for row in rows])
    # where no age is stated, as of some in a set of adults, nobody is taken for a child
    years = np.array([float(row["age"]) if row["age"].replace(".", "").isdigit() else ADULT for row in rows])
    return subset(replace(features, labels=labels), years >= ADULT)


def drawn(features: Features, people: int, seed: int) -> Features:
    """As many people of each label, together `people`."""
    random = np.random.default_rng(seed)
    kept = [
        name
        for label in np.unique(features.labels)
        for name in random.choice(np.unique(features.patients[features.labels == label]), people // 2, False)
    ]
    return subset(features, np.isin(features.patients, kept))


def scores(train: Features, test: Features, target: Features, method: str) -> dict[str, np.ndarray]:
    """What models of each kind say of photos (n,), and what the hybrid decides; -1: none of these."""
    learned, asked = adapted(marked(train), test, method, target)
    table, out = feature_frame(asked), {}
    with remembering():
        for name, parts in PARTS.items():
            answers = fit_model(learned, Options(parts=parts)).answer(table)
            out[name] = answers.log_odds[:, 1]
            if name == "hybrid":
                out[DECIDED] = answers.decision
    return out


def aurocs(labels: np.ndarray, said: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC (b,) of photos that count as often as `weights` (b, n) say."""
    order = np.argsort(said)
    second = labels[order] == max(labels)
    ours, theirs = weights[:, order] * second, weights[:, order] * ~second
    return (ours * (theirs.cumsum(1) - theirs / 2)).sum(1) / (ours.sum(1) * theirs.sum(1))


def resamples(patients: np.ndarray, times: int) -> np.ndarray:
    """How often each photo's person is drawn, (1 + times, n); first each once."""
    names, of = np.unique(patients, return_inverse=True)
    random = np.random.default_rng(0)
    drawn = [
        np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))[of]
        for _ in range(times)
    ]
    return np.stack([np.ones(len(patients)), *drawn])


def shown(values: np.ndarray, signed: bool = False) -> str:
    """The first with the interval of the others."""
    lo, hi = np.percentile(values[1:], [2.5, 97.5])
    form = "+.4f" if signed else ".4f"
    return f"{values[0]:{form}} ({lo:{form}} to {hi:{form}})"


def table(name: str, said: dict[str, list[dict[str, np.ndarray]]], test: Features, times: int) -> None:
    """Rows of each method: mean AUROC over draws, and the difference to none."""
    weights = resamples(test.patients, times)
    means = {
        (method, kind): np.mean([aurocs(test.labels, one[kind], weights) for one in draws], axis=0)
        for method, draws in said.items()
        for kind in PARTS
    }
    for method in said:
        cells = []
        for kind in PARTS:
            less = means[method, kind] - means["none", kind]
            cells += [shown(means[method, kind]), "" if method == "none" else shown(less, True)]
        print(f"| {name} | {method} | {' | '.join(cells)} |", flush=True)


def decisions(name: str, said: dict[str, list[dict[str, np.ndarray]]], test: Features) -> list[str]:
    """Rows of each method: how many are called right, and how many are called none of these."""
    rows = []
    for method, draws in said.items():
        shares = []
        for label in (1, 0):
            of = test.labels == np.unique(test.labels)[label]
            shares.append(float(np.mean([(one[DECIDED][of] == label).mean() for one in draws])))
        silent = float(np.mean([(one[DECIDED] < 0).mean() for one in draws]))
        rows.append(f"| {name} | {method} | {shares[0]:.3f} | {shares[1]:.3f} | {silent:.3f} |")
    return rows


def halves(train: Features, test: Features) -> None:
    """Rows of each method where other people of the target are adapted to: the mean of both halves."""
    names = np.unique(test.patients)
    first = np.isin(test.patients, np.random.default_rng(0).permutation(names)[::2])
    for method in METHODS:
        found = {
            kind: np.mean(
                [
                    aurocs(test.labels[judged], said[kind], np.ones((1, int(judged.sum()))))[0]
                    for judged, said in (
                        (of, scores(train, subset(test, of), subset(test, ~of), method))
                        for of in (first, ~first)
                    )
                ]
            )
            for kind in PARTS
        }
        print(f"| {method} | {' | '.join(f'{value:.4f}' for value in found.values())} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs=2)
    parser.add_argument("--tell", choices=[*TOLD], default="sex")
    parser.add_argument("--whole", action="store_true", help="all people of each source, adapted to all")
    parser.add_argument("--people", type=int, nargs="*", default=[20, 40, 80])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--encoder", default="face-resnet")
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    first, second = (
        adults(folder, asked.tell, asked.jobs, asked.cache, asked.encoder) for folder in asked.folders
    )
    labels = TOLD[asked.tell]
    both = ((asked.folders[0].name, first), (asked.folders[1].name, second))
    for name, of in both:
        count = int((of.labels == labels[0]).sum())
        print(f"{name}: {len(of)} photos of {len(set(of.patients.tolist()))} adults, {count} {labels[0]}")
    heads = [f"{kind} | less none" for kind in PARTS]
    print(f"\n| trained on → judged on, people | adaptation | {' | '.join(heads)} |")
    print("|---" * (2 + 2 * len(PARTS)) + "|")
    decided: list[str] = []
    for (here, train), (there, test) in (both, both[::-1]):
        for people in (*(() if asked.whole else asked.people), None):
            fewest = min(len(np.unique(train.patients[train.labels == label])) for label in labels)
            if people is not None and people // 2 > fewest:
                continue
            times = asked.draws if people else 1
            cohorts = [drawn(train, people, seed) if people else train for seed in range(times)]
            said = {method: [scores(one, test, test, method) for one in cohorts] for method in METHODS}
            size = people or len(np.unique(train.patients))
            name = f"{here} → {there}, {size}{f' × {times}' if times > 1 else ''}"
            table(name, said, test, asked.bootstrap)
            decided += decisions(name, said, test)
    found = f"{labels[1]} found | {labels[0]} found"
    print(f"\n| trained on → judged on, people | adaptation | {found} | none of these |")
    print("|---|---|---|---|---|", *decided, sep="\n", flush=True)
    for (here, train), (there, test) in () if asked.whole else (both, both[::-1]):
        print(f"\n{here} → {there}, adapted to other people of {there}\n")
        print(f"| adaptation | {' | '.join(PARTS)} |")
        print("|---" * (1 + len(PARTS)) + "|")
        halves(train, test)
    print(
        f"\n| proxy A-distance of {both[0][0]} to {both[1][0]} | embeddings | measurements |\n|---|---|---|"
    )
    for shift in shifts(first, METHODS, target=second):
        print(f"| {shift.method} | {shift.embeddings} | {shift.measurements} |", flush=True)


if __name__ == "__main__":
    main()
