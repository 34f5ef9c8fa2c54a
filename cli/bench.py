"""anthropo bench"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_USAGE, fail, in_one_sentence, place_to_write, progress
from anthropo.cli.learning import Given, settings_of, show_findings
from anthropo.errors import InputError

if TYPE_CHECKING:
    from anthropo.networks.bench import Measured

_SUFFIXES = (".csv", ".json")


@click.command(short_help="Tell what networks cost and are worth: torch, ONNX and int8 side by side.")
@click.argument("networks", metavar="NET...", nargs=-1, required=True)
@click.argument("cohort", metavar="COHORT")
@click.option("-o", "--output", metavar="FILE", help="Write the table: .csv or .json.")
@click.option(
    "--calibrate",
    metavar="PHOTOS",
    help="Photos by which int8 is calibrated.  [default: 32 of the cohort, without their labels]",
)
@options.learning_photo_options
def command(
    networks: tuple[str, ...], cohort: str, output: str | None, calibrate: str | None, **given: Any
) -> None:
    """Measure each NET on COHORT, whom it must not have seen: as it is, as ONNX, and as int8.

    For each: AUROC and accuracy with 95 % intervals (of attributes their means, without one), number of
    weights, size of the file, the largest memory of a process that loads it and answers one photo after the
    other, and the time of an answer, from the cut views to the probabilities (fastest of ten, median over 20
    photos). Each runtime has a process of its own and one or -j threads, whichever is faster.

    COHORT is a table or folder as for `anthropo finetune`. Photos of labels that a network does not
    know are left out for it.

    \b
    Exit code: 0 measured, 2 wrong use, 130 interrupted.

    \b
    Examples:
      anthropo bench net.anthropo test.csv
      anthropo bench large.anthropo small.anthropo test.csv -j 1 -o bench.csv
    """
    with in_one_sentence("nothing is written."):
        path = place_to_write(output, _SUFFIXES, (*networks, cohort)) if output else None
        from anthropo.networks.bench import remarks
        from anthropo.networks.export import require_onnx
        from anthropo.report.comparison import bench_rows, print_bench, write_rows

        require_onnx()
        found: list[Measured] = []
        _refuse_early(networks, cohort)
        for network in networks:
            found += _measured(network, cohort, calibrate, given)
        print_bench(found)
        for sentence in remarks(found):
            click.secho(f"note: {sentence}", fg="yellow", err=True)
        if path:
            write_rows(path, bench_rows(found))
            click.echo(f"{path}: written.", err=True)


def _refuse_early(names: Sequence[str], cohort: str) -> None:
    """Refuse a network that knows no label of the cohort before another one is measured."""
    from anthropo.learning.cohort import read_cohort
    from anthropo.networks.network import Network

    for name in names:
        network = Network.load(name)
        if network.task == "attributes":
            continue
        labels = sorted({case.label for case in read_cohort(cohort).cases})
        if not set(labels) & set(network.labels):
            raise InputError(
                f"{name}: knows {', '.join(network.labels)}, and {cohort} has no such label but "
                f"{', '.join(labels[:5])}. Give each network a cohort with its labels."
            )


def _measured(name: str, cohort: str, calibrate: str | None, given: Given) -> list[Measured]:
    from anthropo.cli.export import calibration
    from anthropo.learning.cohort import check, read_cohort
    from anthropo.networks.bench import bench, calibration_photos, photos_of
    from anthropo.networks.network import Network

    network = Network.load(name)
    settings = settings_of(given, network.manifest)
    people = read_cohort(cohort, multilabel=network.task == "attributes")
    errors = [f for f in check(people) if f.level == "error" and f.category != "label"]
    if errors:
        show_findings(errors, (), err=True)
        fail(f"{cohort}: cannot be measured on; see the errors above.", EXIT_USAGE)
    with progress(len(people.cases), "reading photos") as advance:
        photos = photos_of(network, people, settings, jobs=given["jobs"], on_progress=advance)
    for _, reason in photos.left_out:
        click.secho(f"warning: {reason}", fg="yellow", err=True)
    if photos.seen:
        click.secho(
            f"warning: {cohort}: {photos.seen} of {len(people.cases)} photos are among those that {name} was "
            "trained on or stopped by: AUROC and accuracy come out too good.",
            fg="yellow",
            err=True,
        )
    if calibrate:
        by = calibration(network, [calibrate], given)
    else:
        by = calibration_photos(network, [c.photo for c in people.cases], settings, jobs=given["jobs"])
    return bench(name, photos, by, threads=given["jobs"])
