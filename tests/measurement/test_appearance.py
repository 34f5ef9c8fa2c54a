"""Colour, eyes and texture: what they measure, and what they must not depend on."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from skimage.color import rgb2lab

from anthropo.face.landmarker import Face, read_face
from anthropo.face.scheme import MIRROR
from anthropo.measurement.appearance import appearance
from anthropo.measurement.colour import COLOUR, lab
from anthropo.measurement.eye import EYE
from anthropo.measurement.sampling import Appearance
from anthropo.measurement.texture import LBP_SITES, TEXTURE, lbp, philtrum_relief
from anthropo.photo import Photo

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Values = dict[str, Appearance]
INVARIANT = (
    "lip_redness", "lip_darkness", "lip_cyanosis", "perioral_cyanosis", "erythema_R", "erythema_L",
    "sclera_yellowness_R", "sclera_yellowness_L",
)  # fmt: skip


@pytest.fixture(scope="module")
def head(astronaut: Pixels) -> Pixels:
    """The astronaut's head, enlarged three times: 183 px between the outer canthi; one cheek is too light."""
    crop = encoded(0.6 * linear(astronaut[0:280, 90:370]))
    return np.repeat(np.repeat(crop, 3, axis=0), 3, axis=1)


@pytest.fixture(scope="module")
def face(head: Pixels) -> Face:
    return read_face(Photo.from_array(head))


@pytest.fixture(scope="module")
def plain(head: Pixels, face: Face) -> Values:
    return look(head, face)


def look(pixels: Pixels, face: Face) -> Values:
    return appearance(Photo.from_array(pixels), face.landmarks, face.samples)


def linear(pixels: Pixels) -> Floats:
    t = pixels / 255
    return np.where(t <= 0.04045, t / 12.92, ((t + 0.055) / 1.055) ** 2.4)


def encoded(light: Floats) -> Pixels:
    t = np.clip(light, 0, 1)
    t = np.where(t <= 0.0031308, 12.92 * t, 1.055 * t ** (1 / 2.4) - 0.055)
    return np.rint(255 * t).astype(np.uint8)


def disc(pixels: Pixels, centre: Floats, radius: float) -> Floats:
    """How much of each pixel (H, W, 1) a disc covers."""
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    return np.clip(radius - np.hypot(x - centre[0], y - centre[1]) + 0.5, 0, 1)[..., None]


def test_lab_is_that_of_scikit_image() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (200, 3), dtype=np.uint8)
    levels[:3] = [[0, 0, 0], [255, 255, 255], [3, 2, 1]]
    np.testing.assert_allclose(lab(linear(levels)), rgb2lab(levels / 255.0), atol=0.02)


def test_every_value_has_an_error_or_a_reason(plain: Values) -> None:
    assert list(plain) == [*COLOUR, *EYE, *TEXTURE]
    for name, value in plain.items():
        if np.isfinite(value.value):
            assert value.sd > 0, name
            assert value.reason == ""
        else:
            assert value.reason, name
    assert sum(np.isfinite(v.value) for v in plain.values()) >= len(plain) - 2


def test_lips_are_redder_and_darker_than_cheeks(plain: Values) -> None:
    assert plain["lip_a"].value > plain["cheek_a_R"].value + 5
    assert plain["lip_redness"].value > 0.05
    assert plain["lip_darkness"].value > 0.05
    assert plain["lip_cyanosis"].value < plain["perioral_cyanosis"].value < 0
    assert plain["sclera_a_R"].value < plain["cheek_a_R"].value


# ------------------------------------------------------------------------------------ geometry


def test_mirror_swaps_right_and_left(head: Pixels, face: Face, plain: Values) -> None:
    def mirrored(points: Floats) -> Floats:
        return np.asarray(points[..., MIRROR, :] * [-1, 1] + [head.shape[1] - 1, 0])

    photo = Photo.from_array(np.ascontiguousarray(head[:, ::-1]))
    other = appearance(photo, mirrored(face.landmarks), mirrored(face.samples))
    for name, value in plain.items():
        twin = name[:-1] + {"R": "L", "L": "R"}[name[-1]] if name[-2:] in ("_R", "_L") else name
        # subsets of the samples, which only the sd knows of, are not mirror images
        assert other[twin].value == pytest.approx(value.value, abs=2e-3, nan_ok=True), name
        assert other[twin].reason == value.reason


