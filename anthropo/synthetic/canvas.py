"""A face to draw on: shapes in the face's frame, and what cloth, skin and plastic look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from anthropo.face.frame import Floats, face_axes, in_face_frame

Colour = tuple[float, float, float]  # 8-bit levels
Plane = NDArray[np.float32]  # (H, W) from 0 to 1, or (H, W, 3) in 8-bit levels

_REACH = ((-1.5, 1.5), (-1.2, 1.7))  # of the part that is drawn on, outer-canthal distances: across, down


@dataclass(slots=True, eq=False)
class Canvas:
    """The surroundings of one face, drawn on layer by layer.

    Places are in the face's frame: x towards the subject's left and y down, from the middle between the
    outer canthi, in outer-canthal distances.
    """

    pixels: Plane  # (H, W, 3) in 8-bit levels
    face: Floats  # (68, 2) landmarks in the face's frame
    random: np.random.Generator
    frame: Floats  # (2, 3), from the face's frame to pixels of the canvas
    corner: tuple[int, int]  # of the canvas in the photo: left, top
    cover: Plane = field(init=False)  # (H, W), how much of the face is hidden

    def __post_init__(self) -> None:
        self.cover = np.zeros(self.pixels.shape[:2], np.float32)

    @classmethod
    def of(cls, photo: NDArray[np.uint8], points: Floats, random: np.random.Generator) -> Canvas:
        """The canvas around landmarks (68, 2) of a photo (H, W, 3), pixels."""
        axes, middle = face_axes(points), points[[36, 45]].mean(0)
        corners = np.array([[x, y] for x in _REACH[0] for y in _REACH[1]]) @ axes + middle
        size = np.array(photo.shape[1::-1])
        low = np.clip(np.floor(corners.min(0)), 0, size - 1).astype(int)
        high = np.clip(np.ceil(corners.max(0)), low + 1, size).astype(int)
        part = photo[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        frame = np.column_stack([axes.T, middle - low])
        return cls(part, in_face_frame(points), random, frame, (int(low[0]), int(low[1])))

    @property
    def unit(self) -> float:
        """The outer-canthal distance, pixels."""
        return float(np.hypot(*self.frame[:, 0]))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def to_pixels(self, places: Floats) -> Floats:
        """Places (N, 2) as pixels of the canvas."""
        return np.asarray(places @ self.frame[:, :2].T + self.frame[:, 2])

    def uniform(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def one_of(self, colours: Sequence[Colour], spread: float = 12.0) -> Colour:
        """One of some colours, a little changed."""
        colour = np.array(colours[int(self.random.integers(len(colours)))])
        return _colour(colour + self.random.normal(0, spread, 3))

    def any_colour(self) -> Colour:
        return _colour(self.random.uniform(5, 250, 3))

    def skin(self) -> Colour:
        """The colour of the face's cheeks."""
        at = np.concatenate([self.face[[2, 41, 48]].mean(0)[None], self.face[[14, 46, 54]].mean(0)[None]])
        x, y = np.clip(self.to_pixels(at).round().astype(int), 0, np.array(self.size) - 1).T
        r = max(1, round(0.04 * self.unit))
        near = [
            self.pixels[max(0, b - r) : b + r, max(0, a - r) : a + r].reshape(-1, 3)
            for a, b in zip(x, y, strict=True)
        ]
        return _colour(np.median(np.concatenate(near), axis=0))

    # ------------------------------------------------------------------------------------- shapes

    def polygon(self, places: Floats, *, smooth: bool = True, soft: float = 0.004) -> Plane:
        """The inside of a closed outline, rounded between its places."""
        return self._drawn([rounded(places) if smooth else places], None, soft)

    def line(self, places: Floats, width: float, *, smooth: bool = True, soft: float = 0.003) -> Plane:
        """A line through places."""
        return self._drawn([rounded(places, closed=False) if smooth else places], width, soft)

    def lines(self, many: Sequence[Floats], width: float, soft: float = 0.002) -> Plane:
        return self._drawn(many, width, soft)

    def ellipse(
        self, centre: Floats, radii: tuple[float, float], turn: float = 0.0, power: float = 2.0
    ) -> Plane:
        """An ellipse, or a rounder rectangle with a `power` above 2."""
        t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        c, s = np.cos(t), np.sin(t)
        x = radii[0] * np.sign(c) * np.abs(c) ** (2 / power)
        y = radii[1] * np.sign(s) * np.abs(s) ** (2 / power)
        a, b = np.cos(turn), np.sin(turn)
        return self.polygon(centre + np.column_stack([a * x - b * y, b * x + a * y]), smooth=False)

    def _drawn(self, shapes: Sequence[Floats], width: float | None, soft: float) -> Plane:
        image = Image.new("L", self.size)
        draw = ImageDraw.Draw(image)
        for shape in shapes:
            at = [(float(x), float(y)) for x, y in self.to_pixels(shape)]
            if width is None:
                draw.polygon(at, fill=255)
            else:
                thick = max(1, round(width * self.unit))
                draw.line(at, fill=255, width=thick, joint="curve")
                r = thick / 2
                for x, y in (at[0], at[-1]):
                    draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
        image = image.filter(ImageFilter.GaussianBlur(max(0.5, soft * self.unit)))
        return np.asarray(np.asarray(image) / 255, dtype=np.float32)

    def blurred(self, plane: Plane, radius: float) -> Plane:
        """A plane from 0 to 1, smoothed by a radius in outer-canthal distances."""
        image = Image.fromarray(np.rint(255 * plane).astype(np.uint8))
        done = image.filter(ImageFilter.GaussianBlur(max(0.3, radius * self.unit)))
        return np.asarray(np.asarray(done) / 255, dtype=np.float32)

    # ----------------------------------------------------------------------------------- surfaces

    def noise(self, scale: float) -> Plane:
        """Smooth noise (H, W) of mean 0 and SD 1, whose grains are `scale` outer-canthal distances wide."""
        width, height = self.size
        step = max(1.0, scale * self.unit)
        coarse = self.random.normal(size=(int(height / step) + 3, int(width / step) + 3)).astype(np.float32)
        image = Image.fromarray(coarse).resize(self.size, Image.Resampling.BICUBIC)
        plane = np.asarray(image, dtype=np.float32)
        spread = float(plane.std())
        return np.asarray((plane - plane.mean()) / max(spread, 1e-6), dtype=np.float32)

    def plain(self, colour: Colour, *, shading: float = 0.1, grain: float = 3.0) -> Plane:
        """A surface (H, W, 3) of one colour under uneven light."""
        light = 1 + shading * (0.6 * self.noise(0.5) + 0.4 * self.ramp())
        base = np.array(colour, np.float32) * light[..., None]
        return np.asarray(base + grain * self.noise(0.012)[..., None], dtype=np.float32)

    def ramp(self) -> Plane:
        """A slope across the canvas, -1 to 1, in a random direction."""
        width, height = self.size
        angle = self.uniform(0, 2 * np.pi)
        x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
        plane = np.cos(angle) * x[None] + np.sin(angle) * y[:, None]
        return np.asarray(plane, dtype=np.float32)

    def wave(self, length: float, angle: float) -> Plane:
        """Stripes (H, W), 0 to 1, of a length in outer-canthal distances."""
        width, height = self.size
        x, y = np.arange(width)[None], np.arange(height)[:, None]
        phase = (np.cos(angle) * x + np.sin(angle) * y) / max(1.0, length * self.unit)
        return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * phase + self.uniform(0, 6)), dtype=np.float32)

    def patterned(self) -> Plane:
        """A surface of any two colours: stripes, checks, blotches, or plain."""
        first, second = self.plain(self.any_colour()), self.plain(self.any_colour())
        length, angle = self.uniform(0.04, 0.25), self.uniform(0, np.pi)
        which = int(self.random.integers(4))
        if which == 0:
            return first
        if which == 1:
            share = (self.wave(length, angle) > 0.5).astype(np.float32)
        elif which == 2:
            share = ((self.wave(length, angle) > 0.5) ^ (self.wave(length, angle + np.pi / 2) > 0.5)).astype(
                np.float32
            )
        else:
            share = (self.noise(length) > 0.2).astype(np.float32)
        return np.asarray(first + share[..., None] * (second - first), dtype=np.float32)

    # ------------------------------------------------------------------------------------- layers

    def lay(
        self, shape: Plane, surface: Plane, *, opacity: float = 1.0, hides: bool = True, shadow: float = 0.25
    ) -> None:
        """Put a surface over the face where the shape is, with a shadow beside it."""
        if shadow:
            cast = self.blurred(shape, 0.02)
            dx, dy = round(0.01 * self.unit), round(0.015 * self.unit)
            cast = np.roll(cast, (dy, dx), axis=(0, 1)) * (1 - shape) * shadow * opacity
            self.pixels *= 1 - cast[..., None]
        alpha = (shape * opacity)[..., None]
        self.pixels = np.asarray(self.pixels + alpha * (surface - self.pixels), dtype=np.float32)
        if hides:
            self.cover = np.maximum(self.cover, shape)


def rounded(places: Floats, *, closed: bool = True, steps: int = 8) -> Floats:
    """A curve through places (N, 2), rounded between them (Catmull & Rom 1974)."""
    before, after = (places[-1:], places[:2]) if closed else (places[:1], places[-1:])
    p = np.concatenate([before, places, after])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        slope = (c - a) / 2
        bend, rest = 3 * (c - b) - 2 * slope - (d - b) / 2, 2 * (b - c) + slope + (d - b) / 2
        parts.append(b + t * (slope + t * (bend + t * rest)))
    if not closed:
        parts.append(places[-1:])
    return np.concatenate(parts)


def _colour(values: Floats) -> Colour:
    r, g, b = np.clip(values, 0, 255).tolist()
    return r, g, b
