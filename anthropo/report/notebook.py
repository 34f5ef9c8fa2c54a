"""Results as parts of a notebook's page: what their `_repr_html_` returns.

Each is one `div` with its own style, without scripts, that needs nothing from elsewhere and takes the
notebook's own colours, dark or light. Everything that a user has named is escaped by the template.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from PIL import Image

from anthropo.batch.scored import ScoredMeasurements
from anthropo.errors import AnthropoError
from anthropo.face.detection import power_of_two
from anthropo.face.gate import Check
from anthropo.measurement.compute import Measurement, Measurements
from anthropo.measurement.registry import Entries, registry
from anthropo.reference.zscore import signed
from anthropo.report import rendering
from anthropo.report.figures import overlay
from anthropo.report.plots import photo_of
from anthropo.report.rendering import COLOURS, embedded, jpeg, png
from anthropo.report.tables import number, quantity, sign, z_text
from anthropo.showing import count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anthropo.explanation.contributions import Explained, Explanation
    from anthropo.face.landmarker import Face
    from anthropo.learning.cohort import Cohort
    from anthropo.learning.evaluation import Evaluation
    from anthropo.learning.model import Prediction
    from anthropo.observation import Observation
    from anthropo.photo import Photo
    from anthropo.workflows.change import ChangeResult
    from anthropo.workflows.change_cohort import CohortChange
    from anthropo.workflows.classify import Answers
    from anthropo.workflows.evaluate_result import EvaluateResult
    from anthropo.workflows.examining import Examination
    from anthropo.workflows.explain import ExplainedCase
    from anthropo.workflows.trait_calling import PersonTraits

_WIDTH = 260  # px, of a picture as it is shown; it is made twice as fine
_BYTES = 45_000  # of a picture: four thirds of that in the page
_ROWS = 60  # answers and changes that are listed
Cell = Any  # text, or a `CellBar`


@dataclass(frozen=True, slots=True)
class ShownPicture:
    """A picture and what it shows."""

    alt: str
    src: str
    width: int = _WIDTH


@dataclass(frozen=True, slots=True)
class CellBar:
    """A bar in a cell, in per cent of its width."""

    kind: str  # its classes: for, against, share; pale, open
    left: float
    width: float
    zero: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table; a row that is a text alone is a heading."""

    columns: Sequence[str]
    rows: Sequence[str | Sequence[Cell]]
    numbers: Collection[int] = ()  # columns that are numbers
    title: str = ""
    folded: bool = False
    marked: Collection[str] = ()  # words that stand out


@dataclass(frozen=True, slots=True)
class Shown:
    """What a part of a page has."""

    title: str
    facts: Sequence[str] = ()
    pictures: Sequence[ShownPicture] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default_factory=list)

    def html(self) -> str:
        return rendering.page("notebook.html", shown=self, colours=COLOURS)


# ------------------------------------------------------------------------------------------------- photos


def photo(photo: Photo) -> str:
    """The photo, small."""
    width, height = photo.full_size
    return Shown("Photo", [f"{width} × {height} px", photo.remark], [_thumbnail(photo)]).html()


def observation(seen: Observation) -> str:
    """The face in its photo, and the photo gate."""
    return _face(seen.face, seen.photo)


def face(face: Face) -> str:
    """The face in its photo, where that is still there, and the photo gate."""
    return _face(face, photo_of(face))


def _face(face: Face, photo: Photo | None) -> str:
    pictures = [_overlay(face, photo)] if photo else []
    notes = [] if photo else ["The photo is not where it was read from, or has changed: no picture."]
    return Shown("Face", _pose(face), pictures, [_gate(face.gate)], notes).html()


def _pose(face: Face) -> list[str]:
    width, height = face.size
    hidden = int(face.hidden.sum())
    return [
        f"photo {width} × {height} px",
        *(f"{axis} {signed(getattr(face, axis))}°" for axis in ("yaw", "pitch", "roll")),
        f"{count(hidden, 'landmark')} hidden" if hidden else "",
    ]


