"""The chips of a face's regions, whose pixels can be kept or removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.regions import IMAGE, find_region, hidden
from anthropo.explanation.heads import Head
from anthropo.explanation.maps import Floats, Masks, Pixels, blurred, integral_rule, spread_over
from anthropo.parallel.threads import Threads

if TYPE_CHECKING:
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

    @classmethod
    def of(
        cls, encoder: ChipEncoder, chips: Pixels, names: Sequence[str], heads: Sequence[Head], jobs: int = 1
    ) -> ChipScene:
        masks = np.stack([shown_of(name, encoder.size) for name in names])
        there, base = (c.astype(np.float32) for c in (chips, blurred(chips, masks)))
        return cls(encoder.backend, heads, masks, there, base, jobs)

    @property
    def grid(self) -> tuple[int, int]:
        """Map's pixels from one place that the network sees to the next; the first one's."""
        return self.backend.grid

    def randomised(self, seed: int) -> ChipScene:
        """The same for a network that knows nothing."""
        return replace(self, backend=self.backend.randomised(seed))

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """Log-odds (q, r) with the share (q, r, size, size) kept of each pixel."""

        def of(kept: NDArray[np.float32]) -> Floats:
            seen = self.base + kept[..., None] * (self.chips - self.base)
            embeddings = _mean(self.backend.embed(_both(seen)))
            return np.array([head(e[None])[0] for head, e in zip(self.heads, embeddings, strict=True)])

        return np.array(list(Threads(self.jobs).in_order(of, keeps)))

    def maps(self, steps: int) -> Floats:
        """Smoothed integrated gradients (r, size, size) of each chip's log-odds, from nothing to the chip."""
        start, end = (self.backend.early(_both(chips)) for chips in (self.base, self.chips))

        def towards(embeddings: Singles) -> Singles:
            pairs = zip(self.heads, _mean(embeddings), strict=True)
            half = np.concatenate([head.gradient(e[None]) for head, e in pairs]) / 2
            return np.concatenate([half, half]).astype(np.float32)

        def gradient(part: tuple[float, float]) -> Singles:
            node, weight = part
            at = start + np.float32(node) * (end - start)
            return np.asarray(np.float32(weight) * self.backend.gradient(at, towards))

        total = sum(Threads(self.jobs).in_order(gradient, integral_rule(steps)))
        places = (total * (end - start)).sum(1).astype(np.float64)
        spread = spread_over(places.shape[1], self.masks.shape[1], self.grid)
        values = spread @ places @ spread.T
        maps: Floats = (values[: len(self.chips)] + values[len(self.chips) :, :, ::-1]) * self.masks
        return maps


def shown_of(region: str, size: int) -> Masks:
    """Mask (size, size) of a chip's pixels that belong to a region."""
    return np.ones((size, size), dtype=bool) if region == IMAGE else ~hidden(find_region(region), size)


def _both(chips: Singles) -> Singles:
    """Chips and their mirror images."""
    return np.concatenate([chips, chips[:, :, ::-1]])


def _mean(embeddings: Singles) -> Singles:
    """Mean embedding of each chip and its mirror image."""
    half = len(embeddings) // 2
    return np.asarray((embeddings[:half] + embeddings[half:]) / 2, dtype=np.float32)
