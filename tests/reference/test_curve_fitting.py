"""Curves over age that are fitted to simulated people, of whom everything is known."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anthropo.measurement.registry import registry
from anthropo.reference.curve_building import is_carried, tabulated
from anthropo.reference.curve_fitting import Fit, MeasuredPeople, fit_curves, log_density
from anthropo.reference.curves import half_width, standardise

Floats = NDArray[np.float64]
ASKED = np.array([1.0, 4.0, 10.0, 25.0, 60.0])
SD, BY_SEX, BY_GROUP = 0.03, 0.01, np.array([-0.02, 0.0, 0.03])


def truth(age: Floats, female: bool | NDArray[np.bool_], group: int | NDArray[np.int64]) -> Floats:
    """The median of simulated people; it moves fastest in the first year."""
    curve = 0.40 + 0.05 * np.log1p(age) - 0.0006 * age
    return np.asarray(curve + np.where(female, -BY_SEX, BY_SEX) / 2 + BY_GROUP[group])


def simulate(
    n: int = 3000, *, error: float = 0.0, seed: int = 0, skew: float = 0.0, sd: float = SD
) -> MeasuredPeople:
    random = np.random.default_rng(seed)
    age = np.expm1(random.uniform(0, np.log1p(80), n))
    female, group = random.random(n) < 0.5, random.integers(0, 3, n)
    at = random.normal(size=n)
    if skew:  # the values whose normal scores these are
        grid = np.linspace(-12, 12, 20001)
        at = np.interp(at, [standardise(float(x), skew) for x in grid], grid)
    values = truth(age, female, group) + sd * at + error * random.normal(size=n)
    return MeasuredPeople(values, age, age, female, group, np.full(n, error))


def medians(fit: Fit) -> Floats:
    """By sex and group, at the ages asked for."""
    return np.array([fit.at(ASKED, female, g)[0] for female in (False, True) for g in range(3)])


def changed(people: MeasuredPeople, **columns: Floats) -> MeasuredPeople:
    return MeasuredPeople(
        *(columns.get(name, getattr(people, name)) for name in MeasuredPeople.__dataclass_fields__)
    )


@pytest.fixture(scope="module")
def people() -> MeasuredPeople:
    return simulate()


@pytest.fixture(scope="module")
def fit(people: MeasuredPeople) -> Fit:
    return fit_curves(people, 3)


def test_known_curves_are_found_by_age_sex_and_group(fit: Fit) -> None:
    for female in (False, True):
        for g in range(3):
            median, sd, n = fit.at(ASKED, female, g)
            # by as many people as it says it is known
            assert np.abs((median - truth(ASKED, female, g)) / (SD / np.sqrt(n))).max() < 4
            assert np.abs(median - truth(ASKED, female, g)).max() < 0.3 * SD
            assert sd == pytest.approx(SD, rel=0.12)
    assert abs(fit.skew) < 0.1  # 3 standard errors of so many people


def test_scores_of_other_people_are_normal(fit: Fit) -> None:
    z = fit.scores(simulate(seed=1))
    assert z.mean() == pytest.approx(0, abs=0.06)
    assert z.std() == pytest.approx(1, abs=0.05)
    assert (np.abs(z) > 2).mean() == pytest.approx(0.0455, abs=0.015)


def test_all_groups_mixed_are_the_mean_of_them(fit: Fit) -> None:
    each = np.mean([fit.at(ASKED, True, g)[0] for g in range(3)], axis=0)
    assert fit.at(ASKED, True)[0] == pytest.approx(each)


def test_a_spread_that_grows_with_age_is_found() -> None:
    people = simulate(4000)
    middle = truth(people.age_lo, people.female, people.group)
    growing = middle + (people.values - middle) * (0.5 + people.age_lo / 40)
    _, sd, _ = fit_curves(changed(people, values=growing), 3).at(ASKED, True, 0)
    assert sd == pytest.approx(SD * (0.5 + ASKED / 40), rel=0.2)


@pytest.mark.parametrize("skew", [-0.4, 0.4])
def test_skewness_is_found_and_taken_out(skew: float) -> None:
    people = simulate(skew=skew)
    fit = fit_curves(people, 3)
    assert fit.skew == pytest.approx(skew, abs=0.08)
    z = fit.scores(simulate(seed=1, skew=skew))
    for tail in (z > 2, z < -2):
        assert tail.mean() == pytest.approx(0.0228, abs=0.01)
    assert fit.at(ASKED, True, 1)[0] == pytest.approx(truth(ASKED, True, 1), abs=0.3 * SD)


def test_ages_in_whole_years_give_the_curve_of_exact_ages(people: MeasuredPeople, fit: Fit) -> None:
    years = np.floor(people.age_lo)
    whole = fit_curves(changed(people, age_lo=years, age_hi=years + 1), 3)
    exact_at_birth = fit.at(np.array([0.1, 0.9]), True, 1)[0]
    moved = whole.at(np.array([0.1, 0.9]), True, 1)[0]
    assert np.abs(medians(whole) - medians(fit)).max() < 0.1 * SD
    # even within the first year, of which the labels say nothing but 0
    assert np.abs(moved - exact_at_birth).max() < 0.4 * SD
    taken_as_the_birthday = fit_curves(changed(people, age_lo=years, age_hi=years), 3)
    assert np.abs(medians(taken_as_the_birthday) - medians(fit))[:, 0].min() > 0.25 * SD


@pytest.mark.parametrize("what", ["smiles", "wrong ages"])
def test_one_in_twenty_that_is_wrong_moves_the_median_by_less_than_a_tenth(
    people: MeasuredPeople, fit: Fit, what: str
) -> None:
    random = np.random.default_rng(3)
    wrong = random.random(len(people)) < 0.05
    if what == "smiles":
        other = changed(people, values=people.values + np.where(wrong, 6 * SD, 0))
    else:
        ages = np.where(wrong, random.permutation(people.age_lo), people.age_lo)
        other = changed(people, age_lo=ages, age_hi=ages)
    moved = np.abs(medians(fit_curves(other, 3)) - medians(fit)) / SD
    assert moved.mean() < 0.1
    assert moved[:, 1:].max() < 0.15


def test_neither_order_nor_neighbours_in_other_threads_matter(people: MeasuredPeople, fit: Fit) -> None:
    shuffled = people.take(np.random.default_rng(4).permutation(len(people)))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda one: fit_curves(one, 3), (shuffled, people, shuffled)))
    assert (medians(found[1]) == medians(fit)).all()
    assert (medians(found[0]) == medians(found[2])).all()
    assert np.abs(medians(found[0]) - medians(fit)).max() < 1e-3 * SD
    assert found[0].skew == pytest.approx(fit.skew, abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(st.floats(1e-4, 1e4), st.floats(-1e3, 1e3))
def test_another_unit_gives_the_same_curves_in_that_unit(scale: float, shift: float) -> None:
    people = simulate(600, error=0.01)
    fit = fit_curves(people, 3)
    # the origin moves by so many SD of people
    origin = shift * SD * scale
    other = fit_curves(changed(people, values=people.values * scale + origin, error=people.error * scale), 3)
    for female in (False, True):
        a, b = fit.at(ASKED, female, 1), other.at(ASKED, female, 1)
        assert b[0] == pytest.approx(a[0] * scale + origin, abs=0.02 * SD * scale)
        assert b[1] == pytest.approx(a[1] * scale, rel=0.02)
        assert b[2] == pytest.approx(a[2], rel=0.1)
    assert other.skew == pytest.approx(fit.skew, abs=0.02)


@pytest.mark.parametrize("error", [0.0, 0.015, 0.03])
def test_the_spread_of_people_is_that_without_the_error_of_photographs(error: float) -> None:
    fit = fit_curves(simulate(4000, error=error), 3)
    _, sd, _ = fit.at(ASKED, False, 1)
    assert sd == pytest.approx(SD, rel=0.15)
    sharp, blurred = simulate(3000, error=0.002, seed=5), simulate(3000, error=0.04, seed=6)
    # whatever photographs were fitted, sharp and blurred ones are scored right
    assert fit.scores(sharp).std() == pytest.approx(1, abs=0.08)
    assert fit.scores(blurred).std() == pytest.approx(1, abs=0.08)


def cut(people: MeasuredPeople, border: float | Floats, side: int) -> MeasuredPeople:
    """What lies beyond a border is known to be there, and no more."""
    beyond = side * (people.values - border) > 0
    values = np.where(beyond, border, people.values)
    return dataclasses.replace(people, values=values, limit=np.where(beyond, side, 0))


@pytest.mark.parametrize(("side", "skew"), [(1, 0.3), (-1, 0.0)])
def test_who_is_cut_by_the_border_does_not_move_the_curves(side: int, skew: float) -> None:
    whole = simulate(3000, error=0.01, skew=skew)
    random = np.random.default_rng(3)
    # faces fill their photographs about alike: half of them are cut, nowhere quite at one place
    border = truth(whole.age_lo, whole.female, whole.group) + random.normal(0, 0.005, len(whole))
    limited = cut(whole, border, side)
    assert 0.4 < (limited.limits != 0).mean() < 0.6
    best, fit, left = (fit_curves(p, 3) for p in (whole, limited, limited.take(limited.limits == 0)))
    for female in (False, True):
        a, b, c = best.at(ASKED, female, 1), fit.at(ASKED, female, 1), left.at(ASKED, female, 1)
        assert np.abs(b[0] - a[0]).max() < 0.35 * SD
        assert np.abs(b[1] / a[1] - 1).max() < 0.25
        # without the limits it would be another curve
        assert (side * (a[0] - c[0])).min() > 0.5 * SD
        # a limit tells less than a value, and more than nothing
        assert (b[2] < a[2]).all()
    assert np.isnan(fit.scores(limited)).sum() == (limited.limits != 0).sum()


def test_limits_that_are_none_change_nothing(people: MeasuredPeople, fit: Fit) -> None:
    same = fit_curves(dataclasses.replace(people, limit=np.zeros(len(people), np.int64)), 3)
    assert (medians(same) == medians(fit)).all()
    assert same.skew == fit.skew
    # a limit that nobody could miss says nothing
    low = np.zeros(len(people), np.int64)
    low[::10] = 1
    told = dataclasses.replace(people, values=np.where(low, -1.0, people.values), limit=low)
    rest = fit_curves(people.take(low == 0), 3)
    assert medians(fit_curves(told, 3)) == pytest.approx(medians(rest), abs=0.05 * SD)


def test_a_mean_is_known_as_well_as_by_its_effective_n() -> None:
    ns, found = [], []
    for seed in range(24):
        fit = fit_curves(simulate(800, seed=seed), 3)
        median, _, n = fit.at(np.array([10.0]), True, 1)
        ns.append(n[0])
        found.append(median[0] - truth(np.array([10.0]), True, 1)[0])
    stated = SD / np.sqrt(np.mean(ns))
    assert 0.5 < np.std(found) / stated < 1.5
    assert np.mean(ns) < 800


def test_more_people_count_for_more_and_those_far_off_for_little() -> None:
    few, many = fit_curves(simulate(600), 3), fit_curves(simulate(2400), 3)
    at = np.array([10.0])
    assert 2 < many.at(at, True, 1)[2][0] / few.at(at, True, 1)[2][0] < 8
    young = simulate(2400).age_lo < 20
    without_old = fit_curves(simulate(2400).take(young), 3)
    assert without_old.at(np.array([60.0]), True, 1)[2][0] < 40 < without_old.at(at, True, 1)[2][0]


def test_equal_values_have_no_spread() -> None:
    people = simulate(300)
    with pytest.raises(ValueError, match="All values are equal"):
        fit_curves(changed(people, values=np.full(300, 0.4)), 3)


def test_without_groups_nothing_is_said_of_them() -> None:
    people = changed(simulate(1200), group=np.zeros(1200, np.int64))
    fit = fit_curves(people)
    (female, male) = tabulated(fit, registry()["intercanthal_width"], (), 80.0, "B", "town", "anthropo")
    assert (female.sex, male.sex) == ("female", "male")
    assert female.ages[0] == 0
    assert female.ages[-1] == 80
    row, n = male.row(10, None)
    assert row.mean == pytest.approx(truth(np.array([10.5]), False, 1)[0] + BY_GROUP.mean(), abs=0.3 * SD)
    assert row.sd == pytest.approx(np.hypot(SD, BY_GROUP.std()), rel=0.15)
    assert n > 40


def test_a_table_scores_as_the_fit_does(people: MeasuredPeople, fit: Fit) -> None:
    entry = registry()["intercanthal_width"]
    female, _ = tabulated(fit, entry, ("a", "b", "c"), 80.0, "B", "town", "anthropo")
    for age in (0.3, 1.7, 7.0, 33.3, 71.0):
        for g, group in enumerate("abc"):
            row, n = female.row(age, group, whole=False)
            median, sd, of_fit = (float(v[0]) for v in fit.at(np.array([age]), True, g))
            assert row.mean == pytest.approx(median, abs=0.03 * SD)
            assert row.sd == pytest.approx(sd, rel=0.02)
            assert n == pytest.approx(of_fit, rel=0.1)


def test_what_is_mostly_error_or_mostly_zero_is_not_carried() -> None:
    entry = registry()["intercanthal_width"]
    assert is_carried(fit_curves(simulate(1200, error=0.02), 3), entry)
    assert not is_carried(fit_curves(simulate(1200, error=0.06), 3), entry)
    people = simulate(1200)
    near_zero = changed(people, values=np.maximum(people.values - 0.45, 0) + 1e-4 * people.age_lo)
    assert not is_carried(fit_curves(near_zero, 3), entry)


@pytest.mark.parametrize("skew", [-0.7, 0.0, 0.7])
def test_a_density_adds_up_to_one(skew: float) -> None:
    x = np.linspace(-40, 40, 400_001)
    whole = np.exp(log_density(x, skew)).sum() * (x[1] - x[0]) / np.sqrt(2 * np.pi)
    assert whole == pytest.approx(1, abs=1e-4)
    assert half_width(skew) > 0
