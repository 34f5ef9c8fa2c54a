"""The hybrid classifier, trained: deep-region scores, measurements and metadata on one axis of log-odds."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, column_or_1d, validate_data

from anthropo.encoder.several import encoder_of, plain_region
from anthropo.learning.calibration import Stack, bounded, fit_stack, log_loss, softmax, surprise
from anthropo.learning.columns import METADATA, Columns, Scaler
from anthropo.learning.cost import importance
from anthropo.learning.deep import fit_region
from anthropo.learning.fitted import FittedHybrid, checked_cost, refuse_infinite
from anthropo.learning.imputation import Imputer
from anthropo.learning.judged import Floats, Ints
from anthropo.learning.measured import (
    fit_kernel_machine,
    fit_logistic,
    fit_machine,
    fit_trees,
)
from anthropo.learning.memo import remembered
from anthropo.learning.rows import is_frame, number_columns, numbers_of
from anthropo.learning.splits import split
from anthropo.measurement.registry import registry

Random = np.random.RandomState
T = TypeVar("T", bound=np.generic)


class HybridClassifier(ClassifierMixin, BaseEstimator, FittedHybrid):  # type: ignore[misc]
    """Cost-sensitive, calibrated classifier on measurements, deep regions and metadata.

    Kernel ridge regression turns each region's embedding into a score per label; boosted trees, logistic
    regression or an SVM turn measurements and metadata into another. The weights of all scores have the
    greatest likelihood out of fold, as far as so many people can show it, which also calibrates them. The
    result is a sum, so that `contributions` is exact except for "svm-rbf"; of log-odds beyond what so many
    people can show, one of its terms takes off the rest (`limit`).

    Parameters
    ----------
    classifier : {"auto", "xgboost", "linear", "svm", "svm-rbf"}
        "linear" is logistic regression with an L2 penalty; "auto" takes it, or from 100 people on the trees
        where they make the labels more likely out of fold by more than a standard error. "svm" is
        linear; with a Gaussian kernel ("svm-rbf") contributions are sampled and leave a residual.
    balance : {"weights", "resample", "none"}
        What is done about labels of unequal size in training: weights, drawing photos of rarer labels
        again, or nothing. Probabilities are calibrated to the cohort's shares in any case.
    cost : (k, k) array-like, optional
        Cost of deciding for label j (column) where i (row) is true, labels in sorted order: `predict` takes
        the label of least expected cost. Left out: every error costs 1.
    weigh_cost : bool
        Weigh the photos of each label in training by what getting it wrong costs, too.
    controls : str, optional
        Label of healthy people, whose mean and SD standardise the measurements.
    missing : {"expected", "evidence"}
        What a measurement without a value, such as one that the photo gate voided, counts as: what the
        others let expect, which says nothing of its own; or that as well, with the fact that it has none as
        a number beside it. How photos were taken then counts, with a term of its own that is no anatomy.
    folds : int
        Number of folds for scores out of fold.
    random_state : int, RandomState or None
        As in scikit-learn; an int makes equal models of equal photos.

    Attributes
    ----------
    classes_ : (k,) array
    out_of_fold_ : (n, k) array
        Calibrated probabilities of the training photos by models that saw nothing of their fold; NaN for
        photos of weight 0.
    shares_ : (k,) array
        How common each label is among the photos: what probabilities are calibrated to.
    people_ : (k,) array
        Patients with each label, whose number bounds the log-odds.
    columns_ : Columns

    Notes
    -----
    Columns of a data frame are regions (``face/0``, ``face/1`` …), metadata (``meta:age``) and, under any
    other name, measurements; a plain array holds measurements only. NaN is a missing value, which counts
    as what those that are known let expect, and says nothing of its own: its contribution is 0. What
    `missing="evidence"` lets it say is in ``contributions(X).voided``.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> y = np.where(x[:, 0] > 0, "affected", "control")
    >>> HybridClassifier().fit(x, y).predict_proba(x).shape
    (60, 2)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # ----------------------------------------------------------------------------------- fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> HybridClassifier:
        """Fit to photos.

        Parameters
        ----------
        X : (n, f) data frame or array-like
        y : (n,) array-like
            Labels.
        sample_weight : (n,) array-like, optional
            How much each photo counts in training, and in the shares that probabilities are calibrated to.
            A photo of weight 0 takes no part. Left out: all count alike.
        groups : (n,) array-like, optional
            Patients; no patient is in two folds. Left out: each photo is of another patient.

        Returns
        -------
        HybridClassifier
            Itself.

        Raises
        ------
        ValueError
            If a parameter is none of its choices, X holds nothing to learn from, there is one label only, or
            a label has one patient.
        """
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: unknown. Choose from {', '.join(choices)}."
                )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        table = self._table(X, y)
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        patients = np.arange(len(labels)) if groups is None else np.asarray(groups)
        counts: Floats = _check_sample_weight(sample_weight, table, dtype=np.float64)
        if (counts < 0).any():
            raise ValueError("sample_weight: no weight may be negative.")
        self._check(labels, patients, counts > 0)
        random = check_random_state(self.random_state)
        seed = int(self.random_state if isinstance(self.random_state, Integral) else random.randint(2**31))
        (kept,) = np.nonzero(counts)
        drawn, natural = self._rows(labels[kept], random)
        rows = kept[drawn]
        counts = counts[rows] / counts[kept].mean()
        table, y_ = table.iloc[rows].reset_index(drop=True), labels[rows].astype(np.int64)
        names = [str(p) for p in patients[rows]]
        words = [str(c) for c in y_]
        times = _DEALINGS if len(rows) <= _FEW else 1
        dealt = [remembered(split, words, names, self.folds, seed + at).index for at in range(times)]
        # what the cohort can show is limited by people, not by photos
        known = {(c, p) for c, p in zip(y_.tolist(), patients[rows].tolist(), strict=True)}
        people = np.bincount([c for c, _ in known], minlength=len(self.classes_)).astype(np.float64)
        fitted = _Fitted(y_, np.stack(dealt), counts, natural * counts, people)
        probabilities = softmax(bounded(self._fit_halves(table, fitted, seed), people))
        self.people_ = people
        self.shares_ = np.bincount(y_, fitted.natural) / fitted.natural.sum()
        self.stated_ = None
        _, first = np.unique(rows, return_index=True)
        self.out_of_fold_ = np.full((len(labels), len(self.classes_)), np.nan)
        self.out_of_fold_[rows[first]] = probabilities[first]
        return self

    def _check(self, labels: Ints, patients: NDArray[Any], counted: NDArray[np.bool_]) -> None:
        """Refuse labels (n,) of patients (n,) that cannot be learned, and parameters that do not fit them."""
        if len(self.classes_) < 2:
            raise ValueError(
                f"All photos have the label {self.classes_[0]}, one class only; two or more are needed."
            )
        if self.controls is not None and self.controls not in self.classes_:
            known = ", ".join(map(str, self.classes_))
            raise ValueError(f"controls={self.controls!r}: no row has this label; they are {known}.")
        checked_cost(self.cost, len(self.classes_))
        if len(patients) != len(labels):
            raise ValueError(f"{len(patients)} groups for {len(labels)} rows.")
        for c, label in enumerate(self.classes_):
            people = len(np.unique(patients[(labels == c) & counted]))
            if people < 2:
                raise ValueError(
                    f"Label {label} has {'one patient' if people else 'no photo that counts'}; each class "
                    "needs two or more. Add patients or leave it out."
                )

    def _fit_halves(self, table: Any, of: _Fitted, seed: int) -> Floats:
        """Fit regions, measurements with metadata, and their weights; the out-of-fold log-odds (n, k)."""
        k = len(self.classes_)
        scores = self._fit_regions(table, of, seed)
        controls = None if self.controls is None else np.asarray(self.classes_[of.y] == self.controls)
        told = self.missing == "evidence"
        self.scaler_ = Scaler.fit(table, self.columns_, controls, voided=told)
        numbers = self.scaler_.transform(table)
        self.imputer_ = remembered(Imputer.fit, numbers, ~self.scaler_.voided)
        self.measured_ = None
        margins: list[Floats] = []
        if numbers.shape[1]:
            weights = of.counts
            if self.weigh_cost:
                weights = weights * importance(checked_cost(self.cost, k))[of.y]
            if self.balance == "weights":
                weights = weights / np.bincount(of.y, of.counts)[of.y]
            pairs = zip(self.scaler_.origin, self.scaler_.category, strict=True)
            favour = np.array([_favour(name) if text is None else 1.0 for name, text in pairs])
            filled, drawn = self.imputer_.fill(numbers), self.imputer_.draw(numbers, Random(seed))
            for kind in self._kinds(of):
                # a sum of weighted numbers cannot tell what is expected from what is known
                more = () if kind in _SUMS else (drawn,)
                one, out = remembered(
                    _FITS[kind], filled, of.y, weights / weights.mean(), of.folds[0], k, seed, favour, *more
                )
                if not margins or _clearly_better(out, margins[0], of):
                    self.measured_, margins = one, [out]
        # measurements have one dealing: each other one would cost as much as their training, and tell little
        parts = scores + [np.tile(one, (len(of.folds), 1)) for one in margins]
        if not parts:
            raise ValueError(
                "X holds nothing to learn from: 0 feature(s) with a value. Give columns of numbers."
            )
        joined = _joined(parts, len(scores), of)
        self.deep_ = Stack(joined.slopes[: len(scores)], np.zeros(k))
        ones = np.ones(min(1, len(scores)))
        self.stack_ = Stack(np.concatenate([ones, joined.slopes[len(scores) :]]), joined.bias)
        return joined.margins([part[: len(of.y)] for part in parts])

    def _kinds(self, of: _Fitted) -> tuple[str, ...]:
        """Classifiers to try, the simplest first."""
        if self.classifier != "auto":
            return (self.classifier,)
        return _AUTO if of.people.sum() >= _PEOPLE_FOR_TREES else _AUTO[:1]

    def _table(self, X: Any, y: Any = None) -> Any:
        """Features as a table, checked against those of the fit when `y` is None."""
        if y is None:
            return super()._table(X)
        if not is_frame(X):
            return self._framed(X, y)
        import pandas as pd

        X = X.rename(columns=str)
        if twice := X.columns[X.columns.duplicated()].tolist():
            raise ValueError(f"{twice[0]} is a column twice. Keep one of them, or rename it.")
        columns = Columns.of(list(X.columns))
        refuse_infinite(X, columns)
        self.columns_ = columns
        numbers = number_columns(X)
        for name in (name for name in self.columns_.measurements if name not in numbers):
            if X[name].notna().any() and pd.to_numeric(X[name], errors="coerce").isna().all():
                raise ValueError(
                    f"Column {name} holds words. Call it {METADATA}{name} to have it learned as a "
                    "category, or leave it out."
                )
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        if len(X) != len(y):
            raise ValueError(f"{len(X)} rows of features for {len(y)} labels.")
        return X

    def _framed(self, X: Any, y: Any = None) -> Any:
        import pandas as pd

        if y is None:
            X = validate_data(self, X, reset=False, ensure_all_finite=False, dtype=np.float64)
        else:
            X, _ = validate_data(self, X, y, ensure_all_finite=False, dtype=np.float64)
        if np.isinf(X).any():
            raise ValueError("X holds infinity; a missing value is NaN.")
        table = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
        if y is not None:
            self.columns_ = Columns.of(list(table.columns))
        return table

    def _rows(self, labels: Ints, random: Random) -> tuple[Ints, Floats]:
        """Rows to train on, and their weights that restore the cohort's shares of labels."""
        n, counts = len(labels), np.bincount(labels)
        if self.balance != "resample":
            return np.arange(n), np.ones(n)
        drawn = [random.choice(np.flatnonzero(labels == c), counts.max() - m) for c, m in enumerate(counts)]
        rows = np.concatenate([np.arange(n), *drawn])
        return rows, np.asarray((counts / counts.max())[labels[rows]])

    def _fit_regions(self, table: Any, of: _Fitted, seed: int) -> list[Floats]:
        """Fit the regions; the scaled out-of-fold scores (times · n, k) of each, dealing by dealing."""
        k = len(self.classes_)
        self.regions_ = {}
        targets = np.eye(k)[of.y]
        shares = np.average(targets, axis=0, weights=of.counts)
        scores = []
        for at, (region, names) in enumerate(self.columns_.regions.items()):
            embeddings = numbers_of(table, names)
            self.regions_[region], out = remembered(
                fit_region, embeddings, targets, of.folds, Random((seed, at)), of.counts
            )
            scores.append(out.reshape(-1, k))
        self.score_spread_ = np.zeros((0, k))
        if scores:
            # a rare label's scores are small, since its share of the targets' variance is; those of a label
            # that is hard to tell are small as well, and are to stay so
            target = np.sqrt(shares * (1 - shares))
            counts = np.array([_LEADS if plain_region(r) == _WHOLE else 1.0 for r in self.regions_])
            counts *= _encoder_weights(list(self.regions_), scores, counts, target, of)
            self.score_spread_ = _spread(scores, counts, target)
        return self._scaled(scores)


