"""Where in the face a region's log-odds come from: maps of attribution, and how faithful each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.adaptation.methods import Affine, Map, Transported
from anthropo.encoder.regions import (
    ALIGNMENTS,
    FACE_WINDOW,
    IMAGE,
    crops,
    find_region,
    frame_of,
    frame_to,
    hidden,
    middle_square,
)
from anthropo.errors import InputError
from anthropo.face.landmarker import Face
from anthropo.face.warp import blurring
from anthropo.learning.fitted import FittedHybrid
from anthropo.parallel.threads import Threads
from anthropo.photo import Photo

if TYPE_CHECKING:
    from torch import Tensor

    from anthropo.encoder.backends import Backend
    from anthropo.encoder.encoders import ChipEncoder, Encoder
    from anthropo.networks.chips import View
    from anthropo.networks.encoder import NetworkEncoder

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Singles = NDArray[np.float32]

#: The name of the map of all regions together.
WHOLE = "whole"

_STEPS = 6  # of the integral; more make the map no more faithful
_FEW_STEPS = 2  # for the network that knows nothing, whose map needs no units
_BLUR = 1 / 20  # share of a chip's side, 1 SD: eyes, nose and mouth are no more than shades
_SMOOTH = 1 / 33  # share of a chip's side, 1 SD: about as fine as the network sees
_SHARES = (0.1, 0.5)  # of the pixels that are removed
_SIDES = (24, 150)  # px, of the map of a network with pictures of its own
# Correlation of absolute values, above which a map does not show what was learned. Maps of two networks that
# know nothing correlate at 0.4, 95 % of them below 0.6, since both are of one picture; an edge detector at 1.
_SANITY = 0.7


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Tests of whether a map shows what the model looks at.

    Pixels are removed by blurring them away. `deletion`, `insertion` and `random` are areas under curves:
    the mean log-odds between everything being there and nothing.
    """

    deletion: float  # the most supportive pixels go first; lower than `random` is good
    insertion: float  # the most supportive pixels go last; higher than `random` is good
    random: float  # pixels go in random patches
    top_tenth_drop: float  # log-odds lost without the most supportive tenth of the pixels
    random_tenth_drop: float  # log-odds lost without a random tenth
    sanity_correlation: float  # rank correlation with the map of a network that knows nothing
    passes: bool
    reason: str  # why it does not


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Where a region's contribution to the log-odds comes from."""

    region: str
    values: Floats  # (size, size) of the face's chip, log-odds per pixel; 0 outside the region
    contribution: float  # of the region, log-odds
    baseline: float  # of the same chip blurred until nothing can be seen, log-odds
    faithfulness: Faithfulness | None = None  # None: not asked for, or the region has no say in the model

    @property
    def completeness(self) -> float:
        """Log-odds that the map leaves over: the contribution less the baseline and the map's sum."""
        return self.contribution - self.baseline - float(self.values.sum())


