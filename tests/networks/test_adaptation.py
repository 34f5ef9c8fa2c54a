"""The recipes dann and deep-coral: reversed gradients, schedules, covariances, and labels never read."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from looks import Stopped, look, small, stop_at, with_labels
from noise import write_cohort
from PIL import Image
from torch import nn

import anthropo
from anthropo.errors import InputError
from anthropo.learning.cohort import read_cohort, read_target
from anthropo.networks.adaptation import AdaptingObjective, coral, reversed_gradient, schedule
from anthropo.networks.architectures import build
from anthropo.networks.finetuning import Finetuned, finetune
from anthropo.networks.network import flat
from anthropo.networks.recipes import Recipe
from anthropo.networks.sources import require_sites, split_by_site
from anthropo.networks.training_loop import extended, spec_of, without_extensions
from anthropo.networks.training_set import TrainingSet, training_set
from anthropo.networks.units import TEST, TRAIN
from anthropo.workflows.finetuning import FinetuneRequest, prepare

CPU = torch.device("cpu")
FAST = ("epochs=2", "batch=8", "targets=web")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty photos of a studio, thirty of the web."""
    sites = ["studio"] * 30 + ["web"] * 30
    return write_cohort(tmp_path_factory.mktemp("sites"), ["a", "b"] * 30, site=sites)


def material_of(table: Path, recipe: Recipe, labels: list[str] | None = None) -> TrainingSet:
    """A training on the studio; `labels` take the place of the web's."""
    source, target = split_by_site(look(table, recipe), "site", ["web"])
    if labels is not None:
        target = replace(target, features=with_labels(target.features, labels))
    return training_set(recipe, source, target=target)


def trained(material: TrainingSet, folder: Path, **more: Any) -> Finetuned:
    return finetune(material, folder=folder, device=CPU, **more)


# --------------------------------------------------------------------------------------------- the costs


def test_the_gradient_is_turned_round_and_scaled() -> None:
    x = torch.tensor([[1.0, -2.0]], requires_grad=True)
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 5.0]])
    y = layer(reversed_gradient(x, 0.25))
    assert y.item() == -7  # unchanged on the way there
    y.backward()
    assert x.grad.tolist() == [[-0.75, -1.25]]
    assert layer.weight.grad.tolist() == [[1.0, -2.0]]  # the layers behind learn as they would


def test_the_schedule_is_that_of_ganin() -> None:
    assert schedule(0, 10) == 0
    for p in (0.05, 0.3, 0.9):
        assert schedule(p, 10) == pytest.approx(math.tanh(5 * p))  # the same function
    assert schedule(0.3, 0) == 1


def test_coral_is_the_distance_of_covariances() -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(20, 3)), random.normal(size=(15, 3)) * [1, 2, 3]
    apart = ((np.cov(source.T) - np.cov(target.T)) ** 2).sum() / (4 * 9)
    a, b = torch.from_numpy(source), torch.from_numpy(target)
    assert float(coral(a, b)) == pytest.approx(apart)
    assert float(coral(a, a + 5)) == pytest.approx(0)


def test_the_body_is_pushed_away_from_what_tells_the_domain(table: Path) -> None:
    recipe = small("dann", *FAST, "dropout=0", "adaptation_gamma=0")
    material = material_of(table, recipe)
    assert material.target is not None
    torch.manual_seed(0)
    module = extended(build(spec_of(recipe, 2)), recipe.parameters).train()
    gradients = {}
    for weight in (0.0, 1.0, 2.0):
        options = replace(recipe.parameters, adaptation_weight=weight)
        objective = AdaptingObjective(
            options, "image", material.photos.pictures, material.units, CPU, target=material.target
        )
        module.zero_grad()
        objective.loss(module, next(iter(objective.batches(0)))).backward()
        grads = [p.grad.clone() for p in (module.body.conv51.weight, module.domains[0].weight)]
        gradients[weight] = grads
    body = {weight: of[0] for weight, of in gradients.items()}
    # what the domain adds to the body's gradient grows with the weight, what it adds to its own does not
    torch.testing.assert_close(body[2.0] - body[0.0], 2 * (body[1.0] - body[0.0]), rtol=1e-3, atol=1e-6)
    assert (body[1.0] - body[0.0]).abs().max() > 0
    torch.testing.assert_close(gradients[0.0][1], gradients[2.0][1], rtol=1e-4, atol=1e-7)
    without_extensions(module)
    assert len(flat(module)) == len(flat(build(spec_of(recipe, 2))))


