"""Tables as R, Excel, Windows and macOS write them."""

import os
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import openpyxl
import pytest
from hypothesis import given as generate
from hypothesis import strategies as some
from PIL import Image

from anthropo import tables
from anthropo.batch import collect
from anthropo.batch.inputs import Item, read_photo_table
from anthropo.batch.patients import spelled_alike
from anthropo.errors import InputError
from anthropo.learning.cohort import read_cohort
from anthropo.learning.cohort_checks import check
from anthropo.spelling import skeleton
from anthropo.tables import Finder, missing, read_rows

MISSING = ["NA", "NaN", "nan", "NULL", "null", "#N/A", "<NA>", "None", ".", "-", "", " na "]


def written(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("word", MISSING)
def test_missing_words_are_missing_in_every_column(tmp_path: Path, word: str) -> None:
    rows = f'a.jpg,A,{word},{word},{word}\nb.jpg,B,"{word}",30,f\n{word},B,p3,3,f\n'
    cohort = read_cohort(written(tmp_path, "photo,label,patient,age,sex\n" + rows))
    assert [Path(case.patient).name for case in cohort.cases] == ["a.jpg", "b.jpg"]
    assert cohort.cases[0].metadata == {"age": "", "sex": ""}
    with pytest.raises(InputError, match="the label is missing in row 2"):
        read_cohort(written(tmp_path, f"photo,label\na.jpg,{word}\nb.jpg,B\n"))
    several = read_cohort(
        written(tmp_path, f"photo,label\na.jpg,{word}; ptosis\nb.jpg,{word}\n"), multilabel=True
    )
    assert [case.labels for case in several.cases] == [("ptosis",), ()]


def test_what_is_no_missing_word() -> None:
    assert not any(map(missing, ["0", "no", "control", "N", "nano", "--", "false"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('photo,note\na.jpg,"x\nb.jpg,y\n', "row 2: a quote is not closed"),
        ('photo,note\na.jpg,x\nb.jpg,"y\nc.jpg,z\nd.jpg,"w",v\n', "row 3: a quote is not closed"),
        (
            'photo,note\na.jpg,"x\nb.jpg,y,z,"\nc.jpg,v\n',
            "row 2: a cell with line breaks holds another photo's name",
        ),
        ('photo,note\na.jpg,"x\ny",z\n', "row 2: holds line breaks"),
        ("photo,note\na\0.jpg,x\n", "line 2: holds a NUL character"),
        ("photo," + "x" * 140_000 + "\na.jpg,y\n", "row 1: a cell has more than 131,072 characters"),
        ("photo,note\nC:\\faces\\a.jpg,x\n", "begin with the drive of a Windows computer"),
    ],
)
def test_row_that_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_photo_table(written(tmp_path, text))
    assert message in str(caught.value)
    assert str(tmp_path / "t.csv") in str(caught.value)


def test_line_breaks_inside_a_quoted_cell_are_one_row(tmp_path: Path) -> None:
    table = read_photo_table(written(tmp_path, 'photo,note\r\na.jpg,"one\r\ntwo"\r\nb.jpg,x\r\n'))
    assert table.rows == (2, 3)
    assert table.items[0].columns["note"] == "one\r\ntwo"


@pytest.mark.parametrize("head", ["", "sep=;\r\n", "SEP=;\n", "\ufeffsep=;\n"])
def test_delimiter_line_of_excel(tmp_path: Path, head: str) -> None:
    table = read_photo_table(written(tmp_path, f"{head}photo;age\r\na.jpg;3,5\r\n"))
    assert table.rows == (2,)
    assert table.items[0].columns == {"age": "3,5"}


def test_utf16_of_excel(tmp_path: Path) -> None:
    table = read_photo_table(written(tmp_path, "photo\tpatient\na.jpg\tJosé\n".encode("utf-16")))
    assert table.items[0].columns == {"patient": "José"}


def test_row_names_of_r(tmp_path: Path) -> None:
    table = read_photo_table(written(tmp_path, '"","photo","age"\n"1","a.jpg",3\n"2","b.jpg",NA\n'))
    assert [item.columns for item in table.items] == [{"age": "3"}, {"age": ""}]


def test_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["photo", "label", "age", "patient"], ["a.jpg", "A", 24, 1.0], ["b.jpg", True, 2.5, None]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    cohort = read_cohort(tmp_path / "t.xlsx")
    assert [(case.label, case.metadata["age"]) for case in cohort.cases] == [("A", "24"), ("TRUE", "2.5")]
    assert cohort.cases[0].patient == "1"
    assert [item.columns["label"] for item in collect([str(tmp_path / "t.xlsx")])] == ["A", "TRUE"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xlsx", b"PK\3\4 nothing", "not a readable Excel workbook"),
        ("t.xlsx", b"photo,label\n", "not a readable Excel workbook"),
        ("t.ods", b"x", "Save the table as CSV in UTF-8, or as .xlsx"),
    ],
)
def test_other_tables(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_cohort(written(tmp_path, content, name))


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / name)


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("p\\a.jpg", "p/a.jpg"),
        ("P/A.JPG", "p/a.jpg"),
        ("p/a.jpg ", "p/a.jpg"),
        (" b.jpg", " b.jpg"),
        (unicodedata.normalize("NFC", "José/é.jpg"), unicodedata.normalize("NFD", "José/é.jpg")),
        (unicodedata.normalize("NFD", "é.jpg"), unicodedata.normalize("NFC", "é.jpg")),
    ],
)
def test_photo_is_found_by_what_was_meant(tmp_path: Path, named: str, there: str) -> None:
    pictures(tmp_path, there)
    table = read_photo_table(written(tmp_path, f"photo,age\n{named},3\n"))
    assert table.items[0].path == str(tmp_path / there)


