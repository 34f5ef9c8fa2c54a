"""Bootstrap: patients are drawn with all their photos, within each label."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Bools, Floats, Ints, Judged

_LEAST_PROBABILITY = 1e-15  # in a logarithm
_BLOCK = 200_000  # weights that are looked at together: they fit into a cache


def resamples(judged: Judged, bootstrap: int, seed: int) -> NDArray[np.float32]:
    """Weights of the photos in each resample of patients within labels, (bootstrap, n)."""
    rng = np.random.default_rng(seed)
    _, first, index = np.unique(judged.groups, return_index=True, return_inverse=True)
    label = judged.truth[first]  # of each patient
    drawn = np.ones((bootstrap, len(first)), dtype=np.float32)
    for c in set(label.tolist()):
        (members,) = np.nonzero(label == c)
        size = len(members)
        if size > 1:  # a single patient cannot be resampled
            picked = rng.integers(size, size=(bootstrap, size - 1)) + size * np.arange(bootstrap)[:, None]
            times = np.bincount(picked.ravel(), minlength=bootstrap * size).reshape(bootstrap, size)
            drawn[:, members] = times * (size / (size - 1))
    return drawn[:, index]


@lru_cache(maxsize=32)  # models that are judged and then compared, six of them in five dealings
def resampled_figures(judged: Judged, positive: int | None, bootstrap: int, seed: int) -> dict[str, Floats]:
    """Figures (1 + bootstrap,): of all photos first, then of every resample."""
    weights = resamples(judged, bootstrap, seed)
    rows = max(1, _BLOCK // weights.shape[1])
    blocks: list[Floats] = [np.ones((1, weights.shape[1]))]
    blocks += [weights[i : i + rows].astype(float) for i in range(0, len(weights), rows)]
    done = [_block(judged, positive, block) for block in blocks]
    return {name: np.concatenate([block[name] for block in done]) for name in done[0]}


def _block(judged: Judged, positive: int | None, weights: Floats) -> dict[str, Floats]:
    truth, proba, decision = judged.truth, judged.proba, judged.decision
    n = len(truth)
    total = weights.sum(1)

    def mean(x: NDArray[Any]) -> Floats:
        return np.asarray(weights @ x.astype(float) / total)

    def share(of: Bools, among: Bools) -> Floats:
        if not among.any():
            return np.full(len(weights), math.nan)
        with np.errstate(invalid="ignore"):
            return (weights @ (of & among)) / (weights @ among)

    present = sorted(set(truth.tolist()))
    asked = present if positive is None else [positive]
    if positive is None:
        squared = ((proba - np.eye(len(judged.labels))[truth]) ** 2).sum(1)
        given = proba[np.arange(n), truth]
    else:
        probability, true = proba[:, positive], truth == positive
        squared = (probability - true) ** 2
        given = np.where(true, probability, 1 - probability)
    recalls = [share(decision == c, truth == c) for c in present]
    cleared = [share((decision != c) & (decision >= 0), truth != c) for c in asked]
    nothing = np.full(len(weights), math.nan)
    auroc, auprc = np.mean([rank_areas(proba[:, c], truth == c, weights) for c in asked], axis=0)
    figures = {
        "sensitivity": np.mean([share(decision == c, truth == c) for c in asked], axis=0),
        "specificity": np.mean(cleared, axis=0),
        "accuracy": mean(decision == truth),
        "balanced_accuracy": np.mean(recalls, axis=0) if len(present) > 1 else nothing,
        "auroc": auroc,
        "auprc": auprc,
        "brier": mean(squared),
        "log_loss": mean(-np.log(np.clip(given, _LEAST_PROBABILITY, 1))),
    }
    if judged.sets is not None:
        figures["set_size"] = mean(judged.sets.sum(1))
    if judged.fold is not None:
        areas = [auroc_within(proba[:, c], truth == c, judged.fold, weights) for c in asked]
        figures["auroc_by_fold"] = np.mean(areas, axis=0)
    return figures


def auroc_within(score: Floats, positive: Bools, strata: Ints, weights: Floats) -> Floats:
    """AUROC of photos of the same stratum under each row of weights: a mean weighted by the positive ones.

    Strata of one side have no part in it; NaN where all are so.
    """
    total, share = np.zeros(len(weights)), np.zeros(len(weights))
    for stratum in np.unique(strata):
        here = strata == stratum
        area, _ = rank_areas(score[here], positive[here], weights[:, here])
        known = np.isfinite(area)
        of = np.where(known, weights[:, here] @ positive[here], 0.0)
        total += of * np.where(known, area, 0.0)
        share += of
    with np.errstate(invalid="ignore"):
        return np.asarray(total / share)


def rank_areas(score: Floats, positive: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """AUROC and average precision under each row of weights; NaN when there is one side only."""
    if positive.all() or not positive.any():
        nothing = np.full(len(weights), math.nan)
        return nothing, nothing
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)  # of runs of equal scores
    weights = weights[:, order]
    called, true = np.cumsum(weights, axis=1), np.cumsum(weights * positive[order], axis=1)
    if len(ends) < len(order):
        called, true = called[:, ends], true[:, ends]
    false = called - true
    before = np.pad(true, ((0, 0), (1, 0)))[:, :-1]
    false_steps = np.diff(false, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc = (false_steps * (true + before)).sum(1) / (2 * true[:, -1] * false[:, -1])
        precision = np.where(called > 0, true / np.maximum(called, 1e-300), 0)
        auprc = ((true - before) * precision).sum(1) / true[:, -1]
    return auroc, auprc
