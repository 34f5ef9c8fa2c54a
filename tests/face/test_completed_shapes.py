"""Where hidden landmarks lie as those that are seen tell, and which of two looks at a face is kept."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

import anthropo
from anthropo.face import landmarker
from anthropo.face.completion import Shapes
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.landmarker import Face
from anthropo.face.moving import with_cover
from anthropo.face.scheme import MIRROR
from anthropo.face.visibility import closer, cover_model, cover_of
from anthropo.face.weights import landmark_model
from anthropo.measurement.compute import measure_face
from anthropo.synthetic import occlude

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def shapes() -> Shapes:
    return cover_model().shapes


@pytest.fixture(scope="module")
def plain(astronaut: Pixels) -> Face:
    return anthropo.read_face(anthropo.Photo.from_array(astronaut))


def somebody(shapes: Shapes, seed: int) -> Floats:
    """A face that the components can make, as far from the mean as people are."""
    strength = np.random.default_rng(seed).normal(0, 1, len(shapes.components))
    return np.asarray(shapes.mean + (strength @ shapes.components).reshape(-1, 2))


@pytest.mark.parametrize("part", [slice(48, 68), slice(36, 42), slice(17, 27), slice(5, 12)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hidden_parts_follow_from_the_others(shapes: Shapes, part: slice, seed: int) -> None:
    face = somebody(shapes, seed)
    pushed, seen = face.copy(), np.ones(68)
    pushed[part] += (0.1, 0.25)
    seen[part] = 0
    there = shapes.completed(pushed, seen)
    assert np.hypot(*(there - face)[part].T).mean() < 0.07
    assert np.hypot(*(there - face).T)[seen > 0].mean() < 0.02


def test_what_is_astray_is_believed_less(shapes: Shapes) -> None:
    """One brow that is seen, and lies where no brow does, takes little else with it."""
    face = somebody(shapes, 3)
    wrong = face.copy()
    wrong[17:22] -= (0, 0.5)
    there = shapes.completed(wrong, np.ones(68))
    assert np.hypot(*(there - face)[17:22].T).mean() < 0.15
    assert np.hypot(*(there - face)[22:].T).mean() < 0.03


def test_a_mirrored_face_is_completed_mirrored(shapes: Shapes) -> None:
    face, seen = somebody(shapes, 4), np.ones(68)
    face[36:42] += (0.2, 0.1)
    seen[36:42] = 0.1
    there = shapes.completed(face, seen)
    mirrored = shapes.completed(face[MIRROR] * (-1.0, 1.0), seen[MIRROR])
    np.testing.assert_allclose(mirrored[MIRROR] * (-1.0, 1.0), there, atol=1e-4)


def test_without_anything_seen_it_is_the_mean_face(shapes: Shapes) -> None:
    np.testing.assert_allclose(shapes.completed(somebody(shapes, 5), np.zeros(68)), shapes.mean)


@pytest.mark.parametrize(
    ("kind", "seed", "hidden"), [("eye_patch", 4, slice(36, 42)), ("bar", 2, slice(36, 48))]
)
def test_landmarks_of_the_steadier_look_are_kept(
    astronaut: Pixels, plain: Face, kind: str, seed: int, hidden: slice
) -> None:
    """What hides an eye draws other landmarks to it; with that painted over they lie where they belong."""
    done = occlude(astronaut, plain.landmarks, kind, seed)
    photo, unit = anthropo.Photo.from_array(done.pixels), outer_canthal_distance(plain.landmarks)
    with patch.object(landmarker, "with_cover", lambda photo, face, *_: face):
        first = anthropo.read_face(photo)
    face = with_cover(photo, first, landmark_model())
    seen = ~done.hidden & (np.arange(68) >= 17)
    before, after = (
        np.hypot(*(one.landmarks - plain.landmarks)[seen].T).mean() / unit for one in (first, face)
    )
    assert after < 0.6 * before
    assert after < 0.01
    assert face.unsteadiness < first.unsteadiness
    assert face.hidden[hidden].all()
    assert not face.hidden[seen].any()
    checks = {check.name: check for check in face.gate}
    assert checks["landmark_spread"].value == face.unsteadiness
    assert checks["roll"].value == face.roll != first.roll
    places = face.cover.places  # type: ignore[union-attr]
    pushed, completed = (
        np.hypot(*(points - plain.landmarks)[hidden].T).mean() / unit for points in (first.landmarks, places)
    )
    assert completed < 0.04
    assert completed < 0.7 * pushed


@pytest.mark.parametrize("level", [0, 120, 255])
def test_a_bar_over_the_chin_alone_hides_the_chin(astronaut: Pixels, plain: Face, level: int) -> None:
    """It lies at the edge of the network's picture, where only the lower look knows it from a background."""
    pixels, unit = astronaut.copy(), outer_canthal_distance(plain.landmarks)
    x, y = plain.landmarks[8]
    top, wide = int(y - 0.2 * unit), int(0.6 * unit)
    pixels[top : top + int(0.36 * unit), int(x) - wide : int(x) + wide] = level
    face = anthropo.read_face(anthropo.Photo.from_array(pixels))
    assert face.hidden[7:10].all()
    assert not face.hidden[17:].any()
    values = {value.id: value for value in measure_face(face)}
    assert "chin" in values["face_height"].reason
    assert np.isnan(values["face_height"].value)
    assert np.isfinite(values["intercanthal_width"].value)


