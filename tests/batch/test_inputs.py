from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from batch_tables import Table, rows_of, table_writer
from conftest import Copies, Invoke, sentence_of

from anthropo import measure_table
from anthropo.batch.inputs import Item, collect, passed_over_in
from anthropo.batch.records import passed_through
from anthropo.errors import InputError, WeightsError
from anthropo.measurement.registry import registry


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return table_writer(tmp_path)


# -------------------------------------------------------------------------------------- inputs


def test_file_is_taken_as_given() -> None:
    assert collect(["gone.jpg"]) == [Item("gone.jpg")]
    assert collect(["a.jpg", "./a.jpg", "sub//b.jpg"]) == [Item("a.jpg"), Item("sub/b.jpg")]


def test_folder_is_searched_throughout_without_hidden_files(tmp_path: Path, copies: Copies) -> None:
    wanted = copies(tmp_path, "B.PNG", "a.jpeg", "sub/deep/c.webp", "sub/d.HEIC")
    copies(tmp_path, ".hidden.png", ".thumbnails/e.png", "a.overlay.jpg", "notes.txt", "f.gif")
    (tmp_path / "folder.png").mkdir()
    assert [item.path for item in collect([str(tmp_path)])] == sorted(str(p) for p in wanted)


def test_pictures_that_are_not_read_are_told(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path, "a.png", "notes.txt")
    assert passed_over_in(tmp_path) == ""
    copies(tmp_path, "sub/IMG_1.NEF", ".hidden.gif")
    assert passed_over_in(tmp_path) == (
        f"{tmp_path}: 1 file is passed over: {Path('sub/IMG_1.NEF')} (export it as JPEG or PNG)."
    )
    copies(tmp_path, "b.gif", "c.gif", "d.jp2", "e.mov", "f.mts")
    assert passed_over_in(tmp_path) == (
        f"{tmp_path}: 6 files are passed over: b.gif, c.gif, d.jp2 and 1 more (export them as JPEG or PNG), "
        "e.mov, f.mts (videos: name them to use them)."
    )


def test_links_that_lead_nowhere_are_passed_over(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path, "a.png")
    (tmp_path / "itself.jpg").symlink_to("itself.jpg")
    (tmp_path / "ring").symlink_to("round")
    (tmp_path / "round").symlink_to("ring")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "b.png").symlink_to("a.png")
    assert [Path(item.path).name for item in collect([str(tmp_path)])] == ["a.png", "b.png"]


def test_folder_may_itself_lie_in_a_hidden_one(tmp_path: Path, copies: Copies) -> None:
    (path,) = copies(tmp_path / ".data" / "photos", "a.png")
    assert collect([str(path.parent)]) == [Item(str(path))]


def test_folder_without_photographs(tmp_path: Path) -> None:
    assert sentence_of(InputError, collect, [str(tmp_path)]) == (
        f"{tmp_path}: no photos in this folder "
        "(.avif, .bmp, .heic, .heif, .jfif, .jpe, .jpeg, .jpg, .png, .tif, .tiff, .webp)."
    )


def test_pattern(tmp_path: Path, copies: Copies) -> None:
    a, b, c = copies(tmp_path, "p1.png", "p2.png", "sub/p3.png")
    (tmp_path / "p9.png").mkdir()
    assert collect([f"{tmp_path}/p*.png"]) == [Item(str(a)), Item(str(b))]
    assert collect([f"{tmp_path}/**/p[13].png"]) == [Item(str(a)), Item(str(c))]
    assert (
        sentence_of(InputError, collect, [f"{tmp_path}/q*.png"])
        == f"{tmp_path}/q*.png: no file matches this pattern."
    )


def test_existing_file_with_brackets_is_no_pattern(tmp_path: Path, copies: Copies) -> None:
    (path, _) = copies(tmp_path, "a[1].png", "a1.png")
    assert collect([str(path)]) == [Item(str(path))]


def test_same_photo_twice_is_one(tmp_path: Path, copies: Copies) -> None:
    (path,) = copies(tmp_path, "a.png")
    assert collect([str(path), str(tmp_path), f"{tmp_path}/*.png"]) == [Item(str(path))]


