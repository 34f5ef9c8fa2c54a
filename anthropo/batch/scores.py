"""z-scores of a person whose sex, age and ancestry a table or the settings give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar

from anthropo._version import __version__
from anthropo.batch.inputs import PERSON, Item
from anthropo.batch.records import Diagnostics
from anthropo.errors import InputError
from anthropo.face import _engine
from anthropo.face.detection import parse_point
from anthropo.face.fine import fine_sha256
from anthropo.face.lens import parse_distance
from anthropo.face.weights import landmark_model
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import NEEDS_MM
from anthropo.reference.person import (
    age_basis,
    born_early,
    gestation_at,
    parse_age,
    parse_ancestry,
    parse_sex,
)
from anthropo.reference.suited import best_reference
from anthropo.settings import Settings

# Scoring, and what reads references, is imported where somebody is scored: most photos are measured only.
if TYPE_CHECKING:
    from anthropo.reference.tables import Reference
    from anthropo.reference.zscore import ZScore

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is given of a person, by a column or for all photos: as it was written, empty where nothing is."""

    sex: str = ""
    age: str = ""
    gestation: str = ""
    ancestry: str = ""

    @property
    def words(self) -> str:
        """All that is known, as it was written."""
        born = f"born at {self.gestation}" if self.gestation else ""
        return " ".join(filter(None, (self.sex, self.age, born, parse_ancestry(self.ancestry))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The z-scores of one face, and what stood in their way."""

    scores: tuple[ZScore, ...] = ()
    notes: tuple[str, ...] = ()
    age_basis: str = ""  # from which birth the age is counted; empty from two years on, or without scores


def person_of(item: Item, settings: Settings) -> Person:
    """The person in a photo; nothing is known of whoever rows of the table contradict each other about."""
    if item.disputed:
        return Person()
    names = (field.name for field in fields(Person))
    return Person(**{name: item.columns.get(name, getattr(settings, name)) or "" for name in names})


def declared_distance(item: Item, settings: Settings) -> str | float:
    """The camera's distance as it was declared, by a column or for all photos; empty where it was not."""
    return item.columns.get("distance", "") or settings.distance or ""


def declared_scale(item: Item, settings: Settings) -> str:
    """What gives millimetres, by a column or for all photos; empty where nothing does."""
    return item.columns.get("scale", "") or settings.scale or ""


def _face_at(item: Item, settings: Settings) -> str:
    """Where the face is that is measured, if that is said and not all are."""
    return "" if settings.face == "all" else item.columns.get("face_at", "")


def column_named(item: Item, name: str) -> str:
    """What a message calls the column that a photo has this from; empty where it has it from elsewhere."""
    return f"Column `{name}`" if item.columns.get(name) else ""


def at_declared(item: Item, settings: Settings) -> Settings:
    """The settings with the distance and the face that are declared for one photo.

    An InputError says that a column holds no distance or no place.
    """
    declared, face = declared_distance(item, settings), item.columns.get("face_at", "")
    try:
        if declared:
            parse_distance(declared, named=column_named(item, "distance"))
        if face:
            parse_point(face, named="Column `face_at`")
    except InputError as error:
        raise InputError(f"{item.path}: {error}") from None
    return replace(settings, distance=declared or None).at_face(face)


def settings_of(item: Item, settings: Settings) -> Settings:
    """The settings with what is said of one photo: distance, and the age, which tells the size of a face."""
    age: str | None = person_of(item, settings).age
    try:
        parse_age(age or "")
    except InputError:
        age = None  # said where z-scores need it
    return replace(at_declared(item, settings), age=age)


def diagnostics_of(item: Item, settings: Settings) -> Diagnostics:
    """What any record of an item is made with."""
    return Diagnostics(
        anthropo=__version__,
        settings=settings.fingerprint(),
        dlib=_engine.dlib_version,
        landmark_model=landmark_model(settings.landmark_model).sha256[:16],
        fine_model=fine_sha256()[:16] if settings.fine else "",
        jitter=settings.jitter,
        person=item.disputed or person_of(item, settings).words,
        declared="; ".join(
            filter(
                None,
                (
                    str(declared_distance(item, settings)),
                    item.columns.get("scale", ""),
                    f"face at {at}" if (at := _face_at(item, settings)) else "",
                ),
            )
        ),
    )


def scores_of(item: Item, values: Sequence[Measurement], settings: Settings, *, studio: bool) -> Scores:
    """The z-scores of a face in one photo, or of a person in several; whether all are as from a studio."""
    person = person_of(item, settings)
    ancestry = parse_ancestry(person.ancestry)
    if item.disputed:
        from anthropo.reference.zscore import score

        tables = settings.left_to(best_reference(None, None, studio))
        note = (
            f"{item.path}: listed with different {_these(item)} ({item.disputed}), no z-scores that depend "
            "on it."
        )
        return Scores(scores=tuple(score(values, tables, sex=None, age=None)), notes=(note,))
    told = person.sex or person.age or person.gestation or item.undated
    if not settings.references and not told:
        return Scores()
    notes: list[str] = []
    sex = _parsed("sex", person.sex, parse_sex, notes)
    if item.undated:
        notes.append(item.undated)
    age = None if item.undated else _parsed("age", person.age, parse_age, notes)
    basis = ""
    if age is not None:
        try:
            gestation = gestation_at(age, person.gestation)
            basis = age_basis(age, age, gestation)
            age -= born_early(age, gestation)
        except InputError as error:
            notes.append(str(error))
            age = None
    from anthropo.reference.zscore import score

    tables = settings.left_to(best_reference(age, ancestry, studio))
    scores = tuple(score(values, tables, sex=sex, age=age, ancestry=ancestry))
    notes += _without_group(tables, ancestry)
    if not notes:
        notes += [
            _without_scores(table, scores, scaled=bool(declared_scale(item, settings))) for table in tables
        ]
    notes += [_other_instrument(table, settings) for table in tables]
    of_photo = tuple(f"{item.path}: {note}" for note in notes if note)
    return Scores(scores=scores, notes=of_photo, age_basis=basis)


def _these(item: Item) -> str:
    """What rows of a photo may contradict each other in."""
    *names, last = ["sex", "age", *(name for name in PERSON[2:] if name in item.columns)]
    return f"{', '.join(names)} or {last}"


def _parsed(name: str, text: str, parse: Callable[[str], T], notes: list[str]) -> T | None:
    """A sex or age; None, with a note, where there is none or it cannot be understood."""
    try:
        if text:
            return parse(text)
        notes.append(f"{name} is missing, no z-scores that depend on it.")
    except InputError as error:
        notes.append(str(error))
    return None


def _without_group(tables: Sequence[Reference], ancestry: str | None) -> list[str]:
    """A note for each reference that tells groups apart, and not the one that is given."""
    from anthropo.reference.zscore import group_named

    return [
        f"ancestry {ancestry!r} is no group of {table.name}, and counts as unknown there. Its groups are "
        f"{', '.join(table.groups)}."
        for table in tables
        if ancestry and table.groups and group_named(table, ancestry) is None
    ]


def _without_scores(table: Reference, scores: Sequence[ZScore], *, scaled: bool) -> str:
    """Why a reference scores none of the measurements that it has; empty if it scores some.

    `scaled` says whether millimetres were asked for.
    """
    in_table = [z for z in scores if z.reference == table.name and table.sexes_of(z.id)]
    if not all(math.isnan(z.z) for z in in_table):
        return ""
    reasons = [z.reason for z in in_table]
    # what the reference lacks would be lacking in a better photo as well
    of_reference = [reason for reason in reasons if table.name in reason]
    why = max(of_reference or reasons, key=reasons.count)
    if scaled and why.endswith(NEEDS_MM):
        return ""  # a scale was declared, and another note says why it cannot be had
    return f"no z-scores under {table.name}: {why}"


def _other_instrument(table: Reference, settings: Settings) -> str:
    """A warning of a reference that anthropo measured with other weights; empty without that."""
    from anthropo.reference.tables import instrument_name, same_models

    fine = fine_sha256() if settings.fine else ""
    instrument = instrument_name(__version__, landmark_model(settings.landmark_model).sha256, fine)
    of_table = {name for name in table.instruments if name.startswith("anthropo ")}
    if not of_table or any(same_models(instrument, name) for name in of_table):
        return ""
    return (
        f"{table.name} was measured with {', '.join(sorted(of_table))}, this photo with "
        f"{instrument}: z-scores may be shifted. Build a reference with the same."
    )
