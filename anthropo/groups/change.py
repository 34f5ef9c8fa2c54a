"""What changed in a person between two states, and in a cohort of people, beyond error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from anthropo.face.frame import Floats
from anthropo.measurement.compute import Measurement
from anthropo.measurement.pooling import pool
from anthropo.measurement.registry import PIXELS, Entry, registry
from anthropo.measurement.repeatability import repeatability
from anthropo.measurement.retest import EXPRESSION, Retest, is_lid, moved_by_expression, pose_variance
from anthropo.reference.zscore import ZScore
from anthropo.showing import brief, fielded, with_interval

Status = Literal["changed", "moved", "within error", "not compared"]
CHANGED: Final = "changed"
MOVED: Final = "moved"
SAME: Final = "within error"
NOT_COMPARED: Final = "not compared"
#: False discovery rate, among the measurements of a person or of a cohort.
RATE = 0.05
_FEWEST = 8  # pairs of photographs that a repeatability is taken to be known from, where there were none


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One photograph of a state."""

    values: dict[str, Retest]
    yaw: float  # deg
    pitch: float
    fine: bool = True  # whether both landmark stages saw it

    __repr__ = fielded


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One measurement in two states of a person."""

    id: str
    status: Status
    before: float = math.nan
    after: float = math.nan
    difference: float = math.nan  # after − before
    lo: float = math.nan  # 95 % interval of the difference: repeatability
    hi: float = math.nan
    sd: float = math.nan  # SD of the difference between photos of one state
    still_sd: float = math.nan  # the same of a face that does not move; NaN where it is not known
    p: float = math.nan  # that photos of one state differ as much
    q: float = math.nan  # its false discovery rate (Benjamini-Hochberg) among all that are compared
    p_still: float = math.nan  # that photos of a face that did not move differ as much
    q_still: float = math.nan
    photos: tuple[int, int] = (0, 0)  # that have a value, before and after
    remarks: tuple[str, ...] = ()  # what the photo gate says of it
    reason: str = ""  # why it is not compared
    scores: tuple[ZScore | None, ZScore | None] = (None, None)  # before and after

    def __repr__(self) -> str:
        if math.isnan(self.difference):
            return brief(self, f"{self.id} {self.status}")
        return brief(
            self, f"{self.id} {self.status}: {with_interval(self.difference, self.lo, self.hi, '+')}"
        )

    @property
    def entry(self) -> Entry:
        """The measurement in the registry."""
        return registry()[self.id]

    @property
    def part(self) -> str:
        """The part of the face that it is of: as its region, but lids apart from the eyes."""
        return part(self.entry)

    @property
    def asymmetry(self) -> bool:
        """Whether it compares the sides of the face."""
        return self.entry.kind == "asymmetry"


def part(entry: Entry) -> str:
    """The part of the face that a measurement is of: its region, but lids apart from the eyes."""
    return "lids" if is_lid(entry) else {"eye": "eyes", "brow": "brows"}.get(entry.region, entry.region)


@dataclass(frozen=True, slots=True, eq=False)
class _Pooled:
    """The photos of one state together."""

    values: Mapping[str, Measurement]
    still: dict[str, float]
    pose: tuple[float, float]
    photos: dict[str, int]


def _pooled(looks: Sequence[Look]) -> _Pooled:
    values = {m.id: m for m in pool([[r.measurement for r in look.values.values()] for look in looks])}
    still, photos = {}, {}
    for name, value in values.items():
        each = [r for look in looks if math.isfinite((r := look.values[name]).measurement.value)]
        photos[name] = len(each)
        noise = math.sqrt(sum(r.still**2 for r in each)) / max(1, len(each))
        # photos of the state that scatter more than noise tell that the face moves within it
        scatter = getattr(value, "repeatability", math.nan)
        still[name] = max(noise, scatter) if math.isfinite(scatter) else noise
    pose = float(np.mean([look.yaw for look in looks])), float(np.mean([look.pitch for look in looks]))
    return _Pooled(values, still, pose, photos)


def compare_looks(before: Sequence[Look], after: Sequence[Look], *, appearance: bool = False) -> list[Change]:
    """What changed between two states of a person.

    Parameters
    ----------
    before, after : sequence of Look
        One or more photographs of each state.
    appearance : bool
        Compare colours and texture as well, which needs photographs in one light.

    Returns
    -------
    list of Change
        In the registry's order.

    Notes
    -----
    A difference is *changed* if photographs of one state would hardly differ as much, by the repeatability,
    and *moved* if photographs of a face that did not move would not, though others of the same state may:
    an expression. Only what an expression moves can be moved. p is that of Student's distribution for
    the number of pairs behind the repeatability, q the false discovery rate (Benjamini & Hochberg 1995) [1]_
    among everything that is compared; in a person in whom nothing changed it finds something as rarely as
    Bonferroni's correction would, one time in twenty, and lengths that change together do not
    count against each other.

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", J R Stat Soc B 57 (1995) 289.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.groups import Look, compare_looks
    >>> from anthropo.measurement.retest import retests
    >>> face = anthropo.read_face(anthropo.example_photo())
    >>> look = Look(retests(face), face.yaw, face.pitch, fine=False)
    >>> {change.status for change in compare_looks([look], [look])} == {"within error", "not compared"}
    True
    """
    first, second = _pooled(before), _pooled(after)
    entries = [registry()[name] for name in first.values]
    geometry = [e for e in entries if e.kind not in PIXELS]
    whole, more = pose_variance(geometry, first.pose, second.pose)
    turned = {e.id: (w, m) for e, w, m in zip(geometry, whole.tolist(), more.tolist(), strict=True)}
    changes = [_one(e, first, second, turned.get(e.id, (0.0, 0.0)), before, after, appearance)
               for e in entries]  # fmt: skip
    return _judged(changes)


def _one(
    entry: Entry, first: _Pooled, second: _Pooled, turned: tuple[float, float], before: Sequence[Look],
    after: Sequence[Look], appearance: bool,
) -> Change:  # fmt: skip
    a, b = first.values[entry.id], second.values[entry.id]
    photos = first.photos[entry.id], second.photos[entry.id]
    if entry.kind in PIXELS and not appearance:
        return Change(id=entry.id, status=NOT_COMPARED, reason=LIGHT)
    if not (math.isfinite(a.value) and math.isfinite(b.value)):
        missing = [(f"{w}: {m.reason}") for w, m in (("before", a), ("after", b)) if math.isnan(m.value)]
        reason = "; ".join(missing)
        return Change(id=entry.id, status=NOT_COMPARED, before=a.value, after=b.value, photos=photos,
                      reason=reason)  # fmt: skip
    if not (math.isfinite(a.repeat_sd) and math.isfinite(b.repeat_sd)):
        return Change(id=entry.id, status=NOT_COMPARED, before=a.value, after=b.value, photos=photos,
                      reason="its repeatability is not known")  # fmt: skip
    from scipy.special import stdtr, stdtrit

    difference = b.value - a.value
    sd = math.sqrt(a.repeat_sd**2 + b.repeat_sd**2 + turned[1])
    still = math.sqrt(first.still[entry.id] ** 2 + second.still[entry.id] ** 2 + turned[0])
    still = min(still, sd) if moved_by_expression(entry) else math.nan
    known = repeatability().get(entry.known_as)
    freedom = max(known.pairs if known else 0, _FEWEST)
    reach = float(stdtrit(freedom, 0.975)) * sd
    return Change(
        id=entry.id, status=SAME, before=a.value, after=b.value, difference=difference,
        lo=difference - reach, hi=difference + reach, sd=sd, still_sd=still,
        p=2 * float(stdtr(freedom, -abs(difference) / sd)),
        p_still=math.erfc(abs(difference) / still / math.sqrt(2)), photos=photos,
        remarks=_remarks(entry.id, before, after),
    )  # fmt: skip


#: Why colours and textures are not compared unasked.
LIGHT = (
    "colour and texture differ with the light, and are compared only where both photos are said to have one"
)


def _remarks(name: str, before: Sequence[Look], after: Sequence[Look]) -> tuple[str, ...]:
    remarks: dict[str, None] = {}
    for when, looks in (("before", before), ("after", after)):
        for look in looks:
            for check in look.values[name].doubts:
                how = "" if check.name in EXPRESSION else "; its error is wider for it"
                remarks[
                    f"{when}: {check.name.replace('_', ' ')} {check.value:.3g} (limit {check.limit:g}){how}"
                ] = None
    return tuple(remarks)


def false_discovery(p: Iterable[float]) -> Floats:
    """q of each p (Benjamini-Hochberg); NaN where p is, which counts for nothing."""
    values = np.array(list(p), dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    q = np.full(len(values), np.nan)
    if len(order):
        raw = values[order] * len(order) / np.arange(1, len(order) + 1)
        q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q


def _judged(changes: Sequence[Change]) -> list[Change]:
    q = false_discovery(c.p for c in changes).tolist()
    still = false_discovery(c.p_still for c in changes).tolist()
    judged = []
    for change, of_all, of_still in zip(changes, q, still, strict=True):
        status: Status = change.status
        if of_all <= RATE:
            status = CHANGED
        elif of_still <= RATE:
            status = MOVED
        judged.append(replace(change, q=of_all, q_still=of_still, status=status))
    return judged


# ----------------------------------------------------------------------------------------- cohorts

#: Patients up to whom the test of a cohort counts every way in which signs could have fallen.
EXACT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """One measurement's differences over the patients of a cohort, each counted once."""

    id: str
    n: int  # patients who have it in both states
    left_out: int  # patients in whom it could not be compared
    before: float  # means
    after: float
    mean: float  # of the differences, after − before
    lo: float  # 95 % interval of the mean; infinite where so few patients cannot bound it
    hi: float
    sd: float  # of the differences between patients
    g: float  # effect size: mean over SD of the differences, corrected for few patients (Hedges)
    p: float  # that nothing changes on average, two-sided
    q: float  # false discovery rate among all measurements (Benjamini-Hochberg)
    test: str  # "sign-flip" up to `EXACT` patients, else "t"
    changed: int  # patients in whom it changed by itself
    moved: int  # patients in whom it moved, those not counted

    def __repr__(self) -> str:
        mean = with_interval(self.mean, self.lo, self.hi, "+")
        return brief(self, f"{self.id} {mean} in {self.n} patients, q {self.q:.2g}")

    @property
    def entry(self) -> Entry:
        """The measurement in the registry."""
        return registry()[self.id]


