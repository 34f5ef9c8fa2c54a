"""A model's file is refused as a whole, in one sentence, before anything is made of what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated import ENCODER, simulated

from anthropo.errors import ModelError
from anthropo.learning import hybrid, states
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.model import Options
from anthropo.learning.trained import Trained
from anthropo.learning.training import make_trained
from anthropo.settings import Settings
from anthropo.workflows import inspect

Change = Callable[[dict[str, Any], dict[str, Any]], Any]  # of a manifest and arrays


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small model with every part: trees, novelty, gallery, profile."""
    path = tmp_path_factory.mktemp("sound") / "m.anthropo"
    options = Options(classifier="xgboost", metadata=("age",), min_patients=5)
    people = {"a": 12, "control": 12, "rare": 3}
    n = sum(people.values())
    features = simulated(people, metadata={"age": np.arange(n, dtype=float)})
    make_trained(features, options, "labels", ENCODER, Settings()).save(path)
    return read_bundle(path)


def altered(sound: Bundle, path: Path, change: Change) -> Path:
    manifest = {**sound.manifest, "model": {**sound.manifest["model"]}}
    for part in ("classifier", "novelty", "gallery", "profile"):
        manifest["model"][part] = dict(manifest["model"][part])
    manifest |= {key: dict(manifest[key]) for key in ("encoder", "settings")}
    arrays = dict(sound.arrays)
    change(manifest, arrays)
    write_bundle(path, Bundle(manifest, arrays))
    return path


def refusal(path: Path) -> str:
    said = []
    for use in (Trained.load, inspect):
        with pytest.raises(ModelError) as caught:
            use(path)
        said.append(str(caught.value))
    assert said[0] == said[1]  # the same for every use
    assert said[0].startswith(f"{path}: ")
    assert "\n" not in said[0]
    assert said[0].isprintable()
    return said[0]


def of(part: str, **entries: Any) -> Change:
    return lambda m, a: m["model"][part].update(entries)


