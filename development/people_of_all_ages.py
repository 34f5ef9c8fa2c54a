"""Photographs of people of all ages as `anthropo measure` measured them: what curves and snapshots need."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.measurement.registry import PIXELS, registry
from anthropo.reference.curve_fitting import MeasuredPeople

#: The groups of ancestry, by the words of the sets.
GROUPS = ("asian", "black", "indian", "other", "white")
#: The sets' youngest label, and most of those who have it are babies of the first year.
YOUNGEST = 1
_OLDEST = 95  # above, labels are rare and often wrong


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Measured faces, one row each."""

    photos: list[str]
    digests: list[str]  # SHA-256, hexadecimal
    age: NDArray[np.float64]  # completed years, as the set has it
    female: NDArray[np.bool_]
    group: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]  # NaN where there is none
    errors: dict[str, NDArray[np.float64]]  # repeatability, 1 SD
    posed: NDArray[np.bool_]  # no check of the photo gate failed
    #: Where the border cuts what a measurement needs: limit, 1 (at least) or -1 (at most) or 0 (not known),
    #: and its repeatability, of each face; see `beyond.py`.
    limits: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # (3, faces)

    def __len__(self) -> int:
        return len(self.photos)

    def people(self, measurement: str, *, limits: bool = False) -> tuple[NDArray[np.int64], MeasuredPeople]:
        """Those who have a measurement, or of whom a limit of it is known: their rows, and what is fitted."""
        values, errors = self.values[measurement], self.errors[measurement]
        side = np.zeros(len(self), np.int64)
        if limits and measurement in self.limits:
            at, which, error = self.limits[measurement]
            cut = np.isnan(values) & (which != 0)
            values, errors = np.where(cut, at, values), np.where(cut, error, errors)
            side = np.where(cut, which, 0).astype(np.int64)
        (rows,) = np.nonzero(np.isfinite(values))
        lo = np.where(self.age <= YOUNGEST, 0.0, self.age)
        return rows, MeasuredPeople(
            values[rows], lo[rows], self.age[rows] + 1, self.female[rows], self.group[rows], errors[rows],
            side[rows] if limits else None,
        )  # fmt: skip


def median_with_limits(values: NDArray[np.float64], limits: NDArray[np.float64], direction: int) -> float:
    """The median of values, and of what is at least (1) or at most (-1) at limits, by Kaplan and Meier.

    NaN where too much is cut for a median to be known.
    """
    at = direction * np.concatenate([values, limits])
    known = np.arange(len(at)) < len(values)
    order = np.lexsort((~known, at))
    still = len(at) - np.arange(len(at))
    survive = np.cumprod(np.where(known[order], 1 - 1 / still, 1.0))
    past = np.flatnonzero(survive <= 0.5)
    return float(direction * at[order][past[0]]) if len(past) else math.nan


def read_faces(tables: Sequence[Path], beyond: Path | None = None) -> Faces:
    """The tables' faces, each file once; `beyond` has limits of what the border cuts."""
    rows: dict[str, dict[str, str]] = {}
    for table in tables:
        with open(table, newline="") as file:
            for row in csv.DictReader(file):
                if row["status"] == "ok" and float(row["age"]) <= _OLDEST:
                    rows.setdefault(row["diagnostics_sha256"], row)
    every = list(rows.values())

    def numbers(column: str) -> NDArray[np.float64]:
        return np.array([float(row[column] or "nan") for row in every])

    limits: dict[str, NDArray[np.float64]] = {}
    if beyond:
        place = {digest: i for i, digest in enumerate(rows)}
        with open(beyond, newline="") as file:
            for row in csv.DictReader(file):
                if row["diagnostics_sha256"] in place:
                    of = limits.setdefault(row["measurement"], np.zeros((3, len(rows))))
                    of[:, place[row["diagnostics_sha256"]]] = [
                        float(row[name]) for name in ("limit", "direction", "repeat_sd")
                    ]

    return Faces(
        photos=[row["photo"] for row in every],
        digests=list(rows),
        age=numbers("age"),
        female=np.array([row["sex"] == "female" for row in every]),
        group=np.array([GROUPS.index(row["race"]) for row in every]),
        values={name: numbers(name) for name in registry() if name in every[0]},
        errors={name: np.nan_to_num(numbers(f"{name}_repeat_sd")) for name in registry() if name in every[0]},
        posed=np.array([not row["gate_failed"] for row in every]),
        limits=limits,
    )


def often_measured(faces: Faces, least: int = 300) -> list[str]:
    """Measurements that so many of the photographs have, without colours that the light decides on."""
    return [
        name
        for name, values in faces.values.items()
        if np.isfinite(values).sum() >= least
        and not (
            registry()[name].kind in PIXELS
            and (registry()[name].unit == "CIELAB" or registry()[name].kind == "eye")
        )
    ]
