"""anthropo evaluate"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import (
    draw_to,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
    show_findings,
    show_gate,
)
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.files import write
from anthropo.learning.evaluation import Evaluation
from anthropo.plain import say
from anthropo.report.evaluation import (
    print_adaptation,
    print_comparison,
    print_evaluation,
    summary,
    write_evaluation,
)
from anthropo.report.figure_files import figures_of
from anthropo.report.rendering import as_json, table
from anthropo.workflows.cohort import PhotoReading, TrainRequest, gather
from anthropo.workflows.evaluation import evaluate, refuse_unknown
from anthropo.workflows.model import Model, load_model

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.learning.cohort import Finding
    from anthropo.learning.model import Task
    from anthropo.workflows.evaluate_result import EvaluateResult


@click.command(cls=Sectioned)
@options.cohort_argument
@click.option(
    "--model",
    metavar="MODEL",
    help="Judge this model on COHORT, whose people it must not have been trained on.",
)
@options.output_option("FILE", "Write .json (all figures) or .html (with pictures).")
@click.option(
    "--predictions",
    metavar="FILE",
    help="Write every out-of-fold answer behind the figures to .csv or .parquet: a row for each model, "
    "repeat of the cross-validation and photo.",
)
@options.flag(
    "--names",
    "Name photos and patients in --predictions. Without it they are hashes, which can be traced back only by "
    "somebody who has the photos.",
)
@options.figures_option
@options.raw_option
@options.prevalence_option
@options.names_option(
    "--compare",
    "classifier,balance,encoder,adapt",
    "Compare all choices of these in one table, on the same folds. With --multilabel also attributes: each "
    "learned alone, in a chain, and together by one network, and how they are related.",
)
@click.option(
    "--baselines/--no-baselines",
    default=True,
    help="Judge measurements, regions, metadata and background alone as well.",
)
@click.option(
    "--leave-out",
    metavar="COLUMN",
    help="In place of folds, judge each site (clinic or camera; any column) by models trained on the others, "
    "and show how much the figures differ between sites.",
)
@options.names_option(
    "--adjust",
    "age,sex,site",
    "Also give the AUROC among people who are alike in these columns (numbers in bins), so that the columns "
    "themselves cannot give the labels away.",
)
@click.option(
    "--permutations",
    type=click.IntRange(0, 10_000),
    default=0,
    help="With --adjust: shuffle the labels this often among people who are alike, train again, and give the "
    "p-value. Each shuffle takes as long as one cross-validation of the hybrid.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(100, 100_000),
    default=1000,
    help="Resamples of the patients for intervals.",
)
@options.training_options
@options.registry_option
@options.permissive_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cohort: str,
    model: str | None,
    output: str | None,
    predictions: str | None,
    names: bool,
    figures: str | None,
    compare: tuple[str, ...],
    prevalence: tuple[str, ...] | None,
    baselines: bool,
    leave_out: str | None,
    adjust: tuple[str, ...],
    permutations: int,
    bootstrap: int,
    request: TrainRequest,
) -> None:
    """Measure how well a model does on people it has not seen, with 95 % intervals.

    COHORT is what `anthropo train` takes. Without --model, models are trained on parts of it and judged on
    the rest (cross-validation by patient), beside measurements only, regions only, metadata only and
    background only. With --model, that model is judged as it is; photos whose label it does not know are left
    out.

    If there is a positive label, the figures are for this label; otherwise they are means over the labels.
    They are also given for subgroups by sex, age and every column of categories, such as ancestry.

    With --leave-out and --adapt (or --compare adapt), photos of the other sites are made to resemble those of
    the site that is left out; its labels are not used. The output shows the figures with and without
    adapting, whether adapting helps or hurts, and how far apart the sites are before and after (proxy
    A-distance, from 0, indistinguishable, to 2).

    With --prevalence, decisions, PPV and NPV are those for labels as common as you state. AUROC, Brier score,
    log loss and calibration always refer to the cohort's own shares, because only there can they be checked.

    \b
    Exit code: 0 judged, 2 wrong use, or an error in the cohort, 130 interrupted (photos that are done
    are in the cache; run again to continue).

    \b
    Examples:
      anthropo evaluate cohort.csv -o report.html
      anthropo evaluate cohort.csv --predictions answers.csv --figures figures
      anthropo evaluate cohort.csv --positive affected --prevalence 0.01 --cost miss=5
      anthropo evaluate cohort.csv --compare classifier,balance
      anthropo evaluate cohort.csv --leave-out clinic -o clinics.html
      anthropo evaluate cohort.csv --leave-out clinic --compare adapt -o adapted.html
      anthropo evaluate cohort.csv --adjust age,sex
      anthropo evaluate cohort.csv --match age,sex -o matched.html
      anthropo evaluate test.csv --model m.anthropo -o report.json
      anthropo evaluate traits.csv --multilabel --positive ptosis -o ptosis.html
      anthropo evaluate traits.csv --multilabel --compare attributes -o relations.html
    """
    with in_one_sentence(
        "nothing is written. Finished photos are in the cache; run the command again to continue."
    ):
        if names and not predictions:
            raise InputError("--names is about --predictions. Pass both, or none of them.")
        answers = _place_for_answers(predictions, output, (cohort, model or ""))
        folder = figures_folder(figures)
        if "attributes" in compare:
            if compare != ("attributes",) or model or leave_out or adjust or prevalence:
                raise InputError(
                    "--compare attributes puts three ways to learn attributes side by side; leave --model, "
                    "--leave-out, --adjust, --prevalence and other comparisons out."
                )
            _compare_attributes(cohort, output, answers, names, folder, request, bootstrap)
            return
        path = place_to_write(output, (".json", ".html"), (cohort, model or "")) if output else None
        shared: dict[str, Any] = {"prevalence": prevalence, "bootstrap": bootstrap, "progress": progress}
        if model is not None:
            if compare:
                raise InputError("--compare trains models; --model gives one. Leave one of them out.")
            _refuse_training_options(ctx)

            result = _judge_model(model, cohort, path, request, shared)
            _show_findings(result.findings, result.evaluations[0].left_out)
        else:
            _refuse_many_pages(path, request.task, request)
            refuse_unknown(compare)
            if leave_out is not None:
                _refuse_folds(ctx)
            material = gather(cohort, request, compare=compare, leave_out=leave_out, progress=progress)
            _show_findings(material.findings, material.features.left_out)
            result = evaluate(
                material,
                compare=compare,
                baselines=baselines,
                leave_out=leave_out,
                adjust=adjust,
                permutations=permutations,
                **shared,
            )
        for note in result.notes:
            say(f"note: {note}", err=True)
        # first what is written: who reads what is printed may stop reading, as `head` does
        if path:
            write_evaluations(path, result.evaluations)
        if answers:
            _write_predictions(answers, result.predictions(names=names))
        draw_to(folder, lambda: figures_of(result))
        _show(result.evaluations, compared=bool(compare))
        show_gate(result.gate)
        if path:
            say(f"{path}: written.", err=True)


def _place_for_answers(predictions: str | None, output: str | None, inputs: tuple[str, str]) -> Path | None:
    if not predictions:
        return None
    answers = place_to_write(predictions, (".csv", ".parquet"), inputs)
    if output and os.path.realpath(output) == os.path.realpath(answers):
        raise InputError(f"{output}: named by both -o and --predictions. Give each a file of its own.")
    return answers


def _judge_model(
    model: str, cohort: str, path: Path | None, request: TrainRequest, shared: Mapping[str, Any]
) -> EvaluateResult:
    loaded = load_model(model)
    if not isinstance(loaded, Model):
        loaded.evaluate(cohort)  # which says who judges networks
    _refuse_many_pages(path, loaded.trained.task, request)
    return loaded.evaluate(
        cohort,
        encoder_weights=request.encoder_weights,
        reading=request.reading,
        allow_duplicates=request.allow_duplicates,
        same_person=request.same_person,
        trained_on=request.trained_on,
        positive=request.options.positive,
        seed=request.options.seed,
        **shared,
    )


def _write_predictions(path: Path, frame: pd.DataFrame) -> None:
    write(path, table(frame, path.suffix.lower(), numbers=None))
    say(f"{path}: {len(frame)} rows written.", err=True)


def _compare_attributes(
    cohort: str,
    output: str | None,
    answers: Path | None,
    names: bool,
    folder: Path | None,
    request: TrainRequest,
    bootstrap: int,
) -> None:
    from anthropo.report.relations import print_attributes, write_attributes
    from anthropo.workflows.attributes import compare_attributes

    path = place_to_write(output, (".json", ".csv", ".html"), (cohort,)) if output else None
    if request.task != "attributes":
        raise InputError("--compare attributes is of several attributes per photo. Pass --multilabel.")
    material = gather(cohort, request, progress=progress)
    _show_findings(material.findings, material.features.left_out)
    made = compare_attributes(material, bootstrap=bootstrap, progress=progress)
    if path:
        write_attributes(path, made)
    if answers:
        _write_predictions(answers, made.predictions(names=names))
    draw_to(folder, lambda: figures_of(made))
    print_attributes(made)
    show_gate(material.features.gate_summary)
    if path:
        say(f"{path}: written.", err=True)


def _refuse_training_options(ctx: click.Context) -> None:
    kept = {
        "cohort", "model", "output", "predictions", "names", "figures", "prevalence", "bootstrap",
        "positive", "encoder_weights",
        "allow_duplicates", "same_person", "trained_on", "seed", "cluster", "send_photos", "registry",
        *(field.name for field in fields(PhotoReading)),
    }  # fmt: skip
    for name in ctx.params:
        if name not in kept and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(
                f"--{name.replace('_', '-')} is about training; --model is trained already. Leave one of "
                "the two out."
            )


def _refuse_folds(ctx: click.Context) -> None:
    for name in ("folds", "repeats"):
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"--leave-out takes sites in place of folds. Leave --{name} out.")


def _refuse_many_pages(path: Path | None, task: Task, request: TrainRequest) -> None:
    if path and path.suffix.lower() == ".html" and task == "attributes" and not request.options.positive:
        raise InputError(
            f"{path}: an HTML report is of one attribute. Name it with --positive, or write .json for all."
        )


def _show_findings(findings: Sequence[Finding], left_out: Sequence[tuple[str, str]]) -> None:
    # photos that are left out are listed with the figures
    reasons = {reason for _, reason in left_out}
    show_findings([f for f in findings if f.message not in reasons], (), err=True)


def _show(evaluations: Sequence[Evaluation], *, compared: bool) -> None:
    for made in evaluations:
        if made.attribute is not None:
            say(f"\n{made.attribute}", bold=True, underline=True)
        if compared:
            of = f"{made.positive} against the others" if made.positive else f"{len(made.labels)} labels"
            task = f"{of}: {made.n_photos} photos of {made.n_patients} patients, the same folds for all."
            say(summary(made) if len(made.models) == 1 else task, bold=True)
            print_comparison(made.models)
            print_adaptation(made)
        else:
            print_evaluation(made)


def write_evaluations(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write evaluations as .json, or a single one as .html."""
    if path.suffix.lower() == ".json":
        documents = {made.attribute: made.to_json() for made in evaluations}
        whole: Any = documents.get(None, {"attributes": documents})
        write(path, as_json(whole))
        return
    (made,) = evaluations
    write_evaluation(path, made)
