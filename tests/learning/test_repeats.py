from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from simulated import simulated
from sklearn.metrics import roc_auc_score

from anthropo.errors import InputError
from anthropo.learning import deep, measured
from anthropo.learning.intervals import Interval, unknown
from anthropo.learning.judged import Judged
from anthropo.learning.judging import cross_validate
from anthropo.learning.memo import remembered, remembering
from anthropo.learning.metrics import compare, judge
from anthropo.learning.model import Options
from anthropo.learning.repeats import mean_of_dealings, repeats_for

FAST = Options(classifier="svm")
N = 60


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_ROUNDS", 20)
    monkeypatch.setattr(deep, "_FREQUENCIES", 48)


def answers(seed: int, strength: float = 1.0) -> Judged:
    """Answers on the same people, of whom each seed says something else, in five folds."""
    random = np.random.default_rng(seed)
    truth = np.arange(N) % 2
    p = 1 / (1 + np.exp(-random.normal(strength * (2 * truth - 1), 1)))
    fold = random.permutation(N) % 5
    decision = np.where(random.random(N) < 0.1, -1, p > 0.5)
    return Judged(("a", "b"), truth, np.column_stack([1 - p, p]), np.arange(N), decision, fold=fold)


def test_the_fewer_people_the_more_often_they_are_dealt() -> None:
    assert [repeats_for(n) for n in (20, 199, 200, 10_000)] == [3, 3, 2, 2]


def test_figures_are_means_over_the_dealings() -> None:
    dealt = [answers(seed) for seed in range(4)]
    figures = judge(replace(dealt[0], repeats=tuple(dealt[1:])), "b", bootstrap=100)
    each = [judge(one, "b", bootstrap=100) for one in dealt]
    for name, figure in figures.items():
        if figure.known:
            assert figure.value == pytest.approx(np.mean([of[name].value for of in each])), name
            assert figure.lo <= figure.value <= figure.hi
    areas = [roc_auc_score(one.truth, one.proba[:, 1]) for one in dealt]
    # what dealing adds: (5 / 2 - 1 + 1 / 4) of the variance between dealings
    half = np.mean([of["auroc"].value - of["auroc"].lo for of in each])
    wide = math.sqrt(half**2 + 1.96**2 * 1.75 * np.var(areas, ddof=1))
    assert figures["auroc"].value - figures["auroc"].lo == pytest.approx(wide, rel=0.1)  # other resamples


def test_auroc_by_fold_compares_photos_of_one_fold_only() -> None:
    one = answers(3)
    assert one.fold is not None
    areas, cases = [], []
    for k in range(5):
        here = one.fold == k
        areas.append(roc_auc_score(one.truth[here], one.proba[here, 1]))
        cases.append(one.truth[here].sum())
    found = judge(one, "b", bootstrap=100)
    assert found["auroc_by_fold"].value == pytest.approx(np.average(areas, weights=cases))
    assert found["auroc_by_fold"].value != found["auroc"].value
    # one fold's scores in another unit change what is pooled, and not what is of one fold
    p = one.proba[:, 1] / np.where(one.fold == 2, 2, 1)
    moved = judge(replace(one, proba=np.column_stack([1 - p, p])), "b", bootstrap=100)
    assert moved["auroc_by_fold"].value == pytest.approx(found["auroc_by_fold"].value)
    assert moved["auroc"].value < found["auroc"].value
    nothing = judge(replace(one, fold=None), "b", bootstrap=100)["auroc_by_fold"]
    assert (nothing.known, nothing.reason) == (False, "not cross-validated: there are no folds")
    apart = judge(replace(one, fold=one.truth), "b", bootstrap=100)["auroc_by_fold"]
    assert apart.reason == "no fold has both sides"


def test_joining() -> None:
    alike = mean_of_dealings([Interval(0.7, 0.6, 0.8, 40)] * 3, 5, (0, 1))
    assert (alike.value, alike.n) == (pytest.approx(0.7), 40)
    assert (alike.lo, alike.hi) == (pytest.approx(0.6), pytest.approx(0.8))
    one_known = mean_of_dealings([unknown("no photo was called b"), Interval(0.9, 0.7, 1.0, 8)], 5, (0, 1))
    assert one_known.value == 0.9
    assert mean_of_dealings([unknown("why")] * 2, 5, (0, 1)).reason == "why"
    wide = mean_of_dealings([Interval(0.9, 0.8, 1.0, 40), Interval(1.0, 0.9, 1.0, 40)], 5, (0, 1))
    assert wide.hi == 1.0
    assert wide.lo < 0.85


