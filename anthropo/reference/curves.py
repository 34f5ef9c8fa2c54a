"""Reference curves: what healthy people of any age measure, between ages at which it is tabulated."""

from __future__ import annotations

import csv
import io
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.files import file_sha256
from anthropo.reference.person import MAX_AGE
from anthropo.reference.tables import (
    EXPRESSION,
    Reference,
    ReferenceRow,
    checked_entry,
    checked_lines,
    own_expressions,
)

Numbers = TypeVar("Numbers", float, NDArray[np.float64])

#: Columns of a table of curves, before two for each group of ancestry and, at the end, source and instrument.
COLUMNS = ("measurement", "unit", "sex", "grade", "age", "n", "median", "sd", "skew")
LAST = ("source", "instrument")
SHIFT, COUNT = "_shift", "_n"  # of a group's two columns: from the median, in its unit; effective n
LEAST_N = 40  # below this effective n nobody is scored: the error of the mean is a sixth of an SD
LEAST_OWN_N = 3  # the same of a table of somebody's own: z-scores are pulled in, and intervals are wide
_PARTS = 4  # ages that stand for an age in completed years
_KEPT = 24  # ages of which a curve remembers what it was asked for
_HEAD = 5  # columns up to the age


class Knot(NamedTuple):
    """One sex at one age, in one measurement."""

    n: float  # effective, of all groups mixed
    median: float
    sd: float  # between people of one group, without the error of photographs
    skew: float
    shifts: tuple[float, ...]  # of each group from the median
    counts: tuple[float, ...]  # effective n of each group


@dataclass(slots=True, eq=False)
class _AtAge:
    """A curve at the ages that one age may mean."""

    knots: list[Knot]
    variance: float  # of people of one group, mean over the knots
    skew: float
    rows: dict[str | None, tuple[ReferenceRow, float]] = field(default_factory=dict)  # by group
    enough: dict[str, ReferenceRow] | None = None  # by group, of those with enough people


@dataclass(frozen=True, eq=False)
class Curve:
    """One measurement of one sex over age, linear between its knots."""

    measurement: str
    unit: str
    sex: str
    grade: str
    source: str
    instrument: str
    ages: tuple[float, ...]  # years, in order
    lines: tuple[str, ...]  # of each age, the numbers that follow it as they are written
    groups: tuple[str, ...]
    _read: dict[int, Knot] = field(default_factory=dict, repr=False)
    _ages_asked: dict[tuple[float, bool], _AtAge] = field(default_factory=dict, repr=False)

    def knot(self, place: int) -> Knot:
        """The knot at one of the ages."""
        if place not in self._read:
            n, median, sd, skew, *more = map(float, self.lines[place].split(",")[: 4 + 2 * len(self.groups)])
            self._read[place] = Knot(n, median, sd, skew, tuple(more[::2]), tuple(more[1::2]))
        return self._read[place]

    def at(self, age: float) -> Knot:
        """The knot at an exact age between the first and the last."""
        after = min(max(bisect_right(self.ages, age), 1), len(self.ages) - 1)
        low, high = self.ages[after - 1], self.ages[after]
        part = (age - low) / (high - low)

        def between(a: float, b: float) -> float:
            return a + part * (b - a)

        one, two = self.knot(after - 1), self.knot(after)
        return Knot(
            between(one.n, two.n),
            between(one.median, two.median),
            between(one.sd, two.sd),
            between(one.skew, two.skew),
            tuple(map(between, one.shifts, two.shifts)),
            tuple(map(between, one.counts, two.counts)),
        )

    def holds(self, age: float) -> bool:
        """Whether somebody of an age is on the curve; completed years are, in which it begins."""
        return math.floor(self.ages[0]) <= age <= self.ages[-1]

    def row(self, age: float, group: str | None, *, whole: bool = True) -> tuple[ReferenceRow, float]:
        """What people of an age and group measure, and the effective n.

        Completed years, that is whole ones unless told otherwise, are a span, over which the median moves.
        """
        at = self._at_age(age, whole and float(age).is_integer())
        if group not in at.rows:
            at.rows[group] = self._row(at, age, group)
        return at.rows[group]

    def by_group(self, age: float, least: float) -> Mapping[str, ReferenceRow]:
        """The rows of the groups with an effective n of `least` at an age, in completed years or exact."""
        at = self._at_age(age, float(age).is_integer())
        if at.enough is None:
            rows = {group: self.row(age, group) for group in self.groups}
            at.enough = {group: row for group, (row, n) in rows.items() if n >= least}
        return at.enough

    def _row(self, at: _AtAge, age: float, group: str | None) -> tuple[ReferenceRow, float]:
        knots, among = at.knots, 0.0
        if group is None:
            medians = [k.median for k in knots]
            # groups count alike, so that nobody's is taken for the rule
            among = _mean([_variance(k.shifts) for k in knots]) if self.groups else 0.0
            n = _mean([k.n for k in knots])
        else:
            g = self.groups.index(group)
            medians = [k.median + k.shifts[g] for k in knots]
            n = _mean([k.counts[g] for k in knots])
        sd = math.sqrt(at.variance + among + _variance(medians))
        row = ReferenceRow(
            self.measurement, self.unit, self.sex, age, age, max(2, round(n)), _mean(medians), sd, self.grade,
            self.source, self.instrument, 0.0, at.skew, of_people=True,
        )  # fmt: skip
        return row, n

    def _at_age(self, age: float, whole: bool) -> _AtAge:
        """What is kept of an age: one person's is asked for by every group, and people share ages."""
        if (age, whole) not in self._ages_asked:
            if len(self._ages_asked) >= _KEPT:
                self._ages_asked.clear()
            span = [age + (k + 0.5) / _PARTS for k in range(_PARTS)] if whole else [age]
            knots = [self.at(min(max(one, self.ages[0]), self.ages[-1])) for one in span]
            self._ages_asked[age, whole] = _AtAge(
                knots, _mean([k.sd**2 for k in knots]), _mean([k.skew for k in knots])
            )
        return self._ages_asked[age, whole]