@dataclass(frozen=True, slots=True, eq=False)
class FaceHeat:
    """The heatmaps of a face."""

    regions: dict[str, Heatmap]
    whole: Heatmap  # the sum of all


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What a region's embedding contributes to the log-odds: its kernel ridge regression."""

    centre: Floats  # (d,)
    frequencies: Floats  # (f, d)
    readout: Floats  # (2 f,)
    brought: Affine | None = None  # what brings embeddings to those that the model was trained with

    @classmethod
    def of(cls, model: FittedHybrid, region: str, weights: Floats, brought: Affine | None = None) -> Head:
        """The head of a region for a sum of the labels' margins, weights (k,)."""
        at = list(model.regions_).index(region)
        fitted = model.regions_[region]
        # contributions have mean 0 over the labels: so has what reads them
        reader = model.region_weights[at] * (weights - weights.mean()) / model.score_spread_[at]
        numbers = fitted.centre, fitted.scale * fitted.frequencies, fitted.weights @ reader
        centre, frequencies, readout = (np.array(n, dtype=np.float64) for n in numbers)
        return cls(centre, frequencies, readout, brought)

    def __call__(self, embeddings: NDArray[np.floating]) -> Floats:
        """Log-odds (n,) of embeddings (n, d)."""
        phase = self._sphere(embeddings)[0] @ self.frequencies.T
        features = np.concatenate([np.cos(phase), np.sin(phase)], 1) / len(self.frequencies) ** 0.5
        return np.asarray(features @ self.readout)

    def gradient(self, embeddings: NDArray[np.floating]) -> Floats:
        """Gradient (n, d) of the log-odds by the embeddings (n, d)."""
        sphere, length = self._sphere(embeddings)
        phase, (of_cos, of_sin) = sphere @ self.frequencies.T, np.split(self.readout, 2)
        by_phase = (np.cos(phase) * of_sin - np.sin(phase) * of_cos) / len(self.frequencies) ** 0.5
        by_sphere = by_phase @ self.frequencies
        # along the radius nothing changes
        there = (by_sphere - sphere * (sphere * by_sphere).sum(1, keepdims=True)) / length
        return np.asarray(there if self.brought is None else self.brought.gradient(there))

    def _sphere(self, embeddings: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """Centred embeddings of length 1, and how long they were, (n, 1)."""
        there = embeddings.astype(np.float64)
        there = (there if self.brought is None else self.brought(there)) - self.centre
        length = np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-12)
        return there / length, length


def heatmaps(
    model: FittedHybrid,
    encoder: Encoder,
    photo: Photo,
    face: Face | None,
    weights: Floats,
    *,
    regions: Sequence[str] | None = None,
    maps: Mapping[str, Map | None] | None = None,
    judge: bool = True,
    seed: int = 0,
    jobs: int = 1,
) -> FaceHeat:
    """Places in a face that the log-odds of its regions come from.

    Explained is a sum of the labels' margins with `weights` (k,): 1 for a label, and less than 0 for the
    others, as much as each counts in the comparison (`contrast`). Without a face, maps are of the photo's
    middle square. `maps` bring a region's embeddings to those that the model was trained with. To judge how
    faithful each map is takes three times as long; `seed` is that of the
    random order and of the network that knows nothing, and `jobs` the number of threads.

    Notes
    -----
    Integrated gradients (Sundararajan, Taly & Yan, ICML 2017) of the contribution, from a blurred chip to the
    chip, taken where the network still sees the face at a quarter of its resolution (after the first blocks;
    on the pixels for encoders of which these are not known). There the way is smooth enough for six steps
    of a Gauss-Legendre rule, and what the integral misses (`Heatmap.completeness`) is small. On the
    pixels the deletion test comes out better still, with twice as much left over (docs/benchmarks.md).

    Faithfulness: deletion and insertion (Petsiuk, Das & Saenko, BMVC 2018), against patches in random
    order as large as those of a map. Sanity: the map of the same network with shuffled weights (Adebayo et
    al., NeurIPS 2018); one that is like it shows the picture's edges and not what was learned.
    """
    names = tuple(model.regions_ if regions is None else regions)
    if not names:
        raise InputError("The model has no regions, so that there is nothing to draw a map of.")
    for name in names:
        if name not in model.regions_:
            known = ", ".join(model.regions_) or "none"
            raise InputError(f"region {name!r}: the model has no such region. Its regions are {known}.")
    from anthropo.encoder.encoders import ChipEncoder

    heads = []
    for name in names:
        brought = (maps or {}).get(name)
        assert not isinstance(brought, Transported)  # of which a model file has none
        heads.append(Head.of(model, name, np.asarray(weights, dtype=np.float64), brought))
    size = encoder.size
    if isinstance(encoder, ChipEncoder):
        if face is None:
            chips = middle_square(photo, size)[None]
        else:
            chips = crops(photo, face, names, size, encoder.align)
        heat = heat_of_chips(encoder, chips, names, heads, judge=judge, seed=seed, jobs=jobs)
        return heat if face is None or encoder.align == ALIGNMENTS[0] else _brought(heat, face, encoder.align)
    from anthropo.networks.encoder import NetworkEncoder

    assert isinstance(encoder, NetworkEncoder)  # there are no others
    readers = _readers(names, heads)
    scene = _Views.of(encoder, photo, face, list(readers), list(readers.values())) if readers else None
    return _drawn(scene, names, list(readers), size, judge, seed)


