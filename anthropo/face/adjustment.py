"""What makes the landmarks of a model that exists into those that other annotators place.

A landmark model of one's own may begin from another (`anthropo landmarks train --start`): that one places
the 68 points, and a linear map in the upright face, learnt from few annotated people, moves them to where
these annotators put them, or gives other points beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import Floats, upright_map

_MOST_POINTS = 2000
_MOST_PLACE = 5000.0  # px of the upright face
_MOST_WEIGHT = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """A linear map from the 68 points of an upright face to P points.

    Attributes
    ----------
    frame : (68, 2) array
        The mean face that faces are laid on, by all points but the outline's; pixels of the upright face.
    places : (P, 2) array
        Where the points are in a face that is the mean face, pixels of the upright face.
    weights : (136, 2 P) array
        How far they move with the 68 points.
    beside : bool
        Whether they are other points, which stand beside the 68; else they take the place of these.
    """

    frame: Floats
    places: Floats
    weights: Floats
    beside: bool

    def __call__(self, points: Floats) -> Floats:
        """The points (..., P, 2) of faces (..., 68, 2), in the same pixels.

        Parameters
        ----------
        points : (..., 68, 2) array

        Returns
        -------
        (..., P, 2) array

        Examples
        --------
        >>> import anthropo, numpy as np
        >>> from anthropo.face.adjustment import Adjustment
        >>> face = anthropo.read_face(anthropo.example_photo())
        >>> frame = anthropo.face.outer_canthal_distance(face.landmarks) + face.landmarks
        >>> left = Adjustment(frame, frame - (5, 0), np.eye(136), beside=False)  # 5 px to the left of each
        >>> (left(face.landmarks) - face.landmarks)[0].round().tolist()
        [-5.0, 0.0]
        """
        flat = points.reshape(-1, 68, 2)
        placed = np.empty((len(flat), *self.places.shape))
        for i, one in enumerate(flat):
            there = upright_map(one, self.frame)
            laid = one @ there[:, :2].T + there[:, 2]
            moved = self.places + ((laid - self.frame).ravel() @ self.weights).reshape(-1, 2)
            placed[i] = (moved - there[:, 2]) @ np.linalg.inv(there[:, :2]).T
        return placed.reshape(*points.shape[:-2], *self.places.shape)


def adjustment_arrays(by: Adjustment) -> dict[str, NDArray[Any]]:
    """An adjustment as a model's file keeps it, beside the second stage's arrays."""
    return {
        "adjusted_places": by.places.astype(np.float32),
        "adjusted_weights": by.weights.astype(np.float32),
        "adjusted_beside": np.array(by.beside),
    }


def adjustment_of(arrays: Mapping[str, NDArray[Any]], frame: Floats) -> Adjustment | None:
    """The adjustment in a file's arrays, None where there is none; a ValueError says what does not fit."""
    if "adjusted_places" not in arrays:
        return None
    places, weights = (arrays[f"adjusted_{name}"].astype(np.float64) for name in ("places", "weights"))
    beside = arrays["adjusted_beside"]
    if places.ndim != 2 or places.shape[1] != 2 or not 1 <= len(places) <= _MOST_POINTS:
        raise ValueError(f"places of adjusted points of shape {places.shape}")
    if not (np.abs(places) <= _MOST_PLACE).all():
        raise ValueError("places of adjusted points outside the upright face")
    if weights.shape != (136, 2 * len(places)) or not (np.abs(weights) <= _MOST_WEIGHT).all():
        raise ValueError(f"weights of adjusted points that are not 136 × {2 * len(places)} small numbers")
    if beside.shape != () or beside.dtype != np.bool_ or (not beside and len(places) != 68):
        raise ValueError("adjusted points that are neither the 68 nor beside them")
    return Adjustment(frame, places, weights, bool(beside))
