"""Measuring by processes: the same bytes, and nothing lost"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from batch_tables import FAST, rows_of
from conftest import Copies, Invoke
from deadly import Deadly, DeadlyEncoder
from interrupting import MANY, SLOWLY, interrupt, started

from anthropo.batch.beside import LandmarkFiles
from anthropo.batch.inputs import Item
from anthropo.batch.output import Output
from anthropo.encoder.encoders import load_encoder
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.features import extract
from anthropo.parallel import Processes, Runner, Threads
from anthropo.report.figures import Overlays
from anthropo.report.measure import Page
from anthropo.workflows.measuring import measure_items

RUNNERS = (Threads(1), Threads(2), Processes(2))
#: The command, by processes however few photos there are.
BY_PROCESSES = f"""
from anthropo.parallel import runner
runner.ENOUGH = 2
{SLOWLY}
"""
QUICK = ("--jitter", 2, "--no-fine")


@pytest.fixture
def items(tmp_path: Path, copies: Copies, faceless_png: Path, two_faces_png: Path) -> list[Item]:
    paths = copies(tmp_path / "photos", "a.png", "b.png", "c.png", "d.png")
    columns = {"sex": "female", "age": "31", "site": "Zürich"}
    found = [Item(str(path), columns) for path in (*paths, faceless_png, two_faces_png)]
    return [*found, Item(str(tmp_path / "gone.jpg")), Item(str(paths[0]), {"site": "again"})]


@pytest.fixture
def many(tmp_path: Path, copies: Copies) -> Path:
    copies(tmp_path / "photos", *(f"{i:02}.png" for i in range(MANY)))
    return tmp_path / "photos"


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_a_table_has_the_same_bytes_whoever_works(tmp_path: Path, items: list[Item], suffix: str) -> None:
    tables = []
    for i, runner in enumerate(RUNNERS):
        path = tmp_path / f"{i}{suffix}"
        measured = measure_items(items, FAST, runner=runner, table=Output(str(path), FAST))
        assert (measured.total, measured.finished, len(measured.reasons)) == (7, 7, 3)
        tables.append(path.read_bytes())
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) > 1000


def test_features_are_the_same_whoever_works(items: list[Item]) -> None:
    cases = tuple(Case(item.path, "a", str(i)) for i, item in enumerate(items[:-1]))
    encoder = load_encoder()
    found = [
        extract(Cohort(cases, "cohort"), FAST, encoder, regions=("face", "eyes"), runner=runner)
        for runner in RUNNERS
    ]
    for features in found:
        assert len(features) == 4
        assert features.left_out == found[0].left_out
        assert len(features.left_out) == 3
        for name in ("measurements", "prints", "shapes", "portraits", "gate", "hidden", "identities"):
            assert getattr(features, name).tobytes() == getattr(found[0], name).tobytes()
        for region in ("face", "eyes"):
            assert features.regions[region].tobytes() == found[0].regions[region].tobytes()


@pytest.mark.parametrize("runner", RUNNERS)
def test_what_is_beside_a_table_is_written_whoever_works(
    tmp_path: Path, items: list[Item], runner: Runner
) -> None:
    page = Page(tmp_path / "page.html", FAST)
    folders = tmp_path / "overlays", tmp_path / "landmarks"
    beside = [page, Overlays(str(folders[0])), LandmarkFiles(str(folders[1]), items, FAST)]
    measured = measure_items(items[:4], FAST, runner=runner, beside=beside)
    page.write(measured.listed)
    assert page.path.read_text().count("data:image/jpeg;base64,") >= 4
    assert [len(list(folder.iterdir())) for folder in folders] == [4, 4]


def test_a_photo_that_ends_its_process_has_a_row_with_the_reason(tmp_path: Path, items: list[Item]) -> None:
    path = tmp_path / "table.csv"
    table = Output(str(path), FAST)
    measured = measure_items(items[:4], FAST, runner=Processes(2), table=table, beside=[Deadly("b.png")])
    why = (
        f"{items[1].path}: the process that worked on it was killed (SIGKILL), twice. Use fewer jobs if "
        "memory is short, or leave the photo out."
    )
    assert measured.reasons == [why]
    rows = rows_of(path)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "ok"]
    assert rows[1]["reason"] == why
    assert rows[1]["diagnostics_settings"] == rows[0]["diagnostics_settings"]


def test_a_lost_photo_is_measured_by_the_next_run(tmp_path: Path, items: list[Item]) -> None:
    path = tmp_path / "table.csv"
    for beside in ([Deadly("b.png")], []):
        table = Output(str(path), FAST)
        measure_items(items[:4], FAST, runner=Processes(2), table=table, beside=beside)
    assert [row["status"] for row in rows_of(path)] == ["ok"] * 4


def test_a_photo_that_ends_its_process_is_left_out_of_features(items: list[Item]) -> None:
    cases = tuple(Case(item.path, "a", str(i)) for i, item in enumerate(items[:4]))
    encoder: Any = DeadlyEncoder("b.png")
    features = extract(Cohort(cases, "cohort"), FAST, encoder, regions=("face",), runner=Processes(2))
    assert len(features) == 3
    ((photo, reason),) = features.left_out
    assert photo == items[1].path
    assert "was killed (SIGKILL), twice" in reason


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_processes_keep_finished_photos(
    tmp_path: Path,
    many: Path,
    number: signal.Signals,
) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    process = started(["measure", many, "-o", path, "-j", 2, *QUICK], partial, program=BY_PROCESSES)
    interrupt(process, number, path)
    assert not partial.exists()


def test_a_killed_run_by_processes_is_continued(
    tmp_path: Path,
    many: Path,
    invoke: Invoke,
) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    process = started(["measure", many, "-o", path, "-j", 2, *QUICK], partial, program=BY_PROCESSES)
    process.kill()
    process.communicate()
    finished = partial.read_bytes().count(b"\n")
    assert 2 <= finished < MANY
    result = invoke("measure", many, "-o", path, "-j", 2, *QUICK)
    assert result.exit_code == 0
    assert f"{finished} of them by an earlier run" in result.stderr
    assert len(rows_of(path)) == MANY


def test_ctrl_c_of_a_terminal_reaches_the_main_process_alone(tmp_path: Path, many: Path) -> None:
    """A terminal sends it to the whole group of processes."""
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    process = started(
        ["measure", many, "-o", path, "-j", 2, *QUICK], partial, program=BY_PROCESSES, group=True
    )
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted" in err
    assert all(row["status"] == "ok" for row in rows_of(path))


@pytest.mark.parametrize("jobs", ["0", "10000"])
def test_jobs_beyond_what_there_can_be_are_refused_in_a_sentence(
    astronaut_png: Path, invoke: Invoke, jobs: str
) -> None:
    result = invoke("measure", astronaut_png, "-j", jobs)
    assert result.exit_code == 2
    assert f"{jobs} is not in the range 1<=x<=1024" in result.stderr


COPIED = """
from anthropo.cli import main
from anthropo.parallel import processes, runner
runner.ENOUGH = 2
def refused(*_):
    raise AssertionError("a program was started")
processes._Pool._program = refused
main()
"""


def test_the_command_line_s_process_is_copied(tmp_path: Path, copies: Copies) -> None:
    """It has loaded everything, and has one thread."""
    folder = copies(tmp_path / "photos", *(f"{i}.png" for i in range(5)))[0].parent
    done = subprocess.run(
        [sys.executable, "-c", COPIED, "measure", folder, "-o", tmp_path / "out.csv", "-j", "2"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "5 of 5 photos measured" in done.stderr
    assert len({row["intercanthal_width"] for row in rows_of(tmp_path / "out.csv")}) == 1
