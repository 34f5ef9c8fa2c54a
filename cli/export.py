"""anthropo export"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence, place_to_write
from anthropo.cli.learning import Given, settings_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anthropo.networks.network import Network


@click.command(short_help="Write a network as ONNX, for devices without torch.")
@click.argument("network", metavar="NET")
@click.option("-o", "--output", metavar="FILE.onnx", required=True, help="The file to write.")
@click.option("--int8", is_flag=True, help="Eight-bit integers: a quarter of the size.")
@click.option(
    "--calibrate",
    metavar="PHOTOS",
    help="Of --int8: photos like those that the device will see, a folder, pattern or CSV. 32 of them tell "
    "the range of each layer, without which int8 is smaller but no faster. Labels are not used.",
)
@options.learning_photo_options
def command(network: str, output: str, int8: bool, calibrate: str | None, **given: Any) -> None:
    """Write NET, which `anthropo finetune` wrote, as an ONNX file.

    The file takes grey levels (uint8, RGB: photo, view, row, column, channel) for any number of photos and
    gives probabilities and embeddings: normalisation is part of it, and so is the average over the views.
    What it does not hold is the way from a photo to the views. Its metadata (labels, views, size, alignment)
    tell what is needed.

    Before it is written its answers are compared with the network's: more than 0.0001 apart, and it is not.
    With --int8 it is printed how far they are apart; `anthropo bench` tells what that costs.

    \b
    Exit code: 0 written, 2 wrong use or not written, 130 interrupted.

    \b
    Examples:
      anthropo export net.anthropo -o net.onnx
      anthropo export net.anthropo -o net.int8.onnx --int8 --calibrate photos/
    """
    with in_one_sentence("nothing is written."):
        from anthropo.errors import InputError

        path = place_to_write(output, (".onnx",), (network,))
        if calibrate and not int8:
            raise InputError("--calibrate is for --int8. Pass both, or none of them.")
        from anthropo.files import file_sha256
        from anthropo.networks.export import export, require_onnx
        from anthropo.networks.network import Network

        require_onnx()
        loaded = Network.load(network)
        photos = calibration(loaded, [calibrate], given) if calibrate else None
        made = export(loaded, path, int8=int8, photos=photos, source=file_sha256(network))
        if int8 and photos is None:
            click.echo(
                "note: without --calibrate only the weights are integers: a smaller file, but no faster on "
                "most CPUs.",
                err=True,
            )
        on = "pictures of noise" if photos is None else "calibration photos"
        how = f"at most {made.difference:.2g} apart from the network's on {made.compared} {on}"
        same = f", the same first label for {made.agreement:.0%}" if int8 and photos is not None else ""
        click.echo(f"{path}: {made.size / 1e6:.1f} MB; probabilities {how}{same}.", err=True)


def calibration(network: Network, places: list[str], given: Given) -> NDArray[np.uint8]:
    """Pictures of some photos of a folder, pattern or table."""
    from anthropo.batch.inputs import collect
    from anthropo.networks.bench import calibration_photos

    settings = settings_of(given, network.manifest)
    return calibration_photos(network, [i.path for i in collect(places)], settings, jobs=given["jobs"])
