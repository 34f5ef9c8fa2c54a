"""The second landmark stage: small networks on patches of eyes, canthi, nostrils, mouth corners and lips.

The 68-point predictor sees the whole face coarsely. Here each region is looked at closely: points of
the 68-point scheme are predicted again and averaged with the first stage's, and anatomical landmarks
that the scheme lacks (pupil, lid margins) or puts elsewhere (alare, canthi) are predicted directly.
Each region has two networks, which look at it a little shifted against each other. Trained by
development/fine.py; docs/decisions says why these are networks and no second forest, and why two.

The second stage of a landmark model of one's own (`anthropo.landmarks.fine_training`) has rounds: one
network of the whole face, and regions that are centred where it has their points. On people kept apart
it was seen what share of each point to leave to it, and by how much the annotators' points lie beside
what networks learn that see every face in the mirror too. A model that begins from another one has the
second stage of the other before it, and an adjustment (`anthropo.face.adjustment`) in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import WeightsError, parameter
from anthropo.face import _engine
from anthropo.face.detection import power_of_two
from anthropo.face.frame import Floats, outer_canthal_distance, similarity, upright_map
from anthropo.face.jitter import normals
from anthropo.face.landmarker import Face
from anthropo.face.scheme import MIRROR
from anthropo.face.weights import arrays_of, kept_arrays, known_weights, landmark_model
from anthropo.photo import Photo

if TYPE_CHECKING:
    from anthropo.face.adjustment import Adjustment
    from anthropo.face.landmark_bundle import LandmarkBundle

_NAME = "fine-landmarks"  # of the packaged second stage in weights.csv
FACE = 512  # px, side of the upright face
PATCH = 64  # px, side of a patch
#: Anatomical landmarks that have no side.
MIDLINE = frozenset({"sn", "ls", "sts", "sti", "li"})
_CODES = MIDLINE | {"p", "ps", "pi", "en", "ex", "al", "ch", "cph"}  # without their side

_DECODED_UNIT = 120.0  # px: decode finer when the outer-canthal distance is smaller than this
_COVERED = 0.5  # of a region's landmarks may be hidden
_FEWEST = 6  # landmarks that a face is laid upright by, where others are hidden
_LOOKS = 2  # places that patches are taken from, in turn by the networks of a region
_SHARE = 0.6  # of the packaged second stage in a point that both stages predict
_MOST_OFFSET = 100.0  # px of the upright face
_MOST_KEPT = 100.0  # times the first stage's spread
_BEFORE = "before."  # arrays of the second stage that has its turn before
_MOST_BEFORE = 8  # of these, one before the other


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    network: _engine.PatchNetwork
    scheme: NDArray[np.intp]  # points of the 68-point scheme, the subject's right side
    codes: tuple[str, ...]  # anatomical landmarks, without their side
    pixel: float  # pixels of the upright face per patch pixel
    patch: int  # px, side of a patch
    look: int  # which of the places it is seen from


@dataclass(frozen=True, slots=True, eq=False)
class Mixing:
    """What becomes of the two stages' points, as people kept apart have shown.

    Attributes
    ----------
    share : (68,) array
        Of the second stage in each point; the rest is the first's.
    offset : (68, 2) array
        Is taken from the second stage's points, pixels of the upright face.
    kept : (68,) array
        Share of the first stage's spread over jittered boxes that remains in each point.
    """

    share: Floats
    offset: Floats
    kept: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FineModel:
    """The second stage's networks.

    Attributes
    ----------
    frame : (68, 2) array
        The mean face that faces are laid on.
    rounds : tuple of tuple
        Networks that look at the same time; those of the next round look where these have the points.
    mixing : Mixing or None
        None for the packaged stage, in which each of two looks goes into half of the evaluations.
    before : FineModel or None
        The second stage of the model that this one begins from, which has its turn first.
    adjustment : Adjustment or None
        What the points are moved by before these networks look.
    """

    frame: Floats
    rounds: tuple[tuple[_Region, ...], ...]
    mixing: Mixing | None = None
    before: FineModel | None = None
    adjustment: Adjustment | None = None

    @property
    def begun(self) -> FineModel:
        """Without these networks: what comes before them alone."""
        return replace(self, rounds=(), mixing=None)

    @property
    def regions(self) -> tuple[_Region, ...]:
        """The networks of all rounds."""
        return tuple(region for one in self.rounds for region in one)


def read_fine_model(data: bytes) -> FineModel:
    """The networks from an .npz file's content."""
    return _packaged(lambda: arrays_of(data))