def _spread(scores: list[Floats], counts: Floats, target: Floats) -> Floats:
    """What scores (times · n, k) are divided by (p, k) to count as much: one unit for all together.

    `target` (k,) is the SD of each label's membership.
    """
    together = np.tensordot(counts, scores, 1).std(0) / counts.sum()
    unit = target * np.sqrt(((together / target) ** 2).mean())
    return np.asarray(np.maximum(unit / counts[:, None], 1e-9))


def _encoder_weights(
    regions: list[str], scores: list[Floats], counts: Floats, target: Floats, of: _Fitted
) -> Floats:
    """How much each region (p,) counts for whose encoder sees it: 1 of the best encoder out of fold.

    Regions of one photo by one encoder know much the same. Two encoders may be as far apart as a network for
    faces and one for objects, of which either can be the one that sees what is asked: of the less likely one
    the root of the ratio of likelihoods out of fold is left, and a little in any case. People prove the rest,
    as for all regions (`fit_stack`).
    """
    encoders = [encoder_of(region) for region in regions]
    names = sorted(set(encoders))
    if len(names) < 2:
        return np.ones(len(regions))
    lost = {}
    for name in names:
        chosen_at = [i for i, encoder in enumerate(encoders) if encoder == name]
        chosen = [scores[i] for i in chosen_at]
        parts = [*(np.asarray(chosen) / _spread(chosen, counts[chosen_at], target)[:, None])]
        stack = fit_stack(parts, of.dealt(of.y), of.dealt(of.natural), of.people, len(parts))
        lost[name] = log_loss(stack.margins(parts), of.dealt(of.y), of.dealt(of.natural))
    least = min(lost.values())
    weights = [np.exp(-_TRUSTED * of.people.sum() * (lost[encoder] - least)) for encoder in encoders]
    return np.maximum(weights, _FAINT)


