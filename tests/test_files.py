"""What is no regular file is refused in one sentence, wherever a file is named: nothing waits for a pipe."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Copies, Invoke

from anthropo import read_photo
from anthropo.errors import InputError, ModelError, PhotoError, WeightsError
from anthropo.files import (
    IrregularError,
    file_sha256,
    open_regular,
    read_regular,
    read_text,
    real_paths,
    write_atomically,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are known on Unix only")
SECONDS = 60  # a command that waits for a pipe would wait for ever


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which can be ended if it waits."""
    return subprocess.run(
        [sys.executable, "-c", "from anthropo.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def test_only_regular_files_are_opened(tmp_path: Path, pipe: Path) -> None:
    with pytest.raises(IrregularError, match="a named pipe, not a file"):
        read_regular(pipe)
    with pytest.raises(IrregularError, match="a named pipe, not a file"):
        open_regular(pipe, "ab")
    with pytest.raises(IrregularError, match="a named pipe"):
        file_sha256(pipe)
    with pytest.raises(IrregularError, match="a device, not a file"):
        read_regular("/dev/zero")
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(IrregularError, match="a socket, not a file"):
            read_regular(tmp_path / "s")
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "gone")


def test_files_are_of_a_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with open(path, "wb") as file:
        file.truncate(3 << 30)  # takes no space
    with pytest.raises(OSError, match=r"3 GiB, more than the limit of 1 GiB"):
        read_regular(path, most=1 << 30)
    with pytest.raises(InputError, match=r"cannot be read \(3 GiB, more than the limit of 0.25 GiB\)"):
        read_text(path)
    with pytest.raises(PhotoError, match=r"cannot be read \(3 GiB, more than the limit of 1 GiB\)"):
        read_photo(path)


def test_links_and_additions(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "b") == b"one"
    with open_regular(tmp_path / "b", "ab") as file:
        file.write(b", two")
    assert (tmp_path / "a").read_bytes() == b"one, two"
    with open_regular(tmp_path / "new", "ab") as file:
        file.write(b"new")
    assert read_regular(tmp_path / "new") == b"new"


def test_a_pipe_is_not_written_to(pipe: Path) -> None:
    with pytest.raises(IrregularError, match="a named pipe"):
        write_atomically(pipe, b"x")
    assert pipe.is_fifo()


def test_a_pipe_as_a_photo(pipe: Path) -> None:
    with pytest.raises(PhotoError) as caught:
        read_photo(pipe)
    assert str(caught.value) == f"{pipe}: a named pipe, not a file."
    with pytest.raises(PhotoError, match="/dev/zero: a device, not a file"):
        read_photo("/dev/zero")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_pipe_among_photos_is_one_row(tmp_path: Path, pipe: Path, copies: Copies, jobs: int) -> None:
    photos = copies(tmp_path, "a.png", "b.png")
    video = tmp_path / "v.mp4"
    os.mkfifo(video)
    done = run("measure", photos[0], pipe, video, photos[1], "-j", jobs, "-o", tmp_path / "t.csv")
    assert done.returncode == 3
    assert f"{pipe}: a named pipe, not a file.\n" in done.stderr
    assert f"{video}: a named pipe, not a file.\n" in done.stderr
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 5
    assert "Traceback" not in done.stderr


def test_a_pipe_as_a_table_or_output(tmp_path: Path, copies: Copies, invoke: Invoke) -> None:
    (photo,) = copies(tmp_path, "a.png")
    for name in ("p.csv", "p.xlsx", "p.json", "p.parquet", "p.html", "q.csv.partial"):
        os.mkfifo(tmp_path / name)
    assert "p.csv: cannot be read (a named pipe, not a file)" in invoke("measure", tmp_path / "p.csv").stderr
    assert (
        "p.xlsx: cannot be read (a named pipe, not a file)" in invoke("measure", tmp_path / "p.xlsx").stderr
    )
    for output in ("p.csv", "p.json", "p.parquet", "p.html", "q.csv"):
        result = invoke("measure", photo, "-o", tmp_path / output)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"Error: {tmp_path / output}: ")
        assert result.stderr.count("\n") == 1
    for option in ("--reference", "--landmarks"):
        result = invoke("measure", photo, option, tmp_path / "p.csv")
        assert result.exit_code in (1, 2)
        assert result.stderr.count("\n") == 1
    result = invoke("train", tmp_path / "p.csv", "-o", tmp_path / "m.anthropo")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    result = invoke("measure", photo, "--patient", "-o", tmp_path / "p.json")
    assert "a named pipe, not a file" in result.stderr


def test_pipes_as_models_weights_and_parameters(pipe: Path) -> None:
    from anthropo.encoder.cache import Store
    from anthropo.encoder.encoders import load_encoder
    from anthropo.learning.bundle import read_bundle

    with pytest.raises(ModelError, match="not a file"):
        read_bundle(pipe)
    with pytest.raises(WeightsError, match="a named pipe, not a file"):
        load_encoder("face-resnet", weights=pipe)
    store = Store(pipe.parent)
    os.makedirs(store._path("k").parent)
    os.mkfifo(store._path("k"))
    assert store.get("k") is None


def test_real_paths_follow_links_of_folders_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "there" / name).touch()
    (tmp_path / "folder").symlink_to("there")
    (tmp_path / "there" / "link.jpg").symlink_to("a.jpg")
    (tmp_path / "there" / "broken.jpg").symlink_to("nowhere/c.jpg")
    monkeypatch.chdir(tmp_path)
    real = real_paths()
    for folder in ("there", "folder", str(tmp_path / "folder"), "there/../folder", ""):
        for name in ("a.jpg", "b.jpg", "link.jpg", "broken.jpg", "missing.jpg", "", ".", ".."):
            path = os.path.join(folder, name)
            assert real(path) == os.path.realpath(path), path
