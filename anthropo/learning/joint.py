"""Several attributes by one model: a network with a layer that all of them share (multi-task learning)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.learning.attributes import ABSENT, PRESENT
from anthropo.learning.cohort import split_labels
from anthropo.learning.cost import expected_cost_decision, parse_cost
from anthropo.learning.features import Features, subset
from anthropo.learning.judged import Floats, Judged
from anthropo.learning.judging import dealings
from anthropo.learning.model import Options, design
from anthropo.learning.splits import split

_SHARED = 32  # size of the layer that all attributes share
_STRENGTHS = (1.0, 10.0, 100.0)  # of regularisation: scikit-learn's alpha
_NETWORKS = 3  # of different beginnings, averaged
_FEWEST = 2  # patients with and without an attribute, as `AttributeModel` wants


@dataclass(frozen=True, slots=True, eq=False)
class JointModel:
    """One network for all attributes, on the measurements and embeddings that the hybrid has.

    References
    ----------
    .. [1] R. Caruana, "Multitask learning", Machine Learning 28 (1997) 41-75.
    """

    labels: tuple[str, ...]
    prepare: Any  # scikit-learn's, from the feature table to numbers
    networks: tuple[Any, ...]
    options: Options

    @classmethod
    def fit(cls, features: Features, options: Options) -> JointModel:
        """Train on photos whose labels are ``a; b``; how strongly it is regularised is chosen by patient."""
        table = design(features, options)
        names, target = _targets(features)
        if not names:
            raise InputError("No attribute is present in two patients and absent from two.")
        strength = _STRENGTHS[0]
        rows = _inner(target, features, options)
        if rows is not None:
            train, held = rows
            losses = []
            for one in _STRENGTHS:
                inner = cls._fitted(names, table.iloc[train], target[train], options, one, 1)
                p = np.clip(inner.probabilities(table.iloc[held]), 1e-6, 1 - 1e-6)
                losses.append(float(-np.where(target[held], np.log(p), np.log(1 - p)).mean()))
            strength = _STRENGTHS[int(np.argmin(losses))]
        return cls._fitted(names, table, target, options, strength, _NETWORKS)

    @classmethod
    def _fitted(
        cls,
        names: tuple[str, ...],
        table: Any,
        target: NDArray[np.bool_],
        options: Options,
        strength: float,
        number: int,
    ) -> JointModel:
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        prepare = _preparation(table)
        x = prepare.fit_transform(table)
        y = target.astype(int) if len(names) > 1 else target[:, 0].astype(int)
        networks = []
        for at in range(number):
            network = MLPClassifier((_SHARED,), alpha=strength, random_state=options.seed + at)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                networks.append(network.fit(x, y))
        return cls(names, prepare, tuple(networks), options)

    def probabilities(self, table: Any) -> Floats:
        """Probability of each attribute (n, k) for the rows of a feature table."""
        x = self.prepare.transform(table)
        each = [network.predict_proba(x) for network in self.networks]
        p: Floats = np.mean(each, 0)
        return p if len(self.labels) > 1 else p[:, 1:]


def _targets(features: Features) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """Attributes that enough patients have and lack, and who has them (n, k)."""
    cells = [split_labels(label) for label in features.labels.tolist()]
    names = []
    for name in sorted({name for cell in cells for name in cell}):
        has = np.array([name in cell for cell in cells])
        counts = [len(set(features.patients[of].tolist())) for of in (has, ~has)]
        if min(counts) >= _FEWEST:
            names.append(name)
    return tuple(names), np.array([[name in cell for name in names] for cell in cells], dtype=bool)


def _inner(
    target: NDArray[np.bool_], features: Features, options: Options
) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Rows to choose the regularisation on, without and with a quarter of the patients; None: too few."""
    people = np.unique(features.patients)
    order = np.random.default_rng(options.seed).permutation(len(people))
    held = np.isin(features.patients, people[order[: len(people) // 4]])
    for rows in (held, ~held):
        if not len(rows[rows]) or not all(target[rows, c].sum() > 0 for c in range(target.shape[1])):
            return None
    return np.flatnonzero(~held), np.flatnonzero(held)


def _preparation(table: Any) -> Any:
    """Numbers with the median where they are missing, by their spread; a column for each category."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="", missing_values=None),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, make_column_selector(dtype_exclude="number")),
    )


def judge_joint(
    features: Features,
    options: Options,
    *,
    folds: int = 5,
    repeats: int | None = None,
    on_progress: Callable[[], None] | None = None,
) -> dict[str, Judged]:
    """Answers of `JointModel` on patients it has not seen, by attribute, on the folds of `cross_validate`.

    Parameters
    ----------
    features, options, folds, repeats
        As for `cross_validate`.
    on_progress : callable, optional
        Called after each fold.

    Returns
    -------
    dict of str to Judged
    """
    cells = [split_labels(label) for label in features.labels.tolist()]
    patients = features.patients.tolist()
    n, table = len(features), design(features, options)
    dealings_of: dict[str, list[tuple[Floats, NDArray[np.int64]]]] = {}
    times = dealings(features, repeats)
    for at in range(times):
        dealt = split(cells, patients, folds, options.seed + at)
        of: dict[str, Floats] = {}
        for fold in range(dealt.number):
            out = dealt.index == fold
            model = JointModel.fit(subset(features, ~out), options)
            p = model.probabilities(table[out])
            for c, name in enumerate(model.labels):
                of.setdefault(name, np.full(n, np.nan))[out] = p[:, c]
            if on_progress:
                on_progress()
        for name, p in of.items():
            dealings_of.setdefault(name, []).append((p, dealt.index))
    return {
        name: _judged(name, of, cells, features, options)
        for name, of in dealings_of.items()
        if len(of) == times
    }


def _judged(
    name: str,
    dealt: Sequence[tuple[Floats, NDArray[np.int64]]],
    cells: Sequence[tuple[str, ...]],
    features: Features,
    options: Options,
) -> Judged:
    seen = np.all([np.isfinite(p) for p, _ in dealt], 0)  # of every dealing
    truth = np.array([name in cell for cell in cells], dtype=np.int64)[seen]
    cost = 1 - np.eye(2)
    if options.cost:
        cost = parse_cost(options.cost, (ABSENT, PRESENT), PRESENT, ABSENT)
    each = []
    for p, index in dealt:
        both = np.column_stack([1 - p[seen], p[seen]])
        decided = expected_cost_decision(both, np.asarray(cost))
        each.append(
            Judged(
                (ABSENT, PRESENT),
                truth,
                both,
                features.patients[seen],
                decided,
                fold=index[seen],
                photos=features.photos[seen],
            )
        )
    return replace(each[0], repeats=tuple(each[1:]))
