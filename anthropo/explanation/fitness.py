"""Whether a photo is fit to be judged."""

from __future__ import annotations

from collections.abc import Collection

from anthropo.face.gate import ADVICE
from anthropo.learning.trained import Trained
from anthropo.measurement.registry import registry

_VOIDED = 0.45  # of the measurements, from which on a photo is not fit to be judged: blurred, or too small
_EXPRESSION = {"smile", "mouth_open"}  # spoil measurements and leave the photo fit
_FATAL = {"outside", "landmark_spread"}  # checks without which nothing is known of the face


def unfit(trained: Trained, failed: Collection[str]) -> str:
    """Why a photo that failed these checks is not fit to be judged, in a sentence; empty when it is."""
    names = trained.manifest.get("measurements") or list(registry())
    entries = [registry()[name] for name in names if name in registry()]
    voided = [entry for entry in entries if set(failed).intersection(entry.voids) - _EXPRESSION]
    fatal = _FATAL.intersection(failed)
    if not fatal and len(voided) <= _VOIDED * max(len(entries), 1):
        return ""
    reasons = fatal or set(failed) - _EXPRESSION
    why = "; ".join(f"{name.replace('_', ' ')}: {ADVICE[name]}" for name in ADVICE if name in reasons)
    share = "" if fatal else f", which voids {len(voided)} of {len(entries)} measurements"
    return f"The photo gate finds the photo unfit{share} ({why})."
