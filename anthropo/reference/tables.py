"""Reference tables: means and standard deviations of healthy people, each with its source."""

from __future__ import annotations

import csv
import difflib
import io
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from anthropo.errors import InputError, parameter
from anthropo.files import file_sha256, read_text, write
from anthropo.measurement.registry import Entry, registry
from anthropo.reference.person import MAX_AGE
from anthropo.reference.shipped import AUTOMATIC, STUDIO_REFERENCE, shipped_references
from anthropo.showing import brief, count, listed

SEXES = ("female", "male", "both")
GRADES = ("A", "B", "C", "D")

#: A further column of tables that have measurements of one's own.
EXPRESSION = "expression"
COLUMNS = (
    "measurement", "unit", "sex", "age_lo", "age_hi", "n", "mean", "sd", "grade", "source", "instrument",
    "error_sd",
)  # fmt: skip


def lacks(reference: str, measurement: str) -> str:
    """Why there is no z under a reference that does not have a measurement at all."""
    return f"{reference} has no {measurement}"


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """Healthy people of one sex and age band, in one measurement."""

    measurement: str
    unit: str
    sex: str  # female, male, or both: anybody
    age_lo: float  # years, included
    age_hi: float  # years, included: a whole number means up to the next birthday
    n: int  # people
    mean: float
    sd: float
    grade: str  # A: computed from individual data, to D
    source: str
    instrument: str
    error_sd: float  # 1 SD, in the unit: what the table's instrument differs from anthropo's
    skew: float = 0.0  # of a curve, whose `mean` is the median: see `anthropo.reference.curves.standardise`
    of_people: bool = False  # sd is that of people alone: each photo's own error comes on top

    def __repr__(self) -> str:
        ages = (
            f"{self.age_lo:g} to {self.age_hi:g} years" if self.age_lo < self.age_hi else f"{self.age_lo:g}"
        )
        values = f"{self.mean:.4g} ± {self.sd:.3g} {self.unit}"
        return brief(
            self, self.measurement, f"{self.sex} {ages}", values, f"n {self.n}", f"grade {self.grade}"
        )

    @property
    def same_instrument(self) -> bool:
        """Whether anthropo measured these people: then a z has the error of repeating, not that of hands."""
        return self.instrument.startswith("anthropo")

    @property
    def age_end(self) -> float:
        """The first age in years that is too old."""
        return band_end(self.age_hi)

    def holds(self, age: float) -> bool:
        """Whether a person of this age in years belongs to the band."""
        return self.age_lo <= age < self.age_end


class Reference(ABC):
    """A reference table, read and checked: of bands of age, or of curves over age.

    Examples
    --------
    >>> from anthropo.reference import load_reference
    >>> [(one.name, one.of_curves) for one in map(load_reference, ("frl-adults", "web-all-ages"))]
    [('frl-adults', False), ('web-all-ages', True)]
    """

    name: str  # of a shipped table, or the file's name
    path: Path
    sha256: str
    groups: tuple[str, ...]  # of ancestry, that it tells apart; none of most tables
    of_curves = False  # over age, in place of bands of age

    def __repr__(self) -> str:
        groups = f"groups {listed(self.groups)}" if self.groups else ""
        return brief(self, self.name, count(len(self.measurements), "measurement"), self.ages, groups)

    @property
    @abstractmethod
    def measurements(self) -> tuple[str, ...]:
        """The measurements that it has."""

    @property
    @abstractmethod
    def instruments(self) -> tuple[str, ...]:
        """Who or what measured its people."""

    @abstractmethod
    def rows_of(self, measurement: str) -> tuple[ReferenceRow, ...]:
        """The rows of one measurement, of curves those of the tabulated ages; none if it does not have it."""

    @abstractmethod
    def sexes_of(self, measurement: str) -> tuple[str, ...]:
        """The sexes that it has of a measurement; none if it does not have it."""

    @abstractmethod
    def at_age(self, age: float) -> tuple[ReferenceRow, ...]:
        """The rows for people of an age, with all groups of ancestry mixed."""

    @property
    @abstractmethod
    def ages(self) -> str:
        """All its ages, as words."""

    @abstractmethod
    def ages_of(self, measurement: str, sexes: Sequence[str]) -> str:
        """The ages that it has of a measurement and sexes, as words."""

    @abstractmethod
    def _row(
        self, measurement: str, sexes: Sequence[str], age: float, group: str | None
    ) -> tuple[ReferenceRow | None, str]:
        """The row of the first of the sexes that has one, or why there is none."""

    def _outside(self, age: float, covered: str) -> str:
        """Why nobody of this age can be scored."""
        if age < 0:
            return f"counted from term the age is below 0, and {self.name} is for {covered}"
        return f"age {age:g} is outside {self.name}: {covered}"

    @property
    def rows(self) -> tuple[ReferenceRow, ...]:
        """All rows, see `rows_of`."""
        return tuple(row for name in self.measurements for row in self.rows_of(name))

    def by_group(self, measurement: str, sex: str | None, age: float) -> Mapping[str, ReferenceRow]:
        """The row of each group of ancestry that has enough people of a sex and age."""
        return {}

    def choose(
        self, measurement: str, sex: str | None, age: float | None, group: str | None = None
    ) -> tuple[ReferenceRow | None, str]:
        """The row for a person, or why there is none.

        Parameters
        ----------
        measurement : str
        sex : {"female", "male"} or None
        age : float or None
            Years; a whole number means completed ones.
        group : str, optional
            One of `groups`; all of them mixed when left out.

        Examples
        --------
        >>> from anthropo.reference import load_reference
        >>> row, why = load_reference("frl-adults").choose("intercanthal_width", "female", 31)
        >>> row.n, why
        (25, '')
        """
        known = self.sexes_of(measurement)
        if not known:
            return None, lacks(self.name, measurement)
        # a row of the person's own sex comes before one for everybody
        sexes = [one for one in (sex, "both") if one in known]
        if not sexes and sex is None:
            return None, f"the sex is missing and {self.name} is by sex"
        if not sexes:
            return None, f"{self.name} has {measurement} for {' and '.join(sorted(known))} only"
        if age is None:
            covered = self.ages_of(measurement, [one for one in sexes if one])
            return None, f"the age is missing and {self.name} is for {covered}"
        return self._row(measurement, [one for one in sexes if one], age, group)


