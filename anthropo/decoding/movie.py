"""PyAV, in a decoder's process: which frames a video has, and those asked for, upright and in sRGB."""

from __future__ import annotations

import math
import os
import struct
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from anthropo.decoding.colour import SRGB, Colours, of_code_points
from anthropo.decoding.kinds import unreadable
from anthropo.decoding.limits import ExcessError, Limits
from anthropo.decoding.worker import Message, restrict, send, write
from anthropo.errors import PhotoError, not_installed
from anthropo.files import open_regular

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer
    from numpy.typing import NDArray

_PER_PIXEL = 40  # bytes that decoding takes: the frames that a decoder keeps, and copies
_MOST_FRAMES = 5_000_000  # half a day at 100 a second
_THREADS = 4  # of a decoder, each of which keeps frames

# Containers that hold their frames themselves. Others (playlists) name files and addresses to read from.
_FORMATS = (
    "mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "asf",
    "ogg", "flv", "wav", "mp3", "aac", "flac",
)  # fmt: skip
# Codecs of single pictures: one such frame beside sound is its cover.
_STILLS = frozenset(("mjpeg", "png", "bmp", "gif", "tiff", "webp", "jpeg2000"))


@dataclass(slots=True, eq=False)
class _Track:
    """The packets of one stream of pictures."""

    stream: VideoStream
    stamps: array[int] = field(default_factory=lambda: array("q"))
    keys: list[tuple[int, int]] = field(default_factory=list)  # when they are shown, and when decoded

    def add(self, packet: Packet[Any]) -> None:
        stamp = _stamp(packet)
        if packet.size and stamp is not None and len(self.stamps) < _MOST_FRAMES:
            self.stamps.append(stamp)
            if packet.is_keyframe:
                self.keys.append((stamp, stamp if packet.dts is None else packet.dts))

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


# ------------------------------------------------------------------------------------ requests


def survey(request: Message, path: bytes, replies: IO[bytes]) -> None:
    """Answer which frames there are: when they are shown, and when each key frame is shown and decoded."""
    where, limits = request["where"], Limits(request["max_megapixels"], request["deadline"])
    restrict(limits)
    with _opened(path, where) as container, _foreign(where):
        track = _main_track(container, where)
        stream = track.stream
        width, height = round(stream.width * _aspect(stream)), stream.height
        limits.check_pixels(width, height)
        needed = width * height * _PER_PIXEL
        limits.check_memory(width, height, needed)
        unit = float(stream.time_base or 0)
        promised = math.nan
        if stream.duration:
            promised = stream.duration * unit
        elif container.duration:
            promised = container.duration / 1e6
        index = container.streams.video.index(stream)
    if not track.stamps or not unit:
        raise unreadable(where)
    stamps = array("q", sorted(track.stamps))
    keys = sorted(track.keys, key=lambda key: key[0])
    shown, decoded = array("q", (key[0] for key in keys)), array("q", (key[1] for key in keys))
    answer = {"index": index, "unit": unit, "promised": promised, "needed": needed}
    send(replies, {**answer, "frames": len(stamps), "keys": len(shown)})
    write(replies, (stamps + shown + decoded).tobytes())


def deliver(request: Message, path: bytes, replies: IO[bytes]) -> None:
    """Send the frames of a plan, each as soon as it is decoded; those that are damaged are left out.

    The plan has for each frame when it is shown, which key frame it is decoded from (-1: from the start), and
    when that is shown and decoded.
    """
    where, plan, last = request["where"], list(request["plan"]), request["last"]
    limits = Limits(request["max_megapixels"], request["deadline"])
    restrict(limits)
    # what cannot be had by going straight to it is decoded from the start
    for seek in (True, False) if plan[0][1] >= 0 else (False,):
        with _opened(path, where) as container, _foreign(where):
            stream = container.streams.video[request["index"]]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(_THREADS, os.cpu_count() or 1)
            if limits.max_megapixels is not None:  # a frame may be larger than its container says
                stream.codec_context.options = {"max_pixels": str(int(limits.max_megapixels * 1e6))}
            for frame in _frames(container, stream, plan, seek):
                del plan[0]
                shown = _stamp(frame)
                if shown is None or shown <= last:
                    continue
                last = shown
                pixels, remark, doubt = _pixels(frame, _aspect(stream))
                answer = {"size": pixels.shape[1::-1], "shown": shown, "left": len(plan)}
                send(replies, {**answer, "remark": remark, "doubt": doubt})
                write(replies, pixels.data.cast("B"))
        if not plan:
            break
    send(replies, {})


def _frames(
    container: InputContainer, stream: VideoStream, plan: Sequence[Sequence[int]], seek: bool
) -> Iterator[VideoFrame]:
    """The frame of each stamp, or the next one there is; fewer where decoding fails."""
    at = -1  # number of the last key frame that decoding started from
    frames = iter(()) if seek else _decoded(container, stream)
    for stamp, key, shown, decoded in tuple(plan):
        if seek and key > at:
            frames, at = _from_key(container, stream, shown, decoded), key
        frame = _first(frames, stamp)
        if frame is None:
            return
        yield frame


