"""What a model file says of its model, as `manifest.json` holds it.

Every entry may be missing from a file or null, and then has its default; when written, an entry that has its
default is left out. Neither ids of patients nor names or paths of photographs may enter a manifest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from anthropo.adaptation import METHODS
from anthropo.definitions import Definition
from anthropo.encoder.regions import ALIGNMENTS
from anthropo.learning.intervals import Interval
from anthropo.learning.model_readers import as_written, record
from anthropo.learning.schema import MOST_LABELS, Among, Distinct, Hex, OneOf, Range, Size
from anthropo.licensing import FACES, LicenceError, is_permissive_run, licence_of
from anthropo.showing import brief, listed

Count = Annotated[int, Range(0)]
Sha256 = Annotated[str, Hex()]
Share = Annotated[float, Range(0, 1)]
Distincts = Annotated[tuple[str, ...], Size(), Distinct()]
Figures = Mapping[str, Interval]  # by metric


MOST_SITES = 100
MOST_OWN = 200
TASKS = ("binary", "multiclass", "one-vs-rest", "multilabel", "normality", "grades", "cases")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file inside the model file."""

    sha256: Sha256 | None = None
    size: Count | None = None  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRecord:
    """Trained weights that the model needs or began with."""

    name: str | None = None
    digest: Sha256 | None = None  # SHA-256
    licence: str | None = None
    commercial_use: bool | None = None
    data: str | None = None  # licence of what they were trained on
    permissive: bool | None = None  # code, weights and training data; unknown in models of 0.1.0

    @property
    def allowed(self) -> bool:
        """Whether a permissive run may use them."""
        known = licence_of(self.name)
        return known.permissive if known and known.kind == "weights" else self.permissive is True


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderWeights(WeightsRecord):
    """The encoder whose embeddings the model reads."""

    dimension: Annotated[int, Range(1, 1 << 15)] | None = None  # numbers in an embedding
    size: Annotated[int, Range(1, 4096)] | None = None  # side of its pictures, px
    parameters: Count | None = None
    seen: Count = 0  # photos of the cohort that it was trained with
    # how faces were brought to its frame; models from before there was a choice have none
    align: Annotated[str, OneOf(ALIGNMENTS)] = ALIGNMENTS[0]
    grey: bool = False  # whether embeddings were averaged over pictures without colours as well


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoSettings:
    """How photographs have to be measured for the model."""

    face: Annotated[str, OneOf(("one", "largest"))] | None = None  # which face of a photo: one, largest
    fine: bool | None = None
    no_face: bool = False
    landmark_weights: Sha256 | None = None  # SHA-256
    fine_weights: Sha256 | None = None  # SHA-256; "" without the fine stage
    jitter: Annotated[int, Range(1, 256)] | None = None  # 1, or even
    definitions: Sha256 | None = None  # SHA-256 of the definitions of the measurements
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The size of a part of a cohort."""

    photos: Count | None = None
    patients: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamePersonCheck:
    """What was done about people under several names; empty where faces were not compared."""

    how: Annotated[str, OneOf(("merge", "refuse", "ignore"))] | None = None
    pairs: Count = 0  # of patients whose faces are one person's
    joined: Count = 0  # patients less, since they count as one


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCohort(Counts):
    """The cohort in counts."""

    left_out: Count | None = None  # photos
    corrected: Count | None = None  # photos with landmarks placed by hand
    same_person: SamePersonCheck = field(default_factory=SamePersonCheck)
    sha256: Sha256 | None = None  # of the table
    labels: Mapping[str, Counts] = field(default_factory=dict)
    # patients by column, such as sex and age band, and value
    subgroups: Mapping[str, Mapping[str, Count]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Figures on people whom the model had not seen."""

    method: str | None = None
    n_photos: Count | None = None
    n_patients: Count | None = None
    prevalence: Share | None = None  # of PPV and NPV
    models: Mapping[str, Figures] = field(default_factory=dict)  # by model: hybrid, measurements …; network
    by_label: Mapping[str, Figures] = field(default_factory=dict)  # of networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Refits:
    """Models that were fitted without some of the patients, for ranges of contributions."""

    number: Count | None = None
    without: Share | None = None  # share of the patients that each was fitted without
    top: Count | None = None  # so many measurements that count most
    overlap: Share | None = None  # share of these that count most in a refit as well, on average


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """How photos of other sites were brought to those of a target; empty where they were not."""

    method: Annotated[str, OneOf(METHODS[1:])] | None = None
    column: str | None = None  # that names the site of a photo
    sites: Annotated[Mapping[str, Counts], Size(0, MOST_SITES)] = field(default_factory=dict)  # of training
    target: Counts = field(default_factory=Counts)  # photos of unknown labels; empty: the sites' mean


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """How it is decided between labels."""

    rule: str | None = None
    threshold: Share | None = None  # probability of the positive one of two labels
    sensitivity: Interval | None = None
    specificity: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformal:
    """What the prediction sets promise."""

    error: Share | None = None  # rate


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyRule:
    """When "none of these" is answered."""

    specificity: Share | None = None  # among controls


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a model or network is, was trained on and needs.

    Attributes
    ----------
    format, format_version, anthropo, files
        Filled when the file is written: "anthropo-model", the version of the format (raised when an older
        anthropo can no longer read it), the version of anthropo, and the members of the file.
    permissive : str or None
        Of a model that was trained in a permissive run: what that is, and what it could not use.
    created : str or None
        The date (ISO 8601), if it is kept.
    title : str or None
        A name for people.
    task : str or None
        binary, multiclass, one-vs-rest, multilabel or normality; of networks also grades and cases.
    labels : tuple of str
        In the order of the arrays.
    controls, positive : str or None
        The label of the healthy people, and the affected one of two labels.
    classifier : str or None
        auto, xgboost, linear, svm or svm-rbf.
    balance : str or None
        weights, resample or none; of networks ``imbalance`` of the recipe.
    missing : str or None
        What a voided measurement counts as: expected (by those that are known) or evidence (that it was
        voided has terms of its own); None where there are no measurements, or was no choice.
    encoder : EncoderWeights
        Empty in networks.
    more_encoders : tuple of EncoderWeights
        Of a model with several: the others, in their order. Regions are then called ``REGION@ENCODER``.
    weights : tuple of WeightsRecord
        Others that the model needs; of networks also those that training began with.
    regions, measurements, metadata : tuple of str
        What the model reads, in the order of the arrays.
    own_measurements : tuple of Definition
        Measurements that do not come with anthropo, as the model's user defined them.
    metadata_kinds : mapping of str to str
        "number" or "category", by column.
    settings : PhotoSettings
        How photographs have to be measured.
    cohort : TrainingCohort
    validation : Validation
    refits : Refits
    adaptation : Adaptation
    cost : mapping of str to mapping of str to float
        Cost by true label, then by the label decided for.
    operating_point : OperatingPoint
    conformal : Conformal
    novelty : NoveltyRule
    gallery : mapping of str to int
        Patients of the labels that are known only by their nearest patients.
    command : str or None
        How it was trained; file names without their folders.
    seed : int or None
    libraries : mapping of str to str
        Version of each.
    python : str or None
        Version.
    """

    format: str | None = None
    format_version: Annotated[int, Range(1)] | None = None
    anthropo: str | None = None
    permissive: str | None = None
    created: str | None = None
    title: str | None = None
    task: Annotated[str, OneOf(TASKS)] | None = None
    labels: Annotated[tuple[Annotated[str, Size(1, 500)], ...], Size(0, MOST_LABELS), Distinct()] = ()
    controls: str | None = None
    positive: Annotated[str, Among(("labels",))] | None = None
    classifier: str | None = None
    balance: str | None = None
    missing: Annotated[str, OneOf(("expected", "evidence"))] | None = None
    encoder: EncoderWeights = field(default_factory=EncoderWeights)
    more_encoders: Annotated[tuple[EncoderWeights, ...], Size(0, 15)] = ()
    weights: tuple[WeightsRecord, ...] = ()
    regions: Distincts = ()
    measurements: Distincts = ()
    own_measurements: Annotated[tuple[Definition, ...], Size(0, MOST_OWN)] = ()
    metadata: Distincts = ()
    metadata_kinds: Mapping[str, Annotated[str, OneOf(("number", "category"))]] = field(default_factory=dict)
    settings: PhotoSettings = field(default_factory=PhotoSettings)
    cohort: TrainingCohort = field(default_factory=TrainingCohort)
    validation: Validation = field(default_factory=Validation)
    refits: Refits = field(default_factory=Refits)
    adaptation: Adaptation = field(default_factory=Adaptation)
    cost: Annotated[Mapping[str, Mapping[str, Annotated[float, Range(0)]]], Among(("labels",))] = field(
        default_factory=dict
    )
    operating_point: OperatingPoint = field(default_factory=OperatingPoint)
    conformal: Conformal = field(default_factory=Conformal)
    novelty: NoveltyRule = field(default_factory=NoveltyRule)
    gallery: Annotated[Mapping[str, Count], Among(("labels",))] = field(default_factory=dict)
    command: str | None = None
    seed: int | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None
    files: Mapping[str, Member] = field(default_factory=dict)

    def __repr__(self) -> str:
        return brief(
            self, self.task or "", listed(self.labels), f"anthropo {self.anthropo}" if self.anthropo else ""
        )

    @classmethod
    def from_json(cls, manifest: Mapping[str, Any]) -> Manifest:
        """Read from JSON.

        Raises
        ------
        ModelError
            If an entry is of another type.
        """
        return record(cls, manifest, "manifest")

    @property
    def used(self) -> list[WeightsRecord]:
        """The weights that it needs or began with, without what says nothing."""
        return [w for w in (*self.encoders, *self.weights) if w != type(w)()]

    @property
    def encoders(self) -> tuple[EncoderWeights, ...]:
        """All encoders whose embeddings the model reads."""
        return (self.encoder, *self.more_encoders)

    @property
    def seen(self) -> int:
        """Photos of the cohort that an encoder was trained with."""
        return max(one.seen for one in self.encoders)

    @property
    def barred(self) -> dict[str, str]:
        """The parts that a permissive run may not use: name, and what is not permissive."""
        parts = {w.name or "unnamed weights": w.data for w in self.used if not w.allowed}
        if not self.settings.no_face:
            parts = {**dict.fromkeys(FACES), **parts}
        known = {name: licence_of(name) for name in parts}
        return {
            name: (of.why if (of := known[name]) else data) or "licences not stated"
            for name, data in parts.items()
        }

    def require_permitted(self, path: str | os.PathLike[str]) -> None:
        """Refuse a model with parts that are not permissive in a permissive run."""
        if is_permissive_run() and self.barred:
            parts = "; ".join(f"{name} ({why})" for name, why in self.barred.items())
            raise LicenceError(
                f"{os.fspath(path)}: a permissive run cannot use this model, which needs or was trained with "
                f"{parts}. Use one that was trained in a permissive run."
            )

    def to_json(self) -> dict[str, Any]:
        """As JSON, without the entries that have their default."""
        written: dict[str, Any] = as_written(self)
        return written
