"""What computes embeddings: ONNX Runtime as torch does, torch where it is missing, and pickled by name."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import anthropo
from anthropo.encoder import backends, encoders
from anthropo.encoder.encoders import ChipEncoder, load_encoder
from anthropo.encoder.onnx_graph import Graph
from anthropo.encoder.regions import REGIONS, crops
from anthropo.encoder.resnet_graph import embedding_graph
from anthropo.encoder.resnet_weights import read_weights
from anthropo.encoder.runtime import open_session
from anthropo.errors import WeightsError
from anthropo.face.weights import locate

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def chips() -> Pixels:
    """Every region of the astronaut's face, and noise."""
    seen = anthropo.observe(anthropo.example_photo())
    noise = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)
    return np.concatenate([crops(seen.photo, seen.face, list(REGIONS), 150), noise])


def without_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where ONNX Runtime is not installed."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    encoders._packaged_face.cache_clear()


def test_onnx_runtime_gives_what_torch_gives(chips: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder()
    ours = encoder.encode(chips).astype(np.float64)
    without_runtime(monkeypatch)
    theirs = load_encoder().encode(chips).astype(np.float64)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.min() > 1 - 1e-9  # 1e-5 is wanted; both add the same numbers up, in single precision
    np.testing.assert_allclose(ours, theirs, atol=3e-6)
    assert np.abs(ours - theirs).max() > 0  # it was not torch both times


def test_a_broken_installation_counts_as_none(chips: Pixels, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('its library does not load')")
    np.save(tmp_path / "chips.npy", chips[:2])
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import numpy as np, anthropo;"
        f"found = anthropo.load_encoder().encode(np.load({str(tmp_path / 'chips.npy')!r}));"
        f"np.save({str(tmp_path / 'found.npy')!r}, found); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "True"
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), load_encoder().encode(chips[:2]), atol=3e-6)


def test_no_torch_for_embeddings() -> None:
    code = (
        "import sys, numpy as np, anthropo;"
        "anthropo.load_encoder().encode(np.zeros((1, 150, 150, 3), np.uint8));"
        "print([m for m in ('torch', 'onnx', 'timm') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_threads_change_nothing(chips: Pixels) -> None:
    encoder = load_encoder()
    alone = encoder.encode(chips[:4])
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: encoder.encode(chips[:4]), range(8)):
            np.testing.assert_array_equal(found, alone)


# --------------------------------------------------------------------------------------- the graph


def test_the_graph_is_one_of_onnx() -> None:
    model = onnx.load_from_string(embedding_graph(read_weights(locate("face-resnet").read_bytes())))
    onnx.checker.check_model(model, full_check=True)
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 29


def test_numbers_of_any_size_are_written() -> None:
    graph = Graph()
    x = graph.input("x", ("n", 300))
    wide = np.arange(300 * 200, dtype=np.float32).reshape(200, 300).T  # neither small, nor in C order
    graph.output(graph.node("MatMul", x, graph.constant(wide)), "y", ("n", 200))
    data = graph.to_bytes()
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    given = np.eye(300, dtype=np.float32)
    np.testing.assert_array_equal(open_session(data).run(["y"], {"x": given})[0], wide)


# ------------------------------------------------------------------------------------------ pickling


def _embedded(encoder: ChipEncoder, chips: Pixels) -> NDArray[np.float32]:
    return encoder.encode(chips)


def test_an_encoder_travels_by_name(chips: Pixels) -> None:
    encoder = replace(load_encoder(), align="similarity")
    data = pickle.dumps(encoder)
    assert len(data) < 1000
    back = pickle.loads(data)
    assert (back.digest, back.align, back.name) == (encoder.digest, "similarity", "face-resnet")
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        there = pool.submit(_embedded, encoder, chips[:2]).result(timeout=120)
    np.testing.assert_array_equal(there, encoder.encode(chips[:2]))


def test_own_weights_travel_by_their_file(
    chips: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(locate("face-resnet").read_bytes())
    data[data.index(b"con_4") + 40] ^= 1
    path = tmp_path / "own.dat"
    path.write_bytes(data)
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(load_encoder(weights="own.dat"))
    monkeypatch.chdir("/")
    assert pickle.loads(pickled).encode(chips[:1]).shape == (1, 128)
    data[data.index(b"con_4") + 44] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"own\.dat: other weights, or another version"):
        pickle.loads(pickled)


# ------------------------------------------------------------------------------------------ gradients


def test_gradients_are_those_of_torch(chips: Pixels) -> None:
    backend = load_encoder().backend
    wanted = np.random.default_rng(1).normal(size=(len(chips), 128)).astype(np.float32)
    for one in (backend, backend.randomised(3)):
        seen = one.early(chips)
        expected = backends.Backend.early(one, chips)  # in torch
        np.testing.assert_allclose(seen, expected, atol=2e-6 * np.abs(expected).max())
        found = one.gradient(seen, lambda _: wanted)
        theirs = backends.Backend.gradient(one, seen, lambda _: wanted)
        np.testing.assert_allclose(found, theirs, atol=1e-5 * np.abs(theirs).max())
        assert np.abs(found).max() > 0


def test_a_shuffled_network_knows_nothing(chips: Pixels) -> None:
    encoder = load_encoder()
    own, other = encoder.encode(chips), encoder.randomised(3).encode(chips)
    assert np.abs(own - other).max() > 0.01
    np.testing.assert_array_equal(other, encoder.randomised(3).encode(chips))
    assert not np.array_equal(other, encoder.randomised(4).encode(chips))
    assert not encoder.randomised(3).digest
