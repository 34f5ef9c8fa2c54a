"""Several photographs of one person to one row."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.batch.inputs import Item
from anthropo.batch.output import SUFFIXES_OF_TABLES, decode, encode
from anthropo.batch.records import (
    Record,
    Row,
    diagnostics_of,
    flatten_measurements,
    measurement_records,
    passed_through,
    scores_of,
    values_of,
)
from anthropo.errors import InputError
from anthropo.files import write_atomically
from anthropo.measurement.pooling import pool
from anthropo.reference.tables import parse_age, parse_sex
from anthropo.reference.zscore import disagreement
from anthropo.settings import Settings

if TYPE_CHECKING:
    pass

# Ages of one person's photos may differ by this share of the oldest: half a year at five, four at forty.
_AGES = 0.1


@dataclass(frozen=True, slots=True)
class Patient:
    """One person and the photographs and videos of them."""

    name: str  # as in the column `patient`; empty where there is none
    items: tuple[Item, ...]
    columns: dict[str, str]  # what the table says alike of all photos, and the mean age

    @property
    def shown(self) -> str:
        """What messages call the person."""
        if self.name:
            return f"patient {self.name}"
        more = f" and {len(self.items) - 1} more" if len(self.items) > 1 else ""
        return f"{self.items[0].path}{more}"


def patients(items: Sequence[Item]) -> list[Patient]:
    """Photos that share a name in the column `patient` are of one person; without that column, all are.

    Raises
    ------
    InputError
        If some photos have a patient and others none, one photo has two, or the photos of one person differ
        in sex, or in age by so much that the face is another.
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
    return [one_person(name, found) for name, found in by_name.items()]


def one_person(name: str, items: Sequence[Item]) -> Patient:
    """The person whose photos these are.

    Raises
    ------
    InputError
        If the photos differ in sex, or in age by so much that the face is another.
    """
    columns = {
        key: value
        for key, value in items[0].columns.items()
        if all(item.columns.get(key) == value for item in items)
    }
    who = Patient(name, tuple({item.path: item for item in items}.values()), columns)
    sexes = _said(items, "sex", parse_sex)
    if len(sexes) > 1:
        both = ", ".join(f"{sex} in {photo}" for sex, photo in sexes.items())
        raise InputError(f"{who.shown}: {both}. Correct the column `sex`, or `patient`.")
    if sexes:
        columns["sex"] = str(next(iter(sexes)))
    ages = _said(items, "age", parse_age)
    if ages:
        youngest, oldest = min(ages), max(ages)
        if oldest - youngest > _AGES * oldest:
            raise InputError(
                f"{who.shown}: {youngest:g} years old in {ages[youngest]}, {oldest:g} in {ages[oldest]}. A "
                "face changes between these: give each age a patient of its own."
            )
        columns["age"] = f"{sum(ages) / len(ages):g}"
    return who


def _said(items: Sequence[Item], key: str, parse: Callable[[str], Any]) -> dict[Any, str]:
    """What the photos say of a person's sex or age, and the first photo that says so."""
    found: dict[Any, str] = {}
    for item in items:
        text = item.columns.get(key, "")
        try:
            if text:
                found.setdefault(parse(text), item.path)
        except InputError:
            continue  # told when the photo itself is scored
    return found


def pool_patient(who: Patient, records: Mapping[str, Sequence[Record]], settings: Settings) -> Record:
    """One record of a person.

    Parameters
    ----------
    who : Patient
    records : mapping of path to records
        What `anthropo.batch.run` gave for each photo; photos that are missing there are left out.
    settings : Settings

    Returns
    -------
    dict
        ``photos`` lists each photo with what came of it; a person without any measured photo has the
        status failed.
    """
    photos = [record for item in who.items for record in records.get(item.path, ())]
    good = [record for record in photos if record["status"] == "ok"]
    person = Item(who.shown, who.columns)
    values = pool([values_of(record) for record in good]) if good else []
    scores, doubts = scores_of(person, values, settings) if good else ([], [])
    reason = ""
    if not good:
        reason = photos[0]["reason"] if photos else f"{who.shown}: not measured."
    return {
        "patient": who.name,
        "photos": [
            {
                "photo": record["photo"],
                "status": record["status"],
                "reason": record["reason"],
                "sha256": record["diagnostics"].get("sha256"),
                "gate_failed": [name for name, c in (record["gate"] or {}).items() if not c["ok"]],
                "moved": record["moved"] or {},
            }
            for record in photos
        ],
        "status": "ok" if good else "failed",
        "reason": reason,
        "measurements": measurement_records(values, scores, settings.scale is not None, []) if good else None,
        "disagreements": [d.sentence() for d in disagreement(scores)],
        "notes": doubts,
        "columns": who.columns,
        "diagnostics": diagnostics_of(person, settings),
    }


_DIAGNOSTICS = ("anthropo", "settings", "dlib", "landmark_model", "fine_model", "jitter", "person")
_FIRST = ("patient", "status", "reason", "photos", "photos_measured")


def flatten_patient(record: Record) -> Row:
    """A person's record as one row."""
    good = [p for p in record["photos"] if p["status"] == "ok"]
    row: Row = {
        "patient": record["patient"],
        "status": record["status"],
        "reason": record["reason"],
        "photos": "; ".join(p["photo"] for p in record["photos"]),
        "photos_measured": len(good),
    }
    row.update(passed_through({k: v for k, v in record["columns"].items() if k not in _FIRST}))
    row.update(flatten_measurements(record))
    for key in _DIAGNOSTICS:
        row[f"diagnostics_{key}"] = record["diagnostics"].get(key)
    row["diagnostics_sha256"] = " ".join(p["sha256"] for p in good)
    return row


def photos_table(path: str) -> Path:
    """Where the photos' own records are kept beside a table of people.

    Raises
    ------
    InputError
        If the table's suffix is unknown.
    """
    if not path.lower().endswith(SUFFIXES_OF_TABLES):
        raise InputError(f"{path}: a table of people ends in .csv, .parquet or .json.")
    return Path(path).with_suffix(".photos.json")


class People:
    """The table of people: made anew from the photos' records, and never half-written.

    Raises
    ------
    InputError
        If there is a file of this name that anthropo did not write.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._suffix = self.path.suffix.lower()
        self._earlier: list[Row] = []
        if os.path.isdir(path):
            raise InputError(f"{path}: a folder, not a file. Give the name of a file to write.")
        if not os.path.exists(path):
            return
        try:
            self._earlier = decode(self.path, self._suffix, "patients")
            for row in self._earlier:
                _ = row["patient"], row["photos"], row["status"]
        except (KeyError, TypeError, ValueError, OSError, csv.Error) as error:
            raise InputError(
                f"{path}: exists and is not a table of people that anthropo wrote ({type(error).__name__}). "
                "Choose another name, or delete it."
            ) from None

    def write(self, records: Sequence[Record]) -> None:
        """Write these people, then those that the table has had besides.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        current = {record["patient"] for record in records}
        rows: list[Any] = list(records) if self._suffix == ".json" else [flatten_patient(r) for r in records]
        rows += [row for row in self._earlier if row["patient"] not in current]
        try:
            write_atomically(self.path, encode(rows, self._suffix, "patients"))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}).") from None


def people_csv(records: Sequence[Record]) -> str:
    """A table of people as text."""
    return encode([flatten_patient(r) for r in records], ".csv").decode()


def by_photo(path: Path) -> dict[str, list[Record]]:
    """The records of a JSON table by their photo."""
    found: dict[str, list[Record]] = {}
    for record in decode(path, ".json"):
        found.setdefault(record["photo"], []).append(record)
    return found
