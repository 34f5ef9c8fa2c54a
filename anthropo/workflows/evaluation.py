"""`anthropo evaluate`: how good a model, or a way to train one, is on people it has not seen."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.encoder.encoders import ENCODERS
from anthropo.errors import InputError, WeightsError, parameter
from anthropo.learning.card import MISSING_WORDS
from anthropo.learning.cohort import Kind, salt_of, typed
from anthropo.learning.evaluation import Evaluation
from anthropo.learning.features import Features, subset
from anthropo.learning.identity import SamePeople
from anthropo.learning.prevalence import Prevalence
from anthropo.workflows.cohort import (
    Material,
    TrainRequest,
    gather,
)
from anthropo.workflows.domains import comparable, target_notes
from anthropo.workflows.evaluate_result import EvaluateResult
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.learning.adjusting import Strata
    from anthropo.learning.judged import Judged
    from anthropo.learning.judging import CrossValidation, Question
    from anthropo.learning.model import Task
    from anthropo.learning.nearest import Nearest
    from anthropo.learning.shift import Shift

#: What `evaluate` can put side by side, with the choices; of encoders and adaptation all that can be used.
COMPARED = {
    "classifier": ("xgboost", "linear", "svm", "svm-rbf"),
    "balance": ("weights", "resample", "none"),
    "encoder": (),
    "adapt": (),
}
_MOST_SITES = 100
_REPEATS_ADJUSTED = 10  # pairs of one fold and stratum are few in each dealing


def evaluate(
    cohort: str | os.PathLike[str] | Material,
    request: TrainRequest | None = None,
    *,
    compare: Sequence[str] = (),
    baselines: bool = True,
    leave_out: str | None = None,
    adjust: Sequence[str] = (),
    permutations: int = 0,
    prevalence: Prevalence | None = None,
    bootstrap: int = 1000,
    progress: Progress = silent,
) -> EvaluateResult:
    """Judge a way to train by cross-validation: on patients whom the model has not seen.

    Parameters
    ----------
    cohort, request
        As for `anthropo.train`. Of several attributes, ``request.options.positive`` is the one that is
        judged; None: all of them.
    compare : sequence of {"classifier", "balance", "encoder", "adapt"}
        Put all choices of these side by side, on the same folds.
    baselines : bool
        Judge measurements, regions, metadata and background alone as well.
    leave_out : str, optional
        A column, such as the clinic or camera: in place of folds each of its values is judged by models of
        the others (internal-external validation). With ``options.adapt`` these are adapted to its photos, of
        which no label is looked at.
    adjust : sequence of str
        Columns, such as age, sex and site: AUROC also of people who are alike in them.
    permutations : int
        How often labels are dealt anew among people who are alike, and models trained on them, for the
        p-value of the adjusted AUROC.
    prevalence : float or mapping of str to float, optional
        How common labels are where the model will be used, as in `anthropo.Trained.at`: decisions are made,
        and PPV and NPV given, for these shares.
    bootstrap : int
        Resamples of the patients, for intervals.
    progress : Progress

    Returns
    -------
    EvaluateResult

    Raises
    ------
    CohortError, AnthropoError
        As `anthropo.train`, or if something cannot be compared or no such attribute was trained.

    Examples
    --------
    >>> import anthropo
    >>> request = anthropo.TrainRequest(  # as m.anthropo was trained
    ...     options=anthropo.Options(regions=("face",), min_patients=4),
    ...     allow_duplicates=True, folds=2,
    ...     reading=anthropo.PhotoReading(jitter=1, fine=False, cache="cache"),
    ... )
    >>> result = anthropo.evaluate("cohort/cohort.csv", request, baselines=False, bootstrap=100)
    >>> print(result.evaluations[0].positive, result.evaluations[0].n_patients)
    synthetic-A 12
    >>> list(result.to_frame().columns)
    ['attribute', 'model', 'metric', 'value', 'lo', 'hi', 'n', 'reason']
    """
    refuse_unknown(compare)
    if isinstance(cohort, Material):
        material = cohort
    else:
        material = gather(
            cohort, request or TrainRequest(), compare=compare, leave_out=leave_out, progress=progress
        )
    from anthropo.learning.judging import shares_where_used

    shares = shares_where_used(prevalence, material.features, material.options, material.request.task)
    sites = None if leave_out is None else sites_of(material, leave_out)
    strata = strata_of(material, adjust) if adjust else None
    if permutations and strata is None:
        raise InputError(
            f"{parameter('permutations')} are of people who are alike in some columns. Name these with "
            f"{parameter('adjust', 'age,sex')}."
        )
    if strata and material.request.repeats is None:
        material = replace(material, request=replace(material.request, repeats=_REPEATS_ADJUSTED))
    if compare:
        judged = _compared(material, tuple(dict.fromkeys(compare)), shares, sites, progress, leave_out)
    else:
        judged = judge_material(material, baselines=baselines, shares=shares, sites=sites, progress=progress)
    questions = judged.questions
    unadapted, apart = _adaptation(material, judged, compare, leave_out, progress)
    if material.request.task == "attributes":
        questions = of_attribute(questions, material.options.positive)
    described = _described(material)
    if judged.rows is not None:
        described["method"] = (
            f"{len(judged.sites)} sites, each judged by models of the others (by {leave_out})"
        )
        material = replace(material, features=_rows(material.features, judged.rows))
    evaluations = evaluations_of(
        questions,
        material,
        shares=shares,
        bootstrap=bootstrap,
        settings=described,
        sites=None if leave_out is None else (leave_out, judged.sites),
        strata=strata if strata is None or judged.rows is None else strata.part(judged.rows),
        null=_null(material, strata, sites, permutations, progress) if strata else (),
        unadapted=unadapted,
        apart=apart,
        nearest=_nearest(material),
    )
    return EvaluateResult(
        evaluations=evaluations,
        findings=material.findings,
        notes=(*judged.notes, *target_notes(material)),
        gate=material.features.gate_summary,
        salt=salt_of(material.features.digests.tolist()),
        sites=judged.sites,
    )


def refuse_unknown(compare: Sequence[str]) -> None:
    """Raise an InputError for something that cannot be compared."""
    for name in compare:
        if name not in COMPARED:
            raise InputError(f"{parameter('compare', name)}: unknown. Choose from {', '.join(COMPARED)}.")


def _rows(features: Features, rows: Any) -> Features:
    """Some photos, with the list of those that could not be used."""
    return replace(subset(features, rows), left_out=features.left_out)


def sites_of(material: Material, column: str) -> list[str | None]:
    """The site of each photo, from a column of the cohort; an InputError if there are not several."""
    given = parameter("leave_out", column)
    cells = {case.photo: case.metadata for case in material.cohort.cases}
    columns = next(iter(cells.values()), {})
    if column not in columns:
        raise InputError(f"{given}: no such column. There are {', '.join(columns) or 'none'}.")
    words = typed([cells[photo].get(column, "") for photo in material.features.photos.tolist()], "category")
    sites = [None if word is None else str(word) for word in words]
    there = sorted({site for site in sites if site is not None})
    if len(there) < 2:
        raise InputError(
            f"{given}: {'every photo has ' + there[0] if there else 'the column is empty'}. Two sites or "
            "more are needed, of which each is left out in turn."
        )
    if len(there) > _MOST_SITES:
        raise InputError(
            f"{given}: {len(there)} different values, {_MOST_SITES} at most. Name a column of few sites, "
            "such as a clinic or camera."
        )
    return sites


def strata_of(material: Material, columns: Sequence[str]) -> Strata:
    """Who is alike in columns of the cohort; an InputError if there is no such column."""
    from anthropo.learning.adjusting import Strata

    there = material.features.metadata
    for column in columns:
        if column not in there:
            raise InputError(
                f"{parameter('adjust', ','.join(columns))}: no column {column} to adjust for. There are "
                f"{', '.join(there) or 'none'}."
            )
    strata = Strata.of({column: there[column] for column in columns}, material.features.patients.tolist())
    if not strata.mixed(material.features.labels.tolist()):
        raise strata.one_sided()
    return strata


def _null(
    material: Material,
    strata: Strata,
    sites: Sequence[str | None] | None,
    permutations: int,
    progress: Progress,
) -> list[float]:
    """The hybrid's adjusted AUROC where labels say nothing but what the columns do."""
    from anthropo.learning.adjusting import adjusted_auroc, permuted

    features, options = material.features, material.options
    once = replace(material.request, repeats=1)
    aurocs = []
    with progress(permutations, "permuting labels") as advance:
        for at in range(permutations):
            labels = permuted(features.labels.tolist(), features.patients.tolist(), strata.index, at)
            dealt = replace(material, features=replace(features, labels=labels), request=once)
            made = judge_material(dealt, baselines=False, sites=sites)
            question = made.questions[0]
            judged = question.models["hybrid"]
            positive = positive_of(once.task, question.labels, options.positive, options.controls)
            index = strata.index if made.rows is None else strata.index[made.rows]
            aurocs.append(adjusted_auroc(judged, positive, index, bootstrap=2, seed=at).value)
            advance()
    return aurocs


