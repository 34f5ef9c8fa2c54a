"""Several photos of one person: side by side, pooled, and what changed between them."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anthropo.batch.patients import Patient, one_person, pool_patient
from anthropo.batch.records import Record, Result
from anthropo.errors import InputError
from anthropo.groups.change import CHANGED, MOVED, Status
from anthropo.measurement.registry import registry
from anthropo.reference.growth import MEASURES
from anthropo.reference.rules import read_rules
from anthropo.report.change import interval, q_text, summary, write_change
from anthropo.report.change import signed_difference as difference
from anthropo.report.clinical import shown_photo, write_clinical
from anthropo.report.tables import number
from anthropo.settings import Settings
from anthropo.showing import signed
from anthropo.workbench import views
from anthropo.workbench.desk import Desk, Listed
from anthropo.workbench.sitting import Sitting, request
from anthropo.workflows.change import ChangeRequest, ChangeResult, change_between
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.trait_calling import TraitsTask, answer

Json = dict[str, Any]
MOST = 12  # photos of a person that are shown together


def photos_of(desk: Desk, photo: Listed) -> list[Listed]:
    """The photos of a photo's person by their dates, without these in the order of the table.

    It alone where nobody says who it is.
    """
    name = photo.columns.get("patient", "")
    if not name:
        return [photo]
    same = [one for one in desk.photos().values() if one.columns.get("patient", "") == name]
    return sorted(same, key=lambda one: one.columns.get("taken", "") or "~")  # which comes after all digits


def pooled_beside_photos(photo: Listed, sittings: Sequence[Sitting], left_out: Sequence[str]) -> Json:
    """The pooled measurements of a person beside those of each photo.

    An InputError says where the table contradicts itself about the person.
    """
    records = {}
    for sitting in sittings:
        with sitting.lock:
            records[str(sitting.photo.path)] = [sitting.record]
    alike = _of_this_age(photo, sittings)
    who = _who(photo, alike)
    pooled = pool_patient(who, records, Settings(face="largest"))
    notes = [*pooled.notes]
    if len(alike) < len(sittings):
        notes.insert(
            0,
            f"Pooled are the photos of this age, {len(alike)} of {len(sittings)}; the others are of an age "
            "at which a face has changed. “What changed” compares two of them.",
        )
    each = [records[str(sitting.photo.path)][0].results for sitting in sittings]
    rows = []
    for name, of in pooled.results.items():
        values = [results[name].measured.value for results in each]
        if not all(math.isnan(value) for value in values):
            rows.append(_row(name, of, [results[name] for results in each]))
    return {
        "patient": photo.columns.get("patient", ""),
        "photos": [
            {"id": one.photo.id, "name": one.photo.name, "taken": one.photo.columns.get("taken", "")}
            for one in sittings
        ],
        "left_out": list(left_out),
        "rows": rows,
        "notes": notes,
        "pooled": len(alike),
    }


def _of_this_age(photo: Listed, sittings: Sequence[Sitting]) -> list[Sitting]:
    """Those of a person's photos that may be pooled with one: all, unless ages tell them apart."""
    try:
        _who(photo, sittings)
        return [*sittings]
    except InputError:
        of_one = [replace(one.photo.item, columns={**one.photo.columns, "age": ""}) for one in sittings]
        one_person(photo.columns.get("patient", ""), of_one)  # what else they contradict each other about
    alike: list[Sitting] = []
    for sitting in sorted(sittings, key=lambda one: one.photo.id != photo.id):  # it first
        with contextlib.suppress(InputError):
            _who(photo, [*alike, sitting])
            alike.append(sitting)
    return alike


def _who(photo: Listed, sittings: Sequence[Sitting]) -> Patient:
    return one_person(photo.columns.get("patient", ""), [sitting.photo.item for sitting in sittings])


def clinical(photo: Listed, sittings: Sequence[Sitting]) -> bytes:
    """The clinical report of a person, from all photos together.

    A FaceError says that none of them is fit to be judged.
    """
    sittings = _of_this_age(photo, sittings)
    who = _who(photo, sittings)
    once = {}  # what was entered beside one of the photos
    for name in ("observed", *MEASURES):
        cells = {cell for one in sittings if (cell := one.photo.columns.get(name, ""))}
        if len(cells) == 1:
            once[name] = cells.pop()
    who = replace(who, columns={**who.columns, **once})
    settings = Settings(face="largest", references=("auto",))
    records = {str(sitting.photo.path): [sitting.traits().record] for sitting in sittings}
    of_photos = {path: [one for one in of if isinstance(one, Record)] for path, of in records.items()}
    pooled = pool_patient(who, of_photos, settings)
    task = TraitsTask(
        items=who.items, people=(who,), request=request(), settings=settings, rules=read_rules()
    )
    person = answer(who.item, pooled, task)
    seen = None
    if pooled.ok:
        shown = shown_photo(pooled).photo
        seen = next((one.measured for one in sittings if str(one.photo.path) == shown), None)
    with tempfile.TemporaryDirectory(prefix="anthropo-") as folder:
        path = Path(folder) / "clinical.html"
        write_clinical(path, person, seen=seen)
        return path.read_bytes()


def _z(of: Result) -> str:
    score = next((z for z in of.scores if not math.isnan(z.z)), None)
    return "" if score is None else signed(score.z, 1)


def _row(name: str, of: Result, each: Sequence[Result]) -> Json:
    entry, value = registry()[name], of.measured
    return {
        "id": name,
        "name": entry.name,
        "region": entry.region,
        "unit": "" if value.unit == "1" else value.unit,
        "pooled": number(value.value, value.unit),
        "interval": views.interval(value),
        "z": _z(of),
        "values": [{"value": number(one.measured.value, value.unit), "z": _z(one)} for one in each],
    }


def changed(desk: Desk, before: Listed, after: Listed) -> ChangeResult:
    """What changed from one photo to another, with the points that were moved."""
    if before.id == after.id:
        raise InputError("One photo is before and after. Choose two.")
    corrected = desk.corrections
    reading = PhotoReading(face="largest", landmarks=None if corrected is None else str(corrected))
    return change_between([[before.item], [after.item]], ChangeRequest(reading=reading))


def change_words(result: ChangeResult, names: Sequence[str]) -> Json:
    """What changed, in words and rows; `names` are the photos' places in the folder."""
    groups: tuple[tuple[str, Status], ...] = (("changed", CHANGED), ("moved", MOVED))
    paths = [one.photo for one in (*result.before, *result.after)]
    remarks = [*result.remarks, *result.left_out]
    for path, name in zip(paths, names, strict=False):
        remarks = [remark.replace(path, name) for remark in remarks]
    return {
        "summary": summary(result),
        "remarks": remarks,
        "groups": [
            {
                "name": name,
                "rows": [
                    {
                        "id": one.id,
                        "name": one.entry.name,
                        "unit": "" if one.entry.unit == "1" else one.entry.unit,
                        "before": number(one.before, one.entry.unit),
                        "after": number(one.after, one.entry.unit),
                        "difference": difference(one.difference, one.entry.unit),
                        "interval": interval(one),
                        "q": q_text(one),
                    }
                    for one in result.of(status)
                ],
            }
            for name, status in groups
        ],
    }


def page(result: ChangeResult) -> bytes:
    """What changed, as a page with both faces."""
    with tempfile.TemporaryDirectory(prefix="anthropo-") as folder:
        path = Path(folder) / "change.html"
        write_change(result, path)
        return path.read_bytes()
