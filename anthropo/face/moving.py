"""A face with other landmarks than were found at first, and what follows from them: pose, gate and distance.

Where something hides a part of a face, its landmarks are found beside it: those of seen parts are looked for
once more, those of hidden ones laid where the seen ones tell.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.face.detection import Detection
from anthropo.face.evaluations import asked_for, beyond_border, evaluations, spread_of
from anthropo.face.frame import OUTER_CANTHI, Floats, outer_canthal_distance
from anthropo.face.gate import check_again, check_distance, check_hidden
from anthropo.face.lens import DistanceRequest, distance_of, pose_change
from anthropo.face.parts import hidden_words
from anthropo.face.pose import head_pose
from anthropo.face.visibility import closer, cover_model, cover_of, painted_over
from anthropo.face.weights import LandmarkModel
from anthropo.photo import Photo

if TYPE_CHECKING:
    from anthropo.face.landmarker import Face

CUT = 5  # eye, brow, nose and mouth points that may lie beyond the photo's border


def with_cover(photo: Photo, face: Face, model: LandmarkModel) -> Face:
    """A face with what of it is seen, a gate that knows it, and landmarks that less is drawn to.

    Where something hides a part, landmarks are found once more with that painted over, and the steadier ones
    are kept: what hides draws those of seen parts to it, too, or what is painted there does. Those that are
    hidden are laid where the seen ones tell, so that pose and crops are of the face.
    """
    shapes = cover_model().shapes
    cover = cover_of(photo, face.landmarks)
    places = cover.completed(face.landmarks, shapes)
    if not (replace(cover, places=places).of(face.landmarks) < cover.threshold).any():
        return replace(face, cover=cover)
    cover = closer(photo, cover, places)
    detection = Detection(np.array(face.box), face.score, face.second_try, face.turned)
    jitter = len(face.samples)
    again, _ = evaluations(painted_over(photo, cover), detection, model.predictor, jitter)
    looks = face.landmarks, again.mean(0)
    face = _steadier(face, again, photo, jitter)
    cover = replace(cover, places=cover.completed(face.landmarks, shapes, *looks))
    return _laid(replace(face, cover=cover), photo)


def _laid(face: Face, photo: Photo) -> Face:
    """The face with its hidden landmarks where those that are seen tell."""
    cover, hidden = face.cover, face.hidden
    if cover is None or cover.places is None or not hidden.any():
        return face
    face = replace(
        face, gate=check_hidden(face.gate, face.landmarks, hidden), cover=replace(cover, found=face.seen)
    )
    points = np.where(hidden[:, None], cover.places, face.landmarks)
    return _moved(face, points, face.samples + (points - face.landmarks), photo, hidden) or face


def _steadier(face: Face, samples: Floats, photo: Photo, jitter: int) -> Face:
    """The face with other evaluations (K, 68, 2) of its landmarks, if these spread less."""
    spread = spread_of(samples)
    if not spread < face.unsteadiness * outer_canthal_distance(face.landmarks):
        return face
    kept = asked_for(samples, jitter)
    moved = _moved(face, kept.mean(0), kept, photo, spread=spread)
    if moved is None or jitter == 1:
        return moved or face
    return replace(moved, landmark_sd=kept.std(0, ddof=1))


def _moved(
    face: Face,
    points: Floats,
    samples: Floats,
    photo: Photo,
    hidden: NDArray[np.bool_] | None = None,
    *,
    spread: float | None = None,
) -> Face | None:
    """The face with landmarks elsewhere, and their pose, gate and distance; None where that is no face.

    `hidden` tells which of them something hides, where that is known; `spread` is theirs in photo pixels.
    """
    unit = outer_canthal_distance(points)
    # where hidden ones lie is reckoned: those found beyond the border are what the photo cuts
    outside = beyond_border(points if hidden is None else face.landmarks, face.size)
    try:
        camera = head_pose(points)
    except np.linalg.LinAlgError:
        return None
    if outside[17:].sum() > CUT or not unit > 0:
        return None
    unsteadiness = face.unsteadiness if spread is None else spread / unit
    gate = check_again(face.gate, points, camera, int(outside.sum()), unsteadiness)
    moved = replace(
        face,
        landmarks=points,
        samples=samples,
        yaw=camera.yaw,
        pitch=camera.pitch,
        roll=camera.roll,
        gate=gate if hidden is None else check_hidden(gate, points, hidden),
        unsteadiness=unsteadiness,
    )
    return with_distance(moved, photo)


def with_distance(
    face: Face, photo: Photo, declared: DistanceRequest | None = None, age: float | None = None
) -> Face:
    """The face with its distance from the camera (`distance_of`), and with the gate's check of it."""
    hidden = face.concealed
    unseen = "" if hidden is None else hidden_words([at for at in OUTER_CANTHI if hidden[at]])
    distance = distance_of(photo, face.landmarks, face.yaw, declared=declared, age=age, unseen=unseen)
    known = distance.cm if distance.known else math.nan
    yaw, pitch = pose_change(face.landmarks, distance)
    gate = check_distance(face.gate, known, face.yaw + yaw, face.pitch + pitch)
    return replace(face, distance=distance, gate=gate)