def test_a_sided_change_stays_on_its_side(head: Pixels, face: Face, plain: Values) -> None:
    points = face.landmarks
    cheek = disc(head, points[[40, 41, 48, 48, 2]].mean(0), 60)
    red = look(np.rint(head * (1 - cheek * [0.0, 0.3, 0.3])).astype(np.uint8), face)
    assert red["erythema_R"].value > plain["erythema_R"].value + 0.15
    assert red["erythema_L"].value == pytest.approx(plain["erythema_L"].value, abs=1e-6)


@given(st.floats(-40, 40), st.floats(0.7, 1.5), st.floats(-30, 30), st.floats(-30, 30))
@settings(max_examples=8, deadline=None)
def test_shift_roll_and_scale(
    astronaut_turned: Callable[..., tuple[Values, Values]], degrees: float, size: float, x: float, y: float
) -> None:
    before, after = astronaut_turned(degrees, size, x, y)
    for name, value in before.items():
        # interpolation blurs a little, as the eye's interval allows for: of 60 values in 8 random places some
        # lie beyond a 95 % interval, so that the one of 99 % is the bound
        tolerance = max(2.58 * value.sd, 0.012 if name in INVARIANT else 1.2)
        assert after[name].value == pytest.approx(value.value, abs=tolerance, nan_ok=True), name


@pytest.fixture(scope="module")
def astronaut_turned(head: Pixels, face: Face, plain: Values) -> Callable[..., tuple[Values, Values]]:
    smooth = np.asarray(Image.fromarray(head).filter(ImageFilter.GaussianBlur(1.5)))
    reference = look(smooth, face)

    def turn(degrees: float, size: float, x: float, y: float) -> tuple[Values, Values]:
        a = np.radians(degrees)
        m = size * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        centre = face.landmarks.mean(0)
        middle = np.array([500 + x, 500 + y])
        back = np.linalg.inv(m)
        offset = centre - back @ middle
        # Pillow counts from a pixel's corner
        offset = offset + 0.5 - back @ np.array([0.5, 0.5])
        coefficients = (*back[0], offset[0], *back[1], offset[1])
        image = Image.fromarray(smooth).transform(
            (1000, 1000), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
        )

        def moved(points: Floats) -> Floats:
            return np.asarray((points - centre) @ m.T + middle)

        photo = Photo.from_array(np.asarray(image))
        return reference, appearance(photo, moved(face.landmarks), moved(face.samples))

    return turn


def test_a_reduced_decode_gives_the_same(head: Pixels, face: Face) -> None:
    file = io.BytesIO()
    large = Image.fromarray(head).resize((3360, 3360), Image.Resampling.BICUBIC)
    large.save(file, "JPEG", quality=95)
    full = Photo.from_array(np.asarray(large))
    reduced = Photo(full.pixels[::8, ::8], "x.jpg", (3360, 3360), 8, file.getvalue())  # too coarse
    points, samples = (face.landmarks + 0.5) * 4 - 0.5, (face.samples + 0.5) * 4 - 0.5
    a, b = appearance(full, points, samples), appearance(reduced, points, samples)
    for name, value in a.items():
        assert b[name].value == pytest.approx(value.value, abs=max(value.sd, 0.01), nan_ok=True), name


# --------------------------------------------------------------------------------------- light


@pytest.mark.parametrize("gain", [[1.2, 1.2, 1.2], [0.8, 0.8, 0.8], [1.0, 0.9, 0.72], [0.78, 0.92, 1.0]])
def test_indices_stand_exposure_and_white_balance(
    head: Pixels, face: Face, plain: Values, gain: list[float]
) -> None:
    other = look(encoded(linear(head) * gain), face)
    for name in INVARIANT:
        assert other[name].value == pytest.approx(plain[name].value, abs=0.01, nan_ok=True), name
    for name in EYE:
        assert other[name].value == pytest.approx(plain[name].value, abs=1.0, nan_ok=True), name
    assert other["philtrum_relief"].value == pytest.approx(plain["philtrum_relief"].value, rel=0.05)
    assert abs(lab(np.array(gain) * 0.4)[0] - lab(np.full(3, 0.4))[0]) > 1  # so there is something to stand


def test_cyanosis_and_pallor_of_the_lips(head: Pixels, face: Face, plain: Values) -> None:
    """Less light in red: cyanosis; more in green and blue: pallor, which darkness tells apart."""
    lips = disc(head, face.landmarks[48:].mean(0), 90)
    blue = look(encoded(linear(head) * (1 - lips * [0.2, 0, 0])), face)
    pale = look(encoded(linear(head) * (1 + lips * [0, 0.25, 0.25])), face)
    for other in (blue, pale):
        change = other["lip_cyanosis"].value - plain["lip_cyanosis"].value
        assert change == pytest.approx(0.097, abs=0.01)
        assert change > 1.96 * plain["lip_cyanosis"].sd
    assert blue["lip_darkness"].value > plain["lip_darkness"].value > pale["lip_darkness"].value
    assert blue["lip_a"].value < plain["lip_a"].value


