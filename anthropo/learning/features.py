"""Measurements and region embeddings of photographs, kept for the next run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anthropo.decoding.colour import COLOUR_VERSION
from anthropo.encoder.portrait import portrait
from anthropo.encoder.regions import DEFAULT_REGIONS, IMAGE
from anthropo.encoder.several import AnyEncoder, Asked, Encoders, asked_of
from anthropo.errors import AnthropoError, FaceError, InputError, PhotoError, parameter
from anthropo.face.gate import CHECKS, GateSummary
from anthropo.face.lens import parse_distance
from anthropo.files import file_sha256
from anthropo.learning.cohort import Case, Cohort, Values, typed
from anthropo.learning.columns import METADATA
from anthropo.learning.duplicates import face_print, image_print
from anthropo.learning.entries import complete, kept_reason, measurement_ids, shapes_of
from anthropo.learning.identity import IDENTITY_REGION, face_identity, knows_people
from anthropo.learning.rows import FeatureRows
from anthropo.measurement.compute import measured_values
from anthropo.memory import memory
from anthropo.observation import Observation, observe
from anthropo.parallel.runner import Lost, Runner, choose
from anthropo.parallel.threads import Threads
from anthropo.photo import Photo, example_photo, read_photo
from anthropo.settings import Settings
from anthropo.showing import brief, count, listed

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.encoder.cache import Store

_VERSION = 7  # of what is kept of a photo; raise it when that changes
_ROWS = (
    "photos",
    "labels",
    "patients",
    "measurements",
    "digests",
    "prints",
    "shapes",
    "portraits",
    "gate",
    "hidden",
    "identities",
    "sites",
)
#: The region around a face, which no classifier reads: what it can tell is leakage.
BACKGROUND = "background"
_LEAST_SIDE = 150  # px, shorter side of a photo without a face as it is decoded


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Measurements, embeddings and metadata of photos, one row each; `feature_frame` has an example."""

    photos: NDArray[np.str_]  # (n,) paths as given
    labels: NDArray[np.str_]  # (n,)
    patients: NDArray[np.str_]  # (n,)
    measurements: NDArray[np.float64]  # (n, m) in the registry's units; NaN where it could not be computed
    measurement_ids: tuple[str, ...]  # (m,)
    regions: dict[str, NDArray[np.float32]]  # (n, d) embedding of each region
    metadata: dict[str, Values]  # (n,) each; numbers with NaN, or words with None
    digests: NDArray[np.str_]  # (n,) SHA-256 of the files
    prints: NDArray[np.float32]  # (n, p) for finding duplicates, see face_print and image_print
    left_out: tuple[tuple[str, str], ...] = ()  # photos that could not be used, each with the reason
    # (n, 68, 2) landmarks in each face's own frame, and (n, height, width, 3) the face in the shape of the
    # mean face; None where pictures of groups are not wanted
    shapes: NDArray[np.float32] | None = None
    portraits: NDArray[np.uint8] | None = None
    gate: NDArray[np.bool_] | None = None  # (n, c) whether each of `anthropo.face.gate.CHECKS` failed
    hidden: NDArray[np.bool_] | None = None  # (n, 68) landmarks that something hides
    # (n, IDENTITY) what faces are compared by to find a person under two names; None without faces
    identities: NDArray[np.float32] | None = None
    sites: NDArray[np.str_] | None = None  # (n,) clinic or camera, where that is told; see `Domains`

    def __repr__(self) -> str:
        return brief(
            self,
            f"{count(len(self), 'photo')} of {count(len(set(self.patients.tolist())), 'patient')}",
            count(len(self.measurement_ids), "measurement"),
            f"regions {listed(self.regions)}" if self.regions else "",
            f"{len(self.left_out)} left out" if self.left_out else "",
        )

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def gate_failed(self) -> list[list[str]]:
        """Names of the checks of the photo gate that each photo failed; empty where there are no faces."""
        rows = () if self.gate is None else self.gate.tolist()
        return [[name for name, failed in zip(CHECKS, row, strict=True) if failed] for row in rows]

    @property
    def gate_summary(self) -> GateSummary:
        """How many photos failed which check of the photo gate; of no photo where there are no faces."""
        return GateSummary.of(self.gate_failed)


