from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import NEEDS_MM
from anthropo.reference.tables import Bands, Reference, ReferenceRow
from anthropo.reference.zscore import ZScore, beyond_t, by_chance, disagreement, score

NAN = math.nan


def row(**changes: object) -> ReferenceRow:
    start = ReferenceRow("mouth_width", "mm", "female", 18, 40, 10**9, 50.0, 4.0, "B", "s", "i", 0.0)
    return dataclasses.replace(start, **changes)  # type: ignore[arg-type]


def reference(*rows: ReferenceRow, name: str = "ref") -> Reference:
    by_name = {r.measurement: tuple(s for s in rows if s.measurement == r.measurement) for r in rows}
    return Bands(name, Path("ref.csv"), "", by_name)


def mouth(value: float, half: float = 0.0, unit: str = "mm", reason: str = "") -> Measurement:
    return Measurement("mouth_width", value, value - half, value + half, unit, "mid", reason)


def one(
    measurement: Measurement, *rows: ReferenceRow, sex: str | None = "female", age: float | None = 30
) -> ZScore:
    (z,) = score([measurement], [reference(*rows)], sex=sex, age=age)
    return z


# ------------------------------------------------------------------------------------ numbers


def test_a_z_from_a_large_reference_is_the_plain_one() -> None:
    z = one(mouth(58, 2), row())
    assert (z.id, z.reference, z.grade, z.mean, z.sd, z.n) == ("mouth_width", "ref", "B", 50.0, 4.0, 10**9)
    assert z.z == pytest.approx(2)
    assert (z.z_lo, z.z_hi) == pytest.approx((1.5, 2.5), abs=1e-3)
    assert z.reason == ""


def test_another_instruments_error_lowers_z_and_widens_its_interval() -> None:
    z = one(mouth(58, 2), row(error_sd=3.0))  # healthy people: √(4² + 3²) = 5
    assert z.z == pytest.approx(8 / 5)
    half = math.hypot(2, 1.959964 * 3) / 5
    assert (z.z_lo, z.z_hi) == pytest.approx((8 / 5 - half, 8 / 5 + half), abs=1e-3)


def test_few_people_widen_the_interval_more_the_farther_out() -> None:
    near, far = one(mouth(50), row(n=20)), one(mouth(62), row(n=20))
    # one more person is √(1 + 1/20) SD from the mean of twenty others
    assert (near.z, far.z) == (0, pytest.approx(3 / math.sqrt(1.05)))
    assert near.z_hi - near.z == pytest.approx(1.959964 / math.sqrt(21))
    assert far.z_hi - far.z == pytest.approx(1.959964 * math.sqrt(1 / 21 + 9 / 1.05**3 / 38))
    assert one(mouth(62), row(n=200)).z_hi < far.z_hi


def test_both_sides_of_the_interval_are_carried_through() -> None:
    z = one(Measurement("mouth_width", 54, 53, 58, "mm", "mid", ""), row())
    assert (z.z_lo, z.z, z.z_hi) == pytest.approx((0.75, 1, 2), abs=1e-3)


@given(st.floats(1e-3, 1e3), st.floats(0, 100), st.floats(0.1, 10), st.floats(0, 5), st.integers(2, 500))
def test_the_unit_does_not_matter(scale: float, value: float, half: float, error: float, n: int) -> None:
    z = one(mouth(value, half), row(error_sd=error, n=n))
    other = one(
        mouth(scale * value, scale * half), row(mean=scale * 50, sd=scale * 4, error_sd=scale * error, n=n)
    )
    assert (other.z, other.z_lo, other.z_hi) == pytest.approx((z.z, z.z_lo, z.z_hi), rel=1e-6, abs=1e-6)
    assert z.z_lo < z.z < z.z_hi


def by_twenty_controls(
    true_z: float, measured: Callable[[float], Measurement], instrument: str
) -> Iterator[ZScore]:
    """z of 2000 people of one true z, each with an error of SD 2, by twenty controls of their own."""
    random = np.random.default_rng(5)
    controls = random.normal(50, 4, (2000, 20))
    values = 50 + 4 * true_z + random.normal(0, 2, 2000)
    for x, mean, sd in zip(values, controls.mean(1), controls.std(1, ddof=1), strict=True):
        yield one(measured(x), row(mean=float(mean), sd=float(sd), n=20, instrument=instrument))


