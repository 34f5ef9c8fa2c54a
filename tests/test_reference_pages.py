"""What makes the reference's pages of names and commands: nothing is left out, and nothing is garbled."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import pytest

import anthropo
from anthropo.cli import COMMANDS, cli
from anthropo.measurement.compute import Measurement

SITE = Path(__file__).parents[1] / "docs" / "site"


@pytest.fixture(scope="module")
def api() -> Any:
    return imported("api_pages")


@pytest.fixture(scope="module")
def commands() -> dict[str, str]:
    made: dict[str, str] = imported("command_pages").pages()
    return made


def imported(name: str) -> Any:
    sys.path.insert(0, str(SITE))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(SITE))


def test_every_public_name_is_on_the_page_of_a_task(api: Any) -> None:
    pages = api.pages_of_tasks()
    text = "\n".join(page for name, page in pages.items() if name != "anthropo.rst")
    for name in anthropo.__all__:
        assert api.task_of(getattr(anthropo, name)) != "More", f"{name}: add its module to TASKS"
        assert text.count(f":: anthropo.{name}\n") == 1, name
        assert f"<anthropo.{name}>`" in pages["anthropo.rst"]


def test_every_name_has_a_sentence(api: Any) -> None:
    for room in api.rooms():
        module = __import__(room, fromlist=["__all__"])
        for name in module.__all__:
            said = api.summary(getattr(module, name), room, name)
            assert len(said) > 9, f"{room}.{name}"
            assert "Built-in" not in said
    assert "Every measurement, by id" in api.pages_of_tasks()["anthropo.rst"]
    assert "What `align` can do." in api.page("anthropo.adaptation")


def test_every_room_has_a_page_with_its_names(api: Any) -> None:
    for room in api.rooms()[1:]:
        page = api.page(room)
        for name in __import__(room, fromlist=["__all__"]).__all__:
            assert f".{name}>`" in page, (room, name)


def test_fields_that_only_a_comment_describes_are_attributes(api: Any) -> None:
    lines = ["One measured value.", "", "Examples", "--------", ">>> 1", "1"]
    api.with_fields(None, "class", "Measurement", Measurement, None, lines)
    at = lines.index("Attributes")
    assert lines.index("Examples") > lines.index("repeat_sd : float") > at
    assert lines[lines.index("unit : str") + 1].startswith(
        "    ex-ex: fraction of the outer-canthal distance"
    )
    plain = ["Costs."]
    api.with_fields(None, "class", "object", object, None, plain)
    assert plain == ["Costs."]


def test_fields_that_the_docstring_describes_are_not_listed_again(api: Any) -> None:
    lines = ["Which.", "", "Attributes", "----------", "id, value : str", "    Both.", ""]
    api.with_fields(None, "class", "Measurement", Measurement, None, lines)
    assert lines.count("Attributes") == 1
    assert "id : str" not in lines
    assert "lo : float" in lines


def test_a_page_has_every_option_of_its_command(commands: dict[str, str]) -> None:
    def check(command: click.Command, page: str) -> None:
        context = click.Context(command)
        listed = [line for line in page.splitlines() if line.startswith("````{option}")]
        for one in command.params:
            if isinstance(one, click.Option) and not one.hidden:
                assert any(set(one.opts) <= set(line.replace(",", " ").split()) for line in listed), one.opts
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                check(inner, page)

    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        check(command, commands[f"{name}.md"])
        assert f"[{name}](commands/{name}.md)" in commands["table.inc"]
        assert f"\ncommands/{name}\n" in commands["table.inc"]


def test_examples_stand_line_by_line_and_options_are_code(commands: dict[str, str]) -> None:
    page = commands["measure.md"]
    assert "```bash\nanthropo measure portrait.jpg\nanthropo measure photos/ -o faces.csv -j 8\n" in page
    assert "\n`--save-landmarks` writes where" in page
    assert r"\[lo, hi\]" in page
