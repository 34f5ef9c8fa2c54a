"""What the tests of batch share."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from anthropo.batch import run as run_module
from anthropo.batch.inputs import Item
from anthropo.batch.records import Record
from anthropo.batch.run import measure_item
from anthropo.settings import Settings

Table = Callable[[str | bytes], Path]

FAST = Settings(jitter=2)
SOME = ("photo", "face", "status", "reason", "yaw", "intercanthal_width", "diagnostics_sha256")


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


def count_measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the photos that are really measured from here on."""
    seen: list[str] = []

    def counting(item: Item, *arguments: Any) -> list[Record]:
        seen.append(item.path)
        return measure_item(item, *arguments)

    monkeypatch.setattr(run_module, "measure_item", counting)
    return seen


def table_writer(folder: Path) -> Table:
    """A function that writes a cohort's table."""

    def write(text: str | bytes) -> Path:
        path = folder / "cohort.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write