@dataclass(frozen=True, slots=True)
class Bands(Reference):
    """A table of rows for bands of age."""

    name: str
    path: Path
    sha256: str
    _by_measurement: Mapping[str, tuple[ReferenceRow, ...]] = field(repr=False, compare=False)
    groups: tuple[str, ...] = ()

    __repr__ = Reference.__repr__

    @property
    def measurements(self) -> tuple[str, ...]:
        return tuple(self._by_measurement)

    @property
    def instruments(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.instrument for row in self.rows))

    def rows_of(self, measurement: str) -> tuple[ReferenceRow, ...]:
        return self._by_measurement.get(measurement, ())

    def sexes_of(self, measurement: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.sex for row in self.rows_of(measurement)))

    def at_age(self, age: float) -> tuple[ReferenceRow, ...]:
        return tuple(row for row in self.rows if row.holds(age))

    @property
    def ages(self) -> str:
        return ages(self.rows)

    def ages_of(self, measurement: str, sexes: Sequence[str]) -> str:
        return ages(row for row in self.rows_of(measurement) if row.sex in sexes)

    def _row(
        self, measurement: str, sexes: Sequence[str], age: float, group: str | None
    ) -> tuple[ReferenceRow | None, str]:
        rows = [row for sex in sexes for row in self.rows_of(measurement) if row.sex == sex]
        row = next((row for row in rows if row.holds(age)), None)
        return row, "" if row else self._outside(age, ages(rows))


def instrument_name(version: str, model: str, fine: str = "") -> str:
    """The `instrument` of a reference row; `fine` is empty where the fine stage was left out."""
    return f"anthropo {version}, landmark model {model[:16]}" + (f", fine stage {fine[:16]}" if fine else "")


def same_models(one: str, other: str) -> bool:
    """Whether two instruments have the same models; the version of anthropo is no part of it."""
    return one.partition(", ")[2] == other.partition(", ")[2]


def band_end(age_hi: float) -> float:
    """The first age beyond a band: ages are completed years, so 5 lasts until the sixth birthday."""
    return age_hi + 1 if float(age_hi).is_integer() else age_hi


def ages(rows: Iterable[ReferenceRow]) -> str:
    """The age bands of rows, as words: ``0 to 2, 18 to 60 years``."""
    bands = sorted({(row.age_lo, row.age_hi) for row in rows})
    return ", ".join(f"{lo:g} to {hi:g}" for lo, hi in bands) + " years"


