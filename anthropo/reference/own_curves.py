"""Curves over age from a clinic's own controls: their own where they are many, adapted where they are few."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from anthropo.errors import InputError
from anthropo.measurement.registry import registry
from anthropo.reference.adapting import (
    LEAST,
    CurveAdaptation,
    adaptation,
    adapted,
    under,
    with_margin,
)
from anthropo.reference.build import MeasuredPhoto, Subject, Values, contradictory
from anthropo.reference.curve_building import SEXES, is_carried, tabulated, with_both_sides
from anthropo.reference.curve_fitting import Fit, MeasuredPeople, fit_curves
from anthropo.reference.curves import Curve, Curves
from anthropo.reference.shipped import REFERENCE_OF_ALL_AGES
from anthropo.reference.tables import load_reference, same_models

#: People with a measurement from which a curve is fitted to them alone, and people of a group of ancestry
#: from which it has a curve of its own. The error of a curve of so many is about what the shift of one sex
#: differs from that of both: `python benchmarks/adapting.py` gives both figures.
MANY, GROUP = 200, 50
_ONE_AGE = 1.0  # years; photos of a person, and people, no further apart than this are of one age
_MARGIN = 0.05  # of the logarithm of age and one year: beyond the youngest and the oldest
_SHOWN = 8  # names in a sentence
_PLACES = 5  # ages at which a curve has to describe people


@dataclass(frozen=True, slots=True)
class BuiltCurves:
    """Curves of controls, and what is not in them."""

    curves: tuple[Curve, ...]  # in the registry's order, female before male
    groups: tuple[str, ...]  # of ancestry
    people: int
    fitted: tuple[str, ...]  # measurements whose curve was fitted to the controls alone
    adaptations: Mapping[str, CurveAdaptation]  # by measurement, of the others
    refused: tuple[str, ...]  # a sentence for each person that was left out
    notes: tuple[str, ...]  # a sentence on each thing that was done otherwise than asked for

    def sentence(self) -> str:
        """How many measurements there are by which way, and how far controls are from the shipped curves."""
        if not self.curves:
            return f"no curves, from {self.people} people"
        ways = []
        if self.fitted:
            ways.append(f"{len(self.fitted)} by curves of their own")
        if told := list(self.adaptations.values()):
            shift = float(np.median([abs(one.shift) for one in told]))
            scale = float(np.median([one.scale for one in told]))
            fewest, most = min(one.people for one in told), max(one.people for one in told)
            n = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            ways.append(
                f"{len(told)} adapted from {REFERENCE_OF_ALL_AGES} (shift {shift:.2f} SD and scale "
                f"{scale:.2f} in the median, n {n})"
            )
        measurements = len(self.fitted) + len(told)
        every = [curve.ages for curve in self.curves]
        lowest, highest = min(ages[0] for ages in every), max(ages[-1] for ages in every)
        where = f"{measurements} measurements, {lowest:.3g} to {highest:.3g} years"
        return f"{where}, from {self.people} people: {', '.join(ways)}"


@dataclass(frozen=True)
class _Person:
    subject: Subject  # of the photos that count
    values: Values
    errors: Values

    @cached_property
    def span(self) -> tuple[float, float]:
        return self.subject.age, max(self.subject.age, self.subject.oldest or 0.0)


def build_curves(photos: Sequence[MeasuredPhoto], *, source: str, instrument: str) -> BuiltCurves:
    """Curves over age of every measurement, from controls of any number.

    Parameters
    ----------
    photos : sequence of MeasuredPhoto
        Of healthy people of known sex and age. Several photos of one person at about one age are averaged:
        a person counts once.
    source, instrument : str
        Who was measured, and the program and models that measured.

    Returns
    -------
    BuiltCurves

    Raises
    ------
    InputError
        If fewer than `MANY` people were measured with other models than the shipped curves, or if no
        value has an error.

    Notes
    -----
    A measurement that `MANY` people have gets a curve of its own (`anthropo.reference.curve_fitting`). With
    fewer, down to five, the shipped curve of all ages is shifted and scaled as far as they show it
    (`anthropo.reference.adapting.adaptation`). Groups of ancestry are told apart by curves of their own where
    each has `GROUP` people, and by adapted ones where the shipped table has all of them.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.reference import MeasuredPhoto, Subject, build_curves, load_reference
    >>> shipped = load_reference("web-all-ages")
    >>> row, _ = shipped.choose("mouth_width", "female", 7)
    >>> random = np.random.default_rng(1)
    >>> photos = [
    ...     MeasuredPhoto(
    ...         Subject(f"{k}.jpg", f"p{k}", "female", 7.0, 8.0),
    ...         {"mouth_width": row.mean + row.sd * (1 + random.standard_normal())},
    ...         {"mouth_width": 0.0},
    ...     )
    ...     for k in range(12)
    ... ]
    >>> built = build_curves(photos, source="12 girls of 7", instrument=shipped.instruments[0])
    >>> built.curves[0].source
    'web-all-ages, adapted to 12 controls: 12 girls of 7'
    >>> own, n = built.curves[0].row(7, None)
    >>> bool(row.mean + 0.5 * row.sd < own.mean < row.mean + 1.5 * row.sd), 5 < n < 12
    (True, True)
    """
    if photos and not any(photo.errors for photo in photos):
        raise InputError(
            "No value of the controls has a repeatability (column `…_repeat_sd`), which curves need. Measure "
            "them again."
        )
    photos = _with_names_of_groups(photos)
    refused_because = {
        **contradictory([(photo.subject, photo.values) for photo in photos]),
        **_of_two_groups(photos),
    }
    refused = list(refused_because.values())
    notes: list[str] = []
    people = _people(
        [p for p in photos if not {p.subject.patient, p.subject.photo} & refused_because.keys()], notes
    )
    if not people:
        return BuiltCurves((), (), 0, (), {}, tuple(refused), tuple(notes))
    return _Building(people, " ".join(source.split()), instrument, notes).done(tuple(refused))


def _with_names_of_groups(photos: Sequence[MeasuredPhoto]) -> list[MeasuredPhoto]:
    """Photos with names of groups as the shipped table, or the first of the photos, spells them."""
    spelled = {group.casefold(): group for group in load_reference(REFERENCE_OF_ALL_AGES).groups}
    named = []
    for photo in photos:
        group = " ".join(re.split(r'[\s,;"]+', photo.subject.ancestry)).strip()  # no separator of cells
        group = spelled.setdefault(group.casefold(), group)
        named.append(replace(photo, subject=replace(photo.subject, ancestry=group)))
    return named


def _of_two_groups(photos: Sequence[MeasuredPhoto]) -> dict[str, str]:
    """Patients of two groups of ancestry, each with a sentence."""
    groups: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for photo in photos:
        groups[photo.subject.patient] |= {photo.subject.ancestry: None} if photo.subject.ancestry else {}
    return {
        patient: f"patient {patient}: ancestry {' in one row and '.join(several)} in another; left out."
        for patient, several in groups.items()
        if len(several) > 1
    }


def refuse_other_models(instrument: str) -> None:
    """An InputError if controls were measured with other models than the shipped curves."""
    shipped = load_reference(REFERENCE_OF_ALL_AGES).instruments[0]
    if not same_models(instrument, shipped):
        raise InputError(
            f"The controls are measured with {instrument}, {REFERENCE_OF_ALL_AGES} with {shipped}: its "
            "curves cannot be adapted to them. Measure with the models that come with anthropo, give "
            f"{MANY} people or more of several ages, or build bands of age."
        )


def _people(photos: Sequence[MeasuredPhoto], notes: list[str]) -> list[_Person]:
    """Each person once: the photos of the age of which there are the most."""
    of_patient: defaultdict[str, list[MeasuredPhoto]] = defaultdict(list)
    for photo in photos:
        of_patient[photo.subject.patient].append(photo)
    people, unused = [], 0
    for several in of_patient.values():
        ages = [photo.subject.age for photo in several]
        near = [[p for p in several if 0 <= p.subject.age - age <= _ONE_AGE] for age in ages]
        used = max(near, key=len)
        unused += len(several) - len(used)
        people.append(_averaged(used))
    if unused:
        counted = "1 photo is" if unused == 1 else f"{unused} photos are"
        notes.append(f"{counted} of people at another age, and not used: a person counts once.")
    return people


def _averaged(photos: Sequence[MeasuredPhoto]) -> _Person:
    values, errors = {}, {}
    for name in dict.fromkeys(name for photo in photos for name in photo.values):
        known = [(p.values[name], p.errors[name]) for p in photos if name in p.values and name in p.errors]
        if known:
            values[name] = sum(value for value, _ in known) / len(known)
            errors[name] = math.hypot(*(error for _, error in known)) / len(known)
    subjects = [photo.subject for photo in photos]
    age = sum(s.age for s in subjects) / len(subjects)
    oldest = sum(max(s.age, s.oldest or 0.0) for s in subjects) / len(subjects)
    ancestry = next((s.ancestry for s in subjects if s.ancestry), "")
    return _Person(replace(subjects[0], age=age, oldest=oldest, ancestry=ancestry), values, errors)


class _Building:
    """Curves of people, measurement by measurement."""

    def __init__(self, people: Sequence[_Person], source: str, instrument: str, notes: list[str]) -> None:
        self.people, self.source, self.instrument, self.notes = people, source, instrument, notes
        shipped = load_reference(REFERENCE_OF_ALL_AGES)
        assert isinstance(shipped, Curves)
        self.shipped = shipped
        self.sexes = [sex for sex in SEXES if any(p.subject.sex == sex for p in people)]
        if len(self.sexes) == 1:
            notes.append(f"All controls are {self.sexes[0]}: there are curves of that sex only.")
        self.ages = min(p.span[0] for p in people), max(p.span[1] for p in people)
        enough = len(people) >= MANY
        self.many = enough and self.ages[1] - self.ages[0] > _ONE_AGE
        if not self.many:
            refuse_other_models(instrument)
        if enough and not self.many:
            notes.append(
                f"All controls are of one age, and a curve of their own needs a range: {shipped.name} is "
                "adapted. Bands of age describe them alone; or add controls of other ages."
            )
        self.groups = self._groups()

    def _groups(self) -> tuple[str, ...]:
        """The groups of ancestry that are told apart."""
        counts = Counter(p.subject.ancestry for p in self.people)
        unknown = counts.pop("", 0)
        if not counts:
            return ()
        groups = tuple(sorted(counts))
        if unknown:
            named = len(self.people) - unknown
            why = f"it names a group of {named} of {len(self.people)} people"
        elif self.many and counts.most_common()[-1][1] < GROUP:
            group, n = counts.most_common()[-1]
            why = f"{n} people are {group}, and {GROUP} of each group are needed"
        elif not self.many and set(groups) - set(self.shipped.groups):
            (foreign, *_) = sorted(set(groups) - set(self.shipped.groups))
            why = (
                f"{foreign!r} is no group of {self.shipped.name}, which has {', '.join(self.shipped.groups)}"
            )
        else:
            return groups
        self.notes.append(f"The column `ancestry` is not used: {why}.")
        return ()

    def done(self, refused: tuple[str, ...]) -> BuiltCurves:
        everybody = {name: [p for p in self.people if name in p.values] for name in registry()}
        having = {name: of for name, of in everybody.items() if of}
        fits = {name: self._fit(name, of) for name, of in having.items() if self.many and len(of) >= MANY}
        told, few, foreign = {}, [], []
        for name, of in having.items():
            if name in fits:
                continue
            if name not in self.shipped.measurements or not self._can_adapt():
                foreign.append(name)
            elif (one := self._adapt(name, of)).people < LEAST:
                few.append(f"{name} ({one.people})")
            else:
                told[name] = one
        ages = np.expm1(np.linspace(math.log1p(self.ages[0]), math.log1p(self.ages[1]), _PLACES))
        carried = with_both_sides(
            [n for n, fit in fits.items() if fit and is_carried(fit, registry()[n], ages, self.sexes)]
        )
        sided = with_both_sides([*carried, *told])  # sides that were made in two ways can be compared
        name_of = self.shipped.name
        self._say(few, f"fewer than {LEAST} people of ages that {name_of} knows have")
        self._say(foreign, f"{name_of} has nothing to adapt, and {MANY} people are needed, for")
        self._say(
            [name for name in fits if name not in carried],
            "photos tell more of themselves than of people, or most have the same value:",
        )
        self._say(sorted({*carried, *told} - sided), "of one side only enough people have")
        curves: list[Curve] = []
        for name, entry in registry().items():
            if name in sided and name in told:
                source = f"{self.shipped.name}, adapted to {told[name].people} controls: {self.source}"
                curves += [
                    adapted(self.shipped.curve(name, sex), told[name], self.groups, self.ages, source)
                    for sex in self.sexes
                ]
            elif name in sided and (fit := fits[name]):
                low, high = with_margin(self.ages, _MARGIN)
                curves += tabulated(
                    fit, entry, self.groups, high, "A", self.source, self.instrument, low, self.sexes
                )
        return BuiltCurves(
            tuple(curves), self.groups, len(self.people), tuple(n for n in fits if n in sided),
            {name: one for name, one in told.items() if name in sided}, refused, tuple(self.notes),
        )  # fmt: skip

    def _say(self, names: Sequence[str], why: str) -> None:
        """Note measurements that have no curve."""
        if names:
            shown = ", ".join(names[:_SHOWN])
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            self.notes.append(f"{why} {shown}{more}; no curve is written.")

    def _can_adapt(self) -> bool:
        return same_models(self.instrument, self.shipped.instruments[0]) and (
            set(self.groups) <= set(self.shipped.groups)
        )

    def _fit(self, name: str, of: Sequence[_Person]) -> Fit | None:
        """The curves of people alone; None if all values are equal."""
        spans = np.array([p.span for p in of])
        people = MeasuredPeople(
            np.array([p.values[name] for p in of]),
            spans[:, 0],
            spans[:, 1],
            np.array([p.subject.sex == "female" for p in of]),
            np.array([self.groups.index(p.subject.ancestry) if self.groups else 0 for p in of]),
            np.array([p.errors[name] for p in of]),
        )
        try:
            return fit_curves(people, max(len(self.groups), 1))
        except ValueError:
            return None

    def _adapt(self, name: str, of: Sequence[_Person]) -> CurveAdaptation:
        """What people tell of the shipped curves, as far as these are known of their sex and age."""
        rows, known = [], []
        for person in of:
            who = person.subject
            group = who.ancestry if self.groups else None
            if row := self.shipped.choose(name, who.sex, who.age, group)[0]:
                rows.append(row)
                known.append(person)
        return adaptation(under(rows, [p.values[name] for p in known], [p.errors[name] for p in known]))
