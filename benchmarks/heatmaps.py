"""Heatmaps: do they lie where the model looks (deletion test), and where a face was changed (morph test)?

    python benchmarks/heatmaps.py FOLDER [--faces 40] [--tasks NAME ...] [--compare] [--cache DIR]
    python benchmarks/heatmaps.py --morphs [--patients 40] [--sd 2.5] [--seed 100]

FOLDER as for benchmarks/hybrid.py. There are five folds of people. Each face's heatmaps are made as in
`anthropo explain`, for the label that a model which has not seen the person decides for. A tenth of the
face's square is removed: the most supportive tenth, or a random tenth in patches of the same size.

--compare: other methods beside the one that is used, on the first fold only, on which it was chosen; the
other table is of folds 2 to 5.

--morphs: cohorts of synthetic controls and of patients with a single change (`anthropo.synthetic`). Changed
regions are those that hold at least nine tenths of the displacement of the landmarks. Score: the
contribution to the log-odds, of eyes, mouth and lower half, the parts that a model scores by default. Heat:
the share of the supportive values inside the smallest changed region of all, in the whole map and in
the map of the region "face" alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from hybrid import read, tasks
from torch.nn import functional

from anthropo.encoder.encoders import Encoder, load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS, FILL, HYBRID_REGIONS, REGIONS, crops, frame_to, hidden
from anthropo.explanation.chip_scene import ChipScene
from anthropo.explanation.heads import Head
from anthropo.explanation.heatmap import heat_of_chips
from anthropo.explanation.maps import Faithfulness, spread_over
from anthropo.face.shape import shapes
from anthropo.learning.cohort import read_cohort
from anthropo.learning.columns import Columns
from anthropo.learning.features import Features, extract, feature_frame
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.splits import split
from anthropo.observation import observe
from anthropo.settings import Settings
from anthropo.synthetic import CONTROL, SINGLE_MORPHS, Morph, Syndrome, make_cohort

FOLDS = 5
PARTS = ("eyes", "mouth", "lower")  # that are scored, beside the whole face
Maps = Callable[["ChipScene", int], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--morphs", action="store_true")
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--faces", type=int, default=40, help="of each task")
    parser.add_argument("--tasks", nargs="+", help="only these")
    parser.add_argument("--classifier", default="xgboost")
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--sd", type=float, default=2.5)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.morphs:
        morph_test(arguments)
    elif arguments.folder:
        deletion_test(arguments)
    else:
        parser.error("a FOLDER of photographs, or --morphs")


def design(features: Features) -> pd.DataFrame:
    """Measurements and regions, without the background."""
    table = feature_frame(features)
    columns = Columns.of(list(table.columns))
    return table[[*columns.measurements, *(c for r in DEFAULT_REGIONS for c in columns.regions[r])]]


def chips_of(path: str, settings: Settings, encoder: Encoder) -> np.ndarray:
    seen = observe(path, settings)
    return crops(seen.photo, seen.face, DEFAULT_REGIONS, encoder.size)


# ------------------------------------------------------------------------------------- deletion test


def deletion_test(arguments: argparse.Namespace) -> None:
    features, rows = read(arguments.folder, arguments.jobs, arguments.cache)
    table = design(features)
    encoder, settings = load_encoder(), Settings(face="largest")
    # the same people in each fold for every task: nobody whom the method was chosen on is in the figures
    dealt = ["even" if i % 2 else "odd" for i in range(len(features))]
    folds = split(dealt, features.patients.tolist(), FOLDS, 0).index
    methods = METHODS if arguments.compare else {"": ChipScene.maps}
    found: dict[str, list[tuple[Faithfulness, float, float, float]]] = {name: [] for name in methods}
    print(
        "| task | faces | top tenth loses more than a random tenth | lost, log-odds (median) | at random | "
        "deletion below random | insertion above | sanity correlation, median | 95 % | passes | "
        "left over, share of the log-odds | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for number, (task, positive) in enumerate(tasks(rows).items()):
        if arguments.tasks and task not in arguments.tasks:
            continue
        labels = np.where(positive, "yes", "no")
        random = np.random.default_rng(number)
        own: list[tuple[Faithfulness, float, float, float]] = []
        for fold in (0,) if arguments.compare else range(1, FOLDS):
            out = folds == fold
            model = HybridClassifier(arguments.classifier).fit(
                table[~out].reset_index(drop=True), labels[~out], features.patients[~out]
            )
            # as many positive as negative ones
            each = arguments.faces // (2 if arguments.compare else 2 * (FOLDS - 1))
            for label in ("yes", "no"):
                for row in random.permutation(np.flatnonzero(out & (labels == label)))[:each]:
                    weights = np.full(2, -1.0)
                    weights[int(model.margins(table.iloc[[row]])[0].argmax())] = 1.0
                    heads = [Head.of(model, region, weights) for region in DEFAULT_REGIONS]
                    chips = chips_of(str(features.photos[row]), settings, encoder)
                    for name, maps in methods.items():
                        result = timed(encoder, chips, heads, maps, arguments.compare)
                        found[name].append(result)
                        own.append(result)
        if not arguments.compare:
            print(line(task, own), flush=True)
    for name, results in found.items():
        print(line(name or "all", results), flush=True)


def timed(
    encoder: Encoder, chips: np.ndarray, heads: list[Head], maps: Maps, map_alone: bool
) -> tuple[Faithfulness, float, float, float]:
    """Faithfulness of the whole map, the log-odds it does not account for, those it explains, and seconds."""
    kept = ChipScene.maps
    spent: list[float] = []

    def clocked(scene: ChipScene, steps: int) -> np.ndarray:
        start = time.perf_counter()
        found = maps(scene, steps)
        spent.append(time.perf_counter() - start)
        return found

    ChipScene.maps = clocked  # type: ignore[method-assign]
    start = time.perf_counter()
    try:
        whole = heat_of_chips(encoder, chips, DEFAULT_REGIONS, heads).whole
    finally:
        ChipScene.maps = kept  # type: ignore[method-assign]
    assert whole.faithfulness is not None
    seconds = spent[0] if map_alone else time.perf_counter() - start
    return whole.faithfulness, abs(whole.completeness), abs(whole.contribution - whole.baseline), seconds


def line(name: str, results: list[tuple[Faithfulness, float, float, float]]) -> str:
    f = [r[0] for r in results]
    sanity = np.array([x.sanity_correlation for x in f])
    more = np.mean([x.top_tenth_drop > x.random_tenth_drop for x in f])
    return (
        f"| {name} | {len(f)} | {100 * more:.0f} % | {np.median([x.top_tenth_drop for x in f]):+.2f} | "
        f"{np.median([x.random_tenth_drop for x in f]):+.2f} | "
        f"{100 * np.mean([x.deletion < x.random for x in f]):.0f} % | "
        f"{100 * np.mean([x.insertion > x.random for x in f]):.0f} % | {np.median(sanity):.2f} | "
        f"{np.quantile(sanity, 0.95):.2f} | {100 * np.mean([x.passes for x in f]):.0f} % | "
        f"{sum(r[1] for r in results) / sum(r[2] for r in results):.2f} | "
        f"{np.median([r[3] for r in results]):.2f} |"
    )


# ------------------------------------------------------------------------------ other methods


def _chips(scene: ChipScene) -> tuple[torch.Tensor, torch.Tensor]:
    """The chips, and those in which nothing is to be seen, in torch."""
    return torch.from_numpy(scene.chips), torch.from_numpy(scene.base)


def _both(chips: torch.Tensor) -> torch.Tensor:
    return torch.cat([chips, chips.flip(2)])


def _embedded(scene: ChipScene, chips: torch.Tensor) -> torch.Tensor:
    return scene.backend.network(scene.backend.prepared(_both(chips)))


def _gradient(scene: ChipScene, embedded: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Of the log-odds of all chips, at what the embeddings were computed from."""
    half = len(embedded) // 2
    mean = ((embedded[:half] + embedded[half:]) / 2).detach().numpy()
    towards = np.concatenate([h.gradient(e[None]) for h, e in zip(scene.heads, mean, strict=True)]) / 2
    towards = np.concatenate([towards, towards]).astype(np.float32)
    return torch.autograd.grad(embedded, at, torch.from_numpy(towards))[0]


