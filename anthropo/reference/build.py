"""Measured healthy people to a reference table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.measurement.compute import Measurement, doubted
from anthropo.measurement.registry import registry
from anthropo.reference.person import MAX_AGE, age_span, parse_ancestry, parse_sex
from anthropo.reference.tables import ReferenceRow, band_end, instrument_name
from anthropo.showing import fielded

By = Literal["sex", "both", "age"]
Band = tuple[float, float]  # youngest and oldest age in years, both included
Values = Mapping[str, float]  # measurement -> value; without those that could not be computed

MIN_PEOPLE = 20
#: Columns by which the table of `anthropo measure` is recognised, and the instrument that made it.
VERSION_COLUMN, MODEL_COLUMN = "diagnostics_anthropo", "diagnostics_landmark_model"
FINE_COLUMN = "diagnostics_fine_model"
#: The column that says which photos are none.
SYNTHETIC_COLUMN = "diagnostics_synthetic"
REPEAT = "_repeat_sd"  # ending of the column of a measurement's repeatability

# ------------------------------------------------------------------------ robust mean and SD

_QN_NORMAL = 2.21914  # 1 / (√2 Φ⁻¹(5/8)): Qn estimates the SD of a normal distribution
_HEALTHY = 3.5  # standard deviations within which nothing is ever left out
_CHANCE = 0.01  # as many normal values of its size expected, and the largest is left out
_FOREIGN = 0.1  # share of values that may be left out; with more, the rest is no norm


def qn_scale(x: NDArray[np.float64]) -> float:
    """Standard deviation of x (n,), ten values or more, that half of the values cannot spoil: Qn.

    2.219 times the k-th smallest distance between two values, with k a quarter of the pairs (Rousseeuw &
    Croux 1993, J Am Stat Assoc 88:1273), corrected for n (Croux & Rousseeuw 1992, COMPSTAT). Zero when so
    many values are equal.
    """
    x = np.sort(np.asarray(x, dtype=np.float64))
    n = len(x)
    half = n // 2 + 1
    wanted = half * (half - 1) // 2
    low, high = 0.0, float(x[-1] - x[0])
    if np.searchsorted(x, x, "right").sum() - n * (n + 1) // 2 >= wanted:
        return 0.0
    for _ in range(60):  # halving needs no table of all pairs; 60 halvings are all digits
        middle = (low + high) / 2
        if np.searchsorted(x, x + middle, "right").sum() - n * (n + 1) // 2 >= wanted:
            high = middle
        else:
            low = middle
    return _QN_NORMAL * high * (n / (n + 1.4) if n % 2 else n / (n + 3.8))


class Robust(NamedTuple):
    """Mean and standard deviation (n − 1) of the values that are kept."""

    mean: float
    sd: float
    left_out: int  # as many of the largest residuals as exceed the normal distribution's tail


def robust_mean_sd(x: NDArray[np.float64]) -> Robust:
    """Mean and SD of those of x (n,), ten values or more, that can belong to one normal distribution.

    A list of controls has photographs of the wrong person, misplaced landmarks and undiagnosed patients; one
    of them in twenty doubles a plain SD and hides every finding. The estimator of Gervini & Yohai (2002, Ann
    Stat 30:583), in one dimension: residuals from the median in units of Qn are compared, in the far tail,
    with the normal distribution; the greatest excess of expected over observed cumulative share, d, tells
    that n·d values are foreign, and the n·d largest residuals go. On clean data d falls to zero, so that the
    result becomes the plain mean and SD, with their efficiency; a fixed cut-off or a Huber estimator pays
    for its robustness there, and keeps a bias with one-sided outliers.

    Two departures from it, for samples of 20 to 50. The tail begins at 3.5 SD instead of 2.5: healthy people
    who are far out belong to the norm, and leaving them out makes others look ill. And where it rounds n·d
    down, so that a single outlier, whose n·d is a hair less than 1, would stay, it goes if less than 0.01
    normal values of its size are expected. Measured on 1,000 samples each of n = 20 to 100: SD of clean data
    0.98 to 1.00 of the true one (plain 0.98 to 1.00); with 5 % of the values 5 SD away 1.03 to 1.08 (plain
    1.39 to 1.49), 6 SD away 0.99 to 1.02, 10 SD away 0.99 to 1.00 (plain 2.2 to 2.4).
    """
    x = np.asarray(x, dtype=np.float64)
    n = len(x)
    centre, scale = float(np.median(x)), qn_scale(x)
    if scale == 0:
        return Robust(centre, 0.0, 0)
    order = np.argsort(np.abs(x - centre), kind="stable")
    residuals = (np.abs(x - centre) / scale)[order].tolist()
    expected = ((i, math.erf(t / math.sqrt(2))) for i, t in enumerate(residuals) if t >= _HEALTHY)
    excess = max((share - i / n for i, share in expected), default=0.0)
    left_out = math.floor(n * max(excess, 0.0) + _CHANCE)
    kept = x[order[: n - left_out]]
    return Robust(float(kept.mean()), float(kept.std(ddof=1)), left_out)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose photograph it is."""

    photo: str
    patient: str  # photos of one patient count once; the photo's own path if none is named
    sex: str  # female or male; both if references are not made by sex
    age: float  # years, when the photo was taken; of completed years the youngest
    oldest: float | None = None  # that the age can mean; None where it is exact
    ancestry: str = ""  # name of a group; empty if unknown


