"""95 % intervals of figures, for photos of which several may be of one patient.

Each kind of figure has its rule:

- **Proportions** (sensitivity, specificity, PPV and NPV in the cohort, accuracy, top-k, coverage,
  abstention): Wilson's score interval with an *effective* sample size [1]_ [2]_: the number of photos divided
  by the design effect of patients who have several photos, and corrected for a small number of patients [3]_.
  Where the design effect cannot be had (0 of 20, 20 of 20, one patient) every patient counts once, so that 0
  of 20 is 0 to 16 % and never 0 to 0.
- **Functions of independent proportions**: the method of variance estimates recovery: "square and add" for
  means (balanced accuracy, macro sensitivity and specificity) [4]_, its ratio form for PPV and NPV at a
  stated prevalence [5]_. Patients with photos on both sides are taken as independent there; specificities of
  several labels compete for the same photos, which makes their mean's interval a little wide, never narrow.
- **AUROC and AUPRC**: Wilson's interval again, with the effective size that their variance implies [6]_ [7]_.
  The variance is the bootstrap's, but not below what a ranking of so many independent photos has (Hanley and
  McNeil's for the AUROC [8]_, the binomial with the positive photos for the AUPRC [9]_): near a perfect
  ranking the bootstrap sees too little. A perfect one counts as many observations as the smaller side has
  patients. Percentiles of the bootstrap covered 78 to 95 % in simulated cohorts of 8 to 100 affected
  patients, this covers 93 to 99 %.
- **Calibration error**: inversion of its test, see `anthropo.learning.metrics.judge`.
- **The rest** (Brier score, log loss, size of sets, every paired difference): percentiles of the bootstrap.

The bootstrap resamples *patients* with all their photos, within each label, so that label shares stay those
of the cohort; it draws one patient fewer than there are and rescales, which makes its variance unbiased
[10]_.

References
----------
.. [1] Wilson EB. Probable inference, the law of succession, and statistical inference. JASA 22:209 (1927).
.. [2] Franco C, et al. Comparative study of confidence intervals for proportions in complex sample surveys. J
   Surv Stat Methodol 7:334 (2019).
.. [3] Korn EL, Graubard BI. Confidence intervals for proportions with small expected number of positive
   counts estimated from survey data. Surv Methodol 24:193 (1998).
.. [4] Zou GY, Donner A. Construction of confidence limits about effect measures: a general approach. Stat Med
   27:1693 (2008).
.. [5] Donner A, Zou GY. Closed-form confidence intervals for functions of the normal mean and standard
   deviation. Stat Methods Med Res 21:347 (2012).
.. [6] Kottas M, Kuss O, Zapf A. A modified Wald interval for the area under the ROC curve in diagnostic
   case-control studies. BMC Med Res Methodol 14:26 (2014).
.. [7] Newcombe RG. Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part
   2. Stat Med 25:559 (2006).
.. [8] Hanley JA, McNeil BJ. The meaning and use of the area under a receiver operating characteristic (ROC)
   curve. Radiology 143:29 (1982).
.. [9] Boyd K, Eng KH, Page CD. Area under the precision-recall curve: point estimates and confidence
   intervals. ECML PKDD 2013.
.. [10] Rao JNK, Wu CFJ. Resampling inference with complex survey data. JASA 83:231 (1988).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float  # NaN: cannot be had, and `reason` says why
    lo: float = math.nan
    hi: float = math.nan
    n: int = 0  # photos that the figure is of
    reason: str = ""

    def __str__(self) -> str:
        """As text: ``0.912 (0.874 to 0.941)``; a dash where the figure cannot be had."""
        return number(self.value) + (f" ({self.bounds})" if self.bounds else "")

    @property
    def known(self) -> bool:
        """Whether the figure can be had."""
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
    return [as_json(v) for v in value] if isinstance(value, tuple) else value


def unknown(reason: str) -> Interval:
    """A figure that cannot be had, and why."""
    return Interval(math.nan, reason=reason)


def number(value: float) -> str:
    """Three decimals with a true minus; a dash for NaN."""
    text = f"{value:.3f}"
    return "–" if math.isnan(value) else "0.000" if float(text) == 0 else text.replace("-", "−")


def wilson(value: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion `value` of `n` (effective) observations."""
    z = normal_quantile()
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    # rounding must not push a limit past the value that it belongs to
    return float(min(value, max(0.0, centre - half))), float(max(value, min(1.0, centre + half)))


def proportion(hits: ArrayLike, groups: ArrayLike, reason: str = "no photo to count") -> Interval:
    """Share of hits (n,) with Wilson's interval for photos of patients `groups` (n,)."""
    hits, groups = np.asarray(hits, dtype=float), np.asarray(groups)
    n = len(hits)
    if not n:
        return unknown(reason)
    value = float(hits.mean())
    return Interval(value, *wilson(value, _effective_size(hits, groups)), n)


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
