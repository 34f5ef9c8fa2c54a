"""Entries of anthropo's caches that were damaged, or written by somebody else.

    python benchmarks/fuzz_caches.py --count 500 --seed 1

A damaged entry must count as absent, or as what it was; a crafted one, whose sums are right, must lead to an
answer or a sentence.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from fuzzing import Case, Make, Rng, command, main, pick
from PIL import Image
from skimage import data

from anthropo.decoding import undecodable
from anthropo.encoder import cache
from anthropo.errors import AnthropoError
from anthropo.face import _engine, weights
from anthropo.photo import read_photo

_KEY = "a key"
_HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 10**400, 1e308, "", "\0", "\ud800", "a" * 100_000, [], {}, [[]], [-1],
    [1 << 40, 1 << 40], "<f8", "|O", "<U9", "<M8[s]", "|V8", "<f2", "<c16", "<f99", [2, 3], [1] * 100,
)  # fmt: skip


@lru_cache(maxsize=2)
def block(which: str) -> bytes:
    """The sound block of a cache entry of weights."""
    if which == "detector":
        return bytes(_engine.pack_face_detector().tobytes())
    file = weights.locate("landmarks-68")
    return bytes(_engine.pack_shape_predictor(np.fromfile(file, np.uint8)).tobytes())


def _cohort(folder: Path) -> Path:
    rows = ["photo,label"]
    for i in range(4):
        pixels = data.astronaut()[20 + 3 * i : 240, 110:340]
        Image.fromarray(pixels if i % 2 else pixels[:, ::-1]).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{'AB'[i // 2]}")
    table = folder / "cohort.csv"
    table.write_text("\n".join(rows))
    return table


def _train(folder: Path) -> str:
    arguments = ("--cache", folder / "cache", "--allow-duplicates", "--no-judge")
    return command("train", _cohort(folder), "-o", folder / "m.anthropo", *arguments)


@lru_cache(maxsize=1)
def entries() -> tuple[bytes, ...]:
    """What the cache of features holds of some photos, without magic and sum."""
    with tempfile.TemporaryDirectory() as folder:
        _train(Path(folder))
        found = sorted((Path(folder) / "cache").rglob("*.bin"))
        return tuple(path.read_bytes()[cache._START :] for path in found)


def _changed(whole: bytes, rng: Rng, reach: int = 1 << 30) -> bytes:
    """Some wrong bytes, or the end missing, or a stretch of zeros."""
    changed, way = bytearray(whole), rng.random()
    if way < 0.15:
        return bytes(changed[: int(rng.integers(len(whole)))])
    if way < 0.3:
        at = int(rng.integers(len(whole)))
        changed[at : at + 1000] = bytes(len(changed[at : at + 1000]))
        return bytes(changed)
    for at in rng.integers(0, min(reach, len(whole)), 1 + int(rng.integers(6))):
        changed[at] = int(rng.integers(256))
    return bytes(changed)


def _weights(which: str, rng: Rng) -> Case:
    head = weights._seal(which)
    return Case(which, _changed(head + block(which), rng, (1 << 30) if rng.random() < 0.5 else 400))


def _damaged(rng: Rng) -> Case:
    body = pick(entries(), rng)
    return Case("entry.bin", _changed(cache._MAGIC + cache._digest(_KEY, body) + body, rng))


def _parts(body: bytes) -> tuple[list[Any], bytes]:
    """The table of an entry's arrays, and the arrays."""
    at = 4 + int.from_bytes(body[:4], "little")
    return json.loads(body[4:at]), body[at:]


def _joined(table: list[Any], arrays: bytes) -> Case:
    header = json.dumps(table).encode()
    return Case("crafted.bin", len(header).to_bytes(4, "little") + header + arrays)


