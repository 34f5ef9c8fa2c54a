"""The costs on pairs against sums that are written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anthropo.networks.pair_losses import contrastive, supervised_contrastive, triplet

MINING = ("hard", "semi-hard", "all")

GROUPS = np.array([0, 0, 1, 1, 1, 2])  # the last has no positive
SAME = torch.from_numpy(GROUPS[:, None] == GROUPS[None, :])


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def unit(features: torch.Tensor) -> np.ndarray:
    x = features.numpy()
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_supervised_contrastive_is_equation_2_of_khosla(features: torch.Tensor) -> None:
    z, t, each = unit(features), 0.3, []
    for i in range(6):
        positives = [p for p in range(6) if p != i and GROUPS[p] == GROUPS[i]]
        if positives:
            total = sum(math.exp(z[i] @ z[a] / t) for a in range(6) if a != i)
            each.append(-np.mean([math.log(math.exp(z[i] @ z[p] / t) / total) for p in positives]))
    assert len(each) == 5
    assert float(supervised_contrastive(features, SAME, t)) == pytest.approx(np.mean(each))


def by_hand(features: torch.Tensor, margin: float, mining: str) -> float:
    z, costs = unit(features), []
    apart = ((z[:, None] - z[None]) ** 2).sum(2)
    for i in range(6):
        positives = [p for p in range(6) if p != i and GROUPS[p] == GROUPS[i]]
        negatives = [n for n in range(6) if GROUPS[n] != GROUPS[i]]
        if mining == "hard" and positives:
            hardest = max(apart[i, positives]) - min(apart[i, negatives])
            costs.append(max(0, hardest + margin))
        for p in positives if mining != "hard" else ():
            if mining == "all":
                costs += [c for n in negatives if (c := apart[i, p] - apart[i, n] + margin) > 0]
            else:
                beyond = [apart[i, n] for n in negatives if apart[i, n] > apart[i, p]]
                against = min(beyond) if beyond else max(apart[i, negatives])
                costs.append(max(0, apart[i, p] - against + margin))
    return float(np.mean(costs))


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("margin", [0.2, 1.5])
def test_triplets_by_hand(features: torch.Tensor, mining: str, margin: float) -> None:
    assert float(triplet(features, SAME, margin, mining)) == pytest.approx(by_hand(features, margin, mining))


def test_semi_hard_takes_the_farthest_where_no_negative_is_beyond() -> None:
    features = torch.tensor([[1.0, 0], [-1, 0], [0, 1]])  # the positive is opposite, the negative half-way
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    assert float(triplet(features, same, 0.5, "semi-hard")) == pytest.approx(4 - 2 + 0.5)


def test_without_positives_nothing_is_learned(features: torch.Tensor) -> None:
    alone = torch.eye(6, dtype=torch.bool)
    x = features.requires_grad_()
    costs = [supervised_contrastive(x, alone, 0.1), *(triplet(x, alone, 0.2, mining) for mining in MINING)]
    assert [float(cost.detach()) for cost in costs] == [0, 0, 0, 0]
    sum(costs, contrastive(x, SAME, 1.0)).backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("mining", MINING)
def test_gradients_are_numbers_where_photos_lie_on_each_other(mining: str) -> None:
    x = torch.ones(6, 4, requires_grad=True)
    (triplet(x, SAME, 0.2, mining) + supervised_contrastive(x, SAME, 0.1)).backward()
    assert torch.isfinite(x.grad).all()


def test_a_step_down_draws_positives_together(features: torch.Tensor) -> None:
    for cost in (
        lambda x: supervised_contrastive(x, SAME, 0.5),
        lambda x: triplet(x, SAME, 0.5, "all"),
        lambda x: contrastive(x, SAME, 1.0),
    ):
        x = features.clone().requires_grad_()
        cost(x).backward()
        z, moved = unit(x.detach()), unit((x - 0.05 * x.grad).detach())
        own = SAME.numpy() & ~np.eye(6, dtype=bool)
        margin = [(of @ of.T)[own].mean() - (of @ of.T)[~SAME.numpy()].mean() for of in (z, moved)]
        assert margin[1] > margin[0]
