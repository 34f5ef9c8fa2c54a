"""Networks that were trained alike, side by side: on a terminal, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.files import write
from anthropo.report.evaluation import METRIC_NAMES
from anthropo.report.finetune import NAMES
from anthropo.report.rendering import page, print_table

if TYPE_CHECKING:
    from anthropo.networks.compare import Compared

_RATES = ("sensitivity", "ppv")


def print_compared(compared: Sequence[Compared]) -> None:
    """Recall and precision of each label, a column per network, and what the networks cost."""
    rows = [(name, *cells) for name, cells in compared_table(compared)]
    print_table(("", *(one.backbone for one in compared)), rows, spaced=True)


def compared_table(compared: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Rows of names and texts, a text per network."""
    from anthropo.networks.compare import OVERALL

    first, every = compared[0].finetuned, [one.finetuned for one in compared]
    rows = [
        (f"{NAMES[name]}, {label}", [str(one.by_label[label][name]) for one in every])
        for name in _RATES
        for label in first.by_label
    ]
    rows += [
        (NAMES.get(name) or METRIC_NAMES[name], [str(one.overall[name]) for one in every])
        for name in OVERALL
        if name in first.overall
    ]
    return [
        *rows,
        ("parameters", [f"{one.network.parameters:,}" for one in every]),
        ("file, MB", [f"{one.file_bytes / 1e6:.1f}" for one in compared]),
        ("ms per photo", [f"{one.ms:.1f}" for one in compared]),
    ]


def write_compared(path: Path, compared: Sequence[Compared]) -> None:
    """The table as an HTML page."""
    network = compared[0].finetuned.network
    parameters = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in network.about.parameters.to_json().items()
        if name != "backbone"
    }
    html = page(
        "compare_networks.html",
        networks=[one.backbone for one in compared],
        rows=compared_table(compared),
        recipe=network.recipe,
        photos=network.manifest.validation.n_photos,
        patients=network.manifest.validation.n_patients,
        cohort=network.manifest.cohort,
        parameters=parameters | {"command": network.manifest.command},
    )
    write(path, html)
