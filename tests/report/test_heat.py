"""Heatmaps as pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from anthropo.encoder.regions import FACE_WINDOW, frame_to
from anthropo.face.landmarker import Face, read_face
from anthropo.photo import Photo
from anthropo.report import heat
from anthropo.report.rendering import jpeg

SIZE = 150


@pytest.fixture(scope="module")
def photo(astronaut: np.ndarray) -> Photo:
    return Photo.from_array(astronaut)


@pytest.fixture(scope="module")
def face(photo: Photo) -> Face:
    return read_face(photo)


def spot(x: float, y: float, value: float = 1.0, size: int = SIZE) -> np.ndarray:
    """A map with a round spot at a place of the regions' frame."""
    left, top, side = FACE_WINDOW
    at = (np.arange(size) + 0.5) / size * side
    apart = (left + at[None, :] - x) ** 2 + (top + at[:, None] - y) ** 2
    return value * np.exp(-apart / (2 * 0.03**2))


def coloured(picture: Image.Image, plain: Image.Image) -> np.ndarray:
    """How much each pixel turned from blue (below 0) to red."""
    apart = np.asarray(picture, dtype=float) - np.asarray(plain, dtype=float)
    return apart[..., 0] - apart[..., 2]


def middle(change: np.ndarray) -> np.ndarray:
    """Centre (x, y) of what is red."""
    weight = np.where(change > 0.5 * change.max(), change, 0)
    y, x = np.mgrid[: change.shape[0], : change.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


# x and y of dlib's mean face: outer canthus, inner canthus of the other eye, mouth corner
@pytest.mark.parametrize(("point", "x", "y"), [(36, 0.121737, 0.216423), (42, 0.645647, 0.231733)])
def test_template_shows_a_place_at_its_landmark(point: int, x: float, y: float) -> None:
    plain, points = heat.template(420)
    values = spot(x, y)
    drawn = heat.over(plain, points, values, heat.common_limit([values]))
    # the mean faces of dlib and of the template differ a little
    assert np.hypot(*(middle(coloured(drawn, plain)) - points[point])) < 12


def test_photo_shows_a_place_where_it_is(photo: Photo, face: Face) -> None:
    values = spot(0.3, 0.6)
    limit = heat.common_limit([values])
    drawn = heat.overlay(values, photo, face, limit, 400)
    plain = heat.overlay(np.zeros((SIZE, SIZE)), photo, face, limit, 400)
    assert drawn.size == (400, 400)
    at = middle(coloured(drawn, plain))
    # back from the picture to the photo: the picture is a square around the map's, zoomed
    to = frame_to(face.landmarks)
    left, top, side = FACE_WINDOW
    corners = (
        np.array([(a, b) for a in (left, left + side) for b in (top, top + side)]) @ to[:, :2].T + to[:, 2]
    )
    reach = np.ptp(corners, axis=0).max() * 0.62
    there = corners.mean(0) - reach + (at + 0.5) / 400 * 2 * reach
    assert np.hypot(*(there - (to[:, :2] @ (0.3, 0.6) + to[:, 2]))) < 1.0  # photo pixels


def test_size_of_the_chip_does_not_matter(photo: Photo, face: Face) -> None:
    pictures = []
    for size in (150, 224):
        values = spot(0.5, 0.5, size=size)
        values /= values.sum()  # the same log-odds on more pixels
        pictures.append(np.asarray(heat.overlay(values, photo, face, 2.0, 300), dtype=float))
    assert np.abs(pictures[0] - pictures[1]).max() < 12
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.3


def test_red_supports_and_blue_speaks_against() -> None:
    plain, points = heat.template(300)
    for sign in (1, -1):
        values = spot(0.49, 0.4, sign)
        change = coloured(heat.over(plain, points, values, heat.common_limit([values])), plain)
        assert np.sign(change[np.unravel_index(np.abs(change).argmax(), change.shape)]) == sign


def test_nothing_is_drawn_of_nothing() -> None:
    plain, points = heat.template(200)
    drawn = heat.over(plain, points, np.zeros((SIZE, SIZE)), heat.common_limit([np.zeros((SIZE, SIZE))]))
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(plain))


def test_maps_beside_each_other_share_a_limit() -> None:
    weak, strong = spot(0.5, 0.5, 0.02), spot(0.5, 0.5, -1.0)
    limit = heat.common_limit([weak, strong])
    assert limit == pytest.approx(heat.common_limit([strong]))
    plain, points = heat.template(200)
    faint, full = (np.abs(coloured(heat.over(plain, points, v, limit), plain)).max() for v in (weak, strong))
    assert faint < 0.4 * full


def test_face_at_the_border_of_the_photo(astronaut: np.ndarray) -> None:
    photo = Photo.from_array(np.ascontiguousarray(astronaut[60:260, 165:330]))
    face = read_face(photo)
    drawn = np.asarray(heat.overlay(spot(0.5, 0.5), photo, face, 1.0, 300))
    assert drawn.shape == (300, 300, 3)
    # beyond the photo it is white, and the face keeps its place
    assert (drawn[:3] == 255).all()
    assert drawn.std() > 20


def test_upright_and_turned_photo_show_the_same_place(astronaut: np.ndarray) -> None:
    turned = Image.fromarray(astronaut).rotate(12, Image.Resampling.BICUBIC)
    photo = Photo.from_array(np.asarray(turned))
    face = read_face(photo)
    values = spot(0.49, 0.78)
    drawn = heat.overlay(values, photo, face, 1.0, 400)
    plain = heat.overlay(np.zeros_like(values), photo, face, 1.0, 400)
    to = frame_to(face.landmarks)
    corners = np.array([(a, b) for a in (-0.25, 1.25) for b in (-0.25, 1.25)]) @ to[:, :2].T + to[:, 2]
    reach = np.ptp(corners, axis=0).max() * 0.62
    there = corners.mean(0) - reach + (middle(coloured(drawn, plain)) + 0.5) / 400 * 2 * reach
    assert np.hypot(*(there - face.landmarks[48:68].mean(0))) < 4


def test_outline_of_a_part() -> None:
    plain, points = heat.template(300)
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[50:100, 60:90] = True
    drawn = np.asarray(heat.outlined(plain, points, mask))
    black = (drawn == 0).all(-1)
    assert black.any()
    rows, columns = np.flatnonzero(black.any(1)), np.flatnonzero(black.any(0))
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(50 / 30, rel=0.1)
    np.testing.assert_array_equal(np.asarray(heat.outlined(plain, points, mask & False)), np.asarray(plain))


def test_bar_runs_from_blue_to_red() -> None:
    bar = np.asarray(heat.bar(0.5, 300), dtype=float)
    line = bar[27]
    assert line[15, 2] > line[15, 0] + 50
    assert line[-15, 0] > line[-15, 2] + 50
    assert (line[150] > 240).all()


def test_jpeg_is_small_and_holds_no_metadata(photo: Photo, face: Face) -> None:
    data = jpeg(heat.overlay(spot(0.5, 0.5), photo, face, 1.0, 420))
    assert len(data) < 60_000
    read = Image.open(io.BytesIO(data))
    assert not read.getexif()
    assert read.size == (420, 420)