def load_reference(name_or_path: str | os.PathLike[str] = STUDIO_REFERENCE) -> Reference:
    """Read and check a reference table.

    Parameters
    ----------
    name_or_path : str or path
        The name of a shipped table, or a CSV file that `anthropo reference build` wrote.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        If there is no such table, or naming the file, line and column that cannot be used.

    Examples
    --------
    >>> from anthropo.reference import load_reference
    >>> load_reference("niosh-adults").rows_of("mouth_width")[0].unit
    'mm'
    """
    name = os.fspath(name_or_path)
    shipped = shipped_references()
    if name in shipped:
        return _read(shipped[name], name)
    if os.path.exists(name) or name.lower().endswith(".csv"):
        return _read(Path(name), Path(name).name)
    raise InputError(
        f"{name!r}: no such reference. Shipped are {', '.join(shipped) or 'none'}; {AUTOMATIC} chooses one "
        "for each person; or name a reference table that was built, a file that ends in .csv."
    )


class CheckedRow(NamedTuple):
    """A row of a checked table."""

    where: str  # file and line, for messages
    number: int
    cells: dict[str, str]  # by column


def checked_lines(name: str, text: str, columns: Sequence[str], what: str) -> Iterator[CheckedRow]:
    """The rows of `what`, a CSV that needs these columns; an InputError names what cannot be used."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for cells in ([cell.strip() for cell in row] for row in chain(reader, [[]])):
            where = f"{name}, line {reader.line_num}"
            if not header and (any(cells) or not text.strip()):
                header = cells
                _check_header(name, header, columns, what)
            elif any(cells) and len(cells) != len(header):
                kind = "tab" if delimiter == "\t" else repr(delimiter)
                counts = f"{len(cells)} cells where the header has {len(header)}"
                raise InputError(f"{where}: {counts}. Quote cells that contain a {kind}.")
            elif any(cells):
                yield CheckedRow(where, reader.line_num, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise InputError(f"{name}: not a readable CSV ({error}).") from None


def _check_header(name: str, header: Sequence[str], columns: Sequence[str], what: str) -> None:
    missing = [column for column in columns if column not in header]
    if missing:
        listed = ", ".join(filter(None, header)) or "none"
        raise InputError(
            f"{name}, line 1: no column {', '.join(missing)}; its columns are {listed}. {what} needs "
            f"{', '.join(columns)}."
        )
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise InputError(f"{name}, line 1: column {', '.join(twice)} appears twice. Delete one.")


def is_curves(header: str) -> bool:
    """Whether the first line of a table is that of one of curves.

    Examples
    --------
    >>> from anthropo.reference.tables import is_curves
    >>> is_curves("measurement;unit;sex;grade;age;n;median;sd;skew"), is_curves("measurement,unit,mean,sd")
    (True, False)
    """
    return {"measurement", "median"} <= {cell.strip(' "') for cell in re.split("[,;\t]", header)}


def _read(path: Path, name: str) -> Reference:
    text = read_text(path)
    if not text.strip():
        raise InputError(
            f"{path}: the file is empty. A reference table has the columns {', '.join(COLUMNS)}."
        )
    if is_curves(text.lstrip("\r\n").partition("\n")[0].rstrip("\r")):
        from anthropo.reference.curves import read_curves

        return read_curves(path, name, text)
    by_measurement: dict[str, tuple[ReferenceRow, ...]] = {}
    taken: dict[tuple[str, str], dict[int, ReferenceRow]] = {}  # measurement, sex -> line -> row
    rows: list[ReferenceRow] = []
    for line in checked_lines(str(path), text, COLUMNS, "A reference table"):
        row = _row(line.where, line.cells)
        same = taken.setdefault((row.measurement, row.sex), {})
        for number, other in same.items():
            if row.age_lo < other.age_end and other.age_lo < row.age_end:
                raise InputError(
                    f"{line.where}, column age_lo: {row.measurement}, {row.sex}, {ages([row])} overlaps line "
                    f"{number} ({ages([other])}). Keep one row for each age; a whole number lasts until the "
                    "next birthday."
                )
        same[line.number] = row
        rows.append(row)
        by_measurement[row.measurement] = (*by_measurement.get(row.measurement, ()), row)
    if not rows:
        raise InputError(f"{path}: the table has no rows. Add one for each measurement, sex and age band.")
    return Bands(name, path, file_sha256(path), by_measurement)


_Check = Callable[[float], bool]
_NUMBERS: dict[str, tuple[_Check, str]] = {
    "age_lo": (lambda v: 0 <= v <= MAX_AGE, f"a number of years from 0 to {MAX_AGE}"),
    "age_hi": (lambda v: 0 <= v <= MAX_AGE, f"a number of years from 0 to {MAX_AGE}"),
    "n": (lambda v: v >= 2 and v.is_integer(), "a whole number of people, 2 or more,"),
    "mean": (lambda v: True, "a number"),
    "sd": (lambda v: v > 0, "a number above 0"),
    "error_sd": (lambda v: v >= 0, "a number, 0 or above,"),
}


def checked_entry(where: str, cells: Mapping[str, str]) -> Entry:
    """The registry's entry of a row; an InputError if measurement, unit, sex or grade is none."""
    entry = registry().get(cells["measurement"])
    if entry is None:
        if cells.get(EXPRESSION):
            raise InputError(
                f"{where}, column measurement: {cells['measurement']!r} is a measurement of one's own. Add "
                f"its definition: {parameter('registry', 'mine.csv')}."
            )
        near = difflib.get_close_matches(cells["measurement"], registry(), 3) or list(registry())
        raise InputError(
            f"{where}, column measurement: {cells['measurement']!r} is not a measurement. "
            f"Choose from {', '.join(near)}{'' if len(near) > 3 else '; docs/atlas.md has all'}. If it is "
            f"your own, add its definition: {parameter('registry', 'mine.csv')}."
        )
    if cells.get(EXPRESSION) and cells[EXPRESSION] != entry.expression:
        raise InputError(
            f"{where}, column {EXPRESSION}: {entry.id} was {cells[EXPRESSION]} when the table was made, and "
            f"is {entry.expression} now. Build the table again, or use the definition of then."
        )
    for column, allowed in (("unit", units(entry)), ("sex", SEXES), ("grade", GRADES)):
        if cells[column] not in allowed:
            of = f" of {entry.id}" if column == "unit" else ""
            raise InputError(
                f"{where}, column {column}: {cells[column]!r} is not a {column}{of}. "
                f"Choose from {', '.join(allowed)}."
            )
    return entry


