"""The measurement registry: registry.csv, checked and compiled.

An entry's value comes from one of two places. Those of the kinds `GEOMETRY` are expressions in the
68 points; those of the kinds `PIXELS` have no expression, their value is read from the photo.

Lengths in an expression are in the unit of the points it is given. Most entries are free of scale:
`Entry.power` says by which power of the outer-canthal distance the bare value is to be divided. An
entry with `needs_mm` takes points in millimetres (photo pixels times millimetres per pixel) and has
no value without a scale: its unit is mm, or its formula has a constant in millimetres.

`voids` names the photo gate's checks that void the entry: when one fails, the photo cannot carry it.
unavailable.csv lists the frontal measurements that are not given, each with the reason.

Measurements of one's own come behind the shipped ones: `registry.add`, and `anthropo.measurement.own`, which
checks them.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anthropo.definitions import Definition, define, defined, definitions, forget, state
from anthropo.errors import InputError
from anthropo.face.frame import Floats
from anthropo.face.gate import CHECKS
from anthropo.face.scheme import LANDMARKS
from anthropo.files import packaged_table
from anthropo.measurement.geometry import FUNCTIONS
from anthropo.measurement.repeatability import RELIABLE, repeatability
from anthropo.showing import brief, count, counts, html

if TYPE_CHECKING:
    import pandas as pd

GEOMETRY = ("distance", "angle", "ratio", "area", "curvature", "asymmetry")
#: Kinds whose values are read from the photo's pixels, not from an expression in landmarks.
PIXELS = ("colour", "eye", "texture")
KINDS = (*GEOMETRY, *PIXELS)
#: The unit of scale-free lengths: the outer-canthal distance, exocanthion to exocanthion.
LENGTH_UNIT = "ex-ex"
AREA_UNIT = "ex-ex²"
MM_UNIT = "mm"
#: Why a value in millimetres is missing. Tables and reports hold it, whose readers did not type the command.
NEEDS_MM = "needs millimetres (from a sticker of known size, or the measured distance of the pupils)"

_POINTS = {f"p{i}": (i,) for i in range(68)}
# an expression is names, calls, numbers and arithmetic; its syntax tree would cost every start 3 ms
_NAME = re.compile(r"\b([^\W\d]\w*)(?:\s*(\())?")
_AXES = ("v", "elevation", "at")  # functions that measure along the face's axes
_FOREIGN = re.compile(r"[^\w\s.,()*/+-]|\.(?!\d)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One measurement's definition.

    Examples
    --------
    >>> import anthropo
    >>> entry = anthropo.registry()["philtrum_length"]
    >>> entry.expression, entry.unit, entry.hpo_high
    ('d(sn, ls)', 'ex-ex', 'HP:0000343')
    """

    id: str
    name: str
    region: str  # eye, brow, nose, mouth, jaw, face
    kind: str
    unit: str  # ex-ex: fraction of the outer-canthal distance
    needs_mm: bool  # the expression takes points in millimetres; no value without a scale
    needs_fine: bool  # needs landmarks that only the fine stage sees, such as the pupil
    expression: str  # empty for a kind of PIXELS
    side: str  # R, L or mid
    definition: str  # published source
    hpo_low: str  # HPO id of the trait when low, or empty
    hpo_high: str
    voids: tuple[str, ...]  # checks of the photo gate that void the value when they fail
    note: str
    points: tuple[int, ...]  # of the 68-point scheme that the expression depends on
    code: CodeType | None  # None for a kind of PIXELS
    reliability: float = math.nan  # share of the variance between people that is no error; NaN: not known
    user_defined: bool = False  # added to the registry by its user
    same_as: str = (
        ""  # of one's own: the shipped entry whose expression it has, and with it what is known of it
    )

    def __repr__(self) -> str:
        return brief(self, f"{self.id}, {self.name}", self.region, self.kind, self.unit, self.expression)

    @property
    def unreliable(self) -> bool:
        """Whether more than half of the variance between people is error: no trait is called by it alone."""
        return self.reliability < RELIABLE

    @property
    def decides(self) -> bool:
        """Whether a trait may be called by it alone: one's own does if its reliability is known, and high."""
        return not self.unreliable and not (self.user_defined and math.isnan(self.reliability))

    @property
    def known_as(self) -> str:
        """The id under which tables of errors have it."""
        return self.same_as or self.id

    @property
    def power(self) -> int:
        """The power of the outer-canthal distance that the bare expression is to be divided by.

        0 for whatever has no length in its unit, and for `needs_mm` entries, whose points are in
        millimetres already.
        """
        return {LENGTH_UNIT: 1, AREA_UNIT: 2}.get(self.unit, 0)

    @property
    def landmarks(self) -> tuple[str, ...]:
        """The landmark codes, and points p0 to p67, that the expression names."""
        return tuple(name for name, called in _NAME.findall(self.expression) if not called)

    @property
    def along_axes(self) -> bool:
        """Whether the expression measures along the face's axes, which the outer canthi give."""
        return any(called and name in _AXES for name, called in _NAME.findall(self.expression))

    def evaluate(self, names: dict[str, Any]) -> Floats:
        """The bare expression, from landmarks and functions by name; lengths in the landmarks' unit."""
        if self.code is None:
            raise ValueError(f"{self.id}: a measurement of kind {self.kind} has no expression")
        value: Floats = eval(self.code, names)
        return value


