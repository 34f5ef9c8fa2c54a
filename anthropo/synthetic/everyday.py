"""More of what lies before faces, drawn for training only, and what changes a face without hiding it.

`HIDING` are wide ranges of shapes and surfaces (frames, tubes, strands, plasters, fingers, objects, wires,
clear things) rather than single things, so that what is trained on them also knows things that nobody drew.
None is of the kinds that are kept for judging (`anthropo.synthetic.occluders.JUDGED_ONLY`). `SEEN` are
freckles, make-up, shadows, strong light, beards, wounds and the like: everything stays seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from anthropo.face.frame import Floats
from anthropo.synthetic.canvas import Canvas, Colour, Plane, rounded

_EYES = (slice(36, 42), slice(42, 48))
_LIPS = (slice(48, 55), (54, 55, 56, 57, 58, 59, 48))
_SKINS = ((60, 40, 32), (95, 65, 50), (140, 100, 78), (180, 135, 108), (215, 170, 145), (235, 200, 180))
_HAIRS = (
    (18, 15, 14),
    (45, 30, 22),
    (85, 58, 38),
    (140, 100, 60),
    (205, 175, 125),
    (130, 55, 30),
    (165, 165, 165),
)


def _at(x: float, y: float) -> Floats:
    return np.array([x, y])


def _place(c: Canvas, spread: float = 0.1) -> Floats:
    """Somewhere on the face, where it has features."""
    return np.asarray(c.face[int(c.random.integers(17, 68))] + c.random.normal(0, spread, 2))


def _surface(c: Canvas) -> Plane:
    """A surface of any make: plain, patterned, mottled, shaded, skin, woven, of the picture, glossy."""
    which = int(c.random.integers(8))
    colour = c.any_colour() if c.chance(0.7) else _grey(c.uniform(3, 252))
    if which == 0:
        return c.plain(colour, shading=c.uniform(0, 0.35), grain=c.uniform(0, 8))
    if which == 1:
        return c.patterned()
    if which == 2:  # mottled, coarse to fine
        first, second, third = (c.plain(c.any_colour()) for _ in range(3))
        share = 1 / (1 + np.exp(-c.uniform(1, 6) * _clouds(c, c.uniform(0.05, 0.5))))
        other = 1 / (1 + np.exp(-c.uniform(1, 6) * _clouds(c, c.uniform(0.02, 0.2))))
        mixed = first + share[..., None] * (second - first)
        return np.asarray(mixed + 0.5 * other[..., None] * (third - mixed), dtype=np.float32)
    if which == 3:  # from one colour to another
        first, second = c.plain(colour), c.plain(c.any_colour())
        share = np.clip(0.5 + c.uniform(0.4, 1.2) * c.ramp(), 0, 1)[..., None]
        return np.asarray(first + share * (second - first), dtype=np.float32)
    if which == 4:  # skin, its own or another's
        return _skin(c)
    if which == 5:  # woven, or grainy as foam and fur are
        base = c.plain(colour, shading=0.2)
        weave = _clouds(c, c.uniform(0.012, 0.05)) if c.chance(0.5) else _weave(c)
        return np.asarray(base * (1 + c.uniform(0.05, 0.35) * weave[..., None]), dtype=np.float32)
    if which == 6:  # a part of the same picture, turned over or moved: foliage, cloth, hair, skin
        moved = np.roll(c.pixels, c.random.integers(-90, 90, 2), (0, 1))
        moved = moved[:, ::-1] if c.chance(0.5) else moved[::-1]
        gain = c.random.normal(1, 0.15, 3) if c.chance(0.5) else np.ones(3)
        return np.asarray(moved * gain, dtype=np.float32)
    # metal and gloss: bands of light
    light = c.wave(c.uniform(0.15, 0.9), c.uniform(0, np.pi)) ** c.uniform(1, 6)
    return np.asarray(c.plain(colour) + c.uniform(30, 160) * light[..., None], dtype=np.float32)


def _grey(level: float) -> Colour:
    return level, level, level


def _clouds(c: Canvas, scale: float) -> Plane:
    """Noise of several sizes (H, W), mean 0 and SD about 1."""
    return np.asarray(
        0.75 * c.noise(scale) + 0.5 * c.noise(scale / 2) + 0.35 * c.noise(scale / 4), dtype=np.float32
    )


def _weave(c: Canvas) -> Plane:
    length, angle = c.uniform(0.02, 0.06), c.uniform(0, np.pi)
    return np.asarray(c.wave(length, angle) + c.wave(length, angle + np.pi / 2) - 1, dtype=np.float32)


def _skin(c: Canvas, of_face: float = 0.6) -> Plane:
    """Skin: of the face's own colour, or of another, in its light or darker."""
    colour = np.array(c.skin() if c.chance(of_face) else c.one_of(_SKINS)) * c.uniform(0.7, 1.2)
    colour = np.clip(colour + c.random.normal(0, 6, 3), 0, 250)
    base = c.plain(tuple(colour.tolist()), shading=c.uniform(0.04, 0.2), grain=c.uniform(0.5, 4))
    return np.asarray(base * (1 + 0.03 * c.noise(c.uniform(0.03, 0.12))[..., None]), dtype=np.float32)


