"""Measurements of one's own: tables of them, checked as the shipped registry is, and what they leave out.

What a row does not say is derived: the checks of the photo gate that void the measurement follow from its
landmarks and from what a turned head does to it, by the rules of docs/atlas.md.
"""

from __future__ import annotations

import ast
import difflib
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anthropo.definitions import Definition
from anthropo.errors import InputError
from anthropo.face.frame import Floats
from anthropo.face.gate import CHECKS
from anthropo.face.pose import generic_face, rotation
from anthropo.face.shape import shapes
from anthropo.measurement import anatomy
from anthropo.measurement.compute import evaluate
from anthropo.measurement.expressions import ExpressionError, Parsed, parse
from anthropo.measurement.geometry import functions
from anthropo.measurement.registry import (
    AREA_UNIT,
    GEOMETRY,
    LENGTH_UNIT,
    MM_UNIT,
    PIXELS,
    Entry,
    compile_entry,
    landmark_names,
    resolve,
    shipped,
    unavailable,
)
from anthropo.tables import given, read_rows

if TYPE_CHECKING:
    from types import CodeType

    from anthropo.measurement.registry import Source

REQUIRED = ("id", "name", "kind", "unit", "expression")
COLUMNS = tuple(field.name for field in fields(Definition))
REGIONS = ("eye", "brow", "nose", "mouth", "jaw", "face")
SIDES = ("R", "L", "mid")
MOST = 200  # measurements of one's own
_DERIVED = ("region", "side", "voids")  # where a row leaves them out
#: The word for no check of the photo gate; where a cell is empty, they are derived.
NO_CHECK = "nothing"

#: The units that each kind may have.
UNITS: Mapping[str, tuple[str, ...]] = {
    "distance": (LENGTH_UNIT, MM_UNIT),
    "area": (AREA_UNIT,),
    "angle": ("deg",),
    "ratio": ("%", "1"),
    "curvature": ("1", "%", "deg", LENGTH_UNIT, MM_UNIT),
    "asymmetry": (LENGTH_UNIT, "%", "deg", "1", AREA_UNIT, MM_UNIT),
}
_POWERS = {LENGTH_UNIT: 1, MM_UNIT: 1, AREA_UNIT: 2}

_ID = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*(_[RL])?")
_LONGEST_ID, _LONGEST_NAME, _LONGEST_TEXT = 50, 100, 1000
_HPO = re.compile(r"HP:\d{7}")
# what tables call other things: names of columns, and ends that columns of a measurement have
_TAKEN_BY_COLUMNS = """
    photo face status reason width height yaw pitch roll patient label sex age ancestry gestation born taken
    site distance scale references notes remark disagreements measurement_reasons z_reasons z_by_chance
    age_basis hidden_landmarks moved_landmarks mm_per_px mm_per_px_rel_sd weight bmi state photos people
    head_circumference photos_measured shares_from measurement measurements decision set typicality shares
    image background
"""
_TAKEN = frozenset(_TAKEN_BY_COLUMNS.split())
_STARTS = ("gate_", "box_", "diagnostics_", "input_", "lbp_", "video_", "meta_", "probability_", "label_")
_ENDS = re.compile(r"_(lo|hi|mm|sd|z|photos|spread|repeatability|repeat_sd)$|_z_|_mm_")

# How far a normal face may differ from the mean one: people, and the error of a landmark (SD, outer-canthal
# distances).
_FACES, _ERROR, _MILLIMETRES = 400, 0.01, 87.0
_NEARLY = 0.05  # of its usual size, below which a divisor counts as zero

# What the derivation of `voids` is: docs/atlas.md, "What voids a measurement".
_TURN = 10.0  # degrees of yaw and of pitch
_YAW_MATTERS, _PITCH_MATTERS = 1 / 3, 0.5  # SD between people, which such a turn must not change a value by
_SMALL = 0.2  # of the outer-canthal distance; an area, of its square
_SIZES = 0.05  # SD of a face's size between adults, as a share of it
_DIFFERENCES = frozenset({"v", "off", "off_level"})
_LEVELS = re.compile(r"\b(v|cant|off_level)\(")  # differences in height, which need pixels
_INNER_CANTHI = frozenset({39, 42})
_LID_MARGINS = frozenset({37, 38, 40, 41, 43, 44, 46, 47})
_MOUTH = frozenset(range(48, 68))
_NOSE = frozenset(range(30, 36))
_CHIN = frozenset({7, 8, 9})
_FAR_FROM_THE_EYES = frozenset({0, 1, 2, 3, 13, 14, 15, 16, 30})  # in depth: outline and tip of the nose


