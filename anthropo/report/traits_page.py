"""The traits of people as a page."""

from __future__ import annotations

from typing import Any

from anthropo.batch.records import Record
from anthropo.batch.scores import Person
from anthropo.measurement.registry import registry
from anthropo.plain import minus
from anthropo.reference.growth import MEASURES, Growth
from anthropo.reference.rules import SUBJECTIVE
from anthropo.reference.traits import (
    ABSENT,
    BORDERLINE,
    INCONCLUSIVE,
    LOOK,
    NOT_ASSESSED,
    PRESENT,
    Evidence,
    Trait,
    z_words,
)
from anthropo.report import rendering
from anthropo.report.growth_chart import centile_words, growth_chart, growth_words
from anthropo.report.tables import distance_words, quantity
from anthropo.report.zscores import compared, given
from anthropo.workflows.trait_calling import Findings, PersonTraits

_SIDES = {"R": ", right", "L": ", left"}
#: Of what a page lists at once: its title, and what stands there when there is nothing.
_LISTS = {
    PRESENT: ("Present", "No trait is present for certain."),
    BORDERLINE: ("Borderline", "No z-score is beyond a limit that its interval reaches across."),
    LOOK: ("To look at", ""),
}


def page(findings: Findings) -> str:
    """The traits of several people, or of one, as one HTML page that needs nothing else."""
    return rendering.page(
        "traits.html",
        people=[_person(person) for person in findings.measured],
        failed=list(dict.fromkeys([*findings.lost, *_reasons(findings)])),
    )


def _reasons(findings: Findings) -> list[str]:
    return [person.record.reason for person in findings.people if not person.record.ok]


def _person(person: PersonTraits) -> dict[str, Any]:
    """What the page says of one person."""
    record = person.record
    face = f", face {record.index}" if isinstance(record, Record) and record.index else ""
    lists = []
    for status, (title, nothing) in _LISTS.items():
        traits = [t for t in person.traits if t.status == status]
        if traits or nothing:
            lists.append((title, [row(t) for t in traits], nothing))
    others = (INCONCLUSIVE, ABSENT, NOT_ASSESSED)
    of = {status: [t for t in person.traits if t.status == status] for status in others}
    eye = [t for t in of[NOT_ASSESSED] if t.rule.kind == SUBJECTIVE]
    return {
        "title": f"{person.item.path}{face}",
        "given": given(
            person.item,
            Person(sex=person.sex or "", age=person.age, ancestry=person.ancestry),
            record.age_basis,
        ),
        "compared": compared(record),
        "gate": [(photo.photo, [c for c in photo.gate if not c.ok]) for photo in person.photos if photo.ok],
        "distances": [f"{p.photo}: {words}" for p in person.photos if p.ok and (words := distance_words(p))],
        "notes": person.notes,
        "moved": person.moved,
        "growth": [(MEASURES[g.id].name, f"{g.value:g} {g.unit}", compared_words(g)) for g in person.growth],
        "charts": [
            (growth_words(g), rendering.embedded(chart.encode()))
            for g in person.growth
            if (chart := growth_chart(g))
        ],
        "lists": lists,
        "inconclusive": [row(t) for t in of[INCONCLUSIVE]],
        "absent": [row(t) for t in of[ABSENT]],
        "unknown": [row(t) for t in of[NOT_ASSESSED] if t not in eye],
        "eye": [row(t) for t in eye],
        "counts": {s: sum(t.status == s for t in person.traits) for s in (*_LISTS, *others)},
        "confidence": f"{100 * person.traits[0].confidence:g}" if person.traits else "95",
    }


def row(trait: Trait) -> dict[str, Any]:
    """What a page says of one trait."""
    return {
        "label": trait.label + _SIDES.get(trait.side, ""),
        "hpo_id": trait.hpo_id,
        "evidence": [_words(e, trait) for e in trait.evidence if _worth(e, trait)],
        "supports": [_words(e, trait) for e in trait.supports],
        "rule": _rule(trait),
        # that an interval reaches across the limit is what borderline and inconclusive mean
        "reason": "" if trait.reason.startswith("the interval") else _with_name(trait.reason),
    }


def _worth(evidence: Evidence, trait: Trait) -> bool:
    """Whether an evidence is shown: of a trait to look at, what is unusual."""
    z = evidence.score
    if trait.status == LOOK:
        return z is not None and trait.rule.asks(evidence.measurement).holds(z.z, z.z) is True
    return evidence.value == evidence.value


def _words(evidence: Evidence, trait: Trait) -> str:
    """The value, the z and the reference of one measurement."""
    words = f"{_name(evidence.measurement)} {quantity(evidence.value, evidence.unit)}"
    if evidence.score is None or evidence.score.z != evidence.score.z:
        return f"{words}, no z-score"
    how = f" ({evidence.score.how})" if evidence.score.how else ""
    return f"{words}, z {z_words(evidence.score, trait.confidence)}, {evidence.score.reference}{how}"


def _name(measurement: str) -> str:
    return MEASURES[measurement].name if measurement in MEASURES else registry()[measurement].name


def _with_name(reason: str) -> str:
    """A reason that begins with the id of a measurement, with its name instead."""
    name, colon, rest = reason.partition(": ")
    if name in MEASURES and rest.startswith("not given"):
        return f"{_name(name)} was not given"
    return f"{_name(name)}: {rest}" if colon and (name in MEASURES or name in registry()) else reason


def _rule(trait: Trait) -> str:
    """What the rule asks for, in a few words."""
    joint, how = (" and ", "all") if trait.rule.every else (" or ", "any")
    different = dict.fromkeys(part.strip() for part in trait.rule.text.split(joint))
    n = len(trait.rule.measurements)
    several = f", {how} of {n} measurements" if n > 1 else ""
    return minus(joint.join(different)) + several


def compared_words(g: Growth) -> str:
    """What a growth chart says of a size, or why it says nothing."""
    if g.reason:
        return g.reason
    assumption = f" ({g.assumption})" if g.assumption else ""
    return f"z {z_words(g.score)}, centile {centile_words(g)}, {g.chart}{assumption}"