@pytest.mark.parametrize("given", ["", "  "])
def test_empty_name_is_not_the_working_folder(given: str) -> None:
    message = "An empty name was given for a photo. Name a file, folder, pattern or CSV."
    assert sentence_of(InputError, collect, [given]) == message


def test_name_that_is_too_long_is_left_to_the_reader() -> None:
    assert collect(["x" * 300]) == [Item("x" * 300)]


def test_name_that_is_not_utf8(tmp_path: Path, astronaut_png: Path) -> None:
    shutil.copy(astronaut_png, os.fsencode(tmp_path) + b"/M\xfcller.png")
    message = sentence_of(InputError, collect, [str(tmp_path)])
    assert message == f"{tmp_path}/M?ller.png: the file's name is not UTF-8. Rename the file."


# ------------------------------------------------------------------------------------ csv lists


def test_table_paths_are_relative_to_it_and_columns_pass_through(table: Table) -> None:
    path = table("photo,age,sex\na.jpg,7,f\nsub/b.jpg,8,\n/data/c.jpg,9,m\n")
    assert collect([str(path)]) == [
        Item(str(path.parent / "a.jpg"), {"age": "7", "sex": "f"}),
        Item(str(path.parent / "sub/b.jpg"), {"age": "8", "sex": ""}),
        Item("/data/c.jpg", {"age": "9", "sex": "m"}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfphoto,age\na.jpg,7\n",
        b"photo,age\r\na.jpg,7\r\n",
        b"photo;age\r\na.jpg;7\r\n",
        b"photo\tage\na.jpg\t7",
        b"age,photo\n7,a.jpg\n",
        b'"photo","age"\n"a.jpg","7"\n\n',
        b" photo , age\n a.jpg , 7\n",
        b"\r\n\nphoto,age\na.jpg,7\n",
        b"photo,age\na.jpg,7\n,8\n",  # a line without a photo
    ],
)
def test_ways_to_write_a_table(table: Table, text: bytes) -> None:
    path = table(text)
    assert collect([str(path)]) == [Item(str(path.parent / "a.jpg"), {"age": "7"})]


def test_quoted_cells_may_hold_lines_and_delimiters(table: Table) -> None:
    path = table('photo,note\n"a, b.jpg","first\nsecond; ""third"""\n')
    (item,) = collect([str(path)])
    assert item == Item(str(path.parent / "a, b.jpg"), {"note": 'first\nsecond; "third"'})


def test_ragged_lines_are_read(table: Table) -> None:
    path = table("photo,age\na.jpg\nb.jpg,7,,\n")
    assert [item.columns for item in collect([str(path)])] == [{"age": ""}, {"age": "7"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo,sex,age\na.jpg,female,31,5\n", "row 2: 4 cells where the header has 3"),
        ("photo,sex,age,sex\na.jpg,female,24,male\n", "sex is a column twice"),
        ("photo,Sex\na.jpg,female\n", "Name it `sex`"),
        ("photo,Patient\na.jpg,7\n", "Name it `patient`"),
    ],
)
def test_what_would_be_misread_is_refused(table: Table, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        collect([str(table(text))])


def test_columns_named_like_results_are_all_kept() -> None:
    row = passed_through({"yaw": "9", "input_yaw": "8"})
    assert {"9", "8"} <= {str(v) for k, v in row.items() if k.startswith("input_")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"path,age\na.jpg,7\n",
            "no column `photo`; its columns are path, age. "
            "Name the column that holds the photos' paths `photo`.",
        ),
        (
            b"",
            "no column `photo`; its columns are none. Name the column that holds the photos' paths `photo`.",
        ),
        (b"photo,age\n", "the table lists no photo."),
        (b"photo,age\n,7\n", "the table lists no photo."),
        (b"photo\nM\xfcller.jpg\n", "not UTF-8 text. Save the table as CSV in UTF-8."),
        (bytes(range(256)), "not UTF-8 text. Save the table as CSV in UTF-8."),
    ],
)
def test_table_that_cannot_be_used(table: Table, text: bytes, message: str) -> None:
    path = table(text)
    assert sentence_of(InputError, collect, [str(path)]) == f"{path}: {message}"


