"""One pass over a photo: here, and nowhere else, it is read, faces are found, refined and corrected."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from anthropo.errors import AnthropoError, FaceError, InputError
from anthropo.face.fine import fine_model, refine
from anthropo.face.landmarker import FIRST_DECODE, Face, checked_landmark_model, find_faces
from anthropo.face.moving import with_distance
from anthropo.licensing import refuse_faces
from anthropo.photo import Photo, example_photo, read_photo
from anthropo.reference.person import parse_age
from anthropo.settings import Settings
from anthropo.showing import brief, draw, html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.measurement.landmark_file import Landmarks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """A face and its photo, as `observe` gives them.

    Examples
    --------
    >>> import anthropo
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> seen.digest[:8], seen.landmarks is None
    ('88431cd9', True)
    """

    photo: Photo  # decoded no finer than the search for faces begins with; `Photo.finer` gives more
    face: Face  # from both landmark stages, with the points that a landmark file moved
    first: Face  # from the first landmark stage alone
    index: int = 0  # among the photo's faces, the largest first
    landmarks: Landmarks | None = None  # the landmark file that the face was corrected from
    #: Of all faces that were found, the largest first: in the foreground, unless more were asked for.
    boxes: tuple[tuple[float, ...], ...] = ()

    def _repr_html_(self) -> str:
        return html(self, "observation")

    def to_frame(self) -> pd.DataFrame:
        """The landmarks of the face, as `Face.to_frame` gives them."""
        return self.face.to_frame()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the photo around the face, with its landmarks.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes
        """
        return draw(self, "observation", ax)

    def __repr__(self) -> str:
        return brief(self, repr(self.photo)[1:-1], repr(self.face)[1:-1])

    @property
    def digest(self) -> str:
        """SHA-256 of the photo's file."""
        return self.photo.sha256

    @property
    def count(self) -> int:
        """How many faces were found: in the foreground, unless more were asked for."""
        return max(1, len(self.boxes))

    @property
    def doubt(self) -> tuple[int, float]:
        """Failed checks of the photo gate, and the landmarks' unsteadiness: the best photo has the least."""
        return sum(not check.ok for check in self.face.gate), self.face.unsteadiness


def get_ready(settings: Settings) -> None:
    """Read what `observe` needs beside photos, before a process is forked for many of them."""
    if not settings.no_face:
        with contextlib.suppress(AnthropoError):  # each photo says it
            observe_all(example_photo(), replace(settings, face="largest", corrections=None))


def observe(photo: str | os.PathLike[str] | Photo, settings: Settings | None = None) -> Observation:
    """Read a photo and find the face in it.

    Parameters
    ----------
    photo : path or Photo
    settings : Settings, optional
        ``face``, ``face_at``, ``jitter``, ``landmark_model``, ``detector_model``, ``max_megapixels``,
        ``deadline``, ``fine``, ``corrections``, ``distance`` and ``age`` count here.

    Returns
    -------
    Observation

    Raises
    ------
    PhotoError
        If the photo cannot be read.
    FaceError
        If there is no face, there are several and ``face`` is ``"one"``, the face is cut by the border, or
        the landmark file in ``corrections`` belongs to another face or photo.
    WeightsError
        If the landmark model is missing, damaged, or has other than 68 points, or ``detector_model`` is no
        YuNet.
    ValueError
        If ``face`` is ``"all"``.

    Examples
    --------
    >>> import anthropo
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> seen.face.landmarks.shape, seen.photo.full_size
    ((68, 2), (512, 512))
    """
    settings = settings or Settings()
    if settings.face == "all":
        raise ValueError("face='all': observe_all takes every face, observe takes 'one' or 'largest'")
    return observe_all(photo, settings)[0]


def observe_all(photo: str | os.PathLike[str] | Photo, settings: Settings | None = None) -> list[Observation]:
    """Read a photo and find every face that ``settings.face`` asks for.

    Parameters
    ----------
    photo, settings
        As for `observe`.

    Returns
    -------
    list of Observation
        The largest face first.

    Raises
    ------
    PhotoError, FaceError, WeightsError
        As `observe`.

    Examples
    --------
    >>> import anthropo
    >>> len(anthropo.observe_all(anthropo.example_photo(), anthropo.Settings(face="all")))
    1
    """
    settings = settings or Settings()
    if settings.permissive:
        refuse_faces()
    if not isinstance(photo, Photo):
        checked_landmark_model(settings.landmark_model).begin()  # while the photo is read
        photo = read_photo(
            photo,
            short_side=FIRST_DECODE,
            max_megapixels=settings.max_megapixels,
            deadline=settings.deadline,
        )
    asked_for = find_faces(
        photo,
        face=settings.face,
        jitter=settings.jitter,
        landmark_model=settings.landmark_model,
        detector_model=settings.detector_model,
        at=settings.place,
    )
    declared = settings.distance_request()
    age = None if settings.age is None else parse_age(settings.age)
    seen = []
    for index, first in asked_for.faces.items():
        face, landmarks = first, None
        if settings.fine:
            face = refine(photo, first, fine_model(settings.landmark_model))
        if settings.corrections:
            try:
                face, landmarks = settings.corrections.correct(face, first, photo.source, photo.sha256)
            except InputError as error:
                raise FaceError(str(error)) from None
        if declared or age is not None or face is not first:  # else it has its distance
            face = with_distance(face, photo, declared, age)
        seen.append(
            Observation(
                photo=photo, face=face, first=first, index=index, landmarks=landmarks, boxes=asked_for.boxes
            )
        )
    return seen