def _pixels(scene: ChipScene, gradient: torch.Tensor, way: torch.Tensor) -> np.ndarray:
    """Attribution (r, size, size) on pixels, smoothed as the maps are."""
    flat = (gradient * way).sum(3).numpy().astype(np.float64)
    spread = spread_over(150, 150, (1, 0))
    return spread @ flat @ spread.T * scene.masks


def on_pixels(steps: int, base: str = "blurred") -> Maps:
    """Integrated gradients on the pixels."""

    def maps(scene: ChipScene, _: int) -> np.ndarray:
        chips, start = _chips(scene)
        if base == "painted over":
            start = torch.tensor(FILL, dtype=torch.float32).expand_as(chips)
        way = chips - start
        total = torch.zeros_like(way)
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            at = (start + float(node) * way).requires_grad_()
            total += float(weight) * _gradient(scene, _embedded(scene, at), at)
        return _pixels(scene, total, way)

    return maps


def smooth_gradient(draws: int, spread: float) -> Maps:
    """SmoothGrad (Smilkov et al. 2017), times the way from the blurred chip; the gradient without noise."""

    def maps(scene: ChipScene, _: int) -> np.ndarray:
        random = torch.Generator().manual_seed(0)
        inside = torch.from_numpy(scene.masks)[..., None]
        chips, base = _chips(scene)
        total = torch.zeros_like(chips)
        for _ in range(draws):
            noise = spread * inside * torch.randn(chips.shape, generator=random)
            at = (chips + noise).requires_grad_()
            total += _gradient(scene, _embedded(scene, at), at) / draws
        return _pixels(scene, total, chips - base)

    return maps


