"""anthropo train"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_USAGE, fail, in_one_sentence, place_to_write
from anthropo.cli.learning import (
    Given,
    command_line,
    documents_of,
    gather,
    judge_material,
    show_findings,
    training_options,
)
from anthropo.workflows.cohort import Material

if TYPE_CHECKING:
    from anthropo.learning.evaluation import Evaluation
    from anthropo.learning.judged import Judged
    from anthropo.learning.training import Trained

_BOOTSTRAP = 500
_SURE = 0.05  # false discovery rate of a relation that is shown
_MOST_RELATIONS = 20


@click.command(short_help="Train a model on labelled photographs.")
@click.argument("cohort", metavar="COHORT")
@click.option("-o", "--output", metavar="MODEL", help="The model file to write, such as m.anthropo.")
@click.option("--validate", is_flag=True, help="Check everything, train nothing.")
@click.option(
    "--judge/--no-judge",
    default=True,
    show_default=True,
    help="Cross-validate, so that the model's card says how good it is.",
)
@training_options
@options.landmarks_option
@options.learning_photo_options
@click.pass_context
def command(ctx: click.Context, /, cohort: str, output: str | None, **given: Any) -> None:
    """Train a model on COHORT and write it to a file.

    COHORT is a CSV with the columns `photo` (relative to the CSV) and `label`, and any of `patient`,
    `age`, `sex` and others; or a folder with one subfolder of photos per label. Photos of one person
    share a name in the column `patient`: otherwise the figures come out too good.

    The model is measurements and deep regions (and metadata, if asked for) in one calibrated classifier.
    Labels with few patients are matched to their nearest patients in place of being trained. Before it
    is written it is judged on patients it has not seen, beside its halves, beside metadata alone
    and beside the background alone, which tells whether the labels can be guessed without a face.

    Photos without a usable face are listed and left out. With --no-face photos show skin, or anything
    else: their middle square is what the model reads, and copies of one photograph are found only
    where they show the same frame. Nothing leaves this machine. The model file
    holds no photograph and no name, but numbers that describe faces of its training: treat it as what it
    was made from.

    \b
    Exit code: 0 the model is written (or with --validate: nothing speaks against training), also
    when photos were left out; 2 wrong use, or an error in the cohort; 130 interrupted (photos that
    are done are in the cache; run again to continue).

    \b
    Examples:
      anthropo train cohort.csv --validate
      anthropo train cohort.csv -o m.anthropo
      anthropo train cohort.csv -o m.anthropo --cost miss=5 --metadata age,sex
      anthropo train cohort.csv -o m.anthropo --positive "Noonan syndrome"
      anthropo train photos/ -o m.anthropo --classifier svm --face largest
      anthropo train lesions.csv -o m.anthropo --no-face --metadata age,site
      anthropo train traits.csv -o m.anthropo --multilabel
      anthropo train cohort.csv -o m.anthropo --normal control --specificity 0.99
    """
    with in_one_sentence("no model is written. Photos that are done are in the cache; run again to go on."):
        if given["multilabel"] and given["positive"]:
            fail("--positive: with --multilabel all attributes are learned. Leave it out.", EXIT_USAGE)
        path = place_to_write(output, inputs=(cohort, given["cost_matrix"] or "")) if output else None
        if given["validate"]:
            sys.exit(_validate(cohort, given))
        if path is None:
            fail("where to? Give -o m.anthropo, or --validate to check the cohort only.", EXIT_USAGE)
        material = gather(cohort, given)
        show_findings(material.findings, material.features.left_out, err=True)
        if not material.usable:
            fail(f"{cohort}: cannot be trained on; see the errors above.", EXIT_USAGE)
        trained, _ = train(material, given, command_line(ctx))
        trained.save(path)
        show_written(path)


def _validate(cohort: str, given: Given) -> int:
    material = gather(cohort, given)
    show_findings(material.findings, material.features.left_out, err=False)
    features = material.features
    if len(features):
        _show_counts(material)
    if not material.usable:
        click.secho(f"{cohort}: cannot be trained on; see the errors above.", fg="red", bold=True)
        return EXIT_USAGE
    click.secho(f"{cohort}: can be trained on.", bold=True)
    return 0


def _show_counts(material: Material) -> None:
    from anthropo.learning.attributes import split_labels

    features, multilabel = material.features, material.cohort.multilabel
    people: dict[str, set[str]] = {}
    for label, patient in zip(features.labels.tolist(), features.patients.tolist(), strict=True):
        for own in split_labels(label) if multilabel else (label,):
            people.setdefault(own, set()).add(patient)
    counts = ", ".join(f"{label} ({len(own)})" for label, own in sorted(people.items()))
    everybody = len(set(features.patients.tolist()))
    click.echo(f"{len(features)} photos of {everybody} patients; patients per label: {counts}.")
    if material.cohort.metadata:
        columns = ", ".join(f"{name} ({kind})" for name, kind in material.cohort.metadata.items())
        click.echo(f"columns that --metadata can name: {columns}.")


def train(material: Material, given: Given, command: str) -> tuple[Trained, dict[str, dict[str, Judged]]]:
    """Judge by cross-validation, train on everything, and print both.

    Parameters
    ----------
    material : Material
    given : dict
        `judge` and `folds` are used.
    command : str
        That is kept in the model.

    Returns
    -------
    trained : Trained
    judged : dict
        What the figures were made of, by attribute and model; empty without `judge`.

    Raises
    ------
    InputError
        If the cohort does not allow it.
    """
    from anthropo.learning.training import make_trained

    judged: dict[str, dict[str, Judged]] = {}
    documents: dict[str, Evaluation] = {}
    if given["judge"] and _can_be_judged(material):
        # of attributes the table has a row each; their baselines are for `anthropo evaluate`
        judged, notes = judge_material(
            material, given["folds"], baselines=material.task != "attributes", jobs=given["jobs"]
        )
        for note in notes:
            click.echo(f"note: {note}", err=True)
        documents = documents_of(judged, material, subgroups=False, bootstrap=_BOOTSTRAP)
    trained = make_trained(
        material.features,
        material.options,
        material.task,
        material.encoder,
        material.settings,
        source=Path(material.cohort.source),
        validation=_validation(documents),
        command=command,
    )
    _show_figures(documents)
    _show_model(trained, documents)
    return trained, judged


def _can_be_judged(material: Material) -> bool:
    if material.task != "normality" or len(set(material.features.labels.tolist())) > 1:
        return True
    click.echo(
        "note: only healthy people are here, so that sensitivity cannot be judged. Judge the model with "
        "`anthropo evaluate COHORT --model`.",
        err=True,
    )
    return False


def _validation(documents: Mapping[str, Evaluation]) -> dict[str, Any] | None:
    """What is kept in the model: of one question all models, of several attributes the hybrid of each."""
    if not documents:
        return None
    first = next(iter(documents.values()))
    if "" in documents:
        return first.to_json()
    return {
        "n_photos": first.n_photos,
        "n_patients": first.n_patients,
        "prevalence": None,
        "models": {about: made.to_json()["models"][made.main] for about, made in documents.items()},
    }


def _show_figures(documents: Mapping[str, Evaluation]) -> None:
    from anthropo.learning.evaluation import model_name
    from anthropo.report.evaluation import print_comparison, summary

    if "" in documents:
        made = documents[""]
        click.secho(summary(made), bold=True)
        for sentence in made.warnings:
            click.secho(f"warning: {sentence}", fg="yellow", err=True)
        print_comparison({model_name(name): own for name, own in made.models.items()})
    elif documents:
        click.secho("Cross-validated, of each attribute:", bold=True)
        print_comparison({about: made.figures for about, made in documents.items()})


def _show_model(trained: Trained, documents: Mapping[str, Evaluation]) -> None:
    from anthropo.learning.attributes import AttributeModel
    from anthropo.learning.model import LabelModel

    manifest = trained.manifest
    point = manifest.get("operating_point") or {}
    if "" in documents and trained.task == "labels":
        made = documents[""]
        own, positive, threshold = made.figures, made.positive, point.get("threshold")
        where = (
            f"calls it {positive} from a probability of {threshold:.3f} on"
            if positive and threshold is not None
            else "takes the label of least expected cost"
        )
        mean = "" if positive else "mean over the labels: "
        click.echo(
            f"Operating point: {where}; {mean}sensitivity {own['sensitivity']}, specificity "
            f"{own['specificity']} in cross-validation."
        )
    elif point.get("rule"):
        positive, threshold = manifest.get("positive"), point.get("threshold")
        at = f": {positive} from a probability of {threshold:.3f} on" if positive and threshold else ""
        click.echo(f"Operating point: {point['rule']}{at}.")
    model = trained.model
    if isinstance(model, LabelModel) and model.novelty is not None and model.alarm > 0:
        known = len(model.novelty.rank.scores)
        if 1 / (known + 1) > model.alarm:
            click.echo(
                f"note: with {known} photos nobody can be called unlike all others at an alarm rate of "
                f"{model.alarm:g}; --alarm {math.ceil(1000 / (known + 1)) / 1000:g} can."
            )
    if manifest.get("gallery"):
        rare = ", ".join(f"{label} ({n})" for label, n in manifest["gallery"].items())
        click.echo(f"Matched to their nearest patients, for want of more: {rare}.")
    if isinstance(trained.model, AttributeModel):
        show_relations(trained.model)


def show_relations(model: Any) -> None:
    """Attributes that go together, or avoid each other, more than by chance."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sure = [relation for relation in model.relations if relation.q <= _SURE]
    if not sure:
        click.echo(f"No two attributes go together more or less often than by chance (q ≤ {_SURE}).")
        return
    used = "used by the chained classifiers" if model.chained else "not used (--independent)"
    click.secho(f"Relations between attributes, {used}:", bold=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("attribute", "with", "odds ratio", "95 % interval", "q"):
        table.add_column(column, justify="left" if column in ("attribute", "with") else "right", no_wrap=True)
    for r in sure[:_MOST_RELATIONS]:
        table.add_row(
            Text(r.first), Text(r.second), f"{r.odds_ratio:.2g}", f"{r.lo:.2g} to {r.hi:.2g}", f"{r.q:.2g}"
        )
    Console(width=None if sys.stdout.isatty() else 1000, highlight=False, markup=False).print(table)
    if len(sure) > _MOST_RELATIONS:
        click.echo(f"… and {len(sure) - _MOST_RELATIONS} more.")


def show_written(path: Path) -> None:
    """Where the model is and how it is used."""
    size = path.stat().st_size / 1e6
    click.echo(
        f"{path}: {size:.1f} MB. Use it with `anthropo classify --model {path} PHOTO`; "
        f"`anthropo inspect {path}` tells what is in it.",
        err=True,
    )
