"""What computes embeddings: ONNX Runtime where the graph of a network is known, else torch.

A runner is made at no cost: weights are read, and the library is loaded, when the first chip comes. So a run
whose photos were all encoded before needs neither.
"""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.runtime import has_runtime, open_session

if TYPE_CHECKING:
    from torch import Tensor, nn

    from anthropo.encoder.resnet_weights import ResNetWeights

PerChannel = tuple[float, float, float]  # red, green, blue
Pixels = NDArray[np.uint8]


class Runner(ABC):
    """A network for chips of any number type, (n, size, size, 3), grey levels.

    Attributes
    ----------
    mean, scale : tuple of float
        Subtracted from grey levels, and what these are divided by then, before the network sees them.
    """

    mean: PerChannel
    scale: PerChannel

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network in torch, of pictures (n, 3, size, size), for gradients."""

    def embed(self, chips: Pixels) -> NDArray[np.float32]:
        """Embeddings (n, dimension)."""
        import torch

        with torch.inference_mode():
            embedded: Tensor = self.network(self.prepared(torch.from_numpy(np.ascontiguousarray(chips))))
        return embedded.numpy()

    def prepared(self, chips: Tensor) -> Tensor:
        """What the network takes."""
        import torch

        x = (chips - torch.tensor(self.mean)) / torch.tensor(self.scale)
        return x.permute(0, 3, 1, 2)  # in memory it stays channels last

    def randomised(self, seed: int) -> Runner:
        """The same network with the weights of each layer shuffled."""
        return TorchRunner(shuffled(self.network, seed), self.mean, self.scale)


class TorchRunner(Runner):
    """A network in torch."""

    def __init__(self, network: nn.Module, mean: PerChannel, scale: PerChannel) -> None:
        self._network, self.mean, self.scale = ready(network), mean, scale

    @property
    def network(self) -> nn.Module:
        """See `Runner.network`."""
        return self._network


class FaceRunner(Runner):
    """dlib's face recognition network. Its weights are read when they are needed first."""

    def __init__(self, read: Callable[[], ResNetWeights], mean: PerChannel) -> None:
        from anthropo.encoder.resnet_weights import SCALE

        self._read, self.mean, self.scale = read, mean, (SCALE,) * 3
        self._lock = threading.Lock()
        self._network: nn.Module | None = None
        self._session: Any = None

    @property
    def network(self) -> nn.Module:
        """See `Runner.network`."""
        with self._lock:
            if self._network is None:
                import torch

                from anthropo.encoder.resnet import ResNet

                with torch.inference_mode(False):  # whoever asks first, others may want gradients
                    self._network = ready(ResNet(self._read()))
            return self._network

    def embed(self, chips: Pixels) -> NDArray[np.float32]:
        """See `Runner.embed`."""
        if not has_runtime():
            return super().embed(chips)
        from anthropo.encoder.resnet_graph import CHIPS, EMBEDDING, embedding_graph

        with self._lock:
            if self._session is None:
                self._session = open_session(embedding_graph(self._read()))
        embedded: NDArray[np.float32] = self._session.run([EMBEDDING], {CHIPS: chips.astype(np.float32)})[0]
        return embedded


def ready(network: nn.Module) -> nn.Module:
    """The network as it is used: without gradients of its weights, which lie as the pictures do."""
    import torch

    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def shuffled(network: nn.Module, seed: int) -> nn.Module:
    """A copy with the weights of each layer in random order."""
    import torch

    network = copy.deepcopy(network)
    random = torch.Generator().manual_seed(seed)
    for weights in network.parameters():
        order = torch.randperm(weights.numel(), generator=random)
        weights.data = weights.data.flatten()[order].reshape(weights.shape)
    return network
