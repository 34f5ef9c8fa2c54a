from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import sentence_of
from hypothesis import given
from hypothesis import strategies as st

from anthropo.errors import InputError
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry, unavailable
from anthropo.reference.growth import MEASURES
from anthropo.reference.hpo import hpo_release, hpo_terms
from anthropo.reference.rules import SUBJECTIVE, Rule, read_rules
from anthropo.reference.traits import (
    ABSENT,
    BORDERLINE,
    INCONCLUSIVE,
    LOOK,
    NOT_ASSESSED,
    PRESENT,
    Trait,
    call_traits,
)
from anthropo.reference.zscore import ZScore

NAN = math.nan
HEADER = "hpo_id,label,measurement,rule,kind,side\n"


def z(name: str, value: float, half: float = 0.5, reason: str = "", reference: str = "ref") -> ZScore:
    return ZScore(name, reference, "A", value, value - half, value + half, 25, 0.4, 0.1, reason, "ex-ex")


def measured(scores: Sequence[ZScore]) -> list[Measurement]:
    names = dict.fromkeys(s.id for s in scores)
    return [Measurement(name, 0.5, 0.4, 0.6, "ex-ex", "mid", "") for name in names]


def call(*scores: ZScore, rules: Sequence[Rule] | None = None) -> dict[tuple[str, str], Trait]:
    return {(t.label, t.side): t for t in call_traits(measured(scores), scores, rules)}


def rule(
    tmp_path: Path,
    measurement: str,
    text: str,
    kind: str = "objective",
    side: str = "mid",
    hpo: str = "HP:0000154,Wide mouth",
) -> tuple[Rule, ...]:
    path = tmp_path / "rules.csv"
    path.write_text(f"{HEADER}{hpo},{measurement},{text},{kind},{side}\n")
    return read_rules(path)


# --------------------------------------------------------------------------------- packaged table


def test_packaged_terms_are_those_of_the_release() -> None:
    assert hpo_release() == "2025-01-16"
    assert len(hpo_terms()) > 3000
    for r in read_rules():
        assert hpo_terms()[r.hpo_id] == r.label
        assert f"HPO {hpo_release()}" in r.source


def test_rules_and_registry_name_the_same_terms() -> None:
    """Each HPO column of the registry is a rule of that measurement, in that direction, and the reverse."""
    by_id = {r.hpo_id: r for r in read_rules()}
    listed: set[tuple[str, str]] = set()
    for entry in registry().values():
        for hpo, up in ((entry.hpo_low, False), (entry.hpo_high, True)):
            if not hpo:
                continue
            r = by_id[hpo]
            name = entry.id if r.side == "mid" else entry.id[:-2]
            listed.add((hpo, name))
            if name in r.supports:
                continue
            assert name in r.measurements, f"{hpo} {r.label}: {name}"
            condition = r.asks(entry.id)
            far = 9.0 if up else -9.0
            assert condition.holds(far, far), f"{hpo} {r.label}: {name} in the other direction"
    for r in read_rules():
        for name in r.supports:
            assert (r.hpo_id, name) in listed, f"{r.label}: {name} is no {r.label} in the registry"
        if len(r.measurements) == 1 and r.conditions and r.measurements[0] not in MEASURES:
            assert (r.hpo_id, r.measurements[0]) in listed, f"{r.label} is not in the registry"


def test_rules_and_what_a_photograph_cannot_carry_name_the_same_terms() -> None:
    by_id = {r.hpo_id: r for r in read_rules()}
    for one in unavailable():
        for hpo in filter(None, (one.hpo_low, one.hpo_high)):
            r = by_id[hpo]
            assert one.id in r.measurements or r.kind == SUBJECTIVE or r.conditions
    (hairline,) = (t for t in call_traits([], []) if t.label == "Low anterior hairline")
    assert (hairline.status, hairline.reason) == (NOT_ASSESSED, "no landmark at the hairline")


def test_without_scores_nothing_is_called_and_each_has_its_reason() -> None:
    for trait in call_traits([], []):
        assert trait.status == NOT_ASSESSED
        assert trait.reason


def test_a_subjective_term_is_never_called() -> None:
    for far in (-9.0, 9.0):
        scores = [z(name, far) for name in (*registry(), *MEASURES)]
        for trait in call_traits(measured(scores), scores):
            if trait.rule.kind == SUBJECTIVE:
                assert trait.status in (LOOK, NOT_ASSESSED)


# ------------------------------------------------------------------------------------- the answer


