"""How far apart the photos of two sites are, before they are adapted and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from anthropo.adaptation import proxy_distance
from anthropo.learning.domains import marked
from anthropo.learning.features import BACKGROUND, Features, subset
from anthropo.learning.intervals import Interval, unknown
from anthropo.learning.judged import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Proxy A-distances between a site, or a target, and the photos that are brought to it."""

    site: str
    method: str  # none: as they are
    embeddings: Interval  # 0: nothing tells them apart; 2: everybody is told
    measurements: Interval


def shifts(
    features: Features,
    methods: Sequence[str],
    *,
    target: Features | None = None,
    regions: Sequence[str] | None = None,
    seed: int = 0,
    jobs: int = 1,
    on_progress: Callable[[], None] | None = None,
) -> tuple[Shift, ...]:
    """Distances of a target to the cohort, or without one of each site to the others, without the background.

    Adaptation is fitted anew without the people on whom photos of both are told apart.
    """
    features = marked(features)
    sites = features.sites
    assert sites is not None
    pairs = [("target", features, target)] if target is not None else []
    for name in dict.fromkeys(sorted(sites.tolist())) if target is None else ():
        pairs.append((name, subset(features, sites != name), subset(features, sites == name)))

    def one(task: tuple[str, Features, Features, str]) -> Shift:
        name, here, there, method = task
        chosen = [r for r in regions or here.regions if r in there.regions and r != BACKGROUND]
        blocks = [[np.asarray(of.regions[r], dtype=np.float64) for r in chosen] for of in (here, there)]
        return Shift(
            site=name,
            method=method,
            embeddings=_distance(here, there, blocks, method, False, seed),
            measurements=_distance(
                here, there, [[here.measurements], [there.measurements]], method, True, seed
            ),
        )

    tasks = [(*pair, method) for pair in pairs for method in methods]
    made = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for shift in pool.map(one, tasks):
            made.append(shift)
            if on_progress:
                on_progress()
    return tuple(made)


def _distance(
    here: Features, there: Features, blocks: list[list[Floats]], method: str, named: bool, seed: int
) -> Interval:
    if not blocks[0] or not blocks[0][0].shape[1]:
        return unknown("there are none")
    value, lo, hi = proxy_distance(
        blocks[0],
        blocks[1],
        (here.patients, there.patients),
        method,
        sites=here.sites,
        named=named,
        seed=seed,
    )
    return Interval(value, lo, hi, len(here) + len(there))
