"""Figures of parts of the photos: by age band, sex or another column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anthropo.errors import InputError
from anthropo.learning.intervals import Interval
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import judge
from anthropo.showing import fielded

#: A subgroup with fewer patients than this is reported with a note.
SMALL_SUBGROUP = 10
#: Years, first of each band.
_AGE_BANDS = ((0, "0-2"), (3, "3-12"), (13, "13-17"), (18, "18-39"), (40, "40-64"), (65, "65+"))
NOT_GIVEN = "not given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """Figures of a part of the test photos."""

    n_photos: int
    n_patients: int
    metrics: dict[str, Interval]
    note: str = ""  # why its figures say little

    __repr__ = fielded


def by_subgroup(
    judged: Judged,
    values: Sequence[Any],
    positive: str | None = None,
    prevalence: float | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Subgroup]:
    """Figures of the photos of each value of a column (n,): in the order of ages or names."""
    names = np.array([_text(value) for value in values], dtype=object)
    if len(names) != len(judged.truth):
        raise InputError(f"{len(names)} values of the column, but {len(judged.truth)} photos.")
    bands = [name for _, name in _AGE_BANDS]
    order = sorted(
        set(names), key=lambda s: (s == NOT_GIVEN, bands.index(s) if s in bands else len(bands), s)
    )
    subgroups, chosen = {}, judged.index(positive)
    for name in order:
        part = judged.part(names == name)
        patients = len(set(part.groups.tolist()))
        notes = []
        if patients < SMALL_SUBGROUP:
            notes.append(f"only {patients} patient{'' if patients == 1 else 's'}")
        if len(set(part.truth.tolist())) == 1 or (chosen is not None and not (part.truth == chosen).any()):
            notes.append(part.one_sided(chosen))
        metrics = judge(part, positive, prevalence, bootstrap=bootstrap, seed=seed)
        subgroups[name] = Subgroup(
            n_photos=len(part.truth), n_patients=patients, metrics=metrics, note="; ".join(notes)
        )
    return subgroups


def age_bands(ages: Sequence[float | None]) -> list[str]:
    """The band of each age in years: 0-2, 3-12, 13-17, 18-39, 40-64, 65+; "not given" for None and NaN."""
    return [
        NOT_GIVEN
        if age is None or not math.isfinite(age) or age < 0
        else next(name for first, name in reversed(_AGE_BANDS) if age >= first)
        for age in ages
    ]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip():
        return NOT_GIVEN
    return str(value).strip()
