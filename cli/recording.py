"""A manifest beside what a command writes."""

from __future__ import annotations

import functools
import os
import sys
import time
from typing import Any

import click

from anthropo.cli.common import EXIT_NONE, EXIT_SOME

_CLOCK = 2.0  # s that a file system's clock may lag behind


def recorded(command: click.Command) -> click.Command:
    """The command, which writes ``OUTPUT.run.json`` when it has written an output."""
    work = command.callback
    if work is None or not any(param.name == "output" for param in command.params):
        return command

    @functools.wraps(work)
    def callback(*args: Any, **options: Any) -> Any:
        ctx, begun = click.get_current_context(), time.time()
        parameters = dict(ctx.params)
        try:
            result = work(*args, **options)
        except SystemExit as stop:
            if stop.code in (0, None, EXIT_NONE, EXIT_SOME):
                _record(parameters, begun)
            raise
        _record(parameters, begun)
        return result

    command.callback = callback
    return command


def _record(parameters: dict[str, Any], begun: float) -> None:
    output = parameters.get("output")
    if not output or not os.path.exists(output) or os.path.getmtime(output) < begun - _CLOCK:
        return
    from anthropo.workflows.manifest import record_run

    record_run(sys.argv[1:], parameters, output)
