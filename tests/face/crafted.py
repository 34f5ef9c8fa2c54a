"""Landmark models and cache entries made byte by byte, right ones and wrong ones."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.face import _engine

Bytes = NDArray[np.uint8]

NOISE = np.random.default_rng(11).integers(0, 256, (90, 110), dtype=np.uint8)
BOX = np.array([[10.0, 12, 80, 79]])  # of a face in it, if it were one


def integer(value: int, *, signed: bool = False) -> bytes:
    """A whole number as dlib writes it: a byte with the length and the sign, then the magnitude."""
    magnitude = abs(value)
    digits = magnitude.to_bytes(max(1, (magnitude.bit_length() + 7) // 8), "little")
    return bytes([len(digits) | (0x80 if signed and value < 0 else 0)]) + digits


def real(value: float) -> bytes:
    """A number as dlib writes it: mantissa and power of two; infinity and NaN are codes."""
    if math.isnan(value) or math.isinf(value):
        code = 32002 if math.isnan(value) else 32000 if value > 0 else 32001
        return integer(0, signed=True) + integer(code, signed=True)
    mantissa, exponent = math.frexp(value)
    return integer(int(mantissa * 2**24), signed=True) + integer(exponent - 24, signed=True)


def column(values: Sequence[float], rows: int | None = None, columns: int = 1) -> bytes:
    """A matrix of one column."""
    size = integer(len(values) if rows is None else rows, signed=True) + integer(columns, signed=True)
    return size + b"".join(map(real, values))


def vector(items: Sequence[bytes], count: int | None = None) -> bytes:
    """A list of what is serialised already; `count` may be a lie."""
    return integer(len(items) if count is None else count) + b"".join(items)


@dataclass
class Predictor:
    """A small shape predictor. Fields may be set to what no trainer writes."""

    shape: list[float]
    cascades: int = 2
    trees: int = 3
    leaves: int = 4
    features: int = 6
    seed: int = 0
    anchor: int | None = None  # of every feature; otherwise one that exists
    first: int | None = None  # of the features that a split compares
    counts: dict[str, int] = field(default_factory=dict)  # announced in place of the true ones
    leaf: float | None = None
    threshold: float | None = None
    delta: float | None = None

    def dat(self) -> bytes:
        """The content of the .dat file."""
        rng = np.random.default_rng(self.seed)
        points, width = len(self.shape) // 2, len(self.shape)

        def some(fixed: Any, otherwise: Any) -> Any:
            return otherwise if fixed is None else fixed

        def tree() -> bytes:
            splits = [
                integer(some(self.first, int(rng.integers(self.features))))
                + integer(int(rng.integers(self.features)))
                + real(some(self.threshold, float(np.float32(rng.normal(0, 40)))))
                for _ in range(self.leaves - 1)
            ]
            leaves = [
                column(
                    [some(self.leaf, float(v)) for v in rng.normal(0, 0.002, width).astype(np.float32)],
                    self.counts.get("width"),
                )
                for _ in range(self.leaves)
            ]
            return vector(splits, self.counts.get("splits")) + vector(leaves, self.counts.get("leaves"))

        forests = [
            vector([tree() for _ in range(self.trees)], self.counts.get("trees"))
            for _ in range(self.cascades)
        ]
        anchors = [
            vector(
                [integer(some(self.anchor, int(rng.integers(points)))) for _ in range(self.features)],
                self.counts.get("anchors"),
            )
            for _ in range(self.cascades)
        ]
        deltas = [
            vector(
                [
                    real(some(self.delta, float(np.float32(x)))) + real(float(np.float32(y)))
                    for x, y in rng.normal(0, 0.1, (self.features, 2))
                ],
                self.counts.get("deltas"),
            )
            for _ in range(self.cascades)
        ]
        return (
            integer(1, signed=True)
            + column(self.shape, self.counts.get("shape"))
            + vector(forests, self.counts.get("cascades"))
            + vector(anchors)
            + vector(deltas)
        )


def square(points: int = 5) -> list[float]:
    """Points spread over a box, x and y in turn."""
    return [float(np.float32(v)) for v in np.random.default_rng(7).uniform(0.1, 0.9, 2 * points)]


def as_array(data: bytes) -> Bytes:
    """Bytes as the engine takes them."""
    return np.frombuffer(data, np.uint8)


def checksum(block: bytes) -> int:
    """The engine's sum of a block, worked out again."""
    factor, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    words = np.frombuffer(block, "<u8").reshape(-1, 8)
    sums = np.cumsum(np.vstack([np.arange(1, 9, dtype=np.uint64), words]), axis=0, dtype=np.uint64)
    total = 0
    for lane in [*sums[-1].tolist(), *sums[1:].sum(axis=0, dtype=np.uint64).tolist()]:
        total = (total ^ lane) * factor & mask
        total ^= total >> 32
    return total


def sealed(block: bytes) -> Bytes:
    """A packed block with the checksum that belongs to it, however its other bytes were changed."""
    blank = block[:8] + bytes(8) + block[16:]
    return as_array(blank[:8] + struct.pack("<Q", checksum(blank)) + blank[16:])


def entry(name: str, block: bytes) -> bytes:
    """A file of the weights cache."""
    return hashlib.sha256(name.encode()).hexdigest().encode() + block


def packed(predictor: Predictor) -> bytes:
    return _engine.pack_shape_predictor(as_array(predictor.dat())).tobytes()


_LOUD = tuple(map(bytes.fromhex, ("00", "ff", "08" + "ff" * 8, "0100", "88" + "ff" * 8, "02007d", "0f")))


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes flipped, cut, doubled, or overwritten by what lengths and codes are made of."""
    broken = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        # half of the time near the beginning, where counts are
        at = int(rng.integers(min(len(broken), 60) if rng.random() < 0.5 else len(broken)))
        kind = rng.integers(5)
        if kind == 0:
            broken[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            noise = _LOUD[int(rng.integers(len(_LOUD)))]
            broken[at : at + len(noise)] = noise
        elif kind == 2 and len(broken) > 100:
            del broken[at : at + int(rng.integers(1, 20))]
        elif kind == 3:
            broken[at:at] = broken[at : at + int(rng.integers(1, 40))]
        else:
            broken[at] = int(rng.integers(256))
    return bytes(broken)


def changed(block: bytes, rng: np.random.Generator) -> Bytes:
    """A packed block with a few other bytes, half of them near its beginning, and the right checksum."""
    broken = bytearray(block)
    for at in rng.integers(16, rng.choice([64, 200, len(block)]), rng.integers(1, 4)):
        broken[at] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
    return sealed(bytes(broken))


def used(block: Bytes) -> bool:
    """Whether a packed predictor is accepted; then its landmarks must be numbers."""
    try:
        predictor = _engine.ShapePredictor(block)
    except ValueError as error:
        assert "packed shape predictor" in str(error)  # noqa: PT017
        return False
    assert np.isfinite(predictor.predict(NOISE, BOX)).all()
    points, jitter = predictor.points, np.array([[0.0, 0, 1], [0.03, -0.02, 1.04]])
    found, chip = predictor.align(NOISE, BOX[0], jitter, np.arange(points), 64, 64, 0.4, 160)
    assert found.shape == (4, points, 2)
    assert np.isfinite(found).all()
    assert chip.shape == (115, 115)
    return True
