"""What train, evaluate, classify and demo share: options, and the way from photographs to features."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli.common import EXIT_USAGE, fail, progress
from anthropo.cli.options import Decorator, all_of, allow_duplicates_option, encoder_weights_option
from anthropo.errors import InputError
from anthropo.settings import Settings
from anthropo.workflows.cohort import (
    CohortError,
    Material,
    PhotoReading,
    TrainRequest,
    encoder_for,
    read_features,
    settings_for,
)
from anthropo.workflows.cohort import gather as gather_cohort

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder
    from anthropo.learning.cohort import Cohort, Finding, Kind
    from anthropo.learning.evaluation import Evaluation
    from anthropo.learning.features import Features
    from anthropo.learning.judged import Judged
    from anthropo.learning.model import Options, Task

Given = dict[str, Any]  # what was given on the command line, by option

# parameters of commands: those that change no result, and those that are files
_NO_MATTER = ("jobs", "cache", "validate", "resume", "device")
_FILES = (
    *("cohort", "output", "cost_matrix", "encoder", "encoder_weights", "landmark_model", "landmarks"),
    *("parameters", "warm_start", "pretrain"),
)
MOST_FAILURES = 20  # photos that are named one by one


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """`a, b` as names."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


#: How a model is trained; the defaults are those of `anthropo.learning.model.Options`.
training_options: Decorator = all_of(
    click.option(
        "--classifier",
        type=click.Choice(["xgboost", "svm", "svm-rbf"]),
        default="xgboost",
        show_default=True,
        help="What learns from the measurements: boosted trees, a linear support vector machine, or one with "
        "a Gaussian kernel, which cannot be explained exactly.",
    ),
    click.option(
        "--positive",
        metavar="LABEL",
        help="This label against the rest. With two labels: which of them is the affected one.",
    ),
    click.option(
        "--controls",
        metavar="LABEL",
        help="The label of healthy people.  [default: one that is called control, healthy, normal …]",
    ),
    click.option(
        "--cost",
        metavar="miss=5",
        help="What errors cost: miss=5, false-alarm=2, or both with a comma. The decision is the one of "
        "least expected cost.  [default: every error costs 1]",
    ),
    click.option(
        "--cost-matrix",
        metavar="FILE.csv",
        help="The same for every pair of labels: first row the decisions, first column the true labels.",
    ),
    click.option(
        "--balance",
        type=click.Choice(["weights", "resample", "none"]),
        default="weights",
        show_default=True,
        help="Against labels of unequal size: weights, drawing photos of rare ones repeatedly, or nothing.",
    ),
    click.option(
        "--normal",
        metavar="LABEL",
        help="Distance to normal in place of a classifier: learn only what the healthy people of LABEL look "
        "like, and tell who is outside.",
    ),
    click.option(
        "--specificity",
        type=click.FloatRange(0.5, 1, max_open=True),
        default=0.95,
        show_default=True,
        help="Of --normal: share of healthy people who are called within normal.",
    ),
    click.option(
        "--multilabel",
        is_flag=True,
        help="Several attributes per photo: cells of the column `label` are lists (ptosis; long philtrum) "
        "and may be empty.",
    ),
    click.option(
        "--independent",
        is_flag=True,
        help="Of --multilabel: an attribute does not use what is said of the others.",
    ),
    click.option(
        "--metadata", metavar="age,sex", callback=_names, help="Columns to learn from beside the photo."
    ),
    click.option(
        "--regions",
        metavar="face,eyes,…",
        callback=_names,
        help="Regions to encode: face, upper, middle, lower, eyes, nose, mouth.  [default: face, lower, "
        "eyes, mouth, or those of the network]",
    ),
    click.option(
        "--encoder",
        metavar="NAME",
        help="face-resnet, efficientnet-lite0, timm:NAME with --encoder-weights, or a network that `anthropo "
        "finetune` wrote (net.anthropo).  [default: face-resnet; "
        "with --no-face efficientnet-lite0, which knows textures]",
    ),
    encoder_weights_option,
    click.option(
        "--min-patients",
        type=click.IntRange(min=2),
        default=10,
        show_default=True,
        help="Labels with fewer patients are not trained but matched to their nearest patients (gallery).",
    ),
    click.option(
        "--error-rate",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.1,
        show_default=True,
        help="How often the set of possible labels may miss the true one.",
    ),
    click.option(
        "--alarm",
        type=click.FloatRange(0, 1, max_open=True),
        default=0.02,
        show_default=True,
        help="Share of known people who may be answered with 'none of these'.",
    ),
    click.option(
        "--folds",
        type=click.IntRange(min=2),
        default=5,
        show_default=True,
        help="Of the cross-validation; all photos of a patient are in the same.",
    ),
    allow_duplicates_option,
    click.option("--seed", type=int, default=0, show_default=True, help="Of everything random."),
)


