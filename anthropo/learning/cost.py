"""Costs of errors, and the decision of least expected cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.judged import Floats
from anthropo.tables import read_rows


def expected_cost_decision(probabilities: Floats, cost: Floats) -> NDArray[np.int64]:
    """Index (n,) of the label whose expected cost under probabilities (n, k) is least.

    Elkin, "The foundations of cost-sensitive learning" (IJCAI 2001).
    """
    return np.asarray(np.argmin(probabilities @ cost, axis=1), dtype=np.int64)


def importance(cost: Floats) -> Floats:
    """Training weight (k,) of each true label: the mean cost of getting it wrong, 1 on average."""
    k = len(cost)
    mean = (cost.sum(1) - np.diag(cost)) / (k - 1)
    return mean / mean.mean() if mean.mean() > 0 else np.ones(k)


def parse_cost(text: str, labels: Sequence[str], positive: str | None, controls: str | None) -> Floats:
    """A cost matrix (k, k), row the truth, from ``miss=5``, ``false-alarm=2`` or both with a comma between.

    The label that is missed is `positive`; without one, every label but `controls`.
    """
    costs = {"miss": 1.0, "false-alarm": 1.0}
    for item in text.split(","):
        name, _, number = item.strip().partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name not in costs or not math.isfinite(value) or value <= 0:
            raise InputError(
                f"{parameter('cost', text)}: {item.strip() or 'nothing'} is no cost. Give miss=5 (missing an "
                "affected costs 5 false alarms), false-alarm=2, or both with a comma between."
            )
        costs[name] = value
    affected = np.array(
        [label == positive if positive is not None else label != controls for label in labels]
    )
    if affected.all() or not affected.any():
        raise InputError(
            f"{parameter('cost', text)}: the costs need a positive label. Name it with "
            f"{parameter('positive', 'LABEL')}, or the healthy label with {parameter('controls', 'LABEL')}; "
            f"the labels are {', '.join(labels)}."
        )
    matrix = 1 - np.eye(len(labels))
    matrix[np.outer(affected, ~affected)] = costs["miss"]
    matrix[np.outer(~affected, affected)] = costs["false-alarm"]
    return matrix


def read_cost_matrix(path: Path, labels: Sequence[str]) -> Floats:
    """A cost matrix from a CSV: first row the decisions, first column the true labels.

    Pairs that are not listed cost 1, the diagonal 0.
    """
    rows = [[cell.strip() for cell in row] for _, row in read_rows(path)]
    if len(rows) < 2 or len(rows[0]) < 2:
        raise InputError(
            f"{path}: no cost matrix. The first row names decisions, the first column true labels, the cells "
            "are costs."
        )
    matrix = 1 - np.eye(len(labels))
    decided = [_index(path, cell, labels) for cell in rows[0][1:]]
    for row in rows[1:]:
        true = _index(path, row[0], labels)
        if len(row) != len(rows[0]):
            raise InputError(
                f"{path}: the row of {row[0]} has {len(row)} cells, the first row {len(rows[0])}."
            )
        for at, cell in zip(decided, row[1:], strict=True):
            try:
                value = float(cell)
            except ValueError:
                value = math.nan
            if not math.isfinite(value) or value < 0:
                raise InputError(
                    f"{path}: {cell!r} (true {labels[true]}, decided {labels[at]}) is no cost. "
                    "Give a number of 0 or more."
                )
            matrix[true, at] = value
    return matrix


def _index(path: Path, label: str, labels: Sequence[str]) -> int:
    name = label.strip()
    if name not in labels:
        raise InputError(f"{path}: unknown label {name!r}. The labels are {', '.join(labels)}.")
    return list(labels).index(name)


def expected_cost(truth: ArrayLike, decision: ArrayLike, cost_matrix: ArrayLike) -> float:
    """Mean cost of decisions (n,); -1 is an abstention, whose cost the matrix has in a last column."""
    truth, decision, cost = np.asarray(truth), np.asarray(decision), np.asarray(cost_matrix, dtype=float)
    if (decision < 0).any() and cost.shape[1] == len(cost):
        raise InputError(
            f"cost matrix {len(cost)} × {len(cost)}: no cost of abstaining. Add a last column with it."
        )
    return float(cost[truth, decision].mean())  # index -1 is the last column
