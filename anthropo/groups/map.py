"""A map of a cohort's faces: who lies near whom, and whether that is so before it is drawn flat."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.several import plain_region
from anthropo.errors import InputError, parameter
from anthropo.learning.cohort import Kind, typed
from anthropo.learning.features import BACKGROUND, Features
from anthropo.learning.intervals import Interval, mean_of, proportion
from anthropo.learning.subgroups import age_bands
from anthropo.showing import fielded

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Source = Literal["embeddings", "measurements"]

REGION = "face"  # whose embedding is drawn
FEWEST = 10  # photos: a map of fewer shows nothing
NEIGHBOURS = 5

_PERPLEXITY = 30.0
_KNOWN = 0.5  # of the photos: measurements that fewer have are left out
_BANDS = 5  # of a column of numbers
_DEALS = 1000  # of the groups, to know what chance gives


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """What faces are compared by."""

    values: Floats  # (n, d), each column of mean 0 and SD 1; of several encoders all weigh alike
    described: str


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which photos belong together."""

    names: tuple[str, ...]  # largest first; of numbers, in their order
    index: Ints  # (n,) into names; -1: not given
    ordered: bool


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """How often the nearest other people are of the same group, among all numbers and not on a map."""

    k: int
    by_group: tuple[Interval, ...]  # share of each group's photos that their neighbours' vote names
    accuracy: Interval  # mean over the groups of two people or more
    chance: float  # the same with groups dealt at random
    chance_hi: float  # which chance exceeds once in twenty times
    p: float
    reason: str = ""  # why there are no figures


@dataclass(frozen=True, slots=True, eq=False)
class FaceMap:
    """Two views of the same faces."""

    tsne: Floats  # (n, 2)
    pca: Floats  # (n, 2)
    shares: tuple[float, float]  # of the variance, on PCA's axes
    perplexity: float
    trust: dict[str, float]  # "tsne", "pca": share of neighbours on the map that are none, taken off 1
    seed: int

    __repr__ = fielded


def numbers_of(features: Features, source: Source) -> Numbers:
    """Standardised embeddings of the face, or measurements.

    A measurement that fewer than half of the photos have is left out, others take the median where they are
    missing.
    """
    n = len(features)
    if n < FEWEST:
        raise InputError(f"{n} photo{'' if n == 1 else 's'} to draw, {FEWEST} are needed. Add people.")
    if source == "embeddings":
        seen = {name: of for name, of in features.regions.items() if plain_region(name) == REGION}
        seen = seen or {name: of for name, of in features.regions.items() if name != BACKGROUND}
        values = np.hstack(list(seen.values())).astype(np.float64)
        kept = np.ones(values.shape[1], dtype=bool)
        # each encoder counts alike, however many numbers it gives
        weight = np.concatenate([np.full(of.shape[1], of.shape[1] ** -0.5) for of in seen.values()])
        weight /= weight.max()
        text = f"embedding of the region {', '.join(seen)}, {values.shape[1]} numbers"
    else:
        values = features.measurements.copy()
        known = np.isfinite(values)
        kept = known.mean(0) >= _KNOWN
        values, known = values[:, kept], known[:, kept]
        values = np.where(known, values, np.nanmedian(values, axis=0) if kept.any() else 0.0)
        weight = np.ones(values.shape[1])
        text = f"{int(kept.sum())} measurements"
        if not kept.all():
            text += f" ({int((~kept).sum())} left out, which fewer than half of the photos have)"
        if not known.all():
            text += f"; {100 * (1 - known.mean()):.1f} % of the values missing, taken as the median"
    spread = values.std(0)
    varied = spread > 1e-12 * np.maximum(1, np.abs(values.mean(0)))
    if varied.sum() < 2:
        raise InputError(f"The photos do not differ in their {source}: there is nothing to draw.")
    values, spread = values[:, varied], spread[varied]
    standardised = (values - values.mean(0)) / spread
    return Numbers(standardised * weight[varied], f"{text}; each standardised")


