"""Trees as arrays: the same predictions bit by bit, and nothing for XGBoost that is not a tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from anthropo.errors import ModelError
from anthropo.learning.boosters import Arrays, booster_arrays, booster_from_arrays
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 12)).astype(np.float32)
X[RNG.random(X.shape) < 0.2] = np.nan  # measurements may be missing
X[:, 5] = np.where(RNG.random(400) < 0.5, 1, np.nan)  # or be there or not, and say no more
SCORE = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1] * X[:, 2]) + np.isnan(X[:, 5])
MARGIN = RNG.normal(size=400)


def train(
    objective: str = "binary:logistic", classes: int = 2, rounds: int = 20, **more: Any
) -> xgboost.Booster:
    if classes > 2:
        more["num_class"] = classes
    y = np.searchsorted(np.quantile(SCORE, np.arange(1, classes) / classes), SCORE)
    options = {"objective": objective, "max_depth": 3, "eta": 0.1, "nthread": 1, **more}
    return xgboost.train(options, xgboost.DMatrix(X, y), rounds)


@pytest.fixture
def arrays() -> Arrays:
    return booster_arrays(train())


def predictions(booster: xgboost.Booster) -> list[NDArray[np.float32]]:
    booster.set_param({"nthread": 1})
    data = xgboost.DMatrix(X)
    found = [
        booster.predict(data, **{k: True}) for k in ("validate_features", "output_margin", "pred_contribs")
    ]
    return [*found, booster.predict(data, iteration_range=(0, 1))]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rounds": 1},
        {"max_depth": 8, "grow_policy": "lossguide"},
        {"gamma": 2.0},
        {"tree_method": "exact"},
        {"scale_pos_weight": 3.0, "base_score": 0.2},
        {"objective": "binary:logitraw"},
        {"objective": "reg:squarederror"},
        {"objective": "multi:softprob", "classes": 4},
        {"min_child_weight": 1e6},  # only roots
    ],
)
def test_predictions_and_contributions_are_the_same_bit_by_bit(
    options: dict[str, Any], tmp_path: Path
) -> None:
    booster = train(**options)
    write_bundle(tmp_path / "m", Bundle({}, booster_arrays(booster)))
    objective = options.get("objective", "binary:logistic")
    again = booster_from_arrays(read_bundle(tmp_path / "m").arrays, objective, 12)
    for before, after in zip(predictions(booster), predictions(again), strict=True):
        np.testing.assert_array_equal(before, after)
    for name, array in booster_arrays(again).items():
        np.testing.assert_array_equal(array, booster_arrays(booster)[name])


def test_a_margin_is_added_as_before(arrays: Arrays) -> None:
    data = xgboost.DMatrix(X, base_margin=MARGIN)
    np.testing.assert_array_equal(
        train().predict(data), booster_from_arrays(arrays, "binary:logistic", 12).predict(data)
    )


def test_arrays_are_smaller_than_xgboosts_own_file(arrays: Arrays) -> None:
    assert sum(a.nbytes for a in arrays.values()) < len(train().save_raw("ubj")) / 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"booster": "gblinear"},
        {"booster": "dart"},
        {"objective": "reg:tweedie"},
        {"num_parallel_tree": 2},
    ],
)
def test_other_boosters_are_not_kept(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="can be kept"):
        booster_arrays(train(rounds=2, **options))


def inner(a: Arrays) -> int:
    return int(np.flatnonzero(a["left"] != -1)[0])


def put(name: str, value: Any) -> Any:
    """Sets the first inner node's value."""

    def change(a: Arrays) -> None:
        a[name][inner(a)] = value

    return change


def circle(a: Arrays) -> None:
    """Node 1 and its left child are each other's child, off the root; every node keeps one parent."""
    first = slice(0, int(a["tree_start"][1]))
    left = a["left"][first]
    assert left[0] == 1
    assert left[1] > 0
    child = int(left[1])
    assert left[child] > 0
    left[0], left[child] = left[child], 1


