"""Photo to face: what is found, and that it moves with the photo."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import FIVE_POINTS
from crafted import Predictor
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from anthropo.errors import FaceError, WeightsError
from anthropo.face import detection
from anthropo.face.landmarker import read_face, read_faces
from anthropo.face.scheme import LANDMARKS, MIRROR
from anthropo.face.weights import face_detector, landmark_model
from anthropo.photo import Photo

Pixels = NDArray[np.uint8]
EYES = (36, 45)


def photo(pixels: Pixels) -> Photo:
    return Photo.from_array(np.ascontiguousarray(pixels))


def unit(points: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(points[36] - points[45]))


@pytest.fixture(scope="module")
def portrait(astronaut: Pixels) -> Pixels:
    """The astronaut's head, 840 × 840 px."""
    crop = Image.fromarray(astronaut).crop((90, 0, 370, 280))
    return np.asarray(crop.resize((840, 840), Image.Resampling.BICUBIC))


def test_the_face_is_where_it_is(astronaut: Pixels) -> None:
    face = read_face(photo(astronaut))
    assert face.landmarks.shape == face.landmark_sd.shape == (68, 2)
    assert face.samples.shape == (16, 68, 2)
    np.testing.assert_allclose(face.samples.mean(0), face.landmarks)
    # read off the enlarged picture by eye: outer canthi, nose tip, mouth corners, chin
    seen = {36: (195, 101), 45: (256, 104), 30: (225, 127), 48: (200, 139), 54: (246, 141), 8: (221, 178)}
    for point, place in seen.items():
        assert np.linalg.norm(face.landmarks[point] - place) < 3
    assert 0 < np.median(face.landmark_sd) < 1


def test_results_repeat_to_the_last_bit(astronaut: Pixels) -> None:
    first, second = read_face(photo(astronaut)), read_face(photo(astronaut))
    assert np.array_equal(first.samples, second.samples)


@pytest.mark.parametrize("shift", [(37, 11), (3, 90)])
def test_shift(astronaut: Pixels, shift: tuple[int, int]) -> None:
    padded = np.pad(astronaut, ((shift[1], 0), (shift[0], 0), (0, 0)), mode="edge")
    moved = read_face(photo(padded), face="largest").landmarks - shift
    points = read_face(photo(astronaut)).landmarks
    assert np.abs(moved - points).mean() / unit(points) < 0.01


@pytest.mark.parametrize("degrees", [-25, -10, 10, 25])
def test_roll(portrait: Pixels, degrees: float) -> None:
    face = read_face(photo(portrait))
    turned = np.asarray(Image.fromarray(portrait).rotate(degrees, Image.Resampling.BICUBIC))
    rolled = read_face(photo(turned))
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = (face.landmarks - 419.5) @ turn.T + 419.5
    assert np.abs(rolled.landmarks - expected).mean() / unit(face.landmarks) < 0.012
    assert rolled.roll - face.roll == pytest.approx(-degrees, abs=1.5)


@pytest.mark.parametrize("width", [1800, 600, 400, 280])
def test_scale(portrait: Pixels, width: int) -> None:
    points = read_face(photo(portrait)).landmarks
    scaled = np.asarray(Image.fromarray(portrait).resize((width, width), Image.Resampling.LANCZOS))
    found = (read_face(photo(scaled)).landmarks + 0.5) * 840 / width - 0.5
    assert np.abs(found - points).mean() / unit(points) < 0.012


def test_mirror(portrait: Pixels) -> None:
    points = read_face(photo(portrait)).landmarks
    mirrored = read_face(photo(portrait[:, ::-1])).landmarks[MIRROR]
    mirrored[:, 0] = 839 - mirrored[:, 0]
    assert np.abs(mirrored - points).mean() / unit(points) < 0.006


def test_a_reduced_decode_gives_full_photo_pixels(portrait: Pixels, tmp_path: Path) -> None:
    large = Image.fromarray(portrait).resize((3360, 3360), Image.Resampling.BICUBIC)
    path = tmp_path / "large.jpg"
    large.save(path, quality=92)
    face = read_face(str(path))
    assert face.size == (3360, 3360)
    expected = (read_face(photo(portrait)).landmarks + 0.5) * 4 - 0.5
    assert np.abs(face.landmarks - expected).mean() / unit(expected) < 0.008


def test_a_small_face_in_a_large_photo_is_decoded_finely_enough(portrait: Pixels, tmp_path: Path) -> None:
    """The decode starts at 1/8; the scale must not be applied twice after the finer one."""
    canvas = Image.new("RGB", (3600, 3600), (90, 110, 120))
    canvas.paste(Image.fromarray(portrait).resize((420, 420)), (2500, 400))
    path = tmp_path / "small.jpg"
    canvas.save(path, quality=95)
    face = read_face(str(path))
    expected = (read_face(photo(portrait)).landmarks + 0.5) / 2 - 0.5 + [2500, 400]
    assert np.abs(face.landmarks - expected).mean() / unit(expected) < 0.012