@given(st.floats(-10, 10), st.floats(0, 5))
def test_the_whole_interval_decides(value: float, half: float) -> None:
    found = call(z("mouth_width", value, half))
    wide, narrow = found["Wide mouth", "mid"].status, found["Narrow mouth", "mid"].status
    low, high = value - half, value + half
    assert wide == (
        PRESENT if low > 2 else ABSENT if high <= 2 else BORDERLINE if value > 2 else INCONCLUSIVE
    )
    assert narrow == (
        PRESENT if high < -2 else ABSENT if low >= -2 else BORDERLINE if value < -2 else INCONCLUSIVE
    )


@pytest.mark.parametrize(("value", "status"), [(2.3, BORDERLINE), (1.7, INCONCLUSIVE)])
def test_borderline_means_that_z_itself_is_beyond_the_limit(value: float, status: str) -> None:
    trait = call(z("mouth_width", value, 1.0))["Wide mouth", "mid"]
    assert trait.status == status
    assert trait.reason == "the interval reaches across the limit (z > 2)"


@pytest.mark.parametrize(
    ("confidence", "status"), [(0.999, BORDERLINE), (0.95, BORDERLINE), (0.68, PRESENT), (0.3, PRESENT)]
)
def test_a_narrower_interval_decides_when_it_is_asked_for(confidence: float, status: str) -> None:
    # 95 %: 1.5 to 4.5; 68 %: 2.24 to 3.76
    score = z("mouth_width", 3.0, 1.5)
    traits = call_traits(measured([score]), [score], confidence=confidence)
    (wide,) = (t for t in traits if t.label == "Wide mouth")
    assert (wide.status, wide.confidence) == (status, confidence)
    assert wide.evidence[0].score == score  # shown is the 95 % interval


def test_right_and_left_are_never_averaged() -> None:
    found = call(z("palpebral_fissure_length_R", 5.0), z("palpebral_fissure_length_L", -5.0))
    statuses = {
        (label, side): found[label, side].status
        for label in ("Long palpebral fissure", "Short palpebral fissure")
        for side in "RL"
    }
    assert statuses == {
        ("Long palpebral fissure", "R"): PRESENT,
        ("Long palpebral fissure", "L"): ABSENT,
        ("Short palpebral fissure", "R"): ABSENT,
        ("Short palpebral fissure", "L"): PRESENT,
    }


def test_one_side_is_called_when_the_other_is_voided() -> None:
    found = call(
        z("palpebral_inclination_R", 5.0),
        z("palpebral_inclination_L", NAN, reason="voided by the photo gate"),
    )
    assert found["Upslanted palpebral fissure", "R"].status == PRESENT
    left = found["Upslanted palpebral fissure", "L"]
    assert left.status == NOT_ASSESSED
    assert left.reason == "palpebral_inclination_L: voided by the photo gate"


@pytest.mark.parametrize(
    ("upper", "lower", "status"),
    [
        (-5.0, -5.0, PRESENT),
        (-5.0, 0.0, ABSENT),
        (0.0, -5.0, ABSENT),
        (-5.0, -2.0, INCONCLUSIVE),
        (-5.0, -2.2, BORDERLINE),
        (-2.0, 0.0, ABSENT),  # the lower lip alone excludes it
        (NAN, 0.0, ABSENT),  # so it does where the upper lip is not known
        (NAN, -5.0, NOT_ASSESSED),
    ],
)
def test_a_rule_of_two_measurements(upper: float, lower: float, status: str) -> None:
    alone = [r for r in read_rules() if r.label == "Thin vermilion border"]  # without its kinds
    found = call(z("upper_vermilion_height", upper), z("lower_vermilion_height", lower), rules=alone)
    trait = found["Thin vermilion border", "mid"]
    assert trait.status == status
    assert {e.measurement for e in trait.evidence} == {"upper_vermilion_height", "lower_vermilion_height"}


def test_a_value_that_the_gate_voids_is_not_called_although_it_was_kept() -> None:
    trait = call(z("mouth_width", 9.0, reason="voided by the photo gate: smile 0.6"))["Wide mouth", "mid"]
    assert (trait.status, trait.reason) == (NOT_ASSESSED, "mouth_width: voided by the photo gate: smile 0.6")


def test_without_an_interval_it_is_not_called() -> None:
    trait = call(z("mouth_width", 9.0, NAN))["Wide mouth", "mid"]
    assert (trait.status, trait.reason) == (NOT_ASSESSED, "mouth_width: its z-score has no interval")


def test_references_that_disagree_make_it_borderline() -> None:
    found = call(z("mouth_width", 5.0, reference="one"), z("mouth_width", 0.0, reference="two"))
    trait = found["Wide mouth", "mid"]
    assert (trait.status, trait.reason) == (BORDERLINE, "references disagree")
    assert [e.score.reference for e in trait.evidence if e.score] == ["one", "two"]
    both = call(z("mouth_width", 5.0, reference="one"), z("mouth_width", 6.0, reference="two"))
    assert both["Wide mouth", "mid"].status == PRESENT


