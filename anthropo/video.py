"""Video file to Photos: frames spread evenly over it, upright, with square pixels."""

from __future__ import annotations

import contextlib
import math
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from anthropo.decoding.colour import SRGB, Colours, of_code_points
from anthropo.decoding.limits import MAX_MEGAPIXELS, ExcessError, Limits
from anthropo.errors import AnthropoError, PhotoError
from anthropo.files import open_regular
from anthropo.licensing import check
from anthropo.photo import Photo, opening

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer
    from numpy.typing import NDArray

#: What is taken for a video.
SUFFIXES = frozenset(
    (
        ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".ogv", ".flv", ".wmv",
        ".asf", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2t", ".m2ts", ".mod", ".tod",
    )
)  # fmt: skip
#: Frames that are measured of a video, however long it is.
FRAMES = 16

# Containers that hold their frames themselves. Others (playlists) name files and addresses to read from.
_FORMATS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "asf",
    "ogg", "flv", "wav", "mp3", "aac", "flac",
)  # fmt: skip
# Codecs of single pictures: one such frame beside sound is its cover.
_STILLS = frozenset(("mjpeg", "png", "bmp", "gif", "tiff", "webp", "jpeg2000"))
_WHOLE = 0.9  # of the promised duration: a video with less has been cut off


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in SUFFIXES


@dataclass(frozen=True, slots=True)
class _Key:
    """A frame that can be decoded without others: when it is shown, and when it is decoded."""

    shown: int
    decoded: int


