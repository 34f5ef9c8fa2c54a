"""A trained network on the terminal, and its loss curves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anthropo.errors import ModelError
from anthropo.files import write
from anthropo.learning.intervals import Interval, number
from anthropo.learning.model_readers import as_written
from anthropo.licensing import stamped
from anthropo.report.evaluation import METRIC_NAMES
from anthropo.report.rendering import SERIES, png, print_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from anthropo.networks.description import Epoch
    from anthropo.networks.finetuning import Finetuned
    from anthropo.networks.network import Network
    from anthropo.networks.verification import PairVerification

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
    _print_overall(finetuned.overall)
    if (target := finetuned.target) is not None:
        print(
            f"\nIn the target, on {target.photos} photos of {target.patients} patients that were kept apart:"
        )
        rows = [(label, *(str(figures[n]) for n in columns)) for label, figures in target.by_label.items()]
        print_table((first, *(NAMES[name] for name in columns)), rows, spaced=True)
        _print_overall(target.overall)
    if finetuned.verification is not None:
        _print_verification(finetuned.verification)


def _print_overall(overall: Mapping[str, Interval]) -> None:
    for name, figure in overall.items():
        if figure.known or not figure.reason:
            print(f"{NAMES.get(name) or METRIC_NAMES.get(name, name)}: {figure}")


def _print_verification(made: PairVerification) -> None:
    """Pairs of people who were kept apart, after training and before."""
    same, others = made.pairs
    print(
        f"\nTold as {made.what}, on {same:,} such pairs and {others:,} others of {made.people} patients that "
        "were kept apart (95 % intervals by patient):"
    )
    rows = [
        ("AUROC", str(made.auroc), str(made.began)),
        ("found where 1 in 100 others is", str(made.true_accepts), str(made.true_accepts_began)),
        ("d′", str(made.apart), str(made.apart_began)),
        *((f"AUROC, {view} alone", number(after), number(before)) for view, after, before in made.by_view),
    ]
    print_table(("", "this network", f"warm start, {made.start}"), rows, spaced=True)
    print(f"AUROC gained: {made.gained}")


History = Mapping[str, Sequence["Epoch"]]  # by view


def history_figure(history: History, metric: str) -> Figure:
    """Loss and the validation metric (named `metric`) over the epochs, one colour per view."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_loss(left, history)
    draw_metric(right, history, metric)
    return figure


def draw_loss(axes: Axes, history: History) -> None:
    """Loss over the epochs, in training and in validation."""
    for colour, (view, epochs) in zip(SERIES, history.items(), strict=False):
        x = range(1, len(epochs) + 1)
        # as floats, in which None, a figure that cannot be computed, is NaN
        axes.plot(x, np.array([e.loss for e in epochs], float), color=colour, label=f"{view}, training")
        held = np.array([e.validation for e in epochs], float)
        axes.plot(x, held, color=colour, linestyle=(0, (4, 1.5)), label=f"{view}, validation")
    _over_epochs(axes, "loss")


def draw_metric(axes: Axes, history: History, metric: str) -> None:
    """The validation metric over the epochs."""
    for colour, (view, epochs) in zip(SERIES, history.items(), strict=False):
        reached = np.array([e.metric for e in epochs], float)
        axes.plot(range(1, len(epochs) + 1), reached, color=colour, marker=".", label=view)
    _over_epochs(axes, f"{metric}, validation")


def _over_epochs(axes: Axes, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False, fontsize="x-small")


def metric_of(network: Network) -> str:
    """The name of the validation metric."""
    from anthropo.networks.objective import MONITORED
    from anthropo.networks.pair_losses import PAIR_LOSSES

    return MONITORED["pairs" if network.about.parameters.loss in PAIR_LOSSES else network.task]


def write_history(path: Path, network: Network) -> None:
    """Loss curves beside a network's file, as .history.png and .history.json."""
    history, metric = network.about.history, metric_of(network)
    picture = png(history_figure(history, metric), 150)
    document = {"metric": metric, "views": as_written(history)}
    text = json.dumps(stamped(document), indent=1).encode() + b"\n"
    for suffix, data in ((".history.png", picture), (".history.json", text)):
        write(path.with_suffix(suffix), data, error=ModelError)
