"""What a model file holds under ``model``, and its arrays: the types, limits and shapes of each part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from anthropo.adaptation import METHODS
from anthropo.encoder.encoders import ENCODERS
from anthropo.encoder.portrait import PORTRAIT
from anthropo.encoder.regions import IMAGE, REGIONS
from anthropo.encoder.several import AT, plain_region
from anthropo.errors import InputError, ModelError
from anthropo.learning.manifest import MOST_SITES, Manifest, Share
from anthropo.learning.schema import (
    LEAST,
    MOST_LABELS,
    MOST_NUMBERS,
    Among,
    Array,
    Distinct,
    Names,
    OneOf,
    Range,
    Size,
)
from anthropo.measurement.own import entry_of
from anthropo.measurement.registry import shipped

# what `Among` refers to outside a part; see `names_of`
MEASUREMENTS_KNOWN = "measurements of this version"
REGIONS_KNOWN = "regions of the manifest"
METADATA_KNOWN = "metadata of the manifest"

#: Whose embeddings a model may read: those that come with anthropo, of the library timm, or a network.
ENCODER = OneOf((*ENCODERS, "timm:*", "*.anthropo", "onnx:*"))

MOST_REFITS = 100
MOST_REFIT_NUMBERS = 1 << 22  # in all refits of a model together: 8 MB, most of them in half precision

Labels = Annotated[tuple[str, ...], Size(2, MOST_LABELS), Distinct()]
Measured = Annotated[tuple[str, ...], Distinct(), Among((MEASUREMENTS_KNOWN,))]
#: Lengths of the regions' embeddings.
Sizes = Annotated[Mapping[str, Annotated[int, Range(1, 1 << 15)]], Size(0, 128), Among((REGIONS_KNOWN,))]

# ------------------------------------------------------------------------------------- descriptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierState:
    """A hybrid classifier."""

    classifier: Annotated[str, OneOf(("auto", "xgboost", "linear", "svm", "svm-rbf"))]
    balance: Annotated[str, OneOf(("weights", "resample", "none"))]
    classes: Labels  # in the order of the arrays
    controls: Annotated[str | None, Among(("classes",))]  # label whose people standardise the measurements
    measurements: Measured
    regions: Sizes
    metadata: Annotated[tuple[str, ...], Distinct(), Among((METADATA_KNOWN,))]  # with "meta:"
    # columns that the standardised numbers are made from, one each
    origin: Annotated[tuple[str, ...], Size(0, 1 << 15), Among(("measurements", "metadata"))]
    # the number is 1 where its column has this text; null: it is a number; of a measurement "voided" where it
    # has no value
    category: tuple[str | None, ...]
    measured: Annotated[str, OneOf(("trees", "machine", "kernelmachine", "none"))]  # what reads the numbers
    # what a measurement without a value counts as
    missing: Annotated[str, OneOf(("expected", "evidence"))] = "expected"
    sphere: bool = True  # whether embeddings have length 1 once they are centred, as all models once had
    # patients with each label, whose number bounds log-odds; none: there is no bound, as models once were
    people: tuple[Annotated[int, Range(1, 1 << 31)], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefitState:
    """A classifier that was fitted without some of the patients, but for what it shares with the other."""

    measured: Annotated[str, OneOf(("trees", "machine", "none"))]  # what reads the numbers
    # columns that the standardised numbers are made from, one each; null: as in the classifier
    origin: Annotated[tuple[str, ...], Size(0, 1 << 15)] | None = None
    category: tuple[str | None, ...] | None = None  # null: as in the classifier
    people: tuple[Annotated[int, Range(1, 1 << 31)], ...] = ()  # as in a classifier


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """Classifiers of attributes that were fitted without some of the patients."""

    labels: Annotated[tuple[str, ...], Size(1, MOST_LABELS), Distinct()]  # in the order of the chain
    classifiers: tuple[RefitState, ...]  # one for each


@dataclass(frozen=True, slots=True, kw_only=True)
class NoveltyState:
    """Distance of a face to a group of people."""

    measurements: Measured
    regions: Sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryState:
    """Labels that are known by their nearest patient."""

    labels: Annotated[tuple[str, ...], Size(1, MOST_LABELS), Distinct()]
    slope: Annotated[float, Range(0, 300)]  # log-odds per unit of cosine; beyond, odds are no numbers
    intercept: Annotated[float, Range(-300, 300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileState:
    """Measurements and average faces of the labels' people."""

    labels: Annotated[tuple[str, ...], Size(), Distinct()]
    patients: tuple[Annotated[int, Range(1, 1 << 31)], ...]  # of each label
    measurements: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceState:
    """What brings the photos of a site to what the model reads."""

    site: Annotated[str, Size(0, 500)]  # empty: the target
    blocks: Annotated[Mapping[str, Annotated[int, Range(1, 1 << 15)]], Size(0, 129)]  # numbers of each
    mixed: Annotated[
        tuple[str, ...], Distinct(), Among(("blocks",))
    ] = ()  # whose numbers are not mapped singly


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainState:
    """How photos of other sites are brought to those of a target."""

    method: Annotated[str, OneOf(METHODS[1:])]
    places: Annotated[tuple[PlaceState, ...], Size(0, MOST_SITES)]
    unmapped: Annotated[tuple[str, ...], Size(0, MOST_SITES), Distinct()] = ()  # sites that have no map here


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelState:
    """One label per person; ``task`` is labels."""

    classifier: ClassifierState
    error_rate: Share  # of the prediction sets
    alarm: Share  # share of known people who are answered with "none of these"
    novelty: NoveltyState | None = None
    gallery: GalleryState | None = None
    refits: Annotated[tuple[RefitState, ...], Size(0, MOST_REFITS)] = ()  # without some of the patients each


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeState:
    """Several attributes of one person; ``task`` is attributes."""

    labels: Annotated[tuple[str, ...], Size(1, MOST_LABELS), Distinct()]
    classifiers: Annotated[tuple[Any, ...], Size(1, MOST_LABELS)]  # one for each: absent or present
    error_rate: Share
    chained: bool = False  # whether a classifier reads the answers of those before it
    # two attributes, their odds ratio, its limits, and the false discovery rate
    relations: tuple[Any, ...] = ()
    refits: Annotated[tuple[ChainState, ...], Size(0, MOST_REFITS)] = ()  # without some of the patients each


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalityState:
    """Distance to normal; ``task`` is normality."""

    specificity: Annotated[float, Range(0.5, 1)]
    distance: NoveltyState