def _packaged(arrays: Callable[[], Mapping[str, NDArray[Any]]]) -> FineModel:
    try:
        return fine_of_arrays(arrays())
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"fine.npz: not the weights of the fine landmark stage ({error}). Reinstall anthropo, or "
            f"pass {parameter('fine', False)}."
        ) from None


def fine_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> FineModel:
    """The networks of a file's arrays; a KeyError or ValueError says what does not fit."""
    if any(k.startswith(_BEFORE * (_MOST_BEFORE + 1)) for k in arrays):
        raise ValueError(f"more than {_MOST_BEFORE} second stages, one before the other")
    begins = {k.removeprefix(_BEFORE): v for k, v in arrays.items() if k.startswith(_BEFORE)}
    arrays = {k: v for k, v in arrays.items() if not k.startswith(_BEFORE)}
    names: dict[str, list[str]] = {}  # of regions, each with those of its arrays
    for key in arrays:
        name, dot, _ = key.partition(".")
        if dot:
            names.setdefault(name, []).append(key)
    frame = arrays["frame"].astype(np.float64)
    adjustment = None
    if "adjusted_places" in arrays and frame.shape == (68, 2):  # the packaged stage has none
        from anthropo.face.adjustment import adjustment_of

        adjustment = adjustment_of(arrays, frame)
    if frame.shape != (68, 2) or not (names or adjustment):
        raise ValueError(f"a mean face of shape {frame.shape}, {len(names)} regions")
    if not np.isfinite(frame).all() or not 1 < frame[17:].std() < FACE:
        raise ValueError("a mean face that is none")
    rounds: dict[int, list[_Region]] = {}
    for name, keys in names.items():
        turn = int(arrays.get(f"{name}.round", np.array(0)))
        others = rounds.setdefault(turn, [])
        region = _region(arrays, name, keys)
        before = sum(np.array_equal(region.scheme, other.scheme) for other in others)
        others.append(replace(region, look=before % _LOOKS))
    return FineModel(
        frame,
        tuple(tuple(rounds[turn]) for turn in sorted(rounds)),
        _mixing(arrays) if names else None,
        fine_of_arrays(begins) if begins else None,
        adjustment,
    )


def _mixing(arrays: Mapping[str, NDArray[Any]]) -> Mixing | None:
    if "share" not in arrays:
        return None
    share, offset, kept = (arrays[name].astype(np.float64) for name in ("share", "offset", "kept"))
    if share.shape not in ((), (68,)) or not ((share >= 0) & (share <= 1)).all():
        raise ValueError("a share of the second stage that is not between 0 and 1")
    if offset.shape != (68, 2) or not (np.abs(offset) <= _MOST_OFFSET).all():
        raise ValueError(f"offsets that are not 68 pairs up to {_MOST_OFFSET:g} pixels")
    if kept.shape != (68,) or not ((kept >= 0) & (kept <= _MOST_KEPT)).all():
        raise ValueError(f"shares of the first stage's spread that are not 68 numbers up to {_MOST_KEPT:g}")
    return Mixing(np.broadcast_to(share, 68), offset, kept)


def _region(arrays: Mapping[str, NDArray[Any]], name: str, keys: Sequence[str]) -> _Region:
    layers = [k for k in keys if f"{k}_bias" in arrays]
    patch = int(arrays.get(f"{name}.patch", np.array(PATCH)))
    network = _engine.PatchNetwork(
        [arrays[k].astype(np.float32, copy=False) for k in layers],
        [arrays[f"{k}_bias"].astype(np.float32, copy=False) for k in layers],
        patch,
    )
    scheme = arrays[f"{name}.scheme"].astype(np.intp)
    codes = _codes(arrays.get(f"{name}.codes", np.empty(0, np.str_)))
    if network.points != len(scheme) + len(codes):
        raise ValueError(f"{name}: {network.points} points, {len(scheme) + len(codes)} names")
    if len(scheme) == 0 or not ((scheme >= 0) & (scheme < 68)).all():
        raise ValueError(f"{name}: points beyond the 68")
    pixel = float(arrays[f"{name}.pixel"])
    if not 0.1 < pixel < FACE / PATCH * 2:
        raise ValueError(f"{name}: {pixel} pixels for each of a patch")
    return _Region(network, scheme, codes, pixel, patch, 0)


