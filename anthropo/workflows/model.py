"""A trained model, as Python uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder
    from anthropo.learning.trained import Trained
    from anthropo.settings import Settings
    from anthropo.workflows.classify import Classification, Photos
    from anthropo.workflows.explain import Case


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model that `anthropo.train` made, with the file that it was read from.

    Attributes
    ----------
    trained : Trained
        Classifier, calibration and manifest.
    path : Path
        The model's file; a network that it needs is looked for beside it.

    Examples
    --------
    >>> import anthropo
    >>> model = anthropo.load_model("m.anthropo")
    >>> model.labels
    ('control', 'synthetic-A')
    """

    trained: Trained
    path: Path

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
            Files, folders, patterns, or CSV files with a column `photo`.
        **options
            As for `anthropo.workflows.classify.classify`: ``patient``, ``reading``, ``encoder_weights``,
            ``progress``.

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
        >>> model = anthropo.load_model("m.anthropo")
        >>> answers = model.classify("person.jpg").to_frame()
        >>> list(answers.columns[:8])
        ['patient', 'photo', 'photos', 'status', 'reason', 'decision', 'set', 'typicality']
        """
        from anthropo.workflows.classify import classify

        return classify(self, photos, **options)

    def explain(self, photo: Photos, **options: Any) -> Case:
        """Explain the prediction for one person as exact sums, with heatmaps.

        Parameters
        ----------
        photo : path or sequence of paths
            Of one person.
        **options
            As for `anthropo.workflows.explain.explain`: ``labels``, ``sex``, ``age``, ``references``,
            ``patient``, ``heatmaps``, ``force``, ``reading``, ``encoder_weights``, ``progress``.

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
        >>> model = anthropo.load_model("m.anthropo")
        >>> case = model.explain("person.jpg", heatmaps=False)
        >>> first = case.explanation.labels[0]
        >>> terms = sum(c.log_odds for c in first.contributions)
        >>> abs(first.bias + terms + first.residual - first.log_odds) < 1e-6
        True
        """
        from anthropo.workflows.explain import explain

        return explain(self, photo, **options)


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
    >>> anthropo.load_model("m.anthropo").trained.task
    'labels'
    """
    from anthropo.learning.trained import Trained

    return Model(trained=Trained.load(Path(path)), path=Path(path))