def resolve(name: str) -> tuple[int, ...] | None:
    """The points of a landmark code or of p0 to p67; None for another name."""
    return LANDMARKS.get(name) or _POINTS.get(name)


# each landmark code as weights of the 68 points, in the order of LANDMARKS
_WEIGHTS = np.array([np.bincount(at, minlength=68) / len(at) for at in LANDMARKS.values()])


def landmark_names(points: NDArray[np.float64]) -> dict[str, Floats]:
    """Every landmark code and p0 to p67, from points (..., 68, 2)."""
    coded = _WEIGHTS @ points
    names = {code: coded[..., i, :] for i, code in enumerate(LANDMARKS)}
    names.update((f"p{i}", points[..., i, :]) for i in range(68))
    return names


def compile_entry(row: dict[str, str], reliability: float = math.nan) -> Entry:
    """The entry in one row of the registry; a ValueError names it and what is wrong with it."""
    where = f"registry entry {row.get('id')!r}"
    yes = ("yes", "")
    for column, allowed, words in (
        ("kind", KINDS, f"must be one of {', '.join(KINDS)}"),
        ("side", ("R", "L", "mid"), "must be R, L or mid"),
        ("needs_mm", yes, 'must be "yes" or empty'), ("needs_fine", yes, 'must be "yes" or empty'),
    ):  # fmt: skip
        if row[column] not in allowed:
            raise ValueError(f"{where}: {column} {row[column]!r}; it {words}")
    if row["unit"] == MM_UNIT and not row["needs_mm"]:
        raise ValueError(f"{where}: a length in mm needs a scale; write yes under needs_mm")
    voids = tuple(row["voids"].split())
    for check in voids:
        if check not in CHECKS:
            raise ValueError(f"{where}: unknown gate check {check!r}; one of {', '.join(CHECKS)} is needed")
    points: tuple[int, ...] = ()
    code: CodeType | None = None
    if row["kind"] in PIXELS:
        if row["expression"]:
            raise ValueError(f"{where}: kind {row['kind']} is read from the photo and has no expression")
    else:
        points, code = _compile(row, where)
    text: dict[str, Any] = {
        name: cell for name, cell in row.items() if name not in ("needs_mm", "needs_fine", "voids")
    }
    needs_mm, needs_fine = bool(row["needs_mm"]), bool(row["needs_fine"])
    return Entry(
        **text,
        needs_mm=needs_mm,
        needs_fine=needs_fine,
        voids=voids,
        points=points,
        code=code,
        reliability=reliability,
    )


