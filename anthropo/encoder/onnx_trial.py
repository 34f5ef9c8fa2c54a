"""A first run of an ONNX file from anywhere, in a process of its own with limited time and memory.

A few bytes can describe a network that needs all memory, or never ends. What comes back is the shape of what
it gives for two pictures, and whether it gives the same twice. Afterwards the file is run as it is: what a
network needs is the same for every picture, unless somebody took trouble that it is not.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from anthropo.encoder.runtime import open_session
from anthropo.errors import WeightsError
from anthropo.parallel.ended import CRASHES, signal_of
from anthropo.plain import visible

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SECONDS = 60  # of computing, for reading the file and two pictures
_PATIENCE = 5  # times as long on the clock
_MEMORY = 4 << 30  # bytes beside eight times the file's
_PROGRAM = "from anthropo.encoder.onnx_trial import serve; serve()"


def try_out(data: bytes, feeds: dict[str, Any], output: str, where: str) -> tuple[int, ...]:
    """Shape of an output for arrays by input, of two pictures or one.

    Raises
    ------
    WeightsError
        If the file cannot be run, takes too long or too much memory, or gives no numbers.
    """
    arrays = io.BytesIO()
    np.savez(arrays, **feeds)
    about = {"output": output, "size": len(data), "memory": _MEMORY + 8 * len(data), "seconds": SECONDS}
    header = json.dumps(about).encode()
    places = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
    program = f"import sys; sys.path[:] = {places!r}; {_PROGRAM}"
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            input=b"".join([len(header).to_bytes(4, "little"), header, data, arrays.getvalue()]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE * SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WeightsError(f"{where}: takes more than {SECONDS} s to be run once. {_ANOTHER}") from None
    except OSError as error:
        raise WeightsError(f"{where}: no process to try it in can be started ({error.strerror}).") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise WeightsError(f"{where}: {_how(done.returncode)} when it is run once. {_ANOTHER}") from None
    if "fault" in answer:
        raise WeightsError(f"{where}: {visible(answer['fault'])}")
    return tuple(answer["shape"])


_ANOTHER = "Give another file."


def _how(code: int) -> str:
    signal = signal_of(code)
    if signal == "SIGXCPU":
        return f"takes more than {SECONDS} s"
    return (
        f"crashes ONNX Runtime ({signal})" if signal in CRASHES else "needs more memory or time than it gets"
    )


def serve() -> None:
    """Answer the request on standard input; what a process of `try_out` runs."""
    requests = sys.stdin.buffer
    replies = os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)  # what a library prints is no answer
    about = json.loads(requests.read(int.from_bytes(requests.read(4), "little")))
    data = requests.read(about["size"])
    feeds = dict(np.load(io.BytesIO(requests.read()), allow_pickle=False))
    _restrict(about["seconds"], about["memory"])
    replies.write(json.dumps(_tried(data, feeds, about["output"])).encode())


def _tried(data: bytes, feeds: dict[str, Any], output: str) -> dict[str, Any]:
    try:
        session = open_session(data)
        first, second = (session.run([output], feeds)[0] for _ in range(2))
    except MemoryError:
        return {"fault": f"needs more memory than it gets when it is run once. {_ANOTHER}"}
    except Exception as error:  # of ONNX Runtime, whose errors have no base of their own
        why = " ".join(str(error).split())[:200]
        return {"fault": f"ONNX Runtime cannot run it ({why}). Export the network again."}
    if not isinstance(first, np.ndarray) or first.dtype.kind != "f":
        return {"fault": f"its output {output!r} is no array of floats. Name another one as `output`."}
    if not np.isfinite(first).all():
        return {"fault": f"its output {output!r} is not finite for a grey picture and one of noise."}
    if not np.array_equal(first, second):
        return {"fault": "gives another answer to the same picture each time. Export it for inference."}
    return {"shape": list(first.shape)}


def _restrict(seconds: int, memory: int) -> None:
    if resource is None:
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
