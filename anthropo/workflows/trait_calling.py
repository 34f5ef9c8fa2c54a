"""HPO traits of people, called from their photographs and from sizes that were measured by hand."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from anthropo.batch.inputs import Item, collect
from anthropo.batch.patients import Patient, PatientRecord, patients, pool_patient, spelled_alike
from anthropo.batch.records import Record
from anthropo.batch.run import run
from anthropo.batch.scores import person_of
from anthropo.decoding.limits import DEADLINE, FRAMES, MAX_MEGAPIXELS
from anthropo.errors import FaceError, InputError, parameter
from anthropo.explanation.fitness import unfit_face
from anthropo.face.detection import Which
from anthropo.face.landmarker import DEFAULT_JITTER
from anthropo.measurement.landmark_file import Corrections
from anthropo.parallel.runner import Runner
from anthropo.reference.growth import MEASURES, Growth, grow
from anthropo.reference.observed import COLUMN as OBSERVED
from anthropo.reference.observed import read_observed
from anthropo.reference.person import age_span, gestation_at, parse_age, parse_sex
from anthropo.reference.phenopacket import phenopacket
from anthropo.reference.rules import Rule, read_rules
from anthropo.reference.shipped import AUTOMATIC
from anthropo.reference.traits import CONFIDENCE, PRESENT, Evidence, Trait, call_traits, z_words
from anthropo.settings import Settings
from anthropo.showing import brief, count, draw, given, html, listed
from anthropo.workflows.classify import SEPARATOR, Photos, as_names
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    Row = dict[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsRequest:
    """Options of calling traits.

    Parameters
    ----------
    sex : {"female", "male"}, optional
    age : float or str, optional
        Years: 8 means completed years, 8.4 is exact; "101m" are months.
    gestation : str, optional
        Its length, ``"31w"`` or ``"31+4"``; ages below two years are then counted from 40 weeks, if that is
        below 37.
    ancestry : str, optional
        As for `anthropo.Settings`.
    head_circumference, height, weight : float, optional
        cm, cm (lying below two years) and kg.
    references : sequence of str
        Reference tables, by name or file. A trait on which they disagree is borderline.
    rules : path, optional
        Rules instead of the packaged ones, see `anthropo.reference.read_rules`.
    confidence : float
        Confidence of the interval of z that must lie beyond, or within, the limit as a whole.
    growth_reference : {"who", "cdc", "adults", "uk-who", "trisomy-21", "turner"} or a sequence of these
        Growth chart; of several the first that has the age.
    patient : bool
        One answer per person instead of one per photo.
    face, scale, distance, landmarks, landmark_model, detector_model, max_megapixels, deadline, frames, fine,
    jitter
        As for `anthropo.measure_table`.
    """

    sex: str | None = None
    age: float | str | None = None
    gestation: str | None = None
    ancestry: str | None = None
    head_circumference: float | None = None
    height: float | None = None
    weight: float | None = None
    references: Sequence[str] = ()
    rules: str | None = None
    confidence: float = CONFIDENCE
    growth_reference: str | Sequence[str] = "who"
    patient: bool = False
    face: Which = "one"
    scale: str | None = None
    distance: str | float | None = None
    landmarks: str | None = None
    landmark_model: str | None = None
    detector_model: str | None = None
    max_megapixels: float = MAX_MEGAPIXELS
    deadline: float = DEADLINE
    frames: int = FRAMES
    fine: bool = True
    jitter: int = DEFAULT_JITTER

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PersonTraits:
    """The traits of one face, or of one person in several photos; none where nothing could be measured."""

    item: Item  # of a person: what is shown in the photo's place, and the columns that are alike
    record: Record | PatientRecord  # with measurements and z-scores
    traits: tuple[Trait, ...] = ()  # one for each rule and side
    growth: tuple[Growth, ...] = ()  # sizes that were measured by hand
    notes: tuple[str, ...] = ()  # what was asked for and could not be provided
    sex: str | None = None
    age: str = ""  # as it was given; empty if it is unknown
    ancestry: str = ""  # as it was given
    settings: Settings = field(default_factory=Settings)  # that the photos were measured with

    def _repr_html_(self) -> str:
        return html(self, "person_traits")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the z-score that each trait rests on, with its interval, the assessed traits alone.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "person_traits", ax)

    def __repr__(self) -> str:
        if not self.record.ok:
            return brief(self, "nothing measured")
        counts = Counter(trait.status for trait in self.traits)
        present = listed(dict.fromkeys(trait.label for trait in self.traits if trait.status == PRESENT))
        return brief(
            self, *(f"{n} {status}" for status, n in counts.items()), present and f"present: {present}"
        )

    @property
    def photos(self) -> tuple[Record, ...]:
        """The records of the photos, also of those that could not be measured."""
        return self.record.photos if isinstance(self.record, PatientRecord) else (self.record,)

    @property
    def moved(self) -> list[str]:
        """Landmarks that were placed by hand, in any of the photos."""
        return list(dict.fromkeys(name for photo in self.photos for name in photo.moved))

    @property
    def identity(self) -> str:
        """A name from the photos' hashes, which tells nothing to whoever does not have the files."""
        digests = sorted(photo.diagnostics.sha256 or "" for photo in self.photos)
        if isinstance(self.record, Record):
            face = f"-{self.record.index}" if self.record.index else ""
            return f"anthropo-{digests[0][:16]}{face}"
        return f"anthropo-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:16]}"

    def phenopacket(self, identity: str | None = None) -> dict[str, Any]:
        """The person as a GA4GH phenopacket, version 2.0; named by the photos' hashes when left out."""
        return phenopacket(
            identity or self.identity, self.record.measurements, self.record.scores, self.traits, self.growth,
            sex=self.sex, age=self.age, basis=self.record.age_basis, by_hand=self.moved,
        )  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """A row for each trait and side; the columns of the CSV output."""
        return Findings(people=(self,)).to_frame()

    def rows(self) -> list[Row]:
        """The rows of the table; numbers of several measurements stand in one cell."""
        record = self.record
        patient = record.columns.get("patient", "")
        if isinstance(record, PatientRecord):
            patient = record.patient or patient
        who: Row = {
            "photo": SEPARATOR.join(photo.photo for photo in self.photos),
            "face": record.index if isinstance(record, Record) else "",
            "patient": patient,
        }
        if not record.ok:
            return [{**who, "status": "failed", "reason": record.reason}]
        return [
            {
                **who, "hpo_id": trait.hpo_id, "label": trait.label, "side": trait.side,
                "status": trait.status, "kind": trait.rule.kind, **_cells(trait.evidence),
                "rule": trait.rule.text, "confidence": f"{trait.confidence:g}",
                "supports": SEPARATOR.join(f"{e.measurement} {z_words(e.score)}" for e in trait.supports),
                "reason": trait.reason, "source": trait.rule.source,
                "moved_landmarks": SEPARATOR.join(self.moved), "age_basis": record.age_basis,
            }
            for trait in self.traits
        ]  # fmt: skip


