"""Ages, dates and ancestry as people write them."""

from __future__ import annotations

import contextlib
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropo.errors import InputError
from anthropo.reference.person import (
    Dated,
    age_basis,
    age_on,
    age_span,
    born_early,
    dated,
    exact_age,
    gestation_at,
    parse_age,
    parse_date,
    parse_gestation,
    written_gestation,
)

TODAY = date(2026, 6, 1)

# ------------------------------------------------------------------------------- ages in words


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("8", 8), ("8.5", 8.5), (" 8,5 ", 8.5), ("8y", 8), ("8 Years", 8), ("8 yrs", 8), ("0", 0),
        (".5", 0.5), ("18m", 1.5), ("18 months", 1.5), ("18 mo", 1.5), ("1 month", 1 / 12), ("120", 120),
        ("52w", 364 / 365.25), ("6 weeks", 42 / 365.25), ("3 days", 3 / 365.25), ("7 m", 7 / 12),
        ("6 mo", 0.5), ("3w", 21 / 365.25), ("10 d", 10 / 365.25), ("1y 6m", 1.5), ("1y6m", 1.5),
        ("1 year and 6 months", 1.5), ("1 yr, 6 mos", 1.5), ("2y 0m", 2), ("1m 2w 3d", 1 / 12 + 17 / 365.25),
        ("0y 7.5M", 0.625),
    ],
)  # fmt: skip
def test_ages(text: str, years: float) -> None:
    assert parse_age(text) == pytest.approx(years, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"), ("  ", "is empty"), ("-3", "is negative"), ("−3 y", "is negative"),
        ("300", "is above 120 years"), ("1500m", "is above 120 years"), ("eight", "is not an age"),
        ("nan", "is not an age"), ("inf", "is not an age"), ("1e1", "is not an age"),
        ("8 miles", "is not an age"), ("3-5", "is not an age"), ("NA", "is not an age"),
        ("6m 1y", "is not an age"), ("1y 2y", "is not an age"), ("1.5y 2m", "is not an age"),
        ("1y 6", "is not an age"), ("1y 6mm", "is not an age"), ("119y 13m", "is above 120 years"),
        ("2014-05-03", "is a date: dates belong in the columns `born` and `taken`"),
        ("4 Mar 2019", "is a date"), ("04.03.2019", "is a date"),
    ],
)  # fmt: skip
def test_what_is_no_age_is_refused_with_the_ways(text: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_age(text)
    assert what in str(caught.value)
    assert str(caught.value).endswith("Give years (8 or 8.5), months (18m), weeks (3w) or days (10d).")
    assert "\n" not in str(caught.value)
    assert text.strip() in str(caught.value)


@given(st.text(max_size=12) | st.text("0123456789.,ymwd oaersn", max_size=16))
def test_any_text_is_an_age_or_refused(text: str) -> None:
    try:
        age = parse_age(text)
    except InputError:
        return
    youngest, oldest = age_span(text)
    assert age == youngest
    assert 0 <= youngest <= 120
    assert youngest <= oldest <= 121


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("8", (8, 9)),
        ("8y", (8, 9)),
        ("8.0", (8, 8)),
        ("8,5", (8.5, 8.5)),
        ("18m", (1.5, 19 / 12)),
        ("18 months", (1.5, 19 / 12)),
        ("1.5 months", (0.125, 0.125)),
        ("6w", (42 / 365.25, 49 / 365.25)),
        ("0d", (0, 1 / 365.25)),
        ("1y 6m", (1.5, 19 / 12)),
        ("1y 6.0m", (1.5, 1.5)),
        ("2m 1w", (1 / 6 + 7 / 365.25, 1 / 6 + 14 / 365.25)),
    ],
)
def test_a_whole_number_is_completed_years_months_weeks_or_days(text: str, span: tuple[float, float]) -> None:
    assert age_span(text) == pytest.approx(span)


@given(st.integers(0, 40000))
def test_an_age_to_the_day_is_read_as_it_was_written(days: int) -> None:
    text = exact_age(days / 365.25)
    youngest, oldest = age_span(text)
    assert youngest == oldest  # a decimal point: nothing is completed
    assert days <= youngest * 365.25 < days + 0.005


