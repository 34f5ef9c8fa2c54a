"""dlib's face recognition network as an ONNX graph."""

from __future__ import annotations

import numpy as np

from anthropo.encoder.onnx_graph import Graph
from anthropo.encoder.resnet_weights import BLOCKS, DIMENSION, SCALE, SIZE, Floats, ResNetWeights

CHIPS, EMBEDDING = "chips", "embedding"  # names of its input and output


def embedding_graph(weights: ResNetWeights) -> bytes:
    """Grey levels, float32 (n, 150, 150, 3), to embeddings (n, 128)."""
    graph = Graph()
    x = graph.node("Transpose", graph.input(CHIPS, ("n", SIZE, SIZE, 3)), perm=(0, 3, 1, 2))
    x = graph.node("Relu", _conv(graph, x, _from_grey_levels(weights), halved=True))
    x = graph.node("MaxPool", x, kernel_shape=(3, 3), strides=(2, 2))
    side, channels = ((SIZE - 7) // 2 + 1 - 3) // 2 + 1, len(weights.convolutions[0][1])
    pairs = zip(weights.convolutions[1::2], weights.convolutions[2::2], strict=True)
    for (first, second), (filters, halved) in zip(pairs, BLOCKS, strict=True):
        y = _conv(graph, graph.node("Relu", _conv(graph, x, first, halved)), second, halved=False)
        if halved:
            x = graph.node("AveragePool", x, kernel_shape=(2, 2), strides=(2, 2))
            pooled, convolved = side // 2, (side - 3) // 2 + 1
            side = max(pooled, convolved)
            x = _padded(graph, x, filters - channels, side - pooled)
            y = _padded(graph, y, 0, side - convolved)
            channels = filters
        x = graph.node("Relu", graph.node("Add", y, x))
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    graph.output(
        graph.node("Gemm", x, graph.constant(weights.projection), transB=1), EMBEDDING, ("n", DIMENSION)
    )
    return graph.to_bytes()


def _from_grey_levels(weights: ResNetWeights) -> tuple[Floats, Floats]:
    """The first convolution of grey levels: it pads nothing, so that its bias takes over the mean pixel."""
    kernel, bias = weights.convolutions[0]
    scaled = kernel.astype(np.float64) / SCALE
    moved = bias - (scaled * weights.mean[:, None, None]).sum((1, 2, 3))
    return scaled.astype(np.float32), moved.astype(np.float32)


def _conv(graph: Graph, x: str, weights: tuple[Floats, Floats], halved: bool) -> str:
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
