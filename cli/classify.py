"""anthropo classify"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anthropo.batch.inputs import Item, collect
from anthropo.cli import options
from anthropo.cli.common import EXIT_NONE, EXIT_SOME, in_one_sentence, place_to_write
from anthropo.cli.learning import MOST_FAILURES, Given, corrected, encoder_of, look, settings_of
from anthropo.errors import ModelError

if TYPE_CHECKING:
    from anthropo.learning.cohort import Cohort, Kind
    from anthropo.learning.features import Features
    from anthropo.learning.trained import Trained

_SUFFIXES = (".csv", ".json", ".parquet")
_KINDS: dict[str, Kind] = {"number": "number", "category": "category"}
_TOGETHER = "\0all"  # names the one person of --patient; no cell of a table can be that


@click.command(short_help="Say what a model makes of photographs.")
@options.photos_argument
@click.option("--model", metavar="MODEL", required=True, help="What `anthropo train` wrote.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write a table: .csv or .parquet (a row per person), or .json (everything).",
)
@click.option("--patient", is_flag=True, help="All photos are of one person: one answer.")
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Labels shown on the terminal."
)
@options.encoder_weights_option
@options.landmarks_option
@options.learning_photo_options
def command(photos: tuple[str, ...], model: str, output: str | None, top: int, **given: Any) -> None:
    """Say what a model makes of the face on each PHOTO, or of the PHOTO if it was trained with --no-face.

    PHOTO is a file, a folder (searched throughout), a pattern such as 'p*.jpg', or a CSV with a
    column `photo` (paths relative to the CSV). Photos that share a name in the CSV's column `patient`
    are of one person and give one answer; so do all photos with --patient. Metadata that the model reads
    (such as age and sex) come from columns of these names; what is missing counts as missing.

    The answer is a ranked list with calibrated probabilities; the set of labels that cannot be
    excluded at the model's error rate; the decision of least expected cost, which can be "none of these";
    and the typicality of the face: the share of the people that the model knows who are at least as
    unlike the others. Labels that are marked "matched" are compared with their nearest patient, for want of
    patients to train on.

    One person is shown as a table, several as a line each, and as CSV in a pipe.

    \b
    Exit code: 0 all photos answered, 1 none, 2 wrong use, 3 some failed (each with its reason in
    the table), 130 interrupted.

    \b
    Examples:
      anthropo classify --model m.anthropo portrait.jpg
      anthropo classify --model m.anthropo --patient p07-1.jpg p07-2.jpg p07-3.jpg
      anthropo classify --model m.anthropo photos/ -o answers.csv
      anthropo classify --model m.anthropo visits.csv -o answers.json
    """
    with in_one_sentence("nothing is written. Photos that are done are in the cache; run again to go on."):
        path = place_to_write(output, _SUFFIXES, (model, *photos)) if output else None
        items = collect(photos)

        from anthropo.learning.trained import Trained

        trained = Trained.load(Path(model))
        sys.exit(_classify(trained, model, items, path, top, given))


def _classify(
    trained: Trained, model: str, items: list[Item], path: Path | None, top: int, given: Given
) -> int:
    from anthropo.report import answers

    settings = corrected(settings_of(given, trained.manifest), given, [item.path for item in items])
    encoder = encoder_of(trained, model, given["encoder_weights"], settings)
    cohort = people_of(items, trained, together=given["patient"])
    start = time.perf_counter()
    features = look(cohort, settings, encoder, trained.regions, given)
    predictions = trained.predict(features) if len(features) else []
    spent = time.perf_counter() - start
    named = {case.patient: _shown(case.patient, items) for case in cohort.cases}
    failed = [(named[case.patient], photo, reason) for case, (photo, reason) in _failures(cohort, features)]
    everybody = answers.in_order(
        [answers.Answered(named[p.patient], p) for p in predictions],
        [answers.Unanswered(*f) for f in failed],
        [case.photo for case in cohort.cases],
    )
    if path:
        answers.write(path, everybody, trained)
    elif len(everybody) == 1 and predictions:
        answers.print_answer(predictions[0], trained, top)
    elif sys.stdout.isatty():
        answers.print_answers(everybody, trained, top)
    elif predictions or len(everybody) > 1:
        click.echo(answers.as_csv(everybody, trained), nl=False)
    _report(trained, features, cohort, failed, path, spent)
    if not failed:
        return 0
    return EXIT_SOME if predictions else EXIT_NONE


def people_of(items: Sequence[Item], trained: Trained, *, together: bool = False) -> Cohort:
    """Photos without a label, with the metadata that the model reads.

    Raises
    ------
    InputError
        If photos of one person differ in sex, or by too much in age.
    ModelError
        If the model does not say of what kind the metadata are.
    """
    from anthropo.batch.patients import one_person
    from anthropo.learning.cohort import Case, Cohort

    kinds: dict[str, Kind] = {}
    said = trained.manifest.get("metadata_kinds")
    for name in trained.metadata:
        kind = said.get(name) if isinstance(said, dict) else None
        if kind not in _KINDS:
            raise ModelError(f"The model does not say whether {name} is a number. Train it again.")
        kinds[name] = "age" if name == "age" else "sex" if name == "sex" else _KINDS[kind]
    cases = []
    shared: dict[str, list[Item]] = {}
    for item in items:
        patient = _TOGETHER if together else item.columns.get("patient") or os.path.realpath(item.path)
        shared.setdefault(patient, []).append(item)
        cases.append(Case(item.path, "", patient, {name: item.columns.get(name, "") for name in kinds}))
    for patient, own in shared.items():
        one_person("" if patient == _TOGETHER else patient, own)
    return Cohort(tuple(cases), "", kinds)


def _shown(patient: str, items: Sequence[Item]) -> str:
    """The patient's name as it was given, or none."""
    return patient if any(item.columns.get("patient") == patient for item in items) else ""


