"""A model is trained, kept, read and used; what it learns does not depend on threads, place or size."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import dlib
import numpy as np
import pytest
from conftest import described
from landmark_files import refusal
from PIL import Image
from shown import shows_itself

import anthropo
from anthropo.errors import InputError, WeightsError
from anthropo.face import _engine
from anthropo.face.fine import fine_model
from anthropo.face.landmark_bundle import LandmarkBundle, read_landmark_bundle, write_landmark_bundle
from anthropo.face.weights import landmark_model
from anthropo.landmarks import ForestOptions, read_annotations
from anthropo.landmarks.fine_training import fine_frame, mix
from anthropo.landmarks.forest import grow_forest, mean_shape, samples
from anthropo.landmarks.gathering import Gathered, gather_faces
from anthropo.landmarks.judging import JudgedLandmarks, place
from anthropo.landmarks.scheme import IBUG
from anthropo.landmarks.training import hold_out_people, judge_landmarks


@pytest.fixture(scope="module")
def small() -> ForestOptions:
    """Trees that are grown in a second."""
    return ForestOptions(cascades=4, trees=20, copies=6, pool=80)


@pytest.fixture(scope="module")
def gathered(annotated_faces: Path) -> list[Gathered]:
    return gather_faces(read_annotations(annotated_faces).faces)


@pytest.fixture(scope="module")
def model(annotated_faces: Path, small: ForestOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "mine.anthropo"
    request = anthropo.LandmarkTrainRequest(options=small, jobs=1, licence="public domain")
    made = anthropo.train_landmarks(annotated_faces, path, request)
    assert made.people == 8
    assert made.undetected == 0
    return path


def forest(gathered: list[Gathered], options: ForestOptions, threads: int = 1) -> np.ndarray:
    examples = [one.example for one in gathered]
    made = samples(examples, mean_shape(examples, IBUG.mirror), IBUG.mirror, options, 0)
    return grow_forest(made, options, seed=0, threads=threads, report=lambda done, total: None)


def test_the_result_is_the_same_for_any_number_of_threads(
    gathered: list[Gathered], small: ForestOptions
) -> None:
    many = dataclasses.replace(small, copies=80)  # more samples than one piece of work
    assert np.array_equal(forest(gathered, many, 1), forest(gathered, many, 3))


def test_trees_learn(gathered: list[Gathered], small: ForestOptions) -> None:
    errors = [
        judge_landmarks(_engine.ShapePredictor(forest(gathered, options)), IBUG, gathered).error
        for options in (dataclasses.replace(small, cascades=1, trees=1), small)
    ]
    assert errors[1] < 0.03
    assert errors[1] < 0.6 * errors[0]


def test_place_follows_shift_scale_and_mirror(gathered: list[Gathered], small: ForestOptions) -> None:
    predictor = _engine.ShapePredictor(forest(gathered, small))
    one = gathered[0].example
    assert one.box is not None
    plain = place(predictor, IBUG, one.pixels, one.box).mean(0)
    unit = anthropo.face.outer_canthal_distance(plain)

    padded = np.pad(one.pixels, ((31, 0), (17, 0)), mode="edge")
    moved = place(predictor, IBUG, padded, one.box + np.array([17, 31, 17, 31])).mean(0)
    assert np.abs(moved - (17, 31) - plain).max() < 0.01 * unit

    height, width = one.pixels.shape
    double = np.asarray(Image.fromarray(one.pixels).resize((2 * width, 2 * height), Image.Resampling.BICUBIC))
    larger = place(predictor, IBUG, double, 2 * one.box + 0.5).mean(0)
    assert np.abs((larger - 0.5) / 2 - plain).mean() < 0.015 * unit

    flipped = np.ascontiguousarray(one.pixels[:, ::-1])
    box = np.array([width - 1 - one.box[2], one.box[1], width - 1 - one.box[0], one.box[3]])
    mirrored = place(predictor, IBUG, flipped, box).mean(0)[IBUG.mirror]
    assert np.abs((width - 1 - mirrored[:, 0]) - plain[:, 0]).mean() < 0.015 * unit


def test_points_that_are_not_annotated_are_passed_over(
    gathered: list[Gathered], small: ForestOptions
) -> None:
    """Half of the faces lack half of the points, and these are learned from the others."""
    partly = []
    for i, one in enumerate(gathered):
        points = one.example.points.copy()
        points[:34] = np.nan if i % 2 else points[:34]
        partly.append(dataclasses.replace(one, example=dataclasses.replace(one.example, points=points)))
    assert judge_landmarks(_engine.ShapePredictor(forest(partly, small)), IBUG, gathered).error < 0.04


def test_dlib_reads_what_is_trained(gathered: list[Gathered], small: ForestOptions, tmp_path: Path) -> None:
    block = forest(gathered, small)
    path = tmp_path / "mine.dat"
    path.write_bytes(_engine.unpack_shape_predictor(block))
    assert np.array_equal(_engine.pack_shape_predictor(np.fromfile(path, np.uint8)), block)
    one = gathered[0].example
    assert one.box is not None
    box = np.rint(one.box)
    parts = dlib.shape_predictor(str(path))(one.pixels, dlib.rectangle(*map(int, box))).parts()
    points = _engine.ShapePredictor(block).predict(one.pixels, box[None])[0]
    assert np.array_equal(np.floor(points + 0.5), [(p.x, p.y) for p in parts])


def test_no_worse_than_dlibs_own_trainer(gathered: list[Gathered], tmp_path: Path) -> None:
    """On the same pictures with as many trees, judged on people whom neither has seen."""
    options = ForestOptions(cascades=6, trees=40, copies=10, pool=200)
    train, test = gathered[:6], gathered[6:]
    ours = judge_landmarks(_engine.ShapePredictor(forest(train, options)), IBUG, test).error
    given = dlib.shape_predictor_training_options()
    given.cascade_depth, given.num_trees_per_cascade_level = options.cascades, options.trees
    given.oversampling_amount, given.feature_pool_size = 2 * options.copies, options.pool
    given.be_verbose, given.num_threads = False, 1
    images, found = [], []
    for one in train:
        assert one.example.box is not None
        box = dlib.rectangle(*map(int, np.rint(one.example.box)))
        images.append(one.example.pixels)
        found.append(
            [dlib.full_object_detection(box, [dlib.point(*map(int, p)) for p in one.example.points + 0.5])]
        )
    theirs = judge_landmarks(
        _engine.ShapePredictor(_packed(dlib.train_shape_predictor(images, found, given), tmp_path)),
        IBUG,
        test,
    ).error
    assert ours < theirs


def _packed(predictor: dlib.shape_predictor, folder: Path) -> np.ndarray:
    predictor.save(str(folder / "theirs.dat"))
    return _engine.pack_shape_predictor(np.fromfile(folder / "theirs.dat", np.uint8))


def test_what_the_callback_raises_ends_the_training(gathered: list[Gathered], small: ForestOptions) -> None:
    told: list[int] = []

    def report(done: int, total: int) -> None:
        told.append(done)
        raise KeyboardInterrupt

    examples = [one.example for one in gathered]
    made = samples(examples, mean_shape(examples, IBUG.mirror), IBUG.mirror, small, 0)
    with pytest.raises(KeyboardInterrupt):
        grow_forest(made, small, seed=0, threads=2, report=report)
    assert len(told) == 1


def test_people_are_on_one_side_of_a_split() -> None:
    people = ["a", "b", "a", "c", "d", "e", "e"]
    apart = hold_out_people(people, 0.4, 0)
    assert {p for p, x in zip(people, apart, strict=True) if x}.isdisjoint(
        p for p, x in zip(people, apart, strict=True) if not x
    )
    assert 0 < apart.sum() < len(people)
    with pytest.raises(InputError, match="2 people; 4 or more"):
        hold_out_people(["a", "b"], 0.2, 0)


# ---------------------------------------------------------------------------- the file, and its use


def test_the_model_measures(model: Path, annotated_faces: Path) -> None:
    photo = str(next(annotated_faces.glob("*.png")))
    own = anthropo.read_face(photo, landmark_model=str(model))
    packaged = anthropo.read_face(photo)
    unit = anthropo.face.outer_canthal_distance(packaged.landmarks)
    far = np.hypot(*(own.landmarks - packaged.landmarks).T) / unit
    assert 0 < far.mean() < 0.04
    settings = anthropo.Settings(landmark_model=str(model))
    assert settings.fingerprint() != anthropo.Settings().fingerprint()


def test_the_same_annotations_give_the_same_file(
    model: Path, annotated_faces: Path, small: ForestOptions, tmp_path: Path
) -> None:
    request = anthropo.LandmarkTrainRequest(options=small, jobs=2, licence="public domain")
    anthropo.train_landmarks(annotated_faces, tmp_path / "again.anthropo", request)
    assert (tmp_path / "again.anthropo").read_bytes() == model.read_bytes()


def test_the_file_names_no_photo_and_no_person(model: Path) -> None:
    data = model.read_bytes()
    assert b"person0" not in data
    assert b"faces" in data  # their number


def test_inspect_says_what_it_is(model: Path) -> None:
    rows = dict(anthropo.inspect(model).rows)
    assert rows["task"] == "landmarks"
    assert rows["licence"] == "public domain"
    assert rows["trained on"] == "8 faces of 8 people in 8 photos"


def test_another_scheme_is_refused_where_68_points_are_needed(
    annotated_faces: Path, tmp_path: Path, small: ForestOptions
) -> None:
    rows = ["photo,exR_x,exR_y,exL_x,exL_y,sn_x,sn_y"]
    for face in read_annotations(annotated_faces).faces:
        chosen = face.points[[36, 45, 33]].ravel()
        rows.append(",".join([face.photo, *map(str, chosen)]))
    table = tmp_path / "three.csv"
    table.write_text("\n".join(rows) + "\n")
    path = tmp_path / "three.anthropo"
    made = anthropo.train_landmarks(table, path, anthropo.LandmarkTrainRequest(options=small, jobs=1))
    assert made.scheme.unit == (0, 1)
    assert made.scheme.mirror is not None
    assert made.scheme.mirror.tolist() == [1, 0, 2]
    judged = anthropo.evaluate_landmarks(table, str(path), jobs=1)
    assert judged.packaged is None
    assert judged.first_stage.error < 0.05
    with pytest.raises(WeightsError, match=r"3 landmarks \(exR, exL, sn\); .* need the 68 points"):
        anthropo.read_face(anthropo.example_photo(), landmark_model=str(path))
    with pytest.raises(InputError, match="68 points where the landmark model places 3"):
        anthropo.evaluate_landmarks(annotated_faces, str(path), jobs=1)


def test_coverage_of_the_spreads_interval(model: Path, annotated_faces: Path) -> None:
    judged = anthropo.evaluate_landmarks(annotated_faces, str(model), jobs=1)
    frame = judged.to_frame()
    assert list(frame["point"][:2]) == ["p0", "p1"]
    assert frame["coverage"].mean() > 0.8
    assert {"error", "error_packaged", "spread"} <= set(frame.columns)
    described("landmarks evaluate", frame.columns)
    assert "outer-canthal distances" in shows_itself(judged)


def test_a_second_stage_of_its_own(annotated_faces: Path, small: ForestOptions, tmp_path: Path) -> None:
    path = tmp_path / "both.anthropo"
    request = anthropo.LandmarkTrainRequest(options=small, jobs=1, fine_epochs=2)
    made = anthropo.train_landmarks(annotated_faces, path, request)
    assert made.held_out_fine is not None
    bundle = read_landmark_bundle(path)
    own = fine_model(str(path))
    assert [sorted(len(region.scheme) for region in one) for one in own.rounds] == [[68], [5, 5, 5, 6, 9, 20]]
    assert own.mixing is not None
    assert own.mixing.share[[0, 20, 30, 40, 50]] == pytest.approx([*bundle.training["fine_share"].values()])
    assert own.mixing.share.max() > 0
    photo = anthropo.read_photo(str(annotated_faces / "person00.png"))
    first = anthropo.read_face(photo, landmark_model=str(path))
    seen = anthropo.observe(photo, anthropo.Settings(landmark_model=str(path)))
    assert seen.face.anatomy == {}  # these networks place the points of the scheme only
    assert (np.hypot(*(seen.face.landmarks - first.landmarks).T) > 0).all()
    np.testing.assert_allclose(seen.face.landmark_sd, first.landmark_sd * own.mixing.kept[:, None], rtol=1e-4)

    wrong = dict(bundle.fine) | {"eye.scheme": np.full(6, 99, np.int32)}
    write_landmark_bundle(path, dataclasses.replace(bundle, fine=wrong))
    with pytest.raises(WeightsError, match=r"its second stage cannot be used \(eye: points beyond the 68\)"):
        read_wrong(path)
    for name, value, why in (
        ("share", np.array(1.5, np.float32), "a share .* not between 0 and 1"),
        ("offset", np.full((68, 2), np.nan, np.float32), "offsets that are not 68 pairs"),
        ("kept", np.full(67, 1, np.float32), "not 68 numbers"),
        ("eye.patch", np.array(0, np.int32), "not the weights of a patch network"),
    ):
        write_landmark_bundle(path, dataclasses.replace(bundle, fine=dict(bundle.fine) | {name: value}))
        with pytest.raises(WeightsError, match=rf"its second stage cannot be used \(.*{why}"):
            read_wrong(path)


def test_a_second_stage_comes_with_many_people_and_not_for_dlib(
    annotated_faces: Path, small: ForestOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anthropo.landmarks.training.LEAST_FOR_FINE", 4)
    monkeypatch.setattr("anthropo.landmarks.training.EPOCHS", 1)
    request = anthropo.LandmarkTrainRequest(options=small, jobs=1)
    made = anthropo.train_landmarks(annotated_faces, tmp_path / "both.anthropo", request)
    assert made.held_out_fine is not None
    plain = anthropo.train_landmarks(annotated_faces, tmp_path / "one.dat", request)
    assert plain.held_out_fine is None
    assert plain.held_out.error == made.held_out.error


def test_what_people_kept_apart_say_of_the_second_stage() -> None:
    random = np.random.default_rng(1)
    people = tuple(str(i) for i in range(30))
    spread = np.full((30, 68, 2), 0.01)
    truth = [fine_frame() @ [[0, 1], [-1, 0]] * size for size in random.uniform(1, 3, 30)]  # lying faces
    good, bad = random.normal(0, 0.01, (30, 68, 2)), random.normal(0, 0.1, (30, 68, 2))
    worse, mixed = mix(
        JudgedLandmarks(IBUG, good, spread, people), JudgedLandmarks(IBUG, bad, spread, people), truth
    )
    assert (worse.share == 0).all()
    assert mixed.error == pytest.approx(JudgedLandmarks(IBUG, good, spread, people).error)
    # always above the annotated place in an upright face, which lies here
    aside = JudgedLandmarks(IBUG, good + np.array([0.05, 0.0]), spread, people)
    better, mixed = mix(JudgedLandmarks(IBUG, bad, spread, people), aside, truth)
    assert (better.share == 1).all()
    unit = np.hypot(*(fine_frame()[45] - fine_frame()[36]))
    np.testing.assert_allclose(better.offset.mean(0), (0, -0.05 * unit), atol=0.2)
    assert mixed.error < 0.3 * aside.error
    assert better.kept.mean() == pytest.approx(0.1, abs=0.02)
    few, _ = mix(
        *(JudgedLandmarks(IBUG, p.residuals[:4], spread[:4], people[:4]) for p in (aside, aside)), truth[:4]
    )
    assert (few.share == 0.6).all()
    assert not few.offset.any()


def read_wrong(path: Path) -> None:
    landmark_model.cache_clear()
    landmark_model(str(path))


def test_a_classifier_is_no_landmark_model(model: Path, tmp_path: Path) -> None:
    with pytest.raises(anthropo.ModelError, match="a landmark model, which classifies nothing"):
        anthropo.load_model(model)
    from anthropo.learning.bundle import Bundle, write_bundle

    write_bundle(tmp_path / "c.anthropo", Bundle({"task": "binary"}, {}))
    with pytest.raises(WeightsError, match="a classifier or a network, which places no landmarks"):
        landmark_model(str(tmp_path / "c.anthropo"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"forest": np.zeros(64, np.uint8)}, "its forest is damaged"),
        ({"forest": np.zeros(64, np.int8)}, "holds no forest"),
        ({"spread": np.ones(5)}, "not 68 numbers"),
        ({"spread": np.full(68, -1.0)}, "not between 0"),
        ({"spread": np.full(68, np.inf)}, "not between 0"),
        ({"other": np.zeros(3)}, "other is no part"),
        ({"mirror": [0] * 68}, "does not exchange points in pairs"),
        ({"unit": [0, 99]}, "unit is not two points"),
        ({"points": ["p0", "p0"]}, "names are not distinct"),
        (
            {"points": [f"p{i}" for i in range(67)], "ibug": False, "spread": np.ones(67)},
            "places 68 points, its scheme",
        ),
        ({"licence": 3}, "licence is not a text"),
        ({"ibug": 1}, "ibug does not fit"),
    ],
)
def test_an_altered_file_is_refused(
    model: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    sound = read_landmark_bundle(model)
    scheme = {"points": list(IBUG.names), "mirror": None, "unit": [36, 45], "ibug": True}
    manifest = {"scheme": scheme, "training": sound.training, "licence": sound.licence}
    arrays = {"forest": sound.forest, "spread": sound.spread}
    for name, value in change.items():
        place = arrays if isinstance(value, np.ndarray) else manifest if name == "licence" else scheme
        place[name] = value  # type: ignore[assignment, index]
    assert sentence in refusal(tmp_path / "altered.anthropo", manifest, arrays)


def test_every_byte_counts(model: Path, tmp_path: Path) -> None:
    data = model.read_bytes()
    sound = read_landmark_bundle(model)
    assert isinstance(sound, LandmarkBundle)
    write_landmark_bundle(tmp_path / "same.anthropo", sound)
    assert (tmp_path / "same.anthropo").read_bytes() == data
    for at in np.random.default_rng(0).integers(len(data), size=40):
        wrong = bytearray(data)
        wrong[at] ^= 0x10
        path = tmp_path / "wrong.anthropo"
        path.write_bytes(wrong)
        with pytest.raises(WeightsError):
            read_landmark_bundle(path)
