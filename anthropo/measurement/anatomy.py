"""From the 68-point scheme to anthropometric landmarks, and how far those may be off.

The points of the 68-point scheme are not the landmarks that anthropometry measures between: inner
canthi lie 2 to 3 mm too far out, alae are nostril edges. Each point's mean offset from hand-placed
landmarks (correction.csv) is taken off, and the fine stage's direct prediction averaged in. What
remains is the error, kept as the residuals of real faces (errors.npy): added to a face's landmarks they
show how every measurement scatters. The residuals are those of a studio that neither the correction
nor the fine stage had seen: docs/benchmarks.md, "Anatomical landmarks".
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from anthropo.face.frame import Floats, face_axes
from anthropo.face.landmarker import Face
from anthropo.face.scheme import LANDMARKS, MIRROR
from anthropo.files import packaged, packaged_table
from anthropo.measurement.repeatability import Repeatability, repeatability

Stage = Literal["first", "fine"]
#: The stages, as errors.npy has them one after the other: (2, N, 74, 2), the last six places of BETWEEN.
STAGES: tuple[Stage, ...] = ("first", "fine")

#: Landmarks that are no point of the 68-point scheme but a mean of several, corrected on their own.
BETWEEN = ("pR", "pL", "psR", "psL", "piR", "piL")
#: Share of the fine stage's direct prediction in a landmark, where it is not a half; the rest is the
#: corrected point of the 68-point scheme. Whatever erred least on two studios, each judged by what was
#: fitted to the other.
DIRECT = {
    "p": 1.0, "ps": 1.0, "pi": 1.0, "en": 0.75, "al": 0.75, "sts": 0.75, "sti": 0.75,
    "ch": 0.25, "li": 0.25, "sn": 0.0, "cph": 0.0, "ls": 0.0,
}  # fmt: skip
_HALF = 0.5

_SINGLE = {code: at[0] for code, at in LANDMARKS.items() if len(at) == 1}
# the same landmark of the other side
_SWAP = {code: code[:-1] + {"R": "L", "L": "R"}[code[-1]] for code in LANDMARKS if code[-1] in "RL"}


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """Mean offsets of hand-placed landmarks from predicted ones, in the face's frame.

    The frame: x along the line from exocanthion to exocanthion towards the subject's left, y down
    across it; unit: the outer-canthal distance of the 68-point scheme.
    """

    points: Floats  # (68, 2), zero where nothing is known
    between: Floats  # (6, 2), in the order of BETWEEN
    corrected: frozenset[int]  # points that have a correction


def direct_share(code: str) -> float:
    """Share of the direct prediction in a landmark, 0 to 1."""
    return DIRECT.get(code.rstrip("RL"), _HALF)


def between(points: Floats) -> Floats:
    """The landmarks of BETWEEN as the 68-point scheme has them: (..., 68, 2) -> (..., 6, 2)."""
    return np.stack([points[..., list(LANDMARKS[code]), :].mean(-2) for code in BETWEEN], -2)


def place(face: Face, correction: Correction | None = None) -> tuple[Floats, Floats]:
    """Where a face's landmarks are measured: points (68, 2) and BETWEEN landmarks (6, 2), photo pixels.

    Those placed by hand stay where they were placed: the mean offset is the machine's.
    """
    if correction is None:
        correction = instrument(stage_of(face)).correction
    points, middle = apply(correction, face.landmarks, face.anatomy)
    for name, at in face.by_hand.items():
        if name in BETWEEN:
            middle[BETWEEN.index(name)] = at
        else:
            points[int(name.removeprefix("p"))] = at
    return points, middle


def stage_of(face: Face) -> Stage:
    """Which stages found a face's landmarks."""
    return "fine" if face.anatomy else "first"


def apply(correction: Correction, points: Floats, anatomy: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Corrected points (68, 2) and BETWEEN landmarks (6, 2) of one face.

    `anatomy` holds the fine stage's direct predictions by code, photo pixels; it may be empty.
    """
    axes = face_axes(points)
    middle = between(points) + correction.between @ axes
    corrected = points + correction.points @ axes
    for code, direct in anatomy.items():
        share = direct_share(code)
        if code in BETWEEN:
            at = BETWEEN.index(code)
            middle[at] += share * (direct - middle[at])
        else:
            index = _SINGLE[code]
            corrected[index] += share * (direct - corrected[index])
    return corrected, middle


def mirror(points: Floats, middle: Floats) -> tuple[Floats, Floats]:
    """Offsets or residuals in the face's frame as the mirrored face has them."""
    swapped = [BETWEEN.index(_SWAP[code]) for code in BETWEEN]
    return points[..., MIRROR, :] * [-1, 1], middle[..., swapped, :] * [-1, 1]


@dataclass(frozen=True, slots=True, eq=False)
class Instrument:
    """What landmarks of one kind need to become measurements: their correction and their errors."""

    correction: Correction
    point_errors: Floats  # (N, 68, 2), of N real faces in the face's frame, after the correction
    between_errors: Floats  # (N, 6, 2)
    repeat: Mapping[str, Repeatability] = field(default_factory=dict)  # by measurement


#: How far two people place one point apart, SD of either on each axis, outer-canthal distances. Taken from
#: the inter-observer error of a mouth's width on photographs, 0.90 to 0.99 mm (Angle Orthodontist 2016),
#: which two points share, at 87 mm between an adult's outer canthi.
HAND = 0.0077


def errors_of(face: Face, kind: Instrument, growth: float) -> tuple[Floats, Floats]:
    """Errors of a face's landmarks in the face's frame: (N, 68, 2) and of BETWEEN (N, 6, 2).

    They are residuals of real faces, `growth` times as large on this photo. Those of points that a hand has
    placed are as large as a hand's, whatever the photo does to the machine.
    """
    points, middle = kind.point_errors * growth, kind.between_errors * growth
    for name in face.by_hand:
        errors, at = (middle, BETWEEN.index(name)) if name in BETWEEN else (points, int(name[1:]))
        errors[:, at] *= HAND / np.sqrt((errors[:, at] ** 2).mean())
    return points, middle


@lru_cache(maxsize=2)
def instrument(stage: Stage) -> Instrument:
    """The packaged instrument for landmarks of the first stage alone or of both."""
    points, middle, known = np.zeros((68, 2)), np.zeros((6, 2)), set()
    for row in packaged_table("anthropo.measurement", "correction.csv"):
        if row["stage"] != stage:
            continue
        offset = float(row["dx"]), float(row["dy"])
        if row["landmark"] in BETWEEN:
            middle[BETWEEN.index(row["landmark"])] = offset
        else:
            index = int(row["landmark"].removeprefix("p"))
            points[index] = offset
            known.add(index)
    data = packaged("anthropo.measurement", "errors.npy")
    errors = np.load(io.BytesIO(data), allow_pickle=False)[STAGES.index(stage)].astype(np.float64)
    correction = Correction(points, middle, frozenset(known))
    return Instrument(correction, errors[:, :68].copy(), errors[:, 68:].copy(), repeatability())
