"""anthropo measure"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from anthropo.batch.inputs import OVERLAY_SUFFIX, Item, collect
from anthropo.batch.output import Output, as_csv, by_photo
from anthropo.batch.patients import People, patients, photos_table, pool_patient
from anthropo.batch.records import Record
from anthropo.batch.run import MeasuredFace, OnFace, run
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
from anthropo.errors import AnthropoError, InputError
from anthropo.files import file_sha256, write_atomically
from anthropo.measurement.landmark_file import SUFFIX as LANDMARKS_SUFFIX
from anthropo.measurement.landmark_file import Corrections, landmarks_text
from anthropo.settings import Settings
from anthropo.video import is_video


@click.command(short_help="Measure the faces of photographs.")
@options.photos_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write a table: .csv, .parquet, .json (with landmarks), or .html (a report to read, made anew each "
    "time). A second run adds to a table only what is new, changed or failed; rows of other photos stay.",
)
@click.option(
    "--overlay", metavar="DIR", help="Write each photo with its landmarks and measured lines to DIR."
)
@click.option(
    "--save-landmarks",
    metavar="FILE.json|DIR",
    help="Write the landmarks to a file that can be corrected by hand; for several photos, to a folder.",
)
@options.landmarks_option
@click.option(
    "--patient",
    is_flag=True,
    help="One answer per person instead of one per photo: photos that share a name in the column `patient`, "
    "or all photos where there is no such column. Beside -o people.csv, people.photos.json keeps the photos.",
)
@options.frames_option
@options.face_option
@options.jobs_option
@click.option(
    "--scale",
    metavar="KIND=MM",
    help="Lengths in millimetres as well: sticker=20 (a round or square sticker of that size on the face), "
    "ipd=62 (the measured pupil distance), mm-per-px=0.21, or iris (from the mean iris diameter; adults).",
)
@click.option(
    "--reference",
    "references",
    metavar="NAME|FILE",
    multiple=True,
    help="Score against this table (`anthropo reference list`); may be repeated, disagreement is then "
    "shown.  [default: frl-adults, when sex or age is known]",
)
@click.option("--sex", help="female or male, of everybody who has no column `sex`.")
@click.option("--age", help="Years (or 18m), of everybody who has no column `age`.")
@click.option(
    "--force", is_flag=True, help="Keep values that the photo gate voids; the reason stays with them."
)
@click.option(
    "--fine/--no-fine",
    default=True,
    show_default=True,
    help="Look at the landmarks a second time, in patches.",
)
@click.option(
    "--texture", is_flag=True, help="Local binary patterns around the landmarks as well (columns lbp_*)."
)
@click.option(
    "--permissive",
    is_flag=True,
    help="Use no weights whose licence excludes commercial use: leaves the fine stage out and needs your own "
    "--landmark-model.",
)
@options.jitter_option
@options.landmark_model_option
@options.max_megapixels_option
def command(
    photos: tuple[str, ...],
    output: str | None,
    overlay: str | None,
    save_landmarks: str | None,
    landmarks: str | None,
    patient: bool,
    frames: int,
    face: Any,
    jobs: int,
    scale: str | None,
    references: tuple[str, ...],
    sex: str | None,
    age: str | None,
    force: bool,
    fine: bool,
    texture: bool,
    permissive: bool,
    jitter: int,
    landmark_model: str | None,
    max_megapixels: float,
) -> None:
    """Measure the face of each PHOTO: lengths, angles, ratios, areas, asymmetry, colour.

    PHOTO is a file, a folder (searched throughout), a pattern such as 'p*.jpg', or a CSV with a
    column `photo` (paths relative to the CSV; other columns are passed through). Videos (.mp4, .mov, .mkv,
    .webm, .avi, ...) are measured frame by frame where they are named, and count as one photo; in folders
    they are passed over.

    Lengths are fractions of the outer-canthal distance (unit ex-ex), so that no scale is needed;
    R and L are the subject's own right and left. [lo, hi] is the 95 % interval: error of the landmarks
    (calibrated on hand-placed ones), of the head's pose and of the scale. The photo gate tells
    whether pose, expression, glasses, sharpness or size spoil the photo, and voids what they spoil.

    --save-landmarks writes where the landmarks were found, a line each. Move a point there by hand and pass
    the file to --landmarks: pose, gate and measurements follow, and the table tells what was moved.

    With sex and age, from the options or from columns of these names, every measurement is
    compared with healthy people: its z-score, the reference's name and its grade.

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
      anthropo measure clip.mp4 --face largest
      anthropo measure portrait.jpg --save-landmarks portrait.json
      anthropo measure portrait.jpg --landmarks portrait.json
    """
    terminate_like_ctrl_c()
    if permissive and landmark_model is None:
        fail(
            "--permissive: the 68-point weights that come with anthropo exclude commercial use. Give your "
            "own with --landmark-model FILE.dat.",
            EXIT_USAGE,
        )
    fine = fine and not permissive
    settings = Settings(
        face=face,
        jitter=jitter,
        landmark_model=landmark_model,
        max_megapixels=max_megapixels,
        fine=fine,
        force=force,
        texture=texture,
        scale=scale,
        references=references,
        sex=sex,
        age=age,
        frames=frames,
    )
    try:
        items = collect(photos)
        settings.fingerprint()  # what cannot be used is one error, not one per photo
        if landmarks:
            settings = replace(settings, corrections=_corrections(landmarks, items, save_landmarks))
        asides: list[_Aside] = [_Overlays(overlay)] if overlay else []
        if save_landmarks:
            asides.append(_LandmarkFiles(save_landmarks, items, settings))
        people = None
        if patient:
            if face == "all":
                raise InputError("--patient with --face all: one face of each photo is needed. Use largest.")
            people = _People(items, settings, output)
            output = str(photos_table(output)) if output else None
        if output and output.lower().endswith(".html"):
            sys.exit(_html(items, settings, jobs, Path(output), asides))
        table = Output(output, settings) if output else None
        sys.exit(_measure(items, settings, jobs, table, asides, people))
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        fail("interrupted before the first photo.", EXIT_INTERRUPTED)


def _measure(
    items: list[Item],
    settings: Settings,
    jobs: int,
    table: Output | None,
    asides: list[_Aside],
    people: _People | None,
) -> int:
    total = len({i.path for i in items})
    todo = [i for i in items if not (table and table.finished(i)) or any(a.missing(i) for a in asides)]

    def aside(seen: MeasuredFace) -> None:
        for write in asides:
            write(seen)

    results, interrupted = _run(todo, settings, jobs, aside if asides else None, table.add if table else None)
    if table:
        table.close(items)
    elif not people:
        _show(items, results)
    if people and not interrupted:
        people.answer(by_photo(table.path, {item.path for item in items}) if table else results)
    doubts = _report_notes(items, results, 20 if table else None)

    earlier = total - len({i.path for i in todo})
    failures = _report_failures(items, results, 20 if table else None)
    if interrupted:
        kept = f" and kept in {table.path}. Run the same command to continue" if table else ""
        click.echo(f"Interrupted: {len(results) + earlier} of {total} photos finished{kept}.", err=True)
        return EXIT_INTERRUPTED
    measured = total - failures
    if table:
        extra = f", {earlier} of them by an earlier run" if earlier else ""
        failed = f", {failures} failed" if failures else ""
        click.echo(f"{table.path}: {measured} of {total} photos measured{extra}{failed}.", err=True)
    return _exit_code(measured, failures, doubts)


def _run(
    items: list[Item],
    settings: Settings,
    jobs: int,
    on_face: OnFace | None,
    keep: Callable[[list[Record]], None] | None = None,
) -> tuple[dict[str, list[Record]], bool]:
    """Measure with a progress bar: results by photo, and whether Ctrl-C or SIGTERM ended it."""
    results: dict[str, list[Record]] = {}
    try:
        with progress(len({i.path for i in items})) as advance:
            for records in run(items, settings, jobs, on_face):
                results[records[0].photo] = records
                if keep:
                    keep(records)
                advance()
    except KeyboardInterrupt:
        return results, True
    return results, False


def _report_failures(items: list[Item], results: dict[str, list[Record]], most: int | None) -> int:
    """Say why photos failed, on stderr and in the order they were given; return how many."""
    paths = [path for path in dict.fromkeys(i.path for i in items) if path in results]
    reasons = [r.reason for path in paths for r in results[path] if not r.ok]
    for reason in reasons[:most]:
        click.echo(reason, err=True)
    if most is not None and len(reasons) > most:
        click.echo(f"… and {len(reasons) - most} more photos failed; the table has every reason.", err=True)
    return len(reasons)


def _report_notes(items: list[Item], results: dict[str, list[Record]], most: int | None) -> int:
    """Say what of a measured photo could not be had although it was asked for; return how many photos."""
    paths = [path for path in dict.fromkeys(i.path for i in items) if path in results]
    notes = [(path, note) for path in paths for r in results[path] for note in r.notes]
    for _, note in notes[:most]:
        click.echo(note, err=True)
    if most is not None and len(notes) > most:
        click.echo(f"… and {len(notes) - most} more such notes; the table has them all.", err=True)
    return len({path for path, _ in notes})


def _exit_code(measured: int, failures: int, doubts: int) -> int:
    if not failures:
        return EXIT_SOME if doubts else 0
    return EXIT_SOME if measured else EXIT_NONE


def _show(items: list[Item], results: dict[str, list[Record]]) -> None:
    """Results without an output file: a table for people, CSV for a pipe."""
    records = [
        replace(record, columns=item.columns) for item in items for record in results.get(item.path, [])
    ]
    good = [r for r in records if r.ok]
    if len(items) == 1:
        for record in good:
            from anthropo.report.tables import print_face

            print_face(record)
    elif sys.stdout.isatty():
        from anthropo.report.tables import print_overview

        print_overview(records)
    elif records:
        click.echo(as_csv(records), nl=False)


def _html(items: list[Item], settings: Settings, jobs: int, path: Path, asides: list[_Aside]) -> int:
    from anthropo.report.page import Page

    page = Page(path)

    def draw(seen: MeasuredFace) -> None:
        page.add_face(seen)
        for write in asides:
            write(seen)

    results, interrupted = _run(items, settings, jobs, draw)
    page.write([r for item in items for r in results.get(item.path, [])])
    failures = _report_failures(items, results, None)
    doubts = _report_notes(items, results, None)
    measured = len(results) - failures
    click.echo(f"{path}: {measured} of {len({i.path for i in items})} photos measured.", err=True)
    return EXIT_INTERRUPTED if interrupted else _exit_code(measured, failures, doubts)


def _corrections(path: str, items: list[Item], saved: str | None) -> Corrections:
    """The landmark files to measure from, refused where it is unclear what is meant."""
    if saved:
        raise InputError(
            "--save-landmarks with --landmarks: the corrected file is there already. Leave one of them out."
        )
    return Corrections(path, list(dict.fromkeys(item.path for item in items)))


class _People:
    """Answers one person at a time, from the records of their photos."""

    def __init__(self, items: list[Item], settings: Settings, output: str | None) -> None:
        self._patients = patients(items)
        self._settings = settings
        if output:
            photos_table(output)  # refuses other suffixes
        self._table = People(output) if output else None

    def answer(self, records: Mapping[str, list[Record]]) -> None:
        pooled = [pool_patient(who, records, self._settings) for who in self._patients]
        good = [record for record in pooled if record.ok]
        if self._table:
            self._table.write(pooled)
            click.echo(f"{self._table.path}: {len(good)} of {len(pooled)} people measured.", err=True)
        elif len(pooled) == 1:
            from anthropo.report.tables import print_person

            for record in good:
                print_person(record)
        else:
            click.echo(as_csv(pooled), nl=False)


class _Aside:
    """Files that are written beside a table, named after the photo's content; called from several threads."""

    suffix: str
    what: str

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be made a folder for {self.what} ({error.strerror})."
            ) from None

    def file(self, item: Item, index: int, digest: str) -> Path:
        # so that a file never stands for another photo
        face = f".face{index}" if index else ""
        return self.folder / f"{Path(item.path).stem}-{digest[:8]}{face}{self.suffix}"

    def missing(self, item: Item) -> bool:
        try:
            return not self.file(item, 0, file_sha256(item.path)).exists()
        except OSError:
            return True

    def __call__(self, seen: MeasuredFace) -> None:
        raise NotImplementedError


