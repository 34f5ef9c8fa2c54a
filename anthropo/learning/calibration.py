"""Scores to calibrated log-odds: a softmax whose few coefficients are fitted on out-of-fold scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Floats

_PRIOR = 1e-6  # weight of the penalty on slopes, per photo
_HELD = 3.0  # photos' worth of penalty on leaving a part's expected slope
_FIRM = 2.0  # photos' worth of penalty on each label's bias, against infinite ones in tiny cohorts


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


def log_loss(margins: Floats, y: NDArray[np.int64], weights: Floats) -> float:
    """Mean negative log-likelihood (nats) of labels (n,) under margins (n, k)."""
    top = margins.max(1)
    lost = top + np.log(np.exp(margins - top[:, None]).sum(1)) - margins[np.arange(len(y)), y]
    return float(np.average(lost, weights=weights))


def fit_stack(
    parts: Sequence[Floats], y: NDArray[np.int64], weights: Floats, expected_slope: float | None = None
) -> Stack:
    """The slopes and biases of greatest likelihood, from out-of-fold scores (n, k) of each part.

    `expected_slope` is what a part has unless the photos say otherwise: for parts that are log-odds already.

    With two labels and one part this is Platt scaling (Platt 1999), with more labels vector scaling with
    one temperature (Guo et al., ICML 2017). Slopes are held at 0 or above: a part that is wrong more often
    than right out of fold is not used.
    """
    from scipy.optimize import minimize

    n, k = parts[0].shape
    # in units of their spread, so that one penalty fits all
    held = _PRIOR if expected_slope is None else _HELD / n
    spread = np.array([float(centred(p).std()) for p in parts])
    spread[spread < 1e-9] = 1.0  # says nothing: no steep slope for it
    x = np.stack([centred(p) / s for p, s in zip(parts, spread, strict=True)])  # (p, n, k)
    share = weights / weights.sum()
    truth = np.eye(k)[y]
    firm = _FIRM / n / k
    middle = np.zeros(len(x)) if expected_slope is None else expected_slope * spread

    def loss(theta: Floats) -> tuple[float, Floats]:
        slopes, bias = theta[: len(x)], theta[len(x) :]
        margins = np.tensordot(slopes, x, 1) + bias
        wrong = (softmax(margins) - truth) * share[:, None]
        off = slopes - middle
        value = float(log_loss(margins, y, weights) + held * off @ off + firm * bias @ bias / 2)
        slope = np.einsum("pnk,nk->p", x, wrong) + 2 * held * off
        return value, np.concatenate([slope, wrong.sum(0) + firm * bias])

    start = np.concatenate([np.full(len(x), 1 / len(x)), np.log(share @ truth + 1 / n)])
    start[len(x) :] -= start[len(x) :].mean()
    bounds = [(0, None)] * len(x) + [(None, None)] * k
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500})
    return Stack(best.x[: len(x)] / spread, centred(best.x[len(x) :]))
