"""A round or square sticker on or beside a face: found, and measured to a fraction of a pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from anthropo.face.detection import power_of_two
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.measurement.iris import bilinear
from anthropo.photo import Photo

#: Outer-canthal distance, mm: people from three years up (facts: 70 to 105), with a margin for proxies
#: and slightly turned heads.
CANTHAL = (66.0, 110.0)

_ANYBODY = (45.0, 125.0)  # the same of everybody, for who has pointed at the sticker

# The first look: a picture in which the sticker's expected radius is _RADIUS pixels.
_RADIUS = 8.0
_LARGEST = 900  # px, longer side of that picture
_PEAK = 5.0  # grey levels: least contrast of a patch against its surroundings
_TEXTURE = 4.0  # grey levels per pixel, added to the texture inside before contrast is divided by it
_CANDIDATES = 200
_FINE_RADIUS = 60.0  # px: a sticker larger than this need not be decoded finer

# What a sticker is. Colour distances are in 8-bit levels (black to white: 442).
_RAYS = 72
_CONTRAST = 25.0
_UNEVEN = 0.22  # of the contrast: spread of the colour inside
_SOFT = 0.45  # of the radius: the edge's width from 20 to 80 %
_POWER = 1.6  # of pixel values, in which edges are located
_BLUR = 0.24  # of an edge's width: 1 SD of the size, since that power is a compromise
_TILT = 0.55  # shortest over longest extent: tilted by 56°
_EDGED = 0.85  # of the rays that must meet an edge on the outline
_RESIDUAL = 0.018  # of the radius: RMS distance of these edge points from the outline
_STRAY = 0.35  # of the contrast: colours at the edge that lie not between inside and outside, as a border's
_FACIAL = 0.55  # sizes: nearer to a point of eye, nose or mouth it is no sticker


@dataclass(frozen=True, slots=True, eq=False)
class Sticker:
    """A sticker's outline in full-photo pixels."""

    size: float  # diameter, or side: along the direction in which tilt does not shorten it
    sd: float  # of the size: from the scatter of its edge points and their blur
    round: bool
    centre: tuple[float, float]
    outline: Floats  # (N, 2): the corners of a square, 72 points of an ellipse
    residual: float  # RMS distance of the edge points from the outline, in radii
    edged: float  # share of the directions in which an edge was met


def find_stickers(photo: Photo, points: Floats, size: float) -> list[Sticker]:
    """Stickers `size` mm wide on or beside a face with landmarks (68, 2), the best first.

    These are uniform patches, round or square, possibly tilted, with a clear edge all round, whose size in
    pixels suits a face with an outer-canthal distance of 66 to 110 mm.

    Candidates are maxima of the colour contrast between a disc and its surroundings (difference of
    Gaussians). Each is left along rays from its centre; where the colour has gone half the way from the
    inside to the outside there is an edge point. An ellipse (direct least squares, trimmed) and four
    straight sides are fitted to these points, first in a small picture, then at full resolution. The longer
    axis is the size: foreshortening has no part in it.
    """
    window = search_window(points, photo.full_size)
    stickers = _seek(photo, plausible(points, size), window)
    return [s for s in stickers if np.hypot(*(points[27:] - s.centre).T).min() > _FACIAL * s.size]


def sticker_at(
    photo: Photo, points: Floats, size: float, at: tuple[float, float], across: float | None = None
) -> Sticker | None:
    """The sticker that somebody points at, which may lie anywhere; None where nothing there has an edge.

    `at` is a place on it, full-photo pixels. `size`, mm, says how large it may be; where somebody has drawn
    it, `across` does, its width in pixels.
    """
    canthal = outer_canthal_distance(points)
    low, high = size * canthal / _ANYBODY[1], size * canthal / _ANYBODY[0]
    if across is not None:
        low, high = across / 1.3, 1.3 * across
    middle, last = np.array(at), np.array(photo.full_size) - 1.0
    window = np.concatenate([np.clip(middle - 2.5 * high, 0, last), np.clip(middle + 2.5 * high, 0, last)])
    around = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]) * 0.25 * low
    stickers = _seek(photo, (low, high), window, middle + around)
    on = [s for s in stickers if np.hypot(*(middle - s.centre)) <= s.size / 2]
    return on[0] if on else None


