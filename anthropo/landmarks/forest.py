"""Training of a shape predictor: the samples that the engine's trainer learns from.

A predictor meets faces twice (`anthropo.face.landmarker`): in the detector's box, to learn how the head is
rolled and how large it is, and then upright, in boxes that are jittered, mirrored or not. It is trained on
just these pictures, made by the same code: padded grey chips, stretched where they are flat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.face import _engine
from anthropo.face.evaluations import BOX, CONTRAST, FIRST_BOX, PAD
from anthropo.face.frame import Floats, similarity

#: ``report(done, total)``, in trees; what it raises ends the training.
Report = Callable[[int, int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestOptions:
    """How the trees are grown; names and meanings are those of dlib's trainer.

    Attributes
    ----------
    cascades, trees, depth : int
        Cascades, trees in each, levels of a tree.
    nu : float
        Share of what is lacking that a tree adds.
    copies : int
        Jittered copies of each face and of its mirror image (dlib: oversampling).
    pool : int
        Pixels that a cascade looks at (dlib: feature pool).
    candidates : int
        Splits that are tried at each node.
    near : float
        How near each other the two pixels of a split usually are, boxes (dlib: lambda).
    padding : float
        How far beyond the mean face pixels may lie, boxes.
    odd_starts : float
        Share of the copies whose prediction begins from a mixture with other faces.
    """

    cascades: int = 10
    trees: int = 300
    depth: int = 5
    nu: float = 0.1
    copies: int = 20
    pool: int = 500
    candidates: int = 20
    near: float = 0.1
    padding: float = 0.1
    odd_starts: float = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An annotated face in its photo."""

    pixels: NDArray[np.uint8]  # (H, W) or (H, W, 3)
    points: Floats  # (P, 2) pixels; NaN where a point is not annotated
    box: (
        Floats | None
    )  # (4,) of the detector, pixels: left, top, right, bottom; None: it does not see the face


# Jitter of the samples: shift in boxes, logarithm of the size, roll in radians (standard deviations). Upright
# faces are met in boxes jittered by .03 and .04 after a first look that is itself inexact.
_UPRIGHT = (0.035, 0.045, 0.03)
_DETECTED = (0.03, 0.06, 0.12)
_SHARE_DETECTED = 0.25  # of the copies


@dataclass(frozen=True, slots=True, eq=False)
class ForestSamples:
    """What the engine trains on."""

    chips: list[NDArray[np.uint8]]
    of_chip: NDArray[np.intp]  # (N,)
    maps: Floats  # (N, 2, 3) box to chip
    targets: Floats  # (N, P, 2) in the box
    known: NDArray[np.uint8]  # (N, P)
    starts: Floats  # (N, P, 2) where prediction begins
    mean: Floats  # (P, 2)


def mean_shape(examples: Sequence[Example], mirror: NDArray[np.intp] | None) -> Floats:
    """The mean of the faces in their detected boxes, (P, 2); symmetric where there is a `mirror`."""
    shapes = []
    for one in examples:
        if one.box is not None:
            left, top, right, bottom = one.box
            shapes.append((one.points - (left, top)) / (right - left, bottom - top))
    mean = np.nanmedian(np.array(shapes), 0)
    if mirror is not None:
        mean = (mean + (mean[mirror] * (-1, 1) + (1, 0))) / 2
    return np.asarray(mean)


def laid_on(mean: Floats, points: Floats) -> Floats:
    """The similarity (2, 3) that lays the mean face on a face, of which points may be unknown."""
    known = np.isfinite(points).all(1)
    return similarity(mean[known], points[known])