def _is_shipped(name: str, path: Path) -> bool:
    """Shipped tables are named without the ending of their file."""
    return name != path.name


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    middle = _mean(values)
    return _mean([(value - middle) ** 2 for value in values])


@dataclass(frozen=True, slots=True, eq=False)
class Curves(Reference):
    """A table of curves. Numbers are read when a person needs them: of thousands, few do."""

    name: str
    path: Path
    sha256: str
    groups: tuple[str, ...]
    _curves: Mapping[str, Mapping[str, Curve]]  # by measurement and sex
    of_curves = True

    __repr__ = Reference.__repr__

    @property
    def is_shipped(self) -> bool:
        """Whether the table comes with anthropo."""
        return _is_shipped(self.name, self.path)

    @property
    def measurements(self) -> tuple[str, ...]:
        return tuple(self._curves)

    @property
    def instruments(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(curve.instrument for curve in self.every()))

    def every(self) -> Iterator[Curve]:
        """Each curve."""
        for of_measurement in self._curves.values():
            yield from of_measurement.values()

    def curve(self, measurement: str, sex: str) -> Curve:
        """The curve of a measurement and sex that it has."""
        return self._curves[measurement][sex]

    def rows_of(self, measurement: str) -> tuple[ReferenceRow, ...]:
        curves = self._curves.get(measurement, {}).values()
        return tuple(curve.row(age, None, whole=False)[0] for curve in curves for age in curve.ages)

    def at_age(self, age: float) -> tuple[ReferenceRow, ...]:
        chosen = (self._row(curve.measurement, [curve.sex], age, None)[0] for curve in self.every())
        return tuple(row for row in chosen if row)

    def sexes_of(self, measurement: str) -> tuple[str, ...]:
        return tuple(self._curves.get(measurement, ()))

    @property
    def ages(self) -> str:
        return _ages(self.every())

    @property
    def least(self) -> float:
        """The effective n below which nobody is scored."""
        return LEAST_N if self.is_shipped else LEAST_OWN_N

    def by_group(self, measurement: str, sex: str | None, age: float) -> Mapping[str, ReferenceRow]:
        curves = self._curves.get(measurement, {})
        curve = curves.get(sex or "", curves.get("both"))
        return curve.by_group(age, self.least) if curve and curve.holds(age) else {}

    def ages_of(self, measurement: str, sexes: Sequence[str]) -> str:
        return _ages(self.curve(measurement, sex) for sex in sexes)

    def _row(
        self, measurement: str, sexes: Sequence[str], age: float, group: str | None
    ) -> tuple[ReferenceRow | None, str]:
        curve = self.curve(measurement, sexes[0])
        if not curve.holds(age):
            return None, self._outside(age, self.ages_of(measurement, sexes[:1]))
        row, n = curve.row(age, group)
        least = self.least
        if n < least:
            of = f" of ancestry {group}" if group else ""
            mixed = curve.row(age, None)[1] if group else 0.0
            instead = f"; with the ancestry unknown as {math.floor(mixed)}" if mixed >= least else ""
            return None, (
                f"{self.name} has too few people{of} around age {_age(age)}: they count as {math.floor(n)}, "
                f"and {least} are needed{instead}"
            )
        return row, ""