def heat_of_chips(
    encoder: ChipEncoder,
    chips: Pixels,
    names: Sequence[str],
    heads: Sequence[Head],
    *,
    judge: bool = True,
    seed: int = 0,
    jobs: int = 1,
) -> FaceHeat:
    """Like `heatmaps`, of the regions' chips (r, size, size, 3) and what reads their embeddings."""
    readers = _readers(names, heads)
    at = [names.index(name) for name in readers]
    chosen = list(readers), list(readers.values())
    scene = _Scene.of(encoder, chips[at], *chosen, jobs) if readers else None
    return _drawn(scene, names, list(readers), encoder.size, judge, seed)


def _brought(heat: FaceHeat, face: Face, align: str) -> FaceHeat:
    """Maps of chips that are aligned in a way of their own, as they lie in the common square."""
    from scipy.ndimage import map_coordinates

    size = heat.whole.values.shape[0]
    left, top, side = FACE_WINDOW
    places = (np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 2), -1) / size) * side + (left, top)
    common, own = frame_to(face.landmarks), frame_of(face, align)
    in_photo = places @ common[:, :2].T + common[:, 2]
    in_own = (in_photo - own[:, 2]) @ np.linalg.inv(own[:, :2]).T
    at = (in_own - (left, top)) / side * size - 0.5
    # a pixel of the common square covers so much of the chip, and so much of its log-odds
    share = float(np.linalg.det(common[:, :2]) / np.linalg.det(own[:, :2]))

    def brought(one: Heatmap) -> Heatmap:
        return replace(one, values=share * map_coordinates(one.values, (at[..., 1], at[..., 0]), order=1))

    return FaceHeat({name: brought(one) for name, one in heat.regions.items()}, brought(heat.whole))


def _readers(names: Sequence[str], heads: Sequence[Head]) -> dict[str, Head]:
    """The heads that read anything, by region; one that reads nothing would cost as much."""
    return {name: head for name, head in zip(names, heads, strict=True) if bool(head.readout.any())}


def _drawn(
    scene: _Scene | _Views | None,
    names: Sequence[str],
    used: Sequence[str],
    size: int,
    judge: bool,
    seed: int,
) -> FaceHeat:
    """The maps of a scene, and empty ones (size, size) of regions that have no say."""
    nothing = np.zeros((size, size) if scene is None else scene.masks.shape[1:])
    regions = {name: Heatmap(name, nothing, 0.0, 0.0) for name in names}
    if scene is None:
        return FaceHeat(regions, Heatmap(WHOLE, nothing, 0.0, 0.0))
    values = scene.maps(_STEPS)
    none, full = _log_odds(scene, np.stack([np.zeros_like(scene.masks), np.ones_like(scene.masks)]))
    verdicts = _judged(scene, values, full, none, seed) if judge else [None] * (len(used) + 1)
    for name, value, seen, blind, verdict in zip(used, values, full, none, verdicts, strict=False):
        regions[name] = Heatmap(name, value, float(seen), float(blind), verdict)
    whole = Heatmap(WHOLE, values.sum(0), float(full.sum()), float(none.sum()), verdicts[-1])
    return FaceHeat(regions, whole)


