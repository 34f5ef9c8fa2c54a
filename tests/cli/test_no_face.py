"""Pictures of skin, which have no face: drawn blobs, smooth or ragged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cohorts import FAST, Row, run, write
from conftest import Invoke, refused
from numpy.typing import NDArray
from PIL import Image

from anthropo.learning.manifest import PhotoSettings
from anthropo.learning.trained import Trained

pytestmark = pytest.mark.usefixtures("maps_drawn_once")

EACH = 12
ONE = ("-j", "1")  # thread


def lesion(rng: np.random.Generator, ragged: bool) -> NDArray[np.uint8]:
    """A brown blob on skin, with a smooth or a ragged border."""
    y, x = np.mgrid[:160, :200]
    angle = np.arctan2(y - 80, x - 100)
    radius = 35 + rng.uniform(-4, 4) + (12 * np.sin(9 * angle + rng.uniform(0, 6)) if ragged else 0)
    inside = np.hypot(y - 80 + rng.uniform(-9, 9), x - 100 + rng.uniform(-9, 9)) < radius
    picture = np.where(inside[..., None], (110, 70, 50), (215, 175, 155)) + rng.uniform(-15, 15, 3)
    return np.clip(picture + rng.normal(0, 6, (160, 200, 1)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def lesions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("lesions"), np.random.default_rng(0)
    rows: list[Row] = []
    for i in range(2 * EACH):
        Image.fromarray(lesion(rng, i % 2 == 1)).save(folder / f"{i}.png")
        label = ("smooth", "ragged")[i % 2]
        rows.append({"photo": f"{i}.png", "label": label, "patient": f"p{i}", "site": "ab"[i // 2 % 2]})
    return write(folder / "lesions.csv", rows)


@pytest.fixture(scope="module")
def model(lesions: Path) -> Path:
    path = lesions.parent / "m.anthropo"
    run("train", lesions, "--no-face", "-o", path, "--no-judge", "--metadata", "site")
    return path


def test_a_model_is_of_the_picture_alone(model: Path, invoke: Invoke) -> None:
    manifest = Trained.load(model).manifest
    assert manifest.encoder.name == "efficientnet-lite0"
    assert (manifest.regions, manifest.measurements, manifest.weights) == (("image",), (), ())
    assert manifest.settings == PhotoSettings(no_face=True)
    assert "for a photograph without a face by" in invoke("inspect", model, "--card").stdout
    assert "measurements" not in invoke("inspect", model).stdout


def test_classify_follows_the_model_without_being_told(
    model: Path, lesions: Path, tmp_path: Path, invoke: Invoke
) -> None:
    rng = np.random.default_rng(5)
    for i in range(4):
        Image.fromarray(lesion(rng, i % 2 == 1)).save(tmp_path / f"{i}.png")
    result = invoke("classify", "--model", model, tmp_path, "-o", tmp_path / "a.json")
    assert result.exit_code == 0
    told = invoke("classify", "--model", model, "--no-face", tmp_path, "-o", tmp_path / "b.json")
    assert told.exit_code == 0
    answers = json.loads((tmp_path / "a.json").read_text())
    assert [a["ranked"][0]["label"] for a in answers] == ["smooth", "ragged"] * 2
    assert json.loads((tmp_path / "b.json").read_text()) == answers


def test_evaluate_judges_what_there_is(lesions: Path, tmp_path: Path, invoke: Invoke) -> None:
    output = tmp_path / "e.json"
    more = ("--folds", 2, "--repeats", 1, "--bootstrap", 100, "--no-face", "--metadata", "site")
    result = invoke("evaluate", lesions, "-o", output, *more)
    assert result.exit_code == 0
    made = json.loads(output.read_text())
    assert list(made["models"]) == ["hybrid", "regions", "metadata"]
    assert made["settings"]["regions"] == "image"
    assert made["models"]["hybrid"]["auroc"]["lo"] > 0.7
    assert made["models"]["metadata"]["auroc"]["lo"] < 0.6
    assert "background" not in result.stdout


def test_explain_sums_to_the_log_odds(model: Path, lesions: Path, tmp_path: Path, invoke: Invoke) -> None:
    photo = lesions.parent / "1.png"
    result = invoke("explain", *ONE, "--model", model, photo, "-o", tmp_path / "why.json")
    assert result.exit_code == 0
    (ragged, *_) = json.loads((tmp_path / "why.json").read_text())["labels"]
    assert ragged["label"] == "ragged"
    assert {c["name"] for c in ragged["contributions"]} == {"image", "site"}
    total = ragged["bias"] + ragged["residual"] + sum(c["log_odds"] for c in ragged["contributions"])
    assert total == pytest.approx(ragged["log_odds"], abs=1e-6)
    assert "uses no measurements" in invoke("explain", *ONE, "--model", model, photo).stdout


def test_explain_writes_a_page_with_a_heatmap(
    model: Path, lesions: Path, tmp_path: Path, invoke: Invoke
) -> None:
    photo = lesions.parent / "1.png"
    assert invoke("explain", *ONE, "--model", model, photo, "-o", tmp_path / "why.html").exit_code == 0
    page = (tmp_path / "why.html").read_text()
    assert "what the network sees in this picture" in page
    assert "landmark" not in page
    assert page.count("data:image") == 3  # the picture, the map over it, and its scale
    more = ("-o", tmp_path / "hidden.html", "--anonymous")
    assert invoke("explain", *ONE, "--model", model, photo, *more).exit_code == 0
    hidden = (tmp_path / "hidden.html").read_text()
    assert "1.png" not in hidden
    assert hidden.count("data:image") == 2


def test_a_model_on_other_pictures(model: Path, lesions: Path, invoke: Invoke) -> None:
    result = invoke("evaluate", lesions, "--model", model, "--bootstrap", 100)
    assert result.exit_code == 0
    assert "is the table that" in result.stderr


def test_a_face_encoder_may_be_given(lesions: Path, tmp_path: Path) -> None:
    run(
        "train", lesions, "--no-face", "--encoder", "face-resnet", "-o", tmp_path / "m", "--no-judge",
        "--normal", "smooth", "--specificity", "0.9", "--validate",
    )  # fmt: skip


def test_without_the_extra_the_choices_are_named(
    lesions: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    told = refused(
        invoke, "train", lesions, "--no-face", "-o", tmp_path / "m", says='`pip install "anthropo[cnn]"`.'
    )
    assert "Or name another with --encoder; face-resnet is always there." in told


def test_faces_and_pictures_without_one_are_kept_apart(
    model: Path, lesions: Path, tmp_path_factory: pytest.TempPathFactory, invoke: Invoke
) -> None:
    from cohorts import model as of_faces

    picture, faces = lesions.parent / "0.png", of_faces(tmp_path_factory, "strangers")
    sentence = "Error: --fine is about faces, and the model reads pictures without one."
    refused(invoke, "classify", "--model", model, "--no-fine", picture, says=sentence)
    sentence = f"Error: {faces}: trained on faces; leave --no-face out"
    refused(invoke, "classify", "--model", faces, "--no-face", picture, says=sentence)
    result = invoke("classify", "--model", faces, *FAST, picture)
    assert result.exit_code == 1
    assert "no face found" in result.stderr
