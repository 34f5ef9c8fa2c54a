"""Pictures warped by thin-plate splines, so that a face's points come to lie where they should."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from anthropo.face.frame import Floats, face_axes
from anthropo.face.landmarker import Face
from anthropo.synthetic.morphs import LIDS, displacement_of, identity

Pixels = NDArray[np.uint8]

_STEP = 8  # px between the points at which a map is computed; linear between them


def spline_map(to: Floats, source: Floats, height: int, width: int, step: int = _STEP) -> Floats:
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


def sample(image: NDArray[np.float32], at: Floats, order: int = 1) -> NDArray[np.float32]:
    """Channels (H, W, C) at rows and columns (2, h, w), mirrored beyond the border."""
    from scipy.ndimage import map_coordinates

    channels = [
        map_coordinates(image[..., c], at, order=order, mode="reflect", output=np.float32)
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, -1)


def border_of(height: int, width: int, count: int = 7) -> Floats:
    """Points along an image's border, (N, 2), pixels."""
    x, y = np.linspace(0, width - 1, count), np.linspace(0, height - 1, count)
    edges = [(a, b) for a in x for b in (0.0, height - 1.0)]
    edges += [(a, b) for a in (0.0, width - 1.0) for b in y[1:-1]]
    return np.array(edges)


def with_pupils(face: Face) -> Floats:
    """The 68 points and both pupils (70, 2), photo pixels."""
    points = face.landmarks
    seen = [
        face.anatomy.get(code, points[list(lid)].mean(0))
        for code, lid in zip(("pR", "pL"), LIDS, strict=True)
    ]
    return np.concatenate([points, seen])


def morph(pixels: Pixels, face: Face, changes: Mapping[str, float], seed: int | None = None) -> Pixels:
    """Change a face in a photograph by known amounts.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
    face : Face
        The one in `pixels`.
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
        If a morph is unknown, or pictures do not follow its amount.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.synthetic import morph
    >>> seen = anthropo.observe(anthropo.example_photo())
    >>> wider = morph(seen.photo.pixels, seen.face, {"mouth_width": 2.0})
    >>> wider.shape == seen.photo.pixels.shape, bool((wider != seen.photo.pixels).any())
    (True, True)
    """
    move = displacement_of(changes)
    if seed is not None:
        move = move + identity(np.random.default_rng(seed))
    height, width = pixels.shape[:2]
    points, border = with_pupils(face), border_of(height, width)
    to = points + move @ face_axes(face.landmarks)
    at = spline_map(np.concatenate([to, border]), np.concatenate([points, border]), height, width)
    return as_pixels(sample(pixels.astype(np.float32), at))


def as_pixels(image: NDArray[np.float32]) -> Pixels:
    return np.asarray(np.rint(image).clip(0, 255).astype(np.uint8))
