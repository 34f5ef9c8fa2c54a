"""Maps of faces: figures on numbers whose groups are known, and what is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.groups.map import (
    Grouping,
    default_perplexity,
    draw_map,
    group_by,
    neighbours,
    numbers_of,
)
from anthropo.learning.features import Features
from anthropo.report.map import marks

Floats = NDArray[np.float64]


def groups_of(index: Sequence[int]) -> Grouping:
    return Grouping(tuple("abcdefgh"[: max(index) + 1]), np.array(index), ordered=False)


def each(n: int) -> NDArray[np.str_]:
    return np.array([f"p{i}" for i in range(n)])


# ------------------------------------------------------------------------------------------- neighbours


def test_groups_that_are_apart_are_named_by_their_neighbours() -> None:
    random = np.random.default_rng(0)
    index = [0] * 20 + [1] * 20
    values = random.normal(size=(40, 8)) + 4 * np.array(index)[:, None]
    found = neighbours(values, groups_of(index), each(40))
    assert found.accuracy.value == 1
    assert found.chance == pytest.approx(0.5, abs=0.03)
    assert found.p == pytest.approx(1 / 1001)


def test_groups_that_are_not_are_at_chance() -> None:
    """p-values of noise are even: each of 60 has one chance in ten to lie below 0.1."""
    random = np.random.default_rng(1)
    small = 0
    for seed in range(60):
        index = random.permutation([0] * 10 + [1] * 20)
        found = neighbours(random.normal(size=(30, 5)), groups_of(index.tolist()), each(30), seed=seed)
        small += found.p < 0.1
    assert small <= 13  # more than 13 have a chance of 0.3 %


def test_somebodys_other_photos_are_no_neighbours() -> None:
    """Two all but equal photos of each: whoever counts them finds groups where there are none."""
    random = np.random.default_rng(2)
    values = np.repeat(random.normal(size=(30, 6)), 2, axis=0) + 1e-3 * random.normal(size=(60, 6))
    index = np.repeat(random.permutation([0, 1] * 15), 2).tolist()
    found = neighbours(values, groups_of(index), np.repeat(each(30), 2))
    assert found.accuracy.value < 0.75
    assert found.p > 0.01


def test_people_not_photos_are_dealt_anew() -> None:
    """Twenty photos each of six people, all alike within a person: three people of a group prove little."""
    random = np.random.default_rng(3)
    values = np.repeat(3 * random.normal(size=(6, 4)), 20, axis=0) + 0.1 * random.normal(size=(120, 4))
    values[:60] += 20  # the groups are apart
    found = neighbours(values, groups_of([0] * 60 + [1] * 60), np.repeat(each(6), 20))
    assert found.accuracy.value == 1
    assert found.p >= 0.05  # there are but 20 ways to deal


def test_a_large_group_does_not_make_the_figure() -> None:
    random = np.random.default_rng(4)
    found = neighbours(random.normal(size=(60, 5)), groups_of([0] * 55 + [1] * 5), each(60))
    assert found.by_group[0].value > 0.95
    assert found.accuracy.value == pytest.approx(0.5, abs=0.1)


def test_photos_without_a_group_are_left_out_of_it() -> None:
    random = np.random.default_rng(5)
    index = np.array([0] * 10 + [1] * 10 + [-1] * 10)
    values = random.normal(size=(30, 4)) + 5 * index[:, None]
    groups = Grouping(("a", "b"), index, ordered=False)
    assert neighbours(values, groups, each(30)).accuracy.n == 20


def test_a_group_alone_cannot_be_told() -> None:
    found = neighbours(np.random.default_rng(6).normal(size=(11, 3)), groups_of([0] * 10 + [1]), each(11))
    assert math.isnan(found.accuracy.value)
    assert "fewer than two groups" in found.reason


# ------------------------------------------------------------------------------------------------ groups


def test_words_are_grouped_by_size_and_numbers_by_fifths() -> None:
    words = group_by(["b", "a", "b", "", "NA"], "category")
    assert (words.names, words.index.tolist()) == (("b", "a"), [0, 1, 0, -1, -1])
    ages = group_by(["70", "1", "8.5", "18m", "", "30"], "age")
    assert (ages.names, ages.index.tolist()) == (("0-2", "3-12", "18-39", "65+"), [3, 0, 1, 0, -1, 2])
    numbers = group_by([str(i) for i in range(10)], "number")
    assert numbers.names == ("0 to 1", "2 to 3", "4 to 5", "6 to 7", "8 to 9")
    assert numbers.index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert group_by(["1", "1", "1", "2", "2", "x"], "number").names == ("1", "2")
    with pytest.raises(InputError, match="empty"):
        group_by(["", "na"], "category")


def test_every_group_looks_different() -> None:
    names = [f"g{i}" for i in range(18)]
    drawn = marks(Grouping(tuple(names), np.repeat(np.arange(18), 20 - np.arange(18)), ordered=False))
    looks = {(m.colour, m.outline.tobytes()) for m in drawn[:15]}
    assert len(looks) == 15
    assert {m.colour for m in drawn[15:]} == {"#9aa4ae"}  # the smallest share a grey dot
    few = drawn[:7]
    assert len({m.colour for m in few}) == len({m.outline.tobytes() for m in few}) == 7  # either tells them


# ----------------------------------------------------------------------------------------------- numbers


def features(measurements: Floats, embedding: Floats | None = None) -> Features:
    n, m = measurements.shape
    return Features(
        photos=each(n), labels=each(n), patients=each(n), measurements=measurements,
        measurement_ids=tuple(f"m{i}" for i in range(m)),
        regions={} if embedding is None else {"face": embedding.astype(np.float32)},
        metadata={}, digests=each(n), prints=np.zeros((n, 1), dtype=np.float32),
    )  # fmt: skip


def test_missing_measurements_are_the_median_and_that_is_said() -> None:
    values = np.random.default_rng(7).normal(size=(20, 4))
    values[:4, 0] = np.nan
    values[:11, 1] = np.nan  # fewer than half have it
    values[:, 2] = 7.0  # all have the same
    found = numbers_of(features(values), "measurements")
    assert found.described == (
        "3 measurements (1 left out, which fewer than half of the photos have); 6.7 % of the values missing, "
        "taken as the median; each standardised"
    )
    assert found.values.shape == (20, 2)
    np.testing.assert_allclose(found.values.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(found.values.std(0), 1)
    filled = found.values[:4, 0]
    assert np.ptp(filled) < 1e-12
    assert filled[0] == pytest.approx(np.median(found.values[4:, 0]))


def test_embeddings_are_standardised() -> None:
    embedding = np.random.default_rng(8).normal(3, [1, 10, 0.1], size=(15, 3))
    found = numbers_of(features(np.zeros((15, 1)), embedding), "embeddings")
    np.testing.assert_allclose(found.values.std(0), 1)


def test_photos_that_do_not_differ_are_refused() -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        numbers_of(features(np.ones((12, 5))), "measurements")


# ------------------------------------------------------------------------------------------------- maps


def test_the_same_seed_draws_the_same_map() -> None:
    values = np.random.default_rng(9).normal(size=(40, 12))
    one, two, other = (draw_map(values, seed=seed, perplexity=5.0) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.tsne, two.tsne)
    np.testing.assert_array_equal(one.pca, two.pca)
    np.testing.assert_array_equal(one.pca, other.pca)  # nothing in it is random


def test_trust_is_high_where_the_plane_has_room() -> None:
    flat = np.random.default_rng(10).normal(size=(60, 2)) @ np.random.default_rng(11).normal(size=(2, 10))
    made = draw_map(flat)
    assert made.trust["pca"] == pytest.approx(1)
    assert made.trust["tsne"] > 0.95
    assert sum(made.shares) == pytest.approx(1)
    round_ = draw_map(np.random.default_rng(12).normal(size=(60, 30)))
    assert round_.trust["pca"] < 0.75


def test_clusters_stay_together() -> None:
    random = np.random.default_rng(13)
    index = np.repeat([0, 1, 2], 12)
    at = draw_map(random.normal(size=(36, 10)) + 8 * np.eye(3, 10)[index]).tsne
    centres = np.array([at[index == i].mean(0) for i in range(3)])
    nearest = np.linalg.norm(at[:, None] - centres, axis=2).argmin(1)
    assert (nearest == index).all()


def test_perplexity_suits_the_number_of_photos() -> None:
    assert default_perplexity(1000) == 30
    assert default_perplexity(31) == 10
    values = np.random.default_rng(14).normal(size=(31, 4))
    assert draw_map(values).perplexity == 10
    with pytest.raises(InputError, match="with 31 photos 10 is the most"):
        draw_map(values, perplexity=11.0)


def test_too_few_photos_are_refused() -> None:
    with pytest.raises(InputError, match="9 photos to draw, 10 are needed"):
        numbers_of(features(np.random.default_rng(15).normal(size=(9, 4))), "measurements")
