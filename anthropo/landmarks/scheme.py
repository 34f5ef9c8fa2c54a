"""Which scheme annotated faces follow, found out from their mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.face.frame import OUTER_CANTHI, Floats, outer_canthal_distance, similarity
from anthropo.face.scheme import IBUG, MIRROR, Scheme
from anthropo.face.shape import shapes
from anthropo.landmarks.annotations import Annotations

_ALIKE = 0.12  # mean distance, outer-canthal distances, up to which 68 points are those of iBUG
_SYMMETRIC = 0.06  # of the face's size, up to which a mean face is its own mirror image
_MEDOIDS = 9  # faces, one of which the others are laid on first


def scheme_of(annotations: Annotations, unit: tuple[str, str] | None = None) -> Scheme:
    """The scheme of annotated faces, found out from their mean.

    Raises
    ------
    InputError
        If a face's left and right are exchanged against the others, all are against the scheme of 68
        points, or the points of `unit` are not in the scheme.
    """
    faces = [face.points for face in annotations.faces]
    mean = mean_points(faces)
    _refuse_exchanged(annotations, mean)
    pair = _unit(annotations.names, unit)
    ibug = _as_ibug(annotations, mean)
    if ibug:
        return Scheme(IBUG.names, MIRROR, pair or OUTER_CANTHI, True)
    return Scheme(annotations.names, mirror_of(mean), pair, False)


def mean_points(faces: Sequence[Floats]) -> Floats:
    """The mean of faces (P, 2) laid on each other, about (0, 0), of size 1; robust against a few odd ones."""
    chosen = [faces[i] for i in np.linspace(0, len(faces) - 1, min(_MEDOIDS, len(faces))).astype(int)]
    first = min(chosen, key=lambda one: float(np.median([_misfit(one, other) for other in faces])))
    mean = first
    for _ in range(3):
        laid = np.array([_laid(face, mean) for face in faces])
        mean = np.nanmedian(laid, 0)
        mean = mean - np.nanmean(mean, 0)
        mean = mean / np.sqrt(np.nanmean((mean**2).sum(1)))
    return np.asarray(mean)


def _laid(face: Floats, on: Floats) -> Floats:
    known = np.isfinite(face).all(1) & np.isfinite(on).all(1)
    if known.sum() < 2:
        return np.full_like(face, np.nan)
    there = similarity(face[known], on[known])
    return np.asarray(face @ there[:, :2].T + there[:, 2])


def _misfit(face: Floats, on: Floats) -> float:
    """Root mean square distance of a face that is laid on another, in sizes of the other."""
    left = np.nanmean(((_laid(face, on) - on) ** 2).sum(1))
    return float(np.sqrt(left / max(np.nanmean(((on - np.nanmean(on, 0)) ** 2).sum(1)), 1e-12)))


def _refuse_exchanged(annotations: Annotations, mean: Floats) -> None:
    for face in annotations.faces:
        if _exchanged(face.points, mean):
            raise InputError(
                f"{face.where}: left and right are exchanged against the other faces: as a mirror image the "
                "points would fit. Exchange the labels, or mirror the photo."
            )


def _exchanged(face: Floats, mean: Floats) -> bool:
    """Whether a face looks like the mean face's mirror image more than like the mean face."""
    plain, mirrored = _misfit(face, mean), _misfit(face * (-1, 1), mean)
    return mirrored < 0.6 * plain and plain > 0.15


def _as_ibug(annotations: Annotations, mean: Floats) -> bool:
    if len(mean) != 68:
        return False
    known, _ = shapes()
    if _exchanged(mean, known):
        raise InputError(
            f"{annotations.source}: 68 points with left and right exchanged against the scheme of iBUG, in "
            "which p0 to p7 lie on the subject's right, on the left of the photo. Exchange the labels."
        )
    away = np.hypot(*(_laid(mean, known) - known).T)
    return float(away.mean()) < _ALIKE * outer_canthal_distance(known)


def mirror_of(mean: Floats) -> NDArray[np.intp] | None:
    """Which point of a symmetric mean face (P, 2) is whose mirror image; None where it is not symmetric.

    The mirrored face is laid on the face and its points are assigned to the face's; again, with the
    correspondence that this gives, until it stays.
    """
    from scipy.optimize import linear_sum_assignment

    best: NDArray[np.intp] | None = None
    least = _SYMMETRIC
    for turn in np.linspace(-np.pi / 4, np.pi / 4, 9):
        c, s = np.cos(turn), np.sin(turn)
        there = mean * (-1, 1) @ np.array([[c, -s], [s, c]]).T
        order = np.arange(len(mean))
        for _ in range(10):
            cost = ((mean[:, None] - there[None]) ** 2).sum(-1)
            _, assigned = linear_sum_assignment(cost)
            if (assigned == order).all():
                break
            order = assigned
            there = _laid_as(mean * (-1, 1), order, mean)
        away = float(np.sqrt(((mean - there[order]) ** 2).sum(-1)).mean())
        if away < least and (order[order] == np.arange(len(mean))).all():
            best, least = order.astype(np.intp), away
    return best


def _laid_as(face: Floats, order: NDArray[np.intp], on: Floats) -> Floats:
    there = similarity(face[order], on)
    return np.asarray(face @ there[:, :2].T + there[:, 2])


def _unit(names: Sequence[str], unit: tuple[str, str] | None) -> tuple[int, int] | None:
    if unit is None:
        return (names.index("exR"), names.index("exL")) if {"exR", "exL"} <= set(names) else None
    absent = [name for name in unit if name not in names]
    if absent or unit[0] == unit[1]:
        what = f"{absent[0]} is none of the points" if absent else "two different points are needed"
        raise InputError(f"unit={','.join(unit)}: {what} {', '.join(names[:6])} …")
    return names.index(unit[0]), names.index(unit[1])