@dataclass(frozen=True, slots=True)
class MeasuredPhoto:
    """A photograph of a control.

    Attributes
    ----------
    subject : Subject
    values : mapping of str to float
        By measurement, in the registry's units.
    errors : mapping of str to float
        Repeatability of the values, 1 SD; a value without one is not used.
    """

    subject: Subject
    values: Values
    errors: Values


def subject(photo: str, columns: Mapping[str, str], by: By) -> Subject:
    """Read sex, age and patient from a table's row; an InputError names the photo."""
    try:
        sex = "both" if by == "both" else parse_sex(columns.get("sex", ""))
        youngest, oldest = age_span(columns.get("age", ""))
        ancestry = parse_ancestry(columns.get("ancestry", "")) or ""
        return Subject(photo, columns.get("patient", "") or photo, sex, youngest, oldest, ancestry)
    except InputError as error:
        raise InputError(f"{photo}: {error}") from None


def require_columns(table: str, columns: Sequence[str], by: By) -> None:
    """Refuse, by an InputError, a table without a column for age or sex."""
    for needed in ("age",) if by == "both" else ("age", "sex"):
        if needed not in columns:
            instead = f", or pass {parameter('by', 'both')}" if needed == "sex" else ""
            raise InputError(
                f"{table}: no column `{needed}`; its columns are {', '.join(columns) or 'none'}. "
                f"Add it{instead}."
            )


def values_of(measurements: Iterable[Measurement]) -> dict[str, float]:
    """Values by measurement, in the registry's units; without those that are voided or missing."""
    return {
        m.id: m.value
        for m in measurements
        if m.id in registry()
        and math.isfinite(m.value)
        and m.unit == registry()[m.id].unit
        and not doubted(m.reason)
    }


def values_of_row(table: str, row: Mapping[str, str]) -> dict[str, float]:
    """`values_of` a row of the CSV that `anthropo measure` writes; an InputError names photo and column."""
    reasons = dict(part.split(": ", 1) for part in row["measurement_reasons"].split("; ") if ": " in part)
    values = {}
    for name in registry():
        cell = row.get(name, "")
        if not cell or doubted(reasons.get(name, "")):
            continue
        value = _number(table, row, name)
        if math.isfinite(value):
            values[name] = value
    return values


