"""Head pose by least squares, and the photo gate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from skimage.draw import polygon

from anthropo.face.gate import (
    CHECKS,
    Check,
    bridge_line,
    check_photo,
    exposure,
    eye_openings,
    mouth_open,
    smile,
)
from anthropo.face.landmarker import read_face
from anthropo.face.pose import POSE_POINTS, fit_camera, generic_face, head_pose
from anthropo.face.scheme import MIRROR
from anthropo.photo import Photo

Pixels = NDArray[np.uint8]


def seen_from(yaw: float, pitch: float, roll: float, scale: float = 150, shift: float = 400) -> NDArray:
    y, p, r = np.radians([-yaw, -pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return scale * (generic_face() @ (about_z @ about_x @ about_y).T)[:, :2] + shift


@given(st.floats(-50, 50), st.floats(-35, 35), st.floats(-60, 60), st.floats(5, 3000))
@settings(max_examples=60, deadline=None)
def test_a_known_pose_comes_back(yaw: float, pitch: float, roll: float, scale: float) -> None:
    camera = head_pose(seen_from(yaw, pitch, roll, scale))
    assert camera[:3] == pytest.approx((yaw, pitch, roll), abs=0.01)
    assert camera.scale == pytest.approx(scale, rel=1e-4)
    assert camera.residual < 1e-6


def test_signs_are_what_is_documented() -> None:
    assert head_pose(seen_from(20, 0, 0)).yaw > 0
    to_the_right = seen_from(20, 0, 0)
    # turned to the subject's left, which is the photo's right: the nose tip moves there
    assert to_the_right[30, 0] > seen_from(0, 0, 0)[30, 0]
    # chin up: the nose tip moves up
    assert seen_from(0, 15, 0)[30, 1] < seen_from(0, 0, 0)[30, 1]
    # clockwise in the photo: the photo's right eye goes down
    assert seen_from(0, 0, 10)[45, 1] > seen_from(0, 0, 10)[36, 1]


def test_the_optimum_is_scipys() -> None:
    rng = np.random.default_rng(3)
    model = generic_face()[POSE_POINTS]
    for _ in range(5):
        points = seen_from(*rng.uniform(-25, 25, 3)) + rng.normal(0, 4, (68, 2))
        seen = points[POSE_POINTS]

        def residual(x: NDArray, seen: NDArray = seen) -> NDArray:
            turned = model @ Rotation.from_rotvec(x[:3]).as_matrix().T
            return (x[3] * turned[:, :2] + x[4:6] - seen).ravel()

        best = least_squares(residual, [0, 0, 0, 150, 400, 400], xtol=1e-14, ftol=1e-14, gtol=1e-14)
        camera = fit_camera(generic_face(), points, POSE_POINTS)
        assert camera.scale == pytest.approx(best.x[3], rel=1e-6)
        np.testing.assert_allclose(camera.rotation, Rotation.from_rotvec(best.x[:3]).as_matrix(), atol=1e-6)
        np.testing.assert_allclose(camera.shift, best.x[4:6], atol=1e-4)


def test_mirror_flips_yaw_and_roll() -> None:
    points = seen_from(12, -7, 5) + np.random.default_rng(0).normal(0, 2, (68, 2))
    mirrored = points[MIRROR] * [-1, 1]
    a, b = head_pose(points), head_pose(mirrored)
    assert (b.yaw, b.pitch, b.roll) == pytest.approx((-a.yaw, a.pitch, -a.roll), abs=1e-6)


def test_the_generic_face_is_symmetric_and_of_human_depth() -> None:
    face = generic_face()
    np.testing.assert_allclose(face[MIRROR] * [-1, 1, 1], face, atol=1e-9)
    assert np.linalg.norm(face[36] - face[45]) == pytest.approx(1, abs=1e-3)
    # the tip stands 19.5 mm (SD 2) before subnasale (Farkas 1994), with 88 mm between outer canthi
    assert np.linalg.norm(face[30] - face[33]) * 88 == pytest.approx(19.5, abs=6)


def checks(pixels: Pixels) -> dict[str, Check]:
    return {c.name: c for c in read_face(Photo.from_array(np.ascontiguousarray(pixels))).gate}


def test_the_gate_reports_value_and_limit(astronaut: Pixels) -> None:
    gate = checks(astronaut)
    assert list(gate) == [
        "yaw", "pitch", "roll", "eye_pixels", "sharpness", "exposure", "mouth_open", "smile",
        "eyes_closed", "glasses", "outside", "hidden", "landmark_spread", "perspective",
    ]  # fmt: skip
    assert tuple(gate) == CHECKS
    assert gate["eye_pixels"].value == pytest.approx(43, abs=3)
    assert not gate["mouth_open"].ok  # she smiles with her teeth showing
    assert not gate["smile"].ok
    assert gate["yaw"].ok
    assert gate["sharpness"].ok
    assert gate["eyes_closed"].ok
    assert gate["glasses"].ok
    assert np.isnan(gate["perspective"].value)  # not known
    assert all(np.isfinite(c.value) != (c.name == "perspective") and c.advice for c in gate.values())


def test_blur_shows_and_exposure_does_not(astronaut: Pixels) -> None:
    head = Image.fromarray(astronaut).crop((90, 0, 370, 280)).resize((840, 840), Image.Resampling.BICUBIC)
    sharp = checks(np.asarray(head))["sharpness"].value
    soft = [np.asarray(head.filter(ImageFilter.GaussianBlur(radius))) for radius in (1.5, 3)]
    blurred = [checks(pixels)["sharpness"].value for pixels in soft]
    assert sharp > blurred[0] > blurred[1]
    dark = checks((np.asarray(head) * 0.6).astype(np.uint8))["sharpness"].value
    assert dark == pytest.approx(sharp, rel=0.1)


def darkened(pixels: Pixels, stops: float) -> Pixels:
    """With 2^stops times less light: levels of sRGB, by its power of 2.4 above the darkest."""
    level = pixels / 255
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4) / 2**stops
    level = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * level).round().astype(np.uint8)


def test_a_photo_with_too_little_light_fails_the_exposure_and_nothing_else(astronaut: Pixels) -> None:
    before = checks(astronaut)
    assert before["exposure"].ok
    assert before["exposure"].value > 200  # her teeth and the highlights of her skin
    for stops in (1, 2, 3):
        assert checks(darkened(astronaut, stops))["exposure"].ok
    dark = checks(darkened(astronaut, 5.5))
    assert not dark["exposure"].ok
    assert dark["exposure"].value < dark["exposure"].limit == 40
    assert dark["exposure"].advice == "take the photo in more light, or expose it longer"
    assert {name for name, check in dark.items() if not check.ok} == {"exposure", "mouth_open", "smile"}


def test_dark_skin_does_not_fail_the_exposure(astronaut: Pixels) -> None:
    """Skin that reflects a sixth of the light: highlights and the white of the eyes remain."""
    points = read_face(Photo.from_array(astronaut)).landmarks
    skin = darkened(astronaut, np.log2(6))
    for eye in (range(36, 42), range(42, 48)):
        rows, columns = polygon(*points[list(eye)].T[::-1], astronaut.shape[:2])
        skin[rows, columns] = astronaut[rows, columns]
    made = checks(skin)["exposure"]
    assert made.ok
    assert made.value > 1.5 * made.limit


def test_exposure_is_that_of_the_face_whatever_its_roll_and_background() -> None:
    points = seen_from(0, 0, 0)
    for turn in (0, 37, 180):
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        turned = (points - points.mean(0)) @ np.array([[c, s], [-s, c]]) + 300
        picture = np.full((600, 600, 3), 250, np.uint8)
        # brows to chin is about as high as wide: the corners lie 1.4 times as far out as the sides
        rows, columns = np.mgrid[:600, :600]
        far = 1.45 * np.linalg.norm(turned[17:] - 300, axis=1).max()
        picture[np.hypot(rows - 300, columns - 300) < far] = 30
        assert exposure(picture, turned) == pytest.approx(30, abs=1)
    assert np.isnan(exposure(np.zeros((9, 9, 3), np.uint8), np.zeros((68, 2))))


def test_pixels_between_the_eyes_follow_the_photos_size(astronaut: Pixels) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((1536, 1536), Image.Resampling.BICUBIC))
    small = checks(astronaut)["eye_pixels"].value
    assert checks(large)["eye_pixels"].value == pytest.approx(3 * small, rel=0.02)


def test_mouth_and_smile_do_not_depend_on_where_the_face_is() -> None:
    points = seen_from(0, 0, 0)
    for other in (seen_from(0, 0, 33), seen_from(0, 0, 0, scale=12, shift=-900)):
        assert mouth_open(other) == pytest.approx(mouth_open(points))
        assert smile(other) == pytest.approx(smile(points))
    wide = points.copy()
    wide[48] += [-20, -8]
    wide[54] += [20, -8]
    assert smile(wide) > smile(points) + 0.2


def checked(points: NDArray) -> dict[str, Check]:
    flat, grey = np.full((208, 208), 128, np.uint8), Photo.from_array(np.full((9, 9, 3), 128, np.uint8))
    return {c.name: c for c in check_photo(points, head_pose(points), flat, 0, 0.005, grey)}


@pytest.mark.parametrize("eye", [(37, 38, 40, 41), (43, 44, 46, 47)])
def test_one_closed_eye_is_enough(eye: tuple[int, int, int, int]) -> None:
    points = seen_from(0, 0, 0)
    gate = checked(points)
    assert gate["eyes_closed"].ok
    assert gate["eyes_closed"].value == pytest.approx(eye_openings(points).min())
    assert gate["eyes_closed"].bound == "min"
    up, in_up, in_low, low = eye
    level = points[list(eye)].mean(0)[1]
    for lid, share in ((up, 0.1), (in_up, 0.1), (in_low, 0.1), (low, 0.1)):
        points[lid, 1] = level + share * (points[lid, 1] - level)
    gate = checked(points)
    assert not gate["eyes_closed"].ok
    assert gate["eyes_closed"].value < 0.1
    assert gate["smile"].ok


def test_the_opening_of_the_eyes_is_free_of_scale_roll_and_side() -> None:
    points = seen_from(8, 0, 0) + np.random.default_rng(1).normal(0, 1, (68, 2))
    assert eye_openings(points[MIRROR] * [-1, 1]).min() == pytest.approx(eye_openings(points).min())
    assert eye_openings(points @ np.array([[0.6, 0.8], [-0.8, 0.6]]) * 5).min() == pytest.approx(
        eye_openings(points).min()
    )
    # half as high, half as open
    flat = seen_from(0, 0, 0) * [1, 0.5]
    assert eye_openings(flat).min() == pytest.approx(0.5 * eye_openings(seen_from(0, 0, 0)).min(), rel=0.05)


@pytest.mark.parametrize("frame", [(20, 20, 25), (150, 150, 160)])
def test_spectacles_are_seen_and_only_they(astronaut: Pixels, frame: tuple[int, int, int]) -> None:
    points = read_face(Photo.from_array(astronaut)).landmarks
    image = Image.fromarray(np.repeat(np.repeat(astronaut, 3, axis=0), 3, axis=1))
    draw = ImageDraw.Draw(image)
    right, left = 3 * points[36:42].mean(0), 3 * points[42:48].mean(0)
    half = 0.4 * (left - right)[0]
    for x, y in (right, left):
        draw.ellipse((x - half, y - 0.7 * half, x + half, y + 0.9 * half), outline=frame, width=5)
    draw.line((right[0] + half, right[1], left[0] - half, left[1]), fill=frame, width=6)
    plain, glasses = checks(astronaut)["glasses"], checks(np.asarray(image))["glasses"]
    assert plain.ok
    assert not glasses.ok
    assert glasses.value > 2 * plain.value


def test_a_line_across_the_nasal_root_counts_and_elsewhere_does_not() -> None:
    rows, columns = np.mgrid[:208, :208]
    smooth = (110 + 0.3 * rows + 0.2 * columns).astype(np.uint8)
    assert bridge_line(smooth) < 0.05
    for top, left, seen in ((64, 80, True), (100, 80, False), (64, 10, False)):
        chip = smooth.copy()
        chip[top : top + 3, left : left + 48] = 20
        assert (bridge_line(chip) > 0.3) == seen
        # neither exposure nor contrast changes it
        assert bridge_line((20 + 0.6 * chip).astype(np.uint8)) == pytest.approx(bridge_line(chip), abs=0.02)
    assert bridge_line(np.full((208, 208), 90, np.uint8)) == 0
