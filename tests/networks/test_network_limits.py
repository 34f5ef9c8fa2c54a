"""A network's file is refused as a whole, in one sentence, before a layer is made of what it says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from nets import network

from anthropo.errors import ModelError
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.networks.architectures import BACKBONES, Spec, body, check_size
from anthropo.networks.network import Network, flat


def spec(**change: Any) -> dict[str, Any]:
    return {"spec": change}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bundle]:
    """saved(task): what is in the file of a network of that task."""
    path = tmp_path_factory.mktemp("saved") / "net.anthropo"

    @cache
    def read(task: str) -> Bundle:
        network(task).save(path)
        return read_bundle(path)

    return read


@pytest.mark.parametrize(
    ("task", "change", "labels", "message"),
    [
        ("labels", {"size": 2048}, None, "size is 2048, not 32 to 1,024"),
        ("labels", {"size": 31}, None, "size is 31, not 32"),
        ("labels", {"dimension": 321}, None, "another dimension than its layers"),
        ("labels", {"views": ["image", "face"]}, None, "at image and at regions"),
        ("labels", {"views": ["image"]}, None, "need a face where its settings do not"),
        ("labels", {"learned_from": ["photo.jpg"]}, None, "not 16 hexadecimal digits"),
        ("labels", {"history": {"elbow": []}}, None, "none of the views"),
        ("labels", {"weights": 1}, None, "and states 1"),
        ("labels", {"grey": True}, None, "another number"),
        (
            "labels",
            spec(backbone="inception_v3") | {"dimension": 2048},
            None,
            "too small for inception_v3, which needs 75",
        ),
        ("labels", spec(outputs=65_536), None, "outputs is 65536, not 1 to 5,000"),
        ("labels", spec(outputs=0), None, "outputs is 0, not 1 to 5,000"),
        ("labels", spec(dropout=1.5), None, "dropout is 1.5, not 0 to 0.95"),
        ("labels", spec(head="hydra"), None, "head is 'hydra', not linear"),
        ("labels", spec(task=["labels"]), None, "task is not of the type str"),
        ("labels", spec(task="grades"), None, "its layers are of the task grades"),
        ("labels", spec(own=8), None, "description of the network is damaged"),
        ("attributes", spec(separate=True, outputs=2000), 2000, "another dimension"),
        ("attributes", spec(own=4096, outputs=3000), 3000, "weights are too many, 200,000,000 is the most"),
        ("attributes", spec(separate=True) | {"dimension": 640_000}, 2000, "weights are too many"),
        ("cases", spec(metadata=6), None, "not as many numbers"),
        ("cases", {"metadata": {"age": {"mean": 30.0, "sd": 10.0}}}, None, "not as many numbers"),
        ("cases", {"parameters": {"batch": 1}}, None, "batch is 1, not 2 to 4,096"),
    ],
)
def test_a_network_is_refused_before_a_layer_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    saved: Callable[[str], Bundle],
    task: str,
    change: dict[str, Any],
    labels: int | None,
    message: str,
) -> None:
    path = tmp_path / "net.anthropo"
    bundle = saved(task)
    about = copy.deepcopy(bundle.manifest["network"])
    for key, value in change.items():
        inner = key in ("spec", "parameters")
        about[key] = {**about[key], **value} if inner else value
    more: dict[str, Any] = {}
    if labels is not None:
        more["labels"] = [f"l{i}" for i in range(labels)]
        about["spec"]["outputs"] = labels
    write_bundle(path, Bundle({**bundle.manifest, **more, "network": about}, bundle.arrays))
    if "states" not in message:
        monkeypatch.setattr("anthropo.networks.network.build", None)
    with pytest.raises(ModelError, match=message) as caught:
        Network.load(path)
    assert str(caught.value).startswith(f"{path}: the network does not fit together (")


def test_weights_that_answer_nothing_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.anthropo"
    made = network()
    made.save(path)
    bundle = read_bundle(path)
    with torch.no_grad():
        made.modules[0].body.norm11.running_var.fill_(-1.0)  # type: ignore[union-attr, operator]
    write_bundle(path, Bundle(bundle.manifest, {**bundle.arrays, "weights/face": flat(made.modules[0])}))
    with pytest.raises(ModelError, match="answers that are no numbers"):
        Network.load(path)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_weights_of_a_backbone_are_as_many_as_stated(backbone: str) -> None:
    with torch.device("meta"):
        tensors = body(backbone).state_dict().values()
    assert sum(t.numel() for t in tensors if t.is_floating_point()) == BACKBONES[backbone].weights


def test_more_weights_than_the_limit_are_refused() -> None:
    spec = Spec(task="labels", backbone="resnet50", channels=3, outputs=5000, dropout=0.5, head="linear")
    check_size(spec, views=5, size=1024)
    with pytest.raises(ModelError, match="236,643,064 weights are too many"):
        check_size(spec, views=7, size=224)
