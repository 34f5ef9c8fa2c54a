from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from anthropo.errors import InputError, ModelError
from anthropo.networks.architectures import (
    BACKBONES,
    Attributes,
    Cases,
    Classifier,
    DeepGestaltBody,
    Separate,
    Spec,
    body,
    build,
)
from anthropo.networks.network import as_probabilities

LABELS = Spec(task="labels", backbone="deepgestalt", channels=1, outputs=3, dropout=0.5, head="linear")
GRADES = replace(LABELS, task="grades", head="thresholds")
ATTRIBUTES = replace(LABELS, task="attributes", head=None, own=8, attention=True, pose=True, separate=False)
CASES = replace(LABELS, task="cases", head=None, metadata=4)
K = 1024

#: Output sizes and weights of table 2 of Yi et al. 2014, on 100 pixels.
PUBLISHED = {
    "conv11": ((100, 100, 32), 0.28),
    "conv12": ((100, 100, 64), 18),
    "pool1": ((50, 50, 64), 0),
    "conv21": ((50, 50, 64), 36),
    "conv22": ((50, 50, 128), 72),
    "pool2": ((25, 25, 128), 0),
    "conv31": ((25, 25, 96), 108),
    "conv32": ((25, 25, 192), 162),
    "pool3": ((13, 13, 192), 0),
    "conv41": ((13, 13, 128), 216),
    "conv42": ((13, 13, 256), 288),
    "pool4": ((7, 7, 256), 0),
    "conv51": ((7, 7, 160), 360),
    "conv52": ((7, 7, 320), 450),
    "pool5": ((1, 1, 320), 0),
    "fc": ((1, 1, 10575), 3305),
}


def layer_table(outputs: int = 10575, size: int = 100) -> list[tuple[str, tuple[int, int, int], int]]:
    """Name, output size (height, width, channels) and number of weights of DeepGestalt's layers."""
    network = Classifier(DeepGestaltBody(), 320, outputs, "linear", 0.5).eval()
    rows = []
    x = torch.zeros(1, 1, size, size)
    with torch.inference_mode():
        for name, layer in network.body.named_children():
            x = layer(x)
            if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
                h, w = x.shape[2:]
                rows.append((name, (h, w, x.shape[1]), sum(p.numel() for p in layer.parameters())))
        pooled = x.mean((2, 3))
        rows.append(("pool5", (1, 1, pooled.shape[1]), 0))
        y = network.judge(pooled)
    rows.append(("fc", (1, 1, y.shape[1]), sum(p.numel() for p in network.head.parameters())))
    return rows


# ----------------------------------------------------------------------------------------- DeepGestalt


def test_every_layer_is_as_published() -> None:
    table = {name: (size, weights) for name, size, weights in layer_table(10575)}
    assert list(table) == list(PUBLISHED)
    for name, (size, thousands) in PUBLISHED.items():
        assert table[name][0] == size, name
        # printed with two digits or none
        assert round(table[name][1] / K, 2 if thousands < 1 else 0) == thousands, name
    assert round(sum(weights for _, weights in table.values()) / K) == 5015


def test_all_but_the_last_convolution_are_normalised_and_rectified() -> None:
    kinds = [type(layer).__name__ for layer in DeepGestaltBody()]
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds == [*([*block * 2, "MaxPool2d"] * 4), *block, "Conv2d"]
    assert all(layer.bias is None for layer in DeepGestaltBody() if isinstance(layer, torch.nn.Conv2d))


def test_average_pooling_is_over_the_whole_map() -> None:
    network = build(LABELS).eval()
    assert isinstance(network, Classifier)
    x = torch.randn(2, 1, 100, 100)
    with torch.inference_mode():
        pooled = functional.avg_pool2d(network.body(x), 7).flatten(1)
        torch.testing.assert_close(network.features(x), pooled)


# ------------------------------------------------------------------------------------------- the others


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_makes_the_map_that_it_promises(name: str) -> None:
    known = BACKBONES[name]
    channels = 1 if name == "deepgestalt" else 3
    with torch.device("meta"):  # shapes alone: no weight is drawn and nothing is multiplied
        seen = body(name, channels).eval()(torch.zeros(1, channels, known.least, known.least))
    assert seen.ndim == 4
    assert seen.shape[1] == known.dimension
    assert min(seen.shape[2:]) >= 1


def test_channels_and_names_are_checked() -> None:
    with pytest.raises(InputError, match=r"backbone 'vgg': unknown. Choose from deepgestalt"):
        body("vgg")
    with pytest.raises(InputError, match="takes 3 channels"):
        body("face-resnet", 1)


