"""How far the camera was from a face, and what that does to the face's picture.

A camera that is near shows what lies nearer to it too large: noses grow, and face and jaw become narrow
against the eyes. Every photograph is therefore brought to one distance, `REFERENCE`. How far a landmark lies
before or behind the eyes is that of other people's heads (depths.csv); how far the camera was is declared,
follows from the lens, or is not known. Not knowing it changes no value, since references were photographed
from distances that are not known either; it makes intervals wider.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from anthropo.decoding.exif import Optics
from anthropo.errors import InputError, parameter
from anthropo.face.frame import OUTER_CANTHI, Floats, face_axes, outer_canthal_distance
from anthropo.face.pose import generic_face, head_pose, rotation
from anthropo.files import packaged_table
from anthropo.photo import Photo

Source = Literal["declared", "lens", "exif", "unknown"]

#: Distance to which every photograph is brought, cm, and the middle of what is assumed where none is known:
#: portrait guidance recommends 1 to 2.5 m (ICAO, Portrait Quality, 2018; 0.7 to 4 m are allowed).
REFERENCE = 150.0
#: The plane that distance counts from, in outer-canthal distances behind the outer canthi: the heads of
#: depths.csv fit best with one between corneas and nasal root.
EYES = -0.2
#: Height of the camera's axis on the face, in outer-canthal distances below the eye line: at the nasal root,
#: with which the same heads fit best.
AXIS = -0.05

# Of a distance that is not known: SD of its logarithm. 95 % lie between 68 and 330 cm, which is about what
# ICAO allows. A telephone at arm's length (30 to 60 cm) is not covered: its distance has to be known.
_UNKNOWN = 0.4
# Of a declared distance without an error: 5 %, and at least 1 cm, since people measure to different points.
_DECLARED, _LEAST = 0.05, 1.0  # share, cm
# Of one that a focal length gives: makers round it, take it by the frame's width or its diagonal, and lenses
# change it as they focus near.
_FOCUSED = 0.06

_NEAREST, _FARTHEST = 10.0, 1000.0  # cm, that may be declared
_SHORTEST, _LONGEST = 8.0, 600.0  # mm, 35 mm equivalent, of lenses that faces are photographed with
_DIAGONAL = 43.267  # mm, of the 35 mm frame
_ROUNDS = 3  # until depths and pose agree to 0.1°
_ZOOMED = 1.05  # from which on a digital zoom counts as one

# Outer-canthal distance, cm, and the SD of people of one age and of all ages.
_ADULT, _SD, _SD_ANY_AGE, _ANY_AGE = 8.8, 0.05, 0.09, 8.5

_CHOICES = (
    f"60 (cm, {_NEAREST:g} to {_FARTHEST:g}; with an error: 60±3) or lens=26mm "
    f"(35 mm equivalent, {_SHORTEST:g} to {_LONGEST:g})"
)
_UNITS = {"cm": re.compile(r"\s*cm$"), "mm": re.compile(r"\s*mm$")}


@dataclass(frozen=True, slots=True)
class DistanceRequest:
    """What the user declares; made by `parse_distance`.

    Examples
    --------
    >>> from anthropo.face import parse_distance
    >>> str(parse_distance("lens = 26 mm")), str(parse_distance("60 ± 2"))
    ('lens=26mm', '60±2')
    """

    kind: Literal["cm", "lens"]
    value: float  # cm, or mm of focal length
    sd: float  # of `value`

    def __str__(self) -> str:
        return f"lens={self.value:g}mm" if self.kind == "lens" else f"{self.value:g}±{self.sd:g}"


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the camera was from the eyes, and how well that is known.

    Examples
    --------
    >>> from anthropo.face import Distance
    >>> unknown = Distance()
    >>> f"{unknown.source}: {unknown.lo:.0f} to {unknown.hi:.0f} cm"
    'unknown: 68 to 329 cm'
    """

    cm: float = REFERENCE  # where none is known, the middle of what is assumed
    rel_sd: float = _UNKNOWN  # SD of its logarithm
    source: Source = "unknown"
    face: float = _ANY_AGE  # outer-canthal distance that is assumed, cm
    face_sd: float = _SD_ANY_AGE  # SD of its logarithm
    reason: str = ""  # a sentence, where the photo's EXIF or the declared lens could not be used

    @property
    def known(self) -> bool:
        """Whether there is more than what is assumed of any photo."""
        return self.source != "unknown"

    @property
    def lo(self) -> float:
        """Lower end of the 95 % interval, cm."""
        return self.cm * math.exp(-1.959964 * self.rel_sd)

    @property
    def hi(self) -> float:
        """Upper end of the 95 % interval, cm."""
        return self.cm * math.exp(1.959964 * self.rel_sd)

    @property
    def nearness(self) -> tuple[float, float]:
        """Outer-canthal distance over the camera's distance: in this photo, and at `REFERENCE`."""
        return self.face / self.cm, self.face / REFERENCE

    def variants(self) -> Floats:
        """Nearness (3, 2) as it may be as well: nearer and farther by 2 SD, and of a larger face (1 SD)."""
        here, there = self.nearness
        by_lens = self.source in ("lens", "exif")
        # a lens tells how near the camera was against the size of the face, whatever that is
        sd = math.sqrt(max(self.rel_sd**2 - self.face_sd**2, 0.0)) if by_lens else self.rel_sd
        larger = 1 + self.face_sd
        return np.array([
            [here * math.exp(2 * sd), there],
            [here * math.exp(-2 * sd), there],
            [here * (1 if by_lens else larger), there * larger],
        ])  # fmt: skip


