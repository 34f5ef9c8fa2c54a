"""Boosted trees as plain arrays, and back only if they are trees.

XGBoost does not check the model files that it reads: a child, feature or size out of range makes it read
outside its memory, and the process dies or worse. A model file from somebody else must not be given to it.
Here the trees are kept as arrays, which are checked before XGBoost's JSON is written from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import ModelError
from anthropo.learning.schema import Arrays

if TYPE_CHECKING:
    import xgboost

#: Objectives without other parameters than the number of classes.
OBJECTIVES = ("binary:logistic", "binary:logitraw", "multi:softprob", "reg:squarederror")

_NODES = {  # per node, all trees behind each other: name -> (dtype, XGBoost's name)
    "left": (np.int32, "left_children"),  # within the tree; -1 in leaves
    "right": (np.int32, "right_children"),
    "feature": (np.int32, "split_indices"),
    "value": (np.float32, "split_conditions"),  # threshold; what it adds, in leaves
    "default_left": (np.uint8, "default_left"),  # where missing values go
    "cover": (np.float32, "sum_hessian"),  # TreeSHAP weighs branches by it
    "weight": (np.float32, "base_weights"),
    "gain": (np.float32, "loss_changes"),
}
_DTYPES = {
    **{name: dtype for name, (dtype, _) in _NODES.items()},
    "tree_start": np.int32,  # (trees + 1,) first node of each tree
    "tree_class": np.int32,  # (trees,)
    "round_start": np.int32,  # (rounds + 1,) first tree of each round
    "base_score": np.float32,  # (classes,), or (1,)
}
MAX_DEPTH = 64  # XGBoost explains trees by recursion
MOST_NODES, MOST_TREES = 1 << 20, 1 << 17  # of which XGBoost makes half a GiB
LARGEST = 1e9  # of any number; what XGBoost adds up stays finite in single precision
_ROOT_PARENT = 2**31 - 1


def booster_arrays(booster: xgboost.Booster) -> Arrays:
    """The trees of a booster as arrays."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    model, param = learner["gradient_booster"].get("model", {}), learner["learner_model_param"]
    trees = model.get("trees", [])
    plain = (
        learner["gradient_booster"]["name"] == "gbtree"
        and learner["objective"]["name"] in OBJECTIVES
        and param["num_target"] == "1"
        and model["gbtree_model_param"]["num_parallel_tree"] == "1"
        and not any(any(t["split_type"]) or t["tree_param"]["num_deleted"] != "0" for t in trees)
    )
    if not plain:
        raise ValueError(
            "only gbtree boosters with numerical splits, one target, no pruned nodes and an objective of "
            f"{', '.join(OBJECTIVES)} can be kept"
        )
    sizes = [len(t["left_children"]) for t in trees]
    kept: dict[str, Any] = {
        **{name: [v for t in trees for v in t[key]] for name, (_, key) in _NODES.items()},
        "tree_start": np.cumsum([0, *sizes]),
        "tree_class": model["tree_info"],
        "round_start": model["iteration_indptr"],
        "base_score": np.atleast_1d(json.loads(param["base_score"])),
    }
    return {name: np.asarray(kept[name], dtype) for name, dtype in _DTYPES.items()}


def _starts(starts: NDArray[np.int32], end: int) -> bool:
    """Whether these are the first indices of parts that are not empty and together fill 0 to `end`."""
    return len(starts) > 0 and starts[0] == 0 and starts[-1] == end and bool((np.diff(starts) > 0).all())


def _fault(a: Mapping[str, NDArray[Any]], n_features: int) -> str | None:
    """Reason why the arrays are no trees; None when they are."""
    for name, dtype in _DTYPES.items():
        if name not in a or a[name].dtype != dtype or a[name].ndim != 1:
            return f"{name} is missing or of another type"
    n, trees = len(a["left"]), len(a["tree_class"])
    if any(len(a[name]) != n for name in _NODES):
        return "the nodes' arrays differ in length"
    if not _starts(a["tree_start"], n) or len(a["tree_start"]) != trees + 1:
        return "the trees do not make up the nodes"
    if not _starts(a["round_start"], trees):
        return "the rounds do not make up the trees"
    if not len(a["base_score"]):
        return "there is no class"
    if n > MOST_NODES or trees > MOST_TREES:
        return f"there are more than {MOST_NODES:,} nodes or {MOST_TREES:,} trees"
    # also false of what is not finite
    if not all((np.abs(a[k]) <= LARGEST).all() for k, d in _DTYPES.items() if d is np.float32):
        return f"a value is not finite or beyond {LARGEST:g}"
    classes = len(a["base_score"])
    if trees and not 0 <= a["tree_class"].min() <= a["tree_class"].max() < classes:
        return "a class is out of range"
    if n and not 0 <= a["feature"].min() <= a["feature"].max() < n_features:
        return "a feature is out of range"
    if (a["default_left"] > 1).any() or (a["cover"] < 0).any():
        return "a node is out of range"
    if (a["cover"][a["left"] != -1] <= 0).any():  # which its branches' shares are of
        return "a node covers nothing"
    return _fault_of_shape(a["left"], a["right"], a["tree_start"])


