"""The recipe contrastive: batches in which pairs meet, people kept apart, and what is found of them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from looks import Stopped, look, small, stop_at
from noise import write_cohort
from PIL import Image
from shown import shows_itself

from anthropo.encoder.encoders import SEEN
from anthropo.encoder.regions import DEFAULT_REGIONS
from anthropo.errors import InputError
from anthropo.networks.encoder import network_encoder
from anthropo.networks.finetuning import Finetuned, finetune
from anthropo.networks.network import flat
from anthropo.networks.pairs import PairObjective, deal
from anthropo.networks.recipes import Recipe, load_recipe
from anthropo.networks.sources import units_of_pairs
from anthropo.networks.training_set import training_set
from anthropo.networks.units import TEST, TRAIN, Units
from anthropo.networks.verification import Pairs, auroc_of_pairs, pairs_between, verification_figures

CPU = torch.device("cpu")
PEOPLE = 24
FAST = (
    *(
        "loss=supcon",
        "positives=patient",
        "epochs=7",
        "patience=0",
        "batch=8",
        "rate=0.001",
        "temperature=0.2",
        "folds=3",
    ),
    *("optimiser=adam", "flip=false", "rotation=0", "shear=0", "shift=0", "zoom=0"),
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People of a hue of their own, which tells their label, dark when ill; every fourth has one photo."""
    folder, random = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    path = folder / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "label", "patient", "state"])
        for person in range(PEOPLE):
            hue = [150 + 90 * np.cos(2 * np.pi * (person / PEOPLE + at / 3)) for at in range(3)]
            for state in ("well", "ill")[: 1 if person % 4 == 0 else 2]:
                pixels = np.array(hue) * (1.0 if state == "well" else 0.4) + random.normal(0, 12, (40, 40, 3))
                name = f"{person}-{state}.png"
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
                writer.writerow([name, "cold" if person < PEOPLE // 2 else "warm", f"p{person}", state])
    return path


def units_of(table: Path, recipe: Recipe, column: str | None = None) -> Units:
    return units_of_pairs(look(table, recipe), recipe.parameters, column)


def trained(table: Path, folder: Path, *settings: str, **more: Any) -> Finetuned:
    recipe = small("contrastive", *FAST, *settings)
    return finetune(training_set(recipe, look(table, recipe)), folder=folder, device=CPU, **more)


# --------------------------------------------------------------------------------------------- batches


def test_every_batch_has_pairs_of_two_states(table: Path) -> None:
    recipe = small("contrastive", *FAST)
    photos = look(table, recipe)
    units = units_of_pairs(photos, recipe.parameters)
    objective = PairObjective(recipe.parameters, "image", photos.pictures, units, CPU)
    seen: list[int] = []
    for batch in objective.batches(3):
        same = objective.same(batch) & ~torch.eye(len(batch.people), dtype=torch.bool)
        assert same.any(1).sum() >= len(batch.people) // 3
        seen += batch.people.tolist()
    assert sorted(seen) == sorted(objective.people[objective.train].tolist())  # each photo once
    groups = objective._groups(np.random.default_rng(1))
    assert {len(group) for group in groups} == {1, 2}
    for group in groups:
        assert len(set(units.states[group])) == len(group)
        assert len(set(objective.people[group])) == 1


def test_groups_of_a_label_are_of_different_people(table: Path) -> None:
    recipe = small("contrastive", *FAST, "positives=label", "together=4")
    photos = look(table, recipe)
    units = units_of_pairs(photos, recipe.parameters)
    objective = PairObjective(recipe.parameters, "image", photos.pictures, units, CPU)
    for group in objective._groups(np.random.default_rng(1)):
        assert len(set(units.target[group])) == 1
    people = [len(set(objective.people[g])) == len(g) for g in objective._groups(np.random.default_rng(1))]
    assert np.mean(people) > 0.6
    both = PairObjective(
        small("contrastive", *FAST, "positives=both").parameters, "image", photos.pictures, units, CPU
    )
    batch = next(iter(both.batches(0)))
    same, of = both.same(batch), (batch.people, batch.target)
    assert (same == ((of[0][:, None] == of[0]) | (of[1][:, None] == of[1]))).all()


def test_groups_are_dealt_evenly() -> None:
    sizes = [2] * 7 + [1] * 10
    batches = deal(sizes, 3)
    assert np.bincount(batches, sizes).tolist() == [8, 8, 8]
    assert min(np.bincount(batches[:7])) >= 2


# ---------------------------------------------------------------------------------- what is learned of whom


@pytest.fixture(scope="module")
def supcon(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finetuned, Path]:
    """A network that pairs were learned by, and its checkpoint."""
    folder = tmp_path_factory.mktemp("supcon") / "c"
    return trained(table, folder), folder / "image.npz"


def better_than_its_start(made: Finetuned) -> None:
    found = made.verification
    assert found is not None
    assert found.what == "the same person across states (ill, well)"
    assert found.auroc.value > found.began.value
    assert found.gained.value == pytest.approx(found.auroc.value - found.began.value)
    assert found.auroc.lo <= found.auroc.value <= found.auroc.hi
    assert found.start == "none"


def test_pairs_of_people_who_were_kept_apart_are_told_better(
    supcon: tuple[Finetuned, Path], tmp_path: Path
) -> None:
    made, _ = supcon
    better_than_its_start(made)
    assert made.network.about.spec.outputs == 2
    assert made.network.manifest.validation.models["pairs"]["auroc"] == made.verification.auroc
    made.network.save(tmp_path / "net.anthropo")
    encoder = network_encoder(tmp_path / "net.anthropo")
    assert encoder.dimension == 320


def test_triplets_teach_as_well(table: Path, tmp_path: Path) -> None:
    better_than_its_start(trained(table, tmp_path / "c", "epochs=12", "loss=triplet", "mining=semi-hard"))


def test_an_embedding_is_classified_by_a_head_that_leaves_it(supcon: tuple[Finetuned, Path]) -> None:
    made, checkpoint = supcon
    chips = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3)).astype(np.uint8)
    p = made.network.probabilities({"image": chips})
    np.testing.assert_allclose(p.sum(1), 1)
    assert set(made.by_label) == {"cold", "warm"}
    assert made.overall["auroc"].value > 0.7
    assert "On people who were kept apart" in shows_itself(made)
    assert made.plot("metric").get_ylabel() == "verification AUROC, validation"
    with np.load(checkpoint) as kept:
        body = kept["best_module"]
    module = flat(made.network.modules[0])
    head = 2 * 320 + 2
    np.testing.assert_array_equal(body[:-head], module[:-head])