#: For what is compared within one photo, such as with points placed by hand: nothing is taken off, and
#: distance adds nothing to an interval.
AT_REFERENCE = Distance(REFERENCE, 0.0, "declared")


def parse_distance(text: str | float, *, named: str = "") -> DistanceRequest:
    """Read a declared distance.

    Parameters
    ----------
    text : str or float
        ``60`` or ``60 cm``, after ``±`` or ``+-`` its standard deviation; or ``lens=26mm``, the lens's focal
        length as on 35 mm film.
    named : str, optional
        What a message calls it, such as "Column `distance`"; the parameter's name when left out.

    Returns
    -------
    DistanceRequest

    Raises
    ------
    InputError
        For what is no number, or is out of range.

    Notes
    -----
    Without an error a distance is taken to be right to 5 %, and not better than 1 cm; with ``±0`` it is
    exact.

    Examples
    --------
    >>> from anthropo.face import parse_distance
    >>> parse_distance("60")
    DistanceRequest(kind='cm', value=60.0, sd=3.0)
    """
    where = f"{named or parameter('distance')} {str(text)!r}"
    lens = re.fullmatch(r"\s*lens\s*=(.*)", str(text), re.IGNORECASE)
    unit, low, high = ("mm", _SHORTEST, _LONGEST) if lens else ("cm", _NEAREST, _FARTHEST)
    number, *errors = re.split(r"±|\+/?-", lens[1] if lens else str(text))
    try:
        value, sd = (
            float(_UNITS[unit].sub("", part.strip().lower()).replace(",", "."))
            for part in (number, (*errors, "0")[0])
        )
    except ValueError:
        value = sd = math.nan
    if len(errors) > (0 if lens else 1) or not (math.isfinite(value) and math.isfinite(sd)):
        raise InputError(f"{where}: not a distance in cm. Give {_CHOICES}.")
    if not low <= value <= high:
        what = "the focal length of a lens for portraits" if lens else "how far a camera is from a face"
        raise InputError(f"{where}: {value:g} {unit} is not {what}. Give {_CHOICES}.")
    if not 0 <= sd < value / 3:
        raise InputError(
            f"{where}: the error must be 0 or more, and less than a third of the value. Give {_CHOICES}."
        )
    if lens:
        return DistanceRequest("lens", value, _FOCUSED * value)
    return DistanceRequest("cm", value, sd if errors else max(_DECLARED * value, _LEAST))


