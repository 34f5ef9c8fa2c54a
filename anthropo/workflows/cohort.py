"""From a cohort's photographs to features: how photos are read, and what is checked before any training."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anthropo.decoding.limits import DEADLINE, MAX_MEGAPIXELS
from anthropo.encoder.cache import Store
from anthropo.encoder.several import AT, AnyEncoder, Encoders, each_of, plain_region
from anthropo.errors import InputError, ModelError, parameter
from anthropo.files import cache_folder
from anthropo.learning.cohort import Cohort, Finding, read_cohort
from anthropo.learning.cohort_checks import by_level, check, validate
from anthropo.learning.cost import parse_cost
from anthropo.learning.features import BACKGROUND, Features, extract
from anthropo.learning.identity import SamePeople, resolve_people, same_person_choice
from anthropo.learning.manifest import PhotoSettings
from anthropo.measurement.landmark_file import Corrections
from anthropo.observation import Observation
from anthropo.parallel.runner import Runner, available_cores
from anthropo.photo import Photo
from anthropo.settings import Settings
from anthropo.showing import brief, given
from anthropo.workflows.encoders import FACE_ENCODER, chosen_regions, is_network_file, named_encoder
from anthropo.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from anthropo.learning.matching import Matched
    from anthropo.learning.model import Options, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoReading:
    """How photographs are read by what learns or uses a model, which needs one face per photo.

    None means: as the model was trained, where there is one, else as `anthropo measure` does.

    Parameters
    ----------
    face : {"one", "largest"}, optional
        With several faces: refuse the photo, or take the largest.
    jitter : int, optional
        Evaluations of the landmark model per face: 1, or an even number up to 256.
    fine : bool, optional
        Whether the landmarks are refined in patches.
    landmark_model : path, optional
        Another landmark model of the 68 points: of `train_landmarks`, or a dlib shape predictor.
    detector_model : path, optional
        YuNet in an ONNX file as the second face detector.
    distance : str or float, optional
        Of the camera from the face, as for `anthropo.Settings`.
    face_at : str, optional
        Take the face at this place of the photo, as for `anthropo.Settings`.
    landmarks : path, optional
        Landmarks that were corrected by hand: a file or a folder of files.
    no_face : bool
        Whether the photos show something else than faces, whose middle square is encoded.
    max_megapixels : float
        Larger photographs are refused.
    deadline : float
        Seconds of computing that decoding a photograph may take.
    jobs : int
        Photos that are worked on at once.
    runner : Runner, optional
        Who works on them; chosen by `jobs` when left out.
    cache : path or "none", optional
        Folder for measurements and embeddings of photos, which are biometric data.

    Examples
    --------
    >>> from anthropo import PhotoReading
    >>> PhotoReading(face="largest", jobs=2, cache="none").jitter  # as the model was trained
    """

    face: str | None = None
    jitter: int | None = None
    fine: bool | None = None
    landmark_model: str | None = None
    detector_model: str | None = None
    landmarks: str | None = None
    distance: str | float | None = None
    face_at: str | None = None
    no_face: bool = False
    max_megapixels: float = MAX_MEGAPIXELS
    deadline: float = DEADLINE
    jobs: int = field(default_factory=available_cores)
    runner: Runner | None = None
    cache: str | None = None

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortRequest:
    """What all requests about a cohort have."""

    reading: PhotoReading = field(default_factory=PhotoReading)


_ABOUT_FACES = ("landmark_model", "detector_model", "landmarks", "distance", "face_at")
_VALID: dict[str, Callable[[Any], bool]] = {
    "face": lambda value: value in ("one", "largest"),
    "jitter": lambda value: type(value) is int and (value == 1 or value in range(2, 257, 2)),
    "fine": lambda value: type(value) is bool,
}


def settings_for(
    reading: PhotoReading, trained: PhotoSettings | None = None, photos: Sequence[str] = ()
) -> Settings:
    """The settings of measuring: as asked for, else as in training (`trained`), else the defaults.

    Landmarks that were corrected of these `photos` are among them.
    """
    chosen = {name: value for name in _VALID if (value := getattr(reading, name)) is not None}
    trained = trained or PhotoSettings()
    if reading.no_face or trained.no_face:
        for name in (*chosen, *(name for name in _ABOUT_FACES if getattr(reading, name))):
            given = f"{parameter('no_face', True)} was given"
            why = given if reading.no_face else "the model reads pictures without one"
            raise InputError(f"{parameter(name)} is about faces, and {why}. Leave it out.")
        return Settings(max_megapixels=reading.max_megapixels, deadline=reading.deadline, no_face=True)
    for name, valid in _VALID.items():
        if (value := getattr(trained, name)) is not None and name not in chosen:
            if not valid(value):
                raise ModelError(f"The model's setting {name} is damaged. Train it again.")
            chosen[name] = value
    settings = Settings(
        landmark_model=reading.landmark_model,
        detector_model=reading.detector_model,
        distance=reading.distance,
        face_at=reading.face_at,
        max_megapixels=reading.max_megapixels,
        deadline=reading.deadline,
        **chosen,
    )
    settings.fingerprint()  # settings that cannot be used are one error, not one per photo
    if reading.landmarks and photos:
        settings = replace(settings, corrections=Corrections(reading.landmarks, photos))
    return settings


def store_of(cache: str | None) -> Store | None:
    """Where what is known of photos is kept; None where nothing is to be."""
    if cache == "none":
        return None
    folder = Path(cache) if cache else cache_folder() / "features"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{parameter('cache', cache)}: a file, not a folder. Name a folder, or none.")
    return Store(folder)


def read_features(
    cohort: Cohort,
    reading: PhotoReading,
    settings: Settings,
    encoder: AnyEncoder,
    regions: Sequence[str],
    *,
    background: bool = False,
    observed: Mapping[str, Observation | Photo] | None = None,
    identify: bool = True,
    progress: Progress = silent,
) -> Features:
    """Measurements and embeddings of a cohort's photos, from the cache where they are there.

    With `background` also the embedding of what is around the face, where there is one and the encoder can.
    Photos that are `observed` already are not read again. Without `identify`, people are not told apart.
    """
    if background and not settings.no_face:
        regions = (*regions, *_background(encoder))
    with progress(len(cohort.cases), "measuring") as advance:
        features = extract(
            cohort,
            settings,
            encoder,
            regions=regions,
            jobs=reading.jobs,
            runner=reading.runner,
            store=store_of(reading.cache),
            observed=observed,
            identify=identify,
            on_progress=advance,
        )
    return _one_background(features) if isinstance(encoder, Encoders) else features


def _background(encoder: AnyEncoder) -> tuple[str, ...]:
    """What the embedding of what is around the face is called, of each encoder that sees it."""
    seeing = [one.name for one in each_of(encoder) if not one.views]
    if isinstance(encoder, Encoders):
        return tuple(f"{BACKGROUND}{AT}{name}" for name in seeing)
    return (BACKGROUND,) if seeing else ()


def _one_background(features: Features) -> Features:
    """The features with the background as the first encoder sees it, which is no region of a model."""
    regions = {name: of for name, of in features.regions.items() if plain_region(name) != BACKGROUND}
    for name, of in features.regions.items():
        if plain_region(name) == BACKGROUND:
            regions.setdefault(BACKGROUND, of)
    return replace(features, regions=regions)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingRequest(CohortRequest):
    """What requests have that look at the faces of a cohort as an encoder does."""

    encoder: str = FACE_ENCODER
    encoder_weights: str | None = None
    seed: int = 0

    def encode(self, cohort: Cohort, progress: Progress = silent) -> Encoded:
        """Encode the regions of training, whose cache is used again."""
        settings = settings_for(self.reading, photos=[case.photo for case in cohort.cases])
        encoder = named_encoder(self.encoder, self.encoder_weights, None, None, settings)
        regions = chosen_regions(encoder, (), settings.no_face)
        features = read_features(
            cohort, self.reading, settings, encoder, regions, background=True, progress=progress
        )
        return Encoded(features=features, encoder=encoder, settings=settings)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """The features of a cohort's photos, and what they were made with."""

    features: Features
    encoder: AnyEncoder
    settings: Settings