def test_an_exact_name_comes_first_and_two_answers_are_none(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "A.jpg")
    finder = Finder(tmp_path)
    assert [Path(finder.find(name)).name for name in ("a.jpg", "A.jpg", "A.JPG")] == [
        "a.jpg",
        "A.jpg",
        "A.JPG",
    ]


def test_linked_folders_once_and_without_loops(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    pictures(tmp_path, "cohort/a.jpg", "cohort/in/b.jfif", "elsewhere/c.jpg")
    for name, target in (("out", elsewhere), ("again", elsewhere), ("loop", tmp_path / "cohort")):
        (tmp_path / "cohort" / name).symlink_to(target)
    (tmp_path / "cohort" / "aa").symlink_to(tmp_path / "cohort" / "in")
    names = [os.path.relpath(item.path, tmp_path) for item in collect([str(tmp_path / "cohort")])]
    assert names == ["cohort/a.jpg", "cohort/again/c.jpg", "cohort/in/b.jfif"]


def test_folders_nested_beyond_the_limits(tmp_path: Path) -> None:
    here, depth = os.getcwd(), 700
    os.chdir(tmp_path)
    try:
        for _ in range(depth):
            os.mkdir("folder")
            os.chdir("folder")
        with pytest.raises(InputError, match="this folder cannot be searched"):
            collect([str(tmp_path)])
    finally:
        for _ in range(depth):  # what removes the test's folder would not come down so far
            os.chdir("..")
            os.rmdir("folder")
        os.chdir(here)


def test_folder_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, "a.jpg", "closed/b.jpg")
    scan = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"closed: this folder cannot be searched \(Permission denied\)"):
        collect([str(tmp_path)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Down's", "Down’s"),
        ("A-B", "A–B"),
        ("A B", "A\u200b B"),
        ("Type 2", "type II"),
        ("Type II", "Type Ⅱ"),
        ("1", "1.0"),
        ("007", "7"),
        ("TRUE", "True"),
        ("P-1", "P_1"),
        ("P 01", "p1"),
        ("José", "Jose"),
    ],
)
def test_look_alikes_are_named(tmp_path: Path, one: str, other: str) -> None:
    rows = "".join(
        f"{i}{name}.jpg,{label},{i}\n" for i in range(3) for name, label in (("a", one), ("b", other))
    )
    findings = check(read_cohort(written(tmp_path, "photo,label,patient\n" + rows)))
    alike = [finding.message for finding in findings if "differ only in" in finding.message]
    assert len(alike) == 1
    assert all(repr(name) in alike[0] for name in (one, other))
    assert f"{one!r} (row 2, row 4, row 6) and {other!r} (row 3, row 5, row 7)" in alike[0]
    patients = f"photo,label,patient\na.jpg,A,{one}\nb.jpg,A,{other}\nc.jpg,B,x\n"
    findings = check(read_cohort(written(tmp_path, patients)))
    assert [finding.category for finding in findings if "differ only in" in finding.message] == ["patient"]


