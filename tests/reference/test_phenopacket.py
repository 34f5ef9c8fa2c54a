from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from conftest import Pixels
from google.protobuf.json_format import MessageToDict, Parse
from phenopackets import Individual, Phenopacket, Sex  # type: ignore[import-untyped]

import anthropo
from anthropo.errors import InputError
from anthropo.face.fine import refine
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry
from anthropo.measurement.scale import Scale
from anthropo.reference.growth import Growth, grow
from anthropo.reference.hpo import ancestors, hpo_terms
from anthropo.reference.person import age_span
from anthropo.reference.phenopacket import _UNITS, as_json, iso_age, phenopacket
from anthropo.reference.tables import load_reference
from anthropo.reference.traits import ABSENT, NOT_ASSESSED, PRESENT, Trait, call_traits
from anthropo.reference.zscore import ZScore, score

CREATED = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


@dataclasses.dataclass
class Case:
    measurements: list[Measurement]
    scores: list[ZScore]
    growth: list[Growth]
    traits: list[Trait]
    packet: Any  # read back with the package


def case(measurements: list[Measurement], growth: Sequence[Growth], **person: str) -> Case:
    scores = score(measurements, [load_reference("frl-adults"), load_reference("niosh-adults")],
                   sex="female", age=31)  # fmt: skip
    traits = call_traits(
        [*measurements, *(g.measurement for g in growth)], [*scores, *(g.score for g in growth)]
    )
    data = as_json(phenopacket("case-1", measurements, scores, traits, growth, created=CREATED, **person))
    return Case(measurements, scores, list(growth), traits, Parse(data.decode(), Phenopacket()))


@pytest.fixture(scope="module")
def patient(astronaut: Pixels) -> Case:
    """The astronaut in millimetres, with a very wide right palpebral fissure, and a small child's head."""
    photo = anthropo.Photo.from_array(astronaut)
    face = refine(photo, anthropo.read_face(photo))
    measured = anthropo.measure_face(face, photo, scale=Scale(1.44, 0.02, "a ruler"))
    wide = [
        dataclasses.replace(m, value=m.value * 1.4, lo=m.lo * 1.4, hi=m.hi * 1.4)
        if m.id == "palpebral_fissure_length_R" and m.unit == "ex-ex"
        else m
        for m in measured
    ]
    growth = [
        grow("head_circumference", 44.0, sex="female", age=age_span("4.0")),
        grow("height", 100.0, sex="female", age=age_span("4")),
        grow("weight", 16.0, sex="female", age=age_span("31")),  # beyond the chart
    ]
    return case(wide, growth, sex="female", age="31")


def test_the_package_reads_every_measurement_back(patient: Case) -> None:
    finite = [m for m in patient.measurements if math.isfinite(m.value)]
    assert len(finite) > 45
    assert {m.unit for m in finite} >= {"ex-ex", "mm", "deg", "%", "1"}
    read = list(patient.packet.measurements)
    assert len(read) == len(finite) + len(patient.growth)
    scored = {(s.id, s.unit): s for s in reversed(patient.scores)}
    for m, found in zip(finite, read, strict=False):
        quantity = found.value.quantity
        assert found.assay.id == f"anthropo:{m.id}"
        assert found.assay.label == registry()[m.id].name
        assert quantity.value == m.value
        assert (quantity.unit.id, quantity.unit.label) == _UNITS[m.unit]
        s = scored.get((m.id, m.unit))
        assert quantity.HasField("reference_range") == (s is not None)
        if s is not None:
            healthy = quantity.reference_range
            assert (healthy.low, healthy.high) == pytest.approx((s.mean - 2 * s.sd, s.mean + 2 * s.sd))
            assert healthy.unit == quantity.unit
            assert s.reference in found.description
            assert f"z {s.z:+.2f}" in found.description
    ranged = [m for m in read if m.value.quantity.HasField("reference_range")]
    assert {m.value.quantity.unit.id for m in ranged} >= {"UCUM:{ex-ex}", "UCUM:mm"}


def test_what_was_measured_by_hand_has_its_own_codes(patient: Case) -> None:
    head, height, weight = list(patient.packet.measurements)[-3:]
    assert [(m.assay.id, m.value.quantity.value) for m in (head, height, weight)] == [
        ("LOINC:9843-4", 44.0),
        ("LOINC:8302-2", 100.0),
        ("LOINC:29463-7", 16.0),
    ]
    assert head.value.quantity.unit.id == "UCUM:cm"
    healthy = head.value.quantity.reference_range
    assert (healthy.low, healthy.high) == (patient.growth[0].low, patient.growth[0].high)
    assert not weight.value.quantity.HasField("reference_range")
    assert "the WHO chart ends at 10 years; " in weight.description


