"""Videos: frames of skimage's astronaut, moved and lit a little differently, encoded in the test."""

from __future__ import annotations

import csv
import json
import math
import re
import struct
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import Invoke, Pixels
from PIL import Image

import anthropo
from anthropo.decoding import pool
from anthropo.errors import PhotoError
from anthropo.video import open_video

Clip = Callable[..., Path]


def encode(
    path: Path, frames: Sequence[Pixels], rate: int = 10, codec: str = "libx264", **options: str
) -> Path:
    with av.open(path, "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        stream.bit_rate = 4_000_000
        for pixels in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def moving(astronaut: Pixels) -> list[Pixels]:
    """A second of the astronaut, shifted by up to six pixels, brighter and darker."""
    random = np.random.default_rng(4)
    frames = []
    for _ in range(10):
        shift = random.integers(-6, 7, 2)
        light = random.uniform(0.85, 1.1)
        shifted = np.roll(astronaut, shift, (0, 1)).astype(float) * light
        frames.append(np.clip(shifted + random.normal(0, 4, shifted.shape), 0, 255).astype(np.uint8))
    return frames


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, moving: list[Pixels]) -> Path:
    return encode(tmp_path_factory.mktemp("videos") / "clip.mp4", moving)


def record_of(path: Path) -> dict[str, Any]:
    (record,) = json.loads(path.read_text())["photos"]
    return dict(record)


# -------------------------------------------------------------------------------------- frames


def test_frames_are_spread_evenly(tmp_path: Path, astronaut: Pixels) -> None:
    """The grey level of each frame says which one it is."""
    frames = [np.full((64, 64, 3), 4 * i, np.uint8) for i in range(60)]
    video = open_video(encode(tmp_path / "a.mp4", frames, 20, g="12"))
    assert video.seconds == pytest.approx(3.0)
    assert not video.cut_off
    levels = [round(photo.pixels.mean() / 4) for photo in video.photos(6)]
    assert np.abs(np.array(levels) - [5, 15, 25, 35, 45, 55]).max() <= 1
    assert [photo.source for photo in video.photos(2)] == [
        f"{tmp_path}/a.mp4 at {t} s" for t in ("0.75", "2.25")
    ]
    assert len(list(video.photos(100))) == 60


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.avi", "mpeg4"),
        ("a.MP4", "mpeg4"),
    ],
)
def test_containers_and_codecs(tmp_path: Path, astronaut: Pixels, name: str, codec: str) -> None:
    video = open_video(encode(tmp_path / name, [astronaut] * 5, codec=codec))
    photos = list(video.photos(3))
    assert len(photos) == 3
    for photo in photos:
        assert np.abs(photo.pixels.astype(int) - astronaut).mean() < 8


def test_rotation_is_honoured(tmp_path: Path, astronaut: Pixels) -> None:
    """As a phone writes it: the picture lies on its side, and the track's matrix turns it upright."""
    path = encode(tmp_path / "a.mp4", [np.rot90(astronaut)] * 3)
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 44
    assert struct.unpack(">9i", data[matrix : matrix + 36])[0] == 65536
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    (photo,) = open_video(path).photos(1)
    assert np.abs(photo.pixels.astype(int) - astronaut).mean() < 8