_WHOLE, _LEADS = "face", 4.0  # so much does the whole face count, until people prove otherwise; others 1
_DEALINGS, _FEW = 5, 1000  # ways to deal the folds, of so many photos or fewer: they agree on many
_TRUSTED = 0.5  # of the logarithm of the ratio of two encoders' likelihoods
_FAINT = 0.02  # of the best encoder's weight, that another one has at least
_BESIDE = 8.0  # people's worth of doubt that measurements add to regions
_LESSER = 0.1  # of its weight alone, that a half has at least: explanations still show it
_DERIVED = 0.2


def _favour(column: str) -> float:
    """Below 1 for measurements computed from others: a length is preferred to an index of it."""
    entry = registry().get(column)
    return _DERIVED if entry is not None and entry.kind in ("ratio", "area") else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """The photos that a classifier is fitted to."""

    y: Ints  # (n,), index of the label
    folds: Ints  # (times, n), dealt as often
    counts: Floats  # (n,), how much each counts in training
    natural: Floats  # (n,), the same at the cohort's shares of labels
    people: Floats  # (k,), patients with each label

    def dealt(self, values: NDArray[T]) -> NDArray[T]:
        """Values (n,) of the photos once for each dealing."""
        return np.tile(values, len(self.folds))


def _joined(parts: list[Floats], regions: int, of: _Fitted) -> Stack:
    """Weights of regions, and of the part behind them; each half has a tenth of its weight alone, or more.

    Scores of each part are of all dealings together: of few people, another one gives other weights.
    """
    y, natural = of.dealt(of.y), of.dealt(of.natural)
    halves = [half for half in (parts[:regions], parts[regions:]) if half]
    least: Floats | float = 0.0
    if len(halves) > 1:
        alone = [
            fit_stack(half, y, natural, of.people, alike).slopes
            for half, alike in zip(halves, (regions, 0), strict=True)
        ]
        least = _LESSER * np.concatenate(alone)
    if len(halves) < 2:
        return fit_stack(parts, y, natural, of.people, regions)
    return fit_stack(parts, y, natural, of.people, regions, least, _BESIDE)