# ----------------------------------------------------------------------------------- the container


def _main_track(container: InputContainer, where: str) -> _Track:
    """The stream that the file is about, all its packets read; no cover and no thumbnails."""
    from av.stream import Disposition

    beside = Disposition.attached_pic | Disposition.timed_thumbnails
    moving = [s for s in container.streams.video if not s.disposition & beside]
    tracks = {s.index: _Track(s) for s in moving if s.codec_context is not None}
    if moving and not tracks:  # of a codec that is not known
        raise unreadable(where)
    if tracks:
        with _passed_over():  # a file that was cut off
            for packet in container.demux([t.stream for t in tracks.values()]):
                tracks[packet.stream.index].add(packet)
    track = max(tracks.values(), key=lambda t: t.rank, default=None)
    sound = bool(container.streams.audio)
    if track is None or (sound and track.is_cover):
        kind = "sound only" if sound else "nothing that can be seen"
        raise PhotoError(f"{where}: no video, {kind}. Name a video or a photo.")
    return track


@contextmanager
def _opened(path: bytes, where: str) -> Iterator[InputContainer]:
    """The file's container; PhotoError when it is none, or no longer one when it is read."""
    if av is None:
        raise PhotoError(not_installed(where, "PyAV", "video"))
    try:
        file = open_regular(os.fsdecode(path), most=None)
    except OSError as error:
        raise PhotoError(f"{where}: cannot be read ({error.strerror}).") from None
    with file:
        try:
            # a file object, and no protocols: nothing else is opened, whatever the file says
            options = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}
            form = "mpegts" if _is_transport_stream(file.read(_HEAD)) else None
            file.seek(0)
            container = av.open(file, "r", format=form, options=options)
        except MemoryError:
            raise
        except Exception:  # a foreign library, which may raise anything
            raise PhotoError(
                f"{where}: not a video that can be read. If it was cut off, copy it again; else export it as "
                "MP4."
            ) from None
        with container:
            yield container


_HEAD = 4 + 2 * 192 + 1  # bytes: up to the third packet, also where packets have 192


def _is_transport_stream(head: bytes) -> bool:
    """Whether a file is MPEG-TS, also as Blu-ray and camcorders have it: short ones are not recognised."""
    return any(head[first : first + 2 * size + 1 : size] == b"GGG" for first, size in ((0, 188), (4, 192)))


@contextmanager
def _foreign(where: str) -> Iterator[None]:
    """Around what a decoder does: whatever it raises is a PhotoError."""
    try:
        yield
    except (PhotoError, ExcessError, MemoryError):
        raise
    except Exception:
        raise unreadable(where) from None


@contextmanager
def _passed_over() -> Iterator[None]:
    """Around what may be damaged without harm to the rest."""
    try:
        yield
    except MemoryError:
        raise
    except Exception:  # a foreign library, which may raise anything
        pass


# --------------------------------------------------------------------------------------- frames


def _stamp(part: Packet[Any] | VideoFrame) -> int | None:
    """When a packet or frame is shown, in the stream's unit; some containers tell only when it is decoded."""
    return part.dts if part.pts is None else part.pts


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames from here on; damaged packets are passed over."""
    packets = container.demux(stream)
    while True:
        packet = None
        with _passed_over():  # a file that was cut off
            packet = next(packets, None)
        if packet is None:
            return
        frames: Sequence[VideoFrame] = ()
        with _passed_over():
            frames = packet.decode()
        yield from frames


def _from_key(
    container: InputContainer, stream: VideoStream, shown: int, decoded: int
) -> Iterator[VideoFrame]:
    """Frames from a key frame on; none where seeking leads elsewhere.

    Some containers look a frame up by when it is shown, others by when it is decoded, some guess from the
    bytes; and some call a frame a key that is none.
    """
    for time in dict.fromkeys((shown, min(shown, decoded))):
        with _passed_over():
            container.seek(time, stream=stream)
            frames = _decoded(container, stream)
            frame = _first(frames, shown)
            if frame is not None and _stamp(frame) == shown and frame.key_frame:
                return chain((frame,), frames)
    return iter(())


def _first(frames: Iterator[VideoFrame], stamp: int) -> VideoFrame | None:
    """The first frame that is shown then or later."""
    return next((f for f in frames if (s := _stamp(f)) is not None and s >= stamp), None)


def _aspect(stream: VideoStream) -> float:
    """Width of a pixel by its height."""
    return float(stream.sample_aspect_ratio or 1)


def _pixels(frame: VideoFrame, aspect: float) -> tuple[NDArray[np.uint8], str, str]:
    """Upright, with pixels as wide as they are high, in sRGB as far as that is known; a remark; a doubt."""
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
    doubt = doubt and f"the video's colours are not sRGB's: {doubt}"
    return _upright(pixels, _display_matrix(frame)), colours.remark, doubt


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
    colours = of_code_points(primaries, _BT709 if curve in _CURVES else curve)
    if colours.convert is None:
        return SRGB, f"primaries {primaries} and curve {curve} are not known"
    return colours, ""
