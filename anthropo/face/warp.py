"""A face warped piece by piece to the shape of another: the triangles between landmarks, each by its affine.

Goshtasby, "Piecewise linear mapping functions for image registration" (Pattern Recognition 19:459, 1986).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.face import _engine
from anthropo.face.frame import Floats, similarity

Pixels = NDArray[np.uint8]

# Landmarks reach no higher than the brows. Their outline, made larger about its middle, is where a face's
# own shape no longer counts: on it and beyond, the picture is only turned, scaled and moved.
_RING = 1.6
_FRAME = 0.3  # of the picture's longer side: how far out the last points lie
_PER_SIDE = 6


class Mesh:
    """A target shape, ready to have faces warped to it.

    Where every output pixel lies among the points is worked out once; a warp is then one sparse product
    and one look-up.

    Parameters
    ----------
    shape : (n, 2) array
        Points (x, y) that faces are warped to, output pixels; (0, 0) is a pixel's centre. Not all on a line.
    size : (int, int)
        Height and width of the output, pixels.

    Raises
    ------
    ValueError
        If the shape is no such array, or the output has no pixels.

    Notes
    -----
    Between the landmarks' outline and 1.6 times that outline the warp fades into the similarity that lays
    the shape on the face best, so that forehead, hair and background come along without a tear.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.face import Mesh
    >>> square = np.array([(10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)])
    >>> mesh = Mesh(square, (40, 40))
    >>> mesh.warp(np.zeros((80, 80, 3), dtype=np.uint8), 2 * square).shape
    (40, 40, 3)
    """

    def __init__(self, shape: Floats, size: tuple[int, int]) -> None:
        from scipy.sparse import csr_matrix
        from scipy.spatial import Delaunay, QhullError

        self.shape = np.asarray(shape, dtype=np.float64)
        self.size = height, width = size
        if self.shape.ndim != 2 or self.shape.shape[1] != 2 or not np.isfinite(self.shape).all():
            raise ValueError(f"shape of {self.shape.shape}: finite points (n, 2) are needed")
        if height < 1 or width < 1:
            raise ValueError(f"size={size}: the output needs pixels")
        try:
            self._anchors = _anchors(self.shape, height, width)
            triangles = Delaunay(np.concatenate([self.shape, self._anchors]))
        except QhullError:
            raise ValueError("the points of the shape lie on one line") from None
        rows, columns = np.mgrid[0:height, 0:width]
        at = np.stack([columns.ravel(), rows.ravel()], -1).astype(np.float64)
        corners = triangles.find_simplex(at)
        maps = triangles.transform[corners]
        two = np.einsum("nij,nj->ni", maps[:, :2], at - maps[:, 2])
        shares = np.column_stack([two, 1 - two.sum(1)])
        # (pixels, points): a pixel's place as a mean of its triangle's corners
        self._shares: Any = csr_matrix(
            (shares.ravel(), triangles.simplices[corners].ravel(), np.arange(0, shares.size + 1, 3)),
            shape=(height * width, len(self.shape) + len(self._anchors)),
        )

    def places(self, points: Floats) -> Floats:
        """Where each output pixel comes from, (h, w, 2) as x and y in the pixels of `points` (n, 2).

        Raises
        ------
        ValueError
            If there are not as many points as the shape has.
        """
        points = np.asarray(points, dtype=np.float64)
        if points.shape != self.shape.shape:
            raise ValueError(f"points of {points.shape}: the shape has {self.shape.shape}")
        there = similarity(self.shape, points)
        anchors = self._anchors @ there[:, :2].T + there[:, 2]
        places: Floats = self._shares @ np.concatenate([points, anchors])
        return places.reshape(*self.size, 2)

    def warp(self, pixels: Pixels, points: Floats) -> Pixels:
        """A picture warped so that its points come to lie on the shape's.

        Parameters
        ----------
        pixels : (H, W, 3) uint8 array
        points : (n, 2) array
            In its pixels, (0, 0) a pixel's centre.

        Returns
        -------
        (h, w, 3) uint8 array
            Bilinear samples, of block means where the picture is at least twice as fine as the output.
            Beyond the picture its border is repeated.
        """
        return self.warp_within(pixels, points)[0]

    def warp_within(self, pixels: Pixels, points: Floats) -> tuple[Pixels, NDArray[np.bool_]]:
        """The same, and which of its pixels (h, w) the picture reaches."""
        places = self.places(points)
        zoom = float(np.hypot(*similarity(self.shape, points)[:, 0]))  # picture pixels per output pixel
        return _bilinear(*_reduced(pixels, places, zoom)), _reached(places, pixels.shape[:2])

    def within(self, points: Floats, size: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which output pixels (h, w) a picture of height and width `size` reaches."""
        return _reached(self.places(points), size)


