"""`anthropo train`: from a cohort to a trained model, judged on patients it has not seen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.errors import InputError, parameter
from anthropo.showing import brief
from anthropo.workflows.cohort import Material, TrainRequest, gather
from anthropo.workflows.domains import target_notes
from anthropo.workflows.evaluate_result import EvaluateResult
from anthropo.workflows.evaluation import evaluations_of, judge_material
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.learning.evaluation import Evaluation
    from anthropo.learning.refits import KeptRefit
    from anthropo.learning.trained import Model, Trained

_BOOTSTRAP = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainResult(EvaluateResult):
    """A trained model, and how good it is by cross-validation: no evaluations if it was not judged."""

    trained: Trained

    def __repr__(self) -> str:
        return brief(self, repr(self.trained)[1:-1], EvaluateResult.__repr__(self)[1:-1].partition(": ")[2])


def train(
    cohort: str | os.PathLike[str] | Material,
    request: TrainRequest | None = None,
    *,
    judge: bool = True,
    command: str = "",
    progress: Progress = silent,
) -> TrainResult:
    """Train a model on labelled photographs, and judge it by cross-validation.

    Parameters
    ----------
    cohort : path or Material
        A table with the columns `photo`, `label` and best also `patient`, or a folder with one subfolder
        of photos per label; or what `anthropo.workflows.cohort.gather` made of it.
    request : TrainRequest, optional
        What is learned, and how; a Material has its own.
    judge : bool
        Whether models are trained on parts of the cohort and judged on the rest, for the model's card.
        What `explain` says of how stable contributions are comes from them, too.
    command : str
        The command that trained the model, to be kept in it, without folders.
    progress : Progress

    Returns
    -------
    TrainResult
        ``result.trained.save(path)`` writes the model.

    Raises
    ------
    CohortError
        If the cohort cannot be trained on.
    AnthropoError
        If an option or the cohort cannot be used at all.

    Examples
    --------
    >>> import anthropo
    >>> request = anthropo.TrainRequest(
    ...     options=anthropo.Options(regions=("face",), min_patients=4),
    ...     allow_duplicates=True,  # these pictures are made of one photograph
    ...     reading=anthropo.PhotoReading(jitter=1, fine=False, cache="cache"),
    ... )
    >>> result = anthropo.train("cohort/cohort.csv", request, judge=False)
    >>> result.trained.save("again.anthropo")  # as m.anthropo was
    >>> result.trained.model.labels
    ('control', 'synthetic-A')
    """
    from anthropo.learning.training import make_trained

    request = cohort.request if isinstance(cohort, Material) else request or TrainRequest()
    if request.task == "attributes" and request.options.positive:
        raise InputError(f"{parameter('positive')}: all attributes are learned. Leave it out.")
    material = cohort if isinstance(cohort, Material) else gather(cohort, request, progress=progress)
    features = material.features
    evaluations: tuple[Evaluation, ...] = ()
    notes: tuple[str, ...] = ()
    refits: tuple[KeptRefit, ...] = ()
    model: Model | None = None
    if judge and request.task == "normality" and len(set(features.labels.tolist())) < 2:
        notes = (
            "only healthy people are here, so that sensitivity cannot be judged. Evaluate the model on a "
            "cohort with others as well.",
        )
    elif judge:
        # of attributes the table has a row each; their baselines are for `anthropo evaluate`
        baselines = request.task != "attributes"
        judged = judge_material(
            material, baselines=baselines, keep_refits=True, fit_whole=True, progress=progress
        )
        notes, refits, model = judged.notes, judged.refits, judged.whole
        evaluations = evaluations_of(judged.questions, material, subgroups=False, bootstrap=_BOOTSTRAP)
    notes = (*notes, *target_notes(material))
    trained = make_trained(
        features,
        material.options,
        request.task,
        material.encoder,
        material.settings,
        target=material.target,
        column=material.domain,
        source=Path(material.cohort.source),
        people=material.people,
        evaluations=evaluations,
        refits=refits,
        model=model,
        command=command,
    )
    return TrainResult(
        trained=trained,
        evaluations=evaluations,
        findings=material.findings,
        notes=notes,
        gate=features.gate_summary,
    )
