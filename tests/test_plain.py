"""Text of strangers on terminals, in pages and in spreadsheets."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from anthropo.plain import cell_as_it_was, cell_without_formula, say, together, visible
from anthropo.report.rendering import drawable, print_table

HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202egnp.exe\x9b2J\ud800"


@given(some.text())
def test_cells_come_back(cell: str) -> None:
    safe = cell_without_formula(cell)
    assert cell_as_it_was(safe) == cell
    assert safe == cell or safe == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["-1", "+2.5", "-1e-3", "-2.25; +1.5", "-,5", "ptosis", "'quoted'", "", "a=b"]
)
def test_harmless_cells_stay(cell: str) -> None:
    assert cell_without_formula(cell) == cell


@given(some.text())
def test_visible_text_can_be_printed_and_commands_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert not any(ord(c) < 32 and c not in "\t\n" for c in shown)
    assert visible(shown) == shown


def test_nothing_hostile_reaches_a_terminal_or_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    say(HOSTILE, err=True)
    print_table([HOSTILE], [[HOSTILE]])
    captured = capsys.readouterr()
    for text in (captured.out, captured.err, drawable(HOSTILE, 100)):
        assert "owned" in text
        assert not set("\x1b\x07\u202e\x9b\ud800") & set(text)
    assert "\\x1b]0;owned" in captured.err


def test_what_is_said_of_many_photos_is_said_once() -> None:
    of_three = ["a.jpg: too small", "b.jpg: too small", "c.jpg: blurred"]
    assert together(of_three) == of_three
    many = [
        "a.jpg, b.jpg: dark: take a lamp",
        "c.jpg: blurred",
        "c.jpg: dark: take a lamp",
        "d.jpg: dark: take a lamp",
    ]
    assert together(many) == ["4 photos (a.jpg, b.jpg, …): dark: take a lamp", "c.jpg: blurred"]
    assert together(["nothing was found"] * 5) == ["nothing was found"] * 5
