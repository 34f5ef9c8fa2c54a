"""Encoders of one's own beside others: trained, kept in a model file, answered with and explained."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import Invoke, refused
from PIL import Image

import anthropo
from anthropo.encoder.cache import Store
from anthropo.encoder.exported import load_onnx
from anthropo.encoder.regions import face_square, photo_square
from anthropo.encoder.several import Encoders
from anthropo.explanation.heads import Head
from anthropo.explanation.heatmap import heatmaps
from anthropo.learning import features as features_module
from anthropo.learning.card import card, describe
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.features import extract
from anthropo.synthetic import make_cohort

sys.path.insert(0, str(Path(__file__).parent.parent / "encoder"))
from own_networks import busy, spot

QUICK = anthropo.Settings(jitter=1, fine=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model on the face network's face and on two networks of one's own, and the cohort of it."""
    folder = tmp_path_factory.mktemp("several")
    make_cohort(folder / "cohort", 4, ("control", "synthetic-A"))
    spot(folder / "chip.onnx", slice(8, 16), slice(8, 24), alignment="chip")
    spot(folder / "close.onnx", slice(40, 60), slice(30, 80), size=112, alignment="arcface")
    request = anthropo.TrainRequest(
        options=anthropo.Options(regions=("face",), min_patients=4),
        allow_duplicates=True,
        encoder=f"face-resnet,onnx:{folder / 'chip.onnx'},onnx:{folder / 'close.onnx'}",
        tta="mirror+grey",
        folds=2,
        repeats=3,
        reading=anthropo.PhotoReading(jitter=1, fine=False, cache=str(folder / "cache")),
    )
    anthropo.train(folder / "cohort" / "cohort.csv", request).trained.save(folder / "m.anthropo")
    return folder


@pytest.fixture(scope="module")
def photo(folder: Path) -> Path:
    return sorted((folder / "cohort").rglob("*.jpg"))[0]


REGIONS = ("face@face-resnet", "face@onnx:chip.onnx", "face@onnx:close.onnx")


def test_each_encoder_has_a_score_and_the_sum_is_exact(folder: Path, photo: Path) -> None:
    model = anthropo.load_model(folder / "m.anthropo")
    assert isinstance(model, anthropo.Model)
    assert model.trained.regions == REGIONS
    kept = model.trained.manifest.encoders
    assert [(one.name, one.dimension, one.grey) for one in kept] == [
        ("face-resnet", 128, True), ("onnx:chip.onnx", 4, True), ("onnx:close.onnx", 4, True),
    ]  # fmt: skip
    assert len({one.digest for one in kept}) == 3
    alone = [f"encoder:{name}" for name in ("face-resnet", "onnx:chip.onnx", "onnx:close.onnx")]
    assert [name for name in model.trained.manifest.validation.models if ":" in name] == alone
    told = dict(describe(model.trained.manifest))["encoders alone"]
    assert all(name.removeprefix("encoder:") in told for name in alone)
    assert told in card(model.trained.manifest)
    reading = anthropo.PhotoReading(cache="none")
    (answer,) = model.classify(photo, reading=reading).predictions
    case = model.explain(photo, reading=reading)
    for explained in case.explanation.labels:
        terms = sum(c.log_odds for c in explained.contributions)
        assert explained.bias + terms + explained.residual == pytest.approx(explained.log_odds, abs=1e-6)
        if explained.label in model.labels:  # refits of embeddings that differ in size
            assert {len(c.refits) for c in explained.contributions} == {6}
    odds = {r.label: r.log_odds for r in answer.ranked}
    assert case.explanation.labels[0].log_odds == pytest.approx(
        odds[case.explanation.labels[0].label], abs=1e-6
    )
    assert {c.name for c in case.explanation.labels[0].contributions if c.kind == "region"} == set(REGIONS)
    assert case.heat is not None
    assert set(case.heat.regions) == set(REGIONS)
    shapes = {one.values.shape for one in case.heat.regions.values()}
    assert len(shapes) == 1
    whole = sum(one.values for one in case.heat.regions.values())
    np.testing.assert_allclose(whole, case.heat.whole.values, atol=1e-12)
    for name, one in case.heat.regions.items():
        told = next(c.log_odds for c in case.explanation.labels[0].contributions if c.name == name)
        if one.faithfulness is not None:
            assert one.contribution == pytest.approx(told, abs=2e-3)