def group_by(cells: Sequence[str], kind: Kind) -> Grouping:
    """Photos by the cells of a column; ages by bands, other numbers by fifths."""
    if kind == "age":
        words, names = _ages(np.array(typed(cells, kind), dtype=np.float64))
    elif kind == "number":
        words, names = _fifths(np.array(typed(cells, kind), dtype=np.float64))
    else:
        words = ["" if word is None else str(word) for word in typed(cells, kind)]
        counts = Counter(word for word in words if word)
        names = sorted(counts, key=lambda name: (-counts[name], name))
    if not names:
        raise InputError("The column that the map is coloured by is empty for all photos that can be used.")
    at = {name: i for i, name in enumerate(names)}
    index = np.array([at.get(word, -1) for word in words])
    return Grouping(tuple(names), index, ordered=kind in ("age", "number"))


def _ages(years: Floats) -> tuple[list[str], list[str]]:
    """Each photo's band, and the bands that occur."""
    words = age_bands(years.tolist())
    (missing,) = age_bands([None])
    first = {word: year for year, word in sorted(zip(years.tolist(), words, strict=True), reverse=True)}
    return words, sorted(set(words) - {missing}, key=lambda word: first[word])


def _fifths(numbers: Floats) -> tuple[list[str], list[str]]:
    """Each photo's fifth, called by its smallest and largest number, and those that occur."""
    known = np.isfinite(numbers)
    inner = np.quantile(numbers[known], np.arange(1, _BANDS) / _BANDS) if known.any() else np.zeros(0)
    part = np.searchsorted(np.unique(inner), numbers)
    words = np.full(len(numbers), "", dtype=object)
    names = []
    for i in np.unique(part[known]):
        members = known & (part == i)
        low, high = numbers[members].min(), numbers[members].max()
        names.append(f"{low:g}" if low == high else f"{low:g} to {high:g}")
        words[members] = names[-1]
    return words.tolist(), names


def neighbours(values: Floats, groups: Grouping, patients: NDArray[np.str_], *, seed: int = 0) -> Neighbours:
    """Whether the nearest other people are of the same group.

    Parameters
    ----------
    values : (n, d) array
        Of `numbers_of`: all of them, not their map.
    groups : Grouping
    patients : (n,) array
        Photos of the same person are no neighbours.
    seed : int

    Returns
    -------
    Neighbours
        Each photo is named by the vote of its five nearest of other people; nearer ones decide ties. Groups
        count alike, because most neighbours are of the largest group by chance. For chance the
        people exchange their groups; photos do, where somebody's photos are of several.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.groups import Grouping, neighbours
    >>> labels = np.repeat([0, 1], 20)
    >>> values = np.random.default_rng(0).normal(size=(40, 3)) + 5 * labels[:, None]
    >>> groups = Grouping(("affected", "control"), labels, ordered=False)
    >>> print(neighbours(values, groups, np.arange(40).astype(str)).accuracy)
    1.000 (0.886 to 1.000)
    """
    from scipy.spatial import cKDTree

    given = groups.index >= 0
    x, y, who = values[given], groups.index[given], patients[given]
    c = len(groups.names)
    several = np.array([len(set(who[y == i].tolist())) > 1 for i in range(c)])
    if several.sum() < 2:
        nothing = Interval(math.nan, reason="fewer than two groups with two people or more")
        return Neighbours(NEIGHBOURS, (), nothing, math.nan, math.nan, math.nan, nothing.reason)
    most = max(Counter(who.tolist()).values())
    k = min(NEIGHBOURS, len(set(who.tolist())) - 1)
    _, near = cKDTree(x).query(x, min(len(x), NEIGHBOURS + most))
    nearest = np.array([row[who[row] != name][:k] for row, name in zip(near, who, strict=True)])

    # an earlier neighbour's vote weighs a little more, so that ties are decided
    weights = 1 + 1e-3 * np.arange(nearest.shape[1])[::-1]

    def named(labels: Ints) -> Ints:
        votes = np.zeros((len(labels), c))
        for column, weight in zip(nearest.T, weights, strict=True):
            votes[np.arange(len(labels)), labels[column]] += weight
        return np.asarray(votes.argmax(1))

    def accuracy(labels: Ints) -> float:
        hits = np.bincount(labels, named(labels) == labels, c)
        return float((hits / np.maximum(np.bincount(labels, minlength=c), 1))[several].mean())

    first, person = np.unique(who, return_index=True, return_inverse=True)[1:]
    whole = bool((y[first][person] == y).all())
    random = np.random.default_rng(seed)
    deals = (random.permutation(y[first])[person] if whole else random.permutation(y) for _ in range(_DEALS))
    dealt = np.array([accuracy(labels) for labels in deals])
    hits = named(y) == y
    shares = tuple(proportion(hits[y == i], who[y == i], "no photo of the group") for i in range(c))
    mean = mean_of([shares[i] for i in np.flatnonzero(several)], len(y))
    p = float((np.sum(dealt >= accuracy(y) - 1e-12) + 1) / (_DEALS + 1))
    return Neighbours(k, shares, mean, float(dealt.mean()), float(np.quantile(dealt, 0.95)), p)