def samples(
    examples: Sequence[Example],
    mean: Floats,
    mirror: NDArray[np.intp] | None,
    options: ForestOptions,
    seed: int,
) -> ForestSamples:
    """Jittered copies of faces and of their mirror images, upright and as the detector shows them."""
    random = np.random.default_rng(seed)
    detected = max(1, round(_SHARE_DETECTED * options.copies))
    chips: list[NDArray[np.uint8]] = []
    of_chip, maps, targets = [], [], []
    for one in examples:
        upright = laid_on(mean, one.points)
        views = [
            (upright, BOX, _UPRIGHT, options.copies - detected if one.box is not None else options.copies)
        ]
        if one.box is not None:
            left, top, right, bottom = one.box
            unit = np.array([[right - left, 0, left], [0, bottom - top, top]])
            views.append((unit, FIRST_BOX, _DETECTED, detected))
        for unit, size, spread, copies in views:
            if not copies:
                continue
            inside = inverse(unit)
            points = one.points @ inside[:, :2].T + inside[:, 2]
            for mirrored in (False, True) if mirror is not None else (False,):
                jitter = _jitter(random, spread, copies)
                seen = points
                to_chip = np.array([[size, 0, size * PAD], [0, size, size * PAD]])
                if mirrored and mirror is not None:
                    # the chip is read from right to left; its last column becomes its first
                    last = int(size * (1 + 2 * PAD)) - 1
                    to_chip[0] = -size, 0, last - size * PAD
                    seen = points[mirror] * (-1, 1) + (last / size - 2 * PAD, 0)
                for box in jitter:
                    back = inverse(box)
                    targets.append(seen @ back[:, :2].T + back[:, 2])
                    maps.append(compose(to_chip, box))
                    of_chip.append(len(chips))
            chips.append(_engine.chip(one.pixels, unit, size, PAD, CONTRAST))
    target = np.array(targets)
    known = np.isfinite(target).all(2)
    return ForestSamples(
        chips,
        np.array(of_chip, np.intp),
        np.array(maps),
        np.where(known[..., None], target, 0.0),
        known.astype(np.uint8),
        _starts(random, target, mean, options),
        mean,
    )


def _starts(random: np.random.Generator, targets: Floats, mean: Floats, options: ForestOptions) -> Floats:
    """Where prediction begins: the mean face, or for a share of the copies others' mixed with it."""
    n = len(targets)
    starts = np.repeat(mean[None], n, 0)
    odd = np.flatnonzero(random.random(n) < options.odd_starts)
    others = np.where(np.isnan(targets), mean, targets)
    share = random.random((len(odd), 2, 1, 1))
    a, b = (others[random.integers(n, size=len(odd))] for _ in range(2))
    # somewhere between two other faces, and between that and the mean
    starts[odd] += share[:, 0] * (a + share[:, 1] * (b - a) - mean)
    return np.asarray(starts)


def inverse(matrix: Floats) -> Floats:
    """The inverse of an affine map (2, 3)."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def compose(outer: Floats, inner: Floats) -> Floats:
    """The affine map (2, 3) that is `inner` and then `outer`."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _jitter(random: np.random.Generator, spread: tuple[float, float, float], copies: int) -> list[Floats]:
    """Boxes (2, 3) near the box (0, 0) to (1, 1), the first of them that box itself."""
    z = random.standard_normal((copies, 4)) * (spread[0], spread[0], spread[1], spread[2])
    z[0] = 0
    boxes = []
    for x, y, size, roll in z:
        c, s = np.exp(size) * np.cos(roll), np.exp(size) * np.sin(roll)
        turn = np.array([[c, -s], [s, c]])
        boxes.append(np.column_stack([turn, (0.5 + x, 0.5 + y) - turn @ (0.5, 0.5)]))
    return boxes


def grow_forest(
    made: ForestSamples, options: ForestOptions, *, seed: int, threads: int, report: Report
) -> NDArray[np.uint8]:
    """The packed predictor that the engine makes of the samples; an InputError where options ask too much."""
    try:
        return _engine.train_shape_predictor(
            made.chips,
            made.of_chip,
            made.maps,
            made.targets,
            made.known,
            made.starts,
            made.mean,
            cascades=options.cascades,
            trees=options.trees,
            depth=options.depth,
            features=options.pool,
            candidates=options.candidates,
            nu=options.nu,
            lambda_=options.near,
            padding=options.padding,
            seed=seed,
            threads=threads,
            report=report,
        )
    except ValueError as error:  # more than the engine does, such as trees that take too much memory
        about = ("cascades", "trees", "depth", "copies", "pool")
        given = ", ".join(parameter(name, getattr(options, name)) for name in about)
        raise InputError(f"{given}: {error}.") from None
