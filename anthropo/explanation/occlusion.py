"""Maps of encoders that have no gradients: what the log-odds lose, and gain, by one place of a chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.explanation.chip_scene import ChipScene
from anthropo.explanation.maps import STEPS, Floats, Masks

_CELLS = 6  # places along the side of what is visible of a chip
_FEW_CELLS = 4  # for the network that knows nothing


@dataclass(frozen=True, slots=True, eq=False)
class OccludedScene(ChipScene):
    """The chips of one face as an encoder without gradients sees them.

    Notes
    -----
    Each place is blurred away from the chip, and is the only one that is not blurred away from nothing
    (occlusion: Zeiler & Fergus, ECCV 2014; here with soft places, whose shares add up to 1 everywhere). The
    mean of what is lost and what is gained is the two-point rule of the integral that gradients would
    give; what both leave over stands as `Heatmap.completeness`.
    """

    def maps(self, steps: int) -> Floats:
        """What each place adds to each chip's log-odds, spread over its pixels, (r, size, size)."""
        cells = _CELLS if steps >= STEPS else _FEW_CELLS
        places = np.stack([_bumps(mask, cells) for mask in self.masks], 1)  # (q, r, size, size)
        ends = np.stack([np.zeros_like(places[0]), np.ones_like(places[0])])
        none, full = self.log_odds(ends)
        added = (full - self.log_odds(1 - places) + self.log_odds(places) - none) / 2  # (q, r)
        shares = places * self.masks
        shares /= np.maximum(shares.sum((2, 3), keepdims=True), 1e-9)
        return np.asarray(np.einsum("qr,qrij->rij", added, shares, dtype=np.float64))


def _bumps(mask: Masks, cells: int) -> NDArray[np.float32]:
    """Soft places over what a mask (size, size) shows, (cells², size, size) float32; they add up to 1."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))

    def along(seen: NDArray[np.int64], size: int) -> Floats:
        low, high = seen[0], seen[-1] + 1
        at = (np.arange(size) + 0.5 - low) / (high - low) * cells - 0.5
        hats = 1 - np.abs(np.clip(at, 0, cells - 1)[None] - np.arange(cells)[:, None])
        return np.asarray(np.maximum(hats, 0))

    y, x = along(rows, mask.shape[0]), along(columns, mask.shape[1])
    return np.asarray(np.einsum("ai,bj->abij", y, x).reshape(-1, *mask.shape), dtype=np.float32)