def _row(where: str, cells: dict[str, str]) -> ReferenceRow:
    entry = checked_entry(where, cells)
    numbers: dict[str, float] = {}
    for column, (good, need) in _NUMBERS.items():
        try:
            value = float(cells[column])
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and good(value)):
            raise InputError(f"{where}, column {column}: {cells[column]!r}, but {need} is needed.")
        numbers[column] = value
    low, high = numbers["age_lo"], numbers["age_hi"]
    if low > high or low >= band_end(high):
        raise InputError(
            f"{where}, column age_lo: {low:g} is not below age_hi, {high:g}. Give the youngest age first."
        )
    n, mean, sd = int(numbers["n"]), numbers["mean"], numbers["sd"]
    return ReferenceRow(
        entry.id, cells["unit"], cells["sex"], low, high, n, mean, sd, cells["grade"], cells["source"],
        cells["instrument"], numbers["error_sd"],
    )  # fmt: skip


def units(entry: Entry) -> tuple[str, ...]:
    """The units in which a reference may state a measurement."""
    return (entry.unit, "mm") if entry.kind == "distance" and entry.unit != "mm" else (entry.unit,)


def own_expressions(measurements: Iterable[str]) -> dict[str, str]:
    """Expressions of those that are one's own: a table states them, so that no other one is taken for it."""
    entries = (registry()[name] for name in measurements)
    return {entry.id: entry.expression for entry in entries if entry.user_defined}


def as_csv(rows: Iterable[ReferenceRow]) -> str:
    """A reference table as text; numbers with six significant digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    written = list(rows)
    expressions = own_expressions(row.measurement for row in written)
    writer.writerow((*COLUMNS, *([EXPRESSION] if expressions else [])))
    for row in written:
        cells = (getattr(row, column) for column in COLUMNS)
        more = [expressions.get(row.measurement, "")] if expressions else []
        writer.writerow([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells] + more)
    return text.getvalue()


def write_reference(path: Path, rows: Iterable[ReferenceRow]) -> None:
    """Write a reference table, whole or not at all.

    Parameters
    ----------
    path : Path
        Of the CSV file.
    rows : iterable of ReferenceRow
        From `build_reference`.

    Raises
    ------
    InputError
        If it cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from anthropo.reference import load_reference, write_reference
    >>> write_reference(Path("mine.csv"), load_reference().rows)
    >>> len(load_reference(Path("mine.csv")).rows) == len(load_reference().rows)
    True
    """
    write(path, as_csv(rows), advice="Choose another place.")
