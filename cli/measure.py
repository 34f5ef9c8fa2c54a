"""anthropo measure"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from anthropo.batch.inputs import Item, collect
from anthropo.batch.records import MeasuredRecord
from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_INTERRUPTED,
    EXIT_NONE,
    EXIT_SOME,
    EXIT_USAGE,
    MOST_FAILURES,
    fail,
    figures_folder,
    place_to_write,
    progress,
    show_first,
    show_gate,
    terminate_like_ctrl_c,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import Sectioned
from anthropo.errors import AnthropoError, InputError
from anthropo.measurement.registry import NEEDS_MM
from anthropo.plain import say, together
from anthropo.report.tables import print_face, print_overview, print_person
from anthropo.settings import Settings
from anthropo.workflows.measuring import MeasuredPhotos, measure_items

# What writes tables, pools people and reads records back is imported where it is asked for: one photo on a
# terminal needs none of it, and a tenth of its time would go there.

if TYPE_CHECKING:
    from anthropo.batch.output import Output
    from anthropo.batch.patients import PeopleTable
    from anthropo.batch.run import Beside
    from anthropo.measurement.landmark_file import Corrections
    from anthropo.parallel import Runner
    from anthropo.report.face_figures import FaceFigures
    from anthropo.report.measure import Page


_MANY_ON_A_PAGE = 1000  # photos; of each the page has a picture
# what a note misses, and the options and columns that give it
_GIVES = {
    NEEDS_MM: "Millimetres: --scale, or a column `scale`",
    "the sex is missing and": "Sex: --sex, or a column `sex`",
    "the age is missing and": "Age: --age, or a column `age`",
}


@click.command(cls=Sectioned)
@options.photos_argument
@options.output_option(
    "FILE",
    "Write a table: .csv, .parquet (FILE.parquet/ with a slash: a folder of parts, for very many photos), "
    ".json (with landmarks), or .html (a report to read: what lies beyond 2 SD, a plot of the z-scores, "
    "tables; written again each time). A second run adds to a table only what is new, changed or failed; "
    "rows of other photos stay.",
)
@options.raw_option
@click.option(
    "--overlay", metavar="FOLDER", help="Write each photo with its landmarks and measured lines to FOLDER."
)
@options.figures_option
@click.option(
    "--save-landmarks",
    metavar="FILE.json|FOLDER",
    help="Write the landmarks to a file that can be corrected by hand; for several photos, to a folder.",
)
@options.photo_options
@options.per_person_option(" Beside -o people.csv, people.photos.json keeps the photos.")
@options.flag(
    "--long",
    "Write -o FILE.csv or .parquet in long form: a row for each measurement, with its value, intervals, "
    "unit, z, reference, status and reason. Beside -o long.csv, long.photos.json keeps the photos.",
)
@options.scale_option
@options.references_option(" Disagreement is then shown.")
@options.sex_option()
@options.age_option()
@options.gestation_option()
@options.ancestry_option()
@options.flag("--force", "Keep values that the photo gate voids; the reason stays with them.")
@options.fine_option
@options.jitter_option
@options.flag("--texture", "Local binary patterns around the landmarks as well (columns lbp_*).")
@options.registry_option
@options.permissive_option
@passed_as("settings", Settings)
def command(
    photos: tuple[str, ...],
    settings: Settings,
    output: str | None,
    overlay: str | None,
    figures: str | None,
    save_landmarks: str | None,
    landmarks: str | None,
    patient: bool,
    long: bool,
    jobs: int,
    runner: Runner | None,
) -> None:
    """Measure the face of each PHOTO: lengths, angles, ratios, areas, asymmetry, colour.

    PHOTO is a file, a folder (searched throughout), a pattern such as 'p*.jpg', or a table (.csv, .tsv,
    .xlsx) with a column `photo` (paths relative to the table; other columns are passed through). Videos
    (.mp4, .mov, .mkv, .webm, .avi, ...) are measured frame by frame where they are named, and count as one
    photo; in folders they are passed over.

    Lengths are fractions of the outer-canthal distance (unit ex-ex), so that no scale is needed; R and L are
    the subject's right and left. [lo, hi] is the 95 % interval of accuracy, against measuring by hand: error
    of the landmarks, of the head's pose, of the camera's distance and of the scale. repeat_sd is the
    repeatability: the SD between photos of the same person. The interval of a z-score is made from
    repeatability where anthropo measured the people of the reference too, and from accuracy where they were
    measured with callipers. The photo gate checks pose, expression, glasses, sharpness, exposure, size and
    the camera's distance. It voids the measurements that a failed check would spoil: they have a reason in
    place of a value.

    --save-landmarks writes where the landmarks were found, a line each. Move a point there by hand and pass
    the file to --landmarks: pose, gate and measurements are computed again from it, and the table lists what
    was moved.

    With sex and age, from the options or from columns of these names, every measurement is compared with
    healthy people: its z-score, the reference's name and its grade. A healthy person has some scores beyond 2
    SD by chance; every table of z-scores says how many to expect. If a reference has groups of ancestry,
    state the person's with --ancestry or a column `ancestry`. The columns `born` and `taken` (dates of birth
    and of the photo) may be given in place of `age`. The output then holds the age to the day and neither
    date.

    \b
    Exit code: 0 all photos measured, 1 none, 2 wrong use, 3 some failed (each with its reason in
    the table), 130 interrupted (finished photos are kept; run again to continue).

    \b
    Examples:
      anthropo measure portrait.jpg
      anthropo measure photos/ -o faces.csv -j 8
      anthropo measure cohort.csv -o faces.parquet --face largest
      anthropo measure portrait.jpg -o portrait.html --sex female --age 31
      anthropo measure portrait.jpg --scale sticker=20 --reference niosh-adults --reference frl-adults
      anthropo measure cohort.csv --patient -o people.csv
      anthropo measure cohort.csv --long -o long.csv
      anthropo measure clip.mp4 --face largest
      anthropo measure portrait.jpg --save-landmarks portrait.json
      anthropo measure portrait.jpg --landmarks portrait.json
    """
    terminate_like_ctrl_c()
    try:
        items = collect(photos)
        settings.fingerprint()  # what cannot be used is one error, not one per photo
        if landmarks:
            settings = replace(settings, corrections=_corrections(landmarks, save_landmarks, items))
        beside = _beside(overlay, save_landmarks, items, settings)
        drawn = _figures(figures, settings, patient)
        beside += [drawn] if drawn else []
        if patient and settings.face == "all":
            raise InputError("--patient with --face all: one face of each photo is needed. Use largest.")
        if patient:
            from anthropo.batch.patients import patients

            patients(items)  # refuses what contradicts itself before anything is measured
        page = _page(output, settings, len(items)) if output else None
        if long and not output:
            raise InputError("--long is a table: name it with -o FILE.csv or FILE.parquet.")
        places = _Places.of(output, settings, patient, long, page is not None)
        place, table = places.photos, places.table
        measured = measure_items(
            items, settings, jobs=jobs, runner=runner, table=table, people=patient, progress=progress,
            beside=[*filter(None, [page]), *beside],
        )  # fmt: skip
        if drawn and measured.people:
            drawn.people(measured.people)
        if page:
            page.write(measured.people or measured.listed)
        elif place and not measured.interrupted:
            _write_beside(measured, place, places)
        elif not place:
            _show(measured, patient)
        sys.exit(_tell(measured, place, page is not None))
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        fail("interrupted before the first photo.", EXIT_INTERRUPTED)


class _Places(NamedTuple):
    """Where results are written."""

    photos: Path | None = None  # the table of photos, or the page
    table: Output | None = None
    tidy: Path | None = None  # the table in long form
    people: PeopleTable | None = None

    @classmethod
    def of(cls, output: str | None, settings: Settings, patient: bool, long: bool, page: bool) -> _Places:
        if output is None or page:
            return cls(Path(output) if output else None)
        from anthropo.batch.output import Output

        if not (patient or long):
            return cls(Path(output), Output(output, settings))
        from anthropo.batch.long import long_path
        from anthropo.batch.patients import PeopleTable, photos_table

        tidy, photos = long_path(output) if long else None, photos_table(output)
        people = PeopleTable(output) if not long else None
        return cls(photos, Output(str(photos), settings), tidy, people)


def _write_beside(measured: MeasuredPhotos, place: Path, places: _Places) -> None:
    """What is made of the photos' table: the long form, or the table of people."""
    if places.tidy:
        from anthropo.batch.long import write_long
        from anthropo.batch.reading import records_of

        write_long(places.tidy, measured.people or records_of(place))
        say(f"{places.tidy}: written in long form; {place} keeps the photos.", err=True)
    elif places.people:
        of = f"{places.people.write(measured.people)} of {len(measured.people)}"
        say(f"{places.people.path}: {of} people measured.", err=True)


