"""Tables that people bring: delimited text as R, Excel and others write it, and Excel workbooks."""

from __future__ import annotations

import csv
import datetime
import io
import os
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from anthropo.errors import InputError, not_installed
from anthropo.files import MOST_TEXT, read_regular, text_of
from anthropo.plain import cell_as_it_was

#: Kinds of tables that are read.
SUFFIXES_READ = (".csv", ".tsv", ".xlsx")
#: Kinds of tables that are recognised, so that a message can say what to do.
SUFFIXES_FOREIGN = (".xls", ".xlsm", ".ods", ".numbers", ".sav", ".rds", ".parquet")

# what people, R, pandas, Excel, SQL and SAS write for a missing value, in small letters
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "#n/a", "#na", "<na>", "none", ".", "-"})
_LARGEST_WORKBOOK = 200_000_000  # bytes of its unpacked members

Row = tuple[int, list[str]]  # its number, as a spreadsheet counts, and its cells


def missing(cell: str) -> bool:
    """Whether a cell stands for a missing value.

    Examples
    --------
    >>> [missing(cell) for cell in ("NA", "#N/A", "-", "0")]
    [True, True, True, False]
    """
    return cell.strip().casefold() in _MISSING


def given(cell: str) -> str:
    """A cell's text in one spelling of accented letters (NFC); empty where the value is missing."""
    return "" if missing(cell) else composed(cell).strip()


def is_table(name: str | os.PathLike[str]) -> bool:
    """Whether a file is a table by its name."""
    return os.fspath(name).lower().endswith(SUFFIXES_READ)


def read_rows(path: Path, column: str = "") -> list[Row]:
    """The rows of a table that are not blank; the first of them is the header.

    Parameters
    ----------
    path : Path
        Text delimited by commas, semicolons or tabs, with or without Excel's line ``sep=;``, or an Excel
        workbook, whose first sheet is read.
    column : str
        A column that the table should have, by which the delimiter is recognised.

    Returns
    -------
    list of (int, list of str)
        Number and cells of each row. A row that holds line breaks counts once, as in a spreadsheet.

    Raises
    ------
    InputError
        Naming the row that cannot be understood.
    """
    return list(iterate_rows(path, column))


def iterate_rows(path: Path, column: str = "", *, most: int | None = MOST_TEXT) -> Iterator[Row]:
    """The rows of `read_rows` one by one, of a file of at most `most` bytes."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES_FOREIGN and path.exists():
        raise InputError(f"{path}: a {suffix} file is not read. Save the table as CSV in UTF-8, or as .xlsx.")
    rows = _workbook(path) if suffix == ".xlsx" else _delimited(path, column, most)
    for number, cells in enumerate(rows, start=1):
        if any(map(str.strip, cells)):
            yield number, cells


def _delimited(path: Path, column: str, most: int | None) -> Iterator[list[str]]:
    with text_of(path, most=most) as file:
        lines = _without_nul(path, file)
        first = next(lines, "")
        if first.strip().lower().startswith("sep=") and len(first.strip()) == len("sep=;"):
            delimiter = first.strip()[-1]  # Excel does not count this line either
        else:
            head = [first]
            while not head[-1].strip() and (line := next(lines, "")):
                head.append(line)
            delimiter, lines = _delimiter(head[-1], column), chain(head, lines)
        yield from _cells(path, csv.reader(lines, delimiter=delimiter, strict=True))


def _without_nul(path: Path, file: Iterable[str]) -> Iterator[str]:
    """The lines of a file; an InputError where one holds what no text does."""
    above = 0
    for line in file:
        if "\0" in line:
            raise InputError(
                f"{path}, line {above + 1}: holds a NUL character. Save the table as CSV in UTF-8."
            )
        above += line.count("\n")
        yield line


def _cells(path: Path, reader: Any) -> Iterator[list[str]]:
    """The cells of each row of a `csv.reader`."""
    header = number = 0
    while True:
        number, above = number + 1, reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}, row {number}: {_fault(error)}") from None
        header = header or len(cells)
        if reader.line_num > above + 1 and len(cells) != header:
            raise InputError(
                f"{path}, row {number}: holds line breaks, and {len(cells)} cells where the header has "
                f"{header}. A quote was probably never closed: close it, or delete it."
            )
        yield cells


def _delimiter(text: str, column: str) -> str:
    """The delimiter that yields the column, else the commonest."""
    header = next((line for line in text.splitlines() if line.strip()), "")

    def fits(delimiter: str) -> tuple[bool, int]:
        try:
            names = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        except csv.Error:  # reported when the rows are read
            return False, 0
        return column in names, len(names)

    return max(",;\t", key=fits)


def _fault(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a cell has more than {csv.field_size_limit():,} characters. Close the quote, or shorten it."
    return (
        f"a quote is not closed, or stands where none should ({error}). Close it, delete it, or write it "
        'twice inside a quoted cell ("a ""b""").'
    )


