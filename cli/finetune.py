"""anthropo finetune"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_USAGE, fail, in_one_sentence, place_to_write, progress
from anthropo.cli.learning import Given, command_line, settings_of, show_findings
from anthropo.errors import InputError

if TYPE_CHECKING:
    from anthropo.learning.cohort import Cohort
    from anthropo.learning.features import Features
    from anthropo.networks.finetuning import Finetuned
    from anthropo.networks.pictures import Pictures, Units
    from anthropo.networks.recipes import Recipe
    from anthropo.networks.training_loop import Progress, Report
    from anthropo.settings import Settings

# recipes, for the help, which must not import torch
_RECIPES = ("deepgestalt", "skin-five", "risk-grading", "differential", "attributes")


@click.command(short_help="Train a network of the literature on your own photographs.")
@click.argument("cohort", metavar="COHORT", required=False)
@click.option("--recipe", type=click.Choice(_RECIPES), required=True, help="Which network, see above.")
@click.option("-o", "--output", metavar="NET", help="The network's file to write, such as net.anthropo.")
@click.option("--parameters", metavar="FILE", help="TOML or YAML with options that differ from the recipe's.")
@click.option("--set", "settings", metavar="OPTION=VALUE", multiple=True, help="One option; may be repeated.")
@click.option(
    "--show-parameters", is_flag=True, help="Print all options as a parameter file, and train nothing."
)
@click.option(
    "--warm-start",
    metavar="NAME|FILE",
    help="Weights to begin with: none, face-resnet, efficientnet-lite0, imagenet (timm's cache), another "
    "net.anthropo, or a file of weights (.safetensors, .pth). The first two choose their backbone.",
)
@click.option(
    "--pretrain",
    metavar="COHORT",
    help="A cohort with a column `patient` whose faces are told apart first (identity stage).",
)
@click.option(
    "--resume/--restart",
    default=True,
    show_default=True,
    help="Go on from the checkpoint of an interrupted run, or forget it.",
)
@options.device_option
@options.allow_duplicates_option
@options.learning_photo_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cohort: str | None,
    recipe: str,
    output: str | None,
    parameters: str | None,
    settings: tuple[str, ...],
    **given: Any,
) -> None:
    """Train a network on COHORT by a recipe of the literature.

    COHORT is a table or folder as for `anthropo train`: columns `photo`, `label`, best also `patient`.

    \b
    Recipes:
      deepgestalt   ten convolutions for each of four face regions, answers averaged
      skin-five     Inception-ResNet-v2, or one of four others, on whole photographs, class-weighted
      risk-grading  Xception for ordered grades: --set grades=low-risk,high-risk,dangerous
      differential  Inception-v4 on one to six photographs per patient, with metadata
      attributes    several attributes per face (cells `ptosis; long philtrum`) in one network

    Every choice of a recipe is an option (--show-parameters prints them all with their values), to be changed
    by --parameters FILE or --set: the backbone, the pictures' size, the optimiser, the loss, augmentation,
    class imbalance (imbalance = none, weights, focal, sampling) and others.

    \b
    Backbones (--set backbone=NAME), with their --warm-start:
      deepgestalt: none
      resnet50, inception_v3, densenet121, xception, inception_resnet_v2, inception_v4: imagenet
      face-resnet, face-resnet-map (with more places to attend to): face-resnet
      efficientnet-lite0: efficientnet-lite0

    Patients are dealt to three parts. One fifth is what the printed figures are of, one fifth decides
    when to stop, the rest is trained on. A checkpoint is written after every epoch (NET.checkpoint/): after
    Ctrl-C, a crash or a full disk the same command goes on from there and ends with the same network.
    Beside NET come NET's loss curves (.history.png) and their numbers (.history.json).

    Nothing is downloaded. ImageNet weights are taken from timm's cache if they are there.

    \b
    Exit code: 0 the network is written; 2 wrong use, or an error in the cohort; 130 interrupted.

    \b
    Examples:
      anthropo finetune cohort.csv --recipe deepgestalt -o net.anthropo --warm-start face-resnet
      anthropo finetune skin.csv --recipe skin-five --no-face -o net.anthropo --set backbone=densenet121
      anthropo finetune cohort.csv --recipe deepgestalt -o net.anthropo --set imbalance=weights
      anthropo finetune --recipe attributes --show-parameters > own.toml
    """
    with in_one_sentence("the checkpoint of the last epoch is kept; run the same command again to go on."):
        from anthropo.networks.recipes import as_toml

        chosen = recipe_of(recipe, parameters, settings, given)
        if given["show_parameters"]:
            click.echo(as_toml(chosen), nl=False)
            return
        if cohort is None or output is None:
            fail("a COHORT and -o net.anthropo are needed.", EXIT_USAGE)
        path = place_to_write(output, (".anthropo",), (cohort, parameters or "", given["pretrain"] or ""))
        _train(chosen, cohort, path, given, command_line(ctx))


def recipe_of(name: str, parameters: str | None, settings: tuple[str, ...], given: Given) -> Recipe:
    """The recipe with everything that the command line says."""
    from anthropo.networks.recipes import load_recipe

    file = Path(parameters) if parameters else None
    said: dict[str, Any] = {}
    if given["no_face"]:
        own, chosen = load_recipe(name, file, settings)
        if "views" in chosen and own.parameters.views != ("image",):
            raise InputError(
                f"--no-face with views {', '.join(own.parameters.views)}, which are of a face. Leave one of "
                "them out."
            )
        said["views"] = ("image",)
    if given["warm_start"] is not None:
        said["warm_start"] = given["warm_start"]
    return load_recipe(name, file, settings, **said)[0]


def _train(recipe: Recipe, cohort: str, path: Path, given: Given, words: str) -> None:
    import torch

    from anthropo.networks.checkpoints import Checkpoints, folder_of
    from anthropo.networks.finetuning import finetune
    from anthropo.networks.training_loop import device_of
    from anthropo.report.networks import print_finetuned, write_history

    device = device_of(given["device"])
    torch.set_num_threads(given["jobs"])
    settings = settings_of({**given, "no_face": recipe.parameters.views == ("image",)})
    people, pictures, features = pictures_of(cohort, recipe, settings, given)
    identity = None
    if given["pretrain"]:
        _, faces, known = pictures_of(given["pretrain"], recipe, settings, given, identity=True)
        identity = (faces, known)
    elif recipe.name == "deepgestalt" and recipe.parameters.identity == "none" and not given["no_face"]:
        click.echo("note: no identity stage, for want of --pretrain COHORT.", err=True)
    folder = folder_of(path)
    if given["resume"] and any(folder.glob("*.npz")):
        click.echo(f"going on from the checkpoint in {folder} (--restart begins anew).", err=True)
    with reported() as report:
        made = finetune(
            recipe,
            pictures,
            features,
            people.metadata,
            folder=folder,
            device=device,
            settings=settings,
            identity=identity,
            source=Path(cohort),
            command=words,
            report=report,
            restart=not given["resume"],
            begun=lambda units: _show_parts(units, recipe),
        )
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    made.network.save(path)
    write_history(path, made.network)
    Checkpoints(folder, {}).clear()
    print_finetuned(made)
    _show_written(path, made)


def pictures_of(
    path: str, recipe: Recipe, settings: Settings, given: Given, *, identity: bool = False
) -> tuple[Cohort, Pictures, Features]:
    """Read a cohort and look at its photos; what cannot be used is listed, what forbids training ends it."""
    from anthropo.learning.cohort import read_cohort
    from anthropo.learning.features import validate
    from anthropo.networks.finetuning import view_of
    from anthropo.networks.pictures import gather

    cohort = read_cohort(path, multilabel=recipe.task == "attributes" and not identity)
    with progress(len(cohort.cases), "reading photos") as advance:
        pictures, features = gather(
            cohort,
            view_of(recipe.parameters),
            settings,
            memory=recipe.parameters.memory,
            jobs=given["jobs"],
            on_progress=advance,
        )
    findings = validate(cohort, features, allow_duplicates=given["allow_duplicates"])
    # labels with few patients are said of by the training, whose limit is another
    findings = [f for f in findings if f.category != "label" or (f.level != "note" and not identity)]
    if recipe.task != "cases":  # metadata is not looked at
        findings = [f for f in findings if f.category != "metadata"]
    show_findings(findings, features.left_out, err=True)
    if any(f.level == "error" for f in findings):
        fail(f"{path}: cannot be trained on; see the errors above.", EXIT_USAGE)
    return cohort, pictures, features


def _show_parts(units: Units, recipe: Recipe) -> None:
    from anthropo.networks.pictures import TEST, TRAIN, VALIDATION

    what = "cases" if recipe.task == "cases" else "photos"
    sizes = [len(units.chosen(part)) for part in (TRAIN, VALIDATION, TEST)]
    click.echo(
        f"{recipe.name}: {sizes[0]} {what} to train on, {sizes[1]} to stop by, {sizes[2]} to judge by; "
        f"{', '.join(units.labels)}.",
        err=True,
    )


@contextmanager
def reported() -> Iterator[Report]:
    """Progress on stderr: a bar on a terminal, and in any case a line for every epoch."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None)

        def report(now: Any) -> None:
            text = f"{now.view}, {now.stage}, epoch {now.epoch} of {now.epochs}: loss {now.loss:.4f}"
            done = now.step == now.steps
            bar.update(task, description=text, completed=now.step, total=now.steps)
            if done:
                console.print(text + _validated(now), soft_wrap=True)

        yield report


def _validated(now: Progress) -> str:
    figures = []
    if now.validation == now.validation:
        figures.append(f"validation {now.validation:.4f}")
    if now.metric == now.metric:
        figures.append(f"{now.watched} {now.metric:.3f}")
    return "".join(f", {figure}" for figure in figures)


def _show_written(path: Path, made: Finetuned) -> None:
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {made.network.parameters:,} parameters")
