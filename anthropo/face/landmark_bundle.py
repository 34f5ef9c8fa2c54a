"""The file of a landmark model that was trained here: its forest, its scheme and what is known of its error.

A container (`anthropo.container`) with these parts, all of them checked before the model is used:

=================  ==========================================================================
manifest.json      ``scheme`` (names of the points, mirror images, unit), ``training`` (counts,
                   held-out error, options), ``licence`` of the photographs, ``start`` (the model
                   that this one begins from, or null)
arrays/forest.npy  (N,) uint8: the engine's packed shape predictor; not there if the packaged
                   68-point predictor places first
arrays/spread.npy  (P,) float64: by how much a point's error exceeds its spread over jittered
                   boxes
arrays/fine.*.npy  networks of the second stage, if it was trained with one, and how both are mixed;
                   of a model that begins from another also that one's, and the adjustment
=================  ==========================================================================
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.container import Kind, completed, read_container, shown, write_container
from anthropo.errors import WeightsError
from anthropo.face import _engine
from anthropo.face.frame import Floats
from anthropo.face.scheme import IBUG, Scheme

FORMAT = "anthropo-landmarks"
MOST_POINTS = 2000
MOST_SPREAD = 1e4  # times that an error exceeds a spread
LONGEST_NAME, LONGEST_TEXT = 100, 2000  # characters
#: The packaged predictor as a start, by its name in `anthropo models`.
PACKAGED = "landmarks-68"
_GET_ANOTHER = "Copy it again from where it was made, or train it again."


@dataclass(frozen=True, slots=True)
class Start:
    """The model that another one begins from: it places the 68 points first.

    Attributes
    ----------
    packaged : bool
        Whether its predictor is the packaged one, of which the file holds nothing; else it is in the file.
    sha256 : str
        Of the start's file.
    licence : str
        Its terms, which this model takes over.
    """

    packaged: bool
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkBundle:
    """What the file of a landmark model holds.

    Attributes
    ----------
    scheme : Scheme
    forest : (N,) array of uint8
        The engine's packed shape predictor; read-only. Empty where the packaged one is the start.
    spread : (P,) array
        Factor from a point's spread over jittered boxes to the standard deviation of its error.
    licence : str
        Terms of the photographs it was trained on, as whoever trained it stated them.
    training : dict
        Counts, held-out error, options and seed; JSON.
    fine : mapping of str to array
        Networks of the second stage, as `anthropo.face.fine.fine_of_arrays` takes them; may be empty.
    start : Start or None
        The model that this one begins from, whose 68 points are adjusted, or have these points beside them.
    """

    scheme: Scheme
    forest: NDArray[np.uint8]
    spread: Floats
    licence: str
    training: dict[str, Any]
    fine: dict[str, NDArray[Any]] = field(default_factory=dict)
    start: Start | None = None


def terms(licence: str, start: Start | None) -> str:
    """The licence of a model's photographs, and that of what it begins from."""
    return licence if start is None else f"{licence}; and {start.licence}"


def _fault(manifest: dict[str, Any]) -> str | None:
    """What in a manifest cannot be used; None when all can."""
    scheme = manifest.get("scheme")
    if not isinstance(scheme, dict) or not isinstance(manifest.get("training"), dict):
        return "scheme or training is missing"
    names, mirror, unit = scheme.get("points"), scheme.get("mirror"), scheme.get("unit")
    if not isinstance(names, list) or not 2 <= len(names) <= MOST_POINTS:
        return f"scheme > points is not a list of 2 to {MOST_POINTS} names"
    if not all(isinstance(n, str) and 0 < len(n) <= LONGEST_NAME for n in names) or len(set(names)) < len(
        names
    ):
        return f"scheme > points: names are not distinct texts of up to {LONGEST_NAME} characters"
    if mirror is not None and not _is_mirror(mirror, len(names)):
        return "scheme > mirror does not exchange points in pairs"
    if unit is not None and not (_indices(unit, len(names)) and len(set(unit)) == 2 == len(unit)):
        return "scheme > unit is not two points"
    if type(scheme.get("ibug")) is not bool or (scheme["ibug"] and tuple(names) != IBUG.names):
        return "scheme > ibug does not fit its points"
    licence = manifest.get("licence")
    if not isinstance(licence, str) or len(licence) > LONGEST_TEXT:
        return f"licence is not a text of up to {LONGEST_TEXT} characters"
    return None if manifest.get("start") is None else _start_fault(manifest["start"])


def _start_fault(start: Any) -> str | None:
    if not isinstance(start, dict) or set(start) != {"packaged", "sha256", "licence"}:
        return "start is no description of a landmark model"
    if type(start["packaged"]) is not bool:
        return "start > packaged is neither true nor false"
    if not isinstance(start["sha256"], str) or not re.fullmatch("[0-9a-f]{64}", start["sha256"]):
        return "start > sha256 is no SHA-256"
    if not isinstance(start["licence"], str) or len(start["licence"]) > LONGEST_TEXT:
        return f"start > licence is not a text of up to {LONGEST_TEXT} characters"
    return None


