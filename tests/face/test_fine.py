"""The second landmark stage: its networks against plain numpy, and what it does to a face."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Pixels
from numpy.typing import NDArray
from PIL import Image

from anthropo.errors import WeightsError
from anthropo.face import _engine
from anthropo.face.fine import fine_model, fine_sha256, read_fine_model, refine
from anthropo.face.landmarker import Face, read_face
from anthropo.face.scheme import LANDMARKS, MIRROR
from anthropo.measurement.compute import measure_face
from anthropo.measurement.registry import registry
from anthropo.photo import Photo

Floats = NDArray[np.float64]
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

# ------------------------------------------------------------------------------------ network


def plain_network(weights: list[Floats], biases: list[Floats], patch: Pixels) -> Floats:
    """What the engine computes, one loop per kernel pixel."""
    now = ((patch - patch.mean()) / (patch.std() + 8))[:, :, None]
    for w, b in zip(weights[:-2], biases[:-2], strict=True):
        side, half = w.shape[0], w.shape[0] // 2
        padded = np.pad(now, ((half, half), (half, half), (0, 0)))
        rows, columns = now.shape[:2]
        total = np.zeros((rows // 2, columns // 2, w.shape[3])) + b
        for y in range(side):
            for x in range(side):
                total += padded[y : y + rows : 2, x : x + columns : 2] @ w[y, x]
        now = np.maximum(total, 0)
    hidden = np.maximum(now.ravel() @ weights[-2] + biases[-2], 0)
    return (hidden @ weights[-1] + biases[-1]).reshape(-1, 2)


def random_network(
    channels: tuple[int, ...], hidden: int, points: int, patch: int, sides: tuple[int, ...], seed: int
) -> tuple[list[Floats], list[Floats]]:
    random = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = [
        (k, k, a, b) for k, a, b in zip(sides, (1, *channels[:-1]), channels, strict=True)
    ]
    last = patch >> len(channels)
    shapes += [(last * last * channels[-1], hidden), (hidden, 2 * points)]
    weights = [random.normal(0, np.prod(s[:-1]) ** -0.5, s).astype(np.float32) for s in shapes]
    return weights, [random.normal(0, 0.3, s[-1]).astype(np.float32) for s in shapes]


@pytest.mark.parametrize(
    ("channels", "hidden", "points", "patch", "sides"),
    [
        ((12, 24, 48, 64), 64, 11, 64, (5, 3, 3, 3)),  # as shipped
        ((5,), 7, 1, 8, (3,)),  # nothing a multiple of the lanes
        ((16, 17), 33, 4, 32, (7, 1)),
        ((3, 40), 16, 9, 24, (3, 5)),
    ],
)
def test_network_equals_plain_numpy(
    channels: tuple[int, ...], hidden: int, points: int, patch: int, sides: tuple[int, ...]
) -> None:
    weights, biases = random_network(channels, hidden, points, patch, sides, seed=patch)
    network = _engine.PatchNetwork(weights, biases, patch)
    assert network.points == points
    image = np.random.default_rng(3).integers(0, 256, (patch + 9, patch + 5), dtype=np.uint8)
    shifts = [(0, 0), (4, 2), (5, 9)]
    maps = np.stack([np.array([[1.0, 0, x], [0, 1, y]]) for x, y in shifts])
    seen = network.predict(image, maps)
    for (x, y), got in zip(shifts, seen, strict=True):
        part = image[y : y + patch, x : x + patch]
        np.testing.assert_allclose(got, plain_network(weights, biases, part), atol=2e-4)
    assert np.ptp(seen, axis=0).max() > 1e-3  # other patches, other points


def test_network_sees_past_exposure_and_contrast() -> None:
    network = _engine.PatchNetwork(*random_network((12, 24), 16, 5, 32, (5, 3), 1), 32)
    image = np.random.default_rng(4).integers(0, 120, (32, 32), dtype=np.uint8)
    seen, lighter = (network.predict(pixels, IDENTITY[None]) for pixels in (image, image + np.uint8(100)))
    np.testing.assert_allclose(seen, lighter, atol=1e-4)
    flat = network.predict(np.full((32, 32), 77, np.uint8), IDENTITY[None])
    assert np.isfinite(flat).all()


def test_network_refuses_what_it_cannot_use() -> None:
    weights, biases = random_network((5, 6), 7, 2, 16, (3, 3), 2)
    for wrong in (
        (weights[:2], biases[:2], 16),
        (weights, biases[:-1], 16),
        (weights, biases, 32),
        ([weights[0], weights[1][:2], *weights[2:]], biases, 16),
        ([weights[0], weights[1], weights[2], weights[3][:, :3]], [*biases[:3], biases[3][:3]], 16),
        ([np.zeros((2, 2, 1, 5), np.float32), *weights[1:]], biases, 16),
    ):
        with pytest.raises(ValueError, match="not the weights of a patch network"):
            _engine.PatchNetwork(*wrong)
    network = _engine.PatchNetwork(weights, biases, 16)
    grey = np.zeros((16, 16), np.uint8)
    with pytest.raises(ValueError, match="grey"):
        network.predict(np.zeros((16, 16, 3), np.uint8), IDENTITY[None])
    with pytest.raises(ValueError, match="shape"):
        network.predict(grey, IDENTITY)
    with pytest.raises(ValueError, match="finite"):
        network.predict(grey, np.full((1, 2, 3), np.nan))
    assert network.predict(grey, np.zeros((0, 2, 3))).shape == (0, 2, 2)


# ------------------------------------------------------------------------------------ weights


def packed(**changes: object) -> bytes:
    """A small but whole weights file of one region, with arrays changed or (None) left out."""
    weights, biases = random_network((4, 4, 4, 4), 8, 3, 64, (3, 3, 3, 3), 5)
    names = ("conv0", "conv1", "conv2", "conv3", "hidden", "out")
    arrays: dict[str, object] = {"frame": np.random.default_rng(6).normal(256, 50, (68, 2))}
    for name, w, b in zip(names, weights, biases, strict=True):
        arrays[f"eye.{name}"], arrays[f"eye.{name}_bias"] = w, b
    arrays |= {"eye.scheme": np.array([36, 39]), "eye.codes": np.array(["p"]), "eye.pixel": np.array(2.0)}
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in (arrays | changes).items() if v is not None})  # type: ignore[arg-type]
    return buffer.getvalue()


def test_weights_are_read() -> None:
    (region,) = read_fine_model(packed()).regions
    assert (region.network.points, region.codes, region.pixel) == (3, ("p",), 2.0)
    assert region.scheme.tolist() == [36, 39]
    assert len(fine_model().regions) >= 4
    assert fine_model().frame.shape == (68, 2)
    assert len(fine_sha256()) == 64


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((68, 2)))
    return buffer.getvalue()


def flipped() -> bytes:
    data = bytearray(packed())
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"no weights",
        npy,
        lambda: packed()[:2000],
        lambda: packed()[:-30],
        flipped,
        lambda: packed(frame=None),
        lambda: packed(frame=np.zeros((5, 2))),
        lambda: packed(**{"eye.out": None}),
        lambda: packed(**{"eye.scheme": None}),
        lambda: packed(**{"eye.scheme": np.array([36, 68])}),
        lambda: packed(**{"eye.scheme": np.array([36, -1])}),
        lambda: packed(**{"eye.codes": np.array(["p", "ps"])}),
        lambda: packed(**{"eye.codes": np.array([object()])}),
        lambda: packed(**{"eye.hidden": np.zeros((3, 8), np.float32)}),
    ],
)
def test_damaged_or_foreign_weights_are_one_sentence(content: Callable[[], bytes]) -> None:
    with pytest.raises(WeightsError) as caught:
        read_fine_model(content())
    message = str(caught.value)
    assert message.startswith("fine.npz: not the weights of the fine landmark stage (")
    assert message.endswith(". Reinstall anthropo, or pass fine=False.")
    assert "\n" not in message


# --------------------------------------------------------------------------------------- face


def unit(face: Face) -> float:
    return float(np.linalg.norm(face.landmarks[36] - face.landmarks[45]))


@pytest.fixture(scope="module")
def large(astronaut: Pixels) -> Photo:
    """The astronaut's head, four times as large: an outer-canthal distance of 245 px."""
    head = Image.fromarray(astronaut).crop((120, 20, 340, 260))
    return Photo.from_array(np.asarray(head.resize((880, 960), Image.Resampling.LANCZOS)))


