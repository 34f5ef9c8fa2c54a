"""The folder that a workbench works in: photos, landmark files, a table of people, reports.

They are the files that the commands read and write, so that anything begun on the page can be gone on with
in a terminal: ``anthropo traits FOLDER/cohort.csv --landmarks FOLDER/landmarks``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from anthropo.batch.inputs import Item, photographs_in, read_photo_table
from anthropo.errors import InputError, PhotoError
from anthropo.files import held, portable_name, write
from anthropo.measurement.landmark_file import SUFFIX
from anthropo.photo import SUFFIXES
from anthropo.plain import cell_as_it_was, cell_without_formula, visible
from anthropo.tables import iterate_rows, missing
from anthropo.video import is_video

TABLE = "cohort.csv"
PHOTOS, LANDMARKS, REPORTS = "photos", "landmarks", "reports"
#: What the page asks of a person, by the column of the table.
PERSON = (
    "patient", "sex", "age", "gestation", "ancestry", "distance", "scale", "head_circumference", "height",
    "weight", "observed", "taken", "face_at",
)  # fmt: skip
_FRESH = 2.0  # seconds that the list of photos is kept
_MOST_CELL, _MOST_OBSERVED = 200, 5000  # characters


class UnkeptError(InputError):
    """Points could not be written, as on a full disk."""


def _written(cell: str) -> str:
    """A cell that no spreadsheet calculates, which reading takes back."""
    return cell if missing(cell) else cell_without_formula(cell)


def _is_text(name: str) -> bool:
    """Whether a file's name can stand in a table: one line of text. Others may be any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return len(name.splitlines()) == 1


@dataclass(frozen=True, slots=True)
class Listed:
    """A photo of the folder."""

    id: str  # from its place in the folder
    path: Path
    name: str  # its place in the folder, with slashes
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def item(self) -> Item:
        """The photo as the commands list it."""
        return Item(str(self.path), dict(self.columns))


