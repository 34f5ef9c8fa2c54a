"""Who is on a photo: from a table's columns, from the settings, and from several photos of one person."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Invoke, sentence_of

from anthropo.batch.inputs import Item, collect
from anthropo.batch.output import Output
from anthropo.batch.patients import patients
from anthropo.batch.scores import diagnostics_of, person_of, scores_of
from anthropo.errors import InputError
from anthropo.learning.cohort import read_cohort
from anthropo.measurement.compute import Measurement
from anthropo.reference import zscore
from anthropo.reference.shipped import shipped_references
from anthropo.reference.tables import load_reference
from anthropo.settings import Settings
from anthropo.workflows.measuring import measure_items

WIDTH = Measurement("intercanthal_width", 0.42, 0.41, 0.43, "ex-ex", "mid", "", repeat_sd=0.005)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ancestries that z-scores are asked for."""
    got: list[Any] = []
    scored = zscore.score

    def score(*given: Any, **known: Any) -> list[Any]:
        got.append(known.get("ancestry", "no matter"))
        return scored(*given, **known)

    monkeypatch.setattr(zscore, "score", score)
    return got


def listed(folder: Path, *rows: str) -> list[Item]:
    path = folder / "c.csv"
    path.write_text("\n".join(rows) + "\n")
    return collect([str(path)])


@pytest.mark.parametrize(
    ("columns", "settings", "ancestry", "words"),
    [
        ({"ancestry": "East Asian"}, "African", "East Asian", "female 31 East Asian"),
        ({}, "African", "African", "female 31 African"),
        ({"ancestry": ""}, "African", None, "female 31"),  # this one's is not known
        ({"ancestry": "Unknown"}, "African", None, "female 31"),
        ({}, None, None, "female 31"),
    ],
)
def test_an_ancestry_goes_where_sex_and_age_go(
    asked: list[Any], columns: dict[str, str], settings: str | None, ancestry: str | None, words: str
) -> None:
    item = Item("p.jpg", columns)
    known = Settings(sex="female", age="31", ancestry=settings, references=("frl-adults",))
    scores_of(item, [WIDTH], known, studio=True)
    assert asked == [ancestry]
    assert diagnostics_of(item, known).person == words


def test_an_ancestry_alone_asks_for_no_scores(asked: list[Any]) -> None:
    assert scores_of(Item("p.jpg", {"ancestry": "African"}), [WIDTH], Settings(), studio=True).scores == ()
    assert asked == []


def test_a_result_depends_on_the_ancestry() -> None:
    known = {
        Settings(sex="female", age="31", ancestry=name).fingerprint() for name in (None, "Black", "unknown")
    }
    assert len(known) == 3
    told = sentence_of(InputError, Settings(sex="female", age="31", ancestry="African").fingerprint)
    words = "='African': no group of the references. Choose from asian, black, indian, other, white, unknown."
    assert told.endswith(words)
    # tables without groups ignore it
    assert Settings(sex="female", age="31", ancestry="African", references=("frl-adults",)).fingerprint()


@pytest.mark.parametrize(
    ("rows", "disputed"),
    [
        (("p.jpg,f,31,African", "p.jpg,f,31,East Asian"), "female 31 african; female 31 east asian"),
        (("p.jpg,f,31,African", "p.jpg,f,31,"), "female 31 african; female 31"),
        (("p.jpg,f,31,African", "p.jpg,F,31, african "), ""),  # one meaning
        (("p.jpg,f,31,", "p.jpg,f,31,unknown"), ""),
    ],
)
def test_rows_of_a_photo_that_contradict_each_other(
    tmp_path: Path, asked: list[Any], rows: tuple[str, ...], disputed: str
) -> None:
    for item in listed(tmp_path, "photo,sex,age,ancestry", *rows):
        assert item.disputed == disputed
        notes = scores_of(item, [WIDTH], Settings(references=("frl-adults",)), studio=True).notes
        words = f"listed with different sex, age or ancestry ({disputed}), no z-scores that depend on it."
        assert notes == ((f"{tmp_path}/p.jpg: {words}",) if disputed else ())


def test_photos_of_one_person_have_one_ancestry(tmp_path: Path) -> None:
    rows = (
        "photo,patient,ancestry",
        "a.jpg,p1,East  Asian",
        "b.jpg,p1,east asian",
        "c.jpg,p1,",
        "d.jpg,p1,unknown",
    )
    (who,) = patients(listed(tmp_path, *rows))
    assert who.columns["ancestry"] == "East Asian"
    assert person_of(Item(who.shown, who.columns), Settings(ancestry="African")).ancestry == "East Asian"


def test_photos_of_one_person_with_two_ancestries_are_refused(tmp_path: Path) -> None:
    items = listed(tmp_path, "photo,patient,ancestry", "a.jpg,p1,African", "b.jpg,p1,East Asian")
    assert sentence_of(InputError, patients, items) == (
        f"patient p1: African in {tmp_path}/a.jpg, East Asian in {tmp_path}/b.jpg. Correct the column "
        "`ancestry`, or `patient`."
    )


