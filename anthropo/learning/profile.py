"""Measurements and average face of each label's people, as a model file keeps them: of no single person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.portrait import PORTRAIT, reshaped
from anthropo.errors import ModelError
from anthropo.learning.features import Features
from anthropo.learning.judged import Floats
from anthropo.learning.model_readers import record
from anthropo.learning.schema import NOTHING, Arrays, Names, taken
from anthropo.learning.states import COMPOSITES, PROFILE, ProfileState
from anthropo.showing import fielded

Pixels = NDArray[np.uint8]

#: Shares of a label's people that are kept of each measurement; the extremes would be single people.
SHARES = np.arange(5, 100, 5) / 100

#: Patients of a label, below which nothing is kept of it: an average of few is a picture of each.
FEWEST = 10


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Measurements of each label's people as quantiles, and their average face."""

    labels: tuple[str, ...]  # those with enough patients
    patients: tuple[int, ...]
    measurements: tuple[str, ...]
    quantiles: Floats  # (labels, measurements, SHARES); NaN where too few have it
    composites: Pixels | None  # (labels, height, width, 3); None when the photos have no faces
    shapes: Floats  # (labels, 68, 2), mean landmarks in the face's own frame; 0 without faces

    __repr__ = fielded

    @classmethod
    def fit(cls, features: Features, labels: Sequence[Sequence[str]]) -> Profile:
        """Profile of photos, each with its labels."""
        people: dict[str, dict[str, list[int]]] = {}
        for row, (several, patient) in enumerate(zip(labels, features.patients.tolist(), strict=True)):
            for label in several:
                people.setdefault(label, {}).setdefault(patient, []).append(row)
        names = tuple(sorted(label for label, rows in people.items() if len(rows) >= FEWEST))
        m = len(features.measurement_ids)
        quantiles = np.full((len(names), m, len(SHARES)), np.nan)
        composites = np.zeros((len(names), *PORTRAIT, 3), dtype=np.uint8)
        shapes = np.zeros((len(names), 68, 2))
        for at, label in enumerate(names):
            rows = list(people[label].values())
            quantiles[at] = _quantiles(_each(features.measurements, rows))
            if features.portraits is not None and features.shapes is not None:
                shapes[at] = _each(features.shapes, rows).mean(0)
                average = _mean(features.portraits, rows)
                composites[at] = reshaped((average + 0.5).astype(np.uint8), shapes[at])
        return cls(
            names, tuple(len(people[label]) for label in names), features.measurement_ids, quantiles,
            composites if features.portraits is not None else None, shapes,
        )  # fmt: skip

    def share_below(self, label: str, measurement: str, value: float) -> float:
        """Share of a label's people with a smaller value, 0.05 to 0.95; NaN when it is not known."""
        quantiles = self._of(label, measurement)
        return float("nan") if quantiles is None else float(np.interp(value, quantiles, SHARES))

    def range(self, label: str, measurement: str) -> tuple[float, float, float] | None:
        """Values that 5, 50 and 95 % of a label's people lie below; None when they are not known."""
        quantiles = self._of(label, measurement)
        return None if quantiles is None else (float(quantiles[0]), float(quantiles[9]), float(quantiles[-1]))

    def _of(self, label: str, measurement: str) -> Floats | None:
        if label not in self.labels or measurement not in self.measurements:
            return None
        quantiles: Floats = self.quantiles[self.labels.index(label), self.measurements.index(measurement)]
        return quantiles if np.isfinite(quantiles).all() else None

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The profile as JSON and arrays of numbers, for a model file."""
        known = np.isfinite(self.quantiles)
        meta = {name: list(getattr(self, name)) for name in ("labels", "patients", "measurements")}
        arrays: Arrays = {
            "quantiles": np.where(known, self.quantiles, 0).astype(np.float32),
            "known": known[..., 0],
            "shapes": self.shapes.astype(np.float32),
        }
        if self.composites is not None:
            arrays["composites"] = self.composites
        return meta, arrays

    @classmethod
    def from_state(cls, meta: Any, arrays: Arrays, names: Names = NOTHING) -> Profile:
        """The profile that `state` was called on."""
        state = record(ProfileState, meta, "profile", names)
        n, m = len(state.labels), len(state.measurements)
        if len(state.patients) != n:
            raise ModelError("its profile does not say how many patients it is of")
        faces = COMPOSITES if "composites" in arrays else ()
        fields = taken(arrays, PROFILE + faces, {"n": n, "m": m})
        known, quantiles = fields["known"][..., None], fields["quantiles"]
        if (np.diff(quantiles, axis=-1) < 0).any():
            raise ModelError("its profile has quantiles that do not ascend")
        return cls(
            state.labels, state.patients, state.measurements, np.where(known, quantiles, np.nan),
            fields.get("composites"), fields["shapes"],
        )  # fmt: skip


def _each(values: NDArray[Any], people: Sequence[Sequence[int]]) -> Floats:
    """Mean (people, ...) over each one's photos, of what is known; NaN where nothing is."""
    means = np.full((len(people), *values.shape[1:]), np.nan)
    for mean, rows in zip(means, people, strict=True):
        of = values[list(rows)]
        known = np.isfinite(of)
        total = np.where(known, of, 0).sum(0, dtype=np.float64)
        np.divide(total, known.sum(0), out=mean, where=known.any(0))
    return means


def _mean(values: NDArray[Any], people: Sequence[Sequence[int]]) -> Floats:
    """Mean (...) over people of each one's mean; no person's takes memory longer than it is added."""
    total = np.zeros(values.shape[1:])
    for rows in people:
        total += values[list(rows)].mean(0)
    return total / len(people)


def _quantiles(values: Floats) -> Floats:
    """(measurements, SHARES) of values (people, measurements)."""
    out = np.full((values.shape[1], len(SHARES)), np.nan)
    enough = np.isfinite(values).sum(0) >= FEWEST
    if enough.any():  # numpy gives another shape for no column
        out[enough] = np.nanquantile(values[:, enough], SHARES, axis=0).T
    return out
