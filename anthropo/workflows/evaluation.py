"""`anthropo evaluate`: how good a model, or a way to train one, is on people it has not seen."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.encoder.encoders import ENCODERS
from anthropo.errors import InputError, WeightsError, parameter
from anthropo.face.gate import GateSummary
from anthropo.files import file_sha256
from anthropo.learning.cohort import Finding, Kind, read_cohort
from anthropo.learning.cohort_checks import validate
from anthropo.learning.evaluation import Evaluation
from anthropo.learning.features import Features, subset
from anthropo.workflows.cohort import (
    CohortError,
    Material,
    PhotoReading,
    TrainRequest,
    gather,
    read_features,
    seen_before,
    settings_for,
)
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.learning.judged import Judged
    from anthropo.learning.judging import CrossValidation, Question
    from anthropo.learning.model import Task
    from anthropo.learning.trained import Trained
    from anthropo.workflows.model import Model

#: What `evaluate` can put side by side, with the choices; of encoders all that are installed.
COMPARED = {
    "classifier": ("xgboost", "linear", "svm", "svm-rbf"),
    "balance": ("weights", "resample", "none"),
    "encoder": (),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluateResult:
    """How good models are: one evaluation, or one per attribute.

    Attributes
    ----------
    evaluations : tuple of Evaluation
        One, or one for each attribute.
    findings : tuple of Finding
        What is wrong with the cohort.
    notes : tuple of str
        Sentences on what could not be judged as asked for.
    gate : GateSummary
        How the photos did at the photo gate.
    """

    evaluations: tuple[Evaluation, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    gate: GateSummary

    def to_frame(self) -> pd.DataFrame:
        """A row per figure: attribute, model, metric, value, lo and hi (95 % interval), n, reason."""
        import pandas as pd

        rows = [
            (made.attribute, model, metric, figure.value, figure.lo, figure.hi, figure.n, figure.reason)
            for made in self.evaluations
            for model, figures in made.models.items()
            for metric, figure in figures.items()
        ]
        columns = ["attribute", "model", "metric", "value", "lo", "hi", "n", "reason"]
        return pd.DataFrame(rows, columns=columns)


def evaluate(
    cohort: str | os.PathLike[str] | Material,
    request: TrainRequest | None = None,
    *,
    compare: Sequence[str] = (),
    baselines: bool = True,
    prevalence: float | None = None,
    bootstrap: int = 1000,
    progress: Progress = silent,
) -> EvaluateResult:
    """Judge a way to train by cross-validation: on patients whom the model has not seen.

    Parameters
    ----------
    cohort, request
        As for `anthropo.train`. Of several attributes, ``request.options.positive`` is the one that is
        judged; None: all of them.
    compare : sequence of {"classifier", "balance", "encoder"}
        Put all choices of these side by side, on the same folds.
    baselines : bool
        Judge measurements, regions, metadata and background alone as well.
    prevalence : float, optional
        Share of the positive label where the model will be used, for PPV and NPV.
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
        material = gather(cohort, request or TrainRequest(), progress=progress)
    if compare:
        judged = _compared(material, dict.fromkeys(compare), progress)
    else:
        judged = judge_material(material, baselines=baselines, progress=progress)
    questions = judged.questions
    if material.request.task == "attributes":
        questions = _of_attribute(questions, material.options.positive)
    evaluations = evaluations_of(
        questions, material, prevalence=prevalence, bootstrap=bootstrap, settings=_described(material)
    )
    return EvaluateResult(
        evaluations=evaluations,
        findings=material.findings,
        notes=judged.notes,
        gate=material.features.gate_summary,
    )


def refuse_unknown(compare: Sequence[str]) -> None:
    """Raise an InputError for something that cannot be compared."""
    for name in compare:
        if name not in COMPARED:
            raise InputError(f"{parameter('compare', name)}: unknown. Choose from {', '.join(COMPARED)}.")


def judge_material(material: Material, *, baselines: bool, progress: Progress = silent) -> CrossValidation:
    """Cross-validate models of a gathered cohort."""
    from anthropo.learning.judging import cross_validate, steps

    features, options, request = material.features, material.options, material.request
    total = steps(features, options, request.task, request.folds, baselines)
    with progress(total, "cross-validating") as advance:
        return cross_validate(
            features,
            options,
            request.task,
            folds=request.folds,
            baselines=baselines,
            jobs=request.reading.jobs,
            on_progress=advance,
        )


def evaluations_of(
    questions: Iterable[Question],
    material: Material,
    *,
    prevalence: float | None = None,
    subgroups: bool = True,
    bootstrap: int = 1000,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Evaluation, ...]:
    """The evaluation of each question that was asked of a gathered cohort."""
    options, kinds = material.options, material.cohort.metadata if subgroups else {}
    return tuple(
        _evaluation(
            question,
            _positive(material.request.task, question.labels, options.positive, options.controls),
            kinds,
            material.features,
            prevalence=prevalence,
            settings=settings,
            bootstrap=bootstrap,
            seed=options.seed,
        )
        for question in questions
    )


def _evaluation(
    question: Question,
    positive: str | None,
    kinds: Mapping[str, Kind],
    features: Features,
    *,
    prevalence: float | None,
    **how: Any,
) -> Evaluation:
    return Evaluation.of(
        question.models,
        attribute=question.attribute,
        positive=positive,
        prevalence=prevalence if positive is not None else None,
        # sex, age and every other column of categories, such as ancestry
        columns={name: features.metadata[name] for name, kind in kinds.items() if kind != "number"},
        left_out=features.left_out,
        photo_gate=features.gate_summary.sentences(),
        **how,
    )


def _positive(task: Task, labels: Sequence[str], positive: str | None, controls: str | None) -> str | None:
    """The label that sensitivity is of; None where several labels stand beside each other."""
    from anthropo.learning.attributes import PRESENT
    from anthropo.learning.model import positive_label
    from anthropo.learning.normality import OUTSIDE

    if task != "labels":
        return PRESENT if task == "attributes" else OUTSIDE
    return positive_label(labels, positive, controls if controls in labels else None)


def _of_attribute(questions: tuple[Question, ...], attribute: str | None) -> tuple[Question, ...]:
    """The question about one attribute; all of them where none is named."""
    chosen = tuple(q for q in questions if attribute is None or q.attribute == attribute)
    if not chosen:
        there = ", ".join(str(q.attribute) for q in questions)
        raise InputError(
            f"{parameter('positive', attribute)}: no such attribute was trained. There are {there}."
        )
    return chosen


def _compared(material: Material, varied: Iterable[str], progress: Progress) -> CrossValidation:
    """The hybrids of all combinations of what is varied, on the same folds."""
    from anthropo.learning.judging import CrossValidation, Question

    notes: list[str] = []
    materials = {material.encoder.name: material}
    for name in ENCODERS if "encoder" in varied else ():
        if name not in materials:
            request = replace(material.request, encoder=name, encoder_weights=None)
            try:
                materials[name] = gather(material.cohort.source, request, progress=progress)
            except WeightsError as error:
                notes.append(f"left out of the comparison: {error}")
    choices = {name: COMPARED[name] or tuple(materials) for name in varied}
    models: dict[str | None, dict[str, Judged]] = {}
    for combination in itertools.product(*choices.values()):
        changes = dict(zip(choices, combination, strict=True))
        of = materials[changes.pop("encoder", material.encoder.name)]
        options = replace(of.options, **changes)  # type: ignore[arg-type]
        judged = judge_material(replace(of, options=options), baselines=False, progress=progress)
        notes += judged.notes
        for question in judged.questions:
            models.setdefault(question.attribute, {})[", ".join(combination)] = question.models["hybrid"]
    questions = tuple(Question(attribute=attribute, models=of) for attribute, of in models.items())
    return CrossValidation(questions=questions, notes=tuple(dict.fromkeys(notes)))


def _described(material: Material) -> dict[str, Any]:
    """How the evaluation was made, for its reader."""
    options, request = material.options, material.request
    rows: dict[str, Any] = {
        "cohort": Path(material.cohort.source).name,
        "method": f"{request.folds}-fold cross-validation by patient",
        "classifier": options.classifier,
        "balance": options.balance,
        "cost": options.cost or (Path(options.cost_matrix).name if options.cost_matrix else "equal"),
        "encoder": material.encoder.name,
        "regions": ", ".join(options.regions or ()),
        "metadata": ", ".join(options.metadata) or "none",
        "seed": options.seed,
    }
    if request.task == "normality":
        rows |= {"normal": options.controls, "specificity": options.specificity}
    return rows


def evaluate_model(
    model: Model,
    cohort: str | os.PathLike[str],
    *,
    reading: PhotoReading | None = None,
    encoder_weights: str | None = None,
    allow_duplicates: bool = False,
    positive: str | None = None,
    prevalence: float | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> EvaluateResult:
    """Judge a trained model as it is; see `anthropo.Model.evaluate`."""
    from anthropo.learning.judging import judge_trained

    trained, path, reading = model.trained, model.path, reading or PhotoReading()
    several = trained.task == "attributes"
    people = read_cohort(cohort, multilabel=several)
    settings = settings_for(reading, trained.manifest.settings, [case.photo for case in people.cases])
    encoder = model.encoder(settings, encoder_weights)
    findings: list[Finding] = []
    if Path(cohort).is_file() and file_sha256(cohort) == trained.manifest.cohort.sha256:
        text = (
            f"{os.fspath(cohort)} is the table that {path} was trained on: the figures come out much too "
            f"good. Without {parameter('model')} they are those of people it has not seen."
        )
        findings.append(Finding("warning", "cohort", text))
    # with the background, so that what was kept while training is used again
    features = read_features(
        people, reading, settings, encoder, trained.regions, background=True, progress=progress
    )
    findings += validate(people, features, allow_duplicates=allow_duplicates)
    findings += seen_before(people.source, features, encoder)
    # one label alone is enough to judge by
    findings = [f for f in findings if not (f.category == "label" and f.level in ("error", "note"))]
    if any(finding.level == "error" for finding in findings):
        raise CohortError(people.source, findings, features.left_out, "not judged")
    features = _known(trained, features)
    questions = judge_trained(trained, features)
    if several:
        questions = _of_attribute(questions, positive)
    evaluations = tuple(
        _evaluation(
            question,
            _positive_of_trained(trained, question.labels, positive),
            people.metadata,
            features,
            prevalence=prevalence,
            settings={"cohort": Path(cohort).name, "method": "a trained model on a test cohort",
                      "model": path.name, "encoder": encoder.name},
            bootstrap=bootstrap,
            seed=seed,
        )
        for question in questions
    )  # fmt: skip
    return EvaluateResult(
        evaluations=evaluations, findings=tuple(findings), notes=(), gate=features.gate_summary
    )


def _positive_of_trained(trained: Trained, labels: Sequence[str], wanted: str | None) -> str | None:
    """The label that figures of a trained model are of."""
    if trained.task != "labels":
        return _positive(trained.task, labels, None, None)
    if wanted and wanted not in labels:
        raise InputError(
            f"{parameter('positive', wanted)}: no label of the model. Its labels are {', '.join(labels)}."
        )
    positive = wanted or trained.manifest.positive
    return positive if positive in labels else _positive("labels", labels, None, trained.manifest.controls)


def _known(trained: Trained, features: Features) -> Features:
    """Features without photos of labels that the model does not know, which are named as left out."""
    from anthropo.learning.model import OTHERS

    known = set(trained.model.labels)
    if trained.task != "labels" or OTHERS in known:
        return features
    photos, labels = features.photos.tolist(), features.labels.tolist()
    unknown = [
        (photo, f"{photo}: the model does not know its label, {label}.")
        for photo, label in zip(photos, labels, strict=True)
        if label not in known
    ]
    if len(unknown) == len(photos):
        raise InputError(f"No photo has a label of the model. Its labels are {', '.join(sorted(known))}.")
    kept = subset(features, [i for i, label in enumerate(labels) if label in known])
    return replace(kept, left_out=(*features.left_out, *unknown))