# --------------------------------------------------------------------------------------- dates


def test_dates_become_the_age_and_are_in_no_output(tmp_path: Path, astronaut_png: Path) -> None:
    items = listed(
        tmp_path,
        "photo,id,born,taken,sex",
        f"{astronaut_png},x,1971-06-02,2 Jun 2002,f",
        "gone.png,y,1971-06-02,,f",
    )
    assert [dict(item.columns) for item in items] == [
        {"id": "x", "age": "31.00069", "sex": "f"},
        {"id": "y", "age": "", "sex": "f"},
    ]
    out = {suffix: tmp_path / f"out{suffix}" for suffix in (".csv", ".json")}
    for path in out.values():
        table = Output(str(path), Settings(jitter=2))
        measured = measure_items(items, Settings(jitter=2), table=table)
        text = path.read_text()
        assert not re.search("1971-|Jun|2002-", text)
    (row, failed) = csv.DictReader(out[".csv"].open())
    assert (row["age"], row["diagnostics_person"], row["notes"]) == ("31.00069", "f 31.00069", "")
    assert row["intercanthal_width_z_web__all__ages"]
    assert failed["age"] == ""
    assert measured.notes == []


def test_an_age_beside_dates_is_one_column_in_its_place(tmp_path: Path) -> None:
    (item,) = listed(tmp_path, "photo,age,taken,born,x", "p.jpg,31,2002-06-02,1971-06-02,1")
    assert list(item.columns.items()) == [("age", "31.00069"), ("x", "1")]


def test_a_column_taken_alone_is_the_users(tmp_path: Path) -> None:
    (item,) = listed(tmp_path, "photo,taken", "p.jpg,by Dr X")
    assert item.columns == {"taken": "by Dr X"}


WHY = "The date of birth is given, and not when the photo was taken. Fill in the column `taken`, or `age`."


def test_dates_that_tell_no_age_are_a_note_and_the_photo_is_measured(tmp_path: Path) -> None:
    items = listed(tmp_path, "photo,sex,born", "p.jpg,f,1971-06-02", "q.jpg,,1971-06-02")
    for item, sex in zip(items, ([], ["sex is missing, no z-scores that depend on it."]), strict=True):
        found = scores_of(item, [WIDTH], Settings(age="31"), studio=True)
        assert found.notes == tuple(f"{item.path}: {note}" for note in (*sex, WHY))
        assert len(found.scores) == 1


def test_dates_of_one_persons_photos(tmp_path: Path) -> None:
    def pooled(*rows: str) -> Any:
        (who,) = patients(listed(tmp_path, "photo,patient,born,taken", *rows))
        return who

    day = "a.jpg,p1,2019-03-04,2023-03-04"
    assert pooled(day, "b.jpg,p1,2019-03-04,2023-05-04").columns["age"] == "4.08351"
    assert pooled(day, "b.jpg,p1,2019-03-04,").undated == ""
    who = pooled("a.jpg,p1,2019-03-04,", "b.jpg,p1,2019-03-04,2018-01-01")
    assert who.item.undated == WHY
    assert sentence_of(InputError, pooled, day, "b.jpg,p1,2019-03-04,2021-03-04") == (
        f"patient p1: 2.00137 years old in {tmp_path}/b.jpg, 4 in {tmp_path}/a.jpg. A face changes between "
        "these: use a separate patient name for each age."
    )


def test_a_person_keeps_the_age_as_it_is_written(tmp_path: Path) -> None:
    rows = ("photo,patient,age", "a.jpg,p1,8", "b.jpg,p1,8", "c.jpg,p1,")
    (who,) = patients(listed(tmp_path, *rows))
    assert who.columns["age"] == "8"  # until the ninth birthday, not 8.0


@pytest.mark.parametrize(
    ("ages", "mean"),
    [
        (("31", "33"), "32"),  # completed years, as these are
        (("119m", "121m"), "10.0"),
        (("0d", "10 d"), "0.01369"),  # a week is nothing, at any age
        (("18m", "1.5"), "18m"),
        (("20", "old", "20.0"), "20"),
    ],
)
def test_the_mean_age_of_a_persons_photos(tmp_path: Path, ages: tuple[str, ...], mean: str) -> None:
    rows = [f"{i}.jpg,p1,{age}" for i, age in enumerate(ages)]
    (who,) = patients(listed(tmp_path, "photo,patient,age", *rows))
    assert who.columns["age"] == mean


def test_dates_in_a_cohort_are_no_metadata(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "photo,label,patient,born,taken\na.jpg,x,p1,2019-03-04,2023-03-04\nb.jpg,y,p2,2019-03-05,\n"
        "c.jpg,y,p3,2001-03-05,2021-03-05\n"
    )
    cohort = read_cohort(path)
    assert [case.metadata for case in cohort.cases] == [{"age": "4.0"}, {"age": ""}, {"age": "20.0"}]
    assert [finding.message for finding in cohort.findings if finding.category == "metadata"] == [
        f"{path}: no age from the columns `born` and `taken`: {tmp_path}/b.jpg: {WHY}"
    ]


