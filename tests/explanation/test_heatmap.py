"""Heatmaps: exactness of the parts, a planted sign that they find, and checks that fail where they should."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch

from anthropo.encoder.backends import TorchBackend
from anthropo.encoder.encoders import Encoder, load_encoder
from anthropo.encoder.regions import DEFAULT_REGIONS, FACE_WINDOW, FILL, REGIONS, crops, hidden
from anthropo.errors import InputError
from anthropo.explanation import maps
from anthropo.explanation.chip_scene import ChipScene
from anthropo.explanation.heads import Head
from anthropo.explanation.heatmap import heat_of_chips, heatmaps
from anthropo.explanation.maps import FaceHeat, blurred
from anthropo.face.landmarker import Face, read_face
from anthropo.face.warp import blurring
from anthropo.learning.hybrid import HybridClassifier
from anthropo.photo import Photo

SPOT = (0.22, 0.6)  # x, y in the regions' frame: the subject's right cheek
WEIGHTS = np.array([-1.0, 1.0])  # painted against plain


@dataclass(frozen=True, slots=True)
class Planted:
    """The astronaut many times over, with a dark spot on one cheek where the label says so."""

    encoder: Encoder
    model: HybridClassifier
    photo: Photo
    face: Face
    chips: np.ndarray  # (r, 150, 150, 3) of one that the model has not seen, with the spot
    heads: tuple[Head, ...]
    heat: FaceHeat  # of these chips


def paint(chips: np.ndarray, x: float, y: float, colour: float) -> np.ndarray:
    """A soft spot on each chip, where the chip shows anything."""
    left, top, side = FACE_WINDOW
    at = (np.arange(150) + 0.5) / 150 * side
    apart = np.hypot(left + at[None, :] - x, top + at[:, None] - y)
    strength = np.clip((0.06 - apart) / 0.02, 0, 1)[None, :, :, None]
    painted = chips + strength * (colour - chips)
    painted[hidden_of()] = FILL
    return painted


def hidden_of() -> np.ndarray:
    return np.stack([hidden(REGIONS[r], 150) for r in DEFAULT_REGIONS])


@pytest.fixture(scope="module")
def planted(astronaut: np.ndarray) -> Planted:
    encoder = load_encoder()
    photo = Photo.from_array(astronaut)
    face = read_face(photo)
    plain = crops(photo, face, DEFAULT_REGIONS, 150).astype(float)
    random = np.random.default_rng(0)

    def person(painted: bool) -> np.ndarray:
        chips = plain * random.uniform(0.8, 1.1, 3) + random.normal(0, 4, plain.shape[1:])
        # another spot anywhere else on everybody, so that only the place tells
        other = random.uniform(0.55, 1.0), random.uniform(0.0, 0.9)
        chips = paint(chips, *other, 40.0)
        chips = paint(chips, *SPOT, 40.0) if painted else chips
        chips[hidden_of()] = FILL
        return np.rint(chips.clip(0, 255)).astype(np.uint8)

    labels = np.arange(40) % 2
    people = np.stack([person(bool(label)) for label in labels])
    embedded = encoder.encode(people.reshape(-1, 150, 150, 3)).reshape(40, len(DEFAULT_REGIONS), -1)
    model = HybridClassifier("svm").fit(frame_of(embedded), np.where(labels, "painted", "a plain one"))
    assert list(model.classes_) == ["a plain one", "painted"]
    chips = person(True)
    heads = tuple(Head.of(model, region, WEIGHTS) for region in DEFAULT_REGIONS)
    return Planted(
        encoder, model, photo, face, chips, heads, heat_of_chips(encoder, chips, DEFAULT_REGIONS, heads)
    )


def frame_of(embedded: np.ndarray) -> pd.DataFrame:
    """Embeddings (n, r, d) as a feature table."""
    columns = [f"{region}/{i}" for region in DEFAULT_REGIONS for i in range(embedded.shape[2])]
    return pd.DataFrame(embedded.reshape(len(embedded), -1), columns=columns)


def distances() -> np.ndarray:
    """Of each pixel of a map from the planted spot, in the frame's unit."""
    left, top, side = FACE_WINDOW
    at = (np.arange(150) + 0.5) / 150 * side
    return np.hypot(left + at[None, :] - SPOT[0], top + at[:, None] - SPOT[1])


# ------------------------------------------------------------------------------------------- the head


def test_head_equals_the_model() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(45) % 3
    columns = [f"{region}/{i}" for region in ("face", "eyes") for i in range(6)]
    table = pd.DataFrame(random.normal(size=(45, 12)) + random.normal(size=(3, 12))[labels], columns=columns)
    model = HybridClassifier("svm").fit(table, np.array(["a", "b", "c"])[labels])
    weights = np.array([1.0, -0.3, -0.7])
    found = model.contributions(table)
    for region in ("face", "eyes"):
        own = table[[c for c in columns if c.startswith(region)]].to_numpy()
        np.testing.assert_allclose(
            Head.of(model, region, weights)(own), found.regions[region] @ weights, atol=1e-10
        )
        assert np.ptp(found.regions[region] @ weights) > 0.01


