"""Kinds of videos that cameras, phones and programs write, and damaged ones; all of them made in the test."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from conftest import Invoke, Pixels

from anthropo.decoding import movie
from anthropo.errors import PhotoError
from anthropo.measurement.colour import COLOUR
from anthropo.video import open_video

STEP = 4  # grey levels from one frame to the next


def grey(count: int, size: int = 64) -> Iterator[av.VideoFrame]:
    """Each frame's grey level says which one it is."""
    for i in range(count):
        yield av.VideoFrame.from_ndarray(np.full((size, size, 3), STEP * i, np.uint8), format="rgb24")


def numbers(path: Path, count: int) -> list[int]:
    return [round(photo.pixels.mean() / STEP) for photo in open_video(path).photos(count)]


def write(
    path: Path,
    frames: Iterator[av.VideoFrame],
    form: str | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    gop: int = 12,
    size: int = 64,
    **said: int,
) -> Path:
    """Encode frames; `said` is what the stream says of its colours."""
    with av.open(path, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = size, size, pixels
        stream.bit_rate = 2_000_000
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = 2
        for name, value in said.items():
            setattr(stream.codec_context, name, value)
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# ---------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("gop", [1, 12, 300])
@pytest.mark.parametrize(
    ("name", "form", "codec"),
    [
        ("a.mts", "mpegts", "libx264"),
        ("a.mpg", "mpegts", "libx264"),
        ("a.ts", "mpegts", "mpeg2video"),
        ("a.mpg", "mpeg", "mpeg2video"),
        ("a.vob", "vob", "mpeg2video"),  # not every frame has its time
        ("a.avi", "avi", "mpeg4"),  # calls frames keys that are none
        ("a.mkv", "matroska", "libx264"),
        ("a.mov", "mov", "libx264"),
        ("a.flv", "flv", "libx264"),
    ],
)
def test_the_frames_asked_for(tmp_path: Path, name: str, form: str, codec: str, gop: int) -> None:
    path = write(tmp_path / name, grey(60), form, codec, gop=gop)
    assert np.abs(np.array(numbers(path, 5)) - [6, 18, 30, 42, 54]).max() <= (form in ("avi", "vob"))
    assert len(numbers(path, 16)) == 16


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize(("form", "codec"), [("mpegts", "libx264"), ("mpeg", "mpeg2video"), ("mp4", "mpeg4")])
def test_very_short_clips(tmp_path: Path, form: str, codec: str, count: int) -> None:
    path = write(tmp_path / "a.mpg", grey(count), form, codec)
    assert numbers(path, 16) == list(range(count))
    assert not open_video(path).cut_off


# -------------------------------------------------------------------------------- display matrix


@pytest.mark.parametrize(
    ("matrix", "stored"),
    [
        ((1, 0, 0, 1), lambda a: a),
        ((0, 1, -1, 0), lambda a: np.rot90(a)),
        ((-1, 0, 0, -1), lambda a: np.rot90(a, 2)),
        ((0, -1, 1, 0), lambda a: np.rot90(a, 3)),
        ((-1, 0, 0, 1), lambda a: a[:, ::-1]),
        ((1, 0, 0, -1), lambda a: a[::-1]),
        ((0, 1, 1, 0), lambda a: a.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda a: a[::-1, ::-1].swapaxes(0, 1)),
    ],
)
def test_whole_display_matrix(
    tmp_path: Path, astronaut: Pixels, matrix: tuple[int, ...], stored: Callable[[Pixels], Pixels]
) -> None:
    """Front cameras mirror, and other cameras hang upside down."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored(astronaut)), format="rgb24")
    path = write(tmp_path / "a.mp4", iter([frame]), size=512)
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    a, b, c, d = (65536 * part for part in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    (photo,) = open_video(path).photos(1)
    assert np.abs(photo.pixels.astype(int) - astronaut).mean() < 8


# ---------------------------------------------------------------------------------------- tracks


def with_cover(path: Path, frames: int, cover: int, codec: str = "png", sound: bool = False) -> Path:
    """A picture of level 200 as first stream, then a video of level 80, or sound."""
    with av.open(path, "w") as container:
        picture: Any = container.add_stream(codec, rate=25)
        picture.width = picture.height = 128
        picture.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
        picture.disposition = cover
        video: Any = container.add_stream("libx264", rate=25) if frames else None
        if video:
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        voice: Any = container.add_stream("aac", rate=8000) if sound else None
        bright = av.VideoFrame.from_ndarray(np.full((128, 128, 3), 200, np.uint8), format="rgb24")
        container.mux(picture.encode(bright))
        container.mux(picture.encode())
        for _ in range(frames):
            dark = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 80, np.uint8), format="rgb24")
            container.mux(video.encode(dark))
        if video:
            container.mux(video.encode())
        if voice:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
            silence.sample_rate, silence.pts, silence.time_base = 8000, 0, Fraction(1, 8000)
            container.mux(voice.encode(silence))
            container.mux(voice.encode())
    return path


@pytest.mark.parametrize("cover", [Disposition.attached_pic, Disposition.default, 0])
@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "mjpeg"), ("a.mov", "png"), ("a.mp4", "mjpeg")])
def test_the_video_and_not_its_cover(tmp_path: Path, name: str, codec: str, cover: int) -> None:
    photos = list(open_video(with_cover(tmp_path / name, 5, int(cover), codec)).photos(3))
    assert [(photo.full_size, round(photo.pixels.mean() / 10)) for photo in photos] == [((64, 64), 8)] * 3


@pytest.mark.parametrize("cover", [Disposition.attached_pic, 0])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mjpeg"), ("a.mov", "png"), ("a.mkv", "mjpeg")])
def test_sound_with_a_cover_is_no_video(tmp_path: Path, name: str, codec: str, cover: int) -> None:
    path = with_cover(tmp_path / name, 0, int(cover), codec, sound=True)
    with pytest.raises(PhotoError, match=re.escape(f"{path}: no video, sound only.")):
        open_video(path)


# --------------------------------------------------------------------------------------- colours

SKIN = (200, 140, 110)
_SHARES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}  # of red and blue in luma


def patch(matrix: int, full: bool, colour: tuple[int, ...] = SKIN, size: int = 64) -> av.VideoFrame:
    """A frame of one colour, by the equations of ITU-R BT.709, 601 or 2020."""
    red, green, blue = (v / 255 for v in colour)
    r, b = _SHARES[matrix]
    luma = r * red + (1 - r - b) * green + b * blue
    chroma = (blue - luma) / (2 - 2 * b), (red - luma) / (2 - 2 * r)
    values = [255 * luma, *(128 + 255 * c for c in chroma)]
    if not full:
        values = [16 + 219 * luma, *(128 + 224 * c for c in chroma)]
    pixels = np.array([np.full((size, size), round(value), np.uint8) for value in values])
    return av.VideoFrame.from_ndarray(pixels, format="yuv444p")


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_matrix_and_range_are_honoured(tmp_path: Path, matrix: int, full: bool) -> None:
    said = {"colorspace": matrix, "color_range": 2 if full else 1, "color_trc": 1, "color_primaries": 1}
    path = write(tmp_path / "a.mp4", iter([patch(matrix, full)]), pixels="yuv444p", **said)
    (photo,) = open_video(path).photos(1)
    assert np.abs(photo.pixels.astype(int) - SKIN).max() <= 3
    assert not photo.colour_doubt


def bt2100(curve: int) -> tuple[int, ...]:
    """SKIN's light in BT.2020 primaries and the curve of PQ or HLG, by ITU-R BT.2100, BT.2087 and BT.2408."""
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    srgb = np.array(SKIN) / 255
    light = to_2020 @ np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4) * 203
    if curve == 16:
        power = (light / 10000) ** 0.1593017578125
        value = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        light /= 1000
        scene = light * (np.array([0.2627, 0.678, 0.0593]) @ light) ** (1 / 1.2 - 1)
        value = np.where(
            scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073
        )
    return tuple(np.round(255 * value).astype(int).tolist())


