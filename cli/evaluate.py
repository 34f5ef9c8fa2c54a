"""anthropo evaluate"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_USAGE, fail, in_one_sentence, place_to_write
from anthropo.cli.learning import (
    Given,
    corrected,
    documents_of,
    encoder_of,
    gather,
    judge_material,
    look,
    positive_of,
    settings_of,
    show_findings,
    subgroup_columns,
    training_options,
)
from anthropo.errors import InputError
from anthropo.files import file_sha256, write_atomically
from anthropo.workflows.cohort import Material, seen_before

if TYPE_CHECKING:
    from anthropo.learning.evaluation import Evaluation
    from anthropo.learning.features import Features
    from anthropo.learning.judged import Judged
    from anthropo.learning.training import Trained

JudgedBy = Mapping[str, Mapping[str, "Judged"]]  # attribute ("" for other tasks) -> model

_SUFFIXES = (".json", ".html")
_COMPARED = {"classifier": ("xgboost", "svm", "svm-rbf"), "balance": ("weights", "resample", "none")}
_ENCODER = "encoder"


@click.command(short_help="Judge a model, or the ways to train one, with intervals.")
@click.argument("cohort", metavar="COHORT")
@click.option("--model", metavar="MODEL", help="Judge this model on COHORT, whom it must not have seen.")
@click.option("-o", "--output", metavar="FILE", help="Write .json (all figures) or .html (with pictures).")
@click.option(
    "--prevalence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the positive label where the model will be used, for PPV and NPV; such as 0.01.",
)
@click.option(
    "--compare",
    metavar="classifier,balance,encoder",
    help="Put all choices of these side by side in one table, on the same folds.",
)
@click.option(
    "--baselines/--no-baselines",
    default=True,
    show_default=True,
    help="Judge measurements, regions, metadata and background alone as well.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(min=100),
    default=1000,
    show_default=True,
    help="Resamples of the patients for intervals.",
)
@training_options
@options.landmarks_option
@options.learning_photo_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cohort: str,
    model: str | None,
    output: str | None,
    compare: str | None,
    **given: Any,
) -> None:
    """Tell how good a model is on people it has not seen, with 95 % intervals.

    COHORT is what `anthropo train` takes. Without --model, models are trained on parts of it and judged on
    the rest (cross-validation by patient), beside measurements only, regions only, metadata only and
    background only. With --model that model is judged as it is; photos of labels that it does not know
    are left out.

    Figures are of the positive label, where there is one, else means over the labels. They are given for
    subgroups of sex, age and every column of categories, such as ancestry, as well.

    \b
    Exit code: 0 judged, 2 wrong use, or an error in the cohort, 130 interrupted (photos that are done
    are in the cache; run again to continue).

    \b
    Examples:
      anthropo evaluate cohort.csv -o report.html
      anthropo evaluate cohort.csv --positive affected --prevalence 0.01 --cost miss=5
      anthropo evaluate cohort.csv --compare classifier,balance
      anthropo evaluate test.csv --model m.anthropo -o report.json
      anthropo evaluate traits.csv --multilabel --positive ptosis -o ptosis.html
    """
    with in_one_sentence("nothing is written. Photos that are done are in the cache; run again to go on."):
        path = place_to_write(output, _SUFFIXES, (cohort, model or "")) if output else None
        if path and given["multilabel"]:
            _refuse_many_pages(path, given["positive"])
        if model is None:
            varied = _varied(compare)
            judged, made = _cross_validated(cohort, given, varied)
        else:
            if compare is not None:
                raise InputError("--compare trains models; --model gives one. Leave one of them out.")
            _refuse_training_options(ctx)
            judged, made = _judged_model(cohort, model, path, given)
        _show(made, compared=compare is not None)
        if path:
            write_evaluation(path, judged, made)
            click.echo(f"{path}: written.", err=True)


def _varied(compare: str | None) -> list[str]:
    names = [name.strip() for name in (compare or "").split(",") if name.strip()]
    for name in names:
        if name not in (*_COMPARED, _ENCODER):
            raise InputError(f"--compare {name}: unknown. Choose from {', '.join((*_COMPARED, _ENCODER))}.")
    return list(dict.fromkeys(names))


def _refuse_training_options(ctx: click.Context) -> None:
    kept = {
        "cohort", "model", "output", "prevalence", "bootstrap", "positive", "encoder_weights",
        "allow_duplicates", "seed", "landmarks", *options.LEARNING_PHOTO_NAMES,
    }  # fmt: skip
    for name in ctx.params:
        if name not in kept and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(
                f"--{name.replace('_', '-')} is about training; --model is trained already. Leave one of "
                "the two out."
            )


# ---------------------------------------------------------------------------------- cross-validation


def _cross_validated(
    cohort: str, given: Given, varied: Sequence[str]
) -> tuple[JudgedBy, dict[str, Evaluation]]:
    material = _usable(gather(cohort, given))
    if not varied:
        judged, notes = judge_material(
            material, given["folds"], baselines=given["baselines"], jobs=given["jobs"]
        )
    else:
        judged, notes = _compared(material, cohort, given, varied)
    for note in dict.fromkeys(notes):
        click.echo(f"note: {note}", err=True)
    chosen = _chosen(judged, given)
    made = documents_of(
        chosen,
        material,
        prevalence=given["prevalence"],
        bootstrap=given["bootstrap"],
        settings=_described(material, given),
    )
    return chosen, made


def _usable(material: Material) -> Material:
    # photos that are left out are listed with the figures
    reasons = {reason for _, reason in material.features.left_out}
    show_findings([f for f in material.findings if f.message not in reasons], (), err=True)
    if not material.usable:
        fail(f"{material.cohort.source}: cannot be trained on; see the errors above.", EXIT_USAGE)
    return material


def _compared(
    material: Material, cohort: str, given: Given, varied: Sequence[str]
) -> tuple[dict[str, dict[str, Judged]], tuple[str, ...]]:
    """All combinations of what is varied, on the same folds."""
    encoders = _encoders(material, cohort, given) if _ENCODER in varied else {"": material}
    choices = [list(encoders) if name == _ENCODER else list(_COMPARED[name]) for name in varied]
    found: dict[str, dict[str, Judged]] = {}
    notes: tuple[str, ...] = ()
    for combination in itertools.product(*choices):
        said = dict(zip(varied, combination, strict=True))
        of = encoders[said.pop(_ENCODER, "")]
        one = replace(of, options=replace(of.options, **said))  # type: ignore[arg-type]
        judged, notes = judge_material(one, given["folds"], baselines=False, jobs=given["jobs"])
        for about, models in judged.items():
            found.setdefault(about, {})[", ".join(combination)] = models["hybrid"]
    return found, notes


def _encoders(material: Material, cohort: str, given: Given) -> dict[str, Material]:
    """The cohort as each encoder that is installed sees it."""
    from anthropo.encoder.encoders import ENCODERS
    from anthropo.errors import WeightsError

    found = {material.encoder.name: material}
    for name in ENCODERS:
        if name in found:
            continue
        try:
            found[name] = gather(cohort, {**given, "encoder_weights": None}, encoder=name)
        except WeightsError as error:
            click.echo(f"note: left out of the comparison: {error}", err=True)
    return found


def _chosen(found: JudgedBy, given: Given) -> JudgedBy:
    """Of several attributes the one that is asked for."""
    if not given["multilabel"] or not given["positive"]:
        return found
    if given["positive"] not in found:
        raise InputError(
            f"--positive {given['positive']}: no such attribute was trained. There are {', '.join(found)}."
        )
    return {given["positive"]: found[given["positive"]]}


def _described(material: Material, given: Given) -> dict[str, Any]:
    chosen = material.options
    said = {
        "cohort": Path(material.cohort.source).name,
        "method": f"{given['folds']}-fold cross-validation by patient",
        "classifier": chosen.classifier,
        "balance": chosen.balance,
        "cost": chosen.cost or (Path(chosen.cost_matrix).name if chosen.cost_matrix else "equal"),
        "encoder": material.encoder.name,
        "regions": ", ".join(chosen.regions or ()),
        "metadata": ", ".join(chosen.metadata) or "none",
        "seed": chosen.seed,
    }
    if material.task == "normality":
        said |= {"normal": chosen.controls, "specificity": chosen.specificity}
    return said


# ------------------------------------------------------------------------------------- a trained model


def _judged_model(
    cohort: str, model: str, path: Path | None, given: Given
) -> tuple[JudgedBy, dict[str, Evaluation]]:
    from anthropo.learning.cohort import read_cohort
    from anthropo.learning.evaluation import Evaluation
    from anthropo.learning.features import validate
    from anthropo.learning.training import Trained, judge_trained

    trained = Trained.load(Path(model))
    settings = settings_of(given, trained.manifest)
    encoder = encoder_of(trained, model, given["encoder_weights"], settings)
    if path and trained.task == "attributes":
        _refuse_many_pages(path, given["positive"])
    people = read_cohort(cohort, multilabel=trained.task == "attributes")
    settings = corrected(settings, given, [case.photo for case in people.cases])
    if Path(cohort).is_file() and file_sha256(cohort) == (trained.manifest.get("cohort") or {}).get("sha256"):
        click.secho(
            f"warning: {cohort} is the table that {model} was trained on: the figures come out much too "
            "good. Without --model they are those of people it has not seen.",
            fg="yellow",
            err=True,
        )
    # with the background, so that what was kept while training is used again
    features = look(people, settings, encoder, trained.columns[0], given, background=True)
    findings = validate(people, features, allow_duplicates=given["allow_duplicates"])
    findings += seen_before(cohort, features, encoder)
    reasons = {reason for _, reason in features.left_out}
    # one label alone is enough to judge by
    findings = [f for f in findings if f.message not in reasons and not _of_training(f.category, f.level)]
    show_findings(findings, (), err=True)
    if any(f.level == "error" for f in findings):
        fail(f"{cohort}: not judged; see the errors above.", EXIT_USAGE)
    features = _known(trained, features)
    found = judge_trained(trained, features)
    judged: JudgedBy = {about: {"hybrid": one} for about, one in found.items()}
    judged = _chosen(judged, {**given, "multilabel": trained.task == "attributes"})
    controls = trained.manifest.get("controls")
    made = {}
    for about, models in judged.items():
        labels = models["hybrid"].labels
        positive = given["positive"] if trained.task == "labels" else None
        if positive and positive not in labels:
            raise InputError(
                f"--positive {positive}: no label of the model. Its labels are {', '.join(labels)}."
            )
        positive = positive or trained.manifest.get("positive")
        if positive not in labels:
            positive = positive_of(trained.task, labels, None, controls)
        made[about] = Evaluation.of(
            models,
            positive=positive,
            prevalence=given["prevalence"] if positive else None,
            columns=subgroup_columns(people.metadata, features),
            left_out=features.left_out,
            settings={"cohort": Path(cohort).name, "method": "a trained model on a test cohort",
                      "model": Path(model).name, "encoder": encoder.name},
            bootstrap=given["bootstrap"],
            seed=given["seed"],
        )  # fmt: skip
    return judged, made


def _of_training(category: str, level: str) -> bool:
    return category == "label" and level in ("error", "note")


def _known(trained: Trained, features: Features) -> Features:
    """Without photos of labels that the model does not know, which are named as left out."""
    from anthropo.learning.features import subset
    from anthropo.learning.model import OTHERS

    known = set(trained.model.labels)
    if trained.task != "labels" or OTHERS in known:
        return features
    pairs = list(zip(features.photos.tolist(), features.labels.tolist(), strict=True))
    unknown = [
        (photo, f"{photo}: the model does not know its label, {label}.")
        for photo, label in pairs
        if label not in known
    ]
    if len(unknown) == len(pairs):
        raise InputError(f"No photo has a label of the model. Its labels are {', '.join(sorted(known))}.")
    kept = subset(features, [i for i, (_, label) in enumerate(pairs) if label in known])
    return replace(kept, left_out=(*features.left_out, *unknown))


# ------------------------------------------------------------------------------------------- output


def _show(made: Mapping[str, Evaluation], *, compared: bool) -> None:
    from anthropo.report.evaluation import print_comparison, print_evaluation, summary

    for about, one in made.items():
        if about:
            click.secho(f"\n{about}", bold=True, underline=True)
        if compared:
            click.secho(summary(one) if len(one.models) == 1 else _task(one), bold=True)
            print_comparison(one.models)
        else:
            print_evaluation(one)


def _task(made: Evaluation) -> str:
    of = f"{made.positive} against the others" if made.positive else f"{len(made.labels)} labels"
    return f"{of}: {made.n_photos} photos of {made.n_patients} patients, the same folds for all."


def write_evaluation(path: Path, judged: JudgedBy, made: Mapping[str, Evaluation]) -> None:
    """Write the evaluation as .json or .html.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if path.suffix.lower() == ".json":
        documents = {about: one.to_json() for about, one in made.items()}
        whole: Any = documents.get("", {"attributes": documents})
        data = json.dumps(whole, ensure_ascii=False, indent=1, allow_nan=False).encode()
        try:
            write_atomically(path, data)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from None
        return
    from anthropo.report.evaluation import figures, write_page

    ((about, one),) = made.items()
    write_page(path, one, figures(judged[about], one))


def _refuse_many_pages(path: Path, attribute: str | None) -> None:
    if path.suffix.lower() == ".html" and not attribute:
        raise InputError(
            f"{path}: an HTML report is of one attribute. Name it with --positive, or write .json for all."
        )