# --------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    "text",
    [
        "2019-03-04", "2019-3-4", " 2019-03-04 ", "2019/03/04", "2019.03.04", "2019-03-04T10:20:00Z",
        "2019-03-04 10:20", "04.03.2019", "4.3.2019", "4. 3. 2019", "4 Mar 2019", "4 March 2019",
        "04-MAR-2019", "04MAR2019", "Mar 4, 2019", "March 4 2019", "4. Mar. 2019",
    ],
)  # fmt: skip
def test_one_day_as_people_write_it(text: str) -> None:
    assert parse_date(text) == date(2019, 3, 4)


def test_day_and_month_are_told_apart_where_they_can_be() -> None:
    assert parse_date("25/12/2019") == parse_date("12/25/2019") == date(2019, 12, 25)
    assert parse_date("03/03/2019") == date(2019, 3, 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("03/04/2019", "the first number may be the day or the month."),
        ("3-4-2019", "the first number may be the day or the month."),
        ("", "not a date that can be read."),
        ("04.03.19", "not a date that can be read."),
        ("43528", "not a date that can be read."),
        ("2019", "not a date that can be read."),
        ("4 Foo 2019", "not a date that can be read."),
        ("٤.٣.٢٠١٩", "not a date that can be read."),
        ("2019-02-29", "no such day in the calendar."),
        ("31.04.2019", "no such day in the calendar."),
        ("0000-01-01", "no such day in the calendar."),
    ],
)
def test_what_is_no_day_is_refused_and_not_repeated(text: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_date(text)
    assert str(caught.value) == f"{why} Write 2019-03-04, 04.03.2019 or 4 Mar 2019."


@pytest.mark.parametrize(
    ("taken", "years"),
    [
        (date(2019, 3, 4), 0),
        (date(2019, 3, 14), 10 / 365.25),
        (date(2020, 3, 3), 365 / 365.25),  # not yet one
        (date(2022, 3, 3), 1095 / 365.25),
        (date(2023, 3, 4), 4),
        (date(2026, 3, 4), 7),  # 2557 days are less than 7 times 365.25, and the birthday counts
    ],
)
def test_ages_by_dates(taken: date, years: float) -> None:
    assert age_on(date(2019, 3, 4), taken) == pytest.approx(years, abs=3 / 365.25)
    assert age_on(date(2019, 3, 4), taken) >= int(years)


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 40000))
def test_years_are_completed_on_the_birthday_and_not_before(born: date, days: int) -> None:
    taken = born + timedelta(days=days)
    completed = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    assert int(age_on(born, taken)) == completed
    assert int(parse_age(exact_age(age_on(born, taken)))) == completed


@pytest.mark.parametrize(
    ("born", "taken", "age", "told"),
    [
        ("2019-03-04", "2023-03-04", "", "4.0"),
        ("04.03.2019", "14 Mar 2019", "", "0.02738"),
        ("2019-03-04", "2019-03-04", "", "0.0"),
        ("2019-03-04", "2023-03-04", "4", "4.0"),  # dates are more exact
        ("2019-03-04", "2023-03-04", "5", "4.0"),  # a year apart
        ("2019-03-04", "2023-03-04", "old", "4.0"),
        ("2019-03-04", "", "4", "4"),
        ("", "2023-03-04", "4", "4"),
        ("", "2023-03-04", "", ""),
        ("", "", "18m", "18m"),
    ],
)
def test_the_age_that_dates_tell(born: str, taken: str, age: str, told: str) -> None:
    assert dated(born, taken, age, TODAY) == Dated(told)