@pytest.mark.parametrize("true_z", [0.0, 2.0, -3.0])
def test_intervals_from_twenty_controls_cover_the_true_z(true_z: float) -> None:
    hits = sum(
        z.z_lo <= true_z <= z.z_hi
        for z in by_twenty_controls(true_z, lambda x: mouth(x, 1.959964 * 2), "callipers")
    )
    assert 0.935 <= hits / 2000 <= 0.965


def test_healthy_people_measured_by_a_worse_instrument_have_unit_spread() -> None:
    random = np.random.default_rng(6)
    people = random.normal(50, 4, 3000) + random.normal(0, 3, 3000)
    z = np.array([one(mouth(x), row(error_sd=3.0)).z for x in people])
    assert abs(z.mean()) < 0.06
    assert 0.96 < z.std() < 1.04


@given(st.integers(2, 500), st.floats(0, 5), st.floats(-30, 30))
def test_the_unit_of_z_holds_the_means_own_error(n: int, error: float, off: float) -> None:
    z = one(mouth(50 + off), row(n=n, error_sd=error))
    assert z.z == pytest.approx(off / math.sqrt(16 * (1 + 1 / n) + error**2))


def test_z_of_people_scored_by_the_twenty_others_have_unit_spread() -> None:
    random = np.random.default_rng(8)
    z = []
    for group in random.normal(50, 4, (600, 21)):
        others = group[1:]
        z.append(one(mouth(group[0]), row(mean=float(others.mean()), sd=float(others.std(ddof=1)), n=20)).z)
    # Student's t with 19 degrees of freedom: SD √(19/17)
    assert np.std(z) == pytest.approx(math.sqrt(19 / 17), rel=0.07)


# ---------------------------------------------------------------------------- the two intervals


def repeated(value: float, repeat_sd: float, half: float = 9.0) -> Measurement:
    return dataclasses.replace(mouth(value, half), repeat_sd=repeat_sd)


def test_under_the_same_instrument_a_z_has_the_error_of_repeating_and_no_other() -> None:
    z = one(repeated(58, 1.0), row(instrument="anthropo 1.0, landmark model x", n=25))
    spread = 4 * math.sqrt(1.04)
    assert (z.interval, z.z) == ("repeatability", pytest.approx(8 / spread))
    assert z.z_hi - z.z == pytest.approx(1.959964 / spread)
    assert z.z - z.z_lo == pytest.approx(1.959964 / spread)
    # what decides has the error of 25 people's mean and SD as well
    few = math.sqrt((16 / 25 + (z.z * 16 / spread**2 * spread) ** 2 / 48) / spread**2)
    assert z.reference_sd == pytest.approx(few)
    assert z.whole[1] - z.z == pytest.approx(1.959964 * math.hypot(1 / spread, few))


@pytest.mark.parametrize("true_z", [0.0, 2.0, -3.0])
def test_the_whole_interval_covers_the_true_z_under_the_same_instrument(true_z: float) -> None:
    scored = by_twenty_controls(true_z, lambda x: repeated(x, 2.0), "anthropo")
    hits = sum(z.whole[0] <= true_z <= z.whole[1] for z in scored)
    assert 0.935 <= hits / 2000 <= 0.965


def test_another_photo_lies_where_both_intervals_of_repeatability_say() -> None:
    random = np.random.default_rng(9)
    of = row(instrument="anthropo", n=25)
    hits = 0
    for _ in range(2000):
        person = random.normal(50, 4)
        a, b = (one(repeated(person + random.normal(0, 1.5), 1.5), of) for _ in range(2))
        hits += abs(a.z - b.z) <= math.hypot(a.z_hi - a.z, b.z_hi - b.z)
    assert 0.935 <= hits / 2000 <= 0.965


def test_calliper_norms_keep_the_error_against_hands() -> None:
    z = one(repeated(58, 0.1, half=3.0), row(instrument="direct (caliper)"))
    assert (z.interval, z.reference_sd) == ("accuracy", 0)
    assert z.whole == pytest.approx((z.z_lo, z.z_hi))
    assert z.z_hi - z.z == pytest.approx(0.75, abs=1e-3)


