"""HPO traits of people, called from their photographs and from what was measured by hand."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from anthropo.batch.inputs import Item, collect
from anthropo.batch.patients import Patient, PatientRecord, patients, pool_patient
from anthropo.batch.records import Record
from anthropo.batch.run import run
from anthropo.batch.scores import person_of
from anthropo.errors import FaceError, InputError, parameter
from anthropo.measurement.compute import Measurement
from anthropo.reference.growth import MEASURES, Growth, age_span, grow
from anthropo.reference.phenopacket import phenopacket
from anthropo.reference.rules import Rule, read_rules
from anthropo.reference.tables import DEFAULT_REFERENCE, parse_age, parse_sex
from anthropo.reference.traits import CONFIDENCE, Evidence, Trait, call_traits, z_words
from anthropo.reference.zscore import ZScore, score
from anthropo.settings import Settings
from anthropo.workflows.classify import SEPARATOR, Photos, as_names
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsRequest:
    """What is asked of every photo."""

    settings: Settings = field(default_factory=lambda: Settings(references=(DEFAULT_REFERENCE,)))
    rules: tuple[Rule, ...] = field(default_factory=read_rules)
    sizes: Mapping[str, float] = field(default_factory=dict)  # by `MEASURES`, of who has no such column
    chart: str = "who"  # one of `CHARTS`
    confidence: float = CONFIDENCE
    patient: bool = False  # one answer per person instead of one per photo


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PersonTraits:
    """The traits of one face, or of one person in several photos.

    Attributes
    ----------
    traits : tuple of Trait
        One for each rule and side.
    growth : tuple of Growth
        Sizes that were measured by hand, against a growth chart.
    measurements : tuple of Measurement
    scores : tuple of ZScore
        Of the measurements.
    notes : tuple of str
        What could not be had although it was asked for.
    """

    item: Item  # of a person: what is shown in the photo's place, and the columns that are alike
    record: Record | PatientRecord
    traits: tuple[Trait, ...]
    growth: tuple[Growth, ...]
    measurements: tuple[Measurement, ...]
    scores: tuple[ZScore, ...]
    notes: tuple[str, ...]
    sex: str | None
    age: str  # as it was given; empty if it is unknown

    @property
    def moved(self) -> list[str]:
        """Landmarks that were placed by hand, in any of the photos."""
        return list(dict.fromkeys(name for photo in self.photos for name in photo.moved))

    @property
    def photos(self) -> tuple[Record, ...]:
        """The records of the photos, also of those that could not be measured."""
        return self.record.photos if isinstance(self.record, PatientRecord) else (self.record,)

    @property
    def identity(self) -> str:
        """A name from the photos' hashes, which tells nothing to whoever does not have the files."""
        digests = sorted(photo.diagnostics.sha256 or "" for photo in self.photos)
        if isinstance(self.record, Record):
            face = f"-{self.record.index}" if self.record.index else ""
            return f"anthropo-{digests[0][:16]}{face}"
        hashes = "".join(digests)
        return f"anthropo-{hashlib.sha256(hashes.encode()).hexdigest()[:16]}"

    def phenopacket(self, identity: str | None = None) -> dict[str, Any]:
        """The person as a GA4GH phenopacket, version 2.0; named by the photos' hashes when left out."""
        return phenopacket(
            identity or self.identity, self.measurements, self.scores, self.traits, self.growth, sex=self.sex,
            age=self.age, by_hand=self.moved,
        )  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """A row for each trait and side; the columns of the CSV output."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=list(COLUMNS))

    def rows(self) -> list[dict[str, str | int]]:
        """The rows of the table; numbers of several measurements stand in one cell."""
        return [
            {
                **_who(self.record),
                "hpo_id": trait.hpo_id,
                "label": trait.label,
                "side": trait.side,
                "status": trait.status,
                "kind": trait.rule.kind,
                **_cells(trait.evidence),
                "rule": trait.rule.text,
                "confidence": f"{trait.confidence:g}",
                "supports": SEPARATOR.join(f"{e.measurement} {z_words(e.score)}" for e in trait.supports),
                "reason": trait.reason,
                "source": trait.rule.source,
                "moved_landmarks": SEPARATOR.join(self.moved),
            }
            for trait in self.traits
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Uncalled:
    """A photo, or a person without any photo, that could not be measured."""

    record: Record | PatientRecord

    def rows(self) -> list[dict[str, str | int]]:
        """The one row of the table."""
        return [{**_who(self.record), "status": "failed", "reason": self.record.reason}]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """The traits of several faces or people."""

    answers: tuple[PersonTraits | Uncalled, ...]
    lost: tuple[str, ...]  # why photos could not be measured

    @property
    def people(self) -> list[PersonTraits]:
        """The answers, without what could not be measured."""
        return [answer for answer in self.answers if isinstance(answer, PersonTraits)]

    @property
    def notes(self) -> list[str]:
        """Everything that could not be had although it was asked for."""
        return list(dict.fromkeys([*self.lost, *(note for one in self.people for note in one.notes)]))

    def to_frame(self) -> pd.DataFrame:
        """A row for each person, trait and side, and one for what could not be measured."""
        import pandas as pd

        rows = [row for answer in self.answers for row in answer.rows()]
        return pd.DataFrame(rows, columns=list(COLUMNS)).fillna("")


def traits(
    photo: Photos,
    *,
    sex: str | None = None,
    age: float | str | None = None,
    head_circumference: float | None = None,
    height: float | None = None,
    weight: float | None = None,
    references: str | Sequence[str] = (DEFAULT_REFERENCE,),
    rules: str | os.PathLike[str] | None = None,
    confidence: float = CONFIDENCE,
    growth_reference: str = "who",
    face: Literal["one", "largest"] = "one",
    scale: str | None = None,
    landmark_model: str | None = None,
) -> PersonTraits:
    """Call the HPO traits of one person.

    Parameters
    ----------
    photo : path or sequence of paths
        One or several photographs or videos of the person.
    sex : {"female", "male"}, optional
    age : float or str, optional
        Years: 8 means completed years, until the ninth birthday, "8.4" or 8.4 is exact, "101m" are months.
    head_circumference, height : float, optional
        cm; height is measured lying below two years.
    weight : float, optional
        kg.
    references : str or sequence of str
        Reference tables, by name or file. A trait on which they disagree is borderline.
    rules : path, optional
        Rules in place of the packaged ones, see `anthropo.reference.read_rules`.
    confidence : float
        Confidence of the interval of z that must be beyond, or within, the limit as a whole.
    growth_reference : {"who", "cdc", "uk-who", "trisomy-21", "turner"}
    face : {"one", "largest"}
        With several faces: refuse the photo, or take the largest.
    scale : str, optional
        Such as ``"sticker=20"``, for references in millimetres.
    landmark_model : path, optional
        Another dlib shape predictor with the 68-point scheme.

    Returns
    -------
    PersonTraits
        With ``to_frame()`` and ``phenopacket()``.

    Raises
    ------
    FaceError
        If no photo can be measured.
    InputError
        If sex, age, a size, the rules or a reference cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> person = anthropo.traits(anthropo.example_photo(), sex="female", age=31, height=170)
    >>> table = person.to_frame().set_index(["label", "side"])
    >>> table.loc[("Telecanthus", "mid"), "status"]
    'absent'
    >>> [note.partition(": ")[2] for note in person.notes]
    ['Height: the WHO chart ends at 19 years.']
    """
    sizes = {"head_circumference": head_circumference, "height": height, "weight": weight}
    request = TraitsRequest(
        settings=Settings(
            face=face,
            landmark_model=landmark_model,
            scale=scale,
            references=(references,) if isinstance(references, str) else tuple(references),
            sex=sex,
            age=None if age is None else str(age),
        ),
        rules=read_rules(rules),
        sizes={name: value for name, value in sizes.items() if value is not None},
        chart=growth_reference,
        confidence=confidence,
    )
    items = collect(as_names(photo))
    people = patients(items)
    if len(people) > 1:
        raise InputError(f"{len(items)} photos of {len(people)} people; traits are of one person at a time.")
    request = replace(request, patient=len(people[0].items) > 1)
    findings = call(items, request)
    if not findings.people:
        raise FaceError(" ".join(findings.lost))
    return findings.people[0]


def check(items: Sequence[Item], request: TraitsRequest) -> int:
    """Number of photos or people; whatever cannot be used is an InputError before the photos are read."""
    request.settings.fingerprint()  # what cannot be used is one error, not one per photo
    if request.patient and request.settings.face == "all":
        both = f"{parameter('patient', True)} with {parameter('face', 'all')}"
        raise InputError(f"{both}: one face of each photo is needed. Use largest.")
    count = len(patients(items)) if request.patient else len({item.path for item in items})
    if request.sizes and count > 1:
        raise InputError(
            f"{parameter(next(iter(request.sizes)))} is one person's, and there are several photos. Pass "
            f"{parameter('patient', True)} if they are of one person, or list them in a CSV with the columns "
            f"{', '.join(f'{m.id} ({m.unit})' for m in MEASURES.values())}."
        )
    for name, value in request.sizes.items():
        grow(name, value, sex="female", age=(4.0, 4.0), chart=request.chart)
    return count


def call(
    items: Sequence[Item], request: TraitsRequest, *, jobs: int = 1, progress: Progress = silent
) -> Findings:
    """The traits of the people on these photos, on `jobs` threads.

    Raises
    ------
    InputError, WeightsError
        If something that is asked for cannot be used at all.
    """
    total = len({item.path for item in items})
    check(items, request)
    records: dict[str, list[Record]] = {}
    with progress(total, "measuring") as advance:
        for of_photo in run(items, request.settings, jobs):
            records[of_photo[0].photo] = of_photo
            advance()
    pairs: list[tuple[Item, Record | PatientRecord]]
    pairs = [(item, record) for item in items for record in records.get(item.path, [])]
    lost = [record.reason for _, record in pairs if not record.ok]
    if request.patient:
        people = patients(items)
        pairs = [(_shown(who), pool_patient(who, records, request.settings)) for who in people]
    answers = [
        _call(item, record, request) if record.ok else Uncalled(record=record) for item, record in pairs
    ]
    return Findings(answers=tuple(answers), lost=tuple(lost))


def _shown(who: Patient) -> Item:
    """A person in place of a photo. An age that all photos give alike stays as it is written."""
    ages = {item.columns.get("age", "") for item in who.items}
    return Item(who.shown, who.columns | ({"age": ages.pop()} if len(ages) == 1 and all(ages) else {}))


def _call(item: Item, record: Record | PatientRecord, request: TraitsRequest) -> PersonTraits:
    known = person_of(item, request.settings)
    sex = age = span = None
    with contextlib.suppress(InputError):  # the record's notes say so
        sex = parse_sex(known.sex)
    with contextlib.suppress(InputError):
        age = parse_age(known.age)
        span = age_span(known.age)
    measurements = record.measurements
    scores = score(measurements, request.settings.tables(), sex=sex, age=age)
    growth, notes = [], list(record.notes)
    for name in MEASURES:
        try:
            value = _size(item, name, request.sizes)
            if value is not None:
                growth.append(grow(name, value, sex=sex, age=span, chart=request.chart))
        except InputError as error:
            notes.append(f"{item.path}: {error}")
    notes += [f"{item.path}: {MEASURES[g.id].name}: {g.reason}" for g in growth if g.reason]
    called = call_traits(
        [*measurements, *(g.measurement for g in growth)], [*scores, *(g.score for g in growth)],
        request.rules, confidence=request.confidence,
    )  # fmt: skip
    return PersonTraits(
        item=item,
        record=record,
        traits=tuple(called),
        growth=tuple(growth),
        measurements=measurements,
        scores=tuple(scores),
        notes=tuple(notes),
        sex=sex,
        age=known.age if age is not None else "",
    )


def _size(item: Item, name: str, sizes: Mapping[str, float]) -> float | None:
    """A size from the person's own column, else that of everybody."""
    cell = item.columns.get(name)
    if not cell:
        return sizes.get(name)
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name} {cell!r} is no number. Give {MEASURES[name].unit}.")
    return value


