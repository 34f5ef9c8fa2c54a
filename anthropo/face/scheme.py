"""Landmark names: anthropometric codes and the points of the 68-point scheme that realise them.

`R` and `L` are the subject's own right and left; the subject's right is on the left of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import OUTER_CANTHI, Floats
from anthropo.files import packaged_table

#: ``points[MIRROR]`` names the points of a mirrored face: left and right exchange places.
MIRROR: NDArray[np.intp] = np.array(
    [
        *range(16, -1, -1),  # face outline
        *range(26, 16, -1),  # brows
        *range(27, 31),  # nasal bridge
        *range(35, 30, -1),  # nasal base
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
    ],
    dtype=np.intp,
)

_TABLE = packaged_table("anthropo.face", "landmarks.csv")

#: Code -> points of the 68-point scheme whose mean is the landmark. Definitions: Farkas 1994 and
#: Elements of Morphology 2009/2013. Most points only approximate them: docs/atlas.md, "Caution".
LANDMARKS: dict[str, tuple[int, ...]] = {
    row["code"]: tuple(map(int, row["points"].split())) for row in _TABLE
}

#: Code -> its name, without what is said of how it is taken here.
NAMES: dict[str, str] = {row["code"]: row["name"].partition(":")[0] for row in _TABLE}


@dataclass(frozen=True, slots=True, eq=False)
class Scheme:
    """The points of a landmark model.

    Attributes
    ----------
    names : tuple of str
    mirror : (P,) array of int or None
        ``points[mirror]`` names the points of a mirrored face; None where they are not symmetric.
    unit : (int, int) or None
        Points whose distance errors are given in; None: the diagonal of the points' bounding box.
    ibug : bool
        Whether these are the 68 points that anthropo measures from.
    """

    names: tuple[str, ...]
    mirror: NDArray[np.intp] | None
    unit: tuple[int, int] | None
    ibug: bool

    @property
    def unit_name(self) -> str:
        """What errors are given in, in words."""
        if self.ibug:
            return "outer-canthal distances"
        if self.unit is None:
            return "diagonals of the points' bounding box"
        return f"distances {self.names[self.unit[0]]}–{self.names[self.unit[1]]}"

    def length(self, points: Floats) -> float:
        """The unit of a face (P, 2), pixels."""
        if self.unit is None:
            return float(np.hypot(*(np.nanmax(points, 0) - np.nanmin(points, 0))))
        return float(np.hypot(*(points[self.unit[1]] - points[self.unit[0]])))


#: The 68 points of iBUG, which anthropo measures from.
IBUG = Scheme(tuple(f"p{i}" for i in range(68)), MIRROR, OUTER_CANTHI, True)