def options_of(given: Given) -> tuple[Options, Task]:
    """The options as the learning part wants them, and what kind of model is asked for.

    Raises
    ------
    InputError
        If options contradict each other, or a region is unknown.
    """
    from anthropo.learning.model import Options

    task: Task = "normality" if given["normal"] else "attributes" if given["multilabel"] else "labels"
    alone = {
        "normality": ("multilabel", "positive", "controls", "cost", "cost_matrix"),
        "attributes": ("controls", "cost_matrix"),
    }
    for name in alone.get(task, ()):
        if given[name]:
            raise InputError(
                f"{_option('normal' if task == 'normality' else 'multilabel')} cannot be combined with "
                f"{_option(name)}. Leave one of them out."
            )
    if given["independent"] and not given["multilabel"]:
        raise InputError("--independent is about --multilabel. Pass both, or none of them.")
    options = Options(
        classifier=given["classifier"],
        balance=given["balance"],
        cost=given["cost"],
        cost_matrix=given["cost_matrix"],
        positive=given["positive"] if task == "labels" else None,
        controls=given["normal"] or given["controls"],
        metadata=tuple(dict.fromkeys(given["metadata"])),
        regions=given["regions"] or None,
        min_patients=given["min_patients"],
        error_rate=given["error_rate"],
        alarm=given["alarm"],
        specificity=given["specificity"],
        chained=not given["independent"],
        seed=given["seed"],
    )
    return options, task


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def command_line(ctx: click.Context) -> str:
    """The command as it was given, without the folders of files and without what changes no result."""
    words = ["anthropo", *(ctx.info_name or "").split()]
    for param in ctx.command.params:
        name = param.name or ""
        source = ctx.get_parameter_source(name)
        if name in _NO_MATTER or source is not click.core.ParameterSource.COMMANDLINE:
            continue
        value: Any = ctx.params[name]
        if getattr(param, "multiple", False):
            words += [word for one in value for word in (max(param.opts, key=len), shlex.quote(one))]
            continue
        if isinstance(value, tuple):
            value = ",".join(value)
        if isinstance(value, str) and name in _FILES:
            value = os.path.basename(os.path.normpath(value))
        option = max(param.opts, key=len) if value is not False else (*param.secondary_opts, *param.opts)[0]
        words += [] if isinstance(param, click.Argument) else [option]
        words += [] if isinstance(value, bool) else [shlex.quote(str(value))]
    return " ".join(words)


# ------------------------------------------------------------------------------------------ photographs


def reading_of(given: Given) -> PhotoReading:
    """The options of photos as one object."""
    names = {field.name for field in fields(PhotoReading)} & set(given)
    return PhotoReading(**{name: given[name] for name in names})


def settings_of(given: Given, manifest: Mapping[str, Any] | None = None) -> Settings:
    """See `anthropo.workflows.cohort.settings_for`."""
    return settings_for(replace(reading_of(given), landmarks=None), manifest)


def corrected(settings: Settings, given: Given, photos: Sequence[str]) -> Settings:
    """The settings with what --landmarks has of these photos."""
    if not given.get("landmarks"):
        return settings
    from anthropo.measurement.landmark_file import Corrections

    return replace(settings, corrections=Corrections(given["landmarks"], photos))


