from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from batch_tables import FAST, SOME, Table, count_measured, rows_of, strict_json, table_writer
from conftest import Copies, Invoke, refused

from anthropo import files
from anthropo.batch import output
from anthropo.batch.inputs import Item, collect
from anthropo.batch.output import Output, as_csv
from anthropo.batch.run import measure_item
from anthropo.errors import InputError
from anthropo.measurement.registry import PIXELS, registry
from anthropo.settings import Settings


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return count_measured(monkeypatch)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return table_writer(tmp_path)


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
    tmp_path: Path, table: Table, astronaut_png: Path, invoke: Invoke
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
    tmp_path: Path, table: Table, astronaut_png: Path, invoke: Invoke, measured: list[str]
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
    assert result.stderr.splitlines()[-1] == f"{path}: 2 of 2 photos measured, 2 of them by an earlier run."
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
    assert refused(invoke, "measure", astronaut_png, "-o", path) == (
        f"Error: {partial}: not written by anthropo, which keeps an unfinished run under this name. "
        f"Move it, or write to another file than {path}.\n"
    )
    assert partial.read_bytes() == content
    assert measured == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("out.csv", b"photo,age\na.png,7\n"),
        ("out.csv", bytes(range(256))),
        ("out.csv", b"my notes\n"),
        ("out.csv", b"name,room\n"),
        ("out.json", b'{"photos": [{"photo": "a", "face": 0, "status": "ok", "reason": "\\ud800"}]}'),
        ("out.json", b'{"photos": [{"photo": "a", "face": 0, "status": "ok", "x": NaN}]}'),
        ("out.json", b"{}"),
        ("out.json", b'[{"photo": "a"}]'),
        ("out.json", b'{"photos": [{"photo": {}, "face": 0, "status": "ok"}]}'),
        ("out.json", b"half a fi"),
        ("out.parquet", b"PAR1 or not"),
    ],
)
def test_foreign_file_is_refused_and_left_alone(
    tmp_path: Path,
    astronaut_png: Path,
    invoke: Invoke,
    name: str,
    content: bytes,
    measured: list[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refused(invoke, "measure", astronaut_png, "-o", path) == (
        f"Error: {path}: exists and is not a table that anthropo wrote. Choose another name, or delete it.\n"
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
    told = refused(invoke, "measure", astronaut_png, "-o", tmp_path / name)
    assert told == f"Error: {tmp_path / name}: {message}\n"
    assert measured == []


def test_full_disk_is_one_sentence_and_keeps_what_was_there(tmp_path: Path, copies: Copies) -> None:
    copies(tmp_path / "photos", "a.png", "b.png", "c.png")
    path = tmp_path / "out.csv"
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
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


def test_known_photos_are_summed_up_by_threads(
    tmp_path: Path, copies: Copies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same photos are known by one thread and by several, and those that changed are not."""
    names = [f"{i:03}.png" for i in range(100)]
    copies(tmp_path / "photos", names[0])
    for name in names[1:]:
        shutil.copy(tmp_path / "photos" / names[0], tmp_path / "photos" / name)
    items = collect([str(tmp_path / "photos")])
    first = measure_item(items[0], FAST)
    table = Output(str(tmp_path / "out.csv"), FAST)
    for item in items[:90]:
        table.add([replace(record, photo=item.path) for record in first])
    table.close(items)
    (tmp_path / "photos" / names[7]).write_bytes(b"another")
    (tmp_path / "photos" / names[8]).unlink()
    by: set[str] = set()
    digest = output.file_sha256
    monkeypatch.setattr(
        output, "file_sha256", lambda path: by.add(threading.current_thread().name) or digest(path)
    )
    known = [i not in (7, 8) and i < 90 for i in range(100)]
    for jobs, threads in ((1, {"MainThread"}), (3, set())):
        by.clear()
        table = Output(str(tmp_path / "out.csv"), FAST)
        assert table.finished_of(items, jobs) == known
        table.release()
        assert by == threads if threads else "MainThread" not in by and 1 <= len(by) <= 3
    assert threading.active_count() == 1  # processes are forked from here


def test_another_run_keeps_what_a_killed_one_finished(tmp_path: Path, copies: Copies) -> None:
    first, second = copies(tmp_path / "photos", "a.png", "b.png")
    out = tmp_path / "out.csv"
    Output(str(out), FAST).add(measure_item(Item(str(first)), FAST))  # and then it is killed
    later = Output(str(out), FAST)
    later.add(measure_item(Item(str(second)), FAST))
    later.close([Item(str(second))])
    with open(out, newline="") as file:
        assert {row["photo"] for row in csv.DictReader(file)} == {str(first), str(second)}


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_any_number_of_jobs_gives_the_same_table(
    tmp_path: Path, both: Path, copies: Copies, two_faces_png: Path, invoke: Invoke, suffix: str
) -> None:
    copies(both, *(f"c{i}.png" for i in range(4)))
    shutil.copy(two_faces_png, both / "d.png")
    written = []
    for jobs in (1, 2, 5):
        path = tmp_path / f"{jobs}.{suffix}"
        quick = ("--jitter", 2, "--no-fine", "-j", jobs)
        assert invoke("measure", both, "-o", path, "--face", "all", *quick).exit_code == 3
        written.append(path.read_bytes())
    assert written[0] == written[1] == written[2]


def test_csv_of_records_is_the_csv_of_the_file(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    records = measure_item(Item(str(astronaut_png)), FAST)
    assert invoke("measure", astronaut_png, "-o", tmp_path / "a.csv", "--jitter", 2).exit_code == 0
    written = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert as_csv(records) == written
    assert len(list(csv.reader(io.StringIO(as_csv(records))))) == 2


def test_second_run_keeps_permissions_and_links(tmp_path: Path, astronaut_png: Path, invoke: Invoke) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    assert invoke("measure", astronaut_png, "-o", real, "--jitter", 2).exit_code == 0
    real.chmod(0o600)
    link.symlink_to(real)
    assert invoke("measure", astronaut_png, "-o", link, "--jitter", 4).exit_code == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert rows_of(real)[0]["diagnostics_jitter"] == "4"


# ------------------------------------------------------------------------ strangers' and users' tables


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
@pytest.mark.parametrize("again", [(), ("--jitter", 4)])
def test_columns_that_a_user_has_added_are_kept(
    tmp_path: Path, copies: Copies, invoke: Invoke, suffix: str, again: tuple[str, ...]
) -> None:
    copies(tmp_path / "photos", "a.png", "b.png")
    path = tmp_path / f"r.{suffix}"
    assert invoke("measure", tmp_path / "photos", "-o", path, "--jitter", 2).exit_code == 0
    if suffix == "json":
        document = json.loads(path.read_text())
        for i, row in enumerate(document["photos"]):
            row["columns"]["note"] = row["mine"] = f"seen {i}"
        path.write_text(json.dumps(document))
    else:
        frame = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
        frame = frame.copy()  # in one piece
        frame["note"] = [f"seen {i}" for i in range(2)]
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    copies(tmp_path / "photos", "c.png")
    assert invoke("measure", tmp_path / "photos", "-o", path, "--jitter", 2, *again).exit_code == 0
    if suffix == "json":
        rows = json.loads(path.read_text())["photos"]
        assert [row.get("mine") for row in rows] == ["seen 0", "seen 1", None]
        notes = [row["columns"].get("note") for row in rows]
    else:
        notes = list((pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path))["note"])
    assert notes[:2] == ["seen 0", "seen 1"]
    assert pd.isna(notes[2])


def test_columns_of_several_types_are_text_in_parquet(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    """Found by the fuzzer: the run ended with a traceback when all was measured."""
    copies(tmp_path / "photos", "a.png")
    path = tmp_path / "r.parquet"
    assert invoke("measure", tmp_path / "photos", "-o", path, "--jitter", 2).exit_code == 0
    frame = pd.read_parquet(path)
    frame["intercanthal_width"] = ["about 3"]
    frame.to_parquet(path)
    copies(tmp_path / "photos", "b.png")
    assert invoke("measure", tmp_path / "photos", "-o", path, "--jitter", 2).exit_code == 0
    kept = pd.read_parquet(path)
    assert kept["intercanthal_width"][0] == "about 3"
    assert float(kept["intercanthal_width"][1]) > 0
    assert kept["interbrow_distance"].dtype == "float64"


def test_table_that_a_spreadsheet_or_r_saved_again_is_continued(
    tmp_path: Path, copies: Copies, invoke: Invoke, measured: list[str]
) -> None:
    copies(tmp_path / "photos", "a.png")
    path = tmp_path / "r.csv"
    arguments = ("measure", tmp_path / "photos", "-o", path, "--jitter", 2)
    assert invoke(*arguments).exit_code == 0
    original, texts = path.read_bytes(), list(csv.reader(io.StringIO(path.read_text())))
    header, row = texts
    comma = [cell.replace(".", ",") if re.fullmatch(r"-?\d+\.\d+", cell) else cell for cell in row]
    excel = "sep=;\r\n" + "".join(";".join(f'"{c}"' for c in line) + "\r\n" for line in (header, comma))
    by_r = "".join(
        ",".join([f'"{name}"', *(f'"{c or "NA"}"' for c in line)]) + "\n"
        for name, line in (("", header), ("1", row))
    )
    for again in (excel, by_r):
        path.write_text(again)
        assert invoke(*arguments).exit_code == 0
        assert path.read_bytes() == original
    assert len(measured) == 1


FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "'=1"]


def test_formulas_of_strangers_are_words_in_a_table(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    names = ("=a.png", "b.png", "c.png", "d.png", "e.png", "f.png")
    copies(tmp_path, *names)
    text = "photo,@note,number\n"
    for photo, cell in zip(names, FORMULAS, strict=True):
        text += f'{photo},"{cell}",-0.5\n'
    (tmp_path / "t.csv").write_text(text)
    safe, raw = tmp_path / "safe.csv", tmp_path / "raw.csv"
    assert invoke("measure", tmp_path / "t.csv", "-o", safe, "--jitter", 1, "--no-fine").exit_code == 0
    assert (
        invoke("measure", tmp_path / "t.csv", "-o", raw, "--jitter", 1, "--no-fine", "--raw").exit_code == 0
    )
    header, *rows = csv.reader(io.StringIO(safe.read_text()))
    number = re.compile(r"-?[\d.]+(e-?\d+)?")
    for cell in (*header, *(cell for row in rows for cell in row)):
        assert cell[:1] not in "=+-@\t\r" or not cell or number.fullmatch(cell)
    stripped = [cell.strip() for cell in FORMULAS]
    assert [row["@note"] for row in rows_of(raw)] == stripped
    assert [row["'@note"] for row in rows_of(safe)] == [f"'{cell}" for cell in stripped]
    before = safe.read_bytes()
    assert invoke("measure", tmp_path / "t.csv", "-o", safe, "--jitter", 1, "--no-fine").exit_code == 0
    assert safe.read_bytes() == before


def test_two_runs_cannot_write_one_table(tmp_path: Path) -> None:
    first = Output(str(tmp_path / "r.csv"), FAST)
    with pytest.raises(InputError, match=r"another run is writing this file. Wait for it"):
        Output(str(tmp_path / "r.csv"), FAST)
    first.close([])
    Output(str(tmp_path / "r.csv"), FAST).release()
    assert not list(tmp_path.glob(".*"))


def test_rows_of_runs_that_start_together_are_all_there(tmp_path: Path, copies: Copies) -> None:
    """Whoever comes second waits or is refused; nobody's rows get lost."""
    photos = copies(tmp_path / "photos", *(f"{i}.png" for i in range(6)))
    path = tmp_path / "r.csv"
    record = measure_item(Item(str(photos[0])), FAST)[0]
    start = threading.Barrier(len(photos))

    def one(photo: Path) -> None:
        start.wait()
        while True:
            try:
                table = Output(str(path), FAST)
            except InputError:
                continue
            table.add([replace(record, photo=str(photo))])
            table.close([Item(str(photo))])
            return

    with ThreadPoolExecutor(len(photos)) as pool:
        list(pool.map(one, photos))
    assert sorted(row["photo"] for row in rows_of(path)) == sorted(map(str, photos))


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    """A temporary file of a process that is no more, not one of a process that still writes."""
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    names = [files._temporary(pid) + "-1.tmp" for pid in (dead.stdout.strip(), os.getpid())]
    for name in names:
        (tmp_path / name).touch()
    files._sweep.cache_clear()
    files.write_atomically(tmp_path / ("x" * 235 + ".csv"), b"data")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([names[1], "x" * 235 + ".csv"])
