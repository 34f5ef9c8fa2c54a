"""The data dictionary: what every column of every table means, as data and as a page."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from anthropo.definitions import Definition, definitions
from anthropo.face.gate import CHECKS
from anthropo.files import open_regular, packaged_table, write
from anthropo.measurement.registry import registry

_HEAD = """# Data dictionary: the columns of every table that anthropo writes

Made by `python -m anthropo.report.columns docs` from `anthropo/report/columns.csv`; a test fails when they
differ, or when a table has a column that is not here. `{measurement}` stands for the id of a measurement in
the [atlas](atlas.md), such as [philtrum_length](atlas.md#philtrum_length), or of
[one's own](own-measurements.md), `{check}` for a check of the photo gate, `{reference}`, `{label}`, `{group}`
and `{by}` for names. Other columns of a cohort's table are passed through; one that has the name of a result
becomes `input_NAME`.
In CSV, cells that begin with =, +, - or @ and are no number get an apostrophe, so that no spreadsheet takes
them for a formula; `--raw` leaves them as they are.
"""


_LONGEST = 1 << 20  # bytes of a header
_FEW, _SHARE = 3, 0.75  # columns of a table, and share of them, by which it is known


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or a family of columns, of a table."""

    table: str
    column: str  # with {…} where names vary
    unit: str
    meaning: str

    def matches(self, name: str) -> bool:
        """Whether a column of this name is meant."""
        return _pattern(self.column, definitions()).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _pattern(column: str, added: tuple[Definition, ...]) -> re.Pattern[str]:
    """The names that a column stands for: those of measurements and checks are known, others are not."""
    known = {"measurement": "|".join(registry()), "check": "|".join(CHECKS), "side": "left|top|right|bottom"}
    parts = re.split(r"\{(\w+)\}", column)
    names = [f"(?:{known.get(name, '.+')})" for name in parts[1::2]]
    return re.compile("".join(re.escape(a) + b for a, b in zip(parts[::2], [*names, ""], strict=True)))


@lru_cache(maxsize=1)
def dictionary() -> tuple[Column, ...]:
    """Every column that anthropo writes."""
    return tuple(Column(**row) for row in packaged_table("anthropo.report", "columns.csv"))


def is_written_here(path: str | os.PathLike[str]) -> bool:
    """Whether an existing CSV file is an output of anthropo, and not somebody's notes or cohort.

    It is if what it was made with lies beside it, if it has the columns of one of the tables above, or if it
    is empty.

    Examples
    --------
    >>> from pathlib import Path
    >>> from anthropo.report.columns import is_written_here
    >>> _ = Path("notes.csv").write_text("photo,label\\nanna.jpg,case\\n")
    >>> is_written_here("notes.csv")
    False
    """
    if os.path.exists(f"{os.fspath(path)}.run.json"):
        return True
    with open_regular(path, most=None) as file:
        start = file.readline(_LONGEST).decode("utf-8-sig", "replace")
    header = {cell.strip('"') for cell in start.strip().split(",")}
    of: dict[str, list[str]] = {}
    for column in dictionary():
        if "{" not in column.column:  # one that every such table has, or nearly
            of.setdefault(column.table, []).append(column.column)
    tables = (
        sum(name in header for name in names) >= max(_FEW, _SHARE * len(names)) for names in of.values()
    )
    return not start.strip() or any(tables)


def markdown() -> str:
    """The page docs/columns.md."""
    lines = [_HEAD.rstrip()]
    table = ""
    for one in dictionary():
        if one.table != table:
            table = one.table
            lines += ["", f"## {table}", "", "| column | unit | meaning |", "|---|---|---|"]
        lines.append(f"| `{one.column}` | {one.unit} | {one.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]) / "columns.md", markdown())
