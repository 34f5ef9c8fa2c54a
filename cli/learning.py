"""What train, evaluate, classify and demo share: options, and the way from photographs to features."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli.common import EXIT_USAGE, fail, progress
from anthropo.cli.options import Decorator, all_of, allow_duplicates_option, encoder_weights_option
from anthropo.errors import InputError, ModelError
from anthropo.settings import Settings

if TYPE_CHECKING:
    from anthropo.encoder.cache import Store
    from anthropo.encoder.encoders import Encoder
    from anthropo.learning.cohort import Cohort, Finding, Kind
    from anthropo.learning.evaluation import Evaluation
    from anthropo.learning.features import Features
    from anthropo.learning.judged import Judged
    from anthropo.learning.model import Options, Task
    from anthropo.learning.training import Trained

Given = dict[str, Any]  # what was given on the command line, by option

# encoders unless told otherwise
_OF_FACES, _OF_TEXTURE = "face-resnet", "efficientnet-lite0"
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
    from anthropo.encoder.regions import DEFAULT_REGIONS, HYBRID_REGIONS, IMAGE
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
    if given.get("no_face") and given["regions"]:
        raise InputError("--regions are of a face, --no-face has none. Leave one of them out.")
    for region in given["regions"]:
        if region not in HYBRID_REGIONS:
            raise InputError(f"--regions {region}: unknown. Choose from {', '.join(HYBRID_REGIONS)}.")
    options = Options(
        classifier=given["classifier"],
        balance=given["balance"],
        cost=given["cost"],
        cost_matrix=given["cost_matrix"],
        positive=given["positive"] if task == "labels" else None,
        controls=given["normal"] or given["controls"],
        metadata=tuple(dict.fromkeys(given["metadata"])),
        regions=tuple(dict.fromkeys(given["regions"]))
        or ((IMAGE,) if given.get("no_face") else DEFAULT_REGIONS),
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


def is_network_file(encoder: str) -> bool:
    """Whether an encoder's name is that of a file which `anthropo finetune` wrote."""
    return encoder.endswith(".anthropo")


def settings_of(given: Given, manifest: Mapping[str, Any] | None = None) -> Settings:
    """How photos are looked at: as said on the command line, else as in training, else as by default.

    Raises
    ------
    InputError
        If the command line says how a face is looked at where there is none.
    ModelError
        If the manifest holds something else than settings.
    """
    said = {name: given[name] for name in ("face", "jitter", "fine") if given[name] is not None}
    trained = (manifest or {}).get("settings") or {}
    if given.get("no_face") or trained.get("no_face") is True:
        for name in (*said, *(name for name in ("landmark_model", "landmarks") if given.get(name))):
            why = "--no-face was given" if given.get("no_face") else "the model reads pictures without one"
            raise InputError(f"{_option(name)} is about faces, and {why}. Leave it out.")
        return Settings(max_megapixels=given["max_megapixels"], no_face=True)
    fitting: dict[str, Callable[[Any], bool]] = {
        "face": lambda v: v in ("one", "largest"),
        "jitter": lambda v: type(v) is int and (v == 1 or v in range(2, 257, 2)),
        "fine": lambda v: type(v) is bool,
    }
    for name, fits in fitting.items():
        if name in trained and name not in said:
            if not fits(trained[name]):
                raise ModelError(f"The model's setting {name} is damaged. Train it again.")
            said[name] = trained[name]
    settings = Settings(
        landmark_model=given["landmark_model"], max_megapixels=given["max_megapixels"], **said
    )
    settings.fingerprint()  # what cannot be used is one error, not one per photo
    return settings


def corrected(settings: Settings, given: Given, photos: Sequence[str]) -> Settings:
    """The settings with what --landmarks has of these photos.

    Raises
    ------
    InputError
        If a landmark file cannot be used.
    """
    if not given.get("landmarks"):
        return settings
    from anthropo.measurement.landmark_file import Corrections

    return replace(settings, corrections=Corrections(given["landmarks"], photos))


def store_of(cache: str | None) -> Store | None:
    """Where features are kept.

    Raises
    ------
    InputError
        If the folder is a file.
    """
    from anthropo.encoder.cache import Store
    from anthropo.face.weights import cache_folder

    if cache == "none":
        return None
    folder = Path(cache) if cache else cache_folder() / "features"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--cache {cache}: a file, not a folder. Name a folder, or none.")
    return Store(folder)


def look(
    cohort: Cohort,
    settings: Settings,
    encoder: Encoder,
    regions: Sequence[str],
    given: Given,
    *,
    background: bool = False,
) -> Features:
    """Measure and encode photos with a progress bar.

    With `background` also what is around the face, where there is one and the encoder can.
    """
    from anthropo.learning.features import extract

    if background and not settings.no_face and not encoder.views:
        regions = (*regions, "background")

    with progress(len(cohort.cases)) as advance:
        return extract(
            cohort,
            settings,
            encoder,
            regions=regions,
            jobs=given["jobs"],
            store=store_of(given["cache"]),
            on_progress=advance,
        )


def encoder_of(trained: Trained, path: str, weights: str | None, settings: Settings) -> Encoder:
    """The encoder that a model was trained with.

    A network that `anthropo finetune` wrote is looked for beside the model unless `weights` says where it is.

    Raises
    ------
    InputError, ModelError, WeightsError
        If it cannot be had, or gives other embeddings than in training.
    """
    from anthropo.encoder.encoders import load_encoder

    name = (trained.manifest.get("encoder") or {}).get("name")
    if not name:
        raise ModelError(f"{path}: the model does not say which encoder it needs. Train it again.")
    encoder: Encoder
    if is_network_file(name):
        from anthropo.networks.encoder import network_encoder

        beside = Path(path).parent / Path(name).name
        if weights is None and not beside.is_file():
            raise InputError(
                f"{path}: its encoder is the network {beside.name}, which does not lie beside it. Copy it "
                "there, or say where it is with --encoder-weights."
            )
        encoder = network_encoder(weights or beside)
    else:
        encoder = load_encoder(name, weights=weights)
    trained.suits(encoder, settings, path)
    return encoder