# ----------------------------------------------------------------------------------- gestation


@pytest.fixture
def ages(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ages that z-scores are asked for."""
    got: list[Any] = []
    scored = zscore.score

    def score(*given: Any, **known: Any) -> list[Any]:
        got.append(known["age"])
        return scored(*given, **known)

    monkeypatch.setattr(zscore, "score", score)
    return got


@pytest.mark.parametrize(
    ("age", "gestation", "used", "basis"),
    [
        ("6m", "31+4", 0.5 - (8 + 3 / 7) * 7 / 365.25, "corrected age 4.1 months, born at 31+4 weeks"),
        ("6m", "", 0.5, "birth at term is assumed"),
        ("6m", "40w", 0.5, "born at 40 weeks, at term"),
        ("0d", "24", -16 * 7 / 365.25, "corrected age −16.0 weeks, born at 24 weeks"),
        ("2", "31+4", 2.0, ""),
        ("31", "", 31.0, ""),
        ("31", "never", 31.0, ""),
    ],
)
def test_an_age_below_two_years_is_counted_from_term(
    ages: list[Any], age: str, gestation: str, used: float, basis: str
) -> None:
    item = Item("p.jpg", {"sex": "f", "age": age, "gestation": gestation})
    found = scores_of(item, [WIDTH], Settings(), studio=True)
    assert ages == [pytest.approx(used)]
    assert found.age_basis == basis


def test_a_gestation_that_cannot_be_used_is_a_note(ages: list[Any]) -> None:
    found = scores_of(
        Item("p.jpg", {"sex": "f", "age": "6m", "gestation": "50"}), [WIDTH], Settings(), studio=True
    )
    assert ages == [None]
    assert found.age_basis == ""
    assert found.notes == (
        "p.jpg: Gestation '50' is not from 20 to 45 weeks. Give completed weeks (31w), or weeks and days "
        "(31+4).",
    )
    assert sentence_of(InputError, Settings(gestation="50").fingerprint).startswith("Gestation '50' is not")


def test_a_gestation_without_an_age_is_told() -> None:
    found = scores_of(Item("p.jpg", {}), [WIDTH], Settings(gestation="31w"), studio=True)
    assert "p.jpg: age is missing, no z-scores that depend on it." in found.notes


def test_an_age_that_a_reference_does_not_have_is_said_before_what_a_better_photo_would_mend() -> None:
    voided = "voided by the photo gate: smile 0.6"
    names = ("mouth_width", "nasal_width", "philtrum_width")
    smiling = [Measurement(n, math.nan, math.nan, math.nan, "ex-ex", "mid", voided) for n in names]
    for age, why in (("85", "age 85 is outside web-all-ages: 0 to 80 years"), ("30", voided)):
        known = [WIDTH, *smiling] if age == "85" else smiling
        found = scores_of(Item("p.jpg", {"sex": "f", "age": age}), known, Settings(), studio=False)
        assert found.notes == (f"p.jpg: no z-scores under web-all-ages: {why}",)


def test_no_shipped_reference_has_scores_before_term() -> None:
    for name in shipped_references():
        reference = load_reference(name)
        for row in reference.rows:
            value = Measurement(row.measurement, row.mean, row.mean, row.mean, row.unit, "mid", "")
            (z,) = zscore.score([value], [reference], sex=None if row.sex == "both" else row.sex, age=-0.1)
            assert math.isnan(z.z)
            assert z.reason


def test_a_gestation_is_one_persons(tmp_path: Path) -> None:
    rows = ("photo,patient,gestation", "a.jpg,p1,31w4d", "b.jpg,p1,31+4")
    (who,) = patients(listed(tmp_path, *rows))
    assert who.columns["gestation"] == "31+4"
    assert sentence_of(InputError, patients, listed(tmp_path, *rows, "c.jpg,p1,32")) == (
        f"patient p1: 31+4 in {tmp_path}/a.jpg, 32 in {tmp_path}/c.jpg. Correct the column `gestation`, or "
        "`patient`."
    )
    torn = listed(tmp_path, "photo,age,gestation", "a.jpg,6m,31", "a.jpg,6m,32")
    assert [item.disputed for item in torn] == ["? 0.5 born at 31; ? 0.5 born at 32"] * 2
    assert "different sex, age or gestation" in scores_of(torn[0], [WIDTH], Settings(), studio=True).notes[0]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".html"])
def test_what_is_written_says_from_which_birth_an_age_is_counted(
    tmp_path: Path, invoke: Invoke, astronaut_png: Path, suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    for more, words in (((), "birth at term is assumed"), (("--gestation", "31w"), "born at 31 weeks")):
        invoke("measure", astronaut_png, "-o", out, "--jitter", 2, "--sex", "f", "--age", "6m", *more)
        assert words in out.read_text()
