"""Video file to Photos: frames spread evenly over it, upright, with square pixels.

It is decoded in a process of its own, as whatever may crash is; only the frames that are asked for come back.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anthropo.decoding.kinds import VIDEO
from anthropo.decoding.limits import DEADLINE, FRAMES, MAX_MEGAPIXELS, Limits
from anthropo.errors import PhotoError
from anthropo.files import file_sha256
from anthropo.licensing import require_permitted
from anthropo.memory import memory
from anthropo.photo import Photo, opening
from anthropo.sent import on_disk

if TYPE_CHECKING:
    from anthropo.decoding.pool import Worker
    from anthropo.decoding.worker import Message

#: What is taken for a video.
SUFFIXES = frozenset(
    (
        ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".ogv", ".flv", ".wmv",
        ".asf", ".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2t", ".m2ts", ".mod", ".tod",
    )
)  # fmt: skip

_WHOLE = 0.9  # of the promised duration: a video with less has been cut off


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a video."""
    return Path(path).suffix.lower() in SUFFIXES


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A video file that can be decoded; made by `open_video`."""

    source: str
    sha256: str
    seconds: float  # how long it is, by the frames that are there
    promised: float  # the length that the file states; NaN without one
    _limits: Limits
    _index: int  # of the stream that is read
    _unit: float  # of its times, seconds
    _needed: int  # bytes for decoding it, about
    _stamps: array[int]  # when its frames are shown
    _shown: array[int]  # likewise of key frames, which can be decoded without others
    _decoded: array[int]  # when key frames are decoded

    @property
    def cut_off(self) -> bool:
        """Whether the end is missing."""
        return len(self._stamps) > 1 and self.seconds < _WHOLE * self.promised

    def photos(self, count: int = FRAMES) -> Iterator[Photo]:
        """Up to `count` frames at even distances, their source with the second; damaged ones are left out."""
        from anthropo.decoding.guarded import checked, streamed

        n = len(self._stamps)
        chosen = {self._stamps[int((i + 0.5) * n / count)] for i in range(count)}
        left = [self._way(stamp) for stamp in sorted(chosen)]
        last = self._stamps[0] - 1
        limits = self._limits.of_frames(count)

        def work(one: Worker) -> Iterator[Photo]:
            nonlocal left, last
            _ask(one, self.source, limits, index=self._index, plan=left, last=last)
            while answer := checked(one.answer(limits), self.source, limits, VIDEO):
                width, height = answer["size"]
                pixels = np.empty((height, width, 3), np.uint8)
                one.fill(pixels.data.cast("B"), limits)
                left, last = left[len(left) - answer["left"] :], answer["shown"]
                seconds = (last - self._stamps[0]) * self._unit
                photo = Photo.from_array(pixels, f"{self.source} at {seconds:.2f} s")
                yield replace(photo, remark=answer["remark"], colour_doubt=answer["doubt"])

        with memory.taken(self._needed):
            yield from streamed(work, self.source, VIDEO, _key(self.sha256), limits)

    def _way(self, stamp: int) -> tuple[int, int, int, int]:
        """When a frame is shown, and the key frame that leads to it: number, when it is shown and decoded."""
        if not self._shown:
            return stamp, -1, 0, 0
        key = max(0, bisect_right(self._shown, stamp) - 1)
        return stamp, key, self._shown[key], self._decoded[key]


def open_video(
    path: str | os.PathLike[str],
    *,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    deadline: float | None = DEADLINE,
) -> Video:
    """Find out which frames a video file has.

    A PhotoError says that it has none, or costs more than it may, as a photo does; it may take four times as
    long as a photo, and for every sixteen frames as long again.
    """
    from anthropo.decoding.guarded import checked, guarded

    where = os.fspath(path)
    require_permitted("video", PhotoError, where)
    with opening(where, "a video"):
        digest = file_sha256(where)
        size = os.path.getsize(on_disk(where))
    if not size:
        raise PhotoError(f"{where}: the file is empty (0 bytes).")
    limits = Limits(max_megapixels, deadline).of_frames(1)

    def work(one: Worker) -> Video:
        _ask(one, where, limits)
        answer = checked(one.answer(limits), where, limits, VIDEO)
        keys = answer["keys"]
        times = array("q", bytes(8 * (answer["frames"] + 2 * keys)))
        one.fill(memoryview(times).cast("B"), limits)
        stamps = times[: answer["frames"]]
        return Video(
            source=where,
            sha256=digest,
            seconds=_length(stamps, answer["unit"]),
            promised=answer["promised"],
            _limits=limits,
            _index=answer["index"],
            _unit=answer["unit"],
            _needed=answer["needed"],
            _stamps=stamps,
            _shown=times[len(stamps) : len(stamps) + keys],
            _decoded=times[len(stamps) + keys :],
        )

    return guarded(work, where, VIDEO, _key(digest), limits)


def _ask(one: Worker, where: str, limits: Limits, **more: object) -> None:
    path = os.fsencode(os.path.abspath(on_disk(where)))
    request: Message = {
        "bytes": len(path),
        "kind": VIDEO,
        "where": where,
        "max_megapixels": limits.max_megapixels,
        "deadline": limits.seconds,
        **more,
    }
    one.ask(request, path)


def _key(digest: str) -> str:
    from anthropo.decoding.undecodable import key_of

    return key_of(digest)


def _length(stamps: array[int], unit: float) -> float:
    """Seconds that frames are shown, the last one as long as the others."""
    n = len(stamps)
    return (stamps[-1] - stamps[0]) * unit * n / (n - 1) if n > 1 else 0.0
