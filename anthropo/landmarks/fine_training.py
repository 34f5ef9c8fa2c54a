"""Networks of the second stage for a landmark model of one's own, on the same annotated faces.

One network sees the whole upright face and places all 68 points; then six regions, of which four are seen
on both sides, are looked at closely, each centred where the first network has its points.
Both begin where the forest laid the face upright, which on people whom it has not seen is off by a standard
deviation of 3 px, 2 % of the size and 1.3 degrees: training varies the faces by rather more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.face.fine import FACE, Mixing, lay_upright
from anthropo.face.frame import Floats
from anthropo.face.scheme import MIRROR
from anthropo.face.shape import shapes
from anthropo.landmarks.forest import Report, inverse, laid_on
from anthropo.landmarks.gathering import Gathered
from anthropo.landmarks.judging import JudgedLandmarks
from anthropo.landmarks.upright import UprightFaces, mean_face

if TYPE_CHECKING:
    from anthropo.landmarks.augmentation import Augmentation
    from anthropo.landmarks.patch_training import Form, PatchRegion

#: Epochs of the regions' networks where nothing is asked for, and the people it takes.
EPOCHS, LEAST_PEOPLE = 64, 100
_WHOLE_FACE = 4  # epochs of the whole face's network for each of the regions'
_SIZE = 0.72  # of the packaged stage's upright face, in whose picture the outline would be cut
_FOLDS = 5
_SHARE = 0.6  # where too few people are kept apart to tell
#: Points that have one share of the second stage.
PARTS = {
    "outline": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "lips": slice(48, 68),
}
_SHARES = np.linspace(0, 1, 11)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Round:
    """Networks that look at the same time."""

    regions: dict[str, PatchRegion]  # on the subject's right; the left is seen in the mirror
    form: Form
    augmentation: Augmentation
    epochs: int  # for each that is asked for


def _rounds() -> tuple[_Round, ...]:
    from anthropo.landmarks.augmentation import Augmentation  # these need torch, which is slow to load
    from anthropo.landmarks.patch_training import Form, PatchRegion

    def region(first: int, last: int, pixel: float) -> PatchRegion:
        return PatchRegion(tuple(range(first, last + 1)), (), pixel)

    by = Augmentation(
        shift=4.5, size=0.05, turn=0.05, stretch=0.05, bend=3.0, gamma=0.25, slope=0.2, coarse=0.3
    )
    closely = {
        "side": region(0, 4, 2.9),
        "jaw": region(4, 8, 2.9),
        "brow": region(17, 21, 1.9),
        "eye": region(36, 41, 1.3),
        "nose": region(27, 35, 2.2),
        "mouth": region(48, 67, 2.4),
    }
    return (
        _Round({"face": region(0, 67, 5.6 * 64 / 96)}, Form(96, (16, 32, 64, 96, 128), 128), by, _WHOLE_FACE),
        _Round(closely, Form(64, (32, 64, 96, 128), 256), replace(by, shift=4.0, bend=1.5), 1),
    )


def fine_frame() -> Floats:
    """The mean face (68, 2) that faces are laid on, with its outline well inside the upright picture."""
    frame = mean_face(shapes()[0])
    middle = (frame.max(0) + frame.min(0)) / 2
    return np.asarray((frame - middle) * _SIZE + (FACE - 1) / 2)


def train_fine(
    gathered: Sequence[Gathered],
    epochs: int,
    *,
    seed: int,
    threads: int,
    report: Callable[[str], Report],
) -> Arrays:
    """The networks of a second stage, learnt from these faces; without what `mix` adds."""
    from anthropo.landmarks.patch_training import Job, train_patches

    frame = fine_frame()
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
    everyone = np.arange(len(gathered))
    arrays: Arrays = {"frame": frame.astype(np.float32)}
    for number, one_round in enumerate(_rounds()):
        for name, region in one_round.regions.items():
            (layers,) = train_patches(
                faces,
                [Job(region, everyone)],
                epochs=epochs * one_round.epochs,
                augmentation=one_round.augmentation,
                form=one_round.form,
                seed=seed,
                threads=threads,
                progress=report(f"second stage: {name}"),
            )
            for part, values in layers.items():
                arrays[f"{name}.{part}"] = values.astype(np.float16 if values.ndim > 1 else np.float32)
            arrays[f"{name}.scheme"] = np.array(region.scheme, np.int32)
            arrays[f"{name}.pixel"] = np.array(region.pixel, np.float32)
            arrays[f"{name}.patch"] = np.array(one_round.form.patch, np.int32)
            arrays[f"{name}.round"] = np.array(number, np.int32)
    return arrays


def mixing_arrays(by: Mixing) -> Arrays:
    """A mixing as a model's file keeps it."""
    return {
        "share": by.share.astype(np.float32),
        "offset": by.offset.astype(np.float32),
        "kept": by.kept.astype(np.float32),
    }


