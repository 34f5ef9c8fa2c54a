"""Contents of files that another machine has sent"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import anthropo
from anthropo.errors import PhotoError
from anthropo.files import IrregularError, file_sha256, read_regular
from anthropo.sent import content_sent, files_sent, on_disk
from anthropo.video import open_video


def test_a_sent_photo_is_read_under_its_own_name(astronaut_png: Path) -> None:
    sent = anthropo.read_photo(astronaut_png)
    with files_sent({"far/away.png": astronaut_png.read_bytes()}):
        photo = anthropo.read_photo("far/away.png")
        assert file_sha256("far/away.png") == sent.sha256
    assert photo.source == "far/away.png"
    assert (photo.pixels == sent.pixels).all()
    with pytest.raises(PhotoError, match=r"^far/away\.png: no such file\.$"):
        anthropo.read_photo("far/away.png")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)), "p.jpg: no such file."),
        (IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)), "p.jpg: a folder, not a photo."),
        (IrregularError(errno.EINVAL, "a named pipe, not a file"), "p.jpg: a named pipe, not a file."),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES)),
            "p.jpg: cannot be read (Permission denied).",
        ),
    ],
)
def test_what_was_wrong_with_a_file_is_sent_as_well(error: OSError, says: str) -> None:
    with files_sent({"p.jpg": error}), pytest.raises(PhotoError) as raised:
        anthropo.read_photo("p.jpg")
    assert str(raised.value) == says


def test_what_was_not_sent_is_read_from_the_disk(astronaut_png: Path) -> None:
    with files_sent({"another.png": b""}):
        assert content_sent(astronaut_png) is None
        assert read_regular(astronaut_png) == astronaut_png.read_bytes()
        assert on_disk(astronaut_png) == str(astronaut_png)


def test_a_copy_for_other_processes_is_removed(tmp_path: Path) -> None:
    with files_sent({"a/clip.mp4": b"frames", "b/clip.mp4": b"others"}):
        copies = [Path(on_disk(name)) for name in ("a/clip.mp4", "b/clip.mp4", "a/clip.mp4")]
        assert [copy.read_bytes() for copy in copies] == [b"frames", b"others", b"frames"]
        assert copies[0].suffix == ".mp4"
        assert copies[0].parent.stat().st_mode & 0o077 == 0
    assert not copies[0].parent.exists()


def test_a_full_disk_is_the_reason_of_a_sent_video(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    with (
        files_sent({"clip.mp4": b"frames"}),
        pytest.raises(PhotoError, match=r"^clip\.mp4: cannot be read \(No space left on device\)\.$"),
    ):
        open_video("clip.mp4")
