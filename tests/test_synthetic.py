from __future__ import annotations

import csv
import errno
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import sentence_of
from numpy.typing import NDArray
from PIL import Image

from anthropo import Face, Photo, measure_face, measure_table, read_face
from anthropo.errors import InputError
from anthropo.face.fine import refine
from anthropo.face.scheme import MIRROR
from anthropo.face.shape import shapes
from anthropo.measurement.compute import evaluate
from anthropo.measurement.registry import registry
from anthropo.synthetic import (
    CONTROL,
    SINGLE_MORPHS,
    SYNDROMES,
    Syndrome,
    healthy_sd,
    make_cohort,
    morph,
)
from anthropo.synthetic import picture as picture_module
from anthropo.synthetic.morphs import displacement_of
from anthropo.synthetic.neutral import neutral_face
from anthropo.synthetic.picture import CAPTION_HEIGHT, person_of, photograph, untorn

Pixels = NDArray[np.uint8]
LABELS = (CONTROL, "synthetic-A")
REAL_NAMES = ("down", "noonan", "williams", "turner", "lange", "fetal", "kabuki")


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "made" / "here"
    return make_cohort(folder, 3, LABELS, seed=4, photos_per_patient=2)


@pytest.fixture(scope="module")
def table(cohort: Path) -> pd.DataFrame:
    return measure_table(cohort)


@pytest.fixture(scope="module")
def astronaut_face(astronaut: Pixels) -> Face:
    photo = Photo.from_array(astronaut)
    return refine(photo, read_face(photo))


def measured(jpeg_or_pixels: bytes | Pixels) -> dict[str, float]:
    """By id; values that the photo gate voids, too."""
    if isinstance(jpeg_or_pixels, bytes):
        jpeg_or_pixels = np.asarray(Image.open(io.BytesIO(jpeg_or_pixels)))
    photo = Photo.from_array(jpeg_or_pixels)
    return {m.id: m.value for m in measure_face(refine(photo, read_face(photo)), photo, force=True)}


def picture(number: int, changes: dict[str, float]) -> bytes:
    """The same person, pose and light for the same number, whatever the changes."""
    random = np.random.default_rng([11, number])
    return photograph(person_of(random, changes), random)


# ------------------------------------------------------------------------------------- the cohort


def test_cohort_lists_every_photo_once(cohort: Path) -> None:
    rows = rows_of(cohort)
    assert list(rows[0]) == ["photo", "label", "patient", "age", "sex", "synthetic"]
    assert len(rows) == len({r["photo"] for r in rows}) == 12
    assert {r["photo"] for r in rows} == {p.name for p in cohort.parent.glob("*.jpg")}
    assert len({r["patient"] for r in rows}) == 6
    patients = {(r["patient"], r["label"], r["age"], r["sex"]) for r in rows}
    assert len(patients) == 6  # both photos of a patient say the same
    assert sorted(label for _, label, _, _ in patients) == [CONTROL] * 3 + ["synthetic-A"] * 3
    assert all(r["synthetic"] == "yes" and 19 <= int(r["age"]) <= 40 for r in rows)
    assert {r["sex"] for r in rows} <= {"female", "male"}


def test_nothing_but_the_label_column_tells_the_label(cohort: Path) -> None:
    rows = rows_of(cohort)
    assert all(r["photo"].startswith("synthetic-0") and r["photo"].endswith(".jpg") for r in rows)
    labels = [r["label"] for r in rows]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))  # nor does the order
    for name in SYNDROMES:
        assert not any(name in r["photo"] or name in r["patient"] for r in rows)
    heights = {Image.open(cohort.parent / r["photo"]).size for r in rows}
    assert len(heights) == 1


def test_truth_lists_what_was_changed_apart_from_the_cohort(cohort: Path) -> None:
    truth = rows_of(cohort.with_name("truth.csv"))
    assert list(truth[0]) == ["photo", "label", "measurement", "amount", "amount_sd"]
    labelled = {r["photo"] for r in rows_of(cohort) if r["label"] == "synthetic-A"}
    assert {r["photo"] for r in truth} == labelled
    meant = {i for name in SYNDROMES["synthetic-A"].changes for i in SINGLE_MORPHS[name].measurements}
    assert {r["measurement"] for r in truth} == meant
    for row in truth:
        assert float(row["amount"]) == pytest.approx(
            float(row["amount_sd"]) * healthy_sd()[row["measurement"]], rel=2e-3
        )
        wanted = {"mandible_height": -1.8, "upper_vermilion_height": -1.2}.get(row["measurement"], -2.0)
        assert 0.4 < float(row["amount_sd"]) / wanted < 1.6


