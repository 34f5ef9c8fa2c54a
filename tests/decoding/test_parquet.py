"""Parquet is read in a process of its own."""

from __future__ import annotations

import datetime
import math
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import sentence_of

from anthropo.batch import reading
from anthropo.decoding import parquet
from anthropo.decoding.parquet import read_parquet
from anthropo.errors import InputError

KEYS = ("photo", "status", "face")


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    return list(reading.earlier_rows(path, "photos", KEYS))


def saved(path: Path, **columns: object) -> Path:
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def test_values_stay_what_they_are(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "t.parquet",
        photo=["a", "é", None],
        n=[1, -(2**60), None],
        x=[0.1, math.inf, 1e-320],
        good=[True, None, False],
        day=[datetime.date(2026, 11, 26)] * 3,
    )
    rows = read_parquet(path)
    assert rows[0] == {"photo": "a", "n": 1, "x": 0.1, "good": True, "day": "2026-11-26"}
    assert rows[1] == {"photo": "é", "n": -(2**60), "x": math.inf, "good": None, "day": "2026-11-26"}
    assert rows[2] == {"photo": None, "n": None, "x": 1e-320, "good": False, "day": "2026-11-26"}


def test_reading_takes_no_pyarrow_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "t.parquet", photo=["a.png"], status=["ok"], face=[0])
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    assert earlier_rows(path) == [{"photo": "a.png", "status": "ok", "face": 0}]
    assert "pyarrow" not in sys.modules


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(20) + b"PAR1", b"PAR1 or not" * 1000])
def test_what_is_no_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    assert "not a readable table" in sentence_of(InputError, read_parquet, path)
    assert "is not a table that anthropo wrote" in sentence_of(InputError, earlier_rows, path)


def test_a_table_that_unpacks_without_end(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.parquet", photo=pa.nulls(60_000_000, pa.int8()))
    assert path.stat().st_size < 200_000
    assert "too large for a table" in sentence_of(InputError, read_parquet, path)
    wide = "x" * 1_000_000  # once in the file, 300 times when read
    path = saved(tmp_path / "wide.parquet", photo=pa.array([wide] * 300).dictionary_encode())
    assert path.stat().st_size < 2_000_000
    assert "too large for a table" in sentence_of(InputError, read_parquet, path)


def test_a_process_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "t.parquet", photo=["a.png"])
    program = "import os; os.kill(os.getpid(), 11)"
    monkeypatch.setattr("anthropo.decoding.pool.PROGRAM", program)
    monkeypatch.setattr("anthropo.decoding.pool._idle", [])
    said = sentence_of(InputError, parquet.read_parquet, path)
    assert said == f"{path}: decoding this Parquet file crashed (SIGSEGV). Save the table as CSV."