@dataclass(slots=True, eq=False)
class _Track:
    """The packets of one stream of pictures."""

    stream: VideoStream
    stamps: list[int] = field(default_factory=list)
    keys: list[_Key] = field(default_factory=list)

    def add(self, packet: Packet[Any]) -> None:
        stamp = _stamp(packet)
        if packet.size and stamp is not None:
            self.stamps.append(stamp)
            if packet.is_keyframe:
                self.keys.append(_Key(stamp, stamp if packet.dts is None else packet.dts))

    @property
    def rank(self) -> tuple[bool, bool, int, int]:
        """The higher, the likelier it is what the file is about."""
        from av.stream import Disposition

        default = bool(self.stream.disposition & Disposition.default)
        return len(self.stamps) > 1, default, self.stream.width * self.stream.height, len(self.stamps)

    @property
    def is_cover(self) -> bool:
        """Whether it is one picture, as music has it."""
        return len(self.stamps) <= 1 and self.stream.codec_context.name in _STILLS


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A video file that can be decoded; made by `open_video`."""

    source: str
    seconds: float  # how long it is, by the frames that are there
    promised: float  # the length that the file states; NaN without one
    _index: int  # of the stream that is read
    _most: int | None  # pixels of a frame
    _stamps: tuple[int, ...]  # of its frames, in the stream's unit of time
    _keys: tuple[_Key, ...]

    @property
    def cut_off(self) -> bool:
        """Whether the end is missing."""
        return len(self._stamps) > 1 and self.seconds < _WHOLE * self.promised

    def photos(self, count: int = FRAMES) -> Iterator[Photo]:
        """Up to `count` frames at even distances, their source with the second; damaged ones are left out."""
        n = len(self._stamps)
        left = sorted({self._stamps[int((i + 0.5) * n / count)] for i in range(count)})
        last = self._stamps[0] - 1
        # what cannot be had by going straight to it is decoded from the start
        for seek in (True, False) if self._keys else (False,):
            with _opened(self.source) as container, _foreign(self.source):
                stream = container.streams.video[self._index]
                stream.thread_type = "AUTO"
                if self._most is not None:  # a frame may be larger than its container says
                    stream.codec_context.options = {"max_pixels": str(self._most)}
                for frame in self._frames(container, stream, left, seek):
                    del left[0]
                    shown = _stamp(frame)
                    if shown is None or shown <= last:
                        continue
                    last = shown
                    seconds = (shown - self._stamps[0]) * float(stream.time_base or 0)
                    yield _photo(frame, _aspect(stream), f"{self.source} at {seconds:.2f} s")
            if not left:
                return

    def _frames(
        self, container: InputContainer, stream: VideoStream, stamps: Sequence[int], seek: bool
    ) -> Iterator[VideoFrame]:
        """The frame of each stamp, or the next one there is; fewer where decoding fails."""
        at = -1  # index of the last key frame that decoding started from
        frames = iter(()) if seek else _decoded(container, stream)
        for stamp in tuple(stamps):
            key = max(0, bisect_right(self._keys, stamp, key=lambda k: k.shown) - 1)
            if seek and key > at:
                frames, at = _from_key(container, stream, self._keys[key]), key
            frame = _first(frames, stamp)
            if frame is None:
                return
            yield frame


def open_video(path: str | os.PathLike[str], *, max_megapixels: float | None = MAX_MEGAPIXELS) -> Video:
    """Find out which frames a video file has; larger ones than `max_megapixels` are refused."""
    where = os.fspath(path)
    with _opened(where) as container, _foreign(where):
        track = _main_track(container, where)
        stream = track.stream
        limits = Limits(max_megapixels, None)
        try:
            limits.check_pixels(round(stream.width * _aspect(stream)), stream.height)
        except ExcessError as error:
            raise error.refusal(where, limits, "video") from None
        unit = float(stream.time_base or 0)
        promised = math.nan
        if stream.duration:
            promised = stream.duration * unit
        elif container.duration:
            promised = container.duration / 1e6
        index = container.streams.video.index(stream)
    if not track.stamps or not unit:
        raise unreadable(where)
    ordered = tuple(sorted(track.stamps))
    n = len(ordered)
    seconds = (ordered[-1] - ordered[0]) * unit * n / (n - 1) if n > 1 else 0.0
    most = None if max_megapixels is None else int(max_megapixels * 1e6)
    return Video(
        where, seconds, promised, index, most, ordered, tuple(sorted(track.keys, key=lambda k: k.shown))
    )


def _main_track(container: InputContainer, where: str) -> _Track:
    """The stream that the file is about, all its packets read; no cover and no thumbnails."""
    from av.stream import Disposition

    beside = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [s for s in container.streams.video if not s.disposition & beside]
    tracks = {s.index: _Track(s) for s in moving if s.codec_context is not None}
    if moving and not tracks:  # of a codec that is not known
        raise unreadable(where)
    if tracks:
        with contextlib.suppress(Exception):  # a file that was cut off
            for packet in container.demux([t.stream for t in tracks.values()]):
                tracks[packet.stream.index].add(packet)
    track = max(tracks.values(), key=lambda t: t.rank, default=None)
    sound = bool(container.streams.audio)
    if track is None or (sound and track.is_cover):
        kind = "sound only" if sound else "nothing that can be seen"
        raise PhotoError(f"{where}: no video, {kind}. Name a video or a photograph.")
    return track


@contextmanager
def _opened(path: str) -> Iterator[InputContainer]:
    """The file's container; PhotoError when it is none, or no longer one when it is read."""
    check("video", PhotoError, path)
    try:
        import av
    except ImportError:
        raise PhotoError(
            f"{path}: videos are read with PyAV. Install it: pip install 'anthropo[video]'."
        ) from None
    with opening(path, "a video"):
        file = open_regular(path, most=None)
    with file:
        if not os.fstat(file.fileno()).st_size:
            raise PhotoError(f"{path}: the file is empty (0 bytes).")
        try:
            # a file object, and no protocols: nothing else is opened, whatever the file says
            options = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}
            form = "mpegts" if _is_transport_stream(file.read(_HEAD)) else None
            file.seek(0)
            container = av.open(file, "r", format=form, options=options)
        except Exception:  # a foreign library, which may raise anything
            raise PhotoError(
                f"{path}: not a video that can be read. If it was cut off, copy it again; else export it as "
                "MP4."
            ) from None
        with container:
            yield container


_HEAD = 4 + 2 * 192 + 1  # bytes: up to the third packet, also where packets have 192


def _is_transport_stream(head: bytes) -> bool:
    """Whether a file is MPEG-TS, also as Blu-ray and camcorders have it: short ones are not recognised."""
    return any(head[first : first + 2 * size + 1 : size] == b"GGG" for first, size in ((0, 188), (4, 192)))


@contextmanager
def _foreign(path: str) -> Iterator[None]:
    """Around what a decoder does: whatever it raises is a PhotoError."""
    try:
        yield
    except (AnthropoError, MemoryError):
        raise
    except Exception:
        raise unreadable(path) from None


def _stamp(part: Packet[Any] | VideoFrame) -> int | None:
    """When a packet or frame is shown, in the stream's unit; some containers tell only when it is decoded."""
    return part.dts if part.pts is None else part.pts


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames from here on; damaged packets are passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except Exception:  # a file that was cut off
            packet = None
        if packet is None:
            return
        with contextlib.suppress(Exception):
            yield from packet.decode()


