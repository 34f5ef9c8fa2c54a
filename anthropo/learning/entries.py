"""What is kept of a photo in the store: its arrays, and whether an entry has all that this version writes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.portrait import PORTRAIT
from anthropo.encoder.several import Asked
from anthropo.face.gate import CHECKS
from anthropo.learning.duplicates import PRINT_SIDE
from anthropo.learning.identity import IDENTITY
from anthropo.measurement.registry import registry

_LONGEST_REASON = 4000  # characters
_LARGEST = 1e9  # of any number that is kept of a photo


def measurement_ids() -> tuple[str, ...]:
    """Measurements that are learned from: those that need no millimetres."""
    return tuple(entry.id for entry in registry().values() if not entry.needs_mm)


def kept_reason(kept: dict[str, NDArray[Any]]) -> str:
    """Why a photo cannot be used, if that is what the store's entry says.

    It is kept without the photo's name: the same file may be there under several.
    """
    if list(kept) != ["reason"] or kept["reason"].dtype != np.uint8 or kept["reason"].size > _LONGEST_REASON:
        return ""
    text = kept["reason"].tobytes().decode(errors="replace")
    return text if text.isprintable() else ""


def complete(kept: dict[str, NDArray[Any]], no_face: bool, asked: Asked, identify: bool) -> bool:
    """Whether an entry of the store has the arrays that this version writes, and numbers that can be.

    One that was written without an `identity` will do where nobody is to be identified.
    """
    identified = not no_face and (identify or "identity" in kept)
    encoder, regions, _ = asked
    embeddings = {"embeddings": ("f4", (len(regions), encoder.dimension))}
    wanted = shapes_of(no_face, identified) | embeddings
    if {name: (array.dtype.str[1:], array.shape) for name, array in kept.items()} != wanted:
        return False
    measured = kept["measurements"]
    if not (np.isnan(measured) | (np.abs(measured) < _LARGEST)).all():  # what could not be had is NaN
        return False
    if not no_face and max(kept[name].view(np.uint8).max() for name in ("gate", "hidden")) > 1:
        return False
    others = (kept[name] for name in ("print", "embeddings", "shape", "identity") if name in kept)
    return all((np.abs(array) < _LARGEST).all() for array in others)


def shapes_of(no_face: bool, identified: bool) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each array that is kept of a photo beside its embeddings."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {
        "measurements": ("f8", (0 if no_face else len(measurement_ids()),)),
        "print": ("f4", (PRINT_SIDE**2,)),
    }
    if not no_face:
        shapes |= {
            "shape": ("f4", (68, 2)),
            "portrait": ("u1", (*PORTRAIT, 3)),
            "gate": ("b1", (len(CHECKS),)),
            "hidden": ("b1", (68,)),
        }
    return shapes | ({"identity": ("f4", (IDENTITY,))} if identified else {})
