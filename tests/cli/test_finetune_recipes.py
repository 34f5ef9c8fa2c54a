"""anthropo finetune with pairs, and with photographs to adapt to: what is printed, what the network can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Invoke
from noise import write_cohort
from PIL import Image

from anthropo.networks.network import Network

SMALL = (
    *("--no-face", "-j", "1"),
    *(
        word
        for setting in (
            "backbone=deepgestalt",
            "size=32",
            "batch=8",
            "threads=1",
            "warm_start=none",
            "epochs=1",
        )
        for word in ("--set", setting)
    ),
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos of twenty people, whose colour is that of their state; no label."""
    patients = [f"p{i // 2}" for i in range(40)]
    table = write_cohort(tmp_path_factory.mktemp("pairs"), ["well", "ill"] * 20, patients)
    table.write_text(table.read_text().replace("photo,label,patient", "photo,state,patient"))
    return table


def test_pairs_are_told_beside_the_warm_start(pairs: Path, tmp_path: Path, invoke: Invoke) -> None:
    net = tmp_path / "net.anthropo"
    made = invoke("finetune", pairs, "--recipe", "contrastive", "-o", net, *SMALL)
    assert made.exit_code == 0, made.output
    for words in (
        "Told as the same person across states (ill, well), on 4 such pairs and 12 others of 4 patients",
        "warm start, none",
        "AUROC, image alone",
        "AUROC gained: ",
        "found where 1 in 100 others is",
    ):
        assert words in made.stdout
    assert "24 photos to train on, 8 to stop by, 8 to judge by; ill, well." in made.stderr
    assert "verification AUROC" in made.stderr
    assert '"metric": "verification AUROC"' in (tmp_path / "net.history.json").read_text()
    said = invoke("inspect", net).output
    assert "contrastive" in said
    photo = pairs.parent / "0.png"
    answer = invoke("classify", photo, "--model", net, "-j", "1")
    assert answer.exit_code == 0, answer.output
    assert "well" in answer.output


def test_photos_of_a_target_are_adapted_to_and_judged(tmp_path: Path, invoke: Invoke) -> None:
    table = write_cohort(tmp_path / "studio", ["a", "b"] * 15)
    clinic = tmp_path / "clinic"
    for label in ("a", "b"):
        (clinic / label).mkdir(parents=True)
        for i in range(10):
            random = np.random.default_rng([100 + i, label == "a"])
            pixels = random.integers(0, 200, (40, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(clinic / label / f"{i}.png")
    net = tmp_path / "net.anthropo"
    made = invoke("finetune", table, "--recipe", "dann", "--target", clinic, "-o", net, *SMALL)
    assert made.exit_code == 0, made.output
    assert "target: 16 photos to adapt to, 4 to judge by." in made.stderr
    assert "In the target, on 4 photos of 4 patients that were kept apart:" in made.stdout
    assert Network.load(net).about.adapted == 16
    said = invoke("inspect", net).output
    assert "16 photos of another source" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("--recipe", "dann"),
            "dann: nothing to adapt to. Pass --target PHOTOS, or --domain COLUMN and --set",
        ),
        (("--recipe", "contrastive", "--state", "visit"), "--state visit: no such column."),
        (("--recipe", "dann", "--domain", "clinic"), "--domain clinic: no such column."),
        (("--recipe", "deep-coral", "--set", "targets=x"), "--domain site: no such column."),
        (("--recipe", "skin-five", "--set", "targets=x"), "targets: the recipe skin-five adapts to nothing."),
    ],
)
def test_one_sentence_each(
    pairs: Path, tmp_path: Path, invoke: Invoke, words: tuple[str, ...], sentence: str
) -> None:
    table = pairs.parent / "labelled.csv"
    table.write_text(pairs.read_text().replace("photo,state", "photo,label"))
    said = invoke("finetune", table, "-o", tmp_path / "net.anthropo", *words, *SMALL)
    assert said.exit_code == 2
    assert sentence in said.stderr
    assert not (tmp_path / "net.anthropo").exists()
