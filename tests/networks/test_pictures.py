from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Copies
from looks import look, small, with_labels
from noise import SIDE, write_cohort

from anthropo.encoder.views import View
from anthropo.errors import InputError, PhotoError
from anthropo.learning.cohort import read_cohort
from anthropo.networks.augmentation import augment
from anthropo.networks.description import MetadataColumn
from anthropo.networks.pictures import read_pictures
from anthropo.networks.units import (
    TEST,
    TRAIN,
    VALIDATION,
    balancing,
    encode_metadata,
    of_cases,
    units_of,
)
from anthropo.settings import Settings

LABELS = ["a", "b"] * 15


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_cohort(tmp_path / "cohort", LABELS)


# -------------------------------------------------------------------------------------------- pictures


def test_kept_or_read_again_pictures_are_the_same(table: Path) -> None:
    recipe = small("skin-five")
    photos = look(table, recipe)
    kept, features = photos.pictures, photos.features
    again = look(table, recipe, memory=0.0).pictures
    assert kept.kept is not None
    assert again.kept is None
    np.testing.assert_array_equal(kept.of([3, 0], "image"), again.of([3, 0], "image"))
    threads = look(table, recipe, memory=0.0, jobs=3).pictures
    rows = list(range(len(LABELS)))[::-1]
    np.testing.assert_array_equal(threads.of(rows, "image"), again.of(rows, "image"))
    assert len(features) == len(LABELS)


def test_a_photo_that_goes_away_is_one_sentence(table: Path) -> None:
    pictures = look(table, small("skin-five"), memory=0.0).pictures
    (table.parent / "4.png").unlink()
    pictures.of([3], "image")
    with pytest.raises(PhotoError, match=r"4\.png: no such file"):
        pictures.of([3, 4], "image")


def test_what_cannot_be_used_is_left_out(table: Path) -> None:
    (table.parent / "2.png").write_bytes(b"nothing")
    photos = look(table, small("skin-five"))
    pictures, features = photos.pictures, photos.features
    assert [Path(photo).name for photo, _ in features.left_out] == ["2.png"]
    assert len(pictures.photos) == len(features) == len(LABELS) - 1
    assert not any(photo.endswith("/2.png") for photo in pictures.photos)


def test_faces_have_frames_and_poses(tmp_path: Path, copies: Copies, faceless_png: Path) -> None:
    a, b = copies(tmp_path, "a.png", "b.png")
    table = tmp_path / "cohort.csv"
    table.write_text(f"photo,label\n{a},x\n{b},y\n{faceless_png},y\n")
    view = View(("face", "eyes"), 48, "two-points", "scaled")
    settings = Settings(jitter=2, fine=False)
    photos = read_pictures(read_cohort(table), view, settings, memory=1, jobs=2)
    pictures, features = photos.pictures, photos.features
    assert "no face found" in features.left_out[0][1]
    np.testing.assert_array_equal(*pictures.of([0, 1], "eyes"))
    assert np.abs(pictures.pose[0]).max() < 1  # within 30 degrees
    assert pictures.pose[0].any()
    lazy = read_pictures(read_cohort(table), view, settings, memory=0, jobs=1).pictures
    np.testing.assert_array_equal(lazy.of([1], "eyes"), pictures.of([1], "eyes"))


# ------------------------------------------------------------------------------------------------ units


def test_no_patient_is_in_two_parts(tmp_path: Path) -> None:
    patients = [f"p{i // 4}" for i in range(60)]  # of four photos each
    table = write_cohort(tmp_path, ["a" if i // 4 % 2 else "b" for i in range(60)], patients)
    recipe = small("skin-five")
    photos = look(table, recipe)
    features, kinds = photos.features, photos.kinds
    units = units_of("labels", features, recipe.parameters, kinds)
    own = [set(units.patients[units.chosen(part)].tolist()) for part in (TRAIN, VALIDATION, TEST)]
    assert not own[0] & own[1]
    assert not own[0] & own[2]
    assert not own[1] & own[2]
    assert [len(o) for o in own] == [9, 3, 3]
    for part in (TRAIN, VALIDATION, TEST):
        assert set(units.target[units.chosen(part)].tolist()) == {0, 1}
    # another fold judges other people, and every fold once makes everybody
    tested = []
    for fold in range(5):
        other = units_of("labels", features, replace(recipe.parameters, fold=fold), kinds)
        tested += other.chosen(TEST).tolist()
    assert sorted(tested) == list(range(60))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["a"] * 29 + ["b"], r"Too few patients with b \(1\): each label needs 3"),
        (["a"] * 30, "One label only, a"),
        (["a"] * 28 + ["b"] * 2, r"b \(2\)"),
    ],
)
def test_labels_with_too_few_patients(table: Path, labels: list[str], sentence: str) -> None:
    recipe = small("skin-five")
    photos = look(table, recipe)
    features, kinds = photos.features, photos.kinds
    with pytest.raises(InputError, match=sentence) as caught:
        units_of("labels", with_labels(features, labels), recipe.parameters, kinds)
    assert "\n" not in str(caught.value)


