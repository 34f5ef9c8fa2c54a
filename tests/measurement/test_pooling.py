from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from anthropo.measurement.compute import Measurement
from anthropo.measurement.pooling import Pooled, pool
from anthropo.measurement.registry import PIXELS, registry

IDS = [e.id for e in registry().values() if e.kind not in PIXELS and not e.needs_mm][:60]
WIDTH = "mouth_width"


def measured(name: str, value: float, sd: float = 0.01, reason: str = "", unit: str = "") -> Measurement:
    entry = registry()[name]
    half = 1.959964 * sd
    return Measurement(name, value, value - half, value + half, unit or entry.unit, entry.side, reason)


def photos(errors: np.ndarray, sd: float = 0.01) -> list[list[Measurement]]:
    """Errors (photos, measurements) in SD of the interval, around 0.5."""
    return [[measured(name, 0.5 + sd * e, sd) for name, e in zip(IDS, row, strict=True)] for row in errors]


def repeated(errors: np.ndarray, sd: float = 0.01) -> list[list[Measurement]]:
    """Errors (photos, measurements) in SD of the repeatability, of values a third as accurate."""
    return [[replace(m, repeat_sd=sd) for m in photo] for photo in photos(errors, sd)]


def half(m: Measurement | Pooled) -> float:
    return m.hi - m.value


def one(found: list[Pooled], name: str = WIDTH) -> Pooled:
    (m,) = [m for m in found if m.id == name]
    return m


# --------------------------------------------------------------------------------------- facts


def test_one_photo_is_passed_on_as_it_is() -> None:
    given = measured(WIDTH, 0.6)
    (m,) = pool([[given]])
    assert (m.id, m.value, m.lo, m.hi, m.unit, m.side, m.reason) == (
        WIDTH, given.value, given.lo, given.hi, "ex-ex", "mid", "",
    )  # fmt: skip
    assert m.photos == 1
    assert math.isnan(m.sd)
    assert math.isnan(m.repeatability)


def test_copies_of_one_photo_narrow_nothing() -> None:
    """The same picture five times tells as much as once."""
    for m in pool(photos(np.zeros((5, len(IDS))))):
        assert (m.photos, m.sd, m.repeatability) == (5, 0, 0)
        assert half(m) == pytest.approx(1.959964 * 0.01, rel=1e-9)


@pytest.mark.parametrize("n", [2, 5, 20])
@pytest.mark.parametrize("independent", [0.02, 0.1, 0.2])
def test_intervals_cover_whatever_part_of_the_error_photos_share(n: int, independent: float) -> None:
    """Errors with a shared and an independent part, of which the function is told nothing."""
    random = np.random.default_rng(7)
    inside, narrower = [], []
    for _ in range(40):
        shared = random.normal(size=(1, len(IDS)))
        own = random.normal(size=(n, len(IDS)))
        errors = math.sqrt(1 - independent) * shared + math.sqrt(independent) * own
        for m in pool(photos(errors)):
            inside.append(m.lo <= 0.5 <= m.hi)
            narrower.append(half(m) / (1.959964 * 0.01))
    assert 0.93 < np.mean(inside) < 0.975
    expected = math.sqrt(1 - independent + independent / n)
    assert np.median(narrower) == pytest.approx(expected, abs=0.04)


def test_copies_of_one_photo_repeat_no_better() -> None:
    for m in pool(repeated(np.zeros((5, len(IDS))))):
        assert m.repeat_sd == pytest.approx(0.01)


@pytest.mark.parametrize("n", [2, 5])
def test_photos_that_scatter_as_they_may_repeat_as_well_as_their_mean(n: int) -> None:
    random = np.random.default_rng(3)
    found, inside = [], []
    for _ in range(40):
        for m in pool(repeated(random.normal(size=(n, len(IDS))))):
            found.append(m.repeat_sd / 0.01)
            inside.append(m.repeat_lo <= 0.5 <= m.repeat_hi)
    # a little wider: a scatter that is small by chance may as well be shared
    assert 1 / math.sqrt(n) < np.median(found) < 1 / math.sqrt(n) + 0.12
    assert 0.94 < np.mean(inside) < 0.985


def test_a_part_of_the_error_is_always_taken_for_shared() -> None:
    """However much a hundred photos scatter, a bias that they all have cannot be seen in them."""
    random = np.random.default_rng(2)
    for m in pool(photos(random.normal(size=(100, len(IDS))))):
        assert 0.88 < half(m) / (1.959964 * 0.01) < 0.92


