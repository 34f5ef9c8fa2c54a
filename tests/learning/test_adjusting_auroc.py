from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anthropo.learning.adjusting import Strata, adjusted_auroc, permuted
from anthropo.learning.judged import Judged

N = 120


def answers(seed: int, fold: bool = True) -> tuple[Judged, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(2, size=N)
    strata = random.integers(4, size=N)
    p = 1 / (1 + np.exp(-random.normal(truth + strata, 1)))
    folds = random.integers(3, size=N) if fold else None
    names = np.arange(N)
    return Judged(("a", "b"), truth, np.column_stack([1 - p, p]), names, truth, fold=folds), strata


def test_it_is_the_mean_of_the_strata_weighted_by_cases() -> None:
    judged, strata = answers(0, fold=False)
    areas = [roc_auc_score(judged.truth[strata == s], judged.proba[strata == s, 1]) for s in range(4)]
    cases = [judged.truth[strata == s].sum() for s in range(4)]
    found = adjusted_auroc(judged, "b", strata, bootstrap=200)
    assert found.value == pytest.approx(np.average(areas, weights=cases))
    assert found.lo < found.value < found.hi
    assert found.n == N


def test_only_people_of_one_fold_are_compared() -> None:
    judged, strata = answers(1)
    assert judged.fold is not None
    both = strata * 3 + judged.fold
    areas, cases = [], []
    for s in np.unique(both):
        here = both == s
        if 0 < judged.truth[here].sum() < here.sum():
            areas.append(roc_auc_score(judged.truth[here], judged.proba[here, 1]))
            cases.append(judged.truth[here].sum())
    assert adjusted_auroc(judged, "b", strata, bootstrap=50).value == pytest.approx(
        np.average(areas, weights=cases)
    )


def test_strata_are_words_and_bins_of_as_many_patients() -> None:
    ages = [*np.linspace(1, 100, 40).tolist(), float("nan")]
    sexes = [*["female", "male"] * 20, "female"]
    found = Strata.of({"age": ages, "sex": sexes}, [f"p{i}" for i in range(41)])
    assert found.index[-1] == -1
    assert np.bincount(found.index[:-1]).tolist() == [4] * 10  # five bins of two sexes
    many = Strata.of({"age": np.arange(1000.0).tolist()}, [str(i) for i in range(1000)])
    assert len(np.unique(many.index)) == 20
    few = Strata.of({"score": [1.0, 2.0, 1.0]}, ["a", "b", "c"])
    assert few.index.tolist() == [0, 1, 0]
    with_gap = Strata.of({"sex": ["female", None]}, ["a", "b"])
    assert with_gap.index.tolist() == [0, -1]


def test_nobody_to_compare_with() -> None:
    judged, _ = answers(2)
    found = adjusted_auroc(judged, "b", np.arange(N), bootstrap=10)
    assert not found.known
    assert found.reason == "nobody with and without the label is alike within a fold"


def test_labels_are_permuted_within_strata_and_by_patient() -> None:
    patients = [f"p{i // 2}" for i in range(40)]
    labels = ["x" if i // 2 % 3 else "y" for i in range(40)]
    strata = np.array([i // 20 for i in range(40)])
    found = permuted(labels, patients, strata, 1)
    assert found[::2].tolist() == found[1::2].tolist()
    for s in (0, 1):
        assert sorted(found[strata == s]) == sorted(np.array(labels)[strata == s])
    assert found.tolist() != labels
    kept = permuted(labels, patients, np.full(40, -1), 1)
    assert kept.tolist() == labels
