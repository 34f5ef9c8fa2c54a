"""A plugin for the examples in docstrings, each of which runs in an empty folder.

Those that name `m.anthropo` share a folder that has it.
"""

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


@pytest.fixture(autouse=True)
def _no_measurements_of_others() -> Iterator[None]:
    """Measurements that a test, an example or a model adds are gone afterwards."""
    from anthropo.definitions import only

    with only(()):
        yield


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with m.anthropo, trained on invented people, and person.jpg, who is none of them.

    net.anthropo is a network with random weights.
    """
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
    _network(folder / "net.anthropo", labels)
    (person,) = make_cohort(folder / "new", 1, labels[1:], seed=1).parent.glob("*.jpg")
    shutil.copy(person, folder / "person.jpg")
    return folder


def _network(path: Path, labels: tuple[str, ...]) -> None:
    """A network of faces with random weights."""
    import torch

    from anthropo.learning.manifest import Manifest, PhotoSettings
    from anthropo.networks.architectures import Spec, build
    from anthropo.networks.description import Description
    from anthropo.networks.network import Network
    from anthropo.networks.recipes import load_recipe

    torch.manual_seed(0)
    spec = Spec(task="labels", backbone="deepgestalt", channels=3, outputs=2, dropout=0.5, head="linear")
    about = Description(
        recipe="deepgestalt",
        parameters=load_recipe("deepgestalt").parameters,
        spec=spec,
        size=48,
        views=("face",),
        mean=(127.5,) * 3,
        std=(127.5,) * 3,
        grey=False,
        alignment="mean-face",
        crops="scaled",
        dimension=320,
        metadata=None,
    )
    settings = PhotoSettings(face="one", fine=False, jitter=1)
    manifest = Manifest(labels=labels, task="binary", settings=settings, regions=("face",))
    Network(manifest, about, (build(spec).eval(),)).save(path)


@pytest.fixture(autouse=True)
def _in_a_folder(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    example = getattr(request.node, "dtest", None)
    if example is None:
        return
    if "m.anthropo" not in example.docstring:
        monkeypatch.chdir(request.getfixturevalue("tmp_path"))
    else:
        folder = request.getfixturevalue("example_folder")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("ANTHROPO_CACHE", str(folder / "cache"))
