"""A quick slice of benchmarks/fuzz_models.py: hostile models, networks, translations, ONNX files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fuzz_models
import hostile_onnx
import pytest
from fuzzing import rng_of

SEED = 20261126


@pytest.fixture(scope="module", autouse=True)
def good_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPO_GOOD_FILES", str(tmp_path_factory.mktemp("good")))
        fuzz_models.models(2)
        fuzz_models.networks(2)
        fuzz_models.translations(1)
        hostile_onnx.encoders(1)
        yield


@pytest.mark.parametrize(
    ("target", "cases"), [("models", 32), ("networks", 16), ("translations", 16), ("encoders", 16)]
)
def test_a_slice(tmp_path: Path, target: str, cases: int) -> None:
    kinds, use = fuzz_models.TARGETS[target]
    refused = 0
    for number in range(cases):
        kind = list(kinds)[number % len(kinds)]
        case = kinds[kind](rng_of(SEED, number))
        path = tmp_path / case.name
        path.write_bytes(case.data)
        refused += bool(use(path, used=number < len(kinds)))  # each kind once classified, or exported
    assert cases / 4 < refused < cases  # neither is everything refused, nor nothing
