"""Results on a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from anthropo.batch.records import MeasuredRecord, Record
from anthropo.errors import parameter
from anthropo.face.gate import Check
from anthropo.measurement.compute import Measurement
from anthropo.measurement.registry import NEEDS_MM, registry
from anthropo.plain import minus, say

# What scores, several photos of a person and tables of many photos need is imported where there are some.
if TYPE_CHECKING:
    from anthropo.batch.patients import PatientRecord
    from anthropo.reference.zscore import ZScore


def number(value: float | None, unit: str = "") -> str:
    """A value with the digits that its unit deserves."""
    if value is None or math.isnan(value):
        return "–"
    digits = {"px": 0, "points": 0, "cm": 0, "%": 1, "deg": 1, "mm": 1, "mm²": 0, "CIELAB": 1, "ex-ex²": 4}
    return minus(f"{value:.{digits.get(unit, 3)}f}")


def quantity(value: float, unit: str) -> str:
    """A value with its unit, which is left out where it is 1."""
    return f"{number(value, unit)} {unit}".removesuffix(" 1")


def z_text(scores: Sequence[ZScore], reference: str) -> str:
    """The z-score under a reference, with its interval; empty without one."""
    from anthropo.reference.zscore import signed

    for z in scores:
        if z.reference == reference and not math.isnan(z.z):
            between = "" if math.isnan(z.z_lo) else f" ({signed(z.z_lo)} to {signed(z.z_hi)})"
            return signed(z.z) + between
    return ""


def sign(bound: str) -> str:
    """The sign before a limit of the photo gate."""
    return "≤" if bound == "max" else "≥"


def print_gate(gate: Sequence[Check]) -> None:
    """The checks of the photo gate that a photo fails, a line each."""
    for check in gate:
        if not check.ok:
            value, limit = number(check.value, check.unit), number(check.limit, check.unit)
            finding = f"{check.name} is {value}, limit {sign(check.bound)} {limit} {check.unit}"
            say(f"gate: {finding}: {check.advice}", fg="yellow")


def distance_words(record: Record) -> str:
    """How far the camera was, where that is known."""
    about = record.diagnostics
    if about.distance is None:
        return ""
    how = {"declared": "declared", "lens": "from the declared lens", "exif": "from EXIF's focal length"}
    within = f"95 % interval {about.distance_lo:.0f} to {about.distance_hi:.0f} cm"
    return f"distance: {about.distance:.0f} cm, {how[about.distance_source or '']} ({within})"


def print_face(record: Record) -> None:
    """One face: what the photo gate says of the photo, then every measurement."""
    assert record.face is not None
    face = f", face {record.index}" if record.index else ""
    size = f"{record.face.width} × {record.face.height} px"
    say(f"{record.photo}{face}  {size}", bold=True)
    if video := record.video:
        say(f"{video.seconds:.1f} s, {video.measured} of {video.frames} frames measured")
        for remark in video.remarks:
            say(remark, fg="yellow")
        say("pose and gate of the frame that is best to measure:")
    say(minus("  ".join(f"{axis} {degrees:+.1f}°" for axis, degrees in record.face.pose.items())))
    print_gate(record.gate)
    if record.moved:
        moved = ", ".join(f"{name} by {px:.1f} px" for name, px in record.moved.items())
        say(f"landmarks placed by hand: {moved}")
    if words := distance_words(record):
        say(words)
    if scale := record.scale:
        say(f"scale: {scale.mm_per_px:.4f} mm per pixel. {scale.method}")
    _print_measurements(record)


def print_person(record: PatientRecord) -> None:
    """One person: what came of each photo, then every measurement of all of them together."""
    name = f"patient {record.patient}" if record.patient else "one person"
    counts = f"{len(record.measured)} of {len(record.photos)} photos measured"
    say(f"{name}  {counts}", bold=True)
    for photo in record.photos:
        gate = f"gate: {' '.join(photo.gate_failed)}" if photo.gate_failed else "gate passed"
        moved = f", {len(photo.moved)} landmarks placed by hand" if photo.moved else ""
        words = gate + moved if photo.ok else photo.reason
        say(f"{photo.photo}  {words}", fg=None if words == "gate passed" else "yellow")
    _print_measurements(record)


def shortened(sentence: str) -> str:
    """A sentence with a list of measurements, of which a terminal shows the first two."""
    first, *others = sentence.split("; ")
    if len(others) < 3:
        return sentence
    return f"{first}; {others[0]}; and {len(others) - 1} other measurements, which tables and reports name."


def _print_measurements(record: MeasuredRecord) -> None:
    if record.age_basis:
        say(f"age for z-scores: {record.age_basis}")
    for sentence in record.disagreements:
        say(shortened(sentence), fg="yellow")
    pooled = any(hasattr(value, "photos") for value in record.measurements)
    rows = _rows(record, pooled)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * len(widths) > _columns():  # the ids are in every table
        rows, widths = [row[:-1] for row in rows], widths[:-1]
    left = {0, 3, len(rows[0]) - 1 if rows[0][-1] == "id" else 0}
    pad = [str.ljust if k in left else str.rjust for k in range(len(widths))]
    lines = [
        "  ".join(to(text, width) for to, text, width in zip(pad, row, widths, strict=True)).rstrip()
        for row in rows
    ]
    titles = [i == 0 or not any(row[1:]) for i, row in enumerate(rows)]
    for bold, alike in groupby(zip(titles, lines, strict=True), itemgetter(0)):  # many at once take less time
        say("\n".join(line for _, line in alike), bold=bold)
    reason_of = {name: result.measured.reason for name, result in record.results.items()}
    for reason in filter(None, dict.fromkeys(reason_of.values())):
        names = ", ".join(name for name, given in reason_of.items() if given == reason)
        how = f". Give one with {parameter('scale')}." if reason == NEEDS_MM else ""
        say(f"{reason}: {names}{how}", fg="yellow")
    for sentence in unscored(record):
        say(sentence, fg="yellow")
    for chance in record.by_chance:
        say(chance.sentence())
    if pooled:
        say("SD between: of one photo or frame. n: how many of them have a value.", dim=True)
    if unreliable(record):
        say(f"*: {UNRELIABLE}", dim=True)
    say(
        "ex-ex: fraction of the outer-canthal distance. R, L: the subject's right and left.\n"
        f"{interval_words(record)}\nResearch use only, not a medical device.",
        dim=True,
    )


def _columns() -> int:
    """How many fit on the terminal; a pipe, which has no width, gets many."""
    if not sys.stdout.isatty():
        return 1000
    import shutil

    return shutil.get_terminal_size().columns


#: What is said of measurements with a low reliability.
UNRELIABLE = "more than half of how people differ here is error of repeating; no trait is called by it alone."


def unreliable(record: MeasuredRecord) -> list[str]:
    """Measurements of a record that have a value of low reliability."""
    return [
        name
        for name, result in record.results.items()
        if registry()[name].unreliable and not math.isnan(result.measured.value)
    ]


def unscored(record: MeasuredRecord) -> list[str]:
    """Why measurements that have a value have no z under a reference that scores others, a sentence each.

    What a reference does not have at all is left out: that is said where references are listed.
    """
    scoring = {z.reference for z in record.scores if not math.isnan(z.z)}
    if not scoring:
        return []
    from anthropo.reference.tables import lacks

    names: dict[str, list[str]] = {}
    for name, result in record.results.items():
        if math.isnan(result.measured.value):
            continue
        for z in result.scores:
            if math.isnan(z.z) and z.reference in scoring and z.reason != lacks(z.reference, name):
                why = z.reason.partition(": they count as ")[0]  # whose number differs for each
                names.setdefault(why, []).append(name)
    return [f"no z, {why}: {', '.join(of_why)}" for why, of_why in names.items()]


def interval_words(record: MeasuredRecord) -> str:
    """Which error the intervals of a record's values and z-scores hold."""
    accuracy, repeatability = (
        "accuracy, against measuring by hand",
        "repeatability, against other photos of the person",
    )
    words = [f"95 % interval of a value: its {accuracy}."]
    if record.scores:
        from anthropo.reference.zscore import ACCURACY, REPEATABILITY

        for kind, meaning in ((REPEATABILITY, repeatability), (ACCURACY, accuracy)):
            names = dict.fromkeys(z.reference for z in record.scores if z.interval == kind)
            if names:
                words.append(f"Of a z under {', '.join(names)}: the {meaning}.")
    return " ".join(words)


