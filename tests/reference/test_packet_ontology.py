"""A phenopacket's features against the ontology, in whatever combination traits come."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import pytest
from google.protobuf.json_format import Parse
from hypothesis import given, settings
from hypothesis import strategies as st
from phenopackets import Phenopacket  # type: ignore[import-untyped]

from anthropo.reference.hpo import ancestors, hpo_terms
from anthropo.reference.phenopacket import as_json, phenopacket
from anthropo.reference.rules import OBJECTIVE, Condition, Rule, read_rules
from anthropo.reference.traits import (
    ABSENT,
    BORDERLINE,
    INCONCLUSIVE,
    LOOK,
    NOT_ASSESSED,
    PRESENT,
    Trait,
    call_traits,
    consistent,
)
from anthropo.reference.zscore import ZScore

SETTLED = (PRESENT, BORDERLINE, ABSENT, NOT_ASSESSED)
SEVERE, MODERATE, MILD, SHORT = "HP:0003510", "HP:0008848", "HP:0003502", "HP:0004322"
THIN, THIN_UPPER, THIN_LOWER = "HP:0000233", "HP:0000219", "HP:0010282"
SIDES = {"Bilateral": {"R", "L"}, "Right": {"R"}, "Left": {"L"}}


def parents() -> dict[str, set[str]]:
    with resources.files("anthropo.reference").joinpath("hpo.csv").open(encoding="utf-8") as file:
        return {row["hpo_id"]: set(row["is_a"].split()) for row in csv.DictReader(file)}


PARENTS = parents()


def above(term: str) -> set[str]:
    """All ancestors, found in another way than anthropo does."""
    found: set[str] = set()
    todo = [term]
    while todo:
        new = PARENTS[todo.pop()] - found
        found |= new
        todo += new
    return found


def rule(term: str, side: str = "mid") -> Rule:
    condition = Condition(2, float("inf"), False, True)
    return Rule(term, hpo_terms()[term], OBJECTIVE, side, ("mouth_width",), (condition,), True, "z > 2")


def trait(term: str, status: str, side: str = "mid") -> Trait:
    return Trait(rule(term, "mid" if side == "mid" else "each"), side, status, (), (), "")


def features(traits: Iterable[Trait]) -> list[Any]:
    packet = phenopacket("x", [], [], traits)
    return list(Parse(as_json(packet).decode(), Phenopacket()).phenotypic_features)


def written(traits: Iterable[Trait]) -> dict[str, bool]:
    """Whether each term that is written is observed."""
    return {f.type.id: not f.excluded for f in features(traits)}


def check(traits: Sequence[Trait]) -> None:
    """GA4GH's rules, that nothing is claimed which was not called, and that nothing certain is lost."""
    found = features(traits)
    terms = [f.type.id for f in found]
    assert len(terms) == len(set(terms))
    observed = {f.type.id for f in found if not f.excluded}
    excluded = {f.type.id for f in found if f.excluded}
    for term in observed:
        assert not above(term) & (observed | excluded)
    for term in excluded:
        assert not above(term) & excluded

    statuses: dict[str, dict[str, str]] = {}
    for t in traits:
        statuses.setdefault(t.hpo_id, {})[t.side] = t.status
    for f in found:
        sides = {side for side, status in statuses[f.type.id].items() if status == PRESENT}
        if f.excluded:
            assert set(statuses[f.type.id].values()) == {ABSENT}
            assert not f.modifiers
            kinds = [t for t in traits if f.type.id in above(t.hpo_id)]
            assert all(t.status == ABSENT for t in kinds)  # they are excluded with it
        else:
            assert sides
            named = [SIDES[m.label] for m in f.modifiers]
            assert named == ([] if sides == {"mid"} else [sides])
    implied = set().union(*(above(term) for term in observed), observed)
    for term, by_side in statuses.items():
        if PRESENT in by_side.values():
            assert term in implied
        kinds = [t for t in traits if term in above(t.hpo_id)]
        if all(t.status == ABSENT for t in kinds) and set(by_side.values()) == {ABSENT} and len(by_side) != 1:
            assert term in excluded or above(term) & excluded


def test_every_ancestor_of_every_term_is_shipped() -> None:
    """So that no path from one term to another is missing, whatever terms a table of rules names."""
    assert set().union(*PARENTS.values()) <= set(PARENTS)
    assert {term for term, up in PARENTS.items() if not up} == {"HP:0000001"}
    for term in PARENTS:
        assert ancestors(term) == above(term)
        assert term not in above(term)
    for r in read_rules():
        assert {"HP:0000118", "HP:0000001"} <= above(r.hpo_id)


def test_the_terms_of_the_packaged_rules_that_imply_each_other() -> None:
    terms = {r.hpo_id: r.kind for r in read_rules()}
    pairs = {(t, a) for t in terms for a in above(t) if a in terms and terms[t] == OBJECTIVE}
    assert pairs == {
        (MILD, SHORT), (MODERATE, SHORT), (SEVERE, SHORT), (THIN_UPPER, THIN), (THIN_LOWER, THIN),
        ("HP:0000179", "HP:0012471"), ("HP:0000215", "HP:0012471"),
    }  # fmt: skip


def test_severe_short_stature_is_not_written_beside_short_stature() -> None:
    traits = [trait(SHORT, PRESENT), trait(MILD, ABSENT), trait(MODERATE, ABSENT), trait(SEVERE, PRESENT)]
    assert written(traits) == {SEVERE: True, MILD: False, MODERATE: False}
    (severe,) = (f for f in features(traits) if not f.excluded)
    assert f"follows from this: Short stature ({SHORT})." in severe.description


