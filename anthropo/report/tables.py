"""Results on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from anthropo.measurement.registry import registry


def number(value: float | None, unit: str = "") -> str:
    """A value with the digits that its unit deserves."""
    if value is None:
        return "–"
    digits = {"px": 0, "points": 0, "%": 1, "deg": 1, "ex-ex²": 4}.get(unit, 3)
    return f"{value:.{digits}f}"


def sign(check: dict[str, Any]) -> str:
    """How a gate's limit is meant."""
    return "≤" if check["bound"] == "max" else "≥"


def _console() -> Console:
    # a pipe has no width of its own: wide enough that no row is wrapped
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def print_face(record: dict[str, Any]) -> None:
    """One face: the gate's findings, then every measurement."""
    console = _console()
    pose = record["pose"]
    face = f", face {record['face']}" if record["face"] else ""
    console.print(
        Text(f"{record['photo']}{face}  {record['width']} × {record['height']} px", style="bold"),
        Text(f"yaw {pose['yaw']:+.1f}°  pitch {pose['pitch']:+.1f}°  roll {pose['roll']:+.1f}°", style="dim"),
        sep="\n",
    )
    failed = [(name, check) for name, check in record["gate"].items() if not check["ok"]]
    for name, check in failed:
        console.print(
            Text(
                f"gate: {name} is {number(check['value'], check['unit'])}, "
                f"limit {sign(check)} {number(check['limit'], check['unit'])} {check['unit']}: "
                f"{check['advice']}",
                style="yellow",
            )
        )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("measurement", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("unit")
    table.add_column("id", style="dim")
    region = ""
    for name, m in record["measurements"].items():
        entry = registry()[name]
        if entry.region != region:
            region = entry.region
            table.add_row(Text(region, style="bold"))
        interval = (
            f"{number(m['lo'], m['unit'])} – {number(m['hi'], m['unit'])}" if m["lo"] is not None else ""
        )
        note = Text(m["reason"], style="yellow") if m["value"] is None else Text(interval)
        table.add_row(f"  {entry.name}", number(m["value"], m["unit"]), note, m["unit"], name)
    console.print(table)
    console.print(
        Text(
            "ex-ex: fraction of the outer-canthal distance. R, L: the subject's own. Interval: from landmark "
            "jitter only.\nResearch use only, not a medical device.",
            style="dim",
        )
    )


def print_overview(records: list[dict[str, Any]]) -> None:
    """Several photos, a line each; the numbers belong into a file."""
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
    _console().print(table)
    print("Add -o FILE.csv, .parquet, .json or .html for the measurements.", file=sys.stderr)


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr; the yielded function moves it on by one photo."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
