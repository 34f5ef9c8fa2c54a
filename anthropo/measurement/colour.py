"""Colour of lips, skin and sclera.

What holds under which light
    A camera's exposure and white balance multiply linear R, G and B by one number each (von Kries).
    ``log10`` of a ratio of two regions' channels therefore does not change with them: these are the
    indices of `LOGARITHMIC`. Over ±20 % of light and warm and cool casts they all change by less than
    0.25 of the SD between people (development/appearance.py). A tone curve is no such gain: 20 % more
    contrast in an image editor moves them by 0.4 to 1.3 SD.
    CIELAB values (``*_lightness``, ``*_a``, ``*_b``) are those of the picture as it is (a cast moves b*
    by up to 3.6 SD): they are comparable under one camera's fixed light, exposure and white balance only.

Why R to G
    Between 600 and 700 nm deoxygenated haemoglobin absorbs up to ten times as much as oxygenated;
    over the green they are alike on average. Taking the tabulated spectra (Prahl, OMLC) through a
    Kubelka-Munk layer to sRGB, a fall of saturation from 75 to 45 % lowers log10 R by 0.02 (1 % of
    blood) to 0.06 (8 %) while log10 G and log10 B move by less than 0.005 and 0.012. Cyanosis is a loss of
    redness more than a gain of blue, as was found on simulated faces (Dain 2014, JOSA A 31:A303). Less
    blood (pallor) lowers R/G as well but makes lips lighter: see ``lip_darkness``. Bilirubin absorbs
    blue light and leaves R/G alone, so a yellow sclera is still a white reference for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from anthropo.face.frame import Floats
from anthropo.measurement.sampling import SIDES, Reading, RegionColour

#: Indices that a light's colour and strength leave alone.
LOGARITHMIC = (
    "lip_redness",
    "lip_darkness",
    "lip_cyanosis",
    "perioral_cyanosis",
    *(f"{index}_{side}" for index in ("erythema", "sclera_yellowness") for side in SIDES),
)
_CHANNELS = ("lightness", "a", "b")  # of CIELAB
#: Everything that `colours` gives.
COLOUR = (
    *(f"{region}_{channel}" for region in ("lip", "perioral") for channel in _CHANNELS),
    *(
        f"{region}_{channel}_{side}"
        for region in ("cheek", "sclera")
        for channel in _CHANNELS
        for side in SIDES
    ),
    *LOGARITHMIC,
)

_CHEEKS = ("cheek_R", "cheek_L")
_PLACES = {
    "lip": "the lips",
    "perioral": "the skin about the mouth",
    "cheek_R": "the right cheek",
    "cheek_L": "the left cheek",
    "sclera_R": "the white of the right eye",
    "sclera_L": "the white of the left eye",
}
# What recompression (JPEG, quality 50) changes in a region's median colour, 1 SD over studio photographs
_LAB_SD = 0.45
_LOG_SD = 0.005
# What can be skin, lip or sclera: log10 of R/G and of G/B, absolutely and against the cheeks (their mean).
# The bounds lie beyond 99.5 % of 997 web portraits of all ages, five ancestries and any light, at either end;
# what lies further out is cloth, plastic or metal. Cyanosis and jaundice lie well within.
_POSSIBLE: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "skin": ((-0.08, 1.0), (-0.25, 1.1)),
    "lips": ((0.02, 1.35), (-0.5, 1.0)),
    "sclera": ((-0.2, 1.0), (-0.3, 0.8)),
}
_BESIDE_CHEEKS: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "skin": ((-0.35, 0.5), (-0.5, 0.5)),
    "lips": ((-0.25, 1.0), (-0.65, 0.4)),
    "sclera": ((-0.65, 0.5), (-0.7, 0.5)),
}
_KINDS = {"lip": "lips", "sclera": "sclera"}  # by the region's name without its side; the others are skin
# IEC 61966-2-1: linear sRGB to CIE XYZ of white D65
_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_D65 = np.array([0.95047, 1.0, 1.08883])
#: Shares of linear R, G and B in luminance. (Those of encoded levels in luma: `anthropo.photo.LUMA`.)
LUMINANCE = _XYZ[1]


def lab(linear: Floats) -> Floats:
    """CIELAB (D65, 2° observer) of linear sRGB, (..., 3) from 0 to 1; CIE 15:2004."""
    t = linear @ _XYZ.T / _D65
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lightness(relative: Floats) -> Floats:
    """L* of a luminance relative to white; CIE 15:2004."""
    return np.where(relative > (6 / 29) ** 3, 116 * np.cbrt(relative) - 16, relative * (29 / 3) ** 3)


def unlike(regions: Mapping[str, RegionColour]) -> dict[str, str]:
    """Regions whose pixels look like nothing that could be there, by name, each with the reason.

    The philtrum, which may have a moustache and whose colour is not measured, is left out.
    """
    logs = {name: np.log10(np.maximum(regions[name].colour[0], 1e-6)) for name in _PLACES if name in regions}
    indices = {name: np.array([log[0] - log[1], log[1] - log[2]]) for name, log in logs.items()}

    def outside(values: Floats, bounds: tuple[tuple[float, float], tuple[float, float]]) -> bool:
        low, high = np.array(bounds).T
        return bool(((values < low) | (values > high)).any())

    def kind(name: str) -> str:
        return _KINDS.get(name.split("_")[0], "skin")

    reasons = {
        name: f"what is where {_PLACES[name]} should be does not look like {kind(name)}"
        for name, values in indices.items()
        if not regions[name].reason and outside(values, _POSSIBLE[kind(name)])
    }
    cheeks = [
        indices[name] for name in _CHEEKS if name in indices and not (name in reasons or regions[name].reason)
    ]
    if cheeks:
        beside = np.mean(cheeks, axis=0)
        for name, values in indices.items():
            if (
                name not in (*_CHEEKS, *reasons)
                and not regions[name].reason
                and outside(values - beside, _BESIDE_CHEEKS[kind(name)])
            ):
                reasons[name] = f"what is where {_PLACES[name]} should be does not look like {kind(name)}"
    return reasons


def colours(regions: Mapping[str, RegionColour]) -> dict[str, Reading]:
    """CIELAB of every region, and the indices that compare regions, by the ids of `COLOUR`.

    The registry says what they mean.
    """
    table: dict[str, Reading] = {}
    channels = lab(np.stack([region.colour for region in regions.values()]))
    for (name, region), values in zip(regions.items(), channels, strict=True):
        base, _, side = name.partition("_")
        for i, channel in enumerate(_CHANNELS):
            key = "_".join(filter(None, (base, channel, side)))
            table[key] = Reading(values[:, i], region.reason, _LAB_SD)

    log = {name: np.log10(np.maximum(region.colour, 1e-6)) for name, region in regions.items()}
    light = {name: np.log10(np.maximum(r.colour @ LUMINANCE, 1e-6)) for name, r in regions.items()}
    red = {name: value[:, 0] - value[:, 1] for name, value in log.items()}
    yellow = {name: value[:, 1] - value[:, 2] for name, value in log.items()}

    def both(index: Mapping[str, Floats], region: str) -> Floats:
        """Mean of the sides that could be measured: a reference, not a finding."""
        sides = [f"{region}_{side}" for side in SIDES]
        had = [index[name] for name in sides if not regions[name].reason] or [index[sides[0]]]
        return np.asarray(np.mean(had, axis=0))

    def index(name: str, values: Floats, *reasons: str) -> None:
        table[name] = Reading(values, next(filter(None, reasons), ""), _LOG_SD)

    no_white, no_cheek = (
        regions[f"{region}_R"].reason and regions[f"{region}_L"].reason for region in ("sclera", "cheek")
    )
    white, no_lips = both(red, "sclera"), regions["lip"].reason
    index("lip_redness", red["lip"] - both(red, "cheek"), no_lips, no_cheek)
    index("lip_darkness", both(light, "cheek") - light["lip"], no_lips, no_cheek)
    index("lip_cyanosis", white - red["lip"], no_lips, no_white)
    index("perioral_cyanosis", white - red["perioral"], regions["perioral"].reason, no_white)
    for side in SIDES:
        cheek, sclera = f"cheek_{side}", f"sclera_{side}"
        index(f"erythema_{side}", red[cheek] - white, regions[cheek].reason, no_white)
        yellower = yellow[sclera] - both(yellow, "cheek")
        index(f"sclera_yellowness_{side}", yellower, regions[sclera].reason, no_cheek)
    return table
