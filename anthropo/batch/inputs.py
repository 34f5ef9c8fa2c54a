"""Photographs that are named by files, folders, patterns or tables."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path, PureWindowsPath

from anthropo.errors import InputError
from anthropo.photo import SUFFIXES
from anthropo.plain import cell_as_it_was
from anthropo.reference.person import dated, parse_age, parse_ancestry, parse_sex, written_gestation
from anthropo.tables import Finder, given, is_table, iterate_rows, missing
from anthropo.video import SUFFIXES as VIDEO_SUFFIXES
from anthropo.video import is_video

#: Columns of a cohort that mean something to anthropo.
COHORT_COLUMNS = (
    "photo", "sex", "age", "born", "taken", "gestation", "ancestry", "patient", "label", "distance", "scale",
    "observed", "face_at",
)  # fmt: skip
#: Those that say who the person is.
PERSON = ("sex", "age", "gestation", "ancestry")
OVERLAY_SUFFIX = ".overlay.jpg"
# pictures in formats that are not read: camera raw, and what `anthropo.decoding.kinds` names
_NOT_READ = frozenset(
    (
        ".gif", ".jp2", ".j2k", ".jpx", ".jxl", ".psd", ".dcm", ".dng", ".cr2", ".cr3", ".crw", ".nef",
        ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".x3f", ".mrw", ".iiq", ".3fr",
        ".srw",
    )
)  # fmt: skip
_OTHER_TABLES = frozenset(
    (
        ".xls", ".xlsm", ".xlsb", ".ods", ".numbers", ".parquet", ".feather", ".json", ".txt", ".tab", ".dat",
        ".rds", ".rdata", ".sav", ".dta", ".sas7bdat",
    )
)  # fmt: skip


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
    disputed: str = ""  # what of sex, age, gestation and ancestry different rows give this photo's person
    undated: str = ""  # why the dates of birth and of the photo that were given tell no age


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
    for name in inputs:
        path = Path(name)
        if not name.strip():
            raise InputError("An empty name was given for a photo. Name a file, folder, pattern or CSV.")
        if os.path.isdir(path):
            names = photographs_in(path)
            if not names:
                raise InputError(f"{name}: no photos in this folder ({', '.join(sorted(SUFFIXES))}).")
            nothing: dict[str, str] = {}  # one for all
            new = [Item(photo, nothing) for photo in names]
        elif not os.path.exists(path) and any(c in name for c in "*?["):
            try:
                names = sorted(str(Path(p)) for p in glob.glob(name, recursive=True) if os.path.isfile(p))
            except RecursionError:
                raise InputError(f"{name}: folders are nested too deeply. Name one further in.") from None
            names = [photo for photo in names if not photo.endswith(OVERLAY_SUFFIX)]
            if not names:
                raise InputError(f"{name}: no file matches this pattern.")
            new = [item for photo in names for item in _named(photo)]
        else:
            _refuse_other_tables(name)
            new = list(_named(str(path)))
        items += new
    for item in items:
        try:
            item.path.encode()
        except UnicodeEncodeError:  # left over from another operating system
            name = item.path.encode(errors="replace").decode()
            raise InputError(f"{name}: the file's name is not UTF-8. Rename the file.") from None
    # the same photo named twice is one photo, unless a table says different things of it
    return _disputed(_distinct(items))


def _distinct(items: Sequence[Item]) -> list[Item]:
    """The items without those that say the same of a photo as another one: its last, in the first's place."""
    times = Counter(item.path for item in items)
    last = {(item.path, *item.columns.items()): item for item in items if times[item.path] > 1}
    distinct = []
    for item in items:
        kept = last.pop((item.path, *item.columns.items()), None) if times[item.path] > 1 else item
        if kept is not None:
            distinct.append(kept)
    return distinct


