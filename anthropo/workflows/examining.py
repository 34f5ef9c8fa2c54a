"""Everything about the face on one photograph, from one look at it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anthropo.batch.inputs import Item
from anthropo.batch.records import Record
from anthropo.batch.run import measure_observation, record_of
from anthropo.batch.scored import ScoredMeasurements
from anthropo.batch.scores import at_declared, settings_of
from anthropo.errors import InputError, parameter
from anthropo.face.landmarker import Face
from anthropo.observation import Observation, observe
from anthropo.photo import Photo
from anthropo.reference.person import parse_age, parse_gestation, parse_sex
from anthropo.reference.rules import read_rules
from anthropo.reference.zscore import LIMIT
from anthropo.settings import Settings
from anthropo.showing import brief, draw, facts_of, html
from anthropo.workflows.cohort import PhotoReading, settings_for
from anthropo.workflows.explain import ExplainedCase, ExplainRequest, explain
from anthropo.workflows.model import Model, load_model
from anthropo.workflows.trait_calling import PersonTraits, TraitsRequest, TraitsTask, answer, if_fit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from anthropo.learning.model import Prediction
    from anthropo.workflows.network_model import NetworkCase, NetworkModel


class Examination:
    """The face on one photograph: made by `anthropo.examine`.

    What it has is made when it is first asked for, and kept.

    Parameters
    ----------
    item : Item
        The photo, and what is known of the person.
    observation : Observation
        The photo and the face, with the landmarks.
    settings : Settings
        How it was read, and the references.
    model : Model or NetworkModel, optional

    Examples
    --------
    >>> import anthropo
    >>> person = anthropo.examine(anthropo.example_photo(), sex="female", age=31)
    >>> person.has_model, person.photo.full_size
    (False, (512, 512))
    """

    def __init__(
        self,
        item: Item,
        observation: Observation,
        settings: Settings,
        model: Model | NetworkModel | None = None,
    ) -> None:
        self._item = item
        self._settings = settings
        self._model = model
        self.observation = observation

    @property
    def has_model(self) -> bool:
        """Whether there is a model, whose answer is explained."""
        return self._model is not None

    @property
    def photo(self) -> Photo:
        """The photo."""
        return self.observation.photo

    @property
    def face(self) -> Face:
        """The face, with its landmarks, pose and photo gate."""
        return self.observation.face

    @cached_property
    def record(self) -> Record:
        """The measurements as tables and JSON have them."""
        seen = measure_observation(self._item, self.observation, self._settings)
        return record_of(seen, self._settings)

    @cached_property
    def measurements(self) -> ScoredMeasurements:
        """Every measurement with its intervals, and with z-scores where sex or age is known."""
        return ScoredMeasurements(self.record)

    @cached_property
    def traits(self) -> PersonTraits:
        """The HPO traits; of a photo that the photo gate finds unfit none, and the reason in its record."""
        task = TraitsTask(
            items=[self._item],
            people=None,
            request=TraitsRequest(),
            settings=self._settings,
            rules=read_rules(None),
        )
        return answer(self._item, if_fit(self.record), task)

    @cached_property
    def explanation(self) -> ExplainedCase | NetworkCase:
        """The model's answer and why: an InputError without a model.

        A model reads no more than `observation`. A network that answers by itself, whose pictures are cut
        in ways of their own, reads the photo once more.
        """
        if self._model is None:
            raise InputError(f"There is no model to explain. Pass {parameter('model', 'm.anthropo')}.")
        if not isinstance(self._model, Model):
            return self._model.explain(self._item.path)
        known: dict[str, Any] = {
            name: self._item.columns.get(name) for name in ("sex", "age", "gestation", "ancestry")
        }
        request = ExplainRequest(**known, references=self._settings.references)
        return explain(self._model, self._item.path, request, seen={self._item.path: self.observation})

    @property
    def prediction(self) -> Prediction:
        """The model's answer: an InputError without a model."""
        return self.explanation.prediction

    def to_frame(self) -> pd.DataFrame:
        """A row for each measurement and reference, with the columns of ``anthropo measure --long``."""
        return self.measurements.to_frame()

    def plot(self, kind: str = "face", ax: Axes | None = None) -> Axes:
        """Draw the face, its measurements, its traits or what explains the model's answer.

        Parameters
        ----------
        kind : {"face", "measurements", "traits", "explanation"}
        ax : matplotlib.axes.Axes, optional
            Where to draw; on a figure of its own when left out.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError
            If there is nothing of this kind.
        """
        return draw(self, "examination", ax, kind=kind)

    def __repr__(self) -> str:
        scores = [score.z for score in self.record.scores if not math.isnan(score.z)]
        beyond = sum(abs(z) > LIMIT for z in scores)
        scored = f"{beyond} of {len(scores)} z-scores beyond ±{LIMIT:g}" if scores else ""
        return brief(self, facts_of(self.face), scored, "with a model" if self.has_model else "")

    def _repr_html_(self) -> str:
        return html(self, "examination")


