"""The command in a process of its own, that is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from batch_tables import rows_of

#: Photos, of which some are measured and others are not when it is interrupted.
MANY = 40
#: The command, which waits before each photo: so it works for seconds, and takes little of the processor.
SLOWLY = """
import time
from anthropo.batch import run
from anthropo.cli import main

measure = run.measure_item
def waiting(*given):
    time.sleep(0.25)
    return measure(*given)
run.measure_item = waiting
main()
"""


def started(
    arguments: list[object],
    partial: Path,
    *,
    ignore_sigint: bool = False,
    program: str = SLOWLY,
    group: bool = False,
) -> subprocess.Popen[str]:
    """The command in a process of its own, with at least two photos finished."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ignore if ignore_sigint else None,
        start_new_session=group,
    )
    until = time.monotonic() + 30
    while not partial.exists() or partial.read_bytes().count(b"\n") < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)
    return process


def interrupt(process: subprocess.Popen[str], number: signal.Signals, path: Path) -> None:
    """End the command by a signal: it says how many photos it has finished, and its table has these."""
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    rows = rows_of(path)
    assert 2 <= len(rows) < MANY
    assert all(row["status"] == "ok" for row in rows)
    assert err == (
        f"Interrupted: {len(rows)} of {MANY} photos finished and kept in {path}. "
        "Run the same command to continue.\n"
    )
