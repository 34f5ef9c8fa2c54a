"""A network after finetune: export, bench, compare-networks, as an encoder; on pictures of coloured noise."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from cohorts import FAST, rows_of, run, synthetic, two_labels, write
from conftest import Invoke, described, refused
from noise import write_cohort

from anthropo.learning.trained import Trained

EACH = 10
SMALL = (
    *("--set", "size=32", "--set", "batch=8", "--set", "epochs=2", "--set", "rate=0.003"),
    *("--warm-start", "none", "-j", "1", "--set", "threads=1"),
)
NOISE = ("--recipe", "skin-five", "--no-face", *SMALL)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two labels, 10 patients each."""
    return write_cohort(tmp_path_factory.mktemp("noise"), ["ill", "well"] * EACH)


@pytest.fixture(scope="module")
def net(noise: Path) -> Path:
    path = noise.parent / "made" / "net.anthropo"
    path.parent.mkdir()
    run("finetune", noise, *NOISE, "--set", "backbone=deepgestalt", "-o", path)
    return path


@pytest.fixture(scope="module")
def face_net(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network of face and mouth, and the cohort that it was trained on."""
    folder = tmp_path_factory.mktemp("faces")
    table = write(folder / "c.csv", two_labels(synthetic(tmp_path_factory)))
    run(
        "finetune", table, "--recipe", "deepgestalt", *SMALL, "--set", "views=face,mouth",
        "--set", "epochs=1", *FAST,
        "--allow-duplicates", "-o", folder / "face.anthropo",
    )  # fmt: skip
    return folder / "face.anthropo", table


# ------------------------------------------------------------------------------------------ export, bench


def test_export(net: Path, noise: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("export", net, "-o", tmp_path / "a.onnx")
    assert result.exit_code == 0
    assert "apart from the network's on 3 pictures of noise." in result.stderr
    dynamic = invoke("export", net, "-o", tmp_path / "b.onnx", "--int8")
    assert "note: without --calibrate only the weights are integers" in dynamic.stderr
    static = invoke("export", net, "-o", tmp_path / "c.onnx", "--int8", "--calibrate", noise)
    assert static.exit_code == 0
    assert "on 20 calibration photos, the same first label for" in static.stderr
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in "abc"]
    assert max(sizes[1:]) < sizes[0] / 3


def test_export_in_one_sentence(
    net: Path, noise: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.onnx"
    assert "the suffix says what is written. Use .onnx." in refused(invoke, "export", net, "-o", "a.tflite")
    assert "cannot be written" in refused(invoke, "export", net, "-o", tmp_path / "no" / "a.onnx")
    assert "--calibrate is for --int8" in refused(invoke, "export", net, "-o", out, "--calibrate", noise)
    assert "not a network" in refused(invoke, "export", _hybrid(noise), "-o", out)
    missing = refused(invoke, "export", tmp_path / "none.anthropo", "-o", out)
    assert "none.anthropo: no such" in missing
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert '`pip install "anthropo[cnn]"`.' in refused(invoke, "export", net, "-o", out)
    assert not out.exists()


def _hybrid(noise: Path) -> Path:
    path = noise.parent / "hybrid.anthropo"
    if not path.exists():
        run("train", noise, "--no-face", "--encoder", "face-resnet", "--no-judge", "-o", path)
    return path


def test_bench(net: Path, noise: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("bench", net, noise, "-o", tmp_path / "b.csv", "-j", 1)
    assert result.exit_code == 0
    assert "are among those that" in result.stderr
    assert "AUROC and accuracy come out too good." in result.stderr
    with (tmp_path / "b.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    described("bench", rows[0])
    assert [row["runtime"] for row in rows] == ["torch", "ONNX", "ONNX int8"]
    assert {row["network"] for row in rows} == {"net.anthropo"}
    assert all(float(row["ms"]) > 0 and int(row["parameters"]) > 1e6 for row in rows)
    assert float(rows[1]["largest_difference"]) < 1e-4
    assert float(rows[0]["auroc_lo"]) <= float(rows[0]["auroc"]) <= float(rows[0]["auroc_hi"])
    for runtime in ("torch", "ONNX", "ONNX int8"):
        assert any(runtime in line for line in result.stdout.splitlines())


def test_bench_in_one_sentence(net: Path, noise: Path, tmp_path: Path, invoke: Invoke) -> None:
    other = write(tmp_path / "c.csv", [{**row, "label": "x" + row["label"]} for row in rows_of(noise)])
    message = refused(invoke, "bench", net, other)
    assert "net.anthropo: was trained on ill, well, but the labels of" in message
    assert "are xill, xwell. Give each network a cohort with its labels." in message
    assert "not a network" in refused(invoke, "bench", _hybrid(noise), noise)
    assert "Use .csv or .json." in refused(invoke, "bench", net, noise, "-o", "b.xlsx")


# -------------------------------------------------------------------------------------- compare-networks


def test_compare_networks_goes_on_after_an_interruption(
    noise: Path, tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, timed_here: None
) -> None:
    from anthropo.networks import finetuning

    networks = ("--networks", "deepgestalt,efficientnet-lite0")
    arguments = ("compare-networks", noise, *NOISE, *networks)
    out = tmp_path / "c.json"
    with monkeypatch.context() as patch:
        real, trained = finetuning.finetune, []

        def interrupted(material, **more):  # type: ignore[no-untyped-def]
            if trained:
                raise KeyboardInterrupt
            trained.append(material.recipe.parameters.backbone)
            return real(material, **more)

        patch.setattr(finetuning, "finetune", interrupted)
        result = invoke(*arguments, "-o", out)
        assert (result.exit_code, trained) == (130, ["deepgestalt"])
        assert not out.exists()
    result = invoke(*arguments, "-o", out)
    assert result.exit_code == 0
    before, after = result.stderr.split("efficientnet-lite0:")
    assert "epoch" not in before  # done before the interruption
    assert "epoch 2 of 2" in after
    rows = json.loads(out.read_text())
    rare = ("top_3", "quadratic_kappa", "off_by_one")
    described("compare-networks", rows[0], [f"{name}{end}" for name in rare for end in ("", "_lo", "_hi")])
    assert [(row["network"], row["label"]) for row in rows] == [
        (name, label) for name in ("deepgestalt", "efficientnet-lite0") for label in ("ill", "well")
    ]
    for row in rows:
        assert row["recall_lo"] <= row["recall"] <= row["recall_hi"]
        assert (
            row["file_bytes"] == (tmp_path / "c.json.networks" / f"{row['network']}.anthropo").stat().st_size
        )
        assert row["ms"] > 0
    assert rows[0]["parameters"] != rows[2]["parameters"]
    assert not list((tmp_path / "c.json.networks").glob("*.checkpoint"))
    lines = result.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == [
        "recall, ill", "recall, well", "precision, ill", "precision, well"
    ]  # fmt: skip


def test_compare_networks_as_a_page(noise: Path, tmp_path: Path, invoke: Invoke, timed_here: None) -> None:
    out = tmp_path / "c.html"
    where = ("-o", out, "--figures", tmp_path / "f")
    result = invoke("compare-networks", noise, *NOISE, "--networks", "deepgestalt", *where)
    assert result.exit_code == 0
    drawn = {f"deepgestalt-{kind}.{suffix}" for kind in ("loss", "metric") for suffix in ("svg", "pdf")}
    assert {p.name for p in (tmp_path / "f").iterdir()} == drawn
    text = out.read_text(encoding="utf-8")
    for part in ("Networks compared: recipe skin-five", "recall, ill", "precision, well", "ms per photo"):
        assert part in text
    assert str(tmp_path) not in text
    message = refused(invoke, "compare-networks", noise, "--networks", "alexnet", "-o", out)
    assert "--networks alexnet: unknown. Choose from deepgestalt, resnet50" in message
    assert "Use .csv, .json or .html." in refused(invoke, "compare-networks", noise, "-o", "c.txt")


# ------------------------------------------------------------------------------------------ as an encoder


def test_a_network_is_the_encoder_of_a_hybrid(noise: Path, net: Path, tmp_path: Path, invoke: Invoke) -> None:
    model = net.parent / "m.anthropo"
    trained = invoke("train", noise, "--no-face", "--encoder", net, "-o", model, "--no-judge")
    assert trained.exit_code == 0
    warning = "photos are among those that net.anthropo was trained on or stopped by"
    assert warning in trained.stderr
    assert "come out too good" in invoke("inspect", model, "--card").stdout
    assert warning in invoke("evaluate", noise, "--model", model, "--bootstrap", 100).stderr
    manifest = Trained.load(model).manifest
    assert manifest.encoder.name == "net.anthropo"
    assert manifest.regions == ("image",)
    assert str(net.parent) not in json.dumps(manifest.to_json())
    photo = noise.parent / "0.png"
    beside = invoke("classify", "--model", model, photo)
    assert beside.exit_code == 0
    moved = tmp_path / "m.anthropo"
    moved.write_bytes(model.read_bytes())
    message = refused(invoke, "classify", "--model", moved, photo)
    assert "its encoder is the network net.anthropo, which is not beside it." in message
    told = invoke("classify", "--model", moved, photo, "--encoder-weights", net)
    assert told.stdout == beside.stdout
    judged = invoke("evaluate", noise, "--model", model, "--bootstrap", 100)
    assert judged.exit_code == 0
    explained = invoke("explain", "--model", model, photo, "-o", tmp_path / "why.html")
    assert explained.exit_code == 0
    assert "what the network sees in this picture" in (tmp_path / "why.html").read_text()


def test_a_network_of_faces_brings_its_own_regions(
    face_net: tuple[Path, Path], tmp_path: Path, invoke: Invoke
) -> None:
    net, table = face_net
    arguments = ("train", table, "--encoder", net, *FAST, "--allow-duplicates", "--no-judge")
    for given, wanted in (((), ("face", "mouth")), (("--regions", "mouth"), ("mouth",))):
        result = invoke(*arguments, *given, "-o", tmp_path / "m.anthropo")
        assert result.exit_code == 0
        assert Trained.load(tmp_path / "m.anthropo").manifest.regions == wanted
    message = refused(invoke, *arguments, "--regions", "eyes", "-o", tmp_path / "m.anthropo")
    assert "--regions eyes: face.anthropo was not trained on it. Its regions are face, mouth." in message
    message = refused(invoke, "train", table, "--encoder", net, "--no-face", "-o", tmp_path / "m.anthropo")
    assert "the network was trained on faces; leave --no-face out" in message
    message = refused(invoke, *arguments, "--encoder-weights", net, "-o", tmp_path / "m.anthropo")
    assert "a network holds its weights. Leave --encoder-weights out." in message


def test_another_network_of_the_same_name_is_refused(
    noise: Path, net: Path, face_net: tuple[Path, Path], tmp_path: Path, invoke: Invoke
) -> None:
    message = refused(invoke, "train", noise, "--encoder", net, "-o", tmp_path / "m.anthropo", *FAST)
    assert "the network was trained on whole photos; pass --no-face" in message
    model = _hybrid_with(noise, net)
    photo = noise.parent / "0.png"
    message = refused(invoke, "classify", "--model", model, photo, "--encoder-weights", face_net[0])
    assert "trained with the encoder net.anthropo" in message
    assert "not a network" in refused(
        invoke, "train", noise, "--no-face", "--encoder", _hybrid(noise), "-o", tmp_path / "m"
    )


def _hybrid_with(noise: Path, net: Path) -> Path:
    path = net.parent / "m.anthropo"
    if not path.exists():
        run("train", noise, "--no-face", "--encoder", net, "-o", path, "--no-judge")
    return path
