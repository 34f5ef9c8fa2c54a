"""Annotated faces that every test shares: the astronaut with other proportions."""

from __future__ import annotations

from pathlib import Path

import pytest

from anthropo.landmarks import ForestOptions, write_example


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight people, person00.png and person00.pts and so on."""
    folder = tmp_path_factory.mktemp("annotated") / "faces"
    write_example(folder, people=8)
    return folder


@pytest.fixture(scope="session")
def small() -> ForestOptions:
    """Trees that are grown in a second."""
    return ForestOptions(cascades=4, trees=20, copies=6, pool=80)
