"""Pictures that every test shares: skimage's astronaut (public domain) and what is made of it."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from anthropo.errors import AnthropoError
from anthropo.face import refine
from anthropo.face.landmarker import Face, read_face
from anthropo.face.weights import locate
from anthropo.photo import Photo
from anthropo.report.columns import dictionary

#: A shape predictor of dlib that anthropo does not use.
FIVE_POINTS = locate("landmarks-68").with_name("shape_predictor_5_face_landmarks.dat")

# Where tests run in the background of a shell, they and the processes they start would ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Several processes of tests share the cores: threads of a network that wait awake for each other keep the
# others from working. As `anthropo` does for itself; read when torch is loaded, which is later than this.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

#: Fixtures for the examples in docstrings, which are collected from the installed package.
pytest_plugins = ["docstring_examples"]

#: Why the tests of the workbench's page are left out, where there is no browser to run them in.
WITHOUT_BROWSER = "no browser: install chromium, and playwright for Python"

Pixels = NDArray[np.uint8]
Copies = Callable[..., list[Path]]
Invoke = Callable[..., Result]


@pytest.fixture(scope="session", autouse=True)
def json_is_valid() -> Iterator[None]:
    """Every JSON file that a command writes in this process is checked under its published schema."""
    import json_files

    from anthropo.cli import cli

    plain = CliRunner.invoke

    def checked(runner: CliRunner, command: Any, words: Any = None, **options: Any) -> Result:
        result = plain(runner, command, words, **options)
        if command is cli and result.exit_code in (0, 3) and isinstance(words, list):
            json_files.check_outputs(cli, [str(word) for word in words], result.stdout)
        return result

    patch = pytest.MonkeyPatch()
    patch.setattr(CliRunner, "invoke", checked)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def astronaut() -> Pixels:
    """(512, 512, 3); the face lies around x 178 to 281, y 76 to 178."""
    pixels: Pixels = data.astronaut()
    return pixels


@pytest.fixture(scope="session")
def head(astronaut: Pixels) -> Photo:
    """The astronaut's head four times as large, (960, 880, 3)."""
    part = Image.fromarray(astronaut).crop((120, 20, 340, 260))
    return Photo.from_array(np.asarray(part.resize((880, 960), Image.Resampling.LANCZOS)))


@pytest.fixture(scope="session")
def head_face(head: Photo) -> Face:
    """Its face by both landmark stages, straight on, and without what the photo gate voids."""
    found = refine(head, read_face(head, jitter=4))
    return replace(found, gate=(), yaw=0.0, pitch=0.0)


@pytest.fixture(scope="session")
def photo_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="session")
def astronaut_png(photo_dir: Path, astronaut: Pixels) -> Path:
    path = photo_dir / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    return path


@pytest.fixture(scope="session")
def astronaut_jpg(photo_dir: Path, astronaut: Pixels) -> Path:
    path = photo_dir / "astronaut.jpg"
    Image.fromarray(astronaut).save(path, quality=95)
    return path


@pytest.fixture(scope="session")
def faceless_png(photo_dir: Path) -> Path:
    path = photo_dir / "coins.png"
    Image.fromarray(data.coins()).save(path)
    return path


@pytest.fixture(scope="session")
def canvas(astronaut: Pixels) -> Callable[..., Pixels]:
    """canvas(rows, columns): that many astronauts beside and below each other."""

    def compose(rows: int = 1, columns: int = 2) -> Pixels:
        return np.ascontiguousarray(np.tile(astronaut, (rows, columns, 1)))

    return compose


@pytest.fixture(scope="session")
def two_faces_png(photo_dir: Path, canvas: Callable[..., Pixels]) -> Path:
    path = photo_dir / "two.png"
    Image.fromarray(canvas()).save(path)
    return path


