from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from conftest import Copies, sentence_of

from anthropo.errors import InputError
from anthropo.learning.cohort import Case, Cohort, Finding, hashed, read_cohort, typed
from anthropo.learning.cohort_checks import check

Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path, copies: Copies) -> Table:
    """table(text, "a.png", ...): a cohort's CSV beside photos of these names."""

    def write(text: str, *photos: str, name: str = "cohort.csv") -> Path:
        copies(tmp_path, *photos)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def case(photo: str, label: str, patient: str = "", **metadata: str) -> Case:
    return Case(photo, label, patient or os.path.realpath(photo), metadata)


def said(findings: Iterable[Finding], level: str, category: str) -> list[str]:
    for finding in findings:
        assert "\n" not in finding.message
        assert finding.message.endswith(".")
    return [f.message for f in findings if (f.level, f.category) == (level, category)]


def refusal(path: Path, **options: bool) -> str:
    return sentence_of(InputError, read_cohort, path, **options)


# ------------------------------------------------------------------------------------- reading


def test_table(table: Table) -> None:
    path = table(
        "photo,label,patient,age,site\n"
        "a.png,Cornelia de Lange,p1,18m,north\n"
        "b.png,Čeština 症候群,p2,,south\n"
        "c.png,control,p2,7,north\n"
    )
    cohort = read_cohort(path)
    assert [c.label for c in cohort.cases] == ["Cornelia de Lange", "Čeština 症候群", "control"]
    assert [c.patient for c in cohort.cases] == ["p1", "p2", "p2"]
    assert cohort.cases[0].photo == str(path.parent / "a.png")
    assert cohort.cases[0].metadata == {"age": "18m", "site": "north"}
    assert cohort.metadata == {"age": "age", "site": "category"}
    assert cohort.source == str(path)


@pytest.mark.parametrize(("name", "delimiter"), [("c.csv", ";"), ("c.tsv", "\t"), ("c.CSV", ",")])
def test_delimiters(table: Table, name: str, delimiter: str) -> None:
    path = table("photo,label\na.png,x\nb.png,y\n".replace(",", delimiter), name=name)
    assert [c.label for c in read_cohort(path).cases] == ["x", "y"]


def test_accents_are_one_label_however_they_are_written(table: Table) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Noonané") for form in ("NFC", "NFD"))
    cohort = read_cohort(table(f"photo,label\na.png,{composed}\nb.png,{decomposed}\n"))
    assert len({c.label for c in cohort.cases}) == 1


def test_without_patients_each_photo_is_one_and_a_warning_says_so(table: Table) -> None:
    path = table("photo,label\na.png,x\nb.png,y\n")
    cohort = read_cohort(path)
    assert [c.patient for c in cohort.cases] == [
        os.path.realpath(path.parent / n) for n in ("a.png", "b.png")
    ]
    (message,) = said(check(cohort), "warning", "patient")
    assert "no column `patient`" in message


def test_rows_without_a_patient_are_named(table: Table) -> None:
    cohort = read_cohort(table("photo,label,patient\na.png,x,p1\nb.png,y,\nc.png,y,p3\n"))
    assert cohort.cases[1].patient.endswith("b.png")
    (message,) = said(check(cohort), "warning", "patient")
    assert "no patient in row 3:" in message


def test_empty_labels_are_refused_by_row(table: Table) -> None:
    # rows as a spreadsheet numbers them: an empty line and a cell of two lines count
    path = table('photo,label,note\na.png,x,"two\nlines"\n\nb.png, ,\nc.png,,\n')
    assert "the label is missing in rows 4, 5." in refusal(path)


def test_many_empty_labels_are_cut_short(table: Table) -> None:
    path = table("photo,label\na.png,x\n" + "b.png,\n" * 9)
    assert "rows 3, 4, 5, 6, 7 and 4 more." in refusal(path)