def in_layer(blocks: int, steps: int, camera: bool = False) -> Maps:
    """Integrated gradients after some blocks of the face network, or Grad-CAM (Selvaraju et al. 2017)."""

    def maps(scene: ChipScene, _: int) -> np.ndarray:
        network = scene.backend.network

        def early(chips: torch.Tensor) -> torch.Tensor:
            x = scene.backend.prepared(_both(chips))
            return network.blocks[:blocks](functional.max_pool2d(functional.relu(network.first(x)), 3, 2))

        with torch.no_grad():
            chips, base = _chips(scene)
            start, end = early(base), early(chips)
        way = end - start
        total = torch.zeros_like(way)
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        if camera:
            nodes, weights = np.array([1.0]), np.array([2.0])
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            at = (start + float(node) * way).requires_grad_()
            embedded = network.projection(network.blocks[blocks:](at).mean((2, 3)))
            total += float(weight) * _gradient(scene, embedded, at)
        places = (total.mean((2, 3), keepdim=True) * end if camera else total * way).sum(1)
        # pixels from one place to the next grow twofold with each stage; the first lies where it sees most
        step = 150 / places.shape[1] if blocks > 3 else 4
        first = step / 2 if blocks > 3 else 5
        apart = np.arange(150)[:, None] - (first + step * np.arange(places.shape[1]))
        spread = np.exp(-((apart / max(step, 4.5)) ** 2) / 2)
        spread /= spread.sum(0)
        values = spread @ places.numpy().astype(np.float64) @ spread.T
        half = len(scene.chips)
        return (values[:half] + values[half:, :, ::-1]) * scene.masks

    return maps


def edges(scene: ChipScene, _: int) -> np.ndarray:
    """No explanation at all: what blurring takes away."""
    chips, base = _chips(scene)
    return _pixels(scene, (chips - base).sign(), chips - base)


METHODS: dict[str, Maps] = {
    "integrated gradients after 3 blocks, 6 steps (used)": ChipScene.maps,
    "after 3 blocks, 3 steps": in_layer(3, 3),
    "after the first convolution, 6 steps": in_layer(0, 6),
    "after 7 blocks, 6 steps": in_layer(7, 6),
    "on the pixels, 6 steps": on_pixels(6),
    "on the pixels, 24 steps": on_pixels(24),
    "on the pixels, from a region painted over, 6 steps": on_pixels(6, "painted over"),
    "SmoothGrad, 6 draws": smooth_gradient(6, 15.0),
    "gradient": smooth_gradient(1, 0.0),
    "Grad-CAM after 7 blocks": in_layer(7, 1, camera=True),
    "edges": edges,
}


# ---------------------------------------------------------------------------------------- morph test


