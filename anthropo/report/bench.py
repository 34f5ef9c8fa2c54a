"""What networks cost and are worth, side by side: on a terminal, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.files import write
from anthropo.plain import minus, written
from anthropo.report.rendering import as_json, print_table

if TYPE_CHECKING:
    from anthropo.networks.bench import BenchedNetwork


def print_bench(measured: Sequence[BenchedNetwork]) -> None:
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
            "–" if m.memory_bytes is None else f"{m.memory_bytes / 1e6:.0f}",
            f"{m.ms:.1f}",
            f"{m.times_torch:.2f}",
            minus(f"{m.auroc_lost:+.4f}"),
            f"{m.largest_difference:.1g}",
        )
        for m in measured
    ]
    print_table((*columns, "ms per photo", "× torch", "AUROC lost", "difference"), rows, spaced=True)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write flat rows as .csv or .json."""
    if path.suffix.lower() == ".json":
        text = as_json([{k: None if v != v else v for k, v in row.items()} for row in rows]) + "\n"
    else:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.6g}" if isinstance(v, float) else written(v) for k, v in row.items() if v == v}
            for row in rows
        )
        text = out.getvalue()
    write(path, text)
