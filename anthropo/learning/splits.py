"""Folds for cross-validation: by patient, stratified by label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import some

_NONE = ""  # stands for the labels of a case that has none


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Folds that photos are tested in."""

    index: NDArray[np.int64]  # (n,) 0 to number - 1
    number: int
    notes: tuple[str, ...]  # a sentence each on what could not be done as asked for


def split(
    labels: Sequence[str] | Sequence[tuple[str, ...]], patients: Sequence[str], folds: int = 5, seed: int = 0
) -> Folds:
    """Deal patients to folds so that every fold has its share of every label.

    `labels` are of each photo, a tuple where it has several or none; all photos of a patient come into the
    same fold. There are as many folds as asked for, or as the second commonest label has patients if that is
    fewer, so that at least two labels are tested in each. With one label per patient, a label's patients are
    spread over as many folds as there are patients, up to all. So any label of two patients or more is in the
    training part of every fold, and any with as many patients as folds is tested in each.

    This is iterative stratification (Sechidis, Tsoumakas & Vlahavas, "On the stratification of multi-label
    data", ECML PKDD 2011, LNCS 6913, 145-158), at the level of patients and counting their photos.
    scikit-learn's StratifiedGroupKFold minimises the spread of label shares instead, and may put all patients
    of a rare label into one fold, whose training part then lacks it.
    """
    if folds < 2:
        raise InputError(f"{folds} folds: a split needs 2 or more. Pass {parameter('folds', 5)}.")
    photos: dict[str, Counter[str]] = defaultdict(Counter)  # of each patient, by label
    total: Counter[str] = Counter()
    for given, patient in zip(labels, patients, strict=True):
        photos[patient].update((given,) if isinstance(given, str) else given or (_NONE,))
        total[patient] += 1
    sizes = Counter(label for counts in photos.values() for label in counts)
    common = sizes.most_common(2)
    if len(common) < 2 or common[1][1] < 2:
        listed = some(f"{label or 'no label'} ({size})" for label, size in sizes.most_common())
        raise InputError(
            f"Cross-validation needs two labels with two patients each; patients per label: {listed}. Add "
            "patients."
        )
    label, size = common[1]
    number = min(folds, size)
    notes = []
    if number < folds:
        notes.append(f"{number} folds instead of {folds}: only {size} patients with {label or 'no label'}.")
    alone = [label for label, size in sizes.items() if size == 1]
    if alone:
        notes.append(f"one patient only, so never recognised in cross-validation: {some(alone)}.")

    order = list(photos)
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=lambda patient: -total[patient])  # stable; the largest first leaves the evenest rest
    remaining = {label: [p for p in order if label in photos[p]] for label in sizes}
    of_label = {label: np.zeros(number) for label in sizes}  # photos in each fold
    in_fold = np.zeros(number)
    fold_of: dict[str, int] = {}
    while remaining:
        rarest = min(remaining, key=lambda label: (len(remaining[label]), label))
        for patient in remaining.pop(rarest):
            # the fold with the fewest photos of this label, then with the fewest at all
            fold = min(range(number), key=lambda k: (of_label[rarest][k], in_fold[k], k))
            fold_of[patient] = fold
            in_fold[fold] += total[patient]
            for label, count in photos[patient].items():
                of_label[label][fold] += count
                if label in remaining:
                    remaining[label].remove(patient)
    return Folds(np.array([fold_of[patient] for patient in patients], dtype=np.int64), number, tuple(notes))


def by_value(
    labels: Sequence[str] | Sequence[tuple[str, ...]], patients: Sequence[str], values: Sequence[str | None]
) -> tuple[Folds, tuple[str, ...]]:
    """A fold for each value of a column (n,), such as a clinic, by name; with the names.

    Photos without a value are in no fold (-1), and so are those of a value without which there are not two
    labels of two patients left to learn from. A patient with photos of several values is in several folds:
    nothing of them may then be trained on.
    """
    names = sorted({value for value in values if value is not None})
    index = np.full(len(values), -1, dtype=np.int64)
    column, people = np.array(values, dtype=object), np.array(patients, dtype=object)
    notes: list[str] = []
    used: list[str] = []
    if missing := sum(value is None for value in values):
        notes.append(f"{missing} photos without a value are trained on, and not judged.")
    for name in names:
        here = column == name
        rest = ~np.isin(people, people[here])
        left: dict[str, set[str]] = defaultdict(set)
        for given, patient, kept in zip(labels, patients, rest, strict=True):
            for label in ((given,) if isinstance(given, str) else given or (_NONE,)) if kept else ():
                left[label].add(patient)
        enough = [label for label, those in left.items() if len(those) > 1]
        if len(enough) < 2:
            only = (
                f"only {enough[0] or 'no label'} has two patients" if enough else "no label has two patients"
            )
            notes.append(f"{name} is not judged: without it {only} to learn from.")
            continue
        lost = {
            given for given, kept in zip(labels, rest, strict=True) if not kept and isinstance(given, str)
        }
        if unknown := sorted(lost - set(enough)):
            notes.append(f"{name}: without it nobody has {some(unknown)}, which is then never recognised.")
        index[here] = len(used)
        used.append(name)
    return Folds(index, len(used), tuple(notes)), tuple(used)
