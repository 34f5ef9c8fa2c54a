"""A cohort of synthetic photographs, with a table of what was changed in them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from anthropo.errors import InputError
from anthropo.files import write_atomically
from anthropo.licensing import check_faces
from anthropo.synthetic.morphs import CONTROL, SINGLE_MORPHS, SYNDROMES, Syndrome, displacement_of, healthy_sd
from anthropo.synthetic.neutral import neutral_face
from anthropo.synthetic.picture import person_of, photograph

COHORT = "cohort.csv"
TRUTH = "truth.csv"
AGES = (19, 40)  # years: the adults whose shapes the faces are drawn from
_VARIATION = 0.15  # SD of how strongly a patient shows a change, as a share of it


def make_cohort(
    folder: str | os.PathLike[str],
    n_per_label: int = 40,
    labels: Iterable[str | Syndrome] = (CONTROL, "synthetic-A"),
    seed: int = 0,
    photos_per_patient: int = 1,
    jobs: int = 2,
) -> Path:
    """Write a cohort of synthetic photographs.

    Parameters
    ----------
    folder : path
        Made when missing; must be empty.
    n_per_label : int
        Patients of each label.
    labels : sequence of str or Syndrome
        Names in `SYNDROMES`, or changes of your own.
    seed : int
        The same seed gives the same patients, whatever `jobs`.
    photos_per_patient : int
    jobs : int
        Threads.

    Returns
    -------
    Path
        Of ``cohort.csv``: columns photo, label, patient, age, sex, synthetic. Age and sex are drawn
        regardless of the label. What was changed is in ``truth.csv`` beside it (photo, label,
        measurement, amount in the measurement's unit, amount_sd), so that no model reads it.

    Raises
    ------
    InputError
        If a label is unknown or given twice, a number is too small, or the folder is not empty or
        cannot be written.

    Examples
    --------
    >>> from anthropo.synthetic import make_cohort
    >>> make_cohort("somewhere", labels=["synthetic-Z"])
    Traceback (most recent call last):
    anthropo.errors.InputError: No synthetic label is called 'synthetic-Z'. Choose from control, ...
    """
    syndromes = [_syndrome(label) for label in labels]
    names = [syndrome.name for syndrome in syndromes]
    if not names:
        raise InputError("No label was given; name at least one.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"Label {twice!r} is given twice.")
    numbers = {"n_per_label": n_per_label, "photos_per_patient": photos_per_patient, "jobs": jobs}
    for name, number in numbers.items():
        if number < 1:
            raise InputError(f"{name}={number}: at least 1 is needed.")
    check_faces()  # they are made with the generic face
    target = _empty_folder(folder)
    # drawn in an order that says nothing about the label
    order = np.random.default_rng([seed, 0]).permutation(len(syndromes) * n_per_label)
    patients = [(n, syndromes[k % len(syndromes)]) for n, k in enumerate(order)]
    neutral_face()  # once, before the threads
    try:
        with ThreadPoolExecutor(jobs) as pool:
            made = list(pool.map(lambda p: _patient(target, p[0], p[1], seed, photos_per_patient), patients))
        rows, truth = ([row for part in parts for row in part] for parts in zip(*made, strict=True))
        columns = ["photo", "label", "measurement", "amount", "amount_sd"]
        write_atomically(target / TRUTH, _csv([columns, *truth]))
        columns = ["photo", "label", "patient", "age", "sex", "synthetic"]
        write_atomically(target / COHORT, _csv([columns, *rows]))
    except OSError as error:
        raise InputError(
            f"{folder}: the synthetic cohort cannot be written ({error.strerror}). Name another folder."
        ) from None
    return target / COHORT


def _empty_folder(folder: str | os.PathLike[str]) -> Path:
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        occupied = any(target.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be used as a folder ({error.strerror}). Name another.") from None
    if occupied:
        raise InputError(f"{folder}: the folder is not empty. Name a new one for the synthetic cohort.")
    return target


_Rows = list[list[str]]


def _patient(folder: Path, number: int, syndrome: Syndrome, seed: int, photos: int) -> tuple[_Rows, _Rows]:
    """Write a patient's photos; their rows of the cohort, and of the truth."""
    name, random = f"synthetic-{number + 1:04d}", np.random.default_rng([seed, 1, number])
    age, sex = int(random.integers(AGES[0], AGES[1] + 1)), ("female", "male")[random.integers(2)]
    changes = {
        key: float(np.clip(amount * (1 + _VARIATION * random.standard_normal()), *SINGLE_MORPHS[key].range))
        for key, amount in syndrome.changes.items()
    }
    amounts = [
        [i, f"{amount * healthy_sd()[i]:.5g}", f"{amount:.3f}"]
        for morph, amount in changes.items()
        for i in SINGLE_MORPHS[morph].measurements
    ]
    person = person_of(random, changes)
    rows, truth = [], []
    for index in range(photos):
        photo = f"{name}-{index + 1}.jpg"
        write_atomically(folder / photo, photograph(person, random))
        rows.append([photo, syndrome.name, name, str(age), sex, "yes"])
        truth += [[photo, syndrome.name, *row] for row in amounts]
    return rows, truth


def _syndrome(label: str | Syndrome) -> Syndrome:
    syndrome = SYNDROMES.get(label) if isinstance(label, str) else label
    if syndrome is None:
        raise InputError(f"No synthetic label is called {label!r}. Choose from {', '.join(SYNDROMES)}.")
    displacement_of(syndrome.changes)  # refuses what it does not know
    return syndrome


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
