from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from anthropo.errors import ModelError
from anthropo.learning.novelty import Novelty


def people(n: int, seed: int = 0, away: float = 0.0, measured: bool = True) -> pd.DataFrame:
    """Three measurements, some missing, two regions of six numbers each, and an age."""
    random = np.random.default_rng(seed)
    table = {f"face/{i}": random.normal(size=n) + away for i in range(6)}
    table |= {f"eyes/{i}": random.normal(size=n) for i in range(6)}
    if measured:
        table |= {f"m{i}": np.where(random.random(n) < 0.1, np.nan, random.normal(size=n)) for i in range(3)}
    return pd.DataFrame(table | {"meta:age": random.uniform(0, 90, n)})


def names(n: int) -> np.ndarray:
    return np.array([f"p{i}" for i in range(n)])


def test_people_alike_are_called_unlike_at_the_stated_share_and_others_always() -> None:
    found = Novelty.fit(people(400), names(400))
    new = found.p_value(found.distance(people(2000, seed=1)))
    for share in (0.02, 0.1, 0.5):
        assert (new <= share).mean() == pytest.approx(share, abs=0.03)
    assert (found.p_value(found.distance(people(100, seed=2, away=4.0))) <= 0.02).all()


def test_one_is_a_usual_distance() -> None:
    found = Novelty.fit(people(400), names(400))
    assert np.median(found.distance(people(1000, seed=1))) == pytest.approx(1, abs=0.15)


def test_contributions_are_the_distance_and_name_what_is_off() -> None:
    found = Novelty.fit(people(300), names(300))
    table = people(5, seed=1)
    table.loc[2, "m1"] = 30.0
    by = found.contributions(table)
    assert set(by) == {"m0", "m1", "m2", "face", "eyes"}  # metadata takes no part
    np.testing.assert_allclose(sum(by.values()), found.distance(table))
    assert max(by, key=lambda name: by[name][2]) == "m1"
    assert found.p_value(found.distance(table))[2] < 0.02


def test_metadata_takes_no_part() -> None:
    found = Novelty.fit(people(100), names(100))
    table = people(5, seed=1)
    np.testing.assert_array_equal(found.distance(table.assign(**{"meta:age": 1e6})), found.distance(table))


def test_photos_of_a_patient_are_not_judged_by_each_other() -> None:
    # everybody has four equal photos: distances that had seen the others would be too small
    table = people(60).drop(columns=["m0", "m1", "m2"])
    four = pd.concat([table] * 4, ignore_index=True)
    new = people(3000, seed=1)
    grouped = Novelty.fit(four, np.tile(names(60), 4))
    torn = Novelty.fit(four, names(240))
    honest = (grouped.p_value(grouped.distance(new)) <= 0.1).mean()
    leaking = (torn.p_value(torn.distance(new)) <= 0.1).mean()
    assert honest < 0.15
    assert leaking > honest + 0.03


@pytest.mark.parametrize("measured", [True, False])
def test_it_is_kept_in_json_and_arrays(measured: bool) -> None:
    import json

    found = Novelty.fit(people(80, measured=measured), names(80))
    meta, arrays = found.state()
    again = Novelty.from_state(json.loads(json.dumps(meta)), arrays)
    new = people(30, seed=1, measured=measured)
    np.testing.assert_allclose(again.distance(new), found.distance(new), rtol=1e-5)  # axes as float32
    np.testing.assert_array_equal(again.p_value(found.distance(new)), found.p_value(found.distance(new)))


def test_measurements_alone() -> None:
    table = people(80)[["m0", "m1", "m2"]]
    found = Novelty.fit(table, names(80))
    meta, arrays = found.state()
    np.testing.assert_allclose(Novelty.from_state(meta, arrays).distance(table), found.distance(table))


@pytest.mark.parametrize("lost", ["rank", "medians", "mean", "0/axes", "2/mean"])
def test_a_part_that_is_missing_is_refused(lost: str) -> None:
    meta, arrays = Novelty.fit(people(60), names(60)).state()
    del arrays[lost]
    with pytest.raises(ModelError, match=f"array {lost} is missing"):
        Novelty.from_state(meta, arrays)


@pytest.mark.parametrize("size", ["many", -1, 10**12, None, [6], 1.5])
def test_a_region_of_an_impossible_size_is_refused(size: object) -> None:
    meta, arrays = Novelty.fit(people(60), names(60)).state()
    meta["regions"]["face"] = size
    with pytest.raises(ModelError):
        Novelty.from_state(meta, arrays)


@pytest.mark.parametrize("n", [4, 5])
def test_very_few_people(n: int) -> None:
    found = Novelty.fit(people(n), names(n))
    assert np.isfinite(found.distance(people(10, seed=1))).all()
    assert found.p_value(np.array([1e9])) == 1 / (n + 1)  # nobody can be called unlike at 2 %
