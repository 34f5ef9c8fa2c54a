"""The judging of models on people they have not seen: by cross-validation, or on a cohort of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, parameter
from anthropo.learning.attributes import ABSENT, PRESENT
from anthropo.learning.cohort import some, split_labels
from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.judged import Judged
from anthropo.learning.model import (
    OTHERS,
    Answers,
    Options,
    Task,
    collapse,
    control_label,
    patients_of,
    positive_label,
    rare_labels,
)
from anthropo.learning.normality import OUTSIDE, WITHIN, NormalityModel
from anthropo.learning.prevalence import Prevalence, stated_presence, stated_shares
from anthropo.learning.splits import Folds, split
from anthropo.learning.trained import Model, Trained
from anthropo.learning.training import BACKGROUND, fit_model

_FEWEST = 3  # patients of a label that is trained: without one fold's there must be two


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What one or several models answered to one question."""

    attribute: str | None  # whether it is present; None: which of the labels
    models: dict[str, Judged]  # the main one first

    @property
    def labels(self) -> tuple[str, ...]:
        """Possible answers."""
        return next(iter(self.models.values())).labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossValidation:
    """Answers on patients that a model has not seen, of the hybrid and its baselines."""

    questions: tuple[Question, ...]  # one per attribute, else a single one
    notes: tuple[str, ...]


def variants(features: Features, options: Options, task: Task = "labels") -> dict[str, Options]:
    """The model itself and its baselines: each half, metadata and background alone."""
    regions = tuple(options.regions or [r for r in features.regions if r != BACKGROUND])
    lean = replace(options, regions=regions, lean=True)
    options_of = {"hybrid": replace(options, regions=regions)}
    if features.measurement_ids:
        options_of["measurements"] = replace(lean, parts=frozenset({"measurements"}))
    if features.measurement_ids or options.metadata:  # else the model is that already
        options_of["regions"] = replace(lean, parts=frozenset({"regions"}))
    if features.metadata and task != "normality":  # distance to normal is of faces
        columns = tuple(features.metadata)
        options_of["metadata"] = replace(lean, parts=frozenset({"metadata"}), metadata=columns)
    if BACKGROUND in features.regions:
        options_of[BACKGROUND] = replace(lean, parts=frozenset({"regions"}), regions=(BACKGROUND,))
    return options_of


def cross_validate(
    features: Features,
    options: Options,
    task: Task = "labels",
    *,
    folds: int = 5,
    baselines: bool = True,
    shares: Mapping[str, float] | None = None,
    jobs: int = 1,
    on_progress: Callable[[], None] | None = None,
) -> CrossValidation:
    """Judge how a model of these options does on patients it has not seen.

    Parameters
    ----------
    features : Features
    options : Options
    task : {"labels", "attributes", "normality"}
    folds : int
    baselines : bool
        Judge measurements, regions, metadata and background alone as well.
    shares : mapping of str to float, optional
        How common each label, or attribute, is where it is decided; see `shares_where_used`. Probabilities
        are those of the cohort's own shares in any case, which is where they can be judged.
    jobs : int
        Threads; the result does not depend on them.
    on_progress : callable, optional
        Called `steps` times.

    Returns
    -------
    CrossValidation

    Raises
    ------
    InputError
        If a label has too few patients to be judged on, or an option does not fit the cohort.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.learning import Features, Options, cross_validate
    >>> names = np.array([f"p{i}" for i in range(40)])
    >>> features = Features(
    ...     photos=names, patients=names, digests=names, labels=np.repeat(["affected", "control"], 20),
    ...     measurements=np.arange(40.0)[:, None], measurement_ids=("nasal_index",), regions={}, metadata={},
    ...     prints=np.zeros((40, 625), np.float32),
    ... )
    >>> options = Options(classifier="svm", parts=frozenset({"measurements"}))
    >>> (question,) = cross_validate(features, options, folds=2, baselines=False).questions
    >>> question.labels, question.models["hybrid"].proba.shape
    (('affected', 'control'), (40, 2))
    """
    labels: Any = features.labels.tolist()
    if task == "attributes":
        labels = [split_labels(label) for label in labels]
    elif task == "labels":
        labels = collapse(features.labels, options.positive).tolist()
        options = replace(options, rare=_matched(labels, features, options))
    dealt = split(labels, features.patients.tolist(), folds, options.seed)
    if task == "labels":
        _refuse_few_left(labels, features, dealt, options.rare or ())
    options_of = variants(features, options, task) if baselines else {"hybrid": options}

    def answered(chosen: Options, fold: int) -> tuple[NDArray[np.intp], Answers]:
        out = dealt.index == fold
        model = fit_model(subset(features, ~out), chosen, task)
        table = feature_frame(subset(features, out), chosen.metadata)
        return np.flatnonzero(out), _decided(model, table, shares)

    models: dict[str, dict[str | None, Judged]] = {}
    pool = ThreadPoolExecutor(max(1, jobs))
    try:
        begun = {
            name: [pool.submit(answered, chosen, fold) for fold in range(dealt.number)]
            for name, chosen in options_of.items()
        }
        for name, futures in begun.items():
            answers = []
            for future in futures:
                answers.append(future.result())
                if on_progress:
                    on_progress()
            models[name] = _judged(answers, features, options, task)
    finally:
        pool.shutdown(cancel_futures=True)
    return CrossValidation(questions=_questions(models), notes=dealt.notes)