class _Overlays(_Aside):
    suffix = OVERLAY_SUFFIX
    what = "overlays"

    def __call__(self, seen: MeasuredFace) -> None:
        from anthropo.report.figures import overlay

        file = self.file(seen.item, seen.observation.index, seen.digest)
        try:
            overlay(seen.observation.photo, seen.face, seen.scale).save(file, quality=90)
        except OSError as error:
            raise InputError(f"{file}: the overlay cannot be written ({error.strerror}).") from None


class _LandmarkFiles(_Aside):
    """One file by the name that was given, or a folder of them; what is there may be corrected and stays."""

    suffix = LANDMARKS_SUFFIX
    what = "landmarks"

    def __init__(self, name: str, items: list[Item], settings: Settings) -> None:
        self.single = Path(name) if name.lower().endswith(".json") and not os.path.isdir(name) else None
        if self.single is None:
            super().__init__(name)
            return
        if len({item.path for item in items}) > 1 or settings.face == "all":
            raise InputError(f"--save-landmarks {name}: one file for several faces. Name a folder.")
        if place_to_write(name).exists():
            raise InputError(
                f"{name}: exists, and may have been corrected. Pass it to --landmarks, delete it or give "
                "another name."
            )

    def file(self, item: Item, index: int, digest: str) -> Path:
        return self.single or super().file(item, index, digest)

    def __call__(self, seen: MeasuredFace) -> None:
        file = self.file(seen.item, seen.observation.index, seen.digest)
        if is_video(seen.item.path):
            raise InputError(f"{seen.item.path}: landmarks are saved of photographs, not of a video.")
        if file.exists():
            return
        try:
            write_atomically(file, landmarks_text(seen.face, seen.digest).encode())
        except OSError as error:
            raise InputError(f"{file}: the landmarks cannot be written ({error.strerror}).") from None
