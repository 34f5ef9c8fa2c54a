"""What hides a part of a face, drawn on a photograph: masks, bars, glasses, tubes, hands, hair.

For training what tells hidden landmarks from seen ones, for judging it, and for tests: where an occluder was
drawn is known, so that what it hides is known, too. `JUDGED_ONLY` names kinds that nothing is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import parameter
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.synthetic.canvas import Canvas, Plane, rounded

_DISC = 0.02  # outer-canthal distances about a landmark, of which half must be hidden
_EYES = (slice(36, 42), slice(42, 48))
_MASKS = ((150, 190, 215), (235, 238, 240), (170, 215, 190), (35, 35, 40), (225, 170, 185))
_PALE = ((240, 238, 232), (225, 205, 180), (215, 180, 150), (235, 235, 235))


@dataclass(frozen=True, slots=True, eq=False)
class Occluded:
    """A photograph with something before the face."""

    pixels: NDArray[np.uint8]  # (H, W, 3)
    cover: Plane  # (H, W), how much of what lies there is hidden, 0 to 1
    hidden: NDArray[np.bool_]  # (68,), which landmarks are hidden


def occlude(pixels: NDArray[np.uint8], points: Floats, kind: str, seed: int = 0) -> Occluded:
    """Draw an occluder on a photograph.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
    points : (68, 2) array
        The face's landmarks, pixels.
    kind : str
        One of `KINDS`.
    seed : int
        Decides shape, colour and place.

    Returns
    -------
    Occluded

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.synthetic import occlude
    >>> photo = anthropo.read_photo(anthropo.example_photo())
    >>> done = occlude(photo.pixels, anthropo.read_face(photo).landmarks, "bar")
    >>> done.hidden[36:48].all(), done.hidden[48:].any()
    (np.True_, np.False_)
    """
    if kind not in KINDS:
        raise ValueError(f"{parameter('kind', kind)}: one of {', '.join(KINDS)} is needed")
    # the kind's name in the seed: the same seed gives other shapes of another kind
    return draw(pixels, points, KINDS[kind], np.random.default_rng([seed, *kind.encode()]))


def draw(
    pixels: NDArray[np.uint8], points: Floats, what: Callable[[Canvas], None], random: np.random.Generator
) -> Occluded:
    """Draw anything on a photograph (H, W, 3) around a face's landmarks (68, 2)."""
    canvas = Canvas.of(pixels, points, random)
    what(canvas)
    left, top = canvas.corner
    rows = slice(top, top + canvas.pixels.shape[0])
    columns = slice(left, left + canvas.pixels.shape[1])
    drawn, cover = pixels.copy(), np.zeros(pixels.shape[:2], np.float32)
    drawn[rows, columns] = np.clip(np.rint(canvas.pixels), 0, 255).astype(np.uint8)
    cover[rows, columns] = canvas.cover
    return Occluded(drawn, cover, covered(cover, points) > 0.5)


def covered(cover: Plane, points: Floats) -> Floats:
    """How much of a small disc about each of the points (P, 2) is hidden, 0 to 1; (P,)."""
    r = _DISC * outer_canthal_distance(points)
    x, y = np.meshgrid(np.linspace(-r, r, 7), np.linspace(-r, r, 7))
    disc = np.column_stack([x.ravel(), y.ravel()])[np.hypot(x, y).ravel() <= r]
    at = np.rint(points[:, None] + disc).astype(int)
    column = np.clip(at[..., 0], 0, cover.shape[1] - 1)
    return np.asarray(cover[np.clip(at[..., 1], 0, cover.shape[0] - 1), column].mean(1), dtype=np.float64)


# --------------------------------------------------------------------------------------- masks


def _by(across: float, down: float) -> Floats:
    """A step in the face's frame."""
    return np.array([across, down])


def _mask(c: Canvas, surface: Plane, top: float) -> None:
    """A mask whose upper edge crosses the nose at a fraction `top` of the way from nasion to subnasale."""
    f, out = c.face, c.uniform(0.0, 0.07)
    nose = f[27] + top * (f[33] - f[27])
    side = c.uniform(0.1, 0.9)  # where it meets the outline, between its points 1 and 3
    right, left = (f[a] + side * (f[b] - f[a]) for a, b in ((1, 3), (15, 13)))
    dip = c.uniform(0.0, 0.06) * (1 if top < 0.8 else 0.3)
    under = [nose + _by(-0.25, dip), nose + _by(0.25, dip)]
    away = f[3:14] - f[30]
    jaw = f[3:14] + out * away / np.linalg.norm(away, axis=1, keepdims=True)
    outline = np.concatenate(
        [[right], [under[0]], [nose + _by(0, -c.uniform(0, 0.03))], [under[1]], [left], jaw[::-1]]
    )
    for place, ear in ((right, f[0]), (left, f[16])):
        far = ear + 0.35 * (ear - f[27]) * (1, 0.2)
        strap = c.line(np.array([place, far]), 0.015, smooth=False)
        c.lay(strap, surface, hides=True)
    c.lay(c.polygon(outline), surface)


