"""Several photographs of one person to one row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, overload

from anthropo.batch.encoding import write_rows
from anthropo.batch.inputs import Item
from anthropo.batch.output import SUFFIXES_OF_TABLES
from anthropo.batch.reading import earlier_rows
from anthropo.batch.records import Json, MeasuredRecord, Record, Row, passed_through
from anthropo.batch.scores import diagnostics_of, scores_of
from anthropo.batch.spool import Spool
from anthropo.errors import InputError
from anthropo.files import writing
from anthropo.measurement.pooling import pool
from anthropo.reference.person import DAYS, exact_age, parse_age, parse_ancestry, parse_sex, written_gestation
from anthropo.reference.suited import is_studio_like
from anthropo.reference.zscore import disagreements
from anthropo.settings import Settings
from anthropo.spelling import look_alikes

# Ages of one person's photos may differ by this share of the oldest: half a year at five, four at forty.
_AGES = 0.1
_BABIES = 14 / DAYS  # or by this, years, whatever the age

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patient:
    """One person and the photographs and videos of them."""

    name: str  # as in the column `patient`; empty where there is none
    items: tuple[Item, ...]
    columns: dict[str, str]  # what the table says alike of all photos, and the mean age
    undated: str = ""  # why the dates that were given tell no age, where none of the photos has one

    @property
    def item(self) -> Item:
        """The person in place of a photo."""
        return Item(self.shown, self.columns, undated=self.undated)

    @property
    def shown(self) -> str:
        """What messages call the person."""
        if self.name:
            return f"patient {self.name}"
        more = f" and {len(self.items) - 1} more" if len(self.items) > 1 else ""
        return f"{self.items[0].path}{more}"


def patients(items: Sequence[Item]) -> list[Patient]:
    """The people in photos: one for each name in the column `patient`, or one where there is no such column.

    An InputError says where the table contradicts itself about a person.
    """
    by_name: dict[str, list[Item]] = {}
    owner: dict[str, str] = {}
    named = any("patient" in item.columns for item in items)
    for item in items:
        name = item.columns.get("patient", "")
        if named and not name:
            raise InputError(f"{item.path}: no patient is given. Fill in the column `patient`.")
        if owner.setdefault(item.path, name) != name:
            raise InputError(f"{item.path}: listed under two patients, {owner[item.path]} and {name}.")
        by_name.setdefault(name, []).append(item)
    return [one_person(name, photos) for name, photos in by_name.items()]


def spelled_alike(items: Iterable[Item]) -> list[str]:
    """A sentence where people of a table are spelled alike, and so may be one; none elsewhere."""
    photos: dict[str, list[str]] = {}
    for item in items:
        if name := item.columns.get("patient", ""):
            photos.setdefault(name, []).append(item.path)
    return [*filter(None, [look_alikes("patients", photos)])]


def one_person(name: str, items: Sequence[Item]) -> Patient:
    """The person whose photos these are; an InputError if these cannot be of one person."""
    columns = {
        key: value
        for key, value in items[0].columns.items()
        if all(item.columns.get(key) == value for item in items)
    }
    who = Patient(name, tuple({item.path: item for item in items}.values()), columns)
    spelled: dict[str, str] = {}  # ancestries in small letters, as the first row writes them

    def ancestry(text: str) -> str:
        name = parse_ancestry(text)
        if name is None:
            raise InputError("not known")
        return spelled.setdefault(name.casefold(), name)

    for name, parse in (("sex", parse_sex), ("gestation", written_gestation), ("ancestry", ancestry)):
        several = _stated(items, name, parse)
        if len(several) > 1:
            both = ", ".join(f"{value} in {photo}" for value, photo in several.items())
            raise InputError(f"{who.shown}: {both}. Correct the column `{name}`, or `patient`.")
        if several:
            (columns[name],) = several
    ages = _stated(items, "age", lambda text: (parse_age(text), text))
    if ages:
        (youngest, first), (oldest, last) = min(ages), max(ages)
        if far_apart(youngest, oldest):
            raise InputError(
                f"{who.shown}: {youngest:g} years old in {ages[youngest, first]}, {oldest:g} in "
                f"{ages[oldest, last]}. A face changes between these: use a separate patient name for each "
                "age."
            )
        values, words = {age for age, _ in ages}, [text for _, text in ages]
        mean = sum(values) / len(values)
        completed = f"{mean:g}" if all(text.strip().isdecimal() for text in words) else exact_age(mean)
        columns["age"] = words[0] if len(values) == 1 else completed
        return who
    return replace(who, undated=next(filter(None, (item.undated for item in items)), ""))


def far_apart(youngest: float, oldest: float) -> bool:
    """Whether a face changes between two ages in years, by growing or by growing old."""
    return oldest - youngest > max(_AGES * oldest, _BABIES)


def _stated(items: Sequence[Item], key: str, parse: Callable[[str], T]) -> dict[T, str]:
    """What is given of the person, each with the first photo it is given for."""
    values: dict[T, str] = {}
    for item in items:
        text = item.columns.get(key, "")
        try:
            if text:
                values.setdefault(parse(text), item.path)
        except InputError:
            continue  # the photo's own record has a note on it
    return values


_DIAGNOSTICS = (
    "anthropo",
    "settings",
    "dlib",
    "landmark_model",
    "fine_model",
    "jitter",
    "person",
    "declared",
)
_FIRST = ("patient", "status", "reason", "photos", "photos_measured")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatientRecord(MeasuredRecord):
    """One person in several photos and videos; failed when none of these could be measured.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.batch import collect
    >>> from anthropo.workflows.measuring import measure_items
    >>> items = collect([anthropo.example_photo(), "gone.jpg"])
    >>> (person,) = measure_items(items, anthropo.Settings(), people=True).people
    >>> person.status, len(person.photos), len(person.measured)
    ('ok', 2, 1)
    """

    patient: str  # as in the column `patient`
    photos: tuple[Record, ...]

    __repr__ = MeasuredRecord.__repr__

    @property
    def measured(self) -> list[Record]:
        """The photos that could be measured."""
        return [photo for photo in self.photos if photo.ok]

    def to_json(self) -> Json:
        """The record as the JSON output has it."""
        return {
            "patient": self.patient,
            "photos": [
                {
                    "photo": photo.photo,
                    "status": photo.status,
                    "reason": photo.reason,
                    "sha256": photo.diagnostics.sha256,
                    "gate_failed": photo.gate_failed,
                    "moved": dict(photo.moved),
                }
                for photo in self.photos
            ],
            "status": self.status,
            "reason": self.reason,
            "measurements": self.measurements_json(),
            "by_chance": self.chance_json(),
            "disagreements": list(self.disagreements),
            "notes": list(self.notes),
            "age_basis": self.age_basis,
            "columns": dict(self.columns),
            "diagnostics": self.diagnostics.to_json(),
        }

    def to_row(self) -> Row:
        """The record as one row."""
        row: Row = {
            "patient": self.patient,
            "status": self.status,
            "reason": self.reason,
            "photos": "; ".join(photo.photo for photo in self.photos),
            "photos_measured": len(self.measured),
        }
        row.update(passed_through({k: v for k, v in self.columns.items() if k not in _FIRST}))
        row.update(self.measurement_columns())
        row.update({f"diagnostics_{key}": getattr(self.diagnostics, key) for key in _DIAGNOSTICS})
        row["diagnostics_sha256"] = " ".join(photo.diagnostics.sha256 or "" for photo in self.measured)
        return row


def pool_patient(who: Patient, records: Mapping[str, Sequence[Record]], settings: Settings) -> PatientRecord:
    """One record of a person, from those that `run` gave for each photo.

    Photos that have no record are left out.
    """
    photos = tuple(record for item in who.items for record in records.get(item.path, ()))
    measured = [record.measurements for record in photos if record.ok]
    person = who.item
    diagnostics = diagnostics_of(person, settings)
    if not measured:
        reason = photos[0].reason if photos else f"{who.shown}: not measured."
        return PatientRecord(
            patient=who.name, photos=photos, reason=reason, columns=who.columns, diagnostics=diagnostics
        )
    values = pool(measured)
    studio = all(is_studio_like(record.gate) for record in photos if record.ok)
    scores = scores_of(person, values, settings, studio=studio)
    return PatientRecord(
        patient=who.name,
        photos=photos,
        measurements=tuple(values),
        scores=scores.scores,
        disagreements=tuple(disagreements(scores.scores)),
        notes=scores.notes,
        age_basis=scores.age_basis,
        columns=who.columns,
        diagnostics=diagnostics,
    )


class PooledPeople(Sequence[PatientRecord]):
    """People in several photos, each pooled when asked for: a table of many has no room for them."""

    def __init__(
        self, persons: Sequence[Patient], records: Mapping[str, Sequence[Record]], settings: Settings
    ) -> None:
        self._persons = persons
        self._records = records
        self._settings = settings

    def __len__(self) -> int:
        return len(self._persons)

    @overload
    def __getitem__(self, at: int) -> PatientRecord: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[PatientRecord]: ...
    def __getitem__(self, at: int | slice) -> PatientRecord | Sequence[PatientRecord]:
        if isinstance(at, slice):
            return PooledPeople(self._persons[at], self._records, self._settings)
        return pool_patient(self._persons[at], self._records, self._settings)


def photos_table(path: str) -> Path:
    """The file beside a table of people that keeps the records of their photos."""
    if not path.lower().endswith(SUFFIXES_OF_TABLES):
        raise InputError(f"{path}: a table of people ends in .csv, .parquet or .json, a report in .html.")
    return Path(path).with_suffix(".photos.json")


class PeopleTable:
    """The table of people, made anew from the records of the photos and never half-written.

    An InputError says that a file of this name is none of anthropo's, or why it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._suffix = self.path.suffix.lower()
        if os.path.isdir(path):
            raise InputError(f"{path}: a folder, not a file. Give the name of a file to write.")
        self._earlier = [
            row["patient"] for row in earlier_rows(self.path, "patients", ("patient", "photos", "status"))
        ]

    def write(self, records: Iterable[PatientRecord]) -> int:
        """Write these people, then those that the table has had besides; how many of these were measured."""
        current: set[str] = set()
        measured = 0
        with writing(self.path) as file, closing(Spool(self.path.parent)) as spool:
            for record in records:
                current.add(record.patient)
                measured += record.ok
                spool.add(record.to_json() if self._suffix == ".json" else record.to_row())
            for row in earlier_rows(self.path, "patients", ("patient", "photos", "status")):
                if row["patient"] not in current:
                    spool.add(row)
            write_rows(file, self._suffix, spool.rows, "patients")
        return measured
