"""How far the camera was: what is declared, what EXIF says, and what that does to a face's points."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Pixels, sentence_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anthropo.decoding.exif import Optics
from anthropo.errors import InputError
from anthropo.face.frame import Floats, outer_canthal_distance
from anthropo.face.landmarker import Face, read_face
from anthropo.face.lens import (
    AXIS,
    EYES,
    REFERENCE,
    Distance,
    aim,
    brought,
    depths,
    distance_of,
    face_size,
    parse_distance,
    pose_change,
    project,
)
from anthropo.face.moving import with_distance
from anthropo.face.pose import generic_face, head_pose, rotation
from anthropo.face.scheme import MIRROR
from anthropo.photo import Photo, read_photo

FOCAL, WIDTH, HEIGHT, ZOOM = 0xA405, 0xA002, 0xA003, 0xA404


def with_exif(path: Path, pixels: Pixels, tags: dict[int, Any], **how: Any) -> Path:
    """A photo file with these tags in EXIF's own directory."""
    exif = Image.Exif()
    exif[0x0112] = 1  # without which Pillow takes it for empty
    exif.get_ifd(0x8769).update(tags)
    Image.fromarray(pixels).save(path, exif=exif, **how)
    return path


@pytest.fixture(scope="module")
def face(astronaut: Pixels) -> Face:
    return read_face(Photo.from_array(astronaut), jitter=2)


# ----------------------------------------------------------------------------------- declared


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0", "0 cm is not how far a camera is from a face"),
        ("-60", "-60 cm is not how far"),
        ("5000", "5000 cm is not how far"),
        ("abc", "not a distance in cm"),
        ("", "not a distance in cm"),
        ("nan", "not a distance in cm"),
        ("1 km", "not a distance in cm"),
        ("60 mm", "not a distance in cm"),
        ("60±", "not a distance in cm"),
        ("60±1±1", "not a distance in cm"),
        ("60±40", "the error must be 0 or more, and less than a third"),
        ("lens=0mm", "0 mm is not the focal length of a lens for portraits"),
        ("lens=999mm", "999 mm is not the focal length"),
        ("lens=wide", "not a distance in cm"),
        ("lens=26mm±1", "not a distance in cm"),
        ("lens=", "not a distance in cm"),
    ],
)
def test_what_cannot_be_a_distance_is_one_sentence_with_the_choices(text: str, says: str) -> None:
    message = sentence_of(InputError, parse_distance, text)
    assert message.startswith(f"distance {text!r}: ")
    assert says in message
    assert message.endswith(
        "Give 60 (cm, 10 to 1000; with an error: 60±3) or lens=26mm (35 mm equivalent, 8 to 600)."
    )


def test_a_distance_is_right_to_five_percent_and_to_one_centimetre_unless_it_says_more() -> None:
    good: list[tuple[str | float, float, float]] = [
        ("60", 60, 3), (60, 60, 3), ("12 cm", 12, 1), ("60±2", 60, 2), ("60 cm +- 2 cm", 60, 2),
        ("150±0", 150, 0),
    ]  # fmt: skip
    for text, value, sd in good:
        request = parse_distance(text)
        assert (request.kind, request.value, request.sd) == ("cm", value, sd)
    assert parse_distance("lens=26mm") == parse_distance("LENS = 26") == parse_distance(" lens=26 MM")
    assert parse_distance("60,5±2,5") == parse_distance("60.5±2.5")


def test_an_unknown_distance_lies_about_the_reference() -> None:
    unknown = Distance()
    assert (unknown.cm, unknown.known, unknown.source) == (REFERENCE, False, "unknown")
    assert math.isclose(unknown.lo * unknown.hi, REFERENCE**2)
    here, there = unknown.nearness
    assert here == there


def test_children_have_smaller_faces() -> None:
    sizes = [face_size(age)[0] for age in (0.0, 1.0, 3.0, 8.0, 15.0, 40.0)]
    assert sizes == sorted(sizes)
    # Weinberg et al. 2016, mean of girls and boys, cm
    for age, published in ((3.0, 7.55), (8.0, 8.07), (15.0, 8.43), (20.0, 8.59)):
        assert face_size(age)[0] == pytest.approx(published, rel=0.03)
    assert face_size(None)[1] > face_size(30.0)[1]


# ----------------------------------------------------------------------------------- EXIF


