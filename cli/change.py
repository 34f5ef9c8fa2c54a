"""anthropo change"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from anthropo.cli import options
from anthropo.cli.common import EXIT_SOME, draw_to, figures_folder, in_one_sentence, place_to_write, progress
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.tables import is_table
from anthropo.workflows.change import ChangeRequest, ChangeResult, change
from anthropo.workflows.change_cohort import CohortChange, change_cohort


@click.command(cls=Sectioned)
@click.argument("photos", metavar="BEFORE AFTER | COHORT", nargs=-1, required=True)
@options.output_option(
    "FILE",
    "Write .html (a page with both faces), .csv (a row per measurement; of a cohort per patient and "
    "measurement, and FILE.tests.csv) or .json.",
)
@options.figures_option
@options.raw_option
@options.flag("--all", "Also show differences that are within error.", parameter="everything")
@click.option(
    "--before", metavar="STATE", help="For a cohort: the earlier state, as written in the column `state`."
)
@click.option(
    "--after", metavar="STATE", help="The later state. If there are only two, it need not be given."
)
@options.flag(
    "--appearance",
    "Compare colours and texture as well. Only for photos taken in the same light with the same camera.",
)
@options.sex_option()
@options.age_option("on the photos of BEFORE, and of AFTER if --age-after is left out")
@click.option("--age-after", metavar="AGE", help="The age on the photos of AFTER.")
@options.gestation_option()
@options.ancestry_option()
@options.references_option()
@options.distance_option
@options.registry_option
@options.one_face_options
@passed_as("request", ChangeRequest)
def command(
    photos: tuple[str, ...],
    output: str | None,
    figures: str | None,
    everything: bool,
    request: ChangeRequest,
) -> None:
    """Find what changed in a person between two states, beyond error.

    BEFORE and AFTER are photos of one person: a file, a folder or a pattern (in quotes) each; several photos
    of a state are pooled and narrow the error. COHORT is a table (.csv, .tsv, .xlsx) with the columns
    `photo`, `patient`, and `state` (well, ill …) or `taken` (the date; the first day is compared with the
    last).

    Two errors are kept apart. A measurement has changed if two photos of one state would hardly ever differ
    so much (that error includes the small expressions nobody intends). It has moved if the difference is more
    than a still face would show, but two photos of one state might differ as much; several photos of each
    state settle it. Bones and canthi do not move, so they can only change. Every comparison counts as a test;
    q is the false discovery rate, and at most 0.05 is accepted.

    What the photo gate voids because of a smile, an open mouth or closed lids is compared all the same, since
    that may be the change. A turned head widens the error. What is blurred, small, hidden or behind glasses
    is left out.

    \b
    Exit code: 0 done, 2 wrong use or a photo that cannot be measured, 3 some photos or patients left out
    (each with its reason), 130 interrupted (nothing is written).

    \b
    Examples:
      anthropo change before.jpg after.jpg
      anthropo change before.jpg after.jpg -o change.html
      anthropo change "well/*.jpg" "ill/*.jpg" --sex female --age 31 -o change.json
      anthropo change cohort.csv --before well --after ill -o changes.html
      anthropo change visits.csv -o changes.csv

    \b
    The first prints, of a neutral and a smiling face (lines left out):
      before.jpg → after.jpg
      Nose (1 of 14) and mouth (7 of 28) changed. Lids (9 of 11) and face (1 of 11) moved.
      measurement                       before  after  difference     95 % interval  unit         q
      changed
        Mouth width                      0.523  0.643      +0.119  +0.066 to +0.173  ex-ex    0.019
        Commissure excursion, right      0.262  0.358      +0.096  +0.055 to +0.137  ex-ex    0.019
      moved
        Palpebral aperture area, right  0.0227 0.0199     −0.0027  −0.0034 to −0.0021  ex-ex² < 0.001
        Intercanthal-nasal index          99.8   94.1        −5.7   −7.3 to −4.2      %     < 0.001
      61 within error.
      photo gate, after: smile 0.493 (limit 0.41)
    """
    from anthropo.report.change import SUFFIXES, print_change, print_cohort, write_change
    from anthropo.report.figure_files import figures_of

    with in_one_sentence("nothing is written."):
        tables = [name for name in photos if is_table(name)]
        if len(photos) != (1 if tables else 2):
            raise InputError(_wrong(photos, tables))
        path = place_to_write(output, SUFFIXES, photos) if output else None
        folder = figures_folder(figures)
        result: ChangeResult | CohortChange
        if tables:
            result = change_cohort(photos[0], request, progress=progress)
            left_out = bool(result.left_out) or any(person.left_out for person in result.people)
        else:
            for name in ("before", "after"):
                if getattr(request, name):
                    raise InputError(
                        f"--{name} names a state of a cohort; two photos have none. Leave it out."
                    )
            result = change(photos[0], photos[1], request, progress=progress)
            left_out = bool(result.left_out)
        written = write_change(result, path) if path else []
        draw_to(folder, lambda: figures_of(result))
        if isinstance(result, CohortChange):
            print_cohort(result, everything)
        else:
            print_change(result, everything)
        for file in written:
            say(f"{file}: written.", err=True)
        sys.exit(EXIT_SOME if left_out else 0)


def _wrong(photos: Sequence[str], tables: Sequence[str]) -> str:
    if tables:
        return f"{tables[0]}: a table has both states of each patient. Give it alone, or two photos."
    given = "one photo is" if len(photos) == 1 else f"{len(photos)} photos are"
    return (
        f"{given} given, and two states are compared. Give BEFORE and AFTER; several photos of a state as a "
        'folder or pattern in quotes ("ill/*.jpg"); or a table.'
    )
