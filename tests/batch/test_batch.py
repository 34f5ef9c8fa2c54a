from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from anthropo import measure_table
from anthropo.batch import run as run_module
from anthropo.batch.inputs import Item, collect
from anthropo.batch.output import Output, as_csv
from anthropo.batch.records import Record, passed_through
from anthropo.batch.run import measure_item, run
from anthropo.errors import InputError, WeightsError
from anthropo.measurement.registry import PIXELS, registry
from anthropo.settings import Settings
from conftest import Copies, Invoke

FAST = Settings(jitter=2)
SOME = ("photo", "face", "status", "reason", "yaw", "intercanthal_width", "diagnostics_sha256")


def error_of(call: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def strict_json(path: Path) -> dict[str, Any]:
    """Refuses NaN and Infinity, which JSON does not have."""

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return document


def rows_of(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        return [Record.from_json(record).to_row() for record in strict_json(path)["photos"]]
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pd.read_parquet(path).to_dict("records")
        return rows
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the photos that are really measured from here on."""
    seen: list[str] = []

    def counting(item: Item, *arguments: Any) -> list[Record]:
        seen.append(item.path)
        return measure_item(item, *arguments)

    monkeypatch.setattr(run_module, "measure_item", counting)
    return seen


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "cohort.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


# -------------------------------------------------------------------------------------- inputs


def test_file_is_taken_as_given() -> None:
    assert collect(["gone.jpg"]) == [Item("gone.jpg")]
    assert collect(["a.jpg", "./a.jpg", "sub//b.jpg"]) == [Item("a.jpg"), Item("sub/b.jpg")]


def test_folder_is_searched_throughout_without_hidden_files(tmp_path: Path, copies: Copies) -> None:
    wanted = copies(tmp_path, "B.PNG", "a.jpeg", "sub/deep/c.webp", "sub/d.HEIC")
    copies(tmp_path, ".hidden.png", ".thumbnails/e.png", "a.overlay.jpg", "notes.txt", "f.gif")
    (tmp_path / "folder.png").mkdir()
    assert [item.path for item in collect([str(tmp_path)])] == sorted(str(p) for p in wanted)


def test_folder_may_itself_lie_in_a_hidden_one(tmp_path: Path, copies: Copies) -> None:
    (path,) = copies(tmp_path / ".data" / "photos", "a.png")
    assert collect([str(path.parent)]) == [Item(str(path))]


def test_folder_without_photographs(tmp_path: Path) -> None:
    assert error_of(collect, [str(tmp_path)]) == (
        f"{tmp_path}: no photographs in this folder "
        "(.bmp, .heic, .heif, .jpe, .jpeg, .jpg, .png, .tif, .tiff, .webp)."
    )


def test_pattern(tmp_path: Path, copies: Copies) -> None:
    a, b, c = copies(tmp_path, "p1.png", "p2.png", "sub/p3.png")
    (tmp_path / "p9.png").mkdir()
    assert collect([f"{tmp_path}/p*.png"]) == [Item(str(a)), Item(str(b))]
    assert collect([f"{tmp_path}/**/p[13].png"]) == [Item(str(a)), Item(str(c))]
    assert error_of(collect, [f"{tmp_path}/q*.png"]) == f"{tmp_path}/q*.png: no file matches this pattern."


def test_existing_file_with_brackets_is_no_pattern(tmp_path: Path, copies: Copies) -> None:
    (path, _) = copies(tmp_path, "a[1].png", "a1.png")
    assert collect([str(path)]) == [Item(str(path))]


def test_same_photo_twice_is_one(tmp_path: Path, copies: Copies) -> None:
    (path,) = copies(tmp_path, "a.png")
    assert collect([str(path), str(tmp_path), f"{tmp_path}/*.png"]) == [Item(str(path))]


@pytest.mark.parametrize("given", ["", "  "])
def test_empty_name_is_not_the_working_folder(given: str) -> None:
    message = "An empty name was given for a photo. Name a file, folder, pattern or CSV."
    assert error_of(collect, [given]) == message


def test_name_that_is_too_long_is_left_to_the_reader() -> None:
    assert collect(["x" * 300]) == [Item("x" * 300)]


def test_name_that_is_not_utf8(tmp_path: Path, astronaut_png: Path) -> None:
    shutil.copy(astronaut_png, os.fsencode(tmp_path) + b"/M\xfcller.png")
    message = error_of(collect, [str(tmp_path)])
    assert message == f"{tmp_path}/M?ller.png: the file's name is not UTF-8. Rename the file."


# ------------------------------------------------------------------------------------ csv lists


def test_table_paths_are_relative_to_it_and_columns_pass_through(table: Callable[..., Path]) -> None:
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
def test_ways_to_write_a_table(table: Callable[..., Path], text: bytes) -> None:
    path = table(text)
    assert collect([str(path)]) == [Item(str(path.parent / "a.jpg"), {"age": "7"})]


def test_quoted_cells_may_hold_lines_and_delimiters(table: Callable[..., Path]) -> None:
    path = table('photo,note\n"a, b.jpg","first\nsecond; ""third"""\n')
    (item,) = collect([str(path)])
    assert item == Item(str(path.parent / "a, b.jpg"), {"note": 'first\nsecond; "third"'})


def test_ragged_lines_are_read(table: Callable[..., Path]) -> None:
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
def test_what_would_be_misread_is_refused(table: Callable[..., Path], text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        collect([str(table(text))])


def test_another_run_keeps_what_a_killed_one_finished(tmp_path: Path, copies: Copies) -> None:
    first, second = copies(tmp_path / "photos", "a.png", "b.png")
    out = tmp_path / "out.csv"
    Output(str(out), FAST).add(measure_item(Item(str(first)), FAST))  # and then it is killed
    later = Output(str(out), FAST)
    later.add(measure_item(Item(str(second)), FAST))
    later.close([Item(str(second))])
    with open(out, newline="") as file:
        assert {row["photo"] for row in csv.DictReader(file)} == {str(first), str(second)}


def test_columns_named_like_results_are_all_kept() -> None:
    row = passed_through({"yaw": "9", "input_yaw": "8"})
    assert {"9", "8"} <= {str(v) for k, v in row.items() if k.startswith("input_")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"path,age\na.jpg,7\n",
            "no column `photo`; its columns are path, age. "
            "Name the column that holds the photographs' paths `photo`.",
        ),
        (
            b"",
            "no column `photo`; its columns are none. "
            "Name the column that holds the photographs' paths `photo`.",
        ),
        (b"photo,age\n", "the table lists no photograph."),
        (b"photo,age\n,7\n", "the table lists no photograph."),
        (b"photo\nM\xfcller.jpg\n", "not UTF-8 text. Save the table as CSV in UTF-8."),
        (bytes(range(256)), "not UTF-8 text. Save the table as CSV in UTF-8."),
        ("photo\na.jpg\n".encode("utf-16"), "not UTF-8 text. Save the table as CSV in UTF-8."),
        (
            b"photo\n" + b"x" * 200_000,
            "not a readable CSV (field larger than field limit (131072)).",
        ),
    ],
)
def test_table_that_cannot_be_used(table: Callable[..., Path], text: bytes, message: str) -> None:
    path = table(text)
    assert error_of(collect, [str(path)]) == f"{path}: {message}"


def test_table_that_is_not_there(tmp_path: Path) -> None:
    assert error_of(collect, [f"{tmp_path}/gone.csv"]) == f"{tmp_path}/gone.csv: no such file."


def test_missing_photo_of_a_table_fails_alone(
    table: Callable[..., Path], astronaut_png: Path, tmp_path: Path, invoke: Invoke
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


def test_column_that_has_the_name_of_a_result_is_kept_apart(
    table: Callable[..., Path], astronaut_png: Path
) -> None:
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


# -------------------------------------------------------------------------------------- output


@pytest.fixture
def both(tmp_path: Path, copies: Copies) -> Path:
    """A folder with a photo that can be measured and one that cannot."""
    folder = tmp_path / "photos"
    copies(folder, "a.png")
    (folder / "b.png").write_text("no photograph")
    return folder


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_tables_hold_the_same_and_a_second_run_changes_nothing(
    tmp_path: Path, both: Path, invoke: Invoke, suffix: str, measured: list[str]
) -> None:
    path = tmp_path / f"out.{suffix}"
    arguments = ("measure", both, "-o", path, "--jitter", 2)
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1] == f"{path}: 1 of 2 photos measured, 1 failed."
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob(".*"))
    good, bad = rows_of(path)
    expected = measure_item(Item(str(both / "a.png")), FAST)[0].to_row()
    assert list(good) == list(expected)
    for name in SOME:
        assert str(good[name]) == str(expected[name])
    assert (bad["status"], bad["reason"].partition(":")[0]) == ("failed", str(both / "b.png"))
    for name in registry():
        assert bad[name] in ("", None) or pd.isna(bad[name])

    before = path.read_bytes()
    del measured[:]
    result = invoke(*arguments)
    assert measured == [str(both / "b.png")]  # only what failed is tried again
    assert result.stderr.splitlines()[-1] == (
        f"{path}: 1 of 2 photos measured, 1 of them by an earlier run, 1 failed."
    )
    if suffix != "parquet":
        assert path.read_bytes() == before
    pd.testing.assert_frame_equal(
        *(pd.DataFrame([{k: str(r[k]) for k in SOME} for r in rows]) for rows in (rows_of(path), [good, bad]))
    )


