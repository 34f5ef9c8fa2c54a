"""A trained network on the terminal, and its loss curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anthropo.errors import ModelError
from anthropo.files import write
from anthropo.learning.model_readers import as_written
from anthropo.licensing import stamped
from anthropo.report.evaluation import METRIC_NAMES
from anthropo.report.rendering import SERIES, png, print_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anthropo.networks.description import Epoch
    from anthropo.networks.finetuning import Finetuned
    from anthropo.networks.network import Network

#: What figures of networks are called.
NAMES = {
    "sensitivity": "recall",
    "ppv": "precision",
    "specificity": "specificity",
    "auroc": "AUROC",
    "top_3": "top-3",
    "quadratic_kappa": "quadratic kappa",
    "off_by_one": "off by one grade at most",
}


def print_finetuned(finetuned: Finetuned) -> None:
    """The figures on patients that were kept apart: per label, then over all."""
    validation = finetuned.network.manifest.validation
    print(
        f"On {validation.n_photos} photos of {validation.n_patients} patients that were kept apart "
        "(95 % intervals):"
    )
    columns = ("sensitivity", "ppv", "specificity", "auroc")
    first = "attribute" if finetuned.network.task == "attributes" else "label"
    rows = [(label, *(str(figures[n]) for n in columns)) for label, figures in finetuned.by_label.items()]
    print_table((first, *(NAMES[name] for name in columns)), rows, spaced=True)
    for name, figure in finetuned.overall.items():
        if figure.known or not figure.reason:
            print(f"{NAMES.get(name) or METRIC_NAMES.get(name, name)}: {figure}")


def history_figure(history: Mapping[str, Sequence[Epoch]], metric: str) -> Figure:
    """Loss and the validation metric (named `metric`) over the epochs, one colour per view."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (view, epochs) in zip(SERIES, history.items(), strict=False):
        x = range(1, len(epochs) + 1)
        # as floats, in which None, a figure that cannot be computed, is NaN
        left.plot(x, np.array([e.loss for e in epochs], float), color=colour, label=f"{view}, training")
        held = np.array([e.validation for e in epochs], float)
        reached = np.array([e.metric for e in epochs], float)
        left.plot(x, held, color=colour, linestyle=(0, (4, 1.5)), label=f"{view}, validation")
        right.plot(x, reached, color=colour, marker=".", label=view)
    for axes, label in ((left, "loss"), (right, f"{metric}, validation")):
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="x-small")
    return figure


def write_history(path: Path, network: Network) -> None:
    """Loss curves beside a network's file, as .history.png and .history.json."""
    from anthropo.networks.objective import MONITORED

    history = network.about.history
    picture = png(history_figure(history, MONITORED[network.task]), 150)
    document = {"metric": MONITORED[network.task], "views": as_written(history)}
    text = json.dumps(stamped(document), indent=1).encode() + b"\n"
    for suffix, data in ((".history.png", picture), (".history.json", text)):
        write(path.with_suffix(suffix), data, error=ModelError)
