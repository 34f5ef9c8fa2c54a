"""ONNX Runtime, where it is installed: faster than torch, and started twenty times as fast."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any


def has_runtime() -> bool:
    """Whether ONNX Runtime can be used; a broken installation counts as none, and torch takes its place."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return False
    return True


def open_session(model: bytes | str, threads: int = 1, *, spinning: bool = False) -> Any:
    """An ONNX file (its contents, or its path), ready to run on the CPU; 0 threads are as many as cores.

    On one thread, unless more are asked for: whoever has many photos gives each thread or process one of
    them, and the last digits of a sum depend on how many threads share it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what goes wrong is raised as well
    if not spinning:  # threads that wait for work in a loop would take a core each from other photos
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class LateSession:
    """A session that is opened when it is needed first, by one thread."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._lock = threading.Lock()
        self._session: Any = None

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        """Outputs by these names, for arrays by input."""
        if self._session is None:
            with self._lock:
                if self._session is None:
                    self._session = open_session(self._data)
        made: list[Any] = self._session.run(list(outputs), dict(feeds))
        return made