def test_a_value_without_repeatability_is_scored_with_its_accuracy() -> None:
    assert one(mouth(58, 2), row(instrument="anthropo")).interval == "accuracy"


# ------------------------------------------------------------------------------------- by chance


def test_as_many_z_scores_lie_beyond_two_by_chance_as_in_healthy_people() -> None:
    random = np.random.default_rng(4)
    names = ("mouth_width", "nasal_width", "philtrum_length")
    beyond, expected = [], []
    for _ in range(700):
        x = random.normal(50, 4, (3, 26))
        rows = [
            row(measurement=name, mean=float(v[1:].mean()), sd=float(v[1:].std(ddof=1)), n=25)
            for name, v in zip(names, x, strict=True)
        ]
        values = [
            Measurement(name, float(v[0]), NAN, NAN, "mm", "mid", "")
            for name, v in zip(names, x, strict=True)
        ]
        (chance,) = by_chance(score(values, [reference(*rows)], sex="female", age=30))
        beyond.append(chance.beyond)
        expected.append(chance.expected)
        assert chance.scored == 3
    assert np.mean(expected) == pytest.approx(3 * 0.0569, abs=1e-3)
    assert np.mean(beyond) == pytest.approx(np.mean(expected), abs=0.045)  # 3 standard errors


@pytest.mark.parametrize("freedom", [1, 2, 3, 19, 24, 49, 300])
@pytest.mark.parametrize("limit", [0.3, 2.0, 4.0])
def test_the_tail_is_that_of_students_t(freedom: int, limit: float) -> None:
    assert beyond_t(limit, freedom) == pytest.approx(2 * stats.t.sf(limit, freedom), abs=1e-12)


# ------------------------------------------------------------------------------------ reasons


def empty(z: ZScore) -> str:
    assert math.isnan(z.z)
    assert math.isnan(z.z_lo)
    assert math.isnan(z.z_hi)
    assert z.reason
    return z.reason


def test_no_value_no_score_but_its_reason() -> None:
    assert empty(one(mouth(NAN, reason="voided by smile"), row())) == "voided by smile"
    assert empty(one(mouth(NAN, reason="voided by smile"), row(), age=3)) == "voided by smile"


def test_a_value_kept_by_force_keeps_its_reason_beside_the_score() -> None:
    z = one(mouth(58, 2, reason="voided by smile"), row())
    assert (z.z, z.reason) == (pytest.approx(2), "voided by smile")


def test_a_value_without_interval_has_a_score_without_interval() -> None:
    z = one(mouth(58, NAN, reason="no interval without jitter"), row())
    assert z.z == pytest.approx(2)
    assert math.isnan(z.z_lo)
    assert math.isnan(z.z_hi)
    assert z.reason == "no interval without jitter"


def test_ages_outside_the_table_are_refused_with_its_range() -> None:
    rows = row(age_lo=0, age_hi=2), row(age_lo=18, age_hi=40)
    assert empty(one(mouth(50), *rows, age=8)) == "age 8 is outside ref: 0 to 2, 18 to 40 years"
    assert empty(one(mouth(50), *rows, age=41)).startswith("age 41 is outside")
    assert empty(one(mouth(50), *rows, age=3.0)).startswith("age 3 is outside")
    for inside in (0, 2.99, 18, 40.9):
        assert one(mouth(50), *rows, age=inside).z == 0
    assert "the age is missing and ref is for 0 to 2, 18 to 40 years" in empty(
        one(mouth(50), *rows, age=None)
    )


def test_a_fractional_end_is_the_end() -> None:
    half_year = row(age_lo=0, age_hi=0.5)
    assert one(mouth(50), half_year, age=0.49).z == 0
    assert "outside ref: 0 to 0.5 years" in empty(one(mouth(50), half_year, age=0.5))


def test_sex_missing_or_not_in_the_table() -> None:
    assert "the sex is missing and ref is by sex" in empty(one(mouth(50), row(), sex=None))
    assert empty(one(mouth(50), row(), sex="male")) == "ref has mouth_width for female only"


