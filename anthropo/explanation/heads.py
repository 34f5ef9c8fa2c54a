"""What a classifier makes of one region's embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.adaptation import Affine
from anthropo.learning.fitted import FittedHybrid

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What a region's embedding contributes to the log-odds: its kernel ridge regression."""

    centre: Floats  # (d,)
    frequencies: Floats  # (f, d)
    readout: Floats  # (2 f,)
    brought: Affine | None = None  # what brings embeddings to those that the model was trained with
    sphere: bool = False  # whether embeddings have length 1 once they are centred

    @classmethod
    def of(cls, model: FittedHybrid, region: str, weights: Floats, brought: Affine | None = None) -> Head:
        """The head of a region for a sum of the labels' margins, weights (k,)."""
        at = list(model.regions_).index(region)
        fitted = model.regions_[region]
        # contributions have mean 0 over the labels: so has what reads them
        reader = model.region_weights[at] * (weights - weights.mean()) / model.score_spread_[at]
        numbers = fitted.centre, fitted.scale * fitted.frequencies, fitted.weights @ reader
        centre, frequencies, readout = (np.array(n, dtype=np.float64) for n in numbers)
        return cls(centre, frequencies, readout, brought, fitted.sphere)

    def __call__(self, embeddings: NDArray[np.floating]) -> Floats:
        """Log-odds (n,) of embeddings (n, d)."""
        phase = self._placed(embeddings)[0] @ self.frequencies.T
        features = np.concatenate([np.cos(phase), np.sin(phase)], 1) / len(self.frequencies) ** 0.5
        return np.asarray(features @ self.readout)

    def gradient(self, embeddings: NDArray[np.floating]) -> Floats:
        """Gradient (n, d) of the log-odds by the embeddings (n, d)."""
        placed, length = self._placed(embeddings)
        phase, (of_cos, of_sin) = placed @ self.frequencies.T, np.split(self.readout, 2)
        by_phase = (np.cos(phase) * of_sin - np.sin(phase) * of_cos) / len(self.frequencies) ** 0.5
        there = by_phase @ self.frequencies
        if self.sphere:  # along the radius nothing changes
            there = (there - placed * (placed * there).sum(1, keepdims=True)) / length
        return np.asarray(there if self.brought is None else self.brought.gradient(there))

    def _placed(self, embeddings: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Centred embeddings, where the model wants it of length 1; and how long they were, (n, 1)."""
        there = embeddings.astype(np.float64)
        there = (there if self.brought is None else self.brought(there)) - self.centre
        length = np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-12)
        return (there / length if self.sphere else there), length
