"""What libraries say while they work, which is for their developers: kept off the terminal, in one place.

A command's reader gets anthropo's own sentences. Where a library's warning would mean a wrong number, its
cause is repaired instead: the tests run with warnings as errors.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

_STDERR = 2


def never_warned_by(module: str) -> None:
    """Drop the warnings of a library's module for good, also in a user's own program.

    For what threads call: filters that come and go with a call would be shared by all of them.
    """
    warnings.filterwarnings("ignore", module=rf"{module}\b")


@contextlib.contextmanager
def hushed(*, stdout: bool = False) -> Iterator[None]:
    """Without libraries' warnings and logs, and what they print if `stdout` is so; for a step of the work."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()) if stdout else contextlib.nullcontext(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def libraries_off_the_terminal() -> Iterator[None]:
    """Around a command of the command line, in its own process: stderr is for anthropo's sentences alone.

    Compiled libraries (libtiff, zlib, libav, onnxruntime) write to the file descriptor itself, and some
    Python libraries switch their warnings on again.
    """
    with hushed(), _own_stderr():
        warnings.showwarning = _drop  # restored by `hushed`
        yield


def _drop(*_: Any, **__: Any) -> None:
    """In place of `warnings.showwarning`."""


@contextlib.contextmanager
def _own_stderr() -> Iterator[None]:
    """`sys.stderr` on a descriptor of its own, and nothing behind the one that libraries know."""
    theirs = sys.stderr
    try:
        theirs.flush()
        descriptor = os.dup(_STDERR)
    except (AttributeError, OSError, ValueError):  # there is none, or it is closed
        yield
        return
    stream = open(descriptor, "w", encoding=theirs.encoding, errors="replace", buffering=1)  # noqa: SIM115
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    sys.stderr = stream
    try:
        yield
    finally:
        sys.stderr = theirs
        with contextlib.suppress(OSError):
            stream.flush()
            os.dup2(descriptor, _STDERR)
        stream.close()