# ------------------------------------------------------------------------------------- rows

#: Columns of the table.
COLUMNS = (
    "photo", "face", "patient", "hpo_id", "label", "side", "status", "kind", "measurement", "value", "lo",
    "hi", "unit", "z", "z_lo", "z_hi", "reference", "grade", "rule", "confidence", "supports", "reason",
    "source", "moved_landmarks",
)  # fmt: skip


def _who(record: Record | PatientRecord) -> dict[str, str | int]:
    patient = record.columns.get("patient", "")
    if isinstance(record, Record):
        return {"photo": record.photo, "face": record.index, "patient": patient}
    photos = SEPARATOR.join(photo.photo for photo in record.photos)
    return {"photo": photos, "face": "", "patient": record.patient or patient}


def _cells(evidence: Sequence[Evidence]) -> dict[str, str]:
    """Several measurements or references stand in one cell, in the same order in each column."""

    def cell(texts: Iterable[str]) -> str:
        listed = list(texts)
        return SEPARATOR.join(listed) if any(listed) else ""

    scores = [e.score for e in evidence]
    return {
        "measurement": cell(e.measurement for e in evidence),
        **{key: cell(_digits(getattr(e, key)) for e in evidence) for key in ("value", "lo", "hi")},
        "unit": cell(e.unit for e in evidence),
        **{key: cell(_digits(getattr(s, key)) if s else "" for s in scores) for key in ("z", "z_lo", "z_hi")},
        "reference": cell(s.reference if s else "" for s in scores),
        "grade": cell(s.grade if s else "" for s in scores),
    }


def _digits(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""
