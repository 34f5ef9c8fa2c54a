"""A fitted hybrid classifier: what it predicts, and how it is kept in a file.

Nothing here needs scikit-learn, whose import takes longer than a photo to be judged.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, ModelError
from anthropo.learning.calibration import Stack, bounded, centred, softmax
from anthropo.learning.columns import VOIDED, Columns, Scaler
from anthropo.learning.cost import expected_cost_decision
from anthropo.learning.deep import RegionModel
from anthropo.learning.imputation import Imputer, to_the_known, unknown
from anthropo.learning.judged import Floats
from anthropo.learning.measured import KernelMachine, Machine, Trees
from anthropo.learning.model_readers import part, prefixed, record
from anthropo.learning.prevalence import shift
from anthropo.learning.rows import FeatureRows, is_frame, numbers_of
from anthropo.learning.schema import NOTHING, Arrays, Names, taken
from anthropo.learning.states import CLASSIFIER, KERNEL, MACHINE, REGION, ClassifierState

Kind = Literal["auto", "xgboost", "linear", "svm", "svm-rbf"]
Balance = Literal["weights", "resample", "none"]
Missing = Literal["expected", "evidence"]


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """Log-odds (n, k) of each label against the average one, as an exact sum."""

    bias: Floats  # (k,), with the shift
    shift: Floats  # (k,), the part of the bias that is owed to labels being as common as stated
    regions: dict[str, Floats]  # (n, k) each
    measurements: dict[str, Floats]  # (n, k) each
    metadata: dict[str, Floats]  # (n, k) each
    voided: dict[str, Floats]  # (n, k) each, by measurement: what it adds that it has a value, or none
    residual: Floats  # (n, k), what a classifier that is no sum leaves over; 0 for the others
    limit: Floats  # (n, k), what is taken off because so many people cannot show it

    @property
    def total(self) -> Floats:
        """The log-odds, (n, k)."""
        kinds = (self.regions, self.measurements, self.metadata, self.voided)
        parts = (values for kind in kinds for values in kind.values())
        return np.asarray(self.bias + self.residual + sum(parts) + self.limit)


class FittedHybrid:
    """What `HybridClassifier` is once it is fitted, or read from a model file.

    Parameters and attributes are those of `HybridClassifier`.
    """

    classes_: NDArray[Any]
    shares_: Floats
    people_: Floats | None  # (k,), whose number bounds log-odds; None: no bound, as models once were
    stated_: Floats | None
    columns_: Columns
    feature_names_in_: NDArray[Any]
    n_features_in_: int
    regions_: dict[str, RegionModel]
    score_spread_: Floats
    scaler_: Scaler
    imputer_: Imputer
    measured_: Trees | Machine | KernelMachine | None
    deep_: Stack
    stack_: Stack

    def __init__(
        self,
        classifier: Kind = "auto",
        *,
        balance: Balance = "weights",
        cost: Any = None,
        weigh_cost: bool = False,
        controls: str | None = None,
        missing: Missing = "expected",
        folds: int = 5,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.classifier = classifier
        self.balance = balance
        self.cost = cost
        self.weigh_cost = weigh_cost
        self.controls = controls
        self.missing = missing
        self.folds = folds
        self.random_state = random_state

    def _require_fitted(self) -> None:
        if not hasattr(self, "stack_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call fit first.")

    def _table(self, X: Any) -> Any:
        """Rows of features, checked against those of the fit."""
        if is_frame(X):
            X = X.rename(columns=str)
        elif not isinstance(X, FeatureRows):
            return self._framed(X)
        known = set(X.columns)
        if missing := [name for name in getattr(self, "feature_names_in_", ()) if name not in known]:
            raise InputError(
                f"{len(missing)} columns that the model was trained with are missing, "
                f"the first is {missing[0]}. Extract the photo's features with the model's settings."
            )
        refuse_infinite(X, self.columns_)
        return X

    def _framed(self, X: Any) -> Any:
        """A plain array as a table."""
        raise InputError("A model from a file predicts from a data frame with the columns of its training.")

    def _scaled(self, scores: list[Floats]) -> list[Floats]:
        # a rare label's scores are small, since its share of the targets' variance is
        shares = [self.regions_[r].intercept for r in self.regions_]
        return [(s - m) / d for s, m, d in zip(scores, shares, self.score_spread_, strict=True)]

    # -------------------------------------------------------------------------------- predicting

    def contributions(self, X: Any) -> Contributions:
        """The log-odds of each row as a sum over regions, measurements, metadata and what was voided."""
        bias, regions, numbers = self._regional(X)
        measurements: dict[str, Floats] = {}
        metadata: dict[str, Floats] = {}
        voided: dict[str, Floats] = {}
        residual = np.zeros((len(numbers), len(self.classes_)))
        if self.measured_ is not None:
            added = self._added(numbers)
            if isinstance(self.measured_, KernelMachine):
                residual = self.measured_margins(numbers) - added.sum(2)
            bias = bias + added[0, :, -1] if len(added) else bias
            linear = isinstance(self.measured_, Machine)
            of_known = to_the_known(numbers, added[:, :, :-1], self.imputer_, linear)
            says_voided = self.scaler_.voided
            for at, name in enumerate(self.scaler_.origin):
                into = metadata if name in self.columns_.metadata else measurements
                into = voided if says_voided[at] else into
                into[name] = into.get(name, 0) + of_known[:, :, at]
        none = np.zeros_like(residual)
        made = Contributions(bias, self.shift, regions, measurements, metadata, voided, residual, none)
        return replace(made, limit=self.limit(made.total))

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

    def at(self, shares: Floats | None) -> FittedHybrid:
        """The fitted classifier where labels are as common as these shares (k,); None: as in training."""
        self._require_fitted()
        there = copy(self)
        there.stated_ = None if shares is None else np.asarray(shares, dtype=np.float64)
        return there

    def _regional(self, X: Any) -> tuple[Floats, dict[str, Floats], Floats]:
        """Bias (k,) and log-odds (n, k) of each region; measurements and metadata as numbers (n, m)."""
        self._require_fitted()
        table = self._table(X)
        of_columns = ((m, numbers_of(table, self.columns_.regions[r])) for r, m in self.regions_.items())
        scores = self._scaled([m.scores(values) for m, values in of_columns])
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
        unbounded = self.unbounded(X)
        return np.asarray(unbounded + self.limit(unbounded))

    def limit(self, margins: Floats) -> Floats:
        """What is added to the sum of all parts (..., k), since so many people cannot show more."""
        if self.people_ is None:
            return np.zeros_like(margins)
        # as in training: what a stated prevalence adds is no evidence, and is not bounded
        sums = margins.reshape(-1, margins.shape[-1]) - self.shift
        return np.asarray(bounded(sums, self.people_) - sums).reshape(margins.shape)

    def unbounded(self, X: Any) -> Floats:
        """The sum (n, k) of all parts, of which `limit` takes off what so many people cannot show."""
        self._require_fitted()
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
        return self.classes_[
            expected_cost_decision(probabilities, checked_cost(self.cost, len(self.classes_)))
        ]

    # ------------------------------------------------------------------------------------- keeping

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The fitted classifier as JSON and arrays of numbers, for a model file."""
        self._require_fitted()
        kind = "none" if self.measured_ is None else type(self.measured_).__name__.lower()
        meta = {
            **{name: getattr(self, name) for name in ("classifier", "balance", "controls", "missing")},
            "classes": [str(c) for c in self.classes_],
            "measurements": list(self.columns_.measurements),
            "regions": {region: len(names) for region, names in self.columns_.regions.items()},
            "metadata": list(self.columns_.metadata),
            "origin": list(self.scaler_.origin),
            "category": list(self.scaler_.category),
            "measured": kind,
            "sphere": any(m.sphere for m in self.regions_.values()),
            "people": [] if self.people_ is None else [int(n) for n in self.people_],
        }
        arrays: Arrays = {
            "cost": checked_cost(self.cost, len(self.classes_)),
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
    def from_state(cls, meta: Any, arrays: Arrays, names: Names = NOTHING) -> FittedHybrid:
        """The classifier of which `state` made these."""
        state = record(ClassifierState, meta, "classifier", names)
        origin, category, sizes = state.origin, state.category, state.regions
        k, m = len(state.classes), len(origin)
        if len(category) != m:
            raise ModelError("its features do not fit together")
        allowed = (None, VOIDED) if state.missing == "evidence" else (None,)
        if any(
            text not in allowed and name in state.measurements
            for name, text in zip(origin, category, strict=True)
        ):
            raise ModelError("a measurement is a category")
        halves = (len(sizes) > 0) + (state.measured != "none")
        lengths = {"k": k, "m": m, "r": len(sizes), "h": halves}
        if not halves or (state.measured != "none" and not m):
            raise ModelError("it has nothing to learn from")
        support = {"machine": MACHINE, "kernelmachine": KERNEL}.get(state.measured, ())
        fields = taken(arrays, CLASSIFIER + support, lengths)
        self = cls(state.classifier, balance=state.balance, missing=state.missing)  # type: ignore[arg-type]
        self.controls, self.cost = state.controls, fields["cost"]
        self.classes_ = np.array(state.classes, dtype=object)
        self.regions_ = {}
        for at, (region, d) in enumerate(sizes.items()):
            of = taken(arrays, REGION, {"d": d, "k": k}, f"region{at}/")
            self.regions_[region] = RegionModel(
                of["centre"], of["frequencies"], of["weights"], of["intercept"], sphere=state.sphere
            )
        # after the arrays, so that a length that only a description states makes no column
        self.columns_ = Columns.sized(state.measurements, sizes, state.metadata)
        self.feature_names_in_ = np.array(self.columns_.names, dtype=object)
        self.n_features_in_ = len(self.feature_names_in_)
        self.scaler_ = Scaler(origin, origin, category, fields["mean"], fields["spread"], fields["centre"])
        self.imputer_ = Imputer(fields["loadings"], fields["noise"])
        self.score_spread_ = fields["score_spread"]
        self.deep_ = Stack(fields["deep_slopes"], fields["deep_bias"])
        self.stack_ = Stack(fields["slopes"], fields["bias"])
        self.shares_, self.stated_ = fields["shares"], None
        if len(state.people) not in (0, k):
            raise ModelError("its people are not of its labels")
        self.people_ = np.array(state.people, dtype=np.float64) if state.people else None
        self.measured_ = None
        if state.measured == "trees":
            self.measured_ = Trees(part(arrays, "trees/") or None, k)
            self.measured_.contributions(np.zeros((1, m)))  # refuses what are no trees
        elif state.measured == "machine":
            self.measured_ = Machine(fields["machine"])
        elif state.measured == "kernelmachine":
            kernel = part(fields, "kernel/")
            self.measured_ = KernelMachine(
                kernel["scale"], kernel["support"], kernel["duals"], kernel["intercept"],
                float(kernel["width"][0]), kernel["people"], kernel["mean"],
            )  # fmt: skip
        return self


def refuse_infinite(table: Any, columns: Columns) -> None:
    """Refuse embeddings that hold anything but finite numbers."""
    for region, names in columns.regions.items():
        if not np.isfinite(numbers_of(table, names)).all():
            raise ValueError(f"The embedding of the region {region} holds NaN or infinity.")


def checked_cost(cost: Any, k: int) -> Floats:
    """The matrix (k, k) of costs; every error costs 1 when there is none."""
    matrix = 1 - np.eye(k) if cost is None else np.asarray(cost, dtype=np.float64)
    if matrix.shape != (k, k) or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError(f"The cost matrix must be {k} x {k} numbers, none negative.")
    return matrix
