"""95 % intervals of figures, for photos of which several may be of one patient; see docs/intervals.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anthropo.learning.judged import Floats
from anthropo.plain import minus

_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float  # NaN: cannot be computed, and `reason` says why
    lo: float = math.nan
    hi: float = math.nan
    n: int = 0  # photos that the figure is of
    reason: str = ""

    def __str__(self) -> str:
        """As text: ``0.912 (0.874 to 0.941)``; a dash where the figure cannot be computed."""
        return number(self.value) + (f" ({self.bounds})" if self.bounds else "")

    @property
    def known(self) -> bool:
        """Whether the figure could be computed."""
        return not math.isnan(self.value)

    @property
    def bounds(self) -> str:
        """The limits as text, ``0.874 to 0.941``; empty where there are none."""
        return "" if math.isnan(self.lo) else f"{number(self.lo)} to {number(self.hi)}"

    def to_json(self) -> dict[str, Any]:
        """`{"value", "lo", "hi", "n"}` with None for NaN, and `"reason"` where there is one."""
        limits = {"value": self.value, "lo": self.lo, "hi": self.hi}
        numbers = {name: float(v) if math.isfinite(v) else None for name, v in limits.items()}
        return {**numbers, "n": self.n, **({"reason": self.reason} if self.reason else {})}


def as_json(value: Any) -> Any:
    """Figures, and dataclasses, mappings and tuples that hold them, as JSON has them."""
    if isinstance(value, Interval):
        return value.to_json()
    if is_dataclass(value):
        return {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {name: as_json(v) for name, v in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return [as_json(v) for v in value] if isinstance(value, tuple) else value


def unknown(reason: str) -> Interval:
    """A figure that cannot be computed, and why."""
    return Interval(math.nan, reason=reason)


def number(value: float) -> str:
    """Three decimals with a true minus; a dash for NaN."""
    text = f"{value:.3f}"
    return "–" if math.isnan(value) else "0.000" if float(text) == 0 else minus(text)


def wilson(value: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion `value` of `n` (effective) observations."""
    z = normal_quantile()
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    # rounding must not push a limit past the value that it belongs to
    return float(min(value, max(0.0, centre - half))), float(max(value, min(1.0, centre + half)))


def hanley_mcneil(value: float, positives: int, negatives: int) -> float:
    """Variance of an AUROC of independent photos (Hanley & McNeil 1982)."""
    two_positives, two_negatives = value / (2 - value), 2 * value**2 / (1 + value)
    return (
        value * (1 - value)
        + (positives - 1) * (two_positives - value**2)
        + (negatives - 1) * (two_negatives - value**2)
    ) / (positives * negatives)


def proportion(hits: ArrayLike, groups: ArrayLike, reason: str = "no photo to count") -> Interval:
    """Share of hits (n,) with Wilson's interval for photos of patients `groups` (n,)."""
    hits, groups = np.asarray(hits, dtype=float), np.asarray(groups)
    n = len(hits)
    if not n:
        return unknown(reason)
    value = float(hits.mean())
    return Interval(value, *wilson(value, _effective_size(hits, groups)), n)


def shrunken(hits: ArrayLike, groups: ArrayLike, reason: str = "no photo to count") -> Interval:
    """As `proportion`, but the value is never 0 or 1: half an observation is added to each side.

    The mean under Jeffreys' prior (Brown, Cai & DasGupta, Stat Sci 2001;16:101).
    """
    plain = proportion(hits, groups, reason)
    if not plain.known:
        return plain
    n = _effective_size(np.asarray(hits, dtype=float), np.asarray(groups))
    return replace(plain, value=(plain.value * n + 0.5) / (n + 1))


def mean_of(parts: list[Interval], n: int, reason: str = "") -> Interval:
    """Mean of independent figures: distances to the limits are squared and added (Zou & Donner 2008)."""
    value = sum(p.value for p in parts) / len(parts)
    below = math.sqrt(sum((p.value - p.lo) ** 2 for p in parts)) / len(parts)
    above = math.sqrt(sum((p.hi - p.value) ** 2 for p in parts)) / len(parts)
    return Interval(value, max(0.0, value - below), min(1.0, value + above), n, reason)


def ratio(a: Interval, b: Interval) -> tuple[float, float, float]:
    """Ratio of two independent rates with its interval (Donner & Zou 2012), infinite where b may be 0."""
    product = a.value * b.value
    # the published lower limit times its conjugate, so that no denominator vanishes
    up = a.lo * (2 * a.value - a.lo)
    root = math.sqrt(max(0.0, product**2 - up * b.hi * (2 * b.value - b.hi)))
    lo = up / (product + root) if product + root else 0.0
    down = b.lo * (2 * b.value - b.lo)
    root = math.sqrt(max(0.0, product**2 - a.hi * (2 * a.value - a.hi) * down))
    hi = (product + root) / down if down else math.inf
    return (a.value / b.value if b.value else math.inf), lo, hi


def percentiles(replicates: Floats) -> tuple[float, float]:
    """95 % interval of a figure, from its values in the resamples."""
    lo, hi = np.quantile(replicates, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(lo), float(hi)


def normal_quantile() -> float:
    """Standard normal quantile of the intervals' upper end, about 1.96."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + _LEVEL / 2))


def _effective_size(hits: Floats, groups: NDArray[Any]) -> float:
    """Independent observations that a share of clustered photos is worth (Korn & Graubard 1998)."""
    from scipy.special import stdtrit

    n, value = len(hits), float(hits.mean())
    index = np.unique(groups, return_inverse=True)[1]
    clusters = int(index.max()) + 1
    if clusters == n:
        return n
    if clusters < 2 or value in (0.0, 1.0):
        return clusters
    sums = np.bincount(index, hits - value)
    variance = clusters / (clusters - 1) * float(sums @ sums) / n**2
    effective = value * (1 - value) / variance if variance else math.inf
    few = (stdtrit(n - 1, 0.5 + _LEVEL / 2) / stdtrit(clusters - 1, 0.5 + _LEVEL / 2)) ** 2
    return float(max(1.0, min(n, effective * few)))
