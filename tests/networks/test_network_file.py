from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from simulated_model import hybrid_model

from anthropo.errors import ModelError
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.manifest import Manifest
from anthropo.learning.trained import Trained
from anthropo.networks.architectures import BACKBONES, Spec, build
from anthropo.networks.description import Description
from anthropo.networks.network import Network, fill, flat, layout, normalised
from anthropo.networks.recipes import load_recipe

LABELS = Spec(task="labels", backbone="deepgestalt", channels=1, outputs=3, dropout=0.5, head="linear")


def network(spec: Spec = LABELS, views: tuple[str, ...] = ("face", "lower"), **changes: Any) -> Network:
    """A network with random weights that knows a, b and c."""
    backbone = BACKBONES[spec.backbone]
    torch.manual_seed(0)
    about = Description(
        recipe="deepgestalt",
        parameters=load_recipe("deepgestalt").parameters,
        spec=spec,
        views=views,
        size=32,
        grey=True,
        mean=backbone.mean,
        std=backbone.std,
        alignment="mean-face",
        crops="in-place",
        dimension=backbone.dimension,
        metadata=None,
    )
    manifest = Manifest(task="multiclass", labels=("a", "b", "c"))
    return Network(manifest, replace(about, **changes), tuple(build(spec).eval() for _ in views))


@pytest.fixture
def chips() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {view: random.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8) for view in ("face", "lower")}


def test_what_was_saved_answers_alike(tmp_path: Path, chips: dict[str, np.ndarray]) -> None:
    made = network()
    path = tmp_path / "net.anthropo"
    made.save(path)
    again = Network.load(path)
    assert (again.labels, again.views, again.size, again.task) == (
        ("a", "b", "c"),
        ("face", "lower"),
        32,
        "labels",
    )
    assert again.parameters == made.parameters
    np.testing.assert_array_equal(again.probabilities(chips), made.probabilities(chips))
    again.save(tmp_path / "again.anthropo")
    assert (tmp_path / "again.anthropo").read_bytes() == path.read_bytes()


def test_views_are_averaged(chips: dict[str, np.ndarray]) -> None:
    made = network()
    each = [made.probabilities({view: chips[view]}) for view in made.views]
    np.testing.assert_allclose(made.probabilities(chips), np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(made.probabilities(chips).sum(1), 1, atol=1e-6)
    assert made.logits(chips).shape == (2, 5, 3)
    assert made.embed(chips).shape == (5, 640)
    np.testing.assert_array_equal(made.embed({"lower": chips["lower"]}), made.embed(chips)[:, 320:])
    # how many are looked at together changes nothing
    np.testing.assert_allclose(made.probabilities(chips, batch=2), made.probabilities(chips), atol=1e-6)
    with pytest.raises(ValueError, match="looks at face, lower"):
        made.embed({"nose": chips["face"]})
    with pytest.raises(ValueError, match="uint8"):
        made.embed({"face": chips["face"].astype(float)})


def test_nobody_is_no_error() -> None:
    made = network()
    nothing = {view: np.empty((0, 32, 32, 3), np.uint8) for view in made.views}
    assert made.probabilities(nothing).shape == (0, 3)
    assert made.embed(nothing).shape == (0, 640)


def test_cases_of_several_pictures(chips: dict[str, np.ndarray]) -> None:
    spec = Spec(task="cases", backbone="deepgestalt", channels=3, outputs=3, dropout=0.1, metadata=2)
    made = network(spec, ("image",), grey=False)
    single = chips["face"]
    several = np.zeros((5, 3, 32, 32, 3), np.uint8)
    several[:, 0] = single  # two more do not exist
    known = np.array([[1.0, 0.0]] * 5, np.float32)
    one = made.probabilities({"image": single}, known)
    np.testing.assert_allclose(made.probabilities({"image": several}, known), one, atol=1e-6)
    assert np.abs(made.probabilities({"image": single}) - one).max() > 1e-4


def test_grey_is_luma_and_colours_are_kept_apart() -> None:
    pixel = torch.tensor([[[[100, 50, 200]]]], dtype=torch.uint8)
    grey = normalised(pixel, True, 1, (0, 0, 0), (1, 1, 1))
    assert grey.shape == (1, 1, 1, 1)
    assert float(grey) == pytest.approx(0.299 * 100 + 0.587 * 50 + 0.114 * 200)
    # a body that takes three channels gets the grey thrice
    assert normalised(pixel, True, 3, (0, 0, 0), (1, 1, 1)).flatten().tolist() == pytest.approx(
        [float(grey)] * 3
    )
    colours = normalised(pixel, False, 3, (100, 0, 0), (1, 50, 100)).flatten().tolist()
    assert colours == pytest.approx([0, 1, 2])


def test_weights_survive_as_one_array() -> None:
    first, second = network().modules
    assert layout(first) == layout(second)
    assert not np.array_equal(flat(first), flat(second))
    fill(second, flat(first))
    np.testing.assert_array_equal(flat(first), flat(second))
    for wrong in (None, flat(first)[:-1], flat(first).astype(np.float64), flat(first) * np.nan):
        with pytest.raises(ModelError, match="its weights are"):
            fill(second, wrong)


def altered(path: Path, change: dict[str, Any], where: str = "network", arrays: bool = True) -> Path:
    bundle = read_bundle(path)
    manifest = dict(bundle.manifest)
    manifest[where] = {**manifest[where], **change} if isinstance(change, dict) else change
    write_bundle(path, Bundle(manifest, bundle.arrays if arrays else {}))
    return path


@pytest.mark.parametrize(
    "change",
    [
        {"views": []},
        {"views": ["face", "face"]},
        {"views": ["elbow", "face"]},
        {"size": 10**6},
        {"size": "large"},
        {"std": [0, 0, 0]},
        {"mean": [1, 2]},
        {"alignment": "none"},
        {"grey": 1},
        {"layout": "0" * 64},
        {"dimension": 0},
        {"spec": {"task": "labels"}},
        {"parameters": None},
    ],
)
def test_an_altered_file_is_one_sentence(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "net.anthropo"
    network().save(path)
    with pytest.raises(
        ModelError, match=r"net.anthropo: the network does not fit together \(.+\)\. Copy"
    ) as caught:
        Network.load(altered(path, change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("outputs", [2.0, "3", None])
def test_a_specification_of_another_type_is_one_sentence(tmp_path: Path, outputs: Any) -> None:
    path = tmp_path / "net.anthropo"
    network().save(path)
    spec = dict(read_bundle(path).manifest["network"]["spec"])
    assert spec.pop("outputs") == 3
    with pytest.raises(ModelError, match="outputs"):
        Network.load(altered(path, {"spec": spec if outputs is None else {**spec, "outputs": outputs}}))


def test_missing_weights_and_labels_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.anthropo"
    network().save(path)
    with pytest.raises(ModelError, match="its weights are missing"):
        Network.load(altered(path, {}, arrays=False))
    network().save(path)
    with pytest.raises(ModelError, match="not one output for each label"):
        Network.load(altered(path, ["a", "b"], "labels"))  # type: ignore[arg-type]


def test_a_network_and_a_hybrid_model_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "net.anthropo"
    network().save(path)
    with pytest.raises(
        ModelError, match=r"a network, not a model that answers with measurements\. Train a model"
    ):
        Trained.load(path)
    hybrid = hybrid_model(tmp_path / "m.anthropo")
    with pytest.raises(ModelError, match=r"a model of measurements and embeddings, not a network"):
        Network.load(hybrid)


def test_no_room_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.anthropo"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ModelError, match=r"cannot be written \(No space left on device\)"):
        network().save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
