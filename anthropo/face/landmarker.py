"""Photo to Face: coarse-to-fine detection, then sub-pixel landmarks with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.decoding.limits import MAX_MEGAPIXELS
from anthropo.errors import FaceError, WeightsError, parameter
from anthropo.face import _engine
from anthropo.face.detection import FIRST_SHORT_SIDE, Detection, Which, power_of_two, search_photo, turned_by
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.gate import LANDMARK_SPREAD, Check, check_distance, check_hidden, check_photo
from anthropo.face.lens import Distance, DistanceRequest, distance_of, pose_change
from anthropo.face.pose import head_pose
from anthropo.face.scheme import MIRROR
from anthropo.face.visibility import Cover, cover_of
from anthropo.face.weights import LandmarkModel, landmark_model
from anthropo.licensing import check_faces
from anthropo.photo import Photo, read_photo

_DECODED_FACE = 160.0  # px: decode finer when the face is smaller than this
FIRST_DECODE = 390  # px, short side of the first decode

_DOUBTFUL = 0.015  # spread of the landmarks, outer-canthal distances: look whether the photo is turned
_STEEP = 15.0  # deg of pitch, likewise

# Unsteadiness: how far landmarks spread over jittered boxes, in outer-canthal distances. A face's by
# 0.006 (median; 99 % below 0.04), those of other things by 0.04 to 0.14. Above LANDMARK_SPREAD a face
# is refused when it took a second try or stands beside a steadier one.
_RETRY = 0.045  # with nothing below, finer scales are searched as well
_NO_FACE = 0.08  # refused in any case

# Landmarks. The aligned face: a box of BOX px, padded on every side; FIRST_BOX for the first look,
# which only finds out how to align it.
BOX = 208.0  # px
FIRST_BOX = 128.0  # px
PAD = 0.4  # boxes
_SHIFT_SD = 0.03  # jitter of the box: shift in boxes, logarithm of the size
_SCALE_SD = 0.04
_STEADY = 2  # evaluations of each side that tell a face from other things
_CUT = 5  # eye, brow, nose and mouth points that may lie beyond the photo's border
CONTRAST = 160  # grey levels: dark and flat faces are stretched to this range first
#: What the reason says after the photo's name where there is no face; kept reasons are recognised by it.
NO_FACE = ": no face found."
DEFAULT_JITTER = 16


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face. Coordinates are pixels of the upright full-size photo, (0, 0) a pixel's centre.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.read_face(anthropo.example_photo()).size
    (512, 512)
    """

    box: tuple[float, float, float, float]  # left, top, right, bottom
    landmarks: Floats  # (68, 2), sub-pixel
    landmark_sd: Floats  # (68, 2), spread over jittered boxes
    samples: Floats  # (K, 68, 2), the jittered evaluations
    yaw: float  # deg, positive: turned to the subject's left
    pitch: float  # deg, positive: chin up
    roll: float  # deg, positive: clockwise in the photo
    gate: tuple[Check, ...]
    score: float  # of the detector
    size: tuple[int, int]  # width, height of the photo
    source: str
    second_try: bool  # found only with equalised contrast or a lower threshold
    unsteadiness: float  # median spread over jittered boxes, outer-canthal distances
    anatomy: Mapping[str, Floats] = field(default_factory=dict)  # landmarks beyond the 68, by code
    by_hand: Mapping[str, Floats] = field(default_factory=dict)  # placed by hand, where anatomy has them
    distance: Distance = field(default_factory=Distance)  # of the camera
    cover: Cover | None = None  # what of the face is seen; None: all of it

    @property
    def seen(self) -> Floats:
        """How probably each landmark is seen, (68,), 0 (hidden) to 1; 1 where it was placed by hand."""
        if self.cover is None:
            return np.ones(68)
        seen = self.cover.at(self.landmarks)
        seen[[int(name[1:]) for name in self.by_hand if name[1:].isdigit()]] = 1.0
        return seen

    @property
    def hidden(self) -> NDArray[np.bool_]:
        """Which landmarks something hides, (68,)."""
        return np.asarray(self.seen < self.cover.threshold) if self.cover else np.zeros(68, dtype=np.bool_)


