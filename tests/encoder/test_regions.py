"""Region chips: dlib's geometry, and the same picture however the photo is shifted, turned or enlarged."""

from __future__ import annotations

import io
import runpy
from dataclasses import replace
from pathlib import Path

import dlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anthropo.encoder import regions
from anthropo.encoder.regions import (
    FILL,
    HYBRID_REGIONS,
    REGIONS,
    crops,
    frame_to,
    geometry_digest,
)
from anthropo.errors import InputError
from anthropo.face.landmarker import Face, read_face
from anthropo.face.scheme import MIRROR
from anthropo.photo import Photo, read_photo

Pixels = NDArray[np.uint8]
INNER = tuple(n for n in REGIONS if n not in ("background", "face"))


@pytest.fixture(scope="module")
def face(astronaut: Pixels) -> Face:
    return read_face(Photo.from_array(astronaut))


def difference(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def moved(face: Face, landmarks: NDArray[np.float64]) -> Face:
    return replace(face, landmarks=landmarks)


def test_the_face_chip_is_dlibs(astronaut: Pixels, face: Face) -> None:
    rounded = moved(face, np.rint(face.landmarks))
    points = [dlib.point(int(x), int(y)) for x, y in rounded.landmarks]
    theirs = dlib.get_face_chip(
        astronaut, dlib.full_object_detection(dlib.rectangle(178, 76, 281, 178), points), 150, 0.25
    )
    ours = crops(Photo.from_array(astronaut), rounded, ["face"], 150)[0]
    assert difference(ours, theirs) < 1.2
    for shifted in (theirs[1:, :], theirs[:, 1:]):  # half a pixel would show
        assert difference(ours[: len(shifted), : shifted.shape[1]], shifted) > 3


def test_regions_are_in_the_agreed_order() -> None:
    assert tuple(REGIONS) == ("face", "upper", "middle", "lower", "eyes", "nose", "mouth", "background")
    assert tuple(REGIONS)[:-1] == HYBRID_REGIONS


@pytest.mark.parametrize(
    ("region", "inside", "outside"),
    [
        ("upper", (19, 24, 37, 44), (33, 48, 54, 8)),
        ("middle", (36, 39, 45, 31, 35), (8, 48, 54, 57)),
        ("lower", (48, 54, 57, 8, 33), (36, 45, 19)),
        ("eyes", (36, 45, 41, 19), (33, 48, 8)),
        ("nose", (27, 30, 31, 33, 35), (36, 45, 57, 8)),
        ("mouth", (48, 54, 51, 57, 33), (36, 45, 8)),
        ("face", (8, 36, 45, 48, 54, 17, 26), ()),
        ("background", (8, 36, 45, 0, 16), ()),
    ],
)
def test_regions_hold_what_they_are_called(
    face: Face, region: str, inside: tuple[int, ...], outside: tuple[int, ...]
) -> None:
    to_photo = frame_to(face.landmarks)
    points = np.linalg.solve(to_photo[:, :2], (face.landmarks - to_photo[:, 2]).T).T
    r = REGIONS[region]
    within = ((points > r.box[:2]) & (points < r.box[2:])).all(1)
    assert within[list(inside)].all()
    assert not within[list(outside)].any()


def test_a_shifted_photo_gives_the_same_chips(astronaut: Pixels, face: Face) -> None:
    shifted = np.roll(astronaut, (40, 30), (0, 1))
    theirs = crops(Photo.from_array(shifted), moved(face, face.landmarks + np.array([30, 40])), INNER, 96)
    ours = crops(Photo.from_array(astronaut), face, INNER, 96)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_a_turned_photo_gives_the_same_chips(astronaut: Pixels, face: Face) -> None:
    turned = np.rot90(astronaut)  # (x, y) comes to (y, 511 - x)
    x, y = face.landmarks.T
    theirs = crops(Photo.from_array(turned), moved(face, np.column_stack([y, 511 - x])), INNER, 96)
    ours = crops(Photo.from_array(astronaut), face, INNER, 96)
    assert np.abs(ours.astype(int) - theirs).max() <= 2


def test_an_enlarged_photo_gives_the_same_chips(astronaut: Pixels, face: Face) -> None:
    large = astronaut.repeat(5, 0).repeat(5, 1)
    theirs = crops(Photo.from_array(large), moved(face, (face.landmarks + 0.5) * 5 - 0.5), INNER, 64)
    ours = crops(Photo.from_array(astronaut), face, INNER, 64)
    assert difference(ours, theirs) < 2.5
    assert difference(ours[:, 1:], theirs[:, :-1]) > 2 * difference(ours, theirs)


def test_a_mirrored_photo_gives_mirrored_chips(astronaut: Pixels, face: Face) -> None:
    landmarks = (face.landmarks * (-1, 1) + (511, 0))[MIRROR]
    theirs = crops(Photo.from_array(astronaut[:, ::-1]), moved(face, landmarks), INNER, 96)
    ours = crops(Photo.from_array(astronaut), face, INNER, 96)[:, :, ::-1]
    # dlib's mean face stands 0.0099 left of the window's middle
    apart = 2 * (0.5 - 0.490127) / 1.5 * 96
    assert 1 < apart < 1.5
    seen = slice(10, -10)
    assert difference(ours[0, :40, seen], np.roll(theirs[0], 1, axis=1)[:40, seen]) < 4
    assert ((ours == FILL).all(3) == (theirs == FILL).all(3)).mean() > 0.999


def test_what_is_smaller_than_a_chips_pixel_does_not_alias(face: Face) -> None:
    y, x = np.indices((1200, 1200))
    for stripes in (x % 2, y % 2, (x + y) % 2):
        photo = Photo.from_array((stripes * 255).astype(np.uint8))
        for size in (40, 61, 75, 97, 110):
            chip = crops(photo, moved(face, face.landmarks * 2.2), ["face"], size)[0]
            assert np.abs(chip[5:-5, 5:-5].astype(float) - 127.5).max() < 45


def test_a_chip_with_more_pixels_than_the_decoded_photo_is_decoded_finer(
    astronaut: Pixels, face: Face, tmp_path: object
) -> None:
    enlarged = Image.fromarray(astronaut).resize((2048, 2048), Image.Resampling.BICUBIC)
    path = f"{tmp_path}/large.jpg"
    enlarged.save(path, quality=95)
    large = moved(face, (face.landmarks + 0.5) * 4 - 0.5)
    coarse = read_photo(path, short_side=256)
    assert coarse.decode_scale == 8
    fine = Photo.from_array(np.asarray(Image.open(path)))
    for region in ("face", "mouth"):
        assert difference(crops(coarse, large, [region], 200)[0], crops(fine, large, [region], 200)[0]) < 2


def test_a_coarse_decode_suffices_for_small_chips(astronaut: Pixels, face: Face) -> None:
    data = io.BytesIO()
    Image.fromarray(astronaut).resize((4096, 4096)).save(data, "JPEG", quality=90)
    calls = []

    class Watched(Photo):
        def finer(self, scale: int = 1) -> Photo:
            calls.append(scale)
            return Photo.finer(self, scale)

    small = np.asarray(Image.open(io.BytesIO(data.getvalue())).resize((512, 512)))
    photo = Watched(small, "large.jpg", (4096, 4096), 8, data.getvalue())
    crops(photo, moved(face, (face.landmarks + 0.5) * 8 - 0.5), ["face"], 100)
    assert calls == [8]


def test_only_the_region_is_shown(astronaut: Pixels, face: Face) -> None:
    photo = Photo.from_array(astronaut)
    whole, eyes = crops(photo, face, ("face", "eyes"), 150)
    assert not (whole == FILL).all(2).any()
    # the box in pixels, 100 to a frame unit, after the window's corner
    assert (eyes[16:65, 21:129] == whole[16:65, 21:129]).all()
    eyes[16:65, 21:129] = FILL
    assert (eyes == FILL).all()


def test_the_background_shows_no_face_and_its_cover_tells_nothing(astronaut: Pixels, face: Face) -> None:
    photo = Photo.from_array(astronaut)
    chip = crops(photo, face, ["background"], 150)[0]
    covered = (chip == FILL).all(2)
    assert 0.3 < covered.mean() < 0.5
    assert not dlib.get_frontal_face_detector()(np.ascontiguousarray(chip.repeat(3, 0).repeat(3, 1)), 0)
    to_photo = frame_to(face.landmarks)
    points = np.linalg.solve(to_photo[:, :2], (face.landmarks - to_photo[:, 2]).T).T
    x, y = ((points - REGIONS["background"].window[:2]) / 3 * 150).astype(int).T
    assert covered[y, x].all()
    wide = moved(face, face.landmarks * (1.3, 1))  # another shape of face: the same cover
    assert ((crops(photo, wide, ["background"], 150)[0] == FILL).all(2) == covered).all()


def test_beyond_the_photo_it_is_black(astronaut: Pixels, face: Face) -> None:
    cut = astronaut[:, 200:]
    chip = crops(Photo.from_array(cut), moved(face, face.landmarks - (200, 0)), ["face"], 150)[0]
    assert (chip[:, :20] == 0).all()
    assert chip[:, 75:].mean() > 50


def test_a_face_beyond_the_photo_gives_a_black_chip(astronaut: Pixels, face: Face) -> None:
    assert (
        crops(Photo.from_array(astronaut), moved(face, face.landmarks + 2000), ["face"], 50)[0] == 0
    ).all()


def test_no_region_no_chip(astronaut: Pixels, face: Face) -> None:
    assert crops(Photo.from_array(astronaut), face, (), 150).shape == (0, 150, 150, 3)


def test_an_unknown_region_is_refused_with_the_choices(astronaut: Pixels, face: Face) -> None:
    with pytest.raises(
        InputError, match=r"region 'ear': unknown\. Choose from face, upper, middle, lower, eyes,"
    ):
        crops(Photo.from_array(astronaut), face, ["ear"], 150)
    with pytest.raises(ValueError, match="size=0"):
        crops(Photo.from_array(astronaut), face, ["face"], 0)


def test_the_digest_follows_the_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    before = geometry_digest()
    assert before == geometry_digest()
    changed = dict(REGIONS, mouth=replace(REGIONS["mouth"], box=(0.14, 0.56, 0.86, 1.07)))
    monkeypatch.setattr("anthropo.encoder.regions.REGIONS", changed)
    assert geometry_digest() != before


def test_every_region_is_drawn(astronaut: Pixels, face: Face) -> None:
    photo = Photo.from_array(astronaut)
    script = Path(__file__).parents[2] / "development" / "regions_picture.py"
    picture = np.asarray(runpy.run_path(str(script))["draw_regions"](photo, face))
    for chip in crops(photo, face, tuple(REGIONS), 180):
        windows = (picture[34:214], picture[248:428])
        assert any(
            difference(chip, row[:, x : x + 180]) == 0
            for row in windows
            for x in range(400, picture.shape[1] - 180)
        )


def test_blocks_of_pixels_are_their_rounded_mean() -> None:
    seen = np.random.default_rng(0).integers(0, 256, (12, 24), dtype=np.uint8)
    for side in (1, 2, 3, 4):
        blocks = seen.reshape(12 // side, side, 24 // side, side).astype(np.int64).sum((1, 3))
        expected = (blocks + side**2 // 2) // side**2
        np.testing.assert_array_equal(regions._mean_of_blocks(seen, side), expected)
