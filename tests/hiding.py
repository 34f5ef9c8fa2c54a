"""Faces of which landmarks are hidden, wherever they were found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anthropo import observation
from anthropo.face.gate import check_hidden
from anthropo.face.landmarker import Face, FacesAskedFor, find_faces
from anthropo.face.visibility import Cover

#: Two places in which hidden landmarks are found, pixels beside where they are.
HERE, THERE = (0.0, 0.0), (17.0, -23.0)
#: Lips and the mouth's corners. Without them a photo stays fit.
MOUTH = tuple(range(48, 68))


@dataclass(frozen=True, slots=True, eq=False)
class Told(Cover):
    """Hides the landmarks that it is told to hide, wherever they lie."""

    named: tuple[int, ...] = ()

    def of(self, landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(np.isin(np.arange(68), self.named), 0.0, 1.0)


def hiding(face: Face, hidden: tuple[int, ...], by: tuple[float, float]) -> Face:
    """The face with hidden landmarks, found elsewhere than they are."""
    moved = np.where(np.isin(np.arange(68), hidden)[:, None], by, 0.0)
    cover = Told(np.ones((9, 9), np.float32), np.zeros((2, 3)), 0.5, places=face.landmarks, named=hidden)
    face = replace(face, cover=cover, landmarks=face.landmarks + moved, samples=face.samples + moved)
    return replace(face, gate=check_hidden(face.gate, face.landmarks, face.hidden))


@contextmanager
def hidden_in(
    photos: Callable[[str], bool], hidden: tuple[int, ...], by: tuple[float, float]
) -> Iterator[None]:
    """Whatever reads these photos finds landmarks of them hidden."""

    def found(photo: Any, **how: Any) -> FacesAskedFor:
        faces, boxes = find_faces(photo, **how)
        if photos(photo.source):
            faces = {at: hiding(face, hidden, by) for at, face in faces.items()}
        return FacesAskedFor(faces, boxes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observation, "find_faces", found)
        yield
