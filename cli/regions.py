"""anthropo regions"""

from __future__ import annotations

import click

from anthropo.cli import options
from anthropo.cli.common import (
    draw_to,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
    show_findings,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import Sectioned
from anthropo.files import write
from anthropo.plain import say
from anthropo.workflows.regions import RegionsRequest, distinguish


@click.command(cls=Sectioned)
@options.cohort_argument
@click.option(
    "--label", metavar="LABEL", required=True, help="The label whose people are compared with all others."
)
@options.output_option("FILE", "Write .html (a page), .png (the heatmaps) or .json (all figures).")
@options.figures_option
@click.option(
    "--people",
    type=click.IntRange(min=3),
    default=100,
    help="Of each group at most so many have their heatmap made, which takes about half a second each, and "
    "with onnx:FILE, by occlusion, some 300 looks of the network; measurements and regions are those of "
    "everybody.",
)
@click.option(
    "--permutations",
    type=click.IntRange(100, 100_000),
    default=2000,
    help="Of the labels, for the significance of places.",
)
@options.folds_option
@options.chip_encoder_options
@options.allow_duplicates_option
@options.same_person_option
@options.match_option
@options.seed_option("everything random")
@options.reading_options
@options.registry_option
@options.permissive_option
@passed_as("request", RegionsRequest)
def command(
    cohort: str, label: str, output: str | None, figures: str | None, request: RegionsRequest
) -> None:
    """Find what distinguishes the people of LABEL in COHORT from all others, and where in the face.

    COHORT is a table (.csv, .tsv, .xlsx) with the columns `photo` and `label`, and `patient` where somebody
    has several photos, or a folder with one subfolder of photos per label.

    Three answers: heatmaps of where in the face the evidence lies, averaged over each group and compared
    place by place; what each region adds to the log-odds of people whom the model has not seen; and all
    measurements by the size of their difference. Each is given with its significance, corrected for multiple
    testing.

    What distinguishes two groups need not be due to the label: if they differ in age, sex, ancestry or
    camera, their faces show that as well. Columns in which they differ are named; --match compares people who
    are alike in them.

    \b
    Exit code: 0 done, also when photos were left out; 2 wrong use, or an error in the cohort; 130
    interrupted (finished photos are in the cache; run again to continue).

    \b
    Examples:
      anthropo regions cohort.csv --label "Noonan syndrome"
      anthropo regions cohort.csv --label affected -o affected.html
      anthropo regions photos/ --label affected -o affected.json --permutations 10000
    """
    with in_one_sentence(
        "nothing is written. Finished photos are in the cache; run the command again to continue."
    ):
        path = place_to_write(output, (".html", ".png", ".json"), (cohort,)) if output else None
        folder = figures_folder(figures)
        result = distinguish(cohort, label, request, progress=progress)
        show_findings(result.findings, result.left_out, err=True)
        from anthropo.report.figure_files import figures_of
        from anthropo.report.regions import WRITERS, print_discovery

        if path:
            write(path, WRITERS[path.suffix.lower()](result))
        draw_to(folder, lambda: figures_of(result))
        if result.matched:
            from anthropo.report.evaluation import print_balance

            print_balance(result.matched)
        print_discovery(result.discovery)
        if path:
            say(f"{path}: written.", err=True)
