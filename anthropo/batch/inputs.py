"""Photographs that are named by files, folders, patterns or tables."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
    """One photograph to measure."""

    path: str
    columns: dict[str, str] = field(default_factory=dict)  # of the CSV it was listed in
    disputed: str = ""  # sexes and ages that different rows give this photo's person


def collect(inputs: Sequence[str]) -> list[Item]:
    """Photographs named by files, folders (searched throughout), patterns or CSV files.

    Raises
    ------
    InputError
        If a folder or pattern holds no photograph, or a CSV cannot be used.
    """
    items: list[Item] = []
    for given in inputs:
        path = Path(given)
        if not given.strip():
            raise InputError("An empty name was given for a photo. Name a file, folder, pattern or CSV.")
        if os.path.isdir(path):
            found = sorted(str(p) for p in path.rglob("*") if _is_photograph(p, path))
            if not found:
                raise InputError(f"{given}: no photographs in this folder ({', '.join(sorted(SUFFIXES))}).")
            new = [Item(p) for p in found]
        elif not os.path.exists(path) and any(c in given for c in "*?["):
            found = sorted(str(Path(p)) for p in glob.glob(given, recursive=True) if os.path.isfile(p))
            found = [p for p in found if not p.endswith(OVERLAY_SUFFIX)]
            if not found:
                raise InputError(f"{given}: no file matches this pattern.")
            new = [item for p in found for item in (read_photo_table(Path(p)) if is_table(p) else [Item(p)])]
        elif is_table(given):
            new = read_photo_table(path)
        else:
            new = [Item(str(path))]
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
    said: dict[str, dict[str, None]] = defaultdict(dict)
    for item in items:
        said[item.path][" ".join(_plain(item.columns.get(key), parse) for key, parse in PERSON)] = None
    return [
        replace(item, disputed="; ".join(said[item.path])) if len(said[item.path]) > 1 else item
        for item in items
    ]


PERSON: tuple[tuple[str, Callable[[str], str | float]], ...] = (("sex", parse_sex), ("age", parse_age))


def _plain(text: str | None, parse: Callable[[str], str | float]) -> str:
    """A cell as it is meant, so that `F` is `female`; as it stands when it means nothing."""
    try:
        meant = parse(text) if text else "?"
        return meant if isinstance(meant, str) else f"{meant:g}"
    except InputError:
        return str(text)


def is_table(name: str) -> bool:
    return name.lower().endswith((".csv", ".tsv"))


def _is_photograph(path: Path, folder: Path) -> bool:
    """By its name; hidden files and anthropo's own overlays are not meant."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    own = path.name.endswith(OVERLAY_SUFFIX)
    return path.suffix.lower() in SUFFIXES and not hidden and not own and path.is_file()


def read_photo_table(path: Path) -> list[Item]:
    """Photographs listed in a CSV with a `photo` column; paths are relative to the CSV.

    Raises
    ------
    InputError
        If there is no such file, it is no text, has no `photo` column, a column twice, `Sex` in place of
        `sex`, more cells than the header, or lists no photo.
    """
    text = read_text(path).lstrip("\r\n")
    header = text.splitlines()[0] if text.strip() else ""
    # the delimiter that yields the column we need, else the commonest
    columns = {d: [n.strip() for n in next(csv.reader([header], delimiter=d), [])] for d in ",;\t"}
    delimiter = max(columns, key=lambda d: ("photo" in columns[d], len(columns[d])))
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise InputError(f"{path}: not a readable CSV ({error}).") from None
    if "photo" not in columns[delimiter]:
        raise InputError(
            f"{path}: no column `photo`; its columns are {', '.join(columns[delimiter]) or 'none'}. "
            "Name the column that holds the photographs' paths `photo`."
        )
    names = columns[delimiter]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: {repeated[0]} is a column twice. Keep one of them, or rename it.")
    for name in names:
        if name.lower() in COHORT_COLUMNS and name not in COHORT_COLUMNS and name.lower() not in names:
            raise InputError(f"{path}: column `{name}` would be passed over. Name it `{name.lower()}`.")
    items = []
    for number, row in enumerate(rows, start=2):
        # cells beyond the header come under the key None, absent ones as None
        extra = [cell for cell in row.get(None) or () if cell.strip()]
        if extra:
            raise InputError(
                f"{path}, row {number}: {len(names) + len(extra)} cells where the header has {len(names)}. "
                'Put a cell that holds the delimiter in quotes ("31,5").'
            )
        cells = {k.strip(): (v or "").strip() for k, v in row.items() if isinstance(k, str)}
        photo = cells.pop("photo")
        if photo:
            items.append(Item(str(path.parent / photo), cells))
    if not items:
        raise InputError(f"{path}: the table lists no photograph.")
    return items
