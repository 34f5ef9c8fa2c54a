"""A reference table made of healthy controls."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.batch.inputs import Item, read_photo_table
from anthropo.batch.patients import spelled_alike
from anthropo.batch.run import run
from anthropo.errors import InputError, parameter
from anthropo.reference.build import (
    MIN_PEOPLE,
    MODEL_COLUMN,
    VERSION_COLUMN,
    By,
    Subject,
    Values,
    build_reference,
    one_instrument,
    parse_bands,
    require_columns,
    subject,
    values_of,
    values_of_row,
)
from anthropo.reference.tables import ReferenceRow, instrument_name
from anthropo.settings import Settings
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltReference:
    """A reference table, and what is not in it."""

    rows: tuple[ReferenceRow, ...]  # none if no sex and age band has enough people
    people: int
    left_out: tuple[str, ...]  # a sentence for each photo, person or band that is not used
    notes: tuple[str, ...]  # a sentence for measurements without a row, and for values left out

    def to_frame(self) -> pd.DataFrame:
        """The table, with the columns of its file."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Controls:
    measured: Sequence[tuple[Subject, Values]]  # one for each photo
    left_out: Sequence[str]
    instrument: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Options of making a reference table."""

    age_bands: str | None = None  # such as "0-2,3-5,18-60"; one band over the ages present when left out
    min_people: int = MIN_PEOPLE  # a band or measurement with fewer is refused; 10 at least
    by: By = "sex"  # rows for each sex, or for both together
    source: str | None = None  # who was measured; shown with every score
    landmark_model: str | None = None  # another one of the 68 points
    detector_model: str | None = None  # YuNet in an ONNX file as the second face detector
    jobs: int = 1  # threads


def build(
    controls: str | os.PathLike[str], request: BuildRequest, *, progress: Progress = silent
) -> BuiltReference:
    """Make a reference table from healthy controls, measured by anthropo itself.

    `controls` is a CSV with the columns `photo`, `sex`, `age` and, where people have several photos,
    `patient`; or a table with these columns that `anthropo measure` wrote, of which nothing is measured
    again. `anthropo.reference.write_reference` writes the rows.
    """
    by = request.by
    name = os.fspath(controls)
    bands = parse_bands(request.age_bands) if request.age_bands is not None else None
    table = read_photo_table(Path(name))
    items, columns = list(table.items), table.columns
    require_columns(name, ["photo", *columns], by)
    if VERSION_COLUMN in columns and MODEL_COLUMN in columns:
        if request.landmark_model is not None:
            raise InputError(
                f"{name} has been measured already: {parameter('landmark_model')} has nothing to do."
            )
        read = _from_table(name, items, by)
    else:
        read = _from_photos(items, request, progress)
    built = build_reference(
        read.measured,
        bands=bands,
        min_people=request.min_people,
        source=request.source or f"healthy controls of {Path(name).name}",
        instrument=read.instrument,
    )
    return BuiltReference(
        rows=built.rows,
        people=len({person.patient for person, _ in read.measured}),
        left_out=(*read.left_out, *built.refused),
        notes=(*spelled_alike(items), *built.notes),
    )


def _from_table(controls: str, items: Sequence[Item], by: By) -> _Controls:
    # photos as the table names them: relative to where `measure` ran, not to the table
    folder = Path(controls).parent
    paths = [Path(item.path) for item in items]
    names = [str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in paths]
    rows = [{**item.columns, "photo": name} for item, name in zip(items, names, strict=True)]
    several = {row["photo"] for row in rows if row.get("face", "0") != "0"}
    largest = parameter("face", "largest")
    left_out = [
        f"{photo}: several faces in the table; left out. Measure it with {largest}."
        for photo in sorted(several)
    ]
    measured = []
    for row in (row for row in rows if row["photo"] not in several):
        if row["status"] != "ok":
            left_out.append(row.get("reason") or f"{row['photo']}: failed.")
        elif person := _person(row["photo"], row, by, left_out):
            measured.append((person, values_of_row(controls, row)))
    return _Controls(measured=measured, left_out=left_out, instrument=one_instrument(controls, rows))


def _from_photos(items: Sequence[Item], request: BuildRequest, progress: Progress) -> _Controls:
    settings = Settings(landmark_model=request.landmark_model, detector_model=request.detector_model)
    left_out: list[str] = []
    people = [
        person
        for item in items
        if (person := _person(item.path, item.columns, request.by, left_out, item.undated))
    ]
    settings.fingerprint()  # a missing model is one error, not one per photo
    values: dict[str, Values] = {}
    failed: dict[str, str] = {}
    instrument = ""
    todo = [Item(path) for path in dict.fromkeys(person.photo for person in people)]
    with progress(len(todo), "measuring") as advance:
        for record, *_ in run(todo, settings, request.jobs):
            if record.ok:
                made = record.diagnostics
                instrument = instrument_name(made.anthropo, made.landmark_model, made.fine_model)
                values[record.photo] = values_of(record.measurements)
            else:
                failed[record.photo] = record.reason
            advance()
    left_out += [failed[item.path] for item in todo if item.path in failed]
    measured = [(person, values[person.photo]) for person in people if person.photo in values]
    return _Controls(measured=measured, left_out=left_out, instrument=instrument)


def _person(
    photo: str, columns: Mapping[str, str], by: By, left_out: list[str], undated: str = ""
) -> Subject | None:
    """Whose photo it is; None, and a sentence to `left_out`, if sex or age cannot be used."""
    try:
        if undated:
            raise InputError(f"{photo}: {undated}")
        return subject(photo, columns, by)
    except InputError as error:
        left_out.append(f"{error} Left out.")
        return None
