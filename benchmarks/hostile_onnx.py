"""ONNX files and sidecars that nobody honest makes, for fuzz_models.py: each is refused, or encodes a face.

A case is a zip of net.onnx and, of most, net.onnx.toml. Good ones are networks written by hand (a convolution
and a mean colour, of a whole photo, of aligned regions and on ArcFace's five points) and what
`anthropo export` writes, which says itself what its pictures are.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzzing import Case, Rng, pick

import anthropo
from anthropo.encoder.onnx_graph import Graph
from anthropo.errors import AnthropoError, PhotoError

SIZE = 32
#: Fields of ONNX's messages that are messages themselves, by the message.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "property"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph"},
    "value": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {1: "size"},
}
_NUMBERS = (0, 1, 2, 3, 7, 16, 31, 33, 127, 1024, 1 << 20, 1 << 31, 1 << 32, (1 << 62) + 1, (1 << 64) - 1)
_OPERATORS = (
    b"Loop", b"Scan", b"If", b"ImageDecoder", b"Identity", b"RandomNormalLike", b"Dropout", b"Log", b"Sqrt",
    b"Softmax", b"NonZero", b"Sign", b"Flatten", b"Transpose", b"ArgMax", b"Unknown", b"ATen", b"",
    b"x" * 5000, "Convé\u202e".encode(), b"\xff\xfe", b"Reshape", b"Size", b"Cast", b"StringNormalizer",
)  # fmt: skip
Field = tuple[int, int, Any]  # number, wire type, whole number or bytes
Files = dict[str, bytes]


# ---------------------------------------------------------------------------------- protocol buffers


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def parsed(data: bytes) -> list[Field]:
    """The fields of a message."""
    fields: list[Field] = []
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            fields.append((key >> 3, 0, number()))
            continue
        size = {1: 8, 5: 4}.get(kind) or number()
        fields.append((key >> 3, kind, data[at : at + size]))
        at += size
    return fields


def joined(fields: list[Field]) -> bytes:
    """The message of these fields."""
    out = []
    for number, kind, value in fields:
        out.append(_varint(number << 3 | kind))
        if kind == 0:
            out.append(_varint(value))
        else:
            out += [_varint(len(value)) if kind == 2 else b"", value]
    return b"".join(out)


def edited(
    data: bytes, rng: Rng, edit: Callable[[list[Field], str], None], where: str = "", message: str = "model"
) -> bytes:
    """A message in which one message, of the kind `where` or any, is edited."""
    fields = parsed(data)
    inside = [
        (at, _INSIDE[message][number])
        for at, (number, kind, _) in enumerate(fields)
        if kind == 2 and number in _INSIDE.get(message, {})
    ]
    reach = [(at, name) for at, name in inside if not where or name == where or _leads(name, where)]
    if message == where or not reach or (not where and rng.random() < 0.3):
        edit(fields, message)
        return joined(fields)
    at, name = pick(reach, rng)
    number, kind, value = fields[at]
    fields[at] = number, kind, edited(value, rng, edit, where, name)
    return joined(fields)


@cache
def _leads(message: str, where: str) -> bool:
    """Whether a message may hold one of another kind; a graph within a graph is not looked for."""
    below = set(_INSIDE.get(message, {}).values()) - {"graph"}
    return where in below or any(_leads(name, where) for name in below)


# ------------------------------------------------------------------------------------ good files


def _own(alignment: str) -> Files:
    """A small network that knows nothing, and its sidecar."""
    rng, graph = np.random.default_rng(0), Graph()
    picture = graph.input("picture", ("n", 3, SIZE, SIZE))
    weights = graph.constant(rng.normal(size=(4, 3, 3, 3)).astype(np.float32))
    seen = graph.node("Relu", graph.node("Conv", picture, weights))
    both = [graph.node("Flatten", graph.node("GlobalAveragePool", one)) for one in (seen, picture)]
    graph.output(graph.node("Concat", *both, axis=1), "embedding", ("n", 7))
    says = (
        f'size = {SIZE}\nmean = [127.5, 127.5, 127.5]\nscale = 127.5\ncolour = "BGR"\n'
        f'alignment = "{alignment}"\nlayout = "NCHW"\noutput = "embedding"\ndimension = 7\n'
        'licence = "mine"\ndata = "noise"\n'
    )
    return {"net.onnx": graph.to_bytes(), "net.onnx.toml": says.encode()}


def encoders(few: int | None = None) -> list[Files]:
    """Good files, of all kinds or of so many."""
    from fuzz_models import folder_of_good_files

    folder = folder_of_good_files()
    if not (folder / "encoders").exists():
        from nets import network

        folder.mkdir(parents=True, exist_ok=True)
        for at, alignment in enumerate(("photo", "chip", "arcface")[:few]):
            (folder / f"encoder{at}").write_bytes(packed(_own(alignment)))
        for at, views in enumerate((("face", "mouth"), ("image",))[: None if few is None else 1]):
            with tempfile.TemporaryDirectory() as place:
                net, onnx = Path(place) / "net.anthropo", Path(place) / "net.onnx"
                network("labels", views=views).save(net)
                anthropo.export_network(net, onnx)
                (folder / f"encoder{at + 5}").write_bytes(packed({"net.onnx": onnx.read_bytes()}))
        (folder / "encoders").touch()
    return _unpacked(folder)


@cache
def _unpacked(folder: Path) -> list[Files]:
    return [unpacked(path.read_bytes()) for path in sorted(folder.glob("encoder[0-9]"))]


def packed(files: Files) -> bytes:
    """The zip of a case."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def unpacked(data: bytes) -> Files:
    """What is in the zip of a case."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# ------------------------------------------------------------------------------------------ hostile


def sound(files: Files, rng: Rng) -> Files:
    """Nothing: what is sound has to be accepted."""
    return files


def fields(files: Files, rng: Rng) -> Files:
    """Fields of messages that are missing, twice, of another kind or value."""

    def edit(of: list[Field], message: str) -> None:
        if not of:
            return
        at = int(rng.integers(len(of)))
        number, kind, value = of[at]
        way = int(rng.integers(7))
        if way == 0:
            del of[at]
        elif way == 1:
            of.insert(int(rng.integers(len(of))), of[at])
        elif way == 2:
            of[at] = int(rng.integers(1, 32)), kind, value
        elif way == 3 and kind == 0:
            of[at] = number, 0, pick(_NUMBERS, rng)
        elif way == 4 and kind == 2:
            of[at] = number, 2, value[: int(rng.integers(len(value) + 1))]
        elif way == 5:
            of[at] = (number, 0, 1) if kind == 2 else (number, 2, b"12")
        else:
            of += [of[at]] * int(10 ** rng.uniform(0, 3))

    return {**files, "net.onnx": edited(files["net.onnx"], rng, edit)}


def operators(files: Files, rng: Rng) -> Files:
    """Operators that are others, of other domains, or without end."""

    def edit(of: list[Field], message: str) -> None:
        way = int(rng.integers(4))
        if way == 0:
            of.append((7, 2, pick((b"com.microsoft", b"ai.onnx.ml", b"evil", b"ai.onnx", b"../x.so"), rng)))
            return
        for at, (number, _, _) in enumerate(of):
            if number == (4 if way < 3 else int(rng.integers(1, 3))):
                of[at] = number, 2, pick(_OPERATORS, rng)

    return {**files, "net.onnx": edited(files["net.onnx"], rng, edit, "node")}


def sizes(files: Files, rng: Rng) -> Files:
    """Sizes of pictures, embeddings and weights that lie, or would take all memory."""

    def size(of: list[Field], message: str) -> None:
        of[:] = [] if rng.random() < 0.1 else [(1, 0, pick(_NUMBERS, rng))]

    def tensor(of: list[Field], message: str) -> None:
        way = int(rng.integers(4))
        for at, (number, kind, value) in enumerate(of):
            if way == 0 and number == 1 and kind == 0:
                of[at] = 1, 0, pick(_NUMBERS, rng)
            elif way == 1 and number == 2:
                of[at] = 2, 0, int(rng.integers(0, 20))
            elif way == 2 and number == 9:
                of[at] = 9, 2, value[: int(rng.integers(len(value) + 1))]
        if way == 3:  # weights that lie in another file
            pair = joined([(1, 2, b"location"), (2, 2, b"/etc/passwd")])
            of += [(13, 2, pair), (14, 0, 1)]

    if rng.random() < 0.5:
        return {**files, "net.onnx": edited(files["net.onnx"], rng, size, "size")}
    return {**files, "net.onnx": edited(files["net.onnx"], rng, tensor, "tensor")}


def answers(files: Files, rng: Rng) -> Files:
    """Networks that are well formed, and give nonsense or ask for too much."""
    graph = Graph()
    picture = graph.input("picture", ("n", 3, SIZE, SIZE))
    mean = graph.node("Flatten", graph.node("GlobalAveragePool", picture))
    huge = graph.constant(np.array([1, int(10 ** rng.uniform(5, 12))], np.int64))
    zero = graph.constant(np.zeros(3, np.float32))
    shape = graph.constant(np.array([-1], np.int64))
    made = (
        lambda: graph.node("Log", graph.node("Mul", mean, zero)),
        lambda: graph.node("Div", mean, graph.node("Sub", mean, mean)),
        lambda: graph.node("RandomNormalLike", mean),
        lambda: graph.node("Expand", graph.node("Slice", mean, *[
            graph.constant(np.array([n], np.int64)) for n in (0, 1, 1)]), huge),
        lambda: graph.node("Reshape", mean, shape),
        lambda: graph.node("Shape", mean),
        lambda: graph.node("NonZero", mean),
        lambda: graph.node("Mul", mean, zero),
        lambda: picture,
        lambda: graph.node("Exp", graph.node("Mul", mean, graph.constant(np.full(3, 1e4, np.float32)))),
    )  # fmt: skip
    graph.output(pick(made, rng)(), "embedding", ("n", int(pick((3, 7, 1), rng))))
    says = _own("photo")["net.onnx.toml"].replace(
        b"dimension = 7\n", b"" if rng.random() < 0.8 else b"dimension = 3\n"
    )
    return {**files, "net.onnx": graph.to_bytes(), "net.onnx.toml": says}


def damage(files: Files, rng: Rng) -> Files:
    """Bytes that flipped, or are missing."""
    data = bytearray(files["net.onnx"])
    if rng.random() < 0.3:
        return {**files, "net.onnx": bytes(data[: int(rng.integers(len(data)))])}
    for at in rng.integers(0, len(data), 1 + int(rng.integers(6))):
        data[at] ^= 1 << int(rng.integers(8))
    return {**files, "net.onnx": bytes(data)}


_SAID = (
    "0", "-1", "1", "15", "31", "33", "1024", "1025", "10000000000000", "1e300", "nan", "inf", "-inf", "true",
    '""', '"x"', '"RGB"', '"grey"', '"NHWC"', '"arcface"', '"chip"', "[]", "[1]", "[1, 2]", "[1, 2, 3, 4]",
    "[nan, 1, 1]", "[[1], 2, 3]", "{}", "1979-05-27", '"' + "x" * 600 + '"', '"\\u202e"', '"\\u0000"',
    "[0, 0, 0]",
)  # fmt: skip


def sidecars(files: Files, rng: Rng) -> Files:
    """Sidecars that lie, are none, or bite."""
    text = files.get("net.onnx.toml", _own("photo")["net.onnx.toml"]).decode()
    lines = text.splitlines()
    way = int(rng.integers(8))
    if way < 5:
        for _ in range(1 + int(rng.random() < 0.2)):
            at = int(rng.integers(len(lines)))
            lines[at] = f"{lines[at].partition(' = ')[0]} = {pick(_SAID, rng)}"
    elif way == 5:
        del lines[int(rng.integers(len(lines)))]
    elif way == 6:
        more = (
            "permissive = true",
            "size = 32",
            "more = 1",
            "[size]",
            "[[mean]]",
            "a" * 1000,
            "commercial_use = 1",
        )
        lines.insert(int(rng.integers(len(lines) + 1)), pick(more, rng))
    else:
        deep = int(10 ** rng.uniform(1, 4.5))
        odd = ("mean = " + "[" * deep, "size = 1" + "0" * deep, "a." * deep + "b = 1", "\x00", "size")
        lines.append(pick(odd, rng))
    data = "\n".join(lines).encode("utf-16" if rng.random() < 0.05 else "utf-8")
    return {**files, "net.onnx.toml": data}


def properties(files: Files, rng: Rng) -> Files:
    """An exported file that lies about its pictures and licences, or one's own that claims to be exported."""
    values: tuple[Any, ...] = (
        None, True, 0, -1, 16, 32, 33, 64, 1 << 40, 1e308, "face", ["face"], ["image"], ["face", "face"], [],
        {}, "canonical", "none", "windows", "scaled", [{"name": "face-resnet", "permissive": True}], [1],
        "x" * 3000, "\u202e", [[]] * 1000,
    )  # fmt: skip

    def edit(of: list[Field], message: str) -> None:
        at = [i for i, (number, _, _) in enumerate(of) if number == 14]
        names = [{n: v for n, _, v in parsed(of[i][2])}.get(1, b"") for i in at]
        known = (b"views", b"size", b"dimension", b"alignment", b"crops", b"weights", b"task", b"anthropo")
        name = pick(known, rng)
        value = pick(values, rng)
        text = value.encode() if isinstance(value, str) and rng.random() < 0.5 else json.dumps(value).encode()
        if rng.random() < 0.1:
            text = b"[" * int(10 ** rng.uniform(1, 5))
        pair = joined([(1, 2, name), (2, 2, text)])
        if name in names and rng.random() < 0.8:
            of[at[names.index(name)]] = 14, 2, pair
        else:
            of.append((14, 2, pair))

    return {**files, "net.onnx": edited(files["net.onnx"], rng, edit, "model")}


