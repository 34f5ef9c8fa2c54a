"""anthropo inspect"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import click

from anthropo.cli.common import in_one_sentence

_WIDEST = 40  # name


@click.command(short_help="Tell what a model is, was trained on and can do.")
@click.argument("model", metavar="MODEL")
@click.option("--card", "as_card", is_flag=True, help="The whole model card, as Markdown.")
def command(model: str, as_card: bool) -> None:
    """Tell what a MODEL or network is: labels, training cohort, figures, decision, licences, size.

    Nothing in the file is executed; a damaged, foreign or altered one is refused. --card prints the model
    card that is kept in it, with its limitations and how to cite and reproduce it.

    \b
    Exit code: 0, or 2 if the file is no model.

    \b
    Examples:
      anthropo inspect m.anthropo
      anthropo inspect m.anthropo --card > card.md
    """
    with in_one_sentence("nothing was changed."):
        from anthropo.cli.train import show_relations
        from anthropo.learning.attributes import AttributeModel
        from anthropo.learning.bundle import read_bundle
        from anthropo.learning.card import card, describe
        from anthropo.learning.trained import Trained

        manifest = read_bundle(model).manifest
        if as_card:
            click.echo(card(manifest))
            return
        if "network" in manifest:
            from anthropo.networks.network import Network

            _show([*describe(Network.load(model).manifest), _file(model)])
            return
        trained = Trained.load(Path(model))
        parameters = (trained.manifest.get("encoder") or {}).get("parameters")
        rows = describe(trained.manifest)
        rows.append(_file(model))
        if parameters is not None:
            rows.append(("encoder parameters", f"{parameters:,}"))
        _show(rows)
        if isinstance(trained.model, AttributeModel):
            show_relations(trained.model)


def _file(model: str) -> tuple[str, str]:
    return "file", f"{os.path.getsize(model) / 1e6:.2f} MB"


def _show(rows: list[tuple[str, str]]) -> None:
    width = min(_WIDEST, max(len(name) for name, _ in rows)) + 2
    for name, text in rows:
        _line(name, text, width)


def _line(name: str, text: str, width: int) -> None:
    key = f"{name:<{width - 2}}  "
    lines = textwrap.wrap(text, 110 - width, break_on_hyphens=False) or [""]
    click.echo("\n".join((key if i == 0 else " " * width) + line for i, line in enumerate(lines)))
