"""An ONNX file that may come from anywhere, looked through before anything runs it.

It is a protocol buffer, which is read here field by field without the library onnx, as far as has to be
known: which operators it uses, what it takes and gives, where its weights lie. What a network of pictures
does not need is refused: operators of other domains (ONNX Runtime would look for a library of them), its own
functions, weights in other files (which would be read from wherever the file says), loops.
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto has the numbers of the fields.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from anthropo.errors import WeightsError
from anthropo.plain import visible

MOST_BYTES = 1 << 30  # of a file; the largest face networks have 0.3 GB
_STANDARD = ("", "ai.onnx")
#: Operators that run others again and again, or read other files: no network of pictures needs them.
_REFUSED = frozenset(("Loop", "Scan", "SequenceMap", "ImageDecoder"))
_MOST_NODES = 100_000
_MOST_AXES = 16  # of a tensor
_DEEPEST = 8  # graphs within graphs
_LONGEST = 1000  # bytes of a name
_EXTERNAL = 1  # data_location

FLOAT, UINT8 = 1, 2  # of the types of tensors
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "text",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output."""

    name: str
    kind: int  # type of its numbers; 0: not stated
    shape: tuple[int | None, ...]  # None: changes from call to call; empty: not stated

    def __str__(self) -> str:
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{visible(self.name)}: {_TYPES.get(self.kind, 'unknown')} ({sizes})"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    """What has to be known of an ONNX file."""

    inputs: tuple[Value, ...]  # without those that the file has values for
    outputs: tuple[Value, ...]
    operators: frozenset[str]
    parameters: int  # numbers in its weights
    metadata: dict[str, str]
    weights: tuple[tuple[int, int], ...] = field(repr=False)  # where float32 weights lie: first byte, bytes


class _Strange(Exception):
    """The bytes are no ONNX file."""


class _Refuse(Exception):
    """The file asks for something that it is not given."""


def look_through(data: bytes, where: str) -> OnnxFile:
    """What a file holds; a WeightsError if it is none, or asks for what no network of pictures needs.

    Raises
    ------
    WeightsError
        If it does.
    """
    if len(data) > MOST_BYTES:
        raise WeightsError(f"{where}: {len(data) / 1e9:.1f} GB, and an ONNX file of at most 1 GB is read.")
    looked = _Look(data)
    try:
        looked.model()
    except _Refuse as reason:
        raise WeightsError(f"{where}: {visible(str(reason))}.") from None
    except (_Strange, UnicodeDecodeError, OverflowError):
        raise WeightsError(
            f"{where}: not an ONNX file, damaged or incomplete. Export the network again, or copy it again."
        ) from None
    given = looked.initialised
    return OnnxFile(
        inputs=tuple(one for one in looked.inputs if one.name not in given),
        outputs=tuple(looked.outputs),
        operators=frozenset(looked.operators),
        parameters=looked.parameters,
        metadata=looked.metadata,
        weights=tuple(looked.weights),
    )


def shuffled_weights(data: bytes, file: OnnxFile, seed: int) -> bytes:
    """The same file with the float32 weights of each tensor in random order: it knows nothing any more."""
    random, out = np.random.default_rng(seed), bytearray(data)
    for start, size in file.weights:
        numbers = np.frombuffer(data, np.dtype("<f4"), size // 4, start)
        out[start : start + size] = random.permutation(numbers).tobytes()
    return bytes(out)


class _Look:
    """One walk through a file."""

    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.initialised: set[str] = set()
        self.operators: set[str] = set()
        self.metadata: dict[str, str] = {}
        self.weights: list[tuple[int, int]] = []
        self.parameters = 0
        self._nodes = 0

    # ---------------------------------------------------------------------------- the protocol buffer

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self.data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value & (1 << 64) - 1, at
        raise _Strange

    def _fields(
        self, start: int, end: int, parts: Collection[int] = (), numbers: Collection[int] = ()
    ) -> Iterator[tuple[int, int | None, int, int]]:
        """Number and value of each field, and where its bytes are; None where it is no whole number.

        `parts` are texts or messages and `numbers` whole numbers: of another kind, readers of the file
        would not agree on what it says.
        """
        at = start
        while at < end:
            key, at = self._varint(at, end)
            number, kind = key >> 3, key & 7
            if (number in parts and kind != 2) or (number in numbers and kind != 0):
                raise _Strange
            value = None
            if kind == 0:
                value, after = self._varint(at, end)
            elif kind == 2:
                size, at = self._varint(at, end)
                after = at + size
            elif kind in (1, 5):
                after = at + (8 if kind == 1 else 4)
            else:
                raise _Strange
            if after > end:
                raise _Strange
            yield number, value, at, after
            at = after

    def _text(self, start: int, end: int) -> str:
        if end - start > _LONGEST:
            raise _Refuse(f"a name of {end - start:,} bytes")
        return bytes(self.data[start:end]).decode()

    # ------------------------------------------------------------------------------------ its parts

    def model(self) -> None:
        """Read a ModelProto."""
        graphs = versions = 0
        for number, value, start, end in self._fields(0, len(self.data), (7, 8, 14, 20, 25), (1,)):
            if number == 1:
                versions += bool(value)
            elif number == 7:
                graphs += 1
                self._graph(start, end, 0)
            elif number == 14:
                self._property(start, end)
            elif number == 20:
                raise _Refuse(
                    "it holds instructions for training, which nothing here runs. Export it for inference"
                )
            elif number == 25:
                raise _Refuse(
                    "it holds functions of its own, and only ONNX's operators are run. Export it with them "
                    "in line (torch.onnx.export with dynamo=False)"
                )
        if graphs != 1 or not versions or not self._nodes:
            raise _Strange

    def _property(self, start: int, end: int) -> None:
        pair = {1: "", 2: ""}
        for number, _, a, b in self._fields(start, end, (1, 2)):
            if number in pair:
                pair[number] = bytes(self.data[a:b]).decode()
        self.metadata[pair[1]] = pair[2]

    def _graph(self, start: int, end: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise _Refuse(f"it has graphs more than {_DEEPEST} deep within each other")
        for number, _, a, b in self._fields(start, end, (1, 5, 11, 12, 15)):
            if number == 1:
                self._node(a, b, depth)
            elif number == 5:
                name = self._tensor(a, b)
                if depth == 0:
                    self.initialised.add(name)
            elif number == 15:
                self._sparse(a, b)
            elif number in (11, 12) and depth == 0:
                into = self.inputs if number == 11 else self.outputs
                if len(into) >= _MOST_NODES:
                    raise _Refuse(f"it has more than {_MOST_NODES:,} inputs or outputs")
                into.append(self._value(a, b))

    def _value(self, start: int, end: int) -> Value:
        """Read a ValueInfoProto."""
        name, kind = "", 0
        shape: list[int | None] = []
        for number, _, a, b in self._fields(start, end, (1, 2)):
            if number == 1:
                name = self._text(a, b)
            for is_tensor, _, c, d in self._fields(a, b, (1,)) if number == 2 else ():
                if is_tensor != 1:
                    continue
                shape = []
                for part, value, e, f in self._fields(c, d, (2,), (1,)):
                    if part == 1:
                        kind = value or 0
                    elif part == 2:
                        shape = [self._size(g, h) for one, _, g, h in self._fields(e, f, (1,)) if one == 1]
        if len(shape) > _MOST_AXES:
            raise _Refuse(f"its {name!r} has {len(shape)} axes")
        return Value(name, kind, tuple(shape))

    def _size(self, start: int, end: int) -> int | None:
        sizes = [value for number, value, _, _ in self._fields(start, end, (2,), (1,)) if number == 1]
        return sizes[-1] if sizes else None

    def _node(self, start: int, end: int, depth: int) -> None:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise _Refuse(f"it has more than {_MOST_NODES:,} operations")
        operator = domain = ""
        for number, _, a, b in self._fields(start, end, (4, 5, 7)):
            if number == 4:
                operator = self._text(a, b)
            elif number == 7:
                domain = self._text(a, b)
            elif number == 5:
                self._attribute(a, b, depth)
        if domain not in _STANDARD:
            raise _Refuse(
                f"it uses the operator {operator[:60]!r} of {domain[:60]!r}, and only ONNX's own are run. "
                "Export the plain network (quantised and fused ones have such operators)"
            )
        if operator in _REFUSED:
            raise _Refuse(f"it uses the operator {operator}, which no network of pictures needs")
        self.operators.add(operator)

    def _attribute(self, start: int, end: int, depth: int) -> None:
        for number, _, a, b in self._fields(start, end, (5, 6, 10, 11, 22, 23)):
            if number in (5, 10):
                self._tensor(a, b)
            elif number in (6, 11):
                self._graph(a, b, depth + 1)
            elif number in (22, 23):
                self._sparse(a, b)

    def _sparse(self, start: int, end: int) -> None:
        for number, _, a, b in self._fields(start, end, (1, 2)):
            if number in (1, 2):
                self._tensor(a, b)

    def _tensor(self, start: int, end: int) -> str:
        """Note where the weights of a tensor lie; its name."""
        name, kind = "", 0
        sizes: list[int] = []
        raw: tuple[int, int] | None = None
        for number, value, a, b in self._fields(start, end, (8, 9, 13), (2, 14)):
            if number == 1 and value is not None:
                sizes.append(value)
            elif number == 1:  # several in one field
                while a < b:
                    size, a = self._varint(a, b)
                    sizes.append(size)
            elif number == 2:
                kind = value or 0
            elif number == 8:
                name = self._text(a, b)
            elif number == 9:
                raw = (a, b - a)
            elif number == 13 or (number == 14 and value == _EXTERNAL):
                raise _Refuse(
                    "its weights are in another file, and nothing but the file itself is read. Save it as one"
                )
        count = math.prod(sizes)
        if len(sizes) > _MOST_AXES or count > MOST_BYTES:
            raise _Refuse("it states a tensor of more numbers than a file can have")
        self.parameters += count
        if raw and kind == FLOAT and raw[1] == 4 * count:
            self.weights.append(raw)
        return name