@pytest.mark.parametrize("curve", [16, 18])
def test_high_dynamic_range_becomes_srgb(tmp_path: Path, curve: int) -> None:
    said = {"colorspace": 9, "color_range": 1, "color_trc": curve, "color_primaries": 9}
    frame = patch(9, full=False, colour=bt2100(curve))
    path = write(tmp_path / "a.mp4", iter([frame]), pixels="yuv444p", **said)
    (photo,) = open_video(path).photos(1)
    assert np.abs(photo.pixels.astype(int) - SKIN).max() <= 8  # of 8-bit values of a steep curve
    assert "high dynamic range" in photo.remark
    assert not photo.colour_doubt


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"color_primaries": 9, "colorspace": 9}, "may be HLG's"),
        ({"colorspace": 9}, "may be HLG's"),
        ({"color_trc": 9, "color_primaries": 1, "colorspace": 1}, "primaries 1 and curve 9 are not known"),
    ],
)
def test_colours_that_are_not_srgb_are_not_measured(
    tmp_path: Path, astronaut: Pixels, invoke: Invoke, said: dict[str, int], why: str
) -> None:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(astronaut), format="rgb24")
    path = write(tmp_path / "a.mp4", iter([frame]), size=512, **said)
    result = invoke("measure", path, "--force", "-o", tmp_path / "a.json")
    assert result.exit_code == 0
    (record,) = json.loads((tmp_path / "a.json").read_text())["photos"]
    remark = f"no colours measured, the video's colours are not sRGB's: .*{why}"
    assert re.search(remark, record["video"]["remarks"][1])
    for name in COLOUR:
        m = record["measurements"][name]
        assert m["value"] is None
        assert re.search(why, m["reason"])
    assert record["measurements"]["intercanthal_width"]["value"] is not None