def _refuse_few_left(labels: list[str], features: Features, dealt: Folds, rare: Sequence[str]) -> None:
    """Refuse folds so large that the rest has fewer than two labels of two patients to learn."""
    named = np.array(labels, dtype=object)
    for fold in range(dealt.number):
        rest = dealt.index != fold
        left = patients_of(named[rest], features.patients[rest])
        if sum(n >= 2 for label, n in left.items() if label not in rare) < 2:
            counts = some(f"{label} ({n})" for label, n in left.items())
            raise InputError(
                f"{dealt.number} folds leave too few patients to learn from, two of each of two labels are "
                f"needed: {counts}. Pass {parameter('folds', 5)}, or add patients."
            )


def _matched(labels: list[str], features: Features, options: Options) -> tuple[str, ...]:
    """Labels to match: those of the whole cohort, so that each fold's model is of the kind trained on all."""
    named = np.array(labels, dtype=object)
    rare = rare_labels(named, features.patients, options.min_patients)
    patients = patients_of(named, features.patients)
    few = [f"{label} ({n})" for label, n in patients.items() if n < _FEWEST and label not in rare]
    if few:
        raise InputError(
            f"Too few patients to be judged by cross-validation, which needs {_FEWEST} of each label: "
            f"{some(few)}. Add patients, or train with {parameter('judge', False)}."
        )
    return rare


def steps(features: Features, options: Options, task: Task, folds: int, baselines: bool) -> int:
    """How often `cross_validate` reports progress, at most."""
    return folds * (len(variants(features, options, task)) if baselines else 1)


def shares_where_used(
    prevalence: Prevalence | None, features: Features, options: Options, task: Task = "labels"
) -> dict[str, float] | None:
    """How common each label, or attribute, is taken to be, from what is stated of some; None: not stated.

    A number is the share of the positive label, of the attribute ``options.positive``, or of people outside
    normal.

    Raises
    ------
    InputError
        If a share or label is impossible.
    """
    if prevalence is None:
        return None
    there = shares_of(features, options, task)
    if task == "attributes":
        return stated_presence(prevalence, there, options.positive)
    if task == "normality":
        return stated_shares(prevalence, there, OUTSIDE)
    controls = options.controls if options.controls in there else None
    return stated_shares(prevalence, there, positive_label(tuple(there), options.positive, controls))


def shares_of(features: Features, options: Options, task: Task = "labels") -> dict[str, float]:
    """How common each label, or attribute, is among the photos."""
    labels: Any = features.labels.tolist()
    if task == "attributes":
        cells = [split_labels(label) for label in labels]
        return {a: sum(a in cell for cell in cells) / len(cells) for a in sorted({*chain(*cells)})}
    if task == "normality":
        controls = control_label(features.labels, options.controls)
        labels = np.where(features.labels == controls, WITHIN, OUTSIDE).tolist()
    else:
        labels = collapse(features.labels, options.positive).tolist()
    return {label: labels.count(label) / len(labels) for label in sorted(set(labels))}


