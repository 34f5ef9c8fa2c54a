"""Measurements to z-scores, each with its interval and the name of its reference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

from anthropo.measurement.compute import Z95, Measurement, by_id
from anthropo.measurement.registry import NEEDS_MM
from anthropo.plain import minus
from anthropo.reference.person import UNKNOWN
from anthropo.reference.tables import Reference, ReferenceRow
from anthropo.showing import brief, with_interval

LIMIT = 2.0  # beyond ±2 a measurement counts as unusual (Elements of Morphology, Allanson 2009)

#: Which error of a value an interval holds. That of a z holds the first where anthropo measured the
#: reference's people as well.
REPEATABILITY, ACCURACY = "repeatability", "accuracy"


@dataclass(frozen=True, slots=True)
class ZScore:
    """One measurement against one reference. A score that cannot be computed is NaN, with the reason."""

    id: str
    reference: str  # its name
    grade: str  # of the reference's row; empty without one
    z: float
    z_lo: float  # 95 % interval
    z_hi: float
    n: int  # people in the reference's row; 0 without one
    mean: float  # of the reference, in its unit
    sd: float
    reason: str  # empty, or why there is no score or no interval
    unit: str = ""  # of mean and sd, and of the value that was scored; empty without a row
    interval: str = ""  # which error of the value it holds, REPEATABILITY or ACCURACY; empty without a row
    reference_sd: float = 0.0  # SD of z by the few people of the reference, where the interval lacks it
    ancestry: str = ""  # the reference's group, UNKNOWN where all are mixed; empty: it has none
    by_group: Mapping[str, float] = field(default_factory=dict)  # z in each group, where all are mixed

    def __repr__(self) -> str:
        if math.isnan(self.z):
            return brief(self, f"{self.id}: none", self.reason)
        return brief(self, f"{self.id} {with_interval(self.z, self.z_lo, self.z_hi, '+')}", self.reference)

    @property
    def how(self) -> str:
        """Grade and group of what it was compared with: ``"grade B, ancestry unknown"``; empty without."""
        words = (
            f"grade {self.grade}" if self.grade else "",
            f"ancestry {self.ancestry}" if self.ancestry else "",
        )
        return ", ".join(filter(None, words))

    @property
    def whole(self) -> tuple[float, float]:
        """The 95 % interval with the reference's own error, which decides what is beyond a limit."""
        more = Z95 * self.reference_sd
        return self.z - math.hypot(self.z - self.z_lo, more), self.z + math.hypot(self.z_hi - self.z, more)


def score(
    measurements: Iterable[Measurement],
    references: Sequence[Reference],
    *,
    sex: str | None,
    age: float | None,
    ancestry: str | None = None,
) -> list[ZScore]:
    """Compare measurements with references.

    Parameters
    ----------
    measurements : iterable of Measurement
        One measurement may come in several units (of the outer-canthal distance and in mm): each
        reference takes the one that is in its unit.
    references : sequence of Reference
        From `load_reference`.
    sex : {"female", "male"} or None
        None if unknown: then only rows for both sexes apply.
    age : float or None
        Years.
    ancestry : str, optional
        Name of a group of the reference; None or "unknown": all groups mixed. Tables without groups ignore
        it. A name that is no group counts as unknown.

    Returns
    -------
    list of ZScore
        One for each measurement and reference, measurements first.

    Notes
    -----
    ``z = (value - mean) / s`` with ``s² = sd² (1 + 1/n) + error_sd²``: s is how far a healthy person whom
    anthropo measures is from the mean of n others [2]_; a reference of 25 people makes that 2 % more
    than their SD, and photographs scatter more than a caliper. The SD of a reference of curves is that of
    people without the error of photographs, and s² has the repeatability of this photo on top; there z is
    also made normal by the curve's skewness (`anthropo.reference.curves.standardise`).

    Where anthropo measured the reference's people as well, the error against hands is in none of both: the
    interval is the value's repeatability, and holds the z of other photos of the person under the same
    reference. Under norms of callipers it adds in quadrature, as parts of s: the value's accuracy (below and
    above separately), error_sd, and the error of the reference: that of its mean, ``sd / sqrt(n)``, and of
    its SD, ``sd / sqrt(2 (n - 1))``, which counts in proportion to z. `ZScore.whole` is an interval with the
    reference's error in either case.

    References
    ----------
    .. [1] S. Ahn, J. A. Fessler, "Standard errors of mean, variance, and standard deviation estimators",
       University of Michigan technical report, 2003 (the two standard errors).
    .. [2] J. R. Crawford, D. C. Howell, "Comparing an individual's test score against norms derived
       from small samples", The Clinical Neuropsychologist 12 (1998) 482-486.

    Examples
    --------
    >>> from anthropo import Measurement
    >>> from anthropo.reference import load_reference, score
    >>> width = Measurement("intercanthal_width", 0.42, 0.39, 0.45, "ex-ex", "mid", "", repeat_sd=0.005)
    >>> (z,) = score([width], [load_reference()], sex="female", age=31)
    >>> print(f"{z.z:.1f} ({z.z_lo:.1f} to {z.z_hi:.1f}), {z.reference}, grade {z.grade}, n = {z.n}")
    2.1 (1.5 to 2.6), frl-adults, grade A, n = 25
    """
    groups = by_id(measurements).values()
    return [_score(values, reference, sex, age, ancestry) for values in groups for reference in references]