def test_columns_keep_their_order_on_a_second_run(
    tmp_path: Path, table: Callable[..., Path], astronaut_png: Path, invoke: Invoke
) -> None:
    arguments = ("measure", table(f"photo,visit\n{astronaut_png},7\n"), "-o", tmp_path / "out.csv")
    assert invoke(*arguments, "--jitter", 2).exit_code == 0
    before = (tmp_path / "out.csv").read_text()
    assert before.startswith("photo,face,status,reason,visit,width,height,")
    assert invoke(*arguments, "--jitter", 2).exit_code == 0
    assert (tmp_path / "out.csv").read_text() == before


def test_json_has_no_nan_even_without_a_spread(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    path = tmp_path / "out.json"
    assert invoke("measure", astronaut_png, "-o", path, "--jitter", 1, "--face", "largest").exit_code == 0
    (record,) = strict_json(path)["photos"]
    assert record["landmark_sd"] == [[None, None]] * 68
    assert len(record["measurements"]) == len(registry())
    for name, m in record["measurements"].items():
        assert (m["value"] is None) == (m["lo"] is None) or registry()[name].kind in PIXELS
        assert m["value"] is not None or m["reason"]


def test_changed_photo_and_changed_settings_are_done_again(
    tmp_path: Path, copies: Copies, invoke: Invoke, measured: list[str], two_faces_png: Path
) -> None:
    a, b = copies(tmp_path, "a.png", "b.png")
    path = tmp_path / "out.csv"
    arguments = ("measure", a, b, "-o", path, "--jitter")
    assert invoke(*arguments, 2).exit_code == 0
    assert sorted(measured) == [str(a), str(b)]

    del measured[:]
    assert invoke(*arguments, 2).exit_code == 0
    assert measured == []

    a.write_bytes(a.read_bytes() + b"changed")
    assert invoke(*arguments, 2).exit_code == 0
    assert measured == [str(a)]

    del measured[:]
    assert invoke(*arguments, 6).exit_code == 0
    assert sorted(measured) == [str(a), str(b)]
    assert [row["diagnostics_jitter"] for row in rows_of(path)] == ["6", "6"]

    del measured[:]
    assert invoke(*arguments, 6, "--face", "largest").exit_code == 0
    assert sorted(measured) == [str(a), str(b)]

    del measured[:]
    b.unlink()  # a photo that is gone is not silently taken from the table
    assert invoke(*arguments, 6, "--face", "largest").exit_code == 3
    assert measured == [str(b)]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_rows_of_other_photos_are_kept(
    tmp_path: Path, copies: Copies, invoke: Invoke, suffix: str, measured: list[str]
) -> None:
    a, b = copies(tmp_path, "a.png", "b.png")
    path = tmp_path / f"out.{suffix}"
    assert invoke("measure", b, "-o", path, "--jitter", 2).exit_code == 0
    assert invoke("measure", a, "-o", path, "--jitter", 2).exit_code == 0
    assert [row["photo"] for row in rows_of(path)] == [str(a), str(b)]
    assert invoke("measure", b, a, "-o", path, "--jitter", 2).exit_code == 0
    assert [row["photo"] for row in rows_of(path)] == [str(b), str(a)]
    assert measured == [str(b), str(a)]
    assert len({str(row["intercanthal_width"]) for row in rows_of(path)}) == 1


def test_photo_listed_with_different_columns_has_a_row_of_each(
    tmp_path: Path, table: Callable[..., Path], astronaut_png: Path, invoke: Invoke, measured: list[str]
) -> None:
    path = tmp_path / "out.csv"
    cohort = table(f"photo,visit\n{astronaut_png},1\n{astronaut_png},2\n")
    for _ in range(3):  # the rows must not multiply
        assert invoke("measure", cohort, "-o", path, "--jitter", 2).exit_code == 0
        assert [row["visit"] for row in rows_of(path)] == ["1", "2"]
    assert len(measured) == 1


def test_all_faces_are_kept_by_a_second_run(
    tmp_path: Path, two_faces_png: Path, invoke: Invoke, measured: list[str]
) -> None:
    path = tmp_path / "out.csv"
    for _ in range(2):
        assert invoke("measure", two_faces_png, "-o", path, "--jitter", 2, "--face", "all").exit_code == 0
        assert [row["face"] for row in rows_of(path)] == ["0", "1"]
    assert len(measured) == 1


def journal(path: Path, photos: list[Path]) -> bytes:
    """What a run that was killed after `photos` leaves."""
    output = Output(str(path), FAST)
    for photo in photos:
        output.add(measure_item(Item(str(photo)), FAST))
    return Path(f"{path}.partial").read_bytes()


@pytest.mark.parametrize("tail", [b"", b'[{"photo": "half', b"[", '[{"photo": "Mü'.encode()[:-1]])
def test_partial_file_of_a_killed_run_is_used(
    tmp_path: Path, copies: Copies, invoke: Invoke, measured: list[str], tail: bytes
) -> None:
    a, b = copies(tmp_path, "Müller\u2028.png", "b.png")
    path = tmp_path / "out.csv"
    Path(f"{path}.partial").write_bytes(journal(path, [a]) + tail)
    # this run is killed as well: what it adds must not be lost behind the half line
    Output(str(path), FAST).add(measure_item(Item(str(b)), FAST))
    del measured[:]
    result = invoke("measure", a, b, "-o", path, "--jitter", 2)
    assert (result.exit_code, measured) == (0, [])
    assert result.stderr == f"{path}: 2 of 2 photos measured, 2 of them by an earlier run.\n"
    assert [row["photo"] for row in rows_of(path)] == [str(a), str(b)]
    assert not Path(f"{path}.partial").exists()


def test_partial_file_with_nothing_but_a_half_line_is_used(tmp_path: Path, astronaut_png: Path) -> None:
    path = tmp_path / "out.csv"
    for tail in (b"", b"[", b'[{"photo": "x'):
        Path(f"{path}.partial").write_bytes(tail)
        Output(str(path), FAST).add(measure_item(Item(str(astronaut_png)), FAST))
        assert Output(str(path), FAST).finished(Item(str(astronaut_png)))


def test_partial_file_of_other_settings_is_not_used(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke, measured: list[str]
) -> None:
    path = tmp_path / "out.csv"
    journal(path, [astronaut_png])
    assert invoke("measure", astronaut_png, "-o", path, "--jitter", 6).exit_code == 0
    assert measured == [str(astronaut_png)]
    assert [row["diagnostics_jitter"] for row in rows_of(path)] == ["6"]


@pytest.mark.parametrize("content", [b"my notes\n", bytes(range(256)), b'{"photo": "a"}\n', b"[1, 2]\n"])
def test_foreign_partial_file_is_refused_and_left_alone(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke, content: bytes, measured: list[str]
) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    partial.write_bytes(content)
    result = invoke("measure", astronaut_png, "-o", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error: {partial}: not written by anthropo, which keeps an unfinished run under this name. "
        f"Move it, or write to another file than {path}.\n"
    )
    assert partial.read_bytes() == content
    assert measured == []


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("out.csv", b"photo,age\na.png,7\n", "KeyError"),
        ("out.csv", bytes(range(256)), "UnicodeDecodeError"),
        ("out.json", b"{}", "KeyError"),
        ("out.json", b'[{"photo": "a"}]', "TypeError"),
        ("out.json", b'{"photos": [{"photo": {}, "face": 0, "status": "ok"}]}', "TypeError"),
        ("out.json", b"half a fi", "JSONDecodeError"),
        ("out.parquet", b"PAR1 or not", "ArrowInvalid"),
    ],
)
def test_foreign_file_is_refused_and_left_alone(
    tmp_path: Path,
    astronaut_png: Path,
    invoke: Invoke,
    name: str,
    content: bytes,
    kind: str,
    measured: list[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = invoke("measure", astronaut_png, "-o", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error: {path}: exists and is not a table that anthropo wrote ({kind}). "
        "Choose another name, or delete it.\n"
    )
    assert path.read_bytes() == content
    assert measured == []
    assert not Path(f"{path}.partial").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "gone/out.csv",
            "cannot be written (No such file or directory). "
            "Choose a folder that exists and that you may write to.",
        ),
        ("folder.csv", "a folder, not a file. Give the name of a file to write."),
        ("folder", "a folder, not a file. Give the name of a file to write."),
        (
            "out.xlsx",
            "unknown kind of output. Use a name that ends in .csv, .parquet, .json or .html.",
        ),
        ("out", "unknown kind of output. Use a name that ends in .csv, .parquet, .json or .html."),
        (
            "x" * 300 + ".csv",
            "cannot be written (File name too long). Choose a folder that exists and that you may write to.",
        ),
        ("gone/out.html", "cannot be written. Name a file in a folder that exists."),
        ("folder.html", "cannot be written. Name a file in a folder that exists."),
    ],
)
def test_output_that_cannot_be_is_refused_before_any_work(
    tmp_path: Path, astronaut_png: Path, invoke: Invoke, name: str, message: str, measured: list[str]
) -> None:
    for folder in ("folder.csv", "folder.html", "folder"):
        (tmp_path / folder).mkdir()
    result = invoke("measure", astronaut_png, "-o", tmp_path / name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {tmp_path / name}: {message}\n"
    assert measured == []


def test_full_disk_is_one_sentence_and_keeps_what_was_there(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path / "photos", "a.png", "b.png", "c.png")
    path = tmp_path / "out.csv"
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
        "sys.argv = ['anthropo', *sys.argv[1:]]; from anthropo.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "measure", tmp_path / "photos", "-o", path, "-j", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: {path}: cannot be written (File too large). Finished photos are kept in {path}.partial; "
        "make room and run the same command to continue.\n"
    )
    assert not path.exists()
    output = Output(str(path), Settings())
    finished = [output.finished(item) for item in collect([str(tmp_path / "photos")])]
    assert (finished[0], finished[-1]) == (True, False)


