"""Millimetres per pixel, from what the user declares: never assumed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from anthropo.errors import AnthropoError, InputError, parameter
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.gate import landmark
from anthropo.face.parts import hidden_words
from anthropo.measurement.iris import Iris, iris_circles
from anthropo.measurement.sampling import Bools
from anthropo.photo import Photo

Kind = Literal["mm-per-px", "ipd", "sticker", "iris"]

#: Visible iris of adults (10 to 80 years, n = 390), mm: Rufer, Schroder & Erb 2005, Cornea 24:259.
IRIS_MM, IRIS_SD = 11.71, 0.42
IRIS_FROM = 10.0  # years

# What may be declared, mm, and what it is called in messages.
_LIMITS: dict[str, tuple[float, float, str]] = {
    "mm-per-px": (0.001, 10.0, "millimetres per pixel"),
    "ipd": (30.0, 85.0, "an interpupillary distance in mm"),
    "sticker": (4.0, 60.0, "a sticker's diameter or side in mm"),
    "iris": (8.0, 14.0, "an iris diameter in mm"),
}
_CHOICES = (
    "mm-per-px=0.21, ipd=63 or sticker=24 (in mm; or with an error: ipd=63±1), "
    "iris, or iris=11.9 (in mm, measured)"
)
_CANTHAL = (45.0, 125.0)  # mm, outer-canthal distance: no face is outside, newborns included

# Relative errors, 1 SD. Pixels: against hand-placed pupils and iris outlines of 51 studio photographs
# (Face Research Lab London Set), bias and spread together.
_IPD_BY_IRISES = 0.008
_IPD_BY_LIDS = 0.019
_IRIS_BOTH = 0.024
_IRIS_ONE = 0.030
# A sticker, or what a declared scale was measured on, lies nearer to the camera than the eyes, or further: by
# 1.5 % of the distance where that is not known.
_OTHER_PLANE = 0.015
_OTHER_DEPTH = 0.25  # outer-canthal distances: 2.2 cm

_MIN_STICKER = 14.0  # photo pixels across


class ScaleError(AnthropoError):
    """The photograph does not show what the scale was to be taken from."""


@dataclass(frozen=True, slots=True)
class ScaleRequest:
    """What the user declares; made by `parse_scale`.

    Examples
    --------
    >>> from anthropo.measurement import parse_scale
    >>> str(parse_scale("iris = 11.9 ± 0.2"))
    'iris=11.9±0.2'
    """

    kind: Kind
    value: float  # mm; mm per photo pixel for "mm-per-px"
    sd: float  # its standard deviation, same unit
    assumed: bool = False  # the value is that of a population, not of this person

    def __str__(self) -> str:
        error = f"±{self.sd:g}" if self.sd and not self.assumed else ""
        return self.kind if self.assumed else f"{self.kind}={self.value:g}{error}"


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Millimetres per pixel of one photograph; found by `find_scale`.

    Examples
    --------
    >>> from anthropo.measurement import Scale
    >>> Scale(0.35, 0.01, "Declared: 0.35 mm per pixel.").mm_per_px
    0.35
    """

    mm_per_px: float  # per full-photo pixel
    rel_sd: float  # standard deviation over value: declared value, pixels and depth together
    method: str  # a sentence for the report
    shape: tuple[Floats, ...] = ()  # closed outlines (N, 2) of what was measured, full-photo pixels
    depth_sd: float = 0.0  # how far before or behind the eyes that lies, 1 SD in outer-canthal distances


