"""What a translation is trained by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anthropo.translation.networks import places


def adversarial_loss(answers: Tensor, real: bool, kind: str) -> Tensor:
    """How far a discriminator's answers are from `real`: "least-squares" (Mao 2017) or "cross-entropy"."""
    target = torch.full_like(answers, 1.0 if real else 0.0)
    if kind == "least-squares":
        return functional.mse_loss(answers, target)
    return functional.binary_cross_entropy_with_logits(answers, target)


def discriminator_loss(of_real: Tensor, of_translated: Tensor, kind: str) -> Tensor:
    """Half of what a discriminator gets wrong, which makes it learn slower than the generator."""
    wrong = adversarial_loss(of_real, True, kind) + adversarial_loss(of_translated, False, kind)
    return 0.5 * wrong


def picture_loss(one: Tensor, other: Tensor, shown: Tensor | None = None) -> Tensor:
    """Mean absolute difference of pictures: of a cycle's end from its beginning, or of an identity.

    `shown` (n, 1, s, s) is 1 where pixels count and 0 where not; left out: all count.
    """
    if shown is None:
        return functional.l1_loss(one, other)
    return ((one - other).abs() * shown).sum() / (one.shape[1] * shown.sum()).clamp_min(1)


def landmark_loss(before: Tensor, after: Tensor, unit: float) -> Tensor:
    """Mean distance of points (n, 68, 2) from where they were before, in `unit`s."""
    moved = (after - before.detach()).square().sum(-1)
    # without the small number the root's gradient has no end at 0
    return ((moved + 1e-10).sqrt() / unit).mean()


def heat_loss(maps: Tensor, points: Tensor) -> Tensor:
    """Cross-entropy of heat maps (n, 68, h, w) with narrow Gaussians about points (n, 68, 2).

    The mean place of a map alone is learned slowly: a map that is flat has the right mean, too.
    """
    across, down = places(maps)
    narrow = 1.5 * (across[1] - across[0])
    x, y = ((points[..., k, None] - at) / narrow for k, at in enumerate((across, down)))
    target = torch.softmax(-0.5 * (x[..., None, :] ** 2 + y[..., :, None] ** 2).flatten(2), -1)
    return -(target * maps.flatten(2).log_softmax(-1)).sum(-1).mean()
