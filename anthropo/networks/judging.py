"""How good a network is: its answers on some units beside the truth, and the figures of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.learning.attributes import ABSENT, PRESENT
from anthropo.learning.grades import judge_grades
from anthropo.learning.intervals import Interval
from anthropo.learning.judged import Judged
from anthropo.learning.metrics import judge, judge_labels
from anthropo.networks.network import Network, decided
from anthropo.networks.pictures import Pictures
from anthropo.networks.units import Units

Figures = dict[str, Interval]  # by metric

BOOTSTRAP = 1000
_TOP = (1, 3)
_OF_LABELS = ("sensitivity", "ppv", "specificity", "auroc")
_OVERALL = ("balanced_accuracy", "accuracy", "auroc", "top_1", "top_3")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkAnswers:
    """A network's answers on units whose truth is known."""

    task: str
    labels: Judged | None = None  # of labels, grades and cases
    attributes: Mapping[str, Judged] = field(default_factory=dict)  # of attributes, one question each

    def overall(self, seed: int = 0) -> Figures:
        """Figures over all labels; none for attributes."""
        if self.labels is None:
            return {}
        figures = judge(self.labels, top=_TOP, bootstrap=BOOTSTRAP, seed=seed)
        overall = {name: figures[name] for name in _OVERALL[: 3 if self.task == "grades" else None]}
        if self.task == "grades":
            overall |= judge_grades(self.labels, bootstrap=BOOTSTRAP, seed=seed)
        return overall

    def by_label(self, seed: int = 0) -> dict[str, Figures]:
        """Recall ("sensitivity"), precision ("ppv"), specificity and AUROC of each label or attribute."""
        if self.labels is not None:
            figures = judge_labels(self.labels, bootstrap=BOOTSTRAP, seed=seed)
        else:
            figures = {
                name: judge(judged, PRESENT, bootstrap=BOOTSTRAP, seed=seed)
                for name, judged in self.attributes.items()
            }
        return {
            label: {name: figure for name, figure in each.items() if name in _OF_LABELS}
            for label, each in figures.items()
        }


def flat_figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """A table's row with three columns for an interval: the value, and the ends as ``…_lo`` and ``…_hi``."""
    columns: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Interval):
            numbers = value.to_json()
            columns |= {name: numbers["value"], f"{name}_lo": numbers["lo"], f"{name}_hi": numbers["hi"]}
        else:
            columns[name] = value
    return columns


def judge_network(
    network: Network, pictures: Pictures, units: Units, part: int, views: tuple[str, ...] = ()
) -> NetworkAnswers:
    """A network's answers on a part of the units, averaged over all of its views or the given ones."""
    chosen = units.chosen(part)
    batch = network.about.parameters.batch
    out = []
    for start in range(0, len(chosen), batch):
        rows = chosen[start : start + batch]
        metadata = None if units.metadata is None else units.metadata[rows]
        chips = {name: chips_of(network, pictures, units, rows, name) for name in views or network.views}
        out.append(network.probabilities(chips, metadata, batch=batch))
    return answers_of(network, units, chosen, np.concatenate(out))


def answers_of(
    network: Network, units: Units, chosen: NDArray[np.int64], p: NDArray[np.float64]
) -> NetworkAnswers:
    """Probabilities (n, k) of some units beside the truth."""
    groups, target = units.patients[chosen], units.target[chosen]
    if network.task != "attributes":
        p = p / p.sum(1, keepdims=True)
        decision = decided(p, network.about.spec.head)
        return NetworkAnswers(task=network.task, labels=Judged(units.labels, target, p, groups, decision))
    truth, decision = (target > 0).astype(np.int64), (p >= 0.5).astype(np.int64)
    both = np.stack([1 - p, p], -1)
    attributes = {
        name: Judged((ABSENT, PRESENT), truth[:, c], both[:, c], groups, decision[:, c])
        for c, name in enumerate(units.labels)
    }
    return NetworkAnswers(task=network.task, attributes=attributes)


def chips_of(
    network: Network, pictures: Pictures, units: Units, chosen: NDArray[np.int64], name: str
) -> NDArray[np.uint8]:
    """One view's pictures of some units, (n, size, size, 3), of cases (n, m, size, size, 3)."""
    if network.task != "cases":
        return pictures.of([units.rows[i][0] for i in chosen], name)
    most = network.about.parameters.images
    rows = [units.rows[i][:most] for i in chosen]
    chips = np.zeros((len(rows), max(map(len, rows)), network.size, network.size, 3), np.uint8)
    for i, case in enumerate(rows):
        chips[i, : len(case)] = pictures.of(case, name)
    return chips


def pictures_to_answer(
    network: Network, pictures: Pictures, units: Units, chosen: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """All views' pictures of some units, (n, views, size, size, 3), of cases (n, photos, size, size, 3)."""
    views = [chips_of(network, pictures, units, chosen, name) for name in network.views]
    return views[0] if network.task == "cases" else np.stack(views, 1)