def _pleated(c: Canvas, surface: Plane) -> Plane:
    f = c.face
    dark = np.zeros(surface.shape[:2], np.float32)
    for s in np.linspace(0.25, 0.8, int(c.random.integers(2, 5))):
        ends = [f[i] + s * (f[j] - f[i]) for i, j in ((2, 5), (30, 8), (14, 11))]
        dark = np.maximum(dark, c.line(np.array(ends), 0.012, soft=0.006))
    return np.asarray(surface * (1 - 0.2 * dark[..., None]), dtype=np.float32)


def mask_surgical(c: Canvas) -> None:
    _mask(c, _pleated(c, c.plain(c.one_of(_MASKS), shading=0.08)), c.uniform(0.15, 0.7))


def mask_under_nose(c: Canvas) -> None:
    _mask(c, _pleated(c, c.plain(c.one_of(_MASKS), shading=0.08)), c.uniform(1.0, 1.2))


def mask_cloth(c: Canvas) -> None:
    surface = c.patterned() if c.chance(0.6) else c.plain(c.one_of((c.skin(), *_PALE), 15.0))
    _mask(c, surface, c.uniform(0.1, 1.15))


# ------------------------------------------------------------------------------------- glasses


def bar(c: Canvas) -> None:
    """The bar over the eyes that journals print."""
    wide, high = c.uniform(0.55, 0.95), c.uniform(0.11, 0.24)
    grey = float(c.random.choice([0, 0, 0, 255, c.uniform(0, 255)]))
    turn = c.random.normal(0, 0.05)
    centre = np.array([c.random.normal(0, 0.02), c.random.normal(-0.02, 0.03)])
    x, y = np.array([np.cos(turn), np.sin(turn)]) * wide, np.array([-np.sin(turn), np.cos(turn)]) * high
    corners = centre + np.array([-x - y, x - y, x + y, -x + y])
    surface = np.full_like(c.pixels, grey)
    c.lay(c.polygon(corners, smooth=False, soft=0.0), surface, shadow=0.0)


def _lenses(c: Canvas) -> list[Plane]:
    radii, power = (c.uniform(0.24, 0.34), c.uniform(0.15, 0.27)), c.uniform(2.0, 5.0)
    drop = c.uniform(-0.01, 0.06)
    turn = c.random.normal(0, 0.06)
    result = []
    for eye, sign in zip(_EYES, (1, -1), strict=True):
        centre = c.face[eye].mean(0) + _by(0, drop)
        centre[0] *= 1.03
        result.append(c.ellipse(centre, radii, sign * turn, power))
    return result


def _frame(c: Canvas, lenses: list[Plane], width: float, colour: tuple[float, float, float]) -> None:
    """Rims, bridge and temples."""
    surface = c.plain(colour)
    inside = np.maximum(*lenses)
    grown = (c.blurred(inside, width / 2) > 0.12).astype(np.float32) * (c.blurred(inside, width / 2) < 0.88)
    rims = c.blurred(np.asarray(grown, dtype=np.float32), 0.003)
    f = c.face
    middle = f[27] + _by(0, c.uniform(0.0, 0.08))
    bridge = c.line(np.array([f[39] + _by(0, 0.02), middle - _by(0, 0.03), f[42] + _by(0, 0.02)]), width)
    bridge *= inside < 0.5
    parts = np.maximum(rims, bridge)
    for eye, ear, sign in ((36, 0, -1), (45, 16, 1)):
        start = f[eye] + _by(sign * 0.1, -0.03)
        temple = c.line(np.array([start, f[ear] + _by(sign * 0.05, -0.1)]), width, smooth=False)
        parts = np.maximum(parts, temple * (inside < 0.5))
    c.lay(np.asarray(parts, dtype=np.float32), surface, shadow=0.15)


