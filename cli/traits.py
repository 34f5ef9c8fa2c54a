"""anthropo traits"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from anthropo.batch.inputs import Item, collect
from anthropo.batch.patients import Patient, patients, pool_patient
from anthropo.batch.records import Record, values_of
from anthropo.batch.run import run
from anthropo.cli import options
from anthropo.cli.common import EXIT_NONE, EXIT_SOME, in_one_sentence, place_to_write, progress
from anthropo.errors import InputError, parameter
from anthropo.files import write_atomically
from anthropo.measurement.compute import Measurement
from anthropo.measurement.landmark_file import Corrections
from anthropo.reference.growth import CHARTS, MEASURES, Growth, age_span, grow
from anthropo.reference.phenopacket import as_json, phenopacket
from anthropo.reference.rules import SUBJECTIVE, Rule, read_rules
from anthropo.reference.tables import DEFAULT_REFERENCE, Reference, load_reference, parse_age, parse_sex
from anthropo.reference.traits import (
    ABSENT,
    BORDERLINE,
    CONFIDENCE,
    LOOK,
    NOT_ASSESSED,
    PRESENT,
    STATUSES,
    Evidence,
    Trait,
    call_traits,
)
from anthropo.reference.zscore import ZScore, score
from anthropo.report.tables import number, sign
from anthropo.report.traits import evidence_words, worth_a_line, z_words
from anthropo.settings import Settings


@click.command(short_help="Call HPO traits from the measurements of photographs.")
@options.photos_argument
@click.option("--sex", help="female or male, of everybody who has no column `sex`.")
@click.option(
    "--age",
    help="Of everybody who has no column `age`: completed years (8), months (101m), or exactly (8.4).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE|DIR",
    help="Write the table to a .csv; one person as a GA4GH phenopacket to a .json; several people, a "
    "phenopacket each, to a folder (DIR/).",
)
@click.option(
    "--patient",
    is_flag=True,
    help="One answer per person instead of one per photo: photos that share a name in the column `patient`, "
    "or all photos where there is no such column.",
)
@click.option("--all", "everything", is_flag=True, help="Show what is absent and not assessed, too.")
@click.option(
    "--reference",
    "references",
    metavar="NAME|FILE",
    multiple=True,
    help="Compare with this table (`anthropo reference list`); may be repeated. A trait on which they "
    f"disagree is borderline.  [default: {DEFAULT_REFERENCE}]",
)
@click.option(
    "--rules",
    metavar="FILE.csv",
    help="Your own rules in place of the packaged ones, a row for each term. Columns: hpo_id, label, "
    "measurement, rule, kind (objective or subjective), side (mid or each), such as: "
    "HP:0000154,Wide mouth,mouth_width,z > 2,objective,mid",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=CONFIDENCE,
    show_default=True,
    help="Of the interval of z that decides. 0.3 finds 92 % of changes of 4 SD instead of 42 %, and calls "
    "1.4 % of what is asked of healthy adults present instead of none.",
)
@click.option("--head-circumference", type=float, metavar="CM", help="Head circumference in cm.")
@click.option("--height", type=float, metavar="CM", help="Height in cm; below two years length, lying.")
@click.option("--weight", type=float, metavar="KG", help="Weight in kg.")
@click.option(
    "--growth-reference",
    "chart",
    type=click.Choice(list(CHARTS)),
    default="who",
    show_default=True,
    help="Growth chart. The last three need rcpchgrowth (AGPL): pip install anthropo[growth].",
)
@click.option(
    "--id", "identity", help="The person's name in a phenopacket.  [default: from the photo's hash]"
)
@click.option("--scale", metavar="KIND=MM", help="For references in millimetres, as for `anthropo measure`.")
@options.frames_option
@options.face_option
@options.jobs_option
@options.landmarks_option
@options.landmark_model_option
@options.max_megapixels_option
def command(
    photos: tuple[str, ...],
    sex: str | None,
    age: str | None,
    output: str | None,
    patient: bool,
    everything: bool,
    references: tuple[str, ...],
    rules: str | None,
    confidence: float,
    head_circumference: float | None,
    height: float | None,
    weight: float | None,
    chart: str,
    identity: str | None,
    scale: str | None,
    frames: int,
    face: Any,
    jobs: int,
    landmarks: str | None,
    landmark_model: str | None,
    max_megapixels: float,
) -> None:
    """Call traits of the Human Phenotype Ontology (HPO) from the face of each PHOTO.

    PHOTO is a file, a folder, a pattern or a CSV with a column `photo`, as for `anthropo measure`; a video
    counts as one photo. The columns `sex` and `age`, `head_circumference` (cm), `height` (cm) and `weight`
    (kg) are used.

    A trait whose HPO definition states a number is present if the whole 95 % interval (--confidence) of its
    z-score lies beyond the limit, absent if none of it does, and borderline in between; right and left are
    called one by one. What the photo gate voids, or the reference does not have, is not assessed.
    Traits that are left to the eye are never called: where a measurement is unusual, they are listed
    to be looked at.

    \b
    Exit code: 0 all photos done, 1 none, 2 wrong use, 3 some failed or something that was asked for
    could not be had (each with its reason), 130 interrupted (nothing is written).

    \b
    Examples:
      anthropo traits portrait.jpg --sex female --age 31
      anthropo traits child.jpg --sex male --age 4.2 --head-circumference 47.5 --height 98
      anthropo traits portrait.jpg --sex female --age 31 -o case.json
      anthropo traits cohort.csv -o traits.csv
      anthropo traits visit1.jpg visit2.jpg --patient --sex female --age 31
    """
    with in_one_sentence("nothing is written."):
        given = {"head_circumference": head_circumference, "height": height, "weight": weight}
        by_hand = {name: value for name, value in given.items() if value is not None}
        # the default is named, so that a missing sex or age is told
        names = references or (DEFAULT_REFERENCE,)
        settings = Settings(
            face=face, landmark_model=landmark_model, max_megapixels=max_megapixels, scale=scale,
            references=names, sex=sex, age=age, frames=frames,
        )  # fmt: skip
        items = collect(photos)
        if landmarks:
            settings = replace(settings, corrections=Corrections(landmarks, [item.path for item in items]))
        asked = _Asked(
            settings, tuple(map(load_reference, names)), read_rules(rules), by_hand, chart, confidence
        )
        settings.fingerprint()  # what cannot be used is one error, not one per photo
        if patient and face == "all":
            raise InputError("--patient with --face all: one face of each photo is needed. Use largest.")
        people = patients(items) if patient else None
        count = len({item.path for item in items}) if people is None else len(people)
        _check_by_hand(by_hand, count, chart)
        target = _Target(output, identity, count, photos) if output else None
        if identity and not (target and target.kind == ".json"):
            raise InputError("--id names the person of a phenopacket: add -o FILE.json.")
        sys.exit(_traits(items, people, asked, jobs, target, everything))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is wanted of every photo."""

    settings: Settings
    references: tuple[Reference, ...]
    rules: tuple[Rule, ...]
    by_hand: dict[str, float]  # of everybody who has no such column
    chart: str
    confidence: float


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in one face, or in the photos of one person."""

    record: Record
    item: Item  # of a person: what is shown in its place, and the columns that are alike
    measurements: list[Measurement]
    scores: list[ZScore]
    growth: list[Growth]
    traits: list[Trait]
    notes: list[str]  # what could not be had although it was asked for
    sex: str | None
    age: str  # as it was given; empty if it is unknown


def _check_by_hand(by_hand: dict[str, float], people: int, chart: str) -> None:
    """Refuse one person's size for several people, and sizes that cannot be, before the photos are read."""
    if by_hand and people > 1:
        option = parameter(next(iter(by_hand)))
        raise InputError(
            f"{option} is one person's, and there are several photos. Pass --patient if they are of one "
            "person, or list them in a CSV with the columns "
            f"{', '.join(f'{m.id} ({m.unit})' for m in MEASURES.values())}."
        )
    for name, value in by_hand.items():
        grow(name, value, sex="female", age=(4.0, 4.0), chart=chart)