def _disputed(items: list[Item]) -> list[Item]:
    """The items, with a mark where rows of one photo differ in who it shows: none is to be believed."""
    people: dict[str, dict[str, None]] = defaultdict(dict)  # of each photo, in the order of the rows
    times = Counter(item.path for item in items)
    for item in items:
        if times[item.path] == 1:
            continue
        sex, age, gestation, ancestry = (item.columns.get(name, "") for name in PERSON)
        words = [_plain(sex, parse_sex), _plain(age, parse_age)]
        words += [f"born at {_plain(gestation, written_gestation)}"] if gestation else []
        words += [(parse_ancestry(ancestry) or "").lower()]
        people[item.path][" ".join(filter(None, words))] = None
    return [
        replace(item, disputed="; ".join(people[item.path]))
        if item.path in people and len(people[item.path]) > 1
        else item
        for item in items
    ]


def _plain(text: str, parse: Callable[[str], str | float]) -> str:
    """The meaning of a cell, so that `F` is `female`; the cell itself where it has none."""
    try:
        meant = parse(text) if text else "?"
        return meant if isinstance(meant, str) else f"{meant:g}"
    except InputError:
        return text


def _named(name: str) -> Sequence[Item]:
    """The photos of a table, or the file itself."""
    return read_photo_table(Path(name)).items if is_table(name) else (Item(name),)


def _refuse_other_tables(name: str) -> None:
    """An InputError for what may list photos, in a format that is not read."""
    if Path(name).suffix.lower() in _OTHER_TABLES and os.path.isfile(name):
        raise InputError(
            f"{name}: neither a photo nor a table that can be read. Save a table of photos as CSV in UTF-8, "
            "or as .xlsx."
        )


def photographs_in(folder: Path) -> list[str]:
    """The photographs of a folder and its subfolders, by name; hidden files and overlays are not meant.

    Linked folders are searched as well, each folder once, by its own name rather than a link's. An
    InputError names a folder that cannot be opened.
    """
    return [path for path in _files_in(folder, SUFFIXES) if not path.endswith(OVERLAY_SUFFIX)]


def passed_over_in(folder: Path) -> str:
    """Which pictures and videos of a folder and its subfolders are not read, in a sentence; empty for none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from anthropo.batch.inputs import passed_over_in
    >>> Path("scans").mkdir()
    >>> for name in ("a.jpg", "b.gif", "c.mov"):
    ...     Path("scans", name).touch()
    >>> passed_over_in(Path("scans"))
    'scans: 2 files are passed over: b.gif (export it as JPEG or PNG), c.mov (a video: name it to use it).'
    """
    names = [os.path.relpath(path, folder) for path in _files_in(folder, _NOT_READ | VIDEO_SUFFIXES)]
    if not names:
        return ""
    parts = []
    for kind, (one, several) in {
        False: ("export it as JPEG or PNG", "export them as JPEG or PNG"),
        True: ("a video: name it to use it", "videos: name them to use them"),
    }.items():
        of = [name for name in names if is_video(name) is kind]
        if of:
            more = f" and {len(of) - 3} more" if len(of) > 3 else ""
            parts.append(f"{', '.join(of[:3])}{more} ({one if len(of) == 1 else several})")
    count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
    return f"{folder}: {count} passed over: {', '.join(parts)}."


def _files_in(folder: Path, suffixes: Collection[str]) -> list[str]:
    """The files of a folder and its subfolders that have one of these suffixes, by name."""
    seen: set[tuple[int, int]] = set()
    photos: list[str] = []
    linked: list[str] = []
    todo = [str(folder)]
    while todo or linked:
        here = todo.pop() if todo else linked.pop(0)  # links last, so that a folder keeps its own name
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_symlink() and not os.path.exists(entry.path):
                        continue  # a link to what is gone, or to itself
                    if entry.is_dir():
                        (linked if entry.is_symlink() else todo).append(entry.path)
                    elif Path(entry.name).suffix.lower() in suffixes and entry.is_file():
                        photos.append(entry.path)
        except OSError as error:
            raise InputError(
                f"{_short(here)}: this folder cannot be searched ({error.strerror}). Make it readable, or "
                "name the folders to search one by one."
            ) from None
        linked.sort()
    return sorted(photos)