def test_coral_brings_the_embeddings_together(table: Path, tmp_path: Path) -> None:
    apart = {}
    for weight in (0, 100_000):
        recipe = small(
            "deep-coral", *FAST, "epochs=3", "adaptation_layer=embedding", f"adaptation_weight={weight}"
        )
        material = material_of(table, recipe)
        assert material.target is not None
        made = trained(material, tmp_path / f"{weight}")
        module = made.network.modules[0]
        x = [
            torch.from_numpy(made.network.embed({"image": of.of(rows, "image")}))
            for of, rows in (
                (material.photos.pictures, range(20)),
                (material.target.pictures, material.target.rows[:20]),
            )
        ]
        scale = x[0].var(0).mean()
        apart[weight] = float(coral(*x) / scale**2)
        assert not hasattr(module, "domains")
    assert apart[100_000] < apart[0]


# ------------------------------------------------------------------------------------------- the training


@pytest.mark.parametrize("name", ["dann", "deep-coral"])
def test_labels_of_the_target_are_never_read(table: Path, tmp_path: Path, name: str) -> None:
    recipe = small(name, *FAST)
    right = material_of(table, recipe)
    turned = material_of(table, recipe, ["b", "a"] * 15)
    bare = material_of(table, recipe, ["c"] * 30)
    one, other = (trained(of, tmp_path / f"{i}") for i, of in enumerate((right, turned)))
    np.testing.assert_array_equal(flat(one.network.modules[0]), flat(other.network.modules[0]))
    assert one.target is not None
    assert other.target is not None
    assert one.target.patients == 6
    assert one.target.overall["accuracy"].value == pytest.approx(1 - other.target.overall["accuracy"].value)
    # people of the target who are judged by are not adapted to; all are, where nobody can be judged by
    assert bare.target is not None
    assert bare.target.judged is None
    assert (len(bare.target.rows), len(right.target.rows)) == (30, 24)
    judged = {row for rows in right.target.judged.rows for row in rows}
    assert not judged & set(right.target.rows.tolist())
    assert len(one.network.about.learned_from) == 24 + 24
    assert "not judged in the target, because it was not learned: c." in bare.units.notes


def test_nobody_who_is_judged_in_the_target_is_learned_from(tmp_path: Path) -> None:
    # everybody has a photo in the studio and one of the web
    patients = [f"p{i % 30}" for i in range(60)]
    table = write_cohort(tmp_path, ["a", "b"] * 30, patients, site=["studio"] * 30 + ["web"] * 30)
    material = material_of(table, small("dann", *FAST))
    units, target = material.units, material.target
    judged = set(target.judged.patients.tolist())
    assert judged == set(units.patients[units.chosen(TEST)].tolist())
    assert not judged & set(units.patients[units.chosen(TRAIN)].tolist())


