"""The command line: one file per command, loaded only when it runs."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import sys
import threading
from typing import TYPE_CHECKING

import click

from anthropo._version import __version__
from anthropo.quiet import libraries_off_the_terminal

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# What only a command needs is imported when there is one: the help is to take no longer than click does.

#: Key of the command line's words in a context's meta.
WORDS = "anthropo.words"
#: heading of the help -> command -> one line of help. A command's module, of its name, is heavy, and the help
#: must not be.
GROUPS = {
    "Measure": {
        "measure": "Measure the faces of photos: lengths, angles, ratios, with intervals.",
        "traits": "Call HPO traits, and write them as a phenopacket.",
        "change": "Find what changed in a person between two states, beyond error.",
        "reference": "List reference tables, or make one from your own controls.",
        "registry": "List all measurements, or check and draw some of your own.",
        "serve": "Measure, correct and report on a page in the browser, on this machine.",
    },
    "Learn and explain": {
        "train": "Train a model on labelled photos.",
        "classify": "Classify photos with a trained model.",
        "explain": "Explain a model's answer for a person.",
        "evaluate": "Judge a model, or compare ways to train one, with intervals.",
        "inspect": "Describe a model: its task, training data and accuracy.",
        "demo": "Train, classify, explain and evaluate on invented people.",
    },
    "Compare groups of people": {
        "composite": "Average the faces of each label, and show where they differ from controls.",
        "map": "Draw a map of a cohort's faces, with similar faces near each other.",
        "regions": "Find what distinguishes the people of a label, and where.",
    },
    "Networks and landmark models of your own": {
        "finetune": "Train a published network on your photos.",
        "compare-networks": "Train several networks by one recipe, and compare recall and precision.",
        "bench": "Measure accuracy, memory and speed of networks: in torch, as ONNX, as int8.",
        "export": "Write a network as ONNX, for devices without torch.",
        "translate": "Translate faces from one domain of photos to another (CycleGAN).",
        "landmarks": "Train a landmark model on annotated faces, or judge one.",
    },
    "Tools": {
        "doctor": "Check the installation, and say how to mend it.",
        "models": "List the model weights with their places and licences.",
        "verify": "Make a run again from its manifest, and say what differs.",
        "completion": "Print the script that completes commands in your shell.",
    },
}
COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}


class Commands(click.Group):
    """Imports a command's module when the command is called, not before."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"anthropo.cli.{cmd_name.replace('-', '_')}").command
        if not gc.isenabled():  # see main; modules stay, and need not be looked at again
            gc.freeze()
            gc.set_threshold(10_000)  # a command loads libraries as well, of as many objects
            gc.enable()
        from anthropo.cli.files import refuse_empty_names

        refuse_empty_names(command)
        if ctx.resilient_parsing:  # a shell asks how a line may go on
            from anthropo.cli.values import with_values

            command = with_values(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        from click.shell_completion import CompletionItem

        # from the table: click would load the module of each command
        return [
            CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in COMMANDS)
        for heading, commands in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:{width}}", line) for name, line in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = "".join(f", did you mean {one}?" for one in get_close_matches(name, COMMANDS, 1)) or "."
            ctx.fail(f"no command {name!r}{near} The commands are {', '.join(COMMANDS)}.")
        return super().resolve_command(ctx, args)


#: What sets the threads of the linear algebra libraries; each is read when its library is loaded.
#: Processes that work on photos are copies of the command's only where these are 1 (anthropo.parallel).
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
#: Errors of a disk that takes no more of what is printed.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True}


@click.group(cls=Commands, context_settings=_SETTINGS)
@click.version_option(__version__, "-V", "--version", prog_name="anthropo")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Measure a face photograph the way a clinical geneticist reads it, and say why.

    \b
      anthropo measure portrait.jpg                 a table of measurements
      anthropo measure photos/ -o faces.csv         a folder, one row per photo
      anthropo measure portrait.jpg --overlay out/  the photo with what was measured
      anthropo traits p.jpg --sex female --age 31   HPO traits called from these measurements

    \b
      anthropo train cohort.csv -o m.anthropo       a classifier from columns `photo` and `label`
      anthropo classify --model m.anthropo p.jpg    ranked labels, "none of these" among them
      anthropo explain --model m.anthropo p.jpg -o why.html   what speaks for it, and where
      anthropo evaluate cohort.csv -o report.html   how good it is on people it has not seen
      anthropo demo                                 all of it on invented people

    Everything runs on this machine; nothing is sent anywhere, unless you name a --cluster. Research use only,
    not a medical device. Most weights exclude commercial use: `anthropo models`. `anthropo doctor` checks the
    installation. `anthropo completion` lets your shell complete commands with the Tab key.
    """
    from anthropo.definitions import only
    from anthropo.errors import parameters_spelled

    ctx.with_resource(parameters_spelled(as_option))
    ctx.with_resource(only())  # measurements that a model brings are this command's alone


#: Parameters of Python whose option has another name than theirs.
_OPTION_OF = {
    ("task", "normality"): "--normal LABEL",
    ("task", "attributes"): "--multilabel",
    ("controls", "HEALTHY"): "--normal LABEL",
}
_OPTIONS = {"references": "reference", "labels": "label", "changes": "set", "min_people": "min-n"}
_SHORT = {"output": "-o"}
#: Options whose opposite is not called ``--no-…``.
_OPPOSITES = {"resume": "restart"}


def as_option(name: str, value: object) -> str:
    """A parameter as the command line gives it: ``--face largest``, ``--force``, ``--no-fine``."""
    if (name, value) in _OPTION_OF:
        return _OPTION_OF[name, str(value)]
    if value is None and name in _SHORT:
        return _SHORT[name]
    option = _OPTIONS.get(name, name).replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--{_OPPOSITES.get(option, f'no-{option}')}"
    return f"--{option}" if value is None else f"--{option} {value}"


def main() -> None:
    # modules are many objects of which none is rubbish: looking for it while they load costs a twentieth
    # of the time that one photo takes
    gc.disable()
    # `-j` decides how many cores are used; the linear algebra library's own threads would only
    # fight over them, and cost start-up time
    for name in THREADS:
        os.environ.setdefault(name, "1")
    # threads of a network wait awake only briefly: where cores are busy, they would keep others from working
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # threads come back from compiled code often and briefly: do not keep them waiting for 5 ms
    sys.setswitchinterval(0.0005)
    for name in ("stdout", "stderr"):  # a caller may have closed them
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for as long as the process lasts)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # file names that the terminal's encoding lacks
    with libraries_off_the_terminal():
        try:
            cli.main(prog_name="anthropo")
        except OSError as error:
            if error.errno not in _FULL or error.filename is not None:
                raise
            from anthropo.cli.common import EXIT_NONE, fail

            # click writes each line at once: nothing is left that Python would try to write at its end
            fail(
                f"the output cannot be written ({error.strerror}). Make room, or write elsewhere.", EXIT_NONE
            )
        finally:
            gc.freeze()  # nor is it looked for in what is left at the end
            _leave_stuck_threads()


def _leave_stuck_threads() -> None:
    """End an interrupted command although a thread is still busy with a photo."""
    ending = sys.exc_info()[1]
    stuck = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if not stuck or not isinstance(ending, SystemExit):
        return
    from anthropo.cli.common import EXIT_INTERRUPTED

    if ending.code == EXIT_INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(EXIT_INTERRUPTED)
