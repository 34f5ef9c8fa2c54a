"""Files and arrays that nobody honest makes, given to the engine for as long as one likes.

make fuzz-engine SECONDS=3600 SEED=7    (under AddressSanitizer and UBSan; make test has a short slice)

Prints a table. Anything but an answer or one of the refusals that the engine promises ends the run.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzzing import pick

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "face"))
from crafted import NOISE, Predictor, as_array, changed, mutant, packed, square, used
from test_hostile_engine import calls, odd_arrays, packed_detector

from anthropo.face import _engine


def _predictor(rng: np.random.Generator) -> Predictor:
    return Predictor(
        square(int(rng.integers(2, 30))),
        cascades=int(rng.integers(1, 4)),
        trees=int(rng.integers(1, 6)),
        leaves=2 ** int(rng.integers(1, 5)),
        features=int(rng.integers(1, 40)),
        seed=int(rng.integers(2**31)),
    )


def landmark_file(rng: np.random.Generator) -> bool:
    """A .dat file with a few wrong bytes. What is packed must be accepted afterwards."""
    try:
        block = _engine.pack_shape_predictor(as_array(mutant(_predictor(rng).dat(), rng)))
    except ValueError:
        return False
    if not used(block):
        raise AssertionError("a predictor was packed, and then refused")
    return True


def packed_predictor(rng: np.random.Generator) -> bool:
    """A packed predictor with a few wrong bytes and the right checksum."""
    block = packed(_predictor(rng))
    try:
        return used(changed(block, rng))
    except ValueError:
        return False


def detector(rng: np.random.Generator) -> bool:
    """A packed face detector, likewise."""
    try:
        _engine.FaceDetector(changed(packed_detector(), rng)).detect(NOISE, -1.0)
    except ValueError:
        return False
    return True


def arrays() -> Callable[[np.random.Generator], bool]:
    """An odd array for one of the engine's arguments."""
    pairs = list(itertools.product(calls().values(), odd_arrays()))

    def give(rng: np.random.Generator) -> bool:
        call, array = pick(pairs, rng)
        try:
            call(array)
        except (ValueError, TypeError):
            return False
        return True

    return give


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    kinds = {
        "landmark files (.dat)": (landmark_file, 40),
        "packed landmark models": (packed_predictor, 10),
        "packed face detectors": (detector, 1),
        "arrays": (arrays(), 40),
    }
    tried: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        for name, (give, times) in kinds.items():
            for _ in range(times):
                tried[name] += 1
                accepted[name] += give(rng)
    print(f"seed {options.seed}, sanitizers {'on' if _engine.sanitized else 'off'}\n")
    print("| what | tried | refused | harmless | faults |\n|---|---|---|---|---|")
    for name in kinds:
        print(f"| {name} | {tried[name]} | {tried[name] - accepted[name]} | {accepted[name]} | 0 |")


if __name__ == "__main__":
    main()