def _short(path: str) -> str:
    return path if len(path) <= 300 else f"{path[:140]} … {path[-140:]}"


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
    """Photographs listed in a table with a `photo` column; paths are relative to the table.

    Missing values of `COHORT_COLUMNS` become empty. Where there is a column `born`, it and the column `taken`
    are replaced by the age. An InputError says where the table cannot be understood.
    """
    rows = iterate_rows(path, "photo")
    _, header = next(rows, (1, list[str]()))
    names = [name.strip() for name in header]
    _check_header(path, names)
    finder, column = Finder(path.parent), names.index("photo")
    items: dict[int, Item] = {}
    without_photo = []
    same: dict[str, str] = {}  # cells that many rows have, once
    driven = True  # whether all photos are on a drive of Windows
    for number, row in rows:
        driven = driven and len(row) > column and bool(PureWindowsPath(row[column]).drive)
        extra = [cell for cell in row[len(names) :] if cell.strip()]
        if extra:
            raise InputError(
                f"{path}, row {number}: {len(names) + len(extra)} cells where the header has {len(names)}. "
                'Put a cell that holds the delimiter in quotes ("31,5").'
            )
        cells = dict(zip_longest(names, row[: len(names)], fillvalue=""))
        if any("\n" in cell and _names_photo(cell) for cell in row):
            raise InputError(
                f"{path}, row {number}: a cell with line breaks holds another photo's name. A quote was "
                "probably never closed: close it, or delete it."
            )
        photo = cells.pop("photo")
        # other columns are the user's: copied as they are, an apostrophe included
        cells = {
            k: given(cell_as_it_was(v)) if k in COHORT_COLUMNS else v.strip() for k, v in cells.items() if k
        }
        cells = {k: same.setdefault(v, v) for k, v in cells.items()}
        if not missing(photo):
            items[number] = _aged(finder.find(photo), cells)
        elif any(cells.values()):
            without_photo.append(number)
    if not items:
        raise InputError(f"{path}: the table lists no photo.")
    _one_face_each(path, items)
    if os.name != "nt" and driven:
        raise InputError(
            f"{path}: the photos' paths begin with the drive of a Windows computer. Write them relative to "
            "the table (photos/p07.jpg)."
        )
    return PhotoTable(items=tuple(items.values()), rows=tuple(items), without_photo=tuple(without_photo))


def _one_face_each(path: Path, items: Mapping[int, Item]) -> None:
    """An InputError where rows of one photo name different faces: what is known of a photo is of one."""
    places: dict[str, str] = {}
    for number, item in items.items():
        if (place := item.columns.get("face_at", "")) != places.setdefault(item.path, place):
            raise InputError(
                f"{path}, row {number}: another face (`face_at`) of a photo that is listed before. One "
                "face of each photo is measured: list a copy of the photo under another name."
            )


def _aged(photo: str, cells: dict[str, str]) -> Item:
    """A photo with the age in place of the dates that tell it: nothing else is to know a date of birth."""
    if "born" not in cells:
        return Item(photo, cells)
    told = dated(cells["born"], cells.get("taken", ""), cells.get("age", ""))
    columns = {}
    for name, cell in cells.items():
        if name in ("born", "age"):
            columns["age"] = told.age
        elif name != "taken":  # with an age to the day it would give the date of birth away
            columns[name] = cell
    return Item(photo, columns, undated=told.why)


def _names_photo(cell: str) -> bool:
    return any(Path(word.strip()).suffix.lower() in SUFFIXES for word in re.split(r'[,;\t\r\n"]', cell))


def _check_header(path: Path, names: Sequence[str]) -> None:
    if "photo" not in names:
        raise InputError(
            f"{path}: no column `photo`; its columns are {', '.join(names) or 'none'}. "
            "Name the column that holds the photos' paths `photo`."
        )
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: {repeated[0]} is a column twice. Keep one of them, or rename it.")
    for name in names:
        if name.lower() in COHORT_COLUMNS and name not in COHORT_COLUMNS and name.lower() not in names:
            raise InputError(f"{path}: column `{name}` would be passed over. Name it `{name.lower()}`.")
