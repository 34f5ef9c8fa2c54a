"""Training on a cohort, and the description of the model that comes of it."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anthropo.adaptation.names import NEED_TARGET
from anthropo.encoder.several import each_of
from anthropo.face import weights as face
from anthropo.files import file_sha256
from anthropo.learning.attributes import NO_ATTRIBUTE, AttributeModel
from anthropo.learning.cohort import split_labels
from anthropo.learning.domains import Domains, marked
from anthropo.learning.evaluation import Evaluation
from anthropo.learning.features import BACKGROUND, Features, subset
from anthropo.learning.identity import SamePeople
from anthropo.learning.manifest import (
    Adaptation,
    Conformal,
    Counts,
    EncoderWeights,
    Manifest,
    NoveltyRule,
    OperatingPoint,
    Refits,
    SamePersonCheck,
    TrainingCohort,
    Validation,
    WeightsRecord,
)
from anthropo.learning.model import (
    OTHERS,
    LabelModel,
    Options,
    Task,
    collapse,
    control_label,
    design,
    positive_label,
)
from anthropo.learning.normality import WITHIN, NormalityModel
from anthropo.learning.profile import Profile
from anthropo.learning.refits import TOP, KeptRefit, overlap, some_rows
from anthropo.learning.subgroups import NOT_GIVEN, age_bands
from anthropo.learning.trained import MODELS, Model, Trained, instrument
from anthropo.measurement.registry import registry
from anthropo.settings import Settings

if TYPE_CHECKING:
    from anthropo.encoder.encoders import Encoder
    from anthropo.encoder.several import AnyEncoder


def fit_model(features: Features, options: Options, task: Task = "labels") -> Model:
    """A model of the task's kind, trained on all photos."""
    return MODELS[task].fit(features, options)


