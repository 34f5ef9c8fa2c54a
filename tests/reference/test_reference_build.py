from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropo.errors import InputError
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import registry
from anthropo.reference.build import (
    Band,
    Subject,
    build_reference,
    one_instrument,
    parse_bands,
    qn_scale,
    require_columns,
    robust_mean_sd,
    subject,
    values_of,
    values_of_row,
)

# -------------------------------------------------------------------------- robust estimators


@pytest.mark.parametrize("n", [10, 11, 40, 41])
def test_qn_is_the_order_statistic_of_all_pairs(n: int) -> None:
    x = np.random.default_rng(n).gamma(2.0, size=n)
    pairs = np.sort(np.abs(x[:, None] - x)[np.triu_indices(n, 1)])
    half = n // 2 + 1
    corrected = n / (n + 1.4) if n % 2 else n / (n + 3.8)
    assert qn_scale(x) == pytest.approx(2.21914 * corrected * pairs[half * (half - 1) // 2 - 1], rel=1e-9)


def test_ten_thousand_normal_values_give_the_plain_mean_and_sd() -> None:
    x = np.random.default_rng(0).normal(50, 4, 10_000)
    mean, sd, left_out = robust_mean_sd(x)
    assert left_out <= 5
    assert qn_scale(x) == pytest.approx(4, rel=0.02)
    assert mean == pytest.approx(50, abs=0.08)
    assert sd == pytest.approx(4, rel=0.02)
    assert mean == pytest.approx(x.mean(), abs=0.02)
    assert sd == pytest.approx(x.std(ddof=1), rel=0.015)


@pytest.mark.parametrize("n", [20, 100, 10_000])
@pytest.mark.parametrize("away", [6, 10, 1000])
def test_five_percent_of_gross_outliers_move_nothing(n: int, away: float) -> None:
    random = np.random.default_rng(n)
    means, sds, plain = [], [], []
    for _ in range(300 if n < 1000 else 3):
        x = random.normal(50, 4, n)
        x[: n // 20] += away * 4
        mean, sd, _ = robust_mean_sd(x)
        means.append(mean)
        sds.append(sd)
        plain.append(x.std(ddof=1))
    assert np.mean(means) == pytest.approx(50, abs=0.02 * 4 + 3 * 4 / math.sqrt(n * len(means)))
    assert np.mean(sds) == pytest.approx(4, rel=0.04)
    assert np.mean(plain) > 1.4 * 4


def test_small_clean_samples_keep_their_spread() -> None:
    samples = np.random.default_rng(3).normal(size=(1500, 25))
    found = np.array([robust_mean_sd(x) for x in samples])
    assert 0.98 < found[:, 1].mean() / samples.std(1, ddof=1).mean() <= 1
    assert (found[:, 2] == 0).mean() > 0.95


@given(st.floats(-100, 100), st.floats(0.01, 100))
def test_mean_and_sd_follow_shift_and_scale(shift: float, scale: float) -> None:
    x = np.random.default_rng(1).normal(size=30)
    x[0] = 40
    mean, sd, one = robust_mean_sd(x)
    moved, wider, same = robust_mean_sd(shift + scale * x)
    assert (one, same) == (1, 1)
    assert moved == pytest.approx(shift + scale * mean, abs=1e-6 * (scale + abs(shift)))
    assert wider == pytest.approx(scale * sd, rel=1e-6)


def test_values_that_are_mostly_the_same_have_no_spread() -> None:
    assert qn_scale(np.full(30, 7.0)) == 0
    assert robust_mean_sd(np.array([0.0] * 20 + [1.0, 2.0])) == (0.0, 0.0, 0)


# ------------------------------------------------------------------------------------- people


def test_a_subject_is_read_from_a_row() -> None:
    row = {"sex": "W", "age": "18m", "patient": "p1"}
    assert subject("a.jpg", row, "sex") == Subject("a.jpg", "p1", "female", 1.5, 19 / 12)
    of_both = subject("a.jpg", {"age": "8", "sex": "?", "ancestry": " East  Asian"}, "both")
    assert of_both == Subject("a.jpg", "a.jpg", "both", 8, 9, "East Asian")
    with pytest.raises(InputError, match=r"^a\.jpg: Age 'eight' is not an age"):
        subject("a.jpg", {"sex": "f", "age": "eight"}, "sex")
    with pytest.raises(InputError, match=r"^a\.jpg: The sex is empty"):
        subject("a.jpg", {"age": "8"}, "sex")


def test_columns_that_are_needed() -> None:
    require_columns("c.csv", ["photo", "age", "sex"], "sex")
    require_columns("c.csv", ["photo", "age"], "both")
    with pytest.raises(InputError, match=r"c\.csv: no column `sex`; its columns are photo, age\. Add it, or"):
        require_columns("c.csv", ["photo", "age"], "sex")
    with pytest.raises(InputError, match=r"c\.csv: no column `age`"):
        require_columns("c.csv", ["photo", "sex"], "both")


def cell(name: str, value: float, reason: str = "", unit: str = "ex-ex") -> Measurement:
    return Measurement(name, value, math.nan, math.nan, unit, "mid", reason)


def test_values_of_a_face_are_those_that_stand() -> None:
    measurements = [
        cell("mouth_width", 0.5),
        cell("nasal_width", 0.3, "no interval without jitter"),
        cell("philtrum_length", math.nan, "voided"),
        cell("intercanthal_width", 0.4, "voided by yaw"),  # kept by --force
        cell("face_height", 110.0, unit="mm"),
        cell("of_an_older_version", 1.0),
    ]
    assert values_of(measurements) == {"mouth_width": 0.5, "nasal_width": 0.3}
    assert values_of([]) == {}


def test_values_of_a_table_row_are_the_same() -> None:
    row = {
        "photo": "a.jpg", "mouth_width": "0.5", "nasal_width": "0.3", "philtrum_length": "",
        "face_height": "nan", "intercanthal_width": "0.4",
        "measurement_reasons": "nasal_width: no interval without jitter; intercanthal_width: voided by yaw",
    }  # fmt: skip
    assert values_of_row("f.csv", row) == {"mouth_width": 0.5, "nasal_width": 0.3}
    with pytest.raises(InputError, match=r"^f\.csv, photo a\.jpg, column mouth_width: 'wide' is no number"):
        values_of_row("f.csv", {**row, "mouth_width": "wide"})


def test_measurements_of_different_instruments_are_not_pooled() -> None:
    rows = [
        {"status": "ok", "diagnostics_anthropo": "1", "diagnostics_landmark_model": "aa"},
        {"status": "failed", "diagnostics_anthropo": "0", "diagnostics_landmark_model": "bb"},
    ]
    assert one_instrument("f.csv", rows) == "anthropo 1, landmark model aa"
    rows[1]["status"] = "ok"
    with pytest.raises(InputError, match=r"f\.csv: measured with different instruments, anthropo 0.* and "):
        one_instrument("f.csv", rows)
    assert one_instrument("f.csv", []) == ""


def test_measurements_with_and_without_the_fine_stage_are_not_pooled() -> None:
    plain = {"status": "ok", "diagnostics_anthropo": "1", "diagnostics_landmark_model": "aa"}
    fine = {**plain, "diagnostics_fine_model": "bb"}
    assert one_instrument("f.csv", [fine]) == "anthropo 1, landmark model aa, fine stage bb"
    with pytest.raises(
        InputError, match="landmark model aa and anthropo 1, landmark model aa, fine stage bb"
    ):
        one_instrument("f.csv", [plain, fine])


# -------------------------------------------------------------------------------------- bands


def test_bands_are_read_in_any_order() -> None:
    assert parse_bands(" 18-60, 0–2,3-5") == [(0, 2), (3, 5), (18, 60)]
    assert parse_bands("0-0.5,0.5-1") == [(0, 0.5), (0.5, 1)]


@pytest.mark.parametrize(
    "text", ["", "5", "a-b", "5-3", "0-2,", "0-300", "-3-5", "nan-3", "0.5-0.5", "5.5-5"]
)
def test_bands_that_cannot_be_used(text: str) -> None:
    with pytest.raises(InputError, match=r"^Age band '.*' cannot be used\. Give the youngest and the oldest"):
        parse_bands(text)


def test_bands_that_overlap_in_completed_years() -> None:
    with pytest.raises(InputError, match=r"^Age bands 0 to 3 and 3 to 5 overlap: .*Begin the second at 4\.$"):
        parse_bands("3-5,0-3")


# --------------------------------------------------------------------------------- the tables

VALUES = {"mouth_width": 0.5, "nasal_width": 0.3}


def people(
    count: int, sex: str = "female", age: float = 30.0, seed: int = 0, prefix: str = ""
) -> list[tuple[Subject, dict[str, float]]]:
    random = np.random.default_rng(seed)
    return [
        (
            Subject(f"{prefix}{sex}{age:g}-{i}.jpg", f"{prefix}{sex}{age:g}-{i}", sex, age),
            {name: value + random.normal(0, 0.02) for name, value in VALUES.items()},
        )
        for i in range(count)
    ]


def build(measured: Any, bands: list[Band] | None = None, min_people: int = 20) -> Any:
    return build_reference(measured, bands=bands, min_people=min_people, source="s", instrument="i")


def test_rows_by_sex_and_band_in_the_registrys_order() -> None:
    measured = people(30) + people(25, "male", seed=1) + people(22, "male", age=4.5, seed=2)
    built = build(measured, [(3, 5), (18, 60)])
    assert [(r.measurement, r.sex, r.age_lo, r.age_hi, r.n) for r in built.rows] == [
        ("nasal_width", "female", 18, 60, 30),
        ("nasal_width", "male", 3, 5, 22),
        ("nasal_width", "male", 18, 60, 25),
        ("mouth_width", "female", 18, 60, 30),
        ("mouth_width", "male", 3, 5, 22),
        ("mouth_width", "male", 18, 60, 25),
    ]
    for row in built.rows:
        assert row.mean == pytest.approx(VALUES[row.measurement], abs=0.02)
        assert row.sd == pytest.approx(0.02, rel=0.5)
        assert (row.unit, row.grade, row.source, row.instrument, row.error_sd) == ("ex-ex", "A", "s", "i", 0)
    assert built.refused == ("female, 3 to 5 years: 0 people, 20 needed; left out.",)


def test_without_bands_there_is_one_over_the_ages_present() -> None:
    measured = [(Subject(s.photo, s.patient, s.sex, 19.7 + i), v) for i, (s, v) in enumerate(people(20))]
    built = build(measured)
    assert {(r.age_lo, r.age_hi) for r in built.rows} == {(19, 38)}
    assert built.refused == ()


def test_nineteen_people_are_refused_and_twenty_are_not() -> None:
    built = build(people(19) + people(20, "male"))
    assert {r.sex for r in built.rows} == {"male"}
    assert built.refused == ("female, 30 to 30 years: 19 people, 20 needed; left out.",)
    assert build(people(19)).rows == ()
    assert {r.n for r in build(people(19), min_people=10).rows} == {19}
    assert build([]).rows == ()


def test_photos_of_one_patient_are_one_person() -> None:
    measured = people(25)
    again = [
        (Subject(f"second-{s.photo}", s.patient, s.sex, s.age), {"mouth_width": 0.9}) for s, _ in measured
    ]
    (nose, mouth) = build(measured + again).rows
    plain = {r.measurement: r for r in build(measured).rows}
    assert (nose.n, mouth.n) == (25, 25)
    assert nose == plain["nasal_width"]
    assert mouth.mean == pytest.approx((plain["mouth_width"].mean + 0.9) / 2, abs=0.005)
    twelve = [(Subject(f"{i}-{s.photo}", s.patient, s.sex, s.age), v) for i in "ab" for s, v in people(12)]
    assert build(twelve).refused == ("female, 30 to 30 years: 12 people, 20 needed; left out.",)


def test_a_patient_of_two_sexes_is_left_out_and_named() -> None:
    measured = [*people(21), (Subject("x.jpg", "female30-0", "male", 30.0), dict(VALUES))]
    built = build(measured)
    assert {r.n for r in built.rows} == {20}
    assert built.refused[0] == "patient female30-0: female in one row and male in another; left out."


def test_n_counts_those_who_have_the_measurement() -> None:
    measured = people(30)
    for _, values in measured[:8]:
        del values["nasal_width"]
    built = build(measured)
    assert {r.measurement: r.n for r in built.rows} == {"nasal_width": 22, "mouth_width": 30}
    for _, values in measured[8:12]:
        del values["nasal_width"]
    built = build(measured)
    assert [r.measurement for r in built.rows] == ["mouth_width"]
    assert built.notes[0].startswith("female, 30 to 30 years: fewer than 20 people have ")
    assert "nasal_width (18)" in built.notes[0]
    assert built.refused == ()


def test_a_value_that_does_not_vary_has_no_row() -> None:
    measured = [(s, {**v, "nasal_width": 0.3}) for s, v in people(30)]
    built = build(measured)
    assert [r.measurement for r in built.rows] == ["mouth_width"]
    assert any(
        "the same value, so there is no SD: nasal_width; no row is written." in note for note in built.notes
    )


def test_ages_between_the_bands_are_named() -> None:
    built = build(people(20) + people(2, age=8), [(18, 60)])
    assert built.notes[0] == "in no age band: female8-0.jpg (age 8), female8-1.jpg (age 8)."
    assert {r.n for r in built.rows} == {20}


def test_a_person_photographed_as_child_and_as_adult_counts_in_both_bands() -> None:
    child = [(Subject(f"c-{s.photo}", s.patient, s.sex, 5.9), v) for s, v in people(20, seed=4)]
    built = build(people(20) + child, [(3, 5), (18, 60)])
    assert {(r.age_lo, r.n) for r in built.rows} == {(3, 20), (18, 20)}


def test_a_wrong_person_among_the_controls_changes_little() -> None:
    measured = people(40)
    clean = {r.measurement: r for r in build(measured).rows}
    measured[0][1]["mouth_width"] = 3.0
    spoiled = {r.measurement: r for r in build(measured).rows}
    assert spoiled["mouth_width"].sd == pytest.approx(clean["mouth_width"].sd, rel=0.1)
    assert set(clean) <= set(registry())
    assert "female, 30 to 30 years: left out of mean and SD, far from the others: mouth_width (1)." in (
        build(measured).notes
    )


def test_a_crowd_that_does_not_fit_leaves_no_norm() -> None:
    measured = people(40)
    for i in range(8):
        measured[i][1]["mouth_width"] = 2.0 + i / 10
    built = build(measured)
    assert [r.measurement for r in built.rows] == ["nasal_width"]
    assert any("are not meaningful: mouth_width (8); no row is written." in note for note in built.notes)


def test_a_photo_of_two_patients_is_left_out() -> None:
    people = [
        (Subject(f"{i}.jpg", str(i), "female", 30.0), {"mouth_width": 0.5 + i / 100}) for i in range(20)
    ]
    twice = (Subject("0.jpg", "other", "female", 30.0), {"mouth_width": 0.5})
    built = build_reference([*people, twice], source="made up", instrument="none")
    assert built.rows == ()
    assert built.refused[0] == "0.jpg: listed under 2 patients; left out."
    assert "19 people, 20 needed" in built.refused[1]
