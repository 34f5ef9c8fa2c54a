from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from anthropo.learning import measured
from anthropo.learning.boosters import booster_from_arrays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FITS = pytest.mark.parametrize("fit", [measured.fit_trees, measured.fit_machine, measured.fit_kernel_machine])


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 40)


def problem(labels: int, n: int = 240, strength: float = 2.0) -> tuple[Floats, Ints, Ints]:
    """Numbers (n, 5) of which the first few tell the label, some missing; labels; folds."""
    random = np.random.default_rng(labels)
    y = random.integers(0, labels, n)
    x = random.normal(size=(n, 5))
    x[:, :labels] += strength * np.eye(labels)[y]
    x[random.random(x.shape) < 0.05] = np.nan
    return x, y, random.integers(0, 5, n)


def fitted(
    fit: Any, x: Floats, y: Ints, folds: Ints, favour: Floats | None = None, seed: int = 0
) -> tuple[Any, Floats]:
    favour = np.ones(x.shape[1]) if favour is None else favour
    model, margins = fit(x, y, np.ones(len(y)), folds, y.max() + 1, seed, favour)
    return model, margins


@pytest.mark.parametrize("fit", [measured.fit_trees, measured.fit_machine])
@pytest.mark.parametrize("labels", [2, 3])
def test_contributions_sum_to_the_margins(fit: Any, labels: int) -> None:
    x, y, folds = problem(labels)
    model, margins = fitted(fit, x, y, folds)
    by = model.contributions(x)
    assert by.shape == (len(x), labels, 6)
    np.testing.assert_allclose(by.sum(2), model.margins(x), atol=1e-6)  # trees are float32
    assert margins.shape == (len(x), labels)
    np.testing.assert_allclose(margins.mean(1), 0, atol=1e-6)
    assert (np.ptp(by[:, :, -1], axis=0) < 1e-6).all()  # the same for everybody
    if labels == 2:
        np.testing.assert_allclose(model.margins(x).sum(1), 0, atol=1e-12)


@pytest.mark.parametrize("labels", [2, 3])
def test_margins_of_trees_are_xgboosts_own(labels: int) -> None:
    import xgboost

    x, y, folds = problem(labels)
    model, _ = fitted(measured.fit_trees, x, y, folds)
    assert model.arrays is not None
    booster = booster_from_arrays(model.arrays, measured.objective(labels), 5)
    start = np.zeros(len(x)) if labels == 2 else np.zeros((len(x), 3))
    own = booster.predict(xgboost.DMatrix(x, base_margin=start), output_margin=True)
    found = model.margins(x)
    if labels == 2:
        np.testing.assert_allclose(found[:, 1] - found[:, 0], own, atol=1e-5)
    else:
        np.testing.assert_allclose(found, own, atol=1e-5)


def test_margins_of_machines_are_scikit_learns_own() -> None:
    from sklearn.svm import LinearSVC

    x, y, folds = problem(3)
    model, _ = fitted(measured.fit_machine, x, y, folds)
    filled = np.nan_to_num(x)
    one_of_them = []
    for c in measured._C_LINEAR:
        theirs = LinearSVC(C=c, dual=False, random_state=0, max_iter=2000)
        theirs.fit(filled, y == 2, sample_weight=np.ones(len(y)))
        one_of_them.append(np.abs(filled @ theirs.coef_[0] - model.margins(x)[:, 2]).max())
    assert min(one_of_them) < 1e-9


@pytest.mark.parametrize("labels", [2, 3])
def test_regression_is_of_greatest_likelihood_at_every_penalty(labels: int) -> None:
    x, y, folds = problem(labels)
    x, weights = np.nan_to_num(x), np.where(y == 0, 0.5, 1.0)
    model, margins = measured.fit_logistic(x, y, weights, folds, labels, 0, np.ones(x.shape[1]))
    exact = {c: regression(x, y, weights, c) for c in measured._C_LOGISTIC}
    off = {c: np.abs(w - model.weights).max() for c, w in exact.items()}
    c = min(off, key=off.__getitem__)
    assert off[c] < 1e-3
    for fold in np.unique(folds):  # from the penalties before it
        out = folds == fold
        best = x[out] @ regression(x[~out], y[~out], weights[~out], c).T
        np.testing.assert_allclose(margins[out], best - best.mean(1, keepdims=True), atol=5e-3)


def regression(x: Floats, y: Ints, weights: Floats, c: float) -> Floats:
    """Weights (labels, m) of logistic regression, to eight digits or so."""
    found = LogisticRegression(C=c, tol=1e-9, max_iter=10_000).fit(x, y, sample_weight=weights).coef_
    return np.asarray(np.vstack([-found / 2, found / 2]) if len(found) == 1 else found)