def _workbook(path: Path) -> Iterator[list[str]]:
    from anthropo.quiet import hushed

    try:
        import zipfile

        import openpyxl
    except ImportError as error:
        instead = "save the table as CSV in UTF-8"
        raise InputError(not_installed(str(path), "openpyxl", instead=instead, error=error)) from None
    try:
        content = io.BytesIO(read_regular(path, most=MOST_TEXT))
    except FileNotFoundError:
        raise InputError(f"{os.fspath(path) or 'An empty name'}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        with zipfile.ZipFile(content) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > _LARGEST_WORKBOOK:
            raise InputError(f"{path}: too large for a table ({size / 1e6:.0f} MB unpacked). Save it as CSV.")
        with hushed():  # of styles and extensions that matter to nobody here
            book = openpyxl.load_workbook(content, read_only=True, data_only=True)
            rows = [[_words(cell) for cell in row] for row in book.worksheets[0].iter_rows(values_only=True)]
            book.close()
    except InputError:
        raise
    except Exception as error:  # openpyxl raises whatever a damaged file leads it to
        raise InputError(
            f"{path}: not a readable Excel workbook ({type(error).__name__}). Save the table as CSV in UTF-8."
        ) from None
    yield from rows


def _words(cell: object) -> str:
    """A cell of a workbook as its CSV would have it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    return str(cell)


class Finder:
    """Finds the files that a table names, as whoever wrote the table meant them.

    A name that exists is taken as it stands, and first without the apostrophe that keeps spreadsheets from
    calculating it (`anthropo.plain`). Otherwise Windows' backslashes, spaces around the name, the
    other spelling of accented letters and other capitals are accepted where one single file answers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start = "" if str(folder) == "." else os.path.join(folder, "")
        self._listed: dict[str, tuple[dict[str, list[str]], ...]] = {}

    def find(self, name: str) -> str:
        """The path of a file; where there is none, the name in the table's folder."""
        if os.name == "posix" and _is_plain(name):  # nearly all are, and Path takes half of a table's time
            joined = name if name[0] == "/" else self._start + name
            if os.path.exists(joined):
                return joined
        plain = self._folder / name.strip()
        for written in dict.fromkeys(
            (cell_as_it_was(name), name, name.strip(), name.strip().replace("\\", "/"))
        ):
            path = self._folder / written
            if os.path.exists(path):
                return str(path)
            if alike := self._alike(path):
                return alike
        return str(plain)

    def _alike(self, path: Path) -> str:
        start = Path(path.anchor) if path.is_absolute() else Path()
        for part in path.parts[1:] if path.is_absolute() else path.parts:
            if part != ".." and not os.path.exists(start / part):
                exact, folded = self._names(start)
                same = exact.get(composed(part)) or folded.get(composed(part).casefold()) or []
                if len(same) != 1:
                    return ""
                part = same[0]
            start /= part
        return str(start)

    def _names(self, folder: Path) -> tuple[dict[str, list[str]], ...]:
        """What a folder holds, by its composed spelling, and by that in small letters."""
        key = str(folder)
        if key not in self._listed:
            exact: dict[str, list[str]] = {}
            folded: dict[str, list[str]] = {}
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []
            for name in names:
                exact.setdefault(composed(name), []).append(name)
                folded.setdefault(composed(name).casefold(), []).append(name)
            self._listed[key] = exact, folded
        return self._listed[key]


def _is_plain(name: str) -> bool:
    """Whether a path is written as `Path` would write it, and without a spreadsheet's apostrophe."""
    if not name or name[0] in ".' " or name[-1] in "/ ":
        return False
    return "//" not in name and "/." not in name


def composed(text: str) -> str:
    """A text in one spelling of accented letters, which file systems and spreadsheets write in two ways."""
    return unicodedata.normalize("NFC", text)