@pytest.mark.parametrize(
    ("value", "status", "other"),
    [(3.0, BORDERLINE, "white"), (0.5, INCONCLUSIVE, "asian"), (6.0, PRESENT, "")],
)
def test_groups_of_ancestry_that_disagree_leave_it_open(value: float, status: str, other: str) -> None:
    groups = {"asian": value + 1.8, "white": value - 1.8}
    score = replace(z("mouth_width", value), by_group=groups, ancestry="unknown")
    trait = call(score)["Wide mouth", "mid"]
    words = f"groups of ancestry disagree: mouth_width would be called otherwise as {other}, and ancestry is "
    assert (trait.status, trait.reason) == (status, words + "not known" if other else "")
    assert call(replace(score, by_group={}))["Wide mouth", "mid"].status == (ABSENT if value < 2 else PRESENT)


def test_a_reference_without_the_measurement_does_not_count() -> None:
    lacking = ZScore("mouth_width", "farkas", "", NAN, NAN, NAN, 0, NAN, NAN, "farkas has no mouth_width")
    trait = call(lacking, z("mouth_width", 5.0))["Wide mouth", "mid"]
    assert trait.status == PRESENT
    assert len(trait.evidence) == 1
    alone = call(lacking)["Wide mouth", "mid"]
    assert (alone.status, alone.reason) == (NOT_ASSESSED, "mouth_width: farkas has no mouth_width")


def test_a_subjective_term_is_to_be_looked_at_when_any_of_its_measurements_is_unusual() -> None:
    names = next(r for r in read_rules() if r.label == "Facial asymmetry").measurements
    assert call(*(z(n, 0.0) for n in names))["Facial asymmetry", "mid"].status == NOT_ASSESSED
    found = call(*(z(n, -2.5 if n == "chin_deviation" else 0.0) for n in names))
    assert found["Facial asymmetry", "mid"].status == LOOK


def test_an_unreliable_measurement_makes_no_trait_by_itself(tmp_path: Path) -> None:
    assert registry()["lip_gap"].unreliable
    assert not registry()["mouth_width"].unreliable
    alone = rule(tmp_path, "lip_gap", "z > 2")
    trait = call(z("lip_gap", 9.0), rules=alone)["Wide mouth", "mid"]
    assert trait.status == BORDERLINE
    assert trait.reason.startswith("no trait is called by measurements of low reliability alone (lip_gap 0.")
    assert call(z("lip_gap", 0.0), rules=alone)["Wide mouth", "mid"].status == ABSENT
    both = rule(tmp_path, "lip_gap and mouth_width", "z > 2")
    assert call(z("lip_gap", 9.0), z("mouth_width", 9.0), rules=both)["Wide mouth", "mid"].status == PRESENT
    either = rule(tmp_path, "lip_gap or mouth_width", "z > 2")
    found = call(z("lip_gap", 9.0), z("mouth_width", 0.0), rules=either)["Wide mouth", "mid"]
    assert found.status == BORDERLINE
    # nor is a term that is left to the eye offered for it
    seen = rule(tmp_path, "lip_gap", "z > 2", kind="subjective")
    offered = call(z("lip_gap", 9.0), rules=seen)["Wide mouth", "mid"]
    assert (offered.status, "low reliability" in offered.reason) == (NOT_ASSESSED, True)


def test_supporting_measurements_are_told_and_do_not_decide() -> None:
    trait = call(z("mouth_width", 0.0), z("mouth_face_width_index", 9.0))["Wide mouth", "mid"]
    assert trait.status == ABSENT
    assert [e.measurement for e in trait.supports] == ["mouth_face_width_index"]


def test_evidence_holds_the_value_in_the_references_unit() -> None:
    values = [
        Measurement("mouth_width", 0.55, 0.5, 0.6, "ex-ex", "mid", ""),
        Measurement("mouth_width", 48.0, 46.0, 50.0, "mm", "mid", ""),
    ]
    in_mm = ZScore("mouth_width", "ref", "A", -0.5, -1.0, 0.0, 25, 50.0, 4.0, "", "mm")
    (trait,) = (t for t in call_traits(values, [in_mm]) if t.label == "Wide mouth")
    (evidence,) = trait.evidence
    assert (evidence.value, evidence.unit) == (48.0, "mm")


# ------------------------------------------------------------------------------------------ rules


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        ("z < -2", (-2.1,), (-2.0, 0.0)),
        ("z <= -2", (-2.0,), (-1.9,)),
        ("z<−2", (-3.0,), (0.0,)),
        ("z > 1.88", (1.9,), (1.88,)),
        ("z >= 2.", (2.0,), (1.9,)),
        ("-3 <= z < -2", (-3.0, -2.1), (-3.1, -2.0)),
        ("|z| > 2", (2.1, -2.1), (2.0, -2.0, 0.0)),
        ("|z| >= 2", (2.0, -2.0), (1.9,)),
    ],
)
def test_conditions(tmp_path: Path, text: str, holds: tuple[float, ...], fails: tuple[float, ...]) -> None:
    (one,) = rule(tmp_path, "mouth_width", text)
    (condition,) = one.conditions
    assert all(condition.holds(v, v) is True for v in holds)
    assert all(condition.holds(v, v) is False for v in fails)
    assert condition.holds(-9, 9) is None