def test_repeatability_is_the_spread_of_pooled_values() -> None:
    random = np.random.default_rng(3)
    found = [pool(photos(math.sqrt(0.3) * random.normal(size=(8, len(IDS))))) for _ in range(40)]
    values = np.array([[m.value for m in people] for people in found])
    stated = np.array([[m.repeatability for m in people] for people in found])
    between = np.array([[m.sd for m in people] for people in found])
    assert np.sqrt(np.mean(stated**2)) == pytest.approx(values.std(0).mean(), rel=0.1)
    assert np.sqrt(np.mean(between**2)) == pytest.approx(0.01 * math.sqrt(0.3), rel=0.1)
    assert (stated < between).all()


def test_one_photo_that_is_far_off_hardly_moves_the_value() -> None:
    random = np.random.default_rng(5)
    errors = 0.3 * random.normal(size=(8, len(IDS)))
    at = IDS.index("intercanthal_width")
    honest = one(pool(photos(errors)), "intercanthal_width").value
    errors[2, at] += 30
    mean = 0.5 + 0.01 * errors[:, at].mean()
    m = one(pool(photos(errors)), "intercanthal_width")
    assert abs(mean - honest) > 0.03
    assert abs(m.value - honest) < 0.006


def test_photos_that_disagree_widen_the_interval() -> None:
    errors = np.zeros((2, len(IDS)))
    errors[0], errors[1] = 0.4, -0.4
    calm = one(pool(photos(errors)), IDS[0])
    errors[:, 0] = 6, -6
    torn = one(pool(photos(errors)), IDS[0])
    assert half(torn) > 1.5 * half(calm)


def test_a_much_worse_photo_hardly_counts() -> None:
    """Both share their error: the blurred one, five times as uncertain, is the same error made larger."""
    random = np.random.default_rng(1)
    sharp = [measured(name, 0.5 + 0.001 * e) for name, e in zip(IDS, random.normal(size=60), strict=True)]
    blurred = [
        measured(name, 0.5 + 0.02 * e, 0.05) for name, e in zip(IDS, random.normal(size=60), strict=True)
    ]
    found = pool([sharp, blurred])
    wider = [half(m) / half(alone) for m, alone in zip(found, sharp, strict=True)]
    assert 0.99 < np.median(wider) < 1.03
    assert max(wider) < 1.15
    assert max(abs(m.value - alone.value) for m, alone in zip(found, sharp, strict=True)) < 0.001


# ------------------------------------------------------------------------------------- reasons


def test_voided_values_are_left_out_and_forced_ones_only_a_last_resort() -> None:
    nan = measured(WIDTH, math.nan, reason="voided by the photo gate: smile 0.5")
    forced = measured(WIDTH, 0.9, reason="voided by the photo gate: smile 0.6")
    good = measured(WIDTH, 0.6)
    m = one(pool([[nan], [good], [forced]]))
    assert (m.value, m.photos, m.reason) == (0.6, 1, "")
    m = one(pool([[nan], [forced], [forced]]))
    assert (m.value, m.photos, m.reason) == (0.9, 2, forced.reason)
    m = one(pool([[nan], [measured(WIDTH, math.nan, reason="a landmark lies beyond the photo's border")]]))
    assert math.isnan(m.value)
    assert m.photos == 0
    assert m.reason == "voided by the photo gate: smile 0.5; a landmark lies beyond the photo's border"


def test_units_are_pooled_apart() -> None:
    first = [measured(WIDTH, 0.6), measured(WIDTH, 52.0, 1.0, unit="mm")]
    second = [measured(WIDTH, 0.62), measured(WIDTH, 54.0, 1.0, unit="mm")]
    found = pool([first, second, [measured(WIDTH, 0.61)]])
    assert [(m.unit, m.photos) for m in found] == [("ex-ex", 3), ("mm", 2)]
    assert found[1].value == pytest.approx(53)


def test_what_cannot_be_negative_ends_at_zero() -> None:
    gap = [
        [measured("lip_gap", 0.004), measured(WIDTH, 0.5)],
        [measured("lip_gap", 0.005), measured(WIDTH, 0.5)],
    ]
    assert one(pool(gap), "lip_gap").lo == 0


def test_values_without_an_interval_are_averaged_without_one() -> None:
    nan = math.nan
    given = [Measurement("lip_a", v, nan, nan, "CIELAB", "mid", "no spread") for v in (10.0, 14.0)]
    (m,) = pool([[given[0]], [given[1]]])
    assert (m.value, m.photos) == (12.0, 2)
    assert math.isnan(m.lo)
    assert m.sd == pytest.approx(math.sqrt(8))


def test_of_nothing() -> None:
    assert pool([]) == []
