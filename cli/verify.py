"""anthropo verify"""

from __future__ import annotations

import sys

import click

from anthropo.cli.common import EXIT_NONE, in_one_sentence
from anthropo.plain import say
from anthropo.workflows.manifest import TOLERANCE, verify

_SHOWN = 20  # differences


@click.command(short_help="Make a run again from its manifest, and say what differs.")
@click.argument("manifest", metavar="OUTPUT.run.json")
def command(manifest: str) -> None:
    """Check that what a run read is as it was, make it again and compare.

    Every command that writes an output writes OUTPUT.run.json beside it: the command, all settings, versions,
    the processor, and SHA-256 of what was read and written. The command runs again in the same folder and
    writes to a temporary one; nothing is overwritten. On the same machine with the same versions the result
    must be the same bit for bit; elsewhere numbers may differ by 1e-4 of their size.

    \b
    Exit code: 0 the same, 1 something differs or has changed, 2 no manifest, or the command fails now.

    \b
    Examples:
      anthropo measure photos/ -o faces.csv
      anthropo verify faces.csv.run.json
    """
    with in_one_sentence("nothing was changed."):
        made = verify(manifest)
        for sentence in made.elsewhere:
            say(f"elsewhere: {sentence}")
        for sentence in made.changed:
            say(f"changed: {sentence}")
        worst = sorted(made.differences, key=lambda one: -one.size)
        for one in worst[:_SHOWN]:
            where = f"{one.file}, {one.place or 'as a whole'}"
            say(f"differs: {where}: {one.before[:60]} then, {one.now[:60]} now ({one.size:.1g})")
        if len(worst) > _SHOWN:
            say(f"… and {len(worst) - _SHOWN} smaller differences.")
        if made.changed:
            say("Not made again: what it read or wrote has changed.", bold=True)
        elif made.same and not worst:
            say("The same.", bold=True)
        elif made.same:
            say(f"The same within {TOLERANCE:g}, on another machine or with other versions.", bold=True)
        else:
            say("Not the same.", bold=True)
        sys.exit(0 if made.same else EXIT_NONE)
