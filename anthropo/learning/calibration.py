"""Scores to calibrated log-odds: a softmax whose few coefficients are fitted on out-of-fold scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Floats

# People's worth of penalty: on slopes that are not alike, on those of parts that have to prove themselves,
# and on each label's bias. Slopes are per standard deviation: of all alike parts together, else of the part.
_ALIKE, _DOUBTED, _FIRM = 1.0, 3.0, 2.0
_DOUBT = 0.2  # of a person, that somebody of each label is of another


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """log-odds = Σ slope · part + bias, one slope per part for all labels."""

    slopes: Floats  # (p,), none negative
    bias: Floats  # (k,), mean 0

    def margins(self, parts: Sequence[Floats]) -> Floats:
        """Log-odds (n, k) of each label against the average one, from parts of shape (n, k)."""
        weighted = (slope * centred(part) for slope, part in zip(self.slopes, parts, strict=True))
        return np.asarray(self.bias + sum(weighted))


def centred(margins: Floats) -> Floats:
    """Margins (..., k) with mean 0 over the labels; probabilities do not change."""
    return np.asarray(margins - margins.mean(-1, keepdims=True))


def softmax(margins: Floats) -> Floats:
    """Probabilities (n, k) of margins (n, k)."""
    grown = np.exp(margins - margins.max(1, keepdims=True))
    return np.asarray(grown / grown.sum(1, keepdims=True))


def against_rest(margins: Floats) -> Floats:
    """Log-odds (n, k) of each label against all others together, exact also where they are extreme."""
    out = np.empty_like(margins)
    for c in range(margins.shape[1]):
        others = np.delete(margins, c, axis=1)
        top = others.max(1)
        out[:, c] = margins[:, c] - top - np.log(np.exp(others - top[:, None]).sum(1))
    return out


def surprise(margins: Floats, y: NDArray[np.int64]) -> Floats:
    """Negative log-likelihood (n,) (nats) of each label (n,) under margins (n, k)."""
    top = margins.max(1)
    lost = top + np.log(np.exp(margins - top[:, None]).sum(1)) - margins[np.arange(len(y)), y]
    return np.asarray(lost)


def log_loss(margins: Floats, y: NDArray[np.int64], weights: Floats) -> float:
    """Mean negative log-likelihood (nats) of labels (n,) under margins (n, k)."""
    return float(np.average(surprise(margins, y), weights=weights))


def smoothed(y: NDArray[np.int64], people: Floats, doubt: float = _DOUBT) -> Floats:
    """What photos are taken to be, (n, k): of their label, but for what so many people cannot rule out.

    Of a label that `people` (k,) of them have, the share is (people + doubt) / (people + 2 doubt), and what
    is left is shared by the other labels. Platt (1999) has 1 and 2, Jeffreys' prior 1/2 and 1; what the
    easiest labels show is still more than that. Of scores that separate the labels, slopes of greatest
    likelihood would be infinite.
    """
    mistaken = doubt / (people[y] + 2 * doubt)
    targets = np.tile((mistaken / (len(people) - 1))[:, None], (1, len(people)))
    targets[np.arange(len(y)), y] = 1 - mistaken
    return targets


def bounded(margins: Floats, people: Floats) -> Floats:
    """Margins (n, k) that state no more than so many people (k,) can show.

    Whoever is taken for one label by the margins is of another with the doubt of `smoothed`: log-odds for a
    label are below those of its targets, log(5 people + 1) with two labels, and change little where they are
    small. Their order stays.

    Examples
    --------
    >>> sure = np.array([[-9.0, 9.0], [-1.0, 1.0]])
    >>> bounded(sure, np.array([40.0, 40.0])).round(2).tolist()
    [[-2.65, 2.65], [-0.98, 0.98]]
    """
    labels = np.arange(len(people))
    return centred(np.log(softmax(margins) @ smoothed(labels, people)))


def fit_stack(
    parts: Sequence[Floats],
    y: NDArray[np.int64],
    weights: Floats,
    people: Floats | None = None,
    alike: int | None = None,
    least: Floats | float = 0.0,
    doubted: float = _DOUBTED,
) -> Stack:
    """The slopes and biases of greatest likelihood, from out-of-fold scores (n, k) of each part.

    Parameters
    ----------
    parts : sequence of (n, k) array
    y : (n,) array
        Index of the label.
    weights : (n,) array
    people : (k,) array, optional
        How many have each label; left out: each photo is of another person. Their number says how steep
        slopes can be, see `smoothed`.
    alike : int, optional
        The first so many parts are expected to count alike, in the units that they come in, the others to
        count nothing unless people prove it. Left out: all are alike.
    doubted : float
        How many people's worth of penalty is on the slopes of parts that have to prove themselves.
    least : float or (p,) array
        Slopes are held at it or above. At 0 a part that is wrong more often than right is not used.

    Notes
    -----
    With two labels and one part this is Platt scaling (Platt 1999), with more labels vector scaling with one
    temperature (Guo et al., ICML 2017).
    """
    from scipy.optimize import minimize

    (n, k), p = parts[0].shape, len(parts)
    if people is None:
        people = np.bincount(y, minlength=k).astype(np.float64)
    # in units of their spread, so that one penalty fits all; parts that are alike share one
    first = np.arange(p) < (p if alike is None else alike)
    spread = np.array([float(centred(part).std()) for part in parts])
    if first.any():
        together = sum(centred(part) for part in parts[: int(first.sum())])
        # parts that contradict each other have next to none together
        spread[first] = max(float(np.std(together)), spread[first].max())
    spread[spread < 1e-9] = 1.0  # says nothing: no steep slope for it
    x = np.stack([centred(part) / s for part, s in zip(parts, spread, strict=True)])  # (p, n, k)
    share = weights / weights.sum()
    truth = smoothed(y, people)
    firm = _FIRM / people.sum() / k
    apart = np.eye(p) - np.outer(first, first) / max(first.sum(), 1)
    penalty = apart.T @ (np.where(first, _ALIKE, doubted)[:, None] * apart) / people.sum()

    def loss(theta: Floats) -> tuple[float, Floats]:
        slopes, bias = theta[:p], theta[p:]
        margins = np.tensordot(slopes, x, 1) + bias
        top = margins.max(1)
        grown = np.exp(margins - top[:, None])
        lost = top + np.log(grown.sum(1)) - (truth * margins).sum(1)
        wrong = (grown / grown.sum(1, keepdims=True) - truth) * share[:, None]
        held = penalty @ slopes
        value = float(share @ lost + slopes @ held + firm * bias @ bias / 2)
        slope = np.einsum("pnk,nk->p", x, wrong) + 2 * held
        return value, np.concatenate([slope, wrong.sum(0) + firm * bias])

    lowest = np.broadcast_to(np.asarray(least, dtype=np.float64), p) * spread
    start = np.concatenate([np.maximum(lowest, 1 / p), np.log(share @ truth + 1 / n)])
    start[p:] -= start[p:].mean()
    bounds = [(low, None) for low in lowest] + [(None, None)] * k
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return Stack(best.x[:p] / spread, centred(best.x[p:]))