def _failures(cohort: Cohort, features: Features) -> list[tuple[Any, tuple[str, str]]]:
    """Each case that was left out, with photo and reason."""
    reasons = dict(features.left_out)
    return [(case, (case.photo, reasons[case.photo])) for case in cohort.cases if case.photo in reasons]


def _gate_words(features: Features) -> str:
    """Which checks of the photo gate failed, and in how many photos."""
    from anthropo.face.gate import CHECKS

    assert features.gate is not None
    several = len(features) > 1
    failed = [
        f"{name.replace('_', ' ')}{f' {n}' if several else ''}"
        for name, n in zip(CHECKS, features.gate.sum(0).tolist(), strict=True)
        if n
    ]
    who = f"{int(features.gate.any(1).sum())} of {len(features)} photos" if several else "the photo"
    return (
        f"note: {who} failed the photo gate ({', '.join(failed)}): what it voids counts as missing. "
        "`anthropo explain` tells more, and which photos are not fit to be judged."
    )


def _report(
    trained: Trained,
    features: Features,
    cohort: Cohort,
    failed: Sequence[tuple[str, str, str]],
    path: Path | None,
    spent: float,
) -> None:
    most = MOST_FAILURES if path else None
    for _, _, reason in failed[:most]:
        click.echo(reason, err=True)
    if most is not None and len(failed) > most:
        click.echo(f"… and {len(failed) - most} more photos failed; the table has every reason.", err=True)
    if features.gate is not None and features.gate.any():
        click.echo(_gate_words(features), err=True)
    missing = [name for name in trained.metadata if not any(case.metadata[name] for case in cohort.cases)]
    if missing and len(features):
        click.echo(
            f"note: the model reads {', '.join(missing)}; no photo has them, so they count as missing. Give "
            "a CSV with the columns photo and these.",
            err=True,
        )
    total = len(cohort.cases)
    if path:
        lost = f", {len(failed)} failed" if failed else ""
        click.echo(f"{path}: {total - len(failed)} of {total} photos classified{lost}.", err=True)
    if total > 1 or sys.stderr.isatty():
        parameters = (trained.manifest.get("encoder") or {}).get("parameters") or 0
        click.echo(
            f"{1000 * spent / total:.0f} ms per photo (quicker when it is in the cache), with an encoder of "
            f"{parameters / 1e6:.1f} million parameters.",
            err=True,
        )
