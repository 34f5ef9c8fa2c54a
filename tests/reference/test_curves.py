"""Reference curves over age: their tables, who is looked up where, and the z-scores of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import sentence_of
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from anthropo.errors import InputError
from anthropo.face.fine import fine_sha256
from anthropo.face.gate import Check
from anthropo.face.weights import landmark_model
from anthropo.measurement.compute import Z95, Measurement
from anthropo.reference.curves import Curve, Curves, as_csv, columns, standardise
from anthropo.reference.shipped import shipped_references
from anthropo.reference.suited import best_reference, is_studio_like
from anthropo.reference.tables import Reference, load_reference
from anthropo.reference.zscore import ZScore, disagreements, groups_disagree, score

GROUPS = ("blue", "Green")
HEADER = columns(GROUPS)
# n, median, sd, skew; then of each group its shift and n
LINES = ("100,0.4,0.02,0,-0.01,60,0.01,60", "200,0.5,0.03,0,-0.03,90,0.03,39", "50,0.52,0.02,0,0,40,0,0")
Write = Callable[[str], Path]


def curve(*lines: str, sex: str = "female", ages: tuple[float, ...] = (0, 2, 80), **changes: object) -> Curve:
    said: dict[str, object] = {
        "measurement": "intercanthal_width", "unit": "ex-ex", "grade": "B", "source": "a town, its people",
        "instrument": "anthropo", **changes,
    }  # fmt: skip
    return Curve(sex=sex, ages=ages, lines=lines or LINES, groups=GROUPS, **said)  # type: ignore[arg-type]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(text): a table of one's own with this text."""

    def to(text: str) -> Path:
        path = tmp_path / "own.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return to


@pytest.fixture
def own(write: Write) -> Reference:
    return load_reference(write(as_csv([curve(), curve(sex="male")], GROUPS)))


def eyes(value: float, repeat_sd: float = 0.005) -> Measurement:
    return Measurement(
        "intercanthal_width", value, value - 0.03, value + 0.03, "ex-ex", "mid", "", repeat_sd=repeat_sd
    )


def one(
    measurement: Measurement,
    reference: Reference,
    age: float | None = 2.5,
    ancestry: str | None = None,
    sex: str | None = "female",
) -> ZScore:
    (z,) = score([measurement], [reference], sex=sex, age=age, ancestry=ancestry)
    return z


# ------------------------------------------------------------------------------------- the table


def test_what_is_written_is_read(own: Reference) -> None:
    assert isinstance(own, Curves)
    assert own.groups == GROUPS
    assert own.measurements == ("intercanthal_width",)
    assert own.sexes_of("intercanthal_width") == ("female", "male")
    assert own.sexes_of("mouth_width") == () == own.rows_of("mouth_width")
    assert own.ages == own.ages_of("intercanthal_width", ["male"]) == "0 to 80 years"
    assert own.instruments == ("anthropo",)
    assert {row.source for row in own.rows} == {"a town, its people"}
    first, second, third = own.rows[:3]
    assert (first.age_lo, first.n, first.mean, first.sd) == (
        0,
        100,
        0.4,
        pytest.approx(math.hypot(0.02, 0.01)),
    )
    assert (second.mean, second.sd) == (0.5, pytest.approx(math.hypot(0.03, 0.03)))
    assert (third.age_hi, third.sd, third.of_people, third.grade) == (80, 0.02, True, "B")
    assert as_csv(own.every(), GROUPS) == own.path.read_text()


def test_the_shipped_curves_pass_every_check_and_are_written_as_they_were_read(write: Write) -> None:
    shipped = load_reference("web-all-ages")
    text = shipped.path.read_text(encoding="utf-8")
    copy = load_reference(write(text))
    assert isinstance(copy, Curves)
    assert copy.rows == shipped.rows
    assert as_csv(copy.every(), copy.groups) == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\n" + text.replace("\n", "\n\n") + "\n\n",  # gaps, also at the end
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("a town, its people", "a town").replace(",", ";"),
        lambda text: text.replace("a town, its people", "a town").replace('"', "").replace(",", "\t"),
        lambda text: text.replace(
            "intercanthal_width,ex-ex", '"intercanthal_width", "ex-ex"'.replace(" ", "")
        ),
    ],
    ids=["gaps", "CRLF", "BOM", "semicolons", "tabs", "quotes"],
)
def test_a_table_that_a_spreadsheet_wrote_is_the_same(
    own: Reference, write: Write, change: Callable[[str], str]
) -> None:
    rows = [(r.measurement, r.sex, r.mean, r.sd, r.n) for r in own.rows]
    other = load_reference(write(change(own.path.read_text())))
    assert [(r.measurement, r.sex, r.mean, r.sd, r.n) for r in other.rows] == rows


