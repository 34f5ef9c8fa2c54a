"""Something beside a table that ends the process which works on a photo."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.batch.inputs import Item
from anthropo.batch.run import MeasuredFace
from anthropo.face.landmarker import Face
from anthropo.photo import Photo


@dataclass(frozen=True)
class Deadly:
    """Kills whoever has measured a photo of this name."""

    name: str

    def missing(self, item: Item) -> bool:
        return True

    def __call__(self, seen: MeasuredFace) -> str:
        if seen.item.path.endswith(self.name):
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{os.getpid()} {seen.item.path}"

    def take(self, item: Item, face: int, made: object) -> None:
        pid, _, path = str(made).partition(" ")
        assert int(pid) != os.getpid()
        assert (path, face) == (item.path, 0)


@dataclass(frozen=True)
class DeadlyEncoder:
    """Kills whoever embeds a photo of this name."""

    deadly: str
    name = digest = how = "deadly"
    align, weights, size, dimension = "canonical", "", 32, 4
    views = ()

    def embed(self, photo: Photo, face: Face | None, regions: Sequence[str]) -> NDArray[np.float32]:
        if photo.source.endswith(self.deadly):
            os.kill(os.getpid(), signal.SIGKILL)
        return np.zeros((len(regions), self.dimension), np.float32)
