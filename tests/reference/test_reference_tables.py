from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import sentence_of

from anthropo import Measurement
from anthropo.errors import InputError
from anthropo.measurement.registry import registry
from anthropo.reference import references_for, score
from anthropo.reference.person import parse_age, parse_sex
from anthropo.reference.shipped import shipped_references
from anthropo.reference.tables import COLUMNS, as_csv, load_reference, write_reference

GOOD = {
    "measurement": "mouth_width", "unit": "ex-ex", "sex": "female", "age_lo": "3", "age_hi": "5", "n": "40",
    "mean": "0.55", "sd": "0.03", "grade": "A", "source": "a school", "instrument": "anthropo",
    "error_sd": "0",
}  # fmt: skip
Write = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Write:
    """table({"sd": "0"}, {}): a reference file whose rows are GOOD but for the cells given."""

    def write(*changes: dict[str, str], header: str = ",".join(COLUMNS), encoding: str = "utf-8") -> Path:
        path = tmp_path / "ref.csv"
        lines = [header] + [",".join({**GOOD, **change}.values()) for change in changes]
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return path

    return write


def refusal(path: Path) -> str:
    message = sentence_of(InputError, load_reference, path)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


# ------------------------------------------------------------------------------------ reading


def test_a_good_table_is_read(table: Write) -> None:
    path = table({}, {"sex": "male", "unit": "mm", "mean": "45", "sd": "3", "error_sd": "1.5"})
    reference = load_reference(path)
    assert (reference.name, reference.path) == ("ref.csv", path)
    assert reference.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    female, male = reference.rows
    assert (female.n, female.mean, female.sd, female.grade) == (40, 0.55, 0.03, "A")
    assert (male.unit, male.error_sd) == ("mm", 1.5)
    assert reference.rows_of("mouth_width") == (female, male)
    assert reference.rows_of("nasal_width") == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_may_stand_in_any_order_with_others_and_semicolons(tmp_path: Path, encoding: str) -> None:
    cells = {"note": "mine, all of it", **dict(reversed(GOOD.items()))}
    path = tmp_path / "ref.csv"
    path.write_text(";".join(cells) + "\r\n" + ";".join(cells.values()) + "\r\n\r\n", encoding=encoding)
    assert load_reference(path).rows[0].mean == 0.55


def test_what_is_written_is_read_back(table: Write, tmp_path: Path) -> None:
    rows = load_reference(table({}, {"age_lo": "6", "age_hi": "17.5", "source": '"a ""b"", c"'})).rows
    write_reference(tmp_path / "again.csv", rows)
    assert load_reference(tmp_path / "again.csv").rows == rows
    assert rows[1].source == 'a "b", c'
    assert as_csv(rows) == (tmp_path / "again.csv").read_text()


