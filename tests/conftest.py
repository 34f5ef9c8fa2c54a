"""Pictures that every test shares: skimage's astronaut (public domain) and what is made of it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
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


@pytest.fixture
def dealt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-validation by one dealing of the folds, where the default is several: it is not the point."""
    monkeypatch.setattr("anthropo.learning.judging.repeats_for", lambda _: 1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines what was not tested for want of a browser."""
    skipped = [
        one for one in terminalreporter.stats.get("skipped", []) if WITHOUT_BROWSER in str(one.longrepr)
    ]
    if skipped:
        terminalreporter.write_line(f"NOT TESTED: the workbench's page ({WITHOUT_BROWSER}).", yellow=True)
