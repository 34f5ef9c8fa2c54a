"""The compiled engine against dlib's own Python module, and against nonsense."""

from __future__ import annotations

import threading

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anthropo.face import _engine
from anthropo.face.weights import face_detector, landmark_model, locate

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def oracle() -> tuple[object, object]:
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(locate("landmarks-68")))


def variants(astronaut: Pixels) -> list[Pixels]:
    """The astronaut as taken, enlarged, mirrored, rolled, dark, grey and against the border."""
    image = Image.fromarray(astronaut)
    return [
        astronaut,
        np.asarray(image.crop((120, 20, 340, 240)).resize((500, 500), Image.Resampling.BICUBIC)),
        np.ascontiguousarray(astronaut[:, ::-1]),
        np.asarray(image.rotate(12, Image.Resampling.BICUBIC)),
        (astronaut // 3).astype(np.uint8),
        np.asarray(image.convert("L")),
        np.asarray(image.crop((185, 60, 400, 300))),
    ]


def test_detections_equal_dlibs(astronaut: Pixels, oracle: tuple) -> None:
    detector, _ = oracle
    found = 0
    for pixels in variants(astronaut):
        boxes, scores, views = detector.run(pixels, 0, -0.2)
        expected = [
            (b.left(), b.top(), b.right(), b.bottom(), s, v)
            for b, s, v in zip(boxes, scores, views, strict=True)
        ]
        got = face_detector().detect(pixels, -0.2)
        np.testing.assert_allclose(got, np.array(expected).reshape(-1, 6), atol=1e-4)
        found += len(expected)
    assert found >= 6


def test_landmarks_rounded_equal_dlibs_for_every_point(astronaut: Pixels, oracle: tuple) -> None:
    _, predictor = oracle
    ours = landmark_model().predictor
    boxes = [(178, 76, 281, 178), (170, 80, 270, 180), (0, 0, 120, 120), (400, 400, 600, 600)]
    for pixels in variants(astronaut):
        got = ours.predict(pixels, np.array(boxes, dtype=float))
        for box, points in zip(boxes, got, strict=True):
            parts = predictor(pixels, dlib.rectangle(*box)).parts()
            expected = [(p.x, p.y) for p in parts]
            assert np.array_equal(np.floor(points + 0.5), expected)


def test_landmarks_are_sub_pixel(astronaut: Pixels) -> None:
    points = landmark_model().predictor.predict(astronaut, np.array([[178.0, 76, 281, 178]]))
    assert np.abs(points - np.round(points)).mean() > 0.1


def test_boxes_do_not_influence_each_other(astronaut: Pixels) -> None:
    predictor = landmark_model().predictor
    boxes = 178 + np.random.default_rng(0).normal(0, 4, (19, 4)) + [0, -100, 100, 0]
    together = predictor.predict(astronaut, boxes)
    for box, points in zip(boxes, together, strict=True):
        assert np.array_equal(predictor.predict(astronaut, box[None])[0], points)


def test_one_engine_serves_many_threads(astronaut: Pixels) -> None:
    predictor, detector = landmark_model().predictor, face_detector()
    box = np.array([[178.0, 76, 281, 178]])
    expected = predictor.predict(astronaut, box), detector.detect(astronaut)
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(5):
            same = np.array_equal(predictor.predict(astronaut, box), expected[0])
            if not (same and np.array_equal(detector.detect(astronaut), expected[1])):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_warp_identity_and_block_means(astronaut: Pixels) -> None:
    grey = _engine.shrink(astronaut, 1)
    assert np.array_equal(grey, (astronaut.astype(int).sum(2) // 3).astype(np.uint8))
    same = _engine.warp(astronaut, np.array([[1.0, 0, 0], [0, 1, 0]]), 512, 512)
    assert np.array_equal(same, grey)
    half = _engine.shrink(grey, 2)
    blocks = grey.reshape(256, 2, 256, 2).mean((1, 3))
    assert np.abs(half - blocks).max() <= 0.5
    scaled = _engine.warp(grey, np.array([[2.0, 0, 0.5], [0, 2, 0.5]]), 256, 256)
    assert np.abs(scaled.astype(int) - half).max() <= 1


@pytest.mark.parametrize("factor", [4096, 4097, 5000])
def test_blocks_of_any_size_are_averaged_exactly(factor: int) -> None:
    bright = np.random.default_rng(factor).integers(200, 256, (factor, factor), dtype=np.uint8)
    assert _engine.shrink(bright, factor) == np.floor(bright.mean() + 0.5)
    assert _engine.shrink(np.full((factor, factor), 255, np.uint8), factor) == 255
    with pytest.raises(ValueError, match="smaller than one block"):
        _engine.shrink(bright, 2**16)


def test_warp_moves_a_gradient_by_exactly_what_it_is_told() -> None:
    ramp = np.tile(np.arange(0, 240, 2, dtype=np.uint8), (60, 1))  # value = 2 x
    moved = _engine.warp(ramp, np.array([[1.0, 0, 10.25], [0, 1, 3]]), 20, 50)
    np.testing.assert_allclose(moved[5], 2 * (np.arange(50) + 10.25), atol=0.51)


def test_warp_is_black_outside(astronaut: Pixels) -> None:
    far = _engine.warp(astronaut, np.array([[1.0, 0, 5000], [0, 1, 0]]), 9, 9)
    assert not far.any()
    edge = _engine.warp(np.full((10, 10), 200, np.uint8), np.array([[1.0, 0, -5], [0, 1, 0]]), 10, 10)
    assert not edge[:, :5].any()
    assert (edge[:, 5:] == 200).all()


def test_nonsense_is_refused(astronaut: Pixels) -> None:
    predictor = landmark_model().predictor
    with pytest.raises(ValueError, match="uint8 array of shape"):
        predictor.predict(np.zeros((4, 4, 4), np.uint8), np.zeros((1, 4)))
    with pytest.raises(TypeError):
        predictor.predict(astronaut.astype(float), np.zeros((1, 4)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape \\(N, 4\\)"):
        predictor.predict(astronaut, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="finite"):
        predictor.predict(astronaut, np.full((1, 4), np.nan))
    with pytest.raises(ValueError, match="no pixels"):
        face_detector().detect(np.zeros((0, 5), np.uint8))
    with pytest.raises(ValueError, match="finite"):
        _engine.warp(astronaut, np.full((2, 3), np.inf), 5, 5)
    assert len(face_detector().detect(np.zeros((1, 1), np.uint8))) == 0


def test_networks_and_jitter_of_other_shapes_are_refused(astronaut: Pixels) -> None:
    weights = [
        np.zeros((3, 3, 1, 2), np.float32),
        np.zeros((32, 2), np.float32),
        np.zeros((2, 4), np.float32),
    ]
    biases = [np.zeros(2, np.float32), np.zeros(2, np.float32), np.zeros(4, np.float32)]
    assert _engine.PatchNetwork(weights, biases, 8).points == 2
    for broken in ([weights[0], weights[1][:-1], weights[2]], weights[:2], [weights[0][:2], *weights[1:]]):
        with pytest.raises(ValueError, match="not the weights of a patch network"):
            _engine.PatchNetwork(broken, biases, 8)
    with pytest.raises(ValueError, match="finite"):
        _engine.PatchNetwork([weights[0] + np.float32(np.nan), *weights[1:]], biases, 8)
    predictor = landmark_model().predictor
    chip = {"first_box": 128, "chip_box": 208, "pad": 0.4, "contrast": 160}
    box, jitter, mirror = np.array([178.0, 76, 281, 178]), np.array([[0.0, 0, 1]]), np.arange(68)
    for bad, message in (
        ((box[:3], jitter, mirror), "box must have shape"),
        ((box, jitter[:, :2], mirror), "jitter must have shape"),
        ((box, jitter[:0], mirror), "jitter needs a row"),
        ((box, jitter, mirror[:5]), "mirror must have shape"),
        ((box, jitter, mirror + 1), "mirror must hold indices"),
        ((box * np.inf, jitter, mirror), "box must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.align(astronaut, *bad, **chip)
    with pytest.raises(ValueError, match="contrast"):
        predictor.align(astronaut, box, jitter, mirror, **{**chip, "contrast": 300})
