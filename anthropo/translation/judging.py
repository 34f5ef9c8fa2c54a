"""Judging a translation on people whom it has not seen."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anthropo.encoder.encoders import ChipEncoder, load_encoder
from anthropo.errors import FaceError, WeightsError
from anthropo.face.frame import outer_canthal_distance
from anthropo.learning.bootstrap import rank_areas
from anthropo.learning.intervals import Interval, percentiles, unknown
from anthropo.measurement.compute import Z95, measure_face
from anthropo.measurement.registry import registry
from anthropo.observation import observe
from anthropo.parallel.runner import Lost, Runner, choose
from anthropo.photo import Photo, example_photo, read_photo
from anthropo.settings import Settings
from anthropo.translation.pictures import DOMAINS, Faces, Pixels, TranslationDomains, cut, encoder_chips

if TYPE_CHECKING:
    import pandas as pd

    from anthropo.translation.file import Translation

Floats = NDArray[np.float64]

#: Pictures are enlarged to as many pixels before anthropo looks for landmarks in them.
LEAST_SIDE = 256
#: Faces of a domain that are judged on, and that a classifier learns from, at most.
MOST_FACES = 1000
SAMPLES = 8
#: Steps of `judge_translation`.
STEPS = 7
_RESAMPLES = 1000
_HALVINGS = 50
_PER = 1000.0  # kernel distances are small numbers
#: The encoder that pictures are compared by where it is not faces that are to be compared.
TEXTURES = "efficientnet-lite0"
_EMBEDDING_SCALE = 10.0  # the numbers of a face's embedding have an SD of about a tenth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredPicture:
    """A picture's landmarks and measurements."""

    landmarks: Floats  # (68, 2) as shares of the picture's side
    unit: float  # outer-canthal distance, in the same
    values: Floats  # (m,)
    repeat_sd: Floats  # (m,)


@dataclass(frozen=True, slots=True)
class _Measure:
    """The work on one picture."""

    settings: Settings

    def prepare(self) -> None:
        """Read what every picture needs."""
        photo = read_photo(example_photo())
        self(cut(photo, observe(photo).face.landmarks, 64)[0])

    def __call__(self, picture: Pixels) -> MeasuredPicture | None:
        large = enlarged(picture)
        try:
            seen = observe(Photo.from_array(large), self.settings)
        except FaceError:
            return None
        landmarks = (seen.face.landmarks + 0.5) / len(large)
        measured = measure_face(seen.face, seen.photo, force=True)
        return MeasuredPicture(
            landmarks=landmarks,
            unit=outer_canthal_distance(landmarks),
            values=np.array([m.value for m in measured]),
            repeat_sd=np.array([m.repeat_sd for m in measured]),
        )