def test_writing_where_nothing_can_be_written(table: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no/such/ref\.csv: cannot be written"):
        write_reference(tmp_path / "no/such/ref.csv", load_reference(table({})).rows)


#: A column, cells that it cannot hold, and what is said of each.
BAD = [
    ("sd", ("0", "-1", "nan"), "a number above 0 is needed"),
    ("mean", ("wide", "", "inf"), "a number is needed"),
    ("n", ("1", "20.5"), "a whole number of people, 2 or more, is needed"),
    ("age_lo", ("-1",), "a number of years from 0 to 120 is needed"),
    ("age_hi", ("300",), "a number of years from 0 to 120 is needed"),
    ("age_lo", ("6",), "6 is not below age_hi, 5"),
    ("age_lo", ("5.5",), "5.5 is not below age_hi, 5"),
    ("error_sd", ("-0.1", ""), "a number, 0 or above, is needed"),
    ("sex", ("girl",), "Choose from female, male, both."),
    ("grade", ("E",), "Choose from A, B, C, D."),
    ("unit", ("cm",), "Choose from ex-ex, mm."),
]


@pytest.mark.parametrize(
    ("column", "cell", "what"), [(column, cell, what) for column, cells, what in BAD for cell in cells]
)
def test_a_bad_cell_is_named_with_line_and_column(table: Write, column: str, cell: str, what: str) -> None:
    message = refusal(table({"age_lo": "0", "age_hi": "2"}, {column: cell}))
    assert message.startswith(f", line 3, column {column}: ")
    assert what in message
    assert cell.rstrip("0") in message


def test_an_angle_has_no_millimetres(table: Write) -> None:
    message = refusal(table({"measurement": "ala_angle", "unit": "mm"}))
    assert "'mm' is not a unit of ala_angle. Choose from deg." in message


def test_an_unknown_measurement_is_answered_with_near_ones_or_all(table: Write) -> None:
    assert "'mouth_widht' is not a measurement. Choose from mouth_width" in refusal(
        table({"measurement": "mouth_widht"})
    )
    assert ", ".join(registry()) in refusal(table({"measurement": "qqq"}))


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(table: Write, column: str) -> None:
    header = ",".join("x" if name == column else name for name in COLUMNS)
    message = refusal(table({}, header=header))
    assert message.startswith(f", line 1: no column {column}; its columns are ")


def test_a_column_that_appears_twice(tmp_path: Path) -> None:
    path = tmp_path / "ref.csv"
    path.write_text(",".join([*COLUMNS, "sd"]) + "\n")
    assert refusal(path) == ", line 1: column sd appears twice. Delete one."


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({}, {"age_lo": "5", "age_hi": "9"}),  # a child of five is in both
        ({"age_hi": "17"}, {"age_lo": "4", "age_hi": "4"}),
        ({"age_lo": "2", "age_hi": "3.5"}, {"age_lo": "3"}),
    ],
)
def test_bands_that_overlap_are_refused(table: Write, first: dict[str, str], second: dict[str, str]) -> None:
    for pair in ((first, second), (second, first)):
        message = refusal(table(*pair))
        assert message.startswith(", line 3, column age_lo: mouth_width, female, ")
        assert "overlaps line 2" in message


@pytest.mark.parametrize(
    "other",
    [{"sex": "male"}, {"sex": "both"}, {"age_lo": "6", "age_hi": "9"}, {"measurement": "nasal_width"}],
)
def test_bands_beside_each_other_are_not_refused(table: Write, other: dict[str, str]) -> None:
    assert len(load_reference(table({}, other)).rows) == 2


def test_files_that_are_no_tables(table: Write, tmp_path: Path) -> None:
    assert refusal(table()) == ": the table has no rows. Add one for each measurement, sex and age band."
    assert "not UTF-8 text" in refusal(table({"source": "Zürich"}, encoding="latin-1"))
    empty = tmp_path / "ref.csv"
    empty.write_text(" \n")
    assert ": the file is empty." in refusal(empty)
    empty.write_text(",".join(COLUMNS) + '\n"mouth')
    assert ": not a readable CSV" in refusal(empty)
    assert refusal(tmp_path / "absent.csv") == ": no such file."
    assert "cannot be read (Is a directory)" in refusal(tmp_path)


def test_a_comma_that_is_not_quoted_does_not_shift_the_cells(table: Write) -> None:
    message = refusal(table({"source": "a school, in town"}))
    assert message.startswith(", line 2: 13 cells where the header has 12. Quote")


# --------------------------------------------------------------------------------- the shipped


def test_an_unknown_name_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(InputError) as caught:
        load_reference("faces")
    assert "'faces': no such reference" in str(caught.value)
    assert ", ".join(shipped_references()) in str(caught.value)


