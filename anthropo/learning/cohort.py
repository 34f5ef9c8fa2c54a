"""Labelled photographs to learn from, read from a table or a folder."""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from anthropo.batch.inputs import collect, read_photo_table
from anthropo.errors import InputError
from anthropo.files import real_paths
from anthropo.reference.person import parse_age, parse_sex
from anthropo.showing import brief, count, counts, draw, html
from anthropo.tables import SUFFIXES_FOREIGN, composed, given, is_table, missing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Level = Literal["error", "warning", "note"]
Kind = Literal["age", "sex", "number", "category"]
T = TypeVar("T")
D = TypeVar("D")
Values = list[float] | list[str | None]  # numbers, NaN where missing; or words, None where missing

#: Columns of a cohort's table that are not metadata.
_NOT_METADATA = ("photo", "label", "patient", "distance", "face_at")
SEPARATOR = ";"  # between the labels of one case

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_NAMED = 5  # examples in a message


@dataclass(frozen=True, slots=True)
class Finding:
    """An error, warning or note on a cohort."""

    level: Level  # an error: nothing is trained
    category: str  # what it is about: label, patient, photo, metadata, duplicate
    message: str


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled photograph."""

    photo: str
    label: str  # of several: joined by "; "
    patient: str  # the file's real path when none is named
    metadata: dict[str, str] = field(default_factory=dict)  # cells as they stand
    distance: str = ""  # of the camera, as it was declared for this photo
    row: int = 0  # of the table, as a spreadsheet counts; 0 without a table
    face_at: str = ""  # where in the photo the face is, if that was said

    @property
    def labels(self) -> tuple[str, ...]:
        """The case's labels, where a case may have several or none."""
        return split_labels(self.label)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Labelled photographs, and findings from reading their table."""

    cases: tuple[Case, ...]
    source: str  # the table or folder
    metadata: dict[str, Kind] = field(default_factory=dict)  # columns that can be learned from
    multilabel: bool = False
    findings: tuple[Finding, ...] = ()

    def _repr_html_(self) -> str:
        return html(self, "cohort")

    def to_frame(self) -> pd.DataFrame:
        """A row for each photo: photo, label, patient, then the columns of metadata as they stand."""
        import pandas as pd

        rows = [{"photo": c.photo, "label": c.label, "patient": c.patient, **c.metadata} for c in self.cases]
        return pd.DataFrame(rows, columns=["photo", "label", "patient", *self.metadata])

    def plot(self, column: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw how many patients have each label, or how a column is spread among them.

        Parameters
        ----------
        column : str, optional
            A column of metadata: an age or another number, or words such as the sex.
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If there is no such column.
        """
        return draw(self, "cohort", ax, column=column)

    def __repr__(self) -> str:
        of_label = Counter(
            label for case in self.cases for label in (case.labels if self.multilabel else [case.label])
        )
        people = len({case.patient for case in self.cases})
        return brief(
            self,
            f"{count(len(self.cases), 'photo')} of {count(people, 'patient')}",
            counts(dict(of_label.most_common())),
            f"columns {', '.join(self.metadata)}" if self.metadata else "",
        )


def hashed(identity: str, salt: str) -> str:
    """A patient's identity as it may be written to disk: 12 hexadecimal digits of a keyed SHA-256."""
    return hmac.new(salt.encode(), identity.encode(), hashlib.sha256).hexdigest()[:12]


def salt_of(digests: Iterable[str]) -> str:
    """A salt for `hashed`, from the photos' hashes: who does not have the photos cannot make it."""
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def split_labels(cell: str) -> tuple[str, ...]:
    """The labels in a cell ``a; b``."""
    return tuple(label for label in cell.split(f"{SEPARATOR} ") if label)


def some(names: Iterable[str]) -> str:
    """The first few of many names, for a message."""
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more


