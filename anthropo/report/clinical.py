"""The findings of a person on one page of A4: what is unusual first, how it was found in small print."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from pathlib import Path
from typing import Any

from anthropo.batch.inputs import Item
from anthropo.batch.patients import PatientRecord
from anthropo.batch.records import MeasuredRecord, Record
from anthropo.batch.run import MeasuredFace, measure_item
from anthropo.batch.scores import Person
from anthropo.errors import FaceError
from anthropo.files import write
from anthropo.measurement.landmark_file import anatomical_name
from anthropo.measurement.registry import Entry, registry
from anthropo.reference.growth import MEASURES
from anthropo.reference.hpo import hpo_release
from anthropo.reference.rules import OBJECTIVE, SUBJECTIVE
from anthropo.reference.traits import (
    ABSENT,
    BORDERLINE,
    INCONCLUSIVE,
    LOOK,
    NOT_ASSESSED,
    NOT_GIVEN,
    PRESENT,
    Evidence,
    Trait,
    z_words,
)
from anthropo.reference.zscore import by_chance, signed
from anthropo.report.figures import overlay
from anthropo.report.growth_chart import centile_words, growth_chart, growth_words
from anthropo.report.rendering import embedded, jpeg, page
from anthropo.report.tables import distance_words, interval_words, number, quantity, sign
from anthropo.report.traits_page import row
from anthropo.report.zscores import Bar, bars, compared, findings, given, nothing_beyond
from anthropo.workflows.trait_calling import Findings, PersonTraits

_FACE_PX = 330  # width of the face in the picture, which is small on paper
_SPAN = 6.0  # SD that a strip reaches to each side
_TITLE = 45  # characters of a name
_PAGE = 275.0  # mm by `_height`; real pages, of which 277 fit on A4, came to 0.85 to 0.98 of it
_LEAST = 0.75  # how small letters may get


@dataclass(frozen=True, slots=True)
class _Room:
    """How much is listed; what is left out is counted on the page."""

    findings: int = 8
    measured: int = 8
    reasons: int = 4
    notes: int = 2
    checks: int = 3
    evidence: int = 120  # characters of a cell
    terms: int = 330  # of a list of terms
    note: int = 190  # of a remark


#: How much is listed as long as letters stay this large.
_ROOMS = ((0.9, _Room(terms=600)), (0.82, _Room()), (0.0, _Room(6, 5, 3, 1, 2, 90, 200, 150)))


def write_clinical(
    path: str | os.PathLike[str],
    traits: Findings | PersonTraits,
    *,
    seen: MeasuredFace | None = None,
) -> None:
    """Write one page of A4 for each person, to be read, printed and filed.

    Parameters
    ----------
    path : path
        A .html; the browser prints it, or makes a PDF of it.
    traits : anthropo.PersonTraits or Findings
        As `anthropo.traits` returns them.
    seen : MeasuredFace, optional
        The face that is shown, of one person; when left out, the photo is looked at once more.

    Raises
    ------
    FaceError
        If no face was measured.
    InputError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import anthropo
    >>> from anthropo.report import write_clinical
    >>> write_clinical("case.html", anthropo.traits(anthropo.example_photo(), sex="female", age=31))
    >>> "<h2>Findings" in Path("case.html").read_text()
    True
    """
    of = Findings(people=(traits,)) if isinstance(traits, PersonTraits) else traits
    if not of.measured:
        raise FaceError(" ".join(dict.fromkeys(person.record.reason for person in of.people)))
    people = [_person(person, seen) for person in of.measured]
    text = page("clinical.html", people=people, made=date.today().isoformat(), signed=signed)
    write(Path(path), text)


def _person(person: PersonTraits, seen: MeasuredFace | None) -> dict[str, Any]:
    """What a page says of one person, in as large letters and as many lines as fit."""
    shown = shown_photo(person.record)
    names = {one.name for one in findings(person.record)}
    lines = [entry for entry in registry().values() if entry.name in names]
    face = seen or _face(shown, person)
    picture = embedded(_picture(face, lines)) if face else ""
    for least, room in _ROOMS:
        told = _told(person, shown, room)
        zoom = _PAGE / _height(told)
        if zoom > least:
            break
    return told | {"picture": picture, "zoom": round(max(_LEAST, min(1.0, zoom)), 3)}


def _told(person: PersonTraits, shown: Record, room: _Room) -> dict[str, Any]:
    record = person.record
    called = [t for status in (PRESENT, BORDERLINE) for t in person.traits if t.status == status]
    called.sort(key=lambda t: (t.status != PRESENT, not t.by_eye))
    numbers = _measured(record)
    return {
        "title": _title(person),
        "given": " · ".join(
            filter(None, [given(person.item, _who(person), record.age_basis), *_more(person)])
        ),
        "compared": compared(record),
        "shown": _short(os.path.basename(shown.photo), _TITLE),
        "pose": {
            axis: f"{signed(value)}°" for axis, value in (shown.face.pose if shown.face else {}).items()
        },
        "pooled": _pooled(record),
        "called": len(called),
        "judged": any(t.status not in (NOT_ASSESSED, LOOK) for t in person.traits),
        "findings": [_finding(t, room.evidence) for t in called[: room.findings]],
        "more_findings": _listed(called[room.findings :], room.terms),
        "look": _listed((t for t in person.traits if t.status == LOOK), room.note),
        "measured": numbers[: room.measured],
        "more_measured": _joined([one["name"] for one in numbers[room.measured :]], "; ", room.terms),
        "nothing": nothing_beyond(record),
        "chance": [chance.sentence() for chance in by_chance(record.scores)][:2],
        "regions": _regions(record),
        "growth": [(embedded(growth_chart(g).encode()) if growth_chart(g) else "", g) for g in person.growth],
        "growth_words": growth_words,
        "centile": centile_words,
        "sizes": MEASURES,
        "gate": _gate(person, room),
        "distance": distance_words(shown),
        "inconclusive": _listed((t for t in person.traits if t.status == INCONCLUSIVE), room.terms),
        "absent": _listed((t for t in person.traits if t.status == ABSENT), room.terms),
        "open": _open(person.traits, room.reasons),
        "eye": sum(t.status == NOT_ASSESSED and t.rule.kind == SUBJECTIVE for t in person.traits),
        "moved": _moved(person, room.terms),
        "notes": _first(person, [g.reason for g in person.growth if g.reason], room),
        "intervals": interval_words(record),
        "about": record.diagnostics,
        "hashes": [(photo.diagnostics.sha256 or "")[:12] for photo in person.photos if photo.ok],
        "hpo": hpo_release(),
        "confidence": f"{100 * person.traits[0].confidence:g}" if person.traits else "95",
    }


def _height(told: dict[str, Any]) -> float:
    """About how high a page is, mm, from the number of its lines: rather too high than too low."""

    def lines(words: str, characters: int) -> int:
        return math.ceil(len(words) / characters)

    def of(words: Iterable[str], characters: int) -> float:
        return sum(4.3 * lines(one, characters) for one in words)

    rows = [max(lines(t["evidence"], 50), lines(t["label"], 21)) for t in told["findings"]]
    top = of([told["given"]], 68) + 12 + sum(1.1 + 4.1 * n for n in rows)
    top += of(filter(None, [told["more_findings"]]), 60)
    top += of([f"{told['look']:>{len(told['look']) + 60}}"], 68) if told["look"] else 0
    beyond = 11 + 5.1 * sum(max(1, len(m["scores"])) for m in told["measured"])
    beyond += of([told["more_measured"], 40 * " " + " ".join(told["chance"])], 112)
    left = 12 + 5.1 * len(told["regions"])
    left += sum(8 + of([told[name]], 54) for name in ("absent", "inconclusive") if told[name])
    right = 14 + of(told["gate"] or ["none"], 46) + of([*told["open"], "eye"], 52)
    growth = 52 if any(chart for chart, _ in told["growth"]) else 16 * bool(told["growth"])
    small = [told["moved"], *told["notes"], told["compared"] + told["intervals"] + 330 * " ", 230 * " "]
    fine = 8 + sum(3.3 * lines(one, 140) for one in small)
    return 13 + max(72, top) + beyond + max(left, right) + growth + fine


def _title(person: PersonTraits) -> str:
    """The code of the patient, or the photo's name without its folder."""
    record = person.record
    patient = record.patient if isinstance(record, PatientRecord) else ""
    code = patient or person.item.columns.get("patient", "")
    if code:
        return f"Patient {_short(code, _TITLE)}"
    if isinstance(record, PatientRecord):
        return "One person"
    return _short(os.path.basename(person.item.path), _TITLE) + (
        f", face {record.index}" if record.index else ""
    )