def _age(years: float) -> str:
    """An age as a sentence has it; of infants to the hundredth of a year."""
    return f"{years:.2f}".rstrip("0").rstrip(".")


def _ages(curves: Iterable[Curve]) -> str:
    every = [curve.ages for curve in curves]
    return f"{min(ages[0] for ages in every):g} to {max(ages[-1] for ages in every):g} years"


def read_curves(path: Path, name: str, text: str) -> Curves:
    """A table of curves from its text; an InputError names the line and column that cannot be used.

    The numbers of a table that comes with anthropo are not looked at.
    """
    shipped = _is_shipped(name, path)
    header = re.split("[,;\t]", text.lstrip("\r\n").partition("\n")[0].rstrip("\r"))
    groups = tuple(c[: -len(SHIFT)] for c in (cell.strip(' "') for cell in header) if c.endswith(SHIFT))
    if "" in groups:
        raise InputError(
            f"{path}, line 1: column {SHIFT} names no group of ancestry. Write it as white{SHIFT}."
        )
    digest = file_sha256(path)
    if shipped:  # read when it is asked for something: most photographs come without sex and age
        return Curves(
            name, path, digest, groups,
            _Later(lambda: _parsed(path, groups, enumerate(text.splitlines()[1:], 2))),
        )  # fmt: skip
    return Curves(name, path, digest, groups, _parsed(path, groups, _as_written(path, text, columns(groups))))


class _Later(Mapping[str, Mapping[str, Curve]]):
    """Curves that are read when the first is asked for."""

    def __init__(self, read: Callable[[], Mapping[str, Mapping[str, Curve]]]) -> None:
        self._read = read

    @cached_property
    def _every(self) -> Mapping[str, Mapping[str, Curve]]:
        return self._read()

    def __getitem__(self, measurement: str) -> Mapping[str, Curve]:
        return self._every[measurement]

    def __iter__(self) -> Iterator[str]:
        return iter(self._every)

    def __len__(self) -> int:
        return len(self._every)


def _parsed(
    path: Path, groups: tuple[str, ...], lines: Iterable[tuple[int, str]]
) -> dict[str, dict[str, Curve]]:
    """The curves of numbered rows, by measurement and sex."""
    made: dict[str, dict[str, Curve]] = {}
    ages: list[float] = []
    rests: list[str] = []
    first = ("", "", "", "")
    start = 2
    origin = ("", "")
    for number, line in chain(lines, [(0, "")]):
        head = line.split(",", _HEAD)
        key = (head[0], head[1], head[2], head[3]) if line else first
        if not line or key != first:
            if ages:
                curve = Curve(*first, *origin, tuple(ages), tuple(rests), groups)
                _keep(curve, made, f"{path}, line {start}")
            if not line:
                break
            first, start, ages, rests = key, number, [], []
        if not line.endswith(",,"):  # said once, and meant for all rows that follow
            origin = _origin(line)
        ages.append(float(head[_HEAD - 1]))
        rests.append(head[_HEAD])
    if not made:
        raise InputError(f"{path}: the table has no rows. Add some for each measurement and sex.")
    return made


