"""What of a face is seen: the network, its file, and the astronaut behind things that are drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import anthropo
from anthropo.errors import WeightsError
from anthropo.face import _engine
from anthropo.face.landmarker import Face
from anthropo.face.parts import hidden_words, named
from anthropo.face.scheme import MIRROR
from anthropo.face.visibility import EXTENT, Cover, cover_model, read_cover_model
from anthropo.face.weights import locate
from anthropo.measurement.compute import measure_face
from anthropo.synthetic import occlude

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
EYES, MOUTH = slice(36, 48), slice(48, 68)


def random_network(widths: Sequence[int], up: Sequence[int], block: int) -> tuple[list[Floats], list[Floats]]:
    """Weights and biases of a network with these channels on the way down, in the middle and up."""
    random = np.random.default_rng(sum(widths))
    *down, middle = widths
    shapes = [(5, 5, 3, down[0])] + [(3, 3, a, b) for a, b in pairwise(down)]
    shapes.append((3, 3, down[-1], middle))
    before = middle
    for k, width in enumerate(up):
        shapes.append((3, 3, before + down[-2 - k], width))
        before = width
    shapes.append((1, 1, before, block * block))
    weights = [random.normal(0, np.prod(s[:3]) ** -0.5, s).astype(np.float32) for s in shapes]
    return weights, [random.normal(0, 0.3, s[3]).astype(np.float32) for s in shapes]


def plain_convolution(now: NDArray[np.float64], w: Floats, b: Floats, step: int) -> NDArray[np.float64]:
    half = w.shape[0] // 2
    padded = np.pad(now, ((half, half), (half, half), (0, 0)))
    side = now.shape[0]
    total = np.zeros((side // step, side // step, w.shape[3])) + b
    for y in range(w.shape[0]):
        for x in range(w.shape[1]):
            total += padded[y : y + side : step, x : x + side : step] @ w[y, x]
    return total


def plain_network(
    weights: list[Floats], biases: list[Floats], down: int, picture: Pixels
) -> NDArray[np.float64]:
    """What the engine computes, one loop per kernel pixel."""
    now = (picture - picture.mean()) / (picture.std() + 8)
    kept = []
    for w, b in zip(weights[:down], biases[:down], strict=True):
        now = np.maximum(plain_convolution(now, w, b, 2), 0)
        kept.append(now)
    now = np.maximum(plain_convolution(now, weights[down], biases[down], 1), 0)
    for k, (w, b) in enumerate(zip(weights[down + 1 : -1], biases[down + 1 : -1], strict=True)):
        wide = np.concatenate([now.repeat(2, 0).repeat(2, 1), kept[down - 2 - k]], 2)
        now = np.maximum(plain_convolution(wide, w, b, 1), 0)
    now = plain_convolution(now, weights[-1], biases[-1], 1)
    side, block = now.shape[0], round(now.shape[2] ** 0.5)
    map_ = now.reshape(side, side, block, block).swapaxes(1, 2).reshape(side * block, side * block)
    return np.asarray(1 / (1 + np.exp(-map_)))


@pytest.mark.parametrize(
    ("widths", "up", "block", "side"),
    [
        ((16, 32, 48, 48, 48, 48), (48, 32, 32), 4, 96),  # as shipped
        ((5, 7, 9), (6,), 1, 16),  # nothing a multiple of the lanes
        ((16, 17, 3), (20,), 3, 8),
        ((4, 5, 6, 7), (33, 2), 2, 24),
    ],
)
def test_network_equals_plain_numpy(
    widths: tuple[int, ...], up: tuple[int, ...], block: int, side: int
) -> None:
    weights, biases = random_network(widths, up, block)
    down = len(widths) - 1
    network = _engine.CoverNetwork(weights, biases, down, side)
    picture = np.random.default_rng(3).integers(0, 256, (side, side, 3), dtype=np.uint8)
    seen = network.predict(picture)
    assert seen.shape == (network.map_side, network.map_side)
    assert network.map_side == (side >> down << len(up)) * block
    np.testing.assert_allclose(seen, plain_network(weights, biases, down, picture), atol=2e-5)
    assert np.ptp(seen) > 1e-3


def test_network_refuses_what_it_cannot_use() -> None:
    weights, biases = random_network((5, 7, 9), (6,), 2)
    three = np.zeros((3, 3, 6, 3), np.float32)  # outputs that are no square
    for wrong in (
        (weights[:3], biases[:3], 2, 16),
        (weights, biases[:-1], 2, 16),
        (weights, biases, 2, 18),
        (weights, biases, 3, 16),
        (weights, biases, 0, 16),
        ([weights[0], weights[1][:, :, :2], *weights[2:]], biases, 2, 16),
        ([*weights[:-1], three], [*biases[:-1], biases[-1][:3]], 2, 16),
        ([np.zeros((2, 2, 3, 5), np.float32), *weights[1:]], biases, 2, 16),
    ):
        with pytest.raises(ValueError, match="not the weights of a cover network"):
            _engine.CoverNetwork(*wrong)
    network = _engine.CoverNetwork(weights, biases, 2, 16)
    for picture in (np.zeros((16, 16), np.uint8), np.zeros((16, 24, 3), np.uint8)):
        with pytest.raises(ValueError, match="square picture in colour"):
            network.predict(picture)


def changed_file(**arrays: object) -> bytes:
    with np.load(locate("visibility")) as file:
        kept = {name: file[name] for name in file.files} | arrays
    data = io.BytesIO()
    np.savez(data, **{name: np.asarray(a) for name, a in kept.items() if a is not None})
    return data.getvalue()


def test_shipped_file_is_small_and_read() -> None:
    assert Path(locate("visibility")).stat().st_size <= 400_000
    model = cover_model()
    assert model.frame.shape == (68, 2)
    assert model.network.map_side == model.side


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"PK\x05\x06" + bytes(18),
        lambda: locate("visibility").read_bytes()[:-200],
        lambda: changed_file(threshold=1.5),
        lambda: changed_file(threshold="half"),
        lambda: changed_file(frame=np.zeros((67, 2))),
        lambda: changed_file(frame=np.full((68, 2), np.nan)),
        lambda: changed_file(shape_mean=np.zeros((67, 2))),
        lambda: changed_file(shape_mean=np.full((68, 2), np.inf)),
        lambda: changed_file(shape_modes=None),
        lambda: changed_file(shape_modes=np.zeros((0, 68, 2))),
        lambda: changed_file(shape_modes=np.full((3, 68, 2), np.nan)),
        lambda: changed_file(shape_modes=np.zeros((3, 136))),
        lambda: changed_file(down=2),
        lambda: changed_file(side=97),
        lambda: changed_file(weights3=None),
        lambda: changed_file(biases0=np.zeros(15)),
        lambda: changed_file(weights1=np.array([{}], dtype=object)),
    ],
)
def test_damaged_file_is_one_sentence(content: object) -> None:
    with pytest.raises(
        WeightsError, match=r"visibility\.npz: not the weights .* Reinstall anthropo\."
    ) as error:
        read_cover_model(content())  # type: ignore[operator]
    assert "\n" not in str(error.value)


def test_map_is_read_between_its_places() -> None:
    """A map that rises from left to right is read as it rises, through any similarity."""
    seen = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (96, 1))
    cover = Cover(seen, np.array([[0.5, 0, 3], [0, 0.5, 2]]), 0.5)
    points = np.array([[40.0, 50], [94, 50], [120, 60], [-900, 0], [9000, 9000]])
    expected = np.clip((0.5 * points[:, 0] + 3) / 95, 0, 1)
    np.testing.assert_allclose(cover.at(points), expected, atol=0.006)
    assert cover.hides(points).tolist() == [True, False, False, True, False]


# ---------------------------------------------------------------------------------- astronaut


@pytest.fixture(scope="module")
def plain(astronaut: Pixels) -> Face:
    return anthropo.read_face(anthropo.Photo.from_array(astronaut))


def behind(astronaut: Pixels, plain: Face, kind: str, seed: int) -> Face:
    done = occlude(astronaut, plain.landmarks, kind, seed)
    return anthropo.read_face(anthropo.Photo.from_array(done.pixels))


def test_nothing_hides_a_plain_face(plain: Face) -> None:
    assert not plain.hidden.any()
    assert plain.seen.min() > 0.5
    assert all(c.ok and c.value == 0 for c in plain.gate if c.name == "hidden")


@pytest.mark.parametrize(
    ("kind", "seed", "hidden", "seen"),
    [
        ("bar", 2, EYES, MOUTH),
        ("dark_glasses", 0, EYES, MOUTH),
        ("dark_glasses", 4, EYES, MOUTH),
        ("mask_surgical", 3, MOUTH, EYES),
        ("mask_surgical", 4, MOUTH, EYES),
        ("mask_under_nose", 1, MOUTH, EYES),
        ("eye_patch", 3, slice(0, 0), MOUTH),
        ("scarf", 3, slice(55, 60), EYES),  # of a kind that was not trained on
        ("clear_glasses", 6, slice(0, 0), EYES),
    ],
)
def test_what_is_hidden_is_known(
    astronaut: Pixels, plain: Face, kind: str, seed: int, hidden: slice, seen: slice
) -> None:
    face = behind(astronaut, plain, kind, seed)
    words = hidden_words(np.flatnonzero(face.hidden).tolist())
    assert face.hidden[hidden].all(), words
    assert not face.hidden[seen].any(), words
    checks = {c.name: c for c in face.gate}
    assert checks["hidden"].value == face.hidden[17:].sum()
    assert checks["hidden"].ok == (not face.hidden[17:].any())


@pytest.mark.parametrize("below", [0.0, 0.02])
def test_the_edge_of_a_mask_is_no_outline_of_the_face(plain: Face, below: float) -> None:
    """Where a mask ends at the jaw, the map is seen at the points of the outline and hidden just inside."""
    cover, points = plain.cover, plain.landmarks
    assert cover is not None
    side = len(cover.seen)
    rows, columns = np.mgrid[:side, :side]
    at = points @ cover.there[:, :2].T + cover.there[:, 2]
    jaw = np.interp(columns, at[4:13, 0], at[4:13, 1], left=0, right=0) - below * side / EXTENT
    masked = (rows > at[51, 1]) & (rows < jaw - 1.5)
    face = replace(plain, cover=replace(cover, seen=np.where(masked, 0.02, 0.98).astype(np.float32)))
    assert not face.cover.hides(points[[6, 7, 8, 9, 10]]).any()  # type: ignore[union-attr]
    assert face.hidden[[6, 7, 8, 9, 10]].all()
    assert face.hidden[57]
    assert not face.hidden[[0, 1, 2, 14, 15, 16]].any()
    assert not face.hidden[17:48].any()
    values = {v.id: v for v in measure_face(face)}
    assert "the chin" in values["face_height"].reason
    assert np.isnan(values["face_height"].value)
    assert np.isfinite(values["intercanthal_width"].value)


def test_mirrored_photo_has_mirrored_visibility(astronaut: Pixels, plain: Face) -> None:
    done = occlude(astronaut, plain.landmarks, "eye_patch", 3)
    face = anthropo.read_face(anthropo.Photo.from_array(done.pixels))
    other = anthropo.read_face(anthropo.Photo.from_array(np.ascontiguousarray(done.pixels[:, ::-1])))
    assert 4 < face.hidden[17:].sum() < 20
    np.testing.assert_array_equal(face.hidden[17:], other.hidden[MIRROR][17:])
    assert np.abs(face.seen - other.seen[MIRROR])[17:].mean() < 0.05


def test_mask_is_not_called_glasses_nor_its_mouth_open(astronaut: Pixels, plain: Face) -> None:
    for seed in (3, 4):
        face = behind(astronaut, plain, "mask_surgical", seed)
        failed = {c.name for c in face.gate if not c.ok}
        assert "hidden" in failed
        assert not failed & {"glasses", "mouth_open", "smile"}
    assert {"mouth_open", "smile"} <= {c.name for c in plain.gate if not c.ok}  # as nothing is hidden there


def test_points_placed_by_hand_are_seen(astronaut: Pixels, plain: Face) -> None:
    face = behind(astronaut, plain, "bar", 2)
    by_hand = replace(face, by_hand={"p36": face.landmarks[36], "pR": face.landmarks[36:42].mean(0)})
    assert by_hand.seen[36] == 1
    assert not by_hand.hidden[36]
    assert by_hand.hidden[37:48].all()


def test_a_face_made_without_a_photo_is_seen(plain: Face) -> None:
    assert (replace(plain, cover=None).seen == 1).all()


def test_parts_are_named_in_words() -> None:
    assert hidden_words([]) == ""
    assert hidden_words([36]) == "the right eye's outer corner is hidden"
    assert hidden_words(range(36, 48)) == "the right eye and the left eye are hidden"
    assert hidden_words([37, 54, 8]) == (
        "the right eye's upper lid, the mouth's left corner and the chin are hidden"
    )
    assert all(len(named([i])) == 1 for i in range(68))  # every point has a name
    swapped = [
        named([i])[0].replace("left", "L").replace("right", "left").replace("L", "right") for i in range(68)
    ]
    assert [swapped[i] for i in MIRROR.tolist()] == [named([i])[0] for i in range(68)]