def _compile(row: dict[str, str], where: str) -> tuple[tuple[int, ...], CodeType]:
    """The points that an entry's expression depends on, and its code."""
    expression = row["expression"]
    if foreign := _FOREIGN.search(expression):
        raise ValueError(f"{where}: {foreign[0]!r} is not allowed in an expression")
    points: set[int] = set()
    for name, called in _NAME.findall(expression):
        if called:
            if name not in FUNCTIONS:
                raise ValueError(f"{where}: unknown function {name!r}")
            if name in _AXES:
                points |= {36, 45}
            elif name == "procrustes_asymmetry":
                points |= set(range(68))
        elif (at := resolve(name)) is None:
            raise ValueError(f"{where}: unknown landmark {name!r}")
        else:
            points |= set(at)
    try:
        code = compile(expression.strip(), "registry.csv", "eval")
    except SyntaxError as error:
        raise ValueError(f"{where}: the expression cannot be parsed ({error.msg})") from None
    if row["unit"] in (LENGTH_UNIT, AREA_UNIT):
        points |= {36, 45}
    return tuple(sorted(points)), code


class Entries(dict[str, Entry]):
    """Definitions of measurements by id."""

    def __repr__(self) -> str:
        regions = Counter(entry.region for entry in self.values())
        return brief(self, count(len(self), "measurement"), counts(regions))

    def _repr_html_(self) -> str:
        return html(self, "entries")

    def to_frame(self) -> pd.DataFrame:
        """A row for each: id, name, region, kind, unit, side, expression, definition, hpo_low, hpo_high."""
        import pandas as pd

        names = [
            "id",
            "name",
            "region",
            "kind",
            "unit",
            "side",
            "expression",
            "definition",
            "hpo_low",
            "hpo_high",
        ]
        return pd.DataFrame([[getattr(one, name) for name in names] for one in self.values()], columns=names)


@lru_cache(maxsize=1)
def shipped() -> Entries:
    """The measurements that come with anthropo, by id, in the registry's order."""
    entries = Entries()
    for row in packaged_table("anthropo.measurement", "registry.csv"):
        if row["id"] in entries:
            raise ValueError(f"registry entry {row['id']!r} appears twice")
        known = repeatability().get(row["id"])
        entries[row["id"]] = compile_entry(row, known.reliability if known else math.nan)
    return entries


@lru_cache(maxsize=8)
def _with_own(added: tuple[Definition, ...]) -> Entries:
    """The registry with one's own measurements behind the shipped ones."""
    if not added:
        return shipped()
    from anthropo.measurement.own import entry_of  # which most runs do not need

    return Entries(shipped() | {one.id: entry_of(one) for one in added})


#: A table's path, rows of one, or definitions that another process or a model file has.
if TYPE_CHECKING:
    Source: TypeAlias = str | os.PathLike[str] | Mapping[str, object] | Definition | pd.DataFrame


