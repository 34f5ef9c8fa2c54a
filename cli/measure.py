"""anthropo measure"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from anthropo.cli import options

from anthropo.batch import OVERLAY_SUFFIX, Item, Output, Record, Settings, as_csv, collect, run
from anthropo.errors import AnthropoError, InputError
from anthropo.face.landmarker import Face

EXIT_NONE, EXIT_USAGE, EXIT_SOME, EXIT_INTERRUPTED = 1, 2, 3, 130


@click.command(short_help="Measure the faces of photographs.")
@options.photos_argument
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write a table: .csv, .parquet, .json (with landmarks), or .html (a report to read). A second "
    "run does only what is new, changed or failed.",
)
@click.option(
    "--overlay", metavar="DIR", help="Write each photo with its landmarks and measured lines to DIR."
)
@options.face_option
@options.jobs_option
@options.jitter_option
@options.landmark_model_option
@options.max_megapixels_option
def command(
    photos: tuple[str, ...],
    output: str | None,
    overlay: str | None,
    face: Any,
    jobs: int,
    jitter: int,
    landmark_model: str | None,
    max_megapixels: float,
) -> None:
    """Measure the face of each PHOTO: lengths, angles, ratios, areas and asymmetry.

    PHOTO is a file, a folder (searched throughout), a pattern such as 'p*.jpg', or a CSV with a
    column `photo` (paths relative to the CSV; other columns are passed through).

    Lengths are fractions of the outer-canthal distance (unit ex-ex), so that no scale is needed;
    R and L are the subject's own right and left. [lo, hi] is the 95 % interval from the jitter of
    the landmarks. The photo gate tells whether pose, expression, sharpness or size spoil the photo.

    \b
    Exit code: 0 all photos measured, 1 none, 2 wrong use, 3 some failed (each with its reason in
    the table), 130 interrupted (finished photos are kept; run again to continue).

    \b
    Examples:
      anthropo measure portrait.jpg
      anthropo measure photos/ -o faces.csv -j 8
      anthropo measure cohort.csv -o faces.parquet --face largest
      anthropo measure portrait.jpg -o portrait.html
    """
    settings = Settings(face, jitter, landmark_model, max_megapixels)
    try:
        items = collect(photos)
        settings.fingerprint()  # loads the weights: a missing model is one error, not one per photo
        pictures = _Overlays(overlay, items) if overlay else None
        if output and output.lower().endswith(".html"):
            sys.exit(_html(items, settings, jobs, Path(output), pictures))
        table = Output(output, settings) if output else None
        sys.exit(_measure(items, settings, jobs, table, pictures))
    except AnthropoError as error:
        _fail(str(error), EXIT_USAGE)


def _measure(
    items: list[Item], settings: Settings, jobs: int, table: Output | None, pictures: _Overlays | None
) -> int:
    total = len({i.path for i in items})
    todo = [i for i in items if not (table and table.finished(i)) or (pictures and pictures.missing(i))]
    results: dict[str, list[Record]] = {}
    interrupted = False
    _terminate_like_ctrl_c()
    try:
        with _progress(len({i.path for i in todo})) as advance:
            for records in run(todo, settings, jobs, pictures):
                results[records[0]["photo"]] = records
                if table:
                    table.add(records)
                advance()
    except KeyboardInterrupt:
        interrupted = True
    if table:
        table.close(items)
    else:
        _show(items, results)

    earlier = total - len({i.path for i in todo})
    failures = _report_failures(results)
    if interrupted:
        kept = f" and kept in {table.path}" if table else ""
        click.echo(
            f"Interrupted: {len(results) + earlier} of {total} photos finished{kept}. "
            "Run the same command to continue.",
            err=True,
        )
        return EXIT_INTERRUPTED
    measured = total - failures
    if table:
        extra = f", {earlier} of them by an earlier run" if earlier else ""
        failed = f", {failures} failed" if failures else ""
        click.echo(f"{table.path}: {measured} of {total} photos measured{extra}{failed}.", err=True)
    return _exit_code(measured, failures)


def _report_failures(results: dict[str, list[Record]]) -> int:
    """Say why photos failed, on stderr; return how many."""
    reasons = [r["reason"] for records in results.values() for r in records if r["status"] == "failed"]
    for reason in reasons[:20]:
        click.echo(reason, err=True)
    if len(reasons) > 20:
        click.echo(f"… and {len(reasons) - 20} more photos failed; the table has every reason.", err=True)
    return len(reasons)


def _exit_code(measured: int, failures: int) -> int:
    if not failures:
        return 0
    return EXIT_SOME if measured else EXIT_NONE


def _show(items: list[Item], results: dict[str, list[Record]]) -> None:
    """Results without an output file: a table for people, CSV for a pipe."""
    records = [{**record, "columns": item.columns} for item in items for record in results.get(item.path, [])]
    good = [r for r in records if r["status"] == "ok"]
    if len(items) == 1:
        for record in good:
            from anthropo.report.tables import print_face

            print_face(record)
    elif sys.stdout.isatty():
        from anthropo.report.tables import print_overview

        print_overview(records)
    elif records:
        click.echo(as_csv(records), nl=False)


def _html(items: list[Item], settings: Settings, jobs: int, path: Path, pictures: _Overlays | None) -> int:
    from anthropo.report.page import Page

    page = Page(path)
    _terminate_like_ctrl_c()

    def keep(item: Item, index: int, face: Face) -> None:
        page.add_face(item, index, face)
        if pictures:
            pictures(item, index, face)

    results: dict[str, list[Record]] = {}
    interrupted = False
    try:
        with _progress(len({i.path for i in items})) as advance:
            for records in run(items, settings, jobs, keep):
                results[records[0]["photo"]] = records
                advance()
    except KeyboardInterrupt:
        interrupted = True
    page.write([r for item in items for r in results.get(item.path, [])])
    failures = _report_failures(results)
    measured = len(results) - failures
    click.echo(f"{path}: {measured} of {len({i.path for i in items})} photos measured.", err=True)
    return EXIT_INTERRUPTED if interrupted else _exit_code(measured, failures)


class _Overlays:
    """Writes overlay pictures; called from several threads."""

    def __init__(self, folder: str, items: list[Item]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made a folder for overlays ({error.strerror}).") from None
        self._names: dict[str, str] = {}  # photo -> name of its picture
        taken: set[str] = set()
        for path in dict.fromkeys(item.path for item in items):
            name = Path(path).stem
            if name in taken:  # two folders hold photos of the same name
                name += "-" + hashlib.sha256(path.encode()).hexdigest()[:6]
            taken.add(name)
            self._names[path] = name

    def _file(self, item: Item, index: int) -> Path:
        return self.folder / f"{self._names[item.path]}{f'.face{index}' if index else ''}{OVERLAY_SUFFIX}"

    def missing(self, item: Item) -> bool:
        return not os.path.exists(self._file(item, 0))

    def __call__(self, item: Item, index: int, face: Face) -> None:
        from anthropo.report.figures import overlay

        file = self._file(item, index)
        try:
            overlay(face).save(file, quality=90)
        except OSError as error:
            raise InputError(f"{file}: the overlay cannot be written ({error.strerror}).") from None


def _progress(total: int) -> Any:
    """A progress bar on a terminal's stderr; nothing elsewhere and for a single photo."""
    if total < 2 or not sys.stderr.isatty():
        return nullcontext(lambda: None)
    from anthropo.report.tables import progress_bar

    return progress_bar(total)


def _terminate_like_ctrl_c() -> None:
    """A cluster's scheduler ends jobs with SIGTERM: finished photos are kept then as well."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_: object) -> None:
    # not by way of SIGINT, which a shell's background job ignores
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
