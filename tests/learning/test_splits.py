from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropo.errors import InputError
from anthropo.learning.splits import split


@st.composite
def cohorts(draw: st.DrawFn, smallest: int = 2) -> tuple[list[str], list[str]]:
    """Labels and patients of photos: 2 to 5 labels, each with a number of patients of 1 to 4 photos."""
    labels, patients = [], []
    for label in range(draw(st.integers(2, 5))):
        for patient in range(draw(st.integers(smallest, 12))):
            for _ in range(draw(st.integers(1, 4))):
                labels.append(f"label {label}")
                patients.append(f"{label}/{patient}")
    order = draw(st.permutations(range(len(labels))))
    return [labels[i] for i in order], [patients[i] for i in order]


@settings(max_examples=60, deadline=None)
@given(cohorts(), st.integers(2, 10), st.integers(0, 3))
def test_every_fold_can_be_trained_and_tested(
    cohort: tuple[list[str], list[str]], folds: int, seed: int
) -> None:
    labels, patients = cohort
    found = split(labels, patients, folds, seed)
    label, patient = np.array(labels), np.array(patients)
    assert set(found.index.tolist()) == set(range(found.number))
    for name in patients:
        assert len(set(found.index[patient == name])) == 1
    for fold in range(found.number):
        assert set(label[found.index != fold]) == set(labels)
        assert len(set(label[found.index == fold])) >= 2
    counts = {name: len(set(patient[label == name])) for name in labels}
    for name, count in counts.items():  # as many folds as can be
        assert len(set(found.index[label == name])) == min(count, found.number)
    assert found.number == min(folds, sorted(counts.values())[-2])
    assert any("folds instead of" in note for note in found.notes) == (found.number < folds)


@settings(max_examples=30, deadline=None)
@given(cohorts(smallest=10))
def test_labels_have_equal_shares(cohort: tuple[list[str], list[str]]) -> None:
    labels, patients = cohort
    found = split(labels, patients, 5)
    for name in set(labels):
        photos = np.bincount(found.index[np.array(labels) == name], minlength=5)
        assert photos.max() - photos.min() <= 4  # the photos of one patient at most


def test_large_cohort_is_even() -> None:
    rng = np.random.default_rng(0)
    labels = np.where(rng.random(1600) < 0.06, "rare", "common").tolist()
    found = split(labels, [str(i) for i in range(1600)], 5)
    rare = np.array(labels) == "rare"
    for counts in (np.bincount(found.index), np.bincount(found.index[rare])):
        assert counts.max() - counts.min() <= 2


def test_the_seed_decides() -> None:
    labels, patients = ["x", "y"] * 50, [str(i) for i in range(100)]
    one, same, other = (split(labels, patients, 5, seed).index for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_the_folds_of_a_patient_do_not_depend_on_python_s_hashes() -> None:
    found = split(["x", "y", "x", "y"] * 5, [str(i) for i in range(20)], 2)
    assert found.index.dtype == np.int64
    assert (
        found.index[:4].tolist()
        == split(["x", "y", "x", "y"] * 5, [str(i) for i in range(20)], 2).index[:4].tolist()
    )


def test_fewer_folds_for_few_patients_with_a_note() -> None:
    found = split(["case"] * 3 + ["control"] * 20, [str(i) for i in range(23)], 5)
    assert found.number == 3
    assert found.notes == ("3 folds instead of 5: only 3 patients with case.",)


def test_a_rare_third_label_does_not_cost_folds() -> None:
    labels = ["a"] * 10 + ["b"] * 10 + ["rare"] * 2
    found = split(labels, [str(i) for i in range(22)], 5)
    assert found.number == 5
    assert len(set(found.index[-2:])) == 2
    assert found.notes == ()


def test_a_label_with_one_patient_is_noted() -> None:
    found = split(["a"] * 5 + ["b"] * 5 + ["c"] * 2, [*"0123456789", "z", "z"], 5)
    assert found.notes == ("one patient only, so never recognised in cross-validation: c.",)
    assert found.index[-1] == found.index[-2]


@pytest.mark.parametrize(
    ("labels", "patients", "folds", "message"),
    [
        (["x"] * 4, ["1", "2", "3", "4"], 5, "patients per label: x (4). Add patients."),
        (["x", "x", "y", "y"], ["1", "2", "3", "3"], 5, "patients per label: x (2), y (1)."),
        (["x", "y"] * 4, [str(i) for i in range(8)], 1, "1 folds: a split needs 2 or more."),
    ],
)
def test_impossible_splits(labels: list[str], patients: list[str], folds: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        split(labels, patients, folds)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_labels_of_a_patient() -> None:
    rng = np.random.default_rng(1)
    rates = {"ptosis": 0.3, "low-set ears": 0.1, "cleft": 0.03}
    labels = [tuple(name for name, rate in rates.items() if rng.random() < rate) for _ in range(600)]
    patients = [str(i // 2) for i in range(600)]
    found = split(labels, patients, 5)
    folds_of = defaultdict(set)
    for patient, fold in zip(patients, found.index, strict=True):
        folds_of[patient].add(fold)
    assert all(len(folds) == 1 for folds in folds_of.values())
    for name in rates:
        counts = np.bincount(found.index[[name in case for case in labels]], minlength=5)
        assert counts.max() - counts.min() <= 3, name
    with pytest.raises(InputError, match="no label \\(4\\)"):
        split([()] * 4, ["1", "2", "3", "4"], 2)
