"""anthropo map"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_NONE, EXIT_SOME, fail, in_one_sentence, place_to_write
from anthropo.cli.composite import show_about_photos
from anthropo.cli.learning import Given, corrected, look, settings_of, show_findings
from anthropo.errors import InputError

if TYPE_CHECKING:
    from anthropo.groups.map import Groups
    from anthropo.learning.cohort import Cohort, Kind
    from anthropo.learning.features import Features

_SUFFIXES = (".html", ".png", ".csv")


@click.command(short_help="Map of a cohort's faces: who lies near whom.")
@click.argument("cohort", metavar="COHORT")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    required=True,
    help="Write .html (a page with both maps and a table), .png, or .csv (the places).",
)
@click.option(
    "--by", metavar="COLUMN", default="label", show_default=True, help="The column that marks are made of."
)
@click.option(
    "--of",
    "source",
    type=click.Choice(["embeddings", "measurements"]),
    default="embeddings",
    show_default=True,
    help="What faces are compared by: the network's embedding of the whole face, or all measurements.",
)
@click.option(
    "--perplexity",
    type=click.FloatRange(min=1),
    help="How many neighbours t-SNE looks at, about.  [default: 30, or a third of the other photos]",
)
@click.option(
    "--thumbnails", is_flag=True, help="Draw the faces. Only then are pictures of people in the file."
)
@click.option(
    "--names",
    is_flag=True,
    help="Show photos and patients by name. Left out: people are numbers, which only who has the photos can "
    "trace back.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of t-SNE and the comparison with chance."
)
@click.option(
    "--encoder",
    metavar="NAME",
    default="face-resnet",
    show_default=True,
    help="face-resnet, efficientnet-lite0, or timm:NAME with --encoder-weights.",
)
@options.encoder_weights_option
@options.landmarks_option
@options.learning_photo_options
def command(cohort: str, output: str, **given: Any) -> None:
    """Draw the faces of COHORT on a plane, alike ones beside each other.

    COHORT is a CSV with the columns `photo` and `label`, and `patient` where somebody has several photos, or
    a folder with one subfolder of photos per label.

    Two maps are drawn: t-SNE, which keeps neighbours together, and the first two principal components.
    Whether a cluster that you see is there is told by a figure: how often the five nearest other people,
    among all numbers and not on the map, are of the same group, against chance.

    \b
    Exit code: 0 all photos drawn, 1 none, 2 wrong use, 3 some left out (each with its reason), 130
    interrupted (photos that are done are in the cache; run again to continue).

    \b
    Examples:
      anthropo map cohort.csv -o map.html
      anthropo map cohort.csv --by clinic -o leak.png
      anthropo map cohort.csv --of measurements --by age -o map.html --thumbnails
    """
    with in_one_sentence("nothing is written. Photos that are done are in the cache; run again to go on."):
        path = place_to_write(output, _SUFFIXES, (cohort,))
        sys.exit(_map(cohort, path, given))


def _map(name: str, path: Path, given: Given) -> int:
    from anthropo.encoder.encoders import load_encoder
    from anthropo.encoder.regions import DEFAULT_REGIONS
    from anthropo.files import write
    from anthropo.groups.map import draw_map, group, neighbours, numbers_of
    from anthropo.learning.cohort import Finding, read_cohort
    from anthropo.learning.cohort_checks import check
    from anthropo.report.map import WRITERS, Drawn, print_map

    cohort = read_cohort(name)
    kind = _kind(cohort, given["by"])
    settings = corrected(settings_of(given), given, [case.photo for case in cohort.cases])
    show_about_photos(cohort, check(cohort))
    encoder = load_encoder(given["encoder"], weights=given["encoder_weights"])
    # the regions of training, whose cache is used again
    features = look(cohort, settings, encoder, (*DEFAULT_REGIONS, "background"), given)
    left_out = features.left_out
    show_findings([Finding("warning", "photo", reason) for _, reason in left_out], left_out, err=True)
    if not len(features):
        fail(f"{name}: no photo with a face. No map is drawn.", EXIT_NONE)
    _warn_of_duplicates(features)
    groups = group(_cells(cohort, features, given["by"]), kind)
    numbers = numbers_of(features, given["source"])
    made = draw_map(numbers.values, perplexity=given["perplexity"], seed=given["seed"])
    drawn = Drawn(
        title=f"Map of {Path(name).name} by {given['by']}",
        by=given["by"],
        made=made,
        groups=groups,
        neighbours=neighbours(numbers.values, groups, features.patients, seed=given["seed"]),
        ids=_ids(features, named=given["names"]),
        patients=features.patients,
        settings={
            "faces compared by": numbers.described,
            **({"encoder": encoder.name} if given["source"] == "embeddings" else {}),
            "t-SNE": f"perplexity {made.perplexity:.3g}, seed {made.seed}, started from the components",
            "marks": _marks(given["by"], groups),
            "photos left out": str(len(left_out)),
            "people": "by name" if given["names"] else "as numbers (a keyed hash), not by name",
        },
        thumbnails=_thumbnails(features) if given["thumbnails"] else (),
    )
    data = WRITERS[path.suffix.lower()](drawn)
    write(path, data)
    print_map(drawn)
    click.echo(f"{path}: {len(features)} of {len(features) + len(left_out)} photos drawn.", err=True)
    return EXIT_SOME if left_out else 0


def _warn_of_duplicates(features: Features) -> None:
    """Of photographs that are neighbours because they are one."""
    from anthropo.learning.cohort import some
    from anthropo.learning.duplicates import find_duplicates

    pairs = [f"{p.first} = {p.second}" for p in find_duplicates(features) if not p.same_patient]
    if pairs:
        click.secho(
            f"warning: one photograph under different patients: {some(pairs)}. They are neighbours for that "
            "alone; give them the same patient.",
            fg="yellow",
            err=True,
        )


def _kind(cohort: Cohort, by: str) -> Kind:
    """What the cells of a column are.

    Raises
    ------
    InputError
        If there is no such column, it is empty, or it names people.
    """
    columns = list(cohort.cases[0].metadata)
    if by == "label":
        return "category"
    if by in ("photo", "patient") or by not in columns:
        why = "names single people" if by in ("photo", "patient") else "no such column"
        raise InputError(f"--by {by}: {why}. Choose from {', '.join(['label', *columns])}.")
    if not any(case.metadata[by].strip() for case in cohort.cases):
        raise InputError(f"--by {by}: the column is empty. Choose from {', '.join(['label', *columns])}.")
    return cohort.metadata.get(by, "category")


def _cells(cohort: Cohort, features: Features, by: str) -> list[str]:
    """The column's cell of each photo that is drawn."""
    cells = {case.photo: case.label if by == "label" else case.metadata[by] for case in cohort.cases}
    return [cells[photo] for photo in features.photos.tolist()]


def _ids(features: Features, *, named: bool) -> tuple[str, ...]:
    """How each photo is called: by name, or by a number that only who has the photos can trace back."""
    from anthropo.learning.cohort import hashed

    if named:
        pairs = zip(features.photos.tolist(), features.patients.tolist(), strict=True)
        return tuple(_named(Path(photo).name, Path(patient).name) for photo, patient in pairs)
    salt = hashlib.sha256("".join(sorted(features.digests.tolist())).encode()).hexdigest()
    return tuple(hashed(patient, salt) for patient in features.patients.tolist())


def _named(photo: str, patient: str) -> str:
    return photo if photo == patient else f"{photo} ({patient})"


def _marks(by: str, groups: Groups) -> str:
    return f"{by}, in bands" if groups.ordered else by


def _thumbnails(features: Features) -> tuple[Any, ...]:
    """Small pictures of the faces, in their own shape."""
    from anthropo.encoder.portrait import reshaped

    assert features.portraits is not None  # whoever was looked at has them
    assert features.shapes is not None
    return tuple(
        reshaped(portrait, shape.astype(float))
        for portrait, shape in zip(features.portraits, features.shapes, strict=True)
    )
