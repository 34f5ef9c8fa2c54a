"""anthropo explain"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_NONE, draw_to, figures_folder, in_one_sentence, place_to_write, progress
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.workflows.classify import UnusableError
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.explain import ExplainRequest, explain
from anthropo.workflows.model import Model, load_model

if TYPE_CHECKING:
    from anthropo.report.explanation.document import Disclosure
    from anthropo.workflows.network_model import NetworkModel


@click.command(cls=Sectioned)
@options.photos_argument
@options.model_option
@options.output_option(
    "FILE", "Write .html (a report to read or print), .json (every number) or .png (one picture)."
)
@options.figures_option
@options.flag("--patient", "All photos are of one person: one explanation.")
@click.option(
    "--label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Explain this label; may be repeated.  [default: the three most probable and 'none of these']",
)
@options.prevalence_option
@options.site_option
@options.sex_option("for z-scores and for a model that reads it")
@options.age_option("for z-scores and for a model that reads it")
@options.gestation_option("for z-scores")
@options.ancestry_option("for z-scores and for a model that reads it")
@options.references_option()
@options.flag("--template", "Draw heatmaps over a line-drawn face instead of the photo.")
@options.flag("--anonymous", "Leave the photo and its name out of what is written.")
@options.flag("--matches", "Show how similar the nearest patients of matched labels are (no picture).")
@options.answer_anyway_option
@options.top_option
@options.encoder_weights_option
@options.reading_options
@options.registry_option
@options.permissive_option
@passed_as("request", ExplainRequest)
@passed_as("disclosure", "anthropo.report.explanation.document:Disclosure")
@click.pass_context
def command(
    ctx: click.Context,
    photos: tuple[str, ...],
    model: str,
    output: str | None,
    figures: str | None,
    top: int,
    disclosure: Disclosure,
    request: ExplainRequest,
    reading: PhotoReading,
) -> None:
    """Explain a model's answer for the person in PHOTO.

    Each label's log-odds is an exact sum: what each measurement, each region of the face and each metadata
    column adds or takes away. The report shows it beside the photo, with heatmaps of what the regions look at
    (and whether these can be trusted), where each measurement stands among the people of each label, what
    would change the decision, and what the photo gate voids. A photo that is not fit to be judged gets a
    report that says why.

    The range beside each contribution comes from refits of the model, each without some of the patients. A
    contribution on which the refits disagree is drawn pale. A model that was trained with --no-judge has no
    refits.

    A network that `anthropo finetune` wrote has no such sum. You get its answer and a heatmap of the label
    that it decides for, or of --label (-o why.png or .json).

    One person at a time: a photo, several with --patient, or a table (.csv, .tsv, .xlsx) with the columns
    `photo` and whatever metadata the model reads.

    \b
    Exit code: 0 explained, 1 no usable photo, 2 wrong use, 130 interrupted.

    \b
    Examples:
      anthropo explain --model m.anthropo portrait.jpg
      anthropo explain --model m.anthropo portrait.jpg -o why.html --sex female --age 31
      anthropo explain --model m.anthropo portrait.jpg -o why.html --anonymous --template
      anthropo explain --model m.anthropo --patient p07-1.jpg p07-2.jpg -o why.json --label control
      anthropo explain --model net.anthropo portrait.jpg -o where.png
    """
    with in_one_sentence("nothing is written."):
        path = place_to_write(output, (".html", ".json", ".png"), (model, *photos)) if output else None

        folder = figures_folder(figures)
        from anthropo.report.explanation.page import write_explanation
        from anthropo.report.explanation.pictures import case_figures
        from anthropo.report.explanation.terminal import print_explanation

        loaded = load_model(model)
        try:
            if not isinstance(loaded, Model):
                _explain_network(ctx, loaded, photos, path, top, request, reading)
                return
            drawn = replace(request, heatmaps=path is not None or folder is not None)
            case = explain(loaded, photos, drawn, reading=reading, progress=progress)
        except UnusableError as error:
            for reason in error.reasons:
                say(reason, err=True)
            sys.exit(EXIT_NONE)
        for note in case.notes:
            say(note, err=True)
        if disclosure.matches and not case.matches:
            say(f"--matches: {model} has no matched labels, whose nearest patients are compared.", err=True)
        draw_to(folder, lambda: case_figures(case, disclosure))
        if path is None:
            print_explanation(case, top)
        else:
            write_explanation(path, case, disclosure)
            say(f"{path}: {path.stat().st_size / 1e6:.2f} MB", err=True)


#: Options of the command that mean nothing to a network.
_OF_MODELS = (
    "figures", "prevalence", "sex", "age", "gestation", "ancestry", "references", "template", "anonymous",
    "matches", "encoder_weights",
)  # fmt: skip


def _explain_network(
    ctx: click.Context,
    model: NetworkModel,
    photos: tuple[str, ...],
    path: Path | None,
    top: int,
    request: ExplainRequest,
    reading: PhotoReading,
) -> None:
    """A network's own answer and its heatmap, which has no terms."""
    for param in ctx.command.params:
        given = ctx.get_parameter_source(str(param.name)) is click.core.ParameterSource.COMMANDLINE
        if param.name in _OF_MODELS and given:
            raise InputError(
                f"{max(param.opts, key=len)} is about models of `anthropo train`, and {model.path} is a "
                "network. Leave it out."
            )
    from anthropo.report.network import check_suffix, print_network_case, write_network_case

    if path is not None:
        check_suffix(path)

    case = model.explain(
        photos,
        labels=tuple(request.labels),
        patient=request.patient,
        force=request.force,
        reading=reading,
        progress=progress,
    )
    for note in case.notes:
        say(note, err=True)
    if path is None:
        print_network_case(case, top)
    else:
        write_network_case(path, case)
        say(f"{path}: {path.stat().st_size / 1e6:.2f} MB", err=True)