def test_exif_gives_the_distance_that_its_focal_length_means(tmp_path: Path, astronaut: Pixels) -> None:
    path = with_exif(tmp_path / "a.jpg", astronaut, {FOCAL: 85, WIDTH: 512, HEIGHT: 512}, quality=95)
    face = read_face(str(path), jitter=2)
    distance = face.distance
    pixels = 85 / 43.267 * math.hypot(512, 512)
    apart = outer_canthal_distance(face.landmarks) / math.cos(math.radians(face.yaw))
    assert distance.source == "exif"
    assert distance.cm == pytest.approx((pixels / apart + EYES) * distance.face)
    declared = distance_of(read_photo(path), face.landmarks, face.yaw, declared=parse_distance("lens=85mm"))
    assert (declared.cm, declared.source) == (distance.cm, "lens")
    # against the size of the face it is known better than in cm
    assert math.log(distance.variants()[0, 0] / distance.nearness[0]) < 2 * distance.rel_sd


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({FOCAL: 0}, "focal length of 0 mm is not used: no lens for portraits has it (8 to 600 mm)."),
        ({FOCAL: 999}, "focal length of 999 mm is not used: no lens"),
        ({FOCAL: 5}, "focal length of 5 mm is not used: no lens"),
        (
            {WIDTH: 4000, HEIGHT: 3000},
            "the picture was taken with 4000 × 3000 pixels and may have been cropped",
        ),
        ({WIDTH: 1024, HEIGHT: 1024}, "the picture was taken with 1024 × 1024 pixels"),
        ({WIDTH: 0, HEIGHT: 0}, "EXIF does not say whether the picture was cropped."),
        ({ZOOM: 2.0}, "with a digital zoom (2×), cameras differ in what they write."),
        ({FOCAL: 8}, "too near to be true"),
    ],
)
def test_focal_lengths_that_say_nothing_are_ignored_with_a_reason(
    tmp_path: Path, astronaut: Pixels, tags: dict[int, Any], says: str
) -> None:
    nearer = tags == {FOCAL: 8}
    pixels = np.ascontiguousarray(astronaut[40:260, 120:340]) if nearer else astronaut
    side = len(pixels)
    tags = {FOCAL: 26, WIDTH: side, HEIGHT: side} | tags
    face = read_face(str(with_exif(tmp_path / "a.jpg", pixels, tags, quality=95)), jitter=2)
    assert not face.distance.known
    assert face.distance.cm == REFERENCE
    assert says in face.distance.reason
    assert face.distance.reason.endswith(".")
    assert next(c for c in face.gate if c.name == "perspective").ok


def test_without_a_focal_length_there_is_nothing_to_say(face: Face) -> None:
    assert face.distance == Distance()


@pytest.mark.parametrize("tag", [b"\xff\xff", "wide", (1, 2, 3), -4])
def test_damaged_exif_is_no_focal_length(astronaut: Pixels, tag: Any) -> None:
    image = Image.fromarray(astronaut)
    image.getexif().get_ifd(0x8769)[FOCAL] = tag
    assert math.isnan(Optics.of(image).focal)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.png"])
def test_every_decoder_passes_the_lens_on(tmp_path: Path, astronaut: Pixels, name: str) -> None:
    path = with_exif(tmp_path / name, astronaut, {FOCAL: 50, WIDTH: 512, HEIGHT: 512})
    optics = read_photo(path).optics
    assert (optics.focal, optics.width, optics.height) == (50, 512, 512)
    assert math.isnan(optics.zoom)


def test_a_reduced_decode_and_a_turned_photo_are_of_the_size_that_was_taken(
    tmp_path: Path, astronaut: Pixels
) -> None:
    upright = np.ascontiguousarray(np.pad(astronaut, ((0, 0), (0, 88), (0, 0))).repeat(2, 0).repeat(2, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({FOCAL: 85, WIDTH: 1024, HEIGHT: 1200})
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(tmp_path / "a.jpg", exif=exif, quality=95)
    photo = read_photo(tmp_path / "a.jpg", short_side=390)
    assert photo.decode_scale == 2
    assert photo.full_size == (1200, 1024)
    assert read_face(photo, jitter=2).distance.source == "exif"


# ----------------------------------------------------------------------------------- the gate


def test_the_gate_refuses_what_is_nearer_than_fifty_centimetres(face: Face, astronaut: Pixels) -> None:
    photo = Photo.from_array(astronaut)
    for text, ok in (("49", False), ("50", True), ("200", True), (None, True)):
        seen = with_distance(face, photo, parse_distance(text) if text else None)
        (check,) = (c for c in seen.gate if c.name == "perspective")
        assert check.ok is ok
        assert check.value == float(text) if text else math.isnan(check.value)
        assert (check.limit, check.unit, check.bound) == (50, "cm", "min")


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (8.0, 0.0), (-4.0, 6.0), (0.0, -8.0)])
def test_a_near_camera_is_no_nod(yaw: float, pitch: float) -> None:
    """A head is as turned as it is seen to be from the reference distance."""
    shape = np.column_stack([generic_face()[:, :2], depths()]) @ rotation(yaw, pitch, 0.0).T
    far = head_pose(project(shape[:, :2], shape[:, 2], 8.8 / REFERENCE))
    for cm in (15, 30, 60, 150, 400):
        points = project(shape[:, :2], shape[:, 2], 8.8 / cm)
        seen, change = head_pose(points), pose_change(points, Distance(cm, 0.0, "declared", 8.8, 0.05))
        assert seen.yaw + change[0] == pytest.approx(far.yaw, abs=0.4)
        assert seen.pitch + change[1] == pytest.approx(far.pitch, abs=0.4)
    assert head_pose(project(shape[:, :2], shape[:, 2], 8.8 / 15)).pitch < far.pitch - 6


