"""What a measurement is, as a line drawing: made from its expression, so that it cannot show anything else.

The drawn face is the mean of studio photographs (anthropo/face/shapes.npz) with its landmarks at their
anthropometric place. Solid lines are what is measured, dashed ones what it is measured against. In a
quotient the upper part is blue, the lower one orange.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise, product
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from anthropo.face.frame import OUTER_CANTHI, Floats, face_axes, outer_canthal_distance
from anthropo.face.shape import shapes
from anthropo.measurement import anatomy
from anthropo.measurement.appearance import regions_of, rings_of
from anthropo.measurement.geometry import functions
from anthropo.measurement.registry import Entry, landmark_names
from anthropo.measurement.sampling import outlines

WIDTH, HEIGHT = 240, 200  # px

_UPPER, _LOWER, _GUIDE, _FACE = "#0B5FA5", "#C8500A", "#5B6670", "#AAB4BE"
_IRIS = 0.067  # radius, outer-canthal distances
_LEAST = 0.7  # outer-canthal distances across the smallest view
_MARGIN = 0.3  # of what is drawn, on every side
_AROUND = 1.3  # the same where pixels of skin are read, for which there are no landmarks to go by
_NOTHING = 0.02  # a length below this is drawn as an arrow that shows its direction
_ARROW = 0.06  # half of its length
_HALF_ARROW = 13.0  # px, at least
_LEFT, _TOP, _RIGHT, _BOTTOM = -0.95, -0.86, 0.95, 1.42  # of the whole face


@dataclass(frozen=True, slots=True)
class Mark:
    """One line or outline of what a measurement is."""

    shape: str  # line, arrow, curve, trace; closed: polygon, outline, ring
    points: Floats  # (P, 2)
    colour: str
    dashed: bool = False


@dataclass(slots=True)
class _Sketch:
    """Collects what is drawn of one entry."""

    points: Floats  # (68, 2), in outer-canthal distances
    names: dict[str, Any]
    across: Floats  # the face's axes, unit vectors
    down: Floats
    marks: list[Mark] = field(default_factory=list)
    dots: dict[str, Floats] = field(default_factory=dict)  # name -> where
    hollow: list[Floats] = field(default_factory=list)  # points that are made of others
    colour: str = _UPPER

    def add(self, shape: str, *points: Floats, dashed: bool = False, colour: str = "") -> None:
        line = np.array(points)
        if not dashed:  # what is measured covers what only leads to it
            self.marks = [m for m in self.marks if not (m.dashed and _same(m.points, line))]
        if any(m.shape == shape and _same(m.points, line) for m in self.marks):
            return
        self.marks.append(Mark(shape, line, colour or (_GUIDE if dashed else self.colour), dashed))

    def measured(self, a: Floats, b: Floats, direction: Floats) -> None:
        """A length; when it is zero, an arrow along the direction in which it would be seen."""
        if np.hypot(*(b - a)) > _NOTHING:
            self.add("line", a, b)
        else:
            self.add("arrow", b - _ARROW * direction, b + _ARROW * direction)

    def arc(self, vertex: Floats, a: Floats, b: Floats) -> None:
        """The smaller angle between the directions of a and b."""
        radius = 0.4 * min(np.hypot(*(a - vertex)), np.hypot(*(b - vertex)))
        start, end = (math.atan2(*(p - vertex)[::-1]) for p in (a, b))
        turn = (end - start + math.pi) % (2 * math.pi) - math.pi
        steps = start + np.linspace(0, turn, 13)
        self.add("curve", *(vertex + radius * np.column_stack([np.cos(steps), np.sin(steps)])))

    # ------------------------------------------------------------------------------ expressions

    def draw(self, node: ast.expr) -> Floats | None:
        """Draw what a part of an expression measures; the point that it is, or None for a number."""
        if isinstance(node, ast.Name):
            at: Floats = self.names[node.id]
            self.dots[node.id] = at
            return at
        if isinstance(node, ast.BinOp):
            self.draw(node.left)
            before = self.colour
            if isinstance(node.op, ast.Div):
                self.colour = _LOWER
            self.draw(node.right)
            self.colour = before
        elif isinstance(node, ast.UnaryOp):
            self.draw(node.operand)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = [self.draw(argument) for argument in node.args]
            points = [p for p in given if p is not None]
            drawn: Floats | None = getattr(self, f"_{node.func.id}")(*points)
            return drawn
        return None

    def _d(self, a: Floats, b: Floats) -> None:
        self.measured(a, b, self.down)

    def _mid(self, *points: Floats) -> Floats:
        middle = np.mean(points, axis=0)
        self.add("line", points[0], points[-1], dashed=True)
        self.hollow.append(middle)
        return np.asarray(middle)

    def _mean(self) -> None:
        """Nothing: the numbers that a mean is of draw themselves."""

    def _angle(self, a: Floats, vertex: Floats, b: Floats) -> None:
        self.add("line", vertex, a)
        self.add("line", vertex, b)
        self.arc(vertex, a, b)

    def _area(self, *polygon: Floats) -> None:
        self.add("polygon", *polygon)

    def _perimeter(self, *polygon: Floats) -> None:
        self.add("outline", *polygon)

    def _off(self, p: Floats, a: Floats, b: Floats) -> None:
        self.add("line", *_longer(a, b, p), dashed=True)
        self.measured(_foot(p, a, b), p, _across(a, b))

    def _off_level(self, right: Floats, left: Floats, top: Floats, bottom: Floats) -> None:
        self.add("line", *_longer(top, bottom, right), dashed=True)
        feet = [_foot(p, top, bottom) for p in (right, left)]
        for p, foot in zip((right, left), feet, strict=True):
            self.add("line", p, foot, dashed=True)
        along = (bottom - top) / np.hypot(*(bottom - top))
        self.measured(feet[0], feet[1], along)

    def _sag(self, a: Floats, b: Floats, *points: Floats) -> None:
        self.add("line", a, b, dashed=True)
        feet = [_foot(p, a, b) for p in points]
        far = int(np.argmax([np.hypot(*(p - f)) for p, f in zip(points, feet, strict=True)]))
        self.add("trace", a, *points, b, colour=_GUIDE)
        self.add("line", feet[far], points[far])

    def _cant(self, a: Floats, b: Floats, c: Floats, d: Floats) -> None:
        self.add("line", a, b, dashed=True)
        self.add("line", c, d)
        self.add("line", c, c + (b - a) * np.hypot(*(d - c)) / np.hypot(*(b - a)), dashed=True)
        along, across = (d - c) / np.hypot(*(d - c)), _across(c, d)
        self.add("arrow", d + 0.08 * along - _ARROW * across, d + 0.08 * along + _ARROW * across)

    def _v(self, a: Floats, b: Floats) -> None:
        below = b + self.down * float((a - b) @ self.down)  # where a's level passes b
        beyond = self.across * (0.1 if float((b - a) @ self.across) >= 0 else -0.1)
        self.add("line", a - beyond / 2, below + beyond, dashed=True)
        self.add("line", b - beyond, b + beyond, dashed=True)
        self.measured(below, b, self.down)

    def _elevation(self, a: Floats, b: Floats) -> None:
        self.add("line", a, b)
        level = a + self.across * float((b - a) @ self.across)
        self.add("line", a, a + 1.2 * (level - a), dashed=True)
        self.arc(a, level, b)

    def _at(self, p: Floats, *curve: Floats) -> Floats:
        crossing: Floats = functions(self.points)["at"](p, *curve)
        self.add("trace", *curve, colour=_GUIDE)
        self.add("line", p, crossing, dashed=True)
        self.hollow.append(crossing)
        return crossing

    def _procrustes_asymmetry(self) -> None:
        top, bottom = self.points[27] - 0.45 * self.down, self.points[8] + 0.08 * self.down
        self.add("line", top, bottom, dashed=True)
        for i in (*range(17), *range(17, 68)):
            self.hollow.append(self.points[i])
        for right, left in ((2, 14), (17, 26), (36, 45), (31, 35), (48, 54), (4, 12)):
            self.add("arrow", self.points[right], self.points[left])

    # ------------------------------------------------------------------------------------ pixels

    def patches(self, name: str, pupils: Floats) -> None:
        """The polygons whose pixels an entry is read from; its own blue, those it is compared with orange."""
        rings = rings_of(name)
        for i, region in enumerate(regions_of(name)):
            self.colour = _LOWER if i or rings else _UPPER
            for weights in outlines(region):
                self.add("polygon", *(weights @ self.points))
        self.colour = _UPPER
        turn = np.linspace(0, 2 * math.pi, 25)
        for inner, outer in rings:
            circles = [
                pupils["RL".index(name[-1])] + _IRIS * r * np.column_stack([np.cos(turn), np.sin(turn)])
                for r in (outer, inner)
                if r
            ]
            self.add("ring", *np.concatenate([circles[0], *(c[::-1] for c in circles[1:])]))


def _same(a: Floats, b: Floats) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b) or np.allclose(a, b[::-1]))


def _across(a: Floats, b: Floats) -> Floats:
    u = (b - a) / np.hypot(*(b - a))
    return np.array([-u[1], u[0]])


def _foot(p: Floats, a: Floats, b: Floats) -> Floats:
    """The point of the line a-b that is nearest to p."""
    u = (b - a) / np.hypot(*(b - a))
    return np.asarray(a + u * float((p - a) @ u))


def _longer(a: Floats, b: Floats, p: Floats) -> tuple[Floats, Floats]:
    """The line a-b a little longer, and long enough for the foot of p to lie on it."""
    u = (b - a) / np.hypot(*(b - a))
    ends = [0.0, float((b - a) @ u), float((p - a) @ u)]
    return a + u * (min(ends) - 0.08), a + u * (max(ends) + 0.08)


@lru_cache(maxsize=1)
def _mean_face() -> tuple[Floats, Floats]:
    """Landmarks (68, 2) and BETWEEN landmarks (6, 2) of the mean face, outer-canthal distances."""
    points, middle = anatomy.apply(anatomy.instrument("fine").correction, shapes()[0], {})
    centre, unit = points[list(OUTER_CANTHI)].mean(0), outer_canthal_distance(points)
    return (points - centre) / unit, (middle - centre) / unit


def _face_lines(points: Floats, pupils: Floats) -> list[tuple[Floats, bool]]:
    """Curves of a face, each with whether it is closed."""
    jaw = points[:17]
    height = points[8, 1] - points[0, 1]
    turn = np.linspace(math.pi, 2 * math.pi, 15)[1:-1]
    centre, radius = (jaw[0] + jaw[16]) / 2, np.hypot(*(jaw[16] - jaw[0])) / 2
    skull = centre + np.column_stack([radius * 1.02 * np.cos(turn), 0.68 * height * np.sin(turn)])
    lines = [(np.concatenate([jaw, skull[::-1]]), True)]
    lines += [(points[a:b], closed) for a, b, closed in (
        (17, 22, False), (22, 27, False), (27, 31, False), (31, 36, False), (36, 42, True), (42, 48, True),
        (48, 60, True), (60, 68, True),
    )]  # fmt: skip
    for first, pupil in zip((36, 42), pupils, strict=True):
        upper, lower = points[first : first + 4], points[[first, first + 5, first + 4, first + 3]]
        turn = np.linspace(0, 2 * math.pi, 17)[:-1]
        for r in (_IRIS, 0.35 * _IRIS):
            x, y = pupil[0] + r * np.cos(turn), pupil[1] + r * np.sin(turn)
            lines.append(
                (np.column_stack([x, np.clip(y, np.interp(x, *upper.T), np.interp(x, *lower.T))]), True)
            )
    return lines


def _smooth(points: Floats, closed: bool) -> str:
    """A path through points, rounded between them (Catmull-Rom)."""
    ends = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    p = np.concatenate([ends[0], points, ends[1]])
    parts = [f"M{_xy(points[0])}"]
    for i in range(1, len(p) - 2):
        first, second = p[i] + (p[i + 1] - p[i - 1]) / 6, p[i + 1] - (p[i + 2] - p[i]) / 6
        parts.append(f"C{_xy(first)} {_xy(second)} {_xy(p[i + 1])}")
    return "".join(parts) + ("Z" if closed else "")


def _xy(p: Floats) -> str:
    return f"{_n(p[0])},{_n(p[1])}"


def _n(value: float) -> str:
    return f"{round(float(value), 1) + 0.0:g}"


def _sketch(entry: Entry, points: Floats, middle: Floats) -> tuple[_Sketch, Floats]:
    """What an entry measures on a face of outer-canthal distance 1, and the pupils."""
    names: dict[str, Any] = landmark_names(points)
    names |= {code: middle[i] for i, code in enumerate(anatomy.BETWEEN)}
    sketch = _Sketch(points, names, *face_axes(points))
    pupils = middle[[anatomy.BETWEEN.index("pR"), anatomy.BETWEEN.index("pL")]]
    if entry.expression:
        sketch.draw(ast.parse(entry.expression, mode="eval").body)
    else:
        sketch.patches(entry.id, pupils)
    return sketch, pupils


def marks_on(entry: Entry, points: Floats, middle: Floats) -> list[Mark]:
    """What a registry entry measures on a photographed face, in the photo's pixels.

    Parameters
    ----------
    entry : Entry
    points : ndarray, (68, 2)
    middle : ndarray, (6, 2)
        Both as `anthropo.measurement.anatomy.place` has them.

    Returns
    -------
    list of Mark

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.measurement.anatomy import place
    >>> face = anthropo.read_face(anthropo.example_photo())
    >>> (line,) = marks_on(anthropo.registry()["intercanthal_width"], *place(face))
    >>> line.shape, line.points.shape
    ('line', (2, 2))
    """
    centre, unit = points[list(OUTER_CANTHI)].mean(0), outer_canthal_distance(points)
    sketch, _ = _sketch(entry, (points - centre) / unit, (middle - centre) / unit)
    return [replace(mark, points=mark.points * unit + centre) for mark in sketch.marks]


def drawing(entry: Entry) -> str:
    """A registry entry on a line-drawn face: an SVG element of 240 × 200 px without ids, to share a page."""
    sketch, pupils = _sketch(entry, *_mean_face())
    least = _LEAST if entry.expression or entry.region == "eye" else _AROUND
    return _svg(sketch, pupils, entry.name, least)


def _svg(sketch: _Sketch, pupils: Floats, title: str, least: float) -> str:
    shown = np.concatenate(
        [m.points for m in sketch.marks] + [np.array(list(sketch.dots.values())).reshape(-1, 2)]
    )
    low, high = shown.min(0), shown.max(0)
    size = np.maximum((high - low) * (1 + 2 * _MARGIN), least)
    scale = min(WIDTH / size[0], HEIGHT / size[1])
    size = np.array([WIDTH, HEIGHT]) / scale
    # as much of the face as fits, but nothing beyond it where that can be helped
    corner = (low + high - size) / 2
    for axis, (first, last) in enumerate(((_LEFT, _RIGHT), (_TOP, _BOTTOM))):
        if size[axis] < last - first:
            corner[axis] = np.clip(corner[axis], first, last - size[axis])
        else:
            corner[axis] = (first + last - size[axis]) / 2

    def to(p: Floats) -> Floats:
        return np.asarray((p - corner) * scale)

    face = ""
    for line, closed in _face_lines(sketch.points, pupils):
        at = to(line)
        if (at.max(0) > 0).all() and (at.min(0) < (WIDTH, HEIGHT)).all():
            face += _smooth(at, closed)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fff"/>',
        f'<path d="{face}" fill="none" stroke="{_FACE}" stroke-width="1.3"/>',
    ]
    order = {"polygon": 0, "ring": 1, "outline": 1, "trace": 1}
    # the wider lower part of a quotient below the upper one
    for mark in sorted(sketch.marks, key=lambda m: (order.get(m.shape, 2), not m.dashed, m.colour == _UPPER)):
        parts.append(_mark(mark, to(mark.points)))
    for p in sketch.hollow:
        parts.append(
            f'<circle cx="{_n(to(p)[0])}" cy="{_n(to(p)[1])}" r="2.2" fill="#fff" stroke="{_GUIDE}"/>'
        )
    dots = {name: to(p) for name, p in sketch.dots.items()}
    for p in dots.values():
        parts.append(f'<circle cx="{_n(p[0])}" cy="{_n(p[1])}" r="2.6" fill="#111"/>')
    if any(not name[1:].isdigit() for name in dots):  # points of a curve need no name beside landmarks
        dots = {name: p for name, p in dots.items() if not name[1:].isdigit()}
    for name, at in _labels(dots, [to(m.points) for m in sketch.marks]).items():
        parts.append(
            f'<text x="{_n(at[0])}" y="{_n(at[1] + 4)}" text-anchor="middle" stroke="#fff" stroke-width="3" '
            f'paint-order="stroke">{name}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _mark(mark: Mark, at: Floats) -> str:
    style = (
        f'stroke="{mark.colour}" stroke-width="{1.2 if mark.dashed else 2.2 if mark.colour == _UPPER else 4}"'
    )
    if mark.dashed:
        style += ' stroke-dasharray="4 3"'
    path = "M" + "L".join(_xy(p) for p in at)
    if mark.shape == "polygon":
        return f'<path d="{path}Z" fill="{mark.colour}" fill-opacity=".3" stroke="{mark.colour}"/>'
    if mark.shape == "ring":
        return f'<path d="{path}Z" fill="{mark.colour}" fill-opacity=".45"/>'
    if mark.shape == "outline":
        return f'<path d="{path}Z" fill="none" {style}/>'
    if mark.shape == "trace":
        return f'<path d="{path}" fill="none" stroke="{mark.colour}" stroke-width="1.2"/>'
    if mark.shape == "arrow":
        u = (at[1] - at[0]) / np.hypot(*(at[1] - at[0]))
        middle, half = at.mean(0), max(_HALF_ARROW, np.hypot(*(at[1] - at[0])) / 2)
        at = np.array([middle - half * u, middle + half * u])
        path = "M" + "L".join(_xy(p) for p in at)
        side = np.array([-u[1], u[0]])
        for tip, back in ((at[0], u), (at[1], -u)):
            wings = [tip + 5 * back + 3 * side, tip, tip + 5 * back - 3 * side]
            path += "M" + "L".join(_xy(p) for p in wings)
    return f'<path d="{path}" fill="none" {style}/>'


def _labels(dots: dict[str, Floats], lines: Sequence[Floats]) -> dict[str, Floats]:
    """Where the names of the points stand: beside them, off lines and off each other."""
    if not dots or len(dots) > 14:  # a name beside each would hide what is drawn
        return {}
    ink = [np.array(list(dots.values()))]
    ink += [a + np.linspace(0, 1, 12)[:, None] * (b - a) for line in lines for a, b in pairwise(line)]
    occupied = np.concatenate(ink)
    placed: dict[str, Floats] = {}
    for name, p in dots.items():
        best, least = p, math.inf
        half = np.array([3.2 * len(name) + 1, 6.0])
        for gap, turn in product((5, 12), np.arange(16) * math.pi / 8):
            at = p + (half + gap) * (math.cos(turn), math.sin(turn))
            away = np.abs(occupied - at) / (half + 1)
            cost = 2.0 * float((away < 1).all(1).sum())
            cost += sum(20.0 for q in placed.values() if (np.abs(q - at) < (2 * half[0], 13)).all())
            cost += 100.0 * float(((at - half < 2) | (at + half > (WIDTH - 2, HEIGHT - 2))).any())
            cost += 0.1 * gap
            if cost < least:
                best, least = at, cost
        placed[name] = best
    return placed
