"""Synthetic patients: one public-domain portrait, morphed by known amounts.

Every picture is scikit-image's astronaut (NASA, public domain) with a neutral mouth, given the shape
of a random person, a random pose, light, skin tone and backdrop, and, by its label, changes of chosen
measurements. Nobody in it exists, and the labels are invented: a cohort for trying the program out and
for tests whose answer is known, not for learning anything about people.

Lengths here are in outer-canthal distances, on the face's own axes (x along the eye line towards the
subject's left, y down), as in `anthropo.face.frame.face_axes`.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError
from anthropo.face.frame import face_axes
from anthropo.face.landmarker import Face
from anthropo.face.pose import generic_face, rotation
from anthropo.face.scheme import MIRROR
from anthropo.face.shape import shapes
from anthropo.files import write_atomically
from anthropo.measurement.compute import evaluate, geometry
from anthropo.measurement.registry import registry
from anthropo.observation import observe
from anthropo.photo import example_photo
from anthropo.reference.tables import load_reference

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

CAPTION = "SYNTHETIC PICTURE - no real person, no real patient"
COHORT = "cohort.csv"
TRUTH = "truth.csv"
CONTROL = "control"

_PUPILS = (68, 69)  # the subject's right and left, after the 68 points
_LIDS = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
_MIRROR = np.array([*MIRROR, 69, 68])


@dataclass(frozen=True, slots=True)
class Morph:
    """A displacement of some landmarks that changes one measurement and what is made of it."""

    name: str
    description: str  # of a change upwards
    measurements: tuple[str, ...]  # meant, both sides
    moves: Mapping[int, tuple[float, float]]  # subject's right and midline; the left is mirrored
    gain: float  # how much further points have to move than anthropo then sees them moved
    lowest: float = -3.0  # SD, below which faces no longer follow

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest change, standard deviations, that pictures follow."""
        return self.lowest, 3.0

    @property
    def direction(self) -> Floats:
        """Displacement (70, 2) of the 68 points and both pupils for a strength of 1."""
        field = np.zeros((70, 2))
        for point, (x, y) in self.moves.items():
            field[point] = x, y
            field[_MIRROR[point]] = x if _MIRROR[point] == point else -x, y
        return field

    def displacement(self, amount: float) -> Floats:
        """Displacement (70, 2) after which anthropo measures a change by `amount` standard deviations.

        A predictor draws what it sees towards the faces it knows. Healthy standard deviations were
        measured with it as well, so that an amount means what it means between real people.
        """
        return self.gain * self.strength(amount) * self.direction

    def strength(self, amount: float) -> float:
        """Multiple of `direction` that by definition changes the meant measurements by `amount` SD."""
        ids = list(self.measurements)
        spread = np.array([healthy_sd()[i] for i in ids])

        def change(strength: float) -> float:
            return float((_values(strength * self.direction, ids) / spread).mean())

        # the measurements are all but linear in the strength: a few secant steps are exact
        last, strength = 0.0, 0.01
        before, now = 0.0, change(0.01)
        for _ in range(20):
            if abs(now - amount) < 1e-6 or now == before:
                break
            last, strength = strength, strength + (amount - now) * (strength - last) / (now - before)
            before, now = now, change(strength)
        return strength

    def family(self, amount: float = 2.5, least: float = 0.5) -> tuple[str, ...]:
        """Measurements that by their own definition change as well.

        Parameters
        ----------
        amount : float
            Change of the meant measurements, healthy standard deviations.
        least : float
            Change from which another measurement belongs to the family, standard deviations.

        Returns
        -------
        tuple of str
            Ids in the registry's order, the meant ones included.
        """
        ids = [e.id for e in geometry() if e.id in healthy_sd() and not e.needs_mm]
        changes = _values(self.displacement(amount), ids)
        return tuple(
            i
            for i, change in zip(ids, changes, strict=True)
            if i in self.measurements or abs(change) >= least * healthy_sd()[i]
        )


def _values(displacement: Floats, ids: Sequence[str]) -> Floats:
    """Changes of measurements when the mean face's points are displaced by (70, 2)."""
    entries = [registry()[i] for i in ids]
    mean = shapes()[0]
    return np.asarray(evaluate(mean + displacement[:68], entries) - evaluate(mean, entries))


