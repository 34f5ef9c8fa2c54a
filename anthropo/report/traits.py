"""Traits in words, for a terminal and for pages."""

from __future__ import annotations

import math

from anthropo.reference.rules import Rule
from anthropo.reference.traits import (
    BORDERLINE,
    CONFIDENCE,
    LOOK,
    NOT_ASSESSED,
    PRESENT,
    Evidence,
    Trait,
    interval,
)
from anthropo.reference.zscore import ZScore
from anthropo.report.tables import number


def worth_a_line(trait: Trait) -> bool:
    """Not what is borderline only because a healthy value has a wide interval."""
    return trait.status != BORDERLINE or trait.leans


def evidence_words(trait: Trait) -> str:
    """The evidence of one trait on a line."""
    parts = []
    for e in trait.evidence:
        if trait.status == NOT_ASSESSED:
            break
        if e.score is not None and not (trait.status == LOOK and _usual(trait.rule, e)):
            grade = f" ({e.score.grade})" if e.score.grade else ""
            value = f"{number(None if math.isnan(e.value) else e.value, e.unit)} {e.unit}".removesuffix(" 1")
            words = z_words(e.score, trait.confidence)
            parts.append(f"{e.measurement} {value}, z {words}, {e.score.reference}{grade}")
    if trait.reason and (not parts or trait.reason.startswith("references")):
        parts.append(trait.reason)
    if trait.status in (PRESENT, BORDERLINE) and trait.supports:
        parts.append("also " + ", ".join(f"{e.measurement} {z_words(e.score)}" for e in trait.supports))
    return "; ".join(parts)


def _usual(rule: Rule, e: Evidence) -> bool:
    """Whether a measurement is not what a rule of several asks for."""
    return e.score is None or not rule.asks(e.measurement).holds(e.score.z, e.score.z)


def z_words(z: ZScore | None, confidence: float = CONFIDENCE) -> str:
    """z with its interval, which is named when it is not the 95 % one."""
    if z is None or math.isnan(z.z):
        return "–"
    known = not math.isnan(z.z_lo) and z.z_lo < z.z_hi
    lo, hi = interval(z, confidence)
    named = "" if confidence == CONFIDENCE else f"{100 * confidence:g} %: "
    between = f" ({named}{lo:+.1f} to {hi:+.1f})" if known else ""
    return f"{z.z:+.1f}{between}".replace("-", "−")