def _decided(model: Model, table: Any, shares: Mapping[str, float] | None) -> Answers:
    """Answers with the model's own probabilities, decided where labels are as common as these shares."""
    answers = model.answer(table)
    if shares is None or isinstance(model, NormalityModel):
        return answers
    there = model.at(shares).answer(table)
    return replace(answers, decision=there.decision, several=there.several, sets=there.sets)


def judge_trained(
    trained: Trained, features: Features, shares: Mapping[str, float] | None = None
) -> tuple[Question, ...]:
    """Answers of a trained model on a cohort of other people, decided as in `cross_validate`.

    Photos with a label that the model does not know are left out.
    """
    task = trained.task
    if task == "labels":
        known = set(trained.model.labels)
        labels = features.labels.astype(object)
        if trained.manifest.task == "one-vs-rest":
            labels = np.where(np.isin(labels, list(known)), labels, OTHERS).astype(object)
        keep = np.isin(labels, list(known))
        if not keep.any():
            raise InputError(f"No photo has a label of the model. Its labels are {', '.join(sorted(known))}.")
        features = subset(replace(features, labels=labels.astype(str)), keep)
    answers = _decided(trained.model, trained.table(features), shares)
    options = Options(controls=trained.manifest.controls)
    return _questions({"hybrid": _judged([(np.arange(len(features)), answers)], features, options, task)})


def _questions(models: dict[str, dict[str | None, Judged]]) -> tuple[Question, ...]:
    attributes = dict.fromkeys(attribute for judged in models.values() for attribute in judged)
    return tuple(
        Question(attribute=a, models={name: judged[a] for name, judged in models.items() if a in judged})
        for a in attributes
    )


_Folds = Sequence[tuple[NDArray[np.intp], Answers]]  # rows, and the answers on them


def _judged(answers: _Folds, features: Features, options: Options, task: Task) -> dict[str | None, Judged]:
    """Answers beside the truth, by attribute, or by None where the question is which label."""
    if task == "attributes":
        names = sorted({name for _, a in answers for name in a.labels})
        return {name: _judged_attribute(name, answers, features) for name in names}
    n = len(features)
    if task == "normality":
        controls = control_label(features.labels, options.controls)
        labels: Any = np.where(features.labels == controls, WITHIN, OUTSIDE)
        names = [WITHIN, OUTSIDE]
    else:
        labels = collapse(features.labels, options.positive)
        names = sorted({*labels.tolist(), *(name for _, a in answers for name in a.labels)})
    k = len(names)
    proba, sets = np.zeros((n, k)), np.zeros((n, k), dtype=bool)
    decision = np.full(n, -1, dtype=np.int64)
    for rows, a in answers:
        place = np.array([names.index(name) for name in a.labels])
        proba[np.ix_(rows, place)] = a.probabilities
        sets[np.ix_(rows, place)] = a.sets
        decision[rows] = np.where(a.decision >= 0, place[np.maximum(a.decision, 0)], -1)
    truth = np.array([names.index(label) for label in labels.tolist()], dtype=np.int64)
    return {None: Judged(tuple(names), truth, proba, features.patients, decision, sets, task == "normality")}


def _judged_attribute(name: str, answers: _Folds, features: Features) -> Judged:
    n = len(features)
    probability, decided = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
    inside = np.zeros((n, 2), dtype=bool)
    for rows, a in answers:
        if name in a.labels and a.several is not None:
            at = a.labels.index(name)
            probability[rows], decided[rows] = a.probabilities[:, at], a.several[:, at]
            inside[rows] = a.pair_sets[:, at] if a.pair_sets is not None else False
    seen = np.isfinite(probability)
    truth = np.array([name in split_labels(label) for label in features.labels], dtype=np.int64)
    proba = np.column_stack([1 - probability, probability])
    return Judged(
        (ABSENT, PRESENT), truth[seen], proba[seen], features.patients[seen], decided[seen], inside[seen]
    )
