"""One network in a process of its own, so that its time and its memory are its own.

    python -m anthropo.networks.bench_worker torch|onnx photos|cases MODEL PICTURES METADATA ANSWERS THREADS

PICTURES and METADATA (or ``-``) are .npy files, a photo or case per row; photos that a case lacks are black.
One row after the other is answered. Probabilities are written to ANSWERS, milliseconds per row and the
largest resident memory to stdout as JSON. Only what the runtime needs is loaded: for ONNX no torch.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.runtime import open_session

Answering = Callable[[NDArray[np.uint8], "NDArray[np.float32] | None"], NDArray[Any]]

_TIMED = 20  # rows
_REPEATED = 10  # answers to a row, of which the fastest counts: others may be slowed down by other programs

PICTURES, METADATA, PROBABILITIES, EMBEDDING = "pictures", "metadata", "probabilities", "embedding"


def _onnx(model: str, threads: int) -> Answering:
    session = open_session(model, threads, spinning=True)

    def answer(pictures: NDArray[np.uint8], metadata: NDArray[np.float32] | None) -> NDArray[Any]:
        given = {PICTURES: pictures} if metadata is None else {PICTURES: pictures, METADATA: metadata}
        probabilities: NDArray[Any] = session.run([PROBABILITIES], given)[0]
        return probabilities

    return answer


def _torch(model: str, threads: int) -> Answering:
    import torch

    from anthropo.networks.network import Network

    torch.set_num_threads(threads)
    network = Network.load(model)

    def answer(pictures: NDArray[np.uint8], metadata: NDArray[np.float32] | None) -> NDArray[Any]:
        return network.probabilities(network.by_view(pictures), metadata)

    return answer


def largest_memory() -> float | None:
    """The largest resident memory of this process so far, bytes; None where it cannot be known."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the process that started this one as well
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(peak[1]) * 1024 if peak else None
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def main() -> None:
    kind, rows, model, pictures_file, metadata_file, answers_file, threads = sys.argv[1:]
    answer = (_torch if kind == "torch" else _onnx)(model, int(threads))
    pictures = np.load(pictures_file, mmap_mode="r")
    metadata = None if metadata_file == "-" else np.load(metadata_file)
    probabilities, spent = [], []
    for i in range(len(pictures)):
        picture = np.array(pictures[i : i + 1])
        if rows == "cases":
            picture = picture[:, picture.any((0, 2, 3, 4))]
        known = None if metadata is None else metadata[i : i + 1]
        if i == 0:
            answer(picture, known)  # some of the work is done only once
        times = []
        for _ in range(_REPEATED if i < _TIMED else 1):
            start = time.perf_counter()
            p = answer(picture, known)
            times.append(1000 * (time.perf_counter() - start))
        probabilities.append(p[0])
        if i < _TIMED:
            spent.append(min(times))
    np.save(answers_file, np.array(probabilities, dtype=np.float64))
    print(json.dumps({"ms": spent, "memory": largest_memory()}))


if __name__ == "__main__":
    main()
