"""Heatmaps of trained networks, whose pictures are cut and aligned in their own ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nets
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anthropo.encoder.regions import FACE_WINDOW, frame_to
from anthropo.encoder.views import View
from anthropo.explanation import maps, view_scene
from anthropo.explanation.heads import Head
from anthropo.explanation.heatmap import heatmaps
from anthropo.explanation.view_scene import ViewScene
from anthropo.face.landmarker import Face, read_face
from anthropo.learning.hybrid import HybridClassifier
from anthropo.networks.encoder import NetworkEncoder, network_encoder
from anthropo.photo import Photo

SPOT = 0.3, 0.5  # of a picture: how far down, and across


class Spot(nn.Module):
    """Sees how light a spot is, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def features(self, x: Tensor) -> Tensor:
        at = (torch.arange(x.shape[-1]) + 0.5) / x.shape[-1]
        apart = ((at[:, None] - SPOT[0]) ** 2 + (at[None] - SPOT[1]) ** 2).sqrt()
        light = (x * (apart < 0.08)).mean((1, 2, 3))
        return torch.stack([self.gain * light, torch.ones_like(light)], 1)


@pytest.fixture(scope="module")
def photo(astronaut: NDArray[np.uint8]) -> Photo:
    return Photo.from_array(astronaut)


@pytest.fixture(scope="module")
def face(photo: Photo) -> Face:
    return read_face(photo, jitter=2)


def seeing_spots(folder: Path, views: tuple[str, ...]) -> NetworkEncoder:
    network = nets.network(views=views)
    network.save(folder / "net.anthropo")
    encoder = network_encoder(folder / "net.anthropo")
    return replace(encoder, dimension=2, network=replace(network, modules=tuple(Spot() for _ in views)))


def angle_head() -> Head:
    """The sine of an embedding's direction."""
    numbers = np.zeros(2), np.array([[1.0, 0.0]]), np.array([0.0, 1.0])
    return Head(*numbers)


@pytest.mark.parametrize("alignment", ["mean-face", "two-points"])
@pytest.mark.parametrize("crops", ["scaled", "in-place"])
@pytest.mark.parametrize("region", ["face", "eyes", "lower"])
def test_a_landmark_is_at_the_same_place_in_picture_and_square(
    face: Face, alignment: str, crops: str, region: str
) -> None:
    view = View((region,), 64, alignment, crops)
    left, top, right, bottom = view.box(view.region(region))
    frame = view.frame(face)
    for landmark in face.landmarks[[30, 39, 57]]:
        there = np.linalg.solve(frame[:, :2], landmark - frame[:, 2])
        x, y = (there - (left, top)) / (right - left, bottom - top)
        places = view_scene.in_square(view, region, face)
        across, down = places[0, 1] - places[0, 0], places[1, 0] - places[0, 0]
        in_square = places[0, 0] + across * (64 * x - 0.5) + down * (64 * y - 0.5)
        common = frame_to(face.landmarks)
        back = common[:, :2] @ (FACE_WINDOW[2] * in_square + FACE_WINDOW[:2]) + common[:, 2]
        np.testing.assert_allclose(back, landmark, atol=1e-6)


@pytest.mark.parametrize("region", ["face", "mouth"])
def test_the_map_lies_where_the_network_looks_and_adds_up(
    tmp_path: Path, photo: Photo, face: Face, region: str
) -> None:
    encoder = seeing_spots(tmp_path, (region,))
    scene = ViewScene.of(encoder, photo, face, (region,), [angle_head()])
    (values,) = scene.maps(maps.STEPS)
    side = len(values)
    none, full = maps.log_odds_of(scene, np.stack([np.zeros((1, side, side)), np.ones((1, side, side))]))[
        :, 0
    ]
    embedded = encoder.embed(photo, face, (region,))
    assert full == pytest.approx(angle_head()(embedded).item(), abs=1e-5)
    # smoothing loses what it carries beyond the region
    assert values.sum() == pytest.approx(full - none, abs=0.1 * abs(full - none))
    y, x = np.unravel_index(np.abs(values).argmax(), values.shape)
    at = view_scene.in_square(encoder.network.view, region, face)[int(SPOT[0] * 48), int(SPOT[1] * 48)]
    assert np.hypot(*(np.array([x + 0.5, y + 0.5]) / side - at)) < 0.08


def test_masks_are_of_what_each_picture_shows(tmp_path: Path, photo: Photo, face: Face) -> None:
    encoder = seeing_spots(tmp_path, ("face", "mouth"))
    scene = ViewScene.of(encoder, photo, face, ("face", "mouth"), [angle_head()] * 2)
    whole, mouth = scene.masks
    assert whole.all()
    assert 0.12 < mouth.mean() < 0.25  # a quarter to a half of each side, and the pixels at its rim
    rows = np.flatnonzero(mouth.any(1)) / len(mouth)
    assert 0.45 < rows.min() < rows.max() < 0.95


def test_a_picture_without_a_face(tmp_path: Path, photo: Photo) -> None:
    encoder = seeing_spots(tmp_path, ("image",))
    scene = ViewScene.of(encoder, photo, None, ("image",), [angle_head()])
    (values,) = scene.maps(maps.STEPS)
    y, x = np.unravel_index(np.abs(values).argmax(), values.shape)
    assert np.hypot(y / len(values) - SPOT[0], x / len(values) - SPOT[1]) < 0.1


def test_a_model_on_a_network_has_judged_maps(tmp_path: Path, photo: Photo, face: Face) -> None:
    nets.network().save(tmp_path / "net.anthropo")
    encoder = network_encoder(tmp_path / "net.anthropo")
    random = np.random.default_rng(0)
    rows = []
    for i in range(24):
        light = photo.pixels * (1.0 if i % 2 else 0.6) + random.normal(0, 12, photo.pixels.shape)
        own = Photo.from_array(light.clip(0, 255).astype(np.uint8))
        rows.append(encoder.embed(own, face, encoder.views))
    table = pd.DataFrame(
        {
            f"{view}/{i}": [row[v, i] for row in rows]
            for v, view in enumerate(encoder.views)
            for i in range(320)
        }
    )
    model = HybridClassifier("svm").fit(table, np.array(["dark", "light"] * 12))
    weights = np.array([-1.0, 1.0])
    heat = heatmaps(model, encoder, photo, face, weights)
    assert set(heat.regions) == {"face", "mouth"}
    own = encoder.embed(photo, face, encoder.views)
    told = model.contributions(pd.DataFrame([own.reshape(-1)], columns=table.columns))
    np.testing.assert_allclose(sum(m.values for m in heat.regions.values()), heat.whole.values)
    for view, one in heat.regions.items():
        assert one.contribution == pytest.approx(float(told.regions[view][0] @ weights), abs=1e-3)
        assert one.values.shape == heat.whole.values.shape
        if one.contribution:
            assert one.faithfulness is not None
    assert heat.whole.faithfulness is not None
    assert encoder.randomised().embed(photo, face, ("face",)).shape == (1, 320)
    assert not np.allclose(encoder.randomised().embed(photo, face, ("face",)), own[:1])
