from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import estimator_checks_generator

from anthropo.errors import InputError, ModelError
from anthropo.learning import deep, measured
from anthropo.learning.calibration import against_rest, bounded
from anthropo.learning.hybrid import HybridClassifier

KINDS = pytest.mark.parametrize("kind", ["xgboost", "linear", "svm"])
Strings = NDArray[np.str_]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 40)
    monkeypatch.setattr(deep, "_FREQUENCIES", 64)


def cohort(
    n: int = 200,
    labels: int = 3,
    *,
    seed: int = 0,
    share: list[float] | None = None,
    strength: float = 1.5,
    metadata: bool = True,
) -> tuple[pd.DataFrame, Strings]:
    """Three measurements and two regions, of which one is noise, that know of the label independently."""
    random = np.random.default_rng(seed)
    y = random.choice(labels, n, p=share)
    there = strength * np.eye(labels)[y]
    numbers = random.normal(size=(n, 3))
    numbers[:, :labels] += there[:, :3]
    numbers[random.random((n, 3)) < 0.05] = np.nan
    face = random.normal(size=(n, 8))
    face[:, :labels] += there
    noise = random.normal(size=(n, 8))
    table = pd.DataFrame(numbers, columns=["a", "b", "c"])
    for name, region in (("face", face), ("eyes", noise)):
        table[[f"{name}/{i}" for i in range(8)]] = region
    if metadata:
        table["meta:age"] = np.where(random.random(n) < 0.1, np.nan, random.uniform(0, 80, n))
        table["meta:sex"] = random.choice(np.array(["female", "male", None], dtype=object), n)
    return table, np.array(["affected", "control", "other"])[y]


def shown(probabilities: Any, y: Strings, classes: Any) -> float:
    return float(roc_auc_score(y, probabilities[:, 1]) if len(classes) == 2 else
                 roc_auc_score(y, probabilities, multi_class="ovr", labels=classes))  # fmt: skip


_NOT_ASKED = {
    "check_array_api_input": "of estimators for other array libraries",
    # a repeated photo is another patient, who may come into another fold; of scikit-learn's own classifiers
    # those with folds inside are excused as well
    "check_sample_weight_equivalence_on_dense_data": "weights are no repetitions where folds are by patient",
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what they give to `fit` is meant to be wrong
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{kind}-{check.func.__name__}-{at}")
        for kind in ("auto", "xgboost", "linear", "svm", "svm-rbf")
        for at, (estimator, check) in enumerate(estimator_checks_generator(HybridClassifier(kind, folds=2)))
        if check.func.__name__ not in _NOT_ASKED
    ],
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@KINDS
@pytest.mark.parametrize("labels", [2, 3])
def test_contributions_sum_to_calibrated_log_odds(kind: Any, labels: int) -> None:
    table, y = cohort(labels=labels)
    model = HybridClassifier(kind).fit(table, y)
    by = model.contributions(table)
    assert set(by.regions) == {"face", "eyes"}
    assert set(by.measurements) == {"a", "b", "c"}
    assert set(by.metadata) == {"meta:age", "meta:sex"}
    for part in (*by.regions.values(), *by.measurements.values(), *by.metadata.values()):
        assert part.shape == (len(y), labels)
        np.testing.assert_allclose(part.mean(1), 0, atol=1e-9)
    margins = model.margins(table)
    np.testing.assert_allclose(by.total, margins, atol=1e-12)
    probabilities = model.predict_proba(table)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    logs = np.log(probabilities)
    np.testing.assert_allclose(logs - logs.mean(1, keepdims=True), margins, atol=1e-6)
    # and to those of the parts that were fitted: what is summed is what decides
    scores = model._scaled([m.scores(table[list(model.columns_.regions[r])].to_numpy())
                            for r, m in model.regions_.items()])  # fmt: skip
    halves = [
        model.deep_.margins(scores),
        model.measured_.margins(model.imputer_.fill(model.scaler_.transform(table))),
    ]
    unbounded = model.stack_.margins(halves)
    np.testing.assert_allclose(unbounded, by.total - by.limit, atol=1e-5)
    np.testing.assert_allclose(bounded(unbounded, model.people_), margins, atol=1e-5)