@pytest.mark.parametrize(
    ("born", "taken", "age", "why"),
    [
        (
            *("2019-03-04", "", ""),
            "The date of birth is given, and not when the photo was taken. Fill in the column `taken`, or "
            "`age`.",
        ),
        (
            *("2019-03-04", "2019-03-03", ""),
            "The photo was taken before the person was born. Correct `born` or `taken`.",
        ),
        ("2019-03-04", "2026-06-02", "", "Column `taken`: the date is in the future. Correct it."),
        ("2027-03-04", "2026-06-01", "", "Column `born`: the date is in the future. Correct it."),
        (
            *("03/04/2019", "2023-01-01", ""),
            "Column `born`: the first number may be the day or the month. Write 2019-03-04, 04.03.2019 or "
            "4 Mar 2019.",
        ),
        (
            *("2015-07-09", "spring", ""),
            "Column `taken`: not a date that can be read. Write 2019-03-04, 04.03.2019 or 4 Mar 2019.",
        ),
        (
            *("1850-01-01", "2023-01-01", ""),
            "By `born` and `taken` the age is above 120 years. Correct one of them.",
        ),
        (
            *("2019-03-04", "2023-03-04", "5.5"),
            "Age 5.5 is given, and by `born` and `taken` it is 4 years. Correct one of them.",
        ),
        (
            *("2019-03-04", "2023-03-04", "18m"),
            "Age 18m is given, and by `born` and `taken` it is 4 years. Correct one of them.",
        ),
    ],
)
def test_dates_that_tell_no_age(born: str, taken: str, age: str, why: str) -> None:
    assert dated(born, taken, age, TODAY) == Dated("", why)
    assert born not in why or born == "2019-03-04"  # which is the example


# ----------------------------------------------------------------------------------- gestation


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("31", "31"), ("31w", "31"), (" 31 W ", "31"), ("31 wks", "31"), ("31 weeks", "31"), ("31+0", "31"),
        ("31+4", "31+4"), ("31 + 4", "31+4"), ("31w4d", "31+4"), ("31w+4d", "31+4"),
        ("31 weeks 4 days", "31+4"),
        ("31 4/7", "31+4"), ("31w4", "31+4"), ("20", "20"), ("45w", "45"), ("36+6", "36+6"),
    ],
)  # fmt: skip
def test_gestations(text: str, written: str) -> None:
    assert written_gestation(text) == written
    assert parse_gestation(written) == parse_gestation(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        *[(text, "is no number of weeks.") for text in ("", "term", "31.5", "31+7", "-31", "31d", "7m")],
        *[(text, "is not from 20 to 45 weeks.") for text in ("19+6", "45+1", "314", "0")],
    ],
)  # fmt: skip
def test_what_is_no_gestation_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_gestation(text)
    assert str(caught.value) == (
        f"Gestation {text!r} {what} Give completed weeks (31w), or weeks and days (31+4)."
    )


@pytest.mark.parametrize(
    ("age", "gestation", "weeks"),
    [
        (0.5, "31+4", 8 + 3 / 7),
        (0.0, "24", 16),
        (1.999, "36+6", 3 + 1 / 7),
        (0.5, "37", 0),
        (0.5, "42", 0),
        (2.0, "24", 0),
        (0.5, None, 0),
    ],
)
def test_who_was_born_early_is_younger(age: float, gestation: str | None, weeks: float) -> None:
    given_weeks = None if gestation is None else parse_gestation(gestation)
    assert born_early(age, given_weeks) * 365.25 / 7 == pytest.approx(weeks)


@pytest.mark.parametrize(
    ("span", "gestation", "words"),
    [
        ((0.5, 0.5), None, "birth at term is assumed"),
        ((0.5, 0.5), 39, "born at 39 weeks, at term"),
        ((10 / 365.25, 10 / 365.25), 31, "corrected age −7.6 weeks, born at 31 weeks"),
        ((4 / 12, 5 / 12), 31, "corrected age 8.4 to 12.7 weeks, born at 31 weeks"),
        ((1.5, 1.5), 28 + 2 / 7, "corrected age 15.3 months, born at 28+2 weeks"),
        ((2.0, 3.0), 28, ""),
        ((31, 32), None, ""),
    ],
)
def test_from_which_birth_an_age_is_counted(
    span: tuple[float, float], gestation: float | None, words: str
) -> None:
    assert age_basis(*span, gestation) == words


def test_a_gestation_that_cannot_be_used_matters_below_two_years_only() -> None:
    assert gestation_at(2, "never") is None
    assert gestation_at(1, "") is None
    with pytest.raises(InputError):
        gestation_at(1.9, "never")


@given(st.text(max_size=20) | st.text("0123456789+wdeks/-. :TMar,", max_size=20))
def test_any_text_is_a_gestation_or_a_day_or_refused(text: str) -> None:
    for read in (parse_gestation, parse_date):
        with contextlib.suppress(InputError):
            assert read(text)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    for read in (parse_gestation, parse_date, parse_age):
        with pytest.raises(InputError):
            read("9" * 5000)
