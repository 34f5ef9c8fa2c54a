"""Networks with random weights, whose batch statistics are those of noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from anthropo.learning.manifest import Manifest, PhotoSettings
from anthropo.networks.architectures import Spec, build, channels_of
from anthropo.networks.description import CALLED, Description, MetadataColumn
from anthropo.networks.network import Network
from anthropo.networks.recipes import load_recipe

SIZE = 48  # px
_KINDS: dict[str, dict[str, Any]] = {
    "labels": {"head": "linear"},
    "grades": {"head": "thresholds"},
    "attributes": {"own": 8, "attention": True, "pose": True, "separate": False},
    "cases": {"metadata": 4},
}
COLUMNS = {"age": MetadataColumn(mean=30.0, sd=10.0), "site": MetadataColumn(values=("arm",))}


def network(
    task: str = "labels",
    *,
    views: tuple[str, ...] = ("face", "mouth"),
    grey: bool = False,
    labels: tuple[str, ...] = ("a", "b", "c"),
    backbone: str = "deepgestalt",
    **changes: Any,
) -> Network:
    """A network for pictures of `SIZE` pixels."""
    torch.manual_seed(0)
    if task in ("grades", "cases"):
        views = ("image",)
    layers: dict[str, Any] = {
        "task": task,
        "backbone": backbone,
        "channels": channels_of(backbone, grey),
        "outputs": len(labels) - (task == "grades"),
        "dropout": 0.5,
    }
    spec = Spec(**{**layers, **_KINDS[task], **changes})
    modules = []
    for _ in views:
        module = build(spec).train()
        shape = (4, 2) if task == "cases" else (4,)
        with torch.no_grad():
            for _ in range(3):
                module(torch.randn(*shape, spec.channels, SIZE, SIZE))
        module.eval()
        for own in getattr(module, "networks", [module]):
            _tell_apart(own, spec.channels)
        modules.append(module.requires_grad_(False))
    about = Description(
        recipe="deepgestalt",
        parameters=replace(load_recipe("deepgestalt").parameters, images=3),
        spec=spec,
        views=views,
        size=SIZE,
        grey=grey,
        mean=(120.0, 110.0, 100.0),
        std=(60.0, 50.0, 70.0),
        alignment="mean-face",
        crops="scaled",
        dimension=spec.dimension,
        metadata=COLUMNS if task == "cases" else None,
    )
    settings = PhotoSettings(face="one", fine=False, jitter=2)
    if views == ("image",):
        settings = PhotoSettings(no_face=True)
    manifest = Manifest(
        task=CALLED[task][-1],
        labels=labels,
        settings=settings,
        metadata=tuple(about.metadata or ()),
    )
    return Network(manifest, about, tuple(modules))


def _tell_apart(module: nn.Module, channels: int) -> None:
    """Make the answers to pictures of noise differ, which those of random weights hardly do."""
    pictures = torch.randn(8, channels, SIZE, SIZE) * torch.linspace(0.2, 3, 8).view(-1, 1, 1, 1)
    with torch.no_grad():
        features = module.features(pictures)
        mean = features.mean(0)
        for name, weights in module.named_parameters():
            if name == "own":  # (a, d, o)
                weights -= (
                    torch.einsum("ado,d->ao", weights, mean)[:, None] * mean[:, None] / mean.square().sum()
                )
                weights *= 2 / (features - mean).norm(dim=1).mean() * weights[0, :, 0].norm() ** -1
            elif name in ("head.weight", "head.score.weight"):
                seen = weights[:, : len(mean)]
                seen -= (seen @ mean)[:, None] * mean / mean.square().sum()
                seen *= 2 / (features @ seen.T).std(0).mean()
