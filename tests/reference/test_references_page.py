"""docs/references.md against the table of curves that it shows."""

from __future__ import annotations

import re
from pathlib import Path

from anthropo.reference import load_reference

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "references.md").read_text(encoding="utf-8")
HINT = "make it again: python development/curves_page.py"


def test_every_measurement_of_the_curves_is_in_a_picture() -> None:
    pictures = dict(re.findall(r"!\[(.+?)\]\((\S+?)\)", PAGE))
    shown = [name for names in pictures for name in names.split(", ")]
    assert sorted(shown) == sorted(load_reference("web-all-ages").measurements), HINT
    assert all((DOCS / file).is_file() for file in pictures.values())
    assert {DOCS / file for file in pictures.values()} == set((DOCS / "references").iterdir()), "not shown"


def test_the_table_against_published_figures_has_the_curves_of_today() -> None:
    reference = load_reference("web-all-ages")
    rows = re.findall(
        r"^\| canthal_index \| .+? \| (\d+) \| (\w+) \| .+? \| ([\d.]+) ± .+", PAGE, re.MULTILINE
    )
    assert rows
    for age, group, median in rows:
        row, _ = reference.choose("canthal_index", "female", float(age), group)
        assert row is not None
        assert f"{row.mean:.1f}" == median, HINT