def test_what_few_people_cannot_show_is_taken_off_and_a_stated_prevalence_is_not() -> None:
    table, y = cohort(n=60, labels=2, strength=6)
    twice = np.repeat(np.arange(60), 2)  # two photos of each
    photos = table.iloc[twice].reset_index(drop=True)
    model = HybridClassifier("linear").fit(photos, y[twice], groups=twice)
    people = [(y == c).sum() for c in model.classes_]
    assert model.people_.tolist() == people
    sure = model.decision_function(table)
    own = (y[:, None] == model.classes_).argmax(1)
    assert (model.contributions(table).limit[np.arange(60), own] < 0).mean() > 0.9
    highest = np.log(5 * np.array(people) + 1)
    for odds in (sure, against_rest(np.log(model.out_of_fold_[::2]))[:, 1]):
        assert 3 < odds.max() <= highest[1]
        assert 3 < -odds.min() <= highest[0]
    rare = model.at(np.array([0.999, 0.001]))
    np.testing.assert_allclose(rare.decision_function(table), sure + rare.shift[1] - rare.shift[0])


def test_models_from_before_have_no_bound() -> None:
    table, y = cohort(n=60, labels=2, strength=6)
    meta, arrays = HybridClassifier("linear").fit(table, y).state()
    bound = HybridClassifier.from_state(meta, arrays)
    meta.pop("people")
    before = HybridClassifier.from_state(meta, arrays)
    np.testing.assert_array_equal(before.margins(table), bound.unbounded(table))
    assert before.state()[0]["people"] == []
    assert np.abs(before.margins(table)).max() > np.abs(bound.margins(table)).max() + 0.2


@KINDS
def test_the_second_label_has_the_positive_side(kind: Any) -> None:
    table, y = cohort(labels=2)
    model = HybridClassifier(kind).fit(table, y)
    decision, probabilities = model.decision_function(table), model.predict_proba(table)
    assert decision.shape == (len(y),)
    np.testing.assert_allclose(decision, np.log(probabilities[:, 1] / probabilities[:, 0]), atol=1e-9)
    assert ((decision > 0) == (model.predict(table) == model.classes_[1])).all()
    assert roc_auc_score(y == model.classes_[1], decision) > 0.9


@KINDS
@pytest.mark.parametrize("labels", [2, 3])
def test_it_is_kept_bit_by_bit(kind: Any, labels: int) -> None:
    table, y = cohort(labels=labels)
    cost = 1 - np.eye(labels)
    cost[0, 1] = 4
    model = HybridClassifier(kind, cost=cost, controls="control").fit(table, y)
    meta, arrays = model.state()
    again = HybridClassifier.from_state(json.loads(json.dumps(meta)), arrays)
    np.testing.assert_array_equal(again.margins(table), model.margins(table))
    assert again.predict(table).tolist() == model.predict(table).tolist()
    assert again.state()[0] == meta
    for name, array in again.state()[1].items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize("parts", ["abc", "regions"])
def test_either_half_alone(parts: str) -> None:
    table, y = cohort(metadata=False)
    own = table[[c for c in table if (c in "abc") == (parts == "abc")]]
    model = HybridClassifier().fit(own, y)
    assert shown(model.predict_proba(own), y, model.classes_) > 0.85
    again = HybridClassifier.from_state(*model.state())
    np.testing.assert_array_equal(again.margins(own), model.margins(own))
    assert bool(model.contributions(own).regions) == (parts == "regions")


@KINDS
def test_a_damaged_state_is_refused(kind: Any) -> None:
    table, y = cohort()
    meta, arrays = HybridClassifier(kind).fit(table, y).state()
    for name in arrays:
        with pytest.raises(ModelError):
            HybridClassifier.from_state(meta, {k: v for k, v in arrays.items() if k != name})
        with pytest.raises(ModelError):
            HybridClassifier.from_state(meta, {**arrays, name: arrays[name][..., None]})
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not name.startswith("trees/"):
            with pytest.raises(ModelError, match=r"missing or of another shape|infinity or NaN"):
                HybridClassifier.from_state(meta, {**arrays, name: array * np.nan})


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["affected"]}, {"classes": "affected"}, {"classes": [1, 2, 3]}, {"measured": 3},
        {"origin": ["turner"]}, {"regions": {"face": 0}}, {"regions": {"face": 10**12}},
        {"regions": {"face": "8", "eyes": 8}}, {"category": 5}, {"category": []}, {"measurements": None},
        {"people": [30, 30]}, {"people": [30, 0, 30]}, {"people": 80},
    ],
)  # fmt: skip
def test_a_foreign_description_is_refused(change: dict[str, Any]) -> None:
    table, y = cohort(n=80)
    meta, arrays = HybridClassifier("svm").fit(table, y).state()
    with pytest.raises(ModelError):
        HybridClassifier.from_state({**meta, **change}, arrays)