# ---------------------------------------------------------------------------------------- the maps


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """The chips of one face, and the same with nothing to be seen in them."""

    backend: Backend
    heads: Sequence[Head]
    masks: Masks  # (r, size, size), what belongs to each region
    chips: Singles  # (r, size, size, 3)
    base: Singles  # (r, size, size, 3)
    jobs: int = 1

    @classmethod
    def of(
        cls, encoder: ChipEncoder, chips: Pixels, names: Sequence[str], heads: Sequence[Head], jobs: int = 1
    ) -> _Scene:
        masks = np.stack([_shown(name, encoder.size) for name in names])
        there, base = (c.astype(np.float32) for c in (chips, blurred(chips, masks)))
        return cls(encoder.backend, heads, masks, there, base, jobs)

    @property
    def grid(self) -> tuple[int, int]:
        """Map's pixels from one place that the network sees to the next; the first one's."""
        return self.backend.grid

    def randomised(self, seed: int) -> _Scene:
        """The same for a network that knows nothing."""
        return replace(self, backend=self.backend.randomised(seed))

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """Log-odds (q, r) with the share (q, r, size, size) kept of each pixel."""

        def of(kept: NDArray[np.float32]) -> Floats:
            seen = self.base + kept[..., None] * (self.chips - self.base)
            embeddings = _mean(self.backend.embed(_both(seen)))
            return np.array([head(e[None])[0] for head, e in zip(self.heads, embeddings, strict=True)])

        return np.array(list(Threads(self.jobs).in_order(of, keeps)))

    def maps(self, steps: int) -> Floats:
        """Smoothed integrated gradients (r, size, size) of each chip's log-odds, from nothing to the chip."""
        start, end = (self.backend.early(_both(chips)) for chips in (self.base, self.chips))

        def towards(embeddings: Singles) -> Singles:
            pairs = zip(self.heads, _mean(embeddings), strict=True)
            half = np.concatenate([head.gradient(e[None]) for head, e in pairs]) / 2
            return np.concatenate([half, half]).astype(np.float32)

        def gradient(part: tuple[float, float]) -> Singles:
            node, weight = part
            at = start + np.float32(node) * (end - start)
            return np.asarray(np.float32(weight) * self.backend.gradient(at, towards))

        total = sum(Threads(self.jobs).in_order(gradient, _rule(steps)))
        places = (total * (end - start)).sum(1).astype(np.float64)
        spread = _spread(places.shape[1], self.masks.shape[1], self.grid)
        values = spread @ places @ spread.T
        maps: Floats = (values[: len(self.chips)] + values[len(self.chips) :, :, ::-1]) * self.masks
        return maps


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What a trained network sees of one face, and the same with nothing to be seen in it.

    Its pictures are cut and aligned in a way of their own. What is kept or removed is a square of the
    face's frame, as that of chips, which each picture is sampled from: maps come back the same way, as
    integrated gradients of what is kept.
    """

    encoder: NetworkEncoder
    heads: Sequence[Head]
    names: Sequence[str]
    masks: Masks  # (r, side, side), what of the square a region's picture shows
    places: Tensor  # (r, size, size, 2), where in the square each pixel lies, from -1 to 1
    chips: Tensor  # (r, size, size, 3)
    base: Tensor  # (r, size, size, 3)
    grid: tuple[int, int] = (1, 0)  # see `_Scene`

    @classmethod
    def of(
        cls,
        encoder: NetworkEncoder,
        photo: Photo,
        face: Face | None,
        names: Sequence[str],
        heads: Sequence[Head],
    ) -> _Views:
        import torch

        size, view = encoder.size, encoder.network.view
        chips = encoder.pictures(photo, face, names)
        visible: Masks = np.ones((len(names), size, size), dtype=bool)
        if face is not None and view.crops == "in-place":
            visible = np.stack([~hidden(view.region(name), size) for name in names])
        places = np.stack([_in_square(view, name, face) for name in names])
        # no finer than the coarsest picture, so that none of the square's pixels falls between its own
        apart = max(np.hypot(*(places[:, i, j] - places[:, 0, 0]).T).max() for i, j in ((0, 1), (1, 0)))
        side = int(np.clip(1 / apart, *_SIDES))
        grid = torch.from_numpy((2 * places - 1).astype(np.float32))
        kept = torch.zeros(len(names), 1, side, side, requires_grad=True)
        seen = _sampled(kept, grid) * torch.from_numpy(visible)
        masks = (torch.autograd.grad(seen.sum(), kept)[0][:, 0] > 0).numpy()
        there, base = (torch.from_numpy(c.astype(np.float32)) for c in (chips, blurred(chips, visible)))
        return cls(encoder, heads, names, masks, grid, there, base)

    def randomised(self, seed: int) -> _Views:
        """See `_Scene.randomised`."""
        return replace(self, encoder=self.encoder.randomised(seed))

    def embeddings(self, kept: Tensor) -> list[Tensor]:
        """Of each picture and its mirror image, the mean, with the share kept (r, side, side)."""
        import torch

        seen = self.base + _sampled(kept[:, None], self.places)[..., None] * (self.chips - self.base)
        both = (torch.cat([picture[None], picture[None].flip(2)]) for picture in seen)
        features = self.encoder.network.features
        return [features(name, pair).mean(0) for name, pair in zip(self.names, both, strict=True)]

    def log_odds(self, keeps: NDArray[np.float32]) -> Floats:
        """See `_Scene.log_odds`."""
        import torch

        with torch.inference_mode():
            every = [self.embeddings(kept) for kept in torch.from_numpy(keeps)]
        pairs = (zip(self.heads, embeddings, strict=True) for embeddings in every)
        return np.array([[head(e.numpy()[None])[0] for head, e in pair] for pair in pairs])

    def maps(self, steps: int) -> Floats:
        """See `_Scene.maps`."""
        import torch

        shape = self.masks.shape
        total = torch.zeros(shape)
        for node, weight in _rule(steps):
            at = torch.full(shape, node).requires_grad_()
            embeddings = self.embeddings(at)
            pairs = zip(self.heads, (e.detach().numpy()[None] for e in embeddings), strict=True)
            towards = [torch.from_numpy(head.gradient(e)[0]).to(torch.float32) for head, e in pairs]
            total += weight * torch.autograd.grad(embeddings, at, towards)[0]
        spread = _spread(shape[1], shape[1], self.grid)
        maps: Floats = spread @ total.numpy().astype(np.float64) @ spread.T * self.masks
        return maps


def _rule(steps: int) -> list[tuple[float, float]]:
    """Nodes from 0 to 1 and weights of a Gauss-Legendre rule."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return list(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