@pytest.fixture
def copies(astronaut_png: Path) -> Copies:
    """copies(folder, "a.png", "b.png"): the astronaut under several names."""

    def copy(folder: Path, *names: str) -> list[Path]:
        paths = [folder / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(astronaut_png, path)
        return paths

    return copy


@pytest.fixture
def invoke() -> Invoke:
    """invoke("measure", path, ...): the command line in this process, with its unexpected errors raised."""
    from anthropo.cli import cli

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="anthropo")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def refused(invoke: Invoke, *arguments: object, says: str = "") -> str:
    """What stands on stderr after wrong use: exit code 2, nothing on stdout, and as its last line the one
    error, in which `says` is."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert says in last
    assert result.stderr.count("Error: ") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def sentence_of(
    kind: type[AnthropoError], call: Callable[..., object], *arguments: Any, **options: Any
) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def described(table: str, names: Iterable[str], optional: Iterable[str] = ()) -> None:
    """The data dictionary has each of a table's columns, and the table each that is no family or optional."""
    listed = list(names)
    rows = [one for one in dictionary() if one.table == table]
    assert [name for name in listed if not any(row.matches(name) for row in rows)] == []
    fixed = {row.column for row in rows if "{" not in row.column}
    assert fixed - set(listed) <= set(optional)


@pytest.fixture(scope="session")
def annotated_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight people, the astronaut with other proportions: person00.png and person00.pts …"""
    from anthropo.landmarks import write_example

    folder = tmp_path_factory.mktemp("annotated") / "faces"
    write_example(folder, people=8)
    return folder


@pytest.fixture(scope="module")
def maps_drawn_once() -> Iterator[None]:
    """In a module that uses it, heatmaps of one face by one model are computed once."""
    with drawing_once():
        yield


@contextmanager
def drawing_once() -> Iterator[None]:
    """Within it, equal heatmaps are computed once: they are most of what an explanation takes."""
    import pickle

    from anthropo.explanation import heatmap, network_heat
    from anthropo.groups import regions

    of_heads, of_network = heatmap.heat_of_heads, network_heat.network_heatmaps
    kept: dict[bytes, Any] = {}

    def once(draw: Callable[[], Any], photo: Photo, face: Face | None, *seen_by: Any) -> Any:
        asked = pickle.dumps((photo.pixels, None if face is None else face.landmarks, *seen_by))
        if asked not in kept:
            kept[asked] = draw()
        return kept[asked]

    def by_heads(
        encoder: Any, photo: Photo, face: Face | None, names: Any, heads: Any, *, jobs: int = 1, **how: Any
    ) -> Any:
        def draw() -> Any:
            return of_heads(encoder, photo, face, names, heads, jobs=jobs, **how)

        return once(draw, photo, face, encoder.name, encoder.digest, tuple(names), list(heads), how)

    def by_network(
        network: Any, photo: Photo, face: Face | None, label: str, metadata: Any = None, **how: Any
    ) -> Any:
        def draw() -> Any:
            return of_network(network, photo, face, label, metadata, **how)

        weights = [{name: part.numpy() for name, part in m.state_dict().items()} for m in network.modules]
        return once(draw, photo, face, weights, network.views, label, metadata, how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heatmap, "heat_of_heads", by_heads)
        patch.setattr(regions, "heat_of_heads", by_heads)
        patch.setattr(network_heat, "network_heatmaps", by_network)
        yield


@pytest.fixture
def dealt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-validation by one dealing of the folds, where the default is several: it is not the point."""
    monkeypatch.setattr("anthropo.learning.judging.repeats_for", lambda _: 1)


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch, dealt_once: None) -> None:
    """The demonstration with one plain look at each photo, two regions and two folds; `make demo` has all."""
    from anthropo.learning.model import Options
    from anthropo.workflows import demonstration
    from anthropo.workflows.cohort import PhotoReading, TrainRequest

    reading = partial(PhotoReading, jitter=1, fine=False)
    request = partial(TrainRequest, folds=2, options=Options(regions=("face", "mouth")))
    monkeypatch.setattr(demonstration, "PhotoReading", reading)
    monkeypatch.setattr(demonstration, "TrainRequest", request)


@pytest.fixture
def timed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are timed in this process, where that they have one of their own is not the point."""
    from anthropo.networks import bench, bench_worker

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        said = io.StringIO()
        with monkeypatch.context() as patch, redirect_stdout(said):
            patch.setattr(sys, "argv", command[2:])
            bench_worker.main()
        return subprocess.CompletedProcess(command, 0, said.getvalue(), "")

    monkeypatch.setattr(bench, "subprocess", SimpleNamespace(run=run))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines what was not tested for want of a browser."""
    skipped = [
        one for one in terminalreporter.stats.get("skipped", []) if WITHOUT_BROWSER in str(one.longrepr)
    ]
    if skipped:
        terminalreporter.write_line(f"NOT TESTED: the workbench's page ({WITHOUT_BROWSER}).", yellow=True)
