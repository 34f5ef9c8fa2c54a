"""z-scores to traits of the Human Phenotype Ontology (HPO): what is present, absent, or open and why.

A subjective term is never called; one whose measurement is unusual is offered as something to look at.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from anthropo.measurement.compute import Measurement, by_id
from anthropo.measurement.registry import registry, unavailable
from anthropo.reference.growth import MEASURES
from anthropo.reference.hpo import ancestors
from anthropo.reference.observed import Observed
from anthropo.reference.rules import OBJECTIVE, SUBJECTIVE, Condition, Rule, Verdict, read_rules
from anthropo.reference.zscore import ZScore, signed
from anthropo.showing import brief, with_interval

STATUSES = ("present", "borderline", "look at", "inconclusive", "absent", "not assessed")
PRESENT, BORDERLINE, LOOK, INCONCLUSIVE, ABSENT, NOT_ASSESSED = STATUSES

#: Of the interval of z that must lie beyond a limit as a whole.
CONFIDENCE = 0.95
#: Why a size that is measured by hand makes no trait.
NOT_GIVEN = "not given"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement under one reference."""

    measurement: str
    value: float  # NaN where there is none
    lo: float  # 95 % interval
    hi: float
    unit: str
    score: ZScore | None  # None if it was not compared with a reference

    def __repr__(self) -> str:
        score = "" if self.score is None else f"z {signed(self.score.z)}"
        return brief(
            self, f"{self.measurement} {with_interval(self.value, self.lo, self.hi)} {self.unit}", score
        )


@dataclass(frozen=True, slots=True)
class Trait:
    """The answer to one term, for one side."""

    rule: Rule
    side: str  # R, L (the subject's own) or mid
    status: str  # one of STATUSES
    evidence: tuple[Evidence, ...]
    supports: tuple[Evidence, ...]  # not part of the decision
    reason: str  # why it is borderline, inconclusive or was not assessed; else empty
    confidence: float = CONFIDENCE  # of the interval that decided
    by_eye: bool = False  # somebody has looked, and says so

    def __repr__(self) -> str:
        side = "" if self.side == "mid" else f" {self.side}"
        return brief(self, f"{self.label}{side} ({self.hpo_id}) {self.status}")

    @property
    def hpo_id(self) -> str:
        """Identifier of the term."""
        return self.rule.hpo_id

    @property
    def label(self) -> str:
        """Name of the term."""
        return self.rule.label


def call_traits(
    measurements: Iterable[Measurement],
    scores: Iterable[ZScore],
    rules: Sequence[Rule] | None = None,
    *,
    confidence: float = CONFIDENCE,
    observed: Observed | None = None,
) -> list[Trait]:
    """Answer every rule from one person's measurements and z-scores.

    Parameters
    ----------
    measurements : iterable of Measurement
        From `anthropo.measure_face`; of what was measured by hand, `Growth.measurement`.
    scores : iterable of ZScore
        From `score`; of what was measured by hand, `Growth.score`.
    rules : sequence of Rule, optional
        From `read_rules`; the packaged rules when left out.
    confidence : float
        Confidence of the interval of z that decides, above 0 and below 1. A lower one finds more traits and
        is wrong more often (docs/benchmarks.md).
    observed : mapping, optional
        Terms that somebody has judged by eye, as `anthropo.reference.read_observed` reads them: present or
        absent as they say.

    Returns
    -------
    list of Trait
        One for each rule and side, in the rules' order, right before left.

    Notes
    -----
    An objective term is present if the whole interval of z fulfils its rule, and absent if no part of it
    does. Else it is borderline if z itself fulfils the rule, and inconclusive if only a part of its interval
    does. Without a z-score and its interval (voided by the photo gate, no row in the
    reference) it is not assessed, unless another measurement of the rule has settled the question. Two
    references that lead to different answers make it borderline or inconclusive, and so do two groups of
    ancestry where it is not known which one the person is of. Borderline is also a term whose rule is
    fulfilled by measurements of low reliability alone (`anthropo.measurement.Entry.unreliable`). Right and
    left are never averaged.
    A term that another one is a kind of is not absent unless the other one is: see `consistent`.

    References
    ----------
    .. [1] J. E. Allanson et al., "Elements of morphology: introduction", American Journal of Medical
       Genetics A 149A (2009) 2-5 (limits at 2 SD).

    Examples
    --------
    >>> from anthropo.reference import grow
    >>> head = grow("head_circumference", 44, sex="female", age=(4.0, 4.0))
    >>> [t.label for t in call_traits([head.measurement], [head.score]) if t.status == "present"]
    ['Microcephaly']
    """
    values, scores_of = by_id(measurements), by_id(scores)
    return consistent(
        _judged_by_eye(_call(rule, side, values, scores_of, confidence), observed or {})
        for rule in (read_rules() if rules is None else rules)
        for side in (("R", "L") if rule.side == "each" else ("mid",))
    )