def dark_glasses(c: Canvas) -> None:
    lenses = _lenses(c)
    tint = c.one_of(((15, 15, 18), (30, 20, 12), (20, 25, 40), (50, 40, 35)))
    surface = c.plain(tint, shading=0.3)
    top = c.wave(c.uniform(0.8, 1.6), np.pi / 2)[..., None] * c.uniform(0, 60)
    for lens in lenses:
        c.lay(lens, np.asarray(surface + top, dtype=np.float32), opacity=c.uniform(0.88, 1.0))
        if c.chance(0.4):  # a reflection
            streak = c.wave(c.uniform(0.3, 0.7), c.uniform(0, np.pi)) > 0.85
            c.lay(lens * streak, c.plain(c.any_colour()), opacity=c.uniform(0.1, 0.5), shadow=0.0)
    _frame(c, lenses, c.uniform(0.012, 0.05), c.one_of(((15, 15, 15), (90, 60, 40), (180, 170, 150))))


def clear_glasses(c: Canvas) -> None:
    """Spectacles: they hide what lies under the frame and under glare, and nothing else."""
    lenses = _lenses(c)
    for lens in lenses:
        c.lay(lens, c.plain(c.any_colour()), opacity=c.uniform(0.0, 0.1), hides=False, shadow=0.0)
        if c.chance(0.3):
            centre = np.array([c.random.normal(0, 0.35), c.random.normal(0, 0.06)])
            radii = (c.uniform(0.05, 0.2), c.uniform(0.03, 0.12))
            spot = c.blurred(c.ellipse(centre, radii, c.uniform(0, 3)) * lens, 0.01)
            c.lay(spot, c.plain((245, 248, 250)), opacity=c.uniform(0.8, 1.0), shadow=0.0)
    _frame(
        c,
        lenses,
        c.uniform(0.01, 0.045),
        c.one_of(((15, 15, 15), (90, 55, 35), (190, 180, 160), (120, 20, 30))),
    )


def eye_patch(c: Canvas) -> None:
    side = int(c.random.integers(2))
    centre = c.face[_EYES[side]].mean(0) + c.random.normal(0, 0.015, 2)
    surface = c.plain(c.one_of(((15, 15, 18), c.skin(), *_PALE)))
    if c.chance(0.6):
        away = np.array([-1.0 if side == 0 else 1.0, 0])
        far = [
            centre - away * 1.4 + _by(0, -0.75),
            centre,
            centre + away * 0.8 + _by(0, c.uniform(-0.2, 0.15)),
        ]
        c.lay(c.line(np.array(far), c.uniform(0.015, 0.05), smooth=False), surface)
    shape = c.ellipse(
        centre, (c.uniform(0.25, 0.34), c.uniform(0.2, 0.3)), c.uniform(-0.3, 0.3), c.uniform(2, 4)
    )
    c.lay(shape, surface)


# -------------------------------------------------------------------------------------- clinic


def _somewhere(c: Canvas, spread: float = 0.12) -> Floats:
    """A place on the face."""
    return np.asarray(c.face[int(c.random.integers(0, 68))] * 0.9 + c.random.normal(0, spread, 2))


def tape(c: Canvas) -> None:
    for _ in range(int(c.random.integers(1, 4))):
        _strip(c, _somewhere(c), c.uniform(0.12, 0.45))


def _strip(c: Canvas, centre: Floats, length: float) -> None:
    angle, high = c.uniform(0, np.pi), c.uniform(0.04, 0.11)
    x, y = np.array([np.cos(angle), np.sin(angle)]) * length, np.array([-np.sin(angle), np.cos(angle)]) * high
    shape = c.polygon(centre + np.array([-x - y, x - y, x + y, -x + y]), smooth=False)
    c.lay(shape, c.plain(c.one_of(_PALE), shading=0.06), opacity=c.uniform(0.85, 1.0), shadow=0.15)


def _tube(c: Canvas, places: Floats, width: float) -> None:
    surface = c.plain(c.one_of(((225, 230, 228), (190, 215, 200), (240, 235, 200), (150, 190, 220))))
    shape = c.line(places, width)
    c.lay(shape, surface, opacity=c.uniform(0.75, 1.0))
    light = c.line(places - _by(0, width * 0.2), width * 0.25)
    c.lay(light, c.plain((250, 250, 250)), opacity=0.5, hides=False, shadow=0.0)