CHANGES = {
    "left far": (put("left", 2**31 - 1), "a child is out of range"),
    "left negative": (put("left", -2), "a child is out of range"),
    "left itself": (put("left", 0), "a child is out of range"),
    "right of the next tree": (put("right", 60), "a child is out of range"),
    "one child": (put("right", -1), "a node has one child"),
    "same child": (lambda a: a["left"].__setitem__(0, a["right"][0]), "no parent or two"),
    "cut off": (lambda a: [a[k].__setitem__(0, -1) for k in ("left", "right")], "no parent or two"),
    "circle": (circle, "goes in circles"),
    "feature": (put("feature", 12), "a feature is out of range"),
    "feature negative": (put("feature", -1), "a feature is out of range"),
    "infinite": (put("value", np.inf), "a value is not finite or beyond"),
    "cover": (put("cover", -1), "a node is out of range"),
    "default": (put("default_left", 2), "a node is out of range"),
    "classes": (lambda a: a.update(base_score=np.zeros(0, np.float32)), "there is no class"),
    "two classes": (lambda a: a.update(base_score=np.zeros(2, np.float32)), "objective does not fit"),
    "base score": (lambda a: a.update(base_score=np.ones(1, np.float32)), "the base score is no probability"),
    "class": (lambda a: a["tree_class"].__setitem__(3, 1), "a class is out of range"),
    "trees": (lambda a: a["tree_start"].__setitem__(-1, 10**9), "the trees do not make up"),
    "tree twice": (lambda a: a["tree_start"].__setitem__(1, 0), "the trees do not make up"),
    "rounds": (lambda a: a["round_start"].__setitem__(-1, 10**9), "the rounds do not make up"),
    "no rounds": (lambda a: a.update(round_start=np.zeros(0, np.int32)), "the rounds do not make up"),
    "short": (lambda a: a.update(cover=a["cover"][:-1]), "differ in length"),
    "double": (lambda a: a.update(left=a["left"].astype(np.int64)), "left is missing or of another type"),
    "matrix": (lambda a: a.update(left=a["left"][None]), "left is missing or of another type"),
    "missing": (lambda a: a.pop("gain"), "gain is missing"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_a_tree_is_refused(arrays: Arrays, name: str) -> None:
    change, fault = CHANGES[name]
    change(arrays)
    with pytest.raises(ModelError, match=fault):
        booster_from_arrays(arrays, "binary:logistic", 12)


def test_an_unknown_objective_is_refused(arrays: Arrays) -> None:
    with pytest.raises(ModelError, match="the objective is unknown"):
        booster_from_arrays(arrays, "reg:made-up", 12)
    with pytest.raises(ModelError, match="does not fit"):
        booster_from_arrays(arrays, "multi:softprob", 12)


def test_a_chain_that_would_overflow_the_stack_is_refused(arrays: Arrays) -> None:
    n = 100_001  # each inner node has a leaf and the next inner node
    left, right = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    left[0 : n - 1 : 2], right[0 : n - 1 : 2] = np.arange(1, n, 2), np.arange(2, n + 1, 2)
    chain = {
        k: np.ones(n, a.dtype)
        for k, a in arrays.items()
        if len(np.shape(a)) and len(a) == len(arrays["left"])
    }
    starts = {"tree_start": np.array([0, n], np.int32), "round_start": np.array([0, 1], np.int32)}
    chain |= {"left": left, "right": right, **starts, "tree_class": np.zeros(1, np.int32)}
    with pytest.raises(ModelError, match="deeper than 64"):
        booster_from_arrays(arrays | chain, "binary:logistic", 12)


_FUZZ = """
import sys, numpy as np
from anthropo.errors import ModelError
from anthropo.learning.boosters import booster_from_arrays
import xgboost
clean = dict(np.load(sys.argv[1]))
data = xgboost.DMatrix(np.load(sys.argv[2]))
rng = np.random.default_rng(0)
used = 0
for _ in range(400):
    arrays = {k: a.copy() for k, a in clean.items()}
    for name in rng.choice(list(arrays), rng.integers(1, 3)):
        raw = arrays[name].reshape(-1).view(np.uint8)
        raw[rng.integers(len(raw))] = rng.integers(256)
        if rng.random() < 0.1:
            arrays[name] = arrays[name][:-1] if arrays[name].ndim else arrays[name]
    try:
        booster = booster_from_arrays(arrays, "binary:logistic", 12)
    except ModelError:
        continue
    booster.set_param({"nthread": 1})
    booster.predict(data, pred_contribs=True)
    used += 1
print(used)
"""


def test_random_damage_never_kills_the_process(arrays: Arrays, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    np.save(tmp_path / "x.npy", X)
    script = [sys.executable, "-c", _FUZZ, str(tmp_path / "a.npz"), str(tmp_path / "x.npy")]
    run = subprocess.run(script, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    assert 20 < int(run.stdout) < 390  # some damage makes other trees, some none