def test_files_are_found_beside_the_model_or_named(
    folder: Path, photo: Path, tmp_path: Path, invoke: Invoke
) -> None:
    alone, nets = tmp_path / "m.anthropo", tmp_path / "nets"
    nets.mkdir()
    shutil.copy(folder / "m.anthropo", alone)
    words = ("classify", "--model", alone, photo, "--cache", folder / "cache", "-o", tmp_path / "a.json")
    assert "its encoder is the network chip.onnx, which is not beside it" in refused(invoke, *words)
    for name in ("chip", "close"):
        for suffix in (".onnx", ".toml"):
            shutil.copy(folder / f"{name}{suffix}", nets)
    files = f"{nets / 'close.onnx'},{nets / 'chip.onnx'}"
    assert invoke(*words, "--encoder-weights", files).exit_code == 0
    ranked = json.loads((tmp_path / "a.json").read_text())[0]["ranked"]
    assert sum(r["probability"] for r in ranked) == pytest.approx(1)
    (nets / "chip.toml").write_text((nets / "chip.toml").read_text().replace("RGB", "BGR"))
    assert "trained with the encoder onnx:chip.onnx" in refused(invoke, *words, "--encoder-weights", files)
    shutil.copy(photo, nets / "other.onnx")
    named = f"{files},{nets / 'other.onnx'}"
    shutil.copy(folder / "chip.toml", nets)
    assert "not the name of an encoder of" in refused(invoke, *words, "--encoder-weights", named)


