"""Age, sex and other columns are learned from only where they are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from simulated import simulated
from sklearn.model_selection import cross_val_score

from anthropo.learning import deep, measured
from anthropo.learning.features import Features, feature_frame
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.judging import variants
from anthropo.learning.model import Options, design

RECIPES = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 20)
    monkeypatch.setattr(deep, "_FREQUENCIES", 48)


def telling() -> Features:
    """People whose faces say nothing of the label, and whose age says all."""
    ages = [*np.linspace(30, 60, 40).tolist(), *np.linspace(2, 20, 40).tolist()]
    return simulated({"noonan": 40, "control": 40}, strength=0, metadata={"age": ages})


def test_a_table_of_faces_does_not_tell_what_only_age_does() -> None:
    features = telling()

    def auroc(table: object) -> float:
        return float(
            cross_val_score(HybridClassifier("svm"), table, features.labels, scoring="roc_auc").mean()
        )

    assert auroc(feature_frame(features)) < 0.7
    assert auroc(feature_frame(features, ("age",))) > 0.95


def test_nor_does_a_model_learn_from_columns_unasked() -> None:
    features = telling()
    assert not [name for name in design(features, Options()) if name.startswith("meta:")]
    asked = {name for name, options in variants(features, Options()).items() if options.metadata}
    assert asked == {"metadata"}


def test_the_page_on_python_takes_none_into_its_table() -> None:
    (line,) = [
        text for text in RECIPES.read_text("utf-8").splitlines() if "= anthropo.feature_frame(" in text
    ]
    assert line.partition("#")[0].strip() == ">>> frame = anthropo.feature_frame(features)"
