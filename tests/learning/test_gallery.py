from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anthropo.learning.gallery import Gallery, fit_gallery

Floats = NDArray[np.float64]


FEW = {"a": 30, "b": 30, "c": 3, "d": 1}
MANY = {**dict.fromkeys("efghijkl", 12), "c": 3}


def cohort(seed: int = 0, people: dict[str, int] | None = None) -> tuple[Floats, list[str], list[str]]:
    """People with each label, two photos of each; each label has a direction of its own."""
    people = people or FEW
    random = np.random.default_rng(seed)
    directions = 1.5 * np.eye(len(people), 12)
    embeddings, labels, patients = [], [], []
    for at, (label, n) in enumerate(people.items()):
        for i in range(n):
            person = directions[at] + 0.6 * random.normal(size=12)
            for _ in range(2):
                embeddings.append(person + 0.2 * random.normal(size=12))
                labels.append(label)
                patients.append(f"{label}{i}")
    return np.array(embeddings), labels, patients


def test_one_vector_per_patient_of_the_rare_labels_only() -> None:
    found = fit_gallery(*cohort(), rare=["c", "d"])
    assert found.labels == ("c", "d")
    assert found.owner.tolist() == [0, 0, 0, 1]
    assert found.vectors.shape == (4, 12)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1)
    np.testing.assert_allclose(found.prior, [3 / 64, 1 / 64])  # of patients, not of photos


def test_a_patient_is_the_mean_of_their_photos_directions() -> None:
    embeddings, labels, patients = cohort()
    found = fit_gallery(embeddings, labels, patients, ["d"])
    said = np.array(labels)
    off = embeddings[-2:] - np.mean([embeddings[said == c].mean(0) for c in np.unique(said)], axis=0)
    mean = (off / np.linalg.norm(off, axis=1, keepdims=True)).mean(0)
    np.testing.assert_allclose(found.vectors[0], mean / np.linalg.norm(mean))


def test_a_near_copy_is_found_and_others_are_not() -> None:
    embeddings, labels, patients = cohort()
    found = fit_gallery(embeddings, labels, patients, ["c", "d"])
    odds = np.exp(found.log_odds(embeddings + 0.01))
    said = np.array(labels)
    assert (odds[said == "c"].argmax(1) == 0).all()
    assert (odds[said == "d"].argmax(1) == 1).all()
    assert odds[said == "c", 0].min() > 5 * odds[said == "a"].max(1).mean()
    np.testing.assert_allclose(found.similarity(embeddings)[said == "d", 1], 1, atol=0.1)


def test_similarity_and_odds_by_hand() -> None:
    gallery = Gallery(
        ("c", "d"), np.array([1.0, 0.0]), np.array([0, 0, 1]),
        np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), 2.0, -1.0, np.array([0.2, 0.3]),
    )  # fmt: skip
    asked = np.array([[1.0, 5.0], [-3.0, 0.0]])
    np.testing.assert_allclose(gallery.similarity(asked), [[1, 0], [0, 1]], atol=1e-12)
    # odds against the other half of the cohort
    np.testing.assert_allclose(
        np.exp(gallery.log_odds(asked)), np.exp([[1, -1], [-1, 1]]) * [[0.4, 0.6]], rtol=1e-12
    )


def test_odds_grow_with_the_cosine() -> None:
    found = fit_gallery(*cohort(), rare=["d"])
    assert found.slope > 0
    towards = found.vectors[0]
    across = np.linalg.svd(towards[None])[2][1]
    angles = np.linspace(0, np.pi, 20)
    path = found.centre + np.cos(angles)[:, None] * towards + np.sin(angles)[:, None] * across
    assert (np.diff(found.log_odds(path)[:, 0]) < 0).all()


def test_where_labels_do_not_show_a_match_is_worth_nothing() -> None:
    embeddings, labels, patients = cohort()
    noise = np.random.default_rng(1).normal(size=embeddings.shape)
    found = fit_gallery(noise, labels, patients, ["c"])
    real = fit_gallery(embeddings, labels, patients, ["c"])
    assert real.slope > 4 * found.slope
    odds = np.exp(found.log_odds(noise)[:, 0])
    base = found.prior[0] / (1 - found.prior[0])
    assert np.median(odds) == pytest.approx(base, rel=0.5)


def test_odds_are_honest_where_rare_labels_are_as_trained_ones() -> None:
    # over many cohorts: people of a rare label on one side, people of trained ones on the other
    ratios: list[list[float]] = [[], []]
    for seed in range(10):
        gallery = fit_gallery(*cohort(seed, MANY), rare=["c"])
        embeddings, labels, _ = cohort(seed + 100, MANY)
        said = np.array(labels)
        ratio = np.exp(gallery.log_odds(embeddings)[:, 0]) / gallery.prior[0] * (1 - gallery.prior[0])
        ratios[0] += ratio[said == "c"].tolist()
        ratios[1] += ratio[said != "c"].tolist()
    assert (np.array(ratios[0]) > 1).mean() > 0.7
    assert (np.array(ratios[1]) < 1).mean() > 0.7


def test_equal_seeds_give_equal_galleries() -> None:
    one, other = (fit_gallery(*cohort(), rare=["c"], seed=3) for _ in range(2))
    assert (one.slope, one.intercept) == (other.slope, other.intercept)
