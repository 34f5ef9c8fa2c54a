"""dlib's face recognition network as ONNX graphs: of embeddings, and of their gradients."""

from __future__ import annotations

import numpy as np

from anthropo.encoder.onnx_graph import Graph
from anthropo.encoder.resnet_weights import BLOCKS, DIMENSION, EARLY, SCALE, SIZE, Floats, ResNetWeights

CHIPS, SEEN, EMBEDDING = "chips", "seen", "embedding"
WANTED, GRADIENT = "wanted", "gradient"

_Pair = tuple[Floats, Floats]  # weights and biases of a convolution


def embedding_graph(weights: ResNetWeights) -> bytes:
    """Grey levels, float32 (n, 150, 150, 3), to embeddings (n, 128)."""
    graph = Graph()
    walk = _Walk(graph, weights)
    _embed(graph, weights, walk.through(_begun(graph, weights), len(BLOCKS)))
    return graph.to_bytes()


def early_graph(weights: ResNetWeights) -> bytes:
    """Grey levels to what the first blocks give, `SEEN` (n, 32, 35, 35)."""
    graph = Graph()
    walk = _Walk(graph, weights)
    graph.output(walk.through(_begun(graph, weights), EARLY), SEEN, _SHAPE)
    return graph.to_bytes()


def late_graph(weights: ResNetWeights) -> bytes:
    """From there to embeddings; and further outputs, which the gradient needs: what each rectifier gave."""
    graph = Graph()
    walk = _Walk(graph, weights, EARLY)
    _embed(graph, weights, walk.through(graph.input(SEEN, _SHAPE), len(BLOCKS)))
    for i, (value, shape) in enumerate(walk.rectified):
        graph.output(value, f"rectified{i}", shape)
    return graph.to_bytes()


def gradient_graph(weights: ResNetWeights) -> bytes:
    """Gradient (n, 32, 35, 35) of that of embeddings, `WANTED` (n, 128), and of what each rectifier gave.

    The layers of the late graph, from the last to the first: of a convolution the same weights transposed.
    """
    walk = _Walk(Graph(), weights, EARLY)  # only for the shapes
    walk.through("", len(BLOCKS))
    graph = Graph()
    names = [graph.input(f"rectified{i}", shape) for i, (_, shape) in enumerate(walk.rectified)]
    x = graph.node("MatMul", graph.input(WANTED, ("n", DIMENSION)), graph.constant(weights.projection))
    channels, side = weights.projection.shape[1], walk.side
    x = graph.node("Reshape", x, graph.constant(np.array([-1, channels, 1, 1], dtype=np.int64)))
    x = graph.node("Mul", x, graph.constant(np.full((1, 1, side, side), 1 / side**2, np.float32)))
    for at in range(len(BLOCKS) - 1, EARLY - 1, -1):
        inner, outer = names[2 * (at - EARLY) : 2 * (at - EARLY) + 2]
        x = _block_backwards(graph, x, inner, outer, walk.sides[at - EARLY], _pair(weights, at), at)
    graph.output(x, GRADIENT, _SHAPE)
    return graph.to_bytes()


_SHAPE = ("n", BLOCKS[0][0], 35, 35)


class _Walk:
    """The residual blocks in a graph, from the block `at` on."""

    def __init__(self, graph: Graph, weights: ResNetWeights, at: int = 0) -> None:
        self.graph, self.weights, self.at = graph, weights, at
        self.side, self.channels = 35, BLOCKS[0][0]
        self.sides: list[int] = []  # of each block's input
        self.rectified: list[tuple[str, tuple[int | str, ...]]] = []  # and their shapes

    def through(self, x: str, end: int) -> str:
        """Up to the block `end`."""
        for filters, halved in BLOCKS[self.at : end]:
            first, second = _pair(self.weights, self.at)
            self.sides.append(self.side)
            convolved = (self.side - 3) // 2 + 1 if halved else self.side
            y = self._relu(_conv(self.graph, x, first, halved), filters, convolved)
            y = _conv(self.graph, y, second, halved=False)
            if halved:
                x = self.graph.node("AveragePool", x, kernel_shape=(2, 2), strides=(2, 2))
                pooled = self.side // 2
                self.side = max(pooled, convolved)
                x = _padded(self.graph, x, filters - self.channels, self.side - pooled)
                y = _padded(self.graph, y, 0, self.side - convolved)
                self.channels = filters
            x = self._relu(self.graph.node("Add", y, x), filters, self.side)
            self.at += 1
        return x

    def _relu(self, x: str, channels: int, side: int) -> str:
        x = self.graph.node("Relu", x)
        self.rectified.append((x, ("n", channels, side, side)))
        return x