def test_rows_without_a_photo_are_named(table: Table) -> None:
    cohort = read_cohort(table("photo,label\na.png,x\n,y\nb.png,y\n"))
    assert len(cohort.cases) == 2
    (message,) = said(cohort.findings, "warning", "photo")
    assert "no photo in row 3;" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo,diagnosis\na.png,x\n", "no column `label`; its columns are photo, diagnosis."),
        ("label\nx\n", "no column `photo`"),
        ("photo,label\n", "lists no photo"),
        ("photo,label\na.png,x,y\n", "3 cells where the header has 2"),
    ],
)
def test_tables_that_cannot_be_used(table: Table, text: str, expected: str) -> None:
    assert expected in refusal(table(text))


def test_other_files_are_no_cohort(tmp_path: Path, astronaut_png: Path) -> None:
    assert "not a cohort" in refusal(astronaut_png)
    assert "no such file" in refusal(tmp_path / "absent.csv")
    assert "no such file" in refusal(tmp_path / "absent")


def test_several_labels(table: Table) -> None:
    path = table("photo,label\na.png,ptosis; low-set ears\nb.png,\nc.png,ptosis;;ptosis\n")
    cohort = read_cohort(path, multilabel=True)
    assert [c.labels for c in cohort.cases] == [("ptosis", "low-set ears"), (), ("ptosis",)]
    assert [c.label for c in cohort.cases] == ["ptosis; low-set ears", "", "ptosis"]
    assert not said(check(cohort), "error", "label")


def test_the_same_row_by_another_path_counts_once(table: Table, tmp_path: Path) -> None:
    path = table(f"photo,label\na.png,x\n{tmp_path}/a.png,x\n./a.png,x\nb.png,y\n", "a.png", "b.png")
    cohort = read_cohort(path)
    assert [Path(c.photo).name for c in cohort.cases] == ["a.png", "b.png"]
    (message,) = said(check(cohort), "note", "photo")
    assert "repeated in equal rows" in message


def test_folder(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path, "Down syndrome/1.png", "Down syndrome/deep/2.png", "kontrolle ä/3.png", ".hidden/4.png")
    cohort = read_cohort(tmp_path)
    assert [c.label for c in cohort.cases] == ["Down syndrome"] * 2 + ["kontrolle ä"]
    assert len({c.patient for c in cohort.cases}) == 3
    assert len(said(check(cohort), "warning", "patient")) == 1
    assert not said(check(cohort), "warning", "photo")


def test_what_a_folder_holds_beside_is_told(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path, "x/1.png", "y/2.png", "loose.png", "loose2.png")
    (tmp_path / "papers").mkdir()
    cohort = read_cohort(tmp_path)
    assert len(cohort.cases) == 2
    assert (
        "photos beside the subfolders have no label, 2 of them;"
        in said(cohort.findings, "warning", "photo")[0]
    )
    assert "no photos in papers;" in said(cohort.findings, "warning", "label")[0]


def test_a_name_in_a_folder_that_is_not_utf_8_is_refused(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path, "x/1.png", "y/2.png")
    os.rename(tmp_path / "y/2.png", os.fsencode(tmp_path) + b"/y/M\xfcller.png")
    assert "the file's name is not UTF-8" in refusal(tmp_path)


def test_a_folder_without_subfolders_is_refused(tmp_path: Path, copies: Copies) -> None:
    assert "no photos in this folder" in refusal(tmp_path)
    copies(tmp_path, "1.png")
    assert "no subfolder with photos" in refusal(tmp_path)
    copies(tmp_path, "x/1.png")
    assert "gives each photo one label" in refusal(tmp_path, multilabel=True)


# ------------------------------------------------------------------------------------ metadata


