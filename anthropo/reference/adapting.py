"""A curve of many people brought to where few people of another place are: a shift and a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anthropo.reference.curve_fitting import Floats, log_density, scale_of_age
from anthropo.reference.curves import Curve
from anthropo.reference.tables import ReferenceRow

#: How far one place's photographs are from web-all-ages, 1 SD over measurements, in SD of people: of the
#: shift, and of the logarithm of the scale. `python benchmarks/adapting.py` gives them, from two studios.
SHIFT_SD, LOG_SCALE_SD = 0.57, 0.31
#: How far the shift of one sex is from that of both, 1 SD, by the same command; of ages it is not known.
WITHIN_SD = 0.2
LEAST = 5  # people with a measurement: below, one wrong photo cannot be told from the others

_WRONG = 0.05  # share of photographs that may be of anything: a wrong person, a wrong age, a smile
_WRONG_SD = 5.0  # how far those are from the curve, 1 SD, in its SD
_REACH = 4.0  # the grid ends at so many SD of what is believed beforehand
_SHIFTS, _SCALES = 81, 31
_MARGIN = 0.25  # of the logarithm of age and one year: 20 to 40 years become 15 to 52


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """Healthy people under a curve, one photograph or the mean of several each.

    Attributes
    ----------
    residuals : (n,) array
        Value minus the curve's median, in its SD of people.
    errors : (n,) array
        SD between photographs of the person, in the same unit.
    skew : (n,) array
        The curve's, at the person's age.
    """

    residuals: Floats
    errors: Floats
    skew: Floats

    def __len__(self) -> int:
        return len(self.residuals)

    def take(self, rows: NDArray[np.int64]) -> Controls:
        """Some of the people."""
        return Controls(self.residuals[rows], self.errors[rows], self.skew[rows])


@dataclass(frozen=True, slots=True)
class CurveAdaptation:
    """What controls tell of a curve: means after they were seen.

    Attributes
    ----------
    people : int
        How many there were.
    shift : float
        Of the median, in SD of people.
    shift_sd : float
        How well it is known, 1 SD.
    scale : float
        What the SD of people is multiplied by.
    """

    people: int
    shift: float
    shift_sd: float
    scale: float


@lru_cache(maxsize=4)
def _grid(shift_sd: float, log_scale_sd: float) -> tuple[Floats, Floats, Floats]:
    """Shifts (a,), logarithms of scales (b,), and the logarithm of what is believed of both (a, b)."""
    shifts = np.linspace(-_REACH, _REACH, _SHIFTS) * shift_sd
    scales = np.linspace(-_REACH, _REACH, _SCALES) * log_scale_sd
    before = -((shifts[:, None] / shift_sd) ** 2 + (scales / log_scale_sd) ** 2) / 2
    return shifts, scales, before - np.log(np.exp(before).sum())


def log_likelihood(controls: Controls, shifts: Floats, scales: Floats) -> Floats:
    """Logarithm of the likelihood (a, b) of shifts (a,) and logarithms of scales (b,), but for a constant.

    A control is a healthy person, or in one of twenty cases wrong and anywhere, which says nothing of curves.
    """
    total = np.zeros((len(shifts), len(scales)))
    for residual, error, skew in zip(controls.residuals, controls.errors, controls.skew, strict=True):
        spread = np.hypot(np.exp(scales), error)
        x = (residual - shifts[:, None]) / spread
        right = log_density(x, float(skew)) - np.log(spread) + math.log(1 - _WRONG)
        far = math.hypot(_WRONG_SD, error)
        wrong = -((residual / far) ** 2) / 2 + math.log(_WRONG / far)
        total += np.logaddexp(right, wrong)
    return total


def adaptation(
    controls: Controls, shift_sd: float = SHIFT_SD, log_scale_sd: float = LOG_SCALE_SD
) -> CurveAdaptation:
    """How far a curve has to be shifted and scaled for few people, as far as they show it.

    Parameters
    ----------
    controls : Controls
        Any number; of none the curve stays as it is.
    shift_sd, log_scale_sd : float
        What is believed beforehand of the shift and of the logarithm of the scale: normal, about 0.

    Returns
    -------
    CurveAdaptation

    Notes
    -----
    Means over a grid of shifts and scales, each weighed by how likely it was beforehand and makes the
    controls. With n controls and exact photographs the shift is about their mean times
    ``n / (n + 1 / shift_sd²)``, an empirical Bayes estimate [1]_. One control in twenty may be wrong and
    anywhere (5 SD), so that an outlier is taken for what it is [2]_.

    References
    ----------
    .. [1] B. Efron, C. Morris, "Stein's estimation rule and its competitors - an empirical Bayes approach",
       Journal of the American Statistical Association 68 (1973) 117-130.
    .. [2] G. E. P. Box, G. C. Tiao, "A Bayesian approach to some outlier problems", Biometrika 55 (1968)
       119-129.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.reference.adapting import Controls, adaptation
    >>> away = np.array([0.4, 1.9, 0.7, 1.2, 0.8])  # SD, about 1 on average
    >>> told = adaptation(Controls(away, np.zeros(5), np.zeros(5)), shift_sd=0.5)
    >>> round(told.shift, 1), told.shift_sd < 0.5
    (0.6, True)
    """
    shifts, scales, before = _grid(shift_sd, log_scale_sd)
    after = before + log_likelihood(controls, shifts, scales)
    weights = np.exp(after - after.max())
    weights /= weights.sum()
    of_shift, of_scale = weights.sum(axis=1), weights.sum(axis=0)
    shift = float(of_shift @ shifts)
    shift_spread = math.sqrt(float(of_shift @ (shifts - shift) ** 2))
    return CurveAdaptation(len(controls), shift, shift_spread, math.exp(float(of_scale @ scales)))


def under(rows: Sequence[ReferenceRow], values: Sequence[float], errors: Sequence[float]) -> Controls:
    """People, each under the row of a curve for their sex, age and group.

    `errors` are SD between photographs of each person, in the unit of the values.
    """
    sd = np.array([row.sd for row in rows])
    return Controls(
        (np.asarray(values) - [row.mean for row in rows]) / sd,
        np.asarray(errors) / sd,
        np.array([row.skew for row in rows]),
    )


def adapted(
    curve: Curve, told: CurveAdaptation, groups: Sequence[str], ages: tuple[float, float], source: str
) -> Curve:
    """A curve, shifted and scaled, over the ages of controls and a quarter of the logarithm of age around.

    Parameters
    ----------
    curve : Curve
    told : CurveAdaptation
    groups : sequence of str
        Those of the curve's groups of ancestry that controls were of; none: all of them mixed.
    ages : (float, float)
        The youngest and the oldest control, in years.
    source : str

    Returns
    -------
    Curve
        Of grade B, or C as the curve is. Its effective n holds, beside the error of the curve, that of the
        shift and how far one sex is from both.
    """
    lowest, highest = with_margin(ages, _MARGIN)
    lowest, highest = max(lowest, curve.ages[0]), min(highest, curve.ages[-1])
    every = (lowest, *(age for age in curve.ages if lowest < age < highest), highest)
    lines = []
    for age in every:
        if groups:
            knot = curve.at(age)
            places = [curve.groups.index(group) for group in groups]
            shifts = [knot.shifts[place] for place in places]
            middle = sum(shifts) / len(shifts)
            median, sd, skew = knot.median + middle, knot.sd, knot.skew
            counts = [_effective(knot.counts[place], told) for place in places]
            n = len(counts) / sum(1 / count for count in counts)
            of_groups = [(s - middle, count) for s, count in zip(shifts, counts, strict=True)]
        else:
            row, people = curve.row(age, None, whole=False)
            median, sd, skew = row.mean, row.sd, row.skew
            n, of_groups = _effective(people, told), []
        cells = [f"{n:.0f}", f"{median + told.shift * sd:.5g}", f"{sd * told.scale:.3g}", f"{skew:.2f}"]
        cells += [cell for shift, count in of_groups for cell in (f"{shift:.3g}", f"{count:.0f}")]
        lines.append(",".join(cells))
    grade = max("B", curve.grade)  # C is worse
    return Curve(
        curve.measurement, curve.unit, curve.sex, grade, source, curve.instrument, every, tuple(lines),
        tuple(groups),
    )  # fmt: skip


def _effective(n: float, told: CurveAdaptation) -> float:
    """How many people would give a median with the errors of the curve's and of one shift for all."""
    return 1 / (1 / max(n, 1.0) + (told.shift_sd**2 + WITHIN_SD**2) / told.scale**2)


def with_margin(ages: tuple[float, float], margin: float) -> tuple[float, float]:
    """A range of ages, wider by some of the logarithm of age and one year."""
    low, high = scale_of_age(np.array(ages))
    return max(float(np.expm1(low - margin)), 0.0), float(np.expm1(high + margin))