def examine(
    photo: str | os.PathLike[str],
    *,
    sex: str | None = None,
    age: float | str | None = None,
    gestation: str | None = None,
    ancestry: str | None = None,
    references: Sequence[str] = (),
    model: str | os.PathLike[str] | Model | NetworkModel | None = None,
    reading: PhotoReading | None = None,
) -> Examination:
    """Look at the face on one photograph: landmarks, measurements, traits and what a model makes of it.

    The photo is read, and searched for a face, once.

    Parameters
    ----------
    photo : path
    sex : {"female", "male"}, optional
    age : float or str, optional
        Years, or such as ``"18m"``; sex and age are for z-scores, and for a model that reads them.
    gestation : str, optional
        Its length, ``"31w"`` or ``"31+4"``, as for `anthropo.Settings`.
    ancestry : str, optional
        As for `anthropo.Settings`; and for a model that reads it.
    references : sequence of str, optional
        Reference tables for z-scores; the default one when left out, if sex or age is known.
    model : path, Model or NetworkModel, optional
        What `anthropo.train` or `anthropo.finetune` wrote; its answer is explained.
    reading : PhotoReading, optional
        How the photo is read; as the model's training photos were, or as `anthropo.measure` does.

    Returns
    -------
    Examination
        With ``face``, ``measurements``, ``traits``, ``explanation``, ``to_frame()`` and ``plot()``.

    Raises
    ------
    PhotoError, FaceError, WeightsError
        As `anthropo.observe`.
    InputError, ModelError
        If sex, age, a reference or the model cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> person = anthropo.examine("person.jpg", sex="female", age=31, model="m.anthropo")
    >>> person.measurements["mouth_width"].unit, person.traits.to_frame().shape[1]
    ('ex-ex', 26)
    >>> person.prediction.decision == person.explanation.prediction.decision
    True
    """
    for value, parse in ((sex, parse_sex), (age, parse_age), (gestation, parse_gestation)):
        if value not in (None, ""):
            parse(str(value))
    given = {"sex": sex, "age": age, "gestation": gestation, "ancestry": ancestry}
    columns = {name: str(value) for name, value in given.items() if value not in (None, "")}
    path, reading = os.fspath(photo), reading or PhotoReading()
    item = Item(path, columns)
    loaded = load_model(model) if isinstance(model, (str, os.PathLike)) else model
    trained = None
    if loaded is not None:
        trained = (loaded.trained if isinstance(loaded, Model) else loaded.network).manifest.settings
        if trained.no_face:
            raise InputError(
                "The model reads pictures without a face, and an examination is of one. Use its explain()."
            )
    named = (references,) if isinstance(references, str) else tuple(references)
    settings = replace(settings_for(reading, trained, [path]), references=named)
    settings.fingerprint()  # references that cannot be used are an error before the photo is read
    seen = observe(path, settings_of(item, settings) if trained is None else at_declared(item, settings))
    return Examination(item, seen, settings, loaded)
