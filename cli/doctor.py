"""anthropo doctor"""

from __future__ import annotations

import sys

import click

from anthropo.cli.common import EXIT_NONE
from anthropo.plain import say
from anthropo.report.installation import print_installation
from anthropo.workflows.installation import doctor


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(as_json: bool) -> None:
    """Check the installation: versions, licences, weights, cache, extras, and a photo.

    Below whatever is broken or missing stands the command that mends it. The example photo, which comes with
    scikit-image, is measured and compared with what it should give. Nothing is downloaded, changed or sent.
    Home folders are shortened to ~ and names of users left out, so that you can paste the output into a
    report of a problem.

    \b
    Exit code: 0 everything that anthropo needs works (extras may be absent), 1 something is broken.

    \b
    Examples:
      anthropo doctor
      anthropo doctor --json > doctor.json
    """
    installation = doctor()
    if as_json:
        say(installation.to_json())
    else:
        print_installation(installation)
    sys.exit(0 if installation.whole else EXIT_NONE)