def _outline(c: Canvas, centre: Floats, reach: float) -> Plane:
    """Any shape: of corners, rounded, an ellipse, a rounded rectangle, or blotched."""
    which = int(c.random.integers(4))
    turn = c.uniform(0, np.pi)
    if which == 0:
        n = int(c.random.integers(3, 11))
        around = np.sort(c.random.uniform(0, 2 * np.pi, n))
        radius = reach * c.random.uniform(0.45, 1.4, (n, 1))
        return c.polygon(
            centre + radius * np.column_stack([np.cos(around), np.sin(around)]), smooth=c.chance(0.6)
        )
    if which < 3:
        radii = reach * c.uniform(0.35, 1.3), reach * c.uniform(0.35, 1.3)
        return c.ellipse(centre, radii, turn, 2.0 if which == 1 else c.uniform(2.5, 9))
    near = c.blurred(c.ellipse(centre, (reach, reach), turn), reach / 2)
    return c.blurred(((near + 0.16 * _clouds(c, reach)) > 0.5).astype(np.float32), 0.004)


# ---------------------------------------------------------------------------------------- kinds


def objects(c: Canvas) -> None:
    """One to four shapes of any surfaces, put together and marked with lines and spots."""
    middle, reach = _place(c, 0.15), c.uniform(0.1, 0.55)
    for k in range(int(c.random.integers(1, 5))):
        centre = middle if k == 0 else middle + c.random.normal(0, 0.6 * reach, 2)
        shape = _outline(c, centre, reach if k == 0 else reach * c.uniform(0.3, 0.9))
        surface = _surface(c)
        if c.chance(0.5):  # round: darker towards its edge
            round_ = c.blurred(shape, reach * c.uniform(0.15, 0.4))
            surface = np.asarray(surface * (0.45 + 0.6 * round_[..., None]), dtype=np.float32)
        c.lay(shape, surface, opacity=c.uniform(0.93, 1.0), shadow=c.uniform(0, 0.5))
        if c.chance(0.35):
            inside = _outline(c, centre, 0.5 * reach) * shape
            c.lay(inside, _surface(c), opacity=c.uniform(0.4, 1.0), shadow=0.0)
        if c.chance(0.3):
            strokes = [
                centre + c.random.normal(0, reach / 2, (int(c.random.integers(2, 5)), 2)) for _ in range(4)
            ]
            c.lay(c.lines(strokes, c.uniform(0.008, 0.03)) * shape, c.plain(c.any_colour()), shadow=0.0)


def edges(c: Canvas) -> None:
    """Something that reaches into the picture from a side, as far as a feature of the face."""
    angle, end = c.uniform(0, 2 * np.pi), _place(c, 0.05)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    wide = c.uniform(0.15, 1.2)
    waves = c.uniform(0, 0.14)
    rim = [end + across * wide * s + along * c.random.normal(0, waves) for s in np.linspace(-1, 1, 7)]
    outline = np.array([*rim, rim[-1] + 2.6 * along, rim[0] + 2.6 * along])
    surface = _surface(c)
    if c.chance(0.5):
        surface = np.asarray(surface * (1 + 0.2 * c.noise(c.uniform(0.1, 0.5))[..., None]), dtype=np.float32)
    c.lay(c.polygon(outline, smooth=c.chance(0.6)), surface, shadow=c.uniform(0, 0.5))


