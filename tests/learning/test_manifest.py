"""The manifest of a model file: what 0.1.0 wrote is read, and written again as it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from anthropo.errors import ModelError
from anthropo.learning.manifest import Counts, Manifest, PhotoSettings
from anthropo.networks.description import Description, MetadataColumn

_WRITTEN: dict[str, Any] = json.loads(Path(__file__).with_name("manifests_0_1_0.json").read_text())


def _stated(value: Any) -> Any:
    """JSON without the entries that say nothing: null, empty, a figure of no photos."""
    if isinstance(value, dict):
        kept = {k: _stated(v) for k, v in value.items() if not (k == "n" and v == 0)}
        return {k: v for k, v in kept.items() if v is not None and v not in ([], {})}
    return value


@pytest.mark.parametrize("kind", ["model", "network"])
def test_what_0_1_0_wrote_is_written_again(kind: str) -> None:
    written = {key: value for key, value in _WRITTEN[kind].items() if key != "network"}
    again = json.loads(json.dumps(Manifest.from_json(written).to_json(), allow_nan=False))
    assert _stated(again) == _stated(written)
    assert asdict(Manifest.from_json(again)) == asdict(Manifest.from_json(written))


def test_a_network_of_0_1_0_is_written_again() -> None:
    written = _WRITTEN["network"]["network"]
    described = Description.from_json(written)
    again = json.loads(json.dumps(described.to_json(), allow_nan=False))
    assert _stated(again) == _stated(written)
    assert {"recipe", "parameters", "metadata", "spec", "dimension"} <= again.keys()  # 0.1.0 needs them
    assert described.metadata == {"age": MetadataColumn(mean=31.0, sd=7.435436388384631)}
    assert [epoch.epoch for epoch in described.history["image"]] == [1, 2]


def test_entries_are_typed() -> None:
    made = Manifest.from_json(_WRITTEN["model"])
    assert made.cohort.labels["control"] == Counts(photos=40, patients=40)
    assert made.validation.models["hybrid"]["sensitivity"].value == pytest.approx(0.95)
    assert not made.validation.models["hybrid"]["top_5"].known
    assert made.validation.models["hybrid"]["top_5"].reason.startswith("needs more than 5 labels")
    assert (made.settings.face, made.settings.fine, made.settings.jitter) == ("one", True, 16)
    assert made.settings.no_face is False
    assert Manifest.from_json({}) == Manifest()
    assert Manifest().to_json() == {}


def test_further_entries_and_nulls_are_no_error() -> None:
    made = Manifest.from_json({"later": [1], "settings": {"no_face": True, "later": {}}, "labels": None})
    assert made == Manifest(settings=PhotoSettings(no_face=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": None}, "network > recipe is missing"),
        ({"size": 32.0}, "network > size is not of the type int"),
        ({"size": True}, "network > size is not of the type int"),
        ({"metadata": {"age": {"mean": 1.0}}}, "does not say how age becomes a number"),
        ({"metadata": {"age": {"mean": 1.0, "sd": 0}}}, "age > sd is 0, not 1e-12 to 1e"),
        ({"metadata": ["age"]}, "network > metadata is not an object"),
        ({"history": {"image": [{"epoch": 1}]}}, "network > history > image > stage is missing"),
        ({"parameters": {"batch": 0}}, "batch is 0, not 2 to 4,096"),
        ({"parameters": {"images": 0}}, "images is 0, not 1 to 32"),
        ({"parameters": {"loss": 1}}, "network > parameters > loss is not of the type str"),
        ({"spec": {"backbone": 3}}, "network > spec > backbone is not of the type str"),
    ],
)
def test_an_impossible_network_is_refused(change: dict[str, Any], message: str) -> None:
    written = dict(_WRITTEN["network"]["network"])
    for key, value in change.items():
        inner = isinstance(value, dict) and key in ("parameters", "spec")
        written[key] = {**written[key], **value} if inner else value
    with pytest.raises(ModelError, match=message):
        Description.from_json(written)