def _gate(gate: Sequence[Check]) -> Table:
    failed = [c for c in gate if not c.ok]
    rows = [
        (
            c.name.replace("_", " "),
            number(c.value, c.unit),
            f"{sign(c.bound)} {number(c.limit, c.unit)}",
            c.advice,
        )
        for c in failed
    ]
    if not rows:
        return Table((), [("photo gate passed",)])
    return Table(("photo gate failed", "value", "limit", "advice"), rows, (1, 2))


def _overlay(face: Face, photo: Photo) -> ShownPicture:
    return ShownPicture("Face with landmarks and measured lines", small(overlay(photo, face)))


def _thumbnail(photo: Photo) -> ShownPicture:
    fine = photo.finer(power_of_two(min(photo.full_size) / (2 * _WIDTH)))
    return ShownPicture("Photo", small(Image.fromarray(fine.pixels)))


def small(picture: Image.Image) -> str:
    """A picture as the address of a JPEG of at most `_BYTES`."""
    width = min(2 * _WIDTH, picture.width)
    picture = picture.resize((width, max(1, round(picture.height * width / picture.width))))
    for quality in (85, 70, 50, 30):
        data = jpeg(picture, quality)
        if len(data) <= _BYTES:
            break
    else:
        picture.thumbnail((_WIDTH, _WIDTH))
        data = jpeg(picture, 50)
    return embedded(data)


# ------------------------------------------------------------------------------------------- measurements


def measurements(values: Measurements[Measurement]) -> str:
    """Every measurement, by region."""
    there = sum(not math.isnan(m.value) for m in values)
    rows = _by_region([(m, *_value(m), m.reason) for m in values])
    table = Table(("measurement", "value", "unit", "95 % accuracy", "remark"), rows, (1, 3))
    return Shown("Measurements", [f"{there} of {len(values)} with a value"], tables=[table]).html()


def scored_measurements(values: ScoredMeasurements) -> str:
    """Every measurement with its z-scores, by region."""
    return Shown("Measurements", _scored_facts(values), tables=[_scored(values)]).html()


def _scored_facts(values: ScoredMeasurements) -> list[str]:
    there = sum(not math.isnan(m.value) for m in values)
    return [
        f"{there} of {len(values)} with a value",
        f"z under {', '.join(values.record.grades)}"
        if values.record.scores
        else "no z-scores: sex and age not given",
    ]


def _scored(values: ScoredMeasurements) -> Table:
    record = values.record
    references = list(record.grades)
    rows = [
        (result.measured, *_value(result.measured), *(z_text(result.scores, name) for name in references),
         result.measured.reason)
        for result in record.results.values()
    ]  # fmt: skip
    columns = (
        "measurement",
        "value",
        "unit",
        "95 % accuracy",
        *(f"z, {name}" for name in references),
        "remark",
    )
    return Table(columns, _by_region(rows), (1, 3, *range(4, 4 + len(references))))


def _value(m: Measurement) -> tuple[str, str, str]:
    interval = "" if math.isnan(m.lo) else f"{number(m.lo, m.unit)} to {number(m.hi, m.unit)}"
    return number(m.value, m.unit), m.unit.removeprefix("1"), interval


def _by_region(rows: Sequence[Any]) -> list[str | Sequence[Cell]]:
    """Rows that begin with a measurement, by its region, which has a heading."""
    made: list[str | Sequence[Cell]] = []
    region = ""
    for m, *cells in rows:
        entry = registry()[m.id]
        if entry.region != region:
            region = entry.region
            made.append(region.capitalize())
        made.append((entry.name, *cells))
    return made


def person_traits(person: PersonTraits) -> str:
    """The traits that are present or doubtful; the others folded away."""
    if not person.record.ok:
        reasons = unnamed([person.record.reason], [person.item.path])
        return Shown("Traits", ["none"], notes=reasons).html()
    notes = unnamed(person.notes, [photo.photo for photo in person.photos])
    return Shown("Traits", _trait_facts(person), tables=_traits(person), notes=notes).html()


