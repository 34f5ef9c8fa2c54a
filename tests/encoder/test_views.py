from __future__ import annotations

import numpy as np
import pytest
from conftest import Pixels

from anthropo.encoder.regions import FILL, crops, frame_to, middle_square
from anthropo.encoder.views import View
from anthropo.face.landmarker import Face, read_face
from anthropo.photo import Photo


@pytest.fixture(scope="module")
def seen(astronaut: Pixels) -> tuple[Photo, Face]:
    photo = Photo.from_array(astronaut)
    return photo, read_face(photo, jitter=2)


def test_in_place_is_what_the_hybrid_encodes(seen: tuple[Photo, Face]) -> None:
    photo, face = seen
    view = View(("face", "eyes", "lower"), 96, "mean-face", "in-place")
    np.testing.assert_array_equal(view.cut(photo, view.frame(face)), crops(photo, face, view.names, 96))


def test_scaled_regions_fill_the_picture(seen: tuple[Photo, Face]) -> None:
    photo, face = seen
    names = ("face", "upper", "middle", "lower")
    in_place = View(names, 96, "mean-face", "in-place").cut(photo, frame_to(face.landmarks))
    scaled = View(names, 96, "mean-face", "scaled").cut(photo, frame_to(face.landmarks))
    painted = (in_place == FILL).all(-1).mean((1, 2))
    assert painted[0] == 0
    assert (painted[1:] > 0.3).all()
    assert ((scaled == FILL).all(-1).mean((1, 2)) < 0.01).all()
    np.testing.assert_array_equal(scaled[0], in_place[0])
    # the upper half's rows are those of the face, drawn out
    rows = np.linspace(0, (0.38 + 0.25) / 1.5 * 96 - 1, 96).round().astype(int)
    drawn = scaled[0][rows].astype(float)
    assert np.corrcoef(drawn.ravel(), scaled[1].ravel())[0, 1] > 0.98


def test_the_eyes_and_lip_are_where_they_belong(seen: tuple[Photo, Face]) -> None:
    """A dot painted on either landmark comes out 25 of 100 pixels apart around the middle."""
    photo, face = seen
    view = View(("face",), 100, "two-points", "scaled")
    places = []
    for points in (range(36, 48), (51, 62)):
        x, y = face.landmarks[list(points)].mean(0).round().astype(int)
        pixels = np.zeros_like(photo.pixels)
        pixels[y - 2 : y + 3, x - 2 : x + 3] = 255
        chip = view.cut(Photo.from_array(pixels), view.frame(face))[0, :, :, 0].astype(float)
        total = chip.sum()
        places.append(((chip.sum(0) @ np.arange(100)) / total, (chip.sum(1) @ np.arange(100)) / total))
    (x0, y0), (x1, y1) = places
    assert np.hypot(x1 - x0, y1 - y0) == pytest.approx(25, abs=0.7)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((49.5, 49.5), abs=0.7)


def test_turning_the_photo_turns_nothing(astronaut: Pixels) -> None:
    from PIL import Image

    turned = np.asarray(Image.fromarray(astronaut).rotate(8, Image.Resampling.BICUBIC))
    view = View(("face",), 64, "two-points", "scaled")
    chips = []
    for pixels in (astronaut, turned):
        photo = Photo.from_array(np.ascontiguousarray(pixels))
        chips.append(view.cut(photo, view.frame(read_face(photo, jitter=8)))[0].astype(float))
    inner = [c[16:48, 16:48].ravel() for c in chips]
    assert np.corrcoef(*inner)[0, 1] > 0.97


def test_a_photo_without_a_face_is_its_middle(astronaut: Pixels) -> None:
    wide = Photo.from_array(np.ascontiguousarray(astronaut[:200]))
    view = View(("image",), 50, "mean-face", "in-place")
    assert not view.needs_face
    np.testing.assert_array_equal(view.cut(wide, None)[0], middle_square(wide, 50))
