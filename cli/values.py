"""What the shell completes of options whose values click does not know; loaded only when a shell asks."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from anthropo.cli.files import kind_of_file

_MOST_ROWS = 2000  # of a cohort, whose labels are looked for
_MOST_BYTES = 1 << 20  # of a model's manifest
Values = Callable[[click.Context], Iterable[str]]


class Completed(click.types.StringParamType):
    """A text for which there are suggestions; several with commas between where it is a list."""

    def __init__(self, values: Values | None, *, files: str = "", listed: bool = False) -> None:
        self.values, self.files, self.listed = values, files, listed

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        head, comma, last = incomplete.rpartition(",") if self.listed else ("", "", incomplete)
        choices: Iterable[str] = ()
        with contextlib.suppress(Exception):  # a table or model that cannot be read says so when it is used
            choices = tuple(self.values(ctx)) if self.values else ()
        items = [CompletionItem(f"{head}{comma}{one}") for one in choices if one.startswith(last)]
        return items if items or not self.files else [CompletionItem(incomplete, type=self.files)]


def with_values(command: click.Command) -> click.Command:
    """A copy of a command whose options' and arguments' values are completed, and its subcommands'."""
    command = copy.copy(command)
    command.params = [copy.copy(param) for param in command.params]
    for param in command.params:
        param.callback = None  # a half-written line opens no table, and says nothing about one
        if isinstance(param.type, click.types.StringParamType):
            param.type = completed(param)
    if isinstance(command, click.Group):
        command.commands = {name: with_values(one) for name, one in command.commands.items()}
    return command


def completed(param: click.Parameter) -> Completed:
    """What is completed of a parameter: by its name, else by the kind of file that it names."""
    name, metavar = param.name or "", str(param.metavar or "")
    if (name, metavar) in _OF:
        return _OF[name, metavar]
    if name in _OF_NAME:
        return _OF_NAME[name]
    return Completed(None, files=kind_of_file(metavar))


# ----------------------------------------------------------------------------------------------- values


def _these(*values: str) -> Values:
    return lambda ctx: values


def _cohort(ctx: click.Context) -> Path:
    """The cohort that the line names already: in `args` where an option waits for its value."""
    named = ctx.params.get("cohort") or ctx.params.get("photos") or ctx.args
    return Path(named if isinstance(named, str) else named[0])


def _rows(ctx: click.Context, most: int) -> list[list[str]]:
    from anthropo.tables import iterate_rows

    return [cells for _, cells in islice(iterate_rows(_cohort(ctx)), most)]


def _columns(ctx: click.Context) -> Iterable[str]:
    header = next(iter(_rows(ctx, 1)), [])
    return [name for name in header if name not in ("photo", "label", "patient")]


def _cells(column: str) -> Values:
    """The different values of a column of the cohort; of one with subfolders of photos, their names."""

    def values(ctx: click.Context) -> Iterable[str]:
        folder = _cohort(ctx)
        if column == "label" and folder.is_dir():
            return sorted(one.name for one in folder.iterdir() if one.is_dir())
        header, *rows = _rows(ctx, _MOST_ROWS)
        at = header.index(column)
        return sorted({row[at] for row in rows if len(row) > at and row[at]})

    return values


def _manifest(ctx: click.Context) -> dict[str, Any]:
    path = Path(ctx.params["model"])
    if not path.is_file():  # a pipe or a device may have no end
        return {}
    with zipfile.ZipFile(path) as file, file.open("manifest.json") as member:
        manifest: dict[str, Any] = json.loads(member.read(_MOST_BYTES))
    return manifest


def _labels_of_model(end: str = "") -> Values:
    return lambda ctx: [f"{label}{end}" for label in _manifest(ctx)["labels"]]


def _references(ctx: click.Context) -> Sequence[str]:
    from anthropo.reference.shipped import AUTOMATIC, shipped_references

    return [*shipped_references(), AUTOMATIC]


def _ancestries(ctx: click.Context) -> Sequence[str]:
    from anthropo.reference.shipped import REFERENCE_OF_ALL_AGES
    from anthropo.reference.tables import load_reference

    return [*load_reference(REFERENCE_OF_ALL_AGES).groups, "unknown"]


def _regions(ctx: click.Context) -> Sequence[str]:
    from anthropo.encoder.regions import HYBRID_REGIONS

    return tuple(HYBRID_REGIONS)


def _recipe_options(ctx: click.Context) -> Iterable[str]:
    """The options of a recipe, or of a translation, which have no recipe."""
    recipe = ctx.params.get("recipe")
    package, name = ("networks", f"recipes/{recipe}.toml") if recipe else ("translation", "options.toml")
    text = resources.files(f"anthropo.{package}").joinpath(name).read_text("utf-8")  # its module loads torch
    names = re.findall(r"(?m)^(\w+) = ", text)
    return [f"{one}=" for one in names if one not in ("task", "summary", "source")]


_COLUMN, _LIST_OF_COLUMNS = Completed(_columns), Completed(_columns, listed=True)
_LABEL = Completed(_cells("label"))
_ENCODERS = ("face-resnet", "efficientnet-lite0", "timm:", "onnx:")

#: By name and metavar, where a name stands for several things.
_OF = {
    ("controls", "LABEL"): _LABEL,
    ("label", "LABEL"): _LABEL,
    ("label", "COLUMN"): _COLUMN,
    ("labels", "LABEL"): Completed(_labels_of_model()),
    ("labels", "LABEL,…"): Completed(
        _these("control", "synthetic-A", "synthetic-B", "synthetic-C"), listed=True
    ),
    ("networks", "NAME,…"): Completed(
        _these("resnet50", "inception_v3", "densenet121", "xception", "inception_resnet_v2", "inception_v4"),
        listed=True,
    ),
    ("warm_start", "NAME"): Completed(_these("imagenet", "none")),
}
_OF_NAME = {
    "adjust": _LIST_OF_COLUMNS,
    "after": Completed(_cells("state")),
    "ancestry": Completed(_ancestries),
    "before": Completed(_cells("state")),
    "by": _COLUMN,
    "cache": Completed(_these("none"), files="dir"),
    "changes": Completed(_recipe_options),
    "cluster": Completed(_these("local", "slurm", "tcp://")),
    "compare": Completed(_these("classifier", "balance", "encoder", "adapt", "attributes"), listed=True),
    "cost": Completed(_these("miss=", "false-alarm="), listed=True),
    "device": Completed(_these("auto", "cpu", "cuda", "mps")),
    "distance": Completed(_these("lens=")),
    "domain": _COLUMN,
    "encoder": Completed(_these(*_ENCODERS), files="file", listed=True),
    "leave_out": _COLUMN,
    "match": _LIST_OF_COLUMNS,
    "metadata": _LIST_OF_COLUMNS,
    "normal": _LABEL,
    "positive": _LABEL,
    "prevalence": Completed(_labels_of_model("=")),
    "reference": Completed(_references, files="file"),
    "references": Completed(_references, files="file"),
    "regions": Completed(_regions, listed=True),
    "scale": Completed(_these("sticker=", "ipd=", "mm-per-px=", "iris")),
    "sex": Completed(_these("female", "male")),
    "state": _COLUMN,
    "warm_start": Completed(
        _these("none", "face-resnet", "efficientnet-lite0", "imagenet"), files="file"
    ),
}  # fmt: skip