@KINDS
@pytest.mark.parametrize("balance", ["weights", "resample", "none"])
def test_equal_input_gives_equal_models(kind: Any, balance: Any) -> None:
    table, y = cohort(n=120, share=[0.6, 0.3, 0.1])
    one, other = (HybridClassifier(kind, balance=balance, random_state=3).fit(table, y) for _ in range(2))
    np.testing.assert_array_equal(one.margins(table), other.margins(table))
    np.testing.assert_array_equal(one.out_of_fold_, other.out_of_fold_)


@KINDS
@pytest.mark.parametrize("balance", ["weights", "resample", "none"])
def test_probabilities_keep_the_cohorts_shares(kind: Any, balance: Any) -> None:
    table, y = cohort(n=500, labels=2, share=[0.1, 0.9], strength=1.0)
    model = HybridClassifier(kind, balance=balance).fit(table, y)
    share = np.mean(y == "affected")
    assert np.isfinite(model.out_of_fold_).all()
    assert model.out_of_fold_[:, 0].mean() == pytest.approx(share, abs=0.02)
    new, _ = cohort(n=2000, labels=2, share=[0.1, 0.9], strength=1.0, seed=1)
    assert model.predict_proba(new)[:, 0].mean() == pytest.approx(0.1, abs=0.03)


@KINDS
def test_a_costly_miss_makes_for_more_alarms(kind: Any) -> None:
    table, y = cohort(n=300, labels=2, strength=0.8)
    new, truth = cohort(n=600, labels=2, strength=0.8, seed=1)
    cost = np.array([[0.0, 8.0], [1.0, 0.0]])  # row: the truth
    said = {
        name: HybridClassifier(kind, cost=c).fit(table, y).predict(new)
        for name, c in {"plain": None, "miss": cost, "alarm": cost.T}.items()
    }
    alarms = {name: np.mean(s == "affected") for name, s in said.items()}
    assert alarms["alarm"] < alarms["plain"] - 0.1
    assert alarms["plain"] + 0.1 < alarms["miss"]

    def paid(name: str) -> float:
        return float(8 * np.mean((truth == "affected") & (said[name] == "control"))
                     + np.mean((truth == "control") & (said[name] == "affected")))  # fmt: skip

    assert paid("miss") < paid("plain")


def test_costs_weigh_training_only_when_asked_to() -> None:
    table, y = cohort(n=200, labels=2, strength=0.8)
    cost = np.array([[0.0, 8.0], [1.0, 0.0]])
    plain, decided, weighed = (
        HybridClassifier("linear", cost=c, weigh_cost=w).fit(table, y)
        for c, w in ((None, False), (cost, False), (cost, True))
    )
    np.testing.assert_array_equal(plain.margins(table), decided.margins(table))
    assert (plain.predict(table) != decided.predict(table)).any()
    assert np.abs(weighed.margins(table) - decided.margins(table)).max() > 0.01


@pytest.mark.parametrize(("kind", "found"), [("sum", "Machine"), ("steps", "Trees")])
def test_auto_takes_what_makes_the_labels_more_likely(kind: str, found: str) -> None:
    random = np.random.default_rng(2)
    numbers = random.normal(size=(240, 6))
    logit = 1.2 * numbers.sum(1) if kind == "sum" else 6.0 * (np.abs(numbers[:, 0]) > 0.7) - 3
    y = np.where(random.random(240) < 1 / (1 + np.exp(-logit)), "affected", "control")
    model = HybridClassifier("auto").fit(numbers, y)
    assert type(model.measured_).__name__ == found
    one = HybridClassifier({"Machine": "linear", "Trees": "xgboost"}[found]).fit(numbers, y)  # type: ignore[arg-type]
    np.testing.assert_array_equal(model.margins(numbers), one.margins(numbers))
    again = HybridClassifier.from_state(*model.state())
    assert again.classifier == "auto"
    named = pd.DataFrame(numbers, columns=again.feature_names_in_)
    np.testing.assert_array_equal(again.margins(named), model.margins(numbers))


def test_few_people_who_are_told_apart_get_no_boundless_odds() -> None:
    table, y = cohort(n=60, labels=2, strength=6.0, metadata=False)
    model = HybridClassifier().fit(table, y)
    new, truth = cohort(n=400, labels=2, strength=6.0, metadata=False, seed=1)
    assert shown(model.predict_proba(new), truth, (0, 1)) > 0.99
    assert np.abs(model.decision_function(new)).max() < 9
    photos = np.repeat(np.arange(60), 6)
    several = HybridClassifier().fit(table.iloc[photos].reset_index(drop=True), y[photos], groups=photos)
    assert np.abs(several.decision_function(new)).max() < 9


