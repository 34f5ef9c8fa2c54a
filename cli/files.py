"""Which options and arguments of commands name files, and that such a name is not empty."""

from __future__ import annotations

from typing import Any

import click

#: Words of metavars that stand for files.
_FILES = {
    *("FILE", "FOLDER", "PHOTO", "PHOTOS", "COHORT", "CONTROLS", "ANNOTATED", "MODEL", "NET", "AB", "A", "B"),
    *("OUTPUT", "BEFORE", "TABLE"),
}


class NameOfFile(click.types.StringParamType):
    """A text that names a file or folder: ``""`` is what a script's variable gives that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, or a usage error where it is empty."""
        if not str(value).strip():
            self.fail("the name is empty. Name a file or folder, or leave it out.", param, ctx)
        return super().convert(value, param, ctx)


def kind_of_file(metavar: str) -> str:
    """What a parameter with this metavar names: ``"file"``, ``"dir"``, or ``""`` where it is no file."""
    if metavar.strip("[]") == "FOLDER":
        return "dir"
    words = metavar.replace("...", "").replace("[", "").replace("]", "").replace("|", " ").split()
    return "file" if any(word.split(".")[0] in _FILES for word in words) else ""


def refuse_empty_names(command: click.Command) -> None:
    """Have a command, and its subcommands, refuse empty names of files."""
    for param in command.params:
        if type(param.type) is click.types.StringParamType and kind_of_file(str(param.metavar or "")):
            param.type = NameOfFile()
    if isinstance(command, click.Group):
        for one in command.commands.values():
            refuse_empty_names(one)
