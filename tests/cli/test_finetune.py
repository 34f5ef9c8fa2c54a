from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import Invoke, refused
from noise import write_cohort
from PIL import Image

from anthropo.errors import WeightsError
from anthropo.learning.bundle import read_bundle
from anthropo.networks.network import Network
from anthropo.networks.recipes import load_recipe
from anthropo.workflows.finetuning import FinetuneRequest, prepare

SMALL = (
    *("--no-face", "--set", "backbone=deepgestalt", "--set", "size=32", "--set", "batch=8", "-j", "1"),
    *("--set", "threads=1"),
    *("--set", "warm_start=none", "--set", "mirror=false", "--set", "optimiser=sgd", "--set", "rate=0.01"),
)


def options(*settings: str) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("--set", setting))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("noise"), ["a", "b"] * 20)


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A network, and what was said while it was made."""
    from click.testing import CliRunner

    from anthropo.cli import cli

    net = tmp_path_factory.mktemp("net") / "net.anthropo"
    words = ["finetune", str(table), "--recipe", "skin-five", "-o", str(net), *SMALL, *options("epochs=3")]
    words += ["--figures", str(net.parent / "figures")]
    before = torch.get_num_threads()
    result = CliRunner().invoke(cli, words, prog_name="anthropo")
    assert result.exit_code == 0, result.output
    assert torch.get_num_threads() == before  # a caller keeps the threads that it had
    return net, result.stdout, result.stderr


# ------------------------------------------------------------------------------------------ what it does


def test_a_network_is_written_with_its_figures(trained: tuple[Path, str, str]) -> None:
    net, said, progress = trained
    assert "On 8 photos of 8 patients that were kept apart" in said
    for column in ("recall", "precision", "specificity", "AUROC"):
        assert column in said
    assert "balanced accuracy: " in said
    assert "top-1: " in said
    assert f"{Network.load(net).parameters:,} parameters" in said
    assert "24 photos to train on, 8 to stop by, 8 to judge by; a, b." in progress
    assert "image, training, epoch 3 of 3: loss " in progress
    assert ", validation " in progress
    assert ", balanced accuracy " in progress
    manifest = read_bundle(net).manifest
    assert manifest["command"].startswith("anthropo finetune COHORT --recipe skin-five --output OUTPUT")
    assert "--set size=32" in manifest["command"]
    assert "--jobs" not in manifest["command"]
    assert manifest["validation"]["n_patients"] == 8
    assert manifest["validation"]["by_label"]["a"].keys() == {"sensitivity", "specificity", "ppv", "auroc"}


def test_no_file_name_is_kept_in_a_network(
    table: Path, trained: tuple[Path, str, str], tmp_path: Path, invoke: Invoke
) -> None:
    cohort, begun = tmp_path / "Family Doe.csv", tmp_path / "Jane-Smith.anthropo"
    text = table.read_text().replace("\n", f"\n{table.parent}/").removesuffix(f"{table.parent}/")
    cohort.write_text(text)
    begun.write_bytes(trained[0].read_bytes())
    net = tmp_path / "Doe-family.anthropo"
    words = ["finetune", cohort, "--recipe", "skin-five", "-o", net, *SMALL, *options("epochs=1")]
    words += ["--set", f"warm_start={begun}"]
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(net) as file:
        kept = b"".join(file.read(name) for name in file.namelist())
    for name in ("Family Doe", "Doe-family", "Jane-Smith", str(tmp_path), str(table.parent)):
        assert name.encode() not in kept
    assert Network.load(net).about.parameters.warm_start.startswith("file-")
    assert "Family Doe.csv" in (tmp_path / "Doe-family.anthropo.run.json").read_text()


def test_its_history_lies_beside_it(trained: tuple[Path, str, str]) -> None:
    net, _, _ = trained
    assert sorted(p.name for p in net.parent.iterdir()) == [
        "figures",
        "net.anthropo",
        "net.anthropo.run.json",
        "net.history.json",
        "net.history.png",
    ]
    figures = sorted(p.name for p in (net.parent / "figures").iterdir())
    assert figures == ["loss.pdf", "loss.svg", "metric.pdf", "metric.svg"]
    assert "balanced accuracy, validation" in (net.parent / "figures" / "metric.svg").read_text("utf-8")
    history = json.loads((net.parent / "net.history.json").read_text())
    assert history["metric"] == "balanced accuracy"
    assert [e["epoch"] for e in history["views"]["image"]] == [1, 2, 3]
    with Image.open(net.parent / "net.history.png") as picture:
        assert picture.size[0] > 800


def test_it_can_be_inspected(trained: tuple[Path, str, str], invoke: Invoke) -> None:
    net, _, _ = trained
    said = invoke("inspect", net).output
    for words in (
        "recipe",
        "skin-five",
        "deepgestalt",
        "random weights",
        "image; 32 px",
        "balanced accuracy",
    ):
        assert words in said
    card = invoke("inspect", net, "--card").output
    assert "photograph without a face" in card
    assert "balanced accuracy" in card


def test_all_options_can_be_shown_and_given_back(tmp_path: Path, invoke: Invoke) -> None:
    shown = invoke("finetune", "--recipe", "attributes", "--show-parameters", "--set", "rate=0.5")
    file = tmp_path / "own.toml"
    file.write_text(shown.stdout)
    assert load_recipe("attributes", file).parameters.rate == 0.5
    # --warm-start chooses the body that its weights are for
    shown = invoke("finetune", "--recipe", "deepgestalt", "--show-parameters", "--warm-start", "face-resnet")
    assert 'backbone = "face-resnet"' in shown.stdout
    assert "size = 150" in shown.stdout
    shown = invoke("finetune", "--recipe", "attributes", "--show-parameters", "--warm-start", "face-resnet")
    assert 'backbone = "face-resnet-map"' in shown.stdout


def test_killed_in_an_epoch_it_ends_as_if_it_had_not_been(
    table: Path, tmp_path: Path, invoke: Invoke
) -> None:
    words = ["finetune", str(table), "--recipe", "deepgestalt"]
    words += [*SMALL, *options("epochs=5", "imbalance=weights")]
    outputs = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        outputs.append([*words, "-o", str(folder / "net.anthropo")])
    whole = invoke(*outputs[0])
    assert whole.exit_code == 0
    checkpoint = tmp_path / "killed" / "net.anthropo.checkpoint" / "image.npz"
    process = subprocess.Popen(
        [sys.executable, "-m", "anthropo", *outputs[1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    give_up = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert checkpoint.exists()
    assert not (tmp_path / "killed" / "net.anthropo").exists()
    again = invoke(*outputs[1])
    assert again.exit_code == 0
    assert "epoch 1 of 5" not in again.stderr
    assert "continuing from the checkpoint in" in again.stderr
    assert "continuing" not in whole.stderr
    assert "epoch 5 of 5" in again.stderr
    own = [line for line in whole.stdout.splitlines() if "net.anthropo" not in line]
    assert [line for line in again.stdout.splitlines() if "net.anthropo" not in line] == own
    files = [(tmp_path / name / "net.anthropo").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]
    assert not checkpoint.parent.exists()


# ------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (options("batch=32", "epochs=1"), "24 to train on, fewer than a batch of 32"),
        (("--warm-start", "nowhere.pth"), "nowhere.pth: no such file"),
        (("--warm-start", "imagenet"), "only timm's networks have it"),
    ],
)
def test_one_sentence_and_exit_code_2(
    table: Path, tmp_path: Path, invoke: Invoke, words: tuple[str, ...], sentence: str
) -> None:
    net = tmp_path / "net.anthropo"
    refused(invoke, "finetune", table, "--recipe", "deepgestalt", "-o", net, *SMALL, *words, says=sentence)
    assert not net.exists()


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        ("nowhere.pth", "nowhere.pth: no such file. Choose from none, face-resnet,"),
        ("imagenet", "only timm's networks have it"),
        ("efficientnet-lite0", "weights of another network than the backbone deepgestalt"),
    ],
)
def test_a_wrong_start_is_refused_before_photos_are_read(tmp_path: Path, start: str, sentence: str) -> None:
    (tmp_path / "cohort.csv").write_text("photo,label\ngone.jpg,a\nlost.jpg,b\n")
    request = FinetuneRequest(recipe="deepgestalt", changes=("backbone=deepgestalt",), warm_start=start)
    with pytest.raises(WeightsError, match=sentence):
        prepare(tmp_path / "cohort.csv", request)


def test_weights_of_another_network(
    trained: tuple[Path, str, str], table: Path, tmp_path: Path, invoke: Invoke
) -> None:
    words = (table, "--recipe", "skin-five", "-o", tmp_path / "n.anthropo", "--no-face", *options("batch=8"))
    more = (*options("backbone=resnet50", "size=64"), "--warm-start", trained[0])
    sentence = "weights of another network (deepgestalt) than the backbone resnet50"
    refused(invoke, "finetune", *words, *more, says=sentence)


def test_a_label_with_one_case(table: Path, tmp_path: Path, invoke: Invoke) -> None:
    own = table.with_name("one.csv")
    own.write_text(table.read_text().replace("0.png,a,p0\n", "0.png,rare,p0\n", 1))
    words = (own, "--recipe", "deepgestalt", "-o", tmp_path / "net.anthropo", *SMALL)
    refused(invoke, "finetune", *words, says="Too few patients with rare (1): each label needs 3")


def test_where_to_and_of_what(table: Path, tmp_path: Path, invoke: Invoke) -> None:
    net, message = tmp_path / "n.anthropo", "the suffix says what is written. Use .anthropo."
    for words, sentence in (
        ((table, "deepgestalt"), "-o net.anthropo"),
        ((table, "deepgestalt", "-o", net.with_suffix(".txt")), message),
        ((table, "deepgestalt", "--no-face", "--set", "views=face", "-o", net), "views face, which are of a"),
        ((tmp_path / "none.csv", "deepgestalt", "-o", net), "no such file"),
        ((table, "risk-grading", "-o", net, *SMALL), "grades: which label is lowest?"),
    ):
        refused(invoke, "finetune", words[0], "--recipe", *words[1:], says=sentence)


def test_one_photograph_under_two_patients(table: Path, tmp_path: Path, invoke: Invoke) -> None:
    own = table.with_name("twice.csv")
    (table.parent / "copy.png").write_bytes((table.parent / "3.png").read_bytes())
    own.write_text(table.read_text() + "copy.png,b,somebody\n")
    words = (own, "--recipe", "deepgestalt", "-o", tmp_path / "net.anthropo", *SMALL)
    assert "one photo under different patients" in refused(invoke, "finetune", *words)


def test_the_help_teaches(invoke: Invoke) -> None:
    said = invoke("finetune", "--help").output
    for words in (
        "deepgestalt",
        "risk-grading",
        "--set grades=",
        "checkpoint",
        "--show-parameters",
        "Examples",
    ):
        assert words in said
