"""Like compared with like: AUROC within strata of age, sex, site or other columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.bootstrap import rank_areas, resamples
from anthropo.learning.intervals import Interval, hanley_mcneil, mean_of, unknown, wilson
from anthropo.learning.judged import Floats, Ints, Judged
from anthropo.learning.repeats import folds_of, variance_of_dealing
from anthropo.showing import fielded

_BINS = (5, 20)  # of a number: as many as hold twenty patients each, within these limits
_PER_BIN = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strata:
    """Which people are alike in some columns."""

    columns: tuple[str, ...]
    index: Ints  # (n,) stratum of each photo; -1: a value is missing

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[Any]], patients: Sequence[str]) -> Strata:
        """Strata of columns of values (n,) each: words as they are, numbers in bins of as many patients.

        Five bins of a number take away nine tenths of what it confounds (Cochran, Biometrics 24:295, 1968);
        with more than a hundred patients there are more.
        """
        n = len(patients)
        first = np.unique(np.asarray(patients), return_index=True)[1]
        bins = int(np.clip(len(first) // _PER_BIN, *_BINS))
        codes = np.zeros((n, len(columns)), dtype=np.int64)
        for at, values in enumerate(columns.values()):
            codes[:, at] = _codes(values, first, bins)
        known = (codes >= 0).all(1)
        index = np.full(n, -1, dtype=np.int64)
        index[known] = np.unique(codes[known], axis=0, return_inverse=True)[1].ravel()
        return cls(columns=tuple(columns), index=index)

    def mixed(self, labels: Sequence[str]) -> bool:
        """Whether people of some stratum have different labels (n,)."""
        known = self.index >= 0
        return len(
            set(zip(self.index[known].tolist(), np.asarray(labels)[known].tolist(), strict=True))
        ) > len(np.unique(self.index[known]))

    def one_sided(self) -> InputError:
        """The error that nobody can be compared."""
        given = parameter("adjust", ",".join(self.columns))
        return InputError(
            f"{given}: no two people who are alike in these columns have different labels, so that "
            "nothing can be compared. Adjust for fewer columns, or add patients."
        )

    def part(self, rows: NDArray[np.intp]) -> Strata:
        """Of some of the photos."""
        return Strata(columns=self.columns, index=self.index[rows])


def _codes(values: Sequence[Any], first: NDArray[np.intp], bins: int) -> Ints:
    """A number for each value (n,), -1 where it is missing; of numbers that of their bin."""
    if all(isinstance(value, float | int) for value in values):
        numbers = np.array(values, dtype=np.float64)
        known = numbers[first][np.isfinite(numbers[first])]
        if len(np.unique(known)) > bins:
            inner = np.quantile(known, np.arange(1, bins) / bins)
            return np.where(np.isfinite(numbers), np.searchsorted(inner, numbers, side="right"), -1)
        values = [None if math.isnan(number) else number for number in numbers.tolist()]
    names = sorted({value for value in values if value is not None})
    return np.array([-1 if value is None else names.index(value) for value in values], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjusted:
    """AUROC of people who are alike in some columns."""

    columns: tuple[str, ...]
    strata: int  # in all
    used: int  # that have both sides
    patients: int  # in those that have both sides
    missing: int  # photos without a value
    models: dict[str, Interval]
    p: float | None  # by permutation within strata, of the main model; None: not asked for

    __repr__ = fielded

    @classmethod
    def of(
        cls,
        models: Mapping[str, Judged],
        positive: str | None,
        strata: Strata,
        *,
        null: Sequence[float] = (),
        bootstrap: int = 1000,
        seed: int = 0,
    ) -> Adjusted:
        """Adjusted AUROC of each model; `null` is the main one's with labels permuted within strata."""
        main = next(iter(models.values()))
        sides = 0 if positive is None else main.labels.index(positive)
        mixed = [
            stratum
            for stratum in np.unique(strata.index[strata.index >= 0])
            if len(set(main.truth[strata.index == stratum].tolist())) > 1
            and (positive is None or (main.truth[strata.index == stratum] == sides).any())
        ]
        if not mixed:
            raise strata.one_sided()
        figures = {
            name: adjusted_auroc(judged, positive, strata.index, bootstrap=bootstrap, seed=seed)
            for name, judged in models.items()
        }
        value = next(iter(figures.values())).value
        p = (1 + sum(other >= value for other in null)) / (1 + len(null)) if len(null) else None
        inside = np.isin(strata.index, mixed)
        return cls(
            columns=strata.columns,
            strata=len(np.unique(strata.index[strata.index >= 0])),
            used=len(mixed),
            patients=len(set(main.groups[inside].tolist())),
            missing=int((strata.index < 0).sum()),
            models=figures,
            p=p,
        )


