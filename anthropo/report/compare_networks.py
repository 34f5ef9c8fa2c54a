"""Networks that were trained alike, side by side: on a terminal, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo._version import __version__
from anthropo.report.bench import write_text
from anthropo.report.evaluation import METRIC_NAMES, print_table, table_of
from anthropo.report.finetune import NAMES

if TYPE_CHECKING:
    from anthropo.networks.compare import Compared

_RATES = ("sensitivity", "ppv")


def print_compared(compared: Sequence[Compared]) -> None:
    """Recall and precision of each label, a column per network, and what the networks cost."""
    table = table_of("", [one.backbone for one in compared])
    for name, cells in compared_table(compared):
        table.add_row(name, *cells)
    print_table(table)


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
    rows.append(("parameters", [f"{one.network.parameters:,}" for one in every]))
    rows.append(("file, MB", [f"{one.file_bytes / 1e6:.1f}" for one in compared]))
    rows.append(("ms per photo", [f"{one.ms:.1f}" for one in compared]))
    return rows


def write_compared(path: Path, compared: Sequence[Compared]) -> None:
    """The table as an HTML page.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("anthropo.report").joinpath("compare_networks.html").read_text(encoding="utf-8")
    )
    manifest = compared[0].finetuned.network.manifest
    about, judged = manifest["network"], manifest["validation"]
    parameters = {k: v for k, v in about["parameters"].items() if k != "backbone"}
    write_text(
        path,
        template.render(
            networks=[one.backbone for one in compared],
            rows=compared_table(compared),
            recipe=about["recipe"],
            photos=judged["n_photos"],
            patients=judged["n_patients"],
            cohort=manifest["cohort"],
            parameters={
                k: ", ".join(map(str, v)) if isinstance(v, list) else v for k, v in parameters.items()
            },
            command=manifest["command"],
            version=__version__,
        ),
    )
