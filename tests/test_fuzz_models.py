"""A quick slice of benchmarks/fuzz_models.py: hostile models and networks are refused, or work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SEED = 20261126


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPO_GOOD_FILES", str(tmp_path_factory.mktemp("good")))
        patch.syspath_prepend(BENCHMARKS)
        sys.modules.pop("fuzz_models", None)
        import fuzz_models

        fuzz_models.models(2)
        fuzz_models.networks(2)
        yield fuzz_models


@pytest.mark.parametrize(("target", "cases"), [("models", 32), ("networks", 16)])
def test_a_slice(fuzz: ModuleType, tmp_path: Path, target: str, cases: int) -> None:
    kinds, use = fuzz.TARGETS[target]
    refused = 0
    for number in range(cases):
        kind = list(kinds)[number % len(kinds)]
        case = kinds[kind](np.random.default_rng([SEED, number]))
        path = tmp_path / case.name
        path.write_bytes(case.data)
        refused += bool(use(path, used=kind == "sound" and number < len(kinds)))
    assert cases / 4 < refused < cases  # neither is everything refused, nor nothing