def read_face(
    photo: str | Photo,
    *,
    face: Literal["one", "largest"] = "one",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
) -> Face:
    """Find the face of a photograph and its 68 landmarks.

    Parameters
    ----------
    photo : path or Photo
    face : {"one", "largest"}
        What to do when there are several: refuse, or take the largest.
    jitter : int
        Evaluations per face; half of them see the mirrored face. The landmarks are their mean.
        1 means one plain evaluation, without a spread; otherwise an even number.
    landmark_model : path, optional
        Another landmark model of the 68 points: of `train_landmarks`, or a dlib shape predictor.
    max_megapixels : float or None
        Refuse larger photographs.

    Returns
    -------
    Face

    Raises
    ------
    PhotoError
        If the photograph cannot be read.
    FaceError
        If there is no face, there are several and one is needed, it is cut by the border, or the
        photo is turned.
    ValueError
        If `face` or `jitter` is not one of the values above.
    WeightsError
        If the landmark model is missing, damaged, or has other points.

    Notes
    -----
    Detector and predictor: King 2009 (JMLR 10:1755), Kazemi & Sullivan 2014 (CVPR).

    Examples
    --------
    >>> import anthropo
    >>> face = anthropo.read_face(anthropo.example_photo())
    >>> face.landmarks.shape, bool(face.landmark_sd.max() < 2)
    ((68, 2), True)
    """
    if face not in ("one", "largest"):
        raise ValueError(f"face={face!r}: 'one' or 'largest' is needed; read_faces takes 'all'")
    return read_faces(
        photo, face=face, jitter=jitter, landmark_model=landmark_model, max_megapixels=max_megapixels
    )[0]


def read_faces(
    photo: str | Photo,
    *,
    face: Which = "all",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
) -> list[Face]:
    """Find the faces of a photograph, the largest first, and their 68 landmarks.

    Parameters
    ----------
    photo, jitter, landmark_model, max_megapixels
        As for `read_face`, which may raise the same errors.
    face : {"all", "one", "largest"}
        Which faces are asked for.

    Returns
    -------
    list of Face

    Examples
    --------
    >>> import anthropo
    >>> len(anthropo.read_faces(anthropo.example_photo()))
    1
    """
    if face not in ("one", "largest", "all"):
        raise ValueError(f"face={face!r}: 'one', 'largest' or 'all' is needed")
    if jitter < 1 or (jitter != 1 and jitter % 2):
        raise ValueError(f"jitter={jitter}: 1 or an even number is needed (half see the mirrored face)")
    check_faces()
    model = checked_landmark_model(landmark_model)
    if not isinstance(photo, Photo):
        photo = read_photo(photo, short_side=FIRST_DECODE, max_megapixels=max_megapixels)
    faces: list[Face] = []
    refused: FaceError | None = None
    for finer, detections in search_photo(photo, face, faces):
        photo = finer
        smallest = min(f.width for f in detections)
        if smallest / photo.decode_scale < _DECODED_FACE:
            photo = photo.finer(power_of_two(smallest / _DECODED_FACE))
        candidates: list[Face] = []
        for candidate in detections:
            try:
                candidates.append(_landmarks(photo, candidate, model.predictor, jitter))
            except FaceError as error:
                refused = refused or error
        # beside a steady face, one whose landmarks fly about is a pattern that only looks like a
        # face; with nothing else, a finer search may find what the coarse one missed
        steady = [f for f in candidates if f.unsteadiness <= LANDMARK_SPREAD]
        faces[:] = steady or faces or candidates  # in place: the search looks whether there are any
        if any(f.unsteadiness <= _RETRY for f in candidates):
            break
    turn = 0
    if not faces:
        turn = turned_by(photo, (1, 2, 3), (FIRST_SHORT_SIDE, 2 * FIRST_SHORT_SIDE), 0.0)
    elif faces[0].unsteadiness > _DOUBTFUL or abs(faces[0].pitch) > _STEEP:
        # an upright detector sees upside-down faces, too; look at the size at which this one is 100 px
        short = int(100 * min(photo.full_size) / (faces[0].box[2] - faces[0].box[0]))
        turn = turned_by(photo, (2,), (short,), faces[0].score)
    if turn:
        raise FaceError(
            f"{photo.source}: the face is turned clockwise by about {turn}°. Turn the photo upright."
        )
    if not faces:
        raise refused or _no_face(photo)
    if face == "one" and len(faces) > 1:
        raise FaceError(
            f"{photo.source}: {len(faces)} faces found, 1 needed. Pass {parameter('face', 'largest')} or "
            f"{parameter('face', 'all')}, or crop the photo."
        )
    return [_with_cover(photo, f) for f in (faces if face == "all" else faces[:1])]


