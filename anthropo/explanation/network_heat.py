"""Where in a picture a fine-tuned network's own answer comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anthropo.encoder.backends import shuffled
from anthropo.explanation.maps import FaceHeat, Floats, Masks, drawn, integral_rule, spread_over
from anthropo.explanation.view_scene import kept_share, views_of
from anthropo.face.landmarker import Face
from anthropo.networks.network import Network, as_probabilities
from anthropo.photo import Photo

Metadata = NDArray[np.float32]

_STEPS = 12  # of the integral: the way is through the whole network, and is less smooth than from its middle
_LEAST = 1e-7  # of a probability: log-odds stay numbers


def network_heatmaps(
    network: Network,
    photo: Photo,
    face: Face | None,
    label: str,
    metadata: Metadata | None = None,
    *,
    judge: bool = True,
    seed: int = 0,
) -> FaceHeat:
    """Places in a picture that a network's log-odds of one label come from.

    Each view's log-odds count as much as it has a say among the views, so that the maps of the views add up
    to that of the whole. `metadata` (q,) are those of a case.

    Notes
    -----
    Integrated gradients and their tests as in `anthropo.explanation.heatmap.heatmaps`, from a blurred
    picture to the picture, of the network itself and not of a classifier on its embedding.
    """
    if label not in network.labels:
        raise ValueError(f"label {label!r}: the network tells {', '.join(network.labels)} apart")
    chips, masks, places = views_of(network.view, photo, face)
    scene = _Answer(
        network=network,
        label=network.labels.index(label),
        masks=masks,
        places=places,
        chips=chips[0],
        base=chips[1],
        metadata=None if metadata is None else metadata[None],
    )
    return drawn(scene, network.views, judge=judge, seed=seed, steps=_STEPS)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What a network sees of one picture, and the same with nothing to be seen in it."""

    network: Network
    label: int
    masks: Masks  # (r, side, side), what of the square each view shows
    places: Tensor  # (r, size, size, 2), where in the square each pixel lies, from -1 to 1
    chips: Tensor  # (r, size, size, 3)
    base: Tensor  # (r, size, size, 3)
    metadata: Metadata | None = None  # (1, q)
    grid: tuple[int, int] = (1, 0)

    def randomised(self, seed: int) -> _Answer:
        """The same for a network that knows nothing."""
        modules = tuple(shuffled(module, seed) for module in self.network.modules)
        return replace(self, network=replace(self.network, modules=modules))

    def _answers(self, kept: Tensor) -> list[Tensor]:
        """Each view's share of the log-odds, with the share kept (r, side, side) of the square."""
        seen = self.base + kept_share(kept, self.places)[..., None] * (self.chips - self.base)
        about, network = self.network.about, self.network
        more: dict[str, Any] = {}
        if self.metadata is not None:
            more["metadata"] = torch.from_numpy(self.metadata)
        answers = []
        for module, picture in zip(network.modules, seen, strict=True):
            x = network.normalised(picture[None, None] if network.task == "cases" else picture[None])
            outputs = module.eval()(x, **more)
            p = as_probabilities(outputs, network.task, about.spec.head, about.parameters.loss)[0, self.label]
            p = p.clamp(_LEAST, 1 - _LEAST)
            answers.append((p.log() - (1 - p).log()) / len(network.views))
        return answers

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """Log-odds (q, r) with the share (q, r, side, side) kept of each pixel."""
        with torch.inference_mode():
            return np.array([[float(a) for a in self._answers(kept)] for kept in torch.from_numpy(keeps)])

    def maps(self, steps: int) -> Floats:
        """Smoothed integrated gradients (r, side, side), from nothing to the picture."""
        total = torch.zeros(self.masks.shape)
        for node, weight in integral_rule(steps):
            at = torch.full(self.masks.shape, node).requires_grad_()
            total += weight * torch.autograd.grad(sum(self._answers(at)), at)[0]  # type: ignore[arg-type]
        spread = spread_over(self.masks.shape[1], self.masks.shape[1], self.grid)
        return np.asarray(spread @ total.numpy().astype(np.float64) @ spread.T * self.masks)