def parse_scale(text: str, *, named: str = "") -> ScaleRequest:
    """Read a declared scale.

    Parameters
    ----------
    text : str
        ``mm-per-px=0.21``, ``ipd=63``, ``sticker=24``, ``iris=11.9`` or ``iris``. After ``±`` or ``+-``
        the value's standard deviation may follow.
    named : str, optional
        What a message calls it, such as "Column `scale`"; the parameter's name when left out.

    Returns
    -------
    ScaleRequest

    Raises
    ------
    InputError
        For an unknown kind, a value that is no number, or one that is out of range.

    Notes
    -----
    ``iris`` alone takes the mean of adults, 11.71 ± 0.42 mm (Rufer, Schroder & Erb 2005, Cornea 24:259).

    Examples
    --------
    >>> from anthropo.measurement import parse_scale
    >>> parse_scale("ipd=63±1")
    ScaleRequest(kind='ipd', value=63.0, sd=1.0, assumed=False)
    """
    where = f"{named or parameter('scale')} {text!r}"
    name, given, rest = text.strip().partition("=")
    name = name.strip().lower()
    if name == "iris" and not given:
        return ScaleRequest("iris", IRIS_MM, IRIS_SD, assumed=True)
    if name not in _LIMITS:
        raise InputError(f"{where}: unknown kind {name!r}. Give {_CHOICES}.")
    low, high, what = _LIMITS[name]
    number, *errors = re.split(r"±|\+/?-", rest)
    try:
        value, sd = (float(part.replace(",", ".")) for part in (number, (*errors, "0")[0]))
    except ValueError:
        value = sd = np.nan
    if len(errors) > 1 or not np.isfinite([value, sd]).all():
        raise InputError(f"{where}: {rest.strip()!r} is not a number. Give {_CHOICES}.")
    if not low <= value <= high:
        raise InputError(
            f"{where}: {value:g} is not {what}; {low:g} to {high:g} is possible. Give {_CHOICES}."
        )
    if not 0 <= sd < value / 4:
        raise InputError(
            f"{where}: the error must be 0 or more and less than a quarter of the value. Give {_CHOICES}."
        )
    kind: Kind = name  # type: ignore[assignment]
    return ScaleRequest(kind, value, sd)


def find_scale(
    request: ScaleRequest,
    photo: Photo,
    points: Floats,
    samples: Floats | None = None,
    hidden: Bools | None = None,
) -> Scale:
    """Millimetres per pixel of a photograph.

    Parameters
    ----------
    request : ScaleRequest
    photo : Photo
        Decoded finer where an iris or a small sticker needs it.
    points : (68, 2) array
        Landmarks, full-photo pixels.
    samples : (K, 68, 2) array, optional
        Jittered landmarks: a wide spread widens the error of an interpupillary distance.
    hidden : (68,) bool array, optional
        Landmarks that something hides: no scale is taken from eyes that are not seen.

    Returns
    -------
    Scale

    Raises
    ------
    ScaleError
        If the sticker is not found or there are two, no iris can be measured, the eyes are hidden, or the
        scale gives a face that no person has.

    Notes
    -----
    The errors of pixel distances were measured on studio photographs with hand-placed points. An
    interpupillary distance depends on where the eyes look: declare that for the distance of the camera
    (it is 3 mm smaller at reading distance than far away). A value that is declared without an error is
    taken as exact.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.measurement import find_scale, parse_scale
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> scale = find_scale(parse_scale("ipd=62±1"), seen.photo, seen.face.landmarks, seen.face.samples)
    >>> f"{scale.mm_per_px:.2f} mm per pixel, known to {scale.rel_sd:.1%}"
    '1.43 mm per pixel, known to 2.5%'
    """
    _check_eyes(request, photo, np.zeros(68, dtype=np.bool_) if hidden is None else hidden)
    measure = {"mm-per-px": _declared, "ipd": _by_ipd, "sticker": _by_sticker, "iris": _by_iris}[request.kind]
    scale = measure(request, photo, points, samples)
    canthal = scale.mm_per_px * outer_canthal_distance(points)
    if not _CANTHAL[0] <= canthal <= _CANTHAL[1]:
        raise ScaleError(
            f"{photo.source}: the scale {request} puts the outer eye corners {canthal:.0f} mm "
            f"apart; in people it is {_CANTHAL[0]:.0f} to {_CANTHAL[1]:.0f} mm. Check the value, and that it "
            "belongs to this photo at this size."
        )
    rel_sd = float(np.hypot(request.sd / request.value, scale.rel_sd))
    method = f"{scale.method} Error of the scale: {100 * rel_sd:.1f} % (1 SD)."
    return replace(scale, rel_sd=rel_sd, method=method)


def _check_eyes(request: ScaleRequest, photo: Photo, hidden: Bools) -> None:
    """Refuse to take a scale from eyes that are hidden."""
    eyes = [36 + i for i in np.flatnonzero(hidden[36:48]).tolist()]
    if eyes and request.kind in ("ipd", "iris"):
        raise ScaleError(
            f"{photo.source}: the scale {request.kind} is taken from both eyes, and "
            f"{hidden_words(eyes)}. Give the scale sticker=MM or mm-per-px=VALUE."
        )


# each gives a scale whose error is that of the pixels alone


