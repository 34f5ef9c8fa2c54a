"""`anthropo evaluate --model`: how good a trained model is on people it has not seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.errors import InputError, parameter
from anthropo.files import file_sha256
from anthropo.learning.cohort import Finding, read_cohort, salt_of
from anthropo.learning.cohort_checks import validate
from anthropo.learning.features import Features, subset
from anthropo.learning.identity import resolve_people, same_person_choice
from anthropo.learning.prevalence import Prevalence
from anthropo.workflows.cohort import CohortError, PhotoReading, read_features, seen_before, settings_for
from anthropo.workflows.domains import with_sites
from anthropo.workflows.evaluate_result import EvaluateResult
from anthropo.workflows.evaluation import (
    evaluation_of,
    identity_row,
    of_attribute,
    positive_of,
)
from anthropo.workflows.known import known_people, without_known
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.learning.nearest import Nearest
    from anthropo.learning.trained import Trained
    from anthropo.workflows.model import Model


def evaluate_model(
    model: Model,
    cohort: str | os.PathLike[str],
    *,
    reading: PhotoReading | None = None,
    encoder_weights: str | None = None,
    allow_duplicates: bool = False,
    same_person: str | None = None,
    trained_on: str | None = None,
    positive: str | None = None,
    prevalence: Prevalence | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> EvaluateResult:
    """Judge a trained model as it is; see `anthropo.Model.evaluate`."""
    from anthropo.learning.judging import judge_trained

    trained, path, reading = model.trained, model.path, reading or PhotoReading()
    several = trained.task == "attributes"
    same_person_choice(same_person)
    stated = None if prevalence is None else _stated(trained, prevalence, positive)
    people = read_cohort(cohort, multilabel=several)
    settings = settings_for(reading, trained.manifest.settings, [case.photo for case in people.cases])
    encoder = model.encoder(settings, encoder_weights)
    findings = _own_cohort(model, cohort)
    # with the background, so that what was kept while training is used again
    features = read_features(
        people, reading, settings, encoder, trained.regions, background=True, progress=progress
    )
    column = trained.manifest.adaptation.column
    if column is not None:
        features = with_sites(features, column, {c.photo: c.metadata.get(column, "") for c in people.cases})
    findings += validate(people, features, allow_duplicates=allow_duplicates)
    features, same, more_findings = resolve_people(
        people.source, features, same_person, allow_duplicates=allow_duplicates
    )
    findings += more_findings
    if trained_on:
        known, named = known_people(
            people.source, features, trained_on, reading, settings, encoder, trained.regions,
            multilabel=several, progress=progress,
        )  # fmt: skip
        how = same_person_choice(same_person)
        features, more_findings = without_known(people.source, features, known, how, trained_on)
        findings += [*named, *more_findings]
    findings += seen_before(people.source, features, encoder)
    # one label alone is enough to judge by
    findings = [f for f in findings if not (f.category == "label" and f.level in ("error", "note"))]
    if any(finding.level == "error" for finding in findings):
        raise CohortError(people.source, findings, features.left_out, "not judged")
    features = _known(trained, features)
    questions = judge_trained(trained, features, stated)
    nearest = _nearest(trained, features)
    if several:
        questions = of_attribute(questions, positive)
    evaluations = tuple(
        evaluation_of(
            question,
            _positive_of_trained(trained, question.labels, positive),
            people.metadata,
            features,
            there=trained.at(None).shares,
            stated=stated,
            settings={"cohort": Path(cohort).name, "method": "a trained model on a test cohort",
                      "model": path.name, "encoder": encoder.name, **identity_row(same)},
            nearest=nearest,
            bootstrap=bootstrap,
            seed=seed,
        )
        for question in questions
    )  # fmt: skip
    return EvaluateResult(
        evaluations=evaluations,
        findings=tuple(findings),
        notes=(),
        gate=features.gate_summary,
        salt=salt_of(features.digests.tolist()),
    )


def _own_cohort(model: Model, cohort: str | os.PathLike[str]) -> list[Finding]:
    """A warning if the cohort is the very table that the model was trained on."""
    if not Path(cohort).is_file() or file_sha256(cohort) != model.trained.manifest.cohort.sha256:
        return []
    text = (
        f"{os.fspath(cohort)} is the table that {model.path} was trained on: the figures come out much too "
        f"good. Without {parameter('model')} they are those of people it has not seen."
    )
    return [Finding("warning", "cohort", text)]


def _nearest(trained: Trained, features: Features) -> Nearest | None:
    """How often the labels that are matched to their nearest patients come out right."""
    from anthropo.learning.model import LabelModel
    from anthropo.learning.nearest import judge_gallery

    if not isinstance(trained.model, LabelModel):
        return None
    return judge_gallery(
        trained.model,
        trained.table(features),
        features.labels.tolist(),
        features.patients.tolist(),
        trained.manifest.cohort.patients or 0,
    )


def _positive_of_trained(trained: Trained, labels: Sequence[str], wanted: str | None) -> str | None:
    """The label that figures of a trained model are of."""
    if trained.task != "labels":
        return positive_of(trained.task, labels, None, None)
    if wanted and wanted not in labels:
        raise InputError(
            f"{parameter('positive', wanted)}: no label of the model. Its labels are {', '.join(labels)}."
        )
    positive = wanted or trained.manifest.positive
    return positive if positive in labels else positive_of("labels", labels, None, trained.manifest.controls)


def _stated(trained: Trained, prevalence: Prevalence, positive: str | None) -> dict[str, float]:
    """How common each label or attribute of a trained model is taken to be."""
    from anthropo.learning.judging import stated_for
    from anthropo.learning.normality import OUTSIDE, WITHIN

    there = trained.at(None).shares
    if trained.task == "normality":  # which knows no shares
        there = {WITHIN: 0.5, OUTSIDE: 0.5}
    elif trained.task == "labels":
        positive = _positive_of_trained(trained, list(there), positive)
    return stated_for(trained.task, prevalence, there, positive)


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