KINDS = (sound, fields, operators, sizes, answers, damage, sidecars, properties)


def _kind(kind: Callable[[Files, Rng], Files]) -> Callable[[Rng], Case]:
    def make(rng: Rng) -> Case:
        with np.errstate(all="ignore"):
            return Case("net.zip", packed(kind(pick(encoders(), rng), rng)))

    return make


# --------------------------------------------------------------------------------------------- using


@cache
def _seen() -> anthropo.Observation:
    return anthropo.observe(anthropo.example_photo(), anthropo.Settings(jitter=1, fine=False))


def use_encoder(path: Path, *, used: bool = True) -> str:
    """Load an encoder, and if that goes well encode a face, twice."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    for name, data in unpacked(path.read_bytes()).items():
        (folder / name).write_bytes(data)
    try:
        encoder = anthropo.load_encoder(f"onnx:{folder / 'net.onnx'}")
    except AnthropoError as error:
        said = str(error)
        if len(said) > 1500 or "net.onnx" not in said or "\n" in said:
            raise AssertionError(f"no sentence about the file: {said[:400]!a}") from error
        return said
    seen = _seen()
    for views in encoder.views or ("face", "mouth"):
        face = None if views == "image" else seen.face
        try:
            once, again = (encoder.embed(seen.photo, face, (views,)) for _ in range(2))
        except PhotoError as error:
            return str(error)
        if once.shape != (1, encoder.dimension) or not np.isfinite(once).all():
            raise AssertionError(f"nonsense: an embedding {once.shape} of {encoder.dimension} numbers")
        if not np.array_equal(once, again):
            raise AssertionError("nonsense: another embedding the second time")
    if os.fspath(folder) in repr(encoder):
        raise AssertionError(f"its line names a folder: {encoder!r}")
    return ""


TARGET = ({kind.__name__: _kind(kind) for kind in KINDS}, use_encoder)
