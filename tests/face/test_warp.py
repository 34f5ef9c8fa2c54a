"""Piecewise-affine warps: what must hold for every face and shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anthropo.face.fine import fine_model
from anthropo.face.frame import similarity
from anthropo.face.landmarker import read_face
from anthropo.face.scheme import MIRROR
from anthropo.face.warp import Mesh
from anthropo.photo import Photo

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

SIDE = 96


def face_shape(seed: int, spread: float = 1.5) -> Floats:
    """A face's 68 points in a picture of 96 pixels, each moved a little."""
    mean = fine_model().frame
    moved = np.random.default_rng(seed).normal(0, spread, (68, 2))
    return np.asarray((mean - mean.mean(0)) * 0.13 + (SIDE / 2, SIDE * 0.55) + moved)


def turned(points: Floats, angle: float, scale: float, shift: tuple[float, float]) -> Floats:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + shift)


def noise(seed: int = 0, size: int = SIDE) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


seeds = st.integers(0, 10_000)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_a_face_warped_to_its_own_shape_stays_as_it_is(seed: int) -> None:
    shape = face_shape(seed)
    picture = noise(seed)
    np.testing.assert_array_equal(Mesh(shape, (SIDE, SIDE)).warp(picture, shape), picture)


@given(seeds, st.integers(-20, 20), st.integers(-20, 20))
@settings(max_examples=10, deadline=None)
def test_a_shifted_face_gives_the_same_picture(seed: int, dx: int, dy: int) -> None:
    points = face_shape(seed + 1) + 40
    mesh = Mesh(face_shape(seed), (SIDE, SIDE))
    picture = noise(seed, 180)
    moved = np.roll(picture, (dy, dx), (0, 1))
    reached = mesh.within(points, (180, 180)) & mesh.within(points + np.array([dx, dy]), (180, 180))
    whole = mesh.warp(picture, points).astype(int)
    assert np.abs(whole - mesh.warp(moved, points + np.array([dx, dy])))[reached].max() <= 1
    assert reached.mean() > 0.9


@given(seeds, st.floats(-3, 3), st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500))
@settings(max_examples=15, deadline=None)
def test_places_follow_a_turned_scaled_and_moved_face(
    seed: int, angle: float, scale: float, dx: float, dy: float
) -> None:
    points = face_shape(seed + 1)
    mesh = Mesh(face_shape(seed), (48, 64))
    moved = mesh.places(turned(points, angle, scale, (dx, dy)))
    np.testing.assert_allclose(moved, turned(mesh.places(points), angle, scale, (dx, dy)), atol=1e-8)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_a_mirrored_face_gives_the_mirrored_picture(seed: int) -> None:
    shape, points = face_shape(seed), face_shape(seed + 1)
    flip, over = np.array([-1.0, 1.0]), np.array([SIDE - 1.0, 0.0])
    there = Mesh(shape, (SIDE, SIDE)).places(points)
    back = Mesh(shape[MIRROR] * flip + over, (SIDE, SIDE)).places(points[MIRROR] * flip + over)
    np.testing.assert_allclose(back[:, ::-1] * flip + over, there, atol=1e-6)


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_every_landmark_lands_on_its_target(seed: int) -> None:
    shape = np.rint(face_shape(seed))  # whole pixels, so that one can look there
    _, own, count = np.unique(shape, axis=0, return_index=True, return_counts=True)
    own = own[count == 1]  # of landmarks that share one, only one can be there
    points = face_shape(seed + 1)
    column, row = shape[own].astype(int).T
    inside = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    found = Mesh(shape, (SIDE, SIDE)).places(points)[row[inside], column[inside]]
    np.testing.assert_allclose(found, points[own][inside], atol=1e-9)
    assert inside.sum() > 50


def test_far_from_the_face_the_picture_is_only_turned_scaled_and_moved() -> None:
    shape = 0.4 * face_shape(1) + 80
    points = turned(face_shape(2), 0.2, 1.7, (30, 10))
    there = similarity(shape, points)
    rows, columns = np.mgrid[0:200, 0:200]
    grid = np.stack([columns, rows], -1) @ there[:, :2].T + there[:, 2]
    off = np.hypot(*np.moveaxis(Mesh(shape, (200, 200)).places(points) - grid, -1, 0))
    middle = (shape.min(0) + shape.max(0)) / 2
    away = (np.abs(np.stack([columns, rows], -1) - middle) > 0.85 * np.ptp(shape, axis=0)).any(-1)
    assert off[away].max() < 1e-9
    assert off[~away].max() > 1


