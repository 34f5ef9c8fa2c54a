"""Scale, references, sex and age from the command line, through every kind of table."""

from __future__ import annotations

import csv
import html
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Invoke, Pixels, refused
from PIL import Image, ImageDraw

from anthropo import measure, measure_table, read_face
from anthropo.batch import run as run_module
from anthropo.batch.inputs import Item
from anthropo.batch.records import Record
from anthropo.batch.run import measure_item
from anthropo.errors import InputError
from anthropo.measurement.registry import NEEDS_MM, registry
from anthropo.measurement.texture import lbp
from anthropo.photo import read_photo
from anthropo.plain import column_name
from anthropo.reference.shipped import REFERENCE_OF_ALL_AGES, shipped_references
from anthropo.reference.tables import COLUMNS, ReferenceRow, load_reference, write_reference
from anthropo.settings import Settings

#: Chosen for the astronaut, whose face is small.
DEFAULT_REFERENCE = REFERENCE_OF_ALL_AGES
#: A measurement that neither a smile nor an open mouth voids.
NAME = "intercanthal_width"
Reference = Callable[..., Path]


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    """reference("mine.csv", mean=0.3): a table of one measurement, for women and men of 18 to 60."""

    def write(name: str = "mine.csv", without: str = "", **changes: object) -> Path:
        row = {
            "measurement": NAME, "unit": "ex-ex", "sex": "both", "age_lo": 18, "age_hi": 60, "n": 100,
            "mean": 0.38, "sd": 0.02, "grade": "B", "source": "made up", "instrument": "none", "error_sd": 0,
        } | changes  # fmt: skip
        path = tmp_path / name
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, [c for c in COLUMNS if c != without], extrasaction="ignore")
            writer.writeheader()
            writer.writerow(row)
        return path

    return write