def frames(c: Canvas) -> None:
    """Spectacles of more makes: round, square, half-rimmed, rimless, thick, tinted or mirroring."""
    radii = c.uniform(0.2, 0.36), c.uniform(0.14, 0.3)
    power, slant = c.uniform(1.8, 6.0), c.random.normal(0, 0.12)
    drop, nearer = c.uniform(-0.03, 0.1), c.uniform(0.95, 1.08)
    width = c.uniform(0.012, 0.075)
    rim = c.plain(c.any_colour() if c.chance(0.5) else _grey(c.uniform(5, 230)), shading=c.uniform(0.05, 0.4))
    if c.chance(0.25):
        rim = _surface(c)
    make = int(c.random.integers(5))  # 0 to 2 whole, 3 upper half, 4 none
    tint, strength = c.any_colour(), float(c.random.choice([0, 0, 0.1, 0.25, 0.9, 1.0]))
    mirrored = strength >= 0.9 and c.chance(0.5)
    glass = _surface(c) if mirrored else c.plain(tint, shading=0.2)
    if strength >= 0.9 and not mirrored:
        glass = np.asarray(glass * 0.35, dtype=np.float32)
    opacity = np.ones(c.pixels.shape[:2], np.float32)
    inside = np.zeros(c.pixels.shape[:2], np.float32)
    rims = np.zeros_like(inside)
    for eye, sign in zip(_EYES, (1, -1), strict=True):
        centre = c.face[eye].mean(0) * (nearer, 1) + _at(0, drop)
        lens = c.ellipse(centre, radii, sign * slant, power)
        outer = c.ellipse(centre, (radii[0] + width, radii[1] + width), sign * slant, power)
        c.lay(lens * opacity, glass, opacity=strength, hides=strength >= 0.9, shadow=0.0)
        if c.chance(0.3):  # a light in the glass
            spot = _outline(c, centre + c.random.normal(0, 0.1, 2), c.uniform(0.03, 0.16)) * lens
            c.lay(c.blurred(spot, 0.008), c.plain((246, 248, 250)), opacity=c.uniform(0.85, 1), shadow=0.0)
        ring = np.clip(outer - lens, 0, 1)
        if make == 3:
            y = np.arange(ring.shape[0])[:, None] < c.to_pixels(centre[None])[0, 1]
            ring = ring * y
        if make != 4:
            rims = np.maximum(rims, ring)
        inside = np.maximum(inside, outer)
    f = c.face
    bridge = [f[39] + _at(0.03, drop), f[27] + _at(0, c.uniform(-0.05, 0.09)), f[42] + _at(-0.03, drop)]
    parts = [np.array(bridge)]
    for canthus, ear, sign in ((36, 0, -1), (45, 16, 1)):
        parts.append(np.array([f[canthus] + _at(sign * 0.12, drop - 0.06), f[ear] + _at(sign * 0.05, -0.1)]))
    bars = c.lines(parts, max(0.6 * width, 0.012)) * (inside < 0.5)
    c.lay(np.asarray(np.maximum(rims, bars), dtype=np.float32), rim, shadow=c.uniform(0, 0.3))


def tubes(c: Canvas) -> None:
    """One or two tubes, cables or bands from anywhere to anywhere over the face, with or without plasters."""
    clear = c.chance(0.4)
    colour = c.one_of(((228, 232, 230), (205, 225, 215), (240, 235, 205))) if clear else c.any_colour()
    for _ in range(int(c.random.integers(1, 3))):
        side = c.uniform(0, 2 * np.pi)
        start = 1.5 * np.array([np.cos(side), np.sin(side)]) + _at(0, 0.3)
        end = _place(c, 0.04) if c.chance(0.7) else 1.4 * np.array([-np.cos(side), np.sin(side + 0.6)])
        bends = [start + s * (end - start) + c.random.normal(0, 0.14, 2) for s in (0.35, 0.7)]
        places = np.array([start, bends[0], _place(c) if c.chance(0.4) else bends[1], end])
        width = c.uniform(0.014, 0.085)
        shape = c.line(places, width)
        c.lay(shape, c.plain(colour, shading=0.15), opacity=c.uniform(0.6, 0.95) if clear else 1.0)
        light = c.line(places - _at(0.2 * width, 0.22 * width), 0.25 * width)
        c.lay(light, c.plain((250, 250, 250)), opacity=c.uniform(0.1, 0.6), hides=False, shadow=0.0)
        if c.chance(0.4):
            _plaster(c, places[int(c.random.integers(1, 4))])