def test_every_picture_says_that_it_is_synthetic(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def caption(path: Path) -> NDArray[np.float64]:
        return np.asarray(Image.open(path).convert("L"), dtype=np.float64)[-CAPTION_HEIGHT + 1 :]

    strips = [caption(p) for p in sorted(cohort.parent.glob("*.jpg"))]
    for strip in strips:
        assert np.median(strip) > 245  # white paper,
        assert (strip < 100).mean() > 0.02  # dark letters
        assert abs(strip - strips[0]).mean() < 6  # the same ones
    assert "SYNTHETIC" in picture_module.CAPTION
    monkeypatch.setattr(picture_module, "CAPTION", "")
    blank = np.asarray(Image.open(io.BytesIO(picture(0, {}))).convert("L"))[-CAPTION_HEIGHT + 1 :]
    assert (blank < 100).sum() == 0  # so that the letters above are the caption's


def test_pictures_carry_no_exif(cohort: Path) -> None:
    for path in cohort.parent.glob("*.jpg"):
        assert not Image.open(path).getexif()
        assert b"Exif" not in path.read_bytes()


def test_every_face_is_found_upright_and_steady(table: pd.DataFrame) -> None:
    assert (table["status"] == "ok").all()
    assert (table[["yaw", "pitch"]].abs().max() < 12).all()
    # few are voided by the photo gate: eyes open, looking ahead, the mouth closed and without a smile
    assert table["palpebral_fissure_length_R"].notna().mean() > 0.8
    assert table["philtrum_length"].notna().mean() > 0.7


def test_labels_differ_in_what_was_changed(cohort: Path, table: pd.DataFrame) -> None:
    label = pd.Series([r["label"] for r in rows_of(cohort)])
    for measurement, sign in (("palpebral_fissure_length_R", -1), ("mandible_height", -1)):
        means = table[measurement].groupby(label).mean()
        change = (means["synthetic-A"] - means[CONTROL]) / healthy_sd()[measurement]
        assert change * sign > 0.5


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    a, b, c = (
        make_cohort(tmp_path / name, 1, LABELS, seed=seed, jobs=jobs).parent
        for name, seed, jobs in (("a", 7, 1), ("b", 7, 3), ("c", 8, 1))
    )
    names = sorted(p.name for p in a.iterdir())
    assert names == sorted(p.name for p in b.iterdir())
    assert len(names) == 4
    assert all((a / n).read_bytes() == (b / n).read_bytes() for n in names)
    assert all((a / n).read_bytes() != (c / n).read_bytes() for n in names if n.endswith(".jpg"))


def test_a_syndrome_of_ones_own(tmp_path: Path) -> None:
    own = Syndrome("synthetic-own", "a wider nose", {"nasal_width": 2.5})
    made = make_cohort(tmp_path / "own", 2, [own])
    assert {r["label"] for r in rows_of(made)} == {"synthetic-own"}
    assert {r["measurement"] for r in rows_of(made.with_name("truth.csv"))} == {"nasal_width"}


def test_people_look_different_from_each_other() -> None:
    sizes = np.array([list(measured(picture(n, {})).values()) for n in range(12)])
    ids = list(measured(picture(0, {})))
    ratios = [
        sizes[:, ids.index(i)].std(ddof=1) / healthy_sd()[i]
        for i in (
            *("intercanthal_width", "palpebral_fissure_length_R", "nasal_width", "mouth_width"),
            *("bizygomatic_width", "face_height", "philtrum_length", "brow_height_R", "bigonial_width"),
        )
    ]
    assert 0.65 < np.median(ratios) < 1.4  # as much as healthy adults do
    assert min(ratios) > 0.3


# --------------------------------------------------------------------------------------- the morphs


@pytest.mark.parametrize("name", SINGLE_MORPHS)
@pytest.mark.parametrize("amount", [-1.5, 2.5])
def test_strength_is_exact_by_the_definition(name: str, amount: float) -> None:
    change = SINGLE_MORPHS[name]
    entries = [registry()[i] for i in change.measurements]
    mean = shapes()[0]
    moved = mean + change.strength(amount) * change.direction[:68]
    spread = [healthy_sd()[e.id] for e in entries]
    assert ((evaluate(moved, entries) - evaluate(mean, entries)) / spread).mean() == pytest.approx(amount)


@pytest.mark.parametrize("name", SINGLE_MORPHS)
def test_morphs_are_symmetric_and_named_after_what_they_change(name: str) -> None:
    change = SINGLE_MORPHS[name]
    assert change.name == name
    assert {i.removesuffix("_R").removesuffix("_L") for i in change.measurements} == {name}
    field = change.direction[:68]
    assert np.allclose(field[MIRROR] * [-1, 1], field)
    assert set(change.measurements) <= set(change.family()) < set(registry())


def test_family_holds_what_depends_by_definition_and_nothing_else() -> None:
    family = set(SINGLE_MORPHS["nasal_width"].family())
    assert {"nasal_width", "nasal_index", "nose_mouth_width_index", "intercanthal_nasal_index"} <= family
    assert family.isdisjoint({"intercanthal_width", "philtrum_length", "mandible_height", "brow_height_R"})
    assert SINGLE_MORPHS["nasal_width"].family(least=100) == ("nasal_width",)


# Bounds: what 20 faces gave lies within 0.6 SD of the wish for every one of these.
@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("palpebral_fissure_length", -2.5),
        ("intercanthal_width", 2.5),
        ("palpebral_inclination", 2.5),
        ("nasal_width", 2.5),
        ("mouth_width", 2.5),
        ("mandible_height", 2.5),
    ],
)
def test_the_meant_measurement_moves_by_about_the_amount(name: str, amount: float) -> None:
    change = SINGLE_MORPHS[name]
    before, after = ([measured(picture(n, c)) for n in range(3)] for c in ({}, {name: amount}))
    moved = {
        i: float(np.mean([a[i] - b[i] for a, b in zip(after, before, strict=True)])) / healthy_sd()[i]
        for i in healthy_sd()
        if registry()[i].expression and not registry()[i].needs_mm
    }
    assert np.mean([moved[i] for i in change.measurements]) == pytest.approx(amount, abs=0.9)
    others = [abs(v) for i, v in moved.items() if i not in change.family(amount)]
    assert np.mean(others) < 0.4
    assert max(others) < abs(amount)


