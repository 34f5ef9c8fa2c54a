"""What distinguishes a group: effect sizes, and the places where heatmaps differ."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.ndimage import gaussian_filter

from anthropo.errors import InputError
from anthropo.groups.places import no_place
from anthropo.groups.regions import HeatmapDifference, compare_maps, effect, effects, two_groups


def maps_of(n: int, seed: int, planted: float = 0.0) -> np.ndarray:
    """Smooth noise (2 n, 60, 60); the first half have something at rows 10 to 20, columns 30 to 45."""
    noise = np.random.default_rng(seed).standard_normal((2 * n, 60, 60))
    maps = np.stack([gaussian_filter(m, 2) for m in noise])
    maps /= maps.std()
    maps[:n, 10:20, 30:45] += planted
    return maps


def halves(n: int) -> np.ndarray:
    return np.arange(2 * n) < n


# ---------------------------------------------------------------------------------------- effect sizes


def test_effect_is_hedges_g_with_its_interval() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(1, 2, 12), random.normal(0, 2, 30)
    found = effect("measurement", "x", one, other)
    pooled = math.sqrt((11 * np.var(one, ddof=1) + 29 * np.var(other, ddof=1)) / 40)
    # the exact correction of which 1 - 3 / (4 df - 1) is the usual approximation
    exact = math.exp(math.lgamma(20) - math.lgamma(19.5)) / math.sqrt(20)
    assert found.g == pytest.approx(exact * (one.mean() - other.mean()) / pooled, rel=1e-3)
    # Welch's test, but for the error of the pooled SD
    welch = stats.ttest_ind(one, other, equal_var=False)
    assert found.p == pytest.approx(welch.pvalue, rel=0.2)
    assert found.p > welch.pvalue
    # at the level of its own p the interval ends at zero
    at_p = effect("measurement", "x", one, other, level=1 - found.p)
    assert min(abs(at_p.lo), abs(at_p.hi)) == pytest.approx(0, abs=1e-9)
    assert (found.n, found.n_others) == (12, 30)


def test_interval_covers_the_true_difference() -> None:
    random = np.random.default_rng(1)
    hit = 0
    for _ in range(400):
        found = effect("measurement", "x", random.normal(0.8, 1, 15), random.normal(0, 1, 20))
        hit += found.lo <= 0.8 <= found.hi
    assert 0.92 <= hit / 400 <= 0.98  # binomial SD 0.011 around 0.95


@pytest.mark.parametrize(("shifted", "shift"), [(0, 0.0), (3, 1.0), (12, 0.8), (40, 2.0)])
def test_intervals_agree_with_the_q_values(shifted: int, shift: float) -> None:
    """An interval leaves zero out where q is at most 0.05, and nowhere else."""
    random = np.random.default_rng(shifted)
    for n, m in ((3, 4), (9, 30), (25, 25)):
        groups = [
            (f"m{i}", random.normal(shift * (i < shifted), 1 + i % 3, n), random.normal(0, 1, m))
            for i in range(40)
        ]
        found = effects("measurement", groups)
        assert [e.lo > 0 or e.hi < 0 for e in found] == [e.q <= 0.05 for e in found]
        assert len({e.level for e in found}) == 1


def test_intervals_of_what_was_found_miss_the_truth_in_five_percent() -> None:
    """False coverage rate: plain 95 % intervals of the largest of many effects miss far more often."""
    random = np.random.default_rng(3)
    missed: dict[str, list[float]] = {"adjusted": [], "plain": []}
    for _ in range(60):
        groups = [(f"{i}", random.normal(0.5 * (i < 20), 1, 30), random.normal(0, 1, 30)) for i in range(100)]
        picked = [(e, g) for e, g in zip(effects("measurement", groups), groups, strict=True) if e.q <= 0.05]
        for e, group in picked:
            true = 0.5 * (int(e.name) < 20)
            plain = effect("measurement", *group)
            for name, one in (("adjusted", e), ("plain", plain)):
                missed[name].append(not one.lo <= true <= one.hi)
    assert np.mean(missed["adjusted"]) < 0.06
    assert np.mean(missed["plain"]) > 0.1


def test_effect_of_exchanged_groups_is_the_opposite() -> None:
    one, other = np.array([1.0, 2.0, 4.0]), np.array([0.5, 3.0, 1.0, 0.0])
    there, back = effect("region", "eyes", one, other), effect("region", "eyes", other, one)
    assert there.g == pytest.approx(-back.g)
    assert there.p == pytest.approx(back.p)


def test_effect_of_values_that_do_not_vary() -> None:
    same = effect("region", "eyes", np.zeros(5), np.zeros(7))
    assert (same.g, same.p) == (0, 1)
    apart = effect("region", "eyes", np.ones(5), np.zeros(7))
    assert apart.g == math.inf
    assert apart.p < 0.01


# ------------------------------------------------------------------------------------------------ maps


def test_planted_difference_is_found_where_it_is() -> None:
    maps = maps_of(20, 0, planted=1.5)
    found = compare_maps(maps, halves(20), np.zeros(40, dtype=np.int64), 500)
    hit = found.p <= 0.05
    there = np.zeros((60, 60), dtype=bool)
    there[10:20, 30:45] = True
    assert hit[there].mean() > 0.9
    assert hit[~there].mean() < 0.01
    assert found.difference[there].mean() == pytest.approx(1.5, abs=0.4)
    assert (found.n, found.n_others) == (20, 20)


def test_nothing_is_found_where_there_is_nothing() -> None:
    # all places together: a false alarm anywhere in 5 % of trials, 40 trials
    alarms = sum(
        compare_maps(maps_of(12, seed), halves(12), np.zeros(24, dtype=np.int64), 200).p.min() <= 0.05
        for seed in range(40)
    )
    assert alarms <= 6  # 99 % of the binomial with 0.05


def test_smallest_possible_p_is_that_of_the_permutations() -> None:
    found = compare_maps(maps_of(20, 0, planted=5.0), halves(20), np.zeros(40, dtype=np.int64), 199)
    assert found.p.min() == pytest.approx(1 / 200)
    assert found.p.max() <= 1


def test_labels_are_permuted_within_folds_only() -> None:
    # one group in each fold: there is nothing to permute, so nothing is significant
    maps = maps_of(10, 0, planted=5.0)
    found = compare_maps(maps, halves(10), halves(10).astype(np.int64), 200)
    assert found.p.min() == 1


def test_same_seed_same_p_values() -> None:
    maps, folds = maps_of(10, 3, planted=0.7), np.arange(20) % 3
    first, again = (compare_maps(maps, halves(10), folds, 300, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.p, again.p)
    other = compare_maps(maps, halves(10), folds, 300, seed=5)
    assert (other.p != first.p).any()


def test_p_values_do_not_depend_on_the_unit() -> None:
    maps, folds = maps_of(10, 3, planted=0.7), np.zeros(20, dtype=np.int64)
    first = compare_maps(maps, halves(10), folds, 300)
    tiny = compare_maps(maps * 1e-9, halves(10), folds, 300)
    np.testing.assert_array_equal(first.p, tiny.p)


def test_maps_without_anything_in_them() -> None:
    found = compare_maps(np.zeros((12, 60, 60)), halves(6), np.zeros(12, dtype=np.int64), 100)
    assert found.p.min() == 1


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("labels", "label", "message"),
    [
        (["a"] * 4 + ["b"] * 4, "c", "label='c': no photo has this label. The labels are a, b."),
        (["a"] * 8, "a", "All photos have the label a. Add photos"),
        (["a"] + ["b"] * 7, "a", "a: 1 patient; 3 or more"),
        (["a"] * 6 + ["b"] * 2, "a", "the other labels: 2 patients; 3 or more"),
        (["a"], "a", "All photos have the label a."),
    ],
)
def test_groups_that_cannot_be_compared(labels: list[str], label: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        two_groups(labels, [f"p{i}" for i in range(len(labels))], label)


def test_patients_are_counted_not_photos() -> None:
    with pytest.raises(InputError, match="a: 2 patients"):
        two_groups(["a"] * 6 + ["b"] * 6, ["p1", "p2"] * 3 + [f"q{i}" for i in range(6)], "a")


def test_single_points_are_not_called_no_difference() -> None:
    p = np.ones((150, 150))
    maps = HeatmapDifference(np.zeros((150, 150)), np.zeros((150, 150)), p, 5, 5, 100)
    assert no_place(maps) == "No place of the heatmaps differs (smallest p 1, all places together)."
    p[3, 4] = 0.01
    assert no_place(maps).startswith("The heatmaps differ at single points only")