def _who(person: PersonTraits) -> Person:
    return Person(sex=person.sex or "", age=person.age, ancestry=person.ancestry)


def _more(person: PersonTraits) -> list[str]:
    """What else the table says that a reader looks for."""
    columns = person.item.columns
    about = [("taken", "photo of {}")]
    if not person.record.age_basis:  # which says it where it counts
        about.append(("gestation", "gestation {}"))
    return [words.format(cell) for name, words in about if (cell := columns.get(name, ""))]


def _pooled(record: Record | PatientRecord) -> str:
    """That a value is of several photos, or of a video's frames."""
    if isinstance(record, PatientRecord):
        used, there = len(record.measured), len(record.photos)
        if used == 1:
            return f"Values are of this one of {there} photos." if there > 1 else ""
        return f"Values are pooled from {used}{f' of {there}' if there > used else ''} photos."
    if record.video:
        return f"Values are pooled from {record.video.measured} frames of {record.video.seconds:.1f} s."
    return ""


# ----------------------------------------------------------------------------------- the picture


def shown_photo(record: Record | PatientRecord) -> Record:
    """The photo that stands on the page: of several the one that fails the fewest checks."""
    if isinstance(record, PatientRecord):
        return min(record.measured, key=lambda photo: len(photo.gate_failed))
    return record


