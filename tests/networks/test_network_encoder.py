"""A network as the encoder of the hybrid: its own regions, alignment and colours."""

from __future__ import annotations

from pathlib import Path

import nets
import numpy as np
import pytest
from numpy.typing import NDArray

from anthropo.errors import InputError, ModelError
from anthropo.face.landmarker import read_face
from anthropo.networks.encoder import network_encoder
from anthropo.photo import Photo


@pytest.fixture(scope="module")
def photo(astronaut: NDArray[np.uint8]) -> Photo:
    return Photo.from_array(astronaut)


def test_each_region_goes_through_its_own_module(photo: Photo, tmp_path: Path) -> None:
    network = nets.network(grey=True)
    network.save(tmp_path / "net.anthropo")
    encoder = network_encoder(tmp_path / "net.anthropo")
    assert (encoder.name, encoder.views) == ("net.anthropo", ("face", "mouth"))
    assert (encoder.dimension, encoder.size, encoder.parameters) == (320, nets.SIZE, network.parameters)
    face = read_face(photo, jitter=2)
    found = encoder.embed(photo, face, ("mouth", "face"))
    chips = network.view.cut(photo, network.view.frame(face))
    for row, name, chip in ((1, "face", chips[0]), (0, "mouth", chips[1])):
        both = network.embed({name: np.stack([chip, chip[:, ::-1]])}).mean(0)
        np.testing.assert_allclose(found[row], both, rtol=1e-5, atol=1e-5)
    other = network.embed({"mouth": chips[:1]})[0]
    assert np.abs(found[1] - other).max() > 0.01


def test_a_picture_without_a_face(photo: Photo, tmp_path: Path) -> None:
    network = nets.network(views=("image",))
    network.save(tmp_path / "net.anthropo")
    encoder = network_encoder(tmp_path / "net.anthropo")
    chip = network.view.cut(photo, None)[0]
    both = network.embed({"image": np.stack([chip, chip[:, ::-1]])}).mean(0)
    np.testing.assert_allclose(encoder.embed(photo, None, ("image",))[0], both, rtol=1e-5, atol=1e-5)


def test_the_digest_is_of_the_file(tmp_path: Path) -> None:
    first = nets.network()
    first.save(tmp_path / "a.anthropo")
    first.save(tmp_path / "b.anthropo")
    nets.network(labels=("a", "b")).save(tmp_path / "c.anthropo")
    a, b, c = (network_encoder(tmp_path / f"{n}.anthropo").digest for n in "abc")
    assert a == b != c


def test_a_region_it_lacks_and_a_file_that_is_none(photo: Photo, tmp_path: Path) -> None:
    nets.network().save(tmp_path / "net.anthropo")
    encoder = network_encoder(tmp_path / "net.anthropo")
    with pytest.raises(InputError, match=r"not trained on the region eyes\. It was trained on face, mouth\."):
        encoder.embed(photo, read_face(photo, jitter=2), ("eyes",))
    (tmp_path / "x.anthropo").write_bytes(b"nothing")
    with pytest.raises(ModelError):
        network_encoder(tmp_path / "x.anthropo")
