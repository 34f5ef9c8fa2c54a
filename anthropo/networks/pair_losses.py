"""Costs on pairs of a batch: who belongs together is drawn together, everybody else is kept apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

#: The costs that can be trained with alone.
PAIR_LOSSES = ("supcon", "triplet", "contrastive")


def supervised_contrastive(features: Tensor, same: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss of a batch, the sum over positives outside the logarithm.

    Parameters
    ----------
    features : Tensor, (n, d)
        Embeddings; they are brought to length 1.
    same : Tensor of bool, (n, n)
        Which photos belong together; the diagonal does not count.
    temperature : float
        Similarities are divided by it: the smaller, the more the hardest negatives count.

    Returns
    -------
    Tensor
        Mean over the photos that have a positive; 0 if none has.

    References
    ----------
    .. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 33 (2020) 18661-18673, equation 2.

    Examples
    --------
    >>> features = torch.eye(2).repeat(2, 1)
    >>> same = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1]] * 2, dtype=torch.bool)
    >>> round(float(supervised_contrastive(features, same, 1.0)), 4)  # log(e + 2) - 1
    0.5514
    """
    on = functional.normalize(features, dim=1)
    others = ~torch.eye(len(on), dtype=torch.bool, device=on.device)
    similar = (on @ on.T / temperature).masked_fill(~others, -math.inf)
    log_share = similar - similar.logsumexp(1, keepdim=True)
    positive = same & others
    number = positive.sum(1)
    each = -log_share.masked_fill(~positive, 0).sum(1) / number.clamp(min=1)
    return each.sum() / (number > 0).sum().clamp(min=1)


def triplet(features: Tensor, same: Tensor, margin: float, mining: str) -> Tensor:
    """Triplet loss of a batch, on embeddings of length 1 and their squared distances.

    A triplet is a photo, a positive of it and a negative of it: the squared distance to the positive is to be
    smaller than that to the negative by `margin`.

    Parameters
    ----------
    features : Tensor, (n, d)
    same : Tensor of bool, (n, n)
        Which photos belong together; the diagonal does not count.
    margin : float
    mining : {"hard", "semi-hard", "all"}
        "hard": of each photo its farthest positive with its nearest negative (batch hard, [2]_);
        "semi-hard": each pair of positives with the nearest negative that is farther than the positive, or
        the farthest one where none is [1]_; "all": the mean over all triplets that cost something.

    Returns
    -------
    Tensor
        Mean over the triplets; 0 if there is none.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet", CVPR (2015) 815-823.
    .. [2] A. Hermans, L. Beyer, B. Leibe, "In defense of the triplet loss for person re-identification",
       arXiv:1703.07737 (2017).

    Examples
    --------
    >>> features = torch.eye(2).repeat(2, 1)  # positives lie on each other, negatives 2 apart
    >>> same = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1]] * 2, dtype=torch.bool)
    >>> float(triplet(features, same, 0.2, "hard")), float(triplet(features, ~same, 0.2, "hard"))
    (0.0, 2.200000047683716)
    """
    on = functional.normalize(features, dim=1)
    apart = (2 - 2 * (on @ on.T)).clamp(min=0)
    others = ~torch.eye(len(on), dtype=torch.bool, device=on.device)
    positive, negative = same & others, ~same & others
    if mining == "hard":
        farthest = apart.masked_fill(~positive, -math.inf).amax(1)
        nearest = apart.masked_fill(~negative, math.inf).amin(1)
        having = positive.any(1) & negative.any(1)
        cost = (farthest[having] - nearest[having] + margin).clamp(min=0)
        return cost.sum() / having.sum().clamp(min=1)
    # (photo, positive, negative)
    triplets = positive[:, :, None] & negative[:, None, :]
    nearer, farther = apart[:, :, None], apart[:, None, :]
    if mining == "all":
        cost = (nearer - farther + margin).clamp(min=0) * triplets
        return cost.sum() / (cost > 0).sum().clamp(min=1)
    beyond = triplets & (farther > nearer)
    nearest = farther.expand_as(beyond).masked_fill(~beyond, math.inf).amin(2)
    farthest = apart.masked_fill(~negative, -math.inf).amax(1, keepdim=True).expand_as(nearest)
    against = torch.where(beyond.any(2), nearest, farthest)
    having = positive & negative.any(1, keepdim=True)
    cost = (apart - against.masked_fill(~having, 0) + margin).clamp(min=0) * having
    return cost.sum() / having.sum().clamp(min=1)


def contrastive(features: Tensor, same: Tensor, margin: float, counted: Tensor | None = None) -> Tensor:
    """Contrastive cost of all pairs in a batch (Hadsell et al. 2006), on embeddings of length 1.

    Pairs that belong together are drawn together, the others kept `margin` apart. Only pairs that are
    `counted` (n, n) count; all of them when it is left out.
    """
    on = functional.normalize(features, dim=1)
    apart = torch.cdist(on, on, compute_mode="donot_use_mm_for_euclid_dist")
    each = (torch.ones_like(same) if counted is None else counted).triu(1)
    cost = torch.where(same, apart**2, (margin - apart).clamp(min=0) ** 2)
    return (cost * each).sum() / each.sum().clamp(min=1)