def test_pixels_become_square(tmp_path: Path, astronaut: Pixels) -> None:
    """Stored half as wide as it is shown."""
    narrow = np.asarray(Image.fromarray(astronaut).resize((256, 512), Image.Resampling.LANCZOS))
    path = tmp_path / "a.mp4"
    with av.open(path, "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 256, 512, "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        container.mux(stream.encode(av.VideoFrame.from_ndarray(narrow, format="rgb24")))
        container.mux(stream.encode())
    (photo,) = open_video(path).photos(1)
    assert photo.pixels.shape == (512, 512, 3)
    assert np.abs(photo.pixels.astype(int) - astronaut).mean() < 12


# --------------------------------------------------------------------------------- measurement


def test_measurements_are_pooled_over_frames(tmp_path: Path, clip: Path, invoke: Invoke) -> None:
    table = tmp_path / "a.json"
    assert invoke("measure", clip, "-o", table).exit_code == 0
    record = record_of(table)
    assert record["video"] == {"seconds": 1.0, "frames": 10, "measured": 10, "remarks": []}
    seen = 0
    for m in record["measurements"].values():
        if m["value"] is None or m["photos"] < 8:
            continue
        seen += 1
        assert m["lo"] < m["value"] < m["hi"]
        assert 0 < m["repeatability"] < 0.5 * m["sd"]
    assert seen > 30
    assert len(record["landmarks"]) == 68


def test_value_is_that_of_the_still_picture(
    tmp_path: Path, clip: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    invoke("measure", clip, "-o", a)
    invoke("measure", astronaut_png, "-o", b)
    still = record_of(b)["measurements"]
    checked = 0
    for name, m in record_of(a)["measurements"].items():
        if m["photos"] == 10 and registry_geometry(name) and still[name]["value"] is not None:
            checked += 1
            width = still[name]["hi"] - still[name]["value"]
            assert abs(m["value"] - still[name]["value"]) < 0.5 * width, name
            assert m["hi"] - m["value"] < 1.1 * width
    assert checked > 25


def registry_geometry(name: str) -> bool:
    return anthropo.registry()[name].code is not None


def test_table_has_frames_and_repeatability(
    tmp_path: Path, clip: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    table = tmp_path / "a.csv"
    arguments = ("measure", clip, astronaut_png, "--frames", 4, "-o", table)
    assert invoke(*arguments).exit_code == 0
    video, photo = csv.DictReader(table.read_text().splitlines())
    assert (video["video_frames"], video["video_measured"], photo["video_frames"]) == ("4", "4", "")
    assert video["intercanthal_width_photos"] == "4"
    assert 0 < float(video["intercanthal_width_repeatability"]) < float(video["intercanthal_width_sd"])
    assert photo["intercanthal_width_sd"] == ""
    before = table.read_bytes()
    assert "2 of them by an earlier run" in invoke(*arguments).stderr
    assert table.read_bytes() == before


def test_terminal_report_and_overlay(tmp_path: Path, clip: Path, invoke: Invoke) -> None:
    result = invoke("measure", clip, "--frames", 4, "--overlay", tmp_path / "o")
    assert "1.0 s, 4 of 4 frames measured" in result.stdout
    assert "SD between" in result.stdout
    (picture,) = (tmp_path / "o").iterdir()
    assert Image.open(picture).size[0] > 400
    assert invoke("measure", clip, "--frames", 2, "-o", tmp_path / "a.html").exit_code == 0
    assert "clip.mp4" in (tmp_path / "a.html").read_text()


def test_videos_in_folders_are_passed_over(
    tmp_path: Path, clip: Path, astronaut: Pixels, invoke: Invoke
) -> None:
    """A phone keeps a short clip beside each photo."""
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    (tmp_path / "a.mov").write_bytes(clip.read_bytes())
    invoke("measure", tmp_path, "-o", tmp_path / "t.csv")
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 2


# ----------------------------------------------------------------------------------- bad input


def test_one_frame_has_the_interval_of_one_photo(tmp_path: Path, astronaut: Pixels, invoke: Invoke) -> None:
    path = encode(tmp_path / "a.mp4", [astronaut])
    result = invoke("measure", path)
    assert result.exit_code == 0
    assert "one frame measured: the intervals are those of one photo" in result.stdout
    table = tmp_path / "a.json"
    invoke("measure", path, "-o", table)
    m = record_of(table)["measurements"]["intercanthal_width"]
    (photo,) = open_video(path).photos()
    (alone,) = [one for one in anthropo.measure(photo) if one.id == "intercanthal_width"]
    assert (m["value"], m["lo"], m["photos"], m["sd"]) == (alone.value, alone.lo, 1, None)


def test_video_without_a_face_says_so(tmp_path: Path, invoke: Invoke) -> None:
    path = encode(tmp_path / "a.mp4", [np.full((240, 320, 3), i, np.uint8) for i in (90, 120)])
    result = invoke("measure", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{path}: no face found in any of 2 frames. Use a video in which the whole face is visible, upright "
        "and well lit.\n"
    )


def test_frames_without_a_face_are_left_out(tmp_path: Path, moving: list[Pixels], invoke: Invoke) -> None:
    grey = np.full_like(moving[0], 90)
    path = encode(tmp_path / "a.mp4", [grey, *moving[:3], grey])
    result = invoke("measure", path)
    assert result.exit_code == 0
    assert "3 of 5 frames measured" in result.stdout


def test_several_people_are_refused(tmp_path: Path, canvas: Callable[..., Pixels], invoke: Invoke) -> None:
    path = encode(tmp_path / "a.mp4", [canvas()] * 2)
    result = invoke("measure", path)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{path} at 0.00 s: 2 faces found, 1 needed. Pass --face largest")
    assert invoke("measure", path, "--face", "largest").exit_code == 0
    result = invoke("measure", path, "--face", "all")
    assert result.stderr == f"{path}: --face all is for photos. Of a video, measure --face largest.\n"


def test_truncated_video_uses_what_is_there(tmp_path: Path, moving: list[Pixels], invoke: Invoke) -> None:
    whole = encode(tmp_path / "whole.mkv", moving * 2)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
    result = invoke("measure", cut)
    assert result.exit_code == 0
    assert re.search(r"ends after (0|1)\.\d of 2\.0 s: measured are the frames that are there", result.stdout)
    # an MP4 that keeps its index in front, and one that keeps it behind
    front = encode(tmp_path / "front.mp4", moving * 2, movflags="faststart")
    front.write_bytes(front.read_bytes()[: int(0.6 * front.stat().st_size)])
    assert invoke("measure", front, "-o", tmp_path / "a.csv").exit_code == 0
    behind = encode(tmp_path / "behind.mp4", moving)
    behind.write_bytes(behind.read_bytes()[: int(0.6 * behind.stat().st_size)])
    result = invoke("measure", behind)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{behind}: not a video that can be read. If it was cut off, copy it again; else export it as MP4.\n"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"no video at all",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nother.ts\n",
        b"ffconcat version 1.0\nfile other.mp4\n",
        b"\x00\x00\x00\x18ftypmp42" + bytes(200),
    ],
)
def test_what_is_no_video_or_only_points_to_one(tmp_path: Path, clip: Path, content: bytes) -> None:
    """Playlists name other files and addresses: nothing but the file itself is ever opened."""
    (tmp_path / "other.ts").write_bytes(clip.read_bytes())
    (tmp_path / "other.mp4").write_bytes(clip.read_bytes())
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=r"a\.mp4: (not a video that can be read|no video)"):
        open_video(path)