def _score(
    values: list[Measurement], reference: Reference, sex: str | None, age: float | None, ancestry: str | None
) -> ZScore:
    name = values[0].id
    group = group_named(reference, ancestry)
    row, why = reference.choose(name, sex, age, group)
    given = next((v for v in values if row is not None and v.unit == row.unit), values[0])
    nan = math.nan
    if row is None:
        reason = given.reason if math.isnan(given.value) and given.reason else why
        return ZScore(name, reference.name, "", nan, nan, nan, 0, nan, nan, reason)
    z = low = high = few = nan
    by_group: dict[str, float] = {}
    if math.isnan(given.value):
        reason = given.reason or "the measurement has no value"
    elif given.unit != row.unit:
        if row.unit == "mm":
            reason = f"{reference.name} {NEEDS_MM}"
        else:
            reason = f"{reference.name} is in {row.unit}, the value in {given.unit}"
    else:
        z, low, high, few = _standardise(given, row)
        reason = given.reason
        if group is None and age is not None:
            of_groups = reference.by_group(name, sex, age)
            by_group = {one: _unit_of_z(given, of_group)[0] for one, of_group in of_groups.items()}
    return ZScore(
        name, reference.name, row.grade, z, low, high, row.n, row.mean, row.sd, reason, row.unit,
        REPEATABILITY if _repeated(given, row) else ACCURACY, few,
        (group or UNKNOWN) if reference.groups else "", by_group,
    )  # fmt: skip


def group_named(reference: Reference, ancestry: str | None) -> str | None:
    """The group of a reference that an ancestry names, in any case of its letters; None if it is none."""
    known = {group.casefold(): group for group in reference.groups}
    return known.get((ancestry or "").strip().casefold())


def _repeated(given: Measurement, row: ReferenceRow) -> bool:
    """Whether a z has the error of repeating; a value that does not say it has that against hands."""
    return row.same_instrument and (math.isnan(given.value) or not math.isnan(given.repeat_sd))


def _standardise(given: Measurement, row: ReferenceRow) -> tuple[float, float, float, float]:
    """z, its 95 % interval, and the SD of the reference that this lacks."""
    z, spread = _unit_of_z(given, row, normal=False)
    variance = spread**2
    repeated = _repeated(given, row)
    few = (row.error_sd**2 + row.sd**2 / row.n) / variance
    few += (z * row.sd**2 / variance) ** 2 / (2 * (row.n - 1))
    if repeated:
        below = above = Z95 * given.repeat_sd / spread
        lacking = math.sqrt(few)
    else:
        sides = (given.value - given.lo, given.hi - given.value)
        below, above = (math.sqrt((side / spread) ** 2 + Z95**2 * few) for side in sides)
        lacking = 0.0
    if row.skew:
        from anthropo.reference.curves import standardise

        z, low, high = (standardise(x, row.skew) for x in (z, z - below, z + above))
        return z, low, high, lacking
    return z, z - below, z + above, lacking


def _unit_of_z(given: Measurement, row: ReferenceRow, *, normal: bool = True) -> tuple[float, float]:
    """z, made normal by the row's skewness or not, and what it is counted in."""
    variance = row.sd**2 * (1 + 1 / row.n) + row.error_sd**2
    if row.of_people and _repeated(given, row):
        variance += given.repeat_sd**2
    spread = math.sqrt(variance)
    z = (given.value - row.mean) / spread
    if normal and row.skew:
        from anthropo.reference.curves import standardise

        z = standardise(z, row.skew)
    return z, spread


@dataclass(frozen=True, slots=True)
class Chance:
    """How many z-scores under one reference lie beyond ±2, and how many would in a healthy person."""

    reference: str
    scored: int  # measurements with a z
    beyond: int  # of these beyond ±2
    expected: float  # of a healthy person, on average

    def sentence(self) -> str:
        """Both numbers in words."""
        return (
            f"{self.beyond} of {self.scored} z-scores under {self.reference} lie beyond ±{LIMIT:g}. By "
            f"chance {self.expected:.1f} do in a healthy person, on average: fewer in most, many more in "
            "some, since measurements are related."
        )


