"""Matching of labels that are too rare to be trained: nobody is compared with themself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from simulated import simulated

from anthropo.learning.features import feature_frame
from anthropo.learning.model import LabelModel, Options, unit_embeddings, vectors
from anthropo.learning.nearest import ALL, MATCHED, judge_gallery, judge_nearest


def people(
    labels: int, each: int, photos: int = 2, spread: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, list[str], list[str]]:
    """Photos of patients around a place of each label."""
    random = np.random.default_rng(seed)
    rows, names, who = [], [], []
    for c in range(labels):
        place = random.normal(size=20)
        for p in range(each):
            person = place + spread * random.normal(size=20)
            for _ in range(photos):
                rows.append(person + 0.1 * random.normal(size=20))
                names.append(f"L{c:02}")
                who.append(f"L{c:02}-{p}")
    return np.array(rows), names, who


def test_labels_that_are_apart_are_found_and_noise_is_chance() -> None:
    x, labels, patients = people(40, 3)
    rare = sorted(set(labels))[:35]
    made = judge_nearest(x, labels, patients, rare)
    assert made is not None
    assert (made.asked, made.labels, made.alone) == (105, 35, 0)
    assert made.galleries[MATCHED].labels == 35
    assert made.galleries[ALL].labels == 40
    assert made.galleries[ALL].figures["top_1"].value > 0.95
    assert list(made.galleries[MATCHED].figures) == ["top_1", "top_5", "top_10", "top_30"]
    noise = np.random.default_rng(1).normal(size=x.shape)
    # photos of one person are alike, which would tell if anybody were compared with themself
    noise[1::2] = noise[::2]
    nothing = judge_nearest(noise, labels, patients, rare)
    assert nothing is not None
    for name, figure in nothing.galleries[MATCHED].figures.items():
        assert figure.lo <= nothing.galleries[MATCHED].chance[name] + 0.05
        assert figure.value < nothing.galleries[MATCHED].chance[name] + 0.12


def test_ranks_are_those_of_a_plain_comparison() -> None:
    x, labels, patients = people(12, 2, photos=1, spread=1.5)
    made = judge_nearest(x, labels, patients, sorted(set(labels)))
    assert made is not None
    hits: Counter[int] = Counter()
    for i, label in enumerate(labels):
        rest = [j for j in range(len(labels)) if j != i]
        centre = np.mean([np.mean([x[j] for j in rest if labels[j] == c], 0) for c in sorted(set(labels))], 0)
        unit = {j: (x[j] - centre) / np.linalg.norm(x[j] - centre) for j in range(len(x))}
        order = sorted(rest, key=lambda j: -float(unit[j] @ unit[i]))
        ranked = list(dict.fromkeys(labels[j] for j in order))
        for k in (1, 5, 10):
            hits[k] += ranked.index(label) < k
    for k in (1, 5, 10):
        assert made.galleries[ALL].figures[f"top_{k}"].value == pytest.approx(hits[k] / 24)


def test_labels_of_one_patient_and_ties() -> None:
    x, labels, patients = people(6, 2)
    made = judge_nearest(x, labels, patients, ["L00", "L01"])
    assert made is not None
    assert made.galleries[MATCHED].figures["top_1"].n == 4
    keep = [i for i, p in enumerate(patients) if p != "L01-1"]
    fewer = judge_nearest(x[keep], [labels[i] for i in keep], [patients[i] for i in keep], ["L00", "L01"])
    assert fewer is not None
    assert (fewer.asked, fewer.labels, fewer.alone) == (2, 1, 1)
    assert "1 more have one patient" in fewer.sentence()
    assert judge_nearest(x[keep], [labels[i] for i in keep], [patients[i] for i in keep], ["L01"]) is None
    same = judge_nearest(np.ones_like(x), labels, patients, ["L00", "L01"])
    assert same is not None
    assert same.galleries[ALL].figures["top_1"].value == 0  # as near as all others counts against


def test_each_encoder_counts_alike_whatever_it_sees() -> None:
    random = np.random.default_rng(0)
    regions = {f"{r}@a": random.normal(size=(5, 8)) for r in ("face", "eyes", "mouth", "lower")}
    regions["face@b"] = random.normal(size=(5, 3))
    x = unit_embeddings(regions, 5)
    np.testing.assert_allclose((x[:, :32] ** 2).sum(1), 1)
    np.testing.assert_allclose((x[:, 32:] ** 2).sum(1), 1)
    alone = unit_embeddings({"face": regions["face@a"], "eyes": regions["eyes@a"]}, 5)
    np.testing.assert_allclose((alone**2).sum(1), 2)


def test_people_are_looked_for_in_a_models_gallery() -> None:
    """Ranks of other people are those of a plain comparison; who is of no such label is not asked about."""
    counts = {"control": 24, "affected": 24} | {f"rare {c}": 3 for c in "abcdefg"}
    learned = simulated(counts, strength=4.0)
    model = LabelModel.fit(learned, Options(min_patients=4, classifier="linear"))
    others = simulated(dict.fromkeys(counts, 2) | {"unknown": 2}, strength=4.0, seed=1, photos=2)
    table, labels, who = feature_frame(others), others.labels.tolist(), others.patients.tolist()
    made = judge_gallery(model, table, labels, who, 69)
    assert made is not None
    assert (made.asked, made.labels, made.alone, made.by_model) == (14, 7, 0, True)
    matched, every = made.galleries[MATCHED], made.galleries[ALL]
    assert (matched.labels, matched.patients, every.labels, every.patients) == (7, 21, 9, 69)
    assert list(matched.figures) == list(every.figures) == ["top_1", "top_5"]
    assert matched.chance["top_1"] == pytest.approx(1 / 7)
    assert model.gallery is not None
    there = vectors(table, model.classifier.columns_)
    hits = []
    for name in dict.fromkeys(p for p, label in zip(who, labels, strict=True) if label.startswith("rare")):
        rows = [i for i, p in enumerate(who) if p == name]
        cosine = model.gallery.similarity(there[rows]).mean(0)
        hits.append(model.gallery.labels[int(cosine.argmax())] == labels[rows[0]])
    assert matched.figures["top_1"].value == pytest.approx(np.mean(hits))
    assert matched.figures["top_1"].value > 0.7
    assert "7 labels that the model only matches, compared with its gallery." in made.sentence()
    few = [label.startswith("rare a") for label in labels]
    part = judge_gallery(
        model, table[few].reset_index(drop=True), ["rare a"] * sum(few), ["p"] * sum(few), 69
    )
    assert part is not None
    assert (part.asked, part.alone) == (1, 6)
    assert judge_gallery(model, table, ["control"] * len(table), who, 69) is None
    trained = LabelModel.fit(simulated({"control": 12, "affected": 12}), Options(classifier="linear"))
    assert judge_gallery(trained, table, labels, who, 24) is None
