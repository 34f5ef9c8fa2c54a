"""The units that a network learns from: photos, or cases of several; their targets, parts and metadata."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import some, split_labels
from anthropo.learning.features import Features
from anthropo.learning.splits import split
from anthropo.networks.architectures import Task
from anthropo.networks.description import MetadataColumn
from anthropo.networks.recipes import ALL, Parameters

TRAIN, VALIDATION, TEST = 0, 1, 2
LEAST = 3  # patients of a label: to train on, to stop by, to judge by

MetadataColumns = Mapping[str, MetadataColumn]  # by name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """Photos, or cases of several photos, that are learned from."""

    rows: tuple[tuple[int, ...], ...]  # n: which pictures belong to each
    labels: tuple[str, ...]  # k: labels, grades (lowest first) or attributes
    target: NDArray[Any]  # (n,) index of the label, or (n, k) 0 and 1 of attributes
    patients: NDArray[np.str_]  # (n,)
    part: NDArray[np.int64]  # (n,) TRAIN, VALIDATION or TEST
    metadata: NDArray[np.float32] | None = None  # (n, q) of cases
    columns: MetadataColumns | None = None  # how the metadata became numbers
    states: NDArray[np.int64] | None = None  # (n,) of pairs: number of the state, -1 unknown; None: no states
    state_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def chosen(self, part: int) -> NDArray[np.int64]:
        """Indices of the units in a part."""
        return np.flatnonzero(self.part == part)


def units_of(task: Task, features: Features, parameters: Parameters, kinds: Mapping[str, str]) -> Units:
    """Photos as what a task learns from, with the kinds of the metadata columns as in a cohort."""
    if not len(features):
        raise InputError("No photo of the cohort can be used.")
    labels, patients = features.labels.tolist(), features.patients.tolist()
    if task == "cases":
        return _cases_to_learn(features, parameters, kinds)
    if task == "attributes":
        present = [split_labels(label) for label in labels]
        names, notes = _attributes(present, patients)
        usable = [tuple(name for name in cell if name in names) for cell in present]
        part = parts(usable, patients, parameters)
        return replace(of_photos(features, names, _present(present, names), part), notes=notes)
    names = tuple(sorted(set(labels)))
    if task == "grades":
        names = _grades(names, parameters.grades)
    refuse_few(labels, patients)
    target = np.array([names.index(label) for label in labels])
    return of_photos(features, names, target, parts(labels, patients, parameters))


def units_to_judge(
    task: str, labels: tuple[str, ...], columns: MetadataColumns | None, features: Features
) -> Units:
    """Photos or cases with a network's own labels and metadata columns, all of them in the part TEST."""
    cells = features.labels.tolist()
    if task == "attributes":
        target = _present([split_labels(cell) for cell in cells], labels)
    else:
        target = np.array([labels.index(label) for label in cells])
    if task != "cases":
        return of_photos(features, labels, target, np.full(len(features), TEST))
    members = _members(features)
    rows = tuple(members.values())
    columns = columns or {}
    values = {name: of_cases(features.metadata[name], rows) for name in columns if name in features.metadata}
    return Units(
        rows=rows,
        labels=labels,
        target=np.array([labels.index(label) for _, label in members]),
        patients=np.array([patient for patient, _ in members], dtype=np.str_),
        part=np.full(len(rows), TEST),
        metadata=encode_metadata(columns, values, len(rows)) if columns else None,
        columns=columns,
    )


def identity_units(features: Features) -> Units:
    """Photos with the patient as the label, all of them to train on; people with one photo teach as well."""
    people, which = np.unique(features.patients, return_inverse=True)
    counts = np.bincount(which, minlength=len(people))
    if len(people) < 2 or counts.max() < 2:
        raise InputError(
            "identity stage: no person has two photos, so recognition cannot be learned. Name the patients "
            f"in a column `patient`, give {parameter('pretrain', 'COHORT')}, or pass "
            f"{parameter('changes', 'identity=none')}."
        )
    return of_photos(features, tuple(people.tolist()), which, np.full(len(features), TRAIN))


