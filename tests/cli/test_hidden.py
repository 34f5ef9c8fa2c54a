"""The commands on a face behind a bar or a mask: what they void, name, draw and refuse."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import FAST, model
from conftest import Invoke, Pixels
from PIL import Image

import anthropo
from anthropo.report import overlay
from anthropo.report.figures import HOLLOW
from anthropo.synthetic import make_cohort, occlude

#: Kinds and seeds behind which the astronaut is still found.
BAR, MASK = ("bar", 2), ("mask_surgical", 3)
UNFIT = "The photo gate finds the photo unfit"


def drawn(path: Path, pixels: Pixels, kind: str, seed: int) -> Path:
    points = anthropo.read_face(anthropo.Photo.from_array(pixels)).landmarks
    Image.fromarray(occlude(pixels, points, kind, seed).pixels).save(path)
    return path


@pytest.fixture(scope="module")
def bar_png(photo_dir: Path, astronaut: Pixels) -> Path:
    return drawn(photo_dir / "bar.png", astronaut, *BAR)


@pytest.fixture(scope="module")
def mask_png(photo_dir: Path, astronaut: Pixels) -> Path:
    twice = np.repeat(np.repeat(astronaut, 2, axis=0), 2, axis=1)  # large enough for colours
    return drawn(photo_dir / "mask.png", twice, *MASK)


def test_tables_name_what_is_hidden(
    bar_png: Path, mask_png: Path, astronaut_png: Path, tmp_path: Path, invoke: Invoke
) -> None:
    assert invoke("measure", bar_png, mask_png, astronaut_png, "-o", tmp_path / "t.csv").exit_code == 0
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        bar, mask, plain = csv.DictReader(file)
    hidden = bar["hidden_landmarks"].split()
    assert {f"p{i}" for i in range(36, 48)} <= set(hidden)
    assert bar["gate_hidden"] == f"{sum(int(name[1:]) > 16 for name in hidden)}.0"
    assert "hidden" in bar["gate_failed"].split()
    assert bar["intercanthal_width"] == bar["nasal_width"] == ""  # the nose is seen, its ruler is not
    words = "the right eye's outer corner and the left eye's outer corner are hidden"
    assert f"nasal_width: {words}" in bar["measurement_reasons"]
    assert bar["mandible_face_width_index"]
    assert {f"p{i}" for i in range(48, 68)} <= set(mask["hidden_landmarks"].split())
    assert "glasses" not in mask["gate_failed"].split()
    assert mask["mouth_width"] == mask["lip_redness"] == ""
    assert "lip_redness: the lips are hidden" in mask["measurement_reasons"]
    assert mask["interpupillary_distance"]
    assert (plain["hidden_landmarks"], plain["gate_hidden"]) == ("", "0.0")


def test_json_has_the_probability_of_each_landmark(mask_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("measure", mask_png, "-o", tmp_path / "t.json").exit_code == 0
    (record,) = json.loads((tmp_path / "t.json").read_text())["photos"]
    assert len(record["seen"]) == 68
    assert all(0 <= p <= 1 for p in record["seen"])
    assert [int(name[1:]) for name in record["hidden"]] == [
        i for i, p in enumerate(record["seen"]) if p < 0.5
    ]
    assert record["gate"]["hidden"]["ok"] is False
    assert record["gate"]["hidden"]["advice"].startswith("take away what is before the face")
    # an interrupted run reads its own records back
    assert invoke("measure", mask_png, "-o", tmp_path / "t.json").exit_code == 0
    assert json.loads((tmp_path / "t.json").read_text())["photos"] == [record]


def test_forced_values_say_what_they_suffer_from(mask_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    assert invoke("measure", mask_png, "--force", "-o", tmp_path / "t.json").exit_code == 0
    (record,) = json.loads((tmp_path / "t.json").read_text())["photos"]
    width = record["measurements"]["mouth_width"]
    assert 0.3 < width["value"] < 0.9
    assert "the mouth's left corner" in width["reason"]
    assert record["measurements"]["lip_redness"]["value"] is None  # the colour of cloth is no lip's


def test_no_scale_from_eyes_behind_a_bar(bar_png: Path, tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("measure", bar_png, "--scale", "ipd=62", "-o", tmp_path / "t.json")
    assert result.exit_code == 3  # something that was asked for is lacking
    (record,) = json.loads((tmp_path / "t.json").read_text())["photos"]
    assert record["scale"] is None
    assert record["notes"] == [
        f"{bar_png}: the scale ipd is taken from both eyes, and the right eye and the left eye are hidden. "
        "Give the scale sticker=MM or mm-per-px=VALUE."
    ]


def test_overlay_draws_hidden_points_hollow(bar_png: Path) -> None:
    seen = anthropo.observe(str(bar_png))
    hollow, full = (
        np.asarray(overlay(seen.photo, face), dtype=int)
        for face in (seen.face, replace(seen.face, cover=None))
    )
    assert HOLLOW == "hollow: hidden, not measured"
    assert hollow.shape == full.shape
    difference = np.abs(hollow - full)
    assert difference[-14:-4, 4:60].mean() > 10  # the legend
    assert difference[:20, :60].max() < 3  # and nothing in another corner
    # what is white and filled where it is seen lets the bar show through where it is hidden
    filled, ringed = ((picture > 235).all(-1)[:-30].sum() for picture in (full, hollow))
    assert filled - ringed > 5 * seen.face.hidden.sum()


def test_traits_of_an_unfit_photo_are_refused(bar_png: Path, astronaut_png: Path, invoke: Invoke) -> None:
    who = ("--sex", "female", "--age", "31")
    result = invoke("traits", bar_png, *who)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{bar_png}: {UNFIT}" in result.stderr
    assert "hidden: take away what is before the face" in result.stderr
    both = invoke("traits", bar_png, astronaut_png, *who)
    assert both.exit_code == 3
    with pytest.raises(anthropo.FaceError, match=UNFIT):
        anthropo.traits(str(bar_png), sex="female", age=31)


def test_classify_and_explain_refuse_what_hides_much(
    invoke: Invoke, tmp_path: Path, tmp_path_factory: Any
) -> None:
    person = next(make_cohort(tmp_path / "new", 1, ("synthetic-A",), seed=9).parent.glob("*.jpg"))
    pixels = np.asarray(Image.open(person).convert("RGB"))
    bar = drawn(tmp_path / "bar.png", pixels, *BAR)
    trained = model(tmp_path_factory, "strangers")
    answers = tmp_path / "answers.json"
    assert invoke("classify", "--model", trained, bar, "-o", answers).exit_code == 1
    (answer,) = json.loads(answers.read_text())
    assert answer["status"] == "failed"
    assert answer["reason"].startswith(f"{bar}: {UNFIT}, which voids ")
    assert "hidden: take away what is before the face" in answer["reason"]
    shown = invoke("explain", "--model", trained, bar, *FAST).stdout
    assert shown.startswith(f"{bar}: {UNFIT}")
    assert invoke("classify", "--model", trained, bar, "--force").exit_code == 0
    assert invoke("classify", "--model", trained, person).exit_code == 0  # without the bar it is answered on
