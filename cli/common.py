"""What every command does alike: exit codes, errors of one sentence, progress, places to write to."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import click

from anthropo.errors import AnthropoError, InputError

EXIT_NONE, EXIT_USAGE, EXIT_SOME, EXIT_INTERRUPTED = 1, 2, 3, 130


def fail(message: str, code: int) -> NoReturn:
    """End the command with one sentence on stderr."""
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)


def progress(total: int, what: str = "measuring") -> Any:
    """A progress bar on a terminal's stderr; nothing elsewhere and for a single step."""
    if total < 2 or not sys.stderr.isatty():
        return nullcontext(lambda: None)
    from anthropo.report.tables import progress_bar

    return progress_bar(total, what)


def terminate_like_ctrl_c() -> None:
    """A cluster's scheduler ends jobs with SIGTERM: finished photos are kept then as well."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_: object) -> None:
    # not by way of SIGINT, which a shell's background job ignores
    raise KeyboardInterrupt


@contextmanager
def in_one_sentence(interrupted: str) -> Iterator[None]:
    """Around a command: what goes wrong is one sentence and an exit code, so is an interruption."""
    terminate_like_ctrl_c()
    try:
        yield
    except AnthropoError as error:
        fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        fail(f"interrupted: {interrupted}", EXIT_INTERRUPTED)


def place_to_write(name: str, suffixes: Sequence[str] = (), inputs: Sequence[str] = ()) -> Path:
    """The path of a file to write, refused before the work is done rather than after.

    Raises
    ------
    InputError
        If it has another suffix, is a folder or one of the inputs, or its folder cannot be written to.
    """
    path = Path(name)
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{name}: the suffix says what is written. Use {' or '.join(suffixes)}.")
    if path.is_dir():
        raise InputError(f"{name}: a folder, not a file. Give the name of a file to write.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{name}: cannot be written. Choose a folder that exists and that you may write to.")
    for given in inputs:
        if path.exists() and os.path.exists(given) and os.path.samefile(path, given):
            raise InputError(f"{name}: would overwrite what is read. Give another -o.")
    return path
