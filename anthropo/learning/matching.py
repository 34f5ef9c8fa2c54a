"""Controls matched to cases: people of each side who are alike in age, sex or other columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import Case, Cohort, Finding, Values, typed
from anthropo.learning.judged import Bools, Floats
from anthropo.showing import fielded

CALIPER = 0.2  # standard deviations that two numbers may differ by
_NEVER = 1e6  # distance of people who are not alike


@dataclass(frozen=True, slots=True)
class ColumnBalance:
    """How far two groups differ in a column, or in one of its words, before and after matching."""

    column: str
    word: str  # empty for numbers
    cases: float  # mean of all cases, or their share with the word
    controls: float
    matched_cases: float
    matched_controls: float
    before: float  # standardised mean difference
    after: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """Cases, each with a control who is alike."""

    columns: tuple[str, ...]
    controls: str  # their label
    pairs: int
    cases_left: int  # patients without a partner, who are left out
    controls_left: int
    balance: tuple[ColumnBalance, ...]

    __repr__ = fielded

    def sentence(self) -> str:
        """What was done."""
        return (
            f"matched on {', '.join(self.columns)}: {self.pairs} pairs of a case and somebody of "
            f"{self.controls}; {self.cases_left} cases and {self.controls_left} of {self.controls} without a "
            "partner are left out."
        )


def match_cohort(
    cohort: Cohort, columns: Sequence[str], controls: str | None = None
) -> tuple[Cohort, Matched]:
    """A cohort of pairs: each case with the nearest control who is alike in some columns.

    Parameters
    ----------
    cohort : Cohort
    columns : sequence of str
        Words have to be the same. Numbers may differ by a fifth of their standard deviation (Austin, "Optimal
        caliper widths for propensity-score matching", Pharm Stat 10:150, 2011); ages are taken as logarithms
        of age + 1, since a year is more in a child.
    controls : str, optional
        Label of the controls; left out: the one that is called so, or of two labels the commoner one.

    Returns
    -------
    Cohort
        With as many controls as cases, a patient each with all photos.
    Matched
        How many there are, and a table of balance.

    Raises
    ------
    InputError
        If there is no such column, it is not known who the controls are, or nobody has a partner.

    Notes
    -----
    Of all ways to pair as many people as possible, the one with the least sum of squared differences. A
    patient stands with the values of their first photo; one without a value has no partner.

    Examples
    --------
    >>> from anthropo.learning.cohort import Case, Cohort
    >>> from anthropo.learning.matching import match_cohort
    >>> people = [("a", "Noonan", 4), ("b", "Noonan", 50), ("c", "control", 4.1), ("d", "control", 20)]
    >>> cases = tuple(Case(f"{name}.jpg", label, name, {"age": str(age)}) for name, label, age in people)
    >>> pairs, matched = match_cohort(Cohort(cases, "c.csv", {"age": "age"}), ["age"])
    >>> [case.patient for case in pairs.cases], matched.cases_left
    (['a', 'c'], 1)
    """
    given = parameter("match", ",".join(columns))
    for column in columns:
        if column not in cohort.metadata:
            raise InputError(
                f"{given}: no column {column} to match on. There are {', '.join(cohort.metadata) or 'none'}."
            )
    first: dict[str, Case] = {}  # of each patient
    for case in cohort.cases:
        first.setdefault(case.patient, case)
    labels = np.array([case.label for case in first.values()])
    name = _controls(labels, controls, given)
    kinds = {column: cohort.metadata[column] for column in columns}
    values = {
        c: typed([case.metadata.get(c, "") for case in first.values()], kind) for c, kind in kinds.items()
    }
    scaled = {c: _scaled(of, kinds[c] == "age") for c, of in values.items()}
    case_at, control_at = np.flatnonzero(labels != name), np.flatnonzero(labels == name)
    left, right = _paired(scaled, case_at, control_at)
    if not len(left):
        raise InputError(
            f"{given}: no pair is left. No case is like anybody of {name} in these columns (words the same, "
            f"numbers within {CALIPER:g} SD). Match on fewer columns, or add patients."
        )
    people: NDArray[np.object_] = np.array(list(first), dtype=object)
    kept = set(people[np.concatenate([left, right])].tolist())
    matched = Matched(
        columns=tuple(columns),
        controls=name,
        pairs=len(left),
        cases_left=len(case_at) - len(left),
        controls_left=len(control_at) - len(right),
        balance=tuple(_balance(values, case_at, control_at, left, right)),
    )
    note = Finding("note", "label", f"{cohort.source}: {matched.sentence()}")
    cases = tuple(case for case in cohort.cases if case.patient in kept)
    return replace(cohort, cases=cases, findings=(*cohort.findings, note)), matched


def _controls(labels: NDArray[np.str_], controls: str | None, given: str) -> str:
    from anthropo.learning.model import control_label  # which loads scikit-learn

    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise InputError(f"{given}: everybody has the label {names[0]}. Matching needs two.")
    control = control_label(labels, controls)
    if control is None and len(names) > 2:
        raise InputError(
            f"{given}: none of the labels {', '.join(names)} is called control. Name the one to match others "
            f"with: {parameter('controls', 'LABEL')}."
        )
    return control or str(names[counts.argmax()])


def _scaled(values: Values, age: bool) -> Floats | NDArray[np.object_]:
    """Numbers in standard deviations; words as they are."""
    if any(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    numbers = np.array(values, dtype=np.float64)
    numbers = np.log1p(numbers) if age else numbers
    known = numbers[np.isfinite(numbers)]
    return np.asarray(numbers / max(float(known.std()) if len(known) else 1.0, 1e-12))


def _paired(
    scaled: Mapping[str, Floats | NDArray[np.object_]], cases: NDArray[np.intp], controls: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    from scipy.optimize import linear_sum_assignment

    apart = np.zeros((len(cases), len(controls)))
    alike: Bools = np.ones(apart.shape, dtype=bool)
    for values in scaled.values():
        one, other = values[cases][:, None], values[controls][None]
        if values.dtype == object:
            given: Bools = np.array([value is not None for value in values[cases]], dtype=bool)
            alike &= np.asarray(one == other, dtype=bool) & given[:, None]
        else:
            off = np.abs(np.asarray(one - other, dtype=np.float64))
            alike &= off <= CALIPER + 1e-9  # not where one is missing
            apart += np.where(np.isfinite(off), off, 0) ** 2
    at, to = linear_sum_assignment(np.where(alike, apart, _NEVER))
    matched = alike[at, to]
    return cases[at[matched]], controls[to[matched]]


def _balance(
    values: Mapping[str, Values],
    cases: NDArray[np.intp],
    controls: NDArray[np.intp],
    left: NDArray[np.intp],
    right: NDArray[np.intp],
) -> list[ColumnBalance]:
    """Standardised mean differences; both are by the standard deviation before matching."""
    rows = []
    for column, of in values.items():
        words = sorted({value for value in of if isinstance(value, str)})
        for word in words[:1] if len(words) == 2 else words or [""]:  # of two words the other one mirrors it
            plain = [np.nan if v is None else float(v == word) if words else float(v) for v in of]
            numbers = np.array(plain, dtype=np.float64)
            one, other, left_one, right_one = (
                float(np.nanmean(numbers[at])) for at in (cases, controls, left, right)
            )
            spread = float(np.sqrt((np.nanvar(numbers[cases]) + np.nanvar(numbers[controls])) / 2))
            unit = spread or np.inf
            before, after = (one - other) / unit, (left_one - right_one) / unit
            rows.append(ColumnBalance(column, word, one, other, left_one, right_one, before, after))
    return rows
