"""anthropo classify"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_NONE,
    EXIT_SOME,
    MOST_FAILURES,
    in_one_sentence,
    place_to_write,
    progress,
    show_first,
)
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.workflows.classify import Classification
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.model import Model, load_model

if TYPE_CHECKING:
    from anthropo.workflows.network_model import NetworkClassification, NetworkModel


@click.command(cls=Sectioned)
@options.photos_argument
@options.model_option
@options.output_option("FILE", "Write a table: .csv or .parquet (a row per person), or .json (everything).")
@options.raw_option
@options.flag("--patient", "All photos are of one person: one answer.")
@options.prevalence_option
@options.site_option
@options.top_option
@options.answer_anyway_option
@click.option(
    "--heatmaps",
    metavar="FOLDER",
    help="For a network: draw where each answer comes from, one picture per person (.png).",
)
@options.encoder_weights_option
@options.reading_options
@options.registry_option
@options.permissive_option
def command(
    photos: tuple[str, ...],
    model: str,
    output: str | None,
    patient: bool,
    prevalence: tuple[str, ...] | None,
    site: str | None,
    top: int,
    force: bool,
    heatmaps: str | None,
    encoder_weights: str | None,
    reading: PhotoReading,
) -> None:
    """Classify the face on each PHOTO, or the whole PHOTO if the model was trained with --no-face.

    PHOTO is a file, a folder (searched throughout), a pattern such as 'p*.jpg', or a table (.csv, .tsv,
    .xlsx) with a column `photo` (paths relative to the table). Photos that share a name in its column
    `patient` are of one person and give one answer; so do all photos with --patient. Metadata that the model
    reads (such as age and sex) are taken from columns of the same name. Missing values are allowed.

    The answer is a ranked list with calibrated probabilities; the set of labels that cannot be
    excluded at the model's error rate; the decision of least expected cost, which can be "none of these";
    and the typicality of the face: the share of the people that the model knows who are at least as
    unlike the others. Labels that are marked "matched" are compared with their nearest patient, because
    there were too few patients to train on.

    A photo that the photo gate finds unfit gets a reason in place of an answer, unless --force is given. If a
    person has several photos, the fit ones are used.

    Probabilities hold only where labels are as common as among the training photos; the answer states these
    shares. If labels are rarer or more common among your patients, say so with --prevalence: log-odds,
    probabilities and the decision change accordingly.

    MODEL can also be a network that `anthropo finetune` wrote. Its probabilities are not calibrated, and it
    has neither sets nor "none of these"; a model that is trained with --encoder net.anthropo has all of
    these. A network of the recipe differential looks at all photos of a person.

    One person is shown as a table, several people as one line each. In a pipe the output is CSV.

    \b
    Exit code: 0 all photos answered, 1 none, 2 wrong use, 3 some failed (each with its reason in
    the table), 130 interrupted.

    \b
    Examples:
      anthropo classify --model m.anthropo portrait.jpg
      anthropo classify --model m.anthropo --patient p07-1.jpg p07-2.jpg p07-3.jpg
      anthropo classify --model m.anthropo photos/ -o answers.csv --prevalence Noonan=0.02
      anthropo classify --model m.anthropo visits.csv -o answers.json
      anthropo classify --model net.anthropo photos/ -o answers.csv --heatmaps maps/
    """
    with in_one_sentence(
        "nothing is written. Finished photos are in the cache; run the command again to continue."
    ):
        path = place_to_write(output, (".csv", ".json", ".parquet"), (model, *photos)) if output else None

        loaded = load_model(model)
        if heatmaps and isinstance(loaded, Model):
            raise InputError(
                f"--heatmaps is for a network; of {model}, `anthropo explain -o why.html` draws heatmaps "
                "beside the sum that they belong to. Leave it out."
            )
        made = loaded.classify(
            photos,
            patient=patient,
            reading=reading,
            encoder_weights=encoder_weights,
            force=force,
            prevalence=prevalence,
            site=site,
            progress=progress,
        )
        _show(made, path, top)
        if heatmaps:
            assert not isinstance(loaded, Model)
            assert not isinstance(made, Classification)
            _draw(loaded, made, Path(heatmaps))
        _report(made, path)
        if made.failed:
            sys.exit(EXIT_SOME if made.predictions else EXIT_NONE)


def _draw(model: NetworkModel, made: NetworkClassification, folder: Path) -> None:
    from anthropo.report.network import heatmap_files, write_network_case

    folder.mkdir(parents=True, exist_ok=True)
    names = heatmap_files(made)
    with progress(len(names), "drawing heatmaps") as advance:
        for at, name in enumerate(names):
            write_network_case(folder / name, model.case(made, at))
            advance()
    say(f"{folder}: {len(names)} heatmap{'' if len(names) == 1 else 's'}.", err=True)


def _show(made: Classification | NetworkClassification, path: Path | None, top: int) -> None:
    from anthropo.report import answers, network
    from anthropo.report.rendering import as_csv

    if path:
        answers.write_answers(path, made)
    elif len(made.answers) == 1 and made.predictions:
        if isinstance(made, Classification):
            answers.print_answer(made.predictions[0], made.trained, top)
        else:
            network.print_network_answer(made.predictions[0], made.network, top)
    elif sys.stdout.isatty():
        answers.print_answers(made, top)
    elif made.predictions or len(made.answers) > 1:
        say(as_csv(made.to_frame()), nl=False)


def _report(made: Classification | NetworkClassification, path: Path | None) -> None:
    most = MOST_FAILURES if path else None
    reasons = [photo.reason for photo in made.failed]
    show_first(reasons, "more photos failed; the table has every reason", most)
    for note in made.notes:
        say(note, err=True)
    total = made.n_photos
    if path:
        lost = len(reasons)
        words = f", {lost} failed" if lost else ""
        say(f"{path}: {total - lost} of {total} photos classified{words}.", err=True)
    if total > 1 or sys.stderr.isatty():
        cached = " (quicker when it is in the cache)" if isinstance(made, Classification) else ""
        speed = f"{1000 * made.seconds / total:.0f} ms per photo{cached}"
        what = "an encoder" if isinstance(made, Classification) else "a network"
        say(f"{speed}, with {what} of {made.parameters / 1e6:.1f} million parameters.", err=True)