def test_differences_hold_the_chance_of_dealing() -> None:
    a, b = ([answers(seed, s) for seed in range(3)] for s in (1.0, 1.5))
    found = compare(*(replace(of[0], repeats=tuple(of[1:])) for of in (a, b)), "b", bootstrap=300)
    areas = [[roc_auc_score(one.truth, one.proba[:, 1]) for one in of] for of in (a, b)]
    assert found["auroc"].value == pytest.approx(np.mean(areas[0]) - np.mean(areas[1]))
    assert found["auroc"].lo < found["auroc"].value < found["auroc"].hi < 0.2
    with pytest.raises(InputError, match="in the same folds, dealt as often"):
        compare(a[0], replace(b[0], repeats=tuple(b[1:])), "b")


def test_parts_are_of_every_dealing() -> None:
    dealt = replace(answers(0), repeats=(answers(1),))
    part = dealt.part(np.arange(N) < 20)
    assert [len(one.truth) for one in part.dealt] == [20, 20]
    assert part.repeats[0].fold is not None
    assert len(part.repeats[0].fold) == 20


@pytest.mark.parametrize("task", ["labels", "attributes"])
def test_each_dealing_is_a_cross_validation_of_its_own(task: str) -> None:
    people = {"control": 15, "noonan": 15} if task == "labels" else {"": 15, "a": 15}
    features = simulated(people, directions={"control": -1, "noonan": 0, "a": 0}, strength=2)
    thrice = cross_validate(features, FAST, task, repeats=3, jobs=2)  # type: ignore[arg-type]
    for name, judged in thrice.questions[0].models.items():
        assert len(judged.dealt) == 3, name
        assert len({one.proba.tobytes() for one in judged.dealt}) == 3
        assert len({one.fold.tobytes() for one in judged.dealt if one.fold is not None}) == 3
    once = cross_validate(features, FAST, task, repeats=1)  # type: ignore[arg-type]
    for name, judged in once.questions[0].models.items():
        assert judged.repeats == ()
        np.testing.assert_array_equal(judged.proba, thrice.questions[0].models[name].proba)
    with pytest.raises(InputError, match=r"repeats=0.*: the folds are dealt once or more often"):
        cross_validate(features, FAST, repeats=0)


def test_what_models_have_in_common_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features, fitted = simulated({"control": 15, "noonan": 15}), []
    inner = deep._dual
    monkeypatch.setattr(deep, "_dual", lambda *of: fitted.append(1) or inner(*of))
    alone = cross_validate(features, FAST, folds=2, repeats=1, baselines=False)
    assert len(fitted) == 8
    fitted.clear()
    beside = cross_validate(features, FAST, folds=2, repeats=1)
    assert len(fitted) == 8  # of the hybrid; "regions only" has the same
    one, other = (found.questions[0].models["hybrid"] for found in (alone, beside))
    np.testing.assert_array_equal(one.proba, other.proba)
    assert not np.array_equal(other.proba, beside.questions[0].models["regions"].proba)


def test_remembered_calls_move_a_random_state_on() -> None:
    def drawn(state: np.random.RandomState, n: int) -> np.ndarray:
        return state.normal(size=n)

    plain = np.random.RandomState(1)
    wanted = [drawn(plain, 3), drawn(plain, 3), plain.normal()]
    with remembering():
        for _ in range(2):
            state = np.random.RandomState(1)
            found = [remembered(drawn, state, 3), remembered(drawn, state, 3), state.normal()]
            for one, other in zip(wanted, found, strict=True):
                np.testing.assert_array_equal(one, other)


def test_labels_to_match_are_in_every_model_that_is_compared() -> None:
    features = simulated({"control": 20, "noonan": 20, "sotos": 5}, strength=2)
    found = cross_validate(features, FAST, folds=3, repeats=1).questions[0].models
    for name, judged in found.items():
        assert judged.labels == ("control", "noonan", "sotos")
        rare = judged.proba[:, 2]
        assert (rare > 0).all(), name
    # without regions there is nothing to match: the label's share, for everybody
    assert set(found["measurements"].proba[:, 2].round(2)) <= {0.1, 0.13}  # 3 of 30, and 4
    of = found["regions"]
    assert of.proba[of.truth == 2, 2].mean() > 2 * of.proba[of.truth < 2, 2].mean()
