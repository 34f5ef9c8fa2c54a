"""Commands that the documentation shows exist, with the options that they are shown with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from anthropo.cli import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *(p for p in sorted((ROOT / "docs").rglob("*.md")) if p.parent.name not in ("api", "commands")),
]
_SPAN = re.compile(r"(?<!`)`(anthropo [^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_LINE = re.compile(r"^(?:\$ )?(anthropo [a-z].*)$", re.MULTILINE)


def shown(text: str) -> list[str]:
    """Commands in code spans and on lines of their own, comments and what else a shell reads left out."""
    spans = [" ".join(span.split()) for span in _SPAN.findall(text)]
    fences = re.findall(r"^[`~]{3,}[^\n]*\n(.*?)^[`~]{3,}", text, re.MULTILINE | re.DOTALL)
    lines = [line for fence in fences for line in _LINE.findall(fence)]
    return [re.split(r"\s#|\s[>|;&]", command)[0].strip() for command in (*spans, *lines)]


def fault(command: str) -> str:
    """What of a shown command there is not; empty if all is there."""
    words = shlex.split(command.replace("…", ""))[1:]
    at: click.Command = cli
    with click.Context(cli, info_name="anthropo") as context:
        while words and isinstance(at, click.Group) and not words[0].startswith("-"):
            found = at.get_command(context, words[0])
            if found is None:
                return f"no command {words[0]}"
            at, words = found, words[1:]
    known = {name for parameter in at.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help"}
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return ", ".join(f"no option {one}" for one in options if one not in known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_is_shown_can_be_typed(page: Path) -> None:
    wrong = {c: fault(c) for c in shown(page.read_text(encoding="utf-8")) if c.split()[1][:1].islower()}
    assert {c: f for c, f in wrong.items() if f} == {}


def test_a_command_or_option_that_is_not_there_is_found() -> None:
    text = (
        "Use `anthropo mesure p.jpg`, or:\n```sh\n$ anthropo measure p.jpg --nose -o x.csv  # a table\n```\n"
    )
    assert [fault(c) for c in shown(text)] == ["no command mesure", "no option --nose"]
