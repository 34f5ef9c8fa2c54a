"""Pixels to measurements: colour of lips, skin and sclera, clarity of the eye, relief of the philtrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.visibility import Cover
from anthropo.measurement.colour import COLOUR, LUMINANCE, colours, unlike
from anthropo.measurement.eye import EYE, RINGS, read_eye
from anthropo.measurement.iris import EyeGrid, iris_discs
from anthropo.measurement.sampling import (
    LEAST,
    PHILTRUM,
    SIDES,
    SUBSETS,
    Appearance,
    Reading,
    RegionColour,
    Samples,
    Window,
    estimate,
    weights,
)
from anthropo.measurement.sampling import regions as sample_regions
from anthropo.measurement.texture import TEXTURE, philtrum_relief
from anthropo.photo import Photo

_GREY = 2  # largest difference between a grey photo's channels, levels
_WORDS = {
    "lip": "the lips are",
    "perioral": "the skin about the mouth is",
    "philtrum": "the philtrum is",
    **{
        f"{region}_{side}": f"the {whose} {part} is"
        for region, part in (("cheek", "cheek"), ("sclera", "eye"))
        for side, whose in zip(SIDES, ("right", "left"), strict=True)
    },
}
_COVERED = 0.15  # share of a region's samples that may be hidden, or told by landmarks that are
_JITTERED = 4  # evaluations of the landmarks that the spread is taken from

_SKIN = ("lip", "perioral", "cheek_R", "cheek_L", "philtrum")
_SCLERAS, _CHEEKS = (tuple(f"{region}_{side}" for side in SIDES) for region in ("sclera", "cheek"))
_COMPARED = {
    "lip_redness": ("lip", *_CHEEKS),
    "lip_darkness": ("lip", *_CHEEKS),
    "lip_cyanosis": ("lip", *_SCLERAS),
    "perioral_cyanosis": ("perioral", *_SCLERAS),
    "philtrum_relief": ("philtrum",),
    **{f"erythema_{side}": (f"cheek_{side}", *_SCLERAS) for side in SIDES},
    **{f"sclera_yellowness_{side}": (f"sclera_{side}", *_CHEEKS) for side in SIDES},
    **{f"{index}_{side}": (f"sclera_{side}",) for index in RINGS for side in SIDES},
}


def regions_of(name: str) -> tuple[str, ...]:
    """The regions whose pixels an entry is read from, its subject first; of the iris, see `rings_of`."""
    if name in _COMPARED:
        return _COMPARED[name]
    base, _, rest = name.partition("_")
    return (f"{base}_{rest[-1]}" if rest[-2:] in ("_R", "_L") else base,)


def rings_of(name: str) -> tuple[tuple[float, float], ...]:
    """Inner and outer radius of the parts of the iris that an entry is read from; its radius is 1."""
    return RINGS.get(name[:-2], ())


def appearance(
    photo: Photo,
    points: Floats,
    samples: Floats | None = None,
    cover: Cover | None = None,
    *,
    hidden: NDArray[np.bool_] | None = None,
    errors: bool = True,
) -> dict[str, Appearance]:
    """The readings of `COLOUR`, `EYE` and `TEXTURE`, always all of them, by id.

    From landmarks (68, 2) in full-photo pixels; jittered evaluations of them (K, 68, 2) give the standard
    errors, unless these are not wanted. `cover` says what is hidden, `hidden` which of the landmarks (68,),
    by which no place is known. The registry says what each value is.
    Their sources: redness as log10 of R/G, the absorbance of haemoglobin (Takiwaki 1998, J Med Invest 44:121;
    Yamamoto 2008, Skin Res Technol 14:26); yellowness as log10 of G/B, sclera against bilirubin (Leung 2015,
    Biomed Opt Express 6:4529; here skin takes the place of a colour chart). Corneal haze is the L* of the
    darkest fifth of the middle of the iris disc: a clear pupil is black whatever the colour of the iris; a
    haze in front of it scatters light.
    """
    jitter = np.empty((0, 68, 2)) if samples is None else np.asarray(samples, dtype=np.float64)
    if len(jitter) > _JITTERED:
        jitter = jitter[np.linspace(0, len(jitter) - 1, _JITTERED).round().astype(int)]
    faces = np.concatenate([np.asarray(points, dtype=np.float64)[None], jitter])
    unit = outer_canthal_distance(faces[0])
    small = "" if unit >= LEAST else f"{unit:.0f} px between the outer canthi, {LEAST:.0f} needed"
    window = Window.of(photo, faces)
    looked = window.faces if errors else window.faces[:1]
    face = looked[0]
    seen = Samples.read(window.pixels, weights() @ looked)
    red_green_blue = seen.levels[0].T.astype(np.int16)
    grey = bool((red_green_blue.max(0) - red_green_blue.min(0) <= _GREY).all())

    regions = {name: RegionColour.of_skin(name.split("_")[0], seen.of(name)) for name in _SKIN}
    reasons = _hidden(cover, weights() @ faces[0], hidden)
    _void(regions, {name: reason for name, reason in reasons.items() if name in regions})
    shading = (seen.of("philtrum").light @ LUMINANCE).reshape(len(looked), *PHILTRUM)
    relief = np.concatenate([philtrum_relief(shading), np.full(SUBSETS, np.nan)])
    readings: dict[str, Reading] = {}
    grids = [EyeGrid.of(window.pixels, face, side) for side in SIDES]
    for side, grid, disc in zip(SIDES, grids, iris_discs(grids), strict=True):
        eye = read_eye(side, grid, disc, face, seen.of(f"sclera_{side}"), reasons.get(f"sclera_{side}", ""))
        regions[f"sclera_{side}"] = eye.sclera
        readings |= {f"{index}_{side}": reading for index, reading in eye.readings.items()}
    if not grey:
        _void(regions, unlike(regions))
    readings["philtrum_relief"] = Reading(relief, regions.pop("philtrum").reason)
    doubt = photo.colour_doubt or small
    dull = doubt or ("grey photo" if grey else "")
    jittered = len(looked) - 1
    result = {name: estimate(reading, jittered, dull) for name, reading in colours(regions).items()}
    result |= {name: estimate(reading, jittered, doubt) for name, reading in readings.items()}
    return {name: result[name] for name in (*COLOUR, *EYE, *TEXTURE)}


def _void(regions: dict[str, RegionColour], reasons: Mapping[str, str]) -> None:
    """Give regions the reason why nothing is read of them."""
    regions |= {name: replace(regions[name], reason=reason) for name, reason in reasons.items()}


def _hidden(cover: Cover | None, at: Floats, landmarks: NDArray[np.bool_] | None) -> dict[str, str]:
    """Why regions are not looked at, by name: what hides them; from the places (N, 2) of all samples."""
    hidden = np.zeros(len(at)) if cover is None else cover.hides_places(at).astype(np.float64)
    if landmarks is not None and landmarks.any():
        hidden = np.maximum(hidden, weights() @ landmarks)
    if not hidden.any():
        return {}
    return {
        name: f"{_WORDS[name]} hidden"
        for name, part in sample_regions().items()
        if hidden[part].mean() > _COVERED
    }