def test_columns_may_stand_in_another_order(own: Reference, write: Write) -> None:
    rows = list(csv.reader(io.StringIO(own.path.read_text())))
    text = io.StringIO()
    csv.writer(text).writerows([row[::-1] for row in rows])
    assert load_reference(write(text.getvalue())).rows == own.rows


GOOD = "intercanthal_width,ex-ex,female,B,{age},100,0.4,0.02,0,-0.01,60,0.01,60,{said}"


def table(*changes: tuple[str, str]) -> str:
    """A table of three ages in which cells of the second are others."""
    rows = [GOOD.format(age=age, said="town,anthropo" if not age else ",") for age in (0, 5, 80)]
    for old, new in changes:
        assert old in rows[1]
        rows[1] = rows[1].replace(old, new, 1)
    return "\n".join([",".join(HEADER), *rows]) + "\n"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("100,0.4", "100")], "14 cells where the header has 15"),
        ([("100,0.4", "100,0.4,7")], "16 cells where the header has 15"),
        ([("100,0.4", "100,")], "column median: '', but a number is needed"),
        ([("100,0.4", "100,wide")], "column median: 'wide', but a number is needed"),
        ([("100,0.4", '100,"0,4"')], "column median: '0,4', but a number is needed"),
        ([("100,0.4", "100,nan")], "column median: 'nan', but a number is needed"),
        ([("100,0.4", "100,1e999")], "column median: '1e999', but a number is needed"),
        ([("100,0.4", "-1,0.4")], "column n: '-1', but a number of people, 0 or above, is needed"),
        ([("0.02,0,", "0,0,")], "column sd: '0', but a number above 0 is needed"),
        ([("0.02,0,", "-0.02,0,")], "column sd: '-0.02', but a number above 0 is needed"),
        ([("0.02,0,", "0.02,2,")], "column skew: '2', but a number from −1 to 1 is needed"),
        ([("-0.01,60", "inf,60")], "column blue_shift: 'inf', but a number is needed"),
        ([("-0.01,60", "-0.01,")], "column blue_n: '', but a number is needed"),
        ([("B,5", "B,five")], "column age: 'five', but a number of years from 0 to 120 is needed"),
        ([("B,5", "B,")], "column age: '', but a number of years from 0 to 120 is needed"),
        ([("B,5", "B,nan")], "column age: 'nan', but a number of years from 0 to 120 is needed"),
        ([("B,5", "B,-1")], "column age: '-1', but a number of years from 0 to 120 is needed"),
        ([("B,5", "B,121")], "column age: '121', but a number of years from 0 to 120 is needed"),
        ([("intercanthal_width", "intercanthal_widht")], "column measurement: 'intercanthal_widht' is not"),
        ([("ex-ex", "kg")], "column unit: 'kg' is not a unit of intercanthal_width. Choose from ex-ex, mm"),
        ([("female", "she")], "column sex: 'she' is not a sex. Choose from female, male, both"),
        ([("B,5", "E,5")], "column grade: 'E' is not a grade. Choose from A, B, C, D"),
    ],
)
def test_a_bad_row_is_named(write: Write, changes: list[tuple[str, str]], says: str) -> None:
    path = write(table(*changes))
    message = sentence_of(InputError, load_reference, path)
    assert message.startswith(f"{path}, line 3")
    assert says in message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("B,5", "B,90")], "line 2: intercanthal_width, female: age 80 comes after 90"),
        ([("B,5", "B,0")], "line 2: intercanthal_width, female: age 0 comes after 0"),
        ([("female", "male")], "line 2: intercanthal_width, female: two ages or more are needed"),
        ([("ex-ex", "mm")], "line 2: intercanthal_width, female: two ages or more are needed"),
    ],
)
def test_ages_that_make_no_curve(write: Write, changes: list[tuple[str, str]], says: str) -> None:
    assert says in sentence_of(InputError, load_reference, write(table(*changes)))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (",median,", ",middle,median,", "cells where the header has"),
        ("sd,skew", "skew,skew", "no column sd"),
        ("skew,", "skew,skew,", "column skew appears twice"),
        ("blue_n", "blue_count", "no column blue_n"),
        ("blue_shift", "_shift", "names no group of ancestry"),
    ],
)
def test_a_bad_table_is_named(write: Write, old: str, new: str, says: str) -> None:
    text = table()
    assert old in text
    assert says in sentence_of(InputError, load_reference, write(text.replace(old, new)))