def paired(people: Sequence[Sequence[Change]]) -> list[Paired]:
    """Whether measurements change on average over the patients of a cohort.

    Parameters
    ----------
    people : sequence of sequences of Change
        What `compare_looks` gives for each patient.

    Returns
    -------
    list of Paired
        In the registry's order, without what nobody has in both states.

    Notes
    -----
    With more than 12 patients p and interval are those of the paired t test. With fewer, whose normality
    nobody can see, they are exact: p is the share of all ways to choose the signs of the differences in which
    their mean is as far from zero (Fisher 1935) [1]_, and the interval holds every change that would not be
    rejected so. With five patients p is never below 1/16, and the interval has no ends.

    References
    ----------
    .. [1] R. A. Fisher, "The design of experiments", Oliver and Boyd 1935, section 21.

    Examples
    --------
    >>> from anthropo.groups import Change, paired
    >>> people = [[Change(id="mouth_width", status="changed", before=0.6, after=0.6 + d, difference=d)]
    ...           for d in (0.02, 0.03, 0.05, 0.01, 0.04, 0.03)]
    >>> (width,) = paired(people)
    >>> width.n, f"{width.mean:.3f}", width.p == 2 / 2**6
    (6, '0.030', True)
    """
    by_id: dict[str, list[Change]] = {}
    for changes in people:
        for change in changes:
            by_id.setdefault(change.id, []).append(change)
    tests = []
    for name, of_all in by_id.items():
        have = [c for c in of_all if c.status != NOT_COMPARED]
        if not have:
            continue
        d = np.array([c.difference for c in have])
        n, mean = len(d), float(d.mean())
        sd = float(d.std(ddof=1)) if n > 1 else math.nan
        p, lo, hi = _signs(d) if n <= EXACT else _student(d)
        tests.append(Paired(
            id=name, n=n, left_out=len(of_all) - n, before=float(np.mean([c.before for c in have])),
            after=float(np.mean([c.after for c in have])), mean=mean, lo=lo, hi=hi, sd=sd,
            g=mean / sd * (1 - 3 / (4 * (n - 1) - 1)) if n > 1 and sd > 0 else math.nan, p=p, q=math.nan,
            test="sign-flip" if n <= EXACT else "t", changed=sum(c.status == CHANGED for c in have),
            moved=sum(c.status == MOVED for c in have),
        ))  # fmt: skip
    q = false_discovery(one.p for one in tests).tolist()
    return [replace(one, q=of_one) for one, of_one in zip(tests, q, strict=True)]