def _as_written(path: Path, text: str, expected: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The rows of somebody's own table with their lines, as `as_csv` writes them, if they are good."""
    for line in checked_lines(str(path), text, expected, "A table of curves"):
        checked_entry(line.where, line.cells)
        for column in expected[_HEAD - 1 : -len(LAST)]:
            good, need = _NUMBERS.get(column, (math.isfinite, "a number"))
            cell = line.cells[column]
            try:
                value = float(cell)
            except ValueError:
                value = math.nan
            if not (math.isfinite(value) and good(value)):
                raise InputError(f"{line.where}, column {column}: {cell!r}, but {need} is needed.")
        written = io.StringIO(newline="")
        csv.writer(written, lineterminator="").writerow([line.cells[column] for column in expected])
        yield line.number, written.getvalue()


_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "age": (lambda v: 0 <= v <= MAX_AGE, f"a number of years from 0 to {MAX_AGE}"),
    "n": (lambda v: v >= 0, "a number of people, 0 or above,"),
    "sd": (lambda v: v > 0, "a number above 0"),
    "skew": (lambda v: abs(v) <= 1, "a number from −1 to 1"),
}


def _origin(line: str) -> tuple[str, str]:
    """Source and instrument at the end of a line."""
    *_, source, instrument = next(csv.reader([line]))
    return source, instrument


def _keep(curve: Curve, made: dict[str, dict[str, Curve]], where: str) -> None:
    """Add a curve to those of its measurement; an InputError says why it cannot be one."""
    what = f"{where}: {curve.measurement}, {curve.sex}"
    if curve.sex in made.get(curve.measurement, {}):
        raise InputError(f"{what}, is there twice. Keep the rows of each measurement and sex together.")
    if len(curve.ages) < 2:
        raise InputError(f"{what}: two ages or more are needed.")
    for before, after in pairwise(curve.ages):
        if after <= before:
            raise InputError(
                f"{what}: age {after:g} comes after {before:g}. Give each age once, the youngest first."
            )
    made.setdefault(curve.measurement, {})[curve.sex] = curve


def columns(groups: Iterable[str]) -> tuple[str, ...]:
    """The columns of a table with these groups."""
    return (*COLUMNS, *(g + end for g in groups for end in (SHIFT, COUNT)), *LAST)


def as_csv(curves: Iterable[Curve], groups: Sequence[str]) -> str:
    """A table of curves as text. Source and instrument stand where they change."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    written = list(curves)
    expressions = own_expressions(curve.measurement for curve in written)
    writer.writerow((*columns(groups), *([EXPRESSION] if expressions else [])))
    before = ("", "")
    for curve in written:
        more = (expressions.get(curve.measurement, ""),) if expressions else ()
        for age, line in zip(curve.ages, curve.lines, strict=True):
            origin = (curve.source, curve.instrument)
            shown, before = ("", "") if origin == before else origin, origin
            first = (curve.measurement, curve.unit, curve.sex, curve.grade, f"{age:g}")
            writer.writerow((*first, *line.split(",")[: 4 + 2 * len(groups)], *shown, *more))
    return text.getvalue()


def standardise(x: Numbers, skew: float) -> Numbers:
    """The normal score of a value, or of many (n,), in SD from the median, of a skewness between −1 and 1.

    Notes
    -----
    Jones and Pewsey's sinh-arcsinh transformation with tails as of the normal distribution [1]_, so placed
    that 0 stays 0 and the scores −1 and 1 are two units apart.

    References
    ----------
    .. [1] M. C. Jones, A. Pewsey, "Sinh-arcsinh distributions", Biometrika 96 (2009) 761-780.

    Examples
    --------
    >>> from anthropo.reference.curves import standardise
    >>> [round(standardise(x, 0.3), 2) for x in (-2.0, 0.0, 2.0)]
    [-2.49, 0.0, 1.71]
    """
    at = x * half_width(skew) + math.sinh(skew)
    root: Numbers = (1 + at**2) ** 0.5
    return at * math.cosh(skew) - root * math.sinh(skew)


def half_width(skew: float) -> float:
    """Half the way between the scores −1 and 1, in the unit of the transformation."""
    return (math.sinh(math.asinh(1) + skew) - math.sinh(math.asinh(-1) + skew)) / 2
