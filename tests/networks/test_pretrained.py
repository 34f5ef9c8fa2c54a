from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nets
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anthropo.encoder.encoders import load_encoder
from anthropo.errors import WeightsError
from anthropo.face.weights import locate
from anthropo.learning.manifest import WeightsRecord
from anthropo.networks.architectures import BACKBONES, FITTING, Spec, body
from anthropo.networks.finetuning import began_with
from anthropo.networks.network import flat, normalised
from anthropo.networks.pretrained import warm_start
from anthropo.networks.training_loop import TrainedViews


@pytest.fixture(scope="module")
def donor() -> Any:
    """A ResNet-50 with random weights, which takes half a second to make."""
    return body("resnet50")


@pytest.fixture
def own(donor: Any) -> Any:
    """Another ResNet-50, with none of them."""
    made = copy.deepcopy(donor)
    with torch.no_grad():
        for weights in made.parameters():
            weights.zero_()
    return made


@pytest.fixture
def chips() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)


def test_the_face_network_is_the_encoder_before_its_last_layer(chips: np.ndarray) -> None:
    own = body("face-resnet").eval()
    origin = warm_start(own, "face-resnet", "face", "face-resnet")
    assert origin is not None
    assert origin.commercial_use
    known = BACKBONES["face-resnet"]
    x = normalised(torch.from_numpy(chips), False, 3, known.mean, known.std)
    encoder = load_encoder("face-resnet")
    with torch.inference_mode():
        features = own(x).mean((2, 3))
        projected = encoder.network.projection(features).numpy()
    np.testing.assert_allclose(projected, encoder.encode(chips, mirror=False), atol=1e-4)


def test_its_map_is_the_same_network_a_block_earlier(chips: np.ndarray) -> None:
    whole, early = body("face-resnet").eval(), body("face-resnet-map").eval()
    warm_start(whole, "face-resnet", "face", "face-resnet")
    warm_start(early, "face-resnet-map", "face", "face-resnet")
    known = BACKBONES["face-resnet"]
    x = normalised(torch.from_numpy(chips), False, 3, known.mean, known.std)
    with torch.inference_mode():
        seen = early(x)
        torch.testing.assert_close(whole.network.blocks[-1](seen), whole(x))
    assert seen.shape == (2, 256, 4, 4)


def test_efficientnet_is_the_encoder() -> None:
    own = body("efficientnet-lite0").eval()
    warm_start(own, "efficientnet-lite0", "image", "efficientnet-lite0")
    encoder = load_encoder("efficientnet-lite0")
    chips = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    known = BACKBONES["efficientnet-lite0"]
    with torch.inference_mode():
        got = own(normalised(torch.from_numpy(chips), False, 3, known.mean, known.std)).mean((2, 3)).numpy()
    np.testing.assert_allclose(got, encoder.encode(chips, mirror=False), atol=1e-4)


