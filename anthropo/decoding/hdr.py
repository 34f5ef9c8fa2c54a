"""Pictures of high dynamic range (ITU-R BT.2100, curves PQ and HLG) as sRGB."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from anthropo.decoding.colour import PRIMARIES
from anthropo.decoding.icc import Pair, rgb_to_xyz

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHITE = 203.0  # cd/m² of what is white paper in such a picture (ITU-R BT.2408)
_PEAK = 1000.0  # cd/m² of the screen that HLG is meant for
_SYSTEM_GAMMA = 1.2  # of that screen
_KNEE = 0.8  # of white: colours up to here stay as they are
_ENCODED = 4096  # steps of linear light for which sRGB values are tabulated
_STRIP = 1 << 18  # pixels at once

Space = tuple[Sequence[Pair], Pair]


def to_srgb(pq: bool, space: Space, image: Image.Image) -> Image.Image:
    """An RGB picture of the PQ or HLG curve, tone-mapped.

    Below the knee, at 80 % of white, colours are exact. Above it the strongest channel is compressed, and
    the others with it, so that the ratios of the channels stay.
    """
    stored = np.asarray(image)
    out = np.empty_like(stored)
    rows = max(1, _STRIP // stored.shape[1])
    for top in range(0, len(stored), rows):
        out[top : top + rows] = _strip(pq, space, stored[top : top + rows])
    return Image.fromarray(out)


def _strip(pq: bool, space: Space, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    light = _light(pq)[stored]  # of white
    if not pq:
        luminance = light @ rgb_to_xyz(*space)[1].astype(np.float32)
        light *= luminance[..., None] ** (_SYSTEM_GAMMA - 1) * np.float32(_PEAK / _WHITE)
    matrix = np.linalg.solve(rgb_to_xyz(*PRIMARIES[1]), rgb_to_xyz(*space)).astype(np.float32)
    light = np.maximum(light @ matrix.T, 0)
    strongest = light.max(axis=-1, keepdims=True)
    over = np.maximum(strongest - _KNEE, 0)
    mapped = _KNEE + (1 - _KNEE) * (1 - np.exp(-over / (1 - _KNEE)))
    light *= np.where(over > 0, mapped / np.maximum(strongest, _KNEE), 1)
    return np.asarray(_srgb_values()[np.rint(light * (_ENCODED - 1)).astype(np.uint16)])


@lru_cache(maxsize=2)
def _light(pq: bool) -> NDArray[np.float32]:
    """Light of each 8-bit value: PQ's on a screen, of white; HLG's of the scene, of its highest."""
    value = np.arange(256) / 255
    if pq:  # SMPTE ST 2084
        root = value ** (32 / 2523)
        relative = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
        return (10_000 / _WHITE * relative ** (8192 / 1305)).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12).astype(np.float32)


@lru_cache(maxsize=1)
def _srgb_values() -> NDArray[np.uint8]:
    light = np.arange(_ENCODED) / (_ENCODED - 1)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * values), dtype=np.uint8)
