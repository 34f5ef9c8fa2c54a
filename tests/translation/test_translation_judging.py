"""How a translation is judged, and the pictures that it sees."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from made_domains import domains

import anthropo
from anthropo import Photo, Settings
from anthropo.encoder.regions import crops
from anthropo.errors import WeightsError
from anthropo.face.frame import outer_canthal_distance
from anthropo.face.shape import shapes
from anthropo.learning.intervals import Interval
from anthropo.measurement.compute import Z95
from anthropo.measurement.registry import registry
from anthropo.translation import judging
from anthropo.translation.judging import (
    TEXTURES,
    MeasuredPicture,
    _direction,
    displacement,
    distance_by_chance,
    enlarged,
    judge_translation,
    kernel_distance,
    measured,
    people_drawn,
)
from anthropo.translation.pictures import UNIT, _unlike_ends, borders, cut, encoder_chips, repeated

FAST = Settings(jitter=2, fine=False)
NONE: dict[str, dict[str, Interval]] = {"kid": {}}


def names(number: int, of: str = "p", photos: int = 1) -> np.ndarray:
    return np.array([f"{of}{i // photos}" for i in range(number)])


# ------------------------------------------------------------------------------- kernel distance


def test_kernel_distance_by_hand() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(0.3, 1, (5, 4)), random.normal(0, 1, (6, 4))
    found = kernel_distance(x, y, names(5), names(6, "q"))
    scale = np.sqrt((y**2).mean())

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / scale**2 / 4 + 1) ** 3)

    within = [
        np.mean([kernel(a, b) for (i, a), (j, b) in product(enumerate(of), repeat=2) if i != j])
        for of in (x, y)
    ]
    by_hand = sum(within) - 2 * np.mean([kernel(a, b) for a, b in product(x, y)])
    assert found.value == pytest.approx(1000 * by_hand)
    assert found.lo < found.value < found.hi


def test_photos_of_one_person_are_not_compared_with_each_other() -> None:
    """Each photo twice: the distance is that of each once."""
    random = np.random.default_rng(1)
    x, y = random.normal(0, 1, (8, 6)), random.normal(0, 1, (9, 6))
    once = kernel_distance(x, y, names(8), names(9, "q"))
    twice = kernel_distance(np.repeat(x, 2, 0), y, names(16, photos=2), names(9, "q"))
    assert twice.value == pytest.approx(once.value)
    assert twice.hi == pytest.approx(once.hi)


def test_the_interval_holds_the_truth_and_tells_domains_apart() -> None:
    random = np.random.default_rng(2)
    held = 0
    for _ in range(40):
        x, y = random.normal(0, 1, (20, 8)), random.normal(0, 1, (30, 8))
        of = kernel_distance(x, y, names(20), names(30, "q"))
        held += of.lo <= 0 <= of.hi
    assert held >= 34
    far = kernel_distance(random.normal(1, 1, (20, 8)), y, names(20), names(30, "q"))
    assert far.lo > 0
    assert distance_by_chance(y, names(30), 0).lo < 0 < distance_by_chance(y, names(30), 0).hi


def test_too_few_people_have_no_kernel_distance() -> None:
    x = np.ones((6, 3))
    assert "fewer than three people" in kernel_distance(x, x, names(6, photos=3), names(6)).reason
    assert "fewer than six people" in distance_by_chance(x, names(6, photos=2), 0).reason


# ------------------------------------------------------------------------------------- movement


def face(dx: float = 0.0, value: float = 1.0, sd: float = 0.1) -> MeasuredPicture:
    landmarks = 0.5 + 0.4 * shapes()[0]
    landmarks[30] += dx, 0
    n = len(registry())
    return MeasuredPicture(
        landmarks=landmarks,
        unit=outer_canthal_distance(landmarks),
        values=np.full(n, value),
        repeat_sd=np.full(n, sd),
    )


def test_displacement_is_in_outer_canthal_distances() -> None:
    moved = displacement(face(), face(0.02))
    assert moved[30] == pytest.approx(0.02 / face().unit)
    assert moved.sum() == pytest.approx(moved[30])


def test_what_counts_as_changed_is_what_two_photos_do_not_differ_by() -> None:
    limit = Z95 * np.hypot(0.1, 0.1)
    before = [face(), face(), face(), None, face()]
    after = [face(0.02), face(0.02, 1 + 0.98 * limit), face(0.02, 1 - 1.02 * limit), face(), None]
    samples = np.zeros((1, 3, 8, 8, 3), np.uint8)
    one = _direction("B", before, after, names(5), NONE, samples, 0)
    assert (one.faces, one.unseen, one.lost) == (5, 1, 1)
    assert one.displacement.value == 0  # most landmarks do not move
    assert one.by_landmark[30] == pytest.approx(0.02 / face().unit)
    assert one.beyond.value == pytest.approx(1 / 3)
    first = one.measurements[0]
    assert (first.n, first.beyond) == (3, pytest.approx(1 / 3))
    assert first.limit == pytest.approx(limit)
    assert first.change == pytest.approx(0.98 * limit)


def test_without_a_face_there_is_a_reason() -> None:
    one = _direction(
        "B", [None, face()], [None, None], names(2), NONE, np.zeros((1, 3, 8, 8, 3), np.uint8), 0
    )
    assert (one.unseen, one.lost) == (1, 1)
    assert one.displacement.reason == "no face is found in a translated picture"
    assert np.isnan(one.by_landmark).all()


@pytest.mark.parametrize("installed", [True, False])
def test_textures_are_compared_where_their_encoder_is_installed(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    def load(name: str = "face-resnet") -> Grey:
        if name == TEXTURES and not installed:
            raise WeightsError("no package efficientnet")
        return Grey(contrast=name == TEXTURES)

    class Brighter:
        def translate(self, pictures: np.ndarray, to: str) -> np.ndarray:
            return np.clip(pictures.astype(int) + (60 if to == "B" else -60), 0, 255).astype(np.uint8)

    monkeypatch.setattr(judging, "load_encoder", load)
    monkeypatch.setattr(judging, "measured", lambda pictures, *_: [None] * len(pictures))
    found = judge_translation(Brighter(), domains(held_out=8), FAST)  # type: ignore[arg-type]
    assert found.notes == (() if installed else ("textures are not compared: no package efficientnet",))
    for one in found.directions:
        assert abs(one.kid["translated"].value) < one.kid["untranslated"].value  # from dark to light, or back
        assert {*one.textures} == ({"translated", "untranslated", "itself"} if installed else set())
    assert ("to B: textures translated" in found.figures()) is installed


class Grey:
    """In place of an encoder: how light or how varied pictures are, and a constant."""

    size = 16

    def __init__(self, contrast: bool) -> None:
        self.contrast = contrast

    def encode(self, chips: np.ndarray) -> np.ndarray:
        of = chips.std((1, 2, 3)) if self.contrast else chips.mean((1, 2, 3))
        return np.stack([of / 100, np.ones(len(chips))], 1)


def test_people_are_drawn_with_all_their_photos() -> None:
    people = names(6, photos=2)
    for rows in people_drawn(people, 20, 0):
        assert len(rows) == 6
        counts = np.bincount(rows, minlength=6).reshape(3, 2)
        assert (counts[:, 0] == counts[:, 1]).all()


# ------------------------------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def seen() -> anthropo.Observation:
    return anthropo.observe(anthropo.example_photo(), FAST)


def test_a_picture_and_its_points_belong_together(seen: anthropo.Observation) -> None:
    picture, points, shown = cut(seen.photo, seen.face.landmarks, 128)
    assert shown.all()
    assert picture.shape == (128, 128, 3)
    assert outer_canthal_distance(points) == pytest.approx(UNIT, rel=0.1)
    (again,) = measured([picture], FAST)
    assert again is not None
    assert np.linalg.norm(again.landmarks - points, axis=-1).mean() / UNIT < 0.02


def test_what_lies_beyond_the_photo_repeats_its_border(seen: anthropo.Observation) -> None:
    """A photo that ends at the chin and beside the eyes: no black corners, and the face where it was."""
    whole, points, _ = cut(seen.photo, seen.face.landmarks, 64)
    left, top = np.floor(seen.face.landmarks.min(0)).astype(int)
    right, bottom = np.ceil(seen.face.landmarks.max(0)).astype(int)
    tight = Photo.from_array(seen.photo.finer().pixels[top:bottom, left:right])
    picture, moved, shown = cut(tight, seen.face.landmarks - (left, top), 64)
    assert np.allclose(points, moved)
    white = Photo.from_array(np.full_like(tight.pixels, 255))
    assert cut(white, seen.face.landmarks - (left, top), 64)[0].min() == 255
    middle = np.abs(picture[24:40, 24:40].astype(int) - whole[24:40, 24:40])
    assert middle.max() <= 1
    # the mask ends where the (slightly rolled) photograph does, and only what it shows is as in the whole one
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    edges = 64 * np.concatenate([points.min(0), points.max(0)])
    assert [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] == pytest.approx(edges, abs=4)
    apart = np.abs(picture.astype(int) - whole).mean(-1)
    assert apart[shown].mean() < 0.1 * apart[~shown].mean()


def streaked(pixels: np.ndarray, below: int) -> np.ndarray:
    """The photo with its last line again and again below it."""
    return np.pad(pixels, ((0, below), (0, 0), (0, 0)), "edge")


def test_borders_that_a_photo_repeats_itself_are_found() -> None:
    random = np.random.default_rng(0)
    photo = random.integers(30, 220, (40, 30, 3), dtype=np.uint8)
    assert borders(photo) == (0, 0, 0, 0)
    assert borders(streaked(photo, 6)) == (0, 6, 0, 0)
    assert borders(streaked(photo[::-1], 3)[::-1]) == (3, 0, 0, 0)
    assert borders(streaked(photo.transpose(1, 0, 2), 4).transpose(1, 0, 2)) == (0, 0, 0, 4)
    black = np.pad(photo, ((0, 0), (5, 2), (0, 0)))
    assert borders(black) == (0, 0, 5, 2)
    # a plain backdrop above and beside a head is none
    backdrop = np.full((40, 30, 3), 235, np.uint8)
    backdrop[10:, 8:22] = photo[10:, 8:22]
    assert borders(backdrop) == (0, 0, 0, 0)
    for level in (0, 128):
        assert borders(np.full((9, 9, 3), level, np.uint8)) == (0, 0, 0, 0)


def test_a_repeated_border_in_the_photo_is_not_shown(seen: anthropo.Observation) -> None:
    bottom = int(np.ceil(seen.face.landmarks[:, 1].max()))
    pixels = seen.photo.finer().pixels
    longer = Photo.from_array(streaked(pixels[:bottom], len(pixels) - bottom))
    ended = Photo.from_array(pixels[:bottom])
    shown = [cut(photo, seen.face.landmarks, 64)[2] for photo in (longer, ended)]
    assert not shown[0].all()
    assert np.array_equal(*shown)


def test_a_domain_whose_photos_end_at_the_chin_is_pointed_out() -> None:
    random = np.random.default_rng(0)
    wide, tight = domains(train=8).train
    pictures = random.integers(0, 255, (8, 32, 32, 3), dtype=np.uint8)
    cut_off = pictures.copy()
    cut_off[:, 28:] = cut_off[:, 27:28]
    assert repeated(pictures).tolist() == [0] * 8
    assert repeated(cut_off) == pytest.approx([4 / 32] * 8)
    assert repeated(np.zeros((1, 32, 32, 3), np.uint8)) == pytest.approx([31 / 32])
    wide, tight = replace(wide, pictures=pictures), replace(tight, pictures=cut_off)
    assert _unlike_ends((wide, tight)) == (
        "100 % of the photos of B end closely below the chin and repeat their border there, 0 % of A: a "
        "translation learns that first. Pass changes='mask_borders=true', or give photos of both with as "
        "much around the face."
    )
    assert _unlike_ends((tight, wide)).startswith("100 % of the photos of A")
    assert _unlike_ends((wide, wide)) is None
    assert _unlike_ends((tight, tight)) is None


def test_the_encoder_sees_what_it_would_see_of_the_photo(seen: anthropo.Observation) -> None:
    picture, *_ = cut(seen.photo, seen.face.landmarks, 256)
    chip = encoder_chips(picture[None], 150)[0].astype(float)
    own = crops(seen.photo, seen.face, ["face"], 150)[0].astype(float)
    assert np.abs(chip - own)[5:-5, 5:-5].mean() < 4


def test_small_pictures_are_enlarged_by_a_whole_factor() -> None:
    assert [len(enlarged(np.zeros((s, s, 3), np.uint8))) for s in (32, 64, 80, 256)] == [256, 256, 320, 256]