def _fault_of_shape(
    left: NDArray[np.int32], right: NDArray[np.int32], start: NDArray[np.int32]
) -> str | None:
    sizes = np.diff(start)
    root = np.repeat(start[:-1], sizes).astype(np.int64)
    size = np.repeat(sizes, sizes)
    inner = left != -1
    if ((right != -1) != inner).any():
        return "a node has one child"
    children = np.concatenate([left[inner], right[inner]]).astype(np.int64)
    parents = np.tile(np.flatnonzero(inner), 2)
    if ((children < 1) | (children >= size[parents])).any():
        return "a child is out of range"
    children += root[parents]
    if len(np.unique(children)) != len(children) or len(children) != len(left) - len(sizes):
        return "a node has no parent or two"
    # each node but the roots has one parent: what is not reached from a root goes in circles
    level, reached = start[:-1].astype(np.int64), len(sizes)
    for _ in range(MAX_DEPTH):
        level = level[inner[level]]
        level = np.concatenate([left[level] + root[level], right[level] + root[level]])
        reached += len(level)
    return None if reached == len(left) else f"a tree is deeper than {MAX_DEPTH} levels, or goes in circles"


def check_trees(arrays: Mapping[str, NDArray[Any]], objective: str, n_features: int) -> int:
    """The number of classes of untrusted arrays, by a ModelError if they are not what `booster_arrays` makes.

    It makes no booster, which takes far longer.
    """
    fault = "the objective is unknown" if objective not in OBJECTIVES else _fault(arrays, n_features)
    classes = len(arrays["base_score"]) if fault is None else 0
    if fault is None and (classes > 1) != objective.startswith("multi:"):
        fault = "the objective does not fit the number of classes"
    if fault is None and objective.startswith("binary:") and not 0 < arrays["base_score"][0] < 1:
        fault = "the base score is no probability"
    if fault is not None:
        raise ModelError(
            f"the trees in the model cannot be used ({fault}); the file was altered. Train it again."
        )
    return classes


def booster_from_arrays(
    arrays: Mapping[str, NDArray[Any]], objective: str, n_features: int
) -> xgboost.Booster:
    """The booster of untrusted arrays that :func:`booster_arrays` makes; XGBoost gets none that are no trees.

    XGBoost does not check that the data that it is given have `n_features` columns.
    """
    classes = check_trees(arrays, objective, n_features)
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(json.dumps(_model(arrays, objective, classes, n_features)).encode()))
    except xgboost.core.XGBoostError:
        raise ModelError(
            f"the trees in the model are not accepted by XGBoost {xgboost.__version__}. Train it again."
        ) from None
    return booster


def _model(a: Mapping[str, NDArray[Any]], objective: str, classes: int, n_features: int) -> dict[str, Any]:
    """XGBoost's JSON of a model, as of its version 3.1."""
    model: dict[str, Any] = json.loads(files(__package__).joinpath("xgboost.json").read_text("utf-8"))[
        "model"
    ]
    learner, starts = model["learner"], a["tree_start"].tolist()
    num_class = str(classes if classes > 1 else 0)
    if classes > 1:
        learner["objective"] = {"name": objective, "softmax_multiclass_param": {"num_class": num_class}}
    else:
        learner["objective"] = {"name": objective, "reg_loss_param": {"scale_pos_weight": "1"}}
    base_score = f"[{','.join(f'{x:.9g}' for x in a['base_score'].tolist())}]"
    sizes = {"num_class": num_class, "num_feature": str(n_features)}
    learner["learner_model_param"] |= {"base_score": base_score, **sizes}
    forest = learner["gradient_booster"]["model"]
    forest["gbtree_model_param"]["num_trees"] = str(len(starts) - 1)
    forest |= {"iteration_indptr": a["round_start"].tolist(), "tree_info": a["tree_class"].tolist()}
    forest["trees"] = [
        _tree(i, {name: a[name][first:end] for name in _NODES}, str(n_features))
        for i, (first, end) in enumerate(pairwise(starts))
    ]
    return model


def _tree(number: int, nodes: Arrays, n_features: str) -> dict[str, Any]:
    n = len(nodes["left"])
    parents = np.full(n, _ROOT_PARENT)
    inner = np.flatnonzero(nodes["left"] != -1)
    parents[nodes["left"][inner]] = parents[nodes["right"][inner]] = inner
    size = {"num_deleted": "0", "num_feature": n_features, "num_nodes": str(n), "size_leaf_vector": "1"}
    nothing: list[int] = []
    categories = dict.fromkeys(
        ("categories", "categories_nodes", "categories_segments", "categories_sizes"), nothing
    )
    values = {key: nodes[name].tolist() for name, (_, key) in _NODES.items()}
    values |= {"parents": parents.tolist(), "split_type": [0] * n}
    return {"id": number, **values, **categories, "tree_param": size}