def test_thresholds_stay_in_order_and_make_probabilities() -> None:
    network = build(replace(GRADES, outputs=4))
    head = network.head
    torch.nn.init.normal_(head.steps, std=5)  # whatever training makes of them
    logits = head(torch.randn(50, 320))
    assert (logits.diff(dim=1) <= 0).all()
    p = as_probabilities(logits, "grades", "thresholds", "ordinal")
    assert p.shape == (50, 5)
    assert (p >= 0).all()
    torch.testing.assert_close(p.sum(1), torch.ones(50))


def test_a_higher_score_is_a_higher_grade() -> None:
    head = build(replace(GRADES, outputs=2)).head
    torch.nn.init.ones_(head.score.weight)
    scores = torch.linspace(-5, 5, 21)[:, None].expand(-1, 320) / 320
    p = as_probabilities(head(scores), "grades", "thresholds", "ordinal")
    expected = (p * torch.arange(3)).sum(1)
    assert (expected.diff() > 0).all()
    assert p[0].argmax() == 0
    assert p[-1].argmax() == 2


def test_each_attribute_looks_where_its_attention_is() -> None:
    network = build(ATTRIBUTES).eval()
    assert isinstance(network, Attributes)
    x = torch.randn(2, 1, 64, 64)
    outputs, pose, places = network.everything(x)
    assert outputs.shape == (2, 3)
    assert pose is not None
    assert pose.shape == (2, 3)
    assert places.shape == (2, 3, 4, 4)
    torch.testing.assert_close(places.sum((2, 3)), torch.ones(2, 3))
    # attention at one place alone: what is elsewhere no longer counts
    assert network.attention is not None
    torch.nn.init.normal_(network.attention.weight, std=100)
    seen = network.body(x)
    _, _, sharp = network.everything(x)
    at = sharp[0, 0].flatten().argmax()
    if sharp[0, 0].max() > 0.999:
        looked = torch.einsum("hw,dhw->d", sharp[0, 0], seen[0])
        torch.testing.assert_close(looked, seen[0].flatten(1)[:, at], rtol=1e-2, atol=1e-2)


def test_without_attention_all_places_count_alike() -> None:
    network = build(replace(ATTRIBUTES, attention=False, pose=False)).eval()
    assert isinstance(network, Attributes)
    outputs, pose, places = network.everything(torch.randn(1, 1, 32, 32))
    assert pose is None
    torch.testing.assert_close(places, torch.full_like(places, 1 / 4))
    assert outputs.shape == (1, 3)


def test_separate_networks_share_nothing() -> None:
    network = build(replace(ATTRIBUTES, separate=True))
    assert isinstance(network, Separate)
    x = torch.randn(2, 1, 32, 32)
    network(x)[:, 0].sum().backward()
    learned = [any(p.grad.any() for p in own.parameters() if p.grad is not None) for own in network.networks]
    assert learned == [True, False, False]
    one = sum(p.numel() for p in build(replace(ATTRIBUTES, outputs=1)).parameters())
    assert sum(p.numel() for p in network.parameters()) == 3 * one


def test_a_case_is_the_mean_of_the_pictures_that_exist() -> None:
    network = build(CASES).eval()
    assert isinstance(network, Cases)
    x = torch.randn(2, 3, 1, 32, 32)
    present = torch.tensor([[True, True, False], [True, False, False]])
    got = network.features(x, present)
    torch.testing.assert_close(got[0], network.features(x[0, :2]).mean(0))
    torch.testing.assert_close(got[1], network.features(x[1, :1])[0])
    x[0, 2] = 1000.0  # what does not exist is not looked at
    torch.testing.assert_close(network.features(x, present), got)


def test_missing_metadata_is_told_from_zero() -> None:
    network = build(CASES).eval()
    assert isinstance(network, Cases)
    features = torch.randn(1, 320)
    missing = torch.tensor([[0.0, 1.0, 0.0, 1.0]])
    torch.testing.assert_close(network.judge(features), network.judge(features, missing))
    assert not torch.allclose(network.judge(features), network.judge(features, torch.zeros(1, 4)))


# -------------------------------------------------------------------------------------- from descriptions


@pytest.mark.parametrize("spec", [LABELS, replace(LABELS, head="convolution"), GRADES, ATTRIBUTES, CASES])
def test_every_network_learns_from_every_weight(spec: Spec) -> None:
    network = build(spec)
    x = torch.randn(4, 1, 32, 32)
    out = network.everything(x)[:2] if isinstance(network, Attributes) else (network(x),)
    sum((o**2).sum() for o in out).backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize(
    "change",
    [
        {"task": "poetry"},
        {"channels": 2},
        {"backbone": "vgg"},
        {"own": 8},
        {"head": None},
    ],
)
def test_a_made_up_description_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="its description of the network"):
        build(replace(LABELS, **change))
