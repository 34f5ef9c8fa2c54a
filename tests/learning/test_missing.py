"""What the gate voids says nothing, unless it is asked for: then by a name of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from simulated import ENCODER, IDS, simulated
from sklearn.metrics import roc_auc_score

from anthropo.errors import ModelError
from anthropo.explanation.changes import smallest_changes
from anthropo.explanation.contributions import explain_features
from anthropo.learning import deep, measured
from anthropo.learning.card import card, describe
from anthropo.learning.columns import Columns, Scaler
from anthropo.learning.features import Features
from anthropo.learning.fitted import FittedHybrid
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.judging import cross_validate, variants
from anthropo.learning.methods import methods
from anthropo.learning.model import Options
from anthropo.learning.trained import Trained
from anthropo.learning.training import make_trained
from anthropo.measurement.registry import registry
from anthropo.report.explanation import words
from anthropo.settings import Settings


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 30)
    monkeypatch.setattr(measured, "_PEOPLE", 4)
    monkeypatch.setattr(deep, "_FREQUENCIES", 32)


def voided_by_label(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.str_]]:
    """Measurements that know nothing of the label; "a" is voided in most of the affected, "d" in nobody."""
    random = np.random.default_rng(seed)
    affected = random.random(n) < 0.5
    table = pd.DataFrame(random.normal(size=(n, 4)), columns=["a", "b", "c", "d"])
    table.loc[random.random(n) < np.where(affected, 0.8, 0.1), "a"] = np.nan
    table.loc[random.random(n) < 0.1, ["b", "c"]] = np.nan
    return table, np.where(affected, "affected", "control")


@pytest.mark.parametrize("kind", ["xgboost", "linear", "svm", "svm-rbf"])
def test_what_is_voided_speaks_only_when_asked(kind: Any) -> None:
    (table, y), (new, truth) = voided_by_label(), voided_by_label(seed=1)
    silent = HybridClassifier(kind).fit(table, y)
    asked = HybridClassifier(kind, missing="evidence").fit(table, y)
    far = [roc_auc_score(truth == "control", m.predict_proba(new)[:, 1]) for m in (silent, asked)]
    assert abs(far[0] - 0.5) < 0.15
    assert far[1] > 0.75
    assert not silent.contributions(new).voided
    by = asked.contributions(new)
    assert set(by.voided) == {"a", "b", "c"}  # of "d" there is nothing to tell
    np.testing.assert_allclose(by.total, asked.margins(new), atol=1e-5)
    sizes = {name: float(np.abs(v).mean()) for name, v in by.voided.items()}
    assert max(sizes, key=lambda name: sizes[name]) == "a"
    # a value that is missing is no anatomy, whatever its absence says
    for name, values in by.measurements.items():
        if kind != "svm-rbf":
            np.testing.assert_array_equal(values[new[name].isna()], 0)


@pytest.mark.parametrize("kind", ["xgboost", "linear", "svm-rbf"])
def test_somebody_of_whom_everything_is_voided(kind: Any) -> None:
    table, y = voided_by_label()
    model = HybridClassifier(kind, missing="evidence").fit(table, y)
    nobody = pd.DataFrame(np.full((2, 4), np.nan), columns=list("abcd"))
    by = model.contributions(nobody)
    np.testing.assert_allclose(by.total, model.margins(nobody), atol=1e-5)
    assert np.isfinite(by.total).all()


@pytest.mark.parametrize("kind", ["xgboost", "linear"])
def test_it_is_kept_bit_by_bit(kind: Any) -> None:
    table, y = voided_by_label()
    model = HybridClassifier(kind, missing="evidence").fit(table, y)
    meta, arrays = model.state()
    again = FittedHybrid.from_state(json.loads(json.dumps(meta)), arrays)
    np.testing.assert_array_equal(again.margins(table), model.margins(table))
    assert again.contributions(table).voided.keys() == model.contributions(table).voided.keys()
    assert again.missing == "evidence"
    # a file whose model was not asked must not learn from it, and no other word may stand there
    for change in ({"missing": "expected"}, {"category": [c and "wide" for c in meta["category"]]}):
        with pytest.raises(ModelError, match="a measurement is a category"):
            FittedHybrid.from_state(json.loads(json.dumps(meta | change)), arrays)
    with pytest.raises(ModelError, match="missing"):
        FittedHybrid.from_state(json.loads(json.dumps(meta | {"missing": "guess"})), arrays)


def test_a_model_from_before_there_was_a_choice_is_read() -> None:
    table, y = voided_by_label()
    model = HybridClassifier("linear").fit(table, y)
    meta, arrays = model.state()
    del meta["missing"]
    assert FittedHybrid.from_state(json.loads(json.dumps(meta)), arrays).missing == "expected"


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"missing='guess': unknown\. Choose from expected, evidence"):
        HybridClassifier(missing="guess").fit(*voided_by_label())  # type: ignore[arg-type]


def test_numbers_of_what_is_voided_come_last_and_only_where_some_are() -> None:
    table = pd.DataFrame(
        {"a": [1.0, np.nan, 3.0], "b": [1.0, 2.0, 4.0], "c": [np.nan] * 3, "meta:x": [1.0, np.nan, 0]}
    )
    columns = Columns.of(list(table))
    scaler = Scaler.fit(table, columns, np.array([True, False, True]), voided=True)
    assert scaler.names == ("a", "b", "c", "meta:x", "a=voided")
    assert scaler.voided.tolist() == [False] * 4 + [True]
    # by everybody's mean and SD: of the controls alone none may be voided
    np.testing.assert_allclose(scaler.transform(table)[:, 4], np.array([-1, 2, -1]) / np.sqrt(3), atol=1e-12)
    assert not Scaler.fit(table, columns).voided.any()


def cohort(seed: int = 0) -> Features:
    """People of whom one measurement is mostly voided where the label is noonan."""
    made = simulated({"control": 30, "noonan": 30}, photos=2, seed=seed, strength=0.3)
    random = np.random.default_rng(seed)
    made.measurements[random.random(len(made)) < np.where(made.labels == "noonan", 0.8, 0.1), 0] = np.nan
    return made


def model(missing: Any) -> Trained:
    options = Options(classifier="linear", missing=missing)
    refits = cross_validate(cohort(), options, folds=5, repeats=1, baselines=False, keep_refits=True).refits
    return make_trained(cohort(), options, "labels", ENCODER, Settings(jitter=2), refits=refits)


def test_card_methods_and_explanation_say_that_it_was_voided() -> None:
    asked, silent = model("evidence"), model("expected")
    assert (asked.manifest.missing, silent.manifest.missing) == ("evidence", "expected")
    sentence = "whether a measurement has a value counts beside what it is"
    assert sentence in card(asked.manifest)
    assert sentence not in card(silent.manifest)
    assert "voided measurements" in dict(describe(asked.manifest))
    assert "voided measurements" not in dict(describe(silent.manifest))
    assert "whether each was voided entered the classifier" in methods(asked.manifest)
    assert "carried no evidence" in methods(silent.manifest)
    new, shown = cohort(1), 0
    for explanation in explain_features(asked, new, ["noonan"]):
        (of,) = explanation.labels
        voided = of.of("voided")
        assert {c.name for c in voided} == set(IDS)
        assert all(c.range is not None for c in voided)
        total = of.bias + sum(c.log_odds for c in of.contributions)
        assert total == pytest.approx(of.log_odds, abs=1e-6)
        name = f"whether {registry()[IDS[0]].name} was voided"
        first = next(c for c in voided if c.name == IDS[0])
        # shown among the largest, or told with the others
        bars = [bar for bar in words.bars(of) if bar.name == name]
        assert [(bar.kind, bar.measurement, bar.log_odds) for bar in bars] in (
            [],
            [("voided", "", first.log_odds)],
        )
        shown += len(bars)
        named = [bar.name for bar in words.bars(of) if bar.kind == "voided"]
        assert len(named) == 4
        assert named[-1] == "whether 1 other measurement was voided"
        assert set(of.to_frame().kind) == {"bias", "region", "voided", "measurement", "residual"}
    assert shown > 50  # of 60 people
    for explanation in explain_features(silent, new, ["noonan"]):
        assert not explanation.labels[0].of("voided")
    # nobody is told that less would have to be voided
    one = replace(new, patients=np.array(["one"] * len(new)))
    assert {c.measurement for c in smallest_changes(asked, one)} <= set(IDS)


def test_refits_and_file_say_the_same(tmp_path: Any) -> None:
    asked, new = model("evidence"), cohort(1)
    asked.save(tmp_path / "m.anthropo")
    again = Trained.load(tmp_path / "m.anthropo")
    for one, other in zip(*(explain_features(m, new, ["noonan"]) for m in (asked, again)), strict=True):
        for c, d in zip(one.labels[0].of("voided"), other.labels[0].of("voided"), strict=True):
            assert (c.name, c.log_odds) == (d.name, pytest.approx(d.log_odds, abs=1e-9))
            np.testing.assert_allclose(c.refits, d.refits, atol=1e-5)


def test_measurements_alone_stay_anatomy_beside_a_model_that_was_asked() -> None:
    of = variants(cohort(), Options(missing="evidence"))
    assert {name: one.missing for name, one in of.items()} == {
        "hybrid": "evidence", "measurements": "expected", "regions": "evidence", "gate": "expected",
    }  # fmt: skip
    assert variants(cohort(), Options())["hybrid"].missing == "expected"
