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
            As for `anthropo.workflows.classify.classify`: ``together``, ``reading``, ``encoder_weights``,
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
