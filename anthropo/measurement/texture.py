"""Texture of skin: the philtrum's relief, and local binary patterns about canthi, nose and mouth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anthropo.face import _engine
from anthropo.face.frame import Floats, face_axes, outer_canthal_distance
from anthropo.face.gate import landmark
from anthropo.face.scheme import LANDMARKS
from anthropo.face.visibility import Cover
from anthropo.measurement.sampling import LEAST, decoded_for_samples
from anthropo.photo import Photo

#: Values of the registry that are texture.
TEXTURE = ("philtrum_relief",)
#: Where local binary patterns are taken, and over which radii.
LBP_SITES = ("enR", "enL", "exR", "exL", "prn", "sn", "chR", "chL")
LBP_RADII = (1, 2)
_LBP_UNIT = 96.0  # px per outer-canthal distance
_COVERED = 0.15  # of a site's chip may be hidden
_CELLS = (np.stack(np.meshgrid(np.arange(5), np.arange(5)), -1).reshape(-1, 2) + 0.5) / 5  # of a chip
_LBP_CHIP = 25  # px, side of a site's chip: a quarter of the outer-canthal distance


def philtrum_relief(light: Floats) -> Floats:
    """Relief of the philtrum, % of its mean light, from the luminance (..., rows, columns) of its strip.

    The logarithm of odd and of even rows is averaged apart and freed of its mean and linear trend (a light
    from one side). What both show is shape; hair and noise differ between them, so that the square root of
    their covariance is not raised by it. 0 is smooth.
    """
    log = np.log(np.maximum(light, 1e-4))
    columns = log.shape[-1]
    x = np.linspace(-1, 1, columns)
    plane = np.stack([np.ones(columns), x])
    flatten = np.eye(columns) - np.linalg.pinv(plane) @ plane
    odd, even = log[..., ::2, :].mean(-2) @ flatten, log[..., 1::2, :].mean(-2) @ flatten
    return np.asarray(100 * np.sqrt(np.maximum(0, (odd * even).mean(-1))))


def lbp(photo: Photo, points: Floats, cover: Cover | None = None) -> dict[str, float]:
    """Histograms of uniform local binary patterns about the landmarks (68, 2), photo pixels.

    Shares ``lbp_SITE_rRADIUS_BIN`` for the sites of `LBP_SITES`, radii of `LBP_RADII` and bins 0 to 9 (number
    of lighter neighbours of 8; 9: not uniform), 1 in sum over the bins. NaN for a site beyond the photo's
    border, for one of which `cover` hides the landmark or more than a little of what lies about it, and
    everywhere below 75 px of outer-canthal distance. Rotation-invariant, of upright chips: a
    mirrored face swaps R and L. Ojala, Pietikäinen & Mäenpää 2002 (IEEE TPAMI 24:971).
    """
    from skimage import feature

    pattern: Any = feature.local_binary_pattern  # without type hints

    points = np.asarray(points, dtype=np.float64)
    small = outer_canthal_distance(points) < LEAST
    photo = photo if small else decoded_for_samples(photo, points)
    height, width = photo.pixels.shape[:2]
    local = photo.to_decoded(points)
    turn = face_axes(local).T / _LBP_UNIT
    margin = max(LBP_RADII)
    side = _LBP_CHIP + 2 * margin
    hidden = np.zeros(len(points), dtype=np.bool_)
    if cover is not None:
        hidden = cover.of(points) < cover.threshold
    result: dict[str, float] = {}
    for site in LBP_SITES:
        corner = landmark(local, site) - turn @ np.full(2, (side - 1) / 2)
        corners = corner + (np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * (side - 1)) @ turn.T
        missing = small or bool(((corners < -0.5) | (corners > np.array([width, height]) - 0.5)).any())
        missing = missing or bool(hidden[list(LANDMARKS[site])].any())
        if cover is not None and not missing:
            about = photo.to_full(corner + _CELLS * side @ turn.T)
            missing = bool(cover.hides_places(about).mean() > _COVERED)
        for radius in LBP_RADII:
            shares = [math.nan] * 10
            if not missing:
                chip = _engine.warp(photo.pixels, np.column_stack([turn, corner]), side, side)
                codes = pattern(chip, 8, radius, "uniform")[margin:-margin, margin:-margin]
                shares = (np.bincount(codes.astype(np.intp).ravel(), minlength=10) / codes.size).tolist()
            result.update((f"lbp_{site}_r{radius}_{i}", share) for i, share in enumerate(shares))
    return result
