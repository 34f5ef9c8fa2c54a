"""ONNX files: torch's answers to rounding, for every kind of network and any number of photos."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nets
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from anthropo.encoder.runtime import open_session
from anthropo.errors import InputError, ModelError, WeightsError
from anthropo.networks import export as module
from anthropo.networks.bench import has_int8_products
from anthropo.networks.bench_worker import EMBEDDING, METADATA, PICTURES, PROBABILITIES
from anthropo.networks.export import TOLERANCE, export, feeds
from anthropo.networks.network import Network
from anthropo.parallel.threads import network_threads

KINDS: dict[str, dict[str, Any]] = {
    "labels": {},
    "grey": {"grey": True},
    "grey of three channels": {"grey": True, "channels": 3},
    "grades": {"task": "grades"},
    "attributes": {"task": "attributes"},
    "a network per attribute": {
        "task": "attributes", "separate": True, "attention": False, "pose": False, "views": ("face",)
    },
    "cases": {"task": "cases"},
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with network_threads(1):
        yield


def photos(network: Network, n: int, seed: int = 0) -> NDArray[np.uint8]:
    depth = 3 if network.task == "cases" else len(network.views)
    random, shape = np.random.default_rng(seed), (n, depth, nets.SIZE, nets.SIZE, 3)
    contrast = np.linspace(0.1, 1, n).reshape(-1, 1, 1, 1, 1)
    return (110 + random.integers(-110, 140, shape) * contrast).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_the_network(kind: str, tmp_path: Path) -> None:
    network = nets.network(**KINDS[kind])
    path = tmp_path / "net.onnx"
    made = export(network, path, source="abc")
    assert made.size == path.stat().st_size
    assert max(made.difference, made.embedding_difference) <= TOLERANCE
    session = open_session(str(path), 1)
    for n in (1, 5):
        pictures = photos(network, n)
        metadata = None
        if network.task == "cases":
            pictures[0, 1:] = 0
            metadata = np.random.default_rng(1).normal(size=(n, 4)).astype(np.float32)
        probabilities, embedding = session.run([PROBABILITIES, EMBEDDING], feeds(network, pictures, metadata))
        if network.task == "cases":
            wanted = network.probabilities({"image": pictures}, metadata)
        else:
            views = {name: pictures[:, i] for i, name in enumerate(network.views)}
            wanted = network.probabilities(views)
            np.testing.assert_allclose(embedding, network.embed(views), atol=1e-4 * np.abs(embedding).max())
        np.testing.assert_allclose(probabilities, wanted, atol=TOLERANCE)
        assert probabilities.shape == (n, 3)
        if n == 5:
            assert np.ptp(probabilities, axis=0).max() > 0.01  # or any file would do


def test_metadata_that_are_missing_are_as_in_the_network(tmp_path: Path) -> None:
    network = nets.network("cases")
    export(network, tmp_path / "net.onnx")
    pictures = photos(network, 2)
    given = feeds(network, pictures)
    assert list(given) == [PICTURES, METADATA]
    found = open_session(str(tmp_path / "net.onnx"), 1).run([PROBABILITIES], given)[0]
    np.testing.assert_allclose(found, network.probabilities({"image": pictures}), atol=TOLERANCE)


def test_the_file_says_what_it_needs(tmp_path: Path) -> None:
    export(nets.network(grey=True), tmp_path / "net.onnx", source="abc")
    model = onnx.load(tmp_path / "net.onnx")
    said = {p.key: p.value for p in model.metadata_props}
    assert json.loads(said["labels"]) == ["a", "b", "c"]
    assert json.loads(said["views"]) == ["face", "mouth"]
    assert (said["size"], said["grey"], said["alignment"]) == ("48", "true", "mean-face")
    assert (said["network_sha256"], said["precision"]) == ("abc", "float32")
    (pictures,) = model.graph.input
    shape = [d.dim_param or d.dim_value for d in pictures.type.tensor_type.shape.dim]
    assert shape == ["n", 2, 48, 48, 3]
    assert pictures.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_int8_is_a_quarter_and_close(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = nets.network(views=("face",))
    plain = export(network, tmp_path / "plain.onnx")
    # sums of two products overflow 16 bits, and are cut, on processors without instructions for them
    most = 0.01 if has_int8_products() else 0.03
    for by in (None, photos(network, 8)):
        made = export(network, tmp_path / "int8.onnx", int8=True, photos=by)
        assert made.size < plain.size / 3
        assert 1e-5 < made.embedding_difference < most
    assert made.compared == 8
    model = onnx.load(tmp_path / "int8.onnx")
    assert {p.key: p.value for p in model.metadata_props}["precision"] == "int8"
    # the layers are integers, what comes before and after them is not
    made_by = {out: node for node in model.graph.node for out in node.output}
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert made_by[node.input[0]].op_type == made_by[node.input[1]].op_type == "DequantizeLinear"
        if node.op_type in ("Softmax", "MatMul"):
            assert made_by[node.input[0]].op_type != "DequantizeLinear"
    fresh = photos(network, 6, seed=9)
    session = open_session(str(tmp_path / "int8.onnx"), 1)
    found = session.run([EMBEDDING], {PICTURES: fresh})[0]
    wanted = network.embed({"face": fresh[:, 0]})
    np.testing.assert_allclose(found, wanted, atol=0.02 * wanted.max())
    assert capfd.readouterr() == ("", "")


def test_answers_that_differ_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Graph, "_probabilities", lambda self, outputs: outputs.sigmoid())
    with pytest.raises(ModelError, match=r"net\.onnx: not written, since its answers would differ"):
        export(nets.network(grey=True), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"net\.onnx: cannot be written"):
        export(nets.network(), tmp_path / "none" / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(WeightsError, match=r'Install them with `pip install "anthropo\[cnn\]"`\.'):
        export(nets.network(), tmp_path / "net.onnx")
