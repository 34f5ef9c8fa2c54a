"""anthropo train"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_USAGE,
    command_line,
    in_one_sentence,
    place_to_write,
    progress,
    show_findings,
    show_gate,
)
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.learning.card import stability
from anthropo.learning.evaluation import Evaluation, model_name
from anthropo.plain import say
from anthropo.report.evaluation import encoder_sentences, print_balance, print_comparison, summary
from anthropo.report.rendering import print_table
from anthropo.workflows.cohort import Material, TrainRequest, gather
from anthropo.workflows.training import TrainResult, train

if TYPE_CHECKING:
    from anthropo.learning.attributes import AttributeModel

_SURE = 0.05  # false discovery rate of a relation that is shown
_MOST_RELATIONS = 20


@click.command(cls=Sectioned)
@options.cohort_argument
@options.output_option("MODEL", "Write the model to this file, such as m.anthropo.")
@options.flag(
    "--validate",
    "Check everything, train nothing. With -o FILE.html the result is also a page that shows side by side "
    "the people who may be in the cohort under several names.",
)
@click.option(
    "--judge/--no-judge", default=True, help="Cross-validate, so that the model's card says how good it is."
)
@options.training_options
@options.registry_option
@options.permissive_option
@click.pass_context
def command(
    ctx: click.Context, /, cohort: str, output: str | None, validate: bool, judge: bool, request: TrainRequest
) -> None:
    """Train a model on COHORT and write it to a file.

    COHORT is a table (.csv, .tsv, .xlsx) with the columns `photo` (relative to the table) and `label`, and
    any of `patient`, `age`, `sex` and others; or a folder with one subfolder of photos per label. Give all
    photos of one person the same name in the column `patient`; otherwise the figures come out too good.

    The model combines measurements and embeddings of face regions (and metadata, if you ask for them) in one
    calibrated classifier. A label with few patients is not trained: a new face is compared with its nearest
    patient instead. Before the model is written it is judged on patients it has not seen. Beside it stand
    measurements alone, regions alone, metadata alone and the background alone; the last two show whether the
    labels can be guessed without a face.

    With --adapt, photos of other clinics or cameras are made to resemble those of --target, or photos of
    several sites to resemble each other. A model trained in this way is for photos of the target.

    People who are in COHORT under several names are found by the face, and count as one patient each
    (--same-person). Photos without a usable face are listed and left out. With --no-face the photos may show
    skin, or anything else: the model reads the middle square of each. Copies of a photo are then found only
    if they show the same frame, and people under several names are not found. Nothing leaves this machine.
    The model file holds no photo and no name, but it does hold numbers that describe the faces it was trained
    on: protect it as you protect the photos.

    \b
    Exit code: 0 the model is written (or with --validate: nothing speaks against training), also
    when photos were left out; 2 wrong use, or an error in the cohort; 130 interrupted (photos that
    are done are in the cache; run again to continue).

    \b
    Examples:
      anthropo train cohort.csv --validate -o check.html
      anthropo train cohort.csv -o m.anthropo
      anthropo train cohort.csv -o m.anthropo --cost miss=5 --metadata age,sex
      anthropo train cohort.csv -o m.anthropo --positive "Noonan syndrome"
      anthropo train photos/ -o m.anthropo --classifier svm --face largest
      anthropo train lesions.csv -o m.anthropo --no-face --metadata age,site
      anthropo train traits.csv -o m.anthropo --multilabel
      anthropo train cohort.csv -o m.anthropo --normal control --specificity 0.99
      anthropo train cohort.csv -o m.anthropo --adapt coral --target our-clinic/
    """
    with in_one_sentence(
        "no model is written. Finished photos are in the cache; run the command again to continue."
    ):
        if request.task == "attributes" and request.options.positive:
            raise InputError("--positive: with --multilabel all attributes are learned. Leave it out.")
        path, suffixes = None, (".html", ".anthropo", "") if validate else (".anthropo", "")
        if output:
            place_to_write(output, inputs=(cohort, request.options.cost_matrix or ""))
            path = place_to_write(output, suffixes)
        if validate:
            sys.exit(_validate(cohort, request, path))
        if path is None:
            raise InputError("where to? Give -o m.anthropo, or --validate to check the cohort only.")
        material = gather(cohort, request, progress=progress)
        show_findings(material.findings, material.features.left_out, err=True)
        if material.matched:
            print_balance(material.matched)

        result = train(material, judge=judge, command=command_line(ctx), progress=progress)
        result.trained.save(path)  # first: who reads what is printed may stop reading, as `head` does
        show_trained(result)
        say(
            f"{path}: {path.stat().st_size / 1e6:.1f} MB. Use it with `anthropo classify --model {path} "
            f"PHOTO`; `anthropo inspect {path}` describes it.",
            err=True,
        )


def _validate(cohort: str, request: TrainRequest, path: Path | None) -> int:
    material = gather(cohort, request, thorough=True, progress=progress)
    show_findings(material.findings, material.features.left_out, err=False)
    if material.matched:
        print_balance(material.matched)
    if path and path.suffix.lower() == ".html":
        from anthropo.report.validation import write_validation

        write_validation(path, material)
        say(f"{path}: written.", err=True)
    elif path:
        say(f"{path}: not written, since --validate trains nothing.", err=True)
    if len(material.features):
        _show_counts(material)
    if not material.usable:
        say(f"{cohort}: cannot be trained on; see the errors above.", fg="red", bold=True)
        return EXIT_USAGE
    say(f"{cohort}: can be trained on.", bold=True)
    return 0


def _show_counts(material: Material) -> None:
    from anthropo.learning.training import describe_cohort

    features, cohort = material.features, material.cohort
    counts = describe_cohort(features, features.labels, several=cohort.multilabel)
    labels = ", ".join(f"{label} ({n.patients})" for label, n in counts.labels.items())
    say(f"{counts.photos} photos of {counts.patients} patients; patients per label: {labels}.")
    if cohort.metadata:
        columns = ", ".join(f"{name} ({kind})" for name, kind in cohort.metadata.items())
        say(f"columns that --metadata can name: {columns}.")


def show_trained(result: TrainResult) -> None:
    """Figures of the cross-validation, where the model decides, and what a reader should know of it."""
    from anthropo.learning.attributes import AttributeModel
    from anthropo.learning.model import LabelModel

    for note in result.notes:
        say(f"note: {note}", err=True)
    _show_figures(result.evaluations)
    show_gate(result.gate)
    _show_decision(result)
    if sentence := stability(result.trained.manifest):
        say(f"Stability of explanations: {sentence}.")
    model = result.trained.model
    if isinstance(model, LabelModel) and model.novelty is not None and model.alarm > 0:
        known = len(model.novelty.rank.scores)
        if 1 / (known + 1) > model.alarm:
            say(
                f'note: with {known} photos, "none of these" cannot be reached at an alarm rate of '
                f"{model.alarm:g}; --alarm {math.ceil(1000 / (known + 1)) / 1000:g} is possible."
            )
    if gallery := result.trained.manifest.gallery:
        rare = ", ".join(f"{label} ({n})" for label, n in gallery.items())
        say(f"Matched to their nearest patients, because there are too few to train on: {rare}.")
    if isinstance(model, AttributeModel):
        show_relations(model)


def _show_figures(evaluations: tuple[Evaluation, ...]) -> None:
    if not evaluations:
        return
    made = evaluations[0]
    if made.attribute is not None:
        say("Cross-validated, of each attribute:", bold=True)
        print_comparison({str(made.attribute): made.figures for made in evaluations})
        return
    say(summary(made), bold=True)
    for sentence in made.warnings:
        say(f"warning: {sentence}", fg="yellow", err=True)
    print_comparison({model_name(name): figures for name, figures in made.models.items()})
    for sentence in encoder_sentences(made):
        say(sentence)


def _show_decision(result: TrainResult) -> None:
    manifest = result.trained.manifest
    point = manifest.operating_point
    if not point.rule:
        return
    positive, threshold = manifest.positive, point.threshold
    if not result.evaluations or result.trained.task != "labels":
        at = f": {positive} from a probability of {threshold:.3f} on" if positive and threshold else ""
        say(f"Operating point: {point.rule}{at}.")
        return
    (made,) = result.evaluations
    where = "takes the label of least expected cost"
    if made.positive and threshold is not None:
        where = f"calls it {made.positive} from a probability of {threshold:.3f} on"
    mean = "" if made.positive else "mean over the labels: "
    say(
        f"Operating point: {where}; {mean}sensitivity {made.figures['sensitivity']}, specificity "
        f"{made.figures['specificity']} in cross-validation."
    )


def show_relations(model: AttributeModel) -> None:
    """Attributes that go together, or avoid each other, more than by chance."""
    sure = [relation for relation in model.relations if relation.q <= _SURE]
    if not sure:
        say(f"No two attributes go together more or less often than by chance (q ≤ {_SURE}).")
        return
    used = "used by the chained classifiers" if model.chained else "not used (--independent)"
    say(f"Relations between attributes, {used}:", bold=True)
    rows = [
        (r.first, r.second, f"{r.odds_ratio:.2g}", f"{r.lo:.2g} to {r.hi:.2g}", f"{r.q:.2g}")
        for r in sure[:_MOST_RELATIONS]
    ]
    print_table(("attribute", "with", "odds ratio", "95 % interval", "q"), rows, left=("with",))
    if len(sure) > _MOST_RELATIONS:
        say(f"… and {len(sure) - _MOST_RELATIONS} more.")