def nasal_cannula(c: Canvas) -> None:
    f, width = c.face, c.uniform(0.035, 0.06)
    under = f[33] + _by(0, c.uniform(0.03, 0.08))
    places = np.array(
        [
            f[1],
            f[2] + _by(0.2, 0.0),
            f[31] + _by(-0.15, 0.06),
            under,
            f[35] + _by(0.15, 0.06),
            f[14] - _by(0.2, 0.0),
            f[15],
        ]
    )
    _tube(c, places, width)
    for nostril in (f[32], f[34]):
        _tube(c, np.array([nostril + _by(0, 0.07), nostril + _by(0, 0.0)]), width)


def feeding_tube(c: Canvas) -> None:
    f, right = c.face, c.chance(0.5)
    nostril, cheek, ear = (
        (f[32], f[48] * 0.5 + f[2] * 0.5, f[1]) if right else (f[34], f[54] * 0.5 + f[14] * 0.5, f[15])
    )
    cheek = cheek + c.random.normal(0, 0.06, 2)
    _tube(
        c,
        np.array([nostril, nostril + (cheek - nostril) * 0.3 + _by(0, 0.03), cheek, ear]),
        c.uniform(0.025, 0.05),
    )
    for _ in range(int(c.random.integers(1, 3))):
        _strip(c, nostril + c.uniform(0.2, 0.9) * (cheek - nostril), c.uniform(0.1, 0.22))


def pacifier(c: Canvas) -> None:
    f, colour = c.face, c.any_colour()
    centre = f[48:].mean(0) + c.random.normal(0, 0.02, 2)
    radii = c.uniform(0.27, 0.38), c.uniform(0.18, 0.28)
    c.lay(c.ellipse(centre, radii, 0, c.uniform(2, 3)), c.plain(colour, shading=0.15))
    r = c.uniform(0.07, 0.15)
    if c.chance(0.5):
        c.lay(c.ellipse(centre, (r, r)), c.plain(c.any_colour(), shading=0.2))
    else:
        turn = np.linspace(0, 2 * np.pi, 24)
        c.lay(
            c.line(centre + _by(0, r) + r * np.column_stack([np.cos(turn), np.sin(turn)]), 0.04),
            c.plain(c.any_colour()),
        )


# ----------------------------------------------------------------------------- hands, hair, pixels


def hand(c: Canvas) -> None:
    """Some fingers, and often the palm, of the face's colour or another."""
    skin = np.array(c.skin() if c.chance(0.75) else c.one_of(((90, 60, 45), (160, 115, 90), (225, 180, 155))))
    tip, angle = _somewhere(c, 0.1), c.uniform(0, 2 * np.pi)
    along, thick = np.array([np.cos(angle), np.sin(angle)]), c.uniform(0.13, 0.19)
    across = np.array([-along[1], along[0]])
    colour = np.clip(skin * c.uniform(0.8, 1.12) + c.random.normal(0, 5, 3), 0, 255)
    surface = c.plain((float(colour[0]), float(colour[1]), float(colour[2])), shading=0.08)
    length, n = c.uniform(0.5, 0.75), int(c.random.integers(1, 5))
    if c.chance(0.7):
        palm = tip + along * (length + 0.2)
        c.lay(c.ellipse(palm, (0.36, 0.32), angle, 2.6), surface)
    for k in range(n):
        start = tip + across * (k - (n - 1) / 2) * thick * 1.02 + along * c.uniform(-0.06, 0.1)
        bend = c.random.normal(0, 0.04, 2)
        finger = np.array([start, start + along * length / 2 + bend, start + along * length])
        c.lay(c.line(finger, thick * 1.04), np.asarray(surface * 0.72, dtype=np.float32), shadow=0.35)
        c.lay(c.line(finger, thick * 0.8, soft=0.03), surface, shadow=0.0)
        if c.chance(0.6):
            c.lay(
                c.ellipse(start, (thick * 0.3, thick * 0.24), angle),
                np.asarray(surface * 1.1, dtype=np.float32),
                opacity=0.7,
                shadow=0.0,
            )


