"""What reading a photo or video may cost: pixels, bytes and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from anthropo.errors import InputError, PhotoError, parameter

#: Photographs with more pixels than this are refused before they are decoded.
MAX_MEGAPIXELS = 200
#: Seconds of computing that the decoding of a photo may take.
DEADLINE = 15.0
#: Frames that are measured of a video, however long it is.
FRAMES = 16
#: Times as long as a photo a video may take to be looked through, and as long again for each FRAMES frames.
VIDEO_TIMES = 4
#: Bytes that it may take, beside the file, up to MAX_MEGAPIXELS; more in proportion with a higher limit.
MEMORY = 2 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a photo may cost; None: no limit.

    Attributes
    ----------
    max_megapixels : float or None
        Millions of pixels.
    deadline : float or None
        Seconds of decoding a photo.
    times : float
        What is decoded may take so many times the deadline.
    """

    max_megapixels: float | None = MAX_MEGAPIXELS
    deadline: float | None = DEADLINE
    times: float = 1.0

    def __post_init__(self) -> None:
        for name, limit in (("max_megapixels", self.max_megapixels), ("deadline", self.deadline)):
            if limit is not None and not 0 < limit < math.inf:
                raise InputError(f"{parameter(name)} {limit:g}: no limit. Give a number above 0.")

    @property
    def seconds(self) -> float | None:
        """Seconds that decoding may take."""
        return None if self.deadline is None else self.deadline * self.times

    @property
    def memory(self) -> int | None:
        """Bytes that decoding may take."""
        if self.max_megapixels is None:
            return None
        return max(MEMORY, math.ceil(self.max_megapixels * MEMORY / MAX_MEGAPIXELS))

    def check_pixels(self, width: int, height: int) -> None:
        """Raise ExcessError for too many pixels."""
        if self.max_megapixels is not None and width * height > self.max_megapixels * 1e6:
            raise ExcessError(width, height)

    def check_memory(self, width: int, height: int, needed: int) -> None:
        """Raise ExcessError if decoding so many pixels needs more bytes than it may."""
        if self.memory is not None and needed > self.memory:
            raise ExcessError(width, height, needed)

    def of_frames(self, count: int) -> Limits:
        """What so many frames of a video may cost; `FRAMES` of them as much as looking through it."""
        return replace(self, times=VIDEO_TIMES * max(1.0, count / FRAMES))


class ExcessError(Exception):
    """A photo is beyond a limit; `refusal` is the sentence, which a decoder's process cannot word."""

    def __init__(self, width: int, height: int, needed: int = 0) -> None:
        super().__init__(width, height, needed)
        self.width, self.height, self.needed = width, height, needed  # bytes; 0: too many pixels

    def refusal(self, where: str, limits: Limits, what: str = "photo") -> PhotoError:
        """The error that a user sees."""
        size = f"{where}: {self.width} × {self.height} pixels"
        if not self.needed:
            return PhotoError(
                f"{size} are {round(self.width * self.height / 1e6, 4):g} MP, more than the limit of "
                f"{limits.max_megapixels:g} MP. Reduce the {what}, or raise the limit with "
                f"{parameter('max_megapixels')}."
            )
        instead = ", save it as JPEG" if what == "photo" else ""
        enough = math.ceil(self.needed * MAX_MEGAPIXELS / MEMORY)
        return PhotoError(
            f"{size} of this kind take {self.needed / 1e9:.1f} GB of memory to decode, more than the limit "
            f"of {(limits.memory or 0) / 1e9:.1f} GB. Reduce the {what}{instead}, or raise the "
            f"limits with {parameter('max_megapixels', enough)}."
        )
