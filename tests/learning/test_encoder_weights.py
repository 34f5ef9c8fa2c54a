"""Of several encoders, the one that sees what is asked counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from anthropo.learning.hybrid import HybridClassifier

GOOD, BLIND = "seeing", "blind"


def people(n: int, seed: int, **apart: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Embeddings of 20 numbers of each encoder, in the first of which two labels are so many SD apart."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    columns: dict[str, np.ndarray] = {}
    for encoder, distance in apart.items():
        for region in ("face", "eyes"):
            x = random.normal(size=(n, 20))
            x[:, 0] += distance * (y - 0.5)
            columns |= {f"{region}@{encoder}/{i}": x[:, i] for i in range(20)}
    return pd.DataFrame(columns), np.where(y, "affected", "control")


def only(table: pd.DataFrame, encoder: str) -> pd.DataFrame:
    return table[[c for c in table if f"@{encoder}/" in c]]


def share(model: HybridClassifier, encoder: str) -> float:
    """How much of the weights is of the encoder's regions."""
    weights = model.deep_.slopes[:, None] / model.score_spread_
    own = [region.endswith(f"@{encoder}") for region in model.regions_]
    return float(weights[own].sum() / weights.sum())


@pytest.mark.parametrize("names", [(GOOD, BLIND), (BLIND, GOOD)])
def test_an_encoder_that_sees_nothing_takes_nothing_away(names: tuple[str, str]) -> None:
    both, alone = [], []
    for seed in range(6):
        apart = {name: 2.5 if name == GOOD else 0.0 for name in names}
        x, y = people(40, seed, **apart)
        later, truth = people(400, 100 + seed, **apart)
        model = HybridClassifier(random_state=0).fit(x, y)
        assert share(model, BLIND) < 0.05
        own = HybridClassifier(random_state=0).fit(only(x, GOOD), y)
        both.append(roc_auc_score(truth == "control", model.decision_function(later)))
        alone.append(roc_auc_score(truth == "control", own.decision_function(only(later, GOOD))))
    both, alone = (np.abs(np.array(a) - 0.5) + 0.5 for a in (both, alone))
    assert both.mean() > alone.mean() - 0.005


def test_encoders_that_see_as_much_count_alike() -> None:
    """And what both see is seen better."""
    gained = []
    for seed in range(6):
        x, y = people(40, seed, one=2.0, other=2.0)
        later, truth = people(400, 100 + seed, one=2.0, other=2.0)
        model = HybridClassifier(random_state=0).fit(x, y)
        own = HybridClassifier(random_state=0).fit(only(x, "one"), y)
        areas = [
            roc_auc_score(truth == "affected", m.predict_proba(t)[:, 0])
            for m, t in ((model, later), (own, only(later, "one")))
        ]
        gained.append(areas[0] - areas[1])
    assert np.mean(gained) > 0.01


def test_one_encoder_is_weighed_as_ever() -> None:
    """A name behind the regions of all changes nothing."""
    x, y = people(30, 0, one=2.0)
    plain = x.rename(columns=lambda name: name.replace("@one", ""))
    models = [HybridClassifier(random_state=0).fit(table, y) for table in (x, plain)]
    assert np.array_equal(models[0].score_spread_, models[1].score_spread_)
    assert np.array_equal(models[0].out_of_fold_, models[1].out_of_fold_)
