"""Cohort to model file and back, and the judging of a model on people it has not seen."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.errors import InputError, ModelError
from anthropo.face.fine import fine_sha256
from anthropo.face.weights import KNOWN, landmark_model
from anthropo.learning.attributes import (
    ABSENT,
    NO_ATTRIBUTE,
    PRESENT,
    AttributeModel,
    split_labels,
)
from anthropo.learning.bundle import Bundle, read_bundle, write_bundle
from anthropo.learning.cohort import Values, some
from anthropo.learning.features import Features, feature_frame, subset
from anthropo.learning.judged import Judged
from anthropo.learning.model import (
    NONE_OF_THESE,
    Answers,
    LabelModel,
    Options,
    Prediction,
    Ranked,
    Task,
    collapse,
    control_label,
    patients_of,
    positive_label,
    rare_labels,
)
from anthropo.learning.model_readers import Meta, part, prefixed
from anthropo.learning.normality import OUTSIDE, WITHIN, NormalityModel
from anthropo.learning.profile import Profile
from anthropo.learning.splits import split
from anthropo.learning.subgroups import age_bands
from anthropo.measurement.registry import registry
from anthropo.settings import Settings

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder

Model = LabelModel | AttributeModel | NormalityModel
_KINDS: dict[str, type[Model]] = {
    "labels": LabelModel,
    "attributes": AttributeModel,
    "normality": NormalityModel,
}
BACKGROUND = "background"
_JUDGED = 3  # patients of a label that is trained: without one fold's there must be two
#: What is judged beside the model itself, so that a reader sees what each half and what leakage gives.
BASELINES = ("measurements", "regions", "metadata", BACKGROUND)


def fit_model(features: Features, options: Options, task: Task = "labels") -> Model:
    """Train a model of the task's kind.

    Raises
    ------
    InputError
        If the cohort or an option does not allow it.
    """
    return _KINDS[task].fit(features, options)


# ------------------------------------------------------------------------------------- the model file


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model with what has to be known to use it."""

    model: Model
    manifest: dict[str, Any]  # keys: anthropo.learning.bundle
    profile: Profile | None = None  # None: of models made before there were any

    @property
    def task(self) -> Task:
        """Kind of the model."""
        if isinstance(self.model, LabelModel):
            return "labels"
        return "attributes" if isinstance(self.model, AttributeModel) else "normality"

    @property
    def columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Regions and metadata columns that the model reads."""
        return tuple(self.manifest.get("regions") or ()), tuple(self.manifest.get("metadata") or ())

    @property
    def no_face(self) -> bool:
        """Whether it reads pictures without a face."""
        return (self.manifest.get("settings") or {}).get("no_face") is True

    def save(self, path: Path) -> None:
        """Write the model file, whole or not at all.

        Raises
        ------
        ModelError
            If it cannot be written.
        """
        meta, arrays = self.model.state()
        if self.profile is not None:
            meta["profile"], own = self.profile.state()
            arrays = arrays | prefixed(own, "profile/")
        write_bundle(path, Bundle({**self.manifest, "model": meta}, arrays, {}))

    @classmethod
    def load(cls, path: Path) -> Trained:
        """Read a model file.

        Raises
        ------
        ModelError
            If it is no model file, is damaged, or was made by a newer anthropo.
        """
        bundle = read_bundle(path)
        if "network" in bundle.manifest:
            raise ModelError(
                f"{path}: a network that `anthropo finetune` wrote, not a model with measurements. Give a "
                "file that `anthropo train` wrote; a network goes into it as `anthropo train --encoder`."
            )
        manifest = {key: value for key, value in bundle.manifest.items() if key != "model"}
        try:
            meta = bundle.manifest.get("model")
            kind = _KINDS.get(Meta(meta).text("task"))
            if kind is None:
                raise ModelError("it is of an unknown kind")
            said = Meta(bundle.manifest).mapping("model")
            profile = None
            if said.get("profile") is not None:
                profile = Profile.from_state(Meta(said).mapping("profile"), part(bundle.arrays, "profile/"))
            return cls(kind.from_state(said, bundle.arrays), manifest, profile)
        except ModelError as error:
            raise ModelError(
                f"{path}: the model does not fit together ({error}). Copy it again from where it was made, "
                "or train it again."
            ) from None

    def suits(self, encoder: Encoder, settings: Settings, path: str) -> None:
        """Refuse photos that are measured or encoded otherwise than the training photos.

        Raises
        ------
        ModelError
            If encoder, landmark weights, measurements or jitter differ.
        """
        wanted = self.manifest.get("encoder") or {}
        if wanted.get("digest") != encoder.digest:
            raise ModelError(
                f"{path}: trained with the encoder {wanted.get('name')} ({_short(wanted.get('digest'))}), "
                f"this one is {encoder.name} ({_short(encoder.digest)}). Give the same weights with "
                "--encoder-weights, or train the model again."
            )
        if self.no_face != settings.no_face:
            made = (
                "pictures without a face; look at these so" if self.no_face else "faces; leave --no-face out"
            )
            raise ModelError(f"{path}: trained on {made}, or use another model.")
        own = instrument(settings)
        for key, value in (self.manifest.get("settings") or {}).items():
            if key in own and own[key] != value:
                raise ModelError(
                    f"{path}: trained on photos measured with {key.replace('_', ' ')} {_short(value)}, these "
                    f"would be with {_short(own[key])}. Use the same options and version, or train again."
                )

    def answer(self, features: Features, *, pool: bool) -> Answers:
        """Answers for photos, or with `pool` for patients."""
        return self.model.answer(self.table(features), features.patients.tolist() if pool else None)

    def table(self, features: Features) -> Any:
        """The feature table of photos, with metadata that the model reads and nobody gave as missing."""
        missing = [name for name in self.columns[1] if name not in features.metadata]
        nothing: list[str | None] = [None] * len(features)
        blank: dict[str, Values] = dict.fromkeys(missing, nothing)
        return feature_frame(replace(features, metadata={**features.metadata, **blank}))

    def predict(self, features: Features, *, pool: bool = True) -> list[Prediction]:
        """What the model says of each patient, or without `pool` of each photo."""
        answers = self.answer(features, pool=pool)
        names = features.patients.tolist() if pool else [str(i) for i in range(len(features))]
        photos: dict[str, list[str]] = {}
        people: dict[str, str] = {}
        for name, photo, patient in zip(
            names, features.photos.tolist(), features.patients.tolist(), strict=True
        ):
            photos.setdefault(name, []).append(photo)
            people[name] = patient
        return [
            _prediction(answers, i, tuple(own), people[name]) for i, (name, own) in enumerate(photos.items())
        ]


def _short(value: Any) -> str:
    return str(value)[:12]


def _prediction(answers: Answers, i: int, photos: tuple[str, ...], patient: str) -> Prediction:
    order = np.argsort(-answers.probabilities[i], kind="stable")
    ranked = tuple(
        Ranked(
            answers.labels[c],
            float(answers.probabilities[i, c]),
            _number(answers.log_odds[i, c]),
            _number(answers.similarity[i, c]),
            bool(answers.sets[i, c]),
        )
        for c in order
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


def instrument(settings: Settings) -> dict[str, Any]:
    """What a measurement depends on beside the photo; the same in every run that makes equal numbers."""
    if settings.no_face:
        return {"no_face": True}
    definitions = [(name, e.unit, e.expression) for name, e in registry().items()]
    return {
        "landmark_weights": landmark_model(settings.landmark_model)[1],
        "fine_weights": fine_sha256() if settings.fine else "",
        "jitter": settings.jitter,
        "definitions": hashlib.sha256(json.dumps(definitions).encode()).hexdigest(),
    }


def make_trained(
    features: Features,
    options: Options,
    task: Task,
    encoder: Encoder,
    settings: Settings,
    *,
    source: Path | None = None,
    validation: Mapping[str, Any] | None = None,
    command: str = "",
) -> Trained:
    """Train on all photos and describe the result.

    Parameters
    ----------
    features : Features
        Of the cohort.
    options : Options
    task : {"labels", "attributes", "normality"}
    encoder : Encoder
        That made the features.
    settings : Settings
        That the photos were measured with.
    source : Path, optional
        The cohort's table; its hash is kept.
    validation : mapping, optional
        JSON of an `anthropo.learning.evaluation.Evaluation` from `cross_validate`.
    command : str
        That trained it, without folders.

    Raises
    ------
    InputError
        If the cohort or an option does not allow it.
    """
    model = fit_model(features, options, task)
    regions = list(options.regions or [r for r in features.regions if r != BACKGROUND])
    manifest: dict[str, Any] = {
        "task": _task_name(model, options, task),
        "labels": list(model.labels),
        "classifier": options.classifier,
        "balance": options.balance,
        "encoder": {
            "name": encoder.name, "digest": encoder.digest, "licence": encoder.licence,
            "commercial_use": encoder.commercial_use, "dimension": encoder.dimension, "size": encoder.size,
            "parameters": encoder.parameters,
        },
        "weights": _weights(settings),
        "regions": regions if "regions" in options.parts else [],
        "measurements": list(features.measurement_ids) if "measurements" in options.parts else [],
        "metadata": list(options.metadata) if task != "normality" else [],
        "metadata_kinds": {
            name: "number" if all(not isinstance(v, str) for v in features.metadata[name]) else "category"
            for name in options.metadata
        },
        "settings": _how(settings),
        "cohort": describe_cohort(
            features,
            features.labels if task == "attributes" else collapse(features.labels, options.positive)[0],
            several=task == "attributes",
            source=source,
        ),
        "command": command,
        "seed": options.seed,
        "libraries": {name: metadata.version(name) for name in ("numpy", "scikit-learn", "torch", "xgboost")},
        "python": sys.version.split()[0],
    }  # fmt: skip
    if seen := encoder.has_seen(features.digests.tolist()):
        manifest["encoder"]["seen"] = seen
    if settings.corrections:
        files = map(settings.corrections.of, features.photos.tolist(), features.digests.tolist())
        manifest["cohort"]["corrected"] = sum(map(bool, files))
    if isinstance(model, LabelModel):
        trained = model.trained
        controls = control_label(features.labels, options.controls)
        manifest["positive"] = positive_label(model.labels, options.positive, controls)
        manifest["controls"] = controls
        cost = np.asarray(model.classifier.cost)
        manifest["cost"] = {
            a: {b: float(cost[i, j]) for j, b in enumerate(trained)} for i, a in enumerate(trained)
        }
        manifest["conformal"] = {"error": options.error_rate}
        manifest["novelty"] = {"specificity": 1 - options.alarm}
        if model.gallery is not None:
            counts = Counter(model.gallery.owner.tolist())
            manifest["gallery"] = {label: counts[c] for c, label in enumerate(model.gallery.labels)}
    if isinstance(model, NormalityModel):
        manifest["controls"] = control_label(features.labels, options.controls)
        manifest["operating_point"] = {"rule": f"specificity {options.specificity:g} among controls"}
    if validation is not None:
        manifest["validation"] = {
            "method": "cross-validation by patient",
            "n_photos": validation["n_photos"],
            "n_patients": validation["n_patients"],
            "prevalence": validation["prevalence"],
            "models": validation["models"],
        }
    if isinstance(model, LabelModel):
        point = {"rule": "least expected cost", "threshold": _threshold(model, manifest["positive"])}
        if validation is not None:
            own = validation["models"][validation["main"]]
            point |= {name: own[name] for name in ("sensitivity", "specificity")}
        manifest["operating_point"] = point
    return Trained(model, manifest, Profile.fit(features, _groups(features, options, task)))


def _groups(features: Features, options: Options, task: Task) -> list[tuple[str, ...]]:
    """Whose profile each photo belongs to."""
    if task == "attributes":
        return [split_labels(label) or (NO_ATTRIBUTE,) for label in features.labels.tolist()]
    if task == "normality":
        controls = control_label(features.labels, options.controls)
        return [(WITHIN,) if label == controls else () for label in features.labels.tolist()]
    return [(label,) for label in collapse(features.labels, options.positive)[0].tolist()]


def _threshold(model: LabelModel, positive: str | None) -> float | None:
    """Probability of the positive one of two labels from which on it is decided for."""
    if positive is None or len(model.trained) != 2:
        return None
    cost = np.asarray(model.classifier.cost)
    p = model.trained.index(positive)
    other = 1 - p
    missed, raised = cost[p, other] - cost[p, p], cost[other, p] - cost[other, other]
    return float(raised / (missed + raised)) if missed + raised > 0 else None


def _task_name(model: Model, options: Options, task: Task) -> str:
    if task != "labels":
        return "multilabel" if task == "attributes" else "normality"
    if options.positive is not None and "others" in model.labels:
        return "one-vs-rest"
    return "binary" if len(model.labels) == 2 else "multiclass"


def _how(settings: Settings) -> dict[str, Any]:
    found = {} if settings.no_face else {"face": settings.face, "fine": settings.fine}
    return {**found, **instrument(settings)}


def _weights(settings: Settings) -> list[dict[str, Any]]:
    if settings.no_face:
        return []
    used = {"landmarks-68"} if settings.landmark_model is None else set()
    used |= {"fine-landmarks"} if settings.fine else set()
    return [
        {"name": w.name, "digest": w.sha256, "licence": w.licence, "commercial_use": w.commercial_use}
        for w in KNOWN
        if w.name in used
    ]


def describe_cohort(
    features: Features, labels: NDArray[np.str_], *, several: bool = False, source: Path | None = None
) -> dict[str, Any]:
    """The cohort in counts, as a manifest has it: no name of a photo or patient.

    Parameters
    ----------
    features : Features
    labels : ndarray of str, (n,)
        What the photos are counted by.
    several : bool
        A label is a list of attributes, ``a; b``.
    source : Path, optional
        The cohort's table; its hash is kept.
    """
    photos: Counter[str] = Counter()
    people: dict[str, set[str]] = {}
    for label, patient in zip(labels.tolist(), features.patients.tolist(), strict=True):
        for own in split_labels(label) if several else (label,):
            photos[own] += 1
            people.setdefault(own, set()).add(patient)
    subgroups: dict[str, dict[str, int]] = {}
    for name in ("sex", "age"):
        if name in features.metadata:
            values: Sequence[Any] = features.metadata[name]
            said = age_bands(values) if name == "age" else [str(v) if v else "not given" for v in values]
            who: dict[str, set[str]] = {}
            for value, patient in zip(said, features.patients.tolist(), strict=True):
                who.setdefault(value, set()).add(patient)
            subgroups[name] = {value: len(own) for value, own in sorted(who.items())}
    return {
        "photos": len(features),
        "patients": len(set(features.patients.tolist())),
        "left_out": len(features.left_out),
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest() if source and source.is_file() else None,
        "labels": {own: {"photos": photos[own], "patients": len(people[own])} for own in sorted(photos)},
        "subgroups": subgroups,
    }


# ------------------------------------------------------------------------------------------- judging


def variants(features: Features, options: Options, task: Task = "labels") -> dict[str, Options]:
    """The model itself and its baselines: each half, metadata and background alone."""
    own = tuple(options.regions or [r for r in features.regions if r != BACKGROUND])
    lean = replace(options, regions=own, lean=True)
    found = {"hybrid": replace(options, regions=own)}
    if features.measurement_ids:
        found["measurements"] = replace(lean, parts=frozenset({"measurements"}))
    if features.measurement_ids or options.metadata:  # else the model is that already
        found["regions"] = replace(lean, parts=frozenset({"regions"}))
    if features.metadata and task != "normality":  # distance to normal is of faces
        found["metadata"] = replace(lean, parts=frozenset({"metadata"}), metadata=tuple(features.metadata))
    if BACKGROUND in features.regions:
        found[BACKGROUND] = replace(lean, parts=frozenset({"regions"}), regions=(BACKGROUND,))
    return found


def cross_validate(
    features: Features,
    options: Options,
    task: Task = "labels",
    *,
    folds: int = 5,
    baselines: bool = True,
    jobs: int = 1,
    on_progress: Callable[[], None] | None = None,
) -> tuple[dict[str, dict[str, Judged]], tuple[str, ...]]:
    """Judge how a model of these options does on patients it has not seen.

    Parameters
    ----------
    features : Features
    options : Options
    task : {"labels", "attributes", "normality"}
    folds : int
    baselines : bool
        Judge measurements, regions, metadata and background alone as well.
    jobs : int
        Threads; the result does not depend on them.
    on_progress : callable, optional
        Called `steps` times.

    Returns
    -------
    judged : dict of dict of Judged
        By attribute (one that is named "" for other tasks), then by model.
    notes : tuple of str

    Raises
    ------
    InputError
        If the cohort or an option does not allow it.
    """
    labels: Any = features.labels.tolist()
    if task == "attributes":
        labels = [split_labels(label) for label in labels]
    elif task == "labels":
        labels = collapse(features.labels, options.positive)[0].tolist()
        named = np.array(labels, dtype=object)
        # of the whole cohort, so that each fold's model is of the kind that will be trained on all
        options = replace(options, rare=rare_labels(named, features.patients, options.min_patients))
        few = [
            f"{label} ({n})"
            for label, n in patients_of(named, features.patients).items()
            if n < _JUDGED and label not in (options.rare or ())
        ]
        if few:
            raise InputError(
                f"Too few patients to be judged by cross-validation, which needs {_JUDGED} of each label: "
                f"{some(few)}. Add patients, or train with --no-judge."
            )
    dealt = split(labels, features.patients.tolist(), folds, options.seed)
    wanted = variants(features, options, task) if baselines else {"hybrid": options}

    def work(own: Options, fold: int) -> tuple[NDArray[np.intp], Answers]:
        out = dealt.index == fold
        model = fit_model(subset(features, ~out), own, task)
        return np.flatnonzero(out), model.answer(feature_frame(subset(features, out)))

    judged: dict[str, dict[str, Judged]] = {}
    pool = ThreadPoolExecutor(max(1, jobs))
    try:
        begun = {
            name: [pool.submit(work, own, fold) for fold in range(dealt.number)]
            for name, own in wanted.items()
        }
        for name, futures in begun.items():
            answers = []
            for future in futures:
                answers.append(future.result())
                if on_progress:
                    on_progress()
            for about, one in _judged(answers, features, options, task).items():
                judged.setdefault(about, {})[name] = one
    finally:
        pool.shutdown(cancel_futures=True)
    return judged, dealt.notes


def steps(features: Features, options: Options, task: Task, folds: int, baselines: bool) -> int:
    """How often `cross_validate` reports progress, at most."""
    return folds * (len(variants(features, options, task)) if baselines else 1)


def judge_trained(trained: Trained, features: Features, *, pool: bool = False) -> dict[str, Judged]:
    """What a trained model answers on a cohort of other people, by attribute ("" for other tasks).

    Photos with a label that the model does not know are left out.

    Raises
    ------
    InputError
        If no photo has a label that the model knows.
    """
    task = trained.task
    options = Options(controls=trained.manifest.get("controls"))
    keep: NDArray[np.bool_] = np.ones(len(features), dtype=bool)
    if task == "labels":
        known = set(trained.model.labels)
        labels = features.labels.astype(object)
        if trained.manifest.get("task") == "one-vs-rest":
            labels = np.where(np.isin(labels, list(known)), labels, "others").astype(object)
        keep = np.isin(labels, list(known))
        features = replace(features, labels=labels.astype(str))
        if not keep.any():
            raise InputError(f"No photo has a label of the model. Its labels are {', '.join(sorted(known))}.")
    features = subset(features, keep)
    answers = trained.answer(features, pool=False)
    return _judged([(np.arange(len(features)), answers)], features, options, task)


def _judged(
    answers: Sequence[tuple[Any, Answers]], features: Features, options: Options, task: Task
) -> dict[str, Judged]:
    n = len(features)
    if task == "attributes":
        names = sorted({name for _, a in answers for name in a.labels})
        found = {}
        for name in names:
            probability, decided = np.full(n, np.nan), np.zeros(n, dtype=np.int64)
            inside = np.zeros((n, 2), dtype=bool)
            for rows, a in answers:
                if name in a.labels and a.several is not None:
                    at = a.labels.index(name)
                    probability[rows], decided[rows] = a.probabilities[:, at], a.several[:, at]
                    inside[rows] = a.pair_sets[:, at] if a.pair_sets is not None else False
            seen = np.isfinite(probability)
            truth = np.array([name in split_labels(label) for label in features.labels], dtype=np.int64)
            both = np.column_stack([1 - probability, probability])
            found[name] = Judged(
                (ABSENT, PRESENT),
                truth[seen],
                both[seen],
                features.patients[seen],
                decided[seen],
                inside[seen],
            )
        return found
    if task == "normality":
        controls = control_label(features.labels, options.controls)
        labels: Any = np.where(features.labels == controls, WITHIN, OUTSIDE)
        names = [WITHIN, OUTSIDE]
    else:
        labels = collapse(features.labels, options.positive)[0]
        names = sorted({*labels.tolist(), *(name for _, a in answers for name in a.labels)})
    k = len(names)
    proba, sets = np.zeros((n, k)), np.zeros((n, k), dtype=bool)
    decision = np.full(n, -1, dtype=np.int64)
    for rows, a in answers:
        place = np.array([names.index(name) for name in a.labels])
        proba[np.ix_(rows, place)] = a.probabilities
        sets[np.ix_(rows, place)] = a.sets
        decision[rows] = np.where(a.decision >= 0, place[np.maximum(a.decision, 0)], -1)
    truth = np.array([names.index(label) for label in labels.tolist()], dtype=np.int64)
    return {"": Judged(tuple(names), truth, proba, features.patients, decision, sets, task == "normality")}