# ----------------------------------------------------------------------------------------- arrays

#: Of a hybrid classifier: k labels, m numbers, r regions, h halves (regions; measurements and metadata).
CLASSIFIER = (
    Array("cost", "k k", "cost of each error, true label by label decided for", lo=0),
    Array("mean", "m", "of the numbers, among those who are the standard"),
    Array("spread", "m", "standard deviation of the numbers", lo=LEAST),
    Array("centre", "m", "mean of the numbers among everybody"),
    Array("loadings", "m f", "how the numbers go with factors, for what is missing", most={"f": 64}),
    Array("noise", "m", "variance of the numbers beside the factors", lo=LEAST),
    Array("score_spread", "r k", "standard deviation of the regions' scores", lo=1e-9),
    Array("deep_slopes", "r", "how much each region counts", lo=0),
    Array("deep_bias", "k", "log-odds that are added to the regions'"),
    Array("slopes", "h", "how much each half counts", lo=0),
    Array("bias", "k", "log-odds that are added to all"),
    Array("shares", "k", "how common the labels were in training", lo=LEAST, hi=1),
)
#: Of each region, whose embedding has d numbers; in ``region0/``, ``region1/`` and so on.
REGION = (
    Array("frequencies", "f d", "of the kernel's random Fourier features", most={"f": 1 << 13}, least=1),
    Array("weights", "2f k", "of the ridge regression"),
    Array("centre", "d", "mean of the embeddings"),
    Array("intercept", "k", "shares of the labels"),
)
#: Of logistic regression, or a linear support vector machine.
MACHINE = (Array("machine", "k m", "weights"),)
#: Of a refit: of r regions, each of f frequencies and d numbers, k labels, m numbers, h halves.
REFIT = (
    Array("weights", "r 2f k", "of the ridge regressions, over the standard deviation of their scores"),
    Array("centres", "r d", "mean of the embeddings; zeros behind those of fewer numbers"),
    Array("scale", "r", "of the classifier's frequencies", lo=1e-9, hi=1e9),
    Array("spread", "m", "standard deviation of the numbers", lo=LEAST),
    Array("centre", "m", "mean of the numbers"),
    Array("loadings", "m q", "how the numbers go with factors, for what is missing", most={"q": 64}),
    Array("noise", "m", "variance of the numbers beside the factors", lo=LEAST),
    Array("deep_slopes", "r", "how much each region counts", lo=0),
    Array("deep_bias", "k", "log-odds that are added to the regions'"),
    Array("slopes", "h", "how much each half counts", lo=0),
    Array("bias", "k", "log-odds that are added to all"),
)
#: Of one with a Gaussian kernel: s support vectors, p people. Standardised numbers are between -5 and 5.
KERNEL = (
    Array("kernel/scale", "m", "of the numbers before they are compared", lo=0, hi=1),
    Array("kernel/support", "s m", "support vectors", lo=-5.001, hi=5.001, most={"s": 1 << 18}),
    Array("kernel/duals", "k s", "how much each counts"),
    Array("kernel/intercept", "k", "log-odds that are added"),
    Array("kernel/width", "1", "of the kernel", lo=0, hi=1e9),
    Array(
        "kernel/people",
        "p m",
        "whom contributions are differences from",
        -5.001,
        5.001,
        most={"p": 32},
        least=1,
    ),
    Array("kernel/mean", "k", "mean decision value"),
)
#: Out-of-fold probabilities of a label's photos, for prediction sets; one array for each label.
SETS = (Array("sets/{c}", "n", "probabilities of the label's photos, out of fold", lo=0, hi=1),)
#: Of a distance: m measurements, q parts (measurements, if there are any, and the regions).
NOVELTY = (
    Array("medians", "q", "median distance of the people in each part", lo=LEAST),
    Array("rank", "n", "distances of the people, out of fold", lo=0, most={"n": MOST_NUMBERS}, least=1),
)
#: Where there are measurements.
SCALE = (Array("mean", "m", "of the measurements"), Array("spread", "m", "standard deviations", lo=LEAST))
#: Of each part of d numbers; in ``0/``, ``1/`` and so on.
PART = (
    Array("mean", "d", "of the people"),
    Array("axes", "a d", "principal axes, scaled to unit variance", lo=-1e30, hi=1e30),
)
#: Of a gallery: g patients, l labels, regions of d numbers together.
GALLERY = (
    Array("centre", "d", "what embeddings are compared around"),
    Array("vectors", "g d", "a patient's embedding", lo=-1.001, hi=1.001, most={"g": MOST_NUMBERS}, least=1),
    Array("owner", "g", "index of the patient's label", lo=0, hi=MOST_LABELS, kinds="iu"),
    Array("prior", "l", "share of the cohort's patients", lo=LEAST, hi=1),
)
#: Of a map of d numbers, mixed or singly; in ``domains/``, then the place's number, then the block's.
MIXED = (Array("matrix", "d d", "what rows are multiplied by"), Array("offset", "d", "what is added"))
SINGLE = (Array("matrix", "d", "what each number is multiplied by"), Array("offset", "d", "what is added"))
#: Of a profile: n labels, m measurements; with faces composites as well.
PROFILE = (
    Array("quantiles", "n m 19", "values below which 5, 10 … 95 % of a label's people are"),
    Array("known", "n m", "whether enough people have the measurement", lo=0, hi=1, kinds="b"),
    Array("shapes", "n 68 2", "mean landmarks in the face's frame", lo=-1e3, hi=1e3),
)
COMPOSITES = (
    Array("composites", "n {} {} 3".format(*PORTRAIT), "average faces, RGB", lo=0, hi=255, kinds="u"),
)