def _number(table: str, row: Mapping[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError:
        where = f"{table}, photo {row['photo']}, column {column}"
        raise InputError(f"{where}: {row[column]!r} is no number.") from None


def errors_of(measurements: Iterable[Measurement]) -> dict[str, float]:
    """Repeatability (1 SD) by measurement, in the registry's units, of the values that have one."""
    return {
        m.id: m.repeat_sd
        for m in measurements
        if m.id in registry() and m.unit == registry()[m.id].unit and math.isfinite(m.repeat_sd)
    }


def errors_of_row(table: str, row: Mapping[str, str]) -> dict[str, float]:
    """`errors_of` a row of the CSV that `anthropo measure` writes."""
    return {name: _number(table, row, name + REPEAT) for name in registry() if row.get(name + REPEAT)}


def one_instrument(table: str, rows: Sequence[Mapping[str, str]]) -> str:
    """The program and landmark models that made a table, as words; an InputError if they differ by row."""
    made = {
        (row[VERSION_COLUMN], row[MODEL_COLUMN], row.get(FINE_COLUMN, ""))
        for row in rows
        if row["status"] == "ok"
    }
    if len(made) > 1:
        listed = " and ".join(instrument_name(*one) for one in sorted(made))
        how = "Measure all photos with the same one."
        raise InputError(f"{table}: measured with different instruments, {listed}. {how}")
    return instrument_name(*next(iter(made))) if made else ""


def parse_bands(text: str) -> list[Band]:
    """Age bands such as ``0-2,3-5,18-60``, ends included; a whole number lasts until the next birthday."""
    bands: list[Band] = []
    for part in text.split(","):
        low, dash, high = part.strip().replace("–", "-").partition("-")
        try:
            band = (float(low), float(high))
        except ValueError:
            band = (math.nan, math.nan)
        if not dash or not 0 <= band[0] <= band[1] <= MAX_AGE or band[0] >= band_end(band[1]):
            raise InputError(
                f"Age band {part.strip()!r} cannot be used. Give the youngest and the oldest age in years, "
                f"such as 0-2,3-5,18-60, up to {MAX_AGE}."
            )
        bands.append(band)
    bands.sort()
    for one, two in pairwise(bands):
        if two[0] < band_end(one[1]):
            raise InputError(
                f"Age bands {_words(one)} and {_words(two)} overlap: a whole number lasts until the next "
                f"birthday. Begin the second at {band_end(one[1]):g}."
            )
    return bands


def _words(band: Band) -> str:
    return f"{band[0]:g} to {band[1]:g}"


@dataclass(frozen=True, slots=True)
class Built:
    """A new reference table, and what is not in it."""

    rows: tuple[ReferenceRow, ...]
    refused: tuple[str, ...]  # a sentence for each band or person that was left out
    notes: tuple[str, ...]  # a sentence for measurements without a row and values left out

    __repr__ = fielded


def build_reference(
    measured: Sequence[tuple[Subject, Values]],
    *,
    bands: Sequence[Band] | None = None,
    min_people: int = MIN_PEOPLE,
    source: str,
    instrument: str,
) -> Built:
    """Robust mean and SD of every measurement, by sex and age band.

    Parameters
    ----------
    measured : sequence of (Subject, mapping of str to float)
        One for each photo: whose it is, and its values by measurement in the registry's units. Several
        photos of one patient in one band are averaged first: they are one person, and say nothing of how
        people differ.
    bands : sequence of (float, float), optional
        Age bands in years; one band over the ages present when left out.
    min_people : int
        A band or measurement with fewer people is refused; 10 at least.
    source, instrument : str
        Written to every row; an instrument that is left empty is ``anthropo``, which measured the values.

    Returns
    -------
    Built
        Rows in the registry's order; none if no band has enough people.

    References
    ----------
    .. [1] D. Gervini, V. J. Yohai, "A class of robust and fully efficient regression estimators",
       Annals of Statistics 30 (2002) 583-616.

    Examples
    --------
    >>> from anthropo.reference import Subject, build_reference
    >>> widths = [0.28 + 0.002 * k for k in range(21)]
    >>> people = [Subject(f"{k}.jpg", f"p{k}", "female", 30.0) for k in range(21)]
    >>> measured = [(who, {"intercanthal_width": width}) for who, width in zip(people, widths)]
    >>> (row,) = build_reference(measured, source="21 women", instrument="anthropo").rows
    >>> print(f"{row.measurement}: {row.mean:.3f}, SD {row.sd:.4f}, n = {row.n}")
    intercanthal_width: 0.300, SD 0.0124, n = 21
    """
    if not measured:
        return Built((), (), ())
    if bands is None:
        known = [person.age for person, _ in measured]
        bands = [(float(math.floor(min(known))), float(math.floor(max(known))))]
    conflicting = contradictory(measured)
    groups: dict[tuple[str, Band], dict[str, list[Values]]] = {
        (sex, band): {} for sex in sorted({person.sex for person, _ in measured}) for band in bands
    }
    beyond: list[str] = []
    for person, values in measured:
        band = next((b for b in bands if b[0] <= person.age < band_end(b[1])), None)
        if band is None:
            beyond.append(f"{person.photo} (age {person.age:g})")
        elif not {person.patient, person.photo} & conflicting.keys():
            groups[person.sex, band].setdefault(person.patient, []).append(values)
    refused = list(conflicting.values())
    notes = [f"in no age band: {', '.join(beyond)}."] if beyond else []
    rows: list[ReferenceRow] = []
    for (sex, band), people in groups.items():
        where = f"{sex}, {_words(band)} years"
        if len(people) < min_people:
            counted = "1 person" if len(people) == 1 else f"{len(people)} people"
            refused.append(f"{where}: {counted}, {min_people} needed; left out.")
            continue
        of_band, remarks = _rows(
            list(people.values()), sex, band, min_people, source, instrument or "anthropo"
        )
        rows += of_band
        notes += [f"{where}: {remark}" for remark in remarks]
    order = {name: i for i, name in enumerate(registry())}
    rows.sort(key=lambda row: (order[row.measurement], row.sex, row.age_lo))
    return Built(tuple(rows), tuple(refused), tuple(notes))


def contradictory(measured: Sequence[tuple[Subject, Values]]) -> dict[str, str]:
    """Patients of two sexes and photos of two patients, each with a sentence."""
    sexes: defaultdict[str, set[str]] = defaultdict(set)
    patients: defaultdict[str, set[str]] = defaultdict(set)
    for person, _ in measured:
        sexes[person.patient].add(person.sex)
        patients[person.photo].add(person.patient)
    both = [patient for patient, several in sorted(sexes.items()) if len(several) > 1]
    reasons = {who: f"patient {who}: female in one row and male in another; left out." for who in both}
    for photo, several in sorted(patients.items()):
        if len(several) > 1:
            reasons[photo] = f"{photo}: listed under {len(several)} patients; left out."
    return reasons


def _rows(
    people: Sequence[Sequence[Values]], sex: str, band: Band, min_people: int, source: str, instrument: str
) -> tuple[list[ReferenceRow], list[str]]:
    """Rows of one sex and age band, and remarks on measurements and values that are left out."""
    rows = []
    few, same, one_sided, scattered, far = [], [], [], [], []
    for name, entry in registry().items():
        each = [[v[name] for v in photos if name in v] for photos in people]
        x = np.array([np.mean(v) for v in each if v])
        if len(x) < min_people:
            few.append(f"{name} ({len(x)})")
            continue
        mean, sd, left_out = robust_mean_sd(x)
        if sd == 0:
            same.append(name)
        elif entry.kind in ("distance", "area", "texture") and mean < 2 * sd:
            one_sided.append(name)
        elif left_out > _FOREIGN * len(x):
            scattered.append(f"{name} ({left_out})")
        else:
            rows.append(
                ReferenceRow(
                    name, entry.unit, sex, *band, len(x), mean, sd, "A", source, instrument, error_sd=0.0
                )
            )
            far += [f"{name} ({left_out})"] if left_out else []
    remarks = (
        (few, f"fewer than {min_people} people have {{}}; no row is written."),
        (same, "most people have the same value, so there is no SD: {}; no row is written."),
        (one_sided, "never below zero and mostly near it, which mean and SD do not describe: {}; no row is "
         "written."),
        (scattered, "more than a tenth of the people lie far from the others, so mean and SD are "
         "not meaningful: {}; no row is written."),
        (far, "left out of mean and SD, far from the others: {}."),
    )  # fmt: skip
    return rows, [words.format(", ".join(names)) for names, words in remarks if names]
