"""Maps of what a scene's parts add to log-odds, and how faithful each map is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anthropo.face.warp import blurring
from anthropo.showing import brief, listed, signed

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Masks = NDArray[np.bool_]

#: The name of the map of all regions together.
WHOLE = "whole"

STEPS = 6  # of the integral; more make the map no more faithful
BLUR = 1 / 20  # share of a chip's side, 1 SD: eyes, nose and mouth are no more than shades
_FEW_STEPS = 2  # for the network that knows nothing, whose map needs no units
_SMOOTH = 1 / 33  # share of a chip's side, 1 SD: about as fine as the network sees
_SHARES = (0.1, 0.5)  # of the pixels that are removed
# Correlation of absolute values, above which a map does not show what was learned. Maps of two networks that
# know nothing correlate at 0.4, 95 % of them below 0.6, since both are of one picture; an edge detector at 1.
SANITY = 0.7


class Scene(Protocol):
    """What is seen of one face in r parts, of which pixels of a square can be kept or removed."""

    @property
    def masks(self) -> Masks:
        """What of the square belongs to each part, (r, size, size)."""

    @property
    def grid(self) -> tuple[int, int]:
        """Map's pixels from one place that the network sees to the next; the first one's."""

    def randomised(self, seed: int) -> Scene:
        """The same for a network that knows nothing."""

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """Log-odds (q, r) with the share (q, r, size, size) kept of each pixel."""

    def maps(self, steps: int) -> Floats:
        """What each pixel adds to each part's log-odds, (r, size, size)."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Tests of whether a map shows what the model looks at.

    Pixels are removed by blurring them away. `deletion`, `insertion` and `random` are areas under curves:
    the mean log-odds between everything being there and nothing.
    """

    deletion: float  # the most supportive pixels go first; lower than `random` is good
    insertion: float  # the most supportive pixels go last; higher than `random` is good
    random: float  # pixels go in random patches
    top_tenth_drop: float  # log-odds lost without the most supportive tenth of the pixels
    random_tenth_drop: float  # log-odds lost without a random tenth
    sanity_correlation: float  # rank correlation with the map of a network that knows nothing
    passes: bool
    reason: str  # why it does not


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Where a region's contribution to the log-odds comes from."""

    region: str
    values: Floats  # (size, size) of the face's chip, log-odds per pixel; 0 outside the region
    contribution: float  # of the region, log-odds
    baseline: float  # of the same chip blurred until nothing can be seen, log-odds
    faithfulness: Faithfulness | None = None  # None: not asked for, or the region has no say in the model

    def __repr__(self) -> str:
        return brief(self, self.region, f"log-odds {signed(self.contribution)}")

    @property
    def completeness(self) -> float:
        """Log-odds that the map leaves over: the contribution less the baseline and the map's sum."""
        return self.contribution - self.baseline - float(self.values.sum())


@dataclass(frozen=True, slots=True, eq=False)
class FaceHeat:
    """The heatmaps of a face."""

    regions: dict[str, Heatmap]
    whole: Heatmap  # the sum of all

    def __repr__(self) -> str:
        return brief(self, f"regions {listed(self.regions)}", f"log-odds {signed(self.whole.contribution)}")


def blank(names: Sequence[str], size: int) -> dict[str, Heatmap]:
    """Empty maps (size, size) of regions that have no say."""
    return {name: Heatmap(name, np.zeros((size, size)), 0.0, 0.0) for name in names}


def drawn(
    scene: Scene, names: Sequence[str], *, judge: bool = True, seed: int = 0, steps: int | None = None
) -> FaceHeat:
    """The maps of a scene's parts, which have these names."""
    values = scene.maps(STEPS if steps is None else steps)
    none, full = log_odds_of(scene, np.stack([np.zeros_like(scene.masks), np.ones_like(scene.masks)]))
    verdicts = _judged(scene, values, full, none, seed) if judge else [None] * (len(names) + 1)
    regions = {
        name: Heatmap(name, value, float(seen), float(blind), verdict)
        for name, value, seen, blind, verdict in zip(names, values, full, none, verdicts, strict=False)
    }
    whole = Heatmap(WHOLE, values.sum(0), float(full.sum()), float(none.sum()), verdicts[-1])
    return FaceHeat(regions, whole)