def extract(
    cohort: Cohort,
    settings: Settings,
    encoder: AnyEncoder,
    *,
    regions: Sequence[str] | None = None,
    jobs: int = 1,
    runner: Runner | None = None,
    store: Store | None = None,
    observed: Mapping[str, Observation | Photo] | None = None,
    identify: bool = True,
    on_progress: Callable[[], None] | None = None,
) -> Features:
    """Measure and encode the photos of a cohort.

    With ``settings.no_face`` nothing is measured, and the middle square of each photo is the only
    region, "image".

    Parameters
    ----------
    cohort : Cohort
    settings : Settings
        How photos are read, as for `anthropo measure`.
    encoder : Encoder or Encoders
    regions : sequence of str, optional
        Names in `anthropo.encoder.regions.REGIONS`; of several encoders ``REGION@ENCODER``.
    jobs : int
        Photos that are worked on at once. The result does not depend on their number.
    runner : Runner, optional
        Who works on them; chosen by `jobs` when left out.
    store : Store, optional
        Keeps the numbers of each photo, or that it has no face. Photos that an interrupted run has
        finished are not redone.
    observed : mapping of path to Observation, optional
        Photos that were read with these settings before, and are not read again; with ``settings.no_face``
        each is a Photo.
    identify : bool
        Whether faces are embedded by the packaged face network as well, to find one person under two names,
        where the encoder is another one.
    on_progress : callable, optional
        Called once for each photo.

    Returns
    -------
    Features
        In the order of the cases. Photos that cannot be used are in ``left_out``.

    Raises
    ------
    InputError, WeightsError
        If the settings or a region cannot be used.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.learning.cohort import Case, Cohort
    >>> cohort = Cohort((Case(anthropo.example_photo(), "astronaut", "p1"),), "one photo")
    >>> quick = anthropo.Settings(jitter=1, fine=False)
    >>> features = anthropo.extract(cohort, quick, anthropo.load_encoder(), regions=("face",))
    >>> len(features), features.regions["face"].shape
    (1, (1, 128))
    """
    if regions is None:
        several = encoder.views if isinstance(encoder, Encoders) else ()
        regions = several or ((IMAGE,) if settings.no_face else DEFAULT_REGIONS)
    asked = asked_of(encoder, regions)
    _check_regions(settings, asked)
    look = _Look(
        manner="no face" if settings.no_face else settings.fingerprint(),
        settings=settings,
        asked=asked,
        store=store,
        observed=observed,
        identify=identify,
    )
    if observed:  # which are here already
        runner = Threads(jobs)
    kept = _Gathering(cohort, asked, shapes_of(settings.no_face, identified=not settings.no_face))
    left_out: list[tuple[str, str]] = []
    runner = choose(jobs, len(cohort.cases), runner)
    afar = store is not None and bool(getattr(runner, "send_photos", False))
    numbered = _kept_here(look, cohort.cases, runner, jobs) if afar else runner.in_order(look, cohort.cases)
    with contextlib.closing(numbered) as results:
        for case, numbers in zip(cohort.cases, results, strict=True):
            if isinstance(numbers, Lost):
                left_out.append((case.photo, numbers.reason(case.photo)))
            elif numbers.reason:
                left_out.append((case.photo, numbers.reason))
            else:
                kept.add(case, numbers)
            if on_progress:
                on_progress()
    return kept.features(() if settings.no_face else measurement_ids(), tuple(left_out))


def _check_regions(settings: Settings, asked: Sequence[Asked]) -> None:
    """Refuse settings that photos cannot be learned from with, and regions that there are none of."""
    if settings.face == "all":
        raise InputError(
            f"face 'all' cannot be learned from: one face per photo is. Pass {parameter('face', 'largest')}."
        )
    if settings.no_face and any(regions != (IMAGE,) for _, regions, _ in asked):
        raise InputError(f"Without a face the only region is {IMAGE}. Leave the regions out.")


