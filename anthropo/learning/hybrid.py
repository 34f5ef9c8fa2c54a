"""The hybrid classifier: deep-region scores, measurements and metadata on one axis of log-odds."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from anthropo.errors import InputError, ModelError
from anthropo.learning.calibration import Stack, centred, fit_stack, softmax, surprise
from anthropo.learning.columns import METADATA, Columns, Scaler, number_columns
from anthropo.learning.cost import expected_cost_decision, importance
from anthropo.learning.deep import RegionModel, fit_region
from anthropo.learning.imputation import Imputer, to_the_known, unknown
from anthropo.learning.judged import Floats, Ints
from anthropo.learning.measured import (
    KernelMachine,
    Machine,
    Trees,
    fit_kernel_machine,
    fit_logistic,
    fit_machine,
    fit_trees,
)
from anthropo.learning.memo import remembered
from anthropo.learning.model_readers import part, prefixed, record
from anthropo.learning.prevalence import shift
from anthropo.learning.schema import NOTHING, Arrays, Names, taken
from anthropo.learning.splits import split
from anthropo.learning.states import CLASSIFIER, KERNEL, MACHINE, REGION, ClassifierState
from anthropo.measurement.registry import registry

Random = np.random.RandomState
Kind = Literal["auto", "xgboost", "linear", "svm", "svm-rbf"]
Balance = Literal["weights", "resample", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Log-odds (n, k) of each label against the average one, as an exact sum."""

    bias: Floats  # (k,), with the shift
    shift: Floats  # (k,), the part of the bias that is owed to labels being as common as stated
    regions: dict[str, Floats]  # (n, k) each
    measurements: dict[str, Floats]  # (n, k) each
    metadata: dict[str, Floats]  # (n, k) each
    residual: Floats  # (n, k), what a classifier that is no sum leaves over; 0 for the others

    @property
    def total(self) -> Floats:
        """The log-odds, (n, k)."""
        parts = [*self.regions.values(), *self.measurements.values(), *self.metadata.values()]
        return np.asarray(self.bias + self.residual + sum(parts))


class HybridClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Cost-sensitive, calibrated classifier on measurements, deep regions and metadata.

    Kernel ridge regression turns each region's embedding into a score per label; boosted trees, logistic
    regression or an SVM turn measurements and metadata into another. The weights of all scores have the
    greatest likelihood out of fold, as far as so many people can show it, which also calibrates them. The
    result is a sum, so that `contributions` is exact except for "svm-rbf".

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
    columns_ : Columns

    Notes
    -----
    Columns of a data frame are regions (``face/0``, ``face/1`` …), metadata (``meta:age``) and, under any
    other name, measurements; a plain array holds measurements only. NaN is a missing value, which counts
    as what those that are known let expect, and says nothing of its own: its contribution is 0.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> y = np.where(x[:, 0] > 0, "affected", "control")
    >>> HybridClassifier().fit(x, y).predict_proba(x).shape
    (60, 2)
    """

    def __init__(
        self,
        classifier: Kind = "auto",
        *,
        balance: Balance = "weights",
        cost: Any = None,
        weigh_cost: bool = False,
        controls: str | None = None,
        folds: int = 5,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.classifier = classifier
        self.balance = balance
        self.cost = cost
        self.weigh_cost = weigh_cost
        self.controls = controls
        self.folds = folds
        self.random_state = random_state

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
                raise ValueError(f"{name}={getattr(self, name)!r}: the choices are {', '.join(choices)}.")
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
        folds = split([str(c) for c in y_], [str(p) for p in patients[rows]], self.folds, seed).index
        # what the cohort can show is limited by people, not by photos
        known = {(c, p) for c, p in zip(y_.tolist(), patients[rows].tolist(), strict=True)}
        people = np.bincount([c for c, _ in known], minlength=len(self.classes_)).astype(np.float64)
        fitted = _Fitted(y_, folds, counts, natural * counts, people)
        probabilities = softmax(self._fit_halves(table, fitted, seed))
        self.shares_ = np.bincount(y_, fitted.natural) / fitted.natural.sum()
        self.stated_: Floats | None = None
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
        _cost(self.cost, len(self.classes_))
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
        self.scaler_ = Scaler.fit(table, self.columns_, controls)
        numbers = self.scaler_.transform(table)
        self.imputer_ = Imputer.fit(numbers)
        self.measured_: Trees | Machine | KernelMachine | None = None
        margins: list[Floats] = []
        if numbers.shape[1]:
            weights = of.counts
            if self.weigh_cost:
                weights = weights * importance(_cost(self.cost, k))[of.y]
            if self.balance == "weights":
                weights = weights / np.bincount(of.y, of.counts)[of.y]
            favour = np.array([_favour(name) for name in self.scaler_.origin])
            filled, drawn = self.imputer_.fill(numbers), self.imputer_.draw(numbers, Random(seed))
            for kind in self._kinds(of):
                # a sum of weighted numbers cannot tell what is expected from what is known
                more = () if kind in _SUMS else (drawn,)
                one, out = remembered(
                    _FITS[kind], filled, of.y, weights / weights.mean(), of.folds, k, seed, favour, *more
                )
                if not margins or _clearly_better(out, margins[0], of):
                    self.measured_, margins = one, [out]
        parts = scores + margins
        if not parts:
            raise ValueError(
                "X holds nothing to learn from: 0 feature(s) with a value. Give columns of numbers."
            )
        joined = _joined(parts, len(scores), of)
        self.deep_ = Stack(joined.slopes[: len(scores)], np.zeros(k))
        ones = np.ones(min(1, len(scores)))
        self.stack_ = Stack(np.concatenate([ones, joined.slopes[len(scores) :]]), joined.bias)
        return joined.margins(parts)

    def _kinds(self, of: _Fitted) -> tuple[str, ...]:
        """Classifiers to try, the simplest first."""
        if self.classifier != "auto":
            return (self.classifier,)
        return _AUTO if of.people.sum() >= _PEOPLE_FOR_TREES else _AUTO[:1]

    def _table(self, X: Any, y: Any = None) -> Any:
        """Features as a data frame, checked against those of the fit when `y` is None."""
        import pandas as pd

        if isinstance(X, pd.DataFrame):
            X = X.rename(columns=str)
            if y is not None and (twice := X.columns[X.columns.duplicated()].tolist()):
                raise ValueError(f"{twice[0]} is a column twice. Keep one of them, or rename it.")
            for region, names in Columns.of(list(X.columns)).regions.items():
                if not np.isfinite(X[list(names)].to_numpy(dtype=np.float64)).all():
                    raise ValueError(f"The embedding of the region {region} holds NaN or infinity.")
            if y is not None:
                self.columns_ = Columns.of(list(X.columns))
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
            elif missing := [c for c in getattr(self, "feature_names_in_", ()) if c not in X.columns]:
                raise InputError(
                    f"{len(missing)} columns that the model was trained with are missing, "
                    f"the first is {missing[0]}. Extract the photo's features with the model's settings."
                )
            return X
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
        """Fit the regions; the scaled out-of-fold scores (n, k) of each."""
        k = len(self.classes_)
        self.regions_: dict[str, RegionModel] = {}
        targets = np.eye(k)[of.y]
        scores = []
        for at, (region, names) in enumerate(self.columns_.regions.items()):
            embeddings = table[list(names)].to_numpy(dtype=np.float64)
            self.regions_[region], out = remembered(
                fit_region, embeddings, targets, of.folds, Random((seed, at)), of.counts
            )
            scores.append(out)
        self.score_spread_ = np.array([np.maximum(s.std(0), 1e-9) for s in scores]).reshape(-1, k)
        return self._scaled(scores)

    def _scaled(self, scores: list[Floats]) -> list[Floats]:
        # a rare label's scores are small, since its share of the targets' variance is
        shares = [self.regions_[r].intercept for r in self.regions_]
        return [(s - m) / d for s, m, d in zip(scores, shares, self.score_spread_, strict=True)]

    # -------------------------------------------------------------------------------- predicting

    def contributions(self, X: Any) -> Contributions:
        """The log-odds of each row as a sum over regions, measurements and metadata."""
        bias, regions, numbers = self._regional(X)
        measurements: dict[str, Floats] = {}
        metadata: dict[str, Floats] = {}
        residual = np.zeros((len(numbers), len(self.classes_)))
        if self.measured_ is not None:
            added = self._added(numbers)
            if isinstance(self.measured_, KernelMachine):
                residual = self.measured_margins(numbers) - added.sum(2)
            bias = bias + added[0, :, -1] if len(added) else bias
            linear = isinstance(self.measured_, Machine)
            of_known = to_the_known(numbers, added[:, :, :-1], self.imputer_, linear)
            for at, name in enumerate(self.scaler_.origin):
                into = metadata if name in self.columns_.metadata else measurements
                into[name] = into.get(name, 0) + of_known[:, :, at]
        return Contributions(bias, self.shift, regions, measurements, metadata, residual)

    def _added(self, numbers: Floats) -> Floats:
        """Log-odds (n, k, m + 1) by number, a missing one being as expected; the last is everybody's mean."""
        assert self.measured_ is not None
        added = self.stack_.slopes[-1] * self.measured_.contributions(self.imputer_.fill(numbers))
        added[unknown(numbers), :, :-1] = 0
        return np.asarray(added - added.mean(1, keepdims=True))

    @property
    def shift(self) -> Floats:
        """What the shares that `at` states add to the log-odds, (k,), on average 0."""
        return shift(self.prevalence, self.shares_)

    @property
    def prevalence(self) -> Floats:
        """How common each label is taken to be, (k,): as in training, unless `at` states otherwise."""
        return self.shares_ if self.stated_ is None else self.stated_

    def at(self, shares: Floats | None) -> HybridClassifier:
        """The fitted classifier where labels are as common as these shares (k,); None: as in training."""
        check_is_fitted(self, "stack_")
        there = copy(self)
        there.stated_ = None if shares is None else np.asarray(shares, dtype=np.float64)
        return there

    def _regional(self, X: Any) -> tuple[Floats, dict[str, Floats], Floats]:
        """Bias (k,) and log-odds (n, k) of each region; measurements and metadata as numbers (n, m)."""
        check_is_fitted(self, "stack_")
        table = self._table(X)
        of_columns = ((m, table[list(self.columns_.regions[r])]) for r, m in self.regions_.items())
        scores = self._scaled([m.scores(values.to_numpy(dtype=np.float64)) for m, values in of_columns])
        bias = self.stack_.bias + self.shift
        weighted = zip(self.regions_, self.region_weights, scores, strict=True)
        regions = {region: weight * centred(score) for region, weight, score in weighted}
        if self.regions_:
            bias = bias + self.stack_.slopes[0] * self.deep_.bias
        return bias, regions, self.scaler_.transform(table)

    @property
    def region_weights(self) -> Floats:
        """How much each region's scaled score counts, (regions,)."""
        return np.asarray(self.stack_.slopes[0] * self.deep_.slopes)

    def margins(self, X: Any) -> Floats:
        """Calibrated log-odds (n, k) of each label against the average one."""
        check_is_fitted(self, "stack_")
        bias, regions, numbers = self._regional(X)
        if self.measured_ is None or isinstance(self.measured_, KernelMachine):
            added = self.measured_margins(numbers)
        else:  # as `contributions` adds them up, but for rounding
            added = self._added(numbers).sum(2)
        return np.asarray(bias + sum(regions.values()) + added)

    def measured_margins(self, numbers: Floats) -> Floats:
        """Log-odds (n, k) that standardised measurements and metadata (n, m) add, to about 1e-6."""
        if self.measured_ is None:
            return np.zeros((len(numbers), len(self.classes_)))
        margins = self.measured_.margins(self.imputer_.fill(numbers))
        if (nobody := unknown(numbers)).any():
            margins[nobody] = self.measured_.contributions(np.zeros((1, numbers.shape[1])))[0, :, -1]
        return np.asarray(self.stack_.slopes[-1] * centred(margins))

    def predict_proba(self, X: Any) -> Floats:
        """Calibrated probabilities (n, k), in the order of `classes_`."""
        return softmax(self.margins(X))

    def decision_function(self, X: Any) -> Floats:
        """Log-odds: of the second label over the first (n,), with more labels as `margins`."""
        margins = self.margins(X)
        return margins[:, 1] - margins[:, 0] if margins.shape[1] == 2 else margins

    def predict(self, X: Any) -> Any:
        """The label of least expected cost, (n,)."""
        probabilities = self.predict_proba(X)
        return self.classes_[expected_cost_decision(probabilities, _cost(self.cost, len(self.classes_)))]

    # ------------------------------------------------------------------------------------- keeping

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The fitted classifier as JSON and arrays of numbers, for a model file."""
        check_is_fitted(self, "stack_")
        kind = "none" if self.measured_ is None else type(self.measured_).__name__.lower()
        meta = {
            **{name: getattr(self, name) for name in ("classifier", "balance", "controls")},
            "classes": [str(c) for c in self.classes_],
            "measurements": list(self.columns_.measurements),
            "regions": {region: len(names) for region, names in self.columns_.regions.items()},
            "metadata": list(self.columns_.metadata),
            "origin": list(self.scaler_.origin),
            "category": list(self.scaler_.category),
            "measured": kind,
        }
        arrays: Arrays = {
            "cost": _cost(self.cost, len(self.classes_)),
            "mean": self.scaler_.mean,
            "spread": self.scaler_.spread,
            "centre": self.scaler_.centre,
            "loadings": self.imputer_.loadings,
            "noise": self.imputer_.noise,
            "score_spread": self.score_spread_,
            "deep_slopes": self.deep_.slopes,
            "deep_bias": self.deep_.bias,
            "slopes": self.stack_.slopes,
            "bias": self.stack_.bias,
            "shares": self.shares_,
        }
        for at, model in enumerate(self.regions_.values()):
            frequencies = model.frequencies.astype(np.float32)
            kept = {"centre": model.centre, "weights": model.weights, "intercept": model.intercept}
            arrays |= prefixed({**kept, "frequencies": frequencies}, f"region{at}/")
        if isinstance(self.measured_, Machine):
            arrays["machine"] = self.measured_.weights
        elif isinstance(self.measured_, KernelMachine):
            names = ("scale", "support", "duals", "intercept", "people", "mean")
            arrays |= {f"kernel/{name}": getattr(self.measured_, name) for name in names}
            arrays["kernel/width"] = np.array([self.measured_.width])
        elif self.measured_ is not None and self.measured_.arrays is not None:
            arrays |= prefixed(self.measured_.arrays, "trees/")
        return meta, arrays

    @classmethod
    def from_state(cls, meta: Any, arrays: Arrays, names: Names = NOTHING) -> HybridClassifier:
        """The classifier of which `state` made these."""
        state = record(ClassifierState, meta, "classifier", names)
        origin, category, sizes = state.origin, state.category, state.regions
        k, m = len(state.classes), len(origin)
        if len(category) != m:
            raise ModelError("its features do not fit together")
        if any(
            text is not None and name in state.measurements
            for name, text in zip(origin, category, strict=True)
        ):
            raise ModelError("a measurement is a category")
        halves = (len(sizes) > 0) + (state.measured != "none")
        lengths = {"k": k, "m": m, "r": len(sizes), "h": halves}
        if not halves or (state.measured != "none" and not m):
            raise ModelError("it has nothing to learn from")
        support = {"machine": MACHINE, "kernelmachine": KERNEL}.get(state.measured, ())
        found = taken(arrays, CLASSIFIER + support, lengths)
        self = cls(state.classifier, balance=state.balance)  # type: ignore[arg-type]
        self.controls, self.cost = state.controls, found["cost"]
        self.classes_ = np.array(state.classes, dtype=object)
        self.regions_ = {}
        for at, (region, d) in enumerate(sizes.items()):
            of = taken(arrays, REGION, {"d": d, "k": k}, f"region{at}/")
            self.regions_[region] = RegionModel(
                of["centre"], of["frequencies"], of["weights"], of["intercept"]
            )
        # after the arrays, so that a length that only a description states makes no column
        self.columns_ = Columns.sized(state.measurements, sizes, state.metadata)
        self.feature_names_in_ = np.array(self.columns_.names, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.scaler_ = Scaler(origin, origin, category, found["mean"], found["spread"], found["centre"])
        self.imputer_ = Imputer(found["loadings"], found["noise"])
        self.score_spread_ = found["score_spread"]
        self.deep_ = Stack(found["deep_slopes"], found["deep_bias"])
        self.stack_ = Stack(found["slopes"], found["bias"])
        self.shares_, self.stated_ = found["shares"], None
        self.measured_ = None
        if state.measured == "trees":
            self.measured_ = Trees(part(arrays, "trees/") or None, k)
            self.measured_.contributions(np.zeros((1, m)))  # refuses what are no trees
        elif state.measured == "machine":
            self.measured_ = Machine(found["machine"])
        elif state.measured == "kernelmachine":
            kernel = part(found, "kernel/")
            self.measured_ = KernelMachine(
                kernel["scale"], kernel["support"], kernel["duals"], kernel["intercept"],
                float(kernel["width"][0]), kernel["people"], kernel["mean"],
            )  # fmt: skip
        return self


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
    folds: Ints  # (n,)
    counts: Floats  # (n,), how much each counts in training
    natural: Floats  # (n,), the same at the cohort's shares of labels
    people: Floats  # (k,), patients with each label


def _joined(parts: list[Floats], regions: int, of: _Fitted) -> Stack:
    """Weights of regions, and of the part behind them; each half has a tenth of its weight alone, or more."""
    halves = [half for half in (parts[:regions], parts[regions:]) if half]
    least: Floats | float = 0.0
    if len(halves) > 1:
        alone = [
            fit_stack(half, of.y, of.natural, of.people, alike).slopes
            for half, alike in zip(halves, (regions, 0), strict=True)
        ]
        least = _LESSER * np.concatenate(alone)
    return fit_stack(parts, of.y, of.natural, of.people, regions, least)


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
_CHOICES = {"classifier": ("auto", *_FITS), "balance": ("weights", "resample", "none")}


def _cost(cost: Any, k: int) -> Floats:
    matrix = 1 - np.eye(k) if cost is None else np.asarray(cost, dtype=np.float64)
    if matrix.shape != (k, k) or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError(f"The cost matrix must be {k} x {k} numbers, none negative.")
    return matrix
