"""`anthropo change` of a cohort: what changed in its patients, one by one and on average."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.batch.inputs import Item, read_photo_table
from anthropo.batch.patients import one_person, spelled_alike
from anthropo.errors import InputError, parameter
from anthropo.groups.change import RATE, Paired, paired, part
from anthropo.learning.cohort import some
from anthropo.reference.person import parse_age, parse_date
from anthropo.showing import brief, count, draw, html, word
from anthropo.workflows.change import (
    COLUMNS,
    STRANGERS,
    ChangeRequest,
    ChangeResult,
    apart,
    change_settings,
    compared,
    look,
)
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FIRST, LAST = "first", "last"
_FEWEST = 2  # patients of a mean
#: Columns of a cohort's table of tests.
TEST_COLUMNS = (
    "measurement", "name", "part", "side", "unit", "n", "left_out", "before", "after", "mean", "lo", "hi",
    "sd", "g", "p", "q", "test", "changed", "moved",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CohortChange:
    """What changed in the patients of a cohort, one by one and on average."""

    cohort: str  # the table's name
    states: tuple[str, str]
    people: tuple[ChangeResult, ...]
    left_out: tuple[tuple[str, str], ...]  # patients, each with the reason
    tests: tuple[Paired, ...]
    remarks: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return html(self, "cohort_change")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean differences with their 95 % intervals, in SD of the patients' differences.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "cohort_change", ax)

    def __repr__(self) -> str:
        sure = sum(test.q <= RATE for test in self.tests)
        return brief(
            self,
            count(len(self.people), "patient"),
            f"{word(self.states[0])} to {word(self.states[1])}",
            f"{sure} of {len(self.tests)} measurements differ on average",
        )

    def to_frame(self) -> pd.DataFrame:
        """A row for each patient and measurement."""
        import pandas as pd

        return pd.DataFrame([row for person in self.people for row in person.rows()], columns=list(COLUMNS))

    def tests_frame(self) -> pd.DataFrame:
        """A row for each measurement: its mean difference over the patients, with the test."""
        import pandas as pd

        rows = [
            {**{k: getattr(t, k, None) for k in TEST_COLUMNS}, "measurement": t.id, "name": t.entry.name,
             "part": part(t.entry), "side": t.entry.side, "unit": t.entry.unit}
            for t in self.tests
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(TEST_COLUMNS))


def change_cohort(
    cohort: str | os.PathLike[str], request: ChangeRequest | None = None, *, progress: Progress = silent
) -> CohortChange:
    """Find what changed in the patients of a cohort, in each and on average.

    Parameters
    ----------
    cohort : path
        A table with the columns `photo`, `patient`, and `state` or `taken` (the photo's date; the first day
        is compared with the last). With `sex` and `age` (or `born` and `taken`) z-scores are added.
    request : ChangeRequest, optional
    progress : Progress

    Returns
    -------
    CohortChange
        With ``to_frame()``, a row for each patient and measurement, and ``tests_frame()``, a row for each
        measurement.

    Raises
    ------
    InputError
        If the table has no two states, or they are not named and there are more than two, or a date cannot be
        read.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.change_cohort("cohort.csv")
    Traceback (most recent call last):
    anthropo.errors.InputError: cohort.csv: no such file.
    """
    request = request or ChangeRequest()
    path = Path(cohort)
    table = read_photo_table(path)
    remarks: list[str] = []
    if "patient" not in table.columns:
        raise InputError(
            f"{path}: no column `patient`; its columns are {', '.join(['photo', *table.columns])}. A change "
            "is one person's: name the patients in a column `patient`."
        )
    rows = list(zip(table.rows, table.items, strict=True))
    if unnamed := [row for row, item in rows if not item.columns["patient"]]:
        raise InputError(
            f"{path}: the patient is missing in {_rows(unnamed)}. Fill it in, or delete the row."
        )
    if table.without_photo:
        remarks.append(f"{path}: no photo in {_rows(table.without_photo)}; left out.")
    people: dict[str, list[tuple[int, Item]]] = {}
    for row, item in rows:
        people.setdefault(item.columns["patient"], []).append((row, item))
    if "state" in table.columns:
        states = _states(path, rows, request)
        sides = {
            name: tuple([item for _, item in of if item.columns["state"] == state] for state in states)
            for name, of in people.items()
        }
    else:
        states, sides = (FIRST, LAST), {name: _by_day(path, of) for name, of in people.items()}
    left_out: list[tuple[str, str]] = []
    for name, (before, after) in list(sides.items()):
        if missing := [state for state, of in zip(states, (before, after), strict=True) if not of]:
            why = f"no photo of the state {missing[0]}"
            if states == (FIRST, LAST):
                why = "one photo only" if len(people[name]) == 1 else "all photos are of one day"
            left_out.append((name, f"patient {name}: {why}."))
            del sides[name]
    if not sides:
        raise InputError(
            f"{path}: no patient has photos of both {states[0]} and {states[1]}. {left_out[0][1]}"
        )
    _check(path, sides)
    items = [item for pair in sides.values() for side in pair for item in side]
    settings = change_settings(request, items)
    seen = iter(look(items, settings, request, progress))
    done: list[ChangeResult] = []
    for name, pair in sides.items():
        photos = tuple([next(seen) for _ in side] for side in pair)
        result = compared(name, states, pair, (photos[0], photos[1]), settings, request)
        if isinstance(result, str):
            left_out.append((name, f"patient {name}: {result}"))
        else:
            done.append(result)
    remarks += spelled_alike([item for _, item in rows])
    tests = paired([person.changes for person in done]) if len(done) >= _FEWEST else []
    return CohortChange(
        cohort=path.name, states=states, people=tuple(done), left_out=tuple(left_out), tests=tuple(tests),
        remarks=(*remarks, *_strangers(done)),
    )  # fmt: skip


def _rows(numbers: Sequence[int]) -> str:
    return f"row{'s' if len(numbers) > 1 else ''} {some(str(n) for n in numbers)}"


def _check(path: Path, sides: Mapping[str, Sequence[Sequence[Item]]]) -> None:
    """An InputError where the table contradicts itself about a person, before any photo is read."""
    owner: dict[str, str] = {}
    for name, (before, after) in sides.items():
        for item in (*before, *after):
            if owner.setdefault(item.path, name) != name:
                raise InputError(f"{path}: {item.path} is of two patients, {owner[item.path]} and {name}.")
        for side in (before, after):
            one_person(name, side)
        ageless = [
            replace(item, columns={key: cell for key, cell in item.columns.items() if key != "age"})
            for item in (*before, *after)
        ]
        one_person(name, ageless)


def _states(path: Path, rows: Sequence[tuple[int, Item]], request: ChangeRequest) -> tuple[str, str]:
    """The two states that are compared, the first one first."""
    if empty := [row for row, item in rows if not item.columns["state"]]:
        raise InputError(f"{path}: the state is missing in {_rows(empty)}. Fill it in, or delete the row.")
    states = list(dict.fromkeys(item.columns["state"] for _, item in rows))
    listed = ", ".join(states)
    if len(states) == 1:
        raise InputError(
            f"{path}: one state only ({listed}). Two are compared: write another one in the column `state` "
            "of the photos that show it."
        )
    for name in ("before", "after"):
        asked = getattr(request, name)
        if asked is not None and asked not in states:
            raise InputError(f"{parameter(name, asked)}: no such state in {path}. Its states are {listed}.")
    before, after = request.before, request.after
    if before is not None and before == after:
        raise InputError(f"{parameter('before', before)} and {parameter('after', after)} are one state.")
    if len(states) > 2 and (before is None or after is None):
        raise InputError(
            f"{path}: {len(states)} states ({listed}). Say which are compared: "
            f"{parameter('before', states[0])} and {parameter('after', states[1])}."
        )
    if before is None and after is None:
        raise InputError(
            f"{path}: the states are {listed}. Say which comes first: {parameter('before', states[0])} or "
            f"{parameter('before', states[1])}."
        )
    if before is None:
        before = next(state for state in states if state != after)
    if after is None:
        after = next(state for state in states if state != before)
    return before, after


def _by_day(path: Path, of: Sequence[tuple[int, Item]]) -> tuple[list[Item], list[Item]]:
    """The photos of a person's first and of their last day; none where there is one day only."""
    days: list[tuple[float, Item]] = []
    for row, item in of:
        taken, age = item.columns.get("taken", ""), item.columns.get("age", "")
        if item.undated:
            raise InputError(f"{path}, row {row}: {item.undated}")
        if "taken" in item.columns:
            if not taken:
                raise InputError(
                    f"{path}, row {row}: no date in the column `taken`. Fill it in, or add a column `state`."
                )
            try:
                days.append((parse_date(taken).toordinal(), item))
            except InputError as error:
                raise InputError(f"{path}, row {row}, column `taken`: {error}") from None
        elif age:
            try:
                days.append((parse_age(age), item))
            except InputError as error:
                raise InputError(f"{path}, row {row}: {error}") from None
        else:
            raise InputError(
                f"{path}: no column `state`, and no date in `taken`: it cannot be told which photos are "
                "before and which after. Add one of the two."
            )
    first, last = min(day for day, _ in days), max(day for day, _ in days)
    if first == last:
        return [item for _, item in days], []
    return [item for day, item in days if day == first], [item for day, item in days if day == last]


def _strangers(people: Sequence[ChangeResult]) -> list[str]:
    """A remark on patients who look like two people, and one of them like somebody else there."""
    strangers = []
    for a, b in combinations([person for person in people if person.distance > STRANGERS], 2):
        if min(apart(a.before, b.after), apart(b.before, a.after)) < STRANGERS:
            strangers.append(f"{a.patient} and {b.patient}")
    if not strangers:
        return []
    return [
        "Photos may have been exchanged between patients, whose faces fit better crosswise: "
        f"{some(strangers)}."
    ]