def enlarged(picture: Pixels) -> Pixels:
    """A picture of at least `LEAST_SIDE` pixels, by a whole factor."""
    size = len(picture)
    side = size * -(-LEAST_SIDE // size)
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def measured(
    pictures: Sequence[Pixels] | Pixels, settings: Settings, jobs: int = 1, runner: Runner | None = None
) -> list[MeasuredPicture | None]:
    """The landmarks and measurements of pictures; None where no face is found."""
    work, pool = _Measure(settings), choose(jobs, len(pictures), runner)
    with contextlib.closing(pool.in_order(work, pictures)) as results:
        return [None if isinstance(one, Lost) else one for one in results]


def displacement(before: MeasuredPicture, after: MeasuredPicture) -> Floats:
    """How far each landmark has moved (68,), in outer-canthal distances of the original."""
    moved: Floats = np.linalg.norm(after.landmarks - before.landmarks, axis=-1) / before.unit
    return moved


# ---------------------------------------------------------------------------- what a translation does


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changed:
    """How a measurement changes when faces are translated."""

    id: str
    unit: str
    n: int  # faces of which it is known before and after
    change: float  # median of the absolute change
    limit: float  # median of what two photos of a person differ by at most (95 %)
    beyond: float  # share of the faces whose change is beyond their own limit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Direction:
    """A translation in one direction, on people who were kept apart.

    Attributes
    ----------
    to : str
        The domain that is translated to.
    faces : int
        Pictures that were translated.
    unseen : int
        Of these, in how many no face is found before they are translated, at their size.
    lost : int
        In how many of the others no face is found afterwards.
    displacement : Interval
        Median over faces and landmarks, outer-canthal distances.
    by_landmark : (68,) array
        Median of each.
    measurements : tuple of Changed
    beyond : Interval
        Share of all measurements of all faces that change beyond what two photos of a person differ by.
    kid : mapping of str to Interval
        Kernel inception distance on the encoder, times 1,000: "translated" and "untranslated" from the real
        pictures that it is translated to, and "itself", these in two halves. The encoder has learned to see
        whose face it is and little else.
    textures : mapping of str to Interval
        The same on `TEXTURES`, which has learned from all kinds of photographs, and sees light, focus and
        backdrop; empty where its package is not installed.
    samples : (k, 3, size, size, 3) uint8 array
        Real, translated, and translated back.
    """

    to: str
    faces: int
    unseen: int
    lost: int
    displacement: Interval
    by_landmark: Floats
    measurements: tuple[Changed, ...]
    beyond: Interval
    kid: Mapping[str, Interval]
    textures: Mapping[str, Interval]
    samples: Pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transfer:
    """A classifier that is trained in one domain and used in the other one.

    Attributes
    ----------
    to : str
        The domain that it is used in.
    label, positive : str
        What it tells, and the one of two that figures are of.
    trained, judged : int
        Photos. Those that it is judged on are of people who were kept apart.
    plain, translated, difference : Interval
        AUROC when it is trained on photos as they are, on translated ones, and the second less the first.
    """

    to: str
    label: str
    positive: str
    trained: int
    judged: int
    plain: Interval
    translated: Interval
    difference: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TranslationJudgement:
    """What a translation does to people whom it has not seen.

    Attributes
    ----------
    directions : tuple of Direction
        To B, and to A.
    transfers : tuple of Transfer
        In the same order; none without a label.
    notes : tuple of str
        Why something is missing.
    """

    directions: tuple[Direction, ...]
    transfers: tuple[Transfer, ...] = ()
    notes: tuple[str, ...] = ()

    def figures(self) -> dict[str, float]:
        """The figures that a translation's file keeps."""
        kept: dict[str, float] = {}
        for one in self.directions:
            values = {"displacement": one.displacement.value, "beyond": one.beyond.value}
            values |= {f"kid {name}": kid.value for name, kid in one.kid.items()}
            values |= {f"textures {name}": kid.value for name, kid in one.textures.items()}
            values |= {"faces": one.faces, "lost": one.lost}
            kept |= {f"to {one.to}: {name}": value for name, value in values.items()}
        for of in self.transfers:
            kept[f"to {of.to}: AUROC, plain"] = of.plain.value
            kept[f"to {of.to}: AUROC, translated"] = of.translated.value
        return {name: float(value) for name, value in kept.items() if np.isfinite(value)}

    def to_frame(self) -> pd.DataFrame:
        """A row for each direction and landmark, or measurement: what moved, by how much."""
        import pandas as pd

        rows: list[dict[str, object]] = []
        for one in self.directions:
            rows += [
                {"to": one.to, "of": f"p{i}", "unit": "ex-ex", "change": value, "faces": one.faces - one.lost}
                for i, value in enumerate(one.by_landmark.tolist())
            ]
            rows += [
                {
                    "to": one.to,
                    "of": m.id,
                    "unit": m.unit,
                    "change": m.change,
                    "faces": m.n,
                    "beyond": m.beyond,
                }
                for m in one.measurements
            ]
        return pd.DataFrame(rows)


def judge_translation(
    translation: Translation,
    domains: TranslationDomains,
    settings: Settings,
    *,
    label: str | None = None,
    jobs: int = 1,
    runner: Runner | None = None,
    seed: int = 0,
    stepped: Callable[[], None] | None = None,
) -> TranslationJudgement:
    """What a translation does to the people who were kept apart.

    `label` is the column that the domains' faces have labels of; `stepped` is called after each of `STEPS`
    steps.
    """
    directions, transfers, notes = [], [], []
    step = stepped or (lambda: None)
    encoders = {"kid": load_encoder()}
    try:
        encoders["textures"] = load_encoder(TEXTURES)
    except WeightsError as error:
        notes.append(f"textures are not compared: {error}")
    held = [_some(faces, seed) for faces in domains.held_out]
    real = {
        name: [_embedded(encoder, faces.pictures) for faces in held] for name, encoder in encoders.items()
    }
    step()
    for source, target in ((0, 1), (1, 0)):
        to, back = DOMAINS[target], DOMAINS[source]
        faces = held[source]
        translated = translation.translate(faces.pictures, to)
        before = measured(faces.pictures, settings, jobs, runner)
        after = measured(translated, settings, jobs, runner)
        step()
        people, others = faces.people, held[target].people
        samples = np.stack(
            [
                faces.pictures[:SAMPLES],
                translated[:SAMPLES],
                translation.translate(translated[:SAMPLES], back),
            ],
            1,
        )
        distances = {
            name: {
                "translated": kernel_distance(_embedded(encoder, translated), there[target], people, others),
                "untranslated": kernel_distance(there[source], there[target], people, others),
                "itself": distance_by_chance(there[target], others, seed),
            }
            for (name, encoder), there in zip(encoders.items(), real.values(), strict=True)
        }
        step()
        directions.append(_direction(to, before, after, people, distances, samples, seed))
        if label is not None:
            train, seen = domains.train[source], real["kid"][target]
            embedded = partial(_embedded, encoders["kid"])
            of = _transfer(translation, train, held[target], seen, embedded, label, to, seed)
            if isinstance(of, str):
                notes.append(of)
            else:
                transfers.append(of)
        step()
    return TranslationJudgement(directions=tuple(directions), transfers=tuple(transfers), notes=tuple(notes))


def _embedded(encoder: ChipEncoder, pictures: Pixels) -> Floats:
    """Embeddings (n, d) of translated or real pictures."""
    return encoder.encode(encoder_chips(pictures, encoder.size)).astype(np.float64)


def _some(faces: Faces, seed: int) -> Faces:
    """The faces of a domain that are judged on: all, or so many at random."""
    rows = np.random.default_rng(seed).permutation(len(faces))[:MOST_FACES]
    return faces.subset(np.sort(rows))


def _direction(
    to: str,
    before: Sequence[MeasuredPicture | None],
    after: Sequence[MeasuredPicture | None],
    people: NDArray[np.str_],
    distances: Mapping[str, Mapping[str, Interval]],
    samples: Pixels,
    seed: int,
) -> Direction:
    unseen = sum(one is None for one in before)
    both = [
        (b, a, who)
        for b, a, who in zip(before, after, people, strict=True)
        if b is not None and a is not None
    ]
    lost = len(before) - unseen - len(both)
    moved = np.array([displacement(b, a) for b, a, _ in both]).reshape(len(both), 68)
    owners = np.array([who for _, _, who in both], dtype=np.str_)
    entries = list(registry().values())
    change = np.array([np.abs(a.values - b.values) for b, a, _ in both]).reshape(len(both), len(entries))
    # the difference of two photos of a person has both their errors
    spread = np.array([np.hypot(b.repeat_sd, a.repeat_sd) for b, a, _ in both]).reshape(change.shape)
    limit = Z95 * spread
    known = np.isfinite(change) & np.isfinite(limit)
    beyond = known & (change > limit)
    measurements = [
        Changed(
            id=entry.id,
            unit=entry.unit,
            n=int(known[:, i].sum()),
            change=float(np.median(change[known[:, i], i])),
            limit=float(np.median(limit[known[:, i], i])),
            beyond=float(beyond[known[:, i], i].mean()),
        )
        for i, entry in enumerate(entries)
        if known[:, i].any()
    ]
    reason = "" if len(both) else "no face is found in a translated picture"

    def overall(rows: NDArray[np.int64]) -> tuple[float, float]:
        return float(np.median(moved[rows])), float(beyond[rows].sum() / max(1, known[rows].sum()))

    displaced, share = unknown(reason), unknown(reason)
    if both:
        figures = overall(np.arange(len(both)))
        drawn = np.array([overall(rows) for rows in people_drawn(owners, _RESAMPLES, seed)])
        displaced, share = (Interval(figures[i], *percentiles(drawn[:, i]), len(both)) for i in (0, 1))
    return Direction(
        to=to,
        faces=len(before),
        unseen=unseen,
        lost=lost,
        displacement=displaced,
        by_landmark=np.median(moved, 0) if both else np.full(68, np.nan),
        measurements=tuple(measurements),
        beyond=share,
        kid=distances["kid"],
        textures=distances.get("textures", {}),
        samples=samples,
    )


def people_drawn(people: NDArray[np.str_], times: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Rows of people who are drawn with replacement, with all their photos, again and again."""
    random = np.random.default_rng(seed)
    names, index = np.unique(people, return_inverse=True)
    rows = [np.flatnonzero(index == i) for i in range(len(names))]
    for _ in range(times):
        yield np.concatenate([rows[i] for i in random.integers(len(names), size=len(names))])


# -------------------------------------------------------------------------- kernel inception distance


def kernel_distance(x: Floats, y: Floats, people_x: NDArray[np.str_], people_y: NDArray[np.str_]) -> Interval:
    """Kernel inception distance of embeddings (n, d) from embeddings (m, d), times 1,000.

    The unbiased squared maximum mean discrepancy with the kernel (x·y / d + 1)³ (Bińkowski et al. 2018,
    ICLR); embeddings are divided by the root mean square of `y`. Within a side people are compared with
    others only: photos of one person are more alike than a sample of people is. The 95 % interval is that of
    a jackknife over people of both sides.
    """
    if min(len(np.unique(people_x)), len(np.unique(people_y))) < 3:
        return unknown("fewer than three people")
    of = _Kernels.of(x, y, people_x, people_y)
    every_x, every_y = np.ones(len(x)), np.ones(len(y))
    value = of.distance(every_x, every_y)
    variance = 0.0
    for side, people in enumerate((people_x, people_y)):
        names = np.unique(people)
        kept = [(people != name).astype(float) for name in names]
        left = np.array([of.distance(every_x, k) if side else of.distance(k, every_y) for k in kept])
        variance += (len(names) - 1) / len(names) * float(((left - left.mean()) ** 2).sum())
    half = Z95 * variance**0.5
    return Interval(_PER * value, _PER * (value - half), _PER * (value + half), len(x))


def distance_by_chance(x: Floats, people: NDArray[np.str_], seed: int) -> Interval:
    """The same of half of the people from the other half: the mean of random halvings, and their spread."""
    random = np.random.default_rng(seed)
    names = np.unique(people)
    if len(names) < 6:
        return unknown("fewer than six people")
    of = _Kernels.of(x, x, people, people)
    values = []
    for _ in range(_HALVINGS):
        half = np.isin(people, random.permutation(names)[: len(names) // 2]).astype(float)
        values.append(_PER * of.distance(half, 1 - half))
    return Interval(float(np.mean(values)), *percentiles(np.array(values)), len(x))


@dataclass(frozen=True, slots=True, eq=False)
class _Kernels:
    """The kernel between all pairs, and which pairs within a side are of different people."""

    xx: Floats
    yy: Floats
    xy: Floats
    apart_x: Floats
    apart_y: Floats

    @classmethod
    def of(cls, x: Floats, y: Floats, people_x: NDArray[np.str_], people_y: NDArray[np.str_]) -> _Kernels:
        scale = np.sqrt((y**2).mean())
        x, y = x / scale, y / scale

        def kernel(a: Floats, b: Floats) -> Floats:
            return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

        apart = [(people[:, None] != people).astype(float) for people in (people_x, people_y)]
        return cls(kernel(x, x) * apart[0], kernel(y, y) * apart[1], kernel(x, y), *apart)

    def distance(self, keep_x: Floats, keep_y: Floats) -> float:
        """Of the pictures whose weight is 1, not 0."""
        within = 0.0
        for keep, kernel, apart in ((keep_x, self.xx, self.apart_x), (keep_y, self.yy, self.apart_y)):
            within += float(keep @ kernel @ keep / (keep @ apart @ keep))
        return float(within - 2 * (keep_x @ self.xy @ keep_y) / (keep_x.sum() * keep_y.sum()))


# ------------------------------------------------------------------------------ a classifier's transfer


def _transfer(
    translation: Translation,
    train: Faces,
    test: Faces,
    seen: Floats,
    embedded: Callable[[Pixels], Floats],
    label: str,
    to: str,
    seed: int,
) -> Transfer | str:
    """A classifier that learns from `train` as it is and translated, judged on `test`; or why it cannot."""
    from sklearn.linear_model import LogisticRegression

    assert train.labels is not None
    assert test.labels is not None
    taught, asked = np.array(train.labels), np.array(test.labels)
    classes = sorted({*taught[taught != ""].tolist()})
    known = taught != ""
    judged = np.isin(asked, classes)
    if len(classes) != 2 or len(np.unique(asked[judged])) != 2:
        return f"{label}: no classifier to {to}, since it is for two labels that both domains have."
    positive = classes[1]
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(known))[:MOST_FACES]
    truth = asked[judged] == positive

    def scores(pictures: Pixels) -> Floats:
        model = LogisticRegression(max_iter=2000, class_weight="balanced")
        model.fit(_EMBEDDING_SCALE * embedded(pictures), taught[rows] == positive)
        return np.asarray(model.decision_function(_EMBEDDING_SCALE * seen[judged]))

    pictures = train.pictures[rows]
    both = [scores(pictures), scores(translation.translate(pictures, to))]
    people = test.people[judged]
    drawn = [np.bincount(chosen, minlength=len(people)) for chosen in people_drawn(people, _RESAMPLES, seed)]
    weights = np.concatenate([np.ones((1, len(people))), np.array(drawn, dtype=float)])
    plain, translated = (rank_areas(one, truth, weights)[0] for one in both)

    def figure(areas: Floats) -> Interval:
        again = areas[1:][np.isfinite(areas[1:])]
        return Interval(float(areas[0]), *percentiles(again), len(people))

    return Transfer(
        to=to,
        label=label,
        positive=positive,
        trained=len(rows),
        judged=len(people),
        plain=figure(plain),
        translated=figure(translated),
        difference=figure(translated - plain),
    )
