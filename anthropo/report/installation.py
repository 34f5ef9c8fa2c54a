"""What `anthropo doctor` found, as text to read or to paste into a report of a fault."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from anthropo.plain import say

if TYPE_CHECKING:
    from anthropo.workflows.installation import Installation, State

_WIDTH = 110
_MARKS: dict[State, tuple[str, str | None]] = {
    "fine": ("", None),
    "absent": ("", None),
    "doubtful": ("! ", "yellow"),
    "broken": ("X ", "red"),
}


def print_installation(installation: Installation) -> None:
    """Part by part, with what to do below each that is not fine; at the end what it comes to."""
    for section, parts in groupby(installation.parts, key=lambda part: part.section):
        say(section, bold=True)
        for part in parts:
            mark, colour = _MARKS[part.state]
            _line(f"{mark:<2}{part.name:<28}", part.found, colour)
            if part.fix:
                _line(" " * 30, part.fix, colour)
    say()
    say(verdict(installation), fg="red" if not installation.whole else None)


def verdict(installation: Installation) -> str:
    """What it comes to, in a sentence."""
    broken, doubtful = installation.of("broken"), installation.of("doubtful")
    if broken:
        names = ", ".join(part.name for part in broken)
        return f"What anthropo needs is broken or missing: {names}. What to do stands below each, after X."
    if doubtful:
        names = ", ".join(part.name for part in doubtful)
        return f"Everything that anthropo needs works. Worth a look, after !: {names}."
    return "Everything that anthropo needs works."


def _line(begin: str, text: str, colour: str | None) -> None:
    filled = textwrap.fill(
        text,
        _WIDTH,
        initial_indent=begin,
        subsequent_indent=" " * 30,
        break_on_hyphens=False,
        break_long_words=False,
    )
    say(filled, fg=colour)
