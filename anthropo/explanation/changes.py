"""What would have to be otherwise: the smallest change of one measurement that moves the decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anthropo.learning.calibration import softmax
from anthropo.learning.cost import expected_cost_decision
from anthropo.learning.features import Features
from anthropo.learning.model import LabelModel, by_person
from anthropo.learning.rows import numbers_of
from anthropo.learning.trained import Trained

_FARTHEST = 4.0  # standard deviations of the training people
_STEPS = 17  # each way
_HALVINGS = 12
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Change of one measurement, everything else as it is, after which the decision is another one."""

    measurement: str  # id
    value: float  # mean over the photos, in the registry's unit
    needed: float  # the value from which on the decision is `decision`
    spread: float  # how far that is, in standard deviations of the training people
    decision: str


def smallest_changes(trained: Trained, features: Features, most: int = _SHOWN) -> list[Counterfactual]:
    """The smallest changes of single measurements after which the decision is another one.

    A change moves the measurement in each of the patient's photos alike. Smallest first, in standard
    deviations; none where no measurement can do it within ±4, and none of models that do not decide between
    labels by measurements. The decision is the label of least expected cost, "none of these" aside. Values
    are searched in steps of a quarter of a standard deviation, and the step that is found is halved twelve
    times.
    """
    model = trained.model
    if not isinstance(model, LabelModel) or model.classifier.measured_ is None:
        return []
    classifier = model.classifier
    table = trained.rows(features)
    mean, _ = by_person(len(table), ["one"] * len(table))
    numbers = classifier.scaler_.transform(table)
    rest = classifier.unbounded(table) - classifier.measured_margins(numbers)
    cost = np.asarray(classifier.cost)
    decided = int(expected_cost_decision(softmax(mean(classifier.margins(table))), cost)[0])

    def decisions(columns: Any, offsets: Any) -> Any:
        """With each of these numbers (r,) moved by its offset (r,), in its standard deviations."""
        moved = np.repeat(numbers[None], len(offsets), axis=0)
        moved[np.arange(len(offsets)), :, columns] += offsets[:, None]
        after = classifier.measured_margins(moved.reshape(-1, numbers.shape[1]))
        sums = rest + after.reshape(len(offsets), *rest.shape)
        return expected_cost_decision(softmax((sums + classifier.limit(sums)).mean(1)), cost)

    pairs = zip(classifier.scaler_.origin, classifier.scaler_.category, strict=True)
    tried = np.array([
        column
        for column, (name, text) in enumerate(pairs)
        if text is None and name in classifier.columns_.measurements and np.isfinite(numbers[:, column]).any()
    ], dtype=np.int64)  # fmt: skip
    if not len(tried):
        return []
    steps = np.linspace(0, _FARTHEST, _STEPS)[1:]
    offsets = np.concatenate([-steps, steps])
    grid = decisions(np.repeat(tried, len(offsets)), np.tile(offsets, len(tried)))
    differs = (grid != decided).reshape(len(tried) * 2, len(steps))  # row: a number and a direction
    rows = np.flatnonzero(differs.any(1))
    columns, signs = tried[rows // 2], np.where(rows % 2, 1.0, -1.0)
    first = differs[rows].argmax(1)
    near, far = np.where(first > 0, steps[first - 1], 0.0), steps[first]
    for _ in range(_HALVINGS if len(rows) else 0):
        middle = (near + far) / 2
        beyond = decisions(columns, signs * middle) != decided
        far, near = np.where(beyond, middle, far), np.where(beyond, near, middle)
    order = sorted(range(len(rows)), key=lambda i: (far[i], columns[i]))[:most]
    changes = []
    for i in order:
        name, spread = classifier.scaler_.origin[columns[i]], float(signs[i] * far[i])
        value = float(np.nanmean(numbers_of(table, (name,))))
        needed = value + spread * float(classifier.scaler_.spread[columns[i]])
        new = int(decisions(columns[i : i + 1], np.array([spread]))[0])
        changes.append(Counterfactual(name, value, needed, spread, model.trained[new]))
    return changes
