"""What distinguishes the people of one label from the others, wherever in the face it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anthropo.errors import InputError, parameter
from anthropo.explanation.heads import Head
from anthropo.explanation.heatmap import heat_of_heads
from anthropo.learning.columns import METADATA, Columns, Scaler
from anthropo.learning.features import Features, feature_frame
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.splits import split
from anthropo.observation import get_ready, observe
from anthropo.parallel.runner import Runner, choose, unless_lost
from anthropo.settings import Settings
from anthropo.showing import brief, count, fielded, word

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.encoder.several import AnyEncoder

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
Kind = Literal["measurement", "region", "metadata"]

OTHERS = "others"
FEWEST = 3  # patients on each side: without one fold's there must be two
SIGNIFICANT = 0.05  # adjusted p of a place, and q of a number

_CELLS = 30  # of a map along each side, for the test
_BLOCK = 200  # permutations at a time


@dataclass(frozen=True, slots=True)
class Effect:
    """How far one number lies apart between the label's patients and the others."""

    kind: Kind
    name: str  # measurement id, region or metadata column
    n: int  # patients of the label with a value
    n_others: int
    mean: float  # in the number's own unit; of a region log-odds
    mean_others: float
    g: float  # Hedges' g: difference in pooled standard deviations, corrected for small groups
    lo: float  # interval at `level`
    hi: float
    p: float  # that g is zero, two-sided
    q: float  # false discovery rate among the numbers of its kind (Benjamini-Hochberg)
    level: float = 0.95  # of the interval: it leaves zero out if, and only if, q is at most 0.05


@dataclass(frozen=True, slots=True, eq=False)
class HeatmapDifference:
    """Mean heatmaps of both groups, log-odds of the label per pixel of the face's chip."""

    label: Floats  # (size, size)
    others: Floats  # (size, size)
    p: Floats  # (size, size), of the difference, for all places together
    n: int  # patients of the label
    n_others: int
    permutations: int

    __repr__ = fielded

    @property
    def difference(self) -> Floats:
        """Of the means, (size, size)."""
        return np.asarray(self.label - self.others)


@dataclass(frozen=True, slots=True, eq=False)
class Discovery:
    """What distinguishes a label."""

    label: str
    measurements: tuple[Effect, ...]  # largest first
    regions: tuple[Effect, ...]  # largest first
    metadata: tuple[Effect, ...]  # largest first
    maps: HeatmapDifference
    auroc: float  # of the regions, out of fold, over patients
    folds: int

    def __repr__(self) -> str:
        sure = sum(effect.q <= SIGNIFICANT for effect in self.measurements)
        return brief(
            self,
            f"{word(self.label)}: AUROC of the regions {self.auroc:.3f}",
            f"{sure} of {count(len(self.measurements), 'measurement')} differ",
            f"{self.maps.n} patients against {self.maps.n_others}",
        )


def _learn_out_of_fold(
    embeddings: pd.DataFrame,
    inside: NDArray[np.bool_],
    patients: NDArray[np.str_],
    fold_of: NDArray[np.int64],
    regions: Sequence[str],
    seed: int,
) -> tuple[list[dict[str, Head]], dict[str, Floats], Floats]:
    """Heads by fold and region; scores by region and log-odds of photos, by models without their patients."""
    heads: list[dict[str, Head]] = []
    scores = {region: np.zeros(len(embeddings)) for region in regions}
    total = np.zeros(len(embeddings))
    contrast = np.array([1.0, -1.0])  # the label is class 0, the others are class 1
    for fold in range(fold_of.max() + 1):
        out = fold_of == fold
        known = embeddings[~out].reset_index(drop=True)
        model = HybridClassifier(random_state=seed)
        model.fit(known, np.where(inside[~out], 0, 1), groups=patients[~out])
        parts = model.contributions(embeddings[out])
        for region in regions:
            scores[region][out] = parts.regions[region] @ contrast
        total[out] = parts.total @ contrast
        heads.append({region: Head.of(model, region, contrast) for region in regions})
    return heads, scores, total


@dataclass(frozen=True, slots=True)
class _Heatmap:
    """The work on one photo."""

    encoder: AnyEncoder
    settings: Settings
    regions: tuple[str, ...]
    heads: tuple[dict[str, Head], ...]  # by fold
    faces: Mapping[str, str]  # where the face of a photo is, if that was said

    def prepare(self) -> None:
        """Read what every photo needs."""
        get_ready(self.settings)

    def __call__(self, asked: tuple[str, int]) -> Floats:
        """Log-odds per pixel of a photo's face, by the models of the fold that has not seen it."""
        path, fold = asked
        seen = observe(path, self.settings.at_face(self.faces.get(path, "")))
        readers = [self.heads[fold][region] for region in self.regions]
        heat = heat_of_heads(self.encoder, seen.photo, seen.face, self.regions, readers, judge=False)
        return heat.whole.values