def _seek(
    photo: Photo, extent: tuple[float, float], window: Floats, seeds: Floats | None = None
) -> list[Sticker]:
    """Stickers from so small to so large, full-photo pixels, in a part of the photo; at seeds (N, 2) only."""
    low, high = extent
    photo = photo.finer(power_of_two(low / 2 / _FINE_RADIUS))
    x0, y0, x1, y1 = photo.to_decoded(window.reshape(2, 2)).round().astype(int).ravel()
    crop = np.ascontiguousarray(photo.pixels[y0 : y1 + 1, x0 : x1 + 1])
    band = np.array([low, high]) / 2 / photo.decode_scale  # radii
    if min(crop.shape[:2], default=0) < 4 * band[1]:
        return []
    zoom = min(1.0, _RADIUS / np.sqrt(band[0] * band[1]), _LARGEST / max(crop.shape[:2]))
    shape = (round(crop.shape[1] * zoom), round(crop.shape[0] * zoom))
    small = Image.fromarray(crop).resize(shape, Image.Resampling.BOX)
    zooms = np.array(shape) / (crop.shape[1], crop.shape[0])
    if seeds is None:
        starts = _candidates(small, band * zoom)
    else:
        starts = (photo.to_decoded(seeds) - [x0, y0] + 0.5) * zooms - 0.5
    stickers = []
    for seed, reach in _rough(np.asarray(small), starts, band * zoom):
        sticker = _measure(crop, (seed + 0.5) / zooms - 0.5, reach / zoom, band)
        if sticker is None:
            continue
        shift = np.array([x0, y0])
        outline = photo.to_full(sticker.outline + shift)
        centre = photo.to_full(np.array(sticker.centre) + shift)
        stickers.append(
            replace(
                sticker,
                size=sticker.size * photo.decode_scale,
                sd=sticker.sd * photo.decode_scale,
                centre=tuple(centre.tolist()),
                outline=outline,
            )
        )
    return _distinct(stickers)


def plausible(points: Floats, size: float) -> tuple[float, float]:
    """Smallest and largest extent in full-photo pixels of something `size` mm wide on this face."""
    canthal = outer_canthal_distance(points)
    return size * canthal / CANTHAL[1], size * canthal / CANTHAL[0]


def search_window(points: Floats, size: tuple[int, int]) -> Floats:
    """Left, top, right, bottom of the part of the photo that is searched: 2.2 faces, forehead included."""
    low, high = points.min(0), points.max(0)
    half = 1.1 * max(high - low)
    # landmarks end at the brows; the forehead is as high again as half of what is below
    centre = (low + high) / 2 - [0, 0.25 * (high - low)[1]]
    last = np.array(size) - 1.0
    return np.concatenate([np.clip(centre - half, 0, last), np.clip(centre + half, 0, last)])


def _candidates(small: Image.Image, band: Floats) -> Floats:
    """Centres (N, 2) of patches that differ from what is around them, the smoothest inside first."""

    def blurred(image: Image.Image, sigma: float) -> NDArray[np.float32]:
        return np.asarray(image.filter(ImageFilter.GaussianBlur(float(sigma))), dtype=np.float32)

    grey = np.asarray(small, dtype=np.float32).mean(-1)
    across, down = np.gradient(grey)
    rough = Image.fromarray(np.minimum(np.abs(across) + np.abs(down), 255).astype(np.uint8))
    best = np.zeros(grey.shape, dtype=np.float32)
    for r in np.linspace(band[0] * 0.8, band[1], 3):
        contrast = ((blurred(small, 0.4 * r) - blurred(small, 1.1 * r)) ** 2).sum(-1)
        texture = blurred(rough, 0.3 * r) + _TEXTURE
        best = np.maximum(best, np.where(contrast > _PEAK**2, contrast / texture**2, 0))
    # maxima of 5 x 5
    padded = np.pad(best, 2)
    rows = np.max([padded[i : i + best.shape[0]] for i in range(5)], axis=0)
    peak = np.max([rows[:, i : i + best.shape[1]] for i in range(5)], axis=0)
    y, x = np.nonzero((best == peak) & (best > 0))
    order = np.argsort(-best[y, x], kind="stable")[:_CANDIDATES]
    return np.column_stack([x, y])[order].astype(np.float64)


_CIRCLE = np.column_stack([f(np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)) for f in (np.cos, np.sin)])