def test_no_patient_is_in_two_parts_and_none_who_is_judged_was_learned_from(
    table: Path, supcon: tuple[Finetuned, Path]
) -> None:
    recipe = small("contrastive", *FAST)
    photos = look(table, recipe)
    units = training_set(recipe, photos).units
    parts = [set(units.patients[units.chosen(part)]) for part in (0, 1, 2)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == PEOPLE
    judged = {d[:SEEN] for d in photos.features.digests[units.chosen(TEST)]}
    about = supcon[0].network.about
    assert not judged & set(about.learned_from)
    assert len(about.learned_from) == len(photos.features) - len(judged)


def test_a_training_that_gains_nothing_keeps_its_start(
    table: Path, supcon: tuple[Finetuned, Path], tmp_path: Path
) -> None:
    first, start = supcon[0], tmp_path / "start.anthropo"
    first.network.save(start)
    # steps so large that every epoch is worse than the warm start
    again = trained(table, tmp_path / "b", f"warm_start={start}", "rate=5", "epochs=1", "temperature=1")
    body, begun = (flat(of.network.modules[0].body) for of in (again, first))
    np.testing.assert_array_equal(body, begun)
    assert again.verification.gained.value == 0


def test_a_resumed_training_ends_with_the_same_network(table: Path, tmp_path: Path) -> None:
    settings = ("loss=triplet", "projection=8", "optimiser=adam", "rate=0.001", "epochs=3")
    whole = trained(table, tmp_path / "whole", *settings)
    with pytest.raises(Stopped):
        trained(table, tmp_path / "cut", *settings, report=stop_at(2))
    cut = trained(table, tmp_path / "cut", *settings)
    np.testing.assert_array_equal(flat(cut.network.modules[0]), flat(whole.network.modules[0]))
    assert cut.verification.auroc == whole.verification.auroc


# ------------------------------------------------------------------------------------------------ figures


def test_figures_of_pairs_by_hand() -> None:
    same = np.array([True, True, False, False, False])
    people = (np.array([0, 1, 0, 0, 1]), np.array([0, 1, 1, 2, 2]))
    pairs = Pairs(people[0], people[1], same, people, "the same person")
    scores = np.array([0.9, 0.4, 0.4, 0.1, 0.2])
    assert auroc_of_pairs(scores, pairs) == pytest.approx((3 + 2.5) / 6)
    made = verification_figures(scores, scores, pairs, start="none")
    assert made.auroc.value == pytest.approx(5.5 / 6)
    assert made.true_accepts.value == 0.5
    assert made.gained.value == made.gained.lo == made.gained.hi == 0
    assert made.pairs == (2, 3)
    own = tuple(of[:2] for of in people)
    nothing = verification_figures(scores[:2], scores[:2], Pairs(*own, same[:2], own, ""), start="")
    assert not nothing.auroc.known
    assert "no pairs of both kinds" in nothing.auroc.reason


def test_only_photos_of_two_known_states_are_compared(table: Path) -> None:
    units = units_of(table, small("contrastive", *FAST))
    chosen = units.chosen(TRAIN)
    units.states[chosen[0]] = -1
    pairs = pairs_between(units, chosen, "patient")
    states = units.states[chosen]
    assert (states[pairs.first] != states[pairs.second]).all()
    assert 0 not in pairs.first
    assert 0 not in pairs.second
    labels = pairs_between(units, chosen, "label")
    assert (labels.people[0] != labels.people[1]).all()
    assert (labels.same == (units.target[chosen][labels.first] == units.target[chosen][labels.second])).all()


# ------------------------------------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    ("states", "settings", "column", "sentence"),
    [
        (["well", "well"], (), None, r"column state: every photo is well, and pairs are of two states\."),
        (["", ""], (), None, r"column state: the column is empty, and pairs are of two states\."),
        (["well", "ill"], (), "visit", r"state='visit': no such column\. There are label, patient, state\."),
    ],
)
def test_columns_that_make_no_pairs(
    tmp_path: Path, states: list[str], settings: tuple[str, ...], column: str | None, sentence: str
) -> None:
    patients = [f"p{i // 2}" for i in range(24)]
    table = write_cohort(tmp_path, ["a", "b"] * 12, patients, state=states * 12)
    with pytest.raises(InputError, match=sentence.replace("label, patient, ", ".*")):
        units_of(table, small("contrastive", *settings), column)