def test_a_file_of_weights(tmp_path: Path, donor: Any, own: Any) -> None:
    path = tmp_path / "resnet.safetensors"
    save_file(
        {**donor.network.state_dict(), "fc.weight": torch.zeros(5, 2048), "fc.bias": torch.zeros(5)}, path
    )
    origin = warm_start(own, "resnet50", "image", str(path))
    np.testing.assert_array_equal(flat(own), flat(donor))
    assert origin is not None
    assert (
        origin.name == f"file-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    )  # not its name, which may be of a person
    assert origin.commercial_use is False
    with pytest.raises(WeightsError, match=r"resnet.safetensors: not the weights of densenet121") as caught:
        warm_start(body("densenet121"), "densenet121", "image", str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dp.pth", "last.ckpt", "checkpoint.pth.tar"])
def test_weights_as_a_training_program_saves_them(tmp_path: Path, name: str, donor: Any, own: Any) -> None:
    state = {f"module.{key}": value for key, value in donor.network.state_dict().items()}
    torch.save({"epoch": 3, "model_state_dict": state}, tmp_path / name)
    warm_start(own, "resnet50", "image", str(tmp_path / name))
    np.testing.assert_array_equal(flat(own), flat(donor))


def test_another_network_of_anthropo(tmp_path: Path) -> None:
    other = nets.network(views=("face", "lower"), grey=True)
    path = tmp_path / "net.anthropo"
    other.save(path)
    own = body("deepgestalt", 1)
    warm_start(own, "deepgestalt", "lower", str(path))
    np.testing.assert_array_equal(flat(own), flat(other.modules[1].body))  # type: ignore[arg-type]
    warm_start(own, "deepgestalt", "upper", str(path))  # a view that it has not: its first
    np.testing.assert_array_equal(flat(own), flat(other.modules[0].body))  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=r"another network \(deepgestalt\) than the backbone face-resnet"):
        warm_start(body("face-resnet"), "face-resnet", "face", str(path))
    with pytest.raises(WeightsError, match="another network"):
        warm_start(body("deepgestalt", 3), "deepgestalt", "face", str(path))  # three channels, not one


def test_the_face_networks_own_file(tmp_path: Path) -> None:
    """What is no table of tensors is refused in one sentence."""
    with pytest.raises(WeightsError, match="not a file of weights") as caught:
        warm_start(body("face-resnet"), "face-resnet", "face", str(locate("face-resnet")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("backbone", "source", "sentence"),
    [
        (
            "deepgestalt",
            "face-resnet",
            "another network than the backbone deepgestalt. Pass changes='backbone=face-resnet'",
        ),
        ("deepgestalt", "imagenet", "only timm's networks have it, not deepgestalt. Pass warm_start='none'"),
        ("face-resnet", "imagenet", "Pass warm_start='face-resnet'"),
        ("deepgestalt", "nowhere.pth", "nowhere.pth: no such file. Choose from none, face-resnet"),
    ],
)
def test_what_does_not_fit(backbone: str, source: str, sentence: str) -> None:
    own = body(backbone, 1 if backbone == "deepgestalt" else 3)
    with pytest.raises(WeightsError, match=sentence):
        warm_start(own, backbone, "face", source)


def test_none_is_random() -> None:
    own = body("deepgestalt", 1)
    before = flat(own)
    assert warm_start(own, "deepgestalt", "face", "none") is None
    np.testing.assert_array_equal(flat(own), before)


def test_imagenet_comes_from_the_cache_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, donor: Any, own: Any
) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        WeightsError, match=r"not in timm's cache, and nothing is downloaded. .+warm_start='FILE'"
    ):
        warm_start(own, "resnet50", "image", "imagenet")
    path = tmp_path / "model.safetensors"
    save_file(
        {**donor.network.state_dict(), "fc.weight": torch.zeros(5, 2048), "fc.bias": torch.zeros(5)}, path
    )
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda _, name: str(tmp_path / name))
    origin = warm_start(own, "resnet50", "image", "imagenet")
    np.testing.assert_array_equal(flat(own), flat(donor))
    assert origin is not None
    assert origin.name.startswith("resnet50.")


def test_no_network_is_ever_asked() -> None:
    """The module opens no connection even where the weights are missing."""
    code = (
        "import socket\n"
        "def no(*a, **k): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = no\nsocket.getaddrinfo = no\n"
        "from anthropo.networks.architectures import body\n"
        "from anthropo.networks.pretrained import warm_start\n"
        "from anthropo.errors import WeightsError\n"
        "try:\n    warm_start(body('densenet121'), 'densenet121', 'image', 'imagenet')\n"
        "except WeightsError:\n    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**_environment(), "HF_HOME": "/nowhere"},
    )
    assert done.stdout == "refused\n", done.stderr


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_every_packaged_warm_start_has_a_body() -> None:
    assert {name for names in FITTING.values() for name in names} <= set(BACKBONES)


def test_the_name_of_a_file_that_training_began_with_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imagenet").mkdir()
    monkeypatch.chdir(tmp_path)
    spec = Spec(task="labels", backbone="resnet50", channels=3, outputs=2, dropout=0, head="linear")
    learned = TrainedViews((), spec, {}, (WeightsRecord(name="file-0123456789ab"),))
    assert began_with("anna.pth", learned) == "file-0123456789ab"  # also where it is there no more
    assert began_with("imagenet", learned) == "imagenet"  # also where a folder is called so
    assert began_with("none", replace(learned, origins=())) == "none"
