"""A fine-tuned network that answers by itself, as Python uses it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from anthropo._version import __version__
from anthropo.batch.inputs import collect
from anthropo.batch.patients import spelled_alike
from anthropo.encoder.encoders import count_seen
from anthropo.encoder.regions import IMAGE
from anthropo.errors import FaceError, InputError, ModelError, PhotoError, parameter
from anthropo.explanation.fitness import unfit_picture
from anthropo.face.landmarker import Face
from anthropo.learning.model import Prediction
from anthropo.learning.training import landmark_weights
from anthropo.networks.answering import Metadata, answer_patients, kinds_of
from anthropo.networks.network import Network
from anthropo.networks.pictures import CohortPictures, read_pictures
from anthropo.observation import observe
from anthropo.photo import Photo, read_photo
from anthropo.settings import Settings
from anthropo.showing import brief, facts_of, word
from anthropo.workflows.classify import (
    Answer,
    Answered,
    Answers,
    People,
    Photos,
    Unanswered,
    UnusableError,
    about_photos,
    as_names,
    one_person_only,
    portraits,
    probabilities_by_column,
)
from anthropo.workflows.cohort import PhotoReading, settings_for
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.explanation.maps import FaceHeat

_SHOWN = 560  # px, of a picture without a face


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkClassification(Answers):
    """A network's own answers to photographs, in the order of their first photos.

    They are not calibrated and have no prediction sets, and nobody is "none of these": a model that is
    trained on the network's embedding (``encoder="net.anthropo"``) has all of these.
    """

    network: Network
    settings: Settings  # that the photos were read with
    metadata: Metadata | None  # (n, q) of `predictions`, of cases
    faces: Mapping[str, str]  # where in a photo the face is, if that was said, by path

    __repr__ = Answers.__repr__

    @property
    def parameters(self) -> int:
        """Weights of the network."""
        return self.network.parameters

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the table.

        `patient, photo, photos, status, reason, decision, label_1`, then ``probability__LABEL`` of every
        label in the network's order, as for other models. Of attributes `decision` lists those that are
        present.
        """
        rows = []
        for one in self.answers:
            p = one.prediction if isinstance(one, Answered) else None
            row = about_photos(one) | {"label_1": p and p.ranked[0].label}
            rows.append(row | probabilities_by_column(p, self.network.labels))
        return rows

    def to_json(self) -> list[dict[str, Any]]:
        """One object per person, and per photo that could not be used, with everything that is known."""
        about = {
            "task": self.network.manifest.task,
            "network": self.network.recipe,
            "calibrated": False,
            "anthropo": __version__,
        }
        return [{**self._object(one), **about} for one in self.answers]

    def _object(self, one: Answer) -> dict[str, Any]:
        made: dict[str, Any] = {"patient": one.patient or None, "photos": list(one.photos)}
        if isinstance(one, Unanswered):
            return made | {"status": "failed", "reason": one.reason}
        ranked = [
            {"label": r.label, "probability": r.probability, "log_odds": r.log_odds}
            for r in one.prediction.ranked
        ]
        return made | {"status": "ok", "decision": one.prediction.decision, "ranked": ranked}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkCase:
    """A network's answer about one person, and where in the picture it comes from."""

    network: Network
    prediction: Prediction
    label: str  # that the heatmaps are of
    photo: Photo  # that is shown
    face: Face | None  # in it; None of a network that looks at pictures without one
    heat: FaceHeat
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(self, facts_of(self.prediction), f"heatmaps of {word(self.label)}")

    def to_json(self) -> dict[str, Any]:
        """The answer, and the figures of the heatmaps."""
        from anthropo.learning.model_readers import as_written

        maps = {"whole": self.heat.whole, **self.heat.regions}
        figures = {
            name: {
                "log_odds": one.contribution,
                "baseline": one.baseline,
                "completeness": one.completeness,
                "faithfulness": as_written(one.faithfulness),
            }
            for name, one in maps.items()
        }
        ranked = [
            {"label": r.label, "probability": r.probability, "log_odds": r.log_odds}
            for r in self.prediction.ranked
        ]
        return {
            "photos": list(self.prediction.photos),
            "network": self.network.recipe,
            "decision": self.prediction.decision,
            "calibrated": False,
            "ranked": ranked,
            "heatmaps_of": self.label,
            "heatmaps": figures,
            "anthropo": __version__,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkModel:
    """A network that `anthropo.finetune` made, to answer by itself; see `load_model`.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.learning.manifest import Manifest, PhotoSettings
    >>> from anthropo.networks import load_recipe
    >>> from anthropo.networks.architectures import Spec, build
    >>> from anthropo.networks.description import Description
    >>> spec = Spec(task="labels", backbone="deepgestalt", channels=1, outputs=2, dropout=0.5, head="linear")
    >>> about = Description(  # with random weights; `anthropo.finetune` trains them
    ...     recipe="deepgestalt", parameters=load_recipe("deepgestalt").parameters, spec=spec, size=32,
    ...     views=("image",), mean=(127.5,) * 3, std=(127.5,) * 3, grey=True, alignment="mean-face",
    ...     crops="scaled", dimension=320, metadata=None,
    ... )
    >>> manifest = Manifest(labels=("dark", "light"), task="binary", settings=PhotoSettings(no_face=True))
    >>> anthropo.Network(manifest, about, (build(spec),)).save("net.anthropo")
    >>> model = anthropo.load_model("net.anthropo")
    >>> list(model.classify(anthropo.example_photo()).to_frame())[5:]
    ['decision', 'label_1', 'probability__dark', 'probability__light']
    """

    network: Network
    path: Path

    def __repr__(self) -> str:
        return repr(self.network).replace("<Network", "<NetworkModel", 1)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, grades or attributes that the network tells apart."""
        return self.network.labels

    def classify(
        self,
        photos: Photos,
        *,
        patient: bool = False,
        reading: PhotoReading | None = None,
        encoder_weights: str | None = None,
        force: bool = False,
        prevalence: object = None,
        site: str | None = None,
        progress: Progress = silent,
    ) -> NetworkClassification:
        """Rank the network's labels for the person on each photo.

        A network of cases (recipe differential) looks at all photos of a person together, with the metadata
        that it was trained with; other networks' probabilities are averaged over a person's photos.

        Parameters
        ----------
        photos, patient, reading, force, progress
            As in `Model.classify`.
        encoder_weights, prevalence, site
            A network holds its weights, its probabilities are those of no prevalence, and it reads photos of
            every site alike: refused.

        Returns
        -------
        NetworkClassification
            With ``to_frame()``.

        Raises
        ------
        InputError, ModelError
            If the photos cannot be found, or not be read as those that the network was trained on.
        """
        network, reading = self.network, reading or PhotoReading()
        self._refuse_model_options(encoder_weights, prevalence, site)
        items = collect(as_names(photos))
        settings = self._settings(reading, [item.path for item in items])
        people = People.of(items, kinds_of(network.about.metadata), together=patient)
        start = time.perf_counter()
        with progress(len(people.cohort.cases), "reading photos") as advance:
            pictures = read_pictures(
                people.cohort,
                network.view,
                settings,
                memory=network.about.parameters.memory,
                jobs=reading.jobs,
                runner=reading.runner,
                gate=True,
                advance=advance,
            )
        if not force:
            pictures = _fit(pictures)
        answers: list[Answer] = []
        metadata, notes = None, []
        if len(pictures.features):
            told = answer_patients(network, pictures)
            answers += [Answered(people.names[p.patient], p) for p in told.predictions]
            metadata = told.metadata
            most = network.about.parameters.images
            if told.unseen:
                notes.append(
                    f"note: {told.unseen} with more than {most} photos: the network looks at the first ones."
                )
            seen = count_seen(pictures.features.digests.tolist(), network.seen)
            if seen:
                notes.append(
                    f"note: {seen} of {len(pictures.features)} photos are among those that the network was "
                    "trained on or stopped by: its answers on them come out too good."
                )
        alike = [] if patient else [f"note: {sentence}" for sentence in spelled_alike(items)]
        return NetworkClassification(
            network=network,
            answers=people.with_failed(answers, pictures.features),
            n_photos=len(people.cohort.cases),
            notes=(*alike, *notes, *_missing(network, people), *portraits(pictures.features, settings)),
            seconds=time.perf_counter() - start,
            settings=settings,
            metadata=metadata,
            faces={case.photo: case.face_at for case in people.cohort.cases},
        )

    def _refuse_model_options(
        self, encoder_weights: str | None, prevalence: object, site: str | None
    ) -> None:
        """Refuse what only a trained model can be asked."""
        if encoder_weights:
            raise InputError(
                f"{self.path}: a network holds its weights. Leave {parameter('encoder_weights')} out."
            )
        if prevalence:
            raise InputError(
                f"{self.path}: a network's probabilities are not calibrated, so that they hold at no stated "
                f"prevalence. Leave {parameter('prevalence')} out, or train a model with "
                f"{parameter('encoder', self.path.name)}."
            )
        if site is not None:
            raise InputError(
                f"{self.path}: a network reads photos of every site alike. Leave {parameter('site')} out."
            )

    def _settings(self, reading: PhotoReading, photos: Sequence[str]) -> Settings:
        """How photos are read: as the network's training photos were."""
        manifest = self.network.manifest
        settings = settings_for(reading, manifest.settings, photos)
        no_face = parameter("no_face", True)
        if settings.no_face != (self.network.views == (IMAGE,)):
            needs = f"faces; leave {no_face} out" if settings.no_face else f"whole photos; pass {no_face}"
            raise ModelError(f"{self.path}: the network was trained on {needs}, or use another one.")
        theirs = {w.name: w.digest for w in manifest.weights}
        ours = {w.name: w.digest for w in landmark_weights(settings)}
        for name in ("landmarks-68", "fine-landmarks"):
            if theirs and not settings.no_face and theirs.get(name) != ours.get(name):
                raise ModelError(
                    f"{self.path}: the network was trained on faces whose landmarks were found "
                    f"{'with' if name in theirs else 'without'} {name}, and these would be found otherwise. "
                    "Use the same options and version, or train it again."
                )
        return settings

    def explain(
        self,
        photo: Photos,
        *,
        labels: Sequence[str] = (),
        patient: bool = False,
        force: bool = False,
        reading: PhotoReading | None = None,
        progress: Progress = silent,
    ) -> NetworkCase:
        """Show where in the picture a network's answer about one person comes from.

        Parameters
        ----------
        photo, patient, force, reading, progress
            As in `Model.explain`.
        labels : sequence of str, optional
            The label that heatmaps are of; the one that was decided for, or the most probable, when left out.

        Returns
        -------
        NetworkCase
            Of a person with several photos, with heatmaps of the first.

        Raises
        ------
        UnusableError
            If no photo can be used, for the reasons that it gives.
        InputError, ModelError
            If a label is unknown, photos are of several people, or the network cannot be used on them.
        """
        items = collect(as_names(photo))
        one_person_only(items, patient)
        for label in labels:
            if label not in self.labels:
                raise InputError(
                    f"label {label!r}: not one of the network's, which are {', '.join(self.labels)}."
                )
        if len(labels) > 1:
            raise InputError("A network's heatmaps are of one label. Name one.")
        made = self.classify(photo, patient=True, reading=reading, force=force, progress=progress)
        if not made.predictions:
            raise UnusableError([one.reason for one in made.failed])
        return self.case(made, 0, labels[0] if labels else None)

    def case(self, made: NetworkClassification, at: int, label: str | None = None) -> NetworkCase:
        """Heatmaps of the answer about one person, on that person's first photo.

        Parameters
        ----------
        made : NetworkClassification
        at : int
            Which of its predictions.
        label : str, optional
            The one that was decided for, or the most probable, when left out.

        Returns
        -------
        NetworkCase

        Raises
        ------
        PhotoError
            If the photo cannot be read again.
        FaceError
            If its face is not found again.
        ValueError
            If the network does not know the label.
        """
        from anthropo.explanation.network_heat import network_heatmaps

        prediction = made.predictions[at]
        photo, face = _seen(prediction.photos[0], self.network, made)
        label = label or next(
            (r.label for r in prediction.ranked if r.label == prediction.decision), prediction.ranked[0].label
        )
        metadata = None if made.metadata is None else made.metadata[at]
        return NetworkCase(
            network=self.network,
            prediction=prediction,
            label=label,
            photo=photo,
            face=face,
            heat=network_heatmaps(self.network, photo, face, label, metadata),
            notes=(*(one.reason for one in made.failed), *made.notes),
        )

    def evaluate(self, cohort: str | os.PathLike[str], **_: Any) -> NoReturn:
        """Refuse: figures of a network on a cohort are those of `anthropo.bench_networks`.

        Parameters
        ----------
        cohort : path

        Raises
        ------
        ModelError
            In any case.
        """
        raise ModelError(
            f"{self.path}: a network, which `anthropo bench` judges on a cohort; or train a model with "
            f"{parameter('encoder', str(self.path))} and judge that."
        )


def _fit(pictures: CohortPictures) -> CohortPictures:
    """The photos that are fit to be judged; the others are named as left out."""
    features = pictures.features
    if features.gate is None or features.hidden is None:
        return pictures
    reasons = [unfit_picture(*one) for one in zip(features.gate_failed, features.hidden, strict=True)]
    photos = features.photos.tolist()
    left_out = [(photo, f"{photo}: {why}") for photo, why in zip(photos, reasons, strict=True) if why]
    fit = pictures.subset(np.flatnonzero([not why for why in reasons]))
    return replace(fit, features=replace(fit.features, left_out=(*features.left_out, *left_out)))


def _missing(network: Network, people: People) -> list[str]:
    cases = people.cohort.cases
    names = [n for n in network.about.metadata or () if not any(case.metadata[n] for case in cases)]
    if not names:
        return []
    return [
        f"note: the network reads {', '.join(names)}; no photo has them, so they count as missing. Give a "
        "CSV with the columns photo and these."
    ]


def _seen(path: str, network: Network, made: NetworkClassification) -> tuple[Photo, Face | None]:
    """A photo and the face in it, once more."""
    try:
        if network.view.needs_face:
            seen = observe(path, made.settings.at_face(made.faces.get(path, "")))
            return seen.photo, seen.face
        limits = made.settings.limits
        side = max(network.size, _SHOWN)
        return read_photo(
            path, short_side=side, max_megapixels=limits.max_megapixels, deadline=limits.deadline
        ), None
    except (PhotoError, FaceError) as error:  # it has changed since
        raise UnusableError([str(error)]) from None
