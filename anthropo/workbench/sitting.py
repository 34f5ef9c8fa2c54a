"""One photo at work: its face, the points that a hand has moved, and everything that follows from them."""

from __future__ import annotations

import io
import math
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from anthropo.batch.inputs import Item
from anthropo.batch.records import Record, VideoSummary
from anthropo.batch.run import MeasuredFace, measure_item, measure_observation, record_of
from anthropo.batch.scores import settings_of
from anthropo.errors import FaceError, InputError
from anthropo.face.detection import parse_point, within
from anthropo.face.frame import Floats
from anthropo.measurement.landmark_file import (
    POINTS,
    Landmarks,
    landmarks_text,
    moved,
    places_of,
    read_landmarks,
)
from anthropo.measurement.sticker import Sticker, sticker_at
from anthropo.observation import Observation, observe, observe_all
from anthropo.reference.growth import Growth
from anthropo.reference.rules import Rule, read_rules
from anthropo.settings import Settings
from anthropo.video import is_video
from anthropo.workbench.desk import PERSON, Desk, Listed
from anthropo.workflows.trait_calling import (
    PersonTraits,
    TraitsRequest,
    TraitsTask,
    answer,
    growth_of,
    if_fit,
)

_NEAR = 1.0  # pixels from where it was found, within which a file's `found` is the same face's


class StaleError(InputError):
    """Somebody else has changed the photo since the page last looked."""