def face_size(age: float | None = None) -> tuple[float, float]:
    """Outer-canthal distance of people of an age, cm, and the standard deviation of its logarithm.

    Parameters
    ----------
    age : float, optional
        Years; anybody when left out.

    Returns
    -------
    (float, float)

    Notes
    -----
    A curve within 3 % of published averages: 75, 81, 85 and 86 mm at 3, 8, 15 and 20 years (Weinberg et al.
    2016, Cleft Palate Craniofac J 53:e185), 88 to 93 mm of adults (Jayaratne 2013), and in the first years
    as the interpupillary distance grows (Feingold & Bossert 1974).

    Examples
    --------
    >>> from anthropo.face.lens import face_size
    >>> f"{face_size(8.0)[0]:.1f} cm at 8 years, {face_size(30.0)[0]:.1f} cm at 30"
    '8.2 cm at 8 years, 8.8 cm at 30'
    """
    if age is None:
        return _ANY_AGE, _SD_ANY_AGE
    return _ADULT * (1 - 0.24 * math.exp(-age / 6) - 0.1 * math.exp(-age / 0.7)), _SD


def distance_of(
    photo: Photo,
    points: Floats,
    yaw: float,
    *,
    declared: DistanceRequest | None = None,
    age: float | None = None,
    unseen: str = "",
) -> Distance:
    """How far the camera was from a face.

    Parameters
    ----------
    photo : Photo
        Its EXIF counts where nothing is declared, if it says of which size the picture was taken and that is
        still its size.
    points : (68, 2) array
        Landmarks, full-photo pixels.
    yaw : float
        Of the head, degrees.
    declared : DistanceRequest, optional
    age : float, optional
        Years, from which the size of the face follows.
    unseen : str
        Which outer canthus is hidden, in words: a lens then tells no distance.

    Returns
    -------
    Distance

    Notes
    -----
    With focal length f in pixels (its 35 mm equivalent times the picture's diagonal over 43.27 mm), a face
    that is e cm wide between the outer canthi and w pixels in the picture is f e / w cm away.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.face.lens import distance_of, parse_distance
    >>> photo = anthropo.read_photo(anthropo.example_photo())
    >>> face, declared = anthropo.read_face(photo), parse_distance("lens=85mm")
    >>> by_lens = distance_of(photo, face.landmarks, face.yaw, declared=declared, age=41)
    >>> by_lens.source, 190 < by_lens.cm < 220, f"known to {by_lens.rel_sd:.0%}"
    ('lens', True, 'known to 8%')
    """
    size, size_sd = face_size(age)
    if declared and declared.kind == "cm":
        return Distance(declared.value, declared.sd / declared.value, "declared", size, size_sd)
    focal, reason = declared.value if declared else photo.optics.focal, ""
    if math.isnan(focal):
        return Distance(face=size, face_sd=size_sd)
    if not declared:
        reason = _unusable(photo.optics, photo.full_size)
    if unseen and not reason:
        reason = f"The camera's distance is not known: it takes both outer canthi, and {unseen}."
    cm = math.nan
    if not reason:
        width = outer_canthal_distance(points) / max(math.cos(math.radians(yaw)), 0.5)
        cm = (focal / _DIAGONAL * math.hypot(*photo.full_size) / width + EYES) * size
        if not cm >= _NEAREST:
            reason = (
                f"A lens of {focal:g} mm puts the face at {max(cm, 0):.0f} cm, which is too near to be true "
                "of the whole picture: the distance is not known."
            )
    if reason:
        return Distance(face=size, face_sd=size_sd, reason=reason)
    rel_sd = math.hypot(_FOCUSED, size_sd)
    return Distance(cm, rel_sd, "lens" if declared else "exif", size, size_sd)


