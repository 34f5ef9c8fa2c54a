"""`anthropo.finetune`: the network does not depend on the number of jobs, nor the jobs on the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import anthropo

_SMALL = ("backbone=deepgestalt", "warm_start=none", "size=32", "batch=8", "epochs=2", "crop=0.2")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for label in ("red", "blue"):
        (folder / label).mkdir()
        for i in range(15):
            pixels = random.integers(0, 156, (40, 40, 3))
            pixels[:, :, 0 if label == "red" else 2] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{i}.png")
    return folder


def _trained(cohort: Path, output: Path, jobs: int, *changes: str, report: Any = None) -> bytes:
    request = anthropo.FinetuneRequest(
        recipe="skin-five",
        changes=(*_SMALL, *changes),
        device="cpu",
        reading=anthropo.PhotoReading(no_face=True, jobs=jobs),
    )
    anthropo.finetune(cohort, output, request, report=report)
    return output.read_bytes()


@pytest.mark.parametrize("memory", ["4.0", "0.0"])  # pictures that are kept, and that are cut in each epoch
def test_a_network_is_the_same_for_any_number_of_jobs(cohort: Path, tmp_path: Path, memory: str) -> None:
    before = torch.get_num_threads()
    one, two, five = (
        _trained(cohort, tmp_path / f"{jobs}.anthropo", jobs, f"memory={memory}") for jobs in (1, 2, 5)
    )
    assert one == two == five
    assert torch.get_num_threads() == before


def test_the_number_of_threads_is_an_option_that_the_network_keeps(cohort: Path, tmp_path: Path) -> None:
    path, used = tmp_path / "net.anthropo", set()
    _trained(cohort, path, 2, "threads=3", report=lambda _: used.add(torch.get_num_threads()))
    assert used == {3}
    assert anthropo.Network.load(path).about.parameters.threads == 3