def hair(c: Canvas) -> None:
    """A lock of hair before the face."""
    colour = c.one_of(
        ((25, 20, 18), (60, 40, 28), (120, 85, 50), (195, 165, 115), (120, 50, 30), (150, 150, 150))
    )
    start = np.array([c.uniform(-0.7, 0.7), -0.9])
    end = _somewhere(c, 0.15) + _by(0, 0.1)
    middle = (start + end) / 2 + c.random.normal(0, 0.12, 2)
    wide = c.uniform(0.05, 0.2)
    shade = c.plain(colour, shading=0.2)
    strands = []
    for _ in range(int(600 * wide) + 60):
        off = c.random.normal(0, wide / 2, 2)
        strands.append(
            rounded(
                np.array([start + off * 1.2, middle + off, end + off * c.uniform(0.2, 0.9)]), closed=False
            )
        )
    for k in range(3):
        part = c.lines(strands[k::3], 0.006)
        light = np.asarray(shade * (0.7, 1.0, 1.25)[k], dtype=np.float32)
        c.lay(part, light, opacity=0.9, hides=False, shadow=0.1 if k == 0 else 0.0)
    dense = c.blurred(c.lines(strands, 0.008), 0.012)
    c.cover = np.maximum(c.cover, np.clip((dense - 0.45) * 4, 0, 1)).astype(np.float32)


def _area(c: Canvas) -> Plane:
    """A part of the face: the eyes, one eye, the mouth, the nose, or somewhere."""
    f, which = c.face, int(c.random.integers(5))
    if which == 0:
        return c.ellipse(np.array([0, 0.0]), (c.uniform(0.6, 0.8), c.uniform(0.16, 0.3)), power=8)
    if which == 4:
        return c.ellipse(_somewhere(c), (c.uniform(0.2, 0.4), c.uniform(0.2, 0.4)), power=c.uniform(2, 8))
    centre = (f[_EYES[int(c.random.integers(2))]], f[48:], f[30:36])[which - 1].mean(0)
    return c.ellipse(centre, (c.uniform(0.26, 0.4), c.uniform(0.18, 0.35)), power=c.uniform(2, 8))


