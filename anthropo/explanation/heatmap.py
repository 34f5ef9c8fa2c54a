"""Where in the face a region's log-odds come from: maps of attribution, and how faithful each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anthropo.adaptation.methods import Map, Transported
from anthropo.encoder.encoders import ChipEncoder
from anthropo.encoder.regions import ALIGNMENTS, FACE_WINDOW, face_square, frame_of, frame_to, photo_square
from anthropo.encoder.several import AnyEncoder, asked_of
from anthropo.errors import InputError
from anthropo.explanation.chip_scene import ChipScene
from anthropo.explanation.heads import Head
from anthropo.explanation.maps import WHOLE, FaceHeat, Heatmap, Scene, blank, drawn
from anthropo.explanation.occlusion import OccludedScene
from anthropo.explanation.placed import PlacedScene, Together
from anthropo.face.landmarker import Face
from anthropo.learning.fitted import FittedHybrid
from anthropo.photo import Photo

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

_SIDE = 150  # px, of the common square of encoders that see the face each in a way of its own


def heatmaps(
    model: FittedHybrid,
    encoder: AnyEncoder,
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

    Encoders without gradients are explained by occlusion (`anthropo.explanation.occlusion.OccludedScene`),
    and those with pictures of their own, or several, in the face's common square.

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
    heads = []
    for name in names:
        brought = (maps or {}).get(name)
        assert not isinstance(brought, Transported)  # of which a model file has none
        heads.append(Head.of(model, name, np.asarray(weights, dtype=np.float64), brought))
    return heat_of_heads(encoder, photo, face, names, heads, judge=judge, seed=seed, jobs=jobs)


def heat_of_heads(
    encoder: AnyEncoder,
    photo: Photo,
    face: Face | None,
    names: Sequence[str],
    heads: Sequence[Head],
    *,
    judge: bool = True,
    seed: int = 0,
    jobs: int = 1,
) -> FaceHeat:
    """Like `heatmaps`, of what reads the embeddings of each region."""
    if isinstance(encoder, ChipEncoder) and encoder.backend.differentiable:
        chips = encoder.chips(photo, face, names)
        heat = heat_of_chips(encoder, chips, names, heads, judge=judge, seed=seed, jobs=jobs)
        return heat if face is None or encoder.align == ALIGNMENTS[0] else _brought(heat, face, encoder.align)
    readers = _readers(names, heads)
    size = encoder.size
    scene = _scene(encoder, photo, face, readers, jobs) if readers else None
    return _with_silent(scene, names, list(readers), size, judge, seed)


def _scene(
    encoder: AnyEncoder, photo: Photo, face: Face | None, readers: Mapping[str, Head], jobs: int
) -> Scene:
    """What encoders see of a face, in its common square."""
    common = photo_square(photo) if face is None else face_square(face)
    side = min(encoder.size, _SIDE)
    scenes: list[Scene] = []
    for one, plain, names in asked_of(encoder, list(readers)):
        heads = [readers[name] for name in names]
        if isinstance(one, ChipEncoder):
            kind = ChipScene if one.backend.differentiable else OccludedScene
            chips = kind.of(one, one.chips(photo, face, plain), plain, heads, jobs)
            scenes.append(PlacedScene.of(chips, [one.square(photo, face, r) for r in plain], common, side))
            continue
        from anthropo.explanation.view_scene import ViewScene
        from anthropo.networks.encoder import NetworkEncoder

        assert isinstance(one, NetworkEncoder)  # there are no others
        views = ViewScene.of(one, photo, face, plain, heads)
        if one is encoder:  # alone: as it is
            return views
        scenes.append(PlacedScene.of(views, [common] * len(plain), common, side))
    return scenes[0] if len(scenes) == 1 else Together(scenes)


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
    scene = ChipScene.of(encoder, chips[at], *chosen, jobs) if readers else None
    return _with_silent(scene, names, list(readers), encoder.size, judge, seed)


def _with_silent(
    scene: Scene | None, names: Sequence[str], used: Sequence[str], size: int, judge: bool, seed: int
) -> FaceHeat:
    """The maps of a scene, and empty ones (size, size) of regions that have no say."""
    if scene is None:
        nothing = blank(names, size)
        return FaceHeat(nothing, replace(nothing[names[0]], region=WHOLE))
    heat = drawn(scene, used, judge=judge, seed=seed)
    silent = blank(names, heat.whole.values.shape[0])
    return replace(heat, regions={name: heat.regions.get(name, silent[name]) for name in names})


def _brought(heat: FaceHeat, face: Face, align: str) -> FaceHeat:
    """Maps of chips that are aligned in a way of their own, as they lie in the common square."""
    from scipy.ndimage import map_coordinates

    size = heat.whole.values.shape[0]
    left, top, side = FACE_WINDOW
    places = (np.stack(np.meshgrid(*[np.arange(size) + 0.5] * 2), -1) / size) * side + (left, top)
    common, aligned = frame_to(face.landmarks, face.concealed), frame_of(face, align)
    in_photo = places @ common[:, :2].T + common[:, 2]
    in_own = (in_photo - aligned[:, 2]) @ np.linalg.inv(aligned[:, :2]).T
    at = (in_own - (left, top)) / side * size - 0.5
    # a pixel of the common square covers so much of the chip, and so much of its log-odds
    share = float(np.linalg.det(common[:, :2]) / np.linalg.det(aligned[:, :2]))

    def brought(one: Heatmap) -> Heatmap:
        return replace(one, values=share * map_coordinates(one.values, (at[..., 1], at[..., 0]), order=1))

    return FaceHeat({name: brought(one) for name, one in heat.regions.items()}, brought(heat.whole))


def _readers(names: Sequence[str], heads: Sequence[Head]) -> dict[str, Head]:
    """The heads that read anything, by region; one that reads nothing would cost as much."""
    return {name: head for name, head in zip(names, heads, strict=True) if bool(head.readout.any())}
