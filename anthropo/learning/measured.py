"""Log-odds from measurements and metadata: boosted trees or a linear support vector machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.boosters import booster_arrays, booster_from_arrays
from anthropo.learning.calibration import Floats, centred, fit_stack, log_loss

Ints = NDArray[np.int64]

_ROUNDS = 300  # at most
_PATIENCE = 30  # rounds without gain out of fold
_TREES: dict[str, Any] = {
    "max_depth": 2,
    "eta": 0.1,
    "lambda": 10.0,
    "subsample": 0.8,
    "colsample_bynode": 0.3,
}
_SOFTNESS = (0.0003, 0.001, 0.003, 0.01, 0.03)  # the SVM's C, the best out of fold is taken


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Gradient-boosted trees (XGBoost)."""

    arrays: dict[str, NDArray[Any]] | None  # of booster_arrays; None: no tree helped
    labels: int

    def margins(self, numbers: Floats) -> Floats:
        """Log-odds (n, k), not calibrated."""
        return np.asarray(self.contributions(numbers).sum(2), dtype=np.float64)

    def contributions(self, numbers: Floats) -> Floats:
        """The same by feature, (n, k, m + 1), the last the trees' mean; exact (TreeSHAP)."""
        n, m = numbers.shape
        if self.arrays is None:
            return np.zeros((n, self.labels, m + 1))
        booster = booster_from_arrays(self.arrays, objective(self.labels), m)
        booster.set_param({"nthread": 1})
        found = booster.predict(_matrix(numbers, np.zeros((n, self.labels))), pred_contribs=True)
        return _both(np.asarray(found, dtype=np.float64).reshape(n, -1, m + 1), self.labels)


def objective(labels: int) -> str:
    """XGBoost's name of the loss."""
    return "binary:logistic" if labels == 2 else "multi:softprob"


def _both(found: Floats, labels: int) -> Floats:
    """With two labels XGBoost knows one margin, the second label's over the first's."""
    return np.concatenate([-found / 2, found / 2], axis=1) if labels == 2 else found


def _matrix(
    numbers: Floats,
    base: Floats,
    y: Ints | None = None,
    weights: Floats | None = None,
    favour: Floats | None = None,
) -> Any:
    import xgboost

    start = base[:, 1] - base[:, 0] if base.shape[1] == 2 else base
    return xgboost.DMatrix(
        numbers, label=y, weight=weights, base_margin=start, feature_weights=favour, nthread=1
    )


def fit_trees(
    numbers: Floats,
    y: Ints,
    weights: Floats,
    folds: Ints,
    labels: int,
    seed: int,
    favour: Floats,
) -> tuple[Trees, Floats]:
    """Grow as many trees as help out of fold.

    Parameters
    ----------
    numbers : (n, m)
        May hold NaN.
    y : (n,)
    weights : (n,)
    folds : (n,)
    labels : int
    seed : int
    favour : (m,)
        How much rather one number than another that says the same is used.

    Returns
    -------
    trees : Trees
        Fitted to all rows.
    margins : (n, labels)
        Of each row, by trees that saw nothing of its fold.

    Notes
    -----
    Chen & Guestrin, "XGBoost: a scalable tree boosting system" (KDD 2016).
    """
    import xgboost

    k = labels
    parameters = {**_TREES, "seed": seed, "nthread": 1, "verbosity": 0, "tree_method": "hist"}
    parameters |= {"objective": objective(k)} | ({"num_class": k} if k > 2 else {})
    share = np.array([weights[y == c].sum() for c in range(k)])
    start = np.tile(centred(np.log(share / share.sum() + 1e-9)), (len(y), 1))
    boosters = []
    curves = []
    for fold in np.unique(folds):
        out = folds == fold
        train = _matrix(numbers[~out], start[~out], y[~out], weights[~out], favour)
        test = _matrix(numbers[out], start[out], y[out], weights[out])
        history: dict[str, dict[str, list[float]]] = {}
        boosters.append(
            xgboost.train(
                parameters, train, _ROUNDS, evals=[(test, "out")], evals_result=history, verbose_eval=False,
                early_stopping_rounds=_PATIENCE,
            )
        )  # fmt: skip
        (curve,) = history["out"].values()
        rounds = np.concatenate([curve, np.full(_ROUNDS - len(curve), curve[-1])])
        # against having no tree at all
        curves.append((rounds - log_loss(start[out], y[out], weights[out])) * weights[out].sum())
    mean = np.sum(curves, axis=0)
    best = int(np.argmin(mean)) + 1
    if mean[best - 1] >= 0:
        return Trees(None, k), np.zeros_like(start)
    margins = np.empty_like(start)
    for fold, booster in zip(np.unique(folds), boosters, strict=True):
        out = folds == fold
        last = min(best, booster.num_boosted_rounds())
        own = booster.predict(
            _matrix(numbers[out], np.zeros_like(start[out])), output_margin=True, iteration_range=(0, last)
        )
        margins[out] = _both(np.asarray(own, dtype=np.float64).reshape(len(own), -1, 1), k)[:, :, 0]
    whole = xgboost.train(parameters, _matrix(numbers, start, y, weights, favour), best)
    return Trees(booster_arrays(whole), k), centred(margins)


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """Linear support vector machines, one label against the rest."""

    weights: Floats  # (k, m)

    def margins(self, numbers: Floats) -> Floats:
        """Decision values (n, k)."""
        return np.asarray(self.contributions(numbers).sum(2), dtype=np.float64)

    def contributions(self, numbers: Floats) -> Floats:
        """The same by feature, (n, k, m + 1); what is missing counts as average."""
        by = np.nan_to_num(numbers, nan=0.0)[:, None, :] * self.weights
        return np.concatenate([by, np.zeros((*by.shape[:2], 1))], axis=2)


def fit_machine(
    numbers: Floats, y: Ints, weights: Floats, folds: Ints, labels: int, seed: int, favour: Floats
) -> tuple[Machine, Floats]:
    """Fit linear SVMs, as soft as is best out of fold; arguments and results as `fit_trees`."""
    # a number made smaller costs more to use
    filled = np.nan_to_num(numbers, nan=0.0) * favour
    best: tuple[float, float, Floats] | None = None
    for softness in _SOFTNESS:
        margins = np.empty((len(y), labels))
        for fold in np.unique(folds):
            out = folds == fold
            own = _machines(filled[~out], y[~out], weights[~out], softness, labels, seed)
            margins[out] = filled[out] @ own.T
        lost = log_loss(fit_stack([margins], y, weights).margins([margins]), y, weights)
        if best is None or lost < best[0]:
            best = (lost, softness, margins)
    assert best is not None
    whole = _machines(filled, y, weights, best[1], labels, seed) * favour
    return Machine(whole), centred(best[2])


def _machines(x: Floats, y: Ints, weights: Floats, softness: float, labels: int, seed: int) -> Floats:
    from sklearn.svm import LinearSVC

    w = np.zeros((labels, x.shape[1]))
    for label in range(1 if labels == 2 else 0, labels):
        member = y == label
        if member.any() and not member.all():
            machine = LinearSVC(C=softness, dual=False, random_state=seed, max_iter=2000)
            w[label] = machine.fit(x, member, sample_weight=weights).coef_[0]
    return np.stack([-w[1] / 2, w[1] / 2]) if labels == 2 else w
