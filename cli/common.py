"""What every command does alike: exit codes, errors of one sentence, progress, places to write to."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from anthropo.errors import AnthropoError, InputError
from anthropo.files import refuse_device_name
from anthropo.plain import say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anthropo.face.gate import GateSummary
    from anthropo.learning.cohort import Finding

_LONGEST = 2000  # characters of a message
MOST_FAILURES = 20  # photos that are named one by one
EXIT_NONE, EXIT_USAGE, EXIT_SOME, EXIT_INTERRUPTED = 1, 2, 3, 130

# parameters of commands: those that change no result, and those that are always files
_NO_MATTER = ("jobs", "cluster", "send_photos", "cache", "validate", "resume", "device")
_ALWAYS_FILES = (
    *(
        "cohort",
        "trained_on",
        "target",
        "output",
        "cost_matrix",
        "encoder_weights",
        "landmark_model",
        "landmarks",
    ),
    *("detector_model", "parameters", "pretrain"),
)


_WRITTEN = ("output", "predictions", "report", "save_landmarks", "overlay", "figures")


def fail(message: str, code: int) -> NoReturn:
    """End the command with one sentence on stderr."""
    if len(message) > _LONGEST:  # it quotes what was given, be it thousands of digits
        message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
    say(f"Error: {message}", err=True)
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
        # not by way of SIGINT, which a shell's background job ignores
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def in_one_sentence(interrupted: str) -> Iterator[None]:
    """Around a command: what goes wrong is one sentence and an exit code, so is an interruption."""
    terminate_like_ctrl_c()
    try:
        yield
    except AnthropoError as error:
        from anthropo.workflows.cohort import CohortError  # slow to import

        if isinstance(error, CohortError):
            show_findings(error.findings, error.left_out, err=True)
            fail(f"{error.verdict}; see the errors above.", EXIT_USAGE)
        fail(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        fail(f"interrupted: {interrupted}", EXIT_INTERRUPTED)


def place_to_write(name: str, suffixes: Sequence[str] = (), inputs: Sequence[str | Path] = ()) -> Path:
    """The path of a file to write, refused before the work is done rather than after."""
    path = Path(name)
    refuse_device_name(name)
    if suffixes and path.suffix.lower() not in suffixes:
        *others, last = filter(None, suffixes)
        choices = " or ".join(filter(None, (", ".join(others), last)))
        raise InputError(f"{name}: the suffix says what is written. Use {choices}.")
    if path.is_dir():
        raise InputError(f"{name}: a folder, not a file. Give the name of a file to write.")
    if path.exists() and not path.is_file():
        raise InputError(f"{name}: a pipe or a device, not a file. Give the name of a file to write.")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{name}: cannot be written. Choose a folder that exists and that you may write to.")
    for given in (*inputs, *_read_by_command()):
        if path.exists() and os.path.exists(given) and os.path.samefile(path, given):
            raise InputError(f"{name}: would overwrite what is read. Give another name.")
    if path.suffix.lower() == ".csv" and path.exists():
        from anthropo.batch.reading import foreign
        from anthropo.report.columns import is_written_here

        if not is_written_here(path):
            raise foreign(path, "photos")
    return path


def tell_passed_over(
    ctx: click.Context, param: click.Parameter, value: str | tuple[str, ...] | None
) -> str | tuple[str, ...] | None:
    """Say which pictures of the folders that are named are of formats that are not read."""
    if value and not ctx.resilient_parsing:  # which is completion of a line
        for name in dict.fromkeys((value,) if isinstance(value, str) else value):
            if name and os.path.isdir(name):
                from anthropo.batch.inputs import passed_over_in

                # a folder that cannot be searched is the command's own error, with its exit code
                with contextlib.suppress(InputError):
                    if sentence := passed_over_in(Path(name)):
                        say(f"note: {sentence}", err=True)
    return value


def _read_by_command() -> Iterator[str]:
    """What the command that runs may read: every text on its line that does not say where to write."""
    ctx = click.get_current_context(silent=True)
    for name, value in ctx.params.items() if ctx else ():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, str) and name not in _WRITTEN:
                yield from {one, one.rpartition("=")[2]}  # as in warm_start=net.anthropo


def figures_folder(name: str | None) -> Path | None:
    """The folder that figures are written to, made before the work is done; None where none are wanted."""
    if name is None:
        return None
    from anthropo.report.figure_files import folder_of_figures

    return folder_of_figures(Path(name))


def draw_to(folder: Path | None, drawn: Callable[[], Mapping[str, Figure]]) -> None:
    """Draw figures and write them to a folder, if there is one."""
    if folder is not None:
        from anthropo.report.figure_files import write_figures

        files = write_figures(folder, drawn())
        say(f"{folder}: {len(files)} files of {len(files) // 2} figures written.", err=True)


def command_line(ctx: click.Context) -> str:
    """The command as it was given, without what changes no result.

    Names of files may be a person's: each is called what it is, such as COHORT. OUTPUT.run.json has the name.
    """
    words = ["anthropo", *(ctx.info_name or "").split()]
    for param in ctx.command.params:
        name = param.name or ""
        source = ctx.get_parameter_source(name)
        if name in _NO_MATTER or source is not click.core.ParameterSource.COMMANDLINE:
            continue
        value: Any = ctx.params.get(name, True)  # options without a value for the command are flags
        if getattr(param, "multiple", False):
            option = max(param.opts, key=len)
            words += [word for one in value for word in (option, shlex.quote(_unnamed(name, one)))]
            continue
        if isinstance(value, tuple):
            value = ",".join(value)
        if isinstance(value, str):
            value = name.upper() if name in _ALWAYS_FILES else _unnamed(name, value)
        option = max(param.opts, key=len) if value is not False else (*param.secondary_opts, *param.opts)[0]
        words += [] if isinstance(param, click.Argument) else [option]
        words += [] if isinstance(value, bool) else [shlex.quote(str(value))]
    return " ".join(words)


def _unnamed(name: str, value: str) -> str:
    """A value, or what stands for it where it is a file or names one, as in ``warm_start=net.anthropo``."""
    key, equals, given = value.rpartition("=")
    if os.path.exists(given) or os.path.basename(given) != given:
        return f"{key}{equals}{(key or name).upper()}"
    return value


def show_gate(gate: GateSummary) -> None:
    """How a cohort did at the photo gate, on stderr: a line for each failed check, with its share."""
    for i, sentence in enumerate(gate.sentences()):
        say(f"  {sentence}" if i else f"photo gate: {sentence}", err=True)


def show_first(sentences: Sequence[str], more: str, most: int | None) -> None:
    """The sentences, a line each on stderr; with a table only the first ones."""
    for sentence in sentences[:most]:
        say(sentence, err=True)
    if most is not None and len(sentences) > most:
        say(f"… and {len(sentences) - most} {more}.", err=True)


def show_findings(
    findings: Sequence[Finding], left_out: Sequence[tuple[str, str]], *, err: bool, most: int = MOST_FAILURES
) -> None:
    """The findings, a line each; of photos that cannot be used only the first few."""
    reasons = {reason for _, reason in left_out}
    colours = {"error": "red", "warning": "yellow", "note": None}
    named = 0
    for finding in findings:
        if finding.message in reasons:
            named += 1
            if named > most:
                continue
        say(f"{finding.level}: {finding.message}", fg=colours[finding.level], err=err)
    if named > most:
        say(f"warning: … and {named - most} more photos that cannot be used.", fg="yellow", err=err)


class FiniteRange(click.FloatRange):
    """Numbers of a range: not NaN, which lies in every range of click's, and not infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error where it is none."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a valid float.", param, ctx)
        return number
