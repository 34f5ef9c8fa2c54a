"""The measurement registry: registry.csv, checked and compiled."""

from __future__ import annotations

import ast
import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.face.scheme import LANDMARKS
from anthropo.measurement.kinds import FUNCTIONS, Floats

KINDS = ("distance", "angle", "ratio", "area", "curvature", "asymmetry")
#: The unit of scale-free lengths: the outer-canthal distance, exocanthion to exocanthion.
LENGTH_UNIT = "ex-ex"
AREA_UNIT = "ex-ex²"

_POINT = re.compile(r"p(\d{1,2})\Z")
_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.Load,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One measurement's definition."""

    id: str
    name: str
    region: str  # eye, brow, nose, mouth, jaw, face
    kind: str
    unit: str  # ex-ex: fraction of the outer-canthal distance
    expression: str
    side: str  # R, L or mid
    definition: str  # published source
    hpo_low: str  # HPO id of the trait when low, or empty
    hpo_high: str
    note: str
    points: tuple[int, ...]  # of the 68-point scheme that the value depends on
    code: CodeType

    @property
    def power(self) -> int:
        """The power of length in the unit: what scaling the photo does to the bare expression."""
        return {LENGTH_UNIT: 1, AREA_UNIT: 2}.get(self.unit, 0)

    def evaluate(self, names: dict[str, Any]) -> Floats:
        """The bare expression (lengths in photo pixels), from landmarks and functions by name."""
        value: Floats = eval(self.code, names)
        return value


def resolve(name: str) -> tuple[int, ...] | None:
    """The points of a landmark code or of p0 to p67; None for another name."""
    if name in LANDMARKS:
        return LANDMARKS[name]
    match = _POINT.match(name)
    if match and int(match[1]) < 68:
        return (int(match[1]),)
    return None


# each landmark code as weights of the 68 points, in the order of LANDMARKS
_WEIGHTS = np.array([np.bincount(at, minlength=68) / len(at) for at in LANDMARKS.values()])


def landmark_names(points: NDArray[np.float64]) -> dict[str, Floats]:
    """Every landmark code and p0 to p67, from points (..., 68, 2)."""
    coded = _WEIGHTS @ points
    names = {code: coded[..., i, :] for i, code in enumerate(LANDMARKS)}
    names.update((f"p{i}", points[..., i, :]) for i in range(68))
    return names


def compile_entry(row: dict[str, str]) -> Entry:
    """Check one row of the registry.

    Raises
    ------
    ValueError
        Naming the entry and what is wrong with it.
    """
    where = f"registry entry {row.get('id')!r}"
    if row["kind"] not in KINDS:
        raise ValueError(f"{where}: kind {row['kind']!r}; one of {', '.join(KINDS)} is needed")
    if row["side"] not in ("R", "L", "mid"):
        raise ValueError(f"{where}: side {row['side']!r}; R, L or mid is needed")
    try:
        tree = ast.parse(row["expression"], mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{where}: the expression cannot be parsed ({error.msg})") from None
    points: set[int] = set()
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise ValueError(f"{where}: {type(node).__name__} is not allowed in an expression")
        if isinstance(node, ast.Name):
            if id(node) in called:
                if node.id not in FUNCTIONS:
                    raise ValueError(f"{where}: unknown function {node.id!r}")
                if node.id in ("v", "elevation", "at"):
                    points |= {36, 45}
                elif node.id == "procrustes_asymmetry":
                    points |= set(range(68))
            elif (at := resolve(node.id)) is None:
                raise ValueError(f"{where}: unknown landmark {node.id!r}")
            else:
                points |= set(at)
    if row["unit"] in (LENGTH_UNIT, AREA_UNIT):
        points |= {36, 45}
    fields = {name: row[name] for name in Entry.__dataclass_fields__ if name not in ("points", "code")}
    return Entry(**fields, points=tuple(sorted(points)), code=compile(tree, "registry.csv", "eval"))


@lru_cache(maxsize=1)
def registry() -> dict[str, Entry]:
    """Every measurement, by id, in the registry's order."""
    text = resources.files("anthropo.measurement").joinpath("registry.csv").read_text(encoding="utf-8")
    entries: dict[str, Entry] = {}
    for row in csv.DictReader(text.splitlines()):
        if row["id"] in entries:
            raise ValueError(f"registry entry {row['id']!r} appears twice")
        entries[row["id"]] = compile_entry(row)
    return entries