def _log_odds(scene: _Scene | _Views, keeps: NDArray[Any]) -> Floats:
    """Log-odds (q, r) with only those pixels seen that are 1 in keeps (q, r, size, size)."""
    return scene.log_odds(keeps.astype(np.float32))


def _in_square(view: View, region: str, face: Face | None) -> Floats:
    """Where a picture's pixels lie in the square of the maps, (size, size, 2), from 0 to 1."""
    across = (np.arange(view.size) + 0.5) / view.size
    places = np.stack(np.meshgrid(across, across), -1)
    if face is None:
        return places
    left, top, right, bottom = view.box(view.region(region))
    of_view, common = view.frame(face), frame_to(face.landmarks)
    in_photo = ((left, top) + places * (right - left, bottom - top)) @ of_view[:, :2].T + of_view[:, 2]
    in_frame = (in_photo - common[:, 2]) @ np.linalg.inv(common[:, :2]).T
    return np.asarray((in_frame - FACE_WINDOW[:2]) / FACE_WINDOW[2])


def _sampled(kept: Tensor, places: Tensor) -> Tensor:
    """A square's pixels (r, 1, side, side) where pictures' pixels (r, size, size, 2) lie, (r, size, size)."""
    from torch.nn.functional import grid_sample

    sampled: Tensor = grid_sample(kept, places, padding_mode="border", align_corners=False)[:, 0]
    return sampled


def _shown(region: str, size: int) -> Masks:
    """Mask (size, size) of a chip's pixels that belong to a region."""
    return np.ones((size, size), dtype=bool) if region == IMAGE else ~hidden(find_region(region), size)


def _both(chips: Singles) -> Singles:
    """Chips and their mirror images."""
    return np.concatenate([chips, chips[:, :, ::-1]])


def _mean(embeddings: Singles) -> Singles:
    """Mean embedding of each chip and its mirror image."""
    half = len(embeddings) // 2
    return np.asarray((embeddings[:half] + embeddings[half:]) / 2, dtype=np.float32)