@pytest.mark.parametrize("labels", [2, 3])
def test_a_kernel_machine_is_scikit_learns_own_and_its_shapley_values_sum_up(
    labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.svm import SVC

    x, y, folds = problem(labels)
    monkeypatch.setattr(measured, "_PEOPLE", len(x))
    model, _ = fitted(measured.fit_kernel_machine, x, y, folds)
    filled = np.nan_to_num(x)
    apart = []
    for c in measured._C_RBF:
        theirs = SVC(C=c, kernel="rbf", gamma=model.width)
        theirs.fit(filled, y == 1, sample_weight=np.ones(len(y)))
        own = model.margins(x)[:, 1] * (2 if labels == 2 else 1)
        apart.append(np.abs(theirs.decision_function(filled) - own).max())
    assert min(apart) < 1e-9
    # measured against all training photos nothing is left over, and what is not used has no say
    by = model.contributions(x[:2])
    np.testing.assert_allclose(by.sum(2), model.margins(x[:2]), atol=1e-9)
    blind = replace(model, scale=np.r_[model.scale[:-1], 0.0], support=model.support * np.r_[np.ones(4), 0.0])
    np.testing.assert_allclose(blind.contributions(x[:1])[:, :, -2], 0, atol=1e-12)


@FITS
@pytest.mark.parametrize("labels", [2, 3])
def test_labels_are_told_out_of_fold(fit: Any, labels: int) -> None:
    x, y, folds = problem(labels)
    _, margins = fitted(fit, x, y, folds)
    for label in range(labels):
        assert roc_auc_score(y == label, margins[:, label]) > 0.85


@FITS
def test_a_fold_is_judged_by_the_others(fit: Any) -> None:
    # where one fold's labels are the other way round, a model that has not seen them is wrong there
    x, y, folds = problem(2, strength=3.0)
    own = folds == 0
    y = np.where(own, 1 - y, y)
    _, margins = fitted(fit, x, y, folds)
    assert roc_auc_score(y[own], margins[own, 1]) < 0.2
    assert roc_auc_score(y[~own], margins[~own, 1]) > 0.8


def test_noise_grows_no_tree() -> None:
    random = np.random.default_rng(3)
    x, y, folds = random.normal(size=(300, 5)), random.integers(0, 2, 300), random.integers(0, 5, 300)
    model, margins = fitted(measured.fit_trees, x, y, folds)
    assert model.arrays is None
    assert not margins.any()
    assert not model.margins(x).any()
    assert model.contributions(x).shape == (300, 2, 6)


@pytest.mark.parametrize("labels", [2, 3])
def test_trees_are_kept_bit_by_bit(labels: int, tmp_path: Any) -> None:
    x, y, folds = problem(labels)
    model, _ = fitted(measured.fit_trees, x, y, folds)
    np.savez(tmp_path / "trees.npz", **model.arrays)
    with np.load(tmp_path / "trees.npz", allow_pickle=False) as kept:
        again = measured.Trees(dict(kept), labels)
    np.testing.assert_array_equal(again.contributions(x), model.contributions(x))


@FITS
def test_equal_input_gives_equal_models(fit: Any) -> None:
    x, y, folds = problem(2)
    one, other = (fitted(fit, x, y, folds)[0].margins(x) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@FITS
def test_of_two_equal_numbers_the_favoured_one_is_used(fit: Any) -> None:
    x, y, folds = problem(2)
    twice = np.column_stack([x[:, 1], x[:, 1], x[:, 2:]])
    for favour, rather in (([0.2, 1, 1, 1, 1], 1), ([1, 0.2, 1, 1, 1], 0)):
        model, _ = fitted(fit, twice, y, folds, np.array(favour))
        said = np.abs(model.contributions(twice)[:, 1]).mean(0)
        assert said[rather] > 2 * said[1 - rather]


def test_what_is_missing_says_nothing_to_a_machine() -> None:
    x, y, folds = problem(2)
    model, _ = fitted(measured.fit_machine, x, y, folds)
    by = model.contributions(x)
    assert not by[:, :, :5][np.repeat(np.isnan(x)[:, None], 2, 1)].any()
    assert by[:, :, :5][np.repeat(~np.isnan(x)[:, None], 2, 1)].all()


@FITS
def test_a_column_of_nothing_but_gaps(fit: Any) -> None:
    x, y, folds = problem(2)
    x[:, 4] = np.nan
    model, margins = fitted(fit, x, y, folds)
    assert np.isfinite(margins).all()
    np.testing.assert_allclose(model.contributions(x[:20])[:, :, 4], 0, atol=1e-12)


def test_machine_by_hand() -> None:
    model = measured.Machine(np.array([[-1.0, 0.5], [1.0, -0.5]]))
    np.testing.assert_allclose(model.margins(np.array([[2.0, 1.0], [np.nan, 2.0]])), [[-1.5, 1.5], [1, -1]])
