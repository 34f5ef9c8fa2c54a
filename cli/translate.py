"""anthropo translate"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_NONE,
    EXIT_SOME,
    MOST_FAILURES,
    command_line,
    draw_to,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
    show_first,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.finetune import recipe_options, reported
from anthropo.cli.sections import SectionedGroup
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.translation import TranslationRequest, train_translation, translate


@click.group(cls=SectionedGroup)
def command() -> None:
    """Translate faces from one domain of photos to another, such as from the web to your clinic.

    \b
    Examples:
      anthropo translate train web/ clinic/ -o ab.anthropo
      anthropo translate apply ab.anthropo web/ -o translated/
    """


@command.command(short_help="Train a translation between two domains.")
@click.argument("a", metavar="A", required=False)
@click.argument("b", metavar="B", required=False)
@options.output_option("AB", "Write the translation to this file, such as ab.anthropo.")
@click.option("--report", metavar="FILE.html", help="Write what it does to faces as a page, with samples.")
@options.figures_option
@recipe_options
@options.flag("--show-parameters", "Print all options as a parameter file, and train nothing.")
@click.option(
    "--label",
    metavar="COLUMN",
    help="A column of both tables with two labels, such as sex: judge whether a classifier that learns from "
    "translated photos does better in the other domain.",
)
@click.option(
    "--licence",
    metavar="TEXT",
    help="Terms of the photos, such as 'research only'; kept in the file, shown by `anthropo inspect`.",
)
@click.option(
    "--resume/--restart", default=True, help="Continue where an interrupted run stopped, or start again."
)
@options.device_option
@options.network_reading_options
@options.permissive_option
@passed_as("request", TranslationRequest)
@click.pass_context
def train(
    ctx: click.Context,
    /,
    a: str | None,
    b: str | None,
    output: str | None,
    report: str | None,
    figures: str | None,
    show_parameters: bool,
    request: TranslationRequest,
) -> None:
    """Train a translation of faces between the domains A and B (CycleGAN).

    A and B are folders of photos, or tables with a column `photo` and preferably `patient`. Photos of A need
    no counterparts in B.

    Translation changes light, colour, sharpness and backdrop, and nothing keeps it from changing the face as
    well; what is measured would then no longer be the person's. Landmarks are therefore held in place. A
    small network learns to place anthropo's own landmarks in photos of both domains; it is frozen, and each
    translated face costs as much as its landmarks have moved (option `landmarks`: the weight; 0: they are not
    held).

    A fifth of the people of each domain is kept apart. For them the report shows, in both directions: how far
    each landmark moves, by anthropo's own landmarks; which measurements change by more than two photos of one
    person differ; and whether translated pictures look to the face encoder like the other domain's (kernel
    inception distance). With --label also whether a classifier does better. Read these before you use a
    translated picture for anything.

    Every choice is an option (--show-parameters prints them all), to be changed by --parameters FILE or
    --set. The default sizes train on two cores of a CPU; the published ones, which need a GPU, are in its
    comments. A checkpoint is written after every epoch (AB.checkpoint/): after Ctrl-C or a crash the same
    command continues from there and ends with the same file. Translated pictures may show faces it was
    trained on: protect the file as you protect the photos.

    \b
    Exit code: 0 the translation is written; 2 wrong use, or an error in the domains; 130 interrupted.

    \b
    Examples:
      anthropo translate train web/ clinic/ -o ab.anthropo --report ab.html
      anthropo translate train web.csv clinic.csv -o ab.anthropo --label sex --set epochs=40
      anthropo translate train web/ clinic/ -o ab.anthropo --set size=256 --set channels=64 --set blocks=9
      anthropo translate train --show-parameters > my.toml
    """
    with in_one_sentence("the checkpoint of the last epoch is kept; run the same command again to continue."):
        parameters = request.load()
        if show_parameters:
            from anthropo.translation.options import as_toml

            say(as_toml(parameters), nl=False)
            return
        if a is None or b is None or output is None:
            raise InputError("two domains A and B, and -o ab.anthropo, are needed.")
        inputs = [str(path) for path in (a, b, request.parameters) if path]
        path = place_to_write(output, (".anthropo",), inputs)
        page = place_to_write(report, (".html",), inputs) if report else None
        drawn = figures_folder(figures)
        from anthropo.networks.checkpoints import folder_of
        from anthropo.report.figure_files import figures_of
        from anthropo.report.translation import print_trained, write_history, write_page

        folder = folder_of(path)
        if request.resume and any(folder.glob("*.npz")):
            say(f"continuing from the checkpoint in {folder} (--restart starts again).", err=True)
        with reported() as report_step:
            trained = train_translation(
                a, b, path, request, command=command_line(ctx), progress=progress, report=report_step
            )
        show_first(
            [reason for _, reason in trained.left_out], "more photos that cannot be used", MOST_FAILURES
        )
        for note in trained.notes:
            say(f"note: {note}", err=True)
        write_history(path, trained.translation)
        draw_to(drawn, lambda: figures_of(trained))
        print_trained(trained)
        if page is not None:
            write_page(page, trained)
            say(f"{page}: written", err=True)
        say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


@command.command(short_help="Translate the faces of photos.")
@click.argument("model", metavar="AB")
@options.photos_argument
@options.output_option("FOLDER", "Write the pictures to this folder; it is made if need be.", required=True)
@click.option("--to", type=click.Choice(["A", "B"]), default="B", help="The domain to translate to.")
@options.network_reading_options
@options.permissive_option
def apply(model: str, photos: tuple[str, ...], output: str, to: str, reading: PhotoReading) -> None:
    """Translate the faces of PHOTO... by AB, which `anthropo translate train` wrote.

    Each face becomes NAME.translated-to-B.synthetic.png, aligned and of the translation's size. Its metadata
    say that it is synthetic and by which model it was made (IPTC digital source type, in XMP): by them, and
    not by its name, `anthropo reference build` refuses it, and `measure` and `train` point it out.

    \b
    Exit code: 0 all photos are translated; 1 none; 2 wrong use; 3 some failed; 130 interrupted.

    \b
    Examples:
      anthropo translate apply ab.anthropo web/ -o translated/
      anthropo translate apply ab.anthropo p07.jpg -o translated/ --to A
    """
    with in_one_sentence("pictures that are finished stay."):
        made = translate(model, photos, Path(output), to, reading=reading, progress=progress)
    show_first([reason for _, reason in made.failed], "more photos that failed", MOST_FAILURES)
    faces = "1 face" if len(made.written) == 1 else f"{len(made.written)} faces"
    say(f"{faces} translated to {to}, in {output}: synthetic pictures, not photos of people.")
    if made.failed:
        sys.exit(EXIT_SOME if made.written else EXIT_NONE)