def test_where_the_neck_shows_nothing_below_the_chin_is_looked_at(astronaut: Pixels, plain: Face) -> None:
    """A neck as light as the cheeks or in the shade; a scarf calls for the lower look, and hides no face."""
    rows, columns = np.mgrid[: astronaut.shape[0], : astronaut.shape[1]]
    jaw = np.interp(columns, *plain.landmarks[4:13].T, left=np.inf, right=np.inf)
    below = (rows > jaw + 1) & (rows < plain.landmarks[8, 1] + 25)
    sides = plain.landmarks[[[2, 31], [14, 35]]].mean(1).astype(int)
    cheek = np.mean([astronaut[b - 2 : b + 3, a - 2 : a + 3].mean((0, 1)) for a, b in sides], axis=0)
    for colour, needed in ((cheek, False), (0.6 * cheek, False), ((30, 60, 160), True), ((0, 0, 0), True)):
        pixels = astronaut.copy()
        pixels[below] = colour
        cover = cover_of(anthropo.Photo.from_array(pixels), plain.landmarks)
        assert (cover.lower is not None) == needed, colour
        assert not (cover.of(plain.landmarks)[17:] < cover.threshold).any()


def test_a_second_look_is_laid_on_the_first(astronaut: Pixels, plain: Face) -> None:
    """Where it does not reach, the map stays; elsewhere it is the mean of both log-odds."""
    done = occlude(astronaut, plain.landmarks, "bar", 2)
    photo = anthropo.Photo.from_array(done.pixels)
    cover = cover_of(photo, plain.landmarks)
    both = closer(photo, cover, plain.landmarks)
    rim = int(0.15 * len(cover.seen) / 2) - 1
    np.testing.assert_array_equal(both.seen[:rim], cover.seen[:rim])
    np.testing.assert_array_equal(both.seen[:, -rim:], cover.seen[:, -rim:])
    assert np.abs(both.seen - cover.seen).max() > 0.1
    assert both.at(plain.landmarks[36:48]).max() < 0.1
    again = closer(photo, replace(cover, seen=np.full_like(cover.seen, 0.5)), plain.landmarks)
    odds = [1 / one.at(plain.landmarks[48:]) - 1 for one in (again, cover)]
    assert (odds[0] > odds[1]).mean() > 0.9  # half of a log-odds of nothing is nearer to nothing
