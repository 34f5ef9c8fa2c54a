"""Measurements of one's own, checked and tried before they are used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anthropo.errors import InputError
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.own import left_out, ordinary
from anthropo.measurement.registry import Entry, registry
from anthropo.observation import observe
from anthropo.photo import example_photo
from anthropo.settings import Settings
from anthropo.showing import fielded, html

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedMeasurement:
    """One measurement of one's own, and what it gives."""

    entry: Entry
    derived: tuple[str, ...]  # columns that the table leaves out, and that were derived
    measured: Measurement  # on the photo, also where the photo gate voids it: its `reason` then says so
    mean: float  # of ordinary adults' faces
    people_sd: float  # SD between them

    def row(self) -> dict[str, Any]:
        """The measurement as a row of a table."""
        entry, value = self.entry, self.measured
        return {
            "id": entry.id, "name": entry.name, "kind": entry.kind, "unit": entry.unit,
            "expression": entry.expression, "value": value.value, "lo": value.lo, "hi": value.hi,
            "repeat_sd": value.repeat_sd, "reason": value.reason, "mean": self.mean,
            "people_sd": self.people_sd, "voids": " ".join(entry.voids), "derived": " ".join(self.derived),
            "same_as": entry.same_as, "definition": entry.definition,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedRegistry:
    """Measurements of one's own, as `check_registry` found them."""

    measurements: tuple[CheckedMeasurement, ...]
    photo: str  # that they were tried on; empty: the example photo

    __repr__ = fielded

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """A row for each measurement."""
        import pandas as pd

        return pd.DataFrame([one.row() for one in self.measurements])


def check_registry(
    *tables: str | os.PathLike[str], photo: str | os.PathLike[str] | None = None
) -> CheckedRegistry:
    """Check tables of measurements of one's own, and measure a photo by them; nothing is added.

    Parameters
    ----------
    *tables : path
        As for `anthropo.registry.add`.
    photo : path, optional
        What they are tried on, its largest face; the example photo when left out.

    Returns
    -------
    CheckedRegistry

    Raises
    ------
    InputError
        Naming the table, row and column that cannot be used.
    PhotoError, FaceError
        If the photo cannot be measured.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> row = 'jaw_index,"Jaw to face height",ratio,%,"100 * d(goR, goL) / d(n, gn)"'
    >>> _ = Path("mine.csv").write_text(f"id,name,kind,unit,expression\\n{row}\\n")
    >>> (one,) = anthropo.check_registry("mine.csv").measurements
    >>> one.entry.voids, one.derived, 80 < one.measured.value < 120
    (('pitch', 'mouth_open'), ('region', 'side', 'voids'), True)
    """
    if not tables:
        raise InputError("No table of measurements is given. Name one or more.")
    seen = observe(example_photo() if photo is None else os.fspath(photo), Settings(face="largest"))
    with registry.added(*tables) as entries:
        values = {m.id: m for m in reversed(measure_face(seen.face, seen.photo, force=True))}
        derived = left_out(tables)
        made = []
        for entry in entries:
            people = ordinary(entry)
            made.append(
                CheckedMeasurement(
                    entry=entry,
                    derived=derived[entry.id],
                    measured=values[entry.id],
                    mean=float(np.mean(people)),
                    people_sd=float(np.std(people)),
                )
            )
    return CheckedRegistry(measurements=tuple(made), photo="" if photo is None else os.fspath(photo))