def unnamed(notes: Sequence[str], photos: Sequence[str]) -> list[str]:
    """Sentences without the photos' names: notebooks are passed on."""
    made = []
    for note in notes:
        for photo in photos:
            note = note.removeprefix(f"{photo}: ")
        for at, photo in enumerate(photos, 1):
            note = note.replace(photo, f"photo {at}")
        made.append(note)
    return made


def _trait_facts(person: PersonTraits) -> list[str]:
    return [f"{n} {status}" for status, n in Counter(t.status for t in person.traits).items()]


def _traits(person: PersonTraits) -> list[Table]:
    first: list[tuple[str, ...]] = []
    rest: list[tuple[str, ...]] = []
    for trait in person.traits:
        side = {"R": ", right", "L": ", left"}.get(trait.side, "")
        evidence = "; ".join(
            f"{registry()[e.measurement].name if e.measurement in registry() else e.measurement} "
            f"{quantity(e.value, e.unit)}"
            + (f", z {signed(e.score.z)}" if e.score and e.score.z == e.score.z else "")
            for e in trait.evidence
            if not math.isnan(e.value)
        )
        row = (trait.status, trait.label + side, trait.hpo_id, evidence)
        (first if trait.status in ("present", "borderline", "look at") else rest).append(row)
    columns = ("status", "trait", "HPO", "measured")
    order = ["present", "borderline", "look at", "inconclusive", "absent", "not assessed"]
    tables = []
    if first:
        tables.append(Table(columns, sorted(first, key=lambda r: order.index(r[0])), marked=("present",)))
    if rest:
        title = f"{len(rest)} inconclusive, absent or not assessed"
        tables.append(Table(columns, sorted(rest, key=lambda r: order.index(r[0])), title=title, folded=True))
    return tables


def entries(known: Entries) -> str:
    """Definitions of measurements, by region."""
    rows: list[str | Sequence[Cell]] = []
    for region, of in groupby(known.values(), key=lambda entry: entry.region):
        rows.append(region.capitalize())
        rows += [(e.name, e.id, e.unit.removeprefix("1"), e.expression, e.definition) for e in of]
    columns = ("measurement", "id", "unit", "expression", "definition")
    return Shown("Measurements", [f"{len(known)} definitions"], tables=[Table(columns, rows)]).html()


# ------------------------------------------------------------------------------------------------ answers


def prediction(p: Prediction) -> str:
    """The labels with their probabilities, and the prediction set."""
    return Shown("Prediction", _decision(p), tables=[_ranked(p)]).html()


def _decision(p: Prediction) -> list[str]:
    typical = "" if p.typicality is None or math.isnan(p.typicality) else f"typicality {p.typicality:.2f}"
    return [
        f"decision: {p.decision}",
        p.reason,
        typical,
        count(len(p.photos), "photo") if len(p.photos) > 1 else "",
    ]


def _ranked(p: Prediction) -> Table:
    rows: list[Sequence[Cell]] = []
    for r in p.ranked[:_ROWS]:
        if r.log_odds is None:
            rows.append((r.label, "–", "", ""))
            continue
        bar = CellBar("share" if r.in_set else "share open", 0, 100 * r.probability)
        rows.append((r.label, f"{r.probability:.3f}", bar, "in the set" if r.in_set else ""))
    return Table(("label", "probability", "", "prediction set"), rows, (1,), marked=(p.decision,))