def _clearly_better(margins: Floats, than: Floats, of: _Fitted) -> bool:
    """Whether margins make the labels more likely than others do, by more than a standard error.

    Breiman et al., "Classification and regression trees" (1984): the simpler model stands unless another is
    better by that much, because of two models the likelihoods of few people differ by chance.
    """
    one, other = (
        surprise(fit_stack([m], of.y, of.natural, of.people, 0).margins([m]), of.y) for m in (margins, than)
    )
    gained = other - one
    mean = float(np.average(gained, weights=of.natural))
    variance = float(np.average((gained - mean) ** 2, weights=of.natural))
    return bool(mean > np.sqrt(variance / of.people.sum()))


_FITS: dict[str, Any] = {
    "xgboost": fit_trees, "linear": fit_logistic, "svm": fit_machine, "svm-rbf": fit_kernel_machine,
}  # fmt: skip
_SUMS = ("linear", "svm")
_AUTO = ("linear", "xgboost")  # the first one unless the second is clearly better
_PEOPLE_FOR_TREES = 100  # fewer cannot show that trees are clearly better, and growing them takes long
_CHOICES = {
    "classifier": ("auto", *_FITS), "balance": ("weights", "resample", "none"),
    "missing": ("expected", "evidence"),
}  # fmt: skip