def _unusable(optics: Optics, size: tuple[int, int]) -> str:
    """Why EXIF's focal length says nothing of this picture, a sentence; empty when it does."""
    begin = f"EXIF's focal length of {optics.focal:g} mm is not used"
    if not _SHORTEST <= optics.focal <= _LONGEST:
        return f"{begin}: no lens for portraits has it ({_SHORTEST:g} to {_LONGEST:g} mm)."
    taken = optics.width, optics.height
    if not all(side > 0 for side in taken):
        return f"{begin}: EXIF does not say whether the picture was cropped."
    if sorted(taken) != sorted(size):
        return (
            f"{begin}: the picture was taken with {taken[0]:.0f} × {taken[1]:.0f} pixels and may have been "
            "cropped since."
        )
    if optics.zoom > _ZOOMED:
        return f"{begin}: with a digital zoom ({optics.zoom:g}×), cameras differ in what they write."
    return ""


@lru_cache(maxsize=1)
def depths() -> Floats:
    """How far the 68 points lie behind the outer canthi (68,), in outer-canthal distances; negative: before.

    Of the mean of 1,000 heads; see depths.csv for its source.
    """
    return np.array([float(row["depth"]) for row in packaged_table("anthropo.face", "depths.csv")])


def turned_depths(turned: Floats) -> Floats:
    """`depths` along the line of sight (68,) of a head that is turned by a rotation (3, 3)."""
    shape: Floats = np.column_stack([generic_face()[:, :2], depths()]) @ turned.T
    return shape[:, 2]


def pose_change(points: Floats, distance: Distance) -> tuple[float, float]:
    """What to add to yaw and pitch in a photo for those that are seen from the reference distance, degrees.

    A near camera shows the lower half of a face smaller, as if the chin were further down: by 4° at 30 cm.
    """
    near, far = distance.nearness
    if near == far:
        return 0.0, 0.0
    seen = camera = head_pose(points)
    for _ in range(_ROUNDS):
        depth = turned_depths(rotation(camera.yaw, camera.pitch, 0.0))
        camera = head_pose(brought(points, depth, aim(points), (near, far)))
    return camera.yaw - seen.yaw, camera.pitch - seen.pitch


def aim(points: Floats, off: tuple[float, float] = (0.0, 0.0)) -> Floats:
    """Where the camera's axis meets a face, pixels (2,), or `off` it by outer-canthal distances."""
    axis: Floats = points[list(OUTER_CANTHI)].mean(0) + (np.array([0.0, AXIS]) + off) @ face_axes(points)
    return axis


def project(flat: Floats, depth: Floats, nearness: float) -> Floats:
    """Points (P, 2) of a face in its picture from a camera straight before the nasal root.

    `flat` are the points as seen from far away, about the middle between the outer canthi and in
    outer-canthal distances, as are depths (P,) behind the outer canthi.
    """
    return np.asarray((flat - (0, AXIS)) / (1 + nearness * (depth - EYES))[:, None])


def brought(points: Floats, depth: Floats, axis: Floats, nearness: tuple[float, float] | Floats) -> Floats:
    """Points (..., P, 2) of a photo as the camera would have shown them from another distance, same pixels.

    Parameters
    ----------
    points : (..., P, 2) array
        Photo pixels.
    depth : (P,) array
        How far each lies behind the outer canthi along the line of sight, outer-canthal distances.
    axis : (2,) array
        The point about which the camera is moved back, straight along the ray through it.
    nearness : (float, float)
        Outer-canthal distance over the camera's distance: in the photo, and from where it is wanted.

    Returns
    -------
    array as points
        What lies in the plane that distance counts from keeps its size.

    Notes
    -----
    Pinhole camera: a point at depth z that is seen x beside the axis is ``x (d + z)`` wide, and from D it
    is seen ``x (d + z) / d · D / (D + z)`` beside the axis.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.face.lens import brought
    >>> cheek = np.array([[100.0, 0.0]])  # half an outer-canthal distance behind the outer canthi
    >>> float(np.round(brought(cheek, np.array([0.5]), np.zeros(2), (8.8 / 40, 8.8 / 150))[0, 0], 1))
    110.8
    """
    here, there = nearness
    behind = depth - EYES
    factor = (1 + here * behind) / (1 + there * behind)
    return np.asarray(axis + (points - axis) * factor[:, None])