def test_one_more_encoder_is_one_more_entry(
    folder: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = Cohort((Case(str(photo), "a", "p"),), "one")
    store = Store(tmp_path / "store")
    face, chip = anthropo.load_encoder(), anthropo.load_encoder(f"onnx:{folder / 'chip.onnx'}")
    both = Encoders(each=(face, chip))
    alone = extract(cohort, QUICK, face, regions=("face",), store=store)
    names = ("face@face-resnet", "mouth@onnx:chip.onnx")
    together = extract(cohort, QUICK, both, regions=names, store=store)
    np.testing.assert_array_equal(together.regions[names[0]], alone.regions["face"])
    np.testing.assert_array_equal(together.measurements, alone.measurements)
    assert len(list((tmp_path / "store").rglob("*.bin"))) == 2
    monkeypatch.setattr(features_module, "observe", lambda *_: pytest.fail("the photo was read again"))
    again = extract(cohort, QUICK, both, regions=names, store=store)
    for name in names:
        np.testing.assert_array_equal(again.regions[name], together.regions[name])
    extract(cohort, QUICK, chip, regions=("mouth",), store=store)  # kept for it alone as well
    with pytest.raises(BaseException, match="read again"):
        extract(cohort, QUICK, replace(chip, grey=True), regions=("mouth",), store=store)


@pytest.mark.parametrize("alignment", ["chip", "arcface", "photo"])
def test_occlusion_finds_what_an_encoder_looks_at(
    alignment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of networks that see a part of their picture, each brought to the square of the face or photo."""
    size, rows, columns = 112, slice(36, 56), slice(30, 82)
    path = busy(tmp_path / "net.onnx", rows, columns, size, alignment)
    encoder = load_onnx(path, tried=True)
    seen = anthropo.observe(anthropo.example_photo(), QUICK)
    face, region = (None, "image") if alignment == "photo" else (seen.face, "face")
    # log-odds that are the sine of the embedding's direction
    reads = Head(np.zeros(4), np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([0.0, 1.0]), sphere=True)
    monkeypatch.setattr(Head, "of", classmethod(lambda cls, *_: reads))
    model: Any = SimpleNamespace(regions_={region: None})
    heat = heatmaps(model, encoder, seen.photo, face, np.array([1.0]))
    values = heat.regions[region].values
    common = photo_square(seen.photo) if face is None else face_square(face)
    where = encoder.square(seen.photo, face, region)
    y, x = np.mgrid[: len(values), : len(values)] + 0.5
    in_photo = np.stack([x, y], -1) / len(values) @ common[:, :2].T + common[:, 2]
    own = (in_photo - where[:, 2]) @ np.linalg.inv(where[:, :2]).T * size
    near = size / 6  # the places that are occluded
    inside = (own[..., 1] > rows.start - near) & (own[..., 1] < rows.stop + near)
    inside &= (own[..., 0] > columns.start - near) & (own[..., 0] < columns.stop + near)
    assert 0.1 < inside.mean() < 0.7
    assert np.abs(values[inside]).sum() > 0.9 * np.abs(values).sum()
    whole = heat.whole
    assert whole.contribution - whole.baseline > 0.1
    assert abs(whole.completeness) < 0.25 * (whole.contribution - whole.baseline)
    assert whole.faithfulness is not None
    assert whole.faithfulness.top_tenth_drop > whole.faithfulness.random_tenth_drop


def test_wrong_use(folder: Path, invoke: Invoke, tmp_path: Path) -> None:
    table, chip = folder / "cohort" / "cohort.csv", f"onnx:{folder / 'chip.onnx'}"
    words = ("train", table, "-o", tmp_path / "m.anthropo", "--allow-duplicates", "--encoder")
    assert "Two encoders are called face-resnet" in refused(invoke, *words, "face-resnet,face-resnet")
    assert "a name is empty" in refused(invoke, *words, "face-resnet,")
    close = f"onnx:{folder / 'close.onnx'}"
    assert "sees none of eyes" in refused(invoke, *words, f"{chip},{close}", "--regions", "eyes")
    assert "was not trained on it" in refused(invoke, *words, close, "--regions", "eyes")
    assert "no such encoder" in refused(invoke, *words, f"{chip},{close}", "--regions", "face@me")
    assert "only timm:NAME take weights" in refused(
        invoke, *words, f"face-resnet,{chip}", "--encoder-weights", folder / "chip.onnx"
    )
    assert "trained on faces; leave --no-face out" in refused(invoke, *words, close, "--no-face")
    assert "has its own. Leave it out" in refused(invoke, *words, close, "--align", "two-point")


def test_pictures_without_a_face_in_a_permissive_run(tmp_path: Path, invoke: Invoke) -> None:
    random = np.random.default_rng(0)
    lines = ["photo,label,patient"]
    for i in range(24):
        label, most = ("busy", 60) if i % 2 else ("calm", 12)
        pixels = (120 + i + random.integers(0, most, (64, 64, 3))).astype(np.uint8)
        Image.fromarray(pixels.repeat(2, 0).repeat(2, 1)).save(tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{label},p{i}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    net = busy(tmp_path / "net.onnx", slice(0, 64), slice(0, 63), 64, "photo")
    words = ("train", tmp_path / "cohort.csv", "--no-face", "--encoder", f"onnx:{net}", "--cache", "none",
             "--allow-duplicates", "--no-judge", "--permissive", "-o", tmp_path / "m.anthropo")  # fmt: skip
    assert "does not state that code, weights and training data are permissive" in refused(invoke, *words)
    sidecar = net.with_suffix(".toml")
    sidecar.write_text(sidecar.read_text() + 'permissive = true\nlicence = "CC0"\ndata = "none"\n')
    assert invoke(*words).exit_code == 0
    words = ("classify", "--model", tmp_path / "m.anthropo", tmp_path / "1.png", "--cache", "none")
    result = invoke(*words, "--permissive", "-o", tmp_path / "a.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "a.json").read_text())[0]["decision"] == "busy"