def blurred(chips: Pixels, masks: Masks) -> Floats:
    """Chips (r, size, size, 3) whose regions show the colour and light of a face, and no feature."""
    blur = blurring(chips.shape[1], _BLUR * chips.shape[1])
    out = chips.astype(np.float64)
    for chip, mask in zip(out, masks, strict=True):
        share = (blur @ mask @ blur.T)[mask]
        for c in range(3):
            chip[mask, c] = (blur @ (chip[..., c] * mask) @ blur.T)[mask] / share
    return out


def _spread(places: int, size: int, grid: tuple[int, int]) -> Floats:
    """(size, places): a place of the network's grid spread over a map's pixels; columns sum to 1."""
    step, first = grid
    apart = np.arange(size)[:, None] - (first + step * np.arange(places))
    weights = np.exp(-((apart / (_SMOOTH * size)) ** 2) / 2)
    return np.asarray(weights / weights.sum(0))


# ----------------------------------------------------------------------------------------- their worth


def _judged(
    scene: _Scene | _Views, values: Floats, full: Floats, none: Floats, seed: int
) -> list[Faithfulness | None]:
    """Verdicts on each region's map, then on the whole."""
    shuffled = scene.randomised(seed).maps(_FEW_STEPS)
    size = scene.masks.shape[1]
    patches = _spread(size // scene.grid[0], size, scene.grid)
    noise = np.random.default_rng(seed).standard_normal((patches.shape[1],) * 2)
    random = np.broadcast_to(patches @ noise @ patches.T, values.shape)
    whole = np.broadcast_to(values.sum(0), values.shape)
    anywhere = np.broadcast_to(scene.masks.any(0), values.shape)
    keeps = [
        kept
        for maps, within in ((values, scene.masks), (whole, anywhere))
        for order in (maps, -maps, random)
        for kept in (_without(order, within, share) for share in _SHARES)
    ]
    curves = _log_odds(scene, np.stack(keeps)).reshape(2, 3, len(_SHARES), -1)
    single = zip(np.moveaxis(curves[0], -1, 0), full, none, values, shuffled, scene.masks, strict=True)
    together = curves[1].sum(-1), full.sum(), none.sum(), values.sum(0), shuffled.sum(0)
    return [*(_verdict(*of_one) for of_one in single), _verdict(*together, np.asarray(scene.masks.any(0)))]


def _without(maps: Floats, masks: Masks, share: float) -> Floats:
    """1 where a pixel stays when the highest share of those in each mask go, (r, size, size)."""
    out = np.ones(maps.shape)
    for kept, values, mask in zip(out, maps, masks, strict=True):
        kept[mask & (values >= np.quantile(values[mask], 1 - share))] = 0
    return out


def _verdict(
    curves: Floats, full: float, none: float, values: Floats, shuffled: Floats, mask: Masks
) -> Faithfulness:
    deletion, last, random = (_area([full, *curve, none]) for curve in curves)
    lost, lost_at_random = float(full - curves[0, 0]), float(full - curves[2, 0])
    correlation = _rank_correlation(np.abs(values[mask]), np.abs(shuffled[mask]))
    reasons = []
    if lost <= 0:
        reasons.append("removing its most supportive tenth does not lower the log-odds")
    elif lost <= lost_at_random:
        reasons.append("without its most supportive tenth no more is lost than without a random tenth")
    if correlation > _SANITY:
        reasons.append(
            f"a network with random weights gives a similar map (rank correlation {correlation:.2f}): "
            "the map shows edges rather than what was learned"
        )
    return Faithfulness(
        deletion, last, random, lost, lost_at_random, correlation, not reasons, "; ".join(reasons)
    )


def _area(curve: Sequence[float]) -> float:
    """Mean height of a curve over the shares 0, `_SHARES` and 1."""
    y, x = np.asarray(curve), np.array([0.0, *_SHARES, 1.0])
    return float(np.diff(x) @ (y[1:] + y[:-1]) / 2)


def _rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's, as scipy.stats has it, whose import takes longer than a heatmap."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Floats) -> Floats:
    """Equal values share the mean of their ranks."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - counts / 2)[at])
