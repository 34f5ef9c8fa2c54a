"""Several photographs of one person, or frames of a video, to one value per measurement.

The accuracy of one photo holds an error that every photo of this face shares (where the landmark model sees
this person's canthi, say) and one that differs from photo to photo. Only the second shrinks as photos are
added. How large it is, the photos themselves tell: by how much their values scatter, relative to what their
intervals allow. Copies and crops of one picture hardly scatter and so narrow the interval hardly; a second
sitting narrows it for what it is worth. The repeatability has no such shared error, but is told by the
scatter as well: it is not narrowed for copies. docs/benchmarks.md, "Several photos of one person", has the
figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from anthropo.face.frame import Floats
from anthropo.measurement.compute import Z95, Measurement, Measurements, doubted, never_negative
from anthropo.measurement.registry import PIXELS, registry
from anthropo.showing import count

# At least this share of the variance that one photo's interval stands for is shared by all photos of a
# person, however much they scatter: neutral and smiling studio photographs of 51 people scatter by 13 % of
# it, expression included (the median of measurements; nine tenths by less than 21 %; benchmarks/pooling.py).
_SHARED = 0.8
# What all measurements together say of the scatter counts as much as this many photos' values of one.
_PRIOR = 4.0
_HUBER = 2.0  # SD from the middle, from which on a photo's say shrinks
_MAD = 1.4826  # SD of a normal distribution to its median distance from the median
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Pooled(Measurement):
    """One measurement of several photos, from `pool`. What cannot be computed is NaN, with the reason."""

    photos: int = 1  # that have a value
    sd: float = math.nan  # between photos, of one of them; NaN for fewer than two
    repeatability: float = math.nan  # SD of the pooled value, were as many photos taken again; NaN likewise

    def __repr__(self) -> str:
        return Measurement.__repr__(self)[:-1] + f", {count(self.photos, 'photo')}>"


def pool(photos: Sequence[Sequence[Measurement]]) -> Measurements[Pooled]:
    """One value of each measurement from those of several photos.

    Parameters
    ----------
    photos : sequence of sequences of Measurement
        What `anthropo.measure_face` gives for each photo of one person.

    Returns
    -------
    Measurements
        A list of `Pooled`, in the order of the first photo. Values that a photo gate voided are left out;
        those that were kept in spite of it (``force``) count only where no photo has a better one.

    Notes
    -----
    With s the SD that a photo's interval stands for, the photos' errors are taken to have the covariance
    ``c s sᵀ + g diag(s²)``. The independent part g is the variance between the photos, in units of s²,
    shrunk towards what all measurements of a kind (geometry; colour and texture) have in common; the shared
    part c is the rest of 1, but at least 0.8. Photos weigh by 1/s⁴ and not by 1/s², since what is shared
    does not average out. From three photos on, those more than two SD off
    the middle weigh less, and count in the variance as if they lay there (Huber 1964) [1]_. One photo is
    passed on as it is. The interval of repeatability is made likewise from those of the photos, with c the
    rest of 1 and nothing less: photos that scatter as they should have independent errors.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35
       (1964) 73-101.

    Examples
    --------
    >>> import anthropo
    >>> from dataclasses import replace
    >>> first = anthropo.measure(anthropo.example_photo())[:1]
    >>> second = [replace(m, value=m.value + 0.004, lo=m.lo + 0.004, hi=m.hi + 0.004) for m in first]
    >>> both = anthropo.pool([first, second])[0]
    >>> both.photos, both.hi - both.lo < first[0].hi - first[0].lo
    (2, True)
    """
    by_id: dict[tuple[str, str], list[Measurement]] = {}
    for photo in photos:
        for m in photo:
            by_id.setdefault((m.id, m.unit), []).append(m)
    kept = {key: _usable(measurements) for key, measurements in by_id.items()}
    scatter = {
        pixels: Scatter.of([v for (name, _), v in kept.items() if _of_pixels(name) == pixels])
        for pixels in (False, True)
    }
    return Measurements(
        _pool(by_id[key], kept[key], scatter[_of_pixels(key[0])], len(photos)) for key in by_id
    )


def _of_pixels(name: str) -> bool:
    return registry()[name].kind in PIXELS


def _usable(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Measurements with a value: only those that the gate has no doubts of, if there are any."""
    values = [m for m in measurements if math.isfinite(m.value)]
    return [m for m in values if not doubted(m.reason)] or values


