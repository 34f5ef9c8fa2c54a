"""A Parquet table as a folder of parts, and writers that are killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.dataset
import pytest
from batch_tables import FAST
from conftest import Copies, Invoke, refused, sentence_of

from anthropo.batch import parts
from anthropo.batch.inputs import Item
from anthropo.batch.output import Output
from anthropo.batch.records import Record
from anthropo.batch.run import measure_item
from anthropo.errors import InputError
from anthropo.settings import Settings


@pytest.fixture(scope="module")
def kinds(astronaut_png: Path) -> list[list[Record]]:
    scored = Settings(jitter=2, sex="female", age="31")
    return [
        measure_item(Item(str(astronaut_png)), FAST),
        measure_item(Item("gone.png"), FAST),
        measure_item(Item(str(astronaut_png)), scored),
    ]


def names_of(count: int) -> list[Item]:
    return [Item(f"{i}.png", {"n": str(i)}) for i in range(count)]


def fill(table: Output, items: Sequence[Item], kinds: list[list[Record]]) -> None:
    """Keep what is not kept yet; no photo is a file, so that the table cannot know that it is finished."""
    for i, item in enumerate(items):
        if item.path not in table._new:
            table.add([replace(r, photo=item.path, columns=item.columns) for r in kinds[i % len(kinds)]])


def write(path: str, items: Sequence[Item], kinds: list[list[Record]]) -> None:
    table = Output(path, FAST)
    fill(table, items, kinds)
    table.close(items)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "ROWS", 4)


@pytest.mark.usefixtures("small")
def test_a_folder_of_parts_is_one_table(tmp_path: Path, kinds: list[list[Record]]) -> None:
    folder, single, items = tmp_path / "t.parquet", tmp_path / "s.parquet", names_of(10)
    write(f"{folder}/", items, kinds)
    write(str(single), items, kinds)
    assert sorted(os.listdir(folder)) == [f"part-0000{i}.parquet" for i in range(3)]
    whole = pd.read_parquet(single)
    pd.testing.assert_frame_equal(pd.read_parquet(folder), whole)
    assert pyarrow.dataset.dataset(folder).count_rows() == 10
    # a second run, with the folder's bare name, of other photos in another order
    again = [*names_of(12)[8:], *items[:3]]
    for path in (folder, single):
        table = Output(str(path), FAST)
        fill(table, names_of(12)[9:], kinds)
        table.close(again)
    assert list(pd.read_parquet(single)["photo"])[:3] == ["8.png", "9.png", "10.png"]
    pd.testing.assert_frame_equal(pd.read_parquet(folder), pd.read_parquet(single))
    assert sorted(os.listdir(tmp_path)) == ["s.parquet", "t.parquet"]
    told = sentence_of(InputError, Output, f"{single}/", FAST)
    assert told == f"{single}/: a file, not a folder. Leave the last / out."


def test_the_command_writes_and_continues_a_folder(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    copies(tmp_path / "photos", "a.png", "b.png")
    words = ("measure", tmp_path / "photos", "-o", f"{tmp_path}/t.parquet/", "--jitter", 2)
    assert invoke(*words).exit_code == 0
    assert (tmp_path / "t.parquet" / "part-00000.parquet").is_file()
    said = invoke(*words).stderr.splitlines()[-1]
    assert said.endswith("t.parquet: 2 of 2 photos measured, 2 of them by an earlier run.")
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 2
    text = (tmp_path / "t.parquet" / "notes.txt").write_text("mine")
    told = refused(invoke, *words)
    assert told == (
        f"Error: {tmp_path}/t.parquet: holds notes.txt, which is no part of a table that anthropo wrote. "
        "Move it, or choose another name.\n"
    )
    assert len((tmp_path / "t.parquet" / "notes.txt").read_text()) == text


@pytest.mark.usefixtures("small")
def test_what_comes_into_the_folder_meanwhile_is_left_alone(
    tmp_path: Path, kinds: list[list[Record]]
) -> None:
    path, items = f"{tmp_path}/t.parquet/", names_of(5)
    write(path, items, kinds)
    table = Output(path, FAST)
    fill(table, items, kinds)
    (tmp_path / "t.parquet" / "mine.csv").write_text("1")
    assert "holds mine.csv" in sentence_of(InputError, table.close, items)
    assert (tmp_path / "t.parquet" / "mine.csv").read_text() == "1"
    (tmp_path / "t.parquet" / "mine.csv").unlink()
    table = Output(path, FAST)
    assert set(table._new) == {item.path for item in items}  # the journal has it all
    table.close(items)
    assert os.listdir(tmp_path) == ["t.parquet"]


@pytest.mark.usefixtures("small")
def test_a_half_written_folder(tmp_path: Path, kinds: list[list[Record]]) -> None:
    """One that was copied in part is refused and stays; one that a killed run left in pieces is mended."""
    path, items = tmp_path / "t.parquet", names_of(10)
    write(f"{path}/", items, kinds)
    whole = pd.read_parquet(path)
    _, new, old = parts._places(path)
    shutil.copytree(path, new)  # killed while it wrote
    (new / "part-00001.parquet").write_bytes(b"PAR1")
    Output(str(path), FAST).close(items)
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole)
    shutil.copytree(path, new)  # killed while the folders changed places
    os.rename(path, old)
    Output(f"{path}/", FAST).close(items)
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole)
    shutil.copytree(path, old)  # and after it
    Output(str(path), FAST).close(items)
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole)
    assert os.listdir(tmp_path) == ["t.parquet"]
    data = (path / "part-00001.parquet").read_bytes()
    (path / "part-00001.parquet").write_bytes(data[:1000])
    assert "exists and is not a table that anthropo wrote" in sentence_of(InputError, Output, str(path), FAST)
    assert (path / "part-00001.parquet").read_bytes() == data[:1000]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills copies of this process")
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.parquet", "t.parquet/"])
def test_killed_at_any_moment_and_started_again(tmp_path: Path, kinds: list[list[Record]], name: str) -> None:
    items = names_of(36)
    before = tmp_path / "before"
    before.mkdir()
    write(f"{before}/{name}", items[:12], kinds)  # the table has rows already
    expected = tmp_path / "expected"
    shutil.copytree(before, expected)
    began = time.monotonic()
    write(f"{expected}/{name}", items, kinds)
    lasts = time.monotonic() - began
    dice = random.Random(name)
    for run in range(6):
        folder = tmp_path / str(run)
        shutil.copytree(before, folder)
        for _ in range(2):
            child = os.fork()
            if not child:
                try:
                    write(f"{folder}/{name}", items, kinds)
                finally:
                    os._exit(0)
            time.sleep(dice.random() * lasts)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        write(f"{folder}/{name}", items, kinds)
        assert os.listdir(folder) == [name.strip("/")]
        if "parquet" in name:
            pd.testing.assert_frame_equal(pd.read_parquet(folder / name), pd.read_parquet(expected / name))
        else:
            assert (folder / name).read_bytes() == (expected / name).read_bytes()
