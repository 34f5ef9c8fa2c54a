"""anthropo compare-networks"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence, place_to_write
from anthropo.cli.finetune import pictures_of, recipe_of, reported
from anthropo.cli.learning import Given, command_line, settings_of
from anthropo.errors import InputError

if TYPE_CHECKING:
    from anthropo.networks.compare import Compared

_SUFFIXES = (".csv", ".json", ".html")


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in (value or "").split(",") if name.strip()))


@click.command(short_help="Train the networks of a recipe and put recall and precision side by side.")
@click.argument("cohort", metavar="COHORT")
@click.option(
    "--recipe",
    type=click.Choice(["deepgestalt", "skin-five", "risk-grading", "differential", "attributes"]),
    default="skin-five",
    show_default=True,
    help="How all of them are trained; see `anthropo finetune --help`.",
)
@click.option(
    "--networks",
    metavar="NAME,…",
    callback=_names,
    help="Which ones.  [default: resnet50, inception_v3, densenet121, xception, inception_resnet_v2]",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    help="The table: .csv, .json or .html. The networks are kept beside it, in FILE.networks/.",
)
@click.option("--parameters", metavar="FILE", help="TOML or YAML with options that differ from the recipe's.")
@click.option("--set", "settings", metavar="OPTION=VALUE", multiple=True, help="One option; may be repeated.")
@click.option(
    "--warm-start",
    metavar="NAME",
    help="Weights to begin with: imagenet (timm's cache) or none.  [default: the recipe's]",
)
@click.option(
    "--resume/--restart",
    default=True,
    show_default=True,
    help="Go on from where an interrupted comparison stopped, or begin anew.",
)
@options.device_option
@options.allow_duplicates_option
@options.learning_photo_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cohort: str,
    recipe: str,
    networks: tuple[str, ...],
    output: str,
    parameters: str | None,
    settings: tuple[str, ...],
    **given: Any,
) -> None:
    """Train several networks on COHORT by one recipe, and compare them on the patients that were kept apart.

    For each label recall and precision with 95 % intervals, for each network its number of weights, the size
    of its file and the time that a photo takes. All networks learn from the same patients, stop by the
    same and are judged by the same.

    A comparison that is interrupted goes on where it stopped, within an epoch, when the same command is
    given again.

    \b
    Exit code: 0 compared, 2 wrong use, or an error in the cohort, 130 interrupted.

    \b
    Examples:
      anthropo compare-networks skin.csv -o five.html
      anthropo compare-networks skin.csv --networks resnet50,densenet121 --set epochs=20 -o two.csv
    """
    with in_one_sentence("networks and epochs that are done are kept; run the same command again to go on."):
        path = place_to_write(output, _SUFFIXES, (cohort, parameters or ""))
        found = _compared(recipe, cohort, networks, path, parameters, settings, given, command_line(ctx))
        from anthropo.report.comparison import compared_rows, print_compared, write_compared, write_rows

        print_compared(found)
        if path.suffix.lower() == ".html":
            write_compared(path, found)
        else:
            write_rows(path, compared_rows(found))
        click.echo(f"{path}: written; the networks are in {_folder(path)}.", err=True)


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.networks")


def _compared(
    name: str,
    cohort: str,
    networks: tuple[str, ...],
    path: Path,
    parameters: str | None,
    settings: tuple[str, ...],
    given: Given,
    words: str,
) -> list[Compared]:
    import torch

    from anthropo.networks.architectures import BACKBONES
    from anthropo.networks.checkpoints import Checkpoints, folder_of
    from anthropo.networks.compare import FIVE, train_one
    from anthropo.networks.training_loop import device_of

    for backbone in networks:
        if backbone not in BACKBONES:
            raise InputError(f"--networks {backbone}: unknown. Choose from {', '.join(BACKBONES)}.")
    wanted = networks or FIVE
    recipes = [recipe_of(name, parameters, (*settings, f"backbone={backbone}"), given) for backbone in wanted]
    device, own = device_of(given["device"]), recipes[0].parameters
    torch.set_num_threads(given["jobs"])
    how = settings_of({**given, "no_face": own.views == ("image",)})
    people, pictures, features = pictures_of(cohort, recipes[0], how, given)
    folder = _folder(path)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}).") from None
    found, files = [], [folder / f"{backbone}.anthropo" for backbone in wanted]
    for recipe, file in zip(recipes, files, strict=True):
        click.echo(f"{recipe.parameters.backbone}:", err=True)
        with reported() as report:
            found.append(
                train_one(
                    recipe,
                    file,
                    pictures,
                    features,
                    people.metadata,
                    device=device,
                    settings=how,
                    source=Path(cohort),
                    command=words,
                    report=report,
                    restart=not given["resume"],
                    threads=given["jobs"],
                )
            )
    for note in dict.fromkeys(note for one in found for note in one.made.notes):
        click.echo(f"note: {note}", err=True)
    for file in files:
        Checkpoints(folder_of(file), {}).clear()
    return found
