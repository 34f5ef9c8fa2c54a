"""Labels with few patients: similarity to the nearest patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.calibration import smoothed
from anthropo.learning.judged import Floats

MOST = 9  # patients of a label that is matched and not trained
_DRAWS = 5  # small galleries that are drawn from each trained label, to learn what a match is worth
_DOUBT = 0.4  # of a person, that somebody of the same label is not: there is no bound on these odds


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """Cosine match to the nearest patient of each label.

    As GestaltMatcher does for ultra-rare disorders (Hsieh et al., Nat Genet 2022;54:349). Unlike there, the
    cosine is turned into odds, learned from the cohort's labels, so that matched and trained labels can be
    ranked together.
    """

    labels: tuple[str, ...]
    centre: Floats  # (d,)
    owner: NDArray[np.int64]  # (g,), index of the label
    vectors: Floats  # (g, d), unit length, one per patient
    slope: float  # log-odds of the same label per unit of cosine
    intercept: float
    prior: Floats  # (labels,), share of the cohort's patients

    def similarity(self, embeddings: Floats) -> Floats:
        """Greatest cosine (n, labels) of embeddings (n, d) with a patient of each label."""
        cosine = unit_length(embeddings - self.centre) @ self.vectors.T
        return np.stack([cosine[:, self.owner == c].max(1) for c in range(len(self.labels))], axis=1)

    def by_region(self, embeddings: Floats, sizes: Sequence[int]) -> Floats:
        """The same cosine as a sum over regions (n, labels, regions) of `sizes` numbers each."""
        there = unit_length(embeddings - self.centre)
        cosine = there @ self.vectors.T
        ends = np.cumsum([0, *sizes])
        out = np.empty((len(there), len(self.labels), len(sizes)))
        for c in range(len(self.labels)):
            patients = np.flatnonzero(self.owner == c)
            nearest = self.vectors[patients[cosine[:, patients].argmax(1)]]
            out[:, c] = np.stack([(there * nearest)[:, a:b].sum(1) for a, b in pairwise(ends)], axis=1)
        return out

    @property
    def bias(self) -> Floats:
        """Log-odds (labels,) of each label, against all trained ones together, at a cosine of 0."""
        return np.asarray(self.intercept + np.log(self.prior / (1 - self.prior.sum())))

    def log_odds(self, embeddings: Floats) -> Floats:
        """Log-odds (n, labels) of each label against all trained ones together."""
        return np.asarray(self.bias + self.slope * self.similarity(embeddings))


def fit_gallery(
    embeddings: Floats, labels: Sequence[str], patients: Sequence[str], rare: Sequence[str], seed: int = 0
) -> Gallery:
    """Gallery of the rare labels' patients, its odds learned from the other labels' patients.

    From each trained label small galleries of one to nine patients are drawn. How much more probable a
    cosine is for a photo of the same label (of another patient) than of another one is a logistic curve. The
    trained patients' cosines with the rare labels' true galleries count among the others. The curve is
    fitted to what so many patients can show, as in `anthropo.learning.calibration.smoothed`.
    """
    from sklearn.linear_model import LogisticRegression

    random = np.random.RandomState(seed)
    label_of, patient_of = np.asarray(labels), np.asarray(patients)
    centre = label_centre(embeddings, label_of)
    known = list(dict.fromkeys(zip(label_of, patient_of, strict=True)))
    vectors = unit_length(
        np.stack(
            [unit_length(embeddings[(label_of == c) & (patient_of == p)] - centre).mean(0) for c, p in known]
        )
    )
    of = np.array([c for c, _ in known])
    names = tuple(dict.fromkeys(str(c) for c in rare))

    cosine: list[float] = []
    same: list[bool] = []
    others_seen: set[int] = set()  # patients asked about as others, and as of the same label
    same_seen: set[int] = set()
    trained = [c for c in dict.fromkeys(of) if c not in names]
    for label in trained:
        members, others = np.flatnonzero(of == label), np.flatnonzero((of != label) & ~np.isin(of, names))
        for _ in range(_DRAWS):
            size = random.randint(1, max(2, min(MOST, len(members) - 1) + 1))
            drawn = random.permutation(members)
            kept, left = drawn[:size], drawn[size:]
            asked = np.concatenate([left, random.permutation(others)[: len(left)]])
            if len(asked):
                cosine += (vectors[asked] @ vectors[kept].T).max(1).tolist()
                same += [True] * len(left) + [False] * (len(asked) - len(left))
                same_seen.update(left.tolist())
                others_seen.update(asked[len(left) :].tolist())
    # and what trained labels' patients look like to the rare ones' true galleries
    for label in names:
        held = of == label
        if held.any():
            strangers = np.flatnonzero(np.isin(of, trained))
            cosine += (vectors[strangers] @ vectors[held].T).max(1).tolist()
            same += [False] * len(strangers)
            others_seen.update(strangers.tolist())
    slope, intercept = 0.0, 0.0
    if any(same) and not all(same):
        weights = np.where(same, 0.5 / np.mean(same), 0.5 / (1 - np.mean(same)))
        people = np.array([len(others_seen), len(same_seen)])
        belonging = smoothed(np.array(same, dtype=np.int64), people, _DOUBT)
        # each cosine twice: as far as it is taken for one of the same label, and as far as for another
        x, twice = np.tile(np.array(cosine), 2)[:, None], np.repeat([0, 1], len(same))
        shares = (belonging * weights[:, None]).T.ravel()
        curve = LogisticRegression(C=1e3).fit(x, twice, sample_weight=shares)
        slope, intercept = max(float(curve.coef_[0, 0]), 0.0), float(curve.intercept_[0])
    keep = np.isin(of, names)
    owner = np.array([names.index(str(c)) for c in of[keep]], dtype=np.int64)
    prior = np.bincount(owner, minlength=len(names)) / len(of)
    return Gallery(names, centre, owner, vectors[keep], slope, intercept, prior)


def label_centre(embeddings: Floats, labels: NDArray[Any]) -> Floats:
    """The mean (d,) of the labels' means: were it the photos', a rare label would look like all others."""
    return np.asarray(np.mean([embeddings[labels == c].mean(0) for c in dict.fromkeys(labels)], axis=0))


def unit_length(vectors: Floats) -> Floats:
    """Vectors (…, d) of length 1; nothing stays nothing."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1))