def _declared(request: ScaleRequest, photo: Photo, points: Floats, samples: Floats | None) -> Scale:
    method = f"Declared: {request.value:g} mm per pixel."
    return Scale(request.value, 0.0, method, depth_sd=_OTHER_DEPTH)


def _by_ipd(request: ScaleRequest, photo: Photo, points: Floats, samples: Floats | None) -> Scale:
    irises = iris_circles(photo, points)
    shape = _circles(irises)
    if len(shape) < 2:
        shape = ()
        distance = float(np.hypot(*(landmark(points, "pL") - landmark(points, "pR"))))
        error, what = _IPD_BY_LIDS, "the centres of the lids"
        if samples is not None and len(samples) > 1:
            # the jitter shows about half of the true error
            apart = np.hypot(*(landmark(samples, "pL") - landmark(samples, "pR")).T)
            error = max(error, 2 * float(apart.std(ddof=1)) / distance)
    else:
        (right, left), error, what = irises, _IPD_BY_IRISES, "the irises"
        distance = float(np.hypot(left.x - right.x, left.y - right.y))
    method = (
        f"Interpupillary distance of {request.value:g} mm declared, {distance:.1f} pixels between {what}."
    )
    return Scale(request.value / distance, error, method, shape)


def _by_sticker(request: ScaleRequest, photo: Photo, points: Floats, samples: Floats | None) -> Scale:
    from anthropo.measurement.sticker import find_stickers, plausible

    low, high = plausible(points, request.value)
    if high < _MIN_STICKER:
        raise ScaleError(
            f"{photo.source}: a sticker of {request.value:g} mm would be {low:.0f} to {high:.0f} pixels "
            f"wide, {_MIN_STICKER:.0f} are needed. Use the original photo, move closer, or take a larger one."
        )
    stickers = find_stickers(photo, points, request.value)
    if not stickers:
        raise ScaleError(
            f"{photo.source}: no sticker of {request.value:g} mm found on or beside the face (looked for a "
            f"round or square patch {low:.0f} to {high:.0f} pixels wide). Use one of plain colour without "
            "a border, unlike what is around it, flat and wholly visible; or give the scale ipd=MM."
        )
    if len(stickers) > 1:
        places = " and ".join(f"x {s.centre[0]:.0f}, y {s.centre[1]:.0f}" for s in stickers[:2])
        raise ScaleError(
            f"{photo.source}: {len(stickers)} patches fit a sticker of {request.value:g} mm "
            f"({'at' if len(stickers) == 2 else 'two of them at'} {places}), 1 needed. "
            "Cover the other, or crop the photo."
        )
    sticker = stickers[0]
    form = "Round sticker, diameter" if sticker.round else "Square sticker, side"
    return Scale(
        request.value / sticker.size,
        float(np.hypot(sticker.sd / sticker.size, _OTHER_PLANE)),
        f"{form} {request.value:g} mm declared, {sticker.size:.1f} pixels found at "
        f"x {sticker.centre[0]:.0f}, y {sticker.centre[1]:.0f}.",
        (sticker.outline,),
        _OTHER_DEPTH,
    )


def _by_iris(request: ScaleRequest, photo: Photo, points: Floats, samples: Floats | None) -> Scale:
    irises = iris_circles(photo, points)
    seen = [iris for iris in irises if not iris.reason]
    if not seen:
        right, left = (iris.reason for iris in irises)
        why = right if right == left else f"right: {right}; left: {left}"
        raise ScaleError(
            f"{photo.source}: no iris can be measured ({why}). Use a sharper, larger photo with open "
            "eyes, or give the scale ipd=MM, sticker=MM or mm-per-px=VALUE."
        )
    diameter = 2 * float(np.mean([iris.r for iris in seen]))
    error = _IRIS_BOTH if len(seen) == 2 else _IRIS_ONE
    edge = float(np.sqrt(sum(iris.sd**2 for iris in seen))) / len(seen) / diameter
    of = "the mean of adults" if request.assumed else "declared"
    eyes = "both eyes" if len(seen) == 2 else f"the {'right' if irises[0] is seen[0] else 'left'} eye"
    method = f"Iris of {request.value:g} mm ({of}), {diameter:.1f} pixels in {eyes}."
    return Scale(request.value / diameter, float(np.hypot(error, edge)), method, _circles(irises))


def _circles(irises: tuple[Iris, Iris]) -> tuple[Floats, ...]:
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    return tuple(np.array([iris.x, iris.y]) + iris.r * circle for iris in irises if not iris.reason)