# ----------------------------------------------------------------------------------- findings


def _traits(
    items: list[Item],
    people: list[Patient] | None,
    asked: _Asked,
    jobs: int,
    target: _Target | None,
    everything: bool,
) -> int:
    records: dict[str, list[Record]] = {}
    with progress(len({item.path for item in items})) as advance:
        for of_photo in run(items, asked.settings, jobs):
            records[of_photo[0]["photo"]] = of_photo
            advance()
    pairs = [(item, record) for item in items for record in records.get(item.path, [])]
    lost = [r["reason"] for _, r in pairs if r["status"] != "ok"]
    if people is not None:
        pairs = [(_person(who), pool_patient(who, records, asked.settings)) for who in people]
    found = [_find(item, record, asked) if record["status"] == "ok" else record for item, record in pairs]
    good = [f for f in found if isinstance(f, _Found)]
    if target:
        target.write(found)
    elif len(pairs) > 1 and not sys.stdout.isatty():
        click.echo(_as_csv(found), nl=False)
    else:
        for one in good:
            _print(one, everything)
    for sentence in dict.fromkeys([*lost, *(note for one in good for note in one.notes)]):
        click.echo(sentence, err=True)
    if target:
        what = "photos" if people is None else "people"
        click.echo(f"{target.path}: traits of {len(good)} of {len(found)} {what}.", err=True)
    if not good:
        return EXIT_NONE
    return EXIT_SOME if lost or any(one.notes for one in good) else 0


