"""Networks side by side: on a terminal, as a table, as a page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.files import write
from anthropo.report.rendering import page, print_table

if TYPE_CHECKING:
    from anthropo.learning.intervals import Interval
    from anthropo.networks.bench import Measured
    from anthropo.networks.compare import Compared

Row = dict[str, Any]

_RATES = {"sensitivity": "recall", "ppv": "precision"}
_OVERALL = {
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "top_3": "top-3",
    "quadratic_kappa": "quadratic kappa",
    "off_by_one": "off by one grade at most",
}


def print_bench(found: Sequence[Measured]) -> None:
    """A row for each network and runtime."""
    columns = ("network", "runtime", "AUROC", "accuracy", "parameters", "file, MB", "memory, MB")
    rows = [
        (
            m.network,
            m.runtime,
            str(m.auroc),
            str(m.accuracy),
            f"{m.parameters:,}",
            f"{m.file_bytes / 1e6:.1f}",
            "–" if m.memory is None else f"{m.memory / 1e6:.0f}",
            f"{m.ms:.1f}",
            f"{m.faster:.2f}",
            f"{m.auroc_lost:+.4f}".replace("-", "−"),
            f"{m.difference:.1g}",
        )
        for m in found
    ]
    print_table((*columns, "ms per photo", "× torch", "AUROC lost", "difference"), rows, spaced=True)


def bench_rows(found: Sequence[Measured]) -> list[Row]:
    """The same as flat rows."""
    return [
        {
            "network": m.network,
            "recipe": m.recipe,
            "runtime": m.runtime,
            **_flat("auroc", m.auroc),
            **_flat("accuracy", m.accuracy),
            "parameters": m.parameters,
            "file_bytes": m.file_bytes,
            "memory_bytes": m.memory,
            "ms": m.ms,
            "times_torch": m.faster,
            "auroc_lost": m.auroc_lost,
            "largest_difference": m.difference,
        }
        for m in found
    ]


def _flat(name: str, figure: Interval) -> Row:
    said = figure.to_json()
    return {name: said["value"], f"{name}_lo": said["lo"], f"{name}_hi": said["hi"]}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write flat rows as .csv or .json.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if path.suffix.lower() == ".json":
        plain = [{k: None if v != v else v for k, v in row.items()} for row in rows]
        text = json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    else:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
        text = out.getvalue()
    write(path, text)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return "" if value is None else value


# -------------------------------------------------------------------------------- networks that were trained


def print_compared(found: Sequence[Compared]) -> None:
    """Recall and precision of each label, a column per network, and what the networks cost."""
    rows = [(name, *cells) for name, cells in compared_table(found)]
    print_table(("", *(one.backbone for one in found)), rows, spaced=True)


def compared_table(found: Sequence[Compared]) -> list[tuple[str, list[str]]]:
    """Rows of names and texts, a text per network."""
    labels = list(found[0].made.by_label)
    rows = [
        (f"{_RATES[name]}, {label}", [str(one.made.by_label[label][name]) for one in found])
        for name in _RATES
        for label in labels
    ]
    for name in found[0].made.overall:
        if name in _OVERALL:
            rows.append((_OVERALL[name], [str(one.made.overall[name]) for one in found]))
    rows.append(("parameters", [f"{one.made.network.parameters:,}" for one in found]))
    rows.append(("file, MB", [f"{one.file_bytes / 1e6:.1f}" for one in found]))
    rows.append(("ms per photo", [f"{one.ms:.1f}" for one in found]))
    return rows


def compared_rows(found: Sequence[Compared]) -> list[Row]:
    """A flat row for each network and label; the figures of all labels are repeated."""
    rows = []
    for one in found:
        overall = one.made.overall
        for label, figures in one.made.by_label.items():
            row: Row = {"network": one.backbone, "label": label}
            for name, said in _RATES.items():
                row |= _flat(said, figures[name])
            for name in _OVERALL:
                if name in overall:
                    row |= _flat(name, overall[name])
            row |= {
                "parameters": one.made.network.parameters,
                "file_bytes": one.file_bytes,
                "ms": one.ms,
            }
            rows.append(row)
    return rows


def write_compared(path: Path, found: Sequence[Compared]) -> None:
    """The table as an HTML page.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    manifest = found[0].made.network.manifest
    about, judged = manifest["network"], manifest["validation"]
    parameters = {k: v for k, v in about["parameters"].items() if k != "backbone"}
    write(
        path,
        page(
            "comparison.html",
            networks=[one.backbone for one in found],
            rows=compared_table(found),
            recipe=about["recipe"],
            photos=judged["n_photos"],
            patients=judged["n_patients"],
            cohort=manifest["cohort"],
            parameters={
                k: ", ".join(map(str, v)) if isinstance(v, list) else v for k, v in parameters.items()
            }
            | {"command": manifest["command"]},
        ),
    )
