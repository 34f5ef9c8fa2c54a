"""anthropo reference"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_INTERRUPTED,
    EXIT_NONE,
    EXIT_SOME,
    EXIT_USAGE,
    fail,
    place_to_write,
    progress,
    terminate_like_ctrl_c,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import SectionedGroup
from anthropo.errors import AnthropoError, InputError
from anthropo.plain import say, together
from anthropo.reference.adapting import LEAST
from anthropo.reference.build import MIN_PEOPLE
from anthropo.reference.person import parse_age
from anthropo.reference.shipped import REFERENCE_OF_ALL_AGES, STUDIO_REFERENCE, shipped_references
from anthropo.reference.suited import references_for
from anthropo.reference.tables import SEXES, Reference, ReferenceRow, load_reference
from anthropo.workflows import reference as workflow

#: Ages in years at which curves are shown unless one is asked for.
_ASKED = (1.0, 5.0, 10.0, 20.0, 40.0, 60.0)


@click.group(cls=SectionedGroup)
def command() -> None:
    """Reference tables for z-scores: what healthy people of a sex and age measure.

    \b
      anthropo reference list                        the tables that come with anthropo
      anthropo reference list --age 31               those that have rows for an age
      anthropo reference list niosh-adults           one table's rows
      anthropo reference build controls.csv -o ref.csv
      anthropo reference build controls.csv -o ref.csv --by age
    """


@command.command("list", short_help="List the tables, or one table's rows.")
@click.argument("reference", metavar="[NAME|FILE]", required=False)
@options.age_option("only rows for this age")
@options.registry_option
@options.permissive_option
def list_(reference: str | None, age: str | None) -> None:
    """List the tables that come with anthropo; with NAME or FILE, that table's rows.

    \b
    Exit code: 0 something is listed, 1 nothing is for this age, 2 wrong use.

    \b
    Examples:
      anthropo reference list
      anthropo reference list --age 18m
      anthropo reference list niosh-adults
    """
    try:
        years = None if age is None else parse_age(age)
        if reference is not None:
            table = load_reference(reference)
            shown = _rows(table) if years is None else table.at_age(years)
            if not shown:
                fail(f"{table.name} has nothing for age {years:g}: {table.ages}.", EXIT_NONE)
            _show_rows(table, shown)
            return
        names = list(shipped_references() if years is None else references_for(years))
        if not names:
            fail(f"No table that comes with anthropo is for age {years:g}.", EXIT_NONE)
        for name in names:
            table = load_reference(name)
            _show_summary(table, _rows(table) if years is None else table.at_age(years))
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)


def _rows(table: Reference) -> Sequence[ReferenceRow]:
    """All rows of bands of age, and those of curves at some ages."""
    at_some = [row for age in _ASKED for row in table.at_age(age)] if table.of_curves else []
    return at_some or table.rows


def _show_summary(table: Reference, rows: Sequence[ReferenceRow]) -> None:
    measurements = list(dict.fromkeys(row.measurement for row in rows))
    people = []
    for sex in SEXES:
        n = sorted({row.n for row in rows if row.sex == sex})
        people += [f"{sex} {n[0]}" + (f" to {n[-1]}" if len(n) > 1 else "")] if n else []
    chosen = table.name in (STUDIO_REFERENCE, REFERENCE_OF_ALL_AGES)
    say(table.name + (" (default, where it suits the person best)" if chosen else ""))
    _line("measurements", f"{len(measurements)}: {', '.join(measurements)}")
    _line("people", ", ".join(people) + (" (effective, of one age)" if table.of_curves else ""))
    _line("ages", table.ages)
    if table.groups:
        _line("ancestry", f"{', '.join(table.groups)}, or unknown: all of them mixed")
    _line("grade", _distinct(row.grade for row in rows))
    _line("unit", _distinct(row.unit for row in rows))
    _line("source", _distinct((row.source for row in rows), "; "))


def _line(key: str, text: str) -> None:
    say(
        textwrap.fill(
            text, 110, initial_indent=f"  {key:<14}", subsequent_indent=" " * 16, break_on_hyphens=False
        )
    )


def _distinct(texts: Iterable[str], separator: str = ", ") -> str:
    return separator.join(dict.fromkeys(texts))


def _show_rows(reference: Reference, shown: Sequence[ReferenceRow]) -> None:
    from anthropo.report.rendering import print_table

    left, numbers = ("unit", "sex", "ages", "grade"), ("n", "mean", "SD", "error SD")
    rows = [
        (
            row.measurement, row.unit, row.sex, _age(row), str(row.n),
            f"{row.mean:.4g}", f"{row.sd:.3g}", f"{row.error_sd:.3g}", row.grade,
        )
        for row in shown
    ]  # fmt: skip
    print_table(("measurement", *left[:3], *numbers, "grade"), rows, left=left)
    if reference.of_curves and len({row.age_lo for row in shown}) > 1:
        _line("curves", f"at some ages of {reference.ages}, all ancestries mixed; --age shows another")
    _line("file", str(reference.path))
    _line("sha256", reference.sha256)
    _line("instrument", _distinct(reference.instruments, "; "))
    _line("source", _distinct((row.source for row in shown), "; "))


def _age(row: ReferenceRow) -> str:
    return f"{row.age_lo:g} to {row.age_hi:g}" if row.age_hi > row.age_lo else f"{row.age_lo:g}"


@command.command("build", short_help="Make a table from your own controls.")
@click.argument("controls", metavar="CONTROLS.csv")
@options.output_option("FILE.csv", "Write the reference table to this file.", required=True)
@click.option(
    "--age-bands", metavar="BANDS", help="Such as 0-2,3-5,18-60.  [default: one band, the ages present]"
)
@click.option(
    "--min-n",
    "min_people",
    type=click.IntRange(min=10),
    default=MIN_PEOPLE,
    help="Refuse a band or measurement with fewer people.",
)
@click.option(
    "--by",
    type=click.Choice(["sex", "both", "age"]),
    default="sex",
    help="Bands for each sex, or for both together; or curves over age for each sex.",
)
@click.option(
    "--source", metavar="TEXT", help="Who was measured; shown with every score.  [default: CONTROLS.csv]"
)
@options.one_of_faces_option
@options.fine_option
@options.jitter_option
@options.landmarks_option
@options.scale_option
@options.distance_option
@options.face_model_options
@options.limits_options
@options.jobs_option
@options.cluster_options
@options.registry_option
@options.permissive_option
@passed_as("request", workflow.BuildRequest)
def build(controls: str, output: str, request: workflow.BuildRequest) -> None:
    """Make a reference table from healthy controls, measured by anthropo itself.

    CONTROLS.csv lists photos in the columns `photo`, `sex` and `age`; photos of one person
    share a name in the column `patient` and count once. Or it is the table that `anthropo measure
    controls.csv -o faces.csv` wrote, with these columns: then nothing is measured again.

    Ages are years (8, 8.5), months (18m) or shorter (3w, 10d). A band's ends are included: 3-5 lasts
    until the sixth birthday. Mean and SD are robust: a few wrong photos do not move them.

    With `--by age` the table has curves over age in place of bands. A measurement that 200 people or more
    have gets its own curve. With 5 to 199 people, the curve of web-all-ages is shifted and scaled to fit your
    controls, as far as so few can show. Groups of a column `ancestry` are kept apart if they are large
    enough.

    \b
    Exit code: 0 all used, 1 no band has enough people (nothing is written), 2 wrong use, 3 some
    photos, people or bands were left out (each named on stderr), 130 interrupted.

    \b
    Examples:
      anthropo reference build controls.csv -o ref.csv
      anthropo reference build controls.csv -o ref.csv --face largest --age-bands 3-5,6-11,12-17
      anthropo reference build faces.csv -o ref.csv --by age
    """
    terminate_like_ctrl_c()
    try:
        path = _place(output, controls)
        built = workflow.build(controls, request, progress=progress)
        for sentence in (*together(built.left_out), *built.notes):
            say(sentence, err=True)
        if built.is_empty:
            where, least = "sex and age band has", request.min_people
            if request.by == "age":
                where, least = "measurement has", LEAST
            few = f"no {where} {least} people with a measured photo"
            out = f" {len(built.left_out)} were left out, for the reasons above." if built.left_out else ""
            fail(f"{controls}: {few}; {output} is not written.{out}", EXIT_NONE)
        built.write(path)
        say(f"{output}: {built.sentence()}. Use it with --reference {output}.", err=True)
        if built.left_out:
            sys.exit(EXIT_SOME)
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        fail(
            f"interrupted, {output} is not written. To keep finished photos, run `anthropo measure "
            f"{controls} -o faces.csv` and build from faces.csv.",
            EXIT_INTERRUPTED,
        )


def _place(output: str, controls: str) -> Path:
    """Where to write, refused before hours of measuring, not after."""
    if not output.lower().endswith(".csv"):
        raise InputError(f"{output}: a reference table is a CSV. Use a name that ends in .csv.")
    return place_to_write(output, inputs=(controls,))
