"""What of a face lies beyond 2 SD, in words, and every z-score as bars to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from anthropo.batch.inputs import Item
from anthropo.batch.records import MeasuredRecord, Result
from anthropo.batch.scores import Person
from anthropo.measurement.registry import Entry, registry
from anthropo.reference.person import parse_ancestry
from anthropo.reference.traits import z_words
from anthropo.reference.zscore import LIMIT, ZScore, signed
from anthropo.report.tables import quantity

#: What people name `ancestry` else; shown beside it, so that nobody thinks it counts.
_ANCESTRY = ("ethnicity", "race")
_SPAN = (4, 8)  # SD: how far a plot reaches to each side, at least and at most
_INTERVALS = 6.0  # SD: how far it reaches for the sake of an interval


@dataclass(frozen=True, slots=True)
class Bar:
    """One z-score to draw."""

    entry: Entry
    z: ZScore

    @property
    def words(self) -> str:
        """z as text."""
        return signed(self.z.z)

    @property
    def beyond(self) -> bool:
        """Whether z itself is beyond ±2."""
        return abs(self.z.z) > LIMIT

    @property
    def certain(self) -> bool:
        """Whether the whole 95 % interval is, with the error of the reference."""
        low, high = self.z.whole
        return low > LIMIT or high < -LIMIT


@dataclass(frozen=True, slots=True)
class BeyondLimit:
    """A measurement that is beyond 2 SD under some reference."""

    name: str
    value: str  # with its unit
    scores: tuple[tuple[str, str, bool], ...]  # z and its interval, the reference, whether z is beyond
    certain: bool  # the whole 95 % interval is beyond, under some reference
    doubt: str  # empty, or why it should be read with care all the same
    farthest: float  # |z|


def given(item: Item, person: Person, age_basis: str = "") -> str:
    """What is known of the person in a photo, and from which birth the age is counted."""
    if item.disputed:
        words = [f"who it is: the table contradicts itself ({item.disputed}), so nothing was used"]
    elif person.sex or person.age:
        words = [f"sex {person.sex or 'not given'}", f"age {person.age or 'not given'}"]
    else:
        words = ["sex and age not given"]
    if age_basis:
        words.append(age_basis)
    if parse_ancestry(person.ancestry):
        words.append(f"ancestry {person.ancestry} (counts under references that tell groups of it apart)")
    for name in _ANCESTRY:
        if cell := item.columns.get(name):
            words.append(f"{name} {cell} (not used: the column `ancestry` is)")
    return " · ".join(words)


def compared(record: MeasuredRecord) -> str:
    """The references of a record, each with its grade."""
    names = [f"{name} ({how})" if how else name for name, how in record.compared_with.items()]
    return f"compared with {', '.join(names)}" if names else "compared with no reference"


def bars(record: MeasuredRecord) -> dict[str, list[Bar]]:
    """Every z-score by the region of the face; what has no z is left out."""
    by_region: dict[str, list[Bar]] = {}
    for name, result in record.results.items():
        entry = registry()[name]
        for z in result.scores:
            if math.isfinite(z.z):
                by_region.setdefault(entry.region, []).append(Bar(entry, z))
    return by_region


def span(by_region: Mapping[str, list[Bar]]) -> int:
    """How far a plot of these reaches to each side, in whole SD."""
    farthest = 0.0
    for bar in (bar for of_region in by_region.values() for bar in of_region):
        ends = [abs(end) for end in (bar.z.z_lo, bar.z.z_hi) if math.isfinite(end)]
        farthest = max(farthest, abs(bar.z.z) + 0.5, min(max(ends, default=0.0), _INTERVALS))
    return min(max(math.ceil(farthest), _SPAN[0]), _SPAN[1])


def findings(record: MeasuredRecord) -> list[BeyondLimit]:
    """What lies beyond 2 SD: first what does with its whole interval, then by distance."""
    rows = []
    for name, result in record.results.items():
        of_name = [Bar(registry()[name], z) for z in result.scores if math.isfinite(z.z)]
        if any(bar.beyond for bar in of_name):
            rows.append(_finding(result, of_name))
    return sorted(rows, key=lambda one: (not one.certain, -one.farthest))


def _finding(result: Result, of_name: list[Bar]) -> BeyondLimit:
    value = result.measured
    unit = of_name[0].z.unit
    if result.in_mm and unit == result.in_mm.unit:
        value = result.in_mm
    doubt = value.reason
    if not doubt and not all(bar.beyond for bar in of_name):
        doubt = "not under every reference"
    return BeyondLimit(
        name=of_name[0].entry.name,
        value=quantity(value.value, value.unit),
        scores=tuple((f"z {z_words(bar.z)}", bar.z.reference, bar.beyond) for bar in of_name),
        certain=any(bar.certain for bar in of_name),
        doubt=doubt,
        farthest=max(abs(bar.z.z) for bar in of_name),
    )


def nothing_beyond(record: MeasuredRecord) -> str:
    """The sentence that stands where no finding does."""
    scored = sum(any(math.isfinite(z.z) for z in result.scores) for result in record.results.values())
    if scored:
        have = "1 measurement has a z-score" if scored == 1 else f"{scored} measurements have a z-score"
        return f"Nothing lies beyond {LIMIT:g} SD ({have})."
    if record.scores:
        return "No measurement has a z-score."
    return "Nothing was compared with healthy people, because the person's sex and age were not stated."
