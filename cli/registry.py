"""anthropo registry"""

from __future__ import annotations

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_NONE, fail, in_one_sentence, place_to_write
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.measurement.registry import registry
from anthropo.plain import say


@click.command(cls=Sectioned)
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@options.output_option(
    "FILE", "Write a page with a drawing of each (.html), or the table that is shown (.csv)."
)
@click.option(
    "--find", metavar="TEXT", help="List only measurements with this text in their id, name or expression."
)
@click.option("--photo", metavar="PHOTO", help="Try them on this photo.  [default: the example photo]")
@options.permissive_option
def command(tables: tuple[str, ...], output: str | None, find: str | None, photo: str | None) -> None:
    """List all measurements; or check, try and draw those of your own in TABLE.

    TABLE (.csv, .tsv, .xlsx) has a row for each measurement, and the columns id, name, kind, unit and
    expression; docs/own-measurements.md has the others. Whatever the other commands would refuse is refused
    here. Each measurement is tried on a photo and shown with its interval, beside the mean and spread in
    adults, so that you can see whether the expression does what you meant.

    What the table leaves out is filled in: for example, which checks of the photo gate void a measurement
    follows from its landmarks. Pass the table to other commands with --registry TABLE. A model that was
    trained with it contains these measurements and does not need the table again.

    \b
    Exit code: 0; 1 nothing found; 2 a row that cannot be used.

    \b
    Examples:
      anthropo registry --find philtrum
      anthropo registry mine.csv
      anthropo registry mine.csv --photo portrait.jpg -o mine.html
      anthropo measure portrait.jpg --registry mine.csv
    """
    with in_one_sentence("nothing is written."):
        if not tables:
            _list(output, find, photo)
            return
        if find is not None:
            raise InputError("--find is for the list of all measurements. Leave it, or the table, out.")
        path = place_to_write(output, (".html", ".csv"), tables) if output else None
        from anthropo.files import write
        from anthropo.report.registry import print_checked, registry_page
        from anthropo.report.rendering import as_csv
        from anthropo.workflows.own_measurements import check_registry

        checked = check_registry(*tables, photo=photo)
        if not path:
            print_checked(checked)
            return
        write(path, registry_page(checked) if path.suffix.lower() == ".html" else as_csv(checked.to_frame()))
        n = len(checked.measurements)
        say(f"{path}: {n} measurement{'s' if n > 1 else ''}. Use with --registry {tables[0]}.", err=True)


def _list(output: str | None, find: str | None, photo: str | None) -> None:
    for option, given in (("-o", output), ("--photo", photo)):
        if given is not None:
            raise InputError(f"{option} is about measurements of your own: name their table as well.")
    from anthropo.report.registry import print_registry

    text = (find or "").casefold()
    entries = [
        entry
        for entry in registry().values()
        if any(text in words.casefold() for words in (entry.id, entry.name, entry.expression, entry.region))
    ]
    if not entries:
        fail(f"--find {find}: no measurement has this in its id, name or expression.", EXIT_NONE)
    print_registry(entries)