def test_two_curves_of_one_sex_are_refused(write: Write) -> None:
    text = as_csv([curve(), curve(sex="male"), curve()], GROUPS)
    assert "line 8: intercanthal_width, female, is there twice" in sentence_of(
        InputError, load_reference, write(text)
    )


def test_a_table_without_rows_and_one_that_is_huge(write: Write) -> None:
    empty = write(",".join(HEADER) + "\n")
    assert "no rows" in sentence_of(InputError, load_reference, empty)
    with open(empty, "ab") as file:
        file.truncate(2**33)  # holes, which take no room
    assert "more than the limit" in sentence_of(InputError, load_reference, empty)


# ---------------------------------------------------------------------------------- who is found


def test_between_two_ages_everything_is_between(own: Reference) -> None:
    row, why = own.choose("intercanthal_width", "female", 1.5, "blue")
    assert row is not None
    assert why == ""
    assert (row.mean, row.sd, row.n) == (pytest.approx(0.475 - 0.025), pytest.approx(0.0275), 82)


def test_completed_years_are_a_span_over_which_the_median_moves(own: Reference) -> None:
    exact = own.choose("intercanthal_width", "female", 1.0001, "blue")[0]
    whole = own.choose("intercanthal_width", "female", 1.0, "blue")[0]
    middle = own.choose("intercanthal_width", "female", 1.5, "blue")[0]
    assert exact
    assert whole
    assert middle
    assert whole.mean == pytest.approx(middle.mean)
    assert exact.mean < whole.mean
    assert whole.sd > middle.sd  # some of them are a year and a day old, others nearly two


@pytest.mark.parametrize(
    ("age", "group", "why"),
    [
        (-0.08, None, "counted from term the age is below 0, and own.csv is for 0 to 80 years"),
        (80.5, None, "age 80.5 is outside own.csv: 0 to 80 years"),
        (81, None, "age 81 is outside own.csv: 0 to 80 years"),
        (75.2, "Green", "too few people of ancestry Green around age 75.2: they count as 2, and 3"),
        (75.2, "Green", " are needed; with the ancestry unknown as 59"),
        (74.1, "Green", "they count as 2, and 3"),  # 2.95
        (79.9, "Green", "too few people of ancestry Green around age 79.9: they count as 0, and 3"),
    ],
)
def test_who_is_not_scored_and_why(own: Reference, age: float, group: str | None, why: str) -> None:
    row, reason = own.choose("intercanthal_width", "female", age, group)
    assert row is None
    assert why in reason


def test_a_shipped_table_needs_more_people_than_ones_own() -> None:
    reference = load_reference("web-all-ages")
    unsure = [
        why
        for name in reference.measurements
        for row, why in [reference.choose(name, "female", 0.1, "black")]
        if row is None
    ]
    assert unsure
    assert all(", and 40 are needed" in why for why in unsure)


def test_the_last_year_is_a_whole_one(own: Reference) -> None:
    row, _ = own.choose("intercanthal_width", "female", 80)
    assert row is not None
    assert (row.mean, row.n) == (0.52, 50)


