"""One person's findings as a GA4GH phenopacket, version 2.0 (ISO 4454:2022), in JSON.

Measurements are written with their unit and, where a reference has them, the range of healthy people;
traits that are present, and as excluded those that are absent. Borderline and unassessed ones are
neither, and are left out. Nothing of the photo is written but what was measured in it.

GA4GH's rules hold: one feature for each term, and no term beside its ancestor. Of what is present the most
specific term is written, of what is absent the broadest; each implies the rest.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from anthropo._version import __version__
from anthropo.files import packaged_table
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry
from anthropo.reference.growth import MEASURES, Growth
from anthropo.reference.hpo import ancestors, hpo_release, hpo_terms
from anthropo.reference.person import DAYS, MONTHS, read_age
from anthropo.reference.traits import ABSENT, CONFIDENCE, PRESENT, Evidence, Trait, consistent, interval
from anthropo.reference.zscore import LIMIT, ZScore

Json = dict[str, Any]

#: Asserted by a program and reviewed by nobody (Evidence and Conclusion Ontology).
EVIDENCE = {"id": "ECO:0000501", "label": "evidence used in automatic assertion"}
#: Of a term that somebody has judged by eye.
BY_EYE = {"id": "ECO:0000352", "label": "evidence used in manual assertion"}
#: Where a finding is, as a modifier.
_SIDES = {frozenset("RL"): "HP:0012832", frozenset("R"): "HP:0012834", frozenset("L"): "HP:0012835"}
_NAMES = {"R": "Right", "L": "Left", "mid": "Midline"}

#: Units of UCUM; what stands in braces is an annotation, the unit is then the number one.
_UNITS = {row["unit"]: (row["id"], row["label"]) for row in packaged_table("anthropo.reference", "units.csv")}

#: What is measured by hand has codes of LOINC; what anthropo measures has codes of anthropo.
_LOINC = {
    "head_circumference": ("LOINC:9843-4", "Head Occipital-frontal circumference"),
    "height": ("LOINC:8302-2", "Body height"),
    "weight": ("LOINC:29463-7", "Body weight"),
}


def phenopacket(
    identity: str,
    measurements: Iterable[Measurement],
    scores: Iterable[ZScore],
    traits: Iterable[Trait],
    growth: Sequence[Growth] = (),
    *,
    sex: str | None = None,
    age: str | None = None,
    basis: str = "",
    by_hand: Sequence[str] = (),
    created: datetime | None = None,
) -> Json:
    """A phenopacket of one person as JSON has it; choose an identity that tells nobody who the person is.

    Measurements, scores and traits are those of the photos, `growth` is what was measured by hand; the age
    is as it was given, such as ``31`` or ``18m``, and `basis` says from which birth it was counted for the
    scores of the photos; `by_hand` are landmarks that were placed by hand.
    Jacobsen et al. 2022, Nature Biotechnology 40:817.
    """
    scored: dict[tuple[str, str], ZScore] = {}
    for score in scores:
        if score.unit:
            scored.setdefault((score.id, score.unit), score)
    measured = [
        _measurement(m, scored.get((m.id, m.unit)), basis) for m in measurements if math.isfinite(m.value)
    ]
    measured += [_grown(g) for g in growth]
    features = _features(consistent(traits))
    subject: Json = {"id": identity}
    if age:
        subject["timeAtLastEncounter"] = {"age": {"iso8601duration": iso_age(age)}}
    subject["sex"] = (sex or "unknown_sex").upper()
    when = (created or datetime.now(timezone.utc)).astimezone(timezone.utc)
    return {
        "id": identity,
        "subject": subject,
        "phenotypicFeatures": features,
        "measurements": measured,
        "metaData": {
            "created": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "createdBy": f"anthropo {__version__}"
            + (f" (landmarks placed by hand: {', '.join(by_hand)})" if by_hand else ""),
            "resources": _resources(loinc=bool(growth), eco=bool(features)),
            "phenopacketSchemaVersion": "2.0",
        },
    }


def as_json(packet: Json) -> bytes:
    """A phenopacket as the text of a file."""
    return (json.dumps(packet, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def iso_age(text: str) -> str:
    """An age as an ISO 8601 duration: ``P31Y``, ``P1Y6M``, ``P12D``; in completed months from a fraction."""
    years, oldest, unit = read_age(text)
    months = math.floor(years * MONTHS + 1e-6)
    if (unit in "wd" and years < oldest) or (years == oldest and not months):  # as exact as it is known
        return f"P{math.floor(years * DAYS + 1e-6)}D"
    whole, rest = divmod(months, 12)
    return "P" + (f"{whole}Y" if whole or not rest else "") + (f"{rest}M" if rest else "")


# -------------------------------------------------------------------------------- measurements


def _measurement(m: Measurement, score: ZScore | None, basis: str) -> Json:
    entry = registry()[m.id]
    words = [entry.name]
    words += [f"95 % interval (accuracy) {m.lo:.4g} to {m.hi:.4g}"] if math.isfinite(m.lo) else []
    bounds = None
    if score is not None and math.isfinite(score.mean):
        bounds = (score.mean - LIMIT * score.sd, score.mean + LIMIT * score.sd)
        if math.isfinite(score.z):
            words += filter(None, (_z_words(score), basis))
    words += [m.reason] if m.reason else []
    return _quantity(_assay(m.id), "; ".join(words), m.value, m.unit, bounds)


def _grown(g: Growth) -> Json:
    bounds = (g.low, g.high) if math.isfinite(g.low) else None
    words = [MEASURES[g.id].name, _z_words(g.score) if math.isfinite(g.z) else g.reason, g.assumption]
    return _quantity(_assay(g.id), "; ".join(filter(None, words)), g.value, g.unit, bounds)


def _quantity(
    assay: Json, description: str, value: float, unit: str, bounds: tuple[float, float] | None
) -> Json:
    of = dict(zip(("id", "label"), _UNITS[unit], strict=True))
    quantity: Json = {"unit": of, "value": value}
    if bounds is not None:  # healthy people, mean ± 2 SD
        quantity["referenceRange"] = {"unit": of, "low": bounds[0], "high": bounds[1]}
    return {"description": description, "assay": assay, "value": {"quantity": quantity}}


def _assay(name: str) -> Json:
    if name in _LOINC:
        return dict(zip(("id", "label"), _LOINC[name], strict=True))
    return {"id": f"anthropo:{name}", "label": registry()[name].name}


def _z_words(score: ZScore) -> str:
    low, high = score.whole
    known = math.isfinite(low) and low < high  # what is exact has none
    between = f" (95 % interval {low:+.2f} to {high:+.2f})" if known else ""
    return f"z {score.z:+.2f}{between} under {score.reference}, {score.how}"


# ------------------------------------------------------------------------------------ features


def _features(traits: Sequence[Trait]) -> list[Json]:
    """One feature for each term that is settled and that no other feature implies; what is present first."""
    of: defaultdict[str, list[Trait]] = defaultdict(list)
    for trait in traits:
        of[trait.hpo_id].append(trait)
    present = {term for term, sides in of.items() if any(t.status == PRESENT for t in sides)}
    absent = {term for term, sides in of.items() if _absent(sides)}
    implied = {term: [a for a in of if a in ancestors(term) & present] for term in of if term in present}
    implied |= {
        term: [k for k in of if k in absent and term in ancestors(k)] for term in of if term in absent
    }
    covered = {other for others in implied.values() for other in others}
    return [_feature(of[term], others) for term, others in implied.items() if term not in covered]


def _absent(sides: Sequence[Trait]) -> bool:
    """Whether a term is absent wherever it could be.

    Readers that pass over modifiers would take what is absent on one side for absent altogether.
    """
    everywhere = {t.side for t in sides} in ({"mid"}, {"R", "L"})
    return everywhere and all(t.status == ABSENT for t in sides)


def _feature(sides: Sequence[Trait], implied: Sequence[str]) -> Json:
    """A term with its sides; `implied` are terms that are not written because they follow from it."""
    first = sides[0]
    present = [t for t in sides if t.status == PRESENT]
    how = f"Called by the rule {first.rule.text} on the whole {100 * first.confidence:g} % interval of z."
    words = [
        "Judged by eye." if first.by_eye else how,
        *(f"{_NAMES[t.side]}: {t.status}." for t in sides if present and t not in present),
    ]
    if implied:
        terms = ", ".join(f"{hpo_terms()[term]} ({term})" for term in implied)
        words.append(f"Not written because it follows from this: {terms}.")
    feature: Json = {"description": " ".join(words), "type": {"id": first.hpo_id, "label": first.label}}
    if not present:
        feature["excluded"] = True
    side = _SIDES.get(frozenset(t.side for t in present))
    if side is not None:
        feature["modifiers"] = [{"id": side, "label": hpo_terms()[side]}]
    if any(t.by_eye for t in sides):
        feature["evidence"] = [{"evidenceCode": BY_EYE}]
        return feature
    feature["evidence"] = [
        {"evidenceCode": EVIDENCE, "reference": _link(e, t.confidence)}
        for t in present or sides
        for e in t.evidence
        if e.score is not None
    ]
    return feature


def _link(e: Evidence, confidence: float) -> Json:
    """From a feature to the measurement that it rests on: by the assay's identifier."""
    words = f"{e.measurement} {e.value:.4g} {e.unit}"
    if e.score is not None and math.isfinite(e.score.z):
        words += f", {_z_words(e.score)}"
        if confidence != CONFIDENCE:
            lo, hi = interval(e.score, confidence)
            words += f", {100 * confidence:g} % interval {lo:+.2f} to {hi:+.2f}"
    return {"id": _assay(e.measurement)["id"], "description": words}


# ----------------------------------------------------------------------------------- resources


def _resources(*, loinc: bool, eco: bool) -> list[Json]:
    """Vocabularies that the packet's identifiers are from."""
    versions = {"hp": hpo_release(), "anthropo": __version__}
    cited = {"eco": eco, "loinc": loinc}
    return [
        {**row, "version": versions.get(row["id"], row["version"])}
        for row in packaged_table("anthropo.reference", "resources.csv")
        if cited.get(row["id"], True)
    ]