#: Columns of the table.
COLUMNS = (
    "photo", "face", "patient", "hpo_id", "label", "side", "status", "kind", "measurement", "value", "lo",
    "hi", "unit", "z", "z_lo", "z_hi", "reference", "grade", "ancestry", "rule", "confidence", "supports",
    "reason", "source", "moved_landmarks", "age_basis",
)  # fmt: skip


def _cells(evidence: Sequence[Evidence]) -> Row:
    """Several measurements or references stand in one cell, in the same order in each column."""

    def cell(texts: Iterable[str]) -> str:
        listed = list(texts)
        return SEPARATOR.join(listed) if any(listed) else ""

    def digits(value: float) -> str:
        return f"{value:.6g}" if math.isfinite(value) else ""

    scores = [e.score for e in evidence]
    return {
        "measurement": cell(e.measurement for e in evidence),
        **{key: cell(digits(getattr(e, key)) for e in evidence) for key in ("value", "lo", "hi")},
        "unit": cell(e.unit for e in evidence),
        "z": cell(digits(s.z) if s else "" for s in scores),
        **{
            key: cell(digits(s.whole[k]) if s else "" for s in scores)
            for k, key in enumerate(("z_lo", "z_hi"))
        },
        "reference": cell(s.reference if s else "" for s in scores),
        "grade": cell(s.grade if s else "" for s in scores),
        "ancestry": cell(s.ancestry if s else "" for s in scores),
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """The traits of several faces or people."""

    people: tuple[PersonTraits, ...]  # also those who could not be measured
    lost: tuple[str, ...] = ()  # why photos could not be measured
    remarks: tuple[str, ...] = ()  # on people who may be one

    def __repr__(self) -> str:
        lost = len(self.people) - len(self.measured)
        return brief(self, count(len(self.measured), "person"), f"{lost} not measured" if lost else "")

    @property
    def measured(self) -> list[PersonTraits]:
        """The people who could be measured."""
        return [person for person in self.people if person.record.ok]

    @property
    def notes(self) -> list[str]:
        """Everything that was asked for and could not be provided."""
        return list(dict.fromkeys([*self.lost, *(note for person in self.people for note in person.notes)]))

    def _repr_html_(self) -> str:
        return html(self, "findings")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw in how many people each trait is present or borderline; of one person, the z of each trait.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "findings", ax)

    def to_frame(self) -> pd.DataFrame:
        """A row for each person, trait and side, and one for who could not be measured."""
        import pandas as pd

        rows = [row for person in self.people for row in person.rows()]
        return pd.DataFrame(rows, columns=list(COLUMNS)).fillna("")


