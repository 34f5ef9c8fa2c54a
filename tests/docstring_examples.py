"""A plugin for the examples in docstrings: those that name `m.anthropo` run in a folder that has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Converted weights of the tests stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with m.anthropo, trained on invented people, and person.jpg, who is none of them."""
    import anthropo
    from anthropo.synthetic import make_cohort

    folder = tmp_path_factory.mktemp("examples")
    labels = ("control", "synthetic-A")
    cohort = make_cohort(folder / "cohort", 6, labels)
    request = anthropo.TrainRequest(
        options=anthropo.Options(regions=("face",), min_patients=4),
        allow_duplicates=True,  # the pictures are made of one photograph
        reading=anthropo.PhotoReading(jitter=1, fine=False, cache=str(folder / "cache")),
    )
    anthropo.train(cohort, request, judge=False).trained.save(folder / "m.anthropo")
    (person,) = make_cohort(folder / "new", 1, labels[1:], seed=1).parent.glob("*.jpg")
    shutil.copy(person, folder / "person.jpg")
    return folder


@pytest.fixture(autouse=True)
def _in_example_folder(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    example = getattr(request.node, "dtest", None)
    if example is not None and "m.anthropo" in example.docstring:
        folder = request.getfixturevalue("example_folder")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("ANTHROPO_CACHE", str(folder / "cache"))
