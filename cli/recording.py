"""A manifest beside what a command writes."""

from __future__ import annotations

import os
import sys
import time
from functools import partial

import click

from anthropo.cli import WORDS
from anthropo.cli.common import EXIT_NONE, EXIT_SOME
from anthropo.errors import AnthropoError
from anthropo.plain import say

_CLOCK = 2.0  # s that a file system's clock may lag behind


def record_output(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Of the option -o: have ``OUTPUT.run.json`` written when the command has written its output."""
    if value and not ctx.resilient_parsing:  # where a shell completes the line, nothing is done
        ctx.call_on_close(partial(_record, ctx, value, time.time()))
    return value


def _record(ctx: click.Context, output: str, begun: float) -> None:
    ending = sys.exc_info()[1]  # a command ends with SystemExit, or simply ends
    if isinstance(ending, SystemExit):
        ending = None if ending.code in (0, None, EXIT_NONE, EXIT_SOME) else ending
    if ending is not None:
        return
    if not os.path.exists(output) or os.path.getmtime(output) < begun - _CLOCK:
        return
    from anthropo.workflows.manifest import record_run

    try:
        record_run(ctx.meta[WORDS], ctx.params, output)
    except AnthropoError as error:  # the output itself is there
        say(error, err=True)
