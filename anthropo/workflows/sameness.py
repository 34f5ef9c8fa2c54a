"""Where two outputs of anthropo differ, and by how much."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropo.decoding.parquet import read_parquet
from anthropo.tables import read_rows

#: Entries that differ between any two runs.
_DATES = ("created",)


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """One place in which two outputs differ.

    Attributes
    ----------
    file : str
        Name of the file.
    place : str
        A row and column, a path within JSON, a member of a model; empty: the whole file.
    before, now : str
        What stood there, and what stands there now.
    size : float
        Relative difference of two numbers; infinite where they cannot be compared.
    """

    file: str
    place: str
    before: str
    now: str
    size: float


def differences(before: Path, now: Path) -> Iterator[OutputDifference]:
    """Compare two files, or two folders file by file.

    Numbers are compared as numbers; rows and columns that only the first has (of other runs, or added by
    hand) count for nothing.
    """
    if not now.is_dir():
        yield from _of_file(before.name, before, now)
        return
    for path in sorted(one for one in now.rglob("*") if one.is_file()):
        name = str(path.relative_to(now))
        yield from _of_file(name, before / name, path)


def _of_file(name: str, before: Path, now: Path) -> Iterator[OutputDifference]:
    if not before.exists() or not now.exists():
        was, is_now = ("there" if one.exists() else "missing" for one in (before, now))
        yield OutputDifference(name, "", was, is_now, math.inf)
    elif before.read_bytes() != now.read_bytes():
        yield from _KINDS.get(now.suffix.lower(), _as_bytes)(name, before, now)


def _as_bytes(name: str, before: Path, now: Path) -> Iterator[OutputDifference]:
    yield OutputDifference(
        name, "", f"{before.stat().st_size} bytes", f"{now.stat().st_size} bytes", math.inf
    )


def _as_csv(name: str, before: Path, now: Path) -> Iterator[OutputDifference]:
    old, new = (_keyed([dict(zip(rows[0][1], cells, strict=False)) for _, cells in rows[1:]])
                for rows in (read_rows(before), read_rows(now)))  # fmt: skip
    yield from _rows(name, old, new)


def _as_parquet(name: str, before: Path, now: Path) -> Iterator[OutputDifference]:
    old, new = (_keyed(read_parquet(path)) for path in (before, now))
    yield from _rows(name, old, new)


def _keyed(rows: list[dict[Any, Any]]) -> dict[str, dict[str, Any]]:
    """Rows by what names them: their leading words."""
    keyed: dict[str, dict[str, Any]] = {}
    for row in rows:
        words = [str(cell) for name, cell in row.items() if str(name) in _NAMES]
        key = ", ".join(words) or "row"
        while key in keyed:
            key += "'"
        keyed[key] = {str(name): cell for name, cell in row.items()}
    return keyed


#: Columns that say what a row is of.
_NAMES = (
    "photo", "face", "patient", "measurement", "unit", "reference", "label", "point", "id", "hpo_id",
    "side", "network", "runtime", "sex", "age_lo",
)  # fmt: skip


def _rows(
    name: str, old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> Iterator[OutputDifference]:
    for key, row in new.items():
        if key not in old:
            yield OutputDifference(name, key, "missing", "there", math.inf)
            continue
        for column, cell in row.items():
            yield from _value(name, f"{key}, {column}", old[key].get(column), cell)


def _as_json(name: str, before: Path, now: Path) -> Iterator[OutputDifference]:
    yield from _tree(name, "", *(json.loads(path.read_text(encoding="utf-8")) for path in (before, now)))


def _tree(name: str, place: str, old: Any, new: Any) -> Iterator[OutputDifference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in new.items():
            if key not in _DATES:
                yield from _tree(name, f"{place}.{key}".lstrip("."), old.get(key), value)
    elif isinstance(old, list) and isinstance(new, list) and len(old) >= len(new):
        for i, value in enumerate(new):
            yield from _tree(name, f"{place}[{i}]", old[i], value)
    else:
        yield from _value(name, place, old, new)


def _value(name: str, place: str, old: Any, new: Any) -> Iterator[OutputDifference]:
    if old == new or (old != old and new != new):
        return
    try:
        a, b = float(old), float(new)
    except (TypeError, ValueError):
        size = math.inf
    else:
        size = 0.0 if a == b else abs(a - b) / max(abs(a), abs(b), 1e-3)
    if size:
        yield OutputDifference(name, place, str(old), str(new), size)


def _as_model(name: str, before: Path, now: Path) -> Iterator[OutputDifference]:
    import numpy as np

    with zipfile.ZipFile(before) as old, zipfile.ZipFile(now) as new:
        for member in sorted({*old.namelist(), *new.namelist()}):
            if member not in old.namelist() or member not in new.namelist():
                was, is_now = ("there" if member in z.namelist() else "missing" for z in (old, new))
                yield OutputDifference(name, member, was, is_now, math.inf)
                continue
            a, b = old.read(member), new.read(member)
            if a == b:
                continue
            if member.endswith(".json"):
                yield from _tree(name, member, json.loads(a), json.loads(b))
            elif member.endswith(".npy"):
                x, y = (np.load(io.BytesIO(data), allow_pickle=False) for data in (a, b))
                if x.shape == y.shape and x.dtype.kind in "fiub":
                    x, y = x.astype(np.float64), y.astype(np.float64)
                    scale = max(float(np.abs(x).max(initial=0)), 1e-3)
                    size = float(np.nanmax(np.abs(x - y))) / scale
                    yield OutputDifference(name, member, "", "", size)
                else:
                    yield OutputDifference(name, member, str(x.shape), str(y.shape), math.inf)
            else:
                yield OutputDifference(name, member, f"{len(a)} bytes", f"{len(b)} bytes", math.inf)


_KINDS = {
    ".csv": _as_csv, ".parquet": _as_parquet, ".json": _as_json, ".anthropo": _as_model,
}  # fmt: skip