def _page(output: str, settings: Settings, photos: int) -> Page | None:
    if not output.lower().endswith(".html"):
        return None
    if photos > _MANY_ON_A_PAGE:
        say(
            f"{output}: a page of {photos:,} photos is slow to open, and kept in memory until it is written. "
            "A table (.csv, .parquet) has room for them.",
            err=True,
        )
    from anthropo.report.measure import Page  # draws, which costs time to import

    return Page(Path(output), settings)


def _corrections(landmarks: str, save_landmarks: str | None, items: Sequence[Item]) -> Corrections:
    if save_landmarks:  # unclear which of both is meant
        raise InputError(
            "--save-landmarks with --landmarks: the corrected file is there already. Leave one of them out."
        )
    from anthropo.measurement.landmark_file import Corrections

    return Corrections(landmarks, list(dict.fromkeys(item.path for item in items)))


def _beside(
    overlay: str | None, save_landmarks: str | None, items: list[Item], settings: Settings
) -> list[Beside]:
    """What is written beside the table."""
    beside: list[Beside] = []
    if overlay:
        from anthropo.report.figures import Overlays

        beside.append(Overlays(overlay))
    if save_landmarks:
        from anthropo.batch.beside import LandmarkFiles

        files = LandmarkFiles(save_landmarks, items, settings)
        if files.single:
            place_to_write(save_landmarks)
        beside.append(files)
    return beside


