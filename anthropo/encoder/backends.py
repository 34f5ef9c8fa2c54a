"""What computes embeddings: ONNX Runtime where the graph of a network is known, else torch.

A backend is made at no cost: weights are read, and the library is loaded, when the first chip comes. So a run
whose photos were all encoded before needs neither.
"""

from __future__ import annotations

import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder import resnet_graph as graphs
from anthropo.encoder.runtime import has_runtime, open_session

if TYPE_CHECKING:
    from torch import Tensor, nn

    from anthropo.encoder.resnet_weights import ResNetWeights

PerChannel = tuple[float, float, float]  # red, green, blue
Chips = NDArray[Any]
Floats = NDArray[np.float32]


class Backend(ABC):
    """A network for chips of any number type, (n, size, size, 3), grey levels.

    Attributes
    ----------
    mean, scale : tuple of float
        Subtracted from grey levels, and what these are divided by then, before the network sees them.
    grid : tuple of int
        Pixels of a chip from one place of `early` to the next, and the pixel of the first.
    differentiable : bool
        Whether it has `early` and `gradient`.
    """

    mean: PerChannel
    scale: PerChannel
    grid: tuple[int, int] = (1, 0)
    differentiable: bool = True

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network in torch, of pictures (n, 3, size, size)."""

    @abstractmethod
    def randomised(self, seed: int) -> Backend:
        """The same network with the weights of each layer shuffled."""

    def prepared(self, chips: Tensor) -> Tensor:
        """What the network takes."""
        import torch

        x = (chips - torch.tensor(self.mean)) / torch.tensor(self.scale)
        return x.permute(0, 3, 1, 2)  # in memory it stays channels last

    def embed(self, chips: Chips) -> Floats:
        """Embeddings (n, dimension)."""
        import torch

        network = self.network
        with torch.inference_mode():
            embedded: Tensor = network(self.prepared(torch.from_numpy(np.ascontiguousarray(chips))))
        return embedded.numpy()

    def early(self, chips: Chips) -> Floats:
        """Output (n, channels, h, w) of the network's first layers; the pixels if these are unknown."""
        import torch

        first = getattr(self.network, "early", lambda pixels: pixels)
        with torch.no_grad():
            seen: Tensor = first(self.prepared(torch.from_numpy(np.ascontiguousarray(chips))))
        return seen.numpy()

    def gradient(self, seen: Floats, wanted: Callable[[Floats], Floats]) -> Floats:
        """Gradient of what is made of embeddings, where `early` gave `seen`.

        `wanted` gives the gradient (n, dimension) at embeddings.
        """
        import torch

        late = getattr(self.network, "late", self.network)
        at = torch.from_numpy(seen).requires_grad_()
        embedded: Tensor = late(at)
        towards = torch.from_numpy(wanted(embedded.detach().numpy()))
        return torch.autograd.grad(embedded, at, towards)[0].numpy()


class TorchBackend(Backend):
    """A network in torch."""

    def __init__(self, network: nn.Module, mean: PerChannel, scale: PerChannel) -> None:
        self._network, self.mean, self.scale = ready(network), mean, scale
        self.grid = getattr(network, "grid", self.grid)

    @property
    def network(self) -> nn.Module:
        """See `Backend.network`."""
        return self._network

    def randomised(self, seed: int) -> TorchBackend:
        """See `Backend.randomised`."""
        return TorchBackend(shuffled(self._network, seed), self.mean, self.scale)


class FaceBackend(Backend):
    """dlib's face recognition network. Its weights are read when they are needed first."""

    def __init__(self, read: Callable[[], ResNetWeights], mean: PerChannel) -> None:
        from anthropo.encoder.resnet_weights import GRID, SCALE

        self._read, self.mean, self.scale, self.grid = read, mean, (SCALE,) * 3, GRID
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}

    @property
    def network(self) -> nn.Module:
        """See `Backend.network`."""
        return cast("nn.Module", self._once("network", self._in_torch))

    def randomised(self, seed: int) -> FaceBackend:
        """See `Backend.randomised`."""
        return FaceBackend(lambda: self._weights().shuffled(seed), self.mean)

    def embed(self, chips: Chips) -> Floats:
        """See `Backend.embed`."""
        if not has_runtime():
            return super().embed(chips)
        session = self._session("embedding", graphs.embedding_graph)
        return cast("Floats", session.run([graphs.EMBEDDING], {graphs.CHIPS: chips.astype(np.float32)})[0])

    def early(self, chips: Chips) -> Floats:
        """See `Backend.early`."""
        if not has_runtime():
            return super().early(chips)
        session = self._session("early", graphs.early_graph)
        return cast("Floats", session.run([graphs.SEEN], {graphs.CHIPS: chips.astype(np.float32)})[0])

    def gradient(self, seen: Floats, wanted: Callable[[Floats], Floats]) -> Floats:
        """See `Backend.gradient`."""
        if not has_runtime():
            return super().gradient(seen, wanted)
        session = self._session("late", graphs.late_graph)
        names = [output.name for output in session.get_outputs()]
        given = dict(zip(names, session.run(names, {graphs.SEEN: seen}), strict=True))
        given[graphs.WANTED] = wanted(given.pop(graphs.EMBEDDING))
        session = self._session("gradient", graphs.gradient_graph)
        return cast("Floats", session.run([graphs.GRADIENT], given)[0])

    def _session(self, name: str, graph: Callable[[ResNetWeights], bytes]) -> Any:
        return self._once(name, lambda: open_session(graph(self._weights())))

    def _weights(self) -> ResNetWeights:
        return cast("ResNetWeights", self._once("weights", self._read))

    def _in_torch(self) -> nn.Module:
        import torch

        from anthropo.encoder.resnet import ResNet

        with torch.inference_mode(False):  # whoever asks first, others may want gradients
            return ready(ResNet(self._weights()))

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """What is made when it is needed first, by one thread."""
        if name not in self._made:
            with self._lock:
                if name not in self._made:
                    self._made[name] = make()
        return self._made[name]


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