def test_grades_are_in_the_order_that_is_given(table: Path) -> None:
    recipe = small("risk-grading", "grades=b,a")
    photos = look(table, recipe)
    features, kinds = photos.features, photos.kinds
    units = units_of("grades", features, recipe.parameters, kinds)
    assert units.labels == ("b", "a")
    assert units.target.tolist() == [1, 0] * 15
    with pytest.raises(InputError, match=r"which label is lowest\? .+ there are a, b"):
        units_of("grades", features, replace(recipe.parameters, grades=()), kinds)
    with pytest.raises(InputError, match="grades a, c: not the labels of the cohort, which are a, b"):
        units_of("grades", features, replace(recipe.parameters, grades=("a", "c")), kinds)


def test_attributes_that_few_have_are_not_learned(tmp_path: Path) -> None:
    labels = ["long; thin" if i % 3 == 0 else "thin" if i % 3 == 1 else "" for i in range(30)]
    labels[2] = "rare"
    table = write_cohort(tmp_path, labels)
    recipe = small("attributes")
    photos = look(table, recipe)
    features, kinds = photos.features, photos.kinds
    units = units_of("attributes", features, recipe.parameters, kinds)
    assert units.labels == ("long", "thin")
    assert units.notes == ("not learned, for fewer than 3 patients with or without it: rare.",)
    assert units.target[:4].tolist() == [[1, 1], [0, 1], [0, 0], [1, 1]]
    with pytest.raises(InputError, match="No attribute is present in 3 patients"):
        units_of("attributes", with_labels(features, ["rare"] + [""] * 29), recipe.parameters, kinds)


