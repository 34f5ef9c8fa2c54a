"""Rules that make traits of z-scores, and the terms of the Human Phenotype Ontology (HPO) that they answer.

The rules are data. traits.csv has a row for each term: the measurements that its HPO definition names,
the z-scores that it asks for, and whether the definition states a number (objective) or leaves the
finding to the eye (subjective).
"""

from __future__ import annotations

import difflib
import math
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from anthropo.errors import InputError
from anthropo.files import read_text
from anthropo.measurement.registry import registry, unavailable
from anthropo.reference.growth import MEASURES
from anthropo.reference.hpo import hpo_release, hpo_terms
from anthropo.reference.tables import checked_lines
from anthropo.showing import brief

OBJECTIVE, SUBJECTIVE = KINDS = ("objective", "subjective")
SIDES = ("mid", "each")  # each: the subject's right and left, called one by one
#: Columns that a table of rules must have; it may also have `supports` and `source`.
COLUMNS = ("hpo_id", "label", "measurement", "rule", "kind", "side")

Verdict = bool | None  # None: the interval reaches across the limit


@dataclass(frozen=True, slots=True)
class Condition:
    """Range that a rule wants one z-score to be in, or out of."""

    low: float
    high: float
    low_in: bool  # whether the limit belongs to the range
    high_in: bool
    outside: bool = False

    def holds(self, z_lo: float, z_hi: float) -> Verdict:
        """Whether a whole interval fulfils it; None if only a part of it does."""
        within = (z_lo > self.low or (self.low_in and z_lo == self.low)) and (
            z_hi < self.high or (self.high_in and z_hi == self.high)
        )
        beyond = (z_hi < self.low or (not self.low_in and z_hi == self.low)) or (
            z_lo > self.high or (not self.high_in and z_lo == self.high)
        )
        if not within and not beyond:
            return None
        return within != self.outside


@dataclass(frozen=True, slots=True)
class Rule:
    """How one HPO term is decided."""

    hpo_id: str
    label: str
    kind: str  # objective: its HPO definition states a number; or subjective
    side: str  # mid, or each
    measurements: tuple[str, ...]  # without _R and _L where it is called for each side
    conditions: tuple[Condition, ...]  # one for each measurement; none where nothing can be measured
    every: bool  # whether all conditions are asked for, or any
    text: str  # the conditions as they are written
    supports: tuple[str, ...] = ()  # measurements that point to the same term and do not decide
    source: str = ""

    def __repr__(self) -> str:
        return brief(self, f"{self.hpo_id} {self.label}", self.kind, self.text)

    def asks(self, measurement: str) -> Condition:
        """The condition for one of its measurements, with or without its side."""
        stem = measurement if self.side == "mid" else measurement.removesuffix("_R").removesuffix("_L")
        return self.conditions[self.measurements.index(stem)]


def read_rules(path: str | os.PathLike[str] | None = None) -> tuple[Rule, ...]:
    """Read and check a table of rules.

    Parameters
    ----------
    path : path, optional
        A CSV with the columns ``hpo_id``, ``label``, ``measurement``, ``rule``, ``kind`` and ``side``, and
        if wanted ``supports`` and ``source``; the packaged table when left out.

    Returns
    -------
    tuple of Rule
        In the order of the table.

    Raises
    ------
    InputError
        Naming the file, line and column that cannot be used: an HPO identifier that is not in the
        release, a label that is not the term's, a measurement that does not exist.

    Notes
    -----
    ``measurement`` names one or several, joined by ``and`` or by ``or``; ``rule`` has one condition for
    all of them, or one for each: ``z < -2``, ``z > 2``, ``|z| > 2``, ``-3 <= z < -2``.

    Examples
    --------
    >>> from anthropo.reference import read_rules
    >>> {rule.label: rule.text for rule in read_rules()}["Telecanthus"]
    'z > 2'
    """
    if path is None:
        return _packaged_rules()
    return _parse(str(path), read_text(Path(path)))


@lru_cache(maxsize=1)
def _packaged_rules() -> tuple[Rule, ...]:
    table = resources.files("anthropo.reference").joinpath("traits.csv")
    return _parse("traits.csv", table.read_text(encoding="utf-8"))


def _parse(name: str, text: str) -> tuple[Rule, ...]:
    rules: dict[str, tuple[int, Rule]] = {}
    for line in checked_lines(name, text, COLUMNS, "A table of rules"):
        rule = _rule(line.where, line.cells)
        if rule.hpo_id in rules:
            where = f"{line.where}, column hpo_id: {rule.hpo_id} is in line {rules[rule.hpo_id][0]} already"
            raise InputError(f"{where}. Keep one row for each term; `or` joins measurements.")
        rules[rule.hpo_id] = (line.number, rule)
    if not rules:
        raise InputError(f"{name}: the table has no rules. Add a row for each term.")
    return tuple(rule for _, rule in rules.values())


