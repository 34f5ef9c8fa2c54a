"""`anthropo.demo`: every step on invented people, as typed results."""

from __future__ import annotations

from pathlib import Path

import pytest

import anthropo
from anthropo.errors import InputError
from anthropo.workflows.demonstration import SYNTHETIC


def test_every_step_has_a_result(tmp_path: Path, small_demo: None) -> None:
    made = anthropo.demo(tmp_path / "demo", patients=10, jobs=1)
    assert made.people.model == tmp_path / "demo" / "demo.anthropo"
    assert anthropo.load_model(made.people.model).labels == ("control", "synthetic-A")
    assert made.training.evaluations[0].n_patients == 20
    (prediction,) = made.classification.predictions
    assert prediction.photos == (str(made.people.photo),)
    assert made.case.prediction.ranked[0].label == prediction.ranked[0].label
    assert made.evaluation.evaluations[0].warnings[0] == SYNTHETIC
    table = made.to_frame()
    assert {"hybrid", "background"} <= set(table["model"])
    with pytest.raises(InputError, match="the folder is not empty"):
        anthropo.demo(tmp_path / "demo", patients=10)


def test_too_few_patients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="patients=3: ten or more of each label are needed"):
        anthropo.demo(tmp_path / "demo", patients=3)
    assert not (tmp_path / "demo").exists()
