"""anthropo finetune"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from anthropo.cli import options
from anthropo.cli.common import (
    command_line,
    draw_to,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
    show_findings,
    tell_passed_over,
)
from anthropo.cli.decorators import Decorator, all_of, passed_as
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.report.finetune import print_finetuned, write_history
from anthropo.workflows.finetuning import FinetuneRequest, Prepared, finetune, prepare

if TYPE_CHECKING:
    from anthropo.networks.training_loop import Report, Step

# recipes, for the help, which must not import torch
RECIPES = ("deepgestalt", "skin-five", "risk-grading", "differential", "attributes")
#: Those that learn from pairs, or adapt to other photos.
FURTHER = ("contrastive", "dann", "deep-coral")

#: Options of commands that train networks, beside --recipe and --warm-start.
recipe_options = all_of(
    click.option(
        "--parameters", metavar="FILE", help="TOML or YAML with options that differ from the recipe's."
    ),
    click.option(
        "--set", "changes", metavar="OPTION=VALUE", multiple=True, help="One option; may be repeated."
    ),
)
training_options = all_of(
    click.option(
        "--resume/--restart", default=True, help="Continue where an interrupted run stopped, or start again."
    ),
    options.align_option,
    options.device_option,
    options.allow_duplicates_option,
    options.same_person_option,
    options.network_reading_options,
)


def warm_start_option(metavar: str, choices: str) -> Decorator:
    """--warm-start, with the weights that there are to choose from."""
    return click.option("--warm-start", metavar=metavar, help=f"Weights to begin with: {choices}")


@click.command(cls=Sectioned)
@click.argument("cohort", metavar="COHORT", required=False, callback=tell_passed_over)
@click.option(
    "--recipe", type=click.Choice((*RECIPES, *FURTHER)), required=True, help="Which network, see above."
)
@options.output_option("NET", "Write the network to this file, such as net.anthropo.")
@options.figures_option
@recipe_options
@options.flag("--show-parameters", "Print all options as a parameter file, and train nothing.")
@warm_start_option(
    "NAME|FILE",
    "none, face-resnet, efficientnet-lite0, imagenet (timm's cache), another net.anthropo, or a file of "
    "weights (.safetensors, .pth). face-resnet and efficientnet-lite0 choose their backbone.",
)
@click.option(
    "--pretrain",
    metavar="COHORT",
    help="A cohort with a column `patient`, on whose faces the network first learns to recognise people "
    "(identity stage).",
)
@click.option(
    "--state",
    metavar="COLUMN",
    help="contrastive: the column that tells a person's photos apart, such as well and ill.  "
    "[default: state]",
)
@click.option(
    "--domain",
    metavar="COLUMN",
    help="dann, deep-coral: the column of the site that a photo is from; --set targets=SITE names the one "
    "that is adapted to.  [default: site]",
)
@click.option(
    "--target",
    metavar="PHOTOS",
    help="dann, deep-coral: photos of where the network will be used, a folder or table. They need no "
    "labels; those that they have are only judged by.",
)
@training_options
@options.permissive_option
@passed_as("request", FinetuneRequest)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cohort: str | None,
    output: str | None,
    figures: str | None,
    show_parameters: bool,
    request: FinetuneRequest,
) -> None:
    """Train a network on COHORT by a recipe of the literature.

    COHORT is a table or folder as for `anthropo train`: columns `photo`, `label`, best also `patient`.

    \b
    Recipes:
      deepgestalt   ten convolutions for each of four face regions, answers averaged
      skin-five     Inception-ResNet-v2, or one of four others, on whole photos, class-weighted
      risk-grading  Xception for ordered grades: --set grades=low-risk,high-risk,dangerous
      differential  Inception-v4 on one to six photos per patient, with metadata
      attributes    several attributes per face (cells `ptosis; long philtrum`) in one network
      contrastive   an embedding in which a person's photos in two states (column `state`) lie near
                    each other, or those of a label (--set positives=label); --set loss=triplet or supcon
      dann          labels of one source, learned so that another (--target, or --domain) cannot be told
                    from it: gradient reversal
      deep-coral    the same by making the covariances of both sources alike

    Every choice of a recipe is an option that --parameters FILE or --set can change (--show-parameters prints
    all of them with their values): the backbone, the pictures' size, the optimiser, the loss, augmentation,
    class imbalance (imbalance = none, weights, focal, sampling) and others.

    \b
    Backbones (--set backbone=NAME), with their --warm-start:
      deepgestalt: none
      resnet50, inception_v3, densenet121, xception, inception_resnet_v2, inception_v4: imagenet
      face-resnet, face-resnet-map (with more places to attend to): face-resnet
      efficientnet-lite0: efficientnet-lite0

    Patients are split into three parts: the printed figures come from one fifth, another fifth decides when
    training stops, and the rest is trained on. A checkpoint is written after every epoch (NET.checkpoint/):
    after Ctrl-C, a crash or a full disk the same command continues from there and ends with the same network.
    Beside NET come NET's loss curves (.history.png) and their numbers (.history.json).

    Nothing is downloaded. ImageNet weights are taken from timm's cache if they are there.

    \b
    Exit code: 0 the network is written; 2 wrong use, or an error in the cohort; 130 interrupted.

    \b
    Examples:
      anthropo finetune cohort.csv --recipe deepgestalt -o net.anthropo --warm-start face-resnet
      anthropo finetune skin.csv --recipe skin-five --no-face -o net.anthropo --set backbone=densenet121
      anthropo finetune cohort.csv --recipe deepgestalt -o net.anthropo --set imbalance=weights
      anthropo finetune pairs.csv --recipe contrastive -o net.anthropo --set loss=supcon
      anthropo finetune studio.csv --recipe dann --target clinic/ -o net.anthropo
      anthropo finetune both.csv --recipe deep-coral --domain site --set targets=clinic -o net.anthropo
      anthropo finetune --recipe attributes --show-parameters > my.toml
    """
    with in_one_sentence("the checkpoint of the last epoch is kept; run the same command again to continue."):
        recipe = request.load_recipe()
        if show_parameters:
            from anthropo.networks.recipes import as_toml

            say(as_toml(recipe), nl=False)
            return
        if cohort is None or output is None:
            raise InputError("a COHORT and -o net.anthropo are needed.")
        given = (cohort, request.parameters, request.pretrain, request.target)
        inputs = [str(path) for path in given if path]
        path = place_to_write(output, (".anthropo",), inputs)
        drawn = figures_folder(figures)
        from anthropo.networks.checkpoints import folder_of
        from anthropo.report.figure_files import figures_of

        prepared = prepare(cohort, request, progress=progress)
        show_gathered(prepared)
        _show_parts(prepared)
        folder = folder_of(path)
        if request.resume and any(folder.glob("*.npz")):
            say(f"continuing from the checkpoint in {folder} (--restart starts again).", err=True)
        with reported() as report:
            finetuned = finetune(
                prepared, path, request, command=command_line(ctx), report=report, keep_checkpoint=True
            )
        for note in finetuned.notes:
            say(f"note: {note}", err=True)
        write_history(path, finetuned.network)
        draw_to(drawn, lambda: figures_of(finetuned))
        shutil.rmtree(folder, ignore_errors=True)
        print_finetuned(finetuned)
        size = path.stat().st_size / 1e6
        say(f"{path}: {size:.1f} MB, {finetuned.network.parameters:,} parameters")


def show_gathered(prepared: Prepared) -> None:
    """The findings on each cohort."""
    for gathered in prepared.gathered:
        show_findings(gathered.findings, gathered.photos.features.left_out, err=True)


def _show_parts(prepared: Prepared) -> None:
    from anthropo.networks.units import TEST, TRAIN, VALIDATION

    for note in prepared.notes:
        say(f"note: {note}", err=True)
    units, recipe = prepared.training.units, prepared.training.recipe
    what = "cases" if recipe.task == "cases" else "photos"
    sizes = [len(units.chosen(part)) for part in (TRAIN, VALIDATION, TEST)]
    say(
        f"{recipe.name}: {sizes[0]} {what} to train on, {sizes[1]} to stop by, {sizes[2]} to judge by; "
        f"{', '.join(units.labels)}.",
        err=True,
    )
    if (target := prepared.training.target) is not None:
        held = f", {len(target.judged)} to judge by" if target.judged is not None else ""
        say(f"target: {len(target.rows)} photos to adapt to{held}.", err=True)


@contextmanager
def reported() -> Iterator[Report]:
    """Progress on stderr: a bar on a terminal, and in any case a line for every epoch."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None)

        def report(now: Step) -> None:
            text = f"{now.view}, {now.stage}, epoch {now.epoch} of {now.epochs}: loss {now.loss:.4f}"
            bar.update(task, description=text, completed=now.step, total=now.steps)
            if now.step == now.steps:
                console.print(text + _validated(now), soft_wrap=True)

        yield report


def _validated(now: Step) -> str:
    text = f", validation {now.validation:.4f}" if now.validation == now.validation else ""
    return text + (f", {now.watched} {now.metric:.3f}" if now.metric == now.metric else "")