def unmixed() -> Mixing:
    """The second stage's points alone."""
    return Mixing(np.ones(68), np.zeros((68, 2)), np.ones(68))


def mix(
    first: JudgedLandmarks, second: JudgedLandmarks, truth: Sequence[Floats]
) -> tuple[Mixing, JudgedLandmarks]:
    """How to mix two stages, by what both make of people kept apart.

    A network that sees each face in the mirror too cannot learn that annotators place a point to one side;
    so the mean of what it is off by is taken from its points, as far as it is more than chance. The share of
    the second stage is the one that errs least, in each part of the face. Fewer than five people tell
    neither: 0.6, and no offset.

    Parameters
    ----------
    first, second : JudgedLandmarks
        The same N faces by the first stage, and by the second alone.
    truth : sequence of (68, 2) array
        Where the faces' points are, pixels; NaN where unknown.

    Returns
    -------
    Mixing
        Of all the faces.
    Placed
        The faces mixed, each by what the people of four other fifths tell.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.face.scheme import IBUG
    >>> from anthropo.landmarks.fine_training import fine_frame, mix
    >>> from anthropo.landmarks.judging import JudgedLandmarks
    >>> random = np.random.default_rng(0)
    >>> off, spread = random.normal(0, 0.05, (20, 68, 2)), np.full((20, 68, 2), 0.02)
    >>> people = tuple(map(str, range(20)))
    >>> first = JudgedLandmarks(IBUG, off, spread, people)
    >>> second = JudgedLandmarks(IBUG, off / 9 + (0.03, 0), spread, people)  # always to one side
    >>> by, mixed = mix(first, second, [fine_frame()] * 20)
    >>> float(by.share.min()), np.allclose(by.offset.mean(0), (5.5, 0), atol=0.3), mixed.error < 0.01
    (1.0, True, True)
    """
    maps = np.array([_map(points, first.scheme.length(points)) for points in truth])

    def upright(placed: JudgedLandmarks) -> Floats:
        return np.asarray(np.einsum("nij,nkj->nki", maps, placed.residuals))

    a, b = upright(first), upright(second)
    names = sorted(set(first.people))
    fold = np.array([names.index(person) % _FOLDS for person in first.people])
    share, offset = np.full(68, _SHARE), np.zeros((68, 2))
    left = _mixed(a, b, share, offset)
    if len(names) >= _FOLDS:
        for one in range(_FOLDS):
            left[fold == one] = _mixed(a, b, *_fitted(a[fold != one], b[fold != one]))[fold == one]
        share, offset = _fitted(a, b)
    mixed = replace(first, residuals=np.einsum("nij,nkj->nki", np.linalg.inv(maps), left))
    # whatever the first stage's factors make an interval of then holds as many of these faces
    kept = np.clip(mixed.factors() / np.maximum(first.factors(), 1e-12), 0.05, 20)
    return Mixing(share, offset, kept), replace(mixed, spread=first.spread * kept[:, None])


def _fitted(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The share (68,) of the second stage, and what it is off by."""
    count = np.maximum((~np.isnan(b)).sum(0), 1)
    sums = np.nansum(b, 0)
    mean = sums / count
    error = np.nansum((b - mean) ** 2, 0) / np.maximum(count - 1, 1) / count  # squared, of the mean
    offset = mean * np.maximum(0, 1 - error / np.maximum(mean**2, 1e-12)) * (count > 1)
    away = [np.hypot(*np.moveaxis(_mixed(a, b, np.full(68, s), offset), -1, 0)) for s in _SHARES]
    share = np.empty(68)
    for part in PARTS.values():
        share[part] = _SHARES[int(np.argmin([np.nanmean(one[:, part]) for one in away]))]
    return share, offset


def _mixed(a: Floats, b: Floats, share: Floats, offset: Floats) -> Floats:
    return np.asarray(share[:, None] * (b - offset) + (1 - share[:, None]) * a)


def _map(points: Floats, unit: float) -> Floats:
    """From units of a face (2,) to pixels of the upright one."""
    return np.asarray(inverse(laid_on(fine_frame(), points))[:, :2] * unit)


def _whole(points: Floats, frame: Floats) -> Floats:
    """Points (68, 2) of which some may be unknown, with these where the mean face has them."""
    there = laid_on(frame, points)
    return np.where(np.isnan(points), frame @ there[:, :2].T + there[:, 2], points)