def _person(who: Patient) -> Item:
    """A person in place of a photo. An age that all photos give alike stays as it is written."""
    ages = {item.columns.get("age", "") for item in who.items}
    return Item(who.shown, who.columns | ({"age": ages.pop()} if len(ages) == 1 and all(ages) else {}))


def _find(item: Item, record: Record, asked: _Asked) -> _Found:
    said = {key: _said(item, key, getattr(asked.settings, key)) for key in ("sex", "age")}
    sex = age = span = None
    with contextlib.suppress(InputError):  # which the record's notes tell
        sex = parse_sex(said["sex"])
    with contextlib.suppress(InputError):
        age = parse_age(said["age"])
        span = age_span(said["age"])
    measurements = values_of(record)
    scores = score(measurements, asked.references, sex=sex, age=age)
    growth, notes = [], list(record["notes"])
    for name in MEASURES:
        try:
            value = _by_hand(item, name, asked.by_hand)
            if value is not None:
                growth.append(grow(name, value, sex=sex, age=span, chart=asked.chart))
        except InputError as error:
            notes.append(f"{item.path}: {error}")
    notes += [f"{item.path}: {MEASURES[g.id].name}: {g.reason}" for g in growth if g.reason]
    traits = call_traits(
        [*measurements, *(g.measurement for g in growth)], [*scores, *(g.score for g in growth)], asked.rules,
        confidence=asked.confidence,
    )  # fmt: skip
    known_age = said["age"] if age is not None else ""
    return _Found(record, item, measurements, scores, growth, traits, notes, sex, known_age)


def _said(item: Item, key: str, option: str | None) -> str:
    """A column, else the option; nothing where rows of one photo contradict each other."""
    return "" if item.disputed else item.columns.get(key, option) or ""


def _by_hand(item: Item, name: str, options_: dict[str, float]) -> float | None:
    cell = item.columns.get(name)
    if not cell:
        return options_.get(name)
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{name} {cell!r} is no number. Give {MEASURES[name].unit}.")
    return value


# ------------------------------------------------------------------------------------- output


