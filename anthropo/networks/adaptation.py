"""Domain adaptation: costs that make embeddings of two sources of photographs alike.

Nothing here sees a label: what is adapted to may have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from anthropo.errors import InputError, parameter
from anthropo.networks.architectures import BACKBONES, Classifier
from anthropo.networks.objective import Objective, UnitBatch
from anthropo.networks.pictures import Pictures
from anthropo.networks.recipes import Parameters
from anthropo.networks.sources import AdaptationTarget
from anthropo.networks.units import Units


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is turned round and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None


def reversed_gradient(x: Tensor, scale: float) -> Tensor:
    """What it is given; on the way back the gradient is multiplied by ``-scale`` (Ganin et al. 2016).

    Examples
    --------
    >>> x = torch.ones(2, requires_grad=True)
    >>> (3 * reversed_gradient(x, 0.5)).sum().backward()
    >>> x.grad
    tensor([-1.5000, -1.5000])
    """
    y: Tensor = _Reversal.apply(x, scale)  # type: ignore[no-untyped-call]
    return y


def schedule(progress: float, gamma: float) -> float:
    """How much of its weight the adaptation has, from 0 to 1: ``2 / (1 + exp(-gamma p)) - 1``.

    `progress` p is the share of the training that is done. With a `gamma` of 0 the weight is 1 throughout.

    Examples
    --------
    >>> [round(schedule(p, 10), 3) for p in (0, 0.1, 0.5, 1)]
    [0.0, 0.462, 0.987, 1.0]
    """
    return 2 / (1 + math.exp(-gamma * progress)) - 1 if gamma else 1.0


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Distance of two covariances (d, d) of features (n, d) and (m, d), squared, by 4 d² (Deep CORAL).

    References
    ----------
    .. [1] B. Sun, K. Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", ECCV Workshops
       (2016), LNCS 9915, 443-450, equations 1 to 3.

    Examples
    --------
    >>> wide = torch.tensor([[-2.0, 0.0], [2.0, 0.0]])  # a variance of 8 against one of 2
    >>> float(coral(wide, wide / 2))  # 6² / 16
    2.25
    """
    apart: Tensor = (_covariance(source) - _covariance(target)).square().sum()
    return apart / (4 * source.shape[1] ** 2)


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return centred.T @ centred / max(1, len(x) - 1)


def domain_head(parameters: Parameters) -> nn.Module:
    """The layers that tell target from source, on an embedding; thrown away after training."""
    d, hidden = BACKBONES[parameters.backbone].dimension, parameters.adaptation_hidden
    layers = [nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)]
    return nn.Sequential(*layers)


class AdaptingObjective(Objective):
    """The loss on labelled photos, and beside it what makes target photos look alike to the network.

    References
    ----------
    .. [1] Y. Ganin et al., "Domain-adversarial training of neural networks", JMLR 17 (2016) 59, 1-35.
    .. [2] Sun & Saenko 2016, see `coral`.
    """

    def __init__(
        self,
        parameters: Parameters,
        view: str,
        pictures: Pictures,
        units: Units,
        device: torch.device,
        *,
        target: AdaptationTarget,
    ) -> None:
        super().__init__(parameters, view, "labels", pictures, units, device)
        self.target = target
        if len(target.rows) < 2:
            raise InputError(
                f"{len(target.rows)} target photos to adapt to: two or more are needed. Add photos to "
                f"{parameter('target')}."
            )

    def batches(self, seed: int, done: float = 0.0, share: float = 0.0) -> Iterator[UnitBatch]:
        """As `Objective.batches`, each with as many target photos, which come round again and again."""
        random = np.random.default_rng([seed, 1])
        generator = torch.Generator().manual_seed(seed + 1)
        waiting = np.empty(0, dtype=np.int64)
        for batch in super().batches(seed, done, share):
            while len(waiting) < len(batch.x):
                waiting = np.concatenate([waiting, random.permutation(self.target.rows)])
            chosen, waiting = waiting[: len(batch.x)], waiting[len(batch.x) :]
            others = self.moved(self.pixels(self.target.pictures, chosen), generator)
            yield replace(batch, others=others)

    def loss(self, module: nn.Module, batch: UnitBatch) -> Tensor:
        """The loss of a batch."""
        assert isinstance(module, Classifier)
        assert batch.others is not None
        n, options = len(batch.x), self.parameters
        features = module.features(torch.cat([batch.x, batch.others]))
        outputs = module.judge(features)
        loss = self.weighted(outputs[:n].float(), batch)
        weight = options.adaptation_weight * schedule(batch.progress, options.adaptation_gamma)
        if options.adaptation == "coral":
            x = (features if options.adaptation_layer == "embedding" else outputs).float()
            return loss + weight * coral(x[:n], x[n:])
        # the domain's layers learn at full rate; only what reaches the embedding is weighted
        told = module.domains(reversed_gradient(features, weight)).float()[:, 0]  # type: ignore[operator]
        foreign = torch.arange(len(told), device=told.device) >= n
        return loss + functional.binary_cross_entropy_with_logits(told, foreign.to(told.dtype))