@dataclass(slots=True, eq=False)
class _Extract:
    """Numbers of one photo, or the reason why there are none."""

    digest: str = ""  # of the file; empty if it could not be read
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    embeddings: list[NDArray[Any]] = field(default_factory=list)  # (regions, dimension) of each encoder
    reason: str = ""  # why the photo cannot be used
    # keys and arrays, for a store that lacks them
    entries: list[tuple[str, dict[str, NDArray[Any]]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Look:
    """The work on one photo."""

    manner: str
    settings: Settings
    asked: tuple[Asked, ...]
    store: Store | None
    observed: Mapping[str, Observation | Photo] | None
    identify: bool
    only_kept: bool = False  # whether a photo that the store lacks is left as it is

    def prepare(self) -> None:
        """Read what every photo needs."""
        with contextlib.suppress(AnthropoError):  # each photo says it
            photo = example_photo()
            _look(
                photo,
                read_picture(photo, self.settings, self._largest) if self.settings.no_face else None,
                [""] * len(self.asked),
                settings=replace(self.settings, face="one", corrections=None),
                asked=self.asked,
                store=None,
                identify=self.identify,
            )

    def __call__(self, case: Case) -> _Extract:
        known, of_case = (self.observed or {}).get(case.photo), self.settings
        distance = "" if of_case.no_face else case.distance
        if distance:
            try:
                parse_distance(distance, named="Column `distance`")
            except InputError as error:
                return _Extract(reason=f"{case.photo}: {error}")
            of_case = replace(of_case, distance=distance)
        face = () if of_case.no_face or not case.face_at else (case.face_at,)
        of_case = of_case.at_face(*face) if face else of_case
        suffixes = [
            json.dumps([_VERSION, COLOUR_VERSION, self.manner, distance, *face, encoder.how, list(regions)])
            for encoder, regions, _ in self.asked
        ]
        return _look(
            case.photo, known, suffixes, settings=of_case, asked=self.asked,
            store=self.store, identify=self.identify, only_kept=self.only_kept,
        )  # fmt: skip

    @property
    def _largest(self) -> int:
        return max(encoder.size for encoder, _, _ in self.asked)


def _kept_here(
    look: _Look, cases: Sequence[Case], runner: Runner, jobs: int
) -> Generator[_Extract | Lost, None, None]:
    """Numbers of photos in order, where those who work on them do not see the store: it is seen to here."""
    assert look.store is not None
    known = list(Threads(jobs).in_order(replace(look, only_kept=True), cases))
    lacking = [case for case, numbers in zip(cases, known, strict=True) if numbers.entries]
    with contextlib.closing(runner.in_order(replace(look, store=None), lacking)) as results:
        for numbers in known:
            if not numbers.entries:
                yield numbers
                continue
            made = next(results)
            for entry in () if isinstance(made, Lost) else made.entries:
                look.store.put(*entry)
            yield made


def _look(
    path: str,
    known: Observation | Photo | None,
    suffixes: Sequence[str],
    *,
    settings: Settings,
    asked: Sequence[Asked],
    store: Store | None,
    identify: bool,
    only_kept: bool = False,
) -> _Extract:
    """Numbers of a photo: from the store, else from the photo, which is read once for all encoders.

    The store has an entry for each encoder, whatever others there are, so that one more is one more.
    """
    numbers, keys = _Extract(), [""] * len(asked)
    try:
        if known is None:
            numbers.digest = file_sha256(path)
        else:
            numbers.digest = known.sha256 if isinstance(known, Photo) else known.digest
        stamp = settings.corrections.stamp(path, numbers.digest) if settings.corrections else ""
        keys = [
            hashlib.sha256(f"{numbers.digest} {suffix}{stamp}".encode()).hexdigest() for suffix in suffixes
        ]
    except InputError as error:
        numbers.reason = str(error)
        return numbers
    except (OSError, ValueError):
        pass  # reading it below says why
    entries: list[dict[str, NDArray[Any]] | None] = [None] * len(asked)
    for at, key in enumerate(keys):
        if store and key and (kept := store.get(key)) is not None:
            if reason := kept_reason(kept):
                numbers.reason = f"{path}: {reason}"
                return numbers
            if complete(kept, settings.no_face, asked[at], identify):
                entries[at] = kept
    lacking = [at for at, kept in enumerate(entries) if kept is None]
    if only_kept and lacking:
        numbers.entries = [("", {})]
        return numbers
    try:
        if lacking:
            made = _computed(path, known, settings, [asked[at] for at in lacking], identify)
            for at, arrays in zip(lacking, made, strict=True):
                entries[at] = arrays
            numbers.entries = list(zip([keys[at] for at in lacking], made, strict=True))
    except (PhotoError, FaceError) as error:
        numbers.reason = str(error)
        why = numbers.reason.removeprefix(f"{path}: ").encode()
        numbers.entries = [(keys[at], {"reason": np.frombuffer(why, dtype=np.uint8)}) for at in lacking]
    except MemoryError:  # not kept: the next run may have more
        numbers.reason = f"{path}: not enough memory. Use fewer {parameter('jobs')}."
        return numbers
    else:
        whole = [kept for kept in entries if kept is not None]
        numbers.arrays = {name: array for name, array in whole[0].items() if name != "embeddings"}
        if (identity := next((of["identity"] for of in whole if "identity" in of), None)) is not None:
            numbers.arrays["identity"] = identity
        numbers.embeddings = [of["embeddings"] for of in whole]
    numbers.entries = [entry for entry in numbers.entries if entry[0]]
    if store:
        for entry in numbers.entries:
            store.put(*entry)
        numbers.entries = []
    return numbers


def _computed(
    path: str, known: Observation | Photo | None, settings: Settings, asked: Sequence[Asked], identify: bool
) -> list[dict[str, NDArray[Any]]]:
    """What is kept of a photo for each of some encoders, after it has been read."""
    if settings.no_face:
        largest = max(encoder.size for encoder, _, _ in asked)
        photo = known if isinstance(known, Photo) else read_picture(path, settings, largest)
        common: dict[str, NDArray[Any]] = {"measurements": np.empty(0), "print": image_print(photo)}
        return [common | {"embeddings": encoder.embed(photo, None, regions)} for encoder, regions, _ in asked]
    seen = known if isinstance(known, Observation) else observe(path, settings)
    return _face(seen, settings, asked, identify)


def _face(
    seen: Observation, settings: Settings, asked: Sequence[Asked], identify: bool
) -> list[dict[str, NDArray[Any]]]:
    """A face, measured and encoded."""
    photo, face = seen.photo, seen.face
    value = measured_values(face, photo, force=settings.force)
    pixels, shape = portrait(photo, face)
    common: dict[str, NDArray[Any]] = {
        "measurements": np.array([value[name] for name in measurement_ids()]),
        "gate": np.array([name in {c.name for c in face.gate if not c.ok} for name in CHECKS]),
        "hidden": face.hidden,
        "print": face_print(photo, face),
        "shape": shape.astype(np.float32),
        "portrait": pixels,
    }
    embeddings = [encoder.embed(photo, face, regions) for encoder, regions, _ in asked]
    for (encoder, regions, _), embedded in zip(asked, embeddings, strict=True):
        if knows_people(encoder, regions):
            common["identity"] = embedded[list(regions).index(IDENTITY_REGION)]
    if identify and "identity" not in common:
        common["identity"] = face_identity(photo, face)
    return [common | {"embeddings": embedded} for embedded in embeddings]


def read_picture(path: str, settings: Settings, size: int) -> Photo:
    """A picture without a face, as fine as an encoder of pictures of `size` px needs it."""
    side = max(size, _LEAST_SIDE)
    return read_photo(
        path, short_side=side, max_megapixels=settings.max_megapixels, deadline=settings.deadline
    )


class _Gathering:
    """Numbers of photos in arrays that are filled as they come, so that nothing is in memory twice.

    An InputError says how many photos the memory is enough for, where it is not for all.
    """

    def __init__(
        self, cohort: Cohort, asked: Sequence[Asked], shapes: Mapping[str, tuple[str, tuple[int, ...]]]
    ) -> None:
        n = len(cohort.cases)
        each = sum(np.dtype(kind).itemsize * math.prod(shape) for kind, shape in shapes.values())
        each += sum(4 * encoder.dimension * len(regions) for encoder, regions, _ in asked)
        if n * each > memory.most:
            raise InputError(
                f"{cohort.source}: {n:,} photos of {each / 1e3:.0f} kB each need {n * each / 1e9:.1f} GB of "
                f"memory, and half of what there is here are {memory.most / 1e9:.1f} GB. At most "
                f"{memory.most // each:,} photos fit: list fewer, or use a machine with more memory."
            )
        self._cohort = cohort
        self._names = [name for _, _, names in asked for name in names]
        self._cases: list[Case] = []
        self._digests: list[str] = []
        # untouched pages of these take no memory
        self._arrays = {name: np.empty((n, *shape), kind) for name, (kind, shape) in shapes.items()}
        self._embeddings = [
            np.empty((n, encoder.dimension), np.float32) for encoder, regions, _ in asked for _ in regions
        ]

    def add(self, case: Case, numbers: _Extract) -> None:
        """Take the numbers of a photo."""
        at = len(self._cases)
        for name in [name for name in self._arrays if name not in numbers.arrays]:
            del self._arrays[name]  # what not every photo has
        for name, array in self._arrays.items():
            array[at] = numbers.arrays[name]
        rows = (row for of_encoder in numbers.embeddings for row in of_encoder)
        for embedding, of_photo in zip(self._embeddings, rows, strict=True):
            embedding[at] = of_photo
        self._cases.append(case)
        self._digests.append(numbers.digest)

    def features(self, measured: tuple[str, ...], left_out: tuple[tuple[str, str], ...]) -> Features:
        """What there is of all photos that were taken."""
        cases, n = self._cases, len(self._cases)
        of = {name: array[:n] for name, array in self._arrays.items()}
        return Features(
            photos=_words(case.photo for case in cases),
            labels=_words(case.label for case in cases),
            patients=_words(case.patient for case in cases),
            measurements=of["measurements"],
            measurement_ids=measured,
            regions={
                name: embedding[:n] for name, embedding in zip(self._names, self._embeddings, strict=True)
            },
            metadata={
                name: typed([case.metadata.get(name, "") for case in cases], kind)
                for name, kind in self._cohort.metadata.items()
            },
            digests=_words(self._digests),
            prints=of["print"],
            shapes=of.get("shape"),
            portraits=of.get("portrait"),
            gate=of.get("gate"),
            hidden=of.get("hidden"),
            identities=of.get("identity"),
            left_out=left_out,
        )


def _words(words: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(words), dtype=np.str_)


def subset(features: Features, rows: ArrayLike) -> Features:
    """Features of some photos, chosen by index or by a Boolean mask, without a list of photos left out."""
    chosen = np.asarray(rows)
    at = np.arange(len(features))[chosen if chosen.size else chosen.astype(np.int64)]
    arrays = ((name, getattr(features, name)) for name in _ROWS)
    rows_of: dict[str, Any] = {name: None if array is None else array[at] for name, array in arrays}
    return replace(
        features,
        **rows_of,
        regions={name: embedding[at] for name, embedding in features.regions.items()},
        metadata={name: [values[i] for i in at] for name, values in features.metadata.items()},
        left_out=(),
    )


def gate_alone(features: Features) -> Features:
    """What the photo gate says and nothing else: which measurements are missing, and which checks failed."""
    missing = np.isnan(features.measurements).astype(np.float64)
    failed = np.zeros((len(features), 0)) if features.gate is None else features.gate.astype(np.float64)
    names = [f"missing {name}" for name in features.measurement_ids]
    names += [f"failed {name}" for name in CHECKS] if failed.shape[1] else []
    return replace(
        features, measurements=np.hstack([missing, failed]), measurement_ids=tuple(names), regions={}
    )


def feature_rows(features: Features, metadata: Sequence[str] = ()) -> FeatureRows:
    """What `feature_frame` gives, without a data frame."""
    measured = enumerate(features.measurement_ids)
    numbers: dict[str, NDArray[Any]] = {name: features.measurements[:, i] for i, name in measured}
    words: dict[str, Values] = {}
    for region, embedding in features.regions.items():
        numbers |= {f"{region}/{i}": embedding[:, i] for i in range(embedding.shape[1])}
    for name in metadata:
        values = features.metadata[name]
        if all(isinstance(value, float) for value in values):
            numbers[METADATA + name] = np.array(values, dtype=np.float64)
        else:
            words[METADATA + name] = values
    return FeatureRows(len(features), numbers, words)


def feature_frame(features: Features, metadata: Sequence[str] = ()) -> pd.DataFrame:
    """Features as one table to learn from.

    Parameters
    ----------
    features : Features
    metadata : sequence of str
        Columns of the cohort, such as age, that are learned from beside the photo; none unless named.

    Returns
    -------
    pandas.DataFrame
        One row per photo. Columns: the measurements by id, then ``face/0``, ``face/1`` … for each region,
        then ``meta:age`` … for metadata.

    Raises
    ------
    InputError
        If there is no such column.

    Examples
    --------
    >>> import numpy as np
    >>> from anthropo.learning.features import Features, feature_frame
    >>> features = Features(
    ...     photos=np.array(["a.jpg", "b.jpg"]), labels=np.array(["control", "Noonan"]),
    ...     patients=np.array(["a", "b"]), measurements=np.array([[0.8], [1.1]]),
    ...     measurement_ids=("nasal_index",), regions={}, metadata={"age": [4.0, 31.0]},
    ...     digests=np.array(["", ""]), prints=np.zeros((2, 625), np.float32),
    ... )
    >>> list(feature_frame(features)), list(feature_frame(features, metadata=("age",)))
    (['nasal_index'], ['nasal_index', 'meta:age'])
    """
    import pandas as pd

    for name in metadata:
        if name not in features.metadata:
            raise InputError(
                f"{parameter('metadata', name)}: no such column to learn from. There are "
                f"{', '.join(features.metadata) or 'none'}."
            )
    parts = [pd.DataFrame(features.measurements, columns=list(features.measurement_ids))]
    for name, embedding in features.regions.items():
        columns = [f"{name}/{i}" for i in range(embedding.shape[1])]
        parts.append(pd.DataFrame(embedding, columns=columns))
    parts.append(pd.DataFrame({METADATA + name: features.metadata[name] for name in metadata}))
    return pd.concat(parts, axis=1)
