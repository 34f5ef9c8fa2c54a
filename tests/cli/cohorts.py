"""A synthetic cohort and models that the tests of several commands share; made once."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from anthropo.synthetic import make_cohort

Row = dict[str, str]

#: One plain look at each photo, as each of the shared models had; the pictures are one photograph.
FAST = ("--jitter", "2", "--no-fine")
TRAIN = (*FAST, "--allow-duplicates")
PATIENTS = 16  # of each label


_made: dict[str, Path] = {}


def synthetic(factory: pytest.TempPathFactory) -> Path:
    """cohort.csv of 16 control, 16 synthetic-A and 16 synthetic-B."""
    if "" not in _made:
        labels = ("control", "synthetic-A", "synthetic-B")
        _made[""] = make_cohort(factory.mktemp("synthetic") / "cohort", PATIENTS, labels)
    return _made[""]


def rows_of(table: Path) -> list[Row]:
    """Its rows, with photos as absolute paths."""
    with table.open(encoding="utf-8", newline="") as file:
        return [{**row, "photo": str(table.parent / row["photo"])} for row in csv.DictReader(file)]


def write(path: Path, rows: list[Row]) -> Path:
    """A table of these rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def two_labels(table: Path) -> list[Row]:
    """The rows of control and synthetic-A."""
    return [row for row in rows_of(table) if row["label"] != "synthetic-B"]


def attributes(table: Path) -> list[Row]:
    """All rows; most with synthetic-A also have `thin lip`, few others."""
    made = []
    for i, row in enumerate(rows_of(table)):
        affected = row["label"] == "synthetic-A"
        own = ["short fissures"] * affected + ["thin lip"] * (i % 8 != 0 if affected else i % 8 == 0)
        made.append({**row, "label": "; ".join(own)})
    return made


def model(factory: pytest.TempPathFactory, kind: str) -> Path:
    """A model without figures: "gallery" (two labels and a rare one, with age and sex), "strangers" (two
    labels, none of them healthy, quick to answer with none of these), "attributes" or "normal"."""
    if kind in _made:
        return _made[kind]
    folder = factory.mktemp("models")
    rows, more = _KINDS[kind]
    table = write(folder / "cohort.csv", rows(synthetic(factory)))
    _made[kind] = folder / f"{kind}.anthropo"
    run("train", table, "-o", _made[kind], "--no-judge", *TRAIN, *more)
    return _made[kind]


def _with_rare(table: Path) -> list[Row]:
    b = [row for row in rows_of(table) if row["label"] == "synthetic-B"][:3]
    older = [
        {**row, "age": str(int(row["age"]) + 12 * (row["label"] != "control"))} for row in two_labels(table)
    ]
    return [*older, *({**row, "label": "Zoë syndrome"} for row in b)]


def _strangers(table: Path) -> list[Row]:
    names = {"control": "one", "synthetic-A": "other"}
    return [{**row, "label": names[row["label"]]} for row in two_labels(table)]


def _healthy(table: Path) -> list[Row]:
    """Those of control and synthetic-B count as healthy: 20 are needed."""
    return [
        {**row, "label": "healthy" if row["label"] != "synthetic-A" else "affected"} for row in rows_of(table)
    ]


_KINDS: dict[str, tuple[Callable[[Path], list[Row]], tuple[str, ...]]] = {
    "gallery": (_with_rare, ("--metadata", "age,sex")),
    "strangers": (_strangers, ("--alarm", "0.1")),
    "attributes": (attributes, ("--multilabel",)),
    "normal": (_healthy, ("--normal", "healthy", "--specificity", "0.9")),
}


def run(*arguments: object) -> str:
    """A command that has to succeed; what it wrote to both streams."""
    from anthropo.cli import cli

    result = CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="anthropo")
    assert result.exit_code == 0, result.output
    return result.output
