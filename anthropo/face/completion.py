"""Where landmarks lie as far as those that are seen can tell.

What hides a part of a face pushes the part's landmarks aside, on to what is seen. How faces differ is known,
though: from the landmarks that are seen the others follow to within 0.04 outer-canthal distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anthropo.face.frame import Floats

#: SD, outer-canthal distances: of a seen landmark about what components tell; of where it is doubted.
_ERROR, _ASTRAY = 0.05, 0.08
_PASSES = 3  # fits, in each of which landmarks count less that lie apart from the last one
_LAID = 0.1  # SD of shift, size and turn between a face and the mean face that it is laid on


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Landmarks of upright faces: their mean, and how they differ.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.face.visibility import cover_model
    >>> shapes = cover_model().shapes
    >>> moved = shapes.mean.copy()
    >>> moved[48:] -= (0, 0.3)  # a mouth pushed up to the nose
    >>> seen = np.ones(68)
    >>> seen[48:] = 0
    >>> bool(np.abs(shapes.completed(moved, seen) - shapes.mean).max() < 0.01)
    True
    """

    mean: Floats  # (68, 2), outer-canthal distances
    components: Floats  # (K, 136), each as long as its SD; the last four shift, stretch and turn the face

    @classmethod
    def of(cls, mean: Floats, modes: Floats) -> Shapes:
        """From the mean face (68, 2) and components (K, 68, 2), each as long as its SD."""
        x, y = np.eye(2)
        laid = [np.tile(x, (68, 1)), np.tile(y, (68, 1)), mean, mean[:, ::-1] * (-1.0, 1.0)]
        return cls(mean, np.concatenate([modes, _LAID * np.array(laid)]).reshape(-1, 2 * len(mean)))

    def completed(self, points: Floats, seen: Floats) -> Floats:
        """Where all landmarks lie, from those of an upright face (68, 2) and how much each counts (68,)."""
        apart = (points - self.mean).ravel()
        counts, placed = seen, points
        for _ in range(_PASSES):
            weighted = self.components * np.repeat(counts / _ERROR**2, 2)
            strength = np.linalg.solve(
                weighted @ self.components.T + np.eye(len(self.components)), weighted @ apart
            )
            placed = self.mean + (strength @ self.components).reshape(-1, 2)
            counts = seen / (1 + ((placed - points) ** 2).sum(1) / _ASTRAY**2)
        return placed