def judge_material(
    material: Material,
    *,
    baselines: bool,
    shares: Mapping[str, float] | None = None,
    sites: Sequence[str | None] | None = None,
    keep_refits: bool = False,
    fit_whole: bool = False,
    progress: Progress = silent,
) -> CrossValidation:
    """Cross-validate models of a gathered cohort, by folds or by leaving out each site."""
    from anthropo.learning.judging import cross_validate, steps

    features, options, request = material.features, material.options, material.request
    folds, repeats = request.folds, request.repeats
    if sites is not None:
        folds, repeats = len(set(sites) - {None}), 1
    total = steps(features, options, request.task, folds, baselines, repeats)
    with progress(total, "cross-validating") as advance:
        return cross_validate(
            features,
            options,
            request.task,
            folds=folds,
            repeats=repeats,
            leave_out=sites,
            target=material.target,
            baselines=baselines,
            shares=shares,
            keep_refits=keep_refits,
            fit_whole=fit_whole,
            jobs=request.reading.jobs,
            on_progress=advance,
        )


def evaluations_of(
    questions: Iterable[Question],
    material: Material,
    *,
    shares: Mapping[str, float] | None = None,
    subgroups: bool = True,
    bootstrap: int = 1000,
    settings: Mapping[str, Any] | None = None,
    sites: tuple[str, Sequence[str]] | None = None,
    strata: Strata | None = None,
    null: Sequence[float] = (),
    unadapted: Mapping[str, str] | None = None,
    apart: Sequence[Shift] = (),
    nearest: Nearest | None = None,
) -> tuple[Evaluation, ...]:
    """The evaluation of each question that was asked of a gathered cohort."""
    from anthropo.learning.judging import shares_of

    options, kinds = material.options, material.cohort.metadata if subgroups else {}
    there = shares_of(material.features, options, material.request.task)
    return tuple(
        evaluation_of(
            question,
            positive_of(material.request.task, question.labels, options.positive, options.controls),
            kinds,
            material.features,
            there=there,
            stated=shares,
            settings=settings,
            sites=sites,
            strata=strata,
            null=null,
            unadapted=unadapted,
            shifts=apart,
            nearest=nearest,
            matched=material.matched,
            bootstrap=bootstrap,
            seed=options.seed,
        )
        for question in questions
    )


def _nearest(material: Material) -> Nearest | None:
    """How often the nearest patient tells the labels that are too rare to be trained."""
    from anthropo.learning.model import collapse, rare_labels, unit_embeddings
    from anthropo.learning.nearest import judge_nearest

    features, options = material.features, material.options
    regions = options.regions or ()
    if material.request.task != "labels" or "regions" not in options.parts or not regions:
        return None
    labels = collapse(features.labels, options.positive)
    rare = options.rare
    if rare is None:
        rare = rare_labels(labels, features.patients, options.min_patients)
    embeddings = unit_embeddings({region: features.regions[region] for region in regions}, len(features))
    return judge_nearest(embeddings, labels.tolist(), features.patients.tolist(), rare) if rare else None


def evaluation_of(
    question: Question,
    positive: str | None,
    kinds: Mapping[str, Kind],
    features: Features,
    *,
    there: Mapping[str, float],
    stated: Mapping[str, float] | None,
    **how: Any,
) -> Evaluation:
    shares, decided_at = _of_question(question, there), _of_question(question, stated or {})
    return Evaluation.of(
        question.models,
        attribute=question.attribute,
        positive=positive,
        prevalence=None if positive is None else decided_at.get(positive),
        shares=shares,
        decided_at=decided_at,
        # sex, age and every other column of categories, such as ancestry
        columns={name: features.metadata[name] for name, kind in kinds.items() if kind != "number"},
        left_out=features.left_out,
        photo_gate=features.gate_summary.sentences(),
        **how,
    )


def _of_question(question: Question, shares: Mapping[str, float]) -> dict[str, float]:
    """The share of each possible answer, from those of labels or attributes."""
    from anthropo.learning.attributes import ABSENT, PRESENT

    if question.attribute is None:
        return {label: shares[label] for label in question.labels if label in shares}
    present = shares.get(question.attribute)
    return {} if present is None else {ABSENT: 1 - present, PRESENT: present}


def positive_of(task: Task, labels: Sequence[str], positive: str | None, controls: str | None) -> str | None:
    """The label that sensitivity is of; None where several labels stand beside each other."""
    from anthropo.learning.attributes import PRESENT
    from anthropo.learning.model import positive_label
    from anthropo.learning.normality import OUTSIDE

    if task != "labels":
        return PRESENT if task == "attributes" else OUTSIDE
    return positive_label(labels, positive, controls if controls in labels else None)


def of_attribute(questions: tuple[Question, ...], attribute: str | None) -> tuple[Question, ...]:
    """The question about one attribute; all of them where none is named."""
    chosen = tuple(q for q in questions if attribute is None or q.attribute == attribute)
    if not chosen:
        there = ", ".join(str(q.attribute) for q in questions)
        raise InputError(
            f"{parameter('positive', attribute)}: no such attribute was trained. There are {there}."
        )
    return chosen


def _adaptation(
    material: Material,
    judged: CrossValidation,
    compare: Sequence[str],
    leave_out: str | None,
    progress: Progress,
) -> tuple[dict[str, str], tuple[Shift, ...]]:
    """For each adapted model the one that is not, by name, and how far apart sites or target are."""
    from anthropo.learning.judging import UNADAPTED
    from anthropo.learning.shift import shifts

    options = material.options
    names = list(judged.questions[0].models)
    methods: Sequence[str] = ("none", options.adapt)
    if "adapt" in compare:
        methods, _ = comparable(material.target is not None or leave_out is not None)
        at = list(dict.fromkeys(compare)).index("adapt")
        words = [name.split(", ") for name in names]
        others = {
            name: ", ".join([*of[:at], UNADAPTED, *of[at + 1 :]])
            for name, of in zip(names, words, strict=True)
        }
        unadapted = {name: other for name, other in others.items() if name != other}
    elif options.adapt == "none":
        return {}, ()
    else:
        unadapted = {names[0]: UNADAPTED}
    sites = material.features.sites
    places = 1 if material.target is not None or sites is None else len(set(sites.tolist()))
    with progress(places * len(methods), "telling sources apart") as advance:
        apart = shifts(
            material.features,
            methods,
            target=material.target,
            regions=options.regions,
            seed=options.seed,
            jobs=material.request.reading.jobs,
            on_progress=advance,
        )
    return unadapted, apart


def _compared(
    material: Material,
    varied: Sequence[str],
    shares: Mapping[str, float] | None,
    sites: Sequence[str | None] | None,
    progress: Progress,
    leave_out: str | None = None,
) -> CrossValidation:
    """The hybrids of all combinations of what is varied, on the same folds."""
    from anthropo.learning.judging import UNADAPTED, CrossValidation, Question

    notes: list[str] = []
    materials = {material.encoder.name: material}
    for name in ENCODERS if "encoder" in varied else ():
        if name not in materials:
            request = replace(material.request, encoder=name, encoder_weights=None)
            try:
                materials[name] = gather(
                    material.cohort.source, request, compare=varied, leave_out=leave_out, progress=progress
                )
            except WeightsError as error:
                notes.append(f"left out of the comparison: {error}")
    choices = {name: COMPARED[name] or tuple(materials) for name in varied}
    if "adapt" in choices:
        choices["adapt"], left_out_notes = comparable(material.target is not None or sites is not None)
        notes += left_out_notes
    models: dict[str | None, dict[str, Judged]] = {}
    for combination in itertools.product(*choices.values()):
        changes = dict(zip(choices, combination, strict=True))
        words = [UNADAPTED if of == ("adapt", "none") else of[1] for of in changes.items()]
        name = ", ".join(words)
        of = materials[changes.pop("encoder", material.encoder.name)]
        options = replace(of.options, **changes)  # type: ignore[arg-type]
        judged = judge_material(
            replace(of, options=options), baselines=False, shares=shares, sites=sites, progress=progress
        )
        notes += judged.notes
        for question in judged.questions:
            models.setdefault(question.attribute, {})[name] = question.models["hybrid"]
    questions = tuple(Question(attribute=attribute, models=of) for attribute, of in models.items())
    return CrossValidation(
        questions=questions, notes=tuple(dict.fromkeys(notes)), sites=judged.sites, rows=judged.rows
    )


def _described(material: Material) -> dict[str, Any]:
    """How the evaluation was made, for its reader."""
    options, request = material.options, material.request
    rows: dict[str, Any] = {
        "cohort": Path(material.cohort.source).name,
        "method": _method(material),
        "classifier": options.classifier,
        "balance": options.balance,
        "cost": options.cost or (Path(options.cost_matrix).name if options.cost_matrix else "equal"),
        "encoder": material.encoder.name,
        "regions": ", ".join(options.regions or ()),
        "metadata": ", ".join(options.metadata) or "none",
        **({"voided measurements": MISSING_WORDS} if options.missing == "evidence" else {}),
        **identity_row(material.people),
        **({"adapted": options.adapt} if options.adapt != "none" else {}),
        "seed": options.seed,
    }
    if request.task == "normality":
        rows |= {"normal": options.controls, "specificity": options.specificity}
    return rows


def _method(material: Material) -> str:
    """How patients were kept apart."""
    from anthropo.learning.judging import dealings

    times = dealings(material.features, material.request.repeats)
    dealt = f", the patients dealt to folds {times} times" if times > 1 else ""
    return f"{material.request.folds}-fold cross-validation by patient{dealt}"


def identity_row(people: SamePeople) -> dict[str, str]:
    """A row on people under several names, where they were looked for."""
    return {"same person": people.sentence()} if people.looked else {}
