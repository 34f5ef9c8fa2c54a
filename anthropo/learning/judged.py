"""Answers of models on photos whose label is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.showing import brief, count, listed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Answers of a model on photos whose label is known.

    Examples
    --------
    >>> from anthropo.learning import Judged
    >>> proba = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> judged = Judged(("control", "Noonan"), [0, 1, 1], proba, ["a", "b", "b"], [0, 1, 0])
    >>> judged.part(judged.truth == 1).decision.tolist()
    [1, 0]
    """

    labels: tuple[str, ...]  # k
    truth: Ints  # (n,) index of the true label
    proba: Floats  # (n, k) calibrated probabilities, rows sum to 1
    groups: NDArray[Any]  # (n,) patient of each photo
    decision: Ints  # (n,) index of the label that was decided on; -1: abstained
    sets: Bools | None = None  # (n, k) prediction sets
    ranks_only: bool = False  # `proba` orders people, but is no probability
    fold: Ints | None = None  # (n,) the fold that each photo was judged in; None: all by one model
    typicality: Floats | None = None  # (n,) share of known people who are at least as unlike the others
    photos: NDArray[Any] | None = None  # (n,) their names
    repeats: tuple[Judged, ...] = ()  # the same photos, judged in folds that were dealt again

    def __repr__(self) -> str:
        dealings = f", {len(self.dealt)} dealings" if self.repeats else ""
        return brief(self, count(len(self.truth), "photo"), f"labels {listed(self.labels)}{dealings}")

    def __post_init__(self) -> None:
        n, k = len(self.truth), len(self.labels)
        wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
            "truth": (np.int64, (n,)), "proba": (np.float64, (n, k)), "groups": (None, (n,)),
            "decision": (np.int64, (n,)), "sets": (np.bool_, (n, k)), "fold": (np.int64, (n,)),
            "typicality": (np.float64, (n,)), "photos": (None, (n,)),
        }  # fmt: skip
        for name, (kind, shape) in wanted.items():
            if (given := getattr(self, name)) is not None:
                array = np.asarray(given, dtype=kind)
                if array.shape != shape:
                    raise InputError(
                        f"{name}: shape {array.shape}, needed {shape} for {n} photos and {k} labels."
                    )
                object.__setattr__(self, name, array)
        if not n:
            raise InputError("No photo to judge by. Give photos whose label is known.")
        if not (np.isfinite(self.proba).all() and np.allclose(self.proba.sum(1), 1, atol=1e-4)):
            raise InputError("proba: every photo needs probabilities that are finite and sum to 1.")
        for name, least in (("truth", 0), ("decision", -1)):
            values = getattr(self, name)
            if values.min() < least or values.max() >= k:
                raise InputError(f"{name}: indices from {least} to {k - 1} are needed for {k} labels.")

    @property
    def dealt(self) -> tuple[Judged, ...]:
        """The answers of each dealing of the folds, without those of the others."""
        return (replace(self, repeats=()) if self.repeats else self, *self.repeats)

    def part(self, chosen: Bools) -> Judged:
        """Some of the photos, chosen by a mask (n,)."""
        names = ("truth", "proba", "groups", "decision", "sets", "fold", "typicality", "photos")
        rows: dict[str, Any] = {
            name: None if (of := getattr(self, name)) is None else of[chosen] for name in names
        }
        return replace(self, **rows, repeats=tuple(again.part(chosen) for again in self.repeats))

    def index(self, label: str | None) -> int | None:
        """Place of a label among `labels`; None for None."""
        if label is not None and label not in self.labels:
            raise InputError(f"label {label!r}: not one of {', '.join(self.labels)}. Name one of these.")
        return None if label is None else self.labels.index(label)

    def one_sided(self, positive: int | None) -> str:
        """Reason why these photos cannot be told apart: they are all of one side."""
        if positive is not None and not (self.truth == positive).any():
            return f"no photo of {self.labels[positive]}"
        return f"every photo is of {self.labels[self.truth[0]]}"