# ---------------------------------------------------------------------------- what a file refers to


def names_of(manifest: Manifest) -> Names:
    """What the parts of a model may refer to.

    Raises
    ------
    ModelError
        If the manifest contradicts itself.
    """
    no_face = manifest.settings.no_face
    several = bool(manifest.more_encoders)
    for one in manifest.encoders:
        if one.name is None or (fault := ENCODER.fault(one.name, {})):
            raise ModelError(f"its encoder {fault if one.name else 'is not named'}")
    names = [str(one.name) for one in manifest.encoders]
    if len({*names}) < len(names):
        raise ModelError("two of its encoders have the same name")
    if any(region.partition(AT)[2] not in (names if several else [""]) for region in manifest.regions):
        raise ModelError("a region of its is of no encoder")
    if {*map(plain_region, manifest.regions)} - ({IMAGE} if no_face else {*REGIONS, IMAGE}):
        raise ModelError(f"its regions are none of {IMAGE if no_face else ', '.join(REGIONS)}")
    if no_face and manifest.measurements:
        raise ModelError("it reads measurements of pictures without a face")
    if (jitter := manifest.settings.jitter) is not None and jitter > 1 and jitter % 2:
        raise ModelError(f"its jitter is {jitter}, which is neither 1 nor even")
    if unknown := next((name for name in manifest.metadata if name not in manifest.metadata_kinds), None):
        raise ModelError(f"it does not say whether {unknown} is a number")
    there = {name for name, entry in shipped().items() if not entry.needs_mm}
    for definition in manifest.own_measurements:
        try:
            there |= {definition.id} if not entry_of(definition).needs_mm else set()
        except InputError as error:
            raise ModelError(f"a measurement of its own cannot be used: {error}") from None
    if len({definition.id for definition in manifest.own_measurements}) < len(manifest.own_measurements):
        raise ModelError("two measurements of its own have the same name")
    return {
        MEASUREMENTS_KNOWN: frozenset() if no_face else frozenset(there),
        REGIONS_KNOWN: frozenset(manifest.regions),
        METADATA_KNOWN: frozenset(f"meta:{name}" for name in manifest.metadata),
    }


def dimension_of(manifest: Manifest, region: str) -> int | None:
    """How many numbers the embedding of a region has, as the manifest says."""
    dimensions = {str(one.name): one.dimension for one in manifest.encoders}
    return dimensions.get(region.partition(AT)[2], manifest.encoder.dimension)


def check_dimension(manifest: Manifest, sizes: Mapping[str, int]) -> None:
    """Refuse embeddings of another length than the encoder's.

    Raises
    ------
    ModelError
        If there are some.
    """
    for region, size in sizes.items():
        dimension = dimension_of(manifest, region)
        if size != dimension:
            raise ModelError(
                f"its region {region} has {size:,} numbers, and the embedding of its encoder "
                f"{'an unknown number' if dimension is None else f'{dimension:,}'}"
            )