class Desk:
    """Photos and results in a folder.

    Parameters
    ----------
    folder : path
        It is made if it is not there.
    read_only : bool
        Make nothing.

    Raises
    ------
    InputError
        If the folder cannot be made, is a file, or its table cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.folder = Path(folder)
        self._lock = threading.RLock()
        self._known: tuple[dict[str, Listed], tuple[int, int] | None, float] = ({}, None, -math.inf)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder}: a file. Name a folder to work in.")
        try:
            if not read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK | os.X_OK)
        except OSError as error:
            raise InputError(
                f"{self.folder}: cannot be made ({error.strerror}). Name another folder."
            ) from None
        if not read_only and not writable:
            raise InputError(
                f"{self.folder}: nothing can be written here. Name another folder, or make it writable."
            )
        self.photos()  # a table that cannot be read is said before anything else

    @property
    def table(self) -> Path:
        """The table of people."""
        return self.folder / TABLE

    def photos(self) -> dict[str, Listed]:
        """Every photo by its id: those of the table first, in its order.

        What other programs do to the folder is seen after two seconds, to the table at once.
        """
        with self._lock:
            stamp = self._stamp()
            listed, of, looked = self._known
            if of != stamp or time.monotonic() - looked > _FRESH:
                listed = self._found()
                self._known = listed, stamp, time.monotonic()
            return listed

    def _stamp(self) -> tuple[int, int] | None:
        """Changes with the table."""
        try:
            status = self.table.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size

    def _found(self) -> dict[str, Listed]:
        rows = self._rows()
        listed: dict[str, Listed] = {}
        for name, columns in rows.items():
            one = self._listed(name, columns)
            listed[one.id] = one
        if self.folder.is_dir():
            for name in [*photographs_in(self.folder), *self._videos()]:
                path = Path(name)
                if REPORTS not in path.relative_to(self.folder).parts[:1] and str(path) not in rows:
                    one = self._listed(name, {})
                    listed[one.id] = one
        return listed

    def _videos(self) -> list[str]:
        """Videos that were dropped; of those that lie elsewhere in the folder the table has to speak."""
        folder = self.folder / PHOTOS
        return sorted(str(path) for path in folder.iterdir() if is_video(path)) if folder.is_dir() else []

    def _rows(self) -> dict[str, dict[str, str]]:
        """Columns of the table by photo; the last row of a photo counts."""
        if not self.table.is_file():
            return {}
        return {str(Path(item.path)): item.columns for item in read_photo_table(self.table).items}

    def _listed(self, path: str, columns: Mapping[str, str]) -> Listed:
        try:
            name = Path(path).relative_to(self.folder).as_posix()
        except ValueError:  # the table names a photo elsewhere
            name = Path(path).as_posix()
        key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return Listed(key, Path(path), name, columns)

    # ------------------------------------------------------------------------------------ photos

    def add(self, name: str, data: bytes) -> Path:
        """Keep a photo that was dropped on the page; its path.

        Of the name only what every system takes as a file's name is used. The same photo is kept once.
        """
        base = name.replace("\\", "/").rpartition("/")[2]
        stem, dot, suffix = base.rpartition(".")
        suffix = f"{dot}{suffix}".lower()
        if suffix not in SUFFIXES and not is_video(base):
            known = ", ".join(sorted(SUFFIXES))
            raise PhotoError(
                f"{base[:80]}: not a photo by its name. Give {known}, or a video as .mp4 or .mov."
            )
        stem = portable_name(stem[:60].strip(". ") or "photo")
        path = self.folder / PHOTOS / f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}{suffix}"
        if not path.exists():
            self._make(PHOTOS)
            write(path, data, what="the photo")
            self._forget()
        return path

    def at(self, path: Path) -> Listed:
        """The photo at a path in the folder, which may just have been added."""
        return next(one for one in self.photos().values() if one.path == path)

    def remove(self, path: Path) -> None:
        """Take back a photo that was just added and is none."""
        if path.parent == self.folder / PHOTOS:
            path.unlink(missing_ok=True)
            self._forget()

    def _forget(self) -> None:
        """Look at the folder again when photos are asked for."""
        with self._lock:
            self._known = {}, None, -math.inf

    def _make(self, name: str) -> Path:
        folder = self.folder / name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror}).") from None
        return folder

    # --------------------------------------------------------------------------------- landmarks

    def landmarks(self, photo: Listed, digest: str, face: int = 0) -> Path:
        """The landmark file of one of a photo's faces, the largest first."""
        stem = photo.path.stem.removesuffix(f"-{digest[:8]}")
        which = f"-face{face}" if face else ""
        return self.folder / LANDMARKS / portable_name(f"{stem}-{digest[:8]}{which}{SUFFIX}")

    @property
    def corrections(self) -> Path | None:
        """The folder of landmark files; None where there is none of them."""
        folder = self.folder / LANDMARKS
        return folder if folder.is_dir() and any(folder.glob(f"*{SUFFIX}")) else None

    def save_landmarks(self, photo: Listed, digest: str, face: int, text: str) -> None:
        """Write the landmark file of one of a photo's faces."""
        self._make(LANDMARKS)
        advice = "They stay as they are on this page; make room, and move any of them to keep all."
        path = self.landmarks(photo, digest, face)
        write(path, text, what="the landmarks", advice=advice, error=UnkeptError)

    def forget_landmarks(self, photo: Listed, digest: str, face: int) -> None:
        """Remove a face's landmark file, in which no point is moved any more."""
        self.landmarks(photo, digest, face).unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------ people

    def describe(self, photo: Listed, cells: Mapping[str, str]) -> None:
        """Write what is known of a photo's person into the table; other rows and columns stay."""
        for name, cell in cells.items():
            if name not in PERSON:
                raise InputError(f"{name}: the page asks for {', '.join(PERSON)}.")
            most = _MOST_OBSERVED if name == "observed" else _MOST_CELL
            if len(cell) > most:
                raise InputError(f"{name}: {len(cell)} characters, {most} at most.")
        if not _is_text(photo.name):
            raise InputError(
                f"{visible(photo.name)}: its name cannot stand in a table. Rename the file, with letters, "
                "digits and spaces, and enter it again."
            )
        with self._lock, held(self.table):
            header, rows = self._cells()
            at = photo.name
            for name in cells:
                if name not in header:
                    header.append(name)
            row = next((row for row in rows if self._same(row.get("photo", ""), photo)), None)
            if row is None:
                rows += [row := {"photo": at}]
            row.update({name: cell.strip() for name, cell in cells.items()})
            known = {str(Path(path)) for path in self._rows()}
            for other in self.photos().values():  # a table of some photos would hide the others
                if str(other.path) not in known and other.id != photo.id and _is_text(other.name):
                    rows.append({"photo": other.name})
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(map(_written, header))
            writer.writerows([_written(row.get(name, "")) for name in header] for row in rows)
            write(self.table, text.getvalue(), what="the table")
            self._forget()

    def _same(self, cell: str, photo: Listed) -> bool:
        return os.path.normpath(self.folder / cell) == os.path.normpath(photo.path)

    def _cells(self) -> tuple[list[str], list[dict[str, str]]]:
        """Header and rows of the table as they stand."""
        if not self.table.is_file():
            return ["photo"], []
        rows = iterate_rows(self.table, "photo")
        header = [cell_as_it_was(name.strip()) for name in next(rows)[1]]
        told = (map(cell_as_it_was, cells[: len(header)]) for _, cells in rows)
        return header, [dict(zip_longest(header, cells, fillvalue="")) for cells in told]

    # ----------------------------------------------------------------------------------- reports

    def report(self, photo: Listed, suffix: str) -> Path:
        """Where a report of a photo is written."""
        return self._make(REPORTS) / portable_name(f"{photo.path.stem}-{photo.id[:6]}{suffix}")
