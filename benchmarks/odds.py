"""Are the odds of models of small cohorts honest? The hybrid beside plain models, on fresh people.

    python benchmarks/odds.py FOLDER [--sizes 20 40 60 80] [--draws 10] [--models …] [--cache DIR]

FOLDER is as for hybrid.py. Cohorts of so many people per label are drawn ten times; each model is trained on
the same people, with the same folds, and tested on others. Copies of one photograph are one person.

- log loss (nats) on the people tested, mean over the draws;
- calibration slope (Cox): logistic regression of the truth on the log-odds of all draws together, 1 is right,
  below 1 is too sure; with more than two labels the factor of all log-probabilities;
- wrong beyond 4 and 6: answers with |log-odds| above it that are wrong, beside the number that they state;
- AUROC, mean over the draws (of several labels: mean over the labels, one against the rest).

Log loss and slope have 95 % intervals from what they would be without each draw (the jackknife, with
Student's t). They hold the chance of who is trained on. Draws share people, and all labels come from one
set, so that they do not hold the chance of which set it is.

Models: the hybrid with each of its classifiers, and on measurements and embeddings together L2 logistic
regression (logistic), an SVM with a Gaussian kernel (rbf) and gradient-boosted trees (trees), each with its
strength chosen on the folds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cohorts import draws, questions
from hybrid import read
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import t as student
from sklearn.calibration import CalibratedClassifierCV
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from anthropo.learning.calibration import log_loss
from anthropo.learning.features import feature_frame
from anthropo.learning.hybrid import HybridClassifier
from anthropo.learning.splits import split

Floats = NDArray[np.float64]
_LEAST = 1e-15  # probability, in a logarithm
_FAR = (4.0, 6.0)  # log-odds
_REGIONS = ("face", "lower", "eyes", "mouth")


def hybrid(kind: Any) -> Callable[..., Floats]:
    """The hybrid with this classifier."""

    def fitted(table: Any, labels: Any, patients: Any, new: Any, seed: int) -> Floats:
        model = HybridClassifier(kind, random_state=seed).fit(table, labels, groups=patients)
        return model.predict_proba(new)

    return fitted


def plain(kind: str) -> Callable[..., Floats]:
    """A model of everything: measurements and embeddings as standardised numbers."""

    def fitted(table: Any, labels: Any, patients: Any, new: Any, seed: int) -> Floats:
        dealt = split(labels.tolist(), patients.tolist(), 5, seed).index
        folds = [(np.flatnonzero(dealt != f), np.flatnonzero(dealt == f)) for f in np.unique(dealt)]
        y = np.unique(labels, return_inverse=True)[1]
        numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
        if kind == "logistic":
            model: Any = LogisticRegression(max_iter=500)
            grid: dict[str, list[float]] = {"C": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]}
        elif kind == "rbf":
            model, grid = SVC(), {"C": [0.3, 1.0, 3.0, 10.0]}
        else:
            from xgboost import XGBClassifier

            model = XGBClassifier(learning_rate=0.1, colsample_bynode=0.3, n_jobs=1, random_state=seed)
            grid = {"max_depth": [2, 3], "n_estimators": [50, 150]}
            numbers = make_pipeline(StandardScaler())  # trees take gaps
        x = numbers.fit_transform(table)
        # an SVM has no probabilities to choose by; Platt's are added to the chosen one
        how = (
            "roc_auc_ovr" if kind == "rbf" and y.max() > 1 else "roc_auc" if kind == "rbf" else "neg_log_loss"
        )
        if how == "roc_auc_ovr":
            how = "balanced_accuracy"
        best = GridSearchCV(model, grid, scoring=how, cv=folds).fit(x, y).best_estimator_
        if kind == "rbf":
            best = CalibratedClassifierCV(best, cv=folds, ensemble=False).fit(x, y)
        return np.asarray(best.predict_proba(numbers.transform(new)), dtype=np.float64)

    return fitted


MODELS: dict[str, Callable[..., Floats]] = {
    **{f"hybrid {kind}": hybrid(kind) for kind in ("xgboost", "linear", "svm", "svm-rbf", "auto")},
    **{kind: plain(kind) for kind in ("logistic", "rbf", "trees")},
}


def slope_of(logs: Floats, y: NDArray[np.intp]) -> float:
    """Cox's calibration slope of log-probabilities (n, k), by softmax(bias + slope · logs)."""
    k = logs.shape[1]
    ones = np.ones(len(y))

    def lost(theta: Floats) -> float:
        return log_loss(theta[0] * logs + theta[1:], y, ones) + 1e-9 * float(theta @ theta)

    return float(minimize(lost, np.r_[1.0, np.zeros(k)], method="BFGS").x[0])