def _student(d: Floats) -> tuple[float, float, float]:
    """p that the mean is zero and its 95 % interval, by Student's distribution."""
    from scipy.special import stdtr, stdtrit

    mean, error = float(d.mean()), float(d.std(ddof=1)) / math.sqrt(len(d))
    if error == 0:
        return float(mean == 0), mean, mean
    half = float(stdtrit(len(d) - 1, 0.975)) * error
    return 2 * float(stdtr(len(d) - 1, -abs(mean) / error)), mean - half, mean + half


def _signs(d: Floats) -> tuple[float, float, float]:
    """p that the differences are as likely positive as negative, and the interval of what shifts them so.

    The ends of the interval are order statistics of the means of all subsets of the differences, which
    part the line into equally probable pieces (Hartigan 1969, J Am Stat Assoc 64:1303).
    """
    n = len(d)
    flips = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1  # every set but the empty one
    sums = flips @ d
    observed = abs(float(d.sum()))
    as_far = np.abs(d.sum() - 2 * sums) >= observed * (1 - 1e-12)
    p = (1 + int(as_far.sum())) / 2**n
    # of 2^n choices so many may be as far, the one without a flip included, where p is above 5 %
    k = math.floor(0.05 * 2**n / 2)  # of each tail
    if k < 1:
        return p, -math.inf, math.inf
    means = np.sort(sums / flips.sum(1))
    return p, float(means[k - 1]), float(means[-k])