def test_sex_age_and_measurement_that_are_missing(own: Reference) -> None:
    assert "the sex is missing" in one(eyes(0.4), own, sex=None).reason
    assert "the age is missing and own.csv is for 0 to 80 years" in one(eyes(0.4), own, age=None).reason
    mouth = Measurement("mouth_width", 0.6, 0.5, 0.7, "ex-ex", "mid", "")
    assert one(mouth, own).reason == "own.csv has no mouth_width"


def test_one_sex_alone_says_so(write: Write) -> None:
    alone = load_reference(write(as_csv([curve()], GROUPS)))
    assert one(eyes(0.4), alone, sex="male").reason == "own.csv has intercanthal_width for female only"


@pytest.mark.parametrize("written", ["Green", "green", " GREEN "])
def test_a_group_is_named_in_any_case(own: Reference, written: str) -> None:
    z = one(eyes(0.5), own, age=1.5, ancestry=written)
    assert z.ancestry == "Green"
    assert z.mean == pytest.approx(0.475 + 0.025)
    assert z.by_group == {}


@pytest.mark.parametrize("written", [None, "", "unknown", "martian"])
def test_unknown_mixes_all_with_their_wider_spread(own: Reference, written: str | None) -> None:
    z, of_one = one(eyes(0.5), own, 1.5, written), one(eyes(0.5), own, 1.5, "blue")
    assert z.ancestry == "unknown"
    assert z.sd == pytest.approx(math.hypot(of_one.sd, 0.025))
    assert set(z.by_group) == set(GROUPS)
    assert z.by_group["blue"] == of_one.z
    assert of_one.z > z.z > z.by_group["Green"]


# ------------------------------------------------------------------------------------------- z


@pytest.mark.parametrize("repeat_sd", [0.001, 0.04])
def test_the_photos_own_error_is_part_of_the_unit(own: Reference, repeat_sd: float) -> None:
    z = one(eyes(0.5, repeat_sd), own, 1.5, "blue")
    spread = math.sqrt(0.0275**2 * (1 + 1 / 82) + repeat_sd**2)
    assert z.z == pytest.approx((0.5 - 0.45) / spread)
    assert z.interval == "repeatability"
    assert (z.z_hi - z.z_lo) / 2 == pytest.approx(Z95 * repeat_sd / spread)


@pytest.mark.parametrize("error", [0.003, 0.03])
def test_healthy_people_are_as_far_off_in_a_sharp_photo_as_in_a_blurred_one(
    own: Reference, error: float
) -> None:
    random = np.random.default_rng(1)
    values = random.normal(0.45, 0.0275, 1500) + random.normal(0, error, 1500)
    z = [one(eyes(float(value), error), own, 1.5, "blue").z for value in values]
    assert np.mean(z) == pytest.approx(0, abs=0.08)
    assert np.std(z) == pytest.approx(1, abs=0.06)


def test_what_another_instrument_measured_has_the_error_against_hands(write: Write) -> None:
    of_hands = load_reference(write(as_csv([curve(instrument="callipers")], GROUPS)))
    z = one(eyes(0.5), of_hands, 1.5, "blue")
    assert z.interval == "accuracy"
    assert z.sd == pytest.approx(0.0275)
    assert z.z_hi - z.z > 0.03 / z.sd * 0.95


@given(st.floats(-1, 1), st.floats(-4, 4), st.floats(-4, 4))
def test_a_skewed_curve_keeps_the_order_the_median_and_the_width(skew: float, x: float, y: float) -> None:
    assert standardise(0.0, skew) == pytest.approx(0, abs=1e-12)
    if y - x > 1e-6:
        assert standardise(x, skew) < standardise(y, skew)
    assert standardise(-x, -skew) == pytest.approx(-standardise(x, skew), abs=1e-9)


@pytest.mark.parametrize("skew", [-0.6, 0.0, 0.25])
def test_a_skewed_population_becomes_normal(skew: float) -> None:
    normal = np.random.default_rng(2).normal(size=1500)
    # the values whose scores these are
    values = [brentq(lambda x, z=z: standardise(x, skew) - z, -60, 60) for z in normal]
    lines = tuple(f"10000,0.4,0.02,{skew},0,10000,0,10000" for _ in range(2))
    of = curve(*lines, ages=(0, 80))
    reference = Curves("own", Path("own.csv"), "", GROUPS, {"intercanthal_width": {"female": of}})
    z = [one(eyes(0.4 + 0.02 * value, 1e-6), reference, 10, "blue").z for value in values]
    assert stats.kstest(z, "norm").pvalue > 0.01
    assert abs(stats.skew(z)) < 0.15
    assert abs(stats.skew(values)) > 0.25 or not skew  # as they were