def test_sound_is_no_video(tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / "voice.mp4"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    result = invoke("measure", path)
    assert (result.exit_code, result.stderr) == (
        1, f"{path}: no video, sound only. Name a video or a photo.\n",
    )  # fmt: skip


def test_missing_and_empty_files(tmp_path: Path, invoke: Invoke) -> None:
    gone, empty, folder = tmp_path / "gone.mp4", tmp_path / "empty.mp4", tmp_path / "folder.mp4"
    empty.touch()
    folder.mkdir()
    Image.new("RGB", (9, 9)).save(folder / "a.png")
    assert invoke("measure", gone).stderr == f"{gone}: no such file.\n"
    assert invoke("measure", empty).stderr == f"{empty}: the file is empty (0 bytes).\n"
    assert "a.png: no face found" in invoke("measure", folder).stderr


def test_pixel_limit(clip: Path, invoke: Invoke) -> None:
    result = invoke("measure", clip, "--max-megapixels", 0.1)
    assert result.exit_code == 1
    assert "512 × 512 pixels are 0.2621 MP, more than the limit of 0.1 MP. Reduce the video" in result.stderr


def test_without_pyav(clip: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.end_idle()
    monkeypatch.setattr(pool, "PROGRAM", f"sys.modules['av'] = None; {pool.PROGRAM}")
    result = invoke("measure", clip)
    assert result.exit_code == 1
    assert result.stderr == (
        f'{clip} needs PyAV, which is not installed. Install it with `pip install "anthropo[video]"`.\n'
    )
    pool.end_idle()


def test_landmark_files_are_of_photographs(
    tmp_path: Path, clip: Path, astronaut_png: Path, invoke: Invoke
) -> None:
    file = tmp_path / "x.json"
    invoke("measure", astronaut_png, "--save-landmarks", file)
    result = invoke("measure", clip, "--landmarks", file)
    assert result.stderr == f"{clip}: --landmarks are those of a photo, not of a video.\n"
    result = invoke("measure", clip, "--frames", 1, "--save-landmarks", tmp_path / "y.json")
    assert (result.exit_code, result.stderr) == (
        1, f"{clip}: landmarks are saved of photos, not of a video.\n",
    )  # fmt: skip


def test_nothing_is_nan_in_json(tmp_path: Path, clip: Path, invoke: Invoke) -> None:
    table = tmp_path / "a.json"
    invoke("measure", clip, "--frames", 3, "--scale", "ipd=62", "--sex", "female", "--age", 31, "-o", table)
    record = json.loads(table.read_text(), parse_constant=lambda c: pytest.fail(c))["photos"][0]
    m = record["measurements"]["intercanthal_width"]
    assert m["mm"]["photos"] == 3
    assert 25 < m["mm"]["value"] < 40
    assert math.isfinite(m["z"][0]["z"])