def read_definitions(
    sources: Iterable[Source | Iterable[Source]], there: Sequence[Definition] = ()
) -> tuple[Definition, ...]:
    """Definitions from tables, rows or definitions, each checked and tried; `there` are those of before."""
    known = {one.id: one for one in there}
    new: dict[str, Definition] = {}
    places: dict[str, str] = {}
    for where, row in _rows(sources):
        made = row if isinstance(row, Definition) else _definition(where, row)
        if made.id in new:
            raise InputError(
                f"{where}, column id: {made.id!r} appears twice. Keep this one or that in {places[made.id]}."
            )
        if made.id in known and known[made.id] != made:
            raise InputError(
                f"{where}, column id: {made.id!r} was added before, with another definition "
                f"({known[made.id].expression}). Give it another name, or remove the other one first."
            )
        entry = _checked(where, made)
        _try(where, made, entry)
        new[made.id], places[made.id] = made, where
        if len(known.keys() | new.keys()) > MOST:  # before the thousands that follow are tried
            raise InputError(f"{where}: at most {MOST} measurements of one's own can be. Leave some out.")
    return tuple(new.values())


def left_out(sources: Iterable[Source | Iterable[Source]]) -> dict[str, tuple[str, ...]]:
    """By measurement, what its row leaves out that was derived: region, side, voids."""
    rows = [row for _, row in _rows(sources) if not isinstance(row, Definition)]
    return {_text(row["id"]): tuple(c for c in _DERIVED if not _text(row.get(c))) for row in rows}


def ordinary(entry: Entry) -> Floats:
    """A measurement of ordinary adults' faces (N,), all of one size where it is in millimetres."""
    points, middle = _faces()
    unit = _MILLIMETRES if entry.needs_mm else 1.0
    between = {code: unit * middle[:, i] for i, code in enumerate(anatomy.BETWEEN)}
    values: Floats = evaluate(unit * points, [entry], between)[:, 0]
    return values


def entry_of(definition: Definition) -> Entry:
    """The registry's entry of a definition; an InputError if it is none that can be measured."""
    return _checked(f"measurement {definition.id!r}", definition)


def _rows(
    sources: Iterable[Source | Iterable[Source]],
) -> Iterator[tuple[str, Mapping[str, object] | Definition]]:
    """The rows of all sources, each with where it is from."""
    for source in sources:
        if isinstance(source, Definition):
            yield f"measurement {source.id!r}", source
        elif isinstance(source, Mapping):
            where = f"measurement {str(source.get('id', ''))!r}"
            _check_columns(where, [str(name) for name in source])
            yield where, source
        elif isinstance(source, (str, os.PathLike)):
            yield from _rows_of(Path(source))
        elif hasattr(source, "to_dict"):  # of pandas, which is slow to import: a row, or a table of them
            rows = source.to_dict("records") if hasattr(source, "columns") else source.to_dict()
            yield from _rows(rows if isinstance(rows, list) else [rows])
        elif isinstance(source, Iterable) and not isinstance(source, bytes):
            yield from _rows(source)
        else:
            raise TypeError(
                "measurements are given as a path, a mapping, a pandas.DataFrame, a Definition or a sequence "
                f"of these, and not as {type(source).__name__}."
            )


def _rows_of(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    rows = read_rows(path, "expression")
    if not rows:
        raise InputError(
            f"{path}: the table is empty. A table of measurements has the columns {', '.join(REQUIRED)}."
        )
    header = [cell.strip() for cell in rows[0][1]]
    while header and not header[-1]:
        header.pop()
    _check_columns(str(path), header)
    if len(rows) == 1:
        raise InputError(f"{path}: the table has no rows. Add one for each measurement.")
    for number, cells in rows[1:]:
        where = f"{path}, row {number}"
        if any(cell.strip() for cell in cells[len(header) :]):
            raise InputError(
                f"{where}: {len(cells)} cells where the header has {len(header)}. Quote a cell that contains "
                'a comma, as in "d(enR, enL)".'
            )
        filled = [*cells, *[""] * (len(header) - len(cells))]
        yield where, dict(zip(header, filled, strict=False))


def _check_columns(where: str, names: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"{where}: no column {', '.join(missing)}. A table of measurements needs {', '.join(REQUIRED)}."
        )
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1) or COLUMNS
            raise InputError(
                f"{where}: unknown column {name!r}. Choose from {', '.join(near)}, or delete it."
            )
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{where}: column {twice} appears twice. Delete one.")


