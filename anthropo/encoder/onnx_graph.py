"""ONNX graphs, written without the library onnx: node by node into the protocol buffer that a file of it is.

Only what networks here need of the format: float32 and int64 constants, and attributes that are whole
numbers. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto has the numbers of its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IR_VERSION, _OPSET = 8, 17  # of 2022, which every ONNX Runtime from 1.12 on reads
_TYPES = {np.dtype("float32"): 1, np.dtype("int64"): 7}
_INT, _INTS = 2, 7  # kinds of attribute


class Graph:
    """A graph that grows from its inputs on; a value in it is known by its name.

    Examples
    --------
    >>> graph = Graph()
    >>> x = graph.input("x", ("n", 2))
    >>> graph.output(graph.node("Relu", x), "y", ("n", 2))
    >>> b"Relu" in graph.to_bytes()
    True
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = [_field(2, b"anthropo")]
        self._count = 0

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """A float32 input; a text in the shape names a size that may change."""
        self._parts.append(_field(11, _described(name, shape)))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Give a value as an output of this name."""
        self._parts += [self._node("Identity", (value,), name), _field(12, _described(name, shape))]

    def constant(self, array: NDArray[Any]) -> str:
        """Numbers that are part of the graph."""
        name = self._name()
        about = b"".join(_field(1, size) for size in array.shape) + _field(2, _TYPES[array.dtype])
        numbers = array.tobytes()  # in C order, however it lies
        about += _field(8, name.encode()) + _head(9, len(numbers))
        # the numbers are not copied into one text after another
        self._parts += [_head(5, len(about) + len(numbers)), about, numbers]
        return name

    def node(self, operator: str, *inputs: str, **attributes: int | Sequence[int]) -> str:
        """One of ONNX's operators on values; its result."""
        name = self._name()
        self._parts.append(self._node(operator, inputs, name, **attributes))
        return name

    def to_bytes(self) -> bytes:
        """The model, as it would be in an .onnx file."""
        size = sum(len(part) for part in self._parts)
        before = _field(1, _IR_VERSION) + _field(8, _field(2, _OPSET)) + _head(7, size)
        return b"".join([before, *self._parts])

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"

    @staticmethod
    def _node(operator: str, inputs: Sequence[str], output: str, **attributes: int | Sequence[int]) -> bytes:
        parts = [_field(1, name.encode()) for name in inputs]
        parts += [_field(2, output.encode()), _field(4, operator.encode())]
        parts += [_field(5, _attribute(name, value)) for name, value in attributes.items()]
        return _field(1, b"".join(parts))


def _attribute(name: str, value: int | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _field(1, name.encode()) + _field(3, value) + _field(20, _INT)
    return _field(1, name.encode()) + b"".join(_field(8, one) for one in value) + _field(20, _INTS)


def _described(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = [_field(1, size) if isinstance(size, int) else _field(2, size.encode()) for size in shape]
    tensor = _field(1, _TYPES[np.dtype("float32")]) + _field(2, b"".join(_field(1, s) for s in sizes))
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _field(number: int, value: int | bytes) -> bytes:
    """A numbered field: a whole number that is not negative, or bytes."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _head(number, len(value)) + value


def _head(number: int, size: int) -> bytes:
    """What stands before so many bytes."""
    return _varint(number << 3 | 2) + _varint(size)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all bytes but the last have the highest bit."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