def in_brief(record: MeasuredRecord) -> dict[str, str]:
    """The references of a record, each with its grade and the group of ancestry, for the head of a column."""
    return {
        name: ", ".join(filter(None, (grade, record.groups.get(name))))
        for name, grade in record.grades.items()
    }


def _rows(record: MeasuredRecord, pooled: bool) -> list[tuple[str, ...]]:
    """The table of measurements: its header, then the regions and their measurements."""
    titles = [f"z, {name} ({how})" if how else f"z, {name}" for name, how in in_brief(record).items()]
    titles += ["SD between", "n"] if pooled else []
    rows: list[tuple[str, ...]] = [("measurement", "value", "95 % interval", "unit", *titles, "id")]
    region = ""
    for name, result in record.results.items():
        entry = registry()[name]
        if entry.region != region:
            region = entry.region
            rows.append((region, *[""] * (len(rows[0]) - 1)))
        value, in_mm = result.measured, result.in_mm
        scores = [z_text(result.scores, reference) for reference in record.grades]
        mark = " *" if entry.unreliable and not math.isnan(value.value) else ""
        rows.append((f"  {entry.name}{mark}", *_numbers(value), *scores, *_between(value, pooled), name))
        if in_mm and not math.isnan(value.value):
            rows.append(("", *_numbers(in_mm), *[""] * len(scores), *_between(in_mm, pooled), ""))
    return rows