def test_the_gate_judges_the_head_and_not_its_perspective(face: Face, astronaut: Pixels) -> None:
    photo = Photo.from_array(astronaut)
    near, far, unknown = (
        {c.name: c.value for c in with_distance(face, photo, parse_distance(d) if d else None).gate}
        for d in ("20", "150±0", None)
    )
    assert near["pitch"] > far["pitch"] + 4
    assert (unknown["yaw"], unknown["pitch"]) == (far["yaw"], far["pitch"]) == (face.yaw, face.pitch)
    twice = with_distance(with_distance(face, photo, parse_distance("20")), photo, parse_distance("20"))
    assert {c.name: c.value for c in twice.gate} == near


# ----------------------------------------------------------------------------------- projection


def turned(points: Floats, degrees: float, scale: float, shift: tuple[float, float]) -> Floats:
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + shift)


@given(
    seed=st.integers(0, 10_000),
    near=st.floats(15, 1000),
    far=st.floats(15, 1000),
    degrees=st.floats(-180, 180),
    scale=st.floats(20, 500),
)
def test_points_are_brought_to_where_another_camera_sees_them(
    seed: int, near: float, far: float, degrees: float, scale: float
) -> None:
    """Against an exact projection of any face, wherever it lies in the photo, and however it is rolled."""
    rng = np.random.default_rng(seed)
    flat, depth = rng.normal(size=(68, 2)), rng.uniform(-0.7, 0.8, 68)
    flat[[36, 45]], depth[[36, 45]] = [(-0.5, 0), (0.5, 0)], 0.0
    here, there = 8.8 / near, 8.8 / far
    at = turned(project(flat, depth, here), degrees, scale, (300, 200))
    wanted = turned(project(flat, depth, there), degrees, scale, (300, 200))
    # the canthi, which the axis is found by, are seen a little smaller or larger from elsewhere
    axis = turned(np.zeros((1, 2)), degrees, scale, (300, 200))[0]
    assert np.allclose(brought(at, depth, axis, (here, there)), wanted)
    assert np.array_equal(brought(at, depth, axis, (here, here)), at)


def test_the_camera_aims_at_the_nasal_root() -> None:
    points = project(generic_face()[:, :2], depths(), 0.0) + np.array([0.0, AXIS])
    assert np.allclose(aim(points), (0.0, AXIS), atol=1e-9)
    assert np.allclose(
        aim(turned(points, 30, 80, (5, 7))), turned(np.array([[0.0, AXIS]]), 30, 80, (5, 7))[0]
    )


def test_depths_are_those_of_a_face() -> None:
    depth = depths()
    assert depth.shape == (68,)
    assert np.array_equal(depth, depth[MIRROR])
    assert depth[30] == depth.min()  # nasal tip
    assert depth[36] == 0
    assert depth[0] == depth.max()  # by the ears
    assert depth[30] < depth[51] < depth[48] < depth[4]  # tip, lip, corner of the mouth, jaw


def test_the_nearer_the_camera_the_narrower_the_face() -> None:
    flat = generic_face()[:, :2]
    widths, noses = [], []
    for cm in (400, 150, 60, 40, 25, 15):
        points = project(flat, depths(), 8.8 / cm)
        unit = outer_canthal_distance(points)
        widths.append((points[15, 0] - points[1, 0]) / unit)
        noses.append((points[35, 0] - points[31, 0]) / unit)
    assert widths == sorted(widths, reverse=True)
    assert noses == sorted(noses)
