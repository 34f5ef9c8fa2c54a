"""States of a person, and a target to adapt to: what a training is told by more columns and photographs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import Cohort, some, typed
from anthropo.networks.pictures import CohortPictures, Pictures
from anthropo.networks.recipes import Parameters
from anthropo.networks.units import LEAST, TEST, Units, of_photos, parts, refuse_few

#: The column that tells the photos of one person apart, unless another one is named.
STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdaptationTarget:
    """Photos of where the network will be used; their labels are not learned from."""

    pictures: Pictures
    rows: NDArray[np.int64]  # that are adapted to
    digests: tuple[str, ...]  # SHA-256 of these
    judged: Units | None = None  # labelled people who are kept apart, in the part TEST


# -------------------------------------------------------------------------------------------------- pairs


def units_of_pairs(photos: CohortPictures, parameters: Parameters, column: str | None = None) -> Units:
    """Photos as pairs are learned from: with the state of each, and patients with pairs in every part.

    `column` tells a person's photos apart; left out, it is `STATE` where there is such a column, and where
    there is none, any two photos of a person are a pair.
    """
    features = photos.features
    if not len(features):
        raise InputError("No photo of the cohort can be used.")
    labels, patients = features.labels.tolist(), features.patients.tolist()
    words, notes = _states(photos, column, parameters), []
    names = tuple(sorted({word for word in words if word is not None}))
    if len(set(labels)) < 2 and len(names) > 1:
        if None in words:
            raise InputError(
                f"{photos.source}: one label only, {labels[0]}, and photos without a state. Give the photos "
                "two labels to classify by, or fill in the states, which are then the labels."
            )
        notes.append(f"one label only, {labels[0]}: the states are what the network classifies by.")
        labels = [str(word) for word in words]
    refuse_few(labels, patients)
    states = np.array([-1 if word is None else names.index(word) for word in words], np.int64)
    paired = _paired(patients, states if names else np.arange(len(states)))
    if parameters.positives != "label" and len(paired) < LEAST:
        two = f"two photos of different {column or STATE}" if names else "two photos"
        raise InputError(
            f"{photos.source}: {len(paired)} patients have {two}; {LEAST} are needed for pairs, to train on, "
            "to stop by and to judge by. Name the patients in a column `patient`, or pass "
            f"{parameter('changes', 'positives=label')}."
        )
    if not names and parameters.positives != "label":
        notes.append(f"no column `{STATE}`: any two photos of a person are a pair.")
    dealt = [(label, f"{patient in paired}") for label, patient in zip(labels, patients, strict=True)]
    known = tuple(sorted(set(labels)))
    target = np.array([known.index(label) for label in labels])
    units = of_photos(features, known, target, parts(dealt, patients, parameters))
    return replace(units, states=states if names else None, state_names=names, notes=tuple(notes))


def _states(photos: CohortPictures, column: str | None, parameters: Parameters) -> list[str | None]:
    """The state of each photo; None where it is not known."""
    name = column or STATE
    there = photos.cells[0] if photos.cells else {}
    if name not in there:
        if column is not None:
            raise no_column("state", column, there)
        return [None] * len(photos.features)
    words = [
        None if w is None else str(w) for w in typed([c.get(name, "") for c in photos.cells], "category")
    ]
    known = sorted({word for word in words if word is not None})
    if len(known) < 2 and parameters.positives != "label":
        what = f"every photo is {known[0]}" if known else "the column is empty"
        raise InputError(
            f"{photos.source}: column {name}: {what}, and pairs are of two states. Add photos of the same "
            f"people in another state, or pass {parameter('changes', 'positives=label')}."
        )
    return words


def _paired(patients: Sequence[str], states: NDArray[np.int64]) -> set[str]:
    """Patients with photos of two states."""
    having: dict[str, set[int]] = defaultdict(set)
    for patient, state in zip(patients, states.tolist(), strict=True):
        if state >= 0:
            having[patient].add(state)
    return {patient for patient, of in having.items() if len(of) > 1}


def no_column(option: str, column: str, there: Iterable[str]) -> InputError:
    """What is said of a column that a cohort lacks."""
    return InputError(
        f"{parameter(option, column)}: no such column. There are {', '.join(there) or 'no others'}."
    )


# ------------------------------------------------------------------------------------------------- targets


def require_sites(cohort: Cohort, column: str, targets: Sequence[str]) -> None:
    """Refuse a column of sites that does not fit the targets; before any photo is read."""
    there = cohort.cases[0].metadata if cohort.cases else {}
    if column not in there:
        raise no_column("domain", column, there)
    known = sorted(set(_sites([case.metadata for case in cohort.cases], column)) - {""})
    given = parameter("domain", column)
    if len(known) < 2:
        what = f"every photo is of {known[0]}" if known else "the column is empty"
        raise InputError(f"{given}: {what}; two or more sites are needed, of which one is the target.")
    if not targets:
        raise InputError(
            f"{given}: which site is adapted to? Pass {parameter('changes', f'targets={known[-1]}')}; there "
            f"are {', '.join(known)}."
        )
    if unknown := [site for site in targets if site not in known]:
        raise InputError(f"targets {some(unknown)}: no such {column}. There are {', '.join(known)}.")
    if not set(known) - set(targets):
        raise InputError(f"targets {', '.join(targets)}: no photo is left to learn labels from. Name fewer.")


def split_by_site(
    photos: CohortPictures, column: str, targets: Sequence[str]
) -> tuple[CohortPictures, CohortPictures]:
    """The photos of a cohort to learn labels from, and those of the target sites."""
    foreign = np.array([site in targets for site in _sites(photos.cells, column)], dtype=bool)
    return photos.subset(np.flatnonzero(~foreign)), photos.subset(np.flatnonzero(foreign))


def _sites(cells: Sequence[Mapping[str, str]], column: str) -> list[str]:
    """The site of each photo; empty where it is not known."""
    return [str(word or "") for word in typed([row.get(column, "") for row in cells], "category")]


def with_target(
    units: Units, target: CohortPictures, parameters: Parameters
) -> tuple[Units, AdaptationTarget]:
    """The units with notes on a target, and the target's photos: those to adapt to, and those to judge by.

    Where target photos have labels that are learned, one fold of their people is kept apart to judge by.
    Labels decide neither who that is nor anything else: people are dealt by their names and the seed.
    """
    features = target.features
    labels, patients = features.labels.tolist(), features.patients.tolist()
    held = np.array(_kept_apart(units, patients, parameters), dtype=bool)
    known = np.array([label in units.labels for label in labels], dtype=bool)
    notes = list(units.notes)
    if unknown := sorted({label for label in labels if label} - set(units.labels)):
        notes.append(f"not judged in the target, because it was not learned: {some(unknown)}.")
    judged = None
    if (held & known).any():
        rows = np.flatnonzero(held & known)
        here = target.subset(rows).features
        index = np.array([units.labels.index(labels[i]) for i in rows])
        judged = of_photos(here, units.labels, index, np.full(len(rows), TEST))
        judged = replace(judged, rows=tuple((int(i),) for i in rows))
    else:
        notes.append("the target has no labels: figures are of the source alone.")
        held[:] = False
    adapted = np.flatnonzero(~held)
    digests = tuple(features.digests[adapted].tolist())
    made = AdaptationTarget(pictures=target.pictures, rows=adapted, digests=digests, judged=judged)
    return replace(units, notes=tuple(notes)), made


def _kept_apart(units: Units, patients: Sequence[str], parameters: Parameters) -> list[bool]:
    """Whether each photo's patient is kept apart: as among the labelled photos, or else one fold of them."""
    part = dict(zip(units.patients.tolist(), units.part.tolist(), strict=True))
    alone = sorted(set(patients) - part.keys())
    order = np.random.default_rng(parameters.seed).permutation(len(alone))
    fold = {alone[i]: at % parameters.folds for at, i in enumerate(order)}
    return [
        part[patient] == TEST if patient in part else fold[patient] == parameters.fold for patient in patients
    ]