def discover(
    features: Features,
    label: str,
    encoder: AnyEncoder,
    settings: Settings,
    *,
    regions: Sequence[str],
    folds: int = 5,
    most: int = 100,
    permutations: int = 2000,
    seed: int = 0,
    jobs: int = 1,
    runner: Runner | None = None,
    on_progress: Callable[[], None] | None = None,
    faces: Mapping[str, str] | None = None,
) -> Discovery:
    """Find what distinguishes the people of a label; an InputError where `two_groups` refuses them.

    The features are those that `anthropo.learning.features.extract` makes with the same encoder and settings.
    Learned from are `regions`. Heatmaps are made of `most` patients of each group, one photo of each, who are
    drawn by the seed. `on_progress` is called `pictures` times; `faces` says where in a photo
    the face is, by path. The result does not depend on `jobs`.

    Notes
    -----
    Regions are learned fold by fold, by patient, label against all others; scores and heatmaps of a photo
    come from models that saw no photo of its patient. A place's significance: labels are permuted
    among the patients of each fold 2000 times, with the heatmaps as they are, and a place counts as different
    where its Welch t exceeds what the largest t anywhere on the map exceeds in 5 % of the permutations
    [1]_ [2]_. What is permuted is who counts as the label's, not the models: those of other folds have seen
    labels, which a permutation does not undo. Where nothing distinguishes the groups, some place, or some
    region's score, is therefore called different more often than in 5 % of cohorts: in about 10 % of those of
    51 people (docs/benchmarks.md).

    References
    ----------
    .. [1] Westfall & Young, "Resampling-based multiple testing", Wiley (1993).
    .. [2] Nichols & Holmes, "Nonparametric permutation tests for functional neuroimaging", Human Brain
       Mapping 15:1 (2002).
    """
    from sklearn.metrics import roc_auc_score

    inside = two_groups(features.labels, features.patients, label)
    units = _units(features.patients, inside)
    first = np.unique(units, return_index=True)[1]
    group = inside[first]
    names = [label if one else OTHERS for one in inside]
    dealt = split(names, features.patients.tolist(), folds, seed)
    frame = feature_frame(features, tuple(features.metadata))
    columns = Columns.of(list(frame.columns))
    embeddings = frame[[name for region in regions for name in columns.regions[region]]]
    heads, scores, total = _learn_out_of_fold(
        embeddings, inside, features.patients, dealt.index, regions, seed
    )
    # the first photo of each patient
    random = np.random.default_rng(seed)
    drawn = [random.permutation(np.sort(first[group == side]))[:most] for side in (True, False)]
    chosen = np.sort(np.concatenate(drawn))

    maps: list[Floats] = []
    work = _Heatmap(encoder, settings, tuple(regions), tuple(heads), faces or {})
    asked = [(str(features.photos[row]), int(dealt.index[row])) for row in chosen]
    for values, (path, _) in zip(choose(jobs, len(asked), runner).in_order(work, asked), asked, strict=True):
        maps.append(unless_lost(values, path))
        if on_progress:
            on_progress()
    return Discovery(
        label,
        _effects("measurement", features.measurement_ids, features.measurements, units, group),
        _effects("region", list(scores), np.column_stack(list(scores.values())), units, group),
        _metadata_effects(frame, columns, units, group),
        compare_maps(_alike(maps), inside[chosen], dealt.index[chosen], permutations, seed),
        float(roc_auc_score(group, np.bincount(units, total) / np.bincount(units))),
        dealt.number,
    )


def _alike(maps: Sequence[Floats]) -> Floats:
    """Maps as one array (n, size, size); one in which no region has a say is empty, whatever its size."""
    size = next((len(one) for one in maps if one.any()), len(maps[0]))
    return np.stack([one if len(one) == size else np.zeros((size, size)) for one in maps])


def pictures(features: Features, label: str, most: int = 100) -> int:
    """How often `discover` reports progress."""
    inside = two_groups(features.labels, features.patients, label)
    first = np.unique(_units(features.patients, inside), return_index=True)[1]
    return int(sum(min(most, (inside[first] == side).sum()) for side in (True, False)))


def two_groups(labels: ArrayLike, patients: ArrayLike, label: str) -> Masks:
    """Which photos have the label, (n,)."""
    names, people = np.asarray(labels), np.asarray(patients)
    inside: Masks = names == label
    if not inside.any():
        known = ", ".join(sorted(set(names.tolist())))
        raise InputError(f"{parameter('label', label)}: no photo has this label. The labels are {known}.")
    if inside.all():
        raise InputError(f"All photos have the label {label}. Add photos of other people to compare with.")
    for name, group in ((label, inside), ("the other labels", ~inside)):
        n = len(set(people[group].tolist()))
        if n < FEWEST:
            raise InputError(
                f"{name}: {n} patient{'' if n == 1 else 's'}; {FEWEST} or more are needed on each side to "
                "compare groups. Add patients."
            )
    return inside


