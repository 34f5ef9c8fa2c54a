"""Results on a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from anthropo.measurement.registry import registry


def number(value: float | None, unit: str = "") -> str:
    """A value with the digits that its unit deserves."""
    if value is None:
        return "–"
    digits = {"px": 0, "points": 0, "%": 1, "deg": 1, "mm": 1, "mm²": 0, "CIELAB": 1, "ex-ex²": 4}.get(
        unit, 3
    )
    return f"{value:.{digits}f}"


def z_text(scores: list[dict[str, Any]], reference: str) -> str:
    """The z-score under a reference, with its interval."""
    for z in scores:
        if z["reference"] == reference and z["z"] is not None:
            return f"{z['z']:+.1f}" + (f" ({z['lo']:+.1f} to {z['hi']:+.1f})" if z["lo"] is not None else "")
    return ""


def references(record: dict[str, Any]) -> dict[str, str]:
    """Names of the references that a record has scores of, with their grades."""
    grades: dict[str, set[str]] = {}
    for m in record["measurements"].values():
        for z in m["z"]:
            grades.setdefault(z["reference"], set()).update(z["grade"])
    return {name: "/".join(sorted(found)) for name, found in grades.items()}


def sign(check: dict[str, Any]) -> str:
    """How a gate's limit is meant."""
    return "≤" if check["bound"] == "max" else "≥"


def _width() -> int:
    """Columns to write to; a pipe has none of its own."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000


def print_face(record: dict[str, Any]) -> None:
    """One face: the gate's findings, then every measurement."""
    pose = record["pose"]
    face = f", face {record['face']}" if record["face"] else ""
    size = f"{record['width']} × {record['height']} px"
    click.secho(f"{record['photo']}{face}  {size}", bold=True)
    if record.get("video"):
        video = record["video"]
        click.echo(f"{video['seconds']:.1f} s, {video['measured']} of {video['frames']} frames measured")
        for remark in video["remarks"]:
            click.secho(remark, fg="yellow")
        click.echo("pose and gate of the frame that is best to measure:")
    click.echo(f"yaw {pose['yaw']:+.1f}°  pitch {pose['pitch']:+.1f}°  roll {pose['roll']:+.1f}°")
    for name, check in record["gate"].items():
        if not check["ok"]:
            value, limit = (number(check[key], check["unit"]) for key in ("value", "limit"))
            finding = f"{name} is {value}, limit {sign(check)} {limit} {check['unit']}: {check['advice']}"
            click.secho(f"gate: {finding}", fg="yellow")
    if record["moved"]:
        moved = ", ".join(f"{name} by {px:.1f} px" for name, px in record["moved"].items())
        click.echo(f"landmarks placed by hand: {moved}")
    if record["scale"]:
        scale = record["scale"]
        click.echo(f"scale: {scale['mm_per_px']:.4f} mm per pixel. {scale['method']}")
    _print_measurements(record)


def print_person(record: dict[str, Any]) -> None:
    """One person: what came of each photo, then every measurement of all of them together."""
    measured = sum(p["status"] == "ok" for p in record["photos"])
    name = f"patient {record['patient']}" if record["patient"] else "one person"
    click.secho(f"{name}  {measured} of {len(record['photos'])} photos measured", bold=True)
    for photo in record["photos"]:
        gate = f"gate: {' '.join(photo['gate_failed'])}" if photo["gate_failed"] else "gate passed"
        moved = f", {len(photo['moved'])} landmarks placed by hand" if photo["moved"] else ""
        found = gate + moved if photo["status"] == "ok" else photo["reason"]
        click.secho(f"{photo['photo']}  {found}", fg=None if found == "gate passed" else "yellow")
    _print_measurements(record)


def _print_measurements(record: dict[str, Any]) -> None:
    for sentence in record["disagreements"]:
        click.secho(f"references disagree: {sentence}", fg="yellow")

    scored = references(record)
    titles = [f"z, {name} ({grade})" if grade else f"z, {name}" for name, grade in scored.items()]
    pooled = any("photos" in m for m in record["measurements"].values())
    titles += ["SD between", "n"] if pooled else []
    rows = [("measurement", "value", "95 % interval", "unit", *titles, "id")]
    reasons: dict[str, list[str]] = {}
    region = ""
    for name, m in record["measurements"].items():
        entry = registry()[name]
        if entry.region != region:
            region = entry.region
            rows.append((region, *[""] * (len(rows[0]) - 1)))
        scores = [z_text(m["z"], reference) for reference in scored]
        scores += [number(m["sd"], m["unit"]), str(m["photos"])] if pooled else []
        rows.append((f"  {entry.name}", *_numbers(m), *scores, name))
        if m.get("mm") and m["value"] is not None:
            steady = [number(m["mm"]["sd"], m["mm"]["unit"]), str(m["mm"]["photos"])] if pooled else []
            rows.append(("", *_numbers(m["mm"]), *[""] * len(scored), *steady, ""))
        if m["reason"]:
            reasons.setdefault(m["reason"], []).append(name)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * len(widths) > _width():  # the ids are in every table
        rows, widths = [row[:-1] for row in rows], widths[:-1]
    left = {0, 3, len(rows[0]) - 1 if rows[0][-1] == "id" else 0}
    for i, row in enumerate(rows):
        cells = (
            text.ljust(width) if k in left else text.rjust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        click.secho("  ".join(cells).rstrip(), bold=i == 0 or not any(row[1:]))
    for reason, names in reasons.items():
        click.secho(f"{reason}: {', '.join(names)}", fg="yellow")
    if pooled:
        click.secho("SD between: of one photo or frame. n: how many of them have a value.", dim=True)
    click.secho(
        "ex-ex: fraction of the outer-canthal distance. R, L: the subject's own. Interval: error of "
        "landmarks, pose and scale.\nResearch use only, not a medical device.",
        dim=True,
    )


def _numbers(values: dict[str, Any]) -> tuple[str, str, str]:
    """Value, interval and unit as text."""
    unit = values["unit"]
    interval = ""
    if values["lo"] is not None:
        interval = f"{number(values['lo'], unit)} – {number(values['hi'], unit)}"
    elif values["value"] is None:
        interval = "see below"
    return number(values["value"], unit), interval, unit


def print_overview(records: list[dict[str, Any]]) -> None:
    """Several photos, a line each; the numbers belong into a file."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("photo", "status", "yaw", "pitch", "roll", "gate"):
        table.add_column(column, justify="right" if column in ("yaw", "pitch", "roll") else "left")
    for record in records:
        if record["status"] == "ok":
            pose = [f"{record['pose'][axis]:+.1f}°" for axis in ("yaw", "pitch", "roll")]
            failed = " ".join(name for name, check in record["gate"].items() if not check["ok"])
            table.add_row(
                Text(record["photo"]), "ok", *pose, Text(failed, style="yellow") if failed else "passed"
            )
        else:
            table.add_row(Text(record["photo"]), Text("failed", style="red"), "", "", "", "")
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
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
