"""Pairs of photographs: batches in which they meet, the cost on them, and how well a network tells them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anthropo.networks.architectures import BACKBONES, Classifier
from anthropo.networks.objective import Objective, UnitBatch, equal_values
from anthropo.networks.pair_losses import contrastive, supervised_contrastive, triplet
from anthropo.networks.pictures import Pictures
from anthropo.networks.recipes import Parameters
from anthropo.networks.units import TRAIN, VALIDATION, Units
from anthropo.networks.verification import auroc_of_pairs, cosine, pairs_between

if TYPE_CHECKING:
    from anthropo.networks.training_set import TrainingSet

Ints = NDArray[np.int64]

_MOST = 1024  # photos whose pairs are validated at once
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the head: scikit-learn's C


class PairObjective(Objective):
    """Batches in which pairs meet, and the cost on them.

    ``positives`` says who belongs together: photos of one person, of one label, or either.
    """

    def __init__(
        self, parameters: Parameters, view: str, pictures: Pictures, units: Units, device: torch.device
    ) -> None:
        super().__init__(parameters, view, "labels", pictures, units, device, plain=True)
        entries = len(self.train) * (1 + parameters.mirror)
        self.steps = max(1, entries // parameters.batch)

    def batches(self, seed: int, done: float = 0.0, share: float = 0.0) -> Iterator[UnitBatch]:
        """The training photos once, in batches that hold so many of a person (or label) together."""
        random = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        groups = []
        for mirrored in (False, True)[: 1 + self.parameters.mirror]:
            groups += [(group, mirrored) for group in self._groups(random)]
        order = random.permutation(len(groups))
        dealt = deal([len(groups[i][0]) for i in order], self.steps)
        for step in range(self.steps):
            mine = [groups[i] for i in order[dealt == step]]
            rows = np.concatenate([group for group, _ in mine])
            turned = np.repeat([mirrored for _, mirrored in mine], [len(group) for group, _ in mine])
            batch = self._augmented(self._batch(rows, random), torch.from_numpy(turned), generator)
            yield replace(batch, progress=done + share * step / self.steps)

    def _groups(self, random: np.random.Generator) -> list[Ints]:
        """The training photos in groups that belong together, of ``together`` photos at most."""
        units, by_label = self.units, self.parameters.positives == "label"
        belongs = units.target[self.train] if by_label else self.people[self.train]
        # who is mixed within a group: people of a label, states of a person
        states = np.zeros(len(units), np.int64) if units.states is None else units.states
        kinds = self.people[self.train] if by_label else states[self.train]
        groups: list[Ints] = []
        for who in np.unique(belongs):
            mine = np.flatnonzero(belongs == who)
            mine = mine[random.permutation(len(mine))]
            # one of each kind in turn, so that neighbours differ where they can
            turn = np.array([np.sum(kinds[mine[:i]] == kinds[row]) for i, row in enumerate(mine)])
            mine = mine[np.argsort(turn, kind="stable")]
            size = self.parameters.together
            groups += [self.train[mine[i : i + size]] for i in range(0, len(mine), size)]
        return groups

    def same(self, batch: UnitBatch) -> Tensor:
        """Which photos of a batch belong together, (n, n)."""
        positives = self.parameters.positives
        if positives == "label":
            return equal_values(batch.target)
        same = equal_values(batch.people)
        return same | equal_values(batch.target) if positives == "both" else same

    def loss(self, module: nn.Module, batch: UnitBatch) -> Tensor:
        """The cost of a batch's pairs."""
        assert isinstance(module, Classifier)
        return self._cost(module, module.features(batch.x), self.same(batch))

    def _cost(self, module: nn.Module, features: Tensor, same: Tensor) -> Tensor:
        options = self.parameters
        projection = getattr(module, "projection", None)
        x = (features if projection is None else projection(features)).float()
        if options.loss == "supcon":
            return supervised_contrastive(x, same, options.temperature)
        if options.loss == "triplet":
            return triplet(x, same, options.contrastive_margin, options.mining)
        return contrastive(x, same, options.contrastive_margin)

    def embedded(self, module: nn.Module, chosen: Ints) -> NDArray[np.float64]:
        """Embeddings (n, d) of some units, as they are when the network is used."""
        assert isinstance(module, Classifier)
        with torch.inference_mode():
            rows = [
                module.features(self._batch(chosen[start : start + self.parameters.batch]).x).cpu()
                for start in range(0, len(chosen), self.parameters.batch)
            ]
        return torch.cat(rows).double().numpy()

    def validate(self, module: nn.Module, mixed: bool) -> tuple[float, float]:
        """The cost of the validation people's pairs, and how well these are told; NaN without any."""
        if not len(self.held):
            return math.nan, math.nan
        assert isinstance(module, Classifier)
        module.eval()
        features, same = [], []
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=mixed):
            for start in range(0, len(self.held), self.parameters.batch):
                batch = self._batch(self.held[start : start + self.parameters.batch])
                features.append(module.features(batch.x).float())
                same.append(batch)
            x = torch.cat(features)
            whole = replace(
                same[0],
                target=torch.cat([batch.target for batch in same]),
                people=torch.cat([batch.people for batch in same]),
            )
            costs, sizes = [], []
            for start in range(0, len(x), _MOST):
                part = slice(start, start + _MOST)
                some = replace(whole, target=whole.target[part], people=whole.people[part])
                costs.append(float(self._cost(module, x[part], self.same(some))))
                sizes.append(len(x[part]))
        pairs = pairs_between(self.units, self.held, self.parameters.positives)
        cost = float(np.average(costs, weights=sizes))
        return cost, auroc_of_pairs(cosine(x.cpu().numpy(), pairs), pairs)