@given(st.floats(0.2, 0.8), st.floats(0.0005, 0.05), st.floats(-1, 1), st.floats(0, 80))
def test_an_interval_holds_its_z_and_moves_with_the_value(
    value: float, error: float, skew: float, age: float
) -> None:
    lines = tuple(line.replace(",0,", f",{skew:.3f},", 1) for line in LINES[:2])
    of = curve(*lines, ages=(0, 80))
    reference = Curves("own", Path("own.csv"), "", GROUPS, {"intercanthal_width": {"female": of}})
    low, high = one(eyes(value, error), reference, age), one(eyes(value + 0.01, error), reference, age)
    assert low.z_lo < low.z < low.z_hi
    assert low.z < high.z
    assert low.z_lo < high.z_lo
    assert low.z_hi < high.z_hi
    assert low.whole[0] <= low.z_lo
    assert low.z_hi <= low.whole[1]


def test_groups_that_would_be_called_differently_are_named(own: Reference) -> None:
    z = one(eyes(0.52), own, 1.5)
    assert z.by_group["blue"] > 2 > z.by_group["Green"]
    words = f"intercanthal_width +{z.z:.1f} with all mixed, +{z.by_group['blue']:.1f} as blue, within else"
    assert groups_disagree(z) == words
    (sentence,) = disagreements([z, replace(z, id="mouth_width")])
    assert sentence == (
        "Ancestry is not known, and groups of own.csv disagree on what is beyond ±2: "
        f"{words}; {words.replace('intercanthal', 'mouth')}."
    )
    assert groups_disagree(one(eyes(0.47), own, 1.5)) == ""
    assert groups_disagree(one(eyes(0.52), own, 1.5, "blue")) == ""  # one was named
    assert groups_disagree(one(eyes(math.nan), own, 1.5)) == ""


# ------------------------------------------------------------------- which reference, of which instrument


@pytest.mark.parametrize(
    ("age", "ancestry", "studio", "name"),
    [
        (19, None, True, "frl-adults"),
        (40.9, None, True, "frl-adults"),
        (41, None, True, "web-all-ages"),
        (18.9, None, True, "web-all-ages"),
        (30, None, False, "web-all-ages"),
        (30, "asian", True, "web-all-ages"),
        (None, None, True, "web-all-ages"),
    ],
)
def test_the_reference_that_covers_a_person_best(
    age: float | None, ancestry: str | None, studio: bool, name: str
) -> None:
    assert best_reference(age, ancestry, studio) == name


def test_studio_photos_are_large_and_pass_every_check() -> None:
    def checks(pixels: float, ok: bool = True) -> list[Check]:
        return [
            Check("eye_pixels", pixels, 40.0, "min", "px", True, ""),
            Check("smile", 0.1 if ok else 0.9, 0.5, "max", "", ok, "ask for a neutral face"),
        ]

    assert is_studio_like(checks(250))
    assert not is_studio_like(checks(80))
    assert not is_studio_like(checks(250, ok=False))
    assert not is_studio_like([])  # landmarks of one's own have no gate


def test_shipped_references_that_anthropo_measured_are_of_this_instrument() -> None:
    # the version before the weights may be an older one: what counts is what measured
    weights = f"landmark model {landmark_model(None).sha256[:16]}, fine stage {fine_sha256()[:16]}"
    measured = {
        name: load_reference(name).instruments
        for name in shipped_references()
        if any("anthropo" in one for one in load_reference(name).instruments)
    }
    assert sorted(measured) == ["frl-adults", "web-all-ages"]
    for name, instruments in measured.items():
        assert [i.partition(", ")[2] for i in instruments] == [weights], f"{name}: development/remake.py"