def test_two_spellings_of_an_accent_are_one_patient(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "José") for form in ("NFC", "NFD")]
    text = "photo,label,patient\n" + "".join(f"{i}.jpg,{name},{name}\n" for i, name in enumerate(names))
    cases = read_cohort(written(tmp_path, text)).cases
    assert len({case.patient for case in cases}) == len({case.label for case in cases}) == 1


@pytest.mark.parametrize(("one", "other"), [("1-2", "12"), ("1.0.0", "1.0"), ("й", "и"), ("p1", "p2")])
def test_names_that_say_different_things_are_no_look_alikes(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)
    assert spelled_alike([Item("a.jpg", {"patient": one}), Item("b.jpg", {"patient": other})]) == []


def test_people_of_a_table_who_are_spelled_alike_are_named_with_their_photos() -> None:
    items = [Item("a.jpg", {"patient": "p1"}), Item("b.jpg", {"patient": "P-01"}), Item("c.jpg")]
    (sentence,) = spelled_alike(items)
    assert sentence.startswith("'p1' (a.jpg) and 'P-01' (b.jpg): these patients differ only in capitals")


@generate(some.text(some.characters(blacklist_characters="\0", blacklist_categories=("Cs",))))
def test_skeleton_is_its_own_skeleton(name: str) -> None:
    assert skeleton(skeleton(name)) == skeleton(name)


@generate(some.text(some.sampled_from('photo,;\t"\r\n ab='), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = written(Path(folder), text)
        try:
            rows = read_rows(path)
        except InputError as error:
            message = str(error)
        else:
            message = f"{path}, row 1"
            assert all(any(cell.strip() for cell in cells) for _, cells in rows)
    assert message.startswith(f"{path}, row ")


def test_names_of_files_are_written_as_a_path_writes_them(tmp_path: Path) -> None:
    for folder in ("", "sub", ".hidden"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "p.jpg").touch()
        (tmp_path / folder / "a..b.jpg").touch()
    names = [
        *(
            "p.jpg",
            "./p.jpg",
            "sub/p.jpg",
            "sub//p.jpg",
            "sub/./p.jpg",
            "sub/../p.jpg",
            ".hidden/p.jpg",
            "sub/",
        ),
        *(
            "a..b.jpg",
            "sub/a..b.jpg",
            str(tmp_path / "p.jpg"),
            f"/{tmp_path}/p.jpg",
            f"{tmp_path}//sub/p.jpg",
            ".",
        ),
    ]
    finder = Finder(tmp_path)
    assert [finder.find(name) for name in names] == [str(tmp_path / name) for name in names]
    for name in ("=a.jpg", "'=a.jpg"):  # the apostrophe is a spreadsheet's
        (tmp_path / name).touch()
    assert [finder.find(name) for name in ("=a.jpg", "'=a.jpg")] == [str(tmp_path / "=a.jpg")] * 2


def test_a_folder_is_read_once_for_all_names_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(50):
        (tmp_path / f"{i}.jpg").touch()
    spelled = []
    monkeypatch.setattr(tables, "composed", lambda text: spelled.append(text) or text)
    finder = Finder(tmp_path)
    assert finder.find("7.JPG") == str(tmp_path / "7.jpg")
    first = len(spelled)
    assert [finder.find(f"lost{i}.jpg") for i in range(50)] == [
        str(tmp_path / f"lost{i}.jpg") for i in range(50)
    ]
    assert (
        len(spelled) - first <= 6 * 50
    )  # of the names that are asked for, not of all files for each of these