def _from_key(container: InputContainer, stream: VideoStream, key: _Key) -> Iterator[VideoFrame]:
    """Frames from a key frame on; none where seeking leads elsewhere.

    Some containers look a frame up by when it is shown, others by when it is decoded, some guess from the
    bytes; and some call a frame a key that is none.
    """
    for time in dict.fromkeys((key.shown, min(key.shown, key.decoded))):
        with contextlib.suppress(Exception):
            container.seek(time, stream=stream)
            frames = _decoded(container, stream)
            frame = _first(frames, key.shown)
            if frame is not None and _stamp(frame) == key.shown and frame.key_frame:
                return chain((frame,), frames)
    return iter(())


def _first(frames: Iterator[VideoFrame], stamp: int) -> VideoFrame | None:
    """The first frame that is shown then or later."""
    return next((f for f in frames if (s := _stamp(f)) is not None and s >= stamp), None)


def _aspect(stream: VideoStream) -> float:
    """Width of a pixel by its height."""
    return float(stream.sample_aspect_ratio or 1)


def _photo(frame: VideoFrame, aspect: float, source: str) -> Photo:
    """Upright, with pixels as wide as they are high, in sRGB as far as that is known."""
    colours, doubt = _colours(frame)
    square = frame.reformat(
        width=max(1, round(frame.width * aspect)),
        height=frame.height,
        format="rgb24",
        src_colorspace=_matrix(frame),
        src_color_range=_FULL if _full_range(frame) else _LIMITED,
        dst_color_range=_FULL,
    )
    pixels: Any = square.to_ndarray()
    if colours.convert is not None:
        pixels = np.asarray(colours.convert(Image.fromarray(pixels)))
    upright = _upright(pixels, _display_matrix(frame))
    doubt = doubt and f"the video's colours are not sRGB's: {doubt}"
    return replace(Photo.from_array(upright, source), remark=colours.remark, colour_doubt=doubt)


def _display_matrix(frame: VideoFrame) -> Sequence[int]:
    """How a frame's places (x, y) become the picture's, a x + c y and b x + d y: (a, b, c, d)."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    return a, b, c, d


def _upright(pixels: NDArray[np.uint8], matrix: Sequence[int]) -> NDArray[np.uint8]:
    """Turned and mirrored as the display matrix says, to the nearest quarter of a turn."""
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels = pixels.swapaxes(0, 1)
        to_x, to_y = c, b
    else:
        to_x, to_y = a, d
    return np.ascontiguousarray(pixels[:: -1 if to_y < 0 else 1, :: -1 if to_x < 0 else 1])


# Codes of ITU-T H.273 for what a video says of its colours
_LIMITED, _FULL = 1, 2
_UNSAID, _BT709, _BT601, _BT2020 = 2, 1, 5, 9
_MATRICES = frozenset((_BT709, 4, _BT601, 6, 7, _BT2020, 10))
# Their primaries hardly differ from sRGB's, and every program shows their curves as sRGB's.
_PRIMARIES = frozenset((_BT709, _UNSAID, 4, 5, 6, 7))
_CURVES = frozenset((_BT709, _UNSAID, 4, 5, 6, 7, 11, 12, 13, 14, 15))


def _full_range(frame: VideoFrame) -> bool:
    return frame.color_range == _FULL or frame.format.name.startswith("yuvj") or frame.format.is_rgb


def _matrix(frame: VideoFrame) -> int:
    """What makes a frame's pixels red, green and blue; unsaid it is ffmpeg's, unless the primaries tell."""
    matrix, primaries = int(frame.colorspace), int(frame.color_primaries)
    if matrix == _UNSAID and primaries in (_BT709, _BT2020):
        return primaries
    return matrix if matrix in _MATRICES else _BT601


def _colours(frame: VideoFrame) -> tuple[Colours, str]:
    """What is to be done with a frame's colours, and why they cannot be measured, if so."""
    matrix, primaries, curve = int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)
    if curve == _UNSAID and _BT2020 in (matrix, primaries):
        return SRGB, "BT.2020 without a word on its curve, which may be HLG's"
    if matrix not in {*_MATRICES, _UNSAID} and not frame.format.is_rgb:
        return SRGB, f"their matrix (code {matrix}) is not known"
    if primaries in _PRIMARIES and curve in _CURVES:
        return SRGB, ""
    if primaries == _UNSAID and matrix == _BT2020:
        primaries = _BT2020
    found = of_code_points(primaries, _BT709 if curve in _CURVES else curve)
    if found.convert is None:
        return SRGB, f"primaries {primaries} and curve {curve} are not known"
    return found, ""


def unreadable(path: str) -> PhotoError:
    """The error of a video without a frame that can be decoded."""
    return PhotoError(f"{path}: no frame of this video can be decoded. Copy or export it again.")