def _definition(where: str, row: Mapping[str, object]) -> Definition:
    """A row as a definition; what it leaves out is derived."""
    cells = {name: " ".join(_text(row.get(name)).split()) for name in COLUMNS}
    for name in REQUIRED:
        if not cells[name]:
            raise InputError(f"{where}, column {name}: it is empty. Every measurement needs one.")
    made: dict[str, Any] = {name: cell for name, cell in cells.items() if cell}
    for name in ("needs_mm", "needs_fine"):
        if cells[name].lower() not in ("yes", "no", "true", "false", ""):
            raise InputError(f'{where}, column {name}: {cells[name]!r}. Give "yes", or leave it empty.')
        made[name] = cells[name].lower() in ("yes", "true")
    made["needs_mm"] = made["needs_mm"] or cells["unit"] == MM_UNIT
    if "side" not in made and cells["id"][-2:] in ("_R", "_L"):
        made["side"] = cells["id"][-1]
    if "reliability" in made:
        try:
            made["reliability"] = float(made["reliability"])
        except ValueError:
            made["reliability"] = math.nan
    if not cells["voids"]:
        # what is wrong with the rest is said first, in the order of the columns
        entry = _checked(where, Definition(**{**made, "voids": NO_CHECK}))
        _try(where, Definition(**{**made, "voids": NO_CHECK}), entry)
        made["voids"] = " ".join(derived_voids(entry)) or NO_CHECK
    return Definition(**made)


