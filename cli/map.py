"""anthropo map"""

from __future__ import annotations

import sys

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_NONE,
    EXIT_SOME,
    FiniteRange,
    draw_to,
    fail,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
    show_findings,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.files import write
from anthropo.plain import say
from anthropo.report.figure_files import figures_of
from anthropo.report.map import WRITERS, print_map
from anthropo.workflows.map import MapRequest, map_faces


@click.command(cls=Sectioned)
@options.cohort_argument
@options.output_option(
    "FILE", "Write .html (a page with both maps and a table), .png, or .csv (the places).", required=True
)
@options.figures_option
@options.raw_option
@click.option(
    "--by", metavar="COLUMN", default="label", help="The column that decides each mark's colour and shape."
)
@click.option(
    "--of",
    "source",
    type=click.Choice(["embeddings", "measurements"]),
    default="embeddings",
    help="What faces are compared by: the network's embedding of the whole face, or all measurements.",
)
@click.option(
    "--perplexity",
    type=FiniteRange(min=1),
    help="How many neighbours t-SNE looks at, about.  [default: 30, or a third of the other photos]",
)
@options.flag("--thumbnails", "Draw the faces. Only then are pictures of people in the file.")
@options.flag(
    "--names",
    "Name photos and patients. Without it people are numbers, which can be traced back only by somebody who "
    "has the photos.",
)
@options.seed_option("t-SNE and the comparison with chance")
@options.chip_encoder_options
@options.reading_options
@options.registry_option
@options.permissive_option
@passed_as("request", MapRequest)
def command(cohort: str, output: str, figures: str | None, request: MapRequest) -> None:
    """Draw the faces of COHORT on a plane, with similar faces near each other.

    COHORT is a table (.csv, .tsv, .xlsx) with the columns `photo` and `label`, and `patient` where somebody
    has several photos, or a folder with one subfolder of photos per label.

    Two maps are drawn: t-SNE, which keeps neighbours together, and the first two principal components.
    A figure shows whether a visible cluster is real: how often the five nearest other people, in all
    dimensions rather than on the map, are of the same group, compared with chance.

    \b
    Exit code: 0 all photos drawn, 1 none, 2 wrong use, 3 some left out (each with its reason), 130
    interrupted (finished photos are in the cache; run again to continue).

    \b
    Examples:
      anthropo map cohort.csv -o map.html
      anthropo map cohort.csv --by clinic -o leak.png
      anthropo map cohort.csv --of measurements --by age -o map.html --thumbnails
    """
    with in_one_sentence(
        "nothing is written. Finished photos are in the cache; run the command again to continue."
    ):
        path = place_to_write(output, (".html", ".png", ".csv"), (cohort,))
        if request.thumbnails and path.suffix.lower() == ".csv" and not figures:
            raise InputError("--thumbnails are drawn into .html and .png: a table holds no pictures.")
        folder = figures_folder(figures)
        result = map_faces(cohort, request, progress=progress)
        show_findings(result.findings, result.left_out, err=True)
        drawn, left_out = result.drawn, len(result.left_out)
        if drawn is None:
            fail(f"{cohort}: no photo with a face. No map is drawn.", EXIT_NONE)
        write(path, WRITERS[path.suffix.lower()](drawn))
        draw_to(folder, lambda: figures_of(result))
        print_map(drawn)
        say(f"{path}: {len(drawn.ids)} of {len(drawn.ids) + left_out} photos drawn.", err=True)
        sys.exit(EXIT_SOME if left_out else 0)
