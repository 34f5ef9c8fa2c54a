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
        "| `dropout` | number | 0 to 0.95 | needed |",
        "| `loss` | number or null |  |  |",
        "| `vectors` | g d | floats | -1.001 to 1.001; g 1 to ",
        "| `digest` | text or null | 64 hexadecimal digits or none |  | SHA-256 |",
    ):
        assert entry in page, entry


def test_nothing_is_described_twice() -> None:
    titles = [line for line in markdown().splitlines() if line.startswith("#")]
    assert len(titles) == len(set(titles))