def _text(value: object) -> str:
    """A cell as text; a code such as "-" in an expression's cell is no missing value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    return given(str(value))


def _checked(where: str, one: Definition) -> Entry:
    """The entry of a definition after a check of every column."""

    def refuse(column: str, why: str) -> InputError:
        return InputError(f"{where}, column {column}: {why}")

    _check_id(one, refuse)
    for column, longest in (("name", _LONGEST_NAME), ("definition", _LONGEST_TEXT), ("note", _LONGEST_TEXT)):
        text = getattr(one, column)
        if len(text) > longest:
            raise refuse(column, f"{len(text):,} characters, and {longest:,} are enough.")
        if not text.isprintable():
            raise refuse(column, "it has control characters. Delete them.")
    if one.kind in PIXELS:
        raise refuse(
            "kind",
            f"{one.kind!r} is read from pixels, and one's own are of landmarks. Choose from "
            f"{', '.join(GEOMETRY)}.",
        )
    units = UNITS.get(one.kind, ())
    for column, choices in (("kind", GEOMETRY), ("unit", units), ("region", REGIONS), ("side", SIDES)):
        if getattr(one, column) not in choices:
            of = f" of kind {one.kind}" if column == "unit" else ""
            raise refuse(column, f"{getattr(one, column)!r}{of}. Choose from {', '.join(choices)}.")
    if (one.side != "mid") != (one.id[-2:] in ("_R", "_L")) or (one.side != "mid" and one.id[-1] != one.side):
        raise refuse("side", f"{one.side!r}, and the id is {one.id!r}. Ids of one side end in _R or _L.")
    if one.unit == MM_UNIT and not one.needs_mm:
        raise refuse("needs_mm", f"a length in mm needs a scale. Give yes, or the unit {LENGTH_UNIT}.")
    for column in ("hpo_low", "hpo_high"):
        if (term := getattr(one, column)) and not _HPO.fullmatch(term):
            raise refuse(column, f"{term!r} is no HPO term, such as HP:0000276.")
    if one.reliability is not None and not 0 <= one.reliability <= 1:
        raise refuse("reliability", "a number from 0 to 1 is needed: the share of variance that is no error.")
    checks = () if one.voids in (NO_CHECK, "") else tuple(one.voids.split())
    for check in checks:
        if check not in CHECKS:
            near = difflib.get_close_matches(check, CHECKS, 2) or CHECKS
            raise refuse(
                "voids", f"unknown gate check {check!r}. Choose from {', '.join(near)}, or {NO_CHECK}."
            )
    try:
        parsed = _parsed(one)
    except ExpressionError as error:
        raise refuse("expression", f"{error}.") from None
    same = _twins().get((_normal(one.expression), one.unit, one.needs_mm), "")
    twin = shipped().get(same)
    cells = {
        "id": one.id, "name": one.name, "region": one.region, "kind": one.kind, "unit": one.unit,
        "needs_mm": "yes" if one.needs_mm else "", "needs_fine": "yes" if one.needs_fine else "",
        "expression": one.expression, "side": one.side, "definition": one.definition,
        "hpo_low": one.hpo_low, "hpo_high": one.hpo_high, "voids": " ".join(checks), "note": one.note,
    }  # fmt: skip
    entry = compile_entry(cells)
    known = twin.reliability if twin else math.nan
    reliability = known if one.reliability is None else one.reliability
    return replace(entry, code=parsed.code, reliability=reliability, user_defined=True, same_as=same)


def _parsed(one: Definition) -> Parsed:
    return parse(one.expression, _POWERS.get(one.unit, 0), in_mm=one.needs_mm)


def _normal(expression: str) -> str:
    """An expression in one spelling, whatever its spaces and brackets."""
    return ast.unparse(ast.parse(" ".join(expression.split()), mode="eval"))


@lru_cache(maxsize=1)
def _twins() -> Mapping[tuple[str, str, bool], str]:
    """The shipped measurements by expression, unit and whether they need millimetres."""
    geometry = [entry for entry in shipped().values() if entry.expression]
    return {(_normal(e.expression), e.unit, e.needs_mm): e.id for e in reversed(geometry)}


# ------------------------------------------------------------------------------------------ names


def _check_id(one: Definition, refuse: Any) -> None:
    """Refuse a name that is none of a column, or is another's."""
    name = one.id
    if not _ID.fullmatch(name) or len(name) > _LONGEST_ID:
        raise refuse(
            "id",
            f"{name[:60]!r} cannot name a column. Use small letters, digits and _ as in chin_index, with _R "
            f"or _L at the end for one side; at most {_LONGEST_ID} characters.",
        )
    if name in shipped():
        raise refuse("id", f"{name!r} is a measurement of anthropo's already. Give it another name.")
    if name in _TAKEN or name.startswith(_STARTS) or _ENDS.search(name) or name in _not_available():
        raise refuse("id", f"{name!r} is what tables call something else. Give it another name.")


@lru_cache(maxsize=1)
def _not_available() -> frozenset[str]:
    return frozenset(one.id for one in unavailable())


# ---------------------------------------------------------------------------------------- trials


@lru_cache(maxsize=1)
def _faces() -> tuple[Floats, Floats]:
    """Landmarks of ordinary faces (N, 68, 2) and those between them (N, 6, 2); the mean face comes first."""
    mean, modes = shapes()
    random = np.random.default_rng(0)
    people = np.einsum("nk,kpx->npx", random.standard_normal((_FACES, len(modes))), modes)
    people += random.normal(0, _ERROR, people.shape)
    people[0] = 0
    points, middle = anatomy.apply(anatomy.instrument("fine").correction, mean, {})
    return points + people, middle + anatomy.between(mean + people) - anatomy.between(mean)


def _try(where: str, one: Definition, entry: Entry) -> None:
    """Refuse an expression that has no value on ordinary faces, or the same one on all."""
    points, middle = _faces()
    unit = _MILLIMETRES if one.needs_mm else 1.0
    names = _names(unit * points, unit * middle)
    for text, code in _parsed(one).divisors:
        divisor = _values(code, names)
        low, high = float(divisor.min()), float(divisor.max())
        if low <= 0 <= high or np.abs(divisor).min() < _NEARLY * np.median(np.abs(divisor)):
            raise InputError(
                f"{where}, column expression: it divides by zero on ordinary faces, where {text} is "
                f"{low:.2g} to {high:.2g}. Divide by a length that every face has."
            )
    values = _values(entry.code, names) if entry.code else np.zeros(1)
    if not np.isfinite(values).all():
        raise InputError(
            f"{where}, column expression: it has no value on ordinary faces ({entry.expression})."
        )
    if np.ptp(values) <= 1e-9 * max(1.0, float(np.abs(values).max())):
        raise InputError(f"{where}, column expression: it is {values[0]:.3g} on every face.")