class Sitting:
    """A photo's largest face, or the one that was chosen, measured anew whenever a point is moved.

    Parameters
    ----------
    desk : Desk
    photo : Listed
    revision : int
        To count on from.

    Attributes
    ----------
    revision : int
        Counts changes, so that two windows do not overwrite each other.

    Raises
    ------
    PhotoError, FaceError
        As `anthropo.observe`.
    """

    def __init__(self, desk: Desk, photo: Listed, revision: int = 0) -> None:
        self.desk, self.photo = desk, photo
        self.lock = threading.RLock()
        self.revision = revision
        self.note = ""  # about a landmark file that cannot be used
        self._largest: tuple[float, ...] | None = None  # box of the largest face, once that was measured
        self._boxes: list[tuple[float, ...]] | None = None  # of all faces, once they were asked for
        self._video: VideoSummary | None = None
        self.measured: MeasuredFace
        self.record: Record
        self._settings = Settings(face="largest")
        self._stamp = _stamp(photo.path)
        self._open()

    @property
    def is_current(self) -> bool:
        """Whether the photo's file is the one that was opened, or gone."""
        return _stamp(self.photo.path) in (self._stamp, None)

    def _open(self) -> None:
        """Find the face, and the points that an earlier sitting has moved."""
        self.note = ""
        if self.is_video:
            self._watch()
            return
        self.observation: Observation = observe(self.photo.path, settings_of(self.photo.item, self._settings))
        if not self.photo.columns.get("face_at"):
            self._largest = self.observation.boxes[0]
        self.detected: Floats = places_of(self.observation.face)
        self.at: Floats = self.detected.copy()
        file = self.landmark_file
        if file.is_file():
            try:
                saved = read_landmarks(file)
            except InputError as error:
                self.note = f"{error} The points are shown as they were found; moving one replaces the file."
            else:
                shifted = (saved.points != saved.detected).any(1)
                if np.hypot(*(saved.detected - self.detected).T).max() > _NEAR:
                    self.note = (
                        f"{file.name}: its points were found elsewhere by another version. Points that were "
                        "moved by hand are kept."
                    )
                self.at[shifted] = saved.points[shifted]
        self.kept: Floats = self.at.copy()  # as the landmark file has them
        self._measure()

    @property
    def is_video(self) -> bool:
        """Whether it is a video, whose frames are measured one by one and pooled."""
        return is_video(self.photo.path)

    def _watch(self) -> None:
        """Measure a video; what is shown is its best frame."""
        best: list[MeasuredFace] = []
        item = self.photo.item
        (record,) = measure_item(item, self._settings, best.append)
        if not record.ok:
            raise FaceError(record.reason)
        notes = [note for note in record.notes if note in best[0].notes]
        self.measured = replace(best[0], values=record.measurements, notes=notes)
        self.record, self._video = record, record.video
        self.observation = best[0].observation
        self.detected = places_of(self.observation.face)
        self.at, self.kept = self.detected.copy(), self.detected.copy()

    def frame(self) -> Listed:
        """The best frame of a video as a photo of its own beside it, of the same person."""
        if not self.is_video:
            raise InputError(f"{self.photo.name}: a photo has no frames.")
        data = io.BytesIO()
        Image.fromarray(self.observation.photo.finer().pixels).save(data, "PNG", compress_level=1)
        path = self.desk.add(f"{self.photo.path.stem} frame.png", data.getvalue())
        frame = self.desk.at(path)
        known = {name: cell for name in PERSON if (cell := self.photo.columns.get(name, ""))}
        if known and not any(frame.columns.get(name) for name in PERSON):
            self.desk.describe(frame, known)
            frame = self.desk.at(path)
        return frame

    @property
    def digest(self) -> str:
        """SHA-256 of the photo."""
        return self.observation.digest

    @property
    def landmark_file(self) -> Path:
        """Where the points of the face are kept that a hand has moved."""
        return self.desk.landmarks(self.photo, self.digest, self.observation.index)

    def all_boxes(self) -> Sequence[tuple[float, ...]]:
        """Boxes of all faces in the photo, also of those in its background, which takes a while to find."""
        if self.is_video:
            raise InputError(f"{self.photo.name}: of a video the largest face is measured.")
        with self.lock:
            if self._boxes is None:
                item = Item(str(self.photo.path), {**self.photo.columns, "face_at": ""})
                every = settings_of(item, replace(self._settings, face="all", fine=False))
                self._boxes = [one.face.box for one in observe_all(self.photo.path, every)]
            return self._boxes

    @property
    def boxes(self) -> Sequence[tuple[float, ...]]:
        """Boxes of the faces in front, or of all, where these were asked for."""
        return self._boxes or self.observation.boxes

    @property
    def by_hand(self) -> list[str]:
        """Names of the points that a hand has moved."""
        return [name for name, far in zip(POINTS, (self.at != self.detected).any(1), strict=True) if far]

    @property
    def is_corrected(self) -> bool:
        """Whether the landmark file has points that a hand has moved."""
        return bool((self.kept != self.detected).any())

    @property
    def landmarks(self) -> Landmarks | None:
        """The moved points as a landmark file has them; None without any."""
        if not self.by_hand:
            return None
        name = os.path.basename(self.photo.path)
        return Landmarks(name, "", name, self.digest, self.at.copy(), self.detected)

    def _measure(self) -> None:
        if self.is_video:
            self.measured = replace(self.measured, item=self.photo.item)
            self.record = self._recorded(settings_of(self.photo.item, self._settings))
            return
        item, landmarks = self.photo.item, self.landmarks
        seen = self.observation
        face = moved(seen.face, seen.first, landmarks) if landmarks else seen.face
        settings = settings_of(item, self._settings)
        corrected = replace(seen, face=face, landmarks=landmarks)
        self.measured = measure_observation(item, corrected, settings)
        self.record = self._recorded(settings)

    def _recorded(self, settings: Settings) -> Record:
        return replace(record_of(self.measured, settings), video=self._video)

    # ----------------------------------------------------------------------------------- changes

    def place(self, points: Mapping[str, tuple[float, float]], revision: int, *, keep: bool) -> None:
        """Have these points, and no others, where a hand has placed them, and measure from there.

        With `keep` the landmark file is written. Without, they follow a drag that is not over yet.
        """
        with self.lock:
            if revision != self.revision:
                raise StaleError(
                    f"{self.photo.name} was changed in another window since. Its points are shown as they "
                    "are now; move yours again."
                )
            if self.is_video and points:
                raise InputError(
                    f"{self.photo.name}: points of a video cannot be moved, since every frame has its own. "
                    "Save a frame as a photo to correct that."
                )
            at = self.detected.copy()
            width, height = self.observation.face.size
            for name, (x, y) in points.items():
                if name not in POINTS:
                    raise InputError(f"{name}: no such point. p0 to p67, and those of pupils and lids, are.")
                if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                    raise InputError(f"{name}: outside the photo. Move it back.")
                at[POINTS.index(name)] = np.round((x, y), 3)
            before, self.at = self.at, at
            try:
                self._measure()
                if keep:
                    self._save()
            except BaseException:
                self.at = before
                self._measure()
                raise

    def _save(self) -> None:
        if self.by_hand:
            text = landmarks_text(self.observation.face, self.digest, self.at)
            self.desk.save_landmarks(self.photo, self.digest, self.observation.index, text)
        elif (self.kept != self.detected).any():
            self.desk.forget_landmarks(self.photo, self.digest, self.observation.index)
        self.kept = self.at.copy()
        self.revision += 1

    def settle(self) -> None:
        """Leave a drag that never ended: the points are where they were last kept."""
        with self.lock:
            if (self.at != self.kept).any():
                self.at = self.kept.copy()
                self._measure()

    def describe(self, cells: Mapping[str, str]) -> None:
        """Write what is known of the person, and measure anew with it."""
        with self.lock:
            if place := cells.get("face_at"):
                cells = {**cells, "face_at": self._face_at(place)}
            self.desk.describe(self.photo, cells)
            self.renew(self.desk.photos().get(self.photo.id, self.photo))

    def _face_at(self, place: str) -> str:
        """What the table says of a face that was chosen by its place: nothing of the largest."""
        at = parse_point(place)
        if self._largest and within(np.array(at), np.array(self._largest)):
            return ""
        if not any(within(np.array(at), np.array(box)) for box in self.boxes):
            raise InputError(f"{self.photo.name}: no face is at {place}.")
        return place

    def renew(self, photo: Listed) -> None:
        """Take over what the table says of the photo by now, whoever has written it."""
        with self.lock:
            before, self.photo = self.photo, photo
            if _statements(before) == _statements(photo):
                return
            self.revision += 1
            # what counts before points are measured: an age says how large a head is that a lens saw
            names = ("distance", "age", "face_at", *(("scale",) if self.is_video else ()))
            if any(before.columns.get(name, "") != photo.columns.get(name, "") for name in names):
                self._open()
            else:
                self._measure()

    # ----------------------------------------------------------------------------------- answers

    def traits(self) -> PersonTraits:
        """The traits of the face as it is measured now."""
        item = self.photo.item
        settings = replace(settings_of(item, self._settings), references=("auto",))
        task = TraitsTask(items=(item,), people=None, request=request(), settings=settings, rules=_rules())
        with self.lock:
            record = self._recorded(settings)
        return answer(item, if_fit(record), task)

    def sticker(self, mm: float, start: tuple[float, float], end: tuple[float, float]) -> Sticker | None:
        """The sticker, `mm` wide, that was clicked at, or drawn across from one edge to the other."""
        with self.lock:
            photo, points = self.observation.photo, self.measured.face.landmarks
        across = math.dist(start, end)
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        return sticker_at(photo, points, mm, middle, across or None)

    def growth(self) -> tuple[list[Growth], list[str]]:
        """The sizes of the form against their charts, and why one is no size."""
        return growth_of(self.photo.item, request(), self._settings)

    def landmark_text(self) -> str:
        """The landmark file's content."""
        with self.lock:
            return landmarks_text(self.observation.face, self.digest, self.at)


def request() -> TraitsRequest:
    """What is asked of everybody here: the growth charts follow one another, so that each age has one."""
    return TraitsRequest(growth_reference=("who", "cdc", "adults"))


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes with a file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _statements(photo: Listed) -> dict[str, str]:
    """What the table says of a photo; an empty cell says nothing."""
    return {name: cell for name, cell in photo.columns.items() if cell}


@lru_cache(maxsize=1)
def _rules() -> tuple[Rule, ...]:
    return tuple(read_rules())