def test_typed_cells() -> None:
    ages = typed(["18m", "8,5", "", "NA", "old"], "age")
    assert ages[:2] == [1.5, 8.5]
    assert all(math.isnan(v) for v in ages[2:])  # type: ignore[arg-type]
    assert typed(["F", "male", "", "x", "nan"], "sex") == ["female", "male", None, None, None]
    numbers = typed(["1,5", "-2e3", "N/A", "1_000", "inf"], "number")
    assert numbers[:2] == [1.5, -2000.0]
    assert all(math.isnan(v) for v in numbers[2:])  # type: ignore[arg-type]
    assert typed(["north", "", "null", "none"], "category") == ["north", None, None, None]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2,5", "NA", "1"], "number"),
        (["1.25", "2.5", "3.1", "4.7"], "number"),  # a length may differ between all people
        (["1", "2", "x", "1"], "category"),
        (["1_2", "1_3", "1_2", "1_3"], "category"),
        (["1", "2", "3", "4"], "has another value for every patient"),
        (["anna", "bea", "carl", "dora"], "has another value for every patient"),
        (["north", "north", "north", "north"], "has one value only (north)"),
        (["", "NA", "nan", ""], "is empty"),
    ],
)
def test_columns_that_can_be_learned_from(table: Table, cells: list[str], kind: str) -> None:
    rows = "".join(f'{i}.png,{"xy"[i % 2]},p{i},"{cell}"\n' for i, cell in enumerate(cells))
    cohort = read_cohort(table("photo,label,patient,extra\n" + rows))
    notes = said(cohort.findings, "note", "metadata")
    if kind in ("number", "category"):
        assert cohort.metadata == {"extra": kind}
        assert not notes
    else:
        assert cohort.metadata == {}
        assert f"column extra {kind}" in notes[0]


def test_a_number_of_the_patient_is_told_by_patient(table: Table) -> None:
    """Photos of one patient share it, so it differs less often than rows do."""
    rows = "".join(f"{i}.png,{'xy'[i // 2 % 2]},p{i // 2},H{i // 2}\n" for i in range(8))
    cohort = read_cohort(table("photo,label,patient,hospital_number\n" + rows))
    assert "hospital_number" not in cohort.metadata


def test_ages_may_all_differ(table: Table) -> None:
    rows = "".join(f"{i}.png,{'xy'[i % 2]},p{i},{i}\n" for i in range(6))
    assert read_cohort(table("photo,label,patient,age\n" + rows)).metadata == {"age": "age"}


# -------------------------------------------------------------------------------------- checks


def test_more_labels_than_a_model_may_have() -> None:
    cases = tuple(case(f"{i}", f"label {i:04}", f"p{i}") for i in range(5001))
    (text,) = said(check(Cohort(cases, "c.csv")), "error", "label")
    assert text == (
        "c.csv: 5,001 labels, more than the 5,000 that a model may have. Is this the column of labels? Else "
        "join rare labels."
    )
    assert "more than" not in " ".join(said(check(Cohort(cases[1:], "c.csv")), "error", "label"))


def test_one_label_only() -> None:
    cohort = Cohort((case("a", "Noonan", "p"), case("b", "Noonan", "q")), "c.csv")
    assert "one label only, Noonan (2 photos)" in said(check(cohort), "error", "label")[0]


def test_a_label_with_one_patient_goes_to_the_gallery() -> None:
    cases = (case("a", "x", "p1"), case("b", "x", "p2"), case("c", "rare", "p3"), case("d", "rare", "p3"))
    (message,) = said(check(Cohort(cases, "c.csv")), "note", "label")
    assert "a single patient each for rare:" in message


def test_a_patient_with_two_labels_is_an_error_that_names_five() -> None:
    cases = tuple(case(f"{i}{label}", label, f"id {i}") for i in range(7) for label in "xy")
    (message,) = said(check(Cohort(cases, "c.csv")), "error", "patient")
    assert "id 0 (x, y)" in message
    assert "id 4 (x, y) and 2 more." in message
    assert not said(check(Cohort(cases, "c.csv", multilabel=True)), "error", "patient")


def test_a_photo_with_two_labels_is_an_error(table: Table, tmp_path: Path) -> None:
    path = table(f"photo,label\na.png,x\n{tmp_path}/a.png,y\nb.png,y\n", "a.png", "b.png")
    found = check(read_cohort(path))
    assert "a.png (label x and y)" in said(found, "error", "photo")[0]
    assert not said(found, "error", "patient")  # said once