def _judged_by_eye(trait: Trait, observed: Observed) -> Trait:
    """The trait as somebody has seen it; as it was called where nobody has looked."""
    seen = observed.get((trait.hpo_id, trait.side))
    if seen is None:
        return trait
    return replace(trait, status=PRESENT if seen else ABSENT, reason="judged by eye", by_eye=True)


def consistent(traits: Iterable[Trait]) -> list[Trait]:
    """The traits without contradictions of the ontology: who has one kind of a term has the term.

    A term that is absent by its own rule becomes borderline if a kind of it is present or borderline (on the
    same side), inconclusive if one is so, and not assessed if a kind of it should have been measured and was
    not.
    """
    traits = list(traits)
    while (doubted := _doubted_once(traits)) != traits:  # what is doubted may be a kind of something else
        traits = doubted
    return traits


def _doubted_once(traits: list[Trait]) -> list[Trait]:
    kinds: defaultdict[str, list[Trait]] = defaultdict(list)
    for trait in traits:
        unmeasured = trait.status == NOT_ASSESSED and trait.rule.kind == OBJECTIVE and trait.rule.conditions
        if trait.status in (PRESENT, BORDERLINE, LOOK, INCONCLUSIVE) or unmeasured:
            for term in ancestors(trait.hpo_id):
                kinds[term].append(trait)
    return [_doubted(t, kinds[t.hpo_id]) if t.status == ABSENT and not t.by_eye else t for t in traits]


def _doubted(absent: Trait, kinds: Iterable[Trait]) -> Trait:
    """A term that is absent by its own rule, in the light of its kinds that are not."""
    same = [t for t in kinds if t.side == absent.side or "mid" in (t.side, absent.side)]
    if not same:
        return absent
    worst = min(same, key=lambda t: STATUSES.index(t.status))
    reason = f"by its own rule it is absent, but {worst.label}, which is a kind of it, is {worst.status}"
    status = worst.status if worst.status in (INCONCLUSIVE, NOT_ASSESSED) else BORDERLINE
    return replace(absent, status=status, reason=reason.replace(f"is {LOOK}", "is to be looked at"))


