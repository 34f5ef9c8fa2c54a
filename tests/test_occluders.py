"""Things drawn before the astronaut's face: where, and what they hide."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import anthropo
from anthropo.synthetic import occlude
from anthropo.synthetic.canvas import rounded
from anthropo.synthetic.everyday import CHOSEN_WITH, HIDING, SEEN
from anthropo.synthetic.occluders import JUDGED_ONLY, KINDS, TRAINED, covered, draw

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: Landmarks that a kind always hides, and some that it never does.
ALWAYS: dict[str, tuple[list[int], list[int]]] = {
    "mask_surgical": ([33, 48, 51, 54, 57, 62, 66, 8], [36, 39, 42, 45, 19, 24]),
    "mask_under_nose": ([48, 54, 57, 62, 66, 8], [36, 39, 42, 45, 30]),
    "mask_cloth": ([57, 66, 8], [36, 39, 42, 45]),
    "bar": ([36, 39, 42, 45], [8, 48, 54]),
    "dark_glasses": ([37, 38, 40, 41, 43, 44, 46, 47], [8, 48, 54, 33]),
    "clear_glasses": ([], [8, 48, 54, 33]),
    "pacifier": ([51, 57, 62, 66], [36, 39, 42, 45]),
    "goggles": ([36, 39, 42, 45], [8, 48, 54]),
    "scarf": ([57, 8], [36, 39, 42, 45]),
    "nasal_cannula": ([], [36, 39, 42, 45, 8, 57]),
    "feeding_tube": ([], [36, 39, 42, 45, 8, 57]),
}


@pytest.fixture(scope="module")
def points(astronaut: Pixels) -> Floats:
    return anthropo.read_face(anthropo.Photo.from_array(astronaut)).landmarks


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_hides_what_it_covers(astronaut: Pixels, points: Floats, kind: str) -> None:
    hidden = 0
    for seed in range(4):
        done = occlude(astronaut, points, kind, seed)
        again = occlude(astronaut, points, kind, seed)
        np.testing.assert_array_equal(done.pixels, again.pixels)  # by the seed alone
        np.testing.assert_array_equal(done.hidden, covered(done.cover, points) > 0.5)
        assert done.cover.shape == astronaut.shape[:2]
        assert 0 <= done.cover.min() <= done.cover.max() <= 1
        changed = (done.pixels != astronaut).any(-1)
        # nothing is called hidden that looks as before, but where a colour happens to be the face's
        assert changed[done.cover > 0.5].mean() > 0.95
        always, never = ALWAYS.get(kind, ([], []))
        assert done.hidden[always].all()
        assert not done.hidden[never].any()
        hidden += int(done.hidden.sum())
    assert (astronaut == anthropo.read_photo(anthropo.example_photo()).pixels).all()  # the photo is as it was
    other = occlude(astronaut, points, kind, 99)
    assert (other.pixels != done.pixels).any()
    assert hidden > 0 or kind in (
        "clear_glasses",
        "nasal_cannula",
        "feeding_tube",
        "tape",
        "blob",
        "microphone",
    )


@pytest.mark.parametrize("kind", [*HIDING, *CHOSEN_WITH])
def test_everyday_things_change_what_they_cover(astronaut: Pixels, points: Floats, kind: str) -> None:
    what, area = {**HIDING, **CHOSEN_WITH}[kind], 0
    for seed in range(3):
        done = draw(astronaut, points, what, np.random.default_rng(seed))
        again = draw(astronaut, points, what, np.random.default_rng(seed))
        np.testing.assert_array_equal(done.pixels, again.pixels)  # by the random numbers alone
        assert done.cover.shape == astronaut.shape[:2]
        assert 0 <= done.cover.min() <= done.cover.max() <= 1
        there = done.cover > 0.5
        area += int(there.sum())
        # a thing in the colour of what it hides differs little, but somewhere it does
        if there.any():
            assert (done.pixels != astronaut).any(-1)[there].mean() > 0.9
    assert area > 1000


@pytest.mark.parametrize("kind", SEEN)
def test_what_hides_nothing(astronaut: Pixels, points: Floats, kind: str) -> None:
    changed = 0
    for seed in range(3):
        done = draw(astronaut, points, SEEN[kind], np.random.default_rng(seed))
        assert not done.cover.any()
        assert not done.hidden.any()
        changed += int((done.pixels != astronaut).any(-1).sum())
    assert changed > 500


def test_a_larger_photo_has_the_same_hidden(astronaut: Pixels, points: Floats) -> None:
    twice = np.repeat(np.repeat(astronaut, 2, axis=0), 2, axis=1)
    for kind in ("mask_surgical", "bar", "pacifier"):
        small = occlude(astronaut, points, kind, 3)
        large = occlude(twice, (points + 0.5) * 2 - 0.5, kind, 3)
        assert (small.hidden != large.hidden).sum() <= 3


def test_face_at_the_border_and_grey_face(astronaut: Pixels, points: Floats) -> None:
    low = points.min(0).astype(int) - 2
    cut = np.ascontiguousarray(astronaut[low[1] :, low[0] :])
    for kind in KINDS:
        done = occlude(cut, points - low, kind, 5)
        assert done.pixels.shape == cut.shape
        grey = np.repeat(cut.mean(2, keepdims=True), 3, axis=2).astype(np.uint8)
        assert occlude(grey, points - low, kind, 5).pixels.shape == cut.shape


def test_kinds_to_judge_with_are_not_trained_on() -> None:
    kinds = [TRAINED, JUDGED_ONLY, HIDING, SEEN, CHOSEN_WITH]
    assert len({name for names in kinds for name in names}) == sum(map(len, kinds))
    assert len(JUDGED_ONLY) >= 5
    with pytest.raises(ValueError, match=r"kind='hat': one of mask_surgical, .*scarf is needed"):
        occlude(np.zeros((9, 9, 3), np.uint8), np.zeros((68, 2)), "hat")


def test_curve_goes_through_its_places() -> None:
    places = np.array([[0.0, 0], [1, 2], [3, 2], [4, 0]])
    for closed in (True, False):
        curve = rounded(places, closed=closed)
        nearest = np.linalg.norm(curve[None] - places[:, None], axis=-1).min(1)
        np.testing.assert_allclose(nearest, 0, atol=1e-12)
    assert len(rounded(places)) == 32
