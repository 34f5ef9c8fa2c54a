"""Measurements of one's own on the terminal and as a page with a drawing of each."""

from __future__ import annotations

import math
from collections.abc import Iterable

from anthropo.measurement.drawing import drawing
from anthropo.measurement.registry import Entry
from anthropo.report.rendering import embedded, page, print_table
from anthropo.workflows.own_measurements import CheckedMeasurement, CheckedRegistry

_LISTED = ("id", "name", "region", "kind", "unit", "side", "expression")


def print_registry(entries: Iterable[Entry]) -> None:
    """Measurements as a table, a line each."""
    rows = [
        (*(str(getattr(entry, name)) for name in _LISTED[:-1]), entry.expression or "from the photo's pixels")
        for entry in entries
    ]
    print_table(_LISTED, rows, left=_LISTED)


def print_checked(checked: CheckedRegistry) -> None:
    """Every measurement of one's own with what it is on the photo, and what was derived."""
    for one in checked.measurements:
        print(f"{one.entry.id}: {one.entry.name}")
        for name, text in facts(one, checked.photo or "the example photo"):
            print(f"  {name:<16}{text}")


def facts(one: CheckedMeasurement, photo: str) -> list[tuple[str, str]]:
    """What is known of a measurement, by name."""
    entry, value = one.entry, one.measured
    unit = "" if entry.unit == "1" else f" {entry.unit}"
    rows = [("expression", f"{entry.expression}{f' ({entry.unit})' if unit else ''}")]
    if math.isfinite(value.value):
        numbers = (value.value, value.lo, value.hi)
        known, low, high = (f"{number:.4g}" for number in numbers)
        rows.append(("on the photo", f"{known}{unit}, 95 % interval {low} to {high} ({photo})"))
        rows.append(("another photo", f"differs by SD {value.repeat_sd:.2g}{unit}"))
        if value.reason:
            rows.append(("not counted", value.reason))
    else:
        rows.append(("on the photo", f"no value: {value.reason}"))
    sized = " (faces of one size)" if entry.needs_mm else ""
    rows.append(("between adults", f"mean {one.mean:.4g}, SD {one.people_sd:.2g}{unit}{sized}"))
    how = ", derived from its landmarks" if "voids" in one.derived else ""
    rows.append(("voided by", f"{', '.join(entry.voids) or 'nothing'}{how}"))
    if entry.same_as:
        rows.append(("the same as", f"{entry.same_as}, which comes with anthropo, and as reliable"))
    if entry.definition:
        rows.append(("source", entry.definition))
    return rows


def registry_page(checked: CheckedRegistry) -> str:
    """An HTML page with a drawing of each measurement."""
    photo = checked.photo or "the example photo"
    measurements = [
        {
            "id": one.entry.id,
            "name": one.entry.name,
            "note": one.entry.note,
            "picture": embedded(drawing(one.entry).encode()),
            "facts": facts(one, photo),
        }
        for one in checked.measurements
    ]
    return page("registry.html", measurements=measurements)
