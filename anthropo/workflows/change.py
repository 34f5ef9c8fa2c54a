"""`anthropo change`: what changed in a person between two states, and in the people of a cohort."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.batch.inputs import Item, collect
from anthropo.batch.patients import far_apart, one_person
from anthropo.batch.scores import person_of, scores_of, settings_of
from anthropo.decoding.provenance import synthetic_sentence
from anthropo.errors import AnthropoError, FaceError, InputError, WeightsError, parameter
from anthropo.face.frame import Floats
from anthropo.face.gate import Check
from anthropo.groups.change import (
    MOVED,
    NOT_COMPARED,
    Change,
    Look,
    Status,
    compare_looks,
)
from anthropo.learning.cohort import some
from anthropo.measurement import anatomy
from anthropo.measurement.compute import Measurement, measure_face
from anthropo.measurement.pooling import pool
from anthropo.measurement.retest import EXPRESSION, retests
from anthropo.observation import get_ready, observe
from anthropo.parallel.runner import Lost, choose
from anthropo.reference.person import age_span, parse_age, parse_date
from anthropo.reference.suited import is_studio_like
from anthropo.reference.zscore import ZScore
from anthropo.settings import Settings
from anthropo.showing import brief, count, draw, given, html, word
from anthropo.tables import is_table
from anthropo.workflows.classify import Photos, as_names
from anthropo.workflows.cohort import CohortRequest, settings_for
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Distance of two faces for the network that tells people apart, from which on they look like two people.
#: Beyond it are 99.5 % of pairs of strangers, in a studio as on the web, and none of 51 people who smile.
STRANGERS = 0.55
BEFORE, AFTER = "before", "after"
_HIDDEN = 12  # landmarks: masks and sunglasses make people alike


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest(CohortRequest):
    """How two states are compared.

    Parameters
    ----------
    before, after : str, optional
        Of a cohort: the states that are compared, as the column `state` names them. With two states, `before`
        alone says which comes first.
    sex, gestation, ancestry : str, optional
        As for `anthropo.Settings`; of whoever has no such column.
    age, age_after : str or float, optional
        Years, or months as in ``"18m"``, on the photos of before and of after; the same if only `age` is
        given.
    references : sequence of str
        Reference tables for z-scores, by name or file.
    appearance : bool
        Compare colours and texture as well: only for photos that were taken in one light.
    reading : PhotoReading
    """

    before: str | None = None
    after: str | None = None
    sex: str | None = None
    age: float | str | None = None
    age_after: float | str | None = None
    gestation: str | None = None
    ancestry: str | None = None
    references: Sequence[str] = ()
    appearance: bool = False

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatePhoto:
    """One photograph of a state."""

    photo: str
    digest: str = ""
    reason: str = ""  # why there is no face; empty where there is one
    look: Look | None = None
    points: Floats = field(default_factory=lambda: np.zeros((0, 2)))  # (68, 2) corrected, photo pixels
    between: Floats = field(default_factory=lambda: np.zeros((0, 2)))  # (6, 2), of `anatomy.BETWEEN`
    hidden: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(68, dtype=np.bool_))
    gate: tuple[Check, ...] = ()
    values: tuple[Measurement, ...] = ()  # as `anthropo measure` has them, for z-scores
    identity: NDArray[np.float32] | None = None  # what the face is compared by
    by_hand: int = 0  # landmarks that were placed by hand
    doubt: tuple[int, float] = (0, 0.0)  # the best photo has the least
    synthetic: str = ""  # of a picture that is no photograph by its metadata: which kind

    def __repr__(self) -> str:
        failed = [check.name for check in self.gate if not check.ok]
        state = "not measured" if self.reason else f"gate: {' '.join(failed)}" if failed else "gate passed"
        return brief(self, state)

    @property
    def failed(self) -> list[Check]:
        """Checks of the photo gate that the photo fails."""
        return [check for check in self.gate if not check.ok]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChangeResult:
    """What changed in one person."""

    patient: str = ""
    states: tuple[str, str] = (BEFORE, AFTER)
    before: tuple[StatePhoto, ...]  # photos with a face
    after: tuple[StatePhoto, ...]
    changes: tuple[Change, ...]  # in the registry's order
    remarks: tuple[str, ...] = ()  # what should be known: two people, growth, photos left out
    left_out: tuple[str, ...] = ()  # photos, each with the reason
    references: tuple[str, ...] = ()  # of the z-scores
    distance: float = math.nan  # of the two faces for the network that tells people apart
    settings: Settings = field(default_factory=Settings)

    def _repr_html_(self) -> str:
        return html(self, "change_result")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the differences with their 95 % intervals, in SD of photos of one state.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "change_result", ax)

    def __repr__(self) -> str:
        counts = Counter(change.status for change in self.changes)
        return brief(
            self,
            f"{count(len(self.before), 'photo')} {word(self.states[0])}",
            f"{count(len(self.after), 'photo')} {word(self.states[1])}",
            *(f"{n} {status}" for status, n in counts.items()),
        )

    def of(self, *statuses: Status) -> list[Change]:
        """The changes of these statuses: asymmetries first, then by region, the surest first.

        Parameters
        ----------
        *statuses : {"changed", "moved", "within error", "not compared"}

        Returns
        -------
        list of Change
        """
        chosen = [c for c in self.changes if c.status in statuses]
        regions = list(dict.fromkeys(c.part for c in self.changes))

        def order(c: Change) -> tuple[bool, int, float]:
            return not c.asymmetry, regions.index(c.part), c.p if math.isfinite(c.p) else 2.0

        return sorted(chosen, key=order)

    @property
    def parts(self) -> dict[str, dict[Status, int]]:
        """How many measurements of each part of the face have which status; without parts of no value."""
        counts: dict[str, dict[Status, int]] = {}
        for change in self.changes:
            of_part = counts.setdefault(change.part, {})
            of_part[change.status] = of_part.get(change.status, 0) + 1
        return {part: of for part, of in counts.items() if set(of) != {NOT_COMPARED}}

    def to_frame(self) -> pd.DataFrame:
        """A row for each measurement; the columns of the CSV output."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=list(COLUMNS))

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table."""
        return [self._row(change) for change in self.changes]

    def _row(self, c: Change) -> dict[str, Any]:
        z = [s.z if s else None for s in c.scores]
        both = z[0] is not None and z[1] is not None
        reference = next((s.reference for s in c.scores if s), "")
        return {
            "patient": self.patient, "state_before": self.states[0], "state_after": self.states[1],
            "measurement": c.id, "name": c.entry.name, "part": c.part, "side": c.entry.side,
            "unit": c.entry.unit, "status": c.status, "before": c.before, "after": c.after,
            "difference": c.difference, "lo": c.lo, "hi": c.hi, "repeat_sd": c.sd,
            "still_sd": c.still_sd, "p": c.p, "q": c.q,
            "p_still": c.p_still, "q_still": c.q_still, "photos_before": c.photos[0],
            "photos_after": c.photos[1], "z_before": z[0], "z_after": z[1],
            "z_difference": z[1] - z[0] if both else None,  # type: ignore[operator]
            "reference": reference, "remarks": "; ".join(c.remarks), "reason": c.reason,
        }  # fmt: skip


#: Columns of the table.
COLUMNS = (
    "patient", "state_before", "state_after", "measurement", "name", "part", "side", "unit", "status",
    "before", "after", "difference", "lo", "hi", "repeat_sd", "still_sd", "p", "q", "p_still", "q_still",
    "photos_before", "photos_after", "z_before", "z_after", "z_difference", "reference", "remarks", "reason",
)  # fmt: skip


# --------------------------------------------------------------------------------------- one person


def change(
    before: Photos, after: Photos, request: ChangeRequest | None = None, *, progress: Progress = silent
) -> ChangeResult:
    """Find what changed in a person beyond error.

    Parameters
    ----------
    before, after : path or sequence of paths
        Photographs of the two states: files, folders or patterns. Several of one state are pooled.
    request : ChangeRequest, optional
    progress : Progress

    Returns
    -------
    ChangeResult
        With ``to_frame()``. *changed*: photos of one state would hardly differ so. *moved*: photos of a face
        that did not move would not, but other photos of the same state may.

    Raises
    ------
    FaceError
        If no photo of a state has a face that can be measured.
    InputError
        If one photograph is in both states, or an option cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> from PIL import Image
    >>> photo = Image.open(anthropo.example_photo())
    >>> photo.resize((400, 400)).save("smaller.png")
    >>> result = anthropo.change(anthropo.example_photo(), "smaller.png")
    >>> sorted(set(result.to_frame()["status"]))
    ['not compared', 'within error']
    """
    request = request or ChangeRequest()
    sides = []
    for name, photos, age in (
        (BEFORE, before, request.age),
        (AFTER, after, request.age if request.age_after is None else request.age_after),
    ):
        named = as_names(photos)
        if not named:
            raise InputError(f"No photo of the state {name} was named.")
        if any(is_table(one) for one in named):
            raise InputError(
                f"{next(one for one in named if is_table(one))}: a table, where the photos of one state are "
                "needed. Give a table alone: it has both states of each patient."
            )
        known = {
            "sex": request.sex,
            "age": age,
            "gestation": request.gestation,
            "ancestry": request.ancestry,
        }
        columns = {key: str(value) for key, value in known.items() if value is not None}
        sides.append([replace(item, columns=columns) for item in collect(named)])
    return change_between(sides, request, progress)


def change_between(
    sides: Sequence[Sequence[Item]], request: ChangeRequest, progress: Progress = silent
) -> ChangeResult:
    """What changed between the photos of two states, of which tables may say more; as `change`."""
    settings = change_settings(request, [item for side in sides for item in side])
    for text in (request.age, request.age_after):
        if text is not None:
            parse_age(str(text))
    seen = look([*sides[0], *sides[1]], settings, request, progress)
    n = len(sides[0])
    result = compared("", (BEFORE, AFTER), sides, (seen[:n], seen[n:]), settings, request)
    if isinstance(result, str):
        raise FaceError(result)
    return result


def change_settings(request: ChangeRequest, items: Sequence[Item]) -> Settings:
    """How the photos are measured; an InputError says which option cannot be used."""
    if request.reading.no_face:
        raise InputError(f"Without a face there is nothing to compare. Leave {parameter('no_face')} out.")
    settings = settings_for(request.reading, photos=[item.path for item in items])
    references = (request.references,) if isinstance(request.references, str) else tuple(request.references)
    settings = replace(
        settings,
        references=references,
        sex=request.sex,
        gestation=request.gestation,
        ancestry=request.ancestry,
    )
    settings.fingerprint()
    return settings


@dataclass(frozen=True, slots=True)
class _See:
    """The work on one photo."""

    settings: Settings
    appearance: bool
    scored: bool

    def prepare(self) -> None:
        """Read what every photo needs."""
        get_ready(self.settings)

    def __call__(self, item: Item) -> StatePhoto:
        try:
            seen = observe(item.path, settings_of(item, self.settings))
        except WeightsError:
            raise
        except AnthropoError as error:
            return StatePhoto(photo=item.path, reason=str(error))
        face = seen.face
        look = Look(retests(face, seen.photo if self.appearance else None), face.yaw, face.pitch,
                    anatomy.stage_of(face) == "fine")  # fmt: skip
        points, between = anatomy.place(face)
        return StatePhoto(
            photo=item.path, digest=seen.digest, look=look, points=points, between=between,
            hidden=face.hidden, gate=face.gate,
            values=tuple(measure_face(face, seen.photo)) if self.scored else (),
            identity=_identity(seen.photo, face), by_hand=len(seen.landmarks.moved) if seen.landmarks else 0,
            doubt=seen.doubt, synthetic=seen.photo.synthetic,
        )  # fmt: skip


def _identity(photo: Any, face: Any) -> NDArray[np.float32] | None:
    """What a face is compared by; None where much of it is hidden, or the network is not there."""
    from anthropo.learning.identity import face_identity

    if face.hidden.sum() >= _HIDDEN:
        return None
    try:
        return face_identity(photo, face)
    except WeightsError:
        return None


def look(
    items: Sequence[Item], settings: Settings, request: ChangeRequest, progress: Progress
) -> list[StatePhoto]:
    """What every photo shows, in the order of the items."""
    scored = bool(settings.references) or any(
        person_of(item, settings).sex or person_of(item, settings).age for item in items
    )
    work = _See(settings, request.appearance, scored)
    photos: list[StatePhoto] = []
    with progress(len(items), "measuring") as advance:
        runner = choose(request.reading.jobs, len(items), request.reading.runner)
        for item, one in zip(items, runner.in_order(work, items), strict=True):
            photos.append(
                StatePhoto(photo=item.path, reason=one.reason(item.path)) if isinstance(one, Lost) else one
            )
            advance()
    return photos


def compared(
    patient: str,
    states: tuple[str, str],
    sides: Sequence[Sequence[Item]],
    seen: tuple[Sequence[StatePhoto], Sequence[StatePhoto]],
    settings: Settings,
    request: ChangeRequest,
) -> ChangeResult | str:
    """What changed in one person, or why that cannot be told."""
    twice = {
        a.digest: (a.photo, b.photo) for a in seen[0] for b in seen[1] if a.digest and a.digest == b.digest
    }
    if twice:
        first, second = next(iter(twice.values()))
        both = f"{first} and {second} are" if first != second else f"{first} is"
        text = (
            f"{both} the same photo, in the states {states[0]} and {states[1]}: nothing can have "
            "changed between them. Name another photo for one of the states."
        )
        if patient:
            return text
        raise InputError(text)
    remarks: list[str] = []
    left_out: list[str] = []
    kept: list[tuple[StatePhoto, ...]] = []
    for state, photos in zip(states, seen, strict=True):
        once = {photo.digest or photo.photo: photo for photo in reversed(photos)}
        if len(once) < len(photos):
            remarks.append(f"{state}: the same photo under several names; counted once.")
        faces = tuple(p for p in reversed(list(once.values())) if not p.reason)
        reasons = [photo.reason for photo in photos if photo.reason]
        if not faces:
            return (
                reasons[0] if len(reasons) == 1 else f"{state}: no photo can be measured. {' '.join(reasons)}"
            )
        left_out += reasons
        kept.append(faces)
    looks = [[photo.look for photo in photos if photo.look] for photos in kept]
    if len({look.fine for of in looks for look in of}) > 1:
        return (
            f"{kept[0][0].photo} and {kept[1][0].photo}: their landmarks come from different models (one has "
            "no fine stage), so that they cannot be compared. Measure both alike."
        )
    if not looks[0][0].fine:
        remarks.append(
            "The fine landmark stage is left out: what merely moved, as an expression does, cannot be told."
        )
    changes = compare_looks(looks[0], looks[1], appearance=request.appearance)
    if len({bool(p.by_hand) for photos in kept for p in photos}) > 1:
        remarks.append(
            "Landmarks were placed by hand in some photos and not in others: a person places points "
            "elsewhere than the models do, and that is no change."
        )
    remarks += [
        f"{p.photo}: {synthetic_sentence(p.synthetic)}" for photos in kept for p in photos if p.synthetic
    ]
    snapshots = [p.photo for photos in kept for p in photos if not is_studio_like(p.gate, EXPRESSION)]
    if snapshots and any(c.status == MOVED for c in changes):
        remarks.append(
            f"{some(snapshots)}: small, or not as the photo gate wants it for more than the expression. "
            "Between such snapshots of one person 30 % of all measurements have moved, whatever the state: "
            "take it for a hint where to look."
        )
    distance = apart(kept[0], kept[1])
    if distance > STRANGERS:
        remarks.append(
            f"The two faces look like two people (distance {distance:.2f}; photos of one person hardly "
            f"exceed {STRANGERS:g}). Check the photos before you read on."
        )
    scores, references, notes = _scored(patient, sides, kept, settings)
    changes = [replace(c, scores=(scores[0].get(c.id), scores[1].get(c.id))) for c in changes]
    return ChangeResult(
        patient=patient, states=states, before=kept[0], after=kept[1], changes=tuple(changes),
        remarks=(*remarks, *_growth(sides, bool(references)), *notes), references=references,
        distance=distance, settings=settings, left_out=tuple(left_out),
    )  # fmt: skip


def apart(before: Sequence[StatePhoto], after: Sequence[StatePhoto]) -> float:
    """Distance of the two nearest faces of both states; NaN where faces cannot be compared."""
    known = [
        float(np.linalg.norm(a.identity - b.identity))
        for a in before
        for b in after
        if a.identity is not None and b.identity is not None
    ]
    return min(known, default=math.nan)


def _scored(
    patient: str, sides: Sequence[Sequence[Item]], kept: Sequence[Sequence[StatePhoto]], settings: Settings
) -> tuple[list[dict[str, ZScore]], tuple[str, ...], list[str]]:
    """z-scores of both states by measurement, each under one reference; the references; notes."""
    if not all(photo.values for photos in kept for photo in photos):
        return [{}, {}], (), []
    people = [one_person(patient, items).item for items in sides]
    values = [pool([photo.values for photo in photos]) for photos in kept]
    studio = all(is_studio_like(photo.gate) for photos in kept for photo in photos)
    scored = [scores_of(who, of, settings, studio=studio) for who, of in zip(people, values, strict=True)]
    if studio and len({tuple(sorted({s.reference for s in one.scores})) for one in scored}) > 1:
        # the studio's reference is of young adults, and a difference is of one reference
        scored = [scores_of(who, of, settings, studio=False) for who, of in zip(people, values, strict=True)]
    by_side: list[dict[str, ZScore]] = [{}, {}]
    for by_id, one in zip(by_side, scored, strict=True):
        for score in one.scores:
            if math.isfinite(score.z):
                by_id.setdefault(score.id, score)
    for name in by_side[0].keys() & by_side[1].keys():
        if by_side[0][name].reference != by_side[1][name].reference:
            del by_side[0][name], by_side[1][name]
    names = dict.fromkeys(score.reference for by_id in by_side for score in by_id.values())
    return by_side, tuple(names), list(dict.fromkeys(note for one in scored for note in one.notes))


def _growth(sides: Sequence[Sequence[Item]], scored: bool) -> list[str]:
    """A remark where the person has grown, or grown older, between the states."""
    ages = []
    for items in sides:
        given = [item.columns["age"] for item in items if item.columns.get("age")]
        spans = []
        for text in given:
            try:
                spans.append(age_span(text))
            except InputError:
                continue
        if not spans:
            return _years(sides)
        ages.append((min(low for low, _ in spans), max(high for _, high in spans)))
    (young, _), (old, _) = sorted(ages)
    if not far_apart(young, old):
        return []
    what = "A child grows" if young < 18 else "A face grows older"
    beside = (
        " The difference of z-scores beside the values takes what is usual of it off."
        if scored
        else " Z-scores, which need the sex and both ages, take what is usual of it off."
    )
    return [f"{old - young:.1f} years lie between the states. {what} in that time: that is no error.{beside}"]


def _years(sides: Sequence[Sequence[Item]]) -> list[str]:
    """A remark where the dates of photos of unknown age are a year and more apart."""
    days = [
        parse_date(item.columns["taken"]) for items in sides for item in items if item.columns.get("taken")
    ]
    years = (max(days) - min(days)).days / 365.25 if days else 0.0
    if years < 1:
        return []
    return [
        f"{years:.1f} years lie between the states. A child grows, and a face grows older, in that time: "
        "that is no error. Add the columns `sex` and `born` (or `age`) for z-scores, which take what is "
        "usual of it off."
    ]
