"""The same person in a cohort under two names, found by the face.

A person who is on both sides of a split makes every figure too good: the face network knows people, and a
model learns them instead of their labels. With random labels, 40 people of four photos each are told apart
with an AUROC of .92 once each has two names.

Photos are compared by the embedding of the aligned face by the packaged face network, whatever encoder the
model itself has. One distance for everybody will not do: the faces of babies, and of people of one ancestry,
lie closer together for this network than photos of one adult. So two photos are of one person where they are
near each other compared with how far each is from the people around it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from anthropo.encoder.encoders import ChipEncoder, Encoder, load_encoder
from anthropo.encoder.regions import ALIGNMENTS
from anthropo.errors import InputError, parameter
from anthropo.face.landmarker import Face
from anthropo.face.weights import known_weights
from anthropo.learning.cohort import Finding, some
from anthropo.photo import Photo
from anthropo.showing import brief, fielded

if TYPE_CHECKING:
    from anthropo.learning.features import Features

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SamePerson = Literal["refuse", "merge", "ignore"]
#: What can be done about one person under several names.
SAME_PERSON: tuple[SamePerson, ...] = ("refuse", "merge", "ignore")

#: Numbers that a face is compared by.
IDENTITY = 128
#: Two photos are of one person if the distance of their embeddings is below FARTHEST, and below NEAR times
#: that of each to the third nearest other person (the geometric mean of both); below SURE they always are.
#: What this finds, and how often wrongly, is in docs/benchmarks.md, "The same person under two names".
FARTHEST, NEAR, SURE = 0.45, 0.7, 0.2
_AROUND = 3  # so that a person under three names is found
# Where photos have no patient's name, others of the same person may be the nearest ones.
_NEAR_UNNAMED, _AROUND_UNNAMED = 0.6, 8
_PASSES = 6  # at most; each knows the people that the one before has found
_HIDDEN = 12  # landmarks: masks and sunglasses make people alike
#: The region that tells who somebody is, to the network of this name.
IDENTITY_REGION, _ENCODER = "face", "face-resnet"
_BLOCK = 1024  # rows compared at a time
_NAMED = 5


@lru_cache(maxsize=1)
def _network() -> ChipEncoder:
    return load_encoder(_ENCODER)


def knows_people(encoder: Encoder, regions: Sequence[str]) -> bool:
    """Whether what an encoder gives of these regions holds the identity already."""
    packaged = encoder.name == _ENCODER and encoder.weights == known_weights(_ENCODER).sha256
    return packaged and encoder.align == ALIGNMENTS[0] and IDENTITY_REGION in regions


def face_identity(photo: Photo, face: Face) -> NDArray[np.float32]:
    """What a face is compared by (IDENTITY,): its embedding by the packaged face network."""
    identity: NDArray[np.float32] = _network().embed(photo, face, [IDENTITY_REGION])[0]
    return identity


@dataclass(frozen=True, slots=True, kw_only=True)
class SamePair:
    """Two patients of a cohort whose faces are one person's."""

    first: str  # the two photos that are nearest
    second: str
    patients: tuple[str, str]
    labels: tuple[tuple[str, ...], tuple[str, ...]]  # of all photos of each
    distance: float  # of the embeddings

    def __repr__(self) -> str:
        return brief(self, f"distance {self.distance:.2f}", "of different labels" if self.torn else "")

    @property
    def torn(self) -> bool:
        """Whether the labels of the two differ."""
        return set(self.labels[0]) != set(self.labels[1])

    def __str__(self) -> str:
        names = [_shown(*one) for one in zip(self.patients, (self.first, self.second), strict=True)]
        return f"{' = '.join(names)} (distance {self.distance:.2f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamePeople:
    """What was found of people under several names, and what was done about it."""

    how: SamePerson = "merge"
    looked: bool = False  # whether faces were compared
    pairs: tuple[SamePair, ...] = ()  # of patients, the nearest first
    joined: int = 0  # names less after merging

    __repr__ = fielded

    def sentence(self) -> str:
        """What was done, without a name of anybody."""
        return what_was_done(self.how, len(self.pairs), self.joined) if self.looked else "faces not compared"


def what_was_done(how: str, pairs: int, joined: int) -> str:
    """In words, how people under several names were treated."""
    if not pairs:
        return "no face under two names"
    counted = f"{pairs:,} pair{'' if pairs == 1 else 's'} of patients with one face"
    if how == "merge":
        return f"{counted}, which count as one patient each: {joined:,} patients fewer"
    return f"{counted}, which count as different patients, as was asked for"


def same_person_choice(how: str | None) -> SamePerson:
    """What is done about one person under several names; merge unless something else is asked for."""
    if how is None:
        return "merge"
    for choice in SAME_PERSON:
        if how == choice:
            return choice
    raise InputError(f"{parameter('same_person', how)}: unknown. Choose from {', '.join(SAME_PERSON)}.")


