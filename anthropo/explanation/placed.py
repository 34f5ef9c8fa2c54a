"""Scenes of several encoders, or of pictures of their own, in the common square of a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from anthropo.explanation.maps import Floats, Masks, Scene

Map = Floats  # (2, 3), of the unit square to the photo


@dataclass(frozen=True, slots=True, eq=False)
class PlacedScene:
    """A scene whose squares lie somewhere in a photo, as it lies in the common square of `side` pixels."""

    scene: Scene
    parts: Sequence[Map]  # how each of them lies
    common: Map
    side: int
    masks: Masks  # see `Scene.masks`

    @classmethod
    def of(cls, scene: Scene, parts: Sequence[Map], common: Map, side: int) -> PlacedScene:
        """The scene in the common square."""
        seen = [
            _brought(mask.astype(np.float64), at, common, side) > 0.5
            for mask, at in zip(scene.masks, parts, strict=True)
        ]
        return cls(scene, parts, common, side, np.stack(seen))

    @property
    def grid(self) -> tuple[int, int]:
        """See `Scene.grid`."""
        return 1, 0

    def randomised(self, seed: int) -> PlacedScene:
        """See `Scene.randomised`."""
        return replace(self, scene=self.scene.randomised(seed))

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """See `Scene.log_odds`."""
        size = self.scene.masks.shape[1]
        brought = np.empty((*keeps.shape[:2], size, size), np.float32)
        for part in range(keeps.shape[1]):
            where = _places(size, self.parts[part], self.common, self.side)
            for q in range(len(keeps)):  # beyond the common square as at its rim
                brought[q, part] = map_coordinates(keeps[q, part], where, order=1, mode="nearest")
        return self.scene.log_odds(brought)

    def maps(self, steps: int) -> Floats:
        """See `Scene.maps`."""
        size = self.scene.masks.shape[1]
        brought = []
        for values, part in zip(self.scene.maps(steps), self.parts, strict=True):
            # a pixel of the common square covers so much of the scene's, and so much of its log-odds
            area = np.linalg.det(self.common[:, :2]) / np.linalg.det(part[:, :2])
            here = _brought(values, part, self.common, self.side)
            brought.append(here * float(area) * (size / self.side) ** 2)
        return np.stack(brought)


def _brought(values: Floats, part: Map, common: Map, side: int) -> Floats:
    """One part's square (size, size) as it lies in the common one, (side, side)."""
    return np.asarray(map_coordinates(values, _places(side, common, part, len(values)), order=1))


def _places(size: int, here: Map, there: Map, across: int) -> Floats:
    """Where the pixels of one square lie in another of `across` pixels, (2, size, size), y first."""
    units = np.stack(np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2), -1)
    in_photo = units @ here[:, :2].T + here[:, 2]
    in_there = (in_photo - there[:, 2]) @ np.linalg.inv(there[:, :2]).T
    return np.moveaxis(in_there[..., ::-1] * across - 0.5, -1, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Scenes of one common square, as one scene of all their parts."""

    scenes: Sequence[Scene]

    @property
    def grid(self) -> tuple[int, int]:
        """See `Scene.grid`."""
        return 1, 0

    @property
    def masks(self) -> Masks:
        """See `Scene.masks`."""
        return np.concatenate([scene.masks for scene in self.scenes])

    def randomised(self, seed: int) -> Together:
        """See `Scene.randomised`."""
        return Together([scene.randomised(seed) for scene in self.scenes])

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """See `Scene.log_odds`."""
        ends = np.cumsum([len(scene.masks) for scene in self.scenes])[:-1]
        parts = np.split(keeps, ends, axis=1)
        return np.concatenate([s.log_odds(p) for s, p in zip(self.scenes, parts, strict=True)], axis=1)

    def maps(self, steps: int) -> Floats:
        """See `Scene.maps`."""
        return np.concatenate([scene.maps(steps) for scene in self.scenes])