def test_labels_cannot_be_mistaken_for_diseases() -> None:
    for name, syndrome in SYNDROMES.items():
        assert name == syndrome.name
        assert name == CONTROL or name.startswith("synthetic-")
        assert not any(real in (name + syndrome.description).lower() for real in REAL_NAMES)
        assert bool(syndrome.changes) == (name != CONTROL)


# -------------------------------------------------------------------------- morphing a given picture


def test_morph_without_changes_is_the_same_picture(astronaut: Pixels, astronaut_face: Face) -> None:
    same = morph(astronaut, astronaut_face, {})
    assert same.dtype == np.uint8
    assert np.abs(same.astype(int) - astronaut).max() <= 1


def test_morph_changes_the_face_and_leaves_the_border(astronaut: Pixels, astronaut_face: Face) -> None:
    wide = morph(astronaut, astronaut_face, {"intercanthal_width": 2.5})
    differs = np.abs(wide.astype(int) - astronaut).max(-1) > 40
    rows, columns = np.nonzero(differs)
    assert differs.sum() > 50
    at_eyes = (abs(rows - 102) < 25) & (abs(columns - 225) < 55)
    assert at_eyes.mean() > 0.7
    edge = np.ones(differs.shape, dtype=bool)
    edge[20:-20, 20:-20] = False
    assert not differs[edge].any()
    change = measured(wide)["intercanthal_width"] - measured(astronaut)["intercanthal_width"]
    assert 1.0 < change / healthy_sd()["intercanthal_width"] < 4.0


def test_a_seed_gives_morph_another_person(astronaut: Pixels, astronaut_face: Face) -> None:
    one, again, other = (morph(astronaut, astronaut_face, {}, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one, again)
    assert (np.abs(one.astype(int) - other).max(-1) > 40).sum() > 500


def test_lips_are_never_folded() -> None:
    thin = displacement_of({"upper_vermilion_height": -1.5})
    points = neutral_face().points
    folded = thin.copy()
    folded[61:64, 1] -= 0.05
    for shape in (3 * thin, folded):
        assert (points + shape)[62, 1] - (points + shape)[51, 1] < 0  # would be torn
        kept = points + untorn(shape)
        assert (kept[61:64, 1] - kept[50:53, 1]).min() == pytest.approx(0.022)
    assert np.array_equal(untorn(thin), thin)


# ------------------------------------------------------------------------------------------ refusals


def test_unknown_morphs_and_amounts_are_refused(astronaut: Pixels, astronaut_face: Face) -> None:
    message = sentence_of(InputError, morph, astronaut, astronaut_face, {"nose": 1.0})
    assert "'nose'" in message
    assert all(name in message for name in SINGLE_MORPHS)
    for amount in (3.5, -4.0, float("nan"), float("inf")):
        message = sentence_of(InputError, morph, astronaut, astronaut_face, {"mouth_width": amount})
        assert message.startswith("mouth_width: a change of")
        assert "between -2.5 and 3 SD" in message


def test_bad_cohorts_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    message = sentence_of(InputError, make_cohort, folder, 1, ["down"])
    assert "'down'" in message
    assert "synthetic-A" in message
    assert "twice" in sentence_of(InputError, make_cohort, folder, 1, [CONTROL, CONTROL])
    assert "at least one" in sentence_of(InputError, make_cohort, folder, 1, [])
    assert sentence_of(InputError, make_cohort, folder, 0).startswith("n_per_label=0")
    assert sentence_of(InputError, make_cohort, folder, 1, photos_per_patient=0).startswith(
        "photos_per_patient=0"
    )
    assert sentence_of(InputError, make_cohort, folder, 1, jobs=0).startswith("jobs=0")
    unknown = Syndrome("synthetic-x", "", {"ear_length": 1.0})
    assert "ear_length" in sentence_of(InputError, make_cohort, folder, 1, [unknown])
    assert not folder.exists()


def test_a_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    assert "not empty" in sentence_of(InputError, make_cohort, tmp_path, 1)
    assert "cannot be used as a folder" in sentence_of(InputError, make_cohort, tmp_path / "mine.txt", 1)
    assert (tmp_path / "mine.txt").read_text() == "keep"

    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("anthropo.synthetic.cohort.write_atomically", full)
    message = sentence_of(InputError, make_cohort, tmp_path / "full", 1)
    assert "cannot be written (No space left on device)" in message
