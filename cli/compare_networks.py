"""anthropo compare-networks"""

from __future__ import annotations

import click

from anthropo.cli import options
from anthropo.cli.common import (
    command_line,
    draw_to,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.finetune import (
    RECIPES,
    recipe_options,
    reported,
    show_gathered,
    training_options,
    warm_start_option,
)
from anthropo.cli.sections import Sectioned
from anthropo.plain import say
from anthropo.report.bench import write_rows
from anthropo.report.compare_networks import print_compared, write_compared
from anthropo.report.figure_files import figures_of
from anthropo.workflows.comparison import compare_networks, prepare_comparison
from anthropo.workflows.finetuning import FinetuneRequest


@click.command(cls=Sectioned)
@options.cohort_argument
@click.option(
    "--recipe",
    type=click.Choice(RECIPES),
    default="skin-five",
    help="How all of them are trained; see `anthropo finetune --help`.",
)
@options.names_option(
    "--networks",
    "NAME,…",
    "Which ones.  [default: resnet50, inception_v3, densenet121, xception, inception_resnet_v2]",
)
@options.output_option(
    "FILE",
    "Write a table: .csv, .json or .html. The networks are kept beside it, in FILE.networks/.",
    required=True,
)
@options.figures_option
@options.raw_option
@recipe_options
@warm_start_option("NAME", "imagenet (timm's cache) or none.  [default: the recipe's]")
@training_options
@options.permissive_option
@passed_as("request", FinetuneRequest)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cohort: str,
    networks: tuple[str, ...],
    output: str,
    figures: str | None,
    request: FinetuneRequest,
) -> None:
    """Train several networks on COHORT by one recipe, and compare them on patients who were kept apart.

    The output has recall and precision of each label with 95 % intervals, and for each network its number of
    weights, file size and time per photo. The same patients are used for training, for early stopping and for
    judging in all networks.

    An interrupted comparison continues from its last finished epoch when the same command is given
    again.

    \b
    Exit code: 0 compared, 2 wrong use, or an error in the cohort, 130 interrupted.

    \b
    Examples:
      anthropo compare-networks skin.csv -o five.html
      anthropo compare-networks skin.csv --networks resnet50,densenet121 --set epochs=20 -o two.csv
    """
    with in_one_sentence(
        "networks and epochs that are done are kept; run the same command again to continue."
    ):
        inputs = (cohort, str(request.parameters or ""))
        path = place_to_write(output, (".csv", ".json", ".html"), inputs)
        drawn = figures_folder(figures)

        folder = path.with_name(f"{path.name}.networks")
        prepared = prepare_comparison(cohort, request, networks, progress=progress)
        show_gathered(prepared[0])
        with reported() as report:
            result = compare_networks(
                prepared,
                folder,
                request,
                command=command_line(ctx),
                report=report,
                begin=lambda backbone: say(f"{backbone}:", err=True),
            )
        for note in result.notes:
            say(f"note: {note}", err=True)
        if path.suffix.lower() == ".html":
            write_compared(path, result.networks)
        else:
            write_rows(path, result.rows())
        draw_to(drawn, lambda: figures_of(result))
        print_compared(result.networks)
        say(f"{path}: written; the networks are in {folder}.", err=True)
