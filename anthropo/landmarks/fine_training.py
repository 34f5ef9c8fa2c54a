"""Networks of the second stage for a landmark model of one's own, on the same annotated faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.face.fine import lay_upright
from anthropo.face.frame import Floats
from anthropo.face.scheme import MIRROR
from anthropo.face.shape import shapes
from anthropo.landmarks.gathering import Gathered
from anthropo.landmarks.upright import UprightFaces, mean_face

#: Of the packaged stage's regions, and without its anatomical landmarks, which 68 points do not tell of.
#: Pixels of the upright face per patch pixel.
_PIXEL = {"eye": 1.75, "ala": 1.75, "corner": 1.75, "lips": 2.2}


def train_fine(
    gathered: Sequence[Gathered],
    sets: Sequence[NDArray[np.intp]],
    epochs: int,
    *,
    seed: int,
    threads: int,
) -> list[dict[str, NDArray[Any]]]:
    """A second stage for each of several sets of faces (indices), all trained side by side.

    Patches are centred where the points are, with a jitter as large as the first stage errs on people whom
    it has not seen: on those that it has, it errs less.
    """
    from anthropo.landmarks.augmentation import Augmentation  # these need torch, which is slow to load
    from anthropo.landmarks.patch_training import REGIONS, Job, train

    frame = mean_face(shapes()[0])
    pixels, points = [], []
    for one in gathered:
        upright, there, _ = lay_upright(one.example.pixels, _whole(one.example.points, frame), frame)
        pixels.append(upright)
        points.append(one.example.points @ there[:, :2].T + there[:, 2])
    placed = np.array(points)
    faces = UprightFaces(
        np.array(pixels),
        np.array([_whole(p, frame) for p in placed]),
        placed,
        {},
        np.zeros(len(pixels), np.intp),
        [one.annotated.person for one in gathered],
        MIRROR,
    )
    # one network sees the whole of each region: between the two sizes of the packaged eye
    regions = {name: replace(REGIONS[name], codes=(), aside=(), pixel=_PIXEL[name]) for name in _PIXEL}
    jobs = [Job(region, np.asarray(keep)) for keep in sets for region in regions.values()]
    by = Augmentation(shift=7.0, size=0.08, turn=0.08)
    networks = train(faces, jobs, epochs=epochs, augmentation=by, seed=seed, threads=threads)
    made = []
    for i in range(len(sets)):
        arrays: dict[str, NDArray[Any]] = {"frame": frame.astype(np.float32)}
        for (name, region), layers in zip(regions.items(), networks[i * len(regions) :], strict=False):
            for part, values in layers.items():
                arrays[f"{name}.{part}"] = values.astype(np.float16 if values.ndim > 1 else np.float32)
            arrays[f"{name}.scheme"] = np.array(region.scheme, np.int32)
            arrays[f"{name}.pixel"] = np.array(region.pixel, np.float32)
        made.append(arrays)
    return made


def _whole(points: Floats, frame: Floats) -> Floats:
    """Points (68, 2) of which some may be unknown, with these where the mean face has them."""
    from anthropo.landmarks.forest import laid_on

    there = laid_on(frame, points)
    return np.where(np.isnan(points), frame @ there[:, :2].T + there[:, 2], points)
