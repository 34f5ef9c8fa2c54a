"""The portrait that every synthetic picture is made of: mean shape, closed mouth, masks of skin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import Floats, face_axes
from anthropo.face.shape import shapes
from anthropo.observation import observe
from anthropo.photo import example_photo
from anthropo.synthetic.morphs import LIDS, PUPILS
from anthropo.synthetic.warping import border_of, sample, spline_map, with_pupils

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

UNIT = 128.0  # px per outer-canthal distance in the neutral face
_SIDE = 600  # px, its sides
EYES = np.array([300.0, 265.0])  # px, where the middle between the outer canthi lies


@dataclass(frozen=True, slots=True, eq=False)
class NeutralFace:
    """The portrait with the mean face's shape and a closed mouth."""

    channels: NDArray[np.float32]  # (H, W, 5): red, green, blue, share of skin, share of backdrop
    points: Floats  # (70, 2) in outer-canthal distances


@lru_cache(maxsize=1)
def neutral_face() -> NeutralFace:
    from scipy.ndimage import gaussian_filter, label
    from skimage.color import rgb2lab

    seen = observe(example_photo())
    photo, face = seen.photo, seen.face
    source = with_pupils(face)
    axes, middle = face_axes(face.landmarks), face.landmarks[[36, 45]].mean(0)
    source[48:60] = _MOUTH
    mean = shapes()[0]
    seen = (source - middle) @ np.linalg.inv(axes)
    # the pupils keep their place between the lids
    gaze = [seen[p] + (mean - seen[:68])[list(lid)].mean(0) for p, lid in zip(PUPILS, LIDS, strict=True)]
    points = np.concatenate([mean, gaze])

    # closing the mouth by a warp would tear it: lips are painted over the teeth, and the line between them
    pixels = photo.pixels.astype(np.float32)
    shut = _inside(pixels.shape[:2], _MOUTH).astype(np.float32)
    shut = gaussian_filter(shut, 0.7)[..., None]
    pixels += 0.9 * shut * (np.array(_LIP, np.float32) - pixels)
    kept = [i for i in range(70) if not 60 <= i < 68]
    border = (border_of(_SIDE, _SIDE) - EYES) / UNIT
    to = np.concatenate([points[kept], border]) * UNIT + EYES
    origin = np.concatenate([source[kept], border @ axes + middle])
    image = sample(pixels, spline_map(to, origin, _SIDE, _SIDE, 2), order=3).clip(0, 255)
    image *= _lips(mean * UNIT + EYES)[..., None]

    lab = rgb2lab(image / 255.0)
    y, x = (np.mgrid[0:_SIDE, 0:_SIDE] - EYES[::-1, None, None]) / UNIT
    cheek = np.median(lab[(abs(abs(x) - 0.42) < 0.1) & (abs(y - 0.35) < 0.1)], axis=0)
    reddish = np.exp(-0.5 * (((lab - cheek) / [40.0, 9.0, 9.0]) ** 2).sum(-1))
    reddish *= (x / 0.95) ** 2 + ((y - 0.55) / 1.2) ** 2 < 1  # of the head, not of the suit
    reddish[_inside(reddish.shape, mean[48:60] * UNIT + EYES)] = 0.9  # lips are skin
    plain = (lab[..., 0] > 62) & (np.hypot(lab[..., 1], lab[..., 2]) < 12) | (y < -1.5)
    parts = label(plain)[0]
    backdrop = parts == parts[0, 0]
    masks = [gaussian_filter(m.astype(np.float32), 1.5) for m in (reddish, backdrop)]
    return NeutralFace(np.concatenate([image, np.stack(masks, -1)], -1).astype(np.float32), points)


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
