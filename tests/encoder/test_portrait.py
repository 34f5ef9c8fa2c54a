from __future__ import annotations

import numpy as np

from anthropo.encoder.portrait import PORTRAIT, place, portrait, reshaped
from anthropo.encoder.regions import FILL
from anthropo.face.frame import in_face_frame
from anthropo.face.landmarker import Face, read_face
from anthropo.face.shape import shapes
from anthropo.photo import Photo
from conftest import Pixels


def seen(pixels: Pixels) -> tuple[Photo, Face]:
    photo = Photo.from_array(pixels)
    return photo, read_face(photo)


def test_landmarks_come_to_lie_where_the_mean_face_has_them(astronaut: Pixels) -> None:
    photo, face = seen(astronaut)
    pixels, shape = portrait(photo, face)
    assert pixels.shape == (*PORTRAIT, 3)
    np.testing.assert_allclose(shape, in_face_frame(face.landmarks))
    # found again in the picture of the mean shape, three times as large so that they are found well
    large = Photo.from_array(np.ascontiguousarray(np.kron(pixels, np.ones((3, 3, 1), dtype=np.uint8))))
    again = in_face_frame(read_face(large).landmarks)
    inner = slice(27, 68)
    assert np.abs(again - shapes()[0])[inner].mean() < 0.6 * np.abs(shape - shapes()[0])[inner].mean()


def test_a_persons_own_shape_brings_the_face_back(astronaut: Pixels) -> None:
    photo, face = seen(astronaut)
    pixels, shape = portrait(photo, face)
    back = reshaped(pixels, shape)
    large = Photo.from_array(np.ascontiguousarray(np.kron(back, np.ones((3, 3, 1), dtype=np.uint8))))
    again = in_face_frame(read_face(large).landmarks)
    assert np.abs(again - shape)[27:].mean() < 0.02


def test_what_lies_beyond_the_photo_has_one_colour(astronaut: Pixels) -> None:
    left, top = 165, 60
    photo, face = seen(np.ascontiguousarray(astronaut[top:230, left:290]))
    pixels, _ = portrait(photo, face)
    assert (pixels[0, 0] == FILL).all()
    assert (pixels[0, -1] == FILL).all()
    x, y = place(shapes()[0])[30].round().astype(int)
    assert (pixels[y, x] != FILL).any()


def test_the_face_frame_forgets_size_place_and_roll() -> None:
    points = shapes()[0]
    turn = np.deg2rad(25)
    turned = points @ np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))]) * 140 + (
        300,
        200,
    )
    np.testing.assert_allclose(in_face_frame(turned), in_face_frame(points), atol=1e-12)
    np.testing.assert_allclose(in_face_frame(points)[[36, 45]], [(-0.5, 0), (0.5, 0)], atol=1e-12)
