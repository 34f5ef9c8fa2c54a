"""The page on model files is that of the limits that are checked."""

from __future__ import annotations

from pathlib import Path

from anthropo.report.files import markdown

PAGE = Path(__file__).parents[2] / "docs" / "files.md"


def test_page_is_made_of_the_limits() -> None:
    assert PAGE.read_text("utf-8") == markdown(), "python -m anthropo.report.files docs"


def test_it_says_what_is_checked() -> None:
    page = markdown()
    for entry in (
        "| `size` | integer | 32 to 1,024 | needed |",
        "| `positive` | text or null | among labels |",
        "| `frequencies` | f d | floats | f 1 to 8,192 |",
        "| `batch` | integer | 2 to 4,096 | needed |",
        "| `error_rate` | number | 0 to 1 | needed |",
    ):
        assert entry in page, entry