def test_cases_are_patients_with_their_photos(tmp_path: Path) -> None:
    patients = [f"p{i // 2}" for i in range(40)]
    ages = [str(i // 2) if i // 2 % 2 else "" for i in range(40)]
    sexes = ["female" if i // 2 % 3 else "male" for i in range(40)]
    table = write_cohort(
        tmp_path, ["a" if i // 2 % 2 else "b" for i in range(40)], patients, age=ages, sex=sexes
    )
    recipe = small("differential", "images=1")
    photos = look(table, recipe)
    features, kinds = photos.features, photos.kinds
    units = units_of("cases", features, recipe.parameters, kinds)
    assert units.rows[:3] == ((0, 1), (2, 3), (4, 5))
    assert units.columns is not None
    assert set(units.columns) == {"age", "sex"}
    assert units.metadata is not None
    assert units.metadata.shape == (20, 2 + 4)
    assert units.metadata[0, :2].tolist() == [0, 1]  # no age: told so
    assert units.metadata[1, 1] == 0
    assert "20 cases have more than 1 photos" in units.notes[0]
    with pytest.raises(
        InputError, match=r"metadata height: no such column to learn from. There are age, sex"
    ):
        units_of("cases", features, replace(recipe.parameters, metadata=("height",)), kinds)
    none = units_of("cases", features, replace(recipe.parameters, metadata=()), kinds)
    assert none.metadata is None


def test_metadata_in_numbers() -> None:
    columns = {"age": MetadataColumn(mean=10.0, sd=2.0), "sex": MetadataColumn(values=("female", "male"))}
    made = encode_metadata(columns, {"age": [12.0, float("nan"), None], "sex": ["male", None, "other"]}, 3)
    assert made.tolist() == [
        [1, 0, 0, 0, 1, 0],
        [0, 1, 0, 1, 0, 1],
        [0, 1, 0, 1, 0, 1],  # a word that training had not is as good as none
    ]
    assert encode_metadata(columns, {}, 1)[0, 1::2].tolist() == [1, 1, 1]


def test_balanced_weights_make_labels_weigh_alike() -> None:
    target = np.array([0] * 9 + [1] * 3)
    weight = balancing(target)
    assert weight[:9].sum() == pytest.approx(weight[9:].sum())
    assert weight.mean() == pytest.approx(1)
    several = np.array([[1, 0]] * 2 + [[0, 0]] * 6 + [[1, 1]] * 2, np.float32)
    weight = balancing(several)
    for c in range(2):
        there = several[:, c] > 0
        assert weight[there, c].sum() == pytest.approx(weight[~there, c].sum())


# ----------------------------------------------------------------------------------------- augmentation


def plain(*settings: str) -> object:
    off = ("rotation=0", "shift=0", "shear=0", "zoom=0", "crop=0", "flip=false", "mirror=false")
    return small("skin-five", *off, *settings).parameters


def moved(x: torch.Tensor, *settings: str, seed: int = 0) -> torch.Tensor:
    return augment(x, plain(*settings), torch.Generator().manual_seed(seed))  # type: ignore[arg-type]


def dot(row: int, column: int, n: int = 400) -> torch.Tensor:
    """n pictures of a soft dot."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    spot = torch.exp(-((y - row) ** 2 + (x - column) ** 2) / 8.0)
    return spot.expand(n, 1, SIDE, SIDE).clone()


def centres(x: torch.Tensor) -> np.ndarray:
    """(n, 2) row and column of the mass."""
    grid = torch.arange(SIDE, dtype=torch.float32)
    mass = x.sum((1, 2, 3))
    return torch.stack([(x.sum((1, 3)) @ grid) / mass, (x.sum((1, 2)) @ grid) / mass], 1).numpy()


def test_nothing_asked_for_changes_nothing() -> None:
    x = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(moved(x), x)


def test_shifts_stay_within_their_limit() -> None:
    at = centres(moved(dot(20, 20), "shift=0.05")) - 20
    assert np.abs(at).max() <= 0.05 * SIDE + 0.05
    assert np.abs(at).max() > 0.04 * SIDE
    assert np.abs(at.mean(0)).max() < 0.3


def test_rotation_keeps_the_distance_from_the_middle() -> None:
    at = centres(moved(dot(8, 20), "rotation=5")) - 19.5
    radius, angle = np.hypot(*at.T), np.degrees(np.arctan2(at[:, 1], -at[:, 0]))
    start = np.degrees(np.arctan2(0.5, 11.5))
    assert radius == pytest.approx(np.hypot(11.5, 0.5), abs=0.15)
    assert np.abs(angle - start).max() == pytest.approx(5, abs=0.4)


def test_zoom_and_crop_enlarge_about_the_right_place() -> None:
    radius = np.hypot(*(centres(moved(dot(8, 20), "zoom=0.05")) - 19.5).T) / np.hypot(11.5, 0.5)
    assert 1 / 1.06 < radius.min() < 0.97
    assert 1.03 < radius.max() < 1 / 0.94
    # a window never leaves the picture: a dot in the middle is moved by half of what is cut off at most
    at = centres(moved(dot(20, 20), "crop=0.2")) - 20
    assert np.abs(at).max() <= 0.1 * SIDE / 0.8 + 0.2
    assert np.abs(at).max() > 0.05 * SIDE


def test_shear_leans_upright_lines() -> None:
    top, bottom = (centres(moved(dot(row, 20), "shear=5"))[:, 1] for row in (8, 31))
    lean = np.degrees(np.arctan((bottom - top) / 23))
    assert 4 < np.abs(lean).max() < 5.3


def test_half_are_mirrored_and_the_seed_decides() -> None:
    x = moved(dot(20, 8), "flip=true")
    columns = centres(x)[:, 1].round()
    assert set(columns.tolist()) == {8, 31}
    assert 0.4 < (columns == 31).mean() < 0.6
    torch.testing.assert_close(moved(dot(20, 8), "flip=true"), x)
    assert not torch.equal(moved(dot(20, 8), "flip=true", seed=1), x)


def test_a_case_has_the_first_value_that_any_of_its_photos_has() -> None:
    values = [None, 3.0, float("nan"), float("nan"), 5.0, 4.0]
    assert of_cases(values, [(0, 1), (2, 3), (4, 5)]) == [3.0, None, 5.0]
    assert of_cases([None, "arm", "leg"], [(0, 1, 2)]) == ["arm"]


def test_what_photos_of_a_case_differ_in_is_told(tmp_path: Path) -> None:
    patients = [f"p{i // 2}" for i in range(40)]
    ages = [str(i // 2 + 10 * (i == 1)) for i in range(40)]
    labels = ["a" if i // 2 % 2 else "b" for i in range(40)]
    table = write_cohort(tmp_path, labels, patients, age=ages)
    recipe = small("differential", "images=2", "metadata=age")
    photos = look(table, recipe)
    features, kinds = photos.features, photos.kinds
    notes = units_of("cases", features, recipe.parameters, kinds).notes
    assert notes == ("age: 1 cases whose photos differ in it: the first value is learned from.",)
