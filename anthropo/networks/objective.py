"""Batches of units for an epoch, the loss of a module on them, and the figure that is watched."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anthropo.learning.grades import quadratic_kappa
from anthropo.networks.architectures import (
    BACKBONES,
    Attributes,
    Cases,
    Classifier,
    Separate,
    Task,
    channels_of,
)
from anthropo.networks.augmentation import augment
from anthropo.networks.network import as_probabilities, decided, normalised
from anthropo.networks.pair_losses import contrastive
from anthropo.networks.pictures import Pictures
from anthropo.networks.recipes import Parameters
from anthropo.networks.units import TRAIN, VALIDATION, Units, balancing


@dataclass(frozen=True, slots=True, eq=False)
class UnitBatch:
    """Some units as tensors on the device."""

    x: Tensor  # (n, c, h, w), of cases (n, m, c, h, w)
    present: Tensor | None  # (n, m) of cases
    metadata: Tensor | None  # (n, q) of cases
    target: Tensor  # (n,) or (n, a)
    weight: Tensor  # (n,) or (n, a)
    pose: Tensor  # (n, 3)
    people: Tensor  # (n,) numbers of the patients
    progress: float = 0.0  # share of the training that is done
    others: Tensor | None = None  # (m, c, h, w) of photos to adapt to


class Objective:
    """Batches of one view's pictures, and the loss of a module on them."""

    def __init__(
        self,
        parameters: Parameters,
        view: str,
        task: Task,
        pictures: Pictures,
        units: Units,
        device: torch.device,
        *,
        plain: bool = False,
    ) -> None:
        self.parameters, self.view, self.task, self.device = parameters, view, task, device
        self.pictures, self.units = pictures, units
        self.loss_name = "cross-entropy" if plain else parameters.loss
        self.imbalance = "none" if plain else parameters.imbalance
        self.ordinal = self.loss_name == "ordinal"
        self.by_patient = parameters.contrastive_pairs == "patient" and not plain
        self.train, self.held = units.chosen(TRAIN), units.chosen(VALIDATION)
        weights = np.ones(units.target.shape, np.float32)
        if self.imbalance in ("weights", "sampling"):
            weights[self.train] = balancing(units.target[self.train])
            of_training = units.target[self.train], weights[self.train]
            weights[self.held] = _by_class(*of_training, units.target[self.held])
        self.weights = weights
        self.people = np.unique(units.patients, return_inverse=True)[1]
        backbone = BACKBONES[parameters.backbone]
        self.mean, self.std = backbone.mean, backbone.std
        self.channels = channels_of(parameters.backbone, parameters.grey)
        self.steps = len(self.train) * (1 + parameters.mirror) // parameters.batch

    # ----------------------------------------------------------------------------- batches

    def batches(self, seed: int, done: float = 0.0, share: float = 0.0) -> Iterator[UnitBatch]:
        """The training units once, in a random order; what does not fill a batch waits for another epoch.

        `done` is the share of the training that is done, `share` that of this epoch.
        """
        random = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        order = np.repeat(self.train, 1 + self.parameters.mirror)
        mirrored = np.tile([False, True][: 1 + self.parameters.mirror], len(self.train))
        if self.imbalance == "sampling":
            weight = self.weights[order]
            weight = (weight if weight.ndim == 1 else weight.mean(1)).astype(np.float64)
            shuffled = random.choice(len(order), len(order), p=weight / weight.sum())
        elif self.parameters.contrastive:  # each patient's photos together, so that pairs meet in a batch
            people = self.people[order]
            rank = random.permutation(people.max() + 1)
            shuffled = np.lexsort((random.random(len(order)), rank[people]))
        else:
            shuffled = random.permutation(len(order))
        for step in range(self.steps):
            at = shuffled[step * self.parameters.batch : (step + 1) * self.parameters.batch]
            batch = self._augmented(self._batch(order[at], random), torch.from_numpy(mirrored[at]), generator)
            yield replace(batch, progress=done + share * step / self.steps)

    def _batch(self, chosen: NDArray[np.int64], random: np.random.Generator | None = None) -> UnitBatch:
        units, parameters = self.units, self.parameters
        present = metadata = None
        if self.task == "cases":
            cases = [list(units.rows[i]) for i in chosen]
            if random is not None:  # while training: another choice of a case's many photos each time
                cases = [[case[k] for k in random.permutation(len(case))] for case in cases]
            cases = [case[: parameters.images] for case in cases]
            m, side = max(map(len, cases)), parameters.size
            there = np.arange(m) < np.array([len(case) for case in cases])[:, None]
            chips: NDArray[np.uint8] = np.zeros((len(cases), m, side, side, 3), np.uint8)
            chips[there] = self.pictures.of([row for case in cases for row in case], self.view)
            present = torch.from_numpy(there).to(self.device)
            if units.metadata is not None:
                metadata = torch.from_numpy(units.metadata[chosen]).to(self.device)
        else:
            chips = self.pictures.of([units.rows[i][0] for i in chosen], self.view)
        x = self._normalised(chips)
        first = [units.rows[i][0] for i in chosen]
        known = (units.target[chosen], self.weights[chosen], self.pictures.pose[first], self.people[chosen])
        target, weight, pose, people = (torch.from_numpy(array).to(self.device) for array in known)
        return UnitBatch(x, present, metadata, target, weight, pose, people)

    def _normalised(self, chips: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(chips).to(self.device)
        return normalised(pixels, self.parameters.grey, self.channels, self.mean, self.std)

    def pixels(self, pictures: Pictures, rows: NDArray[np.int64]) -> Tensor:
        """Photos (n, c, h, w) as the module takes them."""
        return self._normalised(pictures.of(rows.tolist(), self.view))

    def moved(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Photos (n, c, h, w) as the augmentation changes them."""
        return augment(x, self.parameters, generator)

    def _augmented(self, batch: UnitBatch, mirrored: Tensor, generator: torch.Generator) -> UnitBatch:
        x = batch.x
        x = torch.where(mirrored.to(x.device).view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)
        moved = self.moved(x.flatten(0, -4) if x.ndim == 5 else x, generator).view(x.shape)
        return replace(batch, x=moved)

    # ----------------------------------------------------------------------------- the loss

    def _outputs(self, module: nn.Module, batch: UnitBatch) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Outputs, embedding and pose."""
        if isinstance(module, (Attributes, Separate)):
            outputs, pose, _ = module.everything(batch.x)
            return outputs, None, pose
        if isinstance(module, Cases):
            return module(batch.x, batch.present, batch.metadata), None, None
        assert isinstance(module, Classifier)
        features = module.features(batch.x)
        return module.judge(features), features, None

    def loss(self, module: nn.Module, batch: UnitBatch) -> Tensor:
        """The loss of a batch."""
        outputs, features, pose = self._outputs(module, batch)
        loss = self.weighted(outputs.float(), batch)
        if pose is not None and self.parameters.pose:
            loss = loss + self.parameters.pose * functional.mse_loss(pose.float(), batch.pose)
        if features is not None and self.parameters.contrastive:
            # by patient only pairs of one person: the same face, well and ill, is kept apart
            counted = equal_values(batch.people) if self.by_patient else None
            margin = self.parameters.contrastive_margin
            cost = contrastive(features.float(), equal_values(batch.target), margin, counted)
            loss = loss + self.parameters.contrastive * cost
        return loss

    def weighted(self, outputs: Tensor, batch: UnitBatch) -> Tensor:
        """The loss of outputs on the labels of a batch."""
        each = self._elementwise(outputs, batch.target)
        if self.imbalance == "focal":
            each = each * (1 - (-each).exp()) ** self.parameters.focal_gamma
        if self.ordinal:
            each = each.mean(1)
        if self.imbalance == "weights":
            return (each * batch.weight).sum() / batch.weight.sum()
        return each.mean()

    def _elementwise(self, outputs: Tensor, target: Tensor) -> Tensor:
        if self.ordinal:
            steps = torch.arange(outputs.shape[1], device=outputs.device)
            above = (target[:, None] > steps).to(outputs.dtype)
            return functional.binary_cross_entropy_with_logits(outputs, above, reduction="none")
        if self.loss_name == "bce":
            return functional.binary_cross_entropy_with_logits(outputs, target, reduction="none")
        if self.loss_name == "mse":
            return functional.mse_loss(outputs, 2 * target - 1, reduction="none")
        return functional.cross_entropy(outputs, target, reduction="none")

    # ----------------------------------------------------------------------------- validation

    def validate(self, module: nn.Module, mixed: bool) -> tuple[float, float]:
        """Loss and metric on the validation units, NaN where there are none."""
        if not len(self.held):
            return math.nan, math.nan
        module.eval()
        outputs, losses, sizes = [], [], []
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=mixed):
            for start in range(0, len(self.held), self.parameters.batch):
                batch = self._batch(self.held[start : start + self.parameters.batch])
                out = self._outputs(module, batch)[0].float()
                outputs.append(out.cpu())
                weight = batch.weight if self.imbalance == "weights" else torch.ones_like(batch.weight)
                size = float(weight.sum())
                losses.append(float(self.weighted(out, batch)) * size)
                sizes.append(size)
        head = "thresholds" if self.ordinal else ""
        p = as_probabilities(torch.cat(outputs), self.task, head, self.loss_name).double().numpy()
        return sum(losses) / sum(sizes), monitored(self.task, p, self.units.target[self.held], head)


def _by_class(target: NDArray[Any], weights: NDArray[np.float32], others: NDArray[Any]) -> Any:
    """The weights that the training units got, for others of the same targets."""
    if target.ndim == 1:
        known = dict(zip(target.tolist(), weights.tolist(), strict=True))
        return [known.get(t, 1.0) for t in others.tolist()]
    present = np.where((target > 0).any(0), (weights * (target > 0)).max(0), 1)
    absent = np.where((target <= 0).any(0), (weights * (target <= 0)).max(0), 1)
    return np.where(others > 0, present, absent)


#: What the metric of each task is called.
MONITORED: Mapping[str, str] = {
    "pairs": "verification AUROC",
    "labels": "balanced accuracy",
    "cases": "balanced accuracy",
    "grades": "quadratic kappa",
    "attributes": "mean AUROC",
}


def monitored(task: str, p: NDArray[np.float64], target: NDArray[Any], head: str = "") -> float:
    """The figure that is shown while training, of probabilities (n, k) and targets; NaN if there is none."""
    if task == "attributes":
        from sklearn.metrics import roc_auc_score

        each = [
            float(roc_auc_score(t, score))
            for score, t in zip(p.T, target.T, strict=True)
            if 0 < t.sum() < len(t)
        ]
        return float(np.mean(each)) if each else math.nan
    called = decided(p, head)
    if task == "grades":
        return quadratic_kappa(target, called, p.shape[1])
    return float(np.mean([(called[target == c] == c).mean() for c in np.unique(target)]))


def equal_values(values: Tensor) -> Tensor:
    """Which of values (n,) are the same, (n, n)."""
    return values[:, None] == values[None, :]
