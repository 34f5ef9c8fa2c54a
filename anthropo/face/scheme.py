"""Landmark names: anthropometric codes and the points of the 68-point scheme that realise them.

`R` and `L` are the subject's own right and left; the subject's right is on the left of the photo.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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

#: Code -> points of the 68-point scheme whose mean is the landmark. Definitions: Farkas 1994 and
#: Elements of Morphology 2009/2013. Most points only approximate them: docs/atlas.md, "Caution".
LANDMARKS: dict[str, tuple[int, ...]] = {
    "n": (27,),  # nasion
    "prn": (30,),  # pronasale
    "sn": (33,),  # subnasale
    "alR": (31,),  # alare
    "alL": (35,),
    "enR": (39,),  # endocanthion
    "enL": (42,),
    "exR": (36,),  # exocanthion
    "exL": (45,),
    "pR": (36, 37, 38, 39, 40, 41),  # pupil: centre of the lid margins, independent of gaze
    "pL": (42, 43, 44, 45, 46, 47),
    "psR": (37, 38),  # palpebrale superius: middle of the upper lid's margin
    "psL": (43, 44),
    "piR": (40, 41),  # palpebrale inferius
    "piL": (46, 47),
    "sciR": (19,),  # superciliare
    "sciL": (24,),
    "browinR": (21,),  # brow ends
    "browinL": (22,),
    "browoutR": (17,),
    "browoutL": (26,),
    "ls": (51,),  # labiale superius
    "sts": (62,),  # stomion superius and inferius
    "sti": (66,),
    "sto": (62, 66),  # stomion
    "li": (57,),  # labiale inferius
    "cphR": (50,),  # crista philtri
    "cphL": (52,),
    "chR": (48,),  # cheilion
    "chL": (54,),
    "gn": (8,),  # gnathion
    "zyR": (2,),  # zygion
    "zyL": (14,),
    "goR": (4,),  # gonion
    "goL": (12,),
}
