"""Patches as other cameras, other heads and other first looks would have given them; needs torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

_BLOCK = 8  # px, side of the blocks that JPEG compresses


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much training patches are varied: standard deviations, or the largest value where it says so."""

    shift: float = 4.0  # px of the upright face
    size: float = 0.06  # of the logarithm
    turn: float = 0.06  # rad
    stretch: float = 0.0  # of the logarithm of width over height, and of the shear
    bend: float = 0.0  # px of the upright face, of a smooth displacement
    gamma: float = 0.2  # of the logarithm
    slope: float = 0.0  # of light across the patch, logarithm
    sharpness: float = 0.0  # largest share of blur put in or taken out
    coarse: float = 0.4  # share of batches that are seen at a lower resolution
    noise: float = 6.0  # largest SD, 8-bit levels
    jpeg: float = 0.0  # share of patches that are compressed


def affine(n: tuple[int, ...], size: float, by: Augmentation, device: torch.device) -> torch.Tensor:
    """Random maps (\\*n, 2, 2) from the patch to the face, `size` face pixels per patch pixel."""
    z = torch.randn(*n, 4, device=device)
    scale = size * torch.exp(z[..., 0] * by.size)
    a, b = scale * torch.cos(z[..., 1] * by.turn), scale * torch.sin(z[..., 1] * by.turn)
    turn = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], -2)
    half = torch.exp(z[..., 2] * by.stretch / 2)
    shear = z[..., 3] * by.stretch / 2
    zero = torch.zeros_like(half)
    form = torch.stack([torch.stack([half, shear], -1), torch.stack([zero, 1 / half], -1)], -2)
    return turn @ form


class Bend:
    """Smooth displacements of faces (\\*n): a wave in x and one in y, as if the shape were another's."""

    def __init__(self, n: tuple[int, ...], size: float, side: int, device: torch.device) -> None:
        self.height = torch.randn(*n, 1, 2, device=device) * (size * math.sqrt(2))
        angle = torch.rand(*n, 2, device=device) * (2 * math.pi)
        # a wave is from one to three patches long
        count = (1 / 3 + torch.rand(*n, 2, device=device) * 2 / 3) * (2 * math.pi / side)
        self.wave = torch.stack([torch.cos(angle) * count, torch.sin(angle) * count], -2)
        self.phase = torch.rand(*n, 1, 2, device=device) * (2 * math.pi)

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Displacements, px of the upright face, of points (\\*n, K, 2) of the patches."""
        return torch.sin(points @ self.wave + self.phase) * self.height


def photographic(x: torch.Tensor, by: Augmentation) -> torch.Tensor:
    """Patches (n, side, side), 0 to 255, with other focus, light, noise and compression."""
    n, side = len(x), x.shape[-1]
    if torch.rand(1).item() < by.coarse:
        factor = torch.rand(1).item() * 0.6 + 0.35
        small = functional.interpolate(x[:, None], scale_factor=factor, mode="area")
        x = functional.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)[:, 0]

    def each(sd: float) -> torch.Tensor:
        return torch.randn(n, 1, 1, device=x.device) * sd

    if by.sharpness:
        share = (2 * torch.rand(n, 1, 1, device=x.device) - 1) * by.sharpness
        x = x + share * (_blurred(x) - x)
    light = each(by.gamma)
    x = 255 * (x.clamp(0, 255) / 255 + 1e-3) ** torch.exp(light)
    if by.slope:
        ramp = torch.linspace(-1, 1, side, device=x.device)
        x = x * torch.exp(each(by.slope) * ramp + each(by.slope) * ramp[:, None])
    x = x + torch.randn_like(x) * torch.rand(n, 1, 1, device=x.device) * by.noise
    return _compressed(x, by.jpeg) if by.jpeg else x


def _blurred(x: torch.Tensor) -> torch.Tensor:
    """Patches blurred by a binomial filter, SD 1.4 px."""
    for _ in range(4):
        x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        x = (x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]) / 4
        x = (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4
    return x


def _compressed(x: torch.Tensor, share: float) -> torch.Tensor:
    """Some of the patches as a JPEG of random quality keeps them: cosines of blocks, rounded."""
    n, side = len(x), x.shape[-1]
    k = torch.arange(_BLOCK, device=x.device, dtype=x.dtype)
    basis = torch.cos((2 * k + 1) * k[:, None] * math.pi / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    basis[0] /= math.sqrt(2)
    # steps grow with the frequency, as in the tables that JPEG files carry
    strength = 4 ** torch.rand(n, 1, 1, 1, 1, device=x.device) - 0.5
    step = strength * (4 + 3 * (k[:, None] + k))
    blocks = x.reshape(n, side // _BLOCK, _BLOCK, side // _BLOCK, _BLOCK).transpose(2, 3)
    rounded = torch.round(basis @ blocks @ basis.T / step) * step
    kept = (basis.T @ rounded @ basis).transpose(2, 3).reshape(n, side, side)
    return torch.where(torch.rand(n, 1, 1, device=x.device) < share, kept, x)