def read_cohort(
    path: str | os.PathLike[str],
    *,
    multilabel: bool = False,
    instead: str | None = None,
    unlabelled: tuple[str, Sequence[str]] | None = None,
) -> Cohort:
    """Labelled photographs from a table, or from a folder with one subfolder per label.

    Parameters
    ----------
    path : path
        A CSV, TSV or XLSX with the columns ``photo`` (relative to the table) and ``label``; ``patient``,
        ``age``, ``sex`` and any other are optional. Or a folder whose subfolders are named by their label.
    multilabel : bool
        A label cell holds any number of labels, ``a; b``, or none.
    instead : str, optional
        The column that takes the place of a missing ``label``.
    unlabelled : tuple of str and sequence of str, optional
        A column, and the values of it that photos without a label may have.

    Returns
    -------
    Cohort
        Cases in the table's order. A row that repeats another one is left out with a note.

    Raises
    ------
    InputError
        If there is no such file, it is no cohort, or a label is empty.

    Examples
    --------
    >>> from pathlib import Path
    >>> from anthropo import read_cohort
    >>> table = Path("cohort.csv")
    >>> _ = table.write_text("photo,label,patient,age\\np1.jpg,Noonan,p1,8\\nc1.jpg,control,c1,30\\n")
    >>> cohort = read_cohort(table)
    >>> [case.label for case in cohort.cases], cohort.metadata
    (['Noonan', 'control'], {'age': 'age'})
    """
    where = Path(path)
    if where.is_dir():
        if multilabel:
            raise InputError(
                f"{path}: a folder gives each photo one label. For several give a CSV with the columns "
                "photo and label (a; b)."
            )
        return read_cohort_folder(where)
    if where.exists() and not is_table(where) and where.suffix.lower() not in SUFFIXES_FOREIGN:
        raise InputError(
            f"{path}: not a cohort. Give a CSV, TSV or XLSX with the columns photo and label, or a folder "
            "with one subfolder of photos per label."
        )
    return read_cohort_table(where, multilabel=multilabel, instead=instead, unlabelled=unlabelled)


def read_cohort_table(
    path: Path,
    *,
    multilabel: bool = False,
    instead: str | None = None,
    unlabelled: tuple[str, Sequence[str]] | None = None,
) -> Cohort:
    """Cohort of a table; see `read_cohort`."""
    table = read_photo_table(path)
    items, columns = table.items, table.columns
    named = instead if "label" not in columns and instead in columns else "label"
    if named not in columns:
        raise InputError(
            f"{path}: no column `label`; its columns are {', '.join(['photo', *columns])}. Name the column "
            "that holds what is to be recognised `label`."
        )
    findings: list[Finding] = []
    if table.without_photo:
        text = f"{path}: no photo in {_rows(table.without_photo)}; left out."
        findings.append(Finding("warning", "photo", text))
    rows = list(zip(table.rows, items, strict=True))
    real = real_paths()
    site, allowed = unlabelled or ("", ())
    bare = [
        row
        for row, item in rows
        if not item.columns[named].strip() and item.columns.get(site, "").strip() not in allowed
    ]
    if bare and not multilabel:
        raise InputError(
            f"{path}: the {named} is missing in {_rows(bare)}. Fill it in, or delete the row; controls "
            "need a label, too."
        )
    cases = [
        Case(
            item.path,
            _joined(item.columns[named]) if multilabel else item.columns[named],
            item.columns.get("patient") or real(item.path),
            {name: cell for name, cell in item.columns.items() if name and name not in _NOT_METADATA},
            item.columns.get("distance", ""),
            row,
            item.columns.get("face_at", ""),
        )
        for row, item in rows
    ]
    unnamed = [row for row, item in rows if not item.columns.get("patient")]
    if "patient" not in columns:
        findings.append(_no_patients(f"{path}: no column `patient`"))
    elif unnamed:
        findings.append(_no_patients(f"{path}: no patient in {_rows(unnamed)}"))
    if undated := [f"{item.path}: {item.undated}" for item in items if item.undated]:
        text = f"{path}: no age from the columns `born` and `taken`: {some(undated)}"
        findings.append(Finding("warning", "metadata", text))
    cases, repeated = _once(cases)
    if repeated:
        text = f"{path}: {some(repeated)} repeated in equal rows; counted once."
        findings.append(Finding("note", "photo", text))
    kinds, notes = _metadata(str(path), cases)
    return Cohort(tuple(cases), str(path), kinds, multilabel, (*findings, *notes))


def read_cohort_folder(path: Path) -> Cohort:
    """Cohort of a folder; photos are searched throughout each subfolder."""
    cases: list[Case] = []
    loose = 0
    for item in collect([str(path)]):
        label, *rest = Path(item.path).relative_to(path).parts
        if rest:
            cases.append(Case(item.path, composed(label).strip(), os.path.realpath(item.path)))
        else:
            loose += 1
    if not cases:
        raise InputError(
            f"{path}: no subfolder with photos. Put the photos of each label into a subfolder of its "
            "name, or give a CSV with the columns photo and label."
        )
    findings = [_no_patients(f"{path}: a folder names no patients")]
    folders = sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    labels = {case.label for case in cases}
    if empty := [name for name in folders if composed(name).strip() not in labels]:
        text = f"{path}: no photos in {some(empty)}; no label is made of it."
        findings.append(Finding("warning", "label", text))
    if loose:
        text = (
            f"{path}: photos beside the subfolders have no label, {loose} of them; left out. Move each into "
            "its label's subfolder."
        )
        findings.append(Finding("warning", "photo", text))
    return Cohort(tuple(cases), str(path), findings=tuple(findings))


