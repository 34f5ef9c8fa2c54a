"""anthropo bench"""

from __future__ import annotations

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence, place_to_write, progress
from anthropo.cli.sections import Sectioned
from anthropo.plain import say
from anthropo.report.bench import print_bench, write_rows
from anthropo.workflows.bench import bench_networks
from anthropo.workflows.cohort import PhotoReading


@click.command(cls=Sectioned)
@click.argument("networks", metavar="NET...", nargs=-1, required=True)
@options.cohort_argument
@options.output_option("FILE", "Write the table: .csv or .json.")
@options.raw_option
@click.option(
    "--calibrate",
    metavar="PHOTOS",
    help="Photos by which int8 is calibrated.  [default: 32 of the cohort, without their labels]",
)
@options.network_reading_options
@options.permissive_option
def command(
    networks: tuple[str, ...], cohort: str, output: str | None, calibrate: str | None, reading: PhotoReading
) -> None:
    """Measure each NET in torch, as ONNX and as int8, on a COHORT that it has not seen.

    Reported for each: AUROC and accuracy with 95 % intervals (for attributes, means without an interval),
    number of weights, size of the file, the largest memory of a process that loads it and answers one photo
    after the other, and the time of an answer, from the cropped views to the probabilities (fastest of ten,
    median over 20 photos). Each runtime runs in a separate process with one thread or -j threads, whichever
    is faster.

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
        path = place_to_write(output, (".csv", ".json"), (*networks, cohort)) if output else None

        result = bench_networks(networks, cohort, calibrate=calibrate, reading=reading, progress=progress)
        for sentence in result.warnings:
            say(f"warning: {sentence}", fg="yellow", err=True)
        if path:
            write_rows(path, [one.row() for one in result.measured])
        print_bench(result.measured)
        for sentence in result.notes:
            say(f"note: {sentence}", fg="yellow", err=True)
        if path:
            say(f"{path}: written.", err=True)