def look(
    cohort: Cohort,
    settings: Settings,
    encoder: Encoder,
    regions: Sequence[str],
    given: Given,
    *,
    background: bool = False,
) -> Features:
    """See `anthropo.workflows.cohort.read_features`."""
    reading = reading_of(given)
    return read_features(
        cohort, reading, settings, encoder, regions, background=background, progress=progress
    )


encoder_of = encoder_for


def gather(path: str, given: Given, *, encoder: str | None = None) -> Material:
    """See `anthropo.workflows.cohort.gather`."""
    options, task = options_of(given)
    request = TrainRequest(
        options=options,
        task=task,
        encoder=encoder or given["encoder"],
        encoder_weights=given["encoder_weights"],
        allow_duplicates=given["allow_duplicates"],
        reading=reading_of(given),
    )
    try:
        return gather_cohort(path, request, thorough=bool(given.get("validate")), progress=progress)
    except CohortError as error:
        show_findings(error.findings, (), err=True)
        fail(f"{path}: cannot be trained on; see the errors above.", EXIT_USAGE)


def show_findings(
    findings: Sequence[Finding], left_out: Sequence[tuple[str, str]], *, err: bool, most: int = MOST_FAILURES
) -> None:
    """The findings, a line each; of photos that cannot be used only the first few."""
    reasons = {reason for _, reason in left_out}
    colours = {"error": "red", "warning": "yellow", "note": None}
    named = 0
    for finding in findings:
        if finding.message in reasons:
            named += 1
            if named > most:
                continue
        click.secho(f"{finding.level}: {finding.message}", fg=colours[finding.level], err=err)
    if named > most:
        click.secho(f"warning: … and {named - most} more photos that cannot be used.", fg="yellow", err=err)


# -------------------------------------------------------------------------------------------- its figures


def judge_material(
    material: Material, folds: int, *, baselines: bool, jobs: int
) -> tuple[dict[str, dict[str, Judged]], tuple[str, ...]]:
    """Cross-validate with a progress bar: by attribute ("" for other tasks), then by model; and notes."""
    from anthropo.learning.training import cross_validate, steps

    features, options, task = material.features, material.options, material.task
    with progress(steps(features, options, task, folds, baselines), "cross-validating") as advance:
        return cross_validate(
            features, options, task, folds=folds, baselines=baselines, jobs=jobs, on_progress=advance
        )


def positive_of(task: Task, labels: Sequence[str], positive: str | None, controls: str | None) -> str | None:
    """The label that sensitivity is of; None where several labels stand beside each other."""
    from anthropo.learning.attributes import PRESENT
    from anthropo.learning.model import positive_label
    from anthropo.learning.normality import OUTSIDE

    if task != "labels":
        return PRESENT if task == "attributes" else OUTSIDE
    return positive_label(labels, positive, controls if controls in labels else None)


def documents_of(
    judged: Mapping[str, Mapping[str, Judged]],
    material: Material,
    *,
    prevalence: float | None = None,
    subgroups: bool = True,
    bootstrap: int = 1000,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Evaluation]:
    """The evaluation of each attribute ("" for other tasks)."""
    from anthropo.learning.evaluation import Evaluation

    features, options = material.features, material.options
    made = {}
    for about, models in judged.items():
        labels = next(iter(models.values())).labels
        positive = positive_of(material.task, labels, options.positive, options.controls)
        made[about] = Evaluation.of(
            models,
            positive=positive,
            prevalence=prevalence if positive is not None else None,
            columns=subgroup_columns(material.cohort.metadata, features) if subgroups else None,
            left_out=features.left_out,
            settings=settings,
            bootstrap=bootstrap,
            seed=options.seed,
        )
    return made


def subgroup_columns(kinds: Mapping[str, Kind], features: Features) -> dict[str, Sequence[Any]]:
    """Sex, age and every other column of categories, such as ancestry."""
    return {name: features.metadata[name] for name, kind in kinds.items() if kind != "number"}
