"""The landmark network learns to place anthropo's landmarks: on photos of both domains, varied at random.

A translated picture is another camera's and another light's. What the network learns from is therefore moved,
turned, scaled, bent, coloured, blurred and made noisy, until it follows what is in the picture rather than
where points are on average.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from anthropo.landmarks.augmentation import Bend

_TURN, _SCALE, _SHIFT = 0.12, 0.07, 0.03  # SD: rad, of the logarithm, share of the side
_BEND = 0.012  # SD of smooth displacements, share of the side
_TURNS = 6  # of the fixed point that a bent landmark is found by
_MILD = 0.6  # of these, for the view in which a translation is compared with its original


def jittered(pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, s, s) moved, turned, scaled and bent at random, with their points (n, 68, 2)."""
    n, side = len(pictures), pictures.shape[-1]
    maps = _similarities(n, 1.0, pictures.device)
    bend = Bend((n,), _BEND * side, side, pictures.device)
    grid = _grid(side, pictures.device)
    # where each place of the new picture comes from, shares of the side about the middle
    there = grid @ maps[:, :, :2].mT + maps[:, None, :, 2] + bend(grid * side) / side
    new = functional.grid_sample(
        pictures, 2 * there.view(n, side, side, 2), padding_mode="border", align_corners=False
    )
    # the place that comes from each point: the bend is small, so that this converges
    inverse = torch.linalg.inv(maps[:, :, :2])
    here = wanted = points - 0.5
    for _ in range(_TURNS):
        here = (wanted - maps[:, None, :, 2] - bend(here * side) / side) @ inverse.mT
    return new, here + 0.5


def same_view(pictures: list[Tensor]) -> list[Tensor]:
    """Several versions of pictures (n, 3, s, s), each picture moved, turned and scaled alike in all versions.

    A translation whose landmarks stay only in one framing has learned to please the landmark network.
    """
    n, side = len(pictures[0]), pictures[0].shape[-1]
    maps = _similarities(n, _MILD, pictures[0].device)
    there = _grid(side, pictures[0].device) @ maps[:, :, :2].mT + maps[:, None, :, 2]
    grid = 2 * there.view(n, side, side, 2)
    return [functional.grid_sample(x, grid, padding_mode="border", align_corners=False) for x in pictures]


def coloured(pictures: Tensor) -> Tensor:
    """Pictures (n, 3, s, s) with other light, colour, focus and noise."""
    n, side, device = len(pictures), pictures.shape[-1], pictures.device

    def each(sd: float, *shape: int) -> Tensor:
        return torch.randn(n, *shape, device=device) * sd

    mixed = torch.eye(3, device=device) + each(0.1, 3, 3)
    x = torch.einsum("nij,njhw->nihw", mixed, (pictures + 1) / 2).clamp(0, 1)
    x = (x + 1e-3) ** each(0.25, 1, 1, 1).exp()
    ramp = torch.linspace(-1, 1, side, device=device)
    x = x * torch.exp(each(0.2, 1, 1, 1) * ramp + each(0.2, 1, 1, 1) * ramp[:, None])
    x = 0.5 + (x - 0.5) * each(0.2, 1, 1, 1).exp() + each(0.08, 3, 1, 1)
    # a random share of each picture is that of half the resolution
    coarse = functional.interpolate(functional.avg_pool2d(x, 2), size=(side, side), mode="bilinear")
    share = torch.rand(n, 1, 1, 1, device=device) * (torch.rand(n, 1, 1, 1, device=device) < 0.5)
    x = x + share * (coarse - x)
    x = x + torch.randn_like(x) * torch.rand(n, 1, 1, 1, device=device) * 0.05
    return x.clamp(0, 1) * 2 - 1


def _similarities(n: int, strength: float, device: torch.device) -> Tensor:
    """Random similarities (n, 2, 3) about the middle."""
    z = torch.randn(n, 4, device=device) * strength
    scale, turn = torch.exp(z[:, 0] * _SCALE), z[:, 1] * _TURN
    a, b = scale * turn.cos(), scale * turn.sin()
    rows = [torch.stack([a, -b, z[:, 2] * _SHIFT], -1), torch.stack([b, a, z[:, 3] * _SHIFT], -1)]
    return torch.stack(rows, 1)


def _grid(side: int, device: torch.device) -> Tensor:
    """Middles of pixels (s², 2), shares of the side about the middle."""
    at = (torch.arange(side, device=device) + 0.5) / side - 0.5
    return torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).reshape(-1, 2)


def as_tensor(pictures: object) -> Tensor:
    """Pictures (n, s, s, 3) of bytes as networks see them, (n, 3, s, s) from -1 to 1."""
    return torch.as_tensor(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def falling(epoch: int, constant: int, decay: int) -> float:
    """The share of the rate in an epoch, from 0: all of it, then falling to 0 in equal steps."""
    return 1 - max(0, epoch + 1 - constant) / (decay + 1)


def half_cosine(epoch: int, epochs: int) -> float:
    """The share of the rate in an epoch, from 0: along half a wave of the cosine."""
    return 0.5 * (1 + math.cos(math.pi * epoch / epochs))
