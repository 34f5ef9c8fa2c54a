"""Log-odds from measurements and metadata: boosted trees or a support vector machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import ModelError
from anthropo.learning.boosters import booster_arrays, booster_from_arrays, check_trees
from anthropo.learning.calibration import centred, fit_stack, log_loss
from anthropo.learning.judged import Floats, Ints

_ROUNDS = 300  # at most
_PATIENCE = 30  # rounds without gain out of fold
_TREES: dict[str, Any] = {
    "max_depth": 2,
    "eta": 0.1,
    "lambda": 10.0,
    "subsample": 0.8,
    "colsample_bynode": 0.3,
    # between which trees split: 256, its default, take twice as long and told the labels no better
    "max_bin": 64,
}
_C_LINEAR = (0.0003, 0.001, 0.003, 0.01, 0.03)  # the linear SVM's C, the best out of fold is taken
_C_LOGISTIC = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # of logistic regression
_C_RBF = (0.03, 0.1, 0.3, 1.0, 3.0)  # of the one with a Gaussian kernel
_ENOUGH = 2  # choices in a row that are no better
_PEOPLE = 32  # training photos that its contributions are differences from
_ROWS = 2048  # compared with the support vectors at a time


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Gradient-boosted trees (XGBoost)."""

    arrays: dict[str, NDArray[Any]] | None  # of booster_arrays; None: no tree helped
    labels: int
    # the booster, made when it is first needed
    _grown: list[Any] = field(default_factory=list, init=False, repr=False)

    def check(self, features: int) -> None:
        """Refuse what are no trees of so many features and of the labels, by a ModelError."""
        if self.arrays is not None:
            classes = check_trees(self.arrays, objective(self.labels), features)
            if classes != (1 if self.labels == 2 else self.labels):
                raise ModelError("its trees are of another number of labels")

    def margins(self, numbers: Floats) -> Floats:
        """Log-odds (n, k), not calibrated."""
        return self._predict(numbers, 1, output_margin=True)[:, :, 0]

    def contributions(self, numbers: Floats) -> Floats:
        """Log-odds by feature, (n, k, m + 1), the last the trees' mean; exact (TreeSHAP)."""
        return self._predict(numbers, numbers.shape[1] + 1, pred_contribs=True)

    def _predict(self, numbers: Floats, size: int, **how: bool) -> Floats:
        n, m = numbers.shape
        if self.arrays is None:
            return np.zeros((n, self.labels, size))
        if not self._grown:
            booster = booster_from_arrays(self.arrays, objective(self.labels), m)
            booster.set_param({"nthread": 1})
            self._grown.append(booster)
        margins = self._grown[0].predict(_matrix(numbers, np.zeros((n, self.labels))), **how)
        return _both(np.asarray(margins, dtype=np.float64).reshape(n, -1, size), self.labels)


def objective(labels: int) -> str:
    """XGBoost's name of the loss."""
    return "binary:logistic" if labels == 2 else "multi:softprob"


def _both(margins: Floats, labels: int) -> Floats:
    """Margins of all labels; with two labels XGBoost gives one, the second label's over the first's."""
    return np.concatenate([-margins / 2, margins / 2], axis=1) if labels == 2 else margins


def _matrix(numbers: Floats, base: Floats, **of: Any) -> Any:
    import xgboost

    start = base[:, 1] - base[:, 0] if base.shape[1] == 2 else base
    return xgboost.DMatrix(numbers, base_margin=start, nthread=1, **of)


def fit_trees(
    numbers: Floats,
    y: Ints,
    weights: Floats,
    folds: Ints,
    labels: int,
    seed: int,
    favour: Floats,
    drawn: Floats | None = None,
) -> tuple[Trees, Floats]:
    """Grow as many trees as help out of fold; with the margins (n, labels) of each row out of fold.

    Of two equivalent numbers, the one of greater `favour` (m,) is used more often. The trees grow on `drawn`
    (n, m) if it is given: numbers of which the missing ones are what they might be, not what is expected.

    Chen & Guestrin, "XGBoost: a scalable tree boosting system" (KDD 2016).
    """
    import xgboost

    parameters = {**_TREES, "seed": seed, "nthread": 1, "verbosity": 0, "tree_method": "hist"}
    parameters |= {"objective": objective(labels)} | ({"num_class": labels} if labels > 2 else {})
    share = np.array([weights[y == c].sum() for c in range(labels)])
    grown = numbers if drawn is None else drawn
    start = np.tile(centred(np.log(share / share.sum() + 1e-9)), (len(y), 1))
    boosters = []
    curves = []
    for fold in np.unique(folds):
        out = folds == fold
        train = _matrix(grown[~out], start[~out], label=y[~out], weight=weights[~out], feature_weights=favour)
        test = _matrix(numbers[out], start[out], label=y[out], weight=weights[out])
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
        return Trees(None, labels), np.zeros_like(start)
    margins = np.empty_like(start)
    for fold, booster in zip(np.unique(folds), boosters, strict=True):
        out = folds == fold
        last = min(best, booster.num_boosted_rounds())
        predicted = booster.predict(
            _matrix(numbers[out], np.zeros_like(start[out])), output_margin=True, iteration_range=(0, last)
        )
        margins[out] = _both(np.asarray(predicted, dtype=np.float64).reshape(len(predicted), -1), labels)
    everybody = _matrix(grown, start, label=y, weight=weights, feature_weights=favour)
    whole = xgboost.train(parameters, everybody, best)
    return Trees(booster_arrays(whole), labels), centred(margins)


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """A sum of weighted numbers for each label: logistic regression, or linear support vector machines."""

    weights: Floats  # (k, m)

    def margins(self, numbers: Floats) -> Floats:
        """Log-odds or decision values (n, k), not calibrated."""
        return np.asarray(self.contributions(numbers).sum(2), dtype=np.float64)

    def contributions(self, numbers: Floats) -> Floats:
        """The same by feature, (n, k, m + 1); a missing value counts as average."""
        by = np.nan_to_num(numbers, nan=0.0)[:, None, :] * self.weights
        return np.concatenate([by, np.zeros((*by.shape[:2], 1))], axis=2)


