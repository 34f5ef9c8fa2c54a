"""The store of embeddings: what is put comes back, and anything damaged counts as absent."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anthropo.encoder.cache import Store

ARRAYS = {
    "face": np.arange(128, dtype=np.float32),
    "measurements": np.array([[1.0, np.nan], [-0.0, np.inf]]),
    "none": np.empty((0, 3), dtype=np.uint8),
    "one": np.array(7, dtype=np.int64),
}


def only_file(folder: Path) -> Path:
    (path,) = (p for p in folder.rglob("*") if p.is_file())
    return path


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    assert store.get("a") is None
    store.put("a", ARRAYS)
    found = Store(tmp_path / "deep" / "store").get("a")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert store.get("b") is None


def test_an_entry_is_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("a", {"x": np.zeros(3)})
    store.put("a", {"y": np.ones(2)})
    assert list(store.get("a")) == ["y"]


def test_any_damage_is_a_miss_and_can_be_put_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("a", ARRAYS)
    path = only_file(tmp_path)
    whole = path.read_bytes()
    damaged = [whole[:n] for n in (0, 5, 20, 60, len(whole) // 2, len(whole) - 1)]
    damaged += [whole + b"\0", b"PK\x03\x04" + whole, whole.replace(b"arrays-2", b"arrays-1")]
    for at in range(0, len(whole), 37):
        damaged.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for data in damaged:
        path.write_bytes(data)
        assert store.get("a") is None
    store.put("a", ARRAYS)
    assert path.read_bytes() == whole


def crafted(key: str, table: object, rest: bytes = bytes(24), size: int | None = None) -> bytes:
    """An entry with the right digest, whatever its table says."""
    header = table if isinstance(table, bytes) else json.dumps(table).encode()
    body = (len(header) if size is None else size).to_bytes(4, "little") + header + rest
    digest = hashlib.sha256(hashlib.sha256(key.encode()).digest() + body).digest()
    return b"anthropo-arrays-2\n" + digest + body


def test_crafted_entries_are_misses(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("a", {"x": np.zeros(3)})
    path = only_file(tmp_path)
    assert path.read_bytes() == crafted("a", [["x", "<f8", [3]]])
    tables: list[object] = [
        [["x", "<f8", [4]]], [["x", "<f8", [2]]], [["x", "<f8", [-3]]], [["x", "<f8", [2**62, 2**62]]],
        [["x", "<f8", [3.0]]], [["x", "<f8", [True, 3]]], [["x", "<f8", 3]], [["x", "<f8", "3"]],
        [["x", "O", [3]]], [["x", "V8", [3]]], [["x", "<U2", [3]]], [["x", "<f9", [3]]], [["x", "<f99", [1]]],
        [["x", "M8[s]", [3]]], [["x", "f8,f8", [1]]], [["x", 8, [3]]], [["x", None, [3]]], [[7, "<f8", [3]]],
        [["x", "<f8"]], [["x", "<f8", [3], 1]], ["xyz"], "xyz", {}, {"x": 3}, None, 7, [None], [[]],
        b"\xff\xfe", b"[", b"[" * 5000, b"NaN", b"9" * 5000, b"",
    ]  # fmt: skip
    for table in tables:
        path.write_bytes(crafted("a", table))
        assert store.get("a") is None, table
    for rest, size in ((bytes(24), 2**32 - 1), (bytes(24), 0), (bytes(25), None), (b"", None)):
        path.write_bytes(crafted("a", [["x", "<f8", [3]]], rest, size))
        assert store.get("a") is None
    path.write_bytes(crafted("b", [["x", "<f8", [3]]]))  # whole, but of another key
    assert store.get("a") is None


def test_what_is_no_file_is_a_miss(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put("a", {"x": np.zeros(3)})
    path = only_file(tmp_path)
    path.unlink()
    path.mkdir()
    assert store.get("a") is None
    path.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert store.get("a") is None
        path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk, and a terabyte of memory
    assert store.get("a") is None


def test_keys_may_be_any_text(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for i, key in enumerate(("../../etc/passwd", "a/b", "ä ☃", "", "x" * 5000)):
        store.put(key, {"i": np.array(i)})
    for i, key in enumerate(("../../etc/passwd", "a/b", "ä ☃", "", "x" * 5000)):
        assert store.get(key)["i"] == i
    assert [p.name for p in tmp_path.iterdir()] == ["store"]


def test_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        Store(tmp_path / "store").put("a", {"x": np.zeros(3)})
    finally:
        os.umask(before)
    for folder in (tmp_path / "store", only_file(tmp_path).parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x: arrays of numbers can be kept, not object"):
        Store(tmp_path).put("a", {"x": np.array([object()])})
    assert Store(tmp_path).get("a") is None


def test_a_store_that_cannot_be_written_only_misses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file")
    store.put("a", ARRAYS)
    assert store.get("a") is None


def test_a_failed_write_leaves_the_old_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.put("a", {"x": np.zeros(3)})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store.put("a", {"x": np.ones(3)})
    np.testing.assert_array_equal(store.get("a")["x"], np.zeros(3))
    assert only_file(tmp_path).suffix == ".bin"  # no temporary file is left


def test_processes_may_write_the_same_entry_while_it_is_read(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from anthropo.encoder.cache import Store\n"
        "for _ in range(60): Store(Path(sys.argv[1])).put('a', {'x': np.full(20_000, int(sys.argv[2]))})"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(i)]) for i in (1, 2)]
    seen = set()
    while any(w.poll() is None for w in writers):
        found = Store(tmp_path).get("a")
        if found is not None:
            (value,) = set(found["x"].tolist())
            seen.add(value)
        elif seen:
            pytest.fail("an entry that was there has gone")
    assert [w.wait() for w in writers] == [0, 0]
    assert seen <= {1, 2}
    assert Store(tmp_path).get("a") is not None


def test_a_cohort_is_read_in_no_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    arrays = {name: np.zeros(128, dtype=np.float32) for name in "abcdefgh"}
    for i in range(100):
        store.put(str(i), arrays)
    start = time.perf_counter()
    for i in range(1600):
        assert store.get(str(i % 100)) is not None
    assert time.perf_counter() - start < 1.5