def _crafted(rng: Rng) -> Case:
    """A table of arrays that says something else than the truth, or other arrays; the sum is right."""
    body = pick(entries(), rng)
    table, sound = _parts(body)
    arrays = bytearray(sound)
    for _ in range(int(rng.integers(1, 4))):
        row, way = int(rng.integers(len(table))), int(rng.integers(6))
        if way == 0:
            del table[row]
            if not table:
                break
        elif way == 1:
            table.append(table[row])
        elif way == 2 and arrays:
            values = np.array([np.nan, np.inf, -1e308, 1e308, -1], "<f8").tobytes()
            start = int(rng.integers(max(1, len(arrays) - 8)))
            arrays[start : start + 8] = values[(cut := 8 * int(rng.integers(5))) : cut + 8]
        elif isinstance(table[row], list) and table[row]:
            table[row][int(rng.integers(len(table[row])))] = pick(_HOSTILE, rng)
        else:
            table[row] = pick(_HOSTILE, rng)
    return _joined(table, bytes(arrays))


def _shaped(rng: Rng) -> Case:
    """Arrays of other types and shapes under the names that are looked for."""
    table, arrays = [], b""
    for name, code, shape in _parts(entries()[0])[0]:
        if rng.random() < 0.3:
            code = pick(("<f8", "<f4", "|u1", "<i8", "|b1", "<c16"), rng)
            shape = [int(n) for n in rng.integers(0, 4, int(rng.integers(4)))]
        elif rng.random() < 0.1:
            continue
        numbers = np.resize(rng.integers(0, 255, 64).astype(code), shape)
        table.append((name, code, shape))
        arrays += numbers.tobytes()
    return _joined(table, arrays)


def _death(rng: Rng) -> Case:
    entry: dict[str, Any] = {
        "how": "crashed (SIGSEGV)",
        "deadline": None,
        "decoders": undecodable._decoders(),
    }
    for _ in range(int(rng.integers(1, 3))):
        entry[pick(("how", "deadline", "decoders", "x"), rng)] = pick(_HOSTILE[:15], rng)
    text = json.dumps(entry).encode()
    return Case("death.json", _changed(text, rng) if rng.random() < 0.4 else text)


KINDS: dict[str, Make] = {
    "features, damaged": _damaged,
    "features, crafted": _crafted,
    "features, of other shapes": _shaped,
    "weights of the face detector": partial(_weights, "detector"),
    "crashes that are remembered": _death,
    "weights of the landmarks": partial(_weights, "landmarks"),
}


# --------------------------------------------------------------------------------------------- use


def use(path: Path) -> str:
    """Put an entry where anthropo looks for it, and let it look."""
    if path.name == "entry.bin":
        store = cache.Store(path.parent)
        there = store._path(_KEY)
        there.parent.mkdir()
        path.rename(there)
        return "" if store.get(_KEY) is not None else "counts as absent"
    if path.name == "crafted.bin":
        return _as_features(path)
    if path.name == "death.json":
        return _as_death(path)
    return _as_weights(path)


def _caching_in(folder: Path) -> AbstractContextManager[Any]:
    return mock.patch.dict(os.environ, ANTHROPO_CACHE=str(folder))


def _as_features(path: Path) -> str:
    """Every photo's entry is this one, and its sum is right."""
    body = path.read_bytes()
    sound = cache.Store._path

    def crafted(store: cache.Store, key: str) -> Path:
        there = sound(store, key)
        if not there.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(cache._MAGIC + cache._digest(key, body) + body)
        return there

    with mock.patch.object(cache.Store, "_path", crafted):
        return _train(path.parent)


def _as_death(path: Path) -> str:
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "TIFF")
    photo = path.with_name("a.tif")
    photo.write_bytes(file.getvalue())
    with _caching_in(path.parent):
        there = undecodable._path(undecodable.key_of(hashlib.sha256(file.getvalue()).hexdigest()))
        there.parent.mkdir()
        path.rename(there)
        try:
            read_photo(photo)
        except AnthropoError as error:
            return str(error)
    return ""


def _as_weights(path: Path) -> str:
    with _caching_in(path.parent):
        found = weights._cached(path.name)
    if found is None:
        return "counts as absent"
    try:
        _engine.FaceDetector(found) if path.name == "detector" else _engine.ShapePredictor(found)
    except ValueError as error:
        return str(error)
    if found.tobytes() != block(path.name):
        raise AssertionError("a damaged entry was used")
    return ""


if __name__ == "__main__":
    main(__file__, __doc__ or "", KINDS, use)
