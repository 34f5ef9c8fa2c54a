"""Whether a photo is fit to be judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.regions import REGIONS, landmarks_in
from anthropo.encoder.several import plain_region
from anthropo.face.gate import ADVICE
from anthropo.measurement.hidden import hidden_measurement
from anthropo.measurement.registry import registry

if TYPE_CHECKING:
    from anthropo.learning.trained import Trained

_VOIDED = 0.45  # of the measurements, from which on a photo is not fit to be judged: blurred, or too small
_EXPRESSION = {"smile", "mouth_open"}  # spoil measurements and leave the photo fit
_FATAL = {"outside", "landmark_spread"}  # checks without which nothing is known of the face
_COVERED = 0.5  # of a region's landmarks: with more of them hidden, its picture is of something else
_WHOLE = ("eyes", "nose", "mouth")  # what whoever looks at the whole picture looks at


def unfit(trained: Trained, failed: Collection[str], hidden: NDArray[np.bool_] | None = None) -> str:
    """Why a photo is not fit to be judged, in a sentence; empty when it is.

    It failed these checks of the photo gate, and something hides these of its landmarks (68,).
    """
    names = trained.manifest.measurements or tuple(registry())
    regions = dict.fromkeys(map(plain_region, trained.regions))
    known = [name for name in names if name in registry()]
    return _unfit(known, failed, hidden) or _covered(regions, failed, hidden)


def unfit_face(failed: Collection[str], hidden: NDArray[np.bool_] | None = None) -> str:
    """The same of a photo that any measurement is to be judged by."""
    return _unfit(tuple(registry()), failed, hidden)


def unfit_picture(failed: Collection[str], hidden: NDArray[np.bool_] | None = None) -> str:
    """The same of a photo that is to be judged as a picture."""
    return unfit_face(failed, hidden) or _covered(_WHOLE, failed, hidden)


def _covered(regions: Iterable[str], failed: Collection[str], hidden: NDArray[np.bool_] | None) -> str:
    """Which region is hidden for the most part, in the sentence of `unfit`; empty for none."""
    if hidden is None or not hidden.any():
        return ""
    for name in regions:
        there = landmarks_in(name) if name in REGIONS else np.zeros(len(hidden), dtype=np.bool_)
        if hidden[there].sum() > _COVERED * there.sum():
            why = _advice({*failed, "hidden"} - _EXPRESSION)
            return f"The photo gate finds the photo unfit: most of the region {name} is hidden ({why})."
    return ""


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
    share = "" if fatal else f", which voids {len(voided)} of {len(entries)} measurements"
    return f"The photo gate finds the photo unfit{share} ({_advice(reasons)})."


def _advice(checks: Collection[str]) -> str:
    return "; ".join(f"{name.replace('_', ' ')}: {ADVICE[name]}" for name in ADVICE if name in checks)