def _face(shown: Record, person: PersonTraits) -> MeasuredFace | None:
    """The face once more, since records have no pixels; None where the photo is gone by now."""
    faces: list[MeasuredFace] = []
    measure_item(Item(shown.photo, dict(shown.columns)), person.settings, faces.append)
    return next((face for face in faces if face.observation.index == shown.index), None)


def _picture(seen: MeasuredFace, lines: list[Entry]) -> bytes:
    return jpeg(overlay(seen.observation.photo, seen.face, seen.scale, lines, _FACE_PX), quality=88)


# --------------------------------------------------------------------------------------- traits


def _finding(trait: Trait, most: int) -> dict[str, Any]:
    """A row of the table of findings."""
    words = row(trait)
    evidence = [_evidence(e) for e in trait.evidence if e.value == e.value]
    return {
        "label": words["label"],
        "hpo_id": trait.hpo_id,
        "status": trait.status,
        "how": "by eye" if trait.by_eye else "measured",
        "evidence": _short("; ".join(evidence) or words["reason"], most),
    }


def _evidence(evidence: Evidence) -> str:
    """A measurement with its z; which reference that is under, the table of measurements says."""
    name = evidence.measurement
    words = MEASURES[name].name if name in MEASURES else registry()[name].name
    z = evidence.score
    scored = "" if z is None or z.z != z.z else f", z {z_words(z)}"
    return f"{words} {quantity(evidence.value, evidence.unit)}{scored}"


def _listed(traits: Iterable[Trait], most: int) -> str:
    """Terms on a line; one that both sides have is named once."""
    sides: dict[str, list[str]] = {}
    for trait in traits:
        sides.setdefault(trait.label + (" (by eye)" if trait.by_eye else ""), []).append(trait.side)
    one_sided = {"R": ", right", "L": ", left"}
    names = [name + (one_sided.get(of[0], "") if len(of) == 1 else "") for name, of in sides.items()]
    return _joined(names, "; ", most)


def _open(traits: Sequence[Trait], most: int) -> list[str]:
    """What could not be judged, by the reason; the commonest first."""
    by_reason: dict[str, list[Trait]] = {}
    for trait in traits:
        grown = set(MEASURES).intersection(e.measurement for e in trait.evidence)
        if trait.status == NOT_ASSESSED and trait.rule.kind == OBJECTIVE and not grown:
            name, _, rest = trait.reason.partition(": ")
            if name in MEASURES and rest == NOT_GIVEN:
                rest = f"{MEASURES[name].name.lower()} was not given"
            known = name in MEASURES or name in registry()
            by_reason.setdefault((rest if known else trait.reason).rstrip("."), []).append(trait)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    lines = [f"{_listed(of, 130)}: {_short(reason, 110)}" for reason, of in ordered[:most]]
    if others := sum(len(of) for _, of in ordered[most:]):
        lines.append(f"{others} more for other reasons")
    return lines


# --------------------------------------------------------------------------------- measurements