def test_a_file_does_not_take_the_name_of_a_shipped_table(
    table: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table({}).rename(tmp_path / "niosh-adults")
    monkeypatch.chdir(tmp_path)
    assert load_reference("niosh-adults").path == shipped_references()["niosh-adults"]
    assert load_reference("./niosh-adults").path == Path("niosh-adults")


@pytest.mark.parametrize("name", shipped_references())
def test_every_shipped_table_is_good_and_tells_its_source(name: str) -> None:
    reference = load_reference(name)
    assert reference.name == name
    for row in reference.rows:
        assert len(row.source) > 30
        assert row.instrument
        # by anthropo itself: no other instrument's error; otherwise never without it, and in mm
        assert (row.error_sd == 0) == row.instrument.startswith("anthropo")
        assert row.error_sd == 0 or row.unit == "mm"
        assert row.n >= (2 if reference.of_curves else 20)
        for forbidden in ("Cliniface", "PhenoTips"):
            assert forbidden not in row.source


def test_published_adults_are_as_published() -> None:
    niosh = {(r.measurement, r.sex): (r.n, r.mean, r.sd) for r in load_reference("niosh-adults").rows}
    assert niosh["mouth_width", "male"] == (2543, 51.6524, 4.2667)
    assert niosh["nasal_width", "female"] == (1454, 35.815, 4.9219)
    (male,) = [r for r in load_reference("ansur-adults").rows if r.sex == "male"]
    assert (male.measurement, male.n, male.mean, male.sd) == ("interpupillary_distance", 4082, 64.02, 3.42)


def test_published_newborns_are_as_published_and_of_their_first_two_days() -> None:
    korean = {r.measurement: (r.sex, r.n, r.mean, r.sd) for r in load_reference("korean-newborns").rows}
    assert korean == {
        "intercanthal_width": ("both", 69, 22.9, 2.1),
        "biocular_width": ("both", 69, 65.3, 5.8),
        "interpupillary_distance": ("both", 69, 39.8, 3.0),
        "palpebral_fissure_length_R": ("both", 69, 20.8, 1.2),
        "palpebral_fissure_length_L": ("both", 69, 20.8, 1.2),
    }
    chinese = {r.measurement: (r.n, r.mean, r.sd) for r in load_reference("chinese-newborns").rows}
    assert chinese == {f"palpebral_fissure_length_{side}": (60, 19.4, 1.7) for side in "RL"}
    for name in ("korean-newborns", "chinese-newborns"):
        for row in load_reference(name).rows:
            assert row.holds(parse_age("0"))
            assert row.holds(parse_age("2d"))
            assert not row.holds(parse_age("3d"))


@pytest.mark.parametrize("value", [19.4, 21.1])
def test_a_newborn_is_scored_in_millimetres_whatever_the_sex(value: float) -> None:
    fissure = Measurement("palpebral_fissure_length_R", value, value - 1, value + 1, "mm", "R", "")
    reference = load_reference("chinese-newborns")
    for sex in ("female", None):
        (z,) = score([fissure], [reference], sex=sex, age=parse_age("1d"))
        spread = math.sqrt(1.7**2 * (1 + 1 / 60) + 1.58**2)  # photographs scatter more than the caliper
        assert z.z == pytest.approx((value - 19.4) / spread)
        assert z.z_lo < z.z < z.z_hi
        assert (z.grade, z.n, z.interval) == ("B", 60, "accuracy")
    (late,) = score([fissure], [reference], sex="female", age=1.0)
    assert math.isnan(late.z)
    assert late.reason == "age 1 is outside chinese-newborns: 0 to 0.0055 years"


@pytest.mark.parametrize("age", [0, 0.5, 25, 66, 110])
def test_the_tables_for_an_age_are_those_with_a_row_for_it(age: float) -> None:
    found = references_for(age)
    for name in shipped_references():
        reference = load_reference(name)
        if not reference.of_curves:
            assert found.get(name, ()) == tuple(row for row in reference.rows if row.holds(age))
    millimetres = references_for(age, "mm")
    assert set(millimetres) <= set(found)
    assert {row.unit for rows in millimetres.values() for row in rows} <= {"mm"}
    assert "frl-adults" not in millimetres


# --------------------------------------------------------------------------------- age and sex


def test_sexes() -> None:
    assert {parse_sex(t) for t in ("f", "F", "w", "W", "female", " Female ")} == {"female"}
    assert {parse_sex(t) for t in ("m", "M", "male", "MALE")} == {"male"}
    for text in ("", "both", "x", "1", "fm", "NA"):
        with pytest.raises(InputError, match=r"Give female \(f, w\) or male \(m\)\."):
            parse_sex(text)