def test_patients_without_pairs(tmp_path: Path) -> None:
    patients = ["p0", "p0", *(f"p{i}" for i in range(2, 24))]
    table = write_cohort(tmp_path, ["a", "b"] * 12, patients, state=["well", "ill"] * 12)
    with pytest.raises(InputError, match=r"1 patients have two photos of different state; 3 are needed"):
        units_of(table, small("contrastive"))
    assert len(units_of(table, small("contrastive", "positives=label"))) == 24


def test_a_label_of_one_person(tmp_path: Path) -> None:
    patients = [f"p{i // 2}" for i in range(24)]
    table = write_cohort(tmp_path, ["rare"] * 2 + ["a"] * 10 + ["b"] * 12, patients, state=["x", "y"] * 12)
    with pytest.raises(InputError, match=r"Too few patients with rare \(1\): each label needs 3"):
        units_of(table, small("contrastive", "positives=label"))


def test_without_a_column_any_two_photos_are_a_pair(tmp_path: Path) -> None:
    patients = [f"p{i // 2}" for i in range(24)]
    units = units_of(write_cohort(tmp_path, ["a", "a", "b", "b"] * 6, patients), small("contrastive"))
    assert units.states is None
    assert units.notes == ("no column `state`: any two photos of a person are a pair.",)


def test_states_are_classified_where_there_is_one_label(tmp_path: Path) -> None:
    patients = [f"p{i // 2}" for i in range(24)]
    table = write_cohort(tmp_path, ["a"] * 24, patients, state=["well", "ill"] * 12)
    units = units_of(table, small("contrastive"))
    assert units.labels == ("ill", "well")
    assert "the states are what the network classifies by" in units.notes[0]


def test_unless_another_loss_is_asked_for_it_is_batch_hard_triplets_from_a_network_of_faces() -> None:
    own = load_recipe("contrastive").parameters
    assert (own.loss, own.mining, own.warm_start, own.positives) == (
        "triplet",
        "hard",
        "face-resnet",
        "patient",
    )
    assert own.views == DEFAULT_REGIONS  # of a hybrid, whose encoder it can be
    assert own.rate <= 1e-5


def test_options_that_contradict_each_other() -> None:
    for settings, sentence in (
        (("together=40", "batch=32"), "together 40: more than a batch of 32"),
        (("loss=triplet", "mining=all", "batch=300"), "mining all: looks at all triplets of a batch"),
        (("loss=cross-entropy",), "loss cross-entropy: not for the recipe contrastive. Choose from supcon"),
        (("imbalance=weights",), "imbalance: pairs have no labels to balance"),
        (("adaptation=coral",), "adaptation: not for the recipe contrastive"),
        (("keep=last", "patience=3"), "keep last: and stopping at the best epoch contradict each other"),
    ):
        with pytest.raises(InputError, match=sentence):
            small("contrastive", *settings)