def test_neighbouring_pixels_come_from_neighbouring_places() -> None:
    mesh = Mesh(face_shape(3, 0.5), (SIDE, SIDE))
    places = mesh.places(turned(face_shape(4, 0.5), 0.1, 2, (5, 5)))
    steps = [np.hypot(*np.moveaxis(np.diff(places, axis=axis), -1, 0)).max() for axis in (0, 1)]
    assert max(steps) < 8  # 2 where nothing is distorted; no tear


def test_fine_texture_does_not_alias() -> None:
    checked = np.indices((4 * SIDE, 4 * SIDE)).sum(0) % 2 * 255
    picture = np.repeat(checked[..., None], 3, -1).astype(np.uint8)
    shape = face_shape(5)
    out = Mesh(shape, (SIDE, SIDE)).warp(picture, 4 * shape + 1.5)
    assert np.abs(out.astype(int) - 128).max() <= 1


def test_reduced_pictures_keep_their_place() -> None:
    """Where a picture's blocks are averaged, half a pixel is soon lost."""
    row, column = np.mgrid[0 : 3 * SIDE, 0 : 3 * SIDE]
    slope = np.stack([column / 2, row / 2, (row + column) / 4], -1) * 255 / (1.5 * SIDE)
    shape = face_shape(6)
    points = turned(shape, 0.0, 2.6, (7.3, 9.1))
    mesh = Mesh(shape, (SIDE, SIDE))
    out = mesh.warp(np.rint(slope).astype(np.uint8), points)
    x, y = np.moveaxis(mesh.places(points), -1, 0)
    expected = np.stack([x / 2, y / 2, (x + y) / 4], -1) * 255 / (1.5 * SIDE)
    assert mesh.within(points, (3 * SIDE, 3 * SIDE)).all()
    assert np.abs(out - expected)[2:-2, 2:-2].max() < 1.2  # rounding, twice


def test_beyond_the_picture_its_border_is_repeated_and_told() -> None:
    shape = face_shape(7)
    picture = np.full((SIDE, SIDE, 3), 90, dtype=np.uint8)
    mesh = Mesh(shape, (SIDE, SIDE))
    points = shape + np.array([SIDE / 2, 0])
    assert (mesh.warp(picture, points) == 90).all()
    reached = mesh.within(points, (SIDE, SIDE))
    assert reached[:, : SIDE // 2].all()
    assert not reached[:, SIDE // 2 + 1 :].any()


def test_landmarks_found_again_in_a_warped_photograph_lie_on_the_shape(
    astronaut: Pixels, canvas: Callable[..., Pixels]
) -> None:
    face = read_face(Photo.from_array(astronaut))
    mean = fine_model().frame
    shape = (mean - mean.mean(0)) * 0.6 + (256, 280)
    warped = Mesh(shape, (512, 512)).warp(astronaut, face.landmarks)
    found = read_face(Photo.from_array(warped)).landmarks
    unit = np.linalg.norm(shape[36] - shape[45])
    before = np.hypot(*(_aligned(face.landmarks, shape) - shape)[17:48].T) / unit
    after = np.hypot(*(found - shape)[17:48].T) / unit  # not the mouth, which smiles
    assert after.mean() < 0.03  # the predictor's own error is 0.025
    assert after.mean() < 0.5 * before.mean()


def _aligned(points: Floats, shape: Floats) -> Floats:
    there = similarity(points, shape)
    return np.asarray(points @ there[:, :2].T + there[:, 2])


@pytest.mark.parametrize(
    ("shape", "size", "sentence"),
    [
        (np.zeros((4, 3)), (10, 10), "finite points"),
        (np.full((4, 2), np.nan), (10, 10), "finite points"),
        (face_shape(0), (0, 10), "needs pixels"),
        (np.column_stack([np.arange(4.0), np.arange(4.0)]), (10, 10), "one line"),
    ],
)
def test_shapes_that_cannot_be_warped_to_are_refused(
    shape: Floats, size: tuple[int, int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Mesh(shape, size)


def test_a_face_of_other_points_is_refused() -> None:
    with pytest.raises(ValueError, match="the shape has"):
        Mesh(face_shape(0), (10, 10)).places(np.zeros((5, 2)))