def test_dark_photos_are_read_like_bright_ones(portrait: Pixels) -> None:
    points = read_face(photo(portrait)).landmarks
    for factor in (0.5, 0.25, 0.08):
        dark = read_face(photo((portrait * factor).astype(np.uint8)))
        assert np.abs(dark.landmarks - points).mean() / unit(points) < 0.015


def test_a_face_that_only_the_second_try_finds(portrait: Pixels) -> None:
    dark = read_face(photo((portrait * 0.012).astype(np.uint8)))
    assert dark.second_try
    points = read_face(photo(portrait)).landmarks
    assert np.abs(dark.landmarks - points).mean() / unit(points) < 0.08


@pytest.mark.parametrize("name", ["coins", "page", "brick", "grass", "gravel", "chelsea", "coffee", "rocket"])
def test_no_face_is_no_face(name: str) -> None:
    pixels = getattr(data, name)()
    with pytest.raises(FaceError, match="no face found"):
        read_face(photo(pixels))


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (40, 40)])
def test_tiny_pictures_have_no_face(shape: tuple[int, int]) -> None:
    with pytest.raises(FaceError, match="no face found"):
        read_face(photo(np.full(shape, 128, np.uint8)))


def test_several_faces(portrait: Pixels) -> None:
    small = np.asarray(Image.fromarray(portrait).resize((620, 620)))
    both = np.zeros((840, 1460, 3), np.uint8)
    both[:, :840], both[:620, 840:] = portrait, small
    with pytest.raises(FaceError, match=r"2 faces found, 1 needed\. Pass face='largest' or face='all'"):
        read_face(photo(both))
    largest = read_face(photo(both), face="largest")
    assert largest.landmarks[:, 0].max() < 840
    every = read_faces(photo(both), face="all")
    assert len(every) == 2
    assert every[1].landmarks[:, 0].min() > 840


def test_a_face_in_the_background_does_not_count(portrait: Pixels) -> None:
    far = np.asarray(Image.fromarray(portrait).resize((300, 300)))
    both = np.zeros((840, 1140, 3), np.uint8)
    both[:, :840], both[:300, 840:] = portrait, far
    assert read_face(photo(both)).landmarks[:, 0].max() < 840
    assert len(read_faces(photo(both), face="all")) == 2