def make_trained(
    features: Features,
    options: Options,
    task: Task,
    encoder: AnyEncoder,
    settings: Settings,
    *,
    target: Features | None = None,
    column: str | None = None,
    source: Path | None = None,
    people: SamePeople | None = None,
    evaluations: Sequence[Evaluation] = (),
    refits: Sequence[KeptRefit] = (),
    model: Model | None = None,
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
    target : Features, optional
        Photos of the clinic where the model will be used, of unknown labels, to which ``options.adapt``
        brings those of training.
    column : str, optional
        That the photos' sites come from.
    source : Path, optional
        The cohort's table; its hash is kept.
    people : SamePeople, optional
        What was found of people under several names, and done about it.
    evaluations : sequence of Evaluation
        Of a cross-validation with these options: one, or one per attribute.
    refits : sequence of KeptRefit
        Of the same cross-validation; without them contributions have no range.
    model : LabelModel, AttributeModel or NormalityModel, optional
        With these options, if the cross-validation has fitted it to all photos as well.
    command : str
        That trained it, without folders.

    Returns
    -------
    Trained
        The model, its description and the profiles of its labels.

    Raises
    ------
    InputError
        If there is too little to learn from, or an option does not fit the cohort.

    Examples
    --------
    >>> import numpy as np
    >>> import anthropo
    >>> from anthropo.learning import Features
    >>> names = np.array([f"p{i}" for i in range(40)])
    >>> features = Features(
    ...     photos=names, patients=names, digests=names, labels=np.repeat(["affected", "control"], 20),
    ...     measurements=np.arange(40.0)[:, None], measurement_ids=("nasal_index",), regions={}, metadata={},
    ...     prints=np.zeros((40, 625), np.float32),
    ... )
    >>> options = anthropo.Options(classifier="svm", parts=frozenset({"measurements"}))
    >>> encoder, settings = anthropo.load_encoder(), anthropo.Settings()
    >>> trained = anthropo.make_trained(features, options, "labels", encoder, settings)
    >>> trained.predict(features)[0].decision
    'affected'
    """
    domains = None
    if options.adapt != "none":
        features = marked(features)
        domains = Domains.fit(_read(features, options), options.adapt, target)
        counted = _domains(features, options, target, column)
        features = domains.apply(features)
    model = model or fit_model(features, options, task)
    if not isinstance(model, NormalityModel):
        model = model.refitted(refits)
    labels = features.labels if task == "attributes" else collapse(features.labels, options.positive)
    corrected = None
    if settings.corrections:
        files = map(settings.corrections.of, features.photos.tolist(), features.digests.tolist())
        corrected = sum(map(bool, files))
    several = task == "attributes"
    manifest = replace(
        _inputs(model, features, options, task, encoder, settings),
        cohort=describe_cohort(
            features, labels, several=several, source=source, people=people, corrected=corrected
        ),
        command=command,
        seed=options.seed,
        libraries={name: metadata.version(name) for name in _libraries(options)},
        python=sys.version.split()[0],
        validation=_validation(evaluations),
        refits=_refits(model, refits, features, options),
        adaptation=Adaptation() if domains is None else counted,
    )
    manifest = _decision(manifest, model, features, options, evaluations)
    return Trained(model, manifest, Profile.fit(features, _groups(features, options, task)), domains)


def _libraries(options: Options) -> tuple[str, ...]:
    """Those that a model's numbers come from."""
    made_by = ("skada", "POT") if options.adapt in NEED_TARGET else ()
    return ("numpy", "scikit-learn", "torch", "xgboost", *made_by)


def _read(features: Features, options: Options) -> Features:
    """The photos with nothing but what the model reads."""
    regions = options.regions or tuple(r for r in features.regions if r != BACKGROUND)
    kept = {name: of for name, of in features.regions.items() if name in regions}
    read = replace(features, regions=kept if "regions" in options.parts else {})
    if "measurements" in options.parts:
        return read
    return replace(read, measurements=features.measurements[:, :0], measurement_ids=())


def _domains(features: Features, options: Options, target: Features | None, column: str | None) -> Adaptation:
    """What a manifest says of the sites that are brought to each other or to a target."""

    def counts(of: Features) -> Counts:
        return Counts(photos=len(of), patients=len(set(of.patients.tolist())))

    sites: Any = features.sites
    return Adaptation(
        method=options.adapt,
        column=column,
        sites={name: counts(subset(features, sites == name)) for name in sorted(set(sites.tolist()))},
        target=Counts() if target is None else counts(target),
    )


def _inputs(
    model: Model, features: Features, options: Options, task: Task, encoder: AnyEncoder, settings: Settings
) -> Manifest:
    """What a manifest says about labels, classifier and everything that the model reads."""
    regions = options.regions or tuple(r for r in features.regions if r != BACKGROUND)
    measured, encoders = instrument(settings), tuple(_described(one, features) for one in each_of(encoder))
    if not settings.no_face:
        measured = replace(measured, face=settings.face, fine=settings.fine)
    measurements = tuple(features.measurement_ids) if "measurements" in options.parts else ()
    return Manifest(
        task=_task_name(model, options, task),
        labels=tuple(model.labels),
        classifier=options.classifier,
        balance=options.balance,
        missing=options.missing if measurements and task != "normality" else None,
        encoder=encoders[0],
        more_encoders=encoders[1:],
        weights=landmark_weights(settings),
        regions=tuple(regions) if "regions" in options.parts else (),
        measurements=measurements,
        own_measurements=tuple(one for one in registry.definitions if one.id in measurements),
        metadata=tuple(options.metadata) if task != "normality" else (),
        metadata_kinds={
            name: "number" if all(not isinstance(v, str) for v in features.metadata[name]) else "category"
            for name in options.metadata
        },
        settings=measured,
    )


def _validation(evaluations: Sequence[Evaluation]) -> Validation:
    """Figures that are kept: of one question those of all models, of attributes the main model's of each."""
    if not evaluations:
        return Validation()
    first = evaluations[0]
    figures = first.models
    if first.attribute is not None:
        figures = {str(made.attribute): made.figures for made in evaluations}
    return Validation(
        method="cross-validation by patient",
        n_photos=first.n_photos,
        n_patients=first.n_patients,
        prevalence=first.prevalence,
        models=figures,
    )


def _refits(model: Model, kept: Sequence[KeptRefit], features: Features, options: Options) -> Refits:
    """How many refits there are, and how alike their first measurements are; of attributes the mean."""
    if isinstance(model, NormalityModel) or not model.refits:
        return Refits()
    table = some_rows(design(features, options))
    if isinstance(model, AttributeModel):
        again = [
            dict(zip(one.labels, zip(one.classifiers, one.tables(table), strict=True), strict=True))
            for one in model.refits
        ]
        each = zip(model.labels, model.classifiers, model.tables(table), strict=True)
        shares = [overlap(c, t, [of[name] for of in again if name in of]) for name, c, t in each]
    else:
        shares = [overlap(model.classifier, table, [(one, table) for one in model.refits])]
    known = [share for share in shares if share is not None]
    alike = float(np.mean(known)) if known else None
    without = float(np.mean([one.without for one in kept]))
    return Refits(number=len(model.refits), without=without, top=TOP if known else None, overlap=alike)


def _decision(
    manifest: Manifest,
    model: Model,
    features: Features,
    options: Options,
    evaluations: Sequence[Evaluation],
) -> Manifest:
    """The manifest with what it says about how the model decides."""
    if isinstance(model, AttributeModel):
        return manifest
    controls = control_label(features.labels, options.controls)
    if isinstance(model, NormalityModel):
        rule = f"specificity {options.specificity:g} among controls"
        return replace(manifest, controls=controls, operating_point=OperatingPoint(rule=rule))
    positive = positive_label(model.labels, options.positive, controls)
    figures = evaluations[0].figures if evaluations else {}
    costs = zip(model.trained, np.asarray(model.classifier.cost).tolist(), strict=True)
    gallery = {}
    if model.gallery is not None:
        patients = Counter(model.gallery.owner.tolist())
        gallery = {label: patients[c] for c, label in enumerate(model.gallery.labels)}
    return replace(
        manifest,
        positive=positive,
        controls=controls,
        cost={label: dict(zip(model.trained, row, strict=True)) for label, row in costs},
        conformal=Conformal(error=options.error_rate),
        novelty=NoveltyRule(specificity=1 - options.alarm),
        operating_point=OperatingPoint(
            rule="least expected cost",
            threshold=_threshold(model, positive),
            sensitivity=figures.get("sensitivity"),
            specificity=figures.get("specificity"),
        ),
        gallery=gallery,
    )


def _groups(features: Features, options: Options, task: Task) -> list[tuple[str, ...]]:
    """Labels whose profile each photo belongs to."""
    if task == "attributes":
        return [split_labels(label) or (NO_ATTRIBUTE,) for label in features.labels.tolist()]
    if task == "normality":
        controls = control_label(features.labels, options.controls)
        return [(WITHIN,) if label == controls else () for label in features.labels.tolist()]
    return [(label,) for label in collapse(features.labels, options.positive).tolist()]


def _threshold(model: LabelModel, positive: str | None) -> float | None:
    """Probability of the positive one of two labels from which on it is decided for."""
    if positive is None or len(model.trained) != 2:
        return None
    cost = np.asarray(model.classifier.cost)
    p = model.trained.index(positive)
    other = 1 - p
    missed, raised = cost[p, other] - cost[p, p], cost[other, p] - cost[other, other]
    return float(raised / (missed + raised)) if missed + raised > 0 else None


def _described(encoder: Encoder, features: Features) -> EncoderWeights:
    """An encoder as a manifest has it; of files without their folders."""
    return EncoderWeights(
        name=encoder.name,
        digest=encoder.digest,
        licence=encoder.licence,
        commercial_use=encoder.commercial_use,
        data=encoder.data,
        permissive=encoder.permissive,
        dimension=encoder.dimension,
        size=encoder.size,
        parameters=encoder.parameters,
        seen=encoder.has_seen(features.digests.tolist()),
        align=encoder.align,
        grey=encoder.grey,
    )


def _task_name(model: Model, options: Options, task: Task) -> str:
    if task != "labels":
        return "multilabel" if task == "attributes" else "normality"
    if options.positive is not None and OTHERS in model.labels:
        return "one-vs-rest"
    return "binary" if len(model.labels) == 2 else "multiclass"


def landmark_weights(settings: Settings) -> tuple[WeightsRecord, ...]:
    """The weights that landmarks were found and judged with, as a manifest lists them."""
    if settings.no_face:
        return ()
    used = {
        "landmarks-68": settings.landmark_model is None,
        "fine-landmarks": settings.fine,
        "visibility": True,
    }
    return tuple(weights_entry(w) for w in face.KNOWN if used.get(w.name))


def weights_entry(weights: face.Weights) -> WeightsRecord:
    """Packaged weights as a manifest lists them."""
    return WeightsRecord(
        name=weights.name,
        digest=weights.sha256,
        licence=weights.licence,
        commercial_use=weights.commercial_use,
        data=weights.data,
        permissive=weights.permissive,
    )


def _identity(people: SamePeople) -> SamePersonCheck:
    """What is kept of people under several names: no name of anybody."""
    if not people.looked:
        return SamePersonCheck()
    return SamePersonCheck(how=people.how, pairs=len(people.pairs), joined=people.joined)


def describe_cohort(
    features: Features,
    labels: NDArray[np.str_],
    *,
    several: bool = False,
    source: Path | None = None,
    people: SamePeople | None = None,
    corrected: int | None = None,
) -> TrainingCohort:
    """The cohort in counts, as a manifest has it: no name of a photo or patient.

    Photos are counted by `labels`, of which each is a list of attributes, ``a; b``, if there are `several`;
    `corrected` of them have landmarks that were placed by hand.
    """
    owners = features.patients.tolist()
    n_photos: Counter[str] = Counter()
    patients = defaultdict(set)
    for cell, patient in zip(labels.tolist(), owners, strict=True):
        for label in split_labels(cell) if several else (cell,):
            n_photos[label] += 1
            patients[label].add(patient)
    subgroups: dict[str, dict[str, int]] = {}
    for name in ("sex", "age"):
        if name in features.metadata:
            values: Sequence[Any] = features.metadata[name]
            bands = age_bands(values) if name == "age" else [str(v) if v else NOT_GIVEN for v in values]
            counts = Counter(band for band, _ in set(zip(bands, owners, strict=True)))
            subgroups[name] = dict(sorted(counts.items()))
    return TrainingCohort(
        photos=len(features),
        patients=len(set(owners)),
        left_out=len(features.left_out),
        corrected=corrected,
        same_person=_identity(people) if people else SamePersonCheck(),
        sha256=file_sha256(source) if source and source.is_file() else None,
        labels={
            label: Counts(photos=n_photos[label], patients=len(patients[label])) for label in sorted(n_photos)
        },
        subgroups=subgroups,
    )