def test_table_that_is_not_there(tmp_path: Path) -> None:
    assert sentence_of(InputError, collect, [f"{tmp_path}/gone.csv"]) == f"{tmp_path}/gone.csv: no such file."


@pytest.mark.parametrize("name", ["cohort.xls", "cohort.ods", "people.PARQUET", "points.json", "list.txt"])
def test_a_table_of_another_kind_is_no_photo(tmp_path: Path, astronaut_png: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"photo,age\nastronaut.png,31\n")
    with pytest.raises(InputError, match=r": neither a photo nor a table that can be ") as refused:
        collect([str(astronaut_png), str(path)])
    assert str(refused.value).startswith(str(path))
    assert str(refused.value).endswith("as CSV in UTF-8, or as .xlsx.")


def test_missing_photo_of_a_table_fails_alone(
    table: Table, astronaut_png: Path, tmp_path: Path, invoke: Invoke
) -> None:
    path = table(f"photo,id\n{astronaut_png},x\ngone.jpg,y\n")
    result = invoke("measure", path, "-o", tmp_path / "out.csv", "--jitter", 2)
    assert result.exit_code == 3
    assert result.stderr.splitlines()[0] == f"{tmp_path}/gone.jpg: no such file."
    good, bad = rows_of(tmp_path / "out.csv")
    assert (good["id"], good["status"]) == ("x", "ok")
    assert (bad["id"], bad["status"], bad["reason"], bad["intercanthal_width"]) == (
        *("y", "failed", f"{tmp_path}/gone.jpg: no such file.", ""),
    )


def test_column_that_has_the_name_of_a_result_is_kept_apart(table: Table, astronaut_png: Path) -> None:
    names = [
        *("status", "width", "intercanthal_width", "intercanthal_width_lo", "gate_yaw", "disputed"),
        *("intercanthal_width_mm", "mouth_width_mm_lo", "mouth_width_z_my-norm", "lbp_nose_3", "notes"),
    ]
    path = table(f"photo,{','.join(names)}\n{astronaut_png},{','.join('abcdefghijk')}\n")
    (row,) = measure_table(str(path), jitter=2, scale="ipd=63").to_dict("records")
    assert [row[f"input_{name}"] for name in names if name != "disputed"] == list("abcdeghijk")
    assert (row["disputed"], row["status"], row["width"]) == ("f", "ok", 512)
    assert 30 < row["intercanthal_width_mm"] < 40
    assert 0.3 < row["intercanthal_width_lo"] <= row["intercanthal_width"] < 0.5


# ------------------------------------------------------------------------------- measure_table


def test_measure_table(table: Table, astronaut_png: Path) -> None:
    frame = measure_table([str(table(f"photo,id\n{astronaut_png},x\ngone.jpg,y\n"))], jobs=2, jitter=2)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["id"]) == ["x", "y"]
    assert list(frame["status"]) == ["ok", "failed"]
    assert list(frame.columns[:5]) == ["photo", "face", "status", "reason", "id"]
    for name in registry():
        assert {name, f"{name}_lo", f"{name}_hi"} <= set(frame.columns)
    assert frame["intercanthal_width"].dtype == float
    assert 0.3 < frame["intercanthal_width"][0] < 0.5
    assert frame[list(registry())].iloc[1].isna().all()


def test_measure_table_of_one_path_and_by_default(astronaut_png: Path) -> None:
    frame = measure_table(str(astronaut_png))
    assert len(frame) == 1
    assert frame["diagnostics_jitter"][0] == 16


def test_measure_table_of_nothing(tmp_path: Path) -> None:
    assert sentence_of(InputError, measure_table, str(tmp_path)).startswith(
        f"{tmp_path}: no photos in this folder"
    )


def test_measure_table_with_a_missing_model(astronaut_png: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.dat: no such landmark model"):
        measure_table(str(astronaut_png), landmark_model="gone.dat")
