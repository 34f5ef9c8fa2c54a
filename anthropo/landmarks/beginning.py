"""A landmark model of one's own that begins from one that exists: where that has its points, and what of it.

Few annotated people are enough to learn how their annotator's points lie beside another model's: the mean
offset of each point, and, as far as people kept apart confirm it, how the offset goes with the face's shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.face import _engine
from anthropo.face.adjustment import Adjustment
from anthropo.face.fine import fine_arrays
from anthropo.face.frame import Floats, upright_map
from anthropo.face.landmark_bundle import LONGEST_TEXT, PACKAGED, Start
from anthropo.face.weights import landmark_model

_LICENCE = "of landmarks-68 and fine-landmarks: trained on iBUG 300-W, which excludes commercial use"
#: In place of a model to begin from: from nothing.
NOTHING = "none"
#: In faces: the more, the less the offsets follow the face's shape.
_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, np.inf)
_FOLDS = 5
_NEAR = 0.08  # outer-canthal distances: how near those of the 68 points are that carry another point along

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """The model that another one begins from.

    Attributes
    ----------
    about : Start
        What the new model's file says of it.
    predictor : ShapePredictor
    block : (N,) array of uint8
        The packed predictor; empty where it is the packaged one.
    fine : mapping of str to array
        Its second stage.
    """

    about: Start
    predictor: _engine.ShapePredictor
    block: NDArray[np.uint8]
    fine: Arrays


def begun_by_default() -> str:
    """What is said of a model that begins from the packaged one because nothing else was asked for."""
    return (
        f"The model begins from {PACKAGED}, by which the 68 points are placed best, and takes over its "
        f"licence, which excludes commercial use. {parameter('start', NOTHING)} trains from nothing."
    )


def beginning(start: str) -> Beginning:
    """What a model begins from: a file of the 68 points, or "landmarks-68", the packaged one.

    Raises
    ------
    WeightsError
        If there is no such model, or it cannot be used.
    InputError
        If it places other points.
    """
    path = None if start == PACKAGED else start
    model = landmark_model(path)
    if not model.scheme.ibug:
        raise InputError(
            f"{parameter('start', start)}: places {len(model.scheme.names)} points, and a model begins from "
            f"one that places the 68 of iBUG. Give such a model, or {PACKAGED}."
        )
    bundle = model.bundle
    if bundle is None:
        block = (
            np.empty(0, np.uint8)
            if path is None
            else _engine.pack_shape_predictor(np.fromfile(path, np.uint8))
        )
        licence = _LICENCE if path is None else f"of {Path(start).name}: not stated in it"
        about = Start(path is None, model.sha256, licence)
        return Beginning(about, model.predictor, block, fine_arrays())
    before = bundle.start
    licence = bundle.licence if before is None else f"{bundle.licence}; {before.licence}"
    packaged = before is not None and before.packaged
    about = Start(packaged, before.sha256 if before and packaged else model.sha256, licence[:LONGEST_TEXT])
    return Beginning(about, model.predictor, bundle.forest, dict(bundle.fine) or fine_arrays())


def learnt(
    first: Floats, truth: Floats, people: Sequence[str], beside: bool, frame: Floats
) -> tuple[Adjustment, float]:
    """How annotated points lie beside those of another model.

    Parameters
    ----------
    first : (N, 68, 2) array
        The other model's points of N faces, pixels.
    truth : (N, P, 2) array
        The annotated ones; NaN where unknown.
    people : sequence of str
        Whose faces they are.
    beside : bool
        Whether they are other points than the 68.
    frame : (68, 2) array
        The mean face in the upright picture.

    Returns
    -------
    Adjustment
    float
        What it was held back by: the penalty, in faces, which erred least on people left out.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.landmarks.beginning import learnt
    >>> from anthropo.landmarks.fine_training import fine_frame
    >>> random = np.random.default_rng(0)
    >>> first = fine_frame() + random.normal(0, 3, (40, 68, 2))
    >>> people = [str(i) for i in range(40)]
    >>> by, penalty = learnt(first, first + (4, 0), people, False, fine_frame())
    >>> bool(np.abs(by(first) - first - (4, 0)).max() < 0.2)
    True
    """
    maps = [upright_map(one, frame) for one in first]
    laid = np.array([p @ m[:, :2].T + m[:, 2] for p, m in zip(first, maps, strict=True)])
    wanted = np.array([p @ m[:, :2].T + m[:, 2] for p, m in zip(truth, maps, strict=True)])
    shape = (laid - frame).reshape(len(laid), -1)
    carried = _carried(wanted, frame) if beside else np.eye(136)
    left = wanted.reshape(len(wanted), -1) - shape @ carried
    expected = np.zeros(left.shape[1]) if beside else frame.ravel()
    names = sorted(set(people))
    fold = np.array([names.index(person) % _FOLDS for person in people])
    penalty = np.inf
    if len(names) >= 2 * _FOLDS:
        errors = [_error(shape, left, fold, expected, beside, one) for one in _PENALTIES]
        penalty = _PENALTIES[int(np.argmin(errors))]
    places, moved = _solved(shape, left, expected, beside, penalty)
    return Adjustment(frame, places.reshape(-1, 2), carried + moved, beside), penalty


def _carried(wanted: Floats, frame: Floats) -> Floats:
    """Weights (136, 2 P) by which points move with those of the 68 that are near them."""
    places = np.nanmedian(wanted, 0)
    near = _NEAR * np.hypot(*(frame[45] - frame[36]))
    far = ((places[:, None] - frame) ** 2).sum(-1)
    share = np.exp(-(far - far.min(1, keepdims=True)) / (2 * near**2))
    return np.kron((share / share.sum(1, keepdims=True)).T, np.eye(2))


def _solved(
    shape: Floats, left: Floats, expected: Floats, beside: bool, penalty: float
) -> tuple[Floats, Floats]:
    """Places (2 P,) and weights (136, 2 P) of what is left, by ridge regression on the face's shape."""
    count = np.maximum((~np.isnan(left)).sum(0), 1)
    mean = np.nansum(left, 0) / count
    off = mean - expected
    if not beside:  # an offset that may be chance is held back
        error = np.nansum((left - mean) ** 2, 0) / np.maximum(count - 1, 1) / count
        off = off * np.maximum(0, 1 - error / np.maximum(off**2, 1e-12))
    middle = shape.mean(0)
    moved = np.zeros((shape.shape[1], left.shape[1]))
    if np.isfinite(penalty):
        a = shape - middle
        gram = a @ a.T + penalty * a.var(0).mean() * np.eye(len(a))
        moved = a.T @ np.linalg.solve(gram, np.nan_to_num(left - mean))
    return expected + off - middle @ moved, moved


def _error(
    shape: Floats, left: Floats, fold: NDArray[np.intp], expected: Floats, beside: bool, penalty: float
) -> float:
    """The mean distance on people left out, pixels of the upright face."""
    away = np.empty_like(left)
    for one in range(_FOLDS):
        out = fold == one
        places, moved = _solved(shape[~out], left[~out], expected, beside, penalty)
        away[out] = left[out] - places - shape[out] @ moved
    return float(np.nanmean(np.hypot(*np.moveaxis(away.reshape(len(away), -1, 2), -1, 0))))