def _default_options() -> Options:
    from anthropo.learning.model import Options

    return Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest(CohortRequest):
    """What is to be learned from a cohort, and how.

    Parameters
    ----------
    options : Options
        Of the classifier.
    task : {"labels", "attributes", "normality"}
        One label per photo; several attributes, as in ``ptosis; long philtrum``; or the distance to the
        healthy people whose label is ``options.controls``.
    encoder : str, optional
        "face-resnet", "efficientnet-lite0", "timm:NAME", "onnx:FILE" or the file of a network; several with
        commas, whose regions each have a score of their own. With photos of faces the first is the default,
        else the second.
    encoder_weights : path, optional
        The encoder's weights, if they do not come with anthropo.
    tta : {"mirror", "mirror+grey"}, optional
        Test-time augmentation: embeddings are averaged over the picture and its mirror image, as is the
        default, or over both without their colours as well.
    align : {"canonical", "two-point", "none"}, optional
        How a face is brought to the encoder's frame: by its inner landmarks, as is the default, by the
        middles of the eyes, or by the detector's box alone.
    allow_duplicates : bool
        Whether one photograph may be under different patients.
    same_person : {"merge", "refuse", "ignore"}, optional
        What to do where faces say that two patients are one person: count them as one, refuse the cohort, or
        leave them. Merge when left out; with `allow_duplicates` nobody is looked for then.
    trained_on : path, optional
        The cohort that a network was trained on, which is the encoder: whoever is in both is warned of.
    folds : int
        Of the cross-validation; all photos of a patient are in the same.
    repeats : int, optional
        How often patients are dealt to folds. Left out: 3 times below 200 patients, else twice.
    match : sequence of str
        Columns, such as age and sex, in which each case gets a control who is alike; the others are left out.
    domain : str, optional
        The column that names the site of each photo, such as its clinic, for ``options.adapt``. Left out: the
        column `site`, where there is one.
    target : path, optional
        Photos of the clinic where the model will be used, to which ``options.adapt`` brings those of
        training: a file, folder, pattern or table. Their labels are not needed, and not read.
    reading : PhotoReading
        How the photos are read.

    Examples
    --------
    >>> from anthropo import Options, PhotoReading, TrainRequest
    >>> request = TrainRequest(options=Options(cost="miss=5"), reading=PhotoReading(face="largest"))
    >>> request.task, request.folds
    ('labels', 5)
    """

    options: Options = field(default_factory=_default_options)
    task: Task = "labels"
    encoder: str | None = None
    encoder_weights: str | None = None
    align: str | None = None
    tta: str | None = None
    allow_duplicates: bool = False
    same_person: str | None = None
    trained_on: str | None = None
    folds: int = 5
    repeats: int | None = None
    match: tuple[str, ...] = ()
    domain: str | None = None
    target: str | os.PathLike[str] | None = None

    __repr__ = given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """A cohort whose photos have been read, and what is to be made of it."""

    cohort: Cohort
    features: Features
    findings: tuple[Finding, ...]
    request: TrainRequest
    options: Options  # with the regions that are encoded
    encoder: AnyEncoder
    settings: Settings
    people: SamePeople = field(default_factory=SamePeople)  # those under several names
    matched: Matched | None = None  # how controls were matched to cases
    target: Features | None = None  # photos to adapt to
    domain: str | None = None  # column of the sites by which photos are adapted

    def __repr__(self) -> str:
        return brief(self, repr(self.features)[1:-1], repr(self.cohort)[1:-1])

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against training."""
        return all(finding.level != "error" for finding in self.findings)


class CohortError(InputError):
    """A cohort cannot be used, for the errors among its findings.

    Examples
    --------
    >>> from anthropo import CohortError
    >>> from anthropo.learning.cohort import Finding
    >>> print(CohortError("c.csv", [Finding("error", "label", "c.csv: one label only, a (3 photos).")]))
    c.csv: cannot be trained on. c.csv: one label only, a (3 photos).
    """

    def __init__(
        self,
        source: str,
        findings: Sequence[Finding],
        left_out: Sequence[tuple[str, str]] = (),
        verdict: str = "cannot be trained on",
    ) -> None:
        self.verdict, self.findings, self.left_out = f"{source}: {verdict}", tuple(findings), tuple(left_out)
        errors = [finding.message for finding in findings if finding.level == "error"]
        more = f" There are {len(errors) - 1} more errors." if len(errors) > 1 else ""
        super().__init__(f"{self.verdict}. {errors[0]}{more}")


def gather(
    path: str | os.PathLike[str],
    request: TrainRequest,
    *,
    thorough: bool = False,
    compare: Sequence[str] = (),
    leave_out: str | None = None,
    progress: Progress = silent,
) -> Material:
    """Read a cohort and its photos, and check everything that can be checked before training.

    Parameters
    ----------
    path : path
        A table or folder of labelled photos, as for `anthropo.train`.
    request : TrainRequest
    thorough : bool
        A cohort that cannot be trained on is returned with all its errors in place of refused.
    compare, leave_out
        Of the evaluation that it is for, if it is for one; see `anthropo.evaluate`.
    progress : Progress

    Returns
    -------
    Material
        With ``findings``, and in ``people`` the patients whose faces are one person's; `anthropo.train` and
        `anthropo.evaluate` take it in place of the cohort.

    Raises
    ------
    CohortError
        If the cohort cannot be trained on.
    InputError, WeightsError
        If an option cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> request = anthropo.TrainRequest(  # as m.anthropo was trained
    ...     options=anthropo.Options(regions=("face",), min_patients=4),
    ...     allow_duplicates=True, same_person="ignore",
    ...     reading=anthropo.PhotoReading(jitter=1, fine=False, cache="cache"),
    ... )
    >>> material = anthropo.gather("cohort/cohort.csv", request)
    >>> material.usable, len(material.features)
    (True, 12)
    >>> len(material.people.pairs) > 0  # all are made of one photograph
    True
    """
    options, task, reading = request.options, request.task, request.reading
    same_person_choice(request.same_person)  # refused before photos are read
    if request.trained_on and not any(map(is_network_file, (request.encoder or "").split(","))):
        network = parameter("encoder", "net.anthropo")
        raise InputError(f"{parameter('trained_on')} is about a network of yours ({network}). Leave it out.")
    cohort, matched = read_matched(path, request.match, options.controls, multilabel=task == "attributes")
    settings = settings_for(reading, photos=[case.photo for case in cohort.cases])
    early = _relevant(check(cohort), task)
    if all(finding.level != "error" for finding in early):
        _refuse_early(cohort, options, task)
    elif not thorough:
        raise CohortError(cohort.source, early)
    from anthropo.workflows.domains import check_domains, target_features, with_sites

    domain = check_domains(cohort, request, compare, leave_out)
    encoder = named_encoder(request.encoder, request.encoder_weights, request.align, request.tta, settings)
    regions = chosen_regions(encoder, options.regions or (), reading.no_face)
    # with the background, so that train and evaluate share what is kept
    features = read_features(cohort, reading, settings, encoder, regions, background=True, progress=progress)
    allowed = request.allow_duplicates
    merged, people, more_findings = resolve_people(
        cohort.source, features, request.same_person, allow_duplicates=allowed
    )
    findings = _relevant(validate(cohort, features, allow_duplicates=allowed, merged=merged), task)
    features = merged
    findings = (*findings, *more_findings, *seen_before(cohort.source, features, encoder))
    if request.trained_on:
        from anthropo.workflows.known import seen_by_network

        seen = seen_by_network(cohort, features, request, settings, encoder, regions, progress)
        findings = (*findings, *seen)
    target = None
    if request.target is not None:
        target, more_findings = target_features(request, settings, encoder, regions, features, progress)
        findings = (*findings, *more_findings)
    cells = {case.photo: case.metadata.get(domain or "", "") for case in cohort.cases}
    material = Material(
        cohort=cohort,
        features=with_sites(features, domain, cells),
        findings=tuple(by_level(findings)),
        request=request,
        options=replace(options, regions=regions),
        encoder=encoder,
        settings=settings,
        people=people,
        matched=matched,
        target=target,
        domain=domain,
    )
    if not (thorough or material.usable):
        raise CohortError(cohort.source, material.findings, features.left_out)
    return material


def read_matched(
    path: str | os.PathLike[str], columns: Sequence[str], controls: str | None, *, multilabel: bool = False
) -> tuple[Cohort, Matched | None]:
    """A cohort, with controls matched to cases where columns are named."""
    cohort = read_cohort(path, multilabel=multilabel)
    if not columns:
        return cohort, None
    from anthropo.learning.matching import match_cohort

    if multilabel:
        raise InputError(
            f"{parameter('match', ','.join(columns))} is for one label per photo, of which one is that of "
            "controls. Leave it out."
        )
    return match_cohort(cohort, columns, controls)


def check_photos(cohort: Cohort) -> tuple[Finding, ...]:
    """Findings about the photos of a cohort that nothing is trained on; a CohortError if one is an error."""
    # one person may well have several labels here, which only `check` minds
    findings = tuple(
        finding
        for finding in check(cohort)
        if finding.category in ("photo", "duplicate")
        or (finding in cohort.findings and finding.category == "patient")
    )
    if any(finding.level == "error" for finding in findings):
        raise CohortError(cohort.source, findings, verdict="cannot be used")
    return findings


def seen_before(cohort: str, features: Features, encoder: AnyEncoder) -> list[Finding]:
    """A warning where photos are among those that the encoder was trained on."""
    n = encoder.has_seen(features.digests.tolist())
    if not n:
        return []
    text = (
        f"{cohort}: {n} of {len(features)} photos are among those that {encoder.name} was trained on or "
        "stopped by: figures from them come out too good. Judge on photos that it has not seen."
    )
    return [Finding("warning", "encoder", text)]


def _relevant(findings: Sequence[Finding], task: Task) -> tuple[Finding, ...]:
    """Findings that matter for the task: healthy people alone are enough for distance to normal."""
    if task != "normality":
        return tuple(findings)
    return tuple(f for f in findings if not (f.category == "label" and f.level in ("error", "note")))


def _refuse_early(cohort: Cohort, options: Options, task: Task) -> None:
    """Raise what training would raise for the options, before the photos are read."""
    import numpy as np

    from anthropo.learning.attributes import ABSENT, PRESENT
    from anthropo.learning.model import collapse, control_label, cost_matrix, rare_labels

    for name in options.metadata:
        if name not in cohort.metadata:
            reasons = [f.message for f in cohort.findings if f.category == "metadata" and name in f.message]
            there = f"There are {', '.join(cohort.metadata) or 'none'}."
            raise InputError(
                " ".join([f"{parameter('metadata', name)}: no such column to learn from.", there, *reasons])
            )
    labels = np.array([case.label for case in cohort.cases])
    if task == "attributes":
        if options.cost:
            parse_cost(options.cost, (ABSENT, PRESENT), PRESENT, ABSENT)
    elif task == "normality":
        control_label(labels, options.controls)
    else:
        merged = collapse(labels, options.positive)
        patients = np.array([case.patient for case in cohort.cases])
        rare = rare_labels(merged, patients, options.min_patients)
        controls = control_label(merged, options.controls)
        cost_matrix(options, sorted(set(merged.tolist()) - set(rare)), controls)
