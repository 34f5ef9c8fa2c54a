"""anthropo regions"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_USAGE, fail, in_one_sentence, place_to_write, progress
from anthropo.cli.learning import Given, corrected, look, settings_of, show_findings

if TYPE_CHECKING:
    from anthropo.groups.regions import Discovery
    from anthropo.learning.cohort import Cohort
    from anthropo.learning.features import Features

_SUFFIXES = (".html", ".png", ".json")


@click.command(short_help="Find what distinguishes the people of a label, and where in the face.")
@click.argument("cohort", metavar="COHORT")
@click.option("--label", metavar="LABEL", required=True, help="Whose people are compared with all others.")
@click.option(
    "-o", "--output", metavar="FILE", help="Write .html (a page), .png (the heatmaps) or .json (all figures)."
)
@click.option(
    "--people",
    type=click.IntRange(min=3),
    default=100,
    show_default=True,
    help="Of each group at most so many have their heatmap made, which takes about half a second each; "
    "measurements and regions are those of everybody.",
)
@click.option(
    "--permutations",
    type=click.IntRange(min=100),
    default=2000,
    show_default=True,
    help="Of the labels, for the significance of places.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Heatmaps are of people whom the model has not seen; all photos of a patient are in one fold.",
)
@click.option(
    "--encoder",
    metavar="NAME",
    default="face-resnet",
    show_default=True,
    help="face-resnet, efficientnet-lite0, or timm:NAME with --encoder-weights.",
)
@options.encoder_weights_option
@options.allow_duplicates_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@options.landmarks_option
@options.learning_photo_options
def command(cohort: str, label: str, output: str | None, **given: Any) -> None:
    """Find what distinguishes the people of LABEL in COHORT from all others, wherever it is.

    COHORT is a CSV with the columns `photo` and `label`, and `patient` where somebody has several photos, or
    a folder with one subfolder of photos per label.

    Three answers: heatmaps of where in the face the evidence lies, averaged over each group and compared
    place by place; what each region adds to the log-odds of people whom the model has not seen; and all
    measurements by the size of their difference. Each with its significance, many tests taken into account.

    What distinguishes groups need not be the label: groups that differ in age, sex, ancestry or camera
    differ in these, too. Columns in which they differ are named.

    \b
    Exit code: 0 done, also when photos were left out; 2 wrong use, or an error in the cohort; 130
    interrupted (photos that are done are in the cache; run again to continue).

    \b
    Examples:
      anthropo regions cohort.csv --label "Noonan syndrome"
      anthropo regions cohort.csv --label affected -o affected.html
      anthropo regions photos/ --label affected -o affected.json --permutations 10000
    """
    with in_one_sentence("nothing is written. Photos that are done are in the cache; run again to go on."):
        path = place_to_write(output, _SUFFIXES, (cohort,)) if output else None
        features, found, settings = _discovered(cohort, label, given)
        from anthropo.report.regions import print_discovery

        print_discovery(found)
        if path:
            _write(path, features, found, settings)
            click.echo(f"{path}: written.", err=True)


def _discovered(name: str, label: str, given: Given) -> tuple[Features, Discovery, dict[str, str]]:
    from anthropo.encoder.encoders import load_encoder
    from anthropo.encoder.regions import DEFAULT_REGIONS
    from anthropo.groups.regions import checked, discover, pictures
    from anthropo.learning.cohort import read_cohort
    from anthropo.learning.cohort_checks import validate

    cohort = read_cohort(name)
    _refuse_early(cohort, label)
    settings = corrected(settings_of(given), given, [case.photo for case in cohort.cases])
    encoder = load_encoder(given["encoder"], weights=given["encoder_weights"])
    # the regions of training, whose cache is used again
    features = look(cohort, settings, encoder, (*DEFAULT_REGIONS, "background"), given)
    findings = validate(cohort, features, allow_duplicates=given["allow_duplicates"])
    show_findings(findings, features.left_out, err=True)
    if any(finding.level == "error" for finding in findings):
        fail(f"{name}: cannot be compared; see the errors above.", EXIT_USAGE)
    checked(features, label)
    with progress(pictures(features, label, given["people"]), "drawing heatmaps") as advance:
        found = discover(
            features,
            label,
            encoder,
            settings,
            regions=DEFAULT_REGIONS,
            folds=given["folds"],
            most=given["people"],
            permutations=given["permutations"],
            seed=given["seed"],
            jobs=given["jobs"],
            on_progress=advance,
        )
    described = {
        "cohort": Path(name).name,
        "method": f"{found.folds}-fold cross-validation by patient, {label} against all other labels",
        "encoder": encoder.name,
        "regions": ", ".join(DEFAULT_REGIONS),
        "heatmaps": f"one photo of each of {found.maps.n} people and {found.maps.n_others} others",
        "photos": f"{len(features)}, {len(features.left_out)} left out",
        "seed": str(given["seed"]),
    }
    return features, found, described


def _refuse_early(cohort: Cohort, label: str) -> None:
    """Refuse, before the photos are looked at, what would be refused after."""
    from anthropo.groups.regions import two_groups

    two_groups([case.label for case in cohort.cases], [case.patient for case in cohort.cases], label)


def _write(path: Path, features: Features, found: Discovery, settings: dict[str, str]) -> None:
    from anthropo.files import write
    from anthropo.report.regions import document, page, panels, picture
    from anthropo.report.rendering import png

    suffix = path.suffix.lower()
    made = document(found, settings, features.left_out)
    if suffix == ".json":
        data = json.dumps(made, ensure_ascii=False, indent=1, allow_nan=False).encode()
    else:
        drawn = panels(found, features)
        data = png(picture(found, drawn)) if suffix == ".png" else page(made, found, drawn).encode()
    write(path, data)
