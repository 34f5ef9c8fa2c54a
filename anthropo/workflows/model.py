"""A trained model, as Python uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder
    from anthropo.learning.trained import Trained
    from anthropo.settings import Settings
    from anthropo.workflows.classify import Classification, Photos
    from anthropo.workflows.cohort import PhotoReading
    from anthropo.workflows.evaluation import EvaluateResult
    from anthropo.workflows.explain import Case


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model that `anthropo.train` made; see `load_model`."""

    trained: Trained  # classifier, calibration and manifest
    path: Path  # a network that the model needs is looked for beside it

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that the model tells apart."""
        return tuple(self.trained.model.labels)

    def encoder(self, settings: Settings, weights: str | None = None) -> Encoder:
        """The encoder that the model was trained with."""
        from anthropo.workflows.cohort import encoder_for

        return encoder_for(self.trained, str(self.path), weights, settings)

    def classify(self, photos: Photos, **options: Any) -> Classification:
        """Rank the labels for the person on each photo.

        Parameters
        ----------
        photos : path or sequence of paths
            Files, folders, patterns, or CSV files with a column `photo`. Photos that share a name in the
            column `patient` give one answer; metadata that the model reads come from columns of their names.
        **options
            ``patient=True``: all photos are of one person. ``reading``: a `PhotoReading`.
            ``encoder_weights``, ``progress``.

        Returns
        -------
        Classification
            With ``to_frame()``.

        Raises
        ------
        InputError, ModelError, WeightsError
            If the photos cannot be found, or read as those that the model was trained on.

        Examples
        --------
        >>> import anthropo
        >>> answers = anthropo.load_model("m.anthropo").classify("person.jpg").to_frame()
        >>> list(answers.columns[:8])
        ['patient', 'photo', 'photos', 'status', 'reason', 'decision', 'set', 'typicality']
        """
        from anthropo.workflows.classify import classify

        return classify(self, photos, **options)

    def explain(
        self,
        photo: Photos,
        *,
        reading: PhotoReading | None = None,
        progress: Progress = silent,
        **options: Any,
    ) -> Case:
        """Explain the prediction for one person as exact sums, with heatmaps.

        Parameters
        ----------
        photo : path or sequence of paths
            Of one person: a photo, a CSV whose column `patient` names one person, or several photos.
        reading : PhotoReading, optional
            How photos are read; as in training when left out.
        progress : Progress
        **options
            Fields of `ExplainRequest`, such as ``labels``, ``sex``, ``age`` and ``patient``.

        Returns
        -------
        Case
            With ``to_frame()``.

        Raises
        ------
        UnusableError
            If no photo can be used, for the reasons that it gives.
        InputError, ModelError, WeightsError
            If a label is unknown, photos are of several people, or the model cannot be used on them.

        Examples
        --------
        >>> import anthropo
        >>> case = anthropo.load_model("m.anthropo").explain("person.jpg", heatmaps=False)
        >>> first = case.explanation.labels[0]
        >>> terms = sum(c.log_odds for c in first.contributions)
        >>> abs(first.bias + terms + first.residual - first.log_odds) < 1e-6
        True
        """
        from anthropo.workflows.explain import ExplainRequest, explain

        return explain(self, photo, ExplainRequest(**options), reading=reading, progress=progress)

    def evaluate(self, cohort: str | os.PathLike[str], **options: Any) -> EvaluateResult:
        """Judge the model on people whom it has not seen, with 95 % intervals.

        Parameters
        ----------
        cohort : path
            A table with the columns `photo` and `label`, or a folder with one subfolder of photos per
            label. Photos with a label that the model does not know are left out.
        **options
            ``reading``, ``encoder_weights`` and ``progress`` as for `classify`. ``positive``: the label that
            the figures are of, or the attribute that is judged. ``prevalence``: its share where the model
            will be used, for PPV and NPV. ``bootstrap`` and ``seed``: resamples of the patients, for
            intervals. ``allow_duplicates``: whether one photograph may be under different patients.

        Returns
        -------
        EvaluateResult
            With ``to_frame()``.

        Raises
        ------
        CohortError
            If the cohort cannot be used, for the errors among its findings.
        InputError, ModelError, WeightsError
            If an option or the model cannot be used on it.

        Examples
        --------
        >>> import anthropo
        >>> model = anthropo.load_model("m.anthropo")
        >>> result = model.evaluate("cohort/cohort.csv", allow_duplicates=True, bootstrap=100)
        >>> result.evaluations[0].n_photos
        12
        """
        from anthropo.workflows.evaluation import evaluate_model

        return evaluate_model(self, cohort, **options)


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model file.

    Parameters
    ----------
    path : path
        What `anthropo.train` or `anthropo train` wrote.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If it is no model file, is damaged, or was made by a newer anthropo.

    Examples
    --------
    >>> import anthropo
    >>> anthropo.load_model("m.anthropo").labels
    ('control', 'synthetic-A')
    """
    from anthropo.learning.trained import Trained

    return Model(trained=Trained.load(Path(path)), path=Path(path))