def deal(sizes: list[int], batches: int) -> Ints:
    """The batch of each group: the largest groups first, each to the batch that has fewest photos.

    So every batch gets its share of groups with a pair in them.
    """
    batch, filled = np.zeros(len(sizes), np.int64), np.zeros(batches, np.int64)
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        batch[i] = filled.argmin()
        filled[batch[i]] += sizes[i]
    return batch


def projection_head(parameters: Parameters) -> nn.Module:
    """The layers between the embedding and the cost on pairs; thrown away after training (Khosla 2020)."""
    d = BACKBONES[parameters.backbone].dimension
    return nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, parameters.projection))


def fit_head(module: nn.Module, view: str, material: TrainingSet, device: torch.device) -> None:
    """Fit the head of labels to a finished embedding, which stays as it is (linear evaluation, Khosla 2020).

    Multinomial logistic regression on the training people, whose strength of regularisation is the one of the
    smallest loss on the validation people.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    assert isinstance(module, Classifier)
    parameters, units = material.recipe.parameters, material.units
    module.to(device).eval()
    objective = PairObjective(parameters, view, material.photos.pictures, units, device)
    x = {
        TRAIN: objective.embedded(module, objective.train),
        VALIDATION: objective.embedded(module, objective.held),
    }
    y = {part: units.target[units.chosen(part)] for part in x}
    mean, sd = x[TRAIN].mean(0), x[TRAIN].std(0)
    sd = np.where(sd > 1e-6 * sd.max(), sd, np.inf)  # what never differs says nothing
    labels = np.arange(len(units.labels))
    fitted = []
    for strength in _STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit((x[TRAIN] - mean) / sd, y[TRAIN])
        told = model.predict_proba((x[VALIDATION] - mean) / sd)
        p = np.full((len(told), len(labels)), 1e-6)
        p[:, model.classes_] = np.clip(told, 1e-6, 1)
        p /= p.sum(1, keepdims=True)
        fitted.append((log_loss(y[VALIDATION], p, labels=labels), strength, model))
    model = min(fitted, key=lambda one: one[:2])[2]
    coefficients, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # of which scikit-learn keeps one row
        coefficients, bias = np.vstack([-coefficients, coefficients]) / 2, np.append(-bias, bias) / 2
    layer: Any = module.head.one  # of the head "convolution"
    weights, offset = np.zeros((len(labels), x[TRAIN].shape[1])), np.full(len(labels), -20.0)
    weights[model.classes_] = coefficients / sd
    offset[model.classes_] = bias - weights[model.classes_] @ mean
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights).view(layer.weight.shape))
        layer.bias.copy_(torch.from_numpy(offset))
    module.cpu()