def strands(c: Canvas) -> None:
    """Hair over the face: a fringe, single strands, or curls; hidden is where it is dense."""
    colour, wide = np.array(c.one_of(_HAIRS)), c.uniform(0.03, 0.3)
    curl, n = c.uniform(0, 0.05), int(c.random.integers(6, 160))
    if c.chance(0.4):  # a fringe down to the brows or eyes
        n = int(c.random.integers(60, 260))
        low = c.face[[19, 37, 39, 41, 28][int(c.random.integers(5))], 1]
        tips = np.column_stack([c.random.uniform(-0.7, 0.7, n), low + c.random.normal(0, 0.05, n)])
        roots = tips * (1.0, 0.0) + np.column_stack([c.random.normal(0, 0.06, n), np.full(n, -1.0)])
        part = c.uniform(-0.8, 0.8)
        keep = np.abs(tips[:, 0] - part) > c.uniform(0, 0.3)
        roots, tips = roots[keep], tips[keep]
    else:
        side = c.uniform(-0.9, 0.9)
        root, tip = _at(side, -1.0), _place(c, 0.12) + _at(0, c.uniform(0, 0.6))
        roots = root + c.random.normal(0, wide, (n, 2))
        tips = tip + c.random.normal(0, wide * c.uniform(0.3, 1), (n, 2))
    bend = c.random.normal(0, 0.15, 2)
    paths = []
    for root, tip in zip(roots, tips, strict=True):
        s = np.linspace(0, 1, 4)[:, None]
        path = root + s * (tip - root) + 4 * s * (1 - s) * bend
        paths.append(rounded(path + curl * c.random.normal(size=(4, 2)), closed=False))
    if not paths:
        return
    width = c.uniform(0.005, 0.016)
    for k in range(3):
        light = np.clip(colour * (0.65, 1.0, 1.35)[k], 0, 255)
        group = c.lines(paths[k::3], width) if paths[k::3] else None
        if group is not None:
            surface = c.plain(tuple(light.tolist()), shading=0.25)
            c.lay(group, surface, opacity=0.92, hides=False, shadow=0.15 if k == 0 else 0.0)
    dense = c.blurred(c.lines(paths, width * 1.3), 0.012)
    c.cover = np.maximum(c.cover, np.clip((dense - 0.45) * 4, 0, 1)).astype(np.float32)


def _plaster(c: Canvas, centre: Floats) -> None:
    """A plaster, a strip of tape or gauze: white, of skin's colour, or all but transparent."""
    angle, long, high = c.uniform(0, np.pi), c.uniform(0.06, 0.4), c.uniform(0.025, 0.14)
    shape = c.ellipse(centre, (long, high), angle, c.uniform(3, 12))
    which = int(c.random.integers(4))
    if which == 0:
        surface = _skin(c)
    elif which == 1:
        base = c.plain((238, 236, 230), shading=0.08)
        surface = np.asarray(base * (1 + 0.06 * _weave(c)[..., None]), dtype=np.float32)
    elif which == 2:
        surface = c.plain(c.one_of(((240, 238, 232), (226, 202, 172), (205, 165, 135))), shading=0.1)
    else:
        surface = _surface(c)
    c.lay(shape, surface, opacity=c.uniform(0.8, 1.0), shadow=c.uniform(0, 0.35))
    if c.chance(0.35):
        pad = c.ellipse(centre, (0.35 * long, 0.85 * high), angle, 5)
        c.lay(pad, np.asarray(surface * c.uniform(0.8, 1.1), dtype=np.float32), shadow=0.05)


def plasters(c: Canvas) -> None:
    for _ in range(int(c.random.integers(1, 5))):
        _plaster(c, _place(c, 0.08))


def fingers(c: Canvas) -> None:
    """Fingers or a fist in skin like the face's, from any side: tapering, bent, with nails and folds."""
    skin, angle, tip = _skin(c, 0.75), c.uniform(0, 2 * np.pi), _place(c, 0.06)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    thick, length, n = c.uniform(0.1, 0.2), c.uniform(0.35, 0.8), int(c.random.integers(1, 5))
    apart = c.uniform(0.85, 1.5)
    if c.chance(0.75):
        back = tip + along * (length + 0.3)
        palm = c.ellipse(back, (0.5, thick * (n + 1) / 2 + 0.12), angle, 2.6)
        c.lay(palm, skin, shadow=0.35)
    for k in range(n):
        start = tip + across * (k - (n - 1) / 2) * thick * apart + along * c.uniform(-0.05, 0.15)
        knuckle = start + along * length / 2 + c.random.normal(0, 0.05, 2)
        finger = np.array([start, (start + knuckle) / 2, knuckle, start + along * (length + 0.15)])
        shape = c.line(finger, thick)
        round_ = c.line(finger, thick * 0.55, soft=0.035)
        darker = np.asarray(skin * (c.uniform(0.6, 0.8) + 0.32 * round_[..., None]), dtype=np.float32)
        c.lay(shape, darker, shadow=c.uniform(0.1, 0.45))
        if c.chance(0.5):
            nail = c.ellipse(start + along * 0.02, (thick * 0.33, thick * 0.25), angle)
            colour = c.plain(c.any_colour()) if c.chance(0.3) else np.asarray(skin * 1.12, dtype=np.float32)
            c.lay(nail, colour, opacity=c.uniform(0.5, 1), shadow=0.0)
        for fold in (0.45, 0.52):
            at = start + along * fold * length
            crease = c.line(np.array([at - across * thick * 0.35, at + across * thick * 0.35]), 0.012)
            c.lay(crease, np.asarray(skin * 0.65, dtype=np.float32), opacity=0.5, hides=False, shadow=0.0)


