"""anthropo inspect"""

from __future__ import annotations

import textwrap

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence
from anthropo.cli.train import show_relations
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.workflows.inspection import inspect

_WIDEST = 40  # name


@click.command()
@click.argument("model", metavar="MODEL")
@options.flag("--card", "The whole model card, as Markdown.", parameter="as_card")
@options.flag("--methods", "A paragraph for a paper, with the works to cite.", parameter="as_methods")
def command(model: str, as_card: bool, as_methods: bool) -> None:
    """Describe a MODEL or network: labels, training cohort, figures, decision, licences, size.

    Nothing in the file is executed; a damaged, foreign or altered one is refused. --card prints the model
    card that is kept in it, with its limitations and how to cite and reproduce it.

    MODEL may also be the manifest that a run left beside its output, OUTPUT.run.json. --methods then
    describes what a run of `measure` or `traits` did: versions, photos, landmarks, photo gate, intervals and
    references. What only you know, such as source and consent, stands in square brackets.

    \b
    Exit code: 0, or 2 if the file is no model and no run.

    \b
    Examples:
      anthropo inspect m.anthropo
      anthropo inspect m.anthropo --card > card.md
      anthropo inspect m.anthropo --methods
      anthropo inspect faces.csv.run.json --methods
    """
    with in_one_sentence("nothing was changed."):
        made = inspect(model)
        if as_card:
            say(made.card)
            return
        if as_methods:
            if not made.methods:
                raise InputError(
                    f"{model}: a methods paragraph is written of classifiers that `anthropo train` made, and "
                    "of runs of measure and traits. Take the model card: --card."
                )
            say(made.methods, nl=False)
            return
        width = min(_WIDEST, max(len(name) for name, _ in made.rows)) + 2
        for name, text in made.rows:
            key = f"{name:<{width - 2}}  "
            lines = textwrap.wrap(text, 110 - width, break_on_hyphens=False) or [""]
            say("\n".join((key if i == 0 else " " * width) + line for i, line in enumerate(lines)))
        if made.attributes:
            show_relations(made.attributes)
