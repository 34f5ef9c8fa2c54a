"""anthropo export"""

from __future__ import annotations

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence, place_to_write
from anthropo.cli.sections import Sectioned
from anthropo.plain import say
from anthropo.workflows.cohort import PhotoReading
from anthropo.workflows.export import export_network


@click.command(cls=Sectioned)
@click.argument("network", metavar="NET")
@options.output_option("FILE.onnx", "Write the network to this file.", required=True)
@options.flag("--int8", "Eight-bit integers: a quarter of the size.")
@click.option(
    "--calibrate",
    metavar="PHOTOS",
    help="With --int8: photos like those that the device will see, a folder, pattern or CSV. 32 of them "
    "calibrate the range of each layer; without this, int8 is smaller but no faster. Labels are not used.",
)
@options.network_reading_options
@options.permissive_option
def command(network: str, output: str, int8: bool, calibrate: str | None, reading: PhotoReading) -> None:
    """Write NET, which `anthropo finetune` wrote, as an ONNX file.

    The file takes grey levels (uint8, RGB: photo, view, row, column, channel) for any number of photos and
    gives probabilities and embeddings: normalisation is part of it, and so is the average over the views.
    It does not include the steps from a photo to the views; its metadata (labels, views, size, alignment)
    describe them.

    Before writing, its answers are compared with the network's; if they differ by more than 0.0001, nothing
    is written. With --int8 the difference is printed instead; `anthropo bench` shows its effect on accuracy.

    \b
    Exit code: 0 written, 2 wrong use or not written, 130 interrupted.

    \b
    Examples:
      anthropo export net.anthropo -o net.onnx
      anthropo export net.anthropo -o net.int8.onnx --int8 --calibrate photos/
    """
    with in_one_sentence("nothing is written."):
        path = place_to_write(output, (".onnx",), (network,))

        exported = export_network(network, path, int8=int8, calibrate=calibrate, reading=reading)
        if int8 and not calibrate:
            say(
                "note: without --calibrate only the weights are integers: a smaller file, but no faster on "
                "most CPUs.",
                err=True,
            )
        on = "calibration photos" if calibrate else "pictures of noise"
        how = f"at most {exported.difference:.2g} apart from the network's on {exported.compared} {on}"
        same = f", the same first label for {exported.agreement:.0%}" if calibrate else ""
        say(f"{path}: {exported.size / 1e6:.1f} MB; probabilities {how}{same}.", err=True)
