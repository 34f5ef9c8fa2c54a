from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from anthropo.learning.calibration import softmax
from anthropo.learning.conformal import ConformalSets, MahalanobisDistance, Rank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def judged(n: int, random: np.random.Generator) -> tuple[Floats, Ints]:
    """Probabilities (n, 3) of some use, and labels, the last one rare."""
    y = random.choice(3, n, p=[0.6, 0.3, 0.1])
    return softmax(random.normal(size=(n, 3)) + 1.5 * np.eye(3)[y]), y


@pytest.mark.parametrize("error_rate", [0.05, 0.2])
def test_each_label_is_missed_at_the_stated_rate(error_rate: float) -> None:
    random = np.random.default_rng(0)
    covered: list[list[float]] = [[], [], []]
    for _ in range(20):
        sets = ConformalSets.fit(*judged(1500, random))
        probabilities, y = judged(3000, random)
        inside = sets.sets(probabilities, error_rate)[np.arange(3000), y]
        for label in range(3):
            covered[label].append(float(inside[y == label].mean()))
    for found in covered:
        assert np.mean(found) == pytest.approx(1 - error_rate, abs=0.015)


def test_p_values_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.3, 0.7]])
    sets = ConformalSets.fit(probabilities, np.array([0, 0, 0, 1]))
    found = sets.p_values(np.array([[0.95, 0.05], [0.6, 0.4], [0.59, 0.41], [0.3, 0.7]]))
    # of three own photos at most as probable: 3, 2 (a tie counts), 0, 0; and the new one itself
    np.testing.assert_allclose(found[:, 0], [1, 3 / 4, 1 / 4, 1 / 4])
    np.testing.assert_allclose(found[:, 1], [1 / 2, 1 / 2, 1 / 2, 1])


def test_a_difference_in_the_last_digit_is_a_tie() -> None:
    sets = ConformalSets.fit(np.array([[0.1 + 0.2, 0.7]]), np.array([0]))
    assert sets.p_values(np.array([[0.3, 0.7]]))[0, 0] == 1


def test_p_values_are_never_zero_and_a_label_without_photos_is_not_excluded() -> None:
    random = np.random.default_rng(1)
    probabilities, y = judged(200, random)
    sets = ConformalSets.fit(probabilities[y < 2], y[y < 2])
    found = sets.p_values(np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]))
    assert found[0, 0] == 1 / ((y == 0).sum() + 1)
    assert found[1, 0] == 1
    assert (found[:, 2] == 1).all()
    assert sets.sets(np.array([[0.0, 0.0, 0.0]]), 0.1).tolist() == [[False, False, True]]


def correlated(n: int = 60, m: int = 8, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    return random.normal(size=(n, m)) @ random.normal(size=(m, m)) + 3


def test_distance_is_mahalanobis_with_the_shrunk_covariance() -> None:
    values = correlated()
    found = MahalanobisDistance.fit(values, all_axes=True).of(correlated(seed=1))
    theirs = LedoitWolf().fit(values).mahalanobis(correlated(seed=1)) / 8
    np.testing.assert_allclose(found, theirs, rtol=1e-8)


@pytest.mark.parametrize("all_axes", [True, False])
def test_features_sum_to_the_distance(all_axes: bool) -> None:
    distance = MahalanobisDistance.fit(correlated(), all_axes)
    new = correlated(seed=1)
    by = distance.by_feature(new)
    assert by.shape == new.shape
    along = (new - distance.mean) @ distance.axes.T
    np.testing.assert_allclose(by.sum(1), (along**2).mean(1))
    np.testing.assert_allclose(distance.of(new), by.sum(1))


def test_leading_axes_hold_the_stated_share_of_variance() -> None:
    values = correlated(400)
    distance = MahalanobisDistance.fit(values)
    assert 1 < len(distance.axes) < 8
    variance = np.linalg.eigvalsh(np.cov(values.T))[::-1]
    needed = int(np.searchsorted(np.cumsum(variance) / variance.sum(), 0.9)) + 1
    assert abs(len(distance.axes) - needed) <= 1  # shrinkage moves variances a little


def test_rounding_does_not_decide_the_distance_of_few_people() -> None:
    """Fewer people than features: shrunk, most axes have one variance, and any set of them is as good."""
    random = np.random.default_rng(0)
    values, new = random.normal(size=(20, 40)), random.normal(size=(50, 40))
    hardly = values * (1 + 1e-13 * random.normal(size=values.shape))
    np.testing.assert_allclose(
        MahalanobisDistance.fit(hardly).of(new), MahalanobisDistance.fit(values).of(new), rtol=1e-9
    )


def test_a_gap_counts_as_the_mean() -> None:
    values = correlated()
    values[3, 2] = np.nan
    distance = MahalanobisDistance.fit(values, all_axes=True)
    assert distance.mean[2] == pytest.approx(np.nanmean(values[:, 2]))
    filled = np.where(np.isnan(values), distance.mean, values)
    np.testing.assert_allclose(distance.of(values), distance.of(filled))
    assert distance.by_feature(values)[3, 2] == 0


@pytest.mark.parametrize("all_axes", [True, False])
def test_people_who_do_not_differ_have_a_distance(all_axes: bool) -> None:
    values = np.ones((10, 4))
    values[:, 1] = np.nan
    assert MahalanobisDistance.fit(values, all_axes).of(values).tolist() == [0] * 10


def test_ranks_of_people_alike_are_uniform() -> None:
    random = np.random.default_rng(0)
    found = np.concatenate(
        [Rank(np.sort(random.exponential(size=99))).p_value(random.exponential(size=50)) for _ in range(100)]
    )
    for share in (0.05, 0.25, 0.5, 0.9):
        assert (found <= share).mean() == pytest.approx(share, abs=0.02)


def test_rank_by_hand() -> None:
    rank = Rank(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(rank.p_value(np.array([9.0, 3.0, 1.5, 0.0])), [1 / 4, 2 / 4, 3 / 4, 1])