def find_same_people(features: Features) -> list[SamePair]:
    """Pairs of patients whose faces are one person's.

    Photos on which much of the face is hidden are not compared.

    Parameters
    ----------
    features : Features
        With ``identities``; without these nothing is found.

    Returns
    -------
    list of SamePair
        The nearest first, each pair of patients once, by their two nearest photos.

    Examples
    --------
    >>> import anthropo
    >>> from anthropo.learning import find_same_people
    >>> from anthropo.learning.cohort import Case, Cohort
    >>> photo = anthropo.example_photo()
    >>> cohort = Cohort((Case(photo, "affected", "P1"), Case(photo, "affected", "p1")), "one photo")
    >>> features = anthropo.extract(cohort, anthropo.Settings(), anthropo.load_encoder(), regions=["face"])
    >>> [pair.patients for pair in find_same_people(features)]
    [('P1', 'p1')]
    """
    if features.identities is None:
        return []
    seen = np.arange(len(features))
    if features.hidden is not None:
        seen = seen[features.hidden.sum(1) < _HIDDEN]
    photos, names, labels = (of.tolist() for of in (features.photos, features.patients, features.labels))
    unnamed = np.array([names[i] == os.path.realpath(photos[i]) for i in seen], dtype=np.bool_)
    owner = _numbered([names[i] for i in seen])
    first, second, distance = _same(features.identities[seen], owner, unnamed)
    of_patient: dict[str, dict[str, None]] = {}
    for name, label in zip(names, labels, strict=True):
        of_patient.setdefault(name, {})[label] = None
    return [
        SamePair(
            first=photos[i],
            second=photos[j],
            patients=(names[i], names[j]),
            labels=(tuple(of_patient[names[i]]), tuple(of_patient[names[j]])),
            distance=d,
        )
        for i, j, d in zip(seen[first].tolist(), seen[second].tolist(), distance.tolist(), strict=True)
    ]


def find_known_people(features: Features, others: Features) -> list[SamePair]:
    """Patients of a cohort whose faces are those of people in another, such as a model's training cohort.

    Returns
    -------
    list of SamePair
        The nearest first; the first photo and patient of each is the cohort's.
    """
    if features.identities is None or others.identities is None:
        return []
    both = replace(
        features,
        photos=np.concatenate([features.photos, others.photos]),
        labels=np.concatenate([features.labels, others.labels]),
        # names of two tables say nothing of each other
        patients=np.array([f"{k}{name}" for k, of in enumerate((features, others)) for name in of.patients]),
        identities=np.concatenate([features.identities, others.identities]),
        hidden=None
        if features.hidden is None or others.hidden is None
        else np.concatenate([features.hidden, others.hidden]),
    )
    pairs = []
    for pair in find_same_people(both):
        kinds, names = [name[0] for name in pair.patients], [name[1:] for name in pair.patients]
        if kinds == ["0", "1"]:
            pairs.append(replace(pair, patients=(names[0], names[1])))
        elif kinds == ["1", "0"]:
            turned = replace(pair, first=pair.second, second=pair.first, labels=pair.labels[::-1])
            pairs.append(replace(turned, patients=(names[1], names[0])))
    return pairs


def _numbered(names: Sequence[str]) -> Ints:
    order = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)


def _same(points: NDArray[np.float32], owner: Ints, unnamed: NDArray[np.bool_]) -> tuple[Ints, Ints, Floats]:
    """Rows of pairs that are of one person, the nearest pair of every two owners, and their distances."""
    i, j, distance = near(points, FARTHEST)
    across = owner[i] != owner[j]
    order = np.lexsort((j[across], i[across], distance[across]))
    i, j, distance = i[across][order], j[across][order], distance[across][order]
    same, person = distance < SURE, owner
    for turn in range(_PASSES if len(i) else 0):
        person = _joined(owner, i[same], j[same])
        if turn == 0 and unnamed.any():
            both = unnamed[i] & unnamed[j]
            around = _around(points, person, _AROUND_UNNAMED)
            joined = both & (distance < _NEAR_UNNAMED * np.sqrt(around[i] * around[j]))
        else:
            around = _around(points, person, _AROUND)
            joined = distance < NEAR * np.sqrt(around[i] * around[j])
        if turn and not (joined & ~same).any():
            break
        same |= joined
    i, j, distance = i[same], j[same], distance[same]
    pair = np.minimum(owner[i], owner[j]) * (owner.max(initial=0) + 1) + np.maximum(owner[i], owner[j])
    once = np.sort(np.unique(pair, return_index=True)[1])  # the first of each, which is the nearest
    return i[once], j[once], distance[once]


def near(points: NDArray[np.float32], limit: float) -> tuple[Ints, Ints, Floats]:
    """Pairs of rows that are nearer than `limit`, the smaller number first, and their distances."""
    blocks = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for start, distance in _distances(points):
        rows, columns = np.nonzero(np.triu(distance < limit, start + 1))
        blocks.append((start + rows, columns, distance[rows, columns]))
    i, j, distance = (np.concatenate(of) for of in zip(*blocks, strict=True))
    return i, j, distance


