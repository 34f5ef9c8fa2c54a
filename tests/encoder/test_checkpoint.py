"""Weights in the layouts in which training programs save them."""

from __future__ import annotations

import argparse
import io
import itertools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from anthropo.encoder.checkpoint import fill_state, read_state
from anthropo.errors import WeightsError

PREFIXES = ("module.", "model.", "_orig_mod.", "net.")
KEYS = ("state_dict", "model_state_dict", "model", "net", "ema")


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    inner = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4)))
    return nn.Sequential(OrderedDict(model=inner, fc=nn.Linear(4, 2)))  # its own names begin like a wrapper's


WEIGHTS = network(1).state_dict()


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def read(content: object, dropped: tuple[str, ...] = ("fc",)) -> dict[str, Any]:
    own = network(2)
    before = {key: value.clone() for key, value in own.state_dict().items()}
    fill_state(own, read_state(saved(content), "w.pth"), "w.pth", "net", dropped)
    after = own.state_dict()
    for key, value in after.items():
        torch.testing.assert_close(value, (before if key.startswith(dropped) else WEIGHTS)[key])
    return after


def wrapped(prefix: str) -> dict[str, Any]:
    return {prefix + key: value for key, value in WEIGHTS.items()}


@pytest.mark.parametrize(
    "prefixes", [p for n in range(4) for p in itertools.product(PREFIXES, repeat=n) if len({*p}) == n]
)
def test_every_nesting_of_prefixes(prefixes: tuple[str, ...]) -> None:
    prefix = "".join(prefixes)
    read(wrapped(prefix))
    read(wrapped(prefix), dropped=())
    beside = {"optimiser.step": torch.zeros(1)} if prefixes and prefixes != ("_orig_mod.",) else {}
    read({**wrapped(prefix), **beside})


@given(
    st.lists(st.sampled_from(PREFIXES), max_size=4),
    st.lists(st.sampled_from(KEYS), max_size=2),
    st.booleans(),
)
def test_every_prefix_under_every_key(prefixes: list[str], keys: list[str], others: bool) -> None:
    content: Any = wrapped("".join(prefixes))
    for key in keys:
        content = {key: content}
        if others:
            content = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "optimizer": {"state": {}}} | content
    read(content)


def test_a_compiled_part_has_its_prefix_inside() -> None:
    read({key.replace("model.", "model._orig_mod."): value for key, value in WEIGHTS.items()})


def test_of_several_tables_the_first_that_fits() -> None:
    other = {key: value + 1 for key, value in WEIGHTS.items()}
    read({"ema": other, "model": WEIGHTS})
    read({"model": {"teacher.w": torch.zeros(1)}, "ema": WEIGHTS})


def test_an_old_file_without_counters() -> None:
    own = network(2)
    old = {key: value for key, value in WEIGHTS.items() if not key.endswith("num_batches_tracked")}
    fill_state(own, read_state(saved(old), "w.pth"), "w.pth", "net", ())
    torch.testing.assert_close(own.state_dict()["model.bn.running_var"], WEIGHTS["model.bn.running_var"])


@pytest.mark.parametrize(
    ("content", "listed"),
    [
        ({"generator": dict(WEIGHTS), "epoch": 3}, "generator (table of 9), epoch (int)"),
        ({"state_dict": {}}, "state_dict (table of 0)"),
        ({f"a{i}": i for i in range(9)}, ", ".join(f"a{i} (int)" for i in range(6)) + " and 3 more"),
        ({}, "nothing"),
        ([1, 2], "a list"),
        ({"a\nb\x1b[2J": 1}, r"'a\nb\x1b[2J' (int)"),
    ],
)  # fmt: skip
def test_an_unknown_layout_lists_what_is_there(content: object, listed: str) -> None:
    with pytest.raises(WeightsError) as caught:
        read(content)
    assert str(caught.value).startswith(
        "w.pth: not a table of named tensors, nor a checkpoint with one under "
    )
    assert f" it holds {listed}. " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["tower.conv.weight", "tower.\n\x1b[2Jconv"])
def test_names_of_another_network_are_listed(key: str) -> None:
    with pytest.raises(
        WeightsError, match=r"w\.pth: not the weights of net \(no model\.bn\.bias, "
    ) as caught:
        read({"state_dict": {key: torch.zeros(1)}})
    assert "; the file holds " in str(caught.value)
    assert "tower." in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_name_of_very_many_wrappers_is_soon_refused() -> None:
    with pytest.raises(WeightsError, match="not the weights of net"):
        read({"model." * 100_000 + str(i): torch.zeros(1) for i in range(20)})


def test_a_whole_module_is_refused_and_not_executed(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds other things than tensors") as caught:
        read_state(saved(network(1)), "w.pth")
    assert "\n" not in str(caught.value)
