from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from anthropo.learning import deep
from anthropo.learning.deep import RegionModel, fit_region

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Problem = tuple[Floats, Floats, Ints]


@pytest.fixture(autouse=True)
def _few_frequencies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "_FREQUENCIES", 48)


@pytest.fixture
def problem() -> Problem:
    """Embeddings (90, 8), targets (90, 3), folds: the label lies in the embedding, with noise."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 90)
    embeddings = random.normal(size=(90, 8)) + 1.5 * np.eye(3, 8)[y]
    return embeddings, np.eye(3)[y], random.integers(0, 5, 90)


def fitted(problem: Problem) -> tuple[RegionModel, Floats]:
    embeddings, targets, folds = problem
    model, (scores,) = fit_region(embeddings, targets, folds[None], np.random.RandomState(0))
    return model, scores


def features(model: RegionModel, embeddings: Floats) -> Floats:
    """The model's Fourier features, written out."""
    phase = (embeddings - model.centre) @ model.frequencies.T
    return np.hstack([np.cos(phase), np.sin(phase)]) / np.sqrt(len(model.frequencies))


def refitted(model: RegionModel, problem: Problem, penalty: float) -> Floats:
    """Out-of-fold scores by really fitting a ridge without each fold."""
    embeddings, targets, folds = problem
    x, off = features(model, embeddings), targets - targets.mean(0)
    scores = np.empty_like(targets)
    for fold in np.unique(folds):
        out = folds == fold
        gram = x[~out].T @ x[~out] + penalty * np.eye(x.shape[1])
        scores[out] = x[out] @ np.linalg.solve(gram, x[~out].T @ off[~out])
    return scores + targets.mean(0)


