from __future__ import annotations

import numpy as np

from anthropo.adaptation import proxy_distance


def made(n: int, shift: float, seed: int, photos: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n * photos, 8) and whose they are."""
    r = np.random.default_rng(seed)
    people = np.repeat([f"{seed}-{i}" for i in range(n)], photos)
    return np.repeat(r.normal(size=(n, 8)), photos, 0) + r.normal(0, 0.05, (n * photos, 8)) + shift, people


def test_sources_that_differ_are_far_apart_and_near_after_adaptation() -> None:
    (here, a), (there, b) = made(60, 0, 1), made(40, 2, 2)
    value, lo, hi = proxy_distance([there], [here], (b, a))
    assert 1.7 < lo <= value <= hi <= 2
    for method in ("standardise", "coral", "subspace", "ot", "combat"):
        assert proxy_distance([there], [here], (b, a), method)[0] < 0.7, method


def test_the_same_source_twice_is_not_apart() -> None:
    (here, a), (there, b) = made(100, 0, 1), made(100, 0, 2)
    value, lo, _ = proxy_distance([there], [here], (b, a))
    assert value < 0.5
    assert lo == 0


def test_nobody_is_told_by_another_photo_of_themselves() -> None:
    """Each person's photos are as if of a class of their own, which a classifier could remember."""
    (here, a), (there, b) = made(12, 0, 1, 10), made(12, 0, 2, 10)
    assert proxy_distance([there], [here], (b, a))[1] < 0.5


def test_people_at_both_sources_are_in_one_fold() -> None:
    (here, a), (there, _) = made(40, 0, 1), made(40, 0, 1)
    assert proxy_distance([there], [here], (a, a))[0] < 0.5


def test_missing_numbers_count_as_the_mean() -> None:
    (here, a), (there, b) = made(60, 0, 1), made(60, 2, 2)
    there[:, 0] = np.nan
    here[::2, 1] = np.nan
    assert proxy_distance([there], [here], (b, a), named=True)[0] > 1.5
    assert proxy_distance([there], [here], (b, a), "combat", named=True)[0] < 0.7


def test_sites_of_a_source_are_adapted_each() -> None:
    (here, a), (one, b), (two, c) = made(60, 0, 1), made(40, 3, 2), made(40, -3, 3)
    there, sites = np.vstack([one, two]), np.repeat(["one", "two"], 40)
    people = np.concatenate([b, c])
    both = proxy_distance([there], [here], (people, a), "standardise", sites=sites)
    assert both[0] < 0.5
