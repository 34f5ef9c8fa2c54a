"""anthropo traits"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anthropo.cli import options
from anthropo.cli.common import (
    EXIT_NONE,
    EXIT_SOME,
    FiniteRange,
    draw_to,
    figures_folder,
    in_one_sentence,
    place_to_write,
    progress,
)
from anthropo.cli.decorators import passed_as
from anthropo.cli.sections import Sectioned
from anthropo.errors import InputError
from anthropo.plain import say
from anthropo.reference.growth import CHARTS
from anthropo.reference.traits import CONFIDENCE
from anthropo.report.figure_files import figures_of
from anthropo.report.rendering import as_csv
from anthropo.report.traits import FindingsTarget, print_traits
from anthropo.workflows.trait_calling import Findings, TraitsRequest, call, prepare

if TYPE_CHECKING:
    from anthropo.parallel import Runner


@click.command(cls=Sectioned)
@options.photos_argument
@options.sex_option()
@options.age_option()
@options.gestation_option()
@options.ancestry_option()
@options.output_option(
    "FILE|FOLDER",
    "Write .html (a page to read), .csv (the table), .json (one person as a GA4GH phenopacket) or, of "
    "several people, a folder (FOLDER/) with a phenopacket each.",
)
@options.figures_option
@options.raw_option
@options.per_person_option()
@options.flag(
    "--one-page",
    "With -o FILE.html: a clinical report of each person on one page of A4, with the photo. What is unusual "
    "comes first, then growth, what could not be judged and why, and the methods in small print.",
)
@options.flag("--all", "Also list traits that are absent or not assessed.", parameter="everything")
@options.references_option(" A trait on which they disagree is borderline.", default=options.AUTOMATIC_CHOICE)
@click.option(
    "--rules",
    metavar="FILE.csv",
    help="Your rules instead of the packaged ones, a row for each term. Columns: hpo_id, label, "
    "measurement, rule, kind (objective or subjective), side (mid or each), such as: "
    "HP:0000154,Wide mouth,mouth_width,z > 2,objective,mid",
)
@click.option(
    "--confidence",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=CONFIDENCE,
    help="Of the interval of z that decides. Of 50 healthy adults, 3 have some trait called present at 0.95, "
    "6 at 0.8 and 18 at 0.3; of changes of 4 SD, 73, 86 and 95 % are found.",
)
@click.option("--head-circumference", type=float, metavar="CM", help="Head circumference in cm.")
@click.option("--height", type=float, metavar="CM", help="Height in cm; below two years length, lying.")
@click.option("--weight", type=float, metavar="KG", help="Weight in kg.")
@click.option(
    "--growth-reference",
    multiple=True,
    type=click.Choice(list(CHARTS)),
    default=["who"],
    help="Growth chart; may be repeated, the first that has the age is used: who (heads to 5 years, heights "
    "to 19, weights to 10), cdc (3, 20, 20), adults (heads from 17, heights from 20, to 59 years), uk-who "
    "(from 23 weeks of gestation; heads to 17 years in girls, 18 in boys, the rest to 20). A chart that ends "
    'says which one goes on. The last three need rcpchgrowth (AGPL): pip install "anthropo[growth]".',
)
@click.option(
    "--id", "identity", help="The person's name in a phenopacket.  [default: from the photo's hash]"
)
@options.scale_option
@options.photo_options
@options.fine_option
@options.jitter_option
@options.registry_option
@options.permissive_option
@passed_as("request", TraitsRequest)
def command(
    photos: tuple[str, ...],
    output: str | None,
    figures: str | None,
    everything: bool,
    identity: str | None,
    one_page: bool,
    jobs: int,
    runner: Runner | None,
    request: TraitsRequest,
) -> None:
    """Call traits of the Human Phenotype Ontology (HPO) from the face of each PHOTO.

    PHOTO is a file, a folder, a pattern or a table with a column `photo`, as for `anthropo measure`; a video
    counts as one photo. The columns `sex`, `age` (or the dates `born` and `taken`), `gestation`, `ancestry`,
    `head_circumference` (cm), `height` (cm) and `weight` (kg) are used.

    A trait whose HPO definition states a number is present if the whole 95 % interval (--confidence) of its
    z-score lies beyond the limit, and absent if none of it does. In between it is borderline if z itself is
    beyond the limit, and inconclusive if it is not. The interval holds the error of another photo and that of
    a small reference. Right and left are called separately. A trait whose measurement the photo gate voids,
    or the reference lacks, is not assessed. A measurement with poor repeatability never makes a trait by
    itself.

    Noses, lips and eyes differ between groups of ancestry by up to 1 SD. If ancestry is not stated, a trait
    that would be called in one group and not in another is left open (frl-adults has no groups). Terms that
    HPO leaves to the eye are never called; they are listed for a closer look where a measurement is unusual.

    \b
    Exit code: 0 all photos done, 1 none, 2 wrong use, 3 some failed or something that was asked for
    could not be provided (each with its reason), 130 interrupted (nothing is written).

    \b
    Examples:
      anthropo traits portrait.jpg --sex female --age 31
      anthropo traits child.jpg --sex male --age 4.2 --head-circumference 47.5 --height 98
      anthropo traits baby.jpg --sex female --age 10w --gestation 31+4 --weight 3.4
      anthropo traits portrait.jpg --sex female --age 31 --height 170 --growth-reference adults
      anthropo traits cohort.csv -o t.csv --growth-reference who --growth-reference adults
      anthropo traits portrait.jpg --sex female --age 31 -o traits.html
      anthropo traits portrait.jpg --sex female --age 31 --one-page -o report.html
      anthropo traits portrait.jpg --sex female --age 31 -o case.json
      anthropo traits cohort.csv -o traits.csv
      anthropo traits visit1.jpg visit2.jpg --patient --sex female --age 31
    """
    with in_one_sentence("nothing is written."):
        task = prepare(photos, request)
        target = _target(output, identity, photos, one_page) if output else None
        if target:
            target.check(task.count)
        if identity and not (target and target.kind == ".json"):
            raise InputError("--id names the person of a phenopacket: add -o FILE.json.")
        if one_page and not (target and target.kind == ".html"):
            raise InputError("--one-page is a page to read or print: add -o FILE.html.")
        folder = figures_folder(figures)
        findings = call(task, jobs=jobs, runner=runner, progress=progress)
        draw_to(folder, lambda: figures_of(findings))
        _show(findings, target, request.patient, everything)
        if not findings.measured:
            sys.exit(EXIT_NONE)
        if findings.notes:
            sys.exit(EXIT_SOME)


def _target(name: str, identity: str | None, inputs: Sequence[str], one_page: bool) -> FindingsTarget:
    """Where to write: a folder is made now, and what cannot be written is refused now."""
    path = Path(name)
    if path.is_dir() or name.endswith(("/", "\\")) or not path.suffix:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{name}: cannot be made a folder ({error.strerror}).") from None
    else:
        place_to_write(name, (".csv", ".json", ".html"), inputs)
    return FindingsTarget(path, identity, one_page)


def _show(findings: Findings, target: FindingsTarget | None, patient: bool, everything: bool) -> None:
    if target:
        target.write(findings)
    elif len(findings.people) > 1 and not sys.stdout.isatty():
        say(as_csv(findings.to_frame(), None), nl=False)
    else:
        for person in findings.measured:
            print_traits(person, everything)
    for sentence in (*findings.remarks, *findings.notes):
        say(sentence, err=True)
    if target:
        what = "people" if patient else "photos"
        many = len(findings.measured), len(findings.people)
        say(f"{target.path}: traits of {many[0]} of {many[1]} {what}.", err=True)
