"""anthropo reference"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import click

from anthropo.batch.inputs import Item, read_photo_table
from anthropo.batch.records import values_of as measurements_of
from anthropo.batch.run import run
from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_INTERRUPTED,
    EXIT_NONE,
    EXIT_SOME,
    EXIT_USAGE,
    fail,
    progress,
    terminate_like_ctrl_c,
)
from anthropo.errors import AnthropoError, InputError
from anthropo.reference.build import (
    MIN_PEOPLE,
    MODEL_COLUMN,
    VERSION_COLUMN,
    By,
    Subject,
    Values,
    build_reference,
    instrument_name,
    one_instrument,
    parse_bands,
    require_columns,
    subject,
    values_of,
    values_of_row,
)
from anthropo.reference.tables import (
    DEFAULT_REFERENCE,
    SEXES,
    Reference,
    ages,
    load_reference,
    shipped_references,
    write_reference,
)
from anthropo.settings import Settings


@click.group(short_help="Reference tables: list them, make one from your own controls.")
def command() -> None:
    """Reference tables for z-scores: what healthy people of a sex and age measure.

    \b
      anthropo reference list                        the tables that come with anthropo
      anthropo reference list niosh-adults           one table's rows
      anthropo reference build controls.csv -o ref.csv
    """


# --------------------------------------------------------------------------------------- list


@command.command("list", short_help="List the tables, or one table's rows.")
@click.argument("reference", metavar="[NAME|FILE]", required=False)
def list_(reference: str | None) -> None:
    """List the tables that come with anthropo; with NAME or FILE, that table's rows."""
    try:
        if reference is not None:
            _show_rows(load_reference(reference))
            return
        for name in shipped_references():
            _show_summary(load_reference(name))
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)


def _show_summary(reference: Reference) -> None:
    rows = reference.rows
    measurements = list(dict.fromkeys(row.measurement for row in rows))
    people = []
    for sex in SEXES:
        n = sorted({row.n for row in rows if row.sex == sex})
        people += [f"{sex} {n[0]}" + (f" to {n[-1]}" if len(n) > 1 else "")] if n else []
    click.echo(reference.name + (" (default)" if reference.name == DEFAULT_REFERENCE else ""))
    _line("measurements", f"{len(measurements)}: {', '.join(measurements)}")
    _line("people", ", ".join(people))
    _line("ages", ages(rows))
    _line("grade", _distinct(row.grade for row in rows))
    _line("unit", _distinct(row.unit for row in rows))
    _line("source", _distinct((row.source for row in rows), "; "))


def _line(key: str, text: str) -> None:
    click.echo(textwrap.fill(text, 110, initial_indent=f"  {key:<14}", subsequent_indent=" " * 16))


def _distinct(texts: Iterable[str], separator: str = ", ") -> str:
    return separator.join(dict.fromkeys(texts))


def _show_rows(reference: Reference) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    numbers = ("n", "mean", "SD", "error SD")
    for column in ("measurement", "unit", "sex", "ages", *numbers, "grade"):
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in reference.rows:
        table.add_row(
            row.measurement, row.unit, row.sex, f"{row.age_lo:g} to {row.age_hi:g}", str(row.n),
            f"{row.mean:.4g}", f"{row.sd:.3g}", f"{row.error_sd:.3g}", row.grade,
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)
    _line("file", str(reference.path))
    _line("sha256", reference.sha256)
    _line("instrument", _distinct((row.instrument for row in reference.rows), "; "))
    _line("source", _distinct((row.source for row in reference.rows), "; "))


# -------------------------------------------------------------------------------------- build


@command.command("build", short_help="Make a table from your own controls.")
@click.argument("controls", metavar="CONTROLS.csv")
@click.option("-o", "--output", metavar="FILE.csv", required=True, help="The reference table to write.")
@click.option(
    "--age-bands", metavar="BANDS", help="Such as 0-2,3-5,18-60.  [default: one band, the ages present]"
)
@click.option(
    "--min-n",
    type=click.IntRange(min=10),
    default=MIN_PEOPLE,
    show_default=True,
    help="Refuse a band or measurement with fewer people.",
)
@click.option(
    "--by",
    type=click.Choice(["sex", "both"]),
    default="sex",
    show_default=True,
    help="Rows for each sex, or for both together.",
)
@click.option(
    "--source", metavar="TEXT", help="Who was measured; shown with every score.  [default: CONTROLS.csv]"
)
@options.jobs_option
@options.landmark_model_option
def build(
    controls: str,
    output: str,
    age_bands: str | None,
    min_n: int,
    by: By,
    source: str | None,
    jobs: int,
    landmark_model: str | None,
) -> None:
    """Make a reference table from healthy controls, measured by anthropo itself.

    CONTROLS.csv lists photographs in the columns `photo`, `sex` and `age`; photographs of one person
    share a name in the column `patient` and count once. Or it is the table that `anthropo measure
    controls.csv -o faces.csv` wrote, with these columns: then nothing is measured again.

    Ages are years (8, 8.5) or months (18m). A band's ends are included: 3-5 lasts until the sixth
    birthday. Mean and SD are robust: a few wrong photographs do not move them.

    \b
    Exit code: 0 all used, 1 no band has enough people (nothing is written), 2 wrong use, 3 some
    photographs, people or bands were left out (each named on stderr), 130 interrupted.
    """
    terminate_like_ctrl_c()
    try:
        sys.exit(_build(controls, Path(output), age_bands, min_n, by, source, jobs, landmark_model))
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        fail(
            f"interrupted, {output} is not written. To keep finished photos, run `anthropo measure "
            f"{controls} -o faces.csv` and build from faces.csv.",
            EXIT_INTERRUPTED,
        )