# ---------------------------------------------------------------------------------------------- a cohort


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A cohort that has been looked at, and what is to be made of it."""

    cohort: Cohort
    features: Features
    findings: tuple[Finding, ...]
    options: Options
    task: Task
    encoder: Encoder
    settings: Settings

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against training."""
        return all(finding.level != "error" for finding in self.findings)


def gather(path: str, given: Given, *, encoder: str | None = None) -> Material:
    """Read a cohort, look at its photos and check everything that can be checked before training.

    Parameters
    ----------
    path : str
    given : dict
        Options of the command line.
    encoder : str, optional
        Another one than the one given.

    Raises
    ------
    AnthropoError
        If an option or the cohort cannot be used at all.
    """
    from anthropo.learning.cohort import check, read_cohort
    from anthropo.learning.features import validate

    options, task = options_of(given)
    settings = settings_of(given)
    cohort = read_cohort(path, multilabel=task == "attributes")
    settings = corrected(settings, given, [case.photo for case in cohort.cases])
    early = _about(check(cohort), task)
    if all(finding.level != "error" for finding in early):
        _refuse_early(cohort, options, task)
    elif not given.get("validate"):  # which tells what is wrong with the photos as well
        show_findings(early, (), err=True)
        fail(f"{path}: cannot be trained on; see the errors above.", EXIT_USAGE)
    network = _network(encoder or given["encoder"], given, settings)
    # with the background, so that train and evaluate share what is kept
    if network.views:
        options = replace(options, regions=_views(network, given["regions"]))
    features = look(cohort, settings, network, options.regions or (), given, background=True)
    findings = _about(validate(cohort, features, allow_duplicates=given["allow_duplicates"]), task)
    findings = (*findings, *seen_before(path, features, network))
    return Material(cohort, features, findings, options, task, network, settings)


def seen_before(cohort: str, features: Features, encoder: Encoder) -> list[Finding]:
    """A warning where photos are among those that the encoder was trained on."""
    from anthropo.learning.cohort import Finding

    n = encoder.has_seen(features.digests.tolist())
    if not n:
        return []
    text = (
        f"{cohort}: {n} of {len(features)} photos are among those that {encoder.name} was trained on or "
        "stopped by: figures from them come out too good. Judge on photos that it has not seen."
    )
    return [Finding("warning", "encoder", text)]


def _views(network: Encoder, wanted: Sequence[str]) -> tuple[str, ...]:
    """The regions that are wanted of those that a network knows, or all of these."""
    for region in wanted:
        if region not in network.views:
            raise InputError(
                f"--regions {region}: {network.name} was not trained on it. Its regions are "
                f"{', '.join(network.views)}."
            )
    return tuple(dict.fromkeys(wanted)) or network.views


def _network(name: str | None, given: Given, settings: Settings) -> Encoder:
    """The encoder of that name, or the one for the kind of photos."""
    from anthropo.encoder.encoders import load_encoder
    from anthropo.errors import WeightsError

    weights = given["encoder_weights"]
    if name and is_network_file(name):
        from anthropo.encoder.regions import IMAGE
        from anthropo.networks.encoder import network_encoder

        if weights:
            raise InputError(f"--encoder {name}: a network holds its weights. Leave --encoder-weights out.")
        network = network_encoder(name)
        if settings.no_face != (network.views == (IMAGE,)):
            looks = "faces; leave --no-face out" if settings.no_face else "whole photographs; pass --no-face"
            raise InputError(f"--encoder {name}: the network was trained on {looks}, or choose another.")
        return network
    if name or not settings.no_face:
        return load_encoder(name or _OF_FACES, weights=weights)
    try:
        return load_encoder(_OF_TEXTURE, weights=weights)
    except WeightsError as error:
        raise WeightsError(f"{error} Or name another with --encoder; {_OF_FACES} is always there.") from None


def _about(findings: Sequence[Finding], task: Task) -> tuple[Finding, ...]:
    """What matters for the task: healthy people alone are enough for distance to normal."""
    if task != "normality":
        return tuple(findings)
    return tuple(f for f in findings if not (f.category == "label" and f.level in ("error", "note")))


def _refuse_early(cohort: Cohort, options: Options, task: Task) -> None:
    """Raise what training would raise for the options, before the photos are looked at."""
    import numpy as np

    from anthropo.learning.attributes import ABSENT, PRESENT
    from anthropo.learning.cost import parse_cost
    from anthropo.learning.model import collapse, control_label, cost_matrix, rare_labels

    for name in options.metadata:
        if name not in cohort.metadata:
            raise InputError(
                f"--metadata {name}: no such column to learn from. There are "
                f"{', '.join(cohort.metadata) or 'none'}."
                + "".join(
                    f" {f.message}" for f in cohort.findings if f.category == "metadata" and name in f.message
                )
            )
    labels = np.array([case.label for case in cohort.cases])
    if task == "attributes":
        if options.cost:
            parse_cost(options.cost, (ABSENT, PRESENT), PRESENT, ABSENT)
    elif task == "normality":
        control_label(labels, options.controls)
    else:
        merged, positive = collapse(labels, options.positive)
        patients = np.array([case.patient for case in cohort.cases])
        rare = rare_labels(merged, patients, options.min_patients)
        controls = control_label(merged, options.controls)
        cost_matrix(options, sorted(set(merged.tolist()) - set(rare)), positive, controls)


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
