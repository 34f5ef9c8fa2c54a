"""Photographs that are named by files, folders, patterns or tables."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from anthropo.errors import InputError
from anthropo.files import read_text
from anthropo.photo import SUFFIXES
from anthropo.reference.tables import parse_age, parse_sex

#: Columns of a cohort that mean something to anthropo.
COHORT_COLUMNS = ("photo", "sex", "age", "patient")
OVERLAY_SUFFIX = ".overlay.jpg"


@dataclass(frozen=True, slots=True)
class Item:
    """One photograph or video to measure.

    Examples
    --------
    >>> from anthropo.batch import Item
    >>> Item("p07.jpg", {"sex": "female", "age": "31"}).columns["age"]
    '31'
    """

    path: str
    columns: dict[str, str] = field(default_factory=dict)  # of the CSV it was listed in
    disputed: str = ""  # sexes and ages that different rows give this photo's person


def collect(inputs: Sequence[str]) -> list[Item]:
    """List photographs.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders (searched throughout), patterns, and CSV files with a column `photo`.

    Returns
    -------
    list of Item
        Each photo once for each row that says something else of it.

    Raises
    ------
    InputError
        If a folder or pattern holds no photograph, or a CSV cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.batch import collect
    >>> [item.path == anthropo.example_photo() for item in collect([anthropo.example_photo()] * 2)]
    [True]
    """
    items: list[Item] = []
    for given in inputs:
        path = Path(given)
        if not given.strip():
            raise InputError("An empty name was given for a photo. Name a file, folder, pattern or CSV.")
        if os.path.isdir(path):
            names = sorted(str(p) for p in path.rglob("*") if _is_photograph(p, path))
            if not names:
                raise InputError(f"{given}: no photographs in this folder ({', '.join(sorted(SUFFIXES))}).")
            new = [Item(name) for name in names]
        elif not os.path.exists(path) and any(c in given for c in "*?["):
            names = sorted(str(Path(p)) for p in glob.glob(given, recursive=True) if os.path.isfile(p))
            names = [name for name in names if not name.endswith(OVERLAY_SUFFIX)]
            if not names:
                raise InputError(f"{given}: no file matches this pattern.")
            new = [item for name in names for item in _named(name)]
        else:
            new = list(_named(str(path)))
        items += new
    for item in items:
        try:
            item.path.encode()
        except UnicodeEncodeError:  # left over from another operating system
            name = item.path.encode(errors="replace").decode()
            raise InputError(f"{name}: the file's name is not UTF-8. Rename the file.") from None
    # the same photo named twice is one photo, unless a table says different things of it
    return _disputed(list({(item.path, *item.columns.items()): item for item in items}.values()))


def _disputed(items: list[Item]) -> list[Item]:
    """The items, with a mark where rows of one photo differ in sex or age: none of them is to be believed."""
    people: dict[str, dict[str, None]] = defaultdict(dict)  # of each photo, in the order of the rows
    for item in items:
        sex, age = (item.columns.get(name) for name in ("sex", "age"))
        people[item.path][f"{_plain(sex, parse_sex)} {_plain(age, parse_age)}"] = None
    return [
        replace(item, disputed="; ".join(people[item.path])) if len(people[item.path]) > 1 else item
        for item in items
    ]


def _plain(text: str | None, parse: Callable[[str], str | float]) -> str:
    """The meaning of a cell, so that `F` is `female`; the cell itself where it has none."""
    try:
        meant = parse(text) if text else "?"
        return meant if isinstance(meant, str) else f"{meant:g}"
    except InputError:
        return str(text)


def _named(name: str) -> Sequence[Item]:
    """The photos of a table, or the file itself."""
    return read_photo_table(Path(name)).items if name.lower().endswith((".csv", ".tsv")) else (Item(name),)


def _is_photograph(path: Path, folder: Path) -> bool:
    """Whether a file is a photograph by its name; hidden files and overlays are not meant."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    overlay = path.name.endswith(OVERLAY_SUFFIX)
    return path.suffix.lower() in SUFFIXES and not hidden and not overlay and path.is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoTable:
    """Photographs that a table lists. Rows are counted as a spreadsheet does: the header is row 1."""

    items: tuple[Item, ...]
    rows: tuple[int, ...]  # of each item
    without_photo: tuple[int, ...]  # rows that have other cells only

    @property
    def columns(self) -> list[str]:
        """The table's columns beside `photo`."""
        return list(self.items[0].columns)


def read_photo_table(path: Path) -> PhotoTable:
    """Photographs listed in a CSV with a `photo` column; paths are relative to the CSV.

    An InputError says where the table cannot be understood.
    """
    text = read_text(path)
    table = text.lstrip("\r\n")
    above = len(text[: len(text) - len(table)].splitlines())  # blank lines
    header = table.splitlines()[0] if table.strip() else ""
    # the delimiter that yields the column we need, else the commonest
    columns = {d: [n.strip() for n in next(csv.reader([header], delimiter=d), [])] for d in ",;\t"}
    delimiter = max(columns, key=lambda d: ("photo" in columns[d], len(columns[d])))
    names = columns[delimiter]
    try:
        rows = list(csv.reader(io.StringIO(table, newline=""), delimiter=delimiter))[1:]
    except csv.Error as error:
        raise InputError(f"{path}: not a readable CSV ({error}).") from None
    _check_header(path, names)
    items: dict[int, Item] = {}
    without_photo = []
    for number, row in enumerate(rows, start=2 + above):
        extra = [cell for cell in row[len(names) :] if cell.strip()]
        if extra:
            raise InputError(
                f"{path}, row {number}: {len(names) + len(extra)} cells where the header has {len(names)}. "
                'Put a cell that holds the delimiter in quotes ("31,5").'
            )
        cells = {name: cell.strip() for name, cell in zip_longest(names, row[: len(names)], fillvalue="")}
        photo = cells.pop("photo")
        if photo:
            items[number] = Item(str(path.parent / photo), cells)
        elif any(cells.values()):
            without_photo.append(number)
    if not items:
        raise InputError(f"{path}: the table lists no photograph.")
    return PhotoTable(items=tuple(items.values()), rows=tuple(items), without_photo=tuple(without_photo))


def _check_header(path: Path, names: Sequence[str]) -> None:
    if "photo" not in names:
        raise InputError(
            f"{path}: no column `photo`; its columns are {', '.join(names) or 'none'}. "
            "Name the column that holds the photographs' paths `photo`."
        )
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: {repeated[0]} is a column twice. Keep one of them, or rename it.")
    for name in names:
        if name.lower() in COHORT_COLUMNS and name not in COHORT_COLUMNS and name.lower() not in names:
            raise InputError(f"{path}: column `{name}` would be passed over. Name it `{name.lower()}`.")