def answers(made: Answers) -> str:
    """A row for each answer."""
    from anthropo.workflows.classify import Unanswered

    rows: list[Sequence[Cell]] = []
    for at, one in enumerate(made.answers[:_ROWS], 1):
        who = one.patient or str(at)
        if isinstance(one, Unanswered):
            rows.append((who, "no answer", one.reason.removeprefix(f"{one.photo}: "), ""))
            continue
        best = ", ".join(
            f"{r.label} {r.probability:.2f}" for r in one.prediction.ranked[:3] if r.log_odds is not None
        )
        rows.append((who, one.prediction.decision, best, "; ".join(one.prediction.labels)))
    decided = Counter(p.decision for p in made.predictions)
    facts = [f"{n} {label}" for label, n in decided.most_common(5)]
    facts += [f"{len(made.failed)} without an answer" if made.failed else ""]
    table = Table(("", "decision", "most probable", "in the set"), rows)
    return Shown(type(made).__name__, facts, tables=[table], notes=_more(len(made.answers))).html()


def _more(n: int) -> list[str]:
    return [f"… and {n - _ROWS} more; to_frame() has all."] if n > _ROWS else []


# ------------------------------------------------------------------------------------------- explanations


def explained(of: Explained) -> str:
    """One label's sum."""
    return Shown("Explained", [], tables=[_sum(of)]).html()


def explanation(made: Explanation) -> str:
    """The sums of all labels that are explained, the first unfolded."""
    return Shown("Explanation", _decision(made.prediction), tables=_sums(made)).html()


def case(made: ExplainedCase) -> str:
    """The face and why the model answers as it does."""
    if made.voided:
        return Shown("Explanation", ["not judged"], notes=[made.voided]).html()
    pictures = [_overlay(made.face, made.photo)] if made.face else [_thumbnail(made.photo)]
    return Shown("Explanation", _decision(made.prediction), pictures, _sums(made.explanation)).html()


def _sums(made: Explanation) -> list[Table]:
    return [_sum(of, folded=bool(at)) for at, of in enumerate(made.labels)]


def _sum(of: Explained, *, folded: bool = False) -> Table:
    """The terms of a label's log-odds, with bars from the middle."""
    from anthropo.report.explanation import words

    chart = words.bars(of)
    limit = words.extent(chart) or 1.0
    ranges = any(bar.range for bar in chart)
    rows: list[Sequence[Cell]] = []
    for bar in chart:
        size = 50 * abs(bar.log_odds) / limit
        kind = ("for" if bar.log_odds > 0 else "against") + (" pale" if bar.stable is False else "")
        left = 50.0 if bar.log_odds > 0 else 50 - size
        cells = (bar.name, CellBar(kind, left, size, 50), words.signed(bar.log_odds))
        rows.append((*cells, words.range_words(bar)) if ranges else cells)
    columns = ("", "against · for", "log-odds", *(["range over refits"] if ranges else []))
    title = f"{of.label}: log-odds {words.signed(of.log_odds)}"
    return Table(columns, rows, (2, 3) if ranges else (2,), title, folded)


# -------------------------------------------------------------------------------------------- evaluations


def evaluate_result(result: EvaluateResult) -> str:
    """Each evaluation, one below the other."""
    return "\n".join(evaluation(made) for made in result.evaluations[:12])


def evaluation(made: Evaluation) -> str:
    """Figures of all models, and two pictures."""
    from anthropo.learning.evaluation import model_name
    from anthropo.report.evaluation import COMPARED_METRICS, METRIC_NAMES, summary
    from anthropo.report.evaluation_figures import figures

    drawn = figures(made)
    chosen = [name for name in ("roc", "calibration") if name in drawn] or list(drawn)[:1]
    pictures = [figure_of(drawn[name], name.replace("_", " ")) for name in chosen]
    known = [m for m in COMPARED_METRICS if any(of[m].known for of in made.models.values() if m in of)]
    rows = [
        (METRIC_NAMES[m], *(str(of[m]) if m in of else "–" for of in made.models.values())) for m in known
    ]
    table = Table(
        ("metric", *(model_name(name) for name in made.models)), rows, range(1, len(made.models) + 1)
    )
    title = f"Evaluation of {made.attribute}" if made.attribute else "Evaluation"
    return Shown(title, [summary(made)], pictures, [table], made.warnings).html()


