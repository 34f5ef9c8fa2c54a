"""A figure of several sites as one, and how much it differs between sites: random-effects meta-analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from anthropo.learning.intervals import Interval, normal_quantile
from anthropo.learning.judged import Floats

_LEVEL = 0.975


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledOverSites:
    """A proportion or AUROC over sites."""

    sites: int  # that the figure could be computed at
    value: float  # NaN: cannot be computed, and `reason` says why
    lo: float = math.nan  # 95 % interval of the mean site
    hi: float = math.nan
    new_lo: float = math.nan  # 95 % prediction interval: what another such site may show
    new_hi: float = math.nan
    tau: float = math.nan  # SD between sites, log-odds
    i2: float = math.nan  # share of the variance that is between sites
    reason: str = ""

    @property
    def mean(self) -> Interval:
        """The mean site's figure."""
        return Interval(self.value, self.lo, self.hi, reason=self.reason)

    @property
    def new(self) -> Interval:
        """What another such site may show."""
        return Interval(self.value, self.new_lo, self.new_hi, reason=self.reason)


def pooled(figures: Mapping[str, Interval]) -> PooledOverSites:
    """One figure of all sites.

    Notes
    -----
    Random effects on the log-odds scale [1]_, the variance between sites by restricted maximum likelihood,
    the interval of the mean by Hartung, Knapp, Sidik and Jonkman [2]_ (never narrower than without), the
    prediction interval by the same quantile [3]_. A figure of exactly 0 or 1 counts half a case more on
    either side. I² is that of Higgins and Thompson [4]_.

    References
    ----------
    .. [1] Debray TPA, et al. A guide to systematic review and meta-analysis of prediction model
       performance. BMJ 356:i6460 (2017).
    .. [2] IntHout J, et al. The Hartung-Knapp-Sidik-Jonkman method for random effects meta-analysis is
       straightforward and considerably outperforms the standard DerSimonian-Laird method. BMC Med Res
       Methodol 14:25 (2014).
    .. [3] IntHout J, et al. Plea for routinely presenting prediction intervals in meta-analysis. BMJ Open
       6:e010247 (2016).
    .. [4] Higgins JPT, Thompson SG. Quantifying heterogeneity in a meta-analysis. Stat Med 21:1539 (2002).

    Examples
    --------
    >>> from anthropo.learning.heterogeneity import pooled
    >>> from anthropo.learning.intervals import Interval
    >>> over = pooled({"Rome": Interval(0.7, 0.6, 0.784), "Oslo": Interval(0.8, 0.69, 0.88)})
    >>> print(f"{over.value:.1f} of {over.sites} sites")
    0.7 of 2 sites
    """
    known = [figure for figure in figures.values() if figure.known and figure.lo < figure.hi]
    if len(known) < 2:
        there = "no site has" if not known else "only one site has"
        return PooledOverSites(sites=len(known), value=math.nan, reason=f"{there} this figure")
    effects, variances = (np.array(of) for of in zip(*map(_log_odds, known), strict=True))
    mean, error, tau2, i2 = random_effects(effects, variances)
    half = _quantile(len(known) - 1) * error
    new = _quantile(len(known) - 1) * math.sqrt(tau2 + error**2) if len(known) > 2 else math.nan
    value, lo, hi, new_lo, new_hi = (_share(mean + by) for by in (0, -half, half, -new, new))
    return PooledOverSites(
        sites=len(known), value=value, lo=lo, hi=hi, new_lo=new_lo, new_hi=new_hi, tau=math.sqrt(tau2), i2=i2
    )


def random_effects(effects: Floats, variances: Floats) -> tuple[float, float, float, float]:
    """Mean of effects (k,), its standard error, the variance between them (REML), and I²."""
    from scipy.optimize import minimize_scalar

    k = len(effects)

    def fit(tau2: float) -> tuple[Floats, float]:
        weights = 1 / (variances + tau2)
        return weights, float(weights @ effects / weights.sum())

    def loss(tau2: float) -> float:
        weights, mean = fit(tau2)
        return float(-np.log(weights).sum() + math.log(weights.sum()) + weights @ (effects - mean) ** 2)

    most = 10 * float(effects.var(ddof=1)) + float(variances.max())
    tau2 = float(minimize_scalar(loss, bounds=(0.0, most), method="bounded", options={"xatol": 1e-9}).x)
    if loss(0.0) <= loss(tau2):
        tau2 = 0.0
    weights, mean = fit(tau2)
    scale = max(1.0, float(weights @ (effects - mean) ** 2) / (k - 1))
    precision = 1 / variances
    typical = (k - 1) * precision.sum() / (precision.sum() ** 2 - (precision**2).sum())
    return mean, math.sqrt(scale / weights.sum()), tau2, float(tau2 / (tau2 + typical))


def _log_odds(figure: Interval) -> tuple[float, float]:
    """Log-odds of a figure and their variance, which Wilson's interval states: it is even on that scale."""
    z = normal_quantile()
    if 0 < figure.value < 1 and figure.lo > 0 and figure.hi < 1:
        width = _logit(figure.hi) - _logit(figure.lo)
        return _logit(figure.value), (width / 2 / z) ** 2
    far = figure.lo if figure.value > 0.5 else 1 - figure.hi
    n = max(1.0, z * z * far / (1 - far))  # as many observations have Wilson's limit there when all are hits
    hits = figure.value * n + 0.5
    share = hits / (n + 1)
    return _logit(share), 1 / hits + 1 / (n + 1 - hits)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _quantile(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, _LEVEL))
