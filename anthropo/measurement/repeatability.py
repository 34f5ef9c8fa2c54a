"""How far another photograph of the same person, measured by anthropo, would give another value.

Two errors of one value answer two questions. Its *accuracy* is how far it may be from what a person would
measure by hand: it counts for millimetres, and against norms of callipers. Its *repeatability* is how far
the value from another photograph may be: it counts where the other values were measured by anthropo as
well, as those of references that it built, or of an earlier visit.

repeatability.csv, made by development/repeatability.py, has the repeatability of every measurement as a
standard deviation, in the measurement's unit, and what it is made of:

photo
    Two photographs of one sitting, neutral and smiling; of what a smile moves, only where the smile passes
    the photo gate, and without the mean change. Noise of the landmarks and a slightly different pose
    (`jitter` and `pose` tell how much) are part of it.
size, compression, exposure, crop
    Other files of one photograph.
white_balance, tone
    Of colours: another light and another tone curve.
small
    A face of only 65 pixels between the outer canthi. It counts by the third power of how small a face is,
    which is nothing for a portrait, and as much as all the rest at the canthi of a thumbnail.
lens
    What is not known of the camera's distance; it is computed for each photo.

snapshots.csv, made by development/snapshots.py, has what comes on top in photographs that fail the photo gate
in anything, whose other measurements are kept: snapshots of one person from the web differ further than
posed photographs, by expression, gaze, light, lens and pose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from anthropo.files import packaged_table

#: Below this reliability a measurement makes no trait by itself: more than half of the variance is error.
RELIABLE = 0.5
#: Standard deviations that, with `photo`, differ from photo to photo whatever the camera's distance.
FILES = ("size", "compression", "exposure", "crop", "white_balance", "tone")
#: Outer-canthal distance, px, that `small` is of, and how fast that grows with less.
SMALL, STEEP = 65.0, 3.0
#: Between two photographs of one sitting, degrees (1 SD of one of them): `pose` stands for these.
YAW, PITCH = 1.3, 1.7


@dataclass(frozen=True, slots=True)
class Repeatability:
    """One measurement's row of repeatability.csv; standard deviations in the measurement's unit."""

    sd: float  # of the value from one photograph, the camera's distance not known
    photo: float  # another photograph of the sitting
    first: float  # the same with the first landmark stage alone
    files: float  # another size, compression, exposure, crop; of colours, another light
    small: float  # a face of `SMALL` pixels
    people: float  # between people of one sex
    pairs: int  # pairs of photographs; 0: from the noise of the landmarks alone
    jitter: float = 0.0  # the noise of the landmarks in one photograph
    snapshot: float = 0.0  # on top, in a photograph that fails the photo gate in anything

    @property
    def reliability(self) -> float:
        """Share of the variance between people that is no error: 1 - sd² / people²; never below 0."""
        return max(0.0, 1 - (self.sd / self.people) ** 2)

    def within(self, stage: str, pixels: float = math.inf, *, posed: bool = True) -> float:
        """Between photographs whatever the camera's distance, with landmarks of one stage or of both.

        `pixels` is the face's outer-canthal distance; `posed` photographs pass every check of the photo gate.
        """
        photo = self.photo if stage == "fine" else self.first
        more = 0.0 if posed else self.snapshot
        return math.hypot(photo, self.files, self.small * (SMALL / pixels) ** STEEP, more)

    def still(self, pixels: float = math.inf) -> float:
        """Between photographs of a face that neither moved nor turned, with landmarks of both stages.

        What is left is the noise of the landmarks and what the file does: size, compression, exposure, crop.
        Pictures of one photograph in another light, with other noise, focus and size at once differ by half
        as much (docs/benchmarks.md, "Change").
        """
        return math.hypot(self.jitter, self.files, self.small * (SMALL / pixels) ** STEEP)


@lru_cache(maxsize=1)
def repeatability() -> Mapping[str, Repeatability]:
    """The repeatability of each measurement, by id; without those that need a scale.

    Examples
    --------
    >>> from anthropo.measurement.repeatability import repeatability
    >>> repeatability()["intercanthal_width"].reliability > 0.8
    True
    """
    table = {}
    snapshots = {
        row["measurement"]: float(row["sd"])
        for row in packaged_table("anthropo.measurement", "snapshots.csv")
    }
    for row in packaged_table("anthropo.measurement", "repeatability.csv"):
        files = sum(float(row[name] or 0) ** 2 for name in FILES) ** 0.5
        table[row["measurement"]] = Repeatability(
            float(row["sd"]), float(row["photo"]), float(row["first"] or row["photo"]), files,
            float(row["small"] or 0), float(row["people"]), int(row["pairs"]), float(row["jitter"] or 0),
            snapshots.get(row["measurement"], 0.0),
        )  # fmt: skip
    return table