def traits(
    photo: Photos,
    *,
    sex: str | None = None,
    age: float | str | None = None,
    gestation: str | None = None,
    ancestry: str | None = None,
    head_circumference: float | None = None,
    height: float | None = None,
    weight: float | None = None,
    references: Sequence[str] = (),
    rules: str | None = None,
    confidence: float = CONFIDENCE,
    growth_reference: str | Sequence[str] = "who",
    face: Which = "one",
    scale: str | None = None,
    landmarks: str | None = None,
    landmark_model: str | None = None,
    detector_model: str | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    deadline: float = DEADLINE,
    frames: int = FRAMES,
) -> PersonTraits:
    """Call the HPO traits of one person.

    Parameters
    ----------
    photo : path or sequence of paths
        One or several photographs or videos of the person.
    sex : {"female", "male"}, optional
    age : float or str, optional
        Years: 8 means completed years, 8.4 is exact; "101m" are months.
    gestation : str, optional
        Its length, ``"31w"`` or ``"31+4"``; ages below two years are then counted from 40 weeks, if that is
        below 37.
    ancestry : str, optional
        As for `anthropo.Settings`.
    head_circumference, height : float, optional
        cm; below two years the height is measured lying.
    weight : float, optional
        kg.
    references : sequence of str, optional
        Reference tables, by name or file; the default one when left out. A trait on which they disagree is
        borderline.
    rules : path, optional
        Rules instead of the packaged ones, see `anthropo.reference.read_rules`.
    confidence : float, default 0.95
        Confidence of the interval of z that must lie beyond, or within, the limit as a whole.
    growth_reference : {"who", "cdc", "adults", "uk-who", "trisomy-21", "turner"} or a sequence of these
        Growth chart, "who" when left out; of several the first that has the age.
    face, scale, landmarks, landmark_model, detector_model, max_megapixels, deadline, frames
        As for `anthropo.measure_table`.

    Returns
    -------
    PersonTraits
        With ``to_frame()`` and ``phenopacket()``.

    Raises
    ------
    FaceError
        If no photo can be measured, or the photo gate finds all of them unfit.
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
    ['Height: the WHO chart ends at 19 years; the chart adults goes on to 59 years.']
    """
    several = len({item.path for item in collect(as_names(photo))}) > 1
    request = TraitsRequest(
        sex=sex,
        age=age,
        gestation=gestation,
        ancestry=ancestry,
        head_circumference=head_circumference,
        height=height,
        weight=weight,
        references=references,
        rules=rules,
        confidence=confidence,
        growth_reference=growth_reference,
        patient=several,
        face=face,
        scale=scale,
        landmarks=landmarks,
        landmark_model=landmark_model,
        detector_model=detector_model,
        max_megapixels=max_megapixels,
        deadline=deadline,
        frames=frames,
    )
    task = prepare(photo, request)
    if task.count > 1:
        raise InputError(f"Photos of {task.count} people; traits are of one person at a time.")
    findings = call(task)
    if not findings.measured:
        raise FaceError(" ".join(findings.lost))
    return findings.measured[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraitsTask:
    """Photos whose traits are asked for, with everything that is needed to call them."""

    items: Sequence[Item]
    people: Sequence[Patient] | None  # None: one answer per photo
    request: TraitsRequest
    settings: Settings
    rules: Sequence[Rule]

    @property
    def count(self) -> int:
        """Number of people, or of photos."""
        return len({item.path for item in self.items}) if self.people is None else len(self.people)


def prepare(photos: Photos, request: TraitsRequest) -> TraitsTask:
    """Find photos and people; what cannot be used is an error before any photo is read."""
    items = collect(as_names(photos))
    if not items:
        raise InputError("No photo was named.")
    corrections = (
        Corrections(request.landmarks, [i.path for i in items]) if request.landmarks is not None else None
    )
    # the default is named, so that a note says what is missing for it
    references = as_names(request.references or AUTOMATIC)
    settings = Settings(
        face=request.face, landmark_model=request.landmark_model, max_megapixels=request.max_megapixels,
        deadline=request.deadline, detector_model=request.detector_model,
        scale=request.scale, distance=request.distance,
        sex=request.sex, age=None if request.age is None else str(request.age),
        gestation=request.gestation, ancestry=request.ancestry,
        references=tuple(references),
        corrections=corrections, frames=request.frames, fine=request.fine, jitter=request.jitter,
    )  # fmt: skip
    settings.fingerprint()
    rules = read_rules(request.rules)
    if request.patient and request.face == "all":
        both = f"{parameter('patient', True)} with {parameter('face', 'all')}"
        raise InputError(f"{both}: one face of each photo is needed. Use largest.")
    people = patients(items) if request.patient else None
    task = TraitsTask(items=items, people=people, request=request, settings=settings, rules=rules)
    sizes = {name: size for name in MEASURES if (size := getattr(request, name)) is not None}
    if sizes and task.count > 1:
        raise InputError(
            f"{parameter(next(iter(sizes)))} is one person's, and there are several photos. Pass "
            f"{parameter('patient', True)} if they are of one person, or list them in a CSV with the columns "
            f"{', '.join(f'{m.id} ({m.unit})' for m in MEASURES.values())}."
        )
    for name, size in sizes.items():
        for chart in as_names(request.growth_reference):
            grow(name, size, sex="female", age=(4.0, 4.0), chart=chart)
    return task


def call(
    task: TraitsTask, *, jobs: int = 1, runner: Runner | None = None, progress: Progress = silent
) -> Findings:
    """The traits of the people on a task's photos, by `jobs` at once; of photos that are fit to be judged."""
    records: dict[str, list[Record]] = {}
    with progress(len({item.path for item in task.items}), "measuring") as advance:
        for of_photo in run(task.items, task.settings, jobs, runner):
            records[of_photo[0].photo] = [if_fit(record) for record in of_photo]
            advance()
    pairs: list[tuple[Item, Record | PatientRecord]]
    pairs = [(item, record) for item in task.items for record in records.get(item.path, [])]
    lost = tuple(record.reason for _, record in pairs if not record.ok)
    if task.people is not None:
        pairs = [(who.item, pool_patient(who, records, task.settings)) for who in task.people]
    called = tuple(answer(item, record, task) for item, record in pairs)
    remarks = tuple(spelled_alike(task.items)) if task.people is not None else ()
    return Findings(people=called, lost=lost, remarks=remarks)


def if_fit(record: Record) -> Record:
    """The record, or the reason in place of measurements where the photo gate finds the photo unfit."""
    why = unfit_face(record.gate_failed, record.hidden) if record.ok else ""
    return replace(record, reason=f"{record.photo}: {why}", measurements=(), scores=()) if why else record


def answer(item: Item, record: Record | PatientRecord, task: TraitsTask) -> PersonTraits:
    """The traits of one face or person who has been measured."""
    person = PersonTraits(item=item, record=record, settings=task.settings)
    if not record.ok:
        return person
    known = person_of(item, task.settings)
    sex = age = None
    with contextlib.suppress(InputError):  # the record's notes say so
        sex = parse_sex(known.sex)
    with contextlib.suppress(InputError):
        age = parse_age(known.age)
    notes = list(record.notes)
    observed: dict[tuple[str, str], bool] = {}
    try:
        observed = read_observed(item.columns.get(OBSERVED, ""), task.rules)
    except InputError as error:
        notes.append(f"{item.path}: {error}")
    growth, unusable = growth_of(item, task.request, task.settings)
    notes += [f"{item.path}: {sentence}" for sentence in unusable]
    notes += [f"{item.path}: {MEASURES[g.id].name}: {g.reason}" for g in growth if g.reason]
    called = call_traits(
        [*record.measurements, *(g.measurement for g in growth)],
        [*record.scores, *(g.score for g in growth)],
        task.rules,
        confidence=task.request.confidence,
        observed=observed,
    )
    return replace(
        person, traits=tuple(called), growth=tuple(growth), notes=tuple(notes), sex=sex,
        age=known.age if age is not None else "", ancestry=known.ancestry,
    )  # fmt: skip


def growth_of(item: Item, request: TraitsRequest, settings: Settings) -> tuple[list[Growth], list[str]]:
    """The sizes that were measured by hand against their charts, and a sentence for each that is no size."""
    known = person_of(item, settings)
    sex = span = gestation = None
    with contextlib.suppress(InputError):
        sex = parse_sex(known.sex)
    with contextlib.suppress(InputError):
        gestation = gestation_at(parse_age(known.age), known.gestation)
        span = age_span(known.age)  # without one where the gestation cannot be used
    growth, sentences = [], []
    for name in MEASURES:
        try:
            size = _size(item, name, request)
            if size is not None:
                chart = request.growth_reference
                growth.append(grow(name, size, sex=sex, age=span, chart=chart, gestation=gestation))
        except InputError as error:
            sentences.append(str(error))
    return growth, sentences


def _size(item: Item, name: str, request: TraitsRequest) -> float | None:
    """A size from the person's own column, else that of everybody."""
    cell = item.columns.get(name)
    if not cell:
        size: float | None = getattr(request, name)
        return size
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name} {cell!r} is no number. Give {MEASURES[name].unit}.")
    return value