def test_a_resumed_training_ends_with_the_same_network(table: Path, tmp_path: Path) -> None:
    material = material_of(table, small("dann", *FAST, "epochs=3"))
    whole = trained(material, tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(material, tmp_path / "cut", report=stop_at(2))
    cut = trained(material, tmp_path / "cut")
    np.testing.assert_array_equal(flat(cut.network.modules[0]), flat(whole.network.modules[0]))
    assert cut.network.about.adapted == 24
    cut.network.save(tmp_path / "net.anthropo")
    again = anthropo.Network.load(tmp_path / "net.anthropo")
    x = {"image": np.zeros((1, 32, 32, 3), np.uint8)}
    np.testing.assert_array_equal(again.probabilities(x), whole.network.probabilities(x))


def test_every_step_has_as_many_target_photos(table: Path) -> None:
    recipe = small("dann", *FAST)
    material = material_of(table, recipe)
    objective = AdaptingObjective(
        recipe.parameters, "image", material.photos.pictures, material.units, CPU, target=material.target
    )
    batches = list(objective.batches(0, 0.5, 0.5))
    assert [len(b.others) for b in batches] == [len(b.x) for b in batches]
    assert [b.progress for b in batches] == [0.5 + 0.5 * i / len(batches) for i in range(len(batches))]


# -------------------------------------------------------------------------------------------- the messages


@pytest.mark.parametrize(
    ("column", "targets", "sentence"),
    [
        ("clinic", ["web"], r"domain='clinic': no such column\. There are patient|site"),
        ("one", ["web"], r"domain='one': every photo is of x; two or more sites are needed"),
        ("none", ["web"], r"domain='none': the column is empty; two or more sites"),
        ("site", [], r"which site is adapted to\? Pass changes='targets=web'; there are studio, web\."),
        ("site", ["moon"], r"targets moon: no such site\. There are studio, web\."),
        ("site", ["web", "studio"], r"no photo is left to learn labels from"),
    ],
)
def test_sites_that_do_not_fit(tmp_path: Path, column: str, targets: list[str], sentence: str) -> None:
    table = write_cohort(
        tmp_path, ["a", "b"] * 4, site=["studio"] * 4 + ["web"] * 4, one=["x"] * 8, none=[""] * 8
    )
    with pytest.raises(InputError, match=sentence):
        require_sites(read_cohort(table), column, targets)


def request(**more: Any) -> FinetuneRequest:
    settings = ("backbone=deepgestalt", "warm_start=none", "size=32", "batch=8", "epochs=1", "threads=1")
    more = {"recipe": "dann", "changes": settings, **more}
    return FinetuneRequest(reading=anthropo.PhotoReading(no_face=True, jobs=1), device="cpu", **more)


def test_requests_that_adapt_to_nothing_or_twice(table: Path) -> None:
    for more, sentence in (
        ({}, r"dann: nothing to adapt to\. Pass target='PHOTOS', or domain='COLUMN' and changes='targets"),
        ({"recipe": "skin-five", "target": "x"}, r"target='x': the recipe skin-five adapts to nothing"),
        ({"domain": "site", "target": "x"}, r"either among the cohort's sites, or photos of its own"),
        ({"state": "visit"}, r"state='visit': only the recipe contrastive has pairs"),
        ({"target": "nowhere"}, r"nowhere: 0 usable photos to adapt to \(.*\); two or more"),
    ):
        with pytest.raises(InputError, match=sentence):
            prepare(table, request(**more))


def test_a_folder_of_target_photos(table: Path, tmp_path: Path) -> None:
    clinic = write_cohort(tmp_path / "clinic", ["a", "b"] * 6).parent
    (clinic / "cohort.csv").unlink()
    for path in clinic.iterdir():
        noise = np.random.default_rng(int(path.stem) + 1).integers(0, 220, (40, 40, 3))
        Image.fromarray(noise.astype(np.uint8)).save(path)
    prepared = prepare(table, request(target=clinic))
    assert prepared.training.target is not None
    assert len(prepared.training.target.rows) == 12
    assert "the target has no labels: figures are of the source alone." in prepared.training.units.notes
    copied = Image.open(table.parent / "3.png").resize((80, 80))
    copied.save(clinic / "copy.png")
    with pytest.raises(
        anthropo.CohortError, match=r"target photos that are also training photos, .*copy\.png"
    ):
        prepare(table, request(target=clinic))


def test_labels_of_target_photos_are_read_to_judge_by(tmp_path: Path) -> None:
    clinic = write_cohort(tmp_path / "clinic", ["a", "", "b"] * 2)
    assert [case.label for case in read_target(clinic, {"a"}).cases] == ["a", "", "b"] * 2
    folder = tmp_path / "by label"
    for name in ("a", "unsorted"):
        (folder / name).mkdir(parents=True)
        (clinic.parent / ("0.png" if name == "a" else "1.png")).rename(folder / name / "x.png")
    assert sorted(case.label for case in read_target(folder, {"a", "b"}).cases) == ["", "a"]


def test_rows_of_the_target_site_need_no_label(tmp_path: Path) -> None:
    table = write_cohort(tmp_path, ["a", "b", "", ""], site=["studio", "studio", "web", "web"])
    cohort = read_cohort(table, unlabelled=("site", ("web",)))
    assert [case.label for case in cohort.cases] == ["a", "b", "", ""]
    with pytest.raises(InputError, match=r"the label is missing in rows 4, 5"):
        read_cohort(table, unlabelled=("site", ("studio",)))
