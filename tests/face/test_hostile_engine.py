"""The engine against files and arrays that nobody honest makes; `make sanitize` runs it under sanitizers."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import dlib
import numpy as np
import pytest
from crafted import (
    BOX,
    NOISE,
    Bytes,
    Predictor,
    as_array,
    changed,
    checksum,
    column,
    integer,
    mutant,
    packed,
    real,
    sealed,
    square,
    used,
    vector,
)
from numpy.typing import NDArray

from anthropo.face import _engine

REFUSED = "damaged|does not write|not finite"


@lru_cache(maxsize=1)
def packed_detector() -> bytes:
    return _engine.pack_face_detector().tobytes()


# ------------------------------------------------------------------------------------ landmark files


def test_a_crafted_predictor_is_read_as_dlib_reads_it(tmp_path: Path) -> None:
    for seed in range(4):
        made = Predictor(square(6), cascades=3, trees=5, leaves=8, features=9, seed=seed)
        path = tmp_path / f"{seed}.dat"
        path.write_bytes(made.dat())
        parts = dlib.shape_predictor(str(path))(NOISE, dlib.rectangle(10, 12, 80, 79)).parts()
        points = _engine.ShapePredictor(as_array(packed(made))).predict(NOISE, BOX)[0]
        assert np.array_equal(np.floor(points + 0.5), [(p.x, p.y) for p in parts])


def test_the_checksum_is_that_of_every_byte() -> None:
    block = packed(Predictor(square()))
    assert np.array_equal(sealed(block), as_array(block))
    assert checksum(block[:64]) != checksum(block[64:128])
    assert used(as_array(block))
    for at in range(0, len(block), 13):
        wrong = bytearray(block)
        wrong[at] ^= 0x80
        with pytest.raises(ValueError, match="not a packed shape predictor"):
            _engine.ShapePredictor(as_array(bytes(wrong)))


CLAIMS = {
    # 2047 points x 65536 leaves x 16384 trees x 2^20 cascades: the number of bytes is beyond 2^64
    "wraps": integer(1, signed=True)
    + column([0.1, 0.9] * 2047)
    + integer(2**20)
    + integer(16384)
    + vector([integer(0) + integer(0) + real(0)], 65535),
    "shape": Predictor(square(), counts={"shape": 10**9}).dat(),
    "columns": integer(1, signed=True) + column(square(), columns=2**40),
    "cascades": Predictor(square(), counts={"cascades": 2**60}).dat(),
    "many cascades": Predictor(square(), counts={"cascades": 999}).dat(),
    "trees": Predictor(square(), counts={"trees": 99_999}).dat(),
    "splits": Predictor(square(), counts={"splits": 65_535}).dat(),
    "leaves": Predictor(square(), counts={"leaves": 2**33}).dat(),
    "width": Predictor(square(), counts={"width": 2**31}).dat(),
    "anchors": Predictor(square(), counts={"anchors": 65_535}).dat(),
    "deltas": Predictor(square(), counts={"deltas": 2**64 - 1}).dat(),
    "three leaves": Predictor(square(), leaves=3).dat(),
    "one leaf": Predictor(square(), leaves=1).dat(),
    "no trees": Predictor(square(), trees=0).dat(),
    "no cascades": Predictor(square(), cascades=0).dat(),
    "one spot": Predictor([0.5] * 10).dat(),
    "odd shape": Predictor([*square(), 0.5]).dat(),
    "anchor": Predictor(square(5), anchor=5).dat(),
    "first": Predictor(square(), first=6).dat(),
    "second version": integer(2, signed=True) + Predictor(square()).dat()[2:],
    "nothing": b"",
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_a_landmark_file_claims_is_refused(claim: str) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        _engine.pack_shape_predictor(as_array(CLAIMS[claim]))


MEMORY = """
import resource, sys
import numpy as np
from anthropo.face import _engine
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        _engine.pack_shape_predictor(np.fromfile(name, np.uint8))
    except ValueError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_claim_takes_memory(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="there is none on Windows")
    for name, data in CLAIMS.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", MEMORY, *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 1024  # KiB; the files together have 100 KiB


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("place", ["leaf", "threshold", "delta"])
def test_numbers_that_are_none_are_refused(place: str, value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        _engine.pack_shape_predictor(as_array(Predictor(square(), **{place: value}).dat()))
    with pytest.raises(ValueError, match="not finite"):
        _engine.pack_shape_predictor(as_array(Predictor([*square(), 0.5, value]).dat()))


def test_mutated_landmark_files_are_refused_or_harmless() -> None:
    good = [Predictor(square(), seed=1).dat(), Predictor(square(40), leaves=2, features=3, seed=2).dat()]
    rng = np.random.default_rng(0)
    accepted = refused = 0
    for data in good * 1500:
        try:
            block = _engine.pack_shape_predictor(as_array(mutant(data, rng)))
        except ValueError:
            refused += 1
        else:
            assert used(block)  # what was packed is never refused afterwards
            accepted += 1
    assert accepted > 300
    assert refused > 300


# ------------------------------------------------------------------------------------ packed blocks


def header(block: bytes, **fields: int) -> Bytes:
    """The block with counts of its header replaced, and the checksum that belongs to it."""
    places = {"points": 16, "cascades": 20, "trees": 24, "leaves": 28, "features": 32}
    changed = bytearray(block)
    for name, value in fields.items():
        changed[places[name] : places[name] + 4] = value.to_bytes(4, "little")
    return sealed(bytes(changed))


def test_packed_counts_that_do_not_fit_are_refused() -> None:
    block = packed(Predictor(square()))
    assert used(header(block))
    for fields in (
        {"points": 2047, "leaves": 65536, "trees": 16384, "cascades": 2**20},
        {"points": 2047, "leaves": 65536, "trees": 100_000, "cascades": 1000},
        {"leaves": 3},
        {"leaves": 1},
        {"leaves": 0},
        {"trees": 0},
        {"cascades": 0},
        {"cascades": 2**32 - 1},
        {"features": 0},
        {"features": 2},
        {"points": 1},
        {"points": 0},
    ):
        with pytest.raises(ValueError, match=r"not a packed shape predictor|does not write"):
            _engine.ShapePredictor(header(block, **fields))
    for bad in (block[:-1], block[:-64], block + block[:64], block[:40], b""):
        with pytest.raises(ValueError, match="not a packed shape predictor"):
            _engine.ShapePredictor(as_array(bad))


def test_a_packed_array_must_stay_as_it_was_checked() -> None:
    block = np.frombuffer(packed(Predictor(square())), np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        _engine.ShapePredictor(block.copy())
    shifted = np.frombuffer(b"123" + block.tobytes(), np.uint8, offset=3)
    with pytest.raises(ValueError, match="odd place"):
        _engine.ShapePredictor(shifted)


def test_mutated_blocks_with_the_right_checksum_are_refused_or_harmless() -> None:
    block = packed(Predictor(square(), seed=3))
    rng = np.random.default_rng(4)
    accepted = 0
    for _ in range(400):
        try:
            accepted += used(changed(block, rng))
        except ValueError as error:
            assert "does not write" in str(error)  # noqa: PT017
    assert 20 < accepted < 380


def test_a_packed_face_detector_is_checked_before_use() -> None:
    good = packed_detector()
    assert np.array_equal(sealed(good), as_array(good))
    for bad in (b"", good[:10], good[:64], good[:-64], good[:-1], good + bytes(64), bytes(len(good))):
        with pytest.raises(ValueError, match="not a packed face detector"):
            _engine.FaceDetector(as_array(bad))
    flipped = bytearray(good)
    flipped[5000] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        _engine.FaceDetector(as_array(bytes(flipped)))
    # window, cell, padding, smallest level, levels and views stand behind magic, checksum and two doubles
    for field, value in itertools.product(range(8), (0, 1, 3, 2**16, 2**31 - 1, 2**32 - 1)):
        broken = bytearray(good)
        broken[32 + 4 * field : 36 + 4 * field] = value.to_bytes(4, "little")
        limits_only = field in (4, 5, 6)  # they may be others: smaller or fewer levels are searched
        if broken == good or (limits_only and 8 <= value <= 2**16) or (field == 6 and value in (1, 3)):
            assert _engine.FaceDetector(sealed(bytes(broken))).detect(NOISE).shape[1] == 6
        else:
            with pytest.raises(ValueError, match="not a packed face detector"):
                _engine.FaceDetector(sealed(bytes(broken)))


def test_mutated_face_detectors_with_the_right_checksum_are_refused_or_harmless() -> None:
    good = packed_detector()
    rng = np.random.default_rng(2)
    accepted = 0
    for _ in range(60):
        try:
            found = _engine.FaceDetector(changed(good, rng)).detect(NOISE, -1.0)
        except ValueError as error:
            assert "packed face detector" in str(error)  # noqa: PT017
        else:
            accepted += 1
            assert np.isfinite(found).all()
    assert 5 < accepted < 55


# --------------------------------------------------------------------------------------------- arrays


def odd_arrays() -> list[object]:
    """What is handed to every array argument in turn."""
    rng = np.random.default_rng(6)
    shapes = [(), (0,), (1,), (4,), (5,), (2, 3), (3, 2), (0, 4), (1, 4), (1, 3), (0, 5), (1, 1), (9, 9)]
    shapes += [(2, 2, 3), (1, 2, 3), (3, 3, 4), (5, 5, 0), (4, 4, 4, 1), (3, 3, 1, 2), (1,) * 9, (20_001, 4)]
    kinds = [
        "u1",
        "i1",
        "<u2",
        ">u4",
        "i8",
        "f2",
        "<f4",
        ">f8",
        "g",
        "?",
        "c8",
        "S3",
        "U2",
        "M8[s]",
        "m8",
        "O",
    ]
    odd: list[object] = [None, "text", b"bytes", 3, 2.5, [1, 2], [[1.0] * 4], object(), {}]
    for shape, kind in itertools.product(shapes, kinds):
        odd.append((rng.integers(0, 2, shape) * 5).astype(kind))
    for shape, value in itertools.product(
        [(4,), (1, 4), (2, 3), (1, 2, 3), (5,)], [np.nan, np.inf, -1e300, 1e9]
    ):
        odd.append(np.full(shape, value))
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    odd += [image[:, ::-1], image[::2], image[:, :, :2], image[:, :, 0], image.transpose(1, 0, 2), image[:0]]
    odd += [np.asfortranarray(image[:, :, 1]), np.ma.masked_array(image, image > 99), image.view(np.recarray)]
    odd += [np.broadcast_to(np.uint8(7), (2**20, 2**20)), np.broadcast_to(np.float64(7), (2**40, 4))]
    odd += [np.lib.stride_tricks.as_strided(np.zeros(9), (3, 2), (0, -8)), np.zeros(3, "u1,f8")]
    odd += [np.frombuffer(bytes(33), "f8", 4, 1), np.frombuffer(bytes(97), "f8", 4, 1).reshape(1, 4)]
    odd += [np.frombuffer(bytes(17), "f4", 4, 1), np.frombuffer(bytes(49), "f8", 6, 1).reshape(2, 3)]
    return odd


def calls() -> dict[str, Callable[[object], object]]:
    """Every array argument of the engine, with what else it needs."""
    predictor = _engine.ShapePredictor(as_array(packed(Predictor(square()))))
    detector = _engine.FaceDetector(as_array(packed_detector()))
    weights: list[NDArray[np.float32]] = [
        np.ones((3, 3, 1, 2), np.float32),
        np.ones((32, 2), np.float32),
        np.ones((2, 4), np.float32),
    ]
    biases = [np.zeros(n, np.float32) for n in (2, 2, 4)]
    network = _engine.PatchNetwork(weights, biases, 8)
    layers = [np.ones((1, 1, *channels), np.float32) for channels in ((3, 2), (2, 2), (2, 2), (4, 2), (2, 4))]
    shifts = [np.zeros(w.shape[3], np.float32) for w in layers]
    cover = _engine.CoverNetwork(layers, shifts, 2, 8)
    eye, jitter, mirror = np.eye(2, 3), np.array([[0.0, 0, 1]]), np.arange(5)

    def swapped(items: list[NDArray[np.float32]], at: int, item: object) -> list[object]:
        return [item if i == at else kept for i, kept in enumerate(items)]

    def align(image=NOISE, box=BOX[0], jitter=jitter, mirror=mirror):  # type: ignore[no-untyped-def]
        return predictor.align(image, box, jitter, mirror, 64, 64, 0.4, 160)

    named: dict[str, Callable[..., object]] = {
        "shrink": lambda a: _engine.shrink(a, 2),
        "warp image": lambda a: _engine.warp(a, eye, 9, 9),
        "warp matrix": lambda a: _engine.warp(NOISE, a, 9, 9),
        "pack": lambda a: _engine.pack_shape_predictor(a),
        "predictor": lambda a: _engine.ShapePredictor(a),
        "predict image": lambda a: predictor.predict(a, BOX),
        "predict boxes": lambda a: predictor.predict(NOISE, a),
        "align image": lambda a: align(image=a),
        "align box": lambda a: align(box=a),
        "align jitter": lambda a: align(jitter=a),
        "align mirror": lambda a: align(mirror=a),
        "detector": lambda a: _engine.FaceDetector(a),
        "detect": lambda a: detector.detect(a, -0.5),
        "look image": lambda a: network.predict(a, np.eye(2, 3)[None]),
        "look maps": lambda a: network.predict(NOISE, a),
        "weights": lambda a: _engine.PatchNetwork(a, biases, 8),
        "biases": lambda a: _engine.PatchNetwork(weights, a, 8),
        "cover picture": cover.predict,
        "cover weights": lambda a: _engine.CoverNetwork(a, shifts, 2, 8),
        "cover biases": lambda a: _engine.CoverNetwork(layers, a, 2, 8),
    }
    for i in range(len(layers)):
        named[f"cover weights {i}"] = lambda a, i=i: _engine.CoverNetwork(swapped(layers, i, a), shifts, 2, 8)
        named[f"cover biases {i}"] = lambda a, i=i: _engine.CoverNetwork(layers, swapped(shifts, i, a), 2, 8)
    for i in range(3):
        named[f"weights {i}"] = lambda a, i=i: _engine.PatchNetwork(swapped(weights, i, a), biases, 8)
        named[f"biases {i}"] = lambda a, i=i: _engine.PatchNetwork(weights, swapped(biases, i, a), 8)
    return named


def test_odd_arrays_are_refused_or_harmless() -> None:
    odd, tried, harmless = odd_arrays(), 0, 0
    for name, call in calls().items():
        for array in odd:
            tried += 1
            try:
                result = call(array)
            except (ValueError, TypeError):
                continue
            harmless += 1
            for part in result if isinstance(result, tuple) else (result,):
                if isinstance(part, np.ndarray):
                    assert np.isfinite(part).all(), (name, array)
    assert tried > 8000
    assert 50 < harmless < 1000


def test_odd_numbers_are_refused() -> None:
    predictor = _engine.ShapePredictor(as_array(packed(Predictor(square()))))
    detector = _engine.FaceDetector(as_array(packed_detector()))
    eye, jitter, mirror = np.eye(2, 3), np.array([[0.0, 0, 1]]), np.arange(5)
    odd = [-(2**70), -(2**31), -1, 2**40, 2**63, 2**70, np.nan, np.inf, -np.inf, 1e300, None, "7", []]
    calls: list[Callable[[object], object]] = [
        lambda n: _engine.shrink(NOISE, n),
        lambda n: _engine.warp(NOISE, eye, n, 9),
        lambda n: _engine.warp(NOISE, eye, 9, n),
        lambda n: predictor.align(NOISE, BOX[0], jitter, mirror, n, 64, 0.4, 160),
        lambda n: predictor.align(NOISE, BOX[0], jitter, mirror, 64, n, 0.4, 160),
        lambda n: predictor.align(NOISE, BOX[0], jitter, mirror, 64, 64, n, 160),
        lambda n: predictor.align(NOISE, BOX[0], jitter, mirror, 64, 64, 0.4, n),
        lambda n: _engine.PatchNetwork([], [], n),
        lambda n: _engine.CoverNetwork([], [], n, 8),
        lambda n: _engine.CoverNetwork([], [], 2, n),
    ]
    for n, call in itertools.product(odd, calls):
        with pytest.raises((ValueError, TypeError)):
            call(n)
    for n in (-(2**70), -1, 0, np.nan, 1.5, None):
        with pytest.raises((ValueError, TypeError)):
            detector.detect(NOISE, 0.0, n)
    for n in (-2.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="threshold"):
            detector.detect(NOISE, n)


def test_pictures_of_few_pixels_have_no_face() -> None:
    detector = _engine.FaceDetector(as_array(packed_detector()))
    for height, width in itertools.product((1, 2, 3, 7, 12, 20, 79), (1, 2, 3, 11, 21, 80, 700)):
        for shape in ((height, width), (height, width, 3)):
            assert detector.detect(np.zeros(shape, np.uint8)).shape == (0, 6)


def test_faces_far_beyond_the_picture_are_no_fault() -> None:
    predictor = _engine.ShapePredictor(as_array(packed(Predictor(square()))))
    jitter, mirror = np.array([[0.0, 0, 1]]), np.arange(5)
    for box in (
        [-9e6, -9e6, 9e6, 9e6],
        [9e6, 9e6, 9e6, 9e6],
        [5, 5, 5, 5],
        [80, 80, 10, 10],
        [0, 0, 1e-9, 1e-9],
    ):
        found, chip = predictor.align(NOISE, np.array(box), jitter, mirror, 64, 64, 4, 160)
        assert np.isfinite(found).all()
        assert chip.shape == (576, 576)
    many = np.tile(BOX, (1000, 1)) + np.random.default_rng(0).normal(0, 2, (1000, 4))
    together = predictor.predict(NOISE, many)
    assert np.array_equal(together[700], predictor.predict(NOISE, many[700:701])[0])
    turned = np.array([[-3.0, 1e-9, 50], [0, 1e6, -9e6]])
    assert _engine.warp(NOISE, turned, 3, 100_000).shape == (3, 100_000)
