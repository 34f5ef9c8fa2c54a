"""dlib's face recognition network in torch: for its gradients, for training it, and without ONNX Runtime."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from anthropo.encoder.resnet_weights import BLOCKS, DIMENSION, EARLY, GRID, Floats, ResNetWeights


class ResNet(nn.Module):
    """dlib's face recognition network (King 2017, dlib_face_recognition_resnet_model_v1).

    29 convolutions with the shortcuts of He et al. 2016 (CVPR), half of their filters, and dlib's
    parameter-free shortcut where a block halves the picture: average pooling, zeros for the new
    channels and for the rows and columns that one of the two branches lacks.
    """

    def __init__(self, weights: ResNetWeights) -> None:
        super().__init__()
        self.first = _conv(weights.convolutions[0], halved=True)
        pairs = zip(weights.convolutions[1::2], weights.convolutions[2::2], strict=True)
        blocks = [_Block(*pair, halved) for pair, (_, halved) in zip(pairs, BLOCKS, strict=True)]
        self.blocks = nn.Sequential(*blocks)
        self.projection = nn.Linear(weights.projection.shape[1], DIMENSION, bias=False)
        self.projection.weight = nn.Parameter(torch.from_numpy(weights.projection), requires_grad=False)

    #: Of what `early` gives.
    grid = GRID

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (n, 128) of pictures (n, 3, 150, 150), mean subtracted, divided by 256."""
        return self.late(self.early(x))

    def early(self, x: Tensor) -> Tensor:
        """The first blocks, of 32 filters: (n, 32, 35, 35)."""
        x = functional.max_pool2d(functional.relu_(self.first(x)), 3, 2)
        y: Tensor = self.blocks[:EARLY](x)
        return y

    def late(self, x: Tensor) -> Tensor:
        """The rest of the network."""
        y: Tensor = self.projection(self.blocks[EARLY:](x).mean((2, 3)))
        return y

    def map(self, x: Tensor) -> Tensor:
        """The last map of features (n, 256, h, w), before it is averaged."""
        seen: Tensor = self.blocks[EARLY:](self.early(x))
        return seen


class _Block(nn.Module):
    def __init__(self, first: tuple[Floats, Floats], second: tuple[Floats, Floats], halved: bool) -> None:
        super().__init__()
        self.first, self.second, self.halved = _conv(first, halved), _conv(second, False), halved

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(functional.relu_(self.first(x)))
        if self.halved:
            x = functional.avg_pool2d(x, 2)
            rows, columns = (max(x.shape[i], y.shape[i]) for i in (2, 3))
            channels = y.shape[1] - x.shape[1]
            x = functional.pad(x, (0, columns - x.shape[3], 0, rows - x.shape[2], 0, channels))
            y = functional.pad(y, (0, columns - y.shape[3], 0, rows - y.shape[2]))
        return functional.relu_(y + x)


def _conv(weights: tuple[Floats, Floats], halved: bool) -> nn.Conv2d:
    """dlib pads a convolution so that it keeps the picture's size, or, when it halves it, not at all."""
    kernel, bias = (torch.from_numpy(np.ascontiguousarray(w)) for w in weights)
    filters, channels, side, _ = kernel.shape
    stride, padding = (2, 0) if halved else (1, side // 2)
    layer = nn.Conv2d(channels, filters, side, stride, padding, device="meta")
    layer.weight = nn.Parameter(kernel, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer
