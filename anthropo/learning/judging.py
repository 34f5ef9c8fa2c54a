"""The judging of models on people they have not seen: by cross-validation, or on a cohort of others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from anthropo.errors import AnthropoError, InputError, parameter
from anthropo.learning.alone import regions_by_encoder
from anthropo.learning.attributes import ABSENT, PRESENT
from anthropo.learning.cohort import some, split_labels
from anthropo.learning.domains import adapted, marked
from anthropo.learning.features import BACKGROUND, Features, feature_frame, gate_alone, subset
from anthropo.learning.judged import Judged
from anthropo.learning.memo import remembering
from anthropo.learning.model import (
    OTHERS,
    ModelAnswers,
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
from anthropo.learning.refits import KeptRefit, within_limits
from anthropo.learning.repeats import repeats_for
from anthropo.learning.splits import Folds, by_value, split
from anthropo.learning.trained import Model, Trained
from anthropo.learning.training import fit_model
from anthropo.parallel.runner import Lost, choose
from anthropo.parallel.threads import Threads
from anthropo.showing import fielded

GATE = "gate"
UNADAPTED = "unadapted"
#: Photos times models from which on processes are worth their start, 2 s: a model takes about 0.6 ms for each
#: photo, and of threads only one at a time does what is not compiled, half of that.
_ENOUGH = 15_000
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
    sites: tuple[str, ...] = ()  # whose people each fold holds, where sites were left out one by one
    rows: NDArray[np.intp] | None = None  # photos that were judged; None: all
    refits: tuple[KeptRefit, ...] = ()  # of the hybrid, if they are to be kept: a model without each fold
    whole: Model | None = None  # of all photos, if it is wanted

    __repr__ = fielded


def variants(features: Features, options: Options, task: Task = "labels") -> dict[str, Options]:
    """The model and its baselines: not adapted, each half, encoder, metadata, gate and background alone."""
    regions = tuple(options.regions or [r for r in features.regions if r != BACKGROUND])
    alone = replace(options, regions=regions, baseline=True)
    options_of = {"hybrid": replace(options, regions=regions)}
    if options.adapt != "none":
        options_of[UNADAPTED] = replace(options, regions=regions, adapt="none")
    if features.measurement_ids:
        # what was voided is judged by itself, by the photo gate
        options_of["measurements"] = replace(alone, parts=frozenset({"measurements"}), missing="expected")
    if features.measurement_ids or options.metadata:  # else the model is that already
        options_of["regions"] = replace(alone, parts=frozenset({"regions"}))
    for name, those in regions_by_encoder(regions if "regions" in options.parts else ()).items():
        options_of[name] = replace(alone, parts=frozenset({"regions"}), regions=those)
    if features.metadata and task != "normality":  # distance to normal is of faces
        columns = tuple(features.metadata)
        options_of["metadata"] = replace(alone, parts=frozenset({"metadata"}), metadata=columns)
    if task != "normality" and np.isnan(features.measurements).any():
        gate = replace(alone, parts=frozenset({"measurements"}), controls=None, missing="expected")
        options_of[GATE] = gate
    if BACKGROUND in features.regions:
        options_of[BACKGROUND] = replace(alone, parts=frozenset({"regions"}), regions=(BACKGROUND,))
    return options_of


def cross_validate(
    features: Features,
    options: Options,
    task: Task = "labels",
    *,
    folds: int = 5,
    repeats: int | None = None,
    leave_out: Sequence[str | None] | None = None,
    target: Features | None = None,
    baselines: bool = True,
    shares: Mapping[str, float] | None = None,
    keep_refits: bool = False,
    fit_whole: bool = False,
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
    repeats : int, optional
        How often the patients are dealt to folds; left out: as `repeats_for` says.
    leave_out : (n,) sequence of str or None, optional
        The site of each photo, such as its clinic: in place of folds each site is judged by models of the
        others. Photos without one are only trained on. With ``options.adapt`` the others' photos are brought
        to those of the site, whose labels are not looked at.
    target : Features, optional
        Photos of the clinic where the model will be used, of unknown labels, to which ``options.adapt``
        brings those that are trained on.
    baselines : bool
        Judge measurements, regions, metadata, photo gate and background alone as well.
    shares : mapping of str to float, optional
        How common each label, or attribute, is where it is decided; see `shares_where_used`. Probabilities
        are those of the cohort's own shares in any case, which is where they can be judged.
    keep_refits : bool
        Keep of each fold's model what ranges of contributions are made of; not of a distance to normal.
    fit_whole : bool
        Fit the model to all photos as well, beside the others; not where photos are adapted.
    jobs : int
        Folds that are worked on at once; the result does not depend on them.
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
        options = replace(options, rare=_matched(labels, features, options, fewest=leave_out is None))
    patients = features.patients.tolist()
    sites: tuple[str, ...] = ()
    if leave_out is None:
        times = dealings(features, repeats)
        dealt = [split(labels, patients, folds, options.seed + at) for at in range(times)]
        for one in dealt if task == "labels" else ():
            _refuse_few_left(labels, features, one, options.rare or ())
    else:
        one, sites = by_value(labels, patients, leave_out)
        if not sites:
            raise InputError(f"No site can be left out: {' '.join(one.notes)}")
        there = {label for label, fold in zip(labels, one.index.tolist(), strict=True) if fold >= 0}
        if task == "labels" and len(there) == 1:
            raise InputError(
                f"All photos of the sites that can be judged ({some(sites)}) have the label {there.pop()}, "
                "so that there is nothing to tell apart. Sites with several labels are needed. "
                + " ".join(one.notes)
            )
        dealt = [one]
    options_of = variants(features, options, task) if baselines else {"hybrid": options}
    whole = options if fit_whole and options.adapt == "none" else None
    # sites differ in size, and are no random part of the patients
    keep = keep_refits and leave_out is None
    if any(chosen.adapt != "none" for chosen in options_of.values()):
        features = marked(features)
    to = None if leave_out is not None else _Target(target if target is None else _learned_from(target))
    judge = _Judge(
        features=_learned_from(features), options_of=options_of, task=task, dealt=dealt, to=to, shares=shares,
        keep=keep, whole=whole,
    )  # fmt: skip
    answered, refits, model = _answered(judge, jobs, on_progress)
    (rows,) = np.nonzero(dealt[0].index >= 0)
    tested = features if len(rows) == len(features) else subset(features, rows)
    return CrossValidation(
        questions=_questions({name: _judged(of, tested, options, task) for name, of in answered.items()}),
        notes=dealt[0].notes,
        sites=sites,
        rows=rows if leave_out is not None else None,
        refits=tuple(within_limits(refits)),
        whole=model,
    )


def dealings(features: Features, repeats: int | None) -> int:
    """How often the patients are dealt to folds."""
    if repeats is not None and repeats < 1:
        raise InputError(f"{parameter('repeats', repeats)}: the folds are dealt once or more often.")
    return repeats or repeats_for(len(set(features.patients.tolist())))


def _answered(
    judge: _Judge, jobs: int, on_progress: Callable[[], None] | None
) -> tuple[dict[str, list[list[_Fold]]], list[list[KeptRefit | None]], Model | None]:
    """Answers of each model, by dealing and fold, what is kept of the first one, and the model of all."""
    dealt, options_of = judge.dealt, judge.options_of
    folds = [_Which(at, fold) for at, one in enumerate(dealt) for fold in range(one.number)]
    # first what takes longest, so that all are done at about the same time; and while the others are at work
    # this process loads what the model needs. Earlier it could not be copied: pandas begins a thread
    work = [*([] if judge.whole is None else [None]), *folds]
    workers = max(1, min(jobs, len(work)))
    fitted = len(judge.features) * len(folds) * len(options_of)
    runner = choose(workers) if fitted >= _ENOUGH else Threads(workers)
    models: dict[str, list[list[_Fold]]] = {name: [[] for _ in dealt] for name in options_of}
    refits: list[list[KeptRefit | None]] = [[] for _ in dealt]
    whole: Model | None = None
    with contextlib.ExitStack() as until_done:
        if isinstance(runner, Threads):
            judge.prepare()  # only libraries that are loaded are limited
            # as in a process: sums that several threads share are rounded in another order
            until_done.enter_context(threadpool_limits(1, "blas"))
        results = until_done.enter_context(contextlib.closing(runner.in_order(judge, work)))
        for which, made in zip(work, results, strict=True):
            if isinstance(made, Lost):
                raise AnthropoError(
                    f"The models cannot be judged: {made.why}, twice. Use fewer {parameter('jobs')} if "
                    "memory is short."
                )
            if which is None:
                whole = made
                continue
            answers, kept = made
            for name, of in models.items():
                of[which.dealing].append(answers[name])
            refits[which.dealing].append(kept)
            for _ in options_of if on_progress else ():
                on_progress()  # type: ignore[misc]
    return models, refits, whole


class _Which(NamedTuple):
    """A fold of a dealing."""

    dealing: int
    fold: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judge:
    """The work on one fold of one dealing: models are fitted to the others, and answer on it.

    Photos are brought `to` a target's, or if it is None to those of each fold, of which they are then. Work
    on no fold is the model of all photos.
    """

    features: Features
    options_of: dict[str, Options]
    task: Task
    dealt: Sequence[Folds]
    to: _Target | None
    shares: Mapping[str, float] | None
    keep: bool
    whole: Options | None  # of the model of all photos, if it is wanted

    def prepare(self) -> None:
        """Load what every fit needs."""
        import xgboost  # noqa: F401

        import anthropo.learning.hybrid  # noqa: F401

    def __call__(self, which: _Which | None) -> Any:
        if which is not None:
            return self._answers(*which)
        assert self.whole is not None
        return fit_model(self.features, self.whole, self.task)

    def _answers(self, at: int, fold: int) -> tuple[dict[str, _Fold], KeptRefit | None]:
        features, task = self.features, self.task
        out = self.dealt[at].index == fold
        # a patient may have been at two sites
        others = ~np.isin(features.patients, features.patients[out])
        train, test = subset(features, others), subset(features, out)
        rows = np.searchsorted(np.flatnonzero(self.dealt[0].index >= 0), np.flatnonzero(out))
        target = test if self.to is None else self.to.features
        read = {  # by method
            method: adapted(train, replace(test, sites=None) if self.to is None else test, method, target)
            for method in {chosen.adapt for chosen in self.options_of.values()}
        }
        main = next(iter(self.options_of))
        kept: list[KeptRefit | None] = [None]

        def alone(name: str, chosen: Options) -> ModelAnswers:
            seen, asked = (gate_alone(train), gate_alone(test)) if name == GATE else read[chosen.adapt]
            model = fit_model(seen, chosen, task)
            if self.keep and name == main and not isinstance(model, NormalityModel):
                kept[0] = _without(model.kept(), features, train)
            return _decided(model, feature_frame(asked, chosen.metadata), self.shares)

        with remembering():  # the halves are parts of the hybrid as well
            answers = {name: (rows, alone(name, chosen)) for name, chosen in self.options_of.items()}
        return answers, kept[0]


def _learned_from(features: Features) -> Features:
    """The features without pictures and prints, which no model reads."""
    prints = np.zeros((len(features), 0), np.float32)
    return replace(features, portraits=None, shapes=None, identities=None, prints=prints)


def _without(kept: KeptRefit | None, features: Features, train: Features) -> KeptRefit | None:
    """What is kept of a refit, with the share of the patients that it was fitted without."""
    there, all_ = (len(set(of.patients.tolist())) for of in (train, features))
    return None if kept is None else replace(kept, without=1 - there / all_)


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


def _matched(
    labels: list[str], features: Features, options: Options, *, fewest: bool = True
) -> tuple[str, ...]:
    """Labels to match: those of the whole cohort, so that each fold's model is of the kind trained on all."""
    named = np.array(labels, dtype=object)
    rare = rare_labels(named, features.patients, options.min_patients)
    patients = patients_of(named, features.patients)
    few = [f"{label} ({n})" for label, n in patients.items() if n < _FEWEST and label not in rare]
    if few and fewest:
        raise InputError(
            f"Too few patients to be judged by cross-validation, which needs {_FEWEST} of each label: "
            f"{some(few)}. Add patients, or train with {parameter('judge', False)}."
        )
    return rare


