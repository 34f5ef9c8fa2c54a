"""AnnotatedFace faces as they lie in their photos: read, found, and brought to a size to be learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from anthropo.decoding.limits import DEADLINE, MAX_MEGAPIXELS
from anthropo.errors import FaceError, InputError
from anthropo.face import _engine
from anthropo.face.detection import Which, power_of_two
from anthropo.face.evaluations import BOX, PAD
from anthropo.face.frame import Floats
from anthropo.face.landmarker import FIRST_DECODE, Face, read_faces
from anthropo.landmarks.annotations import AnnotatedFace
from anthropo.landmarks.forest import Example
from anthropo.memory import memory
from anthropo.parallel.runner import Runner, choose, unless_lost
from anthropo.photo import Photo, read_photo

_FAR_OUT = 0.1  # of the face's size: points farther beyond the photo's border belong to another photo
_NEAR = 0.35  # of the annotated face's size, up to which a face that was found is that face
_SHARE = 4  # of the memory for photos, all gathered faces may take one part


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingLimits:
    """What reading a photo may cost."""

    max_megapixels: float | None = MAX_MEGAPIXELS
    deadline: float | None = DEADLINE


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """An annotated face and what the detector sees there."""

    annotated: AnnotatedFace
    example: Example
    face: Face | None  # as the packaged landmark model sees it; None where no face is found


def gather_faces(
    faces: Sequence[AnnotatedFace],
    *,
    limits: ReadingLimits | None = None,
    jobs: int = 1,
    runner: Runner | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Gathered]:
    """AnnotatedFace faces, in their order, each cut out of its photo in grey.

    Raises
    ------
    PhotoError
        If a photo cannot be read.
    InputError
        If points lie outside their photo, the same photo is under two people, or all faces together would
        take more memory than there is.
    """
    limits = limits or ReadingLimits()
    by_photo: dict[str, list[AnnotatedFace]] = {}
    for one in faces:
        by_photo.setdefault(one.photo, []).append(one)

    made: dict[int, Gathered] = {}
    seen: dict[str, AnnotatedFace] = {}
    size = 0
    runner = choose(jobs, len(by_photo), runner)
    results = runner.in_order(partial(_of_photo, limits=limits), by_photo.values())
    for annotated, result in zip(by_photo.values(), results, strict=True):
        first = annotated[0]
        digest, gathered = unless_lost(result, first.photo)
        other = seen.setdefault(digest, first)
        if other.photo != first.photo:
            raise InputError(
                f"{first.where}: {first.photo} is the same photo as {other.photo}. Keep one of them."
            )
        for one, (example, face) in zip(annotated, gathered, strict=True):
            made[id(one)] = Gathered(one, example, face)
            size += example.pixels.nbytes
        if size > memory.most // _SHARE:
            raise InputError(
                f"{len(faces)} annotated faces take more than the {memory.most // _SHARE >> 20} MiB there "
                "are for them. Annotate fewer, or use a computer with more memory."
            )
        advance()
    return [made[id(one)] for one in faces]


def _of_photo(
    faces: Sequence[AnnotatedFace], limits: ReadingLimits
) -> tuple[str, list[tuple[Example, Face | None]]]:
    """A photo's SHA-256, and each of its annotated faces cut out, with what the detector sees there."""
    photo = read_photo(
        faces[0].photo,
        short_side=FIRST_DECODE,
        max_megapixels=limits.max_megapixels,
        deadline=limits.deadline,
    )
    for one in faces:
        _check_inside(one, photo)
    seen = _faces(photo, "largest")  # which is quicker than to look for all
    if any(_nearest(seen, one.points) is None for one in faces):
        seen = _faces(photo, "all")
    made = []
    for one in faces:
        face = _nearest(seen, one.points)
        photo = photo.finer(power_of_two(_size(one.points) / BOX))
        made.append((_cut(photo, one.points, face), face))
    return photo.sha256, made


def _faces(photo: Photo, which: Which) -> list[Face]:
    try:
        return read_faces(photo, face=which, jitter=2)
    except FaceError:
        return []


def _size(points: Floats) -> float:
    return float(np.max(np.nanmax(points, 0) - np.nanmin(points, 0)))


def _check_inside(one: AnnotatedFace, photo: Photo) -> None:
    beyond = np.maximum(-0.5 - one.points, one.points - (np.array(photo.full_size) - 0.5)).max(1)
    beyond[np.isnan(beyond)] = 0
    worst = int(beyond.argmax())
    if beyond[worst] > _FAR_OUT * _size(one.points):
        x, y = one.points[worst]
        width, height = photo.full_size
        raise InputError(
            f"{one.where}: point {worst} at ({x:g}, {y:g}) lies outside its photo {one.photo} of "
            f"{width} × {height} pixels. Annotate the photo as it is, upright and at its full size."
        )


def _nearest(faces: Sequence[Face], points: Floats) -> Face | None:
    """The face that is the annotated one, if it was found."""

    def far(face: Face) -> float:
        box = np.array(face.box)
        middle = (np.nanmax(points, 0) + np.nanmin(points, 0)) / 2
        return float(np.hypot(*((box[:2] + box[2:]) / 2 - middle)))

    face = min(faces, key=far, default=None)
    if face is None or far(face) > _NEAR * max(_size(points), face.box[2] - face.box[0]):
        return None
    return face


def _cut(photo: Photo, points: Floats, face: Face | None) -> Example:
    """A grey cut-out that holds every chip that training may take of the face."""
    at = photo.to_decoded(points)
    box = None if face is None else photo.to_decoded(np.array(face.box).reshape(2, 2))
    shown = at[np.isfinite(at).all(1)] if box is None else np.concatenate([at[np.isfinite(at).all(1)], box])
    margin = (1.0 + PAD) * _size(at)
    height, width = photo.pixels.shape[:2]
    low = np.clip(np.floor(shown.min(0) - margin), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(shown.max(0) + margin) + 1, low + 1, (width, height)).astype(int)
    part = np.ascontiguousarray(photo.pixels[low[1] : high[1], low[0] : high[0]])
    grey: NDArray[np.uint8] = _engine.shrink(part, 1)
    return Example(grey, at - low, None if box is None else (box - low).ravel())
