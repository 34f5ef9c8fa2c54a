"""Fitted curves to a table of curves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from anthropo.measurement.registry import Entry
from anthropo.reference.curve_fitting import Fit
from anthropo.reference.curves import Curve

#: Ages in years at which curves are tabulated; between two of them they are as good as straight.
AGES = (
    0, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 25, 30, 35, 40, 45, 50, 55, 60,
    65, 70, 75, 80, 85, 90, 95, 100,
)  # fmt: skip
SEXES = ("female", "male")
_CARRIED = 0.4  # least share of the variance that is between people, over all ages
_ASKED = np.array([1.0, 5.0, 12.0, 30.0, 60.0])


def is_carried(
    fit: Fit, entry: Entry, ages: NDArray[np.float64] = _ASKED, sexes: Sequence[str] = SEXES
) -> bool:
    """Whether photographs tell enough of people, and a curve through its middle describes them."""
    for sex in sexes:
        median, sd, _ = fit.at(ages, sex == "female")
        if np.mean(sd**2 / (sd**2 + fit.error**2)) < _CARRIED:
            return False
        # never below zero and mostly near it
        if entry.kind in ("distance", "area", "texture") and (median < 2 * sd).any():
            return False
    return True


def with_both_sides(names: Collection[str]) -> set[str]:
    """Names without those of one side whose other side is missing: alone they would compare nobody's sides.

    Examples
    --------
    >>> sorted(with_both_sides(["pfl_R", "pfl_L", "brow_L", "mouth_width"]))
    ['mouth_width', 'pfl_L', 'pfl_R']
    """
    other = {"_R": "_L", "_L": "_R"}
    return {name for name in names if name[:-2] + other.get(name[-2:], name[-2:]) in names}


def tabulated(
    fit: Fit,
    entry: Entry,
    groups: Sequence[str],
    oldest: float,
    grade: str,
    source: str,
    instrument: str,
    youngest: float = 0.0,
    sexes: Sequence[str] = SEXES,
) -> list[Curve]:
    """The curves of the sexes in the form of a table, from the youngest to the oldest age in years."""
    inside = [age for age in AGES if youngest < age < oldest]
    ages = np.array([youngest, *inside, oldest])
    curves = []
    for sex in sexes:
        female = sex == "female"
        median, sd, n = fit.at(ages, female)
        columns = [n, median, sd, np.full(len(ages), fit.skew)]
        for g in range(len(groups)):
            of_median, _, of_group = fit.at(ages, female, g)
            columns += [of_median - median, of_group]
        written = [
            ",".join(_digits(column, float(v)) for column, v in enumerate(row))
            for row in zip(*columns, strict=True)
        ]
        curves.append(
            Curve(
                entry.id, entry.unit, sex, grade, source, instrument, tuple(ages.tolist()), tuple(written),
                tuple(groups),
            )
        )  # fmt: skip
    return curves


def _digits(column: int, value: float) -> str:
    """A number as it is written: people as whole ones, the others with what they are known to."""
    if column == 0 or (column > 3 and column % 2):
        return f"{value:.0f}"
    return f"{value:.2f}" if column == 3 else f"{value:.5g}" if column == 1 else f"{value:.3g}"