def default_perplexity(photos: int) -> float:
    """30, or less where that is more than a third of the neighbours that there are."""
    return min(_PERPLEXITY, (photos - 1) / 3)


def draw_map(values: Floats, *, perplexity: float | None = None, seed: int = 0) -> FaceMap:
    """Lay faces out on a plane, by t-SNE and by principal components.

    Parameters
    ----------
    values : (n, d) array
        Of `numbers_of`.
    perplexity : float, optional
        How many neighbours t-SNE looks at, about. Left out: `default_perplexity`.
    seed : int

    Returns
    -------
    FaceMap
        The same for the same numbers and seed.

    Raises
    ------
    InputError
        If there are too few photos for the perplexity.

    Notes
    -----
    t-SNE [1]_ is started from the principal components [2]_; trustworthiness is that of [3]_.

    References
    ----------
    .. [1] van der Maaten & Hinton, "Visualizing data using t-SNE", JMLR 9:2579 (2008).
    .. [2] Kobak & Berens, "The art of using t-SNE for single-cell transcriptomics", Nature Communications
       10:5416 (2019).
    .. [3] Venna & Kaski, "Neighborhood preservation in nonlinear projection methods", ICANN (2001).

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.groups import draw_map
    >>> made = draw_map(np.random.default_rng(0).normal(size=(30, 5)))
    >>> made.tsne.shape, made.pca.shape, round(made.perplexity, 2)
    ((30, 2), (30, 2), 9.67)
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness
    from threadpoolctl import threadpool_limits

    n = len(values)
    if perplexity is not None and perplexity > (n - 1) / 3:
        most = math.floor(10 * (n - 1) / 3) / 10
        given = parameter("perplexity", int(perplexity) if perplexity == int(perplexity) else perplexity)
        raise InputError(f"{given}: with {n} photos {most:g} is the most, a third of the others. Give less.")
    perplexity = default_perplexity(n) if perplexity is None else perplexity
    projection = PCA(2, svd_solver="full", random_state=seed)
    embedding = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
    with threadpool_limits(1):  # the order of sums must not depend on the cores
        views = {"tsne": embedding.fit_transform(values), "pca": projection.fit(values).transform(values)}
        k = min(NEIGHBOURS, (n - 1) // 2)
        trust = {name: float(trustworthiness(values, at, n_neighbors=k)) for name, at in views.items()}
    tsne, pca = (np.asarray(views[name], dtype=np.float64) for name in ("tsne", "pca"))
    one, two = projection.explained_variance_ratio_.tolist()
    return FaceMap(tsne, pca, (one, two), perplexity, trust, seed)