def _sd(measurements: Sequence[Measurement]) -> Floats:
    """The SD that each interval stands for, NaN without one."""
    return np.array([max(m.hi - m.value, m.value - m.lo) for m in measurements]) / Z95


def _repeat_sd(measurements: Sequence[Measurement]) -> Floats:
    """The SD of each one's repeatability, NaN without one."""
    return np.array([m.repeat_sd for m in measurements])


@dataclass(frozen=True, slots=True)
class Scatter:
    """Variance between photos over that of their intervals: the middle of many measurements."""

    accuracy: float
    repeatability: float

    @classmethod
    def of(cls, groups: Sequence[Sequence[Measurement]]) -> Scatter:
        """Of the measurements of one kind, each in several photos."""
        return cls(_scatter(groups, _sd), _scatter(groups, _repeat_sd))


def _scatter(
    groups: Sequence[Sequence[Measurement]], sd_of: Callable[[Sequence[Measurement]], Floats]
) -> float:
    ratios = []
    for measurements in groups:
        sd = sd_of(measurements)
        if len(measurements) > 1 and (sd > 0).all():
            freedom = len(measurements) - 1
            # of chi², which is less than its mean (Wilson & Hilferty 1931)
            median = (1 - 2 / (9 * freedom)) ** 3
            ratios.append(float(np.var([m.value for m in measurements], ddof=1) / np.mean(sd**2)) / median)
    return float(np.median(ratios)) if ratios else math.nan


def _pool(every: Sequence[Measurement], kept: Sequence[Measurement], scatter: Scatter, photos: int) -> Pooled:
    nan = math.nan
    first = kept[0] if kept else every[0]
    corrected = any(m.corrected for m in kept or every)
    if len(kept) < 2:
        reason = first.reason
        if not kept and photos > 1:
            reason = "; ".join(dict.fromkeys(m.reason for m in every))
        return Pooled(
            first.id, first.value, first.lo, first.hi, first.unit, first.side, reason, corrected,
            first.repeat_sd, len(kept), nan, nan,
        )  # fmt: skip
    sd = _sd(kept)
    known = bool((sd > 0).any()) and math.isfinite(scatter.accuracy)
    if known:
        kept, sd = [m for m, s in zip(kept, sd, strict=True) if s > 0], sd[sd > 0]
    else:
        sd = np.ones(len(kept))
    values = np.array([m.value for m in kept])
    weights: Floats = np.full(len(kept), 1 / len(kept))
    middle = float(np.median(values))
    between = (_MAD * float(np.median(np.abs(values - middle)))) ** 2
    variance = 0.0
    for _ in range(_ROUNDS):
        variance = between / float(np.mean(sd**2))
        if known:
            variance = _held(variance, scatter.accuracy, len(kept))
        trust: Floats = np.ones(len(kept))
        if len(kept) > 2 and variance > 0:
            trust = _HUBER / np.maximum(np.abs(values - middle) / (sd * math.sqrt(variance)), _HUBER)
        weights = trust / sd**4
        weights /= weights.sum()
        before, middle = middle, float(weights @ values)
        between = float(((trust * (values - middle)) ** 2).sum()) / (len(kept) - 1)
        if abs(middle - before) <= 1e-9 * abs(middle):
            break
    repeated = math.sqrt(float((weights**2).sum()))
    lo = hi = repeat_sd = nan
    if known:
        half = Z95 * _pooled_sd(max(1 - variance, _SHARED), variance, weights, sd)
        lo, hi = middle - half, middle + half
        if never_negative(first.id) and lo < 0 <= middle:
            lo = 0.0
    each = _repeat_sd(kept)
    if (each > 0).all() and math.isfinite(scatter.repeatability):
        variance = _held(between / float(np.mean(each**2)), scatter.repeatability, len(kept))
        repeat_sd = _pooled_sd(max(1 - variance, 0.0), variance, weights, each)
    return Pooled(
        first.id, middle, lo, hi, first.unit, first.side, first.reason, corrected, repeat_sd, len(kept),
        math.sqrt(between), math.sqrt(between) * repeated,
    )  # fmt: skip


def _held(variance: float, scatter: float, photos: int) -> float:
    """One measurement's variance between photos, held to what all of its kind say."""
    return (_PRIOR * scatter + (photos - 1) * variance) / (_PRIOR + photos - 1)


def _pooled_sd(shared: float, independent: float, weights: Floats, sd: Floats) -> float:
    """SD of a weighted mean, of errors that share a part of their variance."""
    return math.sqrt(shared * float(weights @ sd) ** 2 + independent * float((weights**2 * sd**2).sum()))