def wires(c: Canvas) -> None:
    """Thin things: wires, straps, twigs, cracks, bars of a cot, scribbles."""
    n, width = int(c.random.integers(1, 7)), c.uniform(0.012, 0.05)
    angle, surface = c.uniform(0, np.pi), _surface(c)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    start = _place(c)
    paths = []
    for k in range(n):
        middle = start + across * k * c.uniform(0.15, 0.4) if n > 2 else _place(c)
        lean = c.random.normal(0, 0.1)
        reach = 1.6 if c.chance(0.6) else c.uniform(0.2, 0.7)
        ends = [middle + s * reach * (along + lean * across) for s in (-1, -0.4, 0.3, 1)]
        paths.append(rounded(np.array(ends) + c.random.normal(0, c.uniform(0, 0.06), (4, 2)), closed=False))
    c.lay(c.lines(paths, width), surface, shadow=c.uniform(0, 0.4))


def smears(c: Canvas) -> None:
    """Paint, food, foam or mud on the skin, thick enough to hide it."""
    centre, scale = _place(c, 0.1), c.uniform(0.05, 0.25)
    near = c.blurred(c.ellipse(centre, (c.uniform(0.15, 0.5), c.uniform(0.1, 0.4)), c.uniform(0, 3)), 0.12)
    shape = c.blurred(((near + 0.3 * _clouds(c, scale)) > 0.55).astype(np.float32), c.uniform(0.003, 0.02))
    surface = _surface(c) if c.chance(0.5) else c.plain(c.any_colour(), shading=0.2)
    rough = np.asarray(surface * (1 + 0.12 * c.noise(0.03)[..., None]), dtype=np.float32)
    c.lay(shape, rough, opacity=c.uniform(0.92, 1), shadow=c.uniform(0, 0.3))


