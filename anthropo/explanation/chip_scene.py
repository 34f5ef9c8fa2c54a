"""The chips of a face's regions, whose pixels can be kept or removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.encoders import copies
from anthropo.explanation.heads import Head
from anthropo.explanation.maps import Floats, Masks, Pixels, blurred, integral_rule, spread_over
from anthropo.parallel.threads import Threads

if TYPE_CHECKING:
    from typing_extensions import Self

    from anthropo.encoder.backends import Backend
    from anthropo.encoder.encoders import ChipEncoder

Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ChipScene:
    """The chips of one face, and the same with nothing to be seen in them."""

    backend: Backend
    heads: Sequence[Head]
    masks: Masks  # (r, size, size), what belongs to each region
    chips: Singles  # (r, size, size, 3)
    base: Singles  # (r, size, size, 3)
    jobs: int = 1
    grey: bool = False  # whether embeddings are averaged over pictures without colours as well

    @classmethod
    def of(
        cls, encoder: ChipEncoder, chips: Pixels, names: Sequence[str], heads: Sequence[Head], jobs: int = 1
    ) -> Self:
        masks = np.stack([encoder.shown(name) for name in names])
        there, base = (c.astype(np.float32) for c in (chips, blurred(chips, masks)))
        return cls(encoder.backend_for(names), heads, masks, there, base, jobs, encoder.grey)

    @property
    def grid(self) -> tuple[int, int]:
        """Map's pixels from one place that the network sees to the next; the first one's."""
        return self.backend.grid

    def randomised(self, seed: int) -> Self:
        """The same for a network that knows nothing."""
        return replace(self, backend=self.backend.randomised(seed))

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """Log-odds (q, r) with the share (q, r, size, size) kept of each pixel."""

        def of(kept: NDArray[np.float32]) -> Floats:
            seen = self.base + kept[..., None] * (self.chips - self.base)
            embeddings = self._mean(self.backend.embed(self._copies(seen)))
            return np.array([head(e[None])[0] for head, e in zip(self.heads, embeddings, strict=True)])

        return np.array(list(Threads(self.jobs).in_order(of, keeps)))

    def maps(self, steps: int) -> Floats:
        """Smoothed integrated gradients (r, size, size) of each chip's log-odds, from nothing to the chip."""
        start, end = (self.backend.early(self._copies(chips)) for chips in (self.base, self.chips))

        def towards(embeddings: Singles) -> Singles:
            pairs = zip(self.heads, self._mean(embeddings), strict=True)
            times = len(embeddings) // len(self.chips)
            share = np.concatenate([head.gradient(e[None]) for head, e in pairs]) / times
            return np.concatenate([share] * times).astype(np.float32)

        def gradient(part: tuple[float, float]) -> Singles:
            node, weight = part
            at = start + np.float32(node) * (end - start)
            return np.asarray(np.float32(weight) * self.backend.gradient(at, towards))

        total = sum(Threads(self.jobs).in_order(gradient, integral_rule(steps)))
        places = (total * (end - start)).sum(1).astype(np.float64)
        spread = spread_over(places.shape[1], self.masks.shape[1], self.grid)
        values = (spread @ places @ spread.T).reshape(-1, 2, *self.masks.shape)  # mirrored in turn
        maps: Floats = (values[:, 0] + values[:, 1, :, :, ::-1]).sum(0) * self.masks
        return maps

    def _copies(self, chips: Singles) -> Singles:
        """What embeddings are averaged over, one after the other."""
        return np.concatenate(copies(chips, self.grey))

    def _mean(self, embeddings: Singles) -> Singles:
        """The mean embedding of the copies of each chip."""
        of_copies = embeddings.reshape(-1, len(self.chips), embeddings.shape[1])
        return np.asarray(of_copies.mean(0), dtype=np.float32)