def test_missing_files(table: Table) -> None:
    path = table("photo,label\na.png,x\nb.png,y\ngone.png,y\n", "a.png", "b.png")
    (message,) = said(check(read_cohort(path)), "warning", "photo")
    assert "1 of 3 photos do not exist" in message
    assert "gone.png; left out." in message
    path = table("photo,label\nphotos/a.png,x\nphotos/b.png,y\n")
    assert "2 of 2 photos do not exist" in said(check(read_cohort(path)), "error", "photo")[0]


def test_ages_and_sexes_that_mean_nothing() -> None:
    cases = (
        case("a", "x", "p1", age="old", sex="F"),
        case("b", "y", "p2", age="-3", sex="unknown"),
        case("c", "y", "p3", age="NA", sex=""),
    )
    messages = said(check(Cohort(cases, "c.csv")), "warning", "metadata")
    assert len(messages) == 2
    assert "old (a), -3 (b)" in messages[0]
    assert "unknown (b)" in messages[1]


@pytest.mark.parametrize(
    ("column", "leaks"),
    [
        (["north", "north", "south", "south"], True),
        (["1", "1", "", ""], True),  # known of the cases only
        (["north", "south", "north", "south"], False),
        (["1.5", "2.5", "3.5", "4.5"], False),  # numbers that differ between all people
    ],
)
def test_a_column_that_tells_the_label(column: list[str], leaks: bool) -> None:
    cases = tuple(
        case(str(i), label, f"p{i}", site=cell)
        for i, (label, cell) in enumerate(zip("xxyy", column, strict=True))
    )
    kind = "category" if column[0] == "north" else "number"
    messages = said(check(Cohort(cases, "c.csv", {"site": kind})), "warning", "metadata")
    assert any("column site determines the label" in m for m in messages) == leaks


def test_spellings_of_one_label() -> None:
    cases = tuple(
        case(str(i), label, f"p{i}") for i, label in enumerate(["Down", "down", "Turner", "Turner"])
    )
    messages = said(check(Cohort(cases, "c.csv")), "warning", "label")
    assert len(messages) == 1
    assert "'Down' and 'down'" in messages[0]


def test_labels_that_nobody_or_everybody_has() -> None:
    nothing = tuple(case(str(i), "", f"p{i}") for i in range(3))
    assert "no case has a label" in said(check(Cohort(nothing, "c", multilabel=True)), "error", "label")[0]
    alike = tuple(case(str(i), "a", f"p{i}") for i in range(3))
    assert "every patient has a," in said(check(Cohort(alike, "c", multilabel=True)), "error", "label")[0]
    more = (case("0", "a; b", "p0"), case("1", "a", "p1"))
    assert "every patient has a," in said(check(Cohort(more, "c", multilabel=True)), "warning", "label")[0]


def test_everybody_photographed_twice_is_a_design_and_a_few_are_an_error(table: Table) -> None:
    names = [f"{p}{k}.png" for p in range(12) for k in "ab"]
    both = "photo,label,patient\n" + "".join(
        f"{n},{'well' if n[-5] == 'a' else 'ill'},p{n[:-5]}\n" for n in names
    )
    (found,) = [f for f in check(read_cohort(table(both, *names))) if f.category == "patient"]
    assert (found.level, "12 patients have photos under more than one label" in found.message) == (
        "warning",
        True,
    )
    alone = "photo,label,patient\n" + "".join(
        f"{n},{'well' if n[-5] == 'a' else 'ill'},p{n[:-5] if int(n[:-5]) < 2 else n}\n" for n in names
    )
    (found,) = [f for f in check(read_cohort(table(alone, *names))) if f.category == "patient"]
    assert found.level == "error"


def test_errors_come_first(table: Table) -> None:
    path = table("photo,label,patient,site\na.png,x,p,n\nb.png,y,p,n\n", "a.png")
    levels = [f.level for f in check(read_cohort(path))]
    assert levels == ["error", "warning", "note", "note"]


def test_hashed_identities() -> None:
    assert hashed("Anna", "salt") == hashed("Anna", "salt")
    assert len({hashed("Anna", "salt"), hashed("Anna", "pepper"), hashed("Bea", "salt")}) == 3
    assert len(hashed("Anna", "salt")) == 12
    assert "Anna" not in hashed("Anna", "salt")