def of_photos(
    features: Features, labels: tuple[str, ...], target: NDArray[Any], part: NDArray[np.int64]
) -> Units:
    """Each photo as a unit."""
    rows = tuple((i,) for i in range(len(features)))
    return Units(rows=rows, labels=labels, target=target, patients=features.patients, part=part)


def _present(cells: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[name in cell for name in names] for cell in cells], np.float32)


def _members(features: Features) -> dict[tuple[str, str], tuple[int, ...]]:
    """Photos of one patient under one label, which are a case."""
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, key in enumerate(zip(features.patients.tolist(), features.labels.tolist(), strict=True)):
        members[key].append(i)
    return {key: tuple(rows) for key, rows in members.items()}


# ---------------------------------------------------------------------------------------------- the parts


def parts(
    labels: Sequence[str] | Sequence[tuple[str, ...]], patients: Sequence[str], parameters: Parameters
) -> NDArray[np.int64]:
    """The part that each photo belongs to; no patient is in two.

    One fold of `anthropo.learning.splits.split` is for judging (TEST), the next one for stopping
    (VALIDATION), the others are trained on. The same cohort, ``folds``, ``fold`` and ``seed`` give the same
    parts.
    """
    dealt = split(labels, patients, parameters.folds, parameters.seed)
    if dealt.number < LEAST:
        raise InputError(
            f"Too few patients: {LEAST} of at least two labels are needed, to train on, to stop by and to "
            "judge by. Add patients."
        )
    if parameters.fold >= dealt.number:
        raise InputError(f"fold {parameters.fold}: too few patients for more than {dealt.number} folds.")
    part = np.full(len(dealt.index), TRAIN)
    part[dealt.index == parameters.fold] = TEST
    part[dealt.index == (parameters.fold + 1) % dealt.number] = VALIDATION
    return part


def refuse_few(labels: Sequence[str], patients: Sequence[str]) -> None:
    """Refuse labels of fewer patients than there are parts, and a single label."""
    people: dict[str, set[str]] = defaultdict(set)
    for label, patient in zip(labels, patients, strict=True):
        people[label].add(patient)
    few = [f"{label} ({len(who)})" for label, who in sorted(people.items()) if len(who) < LEAST]
    if few:
        raise InputError(
            f"Too few patients with {some(few)}: each label needs {LEAST}, to train on, to stop by and to "
            "judge by. Add patients, or leave the label out."
        )
    if len(people) < 2:
        raise InputError(f"One label only, {next(iter(people))}. Add photos with another.")


