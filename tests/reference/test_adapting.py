from __future__ import annotations

import math

import numpy as np
import pytest

from anthropo.reference.adapting import (
    LEAST,
    LOG_SCALE_SD,
    SHIFT_SD,
    WITHIN_SD,
    Controls,
    CurveAdaptation,
    adaptation,
    adapted,
    under,
    with_margin,
)
from anthropo.reference.curve_fitting import log_density
from anthropo.reference.curves import Curve, Curves
from anthropo.reference.tables import load_reference


def curve(name: str = "mouth_width", sex: str = "female") -> Curve:
    reference = load_reference("web-all-ages")
    assert isinstance(reference, Curves)
    return reference.curve(name, sex)


def exact(residuals: object) -> Controls:
    x = np.asarray(residuals, dtype=np.float64)
    return Controls(x, np.zeros(len(x)), np.zeros(len(x)))


UNCHANGED = CurveAdaptation(0, 0.0, 0.0, 1.0)


def test_of_nobody_the_curve_stays_and_is_known_as_well_as_studios_agree() -> None:
    told = adaptation(exact([]))
    assert (told.people, round(told.shift, 12), round(told.scale, 12)) == (0, 0.0, 1.0)
    assert told.shift_sd == pytest.approx(SHIFT_SD, rel=0.01)
    before, after = curve(), adapted(curve(), told, (), (5.0, 6.0), "s")
    for age in (5.0, 5.7):
        old, new = before.row(age, None)[0], after.row(age, None)[0]
        assert new.mean == pytest.approx(old.mean, rel=1e-3)
        assert new.sd == pytest.approx(old.sd, rel=0.01)


def test_controls_without_a_shift_give_the_shipped_curve_back() -> None:
    random = np.random.default_rng(1)
    told = [adaptation(exact(random.standard_normal(n))) for n in (5, 20, 150) for _ in range(40)]
    shifts, scales = [one.shift for one in told], [one.scale for one in told]
    assert abs(np.mean(shifts)) < 0.05
    assert np.mean(scales) == pytest.approx(1, abs=0.05)
    assert np.std(shifts[80:]) < 0.12


def test_many_controls_of_a_shift_and_scale_give_both() -> None:
    random = np.random.default_rng(2)
    told = adaptation(exact(0.9 + 0.75 * random.standard_normal(4000)))
    assert told.shift == pytest.approx(0.9, abs=0.04)
    assert told.scale == pytest.approx(0.75, abs=0.04)


def test_few_are_believed_as_far_as_their_number_goes() -> None:
    # normal values and prior: n / (n + 1 / τ²) of the mean, but for the scale, which is not known either
    for n in (5, 10, 20):
        x = 0.6 + np.linspace(-1.3, 1.3, n)
        told = adaptation(exact(x))
        assert told.shift == pytest.approx(0.6 * n / (n + SHIFT_SD**-2), abs=0.04)
        assert told.shift_sd == pytest.approx(math.sqrt(1 / (n + SHIFT_SD**-2)), rel=0.15)
    shifts = [adaptation(exact(np.full(n, 1.0) + np.linspace(-1, 1, n))).shift for n in (1, 3, 9, 27)]
    assert shifts == sorted(shifts)


def test_the_scale_is_the_mean_of_an_independent_sampler() -> None:
    """The same posterior by importance sampling: draws from the prior, weighted by the likelihood."""
    random = np.random.default_rng(3)
    x, errors, skew = random.normal(0.5, 1.3, 8), random.uniform(0.1, 0.6, 8), np.full(8, 0.2)
    shift, log_scale = random.normal(0, SHIFT_SD, 200_000), random.normal(0, LOG_SCALE_SD, 200_000)
    log_weight = np.zeros(200_000)
    for value, error in zip(x, errors, strict=True):
        spread = np.hypot(np.exp(log_scale), error)
        far = math.hypot(5, error)
        right = np.exp(log_density((value - shift) / spread, 0.2)) / spread
        log_weight += np.log(0.95 * right + 0.05 * math.exp(-((value / far) ** 2) / 2) / far)
    weight = np.exp(log_weight - log_weight.max())
    told = adaptation(Controls(x, errors, skew))
    assert told.shift == pytest.approx(np.average(shift, weights=weight), abs=0.01)
    assert math.log(told.scale) == pytest.approx(np.average(log_scale, weights=weight), abs=0.01)