# --------------------------------------------------------------------------------------- damaged


@pytest.mark.parametrize(
    ("form", "codec"),
    [("mp4", "libx264"), ("matroska", "libx264"), ("mpegts", "mpeg2video"), ("avi", "mpeg4")],
)
def test_damage_is_a_reason_and_no_traceback(tmp_path: Path, form: str, codec: str) -> None:
    whole = write(tmp_path / "whole", grey(12), form, codec).read_bytes()
    random = np.random.default_rng(7)
    path = tmp_path / "a.mp4"
    outcomes, reasons = set(), []
    for i in range(60):
        data = bytearray(whole)
        for at in random.integers(0, len(data) if i % 2 else min(800, len(data)), 1 + i % 7):
            data[at] = random.integers(256)
        path.write_bytes(data)
        try:
            outcomes.add(bool(list(open_video(path).photos(3))))
        except PhotoError as error:
            reasons.append(str(error))
    assert True in outcomes
    assert all(reason.startswith(f"{path}: ") for reason in reasons)


def test_unknown_codec(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", grey(3))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    with pytest.raises(PhotoError, match="no frame of this video can be decoded"):
        open_video(path)


def test_frames_larger_than_the_container_says(tmp_path: Path) -> None:
    """The limit of megapixels holds for what the decoder makes."""
    path = write(tmp_path / "a.mkv", grey(3, 512), codec="mpeg4", size=512)
    data = path.read_bytes()
    width, height = b"\xb0\x82\x02\x00", b"\xba\x82\x02\x00"  # Matroska's PixelWidth and PixelHeight
    assert data.count(width) == data.count(height) == 1
    path.write_bytes(data.replace(width, b"\xb0\x82\x00\x40").replace(height, b"\xba\x82\x00\x40"))
    with pytest.raises(PhotoError, match=r"MP, more than the limit"):
        list(open_video(path, max_megapixels=0.1).photos())


@pytest.mark.parametrize(("first", "size"), [(0, 188), (4, 192)])
def test_transport_streams_are_known_by_three_packets(first: int, size: int) -> None:
    """Blu-ray and camcorders put four bytes before each packet."""
    packets = bytearray(4 * 192)
    packets[first::size] = b"G" * len(packets[first::size])
    assert movie._is_transport_stream(bytes(packets[: movie._HEAD]))
    packets[first + size] = 0
    assert not movie._is_transport_stream(bytes(packets[: movie._HEAD]))
