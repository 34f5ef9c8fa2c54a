"""The points of a landmark model on photos, whatever its scheme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anthropo.errors import AnthropoError, FaceError
from anthropo.face.detection import Which, power_of_two
from anthropo.face.evaluations import BOX
from anthropo.face.fine import fine_model, refine
from anthropo.face.frame import Floats
from anthropo.face.landmarker import DEFAULT_JITTER, FIRST_DECODE, Face, find_faces
from anthropo.face.weights import landmark_model
from anthropo.landmarks.gathering import ReadingLimits
from anthropo.landmarks.judging import place
from anthropo.photo import Photo, read_photo


@dataclass(frozen=True, slots=True, eq=False)
class OnPhoto:
    """The points of one photo's face, or why there are none.

    Attributes
    ----------
    photo : str
    points : (P, 2) array
        Pixels of the upright photo, from the centre of its first pixel; NaN without a face.
    sd : (P,) array
        Standard deviation of a point's error on each axis, pixels, as the model's file states it; NaN where
        that states none (dlib's).
    reason : str
        Why there are no points; empty where there are.
    """

    photo: str
    points: Floats
    sd: Floats
    reason: str = ""


def nowhere(photo: str, reason: str, points: int) -> OnPhoto:
    """A photo without points."""
    return OnPhoto(photo, np.full((points, 2), np.nan), np.full(points, np.nan), reason)


@dataclass(frozen=True, slots=True)
class Placing:
    """Places the points of a model; can be sent to another process."""

    model: str
    face: Which
    limits: ReadingLimits

    def __call__(self, path: str) -> OnPhoto:
        count = len(landmark_model(self.model).scheme.names)
        try:
            points, sd = self._placed(path)
        except AnthropoError as error:
            return nowhere(path, str(error), count)
        return OnPhoto(path, points, sd)

    def _placed(self, path: str) -> tuple[Floats, Floats]:
        photo = read_photo(
            path,
            short_side=FIRST_DECODE,
            max_megapixels=self.limits.max_megapixels,
            deadline=self.limits.deadline,
        )
        model = landmark_model(self.model)
        begins = model.bundle is not None and model.bundle.start is not None
        if begins or model.scheme.ibug:
            samples = self._from_the_68(photo)
        else:
            (face,) = find_faces(photo, face=self.face, jitter=2).faces.values()
            samples = self._by_trees(photo, face)
        if model.bundle is None:
            return samples.mean(0), np.full(samples.shape[1], np.nan)
        spread = samples.std(0, ddof=1) * model.bundle.spread[:, None]
        return samples.mean(0), np.sqrt((spread**2).mean(1))

    def _from_the_68(self, photo: Photo) -> Floats:
        asked_for = find_faces(photo, face=self.face, jitter=DEFAULT_JITTER, landmark_model=self.model)
        (face,) = asked_for.faces.values()
        fine = fine_model(self.model)
        samples = refine(photo, face, fine).samples
        beside = fine.adjustment is not None and fine.adjustment.beside
        return fine.adjustment(samples) if fine.adjustment is not None and beside else samples

    def _by_trees(self, photo: Photo, face: Face) -> Floats:
        if face.turned:
            raise FaceError(
                f"{photo.source}: the face lies turned by {abs(face.turned):.0f}°, and these points are "
                "placed on upright faces. Turn the photo, or train with a start, which finds such faces."
            )
        model = landmark_model(self.model)
        photo = photo.finer(power_of_two(face.width / BOX))
        box = photo.to_decoded(np.array(face.box).reshape(2, 2)).ravel()
        return photo.to_full(place(model.predictor, model.scheme, photo.pixels, box))
