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

Bytes = NDArray[np.uint8]


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
    lanes = np.arange(1, 9, dtype=np.uint64)
    for row in words:
        lanes = (lanes ^ row) * np.uint64(factor)
        lanes ^= lanes >> np.uint64(32)
    total = 0
    for lane in lanes.tolist():
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
