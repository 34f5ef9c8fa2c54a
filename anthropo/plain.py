"""Strangers' text made harmless: on a terminal, in a page, and in a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# control characters but tab and line feed, which a terminal obeys; marks that turn the direction of writing
# or end a line; and halves of surrogate pairs, which cannot be encoded
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
# what makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"); a number begins alike
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_ONE = r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?"
_NUMBER = re.compile(rf"{_ONE}(; {_ONE})*", re.ASCII)  # or several of them


def visible(text: str) -> str:
    r"""A text whose invisible commands can be seen instead of being obeyed.

    Examples
    --------
    >>> visible("Noonan\x1b[31m\u202e")
    'Noonan\\x1b[31m\\u202e'
    """
    return _UNSEEN.sub(lambda match: ascii(match[0])[1:-1], text)


def minus(number: str) -> str:
    """A number with the minus sign that people read, in place of the hyphen that programs write.

    Examples
    --------
    >>> minus("-2.5 (-3.1 to +0.2)")
    '−2.5 (−3.1 to +0.2)'
    """
    return number.replace("-", "−")


def cell_without_formula(cell: str) -> str:
    """A cell that no spreadsheet calculates: with an apostrophe before what would begin a formula.

    Examples
    --------
    >>> [cell_without_formula(cell) for cell in ("=1+1", "-0.5", "'=", "ptosis")]
    ["'=1+1", '-0.5', "''=", 'ptosis']
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def cell_as_it_was(cell: str) -> str:
    """The cell that `cell_without_formula` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


_raw = ContextVar("raw", default=False)


@contextmanager
def raw_cells() -> Iterator[None]:
    """Within the block, tables are written with their cells as they are, formulas included."""
    token = _raw.set(True)
    try:
        yield
    finally:
        _raw.reset(token)


def are_cells_raw() -> bool:
    """Whether tables are written with their cells as they are."""
    return _raw.get()


def written(cell: Any) -> Any:
    """A cell as a CSV file gets it: words without a formula, nothing where there is None."""
    if isinstance(cell, str):
        return cell if _raw.get() else cell_without_formula(cell)
    return "" if cell is None else cell


def say(text: object = "", *, err: bool = False, nl: bool = True, **style: Any) -> None:
    """Print a text of which no part commands the terminal, in click's styles if any."""
    import click

    click.secho(visible(str(text)), err=err, nl=nl, **style)


def column_name(text: str) -> str:
    """A column's name without the signs that R and pandas take for operators.

    Examples
    --------
    >>> column_name("probability:Noonan (PTPN11)")
    'probability__Noonan (PTPN11)'
    """
    return re.sub(r"[:\-]", "__", text)


def together(sentences: Sequence[str], least: int = 4) -> list[str]:
    """Of sentences such as `photo: what`, one for all photos of which the same is said."""
    photos: dict[str, list[str]] = {}
    for sentence in sentences:
        photo, _, what = sentence.partition(": ")
        photos.setdefault(what, []).extend(photo.split(", "))
    shortened = []
    for what, names in photos.items():
        if what and len(names) >= least:
            shortened.append(f"{len(names)} photos ({names[0]}, {names[1]}, …): {what}")
        else:
            shortened += [one for one in sentences if one.partition(": ")[2] == what]
    return shortened