@pytest.mark.parametrize("away", [5.0, 10.0, 1000.0])
def test_one_wrong_photo_in_ten_moves_little(away: float) -> None:
    x = np.linspace(-1.5, 1.5, 9)
    clean, spoiled = adaptation(exact(x)), adaptation(exact([*x, away]))
    assert abs(spoiled.shift - clean.shift) < 0.1  # the plain mean moves by half an SD and more
    assert spoiled.scale < 1.15 * clean.scale


def test_photographs_that_scatter_say_less() -> None:
    x = np.full(10, 0.8) + np.linspace(-1, 1, 10)
    sharp = adaptation(Controls(x, np.full(10, 0.1), np.zeros(10)))
    blurred = adaptation(Controls(x, np.full(10, 2.0), np.zeros(10)))
    assert 0 < blurred.shift < sharp.shift
    assert blurred.shift_sd > sharp.shift_sd


def test_an_adapted_curve_is_shifted_scaled_and_says_how_well_it_is_known() -> None:
    before = curve()
    after = adapted(before, CurveAdaptation(12, 0.5, 0.25, 0.8), (), (6.0, 9.0), "web-all-ages, adapted")
    assert (after.grade, after.source, after.instrument) == ("B", "web-all-ages, adapted", before.instrument)
    assert after.ages[0] == pytest.approx(7 * math.exp(-0.25) - 1)
    assert after.ages[-1] == pytest.approx(10 * math.exp(0.25) - 1)
    old, people = before.row(7.3, None)
    new, n = after.row(7.3, None)
    assert new.mean == pytest.approx(old.mean + 0.5 * old.sd, abs=0.03 * old.sd)
    assert new.sd == pytest.approx(0.8 * old.sd, rel=0.02)
    assert n == pytest.approx(1 / (1 / people + (0.25**2 + WITHIN_SD**2) / 0.8**2), abs=0.6)


def test_an_adapted_curve_keeps_the_groups_that_controls_were_of() -> None:
    before = curve()
    after = adapted(before, UNCHANGED, ("asian", "white"), (6.0, 9.0), "s")
    assert after.groups == ("asian", "white")
    for group in after.groups:
        old, new = before.row(7.3, group)[0], after.row(7.3, group)[0]
        assert new.mean == pytest.approx(old.mean, rel=2e-3)
        assert new.sd == pytest.approx(old.sd, rel=0.01)
    both = [after.row(7.3, group)[0].mean for group in after.groups]
    assert after.row(7.3, None)[0].mean == pytest.approx(np.mean(both), rel=1e-3)


def test_an_adapted_curve_stays_within_the_ages_of_the_shipped_one() -> None:
    after = adapted(curve(), UNCHANGED, (), (0.0, 79.0), "s")
    assert (after.ages[0], after.ages[-1]) == (curve().ages[0], curve().ages[-1])
    assert with_margin((0.0, 1.0), 0.5) == (0.0, pytest.approx(2 * math.exp(0.5) - 1))


def test_people_under_a_row_are_in_its_sd_and_skew() -> None:
    row, _ = curve("nasal_index", "male").row(30.0, None)
    of = under([row, row], [row.mean, row.mean + 2 * row.sd], [0.0, row.sd])
    assert of.residuals.tolist() == pytest.approx([0, 2])
    assert of.errors.tolist() == pytest.approx([0, 1])
    assert of.skew.tolist() == [row.skew] * 2
    assert len(of) == 2 < LEAST
