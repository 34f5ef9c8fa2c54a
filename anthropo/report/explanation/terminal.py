"""An explained prediction on a terminal."""

from __future__ import annotations

import os

from anthropo.errors import parameter
from anthropo.plain import say
from anthropo.report.answers import print_answer
from anthropo.report.explanation.words import (
    against_words,
    bars,
    changes_words,
    gate_words,
    measured_words,
    range_words,
    signed,
    stability_words,
)
from anthropo.report.tables import distance_words
from anthropo.workflows.explain import ExplainedCase


def print_explanation(case: ExplainedCase, top: int) -> None:
    """The prediction with its `top` labels, then each label's sum."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    record = case.record
    for sentence in (*case.left_out, *((*record.notes, record.remark) if record else ())):
        say(sentence, fg="yellow", err=True)
    if case.voided:
        say(f"{case.photo.source}: {case.voided}", fg="yellow")
        force = parameter("force", True)
        say(f"Nothing is suggested: take another photo, or pass {force}.", bold=True)
        return
    print_answer(case.prediction, case.trained, top)
    for check in record.gate if record else ():
        if not check.ok:
            say(f"gate: {check.name.replace('_', ' ')}: {check.advice}", fg="yellow")
    if record and (words := distance_words(record)):
        say(words)
    if record and record.age_basis:
        say(f"age for z-scores: {record.age_basis}")
    console = Console(highlight=False, markup=False, width=None if os.isatty(1) else 120)
    shown = list(case.explanation.labels)
    if len(case.trained.manifest.labels) == 2 and case.trained.task == "labels":
        # of two labels one is the other with the opposite sign
        shown = [e for i, e in enumerate(shown) if i == 0 or e.how != "trained"]
    results = record.results if record else {}
    for explained in shown:
        say()
        say(f"{explained.label}  {signed(explained.log_odds)}", bold=True, nl=False)
        say(f"  {against_words(explained)}")
        table = Table(box=None, pad_edge=False, show_header=False)
        for justify in ("left", "right", "right", "left", "left"):
            table.add_column(justify=justify)
        chart = bars(explained)
        limit = max(abs(bar.log_odds) for bar in chart) or 1.0  # of bars alone: ranges are written
        for bar in chart:
            size = abs(bar.log_odds) / limit
            pale = bar.stable is False
            blocks = ("░" if pale else "▇") * max(1, round(16 * size)) if pale or size > 1 / 64 else ""
            colour = "red" if bar.log_odds > 0 else "blue"
            result = results.get(bar.measurement)
            note = measured_words(case.trained, result.measured) if result else ""
            style = "dim" if pale else ""
            table.add_row(
                Text(bar.name, style=style), Text(signed(bar.log_odds), style=style),
                Text(range_words(bar), style="dim"), Text(blocks, style=colour), Text(note, style=style),
            )  # fmt: skip
        total = Text(signed(explained.log_odds), style="bold")
        table.add_row(Text("log-odds", style="bold"), total, "", "", "")
        console.print(table)
    say()
    say(stability_words(case))
    if sentence := gate_words(case):
        say()
        say(sentence)
    say()
    say("What would change the decision", bold=True)
    for sentence in changes_words(case):
        say(sentence)
    say("Red speaks for the label, blue against it. Add -o FILE.html for heatmaps and a report.", dim=True)
