"""A trained model: how it is kept in a file, which photos suit it, and what it answers on them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anthropo._version import __version__
from anthropo.container import shown
from anthropo.encoder.several import each_of
from anthropo.errors import InputError, ModelError, parameter
from anthropo.face.fine import fine_sha256
from anthropo.face.weights import landmark_model
from anthropo.learning.attributes import NO_ATTRIBUTE, AttributeModel
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.cohort import Values
from anthropo.learning.columns import Columns
from anthropo.learning.domains import MEASUREMENTS, Domains
from anthropo.learning.features import Features, feature_frame, feature_rows
from anthropo.learning.manifest import Manifest, PhotoSettings
from anthropo.learning.model import NONE_OF_THESE, LabelModel, ModelAnswers, Prediction, Ranked, Task
from anthropo.learning.model_readers import part, prefixed
from anthropo.learning.normality import NormalityModel
from anthropo.learning.prevalence import Prevalence, stated_presence, stated_shares
from anthropo.learning.profile import Profile
from anthropo.learning.rows import FeatureRows
from anthropo.learning.schema import check_budget
from anthropo.learning.states import check_dimension, dimension_of, names_of
from anthropo.measurement.registry import registry, shipped
from anthropo.settings import Settings
from anthropo.showing import brief, count, listed

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.encoder.several import AnyEncoder

#: Earlier ones took what is missing for evidence, and lack what it is expected from. Networks are as before.
OLDEST_FORMAT = 2

Model = LabelModel | AttributeModel | NormalityModel
MODELS: dict[str, type[Model]] = {
    "labels": LabelModel,
    "attributes": AttributeModel,
    "normality": NormalityModel,
}


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model with what has to be known to use it.

    Attributes
    ----------
    model : LabelModel, AttributeModel or NormalityModel
    manifest : Manifest
        What the model was trained on and needs.
    profile : Profile or None
        What the people of each label look like together; None in models made before it was kept.
    domains : Domains or None
        What brings photos of other sites to those of the target; None: they are taken as they are.

    Examples
    --------
    >>> from anthropo import Trained
    >>> trained = Trained.load("m.anthropo")
    >>> trained.task, trained.regions
    ('labels', ('face',))
    """

    model: Model
    manifest: Manifest
    profile: Profile | None = None
    domains: Domains | None = None

    def __repr__(self) -> str:
        about = self.manifest
        patients = about.cohort.patients or 0
        return brief(
            self,
            f"{self.task} ({listed(self.model.labels)})",
            about.classifier or "",
            about.encoder.name or "",
            f"{count(patients, 'patient')}" if patients else "",
        )

    @property
    def task(self) -> Task:
        """Kind of the model."""
        if isinstance(self.model, LabelModel):
            return "labels"
        return "attributes" if isinstance(self.model, AttributeModel) else "normality"

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions of the face that the model reads."""
        return self.manifest.regions

    @property
    def metadata(self) -> tuple[str, ...]:
        """Columns of metadata that the model reads."""
        return self.manifest.metadata

    @property
    def no_face(self) -> bool:
        """Whether the model reads pictures without a face."""
        return self.manifest.settings.no_face

    @property
    def shares(self) -> dict[str, float]:
        """How common each label, or attribute, is where the probabilities hold; empty without any."""
        return {} if isinstance(self.model, NormalityModel) else self.model.shares

    @property
    def stated(self) -> bool:
        """Whether `at` stated these shares; else they are those of training."""
        return not isinstance(self.model, NormalityModel) and self.model.stated is not None

    def at(self, prevalence: Prevalence | None) -> Trained:
        """The model where labels are otherwise as common than in training; it is not kept in a file.

        Log-odds of each label move by log(π / (1 - π)) - log(π₀ / (1 - π₀)), π₀ the share in training;
        decisions of least expected cost follow. Which labels are in a prediction set does not depend on
        prevalence, except that a set that holds any label holds the most probable one.

        Parameters
        ----------
        prevalence : float, mapping of str to float, or None
            A share by label, such as ``{"Noonan": 0.02}``; labels that are not named share what is left in
            the proportions of training. A number is the share of the positive one of two labels. None: as
            common as in training.

        Returns
        -------
        Trained

        Raises
        ------
        InputError
            If a share or label is impossible, or the model has no probabilities.

        Examples
        --------
        >>> from anthropo import Trained
        >>> trained = Trained.load("m.anthropo")
        >>> trained.at({"synthetic-A": 0.02}).shares
        {'control': 0.98, 'synthetic-A': 0.02}
        """
        model = self.model
        if isinstance(model, NormalityModel):
            if prevalence is None:
                return self
            raise InputError(
                f"{parameter('prevalence')}: distance to normal has no probabilities. Leave it out."
            )
        before = model.at(None)
        if prevalence is None:
            return replace(self, model=before)
        training, positive = before.shares, self.manifest.positive
        if isinstance(model, AttributeModel):
            return replace(self, model=model.at(stated_presence(prevalence, training)))
        return replace(self, model=model.at(stated_shares(prevalence, training, positive)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, whole or not at all.

        Parameters
        ----------
        path : path

        Raises
        ------
        ModelError
            If it cannot be written.
        """
        meta, arrays = self.model.state()
        if self.profile is not None:
            meta["profile"], of_profile = self.profile.state()
            arrays = arrays | prefixed(of_profile, "profile/")
        if self.domains is not None:
            meta["domains"], of_domains = self.domains.state()
            arrays = arrays | prefixed(of_domains, "domains/")
        write_bundle(path, Bundle({**self.manifest.to_json(), "model": meta}, arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trained:
        """Read a model file.

        Measurements of one's own that it was trained with are added to `anthropo.registry`.

        Parameters
        ----------
        path : path

        Returns
        -------
        Trained

        Raises
        ------
        ModelError
            If it is no model file, is damaged, or was made by a newer anthropo.
        """
        return cls.of_file(read_bundle(path), path)

    @classmethod
    def of_file(cls, bundle: Bundle, path: str | os.PathLike[str]) -> Trained:
        """The model in a file that was read; see `load`.

        Parameters
        ----------
        bundle : Bundle
        path : path
            Of the file, for messages.

        Returns
        -------
        Trained

        Raises
        ------
        ModelError
            If it is a network, is of a format that is no longer read, or does not fit together.
        """
        if "network" in bundle.manifest:
            raise ModelError(
                f"{path}: a network, not a model that answers with measurements. Train a model with "
                f"{parameter('encoder', str(path))}, and give its file."
            )
        version = bundle.manifest["format_version"]
        if version < OLDEST_FORMAT:
            maker = shown(str(bundle.manifest.get("anthropo", "of an unknown version")), bare=True)
            raise ModelError(
                f"{path}: made by anthropo {maker} in model format {version}; this is anthropo "
                f"{__version__}, which reads models from format {OLDEST_FORMAT} on. Train it again, or "
                "use that version."
            )
        try:
            made = cls.from_bundle(bundle)
        except ModelError as error:
            raise ModelError(
                f"{path}: the model does not fit together ({error}). Copy it again from where it was made, "
                "or train it again."
            ) from None
        there = {one.id: one for one in registry.definitions}
        for definition in made.manifest.own_measurements:
            if (other := there.get(definition.id, definition)) != definition:
                raise ModelError(
                    f"{path}: trained with {definition.id} as {definition.expression}, which is "
                    f"{other.expression} by {parameter('registry')} here. Leave that out, or give it "
                    "another name."
                )
        try:
            registry.add(made.manifest.own_measurements)
        except InputError as error:
            raise ModelError(f"{path}: a measurement of its own cannot be used: {error}") from None
        return made

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Trained:
        """The model that a file holds, after a check of all that is in it; see docs/files.md.

        Parameters
        ----------
        bundle : Bundle

        Returns
        -------
        Trained

        Raises
        ------
        ModelError
            If anything is of another type, out of range, or does not fit the rest.
        """
        manifest = Manifest.from_json(bundle.manifest)
        check_budget(bundle.arrays)
        names = names_of(manifest)
        meta = bundle.manifest.get("model")
        if not isinstance(meta, dict):
            raise ModelError("its description is missing")
        task = meta.get("task")
        if not isinstance(task, str) or task not in MODELS:
            raise ModelError("it is of an unknown kind")
        model = MODELS[task].from_state(meta, bundle.arrays, names)
        profile = None
        if meta.get("profile") is not None:
            profile = Profile.from_state(meta["profile"], part(bundle.arrays, "profile/"), names)
        domains = None
        if meta.get("domains") is not None:
            domains = Domains.from_state(
                meta["domains"], part(bundle.arrays, "domains/"), _sizes(manifest), names
            )
        if manifest.labels != tuple(model.labels):
            raise ModelError("its labels are others in its manifest than in its model")
        for columns in _columns(model):
            check_dimension(manifest, {region: len(names) for region, names in columns.regions.items()})
        return cls(model, manifest, profile, domains)

    def check_instrument(self, encoder: AnyEncoder, settings: Settings, path: str) -> None:
        """Refuse photos that are measured or encoded otherwise than the training photos.

        Parameters
        ----------
        encoder : Encoder or Encoders
        settings : Settings
        path : str
            Of the model, for messages.

        Raises
        ------
        ModelError
            If an encoder, landmark weights, measurements or jitter differ.
        """
        for trained_with, one in zip(self.manifest.encoders, each_of(encoder), strict=True):
            if trained_with.digest != one.digest:
                raise ModelError(
                    f"{path}: trained with the encoder {trained_with.name} "
                    f"({_short(trained_with.digest)}), this one is {one.name} "
                    f"({_short(one.digest)}). Give the same weights with {parameter('encoder_weights')}, or "
                    "train the model again."
                )
            if trained_with.align != one.align:
                raise ModelError(
                    f"{path}: trained on faces aligned in the way {trained_with.align}, these would be in "
                    f"the way {one.align}. Pass {parameter('align', trained_with.align)}, or train again."
                )
        if self.no_face != settings.no_face:
            no_face = parameter("no_face", True)
            needs = (
                f"pictures without a face; pass {no_face}" if self.no_face else f"faces; leave {no_face} out"
            )
            raise ModelError(f"{path}: trained on {needs}, or use another model.")
        for definition in self.manifest.own_measurements:
            if definition not in registry.definitions:
                raise ModelError(
                    f"{path}: trained with the measurement {definition.id} ({definition.expression}), which "
                    "was removed or is defined otherwise now. Load the model again."
                )
        here = instrument(settings)
        for name in ("landmark_weights", "fine_weights", "jitter", "definitions"):
            theirs, ours = getattr(self.manifest.settings, name), getattr(here, name)
            if None not in (theirs, ours) and theirs != ours:
                raise ModelError(
                    f"{path}: trained on photos measured with {name.replace('_', ' ')} {_short(theirs)}, "
                    f"these would be with {_short(ours)}. Use the same options and version, or train again."
                )

    def answer(self, features: Features, *, pool: bool) -> ModelAnswers:
        """Answers for photos, or with `pool` for patients.

        Parameters
        ----------
        features : Features
            Extracted with the model's settings, encoder and regions.
        pool : bool
            One answer for each patient instead of each photo.

        Returns
        -------
        ModelAnswers

        Raises
        ------
        InputError
            If columns are missing that the model was trained with.
        """
        return self.model.answer(self.rows(features), features.patients.tolist() if pool else None)

    def table(self, features: Features) -> pd.DataFrame:
        """Feature table of photos; metadata that the model reads and nobody gave is missing in it.

        Parameters
        ----------
        features : Features
            Extracted with the model's settings, encoder and regions.

        Returns
        -------
        pandas.DataFrame
        """
        return feature_frame(self._complete(features), self.metadata)

    def rows(self, features: Features) -> FeatureRows:
        """The same to predict from, without a data frame.

        Parameters
        ----------
        features : Features
            Extracted with the model's settings, encoder and regions.

        Returns
        -------
        FeatureRows
        """
        return feature_rows(self._complete(features), self.metadata)

    def _complete(self, features: Features) -> Features:
        """The photos as the model reads them."""
        missing = [name for name in self.metadata if name not in features.metadata]
        nothing: list[str | None] = [None] * len(features)
        blank: dict[str, Values] = dict.fromkeys(missing, nothing)
        features = _without_unread(features, self.manifest.measurements)
        if self.domains is not None:
            features = self.domains.apply(features)
        return replace(features, metadata={**features.metadata, **blank})

    def predict(self, features: Features, *, pool: bool = True) -> list[Prediction]:
        """The model's answer for each patient, or without `pool` for each photo.

        Parameters
        ----------
        features : Features
            Extracted with the model's settings, encoder and regions.
        pool : bool
            One answer for each patient instead of each photo.

        Returns
        -------
        list of Prediction
            In the order of the patients' first photos.

        Raises
        ------
        InputError
            If columns are missing that the model was trained with.
        """
        answers = self.answer(features, pool=pool)
        patients = features.patients.tolist()
        rows: dict[str, list[int]] = defaultdict(list)
        for row, patient in enumerate(patients):
            rows[patient if pool else str(row)].append(row)
        return [
            _prediction(answers, i, tuple(features.photos[of].tolist()), patients[of[0]])
            for i, of in enumerate(rows.values())
        ]


def _without_unread(features: Features, read: Sequence[str]) -> Features:
    """Features without measurements of one's own that were added since the model was trained."""
    known = {*read, *shipped()}
    keep = [at for at, name in enumerate(features.measurement_ids) if name in known]
    if len(keep) == len(features.measurement_ids):
        return features
    names = tuple(features.measurement_ids[at] for at in keep)
    return replace(features, measurements=features.measurements[:, keep], measurement_ids=names)


def _sizes(manifest: Manifest) -> dict[str, int]:
    """Numbers of each block that photos are mapped in."""
    sizes = {region: dimension_of(manifest, region) or 0 for region in manifest.regions}
    measured = len(manifest.measurements)
    return {**sizes, **({MEASUREMENTS: measured} if measured else {})}


def _columns(model: Model) -> list[Columns]:
    """What each part of a model reads."""
    if isinstance(model, LabelModel):
        return [model.classifier.columns_, *([model.novelty.columns] if model.novelty else [])]
    if isinstance(model, AttributeModel):
        return [one.columns_ for one in model.classifiers]
    return [model.distance.columns]


def _short(value: Any) -> str:
    return str(value)[:12]


def _prediction(answers: ModelAnswers, i: int, photos: tuple[str, ...], patient: str) -> Prediction:
    order = np.argsort(-answers.probabilities[i], kind="stable")
    columns = (answers.probabilities, answers.log_odds, answers.similarity, answers.sets)
    ranked = tuple(
        Ranked(answers.labels[c], float(p), _number(odds), _number(cosine), bool(inside))
        for c, p, odds, cosine, inside in zip(order, *(of[i, order] for of in columns), strict=True)
    )
    if answers.several is not None:
        there = [answers.labels[c] for c in order if answers.several[i, c]]
        decision = "; ".join(there) or NO_ATTRIBUTE
    else:
        at = int(answers.decision[i])
        decision = NONE_OF_THESE if at < 0 else answers.labels[at]
    return Prediction(photos, patient, ranked, decision, answers.reasons[i], _number(answers.typicality[i]))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def instrument(settings: Settings) -> PhotoSettings:
    """Everything but the photo that a measurement depends on; equal in runs that make equal numbers."""
    if settings.no_face:
        return PhotoSettings(no_face=True)
    definitions = [(name, e.unit, e.expression) for name, e in shipped().items()]
    return PhotoSettings(
        landmark_weights=landmark_model(settings.landmark_model).sha256,
        fine_weights=fine_sha256() if settings.fine else "",
        jitter=settings.jitter,
        definitions=hashlib.sha256(json.dumps(definitions).encode()).hexdigest(),
    )
