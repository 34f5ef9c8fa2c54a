"""A page of the reference for each command, made from its click options and its help.

sphinx-click has them all on one page, takes ``--`` for a dash and runs examples together. The pages are not
committed, since `anthropo COMMAND --help` says the same.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from anthropo.cli import GROUPS, cli

FOLDER = Path(__file__).resolve().parents[1] / "commands"
_MARKED = re.compile(r"(`[^`]*`)")
_OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)(?![\w-])")


def marked(text: str) -> str:
    """A paragraph of help as Markdown: options as code, and no sign that Markdown would take for its own."""
    parts = _MARKED.split(" ".join(text.split()))
    plain = (re.sub(r"([*\[\]<>$|{}]|\b_|_\b)", r"\\\1", part) for part in parts[::2])
    parts[::2] = [_OPTION.sub(r"`\1`", part) for part in plain]
    return "".join(parts)


def described(command: click.Command) -> Iterator[str]:
    """The help of a command: paragraphs, and what is set line by line as it stands."""
    for paragraph in re.split(r"\n\s*\n", (command.help or "").split("\f", 1)[0].strip()):
        lines = paragraph.splitlines()
        if lines[0].strip() != "\b":
            yield from (marked(paragraph), "")
            continue
        block = textwrap.dedent("\n".join(lines[1:])).splitlines()
        if block[0].endswith(":") and all(line.startswith(" ") for line in block[1:]):
            yield from (f"**{block[0].rstrip(':')}**", "")
            block = textwrap.dedent("\n".join(block[1:])).splitlines()
        laid_out = any(re.search(r"^ |\S  +\S", line) for line in block)
        if not laid_out and not block[0].startswith("anthropo "):
            yield from (marked(" ".join(block)), "")
            continue
        remark = re.compile(r"anthropo [^#]*\S  +[^#\s]")  # what it does, behind the command
        shell = all(line.startswith(("anthropo ", "#")) and not remark.match(line) for line in block)
        yield from (f"```{'bash' if shell else 'text'}", *block, "```", "")


def options(command: click.Command, path: str) -> Iterator[str]:
    """Every option with what it does and its default."""
    context = click.Context(command, info_name=path, **_settings())
    records = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
    listed = [record for record in records if record]
    if not listed:
        return
    yield from (f"```{{program}} {path}", "```", "")
    for names, what in listed:
        yield from (f"````{{option}} {names}", "", marked(what), "````", "")


def _settings() -> dict[str, Any]:
    return {key: value for key, value in cli.context_settings.items() if key in ("show_default",)}


def usage(command: click.Command, path: str) -> str:
    """The line of usage."""
    context = click.Context(command, info_name=path)
    return " ".join([path, *command.collect_usage_pieces(context)])


def section(command: click.Command, path: str, level: int) -> Iterator[str]:
    """A command with its commands."""
    yield from (f"{'#' * level} {path}", "")
    yield from ("```text", usage(command, path), "```", "")
    yield from described(command)
    yield from options(command, path)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from section(inner, f"{path} {name}", level + 1)


def pages() -> dict[str, str]:
    """The pages by file name, and the table of all."""
    context = click.Context(cli)
    made, table = {}, []
    for heading, commands in GROUPS.items():
        table += ["", f"**{heading}**", "", "| command | what it does |", "|---|---|"]
        for name, what in commands.items():
            command = cli.get_command(context, name)
            assert command is not None
            made[f"{name}.md"] = "\n".join(section(command, f"anthropo {name}", 1)).rstrip() + "\n"
            table.append(f"| [{name}](commands/{name}.md) | {marked(what)} |")
    names = [name.removesuffix(".md") for name in made]
    table += ["", "```{toctree}", ":hidden:", "", *(f"commands/{name}" for name in names), "```"]
    return {**made, "table.inc": "\n".join(table) + "\n"}


def write(app: Any) -> None:
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for old in FOLDER.iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        file = FOLDER / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