def test_contribution_is_that_of_the_prediction(planted: Planted) -> None:
    embedded = planted.encoder.encode(planted.chips)[None]
    told = planted.model.contributions(frame_of(embedded)).regions
    for region, found in planted.heat.regions.items():
        assert found.contribution == pytest.approx(float(told[region][0] @ WEIGHTS), abs=1e-3)
    total = sum(found.contribution for found in planted.heat.regions.values())
    assert planted.heat.whole.contribution == pytest.approx(total)


# ------------------------------------------------------------------------------------------- the maps


def test_map_finds_the_planted_sign(planted: Planted) -> None:
    whole = planted.heat.whole
    assert whole.contribution > 2
    at = np.unravel_index(whole.values.argmax(), whole.values.shape)
    assert distances()[at] < 0.15
    positive = np.clip(whole.values, 0, None)
    near = distances() < 0.25
    # where an even map would have less than a tenth
    assert near.mean() < 0.1
    assert positive[near].sum() / positive.sum() > 0.3


def test_map_of_a_region_stays_in_it(planted: Planted) -> None:
    for region, found in planted.heat.regions.items():
        assert found.values.shape == (150, 150)
        assert not found.values[hidden(REGIONS[region], 150)].any()
    np.testing.assert_allclose(
        planted.heat.whole.values, sum(found.values for found in planted.heat.regions.values()), atol=1e-12
    )