def _measured(record: MeasuredRecord) -> list[dict[str, Any]]:
    """What lies beyond 2 SD, with its interval; in the order of `findings`."""
    by_name = {registry()[name].name: result for name, result in record.results.items()}
    rows = []
    for one in findings(record):
        result = by_name[one.name]
        z_unit = next((z.unit for z in result.scores if z.unit), result.measured.unit)
        in_mm = result.in_mm is not None and z_unit == result.in_mm.unit
        value = result.in_mm if in_mm and result.in_mm else result.measured
        interval = (
            ""
            if value.lo != value.lo
            else f"{number(value.lo, value.unit)} to {number(value.hi, value.unit)}"
        )
        rows.append(
            {
                "name": one.name,
                "value": quantity(value.value, value.unit),
                "interval": interval,
                "scores": one.scores[:2],
                "certain": one.certain,
            }
        )
    return rows


def _regions(record: MeasuredRecord) -> list[dict[str, Any]]:
    """Every z-score as a dot on the line of its region."""
    return [
        {
            "name": region.capitalize(),
            "scored": len({bar.entry.id for bar in of}),
            "beyond": len({bar.entry.id for bar in of if bar.beyond}),
            "dots": [(_along(bar), bar.beyond) for bar in sorted(of, key=lambda bar: bar.beyond)],
        }
        for region, of in bars(record).items()
    ]


def _along(bar: Bar) -> float:
    """Where a z lies on a strip, from 0 to 100."""
    return 50 + 50 * max(-1.0, min(1.0, bar.z.z / _SPAN))


# ------------------------------------------------------------------------------------ the photo


def _gate(person: PersonTraits, room: _Room) -> list[str]:
    """What the photo gate objects to in each photo; empty where it finds nothing."""
    several = len(person.photos) > 1
    lines = []
    for photo in person.photos:
        where = f"{_short(os.path.basename(photo.photo), _TITLE)}: " if several else ""
        if not photo.ok:
            lines.append(where + _short(photo.reason.removeprefix(f"{photo.photo}: "), room.note))
            continue
        if photo.remark:
            lines.append(where + _short(photo.remark, room.note))
        for check in photo.gate:
            if not check.ok:
                name, value = check.name.replace("_", " "), number(check.value, check.unit)
                limit = f"{sign(check.bound)} {quantity(check.limit, check.unit)}"
                lines.append(f"{where}{name} {value}, limit {limit}: {check.advice}")
    return _counted(lines, room.checks)


def _moved(person: PersonTraits, most: int) -> str:
    """The landmarks that were placed by hand, and how far."""
    parts = []
    for photo in person.photos:
        words = [f"{name} ({anatomical_name(name)}) by {px:.1f} px" for name, px in photo.moved.items()]
        if words:
            where = f" ({_short(os.path.basename(photo.photo), _TITLE)})" if len(person.photos) > 1 else ""
            parts.append(", ".join(words) + where)
    return _short("; ".join(parts), most)


# ----------------------------------------------------------------------------------- short words


def _short(words: str, most: int) -> str:
    """Words that are not too many, cut between two of them."""
    if len(words) <= most:
        return words
    return (words[:most].rpartition(" ")[0] or words[:most]).rstrip(",;:") + " …"


def _joined(names: Sequence[str], between: str, most: int) -> str:
    """As many names as there is room for, and how many more there are."""
    lengths = accumulate(len(name) + len(between) for name in names)
    shown = max(1, sum(length <= most for length in lengths))
    more = len(names) - shown
    return between.join([*names[:shown], *([f"and {more} more"] if more > 0 else [])])


def _counted(lines: Sequence[str], most: int, what: str = "") -> list[str]:
    more = len(lines) - most
    return [*lines] if more <= 0 else [*lines[:most], f"and {more} more{what}"]


def _first(person: PersonTraits, elsewhere: Sequence[str], room: _Room) -> list[str]:
    """The first remarks on the person, without what is said elsewhere on the page."""
    names = [person.item.path, *(photo.photo for photo in person.photos)]
    short = []
    for note in dict.fromkeys([*person.notes, *person.record.disagreements]):
        for name in names:
            note = note.removeprefix(f"{name}: ")
        if not note.endswith(tuple(elsewhere) or ("\0",)):
            short.append(_short(note, room.note))
    return _counted(short, room.notes, " remarks")
