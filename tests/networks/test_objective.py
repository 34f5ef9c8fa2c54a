"""What a recipe's training makes small: its batches, its losses, and what is watched."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from looks import look, small
from noise import write_cohort

from anthropo.networks.network import decided
from anthropo.networks.objective import Objective, UnitBatch, equal_values, monitored
from anthropo.networks.pair_losses import contrastive
from anthropo.networks.units import units_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("noise"), ["a", "b"] * 20)


def objective_of(table: Path, name: str, *settings: str) -> Objective:
    recipe = small(name, *settings)
    photos = look(table, recipe)
    units = units_of(recipe.task, photos.features, recipe.parameters, photos.kinds)
    return Objective(recipe.parameters, "image", recipe.task, photos.pictures, units, CPU)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("uneven"), ["common"] * 45 + ["rare"] * 5)


def first_epoch(objective: Objective) -> list[UnitBatch]:
    return list(objective.batches(0))


def test_an_epoch_is_every_unit_once(table: Path) -> None:
    objective = objective_of(table, "skin-five")
    people = torch.cat([batch.people for batch in first_epoch(objective)])
    assert objective.steps == 3
    assert sorted(people.tolist()) == sorted(objective.people[objective.train].tolist())
    doubled = objective_of(table, "skin-five", "mirror=true")
    people = torch.cat([batch.people for batch in first_epoch(doubled)])
    assert sorted(people.tolist()) == sorted(np.repeat(doubled.people[doubled.train], 2).tolist())


def test_sampling_shows_the_rare_label_as_often(uneven: Path) -> None:
    objective = objective_of(uneven, "skin-five", "imbalance=sampling")
    shares = [torch.cat([b.target for b in objective.batches(seed)]).float().mean() for seed in range(30)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    plain = objective_of(uneven, "skin-five", "imbalance=none")
    assert torch.cat([b.target for b in first_epoch(plain)]).float().mean() < 0.2


def test_weights_make_a_rare_label_count_as_much(uneven: Path) -> None:
    objective = objective_of(uneven, "skin-five", "imbalance=weights")
    n = len(objective.train)
    rare = objective.units.target[objective.train] == 1
    assert objective.weights[objective.train][rare].sum() == pytest.approx(n / 2)
    # validation is weighed as training is
    assert set(objective.weights[objective.held].tolist()) == set(objective.weights[objective.train].tolist())


def test_focal_loss_is_that_of_lin_and_others(table: Path) -> None:
    objective = objective_of(table, "skin-five", "imbalance=focal", "focal_gamma=2")
    batch = replace(first_epoch(objective)[0], target=torch.tensor([0, 1]))
    outputs = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    p = outputs.softmax(1)[[0, 1], [0, 1]]
    expected = (-((1 - p) ** 2) * p.log()).mean()
    torch.testing.assert_close(objective.weighted(outputs, batch), expected)


def test_the_ordinal_loss_asks_every_step(table: Path) -> None:
    objective = objective_of(table, "risk-grading", "grades=a,b", "imbalance=none")
    batch = replace(first_epoch(objective)[0], target=torch.tensor([0, 1, 2]))
    outputs = torch.tensor([[-1.0, -2.0], [1.0, -2.0], [3.0, 2.0]])
    right = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    p = outputs.sigmoid()
    expected = -(right * p.log() + (1 - right) * (1 - p).log()).mean()
    torch.testing.assert_close(objective.weighted(outputs, batch), expected)


def test_contrastive_cost_by_hand() -> None:
    features = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0]], requires_grad=True)
    target = torch.tensor([0, 0, 1])
    # of length 1: the first two are apart by √2, the third is the first
    both = (2.0 + 1.0 + 0.0) / 3
    cost = contrastive(features, equal_values(target), 1.0)
    assert cost.item() == pytest.approx(both, abs=1e-5)
    cost.backward()
    assert torch.isfinite(features.grad).all()  # type: ignore[arg-type]
    # of one person alone: photos 1 and 3, well and ill
    features = features.detach()
    for people, cost_of_these in (([5, 6, 5], 1.0), ([1, 2, 3], 0.0)):
        counted = equal_values(torch.tensor(people))
        found = float(contrastive(features, equal_values(target), 1.0, counted))
        assert found == pytest.approx(cost_of_these, abs=1e-5)


def test_photos_of_a_person_meet_in_a_batch(tmp_path: Path) -> None:
    patients = [f"p{i // 2}" for i in range(60)]
    table = write_cohort(tmp_path, ["well", "ill"] * 30, patients)
    recipe = small("deepgestalt", "contrastive=1", "contrastive_pairs=patient", "mirror=false")
    photos = look(table, recipe)
    units = units_of("labels", photos.features, recipe.parameters, photos.kinds)
    objective = Objective(recipe.parameters, "image", "labels", photos.pictures, units, CPU)
    for batch in first_epoch(objective):
        assert len(set(batch.people.tolist())) == len(batch.people) // 2


def test_of_ordered_grades_the_middle_one_is_decided_on() -> None:
    p = np.array([[0.4, 0.25, 0.35], [0.6, 0.1, 0.3], [0.1, 0.3, 0.6], [0.3, 0.4, 0.3]])
    assert decided(p, "thresholds").tolist() == [1, 0, 2, 1]
    assert decided(p, "linear").tolist() == [0, 0, 2, 1]


def test_what_is_watched() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert monitored("labels", p, np.array([0, 0, 1, 1])) == pytest.approx(0.75)
    assert monitored("grades", p, np.array([0, 0, 1, 1])) == pytest.approx(0.5)
    target = np.array([[0, 1], [0, 1], [1, 1], [1, 1]], np.float32)
    assert monitored("attributes", 1 - p, target) == 1.0  # the second is in everybody, and left out
    assert math.isnan(monitored("attributes", p[:, :1], np.ones((4, 1))))