def _between(value: Measurement, pooled: bool) -> list[str]:
    """How far the values of several photos differ, and how many there are."""
    if not pooled:
        return []
    from anthropo.measurement.pooling import Pooled

    return [number(value.sd, value.unit), str(value.photos)] if isinstance(value, Pooled) else ["", ""]


def _numbers(value: Measurement) -> tuple[str, str, str]:
    """Value, interval and unit as text."""
    interval = ""
    if not math.isnan(value.lo):
        interval = f"{number(value.lo, value.unit)} – {number(value.hi, value.unit)}"
    elif math.isnan(value.value):
        interval = "see below"
    return number(value.value, value.unit), interval, value.unit


def print_overview(records: Sequence[Record]) -> None:
    """Several photos, a line each; the numbers belong into a file."""
    from rich.text import Text

    rows: list[list[str | Text]] = []
    for record in records:
        if record.face:
            pose = [minus(f"{degrees:+.1f}°") for degrees in record.face.pose.values()]
            failed = " ".join(record.gate_failed)
            rows.append([record.photo, "ok", *pose, Text(failed, style="yellow") if failed else "passed"])
        else:
            rows.append([record.photo, Text("failed", style="red"), "", "", "", ""])
    columns = ("photo", "status", "yaw", "pitch", "roll", "gate")
    from anthropo.report.rendering import print_table

    print_table(columns, rows, left=("status", "gate"), width=120)
    print("Add -o FILE.csv, .parquet, .json or .html for the measurements.", file=sys.stderr)


@contextmanager
def progress_bar(total: int, what: str = "measuring") -> Iterator[Callable[[], None]]:
    """A bar on stderr; the yielded function moves it on by one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