def _anchors(shape: Floats, height: int, width: int) -> Floats:
    """Points around the shape that no face moves on its own: a ring, and a frame beyond the picture."""
    from scipy.spatial import ConvexHull

    outline = shape[ConvexHull(shape).vertices]
    middle = (outline.min(0) + outline.max(0)) / 2
    ring = middle + _RING * (outline - middle)
    margin = _FRAME * max(height, width)
    low = np.minimum(ring.min(0), 0) - margin
    high = np.maximum(ring.max(0), (width - 1, height - 1)) + margin
    along = np.linspace(low, high, _PER_SIDE)
    frame = [(x, y) for x in along[:, 0] for y in (low[1], high[1])]
    frame += [(x, y) for x in (low[0], high[0]) for y in along[1:-1, 1]]
    return np.concatenate([ring, frame])


def _reduced(pixels: Pixels, places: Floats, zoom: float) -> tuple[Pixels, Floats]:
    """The picture by means of blocks where it is much finer than the output, so that nothing aliases."""
    factor = int(zoom)
    if factor < 2:
        return pixels, places
    height, width = pixels.shape[:2]
    low = np.clip(np.floor(places.min((0, 1))) - factor, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(places.max((0, 1))) + factor + 1, low + 1, (width, height)).astype(int)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    uneven = [(0, -n % factor) for n in part.shape[:2]]
    part = np.pad(part, [*uneven, (0, 0)], mode="edge")
    planes = [_engine.shrink(np.ascontiguousarray(part[:, :, c]), factor) for c in range(3)]
    small = np.stack(planes, -1)
    return small, (places - low + 0.5) / factor - 0.5


def _reached(places: Floats, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which of the places (h, w, 2) are in a picture of height and width `size`."""
    (height, width), x, y = size, places[..., 0], places[..., 1]
    return np.asarray((x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5))


def _bilinear(pixels: Pixels, places: Floats) -> Pixels:
    """Samples (h, w, 3) of a picture at places (h, w, 2)."""
    height, width = pixels.shape[:2]
    x = places[..., 0].ravel().clip(0, width - 1)
    y = places[..., 1].ravel().clip(0, height - 1)
    column, row = x.astype(np.intp), y.astype(np.intp)
    right = np.minimum(column + 1, width - 1)
    above, below = row * width, np.minimum(row + 1, height - 1) * width
    a, b = (x - column).astype(np.float32), (y - row).astype(np.float32)
    flat = pixels.reshape(-1, 3)
    around = (above + column, above + right, below + column, below + right)
    corners = [flat.take(at, axis=0) for at in around]
    out = np.empty((len(x), 3), dtype=np.uint8)
    for channel in range(3):  # numpy is slow over an axis of three
        first, second, third, fourth = (corner[:, channel].astype(np.float32) for corner in corners)
        top = first * (1 - a) + second * a
        bottom = third * (1 - a) + fourth * a
        out[:, channel] = top * (1 - b) + bottom * b + np.float32(0.5)
    return out.reshape(*places.shape[:2], 3)


def blurring(n: int, sigma: float, reach: int | None = None) -> Floats:
    """Matrix (n, n) that blurs n pixels by a Gaussian of SD `sigma` px, cut off beyond `reach` px (4 SD).

    A picture is blurred by ``blurring(height, …) @ picture @ blurring(width, …).T``; it goes on beyond its
    border as its mirror image. `scipy.ndimage.gaussian_filter` does the same; importing it takes longer than
    three photos.
    """
    reach = int(4 * sigma + 0.5) if reach is None else reach
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-((offsets / sigma) ** 2) / 2)
    at = (np.arange(n)[:, None] + offsets) % (2 * n)
    at = np.minimum(at, 2 * n - 1 - at)
    out = np.zeros((n, n))
    np.add.at(out, (np.arange(n)[:, None], at), weights / weights.sum())
    return out
