"""How far apart two sources of photographs are: how well a linear classifier tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.adaptation.methods import Floats, alignment_maps

Words = NDArray[np.str_]

_FOLDS = 5
_PENALTY = 0.01  # C of the logistic regression: there are more numbers than people
_RESAMPLES = 500


def proxy_distance(
    sources: Sequence[Floats],
    target: Sequence[Floats],
    people: tuple[Words, Words],
    method: str = "none",
    *,
    sites: Words | None = None,
    named: bool = False,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Proxy A-distance of rows to those of a target, with its 95 % interval.

    Parameters
    ----------
    sources, target : sequence of (n, d) and of (m, d) arrays
        Blocks of numbers, such as regions, each of which is adapted by itself; NaN counts as the mean.
    people : pair of (n,) and (m,) array
        Whose the rows are. Nobody is in the training and the test part of a fold.
    method : str
        As for `alignment_maps`; fitted without the people on whom the classifier is tested.
    sites : (n,) array, optional
        Of the source's rows, each brought to the target by itself.
    named : bool
        As for `alignment_maps`.
    seed : int
        Of the folds and of the resamples of the people, for the interval.

    Returns
    -------
    tuple of float
        2 (1 - 2 ε), ε being the mean of both sides' errors: 0 where nothing tells the sources apart, 2
        where everybody is told; and its interval.

    Raises
    ------
    InputError
        If the method is unknown, or needs a library that is not installed.

    Notes
    -----
    Ben-David, Blitzer, Crammer & Pereira, "Analysis of representations for domain adaptation", NIPS 2006
    (2007). The classifier is logistic regression with an L2 penalty, both sources weighing alike.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.adaptation import proxy_distance
    >>> random = np.random.default_rng(0)
    >>> here, there = random.normal(size=(50, 3)), random.normal(3, 1, size=(50, 3))
    >>> people = np.arange(50).astype(str), np.arange(50, 100).astype(str)
    >>> before, after = (proxy_distance([there], [here], people, how)[0] for how in ("none", "standardise"))
    >>> before > 1.8, after < 0.6
    (True, True)
    """
    owners = np.concatenate(people)
    away = np.repeat([True, False], [len(of) for of in people])
    at = np.full(len(people[0]), "source") if sites is None else sites
    fold = _folds(owners, away, seed)
    wrong = np.full(len(owners), np.nan)
    for k in range(_FOLDS):
        out = fold == k
        ours, theirs = ~out[away], ~out[~away]
        columns = [
            _aligned(source, there, ours, theirs, at, method, named)
            for source, there in zip(sources, target, strict=True)
        ]
        wrong[out] = _errors(np.hstack(columns), away, out)
    names, of = np.unique(owners, return_inverse=True)
    random = np.random.default_rng(seed)
    drawn = [np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))[of]
             for _ in range(_RESAMPLES)]  # fmt: skip
    value, *again = (_distance(wrong, away, weights) for weights in [np.ones(len(owners)), *drawn])
    lo, hi = np.nanpercentile(again, [2.5, 97.5])
    return value, float(lo), float(hi)


def _distance(wrong: Floats, away: NDArray[np.bool_], weights: NDArray[Any]) -> float:
    sides = [(weights[of] * wrong[of]).sum() / weights[of].sum() if weights[of].any() else np.nan
             for of in (away, ~away)]  # fmt: skip
    return float(max(0.0, 2 * (1 - (sides[0] + sides[1]))))


def _folds(owners: Words, away: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """The fold of each row, by person, those of each side spread evenly."""
    random = np.random.default_rng(seed)
    fold: dict[str, int] = {}
    for side in (away, ~away):
        new = [name for name in dict.fromkeys(owners[side].tolist()) if name not in fold]
        random.shuffle(new)
        fold |= {name: at % _FOLDS for at, name in enumerate(new)}
    return np.array([fold[name] for name in owners.tolist()], dtype=np.int64)


def _aligned(
    source: Floats, target: Floats, ours: NDArray[np.bool_], theirs: NDArray[np.bool_], at: Words,
    method: str, named: bool,
) -> Floats:  # fmt: skip
    """Rows of both, adapted by those that are trained on."""
    names = [name for name in dict.fromkeys(at.tolist()) if (ours & (at == name)).sum() > 1]
    learned = {name: source[ours & (at == name)] for name in names}
    aligned = alignment_maps(method, learned, target[theirs], named=named)
    moved = np.array(source, dtype=np.float64)
    for name in names:
        if (by := aligned.sources[name]) is not None:
            moved[at == name] = by(source[at == name])
    return np.vstack([moved, target if aligned.target is None else aligned.target(target)])


def _errors(x: Floats, away: NDArray[np.bool_], out: NDArray[np.bool_]) -> Floats:
    """Whether each row that is left out is taken for one of the other side."""
    from sklearn.linear_model import LogisticRegression

    train, seen = x[~out], np.isfinite(x[~out])
    mean = np.where(seen, train, 0).sum(0) / np.maximum(seen.sum(0), 1)
    filled = np.where(np.isfinite(x), x, mean)
    spread = filled[~out].std(0)
    scaled = (filled - mean) / np.where(spread > 1e-9, spread, 1)
    model = LogisticRegression(C=_PENALTY, class_weight="balanced", max_iter=1000)
    return np.asarray(model.fit(scaled[~out], away[~out]).predict(scaled[out]) != away[out], dtype=np.float64)