@pytest.mark.parametrize("largest", [4096, 0], ids=["dual", "primal"])
def test_out_of_fold_scores_are_those_of_refitting(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(deep, "_DUAL", largest)
    model, scores = fitted(problem)
    embeddings, targets, _ = problem
    by_penalty = {p: refitted(model, problem, p) for p in deep._PENALTIES}
    errors = {p: ((s - targets) ** 2).mean() for p, s in by_penalty.items()}
    best = min(errors, key=errors.__getitem__)
    np.testing.assert_allclose(scores, by_penalty[best], atol=1e-9)
    x = features(model, embeddings)
    whole = np.linalg.solve(x.T @ x + best * np.eye(x.shape[1]), x.T @ (targets - targets.mean(0)))
    np.testing.assert_allclose(model.weights, whole, atol=1e-9)
    np.testing.assert_allclose(model.scores(embeddings), x @ whole + targets.mean(0), atol=1e-9)


def test_dual_and_primal_are_the_same_model(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    dual, dual_scores = fitted(problem)
    monkeypatch.setattr(deep, "_DUAL", 0)
    primal, primal_scores = fitted(problem)
    np.testing.assert_allclose(primal.weights, dual.weights, atol=1e-9)
    np.testing.assert_allclose(primal_scores, dual_scores, atol=1e-9)


@pytest.mark.parametrize("largest", [4096, 0], ids=["dual", "primal"])
def test_each_way_to_deal_the_folds_has_its_own_scores(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(deep, "_DUAL", largest)
    monkeypatch.setattr(deep, "_PENALTIES", (0.5,))
    embeddings, targets, folds = problem
    other = np.random.default_rng(1).permutation(folds)
    model, scores = fit_region(embeddings, targets, np.stack([folds, other]), np.random.RandomState(0))
    for at, dealt in enumerate((folds, other)):
        alone, once = fitted((embeddings, targets, dealt))
        np.testing.assert_allclose(scores[at], once, atol=1e-12)
        np.testing.assert_allclose(model.weights, alone.weights, atol=1e-12)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3


def test_scores_do_not_know_the_labels_of_their_own_fold(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deep, "_PENALTIES", (0.5,))
    embeddings, targets, folds = problem
    _, before = fitted(problem)
    other = targets.copy()
    own = np.flatnonzero(folds == 2)
    other[own] = targets[own[::-1]]  # the same shares, dealt otherwise
    assert (other != targets).any()
    model, after = fitted((embeddings, other, folds))
    np.testing.assert_allclose(after[own], before[own], atol=1e-9)
    assert np.abs(after - before).max() > 1e-3  # other folds have learned from them
    assert np.abs(model.scores(embeddings)[own] - before[own]).max() > 1e-3


def test_scores_do_not_depend_on_how_photos_are_batched(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = fitted(problem)
    whole = model.scores(problem[0])
    monkeypatch.setattr(deep, "_BLOCK", 7)
    np.testing.assert_allclose(model.scores(problem[0]), whole, atol=1e-12)
    one_by_one = np.concatenate([model.scores(problem[0][i : i + 1]) for i in range(len(whole))])
    np.testing.assert_allclose(one_by_one, whole, atol=1e-12)
    assert model.scores(problem[0][:0]).shape == (0, 3)


def test_the_label_is_found_out_of_fold(problem: Problem) -> None:
    _, scores = fitted(problem)
    assert (scores.argmax(1) == problem[1].argmax(1)).mean() > 0.6
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-9)


@pytest.mark.parametrize("change", [lambda e: e + 7.0, lambda e: 3 * e], ids=["moved", "scaled"])
def test_neither_origin_nor_scale_matters(problem: Problem, change: Callable[[Floats], Floats]) -> None:
    embeddings, targets, folds = problem
    _, scores = fitted(problem)
    _, changed = fitted((change(embeddings), targets, folds))
    np.testing.assert_allclose(changed, scores, atol=1e-4)  # frequencies are rounded to float32


@pytest.mark.parametrize("orthogonal", [True, False])
def test_random_features_make_the_gaussian_kernel(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, orthogonal: bool
) -> None:
    monkeypatch.setattr(deep, "_FREQUENCIES", 512)
    if not orthogonal:
        monkeypatch.setattr(deep, "_orthogonal", lambda n, d, random: random.standard_normal((n, d)))
    model, _ = fitted(problem)
    x = features(model, problem[0])
    apart = ((problem[0][:, None] - problem[0]) ** 2).sum(2) / 2
    width = 4 * np.median(apart[np.triu_indices(len(apart), 1)])
    error = np.abs(x @ x.T - np.exp(-apart / width)).max()
    assert error < (0.06 if orthogonal else 0.2)
    assert orthogonal or error > 0.06  # what they are at right angles for


def test_frequencies_at_right_angles_are_as_long_as_normal_ones() -> None:
    drawn = deep._orthogonal(4000, 16, np.random.RandomState(0))
    assert drawn.shape == (4000, 16)
    block = drawn[16:32] / np.linalg.norm(drawn[16:32], axis=1, keepdims=True)
    np.testing.assert_allclose(block @ block.T, np.eye(16), atol=1e-9)
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.08)
    np.testing.assert_allclose(drawn.T @ drawn / len(drawn), np.eye(16), atol=0.1)
    assert (drawn**2).sum(1).var() == pytest.approx(2 * 16, rel=0.2)
    assert deep._orthogonal(10, 16, np.random.RandomState(0)).shape == (10, 16)


def test_models_from_before_have_embeddings_on_a_sphere(problem: Problem) -> None:
    model, _ = fitted(problem)
    before = replace(model, sphere=True)
    there = problem[0] - model.centre
    moved = model.centre + there / np.linalg.norm(there, axis=1, keepdims=True)
    np.testing.assert_allclose(before.scores(problem[0]), model.scores(moved), atol=1e-12)
    assert np.abs(before.scores(problem[0]) - model.scores(problem[0])).max() > 0.01


def test_equal_embeddings_give_the_shares() -> None:
    targets = np.eye(2)[np.arange(20) % 2]
    folds = np.arange(20)[None] // 4
    model, scores = fit_region(np.ones((20, 4)), targets, folds, np.random.RandomState(0))
    np.testing.assert_allclose(scores, 0.5, atol=0.01)
    np.testing.assert_allclose(model.scores(np.ones((3, 4))), 0.5, atol=1e-6)


@pytest.mark.parametrize("dual", [True, False])
def test_weights_are_as_good_as_repetitions(dual: bool) -> None:
    random = np.random.default_rng(0)
    features, targets = random.normal(size=(30, 8)), random.normal(size=(30, 2))
    folds, times = np.arange(30) // 6, random.integers(1, 4, 30)
    root, rows = np.sqrt(times)[:, None], np.repeat(np.arange(30), times)
    solve = deep._dual if dual else deep._primal
    weighted, (scores,) = solve(root * features, root * targets, folds[None])
    repeated, (again,) = solve(features[rows], targets[rows], folds[rows][None])
    np.testing.assert_allclose(weighted, repeated, atol=1e-8)
    np.testing.assert_allclose((scores / root)[rows], again, atol=1e-8)