def _indices(values: Any, count: int) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < count for v in values)


def _is_mirror(mirror: Any, count: int) -> bool:
    if not _indices(mirror, count) or len(mirror) != count:
        return False
    return all(mirror[other] == i for i, other in enumerate(mirror))


KIND = Kind(
    format=FORMAT,
    version=1,
    name="landmark model of anthropo",
    give="Give a landmark model (.anthropo, or a shape predictor of dlib, .dat).",
    error=WeightsError,
    fault=_fault,
    others={
        "anthropo-model": "a classifier or a network, which places no landmarks.",
        "anthropo-translation": "a translation of faces, which places no landmarks.",
    },
)


def read_landmark_bundle(path: str | os.PathLike[str]) -> LandmarkBundle:
    """Read the file of a landmark model, which may come from anywhere.

    Raises
    ------
    WeightsError
        If it is none, or is damaged or altered.
    """
    manifest, arrays = read_container(path, KIND)
    names = tuple(manifest["scheme"]["points"])
    forest, spread = arrays.pop("forest", None), arrays.pop("spread", None)
    start = Start(**manifest["start"]) if manifest.get("start") else None
    if start is not None and start.packaged:
        forest = np.empty(0, np.uint8) if forest is None else np.empty(0)  # of which the file has none
    if fault := _array_fault(forest, spread, len(names)) or _strangers(arrays):
        raise WeightsError(f"{os.fspath(path)}: {fault}. {_GET_ANOTHER}")
    assert forest is not None  # as was just checked
    assert spread is not None
    block: NDArray[np.uint8] = np.array(forest)  # whose numbers begin where the engine needs them
    block.setflags(write=False)
    if start is None or not start.packaged:
        _check_forest(os.fspath(path), block, len(names) if start is None else len(IBUG.names))
    return LandmarkBundle(
        _scheme(manifest["scheme"]),
        block,
        spread,
        manifest["licence"],
        manifest["training"],
        {name.removeprefix("fine."): array for name, array in arrays.items()},
        start,
    )


def _check_forest(path: str, block: NDArray[np.uint8], needed: int) -> None:
    try:
        points = _engine.ShapePredictor(block).points
    except ValueError as error:
        raise WeightsError(f"{path}: its forest is damaged ({error}). {_GET_ANOTHER}") from None
    if points != needed:
        raise WeightsError(f"{path}: its forest places {points} points, its scheme {needed}. {_GET_ANOTHER}")


def _scheme(kept: dict[str, Any]) -> Scheme:
    mirror = kept.get("mirror")
    unit = kept.get("unit")
    return Scheme(
        tuple(kept["points"]),
        None if mirror is None else np.array(mirror, np.intp),
        None if unit is None else (unit[0], unit[1]),
        kept["ibug"],
    )


def _array_fault(forest: NDArray[Any] | None, spread: NDArray[Any] | None, points: int) -> str | None:
    if forest is None or forest.dtype != np.uint8 or forest.ndim != 1:
        return "it holds no forest"
    if spread is None or spread.dtype != np.float64 or spread.shape != (points,):
        return f"its factors of spread are not {points} numbers"
    if not ((spread >= 0) & (spread <= MOST_SPREAD)).all():
        return f"its factors of spread are not between 0 and {MOST_SPREAD:g}"
    return None


def _strangers(arrays: dict[str, NDArray[Any]]) -> str | None:
    other = sorted(name for name in arrays if not name.startswith("fine."))
    return f"{shown(other[0], bare=True)} is no part of a landmark model" if other else None


def write_landmark_bundle(path: str | os.PathLike[str], bundle: LandmarkBundle) -> None:
    """Write the file of a landmark model, whole or not at all; the same model gives the same bytes."""
    scheme = bundle.scheme
    manifest = {
        "scheme": {
            "points": list(scheme.names),
            "mirror": None if scheme.mirror is None else scheme.mirror.tolist(),
            "unit": None if scheme.unit is None else list(scheme.unit),
            "ibug": scheme.ibug,
        },
        "training": bundle.training,
        "licence": bundle.licence,
        "start": None if bundle.start is None else asdict(bundle.start),
    }
    arrays: dict[str, NDArray[Any]] = {"spread": bundle.spread}
    if bundle.start is None or not bundle.start.packaged:
        arrays["forest"] = bundle.forest
    arrays |= {f"fine.{name}": array for name, array in bundle.fine.items()}
    write_container(
        path, KIND, completed(KIND, manifest), arrays, {}, smaller="Train with fewer trees or cascades."
    )
