"""Judging a translation on people whom it has not seen."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import FaceError
from anthropo.face.frame import outer_canthal_distance
from anthropo.measurement.compute import measure_face
from anthropo.observation import observe
from anthropo.parallel.runner import Lost, Runner, choose
from anthropo.photo import Photo, example_photo, read_photo
from anthropo.settings import Settings
from anthropo.translation.pictures import Pixels, cut

Floats = NDArray[np.float64]

#: Pictures are enlarged to as many pixels before anthropo looks for landmarks in them.
LEAST_SIDE = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A picture's landmarks and measurements."""

    landmarks: Floats  # (68, 2) as shares of the picture's side
    unit: float  # outer-canthal distance, in the same
    values: Floats  # (m,)
    repeat_sd: Floats  # (m,)


@dataclass(frozen=True, slots=True)
class _Measure:
    """The work on one picture."""

    settings: Settings

    def prepare(self) -> None:
        """Read what every picture needs."""
        photo = read_photo(example_photo())
        self(cut(photo, observe(photo).face.landmarks, 64)[0])

    def __call__(self, picture: Pixels) -> Measured | None:
        large = enlarged(picture)
        try:
            seen = observe(Photo.from_array(large), self.settings)
        except FaceError:
            return None
        landmarks = (seen.face.landmarks + 0.5) / len(large)
        measured = measure_face(seen.face, seen.photo, force=True)
        return Measured(
            landmarks=landmarks,
            unit=outer_canthal_distance(landmarks),
            values=np.array([m.value for m in measured]),
            repeat_sd=np.array([m.repeat_sd for m in measured]),
        )


def enlarged(picture: Pixels) -> Pixels:
    """A picture of at least `LEAST_SIDE` pixels, by a whole factor."""
    size = len(picture)
    side = size * -(-LEAST_SIDE // size)
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def measured(
    pictures: Sequence[Pixels], settings: Settings, jobs: int = 1, runner: Runner | None = None
) -> list[Measured | None]:
    """The landmarks and measurements of pictures; None where no face is found."""
    work, pool = _Measure(settings), choose(jobs, len(pictures), runner)
    with contextlib.closing(pool.in_order(work, pictures)) as results:
        return [None if isinstance(one, Lost) else one for one in results]


def displacement(before: Measured, after: Measured) -> Floats:
    """How far each landmark has moved (68,), in outer-canthal distances of the original."""
    moved: Floats = np.linalg.norm(after.landmarks - before.landmarks, axis=-1) / before.unit
    return moved