def test_a_yellow_sclera(head: Pixels, face: Face, plain: Values) -> None:
    eye = disc(head, face.landmarks[42:48].mean(0), 40)
    yellow = look(encoded(linear(head) * (1 - eye * [0, 0, 0.4])), face)
    index = "sclera_yellowness_L"
    assert yellow[index].value - plain[index].value == pytest.approx(0.22, abs=0.02)
    assert yellow["sclera_b_L"].value > plain["sclera_b_L"].value + 5
    other = "sclera_yellowness_R"
    assert yellow[other].value == pytest.approx(plain[other].value, abs=1e-6)
    assert yellow["lip_cyanosis"].value == pytest.approx(plain["lip_cyanosis"].value, abs=0.002)


# --------------------------------------------------------------------------------------- eyes


@pytest.mark.parametrize("side", ["R", "L"])
def test_a_clouded_eye(head: Pixels, face: Face, plain: Values, side: str) -> None:
    lids = slice(36, 42) if side == "R" else slice(42, 48)
    centre = face.landmarks[lids].mean(0)
    unit = float(np.hypot(*(face.landmarks[45] - face.landmarks[36])))
    iris = disc(head, centre - np.array([0, 0.02 * unit]), 0.066 * unit)
    hazy = [
        look(np.rint(head * (1 - iris * h) + 170 * h * iris).astype(np.uint8), face)
        for h in (0.0, 0.25, 0.5, 0.75)
    ]
    for index in ("corneal_haze", "pupil_lightness"):
        values = [h[f"{index}_{side}"].value for h in hazy]
        assert values == sorted(values)
        assert values[2] - values[0] > 1.96 * hazy[0][f"{index}_{side}"].sd
        other = f"{index}_{'L' if side == 'R' else 'R'}"
        assert hazy[3][other].value == pytest.approx(plain[other].value, abs=1.96 * plain[other].sd)


def test_blur_stays_within_the_interval(head: Pixels, face: Face, plain: Values) -> None:
    blurred = look(np.asarray(Image.fromarray(head).filter(ImageFilter.GaussianBlur(1.5))), face)
    for name in EYE:
        assert blurred[name].value == pytest.approx(plain[name].value, abs=1.96 * plain[name].sd), name


# ------------------------------------------------------------------------------------ philtrum


@given(st.floats(0.02, 0.3), st.floats(-0.5, 0.5), st.floats(0.2, 3), st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_relief_is_the_amplitude_of_the_ridges(depth: float, slope: float, gain: float, seed: int) -> None:
    x = np.linspace(-1, 1, 31)
    noise = np.random.default_rng(seed).normal(0, 0.02, (10, 31))
    ridges = depth * np.cos(2 * np.pi * x)  # an even number of periods: no trend to lose
    light = 0.2 * gain * np.exp(ridges + slope * x + noise)
    expected = 100 * depth * np.sqrt(np.mean((ridges / depth - np.mean(ridges / depth)) ** 2))
    assert philtrum_relief(light) == pytest.approx(expected, abs=0.8)


def test_a_smooth_strip_has_no_relief() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (200, 10, 31))
    light = 0.3 * np.exp(noise + np.linspace(-0.3, 0.3, 31))
    # the plain RMS of the averaged profile would be 3.1 %
    assert np.median(philtrum_relief(light)) < 1.5


def test_ridges_drawn_on_the_face(head: Pixels, face: Face) -> None:
    points = face.landmarks
    strip = disc(head, (points[33] + points[51]) / 2, 60)
    smooth = linear(head) * (1 - strip) + strip * [0.35, 0.2, 0.15]
    x = np.arange(head.shape[1])[None, :, None] - points[51, 0]
    width = points[52, 0] - points[50, 0]
    for depth in (0.0, 0.1, 0.2, 0.4):
        drawn = encoded(smooth * np.exp(-strip * depth * np.cos(2 * np.pi * x / width)))
        relief = look(drawn, face)["philtrum_relief"].value
        assert relief == pytest.approx(100 * depth / np.sqrt(2), rel=0.15, abs=0.5)


# ------------------------------------------------------------------------- what cannot be had


def reasons(values: Values, *names: str) -> set[str]:
    assert all(np.isnan(values[n].value) and np.isnan(values[n].sd) for n in names)
    return {values[n].reason for n in names}