def test_measurements_joined_by_or(tmp_path: Path) -> None:
    rules = rule(tmp_path, "mouth_width or nasal_width", "z > 2 or z < -2")
    assert call(z("mouth_width", 0), z("nasal_width", -5), rules=rules)["Wide mouth", "mid"].status == PRESENT
    assert call(z("mouth_width", 0), z("nasal_width", 5), rules=rules)["Wide mouth", "mid"].status == ABSENT
    assert call(z("mouth_width", 5), rules=rules)["Wide mouth", "mid"].status == PRESENT
    assert call(z("mouth_width", 0), rules=rules)["Wide mouth", "mid"].status == NOT_ASSESSED


def test_a_table_may_have_further_columns_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(
        "note,side,kind,rule,measurement,label,hpo_id\n"
        "mine,mid,objective,z > 1,mouth_width,Wide mouth,HP:0000154\n"
    )
    (one,) = read_rules(path)
    assert (one.hpo_id, one.text, one.source) == ("HP:0000154", "z > 1", "")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "HP:9999999,Odd mouth,mouth_width,z > 2,objective,mid",
            "column hpo_id: 'HP:9999999' is not among the terms of HPO 2025-01-16 that come with anthropo "
            "(head, neck, eyes, ears, skin, growth).",
        ),
        (
            "HP:0000154,Narrow mouth,mouth_width,z > 2,objective,mid",
            "column label: 'Narrow mouth', but HP:0000154 is called 'Wide mouth'.",
        ),
        (
            "HP:0000154,Wide mouth,mouth_widht,z > 2,objective,mid",
            "column measurement: 'mouth_widht' is not a measurement. Choose from mouth_width, ",
        ),
        (
            "HP:0000154,Wide mouth,palpebral_fissure_length,z > 2,objective,mid",
            "It is measured on each side: give `each` in the column side, or palpebral_fissure_length_R.",
        ),
        (
            "HP:0000154,Wide mouth,mouth_width,z > 2,objective,each",
            "It has no sides: give `mid` in the column side.",
        ),
        (
            "HP:0000154,Wide mouth,mouth_width,wide,objective,mid",
            "column rule: 'wide' is not a condition. Such are `z < -2`, `z > 2`, `|z| > 2` and "
            "`-3 <= z < -2`.",
        ),
        ("HP:0000154,Wide mouth,mouth_width,-2 < z < -3,objective,mid", "column rule: '-2 < z < -3' is not"),
        ("HP:0000154,Wide mouth,mouth_width,,objective,mid", "column rule: 0 conditions for 1 measurements."),
        (
            "HP:0000154,Wide mouth,mouth_width and nasal_width or lip_gap,z > 2,objective,mid",
            "mixes `and` with `or`. Use one of them.",
        ),
        (
            "HP:0000154,Wide mouth,mouth_width,z > 2,certain,mid",
            "column kind: 'certain'. Choose from objective",
        ),
        ("HP:0000154,Wide mouth,mouth_width,z > 2,objective,R", "column side: 'R'. Choose from mid, each."),
        (
            "HP:0000154,Wide mouth,,z > 2,objective,mid",
            "but there is no measurement that the rule could apply to.",
        ),
        ("HP:0000154,Wide mouth,mouth_width,z > 2", "4 cells where the header has 6."),
    ],
)
def test_a_rule_that_cannot_be_used_is_one_sentence(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"{HEADER}\n{row}\n")
    sentence = sentence_of(InputError, read_rules, path)
    assert sentence.startswith(f"{path}, line 3")
    assert message in sentence


def test_tables_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    good = "HP:0000154,Wide mouth,mouth_width,z > 2,objective,mid\n"
    for text, message in (
        ("", "line 1: no column hpo_id, label, measurement, rule, kind, side; its columns are none."),
        ("hpo_id,label\n", "line 1: no column measurement, rule, kind, side; its columns are hpo_id, label."),
        (HEADER, "the table has no rules. Add a row for each term."),
        (HEADER + good + good, "line 3, column hpo_id: HP:0000154 is in line 2 already."),
        (HEADER + '"HP', "not a readable CSV"),
    ):
        path.write_text(text)
        assert message in sentence_of(InputError, read_rules, path)
    with pytest.raises(InputError, match="no such file"):
        read_rules(tmp_path / "none.csv")