@pytest.fixture(scope="session")
def sticker_png(photo_dir: Path, astronaut: Pixels) -> Path:
    """The head, enlarged, with a white disc of 44 px on the forehead."""
    head = Image.fromarray(astronaut).crop((130, 20, 330, 240)).resize((700, 770), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(head)
    draw.ellipse((318, 196, 361, 239), fill="#F4F4F4")
    path = photo_dir / "sticker.png"
    head.save(path)
    return path


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the photos that are really measured from here on."""
    seen: list[str] = []
    original = run_module.measure_item

    def count(item: Item, *rest: Any) -> list[Record]:
        seen.append(Path(item.path).name)
        return original(item, *rest)

    monkeypatch.setattr(run_module, "measure_item", count)
    return seen


@pytest.fixture
def cohort(tmp_path: Path, astronaut_png: Path) -> Callable[..., Path]:
    """cohort(("f", "31"), ("", "8")): a list of as many photos with these columns."""

    def write(*people: tuple[str, str], header: str = "photo,sex,age,id") -> Path:
        lines = [header]
        for i, (sex, age) in enumerate(people):
            if not (tmp_path / f"p{i}.png").exists():
                shutil.copy(astronaut_png, tmp_path / f"p{i}.png")
            lines.append(f"p{i}.png,{sex},{age},{i}")
        path = tmp_path / "cohort.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def table(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------- z-scores


def test_without_sex_and_age_there_are_no_scores(astronaut_png: Path) -> None:
    (record,) = measure_item(Item(str(astronaut_png)), Settings(jitter=2))
    assert record.scores == ()
    assert not [column for column in record.to_row() if "_z_" in column]


def test_sex_and_age_give_scores_by_the_default_reference(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    path = tmp_path / "a.json"
    options = ("--jitter", 2, "--sex", "F", "--age", "31 years", "-o", path)
    result = invoke("measure", astronaut_png, *options)
    assert (result.exit_code, result.stderr) == (0, f"{path}: 1 of 1 photos measured.\n")
    (record,) = json.loads(path.read_text())["photos"]
    (z,) = record["measurements"][NAME]["z"]
    assert (z["reference"], z["reason"]) == (DEFAULT_REFERENCE, "")
    assert z["lo"] < z["z"] < z["hi"]
    assert z["n"] > 20
    assert z["grade"] in "ABCD"
    (voided,) = record["measurements"]["mouth_width"]["z"]
    assert (voided["z"], voided["reason"]) == (None, record["measurements"]["mouth_width"]["reason"])
    (lips,) = record["measurements"]["mrd1_R"]["z"]
    assert lips["reason"]
    forced = measure_table(str(astronaut_png), jitter=2, sex="female", age=31, force=True)
    assert math.isfinite(forced.loc[0, f"mouth_width_z_{column_name(DEFAULT_REFERENCE)}"])


def test_one_reference_of_ones_own(tmp_path: Path, astronaut_png: Path, reference: Reference) -> None:
    ref = reference(mean=0.3, sd=0.04, n=20, error_sd=0.01)
    frame = measure_table(str(astronaut_png), jitter=2, references=[str(ref)], sex="male", age=40)
    row = frame.loc[0]
    s = math.sqrt(0.04**2 * (1 + 1 / 20) + 0.01**2)
    assert row[f"{NAME}_z_mine.csv"] == pytest.approx((row[NAME] - 0.3) / s)
    assert row[f"{NAME}_z_mine.csv_lo"] < row[f"{NAME}_z_mine.csv"] < row[f"{NAME}_z_mine.csv_hi"]
    assert pd.isna(row["palpebral_fissure_length_R_z_mine.csv"])
    assert not [column for column in frame if DEFAULT_REFERENCE in column]
    assert (row["disagreements"], row["notes"]) == ("", "")
    assert "palpebral_fissure_length_R" not in row["z_reasons"]  # that a table lacks most is no news


def test_disagreement_of_two_references_is_shown(
    tmp_path: Path, astronaut_png: Path, reference: Reference, invoke: Invoke
) -> None:
    low, high = reference("low.csv", mean=0.2), reference("high.csv", mean=0.38, grade="C")
    options = ("--jitter", 2, "--sex", "m", "--age", 40, "--reference", low, "--reference", high)
    result = invoke("measure", astronaut_png, *options)
    assert result.exit_code == 0
    assert "z, low.csv (B)" in result.stdout
    assert "z, high.csv (C)" in result.stdout
    (sentence,) = [line for line in result.stdout.splitlines() if "references disagree" in line]
    for part in (f"{NAME}: references disagree: z +", "by low.csv, grade B", "by high.csv, grade C"):
        assert part in sentence

    invoke("measure", astronaut_png, *options, "-o", tmp_path / "a.csv")
    (row,) = table(tmp_path / "a.csv")
    assert row["disagreements"].startswith(f"{NAME}: references disagree: ")
    assert float(row[f"{NAME}_z_low.csv"]) > 4 > float(row[f"{NAME}_z_high.csv"])


def test_same_reference_twice_is_one(astronaut_png: Path) -> None:
    twice = measure_table(str(astronaut_png), jitter=2, sex="f", age=31, references=[DEFAULT_REFERENCE] * 2)
    assert list(twice).count(f"{NAME}_z_{column_name(DEFAULT_REFERENCE)}") == 1
    assert "references disagree" not in twice.loc[0, "disagreements"]


def test_two_references_of_one_name_are_refused(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke, reference: Reference
) -> None:
    (tmp_path / "other").mkdir()
    one, two = reference("ref.csv"), reference("other/ref.csv", mean=0.2)
    assert refused(invoke, "measure", astronaut_png, "--reference", one, "--reference", two, "--age", 31) == (
        f"Error: --reference {one} and {two} are both named ref.csv, and so would be their columns. "
        "Rename one of them.\n"
    )


def test_the_library_refuses_what_the_command_line_does(astronaut_png: Path) -> None:
    for options, message in (
        ({"sex": "x"}, "Sex 'x' is unknown"),
        ({"age": 300}, "above 120 years"),
        ({"scale": "banana"}, "unknown kind 'banana'"),
        ({"references": ["narnia"]}, "no such reference"),
    ):
        with pytest.raises(InputError, match=message):
            measure_table(str(astronaut_png), jitter=2, **options)  # type: ignore[arg-type]


def test_references_in_millimetres_need_a_scale(astronaut_png: Path, reference: Reference) -> None:
    ref = str(reference(unit="mm", mean=32.0, sd=2.5))
    without = measure_table(str(astronaut_png), jitter=2, sex="f", age=31, references=[ref]).loc[0]
    assert pd.isna(without[f"{NAME}_z_mine.csv"])
    assert f"{NAME}, mine.csv: mine.csv {NEEDS_MM}" in without["z_reasons"]
    row = measure_table(str(astronaut_png), jitter=2, sex="f", age=31, references=[ref], scale="ipd=63").loc[
        0
    ]
    expected = (row[f"{NAME}_mm"] - 32) / math.sqrt(2.5**2 * 1.01)
    assert row[f"{NAME}_z_mine.csv"] == pytest.approx(expected)


def test_an_age_outside_the_table_is_refused_with_the_range(
    astronaut_png: Path, reference: Reference
) -> None:
    row = measure_table(str(astronaut_png), jitter=2, sex="f", age=8, references=[str(reference())]).loc[0]
    assert pd.isna(row[f"{NAME}_z_mine.csv"])
    assert row["notes"] == (
        f"{astronaut_png}: no z-scores under mine.csv: age 8 is outside mine.csv: 18 to 60 years"
    )
    ref = str(reference("nose.csv", measurement="nasal_width"))
    row = measure_table(str(astronaut_png), jitter=2, sex="f", age=8, references=[ref], force=True).loc[0]
    assert row["notes"].endswith("no z-scores under nose.csv: age 8 is outside nose.csv: 18 to 60 years")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"without": "sd"}, "line 1: no column sd; its columns are measurement, unit"),
        ({"mean": "wide"}, "line 2, column mean: 'wide', but a number is needed."),
        ({"sd": 0}, "line 2, column sd: '0', but a number above 0 is needed."),
        ({"n": "many"}, "line 2, column n: 'many', but a whole number of people, 2 or more, is needed."),
        ({"measurement": "ear_width"}, "line 2, column measurement: 'ear_width' is not a measurement."),
        ({"unit": "inch"}, f"line 2, column unit: 'inch' is not a unit of {NAME}."),
    ],
)
def test_a_broken_reference_is_one_sentence_before_any_work(
    astronaut_png: Path,
    invoke: Invoke,
    measured: list[str],
    reference: Reference,
    changes: dict[str, Any],
    message: str,
) -> None:
    path = reference("broken.csv", **changes)
    options = ("--reference", path, "--sex", "f", "--age", 31)
    told = refused(invoke, "measure", astronaut_png, *options, says=f"Error: {path}, {message}")
    assert told.count("\n") == 1
    assert measured == []


# ------------------------------------------------------------------------- sex and age in a table


def test_a_table_that_says_odd_things_of_people_loses_nothing(
    tmp_path: Path, invoke: Invoke, cohort: Callable[..., Path]
) -> None:
    people = [("f", "31"), ("m", ""), ("f", "-4"), ("f", "300"), ("", "31"), ("x", "31"), ("f", "eight")]
    out = tmp_path / "out.csv"
    result = invoke("measure", cohort(*people), "-o", out, "--jitter", 2)
    assert (result.exit_code, result.stdout) == (3, "")
    rows = table(out)
    assert [(row["sex"], row["age"], row["id"], row["status"]) for row in rows] == [
        (sex, age, str(i), "ok") for i, (sex, age) in enumerate(people)
    ]
    assert len({row[NAME] for row in rows}) == 1
    assert float(rows[0][NAME]) > 0.3
    notes = [
        "",
        "age is missing, no z-scores that depend on it.",
        "Age '-4' is negative. Give years (8 or 8.5), months (18m), weeks (3w) or days (10d).",
        "Age '300' is above 120 years. Give years (8 or 8.5), months (18m), weeks (3w) or days (10d).",
        "sex is missing, no z-scores that depend on it.",
        "Sex 'x' is unknown. Give female (f, w) or male (m).",
        "Age 'eight' is not an age. Give years (8 or 8.5), months (18m), weeks (3w) or days (10d).",
    ]
    expected = [f"{tmp_path}/p{i}.png: {note}" if note else "" for i, note in enumerate(notes)]
    assert [row["notes"] for row in rows] == expected
    said = result.stderr.splitlines()
    assert said[:-4] == list(filter(None, expected))
    assert said[-4] == "photo gate: 7 of 7 photos (100 %) failed the photo gate."
    assert said[-1] == f"{out}: 7 of 7 photos measured."
    column = f"{NAME}_z_{column_name(DEFAULT_REFERENCE)}"
    assert [bool(row[column]) for row in rows] == [True] + [False] * 6


def test_a_tables_column_comes_before_the_option(cohort: Callable[..., Path], reference: Reference) -> None:
    ref = reference("women.csv", sex="female")
    frame = measure_table(
        str(cohort(("m", "31"), ("f", "31"))), jitter=2, sex="female", age=8, references=[str(ref)]
    )
    z = frame[f"{NAME}_z_women.csv"]
    assert z.isna().tolist() == [True, False]
    assert frame.loc[0, "notes"].endswith(
        "p0.png: no z-scores under women.csv: women.csv has intercanthal_width for female only"
    )
    assert frame.loc[1, "notes"] == ""


def test_one_photo_with_two_sexes_or_ages_gets_no_scores(
    tmp_path: Path, invoke: Invoke, astronaut_png: Path
) -> None:
    cohort, out = tmp_path / "cohort.csv", tmp_path / "out.csv"
    cohort.write_text(f"photo,sex,age\n{astronaut_png},f,31\n")
    assert invoke("measure", cohort, "-o", out, "--jitter", 2).exit_code == 0
    cohort.write_text(f"photo,sex,age\n{astronaut_png},f,31\n{astronaut_png},m,31\n")
    for _ in range(2):
        invoke("measure", cohort, "-o", out, "--jitter", 2)
        rows = table(out)
        assert [(row["sex"], row["status"]) for row in rows] == [("f", "ok"), ("m", "ok")]
        for row in rows:
            assert row[f"{NAME}_z_{column_name(DEFAULT_REFERENCE)}"] == ""
            assert row["notes"] == (
                f"{astronaut_png}: listed with different sex or age (female 31; male 31), no z-scores that "
                "depend on it."
            )


# --------------------------------------------------------------------------------------- scale


def test_a_sticker_that_is_there_gives_millimetres(tmp_path: Path, sticker_png: Path, invoke: Invoke) -> None:
    out = tmp_path / "out.csv"
    options = ("--jitter", 2, "--scale", "sticker=18", "-o", out, "--overlay", tmp_path)
    result = invoke("measure", sticker_png, *options)
    assert (result.exit_code, result.stderr) == (0, f"{out}: 1 of 1 photos measured.\n")
    (row,) = table(out)
    assert float(row["mm_per_px"]) == pytest.approx(18 / 44, rel=0.03)
    assert 0 < float(row["mm_per_px_rel_sd"]) < 0.1
    lo, value, hi = (float(row[f"{NAME}_mm{suffix}"]) for suffix in ("_lo", "", "_hi"))
    assert lo < value < hi
    assert value == pytest.approx(float(row[NAME]) * float(row["biocular_width"]), rel=1e-6)
    with Image.open(next(tmp_path.glob("*.overlay.jpg"))) as picture:
        assert picture.format == "JPEG"


def test_a_sticker_that_is_not_there_costs_the_millimetres_and_nothing_else(
    tmp_path: Path, astronaut_png: Path, sticker_png: Path, invoke: Invoke
) -> None:
    out = tmp_path / "out.json"
    options = ("--jitter", 2, "--scale", "sticker=18", "-o", out)
    result = invoke("measure", astronaut_png, sticker_png, *options)
    assert result.exit_code == 3
    note, *gate, summary = result.stderr.splitlines()
    assert gate[0].startswith("photo gate: 2 of 2 photos")
    assert note.startswith(f"{astronaut_png}: ")
    assert "sticker" in note
    assert summary == f"{out}: 2 of 2 photos measured."
    without, with_scale = json.loads(out.read_text())["photos"]
    assert (without["status"], without["scale"], without["notes"]) == ("ok", None, [note])
    assert without["measurements"][NAME]["value"] > 0.3
    assert "mm" not in without["measurements"][NAME]
    for name in ("biocular_width", "w_index"):
        assert without["measurements"][name]["value"] is None
        assert without["measurements"][name]["reason"] == note
    assert with_scale["measurements"][NAME]["mm"]["unit"] == "mm"
    assert with_scale["scale"]["method"].startswith("Round sticker, diameter 18 mm declared")


def test_a_scale_that_no_face_has_is_refused(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    result = invoke(
        "measure", astronaut_png, "--jitter", 2, "--scale", "mm-per-px=9", "-o", tmp_path / "a.csv"
    )
    assert result.exit_code == 3
    assert "the scale mm-per-px=9 puts the outer eye corners" in result.stderr
    (row,) = table(tmp_path / "a.csv")
    assert (row["status"], row["mm_per_px"], row["biocular_width"]) == ("ok", "", "")
    assert row[NAME]


# --------------------------------------------------------------------------- tables and second runs


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_millimetres_and_scores_survive_every_kind_of_table(
    tmp_path: Path, invoke: Invoke, cohort: Callable[..., Path], reference: Reference, suffix: str
) -> None:
    out, listed, ref = tmp_path / f"out.{suffix}", cohort(("f", "31"), ("", "")), reference()
    options = ("--jitter", 2, "--scale", "ipd=63", "--reference", ref, "--reference", DEFAULT_REFERENCE)
    invoke("measure", listed, "-o", out, *options)
    invoke("measure", listed, "-o", out, *options)  # taken over from the table
    if suffix == "json":
        rows = [Record.from_json(record).to_row() for record in json.loads(out.read_text())["photos"]]
    elif suffix == "parquet":
        rows = pd.read_parquet(out).to_dict("records")
    else:
        rows = table(out)
    settings = Settings(jitter=2, scale="ipd=63", references=(str(ref), DEFAULT_REFERENCE))
    item = Item(str(tmp_path / "p0.png"), {"sex": "f", "age": "31", "id": "0"})
    expected = measure_item(item, settings)[0].to_row()
    assert list(rows[0]) == list(expected)
    columns = [c for c in expected if c.endswith(("_mm", "_mm_lo", "_mm_hi")) or "_z_" in c]
    assert len(columns) > 200
    for column in columns:
        got, want = rows[0][column], expected[column]
        if want is None:
            assert got in ("", None) or pd.isna(got)
        else:
            assert float(got) == want
    assert [str(row["id"]) for row in rows] == ["0", "1"]
    assert pd.isna(rows[1][f"{NAME}_z_mine.csv"]) or not rows[1][f"{NAME}_z_mine.csv"]


def test_what_changes_a_result_is_measured_again_and_nothing_else(
    tmp_path: Path, invoke: Invoke, cohort: Callable[..., Path], reference: Reference, measured: list[str]
) -> None:
    out, ref = tmp_path / "out.csv", reference(mean=0.38)
    column = f"{NAME}_z_mine.csv"

    def again(listed: Path, *options: object) -> list[str]:
        del measured[:]
        invoke("measure", listed, "-o", out, "--jitter", 2, *options)
        return sorted(measured)

    both = ["p0.png", "p1.png"]
    start = cohort(("f", "31"), ("m", "40"))
    assert again(start, "--reference", ref) == both
    assert again(start, "--reference", ref) == []
    before = float(table(out)[0][column])
    aged = cohort(("f", "31"), ("m", "70"))
    assert again(aged, "--reference", ref) == ["p1.png"]
    assert [bool(row[column]) for row in table(out)] == [True, False]
    assert again(aged, "--reference", ref) == ["p1.png"]  # what was lacking may be there now
    now = cohort(("m", "31"), ("m", "40"))
    assert again(now, "--reference", ref) == both
    assert again(now, "--reference", ref) == []
    reference(mean=0.37)  # the same name, another content
    assert again(now, "--reference", ref) == both
    assert float(table(out)[0][column]) > before
    assert again(now, "--reference", ref, "--scale", "ipd=63") == both
    assert again(now, "--reference", ref, "--scale", "ipd=63.0") == []  # the same
    assert again(now, "--reference", ref, "--scale", "ipd=62") == both
    assert again(now, "--reference", ref, "--scale", "ipd=62", "--force") == both
    assert again(now, "--reference", ref, "--scale", "ipd=62", "--force", "--no-fine") == both
    assert again(now, "--reference", ref, "--scale", "ipd=62", "--force", "--no-fine") == []


def test_stages_force_and_texture_are_options(tmp_path: Path, sticker_png: Path, invoke: Invoke) -> None:
    out = tmp_path / "out.csv"
    options = ("--jitter", 2, "--no-fine", "--force", "--texture")
    assert invoke("measure", sticker_png, *options, "-o", out).exit_code == 0
    (row,) = table(out)
    patterns = [column for column in row if column.startswith("lbp_")]
    assert len(patterns) == 160
    assert all(0 <= float(row[column]) <= 1 for column in patterns)
    assert row["diagnostics_fine_model"] == ""
    assert row["mrd1_R"] == ""
    assert "mrd1_R: needs the fine landmark stage, which was left out" in row["measurement_reasons"]
    assert float(row["mouth_width"]) > 0.5
    assert "mouth_width: voided by the photo gate: " in row["measurement_reasons"]
    photo = read_photo(str(sticker_png))
    expected = lbp(photo, read_face(photo, jitter=2).landmarks)
    assert {column: float(row[column]) for column in patterns} == pytest.approx(expected, abs=0.02)

    plain = measure_table(str(sticker_png), jitter=2).loc[0]
    assert not [column for column in plain.index if column.startswith("lbp_")]
    assert plain["diagnostics_fine_model"]
    assert pd.isna(plain["mouth_width"])


def test_texture_that_cannot_be_had_is_told_and_costs_nothing_else(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    for suffix in ("json", "csv"):
        result = invoke("measure", astronaut_png, "--jitter", 2, "--texture", "-o", tmp_path / f"a.{suffix}")
        assert result.exit_code == 3
        assert result.stderr.startswith(f"{astronaut_png}: no texture patterns at ")
    (record,) = json.loads((tmp_path / "a.json").read_text())["photos"]
    assert set(record["texture"].values()) == {None}
    (row,) = table(tmp_path / "a.csv")
    assert {row[name] for name in record["texture"]} == {""}
    assert float(row[NAME]) > 0.3


# ---------------------------------------------------------------------------- report, models, help


def test_report_has_scores_reasons_scale_and_disagreements(
    tmp_path: Path, sticker_png: Path, astronaut_png: Path, invoke: Invoke, reference: Reference
) -> None:
    low, high, out = reference("low.csv", mean=0.2), reference("<high>.csv"), tmp_path / "a.html"
    options = (
        *("--jitter", 2, "--sex", "f", "--age", 31, "--scale", "sticker=18"),
        *("--reference", low, "--reference", high, "-o", out),
    )
    assert invoke("measure", sticker_png, astronaut_png, *options).exit_code == 3
    page = out.read_text(encoding="utf-8")
    assert "<high>" not in page
    text = html.unescape(page)
    for name in ("low.csv", "<high>.csv"):
        assert f"z, {name} (B)</th>" in text
    assert re.search(r"\d \([+−]\d+\.\d to [+−]\d+\.\d\)", text)
    assert "Scale: 0.4" in text
    assert "mm per pixel. Round sticker, diameter 18 mm declared" in text
    assert "(1 SD).</p>" in text
    assert f"{NAME}: references disagree: " in text
    assert "voided by the photo gate: " in text
    assert "no sticker of 18 mm" in text or "a sticker of 18 mm would be" in text
    assert re.search(r"<td>mm</td><td class=\"n\">\d\d\.\d to \d\d\.\d</td>", text)


def test_models_name_the_fine_stage(invoke: Invoke) -> None:
    assert "fine" in invoke("models").stdout


def test_help_names_what_can_be_given(invoke: Invoke) -> None:
    text = "".join(invoke("measure", "--help").stdout.split())
    for option in ("--scale", "--reference", "--sex", "--age", "--force", "--no-fine", "--texture"):
        assert option in text
    for word in ("sticker=20", "ipd=62", "mm-per-px=0.21", "iris", DEFAULT_REFERENCE):
        assert word in text
    assert DEFAULT_REFERENCE in shipped_references()
    assert registry()[NAME].power == 1


def test_the_same_age_and_sex_in_other_words_is_no_dispute(tmp_path: Path, astronaut_png: Path) -> None:
    cohort = tmp_path / "cohort.csv"
    cohort.write_text(f"photo,sex,age\n{astronaut_png},female,24\n{astronaut_png},F,24.0\n")
    rows = measure_table(cohort, jitter=2)
    assert list(rows["notes"]) == ["", ""]


def test_iris_of_adults_is_not_for_an_infant(invoke: Invoke, astronaut_png: Path) -> None:
    result = invoke("measure", astronaut_png, "--scale", "iris", "--age", "0.5", "--sex", "f", "--jitter", 2)
    assert result.exit_code == 3
    assert "10 years and more; this one is 0.5 years old" in result.stderr
    assert "intercanthal_width" in result.stdout


def test_another_instrument_than_the_references_is_said(invoke: Invoke, astronaut_png: Path) -> None:
    options = ("--sex", "f", "--age", "30", "--jitter", 2)
    assert invoke("measure", astronaut_png, *options).exit_code == 0
    result = invoke("measure", astronaut_png, *options, "--no-fine")
    assert result.exit_code == 3
    assert "z-scores may be shifted" in result.stderr


def test_scale_and_reference_as_plain_text(astronaut_png: Path) -> None:
    (width,) = (m for m in measure(str(astronaut_png), scale="mm-per-px=1.4") if m.id == "biocular_width")
    assert 75 < width.value < 100
    row = measure_table(astronaut_png, references=DEFAULT_REFERENCE, sex="f", age=30, jitter=2).iloc[0]
    assert "grade" in row["references"]
    assert math.isfinite(row[f"{NAME}_z_{column_name(DEFAULT_REFERENCE)}"])


@pytest.mark.parametrize(("age", "name"), [("1d", "korean-newborns"), ("6", "school.csv")])
def test_a_child_with_a_scale_gets_fissures_in_millimetres(
    tmp_path: Path, sticker_png: Path, invoke: Invoke, age: str, name: str
) -> None:
    out, own = tmp_path / "out.csv", tmp_path / name
    given = name
    if own.suffix:  # norms of one's own, of children that another instrument measured
        given = str(own)
        rows = [
            ReferenceRow(f"palpebral_fissure_length_{side}", "mm", "both", 6, 6, 40, 25, 1.3, "B", "a school",
                         "caliper", 1.6)
            for side in "RL"
        ]  # fmt: skip
        write_reference(own, rows)
    options = ("--jitter", 2, "--scale", "sticker=18", "--sex", "m", "--age", age, "--reference", given)
    assert invoke("measure", sticker_png, *options, "-o", out).exit_code == 0
    (row,) = table(out)
    for side in "RL":
        fissure = f"palpebral_fissure_length_{side}"
        norm = load_reference(given).rows_of(fissure)[0]
        millimetres = float(row[f"{fissure}_mm"])
        spread = math.sqrt(norm.sd**2 * (1 + 1 / norm.n) + norm.error_sd**2)
        z = column_name(f"{fissure}_z_{name}")
        assert float(row[z]) == pytest.approx((millimetres - norm.mean) / spread, abs=0.01)
        assert float(row[f"{z}_lo"]) < float(row[z]) < float(row[f"{z}_hi"])
