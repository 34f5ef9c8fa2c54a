"""A landmark model that begins from one that exists: what it learns, takes over, and refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from landmark_files import refusal

import anthropo
from anthropo.errors import InputError, WeightsError
from anthropo.face.fine import fine_model
from anthropo.face.landmark_bundle import read_landmark_bundle, write_landmark_bundle
from anthropo.face.weights import known_weights
from anthropo.landmarks import ForestOptions, read_annotations
from anthropo.landmarks.beginning import learnt
from anthropo.landmarks.fine_training import fine_frame
from anthropo.landmarks.judging import JudgedLandmarks
from anthropo.landmarks.scheme import IBUG

LOW = range(17, 27)  # the brows, which this annotator places lower
SMALL = ForestOptions(cascades=2, trees=10, copies=4, pool=50)


@pytest.fixture(scope="module")
def habits(annotated_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the faces by an annotator who places brows a tenth of the outer-canthal distance too low."""
    names = [f"x{i},y{i}" for i in range(68)]
    rows = [",".join(["photo", *names])]
    for face in read_annotations(annotated_faces).faces:
        points = face.points.copy()
        points[LOW, 1] += 0.1 * np.hypot(*(points[45] - points[36]))
        rows.append(",".join([face.photo, *map(str, points.ravel())]))
    table = tmp_path_factory.mktemp("habits") / "low-brows.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


