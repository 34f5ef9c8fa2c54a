"""Deep-region scores: one readable number per region and label, out of fold for the training photos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.judged import Floats

_FREQUENCIES = 1024  # random Fourier features are twice as many; 512 loses up to 0.005 AUROC
_PENALTIES = (0.3, 1.0, 3.0)  # of the ridge, ascending: the first one that the next does not better is taken
_WIDTH = 4.0  # of the kernel, in median squared distances: few people show little more than a plane
_DUAL = 4096  # photos, up to which the system of as many unknowns is solved; beyond, that of the features
_BLOCK = 4096  # photos turned into Fourier features at a time
_PAIRS = 500  # photos that the kernel's width is estimated from


@dataclass(frozen=True, slots=True, eq=False)
class RegionModel:
    """Kernel ridge regression of label membership on one region's embedding."""

    centre: Floats  # (d,), mean of the training embeddings
    frequencies: Floats  # (f, d), of the kernel's random Fourier features
    weights: Floats  # (2 f, k)
    intercept: Floats  # (k,), the labels' shares
    scale: float = 1.0  # of the frequencies: a refit has another kernel's width, and shares all else of them
    sphere: bool = False  # whether embeddings have length 1 once they are centred, as models once had them

    def scores(self, embeddings: NDArray[np.floating]) -> Floats:
        """Membership scores (n, k) of embeddings (n, d); about 1 for a sure member, 0 for none."""
        out = np.empty((len(embeddings), len(self.intercept)))
        for at in range(0, len(out), _BLOCK):
            there = np.asarray(embeddings[at : at + _BLOCK], dtype=np.float64) - self.centre
            there = on_sphere(there) if self.sphere else there
            features = _fourier(self.scale * there, self.frequencies)
            out[at : at + _BLOCK] = features @ self.weights + self.intercept
        return out


def fit_region(
    embeddings: NDArray[np.floating],
    targets: Floats,
    folds: NDArray[np.int64],
    random: np.random.RandomState,
    weights: Floats | None = None,
) -> tuple[RegionModel, Floats]:
    """Fit one region to embeddings (n, d) and memberships (n, k); with each photo's scores out of fold.

    `folds` (times, n) are dealt as often as one likes: scores are (times, n, k). `weights` (n,), above 0 and
    1 on average, say how much each photo counts.

    A wide Gaussian kernel in Rahimi & Recht's random features ("Random features for large-scale kernel
    machines", NIPS 2007), orthogonal as Yu et al. have them ("Orthogonal random features", NIPS 2016): a
    model then holds weights and no embedding of a patient. The out-of-fold scores of a ridge are exact
    without refitting: with P = (K + penalty)⁻¹, residuals of a fold b are P_bb⁻¹ (P y)_b.
    """
    counts = np.ones((len(embeddings), 1)) if weights is None else weights[:, None]
    centre = (counts * np.asarray(embeddings, dtype=np.float64)).sum(0) / counts.sum()
    there = np.asarray(embeddings, dtype=np.float64) - centre
    # before anything that depends on the number of photos, so that all fits of one seed have the same draws
    draws = _orthogonal(_FREQUENCIES, there.shape[1], random)
    some = there[random.permutation(len(there))[:_PAIRS]]
    size = (some**2).sum(1)
    apart = (size[:, None] + size - 2 * some @ some.T)[np.triu_indices(len(some), 1)] / 2
    width = float(np.median(apart)) if len(apart) else 1.0
    frequencies = draws / np.sqrt(_WIDTH * max(width, 1e-9 * float(size.max(initial=1.0))))
    frequencies = frequencies.astype(np.float32).astype(np.float64)  # as it is kept in a model file
    # weighted least squares are plain ones of rows that are multiplied by the weights' roots
    root = np.sqrt(counts)
    intercept = (counts * targets).sum(0) / counts.sum()
    fit = _dual if len(there) <= _DUAL else _primal
    learned, scores = fit(root * _fourier(there, frequencies), root * (targets - intercept), folds)
    return RegionModel(centre, frequencies, learned, intercept), scores / root + intercept


def on_sphere(there: Floats) -> Floats:
    """Vectors (n, d) of length 1; those of length 0 stay."""
    length = np.linalg.norm(there, axis=1, keepdims=True)
    return np.asarray(there / np.where(length > 0, length, 1))


def _orthogonal(n: int, d: int, random: np.random.RandomState) -> Floats:
    """Draws (n, d) of a normal distribution, those of each block of d at right angles: kernels vary less."""
    blocks = []
    for _ in range(-(-n // d)):
        q, r = np.linalg.qr(random.standard_normal((d, d)))
        blocks.append(q * np.sign(np.diag(r)) * np.sqrt(random.chisquare(d, size=d))[:, None])
    return np.concatenate(blocks)[:n]


def _fourier(there: Floats, frequencies: Floats) -> Floats:
    phase = there @ frequencies.T
    f = len(frequencies)
    out = np.empty((len(phase), 2 * f))
    np.cos(phase, out=out[:, :f])
    np.sin(phase, out=out[:, f:])
    out /= np.sqrt(f)
    return out


def _dual(features: Floats, targets: Floats, folds: NDArray[np.int64]) -> tuple[Floats, Floats]:
    from scipy.linalg.lapack import dposv, dpotrf, dpotri, dpotrs

    kernel = features @ features.T
    best = (np.inf, targets, targets[None])
    rows = [(t, np.flatnonzero(of == fold)) for t, of in enumerate(folds) for fold in np.unique(of)]
    for penalty in _PENALTIES:
        shifted = kernel.T.copy(order="F")  # in the order of LAPACK; the kernel is symmetric
        shifted[np.diag_indices(len(kernel))] += penalty  # so that it is positive definite
        factor, _ = dpotrf(shifted, lower=1, clean=0, overwrite_a=1)
        dual, _ = dpotrs(factor, targets, lower=1)
        # of the inverse only the lower half, which is all that is read
        inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
        scores = np.empty((len(folds), *targets.shape))
        for t, b in rows:
            scores[t, b] = targets[b] - dposv(inverse[np.ix_(b, b)], dual[b], lower=1)[1]
        error = float(((scores - targets) ** 2).mean())
        if not error < best[0]:  # the error has one valley, and each penalty costs an inverse
            break
        best = (error, dual, scores)
    return features.T @ best[1], best[2]


def _primal(features: Floats, targets: Floats, folds: NDArray[np.int64]) -> tuple[Floats, Floats]:
    gram, moment = features.T @ features, features.T @ targets
    eye = np.eye(len(gram))
    best = (np.inf, 0.0, targets[None])
    rows = [(t, of == fold) for t, of in enumerate(folds) for fold in np.unique(of)]
    for penalty in _PENALTIES:
        scores = np.empty((len(folds), *targets.shape))
        for t, b in rows:
            held_out = features[b]
            left = gram - held_out.T @ held_out + penalty * eye
            scores[t, b] = held_out @ np.linalg.solve(left, moment - held_out.T @ targets[b])
        error = float(((scores - targets) ** 2).mean())
        if not error < best[0]:
            break
        best = (error, penalty, scores)
    return np.asarray(np.linalg.solve(gram + best[1] * eye, moment), dtype=np.float64), best[2]