def test_a_row_for_both_serves_everybody_but_comes_second() -> None:
    both = row(sex="both", mean=46.0, age_lo=3, age_hi=90)
    assert one(mouth(50), both, row()).z == 0
    for sex, age in ((None, 30), ("male", 30), ("female", 10)):
        assert one(mouth(50), both, row(), sex=sex, age=age).z == pytest.approx(1)


def test_units() -> None:
    assert empty(one(mouth(0.6, unit="ex-ex"), row())) == f"ref {NEEDS_MM}"
    assert empty(one(mouth(50), row(unit="ex-ex"))) == "ref is in ex-ex, the value in mm"


def test_of_several_units_each_reference_takes_its_own() -> None:
    scale_free = reference(row(unit="ex-ex", mean=0.5, sd=0.1), name="free")
    values = [mouth(0.7, unit="ex-ex"), mouth(50)]
    free, mm = score(values, [scale_free, reference(row())], sex="female", age=30)
    assert (free.reference, free.z) == ("free", pytest.approx(2))
    assert (mm.reference, mm.z) == ("ref", 0)


def test_a_measurement_that_is_not_in_the_table() -> None:
    nose = Measurement("nasal_width", 33, 32, 34, "mm", "mid", "")
    z = one(nose, row())
    assert empty(z) == "ref has no nasal_width"
    assert (z.n, z.grade, math.isnan(z.mean)) == (0, "", True)


def test_one_score_for_each_measurement_and_reference_in_their_order() -> None:
    values = [mouth(50), Measurement("nasal_width", 33, 32, 34, "mm", "mid", "")]
    found = score(values, [reference(row(), name=n) for n in "ab"], sex="female", age=30)
    assert [(z.id, z.reference) for z in found] == [
        ("mouth_width", "a"), ("mouth_width", "b"), ("nasal_width", "a"), ("nasal_width", "b"),
    ]  # fmt: skip
    assert score(values, [], sex="female", age=30) == []


# ------------------------------------------------------------------------------- disagreement


def z_by(name: str, z: float, half: float) -> ZScore:
    return ZScore("mouth_width", name, "A", z, z - half, z + half, 30, 50.0, 4.0, "")


def test_references_that_agree_are_not_mentioned() -> None:
    assert disagreement([z_by("a", 1.0, 0.5), z_by("b", 1.6, 0.5), z_by("c", NAN, NAN)]) == []


def test_intervals_that_do_not_overlap_disagree() -> None:
    (found,) = disagreement([z_by("a", -1.5, 0.5), z_by("b", 1.0, 0.5)])
    assert (found.id, found.apart, found.sides) == ("mouth_width", True, False)
    assert found.sentence() == (
        "mouth_width: references disagree: z −1.5 (−2.0 to −1.0) by a, grade A, against z +1.0 "
        "(+0.5 to +1.5) by b, grade A, and their intervals do not overlap."
    )


def test_scores_on_different_sides_of_two_disagree_even_when_they_overlap() -> None:
    (found,) = disagreement([z_by("a", 1.8, 0.5), z_by("b", 2.3, 0.5)])
    assert (found.apart, found.sides) == (False, True)
    assert found.sentence().endswith("by b, grade A, and only one of them is within ±2.")
    (found,) = disagreement([z_by("a", -2.5, 3), z_by("b", 2.5, 3)])
    assert found.sentence().endswith("and they differ in sign.")
    (found,) = disagreement([z_by("a", 0.5, NAN), z_by("b", 2.5, 0.5)])
    assert (found.apart, found.sides) == (False, True)
    assert "z +0.5 (? to ?) by a" in found.sentence()


def test_every_pair_of_one_measurement_is_looked_at_and_no_other() -> None:
    other = dataclasses.replace(z_by("a", 9, 0.1), id="nasal_width")
    found = disagreement([z_by("a", 0, 0.1), z_by("b", 1, 0.1), z_by("c", 2, 0.1), other])
    assert [(d.first.reference, d.second.reference) for d in found] == [("a", "b"), ("a", "c"), ("b", "c")]