@pytest.fixture(scope="module")
def begun(habits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("begun") / "mine.anthropo"
    request = anthropo.LandmarkTrainRequest(start="landmarks-68", licence="CC BY 4.0", jobs=1)
    made = anthropo.train_landmarks(habits, path, request)
    assert made.held_out_start is not None
    assert made.held_out.error < 0.5 * made.held_out_start.error
    assert made.licence == f"CC BY 4.0; and {read_landmark_bundle(path).start.licence}"  # type: ignore[union-attr]
    return path


def test_it_learns_what_its_annotator_does_otherwise(begun: Path, annotated_faces: Path) -> None:
    photo = str(annotated_faces / "person01.png")
    settings = anthropo.Settings(landmark_model=str(begun))
    own, packaged = anthropo.observe(photo, settings).face, anthropo.observe(photo).face
    unit = anthropo.face.outer_canthal_distance(packaged.landmarks)
    moved = (own.landmarks - packaged.landmarks) / unit
    assert moved[LOW, 1].mean() == pytest.approx(0.1, abs=0.02)
    assert np.abs(np.delete(moved, LOW, 0)).mean() < 0.02
    # pupils, canthi and alae come from the packaged second stage, so that all that needs them is measured
    assert own.anatomy.keys() == packaged.anatomy.keys()
    np.testing.assert_allclose(own.anatomy["enR"], packaged.anatomy["enR"])
    # without the second stage it is the start as it was
    first = anthropo.observe(photo, anthropo.Settings(landmark_model=str(begun), fine=False)).face
    np.testing.assert_array_equal(first.landmarks, anthropo.read_face(photo).landmarks)


def test_its_file_holds_no_second_copy_and_names_the_licence(begun: Path) -> None:
    assert begun.stat().st_size < 5e6  # the packaged trees have 60 MB
    bundle = read_landmark_bundle(begun)
    assert bundle.start is not None
    assert bundle.start.packaged
    assert bundle.start.sha256 == known_weights("landmarks-68").sha256
    rows = dict(anthropo.inspect(begun).rows)
    assert rows["begins from"].startswith("landmarks-68 of anthropo")
    assert rows["licence"].startswith("CC BY 4.0; and of landmarks-68")
    assert "excludes commercial use" in rows["licence"]
    assert "second stage" not in rows
    assert "cascades" not in rows  # no trees were grown


def test_it_is_judged_by_all_that_it_has(begun: Path, habits: Path) -> None:
    judged = anthropo.evaluate_landmarks(habits, str(begun), jobs=1)
    assert judged.packaged is not None
    assert judged.both is not None
    assert judged.first_stage.error == judged.both.error < 0.5 * judged.packaged.error
    assert judged.coverage_both is not None
    assert judged.coverage_both > 0.8


def test_other_points_are_placed_beside_the_68(annotated_faces: Path, tmp_path: Path) -> None:
    rows = ["photo,tip_x,tip_y,browR_x,browR_y,browL_x,browL_y"]
    for face in read_annotations(annotated_faces).faces:
        p = face.points
        three = np.array([p[30], (p[18] + p[36]) / 2, (p[25] + p[45]) / 2])
        rows.append(",".join([face.photo, *map(str, three.ravel())]))
    table, path = tmp_path / "three.csv", tmp_path / "three.anthropo"
    table.write_text("\n".join(rows) + "\n")
    request = anthropo.LandmarkTrainRequest(start="landmarks-68", unit=("browR", "browL"), jobs=1)
    made = anthropo.train_landmarks(table, path, request)
    assert made.scheme.names == ("tip", "browR", "browL")
    assert made.held_out_start is None
    assert made.held_out.error < 0.05
    judged = anthropo.evaluate_landmarks(table, str(path), jobs=1)
    assert judged.first_stage.error < 0.03
    with pytest.raises(WeightsError, match=r"3 landmarks \(tip, browR, browL\); .* need the 68 points"):
        anthropo.read_face(anthropo.example_photo(), landmark_model=str(path))
    with pytest.raises(InputError, match=r"three.anthropo.: places 3 points, and a model begins from"):
        anthropo.train_landmarks(
            table, tmp_path / "again.anthropo", anthropo.LandmarkTrainRequest(start=str(path), jobs=1)
        )


def test_a_model_of_ones_own_may_be_the_start_and_so_may_what_began(
    begun: Path, annotated_faces: Path, habits: Path, tmp_path: Path
) -> None:
    trees = tmp_path / "trees.anthropo"
    request = anthropo.LandmarkTrainRequest(options=SMALL, jobs=1, licence="public domain")
    anthropo.train_landmarks(annotated_faces, trees, request)
    for start, holds_trees in ((trees, True), (begun, False)):
        path = tmp_path / f"from-{start.stem}.anthropo"
        request = anthropo.LandmarkTrainRequest(start=str(start), jobs=1, licence="CC0")
        made = anthropo.train_landmarks(habits, path, request)
        assert made.held_out_start is not None
        assert made.held_out.error <= made.held_out_start.error + 0.005
        bundle = read_landmark_bundle(path)
        assert (len(bundle.forest) > 0) is holds_trees
        assert read_landmark_bundle(start).licence in made.licence
        before = fine_model(str(path)).before
        assert before is not None
        assert (before.adjustment is None) is holds_trees
        settings = anthropo.Settings(landmark_model=str(path))
        assert anthropo.observe(str(annotated_faces / "person01.png"), settings).face.anatomy


def test_the_68_points_begin_from_the_packaged_model_unless_told_otherwise(
    habits: Path, tmp_path: Path
) -> None:
    small = ForestOptions(cascades=2, trees=5, copies=3, pool=50)
    for name, request, begins in (
        ("default", anthropo.LandmarkTrainRequest(jobs=1), True),
        ("options", anthropo.LandmarkTrainRequest(jobs=1, options=small), False),
        ("nothing", anthropo.LandmarkTrainRequest(jobs=1, options=small, start="none", fine_epochs=0), False),
    ):
        path = tmp_path / f"{name}.anthropo"
        made = anthropo.train_landmarks(habits, path, request)
        assert (made.held_out_start is not None) is begins
        assert (read_landmark_bundle(path).start is not None) is begins
        notes = [note for note in made.notes if "begins from landmarks-68" in note]
        assert len(notes) == begins
        for note in notes:
            assert "its licence, which excludes commercial use. start='none' trains from nothing." in note
        assert ("excludes commercial use" in dict(anthropo.inspect(path).rows)["licence"]) is begins


def test_networks_come_after_the_adjustment(habits: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.anthropo"
    request = anthropo.LandmarkTrainRequest(start="landmarks-68", jobs=1, fine_epochs=1)
    made = anthropo.train_landmarks(habits, path, request)
    assert made.held_out_fine is not None
    model = fine_model(str(path))
    assert model.before is not None
    assert model.adjustment is not None
    assert model.mixing is not None
    assert [len(one) for one in model.rounds] == [1, 6]
    assert dict(anthropo.inspect(path).rows)["second stage"] == "networks of its own"


def test_few_people_tell_an_offset_and_many_what_goes_with_the_face() -> None:
    random = np.random.default_rng(0)
    frame = fine_frame()
    wide = random.normal(0, 0.1, 120)
    first = frame * (1 + wide[:, None, None] * (1, 0)) + random.normal(0, 0.5, (120, 68, 2))
    # lower, the wider the face is
    truth = first + np.array([0, 1]) * (6 + 40 * wide)[:, None, None] + random.normal(0, 1, (120, 68, 2))
    people = [str(i) for i in range(120)]
    few, penalty = learnt(first[:6], truth[:6], people[:6], False, frame)
    assert np.isinf(penalty)
    assert few(frame)[:, 1].mean() - frame[:, 1].mean() == pytest.approx(6 + 40 * wide[:6].mean(), abs=1)
    many, penalty = learnt(first, truth, people, False, frame)
    assert penalty < 1000
    off = [np.hypot(*np.moveaxis(by(first) - truth, -1, 0)).mean() for by in (few, many)]
    assert off[1] < 0.6 * off[0]
    unknown = truth.copy()
    unknown[::2, :30] = np.nan  # of half of the faces half of the points
    some, _ = learnt(first, unknown, people, False, frame)
    assert np.hypot(*np.moveaxis(some(first) - truth, -1, 0)).mean() < 0.7 * off[0]


def test_the_interval_holds_95_of_100_whatever_few_faces_do() -> None:
    random = np.random.default_rng(0)
    spread = 0.01 * np.exp(random.normal(0, 1, (400, 68, 1))) * np.ones(2)
    placed = JudgedLandmarks(IBUG, random.normal(0, 0.02, (400, 68, 2)), spread, tuple(map(str, range(400))))
    assert placed.covered(placed.factors()).mean() == pytest.approx(0.95, abs=0.005)
    half = [dataclasses.replace(placed, residuals=placed.residuals[s], spread=spread[s]) for s in (
        slice(0, 200), slice(200, 400))]  # fmt: skip
    assert half[1].covered(half[0].factors()).mean() == pytest.approx(0.95, abs=0.01)
    few = dataclasses.replace(placed, residuals=placed.residuals[:5], spread=spread[:5])
    assert (few.covered(few.factors() * (1 + 1e-9)) == 1).all()  # of five people the furthest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sha256": "0" * 64}, "begins from another 68-point model than this anthropo comes with"),
        ({"sha256": "none"}, "start > sha256 is no SHA-256"),
        ({"packaged": 1}, "start > packaged is neither true nor false"),
        ({"licence": None}, "start > licence is not a text"),
        ({"more": 1}, "start is no description of a landmark model"),
        ({"packaged": False}, "holds no forest"),
        ({"forest": np.zeros(64, np.uint8)}, "holds no forest"),
        ({"fine.adjusted_weights": np.zeros((136, 5), np.float32)}, "not 136 × 136 small numbers"),
        ({"fine.adjusted_places": np.full((68, 2), np.nan, np.float32)}, "outside the upright face"),
        ({"fine.adjusted_beside": np.array(True)}, "adjusted points where its scheme has others"),
        (
            {"fine.before.eye.codes": np.frombuffer(b"p ps xx", np.uint8)},
            "anatomical landmarks that are none",
        ),
        ({"fine." + "before." * 9 + "frame": np.zeros((68, 2))}, "more than 8 second stages"),
    ],
)
def test_an_altered_file_is_refused(
    begun: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    sound = tmp_path / "sound.anthropo"
    write_landmark_bundle(sound, read_landmark_bundle(begun))
    assert sound.read_bytes() == begun.read_bytes()
    bundle = read_landmark_bundle(begun)
    assert bundle.start is not None
    arrays = {"spread": bundle.spread} | {f"fine.{name}": array for name, array in bundle.fine.items()}
    start: dict[str, object] = dataclasses.asdict(bundle.start)
    for name, value in change.items():
        place = arrays if isinstance(value, np.ndarray) else start
        place[name] = value  # type: ignore[assignment, index]
    scheme = {"points": list(IBUG.names), "mirror": IBUG.mirror.tolist(), "unit": [36, 45], "ibug": True}
    manifest = {"scheme": scheme, "training": bundle.training, "licence": bundle.licence, "start": start}
    assert sentence in refusal(tmp_path / "altered.anthropo", manifest, arrays)


def test_what_cannot_be_begun_is_refused_in_a_sentence(habits: Path, tmp_path: Path) -> None:
    request = anthropo.LandmarkTrainRequest(start="landmarks-68", jobs=1)
    with pytest.raises(InputError, match=r"mine.dat: dlib's files hold trees alone, and with start="):
        anthropo.train_landmarks(habits, tmp_path / "mine.dat", request)
    gone = dataclasses.replace(request, start="gone.anthropo")
    with pytest.raises(WeightsError, match=r"gone.anthropo: no such landmark model"):
        anthropo.train_landmarks(habits, tmp_path / "mine.anthropo", gone)
    grown = dataclasses.replace(request, options=SMALL)
    with pytest.raises(
        InputError, match=r"cascades=2: is about trees, and with start='landmarks-68' none are"
    ):
        anthropo.train_landmarks(habits, tmp_path / "mine.anthropo", grown)
    assert not list(tmp_path.iterdir())