def changed(morph: Morph) -> list[str]:
    """The regions that hold nine tenths of a morph's displacement, the smallest first."""
    mean = shapes()[0]
    to = frame_to(mean)
    points = np.concatenate([mean, mean[36:42].mean(0)[None], mean[42:48].mean(0)[None]])
    x, y = ((points - to[:, 2]) @ np.linalg.inv(to[:, :2]).T).T
    moved = np.hypot(*morph.direction.T)
    share = {}
    names = [name for name in HYBRID_REGIONS if name != "face"]
    for name in names:
        left, top, right, bottom = REGIONS[name].box
        inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        share[name] = moved[inside].sum() / moved.sum()
    return sorted((n for n in names if share[n] >= 0.9), key=lambda n: (~hidden(REGIONS[n], 150)).sum())


def morph_test(arguments: argparse.Namespace) -> None:
    encoder, settings = load_encoder(), Settings(face="largest", force=True)
    print(
        "| change | region | its share of the square | cases detected | largest score in a changed region | "
        "heat inside, whole map | face alone | cases with 60 % of the heat inside |"
    )
    print("|---|---|---|---|---|---|---|---|")
    every: list[tuple[bool, float, float]] = []
    cases = 0
    for number, (name, morph) in enumerate(SINGLE_MORPHS.items()):
        low, high = morph.range
        amount = arguments.sd if high >= arguments.sd else high if high > -low else low
        right = changed(morph)
        inside = ~hidden(REGIONS[right[0]], encoder.size)
        with tempfile.TemporaryDirectory() as folder:
            path = make_cohort(
                Path(folder) / "cohort", arguments.patients,
                (CONTROL, Syndrome("synthetic-1", name, {name: amount})),
                seed=arguments.seed + number, jobs=arguments.jobs,
            )  # fmt: skip
            features = extract(
                read_cohort(path), settings, encoder, regions=DEFAULT_REGIONS, jobs=arguments.jobs
            )
            own = _morphed(features, arguments, encoder, settings, right, inside)
        tested = int((features.labels != CONTROL).sum())
        print(
            f"| {name} {amount:+g} SD | {right[0]} | {100 * inside.mean():.0f} % | {len(own)} of {tested} | "
            f"{_heat(own)} |",
            flush=True,
        )
        every += own
        cases += tested
    print(f"| all | | | {len(every)} of {cases} | {_heat(every)} |")


def _morphed(
    features: Features,
    arguments: argparse.Namespace,
    encoder: Encoder,
    settings: Settings,
    right: list[str],
    inside: np.ndarray,
) -> list[tuple[bool, float, float]]:
    """For each detected case: whether a changed region has the largest score; both shares of heat inside."""
    table, labels = design(features), features.labels
    folds = split(labels.tolist(), features.patients.tolist(), FOLDS, 0).index
    found = []
    for fold in range(FOLDS):
        out = folds == fold
        model = HybridClassifier(arguments.classifier, controls=CONTROL).fit(
            table[~out].reset_index(drop=True), labels[~out], features.patients[~out]
        )
        rows = np.flatnonzero(out & (labels != CONTROL))
        weights = np.where(model.classes_ == CONTROL, -1.0, 1.0)
        told = model.contributions(table.iloc[rows])
        for at in np.flatnonzero(told.total @ weights > 0):
            scores = {region: float(told.regions[region][at] @ weights) for region in PARTS}
            heads = [Head.of(model, region, weights) for region in DEFAULT_REGIONS]
            chips = chips_of(str(features.photos[rows[at]]), settings, encoder)
            heat = heat_of_chips(encoder, chips, DEFAULT_REGIONS, heads, judge=False)
            shares = []
            for one in (heat.whole, heat.regions["face"]):
                positive = np.clip(one.values, 0, None)
                shares.append(float(positive[inside].sum() / positive.sum()) if positive.any() else np.nan)
            found.append((max(scores, key=scores.__getitem__) in right, shares[0], shares[1]))
    return found


def _heat(cases: list[tuple[bool, float, float]]) -> str:
    lead, whole, face = np.array(cases, dtype=float).reshape(-1, 3).T
    return (
        f"{100 * lead.mean():.0f} % | {100 * whole.mean():.0f} % | {100 * np.nanmean(face):.0f} % | "
        f"{100 * (whole >= 0.6).mean():.0f} %"
    )


if __name__ == "__main__":
    main()
