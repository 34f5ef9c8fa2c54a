"""Write a network as an ONNX file, for devices without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.batch.inputs import collect
from anthropo.errors import InputError, parameter
from anthropo.files import file_sha256
from anthropo.workflows.cohort import PhotoReading, settings_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anthropo.networks.export import Exported
    from anthropo.networks.network import Network


def export_network(
    network: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    int8: bool = False,
    calibrate: str | os.PathLike[str] | None = None,
    reading: PhotoReading | None = None,
) -> Exported:
    """Write a network as ONNX, after its answers have been compared with the network's.

    Parameters
    ----------
    network : path
        A file that `anthropo finetune` wrote.
    output : path
        The ONNX file.
    int8 : bool
        Whether layers are of eight-bit integers.
    calibrate : path, optional
        With `int8`: a folder, pattern or table of photos, 32 of which calibrate the range of each layer.
    reading : PhotoReading, optional
        How these are read.

    Returns
    -------
    Exported
        The file's size, and how far its answers are from the network's.

    Raises
    ------
    AnthropoError
        If the network cannot be read, its answers would differ, or the file cannot be written.

    Examples
    --------
    >>> export_network("net.anthropo", "net.onnx", calibrate="photos")
    Traceback (most recent call last):
    anthropo.errors.InputError: calibrate is for int8=True. Pass both, or none of them.
    """
    if calibrate and not int8:
        raise InputError(
            f"{parameter('calibrate')} is for {parameter('int8', True)}. Pass both, or none of them."
        )
    from anthropo.networks.export import export, require_onnx
    from anthropo.networks.network import Network

    require_onnx()
    loaded = Network.load(network)
    loaded.manifest.require_permitted(network)
    photos = calibration(loaded, calibrate, reading or PhotoReading()) if calibrate else None
    return export(loaded, Path(output), int8=int8, photos=photos, source=file_sha256(network))


def calibration(network: Network, place: str | os.PathLike[str], reading: PhotoReading) -> NDArray[np.uint8]:
    """Pictures of some photos of a folder, pattern or table."""
    from anthropo.networks.bench import calibration_photos

    settings = settings_for(reading, network.manifest.settings)
    paths = [item.path for item in collect([os.fspath(place)])]
    return calibration_photos(network, paths, settings, jobs=reading.jobs, runner=reading.runner)