def _units(patients: NDArray[np.str_], inside: Masks) -> NDArray[np.intp]:
    """The person that each photo counts for, (n,): a patient, or two of one with photos of both groups."""
    names = [f"{int(one)} {patient}" for one, patient in zip(inside, patients.tolist(), strict=True)]
    return np.asarray(np.unique(names, return_inverse=True)[1])


# ----------------------------------------------------------------------------------- effect sizes


def _effects(
    kind: Kind, names: Sequence[str], values: Floats, units: NDArray[np.intp], group: Masks
) -> tuple[Effect, ...]:
    """Effects of columns of values (n, c) of photos, whose people are in the `group` or not, (people,)."""
    compared = []
    for name, column in zip(names, values.T, strict=True):
        known = np.isfinite(column)
        count = np.bincount(units[known], minlength=len(group))
        total = np.bincount(units[known], column[known], minlength=len(group))
        mean = np.divide(total, count, out=np.full(len(group), np.nan), where=count > 0)
        one, other = (mean[np.isfinite(mean) & (group == g)] for g in (True, False))
        if min(len(one), len(other)) >= FEWEST:
            compared.append((name, one, other))
    return tuple(sorted(effects(kind, compared), key=lambda e: (-abs(e.g), e.name)))


def effects(kind: Kind, groups: Sequence[tuple[str, Floats, Floats]]) -> list[Effect]:
    """How far two groups lie apart in several numbers, with intervals that agree with the q-values.

    Parameters
    ----------
    kind : {"measurement", "region", "metadata"}
    groups : sequence of (str, (n,) array, (m,) array)
        What the values are of, and one value of each patient of either group.

    Returns
    -------
    list of Effect
        As they were given.

    Notes
    -----
    Of m numbers, R of which have q at most 0.05, the intervals are those of level 1 - 0.05 R / m: of the
    intervals of what was found, 5 % miss the truth on average (false coverage rate) [1]_. Plain 95 %
    intervals of what was picked for being large miss it more often. They leave zero out exactly where q is
    at most 0.05.

    References
    ----------
    .. [1] Benjamini & Yekutieli, "False discovery rate-adjusted multiple confidence intervals for selected
       parameters", Journal of the American Statistical Association 100:71 (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.groups import effects
    >>> random = np.random.default_rng(0)
    >>> groups = [(f"{shift}", random.normal(shift, 1, 30), random.normal(0, 1, 30)) for shift in (2, 0, 0)]
    >>> [(e.q <= 0.05, e.lo > 0) for e in effects("measurement", groups)]
    [(True, True), (False, False), (False, False)]
    """
    from scipy.stats import false_discovery_control

    if not groups:
        return []
    plain = [effect(kind, *group) for group in groups]
    rates = false_discovery_control([e.p for e in plain])
    significant = int((rates <= SIGNIFICANT).sum())
    level = 1 - SIGNIFICANT * max(significant, 1) / len(groups)
    return [
        replace(effect(kind, *group, level=level), q=float(q)) for group, q in zip(groups, rates, strict=True)
    ]


def effect(kind: Kind, name: str, one: Floats, other: Floats, level: float = 0.95) -> Effect:
    """How far two groups of values lie apart: Hedges' g [1]_, with its interval and test.

    Parameters
    ----------
    kind : {"measurement", "region", "metadata"}
    name : str
        What the values are of.
    one, other : (n,) and (m,) arrays
        One value of each patient.
    level : float
        Of the interval.

    Returns
    -------
    Effect
        q is that of a single test: p.

    Notes
    -----
    Interval and p are of one statistic, so that they cannot contradict each other: the transform of d, which
    is g without its correction, whose variance does not depend on d: ``√(2N) asinh(d / √(2N v))`` with N
    people and the variance v that d has about zero, for which the variances of the groups need not be equal.
    It is compared with Student's t with Welch's degrees of freedom.

    References
    ----------
    .. [1] Hedges & Olkin, "Statistical methods for meta-analysis", Academic Press (1985), 5.E to 5.G.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.groups import effect
    >>> random = np.random.default_rng(0)
    >>> wider = effect("measurement", "fissure", random.normal(1, 1, 30), random.normal(0, 1, 30))
    >>> round(wider.g, 2), round(wider.lo, 2), round(wider.hi, 2), wider.p < 0.05
    (0.67, 0.15, 1.21, True)
    """
    from scipy.special import stdtr, stdtrit

    n, m = len(one), len(other)
    apart = float(one.mean() - other.mean())
    parts = np.array([one.var(ddof=1) / n, other.var(ddof=1) / m])
    pooled = np.sqrt(((n - 1) * n * parts[0] + (m - 1) * m * parts[1]) / (n + m - 2))
    if pooled > 0:
        small = 1 - 3 / (4 * (n + m) - 9)
        g = small * apart / pooled
        freedom = parts.sum() ** 2 / (parts**2 / [n - 1, m - 1]).sum()
        root = np.sqrt(2 * (n + m))
        about_zero = root * np.sqrt(parts.sum()) / pooled
        t, reach = root * np.arcsinh(apart / pooled / about_zero), stdtrit(freedom, (1 + level) / 2)
        lo, hi = (small * about_zero * np.sinh((t + side * reach) / root) for side in (-1, 1))
    else:  # values that do not vary within the groups: infinitely far apart, or nothing
        g, lo, hi, freedom = float(np.copysign(np.inf, apart)) if apart else 0.0, -np.inf, np.inf, n + m - 2
        t = np.sqrt(2 * (n + m)) if apart else 0.0
    p = float(2 * stdtr(freedom, -abs(t)))
    return Effect(
        kind, name, n, m, float(one.mean()), float(other.mean()), float(g), float(lo), float(hi), p, p, level
    )