def read_target(path: str | os.PathLike[str], known: Collection[str]) -> Cohort:
    """Photographs of where a model will be used, which need no label.

    Parameters
    ----------
    path : path
        A folder of photos, a pattern, or a table as for `read_cohort`, whose column ``label`` may be missing
        or have empty cells.
    known : collection of str
        Labels: subfolders of these names label their photos.

    Returns
    -------
    Cohort
        Cases whose label is empty where there is none.

    Examples
    --------
    >>> table = Path("clinic.csv")
    >>> _ = table.write_text("photo,patient\\np1.jpg,p1\\n")
    >>> [(case.label, case.patient) for case in read_target(table, {"Noonan"}).cases]
    [('', 'p1')]
    """
    where = Path(path)
    cases = []
    for item in collect([os.fspath(path)]):
        label = item.columns.get("label", "").strip()
        if where.is_dir():
            folder = composed(Path(item.path).relative_to(where).parts[0]).strip()
            label = folder if folder in known else ""
        patient = item.columns.get("patient") or os.path.realpath(item.path)
        distance, face_at = (item.columns.get(name, "") for name in ("distance", "face_at"))
        cases.append(Case(item.path, label, patient, distance=distance, face_at=face_at))
    return Cohort(tuple(_once(cases)[0]), os.fspath(path))


def _rows(numbers: Sequence[int]) -> str:
    return f"row{'s' if len(numbers) > 1 else ''} {some(str(n) for n in numbers)}"


def _joined(cell: str) -> str:
    return f"{SEPARATOR} ".join(dict.fromkeys(filter(None, map(given, cell.split(SEPARATOR)))))


def _no_patients(what: str) -> Finding:
    text = (
        f"{what}: each such photo counts as a separate patient. If someone has several photos, name the "
        "patients in a column `patient` of a CSV, or the figures come out too good."
    )
    return Finding("warning", "patient", text)


def _once(cases: list[Case]) -> tuple[list[Case], list[str]]:
    """The cases without exact repetitions, and the photos that were repeated."""
    kept: dict[Hashable, Case] = {}
    repeated = []
    real = real_paths()
    for case in cases:
        cells = tuple(sorted(case.metadata.items()))
        key = real(case.photo), case.label, case.patient, cells
        if kept.setdefault(key, case) is not case:
            repeated.append(case.photo)
    return list(kept.values()), repeated


def typed(cells: Sequence[str], kind: Kind) -> Values:
    """A column of cells as numbers (NaN where missing) or words (None where missing).

    What `anthropo.tables.missing` names, and what cannot be read as an age or sex, is missing.
    """
    if kind == "age":  # of many people few have one of their own
        ages = {cell: _or(math.nan, parse_age, cell) for cell in dict.fromkeys(cells)}
        return [ages[cell] for cell in cells]
    if kind == "sex":
        sexes = {cell: _or(None, parse_sex, cell) for cell in dict.fromkeys(cells)}
        return [sexes[cell] for cell in cells]
    if kind == "number":
        words = [cell.strip() for cell in cells]
        return [float(word.replace(",", ".")) if _NUMBER.fullmatch(word) else math.nan for word in words]
    return [None if missing(cell) else cell.strip() for cell in cells]


def _or(default: D, parse: Callable[[str], T], cell: str) -> T | D:
    try:
        return parse(cell)
    except InputError:
        return default


def kind_of(name: str, cells: Iterable[str]) -> Kind:
    """Kind of a column, by its name and cells."""
    if name in ("age", "sex"):
        return "age" if name == "age" else "sex"
    numeric = all(missing(cell) or _NUMBER.fullmatch(cell.strip()) for cell in cells)
    return "number" if numeric else "category"


def _metadata(source: str, cases: Sequence[Case]) -> tuple[dict[str, Kind], list[Finding]]:
    """The columns that can be learned from, and a note on each of the others."""
    kinds: dict[str, Kind] = {}
    notes = []
    for name in cases[0].metadata:
        cells = [case.metadata[name] for case in cases]
        kind = kind_of(name, cells)
        why = _useless(kind, typed(cells, kind), [case.patient for case in cases])
        if why:
            notes.append(Finding("note", "metadata", f"{source}: column {name} {why}; not learned from."))
        else:
            kinds[name] = kind
    return kinds, notes


def _useless(kind: Kind, values: Values, patients: Sequence[str]) -> str:
    """Reason why nothing can be learned from a column; empty if something can."""
    owners: dict[float | str, set[str]] = defaultdict(set)
    for value, patient in zip(values, patients, strict=True):
        if value is not None and value == value:
            owners[value].add(patient)
    if not owners:
        return "is empty"
    if len(owners) == 1:
        return f"has one value only ({next(iter(owners))})"
    # an age or a length may well differ between all people, a running number always does
    named = kind == "category" or (kind == "number" and all(float(value).is_integer() for value in owners))
    if named and all(len(people) == 1 for people in owners.values()):
        return "has another value for every patient, as a name or number of the patient does"
    return ""
