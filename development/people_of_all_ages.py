"""Photographs of people of all ages as `anthropo measure` measured them: what curves and snapshots need."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.measurement.registry import PIXELS, registry
from anthropo.reference.curve_fitting import People

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

    def __len__(self) -> int:
        return len(self.photos)

    def people(self, measurement: str) -> tuple[NDArray[np.int64], People]:
        """Those who have a measurement: their rows, and what is fitted."""
        (rows,) = np.nonzero(np.isfinite(self.values[measurement]))
        lo = np.where(self.age <= YOUNGEST, 0.0, self.age)
        return rows, People(
            self.values[measurement][rows], lo[rows], self.age[rows] + 1, self.female[rows], self.group[rows],
            self.errors[measurement][rows],
        )  # fmt: skip


def read_faces(tables: Sequence[Path]) -> Faces:
    """The tables' faces, each file once."""
    rows: dict[str, dict[str, str]] = {}
    for table in tables:
        with open(table, newline="") as file:
            for row in csv.DictReader(file):
                if row["status"] == "ok" and float(row["age"]) <= _OLDEST:
                    rows.setdefault(row["diagnostics_sha256"], row)
    every = list(rows.values())

    def numbers(column: str) -> NDArray[np.float64]:
        return np.array([float(row[column] or "nan") for row in every])

    return Faces(
        photos=[row["photo"] for row in every],
        digests=list(rows),
        age=numbers("age"),
        female=np.array([row["sex"] == "female" for row in every]),
        group=np.array([GROUPS.index(row["race"]) for row in every]),
        values={name: numbers(name) for name in registry() if name in every[0]},
        errors={name: np.nan_to_num(numbers(f"{name}_repeat_sd")) for name in registry() if name in every[0]},
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
