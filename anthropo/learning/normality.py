"""Distance to normal: learned from healthy people alone, with a threshold at a stated specificity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anthropo.errors import InputError, parameter
from anthropo.learning.features import Features
from anthropo.learning.model import ModelAnswers, Options, by_person, control_label, design
from anthropo.learning.model_readers import part, prefixed, record
from anthropo.learning.novelty import Novelty
from anthropo.learning.schema import NOTHING, Arrays, Names
from anthropo.learning.states import NormalityState

WITHIN, OUTSIDE = "within normal", "outside normal"
_FEWEST = 20  # healthy people, below which a threshold means little


@dataclass(frozen=True, slots=True, eq=False)
class NormalityModel:
    """Distance of a face to healthy ones."""

    distance: Novelty
    specificity: float

    labels = (WITHIN, OUTSIDE)

    @classmethod
    def fit(cls, features: Features, options: Options) -> NormalityModel:
        """Train on the photos of the control label; others take no part."""
        controls = control_label(features.labels, options.controls)
        healthy = features.labels == controls
        patients = features.patients[healthy]
        people = len(set(patients.tolist()))
        if people < _FEWEST:
            raise InputError(
                f"Distance to normal needs {_FEWEST} healthy people or more; {controls or 'no label'} "
                f"has {people}. Name their label with {parameter('controls', 'HEALTHY')}, or add photos."
            )
        if not 0.5 <= options.specificity < 1 or people * (1 - options.specificity) < 1:
            raise InputError(
                f"{parameter('specificity', options.specificity)}: with {people} healthy people it can be "
                f"0.5 to {1 - 1 / people:.3f}."
            )
        distance = Novelty.fit(design(features, options)[healthy], patients, options.seed)
        return cls(distance, options.specificity)

    def answer(self, table: Any, groups: Sequence[str] | None = None) -> ModelAnswers:
        """Answers for the rows of a feature table, or for its people when `groups` names the patients."""
        mean, n = by_person(len(table), groups)
        distance = mean(self.distance.distance(table)[:, None])[:, 0]
        p = self.distance.p_value(distance)
        outside = p <= 1 - self.specificity
        # only to order people by: beyond the farthest healthy one the rank stays the same, this does not
        score = np.column_stack([1 / (1 + distance), distance / (1 + distance)])
        return ModelAnswers(
            self.labels, score, np.column_stack([~outside, outside]), outside.astype(np.int64),
            np.full((n, 2), np.nan), np.column_stack([np.full(n, np.nan), distance]), p, ("",) * n,
        )  # fmt: skip

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """The model as JSON and arrays of numbers, for a model file."""
        meta, arrays = self.distance.state()
        made = {"task": "normality", "specificity": self.specificity, "distance": meta}
        return made, prefixed(arrays, "distance/")

    @classmethod
    def from_state(cls, meta: Any, arrays: Arrays, names: Names = NOTHING) -> NormalityModel:
        """The model that `state` was called on."""
        state = record(NormalityState, meta, "model", names)
        return cls(Novelty.from_state(state.distance, part(arrays, "distance/"), names), state.specificity)