def _call(
    rule: Rule,
    side: str,
    values: Mapping[str, list[Measurement]],
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
    asked: list[str] = []
    missing = ""
    for name, condition in zip(ids, rule.conditions, strict=True):
        usable = [s for s in scores.get(name, []) if _usable(s)]
        if usable:
            asked.append(name)
            whole.append(_one({_verdict(condition, s, confidence) for s in usable}))
            best.append(_one({condition.holds(s.z, s.z) for s in usable}))
        else:
            missing = missing or f"{name}: {_why_missing(name, scores.get(name, []))}"
    # a subjective term is only offered, so that the best guess will do
    verdicts = whole if rule.kind == OBJECTIVE else best
    if missing and (not rule.every) not in verdicts:
        return Trait(rule, side, NOT_ASSESSED, evidence, supports, missing, confidence=confidence)
    answer = _joined(verdicts, rule.every)
    doubt = _unreliable([name for name, holds in zip(asked, verdicts, strict=True) if holds])
    if rule.kind == SUBJECTIVE:
        why = f"needs the eye; {doubt}" if answer and doubt else "needs the eye; measured, it is not unusual"
        status, reason = (LOOK, "") if answer and not doubt else (NOT_ASSESSED, why)
    elif answer and doubt:
        status, reason = BORDERLINE, doubt
    elif answer is None:
        # None where references disagree on z itself
        status = INCONCLUSIVE if _joined(best, rule.every) is False else BORDERLINE
        reason = _why_open(rule, evidence, confidence)
    else:
        status, reason = PRESENT if answer else ABSENT, ""
    return Trait(rule, side, status, evidence, supports, reason, confidence)


def _verdict(condition: Condition, score: ZScore, confidence: float) -> Verdict:
    """What a score says; None as well where its value would be called otherwise in some group of ancestry."""
    answer = condition.holds(*interval(score, confidence))
    groups = {condition.holds(z, z) for z in score.by_group.values()}
    return None if answer is not None and (not answer) in groups else answer


def interval(score: ZScore, confidence: float) -> tuple[float, float]:
    """The whole interval of z: that of 95 %, made narrower or wider as a normal distribution would be."""
    low, high = score.whole
    if confidence == CONFIDENCE:
        return low, high
    share = NormalDist().inv_cdf((1 + confidence) / 2) / NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return score.z - share * (score.z - low), score.z + share * (high - score.z)


def z_words(z: ZScore | None, confidence: float = CONFIDENCE) -> str:
    """z with its whole interval, whose confidence is named when it is not 95 %."""
    if z is None or math.isnan(z.z):
        return "–"
    known = not math.isnan(z.z_lo) and z.z_lo < z.z_hi
    lo, hi = interval(z, confidence)
    named = "" if confidence == CONFIDENCE else f"{100 * confidence:g} %: "
    return signed(z.z) + (f" ({named}{signed(lo)} to {signed(hi)})" if known else "")


def _one(verdicts: set[Verdict]) -> Verdict:
    """The verdict that all references share; None if they differ."""
    return verdicts.pop() if len(verdicts) == 1 else None


def _joined(verdicts: Sequence[Verdict], every: bool) -> Verdict:
    """Several conditions as one: a single one that fails settles `and`, one that holds settles `or`."""
    if (not every) in verdicts:
        return not every
    return None if None in verdicts else every


def _sided(names: Sequence[str], side: str) -> list[str]:
    return list(names) if side == "mid" else [f"{name}_{side}" for name in names]


def _evidence(
    name: str, values: Mapping[str, list[Measurement]], scores: Mapping[str, list[ZScore]]
) -> list[Evidence]:
    """A measurement under each reference; once without a score where no reference has it."""
    measured = values.get(name, [])
    if not measured:
        return []
    # without a unit the reference has no row for it
    scored: list[ZScore | None] = [score for score in scores.get(name, []) if score.unit]
    evidence = []
    for score in scored or [None]:
        value = next((v for v in measured if score and v.unit == score.unit), measured[0])
        evidence.append(Evidence(name, value.value, value.lo, value.hi, value.unit, score))
    return evidence


def _usable(score: ZScore | None) -> bool:
    """Whether a score has an interval, and is not of a value that was kept although the gate voids it."""
    return score is not None and not score.reason and math.isfinite(score.z_lo) and math.isfinite(score.z_hi)


def _why_missing(name: str, scores: Sequence[ZScore]) -> str:
    if not scores:
        if name in MEASURES:
            return NOT_GIVEN
        return "no z-score: sex and age are needed"
    # a reference that has the measurement says more of it than one that does not
    return min(scores, key=lambda s: s.n == 0).reason or "its z-score has no interval"


def _never(rule: Rule) -> str:
    """Why a term is never assessed."""
    reasons = {u.id: u.reason for u in unavailable()}
    for name in rule.measurements:
        if name in reasons:
            return reasons[name]
    return "needs the eye" if rule.kind == SUBJECTIVE else "not measured in a frontal photo"


def _unreliable(names: Sequence[str]) -> str:
    """Why these measurements do not make a trait by themselves; empty if one of them does."""
    known = [registry().get(name) for name in names]
    if not all(entry is not None and not entry.decides for entry in known):
        return ""
    unknown = "low or unknown" if any(e and math.isnan(e.reliability) for e in known) else "low"
    values = ", ".join(
        f"{entry.id} {'unknown' if math.isnan(entry.reliability) else f'{entry.reliability:.2f}'}"
        for entry in known
        if entry
    )
    return f"no trait is called by measurements of {unknown} reliability alone ({values})" if values else ""


def _why_open(rule: Rule, evidence: Sequence[Evidence], confidence: float) -> str:
    verdicts: defaultdict[str, set[Verdict]] = defaultdict(set)
    for e in evidence:
        if e.score is not None and _usable(e.score):
            verdicts[e.measurement].add(rule.asks(e.measurement).holds(*interval(e.score, confidence)))
    if any({True, False} <= several for several in verdicts.values()):
        return "references disagree"
    for e in evidence:
        if e.score and _usable(e.score) and verdicts[e.measurement] <= {True, False}:
            asks = rule.asks(e.measurement)
            other = [
                g for g, z in e.score.by_group.items() if asks.holds(z, z) not in verdicts[e.measurement]
            ]
            if other:
                return (
                    f"groups of ancestry disagree: {e.measurement} would be called otherwise as "
                    f"{' or '.join(other)}, and ancestry is not known"
                )
    return f"the interval reaches across the limit ({rule.text})"
