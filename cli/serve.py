"""anthropo serve"""

from __future__ import annotations

import click

from anthropo.cli import options
from anthropo.cli.common import in_one_sentence
from anthropo.cli.sections import Sectioned
from anthropo.plain import say


@click.command(cls=Sectioned)
@click.argument("folder", metavar="[FOLDER]", required=False)
@click.option(
    "--model",
    "models",
    metavar="MODEL",
    multiple=True,
    help="A model to use, besides those in FOLDER; may be repeated.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8765, help="0: any that is free.")
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to listen on. Any other than the default lets other machines reach the page: they need its "
    "token, and the connection is not encrypted.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@options.flag("--read-only", "Show the folder without changing anything, for a demonstration.")
@options.registry_option
@options.permissive_option
def command(
    folder: str | None, models: tuple[str, ...], port: int, host: str, browser: bool, read_only: bool
) -> None:
    """Measure, correct and report in the browser. Nothing leaves this machine.

    Drop photos on the page, drag landmarks, and watch every length, angle and z-score follow. Photos and
    results are kept in FOLDER (by default, a folder in your account), as files that the other commands can
    read:

    \b
      cohort.csv           sex, age and other things that are known of each photo's person
      photos/              photos that were dropped on the page, unchanged; others are read where they lie
      landmarks/           points that were moved by hand
      reports/             reports that were kept

    The address that is printed contains a random token, without which nobody gets in. Ctrl-C stops the
    server. Every change is saved at once, so the next start continues where you stopped.

    \b
    Exit code: 0 ended by Ctrl-C; 2 wrong use, or the port is in use.

    \b
    Examples:
      anthropo serve
      anthropo serve photos/ --model m.anthropo --port 9000
      anthropo traits photos/cohort.csv --landmarks photos/landmarks -o traits.csv   # as the page has them
    """
    with in_one_sentence("what was changed on the page is written."):
        from anthropo.workbench import serve

        bench = serve(folder, host=host, port=port, browser=browser, read_only=read_only, models=models)
        if not bench.is_local:
            say(
                f"warning: other machines reach this page under {host}. Whoever has the address below can "
                "see and change the photos; nothing is encrypted on the way.",
                fg="yellow",
                err=True,
            )
        say(f"Working in {bench.folder}")
        say(f"Open {bench.address}")
        say("Ctrl-C ends it.", err=True)
        bench.run()