@pytest.fixture(scope="module")
def looked_at(large: Photo) -> tuple[Face, Face]:
    """The face of the first stage and of both."""
    face = read_face(large, jitter=4)
    return face, refine(large, face)


def test_landmarks_stay_where_they_were_or_near_and_the_first_stage_is_not_changed(
    looked_at: tuple[Face, Face],
) -> None:
    first, both = looked_at
    moved = np.linalg.norm(both.landmarks - first.landmarks, axis=1) / unit(first)
    assert moved.max() < 0.05
    seen_twice = moved > 0
    assert seen_twice[36:].sum() > 20
    assert not seen_twice[:27].any()  # outline and brows
    assert not first.anatomy
    np.testing.assert_allclose(both.samples.mean(0), both.landmarks, atol=0.02 * unit(first))
    assert both.samples.shape == first.samples.shape
    assert (both.box, both.gate, both.yaw) == (first.box, first.gate, first.yaw)


def test_anatomy_has_a_right_and_a_left_and_lies_where_it_should(looked_at: tuple[Face, Face]) -> None:
    first, both = looked_at
    codes = set(both.anatomy)
    assert {"pR", "pL", "psR", "psL", "piR", "piL", "enR", "exL", "alR", "chL", "sn", "ls", "li"} <= codes
    assert codes <= set(LANDMARKS)
    for code, at in both.anatomy.items():
        assert np.shape(at) == (2,)
        rough = first.landmarks[list(LANDMARKS[code])].mean(0)
        assert np.linalg.norm(at - rough) < 0.12 * unit(first), code
    for side, left in (("R", False), ("L", True)):
        upper, pupil, lower = (both.anatomy[code + side] for code in ("ps", "p", "pi"))
        assert upper[1] < pupil[1] < lower[1]
        assert (both.anatomy["ex" + side][0] > both.anatomy["en" + side][0]) == left