def _names(points: Floats, middle: Floats) -> dict[str, Any]:
    names: dict[str, Any] = {"__builtins__": {}, **functions(points), **landmark_names(points)}
    return names | {code: middle[..., i, :] for i, code in enumerate(anatomy.BETWEEN)}


def _values(code: CodeType, names: dict[str, Any]) -> Floats:
    with np.errstate(all="ignore"):
        values: Floats = np.asarray(eval(code, names), dtype=np.float64)
    return values


# ----------------------------------------------------------------------------------------- voids


def derived_voids(entry: Entry) -> tuple[str, ...]:
    """The checks of the photo gate that void a measurement, from its landmarks and what a turn does to it.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.measurement.own import derived_voids
    >>> derived_voids(anthropo.registry()["philtrum_width"])
    ('eye_pixels', 'sharpness', 'mouth_open', 'smile')
    """
    pupils = {name for name in entry.landmarks if name in ("pR", "pL")}
    named = {point for name in entry.landmarks if name not in pupils for point in resolve(name) or ()}
    if "procrustes_asymmetry" in entry.expression:
        named = set(range(68))
    compares = entry.kind == "asymmetry"  # and is often about a midline between the pupils
    yaw, pitch = _turned(entry)
    canthi = bool(named & _INNER_CANTHI) and entry.kind != "angle"
    lids = bool(named & (_LID_MARGINS | _INNER_CANTHI) or (pupils and not compares))
    small = canthi or _has_small(entry)
    chosen = {
        "yaw": compares or yaw > _YAW_MATTERS,
        "pitch": pitch > _PITCH_MATTERS,
        "eye_pixels": small or (compares and _LEVELS.search(entry.expression) is not None),
        "sharpness": small,
        "mouth_open": bool(named & (_MOUTH | _CHIN)),
        "smile": bool(named & (_MOUTH | _NOSE | _LID_MARGINS)),
        "eyes_closed": lids,
        "glasses": lids,
        "perspective": not compares and bool(named & _FAR_FROM_THE_EYES),
    }
    return tuple(check for check in CHECKS if chosen.get(check))


def _turned(entry: Entry) -> tuple[float, float]:
    """How far a turn to either side, and a nod up or down, change a value: SD between people."""
    mean, modes = shapes()
    one = [replace(entry, unit="1") if entry.needs_mm else entry]
    unit = _MILLIMETRES if entry.needs_mm else 1.0
    of_people = evaluate(unit * np.concatenate([mean[None], mean + modes]), one)[:, 0]
    sd = math.sqrt(float(np.nansum((of_people[1:] - of_people[0]) ** 2)))
    if entry.needs_mm:  # the faces are all of one size, and people are not
        sd = math.hypot(sd, _SIZES * float(of_people[0]))
    turns = ((0.0, 0.0), (_TURN, 0.0), (-_TURN, 0.0), (0.0, _TURN), (0.0, -_TURN))
    head = np.stack([(generic_face() @ rotation(yaw, pitch, 0.0).T)[:, :2] for yaw, pitch in turns])
    straight, *seen = evaluate(unit * head, one)[:, 0].tolist()
    changes = [abs(value - straight) / max(sd, 1e-12) for value in seen]
    return float(np.nanmax(changes[:2])), float(np.nanmax(changes[2:]))


def _has_small(entry: Entry) -> bool:
    """Whether it is made of a length or area that is small on the mean face."""
    parsed = parse(entry.expression, _POWERS.get(entry.unit, 0), in_mm=entry.needs_mm)
    points, middle = _faces()
    names = _names(points[0], middle[0])
    return any(
        abs(float(_values(code, names))) < _SMALL**power
        for code, power in parsed.lengths
        # a difference between sides is always small
        if not (entry.kind == "asymmetry" and _DIFFERENCES & {*code.co_names})
    )
