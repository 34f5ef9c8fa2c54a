"""Tables written from the disk are, byte for byte, those that were once made in memory."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from batch_tables import FAST

from anthropo._version import __version__
from anthropo.batch.inputs import Item
from anthropo.batch.output import Output
from anthropo.batch.records import Record, is_result_column, passed_through
from anthropo.batch.run import measure_item
from anthropo.errors import InputError
from anthropo.plain import cell_as_it_was, written
from anthropo.settings import Settings

Row = dict[str, Any]
_FIRST = ("photo", "face", "status", "reason")


class InMemory:
    """The table as version 0.1.0 made it: every record and every earlier row in memory."""

    def __init__(self, path: Path) -> None:
        self.json, self.suffix = path.suffix == ".json", path.suffix
        self.new: dict[str, list[Record]] = {}
        self.earlier: dict[str, list[Row]] = {}
        for row in self.decoded(path) if path.exists() else []:
            self.earlier.setdefault(row["photo"], []).append(row)

    def decoded(self, path: Path) -> list[Row]:
        if self.json:
            return list(json.loads(path.read_text())["photos"])
        if self.suffix == ".csv":
            header, *rows = csv.reader(io.StringIO(path.read_text(), newline=""))
            return [dict(zip(header, map(cell_as_it_was, row), strict=True)) for row in rows]
        frame = pd.read_parquet(path).astype(object)
        return [dict(row) for row in frame.where(frame.notna(), None).to_dict("records")]

    def rows_of(self, records: Sequence[Record]) -> list[Row]:
        return [record.to_json() if self.json else record.to_row() for record in records]

    def close(self, items: Sequence[Item]) -> list[Row]:
        rows: list[Row] = []
        for item in items:
            earlier = self.earlier.get(item.path, [])
            if item.path in self.new:
                records = [replace(record, columns=item.columns) for record in self.new[item.path]]
                rows += [self.with_added(row, item, earlier) for row in self.rows_of(records)]
                continue
            for row in {str(row["face"]): row for row in earlier}.values():
                if self.json:
                    now = {**row, "columns": item.columns}
                else:
                    results = {k: v for k, v in row.items() if is_result_column(k)}
                    now = {**{k: row[k] for k in _FIRST}, **passed_through(item.columns), **results}
                rows.append(self.with_added(now, item, [row]))
        current = {item.path for item in items}
        for photo in dict.fromkeys([*self.earlier, *self.new]):
            if photo not in current:
                rows += self.rows_of(self.new.get(photo, [])) or self.earlier[photo]
        return rows

    def with_added(self, row: Row, item: Item, earlier: Sequence[Row]) -> Row:
        same = [old for old in earlier if str(old["face"]) == str(row["face"])] or earlier[:1]
        if self.json:
            columns = {k: v for old in same for k, v in old.get("columns", {}).items()}
            added = {k: v for old in same for k, v in old.items() if k not in row}
            return {**row, **added, "columns": {**columns, **item.columns}}
        names = {*row, *passed_through(item.columns)}
        added = {k: v for old in same for k, v in old.items() if k not in names and not is_result_column(k)}
        results = {k: v for k, v in row.items() if is_result_column(k) and k not in _FIRST}
        return {**{k: v for k, v in row.items() if k not in results}, **added, **results}

    def content(self, items: Sequence[Item]) -> Any:
        rows = self.close(items)
        if self.json:
            document = {"anthropo": __version__, "photos": rows}
            return (json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()
        names = list(dict.fromkeys(name for row in rows for name in row))
        if self.suffix == ".csv":
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(map(written, names))
            writer.writerows([written(row.get(name)) for name in names] for row in rows)
            return text.getvalue().encode()
        return pd.DataFrame({name: one_type([row.get(name) for row in rows]) for name in names})


def one_type(values: list[Any]) -> list[Any]:
    types = {type(value) for value in values if value is not None}
    if len(types) <= 1 or types <= {int, float}:
        return values
    return [None if value is None else str(value) for value in values]


def content_of(path: Path) -> Any:
    return pd.read_parquet(path) if path.suffix == ".parquet" else path.read_bytes()


def assert_same(now: Any, before: Any) -> None:
    if isinstance(before, bytes):
        assert now == before
    else:
        buffer = io.BytesIO()
        before.to_parquet(buffer, index=False)
        pd.testing.assert_frame_equal(now, pd.read_parquet(buffer))


@pytest.fixture(scope="module")
def kinds(astronaut_png: Path) -> list[list[Record]]:
    """Records of photos of every kind: scored, in millimetres, with texture, of two faces, failed."""
    several = [
        FAST,
        Settings(jitter=2, sex="female", age="31", scale="ipd=60"),
        Settings(jitter=2, texture=True),
        Settings(jitter=2, sex="female", references=("frl-adults",)),
    ]
    made = [measure_item(Item(str(astronaut_png), {"a": "=1"}), settings) for settings in several]
    two = [made[0][0], replace(made[1][0], index=1)]
    return [*made, two, measure_item(Item("gone.png"), FAST)]


def photo_of(records: Sequence[Record], name: str) -> list[Record]:
    """These records under the name of another photo, which is no file and so is measured anew."""
    return [
        replace(r, photo=name, reason=r.reason.replace(r.photo, name), columns={"a": "x"}) for r in records
    ]


COLUMNS: list[dict[str, str]] = [
    {},
    {"a": "x"},
    {"a": "-x", "photo": "y"},
    {"ü\n": "é,\u2028\"'"},
    {"b": "2", "a": "1"},
]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
@pytest.mark.parametrize("seed", range(4))
def test_runs_one_after_the_other(tmp_path: Path, kinds: list[list[Record]], suffix: str, seed: int) -> None:
    """Photos come and go, in whatever order and with changing columns; users add columns of their own."""
    dice = random.Random(seed)
    path = tmp_path / f"t{suffix}"
    for run in range(4):
        names = dice.sample([f"é{i}.png" for i in range(12)], 8)
        items = [Item(name, dice.choice(COLUMNS)) for name in names]
        items += [Item(names[0], {"a": "again"})]
        table, before = Output(str(path), FAST), InMemory(path)
        measured = dice.sample([*names, "not listed.png"], 5 if run else 9)
        for name in measured:
            records = photo_of(dice.choice(kinds), name)
            table.add(records)
            before.new[name] = records
        if dice.random() < 0.3:  # killed, and continued
            table.release()
            table = Output(str(path), FAST)
        expected = before.content(items)
        table.close(items)
        assert_same(content_of(path), expected)
        assert not list(tmp_path.glob("*.partial"))
        if suffix != ".parquet" or run % 2:
            dice.choice([add_columns, lambda path: None])(path)


def add_columns(path: Path) -> None:
    if path.suffix == ".json":
        document = json.loads(path.read_text())
        for i, row in enumerate(document["photos"]):
            row["mine"] = {"seen": [i, None, {}]}
            row["columns"]["note"] = f"\n{i}"
        path.write_text(json.dumps(document))
    elif path.suffix == ".parquet":
        pd.read_parquet(path).assign(mine=1.5, note="x").to_parquet(path)
    else:
        header, *rows = csv.reader(io.StringIO(path.read_text(), newline=""))
        rows = [[*row[:2], f"two\nlines {i}", *row[2:]] for i, row in enumerate(rows)]
        with open(path, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([[*header[:2], "mine", *header[2:]], *rows])


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_a_table_of_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    Output(str(path), FAST).close([])
    assert path.read_bytes() == InMemory(path.with_name("gone" + suffix)).content([])


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_an_interruption_anywhere_while_a_photo_is_kept(
    tmp_path: Path, kinds: list[list[Record]], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before, in the middle of and after the line: what is written in the end has the photo once."""
    names = ["a.png", "b.png"]
    first, second = (photo_of(kinds[i], name) for i, name in enumerate(names))
    items = [Item(name) for name in names]

    def after(count: int) -> Callable[..., int]:
        real = __import__("os").write

        def write(file: int, data: memoryview) -> int:
            real(file, data[:count])
            raise KeyboardInterrupt

        return write

    written_tables = set()
    for count in (0, 1, 1000, 10**9):
        path = tmp_path / f"{count}{suffix}"
        table = Output(str(path), FAST)
        table.add(first)
        with monkeypatch.context() as patch:
            patch.setattr("anthropo.batch.journal.os.write", after(count))
            with pytest.raises(KeyboardInterrupt):
                table.add(second)
        table.close(items)
        written_tables.add(path.read_bytes())
    assert len(written_tables) == 1


