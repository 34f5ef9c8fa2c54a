"""Measurements do not depend on where, how large or how rolled the face is; sides swap in a mirror."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anthropo.face.pose import generic_face
from anthropo.face.scheme import MIRROR
from anthropo.measurement import geometry as kinds
from anthropo.measurement.compute import evaluate
from anthropo.measurement.registry import GEOMETRY, registry

Points = NDArray[np.float64]
ENTRIES = {name: entry for name, entry in registry().items() if entry.kind in GEOMETRY}
faces = st.integers(0, 10**6).map(
    lambda seed: 200 * generic_face()[:, :2] + np.random.default_rng(seed).normal(0, 5, (68, 2))
)


def values(face: Points, mm_per_px: float = 0.4) -> Points:
    """Every measurement in landmarks: (..., 68, 2) photo pixels -> (..., M)."""
    columns = [evaluate((mm_per_px if e.needs_mm else 1.0) * face, [e]) for e in ENTRIES.values()]
    return np.concatenate(columns, axis=-1)


def close(a: Points, b: Points) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


@given(faces, st.floats(-5000, 5000), st.floats(-5000, 5000))
@settings(max_examples=25, deadline=None)
def test_shift(face: Points, x: float, y: float) -> None:
    close(values(face + np.array([x, y])), values(face))


@given(faces, st.floats(-180, 180))
@settings(max_examples=25, deadline=None)
def test_roll(face: Points, degrees: float) -> None:
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    close(values(face @ turn.T), values(face))


@given(faces, st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_scale(face: Points, factor: float) -> None:
    # as many times the pixels, as many times fewer millimetres in each
    close(values(face * factor, 0.4 / factor), values(face))


@given(faces, st.floats(0.1, 10))
@settings(max_examples=25, deadline=None)
def test_only_what_needs_millimetres_depends_on_the_scale(face: Points, factor: float) -> None:
    before, after = values(face), values(face, 0.4 * factor)
    for entry, a, b in zip(ENTRIES.values(), before, after, strict=True):
        if entry.unit == "mm":
            assert b == pytest.approx(a * factor)
        elif not entry.needs_mm:
            assert b == a


@given(faces)
@settings(max_examples=25, deadline=None)
def test_mirror_swaps_sides_and_flips_signed_measurements(face: Points) -> None:
    before = dict(zip(ENTRIES, values(face), strict=True))
    after = dict(zip(ENTRIES, values(face[MIRROR] * [-1, 1]), strict=True))
    for name, entry in ENTRIES.items():
        other = {"R": name[:-1] + "L", "L": name[:-1] + "R", "mid": name}[entry.side]
        signed = entry.kind == "asymmetry" and name != "asymmetry_global"
        assert after[other] == pytest.approx(-before[name] if signed else before[name], rel=1e-9, abs=1e-9)


def test_many_faces_at_once_equal_one_by_one() -> None:
    rng = np.random.default_rng(0)
    batch = 200 * generic_face()[:, :2] + rng.normal(0, 5, (3, 4, 68, 2))
    together = values(batch)
    assert together.shape == (3, 4, len(ENTRIES))
    close(together[2, 1], values(batch[2, 1]))


def test_a_symmetric_face_has_no_asymmetry() -> None:
    found = dict(zip(ENTRIES, values(200 * generic_face()[:, :2]), strict=True))
    for name, entry in ENTRIES.items():
        if entry.kind == "asymmetry":
            assert found[name] == pytest.approx(0, abs=1e-9)


def test_a_degenerate_face_is_nan_and_not_a_number_out_of_thin_air() -> None:
    found = values(np.zeros((68, 2)))
    assert np.isnan(found).sum() > 60
    assert not np.isinf(found).any()


# one side of a face changed by hand: which finding shows, and with which sign
@pytest.mark.parametrize(
    ("name", "point", "move", "expected"),
    [
        ("asymmetry_inner_canthus_height", 42, (0, 4), 0.02),
        ("asymmetry_ala_height", 35, (0, 4), 0.02),
        ("asymmetry_ala_width", 35, (4, 0), 0.02),
        ("asymmetry_ala_width", 31, (4, 0), 0.02),  # right ala towards the midline: left lies further out
        ("asymmetry_mouth_corner_width", 54, (6, 0), 0.03),
        ("asymmetry_jaw_width", 12, (10, 0), 0.05),
        ("asymmetry_cheek_width", 2, (10, 0), 0.05),
        ("chin_deviation", 8, (6, 0), 0.03),
        ("commissure_height_deviation", 54, (0, 4), 0.02),
    ],
)
def test_a_one_sided_change_shows_in_full(
    name: str, point: int, move: tuple[float, float], expected: float
) -> None:
    face = 200 * generic_face()[:, :2]  # 200 px between the outer canthi
    face[point] += move
    found = dict(zip(ENTRIES, values(face), strict=True))
    assert found[name] == pytest.approx(expected, rel=0.02)


def test_excursion_starts_at_the_faces_midline_and_not_at_the_middle_of_a_pulled_mouth() -> None:
    face = 200 * generic_face()[:, :2]
    before = dict(zip(ENTRIES, values(face), strict=True))
    face[48:] += [10, 0]  # the whole mouth drawn to the subject's left
    after = dict(zip(ENTRIES, values(face), strict=True))
    assert after["commissure_excursion_L"] > before["commissure_excursion_L"] + 0.03
    assert after["commissure_excursion_R"] < before["commissure_excursion_R"] - 0.03
    assert after["asymmetry_commissure_excursion"] > 20
    assert after["mouth_width"] == pytest.approx(before["mouth_width"])


def test_the_halves_of_the_dental_show_make_the_whole() -> None:
    face = 200 * generic_face()[:, :2]
    face[[65, 66, 67]] += [0, 20]
    found = dict(zip(ENTRIES, values(face), strict=True))
    assert found["dental_show_R"] == pytest.approx(found["dental_show_L"])
    assert found["dental_show_R"] + found["dental_show_L"] == pytest.approx(found["inner_lip_area"])


def test_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(\.\.\., 68, 2\) needed"):
        evaluate(np.zeros((67, 2)))


# ------------------------------------------------------------------ kinds, on figures known by heart

SQUARE = [np.array(p, float) for p in ((0, 0), (4, 0), (4, 4), (0, 4))]


def test_kinds_on_a_square() -> None:
    a, b, c, d = SQUARE
    assert kinds.distance(a, c) == pytest.approx(np.sqrt(32))
    assert kinds.angle(a, b, c) == pytest.approx(90)
    assert kinds.area(a, b, c, d) == pytest.approx(16)
    assert kinds.area(d, c, b, a) == pytest.approx(16)
    assert kinds.perimeter(a, b, c, d) == pytest.approx(16)
    assert kinds.sag(a, b, np.array([1.0, 3]), np.array([2.0, -5])) == pytest.approx(5)
    assert kinds.cant(a, b, a, c) == pytest.approx(45)
    assert kinds.mean(a, c) == pytest.approx([2, 2])
    assert kinds.off_level(b, c, a, d) == pytest.approx(4)
    # down the photo from a to d: b lies to the photo's right
    assert kinds.offset(b, a, d) == pytest.approx(4)


def test_eye_line_axes() -> None:
    eyes = kinds.EyeLine(np.array([0.0, 0]), np.array([10.0, 0]))
    a, below = np.array([3.0, 1]), np.array([3.0, 6])
    assert eyes.vertical(a, below) == pytest.approx(5)
    assert eyes.elevation(below, np.array([8.0, 1])) == pytest.approx(45)
    assert eyes.elevation(below, np.array([-2.0, 1])) == pytest.approx(45)
    curve = [np.array(p, float) for p in ((0, 0), (4, 4), (8, 0))]
    assert eyes.at(np.array([3.0, 99]), *curve) == pytest.approx([3, 3])
    assert eyes.at(np.array([6.0, -5]), *curve[::-1]) == pytest.approx([6, 2])
    assert eyes.at(np.array([-7.0, 2]), *curve) == pytest.approx([0, 0])  # beyond its end: the end
    folded = [np.array(p, float) for p in ((0, 0), (6, 0), (4, 4), (10, 4))]
    for way in (folded, folded[::-1]):
        assert eyes.at(np.array([5.0, 9]), *way) == pytest.approx([5, 2])  # of (5, 0), (5, 2) and (5, 4)


def test_procrustes_asymmetry_of_a_known_shift() -> None:
    face = 100 * generic_face()[:, :2]
    assert kinds.procrustes_asymmetry(face) == pytest.approx(0, abs=1e-12)
    face[48] += [0, 10]  # one mouth corner a tenth of the canthal distance lower
    # the two corners differ from their mirror images by 0.1 each, half of it on either side
    expected = np.sqrt(2 * 0.05**2 / 68)
    assert kinds.procrustes_asymmetry(face) == pytest.approx(expected, rel=0.1)