def test_a_mirrored_photo_gives_mirrored_landmarks(large: Photo, looked_at: tuple[Face, Face]) -> None:
    _, both = looked_at
    mirrored = Photo.from_array(np.ascontiguousarray(large.pixels[:, ::-1]))
    other = refine(mirrored, read_face(mirrored, jitter=4))
    width = large.full_size[0]

    def back(points: Floats) -> Floats:
        return np.stack([width - 1 - points[..., 0], points[..., 1]], -1)

    off = np.linalg.norm(back(other.landmarks)[MIRROR] - both.landmarks, axis=1) / unit(both)
    assert np.median(off[27:]) < 0.005
    assert off[27:].max() < 0.01
    swap = {"R": "L", "L": "R"}
    for code, at in both.anatomy.items():
        twin = code[:-1] + swap[code[-1]] if code[-1] in swap else code
        assert np.linalg.norm(back(other.anatomy[twin]) - at) < 0.006 * unit(both), code


def test_size_of_the_photo_hardly_matters(large: Photo, looked_at: tuple[Face, Face]) -> None:
    _, both = looked_at
    small = Image.fromarray(large.pixels).resize((528, 576), Image.Resampling.LANCZOS)
    photo = Photo.from_array(np.asarray(small))
    other = refine(photo, read_face(photo, jitter=4))

    def enlarged(points: Floats) -> Floats:
        return (points + 0.5) / 0.6 - 0.5

    off = np.linalg.norm(enlarged(other.landmarks) - both.landmarks, axis=1) / unit(both)
    assert np.median(off) < 0.005
    for code, at in both.anatomy.items():
        assert np.linalg.norm(enlarged(other.anatomy[code]) - at) < 0.012 * unit(both), code


def test_a_plain_single_evaluation_can_be_refined(large: Photo) -> None:
    face = refine(large, read_face(large, jitter=1))
    assert face.samples.shape == (1, 68, 2)
    assert np.isnan(face.landmark_sd).all()
    assert np.isfinite(face.landmarks).all()
    assert face.anatomy


def test_without_the_fine_stage_what_needs_it_is_missing_with_the_reason(large: Photo) -> None:
    face = read_face(large, jitter=2)
    assert not face.anatomy
    values = {m.id: m for m in measure_face(face, large, force=True)}
    needing = {name for name, entry in registry().items() if entry.needs_fine}
    assert needing >= {"mrd1_R", "mrd1_L", "mrd2_R", "mrd2_L"}
    for name in needing:
        assert np.isnan(values[name].value)
        assert values[name].reason == "needs the fine landmark stage, which was left out"
    both = {m.id: m for m in measure_face(refine(large, face), large, force=True)}
    assert all(both[name].value > 0 for name in needing)
    assert both["mrd1_R"].value + both["mrd2_R"].value == pytest.approx(
        both["palpebral_fissure_height_R"].value, rel=0.1
    )