# -------------------------------------------------------------------------------- interruptions

MANY = 60


@pytest.fixture
def many(tmp_path: Path, copies: Copies) -> Path:
    copies(tmp_path / "photos", *(f"{i:02}.png" for i in range(MANY)))
    return tmp_path / "photos"


def started(arguments: list[object], partial: Path, *, ignore_sigint: bool = False) -> subprocess.Popen[str]:
    """The command in a process of its own, with at least two photos finished."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-c", "from anthropo.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ignore if ignore_sigint else None,
    )
    until = time.monotonic() + 30
    while not partial.exists() or partial.read_bytes().count(b"\n") < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_run_is_continued(
    tmp_path: Path, many: Path, invoke: Invoke, measured: list[str], jobs: int
) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    arguments = ["measure", many, "-o", path, "-j", jobs, "--jitter", 256]
    process = started(arguments, partial)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not path.exists()
    finished = partial.read_bytes().count(b"\n")
    assert 2 <= finished < MANY

    result = invoke(*arguments)
    assert result.exit_code == 0
    assert len(measured) == MANY - finished
    assert result.stderr == (
        f"{path}: {MANY} of {MANY} photos measured, {finished} of them by an earlier run.\n"
    )
    rows = rows_of(path)
    assert [Path(row["photo"]).name for row in rows] == [f"{i:02}.png" for i in range(MANY)]
    assert len({row["intercanthal_width"] for row in rows}) == 1
    assert not partial.exists()


@pytest.mark.parametrize(
    ("number", "jobs", "ignore_sigint"),
    [
        (signal.SIGINT, 1, False),
        (signal.SIGINT, 2, False),
        (signal.SIGTERM, 2, False),
        (signal.SIGTERM, 1, True),
    ],
)
def test_interrupted_run_keeps_finished_photos(
    tmp_path: Path, many: Path, number: signal.Signals, jobs: int, ignore_sigint: bool
) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    arguments: list[object] = ["measure", many, "-o", path, "-j", jobs, "--jitter", 256]
    process = started(arguments, partial, ignore_sigint=ignore_sigint)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    rows = rows_of(path)
    assert 2 <= len(rows) < MANY
    assert all(row["status"] == "ok" for row in rows)
    assert err == (
        f"Interrupted: {len(rows)} of {MANY} photos finished and kept in {path}. "
        "Run the same command to continue.\n"
    )
    assert not partial.exists()


# ----------------------------------------------------------------------------------- run, table


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_any_number_of_jobs_gives_the_same_table(
    tmp_path: Path, both: Path, copies: Copies, two_faces_png: Path, invoke: Invoke, suffix: str
) -> None:
    copies(both, *(f"c{i}.png" for i in range(6)))
    shutil.copy(two_faces_png, both / "d.png")
    written = []
    for jobs in (1, 2, 5):
        path = tmp_path / f"{jobs}.{suffix}"
        assert invoke("measure", both, "-o", path, "-j", jobs, "--face", "all").exit_code == 3
        written.append(path.read_bytes())
    assert written[0] == written[1] == written[2]


def test_run_measures_a_photo_once(astronaut_png: Path, measured: list[str]) -> None:
    items = [Item(str(astronaut_png), {"visit": "1"}), Item(str(astronaut_png), {"visit": "2"})]
    for jobs in (1, 2):
        assert len(list(run(items, FAST, jobs))) == 1
    assert len(measured) == 2


def test_closing_the_run_starts_no_other_photo(tmp_path: Path, copies: Copies, measured: list[str]) -> None:
    items = [Item(str(p)) for p in copies(tmp_path, *(f"{i}.png" for i in range(20)))]
    for jobs in (1, 2):
        del measured[:]
        records: Iterator[list[Record]] = run(items, FAST, jobs)
        next(records)
        records.close()  # type: ignore[attr-defined]
        assert 1 <= len(measured) <= 4 * jobs


def test_memory_error_of_one_photo_is_its_reason(
    astronaut_png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(run_module, "observe_all", exhausted)
    (record,) = measure_item(Item(str(astronaut_png)), FAST)
    assert record.reason == f"{astronaut_png}: not enough memory. Use fewer jobs."


def test_measure_table(table: Callable[..., Path], astronaut_png: Path) -> None:
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
    assert error_of(measure_table, str(tmp_path)).startswith(f"{tmp_path}: no photographs in this folder")


def test_measure_table_with_a_missing_model(astronaut_png: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.dat: no such landmark model"):
        measure_table(str(astronaut_png), landmark_model="gone.dat")


def test_csv_of_records_is_the_csv_of_the_file(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    records = measure_item(Item(str(astronaut_png)), FAST)
    assert invoke("measure", astronaut_png, "-o", tmp_path / "a.csv", "--jitter", 2).exit_code == 0
    written = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert as_csv(records) == written.replace("pass --", "pass ")  # parameters as Python spells them
    assert len(list(csv.reader(io.StringIO(as_csv(records))))) == 2


def test_two_runs_do_not_write_one_table_at_once(
    tmp_path: Path, many: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    path = tmp_path / "out.csv"
    process = started(["measure", many, "-o", path, "-j", 1, "--jitter", 256], tmp_path / "out.csv.partial")
    second = invoke("measure", astronaut_png, "-o", path)
    process.kill()
    process.communicate()
    assert second.exit_code == 2
    assert "another run is writing this table" in second.stderr


def test_second_run_keeps_permissions_and_links(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    assert invoke("measure", astronaut_png, "-o", real, "--jitter", 2).exit_code == 0
    real.chmod(0o600)
    link.symlink_to(real)
    assert invoke("measure", astronaut_png, "-o", link, "--jitter", 4).exit_code == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert rows_of(real)[0]["diagnostics_jitter"] == "4"
