"""The pictures that networks look at: regions of an aligned face, or the whole photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from anthropo.encoder.regions import (
    FILL,
    IMAGE,
    Floats,
    Pixels,
    Region,
    find_region,
    frame_of,
    hidden,
    mean_place,
    middle_square,
    warped,
)
from anthropo.face.detection import power_of_two
from anthropo.face.frame import similarity
from anthropo.face.landmarker import Face
from anthropo.photo import Photo

ALIGNMENTS = ("mean-face", "two-points", "eyes", "box")
#: The same by the names of `anthropo.encoder.regions.ALIGNMENTS`, which classifiers are trained with.
BY_NAME = {"canonical": "mean-face", "two-point": "eyes", "none": "box"}
CROPS = ("scaled", "in-place")

# The two landmarks on the face's midline that turning the head left or right hardly moves apart: between
# the eyes, and the middle of the upper lip; 25 of 100 pixels apart, around the chip's middle.
_EYES, _LIP = tuple(range(36, 48)), (51, 62)
_APART = 0.25


@dataclass(frozen=True, slots=True)
class View:
    """How the pictures of a network are cut from photographs."""

    names: tuple[str, ...]  # regions of `anthropo.encoder.regions`, or ("image",)
    size: int  # px, side of a picture
    # "mean-face": all inner landmarks; "two-points": eyes and mouth, 25 of 100 px apart; "eyes": their
    # middles; "box": the detector's
    alignment: str
    crops: str  # of regions: "scaled" to the whole picture, or "in-place" with the rest painted over

    @property
    def needs_face(self) -> bool:
        """Whether landmarks are needed."""
        return self.names != (IMAGE,)

    def frame(self, face: Face) -> Floats:
        """The affine map (2, 3) from the aligned face's frame to photo pixels."""
        for name, alignment in BY_NAME.items():
            if self.alignment == alignment:
                return frame_of(face, name)
        here = np.array([face.landmarks[list(points)].mean(0) for points in (_EYES, _LIP)])
        return similarity(_two_points(), here)

    def cut(self, photo: Photo, frame: Floats | None) -> Pixels:
        """The pictures of a photo with the face's `frame`, (len(names), size, size, 3) RGB.

        Without one it is the whole photograph: its middle square, scaled. A photo is decoded finer when a
        picture has more pixels.
        """
        if frame is None:
            return middle_square(photo.finer(power_of_two(min(photo.full_size) / self.size)), self.size)[None]
        chips = []
        for region in map(self.region, self.names):
            chip = warped(photo, frame, self.box(region), self.size)
            if self.crops == "in-place":
                chip[hidden(region, self.size)] = FILL
            chips.append(chip)
        return np.stack(chips)

    def region(self, name: str) -> Region:
        """The region with the borders that it has in this alignment."""
        region = find_region(name)
        if self.alignment == "two-points":
            eyes, lip = _two_points()
            side = float(np.hypot(*(lip - eyes))) / _APART
            x, y = (eyes + lip) / 2
            whole = (float(x - side / 2), float(y - side / 2), side)
            # the region's borders within the face stay; those at its rim move out to the wider picture's
            rim = (-0.25, -0.25, 1.25, 1.25)
            wide = (whole[0], whole[1], whole[0] + side, whole[1] + side)
            box = tuple(
                outer if border == r else border
                for border, r, outer in zip(region.box, rim, wide, strict=True)
            )
            region = replace(region, box=box, window=whole)  # type: ignore[arg-type]
        return region

    def box(self, region: Region) -> tuple[float, float, float, float]:
        """The part of the frame that the region's picture shows: left, top, right and bottom."""
        if self.crops == "scaled":
            return region.box
        left, top, side = region.window
        return left, top, left + side, top + side


def _two_points() -> Floats:
    """Where the two landmarks lie on the mean face, (2, 2)."""
    return np.array([mean_place(points) for points in (_EYES, _LIP)])