class Registry:
    """Every measurement, by id: ``anthropo.registry()``; and how to add some of one's own.

    One's own are first-class: everything that measures, scores, learns, draws or reports has them, in all
    threads and in the processes that it starts, until they are removed.

    Examples
    --------
    >>> import anthropo
    >>> len(anthropo.registry()), next(iter(anthropo.registry()))
    (130, 'intercanthal_width')
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.__name__ = "registry"  # as functions have, which it is called like
        self._known = -1, Entries()  # of a state of the definitions

    def __call__(self) -> Entries:
        """Every measurement, by id, in the registry's order; one's own come last."""
        number, entries = self._known
        if number != (now := state()):
            entries = _with_own(definitions())
            if now == state():  # no other thread has changed it
                self._known = now, entries
        return entries

    def __repr__(self) -> str:
        return f"<anthropo.registry: {len(shipped())} measurements, {len(self.definitions)} of one's own>"

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """One's own measurements, as they were added."""
        return definitions()

    @property
    def user_defined(self) -> Entries:
        """One's own measurements, by id."""
        return Entries((name, entry) for name, entry in self().items() if entry.user_defined)

    def add(self, *sources: Source | Iterable[Source]) -> tuple[Entry, ...]:
        """Add measurements of one's own.

        Parameters
        ----------
        *sources : path, mapping, pandas.DataFrame or Definition, or sequences of these
            Tables (.csv, .tsv, .xlsx or of pandas), or rows as mappings. Needed are ``id``, ``name``,
            ``kind``, ``unit`` and ``expression``; see docs/own-measurements.md.

        Returns
        -------
        tuple of Entry

        Raises
        ------
        InputError
            Naming the table, row and column that cannot be used; then nothing is added.

        Examples
        --------
        >>> import anthropo
        >>> row = dict(id="chin_index", name="Chin to lower face", kind="ratio", unit="%")
        >>> (entry,) = anthropo.registry.add(row | {"expression": "100 * d(li, gn) / d(sn, gn)"})
        >>> entry.voids  # derived from the landmarks
        ('mouth_open', 'smile')
        >>> anthropo.registry.remove("chin_index")
        """
        with self._lock:
            new = self._read(sources)
            define(new)
        return tuple(self()[one.id] for one in new)

    def remove(self, *names: str) -> None:
        """Take measurements of one's own out again.

        Parameters
        ----------
        *names : str
            Their ids; all of them when left out.

        Raises
        ------
        InputError
            If one of them is not there, or is a shipped one.

        Examples
        --------
        >>> import anthropo
        >>> anthropo.registry.remove()
        >>> anthropo.registry.remove("nasal_index")
        Traceback (most recent call last):
        anthropo.errors.InputError: 'nasal_index' is none of the measurements that were added; there are none.
        """
        with self._lock:
            added = {one.id for one in definitions()}
            for name in names:
                if name not in added:
                    there = ", ".join(sorted(added)) or "none"
                    raise InputError(
                        f"{name!r} is none of the measurements that were added; there are {there}."
                    )
            forget(names or added)

    @contextmanager
    def added(self, *sources: Source | Iterable[Source]) -> Iterator[tuple[Entry, ...]]:
        """Add measurements of one's own for a block.

        Parameters
        ----------
        *sources : path, mapping or Definition, or sequences of these
            As for `add`.

        Yields
        ------
        tuple of Entry

        Raises
        ------
        InputError
            As `add`.

        Examples
        --------
        >>> import anthropo
        >>> row = {"id": "nose_gap", "name": "Alae", "kind": "distance", "unit": "ex-ex"}
        >>> with anthropo.registry.added(row | {"expression": "d(alR, alL)"}) as (entry,):
        ...     entry.same_as, "nose_gap" in anthropo.registry()
        ('nasal_width', True)
        >>> "nose_gap" in anthropo.registry()
        False
        """
        with ExitStack() as block:
            with self._lock:
                new = self._read(sources)
                block.enter_context(defined(new))
            yield tuple(self()[one.id] for one in new)

    def _read(self, sources: Sequence[Source | Iterable[Source]]) -> tuple[Definition, ...]:
        if not sources:  # as for most commands, which need not know how definitions are read
            return ()
        from anthropo.measurement.own import read_definitions

        return read_definitions(sources, definitions())


#: Every measurement, by id; see `Registry`.
registry = Registry()


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A frontal measurement that is not given, and why."""

    id: str
    name: str
    reason: str
    hpo_low: str
    hpo_high: str
    definition: str


@lru_cache(maxsize=1)
def unavailable() -> tuple[Unavailable, ...]:
    """The measurements that a photo's 68 points and pixels cannot carry."""
    return tuple(Unavailable(**row) for row in packaged_table("anthropo.measurement", "unavailable.csv"))
