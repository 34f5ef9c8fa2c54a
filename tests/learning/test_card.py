"""The model card and the rows of `anthropo inspect`: what the manifest says, and what it does not say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from anthropo.learning.card import card, describe
from anthropo.learning.manifest import Counts, Manifest, TrainingCohort


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "lo": value - 0.03, "hi": value + 0.03, "n": 400}


MANIFEST: dict[str, Any] = {
    "title": "Noonan against controls",
    "task": "binary",
    "labels": ["Noonan", "control", "Floating-Harbor"],
    "positive": "Noonan",
    "classifier": "xgboost",
    "encoder": {
        "name": "face-resnet",
        "digest": "ab" * 32,
        "licence": "public domain (CC0)",
        "commercial_use": True,
    },
    "weights": [
        {"name": "landmarks-68", "digest": "cd" * 32, "licence": "iBUG 300-W", "commercial_use": False}
    ],
    "regions": ["face", "upper"],
    "measurements": ["pfl"],
    "cohort": {
        "photos": 1400,
        "patients": 212,
        "left_out": 10,
        "sha256": "00" * 32,
        "labels": {"Noonan": {"photos": 30, "patients": 19}, "control": {"photos": 1370, "patients": 20}},
        "subgroups": {"sex": {"F": 100, "M": 112}, "age": {"3-12": 205, "0-2": 7, "13-": 0}},
    },
    "validation": {
        "method": "5-fold by patient",
        "n_photos": 400,
        "n_patients": 1,
        "prevalence": 0.01,
        "models": {
            "hybrid": {"auroc": figure(0.95), "ppv": {"value": None, "reason": "no photo was called Noonan"}},
            "background": {"auroc": figure(0.52), "brier": {"value": 0.25, "lo": None, "hi": None}},
        },
    },
    "cost": {"Noonan": {"control": 5, "Noonan": 0}, "control": {"Noonan": 1}},
    "operating_point": {"rule": "least expected cost", "threshold": 1 / 6, "sensitivity": figure(0.9)},
    "conformal": {"error": 0.1},
    "novelty": {"specificity": 0.95},
    "gallery": {"Floating-Harbor": 3},
    "command": "anthropo train cohort.csv -o m.anthropo",
    "seed": 0,
    "libraries": {"xgboost": "3.2.0"},
    "files": {"card.md": {"sha256": "", "size": 1500}, "arrays/a.npy": {"sha256": "", "size": 2_000_000}},
}


def section(title: str, text: str) -> str:
    return re.split(r"^## ", text, flags=re.M)[1:][[s.startswith(title) for s in _sections(text)].index(True)]


def _sections(text: str) -> list[str]:
    return re.split(r"^## ", text, flags=re.M)[1:]


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("Intended use", "Research use only; not a medical device."),
        ("Intended use", "- Task: binary (two labels)"),
        ("Training cohort", "1,400 photos of 212 patients. 10 photos left out."),
        ("Training cohort", "| Noonan | 30 | 19 |"),
        ("Training cohort", "| age | 0-2 | 7 |"),
        ("Inputs", f"| face-resnet | public domain (CC0) | not stated | allowed | {'ab' * 32} |"),
        ("Inputs", f"| landmarks-68 | iBUG 300-W | not stated | not allowed | {'cd' * 32} |"),
        ("Inputs", "Not for commercial use, because of landmarks-68."),
        (
            "Inputs",
            "refused by permissive runs (`--permissive`): face-detector (trained on",
        ),
        ("Inputs", "- 1 measurement: pfl"),
        ("Validation", "Method: 5-fold by patient; 400 photos of 1 patient. Intervals are 95 %."),
        ("Validation", "The stated prevalence is 0.01."),
        ("Validation", "| AUROC | 0.950 (0.920 to 0.980) | 0.520 (0.490 to 0.550) |"),
        ("Validation", "| PPV | not available (no photo was called Noonan) | not available |"),
        ("Validation", "| Brier score | not available | 0.250 (no interval) |"),
        ("Decision", "- Threshold: 0.1667"),
        ("Decision", "- Sensitivity: 0.900 (0.870 to 0.930)"),
        ("Decision", "- Prediction sets are made to miss the true label in 10 % of cases"),
        ("Decision", "| Noonan called control | 5 |"),
        ("Limitations", "- Labels with fewer than 20 patients: Noonan (19)."),
        ("Limitations", "- Fewer than 20 patients by age: 13- (0), 0-2 (7)."),
        ("Limitations", "without a trained classifier: Floating-Harbor."),
        ("Versions", "| seed | 0 |"),
        ("Versions", f"| training table (SHA-256) | {'00' * 32} |"),
        ("Versions", "    anthropo train cohort.csv -o m.anthropo"),
    ],
)
def test_the_card_says(title: str, line: str) -> None:
    assert line in section(title, card(Manifest.from_json(MANIFEST)))


def test_the_card_does_not_say_what_is_not_so() -> None:
    text = card(Manifest.from_json(MANIFEST))
    assert "Fewer than 20 patients by sex" not in text
    assert "Noonan called Noonan" not in text
    free = Manifest.from_json({**MANIFEST, "weights": []})
    assert "Not for commercial use" not in card(free)
    assert "commercial" not in str(describe(free))


def test_rows_of_inspect() -> None:
    rows = dict(describe(Manifest.from_json(MANIFEST)))
    assert rows["task"] == "binary (two labels)"
    assert rows["trained on"] == "1,400 photos of 212 patients; 10 photos left out"
    assert rows["label Noonan"] == "30 photos of 19 patients"
    assert rows["AUROC"] == "0.950 (0.920 to 0.980)"
    assert rows["PPV"] == "not available (no photo was called Noonan)"
    assert rows["cost of Noonan called control"] == "5"
    assert rows["not for commercial use"] == "landmarks-68"
    assert rows["gallery"] == "Floating-Harbor (3 patients)"
    assert rows["seed"] == "0"
    assert rows["size"] == "2,002 kB in 2 members"


def test_without_anything_it_says_that_nothing_is_known() -> None:
    assert describe(Manifest()) == [("task", "not stated"), ("trained on", "not stated")]
    text = card(Manifest())
    assert len(_sections(text)) == 7
    assert "No validation figures in this model." in section("Validation", text)
    assert "Weights and licences: not stated." in section("Inputs", text)
    assert "it is unknown for which people the model is less accurate" in section("Limitations", text)
    assert "None" not in text


def test_any_part_may_be_missing() -> None:
    def parts(value: Any, *path: str) -> list[tuple[str, ...]]:
        inner = [p for k, v in value.items() for p in parts(v, *path, k)] if isinstance(value, dict) else []
        return [path, *inner] if path else inner

    def without(value: dict[str, Any], path: tuple[str, ...], null: bool) -> dict[str, Any]:
        head, *rest = path
        if rest:
            return {**value, head: without(value[head], tuple(rest), null)}
        return {**value, head: None} if null else {k: v for k, v in value.items() if k != head}

    for path in parts(MANIFEST):
        for null in (False, True):
            manifest = Manifest.from_json(without(MANIFEST, path, null))
            assert len(_sections(card(manifest))) == 7, path
            assert describe(manifest), path


def test_labels_cannot_break_the_page() -> None:
    label = "a | b\n## Validated <script>`x` [y](z)"
    counts = TrainingCohort(labels={label: Counts(photos=1, patients=1)})
    text = card(Manifest(labels=(label,), cohort=counts))
    assert len(_sections(text)) == 7
    assert r"| a \| b ## Validated \<script\>\`x\` \[y\](z) | 1 | 1 |" in text
    assert dict(describe(Manifest(labels=(label,))))["labels"] == "a | b ## Validated <script>`x` [y](z)"