def _figures(folder: str | None, settings: Settings, patient: bool) -> FaceFigures | None:
    if folder is None:
        return None
    from anthropo.report.face_figures import FaceFigures

    figures_folder(folder)
    return FaceFigures(folder, settings, pooled=patient)


def _tell(measured: MeasuredPhotos, place: Path | None, page: bool) -> int:
    """What became of the photos, on stderr; the exit code. A page names every photo that failed."""
    most = MOST_FAILURES if place and not page else None
    show_first(together(measured.remarks), "more such remarks; the table has them all", most)
    _show_notes(measured.notes, "more such notes; the table has them all", most)
    show_first(measured.reasons, "more photos failed; the table has every reason", most)
    if measured.total > 1 and not measured.interrupted:
        show_gate(measured.gate)
    failures, total = len(measured.reasons), measured.total
    if measured.interrupted and not page:
        kept = f" and kept in {place}. Run the same command to continue" if place else ""
        say(f"Interrupted: {measured.finished} of {total} photos finished{kept}.", err=True)
    elif place:
        extra = f", {measured.earlier} of them by an earlier run" if measured.earlier and not page else ""
        failed = f", {failures} failed" if failures and not page else ""
        good = measured.finished - failures
        say(f"{place}: {good} of {total} photos measured{extra}{failed}.", err=True)
    if measured.interrupted:
        return EXIT_INTERRUPTED
    if not failures:
        return EXIT_SOME if measured.notes else 0
    return EXIT_SOME if total > failures else EXIT_NONE


def _show_notes(notes: Sequence[str], more: str, most: int | None) -> None:
    """Notes on photos, which the table holds, and the options that give what they miss."""
    show_first(notes, more, most)
    for missing, how in _GIVES.items():
        if any(missing in note for note in notes):
            say(f"{how}.", err=True)


def _show(measured: MeasuredPhotos, patient: bool) -> None:
    """Results without an output file: one face or person as a table to read, many as CSV for a pipe."""
    records = measured.listed
    if patient and len(measured.people) == 1:
        for person in measured.people:
            if person.ok:
                print_person(person)
    elif patient:
        if measured.people:
            _say_as_csv(measured.people)
    elif len(measured.items) == 1:
        for record in records:
            if record.ok:
                print_face(record)
    elif sys.stdout.isatty():
        print_overview(records)
    elif records:
        _say_as_csv(records)


def _say_as_csv(records: Sequence[MeasuredRecord]) -> None:
    from anthropo.batch.output import as_csv

    say(as_csv(records), nl=False)
