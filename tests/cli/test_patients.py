"""`anthropo measure --patient`: one answer per person."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from conftest import Invoke, Pixels, refused
from PIL import Image

import anthropo

Cohort = Callable[..., Path]


@pytest.fixture
def cohort(tmp_path: Path, astronaut: Pixels) -> Cohort:
    """cohort(rows): a table, with the photos a.png, b.png, c.png and faceless.png beside it."""
    for name, dark, shift in (("a", 1.0, 0), ("b", 0.8, 9), ("c", 0.9, 20)):
        picture = Image.fromarray((np.roll(astronaut, shift, 1) * dark).astype(np.uint8))
        picture.save(tmp_path / f"{name}.png", compress_level=1)  # four times as fast
    Image.fromarray(np.full((200, 200), 90, np.uint8)).save(tmp_path / "faceless.png")

    def make(*rows: str) -> Path:
        path = tmp_path / "cohort.csv"
        path.write_text("\n".join(rows) + "\n")
        return path

    return make


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_per_person(tmp_path: Path, cohort: Cohort, invoke: Invoke) -> None:
    table = cohort("photo,patient,site,sex,age", "a.png,p1,x,F,31", "b.png,p1,y,female,33", "c.png,p2,x,f,40")
    out = tmp_path / "people.csv"
    result = invoke("measure", table, "--patient", "-o", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        f"{out}: 2 of 2 people measured.\n"
        "photo gate: 3 of 3 photos (100 %) failed the photo gate.\n"
        "  mouth open: 3 photos (100 %); close the mouth\n"
        "  smile: 3 photos (100 %); keep a neutral expression\n"
        f"{tmp_path}/people.photos.json: 3 of 3 photos measured.\n"
    )
    one, two = rows_of(out.read_text())
    assert (one["patient"], one["status"], one["photos_measured"]) == ("p1", "ok", "2")
    assert one["photos"] == f"{tmp_path}/a.png; {tmp_path}/b.png"
    assert (one["sex"], one["age"], two["site"]) == ("female", "32", "x")
    assert (one["intercanthal_width_photos"], two["intercanthal_width_photos"]) == ("2", "1")
    photos = {
        Path(r["photo"]).name: r["measurements"]["intercanthal_width"]
        for r in json.loads((tmp_path / "people.photos.json").read_text())["photos"]
    }
    a, b, pooled = photos["a.png"], photos["b.png"], float(one["intercanthal_width"])
    assert min(a["value"], b["value"]) <= pooled <= max(a["value"], b["value"])
    assert float(one["intercanthal_width_sd"]) == pytest.approx(
        abs(a["value"] - b["value"]) / 2**0.5, rel=0.05
    )
    width = float(one["intercanthal_width_hi"]) - pooled
    assert width < np.mean([m["hi"] - m["value"] for m in (a, b)])
    # z-scores are those of the pooled value, under the pooled interval
    z = [float(one[f"intercanthal_width_z_web__all__ages{end}"]) for end in ("_lo", "", "_hi")]
    alone = [m["z"][0] for m in (a, b)]
    assert min(m["z"] for m in alone) <= z[1] <= max(m["z"] for m in alone)
    assert z[2] - z[0] <= max(m["hi"] - m["lo"] for m in alone)
    # a single photo's numbers are its own
    c = photos["c.png"]
    assert [float(two[f"intercanthal_width{end}"]) for end in ("", "_lo", "_hi")] == [
        c["value"],
        c["lo"],
        c["hi"],
    ]


def test_without_the_flag_patients_are_passed_through(cohort: Cohort, invoke: Invoke) -> None:
    rows = rows_of(invoke("measure", cohort("photo,patient", "a.png,p1", "b.png,p1")).stdout)
    assert [row["patient"] for row in rows] == ["p1", "p1"]
    assert "intercanthal_width_photos" not in rows[0]


def test_photos_without_a_table_are_of_one_person(tmp_path: Path, cohort: Cohort, invoke: Invoke) -> None:
    cohort()
    result = invoke("measure", tmp_path / "a.png", tmp_path / "b.png", "--patient")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        f"one person  2 of 2 photos measured\n{tmp_path}/a.png  gate: mouth_open smile"
    )
    assert "SD between" in result.stdout


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_second_run_measures_only_what_is_new(
    tmp_path: Path, cohort: Cohort, invoke: Invoke, suffix: str
) -> None:
    out = tmp_path / f"people{suffix}"
    table = cohort("photo,patient", "a.png,p1", "c.png,p2")
    invoke("measure", table, "--patient", "-o", out)
    before = out.read_bytes()
    again = invoke("measure", table, "--patient", "-o", out)
    assert "2 of 2 photos measured, 2 of them by an earlier run." in again.stderr
    assert out.read_bytes() == before
    # another photo of p1; p2 is not part of this run and stays
    invoke("measure", cohort("photo,patient", "a.png,p1", "b.png,p1"), "--patient", "-o", out)
    if suffix == ".parquet":
        rows = pyarrow.parquet.read_table(out).to_pylist()
    elif suffix == ".csv":
        rows = rows_of(out.read_text())
    else:
        rows = json.loads(out.read_text())["patients"]
    assert [row["patient"] for row in rows] == ["p1", "p2"]
    assert [len(str(row["photos"]).split(".png")) - 1 for row in rows] == [2, 1]


def test_photos_that_fail_are_told_and_left_out(tmp_path: Path, cohort: Cohort, invoke: Invoke) -> None:
    table = cohort("photo,patient", "a.png,p1", "faceless.png,p1", "gone.png,p2")
    result = invoke("measure", table, "--patient")
    assert result.exit_code == 3
    one, two = rows_of(result.stdout)
    assert (one["status"], one["photos_measured"], two["status"]) == ("ok", "1", "failed")
    assert two["reason"] == f"{tmp_path}/gone.png: no such file."
    assert two["intercanthal_width"] == ""
    said = [line for line in result.stderr.splitlines() if "gate" not in line and line[0] != " "]
    assert len(said) == 2
    assert len(result.stderr.splitlines()) == 5  # and three lines of the photo gate


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ("photo,patient,sex", "a.png,p1,F", "b.png,p1,male"),
            "patient p1: female in {0}/a.png, male in {0}/b.png. Correct the column `sex`, or `patient`.",
        ),
        (
            ("photo,patient,sex", "a.png,p1,F", "a.png,p1,male"),
            "patient p1: female in {0}/a.png, male in {0}/a.png. Correct the column `sex`, or `patient`.",
        ),
        (
            ("photo,patient,ancestry", "a.png,p1,African", "b.png,p1,European"),
            "patient p1: African in {0}/a.png, European in {0}/b.png. Correct the column `ancestry`, or "
            "`patient`.",
        ),
        (
            ("photo,patient,age", "a.png,p1,3", "b.png,p1,9"),
            "patient p1: 3 years old in {0}/a.png, 9 in {0}/b.png. A face changes between these: use a "
            "separate patient name for each age.",
        ),
        (
            ("photo,patient", "a.png,p1", "b.png,"),
            "{0}/b.png: no patient is given. Fill in the column `patient`.",
        ),
        (
            ("photo,patient", "a.png,p1", "a.png,p2"),
            "{0}/a.png: listed under two patients, p1 and p2.",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_before_any_work(
    tmp_path: Path, cohort: Cohort, invoke: Invoke, rows: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "people.csv"
    told = refused(invoke, "measure", cohort(*rows), "--patient", "-o", out)
    assert told == f"Error: {message.format(tmp_path)}\n"
    assert not out.exists()


def test_options_that_do_not_go_together(tmp_path: Path, cohort: Cohort, invoke: Invoke) -> None:
    table = cohort("photo,patient", "a.png,p1")
    for more, message in (
        (("--face", "all"), "--patient with --face all: one face of each photo is needed. Use largest."),
        (
            ("-o", tmp_path / "a.txt"),
            f"{tmp_path}/a.txt: a table of people ends in .csv, .parquet or .json, a report in .html.",
        ),
    ):
        assert refused(invoke, "measure", table, "--patient", *more) == f"Error: {message}\n"


def test_report_has_a_section_for_each_person(tmp_path: Path, cohort: Cohort, invoke: Invoke) -> None:
    table = cohort(
        "photo,patient,sex,age", "a.png,<p1>,F,31", "b.png,<p1>,female,33", "c.png,p2,x,40", "gone.png,p3,f,2"
    )
    out = tmp_path / "people.html"
    assert invoke("measure", table, "--patient", "-o", out).exit_code == 3
    assert not (tmp_path / "people.photos.json").exists()
    page = out.read_text(encoding="utf-8")
    titles = re.findall(r"<h2>(.+?)</h2>", page)
    assert titles == ["Overview", "patient &lt;p1&gt;", "patient p2", "Not measured"]
    assert "<p1>" not in page
    assert "<p>sex female · age 32 · compared with web-all-ages" in page
    assert page.count("by 2 of 2 photos") == page.count("by 1 of 1 photos") == 1
    one, two = page.split('<section class="face"')[1:]
    for photo in ("a.png", "b.png"):
        assert re.search(
            rf"<li>\S+/{photo}: <span class=\"warn\">photo gate failed:</span> mouth open, smile", one
        )
    assert "2 photos, whose values are pooled" in one
    assert re.search(r"SD \d\.\d+, n 2</small>", one)
    assert '<figure class="zplot">' in one
    assert '<figure class="zplot">' not in two
    assert "gone.png: no such file." in two


@pytest.mark.parametrize("content", ["photo,status\na.png,ok\n", "", "\x00\x01"])
def test_foreign_table_is_left_alone(tmp_path: Path, cohort: Cohort, invoke: Invoke, content: str) -> None:
    out = tmp_path / "people.json"
    out.write_text(content)
    sentence = "exists and is not a table of people that anthropo wrote"
    table = cohort("photo,patient", "a.png,p1")
    refused(invoke, "measure", table, "--patient", "-o", out, says=sentence)
    assert out.read_text() == content


def test_python(cohort: Cohort) -> None:
    table = anthropo.patient_table(cohort("photo,patient,sex", "a.png,p1,F", "b.png,p1,F", "c.png,p2,M"))
    assert table["patient"].tolist() == ["p1", "p2"]
    assert table["bizygomatic_width_photos"].tolist() == [2, 1]
    forced = anthropo.patient_table(cohort("photo", "a.png", "b.png"), settings=anthropo.Settings(force=True))
    assert forced["mouth_width_photos"].tolist() == [2]