def _with_cover(photo: Photo, face: Face) -> Face:
    """The face with what of it is seen, and the gate that knows it."""
    face = replace(face, cover=cover_of(photo, face.landmarks))
    return replace(face, gate=check_hidden(face.gate, face.landmarks, face.hidden))


def _no_face(photo: Photo) -> FaceError:
    return FaceError(
        f"{photo.source}{NO_FACE} Use a frontal photo in which the whole face is visible, "
        "upright and well lit."
    )


def checked_landmark_model(path: str | None) -> LandmarkModel:
    """The landmark model, refused when it has other points than the 68 of iBUG."""
    model = landmark_model(path)
    if path is not None and not model.scheme.ibug:  # the packaged one may still be on its way
        names = model.scheme.names
        more = " …" if len(names) > 3 else ""
        raise WeightsError(
            f"{path}: {len(names)} landmarks ({', '.join(names[:3])}{more}); anthropo's measurements need "
            "the 68 points of the iBUG scheme. Give a landmark model of these; this one can only be judged."
        )
    return model


@lru_cache(maxsize=16)
def jittered_boxes(evaluations: int) -> Floats:
    """Shift (in boxes) and size factor of each box: the plain one first, the rest random but fixed."""
    z = np.random.default_rng(20140623).standard_normal((evaluations, 3))
    z[0] = 0
    return np.column_stack([_SHIFT_SD * z[:, :2], np.exp(_SCALE_SD * z[:, 2])])


def beyond_border(points: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points (P, 2) lie outside a photo of width and height `size`, pixels."""
    return np.asarray(((points < -0.5) | (points > np.array(size) - 0.5)).any(1))


def _landmarks(photo: Photo, detection: Detection, predictor: _engine.ShapePredictor, jitter: int) -> Face:
    """The face in a detected box; FaceError when it is none after all, or is cut by the border."""
    raw, chip = predictor.align(
        photo.pixels,
        photo.to_decoded(detection.box.reshape(2, 2)).ravel(),
        jittered_boxes(max(_STEADY, jitter // 2)),
        MIRROR,
        first_box=FIRST_BOX,
        chip_box=BOX,
        pad=PAD,
        contrast=CONTRAST,
    )
    samples = photo.to_full(raw)
    spread = float(np.median(np.hypot(*samples.std(0, ddof=1).T)))
    unit = outer_canthal_distance(samples.mean(0))
    if not unit > 0 or spread / unit > (LANDMARK_SPREAD if detection.second_try else _NO_FACE):
        raise _no_face(photo)
    unsteadiness = spread / unit
    half = len(samples) // 2  # more than asked for when few were: steadiness needs some
    plain, mirrored = samples[: max(1, jitter // 2)], samples[half : half + jitter // 2]
    samples = np.concatenate([plain, mirrored])
    points = samples.mean(0)

    outside = beyond_border(points, photo.full_size)
    if outside[17:].sum() > _CUT:  # a few points beyond the border are the gate's business
        raise FaceError(
            f"{photo.source}: the face is cut by the photo's border ({int(outside.sum())} of 68 landmarks "
            "lie outside). Use a photo that shows the whole face."
        )
    try:
        camera = head_pose(points)
    except np.linalg.LinAlgError:  # a foreign landmark model's points on one spot
        raise _no_face(photo) from None
    pad = round(BOX * PAD)
    inner = chip[pad:-pad, pad:-pad]
    face = Face(
        box=tuple(detection.box.tolist()),
        landmarks=points,
        landmark_sd=samples.std(0, ddof=1) if jitter > 1 else np.full((68, 2), np.nan),
        samples=samples,
        yaw=camera.yaw,
        pitch=camera.pitch,
        roll=camera.roll,
        gate=check_photo(points, camera, inner, int(outside.sum()), unsteadiness),
        score=detection.score,
        size=photo.full_size,
        source=photo.source,
        second_try=detection.second_try,
        unsteadiness=unsteadiness,
    )
    return with_distance(face, photo)


def with_distance(
    face: Face, photo: Photo, declared: DistanceRequest | None = None, age: float | None = None
) -> Face:
    """The face with its distance from the camera (`distance_of`), and with the gate's check of it."""
    distance = distance_of(photo, face.landmarks, face.yaw, declared=declared, age=age)
    known = distance.cm if distance.known else math.nan
    yaw, pitch = pose_change(face.landmarks, distance)
    gate = check_distance(face.gate, known, face.yaw + yaw, face.pitch + pitch)
    return replace(face, distance=distance, gate=gate)
