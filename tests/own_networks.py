"""Networks of one's own for tests: a small one as ArcFace has them, and graphs written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from anthropo.encoder.onnx_graph import Graph
from anthropo.quiet import hushed

ARCFACE = """
size = 112
mean = 127.5
scale = 127.5
colour = "BGR"
alignment = "arcface"
licence = "none: made for a test"
data = "noise"
"""


class ArcFaceLike(nn.Module):
    """Convolutions, batch normalisation and PReLU, a fully connected layer of 512 numbers behind them."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((3, 8), (8, 16), (16, 24), (24, 32)):
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.PReLU(b)]
        self.body = nn.Sequential(*layers)
        self.end = nn.Sequential(
            nn.BatchNorm2d(32), nn.Dropout(0.4), nn.Flatten(), nn.Linear(32 * 49, 512), nn.BatchNorm1d(512)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.end(self.body(x))
        return out


def arcface_like(path: Path, sidecar: str = ARCFACE) -> ArcFaceLike:
    """Write one with random weights, and its sidecar."""
    torch.manual_seed(0)
    network = ArcFaceLike().train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 3, 112, 112))
    with hushed(stdout=True):
        torch.onnx.export(
            network.eval(),
            (torch.randn(1, 3, 112, 112),),
            path,
            input_names=["data"],
            output_names=["fc1"],
            dynamic_axes={"data": {0: "n"}, "fc1": {0: "n"}},
            opset_version=14,
            dynamo=False,
        )
    path.with_suffix(".toml").write_text(sidecar)
    return network


def spot(path: Path, rows: slice, columns: slice, size: int = 32, alignment: str = "photo") -> Path:
    """A network that sees how light a part of its picture is, and the mean of all; with a sidecar."""
    mask = np.zeros((1, 3, size, size), np.float32)
    mask[:, :, rows, columns] = 1 / mask[0, :, rows, columns].size
    graph = Graph()
    picture = graph.input("picture", ("n", 3, size, size))
    seen = graph.node("Mul", picture, graph.constant(mask))
    light = graph.node("Flatten", graph.node("GlobalAveragePool", seen))
    ones = graph.constant(np.full((3, 1), size**2, np.float32))
    one = graph.node("MatMul", light, ones)
    whole = graph.node("Flatten", graph.node("GlobalAveragePool", picture))
    graph.output(graph.node("Concat", one, whole, axis=1), "embedding", ("n", 4))
    path.write_bytes(graph.to_bytes())
    path.with_suffix(".toml").write_text(
        f'size = {size}\nmean = 0\nscale = 255\ncolour = "RGB"\nalignment = "{alignment}"\n'
    )
    return path


def busy(path: Path, rows: slice, columns: slice, size: int, alignment: str) -> Path:
    """A network that sees how much a part of its picture changes from pixel to pixel, and nothing else."""
    mask = np.zeros((1, 1, size, size - 1), np.float32)
    mask[:, :, rows, columns] = 1 / mask[0, 0, rows, columns].size
    graph = Graph()
    picture = graph.input("picture", ("n", 3, size, size))
    step = np.repeat(np.array([1, -1], np.float32).reshape(1, 1, 1, 2), 3, 1)
    change = graph.node("Abs", graph.node("Conv", picture, graph.constant(step)))
    seen = graph.node("GlobalAveragePool", graph.node("Mul", change, graph.constant(mask)))
    one = graph.node("Mul", graph.node("Flatten", seen), graph.constant(np.float32([size * (size - 1)])))
    nothing = graph.node("Mul", graph.node("Flatten", graph.node("GlobalAveragePool", picture)),
                         graph.constant(np.zeros(3, np.float32)))  # fmt: skip
    others = graph.node("Add", nothing, graph.constant(np.full(3, 0.1, np.float32)))
    graph.output(graph.node("Concat", one, others, axis=1), "embedding", ("n", 4))
    path.write_bytes(graph.to_bytes())
    path.with_suffix(".toml").write_text(
        f'size = {size}\nmean = 0\nscale = 255\ncolour = "RGB"\nalignment = "{alignment}"\n'
    )
    return path