def sized(part: str, length: int) -> Change:
    """The embedding of one region is stated to have another length."""

    def change(manifest: dict[str, Any], arrays: dict[str, Any]) -> None:
        stated = manifest["model"][part]
        stated["regions"] = {**stated["regions"], "face": length}

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of("novelty", measurements=["elbow_width"]), "names 'elbow_width', which is none of the"),
        (of("profile", measurements=["x"] * 4), "has 'x' twice"),
        (of("classifier", measurements=["mm"]), "none of the measurements of this version"),
        (of("classifier", classes=["a", {"b": 1}]), "classes is not of the type str"),
        (of("classifier", classes=["a", "a"]), "has 'a' twice"),
        (of("classifier", regions={f"r{i}": 12 for i in range(100_000)}), "100,000 entries, not 0 to 128"),
        (of("classifier", regions={"elbow": 12}), "none of the regions of the manifest"),
        (sized("classifier", 13), "frequencies is missing or of another shape than (f d): 12 where 13 are"),
        (sized("novelty", 13), "mean is missing or of another shape than (d): 12 where 13 are needed"),
        (of("classifier", metadata=["meta:weight"]), "none of the metadata of the manifest"),
        (of("classifier", origin=["nasal_index"]), "none of the measurements or metadata"),
        (of("classifier", category=[None]), "do not fit together"),
        (of("classifier", controls="b"), "none of the classes"),
        (of("classifier", measured="forest"), "not trees, machine, kernelmachine or none"),
        (of("gallery", slope=1e6), "slope is 1000000.0, not 0 to 300"),
        (of("gallery", labels=["a"]), "its gallery has the label a, which is trained"),
        (of("profile", patients=[1]), "how many patients"),
        (lambda m, a: m["model"].update(task=["labels"]), "unknown kind"),
        (lambda m, a: m["model"].update(error_rate=2), "error_rate is 2, not 0 to 1"),
        (lambda m, a: m["model"].update(alarm=True), "alarm is not of the type float"),
        (lambda m, a: m.update(labels=["control", "a", "rare"]), "others in its manifest"),
        (lambda m, a: m.update(metadata_kinds={}), "whether age is a number"),
        (lambda m, a: m.pop("model"), "its description is missing"),
        (lambda m, a: m["encoder"].update(dimension=13), "its region face has 12 numbers, and the"),
        (lambda m, a: m["encoder"].update(name="elbow"), "its encoder is 'elbow', not face-resnet"),
        (lambda m, a: m["settings"].update(jitter=7), "neither 1 nor even"),
        (lambda m, a: m["settings"].update(no_face=True), "its regions are none of image"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_rest(sound: Bundle, tmp_path: Path, change: Change, message: str) -> None:
    assert message in refusal(altered(sound, tmp_path / "m.anthropo", change))


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("metadata_kinds", {"age": {}}, "metadata_kinds > age is not of the type str"),
        ("metadata_kinds", {"age": "colour"}, "is 'colour', not number or category"),
        ("task", ["binary"], "task is not of the type str"),
        ("task", "guess", "is 'guess', not binary"),
        ("positive", "b", "names 'b', which is none of the labels"),
        ("labels", [f"l{i}" for i in range(6000)], "labels has 6,000 entries, not 0 to 5,000"),
        ("labels", ["x" * 501], "has 501 characters, not 1 to 500"),
        ("title", "x" * 5000, "more than 4,000 characters"),
        ("seed", 1 << 60, "out of range"),
        ("conformal", {"error": -1}, "error is -1, not 0 to 1"),
    ],
)
def test_a_manifest_that_is_never_written(
    sound: Bundle, tmp_path: Path, entry: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_bundle(tmp_path / "m.anthropo", Bundle({**sound.manifest, entry: value}, sound.arrays))


def put(name: str, value: float) -> Change:
    """The first number of an array is another."""

    def change(manifest: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name].flat[0] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("classifier/spread", 0), "array spread holds a number that is not"),
        (put("classifier/slopes", -1), "array slopes"),
        (put("classifier/mean", np.nan), "array mean holds infinity or NaN"),
        (put("novelty/medians", 0), "array medians"),
        (put("sets/0", 1.5), "array sets/0 holds a number that is not 0 to 1"),
        (put("profile/quantiles", 1e9), "quantiles that do not ascend"),
        (put("gallery/prior", 0), "array gallery/prior"),
        (put("gallery/owner", 5), "a label without a patient"),
        (put("classifier/trees/cover", 0), "a node covers nothing"),
        (put("classifier/trees/value", 1e30), "a value is not finite or beyond 1e+09"),
        (lambda m, a: a.update({"novelty/rank": np.zeros(0)}), "array rank has an impossible length (0)"),
        (lambda m, a: a.update({"novelty/rank": np.zeros(3, np.int8)}), "array rank holds int8"),
    ],
)
def test_numbers_that_give_none(sound: Bundle, tmp_path: Path, change: Change, message: str) -> None:
    assert message in refusal(altered(sound, tmp_path / "m.anthropo", change))


def test_more_numbers_than_any_model_has(
    sound: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = sum(array.size for array in sound.arrays.values() if array.dtype != np.uint8)
    monkeypatch.setattr("anthropo.learning.schema.MOST_NUMBERS", total + 999)
    more = altered(sound, tmp_path / "m.anthropo", lambda m, a: a.update({"more": np.zeros(1000)}))
    assert f"its arrays hold {total + 1000:,} numbers" in refusal(more)


def test_nothing_is_made_before_all_is_checked(
    sound: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("columns were made of a file that is refused")

    monkeypatch.setattr(hybrid.Columns, "sized", never)
    path = tmp_path / "m.anthropo"
    assert "12 where 32,768 are needed" in refusal(altered(sound, path, sized("classifier", 1 << 15)))
    with pytest.raises(AssertionError):
        Trained.load(altered(sound, path, lambda m, a: None))


def test_every_array_that_is_written_has_its_limits(sound: Bundle) -> None:
    groups = (
        states.CLASSIFIER, states.REGION, states.NOVELTY, states.SCALE, states.PART, states.GALLERY,
        states.PROFILE, states.COMPOSITES,
    )  # fmt: skip
    known = {array.name for group in groups for array in group}
    written = {name for name in sound.arrays if "trees/" not in name and not name.startswith("sets/")}
    assert {name.rpartition("/")[2] for name in written} <= known
