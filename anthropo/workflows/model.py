"""A trained model, as Python uses it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.encoder.several import AnyEncoder
    from anthropo.learning.prevalence import Prevalence
    from anthropo.learning.trained import Trained
    from anthropo.settings import Settings
    from anthropo.workflows.classify import Classification, Photos
    from anthropo.workflows.cohort import PhotoReading
    from anthropo.workflows.evaluate_result import EvaluateResult
    from anthropo.workflows.explain import ExplainedCase
    from anthropo.workflows.network_model import NetworkModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model that `anthropo.train` made; see `load_model`."""

    trained: Trained  # classifier, calibration and manifest
    path: Path  # a network that the model needs is looked for beside it

    def __repr__(self) -> str:
        return repr(self.trained).replace("<Trained", "<Model", 1)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that the model tells apart."""
        return tuple(self.trained.model.labels)

    def encoder(self, settings: Settings, weights: str | None = None) -> AnyEncoder:
        """The encoder, or several, that the model was trained with.

        Parameters
        ----------
        settings : Settings
            How photos are read.
        weights : path, optional
            Of an encoder whose weights do not come with anthropo; several with commas.

        Returns
        -------
        Encoder or Encoders

        Raises
        ------
        ModelError
            If its network or weights are not where they should be, or are others.
        WeightsError
            If weights or a library are missing.
        """
        from anthropo.workflows.encoders import encoder_for

        return encoder_for(self.trained, str(self.path), weights, settings)

    def classify(
        self,
        photos: Photos,
        *,
        patient: bool = False,
        reading: PhotoReading | None = None,
        encoder_weights: str | None = None,
        force: bool = False,
        prevalence: Prevalence | None = None,
        site: str | None = None,
        progress: Progress = silent,
    ) -> Classification:
        """Rank the labels for the person on each photo.

        Parameters
        ----------
        photos : path or sequence of paths
            Files, folders, patterns, or CSV files with a column `photo`. Photos that share a name in the
            column `patient` give one answer; metadata that the model reads come from columns of their names.
        patient : bool, default False
            All photos are of one person, who gets one answer.
        reading : PhotoReading, optional
            How photos are read; as in training when left out.
        encoder_weights : path, optional
            The encoder's weights, where they are not found without.
        force : bool, default False
            Answer on photos that the photo gate finds unfit as well.
        prevalence : float or mapping of str to float, optional
            How common labels are where the model is used, such as ``{"Noonan": 0.02}``, or a number for the
            positive one of two labels; as in training when left out. See `anthropo.Trained.at`.
        site : str, optional
            Where the photos are from, for a model that was trained with ``adapt``; its target when left out.
            A column of the name that it was trained with comes first.
        progress : Progress, default silent
            What shows how far it has come.

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

        return classify(
            self,
            photos,
            patient=patient,
            reading=reading,
            encoder_weights=encoder_weights,
            force=force,
            prevalence=prevalence,
            site=site,
            progress=progress,
        )

    def explain(
        self,
        photo: Photos,
        *,
        labels: Sequence[str] = (),
        sex: str | None = None,
        age: float | str | None = None,
        gestation: str | None = None,
        ancestry: str | None = None,
        references: Sequence[str] = (),
        patient: bool = False,
        force: bool = False,
        heatmaps: bool = True,
        encoder_weights: str | None = None,
        prevalence: Prevalence | None = None,
        site: str | None = None,
        reading: PhotoReading | None = None,
        progress: Progress = silent,
    ) -> ExplainedCase:
        """Explain the prediction for one person as exact sums, with heatmaps.

        Parameters
        ----------
        photo : path or sequence of paths
            Of one person: a photo, a CSV whose column `patient` names one person, or several photos.
        labels : sequence of str, optional
            Labels to explain; the three most probable and "none of these" when left out.
        sex : {"female", "male"}, optional
        age : float or str, optional
            Years, or such as ``"18m"``; sex and age are for z-scores, and for a model that reads them.
        gestation : str, optional
            Its length, ``"31w"`` or ``"31+4"``, as for `anthropo.Settings`.
        ancestry : str, optional
            As for `anthropo.Settings`; and for a model that reads it.
        references : sequence of str, optional
            Reference tables for z-scores; the default one when left out, if sex or age is known.
        patient : bool, default False
            All photos are of one person.
        force : bool, default False
            Judge photos that the photo gate finds unfit.
        heatmaps : bool, default True
            Draw heatmaps of the first label, which takes about a second.
        encoder_weights : path, optional
            The encoder's weights, where they are not found without.
        prevalence : float or mapping of str to float, optional
            How common labels are where the model is used, as in `classify`.
        site : str, optional
            Where the photos are from, as in `classify`.
        reading : PhotoReading, optional
            How photos are read; as in training when left out.
        progress : Progress, default silent
            What shows how far it has come.

        Returns
        -------
        ExplainedCase
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

        request = ExplainRequest(
            labels=labels,
            sex=sex,
            age=age,
            gestation=gestation,
            ancestry=ancestry,
            references=references,
            patient=patient,
            force=force,
            heatmaps=heatmaps,
            encoder_weights=encoder_weights,
            prevalence=prevalence,
            site=site,
        )
        return explain(self, photo, request, reading=reading, progress=progress)

    def evaluate(
        self,
        cohort: str | os.PathLike[str],
        *,
        positive: str | None = None,
        prevalence: Prevalence | None = None,
        bootstrap: int = 1000,
        seed: int = 0,
        allow_duplicates: bool = False,
        same_person: str | None = None,
        trained_on: str | None = None,
        encoder_weights: str | None = None,
        reading: PhotoReading | None = None,
        progress: Progress = silent,
    ) -> EvaluateResult:
        """Judge the model on people whom it has not seen, with 95 % intervals.

        Parameters
        ----------
        cohort : path
            A table with the columns `photo` and `label`, or a folder with one subfolder of photos per
            label. Photos with a label that the model does not know are left out.
        positive : str, optional
            The label that the figures are of, or the attribute that is judged; that of the model when left
            out.
        prevalence : float or mapping of str to float, optional
            How common labels are where the model will be used, as in `classify`: decisions are made, and PPV
            and NPV given, for these shares.
        bootstrap : int, default 1000
            Resamples of the patients, for intervals.
        seed : int, default 0
            Of the resamples.
        allow_duplicates : bool, default False
            Whether one photograph may be under different patients.
        same_person : {"merge", "refuse", "ignore"}, optional
            As in `anthropo.TrainRequest`.
        trained_on : path, optional
            The model's training cohort: people who are in both are found by the face, and left out unless
            `same_person` says otherwise.
        encoder_weights : path, optional
            The encoder's weights, where they are not found without.
        reading : PhotoReading, optional
            How photos are read; as in training when left out.
        progress : Progress, default silent
            What shows how far it has come.

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
        from anthropo.workflows.evaluation_of_model import evaluate_model

        return evaluate_model(
            self,
            cohort,
            positive=positive,
            prevalence=prevalence,
            bootstrap=bootstrap,
            seed=seed,
            allow_duplicates=allow_duplicates,
            same_person=same_person,
            trained_on=trained_on,
            encoder_weights=encoder_weights,
            reading=reading,
            progress=progress,
        )


def load_model(path: str | os.PathLike[str]) -> Model | NetworkModel:
    """Read a model file, or a network that answers by itself.

    Parameters
    ----------
    path : path
        What `anthropo.train` or `anthropo.finetune` wrote.

    Returns
    -------
    Model or NetworkModel
        Both have ``labels``, ``classify`` and ``explain``.

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
    from anthropo.learning.bundle import read_bundle
    from anthropo.learning.trained import Trained

    bundle = read_bundle(path)
    if "network" not in bundle.manifest:
        trained = Trained.of_file(bundle, path)
        trained.manifest.require_permitted(path)
        return Model(trained=trained, path=Path(path))
    from anthropo.networks.network import Network
    from anthropo.workflows.network_model import NetworkModel

    network = Network.of_file(bundle, path)
    network.manifest.require_permitted(path)
    return NetworkModel(network=network, path=Path(path))
