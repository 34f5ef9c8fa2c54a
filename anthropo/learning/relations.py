"""Relations between attributes: what their labels say, and what the face adds to it.

Three questions about two attributes, of which co-occurrence is only the first:

- *odds ratio*: do people who have one have the other more often than others?
- *given the face*: does one still speak for the other among people whose faces were judged alike? Where it
  does not, the face shows what the two share, and a chain of classifiers gains nothing; where it does, one
  tells of the other what the photograph does not.
- *shared look*: are people whom the model takes to have one more than they should also those whom it takes
  to have the other, whatever they have in truth? Then both are seen by the same features of the face.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.attributes import Relation, find_relations
from anthropo.learning.intervals import Interval, normal_quantile, unknown
from anthropo.learning.judged import Floats, Judged

SURE = 0.05  #: false discovery rate of what is reported
_RIDGE = 0.5  # on the effect of the other attribute, so that separated ones have an interval
_FEW = 10  # people, below which correlations have no interval


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRelation:
    """How two attributes belong together, in their labels and in the face; see the module."""

    labels: Relation
    given_face: Interval  # odds ratio among people whose faces were judged alike
    look: Interval  # correlation of what is judged, the labels taken out
    look_q: float  # false discovery rate at which it would be reported
    people: int

    @property
    def sure(self) -> bool:
        """Whether the labels go together, or avoid each other, at a false discovery rate of 5 %."""
        return self.labels.q <= SURE

    @property
    def beyond(self) -> bool:
        """Whether one attribute tells of the other what the face does not show."""
        return self.given_face.known and (self.given_face.lo > 1 or self.given_face.hi < 1)

    @property
    def meaning(self) -> str:
        """In words, what the three figures say together."""
        words = []
        if self.sure:
            words.append("together" if self.labels.odds_ratio > 1 else "avoid each other")
            if self.given_face.known:
                beyond = self.given_face.lo > 1 or self.given_face.hi < 1
                words.append(
                    "one tells of the other beyond the face" if beyond else "as far as the face shows"
                )
        if self.look.known and self.look_q <= SURE:
            words.append("seen by the same features" if self.look.value > 0 else "seen by opposite features")
        return "; ".join(words) or "no relation found"


def relate(judged: Mapping[str, Judged]) -> tuple[FaceRelation, ...]:
    """Relations of all pairs of attributes that were judged one by one, on patients who had not been seen.

    Parameters
    ----------
    judged : mapping of str to Judged
        By attribute, of models that do not know of the other attributes.

    Returns
    -------
    tuple of FaceRelation
        The surest odds ratio first. A patient has what any of their photos has; what is judged of them is the
        mean log-odds of their photos and dealings.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> face = random.normal(size=200)  # one feature that shows both
    >>> judged = {}
    >>> for name in "ptosis", "epicanthus":
    ...     truth = (face + random.normal(size=200) > 0).astype(int)
    ...     p = 1 / (1 + np.exp(-face))
    ...     both, people = np.stack([1 - p, p], 1), np.arange(200)
    ...     judged[name] = Judged(("absent", "present"), truth, both, people, truth)
    >>> (relation,) = relate(judged)
    >>> relation.meaning
    'together; as far as the face shows; seen by the same features'
    """
    people = sorted({person for of in judged.values() for person in of.groups.tolist()})
    place = {person: i for i, person in enumerate(people)}
    has = {name: np.full(len(people), -1) for name in judged}
    score = {name: np.full(len(people), np.nan) for name in judged}
    for name, of in judged.items():
        rows = np.array([place[person] for person in of.groups.tolist()])
        p = np.clip(np.mean([one.proba[:, 1] for one in of.dealt], 0), 1e-6, 1 - 1e-6)
        counts = np.bincount(rows, minlength=len(people))
        sums = np.bincount(rows, np.log(p / (1 - p)), minlength=len(people))
        score[name] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        np.maximum.at(has[name], rows, of.truth)
    names = sorted(judged)
    known = np.all([has[name] >= 0 for name in names], 0) if names else np.zeros(0, bool)
    member = np.array([has[name][known] > 0 for name in names]).T.reshape(int(known.sum()), len(names))
    relations = find_relations(names, member, np.array(people)[known])
    made, tests = [], []
    for relation in relations:
        a, b = relation.first, relation.second
        both = (has[a] >= 0) & (has[b] >= 0)
        x, y = has[a][both] > 0, has[b][both] > 0
        given = _given(x, y, score[a][both], score[b][both])
        look, p_value = _shared(x, y, score[a][both], score[b][both])
        made.append((relation, given, look, int(both.sum())))
        tests.append(p_value)
    rates = _rates(tests)
    return tuple(
        FaceRelation(labels=relation, given_face=given, look=look, look_q=q, people=n)
        for (relation, given, look, n), q in zip(made, rates, strict=True)
    )


def _rates(tests: list[float]) -> list[float]:
    """False discovery rates (Benjamini-Hochberg) of p-values, NaN where there is none."""
    from scipy.stats import false_discovery_control

    known = [p for p in tests if math.isfinite(p)]
    rates = iter(false_discovery_control(known).tolist() if known else [])
    return [next(rates) if math.isfinite(p) else math.nan for p in tests]


def _given(x: NDArray[np.bool_], y: NDArray[np.bool_], of_x: Floats, of_y: Floats) -> Interval:
    """Odds ratio of two attributes where both log-odds are alike: the mean of both directions."""
    effects = [_effect(second, first, of_x, of_y) for first, second in ((x, y), (y, x))]
    if any(not math.isfinite(value) for effect in effects for value in effect):
        return unknown("too few people with and without both")
    value = (effects[0][0] + effects[1][0]) / 2
    wide = normal_quantile() * max(effects[0][1], effects[1][1])
    low, middle, high = np.exp(np.clip([value - wide, value, value + wide], -20, 20)).tolist()
    return Interval(middle, low, high, len(x))


def _effect(y: NDArray[np.bool_], x: NDArray[np.bool_], of_x: Floats, of_y: Floats) -> tuple[float, float]:
    """Log odds ratio of x in a logistic regression of y on x and both log-odds, and its standard error."""
    if y.all() or not y.any() or x.all() or not x.any():
        return math.nan, math.nan
    scaled = [(s - s.mean()) / (s.std() or 1.0) for s in (of_x, of_y)]
    design = np.column_stack([np.ones(len(y)), x.astype(float), *scaled])
    ridge = np.diag([1e-6, _RIDGE, 1e-2, 1e-2])
    beta = np.zeros(4)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + ridge
        step = np.linalg.solve(curvature, design.T @ (y - p) - ridge @ beta)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[1]), float(math.sqrt(np.linalg.inv(curvature)[1, 1]))


def _shared(x: NDArray[np.bool_], y: NDArray[np.bool_], of_x: Floats, of_y: Floats) -> tuple[Interval, float]:
    """Correlation of both log-odds, the labels taken out, with Fisher's interval, and its p-value."""
    labels = np.column_stack([np.ones(len(x)), x, y, x & y]).astype(float)
    freedom = len(x) - 3 - (np.linalg.matrix_rank(labels) - 1)
    if len(x) < _FEW or freedom < 2:
        return unknown(f"fewer than {_FEW} people"), math.nan
    left, right = (s - labels @ np.linalg.lstsq(labels, s, rcond=None)[0] for s in (of_x, of_y))
    if min(left.std(), right.std()) < 1e-9:
        return unknown("everybody is judged alike"), math.nan
    r = float(np.clip(np.corrcoef(left, right)[0, 1], -0.999999, 0.999999))
    z, se = math.atanh(r), 1 / math.sqrt(freedom)
    wide = normal_quantile() * se
    from scipy.stats import norm

    interval = Interval(r, math.tanh(z - wide), math.tanh(z + wide), len(x))
    return interval, float(2 * norm.sf(abs(z) / se))