def _build(
    controls: str,
    output: Path,
    age_bands: str | None,
    min_people: int,
    by: By,
    source: str | None,
    jobs: int,
    landmark_model: str | None,
) -> int:
    _check_output(output, controls)
    bands = parse_bands(age_bands) if age_bands is not None else None
    items = read_photo_table(Path(controls))
    columns = list(items[0].columns)
    require_columns(controls, ["photo", *columns], by)
    if VERSION_COLUMN in columns and MODEL_COLUMN in columns:
        if landmark_model is not None:
            raise InputError(f"{controls} has been measured already: --landmark-model has nothing to do.")
        measured, left_out, instrument = _from_table(controls, items, by)
    else:
        measured, left_out, instrument = _from_photos(
            items, by, jobs, Settings(landmark_model=landmark_model)
        )
    built = build_reference(
        measured,
        bands=bands,
        min_people=min_people,
        source=source or f"healthy controls of {Path(controls).name}",
        instrument=instrument,
    )
    for sentence in (*left_out, *built.refused, *built.notes):
        click.echo(sentence, err=True)
    if not built.rows:
        click.echo(
            f"Error: {controls}: no sex and age band has {min_people} people with a measured photograph; "
            f"{output} is not written.",
            err=True,
        )
        return EXIT_NONE
    write_reference(output, built.rows)
    people = len({person.patient for person, _ in measured})
    kinds = len({row.measurement for row in built.rows})
    click.echo(
        f"{output}: {len(built.rows)} rows, {kinds} measurements, from {people} people. Use it with "
        f"--reference {output}.",
        err=True,
    )
    return EXIT_SOME if left_out or built.refused else 0


def _check_output(output: Path, controls: str) -> None:
    """Before hours of measuring, not after."""
    if output.suffix.lower() != ".csv":
        raise InputError(f"{output}: a reference table is a CSV. Use a name that ends in .csv.")
    if output.is_dir():
        raise InputError(f"{output}: a folder, not a file. Give the name of a file to write.")
    if not os.access(output.parent, os.W_OK):
        raise InputError(
            f"{output}: cannot be written. Choose a folder that exists and that you may write to."
        )
    if output.exists() and os.path.exists(controls) and os.path.samefile(output, controls):
        raise InputError(f"{output}: would overwrite the controls. Give another -o.")


_Measured = tuple[list[tuple[Subject, Values]], list[str], str]  # also who was left out; the instrument


def _from_table(controls: str, items: list[Item], by: By) -> _Measured:
    measured: list[tuple[Subject, Values]] = []
    left_out: list[str] = []
    # photos as the table names them: relative to where `measure` ran, not to the table
    folder = Path(controls).parent
    paths = [Path(item.path) for item in items]
    names = [str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in paths]
    rows = [{**item.columns, "photo": name} for item, name in zip(items, names, strict=True)]
    several = {row["photo"] for row in rows if row.get("face", "0") != "0"}
    for photo in sorted(several):
        left_out.append(f"{photo}: several faces in the table; left out. Measure it with --face largest.")
    for row in rows:
        if row["photo"] in several:
            continue
        if row["status"] != "ok":
            left_out.append(row.get("reason") or f"{row['photo']}: failed.")
            continue
        try:
            person = subject(row["photo"], row, by)
        except InputError as error:
            left_out.append(f"{error} Left out.")
            continue
        measured.append((person, values_of_row(controls, row)))
    return measured, left_out, one_instrument(controls, rows)


def _from_photos(items: list[Item], by: By, jobs: int, settings: Settings) -> _Measured:
    people: list[Subject] = []
    left_out: list[str] = []
    for item in items:
        try:
            people.append(subject(item.path, item.columns, by))
        except InputError as error:
            left_out.append(f"{error} Left out.")
    settings.fingerprint()  # a missing model is one error, not one per photo
    results: dict[str, Values] = {}
    failed: dict[str, str] = {}
    instrument = ""
    todo = [Item(path) for path in dict.fromkeys(person.photo for person in people)]
    with progress(len(todo)) as advance:
        for records in run(todo, settings, jobs):
            record = records[0]
            if record["status"] == "ok":
                made = record["diagnostics"]
                instrument = instrument_name(made["anthropo"], made["landmark_model"], made["fine_model"])
                results[record["photo"]] = values_of(measurements_of(record))
            else:
                failed[record["photo"]] = record["reason"]
            advance()
    left_out += [failed[item.path] for item in todo if item.path in failed]
    return [(p, results[p.photo]) for p in people if p.photo in results], left_out, instrument
