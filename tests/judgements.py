"""Answers of models that do not exist, made for the tests of figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import expit

from anthropo.learning.judged import Judged


def binary(truth: Any, score: Any, groups: Any = None, decision: Any = None, sets: Any = None) -> Judged:
    truth, score = np.asarray(truth), np.asarray(score, dtype=float)
    return Judged(
        ("control", "case"),
        truth,
        np.column_stack([1 - score, score]),
        np.arange(len(truth)) if groups is None else np.asarray(groups),
        (score > 0.5).astype(int) if decision is None else np.asarray(decision),
        sets,
    )


def cohort(
    seed: int, cases: int, controls: int, shift: float, photos: int = 3, within: float = 0.6
) -> Judged:
    """Normal scores with a patient's share `within` of the variance, calibrated; several photos of each."""
    rng = np.random.default_rng(seed)
    n = cases + controls
    groups = np.repeat(np.arange(n), rng.integers(1, photos + 1, n))
    truth = (groups < cases).astype(int)
    noise = math.sqrt(within) * rng.normal(size=n)[groups] + math.sqrt(1 - within) * rng.normal(
        size=len(groups)
    )
    score = shift * truth + noise
    case = expit(shift * score - shift**2 / 2 + math.log(cases / controls))
    return binary(truth, case, groups, score > shift / 2)


def many(seed: int, n: int = 300, k: int = 4) -> Judged:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    odds = rng.normal(size=(n, k))
    odds[np.arange(n), truth] += 1.5
    proba = np.exp(odds) / np.exp(odds).sum(1, keepdims=True)
    proba = np.round(proba, 2)  # ties
    proba[:, 0] += 1 - proba.sum(1)
    return Judged(tuple("abcd"[:k]), truth, proba, np.arange(n), proba.argmax(1), proba > 0.2)
