"""Whether a photo is fit to be judged."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.face.gate import ADVICE
from anthropo.measurement.hidden import hidden_measurement
from anthropo.measurement.registry import registry

if TYPE_CHECKING:
    from anthropo.learning.trained import Trained

_VOIDED = 0.45  # of the measurements, from which on a photo is not fit to be judged: blurred, or too small
_EXPRESSION = {"smile", "mouth_open"}  # spoil measurements and leave the photo fit
_FATAL = {"outside", "landmark_spread"}  # checks without which nothing is known of the face


def unfit(trained: Trained, failed: Collection[str], hidden: NDArray[np.bool_] | None = None) -> str:
    """Why a photo is not fit to be judged, in a sentence; empty when it is.

    It failed these checks of the photo gate, and something hides these of its landmarks (68,).
    """
    names = trained.manifest.measurements or tuple(registry())
    return _unfit([name for name in names if name in registry()], failed, hidden)


def unfit_face(failed: Collection[str], hidden: NDArray[np.bool_] | None = None) -> str:
    """The same of a photo that any measurement, or the whole picture, is to be judged by."""
    return _unfit(tuple(registry()), failed, hidden)


def _unfit(names: Collection[str], failed: Collection[str], hidden: NDArray[np.bool_] | None) -> str:
    unseen = np.zeros(68, dtype=np.bool_) if hidden is None else hidden
    entries = [registry()[name] for name in names]
    voided = [
        entry
        for entry in entries
        if set(failed).intersection(entry.voids) - _EXPRESSION or hidden_measurement(entry, unseen)
    ]
    fatal = _FATAL.intersection(failed)
    if not fatal and len(voided) <= _VOIDED * max(len(entries), 1):
        return ""
    reasons = fatal or set(failed) - _EXPRESSION
    why = "; ".join(f"{name.replace('_', ' ')}: {ADVICE[name]}" for name in ADVICE if name in reasons)
    share = "" if fatal else f", which voids {len(voided)} of {len(entries)} measurements"
    return f"The photo gate finds the photo unfit{share} ({why})."
