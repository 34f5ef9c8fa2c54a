"""How a process ended."""

from __future__ import annotations

import signal

#: Signals that a process brings upon itself.
CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")


def signal_of(code: int) -> str:
    """The signal that ended a process, as `subprocess` has its exit code; empty where none did.

    Examples
    --------
    >>> from anthropo.parallel.ended import signal_of
    >>> signal_of(-9), signal_of(2)
    ('SIGKILL', '')
    """
    if code >= 0:
        return ""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