def _attributes(
    present: Sequence[tuple[str, ...]], patients: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Attributes that enough patients have and lack, and a sentence on the others."""
    everybody = set(patients)
    having: dict[str, set[str]] = defaultdict(set)
    for cell, patient in zip(present, patients, strict=True):
        for name in cell:
            having[name].add(patient)
    common = {n for n, people in having.items() if min(len(people), len(everybody - people)) >= LEAST}
    usable = tuple(sorted(common))
    if not usable:
        raise InputError(
            f"No attribute is present in {LEAST} patients and absent from {LEAST}. Cells of the column "
            "`label` are lists (ptosis; long philtrum)."
        )
    rare = sorted(having.keys() - common)
    note = f"not learned, for fewer than {LEAST} patients with or without it: {some(rare)}."
    return usable, (note,) if rare else ()


def _grades(labels: tuple[str, ...], grades: tuple[str, ...]) -> tuple[str, ...]:
    listed = ", ".join(labels)
    if not grades:
        raise InputError(
            f"grades: which label is lowest? Pass {parameter('changes', 'grades=…')} with the labels from "
            f"the lowest to the highest; there are {listed}."
        )
    if set(grades) != set(labels):
        raise InputError(f"grades {', '.join(grades)}: not the labels of the cohort, which are {listed}.")
    return grades


# ---------------------------------------------------------------------------------------------- the cases


def _cases_to_learn(features: Features, parameters: Parameters, kinds: Mapping[str, str]) -> Units:
    members = _members(features)
    patients, labels = [patient for patient, _ in members], [label for _, label in members]
    refuse_few(labels, patients)
    names = tuple(sorted(set(labels)))
    part = parts(labels, patients, parameters)
    rows = tuple(members.values())
    wanted = tuple(kinds) if parameters.metadata == (ALL,) else parameters.metadata
    for name in wanted:
        if name not in kinds:
            raise InputError(
                f"metadata {name}: no such column to learn from. There are {', '.join(kinds) or 'none'}."
            )
    values = {name: of_cases(features.metadata[name], rows) for name in wanted}
    columns = {
        name: _column([v for v, p in zip(values[name], part, strict=True) if p == TRAIN]) for name in wanted
    }
    notes = []
    if many := sum(len(case) > parameters.images for case in rows):
        notes.append(f"{many} cases have more than {parameters.images} photos: the first are judged by.")
    for name in wanted:
        if torn := sum(len(_known(features.metadata[name], case)) > 1 for case in rows):
            notes.append(f"{name}: {torn} cases whose photos differ in it: the first value is learned from.")
    return Units(
        rows=rows,
        labels=names,
        target=np.array([names.index(label) for label in labels]),
        patients=np.array(patients, dtype=np.str_),
        part=part,
        metadata=encode_metadata(columns, values, len(rows)) if wanted else None,
        columns=columns,
        notes=tuple(notes),
    )


def _known(values: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    """The known values of some photos, each once."""
    return list(dict.fromkeys(values[i] for i in rows if values[i] is not None and values[i] == values[i]))


def of_cases(values: Sequence[Any], rows: Sequence[Sequence[int]]) -> list[Any]:
    """The first known value among each case's photos; else None."""
    return [next(iter(_known(values, case)), None) for case in rows]


def _column(values: Sequence[Any]) -> MetadataColumn:
    """How a column becomes numbers, learned from the training cases."""
    known = [v for v in values if v is not None and v == v]
    if known and all(isinstance(v, str) for v in known):
        return MetadataColumn(values=tuple(sorted(set(known))))
    numbers = np.array([float(v) for v in known] or [0.0])
    return MetadataColumn(mean=float(numbers.mean()), sd=float(numbers.std()) or 1.0)


def encode_metadata(
    columns: MetadataColumns, values: Mapping[str, Sequence[Any]], n: int
) -> NDArray[np.float32]:
    """Metadata of n cases as numbers (n, q), each followed by whether it is missing.

    None and NaN are missing, and so is a category that did not occur in training.
    """
    out: list[NDArray[np.float32]] = []
    for name, how in columns.items():
        cells = list(values.get(name, [None] * n))
        if how.values is not None:
            unknown = np.array([v not in how.values for v in cells], np.float32)
            for value in how.values:
                out += [np.array([v == value for v in cells], np.float32), unknown]
        else:
            numbers = np.array([np.nan if v is None else float(v) for v in cells])
            missing = np.isnan(numbers)
            scaled = np.where(missing, 0, (numbers - (how.mean or 0)) / (how.sd or 1))
            out += [scaled.astype(np.float32), missing.astype(np.float32)]
    return np.stack(out, 1) if out else np.empty((n, 0), np.float32)


def balancing(target: NDArray[Any]) -> NDArray[np.float32]:
    """Weights that make every label weigh the same: (n,) of labels, (n, a) of attributes; their mean is 1."""
    if target.ndim == 1:
        counts = Counter(target.tolist())
        return np.array([len(target) / (len(counts) * counts[t]) for t in target.tolist()], np.float32)
    share = np.clip(target.mean(0, keepdims=True), 1 / len(target), 1 - 1 / len(target))
    weights: NDArray[np.float32] = np.where(target > 0, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)
    return weights
