from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_tables import FAST, count_measured, rows_of
from conftest import Copies, Invoke
from interrupting import MANY, interrupt, started

from anthropo.batch import run as run_module
from anthropo.batch.inputs import Item
from anthropo.batch.records import Record
from anthropo.batch.run import measure_item, run

QUICK = ("--jitter", 2, "--no-fine")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return count_measured(monkeypatch)


# -------------------------------------------------------------------------------- interruptions


@pytest.fixture
def many(tmp_path: Path, copies: Copies) -> Path:
    copies(tmp_path / "photos", *(f"{i:02}.png" for i in range(MANY)))
    return tmp_path / "photos"


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_run_is_continued(
    tmp_path: Path, many: Path, invoke: Invoke, measured: list[str], jobs: int
) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    arguments = ["measure", many, "-o", path, "-j", jobs, *QUICK]
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
    last = result.stderr.splitlines()[-1]
    assert last == f"{path}: {MANY} of {MANY} photos measured, {finished} of them by an earlier run."
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
    arguments: list[object] = ["measure", many, "-o", path, "-j", jobs, *QUICK]
    process = started(arguments, partial, ignore_sigint=ignore_sigint)
    interrupt(process, number, path)
    assert not partial.exists()


STUCK = """
import time
from anthropo.parallel import threads
from anthropo.batch import run
from anthropo.cli import main

measure, threads.PATIENCE = run.measure_item, 0.5
def stuck(item, *rest):
    if item.path.endswith("03.png"):
        time.sleep(3600)
    return measure(item, *rest)
run.measure_item = stuck
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_photo_that_is_stuck_does_not_keep_an_interrupted_run(
    tmp_path: Path, many: Path, number: signal.Signals
) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    process = started(["measure", many, "-o", path, "-j", 2], partial, program=STUCK)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert len(rows_of(path)) >= 2
    assert err.startswith("Interrupted: ")
    assert not partial.exists()


def test_two_runs_do_not_write_one_table_at_once(
    tmp_path: Path, many: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    path = tmp_path / "out.csv"
    process = started(["measure", many, "-o", path, "-j", 1, *QUICK], tmp_path / "out.csv.partial")
    second = invoke("measure", astronaut_png, "-o", path)
    process.kill()
    process.communicate()
    assert second.exit_code == 2
    assert "another run is writing this file" in second.stderr


# ----------------------------------------------------------------------------------- run, table


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
