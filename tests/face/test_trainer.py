"""The engine's trainer of shape predictors, on pictures of noise; `make sanitize` runs these as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anthropo.face import _engine


def faces(n: int, points: int = 5, seed: int = 0) -> dict[str, Any]:
    """So many samples on three pictures, some of whose points are unknown, some partly beyond the picture."""
    random = np.random.default_rng(seed)
    mean = random.uniform(0.1, 0.9, (points, 2))
    turn = np.array([[30.0, 4, 5], [-4, 30, 9]]) + random.normal(0, 3, (n, 2, 3))
    return {
        "chips": [random.integers(0, 256, (48, 40 + i), dtype=np.uint8) for i in range(3)],
        "of_chip": random.integers(3, size=n),
        "maps": turn,
        "targets": mean + random.normal(0, 0.1, (n, points, 2)),
        "known": (random.random((n, points)) < 0.9).astype(np.uint8),
        "starts": mean + random.normal(0, 0.05, (n, points, 2)),
        "mean": mean,
        "cascades": 2, "trees": 6, "depth": 3, "features": 20, "candidates": 5, "nu": 0.1, "lambda_": 0.1,
        "padding": 0.1, "seed": 3, "threads": 1, "report": lambda done, total: None,
    }  # fmt: skip


def test_threads_do_not_matter_to_the_result() -> None:
    given = faces(2500)
    one = _engine.train_shape_predictor(**given)
    assert np.array_equal(one, _engine.train_shape_predictor(**{**given, "threads": 3}))
    assert not np.array_equal(one, _engine.train_shape_predictor(**{**given, "seed": 4}))
    predictor = _engine.ShapePredictor(one)
    assert predictor.points == 5
    np.testing.assert_allclose(predictor.mean_shape, given["mean"], atol=1e-6)
    dat = np.frombuffer(_engine.unpack_shape_predictor(one), np.uint8)
    assert np.array_equal(_engine.pack_shape_predictor(dat), one)


@pytest.mark.parametrize("depth", [1, 10])
def test_more_leaves_than_faces(depth: int) -> None:
    block = _engine.train_shape_predictor(**{**faces(3), "known": np.ones((3, 5), np.uint8), "depth": depth})
    points = _engine.ShapePredictor(block).predict(np.zeros((30, 30), np.uint8), np.array([[2.0, 2, 20, 20]]))
    assert np.isfinite(points).all()


def test_progress_is_told_and_can_end_it() -> None:
    told: list[tuple[int, int]] = []
    _engine.train_shape_predictor(**{**faces(50), "report": lambda done, total: told.append((done, total))})
    assert told[-1] == (12, 12)

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        _engine.train_shape_predictor(**{**faces(50), "threads": 4, "report": stop})


@pytest.mark.parametrize("damage", [0, 8, 63, 64, 500, -1])
def test_a_damaged_block_is_not_unpacked(damage: int) -> None:
    block = np.array(_engine.train_shape_predictor(**faces(20)))
    block[damage] ^= 0x40
    with pytest.raises(ValueError, match="not a packed shape predictor"):
        _engine.unpack_shape_predictor(block)
    with pytest.raises(ValueError, match="not a packed shape predictor"):
        _engine.unpack_shape_predictor(block[:40])


@pytest.mark.parametrize("size", [(1, 1), (7, 300)])
def test_chips_of_odd_places(size: tuple[int, int]) -> None:
    picture = np.full(size, 9, np.uint8)
    for unit in ([[1e6, 0, -1e6], [0, 1e6, 0]], [[1e-6, 0, 0], [0, 1e-6, 0]], [[0, 0, 0], [0, 0, 0]]):
        assert _engine.chip(picture, np.array(unit), 40.0, 0.4, 160).shape == (72, 72)
    for box, pad, contrast in ((4.0, 0.4, 160), (9000.0, 0.4, 160), (40.0, -1, 160), (40.0, 0.4, 300)):
        with pytest.raises(ValueError, match=r"are possible|must be 0 to 255"):
            _engine.chip(picture, np.eye(2, 3), box, pad, contrast)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"depth": 11}, "1 to 10 levels"),
        ({"features": 5000}, "2 to 4096 pixels"),
        ({"nu": 0.0}, "nu must be above 0"),
        ({"nu": float("nan")}, "nu must be above 0"),
        ({"trees": 10_000, "cascades": 100, "depth": 10}, "half a GiB"),
        ({"of_chip": np.array([1])}, "indices of chips"),
        ({"maps": np.zeros((2, 2, 3))}, "of the same faces"),
        ({"targets": np.full((1, 3, 2), np.nan)}, "finite"),
        ({"targets": np.full((1, 3, 2), 1e4)}, "within 100 boxes"),
        ({"known": np.zeros((1, 3), np.uint8)}, "known in no face"),
        ({"chips": [np.zeros((4, 4, 3), np.uint8)]}, r"shape \(H, W\)"),
        ({"mean": np.zeros((1, 2))}, "2 to 2047 points"),
        ({"mean": np.zeros((3, 2))}, "spread out"),
    ],
)
def test_the_engine_refuses_what_does_not_fit(change: dict[str, object], sentence: str) -> None:
    given: dict[str, object] = {
        "chips": [np.zeros((8, 8), np.uint8)],
        "of_chip": np.array([0]),
        "maps": np.array([[[4.0, 0, 2], [0, 4, 2]]]),
        "targets": np.array([[(0.2, 0.2), (0.8, 0.2), (0.5, 0.9)]]),
        "known": np.ones((1, 3), np.uint8),
        "starts": np.array([[(0.2, 0.2), (0.8, 0.2), (0.5, 0.8)]]),
        "mean": np.array([(0.2, 0.2), (0.8, 0.2), (0.5, 0.8)]),
        "cascades": 2, "trees": 3, "depth": 2, "features": 9, "candidates": 4, "nu": 0.1, "lambda_": 0.1,
        "padding": 0.1, "seed": 0, "threads": 1, "report": lambda done, total: None,
    }  # fmt: skip
    assert _engine.ShapePredictor(_engine.train_shape_predictor(**given)).points == 3  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=sentence):
        _engine.train_shape_predictor(**{**given, **change})  # type: ignore[arg-type]