def _pair(weights: ResNetWeights, block: int) -> tuple[_Pair, _Pair]:
    return weights.convolutions[2 * block + 1], weights.convolutions[2 * block + 2]


def _begun(graph: Graph, weights: ResNetWeights) -> str:
    """What comes before the blocks."""
    x = graph.node("Transpose", graph.input(CHIPS, ("n", SIZE, SIZE, 3)), perm=(0, 3, 1, 2))
    x = graph.node("Relu", _conv(graph, x, _from_grey_levels(weights), halved=True))
    return graph.node("MaxPool", x, kernel_shape=(3, 3), strides=(2, 2))


def _embed(graph: Graph, weights: ResNetWeights, x: str) -> None:
    """What comes after the blocks."""
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    x = graph.node("Gemm", x, graph.constant(weights.projection), transB=1)
    graph.output(x, EMBEDDING, ("n", DIMENSION))


def _block_backwards(
    graph: Graph, x: str, inner: str, outer: str, side: int, pair: tuple[_Pair, _Pair], at: int
) -> str:
    """The gradient before a block, whose input has this side, of that behind it."""
    (first, _), (second, _) = pair
    halved = BLOCKS[at][1]
    x = y = graph.node("Mul", x, graph.node("Sign", outer))  # a rectifier lets through where it gave anything
    if not halved:
        y = graph.node("Mul", _transposed(graph, y, second), graph.node("Sign", inner))
        return graph.node("Add", x, _transposed(graph, y, first))
    convolved, pooled = (side - 3) // 2 + 1, side // 2
    if max(convolved, pooled) > convolved:
        y = _cut(graph, y, len(second), convolved)
    x = _cut(graph, x, first.shape[1], pooled)
    y = graph.node("Mul", _transposed(graph, y, second), graph.node("Sign", inner))
    y = graph.node("ConvTranspose", y, graph.constant(first), kernel_shape=(3, 3), strides=(2, 2))
    y = _padded(graph, y, 0, side - (2 * convolved + 1))
    x = graph.node("Resize", x, "", graph.constant(np.array([1, 1, 2, 2], dtype=np.float32)))
    x = _padded(
        graph, graph.node("Mul", x, graph.constant(np.array([0.25], dtype=np.float32))), 0, side - 2 * pooled
    )
    return graph.node("Add", x, y)


def _transposed(graph: Graph, x: str, kernel: Floats) -> str:
    """Backwards through a convolution that keeps the picture's size: one of the turned weights."""
    turned = np.ascontiguousarray(kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
    return graph.node("Conv", x, graph.constant(turned), kernel_shape=(3, 3), pads=(1, 1, 1, 1))


def _cut(graph: Graph, x: str, channels: int, side: int) -> str:
    """The first so many channels, rows and columns."""
    starts, ends, axes = (np.array(a, dtype=np.int64) for a in ((0, 0, 0), (channels, side, side), (1, 2, 3)))
    return graph.node("Slice", x, *(graph.constant(a) for a in (starts, ends, axes)))


def _from_grey_levels(weights: ResNetWeights) -> _Pair:
    """The first convolution of grey levels: it pads nothing, so that its bias takes over the mean pixel."""
    kernel, bias = weights.convolutions[0]
    scaled = kernel.astype(np.float64) / SCALE
    moved = bias - (scaled * weights.mean[:, None, None]).sum((1, 2, 3))
    return scaled.astype(np.float32), moved.astype(np.float32)


def _conv(graph: Graph, x: str, weights: _Pair, halved: bool) -> str:
    """dlib pads a convolution so that it keeps the picture's size, or, when it halves it, not at all."""
    side = weights[0].shape[-1]
    stride, padding = (2, 0) if halved else (1, side // 2)
    kernel, bias = (graph.constant(array) for array in weights)
    return graph.node(
        "Conv", x, kernel, bias, kernel_shape=(side, side), strides=(stride,) * 2, pads=(padding,) * 4
    )


def _padded(graph: Graph, x: str, channels: int, pixels: int) -> str:
    """With so many channels, rows and columns of zeros at the end."""
    if not channels and not pixels:
        return x
    pads = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], dtype=np.int64)
    return graph.node("Pad", x, graph.constant(pads))