def pixelation(c: Canvas) -> None:
    block = max(2, round(c.uniform(0.08, 0.2) * c.unit))
    whole = Image.fromarray(np.clip(c.pixels, 0, 255).astype(np.uint8))
    small = whole.resize((max(1, c.size[0] // block), max(1, c.size[1] // block)), Image.Resampling.BOX)
    coarse = np.asarray(small.resize(c.size, Image.Resampling.NEAREST), dtype=np.float32)
    c.lay((_area(c) > 0.5).astype(np.float32), coarse, shadow=0.0)


def blurring(c: Canvas) -> None:
    radius = c.uniform(0.08, 0.2)
    smooth = np.stack([255 * c.blurred(np.clip(c.pixels[..., k] / 255, 0, 1), radius) for k in range(3)], -1)
    c.lay(c.blurred(_area(c), 0.01), np.asarray(smooth, dtype=np.float32), shadow=0.0)


def blob(c: Canvas) -> None:
    """Anything: a rounded or cornered shape of any colours."""
    n = int(c.random.integers(3, 9))
    turn = np.sort(c.random.uniform(0, 2 * np.pi, n))
    reach = c.uniform(0.12, 0.6) * c.random.uniform(0.6, 1.3, (n, 1))
    outline = _somewhere(c) + reach * np.column_stack([np.cos(turn), np.sin(turn)])
    c.lay(c.polygon(outline, smooth=c.chance(0.6)), c.patterned(), shadow=c.uniform(0, 0.4))


# ---------------------------------------------------------------------------- only to judge with


def card(c: Canvas) -> None:
    """A sheet of paper with writing, held before the lower or the upper half of the face."""
    low = c.chance(0.6)
    edge = c.face[33, 1] * c.uniform(0.7, 1.1) if low else c.face[30, 1] * c.uniform(0.5, 1.0)
    high, wide, turn = c.uniform(0.5, 0.9), c.uniform(0.5, 0.8), c.random.normal(0, 0.15)
    middle = np.array([c.random.normal(0, 0.08), edge + high if low else edge - high])
    a, b = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    corners = middle + np.array(
        [-a * wide - b * high, a * wide - b * high, a * wide + b * high, -a * wide + b * high]
    )
    paper = c.plain(c.one_of(((245, 245, 240), (250, 240, 200), (200, 225, 245))), shading=0.05)
    for s in np.arange(-0.8, 0.85, 0.16):
        words = [
            middle + b * high * s - a * wide * 0.8,
            middle + b * high * s + a * wide * c.uniform(0.3, 0.8),
        ]
        ink = c.line(np.array(words), 0.025, smooth=False) * (c.noise(0.03) > -0.3)
        paper = np.asarray(paper * (1 - 0.8 * ink[..., None]), dtype=np.float32)
    c.lay(c.polygon(corners, smooth=False), paper)


def microphone(c: Canvas) -> None:
    centre = c.face[57] + _by(c.random.normal(0, 0.15), c.uniform(-0.08, 0.12))
    lean = c.random.normal(0, 0.5)
    stick = np.array([centre, centre + np.array([np.sin(lean), np.cos(lean)]) * 1.6])
    c.lay(c.line(stick, 0.13, smooth=False), c.plain((40, 40, 45), shading=0.3))
    mesh = c.plain(c.one_of(((90, 90, 95), (40, 40, 45), (150, 150, 155))), shading=0.3)
    net = c.wave(0.03, 0.8) * c.wave(0.03, 0.8 + np.pi / 2)
    r = c.uniform(0.17, 0.26)
    c.lay(c.ellipse(centre, (r, r * 1.15)), np.asarray(mesh * (0.6 + 0.7 * net[..., None]), dtype=np.float32))


def sticker(c: Canvas) -> None:
    """A round yellow face, as pictures are made anonymous with."""
    centre, r = (
        c.face[[30, 30, 27, 51][int(c.random.integers(4))]] + c.random.normal(0, 0.2, 2),
        c.uniform(0.25, 0.6),
    )
    c.lay(c.ellipse(centre, (r, r)), c.plain((250, 205, 60), shading=0.1), shadow=0.0)
    for sign in (-1, 1):
        c.lay(
            c.ellipse(centre + _by(sign * 0.35 * r, -0.2 * r), (0.1 * r, 0.17 * r)),
            c.plain((70, 45, 20)),
            shadow=0.0,
        )
    smile = centre + r * np.array([[-0.5, 0.25], [0, 0.55], [0.5, 0.25]])
    c.lay(c.line(smile, 0.1 * r), c.plain((70, 45, 20)), shadow=0.0)


def goggles(c: Canvas) -> None:
    """Ski goggles: one coloured glass across both eyes, and a band."""
    centre, radii = np.array([0.0, c.uniform(-0.02, 0.04)]), (c.uniform(0.6, 0.7), c.uniform(0.24, 0.32))
    band = c.line(np.array([[-1.3, -0.05], [1.3, -0.05]]), 0.22, smooth=False)
    c.lay(band, c.patterned())
    c.lay(c.ellipse(centre, (radii[0] + 0.06, radii[1] + 0.06), power=3.5), c.plain(c.any_colour()))
    share = np.clip(0.5 + 0.5 * c.ramp() + 0.2 * c.noise(0.3), 0, 1)[..., None]
    first, second = c.plain(c.any_colour()), c.plain(c.any_colour())
    c.lay(
        c.ellipse(centre, radii, power=3.5),
        np.asarray(first + share * (second - first), dtype=np.float32),
        shadow=0.0,
    )


def scarf(c: Canvas) -> None:
    """A striped scarf in folds, up to the mouth or the nose."""
    f, edge = c.face, c.uniform(0.55, 1.05) * c.face[51, 1]
    top = [[x, edge + c.uniform(-0.06, 0.06)] for x in np.linspace(-1.1, 1.1, 6)]
    outline = np.array([*top, [1.3, f[8, 1] + 0.5], [-1.3, f[8, 1] + 0.5]])
    stripes = (c.wave(c.uniform(0.1, 0.3), c.uniform(0.8, 2.2)) > 0.5)[..., None]
    wool = np.where(stripes, c.plain(c.any_colour(), grain=9), c.plain(c.any_colour(), grain=9))
    folds = 1 + 0.2 * c.noise(0.15)[..., None]
    c.lay(c.polygon(outline), np.asarray(wool * folds, dtype=np.float32), shadow=0.35)


TRAINED: Mapping[str, Callable[[Canvas], None]] = {
    kind.__name__: kind
    for kind in (
        mask_surgical, mask_under_nose, mask_cloth, bar, dark_glasses, clear_glasses, eye_patch, tape,
        nasal_cannula, feeding_tube, pacifier, hand, hair, pixelation, blurring, blob,
    )
}  # fmt: skip
JUDGED_ONLY: Mapping[str, Callable[[Canvas], None]] = {
    kind.__name__: kind for kind in (card, microphone, sticker, goggles, scarf)
}
#: What draws each kind of occluder on a canvas.
KINDS: Mapping[str, Callable[[Canvas], None]] = {**TRAINED, **JUDGED_ONLY}
