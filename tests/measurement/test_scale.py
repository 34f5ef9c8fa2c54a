"""Millimetres per pixel: what may be declared, stickers pasted onto the astronaut, irises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from anthropo.errors import AnthropoError, InputError
from anthropo.face.landmarker import read_face
from anthropo.face.scheme import MIRROR
from anthropo.measurement.iris import iris_circles
from anthropo.measurement.scale import IRIS_MM, IRIS_SD, ScaleError, find_scale, parse_scale
from anthropo.measurement.sticker import find_stickers, sticker_at
from anthropo.photo import Photo, read_photo

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Paste = Callable[..., Pixels]

ZOOM = 3
CANTHAL = 88.0  # mm, taken for the astronaut
FOREHEAD, CHEEK, CHIN = (222.0, 92.0), (255.0, 134.0), (217.0, 170.0)  # places on the astronaut


@pytest.fixture(scope="module")
def portrait(astronaut: Pixels) -> Pixels:
    """The face, three times as large; the place (x, y) of the astronaut is (3 (x - 130) + 1, 3 y + 1)."""
    part = Image.fromarray(astronaut[:260, 130:340])
    return np.asarray(part.resize((part.width * ZOOM, part.height * ZOOM), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def points(portrait: Pixels) -> Floats:
    return read_face(Photo.from_array(portrait)).landmarks


@pytest.fixture(scope="module")
def per_mm(points: Floats) -> float:
    return float(np.hypot(*(points[45] - points[36]))) / CANTHAL


def place(at: tuple[float, float]) -> Floats:
    return np.array([ZOOM * (at[0] - 130) + 1, ZOOM * at[1] + 1])


def paste(
    pixels: Pixels,
    at: tuple[float, float],
    size: float,
    *,
    square: bool = False,
    colour: tuple[int, int, int] = (30, 90, 200),
    roll: float = 0.0,
    tilt: float = 1.0,
    shade: float = 0.0,
) -> Pixels:
    """A sticker `size` pixels wide, its edges smooth, shortened to `tilt` vertically, lit from one side."""
    centre = place(at)
    fine = 8
    half = int(size) + 4
    low = np.floor(centre).astype(int) - half
    grid = (np.arange(2 * half * fine) + 0.5) / fine - 0.5
    x, y = np.meshgrid(grid + low[0] - centre[0], (grid + low[1] - centre[1]) / tilt)
    u, v = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
    inside = (np.maximum(abs(u), abs(v)) if square else np.hypot(u, v)) <= size / 2
    cover = inside.reshape(2 * half, fine, 2 * half, fine).mean((1, 3))
    mask = Image.fromarray(np.rint(255 * cover).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    light = 1 + shade * np.linspace(-1, 1, 2 * half)[None, :, None]
    patch = np.clip(np.broadcast_to(light, (2 * half, 2 * half, 1)) * np.array(colour), 0, 255)
    image = Image.fromarray(pixels)
    image.paste(Image.fromarray(patch.astype(np.uint8)), tuple(low.tolist()), mask)
    return np.asarray(image)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "kind", "value", "sd"),
        [
            ("mm-per-px=0.21", "mm-per-px", 0.21, 0),
            ("ipd=63", "ipd", 63, 0),
            (" IPD = 63 ", "ipd", 63, 0),
            ("ipd=63±1", "ipd", 63, 1),
            ("ipd=63+-1.5", "ipd", 63, 1.5),
            ("ipd=62,5±0,5", "ipd", 62.5, 0.5),
            ("ipd=63 +/- 1", "ipd", 63, 1),
            ("sticker=24", "sticker", 24, 0),
            ("iris=11.9", "iris", 11.9, 0),
            ("iris", "iris", IRIS_MM, IRIS_SD),
        ],
    )
    def test_reads(self, text: str, kind: str, value: float, sd: float) -> None:
        request = parse_scale(text)
        assert (request.kind, request.value, request.sd) == (kind, value, sd)
        assert request.assumed == (text == "iris")

    @pytest.mark.parametrize(
        "text",
        [
            "", "63", "ipd", "ipd=", "ipd=big", "ipd=nan", "ipd=inf", "ipd=0", "ipd=-63", "ipd=6.3",
            "ipd=630", "ipd=63±", "ipd=63±-1", "ipd=63±1±1", "ipd=63±nan", "ipd=63±40", "ipd=63,5,1",
            "sticker=0", "sticker=1000", "iris=", "iris=117", "mm-per-px=0", "mm-per-px=-1", "mm-per-px=1e9",
            "ruler=30", "mm_per_px=0.2",
        ],
    )  # fmt: skip
    def test_refuses_nonsense_with_the_choices(self, text: str) -> None:
        with pytest.raises(InputError) as error:
            parse_scale(text)
        message = str(error.value)
        assert repr(text) in message
        assert all(f"{kind}=" in message for kind in ("mm-per-px", "ipd", "sticker", "iris"))

    @given(st.floats(30, 85), st.floats(0, 7))
    def test_text_of_a_request_reads_back(self, value: float, sd: float) -> None:
        request = parse_scale(f"ipd={value:.6g}±{sd:.6g}")
        assert parse_scale(str(request)).value == pytest.approx(request.value, rel=1e-5)
        assert parse_scale(str(request)).sd == pytest.approx(request.sd, rel=1e-5)


class TestSticker:
    @pytest.mark.parametrize("square", [False, True])
    @pytest.mark.parametrize(
        ("at", "mm", "colour"),
        [
            (FOREHEAD, 12, (240, 240, 235)),
            (FOREHEAD, 12, (20, 20, 25)),
            (CHEEK, 12, (30, 90, 200)),
            (CHEEK, 16, (40, 150, 60)),
            (CHIN, 10, (200, 30, 40)),
        ],
    )
    def test_found_and_measured(
        self,
        portrait: Pixels,
        points: Floats,
        per_mm: float,
        at: tuple[float, float],
        mm: float,
        colour: tuple[int, int, int],
        square: bool,
    ) -> None:
        size = mm * per_mm
        photo = Photo.from_array(
            paste(portrait, at, size, square=square, colour=colour, roll=0.4, shade=0.05)
        )
        (sticker,) = find_stickers(photo, points, mm)
        assert sticker.round is not square
        # a quarter of a pixel on either side: edges are sought between the two spaces they may be blurred in
        assert sticker.size == pytest.approx(size, abs=0.55)
        assert np.allclose(sticker.centre, place(at), atol=0.02 * size)
        extent = np.hypot(*(sticker.outline - place(at)).T)
        assert np.allclose(extent, size / np.sqrt(2) if square else size / 2, rtol=0.05)
        scale = find_scale(parse_scale(f"sticker={mm}"), photo, points)
        assert scale.mm_per_px == pytest.approx(1 / per_mm, rel=0.025)
        assert 0.015 <= scale.rel_sd < 0.03
        assert len(scale.shape) == 1
        assert f"{mm:g} mm" in scale.method

    @pytest.mark.parametrize("square", [False, True])
    def test_tilt_does_not_shorten_it(
        self, portrait: Pixels, points: Floats, per_mm: float, square: bool
    ) -> None:
        size = 16 * per_mm
        pixels = paste(portrait, CHEEK, size, square=square, colour=(40, 150, 60), roll=0.3, tilt=0.8)
        (sticker,) = find_stickers(Photo.from_array(pixels), points, 16)
        assert sticker.size == pytest.approx(size, rel=0.025)

    @settings(max_examples=8, deadline=None)
    @given(st.floats(9, 17), st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 1.5), st.booleans())
    def test_any_size_place_and_roll(
        self,
        portrait: Pixels,
        points: Floats,
        per_mm: float,
        mm: float,
        dx: float,
        dy: float,
        roll: float,
        square: bool,
    ) -> None:
        at = (CHEEK[0] + dx, CHEEK[1] + dy)
        pixels = paste(portrait, at, mm * per_mm, square=square, roll=roll)
        (sticker,) = find_stickers(Photo.from_array(pixels), points, mm)
        assert sticker.size == pytest.approx(mm * per_mm, rel=0.03)
        assert np.allclose(sticker.centre, place(at), atol=0.7)

    def test_mirrored_photo_gives_the_same_size(
        self, portrait: Pixels, points: Floats, per_mm: float
    ) -> None:
        pixels = paste(portrait, CHEEK, 14 * per_mm)
        (sticker,) = find_stickers(Photo.from_array(pixels), points, 14)
        width = pixels.shape[1]
        mirrored = (points * [-1, 1] + [width - 1, 0])[MIRROR]
        (other,) = find_stickers(Photo.from_array(np.ascontiguousarray(pixels[:, ::-1])), mirrored, 14)
        assert other.size == pytest.approx(sticker.size, rel=2e-3)
        assert other.centre[0] == pytest.approx(width - 1 - sticker.centre[0], abs=0.1)

    def test_half_the_photo_has_twice_the_scale(
        self, portrait: Pixels, points: Floats, per_mm: float
    ) -> None:
        pixels = paste(portrait, CHEEK, 16 * per_mm)
        request = parse_scale("sticker=16")
        whole = find_scale(request, Photo.from_array(pixels), points)
        small = np.asarray(Image.fromarray(pixels).reduce(2))
        half = find_scale(request, Photo.from_array(small), (points + 0.5) / 2 - 0.5)
        assert half.mm_per_px == pytest.approx(2 * whole.mm_per_px, rel=0.02)

    def test_reduced_decode_gives_full_photo_pixels(
        self, portrait: Pixels, points: Floats, per_mm: float, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        pixels = paste(portrait, CHEEK, 16 * per_mm)
        path = tmp_path_factory.mktemp("scale") / "large.jpg"
        large = Image.fromarray(pixels).resize((4 * pixels.shape[1], 4 * pixels.shape[0]))
        large.save(path, quality=92)
        photo = read_photo(path, short_side=390)
        assert photo.decode_scale > 1
        request = parse_scale("sticker=16")
        found = find_scale(request, photo, (points + 0.5) * 4 - 0.5)
        assert found.mm_per_px == pytest.approx(1 / per_mm / 4, rel=0.02)
        assert np.allclose(found.shape[0].mean(0), (place(CHEEK) + 0.5) * 4 - 0.5, atol=4)

    @pytest.mark.parametrize("mm", [8, 11, 12, 20, 30])
    def test_none_there(self, portrait: Pixels, points: Floats, mm: float) -> None:
        with pytest.raises(ScaleError, match=rf"^array: no sticker of {mm} mm found.* pixels wide.*ipd="):
            find_scale(parse_scale(f"sticker={mm}"), Photo.from_array(portrait), points)

    def test_another_size_is_not_taken(self, portrait: Pixels, points: Floats, per_mm: float) -> None:
        photo = Photo.from_array(paste(portrait, CHEEK, 16 * per_mm))
        for mm in (8, 32):
            assert find_stickers(photo, points, mm) == []

    def test_two_are_refused_with_their_places(self, portrait: Pixels, points: Floats, per_mm: float) -> None:
        pixels = paste(paste(portrait, CHEEK, 12 * per_mm), FOREHEAD, 12 * per_mm)
        with pytest.raises(ScaleError, match="2 patches fit") as error:
            find_scale(parse_scale("sticker=12"), Photo.from_array(pixels), points)
        for at in (CHEEK, FOREHEAD):
            x, y = np.rint(place(at)).astype(int)
            assert any(
                f"x {x + dx}, y {y + dy}" in str(error.value) for dx in (-1, 0, 1) for dy in (-1, 0, 1)
            )

    def test_of_two_the_one_that_is_pointed_at(self, portrait: Pixels, points: Floats, per_mm: float) -> None:
        size = 12 * per_mm
        pixels = paste(paste(portrait, CHEEK, size), FOREHEAD, size)
        photo = Photo.from_array(pixels)
        for at in (CHEEK, FOREHEAD):
            x, y = place(at)
            sticker = sticker_at(photo, points, 12, (x + 0.3 * size, y - 0.2 * size))
            assert sticker is not None
            assert sticker.size == pytest.approx(size, abs=0.55)
            assert np.allclose(sticker.centre, place(at), atol=0.7)
            drawn = sticker_at(photo, points, 40, (x, y), across=1.1 * size)  # whatever was said of its size
            assert drawn is not None
            assert drawn.size == pytest.approx(sticker.size, abs=0.1)
            assert sticker_at(photo, points, 12, (x + 2 * size, y)) is None
        assert sticker_at(photo, points, 12, (0.0, 0.0)) is None
        # where nobody would look for it, on the tip of the nose
        tip = paste(portrait, tuple((points[30] - 1) / ZOOM + [130, 0]), size)
        assert find_stickers(Photo.from_array(tip), points, 12) == []
        assert sticker_at(Photo.from_array(tip), points, 12, tuple(points[30])) is not None

    def test_too_few_pixels(self, portrait: Pixels, points: Floats) -> None:
        small = np.asarray(Image.fromarray(portrait).reduce(6))
        with pytest.raises(ScaleError, match="pixels wide, 14 are needed"):
            find_scale(parse_scale("sticker=8"), Photo.from_array(small), points / 6)

    def test_plain_photo(self, points: Floats) -> None:
        grey = Photo.from_array(np.full((780, 630, 3), 128, np.uint8))
        assert find_stickers(grey, points, 12) == []

    def test_soft_spots_are_none(self, points: Floats) -> None:
        y, x = np.mgrid[:780, :630]
        waves = 128 + 100 * np.sin(x / 9) * np.sin(y / 9)
        photo = Photo.from_array(np.repeat(waves[..., None], 3, 2).astype(np.uint8))
        for mm in (8, 12, 24):
            assert find_stickers(photo, points, mm) == []


def eyes(
    points: Floats, shape: tuple[int, int], radius: float, gaze: float = 0.0, iris: int = 70
) -> tuple[Pixels, Floats]:
    """Drawn eyes: skin, sclera inside the lids, iris with pupil, blurred; and the iris centres."""
    fine = 3
    height, width = shape
    y, x = (np.mgrid[: height * fine, : width * fine] + 0.5) / fine - 0.5
    grey = np.full((height * fine, width * fine), 150.0)
    centres = []
    for lids in (points[36:42], points[42:48]):
        open_ = np.ones(grey.shape, bool)
        for a, b in zip(lids, np.roll(lids, -1, axis=0), strict=True):
            open_ &= (b - a)[0] * (y - a[1]) - (b - a)[1] * (x - a[0]) >= 0
        centre = lids.mean(0) + np.array([gaze, 0.6])
        rho = np.hypot(x - centre[0], y - centre[1])
        grey[open_] = 215
        grey[open_ & (rho < radius)] = iris
        grey[open_ & (rho < 0.4 * radius)] = 15
        centres.append(centre)
    grey = grey.reshape(height, fine, width, fine).mean((1, 3))
    image = Image.fromarray(np.rint(grey).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    return np.repeat(np.asarray(image)[..., None], 3, 2), np.array(centres)


class TestIris:
    @pytest.mark.parametrize("share", [0.060, 0.068, 0.078])
    @pytest.mark.parametrize(("gaze", "iris"), [(-4.0, 50), (0.0, 110), (5.0, 110)])
    def test_drawn_eyes(self, points: Floats, share: float, gaze: float, iris: int) -> None:
        radius = share * float(np.hypot(*(points[45] - points[36])))
        pixels, centres = eyes(points, (400, 450), radius, gaze, iris)
        for found, centre in zip(iris_circles(Photo.from_array(pixels), points), centres, strict=True):
            assert found.reason == ""
            assert found.r == pytest.approx(radius, rel=0.02)
            assert (found.x, found.y) == pytest.approx(centre.tolist(), abs=0.08 * radius)
            assert 0 <= found.sd < 0.05 * radius

    def test_closed(self, points: Floats, portrait: Pixels) -> None:
        shut = points.copy()
        for upper, lower in ((37, 41), (38, 40)):
            shut[upper] = shut[lower] = (points[upper] + points[lower]) / 2
        right, left = iris_circles(Photo.from_array(portrait), shut)
        assert right.reason == "the eye is closed"
        assert np.isnan([right.x, right.y, right.r, right.sd]).all()
        assert left.reason != "the eye is closed"

    def test_no_iris_in_plain_pixels(self, points: Floats) -> None:
        plain = Photo.from_array(np.full((780, 630, 3), 128, np.uint8))
        assert all(iris.reason and np.isnan(iris.r) for iris in iris_circles(plain, points))
        with pytest.raises(ScaleError, match=r"^array: no iris can be measured .*ipd=MM"):
            find_scale(parse_scale("iris"), plain, points)

    def test_unequal_eyes_are_refused(self, points: Floats) -> None:
        unit = float(np.hypot(*(points[45] - points[36])))
        right, _ = eyes(points, (400, 450), 0.060 * unit)
        left, _ = eyes(points, (400, 450), 0.072 * unit)
        middle = int(points[27, 0])
        pixels = np.concatenate([right[:, :middle], left[:, middle:]], 1)
        assert all("differ by" in iris.reason for iris in iris_circles(Photo.from_array(pixels), points))

    def test_too_small(self, points: Floats) -> None:
        tiny = points / 12
        right, _ = iris_circles(Photo.from_array(np.zeros((80, 80, 3), np.uint8)), tiny)
        assert "less than 10 pixels" in right.reason

    def test_eye_at_the_border(self, portrait: Pixels, points: Floats) -> None:
        cut = int(points[36, 0]) - 2
        right, _ = iris_circles(Photo.from_array(np.ascontiguousarray(portrait[:, cut:])), points - [cut, 0])
        assert "border" in right.reason

    def test_mirrored(self, points: Floats) -> None:
        radius = 0.068 * float(np.hypot(*(points[45] - points[36])))
        pixels, _ = eyes(points, (400, 450), radius, 3.0)
        right, left = iris_circles(Photo.from_array(pixels), points)
        turned = (points * [-1, 1] + [449, 0])[MIRROR]
        other = iris_circles(Photo.from_array(np.ascontiguousarray(pixels[:, ::-1])), turned)
        assert (other[1].r, other[0].r) == pytest.approx((right.r, left.r), rel=1e-3)
        assert other[1].x == pytest.approx(449 - right.x, abs=0.05)

    def test_scale_by_iris(self, points: Floats) -> None:
        radius = 0.068 * float(np.hypot(*(points[45] - points[36])))
        photo = Photo.from_array(eyes(points, (400, 450), radius)[0])
        measured = find_scale(parse_scale("iris=12.1"), photo, points)
        assert measured.mm_per_px == pytest.approx(12.1 / (2 * radius), rel=0.02)
        assert len(measured.shape) == 2
        adults = find_scale(parse_scale("iris"), photo, points)
        assert adults.mm_per_px / measured.mm_per_px == pytest.approx(IRIS_MM / 12.1)
        assert adults.rel_sd == pytest.approx(np.hypot(measured.rel_sd, IRIS_SD / IRIS_MM))
        assert "adults" in adults.method


class TestDeclared:
    def test_mm_per_px(self, portrait: Pixels, points: Floats) -> None:
        scale = find_scale(parse_scale("mm-per-px=0.3±0.003"), Photo.from_array(portrait), points)
        assert (scale.mm_per_px, scale.rel_sd, scale.shape) == (0.3, pytest.approx(0.01), ())

    @pytest.mark.parametrize("value", [0.05, 3])
    def test_no_face_is_that_large(self, portrait: Pixels, points: Floats, value: float) -> None:
        with pytest.raises(ScaleError, match="outer eye corners"):
            find_scale(parse_scale(f"mm-per-px={value}"), Photo.from_array(portrait), points)
        assert issubclass(ScaleError, AnthropoError)

    def test_ipd_between_irises(self, points: Floats) -> None:
        radius = 0.068 * float(np.hypot(*(points[45] - points[36])))
        pixels, centres = eyes(points, (400, 450), radius)
        scale = find_scale(parse_scale("ipd=60±0.6"), Photo.from_array(pixels), points)
        assert scale.mm_per_px == pytest.approx(60 / np.hypot(*(centres[1] - centres[0])), rel=0.005)
        assert scale.rel_sd == pytest.approx(np.hypot(0.01, 0.008))
        assert len(scale.shape) == 2

    def test_ipd_between_lids_where_there_is_no_iris(self, points: Floats) -> None:
        plain = Photo.from_array(np.full((780, 630, 3), 128, np.uint8))
        scale = find_scale(parse_scale("ipd=60"), plain, points)
        distance = np.hypot(*(points[42:48].mean(0) - points[36:42].mean(0)))
        assert scale.mm_per_px == pytest.approx(60 / distance)
        assert scale.shape == ()
        shaken = points + np.random.default_rng(1).normal(0, 0.05 * distance, (16, 68, 2))
        assert find_scale(parse_scale("ipd=60"), plain, points, shaken).rel_sd > 1.5 * scale.rel_sd