def interval(value: float, without: Sequence[float]) -> tuple[float, float]:
    """95 % limits of a value, from what it is without each draw."""
    n = len(without)
    if n < 2:
        return -math.inf, math.inf
    half = student.ppf(0.975, n - 1) * math.sqrt((n - 1) * float(np.var(without)))
    return value - half, value + half


def figures(probabilities: Sequence[Floats], truths: Sequence[NDArray[np.intp]]) -> dict[str, Any]:
    """What is printed of a model, from the probabilities (n, k) and labels (n,) of each draw."""
    logs = [np.log(np.clip(p, _LEAST, 1)) for p in probabilities]
    lost = [float(-of[np.arange(len(y)), y].mean()) for of, y in zip(logs, truths, strict=True)]
    areas = []
    for p, y in zip(probabilities, truths, strict=True):
        areas.append(np.mean([roc_auc_score(y == c, p[:, c]) for c in range(p.shape[1])]))
    p, y = np.concatenate(probabilities), np.concatenate(truths)
    top, best = p.argmax(1), np.clip(p.max(1), _LEAST, 1 - _LEAST)
    rest = np.clip(1 - best, _LEAST, 1)
    sure = {limit: np.log(best) - np.log(rest) > limit for limit in _FAR}
    slope, loss = slope_of(np.concatenate(logs), y), float(np.mean(lost))
    all_but = (
        [[i for i in range(len(logs)) if i != left] for left in range(len(logs))] if len(logs) > 1 else []
    )
    slopes = [
        slope_of(np.concatenate([logs[i] for i in kept]), np.concatenate([truths[i] for i in kept]))
        for kept in all_but
    ]
    return {
        "log loss": loss,
        "log loss, 95 %": interval(loss, [float(np.mean([lost[i] for i in kept])) for kept in all_but]),
        "slope": slope,
        "slope, 95 %": interval(slope, slopes),
        "beyond": {
            limit: (int((top != y)[far].sum()), int(far.sum()), float(rest[far].sum()))
            for limit, far in sure.items()
        },
        "auroc": float(np.mean(areas)),
    }


def judged(
    table: Any,
    labels: NDArray[Any],
    patients: NDArray[Any],
    models: Sequence[str],
    per_label: int,
    times: int,
) -> dict[str, dict[str, Any]]:
    """Figures of each model on cohorts of so many people per label."""
    said: dict[str, list[Floats]] = {name: [] for name in models}
    truths = []
    for seed, (train, test) in enumerate(draws(labels, patients, per_label, times)):
        truths.append(np.unique(labels[test], return_inverse=True)[1])
        for name in models:
            own = (table.iloc[train], labels[train], patients[train], table.iloc[test], seed)
            said[name].append(MODELS[name](*own))
    return {name: figures(said[name], truths) for name in models}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="+", type=int, default=[20, 40, 60, 80])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--questions", nargs="+", help="only these")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    features, rows = read(arguments.folder, arguments.jobs, arguments.cache, _REGIONS)
    run(features, rows, arguments)


def _limits(of: dict[str, Any], what: str, digits: int) -> str:
    low, high = of[f"{what}, 95 %"]
    return f"{low:.{digits}f} to {high:.{digits}f}"


def run(features: Any, rows: Any, arguments: Any) -> None:
    table = feature_frame(features)
    table = table[[c for c in table if "/" not in c or c.split("/")[0] in _REGIONS]]
    far = " | ".join(f"wrong beyond {limit:g} (stated)" for limit in _FAR)
    print(f"| question | people per label | model | log loss | calibration slope | {far} | AUROC |")
    print("|---|---|---|---|---|---|---|---|")
    for question, labels in questions(rows).items():
        if arguments.questions and question not in arguments.questions:
            continue
        for size in arguments.sizes:
            found = judged(table, labels, features.patients, arguments.models, size, arguments.draws)
            for name, of in found.items():
                wrong = [f"{w} of {n} ({stated:.1f})" for w, n, stated in of["beyond"].values()]
                print(
                    f"| {question} | {size} | {name} | {of['log loss']:.3f} ({_limits(of, 'log loss', 3)}) | "
                    f"{of['slope']:.2f} ({_limits(of, 'slope', 2)}) | "
                    f"{' | '.join(wrong)} | {of['auroc']:.4f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