def adjusted_auroc(
    judged: Judged, positive: str | None, strata: Ints, *, bootstrap: int = 1000, seed: int = 0
) -> Interval:
    """How often one with the label outscores one without who is alike: covariate-adjusted AUROC [1]_.

    Notes
    -----
    Each photo with the label is compared with those without it in its own stratum and its own fold; the
    mean is over the photos with the label that have any such. Those of other folds were answered by other
    models, which know of this photo's label what it lacks in their own fold: where a column alone makes the
    labels, AUROC across folds falls below .5. Within a fold the labels of one stratum could be exchanged,
    so that .5 is chance. With folds dealt several times, pairs of all dealings are taken together. The
    interval is that of AUROC: Wilson's with the bootstrap's variance, not below that of Hanley and McNeil,
    enlarged by as much as dealing enlarges that of the plain AUROC (`mean_of_dealings`).

    References
    ----------
    .. [1] Janes & Pepe, "Adjusting for covariate effects on classification accuracy using the
       covariate-adjusted receiver operating characteristic curve", Biometrika 96:371 (2009).

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.learning import Judged
    >>> from anthropo.learning.adjusting import adjusted_auroc
    >>> p = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])  # of three young and three old people
    >>> truth = np.array([0, 0, 1, 0, 1, 1])
    >>> judged = Judged(("control", "case"), truth, np.column_stack([1 - p, p]), np.arange(6), truth)
    >>> adjusted_auroc(judged, "case", np.array([0, 0, 0, 1, 1, 1])).value
    1.0
    """
    if positive is None:
        labels = [label for c, label in enumerate(judged.labels) if (judged.truth == c).any()]
        parts = [adjusted_auroc(judged, label, strata, bootstrap=bootstrap, seed=seed) for label in labels]
        known = [part for part in parts if part.known]
        return mean_of(known, len(judged.truth)) if known else parts[0]
    c = judged.labels.index(positive)
    case, other = np.flatnonzero(judged.truth == c), np.flatnonzero(judged.truth != c)
    pairs, won = _pairs(judged, c, case, other, strata)
    compared = pairs.any(1)
    if not compared.any():
        return unknown("nobody with and without the label is alike within a fold")
    weights = resamples(judged, bootstrap, seed).astype(np.float64)
    drawn = _mean(pairs, won, weights[:, case], weights[:, other])
    value = float(_mean(pairs, won, np.ones((1, len(case))), np.ones((1, len(other))))[0])
    cases = len(set(judged.groups[case[compared]].tolist()))
    controls = len(set(judged.groups[other[pairs.any(0)]].tolist()))
    floor = hanley_mcneil(value, cases, controls)
    variance = max(float(np.nanvar(drawn)), floor) * _inflation(judged, c)
    perfect = value in (0.0, 1.0) or variance == 0
    effective = min(cases, controls) if perfect else max(1.0, value * (1 - value) / variance)
    return Interval(value, *wilson(value, effective), int(compared.sum() + pairs.any(0).sum()))


def _pairs(judged: Judged, c: int, case: Ints, other: Ints, strata: Ints) -> tuple[Floats, Floats]:
    """How many dealings have each pair (cases, others) in one fold and stratum, and in how many it is won."""
    alike = (strata[case][:, None] == strata[other]) & (strata[case][:, None] >= 0)
    pairs, won = np.zeros(alike.shape), np.zeros(alike.shape)
    for one in judged.dealt:
        fold = np.zeros(len(one.truth), dtype=np.int64) if one.fold is None else one.fold
        here = alike & (fold[case][:, None] == fold[other])
        score = one.proba[:, c]
        above = np.sign(score[case][:, None] - score[other]) / 2 + 0.5
        pairs += here
        won += here * above
    return pairs, won


def _mean(pairs: Floats, won: Floats, cases: Floats, others: Floats) -> Floats:
    """The adjusted AUROC under each row of weights of cases (b, cases) and others (b, others)."""
    there, share = others @ pairs.T, others @ won.T
    used = cases * (there > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = np.where(there > 0, share / there, 0.0)
        return np.asarray((used * each).sum(1) / used.sum(1))


def _inflation(judged: Judged, c: int) -> float:
    """By how much dealing enlarges the variance of the plain AUROC."""
    dealt = judged.dealt
    if len(dealt) < 2:
        return 1.0
    one = np.ones((1, len(judged.truth)))
    areas = np.array([rank_areas(each.proba[:, c], each.truth == c, one)[0][0] for each in dealt])
    true = judged.truth == c
    least = hanley_mcneil(float(areas.mean()), *(len(set(judged.groups[s].tolist())) for s in (true, ~true)))
    return 1 + variance_of_dealing(areas, folds_of(dealt)) / least if least else 1.0


def permuted(labels: Sequence[str], patients: Sequence[str], strata: Ints, seed: int) -> NDArray[np.str_]:
    """Labels (n,) dealt anew among the patients of each stratum; those of no stratum keep theirs."""
    random = np.random.default_rng(seed)
    _, first, of = np.unique(np.asarray(patients), return_index=True, return_inverse=True)
    dealt = np.asarray(labels)[first].copy()
    where = strata[first]
    for stratum in np.unique(where[where >= 0]):
        (members,) = np.nonzero(where == stratum)
        dealt[members] = dealt[random.permutation(members)]
    return np.asarray(dealt[of])
