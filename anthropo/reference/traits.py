"""z-scores to traits of the Human Phenotype Ontology (HPO): present, absent, borderline or not assessed.

The rules are data. traits.csv has a row for each term: the measurements that its HPO definition names,
the z-scores that it asks for, and whether the definition states a number (objective) or leaves the
finding to the eye (subjective). A subjective term is never called; one whose measurement is unusual is
offered as something to look at. hpo.csv has the identifiers and labels of an HPO release: head, neck,
eyes, ears, skin and growth.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from statistics import NormalDist

from anthropo.errors import InputError
from anthropo.files import read_text
from anthropo.measurement.registry import registry, unavailable
from anthropo.reference.growth import MEASURES
from anthropo.reference.zscore import Value, ZScore

PRESENT, BORDERLINE, LOOK, ABSENT, NOT_ASSESSED = STATUSES = (
    "present",
    "borderline",
    "look at",
    "absent",
    "not assessed",
)
OBJECTIVE, SUBJECTIVE = KINDS = ("objective", "subjective")
SIDES = ("mid", "each")  # each: the subject's right and left, called one by one
COLUMNS = ("hpo_id", "label", "measurement", "rule", "kind", "side")
#: Columns that a table of rules may lack.
OPTIONAL_COLUMNS = ("supports", "source")

#: Of the interval of z that must lie beyond a limit as a whole.
CONFIDENCE = 0.95

Verdict = bool | None  # None: the interval reaches across the limit


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule asks of one z-score: a range that it must be in, or out of."""

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
    """How one HPO term is called."""

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

    def asks(self, measurement: str) -> Condition:
        """The condition for one of its measurements, with or without its side."""
        stem = measurement if self.side == "mid" else measurement.removesuffix("_R").removesuffix("_L")
        return self.conditions[self.measurements.index(stem)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement under one reference."""

    measurement: str
    value: float  # NaN where there is none
    lo: float  # 95 % interval
    hi: float
    unit: str
    score: ZScore | None  # None if it was not compared with a reference


@dataclass(frozen=True, slots=True)
class Trait:
    """The answer to one term, for one side."""

    rule: Rule
    side: str  # R, L (the subject's own) or mid
    status: str  # one of STATUSES
    evidence: tuple[Evidence, ...]
    supports: tuple[Evidence, ...]  # not part of the decision
    reason: str  # why it is borderline or was not assessed; else empty
    leans: bool = False  # borderline, and z itself fulfils the rule
    confidence: float = CONFIDENCE  # of the interval that decided

    @property
    def hpo_id(self) -> str:
        """Of the term."""
        return self.rule.hpo_id

    @property
    def label(self) -> str:
        """Of the term."""
        return self.rule.label


# -------------------------------------------------------------------------------------- calls


def call_traits(
    measurements: Iterable[Value],
    scores: Iterable[ZScore],
    rules: Sequence[Rule] | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> list[Trait]:
    """Answer every rule from one person's measurements and z-scores.

    Parameters
    ----------
    measurements : iterable of Value
        As from `anthropo.measurement.compute.measure_face`, and `Growth.measurement` of whatever was
        measured by hand.
    scores : iterable of ZScore
        As from `anthropo.reference.zscore.score`, and `Growth.score`.
    rules : sequence of Rule, optional
        The packaged ones when left out.
    confidence : float
        Of the interval of z that decides, above 0 and below 1. Less finds more, and is wrong more often
        (docs/benchmarks.md).

    Returns
    -------
    list of Trait
        In the rules' order, right before left.

    Notes
    -----
    An objective term is present if the whole interval of z fulfils its rule, absent if no part of
    it does, else borderline. Without a z-score and its interval (voided by the photo gate, no row in the
    reference) it is not assessed, unless another measurement of the rule has settled the question. Two
    references that lead to different answers make it borderline. Right and left are never averaged.
    """
    values: dict[str, list[Value]] = {}
    for value in measurements:
        values.setdefault(value.id, []).append(value)
    by_id: dict[str, list[ZScore]] = {}
    for one in scores:
        by_id.setdefault(one.id, []).append(one)
    chosen = read_rules() if rules is None else rules
    return [
        _call(rule, side, values, by_id, confidence)
        for rule in chosen
        for side in (("R", "L") if rule.side == "each" else ("mid",))
    ]


def _call(
    rule: Rule,
    side: str,
    values: Mapping[str, list[Value]],
    scores: Mapping[str, list[ZScore]],
    confidence: float,
) -> Trait:
    ids = _sided(rule.measurements, side)
    evidence = tuple(e for i in ids for e in _evidence(i, values, scores))
    supports = tuple(
        e for i in _sided(rule.supports, side) for e in _evidence(i, values, scores) if _usable(e.score)
    )
    if not rule.conditions:
        return Trait(rule, side, NOT_ASSESSED, evidence, supports, _never(rule), confidence=confidence)
    whole: list[Verdict] = []  # what the intervals say
    best: list[Verdict] = []  # what z itself says
    missing = ""
    for name, condition in zip(ids, rule.conditions, strict=True):
        own = scores.get(name, [])
        usable = [s for s in own if _usable(s)]
        if usable:
            whole.append(_one({condition.holds(*interval(s, confidence)) for s in usable}))
            best.append(_one({condition.holds(s.z, s.z) for s in usable}))
        else:
            missing = missing or f"{name}: {_why_missing(name, own)}"
    # a subjective term is only offered, so that the best guess will do
    said = whole if rule.kind == OBJECTIVE else best
    if missing and (not rule.every) not in said:
        return Trait(rule, side, NOT_ASSESSED, evidence, supports, missing, confidence=confidence)
    answer = _joined(said, rule.every)
    if rule.kind == SUBJECTIVE:
        status, reason = (
            (LOOK, "") if answer else (NOT_ASSESSED, "needs the eye; measured, it is not unusual")
        )
    elif answer is None:
        status, reason = BORDERLINE, _why_borderline(rule, evidence, confidence)
    else:
        status, reason = PRESENT if answer else ABSENT, ""
    leans = status == BORDERLINE and _joined(best, rule.every) is True
    return Trait(rule, side, status, evidence, supports, reason, leans, confidence)


def interval(score: ZScore, confidence: float) -> tuple[float, float]:
    """The interval of z: its 95 % one, narrowed or widened on each side as a normal distribution would be."""
    if confidence == CONFIDENCE:
        return score.z_lo, score.z_hi
    share = NormalDist().inv_cdf((1 + confidence) / 2) / NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return score.z - share * (score.z - score.z_lo), score.z + share * (score.z_hi - score.z)


def _one(said: set[Verdict]) -> Verdict:
    """What references say together: nothing if they differ."""
    return said.pop() if len(said) == 1 else None


def _joined(said: Sequence[Verdict], every: bool) -> Verdict:
    """Several conditions as one: a single one that fails settles `and`, one that holds settles `or`."""
    if (not every) in said:
        return not every
    return None if None in said else every


def _sided(names: Sequence[str], side: str) -> list[str]:
    return list(names) if side == "mid" else [f"{name}_{side}" for name in names]


def _evidence(
    name: str, values: Mapping[str, list[Value]], scores: Mapping[str, list[ZScore]]
) -> list[Evidence]:
    """A measurement under each reference; once without a score where there is none."""
    measured = values.get(name, [])
    if not measured:
        return []
    found: list[Evidence] = []
    for score in scores.get(name, []):
        value = next((v for v in measured if v.unit == score.unit), measured[0])
        if score.unit:  # else the reference has no row for it
            found.append(Evidence(name, value.value, value.lo, value.hi, value.unit, score))
    first = measured[0]
    return found or [Evidence(name, first.value, first.lo, first.hi, first.unit, None)]


def _usable(score: ZScore | None) -> bool:
    """Whether a score has an interval, and is not of a value that the photo gate voids (`--force`)."""
    return score is not None and not score.reason and math.isfinite(score.z_lo) and math.isfinite(score.z_hi)


def _why_missing(name: str, scores: Sequence[ZScore]) -> str:
    if not scores:
        if name in MEASURES:
            return f"not given: {MEASURES[name].option}"
        return "no z-score: sex and age are needed"
    # a reference that has the measurement says more of it than one that has not
    told = sorted(scores, key=lambda s: s.n == 0)[0]
    return told.reason or "its z-score has no interval"


def _never(rule: Rule) -> str:
    """Why a term is never assessed."""
    reasons = {u.id: u.reason for u in unavailable()}
    for name in rule.measurements:
        if name in reasons:
            return reasons[name]
    return "needs the eye" if rule.kind == SUBJECTIVE else "not measured in a frontal photograph"


def _why_borderline(rule: Rule, evidence: Sequence[Evidence], confidence: float) -> str:
    by_id: dict[str, set[Verdict]] = {}
    for e in evidence:
        if e.score is not None and _usable(e.score):
            said = rule.asks(e.measurement).holds(*interval(e.score, confidence))
            by_id.setdefault(e.measurement, set()).add(said)
    if any({True, False} <= said for said in by_id.values()):
        return "references disagree"
    return f"the interval reaches across the limit ({rule.text})"


# -------------------------------------------------------------------------------------- rules


@lru_cache(maxsize=1)
def hpo_terms() -> dict[str, str]:
    """Labels by identifier, of the release `hpo_release`."""
    return {row["hpo_id"]: row["label"] for row in _packaged("hpo.csv")}


@lru_cache(maxsize=1)
def hpo_release() -> str:
    """The HPO release whose terms are shipped, by its date."""
    return _packaged("hpo.csv")[0]["release"]


def _packaged(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(_text(name))))


def _text(name: str) -> str:
    return resources.files("anthropo.reference").joinpath(name).read_text(encoding="utf-8")


def read_rules(path: str | os.PathLike[str] | None = None) -> tuple[Rule, ...]:
    """Read and check a table of rules.

    Parameters
    ----------
    path : path, optional
        A CSV with the columns of `COLUMNS`; the packaged table when left out.

    Raises
    ------
    InputError
        Naming the file, line and column that cannot be used: an HPO identifier that is not in the
        release, a label that is not the term's, a measurement that does not exist.

    Notes
    -----
    ``measurement`` names one or several, joined by ``and`` or by ``or``; ``rule`` has one condition for
    all of them, or one for each: ``z < -2``, ``z > 2``, ``|z| > 2``, ``-3 <= z < -2``.
    """
    if path is None:
        return _packaged_rules()
    return _parse(str(path), read_text(Path(path)))


@lru_cache(maxsize=1)
def _packaged_rules() -> tuple[Rule, ...]:
    return _parse("traits.csv", _text("traits.csv"))


def _parse(name: str, text: str) -> tuple[Rule, ...]:
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [cell.strip() for cell in next(lines, [])]
        missing = [column for column in COLUMNS if column not in header]
        if missing:
            raise InputError(
                f"{name}, line 1: no column {', '.join(missing)}; its columns are "
                f"{', '.join(filter(None, header)) or 'none'}. A table of rules needs {', '.join(COLUMNS)}."
            )
        rules: dict[str, tuple[int, Rule]] = {}
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{name}, line {lines.line_num}"
            if len(cells) != len(header):
                raise InputError(
                    f"{where}: {len(cells)} cells where the header has {len(header)}. Quote cells that "
                    "contain a comma."
                )
            rule = _rule(where, {k: c.strip() for k, c in zip(header, cells, strict=True)})
            if rule.hpo_id in rules:
                raise InputError(
                    f"{where}, column hpo_id: {rule.hpo_id} is in line {rules[rule.hpo_id][0]} already. Keep "
                    "one row for each term; `or` joins measurements."
                )
            rules[rule.hpo_id] = (lines.line_num, rule)
    except csv.Error as error:
        raise InputError(f"{name}: not a readable CSV ({error}).") from None
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
            f"{where}, column rule: {text!r}, but there is nothing measured that it could ask of."
        )
    return Rule(
        hpo_id, label, cells["kind"], side, names, conditions, every, text, supports, cells.get("source", "")
    )  # fmt: skip


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


@lru_cache(maxsize=1)
def _stems() -> frozenset[str]:
    """What is measured on both sides, without _R and _L."""
    return frozenset(i[:-2] for i, e in registry().items() if e.side == "R" and f"{i[:-2]}_L" in registry())


_NUMBER = r"([-+]?\d+(?:\.\d*)?)"
_ONE = re.compile(rf"z\s*(<=?|>=?)\s*{_NUMBER}")
_TWO = re.compile(rf"{_NUMBER}\s*(<=?)\s*z\s*(<=?)\s*{_NUMBER}")
_APART = re.compile(rf"\|z\|\s*(>=?)\s*{_NUMBER}")


def _condition(where: str, text: str) -> Condition:
    plain = text.replace("−", "-")
    if found := _ONE.fullmatch(plain):
        sign, limit = found[1], float(found[2])
        if sign.startswith("<"):
            return Condition(-math.inf, limit, False, sign == "<=")
        return Condition(limit, math.inf, sign == ">=", False)
    if (found := _TWO.fullmatch(plain)) and float(found[1]) < float(found[4]):
        return Condition(float(found[1]), float(found[4]), found[2] == "<=", found[3] == "<=")
    if found := _APART.fullmatch(plain):
        limit = abs(float(found[2]))
        inner = found[1] == ">"  # the limit itself is not beyond it
        return Condition(-limit, limit, inner, inner, outside=True)
    raise InputError(
        f"{where}, column rule: {text!r} is not a condition. Such are `z < -2`, `z > 2`, `|z| > 2` and "
        "`-3 <= z < -2`."
    )
