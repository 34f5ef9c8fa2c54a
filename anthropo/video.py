"""Video file to Photos: frames spread evenly over it, upright, with square pixels."""

from __future__ import annotations

import contextlib
import math
import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anthropo.decoding.limits import MAX_MEGAPIXELS
from anthropo.errors import PhotoError, parameter
from anthropo.files import open_regular
from anthropo.photo import Photo, opening

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

#: What is taken for a video.
SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".3gp"})
#: Frames that are measured of a video, however long it is.
FRAMES = 16

# Containers that hold their frames themselves. Others (playlists) name files and addresses to read from.
_FORMATS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "asf",
    "ogg", "flv", "wav", "mp3", "aac", "flac",
)  # fmt: skip
_WHOLE = 0.9  # of the promised duration: a video with less has been cut off


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in SUFFIXES


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A video file that can be decoded; made by `open_video`."""

    source: str
    seconds: float  # how long it is, by the frames that are there
    promised: float  # the length that the file states; NaN without one
    _stamps: tuple[int, ...]  # of its frames, in the stream's unit of time
    _keys: tuple[int, ...]  # of the frames that can be decoded without others

    @property
    def cut_off(self) -> bool:
        """Whether the end is missing."""
        return len(self._stamps) > 1 and self.seconds < _WHOLE * self.promised

    def photos(self, count: int = FRAMES) -> Iterator[Photo]:
        """Up to `count` frames at even distances, their source with the second; damaged ones are left out."""
        n = len(self._stamps)
        wanted = sorted({self._stamps[int((i + 0.5) * n / count)] for i in range(count)})
        with _opened(self.source) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            at = -1  # index of the last key frame that decoding started from or passed
            frames: Iterator[VideoFrame] = iter(())
            for stamp in wanted:
                key = bisect_right(self._keys, stamp) - 1
                if key > at or at < 0:
                    # straight to the last frame that needs no other, unless decoding has come further
                    container.seek(self._keys[max(0, key)], stream=stream)
                    frames, at = _decoded(container, stream), max(0, key)
                frame = next((f for f in frames if (s := _stamp(f)) is not None and s >= stamp), None)
                if frame is not None:
                    seconds = (stamp - self._stamps[0]) * float(stream.time_base or 0)
                    aspect = float(stream.sample_aspect_ratio or 1)
                    yield _photo(frame, aspect, f"{self.source} at {seconds:.2f} s")


def open_video(path: str | os.PathLike[str], *, max_megapixels: float | None = MAX_MEGAPIXELS) -> Video:
    """Find out which frames a video file has; larger ones than `max_megapixels` are refused."""
    where = os.fspath(path)
    with _opened(where) as container:
        if not container.streams.video:
            kind = "sound only" if container.streams.audio else "nothing that can be seen"
            raise PhotoError(f"{where}: no video, {kind}. Name a video or a photograph.")
        stream = container.streams.video[0]
        width, height = stream.width, stream.height
        if max_megapixels is not None and width * height > max_megapixels * 1e6:
            raise PhotoError(
                f"{where}: {width} × {height} pixels are {width * height / 1e6:.0f} MP, more than the limit "
                f"of {max_megapixels:g} MP. Reduce the video, or raise the limit with "
                f"{parameter('max_megapixels')}."
            )
        unit = float(stream.time_base or 0)
        stamps: list[int] = []
        keys: list[int] = []
        with contextlib.suppress(*_errors()):  # a file that was cut off
            for packet in container.demux(stream):
                stamp = _stamp(packet)
                if packet.size and stamp is not None:
                    stamps.append(stamp)
                    if packet.is_keyframe:
                        keys.append(stamp)
        promised = math.nan
        if stream.duration:
            promised = stream.duration * unit
        elif container.duration:
            promised = container.duration / 1e6
    if not stamps or not keys or not unit:
        raise unreadable(where)
    ordered = tuple(sorted(stamps))
    n = len(ordered)
    seconds = (ordered[-1] - ordered[0]) * unit * n / (n - 1) if n > 1 else 0.0
    return Video(where, seconds, promised, ordered, tuple(sorted(keys)))


@contextmanager
def _opened(path: str) -> Iterator[InputContainer]:
    """The file's container; PhotoError when it is none, or no longer one when it is read."""
    try:
        import av
    except ImportError:
        raise PhotoError(
            f"{path}: videos are read with PyAV. Install it: pip install 'anthropo[video]'."
        ) from None
    with opening(path, "a video"):
        file = open_regular(path, most=None)
    with file:
        if not os.path.getsize(path):
            raise PhotoError(f"{path}: the file is empty (0 bytes).")
        try:
            # a file object, and no protocols: nothing else is opened, whatever the file says
            options = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}
            container = av.open(file, "r", options=options)
        except _errors():
            raise PhotoError(
                f"{path}: not a video that can be read. If it was cut off, copy it again; else export it as "
                "MP4."
            ) from None
        with container:
            yield container


def _errors() -> tuple[type[BaseException], ...]:
    """What PyAV raises on damaged files."""
    import av

    return (av.FFmpegError, EOFError, UnicodeDecodeError)


def _stamp(part: Packet[VideoStream] | VideoFrame) -> int | None:
    """When a packet or frame is shown, in the stream's unit; some containers tell only when it is decoded."""
    return part.dts if part.pts is None else part.pts


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames from here on; damaged packets are passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except _errors():  # a file that was cut off
            packet = None
        if packet is None:
            return
        with contextlib.suppress(*_errors()):
            yield from packet.decode()


def _photo(frame: VideoFrame, aspect: float, source: str) -> Photo:
    """Upright, with pixels as wide as they are high."""
    square = frame.reformat(width=round(frame.width * aspect), height=frame.height, format="rgb24")
    pixels: Any = square.to_ndarray()
    return Photo.from_array(np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90)), source)


def unreadable(path: str) -> PhotoError:
    """The error of a video without a frame that can be decoded."""
    return PhotoError(f"{path}: no frame of this video can be decoded. Copy or export it again.")