def integral_rule(steps: int) -> list[tuple[float, float]]:
    """Nodes from 0 to 1 and weights of a Gauss-Legendre rule."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return list(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


def log_odds_of(scene: Scene, keeps: Masks | Floats) -> Floats:
    """Log-odds (q, r) with only those pixels seen that are 1 in keeps (q, r, size, size)."""
    return scene.log_odds(keeps.astype(np.float32))


def blurred(chips: Pixels, masks: Masks) -> Floats:
    """Chips (r, size, size, 3) whose regions show the colour and light of a face, and no feature."""
    blur = blurring(chips.shape[1], BLUR * chips.shape[1])
    out = chips.astype(np.float64)
    for chip, mask in zip(out, masks, strict=True):
        share = (blur @ mask @ blur.T)[mask]
        for c in range(3):
            chip[mask, c] = (blur @ (chip[..., c] * mask) @ blur.T)[mask] / share
    return out


def spread_over(places: int, size: int, grid: tuple[int, int]) -> Floats:
    """(size, places): a place of the network's grid spread over a map's pixels; columns sum to 1."""
    step, first = grid
    apart = np.arange(size)[:, None] - (first + step * np.arange(places))
    weights = np.exp(-((apart / (_SMOOTH * size)) ** 2) / 2)
    return np.asarray(weights / weights.sum(0))


# ----------------------------------------------------------------------------------------- their worth


def _judged(scene: Scene, values: Floats, full: Floats, none: Floats, seed: int) -> list[Faithfulness | None]:
    """Verdicts on each region's map, then on the whole."""
    shuffled = scene.randomised(seed).maps(_FEW_STEPS)
    size = scene.masks.shape[1]
    patches = spread_over(size // scene.grid[0], size, scene.grid)
    noise = np.random.default_rng(seed).standard_normal((patches.shape[1],) * 2)
    random = np.broadcast_to(patches @ noise @ patches.T, values.shape)
    whole = np.broadcast_to(values.sum(0), values.shape)
    anywhere = np.broadcast_to(scene.masks.any(0), values.shape)
    keeps = [
        kept
        for maps, within in ((values, scene.masks), (whole, anywhere))
        for order in (maps, -maps, random)
        for kept in (_without(order, within, share) for share in _SHARES)
    ]
    curves = log_odds_of(scene, np.stack(keeps)).reshape(2, 3, len(_SHARES), -1)
    single = zip(np.moveaxis(curves[0], -1, 0), full, none, values, shuffled, scene.masks, strict=True)
    together = curves[1].sum(-1), full.sum(), none.sum(), values.sum(0), shuffled.sum(0)
    return [*(_verdict(*of_one) for of_one in single), _verdict(*together, np.asarray(scene.masks.any(0)))]


def _without(maps: Floats, masks: Masks, share: float) -> Floats:
    """1 where a pixel stays when the highest share of those in each mask go, (r, size, size)."""
    out = np.ones(maps.shape)
    for kept, values, mask in zip(out, maps, masks, strict=True):
        kept[mask & (values >= np.quantile(values[mask], 1 - share))] = 0
    return out


def _verdict(
    curves: Floats, full: float, none: float, values: Floats, shuffled: Floats, mask: Masks
) -> Faithfulness:
    deletion, last, random = (_area([full, *curve, none]) for curve in curves)
    lost, lost_at_random = float(full - curves[0, 0]), float(full - curves[2, 0])
    correlation = _rank_correlation(np.abs(values[mask]), np.abs(shuffled[mask]))
    reasons = []
    if lost <= 0:
        reasons.append("removing its most supportive tenth does not lower the log-odds")
    elif lost <= lost_at_random:
        reasons.append("without its most supportive tenth no more is lost than without a random tenth")
    if correlation > SANITY:
        reasons.append(
            f"a network with random weights gives a similar map (rank correlation {correlation:.2f}): "
            "the map shows edges rather than what was learned"
        )
    return Faithfulness(
        deletion, last, random, lost, lost_at_random, correlation, not reasons, "; ".join(reasons)
    )


def _area(curve: Sequence[float]) -> float:
    """Mean height of a curve over the shares 0, `_SHARES` and 1."""
    y, x = np.asarray(curve), np.array([0.0, *_SHARES, 1.0])
    return float(np.diff(x) @ (y[1:] + y[:-1]) / 2)


def _rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's, as scipy.stats has it, whose import takes longer than a heatmap; 0 where all are alike."""
    ranks = _ranks(a), _ranks(b)
    if not all(np.ptp(of) for of in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: Floats) -> Floats:
    """Equal values share the mean of their ranks."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - counts / 2)[at])