def test_a_grey_photograph_has_no_colour(head: Pixels, face: Face) -> None:
    grey = np.repeat(head.mean(-1, keepdims=True).astype(np.uint8), 3, axis=2)
    values = look(grey, face)
    assert reasons(values, *COLOUR) == {"grey photo"}
    assert all(np.isfinite(values[name].value) for name in (*EYE, *TEXTURE))


def test_clipped_regions(head: Pixels, face: Face) -> None:
    lips = disc(head, face.landmarks[48:].mean(0), 50) > 0
    values = look(np.where(lips, 255, head).astype(np.uint8), face)
    assert reasons(values, "lip_a", "lip_redness", "lip_cyanosis") == {"the lip is over-exposed"}
    assert np.isfinite(values["cheek_a_R"].value)
    values = look(np.where(lips, 2, head).astype(np.uint8), face)
    assert reasons(values, "lip_a") == {"the lip is under-exposed"}
    eye = disc(head, face.landmarks[36:42].mean(0), 60) > 0
    values = look(np.where(eye, 255, head).astype(np.uint8), face)
    assert reasons(values, "sclera_b_R", "corneal_haze_R") == {"the sclera is over-exposed"}
    assert np.isfinite(values["lip_cyanosis"].value)  # the other eye is white reference enough


def test_a_closed_eye(head: Pixels, face: Face) -> None:
    points = face.landmarks.copy()
    points[[37, 38]] = points[[41, 40]] - [0, 2]
    values = appearance(Photo.from_array(head), points, face.samples)
    assert reasons(values, "sclera_a_R", "pupil_lightness_R") == {"the eye is closed, or nearly so"}
    assert np.isfinite(values["pupil_lightness_L"].value)


def test_too_small_and_beyond_the_border(astronaut: Pixels, head: Pixels, face: Face) -> None:
    points = (face.landmarks + 0.5) / 3 - 0.5 + [90, 0]
    values = appearance(Photo.from_array(astronaut), points)
    assert {v.reason for v in values.values()} == {"61 px between the outer canthi, 75 needed"}
    assert np.isnan(list(lbp(Photo.from_array(astronaut), points).values())).all()
    cut = np.ascontiguousarray(head[: int(face.landmarks[51, 1])])
    values = look(cut, face)
    assert reasons(values, "lip_b") == {"the lip lies beyond the photo's border"}
    assert np.isfinite(values["corneal_haze_L"].value)


def test_without_jitter_there_is_no_error(head: Pixels, face: Face, plain: Values) -> None:
    values = appearance(Photo.from_array(head), face.landmarks)
    for name, value in values.items():
        assert value.value == pytest.approx(plain[name].value, abs=1e-6, nan_ok=True)
        assert np.isnan(value.sd)
        assert value.reason


# -------------------------------------------------------------------------------------- texture


def test_lbp_histograms(head: Pixels, face: Face) -> None:
    photo = Photo.from_array(head)
    values = lbp(photo, face.landmarks)
    assert len(values) == len(LBP_SITES) * 2 * 10
    for site in LBP_SITES:
        for radius in (1, 2):
            assert sum(values[f"lbp_{site}_r{radius}_{i}"] for i in range(10)) == pytest.approx(1)
    mirrored = face.landmarks[MIRROR] * [-1, 1] + [head.shape[1] - 1, 0]
    other = lbp(Photo.from_array(np.ascontiguousarray(head[:, ::-1])), mirrored)
    swap = {"enR": "enL", "enL": "enR", "exR": "exL", "exL": "exR", "chR": "chL", "chL": "chR"}
    for name, value in values.items():
        _, site, rest = name.split("_", 2)
        assert other[f"lbp_{swap.get(site, site)}_{rest}"] == pytest.approx(value, abs=0.06), name


def test_lbp_tells_textures_apart(head: Pixels, face: Face) -> None:
    rough = np.clip(head + np.random.default_rng(0).normal(0, 25, head.shape), 0, 255).astype(np.uint8)
    a = lbp(Photo.from_array(head), face.landmarks)
    b = lbp(Photo.from_array(rough), face.landmarks)
    # noise makes patterns that are not uniform
    assert b["lbp_sn_r1_9"] > a["lbp_sn_r1_9"] + 0.1


def test_lbp_beyond_the_border(head: Pixels, face: Face) -> None:
    cut = Photo.from_array(np.ascontiguousarray(head[: int(face.landmarks[48, 1])]))
    values = lbp(cut, face.landmarks)
    assert np.isnan(values["lbp_chR_r1_0"])
    assert np.isfinite(values["lbp_enR_r2_0"])