def test_large_photos_are_searched_in_a_reduction(portrait: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_face(photo(portrait))
    searched: list[int] = []

    class Detector:
        def detect(self, image: Pixels, threshold: float, levels: int) -> NDArray[np.float64]:
            searched.append(image.shape[0] * image.shape[1])
            return face_detector().detect(image, threshold, levels)

    monkeypatch.setattr(detection, "face_detector", Detector)
    noise = np.random.default_rng(3).integers(0, 256, (500, 900, 3), np.uint8)
    for most in (500 * 900, 200_000):
        monkeypatch.setattr(detection, "_MOST_SEARCHED", most)
        searched.clear()
        with pytest.raises(FaceError, match="no face found"):
            read_faces(photo(noise))
        assert 0.95 * most < max(searched) <= most
    assert np.abs(read_face(photo(portrait)).landmarks - whole.landmarks).max() < 3
    assert max(searched) <= most


def test_a_face_that_is_cut_is_refused_or_flagged(astronaut: Pixels) -> None:
    """Cut deeper and deeper from the left: whole, outline outside, refused or not found."""
    states = set()
    for left in range(150, 240, 6):
        try:
            face = read_face(photo(astronaut[40:240, left:400]))
        except FaceError as error:
            assert "cut by the photo's border" in str(error) or "no face found" in str(error)  # noqa: PT017
            states.add("refused")
        else:
            outside = next(c for c in face.gate if c.name == "outside")
            assert outside.ok == (face.landmarks[:, 0] > -0.5).all()
            states.add("ok" if outside.ok else "flagged")
    assert {"ok", "refused"} <= states


def test_without_jitter_there_is_no_spread(astronaut: Pixels) -> None:
    face = read_face(photo(astronaut), jitter=1)
    assert np.isnan(face.landmark_sd).all()
    assert face.samples.shape == (1, 68, 2)


def test_a_model_with_other_points_is_refused(astronaut: Pixels) -> None:
    with pytest.raises(WeightsError, match=r"5 landmarks .*; anthropo's measurements need the 68 points"):
        read_face(photo(astronaut), landmark_model=str(FIVE_POINTS))


def test_mirror_table_swaps_sides() -> None:
    assert np.array_equal(MIRROR[MIRROR], np.arange(68))
    for code, points in LANDMARKS.items():
        other = code[:-1] + {"R": "L", "L": "R"}[code[-1]] if code[-1] in "RL" else code
        assert sorted(MIRROR[list(points)]) == sorted(LANDMARKS[other])


def test_a_jpeg_in_memory_is_not_needed_on_disk_any_more(portrait: Pixels, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(portrait).resize((3360, 3360)).save(buffer, "JPEG")
    path = tmp_path / "gone.jpg"
    path.write_bytes(buffer.getvalue())
    from anthropo.photo import read_photo

    reduced = read_photo(path, short_side=400)
    path.unlink()
    assert reduced.decode_scale == 8
    assert reduced.finer(2).pixels.shape == (1680, 1680, 3)


def test_a_steady_small_face_wins_over_an_unsteady_large_pattern(portrait: Pixels) -> None:
    small = np.asarray(Image.fromarray(portrait).resize((420, 420)))
    canvas = np.full((1350, 2000, 3), 120, np.uint8)
    canvas[:840, :840] = portrait[::-1]  # upside down: may look like a face
    canvas[700:1120, 1400:1820] = small
    assert read_face(photo(canvas), face="largest").landmarks[:, 0].min() > 1400


def test_a_pattern_in_a_coarse_search_does_not_hide_smaller_faces(
    portrait: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = np.random.default_rng(1).integers(0, 255, (700, 1000, 3)).astype(np.uint8)
    canvas[300:560, 700:960] = np.asarray(Image.fromarray(portrait).resize((260, 260)))
    search = detection._search

    def misled(photo: Photo, short: int | None, **options: object) -> list[detection.Detection]:
        if short is not None and short < 600 and "levels" not in options:
            return [detection.Detection(np.array([50.0, 50, 250, 250]), 0.5)]  # noise: no face is there
        return search(photo, short, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(detection, "_search", misled)
    assert read_face(photo(canvas), face="largest").landmarks[:, 0].min() > 700


def test_wrong_options_are_refused(astronaut: Pixels) -> None:
    with pytest.raises(ValueError, match="'one' or 'largest' is needed"):
        read_face(photo(astronaut), face="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'one', 'largest' or 'all' is needed"):
        read_faces(photo(astronaut), face="any")  # type: ignore[arg-type]
    for jitter in (0, -3, 7):
        with pytest.raises(ValueError, match="1 or an even number"):
            read_face(photo(astronaut), jitter=jitter)
    assert len(read_face(photo(astronaut), jitter=6).samples) == 6


def test_landmark_models_of_strange_shapes_give_a_face_or_a_reason(astronaut: Pixels, tmp_path: Path) -> None:
    mean = landmark_model().predictor.mean_shape
    even = (mean + (1, 0) + mean[MIRROR] * (-1, 1)) / 2  # as its mirror image, so that it looks steady
    flat, thin, spots, noses = even.copy(), even.copy(), even.copy(), even.copy()
    flat[:, 1] = 0.5
    thin[:, 0] = 0.5
    spots[17:] = even[[30]]
    noses[MIRROR[36:42]] = noses[36:42] = even[30]
    far = 0.5 + (even - 0.5) * 900
    outcomes = []
    for i, shape in enumerate((even, flat, thin, spots, noses, far)):
        path = tmp_path / f"{i}.dat"
        values = shape.astype(np.float32).ravel().tolist()
        path.write_bytes(Predictor(values, cascades=1, trees=1, leaves=2, features=2, leaf=0.0).dat())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                face = read_face(photo(astronaut), face="largest", jitter=2, landmark_model=str(path))
            except FaceError as error:
                outcomes.append(str(error))
            else:
                assert np.isfinite(face.samples).all()
                outcomes.append("")
    assert outcomes[0] == ""
    assert all("no face found" in outcomes[i] for i in (2, 3))
    assert "cut by the photo's border" in outcomes[5]


@pytest.mark.parametrize(
    ("size", "widths"), [((480, 320), (186, 140)), ((640, 480), (178, 151)), ((1000, 700), (278, 236))]
)
def test_a_second_face_in_front_is_found_however_small_the_photo(
    astronaut: Pixels, size: tuple[int, int], widths: tuple[int, int]
) -> None:
    """Where the coarse search shows the larger face alone: a finer one, or an enlarged photo, shows both."""
    head = Image.fromarray(astronaut).crop((110, 0, 350, 260))
    picture = Image.new("RGB", size, "grey")
    for width, (x, y) in zip(widths, ((0, 0), (size[0], size[1])), strict=True):
        height = round(width * 260 / 240)
        place = (max(0, x - width), max(0, y - height))
        picture.paste(head.resize((width, height), Image.Resampling.LANCZOS), place)
    photo = Photo.from_array(np.asarray(picture))
    with pytest.raises(FaceError, match="2 faces found, 1 needed"):
        read_face(photo, jitter=2)
    left, _, right, _ = read_face(photo, face="largest", jitter=2).box
    assert (left + right) / 2 < size[0] / 2
