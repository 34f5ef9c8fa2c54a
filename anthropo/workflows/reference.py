"""A reference table made of healthy controls."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo._version import __version__
from anthropo.batch.inputs import Item, read_photo_table
from anthropo.batch.patients import spelled_alike
from anthropo.batch.run import run
from anthropo.decoding.limits import DEADLINE, MAX_MEGAPIXELS
from anthropo.decoding.provenance import synthetic_sentence
from anthropo.errors import InputError, parameter
from anthropo.face.detection import Which
from anthropo.face.fine import fine_sha256
from anthropo.face.landmarker import DEFAULT_JITTER, checked_landmark_model
from anthropo.files import write
from anthropo.measurement.compute import Measurement
from anthropo.measurement.landmark_file import Corrections
from anthropo.parallel.runner import Runner
from anthropo.reference.build import (
    MIN_PEOPLE,
    MODEL_COLUMN,
    SYNTHETIC_COLUMN,
    VERSION_COLUMN,
    By,
    MeasuredPhoto,
    Subject,
    build_reference,
    errors_of,
    errors_of_row,
    one_instrument,
    parse_bands,
    require_columns,
    subject,
    values_of,
    values_of_row,
)
from anthropo.reference.curves import as_csv as curves_as_csv
from anthropo.reference.own_curves import MANY, BuiltCurves, build_curves, refuse_other_models
from anthropo.reference.tables import ReferenceRow, instrument_name
from anthropo.reference.tables import as_csv as rows_as_csv
from anthropo.settings import Settings
from anthropo.showing import html
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltReference:
    """A reference table, and what is not in it."""

    rows: tuple[ReferenceRow, ...]  # of bands; none if no sex and age band has enough people, or of curves
    people: int
    left_out: tuple[str, ...]  # a sentence for each photo, person or band that is not used
    notes: tuple[str, ...]  # a sentence for measurements without a row, and for values left out
    curves: BuiltCurves | None = None  # in place of rows, of a table by age

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.curves.curves if self.curves else self.rows)

    def as_csv(self) -> str:
        """The table as text."""
        if self.curves:
            return curves_as_csv(self.curves.curves, self.curves.groups)
        return rows_as_csv(self.rows)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the table, whole or not at all; an InputError if it cannot be written."""
        write(Path(path), self.as_csv(), advice="Choose another place.")

    def sentence(self) -> str:
        """What is in it."""
        if self.curves:
            return self.curves.sentence()
        kinds = len({row.measurement for row in self.rows})
        return f"{len(self.rows)} rows, {kinds} measurements, from {self.people} people"

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """The table, with the columns of its file."""
        import pandas as pd

        return pd.read_csv(io.StringIO(self.as_csv()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Controls:
    measured: Sequence[MeasuredPhoto]
    left_out: Sequence[str]
    instrument: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Options of making a reference table; how photos are read is as for `anthropo.Settings`."""

    age_bands: str | None = None  # such as "0-2,3-5,18-60"; one band over the ages present when left out
    min_people: int = MIN_PEOPLE  # a band or measurement with fewer is refused; 10 at least
    by: By = "sex"  # rows for each sex, or for both together; or curves over age for each sex
    source: str | None = None  # who was measured; shown with every score
    face: Which = "one"  # with several faces: refuse the photo, or take the largest
    jitter: int = DEFAULT_JITTER  # evaluations of the landmark model per face
    fine: bool = True  # whether the landmarks are refined in patches
    landmarks: str | None = None  # those that were corrected by hand: a file, or a folder of files
    scale: str | None = None  # lengths in millimetres as well; a column `scale` comes first
    distance: str | float | None = None  # of the camera; a column `distance` comes first
    landmark_model: str | None = None  # another one of the 68 points
    detector_model: str | None = None  # YuNet in an ONNX file as the second face detector
    max_megapixels: float = MAX_MEGAPIXELS  # larger photos are refused
    deadline: float = DEADLINE  # seconds of computing that decoding a photo may take
    jobs: int = 1  # photos that are worked on at once
    runner: Runner | None = None  # who works on them; chosen by `jobs` when left out

    def settings(self, photos: Sequence[str] = ()) -> Settings:
        """How these photos are measured."""
        return Settings(
            face=self.face,
            jitter=self.jitter,
            fine=self.fine,
            scale=self.scale,
            distance=self.distance,
            landmark_model=self.landmark_model,
            detector_model=self.detector_model,
            max_megapixels=self.max_megapixels,
            deadline=self.deadline,
            corrections=Corrections(self.landmarks, photos) if self.landmarks and photos else None,
        )


#: Options that say how photos are measured, and of each photo alone.
_OF_MEASURING = (
    "face",
    "jitter",
    "fine",
    "landmarks",
    "scale",
    "distance",
    "landmark_model",
    "detector_model",
)
_OF_PHOTO = ("scale", "distance", "face_at")


def build(
    controls: str | os.PathLike[str], request: BuildRequest, *, progress: Progress = silent
) -> BuiltReference:
    """Make a reference table from healthy controls, measured by anthropo itself.

    `controls` is a CSV with the columns `photo`, `sex`, `age` and, where people have several photos,
    `patient`; or a table with these columns that `anthropo measure` wrote, of which nothing is measured
    again. `BuiltReference.write` writes it.
    """
    by = request.by
    name = os.fspath(controls)
    if by == "age":
        _refuse_bands(request)
    bands = parse_bands(request.age_bands) if request.age_bands is not None else None
    table = read_photo_table(Path(name))
    items, columns = list(table.items), table.columns
    require_columns(name, ["photo", *columns], by)
    if VERSION_COLUMN in columns and MODEL_COLUMN in columns:
        for option in _OF_MEASURING:
            if getattr(request, option) != getattr(BuildRequest(), option):
                given = parameter(option, False) if option == "fine" else parameter(option)
                raise InputError(
                    f"{name} has been measured already: {given} has nothing to do. Leave it out."
                )
        read = _from_table(name, items, by)
    else:
        read = _from_photos(items, request, progress)
    source = request.source or f"healthy controls of {Path(name).name}"
    if by == "age":
        curves = build_curves(read.measured, source=source, instrument=read.instrument)
        return BuiltReference(
            rows=(),
            people=curves.people,
            left_out=(*read.left_out, *curves.refused),
            notes=(*spelled_alike(items), *curves.notes),
            curves=curves,
        )
    built = build_reference(
        [(photo.subject, photo.values) for photo in read.measured],
        bands=bands,
        min_people=request.min_people,
        source=source,
        instrument=read.instrument,
    )
    return BuiltReference(
        rows=built.rows,
        people=len({photo.subject.patient for photo in read.measured}),
        left_out=(*read.left_out, *built.refused),
        notes=(*spelled_alike(items), *built.notes),
    )


def _refuse_bands(request: BuildRequest) -> None:
    """An InputError where a request of curves has what is about bands."""
    given = {"age_bands": request.age_bands is not None, "min_people": request.min_people != MIN_PEOPLE}
    for name in (name for name, is_given in given.items() if is_given):
        raise InputError(
            f"{parameter(name)} is about bands of age, and {parameter('by', 'age')} makes curves. Leave one "
            "of them out."
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
        elif kind := row.get(SYNTHETIC_COLUMN):
            left_out.append(f"{row['photo']}: {synthetic_sentence(kind)} Left out.")
        elif person := _person(row["photo"], row, by, left_out):
            values, errors = values_of_row(controls, row), errors_of_row(controls, row)
            measured.append(MeasuredPhoto(person, values, errors))
    return _Controls(measured=measured, left_out=left_out, instrument=one_instrument(controls, rows))


def _from_photos(items: Sequence[Item], request: BuildRequest, progress: Progress) -> _Controls:
    settings = request.settings([item.path for item in items])
    left_out: list[str] = []
    people = [
        person
        for item in items
        if (person := _person(item.path, item.columns, request.by, left_out, item.undated))
    ]
    settings.fingerprint()  # a missing model is one error, not one per photo
    if request.by == "age" and len({person.patient for person in people}) < MANY:  # before hours of measuring
        models = checked_landmark_model(request.landmark_model).sha256, fine_sha256() if request.fine else ""
        refuse_other_models(instrument_name(__version__, *models))
    measured_of: dict[str, Sequence[Measurement]] = {}
    failed: dict[str, str] = {}
    instrument = ""
    columns = {item.path: item.columns for item in items}
    of_photo = (
        (*_OF_PHOTO, "age") if request.scale or "scale" in next(iter(columns.values()), {}) else _OF_PHOTO
    )
    todo = [
        Item(path, {name: cell for name, cell in columns[path].items() if name in of_photo})
        for path in dict.fromkeys(person.photo for person in people)
    ]
    with progress(len(todo), "measuring") as advance:
        for record, *_ in run(todo, settings, request.jobs, request.runner):
            if record.ok and (kind := record.diagnostics.synthetic):
                failed[record.photo] = f"{record.photo}: {synthetic_sentence(kind)} Left out."
            elif record.ok:
                made = record.diagnostics
                instrument = instrument_name(made.anthropo, made.landmark_model, made.fine_model)
                measured_of[record.photo] = record.measurements
            else:
                failed[record.photo] = record.reason
            advance()
    left_out += [failed[item.path] for item in todo if item.path in failed]
    measured = [
        MeasuredPhoto(person, values_of(measured_of[person.photo]), errors_of(measured_of[person.photo]))
        for person in people
        if person.photo in measured_of
    ]
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