@dataclass(frozen=True, slots=True, eq=False)
class KernelMachine:
    """Support vector machines with a Gaussian kernel, one label against the rest: no sum over features."""

    scale: Floats  # (m,), of the numbers before they are compared
    support: Floats  # (s, m), scaled
    duals: Floats  # (k, s)
    intercept: Floats  # (k,)
    width: float  # of the kernel exp(-width · distance²)
    people: Floats  # (b, m), training photos that contributions are differences from
    mean: Floats  # (k,) decision value of the training photos

    def margins(self, numbers: Floats) -> Floats:
        """Decision values (n, k)."""
        x = np.nan_to_num(numbers, nan=0.0) * self.scale
        out = np.empty((len(x), len(self.duals)))
        for at in range(0, len(x), _ROWS):
            rows = x[at : at + _ROWS]
            apart = (rows**2).sum(1)[:, None] + (self.support**2).sum(1) - 2 * rows @ self.support.T
            out[at : at + _ROWS] = np.exp(-self.width * apart) @ self.duals.T + self.intercept
        return out

    def contributions(self, numbers: Floats) -> Floats:
        """Shapley values by feature, sampled, and the training photos' mean: (n, k, m + 1).

        Each feature's is its effect when the features change one by one, in a random order and then in the
        reverse one, from those of a training photo to these. They sum to `margins` but for the sampling
        of the training photos (Štrumbelj & Kononenko, Knowl Inf Syst 2014;41:647).
        """
        x = np.nan_to_num(numbers, nan=0.0)
        n, m = x.shape
        out = np.zeros((n, len(self.duals), m + 1))
        random = np.random.RandomState(0)
        orders = [random.permutation(m) for _ in self.people]
        for i in range(n):
            for person, order in zip(self.people, orders, strict=True):
                for steps in (order, order[::-1]):
                    # row r: the first r features of the order are the person's
                    reached = np.empty(m, dtype=np.intp)
                    reached[steps] = np.arange(m)
                    chain = np.where(np.arange(m + 1)[:, None] > reached, x[i], person)
                    gained = np.diff(self.margins(chain), axis=0)
                    out[i, :, steps] += gained / (2 * len(self.people))
            out[i, :, m] = self.mean
        return out


def fit_kernel_machine(
    numbers: Floats,
    y: Ints,
    weights: Floats,
    folds: Ints,
    labels: int,
    seed: int,
    favour: Floats,
    drawn: Floats | None = None,
) -> tuple[KernelMachine, Floats]:
    """Fit SVMs with a Gaussian kernel and the C that is best out of fold; otherwise as `fit_trees`."""
    from scipy.linalg import block_diag
    from sklearn.svm import SVC

    filled = np.nan_to_num(numbers, nan=0.0)
    scaled = (filled if drawn is None else drawn) * favour
    width = 1 / max(float(scaled.var(0).sum()), 1e-9)
    some = np.random.RandomState(seed).permutation(len(filled))[:_PEOPLE]

    def fit(rows: NDArray[np.bool_], c: float) -> KernelMachine:
        support, duals, intercept = [], [], []
        for label in range(1 if labels == 2 else 0, labels):
            member = y[rows] == label
            if member.all() or not member.any():  # a fold without the label, or with nothing else
                support.append(np.zeros((0, scaled.shape[1])))
                duals.append(np.zeros(0))
                intercept.append(0.0)
                continue
            machine = SVC(C=c, kernel="rbf", gamma=width)
            machine.fit(scaled[rows], member, sample_weight=weights[rows])
            support.append(machine.support_vectors_)
            duals.append(machine.dual_coef_[0])
            intercept.append(float(machine.intercept_[0]))
        by = block_diag(*duals)  # each machine's vectors behind the other's
        offset = np.array(intercept)
        if labels == 2:
            by, offset = np.vstack([-by / 2, by / 2]), np.array([-offset[0] / 2, offset[0] / 2])
        return KernelMachine(favour, np.vstack(support), by, offset, width, filled[some], np.zeros(labels))

    c, margins = _best_c(
        lambda rows, c, x: fit(rows, c).margins(x), filled, y, weights, folds, labels, _C_RBF
    )
    whole = fit(np.ones(len(y), dtype=bool), c)
    return replace(whole, mean=whole.margins(filled).mean(0)), centred(margins)


