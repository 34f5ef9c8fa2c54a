"""People under several names, whose faces are drawn as the face network's embeddings lie."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from conftest import sentence_of
from numpy.typing import NDArray
from simulated import simulated

from anthropo.encoder.encoders import load_encoder
from anthropo.errors import InputError
from anthropo.face.landmarker import read_face
from anthropo.learning.cohort import Case, Cohort
from anthropo.learning.cohort_checks import validate
from anthropo.learning.duplicates import PRINT_SIDE
from anthropo.learning.features import Features
from anthropo.learning.identity import (
    FARTHEST,
    IDENTITY,
    SURE,
    face_identity,
    find_same_people,
    knows_people,
    merged,
    resolve_people,
)
from anthropo.learning.judging import cross_validate
from anthropo.learning.metrics import judge
from anthropo.learning.model import Options
from anthropo.photo import Photo

Vectors = NDArray[np.float32]


def photos_of(people: int, each: int, seed: int = 0, apart: float = 0.9, within: float = 0.4) -> Vectors:
    """Embeddings of photos, person by person: strangers are `apart` on average, photos of one `within`."""
    random = np.random.default_rng(seed)
    unit = np.sqrt(2 * IDENTITY)
    centres = random.standard_normal((people, 1, IDENTITY)) * apart / unit
    photos = centres + random.standard_normal((people, each, IDENTITY)) * within / unit
    return photos.reshape(-1, IDENTITY).astype(np.float32)


def features_of(identities: Vectors, patients: list[str], labels: list[str] | None = None) -> Features:
    n = len(identities)
    return Features(
        photos=np.array([f"{i}.jpg" for i in range(n)]),
        labels=np.array(labels or ["x"] * n),
        patients=np.array(patients),
        measurements=np.zeros((n, 0)),
        measurement_ids=(),
        regions={"face": identities},
        metadata={},
        digests=np.array([f"sha{i}" for i in range(n)]),
        prints=np.zeros((n, 625), np.float32),
        identities=identities,
    )


def two_names(people: int, each: int) -> list[str]:
    """Every other photo of a person is under another spelling."""
    return [("P{}" if k % 2 else "p{}").format(i) for i in range(people) for k in range(each)]


def test_people_under_two_names_are_found_and_nobody_else() -> None:
    features = features_of(photos_of(40, 4), two_names(40, 4))
    pairs = find_same_people(features)
    assert {tuple(sorted(pair.patients)) for pair in pairs} == {(f"P{i}", f"p{i}") for i in range(40)}
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)
    joined = merged(features, pairs)
    assert joined.patients.tolist() == [f"p{i}" for i in range(40) for _ in range(4)]
    assert not find_same_people(joined)


def test_strangers_whose_faces_lie_close_are_left_alone() -> None:
    """Babies: half as far apart as adults, nearer than two photos of an adult may be."""
    close = photos_of(40, 1, apart=0.4, within=0.1)
    distance = np.linalg.norm(close[0] - close[1])
    assert SURE < distance < FARTHEST
    assert find_same_people(features_of(close, [f"p{i}" for i in range(40)])) == []


def test_photos_without_names_are_sorted_by_person() -> None:
    names = [os.path.realpath(f"{i}.jpg") for i in range(80)]
    features = features_of(photos_of(20, 4), names)
    people = merged(features, find_same_people(features)).patients.reshape(20, 4)
    assert all(len(set(person)) == 1 for person in people.tolist())
    assert len(set(people[:, 0].tolist())) == 20


def test_three_names_of_one_person() -> None:
    names = [f"p{i}{'abc'[k]}" for i in range(30) for k in range(3)]
    features = features_of(photos_of(30, 3, within=0.3), names)
    assert len(set(merged(features, find_same_people(features)).patients.tolist())) == 30


def test_copies_are_found_in_the_smallest_cohort() -> None:
    same = photos_of(2, 2, within=0.05)
    (one, other) = find_same_people(features_of(same, ["a", "b", "c", "d"]))
    assert {one.patients, other.patients} == {("a", "b"), ("c", "d")}
    assert find_same_people(features_of(photos_of(1, 1), ["a"])) == []
    assert find_same_people(features_of(photos_of(0, 1), [])) == []


def test_masked_faces_are_not_compared() -> None:
    features = features_of(photos_of(10, 2, within=0.1), two_names(10, 2))
    hidden = np.zeros((20, 68), np.bool_)
    hidden[:2, 30:60] = True
    assert len(find_same_people(replace(features, hidden=hidden))) == 9


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = features_of(photos_of(25, 4), two_names(25, 4))
    whole = find_same_people(features)
    for block in (1, 7, 99):
        monkeypatch.setattr("anthropo.learning.identity._BLOCK", block)
        assert [p.patients for p in find_same_people(features)] == [p.patients for p in whole]


def auroc(features: Features) -> float:
    options = Options(classifier="svm", parts=frozenset({"regions"}), min_patients=2)
    (question,) = cross_validate(features, options, baselines=False).questions
    return judge(question.models["hybrid"], "affected", bootstrap=100)["auroc"].value


def test_random_labels_are_not_learned_from_people_with_two_names() -> None:
    """40 people of four photos, labels by chance, names spelled in two ways."""
    people = np.random.default_rng(3).permutation(["affected", "control"] * 20)
    features = features_of(photos_of(40, 4), two_names(40, 4), [str(p) for p in people for _ in range(4)])
    ignored, _, _ = resolve_people("c.csv", features, "ignore")
    assert auroc(ignored) > 0.9
    protected, same, findings = resolve_people("c.csv", features)
    assert (same.how, len(same.pairs), same.joined) == ("merge", 40, 40)
    assert [finding.level for finding in findings] == ["warning"]
    assert abs(auroc(protected) - 0.5) < 0.2  # 40 people: 95 % within 0.18


def test_what_is_said() -> None:
    labels = ["Noonan", "control", "control", "control"] + ["control"] * 16
    features = features_of(photos_of(10, 2, within=0.1), two_names(10, 2), labels)
    for how, level in (("refuse", "error"), ("merge", "warning"), ("ignore", "note")):
        after, people, (finding, *more) = resolve_people("c.csv", features, how)
        assert (finding.level, finding.category) == (level, "identity")
        assert "p8 (16.jpg) = P8 (17.jpg) (distance 0.09)" in finding.message
        assert "and 5 more pairs" in finding.message
        assert "\n" not in finding.message
        assert len(set(after.patients.tolist())) == (10 if how == "merge" else 20)
        assert len(people.pairs) == 10
        if how == "ignore":
            assert not more
        else:
            assert "p0 (0.jpg) and P0 (1.jpg) (Noonan against control)" in more[0].message
            assert "p1" not in more[0].message
            assert "same_person='ignore'" in finding.message
    assert people.sentence().startswith("10 pairs of patients with one face, which count as different")
    assert "10 patients fewer" in resolve_people("c.csv", features)[1].sentence()


def test_who_accepts_copies_accepts_people() -> None:
    features = features_of(photos_of(10, 2, within=0.1), two_names(10, 2))
    after, people, findings = resolve_people("c.csv", features, allow_duplicates=True)
    assert after is features
    assert (people.looked, findings) == (False, [])
    assert len(resolve_people("c.csv", features, "refuse", allow_duplicates=True)[1].pairs) == 10


def test_a_choice_that_there_is_not() -> None:
    features = features_of(photos_of(2, 1), ["a", "b"])
    said = sentence_of(InputError, resolve_people, "c.csv", features, "join")
    assert said == "same_person='join': unknown. Choose from refuse, merge, ignore."


def test_identity_is_that_of_the_default_encoder(astronaut: NDArray[np.uint8]) -> None:
    photo = Photo.from_array(astronaut)
    face, encoder = read_face(photo), load_encoder()
    assert knows_people(encoder, ("eyes", "face"))
    np.testing.assert_array_equal(face_identity(photo, face), encoder.embed(photo, face, ["face"])[0])
    assert not knows_people(encoder, ("eyes",))
    assert not knows_people(replace(encoder, align="two-point"), ("face",))
    assert not knows_people(encoder.randomised(), ("face",))


def test_pictures_of_who_is_merged_are_no_leak_but_contradictions_and_equal_files_are() -> None:
    made = simulated({"case": 4, "control": 4})
    prints = np.random.default_rng(0).standard_normal((8, PRINT_SIDE**2)).astype(np.float32)
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    prints[1], prints[4], prints[6] = prints[0], prints[3], prints[5]
    digests = made.digests.copy()
    digests[6] = digests[5]
    before = replace(made, prints=prints, digests=digests)
    # the second person is the first, the fifth the fourth, the seventh the sixth
    together = replace(before, patients=made.patients[[0, 0, 2, 3, 3, 5, 5, 7]])
    rows = zip(*(of.tolist() for of in (made.photos, made.labels, made.patients)), strict=True)
    cohort = Cohort(tuple(Case(*row) for row in rows), "c.csv")
    photos = made.photos.tolist()

    def named(merged: Features | None) -> dict[str, set[int]]:
        found = validate(cohort, before, merged=merged)
        return {
            f.level: {i for i, photo in enumerate(photos) if photo in f.message}
            for f in found
            if f.category == "duplicate"
        }

    assert named(None) == {"error": {0, 1, 3, 4, 5, 6}}
    assert named(before) == {"error": {0, 1, 3, 4, 5, 6}}
    assert named(together) == {"error": {3, 4, 5, 6}, "note": {0, 1}}