def _leave(profile: Floats, radii: Floats, inner: float, rays: Floats) -> Floats:
    """Where rays (N, A, D, 3) leave the colour within `inner`: radius (N, A), NaN where they do not.

    That colour may change evenly from one side to the other, as under light from the side.
    """
    at = radii[:, None] * rays[:, None]  # (A, D, 2)
    core = radii <= inner
    plane = np.concatenate([at, np.ones((*at.shape[:2], 1))], -1)
    known = profile[:, :, core].reshape(len(profile), -1, 3)
    colour = plane @ (np.linalg.pinv(plane[:, core].reshape(-1, 3)) @ known)[:, None]
    away = np.sqrt(((profile - colour) ** 2).sum(-1))
    noise = np.quantile(away[:, :, core], 0.9, axis=(1, 2))
    out = (away > np.maximum(_CONTRAST / 2, 2 * noise)[:, None, None]) & (radii > inner)
    first = out.argmax(-1)
    return np.where(out.any(-1), radii[first], np.nan)


def _rough(image: NDArray[np.uint8], centres: Floats, band: Floats) -> list[tuple[Floats, float]]:
    """Of the candidates, those whose rays meet an edge at about one distance; centre and radius."""
    radii = np.arange(0.0, 1.7 * band[1], 0.5)
    inner = 0.8 * _TILT * band[0]
    rays = _CIRCLE[:: _RAYS // 24]
    for _ in range(2):
        if not len(centres):
            return []
        profile = bilinear(image, centres[:, None, None] + radii[:, None] * rays[:, None])
        edge = _leave(profile, radii, inner, rays)
        known = np.isfinite(edge).mean(1) >= 0.75
        centres, edge = centres[known], edge[known]
        # centre of the outline, rays that met nothing left out
        on = np.nan_to_num(edge)[..., None] * rays
        centres = centres + on.sum(1) / np.isfinite(edge).sum(1)[:, None]
    if not len(centres):
        return []
    size = np.nanmedian(edge, axis=1)
    spread = np.nanmedian(np.abs(edge - size[:, None]), axis=1)
    n, a = np.nonzero(np.isfinite(edge))
    beyond = np.minimum(np.rint(2 * edge[n, a]).astype(int) + 4, len(radii) - 1)
    inside = np.median(profile[:, :, radii <= inner], axis=(1, 2))
    clear = np.zeros(edge.shape, dtype=bool)
    clear[n, a] = np.sqrt(((profile[known][n, a, beyond] - inside[known][n]) ** 2).sum(-1)) > _CONTRAST
    good = (
        (clear.mean(1) > 0.75)
        & (spread < 0.22 * size)
        & (size > 0.9 * _TILT * band[0])
        & (size < 1.35 * band[1])
    )
    # several seeds lead to one patch
    kept: list[tuple[Floats, float]] = []
    for centre, r in zip(centres[good], size[good].tolist(), strict=True):
        if all(np.hypot(*(centre - c)) > 0.4 * r or abs(r - q) > 0.3 * r for c, q in kept):
            kept.append((centre, r))
    return kept


def _measure(image: NDArray[np.uint8], centre: Floats, r: float, band: Floats) -> Sticker | None:
    """The sticker around a centre, at full resolution; None when it is none."""
    radii = np.arange(0.0, min(1.7 * band[1], 1.8 * r), max(0.5, r / 25))
    for _ in range(2):
        profile = bilinear(image, centre + radii[:, None] * _CIRCLE[:, None])
        edge = _leave(profile[None], radii, 0.5 * r, _CIRCLE)[0]
        known = np.isfinite(edge)
        if known.mean() < _EDGED:
            return None
        rays = _CIRCLE[known]
        edge, width, contrast, stray = _half_way(image, centre, rays, edge[known], 0.25 * r)
        met = contrast >= _CONTRAST
        if met.sum() < _EDGED * _RAYS or edge[met].min() < 0.3 * r:
            return None
        sticker = _fit(centre + edge[met, None] * rays[met])
        if sticker is None or sticker.residual > 3 * _RESIDUAL:
            return None
        centre = np.array(sticker.centre)
    assert sticker is not None
    # light that falls from one side is no pattern
    flat = radii < 0.7 * edge[met].min()
    where = (radii[flat][:, None] * _CIRCLE[:, None]).reshape(-1, 2)
    plane = np.column_stack([where, np.ones(len(where))])
    inside = profile[:, flat].reshape(-1, 3)
    inside = inside - plane @ np.linalg.lstsq(plane, inside, rcond=None)[0]
    ok = (
        width <= _SOFT * sticker.size / 2
        and inside.std(0).max() <= _UNEVEN * np.median(contrast[met])
        and stray <= _STRAY
        and sticker.residual <= _RESIDUAL
        and sticker.edged >= _EDGED
        and band[0] <= sticker.size / 2 <= band[1]
    )
    return replace(sticker, sd=float(np.hypot(sticker.sd, _BLUR * width))) if ok else None


class _Edge(NamedTuple):
    radii: Floats  # (A,)
    width: float
    contrast: Floats  # (A,)
    stray: float  # how far colours at the edge lie from those on either side


def _half_way(image: NDArray[np.uint8], centre: Floats, rays: Floats, edge: Floats, width: float) -> _Edge:
    """Where each ray (A,) is half way from inside to outside.

    A lens blurs light, a reduction of the picture blurs pixel values, which are
    about its 2.2nd root; half way is sought between both, so that neither moves the edge much.
    """
    n = np.arange(len(edge))
    for _ in range(3):
        s = float(np.clip(1.3 * width, 2.0, 0.3 * np.median(edge) + 1))
        steps = np.linspace(-1.8 * s, 1.8 * s, 37)
        profile = bilinear(image, centre + (edge[:, None] + steps)[..., None] * rays[:, None])
        light = (profile / 255) ** _POWER
        # means of the plateaus on either side
        a, b = light[:, :9].mean(1), light[:, -9:].mean(1)
        way = b - a
        square = np.maximum((way**2).sum(-1), 1e-12)
        t = ((light - a[:, None]) * way[:, None]).sum(-1) / square[:, None]
        crossed = (t[:, :-1] < 0.5) & (t[:, 1:] >= 0.5)
        far = np.where(crossed, np.abs(steps[:-1]), np.inf)
        k = far.argmin(1)
        rise = np.maximum(t[n, k + 1] - t[n, k], 1e-9)
        some = np.isfinite(far[n, k])
        edge = edge + np.where(some, steps[k] + (0.5 - t[n, k]) / rise * (steps[1] - steps[0]), 0)
        width = float(np.median(((t > 0.2) & (t < 0.8)).sum(1))) * float(steps[1] - steps[0])
    contrast = np.sqrt(((profile[:, :9].mean(1) - profile[:, -9:].mean(1)) ** 2).sum(-1))
    between = a[:, None] + np.clip(t, 0, 1)[..., None] * way[:, None]
    stray = np.sqrt(((light - between) ** 2).sum(-1).max(1) / square)
    return _Edge(edge, width, np.where(some, contrast, 0), float(np.median(stray)))


def _fit(p: Floats) -> Sticker | None:
    """The better of an ellipse and four straight sides through edge points (E, 2)."""
    try:
        fits = [s for s in (_ellipse(p), _square(p)) if s is not None]
    except np.linalg.LinAlgError:  # points on a line
        return None
    return min(fits, key=lambda s: s.residual) if fits else None


def _ellipse(p: Floats) -> Sticker | None:
    """Direct least squares (Halir & Flusser 1998, WSCG), trimmed once."""
    use = np.ones(len(p), dtype=bool)
    for _ in range(3):
        if use.sum() < _RAYS // 2:
            return None
        middle = p[use].mean(0)
        unit = float(p[use].std())
        q = (p - middle) / unit
        x, y = q[use].T
        d1, d2 = np.column_stack([x * x, x * y, y * y]), np.column_stack([x, y, np.ones(len(x))])
        t = -np.linalg.solve(d2.T @ d2, d2.T @ d1)
        m = (d1.T @ d1 + d1.T @ d2 @ t)[[2, 1, 0]] * np.array([[0.5], [-1.0], [0.5]])
        _w, vectors = np.linalg.eig(m)
        v = np.real(vectors)
        good = 4 * v[0] * v[2] - v[1] ** 2 > 0
        if not good.any():
            return None
        a, b, c = v[:, good][:, 0]
        d, e, f = t @ np.array([a, b, c])
        form = np.array([[a, b / 2], [b / 2, c]])
        centre = np.linalg.solve(-2 * form, [d, e])
        form = form / (centre @ form @ centre - f)
        w, axes = np.linalg.eigh(form)
        if w[0] <= 0:
            return None
        rho = np.sqrt(((q - centre) @ form * (q - centre)).sum(1))
        rest = np.hypot(*(q - centre).T) * (1 - 1 / np.maximum(rho, 1e-9))
        use = np.abs(rest) <= max(3 * 1.4826 * np.median(np.abs(rest)), 0.01)
    half = unit / np.sqrt(w)  # longer first
    if half[1] < _TILT * half[0]:
        return None
    rms = unit * float(np.sqrt((rest[use] ** 2).mean()))
    at = middle + unit * centre
    outline = at + (_CIRCLE * half) @ axes.T
    return Sticker(
        float(2 * half[0]),
        4 * rms / np.sqrt(use.sum()),
        True,
        (float(at[0]), float(at[1])),
        outline,
        rms / float(np.sqrt(half[0] * half[1])),
        float(use.sum() / _RAYS),
    )


def _square(p: Floats) -> Sticker | None:
    """Four lines through the edge points, those near a corner left out."""
    q = p - p.mean(0)
    # the turn at which a square suits best, with tilt undone roughly
    w, axes = np.linalg.eigh(q.T @ q / len(q))
    if w[0] <= 0:
        return None
    white = axes @ np.diag(w**-0.5) @ axes.T
    turns = np.radians(np.arange(0, 90, 3.0))
    turned = (
        np.stack([np.cos(turns), np.sin(turns)], -1) @ (q @ white).T,
        np.stack([-np.sin(turns), np.cos(turns)], -1) @ (q @ white).T,
    )
    norm = np.maximum(np.abs(turned[0]), np.abs(turned[1]))
    best = int((norm.std(1) / norm.mean(1)).argmin())
    x, y = turned[0][best], turned[1][best]
    side = np.where(np.abs(x) > np.abs(y), np.where(x > 0, 0, 2), np.where(y > 0, 1, 3))
    along = np.where(np.abs(x) > np.abs(y), y, x) / norm[best].mean()
    lines = []
    rest = []
    for k in range(4):
        on = p[(side == k) & (np.abs(along) < 0.8)]
        if len(on) < 6:
            return None
        for _ in range(3):
            middle = on.mean(0)
            _u, _s, v = np.linalg.svd(on - middle, full_matrices=False)
            off = (on - middle) @ v[1]
            keep = np.abs(off) <= max(3 * 1.4826 * float(np.median(np.abs(off))), 0.3)
            if keep.all():
                break
            on = on[keep]
        if len(on) < 6:
            return None
        lines.append((middle, v[1]))
        rest.append(off)
    corners = []
    for (m, n), (other, normal) in zip(lines, lines[1:] + lines[:1], strict=True):
        a = np.array([n, normal])
        if abs(np.linalg.det(a)) < 0.3:
            return None
        corners.append(np.linalg.solve(a, [n @ m, normal @ other]))
    c = np.array(corners)
    u, v = (c[1] - c[0] + c[2] - c[3]) / 2, (c[2] - c[1] + c[3] - c[0]) / 2
    sides = np.linalg.svd(np.column_stack([u, v]), compute_uv=False)
    if sides[1] < _TILT * sides[0]:
        return None
    # opposite sides of a small flat square are parallel and equal
    if np.hypot(*(c[0] - c[1] + c[2] - c[3])) > 0.12 * sides[0]:
        return None
    off = np.concatenate(rest)
    rms = float(np.sqrt((off**2).mean()))
    at = c.mean(0)
    corner = np.abs(along) >= 0.8
    return Sticker(
        float(sides[0]),
        2 * rms / np.sqrt(len(off) / 2),
        False,
        (float(at[0]), float(at[1])),
        c,
        rms / (float(np.sqrt(sides.prod())) / 2),
        float((len(off) + corner.sum()) / _RAYS),
    )


def _distinct(stickers: list[Sticker]) -> list[Sticker]:
    """The largest of the outlines around one place (a rim belongs to the sticker), the best fit first."""
    kept: list[Sticker] = []
    for s in sorted(stickers, key=lambda s: -s.size):
        if all(np.hypot(s.centre[0] - k.centre[0], s.centre[1] - k.centre[1]) > k.size / 2 for k in kept):
            kept.append(s)
    return sorted(kept, key=lambda s: s.residual)