class _Target:
    """Where the findings are written: a table, one phenopacket, or a folder of them."""

    def __init__(self, name: str, identity: str | None, people: int, inputs: Sequence[str]) -> None:
        self.path = Path(name)
        self._identity = identity
        self.kind = self.path.suffix.lower()
        if self.path.is_dir() or name.endswith(("/", "\\")) or not self.kind:
            self.kind = ""
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{name}: cannot be made a folder ({error.strerror}).") from None
            return
        place_to_write(name, (".csv", ".json"), inputs)
        if self.kind == ".json" and people > 1:
            raise self._several(people)

    def _several(self, people: int) -> InputError:
        return InputError(
            f"{self.path}: a phenopacket is of one person, and there are {people}. Pass --patient for "
            f"several photos of one, or name a folder ({self.path.stem}/) for one of each."
        )

    def write(self, found: Sequence[_Found | Record]) -> None:
        good = [f for f in found if isinstance(f, _Found)]
        try:
            if self.kind == ".csv":
                write_atomically(self.path, _as_csv(found).encode())
                return
            if self.kind == ".json" and len(good) > 1:
                raise self._several(len(good))
            for one in good:
                identity = self._identity or _identity(one.record)
                packet = phenopacket(
                    identity, one.measurements, one.scores, one.traits, one.growth, sex=one.sex, age=one.age,
                    by_hand=_by_hand_places(one.record),
                )  # fmt: skip
                path = self.path if self.kind else self.path / f"{identity}.json"
                write_atomically(path, as_json(packet))
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror}).") from None


def _identity(record: Record) -> str:
    """From the photos' hashes: tells nothing to whoever has not their files."""
    if "photos" not in record:
        face = f"-{record['face']}" if record["face"] else ""
        return f"anthropo-{record['diagnostics']['sha256'][:16]}{face}"
    every = "".join(sorted(p["sha256"] for p in record["photos"] if p["sha256"]))
    return f"anthropo-{hashlib.sha256(every.encode()).hexdigest()[:16]}"


_CSV = (
    "photo", "face", "patient", "hpo_id", "label", "side", "status", "kind", "measurement", "value", "lo",
    "hi", "unit", "z", "z_lo", "z_hi", "reference", "grade", "rule", "confidence", "supports", "reason",
    "source", "moved_landmarks",
)  # fmt: skip


