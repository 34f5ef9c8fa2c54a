"""anthropo landmarks train and evaluate, as a user calls them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import Invoke

SMALL = ("--cascades", "3", "--trees", "15", "--copies", "5", "--pool", "60", "-j", "1")


def test_train_and_evaluate(annotated_faces: Path, tmp_path: Path, invoke: Invoke) -> None:
    model = tmp_path / "mine.anthropo"
    done = invoke("landmarks", "train", annotated_faces, "-o", model, "--licence", "public domain", *SMALL)
    assert done.exit_code == 0, done.stderr
    assert "kept apart, in outer-canthal distances:" in done.stdout
    assert "trained on 8 faces of 8 people" in done.stdout
    run = json.loads((tmp_path / "mine.anthropo.run.json").read_text())
    assert run["command"][:2] == ["landmarks", "train"]
    assert any("person00" in name or ": " in name for name in run["inputs"])

    table = tmp_path / "error.csv"
    done = invoke("landmarks", "evaluate", annotated_faces, "--landmark-model", model, "-o", table, "-j", "1")
    assert done.exit_code == 0, done.stderr
    assert "packaged: error" in done.stdout
    frame = pd.read_csv(table)
    assert len(frame) == 68
    assert (frame["error"] < 0.2).all()
    for name in ("error.json", "error.html"):
        done = invoke(
            "landmarks",
            "evaluate",
            annotated_faces,
            "--landmark-model",
            model,
            "-o",
            tmp_path / name,
            "-j",
            "1",
            "--figures",
            tmp_path / "figures",
        )
        assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "error.json").read_text())["faces"] == 8
    assert "data:image/png" in (tmp_path / "error.html").read_text()
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == ["errors.pdf", "errors.svg"]

    done = invoke("inspect", model)
    assert "public domain" in done.stdout
    done = invoke(
        "measure", annotated_faces / "person00.png", "--landmark-model", model, "-o", tmp_path / "m.csv"
    )
    assert done.exit_code == 0, done.stderr


def test_a_training_can_be_verified(annotated_faces: Path, tmp_path: Path, invoke: Invoke) -> None:
    faces = tmp_path / "faces"
    shutil.copytree(annotated_faces, faces)
    done = invoke("landmarks", "train", faces, "-o", tmp_path / "m.anthropo", *SMALL)
    assert done.exit_code == 0, done.stderr
    done = invoke("verify", tmp_path / "m.anthropo.run.json")
    assert done.exit_code == 0, done.stdout + done.stderr
    points = faces / "person03.pts"
    points.write_text(points.read_text().replace(".", ".1"))
    done = invoke("verify", tmp_path / "m.anthropo.run.json")
    assert done.exit_code != 0
    assert "has changed" in done.stdout + done.stderr


def test_for_dlib(annotated_faces: Path, tmp_path: Path, invoke: Invoke) -> None:
    done = invoke("landmarks", "train", annotated_faces, "-o", tmp_path / "mine.dat", *SMALL)
    assert done.exit_code == 0, done.stderr
    done = invoke(
        "landmarks", "evaluate", annotated_faces, "--landmark-model", tmp_path / "mine.dat", "-j", "1"
    )
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "gone", "-o", "m.anthropo"), "gone: no such file or folder."),
        (("train", "FACES", "-o", "m.zip"), "m.zip: the suffix says what is written."),
        (("train", "FACES", "-o", "m.anthropo", "--unit", "p1"), "two points are needed"),
        (("evaluate", "FACES", "--landmark-model", "gone.dat"), "gone.dat: no such landmark model."),
        (
            ("train", "FACES", "-o", "m.anthropo", "--cascades", "100", "--trees", "10000", "-j", "1"),
            "--cascades 100, --trees 10000, --depth 5, --copies 20, --pool 500: trees of more than half",
        ),
    ],
)
def test_wrong_use(
    annotated_faces: Path,
    tmp_path: Path,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("landmarks", *(str(annotated_faces) if word == "FACES" else word for word in words))
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a process of its own")
def test_ctrl_c_ends_the_training(annotated_faces: Path, tmp_path: Path) -> None:
    words = [
        "landmarks",
        "train",
        str(annotated_faces),
        "-o",
        str(tmp_path / "m.anthropo"),
        # a minute of work
        *("--copies", "400", "--cascades", "20", "--trees", "500", "-j", "2"),
    ]
    running = subprocess.Popen(
        [sys.executable, "-m", "anthropo", *words],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob(".anthropo-*.lock")):  # held while trees are grown
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert "interrupted: nothing was written." in told
    assert time.monotonic() - began < 30
    assert not list(tmp_path.iterdir())