def steps(
    features: Features, options: Options, task: Task, folds: int, baselines: bool, repeats: int | None = None
) -> int:
    """How often `cross_validate` reports progress, at most."""
    models = len(variants(features, options, task)) if baselines else 1
    return folds * models * dealings(features, repeats)


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
    positive = options.positive
    if task == "labels":
        controls = options.controls if options.controls in there else None
        positive = positive_label(tuple(there), positive, controls)
    return stated_for(task, prevalence, there, positive)


def stated_for(
    task: Task, prevalence: Prevalence, there: Mapping[str, float], positive: str | None
) -> dict[str, float]:
    """How common each label, or attribute, is taken to be; `there` is how common it is in training.

    A number is the share of the positive label or attribute, or of people outside normal.
    """
    if task == "attributes":
        return stated_presence(prevalence, there, positive)
    return stated_shares(prevalence, there, OUTSIDE if task == "normality" else positive)


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


def _decided(model: Model, table: Any, shares: Mapping[str, float] | None) -> ModelAnswers:
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
    return _questions({"hybrid": _judged([[(np.arange(len(features)), answers)]], features, options, task)})


def _questions(models: dict[str, dict[str | None, Judged]]) -> tuple[Question, ...]:
    attributes = dict.fromkeys(attribute for judged in models.values() for attribute in judged)
    return tuple(
        Question(attribute=a, models={name: judged[a] for name, judged in models.items() if a in judged})
        for a in attributes
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """Photos of the clinic where a model will be used; None: of their own sites' mean."""

    features: Features | None


_Fold = tuple[NDArray[np.intp], ModelAnswers]  # rows, and the answers on them
_Folds = Sequence[_Fold]


def _judged(
    dealt: Sequence[_Folds], features: Features, options: Options, task: Task
) -> dict[str | None, Judged]:
    """Answers beside the truth, by attribute, or by None where the question is which label."""
    every = [answers for folds in dealt for _, answers in folds]
    if task == "attributes":
        names = sorted({name for a in every for name in a.labels})
        return {name: _judged_attribute(name, dealt, features) for name in names}
    if task == "normality":
        controls = control_label(features.labels, options.controls)
        labels: Any = np.where(features.labels == controls, WITHIN, OUTSIDE)
        names = [WITHIN, OUTSIDE]
    else:
        labels = collapse(features.labels, options.positive)
        names = sorted({*labels.tolist(), *(name for a in every for name in a.labels)})
    truth = np.array([names.index(label) for label in labels.tolist()], dtype=np.int64)
    first, *again = (_judged_labels(names, truth, folds, features, task) for folds in dealt)
    return {None: replace(first, repeats=tuple(again))}


def _judged_labels(
    names: list[str], truth: NDArray[np.int64], folds: _Folds, features: Features, task: Task
) -> Judged:
    n, k = len(features), len(names)
    proba, sets = np.zeros((n, k)), np.zeros((n, k), dtype=bool)
    decision, typicality = np.full(n, -1, dtype=np.int64), np.full(n, np.nan)
    for rows, a in folds:
        place = np.array([names.index(name) for name in a.labels])
        proba[np.ix_(rows, place)] = a.probabilities
        sets[np.ix_(rows, place)] = a.sets
        decision[rows] = np.where(a.decision >= 0, place[np.maximum(a.decision, 0)], -1)
        typicality[rows] = a.typicality
    return Judged(
        tuple(names), truth, proba, features.patients, decision, sets, task == "normality",
        _fold_of(folds, n), typicality, features.photos,
    )  # fmt: skip


def _fold_of(folds: _Folds, n: int) -> NDArray[np.int64] | None:
    """The fold of each photo (n,); None where one model answered on all."""
    index = np.zeros(n, dtype=np.int64)
    for fold, (rows, _) in enumerate(folds):
        index[rows] = fold
    return index if len(folds) > 1 else None


def _judged_attribute(name: str, dealt: Sequence[_Folds], features: Features) -> Judged:
    n = len(features)
    probability, decided = np.full((len(dealt), n), np.nan), np.zeros((len(dealt), n), dtype=np.int64)
    inside = np.zeros((len(dealt), n, 2), dtype=bool)
    for at, folds in enumerate(dealt):
        for rows, a in folds:
            if name in a.labels and a.several is not None:
                column = a.labels.index(name)
                probability[at, rows], decided[at, rows] = a.probabilities[:, column], a.several[:, column]
                inside[at, rows] = a.pair_sets[:, column] if a.pair_sets is not None else False
    seen = np.isfinite(probability).all(0)  # of every dealing, so that all are of the same photos
    truth = np.array([name in split_labels(label) for label in features.labels], dtype=np.int64)
    first, *again = (
        Judged(
            (ABSENT, PRESENT), truth[seen], np.column_stack([1 - p[seen], p[seen]]), features.patients[seen],
            d[seen], i[seen], fold=None if (fold := _fold_of(folds, n)) is None else fold[seen],
            photos=features.photos[seen],
        )
        for p, d, i, folds in zip(probability, decided, inside, dealt, strict=True)
    )  # fmt: skip
    return replace(first, repeats=tuple(again))