def figure_of(figure: Figure, alt: str, width: int = 330) -> ShownPicture:
    """A figure, as PNG where that is small enough: one that has photos in it is not."""
    data = png(figure, dpi=100)
    if len(data) <= _BYTES:
        return ShownPicture(alt, embedded(data), width)
    with Image.open(io.BytesIO(data)) as picture:
        return ShownPicture(alt, small(picture.convert("RGB")), width)


def cohort(of: Cohort) -> str:
    """Photos and patients by label."""
    photos: Counter[str] = Counter()
    people: dict[str, set[str]] = {}
    for one in of.cases:
        for label in (one.labels if of.multilabel else (one.label,)) or ("none",):
            photos[label] += 1
            people.setdefault(label, set()).add(one.patient)
    rows = [(label, str(n), str(len(people[label]))) for label, n in photos.most_common(_ROWS)]
    patients = count(len({one.patient for one in of.cases}), "patient")
    facts = [count(len(of.cases), "photo"), patients]
    facts += [f"columns: {', '.join(of.metadata)}" if of.metadata else ""]
    findings = [f"{f.level}: {f.category}" for f in of.findings]
    return Shown(
        "Cohort", facts, tables=[Table(("label", "photos", "patients"), rows, (1, 2))], notes=findings
    ).html()


# ------------------------------------------------------------------------------------------------ changes


def change_result(result: ChangeResult) -> str:
    """What changed or moved."""
    from anthropo.report.change import interval, summary
    from anthropo.report.change import signed_difference as difference

    real = [c for c in result.changes if c.status in ("changed", "moved")]
    rows = [
        (c.status, c.entry.name, number(c.before, c.entry.unit), number(c.after, c.entry.unit),
         difference(c.difference, c.entry.unit), interval(c), c.entry.unit.removeprefix("1"))
        for c in real[:_ROWS]
    ]  # fmt: skip
    columns = ("status", "measurement", *result.states, "difference", "95 % interval", "unit")
    tables = [Table(columns, rows, (2, 3, 4, 5))] if rows else []
    photos = [one.photo for one in (*result.before, *result.after)]
    return Shown("Change", [summary(result)], tables=tables, notes=unnamed(result.remarks, photos)).html()


def cohort_change(result: CohortChange) -> str:
    """What changes on average."""
    from anthropo.report.change import cohort_summary, interval, ordered
    from anthropo.report.change import signed_difference as difference

    rows = [
        (
            registry()[t.id].name,
            str(t.n),
            difference(t.mean, registry()[t.id].unit),
            interval(t),
            f"{t.q:.3g}",
        )
        for t in ordered(result.tests)[:_ROWS]
    ]
    table = Table(("measurement", "patients", "mean", "95 % interval", "q"), rows, (1, 2, 3, 4))
    return Shown("Change of a cohort", [cohort_summary(result)], tables=[table], notes=result.remarks).html()


# -------------------------------------------------------------------------------------------- examinations


def examination(made: Examination) -> str:
    """The face, its traits, what the model says, and the measurements folded away."""
    tables = [_gate(made.face.gate)]
    notes: list[str] = [*made.record.notes]
    if made.traits.record.ok:
        tables += _traits(made.traits)
    else:
        notes.append(made.traits.record.reason)
    if made.has_model:
        try:
            answer = made.explanation
        except AnthropoError as error:
            notes.append(str(error))
        else:
            if not getattr(answer, "voided", ""):  # which the traits say as well
                tables.append(_ranked(answer.prediction))
                tables += _sums(answer.explanation)[:1] if hasattr(answer, "explanation") else []
    scored = _scored(made.measurements)
    title = f"{', '.join(_scored_facts(made.measurements))}: all measurements"
    tables.append(Table(scored.columns, scored.rows, scored.numbers, title, folded=True))
    notes = unnamed(notes, [made.photo.source])
    return Shown("Examination", _pose(made.face), [_overlay(made.face, made.photo)], tables, notes).html()