def test_of_what_is_absent_the_broadest_is_written() -> None:
    assert written(trait(t, ABSENT) for t in (SHORT, MILD, MODERATE, SEVERE)) == {SHORT: False}
    assert written([trait(SHORT, BORDERLINE), trait(MILD, BORDERLINE), trait(SEVERE, ABSENT)]) == {
        SEVERE: False
    }


@pytest.mark.parametrize("statuses", list(itertools.product(SETTLED, repeat=4)))
def test_every_combination_of_statures(statuses: tuple[str, ...]) -> None:
    check([trait(t, s) for t, s in zip((SHORT, MILD, MODERATE, SEVERE), statuses, strict=True)])


@pytest.mark.parametrize("statuses", list(itertools.product(SETTLED, repeat=3)))
def test_every_combination_of_lips(statuses: tuple[str, ...]) -> None:
    check([trait(t, s) for t, s in zip((THIN, THIN_UPPER, THIN_LOWER), statuses, strict=True)])


@pytest.mark.parametrize(
    ("right", "left", "modifier"),
    [
        (PRESENT, PRESENT, "Bilateral"),
        (PRESENT, ABSENT, "Right"),
        (BORDERLINE, PRESENT, "Left"),
        (NOT_ASSESSED, PRESENT, "Left"),
        (ABSENT, ABSENT, ""),
        (ABSENT, BORDERLINE, None),
        (NOT_ASSESSED, ABSENT, None),
    ],
)
def test_both_sides_are_one_feature(right: str, left: str, modifier: str | None) -> None:
    found = features([trait("HP:0000637", right, "R"), trait("HP:0000637", left, "L")])
    if modifier is None:  # absent on one side is not absent
        assert not found
        return
    assert [[m.label for m in f.modifiers] for f in found] == [[modifier] if modifier else []]
    assert found[0].excluded == (modifier == "")
    if modifier in ("Right", "Left"):
        name, other = ("Left", left) if modifier == "Right" else ("Right", right)
        assert f"{name}: {other}." in found[0].description


@st.composite
def cases(draw: st.DrawFn) -> list[Trait]:
    """Traits of relatives in the ontology and of terms that are not, on one side or two."""
    start = draw(st.sampled_from(sorted(PARENTS)))
    family = sorted(above(start) | {start} | {t for t in PARENTS if PARENTS[t] & (PARENTS[start] | {start})})
    terms = draw(st.lists(st.sampled_from(family), min_size=1, max_size=8, unique=True))
    terms += draw(st.lists(st.sampled_from([r.hpo_id for r in read_rules()]), max_size=4))
    traits = []
    for term in dict.fromkeys(terms):
        for side in draw(st.sampled_from((("mid",), ("R", "L")))):
            traits.append(trait(term, draw(st.sampled_from(SETTLED)), side))
    return traits


@settings(max_examples=300, deadline=None)
@given(cases())
def test_every_combination_keeps_the_rules(traits: list[Trait]) -> None:
    check(traits)
    once = consistent(traits)
    assert consistent(once) == once


def test_a_term_is_not_absent_while_a_kind_of_it_is_present() -> None:
    """Thin vermilion border asks for both lips; by the ontology one thin lip is a kind of it."""

    def answers(upper: float, lower: float) -> dict[str, Trait]:
        scores = [
            ZScore(name, "ref", "A", z, z - 0.5, z + 0.5, 25, 0.4, 0.1, "", "ex-ex")
            for name, z in (("upper_vermilion_height", upper), ("lower_vermilion_height", lower))
        ]
        return {t.hpo_id: t for t in call_traits([], scores)}

    thin_upper = answers(-4, 0)
    assert [thin_upper[t].status for t in (THIN_UPPER, THIN_LOWER, THIN)] == [PRESENT, ABSENT, BORDERLINE]
    assert thin_upper[THIN].reason == (
        "by its own rule it is absent, but Thin upper lip vermilion, which is a kind of it, is present"
    )
    assert [answers(-2.2, 0)[t].status for t in (THIN_UPPER, THIN)] == [BORDERLINE, BORDERLINE]
    assert [answers(-1.8, 0)[t].status for t in (THIN_UPPER, THIN)] == [INCONCLUSIVE, INCONCLUSIVE]
    assert [answers(0, 0)[t].status for t in (THIN_UPPER, THIN)] == [ABSENT, ABSENT]
    both = answers(-4, -4)
    assert written(both.values()) == {THIN_UPPER: True, THIN_LOWER: True} | {
        t: False for t in written(both.values()) if t not in (THIN, THIN_UPPER, THIN_LOWER)
    }


def test_what_could_not_be_measured_leaves_the_broader_term_open() -> None:
    (answer,) = (t for t in consistent([trait(THIN, ABSENT), trait(THIN_UPPER, NOT_ASSESSED)])
                 if t.hpo_id == THIN)  # fmt: skip
    assert answer.status == NOT_ASSESSED
    (seen,) = (t for t in consistent([trait(THIN, ABSENT), trait(THIN_UPPER, LOOK)]) if t.hpo_id == THIN)
    assert seen.status == BORDERLINE
    assert seen.reason.endswith("which is a kind of it, is to be looked at")