def _both(stem: str) -> tuple[str, ...]:
    return (f"{stem}_R", f"{stem}_L")


#: Morphs that change one measurement. In units of the outer-canthal distance, wider-set inner canthi are
#: shorter fissures: those two differ in whether the pupils move as well. Small moves of neighbours undo
#: what the predictor takes along; gains are what 12 faces needed at 2.5 SD.
SINGLE_MORPHS: dict[str, Morph] = {
    m.name: m
    for m in (
        Morph(
            "palpebral_fissure_length", "longer palpebral fissures, pupils in place",
            _both("palpebral_fissure_length"),
            {39: (1, 0), 38: (0.4, 0.16), 40: (0.4, -0.11), 37: (0, 0.16), 41: (0, -0.11)}, 1.9,
        ),
        Morph(
            "intercanthal_width", "wider-set inner canthi and pupils", ("intercanthal_width",),
            {39: (-1, 0), 38: (-0.67, -0.17), 40: (-0.67, 0.12), 37: (-0.33, -0.17), 41: (-0.33, 0.12),
             68: (-0.5, 0)}, 1.7,
        ),
        Morph(
            "palpebral_inclination", "fissures that slant upwards", _both("palpebral_inclination"),
            {36: (0, -1), 37: (0, -0.4), 41: (0, -0.4), 38: (0, 0.4), 40: (0, 0.4), 39: (0, 1)}, 1.6,
        ),
        Morph(
            "palpebral_fissure_height", "wider-open eyes", _both("palpebral_fissure_height"),
            {37: (0, -0.6), 38: (-0.14, -0.6), 39: (-0.34, 0), 40: (-0.14, 0.4), 41: (0, 0.4)}, 2.2,
        ),
        Morph(
            "brow_height", "higher brows", _both("brow_height"),
            dict.fromkeys(range(17, 22), (0, -1)) | {27: (0, 0.15), 37: (0, 0.06), 38: (0, 0.06)}, 1.25,
            lowest=0.0,
        ),
        Morph(
            "nasal_width", "a wider nasal base", ("nasal_width",),
            {31: (-1, 0), 32: (-0.5, 0), 50: (0.1, 0)}, 1.7, lowest=0.0,
        ),
        Morph(
            "philtrum_length", "a longer philtrum, the mouth lower", ("philtrum_length",),
            dict.fromkeys((48, 49, 50, 51, 57, 58, 59, 60, 61, 62), (0, 1))
            | {30: (0, -0.1), 31: (0, -0.2), 32: (0, -0.4), 33: (0, -0.5), 66: (0, 0.8), 67: (0, 0.8)},
            2.0, lowest=-2.0,
        ),
        Morph(
            "upper_vermilion_height", "a thicker upper lip", ("upper_vermilion_height",),
            {48: (0, 0.95), 49: (0, 0.2), 60: (0, 0.95), 57: (0, 0.6), 58: (0, 0.6), 59: (0, 0.7)}
            | {61: (0, 1), 62: (0, 1), 66: (0, 0.8), 67: (0, 0.8)}, 1.7, lowest=-1.5,
        ),
        Morph(
            "mouth_width", "a wider mouth", ("mouth_width",),
            {48: (-1, 0), 60: (-0.9, 0), 49: (-0.4, 0), 59: (-0.6, 0), 58: (-0.25, 0), 61: (-0.2, 0),
             67: (-0.2, 0), 50: (0.15, 0)}, 1.35, lowest=-2.5,
        ),
        Morph(
            "mandible_height", "a longer chin", ("mandible_height",),
            {8: (0, 1), 7: (0, 0.95), 6: (0, 0.8), 5: (0, 0.5), 4: (0, 0.2)}, 1.12, lowest=-2.0,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Syndrome:
    """An invented label and what it changes."""

    name: str
    description: str
    changes: Mapping[str, float]  # name of a morph -> healthy standard deviations


#: The labels of `make_cohort`. None of them is a disease.
SYNDROMES: dict[str, Syndrome] = {
    s.name: s
    for s in (
        Syndrome(CONTROL, "nothing but the variation between people", {}),
        Syndrome(
            "synthetic-A",
            "short palpebral fissures, thin upper lip, short chin",
            {"palpebral_fissure_length": -2.0, "upper_vermilion_height": -1.2, "mandible_height": -1.8},
        ),
        Syndrome(
            "synthetic-B",
            "wide mouth, wide nose, high brows",
            {"mouth_width": 2.0, "nasal_width": 2.0, "brow_height": 2.0},
        ),
        Syndrome(
            "synthetic-C",
            "upslanting palpebral fissures, wide-set eyes",
            {"palpebral_inclination": 2.0, "intercanthal_width": 2.0},
        ),
    )
}


@lru_cache(maxsize=1)
def healthy_sd() -> dict[str, float]:
    """How much each measurement differs between healthy adults (1 SD), of the reference frl-adults."""
    spread: dict[str, list[float]] = {}
    for row in load_reference("frl-adults").rows:
        if row.unit == registry()[row.measurement].unit:
            spread.setdefault(row.measurement, []).append(row.sd)
    return {i: float(np.mean(sds)) for i, sds in spread.items()}


def _identity(random: np.random.Generator) -> Floats:
    """A random person's deviation (70, 2) from the mean face."""
    modes = shapes()[1]
    points = np.tensordot(random.standard_normal(len(modes)).clip(-2, 2), modes, 1)
    # half of what is not symmetric is the head's turn and landmark error, which every picture has anyway
    points = 0.75 * points + 0.25 * points[MIRROR] * np.array([-1.0, 1.0])
    points[[61, 62, 63]] = points[[67, 66, 65]] = (points[[61, 62, 63]] + points[[67, 66, 65]]) / 2  # shut
    return np.concatenate([points, [points[list(lid)].mean(0) for lid in _LIDS]])


def _displacement(changes: Mapping[str, float]) -> Floats:
    """Displacement (70, 2) for changes by morph's name, in standard deviations."""
    for name, amount in changes.items():
        if name not in SINGLE_MORPHS:
            raise InputError(f"No morph is called {name!r}. Choose from {', '.join(SINGLE_MORPHS)}.")
        low, high = SINGLE_MORPHS[name].range
        if not low <= amount <= high:
            raise InputError(
                f"{name}: a change of {amount:g} SD. Choose one between {low:g} and {high:g} SD."
            )
    total = np.zeros((70, 2))
    for name, amount in changes.items():
        total += SINGLE_MORPHS[name].displacement(amount)
    return total


# --------------------------------------------------------------------------------------- warping

_STEP = 8  # px between the points at which a map is computed; linear between them


def _map(to: Floats, source: Floats, height: int, width: int, step: int = _STEP) -> Floats:
    """Where each pixel (2, H, W: row, column) comes from, by a thin-plate spline through points (x, y).

    Bookstein 1989, IEEE PAMI 11:567.
    """
    from scipy.interpolate import RBFInterpolator
    from scipy.ndimage import map_coordinates

    rows, columns = -(-height // step) + 1, -(-width // step) + 1
    grid = np.moveaxis(np.mgrid[0:rows, 0:columns][::-1], 0, -1).reshape(-1, 2) * float(step)
    coarse = RBFInterpolator(to, source, kernel="thin_plate_spline")(grid).reshape(rows, columns, 2)
    at = np.mgrid[0:height, 0:width] / step
    return np.stack([map_coordinates(coarse[..., axis], at, order=1) for axis in (1, 0)])


def _sample(image: NDArray[np.float32], at: Floats, order: int = 1) -> NDArray[np.float32]:
    """Channels (H, W, C) at rows and columns (2, h, w), mirrored beyond the border."""
    from scipy.ndimage import map_coordinates

    channels = [
        map_coordinates(image[..., c], at, order=order, mode="reflect", output=np.float32)
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, -1)


def _border(height: int, width: int, count: int = 7) -> Floats:
    """Points along an image's border, (N, 2), pixels."""
    x, y = np.linspace(0, width - 1, count), np.linspace(0, height - 1, count)
    edges = [(a, b) for a in x for b in (0.0, height - 1.0)]
    edges += [(a, b) for a in (0.0, width - 1.0) for b in y[1:-1]]
    return np.array(edges)


def _with_pupils(face: Face) -> Floats:
    """The 68 points and both pupils (70, 2), photo pixels."""
    points = face.landmarks
    seen = [
        face.anatomy.get(code, points[list(lid)].mean(0))
        for code, lid in zip(("pR", "pL"), _LIDS, strict=True)
    ]
    return np.concatenate([points, seen])


def morph(pixels: Pixels, face: Face, changes: Mapping[str, float], seed: int | None = None) -> Pixels:
    """A photograph with a face changed by known amounts.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
    face : Face
        Found in `pixels`.
    changes : mapping of str to float
        Name of a morph (`SINGLE_MORPHS`) to the change in healthy standard deviations.
    seed : int, optional
        Give the face another person's proportions as well, drawn with this seed.

    Returns
    -------
    (H, W, 3) uint8 array

    Raises
    ------
    InputError
        If a morph is unknown or its amount no finite number.
    """
    move = _displacement(changes)
    if seed is not None:
        move = move + _identity(np.random.default_rng(seed))
    height, width = pixels.shape[:2]
    points, border = _with_pupils(face), _border(height, width)
    to = points + move @ face_axes(face.landmarks)
    at = _map(np.concatenate([to, border]), np.concatenate([points, border]), height, width)
    return _as_pixels(_sample(pixels.astype(np.float32), at))


def _as_pixels(image: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.rint(image).clip(0, 255).astype(np.uint8))


# -------------------------------------------------------------------------------- the neutral face

# The astronaut smiles; the predictor misses where the lips end. Points 48 to 59, placed by hand.
_MOUTH = np.array(
    [
        (201.0, 139.0), (210.0, 139.2), (219.5, 139.3), (223.0, 139.9), (227.0, 139.2), (236.0, 139.3),
        (245.5, 140.0), (238.0, 147.5), (230.5, 152.5), (223.5, 153.8), (216.0, 152.8), (208.5, 148.5),
    ]
)  # fmt: skip
# RGB. Pale, as hers are: dark lips on light skin are taken for an open mouth.
_LIP = (206.0, 150.0, 136.0)
_LINE = (48, 60, 61, 62, 63, 64, 54), (48, 60, 67, 66, 65, 64, 54)  # where the lips meet: upper, lower

_UNIT = 128.0  # px per outer-canthal distance in the neutral face
_SIDE = 600  # px, its sides
_EYES = np.array([300.0, 265.0])  # px, where the middle between the outer canthi lies


@dataclass(frozen=True, slots=True, eq=False)
class _Neutral:
    """The portrait with the mean face's shape and a closed mouth."""

    channels: NDArray[np.float32]  # (H, W, 5): red, green, blue, share of skin, share of backdrop
    points: Floats  # (70, 2) in outer-canthal distances


@lru_cache(maxsize=1)
def _neutral() -> _Neutral:
    from scipy.ndimage import gaussian_filter, label
    from skimage.color import rgb2lab

    seen = observe(example_photo())
    photo, face = seen.photo, seen.face
    source = _with_pupils(face)
    axes, middle = face_axes(face.landmarks), face.landmarks[[36, 45]].mean(0)
    source[48:60] = _MOUTH
    mean = shapes()[0]
    seen = (source - middle) @ np.linalg.inv(axes)
    # the pupils keep their place between the lids
    gaze = [seen[p] + (mean - seen[:68])[list(lid)].mean(0) for p, lid in zip(_PUPILS, _LIDS, strict=True)]
    points = np.concatenate([mean, gaze])

    # closing the mouth by a warp would tear it: lips are painted over the teeth, and the line between them
    pixels = photo.pixels.astype(np.float32)
    shut = _inside(pixels.shape[:2], _MOUTH).astype(np.float32)
    shut = gaussian_filter(shut, 0.7)[..., None]
    pixels += 0.9 * shut * (np.array(_LIP, np.float32) - pixels)
    kept = [i for i in range(70) if not 60 <= i < 68]
    border = (_border(_SIDE, _SIDE) - _EYES) / _UNIT
    to = np.concatenate([points[kept], border]) * _UNIT + _EYES
    origin = np.concatenate([source[kept], border @ axes + middle])
    image = _sample(pixels, _map(to, origin, _SIDE, _SIDE, 2), order=3).clip(0, 255)
    image *= _lips(mean * _UNIT + _EYES)[..., None]

    lab = rgb2lab(image / 255.0)
    y, x = (np.mgrid[0:_SIDE, 0:_SIDE] - _EYES[::-1, None, None]) / _UNIT
    cheek = np.median(lab[(abs(abs(x) - 0.42) < 0.1) & (abs(y - 0.35) < 0.1)], axis=0)
    reddish = np.exp(-0.5 * (((lab - cheek) / [40.0, 9.0, 9.0]) ** 2).sum(-1))
    reddish *= (x / 0.95) ** 2 + ((y - 0.55) / 1.2) ** 2 < 1  # of the head, not of the suit
    reddish[_inside(reddish.shape, mean[48:60] * _UNIT + _EYES)] = 0.9  # lips are skin
    plain = (lab[..., 0] > 62) & (np.hypot(lab[..., 1], lab[..., 2]) < 12) | (y < -1.5)
    parts = label(plain)[0]
    backdrop = parts == parts[0, 0]
    masks = [gaussian_filter(m.astype(np.float32), 1.5) for m in (reddish, backdrop)]
    return _Neutral(np.concatenate([image, np.stack(masks, -1)], -1).astype(np.float32), points)


def _inside(shape: tuple[int, ...], outline: Floats) -> NDArray[np.bool_]:
    """Which pixels lie inside a polygon (N, 2)."""
    from skimage.draw import polygon2mask

    return np.asarray(polygon2mask(shape, outline[:, ::-1]))  # type: ignore[no-untyped-call]


def _lips(points: Floats) -> NDArray[np.float32]:
    """Shading (H, W) of closed lips: the upper one in shadow, a dark line, a little light on the lower."""
    from scipy.ndimage import gaussian_filter

    upper, lower = (points[list(line)] for line in _LINE)
    middle = (upper + lower) / 2
    shade = np.ones((_SIDE, _SIDE), np.float32)
    above = np.concatenate([points[48:55], middle[::-1]])
    below = np.concatenate([middle, points[55:60]])
    half = np.array([0.0, 1.1])  # px
    thin = np.concatenate([middle - half, (middle + half)[::-1]])
    for outline, gain, blur in ((above, 0.86, 2.0), (below, 1.05, 3.0), (thin, 0.42, 0.9)):
        mask = _inside(shade.shape, outline).astype(np.float32)
        shade *= 1 + (gain - 1) * gaussian_filter(mask, blur)
    return shade


# ------------------------------------------------------------------------------------- one picture

_HEIGHT, _WIDTH = 480, 440  # px, of a picture
_CAPTION_HEIGHT = 18  # px
_FACE_UNIT = 104.0  # px per outer-canthal distance


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """What all photographs of one synthetic patient share."""

    shape: Floats  # (70, 2) deviation from the mean face
    hair: Floats  # radial changes of the hair's outline: Fourier coefficients
    tone: Floats  # CIELAB change of the skin
    mirrored: bool


_THINNEST = 0.022  # outer-canthal distances: thinner lips would be torn


def _untorn(shape: Floats) -> Floats:
    """The deviation (70, 2) with lips that keep some height, whatever its parts add up to."""
    points = _neutral().points + shape
    result: Floats = shape.copy()
    result[49:54, 1] -= max(0.0, _THINNEST - (points[61:64, 1] - points[50:53, 1]).min())
    result[55:60, 1] += max(0.0, _THINNEST - (points[56:59, 1] - points[65:68, 1]).min())
    return result


def _person(random: np.random.Generator, changes: Mapping[str, float]) -> _Person:
    return _Person(
        shape=_untorn(_identity(random) + _displacement(changes)),
        hair=random.normal(0, [0.05, 0.04, 0.04, 0.02, 0.02]),
        tone=np.array([random.uniform(-26, 6), random.normal(0, 2.5), random.normal(0, 4)]),
        mirrored=bool(random.random() < 0.5),
    )


def _hair(person: _Person | None) -> Floats:
    """Points around the hair (N, 2), outer-canthal distances."""
    angle = np.linspace(np.pi * 0.95, np.pi * 2.05, 11)
    ring = np.stack([1.3 * np.cos(angle), 1.35 * np.sin(angle)], -1)
    if person is not None:
        waves = [np.ones_like(angle), np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
        ring *= 1 + (person.hair @ np.stack(waves))[:, None]
    return np.asarray(ring)


def _photograph(person: _Person, random: np.random.Generator) -> bytes:
    """One photograph of a person: another pose, light and camera each time. A JPEG without EXIF."""
    from scipy.ndimage import gaussian_filter

    neutral = _neutral()
    face = neutral.points + person.shape
    face[48:68] += random.normal(0, 0.004, (1, 2))  # no mouth is held twice alike
    face[17:27, 1] += random.normal(0, 0.006)
    solid = generic_face()
    turned = solid @ rotation(random.normal(0, 1), random.normal(0, 1), 0).T
    shift = (turned - solid)[:, :2]
    face += np.concatenate([shift, [shift[list(lid)].mean(0) for lid in _LIDS]])

    roll, unit = np.radians(random.normal(0, 2)), _FACE_UNIT * np.exp(random.normal(0, 0.06))
    axes = unit * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    middle = np.array([_WIDTH / 2, 0.43 * _HEIGHT]) + random.normal(0, 7, 2)
    border = _border(_HEIGHT, _WIDTH)
    to = np.concatenate([face @ axes + middle, _hair(person) @ axes + middle, border])
    origin = np.concatenate([neutral.points, _hair(None), (border - middle) @ np.linalg.inv(axes)])
    seen = _sample(neutral.channels, _map(to, origin * _UNIT + _EYES, _HEIGHT, _WIDTH))
    if person.mirrored:
        seen = seen[:, ::-1]
    image, skin, backdrop = seen[..., :3], seen[..., 3:4], seen[..., 4:]

    y, x = np.mgrid[0:_HEIGHT, 0:_WIDTH].astype(np.float32) / _HEIGHT - 0.5
    image = image * _tone(person.tone) ** skin
    wall = random.uniform(60, 225) + random.normal(0, 18, 3)
    drift = random.normal(0, 50, (2, 1)) + random.normal(0, 15, (2, 3))
    image += backdrop * (wall + x[..., None] * drift[0] + y[..., None] * drift[1] - image)
    direction, fall = random.uniform(0, 2 * np.pi), random.uniform(0, 0.5)
    light = 1 + fall * (np.cos(direction) * x + np.sin(direction) * y)
    balance = np.exp(random.normal(0, 0.12) + random.normal(0, 0.04, 3)).astype(np.float32)
    image = image * light[..., None] * balance
    image = gaussian_filter(image, (*[random.uniform(0, 0.7)] * 2, 0))
    image += random.standard_normal(image.shape, dtype=np.float32) * np.float32(random.uniform(0.5, 3))
    return _jpeg(_as_pixels(image), int(random.integers(85, 96)))


def _tone(change: Floats) -> NDArray[np.float32]:
    """Gain of each channel that changes average skin by a difference in CIELAB."""
    from skimage.color import lab2rgb

    skin = np.array([72.0, 14.0, 18.0])
    before, after = lab2rgb(np.stack([skin, skin + change])[None])[0]
    return np.asarray(after / before, dtype=np.float32)


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    """Encoded, with the caption along the lower border."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, _HEIGHT - _CAPTION_HEIGHT, _WIDTH, _HEIGHT), fill=(255, 255, 255))
    draw.text((6, _HEIGHT - _CAPTION_HEIGHT + 3), CAPTION, fill=(0, 0, 0))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


# -------------------------------------------------------------------------------------- the cohort

AGES = (19, 40)  # years: the adults whose shapes the faces are drawn from
_VARIATION = 0.15  # SD of how strongly a patient shows a change, as a share of it


def make_cohort(
    folder: str | os.PathLike[str],
    n_per_label: int = 40,
    labels: Iterable[str | Syndrome] = (CONTROL, "synthetic-A"),
    seed: int = 0,
    photos_per_patient: int = 1,
    jobs: int = 2,
) -> Path:
    """Write a cohort of synthetic photographs.

    Parameters
    ----------
    folder : path
        Made when missing; must be empty.
    n_per_label : int
        Patients of each label.
    labels : sequence of str or Syndrome
        Names in `SYNDROMES`, or changes of your own.
    seed : int
        The same seed gives the same patients, whatever `jobs`.
    photos_per_patient : int
    jobs : int
        Threads.

    Returns
    -------
    Path
        Of ``cohort.csv``: columns photo, label, patient, age, sex, synthetic. Age and sex are drawn
        regardless of the label. What was changed is in ``truth.csv`` beside it (photo, label,
        measurement, amount in the measurement's unit, amount_sd), so that no model reads it.

    Raises
    ------
    InputError
        If a label is unknown or given twice, a number is too small, or the folder is not empty or
        cannot be written.
    """
    syndromes = [_syndrome(label) for label in labels]
    names = [s.name for s in syndromes]
    twice = next((n for n in names if names.count(n) > 1), None)
    if not names or twice:
        raise InputError(
            f"Label {twice!r} is given twice." if twice else "No label was given; name at least one."
        )
    for what, number in (
        ("n_per_label", n_per_label),
        ("photos_per_patient", photos_per_patient),
        ("jobs", jobs),
    ):
        if number < 1:
            raise InputError(f"{what}={number}: at least 1 is needed.")
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        occupied = any(target.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be used as a folder ({error.strerror}). Name another.") from None
    if occupied:
        raise InputError(f"{folder}: the folder is not empty. Name a new one for the synthetic cohort.")

    # drawn in an order that says nothing about the label
    order = np.random.default_rng([seed, 0]).permutation(len(syndromes) * n_per_label)
    patients = [(f"synthetic-{n + 1:04d}", n, syndromes[k % len(syndromes)]) for n, k in enumerate(order)]
    _neutral()  # once, before the threads

    def make(patient: tuple[str, int, Syndrome]) -> tuple[list[list[str]], list[list[str]]]:
        name, number, syndrome = patient
        random = np.random.default_rng([seed, 1, number])
        age, sex = int(random.integers(AGES[0], AGES[1] + 1)), ("female", "male")[random.integers(2)]
        changes = {
            key: float(
                np.clip(amount * (1 + _VARIATION * random.standard_normal()), *SINGLE_MORPHS[key].range)
            )
            for key, amount in syndrome.changes.items()
        }
        person = _person(random, changes)
        rows, truth = [], []
        for index in range(photos_per_patient):
            photo = f"{name}-{index + 1}.jpg"
            write_atomically(target / photo, _photograph(person, random))
            rows.append([photo, syndrome.name, name, str(age), sex, "yes"])
            truth += [[photo, syndrome.name, *row] for row in _truth(changes)]
        return rows, truth

    try:
        with ThreadPoolExecutor(jobs) as pool:
            made = list(pool.map(make, patients))
        rows, truth = ([row for part in parts for row in part] for parts in zip(*made, strict=True))
        columns = ["photo", "label", "measurement", "amount", "amount_sd"]
        write_atomically(target / TRUTH, _csv([columns, *truth]))
        columns = ["photo", "label", "patient", "age", "sex", "synthetic"]
        write_atomically(target / COHORT, _csv([columns, *rows]))
    except OSError as error:
        raise InputError(
            f"{folder}: the synthetic cohort cannot be written ({error.strerror}). Name another folder."
        ) from None
    return target / COHORT


def _syndrome(label: str | Syndrome) -> Syndrome:
    syndrome = SYNDROMES.get(label) if isinstance(label, str) else label
    if syndrome is None:
        raise InputError(f"No synthetic label is called {label!r}. Choose from {', '.join(SYNDROMES)}.")
    _displacement(syndrome.changes)  # refuses what it does not know
    return syndrome


def _truth(changes: Mapping[str, float]) -> list[list[str]]:
    """Rows of measurement, amount and amount in standard deviations."""
    return [
        [i, f"{amount * healthy_sd()[i]:.5g}", f"{amount:.3f}"]
        for name, amount in changes.items()
        for i in SINGLE_MORPHS[name].measurements
    ]


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
