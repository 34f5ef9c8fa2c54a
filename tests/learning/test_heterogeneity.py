from __future__ import annotations

import math

import numpy as np
import pytest

from anthropo.learning.heterogeneity import pooled, random_effects
from anthropo.learning.intervals import Interval, proportion, unknown

# BCG vaccine trials (Colditz et al. 1994), log risk ratios and variances as metafor's dat.bcg prints them
BCG = np.array([
    (-0.8893, 0.3256), (-1.5854, 0.1946), (-1.3481, 0.4154), (-1.4416, 0.0200), (-0.2175, 0.0512),
    (-0.7861, 0.0069), (-1.6209, 0.2230), (0.0120, 0.0040), (-0.4694, 0.0564), (-1.3713, 0.0730),
    (-0.3394, 0.0124), (0.4459, 0.5325), (-0.0173, 0.0714),
])  # fmt: skip


def share(hits: int, n: int) -> Interval:
    return proportion(np.arange(n) < hits, np.arange(n))


def test_a_published_meta_analysis() -> None:
    mean, error, tau2, i2 = random_effects(*BCG.T)
    # metafor: rma(yi, vi, method = "REML", test = "knha"); inputs are rounded to four digits
    assert mean == pytest.approx(-0.7145, abs=2e-3)
    assert error == pytest.approx(0.1807, abs=2e-3)
    assert tau2 == pytest.approx(0.3132, abs=3e-3)
    assert i2 == pytest.approx(0.9222, abs=2e-3)


def test_sites_that_agree_have_no_variance_between_them() -> None:
    over = pooled({name: share(80, 100) for name in "abcd"})
    assert (over.sites, over.tau, over.i2) == (4, 0, 0)
    assert over.value == pytest.approx(0.8)
    assert over.lo < 0.8 < over.hi
    assert (over.new_lo, over.new_hi) == (over.lo, over.hi)
    alone = share(320, 400)
    assert over.hi - over.lo > alone.hi - alone.lo


def test_sites_that_differ_say_so() -> None:
    over = pooled({"a": share(95, 100), "b": share(60, 100), "c": share(85, 100)})
    assert over.i2 > 0.8
    assert over.new_lo < over.lo < 0.8 < over.hi < over.new_hi


def test_all_right_is_no_infinite_log_odds() -> None:
    over = pooled({"a": share(20, 20), "b": share(0, 20), "c": share(10, 20)})
    assert over.value == pytest.approx(0.5, abs=1e-6)
    assert all(map(math.isfinite, (over.lo, over.hi, over.tau)))


def test_what_one_site_has_is_not_pooled() -> None:
    over = pooled({"a": share(9, 10), "b": unknown("every photo is of control")})
    assert math.isnan(over.value)
    assert over.reason == "only one site has this figure"
    assert pooled({"a": unknown("no")}).reason == "no site has this figure"
    two = pooled({"a": share(9, 10), "b": share(8, 10)})
    assert math.isfinite(two.lo)
    assert math.isnan(two.new_lo)  # two sites do not say what a third may show
