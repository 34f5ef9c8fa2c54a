from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from anthropo.learning import measured
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.imputation import Imputer, to_the_known

KINDS = pytest.mark.parametrize("kind", ["xgboost", "svm", "svm-rbf"])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 60)
    monkeypatch.setattr(measured, "_PEOPLE", 4)


def faces(n: int, seed: int, m: int = 12) -> Any:
    """Numbers (n, m) that follow two factors."""
    random = np.random.default_rng(seed)
    ways = np.random.default_rng(99).normal(size=(2, m))
    return (random.normal(size=(n, 2)) @ ways + 0.5 * random.normal(size=(n, m))) / 1.5


def test_what_is_missing_is_expected_from_what_is_known() -> None:
    whole = faces(200, 0)
    numbers = np.where(np.random.default_rng(1).random(whole.shape) < 0.4, np.nan, whole)
    hidden = np.isnan(numbers)
    imputer = Imputer.fit(numbers)
    filled = imputer.fill(numbers)
    np.testing.assert_array_equal(filled[~hidden], numbers[~hidden])
    error = np.mean((filled - whole)[hidden] ** 2)
    assert error < 0.5 * np.mean(whole[hidden] ** 2)  # half of what the mean would be wrong by
    # a draw varies as much as what is known; the expectation does not
    drawn = imputer.draw(numbers, np.random.RandomState(0))
    assert drawn[hidden].var() == pytest.approx(whole[hidden].var(), rel=0.15)
    assert filled[hidden].var() < 0.85 * whole[hidden].var()


def test_nothing_follows_from_a_few_people_or_from_nothing() -> None:
    numbers = np.where(np.arange(4)[:, None] == np.arange(3), np.nan, faces(4, 0, 3))
    np.testing.assert_array_equal(Imputer.fit(numbers).fill(numbers)[np.isnan(numbers)], 0)
    noise = np.random.default_rng(0).normal(size=(60, 5))
    noise[:, 0] = np.where(np.arange(60) < 55, np.nan, noise[:, 0])
    assert np.abs(Imputer.fit(noise).fill(noise)[:55, 0]).max() < 0.5


@pytest.mark.parametrize("linear", [True, False])
def test_contributions_of_missing_numbers_go_to_what_they_follow_from(linear: bool) -> None:
    whole = faces(100, 0)
    numbers = np.where(np.random.default_rng(1).random(whole.shape) < 0.4, np.nan, whole)
    imputer, weights = Imputer.fit(numbers), np.random.default_rng(2).normal(size=(3, 12))
    parts = imputer.fill(numbers)[:, None, :] * weights
    moved = to_the_known(numbers, parts, imputer, linear)
    np.testing.assert_allclose(moved.sum(2), parts.sum(2), atol=1e-9)
    missing = np.isnan(numbers)
    assert (moved.transpose(0, 2, 1)[missing] == 0).all()
    if not linear:  # also where nothing follows from anything
        alone = to_the_known(numbers, parts, Imputer(np.zeros((12, 0)), np.ones(12)), linear)
        np.testing.assert_allclose(alone.sum(2), parts.sum(2), atol=1e-9)
    if linear:  # a sum of known numbers times weights of their own
        person = numbers[:1].copy()
        at = np.flatnonzero(~missing[0])[0]
        person[0, at] += 1
        other = to_the_known(person, imputer.fill(person)[:, None, :] * weights, imputer, True)
        rest = np.arange(12) != at
        np.testing.assert_allclose(other[0][:, rest], moved[0][:, rest], atol=1e-9)


def voided(n: int, seed: int, labels: Any) -> pd.DataFrame:
    """Faces that know nothing of their label, of which the gate voids most where it is 1."""
    random = np.random.default_rng(seed + 1000)
    numbers = faces(n, seed)
    gone = random.random(numbers.shape) < np.where(labels == 1, 0.8, 0.1)[:, None]
    gone[:, :2] = False
    return pd.DataFrame(np.where(gone, np.nan, numbers), columns=[f"x{i}" for i in range(12)])


@KINDS
def test_what_is_missing_tells_nothing(kind: Any) -> None:
    """How much is voided tells the labels apart without a face; the classifier cannot."""
    y, new = np.repeat([0, 1], 60), np.repeat([0, 1], 300)
    reached = []
    for seed in range(4):
        model = HybridClassifier(kind).fit(voided(120, seed, y), y)
        table = voided(600, seed + 50, new)
        assert roc_auc_score(new, table.isna().sum(axis=1)) > 0.99
        reached.append(roc_auc_score(new, model.predict_proba(table)[:, 1]))
    # a Gaussian kernel sees that expectations lie closer together; without drawing it reaches 0.81
    assert abs(np.mean(reached) - 0.5) < (0.2 if kind == "svm-rbf" else 0.1), reached


@KINDS
def test_a_missing_measurement_has_no_contribution_and_the_sum_is_exact(kind: Any) -> None:
    random = np.random.default_rng(0)
    y = random.choice(3, 150)
    numbers = faces(150, 0) + 0.8 * np.eye(3)[y] @ np.eye(3, 12)
    table = pd.DataFrame(np.where(random.random(numbers.shape) < 0.3, np.nan, numbers))
    table["meta:age"] = np.where(random.random(150) < 0.3, np.nan, random.uniform(0, 80, 150))
    table["meta:sex"] = random.choice(np.array(["female", "male", None], dtype=object), 150)
    table.loc[0] = [np.nan] * 13 + [None]
    model = HybridClassifier(kind).fit(table, y.astype(str))
    by = model.contributions(table)
    for name, values in {**by.measurements, **by.metadata}.items():
        missing = table[name if name.startswith("meta:") else int(name)].isna().to_numpy()
        assert (values[missing] == 0).all(), name
        assert np.abs(values[~missing]).max() > 0, name
    np.testing.assert_allclose(by.total, model.margins(table), atol=1e-5)
    if kind != "svm-rbf":
        assert (by.residual == 0).all()
        # nothing is known of the first one: only what so few people cannot show is taken off
        np.testing.assert_allclose(by.total[0], by.bias + by.limit[0])
        assert (np.abs(by.limit[0]) < 0.02 * np.abs(by.bias).max()).all()
    meta, arrays = model.state()
    again = HybridClassifier.from_state(meta, arrays)
    renamed = table.rename(columns=str)
    np.testing.assert_allclose(again.margins(renamed), model.margins(table), atol=1e-4)