def censored(c: Canvas) -> None:
    """Bars, boxes and mosaics of any place and size, as pictures are made anonymous with."""
    part = [slice(36, 42), slice(42, 48), slice(36, 48), slice(48, 68), slice(27, 36), slice(17, 48)]
    f = c.face[part[int(c.random.integers(6))]]
    centre, half = (f.max(0) + f.min(0)) / 2 + c.random.normal(0, 0.04, 2), np.ptp(f, axis=0) / 2
    radii = float(half[0] + c.uniform(0.0, 0.2)), float(half[1] + c.uniform(0.0, 0.15))
    shape = c.ellipse(centre, radii, c.random.normal(0, 0.06), c.uniform(2, 20))
    which = int(c.random.integers(4))
    if which == 0:
        surface = c.plain(
            c.any_colour() if c.chance(0.5) else _grey(c.uniform(0, 255)), shading=0.0, grain=0.0
        )
    elif which == 1:
        surface = _surface(c)
    elif which == 2:  # mosaic of its own pixels
        step = max(2, round(c.uniform(0.09, 0.25) * c.unit))
        rows, columns = (np.arange(n) // step * step + step // 2 for n in c.pixels.shape[:2])
        smooth = _smoothed(c, 0.4 * step / c.unit)
        rows, columns = (
            np.minimum(i, n - 1) for i, n in zip((rows, columns), c.pixels.shape[:2], strict=True)
        )
        surface = smooth[rows][:, columns]
    else:
        surface = _smoothed(c, c.uniform(0.09, 0.3))
    c.lay((shape > 0.5).astype(np.float32) if which == 2 else shape, surface, shadow=0.0)


def _smoothed(c: Canvas, radius: float) -> Plane:
    levels = [c.blurred(np.clip(c.pixels[..., k] / 255, 0, 1).astype(np.float32), radius) for k in range(3)]
    return np.asarray(255 * np.stack(levels, -1), dtype=np.float32)


# -------------------------------------------------------------------------------- what hides nothing


def freckles(c: Canvas) -> None:
    n, skin = int(c.random.integers(8, 220)), np.array(c.skin())
    colour = np.clip(skin * c.random.uniform(0.45, 0.9, 3), 0, 255)
    image = np.zeros(c.pixels.shape[:2], np.float32)
    for _ in range(3):
        dots = [
            p + np.array([[0, 0], [0.002, 0.002]])
            for p in c.random.normal((0, 0.25), (0.35, 0.3), (n // 3 + 1, 2))
        ]
        image = np.maximum(image, c.lines(dots, c.uniform(0.008, 0.035), soft=0.006))
    c.lay(image, c.plain(tuple(colour.tolist())), opacity=c.uniform(0.2, 0.85), hides=False, shadow=0.0)


def make_up(c: Canvas) -> None:
    """Lips, lids, lashes, brows and cheeks in other colours."""
    f = c.face
    lips = np.maximum(c.polygon(f[48:60]) - c.polygon(f[60:68]), 0)
    if c.chance(0.8):
        c.lay(
            lips, c.plain(c.any_colour(), shading=0.15), opacity=c.uniform(0.2, 0.85), hides=False, shadow=0.0
        )
    colour = c.plain(c.any_colour())
    for eye, brow in ((36, 17), (42, 22)):
        lid = np.concatenate(
            [f[eye : eye + 4], f[brow : brow + 5][::-1] * 0.45 + f[eye : eye + 4][[3, 2, 2, 1, 0]] * 0.55]
        )
        around = c.blurred(c.polygon(lid), 0.025)
        c.lay(around, colour, opacity=c.uniform(0.1, 0.7), hides=False, shadow=0.0)
        if c.chance(0.6):
            line = c.line(f[eye : eye + 4], c.uniform(0.01, 0.035))
            c.lay(line, c.plain((20, 15, 15)), opacity=c.uniform(0.4, 0.9), hides=False, shadow=0.0)
        if c.chance(0.4):
            pencil = c.line(f[brow : brow + 5], c.uniform(0.03, 0.07), soft=0.01)
            c.lay(pencil, c.plain(c.one_of(_HAIRS)), opacity=c.uniform(0.3, 0.8), hides=False, shadow=0.0)
    for side in (-1, 1):
        cheek = c.blurred(c.ellipse(_at(side * 0.42, 0.4), (0.14, 0.1)), 0.06)
        c.lay(cheek, c.plain((215, 90, 95)), opacity=c.uniform(0, 0.5), hides=False, shadow=0.0)


def shadows(c: Canvas) -> None:
    """Shadows with hard or soft edges: of a hat, leaves, blinds, a hand, one side of the face."""
    which = int(c.random.integers(4))
    if which == 0:
        dark = _outline(c, _place(c, 0.3), c.uniform(0.2, 0.9))
    elif which == 1:
        dark = (c.ramp() + c.uniform(-0.3, 0.3) > 0).astype(np.float32)
    elif which == 2:
        dark = (c.wave(c.uniform(0.15, 0.6), c.uniform(0, np.pi)) > c.uniform(0.3, 0.8)).astype(np.float32)
    else:
        dark = (_clouds(c, c.uniform(0.1, 0.5)) > c.uniform(-0.5, 0.8)).astype(np.float32)
    dark = c.blurred(np.clip(dark, 0, 1).astype(np.float32), c.uniform(0.003, 0.12))
    tint = 1 - c.uniform(0.25, 0.72) * c.random.uniform(0.85, 1.0, 3)
    c.pixels = np.asarray(c.pixels * (1 - dark[..., None] * (1 - tint)), dtype=np.float32)


def strong_light(c: Canvas) -> None:
    """Light from a side, shiny skin, coloured lamps."""
    if c.chance(0.6):
        slope = np.exp(c.uniform(0.2, 0.8) * c.ramp())[..., None]
        lamp = 1 + c.uniform(0, 0.25) * c.random.normal(size=3)
        c.pixels = np.asarray(c.pixels * slope * np.clip(lamp, 0.5, 1.5), dtype=np.float32)
    for _ in range(int(c.random.integers(0, 5))):
        shine = c.blurred(_outline(c, _place(c, 0.1), c.uniform(0.03, 0.15)), c.uniform(0.02, 0.07))
        c.lay(shine, np.full_like(c.pixels, 250), opacity=c.uniform(0.2, 0.65), hides=False, shadow=0.0)


def beard(c: Canvas) -> None:
    """Stubble to a full beard around the lips, which stay free."""
    f, colour = c.face, c.one_of(_HAIRS, 8)
    lips = c.blurred(c.polygon(f[48:60]), 0.012)
    jaw = np.concatenate([f[3:14], [f[35] + _at(0.25, 0.12), f[33] + _at(0, 0.08), f[31] + _at(-0.25, 0.12)]])
    whole = c.polygon(jaw) if c.chance(0.6) else c.ellipse(f[51] - _at(0, 0.07), (0.32, 0.07))
    area = c.blurred(whole, 0.04) * (1 - lips)
    if c.chance(0.5):
        c.lay(area, c.plain(colour, shading=0.2), opacity=c.uniform(0.1, 0.75), hides=False, shadow=0.0)
    n = int(c.random.integers(150, 700))
    starts = c.random.uniform((-0.65, float(f[33, 1])), (0.65, float(f[8, 1]) + 0.1), (n, 2))
    reach = c.uniform(0.02, 0.09)
    hairs = [np.array([p, p + c.random.normal(0, 0.3, 2) * reach + _at(0, reach)]) for p in starts]
    shade = c.plain(colour, shading=0.3)
    c.lay(c.lines(hairs, 0.006) * area, shade, opacity=c.uniform(0.5, 0.95), hides=False, shadow=0.0)


def marks(c: Canvas) -> None:
    """Birthmarks, rashes, scars, bruises, pale patches, wrinkles, moles."""
    skin = np.array(c.skin())
    for _ in range(int(c.random.integers(1, 5))):
        which = int(c.random.integers(4))
        tint = skin * c.random.uniform((0.65, 0.35, 0.35), (1.15, 0.9, 0.95))
        if which == 0:
            patch = c.blurred(_outline(c, _place(c, 0.15), c.uniform(0.08, 0.45)), c.uniform(0.005, 0.05))
            c.lay(patch, c.plain(tuple(tint.tolist())), opacity=c.uniform(0.2, 0.6), hides=False, shadow=0.0)
        elif which == 1:
            line = c.line(_place(c) + c.random.normal(0, 0.12, (3, 2)), c.uniform(0.006, 0.02), soft=0.006)
            c.lay(
                line,
                c.plain(tuple((skin * c.uniform(0.5, 1.3)).tolist())),
                opacity=c.uniform(0.3, 0.8),
                hides=False,
                shadow=0.0,
            )
        elif which == 2:
            rash = np.clip(c.noise(c.uniform(0.02, 0.08)) - c.uniform(0, 1), 0, 1).astype(np.float32)
            near = c.blurred(_outline(c, _place(c, 0.2), c.uniform(0.2, 0.6)), 0.08)
            c.lay(rash * near, c.plain((190, 80, 75)), opacity=c.uniform(0.2, 0.6), hides=False, shadow=0.0)
        else:
            mole = c.ellipse(_place(c, 0.2), (c.uniform(0.008, 0.02), c.uniform(0.008, 0.02)))
            c.lay(mole, c.plain(tuple((skin * 0.4).tolist())), opacity=0.9, hides=False, shadow=0.0)


HIDING: Mapping[str, Callable[[Canvas], None]] = {
    kind.__name__: kind
    for kind in (objects, edges, frames, tubes, strands, plasters, fingers, wires, smears, censored)
}
SEEN: Mapping[str, Callable[[Canvas], None]] = {
    kind.__name__: kind for kind in (freckles, make_up, shadows, strong_light, beard, marks)
}


# ------------------------------------------------------------------------- only to choose networks with


def cup(c: Canvas) -> None:
    """A cup or glass at the mouth, with its handle."""
    top = c.face[51, 1] + c.uniform(-0.12, 0.08)
    x, wide, high = c.random.normal(0, 0.06), c.uniform(0.2, 0.36), c.uniform(0.45, 0.7)
    surface = c.plain(c.any_colour() if c.chance(0.6) else (240, 238, 232), shading=0.15)
    light = 0.7 + 0.45 * c.wave(c.uniform(0.7, 1.2), 0.0)
    surface = np.asarray(surface * light[..., None], dtype=np.float32)
    side = 1 if c.chance(0.5) else -1
    bow = np.array(
        [[x + side * wide, top + 0.12], [x + side * (wide + 0.2), top + 0.2], [x + side * wide, top + 0.42]]
    )
    c.lay(c.line(bow, 0.06), surface)
    narrow = c.uniform(0.6, 1.0)
    body = [
        [x - wide, top],
        [x + wide, top],
        [x + narrow * wide, top + high],
        [x - narrow * wide, top + high],
    ]
    c.lay(c.polygon(np.array(body), smooth=False), surface, shadow=0.35)
    c.lay(c.ellipse(_at(x, top), (wide, 0.06)), np.asarray(surface * 0.75, dtype=np.float32), shadow=0.0)


def phone(c: Canvas) -> None:
    """A phone held up before one half of the face, with its camera and the fingers that hold it."""
    turn, centre = c.random.normal(0, 0.2), _at(c.uniform(-0.45, 0.45), c.uniform(0.05, 0.6))
    body = c.ellipse(centre, (c.uniform(0.24, 0.32), c.uniform(0.48, 0.62)), turn, 9)
    c.lay(
        body, c.plain(c.one_of(((18, 18, 20), (235, 235, 238), (190, 40, 50), (60, 75, 110))), shading=0.15)
    )
    up = np.array([np.sin(turn), -np.cos(turn)])
    across = np.array([np.cos(turn), np.sin(turn)])
    for k in range(int(c.random.integers(1, 4))):
        eye = centre + up * (0.36 - 0.12 * k) - across * 0.14
        c.lay(c.ellipse(eye, (0.05, 0.05)), c.plain((30, 32, 40)), shadow=0.1)
        c.lay(c.ellipse(eye, (0.02, 0.02)), c.plain((90, 100, 130)), shadow=0.0)
    skin = _skin(c)
    for k in range(4):
        start = centre - up * (0.1 + 0.15 * k) + across * c.uniform(0.05, 0.2)
        c.lay(c.line(np.array([start, start + across * 0.7 + _at(0, 0.1)]), 0.13), skin, shadow=0.35)


def ball(c: Canvas) -> None:
    """A ball or balloon of two or three colours."""
    centre, r = _place(c, 0.15), c.uniform(0.22, 0.5)
    shape, turn = c.ellipse(centre, (r, r)), c.uniform(0, np.pi)
    x, y = np.meshgrid(np.arange(c.size[0]), np.arange(c.size[1]))
    at = c.to_pixels(centre[None])[0]
    depth = np.sqrt(np.clip(1 - ((x - at[0]) ** 2 + (y - at[1]) ** 2) / (r * c.unit) ** 2, 0, 1))
    share = (np.sin(np.arctan2(y - at[1], x - at[0]) * int(c.random.integers(2, 5)) + turn) > 0)[..., None]
    surface = np.where(share, c.plain(c.any_colour()), c.plain(c.any_colour()))
    c.lay(shape, np.asarray(surface * (0.4 + 0.65 * depth[..., None]), dtype=np.float32))
    spot = c.blurred(c.ellipse(centre + _at(-0.4 * r, -0.4 * r), (0.15 * r, 0.1 * r), 0.7), 0.02)
    c.lay(spot, c.plain((250, 250, 250)), opacity=0.7, shadow=0.0)


def leaves(c: Canvas) -> None:
    """A twig with leaves."""
    start, end = _at(c.uniform(-1, 1), -1.1), _place(c, 0.1)
    twig = rounded(np.array([start, (start + end) / 2 + c.random.normal(0, 0.1, 2), end]), closed=False)
    c.lay(c.line(twig, 0.025, smooth=False), c.plain((85, 65, 45)))
    green = np.array(c.one_of(((70, 110, 45), (45, 80, 40), (140, 150, 60), (165, 85, 40)), 15))
    for s in np.linspace(0.35, 1, int(c.random.integers(4, 9))):
        foot = twig[min(int(s * len(twig)), len(twig) - 1)]
        angle, long = c.uniform(0, 2 * np.pi), c.uniform(0.15, 0.32)
        along = long * np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]]) * c.uniform(0.2, 0.35)
        shape = c.polygon(
            np.array([foot, foot + along / 2 + across, foot + along, foot + along / 2 - across])
        )
        colour = np.clip(green * c.uniform(0.7, 1.3), 0, 255)
        c.lay(shape, c.plain(tuple(colour.tolist()), shading=0.2), shadow=0.35)
        vein = c.line(np.array([foot, foot + 0.9 * along]), 0.01)
        c.lay(
            vein, c.plain(tuple(np.clip(colour * 1.3, 0, 255).tolist())), opacity=0.6, hides=False, shadow=0.0
        )


CHOSEN_WITH: Mapping[str, Callable[[Canvas], None]] = {
    kind.__name__: kind for kind in (cup, phone, ball, leaves)
}