def test_features_are_what_is_present_or_absent_and_nothing_else(patient: Case) -> None:
    assert {t.status for t in patient.traits} >= {PRESENT, ABSENT, NOT_ASSESSED}
    settled = {(t.hpo_id, t.status) for t in patient.traits if t.status in (PRESENT, ABSENT)}
    for f in patient.packet.phenotypic_features:
        assert (f.type.id, ABSENT if f.excluded else PRESENT) in settled
    read = {f.type.id: f for f in patient.packet.phenotypic_features}
    observed = set().union(*(ancestors(name) for name, f in read.items() if not f.excluded))
    excluded = {name for name, f in read.items() if f.excluded}
    sides: dict[str, set[str]] = {}
    for trait in patient.traits:
        sides.setdefault(trait.hpo_id, set()).add(trait.status)
    for name, statuses in sides.items():  # each is said by its term, or by a related one
        if PRESENT in statuses:
            assert name in read or name in observed
        elif statuses == {ABSENT}:
            assert name in excluded or ancestors(name) & excluded
    wide = read["HP:0000637"]  # long palpebral fissure
    assert [m.label for m in wide.modifiers] == ["Right"]
    assert not wide.excluded
    (left,) = (t for t in patient.traits if (t.hpo_id, t.side) == ("HP:0000637", "L"))
    assert wide.description.endswith(f" Left: {left.status}.")
    assert not read["HP:0000252"].excluded  # microcephaly
    assert not read["HP:0000252"].modifiers


def test_every_term_is_one_of_the_release(patient: Case) -> None:
    for feature in patient.packet.phenotypic_features:
        for term in (feature.type, *feature.modifiers):
            assert hpo_terms()[term.id] == term.label
    assert {m.id for f in patient.packet.phenotypic_features for m in f.modifiers} <= {
        "HP:0012834",
        "HP:0012835",
    }


def test_a_feature_leads_to_the_measurements_that_it_rests_on(patient: Case) -> None:
    assays = {m.assay.id for m in patient.packet.measurements}
    for feature in patient.packet.phenotypic_features:
        assert feature.evidence
        for evidence in feature.evidence:
            assert evidence.evidence_code.id == "ECO:0000501"
            assert evidence.reference.id in assays
    (wide,) = (
        f
        for f in patient.packet.phenotypic_features
        if f.type.id == "HP:0000637" and f.modifiers[0].id == "HP:0012834"
    )
    assert wide.evidence[0].reference.id == "anthropo:palpebral_fissure_length_R"
    assert "under frl-adults, grade A" in wide.evidence[0].reference.description


def test_every_prefix_is_declared(patient: Case) -> None:
    def identifiers(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["id"]] if "id" in node and "label" in node else []
            return own + [i for value in node.values() for i in identifiers(value)]
        if isinstance(node, list):
            return [i for value in node for i in identifiers(value)]
        return []

    tree = MessageToDict(patient.packet)
    meta = patient.packet.meta_data
    declared = {r.namespace_prefix for r in meta.resources}
    assert {i.partition(":")[0] for i in identifiers(tree)} == declared
    for resource in meta.resources:
        assert all((resource.id, resource.name, resource.url, resource.version, resource.iri_prefix))
    assert next(r.version for r in meta.resources if r.id == "hp") == "2025-01-16"
    assert meta.phenopacket_schema_version == "2.0"
    assert meta.created.ToDatetime(tzinfo=timezone.utc) == CREATED
    assert meta.created_by == f"anthropo {anthropo.__version__}"


def test_below_two_years_birth_at_term_is_assumed_and_said() -> None:
    def descriptions(age: str) -> list[str]:
        growth = [
            grow("head_circumference", 46.0, sex="female", age=age_span(age)),
            grow("height", 80.0, sex="female", age=age_span(age)),
        ]
        return [m["description"] for m in phenopacket("x", [], [], [], growth)["measurements"]]

    assert all(words.endswith("; birth at term is assumed") for words in descriptions("18m"))
    assert not any("term" in words for words in descriptions("2.0"))


def test_the_subject(patient: Case) -> None:
    subject: Individual = patient.packet.subject
    assert patient.packet.id == subject.id == "case-1"
    assert subject.sex == Sex.FEMALE
    assert subject.time_at_last_encounter.age.iso8601duration == "P31Y"


def test_nothing_is_said_of_an_unknown_person() -> None:
    packet = phenopacket("x", [], [], [])
    read = Parse(as_json(packet).decode(), Phenopacket())
    assert read.subject.sex == Sex.UNKNOWN_SEX
    assert not read.subject.HasField("time_at_last_encounter")
    assert [r.id for r in read.meta_data.resources] == ["hp", "anthropo", "ucum"]


def test_every_unit_of_the_registry_can_be_written() -> None:
    for entry in registry().values():
        value = Measurement(entry.id, 1.0, math.nan, math.nan, entry.unit, entry.side, "")
        packet = phenopacket("x", [value], [], [])
        json.loads(as_json(packet))
        assert packet["measurements"][0]["value"]["quantity"]["unit"]["id"].startswith("UCUM:")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("31", "P31Y"),
        ("0", "P0Y"),
        ("18m", "P1Y6M"),
        ("7 months", "P7M"),
        ("8.5", "P8Y6M"),
        ("3d", "P3D"),
        ("6 weeks", "P42D"),
        ("2 years", "P2Y"),
    ],
)
def test_ages_as_durations(text: str, duration: str) -> None:
    assert iso_age(text) == duration


def test_what_is_no_age_is_no_duration() -> None:
    with pytest.raises(InputError):
        iso_age("old")