@KINDS
def test_gaps_and_words_that_are_new(kind: Any) -> None:
    table, y = cohort()
    table["c"] = np.nan
    model = HybridClassifier(kind).fit(table, y)
    assert not np.any(model.contributions(table).measurements["c"])
    new = table.iloc[:4].copy()
    new["meta:sex"] = "diverse"
    new[["meta:age", "a", "b", "c"]] = np.nan
    found = model.predict_proba(new)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(1), 1)


@KINDS
def test_metadata_is_used(kind: Any) -> None:
    table, y = cohort(labels=2, strength=0.3)
    table["meta:sex"] = np.where(y == "affected", "female", "male")
    without = table.drop(columns="meta:sex")
    found = {len(t.columns): HybridClassifier(kind).fit(t, y) for t in (table, without)}
    new, _ = cohort(labels=2, strength=0.3, seed=1)
    new["meta:sex"] = "female"
    by = found[21].contributions(new).metadata["meta:sex"]
    assert (by[:, 0] > 0.5).all()
    aucs = [shown(m.out_of_fold_, y, m.classes_) for m in (found[21], found[20])]
    assert aucs[0] > max(0.98, aucs[1] + 0.1)


@KINDS
def test_people_who_are_told_apart_tell_nothing_of_their_label(kind: Any) -> None:
    # labels are dealt to patients at random; only who someone is could give them away
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 8)
    label = np.repeat(random.permutation(40) % 2, 8)
    identity = random.normal(size=(40, 32))[patient] + 0.05 * random.normal(size=(320, 32))
    numbers = random.normal(size=(40, 6))[patient] + 0.05 * random.normal(size=(320, 6))
    table = pd.DataFrame(np.hstack([numbers, identity]),
                         columns=[*"abcdef", *(f"face/{i}" for i in range(32))])  # fmt: skip
    y = np.array(["affected", "control"])[label]
    honest = HybridClassifier(kind).fit(table, y, groups=patient)
    assert 0.3 < shown(honest.out_of_fold_, y, honest.classes_) < 0.65
    leaking = HybridClassifier(kind).fit(table, y)
    assert shown(leaking.out_of_fold_, y, leaking.classes_) > 0.9


def test_measurements_are_standardised_by_controls() -> None:
    table, y = cohort()
    model = HybridClassifier(controls="control").fit(table, y)
    own = table.loc[y == "control", ["a", "b", "c"]]
    np.testing.assert_allclose(model.scaler_.mean[:3], own.mean())
    np.testing.assert_allclose(model.scaler_.spread[:3], own.std())
    plain = HybridClassifier().fit(table, y)
    np.testing.assert_allclose(plain.scaler_.mean[:3], table[["a", "b", "c"]].mean())


@KINDS
def test_probabilities_out_of_fold_are_calibrated(kind: Any) -> None:
    table, y = cohort(n=1000, labels=2, share=[0.3, 0.7], strength=1.0)
    model = HybridClassifier(kind).fit(table, y)
    new, truth = cohort(n=4000, labels=2, share=[0.3, 0.7], strength=1.0, seed=1)
    for found, true in ((model.out_of_fold_[:, 0], y), (model.predict_proba(new)[:, 0], truth)):
        order = np.argsort(found)
        off = [abs(found[b].mean() - (true[b] == "affected").mean()) for b in np.array_split(order, 10)]
        assert np.mean(off) < 0.04


@KINDS
def test_both_halves_know_more_than_one(kind: Any) -> None:
    table, y = cohort(n=300, labels=2, strength=0.9, metadata=False)
    new, truth = cohort(n=2000, labels=2, strength=0.9, metadata=False, seed=1)
    halves = [["a", "b", "c"], [c for c in table if "/" in c], list(table)]
    numbers, regions, both = (
        shown(HybridClassifier(kind).fit(table[own], y).predict_proba(new[own]), truth, (0, 1))
        for own in halves
    )
    assert both > max(numbers, regions) + 0.02