def fit_machine(
    numbers: Floats, y: Ints, weights: Floats, folds: Ints, labels: int, seed: int, favour: Floats
) -> tuple[Machine, Floats]:
    """Fit linear SVMs with the C that is best out of fold; otherwise as `fit_trees`."""
    from sklearn.svm import LinearSVC

    def fit(x: Floats, y: Ints, weights: Floats, c: float) -> Floats:
        w = np.zeros((labels, x.shape[1]))
        for label in range(1 if labels == 2 else 0, labels):
            member = y == label
            if member.any() and not member.all():
                machine = LinearSVC(C=c, dual=False, random_state=seed, max_iter=2000)
                w[label] = machine.fit(x, member, sample_weight=weights).coef_[0]
        return np.stack([-w[1] / 2, w[1] / 2]) if labels == 2 else w

    return _fit_sum(lambda: fit, numbers, y, weights, folds, labels, favour, _C_LINEAR)


def fit_logistic(
    numbers: Floats, y: Ints, weights: Floats, folds: Ints, labels: int, seed: int, favour: Floats
) -> tuple[Machine, Floats]:
    """Fit logistic regression with the L2 penalty that is best out of fold; otherwise as `fit_trees`."""
    from sklearn.linear_model import LogisticRegression

    def along_penalties() -> _FitOf:
        # with two labels by Newton's method, from the weights of the penalty before; with more, whose second
        # derivatives are many, by their estimate
        two: dict[str, Any] = {"solver": "newton-cholesky", "warm_start": True} if labels == 2 else {}
        regression = LogisticRegression(max_iter=1000, **two)

        def fit(x: Floats, y: Ints, weights: Floats, c: float) -> Floats:
            w = np.zeros((labels, x.shape[1]))
            there = np.unique(y)
            if len(there) > 1:
                found = regression.set_params(C=c).fit(x, y, sample_weight=weights)
                w[there] = [-found.coef_[0] / 2, found.coef_[0] / 2] if len(there) == 2 else found.coef_
            return w

        return fit

    return _fit_sum(along_penalties, numbers, y, weights, folds, labels, favour, _C_LOGISTIC)


_FitOf = Callable[[Floats, Ints, Floats, float], Floats]  # of x, y, weights and C: (labels, m)


def _fit_sum(
    begin: Callable[[], _FitOf],  # for the same rows each, and C that ascend
    numbers: Floats,
    y: Ints,
    weights: Floats,
    folds: Ints,
    labels: int,
    favour: Floats,
    choices: Sequence[float],
) -> tuple[Machine, Floats]:
    """Weights of numbers with the C that is best out of fold, and each row's margins out of fold."""
    # a number made smaller costs more to use
    filled = np.nan_to_num(numbers, nan=0.0) * favour

    begun: dict[bytes, _FitOf] = {}

    def margins_of(rows: NDArray[np.bool_], c: float, x: Floats) -> Floats:
        fit = begun.setdefault(rows.tobytes(), begin())
        return np.asarray(x @ fit(filled[rows], y[rows], weights[rows], c).T)

    c, margins = _best_c(margins_of, filled, y, weights, folds, labels, choices)
    return Machine(begin()(filled, y, weights, c) * favour), centred(margins)


def _best_c(
    margins_of: Callable[[NDArray[np.bool_], float, Floats], Floats],  # rows trained on, C, and x tested on
    x: Floats,
    y: Ints,
    weights: Floats,
    folds: Ints,
    labels: int,
    choices: Sequence[float],
) -> tuple[float, Floats]:
    """The C whose margins out of fold, (n, labels), make the labels most likely.

    `choices` ascend; once two in a row were worse than the best, the others, which fit ever closer, are not
    tried.
    """
    best: tuple[float, float, Floats] | None = None
    worse = 0
    for c in choices:
        if worse == _ENOUGH:
            break
        margins = np.empty((len(y), labels))
        for fold in np.unique(folds):
            out = folds == fold
            margins[out] = margins_of(~out, c, x[out])
        lost = log_loss(fit_stack([margins], y, weights).margins([margins]), y, weights)
        worse += 1
        if best is None or lost < best[0]:
            best, worse = (lost, c, margins), 0
    assert best is not None
    return best[1], best[2]