def _distances(points: NDArray[np.float32]) -> Iterator[tuple[int, Floats]]:
    """Distances of blocks of rows from all rows."""
    every = points.astype(np.float64)
    squares = (every**2).sum(1)
    for start in range(0, len(every), _BLOCK):
        block = slice(start, start + _BLOCK)
        squared = squares[block, None] + squares[None] - 2 * every[block] @ every.T
        yield start, np.sqrt(np.maximum(squared, 0))


def _around(points: NDArray[np.float32], person: Ints, number: int) -> Floats:
    """Distance of each row from the person who is the `number`-th nearest of the others."""
    people, at = np.unique(person, return_inverse=True)
    if len(people) < 2:
        return np.zeros(len(points))
    order = np.argsort(at, kind="stable")
    begins = np.searchsorted(at[order], np.arange(len(people)))
    rank = min(number, len(people) - 1) - 1
    around = np.empty(len(points))
    for start, distance in _distances(points):
        nearest = np.minimum.reduceat(distance[:, order], begins, axis=1)
        nearest[np.arange(len(nearest)), at[start : start + len(nearest)]] = np.inf
        around[start : start + len(nearest)] = np.partition(nearest, rank, axis=1)[:, rank]
    return around


def _joined(owner: Ints, first: Ints, second: Ints) -> Ints:
    """The person of each row, where these pairs of rows are of one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number = int(owner.max()) + 1
    pairs = coo_array((np.ones(len(first)), (owner[first], owner[second])), shape=(number, number))
    people: Ints = connected_components(pairs, directed=False)[1].astype(np.int64)[owner]
    return people


def merged(features: Features, pairs: Sequence[SamePair]) -> Features:
    """The features with one name for each person, that of the first photo."""
    names = features.patients.tolist()
    order = list(dict.fromkeys(names))
    number = {name: i for i, name in enumerate(order)}
    first, second = (np.array([number[pair.patients[k]] for pair in pairs], dtype=np.int64) for k in (0, 1))
    person = _joined(np.arange(len(order)), first, second).tolist()
    called: dict[int, str] = {}
    for name, one in zip(order, person, strict=True):
        called.setdefault(one, name)
    patients = np.array([called[person[number[name]]] for name in names], dtype=np.str_)
    return replace(features, patients=patients)


def resolve_people(
    source: str, features: Features, how: str | None = None, *, allow_duplicates: bool = False
) -> tuple[Features, SamePeople, list[Finding]]:
    """Look for people under several names: the features with what was done, and findings about it.

    Parameters
    ----------
    source : str
        The cohort's table, for messages.
    features : Features
    how : {"refuse", "merge", "ignore"}, optional
        Merge when left out.
    allow_duplicates : bool
        Whether one photograph may be under different patients. Then so may one person, and nobody is looked
        for unless `how` is given.

    Returns
    -------
    Features
        Where people are merged, each has one name.
    SamePeople
    list of Finding
        An error where they are refused.
    """
    chosen: SamePerson = same_person_choice(how)
    if features.identities is None or (how is None and allow_duplicates):
        return features, SamePeople(how="ignore"), []
    pairs = find_same_people(features)
    before = len(set(features.patients.tolist()))
    if chosen == "merge" and pairs:
        features = merged(features, pairs)
    joined = before - len(set(features.patients.tolist()))
    people = SamePeople(how=chosen, looked=True, pairs=tuple(pairs), joined=joined)
    return features, people, _findings(source, people) if pairs else []


def _findings(source: str, people: SamePeople) -> list[Finding]:
    what = f"{source}: one face under different patients, {named_pairs(people.pairs)}"
    ignore = parameter("same_person", "ignore")
    if people.how == "refuse":
        merge = parameter("same_person", "merge")
        text = (
            f"{what}: a model tested on one has seen the other. Give both the same patient, or pass {merge}; "
            f"if they are different people, such as twins, pass {ignore}."
        )
        findings = [Finding("error", "identity", text)]
    elif people.how == "merge":
        text = (
            f"{what}: each counts as one patient, so that no model is tested on whom it has seen. Write the "
            f"patients alike; if they are different people, such as twins, pass {ignore}."
        )
        findings = [Finding("warning", "identity", text)]
    else:
        text = f"{what}: they count as different patients ({ignore} was given)."
        return [Finding("note", "identity", text)]
    torn = [pair for pair in people.pairs if pair.torn]
    if torn:
        named = some(
            f"{' and '.join(_shown(*one) for one in zip(p.patients, (p.first, p.second), strict=True))} "
            f"({' against '.join(map(_words, p.labels))})"
            for p in torn
        )
        text = f"{source}: one face with different labels, {named}. Correct the label, or the patient."
        findings.append(Finding("warning", "identity", text))
    return findings


def _words(labels: tuple[str, ...]) -> str:
    return ", ".join(label or "no label" for label in labels)


def named_pairs(pairs: Sequence[SamePair]) -> str:
    """The first few pairs, for a message."""
    more = f" and {len(pairs) - _NAMED} more pairs" if len(pairs) > _NAMED else ""
    return ", ".join(map(str, pairs[:_NAMED])) + more


def _shown(patient: str, photo: str) -> str:
    """A patient as a table's reader knows them; by the photo where no name was given."""
    return photo if patient == os.path.realpath(photo) else f"{patient} ({photo})"
