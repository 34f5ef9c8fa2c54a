"""`anthropo demo`: every step, from a cohort to a judged model, on people who do not exist."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.errors import InputError, parameter
from anthropo.parallel.runner import available_cores
from anthropo.showing import brief, facts_of, html
from anthropo.synthetic import make_cohort
from anthropo.workflows.classify import Classification
from anthropo.workflows.cohort import Material, PhotoReading, TrainRequest, gather
from anthropo.workflows.evaluate_result import EvaluateResult
from anthropo.workflows.evaluation import evaluations_of
from anthropo.workflows.model import Model, load_model
from anthropo.workflows.progress import Progress, silent
from anthropo.workflows.training import TrainResult, train

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.workflows.explain import ExplainedCase

#: What stands on everything that comes of synthetic people.
SYNTHETIC = (
    "SYNTHETIC: every picture is one public photo, morphed. No figure here says anything about real people."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPeople:
    """Pictures of invented people.

    Attributes
    ----------
    folder : Path
        Where everything is written.
    cohort : Path
        The table of the people that a model is trained on.
    photo : Path
        Another person, of the last label.
    reading : PhotoReading
        How the pictures are read.
    """

    folder: Path
    cohort: Path
    photo: Path
    reading: PhotoReading = field(default_factory=PhotoReading)

    @property
    def model(self) -> Path:
        """Where the model is written."""
        return self.folder / "demo.anthropo"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Demo:
    """What every step gave on invented people.

    Attributes
    ----------
    people : DemoPeople
        Where the pictures and the model are.
    training : TrainResult
        The model, judged on people whom it has not seen.
    classification : Classification
        Its answer to a picture that it has not seen.
    case : ExplainedCase
        The same answer, explained.
    evaluation : EvaluateResult
        Figures of the model with their intervals.
    """

    people: DemoPeople
    training: TrainResult
    classification: Classification
    case: ExplainedCase
    evaluation: EvaluateResult

    def __repr__(self) -> str:
        return brief(self, facts_of(self.evaluation), facts_of(self.case))

    def _repr_html_(self) -> str:
        return html(self, "table_of")

    def to_frame(self) -> pd.DataFrame:
        """The figures of the evaluation, as of `EvaluateResult`."""
        return self.evaluation.to_frame()


def demo(
    folder: str | os.PathLike[str] = "anthropo-demo",
    *,
    patients: int = 40,
    labels: Sequence[str] = ("control", "synthetic-A"),
    jobs: int | None = None,
    progress: Progress = silent,
) -> Demo:
    """Make invented people; train, use, explain and judge a model of them.

    One public photograph is morphed by known amounts. No picture shows a patient, and no figure says anything
    about real people.

    Parameters
    ----------
    folder : path, default "anthropo-demo"
        For the pictures and the model; made when missing.
    patients : int, default 40
        Of each label; 10 or more.
    labels : sequence of str, default ("control", "synthetic-A")
        Two or more of control, synthetic-A, synthetic-B and synthetic-C.
    jobs : int, optional
        Photos that are made and read at once; as many as there are cores when left out.
    progress : Progress, default silent
        What shows how far it has come.

    Returns
    -------
    Demo

    Raises
    ------
    InputError
        If a label is unknown, there are too few labels or patients, or the folder holds a demo already.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.demo("somewhere", labels=["control"])
    Traceback (most recent call last):
    anthropo.errors.InputError: labels='control': two labels or more are needed.
    """
    people = make_people(folder, patients=patients, labels=labels, jobs=jobs)
    material, training = train_on(people, progress=progress)
    model = load_model(people.model)
    assert isinstance(model, Model)
    return Demo(
        people=people,
        training=training,
        classification=model.classify(people.photo, reading=people.reading),
        case=model.explain(people.photo, reading=people.reading),
        evaluation=judge_on(material, training),
    )


def make_people(
    folder: str | os.PathLike[str], *, patients: int, labels: Sequence[str], jobs: int | None = None
) -> DemoPeople:
    """Make the pictures."""
    if len(labels) < 2:
        raise InputError(f"{parameter('labels', ', '.join(labels))}: two labels or more are needed.")
    if patients < 10:
        raise InputError(f"{parameter('patients', patients)}: ten or more of each label are needed.")
    folder, jobs = Path(folder), jobs or available_cores()
    cohort = make_cohort(folder / "cohort", patients, labels, jobs=jobs)
    other = make_cohort(folder / "new", 1, labels[-1:], seed=1, jobs=jobs)
    return DemoPeople(
        folder=folder,
        cohort=cohort,
        photo=next(other.parent.glob("*.jpg")),
        reading=PhotoReading(jobs=jobs, cache=str(folder / "cache")),
    )


def train_on(people: DemoPeople, *, progress: Progress = silent) -> tuple[Material, TrainResult]:
    """Train a model, judge it by cross-validation and save it."""
    request = TrainRequest(allow_duplicates=True, reading=people.reading)  # pictures of one photograph
    material = gather(people.cohort, request, progress=progress)
    result = train(material, command="anthropo demo", progress=progress)
    result.trained.save(people.model)
    return material, result


def judge_on(material: Material, training: TrainResult) -> EvaluateResult:
    """The figures of the training's cross-validation, with subgroups and more resamples."""
    from anthropo.learning.judging import Question

    questions = [Question(attribute=None, models=made.judged) for made in training.evaluations]
    settings = {"cohort": "SYNTHETIC: one morphed photo"}
    (made,) = evaluations_of(questions, material, settings=settings)
    # where no reader can miss it
    made = replace(made, warnings=(SYNTHETIC, *made.warnings))
    return EvaluateResult(
        evaluations=(made,), findings=training.findings, notes=training.notes, gate=training.gate
    )
