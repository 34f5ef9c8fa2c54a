"""Training on a cohort, and the description of the model that comes of it."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.face.weights import KNOWN
from anthropo.learning.attributes import NO_ATTRIBUTE, split_labels
from anthropo.learning.features import Features
from anthropo.learning.subgroups import age_bands
from anthropo.learning.model import LabelModel, Options, Task, collapse, control_label, positive_label
from anthropo.learning.normality import WITHIN, NormalityModel
from anthropo.learning.profile import Profile
from anthropo.learning.trained import MODELS, Model, Trained, instrument
from anthropo.settings import Settings

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder

BACKGROUND = "background"


def fit_model(features: Features, options: Options, task: Task = "labels") -> Model:
    """Train a model of the task's kind.

    Raises
    ------
    InputError
        If the cohort or an option does not allow it.
    """
    return MODELS[task].fit(features, options)


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
        The document of `anthropo.report.evaluation.document` from `cross_validate`.
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