def _codes(array: NDArray[Any]) -> tuple[str, ...]:
    """Names of anatomical landmarks: texts, or in a model's file the bytes of them, with spaces between."""
    codes = array.tobytes().decode().split() if array.dtype == np.uint8 else array.tolist()
    if not set(codes) <= _CODES:
        raise ValueError("anatomical landmarks that are none")
    return tuple(codes)


@lru_cache(maxsize=4)
def fine_model(landmarks: str | None = None) -> FineModel:
    """The second stage that goes with a landmark model: its own where its file has one, else the packaged."""
    bundle = None if landmarks is None else landmark_model(landmarks).bundle
    if bundle is None or not bundle.fine:
        return _packaged(lambda: kept_arrays(_NAME))
    return own_fine_model(str(landmarks), bundle.fine, bundle)


def own_fine_model(landmarks: str, arrays: Mapping[str, NDArray[Any]], bundle: LandmarkBundle) -> FineModel:
    """The second stage in the file of a landmark model; a WeightsError says why it cannot be used."""
    try:
        model = fine_of_arrays(arrays)
        by = model.adjustment
        if by is not None and (bundle.start is None or len(by.places) != len(bundle.scheme.names)):
            raise ValueError(f"{len(by.places)} adjusted points that are not those of its scheme")
        if (by is not None and by.beside) is bundle.scheme.ibug or not (by or bundle.scheme.ibug):
            raise ValueError("adjusted points where its scheme has others")
        return model
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{landmarks}: its second stage cannot be used ({error}). Train it again, or pass "
            f"{parameter('fine', False)}."
        ) from None


def fine_sha256() -> str:
    """SHA-256 of the packaged second stage's file, which is checked where the file is read."""
    return known_weights(_NAME).sha256


def fine_arrays() -> dict[str, NDArray[Any]]:
    """The arrays of the packaged second stage, for a file that is to hold it; model files keep no texts."""
    return {
        name: np.frombuffer(" ".join(array.tolist()).encode(), np.uint8) if array.dtype.kind == "U" else array
        for name, array in kept_arrays(_NAME).items()
    }


def refine(photo: Photo, face: Face, model: FineModel | None = None) -> Face:
    """The face with its landmarks looked at a second time, in high-resolution patches.

    Parameters
    ----------
    photo : Photo
        The photo that the face was found in; decoded finer when that is of use.
    face : Face
    model : FineModel, optional
        The packaged one when left out.

    Returns
    -------
    Face
        ``landmarks``, ``samples`` and ``landmark_sd`` are of both stages together; ``anatomy`` holds
        the anatomical landmarks by code, photo pixels.

    Raises
    ------
    WeightsError
        If the packaged weights are missing or damaged.
    PhotoError
        If the photo has to be decoded more finely, and cannot be.

    Examples
    --------
    >>> import anthropo
    >>> photo = anthropo.read_photo(anthropo.example_photo())
    >>> sorted(anthropo.face.refine(photo, anthropo.read_face(photo)).anatomy)[:4]
    ['alL', 'alR', 'chL', 'chR']
    """
    model = fine_model() if model is None else model
    if model.before is not None:
        face = refine(photo, face, model.before)
    if model.adjustment is not None and not model.adjustment.beside:
        face = _adjusted(face, model.adjustment)
    if not model.rounds:
        return face
    unit = outer_canthal_distance(face.landmarks)
    if unit / photo.decode_scale < _DECODED_UNIT:
        photo = photo.finer(power_of_two(unit / _DECODED_UNIT))
    placed = photo.to_decoded(face.landmarks)
    hidden = face.concealed
    upright, there, back = lay_upright(photo.pixels, placed, model.frame, hidden)
    placed = placed @ there[:, :2].T + there[:, 2]

    anatomy: dict[str, list[Floats]] = {}
    for regions in model.rounds:
        looks, counts = _looked(regions, upright, placed, anatomy, hidden)
        mean = looks.sum(0) / np.maximum(counts.sum(0), 1)
        placed = np.where(counts.sum(0) > 0, mean, placed)

    def to_photo(points: Floats) -> Floats:
        return photo.to_full(points @ back[:, :2].T + back[:, 2])

    samples, points = face.samples.copy(), face.landmarks.copy()
    if model.mixing is not None:
        by = model.mixing
        points += by.share[:, None] * (to_photo(placed - by.offset) - points)
        samples = points + by.kept[:, None] * (samples - face.landmarks)
    else:
        seen_twice = counts.sum((0, 2)) > 0
        looks, counts, mean = looks[:, seen_twice], counts[:, seen_twice], mean[seen_twice]
        fine = to_photo(np.where(counts > 0, looks / np.maximum(counts, 1), mean))
        samples[:, seen_twice] += _SHARE * (fine[np.arange(len(samples)) % _LOOKS] - samples[:, seen_twice])
        points[seen_twice] += _SHARE * (to_photo(mean) - points[seen_twice])
    if hidden is not None:  # patches of what hides a landmark do not tell where it is
        points[hidden], samples[:, hidden] = face.landmarks[hidden], face.samples[:, hidden]
    return replace(
        face,
        landmarks=points,
        samples=samples,
        landmark_sd=samples.std(0, ddof=1) if len(samples) > 1 else face.landmark_sd,
        anatomy={**face.anatomy, **{name: to_photo(np.mean(values, 0)) for name, values in anatomy.items()}},
    )


