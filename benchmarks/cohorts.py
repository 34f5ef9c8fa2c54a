"""Small cohorts drawn from a large folder of photos, each with people to test on whom it does not hold.

For other benchmarks to import:

    features, rows = read(FOLDER, jobs=2, cache=None)  # of hybrid.py; copies of a photo are one patient
    for train, test in draws(labels, features.patients, per_label=40, times=10):
        ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
MOST_TESTED = 300  # people of each label


def draws(
    labels: Sequence[Any] | NDArray[Any],
    patients: Sequence[Any] | NDArray[Any],
    per_label: int,
    times: int = 10,
    seed: int = 0,
    most_tested: int = MOST_TESTED,
) -> Iterator[tuple[Rows, Rows]]:
    """Rows to train on and rows to test on, `times` times: people are drawn, with all their photos.

    Of each label `per_label` people are trained on. Tested are as many of each label as the rarest has left,
    `most_tested` at most, so that probabilities learned at equal shares hold for them. Rows of the label ""
    take no part, nor does anybody with photos of two labels.
    """
    labels, patients = np.asarray(labels).astype(str), np.asarray(patients).astype(str)
    labels_of: dict[str, set[str]] = {}
    for label, patient in zip(labels.tolist(), patients.tolist(), strict=True):
        labels_of.setdefault(patient, set()).add(label)
    people = {
        label: np.array(sorted(p for p, own in labels_of.items() if own == {label}))
        for label in sorted(set(labels.tolist()) - {""})
    }
    left = min(most_tested, min(map(len, people.values())) - per_label)
    if left < 1:
        counts = ", ".join(f"{label} ({len(of)})" for label, of in people.items())
        raise SystemExit(f"{per_label} people of each label leave nobody to test on: {counts}.")
    for time in range(times):
        random = np.random.default_rng([seed, time])
        mixed = {label: random.permutation(of) for label, of in people.items()}
        train = np.concatenate([of[:per_label] for of in mixed.values()])
        test = np.concatenate([of[per_label : per_label + left] for of in mixed.values()])
        yield np.flatnonzero(np.isin(patients, train)), np.flatnonzero(np.isin(patients, test))


def questions(rows: Sequence[dict[str, str]]) -> dict[str, NDArray[np.str_]]:
    """Labels of each row by question: sex, age up to 12, each ancestry, all ancestries; "" takes no part."""
    found: dict[str, NDArray[np.str_]] = {}
    if "sex" in rows[0]:
        found["sex"] = np.array(["male" if r["sex"].upper().startswith("M") else "female" for r in rows])
    if "age" in rows[0]:
        ages = [float(r["age"]) if r["age"].strip() not in ("", "NA") else np.nan for r in rows]
        found["child"] = np.array(["" if np.isnan(a) else "child" if a <= 12 else "older" for a in ages])
    if "race" in rows[0]:
        names = [r["race"] for r in rows]
        common = sorted({name for name in names if name and name != "other"})
        found |= {c: np.array([c if name == c else "others" for name in names]) for c in common}
        if len(set(names)) > 2:
            found[f"{len(set(names))} ancestries"] = np.array(names)
    return found
