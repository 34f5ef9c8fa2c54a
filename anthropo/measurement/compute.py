"""Face to measurements, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anthropo.face.landmarker import Face, beyond_border, read_face
from anthropo.measurement.kinds import Floats, functions
from anthropo.measurement.registry import Entry, landmark_names, registry
from anthropo.photo import Photo

_Z95 = 1.959964  # half-width of a 95 % interval in standard deviations


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value. A value that cannot be had is NaN, with the reason."""

    id: str
    value: float
    lo: float  # 95 % interval
    hi: float
    unit: str  # ex-ex: fraction of the outer-canthal distance
    side: str  # R, L (the subject's own) or mid
    reason: str  # empty, or why there is no value or no interval


def evaluate(points: Floats, entries: list[Entry] | None = None) -> Floats:
    """Bare geometry: values of many faces at once.

    Parameters
    ----------
    points : (..., 68, 2) array
        Landmarks in any one unit of length, x right, y down.
    entries : list of Entry, optional
        All of the registry when left out.

    Returns
    -------
    (..., M) array
        In the entries' units; NaN where a denominator is zero.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.shape[-2:] != (68, 2):
        raise ValueError(f"points have shape {points.shape}, (..., 68, 2) needed")
    chosen = list(registry().values()) if entries is None else entries
    out = np.empty((*points.shape[:-2], len(chosen)))
    with np.errstate(divide="ignore", invalid="ignore"):
        # no builtins: expressions reach nothing but what is named here
        names: dict[str, Any] = {"__builtins__": {}, **functions(points), **landmark_names(points)}
        unit = names["d"](names["exR"], names["exL"])
        for i, entry in enumerate(chosen):
            value = entry.evaluate(names)
            out[..., i] = value / unit**entry.power if entry.power else value
    out[~np.isfinite(out)] = np.nan
    return out


def measure_face(face: Face) -> list[Measurement]:
    """Every measurement of a face.

    Returns
    -------
    list of Measurement
        In the registry's order. The interval is the value ± 1.96 standard deviations of a single
        jittered evaluation (the value is that of their mean, and so a little steadier); lengths and
        areas end at zero.
    """
    entries = list(registry().values())
    jittered = len(face.samples) > 1
    every = evaluate(np.concatenate([face.landmarks[None], face.samples]), entries)
    values = every[0]
    half = _Z95 * every[1:].std(0, ddof=1) if jittered else np.full(len(entries), np.nan)
    outside = beyond_border(face.landmarks, face.size)
    whole = not outside.any()
    result = []
    for entry, value, margin in zip(entries, values.tolist(), half.tolist(), strict=True):
        reason = "" if jittered else "no interval without jitter"
        if not whole and outside[list(entry.points)].any():
            value, reason = np.nan, "a landmark lies beyond the photo's border"
        elif np.isnan(value):
            reason = "undefined: its denominator is zero"
        margin = np.nan if np.isnan(value) else margin
        low = value - margin
        if entry.kind in ("distance", "area") and low < 0 <= value:
            low = 0.0
        result.append(Measurement(entry.id, value, low, value + margin, entry.unit, entry.side, reason))
    return result


def measure(photo: str | Photo, **options: Any) -> list[Measurement]:
    """Measure the face of one photograph.

    Parameters
    ----------
    photo : path or Photo
    **options
        As for `anthropo.read_face`: ``face``, ``jitter``, ``landmark_model``, ``max_megapixels``.

    Returns
    -------
    list of Measurement

    Raises
    ------
    PhotoError, FaceError, WeightsError
        As `anthropo.read_face`.

    Examples
    --------
    >>> for m in measure("portrait.jpg"):  # doctest: +SKIP
    ...     print(m.id, m.value, m.lo, m.hi, m.unit)
    """
    return measure_face(read_face(photo, **options))