def _rule(where: str, cells: dict[str, str]) -> Rule:
    hpo_id, label, text = cells["hpo_id"], cells["label"], cells["rule"]
    known = hpo_terms().get(hpo_id)
    if known is None:
        raise InputError(
            f"{where}, column hpo_id: {hpo_id!r} is not among the terms of HPO {hpo_release()} that come "
            "with anthropo (head, neck, eyes, ears, skin, growth)."
        )
    if label != known:
        raise InputError(f"{where}, column label: {label!r}, but {hpo_id} is called {known!r}.")
    for column, allowed in (("kind", KINDS), ("side", SIDES)):
        if cells[column] not in allowed:
            raise InputError(
                f"{where}, column {column}: {cells[column]!r}. Choose from {', '.join(allowed)}."
            )
    side = cells["side"]
    names, every = _split(where, "measurement", cells["measurement"])
    supports = tuple(cells.get("supports", "").split())
    absent = {u.id for u in unavailable()} - set(MEASURES)
    for column, given in (("measurement", names), ("supports", supports)):
        for name in given:
            if name not in absent:
                _check_measurement(where, column, name, side)
    conditions: tuple[Condition, ...] = ()
    if names and not absent.intersection(names):
        each, _ = _split(where, "rule", text)
        if len(each) not in (1, len(names)):
            raise InputError(
                f"{where}, column rule: {len(each)} conditions for {len(names)} measurements. Give one for "
                "all of them, or one for each."
            )
        read = tuple(_condition(where, one) for one in each)
        conditions = read * len(names) if len(read) == 1 else read
    elif text:
        raise InputError(
            f"{where}, column rule: {text!r}, but there is no measurement that the rule could apply to."
        )
    kind, source = cells["kind"], cells.get("source", "")
    return Rule(hpo_id, label, kind, side, names, conditions, every, text, supports, source)


def _split(where: str, column: str, text: str) -> tuple[tuple[str, ...], bool]:
    """The parts of a cell, and whether `and` joins them."""
    if re.search(r"\sand\s", text) and re.search(r"\sor\s", text):
        raise InputError(f"{where}, column {column}: {text!r} mixes `and` with `or`. Use one of them.")
    parts = tuple(part.strip() for part in re.split(r"\s(?:and|or)\s", text) if part.strip())
    return parts, not re.search(r"\sor\s", text)


def _check_measurement(where: str, column: str, name: str, side: str) -> None:
    known = set(MEASURES) | set(registry()) if side == "mid" else _stems()
    if name in known:
        return
    if side == "mid" and name in _stems():
        fix = f"It is measured on each side: give `each` in the column side, or {name}_R."
    elif side == "each" and (name in registry() or name in MEASURES):
        fix = "It has no sides: give `mid` in the column side."
    else:
        near = difflib.get_close_matches(name, sorted(known), 3) or sorted(known)[:3]
        fix = f"Choose from {', '.join(near)}; docs/atlas.md has all."
    raise InputError(f"{where}, column {column}: {name!r} is not a measurement. {fix}")


def _stems() -> frozenset[str]:
    """Measurements of both sides, without _R and _L."""
    return frozenset(i[:-2] for i, e in registry().items() if e.side == "R" and f"{i[:-2]}_L" in registry())


_NUMBER = r"([-+]?\d+(?:\.\d*)?)"
_ONE = re.compile(rf"z\s*(<=?|>=?)\s*{_NUMBER}")
_TWO = re.compile(rf"{_NUMBER}\s*(<=?)\s*z\s*(<=?)\s*{_NUMBER}")
_APART = re.compile(rf"\|z\|\s*(>=?)\s*{_NUMBER}")


def _condition(where: str, text: str) -> Condition:
    plain = text.replace("−", "-")
    if match := _ONE.fullmatch(plain):
        sign, limit = match[1], float(match[2])
        if sign.startswith("<"):
            return Condition(-math.inf, limit, False, sign == "<=")
        return Condition(limit, math.inf, sign == ">=", False)
    if (match := _TWO.fullmatch(plain)) and float(match[1]) < float(match[4]):
        return Condition(float(match[1]), float(match[4]), match[2] == "<=", match[3] == "<=")
    if match := _APART.fullmatch(plain):
        limit = abs(float(match[2]))
        inner = match[1] == ">"  # the limit itself is not beyond it
        return Condition(-limit, limit, inner, inner, outside=True)
    raise InputError(
        f"{where}, column rule: {text!r} is not a condition. Such are `z < -2`, `z > 2`, `|z| > 2` and "
        "`-3 <= z < -2`."
    )