def _metadata_effects(
    frame: Any, columns: Columns, units: NDArray[np.intp], group: Masks
) -> tuple[Effect, ...]:
    """Effects of the metadata: numbers, and the share of each category."""
    scaler = Scaler.fit(frame, Columns((), {}, columns.metadata))
    values = scaler.transform(frame, clip=False) * scaler.spread + scaler.mean
    names = [name.removeprefix(METADATA) for name in scaler.names]
    return _effects("metadata", names, values, units, group)


# ------------------------------------------------------------------------------------------ maps


def compare_maps(
    maps: Floats, inside: Masks, folds: NDArray[np.int64], permutations: int = 2000, seed: int = 0
) -> HeatmapDifference:
    """Where heatmaps of two groups differ, with p-values for all places together.

    Parameters
    ----------
    maps : (n, size, size) array
        One of each patient.
    inside : (n,) bool
        Whether the patient has the label.
    folds : (n,)
        Labels are permuted among the patients of a fold.
    permutations : int
    seed : int

    Returns
    -------
    HeatmapDifference
        A place's p-value: the share of permutations in which the largest Welch t anywhere is as large.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.groups import compare_maps
    >>> maps = np.random.default_rng(0).normal(size=(40, 60, 60))
    >>> maps[:20, 10:20, 30:40] += 2
    >>> difference = compare_maps(maps, np.arange(40) < 20, np.zeros(40, dtype=int), permutations=200)
    >>> bool((difference.p[12:18, 32:38] < 0.05).all()), bool((difference.p[30:] < 0.05).any())
    (True, False)
    """
    n, size = maps.shape[:2]
    edges = np.linspace(0, size, _CELLS + 1).astype(int)[:-1]
    cells: Floats = np.add.reduceat(np.add.reduceat(maps, edges, 1), edges, 2).reshape(n, -1)
    cells = cells / max(float(cells.std()), 1e-300)
    observed = np.abs(_welch(inside[None], cells))[0]
    random = np.random.default_rng(seed)
    exceeded = np.ones(len(observed))
    for start in range(0, permutations, _BLOCK):
        groups = np.tile(inside, (min(_BLOCK, permutations - start), 1))
        for fold in np.unique(folds):
            at = folds == fold
            groups[:, at] = random.permuted(groups[:, at], axis=1)
        largest = np.abs(_welch(groups, cells)).max(1)
        exceeded += (largest[:, None] >= observed - 1e-9).sum(0)
    p = (exceeded / (permutations + 1)).reshape(_CELLS, _CELLS)
    repeats = np.diff([*edges, size])
    whole = np.repeat(np.repeat(p, repeats, 0), repeats, 1)
    means, n_inside = (maps[inside].mean(0), maps[~inside].mean(0)), int(inside.sum())
    return HeatmapDifference(*means, whole, n_inside, n - n_inside, permutations)


def _welch(groups: Masks, cells: Floats) -> Floats:
    """Welch's t (g, c) of each grouping (g, n) of the rows of cells (n, c)."""
    total, squares = cells.sum(0), (cells**2).sum(0)
    inside = groups.astype(np.float64)
    n = inside.sum(1, keepdims=True)
    m = len(cells) - n
    a, a2 = inside @ cells, inside @ cells**2
    mean, others = a / n, (total - a) / m
    variance = np.maximum(a2 / n - mean**2, 0) / (n - 1)
    variance += np.maximum((squares - a2) / m - others**2, 0) / (m - 1)
    return np.asarray((mean - others) / np.sqrt(variance + 1e-12))