def _adjusted(face: Face, by: Adjustment) -> Face:
    samples = by(face.samples)
    return replace(
        face,
        landmarks=by(face.landmarks),
        samples=samples,
        landmark_sd=samples.std(0, ddof=1) if len(samples) > 1 else face.landmark_sd,
    )


def _looked(
    regions: Sequence[_Region],
    upright: NDArray[np.uint8],
    placed: Floats,
    anatomy: dict[str, list[Floats]],
    hidden: NDArray[np.bool_] | None,
) -> tuple[Floats, Floats]:
    """Sums (looks, 68, 2) of where networks see points, and how many do; `anatomy` is added to.

    Regions most of which is `hidden` (68,) are not looked at: they would move points that are seen.
    """
    looks = np.zeros((_LOOKS, 68, 2))
    counts = np.zeros((_LOOKS, 68, 1))
    for region in regions:
        for mirrored in (False, True):
            at = MIRROR[region.scheme] if mirrored else region.scheme
            if hidden is not None and hidden[at].mean() > _COVERED:
                continue
            seen = _look(region, upright, placed, mirrored, region.look)
            n = len(region.scheme)
            looks[region.look, at] += seen[:n]
            counts[region.look, at] += 1
            for code, point in zip(region.codes, seen[n:], strict=True):
                name = code if code in MIDLINE else code + ("L" if mirrored else "R")
                anatomy.setdefault(name, []).append(point)
    return looks, counts


def lay_upright(
    pixels: NDArray[np.uint8], points: Floats, frame: Floats, hidden: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """A face laid on a mean face.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
    points : (68, 2) array
        The face's landmarks, pixels.
    frame : (68, 2) array
        The mean face in the upright picture.
    hidden : (68,) bool array, optional
        Landmarks that do not count, unless hardly any others are left.

    Returns
    -------
    (FACE, FACE) uint8 array, (2, 3) array, (2, 3) array
        The grey upright face, the map from pixels to it, and the map back.
    """
    there = upright_map(points, frame)
    if hidden is not None and (~hidden[17:]).sum() >= _FEWEST:
        there = similarity(points[17:][~hidden[17:]], frame[17:][~hidden[17:]])
    turn = np.linalg.inv(there[:, :2])
    back = np.column_stack([turn, -turn @ there[:, 2]])
    return _engine.warp(pixels, back, FACE, FACE), there, back


def _look(region: _Region, upright: NDArray[np.uint8], placed: Floats, mirrored: bool, look: int) -> Floats:
    """The region's points (P, 2) in the upright face; the subject's left is seen mirrored."""
    points = placed[MIRROR[region.scheme] if mirrored else region.scheme]
    centre = points.mean(0)
    if mirrored:
        centre = np.array([FACE - 1 - centre[0], centre[1]])
    sampled = _maps(region.pixel, region.patch)[look].copy()
    sampled[:, 2] += centre
    if mirrored:
        sampled[0] *= -1
        sampled[0, 2] += FACE - 1
    (seen,) = region.network.predict(upright, sampled[None])
    return np.asarray(seen @ sampled[:, :2].T + sampled[:, 2])


@lru_cache(maxsize=16)
def _maps(pixel: float, patch: int) -> Floats:
    """Jittered maps (looks, 2, 3), patch pixels to the upright face, of a patch centred on the origin."""
    z = normals(_LOOKS, 4) * (3.0, 3.0, 0.04, 0.04)
    z[0] = 0
    size, angle = pixel * np.exp(z[:, 2]), z[:, 3]
    a, b = size * np.cos(angle), size * np.sin(angle)
    turn = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)
    shift = z[:, :2] - turn @ np.full(2, (patch - 1) / 2)
    return np.concatenate([turn, shift[:, :, None]], 2)