def _as_csv(found: Sequence[_Found | Record]) -> str:
    """A row for each trait and side; a failed photo has one of its own."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _CSV, lineterminator="\n")
    writer.writeheader()
    for one in found:
        record = one.record if isinstance(one, _Found) else one
        who = {
            "photo": record.get("photo") or "; ".join(p["photo"] for p in record["photos"]),
            "face": record.get("face", ""),
            "patient": record.get("patient") or record["columns"].get("patient", ""),
        }
        if not isinstance(one, _Found):
            writer.writerow({**who, "status": "failed", "reason": record["reason"]})
            continue
        for trait in one.traits:
            writer.writerow(
                {
                    **who,
                    "hpo_id": trait.hpo_id,
                    "label": trait.label,
                    "side": trait.side,
                    "status": trait.status,
                    "kind": trait.rule.kind,
                    **_evidence_cells(trait.evidence),
                    "rule": trait.rule.text,
                    "confidence": f"{trait.confidence:g}",
                    "supports": "; ".join(f"{e.measurement} {z_words(e.score)}" for e in trait.supports),
                    "reason": trait.reason,
                    "source": trait.rule.source,
                    "moved_landmarks": "; ".join(_by_hand_places(record)),
                }
            )
    return text.getvalue()


def _evidence_cells(evidence: Sequence[Evidence]) -> dict[str, str]:
    """Several measurements or references stand in one cell, in the same order in each column."""

    def cell(texts: list[str]) -> str:
        return "; ".join(texts) if any(texts) else ""

    numbers = {key: [_digits(getattr(e, key)) for e in evidence] for key in ("value", "lo", "hi")}
    scores = {
        column: [_digits(getattr(e.score, key)) if e.score else "" for e in evidence]
        for column, key in (("z", "z"), ("z_lo", "z_lo"), ("z_hi", "z_hi"))
    }
    return {
        "measurement": cell([e.measurement for e in evidence]),
        **{key: cell(texts) for key, texts in numbers.items()},
        "unit": cell([e.unit for e in evidence]),
        **{key: cell(texts) for key, texts in scores.items()},
        "reference": cell([e.score.reference if e.score else "" for e in evidence]),
        "grade": cell([e.score.grade if e.score else "" for e in evidence]),
    }


def _digits(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def _by_hand_places(record: Record) -> list[str]:
    """Names of the landmarks that a hand has moved, in any of the photos."""
    return list(dict.fromkeys(name for one in record.get("photos", [record]) for name in one["moved"]))


_TITLES = {LOOK: "look at (left to the eye, and unusual when measured)"}


def _print(one: _Found, everything: bool) -> None:
    record = one.record
    face = f", face {record['face']}" if record.get("face") else ""
    click.secho(f"{one.item.path}{face}", bold=True)
    for photo in record.get("photos", ()):
        if photo["gate_failed"]:
            click.secho(f"gate: {photo['photo']}: {' '.join(photo['gate_failed'])}", fg="yellow")
    for name, check in record.get("gate", {}).items():
        if not check["ok"]:
            value, limit = (number(check[key], check["unit"]) for key in ("value", "limit"))
            finding = f"{name} is {value}, limit {sign(check)} {limit} {check['unit']}: {check['advice']}"
            click.secho(f"gate: {finding}", fg="yellow")
    if moved := _by_hand_places(record):
        click.echo(f"landmarks placed by hand: {', '.join(moved)}")
    for g in one.growth:
        if not g.reason:
            words = f"z {z_words(g.score)}, centile {g.centile:.3g}, {g.chart}"
            click.echo(f"{MEASURES[g.id].name.lower()} {g.value:g} {g.unit}: {words}")
    shown = STATUSES if everything else (PRESENT, BORDERLINE, LOOK)
    rows = []
    for status in shown:
        mine = [t for t in one.traits if t.status == status and (everything or worth_a_line(t))]
        if status in (PRESENT, BORDERLINE) or mine:
            rows.append((_TITLES.get(status, status), "", "", "" if mine else "none"))
        rows += [(f"  {t.label}", t.side, t.hpo_id, evidence_words(t)) for t in mine]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        click.secho("  ".join([*cells, row[3]]).rstrip(), bold=not row[2])
    if not everything:
        click.echo(f"borderline, z itself within the limit: {sum(not worth_a_line(t) for t in one.traits)}")
        click.echo(f"absent: {sum(t.status == ABSENT for t in one.traits)}")
        for line in _missing(one.traits):
            click.echo(line)
    click.secho(
        f"Present or absent: the whole {100 * one.traits[0].confidence:g} % interval of z is beyond, or "
        "within, the limit. R, L: the subject's own.\nResearch use only, not a medical device.",
        dim=True,
    )


def _missing(traits: Sequence[Trait]) -> list[str]:
    """Why traits are not assessed, commonest reasons first."""
    counts: Counter[str] = Counter()
    eye = 0
    for t in traits:
        if t.status == NOT_ASSESSED and t.rule.kind == SUBJECTIVE:
            eye += 1
        elif t.status == NOT_ASSESSED:
            name, _, rest = t.reason.partition(": ")
            counts[rest if name in {e.measurement for e in t.evidence} | {*MEASURES} else t.reason] += 1
    lines = [f"not assessed: {counts.total()}"] + [f"  {n}: {reason}" for reason, n in counts.most_common()]
    return [*lines, f"left to the eye: {eye}  (--all lists everything)"]
