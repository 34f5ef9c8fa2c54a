"""Odd eyes, stickers and hands: a measurement, a reason or a sentence, and no library's warning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

import anthropo
from anthropo.errors import AnthropoError, InputError
from anthropo.face.fine import refine
from anthropo.face.gate import eye_openings
from anthropo.measurement import anatomy, find_scale, parse_scale
from anthropo.measurement.landmark_file import Landmarks, moved
from anthropo.measurement.scale import ScaleError

pytestmark = pytest.mark.filterwarnings("error")

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Draw = Callable[[Image.Image, Floats], None]
SCALES = ("iris", "iris=11.7", "ipd=62", "sticker=8", "mm-per-px=1.4")
EYES = (slice(36, 42), slice(42, 48))


@pytest.fixture(scope="module")
def portrait(astronaut: Pixels) -> Pixels:
    """The face, three times as large."""
    part = Image.fromarray(astronaut[:260, 130:340])
    return np.asarray(part.resize((part.width * 3, part.height * 3), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def face(portrait: Pixels) -> anthropo.Face:
    return anthropo.read_face(anthropo.Photo.from_array(portrait))


def box(eye: Floats, margin: float = 12) -> tuple[int, int, int, int]:
    low, high = eye.min(0) - margin, eye.max(0) + margin
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def black(image: Image.Image, eye: Floats) -> None:
    ImageDraw.Draw(image).rectangle(box(eye), fill=(0, 0, 0))


def white(image: Image.Image, eye: Floats) -> None:
    ImageDraw.Draw(image).rectangle(box(eye), fill=(255, 255, 255))


def no_iris(image: Image.Image, eye: Floats) -> None:
    image.paste(image.crop(box(eye)).filter(ImageFilter.GaussianBlur(20)), box(eye)[:2])


def closed(image: Image.Image, eye: Floats) -> None:
    """The cheek's skin in place of the eye, and the line of the lids."""
    left, top, right, bottom = box(eye)
    image.paste(image.crop((left, bottom + 24, right, 2 * bottom - top + 24)), (left, top))
    ImageDraw.Draw(image).line([tuple(eye[0]), tuple(eye[3])], fill=(60, 40, 30), width=3)


def everything(picture: Pixels, face: anthropo.Face) -> dict[str, str]:
    """Measure at every scale; why those that cannot be had cannot."""
    photo = anthropo.Photo.from_array(np.ascontiguousarray(picture))
    fine = refine(photo, face)
    why = {}
    for text in SCALES:
        scale = None
        try:
            scale = find_scale(parse_scale(text), photo, face.landmarks, face.samples)
        except ScaleError as error:
            why[text] = str(error)
        for one in (face, fine):
            for m in anthropo.measure_face(one, photo, scale=scale, force=True):
                assert np.isfinite(m.value) or m.reason
    return why


@pytest.mark.parametrize("draw", [black, white, no_iris, closed])
@pytest.mark.parametrize("both", [True, False])
def test_eyes_without_an_iris(portrait: Pixels, face: anthropo.Face, draw: Draw, both: bool) -> None:
    image = Image.fromarray(portrait)
    for eye in EYES if both else EYES[:1]:
        draw(image, face.landmarks[eye])
    why = everything(np.asarray(image), face)
    assert not both or "no iris can be measured" in why["iris"]
    assert "no sticker" in why["sticker=8"]
    assert "ipd=62" not in why


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_one_colour(portrait: Pixels, face: anthropo.Face, level: int) -> None:
    why = everything(np.full_like(portrait, level), face)
    assert set(why) >= {"iris", "iris=11.7", "sticker=8"}


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.5, 0.8])
def test_a_sticker_that_the_border_cuts(portrait: Pixels, face: anthropo.Face, cut: float) -> None:
    """Whole it is found, cut it is not: half a sticker has no diameter."""
    radius = 8 * float(np.hypot(*(face.landmarks[45] - face.landmarks[36]))) / 88 / 2
    x, y = 277.0, 230.0  # on the forehead
    image = Image.fromarray(portrait)
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=(30, 90, 200))
    top = round(y - radius + 2 * radius * cut) if cut else 0
    photo = anthropo.Photo.from_array(np.ascontiguousarray(np.asarray(image)[top:]))
    request, points = parse_scale("sticker=8"), face.landmarks - [0, top]
    if not cut:
        assert find_scale(request, photo, points).shape
        return
    with pytest.raises(ScaleError, match="no sticker of 8 mm found"):
        find_scale(request, photo, points)


def by_hand(face: anthropo.Face, points: Floats) -> anthropo.Face:
    """The face with the first 68 points where somebody placed them."""
    found = np.concatenate(anatomy.place(face))
    changed = (points != face.landmarks).any(1)
    there = found.copy()
    there[:68][changed] = points[changed]
    return moved(face, face, Landmarks("hand.json", "", "", "", there, found))


def test_an_eye_whose_points_lie_on_one_place(portrait: Pixels, face: anthropo.Face) -> None:
    points = face.landmarks.copy()
    points[42:48] = points[45]
    assert eye_openings(points).min() == 0
    one = dataclasses.replace(face, landmarks=points, samples=np.repeat(points[None], 8, 0))
    everything(portrait, one)


def test_outer_corners_moved_together_are_refused(face: anthropo.Face) -> None:
    points = face.landmarks.copy()
    points[45] = points[36] + 1
    with pytest.raises(
        InputError, match=r"hand\.json: the outer corners of the eyes, p36 and p45, are moved"
    ):
        by_hand(face, points)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_points_placed_anywhere(portrait: Pixels, face: anthropo.Face, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = face.landmarks.copy()
    some = rng.random(68) < rng.uniform(0, 1)
    points[some] = rng.uniform(0, 629, (int(some.sum()), 2)).round(int(rng.integers(0, 3)))
    try:
        one = by_hand(face, points)
    except AnthropoError:
        return
    everything(portrait, dataclasses.replace(one, samples=np.repeat(one.landmarks[None], 8, 0)))
