"""anthropo composite"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_NONE,
    EXIT_SOME,
    draw_to,
    fail,
    figures_folder,
    in_one_sentence,
    progress,
    show_findings,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.files import refuse_file_name, write
from anthropo.plain import say
from anthropo.report.composite import composite_files, print_composites
from anthropo.report.evaluation import print_balance
from anthropo.report.figure_files import figures_of
from anthropo.workflows.composites import MIN_PATIENTS, CompositeRequest, composite


@click.command(cls=Sectioned)
@options.cohort_argument
@options.output_option("FOLDER", "Write to this folder; it is made if need be.", required=True)
@options.figures_option
@options.raw_option
@click.option("--size", type=click.IntRange(128, 2048), default=512, help="Height of a composite in pixels.")
@options.flag(
    "--common-shape",
    "Give all labels the same shape, their mean, so that only colour and texture differ.",
)
@options.flag(
    "--sharp",
    "Restore the detail that averaging blurs to the strength it has in single photos. Where single wrinkles "
    "and hairs then lie is chance.",
)
@options.controls_option
@click.option(
    "--min-patients",
    type=click.IntRange(min=2),
    default=MIN_PATIENTS,
    help="Labels with fewer patients get no composite, because a picture of few people shows a person.",
)
@options.flag("--overwrite", "Write to FOLDER although it is not empty.")
@options.match_option
@options.seed_option("the permutations")
@options.cache_option
@options.one_face_options
@passed_as("request", CompositeRequest)
def command(
    cohort: str, output: str, figures: str | None, overwrite: bool, request: CompositeRequest
) -> None:
    """Make the average face of each label, and maps of where it differs from the controls.

    COHORT is a table (.csv, .tsv, .xlsx) with the columns `photo` and `label`, and `patient` where somebody
    has several photos, or a folder with one subfolder of photos per label.

    Faces are warped to the label's mean shape (Procrustes mean of the landmarks), triangle by triangle, and
    averaged; each person counts once. A map shows how far each landmark of the mean face lies from the
    controls', in outer-canthal distances, and which of them differ between people by more than chance
    (Hotelling's T², 5,000 permutations, all landmarks together). Faces are compared at equal size, so that a
    shorter chin makes the rest a little larger; heads that are turned show as a displaced outline.

    FOLDER gets NAME.png and NAME-displacement.png of each label, contact-sheet.png, shapes.csv (mean points
    and SD), displacement.csv and composites.json. A composite of few people is not anonymous: labels with
    fewer than five patients are left out.

    \b
    Exit code: 0 all labels and photos done, 1 none, 2 wrong use, 3 some labels or photos left out (each
    with its reason), 130 interrupted (nothing is written).

    \b
    Examples:
      anthropo composite cohort.csv -o composites
      anthropo composite cohort.csv -o sharp --sharp --size 1024
      anthropo composite cohort.csv -o matched --match age,sex
      anthropo composite cohort.csv -o colour --common-shape --controls unaffected
    """
    with in_one_sentence("nothing is written."):
        folder = _folder(output, cohort, overwrite)
        vectors = figures_folder(figures)
        result = composite(cohort, request, progress=progress)
        show_findings(result.findings, result.left_out, err=True)
        for sentence in result.refused.values():
            say(sentence, err=True)
        if not result.groups:
            fail(f"{cohort}: no composite is made; see above.", EXIT_NONE)
        files = composite_files(result)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror or error}).") from None
        for name, data in files.items():
            write(folder / name, data)
        draw_to(vectors, lambda: figures_of(result))
        if result.matched:
            print_balance(result.matched)
        print_composites(result)
        say(f"{folder}: {len(files)} files written.", err=True)
        sys.exit(EXIT_SOME if result.refused or result.left_out else 0)


def _folder(output: str, cohort: str, overwrite: bool) -> Path:
    """The folder to write to, not made yet; refused if it is in use or lies in the cohort."""
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{output}: a file, not a folder. Name a folder to write to.")
    refuse_file_name(folder)
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError(
            f"{output}: not empty. Name another folder, or pass --overwrite to replace what is there."
        )
    parent = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    if not os.access(parent, os.W_OK):
        raise InputError(f"{output}: cannot be written. Choose a folder that you may write to.")
    if Path(cohort).is_dir() and folder.resolve().is_relative_to(Path(cohort).resolve()):
        raise InputError(
            f"{output}: lies in the cohort's folder, where composites would be taken for photos. Name "
            "another folder."
        )
    return folder