def test_values_sum_to_the_contribution(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, face = planted.heat.whole, planted.heat.regions["face"]
    assert whole.completeness == pytest.approx(whole.contribution - whole.baseline - whole.values.sum())
    assert abs(whole.completeness) < 0.35 * abs(whole.contribution - whole.baseline)
    monkeypatch.setattr(maps, "STEPS", 48)
    fine = heat_of_chips(planted.encoder, planted.chips[:1], ("face",), planted.heads[:1], judge=False)
    # the other regions lose what is spread beyond their borders
    assert abs(fine.whole.completeness) < 0.03 * abs(face.contribution - face.baseline)


def test_mirrored_face_has_the_mirrored_map(planted: Planted) -> None:
    mirrored = np.ascontiguousarray(planted.chips[:, :, ::-1])
    found = heat_of_chips(planted.encoder, mirrored, DEFAULT_REGIONS, planted.heads, judge=False)
    for region, own in planted.heat.regions.items():
        largest = np.abs(own.values).max()
        np.testing.assert_allclose(found.regions[region].values[:, ::-1], own.values, atol=2e-3 * largest)


def test_opposite_question_has_the_opposite_map(planted: Planted) -> None:
    heads = [Head.of(planted.model, region, -WEIGHTS) for region in DEFAULT_REGIONS]
    found = heat_of_chips(planted.encoder, planted.chips, DEFAULT_REGIONS, heads, judge=False)
    np.testing.assert_allclose(found.whole.values, -planted.heat.whole.values, atol=1e-6)


def test_blurred_chip_keeps_colour_and_loses_features(planted: Planted) -> None:
    masks = ~hidden_of()
    base = blurred(planted.chips, masks)
    for chip, own, mask in zip(planted.chips, base, masks, strict=True):
        assert np.abs(chip[mask].mean(0) - own[mask].mean(0)).max() < 12
        step, left = (np.abs(np.diff(c.astype(float), axis=1))[mask[:, 1:]].mean() for c in (chip, own))
        assert left < 0.4 * step
        np.testing.assert_array_equal(own[~mask], chip[~mask])


def test_encoder_whose_layers_are_unknown(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.network(x)

    monkeypatch.setattr(maps, "STEPS", 12)
    own = planted.encoder.backend
    encoder = replace(planted.encoder, backend=TorchBackend(Plain(own.network), own.mean, own.scale))
    found = heat_of_chips(encoder, planted.chips, DEFAULT_REGIONS, planted.heads, judge=False).whole
    assert found.contribution == pytest.approx(planted.heat.whole.contribution, abs=1e-3)
    assert np.corrcoef(found.values.ravel(), planted.heat.whole.values.ravel())[0, 1] > 0.4
    assert distances()[np.unravel_index(found.values.argmax(), found.values.shape)] < 0.2


def test_region_without_a_say(planted: Planted) -> None:
    mute = replace(planted.heads[0], readout=np.zeros_like(planted.heads[0].readout))
    found = heat_of_chips(
        planted.encoder, planted.chips, DEFAULT_REGIONS, [mute, *planted.heads[1:]], judge=False
    )
    face = found.regions["face"]
    assert not face.values.any()
    assert (face.contribution, face.baseline, face.faithfulness) == (0, 0, None)
    np.testing.assert_allclose(found.regions["eyes"].values, planted.heat.regions["eyes"].values, atol=1e-6)
    nothing = heat_of_chips(planted.encoder, planted.chips[:1], ("face",), [mute])
    assert not nothing.whole.values.any()


def test_heatmaps_of_a_photo(planted: Planted) -> None:
    found = heatmaps(planted.model, planted.encoder, planted.photo, planted.face, WEIGHTS, judge=False)
    assert list(found.regions) == list(DEFAULT_REGIONS)
    assert found.whole.faithfulness is None
    assert found.whole.contribution < 0  # she has no spot
    one = heatmaps(
        planted.model, planted.encoder, planted.photo, planted.face, WEIGHTS, regions=("eyes",), judge=False
    )
    np.testing.assert_allclose(one.whole.values, found.regions["eyes"].values, atol=1e-6)


# --------------------------------------------------------------------------------------- faithfulness


def test_faithful_map_passes(planted: Planted) -> None:
    found = planted.heat.whole.faithfulness
    assert found is not None
    assert found.passes
    assert found.reason == ""
    assert found.deletion < found.random < found.insertion
    assert found.top_tenth_drop > found.random_tenth_drop + 1
    assert found.sanity_correlation < maps.SANITY


def test_curves_end_where_everything_and_nothing_is_left(planted: Planted) -> None:
    whole = planted.heat.whole
    assert whole.faithfulness is not None
    low, high = sorted([whole.baseline, whole.contribution])
    assert low - 3 < whole.faithfulness.random < high + 3


def test_map_of_the_opposite_fails(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    upright = ChipScene.maps
    monkeypatch.setattr(ChipScene, "maps", lambda scene, steps: -upright(scene, steps))
    found = heat_of_chips(planted.encoder, planted.chips, DEFAULT_REGIONS, planted.heads).whole.faithfulness
    assert found is not None
    assert not found.passes
    assert "no more is lost than without a random tenth" in found.reason
    assert found.deletion > found.insertion


def test_edge_detector_fails_the_sanity_check(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    def edges(scene: ChipScene, steps: int) -> np.ndarray:
        return np.abs(scene.chips - scene.base).sum(3).astype(float) * scene.masks

    monkeypatch.setattr(ChipScene, "maps", edges)
    found = heat_of_chips(planted.encoder, planted.chips, DEFAULT_REGIONS, planted.heads).whole.faithfulness
    assert found is not None
    assert not found.passes
    assert found.sanity_correlation == pytest.approx(1)
    assert "a network with random weights gives a similar map (rank correlation 1.00)" in found.reason


def test_same_seed_same_verdict(planted: Planted) -> None:
    again = heat_of_chips(planted.encoder, planted.chips, DEFAULT_REGIONS, planted.heads)
    assert again.whole.faithfulness == planted.heat.whole.faithfulness
    np.testing.assert_array_equal(again.whole.values, planted.heat.whole.values)
    other = heat_of_chips(planted.encoder, planted.chips, DEFAULT_REGIONS, planted.heads, seed=1)
    np.testing.assert_array_equal(other.whole.values, planted.heat.whole.values)
    assert other.whole.faithfulness is not None
    assert planted.heat.whole.faithfulness is not None
    assert other.whole.faithfulness.random != planted.heat.whole.faithfulness.random
    assert other.whole.faithfulness.deletion == planted.heat.whole.faithfulness.deletion


# -------------------------------------------------------------------------------------------- errors


def test_region_that_the_model_lacks(planted: Planted) -> None:
    with pytest.raises(
        InputError, match=r"region 'nose': the model has no such region\. Its regions are face, "
    ):
        heatmaps(
            planted.model, planted.encoder, planted.photo, planted.face, WEIGHTS, regions=("eyes", "nose")
        )


def test_model_without_regions(planted: Planted) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    model = HybridClassifier("svm").fit(x, np.arange(20) % 2)
    with pytest.raises(InputError, match="The model has no regions"):
        heatmaps(model, planted.encoder, planted.photo, planted.face, WEIGHTS)


# ------------------------------------------------------------------------------ in place of scipy


def test_blurring_and_ranks_are_those_of_scipy() -> None:
    from scipy.ndimage import gaussian_filter
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    picture = random.normal(size=(150, 150))
    blur = blurring(150, maps.BLUR * 150)
    np.testing.assert_allclose(blur @ picture @ blur.T, gaussian_filter(picture, 150 / 20), atol=1e-12)
    a, b = random.integers(0, 20, (2, 500)).astype(float)  # with equal values
    assert maps._rank_correlation(a, a + b) == pytest.approx(spearmanr(a, a + b)[0], abs=1e-12)


def test_threads_change_no_map(planted: Planted) -> None:
    found = heat_of_chips(planted.encoder, planted.chips, DEFAULT_REGIONS, planted.heads, jobs=2)
    assert found.whole.faithfulness == planted.heat.whole.faithfulness
    for region, own in planted.heat.regions.items():
        np.testing.assert_array_equal(found.regions[region].values, own.values)


def test_a_head_knows_its_gradient(planted: Planted) -> None:
    head = planted.heads[0]
    at = planted.encoder.encode(planted.chips[:3]).astype(np.float64)
    found, step = head.gradient(at), 1e-6
    for j in (0, 7, 100):
        moved = np.zeros_like(at)
        moved[:, j] = step
        slope = (head(at + moved) - head(at - moved)) / (2 * step)
        np.testing.assert_allclose(found[:, j], slope, rtol=1e-4, atol=1e-6)