def test_a_half_that_is_noise_does_not_harm() -> None:
    table, y = cohort(n=200, labels=2, metadata=False)
    new, truth = cohort(n=2000, labels=2, metadata=False, seed=1)
    random = np.random.default_rng(5)
    for t in (table, new):
        t[["a", "b", "c"]] = random.normal(size=(len(t), 3))
    regions = [c for c in table if "/" in c]
    alone = HybridClassifier().fit(table[regions], y).predict_proba(new[regions])
    both = HybridClassifier().fit(table, y).predict_proba(new)
    assert shown(both, truth, (0, 1)) > shown(alone, truth, (0, 1)) - 0.005


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classifier": "forest"}, "classifier='forest': unknown. Choose from auto, xgboost, linear, svm"),
        ({"controls": "healthy"}, "controls='healthy': no row has this label"),
        ({"balance": "most"}, "balance='most': unknown. Choose from weights, resample, none"),
        ({"cost": np.ones((2, 2))}, "must be 3 x 3 numbers, none negative"),
        ({"cost": -np.ones((3, 3))}, "none negative"),
        ({"cost": np.full((3, 3), np.nan)}, "none negative"),
    ],
)
def test_wrong_parameters(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HybridClassifier(**change).fit(*cohort(n=60))


def test_what_cannot_be_learned_from() -> None:
    table, y = cohort(n=60)
    with pytest.raises(ValueError, match="All photos have the label control, one class only"):
        HybridClassifier().fit(table, np.full(60, "control"))
    patients = np.where(y == "other", "the same", np.arange(60).astype(str))
    with pytest.raises(ValueError, match=r"Label other has one patient; each class needs two or more\."):
        HybridClassifier().fit(table, y, groups=patients)
    with pytest.raises(ValueError, match="59 groups for 60 rows"):
        HybridClassifier().fit(table, y, groups=np.arange(59))
    with pytest.raises(ValueError, match="60 rows of features for 59 labels"):
        HybridClassifier().fit(table, y[:-1])


def test_columns_that_are_missing_are_named() -> None:
    table, y = cohort(n=60)
    model = HybridClassifier().fit(table, y)
    with pytest.raises(
        InputError, match="8 columns that the model was trained with are missing, the first is"
    ):
        model.predict(table.drop(columns=[f"eyes/{i}" for i in range(8)]))
    # neither the order nor further columns matter
    np.testing.assert_array_equal(
        model.margins(table[table.columns[::-1]].assign(more=1)), model.margins(table)
    )


@KINDS
def test_weights_of_photos(kind: Any) -> None:
    table, y = cohort(n=120, labels=2)
    plain = HybridClassifier(kind).fit(table, y)
    alike = HybridClassifier(kind).fit(table, y, np.full(120, 7.0))
    np.testing.assert_allclose(alike.margins(table), plain.margins(table), atol=1e-6)
    # a photo of weight 0 is as good as left out
    kept = np.arange(120) % 5 > 0
    part = HybridClassifier(kind).fit(table[kept], y[kept])
    zeros = HybridClassifier(kind).fit(table, y, kept.astype(float))
    np.testing.assert_array_equal(zeros.margins(table), part.margins(table))
    np.testing.assert_array_equal(zeros.out_of_fold_[kept], part.out_of_fold_)
    assert np.isnan(zeros.out_of_fold_[~kept]).all()
    # probabilities are those of the weighted cohort
    weights = np.where(y == "affected", 4.0, 1.0)
    heavy = HybridClassifier(kind).fit(table, y, sample_weight=weights)
    share = np.average(heavy.out_of_fold_[:, 0], weights=weights)
    assert share == pytest.approx(np.average(y == "affected", weights=weights), abs=0.04)
    assert heavy.predict_proba(table)[:, 0].mean() > plain.predict_proba(table)[:, 0].mean() + 0.02
    with pytest.raises(ValueError, match="Label affected has no photo that counts"):
        HybridClassifier(kind).fit(table, y, (y != "affected").astype(float))


@pytest.mark.parametrize("state", [np.random.RandomState(0), None, np.int64(3)])
def test_random_states_as_in_scikit_learn(state: Any) -> None:
    table, y = cohort(n=60, labels=2)
    model = HybridClassifier(random_state=state).fit(table, y)
    assert model.random_state is state
    assert np.isfinite(model.margins(table)).all()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pd.DataFrame(index=range(6)), "X holds nothing to learn from"),
        (pd.DataFrame({"meta:site": [""] * 6}), "X holds nothing to learn from"),
        (
            pd.DataFrame({"site": list("abcabc")}),
            "Column site holds words. Call it meta:site to have it learned",
        ),
        (pd.DataFrame(np.ones((6, 2)), columns=["a", "a"]), "a is a column twice"),
    ],
)
def test_frames_without_numbers_are_refused_in_a_sentence(table: pd.DataFrame, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HybridClassifier().fit(table, [0, 1] * 3)


def test_weights_below_zero_are_refused() -> None:
    table, y = cohort(n=60, labels=2)
    with pytest.raises(ValueError, match=r"sample_weight: no weight may be negative\."):
        HybridClassifier().fit(table, y, np.linspace(-1, 1, 60))