def test_what_a_run_keeps_in_memory_says_what_the_records_did(kinds: list[list[Record]]) -> None:
    from anthropo.batch.summaries import summary_of

    for records in kinds:
        one = summary_of(records)
        photo = records[0].photo
        assert list(one.reasons(photo)) == [r.reason for r in records if not r.ok]
        assert list(one.notes(photo)) == [note for r in records for note in r.notes]
        assert list(one.remarks(photo)) == [f"{photo}: {r.remark}" for r in records if r.remark]
        assert [list(names) for names in one.gate] == [r.gate_failed for r in records if r.ok]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"photos":[{"photo":"a","status":"ok","face":0}],"more":{"x":[1,2]}}', True),
        ('\ufeff {"n" : 12 , "photos" : [ {"photo":"a","status":"ok","face":0} ] } \n', True),
        ('{"photos": []}', True),
        ('{"photos": [{"photo":"a","status":"ok","face":0}', False),
        ('{"photos": [{"photo":"a","status":"ok","face":0}]', False),
        ('{"photos": [{"photo":"a","status":"ok","face":0}]} x', False),
        ('{"photos": [{"photo":"a","status":"ok","face":0} {}]}', False),
        ('{"photos": {"photo":"a"}}', False),
        ('{"photos" [1]}', False),
        ("[" * 100_000, False),
        ('{"photos": ' + "[" * 100_000, False),
        ("", False),
    ],
)
def test_json_is_read_piece_by_piece(
    tmp_path: Path, text: str, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")
    for piece in (1, 3, 1 << 20):
        monkeypatch.setattr("anthropo.batch.reading._PIECE", piece)
        if good:
            Output(str(path), FAST).release()
            continue
        with pytest.raises(InputError, match="not a table that anthropo wrote"):
            Output(str(path), FAST)
        assert path.read_text(encoding="utf-8") == text