def by_chance(zscores: Iterable[ZScore]) -> list[Chance]:
    """How many z-scores lie beyond ±2 under each reference, and how many would by chance alone.

    Parameters
    ----------
    zscores : iterable of ZScore
        Of one person.

    Returns
    -------
    list of Chance
        One for each reference that has scored something.

    Notes
    -----
    A healthy person's z under a reference of n people is distributed as Student's t with n - 1 degrees of
    freedom: 4.6 % lie beyond ±2 of a large reference, 5.7 % of one of 25 people. Related measurements do not
    change the mean, but how much people differ in this number.

    Examples
    --------
    >>> from anthropo import Measurement
    >>> from anthropo.reference import by_chance, load_reference, score
    >>> width = Measurement("intercanthal_width", 0.42, 0.41, 0.43, "ex-ex", "mid", "")
    >>> (chance,) = by_chance(score([width], [load_reference()], sex="female", age=31))
    >>> chance.scored, chance.beyond, round(chance.expected, 3)
    (1, 1, 0.057)
    """
    known = [z for z in zscores if not math.isnan(z.z)]
    by_reference: Mapping[str, list[ZScore]] = {
        name: [z for z in known if z.reference == name] for name in dict.fromkeys(z.reference for z in known)
    }
    return [
        Chance(name, len(of), sum(_side(z.z) != 0 for z in of), sum(beyond_t(LIMIT, z.n - 1) for z in of))
        for name, of in by_reference.items()
    ]


@lru_cache(maxsize=4096)
def beyond_t(limit: float, freedom: int) -> float:
    """Share of Student's t beyond ±limit; of the normal distribution from 1000 degrees of freedom on.

    The finite sums of Abramowitz & Stegun, "Handbook of mathematical functions" (1964), 26.7.3 and 26.7.4:
    scipy.stats takes longer to import than a photo to be measured.

    Examples
    --------
    >>> f"{beyond_t(2.0, 24):.4f} {beyond_t(2.0, 10**6):.4f}"
    '0.0569 0.0455'
    """
    if not 1 <= freedom < 1000:  # also what was measured by hand, whose charts count nobody
        return math.erfc(limit / math.sqrt(2))
    angle = math.atan2(limit, math.sqrt(freedom))
    cos2, odd = math.cos(angle) ** 2, freedom % 2
    term = total = math.cos(angle) if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cos2 * (k - 1) / k
        total += term
    if odd:
        return 1 - 2 / math.pi * (angle + (math.sin(angle) * total if freedom > 1 else 0.0))
    return 1 - math.sin(angle) * total


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two references that contradict each other in one measurement."""

    first: ZScore
    second: ZScore
    apart: bool  # their 95 % intervals, with the error of either reference, do not overlap
    sides: bool  # they lie on different sides of +2 or of −2

    @property
    def id(self) -> str:
        """The measurement."""
        return self.first.id

    def sentence(self) -> str:
        """The contradiction as one sentence, with both numbers."""
        both = " against ".join(
            f"z {signed(s.z)} ({signed(low)} to {signed(high)}) by {s.reference}, {s.how},"
            for s, (low, high) in ((s, s.whole) for s in (self.first, self.second))
        )
        why = ["their intervals do not overlap"] * self.apart
        why += ["only one of them is within ±2" if self._one_within else "they differ in sign"] * self.sides
        return f"{self.id}: references disagree: {both} and {' and '.join(why)}."

    @property
    def _one_within(self) -> bool:
        return _side(self.first.z) * _side(self.second.z) == 0


def disagreement(zscores: Iterable[ZScore]) -> list[Disagreement]:
    """Every pair of references that contradict each other in one measurement.

    Their intervals do not overlap, or their scores lie on different sides of ±2. A score without an
    interval is compared by its side only, one without a z not at all.
    """
    pairs = []
    for scores in by_id(z for z in zscores if not math.isnan(z.z)).values():
        for first, second in combinations(scores, 2):
            apart = first.whole[1] < second.whole[0] or second.whole[1] < first.whole[0]
            sides = _side(first.z) != _side(second.z)
            if apart or sides:
                pairs.append(Disagreement(first, second, apart, sides))
    return pairs


def disagreements(zscores: Iterable[ZScore]) -> list[str]:
    """A sentence for every contradiction between references, and one where groups differ that are mixed."""
    scores = list(zscores)
    torn: dict[str, list[str]] = {}
    for score in scores:
        if words := groups_disagree(score):
            torn.setdefault(score.reference, []).append(words)
    groups = (
        f"Ancestry is not known, and groups of {name} disagree on what is beyond ±{LIMIT:g}: "
        f"{'; '.join(words)}."
        for name, words in torn.items()
    )
    return [*(d.sentence() for d in disagreement(scores)), *groups]


def groups_disagree(score: ZScore) -> str:
    """Words where a value is beyond ±2 in some groups of ancestry and not in others; else empty."""
    if len({_side(z) for z in score.by_group.values()}) < 2:
        return ""
    beyond = [f"{signed(z)} as {group}" for group, z in score.by_group.items() if _side(z)]
    within = any(not _side(z) for z in score.by_group.values())
    return f"{score.id} {signed(score.z)} with all mixed, {', '.join(beyond)}" + ", within else" * within


def _side(z: float) -> int:
    return (z > LIMIT) - (z < -LIMIT)


def signed(value: float) -> str:
    """A z-score with its sign, ``?`` for NaN; what rounds to nothing has no sign.

    Examples
    --------
    >>> [signed(z) for z in (2.46, -0.31, -0.02)]
    ['+2.5', '−0.3', '0.0']
    """
    if math.isnan(value):
        return "?"
    return "0.0" if abs(value) < 0.05 else minus(f"{value:+.1f}")
