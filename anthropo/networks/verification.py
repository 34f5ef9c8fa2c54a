"""Verification: are two photographs of one person, or of one label? Of people whom a network has not seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.intervals import Interval, unknown
from anthropo.networks.units import Units

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BOOTSTRAP = 1000
_MOST_PAIRS = 500_000  # of two people, that are judged; so many are drawn from more


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of photos, and whether they belong together."""

    first: Ints  # (n,) places among the photos that are judged
    second: Ints
    same: NDArray[np.bool_]
    people: tuple[Ints, Ints]  # numbers of the patients of both
    what: str  # what belongs together

    @property
    def judged(self) -> bool:
        """Whether there are pairs of both kinds."""
        return bool(self.same.any() and not self.same.all())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairVerification:
    """How well a network tells pairs of people whom it has not seen, beside what training began with."""

    what: str  # what belongs together, and across what
    auroc: Interval
    began: Interval  # AUROC of the warm start
    gained: Interval  # the difference, on the same resamples
    true_accepts: Interval  # share of pairs that belong together above 99 of 100 of the others
    true_accepts_began: Interval
    apart: Interval  # d': difference of the means of both kinds in their common SD
    apart_began: Interval
    people: int
    pairs: tuple[int, int]  # that belong together, and others
    start: str  # what training began with
    by_view: tuple[tuple[str, float, float], ...] = ()  # view, AUROC after and before

    def figures(self) -> dict[str, Interval]:
        """After training, by name."""
        return {"auroc": self.auroc, "found_at_1": self.true_accepts, "d_prime": self.apart}

    def figures_began(self) -> dict[str, Interval]:
        """Before training, by name."""
        return {"auroc": self.began, "found_at_1": self.true_accepts_began, "d_prime": self.apart_began}


def pairs_between(units: Units, chosen: Ints, positives: str, seed: int = 0) -> Pairs:
    """Pairs of the chosen photos: of one person (or label) and of different ones.

    Where states are known, only photos of two states are compared: the same expression, light or visit would
    make two people's photos alike. Of one label only pairs of two people count.
    """
    people = np.unique(units.patients, return_inverse=True)[1][chosen]
    i, j = np.triu_indices(len(chosen), 1)
    what = "the same person"
    if units.states is not None and positives != "label":
        states = units.states[chosen]
        across = (states[i] != states[j]) & (states[i] >= 0) & (states[j] >= 0)
        i, j = i[across], j[across]
        what = f"the same person across states ({', '.join(units.state_names)})"
    if positives == "label":
        across = people[i] != people[j]
        i, j = i[across], j[across]
        same, what = units.target[chosen][i] == units.target[chosen][j], "the same label, of two people"
    else:
        same = people[i] == people[j]
    others = np.flatnonzero(~same)
    if len(others) > _MOST_PAIRS:
        others = np.random.default_rng(seed).choice(others, _MOST_PAIRS, replace=False)
        keep = np.sort(np.concatenate([np.flatnonzero(same), others]))
        i, j, same = i[keep], j[keep], same[keep]
    return Pairs(i, j, same, (people[i], people[j]), what)


def cosine(embeddings: NDArray[np.float32], pairs: Pairs) -> Floats:
    """Cosine of each pair's embeddings."""
    x = embeddings.astype(np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    cosine: Floats = (x[pairs.first] * x[pairs.second]).sum(1)
    return cosine


def auroc_of_pairs(scores: Floats, pairs: Pairs) -> float:
    """Area under the ROC curve of telling pairs that belong together; NaN without both kinds."""
    return _figures(scores, pairs.same, np.ones(len(scores)))[0]


def verification_figures(
    scores: Floats,
    before: Floats,
    pairs: Pairs,
    *,
    start: str,
    by_view: tuple[tuple[str, float, float], ...] = (),
    seed: int = 0,
) -> PairVerification:
    """Figures of similarities after and before training, with intervals from resampled people.

    A resample draws people with replacement; a pair of two people counts as often as both were drawn, one
    within a person as often as that one was.
    """
    number = int(max(of.max() for of in pairs.people)) + 1 if len(pairs.same) else 0
    figures = [_figures(of, pairs.same, np.ones(len(of))) for of in (scores, before)]
    random = np.random.default_rng(seed)
    drawn = []
    present = np.unique(np.concatenate(pairs.people)) if number else np.empty(0, np.int64)
    for _ in range(BOOTSTRAP if pairs.judged and len(present) > 1 else 0):
        counts = np.bincount(random.choice(present, len(present)), minlength=number)
        a, b = pairs.people
        weight = np.where(a == b, counts[a], counts[a] * counts[b]).astype(float)
        drawn.append([_figures(of, pairs.same, weight) for of in (scores, before)])
    resampled = np.array(drawn)  # (resamples, after and before, figures)
    reason = "" if pairs.judged else "no pairs of both kinds among the people who were kept apart"

    def interval(value: float, of: NDArray[np.float64]) -> Interval:
        of = of[np.isfinite(of)]
        if not math.isfinite(value):
            return unknown(reason)
        lo, hi = np.quantile(of, [0.025, 0.975]).tolist() if len(of) else (math.nan, math.nan)
        return Interval(value, min(lo, value), max(hi, value), len(pairs.same))

    empty = np.empty(0)
    each = [
        [interval(figures[when][k], resampled[:, when, k] if len(drawn) else empty) for when in (0, 1)]
        for k in range(3)
    ]
    gained = resampled[:, 0, 0] - resampled[:, 1, 0] if len(drawn) else empty
    return PairVerification(
        what=pairs.what,
        auroc=each[0][0],
        began=each[0][1],
        gained=interval(figures[0][0] - figures[1][0], gained),
        true_accepts=each[1][0],
        true_accepts_began=each[1][1],
        apart=each[2][0],
        apart_began=each[2][1],
        people=len(present),
        pairs=(int(pairs.same.sum()), int((~pairs.same).sum())),
        start=start,
        by_view=by_view,
    )


def _figures(scores: Floats, same: NDArray[np.bool_], weight: Floats) -> tuple[float, float, float]:
    """AUROC, share found where one of 100 others is, and d', of weighted pairs; NaN without both kinds."""
    on, off = same & (weight > 0), ~same & (weight > 0)
    if not on.any() or not off.any():
        return (math.nan,) * 3
    order = np.argsort(scores[off], kind="stable")
    low, mass = scores[off][order], np.cumsum(weight[off][order])
    below = np.concatenate([[0.0], mass])
    # of the others, those below a pair that belongs together, and half of those that are even with it
    left, right = (np.searchsorted(low, scores[on], side) for side in ("left", "right"))
    share = (below[left] + below[right]) / 2 / mass[-1]
    auroc = float(np.average(share, weights=weight[on]))
    at = min(int(np.searchsorted(mass, 0.99 * mass[-1])), len(low) - 1)
    true_accepts = float(np.average(scores[on] > low[at], weights=weight[on]))
    means = [np.average(scores[of], weights=weight[of]) for of in (on, off)]
    spreads = [
        np.average((scores[of] - mean) ** 2, weights=weight[of])
        for of, mean in zip((on, off), means, strict=True)
    ]
    sd = math.sqrt(sum(spreads) / 2)
    return auroc, true_accepts, float((means[0] - means[1]) / sd) if sd > 0 else math.nan
