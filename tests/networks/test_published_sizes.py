"""The networks of the literature: a step forward and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from anthropo.networks.architectures import TIMM, Spec, build
from anthropo.networks.network import flat, layout

#: Weights in millions without the head, from the papers' or timm's tables.
MILLIONS = {
    "resnet50": 23.5,
    "inception_v3": 21.8,
    "densenet121": 7.0,
    "xception": 20.8,
    "inception_resnet_v2": 54.3,
    "inception_v4": 41.1,
}


@pytest.mark.parametrize("name", TIMM)
def test_a_step_of_training(name: str) -> None:
    spec = Spec(task="labels", backbone=name, channels=3, outputs=6, dropout=0.2, head="convolution")
    if name == "inception_v4":
        spec = replace(spec, task="cases", head=None, metadata=0)
    network = build(spec)
    weights = sum(p.numel() for p in network.body.parameters())
    assert round(weights / 1e6, 1) == MILLIONS[name]
    optimiser = torch.optim.SGD(network.parameters(), 1e-2, 0.9)
    before = flat(network)
    x, target = torch.randn(2, 3, 160, 160), torch.tensor([1, 4])
    loss = functional.cross_entropy(network(x), target)
    loss.backward()
    optimiser.step()
    assert torch.isfinite(loss)
    assert not (flat(network) == before).all()
    assert len(layout(network)) == 64
